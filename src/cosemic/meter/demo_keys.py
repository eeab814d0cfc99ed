"""The demo meter's associations of suites 1 and 2: HLS with ECDSA, general protection, and keys known to everybody.

====== ===== =============================================================================================
client suite may
====== ===== =============================================================================================
4      1     everything, as client 1: HLS with ECDSA, AES-128-GCM, signatures, key agreement
5      2     the same with P-384 and AES-256-GCM
====== ===== =============================================================================================

Private keys are counted octets: of the meter 01 02 03 … for signing and 41 42 43 … for key agreement, of the client
81 82 83 … and C1 C2 C3 …; they run on from FF at 00. Nothing of this is a secret: never use it in a real meter.
"""

from __future__ import annotations

from typing import Any

from cosemic.enums import ApplicationContext, AuthenticationMechanism
from cosemic.meter.model import MeterAssociation
from cosemic.meter.objects import Level
from cosemic.meter.security_setup import setup_name
from cosemic.protocol.settings import ServerSettings
from cosemic.security.context import SecurityContext
from cosemic.security.counters import CounterStore, MemoryCounters
from cosemic.security.suites import KEY_LENGTH

CLIENTS = {4: 1, 5: 2}
"""Client SAP to security suite."""

SYSTEM_TITLE = bytes.fromhex("434F530000000001")
_PRIVATE = {1: 32, 2: 48}
_FIRST = {
    ("meter", "signing"): 0x01,
    ("meter", "agreement"): 0x41,
    ("client", "signing"): 0x81,
    ("client", "agreement"): 0xC1,
}


def private_octets(suite: int, side: str, purpose: str) -> bytes:
    """The private key of ``meter`` or ``client`` for ``signing`` or ``agreement``."""
    first = _FIRST[side, purpose]
    return bytes((first + place) & 0xFF for place in range(_PRIVATE[suite]))


def symmetric_octets(suite: int, first: int) -> bytes:
    """Counted octets of a key of the suite: from 00 for encryption, D0 for authentication, 10 for the master key."""
    return bytes(first + place for place in range(KEY_LENGTH[suite]))


def security_context(suite: int, side: str, system_title: bytes, **options: Any) -> SecurityContext:
    """The security context of the demo meter or of a client of it; ``options`` are those of SecurityContext."""
    from cosemic.security.ec import SoftwareKey

    peer = "meter" if side == "client" else "client"
    own = {purpose: SoftwareKey(suite, private_octets(suite, side, purpose)) for purpose in ("signing", "agreement")}
    other = {purpose: SoftwareKey(suite, private_octets(suite, peer, purpose)) for purpose in ("signing", "agreement")}
    return SecurityContext(
        suite,
        system_title,
        symmetric_octets(suite, 0x00),
        symmetric_octets(suite, 0xD0),
        options.pop("policy", "authenticated-encrypted"),
        signing_key=own["signing"],
        agreement_key=own["agreement"],
        peer_signing_key=other["signing"].public,
        peer_agreement_key=other["agreement"].public,
        kek=symmetric_octets(suite, 0x10),
        **options,
    )


def associations(
    server_sap: int, max_pdu_size: int, counters: CounterStore | None, **options: Any
) -> list[MeterAssociation]:
    """The associations of clients 4 and 5."""
    made = []
    for number, (client_sap, suite) in enumerate(CLIENTS.items(), start=1):
        settings = ServerSettings(
            client_sap=client_sap,
            server_sap=server_sap,
            mechanism=AuthenticationMechanism.HLS_ECDSA,
            security=security_context(
                suite,
                "meter",
                SYSTEM_TITLE,
                counters=MemoryCounters() if counters is None else counters,
                minimum_policy="none",
                **options,
            ),
            max_pdu_size=max_pdu_size,
            application_contexts=frozenset({ApplicationContext.LOGICAL_NAME, ApplicationContext.LOGICAL_NAME_CIPHERED}),
        )
        setup = setup_name(number)
        made.append(MeterAssociation(settings, Level.MANAGER, client_sap, protected=True, security_setup=setup))
    return made
