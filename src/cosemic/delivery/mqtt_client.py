"""One connection of a paho-mqtt client, on the loop of asyncio.

The socket of the client is watched by the loop, in place of paho's own thread: that one waits with ``select``, which
knows no descriptor from 1024 on, and a listener has one for each meter. The client is new for each connection: what
repeats by itself what is not confirmed, as paho does after a reconnection, repeats it also when the broker has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from cosemic.delivery.mqtt_broker import Broker, PublishRefused, VersionUnknown
from cosemic.delivery.outputs import OutputUnavailable
from cosemic.errors import MissingExtra

if TYPE_CHECKING:
    from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode


def require_paho() -> None:
    """MissingExtra where paho-mqtt is not installed: better told at once than at the first message."""
    try:
        import paho.mqtt.client  # noqa: F401
    except ImportError:
        raise MissingExtra("mqtt", "publishing to an MQTT broker") from None


class MqttClient:
    """Connects once, publishes with QoS 1, and ends for good. ``version`` is 5, or 4 for MQTT 3.1.1.

    ``will`` is the topic and the text of the last will. ``on_message`` gets the topic, the payload, whether it was
    retained, and the number to ``acknowledge`` it with, 0 where there is nothing to acknowledge. ``on_refused`` is told
    that the broker does not take something that was to be retained; the newest values are sent again anyway.
    """

    def __init__(
        self,
        broker: Broker,
        version: int,
        will: tuple[str, str],
        on_message: Callable[[str, bytes, bool, int], None],
        on_refused: Callable[[str], None],
    ) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        class Patient(Client):
            """Does not close the socket at an error in writing: confirmations that arrived would be lost with it."""

            cannot_send = False

            def _sock_send(self, buf: bytes | bytearray) -> int:
                try:
                    return super()._sock_send(buf)
                except BlockingIOError:
                    raise
                except OSError:
                    self.cannot_send = True
                    raise BlockingIOError from None

        self._broker = broker
        self._is_5 = version == 5
        self._on_message = on_message
        self._on_refused = on_refused
        self._loop = asyncio.get_running_loop()
        client = self._client = Patient(
            CallbackAPIVersion.VERSION2,
            broker.client_id,
            clean_session=None if self._is_5 else False,
            protocol=MQTTProtocolVersion(version),
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = broker.timeout
        client.max_inflight_messages = 0  # counted here: what paho has in its queue it has no word on
        client.will_set(*will, qos=1, retain=True)
        if broker.user is not None or broker.password is not None:  # in 3.1.1 a password needs a name beside it
            client.username_pw_set(_utf8(broker.user) or "", _utf8(broker.password))
        if broker.tls is not None:
            client.tls_set_context(broker.tls)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_publish = self._published
        client.on_subscribe = self._answered
        client.on_unsubscribe = self._answered
        client.on_message = self._received
        client.on_socket_register_write = self._wants_to_write
        client.on_socket_unregister_write = self._has_written
        client.on_socket_close = self._closes
        self._is_watched = False
        self._is_polled = False
        self._timer: asyncio.TimerHandle | None = None
        self._greeting: asyncio.Future[ReasonCode] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._trouble = ""
        self._most_under_way = 0xFFFF
        self._waiting: deque[tuple[str, str, bool, asyncio.Future[None]]] = deque()
        self._publishing: dict[int, tuple[str, bool, asyncio.Future[None]]] = {}
        self._asking: dict[int, asyncio.Future[list[bool]]] = {}
        self._progress = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it lives."""
        return self._is_watched and not self._ended.done()

    @property
    def _socket(self) -> socket.socket | None:
        return cast("socket.socket | None", self._client.socket())

    async def open(self) -> None:
        """Connect; OutputUnavailable says why that fails. The caller has a deadline, and calls ``abort`` after it."""
        # Names are looked up, TCP and TLS opened in a thread, as paho waits for them; nothing is sent there.
        opening = self._loop.run_in_executor(None, self._open_socket)
        try:
            trouble = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(lambda _: self._drop_socket())
            raise
        if trouble is not None:
            self._end(trouble)
            raise self._broker.unavailable(trouble)
        self._watch()
        await asyncio.wait((self._greeting, self._ended), return_when=asyncio.FIRST_COMPLETED)
        if not self._greeting.done():
            raise VersionUnknown(f"{self._broker.address}: {self._trouble}")
        reason = self._greeting.result()
        if reason.is_failure:
            self.abort()
            text = _REFUSALS.get(reason.value, f"the broker refuses the connection: {reason}")
            kind = VersionUnknown if reason.value == _UNSUPPORTED_VERSION else OutputUnavailable
            raise kind(f"{self._broker.address}: {text}")

    def publish(self, topic: str, text: str, *, retain: bool = False) -> asyncio.Future[None]:
        """Send with QoS 1, in the order of the calls; done when the broker has confirmed.

        PublishRefused when it says no, another OutputUnavailable when the connection ends before.
        """
        self._check()
        future: asyncio.Future[None] = _quiet(self._loop.create_future())
        self._waiting.append((topic, text, retain, future))
        self._send_waiting()
        return future

    def subscribe(self, topics: Sequence[str], qos: int) -> asyncio.Future[list[bool]]:
        """Subscribe; for each of the topics whether the broker lets us read it."""
        self._check()
        return self._ask(self._client.subscribe([(topic, qos) for topic in topics])[1])

    def unsubscribe(self, topics: Sequence[str]) -> asyncio.Future[list[bool]]:
        """The opposite."""
        self._check()
        return self._ask(self._client.unsubscribe(list(topics))[1])

    def acknowledge(self, number: int) -> None:
        """Confirm what was received."""
        if self.is_open:
            self._client.ack(number, 1)

    def abort(self) -> None:
        """End it at once; confirmations that are here already count. Not to be called out of ``on_message``."""
        if self.is_open:
            self._read()
        self._end("the connection was given up")

    async def close(self) -> None:
        """End it in order, if the broker takes that within a second."""
        if self.is_open:
            self._client.disconnect()
            await asyncio.wait([self._ended], timeout=1.0)
        self._end("it is closed")

    def _open_socket(self) -> str | None:
        """In a thread: what is wrong, None when the socket is open. No exception, whose frames would keep a socket."""
        options: dict[str, Any] = {}
        if self._is_5:
            from paho.mqtt.packettypes import PacketTypes
            from paho.mqtt.properties import Properties

            new: Callable[[int], Properties] = Properties
            properties = new(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = _SESSION
            properties.MaximumPacketSize = _LONGEST
            options = {"clean_start": False, "properties": properties}
        try:
            self._client.connect(self._broker.host, self._broker.port, self._broker.keepalive, **options)
        except (OSError, ValueError, struct.error) as error:
            return _words(error)
        return None

    def _watch(self) -> None:
        """From here on all is done in the loop."""
        self._is_watched = True
        sock = self._socket
        assert sock is not None
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._loop.add_reader(sock, self._read)
        except NotImplementedError:  # the loop of Windows
            self._is_polled = True
        self._progress = self._loop.time()
        self._flush()
        self._look_after()

    def _read(self) -> None:
        for _ in range(_PACKETS if self._is_polled else 1):
            self._drive(self._client.loop_read)
        # What TLS has taken off the socket already, the loop does not see.
        while not self._ended.done() and isinstance(sock := self._socket, ssl.SSLSocket) and sock.pending():
            self._drive(self._client.loop_read)
        self._hurry()

    def _flush(self) -> None:
        if self._ended.done():
            return
        self._read()  # an error in writing would lose the confirmations that are here
        self._drive(self._client.loop_write)
        if self._client.cannot_send:
            for _ in range(_PACKETS):
                self._read()
            self._end("the connection has ended")
        sock = self._socket
        if sock is not None and self._client.want_write() and not self._is_polled:
            self._loop.add_writer(sock, self._flush)
        self._hurry()

    def _drive(self, step: Callable[[], int]) -> None:
        """Let paho do something, and see whether the connection lives on."""
        if self._ended.done():
            return
        try:
            code = step()
        except (ValueError, LookupError, struct.error) as error:
            self._end(f"what answers speaks no MQTT: {error}")
            return
        if code or self._socket is None:
            self._end("what answers speaks no MQTT" if code == _PROTOCOL_ERROR else "the connection has ended")

    def _look_after(self) -> None:
        """Pings, and the deadline of what waits for an answer."""
        if self._is_polled:
            self._flush()
        self._drive(self._client.loop_misc)
        now = self._loop.time()
        if not self._publishing and not self._asking:
            self._progress = now
        elif now - self._progress > 2 * self._broker.keepalive:
            self._end(_SILENT)
        if not self._ended.done():
            pause = _POLL if self._is_polled else min(1.0, self._broker.keepalive / 4)
            self._timer = self._loop.call_later(pause, self._look_after)

    def _hurry(self) -> None:
        """Have TCP acknowledge at once: a broker that waits for that holds its next packet back for 40 ms (Nagle)."""
        sock = self._socket
        if sock is not None and hasattr(socket, "TCP_QUICKACK"):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def _end(self, trouble: str) -> None:
        if self._ended.done():
            return
        self._trouble = self._trouble or trouble
        self._ended.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
        self._drop_socket()
        futures: list[asyncio.Future[Any]] = [future for *_, future in self._publishing.values()]
        futures += [future for *_, future in self._waiting]
        futures += self._asking.values()
        for future in futures:
            if not future.done():
                future.set_exception(self._broker.unavailable(self._trouble))
        self._publishing.clear()
        self._asking.clear()
        self._waiting.clear()

    def _drop_socket(self) -> None:
        sock = self._socket
        if sock is not None:
            self._forget(sock)
            sock.close()

    def _forget(self, sock: Any) -> None:
        if self._is_watched and not self._is_polled:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)

    def _send_waiting(self) -> None:
        """Hand as much to paho as the broker wants to have under way at one time (its receive maximum)."""
        while self._waiting and len(self._publishing) < self._most_under_way:
            topic, text, retain, future = self._waiting.popleft()
            if not self._publishing:
                self._progress = self._loop.time()
            told = self._client.publish(topic, text.encode("utf-8", "replace"), 1, retain)
            self._publishing[told.mid] = (topic, retain, future)

    def _ask(self, number: int | None) -> asyncio.Future[list[bool]]:
        future: asyncio.Future[list[bool]] = _quiet(self._loop.create_future())
        assert number is not None
        self._asking[number] = future
        return future

    def _check(self) -> None:
        if not self.is_open:
            raise self._broker.unavailable(self._trouble or "there is no connection")

    # What paho calls. It holds a lock meanwhile: nothing here may end the connection.

    def _connected(
        self, _client: Any, _data: Any, _flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if not self._greeting.done():
            self._most_under_way = getattr(properties, "ReceiveMaximum", 0xFFFF)
            self._greeting.set_result(reason)

    def _disconnected(
        self, _client: Any, _data: Any, flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._trouble = f"the broker ends the connection: {reason}"
        elif reason.value == _KEEP_ALIVE_TIMEOUT:
            self._trouble = _SILENT

    def _published(self, _client: Any, _data: Any, number: int, reason: ReasonCode, _properties: Properties) -> None:
        self._progress = self._loop.time()
        topic, is_retained, future = self._publishing.pop(number)
        if reason.is_failure:
            text = f"{self._broker.address}: the broker does not take {topic}: {reason}; check its access rules"
            if is_retained:
                self._on_refused(text)
            elif not future.done():
                future.set_exception(PublishRefused(text))
        if not future.done():
            future.set_result(None)
        self._send_waiting()

    def _answered(
        self, _client: Any, _data: Any, number: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        future = self._asking.pop(number, None)
        self._progress = self._loop.time()
        if future is not None and not future.done():
            future.set_result([not reason.is_failure for reason in reasons])

    def _received(self, _client: Any, _data: Any, message: MQTTMessage) -> None:
        with contextlib.suppress(UnicodeDecodeError):  # not one of our topics
            self._on_message(message.topic, bytes(message.payload), message.retain, message.mid if message.qos else 0)

    def _wants_to_write(self, _client: Any, _data: Any, _sock: Any) -> None:
        if self._is_watched:
            self._loop.call_soon(self._flush)

    def _has_written(self, _client: Any, _data: Any, sock: Any) -> None:
        if self.is_open and not self._is_polled:
            self._loop.remove_writer(sock)

    def _closes(self, _client: Any, _data: Any, sock: Any) -> None:
        if self.is_open:
            self._forget(sock)


def _quiet(future: asyncio.Future[Any]) -> asyncio.Future[Any]:
    """An end of the connection that nobody waits for is not worth a complaint."""
    future.add_done_callback(lambda done: None if done.cancelled() else done.exception() and None)
    return future


def _utf8(text: str | None) -> str | None:
    """Without what UTF-8 has no octets for; an error of paho's about it would show what it is."""
    return None if text is None else text.encode("utf-8", "replace").decode("utf-8")


def _words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__


_SESSION: Final = 7 * 24 * 3600
"""Seconds that a broker keeps for us what we have not confirmed; then it forgets that we ever were there."""
_LONGEST: Final = 16 << 20
"""As many octets of one packet we want to get."""
_PACKETS: Final = 64
_POLL: Final = 0.02
_PROTOCOL_ERROR: Final = 2
_UNSUPPORTED_VERSION: Final = 0x84
_KEEP_ALIVE_TIMEOUT: Final = 0x8D
_SILENT: Final = "the broker does not answer any more"
_CLIENT_ID: Final = "the broker does not like the client id; give another one"
_LET_IN: Final = "the broker does not let us in; check user, password and its access rules"
_BUSY: Final = "the broker is not available now"
_REFUSALS: Final = {
    _UNSUPPORTED_VERSION: "the broker speaks neither MQTT 5 nor MQTT 3.1.1",
    0x85: _CLIENT_ID,
    0x86: "the broker refuses the connection; check user and password",
    0x87: _LET_IN,
    0x88: _BUSY,
    0x89: _BUSY,
    0x8A: _LET_IN,
    0x9F: _BUSY,
}
"""Reason codes of CONNACK (MQTT 5, clause 3.2.2.2), into which paho also turns those of 3.1.1."""
