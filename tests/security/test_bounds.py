"""The tables of counters grow with the peers that proved themselves, up to a limit, and never forget a counter."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.errors import AuthenticationError, ReplayError, SecurityError
from cosemic.protocol.ciphering import Envelope, seal, unseal
from cosemic.security import taken
from cosemic.security.context import AssociationSecurity, SecurityContext
from cosemic.security.suites import GeneralKey, SecurityPolicy
from tests.security.pair import APDU, CLIENT_TITLE, METER_TITLE, context

KEK = bytes(range(0x20, 0x30))
WRAPPED = Envelope(SecurityPolicy.AUTHENTICATED_ENCRYPTED, key=GeneralKey.WRAPPED)


@pytest.fixture
def most_peers(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(taken, "MOST_PEERS", 3)
    return 3


def title(number: int) -> bytes:
    return b"TST" + number.to_bytes(5)


def meter_of(shared: SecurityContext, received: dict[str, int], peer: bytes) -> AssociationSecurity:
    return AssociationSecurity(shared, role="server", peer_system_title=peer, received=received)


def client_of(number: int, **options: Any) -> AssociationSecurity:
    return AssociationSecurity(context(title(number), **options), role="client", peer_system_title=METER_TITLE)


def test_a_title_whose_tag_does_not_verify_takes_no_room() -> None:
    shared, received = context(METER_TITLE, kek=KEK), dict[str, int]()
    for number in range(20):
        wrong = client_of(number, encryption_key=bytes(range(0x70, 0x80)), kek=KEK)
        meter = meter_of(shared, received, title(number))
        for envelope in (Envelope(SecurityPolicy.AUTHENTICATED_ENCRYPTED), WRAPPED):
            message = seal(wrong, APDU, envelope)
            with pytest.raises(AuthenticationError):
                unseal(meter, message[:-1] + bytes([message[-1] ^ 1]))
        with pytest.raises(AuthenticationError):
            meter.verify_gmac(wrong.gmac(b"challenge"), b"challenge")
    assert received == {}
    assert shared.taken == shared.replays.last == shared.replays.taken == {}


def test_one_peer_too_many_is_refused_and_the_others_go_on(most_peers: int) -> None:
    shared, received = context(METER_TITLE), dict[str, int]()
    clients = [client_of(number) for number in range(most_peers + 1)]
    meters = [meter_of(shared, received, title(number)) for number in range(most_peers + 1)]
    recorded = [client.protect(APDU) for client in clients]
    for meter, message in zip(meters[:most_peers], recorded, strict=False):
        assert meter.open(message) == APDU
    before = dict(received)
    with pytest.raises(SecurityError, match="no room for another"):
        meters[most_peers].open(recorded[most_peers])
    with pytest.raises(SecurityError, match="no room for another"):
        meters[most_peers].verify_gmac(clients[most_peers].gmac(b"challenge"), b"challenge")
    assert received == before
    for number in range(most_peers):
        assert meters[number].open(clients[number].protect(APDU)) == APDU
        with pytest.raises(ReplayError):
            meter_of(shared, received, title(number)).open(recorded[number])


def test_the_same_for_keys_that_come_with_their_message(most_peers: int) -> None:
    shared, received = context(METER_TITLE, kek=KEK), dict[str, int]()
    messages = [seal(client_of(number, kek=KEK), APDU, WRAPPED) for number in range(most_peers + 1)]
    for number in range(most_peers):
        assert unseal(meter_of(shared, received, title(number)), messages[number])[0] == APDU
    with pytest.raises(SecurityError, match="no room for another"):
        unseal(meter_of(shared, received, title(most_peers)), messages[most_peers])
    assert len(shared.replays.last) == len(shared.replays.taken) == most_peers
    for number in range(most_peers):
        with pytest.raises(ReplayError):
            unseal(meter_of(shared, received, title(number)), messages[number])


def test_counters_one_by_one_give_way_to_the_highest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taken, "MOST_TAKEN", 2)
    shared, received = context(METER_TITLE), dict[str, int]()
    slow, quick = meter_of(shared, received, CLIENT_TITLE), meter_of(shared, received, CLIENT_TITLE)
    client = AssociationSecurity(context(CLIENT_TITLE), role="client", peer_system_title=METER_TITLE)
    messages = [client.protect(APDU) for _ in range(5)]
    assert quick.open(messages[2]) == APDU
    assert slow.open(messages[0]) == APDU, "the slow one's counters are below, and its own"
    with pytest.raises(ReplayError):
        slow.open(messages[2])
    for number in range(3):
        assert meter_of(shared, received, title(number)).open(client_of(number).protect(APDU)) == APDU
    assert len(shared.taken) == 2
    for message in messages[:3]:
        with pytest.raises(ReplayError):
            slow.open(message)
    assert quick.open(messages[3]) == APDU
    for message in messages[:4]:
        with pytest.raises(ReplayError):
            slow.open(message)
    assert slow.open(messages[4]) == APDU
    assert len(shared.taken) == 2
