"""APDUs without a frame: where one begins, as far as its first octets tell, and where it ends."""

from __future__ import annotations

from typing import Final

from cosemic.enums import ApduTag
from cosemic.push.framings.walking import Walk, string_end

KNOWN: Final = frozenset(ApduTag)
"""First octets of APDUs."""

DATA_NOTIFICATION: Final = 0x0F
_GENERAL = (0xDB, 0xDC)
_CIPHERED = (0x38, 0x58, 0xCA, 0xD2)
_BLOCK = 0xE0
_WITH_HEADER = (0xDD, 0xDF)
_EVENT, _REPORT = 0xC2, 0x18
STARTS: Final = frozenset((DATA_NOTIFICATION, *_GENERAL, *_CIPHERED, _BLOCK, *_WITH_HEADER, _EVENT, _REPORT))
"""First octets of what a meter sends by itself."""

_IN_NOISE = frozenset((DATA_NOTIFICATION, *_GENERAL, _BLOCK, *_WITH_HEADER))
_TITLE = 8


def is_likely_push(octets: bytes | bytearray, at: int) -> bool:
    """Whether a push begins here, as far as its first octets tell; of what is cut short, no."""
    return at < len(octets) and octets[at] in STARTS and _begins(octets, at, False) > 0


def is_rare(data: bytes | bytearray, at: int) -> bool:
    """Whether the first octets of a push are such as noise hardly ever has."""
    tag = data[at]
    if tag == _BLOCK:
        first = at + 7 + (data[at + 6] & 0x7F if data[at + 6] >= 0x80 else 0)
        return data[at + 2 : at + 4] == b"\x00\x01" and first < len(data) and data[first] in STARTS
    return tag == DATA_NOTIFICATION or (tag in _GENERAL and _title_begins(data, at + 1, True) > 0)


def is_cut(apdu: bytes) -> bool:
    """Whether an APDU that has its length in front is shorter than that."""
    return bool(apdu) and apdu[0] in _GENERAL and (_end(apdu, 0) < 0 or _end(apdu, 0) > len(apdu))


def begins_again(data: bytes | bytearray, at: int, end: int) -> int:
    """Where the next APDU of the same sender begins within what seems to be one; 0 if it does not, or none can tell."""
    if data[at] not in _GENERAL or at + 1 >= len(data) or data[at + 1] != _TITLE:
        return 0
    return max(data.find(data[at : at + 2 + _TITLE], at + 1, end), 0)


class Look:
    """A look at one place of the stream that goes on when more octets come. Its place does not change meanwhile."""

    __slots__ = ("_count", "_end", "_is_bare", "_walk", "has_begun")

    def __init__(self) -> None:
        self._end = 0
        self._walk: Walk | None = None
        self._is_bare = False
        self._count = 0
        self.has_begun = False
        """Whether the first octets are those of an APDU."""

    @property
    def walked(self) -> int:
        """How many octets the walk has looked at, counted from the place."""
        return self._walk.place if self._walk is not None else 0

    def end(self, data: bytes | bytearray, at: int, *, in_noise: bool) -> int:
        """Where the APDU that begins at ``at`` ends; a look (see ``framings``).

        ``in_noise`` asks for more certainty of the first octets than where an APDU is due. A notification whose values
        are no valid A-XDR ends where a walk ends that knows bare attribute descriptors; 0 where that fails too.
        """
        if self._end:
            return at + self._end
        if self._walk is None:
            begins = _begins(data, at, in_noise)
            if begins <= 0:
                return begins
            self.has_begun = True
            values, self._count = _values(data, at)
            if values == 0:
                end = _end(data, at)
                if end > 0:
                    self._end = end - at
                return end
            if values < 0 or not self._count:
                return min(values, 0)
            self._walk = Walk(values - at, self._count)
        while True:
            end = self._walk.go(data, at)
            if end:
                return end + at if end > 0 else end - at
            if self._is_bare or data[at] != DATA_NOTIFICATION:
                return 0
            self._is_bare = True
            self._walk = Walk(_values(data, at)[0] - at, self._count, bears_bare=True)


def _begins(data: bytes | bytearray, at: int, in_noise: bool) -> int:
    """1 where the first octets are those of a push, else 0, or how far the octets have to reach, turned negative."""
    tag = data[at]
    if in_noise and tag not in _IN_NOISE:
        return 0
    have = len(data) - at
    if tag == DATA_NOTIFICATION:
        return _notification_begins(data, at, have)
    if tag in _GENERAL:
        return _ciphered_begins(data, at, at + 1, in_noise, have)
    if tag in _CIPHERED:
        return _content_begins(data, at, at + 1)
    if tag == _BLOCK:
        if have < 8:
            return -(at + 8)
        number = data[at + 2] << 8 | data[at + 3]
        if not number or (in_noise and (number != 1 or data[at + 1] & 0x80)):
            return 0
        first = at + 7 if data[at + 6] < 0x80 else at + 7 + (data[at + 6] & 0x7F)
        if in_noise and first >= len(data):
            return -(first + 1) if data[at + 6] in range(1, 0x85) else 0
        return 1 if not in_noise or (data[first] != _BLOCK and data[first] in _IN_NOISE) else 0
    if tag in _WITH_HEADER:
        title = string_end(data, at + 1)
        if title <= 0:
            return title if not title else -(len(data) + 1)
        if title > at + 40:
            return 0
        return _title_begins(data, title, in_noise)
    if have < 12:
        return -(at + 12)
    if tag == _EVENT:
        return 1 if data[at + 1] == 0 or (data[at + 1] == 1 and data[at + 2] in (12, 13)) else 0
    return 1 if data[at + 1] == 0 and 0 < data[at + 2] < 0x20 and data[at + 3] in (2, 4) else 0


