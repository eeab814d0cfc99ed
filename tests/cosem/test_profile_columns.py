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
from cosemic.enums import DataType
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


# Buffers written down


NOON = datetime(2025, 1, 10, 12, tzinfo=UTC)


def row(time, *cells):
    return axdr.structure(axdr.null_data() if time is None else stamp(time), *cells)


def test_null_times_and_mixed_widths():
    widths = (axdr.unsigned, axdr.long_unsigned, axdr.double_long_unsigned, axdr.long64_unsigned)
    rows = [row(NOON if i == 0 else None, axdr.enum(i % 3), widths[i % 4](i % 256), axdr.long(-i)) for i in range(700)]
    profile = both_ways(array_of(rows), columnar=True, capture_period=900)
    table = profile.to_arrow()
    assert table.column(0).to_pylist() == [NOON + i * timedelta(minutes=15) for i in range(700)]
    assert table.column(2).to_pylist() == [Decimal(i % 256).scaleb(-1) for i in range(700)]
    assert table.column(0).null_count == 0


def test_deltas_are_added_up():
    # 100, +5, null, -3 (to 105), a new value, and the largest difference; before the first value there is none.
    values = [
        axdr.delta_unsigned(9),
        axdr.double_long_unsigned(100),
        axdr.delta_unsigned(5),
        axdr.null_data(),
        axdr.delta_integer(-3),
        axdr.long64(-7),
        axdr.delta_double_long_unsigned(4_294_967_295),
        axdr.delta_long(-32_768),
    ]
    rows = [row(NOON, axdr.null_data(), value, axdr.unsigned(1)) for value in values]
    energies = [None, 100, 105, None, 102, -7, 4_294_967_288, 4_294_934_520]
    profile = both_ways(array_of(rows), columnar=True)
    assert profile.to_arrow(scaled=False).column(2).to_pylist() == energies
    repeated = both_ways(array_of(rows), columnar=True, repeat_nulls=True)
    assert repeated.to_arrow(scaled=False).column(2).to_pylist() == [None, 100, 105, 105, 102, -7, *energies[-2:]]


def test_many_deltas_in_a_run():
    rows = [row(NOON, axdr.unsigned(0), axdr.double_long_unsigned(1000), axdr.unsigned(1))]
    rows += [row(None, axdr.unsigned(0), axdr.delta_integer(-1), axdr.unsigned(1))] * 600
    profile = both_ways(array_of(rows), columnar=True, capture_period=60)
    assert profile.to_arrow(scaled=False).column(2).to_pylist() == [1000 - i for i in range(601)]


def test_a_delta_to_a_float_and_to_a_text():
    floats = [
        row(NOON, axdr.float32(0.5), axdr.unsigned(1), axdr.unsigned(1)),
        row(NOON, *[axdr.delta_unsigned(2)] * 3),
    ]
    assert both_ways(array_of(floats)).rows[1][1:] == (2.5, Decimal("0.3"), Decimal(300))
    texts = [
        row(NOON, axdr.visible_string("ab"), axdr.unsigned(1), axdr.unsigned(1)),
        row(NOON, *[axdr.delta_unsigned(2)] * 3),
    ]
    assert both_ways(array_of(texts)) is None
    with pytest.raises(DecodeError, match="row 2 holds a difference to 'ab', which is no number"):
        decode_profile(COLUMNS, array_of(texts))


