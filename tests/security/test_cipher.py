"""What is made ahead, or kept, so that opening a message is quick: it is never used for another message."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cosemic.errors import AuthenticationError, ReplayError
from cosemic.security import cipher
from cosemic.security.cipher import CipherKey, DecryptorsAhead
from cosemic.security.context import AssociationSecurity
from cosemic.security.suites import LAST_COUNTER
from tests.security.pair import APDU, CLIENT_TITLE, METER_TITLE, context, pair

CONTROL = 0x30
NEW = bytes(range(0x40, 0x50))


def key_of(authentication_key: bytes = bytes(16)) -> CipherKey:
    return CipherKey(bytes(range(16)), authentication_key, "test")


def sealed(key: CipherKey, counter: int, title: bytes = METER_TITLE, control: int = CONTROL) -> bytes:
    return key.seal(control, title, counter, APDU + counter.to_bytes(4), key.associated(control))


def opened(key: CipherKey, content: bytes, ahead: DecryptorsAhead | None, title: bytes = METER_TITLE) -> bytes:
    return key.open(content[0], title, int.from_bytes(content[1:5]), content, ahead=ahead)


@pytest.fixture(params=[True, False], ids=["read-late", "read-early"])
def read_late(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also as with a library that reads the vector when the cipher is made."""
    monkeypatch.setattr(cipher, "_IS_READ_LATE", request.param)


@pytest.mark.usefixtures("read_late")
@pytest.mark.parametrize("length", [16, 32])
def test_messages_in_a_row_and_out_of_it(length: int) -> None:
    key, ahead = CipherKey(bytes(range(length)), bytes(length), "test"), DecryptorsAhead()
    row = [*range(1, 60), 200, 201, 199, 60, *range(61, 120), LAST_COUNTER - 1, LAST_COUNTER]
    for counter in row:
        assert opened(key, sealed(key, counter), ahead) == APDU + counter.to_bytes(4)


def test_they_are_made_for_a_sender_that_goes_on_and_never_too_many() -> None:
    key, ahead = key_of(), DecryptorsAhead()
    for counter in range(1, 8):
        opened(key, sealed(key, counter), ahead)
        assert not ahead.ready
    most = 0
    for counter in range(8, 100):
        opened(key, sealed(key, counter), ahead)
        most = max(most, len(ahead.ready))
    assert most == 7
    assert ahead.ready
    for counter in range(200, 240, 2):
        opened(key, sealed(key, counter), ahead)
        assert not ahead.ready
    ahead = DecryptorsAhead()
    for counter in range(LAST_COUNTER - 40, LAST_COUNTER + 1):
        opened(key, sealed(key, counter), ahead)
    assert not ahead.ready


@pytest.mark.parametrize("control", [0x10, 0x30])
def test_one_made_ahead_opens_no_other_message(control: int) -> None:
    key, ahead = key_of(), DecryptorsAhead()
    for counter in range(1, 40):
        assert opened(key, sealed(key, counter, control=control), ahead) == APDU + counter.to_bytes(4)
    following = sealed(key, 40, control=control)
    for place in (5, 9, len(following) - 1):
        with pytest.raises(AuthenticationError):
            opened(key, following[:place] + bytes([following[place] ^ 1]) + following[place + 1 :], ahead)
    with pytest.raises(AuthenticationError):
        opened(key_of(NEW), following, ahead)
    with pytest.raises(AuthenticationError):
        opened(key, following, ahead, CLIENT_TITLE)
    with pytest.raises(AuthenticationError):
        key.open(control, METER_TITLE, 40, following, b"header", ahead)
    assert opened(key, following, ahead) == APDU + (40).to_bytes(4)
    assert opened(key, sealed(key, 41, CLIENT_TITLE), ahead, CLIENT_TITLE) == APDU + (41).to_bytes(4)


def test_other_keys_and_dedicated_ones_have_their_own() -> None:
    ours = context(CLIENT_TITLE)
    client = AssociationSecurity(ours, role="client", peer_system_title=METER_TITLE, dedicated_key=NEW)
    theirs = context(METER_TITLE)
    meter = AssociationSecurity(theirs, role="server", peer_system_title=CLIENT_TITLE, dedicated_key=NEW)
    for _ in range(30):
        for dedicated in (False, True):
            assert client.open(meter.protect(APDU, dedicated=dedicated), dedicated=dedicated) == APDU
    for shared in (ours, theirs):
        shared.offer_keys(encryption_key=bytes(range(0x60, 0x70)))
        shared.prove_other()
    for _ in range(30):
        for dedicated in (False, True):
            assert client.open(meter.protect(APDU, dedicated=dedicated), dedicated=dedicated) == APDU


def test_a_forged_message_in_between_changes_nothing() -> None:
    client, meter = pair()
    for number in range(60):
        message = meter.protect(APDU)
        if number % 7 == 0:
            with pytest.raises(AuthenticationError):
                client.open(message[:-1] + bytes([message[-1] ^ 1]))
        assert client.open(message) == APDU
        with pytest.raises(ReplayError):
            client.open(message)


@pytest.mark.usefixtures("read_late")
def test_threads_with_one_key_do_not_disturb_each_other() -> None:
    key = key_of()
    messages = [sealed(key, counter) for counter in range(400)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda message: opened(key, message, None), messages)) == [
            APDU + counter.to_bytes(4) for counter in range(400)
        ]
