"""MQTT 3.1.1 as far as a publisher needs it: packets out, packets in, no I/O (OASIS MQTT 3.1.1, clause 3).

Messages go out with QoS 0 or 1 and are subscribed to with as much. There is nothing here that sends anything again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

LONGEST: Final = 16 << 20
"""As many octets of one packet are taken in."""


class PacketError(Exception):
    """Octets that are no MQTT, or more than we take."""


@dataclass(frozen=True, slots=True)
class Connected:
    """CONNACK: 0 is yes."""

    code: int


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """PUBACK, SUBACK or UNSUBACK for what had this packet identifier; ``codes`` of a SUBACK, 0x80 is no."""

    packet: int
    codes: bytes = b""


@dataclass(frozen=True, slots=True)
class Published:
    """PUBLISH from the broker. ``packet`` is 0 with QoS 0, otherwise it is to be acknowledged."""

    topic: str
    payload: bytes
    packet: int = 0
    is_retained: bool = False


Event: TypeAlias = Connected | Acknowledged | Published | None
"""None is an answer to a ping."""


class PacketReader:
    """Packets out of a stream: ``feed`` gives those that are complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, octets: bytes) -> list[Event]:
        """What has come; PacketError when it is no MQTT."""
        self._buffer += octets
        events: list[Event] = []
        begin = 0
        while (found := self._length(begin)) is not None:
            head, length = found
            if len(self._buffer) - head < length:
                break
            body = bytes(self._buffer[head : head + length])
            events.append(_event(self._buffer[begin], body))
            begin = head + length
        del self._buffer[:begin]
        return events

    def _length(self, begin: int) -> tuple[int, int] | None:
        """Where the body of the packet at ``begin`` starts, and its length (clause 2.2.3)."""
        length = 0
        for index in range(4):
            if begin + 1 + index >= len(self._buffer):
                return None
            octet = self._buffer[begin + 1 + index]
            length |= (octet & 0x7F) << 7 * index
            if octet < 0x80:
                if length > LONGEST:
                    raise PacketError(f"a packet of {length} octets")
                return begin + 2 + index, length
        raise PacketError("a length of more than four octets")


def connect(
    client_id: str, keepalive: int, will: tuple[str, bytes], user: str | None = None, password: str | None = None
) -> bytes:
    """CONNECT with a session that lasts and a retained last will of QoS 1 (clause 3.1)."""
    flags = 0x04 | 0x08 | 0x20
    payload = _text(client_id) + _text(will[0]) + _octets(will[1])
    if user is not None or password is not None:  # a password needs a name beside it
        flags |= 0x80
        payload += _text(user or "")
    if password is not None:
        flags |= 0x40
        payload += _octets(password.encode())
    return _packet(0x10, _text("MQTT") + bytes((4, flags)) + keepalive.to_bytes(2, "big") + payload)


def publish(topic: str, payload: bytes, packet: int = 0, *, retain: bool = False) -> bytes:
    """PUBLISH, with QoS 1 where it has a packet identifier (clause 3.3)."""
    number = packet.to_bytes(2, "big") if packet else b""
    return _packet(0x30 | (0x02 if packet else 0) | retain, _text(topic) + number + payload)


def acknowledge(packet: int) -> bytes:
    """PUBACK."""
    return _packet(0x40, packet.to_bytes(2, "big"))


def subscribe(packet: int, topics: Sequence[str], qos: int) -> bytes:
    """SUBSCRIBE."""
    wishes = b"".join(_text(topic) + bytes((qos,)) for topic in topics)
    return _packet(0x82, packet.to_bytes(2, "big") + wishes)


def unsubscribe(packet: int, topics: Sequence[str]) -> bytes:
    """UNSUBSCRIBE."""
    return _packet(0xA2, packet.to_bytes(2, "big") + b"".join(map(_text, topics)))


PING: Final = b"\xc0\x00"
DISCONNECT: Final = b"\xe0\x00"


def refusal(code: int) -> str:
    """Why a broker does not let us in, and what to do (clause 3.2.2.3)."""
    return _REFUSALS.get(code, f"the broker refuses the connection with code {code}")


def _event(first: int, body: bytes) -> Event:
    kind = first >> 4
    try:
        if kind == 2:
            return Connected(body[1])
        if kind in (4, 9, 11):
            if len(body) < 2:
                raise PacketError("an acknowledgement without a number")
            return Acknowledged(int.from_bytes(body[:2], "big"), body[2:])
        if kind == 3:
            return _published(first, body)
        if kind == 13:
            return None
    except (IndexError, UnicodeDecodeError):
        raise PacketError(f"a damaged packet of type {kind}") from None
    raise PacketError(f"a packet of type {kind}, which no broker sends to us")


def _published(first: int, body: bytes) -> Published:
    end = 2 + int.from_bytes(body[:2], "big")
    if end > len(body):
        raise PacketError("a topic that is cut short")
    topic = body[2:end].decode("utf-8")
    qos = first >> 1 & 3
    if qos == 0:
        return Published(topic, body[end:], 0, bool(first & 1))
    if qos != 1 or len(body) < end + 2:
        raise PacketError("a message with a quality of service that was not asked for")
    return Published(topic, body[end + 2 :], int.from_bytes(body[end : end + 2], "big"), bool(first & 1))


def _packet(first: int, body: bytes) -> bytes:
    length = len(body)
    if length >= 1 << 28:
        raise ValueError(f"MQTT has no packets of {length} octets")
    head = bytearray((first,))
    while True:
        head.append(length & 0x7F | (0x80 if length > 0x7F else 0))
        length >>= 7
        if not length:
            return bytes(head) + body


def _text(text: str) -> bytes:
    return _octets(text.encode("utf-8", "replace"))


def _octets(octets: bytes) -> bytes:
    if len(octets) > 0xFFFF:
        raise ValueError(f"MQTT has no texts of {len(octets)} octets")
    return len(octets).to_bytes(2, "big") + octets


_REFUSALS: Final = {
    1: "the broker does not speak MQTT 3.1.1",
    2: "the broker does not like the client id; give another one",
    3: "the broker is not available now",
    4: "the broker refuses user or password; check them",
    5: "the broker does not let us in; check user, password and its access rules",
}
