"""One connection to an MQTT broker: publishes with confirmation, reads back what is retained, notices its own end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from cosemic.delivery.mqtt_packets import (
    DISCONNECT,
    PING,
    Acknowledged,
    Connected,
    Event,
    PacketError,
    PacketReader,
    Published,
    acknowledge,
    connect,
    publish,
    refusal,
    subscribe,
    unsubscribe,
)
from cosemic.delivery.outputs import OutputUnavailable

_log = logging.getLogger("cosemic.delivery")


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is and who we are there. ``client_id`` is to be our own: a broker lets in one of each."""

    host: str
    port: int
    client_id: str
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: float = 10.0
    keepalive: int = 30

    @classmethod
    def parse(
        cls,
        url: str,
        client_id: str,
        *,
        user: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        timeout: float = 10.0,
    ) -> Broker:
        """From ``mqtt://[user@]host[:port]`` or ``mqtts://…`` (TLS, verified); ValueError says what is wrong."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"{url!r} is no URL of a broker: {error}") from None
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("a broker is written as mqtt://HOST, mqtt://HOST:PORT, or mqtts://HOST for TLS")
        if parts.password is not None:
            raise ValueError("no password in the URL of a broker, where others read it; give env:NAME or file:PATH")
        tls = None
        if parts.scheme == "mqtts":
            try:
                tls = ssl.create_default_context(cafile=ca_file)
            except (OSError, ssl.SSLError) as error:
                raise ValueError(f"the certificates in {ca_file} cannot be read: {error}") from None
        user = user or (unquote(parts.username) if parts.username else None)
        return cls(parts.hostname, port or _PORTS[parts.scheme], client_id, tls, user, password, timeout)

    @property
    def address(self) -> str:
        """The broker as messages name it."""
        return f"MQTT broker {self.host}:{self.port}"


class MqttConnection(asyncio.Protocol):
    """A connection that lives until the broker, the network or ``close`` ends it; a new one takes over nothing.

    That is on purpose: what repeats by itself what is not confirmed repeats it also when the broker has it.
    Confirmations that had arrived when it broke are taken in all the same.

    ``on_message`` gets what comes under the subscriptions; a text that it returns holds our confirmation back until
    ``release`` is called with it. ``echoes`` are subscriptions that we can do without.
    """

    def __init__(
        self,
        broker: Broker,
        status_topic: str,
        subscriptions: Sequence[str] = (),
        echoes: Sequence[str] = (),
        on_message: Callable[[str, bytes], str | None] | None = None,
    ) -> None:
        self.broker = broker
        self._on_message = on_message
        self._echoes = tuple(echoes)
        self._held: dict[str, int] = {}
        self._status_topic = status_topic
        self._fence_topic = f"{status_topic}/{broker.client_id}"
        self._subscriptions = (self._fence_topic, *subscriptions)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._spare: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reader = PacketReader()
        self._answer: asyncio.Future[int] = self._loop.create_future()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._trouble = "the connection has ended"
        self._packet = 0
        self._pending: dict[int, asyncio.Future[bytes]] = {}
        self._retained: dict[str, bytes] | None = None
        self._fence: tuple[bytes, asyncio.Future[bytes]] | None = None
        self._is_answered = True
        self._can_read = True

    @property
    def is_open(self) -> bool:
        """Whether it lives."""
        return self._transport is not None and not self._ended.done()

    async def open(self) -> None:
        """Connect and say that we are there; OutputUnavailable when that fails."""
        broker = self.broker
        try:
            async with asyncio.timeout(broker.timeout):
                await self._loop.create_connection(lambda: self, broker.host, broker.port, ssl=broker.tls)
                will = (self._status_topic, b"offline")
                self._write(connect(broker.client_id, broker.keepalive, will, broker.user, broker.password))
                await asyncio.wait((self._answer, self._ended), return_when=asyncio.FIRST_COMPLETED)
                if not self._answer.done():
                    raise self._unavailable(self._trouble)
                if self._answer.result():
                    raise self._unavailable(refusal(self._answer.result()))
                refused = await self._subscribe((*self._subscriptions, *self._echoes), 1)
                if refused:
                    self._cannot_read(refused[0])
                await self.publish([(self._status_topic, "online", True)])[0]
        except OutputUnavailable:
            await self._end()
            raise
        except (TimeoutError, OSError) as error:
            await self._end()
            raise self._unavailable(_words(error)) from None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """For asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self.broker.tls is None:
            self._spare = transport.get_extra_info("socket").dup()
        self._timer = self._loop.call_later(self.broker.keepalive / 2, self._look_after)

    def data_received(self, data: bytes) -> None:
        """For asyncio."""
        self._is_answered = True
        try:
            for event in self._reader.feed(data):
                self._take(event)
            self._hurry()
        except PacketError as error:
            self._fail(f"what answers speaks no MQTT: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """For asyncio."""
        if exc is not None:
            self._trouble = _words(exc)
        self._take_the_rest()
        if self._timer is not None:
            self._timer.cancel()
        waiting = [*self._pending.values(), *([] if self._fence is None else [self._fence[1]])]
        self._pending.clear()
        for future in waiting:
            if not future.done():
                future.set_exception(self._unavailable(self._trouble))
        if not self._ended.done():
            self._ended.set_result(0)

    def _hurry(self) -> None:
        """Have TCP acknowledge at once: a broker that waits for that holds its next packet back for 40 ms (Nagle)."""
        if self._transport is not None and hasattr(socket, "TCP_QUICKACK"):
            with contextlib.suppress(OSError):
                self._transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _take_the_rest(self) -> None:
        """What has arrived and was not read: after an error in writing, asyncio reads no more."""
        spare, self._spare = self._spare, None
        if spare is None:
            return
        with spare, contextlib.suppress(OSError, PacketError):
            spare.setblocking(False)
            while octets := spare.recv(_CHUNK):
                for event in self._reader.feed(octets):
                    if isinstance(event, Acknowledged):
                        self._take(event)

    def _look_after(self) -> None:
        """Ask the broker whether it is there when it was silent for a while, and end it when it was so twice."""
        if not self._is_answered:
            self._fail("the broker does not answer any more")
            return
        self._is_answered = False
        with contextlib.suppress(OutputUnavailable):
            self._write(PING)
        self._timer = self._loop.call_later(self.broker.keepalive / 2, self._look_after)

    def _fail(self, trouble: str) -> None:
        self._trouble = trouble
        if self._transport is not None:
            self._transport.abort()

    def publish(self, messages: Sequence[tuple[str, str, bool]]) -> list[asyncio.Future[bytes]]:
        """Send topics, texts and whether to retain them, with QoS 1, in one go and in this order.

        A future for each, done when the broker has confirmed; OutputUnavailable comes out of it when it has not.
        """
        packets: list[bytes] = []
        futures: list[asyncio.Future[bytes]] = []
        if not self.is_open:
            raise self._unavailable(self._trouble)
        for topic, text, retain in messages:
            packet, future = self._expect()
            packets.append(publish(topic, text.encode("utf-8", "replace"), packet, retain=retain))
            futures.append(future)
        self._write(b"".join(packets))
        return futures

    async def read_back(self, topics: Sequence[str]) -> dict[str, bytes]:
        """What is retained under topics now; one that nothing is retained under is left out. One call at a time."""
        if not self._can_read:
            return {}
        fence = self._loop.create_future()
        self._fence = (secrets.token_bytes(8).hex().encode(), fence)
        self._watch(fence)
        found: dict[str, bytes] = {}
        try:
            async with asyncio.timeout(self.broker.timeout):
                self._retained = found
                for begin in range(0, len(topics), _AT_ONCE):
                    await self._subscribe(topics[begin : begin + _AT_ONCE], 0)
                # A broker serves one client in order: what it has retained comes before the echo of this.
                packet, future = self._expect()
                self._write(publish(self._fence_topic, self._fence[0], packet))
                await future
                await asyncio.wait([fence], timeout=_ECHO)
                if not fence.done():
                    self._cannot_read(self._fence_topic)
                    return {}
                await fence
                for begin in range(0, len(topics), _AT_ONCE):
                    packet, future = self._expect()
                    self._write(unsubscribe(packet, topics[begin : begin + _AT_ONCE]))
                    await future
        except TimeoutError:
            raise self._unavailable("no answer") from None
        finally:
            self._retained = self._fence = None
        return found

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Say that we are gone, and end it; in order where the broker answers."""
        try:
            async with asyncio.timeout(self.broker.timeout):
                await self.publish([(self._status_topic, "offline", True)])[0]
                self._write(DISCONNECT)
        except (TimeoutError, OutputUnavailable):
            pass  # the last will says it
        await self._end()

    def _take(self, event: Event) -> None:
        if isinstance(event, Connected):
            if not self._answer.done():
                self._answer.set_result(event.code)
        elif isinstance(event, Acknowledged):
            future = self._pending.pop(event.packet, None)
            if future is not None and not future.done():
                future.set_result(event.codes)
        elif isinstance(event, Published):
            held: str | None = None
            if self._fence is not None and event.topic == self._fence_topic and event.payload == self._fence[0]:
                if not self._fence[1].done():
                    self._fence[1].set_result(b"")
            elif event.is_retained and self._retained is not None:
                self._retained[event.topic] = event.payload
            elif self._on_message is not None:
                held = self._on_message(event.topic, event.payload)
            if held is not None and event.packet:
                self._held[held] = event.packet
            elif event.packet:
                self._confirm(event.packet)

    def release(self, held: str) -> None:
        """Confirm what was held back under this text, if anything was."""
        packet = self._held.pop(held, None)
        if packet is not None:
            self._confirm(packet)

    def _confirm(self, packet: int) -> None:
        with contextlib.suppress(OutputUnavailable):
            self._write(acknowledge(packet))

    async def _subscribe(self, topics: Sequence[str], qos: int) -> list[str]:
        """Subscribe; the topics that the broker does not let us read."""
        packet, future = self._expect()
        self._write(subscribe(packet, topics, qos))
        codes = await future
        return [topic for topic, code in zip(topics, codes, strict=False) if code & 0x80]

    def _cannot_read(self, topic: str) -> None:
        self._can_read = False
        _log.warning(
            "%s does not let us read %s: after a broken connection messages may come twice; check its access rules",
            self.broker.address,
            topic,
        )

    def _expect(self) -> tuple[int, asyncio.Future[bytes]]:
        """A packet identifier that is free, and what is done when it is acknowledged."""
        for _ in range(0xFFFF):
            self._packet = self._packet % 0xFFFF + 1
            if self._packet not in self._pending:
                break
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._watch(future)
        self._pending[self._packet] = future
        return self._packet, future

    def _watch(self, future: asyncio.Future[bytes]) -> None:
        """An end of the connection that nobody waits for is not worth a complaint."""
        future.add_done_callback(lambda done: None if done.cancelled() else done.exception() and None)

    def _write(self, octets: bytes) -> None:
        if self._transport is None or self._transport.is_closing() or self._ended.done():
            raise self._unavailable(self._trouble)
        self._transport.write(octets)
        self._hurry()

    async def _end(self) -> None:
        if self._transport is not None:
            self._transport.close()
            await asyncio.wait([self._ended], timeout=1.0)
            self._transport.abort()
            await asyncio.wait([self._ended])

    def _unavailable(self, text: str) -> OutputUnavailable:
        address = self.broker.address
        return OutputUnavailable(text if text.startswith(address) else f"{address}: {text}")


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_AT_ONCE: Final = 100
_CHUNK: Final = 1 << 16
_ECHO: Final = 3.0
"""Seconds within which a broker that has confirmed a message hands it back to us, if it does so at all."""
