"""Where the cells of an array of structures stand: runs of rows that are laid out alike, and rows walked through."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from cosemic.codec.columns import NOTHING, ODD, STRINGS, Array, Cell, Run, Scattered
from cosemic.codec.compact import description_of
from cosemic.codec.decoding import decode_prefix
from cosemic.codec.limits import Limits
from cosemic.codec.scalars import SIZE, TIMES, decode_length
from cosemic.enums import DataType
from cosemic.errors import DecodeError

_LEAST_RUN: Final = 256
"""Rows that are worth a run of their own; fewer are walked through with their neighbours."""
_STRETCHES: Final = (1 << 11, 1 << 14, 1 << 18)
"""Octets that are walked through at a time: few after an odd row, never too many for the caches of a processor."""
_PATIENCE: Final = 64
"""Odd rows, beyond one in 32, before the plain decoder gets everything."""
_FIXED: Final = 512
"""Fixed octets of a row beyond which it is no run."""

_CONTENTS = np.full(256, -1, np.int64)
"""By tag: octets of contents; -2 for a string, whose length follows; -1 for what only the plain decoder reads."""
for _tag in range(256):
    if SIZE[_tag]:
        _CONTENTS[_tag] = SIZE[_tag]
for _tag in NOTHING:
    _CONTENTS[_tag] = 0
for _tag in STRINGS:
    _CONTENTS[_tag] = -2
_CONTENTS[DataType.DATE_TIME] = 12


def layout(octets: bytes, width: int, limits: Limits) -> tuple[int, list[Run | Scattered]] | None:
    """The number of rows and where they are; None for what is no array of structures of ``width``, or not valid."""
    try:
        if octets[0] == DataType.COMPACT_ARRAY:
            return _compact(octets, width, limits)
        if octets[0] != DataType.ARRAY:
            return None
        count, offset = decode_length(octets, 1)
        if count * (width + 1) > min(limits.elements, len(octets) - offset):
            return None
        return _rows(octets, offset, count, width)
    except (DecodeError, IndexError):
        return None


def _rows(octets: bytes, offset: int, count: int, width: int) -> tuple[int, list[Run | Scattered]] | None:
    array = np.frombuffer(octets, np.uint8)
    parts: list[Run | Scattered] = []
    pending: list[tuple[Array, Array]] = []
    row = done = odd = 0
    stretch = 1

    def flush() -> None:
        nonlocal done
        if pending:
            tags = np.concatenate([tags for tags, _ in pending], axis=1)
            starts = np.concatenate([starts for _, starts in pending], axis=1, dtype=_places(array))
            parts.append(Scattered(done, tags.shape[1], tags, starts))
            done += tags.shape[1]
            pending.clear()

    while row < count:
        run = _run(octets, offset, row, count - row, width)
        if run is not None:
            flush()
            parts.append(run)
            row += run.count
            done = row
            offset += run.count * run.size
            continue
        tags, starts, offset = _walk(array, offset, count - row, width, _STRETCHES[stretch])
        if tags.shape[1]:
            pending.append((tags, starts))
            row += tags.shape[1]
            stretch = min(stretch + 1, len(_STRETCHES) - 1)
            continue
        stretch = 0
        odd += 1
        if odd > _PATIENCE + row // 32:
            return None
        single = _odd_row(octets, offset, width)
        if single is None:
            return None
        pending.append(single[:2])
        offset = single[2]
        row += 1
    flush()
    return (count, parts) if offset == len(octets) else None


def _run(octets: bytes, offset: int, row: int, left: int, width: int) -> Run | None:
    """The rows from here on that are laid out as the first one, if they are many."""
    if left < _LEAST_RUN:
        return None
    surveyed = _survey(octets, offset, width)
    if surveyed is None:
        return None
    cells, fixed, size = surveyed
    left = min(left, (len(octets) - offset) // size)
    if left < _LEAST_RUN:
        return None
    pieces = _pieces(octets, offset, fixed)
    count = _alike(octets, offset, size, _LEAST_RUN, pieces)
    if count < _LEAST_RUN:
        return None
    while count < left:
        chunk = min(left - count, 8 * count)
        found = _alike(octets, offset + count * size, size, chunk, pieces)
        count += found
        if found < chunk:
            break
    return Run(row, count, offset, size, tuple(cells))


def _pieces(octets: bytes, offset: int, fixed: list[int]) -> list[tuple[int, str, int]]:
    """Fixed octets as few numbers: (offset in the row, dtype, value)."""
    pieces = []
    index = 0
    while index < len(fixed):
        length = 1
        while length < 8 and index + length < len(fixed) and fixed[index + length] == fixed[index] + length:
            length += 1
        length = 8 if length == 8 else 4 if length >= 4 else 2 if length >= 2 else 1
        start = fixed[index]
        value = int.from_bytes(octets[offset + start : offset + start + length], "little")
        pieces.append((start, f"<u{length}", value))
        index += length
    return pieces


def _alike(octets: bytes, offset: int, size: int, count: int, pieces: list[tuple[int, str, int]]) -> int:
    """How many of ``count`` rows have these fixed octets, from the first one on without a break."""
    for start, kind, value in pieces:
        column: Array = np.ndarray((count,), kind, octets, offset + start, (size,))
        different = column != value
        if different.any():
            count = int(different.argmax())
            if not count:
                return 0
    return count


def _survey(octets: bytes, offset: int, width: int) -> tuple[list[Cell], list[int], int] | None:
    """The cells of a row, which of its octets are fixed, and its size; None for what is no such row or has no shape."""
    if octets[offset] != DataType.STRUCTURE:
        return None
    start = offset
    count, offset = decode_length(octets, offset + 1)
    if count != width:
        return None
    fixed = list(range(offset - start))
    cells = []
    for _ in range(width):
        tag = octets[offset]
        at = offset
        offset, contents = _skip(octets, offset, start, fixed)
        if offset <= 0 or len(fixed) > _FIXED:
            return None
        known = _CONTENTS[tag] != -1
        cells.append(Cell(tag if known else ODD, (contents if known else at) - start, offset - contents))
    return cells, fixed, offset - start


def _skip(octets: bytes, offset: int, row: int, fixed: list[int]) -> tuple[int, int]:
    """The offset after a value and where its contents begin; 0 for a value without a shape."""
    tag = octets[offset]
    at = offset
    offset += 1
    if tag in (DataType.ARRAY, DataType.STRUCTURE):
        count, offset = decode_length(octets, offset)
        fixed += range(at - row, offset - row)
        contents = offset
        for _ in range(count):
            offset, _ = _skip(octets, offset, row, fixed)
            if not offset or len(fixed) > _FIXED:
                return 0, 0
        return offset, contents
    size = SIZE[tag]
    if tag in STRINGS:
        size, offset = decode_length(octets, offset)
    elif tag in TIMES:
        size = TIMES[tag][0]
    elif not size and tag not in NOTHING:
        return 0, 0
    fixed += range(at - row, offset - row)
    return offset + size, offset


def _walk(array: Array, offset: int, left: int, width: int, octets: int) -> tuple[Array, Array, int]:
    """Tags and starts of the rows that begin in so many octets, up to one that only the plain decoder reads."""
    stretch = array[offset : offset + octets]
    # Whatever looks like the head of a row is walked through; which of them are rows is seen afterwards.
    heads = np.flatnonzero((stretch[:-1] == DataType.STRUCTURE) & (stretch[1:] == width))[: left * 2] + offset
    none = np.zeros((width, 0), np.uint8), np.zeros((width, 0), _places(array)), offset
    if not len(heads) or heads[0] != offset:
        return none
    tags = np.empty((width, len(heads)), np.uint8)
    starts = np.empty((width, len(heads)), _places(array))
    good = np.ones(len(heads), np.bool_)
    place = heads + 2
    for index in range(width):
        tag = tags[index]
        array.take(place, out=tag, mode="clip")
        size = _CONTENTS.take(tag)
        place = place + 1
        lowest = int(size.min())
        if lowest < 0:
            strings = np.flatnonzero(size == -2)
            length = array.take(place[strings], mode="clip").astype(np.int64)
            length[length > 0x7F] = -1
            size[strings] = length
            place[strings] += 1
            good &= size >= 0
            np.maximum(size, 0, out=size)
        starts[index] = place
        place = place + size
    good &= place <= len(array)
    rows, offset = _chain(heads, place, good, left)
    return tags[:, rows], starts[:, rows], offset


def _places(array: Array) -> type[np.signedinteger[Any]]:
    """The type of offsets: half as large where it can be, as there is one for each cell."""
    return np.int32 if len(array) < 1 << 31 else np.int64


def _chain(heads: Array, ends: Array, good: Array, left: int) -> tuple[Array | slice, int]:
    """Which heads are rows that follow one another from the first one on, and the offset after the last of them."""
    linked = good[:-1] & (heads[1:] == ends[:-1])
    breaks = np.append(np.flatnonzero(~linked), len(heads) - 1)
    if len(breaks) == 1 and good[-1] and len(heads) <= left:
        return slice(None), int(ends[-1])
    pieces: list[Array] = []
    first = number = 0
    offset = int(heads[0])
    while number < left:
        last = int(breaks[np.searchsorted(breaks, first)])
        stop = min(last + 1 if good[last] else last, first + left - number)
        if stop > first:
            pieces.append(np.arange(first, stop))
            number += stop - first
            offset = int(ends[stop - 1])
        if stop <= last:
            break
        first = int(np.searchsorted(heads, offset))
        if first == len(heads) or heads[first] != offset:
            break
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int64), offset


def _odd_row(octets: bytes, offset: int, width: int) -> tuple[Array, Array, int] | None:
    """Tags and starts of a row cell by cell."""
    if octets[offset] != DataType.STRUCTURE:
        return None
    count, offset = decode_length(octets, offset + 1)
    if count != width:
        return None
    tags, starts = np.empty((width, 1), np.uint8), np.empty((width, 1), np.int64)
    for index in range(width):
        tag = octets[offset]
        at = offset
        _, offset = decode_prefix(octets, offset)
        contents = int(_CONTENTS[tag])
        short = contents == -2 and octets[at + 1] < 0x80
        tags[index] = tag if contents >= 0 or short else ODD
        starts[index] = at + 2 if short else at + 1
    return tags, starts, offset


def _compact(octets: bytes, width: int, limits: Limits) -> tuple[int, list[Run | Scattered]] | None:
    """A compact-array of structures of numbers and date-times, which are all of one size."""
    description, offset = description_of(octets, 1, limits)
    length, offset = decode_length(octets, offset)
    if description.type is not DataType.STRUCTURE or len(description.elements) != width:
        return None
    if offset + length != len(octets):
        return None
    cells = []
    size = 0
    for element in description.elements:
        contents = int(_CONTENTS[element.type])
        if contents < 0:
            return None
        cells.append(Cell(int(element.type), size, contents))
        size += contents
    if not size or length % size:
        return None
    count = length // size
    if count * (width + 1) + width > min(limits.elements, 16 * length):
        return None
    return count, [Run(0, count, offset, size, tuple(cells))] if count else []
