"""Cells of a profile, one by one: timestamps made whole, nulls that repeat, values scaled."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

from cosemic.cosem.profile_column import Column
from cosemic.cosem.values import EXACT, scale
from cosemic.times import CosemDateTime, datetime_from_bytes, zone_of


def convert(
    column: Column, values: Sequence[Any], step: timedelta, repeat_nulls: bool, zone: tzinfo | None
) -> Sequence[Any]:
    """The cells of a column from its decoded values; the very sequence that was given where nothing changes.

    ``step`` is the time from one row to the next; ``repeat_nulls`` and ``zone`` as for ``make_profile``.
    """
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
            value = _after(last, step)
        elif value is None and isinstance(last, CosemDateTime):
            value = _later(last, step)
        filled.append(value)
        last = value
    return filled


def _after(time: datetime, step: timedelta) -> datetime | None:
    """So much time later, also where the clocks of the zone change in between."""
    try:
        return (time.astimezone(UTC) + step).astimezone(time.tzinfo)
    except OverflowError:
        return None


def _later(time: CosemDateTime, step: timedelta) -> CosemDateTime | None:
    """The next timestamp without a deviation: plain arithmetic on the local time that the meter keeps."""
    try:
        local = time.to_datetime(UTC).replace(tzinfo=None) + step
    except (ValueError, OverflowError):
        return None
    return CosemDateTime.from_datetime(local, clock_status=time.clock_status)


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
