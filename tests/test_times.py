from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.times import CosemDate, CosemDateTime, CosemTime, datetime_from_bytes

# Clocks of captured frames are in tests/vectors; these are made by the same rule, UTC = local time + deviation.
CLOCKS = [
    ("07e9070f020c1e0000ff8880", datetime(2025, 7, 15, 10, 30, tzinfo=UTC), timedelta(hours=2), True),
    ("07e9010f030c1e0000ffc400", datetime(2025, 1, 15, 11, 30, tzinfo=UTC), timedelta(hours=1), False),
    ("07e9010fff0c1e0000012cff", datetime(2025, 1, 15, 17, 30, tzinfo=UTC), timedelta(hours=-5), None),
]


@pytest.mark.parametrize(("octets", "utc", "offset", "daylight"), CLOCKS)
def test_utc_is_local_time_plus_deviation(octets, utc, offset, daylight):
    moment = CosemDateTime.from_bytes(bytes.fromhex(octets))
    assert moment.deviation == -offset // timedelta(minutes=1)
    assert moment.to_datetime() == datetime_from_bytes(bytes.fromhex(octets)) == utc
    assert moment.to_datetime().utcoffset() == offset
    assert moment.daylight_saving is daylight
    assert moment.is_aware
    assert bytes(moment).hex() == octets


def test_from_datetime_gives_those_octets():
    vienna = ZoneInfo("Europe/Vienna")
    assert bytes(CosemDateTime.from_datetime(datetime(2025, 7, 15, 12, 30, tzinfo=vienna))).hex() == CLOCKS[0][0]
    assert bytes(CosemDateTime.from_datetime(datetime(2025, 1, 15, 12, 30, tzinfo=vienna))).hex() == CLOCKS[1][0]


def test_from_datetime_keeps_other_status_bits_and_none():
    moment = datetime(2024, 6, 15, tzinfo=ZoneInfo("Europe/Vienna"))
    assert CosemDateTime.from_datetime(moment, clock_status=2).clock_status == 0x82
    assert CosemDateTime.from_datetime(moment, clock_status=None).clock_status is None


def test_a_naive_datetime_gets_no_deviation():
    moment = CosemDateTime.from_datetime(datetime(2024, 6, 15, 12, 0))
    assert moment.deviation is None
    with pytest.raises(ValueError, match="deviation"):
        moment.to_datetime()
    assert not moment.is_aware


def test_a_zone_with_seconds_cannot_be_a_deviation():
    with pytest.raises(ValueError, match="whole minutes"):
        CosemDateTime.from_datetime(datetime(1880, 1, 1, tzinfo=timezone(timedelta(hours=1, seconds=5))))


def test_all_wildcards_decode_and_name_what_is_missing():
    moment = CosemDateTime.from_bytes(bytes.fromhex("ffffffffffffffffff8000ff"))
    assert moment == CosemDateTime()
    assert str(moment)
    with pytest.raises(ValueError, match="year"):
        moment.to_datetime()


@pytest.mark.parametrize(
    ("octets", "missing"),
    [
        ("ffff010f030c1e0000000000", "year"),
        ("07e9ff0f030c1e0000000000", "month"),
        ("07e901ff030c1e0000000000", "day"),
        ("07e9010f03ff1e0000000000", "hour"),
        ("07e9010f030cff0000000000", "minute"),
        ("07e9010f030c1eff00000000", "second"),
        ("07e9010f030c1e0000800000", "deviation"),
        ("07e9fd0f030c1e0000000000", "daylight saving end"),
        ("07e9fe0f030c1e0000000000", "daylight saving begin"),
        ("07e90d0f030c1e0000000000", "month must be in"),
        ("07e9021d030c1e0000000000", "calendar date"),
        ("07e9010f031d1e0000000000", "hour must be in"),
        ("07e9010f030c1e0000400000", "more than a day"),
        ("07e9010f030c1e00c8000000", "microsecond"),
    ],
)
def test_what_is_missing_or_impossible_is_named(octets, missing):
    moment = CosemDateTime.from_bytes(bytes.fromhex(octets))
    assert bytes(moment).hex() == octets
    with pytest.raises(ValueError, match=missing):
        moment.to_datetime()
    with pytest.raises(ValueError):
        datetime_from_bytes(bytes.fromhex(octets))


def test_unspecified_hundredths_count_as_none():
    moment = CosemDateTime.from_bytes(bytes.fromhex("07e9010f030c1e00ff0000ff"))
    assert moment.hundredths is None
    assert moment.to_datetime() == datetime(2025, 1, 15, 12, 30, tzinfo=UTC)
    assert CosemDateTime.from_bytes(bytes.fromhex("07e4021d06173b3b63ffc480")).to_datetime().microsecond == 990_000


def test_a_zone_stands_in_for_a_missing_deviation_and_the_status_decides_the_double_hour():
    vienna = ZoneInfo("Europe/Vienna")
    summer = CosemDateTime(2024, 10, 27, 7, 2, 30, 0, 0, None, 0x80)
    winter = CosemDateTime(2024, 10, 27, 7, 2, 30, 0, 0, None, 0)
    unknown = CosemDateTime(2024, 10, 27, 7, 2, 30, 0, 0, None, None)
    assert summer.to_datetime(vienna).utcoffset() == timedelta(hours=2)
    assert winter.to_datetime(vienna).utcoffset() == timedelta(hours=1)
    assert unknown.to_datetime(vienna).utcoffset() == timedelta(hours=2)
    aware = CosemDateTime(2024, 10, 27, 7, 2, 30, 0, 0, -60, 0)
    assert aware.to_datetime(vienna).utcoffset() == timedelta(hours=1)


