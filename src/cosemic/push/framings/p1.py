"""The text of a P1 port (DSMR, ESMR and their like): from ``/`` and the maker's letters to ``!`` and a check sum."""

from __future__ import annotations

import re
from typing import Final

from cosemic.link.crc import crc16_arc

_BEGINNING: Final = re.compile(rb"/[A-Za-z]{3}[0-9]")
_OTHER: Final = re.compile(rb"[^\t\r\n\x20-\x7e]|/[A-Za-z]{3}[0-9]|\n!")
_CRC: Final = re.compile(rb"[0-9A-Fa-f]{4}\r?\n|\r?\n")
_HEAD: Final = 5
_TAIL: Final = 6


class Text:
    """A look at one place of the stream that goes on when more octets come; see ``framings``."""

    __slots__ = ("_seen", "reason")

    def __init__(self) -> None:
        self._seen = 0
        self.reason = ""
        """Why what began as such a text is none, if it did."""

    def end(self, data: bytes | bytearray, at: int, max_octets: int, *, at_end: bool) -> int:
        """Where the text that begins at ``at`` ends: behind its last line end, or where that is missing at the end."""
        have = len(data)
        if have - at < _HEAD:
            letters = data[at + 1 :]
            return 0 if at_end or (letters and not letters.isalpha()) else -(at + _HEAD)
        if not self._seen:
            if not _BEGINNING.match(data, at):
                return 0
            self._seen = _HEAD
            self.reason = "a P1 text that is cut short"
        other = _OTHER.search(data, at + self._seen)
        if other is None:
            # an exclamation mark or a slash may be the last octets there are
            self._seen = max(self._seen, have - at - _HEAD)
            return 0 if at_end or have - at > max_octets else -(have + 1)
        mark = other.start() + 1
        if data[mark - 1] != 0x0A or mark - at > max_octets:
            return 0
        self._seen = mark - 1 - at
        tail = bytes(data[mark + 1 : mark + 1 + _TAIL])
        ends = _CRC.match(tail)
        if ends is None:
            if at_end and len(tail) == 4 and _is_hexadecimal(tail):
                return self._checked(data, at, mark, tail, have)
            return 0 if at_end or len(tail) >= _TAIL or not _may_become(tail) else -(mark + 2 + len(tail))
        return self._checked(data, at, mark, tail, mark + 1 + ends.end())

    def _checked(self, data: bytes | bytearray, at: int, mark: int, tail: bytes, end: int) -> int:
        if not _is_hexadecimal(tail[:4]):
            return end  # DSMR 2 and 3 have no check sum
        if crc16_arc(data[at : mark + 1]) == int(tail[:4], 16):
            return end
        self.reason = "a P1 text with a wrong check sum (CRC)"
        return 0


def _is_hexadecimal(octets: bytes) -> bool:
    return len(octets) == 4 and octets.isalnum() and all(octet in b"0123456789ABCDEFabcdef" for octet in octets)


def _may_become(tail: bytes) -> bool:
    digits = tail.rstrip(b"\r\n")
    return len(digits) <= 4 and all(octet in b"0123456789ABCDEFabcdef" for octet in digits)
