"""Cells to Arrow arrays, one by one: the way for profiles that are not columns already, and for odd columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from cosemic.cosem.intervals import NO_STATUS
from cosemic.cosem.values import EXACT
from cosemic.times import CosemDateTime

if TYPE_CHECKING:
    from cosemic.codec.columns import Array
    from cosemic.cosem.profile_column import Column

LEAST_SCALER, GREATEST_SCALER = -30, 15
"""Between these every integer of the standard, scaled, has its place in 38 digits."""
_DIGITS = 38


def field(pyarrow: Any, column: Column, kind: Any, *, scaled: bool = True) -> Any:
    """The Arrow field of a column, with what is known about it as metadata."""
    facts = {
        "obis": str(column.obis),
        "class_id": str(column.class_id),
        "attribute": str(column.attribute),
        "data_index": str(column.data_index),
        "label": column.label,
    }
    if column.unit is not None:
        facts["unit"] = column.unit
    if column.scaler is not None:
        facts["scaler"] = str(column.scaler)
        facts["scaled"] = json.dumps(scaled)
    if column.is_time and pyarrow.types.is_timestamp(kind) and kind.tz is None:
        facts["time"] = "local"
    return pyarrow.field(column.key, kind, metadata=facts)


def arrow_array(pyarrow: Any, values: Sequence[Any], column: Column, *, scaled: bool = True) -> Any:
    """An Arrow array of cells: timestamps in UTC, decimal128 for scaled values, text for what is not of one type."""
    if not scaled and column.scaler is not None:
        values = _raw(values, column.scaler)
    kinds = _kinds(values)
    if not kinds:
        return pyarrow.nulls(len(values), _expected(pyarrow, column, scaled))
    if kinds == {datetime}:
        try:
            times = [None if value is None else value.astimezone(UTC) for value in values]
            return pyarrow.array(times, type=pyarrow.timestamp("us", tz="UTC"))
        except OverflowError:
            return pyarrow.array(_text(values), type=pyarrow.string())
    if kinds == {CosemDateTime} and column.is_time:
        local = _local(values)
        if local is not None:
            return pyarrow.array(local, type=pyarrow.timestamp("us"))
    if kinds == {Decimal} and LEAST_SCALER <= (column.scaler or 0) <= GREATEST_SCALER:
        scale = max(0, -(column.scaler or 0))
        if all(value is None or _fits(value, scale) for value in values):
            return pyarrow.array(values, type=pyarrow.decimal128(_DIGITS, scale))
        # Floats with a scaler: no common number of digits holds them.
        return pyarrow.array([None if value is None else float(value) for value in values], type=pyarrow.float64())
    if kinds == {int}:
        return _integers(pyarrow, values)
    if len(kinds) <= 1 and _is_plain(kinds):
        return pyarrow.array(values)
    return pyarrow.array(_text(values), type=pyarrow.string())


def status_array(status: Sequence[int] | Array) -> Any:
    """Clock statuses, null where one is not specified."""
    import pyarrow
    import pyarrow.compute

    array = pyarrow.array(status, pyarrow.uint8())
    return pyarrow.compute.if_else(
        pyarrow.compute.equal(array, NO_STATUS), pyarrow.scalar(None, pyarrow.uint8()), array
    )


def _expected(pyarrow: Any, column: Column, scaled: bool) -> Any:
    """The type of a column without a single value, where that is known."""
    if column.is_time:
        return pyarrow.timestamp("us", tz="UTC")
    if scaled and column.scaler is not None and LEAST_SCALER <= column.scaler <= GREATEST_SCALER:
        return pyarrow.decimal128(_DIGITS, max(0, -column.scaler))
    return pyarrow.null()


def _is_plain(kinds: set[type]) -> bool:
    """Whether these types have a type of their own in a table."""
    return kinds <= {int, float, bool, str, bytes}


def _kinds(values: Sequence[Any]) -> set[type]:
    return set(map(type, values)) - {type(None)}


def _integers(pyarrow: Any, values: Sequence[Any]) -> Any:
    present = [value for value in values if value is not None]
    highest, lowest = max(present), min(present)
    if highest < 1 << 63 and lowest >= -1 << 63:
        return pyarrow.array(values, type=pyarrow.int64())
    if highest < 1 << 64 and lowest >= 0:
        return pyarrow.array(values, type=pyarrow.uint64())
    if max(highest, -lowest) < 10**_DIGITS:
        decimals = [None if value is None else Decimal(value) for value in values]
        return pyarrow.array(decimals, pyarrow.decimal128(_DIGITS, 0))
    return pyarrow.array([None if value is None else float(value) for value in values], pyarrow.float64())


def _fits(value: Decimal, scale: int) -> bool:
    if not value.is_finite():
        return False
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return exponent >= -scale and value.adjusted() < _DIGITS - scale


def _raw(values: Sequence[Any], scaler: int) -> list[Any]:
    """The numbers as the meter sent them."""
    raw = [value.scaleb(-scaler, EXACT) if type(value) is Decimal else value for value in values]
    numbers = [value for value in raw if type(value) is Decimal]
    whole = all(number.is_finite() and number == number.to_integral_value(context=EXACT) for number in numbers)
    kind = int if whole else float
    return [kind(value) if type(value) is Decimal else value for value in raw]


def _local(values: Sequence[Any]) -> list[datetime | None] | None:
    """Times without a deviation by the meter's own clock; None where one is no complete time, or has a deviation."""
    local: list[datetime | None] = []
    for value in values:
        if value is None:
            local.append(None)
        elif value.deviation is not None:
            return None
        else:
            try:
                local.append(value.to_datetime(UTC).replace(tzinfo=None))
            except ValueError:
                return None
    return local


def _text(values: Sequence[Any]) -> list[str | None]:
    return [None if value is None else value.hex() if isinstance(value, bytes) else str(value) for value in values]
