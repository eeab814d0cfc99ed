"""The text of recordings: nothing is lost, and a torn end costs one record."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.captures import Chunk, Direction, RecordingWriter, read_recording
from cosemic.captures.recording import HEADER, format_record

AT = datetime(2026, 11, 25, 8, 0, 0, 123456, UTC)


def read(path) -> list[Chunk]:
    with path.open("rb") as file:
        return list(read_recording(file))


def test_a_recording_is_text_that_people_can_read(tmp_path) -> None:
    path = tmp_path / "meter.rec"
    with RecordingWriter(path) as writer:
        writer.write(AT, "tcp://192.0.2.1:1234", Direction.RECEIVED, b"\x7e\xa0")
        writer.write(AT, "tcp://192.0.2.1:1234", ">", b"")
    assert path.read_text() == (
        "# cosemic recording 1\n"
        "2026-11-25T08:00:00.123456+00:00 tcp://192.0.2.1:1234 < 7EA0\n"
        "2026-11-25T08:00:00.123456+00:00 tcp://192.0.2.1:1234 >\n"
    )
    assert read(path) == [
        Chunk(AT, "tcp://192.0.2.1:1234", Direction.RECEIVED, b"\x7e\xa0"),
        Chunk(AT, "tcp://192.0.2.1:1234", Direction.SENT, b""),
    ]


@given(
    st.lists(
        st.tuples(
            st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-3, minutes=-30))])),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=30).filter(lambda text: text != "-"),
            st.sampled_from([Direction.RECEIVED, Direction.SENT]),
            st.binary(max_size=300),
        ),
        max_size=5,
    )
)
def test_what_is_written_is_read(records) -> None:
    text = "".join(f"{line}\n" for line in (HEADER, *(format_record(*record) for record in records)))
    assert list(read_recording(io.BytesIO(text.encode()))) == [Chunk(*record) for record in records]


def test_every_cut_loses_no_more_than_the_last_record(tmp_path) -> None:
    path = tmp_path / "meter.rec"
    with RecordingWriter(path) as writer:
        for number in range(3):
            writer.write(AT, "serial:///dev/ttyUSB0", "<", bytes((number,)) * 3)
    whole, records = path.read_bytes(), read(path)
    for cut in range(len(HEADER) + 1, len(whole)):
        found = list(read_recording(io.BytesIO(whole[:cut])))
        complete = whole[:cut].count(b"\n") - 1
        assert found[:complete] == records[:complete]
        torn = found[complete:]
        assert len(torn) == (whole[cut - 1 : cut] != b"\n")
        assert all(not chunk.octets and "stopped" in chunk.note and chunk.is_gap for chunk in torn)


def test_writing_goes_on_behind_a_torn_record_without_taking_it_for_a_whole_one(tmp_path) -> None:
    path = tmp_path / "meter.rec"
    with RecordingWriter(path) as writer:
        writer.write(AT, "serial://", "<", b"\x01\x02\x03\x04")
    path.write_bytes(path.read_bytes()[:-5])  # two octets less, an even number of digits
    with RecordingWriter(path) as writer:
        writer.write(AT, "serial://", "<", b"\x05")
    first, second = read(path)
    assert first.octets == b""
    assert "left out" in first.note
    assert second.octets == b"\x05"


def test_a_killed_process_leaves_what_it_has_written(tmp_path) -> None:
    path = tmp_path / "meter.rec"
    script = """
        import sys
        from datetime import datetime, UTC
        from cosemic.captures import RecordingWriter
        writer = RecordingWriter(sys.argv[1])
        number = 0
        while True:
            writer.write(datetime.now(UTC), "tcp://192.0.2.1:1", "<", number.to_bytes(4, "big") * 50)
            number += 1
            print(number, flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) > 200:
            break
    process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    process.stdout.close()
    process.wait(10)
    chunks = [chunk for chunk in read(path) if chunk.octets]
    assert len(chunks) > 200
    assert [chunk.octets for chunk in chunks] == [number.to_bytes(4, "big") * 50 for number in range(len(chunks))]


def test_rotation_keeps_whole_files(tmp_path) -> None:
    path = tmp_path / "meter.rec"
    with RecordingWriter(path, rotate_at=200, keep=2) as writer:
        for number in range(10):
            writer.write(AT, "serial://", "<", bytes((number,)) * 20)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["meter.rec", "meter.rec.1", "meter.rec.2"]
    found = [chunk.octets[0] for name in reversed(names) for chunk in read(tmp_path / name)]
    assert found == list(range(10))[-len(found) :]
    assert all((tmp_path / name).stat().st_size <= 200 for name in names)


@pytest.mark.skipif(os.name == "nt", reason="no file modes there")
def test_others_cannot_read_a_recording(tmp_path) -> None:
    RecordingWriter(tmp_path / "meter.rec").close()
    assert stat.S_IMODE((tmp_path / "meter.rec").stat().st_mode) == 0o600


def test_another_file_is_left_as_it_is(tmp_path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir\n")
    with pytest.raises(ValueError, match="no recording"):
        RecordingWriter(path)
    assert path.read_text() == "Dear Sir\n"


def test_what_cannot_be_recorded_is_refused(tmp_path) -> None:
    with RecordingWriter(tmp_path / "meter.rec") as writer:
        with pytest.raises(ValueError, match="offset"):
            writer.write(AT.replace(tzinfo=None), "serial://", "<", b"")
        with pytest.raises(ValueError, match="received"):
            writer.write(AT, "serial://", Direction.UNKNOWN, b"")
    with pytest.raises(ValueError, match="closed"):
        writer.write(AT, "serial://", "<", b"")


def test_damaged_and_endless_lines_are_told_and_passed_over() -> None:
    record = format_record(AT, "serial://", "<", b"\x01")
    text = f"{HEADER}\nnonsense\n# a comment\n\n{record}\n{'7' * (9 << 20)}\n{record} # good\n{record[:-1]}\n"
    found = list(read_recording(io.BytesIO(text.encode())))
    assert [chunk.octets for chunk in found] == [b"", b"\x01", b"", b"\x01", b""]
    assert ["line 2" in found[0].note, "too long" in found[2].note, "is no record" in found[4].note] == [True] * 3
