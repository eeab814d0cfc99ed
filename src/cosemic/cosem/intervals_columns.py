"""``cosemic.cosem.intervals`` for columns of times. Needs numpy; import it only where it is wanted."""

from __future__ import annotations

from typing import Final

import numpy as np

from cosemic.codec.columns import Array
from cosemic.cosem.intervals import NO_STATUS, STATUS_MARKS, Mark
from cosemic.cosem.profile_times import Times
from cosemic.times import CLOCK_DAYLIGHT_SAVING

_BY_STATUS: Final = np.array(STATUS_MARKS, np.uint16)


def distinct_times(times: Times) -> Array:
    """The times that there are, sorted, each once."""
    values = times.local if times.utc is None else times.utc
    return np.unique(values if times.valid is None else values[times.valid])


def between(distinct: Array, low: int | None, high: int | None) -> Array:
    """The sorted times from ``low`` to ``high``, both included."""
    first = 0 if low is None else int(np.searchsorted(distinct, low))
    last = len(distinct) if high is None else int(np.searchsorted(distinct, high, side="right"))
    return distinct[first:last]


def wide_steps(distinct: Array, period: int) -> list[tuple[int, int]]:
    """Neighbours among sorted times that are further apart than a period."""
    place = np.flatnonzero(np.diff(distinct) > period)
    return list(zip(distinct[place].tolist(), distinct[place + 1].tolist(), strict=True))


def mark_columns(times: Times, period: int) -> Array:
    """The marks of each row, the rows in the order of time."""
    status = times.status
    marks = _BY_STATUS.take(status)
    if times.filled is not None:
        marks[times.filled] |= np.uint16(Mark.INFERRED)
    rows = np.arange(len(status)) if times.valid is None else np.flatnonzero(times.valid)
    if times.valid is not None:
        marks[~times.valid] |= np.uint16(Mark.NO_TIME)
    if not len(rows):
        return marks
    values = (times.local if times.utc is None else times.utc)[rows]
    offset = np.zeros(len(rows), np.int64) if times.utc is None else times.local[rows] - values
    found = np.zeros(len(rows), np.uint16)
    _, firsts = np.unique(values, return_index=True)
    duplicate = np.ones(len(rows), np.bool_)
    duplicate[firsts] = False
    found[duplicate] |= np.uint16(Mark.DUPLICATE)
    step, shift = np.diff(values), np.diff(offset)
    later = found[1:]
    set_back = step < 0
    if period:
        set_back |= (step % period != 0) & ((step + shift) % period != 0)
        later[(2 * step + period - 1) // (2 * period) > 1] |= np.uint16(Mark.AFTER_GAP)
    later[set_back] |= np.uint16(Mark.CLOCK_SET)
    daylight = np.where(status[rows] == NO_STATUS, 0, np.where(status[rows] & CLOCK_DAYLIGHT_SAVING, 2, 1))
    known = np.maximum.accumulate(np.where(daylight > 0, np.arange(len(rows)), -1))
    daylight = np.where(known < 0, 0, daylight[np.maximum(known, 0)])
    later[(shift != 0) | ((daylight[:-1] > 0) & (daylight[1:] != daylight[:-1]))] |= np.uint16(Mark.DST_CHANGE)
    marks[rows] |= found
    return marks
