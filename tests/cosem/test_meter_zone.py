"""The zone of a meter, against changes worked out by hand and against the zones of the operating system."""

import pickle
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.cosem.meter_zone import MeterZone
from cosemic.cosem.recurrence import change_in, days_in, names_day
from cosemic.times import CosemDate, CosemDateTime

HOUR = timedelta(hours=1)


def rule(month, day, weekday, hour, **more):
    return CosemDateTime(month=month, day=day, weekday=weekday, hour=hour, minute=0, second=0, **more)


BERLIN = MeterZone(HOUR, HOUR, rule(3, 0xFE, 7, 2), rule(10, 0xFE, 7, 3))
SYDNEY = MeterZone(10 * HOUR, HOUR, rule(10, 1, 7, 2), rule(4, 1, 7, 3))
NEW_YORK = MeterZone(-5 * HOUR, HOUR, rule(3, 8, 7, 2), rule(11, 1, 7, 2))
LORD_HOWE = MeterZone(timedelta(minutes=630), timedelta(minutes=30), rule(10, 1, 7, 2), rule(4, 1, 7, 2))
KNOWN = [
    (BERLIN, "Europe/Berlin", 1997),
    (SYDNEY, "Australia/Sydney", 2009),
    (NEW_YORK, "America/New_York", 2008),
    (LORD_HOWE, "Australia/Lord_Howe", 2009),
]


# worked out by hand: 30 March and 26 October 2025 are the last Sundays


@pytest.mark.parametrize(
    "utc, local, offset, fold",
    [
        (datetime(2025, 3, 30, 0, 59, 59), datetime(2025, 3, 30, 1, 59, 59), 1, 0),
        (datetime(2025, 3, 30, 1, 0), datetime(2025, 3, 30, 3, 0), 2, 0),
        (datetime(2025, 10, 26, 0, 30), datetime(2025, 10, 26, 2, 30), 2, 0),
        (datetime(2025, 10, 26, 1, 30), datetime(2025, 10, 26, 2, 30), 1, 1),
        (datetime(2025, 12, 31, 23, 30), datetime(2026, 1, 1, 0, 30), 1, 0),
    ],
)
def test_central_europe_by_hand(utc, local, offset, fold):
    shown = utc.replace(tzinfo=UTC).astimezone(BERLIN)
    assert (shown.replace(tzinfo=None, fold=0), shown.utcoffset(), shown.fold) == (local, offset * HOUR, fold)
    assert shown.astimezone(UTC) == utc.replace(tzinfo=UTC)


# in 2025 Sydney leaves daylight saving on 6 April and comes back to it on 5 October


@pytest.mark.parametrize(
    "utc, offset",
    [
        (datetime(2025, 1, 15), 11),
        (datetime(2025, 4, 5, 15, 59), 11),
        (datetime(2025, 4, 5, 16, 0), 10),
        (datetime(2025, 10, 4, 15, 59), 10),
        (datetime(2025, 10, 4, 16, 0), 11),
        (datetime(2025, 12, 31, 13, 30), 11),
    ],
)
def test_the_southern_hemisphere_by_hand(utc, offset):
    shown = utc.replace(tzinfo=UTC).astimezone(SYDNEY)
    assert shown.utcoffset() == offset * HOUR
    assert shown.dst() == (offset - 10) * HOUR


def test_an_hour_that_is_not_there_keeps_the_offset_from_before():
    missing = datetime(2025, 3, 30, 2, 30, tzinfo=BERLIN)
    assert missing.utcoffset() == HOUR
    assert missing.replace(fold=1).utcoffset() == 2 * HOUR


@pytest.mark.parametrize("zone, name, first", KNOWN, ids=[name for _, name, _ in KNOWN])
def test_every_change_is_that_of_the_operating_system(zone, name, first):
    try:
        other = ZoneInfo(name)
    except ZoneInfoNotFoundError:
        pytest.skip("there are no zones on this machine")
    for year in range(first, 2037):
        for day in [*(date(year, month, 1) for month in range(1, 13)), *days_in(CosemDate(weekday=7), year)]:
            for minutes in range(-60, 60 * 5, 30):
                local = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)
                for fold in (0, 1):
                    theirs, ours = local.replace(tzinfo=other, fold=fold), local.replace(tzinfo=zone, fold=fold)
                    assert (ours.utcoffset(), ours.dst()) == (theirs.utcoffset(), theirs.dst()), (local, fold)


@given(
    st.sampled_from([BERLIN, SYDNEY, NEW_YORK, LORD_HOWE]),
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2090, 1, 1)),
)
def test_there_and_back_again(zone, moment):
    utc = moment.replace(tzinfo=UTC)
    assert utc.astimezone(zone).astimezone(UTC) == utc


