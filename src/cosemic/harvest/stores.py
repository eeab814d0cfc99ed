"""Files that keep the rows of a profile: SQLite, CSV, JSON lines. Each piece is kept as a whole, for good."""

from __future__ import annotations

import abc
import csv
import io
import json
import math
import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

from cosemic.cosem.profile import Cell, Column
from cosemic.harvest.plan import Row, missing
from cosemic.obis import ObisCode

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def open_store(file: Path) -> SqliteStore | CsvStore | JsonStore:
    """The store for a file, by its ending; ValueError names those that there are."""
    kind = _KINDS.get(file.suffix.lower())
    if kind is None:
        raise ValueError(f"{file.name}: rows are kept in files that end in {', '.join(_KINDS)}")
    return kind(file)


def plain(cell: Cell) -> int | str | float | None:
    """A cell as it is kept: whole numbers as numbers, other exact ones as text, times ISO 8601, octets as hex."""
    if isinstance(cell, float) and not math.isfinite(cell):
        return str(cell)
    if cell is None or isinstance(cell, str | float):
        return cell
    if isinstance(cell, int):
        return int(cell) if -(1 << 63) <= cell < 1 << 63 else str(cell)
    if isinstance(cell, Decimal):
        whole = cell == cell.to_integral_value() and cell.as_tuple().exponent == 0
        return plain(int(cell)) if whole else f"{cell:f}"
    if isinstance(cell, datetime):
        return cell.isoformat()
    if isinstance(cell, bytes):
        return cell.hex()
    return str(cell)


class SqliteStore:
    """One table a profile, named as its OBIS code, a column for each column of the profile by its key.

    ``recorded`` is the time of the row in microseconds since 1970 in UTC. The table ``cosemic_profiles`` says what the
    columns are. Numbers that are not whole are exact texts.
    """

    def __init__(self, file: Path) -> None:
        try:
            self._database = sqlite3.connect(file, timeout=30, isolation_level=None)
        except sqlite3.Error as error:
            raise OSError(f"{file} cannot be opened: {error}") from None
        self._path = file
        self._table = ""
        self._width = 0

    def open(self, profile: ObisCode, columns: Sequence[Column], meter: str | None) -> None:
        described = _described(columns)
        self._table = _quoted(str(profile))
        self._width = len(columns)
        database = self._database
        try:
            database.execute("PRAGMA synchronous=FULL")
            database.execute("BEGIN IMMEDIATE")
            database.execute(
                "CREATE TABLE IF NOT EXISTS cosemic_profiles (profile TEXT PRIMARY KEY, meter TEXT, columns TEXT)"
            )
            known = database.execute(
                "SELECT meter, columns FROM cosemic_profiles WHERE profile = ?", (str(profile),)
            ).fetchone()
            if known is None:
                names = ", ".join(_quoted(column.key) for column in columns)
                database.execute(f"CREATE TABLE {self._table} (recorded INTEGER NOT NULL, {names})")
                database.execute(f"CREATE INDEX {_quoted(f'{profile} recorded')} ON {self._table} (recorded)")
                database.execute(
                    "INSERT INTO cosemic_profiles VALUES (?, ?, ?)", (str(profile), meter, json.dumps(described))
                )
            database.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise ValueError(f"this file cannot keep rows: {error}") from None
        if known is not None:
            _same(known[0], meter, json.loads(known[1]), described)

    def span(self) -> tuple[datetime, datetime] | None:
        first, last = self._database.execute(f"SELECT min(recorded), max(recorded) FROM {self._table}").fetchone()
        return None if first is None else (_EPOCH + first * _MICROSECOND, _EPOCH + last * _MICROSECOND)

    def keep(self, rows: Sequence[Row], times: Sequence[datetime]) -> int:
        places = ", ".join("?" * (self._width + 1))
        cells = [[plain(cell) for cell in row] for row in rows]
        span = _microseconds(min(times)), _microseconds(max(times))
        try:
            self._database.execute("BEGIN IMMEDIATE")  # nobody else adds rows between the comparison and the end
            kept = self._database.execute(f"SELECT * FROM {self._table} WHERE recorded BETWEEN ? AND ?", span)
            new = missing([_texts(row) for row in cells], (_texts(row[1:]) for row in kept))
            self._database.executemany(
                f"INSERT INTO {self._table} VALUES ({places})",
                [(_microseconds(times[index]), *cells[index]) for index in new],
            )
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            raise OSError(f"{self._path} cannot be written: {error}") from None
        finally:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
        return len(new)

    def close(self) -> None:
        self._database.close()


