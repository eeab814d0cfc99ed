"""Gaps, completeness and marks, worked out by hand; and by columns the same as row by row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.codec import axdr
from cosemic.codec.axdr import BitString
from cosemic.cosem import profile as profile_module
from cosemic.cosem.intervals import Gap, Mark, missing_between, status_names
from cosemic.cosem.profile import Profile, decode_profile, make_columns, make_profile
from cosemic.cosem.selection import CLOCK_TIME, CaptureObject
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime

STATUS = CaptureObject(1, ObisCode(0, 0, 96, 10, 1, 255), 2)
COLUMNS = make_columns([CLOCK_TIME, STATUS])
CET, CEST = timezone(timedelta(hours=1)), timezone(timedelta(hours=2))
BERLIN = ZoneInfo("Europe/Berlin")


def wire(text: str, deviation: int | None = -60, status: int = 0) -> bytes:
    """A date-time as a meter sends it: local time, deviation, clock status."""
    time = CosemDateTime.from_datetime(datetime.fromisoformat(text), clock_status=status)
    return (
        bytes(time)[:9]
        + (deviation if deviation is not None else -0x8000).to_bytes(2, "big", signed=True)
        + bytes((status,))
    )


@pytest.fixture(params=["rows", "columns"])
def profile_of(request, monkeypatch):
    """Profiles of (time or None, status) by both ways."""
    if request.param == "columns":
        pytest.importorskip("numpy")
        monkeypatch.setattr(profile_module, "_WORTH_COLUMNS", 0)
        monkeypatch.setitem(__import__("sys").modules, "numpy", __import__("numpy"))
    else:
        monkeypatch.setattr(profile_module, "_WORTH_COLUMNS", 1 << 40)

    def make(times, *, capture_period=900, **options) -> Profile:
        rows = [
            axdr.structure(axdr.null_data() if time is None else axdr.octet_string(time), axdr.unsigned(number))
            for number, time in enumerate(times)
        ]
        octets = axdr.encode(axdr.array(rows))
        profile = decode_profile(COLUMNS, octets, capture_period=capture_period, **options)
        assert (profile._vectors is not None) == (request.param == "columns")
        return profile

    return make


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_gap_names_the_rows_that_are_missing(profile_of):
    # 00:15 and 00:30 are missing (local times, one hour ahead of UTC): two of the five rows from 00:00 to 01:00.
    profile = profile_of([wire(f"2025-01-10T{time}") for time in ("00:00", "00:45", "01:00")])
    assert profile.gaps() == (Gap(at("2025-01-09T23:15"), at("2025-01-09T23:30"), 2),)
    assert profile.completeness == 3 / 5
    assert [bool(mark & Mark.AFTER_GAP) for mark in profile.marks()] == [False, True, False]


def test_limits_count_at_both_ends(profile_of):
    profile = profile_of([wire("2025-01-10T01:00"), wire("2025-01-10T01:15")])
    start, end = datetime(2025, 1, 10, 0, 20, tzinfo=CET), datetime(2025, 1, 10, 1, 50, tzinfo=CET)
    # The grid of the first row, 01:00, has 00:30 and 00:45 after 00:20; after 01:15 come 01:30 and 01:45 before 01:50.
    assert profile.gaps(start, end) == (
        Gap(at("2025-01-09T23:30"), at("2025-01-09T23:45"), 2),
        Gap(at("2025-01-10T00:30"), at("2025-01-10T00:45"), 2),
    )
    assert profile.completeness_between(start, end) == 2 / 6
    assert profile.completeness == 1.0
    # A limit within the rows cuts them: 01:00 lies before 01:10.
    assert profile.completeness_between(datetime(2025, 1, 10, 1, 10, tzinfo=CET), end) == 1 / 3


def test_no_row_at_all_is_one_gap(profile_of):
    profile = profile_of([])
    start, end = at("2025-01-10T00:00"), at("2025-01-10T01:00")
    assert profile.gaps(start, end) == (Gap(start, end, 5),)
    assert profile.completeness_between(start, end) == 0.0
    assert profile.gaps() == ()
    assert profile.completeness == 1.0
    assert profile.marks() == []


def test_the_end_of_daylight_saving_has_no_gap_and_no_duplicate(profile_of):
    # Central Europe, 26 October 2025: 02:45 summer time (UTC+2) is 00:45 UTC, and 02:00 winter time (UTC+1) 01:00 UTC.
    # The local hour from 2 to 3 is there twice; only deviation and daylight bit (0x80) tell which is which.
    times = [wire(f"2025-10-26T{time}", -120, 0x80) for time in ("02:00", "02:15", "02:30", "02:45")]
    times += [wire(f"2025-10-26T{time}", -60) for time in ("02:00", "02:15", "02:30", "02:45", "03:00")]
    profile = profile_of(times)
    assert profile.gaps() == ()
    assert profile.completeness == 1.0
    marks = profile.marks()
    assert [bool(mark & Mark.DST_CHANGE) for mark in marks] == [False] * 4 + [True] + [False] * 4
    assert [bool(mark & Mark.DAYLIGHT) for mark in marks] == [True] * 4 + [False] * 5
    assert not any(mark & (Mark.DUPLICATE | Mark.CLOCK_SET | Mark.AFTER_GAP) for mark in marks)
    assert [row[0].astimezone(UTC) for row in profile.rows] == [
        at("2025-10-26T00:00") + number * timedelta(minutes=15) for number in range(9)
    ]


def test_the_end_of_daylight_saving_without_deviations(profile_of):
    # The same nine rows from a meter that leaves the deviation out: the zone and the daylight bit say it all.
    times = [wire(f"2025-10-26T{time}", None, 0x80) for time in ("02:00", "02:15", "02:30", "02:45")]
    times += [wire(f"2025-10-26T{time}", None) for time in ("02:00", "02:15", "02:30", "02:45", "03:00")]
    profile = profile_of(times, zone=BERLIN)
    assert [row[0].astimezone(UTC) for row in profile.rows] == [
        at("2025-10-26T00:00") + number * timedelta(minutes=15) for number in range(9)
    ]
    assert profile.gaps() == ()
    assert [mark & Mark.DST_CHANGE for mark in profile.marks()] == [0, 0, 0, 0, Mark.DST_CHANGE, 0, 0, 0, 0]
    # Without the status the second hour looks like the first: four duplicates, and the clock seems to be set back.
    blind = profile_of([time[:11] + b"\xff" for time in times], zone=BERLIN)
    marks = blind.marks()
    assert [bool(mark & Mark.DUPLICATE) for mark in marks] == [False] * 4 + [True] * 4 + [False]
    assert [bool(mark & Mark.CLOCK_SET) for mark in marks] == [False] * 4 + [True] + [False] * 4
    assert blind.gaps() == (Gap(at("2025-10-26T01:00"), at("2025-10-26T01:45"), 4),)


def test_the_beginning_of_daylight_saving(profile_of):
    # 30 March 2025: after 01:45 winter time (00:45 UTC) comes 03:00 summer time (01:00 UTC).
    profile = profile_of([wire("2025-03-30T01:45"), wire("2025-03-30T03:00", -120, 0x80)])
    assert profile.gaps() == ()
    assert profile.marks() == [Mark(0), Mark.DST_CHANGE | Mark.DAYLIGHT]


def test_null_times_go_on_by_elapsed_time_over_a_change(profile_of):
    # 01:30 in the zone is 00:30 UTC; the rows after it are 00:45, 01:00 (which is 03:00 summer time) and 01:15 UTC.
    profile = profile_of([wire("2025-03-30T01:30", None, 0xFF), None, None, None], zone=BERLIN)
    assert [row[0].astimezone(UTC).strftime("%H:%M") for row in profile.rows] == ["00:30", "00:45", "01:00", "01:15"]
    assert [row[0].strftime("%H:%M") for row in profile.rows] == ["01:30", "01:45", "03:00", "03:15"]
    inferred = Mark.INFERRED
    assert profile.marks() == [Mark(0), inferred, inferred | Mark.DST_CHANGE, inferred]
    assert profile.gaps() == ()


def test_days_of_23_and_25_hours_are_whole_days(profile_of):
    # Local midnights around 30 March (a day of 23 hours) and 26 October (25 hours); no day is missing.
    spring = [wire("2025-03-30T00:00"), wire("2025-03-31T00:00", -120, 0x80), wire("2025-04-01T00:00", -120, 0x80)]
    autumn = [wire("2025-10-26T00:00", -120, 0x80), wire("2025-10-27T00:00"), wire("2025-10-28T00:00")]
    for times in (spring, autumn):
        profile = profile_of(times, capture_period=86_400)
        assert profile.gaps() == ()
        assert not any(mark & (Mark.CLOCK_SET | Mark.AFTER_GAP) for mark in profile.marks())


def test_a_clock_that_was_set(profile_of):
    # Set from 00:37 to 00:41, then from 01:02 back to 00:59: steps that are no periods, and one that goes back.
    times = ["00:15", "00:30", "00:41", "00:45", "01:00", "00:59", "01:00", "01:15"]
    profile = profile_of([wire(f"2025-01-10T{time}") for time in times])
    marks = profile.marks()
    assert [bool(mark & Mark.CLOCK_SET) for mark in marks] == [False, False, True, True, False, True, True, False]
    assert [bool(mark & Mark.DUPLICATE) for mark in marks] == [False] * 6 + [True, False]
    assert profile.gaps() == ()
    assert len(profile) == 8


def test_clock_status(profile_of):
    profile = profile_of([wire("2025-01-10T00:00", status=0x03), wire("2025-01-10T00:15", status=0x04), None])
    assert profile.marks() == [Mark.INVALID | Mark.DOUBTFUL, Mark.DIFFERENT_BASE, Mark.INFERRED]
    assert profile.clock_statuses() == [3, 4, None]


def test_the_newest_row_first(profile_of):
    profile = profile_of([wire("2025-01-10T01:00"), None, wire("2025-01-10T00:15")], newest_first=True)
    assert profile.gaps() == (Gap(at("2025-01-09T23:30"), at("2025-01-09T23:30"), 1),)
    assert profile.marks() == [Mark(0), Mark.INFERRED | Mark.AFTER_GAP, Mark(0)]


def test_local_times_have_local_gaps(profile_of):
    profile = profile_of([wire("2025-01-10T00:00", None), wire("2025-01-10T00:45", None)])
    assert profile.gaps() == (Gap(datetime(2025, 1, 10, 0, 15), datetime(2025, 1, 10, 0, 30), 2),)
    assert profile.completeness_between(datetime(2025, 1, 10), datetime(2025, 1, 10, 1)) == 2 / 5
    with pytest.raises(ValueError, match="without a time zone"):
        profile.gaps(at("2025-01-10T00:00"))
    with pytest.raises(ValueError, match="with a time zone"):
        profile_of([wire("2025-01-10T00:00")]).gaps(datetime(2025, 1, 10))


def test_rows_without_a_time(profile_of):
    profile = profile_of([None, wire("2025-01-10T00:00"), None])
    assert profile.marks() == [Mark.NO_TIME, Mark(0), Mark.INFERRED]
    assert profile.completeness == 1.0


def test_a_selection_keeps_its_times(profile_of):
    profile = profile_of([wire("2025-01-10T00:00"), None, wire("2025-01-10T01:00", status=2), None])
    assert profile.select([0, 2, 3]).marks() == [Mark(0), Mark.DOUBTFUL | Mark.AFTER_GAP, Mark.INFERRED]
    assert profile.newest(2).rows == profile.rows[2:]
    assert profile.newest(2).clock_statuses() == [2, None]
    assert profile.pick([1, 0], [COLUMNS[1], COLUMNS[0]]).gaps() == profile.gaps()
    assert profile.newest(3).select(slice(1, None)).rows == profile.rows[2:]


def test_without_a_period_nothing_is_expected(profile_of):
    profile = profile_of([wire("2025-01-10T00:00"), wire("2025-02-10T00:00")], capture_period=0)
    assert profile.gaps() == ()
    assert profile.completeness == 1.0
    assert profile.gaps(period=86_400)[0].missing == 30
    with pytest.raises(ValueError, match="period"):
        profile.gaps(period=-1)


def test_without_a_clock_there_are_no_intervals():
    profile = make_profile(COLUMNS[1:], [(1,), (2,)], capture_period=900)
    with pytest.raises(ValueError, match="no column with the time"):
        profile.gaps()


@pytest.mark.parametrize(
    ("minutes", "missing"), [(1, 0), (15, 0), (22, 0), (22.5, 0), (23, 1), (30, 1), (37, 1), (45, 2)]
)
def test_half_a_period_more_or_less_is_no_row(minutes, missing):
    assert missing_between(int(minutes * 60_000_000), 900_000_000) == missing


def test_the_bits_of_a_status():
    names = {0: "critical error", 5: "clock adjusted", 7: "power down"}
    assert status_names(0b1010_0001, names) == ("critical error", "clock adjusted", "power down")
    assert status_names(b"\x01\x20", names) == ("clock adjusted", "bit 8")
    assert status_names(BitString("1000010"), names) == ("critical error", "clock adjusted")
    assert status_names(None, names) == ()
    with pytest.raises(TypeError, match="status"):
        status_names("x", names)


def test_the_statuses_of_a_profile_by_name(profile_of):
    profile = profile_of([wire("2025-01-10T00:00")] * 4)
    assert profile.status_names("0-0:96.10.1*255", {0: "a", 1: "b"}) == [(), ("a",), ("b",), ("a", "b")]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_by_columns_as_row_by_row(data):
    pytest.importorskip("numpy")
    base = datetime(2025, 10, 25, 20)
    deviations = data.draw(st.sampled_from([[None], [-60], [-60, -120], [-60, -120, None], [0, 300, -345]]))
    cell = st.none() | st.builds(
        lambda minutes, seconds, deviation, status: wire(
            (base + timedelta(minutes=minutes, seconds=seconds)).isoformat(), deviation, status
        ),
        st.sampled_from([0, 15, 30, 45, 60, 300, 315, 330, 345, 360, 375, 390, 600, 1440]),
        st.sampled_from([0, 0, 0, 0, 7]),
        st.sampled_from(deviations),
        st.sampled_from([0, 0x80, 0xFF, 0x83]),
    )
    times = data.draw(st.lists(cell, max_size=40))
    octets = axdr.encode(
        axdr.array([
            axdr.structure(axdr.null_data() if time is None else axdr.octet_string(time), axdr.unsigned(1))
            for time in times
        ])
    )  # fmt: skip
    options = {
        "capture_period": data.draw(st.sampled_from([0, 900, 3600, 86_400])),
        "newest_first": data.draw(st.booleans()),
        "zone": data.draw(st.sampled_from([None, BERLIN])),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile_module, "_WORTH_COLUMNS", 0)
        columns = decode_profile(COLUMNS, octets, **options)
        patch.setattr(profile_module, "_WORTH_COLUMNS", 1 << 40)
        rows = decode_profile(COLUMNS, octets, **options)
    assert columns._vectors is not None
    assert rows._vectors is None
    assert columns.marks() == rows.marks()
    assert columns.gaps() == rows.gaps()
    assert columns.completeness == rows.completeness
    assert columns.clock_statuses() == rows.clock_statuses()
    start, end = base.replace(tzinfo=UTC), (base + timedelta(hours=data.draw(st.integers(-3, 30)))).replace(tzinfo=UTC)
    for limits in ((start, None), (None, end), (start, end)):
        try:
            expected = rows.gaps(*limits), rows.completeness_between(*limits)
        except ValueError as error:
            with pytest.raises(ValueError, match="local"):
                columns.gaps(*limits)
            assert "local" in str(error)  # noqa: PT017
        else:
            assert (columns.gaps(*limits), columns.completeness_between(*limits)) == expected
