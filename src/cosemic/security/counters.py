"""Stores of outgoing invocation counters: a number handed out once is never handed out again.

AES-GCM falls apart when one key seals two messages with one initialisation vector. So a counter is *reserved* before
it is used: the store writes down that a range is taken, and only then does anybody get to see its numbers. What dies
with a killed process is lost, not repeated. An unused tail can be given back, as long as nobody reserved since.

A counter belongs to a key and the system title that sends with it, whoever runs: ``key_id`` names the pair without
telling either. It is a truncated SHA-256, which is no help against keys of 128 random bits; a key that can be guessed
(the example keys of the books) can be recognised by it.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol, TypeVar

from cosemic.errors import SecurityError
from cosemic.security.suites import LAST_COUNTER

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

_T = TypeVar("_T")

FIRST_COUNTER = 1
_END = LAST_COUNTER + 1
_WAIT = 10.0  # seconds that one user of a store waits for the others


class CounterStore(Protocol):
    """Where outgoing invocation counters are kept. Each method is atomic against every other user of the store."""

    def reserve(self, key_id: str, count: int) -> range:
        """Take the next ``count`` counters, durably; fewer near the end of the 32 bits, SecurityError at the end."""
        ...

    def peek(self, key_id: str) -> int | None:
        """The next counter that would be handed out; None when none ever was."""
        ...

    def advance(self, key_id: str, to: int) -> None:
        """Let ``to`` be the next counter, unless the store is beyond it already."""
        ...

    def release(self, key_id: str, unused_from: int, reserved_end: int) -> bool:
        """Give back ``unused_from … reserved_end - 1``; done, and True, only if nobody reserved since."""
        ...


def key_id(system_title: bytes, key: bytes) -> str:
    """The name of a (sending system title, key) pair in a counter store."""
    return hashlib.sha256(b"cosemic counter" + system_title + key).hexdigest()[:32]


class MemoryCounters:
    """Counters that end with the process: for tests, simulated meters, and keys that are fresh anyway.

    ``limit`` bounds how many keys are remembered; beyond it the oldest is forgotten. Usable from several threads.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._process = os.getpid()
        # The table waits in a queue of one place; whoever takes it out has it alone, as with a lock.
        self._place: SimpleQueue[dict[str, int]] = SimpleQueue()
        self._place.put({})

    def reserve(self, key_id: str, count: int) -> range:
        """Take the next ``count`` counters."""
        _check_count(count)
        if os.getpid() != self._process:
            raise SecurityError("counters in memory cannot be shared with a forked process; use SqliteCounters")
        table = self._place.get()
        try:
            start = table.get(key_id, FIRST_COUNTER)
            if start >= _END:
                raise _exhausted()
            end = min(start + count, _END)
            table[key_id] = end
            if self._limit is not None and len(table) > self._limit:
                del table[next(iter(table))]
        finally:
            self._place.put(table)
        return range(start, end)

    def peek(self, key_id: str) -> int | None:
        """The next counter; None when none was handed out."""
        table = self._place.get()
        try:
            return table.get(key_id)
        finally:
            self._place.put(table)

    def advance(self, key_id: str, to: int) -> None:
        """Let ``to`` be the next counter, unless it is lower."""
        _check_advance(to)
        table = self._place.get()
        try:
            table[key_id] = max(table.get(key_id, FIRST_COUNTER), to)
        finally:
            self._place.put(table)

    def release(self, key_id: str, unused_from: int, reserved_end: int) -> bool:
        """Give an unused tail back if nobody reserved since."""
        table = self._place.get()
        try:
            if unused_from >= reserved_end or table.get(key_id) != reserved_end:
                return False
            table[key_id] = unused_from
            return True
        finally:
            self._place.put(table)


