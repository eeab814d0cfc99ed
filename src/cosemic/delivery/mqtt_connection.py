"""One connection to an MQTT broker as an output needs it: says that we are there, reads back, holds confirmations."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Final

from cosemic.delivery.mqtt_broker import Broker, PublishRefused, VersionUnknown
from cosemic.delivery.mqtt_client import MqttClient
from cosemic.delivery.outputs import OutputUnavailable

_log = logging.getLogger("cosemic.delivery")


class MqttConnection:
    """A connection that lives until the broker, the network or ``close`` ends it; a new one takes over nothing.

    That is on purpose: what repeats by itself what is not confirmed repeats it also when the broker has it.

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
        self._held: dict[str, int] = {}
        self._status_topic = status_topic
        self._fence_topic = f"{status_topic}/{broker.client_id}"
        self._topics = (self._fence_topic, *subscriptions, *echoes)
        self._client: MqttClient | None = None
        self._retained: dict[str, bytes] | None = None
        self._fence: tuple[str, asyncio.Future[None]] | None = None
        self._can_read = True
        self._is_refusal_told = False

    @property
    def is_open(self) -> bool:
        """Whether it lives."""
        return self._client is not None and self._client.is_open

    async def open(self) -> None:
        """Connect and say that we are there; OutputUnavailable when that fails.

        With MQTT 5, which says when it does not take a message; with 3.1.1 where a broker knows no other.
        """
        try:
            async with asyncio.timeout(self.broker.timeout):
                try:
                    client = await self._connect(5)
                except VersionUnknown:
                    client = await self._connect(4)
                allowed = await client.subscribe(self._topics, 1)
                if not all(allowed):
                    self._cannot_read(self._topics[allowed.index(False)])
                await self.publish([(self._status_topic, "online", True)])[0]
        except TimeoutError:
            self.abort()
            raise self.broker.unavailable("no answer") from None
        except BaseException:
            self.abort()
            raise

    def publish(self, messages: Sequence[tuple[str, str, bool]]) -> list[asyncio.Future[None]]:
        """Send topics, texts and whether to retain them, with QoS 1, in this order.

        A future for each, done when the broker has confirmed; OutputUnavailable comes out of it when it has not. That
        a broker does not take what is to be retained is told, and no reason to hold the messages up.
        """
        client = self._opened()
        return [client.publish(topic, text, retain=retain) for topic, text, retain in messages]

    async def read_back(self, topics: Sequence[str]) -> dict[str, bytes]:
        """What is retained under topics now; one that nothing is retained under is left out. One call at a time."""
        if not self._can_read:
            return {}
        client = self._opened()
        fence: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._fence = (secrets.token_bytes(8).hex(), fence)
        found: dict[str, bytes] = {}
        try:
            async with asyncio.timeout(self.broker.timeout):
                self._retained = found
                for begin in range(0, len(topics), _AT_ONCE):
                    await client.subscribe(topics[begin : begin + _AT_ONCE], 0)
                # A broker serves one client in order: what it has retained comes before the echo of this.
                await client.publish(self._fence_topic, self._fence[0])
                await asyncio.wait([fence], timeout=_ECHO)
                if not fence.done():
                    self._opened()
                    self._cannot_read(self._fence_topic)
                    return {}
                for begin in range(0, len(topics), _AT_ONCE):
                    await client.unsubscribe(topics[begin : begin + _AT_ONCE])
        except PublishRefused:
            self._cannot_read(self._fence_topic)
            return {}
        except TimeoutError:
            raise self.broker.unavailable("no answer") from None
        finally:
            self._retained = self._fence = None
        return found

    def release(self, held: str) -> None:
        """Confirm what was held back under this text, if anything was."""
        number = self._held.pop(held, None)
        if number is not None and self._client is not None:
            self._client.acknowledge(number)

    def abort(self) -> None:
        """End it at once."""
        if self._client is not None:
            self._client.abort()

    async def close(self) -> None:
        """Say that we are gone, and end it; in order where the broker answers."""
        if self._client is None:
            return
        try:
            async with asyncio.timeout(self.broker.timeout):
                await self.publish([(self._status_topic, "offline", True)])[0]
                await self._client.close()
        except (TimeoutError, OutputUnavailable):
            pass  # the last will says it
        finally:
            self._client.abort()

    async def _connect(self, version: int) -> MqttClient:
        will = (self._status_topic, "offline")
        client = self._client = MqttClient(self.broker, version, will, self._take, self._cannot_write)
        await client.open()
        return client

    def _opened(self) -> MqttClient:
        if self._client is None or not self._client.is_open:
            raise self.broker.unavailable("the connection has ended")
        return self._client

    def _take(self, topic: str, payload: bytes, is_retained: bool, number: int) -> None:
        held: str | None = None
        if topic == self._fence_topic:
            if self._fence is not None and payload == self._fence[0].encode() and not self._fence[1].done():
                self._fence[1].set_result(None)
        elif is_retained and self._retained is not None:
            self._retained[topic] = payload
        elif self._on_message is not None:
            held = self._on_message(topic, payload)
        if held is not None and number:
            self._held[held] = number
        elif number and self._client is not None:
            self._client.acknowledge(number)

    def _cannot_read(self, topic: str) -> None:
        self._can_read = False
        _log.warning(
            "%s does not let us read %s: after a broken connection messages may come twice; check its access rules",
            self.broker.address,
            topic,
        )

    def _cannot_write(self, refusal: str) -> None:
        if not self._is_refusal_told:
            self._is_refusal_told = True
            _log.warning("%s; messages go on", refusal)


_AT_ONCE: Final = 100
_ECHO: Final = 3.0
"""Seconds within which a broker that has confirmed a message hands it back to us, if it does so at all."""
