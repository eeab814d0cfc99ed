"""What a meter will do on a date, worked out by hand."""

from datetime import date, time, timedelta

import pytest

from cosemic.cosem.meter_zone import MeterZone
from cosemic.cosem.tariff_forecast import execution_times, forecast, season_on
from cosemic.cosem.tariff_tables import (
    CalendarTables,
    DayAction,
    DayProfile,
    ScriptReference,
    Season,
    SingleActionSchedule,
    SpecialDay,
    WeekProfile,
)
from cosemic.cosem.tariff_text import parse_date, parse_date_time, parse_time
from cosemic.obis import ObisCode

TABLE = ObisCode(0, 0, 10, 0, 100, 255)
HIGH, LOW = ScriptReference(TABLE, 1), ScriptReference(TABLE, 2)


def day(number, *actions):
    return DayProfile(number, tuple(DayAction(parse_time(clock), script) for clock, script in actions))


def season(name, start, week):
    return Season(name, parse_date_time(start), week)


WORK, REST, SHORT = day(1, ("06:00", HIGH), ("22:00", LOW)), day(2, ("00:00", LOW)), day(3, ("10:00", HIGH))
WEEKS = (WeekProfile(b"W", (1, 1, 1, 1, 1, 3, 2)), WeekProfile(b"S", (3, 3, 3, 3, 3, 2, 2)))
CALENDAR = CalendarTables(
    b"2025",
    (season(b"summer", "*-04-01 00:00", b"S"), season(b"winter", "*-10-01 00:00", b"W")),
    WEEKS,
    (WORK, REST, SHORT),
)
SPECIAL = (
    SpecialDay(1, parse_date("*-12-25"), 2),
    SpecialDay(2, parse_date("2025-12-24"), 3),
    SpecialDay(3, parse_date("2025-12-25"), 1),
)


@pytest.mark.parametrize(
    "when, name, day_id",
    [
        (date(2025, 11, 24), b"winter", 1),  # a Monday
        (date(2025, 11, 29), b"winter", 3),
        (date(2025, 11, 30), b"winter", 2),
        (date(2026, 1, 5), b"winter", 1),  # began the year before
        (date(2026, 3, 31), b"winter", 1),
        (date(2026, 4, 1), b"summer", 3),
        (date(2025, 9, 30), b"summer", 3),
        (date(2025, 10, 1), b"winter", 1),
        (date(2025, 12, 24), b"winter", 3),  # special
        (date(2025, 12, 25), b"winter", 2),  # two special days: the lower index
        (date(2026, 12, 24), b"winter", 1),  # special in 2025 only
    ],
)
def test_the_day_profile_of_a_date(when, name, day_id):
    found = forecast(CALENDAR, SPECIAL, when)
    assert (found.season.name, found.day.day_id) == (name, day_id)
    assert found.problems == ()


def test_switching_times_and_what_holds_at_midnight():
    monday = forecast(CALENDAR, SPECIAL, date(2025, 11, 24))
    assert [(switch.time, switch.script) for switch in monday.switches] == [(time(6), HIGH), (time(22), LOW)]
    assert monday.before == LOW  # Sunday's only switch
    sunday = forecast(CALENDAR, SPECIAL, date(2025, 11, 30))
    assert (sunday.before, sunday.switches[0].time) == (None, time(0))
    saturday = forecast(CALENDAR, SPECIAL, date(2025, 11, 29))
    assert saturday.before == LOW  # Friday 22:00
    after_christmas_eve = forecast(CALENDAR, [SPECIAL[1]], date(2025, 12, 25))
    assert after_christmas_eve.before == HIGH


def test_a_day_without_switches_carries_on():
    calendar = CalendarTables(b"", CALENDAR.seasons, CALENDAR.weeks, (WORK, day(2), day(3)))
    sunday = forecast(calendar, (), date(2025, 11, 30))
    assert (sunday.switches, sunday.before) == ((), LOW)
    nothing = CalendarTables(b"", CALENDAR.seasons, CALENDAR.weeks, (day(1), day(2), day(3)))
    assert forecast(nothing, (), date(2025, 11, 30)).before is None


