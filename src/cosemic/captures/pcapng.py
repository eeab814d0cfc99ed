"""pcapng files, as Wireshark writes them: sections, interfaces, packets (draft-ietf-opsawg-pcapng)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from cosemic.captures.chunks import Direction
from cosemic.captures.packets import LONGEST_PACKET, Packet, damage, moment, since_epoch
from cosemic.errors import DecodeError

_SECTION = b"\x0a\x0d\x0d\x0a"
_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET = 1, 2, 3, 6
_BYTE_ORDER = 0x1A2B3C4D
_NAME, _FLAGS, _RESOLUTION, _TIME_OFFSET = 2, 2, 9, 14
_COMMENT, _APPLICATION = 1, 4
_LONGEST_BLOCK = LONGEST_PACKET + 65_536
_MOST_INTERFACES = 4096
_LONGEST_NAME = 1024
_DIRECTIONS = {1: Direction.RECEIVED, 2: Direction.SENT}


@dataclass(frozen=True, slots=True)
class _Interface:
    link_type: int
    snap_length: int
    name: str = ""
    resolution: int = 6
    """As in the file: a power of ten, or of two where bit 7 is set."""
    time_offset: int = 0

    def moment(self, ticks: int) -> datetime | None:
        base, power = (2, self.resolution & 0x7F) if self.resolution & 0x80 else (10, self.resolution)
        if power > 64:
            return None
        whole, rest = divmod(ticks, base**power)
        return moment(whole + self.time_offset, rest * 1_000_000_000 // base**power)


def is_pcapng(beginning: bytes) -> bool:
    """Whether a file that begins so is a pcapng file."""
    return beginning[:4] == _SECTION and beginning[8:12] in (b"\x1a\x2b\x3c\x4d", b"\x4d\x3c\x2b\x1a")


def read_pcapng(file: BinaryIO) -> Iterator[Packet]:
    """The packets of a pcapng file, of all sections and interfaces.

    DecodeError where it does not begin with a section; later damage is a packet with a note, after which nothing more
    can be read. Blocks of other kinds (names, statistics, secrets) are stepped over.
    """
    order = ""
    interfaces: list[_Interface] = []
    number = 0
    while kind_octets := file.read(4):
        number += 1
        length_octets = file.read(4)
        if kind_octets == _SECTION:
            magic = file.read(4)
            order = "<" if magic == struct.pack("<I", _BYTE_ORDER) else ">"
            if len(magic) < 4 or struct.unpack(f"{order}I", magic)[0] != _BYTE_ORDER:
                if number == 1:
                    raise DecodeError("no pcapng file: its section header is damaged", octets=kind_octets + magic)
                yield damage(f"block {number} of the pcapng file is a damaged section header; the rest is left out")
                return
            interfaces = []
        elif not order:
            raise DecodeError("no pcapng file: it does not begin with a section header", octets=kind_octets)
        if len(kind_octets) < 4 or len(length_octets) < 4:
            yield damage(f"the pcapng file is cut short in block {number}")
            return
        (kind,) = struct.unpack(f"{order}I", kind_octets)
        (length,) = struct.unpack(f"{order}I", length_octets)
        taken = 12 if kind_octets == _SECTION else 8
        if length < taken + 4 or length % 4:
            yield damage(f"block {number} of the pcapng file has the impossible length {length}; the rest is left out")
            return
        wanted = kind in (_INTERFACE, _OLD_PACKET, _SIMPLE_PACKET, _ENHANCED_PACKET)
        if wanted and length > _LONGEST_BLOCK:
            yield damage(f"block {number} of the pcapng file claims {length} octets; the rest of the file is left out")
            return
        body = _read(file, length - taken, keep=wanted)
        if body is None:
            yield damage(f"the pcapng file is cut short in block {number}")
            return
        if kind == _INTERFACE:
            interface = _interface(body[:-4], order)
            if interface is None or len(interfaces) >= _MOST_INTERFACES:
                yield damage(f"block {number} of the pcapng file is no interface; the rest is left out")
                return
            interfaces.append(interface)
        elif wanted:
            packet = _packet(kind, body[:-4], order, interfaces)
            yield packet or damage(f"block {number} of the pcapng file is a damaged packet; it is left out")


def _read(file: BinaryIO, count: int, *, keep: bool) -> bytes | None:
    """The next octets, or nothing but the step over them; None where they are not there."""
    if keep:
        octets = file.read(count)
        return octets if len(octets) == count else None
    while count:
        piece = len(file.read(min(count, 65_536)))
        if not piece:
            return None
        count -= piece
    return b""


def _interface(body: bytes, order: str) -> _Interface | None:
    if len(body) < 8:
        return None
    link_type, _, snap_length = struct.unpack_from(f"{order}HHI", body)
    options = _options(body[8:], order)
    resolution = options.get(_RESOLUTION, b"\x06")[:1]
    offset = options.get(_TIME_OFFSET, b"")
    return _Interface(
        link_type,
        snap_length,
        options.get(_NAME, b"")[:_LONGEST_NAME].decode("utf-8", "replace"),
        resolution[0] if resolution else 6,
        struct.unpack(f"{order}q", offset)[0] if len(offset) == 8 else 0,
    )


def _packet(kind: int, body: bytes, order: str, interfaces: list[_Interface]) -> Packet | None:
    direction = Direction.UNKNOWN
    if kind == _SIMPLE_PACKET:
        if len(body) < 4 or not interfaces:
            return None
        interface = interfaces[0]
        (original,) = struct.unpack_from(f"{order}I", body)
        length = min(original, len(body) - 4, interface.snap_length or original)
        return Packet(None, interface.link_type, body[4 : 4 + length], original, interface.name)
    if len(body) < 20:
        return None
    if kind == _ENHANCED_PACKET:
        number, high, low, length, original = struct.unpack_from(f"{order}IIIII", body)
    else:
        number, _, high, low, length, original = struct.unpack_from(f"{order}HHIIII", body)
    if number >= len(interfaces) or length > len(body) - 20:
        return None
    interface = interfaces[number]
    flags = _options(body[20 + (length + 3 & ~3) :], order).get(_FLAGS, b"")
    if len(flags) == 4:
        direction = _DIRECTIONS.get(struct.unpack(f"{order}I", flags)[0] & 3, Direction.UNKNOWN)
    return Packet(
        interface.moment(high << 32 | low),
        interface.link_type,
        body[20 : 20 + length],
        max(original, length),
        interface.name,
        direction,
    )


def _options(octets: bytes, order: str) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(octets):
        code, length = struct.unpack_from(f"{order}HH", octets, at)
        if not code:
            break
        found.setdefault(code, octets[at + 4 : at + 4 + length])
        at += 4 + (length + 3 & ~3)
    return found


class PcapngWriter:
    """Writes a pcapng file: an interface for each link type and name, packets in microseconds with their direction."""

    def __init__(self, file: BinaryIO, comment: str = "") -> None:
        self._file = file
        self._interfaces: dict[tuple[int, str], int] = {}
        shown = _option(_COMMENT, comment.encode("utf-8", "replace")[:32_768]) if comment else b""
        options = shown + _option(_APPLICATION, b"cosemic") + _END
        self._block(0x0A0D0D0A, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1) + options)

    def write(
        self, at: datetime, link_type: int, octets: bytes, *, name: str = "", direction: Direction = Direction.UNKNOWN
    ) -> None:
        """Append a packet; its interface is described before where it is new."""
        number = self._interfaces.get((link_type, name))
        if number is None:
            number = self._interfaces[link_type, name] = len(self._interfaces)
            shown = _option(_NAME, name.encode("utf-8", "replace")[:_LONGEST_NAME]) + _END if name else b""
            self._block(_INTERFACE, struct.pack("<HHI", link_type, 0, 0) + shown)
        seconds, microseconds = since_epoch(at)
        ticks = seconds * 1_000_000 + microseconds
        flags = {Direction.RECEIVED: 1, Direction.SENT: 2}.get(direction)
        options = b"" if flags is None else _option(_FLAGS, struct.pack("<I", flags)) + _END
        head = struct.pack("<IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(octets), len(octets))
        self._block(_ENHANCED_PACKET, head + _padded(octets) + options)

    def _block(self, kind: int, body: bytes) -> None:
        length = struct.pack("<I", 12 + len(body))
        self._file.write(struct.pack("<I", kind) + length + body + length)


_END = bytes(4)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(octets: bytes) -> bytes:
    return bytes(octets) + bytes(-len(octets) % 4)
