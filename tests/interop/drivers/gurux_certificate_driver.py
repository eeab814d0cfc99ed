"""gurux-dlms looks at a certificate request and checks its signature. One JSON object in, one out."""

import json
import sys

from gurux_dlms.asn.GXPkcs10 import GXPkcs10


def main():
    order = json.load(sys.stdin)
    request = GXPkcs10.fromHexString(order["request"])
    print(json.dumps({"subject": request.subject, "public": bytes(request.publicKey.rawValue)[-64:].hex()}))


if __name__ == "__main__":
    main()
