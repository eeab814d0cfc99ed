"""Decodes notifications with amshan: JSON on stdin (a list of APDUs in hex), JSON on stdout (a dict of fields each)."""

import json
import sys

from han import aidon, kaifa, kamstrup


def decode(apdu):
    for module in (aidon, kaifa, kamstrup):
        try:
            fields = module.decode_frame_content(b"\xe6\xe7\x00" + apdu)
        except Exception:
            continue
        return {
            key: value if isinstance(value, (int, float, str)) else value.isoformat() for key, value in fields.items()
        }
    return None


print(json.dumps([decode(bytes.fromhex(apdu)) for apdu in json.load(sys.stdin)]))
