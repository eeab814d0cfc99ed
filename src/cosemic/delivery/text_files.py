"""Files of lines that only grow: opened, appended to as a whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from cosemic.delivery.outputs import OutputClosed, OutputUnavailable


class LineFile:
    """A file, or standard output, that takes whole lines. Blocking: for use in a thread.

    Half a line that an earlier process left at the end is taken off; its record is offered again by the spool. What
    does not fit on the disk is taken back, so that no line is ever cut.
    """

    def __init__(self, path: Path | None, *, sync: bool = False) -> None:
        self.path = path
        self._sync = sync
        self._descriptor = -1
        self._is_plain = False
        self._line_begins = True

    @property
    def where(self) -> str:
        """The file as messages name it."""
        return "standard output" if self.path is None else str(self.path)

    def open(self) -> bytes:
        """Open it, if it is not, and give its first line, empty where there is none; may raise OutputUnavailable."""
        if self._descriptor >= 0:
            return b""
        if self.path is None:
            self._descriptor = sys.stdout.fileno()
            return b""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o644)
        except OSError as error:
            raise self._unavailable(error) from None
        self._is_plain = stat.S_ISREG(os.fstat(descriptor).st_mode)
        try:
            first = self._mend(descriptor) if self._is_plain else b""
        except OSError as error:
            os.close(descriptor)
            raise self._unavailable(error) from None
        self._descriptor = descriptor
        return first

    def append(self, lines: bytes) -> None:
        """Write whole lines; OutputUnavailable when they are not all there, OutputClosed when nobody reads any more."""
        self.open()
        if not lines:
            return
        before = os.fstat(self._descriptor).st_size if self._is_plain else 0
        try:
            view = memoryview(lines)
            while view:
                view = view[os.write(self._descriptor, view) :]
            if self._sync and self._is_plain:
                os.fsync(self._descriptor)
        except BrokenPipeError:
            raise OutputClosed(f"nobody reads {self.where} any more") from None
        except OSError as error:
            if self._is_plain:
                os.ftruncate(self._descriptor, before)
            raise self._unavailable(error) from None

    def close(self) -> None:
        """Close the file; standard output stays open."""
        if self._descriptor >= 0 and self.path is not None:
            os.close(self._descriptor)
        self._descriptor = -1

    def _mend(self, descriptor: int) -> bytes:
        size = os.fstat(descriptor).st_size
        end = size
        while end:  # back to the end of the last whole line
            begin = max(0, end - _PIECE)
            at = os.pread(descriptor, end - begin, begin).rfind(b"\n")
            if at >= 0:
                end = begin + at + 1
                break
            end = begin
        if end != size:
            os.ftruncate(descriptor, end)
        return os.pread(descriptor, _PIECE, 0).split(b"\n", 1)[0] if end else b""

    def _unavailable(self, error: OSError) -> OutputUnavailable:
        return OutputUnavailable(
            f"{self.where} cannot be written: {error.strerror or error}; make room or mend its rights"
        )


_PIECE = 65536
