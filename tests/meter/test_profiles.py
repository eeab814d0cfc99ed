"""The buffers of the simulated meter: what selectors give, and what they are refused with."""

from datetime import UTC, datetime, timedelta

import pytest

from cosemic.apdu.services import SelectiveAccess
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.cosem.selection import (
    CLOCK_TIME,
    CaptureObject,
    DeviationPolicy,
    SelectorStyle,
    TimeEncoding,
    by_entry,
    by_range,
    by_values,
)
from cosemic.enums import DataAccessResult
from cosemic.meter.demo import demo_meter
from cosemic.obis import ObisCode
from cosemic.protocol.requests import Action, Get
from cosemic.times import CosemDateTime

NOW = datetime(2025, 11, 22, 11, 7, 30, tzinfo=UTC)
NEWEST = datetime(2025, 11, 22, 11, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
LOAD, LOG, WHO = "1-0:99.1.0*255", "0-0:99.98.0*255", (16, 1)
ENERGY = CaptureObject(3, ObisCode(1, 0, 1, 8, 0, 255), 2)


@pytest.fixture
def time():
    return [NOW]


@pytest.fixture
def meter(time):
    return demo_meter(profile_rows=20, clock=lambda: time[0])


def buffer(meter, access=None, obis=LOAD):
    answer = meter.execute(WHO, Get.one(7, obis, 2, access)).results[0]
    return answer.value if isinstance(answer, Data) else answer


def times(rows):
    return [CosemDateTime.from_bytes(row[0]).to_datetime() for row in rows]


def test_the_rows_are_the_last_quarters(meter, time):
    assert times(buffer(meter)) == [NEWEST - QUARTER * back for back in range(19, -1, -1)]
    before = buffer(meter)
    time[0] += QUARTER
    assert buffer(meter)[:-1] == before[1:]


def test_the_profile_describes_itself(meter):
    def attribute(number):
        return meter.execute(WHO, Get.one(7, LOAD, number)).results[0].value

    assert [CaptureObject.from_value(value) for value in attribute(3)][2] == ENERGY
    assert [attribute(number) for number in (4, 5, 7, 8)] == [900, 1, 20, 20]
    assert CaptureObject.from_value(attribute(6)) == CLOCK_TIME


def test_values_agree_with_the_register(meter, time):
    time[0] = NEWEST
    assert buffer(meter)[-1][2] == meter.execute(WHO, Get.one(3, "1-0:1.8.0", 2)).results[0].value


def test_rows_have_the_layout_that_the_columns_promise(meter):
    octets = meter.execute(WHO, Get.one(7, LOAD, 2)).results[0].octets
    assert len(octets) == 2 + 20 * 28
    row = axdr.decode_typed(octets).elements[0]
    assert [element.type.name for element in row.elements] == [
        "OCTET_STRING", "UNSIGNED", "DOUBLE_LONG_UNSIGNED", "DOUBLE_LONG_UNSIGNED"
    ]  # fmt: skip


@pytest.mark.parametrize("rows", [0, 1, 127, 128, 300])
def test_counts_of_every_length(rows):
    meter = demo_meter(profile_rows=rows, clock=lambda: NOW)
    assert len(buffer(meter)) == rows


@pytest.mark.parametrize("rows", [-1, 100_001])
def test_a_profile_has_its_limits(rows):
    with pytest.raises(ValueError, match="0 to 100000 rows"):
        demo_meter(profile_rows=rows, clock=lambda: NOW)


@pytest.mark.parametrize("style", [
    SelectorStyle(),
    SelectorStyle(encoding=TimeEncoding.DATE_TIME),
])  # fmt: skip
def test_a_range_includes_both_ends(meter, style):
    rows = buffer(meter, by_range(NEWEST - 2 * QUARTER, NEWEST, style=style))
    assert times(rows) == [NEWEST - 2 * QUARTER, NEWEST - QUARTER, NEWEST]


def test_a_range_between_two_rows(meter):
    second = timedelta(seconds=1)
    assert times(buffer(meter, by_range(NEWEST - QUARTER + second, NEWEST - second))) == []
    assert times(buffer(meter, by_range(NEWEST - QUARTER - second, NEWEST - second))) == [NEWEST - QUARTER]
    hundredths = NEWEST - QUARTER + timedelta(milliseconds=10)
    assert times(buffer(meter, by_range(hundredths, NEWEST))) == [NEWEST]


def test_a_range_without_deviation_is_in_the_meter_s_time(meter):
    style = SelectorStyle(deviation=DeviationPolicy.NOT_SPECIFIED)
    local = NEWEST.astimezone(meter.zone)
    assert times(buffer(meter, by_range(local, local, style=style))) == [NEWEST]


@pytest.mark.parametrize(
    ("start", "end", "count"),
    [
        (datetime(2000, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC), 20),
        (datetime(2000, 1, 1, tzinfo=UTC), datetime(2001, 1, 1, tzinfo=UTC), 0),
        (datetime(2090, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC), 0),
        (NEWEST, NEWEST - QUARTER, 0),
    ],
)
def test_ranges_beyond_the_rows(meter, start, end, count):
    assert len(buffer(meter, by_range(start, end))) == count


def test_a_range_with_columns(meter):
    whole = buffer(meter)
    assert buffer(meter, by_range(NEWEST, NEWEST, columns=[ENERGY])) == [(whole[-1][2],)]
    assert buffer(meter, by_range(NEWEST, NEWEST, columns=[ENERGY, CLOCK_TIME])) == [(whole[-1][0], whole[-1][2])]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((1, 0), slice(0, 20)),
        ((1, 1), slice(0, 1)),
        ((19, 20), slice(18, 20)),
        ((5, 4000), slice(4, 20)),
        ((21, 0), slice(0, 0)),
        ((4000, 5000), slice(0, 0)),
    ],
)
def test_entries(meter, arguments, expected):
    assert buffer(meter, by_entry(*arguments)) == buffer(meter)[expected]


