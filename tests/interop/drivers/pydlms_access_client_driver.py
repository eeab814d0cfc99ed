"""Drives pydlms-client as a client with ACCESS and general block transfer; see the package's docstring."""

import json
import sys

from pydlms import decode_data
from pydlms.client import AccessAction, AccessGet, AccessSet
from pydlms_client_driver import connect, plain, step


def operation(item):
    kind, class_id, obis, number = item["kind"], item["class"], item["obis"], item["number"]
    value = decode_data(bytes.fromhex(item["data"]))[0] if item.get("data") else None
    if kind == "get":
        return AccessGet(obis, class_id, number)
    if kind == "set":
        return AccessSet(obis, class_id, number, value)
    return AccessAction(obis, class_id, number, value)


def access(client, item):
    answers = client.access(
        [operation(part) for part in item["items"]], break_on_error=item.get("break_on_error", False)
    )
    return [[int(answer.result), plain(answer.data)] for answer in answers]


def main():
    config = json.load(sys.stdin)
    client = connect(config)
    print(json.dumps({"value": int(client.association.negotiated_conformance)}), flush=True)
    for item in config["ops"]:
        try:
            value = access(client, item) if item["op"] == "access" else step(client, item)
            print(json.dumps({"value": value}), flush=True)
        except Exception as error:  # the other library's errors are part of what is tested
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
    client.close()
    print(json.dumps({"value": "closed"}), flush=True)


if __name__ == "__main__":
    main()
