"""Frames of the wired M-Bus (EN 13757-2), and DLMS segments in them (EN 13757-1, IEC 62056-7-3): CI field 0x00 to 0x1F.

``E5`` acknowledges; ``10 C A CS 16`` is short; ``68 L L 68 C A CI … CS 16`` carries data. The four low bits of a CI
field of the DLMS transport number the segments of an APDU, bit 4 (FIN) marks the last one; the source and the
destination transport service access point (STSAP, DTSAP) follow, one octet each.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from cosemic.errors import FrameError, LocalProtocolError
from cosemic.link.events import FrameDropped
from cosemic.tolerances import DEFAULT, Tolerance, note

logger = logging.getLogger("cosemic.link")

ACKNOWLEDGEMENT: Final = b"\xe5"
SND_NKE: Final = 0x40
SND_UD: Final = 0x53
REQ_UD2: Final = 0x5B
SND_NR: Final = 0x44
RSP_UD: Final = 0x08
FRAME_COUNT_BIT: Final = 0x20
FRAME_COUNT_VALID: Final = 0x10
PRIMARY: Final = 0x40
"""The bits of a C field; in both directions the low four say what the frame is."""

BROADCAST: Final = 0xFF
TO_ANYONE: Final = 0xFE
"""Addresses that no device has: all listen; all listen and answer (point to point)."""

MAX_SEGMENT: Final = 250
"""Octets of an APDU in one frame: 255 less C, A, CI, STSAP and DTSAP."""

_START_LONG, _START_SHORT, _STOP = 0x68, 0x10, 0x16
_LAST = 0x10
_NUMBER = 0x0F
_TRANSPORT = 0x20


@dataclass(frozen=True, slots=True)
class MbusFrame:
    """One frame. ``control`` None is the single character E5; ``ci`` None is a short frame."""

    control: int | None = None
    address: int = 0
    ci: int | None = None
    data: bytes = b""

    @property
    def is_acknowledgement(self) -> bool:
        """Whether this is E5."""
        return self.control is None

    @property
    def is_transport(self) -> bool:
        """Whether this carries a segment of a DLMS APDU."""
        return self.ci is not None and self.ci < _TRANSPORT and len(self.data) >= 2

    @property
    def is_last(self) -> bool:
        """Whether the segment is the last of its APDU."""
        return self.ci is not None and bool(self.ci & _LAST)

    @property
    def number(self) -> int:
        """The number of the segment, modulo 16."""
        return (self.ci or 0) & _NUMBER

    @property
    def source(self) -> int:
        """STSAP: who speaks."""
        return self.data[0]

    @property
    def destination(self) -> int:
        """DTSAP: who is spoken to."""
        return self.data[1]

    @classmethod
    def decode(cls, octets: bytes, *, tolerances: frozenset[Tolerance] = DEFAULT) -> MbusFrame:
        """Read exactly one frame; FrameError when the octets are none."""
        reader = MbusReader(tolerances=tolerances)
        found = [*reader.feed(octets), *reader.expire()]
        if len(found) == 1 and isinstance(found[0], MbusFrame):
            return found[0]
        raise FrameError(f"{len(octets)} octets are not one M-Bus frame")

    def encode(self) -> bytes:
        """The octets for the wire."""
        if self.control is None:
            return ACKNOWLEDGEMENT
        if self.ci is None:
            return bytes((_START_SHORT, self.control, self.address, (self.control + self.address) & 0xFF, _STOP))
        body = bytes((self.control, self.address, self.ci)) + self.data
        if len(body) > 255:
            raise LocalProtocolError(f"{len(self.data)} octets do not fit into one M-Bus frame (252 do)")
        return bytes((_START_LONG, len(body), len(body), _START_LONG)) + body + bytes((sum(body) & 0xFF, _STOP))


Item: TypeAlias = MbusFrame | FrameDropped


class MbusReader:
    """Cuts a stream of octets into frames; what is none is dropped, told of once, and reading goes on behind it."""

    __slots__ = ("_buffer", "_overflows", "_skipped")

    def __init__(self, *, tolerances: frozenset[Tolerance] = DEFAULT) -> None:
        self._buffer = b""
        self._skipped = bytearray()
        self._overflows = Tolerance.MBUS_LENGTH_OVERFLOW in tolerances

    @property
    def is_partial(self) -> bool:
        """Whether a frame has begun and is not complete."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Item]:
        """Take octets, give the frames that they complete."""
        self._buffer += data
        return self._read(False)

    def expire(self) -> list[Item]:
        """The line is silent: what has begun is not going to end. Gives what stands behind its beginning."""
        return self._read(True)

    def _read(self, at_end: bool) -> list[Item]:
        found: list[Item] = []
        buffer, at = self._buffer, 0
        while at < len(buffer):
            read = self._frame(buffer, at, at_end)
            if read is None:
                break
            frame, size = read
            if frame is None:
                self._skipped += buffer[at : at + size]
            else:
                self._tell_skipped(found)
                found.append(frame)
            at += size
        self._buffer = buffer[at:]
        if at_end or len(self._skipped) > 512 or (self._skipped and not self._buffer):
            self._tell_skipped(found)
        return found

    def _tell_skipped(self, found: list[Item]) -> None:
        if self._skipped:
            found.append(FrameDropped("octets that are no M-Bus frame", bytes(self._skipped)))
            self._skipped.clear()

    def _frame(self, buffer: bytes, at: int, at_end: bool) -> tuple[MbusFrame | None, int] | None:
        """The frame that begins at ``at`` and its size; (None, octets to skip); None when more octets are needed."""
        start, left = buffer[at], len(buffer) - at
        if start == ACKNOWLEDGEMENT[0]:
            return MbusFrame(), 1
        if start == _START_SHORT:
            if left < 5:
                return (None, 1) if at_end else None
            control, address, check, stop = buffer[at + 1 : at + 5]
            is_whole = check == (control + address) & 0xFF and stop == _STOP
            return (MbusFrame(control, address), 5) if is_whole else (None, 1)
        if start != _START_LONG:
            return None, _next_start(buffer, at) - at
        return self._long(buffer, at, left, at_end)

    def _long(self, buffer: bytes, at: int, left: int, at_end: bool) -> tuple[MbusFrame | None, int] | None:
        end = long_frame_end(buffer, at, most_overflow=255 if self._overflows else -1, at_end=at_end)
        if end < 0:
            return None
        return (long_frame(buffer, at, end), end - at) if end else (None, 1)


