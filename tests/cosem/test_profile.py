"""Rows of profiles: timestamps, nulls, scaling, keys, tables."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from cosemic.cosem.profile import make_columns, make_profile
from cosemic.cosem.selection import CLOCK_TIME, CaptureObject
from cosemic.cosem.values import ScalerUnit
from cosemic.errors import DecodeError, MissingExtra
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime

CET = timezone(timedelta(hours=1))
STATUS = CaptureObject(1, ObisCode(0, 0, 96, 10, 1, 255), 2)
ENERGY = CaptureObject(3, ObisCode(1, 0, 1, 8, 0, 255), 2)
COLUMNS = make_columns([CLOCK_TIME, STATUS, ENERGY], [None, None, ScalerUnit(-1, 30)])


def stamp(*fields):
    return bytes(CosemDateTime.from_datetime(datetime(*fields, tzinfo=CET)))


def test_rows_have_aware_times_and_exact_values():
    profile = make_profile(COLUMNS, [(stamp(2025, 1, 1, 0, 15), 0, 12345)])
    assert profile.rows == [(datetime(2025, 1, 1, 0, 15, tzinfo=CET), 0, Decimal("1234.5"))]
    assert [column.unit for column in profile.columns] == [None, None, "Wh"]
    assert profile.to_dicts() == [
        {
            "0-0:1.0.0*255": datetime(2025, 1, 1, 0, 15, tzinfo=CET),
            "0-0:96.10.1*255": 0,
            "1-0:1.8.0*255": Decimal("1234.5"),
        }
    ]


def test_a_null_time_is_one_period_after_the_row_before():
    rows = [(stamp(2025, 1, 1), 0, 1), (None, 0, 2), (None, 0, 3), (stamp(2025, 1, 1, 2), 0, 4), (None, 0, 5)]
    profile = make_profile(COLUMNS, rows, capture_period=900)
    minutes = [
        (time - datetime(2025, 1, 1, tzinfo=CET)) / timedelta(minutes=1) for time in profile.column("0-0:1.0.0*255")
    ]
    assert minutes == [0, 15, 30, 120, 135]


def test_time_runs_backwards_when_the_newest_row_comes_first():
    profile = make_profile(COLUMNS, [(stamp(2025, 1, 1, 1), 0, 1), (None, 0, 2)], capture_period=900, newest_first=True)
    assert profile.rows[1][0] == datetime(2025, 1, 1, 0, 45, tzinfo=CET)


def test_a_null_time_without_a_row_before_or_a_period_stays_null():
    assert make_profile(COLUMNS, [(None, 0, 1), (None, 0, 2)], capture_period=900).rows[1][0] is None
    assert make_profile(COLUMNS, [(stamp(2025, 1, 1), 0, 1), (None, 0, 2)]).rows[1][0] is None


def test_a_null_value_stays_in_its_column():
    profile = make_profile(COLUMNS, [(stamp(2025, 1, 1), 7, 10), (None, None, 20)], capture_period=900)
    assert profile.rows[1][1:] == (None, Decimal("2.0"))


def test_null_values_repeat_only_when_asked_for():
    rows = [(stamp(2025, 1, 1), 7, None), (None, None, 10), (None, None, None)]
    profile = make_profile(COLUMNS, rows, capture_period=900, repeat_nulls=True)
    assert [row[1:] for row in profile.rows] == [(7, None), (7, Decimal("1.0")), (7, Decimal("1.0"))]


def test_a_time_without_deviation_stays_raw_unless_a_zone_is_given():
    raw = CosemDateTime.from_datetime(datetime(2025, 1, 1), clock_status=0)
    rows = [(bytes(raw), 0, 1), (None, 0, 2)]
    profile = make_profile(COLUMNS, rows, capture_period=900)
    assert profile.rows[0][0] == raw
    assert profile.rows[1][0] == CosemDateTime.from_datetime(datetime(2025, 1, 1, 0, 15), clock_status=0)
    assert make_profile(COLUMNS, rows, capture_period=900, zone=CET).rows[1][0] == datetime(
        2025, 1, 1, 0, 15, tzinfo=CET
    )


def test_wildcards_in_a_time_are_kept():
    raw = CosemDateTime(month=1, day=1)
    assert make_profile(COLUMNS, [(bytes(raw), 0, 1)]).rows[0][0] == raw


def test_tagged_date_times_are_times_too():
    time = CosemDateTime.from_datetime(datetime(2025, 1, 1, tzinfo=CET))
    assert make_profile(COLUMNS, [(time, 0, 1)]).rows[0][0] == datetime(2025, 1, 1, tzinfo=CET)


def test_capture_times_are_times_but_are_not_filled():
    columns = make_columns([CLOCK_TIME, CaptureObject(4, ObisCode(1, 0, 1, 6, 0, 255), 5)])
    profile = make_profile(columns, [(stamp(2025, 1, 1), stamp(2025, 1, 1)), (None, None)], capture_period=900)
    assert profile.rows[0][1] == datetime(2025, 1, 1, tzinfo=CET)
    assert profile.rows[1][1] is None


def test_octet_strings_of_twelve_that_are_no_time_stay_octets():
    columns = make_columns([CaptureObject(1, ObisCode(0, 0, 96, 1, 0, 255), 2)])
    assert make_profile(columns, [(bytes(12),)]).rows == [(bytes(12),)]


def test_odd_values_in_a_scaled_column_are_kept():
    columns = make_columns([ENERGY], [ScalerUnit(2, 30)])
    assert make_profile(columns, [(1,), (None,), (b"x",), (0.5,)]).rows == [
        (Decimal(100),), (None,), (b"x",), (Decimal("50"),)
    ]  # fmt: skip


@pytest.mark.parametrize("buffer", [[(1, 2)], [(stamp(2025, 1, 1), 0, 1), (None, 2)], [5], 7])
def test_rows_of_another_shape_are_refused(buffer):
    with pytest.raises(DecodeError):
        make_profile(COLUMNS, buffer)


def test_an_empty_buffer_has_columns_and_no_rows():
    for buffer in ([], None):
        profile = make_profile(COLUMNS, buffer)
        assert len(profile) == 0
        assert profile.to_dicts() == []
        assert profile.to_arrow().num_rows == 0


def test_keys_are_short_and_unique():
    demand = ObisCode(1, 0, 1, 4, 0, 255)
    captures = [
        CLOCK_TIME,
        ENERGY,
        CaptureObject(5, demand, 2),
        CaptureObject(5, demand, 3),
        CaptureObject(3, ObisCode(1, 0, 2, 8, 0, 255), 2, 1),
        CaptureObject(3, ObisCode(1, 0, 2, 8, 0, 255), 2, 2),
        ENERGY,
    ]
    keys = [column.key for column in make_columns(captures)]
    assert len(set(keys)) == len(keys)
    assert keys[0] == "0-0:1.0.0*255"
    assert keys[2:4] == ["1-0:1.4.0*255:2", "1-0:1.4.0*255:3"]


def test_a_label_says_what_is_captured():
    assert COLUMNS[2].label == "Active energy import (+A) total"
    assert make_columns([CaptureObject(5, ObisCode(1, 0, 1, 4, 0, 255), 3)])[0].label.endswith(", last_average_value")


def test_an_unknown_column_is_a_key_error_that_lists_the_columns():
    with pytest.raises(KeyError, match=r"1-0:1\.8\.0\*255"):
        make_profile(COLUMNS, []).column("1-0:9.9.9*255")


def test_a_column_is_found_by_its_code_in_any_form():
    profile = make_profile(COLUMNS[:2], [(None, 1)])
    code = COLUMNS[1].obis
    for form in (code, str(code), code.dotted, str(code).removesuffix("*255")):
        assert profile.column(form) == [1]


def test_arrow_keeps_every_digit():
    pyarrow = pytest.importorskip("pyarrow")
    big = 2**32 - 1
    rows = [(stamp(2025, 1, 1), 0, big), (stamp(2025, 7, 1), None, 5)]
    table = make_profile(COLUMNS, rows).to_arrow()
    assert table.schema.types[0] == pyarrow.timestamp("us", tz="UTC")
    assert table.schema.types[2] == pyarrow.decimal128(38, 1)
    assert table.column("1-0:1.8.0*255").to_pylist() == [Decimal(big).scaleb(-1), Decimal("0.5")]
    assert table.column("0-0:96.10.1*255").to_pylist() == [0, None]
    assert table.column(0).to_pylist()[0] == datetime(2024, 12, 31, 23, tzinfo=UTC)


def test_arrow_takes_what_is_not_uniform_as_text():
    pytest.importorskip("pyarrow")
    rows = [(bytes(CosemDateTime(month=1)), 2**64 - 1, (1, 2)), (stamp(2025, 1, 1), 0, 3)]
    table = make_profile(make_columns([CLOCK_TIME, STATUS, ENERGY]), rows).to_arrow()
    assert table.column(0).to_pylist()[1] == "2025-01-01 00:00:00+01:00"
    assert table.column(1).to_pylist() == [2**64 - 1, 0]
    assert table.column(2).to_pylist() == ["(1, 2)", "3"]


@pytest.mark.parametrize(
    ("method", "package"),
    [
        ("to_arrow", "pyarrow"),
        ("to_pandas", "pandas"),
        ("to_pandas", "pyarrow"),
        ("to_polars", "polars"),
        ("to_polars", "pyarrow"),
    ],
)
def test_a_missing_package_names_its_extra(method, package, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(MissingExtra, match=rf"pip install 'cosemic\[{method.removeprefix('to_')}"):
        getattr(make_profile(COLUMNS, []), method)()
