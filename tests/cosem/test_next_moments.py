"""When a time with wildcards comes next, against rules worked out by hand and against a search second by second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from cosemic.cosem.next_moments import next_moment
from cosemic.times import CosemDate, CosemTime

ANY = CosemDate()
BERLIN = ZoneInfo("Europe/Berlin")
PLUS_ONE = timezone(timedelta(hours=1))
NOON = datetime(2026, 11, 25, 12, 0, 0, tzinfo=PLUS_ONE)  # a Wednesday


def at(*fields, zone=PLUS_ONE):
    return datetime(*fields, tzinfo=zone)


@pytest.mark.parametrize(
    ("time", "day", "expected"),
    [
        (CosemTime(12, 0, 0, 0), ANY, at(2026, 11, 26, 12)),  # later than now, not now
        (CosemTime(12, 0, 1, 0), ANY, at(2026, 11, 25, 12, 0, 1)),
        (CosemTime(6, None, None, None), ANY, at(2026, 11, 26, 6)),
        (CosemTime(None, 15, None, None), ANY, at(2026, 11, 25, 12, 15)),
        (CosemTime(None, None, None, None), ANY, at(2026, 11, 25, 12, 1)),
        (CosemTime(None, None, 30, None), ANY, at(2026, 11, 25, 12, 0, 30)),
        (CosemTime(None, 0, 0, 0), ANY, at(2026, 11, 25, 13)),
        (CosemTime(0, 0, 0, 0), CosemDate(None, None, 1), at(2026, 12, 1)),
        (CosemTime(0, 0, 0, 0), CosemDate(None, None, 0xFE), at(2026, 11, 30)),
        (CosemTime(7, 30, 0, 0), CosemDate(None, None, None, 7), at(2026, 11, 29, 7, 30)),
        (CosemTime(3, 0, 0, 0), CosemDate(None, 2, 29), at(2028, 2, 29, 3)),
        (CosemTime(3, 0, 0, 0), CosemDate(2031, 1, 1), at(2031, 1, 1, 3)),
        (CosemTime(3, 0, 0, 0), CosemDate(2025, 1, 1), None),
        (CosemTime(3, 0, 0, 0), CosemDate(2027, 2, 29), None),
    ],
)
def test_moments_by_hand(time, day, expected):
    assert next_moment(time, day, NOON, PLUS_ONE) == expected


def test_a_leap_day_after_the_year_2096_is_found():
    assert next_moment(CosemTime(0, 0, 0, 0), CosemDate(None, 2, 29), at(2096, 3, 1), PLUS_ONE) == at(2104, 2, 29)


@pytest.mark.parametrize("bad", [CosemTime(24, 0, 0), CosemTime(1, 60, 0), CosemTime(1, 1, 60)])
def test_a_time_that_no_clock_shows_is_refused(bad):
    with pytest.raises(ValueError, match="there is no"):
        next_moment(bad, ANY, NOON, PLUS_ONE)


def test_half_past_two_comes_once_on_the_day_that_has_it_twice_and_not_where_it_is_left_out():
    rule = CosemTime(2, 30, 0, 0)
    first = next_moment(rule, ANY, datetime(2026, 10, 25, 0, tzinfo=BERLIN), BERLIN)
    assert first is not None
    assert first.astimezone(UTC) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    second = next_moment(rule, ANY, first, BERLIN)
    assert second == datetime(2026, 10, 26, 2, 30, tzinfo=BERLIN)
    assert next_moment(rule, ANY, datetime(2026, 3, 28, 12, tzinfo=BERLIN), BERLIN) == datetime(
        2026, 3, 30, 2, 30, tzinfo=BERLIN
    )


def test_a_quarter_of_any_hour_comes_every_hour_of_a_day_of_25():
    moment = datetime(2026, 10, 24, 23, 59, tzinfo=BERLIN)
    found = []
    while True:
        following = next_moment(CosemTime(None, 15, 0, 0), CosemDate(2026, 10, 25), moment, BERLIN)
        if following is None:
            break
        found.append(following.astimezone(UTC))
        moment = following
    assert len(found) == 25
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(hours=1)}


@pytest.mark.parametrize("zone", [PLUS_ONE, BERLIN, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kathmandu")])
@pytest.mark.parametrize("rule", [CosemTime(None, 15, 10), CosemTime(None, None, 40), CosemTime(None, 59, 59)])
@pytest.mark.parametrize("start", [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 4, 4, 14, tzinfo=UTC)])
def test_it_agrees_with_a_search_second_by_second(zone, rule, start):
    found = []
    moment = start
    end = start + timedelta(hours=4)
    while (following := next_moment(rule, ANY, moment, zone)) is not None and following <= end:
        found.append(following.astimezone(UTC))
        moment = following
    fields = (rule.hour, rule.minute, rule.second)
    searched = [
        second
        for second in (start + timedelta(seconds=number) for number in range(1, 4 * 3600 + 1))
        for local in [second.astimezone(zone)]
        if all(
            want in (None, have) for want, have in zip(fields, (local.hour, local.minute, local.second), strict=True)
        )
    ]
    assert found == searched
