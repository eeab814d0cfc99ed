"""Drives pydlms-client with suites 1 and 2: ECDSA, key agreement, signing; see the package's docstring."""

import json
import sys

from cryptography.hazmat.primitives.asymmetric import ec
from pydlms import DlmsClient, Mechanism, SecurityContext
from pydlms.security.general import KeyInfo
from pydlms_client_driver import step

CURVES = {1: ec.SECP256R1(), 2: ec.SECP384R1()}
KEYS = {
    "none": None,
    "identified": KeyInfo("identified", 0),
    "absent": KeyInfo("none"),
    "wrapped": KeyInfo("wrapped"),
    "one-pass": KeyInfo("agreed", scheme=1),
    "static-unified": KeyInfo("agreed", scheme=2),
}


def private(suite, octets):
    return ec.derive_private_key(int(octets, 16), CURVES[suite])


def public(suite, octets):
    return ec.EllipticCurvePublicKey.from_encoded_point(CURVES[suite], b"\x04" + bytes.fromhex(octets))


def context(config, own_title):
    suite = config["suite"]
    return SecurityContext(
        encryption_key=bytes.fromhex(config["ek"]),
        authentication_key=bytes.fromhex(config["ak"]),
        client_system_title=bytes.fromhex(own_title),
        invocation_counter=config.get("counter", 1),
        suite=suite,
        master_key=bytes.fromhex(config["kek"]),
        signing_key=private(suite, config["signing"]),
        key_agreement_key=private(suite, config["agreement"]),
        peer_signing_key=public(suite, config["peer_signing"]),
        peer_key_agreement_key=public(suite, config["peer_agreement"]),
        general_aad=config["aad"],
        signing_form=config["signing_form"],
    )


def connect(config):
    suite = config["suite"]
    security = context(config, config["system_title"])
    return DlmsClient.tcp(
        "127.0.0.1",
        config["port"],
        client_sap=config["client"],
        server_logical=1,
        hdlc=False,
        timeout=10.0,
        mechanism=Mechanism.HLS_ECDSA,
        signing_key=private(suite, config["signing"]),
        server_public_key=public(suite, config["peer_signing"]),
        client_system_title=bytes.fromhex(config["system_title"]),
        security=security if config["protection"] != "plain" else None,
        **(
            {"protection": config["protection"], "key_info": KEYS[config["key"]]}
            if config["protection"] != "plain"
            else {}
        ),
    ).connect()


def main():
    config = json.load(sys.stdin)
    try:
        client = connect(config)
    except Exception as error:  # the other library's errors are part of what is tested
        print(json.dumps({"error": f"connect: {type(error).__name__}: {error}"}), flush=True)
        return
    for item in config["ops"]:
        try:
            print(json.dumps({"value": step(client, item)}), flush=True)
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
    try:
        client.close()
        print(json.dumps({"value": "closed"}), flush=True)
    except Exception as error:
        print(json.dumps({"error": f"close: {type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
