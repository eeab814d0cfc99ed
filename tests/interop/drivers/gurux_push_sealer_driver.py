"""Seals one push with gurux-dlms in general-glo-ciphering: JSON on stdin, one JSON object for each protection."""

import json
import sys

from gurux_dlms.AesGcmParameter import AesGcmParameter
from gurux_dlms.enums import Security
from gurux_dlms.GXDLMSChippering import GXDLMSChippering
from gurux_dlms.objects.enums import SecuritySuite


def main():
    config = json.load(sys.stdin)
    title, push = bytes.fromhex(config["title"]), bytes.fromhex(config["push"])
    keys = config["suites"]["0"]
    for suite in (0, 1):
        for number, security in enumerate(
            (Security.AUTHENTICATION, Security.ENCRYPTION, Security.AUTHENTICATION_ENCRYPTION)
        ):
            settings = AesGcmParameter(0xDB, title, bytes.fromhex(keys["ek"]), bytes.fromhex(keys["ak"]))
            settings.security, settings.securitySuite = security, SecuritySuite(suite)
            settings.invocationCounter = 10 * suite + number
            apdu = bytes(GXDLMSChippering.encryptAesGcm(settings, push))  # with tag and title
            form = f"general-glo {suite} {int(security):02x}"
            print(json.dumps({"form": form, "suite": suite, "control": suite | int(security), "apdu": apdu.hex()}))


main()
