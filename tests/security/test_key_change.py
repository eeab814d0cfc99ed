"""Two sets of keys during a change: what each is good for, and what ends it. No messages but sealed octets."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.errors import AuthenticationError, RemoteProtocolError, ReplayError, SecurityError
from cosemic.security.context import AssociationSecurity, SecurityContext
from cosemic.security.counters import MemoryCounters
from cosemic.security.suites import SecurityPolicy
from tests.security.pair import APDU, CLIENT_TITLE, KEYS, METER_TITLE, context

OLD = KEYS[0]
NEW = {"encryption_key": bytes(range(0x40, 0x50)), "authentication_key": bytes(range(0x50, 0x60))}
ENCRYPTED = SecurityPolicy.ENCRYPTED


def meter_of(shared: SecurityContext, received: dict[str, int] | None = None) -> AssociationSecurity:
    received = {} if received is None else received
    return AssociationSecurity(shared, role="server", peer_system_title=CLIENT_TITLE, received=received)


def client_with(keys: dict[str, bytes], **options: Any) -> AssociationSecurity:
    return AssociationSecurity(
        context(CLIENT_TITLE, **{**OLD, **keys, **options}), role="client", peer_system_title=METER_TITLE
    )


@pytest.mark.parametrize("names", [("encryption_key",), ("authentication_key",), tuple(NEW)])
def test_an_offered_key_takes_over_with_the_first_message_under_it(names) -> None:
    keys = {name: NEW[name] for name in names}
    shared = context(METER_TITLE)
    first, second = meter_of(shared), meter_of(shared)
    counters = MemoryCounters()  # one, for where only the authentication key is new they go on
    old, new = client_with({}, counters=counters), client_with(keys, counters=counters)
    shared.offer_keys(**keys)
    assert shared.is_changing_keys
    for meter in (first, second):
        assert meter.open(old.protect(APDU)) == APDU
    assert old.open(first.protect(APDU)) == APDU, "the meter goes on with the old keys"
    assert first.open(new.protect(APDU)) == APDU
    assert not shared.is_changing_keys
    assert new.open(first.protect(APDU)) == APDU
    for meter in (first, second):
        with pytest.raises(AuthenticationError):
            meter.open(old.protect(APDU))
        assert meter.open(new.protect(APDU)) == APDU


def test_what_is_no_proof_confirms_nothing() -> None:
    shared = context(METER_TITLE, minimum_policy="none")
    meter, new = meter_of(shared), client_with(NEW)
    shared.offer_keys(**NEW)
    sealed = new.protect(APDU)
    for place in (1, 4, 5, len(sealed) - 1):
        with pytest.raises(AuthenticationError):
            meter.open(sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :])
    with pytest.raises(AuthenticationError, match="proves nothing"):
        meter.open(new.protect(APDU, policy=ENCRYPTED))
    with pytest.raises(RemoteProtocolError):
        meter.open(new.protect(APDU), first=0xC1)

    def refuse(information: bytes) -> None:
        raise SecurityError("what is inside does not hold")

    with pytest.raises(SecurityError, match="does not hold"):
        meter.open(new.protect(APDU), inner=refuse)
    assert shared.is_changing_keys
    assert meter.open(client_with({}).protect(APDU)) == APDU


def test_an_offered_key_meets_the_policy() -> None:
    shared = context(METER_TITLE)
    meter, new = meter_of(shared), client_with(NEW)
    shared.offer_keys(**NEW)
    with pytest.raises(SecurityError, match="at least"):
        meter.open(new.protect(APDU, policy=SecurityPolicy.AUTHENTICATED))
    assert shared.is_changing_keys


def test_counters_belong_to_the_key() -> None:
    received: dict[str, int] = {}
    shared = context(METER_TITLE)
    old, new = client_with({}), client_with(NEW)
    meter = meter_of(shared, received)
    for _ in range(5):
        recorded = old.protect(APDU)
        meter.open(recorded)
    shared.offer_keys(**NEW)
    confirming = new.protect(APDU)
    meter.open(confirming)
    assert sorted(received.values()) == [1, 5]
    with pytest.raises(ReplayError):
        meter.open(confirming)
    shared.offer_keys(**OLD)
    with pytest.raises(ReplayError):
        meter.open(recorded)
    assert shared.is_changing_keys, "a recording proves that somebody had the key once, not that he has it"
    assert meter_of(shared, received).open(old.protect(APDU)) == APDU
    assert not shared.is_changing_keys


def test_a_client_understands_the_old_keys_until_the_meter_used_the_new_ones() -> None:
    ours = context(CLIENT_TITLE)
    client = AssociationSecurity(ours, role="client", peer_system_title=METER_TITLE)
    old = AssociationSecurity(context(METER_TITLE), role="server", peer_system_title=CLIENT_TITLE)
    new = AssociationSecurity(context(METER_TITLE, **NEW), role="server", peer_system_title=CLIENT_TITLE)
    assert client.open(old.protect(APDU)) == APDU
    ours.switch_keys(**NEW)
    assert new.open(client.protect(APDU)) == APDU
    recorded = old.protect(APDU)
    assert client.open(recorded) == APDU
    with pytest.raises(ReplayError):
        client.open(recorded)
    assert ours.is_changing_keys
    assert client.open(new.protect(APDU)) == APDU
    assert not ours.is_changing_keys
    with pytest.raises(AuthenticationError):
        client.open(old.protect(APDU))


def test_a_client_goes_back_without_using_a_counter_twice() -> None:
    ours = context(CLIENT_TITLE)
    client = AssociationSecurity(ours, role="client", peer_system_title=METER_TITLE)
    meter = meter_of(context(METER_TITLE))
    counters = [client.protect(APDU)[1:5]]
    ours.switch_keys(**NEW)
    client.protect(APDU)
    ours.keep_keys()
    for _ in range(3):
        sealed = client.protect(APDU)
        counters.append(sealed[1:5])
        assert meter.open(sealed) == APDU
    assert len(set(counters)) == 4
    assert not ours.is_changing_keys


def test_the_proof_of_hls_is_made_and_checked_with_the_keys_in_use() -> None:
    shared = context(METER_TITLE)
    meter, new = meter_of(shared), client_with(NEW)
    shared.offer_keys(**NEW)
    stranger = client_with({"encryption_key": bytes(range(0x70, 0x80))})
    with pytest.raises(AuthenticationError):
        meter.verify_gmac(stranger.gmac(b"challenge"), b"challenge")
    proof = new.gmac(b"challenge")
    with pytest.raises(AuthenticationError):
        meter.verify_gmac(proof, b"another one")
    assert shared.is_changing_keys
    meter.verify_gmac(proof, b"challenge")
    assert not shared.is_changing_keys
    new.verify_gmac(meter.gmac(b"answer"), b"answer")
    with pytest.raises(ReplayError):
        meter.verify_gmac(proof, b"challenge")


def test_a_stricter_policy_leaves_counters_as_they_are() -> None:
    shared = context(METER_TITLE, policy="none", minimum_policy="none")
    explicit = AssociationSecurity(shared, role="server", peer_system_title=CLIENT_TITLE, last_received=7)
    meter, client = meter_of(shared), client_with({})
    untagged = client.protect(APDU, policy=ENCRYPTED)
    assert meter.open(untagged) == APDU
    shared.strengthen(minimum=ENCRYPTED, policy=SecurityPolicy.AUTHENTICATED_ENCRYPTED)
    with pytest.raises(ReplayError):
        meter.open(untagged)
    with pytest.raises(SecurityError, match="at least"):
        meter.open(client.protect(APDU, policy=SecurityPolicy.AUTHENTICATED))
    assert meter.protect(APDU)[0] == 0x30
    with pytest.raises(ReplayError):
        explicit.open(client.protect(APDU))  # counter 3, below the 7 that it was told of
    assert explicit.last_received == 7


def test_bad_keys_change_nothing_and_are_not_shown() -> None:
    shared = context(METER_TITLE)
    meter, client = meter_of(shared), client_with({})
    for change in (shared.offer_keys, shared.switch_keys):
        for bad in ({"encryption_key": bytes(32)}, {"encryption_key": b""}, {"kek": bytes(16)}, {"other": bytes(16)}):
            with pytest.raises(ValueError, match=r"octets|name"):
                change(**bad)
            with pytest.raises(ValueError, match=r"octets|name"):
                change(**{**NEW, **bad})
    assert (shared.epoch, shared.is_changing_keys) == (0, False)
    assert meter.open(client.protect(APDU)) == APDU
    shared.offer_keys(**NEW)
    for secret in (*OLD.values(), *NEW.values()):
        assert secret.hex() not in repr(shared._keys).lower() + repr(shared).lower()


def test_the_keys_in_use_offered_again_are_no_change() -> None:
    shared = context(METER_TITLE)
    shared.offer_keys(**OLD)
    assert not shared.is_changing_keys
    shared.offer_keys(**NEW)
    shared.offer_keys(**OLD)
    assert not shared.is_changing_keys, "the offer was taken back"
    shared.offer_keys(broadcast_key=NEW["encryption_key"])
    assert not shared.is_changing_keys, "there was no broadcast key that somebody could still use"


def test_only_so_many_titles_are_remembered() -> None:
    shared = context(METER_TITLE)
    for number in range(3000):
        shared.hear(number.to_bytes(8, "big"))
    assert len(shared.heard) == 1024


def test_going_back_brings_the_old_broadcast_key_back() -> None:
    old, new = bytes(range(0x20, 0x30)), bytes(range(0x30, 0x40))
    for keys in ({"broadcast_key": new}, {"broadcast_key": new, **NEW}):
        ours = context(CLIENT_TITLE, broadcast_key=old)
        client = AssociationSecurity(ours, role="client", peer_system_title=METER_TITLE)
        meters = [meter_of(context(METER_TITLE, **{**OLD, "broadcast_key": key})) for key in (old, new)]
        first = client.protect(APDU, broadcast=True)
        assert meters[0].open(first) == APDU
        ours.switch_keys(**keys)
        assert ours.is_changing_keys
        client.protect(APDU, broadcast=True)
        ours.keep_keys()
        assert not ours.is_changing_keys
        again = client.protect(APDU, broadcast=True)
        assert meters[0].open(again) == APDU
        assert again[1:5] > first[1:5]
        with pytest.raises(AuthenticationError):
            meters[1].open(again)


def test_what_ended_well_is_not_gone_back_on() -> None:
    old, new = bytes(range(0x20, 0x30)), bytes(range(0x30, 0x40))
    ours = context(CLIENT_TITLE, broadcast_key=old)
    client = AssociationSecurity(ours, role="client", peer_system_title=METER_TITLE)
    ours.switch_keys(broadcast_key=new, **NEW)
    theirs = AssociationSecurity(context(METER_TITLE, **NEW), role="server", peer_system_title=CLIENT_TITLE)
    assert client.open(theirs.protect(APDU)) == APDU
    ours.keep_keys()
    meter = meter_of(context(METER_TITLE, **{**NEW, "broadcast_key": new}))
    assert meter.open(client.protect(APDU, broadcast=True)) == APDU


DEDICATED = bytes(range(0x90, 0xA0))


def test_a_dedicated_key_goes_with_the_authentication_key_in_use() -> None:
    """It is one for all keys; the first message under the new one, dedicated or not, confirms it."""
    ours, theirs = context(CLIENT_TITLE), context(METER_TITLE)
    client = AssociationSecurity(ours, role="client", peer_system_title=METER_TITLE, dedicated_key=DEDICATED)
    meter = AssociationSecurity(
        theirs, role="server", peer_system_title=CLIENT_TITLE, dedicated_key=DEDICATED, received={}
    )
    other = {"authentication_key": NEW["authentication_key"]}
    stranger = AssociationSecurity(
        context(CLIENT_TITLE, **other), role="client", peer_system_title=METER_TITLE, dedicated_key=DEDICATED
    )
    old = AssociationSecurity(
        context(METER_TITLE), role="server", peer_system_title=CLIENT_TITLE, dedicated_key=DEDICATED
    )
    counters = []

    def exchange() -> None:
        for sender, receiver in ((client, meter), (meter, client)):
            sealed = sender.protect(APDU, dedicated=True)
            counters.append((sender, sealed[1:5]))
            assert receiver.open(sealed, dedicated=True) == APDU
            with pytest.raises(ReplayError):
                receiver.open(sealed, dedicated=True)

    exchange()
    with pytest.raises(AuthenticationError):
        meter.open(stranger.protect(APDU, dedicated=True), dedicated=True)
    theirs.offer_keys(**other)
    exchange()
    assert theirs.is_changing_keys
    ours.switch_keys(**other)
    late = [old.protect(APDU, dedicated=True) for _ in range(3)][-1]
    assert client.open(late, dedicated=True) == APDU, "the meter has not heard of it yet"
    sealed = client.protect(APDU, dedicated=True)
    counters.append((client, sealed[1:5]))
    forged = sealed[:-1] + bytes([sealed[-1] ^ 1])
    with pytest.raises(AuthenticationError):
        meter.open(forged, dedicated=True)
    assert theirs.is_changing_keys
    assert meter.open(sealed, dedicated=True) == APDU
    assert not theirs.is_changing_keys
    with pytest.raises(ReplayError):
        meter.open(sealed, dedicated=True)
    for _ in range(2):
        counters.append((meter, meter.protect(APDU, dedicated=True)[1:5]))
    exchange()
    assert not ours.is_changing_keys
    with pytest.raises(AuthenticationError):
        client.open(old.protect(APDU, dedicated=True), dedicated=True)
    assert len(set(counters)) == len(counters), "the same cipher key: no counter twice"


def test_a_dedicated_message_proves_the_authentication_key_only() -> None:
    ours, theirs = context(CLIENT_TITLE), context(METER_TITLE)
    client = AssociationSecurity(ours, role="client", peer_system_title=METER_TITLE, dedicated_key=DEDICATED)
    meter = AssociationSecurity(
        theirs, role="server", peer_system_title=CLIENT_TITLE, dedicated_key=DEDICATED, received={}
    )
    theirs.offer_keys(**NEW)
    ours.switch_keys(**NEW)
    assert meter.open(client.protect(APDU, dedicated=True), dedicated=True) == APDU
    assert client.open(meter.protect(APDU, dedicated=True), dedicated=True) == APDU
    assert theirs.is_changing_keys
    assert ours.is_changing_keys
    assert client.open(meter.protect(APDU)) == APDU, "still under the old encryption key"
    assert meter.open(client.protect(APDU)) == APDU
    assert client.open(meter.protect(APDU)) == APDU
    assert not theirs.is_changing_keys
    assert not ours.is_changing_keys
