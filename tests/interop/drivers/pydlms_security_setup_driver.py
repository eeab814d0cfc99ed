"""Drives the security setup of a meter with pydlms-client; see the package's docstring.

The steps go to the connection that is open; ``connect`` opens another one, with the keys that the last transfer or
agreement gave, or with those that the step names. A step that fails gives an ``error`` and the next one goes on.
"""

import json
import sys

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydlms import DlmsClient, DlmsData, Mechanism, SecurityContext
from pydlms.security import ec
from pydlms.security.certificates import CertificateSelector, load_certificate
from pydlms.security.keywrap import KeyId
from pydlms.security.suites import SecurityPolicy

NAMES = {0: "encryption_key", 1: "broadcast_key", 2: "authentication_key", 3: "master_key"}


def plain(value):
    if isinstance(value, DlmsData):
        value = value.value
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


class Driver:
    def __init__(self, config):
        self.config = config
        self.keys = {name: bytes.fromhex(key) for name, key in config["keys"].items()}
        self.counters = {}
        self.client = self.security = None
        self.signing = None
        if config.get("signing"):
            self.signing = load_pem_private_key(config["signing"].encode(), None)

    def connect(self, item):
        self.close()
        keys = dict(self.keys)
        keys.update({name: bytes.fromhex(key) for name, key in item.get("keys", {}).items()})
        key = keys["encryption_key"]
        more = {}
        if self.signing is not None:
            peer = ec.load_public_key(self.config["suite"], bytes.fromhex(item.get("peer", self.config["peer"])))
            more = {"signing_key": self.signing, "peer_signing_key": peer}
        self.security = SecurityContext(
            client_system_title=bytes.fromhex(self.config["system_title"]),
            suite=self.config["suite"],
            policy=SecurityPolicy[item.get("policy", "AUTHENTICATED_ENCRYPTED")],
            invocation_counter=self.counters.get(key, 1),
            **keys,
            **more,
        )
        self.client = DlmsClient.tcp(
            "127.0.0.1",
            self.config["port"],
            client_sap=1,
            server_logical=1,
            hdlc=self.config["framing"] == "hdlc",
            timeout=10.0,
            mechanism=Mechanism.HLS_GMAC,
            security=self.security,
        )
        try:
            self.client.connect()
        finally:
            self.note()
        return "connected"

    def note(self):
        if self.security is not None:
            self.counters[self.security.encryption_key] = self.security.invocation_counter

    def close(self):
        client, self.client = self.client, None
        if client is not None:
            try:
                client.close()
            finally:
                self.note()
        return "closed"

    def step(self, item):
        name, client = item["op"], self.client
        if name in ("connect", "close"):
            return getattr(self, name)(item) if name == "connect" else self.close()
        if name == "get":
            return plain(client.get(item["obis"], item["class"], item["attribute"]))
        if name == "transfer":
            keys = {KeyId(int(number)): bytes.fromhex(key) for number, key in item["keys"].items()}
            client.transfer_keys(keys)
            if item.get("use", True):
                self.keys.update({NAMES[int(number)]: key for number, key in keys.items()})
            return "taken"
        if name == "agree":
            keys = client.agree_keys(item["keys"])
            self.keys.update({NAMES[int(number)]: key for number, key in keys.items()})
            return {int(number): key.hex() for number, key in keys.items()}
        if name == "activate":
            client.security_activate(item["policy"], version=item["version"])
            return "activated"
        if name == "generate":
            client.generate_key_pair(item["type"])
            return "generated"
        if name == "request":
            request = client.certificate_request(item["type"])
            public = ec.public_key_bytes(request.public_key())
            return {"public": public.hex(), "subject": request.subject.rfc4514_string()}
        if name == "import":
            client.import_certificate(bytes.fromhex(item["certificate"]))
            return "imported"
        if name in ("export", "remove"):
            if "serial" in item:
                selector = CertificateSelector.by_serial_issuer(
                    bytes.fromhex(item["serial"]), bytes.fromhex(item["issuer"])
                )
            else:
                selector = CertificateSelector.by_entity_type(
                    item["entity"], item["type"], bytes.fromhex(item["title"])
                )
            if name == "remove":
                client.remove_certificate(selector)
                return "removed"
            found = client.export_certificate(selector)
            return {"title": found.system_title.hex(), "public": ec.public_key_bytes(found.public_key).hex()}
        if name == "load":
            found = load_certificate(bytes.fromhex(item["certificate"]), self.config["suite"])
            return found.system_title.hex()
        raise ValueError(name)


def main():
    config = json.load(sys.stdin)
    driver = Driver(config)
    for item in config["ops"]:
        try:
            print(json.dumps({"value": driver.step(item)}), flush=True)
        except Exception as error:  # the other library's errors are part of what is tested
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
    try:
        driver.close()
    except Exception as error:
        print(json.dumps({"error": f"close: {type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
