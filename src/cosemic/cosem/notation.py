"""How the declarations of ``cosemic.cosem.classes`` are written, and how they are read.

Attributes and methods are words with a blank between them, numbered in their order:

========================== ==========================================================================================
``name:type|type``         an attribute and its types; without types, or with ``choice``, it may have any
``~name:…``, ``.name:…``   the same, and it is known to be dynamic or static
``?``                      an attribute (``attribute 5``) or method of which nothing is confirmed; ask about it
``method(type)``           a method and the type of its parameter; ``method`` where that is not confirmed
``method(integer=0)``      a method whose parameter is always the same
``!method(…)``             a method to ask about before it is called
========================== ==========================================================================================

A type is the standard's name of it, and what it stands for may follow:

========================== ==========================================================================================
``enum{off,on,9:failed}``  names of values, from 0 or from a number on
``unsigned[a,b,,d]``       names of bits: of a bit-string from the first, of an integer from the lowest
``structure(a:type,…)``    elements with names
``array(type)``            an array of such elements; ``table(a:type,…)`` is ``array(structure(a:type,…))``
``@date-time`` …           one of the meanings below, or of the definitions in ``cosemic.cosem.classes.shapes``
========================== ==========================================================================================

``@date-time``, ``@date`` and ``@time`` are octet-strings that hold one, or the types of these names; ``@obis`` is an
octet-string of six octets, ``@text`` one of characters, ``@scaler-unit`` the structure of a register.
"""

from __future__ import annotations

import functools
from typing import Final, TypeAlias

from cosemic.cosem.model import AttributeDeclaration, Element, Meaning, MeaningKind, MethodDeclaration
from cosemic.enums import DataType

_Spec: TypeAlias = tuple[frozenset[DataType], Meaning | None]

_TYPES: Final = {kind.name.lower().replace("_", "-"): frozenset((kind,)) for kind in DataType}
_OCTETS: Final = _TYPES["octet-string"]
_ANY: Final[_Spec] = (frozenset(), None)
_STRUCTURE: Final = _TYPES["structure"]
_LOGICAL_NAME: Final = Meaning(MeaningKind.LOGICAL_NAME)
_FIRST: Final = AttributeDeclaration(1, "logical_name", _OCTETS, _LOGICAL_NAME, dynamic=False)

_BUILT_IN: Final[dict[str, _Spec]] = {
    "date-time": (_OCTETS | _TYPES["date-time"], Meaning(MeaningKind.DATE_TIME)),
    "date": (_OCTETS | _TYPES["date"], Meaning(MeaningKind.DATE)),
    "time": (_OCTETS | _TYPES["time"], Meaning(MeaningKind.TIME)),
    "obis": (_OCTETS, _LOGICAL_NAME),
    "text": (_OCTETS, Meaning(MeaningKind.TEXT)),
    "scaler-unit": (
        _STRUCTURE,
        Meaning(
            MeaningKind.SCALER_UNIT,
            elements=(Element("scaler", _TYPES["integer"]), Element("unit", _TYPES["enum"])),
        ),
    ),
}


def read_attributes(text: str) -> tuple[AttributeDeclaration, ...]:
    """The attributes of a class, ``logical_name`` first; ValueError for what is not written as above."""
    attributes = [_FIRST]
    for number, item in enumerate(text.split(), start=2):
        if item == "?":
            attributes.append(AttributeDeclaration(number, f"attribute {number}", frozenset()))
            continue
        name, _, spec = item.partition(":")
        dynamic = {"~": True, ".": False}.get(name[0])
        types, meaning = _read_spec(spec)
        attributes.append(
            AttributeDeclaration(number, name if dynamic is None else name[1:], types, meaning, dynamic=dynamic)
        )
    return tuple(attributes)


def read_methods(text: str) -> tuple[MethodDeclaration, ...]:
    """The methods of a class; ValueError for what is not written as above."""
    return tuple(_read_method(number, item) for number, item in enumerate(text.split(), start=1))


def _read_method(number: int, item: str) -> MethodDeclaration:
    if item == "?":
        return MethodDeclaration(number, f"method {number}", critical=True)
    critical = item.startswith("!")
    name, bracket, spec = item[critical:].partition("(")
    if not bracket:
        return MethodDeclaration(number, name, critical=critical)
    if not spec.endswith(")"):
        raise ValueError(f"the method {item!r} lacks its closing bracket")
    spec, _, default = spec[:-1].partition("=")
    parameter = Element("parameter", *_read_spec(spec))
    return MethodDeclaration(number, name, parameter, int(default) if default else None, critical=critical)


@functools.lru_cache(maxsize=1024)
def _read_spec(text: str) -> _Spec:
    """Types and meaning; where several types have a meaning, that of the first counts."""
    types: frozenset[DataType] = frozenset()
    meaning: Meaning | None = None
    for part in _parts(text, "|"):
        if part in ("", "choice"):
            return _ANY
        more, said = _read_type(part)
        types |= more
        meaning = meaning or said
    return types, meaning


def _read_type(text: str) -> _Spec:
    if text[0] == "@":
        return _BUILT_IN.get(text[1:]) or _defined(text[1:])
    end = next((place for place, character in enumerate(text) if character in "{[("), len(text))
    name, inner = text[:end], text[end + 1 : -1]
    if end == len(text):
        return _type_of(name), None
    if text[end] + text[-1] not in ("{}", "[]", "()"):
        raise ValueError(f"the brackets of {text!r} do not match")
    if text[end] == "{":
        return _type_of(name), Meaning(MeaningKind.ENUMERATION, _names(inner))
    if text[end] == "[":
        return _type_of(name), Meaning(MeaningKind.BITS, _names(inner))
    if name == "array":
        return _type_of(name), Meaning(MeaningKind.ARRAY, elements=(Element("entry", *_read_spec(inner)),))
    meaning = Meaning(MeaningKind.STRUCTURE, elements=_elements(inner))
    if name == "table":
        return _TYPES["array"], Meaning(MeaningKind.ARRAY, elements=(Element("entry", _STRUCTURE, meaning),))
    if name == "structure":
        return _STRUCTURE, meaning
    raise ValueError(f"{name!r} has no elements")


def _elements(text: str) -> tuple[Element, ...]:
    pairs = [part.partition(":") for part in _parts(text, ",")]
    return tuple(Element(name, *_read_spec(spec)) for name, _, spec in pairs)


def _names(text: str) -> tuple[tuple[int, str], ...]:
    names = []
    number = 0
    for part in text.split(","):
        start, colon, rest = part.partition(":")
        if colon:
            number = int(start)
        if name := rest if colon else start:
            names.append((number, name))
        number += 1
    return tuple(names)


def _parts(text: str, separator: str) -> list[str]:
    """The parts between separators that stand outside of all brackets."""
    if separator not in text:
        return [text]
    parts, depth, begin = [], 0, 0
    for place, character in enumerate(text):
        if character in "{[(":
            depth += 1
        elif character in "}])":
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[begin:place])
            begin = place + 1
    parts.append(text[begin:])
    return parts


def _type_of(name: str) -> frozenset[DataType]:
    try:
        return _TYPES[name]
    except KeyError:
        raise ValueError(f"{name!r} is not a type of the standard") from None


def _defined(name: str) -> _Spec:
    from cosemic.cosem.classes.shapes import SHAPES  # only where a declaration refers to one

    try:
        return _read_spec(SHAPES[name])
    except KeyError:
        raise ValueError(f"@{name} is not defined in cosemic.cosem.classes.shapes") from None
