"""Columns of date-times as microseconds since 1970, all at once. Needs numpy; import it only where it is wanted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

import numpy as np

from cosemic.codec.columns import Array
from cosemic.times import CLOCK_DAYLIGHT_SAVING

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
_CHUNK: Final = 1 << 16
_NO_DEVIATION: Final = -0x8000
_EPOCH: Final = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Times:
    """A column of points in time, in microseconds.

    ``local`` counts by the meter's own clock, ``utc`` is None where nothing tells how that differs from UTC.
    ``status`` is the clock status, 0xFF where it is not specified or where there is no time.
    """

    local: Array
    utc: Array | None
    valid: Array | None
    status: Array
    deviation: Array
    filled: Array | None = None
    """Rows without a time of their own, which come one period after the row before."""


def read_times(octets: Array, valid: Array | None, zone: tzinfo | None) -> Times | None:
    """The times of a matrix with the twelve octets of each; None if one of them is no point in time.

    ``zone`` counts where the deviation is not specified; without it such times are local, if all of them are.
    """
    rows = len(octets)
    local = np.empty(rows, np.int64)
    deviation: Array = np.ndarray((rows,), ">i2", octets, 9, (12,)).astype(np.int32)
    status = octets[:, 11].copy()
    for start in range(0, rows, _CHUNK):
        part = slice(start, start + _CHUNK)
        if not _read(octets[part], None if valid is None else valid[part], local[part]):
            return None
    if valid is not None:
        status[~valid] = 0xFF
        deviation[~valid] = 0
    unknown = deviation == _NO_DEVIATION
    lost = bool(unknown.any())
    known = deviation[~unknown] if lost else deviation
    if len(known) and (int(known.min()) <= -1440 or int(known.max()) >= 1440):
        return None
    if not lost:
        return Times(local, local + deviation.astype(np.int64) * (60 * _SECOND), valid, status, deviation)
    if zone is None:
        if bool((unknown if valid is None else unknown | ~valid).all()):
            return Times(local, None, valid, status, deviation)
        return None
    utc = local + np.where(unknown, 0, deviation).astype(np.int64) * (60 * _SECOND)
    place = np.flatnonzero(unknown)
    offset = _offsets(local[place], status[place], zone)
    if offset is None:
        return None
    utc[place] -= offset
    return Times(local, utc, valid, status, deviation)


def _read(octets: Array, valid: Array | None, out: Array) -> bool:
    """Put the local times into ``out``; False if a row that is valid has none."""
    year: Array = np.ndarray((len(octets),), ">u2", octets, 0, (12,)).astype(np.int32)
    month, day, hour, minute, second, part = (octets[:, index] for index in (2, 3, 5, 6, 7, 8))
    part = np.where(part == 0xFF, 0, part)
    days = _days()
    index = (year - 1) * 12 + month - 1
    inside = (year >= 2) & (year <= 9998) & (month >= 1) & (month <= 12) & (day >= 1)
    inside &= (hour < 24) & (minute < 60) & (second < 60) & (part < 100)
    begin = days.take(index, mode="clip")
    inside &= day <= days.take(index + 1, mode="clip") - begin
    if not bool((inside if valid is None else inside | ~valid).all()):
        return False
    seconds = (hour.astype(np.int32) * 60 + minute) * 60 + second
    np.add(begin, day, out=out, casting="unsafe")
    out -= 1
    out *= 86_400
    out += seconds
    out *= 100
    out += part
    out *= 10_000
    return True


_day_numbers: list[Array] = []


def _days() -> Array:
    """The day number of the first of each month from January of the year 1, counted from 1970."""
    if not _day_numbers:
        months = np.arange("0001-01", "10000-02", dtype="datetime64[M]")
        _day_numbers.append(months.astype("datetime64[D]").astype(np.int32))
    return _day_numbers[0]


def _offsets(local: Array, status: Array, zone: tzinfo) -> Array | None:
    """How far a zone is ahead of UTC at each local time, in microseconds."""
    days, inverse = np.unique(local // _DAY, return_inverse=True)
    offsets = np.empty(len(days), np.int64)
    changing = np.zeros(len(days), np.bool_)
    for number, day in enumerate(days.tolist()):
        begin = _EPOCH + timedelta(days=day)
        ends = (begin, begin.replace(hour=23, minute=59, second=59, microsecond=999_999))
        found = {_offset(end.replace(fold=fold), zone) for end in ends for fold in (0, 1)}
        changing[number] = len(found) > 1
        offset = found.pop()
        if offset is None:
            return None
        offsets[number] = offset
    result = offsets[inverse]
    # The days on which clocks change are few; their hours are told apart by the status, as CosemDateTime does.
    for row in np.flatnonzero(changing[inverse]).tolist():
        moment = _EPOCH + timedelta(microseconds=int(local[row]))
        offset = _offset(moment, zone)
        other = moment.replace(tzinfo=zone, fold=1)
        daylight = None if status[row] == 0xFF else bool(status[row] & CLOCK_DAYLIGHT_SAVING)
        if daylight is not None and bool(other.dst()) == daylight:
            second = _offset(moment.replace(fold=1), zone)
            offset = second if second != offset else offset
        if offset is None:
            return None
        result[row] = offset
    return result


def _offset(moment: datetime, zone: tzinfo) -> int | None:
    offset = moment.replace(tzinfo=zone).utcoffset()
    return None if offset is None else offset // timedelta(microseconds=1)


def fill_times(times: Times, step: int, zone: tzinfo | None) -> Times:
    """A row without a time is ``step`` microseconds after the row before; before the first time there is none."""
    if times.valid is None:
        return times
    numbers = np.arange(len(times.local))
    last = np.maximum.accumulate(np.where(times.valid, numbers, -1))
    valid = last >= 0
    last = np.maximum(last, 0)
    ahead = (numbers - last) * step
    local = times.local[last] + ahead
    utc = None if times.utc is None else times.utc[last] + ahead
    deviation = times.deviation[last]
    filled = valid & ~times.valid
    if utc is not None and zone is not None:
        # Where the zone told the time, its clocks may have changed since.
        place = np.flatnonzero(filled & (deviation == _NO_DEVIATION))
        local[place] = utc[place] + _offsets_at(utc[place], zone)
    return Times(local, utc, None if bool(valid.all()) else valid, times.status, deviation, filled)


def _offsets_at(utc: Array, zone: tzinfo) -> Array:
    """How far a zone is ahead of UTC at each moment, in microseconds."""
    hours, inverse = np.unique(utc // (900 * _SECOND), return_inverse=True)
    found = np.empty(len(hours), np.int64)
    for number, hour in enumerate(hours.tolist()):
        moment = (_EPOCH + timedelta(seconds=900 * hour)).replace(tzinfo=UTC)
        offset = moment.astimezone(zone).utcoffset()
        found[number] = 0 if offset is None else offset // timedelta(microseconds=1)
    return found[inverse]


def microseconds(moment: datetime) -> int:
    """A datetime as microseconds since 1970: in UTC if it is aware, else by its own clock."""
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (moment - _EPOCH) // timedelta(microseconds=1)
