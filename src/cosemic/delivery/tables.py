"""The terminal: a table of the newest values that is kept up to date, or plain lines where there is no terminal."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TextIO

from cosemic.delivery.documents import Document, stream_of
from cosemic.delivery.exact_json import Plain, dumps
from cosemic.delivery.outputs import OutputClosed, OutputUnavailable, Record
from cosemic.errors import MissingExtra

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

METERS: Final = 50
"""As many meters are shown, those heard last."""
READINGS: Final = 200
"""As many readings of one meter are shown."""


class TableOutput:
    """Shows what comes. On a terminal one table, newest meters first; elsewhere the readings of each message as lines.

    ``live`` chooses between the two; by default the file decides. MissingExtra without the package rich.
    """

    name = "table"

    def __init__(self, file: TextIO | None = None, *, live: bool | None = None) -> None:
        self._file = file or sys.stdout
        self._is_live = self._file.isatty() if live is None else live
        self._latest: dict[str, dict[tuple[str, str | None], tuple[str, str, str]]] = {}
        self._heard: dict[str, str] = {}
        self._count = 0
        self._trouble = ""
        self._console: Console | None = None
        self._live: Live | None = None
        if self._is_live:
            self._console = _console(self._file)

    async def deliver(self, batch: Sequence[Record]) -> None:
        """Return when it is shown; OutputClosed when nobody reads standard output any more."""
        try:
            if self._is_live:
                self._show([record.document for record in batch])
            else:
                text = "".join([line + "\n" for record in batch for line in lines(record.document)])
                await asyncio.to_thread(self._write, text)
        except BrokenPipeError:
            raise OutputClosed("nobody reads the table any more") from None
        except OSError as error:
            raise OutputUnavailable(f"the table cannot be written: {error}") from None

    async def close(self) -> None:
        """Leave the last table standing."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _write(self, text: str) -> None:
        self._file.write(text.encode(self._file.encoding or "utf-8", "replace").decode(self._file.encoding or "utf-8"))
        self._file.flush()

    def _show(self, documents: Sequence[Document]) -> None:
        from rich.live import Live

        for document in documents:
            self._take(document)
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="ellipsis")
            self._live.start()
        self._live.update(self._table(), refresh=True)

    def _take(self, document: Document) -> None:
        self._count += 1
        meter = stream_of(document)
        values = self._latest.pop(meter, {})
        self._latest[meter] = values  # the one heard last stands last
        self._heard[meter] = _clock(document)
        for reading in document["readings"]:
            key = (reading["name"], reading["obis"])
            if key in values or len(values) < READINGS:
                values[key] = (cell(reading["value"]), printable(reading["unit"]), reading["obis"] or "")
        if document["error"]:
            self._trouble = f"last trouble {_clock(document)}, {meter}: {_trouble_of(document)}"
        while len(self._latest) > METERS:
            oldest = next(iter(self._latest))
            del self._latest[oldest], self._heard[oldest]

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        trouble = printable(self._trouble)
        caption = Text(
            f"{self._count} message{'' if self._count == 1 else 's'}" + (f"\n{trouble}" if trouble else ""),
            justify="left",
        )
        table = Table(caption=caption, caption_justify="left", box=None, pad_edge=False)
        for heading, side in (("meter", "left"), ("heard", "left"), ("reading", "left"), ("value", "right")):
            table.add_column(heading, justify="right" if side == "right" else "left")
        table.add_column("unit")
        table.add_column("OBIS")
        for meter, values in reversed(self._latest.items()):
            about = (printable(meter), self._heard[meter])
            if not values:
                table.add_row(Text(about[0]), about[1], "-", "", "", "")
            for (name, _), (value, unit, obis) in values.items():
                table.add_row(Text(about[0]), about[1], Text(printable(name)), Text(value), Text(unit), obis)
                about = ("", "")
        return table


def lines(document: Document) -> Iterator[str]:
    """A message as lines for people: one that says what it is, and one a reading.

    What is wrong with it is there in a word: the sentence is told beside the table, once and not with each message.
    """
    about = f"{_local(document['received'])}  {printable(stream_of(document))}"
    if document["error"]:
        yield f"{about}  {document['kind']}: {printable(_trouble_of(document))}"
        return
    layout = f"  layout {printable(document['layout'])}" if document["layout"] else ""
    unverified = "  NOT VERIFIED" if document["verified"] is False else ""
    yield f"{about}  {document['kind']}{layout}{unverified}"
    names = [printable(reading["name"]) for reading in document["readings"]]
    values = [cell(reading["value"]) for reading in document["readings"]]
    wide, deep = max(map(len, names), default=0), max(map(len, values), default=0)
    for name, value, reading in zip(names, values, document["readings"], strict=True):
        yield f"  {name:<{wide}}  {value:>{deep}} {printable(reading['unit']):<5} {reading['obis'] or ''}".rstrip()


def cell(value: Plain) -> str:
    """A value for people; nothing in it can move the cursor."""
    if value is None:
        return "-"
    if isinstance(value, Decimal):
        return format(value, "f")
    return printable(value if isinstance(value, str) else dumps(value))


def printable(text: str) -> str:
    """A text without what a terminal would obey: a meter must not write where it likes."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "�" for char in text)


def _trouble_of(document: Document) -> str:
    return (document["diagnosis"] if document["kind"] == "undecoded" else document["error"]) or "?"


def _clock(document: Document) -> str:
    return _local(document["received"])[11:19]


def _local(moment: str) -> str:
    """A time of a document on the clock of this machine, to the second: ``2026-03-01 13:00:00+01:00``."""
    return datetime.fromisoformat(moment).astimezone().isoformat(" ", "seconds")


def _console(file: TextIO) -> Console:
    try:
        from rich.console import Console
    except ImportError:
        raise MissingExtra("cli", "the table of readings") from None
    return Console(file=file, force_terminal=None if not isinstance(file, io.StringIO) else True)
