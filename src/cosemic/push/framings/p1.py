"""The text of a P1 port (DSMR, ESMR and their like) or of IEC 62056-21 mode D: from ``/`` and three letters to ``!``.

Here it is found where such a text begins and ends. Whether its check sum holds is for who reads it to say, and what to
do about it: a text that has values is passed on all the same. No frame of another kind is taken with it, since those
have octets that no text has, nor another text, as that would begin in it.
"""

from __future__ import annotations

import re
from typing import Final

from cosemic.link.crc import crc16_arc

STARTS: Final = b"/\xaf"
"""The first octet of a text, and the same with an even parity in bit 7."""

_MARK: Final = 0x21
_HEAD: Final = 5
_LONGEST_NAME: Final = 40
_LONGEST_BEGINNING: Final = 4 + _LONGEST_NAME + 1
_LONGEST_LAST_LINE: Final = 16
_TAIL: Final = _LONGEST_LAST_LINE + 2

_PLAIN: Final = bytes(range(256))
_SEVEN_BITS: Final = bytes(octet & 0x7F for octet in range(256))
_PARITY: Final = bytes(octet & 0x7F | (octet & 0x7F).bit_count() % 2 << 7 for octet in range(256))

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = b"0123456789"
_NAME: Final = bytes(octet for octet in range(0x20, 0x7F) if octet not in b"!/()")
_CONTROL: Final = bytes(octet for octet in range(0x80) if (octet < 0x20 and octet not in b"\t\r\n") or octet == 0x7F)

_ENDING: Final = re.compile(rb"[^\x00-\x08\n-\x1f/\x7f]{0,16}+(?:\r\n|\n|\r(?=[^\n]))")
_MAY_END: Final = re.compile(rb"[^\x00-\x08\n-\x1f/\x7f]{0,16}+\r?")
_CHECK_SUM: Final = re.compile(rb"([0-9A-Fa-f]{0,4})[ \t]*(?:[\r\n]|\Z)")
_FOUR_DIGITS: Final = re.compile(rb"[0-9A-Fa-f]{4}")
_LINE_ENDS: Final = re.compile(rb"\r\n|\r|\n")


def _one_of(octets: bytes, table: bytes) -> bytes:
    return b"[" + re.escape(octets.translate(table)) + b"]"


def _behind_slash(table: bytes) -> bytes:
    """Letters and a digit; or letters and the rest of the line, which has no brackets."""
    letters, digits, name, ends = (_one_of(octets, table) for octets in (_LETTERS, _DIGITS, _NAME, b"\r\n"))
    return letters + b"{3}(?:" + digits + b"|" + name + b"{1,%d}+" % _LONGEST_NAME + ends + b")"


class _Alphabet:
    """How texts look whose octets come as they are, or with an even parity in bit 7 (``table``).

    ``other`` is what a text has not in it, or at its end only. It begins with a set, as that is searched for quickly.
    """

    __slots__ = ("beginning", "head", "line_end", "other", "values")

    def __init__(self, table: bytes) -> None:
        letters, digits, name, ends = (_one_of(octets, table) for octets in (_LETTERS, _DIGITS, _NAME, b"\r\n"))
        slash = b"/".translate(table)
        self.beginning = re.compile(slash + _behind_slash(table))
        self.head = re.compile(slash + b"(?:" + letters + b"{0,3}|" + letters + b"{3}" + name + b"*)\\Z")
        control = _CONTROL if table is _PLAIN else _CONTROL + bytes(octet | 0x80 for octet in _CONTROL)
        self.other = re.compile(
            _one_of(control + STARTS + b"!", _PLAIN)
            + (b"(?:(?<=" + ends + b"!)|(?<=" + _one_of(control, _PLAIN) + b")")
            + (b"|(?<=/)" + _behind_slash(_PLAIN) + b"|(?<=\xaf)" + _behind_slash(_PARITY) + b")")
        )
        opens, closes, inside = (octets.translate(table) for octets in (b"(", b")", b"()\r\n"))
        self.line_end = re.compile(ends)
        self.values = re.compile(
            digits + re.escape(opens) + b"[^" + re.escape(inside) + b"]{0,1024}+" + re.escape(closes)
        )


_AS_IT_IS: Final = _Alphabet(_PLAIN)
_WITH_PARITY: Final = _Alphabet(_PARITY)

_letters: Final = _one_of(_LETTERS, _PARITY)
_digits: Final = _one_of(_DIGITS, _PARITY)
SURE: Final = (
    rb"/(?=[A-Za-z]{3}[0-9]|[A-Za-z]{0,3}\Z)|\xaf(?=" + _letters + b"{3}" + _digits + b"|" + _letters + rb"{0,3}\Z)"
)
"""A pattern: where a text begins whose fourth letter is a digit, as nearly all have it."""