class SqliteCounters:
    """Counters in an SQLite file, shared by every process and thread of the user.

    A reservation returns after it is on the disk (synchronous=FULL; a rollback journal, not a write-ahead log, since
    that one cannot be shared over a network file system). Any failure, such as a full disk, a file that cannot be
    written or is damaged, or another process that holds it for longer than ``wait`` seconds, is a SecurityError, and no
    counter is handed out. Folder and file are readable by their owner only.

    ``path`` defaults to ``counters.sqlite3`` in the state folder (see ``state_folder``).
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, wait: float = _WAIT) -> None:
        self.path = Path(path) if path is not None else state_folder() / "counters.sqlite3"
        self._wait = wait
        self._process = -1
        self._place: SimpleQueue[sqlite3.Connection | None] = SimpleQueue()
        self._enter_process()

    def __repr__(self) -> str:
        return f"SqliteCounters({str(self.path)!r})"

    def reserve(self, key_id: str, count: int) -> range:
        """Take the next ``count`` counters; they are on the disk as taken when this returns."""
        _check_count(count)

        def work(connection: sqlite3.Connection) -> range:
            row = connection.execute("SELECT next FROM counters WHERE key_id = ?", (key_id,)).fetchone()
            start = _stored(row[0]) if row else FIRST_COUNTER
            if start >= _END:
                raise _exhausted()
            end = min(start + count, _END)
            connection.execute(
                "INSERT INTO counters (key_id, next) VALUES (?, ?) ON CONFLICT (key_id) DO UPDATE SET next = ?",
                (key_id, end, end),
            )
            return range(start, end)

        return self._transact(work)

    def peek(self, key_id: str) -> int | None:
        """The next counter; None when none was handed out."""

        def work(connection: sqlite3.Connection) -> int | None:
            row = connection.execute("SELECT next FROM counters WHERE key_id = ?", (key_id,)).fetchone()
            return _stored(row[0]) if row else None

        return self._transact(work)

    def advance(self, key_id: str, to: int) -> None:
        """Let ``to`` be the next counter, unless it is lower."""
        _check_advance(to)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO counters (key_id, next) VALUES (?, ?) "
                "ON CONFLICT (key_id) DO UPDATE SET next = max(next, excluded.next)",
                (key_id, max(to, FIRST_COUNTER)),
            )

        self._transact(work)

    def release(self, key_id: str, unused_from: int, reserved_end: int) -> bool:
        """Give an unused tail back if nobody reserved since."""
        if unused_from >= reserved_end:
            return False

        def work(connection: sqlite3.Connection) -> bool:
            cursor = connection.execute(
                "UPDATE counters SET next = ? WHERE key_id = ? AND next = ?", (unused_from, key_id, reserved_end)
            )
            return cursor.rowcount == 1

        return self._transact(work)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._enter_process()
        connection = self._take()
        self._place.put(None)
        if connection is not None:
            connection.close()

    def _transact(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run ``work`` in one write transaction. What it returns counts only after the commit."""
        import sqlite3  # most users of the package never touch a counter

        if os.getpid() != self._process:
            self._enter_process()
        connection = self._take()
        try:
            if connection is None:
                connection = self._open()
            # IMMEDIATE: to read first and then ask for the write lock can fail without waiting.
            connection.execute("BEGIN IMMEDIATE")
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException as error:
            # Closing rolls back. The state of a connection after a failed commit is not worth trusting.
            if connection is not None:
                connection.close()
                connection = None
            if isinstance(error, (sqlite3.Error, OSError)):
                raise SecurityError(
                    f"the invocation counters in {self.path} cannot be used ({error}); nothing was sent with an "
                    "unrecorded counter"
                ) from error
            raise
        finally:
            self._place.put(connection)
        return result

    def _take(self) -> sqlite3.Connection | None:
        try:
            return self._place.get(timeout=self._wait)
        except Empty:
            raise SecurityError(f"the invocation counters in {self.path} are in use for too long") from None

    def _enter_process(self) -> None:
        """After a fork the parent's connection must not be used, nor closed, and its lock may never come back."""
        process = os.getpid()
        if process == self._process:
            return
        place: SimpleQueue[sqlite3.Connection | None] = SimpleQueue()
        place.put(None)
        _INHERITED.append(self._place)
        self._place = place
        self._process = process

    def _open(self) -> sqlite3.Connection:
        import sqlite3

        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made here and not by SQLite, so that it is never readable by others; the journal takes over its mode.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self.path, timeout=self._wait, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_mode = TRUNCATE")
            connection.execute("BEGIN IMMEDIATE")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                connection.execute("CREATE TABLE counters (key_id TEXT PRIMARY KEY, next INTEGER NOT NULL)")
                connection.execute(f"PRAGMA user_version = {_SCHEMA}")
            elif version != _SCHEMA:
                raise SecurityError(f"{self.path} was written by a newer cosemic (layout {version}); update this one")
            connection.execute("COMMIT")
        except BaseException:
            connection.close()
            raise
        return connection


def state_folder() -> Path:
    """The user's folder for state: ``$COSEMIC_STATE``, else where the platform keeps such things."""
    override = os.environ.get("COSEMIC_STATE")
    if override:
        return Path(override)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "cosemic"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "cosemic"
    state = os.environ.get("XDG_STATE_HOME", "")
    # The XDG base directory specification wants relative paths ignored.
    return (Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state") / "cosemic"


def default_counters() -> SqliteCounters:
    """The store in the state folder, one object for the whole process."""
    path = state_folder() / "counters.sqlite3"
    return _DEFAULTS.setdefault(path, SqliteCounters(path))


_SCHEMA = 1
_DEFAULTS: dict[Path, SqliteCounters] = {}
_INHERITED: list[object] = []  # kept, for collecting an inherited connection would close it


def _check_count(count: int) -> None:
    if count < 1:
        raise ValueError(f"at least one counter must be reserved, not {count}")


def _check_advance(to: int) -> None:
    if not 0 <= to <= _END:
        raise ValueError(f"an invocation counter has 32 bits: {to} is none")


def _stored(value: object) -> int:
    if not isinstance(value, int) or not FIRST_COUNTER <= value <= _END:
        raise SecurityError(
            "the stored invocation counter is damaged; set it beyond the last one that the meter has seen"
        )
    return value


def _exhausted() -> SecurityError:
    return SecurityError("the invocation counters of this key are used up (32 bits): the meter needs a new key")
