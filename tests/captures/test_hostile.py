"""Files that were made to take memory or time, or to make a writer fail."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cosemic.captures import CaptureFormat, Chunk, Direction, RecordingWriter, open_capture, write_capture
from cosemic.captures.recording import HEADER, format_record
from cosemic.errors import DecodeError

AT = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
RECORD = "2026-11-25T08:00:00+00:00 tcp://192.0.2.1:1 < "


@contextmanager
def no_hang(seconds: int = 20) -> Iterator[None]:
    """An alarm where there is one: a search that takes hours must not stop the tests."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def ring(number: int, frame: object) -> None:
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("tail", ["x", "7E x", "#", "# cut short", ""])
def test_a_line_of_blanks_takes_no_time(tail: str) -> None:
    text = f"{HEADER}\n{RECORD}{' ' * 200_000}{tail}\n{RECORD}7EA0\n"
    with no_hang():
        chunks = list(open_capture(text.encode()))
    assert chunks[-1].octets == b"\x7e\xa0"


@pytest.mark.parametrize("tail", ["7EA0", " 7E A0 ", "7EA0 # why", "7EA0#why"])
def test_what_stands_behind_a_record(tail: str) -> None:
    (chunk,) = open_capture(f"{HEADER}\n{RECORD}{tail}\n".encode())
    assert chunk.octets == b"\x7e\xa0"


def test_lines_that_repeat_are_bounded_all_together() -> None:
    lines = ["00000000  7e a0 7e a0 7e a0 7e a0  7e a0 7e a0 7e a0 7e a0", "*"]
    for number in range(1, 6):
        lines += [f"{number * (60 << 20):08x}  7e a0 7e a0 7e a0 7e a0  7e a0 7e a0 7e a0 7e a0", "*"]
    with pytest.raises(DecodeError, match="64 MiB"):
        list(open_capture("\n".join(lines).encode()))


def test_the_end_of_all_times() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    file = io.BytesIO()
    chunks = [
        Chunk(last, "tcp://192.0.2.1:1", Direction.RECEIVED, b"\x7e"),
        Chunk(None, "", Direction.UNKNOWN, b"", "a note", is_gap=True),
        Chunk(None, "tcp://192.0.2.1:1", Direction.RECEIVED, b"\xa0"),
    ]
    for kind in CaptureFormat:
        write_capture(file, kind, chunks)
    assert file.getvalue()


def test_a_port_of_many_digits() -> None:
    chunk = Chunk(AT, "tcp://192.0.2.1:" + "9" * 5000, Direction.RECEIVED, b"\x7e")
    file = io.BytesIO()
    write_capture(file, CaptureFormat.PCAPNG, [chunk])
    assert [found.octets for found in open_capture(file.getvalue())] == [b"\x7e"]


def test_a_rotation_that_fails_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "meter.rec"
    blocked = tmp_path / "meter.rec.1"
    (blocked / "inside").mkdir(parents=True)
    with RecordingWriter(path, rotate_at=100, keep=1) as recording:
        recording.write(AT, "tcp://192.0.2.1:1", "<", b"\x01" * 30)
        for _ in range(2):
            with pytest.raises(OSError):
                recording.write(AT, "tcp://192.0.2.1:1", "<", b"\x02" * 30)
        recording.comment("still here")
        (blocked / "inside").rmdir()
        blocked.rmdir()
        recording.write(AT, "tcp://192.0.2.1:1", "<", b"\x03" * 30)
    assert [chunk.octets for chunk in open_capture(path)] == [b"\x03" * 30]
    assert [chunk.octets for chunk in open_capture(blocked)] == [b"\x01" * 30]
    with pytest.raises(ValueError, match="closed"):
        recording.write(AT, "tcp://192.0.2.1:1", "<", b"")


@pytest.mark.skipif(os.name != "posix", reason="modes of files")
def test_a_file_that_others_could_read_becomes_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "meter.rec"
    path.write_text(f"{HEADER}\n{format_record(AT, 'tcp://192.0.2.1:1', '<', b'x')}\n")
    path.chmod(0o644)
    RecordingWriter(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
