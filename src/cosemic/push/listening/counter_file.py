"""Invocation counters that were accepted, in a file: what was recorded before a restart is refused after it.

Each line is a name (of a sender and a key, without telling either) and the counter; the last line of a name counts. A
line is with the system before the message goes on, so that a killed process forgets none; after a power cut the last
seconds may be missing. The file is written anew when it is opened and when it has grown.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cosemic.errors import SecurityError
from cosemic.security.taken import MOST_PEERS

logger = logging.getLogger("cosemic.push")

_FIRST_LINE: Final = b"cosemic counters 1\n"
_LINE: Final = re.compile(rb"([0-9a-f]{32}) ([0-9]{1,10})")
_SPARE: Final = 50_000
"""Lines beyond one for each name, after which the file is written anew: about 2 MB."""


class CounterFile(MutableMapping[str, int]):
    """The ``counters`` of an ``Interpreter`` in a file. One process has it; SecurityError for others.

    SecurityError too for a file that is none of these. When the disk fails, counters are kept in memory and that is
    told; they are written as soon as that is possible.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._counters: dict[str, int] = {}
        self._descriptor = -1
        self._lock = -1
        self._lines = 0
        self._is_behind = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._load()
            self._write_anew()
        except OSError as error:
            self.close()
            raise SecurityError(
                f"the counters {path} cannot be kept: {error.strerror or error}; make room or mend its rights"
            ) from None
        except BaseException:
            self.close()
            raise

    def __getitem__(self, name: str) -> int:
        return self._counters[name]

    def __setitem__(self, name: str, counter: int) -> None:
        self._counters[name] = counter
        try:
            if self._is_behind or self._lines >= len(self._counters) + _SPARE:
                self._write_anew()
            else:
                self._append(b"%s %d\n" % (name.encode(), counter))
        except OSError as error:
            if not self._is_behind:
                logger.warning(
                    "the counters %s cannot be written: %s; a restart would forget them",
                    self.path, error.strerror or error,
                )  # fmt: skip
            self._is_behind = True

    def __delitem__(self, name: str) -> None:
        del self._counters[name]
        self._is_behind = True

    def __iter__(self) -> Iterator[str]:
        return iter(self._counters)

    def __len__(self) -> int:
        return len(self._counters)

    def close(self) -> None:
        """Have the disk take it all, and let go of the file."""
        if self._descriptor >= 0:
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                logger.warning("the counters %s cannot be written: %s", self.path, error.strerror or error)
            os.close(self._descriptor)
            self._descriptor = -1
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, line: bytes) -> None:
        if self._descriptor < 0:
            return
        begin = os.fstat(self._descriptor).st_size
        written = os.write(self._descriptor, line)
        if written != len(line):  # the disk is full: half a line would spoil the next one
            os.ftruncate(self._descriptor, begin)
            raise OSError("no space left on the device")
        self._lines += 1

    def _load(self) -> None:
        try:
            octets = self.path.read_bytes()
        except FileNotFoundError:
            return
        if not octets:
            return
        if not octets.startswith(_FIRST_LINE):
            raise SecurityError(f"{self.path} is no file of counters; name another one, or remove it")
        damaged = 0
        for line in octets[len(_FIRST_LINE) :].split(b"\n")[:-1]:  # behind the last end of a line is what a crash left
            match = _LINE.fullmatch(line)
            if match is None:
                damaged += 1
            elif len(self._counters) < MOST_PEERS or match[1].decode() in self._counters:
                self._counters[match[1].decode()] = int(match[2])
        if damaged:
            logger.warning("%s: %d lines are damaged, and left out", self.path, damaged)

    def _write_anew(self) -> None:
        if self._lock < 0:
            return  # it is closed
        fresh = self.path.with_name(self.path.name + ".new")
        with open(os.open(fresh, _FLAGS | os.O_TRUNC, 0o600), "wb") as file:
            file.write(_FIRST_LINE)
            file.writelines(b"%s %d\n" % (name.encode(), counter) for name, counter in self._counters.items())
            file.flush()
            os.fsync(file.fileno())
        self._is_behind = True
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        os.replace(fresh, self.path)
        self._descriptor = os.open(self.path, _FLAGS, 0o600)
        self._lines = len(self._counters)
        self._is_behind = False

    def _take_lock(self) -> None:
        self._lock = os.open(self.path.with_name(self.path.name + ".lock"), _FLAGS, 0o600)
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(self._lock, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SecurityError(f"another process uses {self.path}; give each its own folder") from None


_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
