"""MQTT: each message once, the newest values of each meter retained, and what Home Assistant needs to find them.

Topics under the prefix: ``<meter>/message`` has each message, ``<meter>/state`` the newest values (retained),
``status`` "online" or "offline" (retained, and the last will).

No message is sent twice that the broker has, as far as that can be known. It sends every message back to us as well,
and we confirm that only when it has confirmed the message; so what it took and could not confirm before a connection
broke comes back at the beginning of the next one. For what a killed process had sent there is the state that is
retained: it goes out behind its message and names it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cosemic.delivery.documents import ReadingDocument
from cosemic.delivery.home_assistant import Discovery
from cosemic.delivery.mqtt_broker import Broker, PublishRefused
from cosemic.delivery.mqtt_client import require_paho
from cosemic.delivery.mqtt_connection import MqttConnection
from cosemic.delivery.names import code_slug, meter_slug
from cosemic.delivery.outputs import OutputRefused, OutputUnavailable, Record
from cosemic.delivery.states import MeterState, MeterStates


@dataclass(slots=True)
class _Sent:
    """What waits for its confirmation. With ``has_message`` the last but one of ``calls`` is the message itself."""

    record: Record
    calls: list[asyncio.Future[None]]
    has_message: bool


class MqttOutput:
    """Publishes to a broker, with ``discovery`` for Home Assistant. Secrets are in ``broker`` and nowhere else.

    ``window`` messages are under way at the same time. With few of them a broker has little in memory that it has
    confirmed and not yet handed on. MissingExtra without paho-mqtt.
    """

    def __init__(
        self, broker: Broker, *, prefix: str = "cosemic", discovery: Discovery | None = None, window: int = 8
    ) -> None:
        require_paho()
        if not prefix or set(prefix) & set("+#\0 ") or prefix.startswith(("/", "$")) or prefix.endswith("/"):
            raise ValueError(f"a prefix of topics is such as cosemic or home/meters, not {prefix!r}")
        self.name = f"mqtt:{broker.host}:{broker.port}/{prefix}"
        self._broker = broker
        self._prefix = prefix
        self._discovery = discovery
        self._window = window
        self._connection: MqttConnection | None = None
        self._states = MeterStates()
        self._confirmed: set[str] = set()
        """Messages of the batch whose state is still to be confirmed."""
        self._under_way: set[str] = set()
        """Messages that were sent in this connection and are not confirmed."""
        self._came_back: set[str] = set()
        """Messages that the broker had taken in an earlier connection."""
        self._is_settled = False
        self._read_back: set[str] = set()
        self._configs: dict[str, str] = {}
        self._generation = 0
        self._announcing: asyncio.Task[None] | None = None
        self._breaks: tuple[str, int] = ("", 0)

    @property
    def status_topic(self) -> str:
        """Where it says whether we are there."""
        return f"{self._prefix}/status"

    def message_topic(self, meter: str) -> str:
        """Where each message of a meter goes, by its short name."""
        return f"{self._prefix}/{meter}/message"

    def state_topic(self, meter: str) -> str:
        """Where the newest values of a meter stand."""
        return f"{self._prefix}/{meter}/state"

    async def deliver(self, batch: Sequence[Record]) -> None:
        """Return when the broker has confirmed all; OutputUnavailable tells how many it has confirmed."""
        connection = await self._connected()
        taken = await self._taken_before(connection, batch)
        waiting: deque[_Sent] = deque()
        confirmed = 0
        try:
            for record in batch:
                if len(waiting) >= self._window:
                    await self._confirm(waiting)
                    confirmed += 1
                waiting.append(self._send(connection, record, is_there=record.id in taken))
            while waiting:
                await self._confirm(waiting)
                confirmed += 1
        except PublishRefused as error:
            await self._disown(connection, waiting)
            raise OutputUnavailable(str(error), delivered=confirmed) from None
        except OutputUnavailable as error:
            raise self._judge(batch[confirmed], error, confirmed) from None
        finally:
            self._give_up(connection, list(waiting))

    async def close(self) -> None:
        """Say that we are gone, and leave."""
        if self._announcing is not None:
            self._announcing.cancel()
            await asyncio.wait([self._announcing])
            self._announcing = None
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _connected(self) -> MqttConnection:
        connection = self._connection
        if connection is not None and connection.is_open:
            return connection
        await self.close()
        subscriptions = () if self._discovery is None else (self._discovery.status_topic,)
        self._under_way.clear()
        self._is_settled = False
        connection = self._connection = MqttConnection(
            self._broker, self.status_topic, subscriptions, [self.message_topic("+")], self._hear
        )
        await connection.open()
        await connection.read_back(())  # behind this comes nothing from before
        self._is_settled = True
        self._read_back.clear()
        self._announce(connection)
        return connection

    async def _taken_before(self, connection: MqttConnection, batch: Sequence[Record]) -> set[str]:
        """The messages of a batch that the broker has taken already, by what it has retained of their meters."""
        unknown = {meter_slug(record.document) for record in batch} - self._read_back
        taken = {record.id for record in batch} & (self._confirmed | self._came_back)
        if not unknown:
            return taken
        found = await connection.read_back([self.state_topic(meter) for meter in sorted(unknown)])
        for meter in unknown:
            last = None
            text = found.get(self.state_topic(meter))
            if text is not None:
                last = self._states.named(meter).restore(text)
            own = [record.id for record in batch if meter_slug(record.document) == meter]
            if last in own:
                taken.update(own[: own.index(last) + 1])
        self._read_back |= unknown
        if len(self._read_back) > _MOST_KNOWN:
            self._read_back = set(unknown)
        return taken

    def _send(self, connection: MqttConnection, record: Record, *, is_there: bool) -> _Sent:
        """Hand one message to the connection: what is new in it for Home Assistant, itself, the state that it makes."""
        document = record.document
        state = self._states.of(document)
        messages: list[tuple[str, str, bool]] = []
        for key, reading in state.take(document):
            if self._discovery is not None and reading["value"] is not None:
                told = self._discover(self._discovery, state, key, reading)
                messages += () if told is None else (told,)
        if not is_there:
            messages.append((self.message_topic(state.meter), record.text, False))
        messages.append((self.state_topic(state.meter), state.text(), True))
        calls = connection.publish(messages)
        if not is_there:
            self._under_way.add(record.id)
            calls[-2].add_done_callback(lambda _: self._message_is_confirmed(connection, record.id))
        return _Sent(record, calls, not is_there)

    def _message_is_confirmed(self, connection: MqttConnection, identity: str) -> None:
        self._under_way.discard(identity)
        connection.release(identity)

    def _discover(
        self, discovery: Discovery, state: MeterState, key: str, reading: ReadingDocument
    ) -> tuple[str, str, bool] | None:
        """What to tell of a reading that is new, or that has become another."""
        code = code_slug(reading)
        told = (key, reading["name"], reading["unit"], reading["scaler"], isinstance(reading["value"], str))
        if state.announced.get(code) in (told, (*told, self._generation)):
            return None
        topic, config = discovery.config(
            state, key, reading, state_topic=self.state_topic(state.meter), status_topic=self.status_topic
        )
        if len(self._configs) < _MOST_CONFIGS or topic in self._configs:
            self._configs[topic] = config  # told again by itself after a new connection
            state.announced[code] = told
        else:
            state.announced[code] = (*told, self._generation)
        return topic, config, True

    async def _confirm(self, waiting: deque[_Sent]) -> None:
        """Wait for the first of what waits. It stays where it is when it is not confirmed."""
        for call in waiting[0].calls:
            await call
        identity = waiting.popleft().record.id
        self._confirmed.discard(identity)
        self._came_back.discard(identity)

    async def _disown(self, connection: MqttConnection, waiting: Sequence[_Sent]) -> None:
        """The states behind messages that the broker has refused are there: they are not to name these any more."""
        messages: list[tuple[str, str, bool]] = []
        for meter in {meter_slug(sent.record.document) for sent in waiting if not _is_confirmed(sent)}:
            state = self._states.named(meter)
            state.last = None
            messages.append((self.state_topic(meter), state.text(), True))
        with contextlib.suppress(OutputUnavailable):
            for call in connection.publish(messages):
                await call

    def _give_up(self, connection: MqttConnection, waiting: Sequence[_Sent]) -> None:
        """Forget what is not confirmed, except for messages that are and whose state is not.

        The connection goes with it: what the broker has of it is known at the beginning of the next one only.
        """
        if waiting:
            connection.abort()
        for sent in waiting:
            if sent.has_message and _is_confirmed(sent):
                self._confirmed.add(sent.record.id)

    def _judge(self, record: Record, error: OutputUnavailable, confirmed: int) -> OutputUnavailable | OutputRefused:
        """Whether it is the message that ends the connection: brokers do so with what is too large for them."""
        known, breaks = self._breaks
        breaks = breaks + 1 if record.id == known and confirmed == 0 else 1
        self._breaks = (record.id, breaks)
        if breaks >= _TOO_OFTEN and len(record.text) > _LARGE:
            text = (
                f"{self._broker.address} ends the connection whenever this message of {len(record.text)} octets comes"
            )
            return OutputRefused(text, delivered=confirmed)
        return OutputUnavailable(str(error), delivered=confirmed)

    def _hear(self, topic: str, payload: bytes) -> str | None:
        """Take in what comes: our own messages, and that Home Assistant has started."""
        if topic.endswith("/message"):
            found = _ID.match(payload)
            if found is None:
                return None
            identity = found[1].decode()
            if self._is_settled:
                return identity if identity in self._under_way else None
            if len(self._came_back) < _MOST_BACK:
                self._came_back.add(identity)
            return None
        discovery, connection = self._discovery, self._connection
        if discovery is not None and connection is not None and (topic, payload) == (discovery.status_topic, b"online"):
            self._announce(connection)
        return None

    def _announce(self, connection: MqttConnection) -> None:
        """Tell Home Assistant of everything again, beside what is being delivered."""
        self._generation += 1
        if self._announcing is not None:
            self._announcing.cancel()
        if self._configs:
            self._announcing = asyncio.create_task(self._tell_all(connection), name=f"{self.name}: discovery")

    async def _tell_all(self, connection: MqttConnection) -> None:
        configs = list(self._configs.items())
        with contextlib.suppress(OutputUnavailable):  # the next connection begins anew
            for begin in range(0, len(configs), _AT_ONCE):
                some = configs[begin : begin + _AT_ONCE]
                for call in connection.publish([(topic, config, True) for topic, config in some]):
                    await call


def _is_confirmed(sent: _Sent) -> bool:
    """Whether the broker has the message."""
    call = sent.calls[-2] if sent.has_message else None
    return call is None or (call.done() and not call.cancelled() and call.exception() is None)


_ID: Final = re.compile(rb'\{"id": "([0-9a-f-]{1,64})"')
_MOST_BACK: Final = 10_000
_AT_ONCE: Final = 20
_MOST_CONFIGS: Final = 20_000
_MOST_KNOWN: Final = 200_000
_LARGE: Final = 1 << 16
_TOO_OFTEN: Final = 5
