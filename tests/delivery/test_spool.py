"""The spool: what is in it comes out, in order, after any crash, and within its bounds."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cosemic.delivery.segments import HEAD, MAGIC
from cosemic.delivery.spool import Spool, SpoolError, SpoolFull, SpoolLimits

KILLS = 1000 if os.environ.get("COSEMIC_SOAK") else 100
SMALL = SpoolLimits(octets=1 << 19, segment=1 << 16)


def opened(folder: Path, *outputs: str, limits: SpoolLimits | None = None) -> Spool:
    spool = Spool(folder, limits, sync=False)
    spool.open()
    for output in outputs:
        spool.register(output)
    return spool


def everything(spool: Spool, output: str) -> list[bytes]:
    found: list[bytes] = []
    position = spool.register(output)
    while position < spool.end:
        records, position = spool.read(output, position, 7, 1 << 20)
        found += records
    return found


def test_what_is_put_in_comes_out_in_order_for_each_output(tmp_path: Path) -> None:
    spool = opened(tmp_path, "one", "two")
    records = [b"%d" % number for number in range(100)]
    spool.append(records[:60])
    spool.append(records[60:])
    assert everything(spool, "one") == records
    spool.acknowledge("one", 100)
    assert everything(spool, "two") == records
    spool.close()
    spool = opened(tmp_path, "one", "two")
    assert everything(spool, "one") == []
    assert everything(spool, "two") == records
    spool.close()


def test_a_new_output_begins_with_what_comes_next(tmp_path: Path) -> None:
    spool = opened(tmp_path, "one")
    spool.append([b"before"])
    spool.register("two")
    spool.append([b"after"])
    assert everything(spool, "one") == [b"before", b"after"]
    assert everything(spool, "two") == [b"after"]
    spool.close()


def test_what_every_output_has_is_removed(tmp_path: Path) -> None:
    spool = opened(tmp_path, "one", limits=SMALL)
    for number in range(40):
        spool.append([bytes(9000)])
        spool.acknowledge("one", number + 1)
    assert len(list(tmp_path.glob("*.spool"))) == 1
    assert spool.octets < 1 << 17
    assert spool.end == 40
    spool.close()


def test_a_full_spool_says_so_or_drops_the_oldest(tmp_path: Path) -> None:
    spool = opened(tmp_path, "one", limits=SMALL)
    count = 0
    while spool.octets + 10_006 + HEAD.size <= SMALL.octets:
        spool.append([b"%06d" % count + bytes(10_000)])
        count += 1
    with pytest.raises(SpoolFull):
        spool.append([bytes(10_006)])
    assert spool.octets <= SMALL.octets
    assert count == spool.end
    lost = spool.drop_oldest()
    assert 0 < lost["one"] <= 7
    spool.append([b"%06d" % count + bytes(10_000)])
    left = everything(spool, "one")
    assert [int(record[:6]) for record in left] == list(range(lost["one"], count + 1))
    spool.close()


def test_the_number_of_messages_is_bounded(tmp_path: Path) -> None:
    spool = opened(tmp_path, "one", limits=SpoolLimits(messages=10))
    spool.append([b"x"] * 10)
    with pytest.raises(SpoolFull):
        spool.append([b"y"])
    assert spool.drop_oldest() == {"one": 10}
    spool.append([b"y"])
    assert everything(spool, "one") == [b"y"]
    spool.close()


def test_one_record_larger_than_everything_passes_an_empty_spool(tmp_path: Path) -> None:
    spool = opened(tmp_path, "one", limits=SMALL)
    spool.append([bytes(1 << 20)])
    assert everything(spool, "one") == [bytes(1 << 20)]
    with pytest.raises(SpoolFull):
        spool.append([b"y"])
    spool.close()


def test_what_is_too_old_is_dropped_and_counted(tmp_path: Path) -> None:
    spool = opened(tmp_path, "one", "two", limits=SpoolLimits(age=60.0))
    spool.append([b"a", b"b"])
    spool.acknowledge("two", 2)
    newest = spool._segments[-1].newest
    assert spool.drop_expired(newest + 59) == {}
    assert spool.drop_expired(newest + 61) == {"one": 2}
    assert everything(spool, "one") == []
    spool.append([b"c"])
    assert everything(spool, "one") == [b"c"]
    spool.close()


def test_a_second_process_is_told(tmp_path: Path) -> None:
    spool = opened(tmp_path, "one")
    with pytest.raises(SpoolError, match="another process uses the spool"):
        Spool(tmp_path).open()
    spool.close()
    opened(tmp_path, "one").close()


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="make room or mend its rights"):
        Spool(tmp_path / "file" / "spool").open()


def test_a_file_cut_at_any_octet_gives_the_whole_records_before(tmp_path: Path) -> None:
    spool = opened(tmp_path / "whole", "one")
    records = [bytes((number,)) * (number + 1) for number in range(6)]
    spool.append(records)
    spool.close()
    (file,) = (tmp_path / "whole").glob("*.spool")
    octets = file.read_bytes()
    ends = [len(MAGIC)]
    for record in records:
        ends.append(ends[-1] + HEAD.size + len(record))
    for cut in range(len(octets) + 1):
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        (folder / file.name).write_bytes(octets[:cut])
        (folder / "positions.json").write_text('{"one": 0}')
        spool = opened(folder, "one")
        whole = max((index for index, end in enumerate(ends) if end <= cut), default=0)
        assert everything(spool, "one") == records[:whole]
        spool.append([b"after"])
        assert everything(spool, "one") == [*records[:whole], b"after"]
        spool.close()
        spool = opened(folder, "one")
        assert everything(spool, "one") == [*records[:whole], b"after"]
        spool.close()


def test_octets_that_have_changed_cost_the_records_they_are_in(tmp_path: Path) -> None:
    dice = random.Random(5)
    records = [b"%05d" % number + dice.randbytes(dice.randrange(300)) for number in range(50)]
    for _ in range(60):
        folder = tmp_path / str(dice.random())
        spool = opened(folder, "one")
        spool.append(records)
        spool.close()
        (file,) = folder.glob("*.spool")
        octets = bytearray(file.read_bytes())
        octets[dice.randrange(len(MAGIC), len(octets))] ^= 1 << dice.randrange(8)
        file.write_bytes(octets)
        spool = opened(folder, "one")
        found = everything(spool, "one")
        assert all(record in records for record in found)
        assert found == [record for record in records if record in found]
        assert found == records[: len(found)] or len(found) == len(records) - 1
        spool.append([b"after"])
        assert everything(spool, "one")[-1] == b"after"
        spool.close()


def test_damage_in_an_older_file_is_told_and_passed(tmp_path: Path) -> None:
    spool = opened(tmp_path, "one", limits=SMALL)
    for number in range(20):
        spool.append([b"%05d" % number + bytes(9_000)])
    spool.close()
    first = min(tmp_path.glob("*.spool"))
    octets = bytearray(first.read_bytes())
    octets[len(MAGIC) + 2] ^= 0xFF  # a length that leads nowhere
    first.write_bytes(octets)
    spool = opened(tmp_path, "one", limits=SMALL)
    found = everything(spool, "one")
    assert spool.damaged == 8
    assert [int(record[:5]) for record in found] == list(range(8, 20))
    spool.close()


def test_lost_positions_mean_once_more_and_not_never(tmp_path: Path) -> None:
    spool = opened(tmp_path, "one")
    spool.append([b"a", b"b"])
    spool.acknowledge("one", 2)
    spool.close()
    (tmp_path / "positions.json").write_bytes(b"\0" * 30)
    spool = opened(tmp_path, "one")
    assert everything(spool, "one") == [b"a", b"b"]
    spool.close()


def test_an_emptied_folder_gives_no_number_twice(tmp_path: Path) -> None:
    spool = opened(tmp_path, "one")
    spool.append([b"a", b"b"])
    spool.acknowledge("one", 2)
    spool.close()
    for file in tmp_path.glob("*.spool"):
        file.unlink()
    spool = opened(tmp_path, "one")
    spool.append([b"c"])
    assert everything(spool, "one") == [b"c"]
    assert spool.end == 3
    spool.close()


WRITER = """
import sys
from pathlib import Path
from cosemic.delivery.spool import Spool, SpoolLimits
spool = Spool(Path(sys.argv[1]), SpoolLimits(octets=1 << 20, segment=1 << 16), sync=False)
spool.open()
position = spool.register("one")
number = int(sys.argv[2])
out = sys.stdout.buffer
while True:
    size = number % 5
    records = [b"%08d" % (number + index) + bytes((number + index) * 37 % 1500) for index in range(size + 1)]
    spool.append(records)
    number += size + 1
    out.write(b"W%d\\n" % number)
    out.flush()
    found, position = spool.read("one", position, 4, 1 << 20)
    for record in found:
        out.write(b"R%d\\n" % int(record[:8]))
    out.flush()
    spool.acknowledge("one", position)
