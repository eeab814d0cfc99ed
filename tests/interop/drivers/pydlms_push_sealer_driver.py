"""Seals one push with pydlms-client in every form it has: JSON on stdin, one JSON object for each form."""

import json
import sys

from cryptography.hazmat.primitives.asymmetric import ec
from pydlms.security.ciphering import wrap_general_glo
from pydlms.security.context import SecurityContext, SecurityPolicy
from pydlms.security.general import KeyInfo, wrap_general_ciphering, wrap_general_signing

CURVES = {1: ec.SECP256R1(), 2: ec.SECP384R1()}
KEYS = {
    "identified": KeyInfo("identified", 0),
    "none": KeyInfo("none"),
    "wrapped": KeyInfo("wrapped"),
    "one-pass": KeyInfo("agreed", scheme=1),
    "static-unified": KeyInfo("agreed", scheme=2),
}


def main():
    config = json.load(sys.stdin)
    title, recipient, push = (bytes.fromhex(config[name]) for name in ("title", "recipient", "push"))
    counter = 0
    for suite, keys in ((int(suite), keys) for suite, keys in config["suites"].items()):
        more = {}
        if suite:
            private = ec.derive_private_key(int(config["private"], 16), CURVES[suite])
            peer = ec.EllipticCurvePublicKey.from_encoded_point(
                CURVES[suite], b"\x04" + bytes.fromhex(config["peer"][str(suite)])
            )
            more = {"signing_key": private, "key_agreement_key": private, "peer_key_agreement_key": peer}

        def context(policy, counter, suite=suite, keys=keys, more=more, **others):
            return SecurityContext(
                encryption_key=bytes.fromhex(keys["ek"]),
                authentication_key=bytes.fromhex(keys["ak"]),
                client_system_title=title,
                server_system_title=recipient,
                invocation_counter=counter,
                suite=suite,
                policy=SecurityPolicy(policy),
                master_key=bytes.fromhex(keys["kek"]),
                **more,
                **others,
            )

        for policy in (0x10, 0x20, 0x30):
            counter += 1
            print(
                json.dumps(
                    {
                        "form": f"general-glo {suite} {policy:02x}",
                        "suite": suite,
                        "control": suite | policy,
                        "apdu": wrap_general_glo(context(policy, counter), push).hex(),
                    }
                )
            )
        for aad in ("sc-ak", "with-header"):
            for name, info in KEYS.items():
                if not suite and name in ("one-pass", "static-unified"):
                    continue
                counter += 1
                try:
                    apdu = wrap_general_ciphering(
                        context(0x30, counter, general_aad=aad), push, recipient, info, bytes(range(8))
                    )
                except ValueError as error:
                    print(json.dumps({"error": f"{aad} {name}: {error}"}))
                    continue
                print(
                    json.dumps(
                        {
                            "form": f"general-ciphering {suite} {name} {aad}",
                            "suite": suite,
                            "aad": aad,
                            "control": suite | 0x30,
                            "apdu": apdu.hex(),
                        }
                    )
                )
        if suite:
            for form in ("content", "length-prefixed-content"):
                counter += 1
                apdu = wrap_general_signing(context(0x30, counter, signing_form=form), push, recipient, bytes(range(8)))
                print(
                    json.dumps(
                        {
                            "form": f"general-signing {suite} {form}",
                            "suite": suite,
                            "signing": form,
                            "control": 0,
                            "apdu": apdu.hex(),
                        }
                    )
                )


main()
