"""profile: rows for people, spreadsheets and data frames."""

from __future__ import annotations

import os
import re
import sys
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cosemic.cli.failing import CommandError
from cosemic.cli.options import ConnectionOptions, OutputOptions, connected, warn
from cosemic.cli.output import human, table
from cosemic.cli.parsing import parse_obis, parse_time

if TYPE_CHECKING:
    from cosemic.cosem.profile import Profile

_ENDINGS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet", ".txt": "table"}


def show_profile(
    url: str, obis: str, *, from_: str | None, to: str | None, last: int | None,
    entries: str | None, gaps: bool, columns: list[str] | None,
    form: str | None, out: Path | None, connection: ConnectionOptions | None, output: OutputOptions,
) -> int:  # fmt: skip
    """Read a profile and write it in the wanted form."""
    code = parse_obis(obis)
    now = datetime.now().astimezone()
    start = None if from_ is None else parse_time(from_, now=now)
    end = None if to is None else parse_time(to, now=now)
    if start is not None and end is not None and start > end:
        raise CommandError(f"--from ({start.isoformat()}) is later than --to ({end.isoformat()})")
    if last is not None and last < 1:
        raise CommandError("--last counts rows from 1")
    if last is not None and (start is not None or end is not None):
        raise CommandError("give either --last or --from and --to, not both")
    places = None if entries is None else _places(entries)
    if places is not None and (last is not None or start is not None or end is not None):
        raise CommandError("give --entries, or --last, or --from and --to")
    wanted = None if columns is None else [parse_obis(column) for column in columns]
    kind = form or ("json" if output.json else _ENDINGS.get(out.suffix.lower(), "table") if out else "table")
    if kind == "parquet":
        if out is None:
            raise CommandError("parquet needs --out FILE")
        _parquet()
    if out is not None:
        _try_out(out)
    with connected(url, connection, output) as client:
        profile = client.read_profile(code, start=start, end=end, last=last, columns=wanted, entries=places)
    if gaps:
        _tell_gaps(profile)
    if out is None:
        _write(profile, kind, sys.stdout)
        return 0
    try:
        if kind == "parquet":
            _parquet().write_table(profile.to_arrow(), str(out))
        else:
            with out.open("w", encoding="utf-8", newline="") as file:
                _write(profile, kind, file)
    except OSError as error:
        raise _unwritable(out, error) from None
    warn(f"{len(profile)} rows written to {out}")
    return 0


_PLACES = re.compile(r"^([1-9]\d{0,9})-(\d{0,10})$")


def _places(text: str) -> tuple[int, int]:
    match = _PLACES.match(text.strip())
    first, last = (int(match[1]), int(match[2] or 0)) if match else (1, 1)
    if match is None or 0 != last < first or max(first, last) > 0xFFFFFFFF:
        raise CommandError(f"--entries: {text!r} is no range of rows: write 1-96, or 97- for the rest")
    return first, last


def _tell_gaps(profile: Profile) -> None:
    """How complete the rows are, on stderr: what is on stdout stays data."""
    try:
        missing = profile.gaps()
    except ValueError as error:
        warn(f"--gaps: {error}")
        return
    if not profile.capture_period:
        warn("--gaps: rows are not captured at regular times, so that none can be missing")
        return
    warn(f"{len(profile)} rows, {sum(gap.missing for gap in missing)} missing, completeness {profile.completeness:.4f}")
    for gap in missing:
        warn(f"missing: {gap.start.isoformat()} to {gap.end.isoformat()}, {gap.missing} rows")


def _try_out(out: Path) -> None:
    """Say that a file cannot be written before the rows are read, which may take an hour. What is in it stays."""
    if not out.absolute().parent.is_dir():
        raise CommandError(f"--out: there is no folder {out.parent}")
    if out.is_dir():
        raise CommandError(f"--out: {out} is a folder; name a file in it")
    new = not out.exists()
    if not new and not out.is_file():
        return  # a pipe or a device
    try:
        out.open("ab").close()
        if new:
            out.unlink()
    except OSError as error:
        raise _unwritable(out, error) from None


def _unwritable(out: Path, error: OSError) -> CommandError:
    reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
    return CommandError(f"--out: {out} cannot be written ({reason}): choose another file")


def _write(profile: Profile, kind: str, file: TextIO) -> None:
    if kind == "csv":
        profile.write_csv(file)
    elif kind == "json":
        profile.write_json(file)
    else:
        _write_table(profile, file)
    file.flush()


def _write_table(profile: Profile, file: TextIO) -> None:
    file.write(f"{table_text(profile)}\n\n{len(profile)} rows\n")


def table_text(profile: Profile) -> str:
    """The rows under their names and units."""
    headings = [f"{column.label} [{column.unit}]" if column.unit else column.label for column in profile.columns]
    rows = [["" if cell is None else _plain(cell) for cell in row] for row in profile.rows]
    right = frozenset(
        index
        for index in range(len(headings))
        if any(isinstance(row[index], (int, float, Decimal)) for row in profile.rows[:3])
    )
    return table(headings, rows, right=right)


def _plain(cell: object) -> str:
    if isinstance(cell, bytes):
        return cell.hex()
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    return human(cell)


def _parquet() -> _ParquetModule:
    try:
        import pyarrow.parquet
    except ImportError:
        from cosemic.errors import MissingExtra

        raise MissingExtra("arrow", "--format parquet") from None
    module: _ParquetModule = pyarrow.parquet
    return module


if TYPE_CHECKING:
    from typing import Protocol

    class _ParquetModule(Protocol):
        """The part of pyarrow.parquet that is used here."""

        def write_table(self, table: object, where: str) -> None: ...
