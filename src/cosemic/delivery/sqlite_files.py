"""SQLite: a table of messages and one of readings. A message that comes twice is in it once."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from cosemic.delivery.documents import Document, ReadingDocument
from cosemic.delivery.exact_json import Plain, dumps
from cosemic.delivery.outputs import OutputUnavailable, Record


class SqliteOutput:
    """Adds messages to a database file, each batch in one transaction; a message with a known id is left out.

    ``value`` is the exact text of a value, ``number_value`` the nearest floating-point number where it is one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"sqlite:{path}"
        self._database: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    async def deliver(self, batch: Sequence[Record]) -> None:
        """Return when the transaction is on the disk; OutputUnavailable when the file cannot be written."""
        await asyncio.to_thread(self._insert, [record.document for record in batch])

    async def close(self) -> None:
        """Close the database."""
        await asyncio.to_thread(self._close)

    def _insert(self, documents: Sequence[Document]) -> None:
        with self._lock:
            try:
                if self._database is None:
                    self._database = self._open()
                with self._database:
                    self._database.execute("BEGIN IMMEDIATE")
                    for document in documents:
                        if self._database.execute(_INSERT_MESSAGE, _message(document)).rowcount:
                            rows = [
                                _reading(document["id"], number, reading)
                                for number, reading in enumerate(document["readings"])
                            ]
                            self._database.executemany(_INSERT_READING, rows)
            except sqlite3.Error as error:
                raise OutputUnavailable(f"{self.path} cannot be written: {error}") from None

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=20, isolation_level=None, check_same_thread=False)
        try:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if version not in (0, _VERSION) or (version == 0 and tables & {"messages", "readings"}):
                raise OutputUnavailable(f"{self.path} has other tables of these names; give another file")
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            if version == 0:
                database.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_VERSION}; COMMIT;")
        except (sqlite3.Error, OutputUnavailable):
            database.close()
            raise
        return database

    def _close(self) -> None:
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None


def _message(document: Document) -> tuple[object, ...]:
    verified = document["verified"]
    return (
        document["id"], document["received"], document["source"], document["meter"], document["meter_id"],
        document["system_title"], document["invocation_counter"], None if verified is None else int(verified),
        document["kind"], document["layout"], document["time"], document["hint"],
        dumps(document["notes"]) if document["notes"] else None,
        None if document["values"] is None else dumps(document["values"]), document["error"], document["diagnosis"],
    )  # fmt: skip


def _reading(message: str, number: int, reading: ReadingDocument) -> tuple[object, ...]:
    value = reading["value"]
    return (
        message, number, reading["name"], reading["obis"], reading["class_id"], reading["attribute"],
        _exact(value), _number(value), reading["unit"], _exact(reading["raw"]), reading["scaler"], reading["time"],
        reading["device"], reading["label"],
    )  # fmt: skip


def _exact(value: Plain) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return format(value, "f") if isinstance(value, Decimal) else dumps(value)


def _number(value: Plain) -> float | None:
    return float(value) if isinstance(value, (int, float, Decimal)) else None


_VERSION: Final = 1
_TABLES: Final = """
CREATE TABLE messages (
    id TEXT PRIMARY KEY, received TEXT NOT NULL, source TEXT NOT NULL, meter TEXT, meter_id TEXT, system_title TEXT,
    invocation_counter INTEGER, verified INTEGER, kind TEXT NOT NULL, layout TEXT, time TEXT, hint TEXT, notes TEXT,
    "values" TEXT, error TEXT, diagnosis TEXT
) WITHOUT ROWID;
CREATE TABLE readings (
    message TEXT NOT NULL REFERENCES messages (id), number INTEGER NOT NULL, name TEXT NOT NULL, obis TEXT,
    class_id INTEGER, attribute INTEGER, value TEXT, number_value REAL, unit TEXT NOT NULL, raw TEXT, scaler INTEGER,
    time TEXT, device INTEGER NOT NULL, label TEXT NOT NULL, PRIMARY KEY (message, number)
) WITHOUT ROWID;
CREATE INDEX readings_by_obis ON readings (obis, message);
"""
_INSERT_MESSAGE: Final = f"INSERT OR IGNORE INTO messages VALUES ({', '.join('?' * 16)})"
_INSERT_READING: Final = f"INSERT INTO readings VALUES ({', '.join('?' * 14)})"
