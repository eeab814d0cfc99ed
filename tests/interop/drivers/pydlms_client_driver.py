"""Drives pydlms-client as a client; see the package's docstring."""

import json
import sys

from pydlms import DlmsClient, DlmsData, Mechanism, SecurityContext, decode_data
from pydlms.apdu import xdlms


def plain(value):
    if isinstance(value, DlmsData):
        value = value.value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def connect(config):
    settings = {"mechanism": Mechanism[{"none": "NONE", "lls": "LLS", "gmac": "HLS_GMAC"}[config["auth"]]]}
    if config["auth"] == "lls":
        settings["password"] = config["password"].encode()
    if config.get("ek"):
        settings["security"] = SecurityContext(
            encryption_key=bytes.fromhex(config["ek"]),
            authentication_key=bytes.fromhex(config["ak"]),
            client_system_title=bytes.fromhex(config["system_title"]),
            invocation_counter=config.get("counter", 1),
        )
    settings.update(config.get("settings", {}))
    return DlmsClient.tcp(
        "127.0.0.1",
        config["port"],
        client_sap=config["client"],
        server_logical=config["server"],
        hdlc=config["framing"] == "hdlc",
        timeout=10.0,
        **settings,
    ).connect()


def step(client, item):
    name = item["op"]
    if name == "get":
        return plain(client.get(item["obis"], item["class"], item["attribute"]))
    if name == "get_many":
        answer = client.get_many([(obis, cls, attribute) for cls, obis, attribute in item["items"]])
        return [plain(part) if isinstance(part, DlmsData) else {"error": int(part)} for part in answer]
    if name == "set":
        return plain(
            client.set(item["obis"], item["class"], item["attribute"], decode_data(bytes.fromhex(item["data"]))[0])
        )
    if name == "action":
        parameters = decode_data(bytes.fromhex(item["data"]))[0] if item.get("data") else None
        return plain(client.action(item["obis"], item["class"], item["method"], parameters))
    if name == "range":
        access = xdlms.SelectiveAccess(1, decode_data(bytes.fromhex(item["parameters"]))[0])
        return plain(client.get(item["obis"], 7, 2, access))
    if name == "entries":
        access = xdlms.SelectiveAccess(2, decode_data(bytes.fromhex(item["parameters"]))[0])
        return plain(client.get(item["obis"], 7, 2, access))
    if name == "objects":
        return [[entry.class_id, str(entry.logical_name)] for entry in client.get_association_view()]
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
        client.close()
        print(json.dumps({"value": "closed"}), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"close: {type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
