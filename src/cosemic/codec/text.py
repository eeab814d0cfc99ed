"""Typed values from what people write, and as a tree that people read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Final

from cosemic.codec.compact import compact_array, typed_element
from cosemic.codec.constructors import CONSTRUCTORS, array, structure
from cosemic.codec.limits import DEFAULT_LIMITS
from cosemic.codec.scalars import FORMATS
from cosemic.codec.typed import RANGES, BitString, Typed, Value, type_name
from cosemic.enums import DataType
from cosemic.times import CosemDate, CosemDateTime, CosemTime

_TYPES: Final = {type_name(kind): kind for kind in DataType}
_FLOATS: Final = frozenset((DataType.FLOATING_POINT, DataType.FLOAT32, DataType.FLOAT64))
_TRUTHS: Final = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


def from_text(name: str, text: str) -> Typed:
    """A typed value from the standard's name of a type and a text; ValueError says what was expected.

    Numbers in decimal or ``0x…``; octet-string in hexadecimal digits; bit-string as ``0101``; boolean as true or false;
    date-time, date and time as ISO 8601 or in the hexadecimal digits of their octets; null-data as an empty text. An
    array or a structure as the JSON list of its elements, each ``{"type": …, "value": …}``.
    """
    kind = _type_of(name)
    if kind is DataType.ARRAY or kind is DataType.STRUCTURE or kind is DataType.COMPACT_ARRAY:
        try:
            return _from_json(kind, json.loads(text), DEFAULT_LIMITS.depth)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(
                f'{name} is written as JSON, such as [{{"type": "unsigned", "value": 1}}]; {text!r} is not: {error}'
            ) from None
    try:
        return CONSTRUCTORS[kind](_value(kind, text))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{text!r} is no {name}: {error}") from None


def describe(value: Typed) -> str:
    """The value as a tree, one line each: ``structure (2)``, and under it ``long-unsigned 2358``."""
    lines: list[str] = []
    _describe(value, 0, lines)
    return "\n".join(lines)


def to_document(value: Typed) -> dict[str, object]:
    """The value as JSON or TOML hold it: ``{"type": …, "value": …}``, as ``from_document`` and ``from_text`` take it.

    Octets and times are hexadecimal digits, a value that is null is left out, elements are documents themselves.
    """
    kind = value.type
    document: dict[str, object] = {"type": type_name(kind)}
    if kind is DataType.ARRAY or kind is DataType.STRUCTURE:
        document["value"] = [to_document(element) for element in value.elements]
    elif kind is DataType.COMPACT_ARRAY and value.description is not None:
        items: list[Value] = value.value  # type: ignore[assignment]
        document["value"] = [to_document(typed_element(value.description, item)) for item in items]
    elif value.value is not None:
        document["value"] = _plain(value.value)
    return document


def from_document(document: object) -> Typed:
    """The value of such a document; ValueError says what is wrong with it."""
    return _element(document, DEFAULT_LIMITS.depth)


def _plain(value: object) -> object:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, bytes | bytearray | CosemDateTime | CosemDate | CosemTime):
        return bytes(value).hex()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return int(value) if isinstance(value, int) else str(value)


def _type_of(name: str) -> DataType:
    kind = _TYPES.get(name.strip().lower().replace("_", "-"))
    if kind is None:
        raise ValueError(f"{name!r} is not a type; the types are {', '.join(_TYPES)}")
    return kind


def _value(kind: DataType, text: str) -> object:
    if kind in RANGES:
        return _whole_number(text)
    if kind in _FLOATS:
        try:
            return float(text)
        except ValueError:
            raise ValueError("write a number, such as 1.5") from None
    reader = _READERS.get(kind)
    return reader(text) if reader else text


def _whole_number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        return int(text)  # such as 007, which base 0 refuses
    except ValueError:
        raise ValueError("write a whole number, such as 12 or 0x0C") from None


def _nothing(text: str) -> None:
    if text.strip().lower() not in ("", "null", "none"):
        raise ValueError("it holds no value")


def _truth(text: str) -> bool:
    truth = _TRUTHS.get(text.strip().lower())
    if truth is None:
        raise ValueError("write true or false")
    return truth


def _date_time(text: str) -> CosemDateTime:
    octets = _octets(text, 12)
    return CosemDateTime.from_bytes(octets) if octets else CosemDateTime.from_datetime(datetime.fromisoformat(text))


def _date(text: str) -> CosemDate:
    octets = _octets(text, 5)
    return CosemDate.from_bytes(octets) if octets else CosemDate.from_date(date.fromisoformat(text))


def _time(text: str) -> CosemTime:
    octets = _octets(text, 4)
    return CosemTime.from_bytes(octets) if octets else CosemTime.from_time(time.fromisoformat(text))


def _octets(text: str, size: int) -> bytes | None:
    """The octets when the text is just their hexadecimal digits."""
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        return None
    return octets if len(octets) == size else None


_READERS: Final[dict[DataType, Callable[[str], object]]] = {
    DataType.NULL_DATA: _nothing,
    DataType.DONT_CARE: _nothing,
    DataType.BOOLEAN: _truth,
    DataType.DATE_TIME: _date_time,
    DataType.DATE: _date,
    DataType.TIME: _time,
}


def _from_json(kind: DataType, document: object, depth: int) -> Typed:
    if depth <= 0:
        raise ValueError("nested too deep")
    if kind is DataType.ARRAY or kind is DataType.STRUCTURE or kind is DataType.COMPACT_ARRAY:
        if isinstance(document, dict):
            document = document.get("value")
        if not isinstance(document, list):
            raise ValueError(f"{type_name(kind)} needs a JSON list of its elements, not {document!r}")
        elements = [_element(part, depth - 1) for part in document]
        if kind is DataType.COMPACT_ARRAY:
            return compact_array(elements)
        return array(elements) if kind is DataType.ARRAY else structure(elements)
    if isinstance(document, bool) and kind is not DataType.BOOLEAN:
        raise ValueError(f"{type_name(kind)} cannot be {document}")
    if document is None or isinstance(document, str):
        return from_text(type_name(kind), document or "")
    if kind in FORMATS and isinstance(document, int | float):
        try:
            return CONSTRUCTORS[kind](document)
        except TypeError as error:
            raise ValueError(str(error)) from None
    raise ValueError(f"{document!r} is no {type_name(kind)}")


def _element(part: object, depth: int) -> Typed:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise ValueError(f'an element is written as {{"type": …, "value": …}}, not {part!r}')
    return _from_json(_type_of(part["type"]), part.get("value"), depth)


def _describe(value: Typed, level: int, lines: list[str]) -> None:
    indent = "  " * level
    kind = value.type
    if kind is DataType.ARRAY or kind is DataType.STRUCTURE:
        lines.append(f"{indent}{type_name(kind)} ({len(value.elements)})")
        for element in value.elements:
            _describe(element, level + 1, lines)
    elif kind is DataType.COMPACT_ARRAY and value.description is not None:
        items: list[Value] = value.value  # type: ignore[assignment]
        lines.append(f"{indent}{type_name(kind)} ({len(items)}) of {value.description}")
        for item in items:
            _describe(typed_element(value.description, item), level + 1, lines)
    else:
        text = _shown(value.value)
        lines.append(f"{indent}{type_name(kind)} {text}" if text else f"{indent}{type_name(kind)}")


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes | bytearray):
        digits = value.hex()
        meaning = _meaning(bytes(value))
        return f"{digits or '(empty)'} {meaning}".rstrip()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, BitString):
        return str(value) or "(empty)"
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: "infinity", -math.inf: "-infinity"}.get(value, "not a number")
    return str(value)


def _meaning(octets: bytes) -> str:
    """A hint at what an octet-string may stand for; its type does not say."""
    if len(octets) == 12 and octets[:2] != b"\xff\xff" and 0x07B2 <= int.from_bytes(octets[:2], "big") <= 0x0833:
        return f"({CosemDateTime.from_bytes(octets)})"
    if len(octets) == 6 and octets[5] == 255:
        return "({}-{}:{}.{}.{}*{})".format(*octets)
    if len(octets) >= 2 and all(0x20 <= octet < 0x7F for octet in octets):
        return _quoted(octets.decode("ascii"))
    return ""


def _quoted(text: str) -> str:
    """In quotation marks, with what could upset a terminal or break the line escaped."""
    return "".join(
        character
        if character.isprintable()
        else json.dumps(character)[1:-1]
        if character < "\x7f"
        else f"\\u{ord(character):04x}"
        for character in json.dumps(text, ensure_ascii=False)
    )