def test_sums_beyond_64_bits_are_exact():
    rows = [row(NOON, axdr.long64(2**63 - 1), axdr.long64_unsigned(2**64 - 1), axdr.long64(-(2**63)))]
    rows += [row(NOON, *[axdr.delta_double_long_unsigned(2**32 - 1)] * 3)] * 2
    profile = both_ways(array_of(rows))
    assert profile.rows[2][1:3] == (2**63 - 1 + 2 * (2**32 - 1), Decimal(2**64 - 1 + 2 * (2**32 - 1)).scaleb(-1))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([axdr.long64_unsigned(2**64 - 1), axdr.unsigned(1)], pyarrow.uint64()),
        ([axdr.long64_unsigned(2**63 - 1), axdr.integer(-1)], pyarrow.int64()),
        ([axdr.long64_unsigned(2**64 - 1), axdr.integer(-1)], pyarrow.decimal128(38, 0)),
        ([axdr.float32(0.5), axdr.float64(1e300)], pyarrow.float64()),
        ([axdr.boolean(True), axdr.null_data()], pyarrow.bool_()),
        ([axdr.octet_string(b""), axdr.octet_string(b"\xff" * 200)], pyarrow.binary()),
        ([axdr.octet_string(b"\xff" * 20), axdr.octet_string(b"\xff" * 3)], pyarrow.binary()),
        ([axdr.visible_string("ab"), axdr.utf8_string("Žluť"), axdr.null_data()], pyarrow.string()),
        ([axdr.visible_string("É")], pyarrow.string()),
        ([axdr.unsigned(1), axdr.float32(0.5)], pyarrow.string()),
        ([axdr.structure(axdr.unsigned(1), axdr.enum(2))], pyarrow.string()),
        ([axdr.array(axdr.unsigned(1)), axdr.bit_string("01")], pyarrow.string()),
        ([axdr.date_time(bytes(12)), axdr.date(bytes(5))], pyarrow.string()),
    ],
)
@pytest.mark.parametrize("times", [1, 300])
def test_kinds_of_columns(values, kind, times):
    rows = [row(NOON, value, axdr.unsigned(1), axdr.unsigned(2)) for value in values for _ in range(times)]
    profile = both_ways(array_of(rows))
    assert profile.to_arrow().schema.types[1] == kind
    assert [cell for (_, cell, *_) in profile.rows[::times]] == [value.plain for value in values]


def test_bad_utf8_in_one_cell_of_many():
    rows = [row(NOON, axdr.utf8_string("Ž"), axdr.utf8_string("ab"), axdr.unsigned(2)) for _ in range(600)]
    good = array_of(rows)
    both_ways(good, columnar=True)
    for octets in (b"\x0c\x02\xc4a", b"\x0c\x02\xc5\xbd\x0c\x02\xbda", b"\x0c\x02a\xc5\x0c\x02\xbda"):
        place = good.index(b"\x0c\x02", 5000)
        assert both_ways(good[:place] + octets + good[place + len(octets) :]) is None


def test_rows_that_are_hidden_in_values():
    # What looks like the head of a row (02 04) stands in values, also where a row begins if one takes it for one.
    trap = b"\x02\x04\x00\x11\x01\x11\x02\x11\x03"
    rows = [
        row(None, axdr.octet_string(trap[: i % 9 + 1]), axdr.long_unsigned(0x0204), axdr.unsigned(2))
        for i in range(500)
    ]
    profile = both_ways(array_of(rows), columnar=True)
    assert [len(cell) for (_, cell, *_) in profile.rows] == [i % 9 + 1 for i in range(500)]


def test_a_few_odd_rows_among_many():
    rows = uniform(2000)
    for place in (0, 700, 701, 1999):
        rows[place] = row(NOON, axdr.octet_string(bytes(130)), axdr.unsigned(1), axdr.structure(axdr.unsigned(1)))
    both_ways(array_of(rows), columnar=True)
    octets = array_of(rows[1:3]) + b"\x02\x81\x04" + axdr.encode(rows[5])[2:]
    both_ways(b"\x01\x03" + octets[2:], columnar=True)


def test_rows_longer_than_a_stretch():
    rows = [row(NOON, axdr.octet_string(bytes(300_000)), axdr.unsigned(1), axdr.unsigned(i)) for i in range(3)]
    both_ways(array_of(rows), columnar=True)


def test_times_of_other_captures_and_mixed_times():
    columns = make_columns([CLOCK_TIME, CaptureObject(4, ObisCode(1, 0, 1, 6, 0, 255), 5)])
    other = axdr.date_time(CosemDateTime.from_datetime(NOON))
    rows = [axdr.structure(stamp(NOON), other), axdr.structure(axdr.null_data(), axdr.null_data())]
    for repeat_nulls in (False, True):
        both_ways(array_of(rows), columns, columnar=True, capture_period=60, repeat_nulls=repeat_nulls)
    local = stamp(NOON.replace(tzinfo=None))
    profile = both_ways(array_of([axdr.structure(local, other)] * 3), columns, columnar=True)
    assert profile.to_arrow().schema.types == [pyarrow.timestamp("us"), pyarrow.timestamp("us", tz="UTC")]
    assert profile.to_arrow().field(0).metadata[b"time"] == b"local"
    both_ways(array_of([axdr.structure(local, other), axdr.structure(stamp(NOON), other)]), columns, columnar=True)


