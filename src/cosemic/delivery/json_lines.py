"""JSON lines: one document a line, to a file or to standard output."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from cosemic.delivery.outputs import Record
from cosemic.delivery.text_files import LineFile


class JsonLinesOutput:
    """Appends each document as a line. ``path`` None is standard output; ``sync`` waits for the disk each time."""

    def __init__(self, path: Path | None = None, *, sync: bool = False) -> None:
        self._file = LineFile(path, sync=sync)
        self.name = "json" if path is None else f"json:{path}"

    async def deliver(self, batch: Sequence[Record]) -> None:
        """Return when the lines are written, with ``sync`` when they are on the disk."""
        lines = "".join([f"{record.text}\n" for record in batch]).encode("utf-8", "backslashreplace")
        await asyncio.to_thread(self._file.append, lines)

    async def close(self) -> None:
        """Close the file."""
        self._file.close()
