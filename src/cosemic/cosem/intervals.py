"""What is missing in a profile, and what its times tell about each row: gaps, duplicates, clocks that were set."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cosemic.codec.axdr import BitString
from cosemic.times import (
    CLOCK_DAYLIGHT_SAVING,
    CLOCK_DIFFERENT_BASE,
    CLOCK_DOUBTFUL,
    CLOCK_INVALID,
)

_EPOCH: Final = datetime(1970, 1, 1)
NO_STATUS: Final = 0xFF
"""A clock status that is not specified."""


class Mark(enum.IntFlag):
    """What the time of a row tells about it."""

    DUPLICATE = 1
    """An earlier row has the same time."""
    CLOCK_SET = 2
    """The step from the row before is none of whole periods, or goes back: the clock was set in between."""
    AFTER_GAP = 4
    """Rows are missing before this one."""
    DST_CHANGE = 8
    """Daylight saving began or ended since the row before."""
    DAYLIGHT = 16
    """Daylight saving is active (clock status, bit 7)."""
    INVALID = 32
    """The time could not be recovered after an incident (clock status, bit 0)."""
    DOUBTFUL = 64
    """The time may be wrong (clock status, bit 1)."""
    DIFFERENT_BASE = 128
    """Another time base than configured (clock status, bit 2)."""
    INFERRED = 256
    """The row came without a time, which follows from the row before and the period."""
    NO_TIME = 512
    """The row has no time, or one that is no point in time."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Rows that are missing: the times of the first and of the last of them, and how many they are.

    Aware in UTC, or naive where the meter's times have no deviation. A reading from ``start`` to ``end`` fills it.
    """

    start: datetime
    end: datetime
    missing: int


@dataclass(frozen=True, slots=True)
class RowTimes:
    """The times of all rows in the order of time: microseconds since 1970 (None for none), and what goes with them.

    ``aware`` says that they are UTC. ``offset`` is what the meter's clock was ahead of UTC, in microseconds.
    """

    times: Sequence[int | None]
    offset: Sequence[int]
    status: Sequence[int]
    filled: Sequence[bool]
    aware: bool


def missing_between(step: int, period: int) -> int:
    """How many rows are missing in a step from one row to the next; half a period more or less is not counted."""
    return max(0, (2 * step + period - 1) // (2 * period) - 1)


def find_gaps(
    wide: Iterable[tuple[int, int]],
    ends: tuple[int, int] | None,
    period: int,
    aware: bool,
    start: int | None = None,
    end: int | None = None,
) -> tuple[Gap, ...]:
    """The gaps between times that are further apart than a period, and between ``start``, ``ends`` and ``end``.

    ``ends`` are the first and the last time of all, None where there is none.
    """
    found: list[tuple[int, int]] = []
    if ends is None:
        if start is not None and end is not None:
            first = -(-start // period) * period
            found.append((first, (end - first) // period + 1))
        return _gaps(found, period, aware)
    if start is not None:
        count = (ends[0] - start) // period
        found.append((ends[0] - count * period, count))
    found += [(before + period, missing_between(after - before, period)) for before, after in wide]
    if end is not None:
        found.append((ends[1] + period, (end - ends[1]) // period))
    return _gaps(found, period, aware)


def wide_steps(times: Sequence[int], period: int) -> list[tuple[int, int]]:
    """Neighbours among sorted times that are further apart than a period."""
    return [pair for pair in itertools.pairwise(times) if pair[1] - pair[0] > period]


def _gaps(found: Sequence[tuple[int, int]], period: int, aware: bool) -> tuple[Gap, ...]:
    return tuple(
        Gap(moment(first, aware), moment(first + (missing - 1) * period, aware), missing)
        for first, missing in found
        if missing > 0
    )


def moment(microseconds: int, aware: bool) -> datetime:
    """Microseconds since 1970 as a datetime, in UTC or naive."""
    time = _EPOCH + timedelta(microseconds=microseconds)
    return time.replace(tzinfo=UTC) if aware else time


def mark_rows(rows: RowTimes, period: int) -> list[int]:
    """The marks of each row as numbers; ``period`` in microseconds, 0 where there is none."""
    seen: set[int] = set()
    marks: list[int] = []
    last: int | None = None
    last_offset = daylight = 0
    for time, offset, status, filled in zip(rows.times, rows.offset, rows.status, rows.filled, strict=True):
        mark = STATUS_MARKS[status]
        if time is None:
            marks.append(int(mark | Mark.NO_TIME))
            continue
        if filled:
            mark |= Mark.INFERRED
        if time in seen:
            mark |= Mark.DUPLICATE
        seen.add(time)
        now = daylight if status == NO_STATUS else 2 if status & CLOCK_DAYLIGHT_SAVING else 1
        if last is not None:
            step = time - last
            if step < 0 or (period and step % period and (step + offset - last_offset) % period):
                mark |= Mark.CLOCK_SET
            if period and missing_between(step, period):
                mark |= Mark.AFTER_GAP
            if offset != last_offset or (daylight and now != daylight):
                mark |= Mark.DST_CHANGE
        last, last_offset, daylight = time, offset, now
        marks.append(int(mark))
    return marks


def status_names(value: object, names: Mapping[int, str]) -> tuple[str, ...]:
    """The names of the bits that are set in a status word, from the lowest on; ``bit 5`` for one without a name.

    An octet-string is read as one number, its first octet the highest; of a bit-string bit 0 is the first one.
    """
    if value is None:
        return ()
    if isinstance(value, BitString):
        bits = [number for number, bit in enumerate(value) if bit]
    else:
        number = int.from_bytes(value, "big") if isinstance(value, bytes) else value
        if not isinstance(number, int) or number < 0:
            raise TypeError(f"a status is a number, an octet-string or a bit-string, not {value!r}")
        bits = [bit for bit in range(number.bit_length()) if number >> bit & 1]
    return tuple(names.get(bit, f"bit {bit}") for bit in bits)


def _status_mark(status: int) -> int:
    if status == NO_STATUS:
        return 0
    pairs = (
        (CLOCK_DAYLIGHT_SAVING, Mark.DAYLIGHT),
        (CLOCK_INVALID, Mark.INVALID),
        (CLOCK_DOUBTFUL, Mark.DOUBTFUL),
        (CLOCK_DIFFERENT_BASE, Mark.DIFFERENT_BASE),
    )
    return sum(mark for bit, mark in pairs if status & bit)


STATUS_MARKS: Final = [_status_mark(status) for status in range(256)]


class _Marks(dict[int, Mark]):
    """One object for each combination, so that none is made for a row."""

    def __missing__(self, number: int) -> Mark:
        mark = self[int(number)] = Mark(int(number))
        return mark


MARKS: Final = _Marks()
"""The marks by their number."""
