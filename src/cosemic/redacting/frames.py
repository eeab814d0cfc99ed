"""Where the frames are in a run of octets, and their check sums when what is inside has changed."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cosemic.errors import FrameError
from cosemic.explain import hdlc, mbus
from cosemic.explain.apdus import knows
from cosemic.link.crc import crc16_x25
from cosemic.link.frames import HdlcFrame

_WRAPPER_HEADER = 8
_STARTS = re.compile(rb"[\x7e\x68\x10\xe5/\x06]|\x00\x01", re.DOTALL)
_LINE = re.compile(rb"/\?[0-9A-Za-z ]{0,32}!\r?\n|\x06[0-9][0-9A-Z][0-9A-Z]\r?\n|/[A-Za-z]{3}[ -~]{1,80}\r?\n")
_TELEGRAM_END = re.compile(rb"!(?:[0-9A-Fa-f]{0,4})\r?\n(?:\x03[\x00-\xff])?")
_NO_TEXT = re.compile(rb"[^\x02\x03\x06\x15\r\n -~]")


class Kind(enum.Enum):
    """What stands there."""

    HDLC = "HDLC"
    WRAPPER = "wrapper"
    MBUS = "M-Bus"
    FLAG = "flag or acknowledgement"
    TEXT = "text"
    NOISE = "noise"


@dataclass(frozen=True, slots=True)
class Found:
    """A stretch of octets: what it is, and where what it carries begins and ends."""

    kind: Kind
    start: int
    end: int
    inside: int = 0
    inside_end: int = 0
    frame: HdlcFrame | None = None


def find_frames(octets: bytes) -> Iterator[Found]:
    """The whole and intact frames in order, with what is between them; together all of the octets."""
    texts = _Texts(octets)
    at = noise = 0
    while at < len(octets):
        match = _STARTS.search(octets, at)
        if match is None:
            break
        at = match.start()
        found = texts.find(at) if octets[at] in (0x2F, 0x06) else _found(octets, at)
        if found is None:
            at += 1
            continue
        if noise < at:
            yield Found(Kind.NOISE, noise, at)
        yield found
        at = noise = found.end
    if noise < len(octets):
        yield Found(Kind.NOISE, noise, len(octets))


class _Texts:
    """Finds texts; how far text goes, and where the next end of a telegram is, is looked for once."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._text_end = self._telegram_end = self._after = -1

    def find(self, at: int) -> Found | None:
        line = _LINE.match(self._octets, at)
        if line is None:
            return None
        if line[0][:2] == b"/?" or line[0][:1] == b"\x06":
            return Found(Kind.TEXT, at, line.end())
        if self._telegram_end < at:
            end = _TELEGRAM_END.search(self._octets, at)
            self._telegram_end, self._after = (end.start(), end.end()) if end else (len(self._octets) + 1, 0)
        if self._text_end < at:
            no_text = _NO_TEXT.search(self._octets, at)
            self._text_end = len(self._octets) if no_text is None else no_text.start()
        if self._telegram_end < self._text_end:
            return Found(Kind.TEXT, at, self._after)
        return Found(Kind.TEXT, at, line.end())


def _found(octets: bytes, at: int) -> Found | None:
    first = octets[at]
    if first == 0x7E:
        return _hdlc(octets, at)
    if first == 0x68:
        size = mbus.frame_size(octets, at)
        return None if size is None else Found(Kind.MBUS, at, at + size, at + 4, at + size - 2)
    if first in (0x10, 0xE5):
        size = mbus.short_size(octets, at)
        return None if size is None else Found(Kind.FLAG, at, at + size)
    return _wrapper(octets, at)


def _hdlc(octets: bytes, at: int) -> Found | None:
    """The frame behind a flag, without its flags; the flag itself where a frame or nothing stands beside it."""
    size = hdlc.frame_size(octets, at + 1)
    if size is not None and size >= 7 and octets[at + 1 + size : at + 2 + size] == b"\x7e":
        try:
            frame = HdlcFrame.decode(octets[at : at + size + 2])
        except FrameError:
            frame = None
        if frame is not None:
            start, end = at, at + 1 + size
            following = hdlc.frame_size(octets, end + 1)
            shares = following is not None and octets[end + 1 + following : end + 2 + following] == b"\x7e"
            inside_end = end - 2
            inside = inside_end - len(frame.information)
            return Found(Kind.HDLC, start, end if shares else end + 1, inside, inside_end, frame)
    beside = octets[at + 1 : at + 2]
    return Found(Kind.FLAG, at, at + 1) if beside in (b"", b"\x7e") else None


def _wrapper(octets: bytes, at: int) -> Found | None:
    inside = at + _WRAPPER_HEADER
    if octets[at : at + 2] != b"\x00\x01" or inside >= len(octets) or not knows(octets[inside]):
        return None
    end = inside + int.from_bytes(octets[at + 6 : at + 8], "big")
    return Found(Kind.WRAPPER, at, end, inside, end) if inside < end <= len(octets) else None


def renew_checks(buffer: bytearray, found: Found, place: Callable[[int], int]) -> None:
    """Make the check sums of a frame fit what is in it now; ``place`` masks a physical address of HDLC."""
    if found.kind is Kind.MBUS:
        buffer[found.end - 2] = sum(buffer[found.start + 4 : found.end - 2]) & 0xFF
    elif found.kind is Kind.HDLC and found.frame is not None:
        start = found.start + 1
        end = start + ((buffer[start] & 0x07) << 8 | buffer[start + 1])
        at = start + 2
        for address in (found.frame.destination.octets, found.frame.source.octets):
            if len(address) == 4:
                physical = place(buffer[at + 2] >> 1 << 7 | buffer[at + 3] >> 1)
                buffer[at + 2], buffer[at + 3] = physical >> 7 << 1, (physical & 0x7F) << 1 | 1
            at += len(address)
        header = at + 1
        if end - start > header - start + 2:
            buffer[header : header + 2] = crc16_x25(bytes(buffer[start:header]))
        buffer[end - 2 : end] = crc16_x25(bytes(buffer[start : end - 2]))
