"""The sliding window for counters of messages that overtake each other; without it, every counter has to rise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.errors import AuthenticationError, ReplayError
from cosemic.security.context import AssociationSecurity, SecurityContext
from cosemic.security.replay_window import LARGEST_WINDOW, ReplayWindow
from tests.security.pair import APDU, CLIENT_TITLE, METER_TITLE, context, pair


@given(st.integers(1, 70), st.lists(st.integers(0, 150) | st.integers(2**32 - 100, 2**32 - 1), max_size=120))
def test_it_says_what_a_set_would_say(size: int, counters: list[int]) -> None:
    window = ReplayWindow(size)
    accepted: set[int] = set()
    top = -1
    for counter in counters:
        expected = counter > top or (counter > top - size and counter not in accepted)
        assert window.allows(counter) is expected
        if expected:
            window.accept(counter)
            accepted.add(counter)
            top = max(top, counter)


def test_a_floor_hides_all_below_it() -> None:
    window = ReplayWindow(64)
    window.accept(100, floor=95)
    assert [counter for counter in range(30, 110) if window.allows(counter)] == [*range(96, 100), *range(101, 110)]


@pytest.mark.parametrize("size", [0, -1, LARGEST_WINDOW + 1])
def test_sizes(size: int) -> None:
    with pytest.raises(ValueError):
        ReplayWindow(size)
    if size:
        with pytest.raises(ValueError, match="replay_window"):
            SecurityContext(replay_window=size)


def messages(count: int, **options: object) -> tuple[list[bytes], AssociationSecurity]:
    client, meter = pair(**options)
    return [client.protect(APDU) for _ in range(count)], meter


def test_strict_increase_is_the_default() -> None:
    sent, meter = messages(3)
    meter.open(sent[1])
    for late in (sent[0], sent[1]):
        with pytest.raises(ReplayError):
            meter.open(late)
    assert meter.open(sent[2]) == APDU


def test_each_message_once_in_any_order_within_the_window() -> None:
    sent, meter = messages(200, replay_window=64)
    assert meter.open(sent[0]) == APDU
    for at in (5, 3, 4, 1, 2, 70, 10, 69, 7):
        assert meter.open(sent[at]) == APDU
        for known in (0, 5, at):
            with pytest.raises(ReplayError):
                meter.open(sent[known])
    assert meter.last_received == 71
    with pytest.raises(ReplayError, match="not above 71"):
        meter.open(sent[6])  # 64 below the highest: out of the window
    assert meter.open(sent[199]) == APDU
    for at in (198, 136):
        assert meter.open(sent[at]) == APDU
    for at in (135, 11, 198):
        with pytest.raises(ReplayError):
            meter.open(sent[at])


def test_what_came_before_the_first_message_stays_out() -> None:
    """It may be a recording of an earlier association; nobody here could know."""
    sent, meter = messages(10, replay_window=64)
    assert meter.open(sent[5]) == APDU
    for at in range(6):
        with pytest.raises(ReplayError):
            meter.open(sent[at])
    assert meter.open(sent[7]) == APDU
    assert meter.open(sent[6]) == APDU


def test_what_earlier_associations_accepted_stays_out() -> None:
    sent, _ = messages(20)
    own = context(METER_TITLE, replay_window=64)
    meter = AssociationSecurity(own, role="server", peer_system_title=CLIENT_TITLE, last_received=10)
    for at in (0, 8, 9):
        with pytest.raises(ReplayError):
            meter.open(sent[at])
    assert meter.open(sent[15]) == APDU
    for at in (9, 3):
        with pytest.raises(ReplayError):
            meter.open(sent[at])
    assert meter.open(sent[10]) == APDU
    assert meter.last_received == 16


def test_a_client_remembers_over_its_associations() -> None:
    own = context(CLIENT_TITLE, replay_window=64)
    meter = AssociationSecurity(context(METER_TITLE), role="server", peer_system_title=CLIENT_TITLE)
    sent = [meter.protect(APDU) for _ in range(10)]
    first = AssociationSecurity(own, role="client", peer_system_title=METER_TITLE)
    for at in (0, 6, 4):
        first.open(sent[at])
    second = AssociationSecurity(own, role="client", peer_system_title=METER_TITLE)
    for at in (5, 6, 4, 0):  # 5 never came, but a new association does not know that
        with pytest.raises(ReplayError):
            second.open(sent[at])
    assert second.open(sent[8]) == APDU
    assert second.open(sent[7]) == APDU


def test_the_tag_comes_before_the_window() -> None:
    sent, meter = messages(5, replay_window=64)
    meter.open(sent[0])
    meter.open(sent[4])
    forged = bytearray(sent[2])
    forged[-1] ^= 1
    for _ in range(2):
        with pytest.raises(AuthenticationError):
            meter.open(bytes(forged))
    assert meter.open(sent[2]) == APDU
    forged = bytearray(sent[3])
    forged[1:5] = b"\xff\xff\xff\xf0"
    with pytest.raises(AuthenticationError):
        meter.open(bytes(forged))
    assert meter.open(sent[3]) == APDU


def test_messages_without_a_tag_get_no_window() -> None:
    sent, meter = messages(5, replay_window=64, policy="encrypted")
    meter.open(sent[2])
    with pytest.raises(ReplayError):
        meter.open(sent[1])
    assert meter.open(sent[3]) == APDU


@pytest.mark.parametrize("dedicated", [False, True])
def test_every_key_has_a_window_of_its_own(dedicated: bool) -> None:
    client, meter = pair(replay_window=64)
    key = bytes(range(0x40, 0x50))
    client.set_dedicated_key(key)
    meter.set_dedicated_key(key)
    sent = [client.protect(APDU, dedicated=dedicated) for _ in range(5)]
    for at in (0, 4, 2):
        assert meter.open(sent[at], dedicated=dedicated) == APDU
    with pytest.raises(ReplayError):
        meter.open(sent[2], dedicated=dedicated)
    meter.set_dedicated_key(key[::-1])
    client.set_dedicated_key(key[::-1])
    fresh = [client.protect(APDU, dedicated=True) for _ in range(3)]
    for at in (0, 2, 1):
        assert meter.open(fresh[at], dedicated=True) == APDU


def test_a_gmac_reply_is_taken_once() -> None:
    client, meter = pair(replay_window=64)
    first = client.protect(APDU)
    proof = client.gmac(b"challenge of sixteen")
    carrier = client.protect(APDU)
    meter.open(first)
    meter.open(carrier)
    meter.verify_gmac(proof, b"challenge of sixteen")
    with pytest.raises(ReplayError):
        meter.verify_gmac(proof, b"challenge of sixteen")
    with pytest.raises(ReplayError):
        meter.open(carrier)
