"""A profile as rows and columns: timestamps made whole, values scaled, ready for tables (IEC 62056-6-2, 4.3.6).

A null in the clock column means: one capture period after the row before. A null in any other column stays None, unless
``repeat_nulls`` says that this meter writes null for "as in the row before".
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeAlias

from cosemic.codec.axdr import DEFAULT_LIMITS, Data, Limits, Value
from cosemic.codec.axdr import decode as decode_value
from cosemic.codec.deltas import resolve_deltas
from cosemic.cosem.intervals import MARKS, NO_STATUS, Gap, Mark, status_names
from cosemic.cosem.profile_cells import convert
from cosemic.cosem.profile_column import Column, make_columns
from cosemic.cosem.profile_files import write_csv, write_json, write_parquet
from cosemic.cosem.profile_intervals import Intervals, row_times
from cosemic.cosem.profile_tables import arrow_array, field, status_array
from cosemic.errors import DecodeError, MissingExtra
from cosemic.obis import ObisCode

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from cosemic.codec.columns import Array
    from cosemic.cosem.profile_files import Style
    from cosemic.cosem.profile_vectors import Vectors

__all__ = ["Cell", "Column", "Gap", "Mark", "Profile", "decode_profile", "make_columns", "make_profile"]

Cell: TypeAlias = "Value | Decimal | datetime"
"""What a row holds: aware datetimes (CosemDateTime where that is impossible), Decimals in columns with a unit."""

_WORTH_NUMPY: Final = 1 << 20
"""Octets of a buffer for which numpy is loaded, if it is there; once it is loaded every buffer but the smallest is."""
_WORTH_COLUMNS: Final = 1 << 12


class Profile:
    """Rows of a profile with their columns.

    A large buffer is kept as columns, and its rows are made when they are asked for.
    """

    __slots__ = ("_columns", "_raw_times", "_rows", "_vectors", "capture_period", "newest_first")

    def __init__(
        self,
        columns: Sequence[Column],
        rows: list[tuple[Cell, ...]],
        *,
        capture_period: int = 0,
        newest_first: bool = False,
    ) -> None:
        self._columns = tuple(columns)
        self._rows: list[tuple[Cell, ...]] | None = rows
        self._vectors: Vectors | None = None
        self._raw_times: Sequence[Value] | None = None
        self.capture_period = capture_period
        """Seconds from one row to the next, 0 where rows are captured on other grounds."""
        self.newest_first = newest_first
        """Whether time runs backwards from row to row."""

    def _with(
        self,
        columns: Sequence[Column],
        rows: list[tuple[Cell, ...]] | None,
        vectors: Vectors | None,
        raw_times: Sequence[Value] | None,
    ) -> Profile:
        new = Profile(columns, rows or [], capture_period=self.capture_period, newest_first=self.newest_first)
        new._rows = rows
        new._vectors = vectors
        new._raw_times = raw_times
        return new

    @property
    def columns(self) -> tuple[Column, ...]:
        """What each column holds."""
        return self._columns

    @property
    def rows(self) -> list[tuple[Cell, ...]]:
        """All rows, one tuple each."""
        if self._rows is None:
            assert self._vectors is not None
            self._rows = self._vectors.rows()
        return self._rows

    def __len__(self) -> int:
        return len(self._rows) if self._vectors is None else len(self._vectors)  # type: ignore[arg-type]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Profile):
            return NotImplemented
        return self.columns == other.columns and self.rows == other.rows

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Profile({len(self)} rows of {', '.join(column.key for column in self._columns)})"

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (self._columns, self.rows, self.capture_period, self.newest_first)

    def column(self, key: str | ObisCode) -> list[Cell]:
        """All values of one column, by its key or OBIS code; KeyError if there is none."""
        code: ObisCode | None = None
        with contextlib.suppress(ValueError):
            code = ObisCode.parse(key)
        for index, column in enumerate(self.columns):
            if key == column.key or code == column.obis:
                return [row[index] for row in self.rows]
        raise KeyError(f"no column {key}; there are {', '.join(column.key for column in self.columns)}")

    def to_dicts(self) -> list[dict[str, Cell]]:
        """One dict a row, by column key."""
        keys = [column.key for column in self.columns]
        return [dict(zip(keys, row, strict=True)) for row in self.rows]

    def newest(self, count: int) -> Profile:
        """The ``count`` rows that are the newest, by their place in the buffer."""
        if count >= len(self):
            return self
        return self.select(slice(0, count) if self.newest_first else slice(len(self) - count, len(self)))

    def select(self, rows: slice | Sequence[int]) -> Profile:
        """The same profile with some of its rows."""
        if self._vectors is not None:
            return self._with(self._columns, None, self._vectors.select(rows), None)
        places = range(len(self))[rows] if isinstance(rows, slice) else rows
        raw = None if self._raw_times is None else [self._raw_times[place] for place in places]
        return self._with(self._columns, [self.rows[place] for place in places], None, raw)

    def between_columns(self, start: datetime | None, end: datetime | None) -> Profile | None:
        """The rows from ``start`` to ``end``, by columns; None where ``profile_cutting.between`` has to tell."""
        if self._vectors is None or any(limit is not None and limit.tzinfo is None for limit in (start, end)):
            return None
        found = self._vectors.between(start, end)
        return None if found is None else self._with(self._columns, None, found, None)

    def pick(self, places: Sequence[int], columns: Sequence[Column]) -> Profile:
        """The columns at these places, under the names of ``columns``."""
        if self._vectors is not None:
            return self._with(columns, None, self._vectors.pick(places, columns), None)
        rows = [tuple(row[place] for place in places) for row in self.rows]
        return self._with(columns, rows, None, self._raw_times)

    def gaps(
        self, start: datetime | None = None, end: datetime | None = None, *, period: int | None = None
    ) -> tuple[Gap, ...]:
        """The rows that are missing: between the first and the last row, or from ``start`` to ``end``.

        ``period`` is the seconds from one row to the next, the capture period by default; a profile without one has
        no gaps. ValueError for a profile without a clock column.
        """
        step = self._period(period)
        return self._intervals().gaps(step, start, end) if step else ()

    @property
    def completeness(self) -> float:
        """Rows that are there for each one expected between the first and the last, from 0 to 1."""
        return self.completeness_between(None, None)

    def completeness_between(self, start: datetime | None, end: datetime | None, *, period: int | None = None) -> float:
        """Rows that are there for each one expected from ``start`` to ``end``; see ``gaps``."""
        step = self._period(period)
        return self._intervals().completeness(step, start, end) if step else 1.0

    def marks(self) -> list[Mark]:
        """For each row what its time tells about it: duplicate, clock set, daylight saving, doubtful."""
        return [MARKS[mark] for mark in self._in_order(self._intervals().marks(self._period(None)))]

    def clock_statuses(self) -> list[int | None]:
        """For each row the status of the meter's clock (see ``cosemic.times``); None where it is not specified."""
        return [None if status == NO_STATUS else int(status) for status in self._in_order(self._intervals().statuses())]

    def status_names(self, key: str | ObisCode, names: Mapping[int, str]) -> list[tuple[str, ...]]:
        """For each row the names of the bits that are set in a status column, given the name of each bit.

        An octet-string is read as one number; of a bit-string bit 0 is the first one.
        """
        known: dict[Any, tuple[str, ...]] = {}
        found = []
        for cell in self.column(key):
            if cell not in known:
                known[cell] = status_names(cell, names)
            found.append(known[cell])
        return found

    def _period(self, period: int | None) -> int:
        period = self.capture_period if period is None else period
        if period < 0:
            raise ValueError(f"a period cannot be {period} seconds")
        return period * 1_000_000

    def _in_order(self, oldest_first: Sequence[int] | Array) -> Sequence[int] | Array:
        return oldest_first[::-1] if self.newest_first else oldest_first

    def _intervals(self) -> Intervals:
        place = next((place for place, column in enumerate(self._columns) if column.is_clock), None)
        if place is None:
            raise ValueError("the profile has no column with the time of its rows: read it with its clock")
        raw = self._raw_times
        if self._vectors is not None:
            times = self._vectors.times(newest_first=self.newest_first)
            if times is not None:
                return Intervals(times, None)
            raw = self._vectors.raw(place)
        return Intervals(None, row_times([row[place] for row in self.rows], raw, self.newest_first))

    def to_arrow(self, *, scaled: bool = True, clock_status: bool = False, marks: bool = False) -> pyarrow.Table:
        """A table: timestamps in UTC, exact decimal128 for scaled values, integers as they are.

        With ``scaled`` False the numbers are those of the meter; the scaler is in the metadata of the field, together
        with OBIS code, class, attribute, unit and label. Times without a deviation, where all of them lack it, are
        timestamps without a zone. ``clock_status`` and ``marks`` add a column each: the status of the meter's clock,
        and the marks of ``marks()`` as a number.
        """
        try:
            import pyarrow
        except ImportError:
            raise MissingExtra("arrow", "Profile.to_arrow()") from None
        if self._vectors is not None:
            arrays = self._vectors.arrow(pyarrow, scaled=scaled)
        else:
            pairs = zip(self.columns, self._cells(), strict=True)
            arrays = [arrow_array(pyarrow, values, column, scaled=scaled) for column, values in pairs]
        fields = [
            field(pyarrow, column, array.type, scaled=scaled)
            for column, array in zip(self.columns, arrays, strict=True)
        ]
        if clock_status:
            status = self._in_order(self._intervals().statuses())
            arrays.append(status_array(status))
            fields.append(pyarrow.field("clock_status", pyarrow.uint8()))
        if marks:
            found = self._in_order(self._intervals().marks(self._period(None)))
            arrays.append(pyarrow.array(found, pyarrow.uint16()))
            fields.append(
                pyarrow.field("marks", pyarrow.uint16(), metadata={mark.name: str(int(mark)) for mark in Mark})
            )
        return pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields))

    def to_pandas(self, *, scaled: bool = True) -> pandas.DataFrame:
        """A data frame by way of ``to_arrow``; scaled values stay exact, as decimals of Arrow."""
        try:
            table = self.to_arrow(scaled=scaled)
            import pandas
            import pyarrow
        except ImportError:
            raise MissingExtra("pandas", "Profile.to_pandas()") from None

        def kind(arrow: Any) -> object:
            # Without nullable integers a single missing value would make floats of a whole column.
            if arrow == pyarrow.int64():
                return pandas.Int64Dtype()
            if arrow == pyarrow.uint64():
                return pandas.UInt64Dtype()
            return pandas.ArrowDtype(arrow) if pyarrow.types.is_decimal(arrow) else None

        frame = table.to_pandas(types_mapper=kind)
        assert isinstance(frame, pandas.DataFrame)
        return frame

    def to_polars(self, *, scaled: bool = True) -> polars.DataFrame:
        """A data frame by way of ``to_arrow``: timestamps in UTC, exact decimals for scaled values."""
        try:
            table = self.to_arrow(scaled=scaled)
            import polars
        except ImportError:
            raise MissingExtra("polars", "Profile.to_polars()") from None
        frame = polars.from_arrow(table)
        assert isinstance(frame, polars.DataFrame)
        return frame

    def write_csv(self, file: TextIO) -> None:
        """A heading and a line a row: times as ISO 8601 with their offset, exact numbers, octets as hex."""
        write_csv(self, file)

    def write_json(self, file: TextIO) -> None:
        """One JSON object a line, by the keys of the columns; see ``write_csv``."""
        write_json(self, file)

    def write_parquet(self, where: str | PathLike[str]) -> None:
        """The table of ``to_arrow`` as a Parquet file, with its metadata."""
        write_parquet(self, fspath(where))

    def texts(self, style: Style) -> list[object] | None:
        """Each column as an Arrow array of texts; None where there are no columns to make them of."""
        if self._vectors is None or not self._columns:
            return None
        try:
            import pyarrow
        except ImportError:
            return None
        from cosemic.cosem.profile_texts import column_texts

        return [column_texts(pyarrow, self._vectors, place, style) for place in range(len(self._columns))]

    def _cells(self) -> list[Sequence[Any]]:
        return list(zip(*self.rows, strict=True)) if self.rows else [()] * len(self.columns)


