"""Mechanism 7: what is signed, by whom, and what has to be refused. The message is that of a published signature."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.enums import AuthenticationMechanism
from cosemic.errors import AuthenticationError, KeyMissing, LocalProtocolError, SecurityError
from cosemic.security.context import AssociationSecurity, SecurityContext
from cosemic.security.counters import MemoryCounters
from cosemic.security.ec import SoftwareKey, verify
from cosemic.security.hls import HlsExchange
from cosemic.tolerances import DEFAULT, STRICT
from tests.security.pair import CLIENT_TITLE, METER_TITLE

ECDSA = AuthenticationMechanism.HLS_ECDSA

# The signer "CTT00000" proves itself to "ABCDEFGH".
OWN, PEER = b"CTT00000", b"ABCDEFGH"
RECEIVED = bytes.fromhex("073b0f45272556735a0a6663635f6853")
SENT = bytes.fromhex("c7ede9ca4154e6dea172512fc1ccc8bac0b883067c45160daa12bf78dacd1838016f888f798bdd0d7826d0")
PRIVATE = "ce69efe1e68415ad5b9f4c8b2f3025cb1332ddbd881073309a53a526fd3d7dbd"
PUBLISHED = bytes.fromhex(
    "e23d572740fc5aa4d268ea020550d720a5ff67e5f76e60c25b60f58fc0659741"
    "c0bb42ac2925d68c1b4b429a6af09ebeb9f799d00cb31e5361c54310693fa198"
)


def side(suite: int, title: bytes, key: SoftwareKey, peer: bytes | None, **more: Any) -> AssociationSecurity:
    context = SecurityContext(suite, title, counters=MemoryCounters(), signing_key=key, peer_signing_key=peer, **more)
    return AssociationSecurity(context, role="client" if title == CLIENT_TITLE else "server")


def pair(suite: int, **more: Any) -> tuple[HlsExchange, HlsExchange]:
    one, other = SoftwareKey.generate(suite), SoftwareKey.generate(suite)
    client = side(suite, CLIENT_TITLE, one, other.public, peer_system_title=METER_TITLE)
    meter = side(suite, METER_TITLE, other, one.public, peer_system_title=CLIENT_TITLE)
    exchanges = (
        HlsExchange(ECDSA, role="client", security=client, **more),
        HlsExchange(ECDSA, role="server", security=meter, **more),
    )
    exchanges[0].peer_challenge = exchanges[1].own_challenge
    exchanges[1].peer_challenge = exchanges[0].own_challenge
    return exchanges


def test_the_published_signature_is_what_the_signer_would_send() -> None:
    """Its challenge of 16 octets is shorter than the standard's 32: a client only warns of that."""
    key = SoftwareKey(1, PRIVATE)
    context = SecurityContext(1, OWN, signing_key=key, peer_signing_key=key.public, peer_system_title=PEER)
    signer = HlsExchange(
        ECDSA,
        role="client",
        security=AssociationSecurity(context, role="client"),
        challenge_length=len(SENT),
        random=lambda count: SENT,
    )
    signer.peer_challenge = RECEIVED
    verify(1, key.public, OWN + PEER + RECEIVED + SENT, PUBLISHED)
    verify(1, key.public, OWN + PEER + RECEIVED + SENT, signer.reply())


def test_the_published_signature_proves_its_signer() -> None:
    key = SoftwareKey(1, PRIVATE)
    context = SecurityContext(
        1, PEER, signing_key=SoftwareKey.generate(1), peer_signing_key=key.public, peer_system_title=OWN
    )
    verifier = HlsExchange(ECDSA, role="server", security=AssociationSecurity(context, role="server"))
    verifier.own_challenge = RECEIVED
    verifier.peer_challenge = SENT
    verifier.verify(PUBLISHED)
    assert verifier.verified


@pytest.mark.parametrize("suite", [1, 2])
def test_both_sides_prove_themselves(suite: int) -> None:
    client, meter = pair(suite)
    proof = client.reply()
    assert len(proof) == (64 if suite == 1 else 96)
    with pytest.raises(LocalProtocolError):
        meter.reply()
    meter.verify(proof)
    client.verify(meter.reply())
    assert client.verified
    assert meter.verified


