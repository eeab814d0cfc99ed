"""Sends what a ``PushAgenda`` has: connects to the destination, writes, waits for a confirmation where one is due.

Every delivery is a task of its own with the deadline that the agenda gave it: a destination that does not answer keeps
neither the other pushes nor the meter's clients waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from cosemic.cosem.push_objects import TransportService
from cosemic.errors import LinkError
from cosemic.meter.push_setup import host_and_port
from cosemic.meter.pushing import Delivery, PushAgenda, logger
from cosemic.transports.streams import Stream
from cosemic.transports.targets import Framing, Target
from cosemic.transports.udp import open_udp

_PIECE = 4096


class PushSender:
    """The asyncio side of an agenda; one for each. ``run`` it in a task, and cancel that to stop.

    ``lines`` are streams by name (a serial line that is open, say) for pushes by HDLC or M-Bus whose destination is
    such a name instead of ``host:port``; they are not closed.
    """

    def __init__(self, agenda: PushAgenda, *, lines: Mapping[str, Stream] | None = None) -> None:
        self.agenda = agenda
        self._lines = dict(lines or {})
        self._busy = {name: asyncio.Lock() for name in self._lines}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Push until cancelled."""
        self._loop = loop = asyncio.get_running_loop()
        agenda = self.agenda
        agenda.meter.watchers.append(self._wake)
        try:
            async with asyncio.TaskGroup() as sending:
                while True:
                    self._woken.clear()
                    agenda.on_time(loop.time())
                    for delivery in agenda.deliveries():
                        sending.create_task(self._deliver(delivery))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout_at(agenda.next_deadline()):
                            await self._woken.wait()
        finally:
            agenda.meter.watchers.remove(self._wake)
            agenda.close()

    def _wake(self) -> None:
        """Look at the agenda now; from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    async def _deliver(self, delivery: Delivery) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(delivery.deadline):
                await self._send(delivery)
        except TimeoutError:
            self.agenda.failed(delivery, "the client did not take it, or not confirm it, in time", loop.time())
        except (OSError, ValueError) as error:
            self.agenda.failed(delivery, str(error), loop.time())
        except Exception as error:
            # A stream of somebody's own that breaks in a way of its own must not end the other pushes.
            logger.exception("a push could not be sent")
            self.agenda.failed(delivery, f"{type(error).__name__}", loop.time())
        self._woken.set()

    async def _send(self, delivery: Delivery) -> None:
        destination = delivery.destination
        name = destination.address.decode("ascii", "replace")
        if name in self._lines:
            if destination.service not in (TransportService.HDLC, TransportService.M_BUS):
                raise ValueError(f"the line {name!r} takes pushes by HDLC and M-Bus only")
            async with self._busy[name]:
                for frame in delivery.frames:
                    await self._lines[name].send(frame)
            self._delivered(delivery)
        elif destination.service == TransportService.UDP:
            await self._send_datagrams(delivery)
        else:
            await self._send_stream(delivery)

    async def _send_datagrams(self, delivery: Delivery) -> None:
        loop = asyncio.get_running_loop()
        host, port = host_and_port(delivery.destination)
        stream = await open_udp(Target("udp", Framing.WRAPPER, host, port))
        try:
            for datagram in delivery.frames:
                await stream.send(datagram)
            until = self._delivered(delivery)
            if delivery.is_confirmed:
                async with asyncio.timeout_at(until):
                    while not self.agenda.received(delivery, await _some(stream), loop.time()):
                        pass
        finally:
            stream.close()

    async def _send_stream(self, delivery: Delivery) -> None:
        loop = asyncio.get_running_loop()
        host, port = host_and_port(delivery.destination)
        reader, writer = await asyncio.open_connection(host, port)
        is_over = False
        try:
            writer.write(b"".join(delivery.frames))
            await writer.drain()
            if delivery.wants_receipt:
                writer.write_eof()
                while await reader.read(_PIECE):
                    pass  # what the client says is not what is waited for: that it has closed is
            if delivery.is_confirmed:
                until = self._delivered(delivery)
                async with asyncio.timeout_at(until):
                    while not self.agenda.received(delivery, await _piece(reader), loop.time()):
                        pass
            writer.close()
            await writer.wait_closed()
            is_over = True
        finally:
            if not is_over:
                writer.transport.abort()
        if not delivery.is_confirmed:
            self._delivered(delivery)

    def _delivered(self, delivery: Delivery) -> float | None:
        """Tell the agenda, whose next deadline is another one now; until when a confirmation may come."""
        until = self.agenda.delivered(delivery, asyncio.get_running_loop().time())
        self._woken.set()
        return until


async def _piece(reader: asyncio.StreamReader) -> bytes:
    octets = await reader.read(_PIECE)
    if not octets:
        raise LinkError("the client closed the connection before it confirmed the push")
    return octets


async def _some(stream: Stream) -> bytes:
    octets = await stream.receive()
    if not octets:
        raise LinkError("nobody takes datagrams there")
    return octets
