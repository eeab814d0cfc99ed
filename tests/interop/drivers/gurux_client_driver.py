"""Drives gurux-dlms as a client; see the package's docstring."""

import datetime
import json
import os
import sys

from gurux_common import ReceiveParameters
from gurux_dlms import GXByteBuffer, GXReplyData
from gurux_dlms.GXDLMSGateway import GXDLMSGateway
from gurux_dlms.enums import Authentication, DataType, InterfaceType, ObjectType, Security
from gurux_dlms.objects import GXDLMSClock, GXDLMSData, GXDLMSProfileGeneric, GXDLMSRegister
from gurux_dlms.secure import GXDLMSSecureClient
from gurux_net import GXNet
from gurux_net.enums import NetworkType


def plain(value):
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, float, str)):
        return value
    inner = getattr(value, "value", value)
    return int(inner) if isinstance(inner, int) else str(value)


class Session:
    def __init__(self, config):
        interface = InterfaceType.HDLC if config["framing"] == "hdlc" else InterfaceType.WRAPPER
        authentication = {
            "none": Authentication.NONE,
            "lls": Authentication.LOW,
            "gmac": Authentication.HIGH_GMAC,
        }[config["auth"]]
        self.client = GXDLMSSecureClient(
            True, config["client"], config["server"], authentication, config.get("password"), interface
        )
        if config.get("ek"):
            ciphering = self.client.ciphering
            ciphering.systemTitle = bytes.fromhex(config["system_title"])
            ciphering.blockCipherKey = bytes.fromhex(config["ek"])
            ciphering.authenticationKey = bytes.fromhex(config["ak"])
            ciphering.security = Security.AUTHENTICATION_ENCRYPTION
            ciphering.invocationCounter = config.get("counter", 1)
        if config.get("max_pdu"):
            self.client.maxReceivePDUSize = config["max_pdu"]
        if config.get("gateway"):
            self.client.gateway = GXDLMSGateway()
            self.client.gateway.networkId = config["gateway"][0]
            self.client.gateway.physicalDeviceAddress = bytearray.fromhex(config["gateway"][1])
        self.hdlc = interface == InterfaceType.HDLC
        self.media = GXNet(NetworkType.TCP, "127.0.0.1", config["port"])
        self.media.open()
        reply = GXReplyData()
        if self.hdlc:
            self.packet(self.client.snrmRequest(), reply)
            self.client.parseUAResponse(reply.data)
            reply.clear()
        for octets in self.client.aarqRequest():
            self.packet(octets, reply)
        self.client.parseAareResponse(reply.data)
        reply.clear()
        if self.client.authentication > Authentication.LOW:
            for octets in self.client.getApplicationAssociationRequest():
                self.packet(octets, reply)
            self.client.parseApplicationAssociationResponse(reply.data)

    def packet(self, octets, reply):
        if not octets and not reply.isStreaming():
            return
        reply.error = 0
        parameters = ReceiveParameters()
        parameters.eop = 0x7E if self.hdlc else None
        parameters.allData = True
        parameters.waitTime = 10000
        parameters.Count = 8 if not self.hdlc else 5
        self.media.eop = parameters.eop
        buffer = GXByteBuffer()
        notification = GXReplyData()
        with self.media.getSynchronous():
            if not reply.isStreaming():
                self.media.send(octets)
            while not self.client.getData(buffer, reply, notification):
                if parameters.eop is None:
                    parameters.count = self.client.getFrameSize(buffer)
                if not self.media.receive(parameters):
                    raise TimeoutError("no answer")
                buffer.set(parameters.reply)
                parameters.reply = None
        if reply.error:
            raise RuntimeError(f"data access result {int(reply.error)}")

    def whole(self, packets):
        reply = GXReplyData()
        for octets in packets if isinstance(packets, list) else [packets]:
            reply.clear()
            self.packet(octets, reply)
            while reply.isMoreData():
                self.packet(self.client.receiverReady(reply), reply)
        return reply

    def target(self, class_id, obis):
        found = self.client.createObject(ObjectType(class_id))
        found.logicalName = obis
        return found

    def step(self, item):
        name = item["op"]
        client = self.client
        if name == "get":
            target = self.target(item["class"], item["obis"])
            return plain(self.whole(client.read(target, item["attribute"])).value)
        if name == "get_many":
            wanted = [(self.target(cls, obis), number) for cls, obis, number in item["items"]]
            answers = []
            for octets in client.readList(wanted):
                reply = self.whole(octets)
                if isinstance(reply.value, list):
                    answers.extend(reply.value)
            return [plain(part) for part in answers]
        if name == "set":
            target = GXDLMSData(item["obis"])
            target.value = bytes.fromhex(item["octets"]) if "octets" in item else item["value"]
            target.setDataType(2, DataType(item["type"]))
            for octets in client.write(target, item["attribute"]):
                self.whole([octets])
            return 0
        if name == "action":
            target = self.target(item["class"], item["obis"])
            return plain(self.whole(client.method(target, item["method"], item["value"], DataType(item["type"]))).value)
        if name == "objects":
            reply = self.whole([client.getObjectsRequest()])
            found = client.parseObjects(reply.data, True)
            return [[int(entry.objectType), entry.logicalName] for entry in found]
        if name == "dates":
            profile = GXDLMSProfileGeneric(item["obis"])
            profile.addCaptureObject(GXDLMSClock(), 2, 0)
            profile.addCaptureObject(GXDLMSRegister("1.0.1.8.0.255"), 2, 0)
            reply = GXReplyData()
            start, end = (datetime.datetime.fromisoformat(item[key]) for key in ("from", "to"))
            for octets in client.readRowsByRange(profile, start, end):
                self.packet(octets, reply)
            while reply.isMoreData():
                self.packet(client.receiverReady(reply), reply)
            return plain(reply.value)
        raise ValueError(name)

    def close(self):
        if not self.hdlc or self.client.ciphering.security != Security.NONE:
            self.packet(self.client.releaseRequest()[0], GXReplyData())
        self.packet(self.client.disconnectRequest(), GXReplyData())
        self.media.close()


def main():
    config = json.load(sys.stdin)
    try:
        session = Session(config)
    except Exception as error:  # the other library's errors are part of what is tested
        print(json.dumps({"error": f"connect: {type(error).__name__}: {error}"}), flush=True)
        return
    for item in config["ops"]:
        try:
            print(json.dumps({"value": session.step(item)}), flush=True)
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
    try:
        session.close()
        print(json.dumps({"value": "closed"}), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"close: {type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)  # its receiving thread outlives a connection that failed