def long_frame_end(data: bytes | bytearray, at: int, *, most_overflow: int = -1, at_end: bool = False) -> int:
    """Where the long frame that begins at ``at`` ends; 0 where there is none; below 0 while that cannot be told.

    A negative number is the place, turned negative, that the octets have to reach. ``at_end`` says that no more come.
    A length field up to ``most_overflow`` may hold the last 8 bits only of a length that is larger by 256. The smaller
    it is, the less is waited for behind a damaged frame.
    """
    have = len(data)
    if have - at < 4:
        return 0 if at_end or (have - at == 3 and data[at + 1] != data[at + 2]) else -(at + 4)
    length = data[at + 1]
    if data[at] != _START_LONG or data[at + 3] != _START_LONG or length != data[at + 2]:
        return 0
    for true_length in (length, length + 256) if length <= most_overflow else (length,):
        if true_length < 3:
            continue
        end = at + true_length + 6
        if have < end:
            if not at_end:
                return -end
            continue
        if data[end - 1] == _STOP and sum(data[at + 4 : end - 2]) & 0xFF == data[end - 2]:
            return end
    return 0


def long_frame(data: bytes | bytearray, at: int, end: int) -> MbusFrame:
    """The frame that ``long_frame_end`` found between ``at`` and ``end``."""
    body = bytes(data[at + 4 : end - 2])
    if len(body) != data[at + 1]:
        note(Tolerance.MBUS_LENGTH_OVERFLOW, f"an M-Bus frame of {len(body)} octets says {data[at + 1]}")
    return MbusFrame(body[0], body[1], body[2], body[3:])


