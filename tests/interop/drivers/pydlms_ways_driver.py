"""pydlms-client over an M-Bus or an optical port; arguments: serve, read or optical, and a JSON object."""

import json
import sys
import threading

from pydlms import DlmsClient, Mechanism
from pydlms.simulator import example_meter, serve_mbus

if sys.argv[1] == "serve":
    options = json.loads(sys.argv[2])
    server = serve_mbus(example_meter(), port=0, address=5, **options)
    print(server.server_address[1], flush=True)
    threading.Event().wait()
else:
    config = json.loads(sys.argv[2])
    settings = {"client_sap": config["client"], "server_logical": 1, "mechanism": Mechanism.NONE}
    if config.get("password"):
        settings |= {"mechanism": Mechanism.LLS, "password": config["password"].encode()}
    if sys.argv[1] == "optical":
        client = DlmsClient.optical(config["device"], **settings).connect()
    else:
        place = f"tcp://127.0.0.1:{config['port']}"
        client = DlmsClient.mbus(place, primary_address=config["address"], **settings).connect()
    value = client.get("1.0.1.8.0.255", 3, 2)
    objects = client.get_association_view()
    print(json.dumps({"value": getattr(value, "value", value), "objects": len(objects)}), flush=True)
    client.close()
