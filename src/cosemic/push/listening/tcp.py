"""TCP and TLS servers: thousands of connections, each a decoder and nothing else; no task and no timer of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from typing import TYPE_CHECKING, cast

from cosemic.push.listening.addresses import cannot_listen, network_of, place_of, plain_address
from cosemic.push.listening.confirmation import confirmation
from cosemic.push.listening.intake import Decoder, Intake, Origin
from cosemic.push.listening.urls import SourceUrl
from cosemic.push.messages import Push, Undecoded

if TYPE_CHECKING:
    import ssl

_CHUNK = 16 * 1024
_BACKLOG = 4096
_HANDSHAKE = 15.0
_MOST_UNREAD = 64 * 1024
"""Octets of confirmations that a meter may leave unread."""


class TcpSource:
    """One listening port."""

    def __init__(self, url: SourceUrl, intake: Intake) -> None:
        self.url = url
        self.intake = intake
        self.connections: set[Connection] = set()
        self.per_address: Counter[str] = Counter()
        self.held = 0
        self.buffer = memoryview(bytearray(_CHUNK))
        self.handshakes: set[asyncio.Task[None]] = set()
        self.context: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None

    async def open(self) -> list[str]:
        """Listen; the places, with the port that the system chose. LinkError where that is not possible."""
        url = self.url
        if url.kind == "tls":
            from cosemic.transports.certificates import server_context

            self.context = server_context(url.certificate, url.key, client_ca_file=url.client_ca)
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: Connection(self), url.host, url.port, backlog=_BACKLOG)
        except OSError as error:
            raise cannot_listen(url, error) from error
        return [place_of(url.kind, item.getsockname()) for item in self._server.sockets]

    def stop(self) -> None:
        """Take no more connections and read no more; what has come can still be confirmed."""
        if self._server is not None:
            self._server.close()
        for task in self.handshakes:
            task.cancel()
        for connection in self.connections:
            connection.pause()

    async def close(self) -> None:
        """End the connections, and wait until everything has let go of its socket."""
        for connection in list(self.connections):
            connection.end_in_order()
        await asyncio.sleep(0)
        for connection in list(self.connections):
            connection.abort()
        await asyncio.gather(*self.handshakes, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    def make_room(self) -> None:
        """Close the connection that has begun most, while all of them together are over the limit."""
        while self.held > self.intake.limits.octets_held:
            largest = max(self.connections, key=lambda connection: connection.begun_octets)
            if not largest.begun_octets:
                return
            largest.end("octets held", "it has begun most of what waits for its end")


class Connection(asyncio.BufferedProtocol):
    """One meter that has connected."""

    __slots__ = (
        "_aside", "_begun", "_decoder", "_early", "_failed_in_a_row", "_has_given", "_heard", "_is_idle", "_is_over",
        "_key", "_origin", "_source", "_transport", "begun_octets", "slot",
    )  # fmt: skip

    def __init__(self, source: TcpSource) -> None:
        self._source = source
        self._transport: asyncio.Transport | None = None
        self._decoder: Decoder | None = None
        self.slot: int | None = None
        self.begun_octets = 0
        self._aside: bytes | None = None  # came while the queue was full
        self._early: bytes | None = None  # came through TLS before its transport did, without which nothing is answered
        self._begun: float | None = None  # when the telegram that is not whole yet began
        self._heard = 0.0
        self._has_given = False
        self._is_idle = True
        self._is_over = False  # the end of the stream came while the queue was full
        self._failed_in_a_row = 0
        self._key: str | None = None

    # -- called by the transport ---------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        source, intake = self._source, self._source.intake
        limits, statistics = intake.limits, intake.statistics
        peer = transport.get_extra_info("peername")
        if not peer:  # gone already
            self._transport.abort()
            return
        key = network_of(peer[0])
        if intake.is_stopping:
            self._transport.abort()
            return
        if statistics.connections >= limits.connections:
            self._refuse("connections", f"{limits.connections} connections are open already")
            return
        if source.per_address[key] >= limits.connections_per_address:
            self._refuse("connections_per_address", f"{key} has {limits.connections_per_address} connections already")
            return
        url = source.url
        self._origin = Origin(place_of(url.kind, peer), url.kind, plain_address(peer[0]), url.framing)
        self._key = key
        source.per_address[key] += 1
        source.connections.add(self)
        statistics.connections += 1
        statistics.accepted += 1
        self._heard = self._begun = intake.wheel.time()
        intake.wheel.watch(self, self._heard + limits.seconds_to_first_telegram)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if source.context is not None:
            self._transport.pause_reading()  # what comes belongs to TLS
            self._early = b""
            task = asyncio.get_running_loop().create_task(self._shake_hands(source.context))
            source.handshakes.add(task)
            task.add_done_callback(source.handshakes.discard)

    def get_buffer(self, sizehint: int) -> memoryview:
        # One buffer for all: what was read is taken out of it before anybody else reads.
        return self._source.buffer

    def buffer_updated(self, nbytes: int) -> None:
        octets = bytes(self._source.buffer[:nbytes])
        if self._early is not None:
            self._early += octets
        elif self._source.intake.is_crowded:
            self._set_aside(octets)
        else:
            self._take(octets)

    def eof_received(self) -> bool:
        if self._aside is not None or self._early is not None:
            self._is_over = True
            return True  # keep it open until what was put aside is read
        self._end_of_stream()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._key is None:
            return
        source, intake = self._source, self._source.intake
        if self._aside is None:
            self._end_of_stream()
        self._transport = None
        self._settle()
        source.connections.discard(self)
        source.per_address[self._key] -= 1
        if not source.per_address[self._key]:
            del source.per_address[self._key]
        self._key = None
        intake.statistics.connections -= 1
        intake.wheel.forget(self)

    # -- back-pressure -------------------------------------------------------------------------------------------------
    def _set_aside(self, octets: bytes) -> None:
        if self._aside is None:
            self._aside = octets
            self._source.intake.pause(self)
            if self._transport is not None and not self._transport.is_closing():
                self._transport.pause_reading()
        else:
            self._aside += octets

    def go_on(self) -> None:
        """There is room again."""
        octets, self._aside = self._aside, None
        transport = self._transport
        now = self._source.intake.wheel.time()
        if self._begun is not None:
            self._begun += now - self._heard  # the wait was ours
        if octets:
            self._take(octets)
        if self._is_over or transport is None:
            self._end_of_stream()
            self._settle()
            if transport is not None:
                transport.close()
        elif not transport.is_closing() and not self._source.intake.is_stopping:
            transport.resume_reading()

    # -- decoding ------------------------------------------------------------------------------------------------------
    def _take(self, octets: bytes) -> None:
        source = self._source
        intake = source.intake
        limits = intake.limits
        now = self._heard = intake.wheel.time()
        intake.octets_came(self._origin, octets)
        if self._begun is None:
            self._begun = now
        if self._is_idle:
            self._is_idle = False
            intake.wheel.watch(self, now + source.url.idle_after)
        try:
            if self._decoder is None:
                self._decoder = intake.decoder_of(self._origin)
            items = self._decoder.feed(octets)
        except Exception as error:
            self._forget_decoder(error)
            return
        if intake.take(self._origin, items, confirm=self._confirm):
            self._has_given = True
            self._begun = now  # of the next one some may have come too; silence tells that it has not
            self._settle()
            for item in items:
                if isinstance(item, Push):
                    self._failed_in_a_row = 0
                elif isinstance(item, Undecoded):
                    self._failed_in_a_row += 1
            if self._failed_in_a_row >= limits.undecoded_in_a_row:
                self.end("undecoded_in_a_row", f"{self._failed_in_a_row} telegrams in a row gave no reading")
            return
        self.begun_octets += len(octets)
        source.held += len(octets)
        if self.begun_octets > limits.octets_without_telegram:
            self.end("octets_without_telegram", f"{self.begun_octets} octets came without a whole telegram")
        elif source.held > limits.octets_held:
            source.make_room()

    def _confirm(self, push: Push) -> None:
        statistics = self._source.intake.statistics
        answer = confirmation(push)
        transport = self._transport
        if answer is None or transport is None or transport.is_closing():
            statistics.unconfirmed += 1
            return
        if transport.get_write_buffer_size() > _MOST_UNREAD:
            self.end("unread", "it does not read the confirmations that it asks for")
            return
        transport.write(answer)
        statistics.confirmed += 1

    def _end_of_stream(self) -> None:
        decoder, self._decoder = self._decoder, None
        if decoder is None:
            return
        try:
            self._source.intake.take(self._origin, decoder.end())
        except Exception as error:
            self._forget_decoder(error)

    def _forget_decoder(self, error: Exception) -> None:
        self._decoder = None
        self._settle()
        self._source.intake.failed(self._origin, error)

    def _settle(self) -> None:
        """Nothing is begun any more."""
        self._source.held -= self.begun_octets
        self.begun_octets = 0

    # -- time ----------------------------------------------------------------------------------------------------------
    def on_time(self, now: float) -> float | None:
        """Called by the wheel: whether it is silent, or takes too long."""
        if self._key is None:
            return None
        limits = self._source.intake.limits
        idle_after = self._source.url.idle_after
        if self._aside is not None:
            return now + idle_after
        if not self._is_idle and now >= self._heard + idle_after:
            self._on_idle()
        if self._begun is not None:
            patience = limits.seconds_for_telegram if self._has_given else limits.seconds_to_first_telegram
            patience = max(patience, idle_after) if self._has_given else patience
            if now >= self._begun + patience:
                name = "seconds_for_telegram" if self._has_given else "seconds_to_first_telegram"
                self.end(name, f"no whole telegram came within {patience:g} s")
                return None
        if now >= self._heard + limits.seconds_silent:
            self.end("seconds_silent", f"nothing came for {limits.seconds_silent:g} s")
            return None
        due = self._heard + limits.seconds_silent
        if not self._is_idle:
            due = min(due, self._heard + idle_after)
        if self._begun is not None:
            due = min(due, self._begun + patience)
        return due

    def _on_idle(self) -> None:
        self._is_idle = True
        if self._has_given:
            self._begun = None
        self._settle()
        if self._decoder is None:
            return
        try:
            if self._source.intake.take(self._origin, self._decoder.idle()):
                self._has_given = True
                self._begun = None
        except Exception as error:
            self._forget_decoder(error)

    # -- the end -------------------------------------------------------------------------------------------------------
    def end(self, limit: str, why: str) -> None:
        """Close it for a limit that it broke."""
        intake = self._source.intake
        intake.statistics.closed[limit] += 1
        intake.warn(f"closed {limit}", f"{self._origin.source} closed: {why} (limit {limit})")
        self._settle()
        self.abort()

    def pause(self) -> None:
        """Read no more."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def end_in_order(self) -> None:
        """Close it once everything that was written has gone, if that is at once."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    def _refuse(self, limit: str, why: str) -> None:
        intake = self._source.intake
        intake.statistics.refused[limit] += 1
        intake.warn(f"refused {limit}", f"{self._source.url}: a connection turned away: {why} (limit {limit})")
        self.abort()

    async def _shake_hands(self, context: ssl.SSLContext) -> None:
        """TLS on a connection that is counted already, so that half of a handshake is a connection too."""
        raw = self._transport
        if raw is None:
            return
        loop = asyncio.get_running_loop()
        secure: asyncio.Transport | None = None
        try:
            secure = await loop.start_tls(
                raw, self, context, server_side=True, ssl_handshake_timeout=_HANDSHAKE, ssl_shutdown_timeout=1.0
            )
        except OSError as error:
            intake = self._source.intake
            intake.statistics.closed["TLS handshake"] += 1
            intake.warn("TLS handshake", f"{self._origin.source} closed: TLS: {error or type(error).__name__}")
        finally:
            if secure is None:  # also when it was cancelled
                raw.abort()
                self.connection_lost(None)
        if secure is None:
            return
        if self._key is None:  # lost in the meantime
            secure.abort()
            return
        self._transport = secure
        early, self._early = self._early, None
        if early:
            self._take(early)
        if self._is_over:
            self._end_of_stream()
            secure.close()
