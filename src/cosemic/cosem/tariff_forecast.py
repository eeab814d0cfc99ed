"""What a meter will do on a date: which season, week and day profile hold, and when it switches to what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from cosemic.cosem.meter_zone import MeterZone
from cosemic.cosem.octet_names import readable
from cosemic.cosem.recurrence import change_in, clock_time, days_in, names_day
from cosemic.cosem.tariff_tables import (
    CalendarTables,
    DayProfile,
    ScriptReference,
    Season,
    SingleActionSchedule,
    SpecialDay,
    WeekProfile,
)
from cosemic.times import DAYLIGHT_SAVINGS_BEGIN, DAYLIGHT_SAVINGS_END, CosemDate

_LOOK_BACK = 366
"""Days to look back for the script that is in force at midnight."""


@dataclass(frozen=True, slots=True)
class Switch:
    """From this time of the day on (the meter's local time), what this script switches to."""

    time: time
    script: ScriptReference


@dataclass(frozen=True, slots=True)
class DayForecast:
    """A day as the calendar has it; None is for what is not there, ``problems`` tells what the tables leave open."""

    date: date
    season: Season | None
    week: WeekProfile | None
    special: SpecialDay | None
    """The special day that overrules season and week."""
    day: DayProfile | None
    switches: tuple[Switch, ...]
    before: ScriptReference | None
    """What is in force at midnight, switched to on a day before."""
    problems: tuple[str, ...] = ()


def forecast(
    calendar: CalendarTables,
    special_days: Iterable[SpecialDay],
    day: date,
    *,
    zone: MeterZone | None = None,
) -> DayForecast:
    """What the calendar has the meter do on a day.

    A special day comes before season and week; of several the one with the lowest index. The season is the one that
    began last, on this day or before, in this year or one before; one without any date always holds, until another
    has begun. ``zone`` tells when seasons begin that begin with daylight saving.
    """
    specials = sorted(special_days, key=lambda item: item.index)
    found = _day(calendar, specials, day, zone)
    before: ScriptReference | None = None
    if not found.switches or found.switches[0].time != time():
        for back in range(1, min(_LOOK_BACK, (day - date.min).days) + 1):
            earlier = _day(calendar, specials, day - timedelta(days=back), zone)
            if earlier.switches:
                before = earlier.switches[-1].script
                break
    return DayForecast(day, found.season, found.week, found.special, found.day, found.switches, before, found.problems)


def execution_times(schedule: SingleActionSchedule, day: date) -> list[str]:
    """When a single action schedule runs on a day, as text; ``*`` stands for every hour, minute or second."""
    times = []
    for clock, rule in schedule.times:
        try:
            named = names_day(rule, day)
        except ValueError:
            named = False
        if named:
            times.append(clock.isoformat())
    return sorted(times)


def season_on(calendar: CalendarTables, day: date, *, zone: MeterZone | None = None) -> tuple[Season | None, list[str]]:
    """The season in force on a day, and what keeps others from being looked at."""
    problems: list[str] = []
    best: tuple[date, Season] | None = None
    for season in calendar.seasons:
        try:
            start = _latest_start(season, day, zone)
        except ValueError as error:
            problems.append(f"season {readable(season.name)}: {error}")
            continue
        if start is not None and (best is None or start > best[0]):
            best = start, season
    return (None if best is None else best[1]), problems


def _day(calendar: CalendarTables, specials: list[SpecialDay], day: date, zone: MeterZone | None) -> DayForecast:
    problems: list[str] = []
    special: SpecialDay | None = None
    for item in specials:
        try:
            if names_day(item.date, day):
                special = item
                break
        except ValueError as error:
            problems.append(f"special day {item.index}: {error}")
    season, more = season_on(calendar, day, zone=zone)
    problems += more
    week = None
    if season is not None:
        week = next((week for week in calendar.weeks if week.name == season.week), None)
        if week is None:
            problems.append(
                f"season {readable(season.name)} follows the week profile {readable(season.week)}, which is not there"
            )
    elif special is None:
        problems.append("no season has begun")
    day_id = special.day_id if special is not None else None if week is None else week.days[day.weekday()]
    profile = next((profile for profile in calendar.days if profile.day_id == day_id), None)
    if day_id is not None and profile is None:
        problems.append(f"the day profile {day_id} is not there")
    switches = []
    for action in () if profile is None else profile.actions:
        try:
            switches.append(Switch(clock_time(action.time), action.script))
        except ValueError as error:
            problems.append(f"day profile {day_id}: {error}")
    switches.sort(key=lambda switch: switch.time)
    return DayForecast(day, season, week, special, profile, tuple(switches), None, tuple(problems))


def _latest_start(season: Season, day: date, zone: MeterZone | None) -> date | None:
    """The last time that a season began, on a day or before; ``date.min`` for one that has no date at all."""
    rule = season.start.date
    if rule.month is None and rule.day is None and rule.year is None and rule.weekday is None:
        return date.min
    if rule.month in (DAYLIGHT_SAVINGS_BEGIN, DAYLIGHT_SAVINGS_END):
        return _latest(lambda year: _daylight_change(rule, year, zone), rule, day)
    if rule.month is not None and rule.day is None and rule.weekday is None:
        rule = CosemDate(rule.year, rule.month, 1)  # the whole month: it begins on the first
    return _latest(lambda year: days_in(rule, year), rule, day)


def _latest(days_of: Callable[[int], Sequence[date]], rule: CosemDate, day: date) -> date | None:
    # 29 February may be eight years ago
    years = range(day.year, day.year - 9, -1) if rule.year is None else (rule.year,)
    for year in years:
        if not 1 <= year <= 9998:
            continue
        begun = [start for start in days_of(year) if start <= day]
        if begun:
            return begun[-1]
    return None


def _daylight_change(rule: CosemDate, year: int, zone: MeterZone | None) -> list[date]:
    if zone is None or zone.begin is None or zone.end is None:
        raise ValueError("it begins when daylight saving changes, and the clock does not tell when that is")
    change: datetime | None = change_in(zone.begin if rule.month == DAYLIGHT_SAVINGS_BEGIN else zone.end, year)
    return [] if change is None else [change.date()]