CHANGES = [
    datetime(2025, 3, 30, 1, 59),
    datetime(2025, 3, 30, 2, 30),
    datetime(2025, 10, 26, 2),
    datetime(2025, 10, 26, 2, 59),
]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.datetimes(datetime(2024, 1, 1), datetime(2026, 12, 31)) | st.sampled_from(CHANGES) | st.none(),
        min_size=1,
        max_size=20,
    ),
    st.lists(st.sampled_from([0, 0x80, None]), min_size=20, max_size=20),
    st.sampled_from(["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Beirut", "UTC"]),
)
def test_times_in_a_zone(moments, statuses, name):
    cells = [
        axdr.null_data() if moment is None else stamp(moment, clock_status=status)
        for moment, status in zip(moments, statuses, strict=False)
    ]
    octets = array_of([axdr.structure(cell) for cell in cells])
    both_ways(octets, make_columns([CLOCK_TIME]), columnar=True, zone=ZoneInfo(name), capture_period=1800)


COMPACT = axdr.TypeDescription.structure(
    DataType.DATE_TIME, DataType.UNSIGNED, DataType.DOUBLE_LONG_UNSIGNED, DataType.LONG
)


def test_a_compact_array():
    times = [NOON + i * timedelta(hours=1) for i in range(400)]
    elements = [(CosemDateTime.from_datetime(time), i % 200, 10 * i, -i) for i, time in enumerate(times)]
    octets = axdr.encode(axdr.compact_array(COMPACT, elements))
    profile = both_ways(octets, columnar=True)
    table = profile.to_arrow()
    assert table.column(0).to_pylist() == times
    assert table.column(2).to_pylist() == [Decimal(i) for i in range(400)]
    for damaged in (octets[:-1], octets + b"\x00", octets[:2] + b"\x03" + octets[3:]):
        assert both_ways(damaged) is None
    both_ways(axdr.encode(axdr.compact_array(COMPACT, [])))


def test_a_compact_array_of_strings_goes_the_plain_way():
    description = axdr.TypeDescription.structure(*[DataType.OCTET_STRING] * 4)
    octets = axdr.encode(
        axdr.compact_array(description, [(bytes(CosemDateTime.from_datetime(NOON)), b"a", b"", b"xyz")] * 3)
    )
    assert both_ways(octets, columnar=False).rows[0][0] == NOON


def test_limits_hold_for_columns():
    octets = array_of(uniform(300))
    assert len(decode_profile(COLUMNS, octets, limits=axdr.Limits(elements=1501))) == 300
    for limits in (axdr.Limits(elements=1499), axdr.Limits(octets=1000), axdr.Limits(depth=1)):
        with pytest.raises(DecodeError):
            decode_profile(COLUMNS, octets, limits=limits)


def test_metadata_of_the_fields():
    table = both_ways(array_of(uniform(3))).to_arrow()
    assert table.field(2).metadata == {
        b"obis": b"1-0:1.8.0*255",
        b"class_id": b"3",
        b"attribute": b"2",
        b"data_index": b"0",
        b"label": b"Active energy import (+A) total",
        b"unit": b"Wh",
        b"scaler": b"-1",
        b"scaled": b"true",
    }
    raw = both_ways(array_of(uniform(3))).to_arrow(scaled=False)
    assert raw.field(2).metadata[b"scaled"] == b"false"
    assert raw.schema.types[2] == pyarrow.int64()


def test_marks_and_status_as_columns():
    octets = array_of([row(NOON, *[axdr.unsigned(1)] * 3), row(None, *[axdr.unsigned(1)] * 3)])
    for worth in (0, 1 << 40):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(profile_module, "_WORTH_COLUMNS", worth)
            profile = decode_profile(COLUMNS, octets, capture_period=900)
        table = profile.to_arrow(clock_status=True, marks=True)
        assert table.column("clock_status").to_pylist() == [0, None]
        assert table.column("marks").to_pylist() == [0, 256]
        assert table.schema.field("marks").metadata[b"INFERRED"] == b"256"


