"""Norwegian and Swedish lists as amshan reads them: a line of JSON with frames in, one with values out."""

from __future__ import annotations

import json
import sys

from han.autodecoder import AutoDecoder
from han.hdlc import HdlcFrameReader


def main() -> None:
    for line in sys.stdin:
        frames = HdlcFrameReader(False).read(bytes.fromhex(json.loads(line)))
        found = [
            {"valid": frame.is_valid, "values": AutoDecoder().decode_message_payload(frame.payload or b"")}
            for frame in frames
        ]
        print(json.dumps(found, default=str))


main()
