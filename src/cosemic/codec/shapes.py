"""Elements of an array that are laid out alike, such as the rows of a profile, decoded many at a time.

A shape is derived from the octets of one element: which of them are fixed (tags, counts, lengths) and which are
content. It becomes a regular expression, which finds how many elements from here on have exactly these fixed octets,
and a Struct, which takes the contents of all of them. Every tag and length of every element is so compared; what does
not fit goes the general way. Columns are put together to rows by ``zip``: no step is made in Python for each value.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice, repeat
from operator import methodcaller
from typing import Any, Final, TypeAlias

from cosemic.codec.scalars import FORMATS, SIZE, TIMES, Budget, decode_length
from cosemic.codec.typed import Value
from cosemic.enums import DataType
from cosemic.errors import DecodeError

ROWS_WORTH_A_SHAPE: Final = 16
"""Shorter arrays are decoded the general way."""

_CANDIDATES: Final = 6
"""Shapes that are tried on one array."""
_CACHED: Final = 128
_LARGEST: Final = 2048
"""Octets of an element beyond which no shape is made of it."""
_FIELDS: Final = 128
_CHUNK: Final = 4096
"""Elements that are turned from columns to rows at a time."""
_PATIENCE: Final = 48
"""Elements decoded the general way, beyond those that shapes decoded, before shapes are given up for the array."""

DecodeItems: TypeAlias = Callable[[bytes, int, int, int, Budget], tuple[list[Value], int]]
_Columns: TypeAlias = list[tuple[Any, ...]]
_Column: TypeAlias = Callable[[_Columns, int], Iterable[Any]]
_Key: TypeAlias = tuple[tuple[int, bytes], ...]


class Shape:
    """How one kind of element is laid out."""

    __slots__ = ("build", "elements", "layout", "match", "size")

    def __init__(self, pattern: bytes, layout: str, elements: int, build: _Column | None) -> None:
        self.layout = struct.Struct(layout)
        self.size = self.layout.size
        self.match = re.compile(b"(?s:(?:" + pattern + b")++)").match
        self.elements = elements
        self.build = build

    def rows(self, octets: bytes) -> Iterator[Any]:
        """The plain values of elements that lie one behind the other."""
        if self.build is None:
            return self.layout.iter_unpack(octets)
        return chain.from_iterable(map(self._rows, self._chunks(octets)))

    def _chunks(self, octets: bytes) -> Iterator[bytes]:
        step = self.size * _CHUNK
        return (octets[start : start + step] for start in range(0, len(octets), step))

    def _rows(self, octets: bytes) -> Iterable[Any]:
        assert self.build is not None
        return self.build(list(zip(*self.layout.iter_unpack(octets), strict=True)), len(octets) // self.size)


def decode_rows(
    data: bytes, offset: int, count: int, depth: int, budget: Budget, decode_items: DecodeItems
) -> tuple[list[Value], int]:
    """The ``count`` elements of an array and the offset after them; ``decode_items`` is the general way."""
    plan: list[tuple[Shape | None, Any]] = []
    shapes: dict[Shape, list[bytes]] = {}
    tried: Shape | None = None
    sizes: set[int] = set()
    patience = _PATIENCE
    left = count
    while left:
        for shape in shapes:
            if shape is tried:
                continue
            size = shape.size
            found = shape.match(data, offset, offset + size * left)
            if found is None:
                continue
            end = found.end()
            number = (end - offset) // size
            shapes[shape].append(data[offset:end])
            plan.append((shape, number))
            budget.elements -= number * shape.elements
            offset = end
            left -= number
            patience += number
            tried = shape
            break
        else:
            number = 1 if patience > 0 else left
            items, end = decode_items(data, offset, number, depth, budget)
            plan.append((None, items))
            # A shape is worth its cost when elements of that size come again.
            if end - offset in sizes and len(shapes) < _CANDIDATES:
                new = _shape_of(data, offset, budget)
                if new is not None:
                    shapes.setdefault(new, [])
            if end - offset <= _LARGEST:
                sizes.add(end - offset)
            offset = end
            left -= number
            patience -= 1
            tried = None
    budget.take(0, offset)
    return _assemble(plan, shapes), offset


def _assemble(plan: list[tuple[Shape | None, Any]], shapes: dict[Shape, list[bytes]]) -> list[Value]:
    values: list[Value] = []
    rows = {shape: shape.rows(b"".join(octets)) for shape, octets in shapes.items()}
    try:
        for shape, part in plan:
            if shape is None:
                values += part
            else:
                values += islice(rows[shape], part)
    except UnicodeDecodeError as error:
        raise DecodeError(f"a utf8-string that is not UTF-8: {error.reason}") from None
    return values


_cache: dict[_Key, Shape | None] = {}


def _shape_of(data: bytes, offset: int, budget: Budget) -> Shape | None:
    """The shape of the valid element at ``offset``; None where it has none or where enough shapes were compiled."""
    fields: list[tuple[int, bytes]] = []
    if not _survey(data, offset, fields):
        return None
    key = tuple(fields)
    if key in _cache:
        return _cache[key]
    if budget.compilations <= 0:
        return None
    budget.compilations -= 1
    if len(_cache) >= _CACHED:
        _cache.clear()
    shape = _cache[key] = _compile(key)
    return shape


def _survey(data: bytes, offset: int, fields: list[tuple[int, bytes]]) -> int:
    """Append (tag, fixed octets) of the element and all that it contains; the offset after it, or 0 for no shape."""
    tag = data[offset]
    start = offset
    offset += 1
    if len(fields) >= _FIELDS:
        return 0
    if tag in (DataType.ARRAY, DataType.STRUCTURE):
        count, offset = decode_length(data, offset)
        fields.append((tag, data[start:offset]))
        for _ in range(count):
            offset = _survey(data, offset, fields)
            if not offset:
                return 0
        return offset
    if tag in _STRINGS:
        length, offset = decode_length(data, offset)
        fields.append((tag, data[start:offset]))
        return offset + length
    if tag in TIMES:
        fields.append((tag, data[start:offset]))
        return offset + TIMES[tag][0]
    if SIZE[tag] or tag in _NOTHING:
        fields.append((tag, data[start:offset]))
        return offset + SIZE[tag]
    return 0


def _compile(key: _Key) -> Shape:
    pattern = bytearray()
    layout = [">"]
    columns = 0

    def column(fields: Iterator[tuple[int, bytes]]) -> _Column:
        nonlocal pattern, columns
        tag, fixed = next(fields)
        pattern += re.escape(fixed)
        layout.append(f"{len(fixed)}x")
        if tag in (DataType.ARRAY, DataType.STRUCTURE):
            count, _ = decode_length(fixed, 1)
            parts = [column(fields) for _ in range(count)]
            return _list_column(parts) if tag == DataType.ARRAY else _tuple_column(parts)
        if tag in _NOTHING:
            return _none_column
        if tag in _STRINGS:
            size, _ = decode_length(fixed, 1)
            layout.append(f"{size}s")
        elif tag in TIMES:
            size = TIMES[tag][0]
            layout.append(f"{size}s")
        else:
            size = SIZE[tag]
            layout.append(FORMATS[tag])
        pattern += b".{%d}" % size
        index = columns
        columns += 1
        convert = _CONVERT.get(tag)
        return _plain_column(index) if convert is None else _converted_column(index, convert)

    build: _Column | None = column(iter(key))
    flat = key[0][0] == DataType.STRUCTURE and all(tag in FORMATS or tag == DataType.OCTET_STRING for tag, _ in key[1:])
    return Shape(bytes(pattern), "".join(layout), len(key) - 1, None if flat else build)


_NOTHING: Final = frozenset((int(DataType.NULL_DATA), int(DataType.DONT_CARE)))
_STRINGS: Final = frozenset((int(DataType.OCTET_STRING), int(DataType.VISIBLE_STRING), int(DataType.UTF8_STRING)))
_CONVERT: Final[dict[int, Callable[[Any], Any]]] = {
    DataType.VISIBLE_STRING: methodcaller("decode", "latin-1"),
    DataType.UTF8_STRING: methodcaller("decode", "utf-8"),
    **{tag: read for tag, (_, read) in TIMES.items()},
}


def _none_column(columns: _Columns, count: int) -> Iterable[Any]:
    return repeat(None, count)


def _plain_column(index: int) -> _Column:
    return lambda columns, count: columns[index]


def _converted_column(index: int, convert: Callable[[Any], Any]) -> _Column:
    return lambda columns, count: map(convert, columns[index])


def _tuple_column(parts: list[_Column]) -> _Column:
    if not parts:
        return lambda columns, count: repeat((), count)
    return lambda columns, count: zip(*[part(columns, count) for part in parts], strict=True)


def _list_column(parts: list[_Column]) -> _Column:
    rows = _tuple_column(parts)
    return lambda columns, count: map(list, rows(columns, count))
