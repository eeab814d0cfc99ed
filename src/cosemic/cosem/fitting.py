"""Plain Python values fitted into the type that an attribute, or the parameter of a method, has on the wire.

What the meter itself sent last decides where it is at hand (``like``); otherwise what the declaration allows. Nothing
is guessed: where several types would do, or the declaration allows any, the error says so, and a ``Typed`` such as
``axdr.long_unsigned(5)`` settles it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final, NoReturn

from cosemic.codec.axdr import Data, Typed
from cosemic.codec.constructors import checked, octet_string, structure
from cosemic.codec.typed import RANGES, BitString, type_name
from cosemic.cosem.model import AttributeDeclaration, Element, Meaning, MeaningKind, MethodDeclaration, may_be_secret
from cosemic.cosem.values import ScalerUnit
from cosemic.enums import DataType
from cosemic.errors import LocalProtocolError
from cosemic.obis import ObisCode
from cosemic.times import CosemDate, CosemDateTime, CosemTime

_FLOATS: Final = frozenset((DataType.FLOATING_POINT, DataType.FLOAT32, DataType.FLOAT64))
_TEXTS: Final = frozenset((DataType.VISIBLE_STRING, DataType.UTF8_STRING))
_TRUTHS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_MOST_DIGITS: Final = 40
"""More than the widest integer has: what is larger need not be spelt out to be refused."""


def fit(
    declaration: AttributeDeclaration | Element, value: object, *, like: Typed | Data | None = None, owner: str = ""
) -> Typed:
    """The typed value to write.

    ``value`` is plain: a number, a bool, text (also the name of an enumeration's value, an OBIS code, an ISO date),
    octets, a datetime, ``ObisCode``, ``ScalerUnit``, ``BitString`` or a set of the names of bits; for a structure a
    tuple, or a mapping by the names of its elements; for an array a list. A ``Typed`` or ``Data`` is checked and taken
    as it is. ``like`` is what the meter sent for the same attribute: its type is used. LocalProtocolError names
    ``owner`` and attribute, what is allowed, and the value; it shows no octets, and nothing of secrets.
    """
    known = like.typed if isinstance(like, Data) else like
    return _Place(f"{owner}: {declaration.name}" if owner else declaration.name).fit(
        Element(declaration.name, declaration.types, declaration.meaning), value, known
    )


def fit_parameter(method: MethodDeclaration, value: object = None, *, owner: str = "") -> Typed:
    """The typed parameter of a method; without a value the one that the method always takes, such as integer 0."""
    name = f"{owner}: {method.name}" if owner else method.name
    if value is None and method.default is not None and method.parameter is not None:
        value = method.default
    if method.parameter is None and not isinstance(value, Typed | Data):
        raise LocalProtocolError(
            f"{name}: what this method takes is not confirmed by the declarations; give a typed value such as "
            f"axdr.integer(0), not {_shown(name, value)}"
        )
    parameter = method.parameter or Element(method.name)
    return _Place(name).fit(replace(parameter, name=method.name), value, None)


class _Unfit(Exception):
    """Why one type cannot hold the value."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in an attribute we are, for messages."""

    path: str

    def fit(self, element: Element, value: object, like: Typed | None) -> Typed:
        if isinstance(value, Data):
            value = value.typed
        if isinstance(value, Typed):
            if element.types and value.type not in element.types and (like is None or like.type is not value.type):
                self._refuse(element, type_name(value.type), f"{type_name(value.type)} is not among them")
            return value
        if like is not None and like.type is not DataType.NULL_DATA:
            try:
                return self._as(like.type, element.meaning, value, like)
            except _Unfit as reason:
                self._refuse(replace(element, types=frozenset((like.type,))), _shown(self.path, value), str(reason))
        return self._by_declaration(element, value)

    def _by_declaration(self, element: Element, value: object) -> Typed:
        if not element.types:
            self._refuse(element, _shown(self.path, value), _UNDECIDED)
        found: list[Typed] = []
        reasons: list[str] = []
        for kind in sorted(element.types):
            try:
                found.append(self._as(kind, element.meaning, value, None))
            except _Unfit as reason:
                reasons.append(str(reason))
        if not found:
            self._refuse(element, _shown(self.path, value), "; ".join(dict.fromkeys(reasons)))
        if len(found) > 1:
            # An octet-string holds a time where the type of times would do too: meters without the latter are many.
            octets = [typed for typed in found if typed.type is DataType.OCTET_STRING]
            if element.meaning is None or not octets:
                self._refuse(element, _shown(self.path, value), _UNDECIDED)
            return octets[0]
        return found[0]

    def _as(self, kind: DataType, meaning: Meaning | None, value: object, like: Typed | None) -> Typed:
        """The value in this type; _Unfit when it cannot be held."""
        if kind is DataType.STRUCTURE:
            return self._structure(meaning, value, like)
        if kind is DataType.ARRAY:
            return self._array(meaning, value, like)
        if kind is DataType.OCTET_STRING:
            return octet_string(_octets(meaning, value, like))
        try:
            plain = _plain(kind, meaning, value, like)
            if kind in RANGES and not RANGES[kind][0] <= plain <= RANGES[kind][1]:  # type: ignore[operator]
                raise _Unfit("{} holds {} to {}".format(type_name(kind), *RANGES[kind]))
            return checked(kind, plain)
        except (TypeError, ValueError, OverflowError) as error:
            raise _Unfit(str(error)) from None

    def _structure(self, meaning: Meaning | None, value: object, like: Typed | None) -> Typed:
        if isinstance(value, ScalerUnit):
            value = (value.scaler, value.unit)
        elements = _elements(meaning, like)
        if elements is None:
            raise _Unfit("what the structure is made of is not declared: give it typed, as axdr.structure(…)")
        if isinstance(value, Mapping):
            names = [element.name for element in elements]
            if set(value) != set(names):
                raise _Unfit(f"the structure has the elements {', '.join(names)}")
            value = tuple(value[name] for name in names)
        if not isinstance(value, tuple | list) or len(value) != len(elements):
            raise _Unfit(f"a structure of {len(elements)} elements is written as a tuple of as many")
        likes = like.elements if like is not None and like.type is DataType.STRUCTURE else (None,) * len(elements)
        return structure(
            tuple(
                _Place(f"{self.path}.{element.name}").fit(element, part, one)
                for element, part, one in zip(elements, value, likes, strict=True)
            )
        )

    def _array(self, meaning: Meaning | None, value: object, like: Typed | None) -> Typed:
        if not isinstance(value, list | tuple):
            raise _Unfit("an array is written as a list")
        first = like.elements[0] if like is not None and like.type is DataType.ARRAY and like.elements else None
        entry = meaning.elements[0] if meaning is not None and meaning.kind is MeaningKind.ARRAY else Element("entry")
        return Typed(
            DataType.ARRAY,
            tuple(_Place(f"{self.path}[{number}]").fit(entry, part, first) for number, part in enumerate(value)),
        )

    def _refuse(self, element: Element, value: str, reason: str) -> NoReturn:
        if may_be_secret(self.path) and reason is not _UNDECIDED:
            reason = "it does not fit"  # a reason may quote the value
        raise LocalProtocolError(f"{self.path} takes {_allowed(element)}, not {value}: {reason}")


_UNDECIDED: Final = (
    "read it first, so that the meter's own type is known, or give a typed value such as axdr.unsigned(1)"
)


def _allowed(element: Element) -> str:
    if not element.types:
        return "a type that the standard leaves open"
    names = " or ".join(type_name(kind) for kind in sorted(element.types))
    meaning = element.meaning
    if meaning is None or meaning.kind in (MeaningKind.STRUCTURE, MeaningKind.ARRAY):
        return names
    if meaning.kind is MeaningKind.ENUMERATION:
        return f"{names} ({', '.join(f'{number} {name}' for number, name in meaning.names)})"
    return f"{names} ({meaning.kind})"


def _shown(path: str, value: object) -> str:
    """A value for a message: without octets, without what may be secret, and short."""
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} octets"
    if isinstance(value, list | tuple | Mapping | AbstractSet):
        return f"a {type(value).__name__} of {len(value)}"
    if may_be_secret(path):
        return f"this {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _elements(meaning: Meaning | None, like: Typed | None) -> tuple[Element, ...] | None:
    """The elements of a structure by declaration; by number where only the meter's own value is known."""
    declared = None
    if meaning is not None and meaning.kind in (MeaningKind.STRUCTURE, MeaningKind.SCALER_UNIT):
        declared = meaning.elements
    if like is None or like.type is not DataType.STRUCTURE or (declared and len(declared) == len(like.elements)):
        return declared
    return tuple(Element(f"element {number}") for number in range(1, len(like.elements) + 1))


