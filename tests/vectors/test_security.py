"""The shared security vectors: ciphered APDUs of suites 0, 1 and 2, and HLS replies."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.enums import AuthenticationMechanism
from cosemic.errors import AuthenticationError, DecodeError, SecurityError
from cosemic.security.cipher import CipherKey
from cosemic.security.context import AssociationSecurity, SecurityContext, SecurityPolicy, policy_of
from cosemic.security.counters import MemoryCounters, key_id
from cosemic.security.hls import HlsExchange, aes_ecb_mechanism2
from tests.vectors.collection import REASON, load

CASES = load("security")
pytestmark = pytest.mark.skipif(not CASES, reason=REASON)

OWN_TITLE = bytes.fromhex("434F534500000001")
ELSEWHERE = {"ecdsa", "ecdh", "kdf", "key-wrap", "general-ciphering", "general-signing"}
"""See test_asymmetric and test_general_protection."""


def of_kind(*kinds: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in CASES if case["kind"] in kinds]


def ciphered(*, negative: bool) -> list[Any]:
    return [
        pytest.param(case, id=case["name"])
        for case in CASES
        if case["kind"] == "ciphered-apdu" and ("error" in case["expected"]) == negative
    ]


def split(octets: bytes) -> tuple[bytes, bytes]:
    """(envelope before SC, SC || IC || payload) of a glo-, ded- or general-glo APDU."""
    at = 1
    if octets[0] in (0xDB, 0xDC):
        at += 1 + octets[1]
    at += 1 if octets[at] < 0x80 else 1 + (octets[at] & 0x7F)
    return octets[:at], octets[at:]


def key(case: dict[str, Any], name: str) -> bytes | None:
    text = case["keys"].get(name)
    return None if text is None else bytes.fromhex(text)


def receiver(case: dict[str, Any], suite: int) -> AssociationSecurity:
    context = SecurityContext(
        suite,
        OWN_TITLE,
        key(case, "encryption_key"),
        key(case, "authentication_key"),
        policy="none",
        counters=MemoryCounters(),
        broadcast_key=key(case, "broadcast_key"),
    )
    title = key(case, "system_title")
    return AssociationSecurity(
        context, role="client", peer_system_title=title, dedicated_key=key(case, "dedicated_key")
    )


def sender(case: dict[str, Any], suite: int, counter: int) -> AssociationSecurity:
    """The same keys on the other side, about to use that counter."""
    title = key(case, "system_title")
    assert title is not None
    store = MemoryCounters()
    keys = [key(case, name) for name in ("encryption_key", "broadcast_key", "dedicated_key")]
    for each in keys:
        if each is not None:
            store.advance(key_id(title, each), counter)
    context = SecurityContext(
        suite,
        title,
        keys[0],
        key(case, "authentication_key"),
        counters=store,
        broadcast_key=keys[1],
        dedicated_key=keys[2] or False,
    )
    return AssociationSecurity(context, role="client", peer_system_title=OWN_TITLE, dedicated_key=keys[2])


@pytest.mark.parametrize("case", ciphered(negative=False))
def test_opens_ciphered_apdu(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["bytes"])
    _, content = split(octets)
    dedicated = "dedicated_key" in case["keys"]
    security = receiver(case, content[0] & 0x0F)
    assert security.open(content, dedicated=dedicated).hex() == case["expected"]["plaintext"]
    header = case["expected"].get("header")
    if header is not None:
        assert content[0] == int(header["security_control"]["raw"], 16)
        proved = content[0] & 0x10  # a counter that no tag proves is not remembered
        assert security.last_received == (header["invocation_counter"] if proved else None)


@pytest.mark.parametrize("case", ciphered(negative=False))
def test_seals_the_same_octets(case: dict[str, Any]) -> None:
    _, content = split(bytes.fromhex(case["bytes"]))
    counter = int.from_bytes(content[1:5], "big")
    sealed = sender(case, content[0] & 0x0F, counter).protect(
        bytes.fromhex(case["expected"]["plaintext"]),
        dedicated="dedicated_key" in case["keys"],
        policy=policy_of(content),
        broadcast=bool(content[0] & 0x40),
    )
    assert sealed.hex() == content.hex()


def test_negative_counter_changed() -> None:
    case = next(case for case in CASES if case["name"] == "negative:counter-changed")
    with pytest.raises(AuthenticationError, match="tag does not verify"):
        receiver(case, 0).open(split(bytes.fromhex(case["bytes"]))[1])


def test_negative_security_control_downgraded() -> None:
    case = next(case for case in CASES if case["name"] == "negative:security-control-downgraded")
    security = receiver(case, 0)
    with pytest.raises(SecurityError, match="at least 'authenticated-encrypted'"):
        security.open(split(bytes.fromhex(case["bytes"]))[1], minimum=SecurityPolicy.AUTHENTICATED_ENCRYPTED)
    assert security.last_received is None


def test_negative_too_short_for_tag() -> None:
    case = next(case for case in CASES if case["name"] == "negative:too-short-for-tag")
    with pytest.raises(DecodeError, match="too short"):
        receiver(case, 0).open(split(bytes.fromhex(case["bytes"]))[1])


def test_every_negative_case_is_tested() -> None:
    tested = {"negative:counter-changed", "negative:security-control-downgraded", "negative:too-short-for-tag"}
    assert {parameter.id for parameter in ciphered(negative=True)} == tested


@pytest.mark.parametrize("case", of_kind("hls-gmac"))
def test_hls_gmac(case: dict[str, Any]) -> None:
    reply = bytes.fromhex(case["bytes"])
    challenge = bytes.fromhex(case["keys"]["challenge"])
    counter = int.from_bytes(reply[1:5], "big")
    suite = reply[0] & 0x0F
    assert sender(case, suite, counter).gmac(challenge).hex() == case["expected"]["f_challenge"]
    security = receiver(case, suite)
    security.verify_gmac(reply, challenge)
    assert security.last_received == counter
    for position in range(len(reply)):
        altered = reply[:position] + bytes([reply[position] ^ 1]) + reply[position + 1 :]
        with pytest.raises(AuthenticationError):
            receiver(case, suite).verify_gmac(altered, challenge)


@pytest.mark.parametrize("case", of_kind("hls-hash", "hls-mech2"))
def test_hls_hash_and_mechanism_2(case: dict[str, Any]) -> None:
    mechanism = next(
        mechanism
        for part, mechanism in {
            "md5": AuthenticationMechanism.HLS_MD5,
            "sha1": AuthenticationMechanism.HLS_SHA1,
            "sha256": AuthenticationMechanism.HLS_SHA256,
            "mechanism2": AuthenticationMechanism.HLS,
        }.items()
        if part in case["name"]
    )
    keys = {name: bytes.fromhex(text) for name, text in case["keys"].items()}
    received = keys.get("received") or keys["challenge"]
    sent = keys.get("sent", b"\x55" * 16)
    reply = bytes.fromhex(case["expected"]["f_challenge"])

    client = HlsExchange(
        mechanism,
        role="client",
        secret=keys["secret"],
        own_title=keys.get("own_title"),
        peer_title=keys.get("peer_title"),
        function=aes_ecb_mechanism2,
        random=lambda _: sent,
    )
    client.peer_challenge = received
    assert client.reply() == reply

    server = HlsExchange(
        mechanism,
        role="server",
        secret=keys["secret"],
        own_title=keys.get("peer_title"),
        peer_title=keys.get("own_title"),
        function=aes_ecb_mechanism2,
        random=lambda _: received,
    )
    server.peer_challenge = sent
    server.verify(reply)
    assert server.verified


def test_every_kind_is_tested_or_comes_later() -> None:
    assert {case["kind"] for case in CASES} == {"ciphered-apdu", "hls-gmac", "hls-hash", "hls-mech2"} | ELSEWHERE


SESSIONS = [case for case in load("sessions") if case["name"].startswith("gocosem:hls-gmac")]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in SESSIONS])
def test_recorded_hls_gmac_session(case: dict[str, Any]) -> None:
    """Real meters: every protected message of a session opens in turn, and both proofs hold."""
    expected = case["expected"]
    titles = {side: bytes.fromhex(expected[f"{side}_system_title"]) for side in ("client", "server")}
    keys = {name: bytes.fromhex(case["keys"][name]) for name in ("encryption_key", "authentication_key")}
    views = {}
    for side, other in (("client", "server"), ("server", "client")):
        context = SecurityContext(system_title=titles[other], policy="none", counters=MemoryCounters(), **keys)
        # views["client"] receives what the client sends, so it is the server's view, and the other way round.
        views[side] = AssociationSecurity(
            context, role="server" if side == "client" else "client", peer_system_title=titles[side]
        )
    challenges: dict[str, bytes] = {}
    opened = proofs = 0
    for step in expected["steps"]:
        decoded = step.get("decoded")
        if not decoded:
            continue
        view = views[step["from"]]
        apdu = decoded["apdu"]
        if "authentication_value" in apdu:
            challenges[step["from"]] = bytes.fromhex(apdu["authentication_value"])
        octets = bytes.fromhex(apdu.get("user_information_hex") or decoded["apdu_hex"])
        if octets[0] in (0x21, 0x28, 0xC8, 0xCB, 0xCC, 0xCF):
            assert view.open(split(octets)[1]).hex() == decoded["plaintext_hex"]
            opened += 1
        for proof, field, challenged in (("hls_pass3", "f_stoc", "server"), ("hls_pass4", "f_ctos", "client")):
            if proof in decoded:
                view.verify_gmac(bytes.fromhex(decoded[proof][field]), challenges[challenged])
                proofs += 1
    assert opened >= 2
    assert proofs == 2


def test_encryption_key_alone_cannot_check_a_tag() -> None:
    case = next(case for case in CASES if case["name"] == "green-book:glo-initiate-request-auth-enc")
    lone = CipherKey(bytes.fromhex(case["keys"]["encryption_key"]), None, "global unicast key")
    _, content = split(bytes.fromhex(case["bytes"]))
    with pytest.raises(SecurityError, match="authentication key"):
        lone.open(content[0], bytes.fromhex(case["keys"]["system_title"]), 19088743, content)
