"""Suites 1 and 2 between a client session and a server session: mechanism 7, general-ciphering, general-signing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosemic.enums import AuthenticationMechanism, Conformance
from cosemic.errors import AuthenticationError, SecurityError
from cosemic.protocol.events import Associated, Failed
from cosemic.protocol.settings import DEFAULT_CONFORMANCE
from cosemic.security.context import SecurityPolicy
from cosemic.security.suites import EphemeralSignature, GeneralAad, GeneralKey, SigningInput, SigningOrder
from tests.pair.keys import ECDSA, context, keys_of, settings
from tests.pair.support import ENERGY, Pair, get
from tests.pair.test_services import exercise

GMAC = AuthenticationMechanism.HLS_GMAC
GET = get((3, ENERGY, 2))


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("policy", ["none", "authenticated", "encrypted", "authenticated-encrypted"])
def test_logins_with_ecdsa(suite: int, policy: str, kind: str) -> None:
    pair = Pair(
        *settings(ECDSA, context(suite, "client", policy), context(suite, "meter", policy), max_pdu_size=300), kind
    )
    exercise(pair)
    assert {event.protection for event in pair.application.requests} == {SecurityPolicy.parse(policy)}


@pytest.mark.parametrize("policy", ["authenticated", "encrypted", "authenticated-encrypted"])
@pytest.mark.parametrize(
    "suite, key",
    [
        (0, GeneralKey.IDENTIFIED),
        (0, GeneralKey.WRAPPED),
        *((suite, key) for suite in (1, 2) for key in GeneralKey),
    ],
)
def test_general_ciphering_with_every_key(suite: int, key: GeneralKey, policy: str) -> None:
    client = context(suite, "client", policy, general=key)
    pair = Pair(*settings(GMAC, client, context(suite, "meter", policy), max_pdu_size=600))
    exercise(pair)
    assert {event.protection for event in pair.application.requests} == {SecurityPolicy.parse(policy)}


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("order", list(SigningOrder))
@pytest.mark.parametrize("general", [False, True, *GeneralKey])
@pytest.mark.parametrize("policy", ["signed", "authenticated-encrypted-signed"])
def test_signed_services(suite: int, order: SigningOrder, general: bool | GeneralKey, policy: str) -> None:
    client = context(suite, "client", policy, general=general, signing_order=order)
    meter = context(suite, "meter", policy, signing_order=order)
    pair = Pair(*settings(ECDSA, client, meter, max_pdu_size=1000))
    exercise(pair)
    assert {event.protection for event in pair.application.requests} == {SecurityPolicy.parse(policy)}


def test_dedicated_keys_under_signatures() -> None:
    client = context(1, "client", "authenticated-encrypted-signed", dedicated_key=True)
    pair = Pair(*settings(ECDSA, client, context(1, "meter", "authenticated-encrypted-signed"), max_pdu_size=400))
    exercise(pair)


READINGS = [
    {"general_aad": GeneralAad.WITHOUT_HEADER},
    {"signing_input": SigningInput.CONTENT},
    {"ephemeral_signature": EphemeralSignature.SCHEME_AND_POINT},
]


@pytest.mark.parametrize("other", READINGS, ids=lambda reading: next(iter(reading)))
@pytest.mark.parametrize("both", [True, False])
def test_both_sides_have_to_read_the_standard_alike(other: dict[str, object], both: bool) -> None:
    policy = "authenticated-encrypted-signed"
    client = context(1, "client", policy, general=GeneralKey.ONE_PASS, **other)
    meter = context(1, "meter", policy, **(other if both else {}))
    pair = Pair(*settings(ECDSA, client, meter))
    assert isinstance(pair.connect(), Associated)
    outcome = pair.do(GET)
    if both:
        assert outcome.results[0].value == 12345
    else:
        assert isinstance(outcome, Failed)
        assert pair.application.requests == []


def test_date_time_and_other_information_go_along() -> None:
    stamp = bytes.fromhex("07EA0B19030A000000003C00")
    policy = "authenticated-encrypted-signed"
    more = {"date_time": lambda: stamp, "other_information": b"meter reading"}
    client = context(1, "client", policy, general=GeneralKey.WRAPPED, **more)
    pair = Pair(*settings(ECDSA, client, context(1, "meter", policy, **more), max_pdu_size=500))
    exercise(pair)


def test_a_signed_answer_is_demanded() -> None:
    """The meter signs nothing by itself, and the client asks unsigned."""
    client = context(1, "client", "authenticated-encrypted", minimum_policy="authenticated-encrypted-signed")
    pair = Pair(*settings(ECDSA, client, context(1, "meter")))
    assert isinstance(pair.connect(), Associated)
    outcome = pair.do(GET)
    assert isinstance(outcome, Failed)
    assert outcome.fatal
    assert isinstance(outcome.error, SecurityError)
    assert "signed" in str(outcome.error)


def test_a_signed_request_is_demanded() -> None:
    meter = context(1, "meter", "authenticated-encrypted", minimum_policy="authenticated-encrypted-signed")
    pair = Pair(*settings(ECDSA, context(1, "client"), meter))
    assert isinstance(pair.connect(), Associated)
    outcome = pair.do(GET)
    assert isinstance(outcome, Failed)
    assert pair.application.requests == []


def test_a_signed_answer_comes_to_a_signed_request_and_to_any_where_the_meter_has_to_sign() -> None:
    signed = "authenticated-encrypted-signed"
    for client, meter in (
        (context(1, "client", signed), context(1, "meter", minimum_policy="none")),
        (context(1, "client", minimum_policy=signed), context(1, "meter", signed, minimum_policy="none")),
    ):
        pair = Pair(*settings(ECDSA, client, meter))
        assert isinstance(pair.connect(), Associated)
        assert pair.do(GET).results[0].value == 12345


@pytest.mark.parametrize("general", [False, GeneralKey.WRAPPED])
def test_a_stripped_conformance_bit_is_no_way_around_general_protection(general: bool | GeneralKey) -> None:
    policy = "authenticated-encrypted" if general else "authenticated-encrypted-signed"
    client, server = settings(
        ECDSA, context(1, "client", policy, general=general), context(1, "meter", minimum_policy="none")
    )
    pair = Pair(replace(client, conformance=DEFAULT_CONFORMANCE & ~Conformance.GENERAL_PROTECTION), server)
    outcome = pair.connect()
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, SecurityError)
    assert "general-protection" in str(outcome.error)
    assert pair.application.requests == []


@pytest.mark.parametrize("wrong", ["client", "meter"])
@pytest.mark.parametrize("suite", [1, 2])
def test_a_wrong_signing_key_lets_nobody_in(suite: int, wrong: str) -> None:
    stranger = keys_of(suite, "stranger", "signing")
    client = context(suite, "client", **({"signing_key": stranger} if wrong == "client" else {}))
    meter = context(suite, "meter", **({"signing_key": stranger} if wrong == "meter" else {}))
    pair = Pair(*settings(ECDSA, client, meter))
    outcome = pair.connect()
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, AuthenticationError)
    if wrong == "client":
        assert "signing key" in str(outcome.error)


def test_certificates_travel_in_the_aarq_and_the_aare() -> None:
    seen = []

    def trust(certificate: bytes, title: bytes) -> bytes:
        seen.append(certificate)
        side = certificate.decode()
        return keys_of(1, side, "signing").public

    client = context(1, "client", peer_signing_key=None, certificate=b"client", trust=trust)
    meter = context(1, "meter", peer_signing_key=None, certificate=b"meter", trust=trust)
    pair = Pair(*settings(ECDSA, client, meter))
    assert isinstance(pair.connect(), Associated)
    assert pair.do(GET).results[0].value == 12345
    assert seen == [b"client", b"meter"]


@pytest.mark.parametrize("side", ["client", "meter"])
def test_a_certificate_that_is_not_trusted_ends_the_association(side: str) -> None:
    def refuse(certificate: bytes, title: bytes) -> bytes:
        raise SecurityError("issued by a stranger")

    options: dict[str, dict[str, object]] = {name: {"certificate": name.encode()} for name in ("client", "meter")}
    options[side] |= {"trust": refuse, "peer_signing_key": None}
    pair = Pair(*settings(ECDSA, context(1, "client", **options["client"]), context(1, "meter", **options["meter"])))
    outcome = pair.connect()
    assert isinstance(outcome, Failed)
    assert "certificate" in str(outcome.error) or "stranger" in str(outcome.error)
    assert pair.application.requests == []
