"""Targets, times and values as users write them; JSON that keeps numbers exact."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.cli.failing import CommandError
from cosemic.cli.output import dumps, table
from cosemic.cli.parsing import TYPES, parse_target, parse_time, parse_value
from cosemic.codec import axdr
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime

NOW = datetime(2025, 3, 5, 12, 30, tzinfo=UTC)


def test_targets() -> None:
    target = parse_target("3/1-0:1.8.0*255/-1")
    assert (target.class_id, target.obis, target.member) == (3, ObisCode(1, 0, 1, 8, 0, 255), -1)
    assert parse_target("0100010800FF").class_id is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-01-31T12:00+01:00", datetime(2025, 1, 31, 11, tzinfo=UTC)),
        ("2025-01-31T12:00:00Z", datetime(2025, 1, 31, 12, tzinfo=UTC)),
        ("now", NOW),
        ("-24h", NOW - timedelta(hours=24)),
        ("-7d", NOW - timedelta(days=7)),
        ("-30min", NOW - timedelta(minutes=30)),
        ("-1.5h", NOW - timedelta(minutes=90)),
    ],
)
def test_times(text: str, expected: datetime) -> None:
    assert parse_time(text, now=NOW) == expected


def test_days_begin_in_the_local_zone() -> None:
    today, yesterday = parse_time("today", now=NOW), parse_time("yesterday", now=NOW)
    local = NOW.astimezone()
    assert today == datetime(local.year, local.month, local.day).astimezone()
    assert today.date() - yesterday.date() == timedelta(days=1)
    assert parse_time("2025-01-31").tzinfo is not None


@pytest.mark.parametrize("text", ["", "tomorrowish", "-", "-x h", "2025-13-01", "-99999999999999w", "9999-12-31T24:61"])
def test_bad_times(text: str) -> None:
    with pytest.raises(CommandError):
        parse_time(text)


@pytest.mark.parametrize(
    ("kind", "text", "octets"),
    [
        ("null-data", "", "00"),
        ("boolean", "true", "0301"),
        ("double-long-unsigned", "12345", "0600003039"),
        ("long_unsigned", "0x10", "120010"),
        ("integer", "-1", "0fff"),
        ("enum", "30", "161e"),
        ("long64-unsigned", str(2**64 - 1), "15ffffffffffffffff"),
        ("bit-string", "0101", "040450"),
        ("octet-string", "0100", "09020100"),
        ("octet-string", "text:ab", "09026162"),
        ("octet-string", "obis:1-0:1.8.0", "09060100010800ff"),
        ("visible-string", "ab", "0a026162"),
        ("utf8-string", "ä", "0c02c3a4"),
        ("float32", "1", "173f800000"),
        ("float64", "1", "183ff0000000000000"),
        ("time", "12:30", "1b0c1e0000"),
        ("axdr", "020106 00003039", "02010600003039"),
    ],
)
def test_values(kind: str, text: str, octets: str) -> None:
    value = parse_value(kind, text)
    encoded = bytes(value) if isinstance(value, axdr.Data) else axdr.encode(value)
    assert encoded.hex() == octets


def test_clock_values() -> None:
    for kind, text in (("octet-string", "time:2025-01-31T12:00+01:00"), ("date-time", "2025-01-31T12:00+01:00")):
        encoded = axdr.encode(parse_value(kind, text))
        moment = CosemDateTime.from_bytes(encoded[-12:])
        assert moment.to_datetime() == datetime(2025, 1, 31, 11, tzinfo=UTC)


@given(st.sampled_from(TYPES), st.text(max_size=12))
def test_any_text_is_a_value_or_a_command_error(kind: str, text: str) -> None:
    try:
        value = parse_value(kind, text)
    except CommandError:
        return
    assert bytes(value) if isinstance(value, axdr.Data) else axdr.encode(value)


def test_json_is_exact() -> None:
    assert dumps(Decimal("12345.67")) == "12345.67"
    assert dumps(Decimal("1E+3")) == "1000"
    assert dumps(Decimal("0.1") + Decimal("0.2")) == "0.3"
    assert dumps(Decimal("123456789012345678901234567890.5")) == "123456789012345678901234567890.5"
    assert dumps(2**64 - 1) == "18446744073709551615"
    assert dumps([float("nan"), float("inf"), Decimal("NaN")]) == "[null, null, null]"
    assert dumps(b"\xab\x00") == '"ab00"'
    assert dumps({"a": (1, True, None), "b": "ä\n"}) == '{"a": [1, true, null], "b": "ä\\n"}'
    assert dumps(datetime(2025, 1, 1, tzinfo=UTC)) == '"2025-01-01T00:00:00+00:00"'
    assert dumps(ObisCode(1, 0, 1, 8, 0, 255)) == '"1.0.1.8.0.255"'


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_JSON)
def test_json_reads_back(value: object) -> None:
    assert json.loads(dumps(value)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_decimals_read_back_digit_by_digit(value: Decimal) -> None:
    assert json.loads(dumps(value), parse_float=Decimal, parse_int=Decimal) == value


def test_tables_cut_nothing() -> None:
    assert table(["a", "bb"], [["x" * 200, "1"]], right=frozenset({1})).splitlines()[2] == "x" * 200 + "   1"
    assert table(["a"], []) == "a\n-"
