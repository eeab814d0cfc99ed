"""Seals one push with dlms-cosem in general-glo-ciphering: JSON on stdin, one JSON object for each suite."""

import json
import sys

from dlms_cosem.protocol.xdlms import GeneralGlobalCipher
from dlms_cosem.security import SecurityControlField, encrypt


def main():
    config = json.load(sys.stdin)
    title, push = bytes.fromhex(config["title"]), bytes.fromhex(config["push"])
    for suite, keys in config["suites"].items():
        control = SecurityControlField(int(suite), authenticated=True, encrypted=True)
        sealed = encrypt(control, title, 9, bytes.fromhex(keys["ek"]), push, bytes.fromhex(keys["ak"]))
        apdu = GeneralGlobalCipher(title, control, 9, sealed).to_bytes()
        print(
            json.dumps(
                {"form": f"general-glo {suite}", "suite": int(suite), "control": int(suite) | 0x30, "apdu": apdu.hex()}
            )
        )


main()
