"""Every service, under every protection, over both links: client session against server session."""

from __future__ import annotations

import pytest

from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import ActionResult, AuthenticationMechanism, DataAccessResult
from cosemic.protocol.events import Associated, AssociationClosed, AssociationOpened, Released
from cosemic.security.context import SecurityPolicy
from tests.pair.support import (
    CLIENT_TITLE,
    ECHO,
    ENERGY,
    METER_TITLE,
    PROFILE,
    ROWS,
    Pair,
    action,
    client_settings,
    get,
    octets,
    security,
    server_settings,
    set_,
)

MECHANISMS = [m for m in AuthenticationMechanism if m is not AuthenticationMechanism.HLS_ECDSA]
PROTECTIONS = [
    pytest.param(policy, ded, general, id=f"{policy}-{'ded' if ded else 'glo'}{'-general' if general else ''}")
    for policy in ("none", "authenticated", "encrypted", "authenticated-encrypted")
    for ded in (False, True)
    for general in (False, True)
]


def exercise(pair: Pair) -> None:
    """GET, SET and ACTION, single, in lists and in blocks."""
    assert isinstance(pair.connect(), Associated)
    assert [type(event) for event in pair.server_events] == [AssociationOpened]
    assert pair.do(get((3, ENERGY, 2))).results == (Data.of(axdr.double_long_unsigned(12345)),)
    results = pair.do(get((3, ENERGY, 2), (3, ENERGY, 9), (3, ENERGY, 3))).results
    assert results[0].value == 12345
    assert results[1] == DataAccessResult.OBJECT_UNDEFINED
    assert results[2].value == (0, 30)
    assert pair.do(get((7, PROFILE, 2))).results == (Data.of(ROWS),)
    results = pair.do(get((7, PROFILE, 2), (3, ENERGY, 2), (7, PROFILE, 2))).results
    assert results == (Data.of(ROWS), Data.of(axdr.double_long_unsigned(12345)), Data.of(ROWS))
    assert pair.do(set_((3, ENERGY, 2, axdr.double_long_unsigned(5)))).results == (0,)
    assert pair.application.attributes[3, ENERGY, 2].value == 5
    long = axdr.octet_string(bytes(range(256)) * 8)
    assert pair.do(set_((1, ECHO, 2, long))).results == (0,)
    assert pair.application.attributes[1, ECHO, 2] == Data.of(long)
    results = pair.do(set_((1, ECHO, 2, axdr.unsigned(1)), (3, ENERGY, 7, axdr.unsigned(2)))).results
    assert results == (0, DataAccessResult.READ_WRITE_DENIED)
    results = pair.do(set_((1, ECHO, 2, long), (3, ENERGY, 7, long), (3, ENERGY, 2, axdr.unsigned(9)))).results
    assert results == (0, DataAccessResult.READ_WRITE_DENIED, 0)
    assert pair.application.attributes[3, ENERGY, 2].value == 9
    (outcome,) = pair.do(action((1, ECHO, 1, axdr.unsigned(3)))).results
    assert (outcome.result, outcome.return_parameters.value) == (0, 3)
    (outcome,) = pair.do(action((1, ECHO, 1, None))).results
    assert (outcome.result, outcome.return_parameters) == (0, None)
    (outcome,) = pair.do(action((1, ECHO, 1, long))).results
    assert (outcome.result, outcome.return_parameters) == (0, Data.of(long))
    first, second = pair.do(action((1, ECHO, 1, axdr.unsigned(3)), (8, ENERGY, 1, axdr.unsigned(3)))).results
    assert (first.result, first.return_parameters.value) == (0, 3)
    assert second.result == ActionResult.OBJECT_UNDEFINED
    first, second = pair.do(action((1, ECHO, 1, long), (1, ECHO, 1, axdr.unsigned(1)))).results
    assert first.return_parameters == Data.of(long)
    assert second.return_parameters.value == 1
    assert isinstance(pair.release(), Released)
    assert isinstance(pair.server_events[-1], AssociationClosed)


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_mechanism_without_ciphering(mechanism: AuthenticationMechanism, kind: str) -> None:
    context = [security(title, "none") if mechanism in (5, 6) else None for title in (CLIENT_TITLE, METER_TITLE)]
    pair = Pair(
        client_settings(mechanism, context[0], max_pdu_size=200),
        server_settings(mechanism, context[1], max_pdu_size=210),
        kind,
    )
    exercise(pair)
    assert {event.protection for event in pair.application.requests} == {SecurityPolicy.NONE}


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
@pytest.mark.parametrize(("policy", "dedicated", "general"), PROTECTIONS)
@pytest.mark.parametrize("mechanism", [AuthenticationMechanism.LLS, AuthenticationMechanism.HLS_GMAC])
def test_every_protection(mechanism, policy: str, dedicated: bool, general: bool, kind: str) -> None:
    pair = Pair(
        client_settings(
            mechanism,
            security(CLIENT_TITLE, policy, dedicated_key=dedicated, general=general),
            max_pdu_size=256,
        ),
        server_settings(mechanism, security(METER_TITLE, policy), max_pdu_size=240),
        kind,
    )
    seen = []
    pair.client.trace = lambda layer, direction, octets: seen.append((layer, direction, octets))
    exercise(pair)
    assert {event.protection for event in pair.application.requests} == {SecurityPolicy.parse(policy)}
    assert any(layer == "apdu" for layer, _, _ in seen)


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
def test_octet_by_octet(kind: str) -> None:
    pair = Pair(
        client_settings(AuthenticationMechanism.HLS_GMAC, security(CLIENT_TITLE), max_pdu_size=256),
        server_settings(AuthenticationMechanism.HLS_GMAC, security(METER_TITLE), max_pdu_size=240),
        kind,
        cut=octets,
    )
    exercise(pair)


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
@pytest.mark.parametrize("at", range(1, 60))
def test_split_at_every_place(kind: str, at: int) -> None:
    pair = Pair(
        client_settings(AuthenticationMechanism.LLS),
        server_settings(AuthenticationMechanism.LLS),
        kind,
        cut=lambda data: [part for part in (data[:at], data[at:]) if part],
    )
    assert isinstance(pair.connect(), Associated)
    assert pair.do(get((3, ENERGY, 2))).results[0].value == 12345
    assert isinstance(pair.release(), Released)


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
def test_a_second_association_on_the_same_session(kind: str) -> None:
    pair = Pair(
        client_settings(AuthenticationMechanism.HLS_GMAC, security(CLIENT_TITLE)),
        server_settings(AuthenticationMechanism.HLS_GMAC, security(METER_TITLE)),
        kind,
    )
    for _ in range(3):
        pair.server.start(pair.now)
        assert isinstance(pair.connect(), Associated)
        assert pair.do(get((3, ENERGY, 2))).results[0].value == 12345
        assert isinstance(pair.release(), Released)
