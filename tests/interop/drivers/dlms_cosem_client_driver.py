"""Drives dlms-cosem as a client; see the package's docstring."""

import json
import logging
import sys
from datetime import datetime

import structlog
from dlms_cosem import cosem, enumerations, utils
from dlms_cosem.client import DlmsClient
from dlms_cosem.cosem import CosemAttributeWithSelection
from dlms_cosem.cosem.capture_object import CaptureObject
from dlms_cosem.cosem.selective_access import RangeDescriptor
from dlms_cosem.io import BlockingTcpIO, HdlcTransport, TcpTransport
from dlms_cosem.security import (
    HighLevelSecurityGmacAuthentication,
    LowLevelSecurityAuthentication,
    NoSecurityAuthentication,
)

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def plain(value):
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "to_python"):
        return plain(value.to_python())
    return str(value)


def connect(config):
    transport = HdlcTransport if config["framing"] == "hdlc" else TcpTransport
    authentication = {
        "none": NoSecurityAuthentication,
        "lls": lambda: LowLevelSecurityAuthentication(config["password"].encode()),
        "gmac": HighLevelSecurityGmacAuthentication,
    }[config["auth"]]()
    security = {}
    if config.get("ek"):
        security = {
            "encryption_key": bytes.fromhex(config["ek"]),
            "authentication_key": bytes.fromhex(config["ak"]),
            "client_system_title": bytes.fromhex(config["system_title"]),
            "client_initial_invocation_counter": config.get("counter", 1),
        }
    client = DlmsClient(
        transport=transport(config["client"], config["server"], BlockingTcpIO("127.0.0.1", config["port"], timeout=3)),
        authentication=authentication,
        block_transfer=True,
        **security,
        **config.get("settings", {}),
    )
    client.connect()
    client.associate()
    return client


def attribute(cls, obis, number):
    return cosem.CosemAttribute(enumerations.CosemInterface(cls), cosem.Obis.from_string(obis), number)


def step(client, item):
    name = item["op"]
    if name == "get":
        return plain(utils.parse_as_dlms_data(client.get(attribute(item["class"], item["obis"], item["attribute"]))))
    if name == "get_many":
        wanted = [CosemAttributeWithSelection(attribute(*parts), None) for parts in item["items"]]
        answer = client.get_many(wanted).response_data
        return [
            {"error": int(part)} if isinstance(part, enumerations.DataAccessResult) else plain(part) for part in answer
        ]
    if name == "set":
        answer = client.set(attribute(item["class"], item["obis"], item["attribute"]), bytes.fromhex(item["data"]))
        return int(answer.result)
    if name == "action":
        method = cosem.CosemMethod(
            enumerations.CosemInterface(item["class"]), cosem.Obis.from_string(item["obis"]), item["method"]
        )
        return plain(client.action(method, bytes.fromhex(item["data"])))
    if name == "dates":
        selection = RangeDescriptor(
            CaptureObject(attribute(8, "0.0.1.0.0.255", 2), 0),
            datetime.fromisoformat(item["from"]),
            datetime.fromisoformat(item["to"]),
        )
        return plain(utils.parse_as_dlms_data(client.get(attribute(7, item["obis"], 2), selection)))
    raise ValueError(name)


def main():
    config = json.load(sys.stdin)
    try:
        client = connect(config)
    except Exception as error:  # the other library's errors are part of what is tested
        print(json.dumps({"error": f"connect: {type(error).__name__}: {error}"}), flush=True)
        return
    for item in config["ops"]:
        try:
            print(json.dumps({"value": step(client, item)}), flush=True)
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
    try:
        client.release_association()
        client.disconnect()
        print(json.dumps({"value": "closed"}), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"close: {type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
