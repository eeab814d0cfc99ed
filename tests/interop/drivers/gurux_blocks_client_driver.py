"""Drives gurux-dlms as a client with general block transfer and ACCESS; see the package's docstring."""

import json
import os
import sys

import gurux_client_driver
from gurux_client_driver import Session, plain
from gurux_dlms import GXDLMSAccessItem
from gurux_dlms.enums import AccessServiceCommandType, Conformance
from gurux_dlms.secure import GXDLMSSecureClient


class Client(GXDLMSSecureClient):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.proposedConformance |= Conformance.GENERAL_BLOCK_TRANSFER | Conformance.ACCESS
        self.gbtWindowSize = WINDOW


gurux_client_driver.GXDLMSSecureClient = Client


def access(session, item):
    kinds = {"get": AccessServiceCommandType.GET}
    wanted = []
    for part in item["items"]:
        target = session.target(part["class"], part["obis"])
        wanted.append(GXDLMSAccessItem(kinds[part["kind"]], target, part["number"]))
    reply = session.whole(session.client.accessRequest(None, wanted))
    session.client.parseAccessResponse(wanted, reply.data)
    return [[int(entry.error), plain(entry.value)] for entry in wanted]


def main():
    global WINDOW
    config = json.load(sys.stdin)
    WINDOW = config.get("window", 1)
    session = Session(config)
    print(json.dumps({"value": int(session.client.negotiatedConformance)}), flush=True)
    for item in config["ops"]:
        try:
            value = access(session, item) if item["op"] == "access" else session.step(item)
            print(json.dumps({"value": value}), flush=True)
        except Exception as error:  # the other library's errors are part of what is tested
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
    try:
        session.close()
        print(json.dumps({"value": "closed"}), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"close: {type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)
