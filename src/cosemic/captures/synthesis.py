"""Packets made for octets: Ethernet, IP, TCP or UDP with their check sums, so that other tools read them."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from cosemic.captures.chunks import Chunk, Direction
from cosemic.captures.packets import LinkType, since_epoch

DLMS_PORT = 4059
"""The port that IANA has given to DLMS/COSEM, by which Wireshark knows it."""

_METER, _OURS = b"\x02\x00\x00\x00\x00\x01", b"\x02\x00\x00\x00\x00\x02"
_LARGEST_SEGMENT = 1460
_LARGEST_DATAGRAM = 65_507
_FIN, _SYN, _PUSH, _ACK = 0x01, 0x02, 0x08, 0x10
_TX, _RX = 1, 2
_SCHEMES = frozenset(("tcp", "tls", "udp"))

End = tuple[bytes, int]


def is_network(source: str) -> bool:
    """Whether octets of that source are written as TCP or UDP; others as a serial line."""
    return source.partition("://")[0] in _SCHEMES


@dataclass(slots=True)
class _Connection:
    meter: End
    ours: End
    is_udp: bool
    sent: dict[Direction, int] = field(default_factory=dict)
    """The next sequence number of each direction."""


class Synthesis:
    """Makes the packets of chunks: a handshake before the first octets of a connection, acknowledgements with them."""

    def __init__(self) -> None:
        self._connections: dict[tuple[str, str], _Connection] = {}
        self._names: dict[str, bytes] = {}

    def packets(self, chunk: Chunk) -> Iterator[tuple[LinkType, bytes]]:
        """The packets of one chunk: their link type and octets."""
        if not is_network(chunk.source):
            if chunk.octets:
                yield LinkType.RTAC_SERIAL, _serial(chunk)
            return
        connection = self._connections.get((chunk.source, chunk.local))
        if chunk.is_gap and not chunk.octets:
            self._connections.pop((chunk.source, chunk.local), None)  # what follows is another connection
            return
        if connection is None:
            connection = self._connection(chunk)
            self._connections[chunk.source, chunk.local] = connection
            if not connection.is_udp:
                yield from self._handshake(connection)
        direction = Direction.SENT if chunk.direction is Direction.SENT else Direction.RECEIVED
        if connection.is_udp:
            for start in range(0, max(len(chunk.octets), 1), _LARGEST_DATAGRAM):
                yield (
                    LinkType.ETHERNET,
                    _datagram(connection, direction, chunk.octets[start : start + _LARGEST_DATAGRAM]),
                )
            return
        if chunk.is_gap:
            connection.sent[direction] = connection.sent[direction] + 1 & 0xFFFFFFFF  # an octet that was not captured
        for start in range(0, len(chunk.octets), _LARGEST_SEGMENT):
            piece = chunk.octets[start : start + _LARGEST_SEGMENT]
            yield LinkType.ETHERNET, _segment(connection, direction, _PUSH | _ACK, piece)

    def _connection(self, chunk: Chunk) -> _Connection:
        scheme, _, rest = chunk.source.partition("://")
        meter = self._end(rest, DLMS_PORT)
        local = self._end(chunk.local, DLMS_PORT) if chunk.local else None
        if local is None or len(local[0]) != len(meter[0]):
            ours = "192.0.2.254" if len(meter[0]) == 4 else "2001:db8::fe"
            local = (ipaddress.ip_address(ours).packed, 49_152 if meter[1] == DLMS_PORT else DLMS_PORT)
        return _Connection(meter, local, scheme == "udp")

    def _end(self, text: str, port: int) -> End:
        """Address and port of an end; a name becomes an address of the range for tests."""
        text = text.partition("/")[0].partition("?")[0]
        host, colon, digits = text.rpartition(":")
        if not colon or not digits.isdecimal() or len(digits) > 5:
            host, digits = text, str(port)
        host = host.strip("[]")
        try:
            packed = ipaddress.ip_address(host.partition("%")[0]).packed
        except ValueError:
            number = 0xC6130001 + len(self._names) % 0xFFFE  # 198.19.0.0/16
            packed = self._names.setdefault(host, number.to_bytes(4, "big"))
        return packed, int(digits) & 0xFFFF

    def _handshake(self, connection: _Connection) -> Iterator[tuple[LinkType, bytes]]:
        connection.sent = {Direction.RECEIVED: 1000, Direction.SENT: 5000}
        opens = Direction.SENT if connection.meter[1] == DLMS_PORT else Direction.RECEIVED
        answers = Direction.RECEIVED if opens is Direction.SENT else Direction.SENT
        yield LinkType.ETHERNET, _segment(connection, opens, _SYN, b"")
        connection.sent[opens] += 1
        yield LinkType.ETHERNET, _segment(connection, answers, _SYN | _ACK, b"")
        connection.sent[answers] += 1
        yield LinkType.ETHERNET, _segment(connection, opens, _ACK, b"")


def _ends(connection: _Connection, direction: Direction) -> tuple[End, End]:
    if direction is Direction.RECEIVED:
        return connection.meter, connection.ours
    return connection.ours, connection.meter


def _segment(connection: _Connection, direction: Direction, flags: int, payload: bytes) -> bytes:
    source, destination = _ends(connection, direction)
    other = Direction.SENT if direction is Direction.RECEIVED else Direction.RECEIVED
    sequence = connection.sent[direction]
    acknowledged = connection.sent[other] if flags & _ACK else 0
    header = struct.pack(
        ">HHIIBBHHH", source[1], destination[1], sequence, acknowledged, 0x50, flags, 0xFFFF, 0, 0
    )  # fmt: skip
    connection.sent[direction] = (sequence + len(payload)) & 0xFFFFFFFF
    check = _transport_sum(6, source[0], destination[0], header + payload)
    return _packet(direction, 6, source[0], destination[0], header[:16] + check + header[18:] + payload)


def _datagram(connection: _Connection, direction: Direction, payload: bytes) -> bytes:
    source, destination = _ends(connection, direction)
    header = struct.pack(">HHHH", source[1], destination[1], 8 + len(payload), 0)
    check = _transport_sum(17, source[0], destination[0], header + payload)
    return _packet(direction, 17, source[0], destination[0], header[:6] + check + payload)


def _packet(direction: Direction, protocol: int, source: bytes, destination: bytes, content: bytes) -> bytes:
    hardware = (_OURS + _METER) if direction is Direction.RECEIVED else (_METER + _OURS)
    if len(source) == 16:
        header = struct.pack(">IHBB", 0x60000000, len(content), protocol, 64) + source + destination
        return hardware + b"\x86\xdd" + header + content
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(content), 0, 0x4000, 64, protocol, 0) + source + destination
    return hardware + b"\x08\x00" + header[:10] + _sum(header) + header[12:] + content


def _transport_sum(protocol: int, source: bytes, destination: bytes, content: bytes) -> bytes:
    """Over a pseudo header of addresses, length and protocol too (RFC 9293, 3.1; RFC 8200, 8.1)."""
    check = _sum(source + destination + struct.pack(">II", len(content), protocol) + content)
    return b"\xff\xff" if protocol == 17 and check == b"\x00\x00" else check


def _sum(octets: bytes) -> bytes:
    """The Internet check sum (RFC 1071)."""
    total: int = sum(struct.unpack(f">{(len(octets) + 1) // 2}H", octets + bytes(len(octets) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")


def _serial(chunk: Chunk) -> bytes:
    """The header of LINKTYPE_RTAC_SERIAL: time, event, state of the control lines, two octets without a meaning."""
    seconds, microseconds = since_epoch(chunk.at) if chunk.at is not None else (0, 0)
    event = _TX if chunk.direction is Direction.SENT else _RX
    return struct.pack(">IIBBH", seconds & 0xFFFFFFFF, microseconds, event, 0, 0) + chunk.octets
