"""Frames as gurux-dlms reads them: a line of JSON with their octets in, a line of JSON with XML, or the error, out."""

from __future__ import annotations

import contextlib
import json
import sys

from gurux_dlms import GXByteBuffer, GXDLMSTranslator


def main() -> None:
    for line in sys.stdin:
        translator = GXDLMSTranslator()
        try:
            with contextlib.redirect_stdout(sys.stderr):  # it prints what it stumbles over
                xml = translator.messageToXml(GXByteBuffer(bytes.fromhex(json.loads(line))))
            print(json.dumps({"xml": xml}))
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}))


main()