class _TextStore(abc.ABC):
    """A text file to which lines are added; a piece that a cut left half written is taken away again.

    A file beside it, ``NAME.cosemic``, says what the columns are and how far the last whole piece reaches.
    """

    def __init__(self, file: Path) -> None:
        self._path = file
        self._note = file.with_name(file.name + ".cosemic")
        self._file: BinaryIO | None = None
        self._columns: Sequence[Column] = ()
        self._clock = 0
        self._rows: list[tuple[datetime, tuple[str, ...]]] = []
        self._about: dict[str, Any] = {}

    def open(self, profile: ObisCode, columns: Sequence[Column], meter: str | None) -> None:
        self._file = self._path.open("ab")
        _lock(self._file)
        self._columns = columns
        self._clock = next(index for index, column in enumerate(columns) if column.is_clock)
        self._about = {"profile": str(profile), "meter": meter, "columns": _described(columns), "octets": 0}
        if self._note.exists():
            try:
                known = json.loads(self._note.read_text("utf-8"))
                where, size = known["profile"], int(known["octets"])
                _same(known["meter"], meter, known["columns"], self._about["columns"])
            except (KeyError, TypeError, json.JSONDecodeError):
                raise ValueError(
                    f"{self._note} is damaged: move it and {self._path.name} away and begin anew"
                ) from None
            if where != str(profile):
                raise ValueError(f"{self._path} keeps {where}, not {profile}: choose another file")
            there = self._path.stat().st_size
            if there < size:
                raise ValueError(
                    f"{self._path} is shorter than it was ({there} octets instead of {size}): put it back, or move it "
                    f"and {self._note.name} away and begin anew"
                )
            if there > size:
                os.truncate(self._path, size)
            self._about["octets"] = size
            self._load()
        else:
            if not self._head().encode().startswith(self._path.read_bytes()):
                raise ValueError(f"{self._path} was not written by a harvest: choose another file")
            os.truncate(self._path, 0)  # a cut may have left a head, or part of it, and no note yet
            self._append(self._head())

    def span(self) -> tuple[datetime, datetime] | None:
        times = [time for time, _ in self._rows]
        return (min(times), max(times)) if times else None

    def keep(self, rows: Sequence[Row], times: Sequence[datetime]) -> int:
        low, high = min(times), max(times)
        contents = [_texts([plain(cell) for cell in row]) for row in rows]
        new = missing(contents, (content for time, content in self._rows if low <= time <= high))
        if new:
            self._append("".join(self._line(rows[index]) for index in new))
            self._rows += [(times[index], contents[index]) for index in new]
        return len(new)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _append(self, text: str) -> None:
        """Write the lines, then say that they count: only what the note covers is ever read."""
        octets = text.encode()
        assert self._file is not None
        self._file.truncate(self._about["octets"])  # what a full disk left of an earlier piece
        self._file.write(octets)
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._about["octets"] + len(octets)
        waiting = self._note.with_name(self._note.name + ".new")
        with waiting.open("w", encoding="utf-8") as file:
            json.dump(self._about | {"octets": size}, file)
            file.flush()
            os.fsync(file.fileno())
        waiting.replace(self._note)
        self._about["octets"] = size

    def _load(self) -> None:
        with self._path.open(encoding="utf-8", newline="") as file:
            for cells in self._parsed(file):
                texts = _texts(cells)
                self._rows.append((datetime.fromisoformat(texts[self._clock]), texts))

    @abc.abstractmethod
    def _head(self) -> str:
        """What the file begins with."""

    @abc.abstractmethod
    def _line(self, row: Row) -> str:
        """One row, with the end of its line."""

    @abc.abstractmethod
    def _parsed(self, file: io.TextIOBase | Any) -> Iterator[Sequence[object]]:
        """The cells of each row that the file has."""


class CsvStore(_TextStore):
    """Comma-separated values with the keys of the columns in the first line."""

    def _head(self) -> str:
        return _csv([column.key for column in self._columns])

    def _line(self, row: Row) -> str:
        return _csv(["" if cell is None else plain(cell) for cell in row])

    def _parsed(self, file: io.TextIOBase | Any) -> Iterator[Sequence[object]]:
        lines = csv.reader(file)
        next(lines, None)
        return lines


class JsonStore(_TextStore):
    """One JSON object a line, keyed by column."""

    def _head(self) -> str:
        return ""

    def _line(self, row: Row) -> str:
        cells = zip(self._columns, row, strict=True)
        return json.dumps({column.key: plain(cell) for column, cell in cells}, ensure_ascii=False) + "\n"

    def _parsed(self, file: io.TextIOBase | Any) -> Iterator[Sequence[object]]:
        return ([json.loads(line)[column.key] for column in self._columns] for line in file)


def _lock(file: BinaryIO) -> None:
    """Have the file alone until it is closed, or the process ends; ValueError where another one has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ValueError(f"{file.name} is being written by another harvest: wait until that is done") from None


def _csv(cells: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _described(columns: Sequence[Column]) -> list[list[object]]:
    return [
        [column.key, column.class_id, str(column.obis), column.attribute, column.data_index, column.scaler, column.unit]
        for column in columns
    ]


def _same(known: str | None, meter: str | None, before: object, described: list[list[object]]) -> None:
    if known is not None and meter is not None and known != meter:
        raise ValueError(f"this file keeps the rows of the meter {known}, not of {meter}: choose another file")
    if before != described:
        raise ValueError(
            "the profile captures other columns, or in other units, than when this file was begun: choose another file"
        )


def _texts(cells: Sequence[object]) -> tuple[str, ...]:
    return tuple("" if cell is None else str(cell) for cell in cells)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_KINDS: dict[str, type[SqliteStore | CsvStore | JsonStore]] = {
    ".sqlite": SqliteStore,
    ".sqlite3": SqliteStore,
    ".db": SqliteStore,
    ".csv": CsvStore,
    ".jsonl": JsonStore,
    ".ndjson": JsonStore,
}
