"""profile: selections, forms, files."""

from __future__ import annotations

import csv
import json
from datetime import datetime

import pytest

PROFILE = "1-0:99.1.0"


def test_last_rows_as_json_are_keyed_by_column(cosemic, meter) -> None:
    done = cosemic("profile", meter.wrapper, PROFILE, "--last", "3", "--json")
    assert done.code == 0
    assert len(done.objects) == 3
    first = done.objects[0]
    assert "1-0:1.8.0*255" in first
    assert isinstance(first["1-0:1.8.0*255"], int)
    assert datetime.fromisoformat(first["0-0:1.0.0*255"]).utcoffset() is not None


def test_a_range_of_time(cosemic, meter) -> None:
    rows = cosemic("profile", meter.hdlc, PROFILE, "--json").objects
    assert len(rows) == 200
    times = [datetime.fromisoformat(row["0-0:1.0.0*255"]) for row in rows]
    done = cosemic(
        "profile", meter.hdlc, PROFILE, "--from", times[10].isoformat(), "--to", times[14].isoformat(), "--json"
    )
    assert done.objects == rows[10:15]
    recent = cosemic("profile", meter.hdlc, PROFILE, "--from", "-2h", "--json")
    assert 7 <= len(recent.objects) <= 9


def test_table_and_csv(cosemic, meter, tmp_path) -> None:
    table = cosemic("profile", meter.wrapper, PROFILE, "--last", "2")
    assert "Active energy import (+A) total [Wh]" in table.out
    assert table.out.endswith("\n2 rows\n")
    file = tmp_path / "load.csv"
    done = cosemic("profile", meter.wrapper, PROFILE, "--last", "2", "--out", str(file))
    assert done.code == 0
    assert done.out == ""
    with file.open() as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) == 2
    assert int(rows[1]["1-0:1.8.0*255"]) >= int(rows[0]["1-0:1.8.0*255"])


def test_json_file(cosemic, meter, tmp_path) -> None:
    file = tmp_path / "load.jsonl"
    assert cosemic("profile", meter.wrapper, PROFILE, "--last", "2", "--out", str(file)).code == 0
    assert len([json.loads(line) for line in file.read_text().splitlines()]) == 2


def test_parquet(cosemic, meter, tmp_path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "load.parquet"
    assert cosemic("profile", meter.wrapper, PROFILE, "--last", "5", "--out", str(file)).code == 0
    assert parquet.read_table(file).num_rows == 5


def test_one_column(cosemic, meter) -> None:
    done = cosemic("profile", meter.wrapper, PROFILE, "--last", "1", "--column", "1-0:2.8.0", "--json")
    assert "1-0:2.8.0*255" in done.objects[0]
    assert "1-0:1.8.0*255" not in done.objects[0]


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["--from", "someday"], "write 2025-01-31"),
        (["--from", "2025-02-01", "--to", "2025-01-01"], "is later than --to"),
        (["--last", "0"], "from 1"),
        (["--last", "3", "--from", "today"], "either --last or"),
        (["--format", "parquet"], "needs --out"),
        (["--out", "/no/such/folder/f.csv"], "no folder"),
    ],
)
def test_bad_options_are_one_line_before_any_connection(cosemic, arguments: list[str], remedy: str) -> None:
    done = cosemic("profile", "tcp://127.0.0.1:1", PROFILE, *arguments)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert remedy in done.err


def test_an_object_that_is_no_profile(cosemic, meter) -> None:
    done = cosemic("profile", meter.wrapper, "1-0:1.8.0")
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
