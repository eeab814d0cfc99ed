"""One constructor per type of the standard, each with a clear error for what the type cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, SupportsBytes

from cosemic.codec.typed import RANGES, BitString, Typed, Value, type_name
from cosemic.enums import DataType
from cosemic.times import CosemDate, CosemDateTime, CosemTime


def null_data() -> Typed:
    """null-data [0]."""
    return _NULL


def dont_care() -> Typed:
    """dont-care [255]: any value, in templates."""
    return _DONT_CARE


def boolean(value: bool) -> Typed:
    """boolean [3]."""
    if not isinstance(value, int):
        raise TypeError(f"boolean holds True or False, not {value!r}")
    return Typed(DataType.BOOLEAN, bool(value))


def bit_string(value: str | BitString) -> Typed:
    """bit-string [4], from ``"0101"`` or a BitString."""
    return Typed(DataType.BIT_STRING, value if isinstance(value, BitString) else BitString(value))


def double_long(value: int) -> Typed:
    """double-long [5], 32 bits with sign."""
    return _integer(DataType.DOUBLE_LONG, value)


def double_long_unsigned(value: int) -> Typed:
    """double-long-unsigned [6], 32 bits."""
    return _integer(DataType.DOUBLE_LONG_UNSIGNED, value)


def floating_point(value: float) -> Typed:
    """floating-point [7], the older name of float32."""
    return Typed(DataType.FLOATING_POINT, _float(DataType.FLOATING_POINT, value))


def octet_string(value: bytes | bytearray | str | SupportsBytes) -> Typed:
    """octet-string [9], from octets or from hexadecimal digits; anything with ``bytes()`` like an ObisCode will do."""
    if isinstance(value, str):
        try:
            value = bytes.fromhex(value)
        except ValueError:
            raise ValueError(f"octet-string is written in hexadecimal digits, not {value!r}") from None
    if isinstance(value, int):
        raise TypeError(f"octet-string holds octets, not {value!r}")
    return Typed(DataType.OCTET_STRING, bytes(value))


def visible_string(value: str) -> Typed:
    """visible-string [10], one octet a character (ASCII, and what meters send beyond it as ISO 8859-1)."""
    _text(DataType.VISIBLE_STRING, value, "latin-1")
    return Typed(DataType.VISIBLE_STRING, value)


def utf8_string(value: str) -> Typed:
    """utf8-string [12]."""
    _text(DataType.UTF8_STRING, value, "utf-8")
    return Typed(DataType.UTF8_STRING, value)


def bcd(value: int) -> Typed:
    """bcd [13]: one octet as it is, 0 to 255; 0x42 stands for the decimal digits 4 and 2."""
    return _integer(DataType.BCD, value)


def integer(value: int) -> Typed:
    """integer [15], 8 bits with sign."""
    return _integer(DataType.INTEGER, value)


def long(value: int) -> Typed:
    """long [16], 16 bits with sign."""
    return _integer(DataType.LONG, value)


def unsigned(value: int) -> Typed:
    """unsigned [17], 8 bits."""
    return _integer(DataType.UNSIGNED, value)


def long_unsigned(value: int) -> Typed:
    """long-unsigned [18], 16 bits."""
    return _integer(DataType.LONG_UNSIGNED, value)


def long64(value: int) -> Typed:
    """long64 [20], 64 bits with sign."""
    return _integer(DataType.LONG64, value)


def long64_unsigned(value: int) -> Typed:
    """long64-unsigned [21], 64 bits."""
    return _integer(DataType.LONG64_UNSIGNED, value)


def enum(value: int) -> Typed:
    """enum [22], 0 to 255."""
    return _integer(DataType.ENUM, value)


def float32(value: float) -> Typed:
    """float32 [23]."""
    return Typed(DataType.FLOAT32, _float(DataType.FLOAT32, value))


def float64(value: float) -> Typed:
    """float64 [24]."""
    return Typed(DataType.FLOAT64, _float(DataType.FLOAT64, value))


def date_time(value: CosemDateTime | bytes) -> Typed:
    """date-time [25], from a CosemDateTime or its twelve octets."""
    value = CosemDateTime.from_bytes(bytes(value))
    return Typed(DataType.DATE_TIME, value)


def date(value: CosemDate | bytes) -> Typed:
    """date [26], from a CosemDate or its five octets."""
    value = CosemDate.from_bytes(bytes(value))
    return Typed(DataType.DATE, value)


def time(value: CosemTime | bytes) -> Typed:
    """time [27], from a CosemTime or its four octets."""
    value = CosemTime.from_bytes(bytes(value))
    return Typed(DataType.TIME, value)


def delta_integer(value: int) -> Typed:
    """delta-integer [28]: the difference from the value before, 8 bits with sign."""
    return _integer(DataType.DELTA_INTEGER, value)


def delta_long(value: int) -> Typed:
    """delta-long [29], 16 bits with sign."""
    return _integer(DataType.DELTA_LONG, value)


def delta_double_long(value: int) -> Typed:
    """delta-double-long [30], 32 bits with sign."""
    return _integer(DataType.DELTA_DOUBLE_LONG, value)


def delta_unsigned(value: int) -> Typed:
    """delta-unsigned [31], 8 bits."""
    return _integer(DataType.DELTA_UNSIGNED, value)


def delta_long_unsigned(value: int) -> Typed:
    """delta-long-unsigned [32], 16 bits."""
    return _integer(DataType.DELTA_LONG_UNSIGNED, value)


def delta_double_long_unsigned(value: int) -> Typed:
    """delta-double-long-unsigned [33], 32 bits."""
    return _integer(DataType.DELTA_DOUBLE_LONG_UNSIGNED, value)


def array(*elements: Typed | Iterable[Typed]) -> Typed:
    """array [1] of the given elements, or of those of one iterable."""
    return Typed(DataType.ARRAY, _elements(elements))


def structure(*elements: Typed | Iterable[Typed]) -> Typed:
    """structure [2] of the given elements, or of those of one iterable."""
    return Typed(DataType.STRUCTURE, _elements(elements))


_NULL: Final = Typed(DataType.NULL_DATA, None)
_DONT_CARE: Final = Typed(DataType.DONT_CARE, None)


def _integer(kind: DataType, value: int) -> Typed:
    low, high = RANGES[kind]
    if not isinstance(value, int):
        raise TypeError(f"{type_name(kind)} holds a whole number, not {value!r}")
    if not low <= value <= high:
        raise ValueError(f"{type_name(kind)} holds {low} to {high}, not {value}")
    return Typed(kind, int(value))


def _float(kind: DataType, value: float) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"{type_name(kind)} holds a number, not {value!r}")
    number = float(value)
    if kind is not DataType.FLOAT64 and not -_FLOAT32_MAX <= number <= _FLOAT32_MAX and abs(number) < float("inf"):
        raise ValueError(f"{type_name(kind)} holds numbers up to 3.4028235e38, not {value!r}")
    return number


_FLOAT32_MAX: Final = 3.4028235677973366e38
"""What is below this still rounds to the largest float32."""


def _text(kind: DataType, value: str, encoding: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"{type_name(kind)} holds text, not {value!r}")
    try:
        value.encode(encoding)
    except UnicodeEncodeError as error:
        raise ValueError(f"{type_name(kind)} cannot hold the character {value[error.start]!r} of {value!r}") from None


def _elements(elements: tuple[Typed | Iterable[Typed], ...]) -> tuple[Typed, ...]:
    if len(elements) == 1 and not isinstance(elements[0], Typed) and not hasattr(elements[0], "typed"):
        elements = tuple(elements[0])
    return tuple(map(as_typed, elements))


def as_typed(element: object) -> Typed:
    """A Typed, or the typed form of a Data; TypeError for anything else."""
    if isinstance(element, Typed):
        return element
    typed = getattr(element, "typed", None)
    if isinstance(typed, Typed):
        return typed
    raise TypeError(f"expected a typed value such as axdr.unsigned(1), not {element!r}")


def checked(kind: DataType, value: object) -> Typed:
    """A plain value made typed by the constructor of its type, with the constructor's errors."""
    maker = CONSTRUCTORS.get(kind)
    if maker is None:
        raise ValueError(f"{type_name(kind)} cannot be made of a plain value")
    return maker(value)


def _nothing(value: Value) -> Typed:
    if value is not None:
        raise ValueError(f"null-data holds no value, not {value!r}")
    return null_data()


def _anything(value: Value) -> Typed:
    if value is not None:
        raise ValueError(f"dont-care holds no value, not {value!r}")
    return dont_care()


CONSTRUCTORS: Final[dict[DataType, Callable[..., Typed]]] = {
    DataType.NULL_DATA: _nothing,
    DataType.DONT_CARE: _anything,
    **{
        kind: globals()[kind.name.lower()]
        for kind in DataType
        if kind
        not in (DataType.NULL_DATA, DataType.DONT_CARE, DataType.ARRAY, DataType.STRUCTURE, DataType.COMPACT_ARRAY)
    },
}
"""The constructor of every type whose value is not made of others."""
