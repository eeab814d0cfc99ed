"""Pushes over real sockets: what arrives, what is confirmed, and destinations that refuse, hang or talk nonsense."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from cosemic.apdu.base import decode_apdu
from cosemic.apdu.notify import DataNotification, DataNotificationConfirm
from cosemic.client import DlmsClient
from cosemic.cosem.push_objects import OperationMethod, PushDestination, RepetitionDelay, TransportService
from cosemic.link.frames import FrameReader, HdlcFrame
from cosemic.link.wrapper import WrapperPdu
from cosemic.meter.demo import demo_meter
from cosemic.meter.demo_pushes import demo_agenda
from cosemic.meter.pushing import Outcome, PushEnded
from cosemic.meter.server import MeterServer
from cosemic.transports.memory import FakeClock, memory_pair

AT_ONCE = RepetitionDelay(0)


class Pushing:
    """A served meter that pushes; ``ended`` has the ends of its pushes."""

    def __init__(self, port, *, service=TransportService.TCP, lines=None, address=None, **options):
        self.ended: asyncio.Queue[PushEnded] = asyncio.Queue()
        timeouts = {name: options.pop(name) for name in ("send_timeout", "confirm_timeout") if name in options}
        self.meter = demo_meter(profile_rows=2)
        destination = PushDestination(service, b"127.0.0.1:%d" % port if address is None else address)
        self.agenda = demo_agenda(self.meter, destination=destination, on_ended=self.ended.put_nowait, **timeouts)
        (self.setup,) = self.agenda.setups
        self.setup.options = replace(self.setup.options, delay=AT_ONCE, **options)
        self.lines = lines

    async def __aenter__(self):
        self.server = MeterServer(self.meter)
        self.server.start_pushing(self.agenda, lines=self.lines)
        return self

    async def __aexit__(self, *_):
        await self.server.close()

    async def push(self):
        async with asyncio.timeout(60):
            self.agenda.push(self.setup, asyncio.get_running_loop().time())
            for watcher in self.meter.watchers:
                watcher()
            return await self.ended.get()


@asynccontextmanager
async def collecting(take) -> AsyncIterator[int]:
    """A server that gives each connection to ``take``; its port."""
    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def notification(octets) -> DataNotification:
    apdu = decode_apdu(WrapperPdu.decode(octets).apdu)
    assert isinstance(apdu, DataNotification)
    return apdu


async def test_a_push_over_tcp_arrives_whole_and_the_connection_is_closed():
    got = asyncio.Queue()

    async def take(reader, writer):
        got.put_nowait(await reader.read())
        writer.close()

    async with collecting(take) as port, Pushing(port) as pushing:
        ended = await pushing.push()
        assert (ended.outcome, ended.attempts) == (Outcome.SENT, 1)
        assert notification(await got.get()).body.typed.elements


async def test_a_destination_that_refuses_is_tried_again_as_often_as_the_setup_says():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        async with Pushing(taken.getsockname()[1], retries=2) as pushing:
            ended = await pushing.push()
            assert (ended.outcome, ended.attempts) == (Outcome.GIVEN_UP, 3)


async def test_a_name_that_does_not_exist_is_a_failure():
    async with Pushing(0, address=b"there-is-no-such-host.invalid:4059", send_timeout=20.0) as pushing:
        assert (await pushing.push()).outcome is Outcome.GIVEN_UP


async def test_a_destination_that_never_answers_keeps_nobody_waiting():
    held = []

    async def take(reader, writer):
        held.append(writer)  # reads nothing, confirms nothing, closes nothing
        await asyncio.Event().wait()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Pushing(port, method=OperationMethod.CONFIRMED, send_timeout=30.0, confirm_timeout=0.2) as pushing:
        wrapper = await pushing.server.serve_wrapper()
        waiting = asyncio.ensure_future(pushing.push())
        async with DlmsClient(f"tcp://127.0.0.1:{wrapper}") as client:  # the meter answers all the while
            assert await client.get(1, "0-0:42.0.0", 2) == b"COS0000000000001"
        ended = await waiting
        assert ended.outcome is Outcome.GIVEN_UP
    server.close()
    for writer in held:
        writer.transport.abort()


async def test_a_confirmed_push_is_confirmed_on_the_same_connection():
    async def take(reader, writer):
        header = await reader.readexactly(8)
        apdu = notification(header + await reader.readexactly(int.from_bytes(header[6:8], "big")))
        assert apdu.confirmed
        answer = WrapperPdu(103, 1, DataNotificationConfirm(apdu.long_invoke_id_and_priority).encode()).encode()
        for octet in answer:
            writer.write(bytes((octet,)))
            await writer.drain()

    async with collecting(take) as port, Pushing(port, method=OperationMethod.CONFIRMED) as pushing:
        assert (await pushing.push()).outcome is Outcome.CONFIRMED
        assert pushing.setup.last_confirmation is not None


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\1\0\x67\0\1\xff\xff" + bytes(100)])
async def test_other_answers_are_failures_and_it_is_tried_again(answer):
    async def take(reader, writer):
        await reader.readexactly(8)
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with collecting(take) as port, Pushing(port, method=OperationMethod.CONFIRMED, retries=1) as pushing:
        ended = await pushing.push()
        assert (ended.outcome, ended.attempts) == (Outcome.GIVEN_UP, 2)


@pytest.mark.parametrize("closes", [True, False])
async def test_a_receipt_of_the_layer_below_is_the_other_sides_close(closes):
    async def take(reader, writer):
        await reader.read()
        if closes:
            writer.close()
        else:
            at_once = struct.pack("ii", 1, 0)  # close with a reset
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            writer.transport.abort()

    way = {"method": OperationMethod.RETRY_WITHOUT_RECEIPT}
    async with collecting(take) as port, Pushing(port, **way) as pushing:
        assert (await pushing.push()).outcome is (Outcome.SENT if closes else Outcome.GIVEN_UP)


class Datagrams(asyncio.DatagramProtocol):
    """Takes datagrams, confirms those that want it."""

    def __init__(self):
        self.got = asyncio.Queue()

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        apdu = notification(data)
        self.got.put_nowait(apdu)
        if apdu.confirmed:
            confirm = DataNotificationConfirm(apdu.long_invoke_id_and_priority)
            self.transport.sendto(WrapperPdu(103, 1, confirm.encode()).encode(), addr)


@pytest.mark.parametrize("method", [OperationMethod.RETRY_ON_FAILURE, OperationMethod.CONFIRMED])
async def test_a_push_over_udp(method):
    loop = asyncio.get_running_loop()
    transport, there = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    async with Pushing(port, service=TransportService.UDP, method=method) as pushing:
        ended = await pushing.push()
        assert ended.outcome is (Outcome.CONFIRMED if method is OperationMethod.CONFIRMED else Outcome.SENT)
        assert (await there.got.get()).body.typed.elements
    transport.close()


async def test_a_push_on_a_line_that_the_meter_has():
    clock = FakeClock()
    near, far = memory_pair(clock)
    way = {"service": TransportService.HDLC, "address": b"optical", "lines": {"optical": near}}
    async with Pushing(0, **way) as pushing:
        assert (await pushing.push()).outcome is Outcome.SENT
        assert not near.is_closed
        (frame,) = FrameReader().feed(await far.receive())
        assert isinstance(frame, HdlcFrame)
        assert frame.information.startswith(b"\xe6\xe7\x00\x0f")


async def test_a_line_that_the_meter_does_not_have_is_a_failure():
    async with Pushing(0, service=TransportService.HDLC, address=b"optical") as pushing:
        assert "host:port" in (await pushing.push()).reason


async def test_a_server_that_closes_ends_its_pushes():
    async def take(reader, writer):
        await asyncio.Event().wait()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    async with Pushing(server.sockets[0].getsockname()[1], method=OperationMethod.CONFIRMED) as pushing:
        pushing.agenda.push(pushing.setup, asyncio.get_running_loop().time())
    assert not pushing.meter.watchers
    server.close()
