"""One connection to an MQTT broker: publishes with confirmation, reads back what is retained, notices its own end."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
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


class MqttConnection:
    """A connection that lives until the broker, the network or ``close`` ends it; a new one takes over nothing.

    That is on purpose: what repeats by itself what is not confirmed repeats it also when the broker has it.
    """

    def __init__(self, broker: Broker, status_topic: str, subscriptions: Sequence[str] = ()) -> None:
        self.broker = broker
        self.on_message: Callable[[str, bytes], None] | None = None
        self._status_topic = status_topic
        self._fence_topic = f"{status_topic}/{broker.client_id}"
        self._subscriptions = (self._fence_topic, *subscriptions)
        self._writer: asyncio.StreamWriter | None = None
        self._trouble = "the connection has ended"
        self._packet = 0
        self._pending: dict[int, asyncio.Future[bytes]] = {}
        self._retained: dict[str, bytes] | None = None
        self._fence: tuple[bytes, asyncio.Future[bytes]] | None = None
        self._is_answered = True
        self._reading: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it lives."""
        return self._reading is not None and not self._reading.done() and self._writer is not None

    async def open(self) -> None:
        """Connect and say that we are there; OutputUnavailable when that fails."""
        broker = self.broker
        reader = PacketReader()
        try:
            async with asyncio.timeout(broker.timeout):
                stream, self._writer = await asyncio.open_connection(broker.host, broker.port, ssl=broker.tls)
                will = (self._status_topic, b"offline")
                self._writer.write(connect(broker.client_id, broker.keepalive, will, broker.user, broker.password))
                events: list[Event] = []
                while not events:
                    octets = await stream.read(_CHUNK)
                    if not octets:
                        raise self._unavailable(
                            "the broker ends the connection at once; check that it speaks MQTT there"
                        )
                    events = reader.feed(octets)
                answer = events.pop(0)
                if not isinstance(answer, Connected):
                    raise self._unavailable("the broker answers with something else")
                if answer.code:
                    raise self._unavailable(refusal(answer.code))
                self._reading = asyncio.create_task(self._read(stream, reader), name=f"mqtt {broker.host}")
                for event in events:
                    self._take(event)
                await self._subscribe(self._subscriptions, 1)
                await self.publish([(self._status_topic, "online", True)])[0]
        except OutputUnavailable:
            await self._end()
            raise
        except (TimeoutError, OSError, PacketError) as error:
            await self._end()
            raise self._unavailable(_words(error)) from None

    def publish(self, messages: Sequence[tuple[str, str, bool]]) -> list[asyncio.Future[bytes]]:
        """Send topics, texts and whether to retain them, with QoS 1, in one go and in this order.

        A future for each, done when the broker has confirmed; OutputUnavailable comes out of it when it has not.
        """
        packets: list[bytes] = []
        futures: list[asyncio.Future[bytes]] = []
        for topic, text, retain in messages:
            packet, future = self._expect()
            packets.append(publish(topic, text.encode("utf-8", "replace"), packet, retain=retain))
            futures.append(future)
        self._write(b"".join(packets))
        return futures

    async def read_back(self, topics: Sequence[str]) -> dict[str, bytes]:
        """What is retained under topics now; one that nothing is retained under is left out. One call at a time."""
        self._retained = {}
        fence = asyncio.get_running_loop().create_future()
        self._fence = (secrets.token_bytes(8).hex().encode(), fence)
        self._watch(fence)
        found: dict[str, bytes] = {}
        try:
            async with asyncio.timeout(self.broker.timeout):
                self._retained = found
                for begin in range(0, len(topics), _AT_ONCE):
                    await self._subscribe(topics[begin : begin + _AT_ONCE], 0)
                # A broker serves one client in order: what it has retained comes before the echo of this.
                self._write(publish(self._fence_topic, self._fence[0]))
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

    async def close(self) -> None:
        """Say that we are gone, and end it; in order where the broker answers."""
        try:
            async with asyncio.timeout(self.broker.timeout):
                await self.publish([(self._status_topic, "offline", True)])[0]
                self._write(DISCONNECT)
        except (TimeoutError, OutputUnavailable):
            pass  # the last will says it
        await self._end()

    async def _read(self, stream: asyncio.StreamReader, reader: PacketReader) -> None:
        """Take what comes until the end; whoever waits for something is told."""
        try:
            while True:
                try:
                    async with asyncio.timeout(self.broker.keepalive / 2):
                        octets = await stream.read(_CHUNK)
                except TimeoutError:
                    if not self._is_answered:
                        raise PacketError("the broker does not answer any more") from None
                    self._is_answered = False
                    self._write(PING)
                    continue
                if not octets:
                    break
                self._is_answered = True
                for event in reader.feed(octets):
                    self._take(event)
        except (OSError, PacketError, OutputUnavailable) as error:
            self._trouble = _words(error)
        finally:
            if self._writer is not None:
                self._writer.transport.abort()
                self._writer = None
            waiting = [*self._pending.values(), *([] if self._fence is None else [self._fence[1]])]
            self._pending.clear()
            for future in waiting:
                if not future.done():
                    future.set_exception(self._unavailable(self._trouble))

    def _take(self, event: Event) -> None:
        if isinstance(event, Acknowledged):
            future = self._pending.pop(event.packet, None)
            if future is not None and not future.done():
                future.set_result(event.codes)
        elif isinstance(event, Published):
            if event.packet:
                self._write(acknowledge(event.packet))
            if self._fence is not None and event.topic == self._fence_topic and event.payload == self._fence[0]:
                if not self._fence[1].done():
                    self._fence[1].set_result(b"")
            elif event.is_retained and self._retained is not None:
                self._retained[event.topic] = event.payload
            elif self.on_message is not None:
                self.on_message(event.topic, event.payload)

    async def _subscribe(self, topics: Sequence[str], qos: int) -> None:
        packet, future = self._expect()
        self._write(subscribe(packet, topics, qos))
        codes = await future
        if any(code & 0x80 for code in codes):
            refused = [topic for topic, code in zip(topics, codes, strict=False) if code & 0x80]
            raise self._unavailable(f"the broker does not let us read {refused[0]}; check its access rules")

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
        if self._writer is None or self._writer.is_closing():
            for future in self._pending.values():
                if not future.done():
                    future.set_exception(self._unavailable(self._trouble))
            self._pending.clear()
            raise self._unavailable(self._trouble)
        self._writer.write(octets)

    async def _end(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()
            writer.transport.abort()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

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