def test_where_the_calendar_ends_nothing_overflows():
    for moment in (datetime.min, datetime.max, datetime(2, 1, 1), datetime(9998, 12, 31, 23, 59)):
        assert moment.replace(tzinfo=SYDNEY).utcoffset() in (10 * HOUR, 11 * HOUR)
    for year in (1, 9999):
        strange = CosemDateTime(year, 1, 1, None, 0, 0, 0, 0, None, 0x80)
        assert strange.to_datetime(BERLIN).year == year


def test_a_rule_for_one_year_holds_in_that_year_only():
    zone = MeterZone(HOUR, HOUR, rule(3, 30, 7, 2, year=2025), rule(10, 26, 7, 3, year=2025))
    assert datetime(2025, 7, 1, tzinfo=zone).dst() == HOUR
    assert datetime(2024, 7, 1, tzinfo=zone).dst() == timedelta()
    assert datetime(2026, 7, 1, tzinfo=zone).dst() == timedelta()


def test_a_rule_with_a_deviation_is_in_that_time():
    zone = MeterZone(HOUR, HOUR, rule(3, 0xFE, 7, 1, deviation=0), rule(10, 0xFE, 7, 1, deviation=0))
    assert zone.fromutc(datetime(2025, 3, 30, 1, tzinfo=zone)).hour == 3
    assert datetime(2025, 10, 26, 2, 59, tzinfo=zone).dst() == HOUR
    assert datetime(2025, 10, 26, 3, 0, tzinfo=zone).dst() == timedelta()


def test_timestamps_without_a_deviation_are_read_by_it():
    twice = CosemDateTime(2025, 10, 26, 7, 2, 30, 0, 0, None, 0x80)
    assert twice.to_datetime(BERLIN).utcoffset() == 2 * HOUR
    later = CosemDateTime(2025, 10, 26, 7, 2, 30, 0, 0, None, 0)
    assert later.to_datetime(BERLIN) - twice.to_datetime(BERLIN).astimezone(UTC) == HOUR


@pytest.mark.parametrize(
    "begin, end, says",
    [
        (rule(None, 0xFE, 7, 2), rule(10, 0xFE, 7, 3), "no single moment"),
        (rule(3, None, 7, 2), rule(10, 0xFE, 7, 3), "which one of the month"),
        (rule(3, 0xFE, 7, None), rule(10, 0xFE, 7, 3), "no single moment"),
        (rule(0xFD, 1, 7, 2), rule(10, 0xFE, 7, 3), "daylight saving"),
        (rule(3, 0xFE, 9, 2), rule(10, 0xFE, 7, 3), "weekday 9"),
        (rule(13, 1, None, 2), rule(10, 0xFE, 7, 3), "month 13"),
        (rule(3, 0xFE, 7, 25), rule(10, 0xFE, 7, 3), "no time of day"),
        (rule(None, 1, None, 2, year=2025), rule(10, 0xFE, 7, 3), "no single moment"),
        (rule(3, 1, None, 2, year=0xFFFE), rule(10, 0xFE, 7, 3), "out of range"),
        (rule(3, 0xFE, 7, 2), None, "begin and an end"),
    ],
)
def test_rules_that_name_no_moment_are_refused(begin, end, says):
    with pytest.raises(ValueError, match=says):
        MeterZone(HOUR, HOUR, begin, end)


def test_days_of_a_rule_by_hand():
    fourth_sunday_in_march = CosemDate(None, 3, 22, 7)
    assert change_in(CosemDateTime(month=3, day=22, weekday=7, hour=2), 2026) == datetime(2026, 3, 22, 2)
    assert days_in(fourth_sunday_in_march, 2025) == (date(2025, 3, 23),)
    assert days_in(CosemDate(None, 2, 29), 2025) == ()
    assert days_in(CosemDate(None, 2, 29), 2024) == (date(2024, 2, 29),)
    assert days_in(CosemDate(None, 2, 0xFD), 2025) == (date(2025, 2, 27),)
    assert days_in(CosemDate(None, None, 0xFE), 2025)[:2] == (date(2025, 1, 31), date(2025, 2, 28))
    assert len(days_in(CosemDate(), 2024)) == 366
    assert names_day(CosemDate(None, None, None, 1), date(2025, 11, 24))
    assert not names_day(CosemDate(None, None, None, 1), date(2025, 11, 25))


def test_a_zone_is_compared_copied_and_named():
    again = pickle.loads(pickle.dumps(BERLIN))
    assert again == BERLIN
    assert hash(again) == hash(BERLIN)
    assert BERLIN != SYDNEY
    assert datetime(2025, 7, 1, tzinfo=BERLIN).tzname() == "UTC+02:00"
    assert NEW_YORK.tzname(datetime(2025, 1, 1)) == "UTC-05:00"
    assert (BERLIN.utcoffset(None), MeterZone(HOUR).utcoffset(None)) == (None, HOUR)
    assert "last Sun" in repr(BERLIN)
