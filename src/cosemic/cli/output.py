"""Printing: exact JSON, and plain tables that can be piped."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal

from cosemic.codec.axdr import BitString, Typed, type_name
from cosemic.obis import ObisCode
from cosemic.times import CosemDate, CosemDateTime, CosemTime


def dumps(value: object) -> str:
    """JSON with exact numbers: a Decimal is written digit by digit, never through a float.

    Octets become lower-case hex, times ISO 8601, OBIS codes dotted text. What JSON cannot hold (NaN, infinity) is null.
    """
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Decimal):
        return f"{value:f}" if value.is_finite() else "null"
    if isinstance(value, float):
        return repr(value) if value - value == 0 else "null"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{dumps(str(key))}: {dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(dumps(item) for item in value) + "]"
    return dumps(_as_text(value))


def human(value: object) -> str:
    """A value for people: texts without quotes, octets as hex and as text where they are text."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        printable = len(value) > 2 and all(32 <= octet < 127 for octet in value)
        return f'{value.hex()} "{value.decode("ascii")}"' if printable else value.hex()
    if value is None:
        return "-"
    if isinstance(value, (datetime, CosemDateTime, CosemDate, CosemTime, BitString, ObisCode)):
        return _as_text(value)
    return dumps(value)


def typed_tree(typed: Typed) -> dict[str, object]:
    """A typed value for JSON: ``{"type": …, "value": …}``, trees nested."""
    value = typed.value
    if isinstance(value, tuple) and value and all(isinstance(item, Typed) for item in value):
        return {"type": type_name(typed.type), "value": [typed_tree(item) for item in value if isinstance(item, Typed)]}
    return {"type": type_name(typed.type), "value": value}


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: frozenset[int] = frozenset()) -> str:
    """Columns as wide as they need to be; nothing is cut, so that the output can be searched and piped."""
    lines = [list(headings), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    rule = ["-" * width for width in widths]
    lines.insert(1, rule)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


CLEARING: list[Callable[[], None]] = []
"""What takes away that which stands on the terminal for a while only (see ``progress``)."""


def clear_line() -> None:
    """Make room on the terminal for something that is to stay there."""
    for clear in CLEARING:
        clear()


def say(text: str) -> None:
    """A line on stdout, at once: pipes see each result when it is there."""
    clear_line()
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _as_text(value: object) -> str:
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, CosemDateTime):
        try:
            return value.to_datetime().isoformat()
        except ValueError:
            return value.isoformat()
    if isinstance(value, (datetime, date, time, CosemDate, CosemTime)):
        return value.isoformat()
    if isinstance(value, ObisCode):
        return value.dotted
    return str(value)
