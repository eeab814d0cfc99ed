"""TCP, and whatever else has an asyncio transport for a stream of octets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import cast

from cosemic.errors import LinkLost
from cosemic.transports.inbox import Inbox
from cosemic.transports.targets import Target, cannot_connect

_HIGH_WATER = 256 * 1024


class TransportStream(Inbox, asyncio.Protocol):
    """A Stream on an asyncio transport. Octets nobody asks for are bounded: the transport is told to pause.

    A server says with ``accepted`` what to do with the stream of a client.
    """

    __slots__ = ("_accepted", "_closed", "_full", "_room", "_transport")

    def __init__(self, accepted: Callable[[TransportStream], object] | None = None) -> None:
        Inbox.__init__(self)
        self._accepted = accepted
        self._transport: asyncio.Transport | None = None
        self._closed: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._full = False

    async def send(self, data: bytes, deadline: float | None = None) -> None:
        """Send ``data``, waiting for room where the other side does not take it."""
        if self._whole or self._transport is None:
            raise LinkLost(f"connection lost: {self._error or 'closed by the other side'}")
        if self._full:
            await self._wait_for_room(deadline)
        self._transport.write(data)

    def close(self) -> None:
        """Release the transport at once; octets that the other side did not take are dropped."""
        transport = self._transport
        if transport is None:
            return
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()
        self._finish(None)

    async def wait_closed(self) -> None:
        """Wait until the transport has let go of its file descriptor."""
        if self._transport is not None:
            if self._closed is None:
                self._closed = self._loop.create_future()
            await asyncio.shield(self._closed)

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._accepted is not None:
            self._accepted(self)

    def data_received(self, data: bytes) -> None:
        self._deliver(data)
        if self._held > _HIGH_WATER and self._transport is not None:
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._finish(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._finish(exc)
        self._make_room()
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._make_room()

    def _drained(self) -> None:
        if self._held <= _HIGH_WATER and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _make_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    async def _wait_for_room(self, deadline: float | None) -> None:
        while self._full and self._transport is not None:
            room = self._room
            if room is None or room.done():
                room = self._room = self._loop.create_future()
            async with asyncio.timeout_at(deadline):
                await asyncio.shield(room)  # others may wait for the same
        if self._transport is None:
            raise LinkLost(f"connection lost: {self._error or 'closed by the other side'}")


async def open_tcp(target: Target) -> TransportStream:
    """Connect to a TCP port; the address families that the name has are tried side by side (RFC 8305)."""
    loop = asyncio.get_running_loop()
    try:
        transport, stream = await loop.create_connection(
            TransportStream, target.host, target.port, happy_eyeballs_delay=0.25
        )
    except OSError as error:
        raise cannot_connect(target, error) from error
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return stream
