"""A whole array of structures as columns, without an object for a value. Needs numpy; import it where it is wanted.

``tabulate`` finds out where every cell of every row stands and of which type it is; ``Table`` then takes whole columns
out of the octets. Rows that lie one behind the other and have the same fixed octets (tags, counts, lengths) are a
``Run``: one row says where the cells of all of them are. The others are walked through column by column, all rows of a
stretch at a time. Every tag and length of every row is compared, as ``codec.shapes`` does.

There is no message for bad octets here: ``tabulate`` gives None for whatever it does not take, and the plain decoder
says what is wrong with it, or takes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from cosemic.codec.decoding import decode
from cosemic.codec.deltas import DELTAS
from cosemic.codec.limits import DEFAULT_LIMITS, Limits
from cosemic.codec.scalars import FORMATS, SIZE
from cosemic.codec.typed import Value
from cosemic.enums import DataType

if TYPE_CHECKING:
    from numpy.typing import NDArray

Array: TypeAlias = "NDArray[Any]"

ODD: Final = 254
"""In place of a tag: a cell that only the plain decoder reads."""

NOTHING: Final = frozenset((int(DataType.NULL_DATA), int(DataType.DONT_CARE)))
FLOATS: Final = frozenset((int(DataType.FLOATING_POINT), int(DataType.FLOAT32), int(DataType.FLOAT64)))
BOOLEANS: Final = frozenset((int(DataType.BOOLEAN),))
INTEGERS: Final = frozenset(FORMATS) - FLOATS - BOOLEANS - DELTAS
STRINGS: Final = frozenset((int(DataType.OCTET_STRING), int(DataType.VISIBLE_STRING), int(DataType.UTF8_STRING)))
_UNSIGNED64: Final = int(DataType.LONG64_UNSIGNED)
_UTF8: Final = int(DataType.UTF8_STRING)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell in the rows of a run: its type, where its contents begin in the row, and how many octets they are."""

    tag: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Run:
    """Rows that are laid out alike, ``size`` octets each, the first of them at ``start``."""

    first: int
    count: int
    start: int
    size: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Scattered:
    """Rows of any layout: for each column and row the tag, and where the contents begin."""

    first: int
    count: int
    tags: Array
    starts: Array


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of integers; ``valid`` and ``delta`` are None where no cell is null, or a difference."""

    values: Array
    valid: Array | None
    delta: Array | None = None


@dataclass(frozen=True, slots=True)
class Strings:
    """A column of strings: row ``n`` is ``octets[offsets[n]:offsets[n + 1]]``."""

    offsets: Array
    octets: Array
    valid: Array | None


class Table:
    """Where the cells of an array of structures stand. All columns are as long as there are rows."""

    __slots__ = ("_array", "_plain", "_tags", "limits", "octets", "parts", "rows", "width")

    def __init__(
        self, octets: bytes, rows: int, width: int, parts: Sequence[Run | Scattered], limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.octets = octets
        self.rows = rows
        self.width = width
        self.parts = parts
        self._array = np.frombuffer(octets, np.uint8)
        self.limits = limits
        self._plain: list[Value] | None = None
        self._tags = [frozenset(_tags_of(parts, index)) for index in range(width)]

    def tags(self, index: int) -> frozenset[int]:
        """Every tag that occurs in a column; ODD among them where only the plain decoder reads it."""
        return self._tags[index]

    def plain(self) -> list[Value]:
        """All rows by the plain decoder."""
        if self._plain is None:
            value = decode(self.octets, limits=self.limits)
            assert isinstance(value, list)
            self._plain = value
        return self._plain

    def integers(self, index: int) -> Numbers | None:
        """A column of integers of any width, int64 or uint64; None for other types and what is too wide for both."""
        tags = self._tags[index]
        if not tags <= INTEGERS | DELTAS | NOTHING:
            return None
        out = np.zeros(self.rows, np.int64)
        self._fill(index, out)
        if _UNSIGNED64 in tags:
            # Above the highest int64 the sign is that of the same bits read as int64.
            high = self._where(index, frozenset((_UNSIGNED64,)))
            negative = out < 0
            if bool((negative & high).any()):
                if bool((negative & ~high).any()):
                    return None
                out = out.view(np.uint64)
        delta = self._where(index, DELTAS) if tags & DELTAS else None
        return Numbers(out, self.valid(index), delta)

    def floats(self, index: int) -> Numbers | None:
        """A column of floats as float64; None for other types."""
        if not self._tags[index] <= FLOATS | NOTHING:
            return None
        out = np.zeros(self.rows, np.float64)
        self._fill(index, out)
        return Numbers(out, self.valid(index))

    def booleans(self, index: int) -> Numbers | None:
        """A column of booleans; None for other types."""
        if not self._tags[index] <= BOOLEANS | NOTHING:
            return None
        out = np.zeros(self.rows, np.uint8)
        self._fill(index, out)
        return Numbers(out != 0, self.valid(index))

    def strings(self, index: int) -> Strings | None:
        """A column of octet-strings, or of texts as UTF-8; None for a mixture, other types, Latin-1 beyond ASCII."""
        tags = self._tags[index] - NOTHING
        if not tags <= STRINGS or (DataType.OCTET_STRING in tags and len(tags) > 1):
            return None
        sizes = np.zeros(self.rows, np.int64)
        starts = np.zeros(self.rows, np.int64)
        for part, rows in self._parts():
            if isinstance(part, Run):
                cell = part.cells[index]
                sizes[rows] = cell.size
                starts[rows] = np.arange(part.count) * part.size + part.start + cell.start
            else:
                found = np.isin(part.tags[index], list(tags))
                starts[rows] = part.starts[index]
                sizes[rows] = np.where(found, self._array.take(part.starts[index] - 1, mode="clip"), 0)
        offsets = np.zeros(self.rows + 1, np.int64)
        np.cumsum(sizes, out=offsets[1:])
        if offsets[-1] > 0x7FFFFFFF:
            return None
        octets = self._array.take(np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], sizes))
        if DataType.VISIBLE_STRING in tags and bool((octets > 0x7F).any()):
            return None
        return Strings(offsets.astype(np.int32), octets, self.valid(index))

    def date_times(self, index: int) -> tuple[Array, Array | None] | None:
        """The twelve octets of each date-time as a matrix, and which rows have one; None unless all are date-times."""
        tags = self._tags[index]
        if not tags <= _DATE_TIMES | NOTHING:
            return None
        out = np.zeros((self.rows, 12), np.uint8)
        for part, rows in self._parts():
            if isinstance(part, Run):
                cell = part.cells[index]
                if cell.tag in NOTHING:
                    continue
                if cell.size != 12:
                    return None
                out[rows] = self._view(np.uint8, part.start + cell.start, part.size, part.count, (12,))
            else:
                place = np.flatnonzero(np.isin(part.tags[index], list(_DATE_TIMES)))
                starts = part.starts[index][place]
                untagged = part.tags[index][place] == DataType.OCTET_STRING
                if bool((self._array.take(starts - 1)[untagged] != 12).any()):
                    return None
                out[place + part.first] = self._array.take(starts[:, None] + np.arange(12))
        return out, self.valid(index)

    def valid(self, index: int) -> Array | None:
        """Which rows have a value in a column; None where all have one."""
        return ~self._where(index, NOTHING) if self._tags[index] & NOTHING else None

    def _where(self, index: int, tags: frozenset[int]) -> Array:
        out = np.zeros(self.rows, np.bool_)
        for part, rows in self._parts():
            if isinstance(part, Run):
                out[rows] = part.cells[index].tag in tags
            else:
                out[rows] = np.isin(part.tags[index], list(tags))
        return out

    def _fill(self, index: int, out: Array) -> None:
        """Put the numbers of a column into ``out``; what is null stays as it is."""
        for part, rows in self._parts():
            if isinstance(part, Run):
                cell = part.cells[index]
                if cell.tag not in NOTHING:
                    out[rows] = self._view(_DTYPES[cell.tag], part.start + cell.start, part.size, part.count)
                continue
            column, starts = part.tags[index], part.starts[index]
            for tag in _distinct(column):
                if tag in NOTHING:
                    continue
                kind = _DTYPES[tag]
                octets: Array = np.ndarray(
                    (max(0, len(self.octets) - kind.itemsize + 1),), kind, self.octets, strides=(1,)
                )
                place = np.flatnonzero(column == tag)
                if len(place) == part.count:
                    out[rows] = octets[starts]
                else:
                    out[place + part.first] = octets[starts[place]]

    def _view(self, kind: Any, start: int, step: int, count: int, inner: tuple[int, ...] = ()) -> Array:
        strides = (step, 1) if inner else (step,)
        return np.ndarray((count, *inner), kind, self.octets, start, strides)

    def _parts(self) -> Iterator[tuple[Run | Scattered, slice]]:
        return ((part, slice(part.first, part.first + part.count)) for part in self.parts)


_DATE_TIMES: Final = frozenset((int(DataType.OCTET_STRING), int(DataType.DATE_TIME)))
_DTYPES: Final[dict[int, Any]] = {
    tag: np.dtype(
        "u1" if code == "?" else (">f" if code in "fd" else ">u" if code.isupper() else ">i") + str(SIZE[tag])
    )
    for tag, code in FORMATS.items()
}


def _distinct(tags: Array) -> list[int]:
    return [int(tag) for tag in np.flatnonzero(np.bincount(tags, minlength=256))]


def _tags_of(parts: Sequence[Run | Scattered], index: int) -> Iterator[int]:
    for part in parts:
        if isinstance(part, Run):
            yield part.cells[index].tag
        else:
            yield from _distinct(part.tags[index])


def accumulate(numbers: Numbers) -> Numbers | None:
    """Each difference added to the last value before it; null where there is none. None for sums beyond int64."""
    values, delta = numbers.values, numbers.delta
    if delta is None:
        return numbers
    if values.dtype != np.int64 or float(np.abs(values.astype(np.float64)).sum()) >= 2.0**62:
        return None
    there = np.ones(len(values), np.bool_) if numbers.valid is None else numbers.valid
    last = np.maximum.accumulate(np.where(there & ~delta, np.arange(len(values)), -1))
    based = last >= 0
    last = np.maximum(last, 0)
    sums = np.cumsum(np.where(delta & based, values, 0))
    valid = there & (based | ~delta)
    return Numbers(np.where(delta, values[last] + sums - sums[last], values), None if bool(valid.all()) else valid)


def tabulate(octets: bytes, width: int, *, limits: Limits = DEFAULT_LIMITS) -> Table | None:
    """The table of an array of structures of ``width`` elements; None for what the plain decoder has to look at.

    Whatever gives a table here is valid; DecodeError comes only from cells that the plain decoder reads.
    """
    from cosemic.codec.columns_layout import layout

    if not 0 < width < 0x80 or len(octets) > limits.octets or limits.depth < 2:
        return None
    found = layout(octets, width, limits)
    if found is None:
        return None
    count, parts = found
    table = Table(octets, count, width, parts, limits)
    if any(ODD in table.tags(index) for index in range(width)):
        table.plain()
    elif any(_UTF8 in table.tags(index) and not _is_utf8(table, index) for index in range(width)):
        return None
    return table


def _is_utf8(table: Table, index: int) -> bool:
    """Whether a column holds UTF-8 cell by cell: all of it together, and no cell beginning within a character."""
    strings = table.strings(index)
    if strings is None:
        return False
    begins = strings.offsets[:-1][strings.offsets[:-1] < strings.offsets[1:]]
    if bool(((strings.octets[begins] & 0xC0) == 0x80).any()):
        return False
    try:
        strings.octets.tobytes().decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
