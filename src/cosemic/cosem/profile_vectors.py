"""The columns of a profile as arrays, made from the octets of its buffer. Needs numpy; import it only where wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from cosemic.codec.columns import NOTHING, Array, Numbers, Strings, Table, accumulate
from cosemic.codec.deltas import DELTAS, resolve_deltas
from cosemic.cosem.profile_cells import convert
from cosemic.cosem.profile_column import Column
from cosemic.cosem.profile_tables import GREATEST_SCALER, LEAST_SCALER, arrow_array
from cosemic.cosem.profile_times import Times, fill_times, microseconds, read_times
from cosemic.enums import DataType

if TYPE_CHECKING:
    from cosemic.cosem.profile import Cell

Vector: TypeAlias = "Times | Numbers | Strings | None"
"""One column; None where only the plain way does it justice."""
_LAST_MOMENT: Final = 253_370_764_800_000_000
"""The first of January 9999: later times, which filled ones might be, go the plain way."""


class Vectors:
    """A buffer whose columns are taken out of its octets when they are asked for.

    What the rows, the errors and the tables are is defined by the plain way: ``convert`` and ``arrow_array``.
    """

    __slots__ = ("_picked", "_selected", "_shared", "columns", "repeat_nulls", "step", "table", "zone")

    def __init__(
        self,
        table: Table,
        columns: Sequence[Column],
        step: timedelta,
        repeat_nulls: bool,
        zone: tzinfo | None,
    ) -> None:
        self.table = table
        self.columns = tuple(columns)
        self.step = step
        self.repeat_nulls = repeat_nulls
        self.zone = zone
        self._picked: Sequence[int] = range(len(columns))
        self._selected: slice | Array | None = None
        self._shared: dict[str, Any] = {}
        for index in range(table.width):
            if table.tags(index) & DELTAS and table.integers(index) is None:
                self._plain()  # an error of its differences has to come now

    def __len__(self) -> int:
        if self._selected is None:
            return self.table.rows
        if isinstance(self._selected, slice):
            return len(range(*self._selected.indices(self.table.rows)))
        return len(self._selected)

    def select(self, rows: slice | Sequence[int] | Array) -> Vectors:
        """The same with fewer rows."""
        new = self._copy()
        if not isinstance(rows, slice):
            rows = np.asarray(rows, np.int64)
        new._selected = rows if self._selected is None else np.arange(self.table.rows)[self._selected][rows]
        return new

    def pick(self, places: Sequence[int], columns: Sequence[Column]) -> Vectors:
        """The same with the columns at these places, under other names."""
        new = self._copy()
        new._picked = [self._picked[place] for place in places]
        new.columns = tuple(columns)
        return new

    def _copy(self) -> Vectors:
        new: Vectors = object.__new__(Vectors)
        for name in Vectors.__slots__:
            setattr(new, name, getattr(self, name))
        return new

    def rows(self) -> list[tuple[Cell, ...]]:
        """The rows, by the plain way."""
        columns = [self.cells(place) for place in range(len(self.columns))]
        return list(zip(*columns, strict=True))

    def vector(self, place: int) -> Vector:
        """One column with its selected rows."""
        index, column = self._picked[place], self.columns[place]
        key = f"vector {index} {column.scaler}"
        if key not in self._shared:
            self._shared[key] = self._vector(index, column)
        vector: Vector = self._shared[key]
        return vector if self._selected is None or vector is None else _take(vector, self._selected)

    def times(self, *, newest_first: bool) -> Times | None:
        """The column of the clock, the oldest row first; None where there is none, or only the plain way reads it."""
        place = next((place for place, column in enumerate(self.columns) if column.is_clock), None)
        vector = None if place is None else self.vector(place)
        if not isinstance(vector, Times):
            return None
        if newest_first:
            turned = _take(vector, slice(None, None, -1))
            assert isinstance(turned, Times)
            return turned
        return vector

    def between(self, start: datetime | None, end: datetime | None) -> Vectors | None:
        """The rows whose time, which is UTC, lies between two aware datetimes; None for other times."""
        times = self.times(newest_first=False)
        if times is None or times.utc is None:
            return None
        inside = np.ones(len(self), np.bool_) if times.valid is None else times.valid.copy()
        if start is not None:
            inside &= times.utc >= microseconds(start)
        if end is not None:
            inside &= times.utc <= microseconds(end)
        return self.select(np.flatnonzero(inside))

    def raw(self, place: int) -> list[Any]:
        """The decoded values of a column, as they came."""
        return self._chosen([row[self._picked[place]] for row in self._plain()])

    def arrow(self, pyarrow: Any, *, scaled: bool = True) -> list[Any]:
        """All columns as Arrow arrays."""
        return [self._arrow(pyarrow, place, scaled) for place in range(len(self.columns))]

    def arrow_column(self, pyarrow: Any, place: int) -> Any:
        """One column as an Arrow array, scaled."""
        return self._arrow(pyarrow, place, True)

    def tags(self, place: int) -> frozenset[int]:
        """The tags that occur in a column."""
        return self.table.tags(self._picked[place])

    def _vector(self, index: int, column: Column) -> Vector:
        table = self.table
        if table.tags(index) <= NOTHING:
            return None
        if column.is_time:
            found = table.date_times(index)
            times = None if found is None else read_times(*found, self.zone)
            if times is None or times.valid is None:
                return times
            if not column.is_clock:
                return None if self.repeat_nulls else times
            if not self.step:
                return times
            times = fill_times(times, self.step // timedelta(microseconds=1), self.zone)
            return times if int(np.abs(times.local).max()) < _LAST_MOMENT else None
        numbers = table.integers(index)
        if numbers is not None and numbers.delta is not None:
            numbers = accumulate(numbers)
        vector = numbers or table.floats(index) or table.booleans(index) or table.strings(index)
        if vector is None or vector.valid is None or not self.repeat_nulls:
            return vector
        return _repeat(vector)

    def _plain(self) -> list[Any]:
        """All rows by the plain decoder, differences added up."""
        if "plain" not in self._shared:
            table = self.table
            self._shared["plain"] = resolve_deltas(table.octets, table.plain(), table.width, table.limits)
        rows: list[Any] = self._shared["plain"]
        return rows

    def cells(self, place: int) -> list[Any]:
        """The cells of a column, by the plain way."""
        index, column = self._picked[place], self.columns[place]
        values = [row[index] for row in self._plain()]
        return self._chosen(list(convert(column, values, self.step, self.repeat_nulls, self.zone)))

    def _chosen(self, cells: list[Any]) -> list[Any]:
        if self._selected is None:
            return cells
        return cells[self._selected] if isinstance(self._selected, slice) else [cells[row] for row in self._selected]

    def _arrow(self, pyarrow: Any, place: int, scaled: bool) -> Any:
        column = self.columns[place]
        vector = self.vector(place)
        if not len(self) or (vector is not None and vector.valid is not None and not bool(vector.valid.any())):
            vector = None
        if isinstance(vector, Times):
            return _arrow_times(pyarrow, vector)
        if isinstance(vector, Strings):
            octets = DataType.OCTET_STRING in self.tags(place)
            return _arrow_strings(pyarrow, vector, pyarrow.binary() if octets else pyarrow.string())
        if isinstance(vector, Numbers):
            made = _arrow_numbers(pyarrow, vector, column.scaler, scaled)
            if made is not None:
                return made
        return arrow_array(pyarrow, self.cells(place), column, scaled=scaled)


def _take(vector: Times | Numbers | Strings, rows: slice | Array) -> Times | Numbers | Strings:
    def some(array: Array | None) -> Any:
        return None if array is None else array[rows]

    if isinstance(vector, Times):
        return replace(
            vector,
            local=some(vector.local),
            utc=some(vector.utc),
            valid=some(vector.valid),
            status=some(vector.status),
            deviation=some(vector.deviation),
            filled=some(vector.filled),
        )
    if isinstance(vector, Numbers):
        return Numbers(some(vector.values), some(vector.valid), some(vector.delta))
    starts = vector.offsets[:-1][rows].astype(np.int64)
    sizes = (vector.offsets[1:] - vector.offsets[:-1])[rows].astype(np.int64)
    offsets = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    octets = vector.octets[np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], sizes)]
    return Strings(offsets.astype(np.int32), octets, some(vector.valid))


def _repeat(vector: Numbers | Strings) -> Numbers | Strings:
    """Each null becomes what the row before has."""
    assert vector.valid is not None
    last = np.maximum.accumulate(np.where(vector.valid, np.arange(len(vector.valid)), -1))
    valid = last >= 0
    taken = _take(vector, np.maximum(last, 0))
    assert not isinstance(taken, Times)
    return replace(taken, valid=None if bool(valid.all()) else valid)


def _nulls(pyarrow: Any, valid: Array | None) -> Any:
    if valid is None or bool(valid.all()):
        return None
    return pyarrow.py_buffer(np.packbits(valid, bitorder="little"))


def _arrow_times(pyarrow: Any, times: Times) -> Any:
    kind = pyarrow.timestamp("us", tz=None if times.utc is None else "UTC")
    values = times.local if times.utc is None else times.utc
    return _arrow_fixed(pyarrow, kind, values, times.valid)


def _arrow_fixed(pyarrow: Any, kind: Any, values: Array, valid: Array | None) -> Any:
    values = np.ascontiguousarray(values)
    buffers = [_nulls(pyarrow, valid), pyarrow.py_buffer(values)]
    return pyarrow.Array.from_buffers(kind, len(values), buffers)


def _arrow_strings(pyarrow: Any, strings: Strings, kind: Any) -> Any:
    buffers = [_nulls(pyarrow, strings.valid), pyarrow.py_buffer(strings.offsets), pyarrow.py_buffer(strings.octets)]
    return pyarrow.Array.from_buffers(kind, len(strings.offsets) - 1, buffers)


def _arrow_numbers(pyarrow: Any, numbers: Numbers, scaler: int | None, scaled: bool) -> Any:
    """Integers, decimals, floats or booleans; None where the plain way decides what becomes of them."""
    values = numbers.values
    if values.dtype == np.bool_:
        bits = pyarrow.py_buffer(np.packbits(values, bitorder="little"))
        return pyarrow.Array.from_buffers(pyarrow.bool_(), len(values), [_nulls(pyarrow, numbers.valid), bits])
    if values.dtype == np.float64:
        return None if scaler is not None else _arrow_fixed(pyarrow, pyarrow.float64(), values, numbers.valid)
    if scaler is None or not scaled:
        kind = pyarrow.uint64() if values.dtype == np.uint64 else pyarrow.int64()
        return _arrow_fixed(pyarrow, kind, values, numbers.valid)
    if not LEAST_SCALER <= scaler <= GREATEST_SCALER:
        return None
    if scaler > 0:
        factor = 10**scaler
        most = max(abs(int(values.max(initial=0))), abs(int(values.min(initial=0))))
        if most * factor >= 1 << 63:
            return None
        values = values * factor
    # A decimal of Arrow is a number of 128 bits, the lower half first, with the place of its point in the type.
    wide = np.empty((len(values), 2), np.int64)
    wide[:, 0] = values.view(np.int64)
    wide[:, 1] = 0 if values.dtype == np.uint64 else values >> 63
    kind = pyarrow.decimal128(38, max(0, -scaler))
    return _arrow_fixed(pyarrow, kind, wide, numbers.valid)
