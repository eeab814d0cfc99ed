"""Pushes of the simulated meter to clients that do not take them, and from other threads."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from cosemic import blocking
from cosemic.apdu.notify import DataNotification
from cosemic.client import DlmsClient
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import Conformance
from cosemic.errors import LinkLost, LocalProtocolError
from cosemic.meter import networks
from cosemic.meter.demo import demo_meter
from cosemic.meter.server import MeterServer, running
from cosemic.protocol.events import Notified
from cosemic.transports.memory import FakeClock, MemoryStream, memory_pair
from cosemic.transports.targets import parse_url
from cosemic.transports.tcp import TransportStream, open_tcp

PUSH = DataNotification(5, b"", Data.of(axdr.unsigned(7)))
LARGE = DataNotification(6, b"", Data.of(axdr.octet_string(bytes(60000))))


class Lines:
    """A meter behind streams in memory; ``far`` has the meter's ends."""

    def __init__(self, **options: float) -> None:
        self.clock = FakeClock()
        self.server = MeterServer(demo_meter(profile_rows=2), **options)  # type: ignore[arg-type]
        self.far: list[MemoryStream] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.seen: list[tuple[int, Notified]] = []

    def client(self, number: int, **options: object) -> DlmsClient:
        async def way() -> MemoryStream:
            near, far = memory_pair(self.clock)
            self.far.append(far)
            self.tasks.append(asyncio.create_task(self.server.serve_stream(far, framing="wrapper")))
            return near

        return DlmsClient(
            way,
            framing="wrapper",
            on_notification=lambda event: self.seen.append((number, event)),
            **options,  # type: ignore[arg-type]
        )


@pytest.mark.parametrize("trouble", [LinkLost("gone"), BrokenPipeError(32, "Broken pipe"), TimeoutError("late")])
async def test_a_stream_that_fails_does_not_keep_a_push_from_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: OSError
) -> None:
    lines = Lines(push_timeout=7.0)
    deadlines: list[float | None] = []
    async with lines.client(0) as first, lines.client(1) as second:
        bad, send = lines.far[0], MemoryStream.send

        async def fail(stream: MemoryStream, data: bytes, deadline: float | None = None) -> None:
            if stream is bad:
                deadlines.append(deadline)
                raise trouble
            await send(stream, data, deadline)

        monkeypatch.setattr(MemoryStream, "send", fail)
        before = lines.clock()
        with caplog.at_level(logging.WARNING, "cosemic.meter"):
            assert await lines.server.notify(PUSH, client_sap=16) == 1
        assert "a push could not be sent" in caplog.text
        assert deadlines == [before + 7.0]
        assert bad.is_closed
        await second.get(1, "0.0.42.0.0.255", 2)
        assert [(number, event.apdu) for number, event in lines.seen] == [(1, PUSH)]
        monkeypatch.undo()
        assert await lines.server.notify(PUSH, client_sap=16) == 1
        first.abort()
    await asyncio.gather(*lines.tasks)


async def test_an_association_that_cannot_carry_it_does_not_keep_a_push_from_the_others() -> None:
    lines = Lines()
    without = Conformance.GET | Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    async with lines.client(0, max_pdu_size=300, conformance=without), lines.client(1) as second:
        with pytest.raises(LocalProtocolError):
            await lines.server.notify(LARGE, client_sap=16)
        await second.get(1, "0.0.42.0.0.255", 2)
        assert [(number, event.apdu) for number, event in lines.seen] == [(1, LARGE)]
    await asyncio.gather(*lines.tasks)


async def _deaf(port: int) -> TransportStream:
    """An associated client's stream that does not read any more."""
    stream = await open_tcp(parse_url(f"tcp://127.0.0.1:{port}"))
    client = DlmsClient(stream, framing="wrapper", client_sap=16)
    await client.connect()
    transport = stream._transport
    assert transport is not None
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    transport.pause_reading()
    return stream


async def test_what_waits_for_a_client_that_does_not_read_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with MeterServer(demo_meter(profile_rows=2)) as server:
        stream = await _deaf(await server.serve_wrapper())
        pushed = 0
        with caplog.at_level(logging.WARNING, "cosemic.meter"):
            while await server.notify(LARGE, client_sap=16):
                pushed += 1
                assert pushed < 1000
                (transport,) = server.connections
                assert transport.get_write_buffer_size() < networks.MOST_WAITING + 2 * 60100
        assert "has not read" in caplog.text
        await asyncio.sleep(0)
        assert not server.connections
        stream.close()


async def test_a_push_that_is_not_taken_has_a_deadline(caplog: pytest.LogCaptureFixture) -> None:
    async with MeterServer(demo_meter(profile_rows=2), push_timeout=0.01) as server:
        stream = await _deaf(await server.serve_wrapper())
        (transport,) = server.connections
        with caplog.at_level(logging.WARNING, "cosemic.meter"):
            while await server.notify(LARGE, client_sap=16) and not transport.get_write_buffer_size() > 1 << 17:
                pass
            for _ in range(5000):
                if not server.connections:
                    break
                await asyncio.sleep(0.001)
        assert "was not taken within 0.01 s" in caplog.text
        stream.close()


def test_pushes_from_another_thread() -> None:
    seen: list[Notified] = []
    with running(demo_meter(profile_rows=2)) as ports:
        assert ports.notify(PUSH, client_sap=16) == 0
        for url in (f"tcp://127.0.0.1:{ports.wrapper}", f"hdlc://127.0.0.1:{ports.hdlc}"):
            with blocking.DlmsClient(url, client_sap=16, on_notification=seen.append) as client:
                assert ports.notify(PUSH, client_sap=16) == 1
                client.get(1, "0.0.42.0.0.255", 2)
    assert [event.apdu for event in seen] == [PUSH, PUSH]
    with pytest.raises(LocalProtocolError, match="not served any more"):
        ports.notify(PUSH, client_sap=16)


def test_the_meters_own_thread_does_not_wait_for_itself() -> None:
    meter = demo_meter(profile_rows=2)
    with running(meter) as ports:
        caught: list[BaseException] = []

        def push(pair: tuple[int, int], number: int) -> None:
            try:
                ports.notify(PUSH, client_sap=16)
            except LocalProtocolError as error:
                caught.append(error)

        meter.on_confirmed = push
        confirmed = DataNotification(0x40000006, b"", Data.of(axdr.unsigned(1)))
        url = f"tcp://127.0.0.1:{ports.wrapper}"
        with blocking.DlmsClient(url, client_sap=16, on_notification=lambda event: None) as client:
            assert ports.notify(confirmed, client_sap=16) == 1
            client.get(1, "0.0.42.0.0.255", 2)
            client.get(1, "0.0.42.0.0.255", 2)
    assert [str(error) for error in caught] == ["the meter's own thread cannot wait for a push; do it from another one"]
