"""Where a value ends in a stream, without its meaning: a walk over A-XDR that goes on when more octets come."""

from __future__ import annotations

from typing import Final

from cosemic.codec.scalars import SIZE, UNPACK

_DEEPEST: Final = 32
_LONGEST_DESCRIPTION: Final = 256

_FIXED: Final = [SIZE[tag] + 1 if UNPACK[tag] is not None else 0 for tag in range(256)]
"""By tag: octets of a value of fixed size, tag included; 0 where the size is in the octets or the tag is none."""
for _tag, _size in ((0, 1), (255, 1), (25, 13), (26, 6), (27, 5)):
    _FIXED[_tag] = _size


class Walk:
    """A walk over ``count`` values that begin at ``place`` (places are counted from where the APDU begins).

    With ``bears_bare`` an attribute descriptor may stand in a structure of two without type tags, as meters of Sagemcom
    (XT211) and EGD send it: class id, logical name, attribute, 9 octets in all.
    """

    __slots__ = ("_bears_bare", "_left", "place")

    def __init__(self, place: int, count: int, *, bears_bare: bool = False) -> None:
        self.place = place
        self._left = [count]
        self._bears_bare = bears_bare

    def go(self, data: bytes | bytearray, start: int) -> int:
        """Go on in ``data``, where the APDU begins at ``start``: a look (see ``framings``), counted from the APDU."""
        left = self._left
        at = start + self.place
        have = len(data)
        while left:
            if not left[-1]:
                left.pop()
                continue
            if at >= have:
                self.place = at - start
                return start - at - 1
            tag = data[at]
            size = _FIXED[tag]
            if size:
                at += size
            elif tag <= 2:
                if at + 1 >= have:
                    break
                if self._bears_bare and tag == 2 and data[at + 1] == 2:
                    is_likely = at + 2 < have and not data[at + 2]
                    if at + 2 >= have or (is_likely and have - at < 12):
                        self.place = at - start
                        return start - at - (12 if is_likely else 3)
                    is_bare = is_likely and _is_descriptor(data, at + 2)
                    left[-1] -= 1
                    left.append(1 if is_bare else 2)
                    at += 11 if is_bare else 2
                    continue
                count, after = _length(data, at + 1)
                if after <= 0 or len(left) > _DEEPEST:
                    if after < 0:
                        break
                    self.place = at - start
                    return 0
                left[-1] -= 1
                left.append(count)
                at = after
                continue
            else:
                after = _string_end(data, at)
                if after <= 0:
                    if after:
                        break
                    self.place = at - start
                    return 0
                at = after
            left[-1] -= 1
        else:
            self.place = at - start
            return self.place
        self.place = at - start
        return start - have - 1


def _is_descriptor(data: bytes | bytearray, at: int) -> bool:
    """Whether a bare attribute descriptor stands here, and a value behind it."""
    following = data[at + 9]
    return data[at] == 0 and data[at + 7] == 0xFF and 0 < data[at + 8] < 0x40 and (following <= 33 or following == 255)


def _length(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """The length or count at ``at`` and the place after it; that is 0 where there is none, -1 where octets miss."""
    if at >= len(data):
        return 0, -1
    first = data[at]
    if first < 0x80:
        return first, at + 1
    size = first & 0x7F
    if not 0 < size <= 4:
        return 0, 0
    end = at + 1 + size
    if end > len(data):
        return 0, -1
    return int.from_bytes(data[at + 1 : end], "big"), end


def string_end(data: bytes | bytearray, at: int) -> int:
    """Where an octet string with its length ends, perhaps beyond the octets; 0: none here; -1: octets are missing."""
    length, after = _length(data, at)
    return after + length if after > 0 else after


def _string_end(data: bytes | bytearray, at: int) -> int:
    """The same for a value with its tag whose size is in the octets."""
    tag = data[at]
    if tag in (9, 10, 12):
        return string_end(data, at + 1)
    if tag == 4:
        length, after = _length(data, at + 1)
        return after + (length + 7) // 8 if after > 0 else after
    if tag == 19:
        after = _description_end(data, at + 1, at + 1 + _LONGEST_DESCRIPTION)
        return string_end(data, after) if after > 0 else after
    return 0


def _description_end(data: bytes | bytearray, at: int, stop: int) -> int:
    """Where the type description of a compact array ends; it may not go beyond ``stop``."""
    left = 1
    while left:
        if at >= stop:
            return 0
        if at >= len(data):
            return -1
        left -= 1
        tag = data[at]
        at += 1
        if tag == 2:
            count, at = _length(data, at)
            left += count
        elif tag == 1:
            left += 1
            at += 2
        elif not _FIXED[tag] and tag not in (4, 9, 10, 12):
            return 0
        if at <= 0:
            return at
    return at