def test_entries_with_columns(meter):
    assert buffer(meter, by_entry(1, 1, first_column=3)) == [buffer(meter)[0][2:]]
    assert buffer(meter, by_entry(1, 1, first_column=2, last_column=3)) == [buffer(meter)[0][1:3]]


def entry(*numbers):
    kinds = (axdr.double_long_unsigned, axdr.double_long_unsigned, axdr.long_unsigned, axdr.long_unsigned)
    return SelectiveAccess(2, Data.of(axdr.structure(*(kind(n) for kind, n in zip(kinds, numbers, strict=False)))))


WRONG_CLOCK = CaptureObject(8, ObisCode(0, 0, 1, 0, 1, 255), 2)


@pytest.mark.parametrize(
    "access",
    [
        entry(0, 5, 1, 0),
        entry(5, 4, 1, 0),
        entry(1, 5, 0, 0),
        entry(1, 5, 1, 5),
        entry(1, 5, 3, 2),
        entry(1, 5, 1),
        SelectiveAccess(3, Data.of(axdr.null_data())),
        SelectiveAccess(1, Data.of(axdr.null_data())),
        SelectiveAccess(1, Data(b"\x09")),
        by_range(NEWEST, NEWEST, restricting=WRONG_CLOCK),
        by_range(NEWEST, NEWEST, restricting=ENERGY),
        by_range(NEWEST, NEWEST, columns=[WRONG_CLOCK]),
        by_range(CosemDateTime(), NEWEST),
        by_values(axdr.unsigned(1), axdr.unsigned(2), restricting=CLOCK_TIME),
    ],
)
def test_selectors_that_make_no_sense_are_out_of_scope(meter, access):
    assert buffer(meter, access) is DataAccessResult.SCOPE_OF_ACCESS_VIOLATED


def test_a_reset_empties_the_profile_and_it_fills_again(meter, time):
    reset = Action.one(7, LOAD, 1, axdr.integer(0))
    assert meter.execute((32, 1), reset).results[0].result == 3
    assert meter.execute((1, 1), reset).results[0].result == 0
    assert buffer(meter) == []
    assert buffer(meter, by_entry(1, 0)) == []
    assert buffer(meter, by_range(NEWEST - QUARTER, NEWEST)) == []
    time[0] += 2 * QUARTER
    assert times(buffer(meter)) == [NEWEST + QUARTER, NEWEST + 2 * QUARTER]


def test_daylight_saving_is_marked_and_every_quarter_is_there():
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        zone = ZoneInfo("Europe/Prague")
    except ZoneInfoNotFoundError:
        pytest.skip("no time zone data on this machine")
    end = datetime(2025, 10, 26, 3, 0, tzinfo=UTC)
    meter = demo_meter(profile_rows=16, clock=lambda: end, zone=zone)
    raw = [CosemDateTime.from_bytes(row[0]) for row in buffer(meter)]
    assert [time.to_datetime() for time in raw] == [end - QUARTER * back for back in range(15, -1, -1)]
    assert {(time.deviation, time.daylight_saving) for time in raw} == {(-120, True), (-60, False)}


def test_the_log_tells_what_happened(meter, time):
    assert [row[1] for row in buffer(meter, obis=LOG)] == [2]
    time[0] += timedelta(minutes=1)
    meter.execute((1, 1), Action.one(70, "0-0:96.3.10", 1, axdr.integer(0)))
    meter.execute((1, 1), Action.one(8, "0-0:1.0.0", 6, axdr.long(60)))
    rows = buffer(meter, obis=LOG)
    assert [row[1] for row in rows] == [2, 62, 4, 5]
    assert times(rows)[-2:] == [NOW + timedelta(minutes=1), NOW + timedelta(minutes=2)]
    assert meter.execute(WHO, Get.one(1, "0-0:96.11.0", 2)).results[0].value == 5
    assert buffer(meter, by_range(NOW, NOW + timedelta(hours=1)), LOG) == rows[1:]
    assert buffer(meter, by_entry(2, 2, first_column=2), LOG) == [(62,)]


def test_the_log_keeps_the_newest_events(meter):
    for _ in range(80):
        meter.execute((1, 1), Action.one(8, "0-0:1.0.0", 6, axdr.long(1)))
    rows = buffer(meter, obis=LOG)
    assert len(rows) == 100
    assert 2 not in [row[1] for row in rows]


def test_a_log_whose_clock_went_back_still_gives_what_lies_in_the_range(meter):
    meter.execute((1, 1), Action.one(8, "0-0:1.0.0", 6, axdr.long(-900)))
    rows = buffer(meter, by_range(NOW - timedelta(minutes=20), NOW - timedelta(minutes=10)), LOG)
    assert [row[1] for row in rows] == [5]
