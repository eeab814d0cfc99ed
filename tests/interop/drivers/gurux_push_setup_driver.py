"""Lets gurux-dlms read a push setup with its own object, write it, and call its push; see the package's docstring."""

import json
import os
import sys

from gurux_client_driver import Session, plain
from gurux_dlms.enums import ObjectType
from gurux_dlms.objects import GXDLMSCaptureObject, GXDLMSClock, GXDLMSPushSetup, GXDLMSRegister
from gurux_dlms.objects.enums import MessageType, ServiceType


def main():
    config = json.load(sys.stdin)
    try:
        session = Session(config)
        setup = session.client.createObject(ObjectType.PUSH_SETUP)
        assert isinstance(setup, GXDLMSPushSetup)
        setup.logicalName = "0.0.25.9.0.255"
        setup.version = config["version"]
        for number in config["attributes"]:
            reply = session.whole(session.client.read(setup, number))
            session.client.updateValue(setup, number, reply.value)
        print(
            json.dumps(
                {
                    "objects": [[int(o.objectType), o.logicalName, c.attributeIndex] for o, c in setup.pushObjectList],
                    "destination": [int(setup.service), plain(setup.destination), int(setup.message)],
                    "client": setup.pushClientSAP,
                }
            ),
            flush=True,
        )
        whole = GXDLMSCaptureObject(2, 0)
        setup.pushObjectList = [(GXDLMSClock(), whole), (GXDLMSRegister("1.0.1.8.0.255"), whole)]
        setup.service = ServiceType.TCP
        setup.destination = config["destination"]
        setup.message = MessageType.COSEM_APDU
        setup.numberOfRetries = 2
        for number in (2, 3, 6):
            for octets in session.client.write(setup, number):
                session.whole([octets])
        for octets in setup.activate(session.client):
            session.whole([octets])
        print(json.dumps({"value": "pushed"}), flush=True)
        session.close()
    except Exception as error:  # the other library's errors are part of what is tested
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)
