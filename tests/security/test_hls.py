"""Challenge and reply, both roles, and the attacks on it."""

from __future__ import annotations

import itertools
import logging

import pytest

from cosemic.enums import AuthenticationMechanism
from cosemic.errors import AuthenticationError, KeyMissing, LocalProtocolError, ReplayError
from cosemic.security.context import AssociationSecurity
from cosemic.security.hls import HlsExchange, aes_ecb_mechanism2, challenge, verify_password
from cosemic.tolerances import Tolerance
from tests.security.pair import APDU, CLIENT_TITLE, METER_TITLE, context, pair

MECHANISMS = [
    AuthenticationMechanism.HLS,
    AuthenticationMechanism.HLS_MD5,
    AuthenticationMechanism.HLS_SHA1,
    AuthenticationMechanism.HLS_GMAC,
    AuthenticationMechanism.HLS_SHA256,
]


def exchange(
    mechanism: AuthenticationMechanism,
    security: tuple[AssociationSecurity, AssociationSecurity],
    secrets=(b"s3", b"s3"),
) -> tuple[HlsExchange, HlsExchange]:
    client, meter = (
        HlsExchange(mechanism, role=role, secret=secret, security=side, function=aes_ecb_mechanism2)  # type: ignore[arg-type]
        for role, secret, side in zip(("client", "server"), secrets, security, strict=True)
    )
    client.peer_challenge = meter.own_challenge
    meter.peer_challenge = client.own_challenge
    return client, meter


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_both_roles_prove_themselves(mechanism: AuthenticationMechanism) -> None:
    client, meter = exchange(mechanism, pair())
    meter.verify(client.reply())
    assert meter.verified
    client.verify(meter.reply())
    assert client.verified


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_server_answers_only_who_proved_the_secret(mechanism: AuthenticationMechanism) -> None:
    _, meter = exchange(mechanism, pair())
    with pytest.raises(LocalProtocolError):
        meter.reply()
    with pytest.raises(AuthenticationError):
        meter.verify(bytes(17))
    with pytest.raises(LocalProtocolError):
        meter.reply()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_one_attempt_only(mechanism: AuthenticationMechanism) -> None:
    client, meter = exchange(mechanism, pair())
    with pytest.raises(AuthenticationError):
        meter.verify(b"guess")
    with pytest.raises(AuthenticationError, match="already"):
        meter.verify(client.reply())
    assert not meter.verified


@pytest.mark.parametrize("mechanism", [m for m in MECHANISMS if m != AuthenticationMechanism.HLS_GMAC])
def test_wrong_secret(mechanism: AuthenticationMechanism) -> None:
    client, meter = exchange(mechanism, pair(), (b"right", b"wrong"))
    with pytest.raises(AuthenticationError) as caught:
        meter.verify(client.reply())
    assert "right" not in str(caught.value)


@pytest.mark.parametrize("name", ["encryption_key", "authentication_key"])
def test_gmac_with_a_wrong_key(name: str) -> None:
    meter_security = AssociationSecurity(
        context(METER_TITLE, **{name: b"\x42" * 16}), role="server", peer_system_title=CLIENT_TITLE
    )
    client, meter = exchange(AuthenticationMechanism.HLS_GMAC, (pair()[0], meter_security))
    with pytest.raises(AuthenticationError, match="tag"):
        meter.verify(client.reply())


def test_sha256_binds_the_titles() -> None:
    elsewhere = AssociationSecurity(context(METER_TITLE), role="server", peer_system_title=b"another!")
    client, meter = exchange(AuthenticationMechanism.HLS_SHA256, (pair()[0], elsewhere))
    with pytest.raises(AuthenticationError):
        meter.verify(client.reply())
    lone = HlsExchange(AuthenticationMechanism.HLS_SHA256, role="client", secret=b"s", own_title=CLIENT_TITLE)
    lone.peer_challenge = bytes(16)
    with pytest.raises(KeyMissing, match="titles"):
        lone.reply()


def test_reflection_is_refused() -> None:
    client, _ = exchange(AuthenticationMechanism.HLS_MD5, pair())
    with pytest.raises(AuthenticationError, match="our own challenge"):
        client.peer_challenge = client.own_challenge


def test_our_own_reply_sent_back_proves_nothing() -> None:
    for mechanism in MECHANISMS:
        client, _ = exchange(mechanism, pair())
        with pytest.raises(AuthenticationError):
            client.verify(client.reply())


@pytest.mark.parametrize("length", [0, 7, 65])
def test_challenge_length_of_the_peer(length: int, caplog: pytest.LogCaptureFixture) -> None:
    client, meter = exchange(AuthenticationMechanism.HLS_MD5, pair())
    with pytest.raises(AuthenticationError, match=f"challenge of {length} octets"):
        meter.peer_challenge = bytes(length)
    if length == 0:
        with pytest.raises(AuthenticationError):
            client.peer_challenge = b""
        return
    with caplog.at_level(logging.WARNING, "cosemic.security"):
        client.peer_challenge = bytes(length)
    assert f"challenge of {length} octets" in caplog.text


