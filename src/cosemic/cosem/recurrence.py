"""Dates and times with wildcards as rules: which days they name (IEC 62056-6-2, 4.1.6.1).

A day of the month together with a weekday is the first such weekday on or after that day, so day 22 with Sunday is the
fourth Sunday; day "last" with a weekday is the last such weekday. With all of year, month and day the weekday says
nothing new and is not looked at.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from functools import lru_cache

from cosemic.times import (
    DAYLIGHT_SAVINGS_BEGIN,
    DAYLIGHT_SAVINGS_END,
    LAST_DAY,
    SECOND_LAST_DAY,
    CosemDate,
    CosemDateTime,
    CosemTime,
)


def names_day(rule: CosemDate, day: date) -> bool:
    """Whether a date with wildcards names this day. ValueError for one that names no day of any calendar."""
    if rule.month in (DAYLIGHT_SAVINGS_BEGIN, DAYLIGHT_SAVINGS_END):
        raise ValueError(f"the month of {rule} depends on when daylight saving changes")
    if rule.year not in (None, day.year) or rule.month not in (None, day.month):
        return False
    if rule.day is None:
        return rule.weekday in (None, day.isoweekday())
    return day == _day_of_month(rule, day.year, day.month)


@lru_cache(maxsize=512)
def days_in(rule: CosemDate, year: int) -> tuple[date, ...]:
    """Every day of a year that a date with wildcards names, in order. ValueError as of :func:`names_day`."""
    if rule.year not in (None, year) and rule.month not in (DAYLIGHT_SAVINGS_BEGIN, DAYLIGHT_SAVINGS_END):
        return ()
    if rule.day is not None and (rule.month is None or 1 <= rule.month <= 12):  # one day a month at most
        months = range(1, 13) if rule.month is None else (rule.month,)
        named = ((month, _day_of_month(rule, year, month)) for month in months)
        return tuple(day for month, day in named if day is not None and day.month == month)
    first = date(year, 1, 1)
    days = (first + timedelta(days=number) for number in range(366))
    return tuple(day for day in days if day.year == year and names_day(rule, day))


def change_in(rule: CosemDateTime, year: int) -> datetime | None:
    """The moment of a year (local, naive) that a rule such as "last Sunday in March at 2" names; None in other years.

    ValueError where it does not name one moment: a month, a day or an hour is missing. Minutes and seconds that are not
    specified count as 0.
    """
    if rule.year not in (None, year):
        return None
    if rule.month is None or (rule.day is None and rule.weekday is None) or rule.hour is None:
        raise ValueError(f"{rule} names no single moment of a year")
    if rule.month in (DAYLIGHT_SAVINGS_BEGIN, DAYLIGHT_SAVINGS_END):
        raise ValueError(f"the month of {rule} depends on when daylight saving changes")
    if rule.day is None:
        raise ValueError(f"{rule} names a weekday, but not which one of the month")
    day = _day_of_month(rule.date, year, rule.month)
    if day is None:
        return None
    return datetime.combine(day, clock_time(rule.time))


def clock_time(value: CosemTime) -> time:
    """The time of day; minutes and seconds count as 0 where they are not specified. ValueError without an hour."""
    if value.hour is None:
        raise ValueError(f"{value} does not specify the hour")
    try:
        return time(value.hour, value.minute or 0, value.second or 0, (value.hundredths or 0) * 10_000)
    except ValueError as error:
        raise ValueError(f"{value} is no time of day: {error}") from None


def _day_of_month(rule: CosemDate, year: int, month: int) -> date | None:
    """The one day of that month; None where the month is too short for it."""
    number, weekday = rule.day, rule.weekday
    assert number is not None
    if weekday is not None and not 1 <= weekday <= 7:
        raise ValueError(f"there is no weekday {weekday}")
    if not 1 <= month <= 12:
        raise ValueError(f"there is no month {month}")
    first = date(year, month, 1)
    last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    if number == LAST_DAY:
        return last if weekday is None else last - timedelta(days=(last.isoweekday() - weekday) % 7)
    if number == SECOND_LAST_DAY:
        if weekday is not None:
            raise ValueError("the second last day together with a weekday names no single day")
        return last - timedelta(days=1)
    if not 1 <= number <= 31:
        raise ValueError(f"there is no day {number} of a month")
    if number > last.day:
        return None
    day = first.replace(day=number)
    if weekday is None or rule.year is not None:
        return day
    return day + timedelta(days=(weekday - day.isoweekday()) % 7)
