"""pydlms-client transfers an image into a meter; one JSON argument: port, ek, ak, system_title, image (hex), name."""

import json
import sys

from pydlms import DlmsClient, Mechanism, SecurityContext
from pydlms.image import transfer_image

config = json.loads(sys.argv[1])
client = DlmsClient.tcp(
    "127.0.0.1",
    config["port"],
    client_sap=1,
    server_logical=1,
    hdlc=False,
    timeout=10.0,
    mechanism=Mechanism.HLS_GMAC,
    security=SecurityContext(
        encryption_key=bytes.fromhex(config["ek"]),
        authentication_key=bytes.fromhex(config["ak"]),
        client_system_title=bytes.fromhex(config["system_title"]),
        invocation_counter=1,
    ),
).connect()
result = transfer_image(client, bytes.fromhex(config["image"]), config["name"].encode(), **config.get("options", {}))
print(json.dumps({"result": repr(result)}))
client.close()