@pytest.mark.parametrize("suite", [1, 2])
def test_nothing_but_the_proof_proves(suite: int) -> None:
    proof = pair(suite)[0].reply()  # of another run
    wrong = [b"", bytes(len(proof)), proof, proof[:-1], proof + b"\0"]
    for octets in wrong:
        _, meter = pair(suite)
        with pytest.raises(AuthenticationError):
            meter.verify(octets)
        with pytest.raises(AuthenticationError, match="already"):
            meter.verify(octets)
        with pytest.raises(LocalProtocolError):
            meter.reply()


@pytest.mark.parametrize("suite", [1, 2])
def test_a_proof_of_the_client_is_none_of_the_meter(suite: int) -> None:
    client, meter = pair(suite)
    proof = client.reply()
    meter.verify(proof)
    with pytest.raises(AuthenticationError):
        client.verify(proof)


@pytest.mark.parametrize("length, sent", [(16, 32), (32, 32), (48, 48), (64, 64)])
def test_challenges_have_32_to_64_octets(length: int, sent: int) -> None:
    client, meter = pair(1, challenge_length=length)
    assert len(client.own_challenge) == sent
    for wrong in (7, 65):
        with pytest.raises(AuthenticationError, match="32 to 64"):
            meter.peer_challenge = bytes(wrong)
    with pytest.raises(AuthenticationError, match="sent our own"):
        client.peer_challenge = client.own_challenge


@pytest.mark.parametrize("strict", [True, False])
def test_a_shorter_challenge_is_tolerated_by_name(strict: bool, caplog: pytest.LogCaptureFixture) -> None:
    key = SoftwareKey.generate(1)
    context = SecurityContext(1, METER_TITLE, signing_key=key, peer_signing_key=key.public)
    security = AssociationSecurity(context, role="server", tolerances=STRICT if strict else DEFAULT)
    meter = HlsExchange(ECDSA, role="server", security=security)
    caplog.set_level("INFO", "cosemic.tolerance")
    if strict:
        with pytest.raises(AuthenticationError, match="16 octets"):
            meter.peer_challenge = bytes(16)
    else:
        meter.peer_challenge = bytes(16)
        assert "ECDSA_CHALLENGE_LENGTH" in caplog.text


def test_keys_that_are_missing() -> None:
    key = SoftwareKey.generate(1)
    with pytest.raises(KeyMissing, match="signing_key"):
        HlsExchange(ECDSA, role="client")
    with pytest.raises(KeyMissing, match="peer_signing_key"):
        HlsExchange(ECDSA, role="client", security=side(1, CLIENT_TITLE, key, None))
    exchange = HlsExchange(ECDSA, role="client", security=side(1, CLIENT_TITLE, key, key.public))
    exchange.peer_challenge = bytes(32)
    with pytest.raises(KeyMissing, match="titles"):
        exchange.reply()


def test_a_trusted_certificate_brings_the_key() -> None:
    one, other = SoftwareKey.generate(1), SoftwareKey.generate(1)
    asked: list[tuple[bytes, bytes]] = []

    def trust(certificate: bytes, title: bytes) -> bytes:
        asked.append((certificate, title))
        if certificate != b"certificate":
            raise SecurityError("not issued by anybody we know")
        return other.public

    client = side(1, CLIENT_TITLE, one, None, trust=trust, peer_system_title=METER_TITLE)
    with pytest.raises(KeyMissing, match="certificate"):
        _ = client.peer_signing_key
    with pytest.raises(SecurityError, match="anybody"):
        client.take_certificate(b"forged")
    client.take_certificate(b"certificate")
    assert client.peer_signing_key == other.public
    assert asked == [(b"forged", METER_TITLE), (b"certificate", METER_TITLE)]


def test_a_configured_key_is_not_replaced_by_a_certificate() -> None:
    key = SoftwareKey.generate(1)
    client = side(1, CLIENT_TITLE, key, key.public, trust=lambda certificate, title: bytes(64))
    client.take_certificate(b"certificate")
    assert client.peer_signing_key == key.public


def test_keys_of_another_suite_are_refused() -> None:
    with pytest.raises(ValueError, match="suite 2"):
        SecurityContext(1, CLIENT_TITLE, signing_key=SoftwareKey.generate(2))
    with pytest.raises(ValueError, match="64 octets"):
        SecurityContext(1, CLIENT_TITLE, peer_signing_key=SoftwareKey.generate(2).public)
    with pytest.raises(ValueError, match="no elliptic curve"):
        SecurityContext(0, CLIENT_TITLE, peer_agreement_key=SoftwareKey.generate(1).public)
