"""Elements of an array that are alike, such as the rows of a profile, encoded by one Struct each.

For a kind of element (types, counts and string lengths) a function is generated that compares all of these with the
element and packs the values in one step. Its source is made of numbers and names from this module only, never of text
that came from elsewhere. An element that differs, or whose values do not fit their types, is left to the general way
and its errors.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from cosemic.codec.scalars import FORMATS, encode_length
from cosemic.codec.typed import Typed
from cosemic.enums import DataType

ROWS_WORTH_A_PACKER: Final = 12
"""Shorter arrays are encoded the general way."""

_CANDIDATES: Final = 6
_CACHED: Final = 128
_FIELDS: Final = 128
_LARGEST: Final = 2048
_PATIENCE: Final = 48

_Packer: TypeAlias = Callable[[Typed], bytes | None]
_Key: TypeAlias = tuple[tuple[int, int], ...]

_UNFIT: Final = (struct.error, OverflowError, ValueError, TypeError, AttributeError)
"""What a packer may raise for values that do not fit; the general way then says what is wrong."""


def write_rows(out: bytearray, rows: Sequence[Typed], write: Callable[[bytearray, Typed], None]) -> None:
    """Append the elements of an array; ``write`` is the general way."""
    parts: list[bytes] = []
    append = parts.append
    packers: dict[_Key, _Packer] = {}
    seen: set[_Key] = set()
    patience = _PATIENCE
    current: _Packer = _never
    for row in rows:
        try:
            octets = current(row)
            if octets is None:
                for packer in packers.values():
                    octets = packer(row)
                    if octets is not None:
                        current = packer
                        break
        except _UNFIT:
            octets = None
        if octets is None:
            plain = bytearray()
            write(plain, row)
            octets = bytes(plain)
            patience -= 1
            if patience > 0 and len(packers) < _CANDIDATES:
                # A packer is worth its cost when elements of that kind come again.
                key = _key_of(row)
                if key in seen:
                    packers[key] = current = _packer(key)
                elif key:
                    seen.add(key)
        append(octets)
    out += b"".join(parts)


_cache: dict[_Key, _Packer] = {}


def _packer(key: _Key) -> _Packer:
    packer = _cache.get(key)
    if packer is None:
        if len(_cache) >= _CACHED:
            _cache.clear()
        packer = _cache[key] = _compile(key)
    return packer


def _never(row: Typed) -> bytes | None:
    return None


def _key_of(row: Typed) -> _Key:
    key: list[tuple[int, int]] = []
    return tuple(key) if _survey(row, key) and sum(size for _, size in key) <= _LARGEST else ()


def _survey(element: Typed, key: list[tuple[int, int]]) -> bool:
    """Append (tag, count or length) of the element and all that it contains; False when no packer can be made."""
    kind = element.type
    value: Any = element.value
    if len(key) >= _FIELDS:
        return False
    if kind is DataType.ARRAY or kind is DataType.STRUCTURE:
        key.append((kind, len(value)))
        return all(_survey(part, key) for part in value)
    if kind is DataType.OCTET_STRING:
        key.append((kind, len(value)))
    elif kind in _ENCODINGS:
        key.append((kind, len(value.encode(_ENCODINGS[kind]))))
    elif kind in FORMATS or kind is DataType.NULL_DATA:
        key.append((kind, 0))
    else:
        return False
    return True


_ENCODINGS: Final[dict[int, str]] = {DataType.VISIBLE_STRING: "latin-1", DataType.UTF8_STRING: "utf-8"}


def _compile(key: _Key) -> _Packer:
    lines: list[str] = []
    layout = [">"]
    arguments: list[str] = []
    constant = bytearray()
    names: dict[str, object] = {"len": len, "isinstance": isinstance, "bytes": bytes}
    fields = iter(key)
    numbers = iter(range(len(key)))

    def name_of(thing: object) -> str:
        name = f"n{len(names)}"
        names[name] = thing
        return name

    def flush() -> None:
        if constant:
            layout.append(f"{len(constant)}s")
            arguments.append(name_of(bytes(constant)))
            constant.clear()

    def check(condition: str) -> None:
        lines.append(f" if {condition}: return None")

    def element(variable: str) -> None:
        tag, size = next(fields)
        check(f"{variable}.type is not {name_of(DataType(tag))}")
        constant.append(tag)
        if tag == DataType.ARRAY or tag == DataType.STRUCTURE:
            constant.extend(encode_length(size))
            check(f"len({variable}.value) != {size}")
            parts = [f"e{next(numbers)}" for _ in range(size)]
            if parts:
                lines.append(f" {', '.join(parts)}, = {variable}.value")
            for part in parts:
                element(part)
        elif tag == DataType.OCTET_STRING:
            octets = f"{variable}v"
            lines.append(f" {octets} = {variable}.value")
            check(f"len({octets}) != {size}")
            constant.extend(encode_length(size))
            flush()
            layout.append(f"{size}s")
            arguments.append(octets)
        elif tag in _ENCODINGS:
            octets = f"{variable}v"
            lines.append(f" {octets} = {variable}.value.encode({name_of(_ENCODINGS[tag])})")
            check(f"len({octets}) != {size}")
            constant.extend(encode_length(size))
            flush()
            layout.append(f"{size}s")
            arguments.append(octets)
        elif tag == DataType.NULL_DATA:
            check(f"{variable}.value is not None")
        else:
            flush()
            layout.append(FORMATS[tag])
            arguments.append(f"{variable}.value")

    element("row")
    flush()
    packing = name_of(struct.Struct("".join(layout)).pack)
    lines.append(f" return {packing}({', '.join(arguments)})")
    # Names become parameters with defaults: local variables are quicker to reach than global ones.
    defaults = ", ".join(f"{name}={name}" for name in names)
    source = f"def pack_row(row, {defaults}):\n" + "\n".join(lines)
    scope: dict[str, Any] = {"__builtins__": {}, **names}
    exec(source, scope)
    packer: _Packer = scope["pack_row"]
    return packer