def test_a_small_buffer_is_read_without_columns(monkeypatch):
    monkeypatch.undo()
    assert decode_profile(COLUMNS, array_of(uniform(3)))._vectors is None
    assert decode_profile(COLUMNS, array_of(uniform(300)))._vectors is not None


def test_without_numpy_everything_goes_the_plain_way(monkeypatch):
    octets = array_of(uniform(300))
    expected = decode_profile(COLUMNS, octets, capture_period=900)
    monkeypatch.setitem(__import__("sys").modules, "numpy", None)
    profile = decode_profile(COLUMNS, octets, capture_period=900)
    assert profile._vectors is None
    assert profile.rows == expected.rows
    assert profile.gaps() == expected.gaps()


def test_data_frames():
    profile = both_ways(array_of(uniform(3)))
    polars = pytest.importorskip("polars")
    frame = profile.to_polars()
    assert frame.schema["1-0:1.8.0*255"] == polars.Decimal(38, 1)
    assert frame["1-0:1.8.0*255"].to_list() == profile.column("1-0:1.8.0*255")
    pandas = pytest.importorskip("pandas")
    frame = profile.to_pandas()
    assert frame["1-0:1.8.0*255"].tolist() == profile.column("1-0:1.8.0*255")
    assert frame["0-0:96.10.1*255"].dtype == pandas.Int64Dtype()
    assert str(frame["0-0:1.0.0*255"].dtype.tz) == "UTC"


def test_profiles_are_equal_and_can_be_stored():
    import pickle

    profile = decode_profile(COLUMNS, array_of(uniform(300)), capture_period=900)
    again = pickle.loads(pickle.dumps(profile))
    assert again == profile
    assert again.capture_period == 900
    assert "300 rows" in repr(profile)
    assert profile != 5


def test_a_character_in_two_rows_is_no_character():
    # Put together, the column is valid UTF-8: the first octet of Ž ends one row, the second begins the next.
    rows = [row(NOON, axdr.utf8_string("ab"), axdr.unsigned(1), axdr.unsigned(2)) for _ in range(600)]
    octets = array_of(rows)
    first = octets.index(b"\x0c\x02ab", 5000)
    second = octets.index(b"\x0c\x02ab", first + 4)
    split = octets[:first] + b"\x0c\x02a\xc5" + octets[first + 4 : second] + b"\x0c\x02\xbdb" + octets[second + 4 :]
    assert both_ways(split) is None


@pytest.mark.parametrize(
    "octets",
    [
        "0001 01 01 FF 00 00 00 00 0000 00",
        "270F 0C 1F FF 17 3B 3B 63 FC40 00",
        "07E9 00 01 FF 00 00 00 00 0000 00",
        "07E9 0D 01 FF 00 00 00 00 0000 00",
        "07E9 01 00 FF 00 00 00 00 0000 00",
        "07E9 02 1D FF 00 00 00 00 0000 00",
        "07E8 02 1D FF 00 00 00 00 0000 00",
        "07E9 02 FE FF 00 00 00 00 0000 00",
        "07E9 02 FD FF 00 00 00 00 0000 00",
        "07E9 FE 01 FF 00 00 00 00 0000 00",
        "07E9 01 01 FF 18 00 00 00 0000 00",
        "07E9 01 01 FF 00 3C 00 00 0000 00",
        "07E9 01 01 FF 00 00 3C 00 0000 00",
        "07E9 01 01 FF 00 00 00 64 0000 00",
        "07E9 01 01 FF 00 00 00 63 0000 00",
        "07E9 01 01 FF 00 00 00 FF 059F 00",
        "07E9 01 01 FF 00 00 00 FF 05A0 00",
        "07E9 01 01 FF 00 00 00 FF FA60 00",
        "07E9 01 01 FF 00 00 FF FF 0000 00",
        "FFFF FF FF FF FF FF FF FF 8000 FF",
    ],
)
@pytest.mark.parametrize("zone", [None, BERLIN])
def test_times_at_the_edge(octets, zone):
    cells = [axdr.unsigned(1)] * 3
    odd = axdr.structure(axdr.octet_string(octets.replace(" ", "")), *cells)
    for rows in ([odd], [row(NOON, *cells), odd, row(None, *cells)], [odd, row(None, *cells)]):
        both_ways(array_of(rows), columnar=True, zone=zone, capture_period=900)
