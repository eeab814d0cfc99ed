"""Typed values to A-XDR octets."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Final

from cosemic.codec.compact import typed_element
from cosemic.codec.constructors import checked
from cosemic.codec.packing import ROWS_WORTH_A_PACKER, write_rows
from cosemic.codec.scalars import PACK, encode_length
from cosemic.codec.typed import BitString, Typed, TypedWhole, type_name
from cosemic.enums import DataType
from cosemic.times import CosemDate, CosemDateTime, CosemTime


def encode(value: Typed) -> bytes:
    """The octets of a typed value.

    What ``decode_typed`` returned gives the octets it came from; anything built from parts is coded canonically.
    ValueError or TypeError names a value that its type cannot hold.
    """
    if value.__class__ is TypedWhole and value.received is not None:
        return value.received
    pack = PACK[value.type]
    if pack is not None:
        try:
            return pack(value.type, value.value)
        except (struct.error, OverflowError):
            pass
    out = bytearray()
    try:
        write(out, value)
    except RecursionError:
        raise ValueError("a value nested too deep to be encoded") from None
    return bytes(out)


def write(out: bytearray, value: Typed) -> None:
    """Append the canonical octets of a typed value."""
    _write_all(out, (value,))


def _write_all(out: bytearray, values: Sequence[Typed]) -> None:
    for value in values:
        kind = value.type
        pack = PACK[kind]
        if pack is not None:
            try:
                out += pack(kind, value.value)
            except (struct.error, OverflowError):
                checked(kind, value.value)
                raise ValueError(f"{type_name(kind)} cannot hold {value.value!r}") from None
        elif kind is DataType.STRUCTURE or kind is DataType.ARRAY:
            elements = value.elements
            out.append(kind)
            out += encode_length(len(elements))
            if len(elements) < ROWS_WORTH_A_PACKER:
                _write_all(out, elements)
            else:
                write_rows(out, elements, write)
        else:
            writer = _WRITERS.get(kind)
            if writer is None:
                raise ValueError(f"{kind!r} is not a type of the standard")
            out.append(kind)
            writer(out, value)


def _write_nothing(out: bytearray, value: Typed) -> None:
    if value.value is not None:
        raise ValueError(f"{type_name(value.type)} holds no value, not {value.value!r}")


def _write_octets(out: bytearray, value: Typed) -> None:
    octets = value.value
    if not isinstance(octets, bytes | bytearray):
        raise TypeError(f"octet-string holds octets, not {octets!r}")
    out += encode_length(len(octets))
    out += octets


def _write_text(out: bytearray, value: Typed) -> None:
    encoding = "latin-1" if value.type is DataType.VISIBLE_STRING else "utf-8"
    text = value.value
    if not isinstance(text, str):
        raise TypeError(f"{type_name(value.type)} holds text, not {text!r}")
    try:
        octets = text.encode(encoding)
    except UnicodeEncodeError:
        checked(value.type, text)
        raise
    out += encode_length(len(octets))
    out += octets


def _write_bits(out: bytearray, value: Typed) -> None:
    bits = value.value
    if not isinstance(bits, BitString):
        raise TypeError(f"bit-string holds a BitString, not {bits!r}")
    out += encode_length(bits.length)
    out += bits.octets


def _write_time(out: bytearray, value: Typed) -> None:
    wanted = _TIME_CLASSES[value.type]
    moment = value.value
    if not isinstance(moment, wanted):
        raise TypeError(f"{type_name(value.type)} holds a {wanted.__name__}, not {moment!r}")
    out += bytes(moment)


def _write_compact(out: bytearray, value: Typed) -> None:
    if value.description is None or not isinstance(value.value, list | tuple):
        raise ValueError("a compact-array needs its type description and a list; make it with axdr.compact_array")
    contents = bytearray()
    for element in value.value:
        _write_untagged(contents, typed_element(value.description, element))  # type: ignore[arg-type]
    out += bytes(value.description)
    out += encode_length(len(contents))
    out += contents


def _write_untagged(out: bytearray, element: Typed) -> None:
    if element.type is DataType.ARRAY or element.type is DataType.STRUCTURE:
        for part in element.elements:
            _write_untagged(out, part)
        return
    start = len(out)
    write(out, element)
    del out[start]


_TIME_CLASSES: Final[dict[DataType, type[CosemDateTime | CosemDate | CosemTime]]] = {
    DataType.DATE_TIME: CosemDateTime,
    DataType.DATE: CosemDate,
    DataType.TIME: CosemTime,
}

_WRITERS: Final[dict[DataType, Callable[[bytearray, Typed], None]]] = {
    DataType.NULL_DATA: _write_nothing,
    DataType.DONT_CARE: _write_nothing,
    DataType.OCTET_STRING: _write_octets,
    DataType.VISIBLE_STRING: _write_text,
    DataType.UTF8_STRING: _write_text,
    DataType.BIT_STRING: _write_bits,
    DataType.DATE_TIME: _write_time,
    DataType.DATE: _write_time,
    DataType.TIME: _write_time,
    DataType.COMPACT_ARRAY: _write_compact,
}
