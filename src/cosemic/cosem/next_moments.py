"""When a time with wildcards comes next: schedules and communication windows (IEC 62056-6-2, 4.1.6.1).

A field that is not specified is any. Below the finest field that is specified nothing repeats: 6 o'clock without
minutes is once, at 06:00:00; minute 15 without an hour is once an hour. A time without any field is once a minute.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta, tzinfo

from cosemic.cosem.recurrence import days_in
from cosemic.times import CosemDate, CosemTime

_YEARS = 9
"""A leap day comes after eight years at the latest."""
_MOST_STEPS = 5000
_SECOND = timedelta(seconds=1)


def next_moment(time: CosemTime, day: CosemDate, after: datetime, zone: tzinfo) -> datetime | None:
    """The first moment later than ``after`` that time and date name, on the clock of ``zone``; None for none.

    What lies in the hour that daylight saving repeats comes twice where the hour is any, once where it is specified.
    ValueError for a rule that names no day or no time of any clock.
    """
    hour, minute, second = _fields(time)
    moment = after.astimezone(UTC).replace(microsecond=0) + _SECOND
    for _ in range(_MOST_STEPS):
        local = moment.astimezone(zone)
        found = _day_from(day, local.date())
        if found is None:
            return None
        if found != local.date():
            start = datetime(found.year, found.month, found.day, tzinfo=zone).astimezone(UTC)
            moment = max(start, moment + _SECOND)
            continue
        step = _step(local, hour, minute, second)
        if step is None:
            if hour is None or not local.fold:
                return local
            step = timedelta(minutes=60 - local.minute) - timedelta(seconds=local.second)
        moment += step
    return None


def _step(local: datetime, hour: int | None, minute: int | None, second: int) -> timedelta | None:
    """How far to go on until it may fit; None where it does."""
    if hour is not None and local.hour != hour:
        return timedelta(minutes=60 - local.minute) - timedelta(seconds=local.second)
    if minute is not None and local.minute != minute:
        if local.minute > minute:
            return timedelta(minutes=60 - local.minute) - timedelta(seconds=local.second)
        return timedelta(minutes=minute - local.minute) - timedelta(seconds=local.second)
    if local.second != second:
        return timedelta(seconds=second - local.second if local.second < second else 60 - local.second)
    return None


def _fields(time: CosemTime) -> tuple[int | None, int | None, int]:
    hour, minute, second = time.hour, time.minute, time.second
    for name, value, most in (("hour", hour, 23), ("minute", minute, 59), ("second", second, 59)):
        if value is not None and not 0 <= value <= most:
            raise ValueError(f"there is no {name} {value}")
    if second is None:
        second = 0
        if minute is None and hour is not None:
            minute = 0
    return hour, minute, second


def _day_from(rule: CosemDate, day: date) -> date | None:
    """The first day from ``day`` on that a rule names."""
    for year in range(day.year, min(day.year + _YEARS, 9999)):
        days = days_in(rule, year)
        place = bisect_left(days, day)
        if place < len(days):
            return days[place]
    return None
