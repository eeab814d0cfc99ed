"""Runs pydlms-client's simulator with general block transfer, ACCESS and pushes; prints its port on the first line.

One argument, JSON: ``max_pdu``, ``window``, ``streaming``, ``drop`` (numbers of its blocks to lose), ``ignore``
(numbers of the client's blocks to lose), ``hdlc``, ``keys``, ``pushes`` ([apdu, protection, frame], each sent just
before the answer to a request of its own after the association is open).
"""

import json
import sys
import threading

from pydlms import Mechanism
from pydlms.apdu.tags import Tag
from pydlms.association import Conformance
from pydlms.simulator import ClientProfile, example_meter, serve

config = json.loads(sys.argv[1])
keys = {}
if config.get("keys"):
    keys = {
        "encryption_key": bytes.fromhex(config["keys"][0]),
        "authentication_key": bytes.fromhex(config["keys"][1]),
    }
conformance = (
    Conformance.default_ln()
    | Conformance.GENERAL_PROTECTION
    | Conformance.DATA_NOTIFICATION
    | Conformance.ACCESS
    | Conformance.GENERAL_BLOCK_TRANSFER
)
sim = example_meter(max_pdu=config.get("max_pdu", 1024), conformance=conformance, **keys)
sim.clients[16] = ClientProfile(ciphered=bool(keys))
if keys:
    sim.clients[1] = ClientProfile(Mechanism.HLS_GMAC, ciphered=True)
sim.gbt_window = config.get("window", 1)
sim.gbt_streaming = config.get("streaming", True)
sim.drop_gbt_blocks = set(config.get("drop", ()))
sim.drop_gbt_requests = set(config.get("ignore", ()))
pushes = list(config.get("pushes", ()))
handle_all = sim.handle_all
SERVICES = {Tag.GET_REQUEST, 0xC8, 0xD0, Tag.GENERAL_BLOCK_TRANSFER, 0xDB, 0xDC, 0xD9}


def handle(apdu, session):
    if pushes and session.associated and apdu[0] in SERVICES:
        octets, protection, frame = pushes.pop(0)
        sim.push_before_response(bytes.fromhex(octets), protection=protection, hdlc_frame=frame)
    return handle_all(apdu, session)


sim.handle_all = handle
server = serve(sim, hdlc=config.get("hdlc", False))
print(server.server_address[1], flush=True)
threading.Event().wait()