ANY: Final = rb"/(?=[A-Za-z]{3}[ -~]|[A-Za-z]{0,3}\Z)|\xaf(?=" + _letters + b"{3}|" + _letters + rb"{0,3}\Z)"
"""A pattern: where any text may begin."""


class Text:
    """A look at one place of the stream that goes on when more octets come; see ``framings``.

    ``with_parity`` says whether texts are read that have a parity in bit 7.
    """

    __slots__ = ("_alphabet", "_mark", "_seen", "_with_parity", "reason")

    def __init__(self, with_parity: bool) -> None:
        self._with_parity = with_parity
        self._seen = 0
        self._mark = 0
        self.reason = ""
        """Why what began as such a text is none, if it did."""

    def end(self, data: bytes | bytearray, at: int, max_octets: int, *, at_end: bool) -> int:
        """Where the text that begins at ``at`` ends: behind its last line end, or where that is missing at the end."""
        have = len(data)
        if not self._seen:
            begins = self._begins(data, at, at_end)
            if begins <= 0:
                return begins
        other = self._alphabet.other.search(data, at + self._seen)
        if other is None:
            if have - at >= max_octets + _LONGEST_BEGINNING:
                self.reason = f"a P1 text of more than {max_octets} octets"
                return 0
            # what begins another text may be the last that is there
            self._seen = max(self._seen, have - at - _LONGEST_BEGINNING)
            return 0 if at_end else -(have + 1)
        stop = other.start()
        mark = stop + 1
        if mark - at > max_octets:
            self.reason = f"a P1 text of more than {max_octets} octets"
            return 0
        if data[stop] != _MARK:
            if data[stop] not in STARTS:
                self.reason = f"a P1 text that is cut short or damaged: it has the octet {data[stop]:02X}"
            return 0
        self._seen = stop - at
        self._mark = mark - at
        return self._ending(data, at, at_end)

    def holds(self, data: bytes | bytearray, at: int) -> bool:
        """Whether the check sum of the text that was found at ``at`` holds, or there is none."""
        mark = at + self._mark
        covered, last = self._plain(data, at, mark), self._plain(data, mark, mark + _TAIL)
        digits = _CHECK_SUM.match(last) or _FOUR_DIGITS.match(last)
        if digits is None:
            return False
        number = digits[0].split()
        if not number:
            return True  # DSMR 2 and 3 have none, nor has IEC 62056-21
        expected = int(number[0], 16)
        return expected in (crc16_arc(covered), crc16_arc(_LINE_ENDS.sub(b"\r\n", covered)))

    def _begins(self, data: bytes | bytearray, at: int, at_end: bool) -> int:
        """1 if a text begins, 0 if not, else the place that tells it, negative."""
        has_parity = data[at] != STARTS[0]
        if has_parity and not self._with_parity:
            return 0
        alphabet = self._alphabet = _WITH_PARITY if has_parity else _AS_IT_IS
        begins = alphabet.beginning.match(data, at)
        if begins is None:
            have = len(data)
            may_begin = not at_end and have - at < _LONGEST_BEGINNING and alphabet.head.match(data, at)
            return -(max(have, at + _HEAD - 1) + 1) if may_begin else 0
        self._seen = 4
        self.reason = "a P1 text that is cut short"
        return 1

    def _ending(self, data: bytes | bytearray, at: int, at_end: bool) -> int:
        """The end behind the ``!``."""
        mark, have = at + self._mark, len(data)
        tail = self._plain(data, mark, mark + _TAIL)
        ends = _ENDING.match(tail)
        if ends is not None:
            return self._believed(data, at, mark + ends.end())
        if _MAY_END.fullmatch(tail) and len(tail) < _TAIL:
            if not at_end:
                return -(have + 1)
            return self._believed(data, at, have) if tail else 0
        if _FOUR_DIGITS.match(tail) and self.holds(data, at):
            return mark + 4  # the line end was lost
        self.reason = "a P1 text without an end of its last line: octets were lost or changed on the line"
        return 0

    def _believed(self, data: bytes | bytearray, at: int, end: int) -> int:
        """The end, where it looks as if a meter had sent it: it has values, or its check sum holds."""
        mark = at + self._mark
        line = self._alphabet.line_end.search(data, at, mark)
        has_values = line is not None and self._alphabet.values.search(data, line.end(), mark) is not None
        has_check_sum = not self._plain(data, mark, end).isspace()
        if has_values or (has_check_sum and self.holds(data, at)):
            return end
        self.reason = "a P1 text without values, with a wrong check sum or none"
        return 0

    def _plain(self, data: bytes | bytearray, start: int, end: int) -> bytes:
        octets = bytes(data[start:end])
        return octets.translate(_SEVEN_BITS) if self._alphabet is _WITH_PARITY else octets