def _next_start(buffer: bytes, at: int) -> int:
    places = (buffer.find(start, at) for start in (b"\x68", b"\x10", b"\xe5"))
    return min((place for place in places if place >= 0), default=len(buffer))


def segments(
    apdu: bytes, control: int, address: int, source: int, destination: int, size: int = MAX_SEGMENT
) -> Iterator[MbusFrame]:
    """The frames that carry an APDU, at most ``size`` octets of it in each."""
    starts = range(0, max(len(apdu), 1), size)
    for number, start in enumerate(starts):
        ci = number & _NUMBER | (_LAST if start == starts[-1] else 0)
        data = bytes((source, destination)) + apdu[start : start + size]
        yield MbusFrame(control, address, ci, data)


@dataclass(frozen=True, slots=True)
class MbusApdu:
    """A whole APDU, and between whom it went."""

    source: int
    destination: int
    apdu: bytes


class SegmentCollector:
    """Puts the segments of one direction together. A missing one drops the APDU; the next number 0 begins anew."""

    __slots__ = ("_apdu", "_bears_others", "_expected", "_last", "_max_apdu", "_pair")

    def __init__(self, max_apdu: int = 1 << 20, *, tolerances: frozenset[Tolerance] = frozenset()) -> None:
        self._max_apdu = max_apdu
        self._bears_others = Tolerance.MBUS_ACCESS_POINTS in tolerances
        self._apdu = bytearray()
        self._pair = (0, 0)
        self._expected: int | None = None  # None: an APDU has to begin
        self._last: MbusFrame | None = None

    def __len__(self) -> int:
        return len(self._apdu)

    @property
    def octets(self) -> bytes:
        """What is there of the APDU that has begun."""
        return bytes(self._apdu)

    @property
    def access_points(self) -> tuple[int, int]:
        """Source and destination of its first segment."""
        return self._pair

    def clear(self) -> None:
        """Forget what has begun."""
        self._apdu.clear()
        self._expected = None
        self._last = None

    def add(self, frame: MbusFrame) -> MbusApdu | FrameDropped | None:
        """Take a segment; gives the APDU that it completes, or what had to be dropped because of it."""
        pair = (frame.source, frame.destination)
        dropped: FrameDropped | None = None
        if self._bears_others and pair != self._pair and frame.number and frame.number == self._expected:
            note(Tolerance.MBUS_ACCESS_POINTS, f"segment {frame.number} goes from {pair[0]} to {pair[1]}")
            pair = self._pair
        if self._expected is None or frame.number != self._expected or pair != self._pair:
            if self._expected is not None and frame == self._last:
                return None  # sent again
            if self._expected is not None:
                dropped = FrameDropped(
                    f"segment {frame.number} came in place of segment {self._expected} of an APDU", bytes(self._apdu)
                )
            self.clear()
            if frame.number != 0:
                return dropped or FrameDropped(f"an APDU begins with segment {frame.number}", frame.data)
            self._pair = pair
        self._apdu += frame.data[2:]
        if len(self._apdu) > self._max_apdu:
            too_much = FrameDropped(f"an APDU in M-Bus segments exceeds {self._max_apdu} octets", bytes(self._apdu))
            self.clear()
            return too_much
        if not frame.is_last:
            self._expected = (frame.number + 1) & _NUMBER
            self._last = frame
            return dropped
        apdu = MbusApdu(*pair, bytes(self._apdu))
        self.clear()
        if dropped is not None:
            logger.info("dropped %d octets: %s", len(dropped.octets), dropped.reason)
        return apdu
