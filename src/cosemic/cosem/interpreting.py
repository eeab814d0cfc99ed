"""Decoded values with the meaning that the declaration of their attribute gives them: the inverse of ``fitting``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from cosemic.cosem.model import AttributeDeclaration, Element, Meaning, MeaningKind
from cosemic.cosem.values import ScalerUnit
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.times import CosemDate, CosemDateTime, CosemTime


class Enumerated(int):
    """A number with the name that the standard gives it; prints as the name, is the number everywhere else."""

    name: str

    def __new__(cls, number: int, name: str) -> Self:
        made = super().__new__(cls, number)
        made.name = name
        return made

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"{int(self)} ({self.name})"


def interpret(declaration: AttributeDeclaration | Element, value: object) -> object:
    """What a decoded value stands for; a value that does not fit the declaration stays as it is.

    Date-times become aware datetimes where they can, else ``CosemDateTime``; logical names ``ObisCode``; scaler_unit
    ``ScalerUnit``; text ``str``; a named number ``Enumerated``; a structure with named elements a dict, an array a
    list of what its elements stand for.
    """
    meaning = declaration.meaning
    if meaning is None or value is None:
        return value
    return _READERS.get(meaning.kind, _as_it_is)(meaning, value)


def _as_it_is(meaning: Meaning, value: object) -> object:
    return value


def _date_time(meaning: Meaning, value: object) -> object:
    if isinstance(value, bytes) and len(value) == 12:
        value = CosemDateTime.from_bytes(value)
    if isinstance(value, CosemDateTime):
        try:
            return value.to_datetime()
        except ValueError:
            return value
    return value


def _date(meaning: Meaning, value: object) -> object:
    return CosemDate.from_bytes(value) if isinstance(value, bytes) and len(value) == 5 else value


def _time(meaning: Meaning, value: object) -> object:
    return CosemTime.from_bytes(value) if isinstance(value, bytes) and len(value) == 4 else value


def _logical_name(meaning: Meaning, value: object) -> object:
    return ObisCode.from_bytes(value) if isinstance(value, bytes) and len(value) == 6 else value


def _text(meaning: Meaning, value: object) -> object:
    if isinstance(value, bytes) and all(0x20 <= octet < 0x7F for octet in value):
        return value.decode("ascii")
    return value


def _scaler_unit(meaning: Meaning, value: object) -> object:
    try:
        return ScalerUnit.from_value(value)
    except DecodeError:
        return value


def _enumeration(meaning: Meaning, value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        name = meaning.name_of(int(value))
        return value if name is None else Enumerated(value, name)
    return value


def _structure(meaning: Meaning, value: object) -> object:
    if not isinstance(value, tuple) or len(value) != len(meaning.elements):
        return value
    return {element.name: interpret(element, part) for element, part in zip(meaning.elements, value, strict=True)}


def _array(meaning: Meaning, value: object) -> object:
    if not isinstance(value, list) or len(meaning.elements) != 1:
        return value
    return [interpret(meaning.elements[0], part) for part in value]


_READERS: dict[MeaningKind, Callable[[Meaning, object], object]] = {
    MeaningKind.DATE_TIME: _date_time,
    MeaningKind.DATE: _date,
    MeaningKind.TIME: _time,
    MeaningKind.LOGICAL_NAME: _logical_name,
    MeaningKind.TEXT: _text,
    MeaningKind.SCALER_UNIT: _scaler_unit,
    MeaningKind.ENUMERATION: _enumeration,
    MeaningKind.STRUCTURE: _structure,
    MeaningKind.ARRAY: _array,
}
