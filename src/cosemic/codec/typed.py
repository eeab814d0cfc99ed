"""Values with their A-XDR type: ``Typed``, bit strings, and one constructor per type of the standard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TypeAlias

from cosemic.enums import DataType
from cosemic.times import CosemDate, CosemDateTime, CosemTime

if TYPE_CHECKING:
    from cosemic.codec.compact import TypeDescription

Value: TypeAlias = (
    "bool | int | float | str | bytes | BitString | CosemDateTime | CosemDate | CosemTime"
    " | list[Value] | tuple[Value, ...] | None"
)
"""Plain values: array and compact-array are lists, structures are tuples."""


class BitString:
    """An immutable string of bits; ``str()`` gives ``"0101"``, bit 0 is the first one on the wire."""

    __slots__ = ("length", "octets")
    length: int
    octets: bytes

    def __init__(self, bits: str) -> None:
        if not isinstance(bits, str) or bits.strip("01"):
            raise ValueError(f"a bit-string is written with 0 and 1, not {bits!r}")
        length = len(bits)
        size = (length + 7) // 8
        object.__setattr__(self, "length", length)
        object.__setattr__(self, "octets", int(bits.ljust(size * 8, "0") or "0", 2).to_bytes(size, "big"))

    @classmethod
    def from_octets(cls, octets: bytes, length: int | None = None) -> BitString:
        """The first ``length`` bits of ``octets`` (all of them by default); unused bits of the last octet become 0."""
        if length is None:
            length = len(octets) * 8
        if (length + 7) // 8 != len(octets):
            raise ValueError(f"{length} bits do not take {len(octets)} octets")
        unused = -length % 8
        if unused and octets[-1] & ((1 << unused) - 1):
            octets = octets[:-1] + bytes((octets[-1] >> unused << unused,))
        self = object.__new__(cls)
        object.__setattr__(self, "length", length)
        object.__setattr__(self, "octets", bytes(octets))
        return self

    def __str__(self) -> str:
        return format(int.from_bytes(self.octets, "big"), f"0{len(self.octets) * 8}b")[: self.length]

    def __repr__(self) -> str:
        return f"BitString({str(self)!r})"

    def __len__(self) -> int:
        return self.length

    def __int__(self) -> int:
        """The bits as a number, the first bit being the most significant."""
        return int.from_bytes(self.octets, "big") >> (-self.length % 8)

    def __getitem__(self, index: int) -> bool:
        if not -self.length <= index < self.length:
            raise IndexError(f"bit {index} of {self.length}")
        index %= self.length
        return bool(self.octets[index >> 3] >> (7 - (index & 7)) & 1)

    def __iter__(self) -> Iterator[bool]:
        return (bit == "1" for bit in str(self))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BitString):
            return NotImplemented
        return self.length == other.length and self.octets == other.octets

    def __hash__(self) -> int:
        return hash((self.length, self.octets))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a BitString cannot be changed")

    def __reduce__(self) -> tuple[object, tuple[bytes, int]]:
        return BitString.from_octets, (self.octets, self.length)


class Typed:
    """A value and its type; ``value`` is plain, or a tuple of Typed for array and structure. Immutable.

    What ``decode_typed`` returns encodes to the octets it came from, even where those are not the canonical ones.
    """

    __slots__ = ("type", "value")
    type: DataType
    value: Value | tuple[Typed, ...]

    def __init__(self, type: DataType, value: Value | tuple[Typed, ...]) -> None:  # noqa: A002
        _set_type(self, type)
        _set_value(self, value)

    @property
    def description(self) -> TypeDescription | None:
        """The type of the elements of a compact-array, whose ``value`` is a list of plain elements."""
        return None

    @property
    def received(self) -> bytes | None:
        """The octets that the value was decoded from, where it was decoded as a whole."""
        return None

    @property
    def plain(self) -> Value:
        """The value without types, as ``decode`` gives it."""
        if self.type is DataType.ARRAY:
            return [element.plain for element in self.elements]
        if self.type is DataType.STRUCTURE:
            return tuple(element.plain for element in self.elements)
        return self.value  # type: ignore[return-value]

    @property
    def elements(self) -> tuple[Typed, ...]:
        """The elements of an array or a structure; TypeError for other types."""
        if self.type is DataType.ARRAY or self.type is DataType.STRUCTURE:
            return self.value  # type: ignore[return-value]
        raise TypeError(f"{type_name(self.type)} has no typed elements")

    def __repr__(self) -> str:
        return f"{type_name(self.type)}({self.value!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Typed):
            return NotImplemented
        return self.type == other.type and self.value == other.value and self.description == other.description

    def __hash__(self) -> int:
        return hash((self.type, self.value))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Typed value cannot be changed")

    def __reduce__(self) -> tuple[object, ...]:
        return TypedWhole, (self.type, self.value, self.description, self.received)


class TypedWhole(Typed):
    """A Typed that knows more: its type description, the octets it came from."""

    __slots__ = ("_description", "_received")
    _description: TypeDescription | None
    _received: bytes | None

    def __init__(
        self,
        type: DataType,  # noqa: A002
        value: Value | tuple[Typed, ...],
        description: TypeDescription | None,
        received: bytes | None = None,
    ) -> None:
        _set_type(self, type)
        _set_value(self, value)
        _set_description(self, description)
        _set_received(self, received)

    @property
    def description(self) -> TypeDescription | None:
        return self._description

    @property
    def received(self) -> bytes | None:
        return self._received


# The setters of the slots: the only way past __setattr__, and the quickest.
_set_type: Final = Typed.__dict__["type"].__set__
_set_value: Final = Typed.__dict__["value"].__set__
_set_description: Final = TypedWhole.__dict__["_description"].__set__
_set_received: Final = TypedWhole.__dict__["_received"].__set__


def type_name(kind: int) -> str:
    """The standard's name of a type, such as ``double-long-unsigned``."""
    return _NAMES.get(kind) or f"type {kind}"


_NAMES: Final = {int(kind): kind.name.lower().replace("_", "-") for kind in DataType}

RANGES: Final[dict[int, tuple[int, int]]] = {
    DataType.DOUBLE_LONG: (-(1 << 31), (1 << 31) - 1),
    DataType.DOUBLE_LONG_UNSIGNED: (0, (1 << 32) - 1),
    DataType.BCD: (0, 255),
    DataType.INTEGER: (-128, 127),
    DataType.LONG: (-(1 << 15), (1 << 15) - 1),
    DataType.UNSIGNED: (0, 255),
    DataType.LONG_UNSIGNED: (0, (1 << 16) - 1),
    DataType.LONG64: (-(1 << 63), (1 << 63) - 1),
    DataType.LONG64_UNSIGNED: (0, (1 << 64) - 1),
    DataType.ENUM: (0, 255),
    DataType.DELTA_INTEGER: (-128, 127),
    DataType.DELTA_LONG: (-(1 << 15), (1 << 15) - 1),
    DataType.DELTA_DOUBLE_LONG: (-(1 << 31), (1 << 31) - 1),
    DataType.DELTA_UNSIGNED: (0, 255),
    DataType.DELTA_LONG_UNSIGNED: (0, (1 << 16) - 1),
    DataType.DELTA_DOUBLE_LONG_UNSIGNED: (0, (1 << 32) - 1),
}
"""Smallest and largest value of every integer type."""
