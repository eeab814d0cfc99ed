"""Profiles as columns: whatever the buffer holds, the plain way is the measure, value by value and error by error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.codec import axdr
from cosemic.codec.deltas import resolve_deltas
from cosemic.cosem import profile as profile_module
from cosemic.cosem.profile import decode_profile, make_columns, make_profile
from cosemic.cosem.selection import CLOCK_TIME, CaptureObject
from cosemic.cosem.values import ScalerUnit
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime
from tests.codec.values import LEAF, LEAVES

numpy = pytest.importorskip("numpy")
pyarrow = pytest.importorskip("pyarrow")

STATUS = CaptureObject(1, ObisCode(0, 0, 96, 10, 1, 255), 2)
ENERGY = CaptureObject(3, ObisCode(1, 0, 1, 8, 0, 255), 2)
EXPORT = CaptureObject(3, ObisCode(1, 0, 2, 8, 0, 255), 2)
COLUMNS = make_columns([CLOCK_TIME, STATUS, ENERGY, EXPORT], [None, None, ScalerUnit(-1, 30), ScalerUnit(2, 30)])
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(autouse=True)
def every_size_is_worth_columns(monkeypatch):
    monkeypatch.setattr(profile_module, "_WORTH_COLUMNS", 0)


def array_of(rows):
    return b"\x01" + axdr.encode_length(len(rows)) + b"".join(map(axdr.encode, rows))


def both_ways(octets, columns=COLUMNS, *, columnar=None, **options):
    """The profile of these octets, after a look at whether both ways say the same about it."""
    refusal = plain = None
    try:
        value = resolve_deltas(octets, axdr.decode(octets), len(columns))
        plain = make_profile(columns, value, **options)
    except DecodeError as error:
        refusal = str(error)
    if plain is None:
        with pytest.raises(DecodeError) as caught:
            decode_profile(columns, octets, **options)
        assert str(caught.value) == refusal
        return None
    profile = decode_profile(columns, octets, **options)
    if columnar is not None:
        assert (profile._vectors is not None) == columnar
    for scaled in (True, False):
        table, expected = profile.to_arrow(scaled=scaled), plain.to_arrow(scaled=scaled)
        table.validate(full=True)
        assert table.schema.equals(expected.schema, check_metadata=True), (table.schema, expected.schema)
        assert repr(table.to_pylist()) == repr(expected.to_pylist())
    assert repr(profile.rows) == repr(plain.rows)
    assert [[type(cell) for cell in row] for row in profile.rows] == [
        [type(cell) for cell in row] for row in plain.rows
    ]
    assert len(profile) == len(plain)
    return profile


def stamp(moment, **options):
    return axdr.octet_string(bytes(CosemDateTime.from_datetime(moment, **options)))


def uniform(count, start=datetime(2025, 3, 29, tzinfo=BERLIN)):
    begin = start.astimezone(UTC)
    return [
        axdr.structure(
            stamp((begin + i * timedelta(minutes=15)).astimezone(BERLIN)),
            axdr.unsigned(i % 256),
            axdr.double_long_unsigned(4_294_967_295 - i),
            axdr.double_long(-i),
        )
        for i in range(count)
    ]


@pytest.mark.parametrize("count", [0, 1, 255, 256, 300, 3000])
def test_uniform_rows(count):
    profile = both_ways(array_of(uniform(count)), columnar=True)
    table = profile.to_arrow()
    if count:
        assert table.column(0).to_pylist()[0] == datetime(2025, 3, 28, 23, tzinfo=UTC)
        assert table.column(2).to_pylist()[0] == Decimal("429496729.5")
        assert table.column(3).to_pylist()[-1] == -100 * (count - 1)


TIMES = st.one_of(
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda time: stamp(time)),
    st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(BERLIN)).map(lambda time: stamp(time)),
    st.binary(min_size=12, max_size=12).map(axdr.octet_string),
    st.binary(min_size=12, max_size=12).map(axdr.date_time),
    st.just(axdr.null_data()),
)
INTEGERS = st.sampled_from(
    sorted(axdr_kind for axdr_kind in LEAVES if 5 <= axdr_kind <= 22 and axdr_kind not in (7, 9, 10, 12, 13))
)
NUMBERS = INTEGERS.flatmap(LEAVES.__getitem__) | st.just(axdr.null_data())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_mixture_of_shapes_gives_the_same_table_both_ways(data):
    clocks = data.draw(
        st.sampled_from(
            [
                TIMES,
                st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1)).map(stamp) | st.just(axdr.null_data()),
                st.datetimes(datetime(2000, 1, 1), datetime(2090, 1, 1), timezones=st.just(BERLIN)).map(stamp)
                | st.just(axdr.null_data()),
            ]
        )
    )
    strategies = st.sampled_from(
        [NUMBERS, LEAF, *LEAVES.values(), *(LEAVES[kind] | st.just(axdr.null_data()) for kind in LEAVES)]
    )
    cells = [clocks, *(data.draw(strategies) for _ in range(3))]
    kinds = data.draw(st.lists(st.tuples(*cells), min_size=1, max_size=12))
    repeats = data.draw(
        st.lists(st.tuples(st.integers(0, len(kinds) - 1), st.integers(1, 300)), min_size=1, max_size=5)
    )
    rows = [axdr.structure(*kinds[kind]) for kind, times in repeats for _ in range(times)]
    both_ways(
        array_of(rows),
        capture_period=data.draw(st.sampled_from([0, 900])),
        newest_first=data.draw(st.booleans()),
        repeat_nulls=data.draw(st.booleans()),
        zone=data.draw(st.sampled_from([None, BERLIN])),
    )


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_damaged_buffers_give_the_same_error_both_ways(data):
    octets = bytearray(array_of(uniform(300)[: data.draw(st.sampled_from([3, 300]))]))
    if data.draw(st.booleans()):
        del octets[data.draw(st.integers(0, len(octets) - 1)) :]
    for _ in range(data.draw(st.integers(0, 2))):
        if octets:
            octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.sampled_from([*range(34), 128, 129, 255]))
    octets += data.draw(st.sampled_from([b"", b"", b"\x00"]))
    both_ways(bytes(octets))