def _notification_begins(data: bytes | bytearray, at: int, have: int) -> int:
    if have < 8:
        return -(at + 8)
    if data[at + 1] & 0x0F:  # four bits of the long-invoke-id-and-priority are reserved
        return 0
    date = data[at + 5]
    if not date:
        return 1 if data[at + 6] in (1, 2) and data[at + 7] else 0
    start = at + 6
    if date == 9:
        date, start = data[at + 6], at + 7
    if date != 12:
        return 0
    if have < start - at + 14:
        return -(start + 14)
    return 1 if _is_date(data, start) and data[start + 12] in (1, 2) and data[start + 13] else 0


def _is_date(data: bytes | bytearray, at: int) -> bool:
    """Whether the twelve octets may be a date-time."""
    year = data[at] << 8 | data[at + 1]
    month, day, weekday, hour, minute, second = data[at + 2 : at + 8]
    return (
        (1970 <= year < 2200 or year == 0xFFFF)
        and (1 <= month <= 12 or month >= 0xFD)
        and (1 <= day <= 31 or day >= 0xFD)
        and (weekday <= 7 or weekday == 0xFF)
        and (hour < 24 or hour == 0xFF)
        and (minute < 60 or minute == 0xFF)
        and (second < 60 or second == 0xFF)
    )


def _ciphered_begins(data: bytes | bytearray, at: int, title: int, in_noise: bool, have: int) -> int:
    begins = _title_begins(data, title, in_noise)
    return _content_begins(data, at, title + 1 + data[title]) if begins > 0 else begins


def _title_begins(data: bytes | bytearray, at: int, in_noise: bool) -> int:
    """A system title: empty, or eight octets, the first three of which are the letters of the manufacturer."""
    if at >= len(data):
        return -(at + 1)
    if data[at] == 0 and not in_noise:
        return 1
    if data[at] != _TITLE:
        return 0
    if len(data) < at + 4:
        return -(at + 4)
    return 1 if not in_noise or (data[at + 1 : at + 4].isalpha() and data[at + 1 : at + 4].isascii()) else 0


def _content_begins(data: bytes | bytearray, at: int, length: int) -> int:
    """Ciphered content: its length, and a security control that exists."""
    if length + 6 >= len(data):
        return -(length + 7)
    first = data[length]
    if first >= 0x80:
        if not 0x81 <= first <= 0x84:
            return 0
        length += first & 0x7F
    elif first < 6:
        return 0
    control = data[length + 1]
    return 1 if control & 0x8F <= 2 and control & 0x30 else 0


def _values(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Where the values begin and how many there are; (0, 0) where the APDU has its length in front."""
    tag = data[at]
    if tag == DATA_NOTIFICATION:
        date = at + 5 + (data[at + 5] == 9)
        return date + 1 + data[date], 1
    if tag == _EVENT:
        return (at + 11 if not data[at + 1] else at + 3 + data[at + 2] + 9), 1
    if tag != _REPORT:
        return 0, 0
    place = at + 3
    for _ in range(data[at + 2]):
        if place >= len(data):
            return -(place + 1), 0
        if data[place] != 2:
            return place, 0  # another way of naming a variable, which no push has
        place += 3
    if place >= len(data):
        return -(place + 1), 0
    return place + 1, data[place] & 0x7F


def _end(data: bytes | bytearray, at: int) -> int:
    """Where an APDU ends that has its length in front; a look."""
    tag = data[at]
    place = at + 1
    if tag == _BLOCK:
        strings = 1
        place = at + 6
    elif tag in _CIPHERED:
        strings = 1
    elif tag in _GENERAL:
        strings = 2
    else:
        strings = 5
    for _ in range(strings):
        place = string_end(data, place)
        if place <= 0:
            return -(len(data) + 1) if place else 0
    if tag in (0xDB, 0xDC, _BLOCK) or tag in _CIPHERED:
        return place
    if tag == 0xDD:
        return _key_info_end(data, place)
    for _ in range(2):
        place = string_end(data, place)
        if place <= 0:
            return -(len(data) + 1) if place else 0
    return place


def _key_info_end(data: bytes | bytearray, place: int) -> int:
    if place + 2 >= len(data):
        return -(place + 3)
    present, choice = data[place], data[place + 1]
    if present > 1:
        return 0
    strings, place = 1, place + 1
    if present:
        if choice > 2:
            return 0
        strings += choice
        place += 1 if choice == 2 else 2
    for _ in range(strings):
        place = string_end(data, place)
        if place <= 0:
            return -(len(data) + 1) if place else 0
    return place
