"""Harvesting: only what is missing, piece by piece, with cuts at every instant."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from cosemic.codec import axdr
from cosemic.cosem.profile_reading import read_profile
from cosemic.enums import DataAccessResult
from cosemic.errors import DataAccessError, LinkLost, LocalProtocolError
from cosemic.harvest.plan import Pace, harvest
from cosemic.harvest.stores import open_store, plain
from cosemic.meter.demo import PUBLIC_CLIENT, demo_meter
from cosemic.obis import ObisCode
from cosemic.protocol.requests import GetResults
from tests.cosem.driving import drive

PROFILE = "1-0:99.1.0"
NOW = datetime(2026, 3, 10, 12, 7, tzinfo=UTC)
ENDINGS = [".sqlite", ".csv", ".jsonl"]


class Meter:
    """A meter whose time the test moves; ``cut_after`` requests the line breaks, ``refuses`` selectors."""

    def __init__(self, rows: int = 300) -> None:
        self.now = NOW
        self.meter = demo_meter(clock=lambda: self.now, profile_rows=rows)
        self.cut_after: int | None = None
        self.refuses: set[int] = set()
        self.between = lambda: None
        self.asked: list[object] = []

    def __call__(self, request):
        if self.cut_after is not None:
            if self.cut_after == 0:
                raise LinkLost("cut")
            self.cut_after -= 1
        self.between()
        for at, access in request.items:
            self.asked.append((at.attribute, access))
            if access is not None and access.selector in self.refuses:
                return GetResults((DataAccessResult.SCOPE_OF_ACCESS_VIOLATED,))
        return self.meter.execute((PUBLIC_CLIENT, 1), request)

    def rows(self, **options):
        return drive(read_profile(PROFILE, **options), Meter.__call__.__get__(self)).rows


def fetch(source, file, **options):
    options.setdefault("pace", Pace(rows=16, most=64))
    with closing(open_store(file)) as store:
        return drive(harvest(PROFILE, store, lambda: 0.0, **options), source)


def kept(file):
    """The rows in a file, as text, in the order that they stand there."""
    if file.suffix == ".sqlite":
        with closing(sqlite3.connect(file)) as database:
            rows = database.execute(f'SELECT * FROM "{PROFILE}*255" ORDER BY recorded').fetchall()
        return [tuple(str(cell) for cell in row[1:]) for row in rows]
    if file.suffix == ".csv":
        with file.open(newline="") as text:
            return [tuple(row) for row in list(csv.reader(text))[1:]]
    return [tuple(str(cell) for cell in json.loads(line).values()) for line in file.read_text().splitlines()]


def texts(rows):
    return [tuple("" if plain(cell) is None else str(plain(cell)) for cell in row) for row in rows]


@pytest.fixture(params=ENDINGS)
def file(request, tmp_path):
    return tmp_path / f"load{request.param}"


def test_the_first_harvest_reads_all_and_the_next_what_is_new(file):
    meter = Meter()
    done = fetch(meter, file)
    assert (done.new, len(kept(file))) == (300, 300)
    assert kept(file) == texts(meter.rows())
    meter.asked.clear()
    assert fetch(meter, file).new == 0
    meter.now += timedelta(hours=2)
    before = kept(file)
    assert fetch(meter, file).new == 8
    assert kept(file)[:300] == before
    assert kept(file)[300:] == texts(meter.rows(last=8))


def test_only_the_overlap_is_read_again(file):
    meter = Meter()
    fetch(meter, file)
    meter.now += timedelta(hours=1)
    done = fetch(meter, file, overlap=timedelta(hours=1))
    assert done.new == 4
    assert done.read < 16


@pytest.mark.parametrize("refused", [set(), {1}, {1, 2}])
def test_whatever_selection_the_meter_has(file, refused):
    meter = Meter()
    meter.refuses = refused
    assert fetch(meter, file).new == 300
    first = kept(file)
    meter.now += timedelta(hours=3)
    assert fetch(meter, file).new == 12
    meter.refuses = set()
    assert kept(file) == first + texts(meter.rows(last=12))


@pytest.mark.parametrize("refused", [set(), {1}])
def test_rows_that_are_recorded_meanwhile_move_the_numbers_and_nothing_is_lost(file, refused):
    meter = Meter()
    meter.refuses = refused
    everything = set(texts(meter.rows()))
    pace = iter(range(1000))

    def record():
        if next(pace) % 3 == 0:
            meter.now += timedelta(minutes=15)

    fetch(meter, file, start=None)
    meter.between = record
    file.unlink()
    for beside in file.parent.glob("*.cosemic"):
        beside.unlink()
    fetch(meter, file)
    meter.between = lambda: None
    everything = set(texts(meter.rows()))
    fetch(meter, file)
    rows = kept(file)
    assert len(rows) == len(set(rows))
    assert everything <= set(rows)


def test_a_start_is_kept_to_and_an_end(file):
    meter = Meter()
    start, end = NOW - timedelta(hours=10), NOW - timedelta(hours=5)
    fetch(meter, file, start=start, end=end)
    assert kept(file) == texts(meter.rows(start=start, end=end))
    assert len(kept(file)) == 20


def test_a_clock_that_was_set_back_loses_and_doubles_nothing(file):
    """Rows of a log with times of their own; after the clock went back, an hour comes twice."""
    meter = Log()
    meter.record(*[NOW + timedelta(minutes=15 * n) for n in range(20)])
    assert fetch(meter, file).new == 20
    meter.record(*[NOW + timedelta(minutes=15 * n) for n in range(17, 25)])
    assert fetch(meter, file).new == 8
    assert fetch(meter, file).new == 0
    assert sorted(kept(file)) == sorted(texts(meter.rows))
    meter.record(NOW + timedelta(minutes=15 * 24))
    assert fetch(meter, file).new == 1


def test_equal_rows_are_kept_as_often_as_they_come(file):
    meter = Log()
    meter.value = 7
    meter.record(NOW, NOW, NOW)
    assert fetch(meter, file).new == 3
    meter.record(NOW)
    assert fetch(meter, file).new == 1
    assert fetch(meter, file).new == 0


class Log:
    """A profile of time and number whose rows the test writes; entries and ranges as a meter has them."""

    def __init__(self) -> None:
        self.rows: list[tuple[datetime, int]] = []
        self.value: int | None = None

    def record(self, *times):
        for time in times:
            self.rows.append((time, len(self.rows) if self.value is None else self.value))

    def __call__(self, request):
        return GetResults(tuple(self.one(at, access) for at, access in request.items))

    def one(self, at, access):
        from cosemic.codec.axdr import Data
        from cosemic.cosem.selection import CLOCK_TIME, CaptureObject

        if at.attribute == 3:
            data = CaptureObject(1, ObisCode.parse("0-0:96.1.0"), 2)
            return Data.of(axdr.array(CLOCK_TIME.typed(), data.typed()))
        if at.attribute in (4, 7):
            return Data.of(axdr.double_long_unsigned(900 if at.attribute == 4 else len(self.rows)))
        if at.attribute == 5:
            return Data.of(axdr.enum(1))
        rows = self.rows
        if access is not None and access.selector == 2:
            first, last, _, _ = access.parameters.value
            rows = rows[first - 1 : last]
        elif access is not None:
            from cosemic.cosem.procedures import moment

            _, low, high, _ = access.parameters.value
            rows = [row for row in rows if moment(low) <= row[0] <= moment(high)]
        return Data.of(
            axdr.array(*(axdr.structure(axdr.octet_string(stamp(t)), axdr.double_long_unsigned(n)) for t, n in rows))
        )


def stamp(time):
    from cosemic.times import CosemDateTime

    return bytes(CosemDateTime.from_datetime(time))


def test_cuts_at_every_request(file):
    """The line breaks after each number of requests in turn, until the harvest is complete."""
    meter = Meter(200)
    cuts = 0
    while True:
        meter.cut_after = cuts
        try:
            fetch(meter, file)
        except LinkLost:
            cuts += 1
            rows = kept(file) if file.exists() and file.stat().st_size and cuts > 4 else []
            assert len(rows) == len(set(rows))
            continue
        break
    assert cuts > 8
    meter.cut_after = None
    assert kept(file) == texts(meter.rows())


def test_thousands_of_cuts_at_random(tmp_path):
    """Random cuts while the meter goes on recording; every file ends complete, without doubles or wrong values."""
    chance = random.Random(2026)
    cuts = 0
    for number in range(40):
        file = tmp_path / f"{number}{chance.choice(ENDINGS)}"
        meter = Meter(150)
        meter.refuses = chance.choice([set(), set(), {1}])
        for _ in range(60):
            meter.cut_after = chance.randrange(14)
            try:
                fetch(meter, file, pace=Pace(rows=chance.choice([8, 16, 40]), most=64))
            except LinkLost:
                cuts += 1
            if chance.random() < 0.3:
                meter.now += timedelta(minutes=chance.choice([15, 30, 300]))
        meter.cut_after = None
        there = set(texts(meter.rows()))
        fetch(meter, file)
        rows = kept(file)
        assert len(rows) == len(set(rows))
        ever = Meter(3000)  # with all that the meter dropped meanwhile, which may lack
        ever.now = meter.now
        assert there <= set(rows) <= set(texts(ever.rows()))
    assert cuts > 1000


CHILD = """
import sys
from pathlib import Path
from tests.harvest.test_harvest import Meter, fetch
from cosemic.harvest.plan import Pace
print("ready", flush=True)
sys.stdin.readline()
fetch(Meter(2000), Path(sys.argv[1]), pace=Pace(rows=8, most=8))
print("done", flush=True)
"""


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_process_that_is_killed_leaves_whole_pieces(tmp_path, ending):
    chance = random.Random(ending)
    file = tmp_path / f"load{ending}"
    expected = texts(Meter(2000).rows())
    kills = 0
    for _ in range(6):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout.readline() == "ready\n"
        child.stdin.write("\n")
        child.stdin.flush()
        try:
            child.wait(timeout=chance.uniform(0.02, 0.2))
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
        child.communicate()
    assert kills
    fetch(Meter(2000), file, pace=Pace(rows=500))
    assert kept(file) == expected


# What is refused


def test_another_meter_or_another_profile_is_not_mixed_in(file):
    fetch(Meter(), file, meter="A")
    with pytest.raises(ValueError, match="meter A, not of B"):
        fetch(Meter(), file, meter="B")
    if file.suffix == ".sqlite":
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("UPDATE cosemic_profiles SET columns = '[]'")
    else:
        note = file.with_name(file.name + ".cosemic")
        note.write_text(json.dumps(json.loads(note.read_text()) | {"columns": []}))
    with pytest.raises(ValueError, match="other columns"):
        fetch(Meter(), file)


def test_a_file_of_something_else_is_left_alone(file):
    file.write_text("my diary\n")
    with pytest.raises(ValueError, match=r"cannot keep rows|not written by a harvest"):
        fetch(Meter(), file)
    assert file.read_text() == "my diary\n"


def test_an_ending_that_nobody_knows(tmp_path):
    with pytest.raises(ValueError, match=r"\.sqlite, .*\.csv"):
        open_store(tmp_path / "load.xlsx")


def test_a_head_without_its_note_is_what_a_cut_leaves(tmp_path):
    for text in ("", "0-0:1.0.0*255,0-0:96", "0-0:1.0.0*255,0-0:96.10.1*255,1-0:1.8.0*255,1-0:2.8.0*255\n"):
        file = tmp_path / "load.csv"
        file.write_text(text)
        assert fetch(Meter(), file).new == 300
        assert kept(file) == texts(Meter().rows())
        file.unlink()
        file.with_name("load.csv.cosemic").unlink()


def test_a_file_that_another_harvest_writes(tmp_path):
    file = tmp_path / "load.csv"
    store = open_store(file)
    meter = Meter()
    with closing(store):
        drive(harvest(PROFILE, store, lambda: 0.0), meter)
        with pytest.raises(ValueError, match="another harvest"):
            fetch(meter, file)


def test_a_file_that_lost_its_end(tmp_path):
    file = tmp_path / "load.csv"
    fetch(Meter(), file)
    os.truncate(file, 100)
    with pytest.raises(ValueError, match="shorter than it was"):
        fetch(Meter(), file)


def test_a_profile_without_a_clock(file):
    class NoClock(Log):
        def one(self, at, access):
            from cosemic.codec.axdr import Data
            from cosemic.cosem.selection import CaptureObject

            if at.attribute == 3:
                return Data.of(axdr.array(CaptureObject(1, ObisCode.parse("0-0:96.1.0"), 2).typed()))
            return super().one(at, access)

    with pytest.raises(LocalProtocolError, match="no clock column"):
        fetch(NoClock(), file)


def test_a_refusal_that_is_no_matter_of_selection_is_raised(file):
    meter = Meter()
    meter.meter.faults.force(7, PROFILE, 2, DataAccessResult.HARDWARE_FAULT)
    with pytest.raises(DataAccessError) as refused:
        fetch(meter, file)
    assert refused.value.result is DataAccessResult.HARDWARE_FAULT


def test_an_end_in_the_far_future_costs_no_requests(file):
    meter = Meter()
    fetch(meter, file, end=datetime(2099, 1, 1, tzinfo=UTC))
    assert len(kept(file)) == 300
    assert len(meter.asked) < 40


def test_a_meter_that_never_gives_the_same_rows_twice_is_given_up(file):
    class Shifting(Log):
        def one(self, at, access):
            if access is not None and access.selector == 1:
                return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
            if at.attribute == 2:
                self.rows = [(time, value + 1) for time, value in self.rows]
            return super().one(at, access)

    meter = Shifting()
    meter.record(*[NOW + timedelta(minutes=15 * n) for n in range(200)])
    with pytest.raises(LocalProtocolError, match="change faster than they can be read"):
        fetch(meter, file, pace=Pace(rows=8, most=8))


def test_what_a_full_disk_left_is_not_kept(tmp_path, monkeypatch):
    """The process goes on with the same store after a piece that could only be written in part."""
    file = tmp_path / "load.csv"
    meter = Meter()
    store = open_store(file)
    real = os.fsync
    calls = iter(range(1000))

    def full(descriptor):
        if next(calls) == 2:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        drive(harvest(PROFILE, store, lambda: 0.0, pace=Pace(rows=16, most=64)), meter)
    # The file is locked by the store; what it has still goes on from there.
    store.keep(meter.rows(last=1), [meter.rows(last=1)[0][0]])
    store.close()
    counted = json.loads(file.with_name("load.csv.cosemic").read_text())["octets"]
    assert file.stat().st_size == counted
    assert kept(file)[-1:] == texts(meter.rows(last=1))
    fetch(meter, file, since_last=False)
    assert sorted(kept(file)) == sorted(texts(meter.rows()))


def test_a_file_that_cannot_be_opened_or_written_is_an_error_of_the_system(tmp_path):
    with pytest.raises(OSError, match="cannot be opened"):
        open_store(tmp_path / "none" / "load.sqlite")
    file = tmp_path / "load.sqlite"
    store = open_store(file)
    meter = Meter()
    drive(harvest(PROFILE, store, lambda: 0.0), meter)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(f'DROP TABLE "{PROFILE}*255"')
    meter.now += timedelta(hours=1)
    rows = meter.rows(last=1)
    with closing(store), pytest.raises(OSError, match="cannot be written"):
        store.keep(rows, [rows[0][0]])


def test_the_pace_follows_the_line():
    pace = Pace(rows=100, seconds=10, least=4, most=1000)
    assert pace.next(100, 20.0) == 50
    assert pace.next(100, 1.0) == 400
    assert pace.next(100, 0.0) == 400
    assert pace.next(400, 0.1) == 1000
    assert pace.next(100, 10_000.0) == 4
