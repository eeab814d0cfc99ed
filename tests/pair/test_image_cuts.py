"""An image is sent over a line that is cut again and again, into a meter that loses power: the right one arrives."""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime

import pytest

from cosemic.cosem.image_transfer import ImageTransfer
from cosemic.enums import AuthenticationMechanism
from cosemic.errors import LinkLost
from cosemic.meter.demo import demo_meter
from cosemic.meter.image_transfer import ImageStore
from cosemic.protocol.events import Failed
from tests.cosem.driving import drive
from tests.pair.support import CLIENT_TITLE, METER_TITLE, Pair, client_settings, security, server_settings

SEEDS = int(os.environ.get("COSEMIC_SOAK", "60"))
NOW = datetime(2025, 11, 22, 11, 7, 30, tzinfo=UTC)
IMAGE = bytes(random.Random(1).randbytes(1234))
NAME = b"FW-2.1"


class LineCut(Exception):
    pass


def store_of(**options) -> ImageStore:
    return ImageStore(**({"block_size": 100, "accepts": lambda image: image == IMAGE} | options))


# cut between request and answer, at every one of them


def until_activated(transfer, execute, *, cuts):
    """Run the plan to its end, again after every cut; ``execute`` raises LinkLost at one."""
    for _ in range(cuts + 1):
        try:
            drive(transfer.send(), execute)
            for _ in range(50):
                if not drive(transfer.verify(), execute):
                    break
            for _ in range(50):
                if not drive(transfer.activate(), execute):
                    return
        except LinkLost:
            continue
    raise AssertionError("not done after as many tries as there were cuts")


def run_with_cuts(store, cuts, *, executed):
    """Cut at the requests with these numbers, before or after the meter has carried them out; the power goes too."""
    meter = demo_meter(profile_rows=10, clock=lambda: NOW, images=store)
    transfer = ImageTransfer(IMAGE, NAME, retries=8)
    asked = 0

    def execute(request):
        nonlocal asked
        asked += 1
        if asked not in cuts:
            return meter.execute((1, 1), request)
        if executed:
            meter.execute((1, 1), request)
        store.lose_power()
        raise LinkLost("cut")

    until_activated(transfer, execute, cuts=len(cuts))
    return asked


@pytest.mark.parametrize("executed", [False, True])
@pytest.mark.parametrize("written_every", [1, 4])
def test_a_cut_at_every_single_request(written_every, executed):
    last = run_with_cuts(store_of(verifying=2, activating=2, written_every=written_every), set(), executed=executed)
    assert last > 20
    for number in range(1, last + 1):
        store = store_of(verifying=2, activating=2, written_every=written_every)
        run_with_cuts(store, {number}, executed=executed)
        assert (store.active, store.active_identification) == (IMAGE, NAME), number
        assert store.activations == 1


@pytest.mark.parametrize("seed", range(SEEDS))
def test_many_cuts_lost_blocks_and_a_slow_meter(seed):
    chance = random.Random(seed)
    store = store_of(
        block_size=chance.choice((1, 7, 100, 617, 1233, 1234, 5000)) if seed % 4 else 40,
        verifying=chance.randrange(4),
        activating=chance.randrange(4),
        written_every=chance.choice((1, 2, 5)),
        loses=lambda number: chance.random() < 0.05,
    )
    cuts = {chance.randrange(1, 200) for _ in range(chance.randrange(30))}
    run_with_cuts(store, cuts, executed=chance.random() < 0.5)
    assert (store.active, store.active_identification, store.activations) == (IMAGE, NAME, 1)


# cut at any octet, through whole sessions


class _MeterPair(Pair):
    """A pair in front of a simulated meter whose line is cut after so many octets."""

    def __init__(self, meter, octets: int, *, protected: bool) -> None:
        mechanism = AuthenticationMechanism.HLS_GMAC if protected else AuthenticationMechanism.NONE
        ours, theirs = (security(CLIENT_TITLE), security(METER_TITLE)) if protected else (None, None)
        super().__init__(
            client_settings(mechanism, ours, max_pdu_size=300),
            server_settings(mechanism, theirs, max_pdu_size=300),
            cut=self._cut,
        )
        self.left = octets
        self.application.answer = lambda request: meter.execute((1, 1), request)

    def _cut(self, data: bytes) -> list[bytes]:
        self.left -= len(data)
        if self.left < 0:
            part = data[: self.left]
            return [part, None] if part else [None]
        return [data]


def _pump(pair: _MeterPair) -> None:
    """What is beyond the cut never arrives."""
    for name in ("client", "server"):
        session = getattr(pair, name)
        receive = session.receive_data

        def until_cut(data, now, receive=receive):
            if data is None:
                raise LineCut
            receive(data, now)

        setattr(pair, name, _Wrapped(session, until_cut))


class _Wrapped:
    def __init__(self, session, receive) -> None:
        self._session, self.receive_data = session, receive

    def __getattr__(self, name):
        return getattr(self._session, name)


@pytest.mark.parametrize("protected", [False, True])
@pytest.mark.parametrize("seed", range(max(1, SEEDS // 6)))
def test_cut_at_any_octet_of_a_session(seed, protected):
    chance = random.Random(seed)
    store = store_of(verifying=1, activating=1, written_every=chance.choice((1, 3)))
    meter = demo_meter(profile_rows=10, clock=lambda: NOW, images=store)
    transfer = ImageTransfer(IMAGE, NAME)
    for attempt in range(200):
        # growing, so that an end is reached even where opening the association takes up the line
        pair = _MeterPair(meter, chance.randrange(200, 900) + 10 * attempt, protected=protected)
        _pump(pair)

        def execute(request, pair=pair):
            result = pair.do(request)
            if isinstance(result, Failed):
                raise result.error
            return result

        try:
            opened = pair.connect()
            assert not isinstance(opened, Failed), opened.error
            until_activated(transfer, execute, cuts=0)
            break
        except LineCut:
            if chance.random() < 0.5:
                store.lose_power()
    assert attempt > 2
    assert (store.active, store.activations) == (IMAGE, 1)
