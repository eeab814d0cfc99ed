"""The types without inner structure: their layouts, lengths and strings (IEC 62056-5-3, Data; IEC 61334-6)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final

from cosemic.codec.typed import BitString, Value
from cosemic.enums import DataType
from cosemic.errors import DecodeError
from cosemic.times import CosemDate, CosemDateTime, CosemTime

FORMATS: Final[dict[int, str]] = {
    DataType.BOOLEAN: "?",
    DataType.DOUBLE_LONG: "i",
    DataType.DOUBLE_LONG_UNSIGNED: "I",
    DataType.FLOATING_POINT: "f",
    DataType.BCD: "B",
    DataType.INTEGER: "b",
    DataType.LONG: "h",
    DataType.UNSIGNED: "B",
    DataType.LONG_UNSIGNED: "H",
    DataType.LONG64: "q",
    DataType.LONG64_UNSIGNED: "Q",
    DataType.ENUM: "B",
    DataType.FLOAT32: "f",
    DataType.FLOAT64: "d",
    DataType.DELTA_INTEGER: "b",
    DataType.DELTA_LONG: "h",
    DataType.DELTA_DOUBLE_LONG: "i",
    DataType.DELTA_UNSIGNED: "B",
    DataType.DELTA_LONG_UNSIGNED: "H",
    DataType.DELTA_DOUBLE_LONG_UNSIGNED: "I",
}
"""Struct codes of the types that are one number."""

TIMES: Final[dict[int, tuple[int, Callable[[bytes], Value]]]] = {
    DataType.DATE_TIME: (12, CosemDateTime.from_bytes),
    DataType.DATE: (5, CosemDate.from_bytes),
    DataType.TIME: (4, CosemTime.from_bytes),
}
"""Sizes and readers of the date and time types."""

TYPES: Final[list[DataType | None]] = [None] * 256
SIZE: Final[list[int]] = [0] * 256
UNPACK: Final[list[Callable[..., tuple[Any, ...]] | None]] = [None] * 256
PACK: Final[list[Callable[..., bytes] | None]] = [None] * 256
"""By tag: the type; the octets after the tag; how to read them; how to write tag and number."""

for _kind in DataType:
    TYPES[_kind] = _kind
for _tag, _code in FORMATS.items():
    _layout = struct.Struct(">" + _code)
    SIZE[_tag] = _layout.size
    UNPACK[_tag] = _layout.unpack_from
    PACK[_tag] = struct.Struct(">B" + _code).pack


def encode_length(number: int) -> bytes:
    """A length or a count: one octet below 128, else the number of octets (with bit 7 set) and the octets."""
    if number < 0x80:
        if number < 0:
            raise ValueError(f"a length cannot be {number}")
        return bytes((number,))
    octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets


def decode_length(data: bytes, offset: int) -> tuple[int, int]:
    """The length or count at ``offset`` and the offset after it; lengths longer than needed are accepted."""
    if offset >= len(data):
        raise DecodeError("the data end where a length is expected", offset=offset)
    first = data[offset]
    offset += 1
    if first < 0x80:
        return first, offset
    size = first & 0x7F
    end = offset + size
    if not size or size > 8:
        raise DecodeError(f"a length field of {size} octets", offset=offset - 1)
    if end > len(data):
        raise DecodeError("the data end inside a length", offset=offset)
    return int.from_bytes(data[offset:end], "big"), end


def leaf(tag: int, data: bytes, offset: int) -> tuple[Value, int]:
    """The value of a type without inner structure, whose content (without the tag) begins at ``offset``."""
    unpack = UNPACK[tag]
    if unpack is not None:
        end = offset + SIZE[tag]
        if end > len(data):
            raise truncated(tag, end - len(data), offset)
        return unpack(data, offset)[0], end
    if tag == DataType.NULL_DATA or tag == DataType.DONT_CARE:
        return None, offset
    if tag in TIMES:
        size, read = TIMES[tag]
        end = offset + size
        if end > len(data):
            raise truncated(tag, end - len(data), offset)
        return read(data[offset:end]), end
    if tag not in _STRINGS:
        raise DecodeError(f"tag {tag} is not a type of the standard", offset=offset - 1)
    length, offset = decode_length(data, offset)
    end = offset + ((length + 7) // 8 if tag == DataType.BIT_STRING else length)
    if end > len(data):
        raise truncated(tag, end - len(data), offset)
    octets = data[offset:end]
    if tag == DataType.OCTET_STRING:
        return octets, end
    if tag == DataType.VISIBLE_STRING:
        return octets.decode("latin-1"), end
    if tag == DataType.BIT_STRING:
        return BitString.from_octets(octets, length), end
    try:
        return octets.decode("utf-8"), end
    except UnicodeDecodeError as error:
        raise DecodeError(f"a utf8-string that is not UTF-8: {error.reason}", offset=offset) from None


_STRINGS: Final = frozenset((DataType.OCTET_STRING, DataType.VISIBLE_STRING, DataType.UTF8_STRING, DataType.BIT_STRING))


def truncated(tag: int, missing: int, offset: int) -> DecodeError:
    """The error for a value that the data end in."""
    kind = TYPES[tag]
    name = kind.name.lower().replace("_", "-") if kind is not None else f"tag {tag}"
    return DecodeError(f"{name} ends {missing} octets beyond the data", offset=offset)


class Budget:
    """What is left of the limits while one value is decoded."""

    __slots__ = ("compilations", "elements")

    def __init__(self, elements: int) -> None:
        self.elements = elements
        self.compilations = 16

    def take(self, count: int, offset: int) -> None:
        """Count elements; DecodeError when they exceed the limit."""
        self.elements -= count
        if self.elements < 0:
            raise DecodeError("more elements than the limit allows", offset=offset)
