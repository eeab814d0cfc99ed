"""The sockets of a served meter: one TCP connection, one UDP port; octets in, answers straight out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cosemic.apdu.base import Apdu
from cosemic.meter.connections import WrapperConnection, logger
from cosemic.transports.targets import Framing

if TYPE_CHECKING:
    from cosemic.meter.server import MeterServer

MOST_WAITING = 1 << 20
"""Octets that a client may leave unread before a push to it is given up, and the connection with it."""


class TcpConnection(asyncio.Protocol):
    """One TCP connection: octets straight into the meter's side, answers straight out; no task, one lazy timer."""

    __slots__ = ("_connection", "_heard", "_is_full", "_loop", "_push_due", "_server", "_timer", "_transport")

    def __init__(self, server: MeterServer, framing: Framing) -> None:
        self._server = server
        self._connection = server.new_connection(framing)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._is_full = False
        self._push_due: float | None = None  # when a client that does not read is given up

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        server = self._server
        if len(server.connections) >= server.max_connections:
            logger.warning("connection turned away: there are %d already", server.max_connections)
            self._transport.abort()
            return
        server.connections.add(self._transport)
        self._heard = self._loop.time()
        self._arm(self._heard + server.idle_timeout)

    def data_received(self, data: bytes) -> None:
        transport, connection = self._transport, self._connection
        if transport is None or transport.is_closing():
            return
        now = self._heard = self._loop.time()
        out = connection.receive_data(data, now)
        if out:
            transport.write(out)
        if connection.is_broken:
            transport.close()
            return
        due = connection.next_deadline()
        if due is not None:
            self._arm(due)

    def notify(self, client_sap: int, server_sap: int, apdu: Apdu, now: float) -> bool:
        """Push an APDU; False where no association is open, or the client does not read: it is disconnected then."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        out = self._connection.notify(client_sap, server_sap, apdu, now)
        if not out:
            return False
        waiting = transport.get_write_buffer_size()
        if waiting > MOST_WAITING:
            logger.warning("connection closed: the client has not read %d octets that wait for it", waiting)
            transport.abort()
            return False
        transport.write(b"".join(out))
        if self._is_full and self._push_due is None:
            self._push_due = now + self._server.push_timeout
            self._arm(self._push_due)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._connection.close()
        if self._transport is not None:
            self._server.connections.discard(self._transport)
        self._transport = None

    def pause_writing(self) -> None:
        # A client that asks and does not listen is not asked for more.
        self._is_full = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_full = False
        self._push_due = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _arm(self, due: float) -> None:
        timer = self._timer
        if timer is not None:
            if timer.when() <= due:
                return
            timer.cancel()
        self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._transport is None:
            return
        now = self._loop.time()
        idle = self._heard + self._server.idle_timeout
        if now >= idle:
            logger.info("connection closed: nothing heard for %g s", self._server.idle_timeout)
            self._transport.abort()
            return
        if self._push_due is not None and now >= self._push_due:
            logger.warning("connection closed: a push was not taken within %g s", self._server.push_timeout)
            self._transport.abort()
            return
        due = self._connection.next_deadline()
        if due is not None and now >= due:
            out = self._connection.on_time(now)
            if out:
                self._transport.write(out)
            due = self._connection.next_deadline()
        self._arm(min(point for point in (due, idle, self._push_due) if point is not None))


@dataclass(slots=True)
class _Peer:
    connection: WrapperConnection
    heard: float


class UdpPeers(asyncio.DatagramProtocol):
    """One UDP port. Peers are told apart by their address; the longest silent one goes when there are too many."""

    __slots__ = ("_loop", "_peers", "_server", "_transport")

    def __init__(self, server: MeterServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._peers: dict[tuple[str | object, int], _Peer] = {}
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        now = self._loop.time()
        peer = self._peers.pop(addr, None)
        if peer is not None and now - peer.heard > self._server.idle_timeout:
            peer.connection.close()
            peer = None
        if peer is None:
            while len(self._peers) >= self._server.max_connections:
                self._peers.pop(next(iter(self._peers))).connection.close()
            peer = _Peer(self._server.new_datagram_connection(), now)
        self._peers[addr] = peer  # last in the order of the dict
        peer.heard = now
        answers = peer.connection.receive_datagram(data, now)
        if self._transport is not None:
            for answer in answers:
                self._transport.sendto(answer, addr)

    def notify(self, client_sap: int, server_sap: int, apdu: Apdu, now: float) -> int:
        """Push an APDU to the clients that have an association open: how many they are."""
        count = 0
        for address, peer in self._peers.items():
            datagrams = peer.connection.notify(client_sap, server_sap, apdu, now)
            if self._transport is not None and datagrams:
                count += 1
                for datagram in datagrams:
                    self._transport.sendto(datagram, address)
        return count

    def connection_lost(self, exc: Exception | None) -> None:
        for peer in self._peers.values():
            peer.connection.close()
        self._peers.clear()
        self._transport = None