def test_challenges_are_random_and_bounded() -> None:
    assert len({challenge() for _ in range(100)}) == 100
    assert [len(challenge(length)) for length in (8, 16, 64)] == [8, 16, 64]
    for length in (7, 65):
        with pytest.raises(ValueError):
            challenge(length)
    assert challenge(8, random=lambda n: b"x" * n) == b"xxxxxxxx"


def test_no_reply_before_the_challenge() -> None:
    client = HlsExchange(AuthenticationMechanism.HLS_MD5, role="client", secret=b"s")
    for call in (client.reply, lambda: client.verify(b"")):
        with pytest.raises(LocalProtocolError, match="challenge"):
            call()


def test_means_that_are_missing() -> None:
    with pytest.raises(KeyMissing, match="security context"):
        HlsExchange(AuthenticationMechanism.HLS_GMAC, role="client")
    with pytest.raises(KeyMissing, match="secret"):
        HlsExchange(AuthenticationMechanism.HLS_SHA1, role="client")
    with pytest.raises(KeyMissing, match="hls_function"):
        HlsExchange(AuthenticationMechanism.HLS, role="client", secret=b"s")
    with pytest.raises(KeyMissing, match="ECDSA"):
        HlsExchange(AuthenticationMechanism.HLS_ECDSA, role="client", secret=b"s")
    for mechanism in (AuthenticationMechanism.NONE, AuthenticationMechanism.LLS):
        with pytest.raises(ValueError):
            HlsExchange(mechanism, role="client")
    with pytest.raises(ValueError, match="16 octets"):
        aes_ecb_mechanism2(bytes(17), bytes(16))


def test_passwords() -> None:
    verify_password(b"00000000", b"00000000")
    for received in (b"0000000", b"000000000", b"00000001", b""):
        with pytest.raises(AuthenticationError, match="wrong password") as caught:
            verify_password(b"00000000", received)
        assert "00000000" not in str(caught.value)
    with pytest.raises(AuthenticationError, match="no password"):
        verify_password(b"00000000", None)


def test_the_reply_is_older_than_the_message_around_it() -> None:
    client, meter = pair()
    hls_client, hls_meter = exchange(AuthenticationMechanism.HLS_GMAC, (client, meter))
    meter.open(client.protect(APDU))
    reply = hls_client.reply()
    meter.open(client.protect(APDU + reply))
    hls_meter.verify(reply)
    assert meter.last_received == 3
    answer = hls_meter.reply()
    assert client.open(meter.protect(APDU + answer)) == APDU + answer
    hls_client.verify(answer)


def test_counter_of_a_gmac_reply_must_be_new() -> None:
    client, meter = pair()
    challenges = [bytes([n]) * 16 for n in itertools.repeat(7, 2)]
    early = client.gmac(challenges[0])
    meter.open(client.protect(APDU))
    meter.open(client.protect(APDU))
    with pytest.raises(ReplayError) as caught:
        meter.verify_gmac(early, challenges[0])
    assert caught.value.received == 1
    assert caught.value.expected_above == 2
    late = client.gmac(challenges[0])
    meter.verify_gmac(late, challenges[0])
    with pytest.raises(ReplayError):
        meter.verify_gmac(late, challenges[1])


def test_gmac_reply_of_another_form() -> None:
    client, meter = pair()
    reply = client.gmac(bytes(16))
    for wrong in (b"", reply[:-1], reply + b"\0", b"\x30" + reply[1:], b"\x11" + reply[1:], b"\x50" + reply[1:]):
        with pytest.raises(AuthenticationError):
            meter.verify_gmac(wrong, bytes(16))
    assert meter.last_received is None
    meter.verify_gmac(reply, bytes(16))


def test_nothing_secret_in_the_repr() -> None:
    client, _ = exchange(AuthenticationMechanism.HLS_MD5, pair(), (b"hunter2", b"hunter2"))
    assert "hunter2" not in repr(client)
    assert client.own_challenge.hex() not in repr(client)


def test_a_gmac_reply_with_the_counter_of_the_message_around_it() -> None:
    """Meters do so: one counter for both, so one initialisation vector twice. Only the tolerance lets it pass."""
    _, meter = pair()
    twin = pair()[1]  # the same key and title, counting on its own
    content, reply = meter.protect(APDU), twin.gmac(bytes(16))
    strict = pair()[0]
    strict.open(content)
    with pytest.raises(ReplayError):
        strict.verify_gmac(reply, bytes(16))
    lenient = AssociationSecurity(
        context(CLIENT_TITLE),
        role="client",
        peer_system_title=METER_TITLE,
        tolerances={Tolerance.GMAC_COUNTER_SHARED},
    )
    lenient.open(content)
    lenient.verify_gmac(reply, bytes(16))


def test_a_gmac_reply_within_a_message_counts_once() -> None:
    client, meter = pair()
    reply = client.gmac(bytes(16))
    meter.open(client.protect(APDU))
    meter.verify_gmac(reply, bytes(16))
    with pytest.raises(ReplayError):
        meter.verify_gmac(reply, bytes(16))