def test_actions_are_sorted_by_time():
    calendar = CalendarTables(b"", (season(b"", "*-*-*", b"W"),), (WeekProfile(b"W", (1,) * 7),), (
        day(1, ("22:00", LOW), ("06:00", HIGH)),
    ))  # fmt: skip
    assert [switch.time.hour for switch in forecast(calendar, (), date(2025, 1, 1)).switches] == [6, 22]


@pytest.mark.parametrize(
    "starts, when, expected",
    [
        (["*-*-*"], date(2025, 6, 1), 0),
        (["*-*-*", "*-04-01"], date(2025, 2, 1), 1),  # April of last year is later than always
        (["*-*-*", "2025-04-01"], date(2025, 2, 1), 0),
        (["2025-04-01", "2026-04-01"], date(2027, 1, 1), 1),
        (["2025-04-01"], date(2025, 3, 31), None),
        (["*-03-last Sun", "*-10-last Sun"], date(2025, 3, 30), 0),
        (["*-03-last Sun", "*-10-last Sun"], date(2025, 3, 29), 1),
        (["*-04-*", "*-04-15"], date(2025, 4, 20), 1),  # a whole month begins on the first
        (["*-04-*", "*-04-15"], date(2025, 4, 14), 0),
        (["*-02-29"], date(2027, 1, 1), 0),
        (["*-dst-begin-*", "*-dst-end-*"], date(2025, 7, 1), 0),
        (["*-dst-begin-*", "*-dst-end-*"], date(2025, 12, 1), 1),
    ],
)
def test_which_season_is_in_force(starts, when, expected):
    begin, end = parse_date_time("*-03-last Sun 02:00"), parse_date_time("*-10-last Sun 03:00")
    zone = MeterZone(timedelta(hours=1), timedelta(hours=1), begin, end)
    seasons = tuple(season(str(n).encode(), start, b"") for n, start in enumerate(starts))
    found, problems = season_on(CalendarTables(b"", seasons), when, zone=zone)
    assert (None if found is None else int(found.name)) == expected
    assert problems == []


def test_what_the_tables_leave_open_is_said():
    when = date(2025, 11, 24)
    assert forecast(CalendarTables(), (), when).problems == ("no season has begun",)
    lost = CalendarTables(b"", (season(b"A", "*-*-*", b"X"),))
    assert forecast(lost, (), when).problems == ("season A follows the week profile X, which is not there",)
    dayless = CalendarTables(b"", (season(b"A", "*-*-*", b"W"),), WEEKS)
    assert forecast(dayless, (), when).problems == ("the day profile 1 is not there",)
    hourless = CalendarTables(b"", (season(b"A", "*-*-*", b"W"),), WEEKS, (day(1, ("*:00", HIGH)),))
    assert "does not specify the hour" in forecast(hourless, (), when).problems[0]
    with_daylight = CalendarTables(b"", (season(b"A", "*-dst-begin-*", b"W"),), WEEKS, (WORK,))
    assert "does not tell when" in forecast(with_daylight, (), when).problems[0]
    odd = SpecialDay(4, parse_date("*-dst-end-01"), 1)
    assert "special day 4" in forecast(CALENDAR, [odd], when).problems[0]
    impossible = CalendarTables(b"", (season(b"A", "*-13-01", b"W"),), WEEKS, (WORK,))
    assert forecast(impossible, (), when).season is None


def test_a_special_day_needs_no_season():
    found = forecast(CalendarTables(b"", days=(REST,)), SPECIAL, date(2025, 12, 25))
    assert (found.day, found.problems) == (REST, ())


def test_the_first_day_of_all_has_no_day_before():
    assert forecast(CALENDAR, (), date.min).before is None


def test_when_a_single_action_runs():
    times = ((parse_time("00:00"), parse_date("*-*-01")), (parse_time("*:15"), parse_date("2025-11-24")))
    schedule = SingleActionSchedule(ScriptReference(TABLE, 1), 1, times)
    assert execution_times(schedule, date(2025, 11, 1)) == ["00:00:00"]
    assert execution_times(schedule, date(2025, 11, 24)) == ["*:15:00"]
    assert execution_times(schedule, date(2025, 11, 2)) == []
