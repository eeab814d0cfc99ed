"""Opens protected APDUs with pydlms-client: JSON on stdin, one JSON object with the plain octets for each APDU."""

from __future__ import annotations

import json
import sys

from pydlms.security.ciphering import unwrap
from pydlms.security.context import SecurityContext


def main() -> None:
    config = json.load(sys.stdin)
    title = bytes.fromhex(config["sender"])
    for apdu in config["apdus"]:
        context = SecurityContext(
            encryption_key=bytes.fromhex(config["ek"]),
            authentication_key=bytes.fromhex(config["ak"]),
            broadcast_key=bytes.fromhex(config["bk"]),
            client_system_title=bytes(8),
            server_system_title=title,
        )
        try:
            print(json.dumps({"plain": unwrap(context, bytes.fromhex(apdu)).plaintext.hex()}))
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}))


main()
