"""Runs pydlms-client's simulator with its image transfer object; prints its port on the first line.

One argument, JSON: the options of its ImageTransferTarget. The image that it has received, empty while blocks are
missing, can be read from the data object 0-0:128.0.1*255.
"""

import json
import sys
import threading

from pydlms import DlmsData
from pydlms.simulator import ClientProfile, ImageTransferTarget, example_meter, serve

options = json.loads(sys.argv[1])
options["drop_blocks"] = {int(number): times for number, times in options.get("drop_blocks", {}).items()}
sim = example_meter(max_pdu=512)
sim.clients[16] = ClientProfile()
target = ImageTransferTarget(**options).install(sim)
sim.add_object(1, "0.0.128.0.1.255", {2: lambda: DlmsData.octet_string(target.image() or b"")})
server = serve(sim)
print(server.server_address[1], flush=True)
threading.Event().wait()
