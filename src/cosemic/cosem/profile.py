"""A profile as rows and columns: timestamps made whole, values scaled, ready for tables (IEC 62056-6-2, 4.3.6).

A null in the clock column means: one capture period after the row before. A null in any other column stays None, unless
``repeat_nulls`` says that this meter writes null for "as in the row before".
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from cosemic.codec.axdr import Value
from cosemic.cosem.catalog import describe
from cosemic.cosem.model import interface_class
from cosemic.cosem.selection import CaptureObject
from cosemic.cosem.values import EXACT, ScalerUnit, scale
from cosemic.enums import DataType
from cosemic.errors import DecodeError, MissingExtra
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime, datetime_from_bytes, zone_of

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Cell: TypeAlias = "Value | Decimal | datetime"
"""What a row holds: aware datetimes (CosemDateTime where that is impossible), Decimals in columns with a unit."""


@dataclass(frozen=True, slots=True)
class Column:
    """What one column holds. ``key`` is unique in its profile; ``unit`` and ``scaler`` are None where unknown."""

    capture: CaptureObject
    key: str
    label: str
    unit: str | None = None
    scaler: int | None = None

    @property
    def class_id(self) -> int:
        """Interface class of the captured object."""
        return self.capture.class_id

    @property
    def obis(self) -> ObisCode:
        """Logical name of the captured object."""
        return self.capture.obis

    @property
    def attribute(self) -> int:
        """Number of the captured attribute."""
        return self.capture.attribute

    @property
    def data_index(self) -> int:
        """Which element of the attribute, from 1; 0 is the whole attribute."""
        return self.capture.data_index

    @property
    def is_clock(self) -> bool:
        """True for the time of a clock: the time of the row."""
        return self.capture.is_clock

    @property
    def is_time(self) -> bool:
        """True where the standard says that the attribute is a date-time."""
        attributes = interface_class(self.capture.class_id).attributes
        number = self.capture.attribute
        declared = 1 <= number <= len(attributes) and self.capture.data_index == 0
        return declared and DataType.DATE_TIME in attributes[number - 1].types


@dataclass(frozen=True, slots=True)
class Profile:
    """Rows of a profile with their columns."""

    columns: tuple[Column, ...]
    rows: list[tuple[Cell, ...]] = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

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

    def to_arrow(self) -> pyarrow.Table:
        """A table: timestamps in UTC, exact decimal128 for scaled values, integers as they are."""
        try:
            import pyarrow
        except ImportError:
            raise MissingExtra("arrow", "Profile.to_arrow()") from None
        arrays = [_arrow(pyarrow, values, column) for column, values in zip(self.columns, self._columns(), strict=True)]
        return pyarrow.table(arrays, names=[column.key for column in self.columns])

    def to_pandas(self) -> pandas.DataFrame:
        """A data frame by way of ``to_arrow``; scaled values stay Decimal objects."""
        try:
            import pandas
        except ImportError:
            raise MissingExtra("pandas", "Profile.to_pandas()") from None
        table = self.to_arrow()
        # Without nullable integers a single missing value would make floats of a whole column.
        kinds = {"int64": pandas.Int64Dtype(), "uint64": pandas.UInt64Dtype()}
        frame = table.to_pandas(types_mapper=lambda kind: kinds.get(str(kind)))
        assert isinstance(frame, pandas.DataFrame)
        return frame

    def to_polars(self) -> polars.DataFrame:
        """A data frame: timestamps in UTC, exact decimals for scaled values."""
        try:
            import polars
        except ImportError:
            raise MissingExtra("polars", "Profile.to_polars()") from None
        series = []
        for column, values in zip(self.columns, self._columns(), strict=True):
            kinds = _kinds(values)
            if kinds == {datetime}:
                values = [None if value is None else value.astimezone(UTC) for value in values]
                series.append(polars.Series(column.key, values, dtype=polars.Datetime("us", "UTC")))
            elif kinds == {Decimal} and -30 <= (column.scaler or 0) <= 15:
                kind = polars.Decimal(38, max(0, -(column.scaler or 0)))
                series.append(polars.Series(column.key, values, dtype=kind))
            else:
                series.append(polars.Series(column.key, values if len(kinds) <= 1 and _plain(kinds) else _text(values)))
        return polars.DataFrame(series)

    def _columns(self) -> list[Sequence[Any]]:
        return list(zip(*self.rows, strict=True)) if self.rows else [()] * len(self.columns)


def make_columns(
    captures: Iterable[CaptureObject], scalers: Sequence[ScalerUnit | None] | None = None
) -> tuple[Column, ...]:
    """Columns with unique keys: the OBIS code, with ``:attribute`` and ``[data index]`` only where needed."""
    captures = list(captures)
    by_obis = Counter(capture.obis for capture in captures)
    by_attribute = Counter((capture.obis, capture.class_id, capture.attribute) for capture in captures)
    columns: list[Column] = []
    used: set[str] = set()
    for index, capture in enumerate(captures):
        key = str(capture.obis)
        if by_obis[capture.obis] > 1:
            key += f":{capture.attribute}"
        if by_attribute[capture.obis, capture.class_id, capture.attribute] > 1:
            key += f"[{capture.data_index}]"
        if key in used:
            key += f"#{index + 1}"
        used.add(key)
        scaler_unit = scalers[index] if scalers is not None else None
        label = describe(capture.obis)
        if capture.attribute != 2:
            label += f", {interface_class(capture.class_id).attribute_name(capture.attribute)}"
        unit, scaler = (None, None) if scaler_unit is None else (scaler_unit.symbol, scaler_unit.scaler)
        columns.append(Column(capture, key, label, unit, scaler))
    return tuple(columns)


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
    if buffer is None:
        buffer = []
    if not isinstance(buffer, list):
        raise DecodeError(f"the buffer of a profile is an array, not {type(buffer).__name__}")
    width = len(columns)
    for number, row in enumerate(buffer):
        if type(row) is not tuple or len(row) != width:
            raise DecodeError(f"row {number + 1} of the buffer is no structure of {width} elements, one a column")
    if not buffer:
        return Profile(tuple(columns), [])
    step = timedelta(seconds=-capture_period if newest_first else capture_period)
    values: list[Sequence[Any]] = list(zip(*buffer, strict=True))
    touched = False
    for index, column in enumerate(columns):
        converted = _convert(column, values[index], step, repeat_nulls, zone)
        touched |= converted is not values[index]
        values[index] = converted
    rows: list[Any] = list(zip(*values, strict=True)) if touched else buffer
    return Profile(tuple(columns), rows)


def _convert(
    column: Column, values: Sequence[Any], step: timedelta, repeat_nulls: bool, zone: tzinfo | None
) -> Sequence[Any]:
    if column.is_time:
        values = _times(values, zone)
        if column.is_clock:
            return _fill_times(values, step) if step and None in values else values
    if repeat_nulls and None in values:
        values = _repeat(values)
    if column.scaler is not None:
        return _scaled(values, column.scaler)
    return values


_DATE_TIMES = struct.Struct(">HBBBBBBBhB")


class _Zones(dict[int, timezone]):
    """Fixed zones by deviation; ValueError for the deviation that means "not specified"."""

    def __missing__(self, deviation: int) -> timezone:
        zone = self[deviation] = zone_of(deviation)
        return zone


def _times(values: Sequence[Any], zone: tzinfo | None) -> list[Any]:
    if set(map(type, values)) == {bytes} and set(map(len, values)) == {12}:
        # The usual column, all of it in one go; a single field that is not specified sends it the long way.
        zones = _Zones()
        try:
            return [
                datetime(year, month, day, hour, minute, second, 0 if part == 255 else part * 10_000, zones[deviation])
                for year, month, day, _, hour, minute, second, part, deviation, _ in _DATE_TIMES.iter_unpack(
                    b"".join(values)
                )
            ]
        except ValueError:
            pass
    return [_time(value, zone) for value in values]


def _time(value: Any, zone: tzinfo | None) -> Any:
    if type(value) is bytes and len(value) == 12:
        try:
            return datetime_from_bytes(value, zone)
        except ValueError:
            return CosemDateTime.from_bytes(value)
    if type(value) is CosemDateTime:
        try:
            return value.to_datetime(zone)
        except ValueError:
            return value
    return value


def _fill_times(values: Sequence[Any], step: timedelta) -> list[Any]:
    filled: list[Any] = []
    last: Any = None
    for value in values:
        if value is None and isinstance(last, datetime):
            value = last + step
        elif value is None and isinstance(last, CosemDateTime):
            value = _later(last, step)
        filled.append(value)
        last = value
    return filled


def _later(time: CosemDateTime, step: timedelta) -> CosemDateTime | None:
    """The next timestamp without a deviation: plain arithmetic on the local time that the meter keeps."""
    try:
        local = time.to_datetime(UTC).replace(tzinfo=None)
    except ValueError:
        return None
    return CosemDateTime.from_datetime(local + step, clock_status=time.clock_status)


def _repeat(values: Sequence[Any]) -> list[Any]:
    repeated: list[Any] = []
    last: Any = None
    for value in values:
        last = last if value is None else value
        repeated.append(last)
    return repeated


def _scaled(values: Sequence[Any], scaler: int) -> list[Any]:
    if set(map(type, values)) == {int}:
        if scaler < 0:
            return [Decimal(value).scaleb(scaler, EXACT) for value in values]
        if scaler == 0:
            return list(map(Decimal, values))
        factor = 10**scaler
        return [Decimal(value * factor) for value in values]
    return [scale(value, scaler) if type(value) in (int, float) else value for value in values]


def _kinds(values: Sequence[Any]) -> set[type]:
    return set(map(type, values)) - {type(None)}


def _plain(kinds: set[type]) -> bool:
    return kinds <= {int, float, bool, str, bytes}


def _text(values: Sequence[Any]) -> list[str | None]:
    return [None if value is None else value.hex() if isinstance(value, bytes) else str(value) for value in values]


def _arrow(pyarrow: Any, values: Sequence[Any], column: Column) -> Any:
    kinds = _kinds(values)
    if kinds == {datetime}:
        values = [None if value is None else value.astimezone(UTC) for value in values]
        return pyarrow.array(values, type=pyarrow.timestamp("us", tz="UTC"))
    if kinds == {Decimal} and -30 <= (column.scaler or 0) <= 15:
        return pyarrow.array(values, type=pyarrow.decimal128(38, max(0, -(column.scaler or 0))))
    if len(kinds) <= 1 and _plain(kinds):
        if kinds == {int} and max(value for value in values if value is not None) >= 1 << 63:
            return pyarrow.array(values, type=pyarrow.uint64())
        return pyarrow.array(values)
    return pyarrow.array(_text(values), type=pyarrow.string())
