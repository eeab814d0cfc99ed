"""UDP servers: a datagram is a whole telegram, or one of the blocks or segments of its sender."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import cast

from cosemic.push.listening.addresses import cannot_listen, place_of, plain_address
from cosemic.push.listening.confirmation import confirmation
from cosemic.push.listening.intake import Decoder, Intake, Origin
from cosemic.push.listening.urls import SourceUrl
from cosemic.push.messages import Decoded, Push

_GENERAL_BLOCK_TRANSFER = 0xE0
_HEADER = 8
_VERSION = b"\x00\x01"
_FLAG = b"\x7e"
_FORMAT_AND_SEGMENTED = 0xA8
"""Frame format 3 with the segmentation bit (ISO/IEC 13239, 4.9): more frames belong to this one."""
_AT_ONCE = 50
_LARGEST = 65_536
_WATER = 1 << 22
"""Octets that the system may hold for us: bursts of thousands of datagrams."""


class _Sender:
    """Whoever sends in blocks or segments."""

    __slots__ = ("address", "decoder", "heard", "origin", "port", "slot")

    def __init__(self, port: UdpSource, address: tuple[str, int], origin: Origin, decoder: Decoder) -> None:
        self.port = port
        self.address = address
        self.origin = origin
        self.decoder = decoder
        self.heard = 0.0
        self.slot: int | None = None

    def decode(self, datagram: bytes) -> list[Decoded]:
        """What one more datagram completes."""
        found = self.decoder.feed(datagram)
        return found + self.decoder.end_of_datagram()

    def on_time(self, now: float) -> float | None:
        """Silent for long enough: the blocks that are missing are not going to come."""
        due = self.heard + self.port.url.idle_after
        if now < due:
            return due
        self.port.forget(self)
        return None


class UdpSource(asyncio.DatagramProtocol):
    """One port."""

    def __init__(self, url: SourceUrl, intake: Intake) -> None:
        self.url = url
        self.intake = intake
        self._transport: asyncio.DatagramTransport | None = None
        self._senders: dict[tuple[str, int], _Sender] = {}
        self._more: socket.socket | None = None
        self._second = 0
        self._bad = 0
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> list[str]:
        """Bind the port; LinkError where that is not possible."""
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.url.host, self.url.port))
        except OSError as error:
            raise cannot_listen(self.url, error) from error
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WATER)
            if os.name == "posix":
                self._more = socket.socket(fileno=os.dup(sock.fileno()))
                self._more.setblocking(False)
        return [place_of("udp", transport.get_extra_info("sockname"))]

    def stop(self) -> None:
        """Read no more; blocks that wait for others are told of, and what has come can still be confirmed."""
        for sender in list(self._senders.values()):
            self.forget(sender)

    async def close(self) -> None:
        """Release the port."""
        if self._transport is not None:
            self._transport.abort()
        elif not self._closed.done():
            self._closed.set_result(None)
        await self._closed

    # -- called by the transport ---------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._more is not None:
            self._more.close()
            self._more = None
        if not self._closed.done():
            self._closed.set_result(None)

    def error_received(self, exc: Exception) -> None:
        """An ICMP message to a confirmation of ours; the sender has gone."""

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._receive(data, addr)
        if self._more is None:
            return
        # A turn of the loop gives one datagram. In a burst the others are taken at once: the system holds few for us.
        for _ in range(_AT_ONCE):
            try:
                data, addr = self._more.recvfrom(_LARGEST)
            except OSError:  # no more of them
                return
            self._receive(data, addr)

    def _receive(self, data: bytes, addr: tuple[str, int]) -> None:
        intake = self.intake
        if intake.is_stopping:
            return
        intake.statistics.datagrams += 1
        if intake.is_full:
            intake.statistics.lost_datagrams += 1
            intake.warn("lost datagrams", f"{self.url}: datagrams are lost, as whoever takes the readings is too slow")
            return

        sender = self._senders.pop(addr, None)
        if sender is not None:
            self._senders[addr] = sender  # last in the order of the dict
            sender.heard = intake.wheel.time()
            intake.octets_came(sender.origin, data)
            self._take(sender.origin, lambda: sender.decode(data), addr)
            return
        origin = Origin(place_of("udp", addr), "udp", plain_address(addr[0]), self.url.framing)
        intake.octets_came(origin, data)
        if _is_part(data):
            self._begin(origin, data, addr)
            return

        def decode() -> list[Decoded]:
            decoder = intake.decoder_of(origin)
            found = decoder.feed(data)
            return found + decoder.end()

        self._take(origin, decode, addr)

    # -- blocks --------------------------------------------------------------------------------------------------------
    def _begin(self, origin: Origin, data: bytes, address: tuple[str, int]) -> None:
        while len(self._senders) >= self.intake.limits.datagram_senders:
            self.intake.statistics.closed["datagram_senders"] += 1
            self.forget(next(iter(self._senders.values())))
        sender = _Sender(self, address, origin, self.intake.decoder_of(origin))
        self._senders[address] = sender
        sender.heard = self.intake.wheel.time()
        self.intake.wheel.watch(sender, sender.heard + self.url.idle_after)
        self._take(origin, lambda: sender.decode(data), address)

    def forget(self, sender: _Sender) -> None:
        """Nothing more is expected of it."""
        self._senders.pop(sender.address, None)
        self.intake.wheel.forget(sender)
        self._take(sender.origin, sender.decoder.end, sender.address)

    def _take(self, origin: Origin, decode: Callable[[], list[Decoded]], address: tuple[str, int]) -> None:
        try:
            items = decode()
        except Exception as error:
            self.intake.failed(origin, error)
            return
        good = [item for item in items if isinstance(item, Push) or self._is_told()]
        self.intake.statistics.suppressed += len(items) - len(good)
        self.intake.take(origin, good, confirm=lambda push: self._confirm(push, address))

    def _is_told(self) -> bool:
        """Whether a datagram without a reading is told of: anybody may send those, as many as he likes."""
        second = int(self.intake.wheel.time())
        if second != self._second:
            self._second = second
            self._bad = 0
        self._bad += 1
        return self._bad <= self.intake.limits.bad_datagrams_per_second

    def _confirm(self, push: Push, address: tuple[str, int]) -> None:
        answer = confirmation(push)
        if answer is None or self._transport is None:
            self.intake.statistics.unconfirmed += 1
            return
        self._transport.sendto(answer, address)
        self.intake.statistics.confirmed += 1


def _is_part(data: bytes) -> bool:
    """Whether others follow it: a block of general block transfer, in the wrapper or without, or an HDLC segment."""
    if data[:1] == _FLAG:
        return len(data) > 1 and data[1] & 0xF8 == _FORMAT_AND_SEGMENTED
    tag = _HEADER if data[:2] == _VERSION else 0
    return len(data) > tag and data[tag] == _GENERAL_BLOCK_TRANSFER
