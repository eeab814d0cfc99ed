"""A profile as rows and columns: timestamps made whole, values scaled, ready for tables (IEC 62056-6-2, 4.3.6).

A null in the clock column means: one capture period after the row before. A null in any other column stays None, unless
``repeat_nulls`` says that this meter writes null for "as in the row before".
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from cosemic.codec.axdr import DEFAULT_LIMITS, Data, Limits, Value
from cosemic.codec.axdr import decode as decode_value
from cosemic.cosem.profile_cells import convert
from cosemic.cosem.profile_column import Column, make_columns
from cosemic.cosem.profile_tables import arrow_array, field
from cosemic.errors import DecodeError, MissingExtra
from cosemic.obis import ObisCode

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from cosemic.cosem.profile_vectors import Vectors

__all__ = ["Cell", "Column", "Profile", "decode_profile", "make_columns", "make_profile"]

Cell: TypeAlias = "Value | Decimal | datetime"
"""What a row holds: aware datetimes (CosemDateTime where that is impossible), Decimals in columns with a unit."""

_WORTH_NUMPY: Final = 1 << 20
"""Octets of a buffer for which numpy is loaded, if it is there; once it is loaded every buffer but the smallest is."""
_WORTH_COLUMNS: Final = 1 << 12


class Profile:
    """Rows of a profile with their columns.

    A large buffer is kept as columns, and its rows are made when they are asked for.
    """

    __slots__ = ("_columns", "_rows", "_vectors")

    def __init__(self, columns: Sequence[Column], rows: list[tuple[Cell, ...]]) -> None:
        self._columns = tuple(columns)
        self._rows: list[tuple[Cell, ...]] | None = rows
        self._vectors: Vectors | None = None

    @classmethod
    def _of(cls, vectors: Vectors) -> Profile:
        self = object.__new__(cls)
        self._columns = vectors.columns
        self._rows = None
        self._vectors = vectors
        return self

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
        return Profile, (self._columns, self.rows)

    def column(self, key: str | ObisCode) -> list[Cell]:
        """All values of one column, by its key or OBIS code; KeyError if there is none."""
        for index, column in enumerate(self.columns):
            if key in (column.key, column.obis):
                return [row[index] for row in self.rows]
        raise KeyError(f"no column {key}; there are {', '.join(column.key for column in self.columns)}")

    def to_dicts(self) -> list[dict[str, Cell]]:
        """One dict a row, by column key."""
        keys = [column.key for column in self.columns]
        return [dict(zip(keys, row, strict=True)) for row in self.rows]

    def newest(self, count: int, *, newest_first: bool = False) -> Profile:
        """The last ``count`` rows, the first ones where the newest row comes first."""
        if count >= len(self):
            return self
        rows = slice(0, count) if newest_first else slice(len(self) - count, len(self))
        if self._vectors is not None:
            return Profile._of(self._vectors.select(rows))
        return Profile(self.columns, self.rows[rows])

    def pick(self, places: Sequence[int], columns: Sequence[Column]) -> Profile:
        """The columns at these places, under the names of ``columns``."""
        if self._vectors is not None:
            return Profile._of(self._vectors.pick(places, columns))
        return Profile(columns, [tuple(row[place] for place in places) for row in self.rows])

    def to_arrow(self, *, scaled: bool = True) -> pyarrow.Table:
        """A table: timestamps in UTC, exact decimal128 for scaled values, integers as they are.

        With ``scaled`` False the numbers are those of the meter; the scaler is in the metadata of the field, together
        with OBIS code, class, attribute, unit and label. Times without a deviation, where all of them lack it, are
        timestamps without a zone.
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
        return pyarrow.Table.from_arrays(arrays, schema=pyarrow.schema(fields))

    def to_pandas(self, *, scaled: bool = True) -> pandas.DataFrame:
        """A data frame by way of ``to_arrow``; scaled values stay exact, as decimals of Arrow."""
        try:
            import pandas
        except ImportError:
            raise MissingExtra("pandas", "Profile.to_pandas()") from None
        import pyarrow

        def kind(arrow: Any) -> object:
            # Without nullable integers a single missing value would make floats of a whole column.
            if arrow == pyarrow.int64():
                return pandas.Int64Dtype()
            if arrow == pyarrow.uint64():
                return pandas.UInt64Dtype()
            return pandas.ArrowDtype(arrow) if pyarrow.types.is_decimal(arrow) else None

        frame = self.to_arrow(scaled=scaled).to_pandas(types_mapper=kind)
        assert isinstance(frame, pandas.DataFrame)
        return frame

    def to_polars(self, *, scaled: bool = True) -> polars.DataFrame:
        """A data frame by way of ``to_arrow``: timestamps in UTC, exact decimals for scaled values."""
        try:
            import polars
        except ImportError:
            raise MissingExtra("polars", "Profile.to_polars()") from None
        frame = polars.from_arrow(self.to_arrow(scaled=scaled))
        assert isinstance(frame, polars.DataFrame)
        return frame

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
            return Profile._of(Vectors(table, columns, step, repeat_nulls, zone))
    value = buffer.value if isinstance(buffer, Data) else decode_value(octets, limits=limits)
    return make_profile(
        columns,
        value,
        capture_period=capture_period,
        newest_first=newest_first,
        repeat_nulls=repeat_nulls,
        zone=zone,
    )


def _worth_columns(octets: int) -> bool:
    """Whether a buffer is large enough for columns, and numpy is there for them."""
    if octets < _WORTH_COLUMNS or (octets < _WORTH_NUMPY and "numpy" not in sys.modules):
        return False
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

    ``capture_period`` (seconds) fills null timestamps; ``newest_first`` says that time runs backwards in the buffer.
    ``zone`` reads timestamps whose deviation the meter leaves out; without it they stay CosemDateTime.
    """
    step = timedelta(seconds=-capture_period if newest_first else capture_period)
    return Profile(columns, convert_rows(columns, buffer, step, repeat_nulls, zone))


def convert_rows(
    columns: Sequence[Column], buffer: Value, step: timedelta, repeat_nulls: bool, zone: tzinfo | None
) -> list[tuple[Cell, ...]]:
    """The rows of a decoded buffer; see ``make_profile``."""
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
