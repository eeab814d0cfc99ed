"""JSON whose numbers stay exact: a Decimal is written digit by digit and comes back as one, never through a float."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Final, TypeAlias

Plain: TypeAlias = "bool | int | float | Decimal | str | list[Plain] | dict[str, Plain] | None"
"""What JSON holds, with exact numbers beside it."""


def dumps(value: object) -> str:
    """One line of JSON; what JSON cannot hold (NaN, infinity) is null. TypeError for anything that is not Plain."""
    writer = _WRITERS.get(type(value))
    return writer(value) if writer is not None else _other(value)


def loads(text: str | bytes) -> Plain:
    """The value of such a text; numbers with a point or an exponent are Decimals. ValueError when it is no JSON."""
    try:
        value: Plain = json.loads(text, parse_float=Decimal, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    return value


def _no_constant(name: str) -> None:
    """NaN and infinity are no JSON; other programs write them all the same."""


def _decimal(value: Decimal) -> str:
    return format(value, "f") if value.is_finite() else "null"


def _float(value: float) -> str:
    return repr(value) if value - value == 0 else "null"


def _mapping(value: Mapping[str, object]) -> str:
    pieces: list[str] = []
    for key, item in value.items():
        if isinstance(item, str):  # most of a document, without the call
            text = encode_basestring(item)
        elif item is None:
            text = "null"
        elif type(item) is int:
            text = repr(item)
        else:
            text = dumps(item)
        pieces.append(_key(key) + text)
    return "{" + ", ".join(pieces) + "}"


@lru_cache(1024)
def _key(key: str) -> str:
    return f"{encode_basestring(key)}: "


def _sequence(value: list[object] | tuple[object, ...]) -> str:
    return "[" + ", ".join([dumps(item) for item in value]) + "]"


def _other(value: object) -> str:
    for kind in (bool, int, float, str, Decimal, dict, list, tuple):
        if isinstance(value, kind):
            return _WRITERS[kind](value)
    raise TypeError(f"JSON has no {type(value).__name__}")


_WRITERS: Final[dict[type, Callable[..., str]]] = {
    type(None): lambda value: "null",
    bool: lambda value: "true" if value else "false",
    int: lambda value: str(int(value)),
    float: _float,
    str: encode_basestring,
    Decimal: _decimal,
    dict: _mapping,
    list: _sequence,
    tuple: _sequence,
}
