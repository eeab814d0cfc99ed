"""The times of a profile and what follows from them, by columns where there are columns, else row by row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cosemic.cosem.intervals import NO_STATUS, Gap, RowTimes, find_gaps, mark_rows, wide_steps
from cosemic.times import CosemDateTime

if TYPE_CHECKING:
    from cosemic.codec.columns import Array
    from cosemic.cosem.profile_times import Times

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1)


def row_times(cells: Sequence[Any], raw: Sequence[Any] | None, newest_first: bool) -> RowTimes:
    """The times of a column of cells, the oldest row first; ``raw`` are the values that the cells were made of."""
    aware = any(isinstance(cell, datetime) for cell in cells)
    times: list[int | None] = []
    offsets: list[int] = []
    for cell in cells:
        local = _local(cell, aware)
        ahead = cell.utcoffset() if isinstance(cell, datetime) else None
        offset = 0 if ahead is None else ahead // _MICROSECOND
        times.append(None if local is None else (local - _EPOCH) // _MICROSECOND - offset)
        offsets.append(offset)
    raw = cells if raw is None else raw
    status = [_status(value) for value in raw]
    filled = [value is None and time is not None for value, time in zip(raw, times, strict=True)]
    step = -1 if newest_first else 1
    return RowTimes(times[::step], offsets[::step], status[::step], filled[::step], aware)


def _local(cell: Any, aware: bool) -> datetime | None:
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=None)
    if aware or not isinstance(cell, CosemDateTime) or cell.deviation is not None:
        return None
    try:
        return cell.to_datetime(UTC).replace(tzinfo=None)
    except ValueError:
        return None


def _status(value: Any) -> int:
    if isinstance(value, bytes) and len(value) == 12:
        return value[11]
    if isinstance(value, CosemDateTime) and value.clock_status is not None:
        return value.clock_status
    return NO_STATUS


class Intervals:
    """The times of one profile: a gap map, a figure of completeness, marks."""

    __slots__ = ("_rows", "_times")

    def __init__(self, times: Times | None, rows: RowTimes | None) -> None:
        self._times = times
        self._rows = rows

    def gaps(self, period: int, start: datetime | None, end: datetime | None) -> tuple[Gap, ...]:
        """The gaps, with ``period`` in microseconds."""
        return self._counted(period, start, end)[1]

    def completeness(self, period: int, start: datetime | None, end: datetime | None) -> float:
        """Rows that are there for each one that is expected; rows with the same time count once."""
        there, gaps = self._counted(period, start, end)
        missing = sum(gap.missing for gap in gaps)
        return there / (there + missing) if there + missing else 1.0

    def marks(self, period: int) -> Sequence[int] | Array:
        """The marks of each row, the oldest row first."""
        if self._times is not None:
            from cosemic.cosem.intervals_columns import mark_columns

            return mark_columns(self._times, period)
        assert self._rows is not None
        return mark_rows(self._rows, period)

    def statuses(self) -> Sequence[int] | Array:
        """The clock status of each row, the oldest row first; 0xFF where it is not specified."""
        if self._times is not None:
            return self._times.status
        assert self._rows is not None
        return self._rows.status

    def _counted(self, period: int, start: datetime | None, end: datetime | None) -> tuple[int, tuple[Gap, ...]]:
        """How many distinct times there are between the limits, and the gaps."""
        wide: list[tuple[int, int]]
        if self._times is not None:
            from cosemic.cosem import intervals_columns

            column = intervals_columns.distinct_times(self._times)
            aware = self._aware(len(column), self._times.utc is not None, start, end)
            low, high = _limit(start, aware), _limit(end, aware)
            column = intervals_columns.between(column, low, high)
            count = len(column)
            ends = (int(column[0]), int(column[-1])) if count else None
            wide = intervals_columns.wide_steps(column, period)
        else:
            assert self._rows is not None
            times = sorted({time for time in self._rows.times if time is not None})
            aware = self._aware(len(times), self._rows.aware, start, end)
            low, high = _limit(start, aware), _limit(end, aware)
            times = [time for time in times if (low is None or time >= low) and (high is None or time <= high)]
            count = len(times)
            ends = (times[0], times[-1]) if count else None
            wide = wide_steps(times, period)
        return count, find_gaps(wide, ends, period, aware, low, high)

    @staticmethod
    def _aware(count: int, aware: bool, start: datetime | None, end: datetime | None) -> bool:
        """Whether times are UTC; without any the limits say it."""
        limit = start if start is not None else end
        return aware if count or limit is None else limit.tzinfo is not None


def _limit(limit: datetime | None, aware: bool) -> int | None:
    if limit is None:
        return None
    if (limit.tzinfo is not None) != aware:
        kind = "aware: give limits with a time zone" if aware else "local: give limits without a time zone"
        raise ValueError(f"{limit.isoformat()} cannot be compared with the times of this profile, which are {kind}")
    return (limit.astimezone(UTC).replace(tzinfo=None) - _EPOCH if aware else limit - _EPOCH) // _MICROSECOND
