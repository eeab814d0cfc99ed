"""UDP: one wrapper PDU a datagram (IEC 62056-47); whether one got lost, the session finds out."""

from __future__ import annotations

import asyncio
from typing import cast

from cosemic.errors import LinkLost
from cosemic.transports.inbox import Inbox
from cosemic.transports.targets import Target, cannot_connect

_MOST_HELD = 256 * 1024


class UdpStream(Inbox, asyncio.DatagramProtocol):
    """A Stream whose ``send`` sends one datagram and whose ``receive`` gives one; only the meter's are seen."""

    __slots__ = ("_transport",)

    def __init__(self) -> None:
        Inbox.__init__(self)
        self._transport: asyncio.DatagramTransport | None = None

    async def send(self, data: bytes, deadline: float | None = None) -> None:
        """Send one datagram; it may get lost."""
        if self._transport is None or self._whole:
            raise LinkLost("the UDP socket is closed")
        self._transport.sendto(data)

    def close(self) -> None:
        """Release the socket."""
        if self._transport is not None:
            self._transport.abort()
            self._finish(None)

    # Called by the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data and self._held < _MOST_HELD:  # an empty datagram is no end of the stream
            self._deliver(data)

    def error_received(self, exc: Exception) -> None:
        self._finish(exc)  # an ICMP message: nobody listens there

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._finish(exc)


async def open_udp(target: Target) -> UdpStream:
    """A UDP socket that is connected to the meter's address, or may send to a broadcast address."""
    loop = asyncio.get_running_loop()
    address = (target.host, target.port)
    try:
        try:
            _, stream = await loop.create_datagram_endpoint(UdpStream, remote_addr=address)
        except PermissionError:  # what the system says to a broadcast address; such a socket is not connected
            _, stream = await loop.create_datagram_endpoint(UdpStream, remote_addr=address, allow_broadcast=True)
    except OSError as error:
        raise cannot_connect(target, error) from error
    return stream
