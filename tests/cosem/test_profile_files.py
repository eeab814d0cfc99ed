"""CSV, JSON lines and Parquet of profiles; what the command prints is the measure."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.cli.output import dumps
from cosemic.codec import axdr
from cosemic.cosem import profile as profile_module
from cosemic.cosem.profile import Profile, decode_profile, make_columns
from cosemic.cosem.selection import CLOCK_TIME, CaptureObject
from cosemic.cosem.values import ScalerUnit
from cosemic.errors import MissingExtra
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime
from tests.codec.values import LEAVES

BERLIN = ZoneInfo("Europe/Berlin")
CAPTURES = [CLOCK_TIME, *(CaptureObject(3, ObisCode(1, 0, 1, 8, rate, 255), 2) for rate in range(4))]


def columns_of(scalers):
    return make_columns(CAPTURES[: len(scalers)], [None if s is None else ScalerUnit(s, 30) for s in scalers])


def as_json(profile: Profile) -> str:
    keys = [column.key for column in profile.columns]
    return "".join(dumps(dict(zip(keys, row, strict=True))) + "\n" for row in profile.rows)


def written(profile: Profile) -> tuple[str, str]:
    text, lines = io.StringIO(), io.StringIO()
    profile.write_csv(text)
    profile.write_json(lines)
    return text.getvalue(), lines.getvalue()


def both(octets, columns, monkeypatch, **options):
    found = []
    for worth in (0, 1 << 40):
        monkeypatch.setattr(profile_module, "_WORTH_COLUMNS", worth)
        profile = decode_profile(columns, octets, **options)
        found.append(written(profile))
        assert found[-1][1] == as_json(profile)
    assert found[0] == found[1]
    return found[0]


def test_a_profile_written_down(monkeypatch):
    pytest.importorskip("numpy")
    pytest.importorskip("pyarrow")
    begin = datetime(2025, 10, 26, 0, 45, tzinfo=UTC)
    rows = [
        axdr.structure(
            axdr.octet_string(
                bytes(CosemDateTime.from_datetime((begin + i * timedelta(minutes=15)).astimezone(BERLIN)))
            ),
            axdr.long(-5 * i),
            axdr.visible_string("a,b" if i else 'say "x"'),
            axdr.octet_string(bytes(range(i + 1))),
            axdr.null_data() if i else axdr.long64_unsigned(2**64 - 1),
        )
        for i in range(2)
    ]
    text, lines = both(axdr.encode(axdr.array(rows)), columns_of([None, -2, None, None, 3]), monkeypatch)
    assert text.splitlines() == [
        "0-0:1.0.0*255,1-0:1.8.0*255,1-0:1.8.1*255,1-0:1.8.2*255,1-0:1.8.3*255",
        '2025-10-26T02:45:00+02:00,0.00,"say ""x""",00,18446744073709551615000',
        '2025-10-26T02:00:00+01:00,-0.05,"a,b",0001,',
    ]
    assert json.loads(lines.splitlines()[1], parse_float=Decimal) == {
        "0-0:1.0.0*255": "2025-10-26T02:00:00+01:00",
        "1-0:1.8.0*255": Decimal("-0.05"),
        "1-0:1.8.1*255": "a,b",
        "1-0:1.8.2*255": "0001",
        "1-0:1.8.3*255": None,
    }


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_columns_are_written_as_rows_are(data):
    pytest.importorskip("numpy")
    pytest.importorskip("pyarrow")
    clock = st.none() | st.datetimes(
        datetime(1999, 1, 1), datetime(2090, 1, 1), timezones=st.sampled_from([BERLIN, UTC])
    )
    cells = [LEAVES[data.draw(st.sampled_from(sorted(LEAVES)))] | st.just(axdr.null_data()) for _ in range(2)]
    rows = [
        axdr.structure(
            axdr.null_data() if time is None else axdr.octet_string(bytes(CosemDateTime.from_datetime(time))), *others
        )
        for time, *others in data.draw(st.lists(st.tuples(clock, *cells), max_size=12))
    ]
    scalers = [None, *data.draw(st.lists(st.sampled_from([None, 0, 3, -2, -6, -7, 20]), min_size=2, max_size=2))]
    with pytest.MonkeyPatch.context() as patch:
        text, _ = both(axdr.encode(axdr.array(rows)), columns_of(scalers), patch, capture_period=900)
    table = list(csv.reader(io.StringIO(text, newline="")))
    assert len(table) == len(rows) + 1
    assert all(len(line) == 3 for line in table)


def test_one_column_with_nothing_in_it_has_lines(monkeypatch):
    octets = axdr.encode(axdr.array(axdr.structure(axdr.null_data()), axdr.structure(axdr.unsigned(1))))
    columns = make_columns(CAPTURES[1:2], [None])
    profile = decode_profile(columns, octets)
    assert written(profile)[0] == '1-0:1.8.0*255\n""\n1\n'


def test_more_rows_than_are_written_at_a_time(monkeypatch):
    rows = [axdr.structure(axdr.null_data(), axdr.long_unsigned(i)) for i in range(9000)]
    text, _ = both(axdr.encode(axdr.array(rows)), columns_of([None, 0]), monkeypatch)
    assert text.splitlines()[1:] == [f",{i}" for i in range(9000)]


def test_parquet_keeps_what_is_known(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    octets = axdr.encode(axdr.array(axdr.structure(axdr.null_data(), axdr.long_unsigned(7))))
    profile = decode_profile(columns_of([None, -1]), octets)
    profile.write_parquet(tmp_path / "load.parquet")
    table = parquet.read_table(tmp_path / "load.parquet")
    assert table.column(1).to_pylist() == [Decimal("0.7")]
    assert table.field(1).metadata[b"unit"] == b"Wh"


def test_parquet_names_its_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"cosemic\[arrow\]"):
        decode_profile(columns_of([None]), b"\x01\x00").write_parquet("x")
