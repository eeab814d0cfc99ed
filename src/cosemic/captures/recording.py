r"""Recordings: what came over a line, as text that can be read, pasted and cut by hand.

The first line names the format, every further one holds a chunk, a comment, or nothing::

    # cosemic recording 1
    2026-11-25T08:00:00.123456+00:00 tcp://192.0.2.1:1234 < 7EA0...
    2026-11-25T08:00:00.201004+00:00 tcp://192.0.2.1:1234 > 7EA0...

Time with its offset from UTC, source (a URL, blanks and control characters as %XX), direction (``<`` received, ``>``
sent), octets in hexadecimal. Nothing is left out or put together. A record is complete when its line has an end, so
that a killed process, or a full disk, costs its last record only; see :class:`RecordingWriter`.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import quote, unquote

from cosemic.captures.chunks import Chunk, Direction

HEADER = "# cosemic recording 1"
_CUT = "# cut short"
_PRINTABLE = "".join(chr(code) for code in range(33, 127) if chr(code) != "%")
_RECORD = re.compile(
    rb"(?P<at>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}(?:[+-][0-9:]{5,8}|Z)) +(?P<source>[!-~]+) +(?P<direction>[<>])"
    rb"(?P<octets>[0-9A-Fa-f ]*+)(?:#(?P<comment>.*))?"
)
_LONGEST_LINE = 4 << 20


def format_record(at: datetime, source: str, direction: Direction | str, octets: bytes) -> str:
    """One record without its line end. ValueError for a time without an offset, or no direction."""
    if at.tzinfo is None:
        raise ValueError("the time of a record needs an offset from UTC")
    sign = Direction(direction)
    if sign is Direction.UNKNOWN:
        raise ValueError("a record is received (<) or sent (>)")
    return f"{at.isoformat(timespec='microseconds')} {_quoted(source)} {sign.value} {octets.hex().upper()}".rstrip()


class RecordingWriter:
    """Appends to a recording, one write to the operating system for each record; rotates by size where asked to.

    ``rotate_at`` octets close the file: it becomes ``PATH.1``, that one ``PATH.2``, up to ``keep``; older ones go. The
    files can be read by their owner only, as they hold personal data; one that is there already is made so where it is
    ours. OSError as the file system gives it, each time; the next record is tried again and what was half written is
    marked as such.
    """

    def __init__(self, path: str | os.PathLike[str], *, rotate_at: int | None = None, keep: int = 4) -> None:
        if rotate_at is not None and rotate_at < 1:
            raise ValueError("a recording cannot rotate at less than an octet")
        if keep < 1:
            raise ValueError("at least one older recording is kept")
        self.path = Path(path)
        self._rotate_at = rotate_at
        self._keep = keep
        self._descriptor = -1
        self._size = 0
        self._is_torn = False
        self._is_closed = False
        self._open()

    def write(self, at: datetime, source: str, direction: Direction | str, octets: bytes) -> None:
        """Append what came (``<``) or went (``>``). ValueError as of :func:`format_record`; OSError."""
        line = format_record(at, source, direction, octets) + "\n"
        self._reopen()
        if self._rotate_at is not None and self._size > len(HEADER) + 1 and self._size + len(line) > self._rotate_at:
            self._rotate()
        self._append(line)

    def comment(self, text: str) -> None:
        """Append a line for people. ValueError, OSError as of :meth:`write`."""
        self._reopen()
        self._append("".join(f"# {line}\n" for line in text.splitlines()))

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._is_closed = True
        self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _release(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _reopen(self) -> None:
        """Open the file where an error left it closed."""
        if self._is_closed:
            raise ValueError("the recording is closed")
        if self._descriptor < 0:
            self._open()

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
        self._descriptor = os.open(self.path, flags, 0o600)
        try:
            status = os.fstat(self._descriptor)
            self._size = status.st_size
            if os.name == "posix" and stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                os.fchmod(self._descriptor, 0o600)
            if not self._size:
                self._append(f"{HEADER}\n")
                return
            with self.path.open("rb") as file:
                if not is_recording(file.read(len(HEADER) + 1)):
                    raise ValueError(f"{self.path} is there and no recording; it is left as it is")
                file.seek(-1, os.SEEK_END)
                self._is_torn = file.read(1) != b"\n"
        except BaseException:
            self._release()
            raise

    def _append(self, line: str) -> None:
        octets = (f" {_CUT}\n{line}" if self._is_torn else line).encode("utf-8", "replace")
        while octets:
            self._is_torn = True
            written = os.write(self._descriptor, octets)
            self._size += written
            octets = octets[written:]
        self._is_torn = False

    def _rotate(self) -> None:
        self._release()
        try:
            for number in range(self._keep, 0, -1):
                older = self._numbered(number - 1) if number > 1 else self.path
                if older.exists():
                    os.replace(older, self._numbered(number))
        finally:
            self._open()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def is_recording(beginning: bytes) -> bool:
    """Whether a file that begins so is a recording."""
    return beginning.removeprefix(b"\xef\xbb\xbf").startswith(HEADER.rpartition(" ")[0].encode())


def read_recording(file: BinaryIO) -> Iterator[Chunk]:
    """The chunks of a recording that is open for reading octets.

    Damaged lines become notes; so does the last one when it has no end. Reads as it goes, with bounded memory.
    """
    number = 0
    skipped = False  # amid a line that is too long
    while line := file.readline(_LONGEST_LINE):
        is_whole = line.endswith(b"\n")
        if skipped:
            skipped = not is_whole
            continue
        number += 1
        text = line.strip().removeprefix(b"\xef\xbb\xbf")
        if not text or text.startswith(b"#"):
            continue
        chunk = _record(text) if is_whole else None
        if chunk is None:
            skipped = not is_whole and len(line) == _LONGEST_LINE
            why = (
                "is no record" if is_whole else "is too long" if skipped else "has no end: the writer was stopped there"
            )
            yield Chunk(None, "", Direction.UNKNOWN, b"", f"line {number} of the recording {why}; it is left out", True)
            continue
        yield chunk


def _record(text: bytes) -> Chunk | None:
    match = _RECORD.fullmatch(text)
    if match is None or (match["comment"] or b"").strip() == _CUT.encode()[2:]:
        return None
    try:
        return Chunk(
            datetime.fromisoformat(match["at"].decode("ascii")),
            unquote(match["source"].decode("ascii")) if match["source"] != b"-" else "",
            Direction(match["direction"].decode("ascii")),
            bytes.fromhex(match["octets"].decode("ascii")),
        )
    except ValueError:
        return None


def _quoted(source: str) -> str:
    return quote(source, safe=_PRINTABLE) or "-"
