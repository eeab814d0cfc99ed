"""Lines that never fall silent, or take nothing: a sign-on and an optical port end in their time all the same."""

from __future__ import annotations

import asyncio

import pytest

from cosemic.errors import LinkError
from cosemic.link import control
from cosemic.link.frames import HdlcAddress, HdlcFrame
from cosemic.link.parameters import HdlcParameters, HdlcTimers
from cosemic.link.signon import SignedOn, SignOnServer, SwitchLine
from cosemic.link.signon_messages import SignOnOptions
from cosemic.meter import optical as meter_optical
from cosemic.meter.connections import HdlcConnection
from cosemic.meter.demo import demo_meter
from cosemic.meter.server import MeterServer
from cosemic.transports.optical import sign_on, sign_on_blocking

_STEP = 0.05


class Flood:
    """Gives the same octets whenever it is asked, each time a little later; ``takes`` False: takes none."""

    def __init__(self, octets: bytes, *, takes: bool = True, first: list[bytes] | None = None) -> None:
        self.now = 100.0
        self.octets = octets
        self.takes = takes
        self.first = first or []
        self.asked = 0
        self.deadlines: list[float | None] = []
        self.closed = False

    def clock(self) -> float:
        return self.now

    def give(self) -> bytes:
        self.asked += 1
        assert self.asked < 5000, "nobody looks at the time"
        self.now += _STEP
        return self.first.pop(0) if self.first else self.octets

    def take(self, data: bytes, deadline: float | None) -> None:
        self.deadlines.append(deadline)
        if not self.takes:
            assert deadline is not None, "nobody looks at the time"
            self.now = deadline
            raise TimeoutError("the deadline passed")

    def close(self) -> None:
        self.closed = True


class AsyncFlood(Flood):
    async def send(self, data: bytes, deadline: float | None = None) -> None:
        self.take(data, deadline)

    async def receive(self, deadline: float | None = None) -> bytes:
        return self.give()


class BlockingFlood(Flood):
    def send(self, data: bytes, deadline: float | None = None) -> None:
        self.take(data, deadline)

    def receive(self, deadline: float | None = None) -> bytes:
        return self.give()


OPTIONS = SignOnOptions()
NOISE = [b"\x00", b"U" * 9, b"/?!\r\n", b"\xff\xfe"]


def _sign_on(stream: Flood) -> None:
    if isinstance(stream, AsyncFlood):
        asyncio.run(sign_on(stream, OPTIONS))
    elif isinstance(stream, BlockingFlood):
        sign_on_blocking(stream, OPTIONS)


@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize("kind", [AsyncFlood, BlockingFlood])
def test_a_sign_on_in_noise_without_end_ends(kind: type[Flood], noise: bytes) -> None:
    stream = kind(noise)
    start = stream.now
    with pytest.raises(LinkError):
        _sign_on(stream)
    assert stream.now <= start + OPTIONS.longest + _STEP
    assert {deadline is not None and deadline <= start + OPTIONS.longest for deadline in stream.deadlines} == {True}


@pytest.mark.parametrize("noise", NOISE)
async def test_a_port_waits_for_a_sign_on_no_longer_than_its_patience(noise: bytes) -> None:
    stream = AsyncFlood(noise)
    async with MeterServer(demo_meter(profile_rows=1)) as server:
        await server.serve_optical(stream, patience=20.0)
    assert stream.closed
    assert stream.now < 100.0 + 20.0 + 2 * _STEP


def _connection() -> HdlcConnection:
    return HdlcConnection(demo_meter(profile_rows=1), parameters=HdlcParameters(), timers=HdlcTimers())


async def test_noise_in_place_of_hdlc_gives_the_port_back() -> None:
    stream = AsyncFlood(b"\x00")
    assert await meter_optical._serve(stream, _connection(), b"", 600.0)
    assert stream.now < 100.0 + meter_optical._PATIENCE + 2 * _STEP
    before = stream.now
    assert await meter_optical._rest(stream)
    assert stream.now < before + meter_optical._LONGEST_REST + 2 * _STEP


SNRM = HdlcFrame(HdlcAddress(1), HdlcAddress(16), control.SNRM | control.POLL_FINAL).encode()


async def test_a_client_that_takes_no_answer_gives_the_port_back() -> None:
    stream = AsyncFlood(b"\x00", takes=False)
    assert await meter_optical._serve(stream, _connection(), SNRM, 30.0)
    assert stream.deadlines == [130.0]


async def test_noise_does_not_keep_a_link_beyond_its_inactivity() -> None:
    connection = HdlcConnection(
        demo_meter(profile_rows=1), parameters=HdlcParameters(), timers=HdlcTimers(inactivity_timeout=40.0)
    )
    stream = AsyncFlood(b"\x00")
    assert await meter_optical._serve(stream, connection, SNRM, 30.0)
    assert 130.0 < stream.now < 145.0


async def test_what_is_due_does_not_wait_for_a_silence() -> None:
    """A meter signs a client on although octets come all the time; none of its HDLC is lost."""
    stream = AsyncFlood(b"\x7e", first=[b"/?!\r\n", *[b"\x00"] * 20, b"\x06252\r\n"])
    port = SignOnServer(meter_optical.IDENTIFICATION)
    assert isinstance(await meter_optical._accept(stream, port, None, 30.0), SignedOn)
    assert port.early.strip(b"\x7e") == b""
    assert port.early
    assert not any(isinstance(event, SwitchLine) for event in port.events())