@pytest.mark.parametrize(
    ("octets", "day"),
    [
        ("07e802feff", date(2024, 2, 29)),
        ("07e902feff", date(2025, 2, 28)),
        ("07e90cfeff", date(2025, 12, 31)),
        ("07e902fdff", date(2025, 2, 27)),
        ("07e903fe07", date(2025, 3, 30)),  # the last Sunday of March
        ("07e90afe07", date(2025, 10, 26)),
        ("270f0cfeff", date(9999, 12, 31)),
        ("07e8021d04", date(2024, 2, 29)),
    ],
)
def test_last_days_of_a_known_month_are_found(octets, day):
    value = CosemDate.from_bytes(bytes.fromhex(octets))
    assert value.to_date() == day
    assert bytes(value).hex() == octets


@pytest.mark.parametrize("octets", ["07e902fd07", "07e902fe09", "ffff03fe07", "07e900feff", "00000101ff", "07e90dfeff"])
def test_days_that_cannot_be_found_are_value_errors(octets):
    with pytest.raises(ValueError):
        CosemDate.from_bytes(bytes.fromhex(octets)).to_date()


def test_special_dates_show_in_words():
    assert str(CosemDate.from_bytes(bytes.fromhex("fffffefe07"))) == "*-(daylight saving begin)-last Sun"
    assert str(CosemDate.from_bytes(bytes.fromhex("fffffdfdff"))) == "*-(daylight saving end)-second-last"
    assert str(CosemDate.from_bytes(bytes.fromhex("07e8021d04"))) == "2024-02-29"
    assert str(CosemDate.from_bytes(bytes.fromhex("07e8021d01"))) == "2024-02-29 Mon"
    assert str(CosemDate.from_bytes(bytes.fromhex("07e8023f0c"))) == "2024-02-63 weekday 12"
    assert str(CosemTime(8, None, 5, None)) == "08:*:05"
    assert str(CosemDateTime.from_bytes(bytes.fromhex("07e4021d06173b3b63ffc480"))) == "2020-02-29T23:59:59.99+01:00"
    assert str(CosemDateTime(2020, 2, 29, None, 1, 2, 3, None, 90, None)) == "2020-02-29T01:02:03-01:30"


def test_dates_and_times_convert():
    assert CosemDate.from_date(date(2025, 3, 30)) == CosemDate(2025, 3, 30, 7)
    assert CosemTime.from_time(time(8, 30, 15, 239_999)) == CosemTime(8, 30, 15, 23)
    assert CosemTime(8, 30, 15, 23).to_time() == time(8, 30, 15, 230_000)
    assert CosemTime(8, 30, 15).to_time() == time(8, 30, 15)
    with pytest.raises(ValueError, match="minute"):
        CosemTime(8).to_time()
    with pytest.raises(ValueError, match="time of day"):
        CosemTime(24, 0, 0).to_time()
    moment = CosemDateTime(2025, 1, 2, 4, 5, 6, 7, 8, 0, 0)
    assert moment.date == CosemDate(2025, 1, 2, 4)
    assert moment.time == CosemTime(5, 6, 7, 8)


def test_status_bits():
    moment = CosemDateTime(clock_status=0x8F)
    assert [moment.invalid, moment.doubtful, moment.different_base, moment.invalid_status] == [True] * 4
    assert moment.daylight_saving is True
    nothing = CosemDateTime(clock_status=None)
    assert [nothing.invalid, nothing.doubtful, nothing.different_base, nothing.invalid_status] == [False] * 4
    assert nothing.daylight_saving is None


@pytest.mark.parametrize("kind", [CosemDateTime, CosemDate, CosemTime])
def test_wrong_sizes_are_value_errors(kind):
    for size in (0, 3, 11, 13):
        with pytest.raises(ValueError, match="octets"):
            kind.from_bytes(bytes(size))


@pytest.mark.parametrize("value", [CosemDateTime(year=70000), CosemDate(month=256), CosemTime(hour=-1)])
def test_fields_that_do_not_fit_are_value_errors(value):
    with pytest.raises(ValueError, match="does not fit"):
        bytes(value)


@given(st.binary(min_size=12, max_size=12))
def test_any_twelve_octets_survive_and_never_crash(octets):
    moment = CosemDateTime.from_bytes(octets)
    assert bytes(moment) == octets
    assert str(moment)
    try:
        long_way = moment.to_datetime()
    except ValueError:
        assert not moment.is_aware
        with pytest.raises(ValueError):
            datetime_from_bytes(octets)
    else:
        assert datetime_from_bytes(octets) == long_way
        assert datetime_from_bytes(octets).utcoffset() == long_way.utcoffset()


@given(st.binary(min_size=5, max_size=5), st.binary(min_size=4, max_size=4))
def test_any_date_and_time_survive(day, clock):
    assert bytes(CosemDate.from_bytes(day)) == day
    assert bytes(CosemTime.from_bytes(clock)) == clock
    assert str(CosemDate.from_bytes(day))
    assert str(CosemTime.from_bytes(clock))


@given(
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),
    st.integers(min_value=-14 * 60, max_value=14 * 60),
)
def test_aware_datetimes_survive_to_the_hundredth(moment, minutes):
    aware = moment.replace(
        microsecond=moment.microsecond // 10_000 * 10_000, tzinfo=timezone(timedelta(minutes=minutes))
    )
    cosem = CosemDateTime.from_datetime(aware)
    assert cosem.to_datetime() == aware
    assert cosem.to_datetime().utcoffset() == aware.utcoffset()
    assert CosemDateTime.from_bytes(bytes(cosem)) == cosem
