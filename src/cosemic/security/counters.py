"""Stores of outgoing invocation counters: a number handed out once is never handed out again.

AES-GCM falls apart when one key seals two messages with one initialisation vector. So a counter is *reserved* before
it is used: the store writes down that a range is taken, and only then does anybody get to see its numbers. What dies
with a killed process is lost, not repeated. An unused tail can be given back, as long as nobody reserved since.

A counter belongs to a key and the system title that sends with it, whoever runs: ``key_id`` names the pair without
telling either. It is a truncated SHA-256, which is no help against keys of 128 random bits; a key that can be guessed
(the example keys of the books) can be recognised by it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
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
    that one cannot be shared over a network file system). Any failure is a SecurityError that says what to do, and no
    counter is handed out: a full disk, a file that cannot be written, is cut short, damaged, removed or replaced while
    it is in use, or that another process holds for longer than ``wait`` seconds. Each row has a digest, for SQLite does
    not notice every damage. Folder and file are readable by their owner only.

    ``path`` defaults to ``counters.sqlite3`` in the state folder (see ``state_folder``). What cannot be noticed is an
    older copy of the file put in place of it while nobody uses it: never restore one without moving its counters on.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, *, wait: float = _WAIT) -> None:
        self.path = Path(path) if path is not None else state_folder() / "counters.sqlite3"
        self._wait = wait
        self._process = -1
        self._identity: tuple[int, int] | None = None
        self._place: SimpleQueue[sqlite3.Connection | None] = SimpleQueue()
        self._enter_process()

    def __repr__(self) -> str:
        return f"SqliteCounters({str(self.path)!r})"

    def reserve(self, key_id: str, count: int) -> range:
        """Take the next ``count`` counters; they are on the disk as taken when this returns."""
        _check_count(count)

        def work(connection: sqlite3.Connection) -> range:
            stored = _get(connection, key_id)
            start = FIRST_COUNTER if stored is None else stored
            if start >= _END:
                raise _exhausted()
            end = min(start + count, _END)
            _put(connection, key_id, end)
            return range(start, end)

        return self._transact(work)

    def peek(self, key_id: str) -> int | None:
        """The next counter; None when none was handed out."""
        return self._transact(lambda connection: _get(connection, key_id))

    def advance(self, key_id: str, to: int) -> None:
        """Let ``to`` be the next counter, unless it is lower."""
        _check_advance(to)

        def work(connection: sqlite3.Connection) -> None:
            _put(connection, key_id, max(to, _get(connection, key_id) or FIRST_COUNTER))

        self._transact(work)

    def release(self, key_id: str, unused_from: int, reserved_end: int) -> bool:
        """Give an unused tail back if nobody reserved since."""
        if unused_from >= reserved_end:
            return False

        def work(connection: sqlite3.Connection) -> bool:
            if _get(connection, key_id) != reserved_end:
                return False
            _put(connection, key_id, unused_from)
            return True

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
            # Looked at last: what was written into a file that is not there any more, nobody else will find.
            self._check_identity()
        except BaseException as error:
            # Closing rolls back. The state of a connection after a failed commit is not worth trusting.
            if connection is not None:
                connection.close()
                connection = None
            # The last: SQLite quotes a damaged schema in octets that are no text.
            if isinstance(error, (sqlite3.Error, OSError, UnicodeDecodeError)):
                if self._identity is not None:
                    self._check_identity()  # SQLite calls a file that was removed "readonly"
                raise SecurityError(
                    f"the invocation counters in {self.path} cannot be used ({error}); nothing was sent with an "
                    f"unrecorded counter; {_remedy(error)}"
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

        self._make_file()
        connection = sqlite3.connect(self.path, timeout=self._wait, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_mode = TRUNCATE")
            connection.execute("BEGIN IMMEDIATE")
            _check_layout(connection, self.path)
            _check_rows(connection)
            connection.execute("COMMIT")
            self._check_identity()
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_file(self) -> None:
        """See that the file is there. A new one appears under its name complete, so an empty one was cut short."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(self.path, os.O_RDWR))
        except FileNotFoundError:
            # The journal comes after the file; where another process made both just now, the file is there too.
            if self._identity is not None or (self._journal.exists() and not self.path.exists()):
                raise SecurityError(self._missing("is missing")) from None
            self._make_new_file()
        if not self.path.stat().st_size:
            raise SecurityError(self._missing("is empty, so it was cut short"))

    def _make_new_file(self) -> None:
        new = self.path.with_name(f"{self.path.name}.{secrets.token_hex(8)}.new")
        try:
            _make_table(new, self._wait)
            # Neither replaces a file that is there.
            (os.rename if sys.platform == "win32" else os.link)(new, self.path)
        except FileExistsError:
            pass  # another process was faster
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # A file system without links: whoever comes in between finds an empty file, says so, and uses none.
            with contextlib.suppress(FileExistsError):
                _make_table(self.path, self._wait)
        finally:
            for left in (new, new.with_name(f"{new.name}-journal")):
                left.unlink(missing_ok=True)

    @property
    def _journal(self) -> Path:
        return self.path.with_name(f"{self.path.name}-journal")

    def _check_identity(self) -> None:
        """SecurityError when the file that is open is not the one under its name any more."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            raise SecurityError(self._missing("was removed while it was in use")) from None
        identity = (status.st_dev, status.st_ino)
        if self._identity is None:
            self._identity = identity
        elif identity != self._identity:
            raise SecurityError(self._missing("was replaced by another while it was in use"))

    def _missing(self, what: str) -> str:
        return (
            f"the file of invocation counters {self.path} {what}; nothing was sent with an unrecorded counter; {_LOST} "
            f"Then start anew by removing {self._journal.name} too, if it is there"
        )


def _make_table(path: Path, wait: float) -> None:
    import sqlite3

    # Made here and not by SQLite, so that it is never readable by others; the journal takes over its mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(path, timeout=wait, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_TABLE)
        connection.execute(f"PRAGMA user_version = {_SCHEMA}")
        connection.execute("COMMIT")
    finally:
        connection.close()


def _check_layout(connection: sqlite3.Connection, path: Path) -> None:
    """See that the table has the layout of today; one of version 1 gets its digests."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == _SCHEMA:
        return
    if version != 1:
        if version > _SCHEMA:
            raise SecurityError(f"{path} was written by a newer cosemic (layout {version}); update this one")
        raise SecurityError(f"the file of invocation counters {path} is damaged (no layout); {_LOST}")
    rows = connection.execute("SELECT key_id, next FROM counters").fetchall()
    connection.execute("DROP TABLE counters")
    connection.execute(_TABLE)
    for key_id, value in rows:
        _put(connection, key_id, _stored(value))
    connection.execute(f"PRAGMA user_version = {_SCHEMA}")


