"""Drives the security setup of a meter with gurux-dlms; see the package's docstring and the driver of its client.

Besides the steps of that driver: ``transfer`` (keys by id, wrapped with ``kek``), ``activate`` (a policy) and
``connect``, which opens another connection with other keys.
"""

import json
import os
import sys

import gurux_client_driver
from gurux_dlms.objects import GXDLMSSecuritySetup
from gurux_dlms.objects.enums import GlobalKeyType


class Session(gurux_client_driver.Session):
    def step(self, item):
        name = item["op"]
        setup = GXDLMSSecuritySetup("0.0.43.0.0.255")
        if name == "transfer":
            keys = [(GlobalKeyType(int(number)), bytes.fromhex(key)) for number, key in item["keys"].items()]
            kek = bytes.fromhex(item["kek"])
            for octets in setup.globalKeyTransfer(self.client, kek, keys):
                self.whole([octets])
            return "taken"
        if name == "activate":
            for octets in setup.activate(self.client, item["policy"]):
                self.whole([octets])
            return "activated"
        return super().step(item)


def main():
    config = json.load(sys.stdin)
    session = None
    for item in [{"op": "connect"}, *config["ops"]]:
        try:
            if item["op"] == "connect":
                if session is not None:
                    session.close()
                config.update(item.get("config", {}))
                session = Session(config)
                print(json.dumps({"value": "connected"}), flush=True)
            else:
                print(json.dumps({"value": session.step(item)}), flush=True)
        except Exception as error:  # the other library's errors are part of what is tested
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
    try:
        session.close()
    except Exception as error:
        print(json.dumps({"error": f"close: {type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
    os._exit(0)  # its receiving thread outlives a connection that failed
