"""Rows of a profile that is there already: those of a range, the newest ones, the first one."""

from __future__ import annotations

from datetime import datetime

from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Value
from cosemic.cosem.profile import Profile
from cosemic.cosem.selection import Moment
from cosemic.enums import DataType
from cosemic.errors import DecodeError, LocalProtocolError
from cosemic.times import CosemDateTime


def first_row(data: Data) -> tuple[Value, ...] | None:
    """The first row of a buffer, decoded alone; None where there is none, DecodeError for octets that are no value."""
    octets = data.octets
    row: Value = None
    if octets[:1] == bytes((DataType.ARRAY,)):
        try:
            count, offset = axdr.decode_length(octets, 1)
            row = axdr.decode_prefix(octets, offset)[0] if count else None
        except DecodeError:
            row = _first(data.value)  # says what is wrong with the whole
    else:
        row = _first(data.value)
    return row if isinstance(row, tuple) else None


def _first(value: Value) -> Value:
    return value[0] if isinstance(value, list) and value else None


def between(profile: Profile, start: Moment | None, end: Moment | None) -> Profile:
    """The rows from ``start`` to ``end``, both included. A naive limit is meant in the meter's local time.

    Rows without a time are left out; DecodeError where the times cannot be compared.
    """
    low, high = _comparable(start), _comparable(end)
    columns = profile.between_columns(low, high)
    if columns is not None:
        return columns
    index = next(index for index, column in enumerate(profile.columns) if column.is_clock)
    places = []
    for place, row in enumerate(profile.rows):
        time = row[index]
        if not isinstance(time, datetime):
            if isinstance(time, CosemDateTime):
                raise DecodeError(
                    f"the meter does not select rows, and its timestamps ({time}) cannot be compared without a zone"
                )
            continue
        if (low is None or time >= _in(low, time)) and (high is None or time <= _in(high, time)):
            places.append(place)
    return profile.select(places)


def newest_by_time(profile: Profile, count: int) -> Profile:
    """The ``count`` rows with the latest times, in the order of the buffer: for one that is sorted by a value."""
    if len(profile) <= count:
        return profile
    index = next((index for index, column in enumerate(profile.columns) if column.is_clock), None)
    if index is None:
        raise LocalProtocolError("the rows are sorted by a value and have no time: read them all, none is the newest")
    times = [(row[index], place) for place, row in enumerate(profile.rows)]
    known = sorted((time, place) for time, place in times if isinstance(time, datetime) and time.tzinfo is not None)
    return profile.select(sorted(place for _, place in known[-count:]))


def _comparable(moment: Moment | None) -> datetime | None:
    if isinstance(moment, CosemDateTime):
        return moment.to_datetime()
    return moment


def _in(moment: datetime, time: datetime) -> datetime:
    """A naive limit is meant in the meter's local time."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=time.tzinfo)
