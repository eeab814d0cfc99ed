"""Pushes made by gurux-dlms: JSON with the body on stdin, one JSON object for each framing and protection."""

import json
import sys

from gurux_dlms import GXByteBuffer
from gurux_dlms.enums import InterfaceType, Security
from gurux_dlms.GXDLMSNotify import GXDLMSNotify
from gurux_dlms.secure.GXDLMSSecureClient import GXDLMSSecureClient


def main():
    config = json.load(sys.stdin)
    for name, interface in (("wrapper", InterfaceType.WRAPPER), ("hdlc", InterfaceType.HDLC)):
        for is_sealed in (False, True):
            notify = GXDLMSNotify(True, 102, 1, interface)
            if is_sealed:
                cipher = notify.settings.cipher = GXDLMSSecureClient().ciphering
                cipher.security = Security.AUTHENTICATION_ENCRYPTION
                cipher.systemTitle = bytes.fromhex(config["title"])
                cipher.blockCipherKey = bytes.fromhex(config["ek"])
                cipher.authenticationKey = bytes.fromhex(config["ak"])
                cipher.invocationCounter = 7 if name == "wrapper" else 8
            body = GXByteBuffer()
            body.set(bytes.fromhex(config["body"]))
            messages = notify.generateDataNotificationMessages(None, body)
            octets = b"".join(bytes(message) for message in messages)
            print(json.dumps({"framing": name, "is_sealed": is_sealed, "octets": octets.hex()}))


main()
