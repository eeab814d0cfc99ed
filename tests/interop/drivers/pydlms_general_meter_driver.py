"""Runs pydlms-client's simulator with suite 1 or 2, told by JSON in its argument; prints its port when it listens.

It takes ECDSA logins, general-ciphering with every key and signatures around it, and answers under the global key. So
it is another implementation of the receiving side of all that our client sends.
"""

import json
import sys
import threading

from pydlms import Mechanism
from pydlms.simulator import ClientProfile, example_meter, serve
from pydlms_general_client_driver import context, private, public


def main():
    config = json.loads(sys.argv[1])
    meter = example_meter(
        system_title=bytes.fromhex(config["system_title"]),
        encryption_key=bytes.fromhex(config["ek"])[:16],
        authentication_key=bytes.fromhex(config["ak"])[:16],
    )
    meter.encryption_key = bytes.fromhex(config["ek"])
    meter.authentication_key = bytes.fromhex(config["ak"])
    meter.security = context(config, config["system_title"])
    meter.signing_key = private(config["suite"], config["signing"])
    meter.clients[config["client"]] = ClientProfile(
        mechanism=Mechanism.HLS_ECDSA,
        ciphered=config.get("ciphered", True),
        client_public_key=public(config["suite"], config["peer_signing"]),
    )
    print(serve(meter).server_address[1], flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
