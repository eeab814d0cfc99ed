"""CSV: one row a reading, to a file or to standard output."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from cosemic.delivery.documents import Document
from cosemic.delivery.exact_json import Plain, dumps
from cosemic.delivery.outputs import OutputUnavailable, Record
from cosemic.delivery.text_files import LineFile

COLUMNS: Final = (
    "id", "received", "source", "meter", "meter_id", "system_title", "verified", "kind", "layout", "time",
    "name", "obis", "class_id", "attribute", "value", "unit", "reading_time", "device", "error",
)  # fmt: skip
"""The head of the file. A message without readings is one row that says why."""


class CsvOutput:
    """Appends rows under one head. A file that is there is gone on with when its head is the same, and only then."""

    def __init__(self, path: Path | None = None, *, sync: bool = False) -> None:
        self._file = LineFile(path, sync=sync)
        self._head_is_there = False
        self.name = "csv" if path is None else f"csv:{path}"

    async def deliver(self, batch: Sequence[Record]) -> None:
        """Return when the rows are written; a file with other columns is OutputUnavailable and stays as it is."""
        lines = "".join([_line(row) for record in batch for row in rows(record.document)])
        await asyncio.to_thread(self._append, lines)

    async def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._head_is_there = False

    def _append(self, lines: str) -> None:
        head = _line(COLUMNS)
        if not self._head_is_there:
            first = self._file.open()
            if first and first.rstrip(b"\r") != head.rstrip("\n").encode():
                self._file.close()
                raise OutputUnavailable(
                    f"{self._file.where} has other columns; give another file, or move this one away"
                )
            lines = lines if first else head + lines
        self._file.append(lines.encode("utf-8", "backslashreplace"))
        self._head_is_there = True


def rows(document: Document) -> Iterator[list[str]]:
    """The rows of one message, in the order of ``COLUMNS``."""
    about = [
        _cell(value)
        for value in (
            document["id"], document["received"], document["source"], document["meter"], document["meter_id"],
            document["system_title"], document["verified"], document["kind"], document["layout"], document["time"],
        )
    ]  # fmt: skip
    error = _cell(document["error"] or ("" if document["readings"] else document["hint"]))
    if not document["readings"]:
        yield [*about, *([""] * (len(COLUMNS) - len(about) - 1)), error]
    for reading in document["readings"]:
        what = (
            reading["name"], reading["obis"], reading["class_id"], reading["attribute"], reading["value"],
            reading["unit"], reading["time"], reading["device"],
        )  # fmt: skip
        yield [*about, *[_cell(value) for value in what], error]


def _cell(value: Plain) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    return dumps(value)


def _line(row: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow([cell.replace("\0", "�") for cell in row])
    return buffer.getvalue()
