"""compact-array [19]: one type description, then the elements without tags (IEC 62056-5-3, Data)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cosemic.codec.constructors import as_typed, checked
from cosemic.codec.limits import Limits
from cosemic.codec.scalars import FORMATS, SIZE, TYPES, Budget, decode_length, encode_length, leaf, truncated
from cosemic.codec.typed import Typed, TypedWhole, Value, type_name
from cosemic.enums import DataType
from cosemic.errors import DecodeError

_ELEMENTS_PER_OCTET: Final = 16
"""Null-data and dont-care take no octets here; this keeps a few octets from standing for millions of them."""


@dataclass(frozen=True, slots=True)
class TypeDescription:
    """The type of each element of a compact-array.

    ``elements`` holds one description for an array (all its ``count`` elements are alike), one per element for a
    structure, none for the other types.
    """

    type: DataType
    elements: tuple[TypeDescription, ...] = ()
    count: int = 0

    def __post_init__(self) -> None:
        if self.type is DataType.COMPACT_ARRAY:
            raise ValueError("a type description cannot contain a compact-array")
        if self.type is DataType.ARRAY:
            if len(self.elements) != 1 or not 0 <= self.count <= 0xFFFF:
                raise ValueError("the description of an array has a count of 0 to 65535 and one element type")
        elif self.elements and self.type is not DataType.STRUCTURE:
            raise ValueError(f"{type_name(self.type)} has no element types")

    @classmethod
    def array(cls, count: int, element: TypeDescription | DataType) -> TypeDescription:
        """An array of ``count`` elements."""
        return cls(DataType.ARRAY, (_described(element),), count)

    @classmethod
    def structure(cls, *elements: TypeDescription | DataType) -> TypeDescription:
        """A structure of the given elements."""
        return cls(DataType.STRUCTURE, tuple(map(_described, elements)))

    @classmethod
    def of(cls, element: Typed) -> TypeDescription:
        """The description that fits a typed value; ValueError for one that no description fits."""
        if element.type is DataType.STRUCTURE:
            return cls(DataType.STRUCTURE, tuple(map(cls.of, element.elements)))
        if element.type is DataType.ARRAY:
            kinds = {cls.of(part) for part in element.elements}
            if len(kinds) != 1:
                raise ValueError("an array inside a compact-array needs elements that are all of one type")
            return cls(DataType.ARRAY, (kinds.pop(),), len(element.elements))
        return cls(element.type)

    def __bytes__(self) -> bytes:
        if self.type is DataType.ARRAY:
            return b"\x01" + self.count.to_bytes(2, "big") + bytes(self.elements[0])
        if self.type is DataType.STRUCTURE:
            return b"\x02" + encode_length(len(self.elements)) + b"".join(map(bytes, self.elements))
        return bytes((self.type,))

    def __str__(self) -> str:
        if self.type is DataType.ARRAY:
            return f"array of {self.count} {self.elements[0]}"
        if self.type is DataType.STRUCTURE:
            return f"structure of ({', '.join(map(str, self.elements))})"
        return type_name(self.type)


def compact_array(
    *elements: Typed | TypeDescription | DataType | Iterable[object],
    description: TypeDescription | DataType | None = None,
) -> Typed:
    """compact-array [19].

    Either of typed values, all of one type: ``compact_array(unsigned(1), unsigned(2))``; or of a type description and
    plain values: ``compact_array(DataType.UNSIGNED, [1, 2])``. An empty one needs the description.
    """
    parts: list[object] = list(elements)
    if parts and isinstance(parts[0], TypeDescription | DataType):
        if description is not None:
            raise TypeError("the type description was given twice")
        description = parts.pop(0)  # type: ignore[assignment]
    if len(parts) == 1 and not isinstance(parts[0], Typed) and isinstance(parts[0], Iterable):
        parts = list(parts[0])
    if description is None:
        if not parts:
            raise ValueError("an empty compact-array needs a type description")
        description = TypeDescription.of(as_typed(parts[0]))
    described = _described(description)
    values: list[Value] = []
    for part in parts:
        if isinstance(part, Typed):
            if TypeDescription.of(part) != described:
                raise ValueError(f"{part!r} is not of the type of the compact-array: {described}")
            part = part.plain
        values.append(part)  # type: ignore[arg-type]
    for value in values:
        typed_element(described, value)
    return TypedWhole(DataType.COMPACT_ARRAY, values, described)


def compact_elements(value: Typed) -> tuple[Typed, ...]:
    """The elements of a compact-array with their types."""
    description = value.description
    if description is None or not isinstance(value.value, list | tuple):
        raise TypeError(f"{type_name(value.type)} is no compact-array with a type description")
    return tuple(typed_element(description, element) for element in value.value)  # type: ignore[arg-type]


def typed_element(description: TypeDescription, value: Value) -> Typed:
    """A plain element with its types; TypeError or ValueError where they do not fit."""
    kind = description.type
    if kind is DataType.ARRAY or kind is DataType.STRUCTURE:
        inner = description.elements if kind is DataType.STRUCTURE else description.elements * description.count
        if not isinstance(value, list | tuple) or len(value) != len(inner):
            raise ValueError(f"{value!r} does not fit the description {description}")
        return Typed(kind, tuple(map(typed_element, inner, value)))
    return checked(kind, value)


def decode_compact(data: bytes, offset: int, depth: int, budget: Budget) -> tuple[TypeDescription, list[Value], int]:
    """A compact-array after its tag: description, plain elements, offset after it."""
    start = offset
    description, offset = _decode_description(data, offset, depth, budget)
    length, offset = decode_length(data, offset)
    end = offset + length
    if end > len(data):
        raise truncated(DataType.COMPACT_ARRAY, end - len(data), offset)
    contents = data[offset:end]
    allowed = min(budget.elements, _ELEMENTS_PER_OCTET * (end - start))
    own = Budget(allowed)
    values: list[Value] = []
    position = 0
    size = SIZE[description.type]
    if size:
        count, left_over = divmod(length, size)
        if left_over:
            raise DecodeError(f"{length} octets of contents do not divide into elements of {size}", offset=offset)
        own.take(count, offset)
        values += struct.unpack(f">{count}{FORMATS[description.type]}", contents)
        position = length
    while position < length:
        before = position
        value, position = _decode_element(description, contents, position, own)
        if position == before:
            raise DecodeError("a compact-array with contents whose elements take no octets", offset=offset)
        values.append(value)
        own.take(1, offset)
    budget.take(allowed - own.elements, offset)
    return description, values, end


def description_of(data: bytes, offset: int, limits: Limits) -> tuple[TypeDescription, int]:
    """The type description at ``offset`` and the offset after it."""
    return _decode_description(data, offset, limits.depth, Budget(limits.elements))


def _described(kind: TypeDescription | DataType) -> TypeDescription:
    return kind if isinstance(kind, TypeDescription) else TypeDescription(kind)


def _decode_description(data: bytes, offset: int, depth: int, budget: Budget) -> tuple[TypeDescription, int]:
    if offset >= len(data):
        raise DecodeError("the data end where a type description is expected", offset=offset)
    kind = TYPES[data[offset]]
    offset += 1
    if kind is None or kind is DataType.COMPACT_ARRAY:
        raise DecodeError(f"tag {data[offset - 1]} cannot stand in a type description", offset=offset - 1)
    if kind is not DataType.ARRAY and kind is not DataType.STRUCTURE:
        return TypeDescription(kind), offset
    if depth <= 0:
        raise DecodeError("a type description nested deeper than the limit allows", offset=offset)
    if kind is DataType.ARRAY:
        if offset + 2 > len(data):
            raise DecodeError("the data end inside a type description", offset=offset)
        count = int.from_bytes(data[offset : offset + 2], "big")
        element, offset = _decode_description(data, offset + 2, depth - 1, budget)
        return TypeDescription(kind, (element,), count), offset
    count, offset = decode_length(data, offset)
    if count > len(data) - offset:
        raise DecodeError(f"a type description announces {count} elements beyond the data", offset=offset)
    budget.take(count, offset)
    elements = []
    for _ in range(count):
        element, offset = _decode_description(data, offset, depth - 1, budget)
        elements.append(element)
    return TypeDescription(kind, tuple(elements)), offset


def _decode_element(description: TypeDescription, data: bytes, offset: int, budget: Budget) -> tuple[Value, int]:
    kind = description.type
    if kind is DataType.ARRAY:
        budget.take(description.count, offset)
        element = description.elements[0]
        items: list[Value] = []
        for _ in range(description.count):
            item, offset = _decode_element(element, data, offset, budget)
            items.append(item)
        return items, offset
    if kind is DataType.STRUCTURE:
        budget.take(len(description.elements), offset)
        items = []
        for element in description.elements:
            item, offset = _decode_element(element, data, offset, budget)
            items.append(item)
        return tuple(items), offset
    return leaf(kind, data, offset)