def decode_profile(
    columns: Sequence[Column],
    buffer: Data | bytes,
    *,
    capture_period: int = 0,
    newest_first: bool = False,
    repeat_nulls: bool = False,
    zone: tzinfo | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Profile:
    """Turn the octets of a buffer into a Profile; as ``make_profile``, but without an object for each value.

    That needs numpy (of the extras ``arrow``, ``pandas`` and ``polars``). Without it, and for small buffers, the rows
    are decoded at once.
    """
    octets = buffer.octets if isinstance(buffer, Data) else bytes(buffer)
    step = timedelta(seconds=-capture_period if newest_first else capture_period)
    if columns and _worth_columns(len(octets)):
        from cosemic.codec.columns import tabulate
        from cosemic.cosem.profile_vectors import Vectors

        table = tabulate(octets, len(columns), limits=limits)
        if table is not None:
            profile = Profile(columns, [], capture_period=capture_period, newest_first=newest_first)
            return profile._with(columns, None, Vectors(table, columns, step, repeat_nulls, zone), None)
    value = buffer.value if isinstance(buffer, Data) else decode_value(octets, limits=limits)
    if isinstance(buffer, Data):
        octets = buffer.octets  # without what followed the value
    value = resolve_deltas(octets, value, len(columns), limits)
    return make_profile(
        columns,
        value,
        capture_period=capture_period,
        newest_first=newest_first,
        repeat_nulls=repeat_nulls,
        zone=zone,
    )


def _restore(columns: Sequence[Column], rows: list[tuple[Cell, ...]], period: int, newest_first: bool) -> Profile:
    return Profile(columns, rows, capture_period=period, newest_first=newest_first)


def _worth_columns(octets: int) -> bool:
    """Whether a buffer is large enough for columns, and numpy is there for them."""
    if octets < _WORTH_COLUMNS or (octets < _WORTH_NUMPY and "numpy" not in sys.modules):
        return False
    if sys.byteorder != "little":
        return False  # decimals are put together from halves in the order of the machine
    try:
        import numpy
    except ImportError:
        return False
    return numpy is not None


def make_profile(
    columns: Sequence[Column],
    buffer: Value,
    *,
    capture_period: int = 0,
    newest_first: bool = False,
    repeat_nulls: bool = False,
    zone: tzinfo | None = None,
) -> Profile:
    """Turn a decoded buffer into a Profile; DecodeError when a row does not have one element a column.

    Decoded values do not tell differences (delta types) from numbers: ``decode_profile`` does.

    ``capture_period`` (seconds) fills null timestamps; ``newest_first`` says that time runs backwards in the buffer.
    ``zone`` reads timestamps whose deviation the meter leaves out; without it they stay CosemDateTime.
    """
    step = timedelta(seconds=-capture_period if newest_first else capture_period)
    profile = Profile(columns, [], capture_period=capture_period, newest_first=newest_first)
    rows = _rows(columns, buffer, step, repeat_nulls, zone)
    clock = next((place for place, column in enumerate(columns) if column.is_clock), None)
    raw = None if clock is None or not rows else [row[clock] for row in buffer]  # type: ignore[union-attr,index]
    return profile._with(columns, rows, None, raw)


def _rows(
    columns: Sequence[Column], buffer: Value, step: timedelta, repeat_nulls: bool, zone: tzinfo | None
) -> list[tuple[Cell, ...]]:
    if buffer is None:
        buffer = []
    if not isinstance(buffer, list):
        raise DecodeError(f"the buffer of a profile is an array, not {type(buffer).__name__}")
    width = len(columns)
    for number, row in enumerate(buffer):
        if type(row) is not tuple or len(row) != width:
            raise DecodeError(f"row {number + 1} of the buffer is no structure of {width} elements, one a column")
    if not buffer:
        return []
    values: list[Sequence[Any]] = list(zip(*buffer, strict=True))
    touched = False
    for index, column in enumerate(columns):
        converted = convert(column, values[index], step, repeat_nulls, zone)
        touched |= converted is not values[index]
        values[index] = converted
    rows: list[Any] = list(zip(*values, strict=True)) if touched else buffer
    return rows
