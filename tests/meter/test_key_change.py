"""New keys for the simulated meter: the old ones are valid until the new ones are proved, whatever gets lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cosemic.codec import axdr
from cosemic.codec.axdr import Typed
from cosemic.errors import (
    ActionError,
    DlmsError,
    ExceptionResponseError,
    LinkTimeout,
    SecurityError,
)
from cosemic.meter.demo import ENCRYPTION_KEY, MASTER_KEY, SCRATCH_NUMBER
from cosemic.protocol.events import Associated, Completed
from cosemic.security.context import SecurityContext
from cosemic.security.key_wrap import wrap_key
from tests.meter.bench import Bench, client_context, meter_context
from tests.meter.keys import (
    AUTHENTICATION,
    BROADCAST,
    MANAGER,
    MASTER,
    NEW,
    NEW_AUTHENTICATION,
    NEWER,
    SETUP,
    UNICAST,
    Plain,
    assert_is_refused,
    assert_works,
    counter,
    key_data,
)

# Keys


@pytest.mark.parametrize(
    "names",
    [(UNICAST,), (AUTHENTICATION,), (UNICAST, AUTHENTICATION), (UNICAST, BROADCAST, AUTHENTICATION)],
    ids=lambda names: "+".join(name.name.split("_")[-1].lower() for name in names),
)
def test_a_key_transfer_and_the_life_after_it(names, sealed) -> None:
    bench = Bench()
    old, context = client_context(), client_context()
    old_counters = context.counters
    keys = dict(zip(names, (NEW, NEW_AUTHENTICATION, NEWER), strict=False))
    with bench.manager(context) as client:
        client.transfer_keys(keys, MASTER_KEY)
        assert not context.is_changing_keys
        client.set(1, SCRATCH_NUMBER, 2, axdr.double_long_unsigned(0))
    # a broadcast key is proved by a broadcast only
    assert bench.meter.settings(*MANAGER).security.is_changing_keys is (BROADCAST in names)
    assert_works(bench, context)
    assert_is_refused(bench, client_context(counters=old_counters))
    if names == (AUTHENTICATION,):
        assert_works(bench, client_context(authentication_key=NEW, counters=old_counters))
    assert len(set(sealed)) == len(sealed)
    assert old.counters is not context.counters


def test_old_keys_are_valid_until_a_message_verifies_under_the_new_ones() -> None:
    bench = Bench()
    old, new = client_context(), client_context(encryption_key=NEW)
    with bench.manager(old) as client:
        client.action(64, SETUP, 2, key_data((0, wrap_key(MASTER_KEY, NEW))))
        for _ in range(3):
            assert client.get(1, SCRATCH_NUMBER, 2) == 0
        for _ in range(2):
            assert_works(bench, old)
        assert_is_refused(bench, client_context(encryption_key=NEWER))
        assert_works(bench, old)
        assert_works(bench, new)
        with pytest.raises(ExceptionResponseError, match="deciphering-error"):
            client.get(1, SCRATCH_NUMBER, 2)
    assert_is_refused(bench, old)
    assert_works(bench, new)


def test_the_proof_of_hls_confirms_a_key_as_well() -> None:
    bench = Bench()
    old = client_context()
    with bench.manager(old) as client:
        client.action(64, SETUP, 2, key_data((0, wrap_key(MASTER_KEY, NEW))))
    assert isinstance(Plain(bench, client_context(encryption_key=NEWER)).outcome().error, DlmsError)
    assert_works(bench, old)
    new = Plain(bench, client_context(encryption_key=NEW))
    assert isinstance(new.outcome(), Associated)
    assert isinstance(new.read(), Completed)
    assert_is_refused(bench, old)


def test_a_forged_message_confirms_nothing() -> None:
    bench = Bench()
    context = client_context()
    with bench.manager(context) as client:
        client.action(64, SETUP, 2, key_data((0, wrap_key(MASTER_KEY, NEW))))
        line = bench.line
        for bit in (0x01, 0x10, 0x80):
            line.to_meter = lambda data, bit=bit: data[:-1] + bytes([data[-1] ^ bit])
            with pytest.raises(ExceptionResponseError, match="deciphering-error"):
                client.get(1, SCRATCH_NUMBER, 2)
        line.to_meter = lambda data: data
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
    assert bench.meter.settings(*MANAGER).security.is_changing_keys


BAD_TRANSFERS: dict[str, Callable[[], Typed | None]] = {
    "wrong master key": lambda: key_data((0, wrap_key(bytes(range(1, 17)), NEW))),
    "one of two under a wrong master key": lambda: key_data(
        (0, wrap_key(MASTER_KEY, NEW)), (2, wrap_key(bytes(range(1, 17)), NEW_AUTHENTICATION))
    ),
    "truncated wrap": lambda: key_data((0, wrap_key(MASTER_KEY, NEW)[:-1])),
    "truncated by a block": lambda: key_data((0, wrap_key(MASTER_KEY, NEW)[:-8])),
    "flipped bit": lambda: key_data((0, bytes([wrap_key(MASTER_KEY, NEW)[0] ^ 1]) + wrap_key(MASTER_KEY, NEW)[1:])),
    "key of another suite": lambda: key_data((0, wrap_key(MASTER_KEY, NEW * 2))),
    "key in clear": lambda: key_data((0, NEW)),
    "empty key": lambda: key_data((0, b"")),
    "same key twice": lambda: key_data((0, wrap_key(MASTER_KEY, NEW)), (0, wrap_key(MASTER_KEY, NEWER))),
    "unknown key": lambda: key_data((0, wrap_key(MASTER_KEY, NEW)), (4, wrap_key(MASTER_KEY, NEW))),
    "master key in version 0": lambda: key_data((3, wrap_key(MASTER_KEY, NEW))),
    "no keys": axdr.array,
    "no array": lambda: axdr.octet_string(wrap_key(MASTER_KEY, NEW)),
    "nothing": lambda: None,
    "key id of another type": lambda: axdr.array(
        axdr.structure(axdr.unsigned(0), axdr.octet_string(wrap_key(MASTER_KEY, NEW)))
    ),
    "three elements": lambda: axdr.array(axdr.structure(axdr.enum(0), axdr.octet_string(b""), axdr.enum(0))),
    "one element": lambda: axdr.array(axdr.structure(axdr.enum(0))),
}


@pytest.mark.parametrize("what", BAD_TRANSFERS)
def test_a_bad_key_transfer_changes_nothing(what) -> None:
    bench = Bench()
    context = client_context()
    with bench.manager(context) as client:
        with pytest.raises(ActionError):
            client.action(64, SETUP, 2, BAD_TRANSFERS[what]())
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
    security = bench.meter.settings(*MANAGER).security
    assert not security.is_changing_keys
    assert security.epoch == 0
    assert_is_refused(bench, client_context(encryption_key=NEW))
    assert_works(bench, context)
    with bench.manager(context) as client:
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
    assert_works(bench, context)


def test_a_meter_without_master_key_takes_no_keys() -> None:
    bench = Bench(security=meter_context(kek=None))
    context = client_context()
    with bench.manager(context) as client, pytest.raises(ActionError):
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
    assert not context.is_changing_keys
    assert_works(bench, context)


def test_a_replayed_key_transfer_is_refused() -> None:
    bench = Bench()
    context = client_context()
    with bench.manager(context) as client:
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
        transfer = bench.sent()[-2]
        client.transfer_keys({UNICAST: NEWER}, MASTER_KEY)
    security = bench.meter.settings(*MANAGER).security
    epoch = security.epoch
    with bench.manager(context):
        answer = bench.line.connection._talks[1, 1].receive(transfer)
        assert answer[0][0] == 0xD8, "it was sealed under a key that is no more"
    assert (security.epoch, security.is_changing_keys) == (epoch, False)


def test_a_key_that_returns_brings_its_counters_back(sealed) -> None:
    bench = Bench()
    context = client_context()
    with bench.manager(context) as client:
        read = len(bench.sent())
        client.get(1, SCRATCH_NUMBER, 2)
        recorded = bench.sent()[read]
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
        client.get(1, SCRATCH_NUMBER, 2)
        client.transfer_keys({UNICAST: ENCRYPTION_KEY}, MASTER_KEY)
        before = counter(bench)
        bench.lines.pop()
        (answer,) = bench.line.connection._talks[1, 1].receive(recorded)
        assert answer[:3] == bytes.fromhex("d80106"), "invocation-counter-error"
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
        client.get(1, SCRATCH_NUMBER, 2)
    assert before > 5
    assert_works(bench, context)
    assert len(set(sealed)) == len(sealed)
    assert len({key for key, _, _ in sealed}) == 2


def test_a_key_transfer_twice_before_it_is_confirmed() -> None:
    bench = Bench()
    context = client_context()
    with bench.manager(context) as client:
        for key in (NEW, NEW, NEWER):
            client.action(64, SETUP, 2, key_data((0, wrap_key(MASTER_KEY, key))))
    assert_is_refused(bench, client_context(encryption_key=NEW))
    assert_works(bench, client_context(encryption_key=NEWER))
    assert_is_refused(bench, context)


def test_a_new_master_key_is_confirmed_by_what_it_wraps() -> None:
    bench = Bench(security_setup_version=1)
    context = client_context()
    with bench.manager(context) as client:
        client.transfer_keys({MASTER: NEW}, MASTER_KEY)
        client.transfer_keys({AUTHENTICATION: NEW_AUTHENTICATION}, MASTER_KEY)
        with pytest.raises(ActionError):
            client.transfer_keys({UNICAST: NEWER}, NEWER)
        client.transfer_keys({UNICAST: NEWER}, NEW)
        with pytest.raises(ActionError):
            client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
        client.transfer_keys({UNICAST: NEW}, NEW)
    assert_works(bench, context)


def test_several_keys_and_the_master_key_in_one_call() -> None:
    bench = Bench(security_setup_version=1)
    context = client_context()
    with bench.manager(context) as client:
        client.transfer_keys(
            {UNICAST: NEW, BROADCAST: NEWER, AUTHENTICATION: NEW_AUTHENTICATION, MASTER: NEW}, MASTER_KEY
        )
        client.transfer_keys({UNICAST: NEWER}, NEW)
    assert_works(bench, context)
    assert_works(
        bench, client_context(encryption_key=NEWER, authentication_key=NEW_AUTHENTICATION, counters=context.counters)
    )


# Lost messages


def drop(_: bytes) -> bytes:
    return b""


def drop_the(number: int) -> Callable[[bytes], bytes]:
    """Lose the message with that number, counted from now on."""
    count = iter(range(1 << 30))
    return lambda data: b"" if next(count) == number else data


@pytest.mark.parametrize("lost", ["the transfer", "its answer", "the first message", "its first answer"])
def test_no_lost_message_locks_anybody_out(lost, sealed) -> None:
    bench = Bench()
    context = client_context()
    client = bench.manager(context)
    client.connect()
    way = "to_meter" if lost in ("the transfer", "the first message") else "to_client"
    setattr(bench.line, way, drop_the(0 if lost in ("the transfer", "its answer") else 1))
    with pytest.raises(LinkTimeout):
        client.transfer_keys({UNICAST: NEW, AUTHENTICATION: NEW_AUTHENTICATION}, MASTER_KEY)
    client.reconnect()
    assert client.get(1, SCRATCH_NUMBER, 2) == 0
    client.transfer_keys({UNICAST: NEW, AUTHENTICATION: NEW_AUTHENTICATION}, MASTER_KEY)
    assert client.get(1, SCRATCH_NUMBER, 2) == 0
    client.close()
    assert not context.is_changing_keys
    assert not bench.meter.settings(*MANAGER).security.is_changing_keys
    assert_is_refused(bench, client_context(counters=context.counters))
    assert len(set(sealed)) == len(sealed)


def test_a_meter_that_took_keys_and_does_not_know_them_is_told_apart(monkeypatch) -> None:
    bench = Bench()
    context = client_context()
    with bench.manager(context) as client:
        _let_the_meter(bench, monkeypatch, lambda security, **keys: None)
        with pytest.raises(SecurityError, match="the old ones are in use again"):
            client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
        assert not context.is_changing_keys
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
    assert_works(bench, context)


def test_a_meter_that_switches_before_it_answers_is_understood(monkeypatch) -> None:
    bench = Bench()
    context = client_context()
    with bench.manager(context) as client:
        _let_the_meter(bench, monkeypatch, SecurityContext.switch_keys)
        client.transfer_keys({UNICAST: NEW, AUTHENTICATION: NEW_AUTHENTICATION}, MASTER_KEY)
        assert not context.is_changing_keys
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
    assert_works(bench, context)


def _let_the_meter(bench: Bench, monkeypatch: pytest.MonkeyPatch, do: Callable[..., None]) -> None:
    """Have the meter, and not the client, do something else with offered keys."""
    meters, offer = bench.meter.settings(*MANAGER).security, SecurityContext.offer_keys
    monkeypatch.setattr(
        SecurityContext, "offer_keys", lambda self, **keys: do(self, **keys) if self is meters else offer(self, **keys)
    )


def test_a_dedicated_key_outlives_the_change_of_the_global_one() -> None:
    bench = Bench()
    context = client_context(dedicated_key=True)
    with bench.manager(context) as client:
        client.transfer_keys({UNICAST: NEW}, MASTER_KEY)
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
        assert bench.sent()[-1][0] == 0xD0
        assert context.is_changing_keys, "no message under the global key has come yet"
    assert_works(bench, context)
    assert not context.is_changing_keys
    assert_is_refused(bench, client_context(counters=context.counters))


@pytest.mark.parametrize("names", [(AUTHENTICATION,), (UNICAST, AUTHENTICATION)], ids=["authentication", "both"])
def test_a_dedicated_key_goes_with_a_new_authentication_key(names, sealed) -> None:
    bench = Bench()
    context = client_context(dedicated_key=True)
    keys = dict(zip(names, (NEW_AUTHENTICATION, NEW), strict=False))
    with bench.manager(context) as client:
        client.transfer_keys(keys, MASTER_KEY)
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
        assert bench.sent()[-1][0] == 0xD0
        assert context.is_changing_keys is (UNICAST in names)
    assert_works(bench, context)
    assert not bench.meter.settings(*MANAGER).security.is_changing_keys
    assert_is_refused(bench, client_context(counters=context.counters))
    assert len(set(sealed)) == len(sealed)
