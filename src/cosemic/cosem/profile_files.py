"""A profile written down: CSV, JSON lines, Parquet. Columns are turned into text as columns, where there are any."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

from cosemic.errors import MissingExtra
from cosemic.times import CosemDateTime

if TYPE_CHECKING:
    from cosemic.cosem.profile import Profile

_CHUNK = 8192


@dataclass(frozen=True, slots=True)
class Style:
    """How cells are written in one kind of file."""

    cell: Callable[[Any], str]
    null: str
    quote: str
    """What stands around times and octets."""
    unsafe: str
    """A pattern of texts that do not go into the file as they are."""


def write_csv(profile: Profile, file: TextIO) -> None:
    """A heading with the keys of the columns, then a line a row: times as ISO 8601 with their offset, octets as hex."""
    file.write(",".join(_csv_text(column.key) for column in profile.columns) + "\n")
    if len(profile.columns) == 1:
        # A line with one empty cell would be no line.
        file.writelines(f"{_csv(row[0]) or chr(34) * 2}\n" for row in profile.rows)
        return
    for lines in _lines(profile, CSV, [""] * len(profile.columns), ",", ""):
        file.write(lines)


def write_json(profile: Profile, file: TextIO) -> None:
    """One object a line, by the keys of the columns: exact numbers, times as ISO 8601 with offset, octets as hex."""
    heads = [f"{json.dumps(column.key, ensure_ascii=False)}: " for column in profile.columns]
    if not heads:
        return
    heads[0] = "{" + heads[0]
    for lines in _lines(profile, JSON, heads, ", ", "}"):
        file.write(lines)


def write_parquet(profile: Profile, where: str) -> None:
    """The table of ``to_arrow`` as a file; what is known about the columns is in the metadata of its fields."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("arrow", "write_parquet()") from None
    pyarrow.parquet.write_table(profile.to_arrow(), where)


def _lines(profile: Profile, style: Style, heads: list[str], between: str, end: str) -> Iterator[str]:
    """Lines of text, many at a time."""
    for start in range(0, len(profile), _CHUNK):
        some = profile.select(slice(start, start + _CHUNK)) if len(profile) > _CHUNK else profile
        columns = some.texts(style)
        if columns is None:
            for row in some.rows:
                yield between.join(head + style.cell(cell) for head, cell in zip(heads, row, strict=True)) + end + "\n"
            continue
        import pyarrow.compute

        parts = [part for head, column in zip(heads, columns, strict=True) for part in (between + head, column)]
        parts[0] = heads[0]
        rows = pyarrow.compute.binary_join_element_wise(*parts, end, "").to_pylist()
        yield "\n".join(rows) + "\n"


def _csv(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return _csv_text(cell)
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    if isinstance(cell, int | float | list | tuple):
        return _csv_text(_json(cell))
    return _csv_text(_text(cell))


def _csv_text(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def _json(cell: Any) -> str:
    if cell is None or isinstance(cell, bool):
        return json.dumps(cell)
    if isinstance(cell, int):
        return str(cell)
    if isinstance(cell, Decimal):
        return f"{cell:f}" if cell.is_finite() else "null"
    if isinstance(cell, float):
        return repr(cell) if cell - cell == 0 else "null"
    if isinstance(cell, list | tuple):
        return "[" + ", ".join(map(_json, cell)) + "]"
    return json.dumps(_text(cell), ensure_ascii=False)


def _text(cell: Any) -> str:
    if isinstance(cell, bytes):
        return cell.hex()
    if isinstance(cell, CosemDateTime):
        try:
            return cell.to_datetime().isoformat()
        except ValueError:
            return cell.isoformat()
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)


CSV = Style(_csv, "", "", '[,"\r\n]')
JSON = Style(_json, "null", '"', r'[\x00-\x1f"\\]')