def _check_rows(connection: sqlite3.Connection) -> None:
    """SecurityError when anything in the file is damaged, so that a key is not taken for one never used."""
    if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
        raise SecurityError(f"the file of invocation counters is damaged; {_LOST}")
    for key_id, value, check in connection.execute("SELECT key_id, next, digest FROM counters"):
        _checked(key_id, value, check)


def _get(connection: sqlite3.Connection, key_id: str) -> int | None:
    row = connection.execute("SELECT next, digest FROM counters WHERE key_id = ?", (key_id,)).fetchone()
    return None if row is None else _checked(key_id, *row)


def _put(connection: sqlite3.Connection, key_id: str, value: int) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO counters (key_id, next, digest) VALUES (?, ?, ?)",
        (key_id, value, _row_digest(key_id, value)),
    )


def _checked(key_id: object, value: object, digest: object) -> int:
    counter = _stored(value)
    if not isinstance(key_id, str) or digest != _row_digest(key_id, counter):
        raise SecurityError(f"a stored invocation counter is damaged; {_LOST}")
    return counter


def _row_digest(key_id: str, value: int) -> bytes:
    return hashlib.sha256(f"{key_id} {value}".encode()).digest()[:8]


def _remedy(error: Exception) -> str:
    text = str(error).lower()
    if "locked" in text or "busy" in text:
        return "another process holds the file: try again, and see what it waits for"
    if "malformed" in text or "not a database" in text or isinstance(error, UnicodeDecodeError):
        return _LOST
    if "readonly" in text or "unable to open" in text or isinstance(error, (PermissionError, NotADirectoryError)):
        return "make file and folder writable for their owner, or name another folder with COSEMIC_STATE"
    return "make room on the disk, or name another folder with COSEMIC_STATE"


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


_SCHEMA = 2
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
_TABLE = "CREATE TABLE counters (key_id TEXT PRIMARY KEY, next INTEGER NOT NULL, digest BLOB NOT NULL) WITHOUT ROWID"
_LOST = (
    "put it back from a copy, or begin a new file, and before a key that was in use is used again move its counter "
    "beyond the last one that the meter has seen (recover_counter, or advance of the counter store)."
)
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
        raise SecurityError(f"a stored invocation counter is damaged; {_LOST}")
    return value


def _exhausted() -> SecurityError:
    return SecurityError("the invocation counters of this key are used up (32 bits): the meter needs a new key")
