"""Delta types (tags 28 to 33) in an array of structures: each stands for the value of the row before plus a difference.

Plain values do not tell a difference from a number, so the octets are looked at again, most of the time by one regular
expression that finds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from cosemic.codec.compact import description_of
from cosemic.codec.decoding import decode_prefix
from cosemic.codec.limits import DEFAULT_LIMITS, Limits
from cosemic.codec.scalars import FORMATS, SIZE, TIMES, decode_length
from cosemic.codec.typed import Value
from cosemic.enums import DataType
from cosemic.errors import DecodeError

DELTAS: Final = frozenset(range(DataType.DELTA_INTEGER, DataType.DELTA_DOUBLE_LONG_UNSIGNED + 1))
"""The tags of the delta types."""
_LONGEST: Final = 32
"""Octets of a string that the regular expression knows; rows with longer ones are walked through."""
_MAYBE: Final = re.compile(rb"[\x1c-\x21]").search


def resolve_deltas(octets: bytes, rows: Value, width: int, limits: Limits = DEFAULT_LIMITS) -> Value:
    """The decoded rows with each difference added to the last value of its column; ``rows`` itself without any.

    A difference before the first value of its column stands for nothing: None. DecodeError where the value before is
    no number. What is no list of structures of ``width`` is given back as it is.
    """
    if not isinstance(rows, list) or any(type(row) is not tuple or len(row) != width for row in rows):
        return rows
    columns = _columns_with_deltas(octets, len(rows), width, limits) if rows and _MAYBE(octets) else {}
    if not columns:
        return rows
    values: list[Sequence[Any]] = list(zip(*rows, strict=True))
    for column, places in columns.items():
        values[column] = _accumulated(values[column], places)
    return list(zip(*values, strict=True))


def _accumulated(values: Sequence[Any], deltas: set[int]) -> list[Any]:
    found: list[Any] = []
    last: Any = None
    for place, value in enumerate(values):
        if place in deltas:
            if last is not None and type(last) not in (int, float):
                raise DecodeError(f"row {place + 1} holds a difference to {last!r:.60}, which is no number")
            value = None if last is None else last + value
        if value is not None:
            last = value
        found.append(value)
    return found


def _columns_with_deltas(octets: bytes, count: int, width: int, limits: Limits) -> dict[int, set[int]]:
    """By column the rows that hold a difference there. The octets are valid: they were decoded."""
    if octets[0] == DataType.COMPACT_ARRAY:
        elements = description_of(octets, 1, limits)[0].elements
        return {index: set(range(count)) for index, element in enumerate(elements) if element.type in DELTAS}
    found: dict[int, set[int]] = {}
    offset = decode_length(octets, 1)[1]
    regular = _regular(width).match if width < 0x80 else None
    row = 0
    while row < count:
        end = offset if regular is None else _end_of(regular(octets, offset), offset)
        if end == len(octets):
            break
        if end > offset:
            # So many rows are regular; how many is not told, and they are few octets: they are walked through below.
            row, offset = _walk(octets, row, offset, end, found)
            continue
        row, offset = _walk(octets, row, offset, offset + 1, found)
    return found


def _end_of(match: re.Match[bytes] | None, offset: int) -> int:
    return offset if match is None else match.end()


def _walk(octets: bytes, row: int, offset: int, end: int, found: dict[int, set[int]]) -> tuple[int, int]:
    """Note the differences of the rows from ``offset`` to ``end``; the row and the offset after them."""
    while offset < end:
        width, offset = decode_length(octets, offset + 1)
        for column in range(width):
            tag = octets[offset]
            if tag in DELTAS:
                found.setdefault(column, set()).add(row)
            offset = _after(octets, offset)
        row += 1
    return row, offset


def _after(octets: bytes, offset: int) -> int:
    tag = octets[offset]
    if SIZE[tag]:
        return offset + 1 + SIZE[tag]
    if tag in (DataType.NULL_DATA, DataType.DONT_CARE):
        return offset + 1
    if tag in _STRINGS:
        length, offset = decode_length(octets, offset + 1)
        return offset + length
    return decode_prefix(octets, offset)[1]


@lru_cache(maxsize=32)
def _regular(width: int) -> re.Pattern[bytes]:
    """Rows of usual cells, without differences."""
    by_size: dict[int, list[int]] = {}
    for tag in FORMATS:
        if tag not in DELTAS:
            by_size.setdefault(SIZE[tag], []).append(tag)
    for tag, (size, _) in TIMES.items():
        by_size.setdefault(size, []).append(tag)
    by_size[0] = [int(DataType.NULL_DATA), int(DataType.DONT_CARE)]
    cells = [_any_of(tags) + b".{%d}" % size for size, tags in sorted(by_size.items(), reverse=True)]
    lengths = b"|".join(re.escape(bytes((size,))) + b".{%d}" % size for size in (12, *range(12), *range(13, _LONGEST)))
    cells.insert(0, _any_of(sorted(_STRINGS)) + b"(?:" + lengths + b")")
    row = re.escape(bytes((DataType.STRUCTURE, width)))
    return re.compile(b"(?s:(?:" + row + b"(?:" + b"|".join(cells) + b"){%d})*+)" % width)


def _any_of(tags: Sequence[int]) -> bytes:
    return b"[" + b"".join(re.escape(bytes((tag,))) for tag in tags) + b"]"


_STRINGS: Final = frozenset((int(DataType.OCTET_STRING), int(DataType.VISIBLE_STRING), int(DataType.UTF8_STRING)))