def _octets(meaning: Meaning | None, value: object, like: Typed | None) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        octets = bytes(value)
        if meaning is not None and len(octets) != _SIZES.get(meaning.kind, len(octets)):
            raise _Unfit(f"a {meaning.kind} has {_SIZES[meaning.kind]} octets")
        return octets
    kind = None if meaning is None else meaning.kind
    if kind is None and isinstance(value, datetime) and like is not None and like.type is DataType.OCTET_STRING:
        # Not declared as a time, but the meter's own value has the length of one.
        kind = MeaningKind.DATE_TIME if len(bytes(like.plain)) == _SIZES[MeaningKind.DATE_TIME] else None  # type: ignore[arg-type]
    maker = _MAKERS.get(kind) if kind is not None else None
    if maker is not None:
        return _made(maker, value)
    if isinstance(value, ObisCode | CosemDateTime | CosemDate | CosemTime):
        return bytes(value)
    if isinstance(value, str):
        try:
            return bytes.fromhex(value)
        except ValueError:
            raise _Unfit("octets are written as bytes, or as text in hexadecimal digits") from None
    raise _Unfit("octets are written as bytes")


def _made(maker: Callable[[object], bytes], value: object) -> bytes:
    try:
        return maker(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise _Unfit(str(error)) from None


def _plain(kind: DataType, meaning: Meaning | None, value: object, like: Typed | None) -> object:
    """The value as the constructor of a type wants it."""
    if kind in RANGES:
        return _number(meaning, value)
    if kind in _FLOATS:
        return _float(value)
    if kind is DataType.BOOLEAN:
        return _truth(value)
    if kind is DataType.BIT_STRING:
        return _bits(meaning, value, like)
    if kind in _TEXTS and not isinstance(value, str):
        raise _Unfit(f"{type_name(kind)} holds text")
    maker = _TIMES.get(kind)
    return value if maker is None else maker(value)


def _number(meaning: Meaning | None, value: object) -> int:
    if isinstance(value, str):
        number = meaning.number_of(value) if meaning is not None and meaning.kind is MeaningKind.ENUMERATION else None
        if number is not None:
            return number
        for base in (0, 10):  # 10 for numbers such as 007
            try:
                return int(value, base)
            except ValueError:
                continue
        raise _Unfit("it is neither a whole number nor the name of one")
    if isinstance(value, AbstractSet) and meaning is not None and meaning.kind is MeaningKind.BITS:
        return sum(1 << number for number in _named_bits(meaning, value))
    if isinstance(value, BitString):
        raise _Unfit("it holds a number; its lowest bit is number 0")
    if isinstance(value, Decimal) and value.is_finite():
        if value.adjusted() > _MOST_DIGITS:
            raise _Unfit("it holds smaller numbers")
        if value == value.to_integral_value():
            return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _Unfit("it holds a whole number")
    return int(value)


def _float(value: object) -> float:
    if isinstance(value, str):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _Unfit("it holds a number")
    number = float(value)
    if isinstance(value, Decimal) and value.is_finite() and number - number != 0:
        raise _Unfit("it holds smaller numbers")
    return number


def _truth(value: object) -> bool:
    truth = _TRUTHS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(truth, bool):
        raise _Unfit("it holds true or false")
    return truth


def _bits(meaning: Meaning | None, value: object, like: Typed | None) -> BitString:
    if isinstance(value, BitString):
        return value
    if isinstance(value, str):
        return BitString(value)
    if isinstance(value, AbstractSet) and meaning is not None and meaning.kind is MeaningKind.BITS:
        numbers = _named_bits(meaning, value)
        if like is None or not isinstance(like.value, BitString):
            raise _Unfit("how many bits there are is known when it was read: read it first, or write it as '0101'")
        if numbers and max(numbers) >= len(like.value):
            raise _Unfit(f"the meter has {len(like.value)} bits")
        return BitString("".join("1" if number in numbers else "0" for number in range(len(like.value))))
    raise _Unfit("bits are written as text of 0 and 1, or as a set of their names")


def _named_bits(meaning: Meaning, names: AbstractSet[object]) -> set[int]:
    numbers = set()
    for name in names:
        number = meaning.number_of(name) if isinstance(name, str) else None
        if number is None:
            raise _Unfit(f"its bits are {', '.join(known for _, known in meaning.names)}")
        numbers.add(number)
    return numbers


def _date_time(value: object) -> CosemDateTime:
    if isinstance(value, CosemDateTime):
        return value
    if isinstance(value, datetime):
        return CosemDateTime.from_datetime(value)
    if isinstance(value, str):
        octets = _hexadecimal(value, 12)
        return (
            CosemDateTime.from_bytes(octets) if octets else CosemDateTime.from_datetime(datetime.fromisoformat(value))
        )
    return CosemDateTime.from_bytes(_raw(value, 12, "a datetime, or ISO 8601"))


def _date(value: object) -> CosemDate:
    if isinstance(value, CosemDate):
        return value
    if isinstance(value, date) and not isinstance(value, datetime):
        return CosemDate.from_date(value)
    if isinstance(value, str):
        octets = _hexadecimal(value, 5)
        return CosemDate.from_bytes(octets) if octets else CosemDate.from_date(date.fromisoformat(value))
    return CosemDate.from_bytes(_raw(value, 5, "a date, or ISO 8601"))


def _time(value: object) -> CosemTime:
    if isinstance(value, CosemTime):
        return value
    if isinstance(value, time):
        return CosemTime.from_time(value)
    if isinstance(value, str):
        octets = _hexadecimal(value, 4)
        return CosemTime.from_bytes(octets) if octets else CosemTime.from_time(time.fromisoformat(value))
    return CosemTime.from_bytes(_raw(value, 4, "a time, or ISO 8601"))


def _raw(value: object, size: int, expected: str) -> bytes:
    if isinstance(value, bytes | bytearray) and len(value) == size:
        return bytes(value)
    raise _Unfit(f"it is written as {expected}, or as {size} octets")


def _hexadecimal(text: str, size: int) -> bytes | None:
    """The octets when the text is just their digits."""
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        return None
    return octets if len(octets) == size else None


def _logical_name(value: object) -> bytes:
    if isinstance(value, ObisCode | str):
        return bytes(ObisCode.parse(value))
    raise _Unfit("write an OBIS code")


def _characters(value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    raise _Unfit("write text or octets")


_SIZES: Final = {
    MeaningKind.DATE_TIME: 12,
    MeaningKind.DATE: 5,
    MeaningKind.TIME: 4,
    MeaningKind.LOGICAL_NAME: 6,
}
_MAKERS: Final[dict[MeaningKind, Callable[[object], bytes]]] = {
    MeaningKind.DATE_TIME: lambda value: bytes(_date_time(value)),
    MeaningKind.DATE: lambda value: bytes(_date(value)),
    MeaningKind.TIME: lambda value: bytes(_time(value)),
    MeaningKind.LOGICAL_NAME: _logical_name,
    MeaningKind.TEXT: _characters,
}
_TIMES: Final[dict[DataType, Callable[[object], object]]] = {
    DataType.DATE_TIME: _date_time,
    DataType.DATE: _date,
    DataType.TIME: _time,
}
