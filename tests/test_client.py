"""The asyncio client on streams in memory, with fake time: nothing here waits."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from cosemic.apdu.base import encode_apdu
from cosemic.apdu.notify import DataNotification
from cosemic.client import DlmsClient
from cosemic.codec import axdr
from cosemic.errors import (
    AssociationRefused,
    DlmsError,
    LinkError,
    LinkLost,
    LinkTimeout,
    LocalProtocolError,
    ObjectUndefined,
)
from cosemic.link.wrapper import WrapperPdu
from cosemic.meter.server import MeterServer
from cosemic.transports.memory import FakeClock, MemoryStream, memory_pair

from .e2e.conftest import CREDENTIALS, make_meter

ENERGY = "1.0.1.8.0.255"
FRAMINGS = ["wrapper", "hdlc"]


class Bench:
    """A meter behind streams in memory; each ``open`` is a new connection to it."""

    def __init__(self, framing: str, clock: FakeClock | None = None) -> None:
        self.framing = framing
        self.clock = clock or FakeClock()
        self.server = MeterServer(make_meter(20))
        self.near: MemoryStream
        self.far: MemoryStream
        self.tasks: list[asyncio.Task[None]] = []
        self.opened = 0

    async def open(self) -> MemoryStream:
        self.near, self.far = memory_pair(self.clock)
        self.tasks.append(asyncio.create_task(self.server.serve_stream(self.far, framing=self.framing)))
        self.opened += 1
        return self.near

    def client(self, **options: Any) -> DlmsClient:
        return DlmsClient(self.open, framing=self.framing, **options)

    async def end(self) -> None:
        """Everything that was opened is closed by now, so that the tasks of the meter end by themselves."""
        await asyncio.gather(*self.tasks)


@pytest.fixture(params=FRAMINGS)
def bench(request) -> Bench:
    return Bench(request.param)


async def test_before_and_after(bench) -> None:
    client = bench.client()
    with pytest.raises(LocalProtocolError, match="not connected yet"):
        await client.get(3, ENERGY, 2)
    with pytest.raises(LocalProtocolError, match="not connected yet"):
        _ = client.association
    assert not client.is_connected
    async with client:
        assert client.is_connected
        assert client.association.max_pdu_size > 0
        assert "connected" in repr(client)
        with pytest.raises(LocalProtocolError, match="connected already"):
            await client.connect()
        assert isinstance(await client.get(3, ENERGY, 2), int)
    with pytest.raises(LocalProtocolError, match=r"closed by the caller; call reconnect\(\)"):
        await client.get(3, ENERGY, 2)
    await client.close()
    await bench.end()


async def test_reconnect(bench) -> None:
    client = bench.client()
    await client.connect()
    await client.reconnect()
    assert isinstance(await client.get(3, ENERGY, 2), int)
    await client.close()
    await client.reconnect()
    assert isinstance(await client.get(3, ENERGY, 2), int)
    await client.aclose()
    assert bench.opened == 3
    await bench.end()


async def test_a_given_stream_is_used_once(bench) -> None:
    client = DlmsClient(await bench.open(), framing=bench.framing)
    async with client:
        await client.get(3, ENERGY, 2)
    with pytest.raises(LocalProtocolError, match="a function that opens one"):
        await client.reconnect()
    await bench.end()


async def test_the_meter_sees_a_polite_end(bench) -> None:
    seen: list[tuple[str, str, bytes]] = []
    client = bench.client(trace=lambda *what: seen.append(what))
    async with client:
        pass
    tags = [octets[0] for layer, direction, octets in seen if layer == "apdu"]
    assert tags == [0x60, 0x61, 0x62, 0x63]
    assert [layer for layer, _, _ in seen].count("link") >= 4
    await bench.end()


async def test_an_error_in_the_body_is_not_masked(bench) -> None:
    async def body() -> None:
        async with bench.client():
            bench.near.close()  # so that closing goes wrong as well
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        await body()
    await bench.end()


async def test_service_errors_leave_the_client_usable(bench) -> None:
    async with bench.client() as client:
        with pytest.raises(ObjectUndefined, match=r"1-0:99\.99\.99"):
            await client.get(3, "1.0.99.99.99.255", 2)
        assert isinstance(await client.get(3, ENERGY, 2), int)
    await bench.end()


async def test_wrong_calls_leave_the_client_usable(bench) -> None:
    async with bench.client() as client:
        with pytest.raises(ValueError, match="1-0:x"):
            await client.get(3, "1-0:x", 2)
        with pytest.raises((TypeError, ValueError)):
            await client.set(3, ENERGY, 2, 12345)
        assert isinstance(await client.get(3, ENERGY, 2), int)
    await bench.end()


async def test_calls_of_several_tasks_queue(bench) -> None:
    async with bench.client() as client:
        values = await asyncio.gather(*(client.get(3, ENERGY, 2) for _ in range(20)))
        assert len(set(values)) == 1
    await bench.end()


async def test_octet_by_octet(bench) -> None:
    client = bench.client(**CREDENTIALS["gmac"]())
    async with client:
        bench.far.pass_on = bench.near.pass_on = lambda data: [data[i : i + 1] for i in range(len(data))]
        assert isinstance(await client.get(3, ENERGY, 2), int)
        assert len((await client.read_profile("1.0.99.1.0.255")).rows) == 20
    await bench.end()


async def test_a_peer_that_stalls_is_a_timeout_that_says_so(bench) -> None:
    async with bench.client(timeout=12.0) as client:
        bench.far.pass_on = lambda data: []
        before = bench.clock.time()
        with pytest.raises(LinkTimeout):
            await client.get(3, ENERGY, 2)
        assert 11.0 <= bench.clock.time() - before <= 13.0
        with pytest.raises(LocalProtocolError, match=r"reconnect\(\)"):
            await client.get(3, ENERGY, 2)
        await client.reconnect()
        assert isinstance(await client.get(3, ENERGY, 2), int)
    await bench.end()


async def test_a_peer_that_drips_octets_for_ever_is_a_timeout(bench) -> None:
    async with bench.client(timeout=12.0) as client:
        bench.far.pass_on = lambda data: []

        async def drip() -> None:
            octets = bytes.fromhex("0001000100109000c401") if bench.framing == "wrapper" else b"\x7e\xa8\x00\x21\x03"
            while True:
                bench.near._deliver(octets[:1])
                octets = octets[1:] + b"\x00"
                with pytest.raises(TimeoutError):
                    await other.receive(bench.clock.time() + 1.0)

        other, _ = memory_pair(bench.clock)
        dripping = asyncio.create_task(drip())
        before = bench.clock.time()
        with pytest.raises(LinkTimeout):
            await client.get(3, ENERGY, 2)
        assert bench.clock.time() - before < 60.0
        dripping.cancel()
    await bench.end()


async def test_a_peer_that_closes_is_link_lost(bench) -> None:
    async with bench.client() as client:
        bench.near.pass_on = lambda data: bench.far.close() or []
        with pytest.raises(LinkLost):
            await client.get(3, ENERGY, 2)
        with pytest.raises(LocalProtocolError, match=r"reconnect\(\)"):
            await client.get(3, ENERGY, 2)
    await bench.end()


@pytest.mark.parametrize("garbage", [b"\x00" * 100, b"\xff" * 100, b"\x7e" * 100, bytes(range(256))])
async def test_a_peer_that_answers_garbage_is_an_error(bench, garbage) -> None:
    async with bench.client(timeout=12.0) as client:
        bench.far.pass_on = lambda data: [garbage]
        with pytest.raises(DlmsError):
            await client.get(3, ENERGY, 2)
        await client.reconnect()
        assert isinstance(await client.get(3, ENERGY, 2), int)
    await bench.end()


async def test_a_lost_frame_is_recovered_on_hdlc() -> None:
    bench = Bench("hdlc")
    async with bench.client() as client:
        lost = iter([True, False])
        bench.far.pass_on = lambda data: [] if next(lost, False) else [data]
        assert isinstance(await client.get(3, ENERGY, 2), int)
    await bench.end()


async def test_nobody_answers(bench) -> None:
    near, _ = memory_pair(bench.clock)
    client = DlmsClient(near, framing=bench.framing, timeout=8.0)
    before = bench.clock.time()
    with pytest.raises(LinkTimeout):
        await client.connect()
    assert bench.clock.time() - before <= 9.0
    assert near.is_closed


async def test_opening_that_hangs_ends_at_connect_timeout() -> None:
    async def never() -> MemoryStream:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    with pytest.raises(LinkTimeout, match=r"did not take the connection within 0\.01 s"):
        await DlmsClient(never, framing="hdlc", connect_timeout=0.01).connect()


async def test_opening_that_fails_is_a_link_error() -> None:
    async def broken() -> MemoryStream:
        raise ConnectionResetError("modem says no")

    with pytest.raises(LinkLost, match="modem says no"):
        await DlmsClient(broken, framing="hdlc").connect()


async def test_a_stream_that_raises_is_a_link_error(bench) -> None:
    async with bench.client() as client:

        async def send(data: bytes, deadline: float | None = None) -> None:
            raise BrokenPipeError("unplugged")

        class Broken:
            clock = bench.near.clock
            receive = bench.near.receive
            close = bench.near.close

        Broken.send = staticmethod(send)
        client._stream = Broken()
        with pytest.raises(LinkLost, match="unplugged"):
            await client.get(3, ENERGY, 2)
        with pytest.raises(LocalProtocolError):
            await client.get(3, ENERGY, 2)
    await bench.end()


async def test_refused_association_closes_the_stream(bench) -> None:
    client = bench.client(client_sap=32, authentication=1, password="wrong")
    with pytest.raises(AssociationRefused):
        await client.connect()
    assert bench.near.is_closed
    assert not client.is_connected
    await bench.end()


async def test_abort_wakes_who_waits(bench) -> None:
    async with bench.client() as client:
        bench.far.pass_on = lambda data: []
        bench.clock._autojump = False
        waiting = asyncio.create_task(client.get(3, ENERGY, 2))
        for _ in range(5):
            await asyncio.sleep(0)
        client.abort()
        with pytest.raises(LinkError, match="aborted"):
            await waiting
    await bench.end()


async def test_close_does_not_wait_long_for_a_silent_meter(bench) -> None:
    client = bench.client()
    await client.connect()
    bench.far.pass_on = lambda data: []
    before = bench.clock.time()
    await client.close()
    assert bench.clock.time() - before <= 3.5
    await bench.end()


def _push(value: int) -> bytes:
    apdu = encode_apdu(DataNotification(0, b"", axdr.Data.of(axdr.double_long_unsigned(value))))
    return WrapperPdu(1, 16, apdu).encode()


async def test_pushes_reach_the_callback_in_and_between_exchanges() -> None:
    bench = Bench("wrapper")
    got: list[object] = []
    client = bench.client(on_notification=lambda event: got.append(event.apdu.body.value))
    async with client:
        bench.far.pass_on = lambda data: [_push(1) + data]
        assert isinstance(await client.get(3, ENERGY, 2), int)
        assert got == [1]
        bench.far.pass_on = None
        bench.near._deliver(_push(2))
        assert isinstance(await client.get(3, ENERGY, 2), int)
        assert got == [1, 2]
        bench.near._deliver(_push(3)[:9])
        bench.near._deliver(_push(3)[9:])
        before = bench.clock.time()
        await client.listen(60.0)
        assert bench.clock.time() - before == 60.0
        assert got == [1, 2, 3]
        assert isinstance(await client.get(3, ENERGY, 2), int)
    await bench.end()


async def test_a_callback_that_fails_disturbs_nothing(caplog) -> None:
    bench = Bench("wrapper")
    async with bench.client(on_notification=lambda event: 1 / 0) as client:
        bench.near._deliver(_push(2))
        assert isinstance(await client.get(3, ENERGY, 2), int)
        assert isinstance(await client.get(3, ENERGY, 2), int)
    assert "on_notification failed" in caplog.text
    await bench.end()


async def test_listening_may_be_cancelled() -> None:
    bench = Bench("wrapper", FakeClock(autojump=False))
    async with bench.client() as client:
        listening = asyncio.create_task(client.listen(1000.0))
        for _ in range(3):
            await asyncio.sleep(0)
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        assert isinstance(await client.get(3, ENERGY, 2), int)
    await bench.end()


async def test_listening_ends_with_the_connection(bench) -> None:
    async with bench.client() as client:
        bench.far.close()
        with pytest.raises(LinkLost):
            await client.listen(60.0)
    await bench.end()


# Cancellation at every await


async def _connect(client: DlmsClient) -> None:
    await client.connect()


async def _get(client: DlmsClient) -> None:
    await client.get(3, ENERGY, 2)


async def _profile(client: DlmsClient) -> None:
    await client.read_profile("1.0.99.1.0.255")


async def _close(client: DlmsClient) -> None:
    await client.close()


@pytest.mark.parametrize("credentials", ["none", "gmac"])
@pytest.mark.parametrize("work", [_connect, _get, _profile, _close])
async def test_cancelled_anywhere_the_client_is_usable_or_closed(
    bench: Bench, work: Callable[[DlmsClient], Awaitable[None]], credentials: str
) -> None:
    options = CREDENTIALS[credentials]()
    client = bench.client(**options)
    turns = 0
    finished = closed = 0
    while not finished and turns < 2000:
        if work is not _connect:
            await client.reconnect()
        task = asyncio.ensure_future(work(client))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
            finished += 1
        except asyncio.CancelledError:
            pass
        if client.is_connected:
            assert isinstance(await client.get(3, ENERGY, 2), int)
        else:
            closed += 1
            with pytest.raises(LocalProtocolError, match="connect"):
                await client.get(3, ENERGY, 2)
            assert bench.near.is_closed if bench.opened else not turns
        if work is _connect and not finished:
            await client.reconnect()
            assert isinstance(await client.get(3, ENERGY, 2), int)
            await client.close()
        turns += 1
    assert finished
    assert closed or work is _connect
    assert turns > 2
    await client.close()
    await bench.end()


async def test_cancelled_in_the_queue_changes_nothing(bench) -> None:
    async with bench.client() as client:
        first = asyncio.create_task(client.get(3, ENERGY, 2))
        second = asyncio.create_task(client.get(3, ENERGY, 2))
        await asyncio.sleep(0)
        second.cancel()
        assert isinstance(await first, int)
        with pytest.raises(asyncio.CancelledError):
            await second
        assert isinstance(await client.get(3, ENERGY, 2), int)
    await bench.end()


# Arguments


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeout": 0}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"connect_timeout": -1}, "connect_timeout"),
        ({"retries": -1}, "retries"),
        ({"framing": "morse"}, "framing is 'wrapper', 'hdlc' or 'mbus'"),
        ({"framing": "mbus"}, "means wrapper"),
        ({"framing": "hdlc"}, "means wrapper"),
        ({"physical_address": 17}, "no physical addresses"),
        ({"client_sap": 70000}, "70000"),
        ({"authentication": 1}, "password"),
        ({"authentication": 5}, "SecurityContext"),
        ({"max_pdu_size": 5}, "PDU size"),
    ],
)
def test_bad_arguments(options, says) -> None:
    with pytest.raises(ValueError) as caught:
        DlmsClient("tcp://meter", **options)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [{"client_sap": 128}, {"address_size": 3}, {"information_size": 5000}, {"window": 8}, {"physical_address": 20000}],
)
def test_bad_hdlc_arguments(options) -> None:
    with pytest.raises(ValueError):
        DlmsClient("hdlc://meter", **options)


def test_a_stream_of_ones_own_needs_a_framing() -> None:
    with pytest.raises(ValueError, match="framing='wrapper'"):
        DlmsClient(object())


async def test_a_stream_may_say_its_framing(bench) -> None:
    class Mine:
        framing = bench.framing

        def __init__(self, stream: MemoryStream) -> None:
            self.send, self.receive, self.close, self.clock = stream.send, stream.receive, stream.close, stream.clock

    async with DlmsClient(Mine(await bench.open())) as client:
        assert isinstance(await client.get(3, ENERGY, 2), int)
    await bench.end()


def test_secrets_are_not_shown() -> None:
    client = DlmsClient("tcp://meter", client_sap=32, authentication=1, password="hunter2")
    assert "hunter2" not in repr(client)
    assert "hunter2" not in repr(client._settings)


async def test_slow_lines_get_more_time() -> None:
    slow = DlmsClient("serial:///dev/null?baud=300", information_size=512)._link_options
    fast = DlmsClient("serial:///dev/null?baud=115200", information_size=512)._link_options
    assert slow.response_time(30.0) > 30.0 > fast.response_time(30.0)
    assert slow.allowance(30.0) >= 4 * slow.response_time(30.0) - 0.001


async def test_a_connected_client_is_small(bench) -> None:
    import gc
    import tracemalloc

    async with bench.client(), bench.client() as warm:
        await warm.get(3, ENERGY, 2)
        clients = []
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.take_snapshot()
        for _ in range(10):
            client = bench.client()
            await client.connect()
            clients.append(client)
        gc.collect()
        after = tracemalloc.take_snapshot()
        tracemalloc.stop()
        ours = [
            tracemalloc.Filter(True, f"*/cosemic/{part}")
            for part in ("client.py", "connection.py", "protocol/*", "link/*", "transports/*", "security/*", "apdu/*")
        ]
        grown = sum(
            stat.size_diff for stat in after.filter_traces(ours).compare_to(before.filter_traces(ours), "filename")
        )
        print(grown / 10)
        assert grown / 10 < 2 * 8192  # client and meter share the modules, so this counts both
        for client in clients:
            await client.close()
    await bench.end()


async def test_an_abort_while_connecting_ends_the_connecting(bench) -> None:
    async def opened_late():
        client.abort()
        return await bench.open()

    client = DlmsClient(opened_late, framing=bench.framing)
    with pytest.raises(LinkLost, match="aborted"):
        await client.connect()
    assert bench.near.is_closed
    assert not client.is_connected
    await bench.end()


async def test_a_stream_that_never_lets_go_does_not_hold_up_close(bench, monkeypatch) -> None:
    monkeypatch.setattr("cosemic.async_connection.CLOSE_TIMEOUT", 0.01)
    client = bench.client()
    await client.connect()
    stream = client._stream

    class Stubborn:
        send, receive, close = stream.send, stream.receive, stream.close

        async def wait_closed(self) -> None:
            await asyncio.Event().wait()

    client._stream = Stubborn()
    async with asyncio.timeout(10):
        await client.close()
    await bench.end()
