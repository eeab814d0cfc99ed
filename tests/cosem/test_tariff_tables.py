"""Tariff tables: encoded and back, octets of another implementation, and text with wildcards."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.codec import axdr
from cosemic.cosem import tariff_tables as tables
from cosemic.cosem import tariff_text as text
from cosemic.cosem.octet_names import octets_of, readable
from cosemic.cosem.tariff_forecast import execution_times, forecast
from cosemic.cosem.tariff_tables import (
    CalendarTables,
    DayAction,
    DayProfile,
    EmergencyProfile,
    RegisterActivation,
    Script,
    ScriptAction,
    ScriptReference,
    Season,
    SingleActionSchedule,
    SpecialDay,
    WeekProfile,
)
from cosemic.cosem.tariff_text import calendar_lines
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.times import CosemDate, CosemDateTime, CosemTime

SCRIPTS = ObisCode(0, 0, 10, 0, 100, 255)

octet = st.integers(0, 255)
obis_codes = st.builds(ObisCode, octet, octet, octet, octet, octet, octet)
dates = st.binary(min_size=5, max_size=5).map(CosemDate.from_bytes)
times = st.binary(min_size=4, max_size=4).map(CosemTime.from_bytes)
date_times = st.binary(min_size=12, max_size=12).map(CosemDateTime.from_bytes)
sane_dates = st.builds(
    CosemDate,
    st.none() | st.integers(2000, 2099),
    st.none() | st.integers(1, 12) | st.sampled_from([0xFD, 0xFE]),
    st.none() | st.integers(1, 31) | st.sampled_from([0xFD, 0xFE]),
    st.none() | st.integers(1, 7),
)
names = st.binary(max_size=12)
words = st.integers(0, 0xFFFF)
references = st.builds(ScriptReference, obis_codes, words)
seasons = st.lists(st.builds(Season, names, date_times, names), max_size=4).map(tuple)
weeks = st.lists(st.builds(WeekProfile, names, st.tuples(*[octet] * 7)), max_size=4).map(tuple)
actions = st.lists(st.builds(DayAction, times, references), max_size=5).map(tuple)
days = st.lists(st.builds(DayProfile, octet, actions), max_size=4).map(tuple)
calendars = st.builds(CalendarTables, names, seasons, weeks, days)
special_days = st.lists(st.builds(SpecialDay, words, dates | sane_dates, octet), max_size=5).map(tuple)
steps = st.builds(
    ScriptAction,
    octet,
    words,
    obis_codes,
    st.integers(-128, 127),
    st.sampled_from([axdr.null_data(), axdr.integer(-3), axdr.octet_string(b"x"), axdr.array(axdr.unsigned(1))]),
)
scripts = st.lists(st.builds(Script, words, st.lists(steps, max_size=3).map(tuple)), max_size=4).map(tuple)


def through(value):
    """What arrives at the other end."""
    return axdr.decode(axdr.encode(value))


@given(calendars)
def test_a_calendar_there_and_back(calendar):
    assert tables.decode_seasons(through(tables.encode_seasons(calendar.seasons))) == calendar.seasons
    assert tables.decode_weeks(through(tables.encode_weeks(calendar.weeks))) == calendar.weeks
    assert tables.decode_days(through(tables.encode_days(calendar.days))) == calendar.days


@given(calendars, st.none() | special_days)
def test_a_calendar_into_a_file_and_back(calendar, special):
    content = json.loads(json.dumps(text.calendar_dict(calendar, special)))
    assert text.calendar_from(content) == (calendar, special)


@given(special_days, scripts)
def test_special_days_and_scripts_there_and_back(special, script):
    assert tables.decode_special_days(through(tables.encode_special_days(special))) == special
    assert tables.decode_scripts(axdr.decode_typed(axdr.encode(tables.encode_scripts(script)))) == script


@given(
    st.lists(st.tuples(times, dates), max_size=3).map(tuple),
    st.tuples(words, obis_codes, st.integers(-128, 127)),
    st.builds(EmergencyProfile, words, date_times, st.integers(0, 0xFFFFFFFF)),
    references,
    references,
    st.lists(st.tuples(words, obis_codes), max_size=3).map(tuple),
    st.lists(st.tuples(names, st.lists(octet, max_size=3).map(tuple)), max_size=3).map(tuple),
)
def test_the_others_there_and_back(executions, monitored, emergency, over, under, registers, masks):
    assert tables.decode_execution_times(through(tables.encode_execution_times(executions))) == executions
    assert tables.decode_monitored(through(tables.encode_monitored(monitored))) == monitored
    assert tables.decode_emergency_profile(through(tables.encode_emergency_profile(emergency))) == emergency
    assert tables.decode_limiter_actions(through(tables.encode_limiter_actions(over, under))) == (over, under)
    assert tables.decode_registers(through(tables.encode_registers(registers))) == registers
    assert tables.decode_masks(through(tables.encode_masks(masks))) == masks


@given(calendars, special_days, st.dates(), st.lists(st.tuples(times, dates | sane_dates), max_size=3).map(tuple))
@settings(max_examples=60, deadline=None)
def test_whatever_a_meter_has_there_is_a_forecast(calendar, special, day, executions):
    found = forecast(calendar, special, day)
    assert found.date == day
    assert all(isinstance(problem, str) for problem in found.problems)
    execution_times(SingleActionSchedule(ScriptReference(SCRIPTS, 1), 1, executions), day)
    assert calendar_lines(calendar)["name"] == readable(calendar.name)


def _nested(inner):
    return inner | st.lists(inner, max_size=3) | st.lists(inner, max_size=8).map(tuple)


scalars = st.none() | st.booleans() | st.integers() | st.binary(max_size=13) | st.text(max_size=3)
plain = _nested(_nested(_nested(scalars)))
DECODERS = [
    tables.decode_seasons,
    tables.decode_weeks,
    tables.decode_days,
    tables.decode_special_days,
    tables.decode_execution_times,
    tables.decode_monitored,
    tables.decode_emergency_profile,
    tables.decode_limiter_actions,
    tables.decode_registers,
    tables.decode_masks,
    tables.decode_reference,
]


@given(st.sampled_from(DECODERS), plain)
def test_anything_else_is_a_decode_error(decode, value):
    with contextlib.suppress(DecodeError):
        decode(value)


def test_types_of_their_own_for_dates_and_times_are_read_too():
    start = CosemDateTime(month=11, day=1)
    value = axdr.array(axdr.structure(axdr.octet_string(b"W"), axdr.date_time(start), axdr.octet_string(b"1")))
    assert tables.decode_seasons(through(value)) == (Season(b"W", start, b"1"),)
    assert tables.decode_seasons(None) == ()
    day = axdr.array(axdr.structure(axdr.long_unsigned(1), axdr.date(CosemDate(None, 12, 24)), axdr.unsigned(3)))
    assert tables.decode_special_days(through(day)) == (SpecialDay(1, CosemDate(None, 12, 24), 3),)


def test_octets_by_hand():
    # one day profile 1: 06:00 script 1, 22:00 script 2 of 0-0:10.0.100*255
    octets = bytes.fromhex(
        "01 01  02 02 11 01  01 02"
        "  02 03 09 04 06 00 00 00  09 06 00 00 0A 00 64 FF  12 00 01"
        "  02 03 09 04 16 00 00 FF  09 06 00 00 0A 00 64 FF  12 00 02"
    )
    day = DayProfile(
        1,
        (
            DayAction(CosemTime(6, 0, 0, 0), ScriptReference(SCRIPTS, 1)),
            DayAction(CosemTime(22, 0, 0, None), ScriptReference(SCRIPTS, 2)),
        ),
    )
    assert tables.decode_days(axdr.decode(octets)) == (day,)
    assert axdr.encode(tables.encode_days([day])) == octets


# text


@given(dates | sane_dates)
def test_every_date_as_text_and_back(value):
    assert text.parse_date(text.date_text(value)) == value


@given(times)
def test_every_time_as_text_and_back(value):
    assert text.parse_time(text.time_text(value)) == value


@given(date_times)
def test_every_date_time_as_text_and_back(value):
    assert text.parse_date_time(text.date_time_text(value)) == value


@given(names)
def test_every_name_as_text_and_back(value):
    assert octets_of(readable(value)) == value


@pytest.mark.parametrize(
    "value, written",
    [
        (CosemDate(2025, 12, 24), "2025-12-24"),
        (CosemDate(None, 3, 0xFE, 7), "*-03-last Sun"),
        (CosemDate(None, 0xFE, 1), "*-dst-begin-01"),
        (CosemDate(None, None, None, 1), "*-*-* Mon"),
        (CosemDate(None, 17, 1), "*-17-01"),
        (CosemDate(None, 3, 1, 9), "hex:ffff030109"),
    ],
)
def test_dates_as_people_read_them(value, written):
    assert text.date_text(value) == written


@pytest.mark.parametrize(
    "written, value",
    [
        ("06:00", CosemTime(6, 0, 0, 0)),
        ("6:00:00", CosemTime(6, 0, 0, 0)),
        ("*:15:00", CosemTime(None, 15, 0, 0)),
        ("06:00:00.*", CosemTime(6, 0, 0, None)),
    ],
)
def test_times_as_people_write_them(written, value):
    assert text.parse_time(written) == value


def test_date_times_as_people_write_them():
    assert text.parse_date_time("*-11-01") == CosemDateTime(None, 11, 1, None, 0, 0, 0, 0)
    assert text.parse_date_time("2025-11-01 02:00 +01:00 status 80") == CosemDateTime(
        2025, 11, 1, None, 2, 0, 0, 0, -60, 0x80
    )
    for wrong in ("", "tomorrow", "2025-11-01 25", "2025-11-01 02:00 +1", "hex:00", "hex:zz"):
        with pytest.raises(ValueError, match=r".+"):
            text.parse_date_time(wrong)
    for wrong in ("2025-11", "24.12.2025", "hex:zz"):
        with pytest.raises(ValueError, match=r"2025-12-24|hexadecimal"):
            text.parse_date(wrong)
    with pytest.raises(ValueError, match="06:00"):
        text.parse_time("6 o'clock")


@pytest.mark.parametrize(
    "content, says",
    [
        ([], "one object"),
        ({"season": []}, "no 'season'"),
        ({"seasons": {}}, "seasons is a list"),
        ({"seasons": [{"name": "A", "start": "*-01-01"}]}, "seasons, number 1: 'week' is missing"),
        ({"seasons": [{"name": "A", "start": "soon", "week": "W"}]}, "seasons, number 1: 'soon' is no date"),
        ({"weeks": [{"name": "W", "days": [1, 2]}]}, "seven day profiles"),
        ({"weeks": [{"name": "W", "days": [1, 2, 3, 4, 5, 6, 300]}]}, "0 to 255, not 300"),
        ({"days": [{"id": 1, "actions": [{"time": "06:00", "table": "x", "script": 1}]}]}, "actions, number 1"),
        ({"days": [7]}, "no object"),
        ({"name": 1}, "name is a text"),
        ({"other": {}}, "no 'other'"),
        ({"special_days": [{"index": 1, "date": "2025-12-24", "day": True}]}, "not True"),
    ],
)
def test_a_file_that_is_wrong_says_where(content, says):
    with pytest.raises(ValueError, match=says):
        text.calendar_from(content)


def test_what_does_not_fit_together():
    calendar = CalendarTables(
        b"",
        (Season(b"S", CosemDateTime(), b"nowhere"),),
        (WeekProfile(b"W", (1, 1, 1, 1, 1, 1, 9)), WeekProfile(b"W", (1,) * 7)),
        (DayProfile(1, ()), DayProfile(1, ())),
    )
    assert calendar.problems() == [
        "the week profile W is there twice",
        "the day profile 1 is there twice",
        "season S follows the week profile nowhere, which is not there",
        "week profile W has the day profile 9, which is not there",
    ]


def test_which_registers_count():
    t1, t2 = ObisCode.parse("1-0:1.8.1"), ObisCode.parse("1-0:1.8.2")
    assignment = RegisterActivation(((3, t1), (3, t2)), ((b"1", (1,)), (b"2", (2, 9))), b"2")
    assert assignment.counting() == (t2,)
    assert assignment.counting(b"1") == (t1,)
    assert assignment.counting(b"3") == ()


def test_a_difference_of_two():
    old = {"name": "A", "day profile 1": "06:00", "gone": "x"}
    new = {"name": "B", "day profile 1": "06:00", "come": "y"}
    assert text.difference(old, new) == ["- name: A", "+ name: B", "- gone: x", "+ come: y"]
    assert text.difference(old, dict(old)) == []
