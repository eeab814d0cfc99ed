"""One connection to an MQTT broker: publishes with confirmation, reads back what is retained, notices its own end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from cosemic.delivery.outputs import OutputUnavailable
from cosemic.errors import MissingExtra

if TYPE_CHECKING:
    import aiomqtt

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


class MqttConnection:
    """A connection that lives until the broker, the network or ``close`` ends it; a new one takes over nothing.

    That is on purpose: the client library would repeat by itself what is not confirmed, also when the broker has it.
    """

    def __init__(self, broker: Broker, status_topic: str, subscriptions: Iterable[str] = ()) -> None:
        self.broker = broker
        self.on_message: Callable[[str, bytes], None] | None = None
        self._status_topic = status_topic
        self._subscriptions = tuple(subscriptions)
        self._fence_topic = f"{status_topic}/{broker.client_id}"
        self._client: aiomqtt.Client | None = None
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ending = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._retained: dict[str, bytes] | None = None
        self._fence: asyncio.Future[None] | None = None
        self._fences = 0
        self._trouble = "the connection has ended"
        self._task = asyncio.create_task(self._live(), name=f"mqtt {broker.host}:{broker.port}")

    @property
    def is_open(self) -> bool:
        """Whether it lives."""
        return not self._task.done() and not self._ending.is_set()

    async def opened(self) -> None:
        """Wait until it is open; OutputUnavailable when it cannot be."""
        await asyncio.shield(self._ready)

    def publish(self, topic: str, payload: str, *, retain: bool = False) -> asyncio.Task[None]:
        """Send with QoS 1, in the order of the calls; the task ends when the broker has confirmed.

        OutputUnavailable comes out of it when the connection ends before.
        """
        call = asyncio.create_task(self._publish(topic, payload, retain))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return call

    async def read_back(self, topics: list[str]) -> dict[str, bytes]:
        """What is retained under topics now; one that nothing is retained under is left out. One call at a time."""
        client = self._client
        if client is None or not self.is_open:
            raise OutputUnavailable(f"{self.broker.address}: {self._trouble}")
        self._fences += 1
        self._fence = asyncio.get_running_loop().create_future()
        self._retained = dict.fromkeys(topics, b"")
        fence = f"{self._fences}"
        try:
            async with asyncio.timeout(self.broker.timeout):
                for begin in range(0, len(topics), _AT_ONCE):
                    await client.subscribe([(topic, 0) for topic in topics[begin : begin + _AT_ONCE]])
                # A broker serves one client in order: what it has retained comes before the echo of this.
                await client.publish(self._fence_topic, fence)
                await asyncio.wait([self._fence, self._task], return_when=asyncio.FIRST_COMPLETED)
                if not self._fence.done():
                    raise OutputUnavailable(f"{self.broker.address}: {self._trouble}")
                for begin in range(0, len(topics), _AT_ONCE):
                    await client.unsubscribe(topics[begin : begin + _AT_ONCE])
            return {topic: payload for topic, payload in self._retained.items() if payload}
        except (TimeoutError, _mqtt().MqttError) as error:
            raise OutputUnavailable(f"{self.broker.address}: {_words(error) or 'no answer'}") from None
        finally:
            self._retained = self._fence = None

    async def close(self) -> None:
        """End it, in order where the broker answers."""
        self._ending.set()
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(self.broker.timeout):
                await asyncio.wait([self._task])
        self._task.cancel()
        await asyncio.wait([self._task])
        if self._ready.done() and not self._ready.cancelled():
            self._ready.exception()

    async def _publish(self, topic: str, payload: str, retain: bool) -> None:
        client = self._client
        if client is None or not self.is_open:
            raise OutputUnavailable(f"{self.broker.address}: {self._trouble}")
        try:
            await client.publish(topic, payload.encode("utf-8", "replace"), qos=1, retain=retain)
        except _mqtt().MqttError as error:
            raise OutputUnavailable(f"{self.broker.address}: {_words(error)}") from None

    async def _live(self) -> None:
        mqtt = _mqtt()
        broker = self.broker
        try:
            client = mqtt.Client(
                broker.host,
                broker.port,
                username=broker.user,
                password=broker.password,
                identifier=broker.client_id,
                will=mqtt.Will(self._status_topic, b"offline", 1, True),
                clean_session=True,
                timeout=broker.timeout,
                keepalive=broker.keepalive,
                tls_context=broker.tls,
                max_inflight_messages=_IN_FLIGHT,
                logger=_SILENT,
            )
            client.pending_calls_threshold = 10 * _IN_FLIGHT
            async with client:
                await client.subscribe([(topic, 1) for topic in (self._fence_topic, *self._subscriptions)])
                await client.publish(self._status_topic, b"online", qos=1, retain=True)
                self._client = client
                self._ready.set_result(None)
                await self._until_the_end(client)
        except (mqtt.MqttError, OSError, ValueError) as error:
            self._trouble = _words(error)
        finally:
            self._ending.set()
            for call in self._calls:
                call.cancel()
            if not self._ready.done():
                self._ready.set_exception(OutputUnavailable(f"{broker.address}: {self._trouble}"))

    async def _until_the_end(self, client: aiomqtt.Client) -> None:
        reading = asyncio.create_task(self._read(client))
        ending = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait([reading, ending], return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                await reading
            else:
                await client.publish(self._status_topic, b"offline", qos=1, retain=True)
        finally:
            await _ended(reading, ending)

    async def _read(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            topic = message.topic.value
            payload = message.payload if isinstance(message.payload, bytes) else str(message.payload or "").encode()
            if topic == self._fence_topic:
                if self._fence is not None and not self._fence.done() and payload == b"%d" % self._fences:
                    self._fence.set_result(None)
            elif self._retained is not None and topic in self._retained:
                self._retained[topic] = payload
            elif self.on_message is not None:
                self.on_message(topic, payload)


async def _ended(*tasks: asyncio.Task[object] | asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # told already


def _mqtt() -> ModuleType:
    try:
        import aiomqtt
    except ImportError:
        raise MissingExtra("mqtt", "MQTT") from None
    return aiomqtt


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.removeprefix("[Errno ").partition("] ")[2] or text if text.startswith("[Errno ") else text


_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
_IN_FLIGHT: Final = 200
_AT_ONCE: Final = 100
_SILENT: Final = logging.getLogger("cosemic.delivery.mqtt")
_SILENT.setLevel(logging.CRITICAL)