"""


def test_a_process_killed_at_any_moment_loses_nothing_that_it_said_it_had(tmp_path: Path) -> None:
    """Real processes, killed after a random number of lines: what was written is there, and comes in order."""
    dice = random.Random(11)
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    folder = tmp_path / "spool"
    taken: list[int] = []
    written = 0
    for _ in range(KILLS // 10):
        # One interpreter start for ten kills would hide nothing but the opening: so each is a process of its own.
        for _ in range(10):
            command = [sys.executable, "-c", WRITER, str(folder), str(written)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
            assert process.stdout is not None
            stop = dice.randrange(0, 120)
            lines: list[bytes] = []
            for _ in range(stop):
                lines.append(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            rest = process.stdout.read().splitlines(keepends=True)
            process.wait()
            process.stdout.close()
            for line in [*lines, *rest]:
                if line.endswith(b"\n") and line[:1] == b"W":
                    written = int(line[1:])
                elif line.endswith(b"\n") and line[:1] == b"R":
                    taken.append(int(line[1:]))
            # What was on its way when it was killed may be there too: then the next one goes on behind it.
            spool = Spool(folder, SpoolLimits(octets=1 << 20, segment=1 << 16), sync=False)
            spool.open()
            assert spool.end >= written
            position = spool.register("one")
            left, position = spool.read("one", position, 1 << 30, 1 << 30)
            while position < spool.end:
                more, position = spool.read("one", position, 1 << 30, 1 << 30)
                left += more
            numbers = [int(record[:8]) for record in left]
            assert all(record[8:] == bytes(number * 37 % 1500) for record, number in zip(left, numbers, strict=True))
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
            if numbers:
                assert numbers[-1] == spool.end - 1
            written = spool.end
            assert spool.damaged == 0
            spool.close()
    spool = Spool(folder, SpoolLimits(octets=1 << 20, segment=1 << 16), sync=False)
    spool.open()
    taken += [int(record[:8]) for record in everything(spool, "one")]
    spool.close()
    assert sorted(set(taken)) == list(range(written))
    assert json.loads((folder / "positions.json").read_text())["one"] <= written
