"""Interface classes as declarations: which attributes and methods an object has, by class id and version.

The declarations of the standard live in ``cosemic.cosem.classes`` as text (``cosemic.cosem.notation`` says how it is
read); each class is read when it is first asked for. A class or version that nobody declares is answered by the nearest
declared version, or by a generic class that knows only ``logical_name``, so that a listing of a meter's objects never
fails. What two sources did not confirm is called ``attribute 7`` and has no types: see ``docs/classes.md``.
"""

from __future__ import annotations

import enum
import functools
import importlib
import re
from dataclasses import dataclass

from cosemic.enums import DataType, InterfaceClass, known


class MeaningKind(enum.StrEnum):
    """What a value stands for, where its type alone does not tell."""

    DATE_TIME = "date-time"
    """An octet-string of twelve octets (or the type date-time): ``CosemDateTime``."""
    DATE = "date"
    """An octet-string of five octets (or the type date): ``CosemDate``."""
    TIME = "time"
    """An octet-string of four octets (or the type time): ``CosemTime``."""
    LOGICAL_NAME = "logical-name"
    """An octet-string of six octets: ``ObisCode``."""
    TEXT = "text"
    """An octet-string that holds characters."""
    SCALER_UNIT = "scaler-unit"
    """A structure of scaler and unit: ``ScalerUnit``."""
    ENUMERATION = "enumeration"
    """A number whose values have names."""
    BITS = "bits"
    """Named bits: of a bit-string the first is number 0, of an integer the lowest."""
    STRUCTURE = "structure"
    """A structure whose elements have names."""
    ARRAY = "array"
    """An array of elements of one kind."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a structure or array, or the parameter of a method. No ``types`` means any (CHOICE)."""

    name: str
    types: frozenset[DataType] = frozenset()
    meaning: Meaning | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a value stands for; ``names`` are those of values or bits, ``elements`` those of a structure.

    An array has one element in ``elements``: what each of its entries is.
    """

    kind: MeaningKind
    names: tuple[tuple[int, str], ...] = ()
    elements: tuple[Element, ...] = ()

    def name_of(self, number: int) -> str | None:
        """The name of a value of an enumeration, or of a bit; None for one that the standard does not name."""
        return next((name for value, name in self.names if value == number), None)

    def number_of(self, name: str) -> int | None:
        """The number that has this name; capitals, spaces, hyphens and underscores make no difference."""
        wanted = _folded(name)
        return next((value for value, known_name in self.names if _folded(known_name) == wanted), None)


@dataclass(frozen=True, slots=True)
class AttributeDeclaration:
    """One attribute. ``types`` holds the data types that the standard allows; empty means any (CHOICE).

    ``dynamic`` tells whether the meter itself changes the value in operation; None where that is not confirmed. Whether
    a client may write it is not told here: access rights do.
    """

    number: int
    name: str
    types: frozenset[DataType]
    meaning: Meaning | None = None
    dynamic: bool | None = None


@dataclass(frozen=True, slots=True)
class MethodDeclaration:
    """One method. ``parameter`` is None where it is not confirmed what the method takes.

    ``default`` is the parameter of a method that takes a fixed one: the 0 of ``integer(0)``. ``critical`` marks what
    should be asked about before it is sent: supply, keys, security, tariffs, firmware, or the loss of billing data.
    """

    number: int
    name: str
    parameter: Element | None = None
    default: int | None = None
    critical: bool = False


@dataclass(frozen=True, slots=True)
class ClassDeclaration:
    """One version of an interface class (IEC 62056-6-2). ``declared`` is False for the generic fall-back."""

    class_id: int
    version: int
    name: str
    attributes: tuple[AttributeDeclaration, ...]
    methods: tuple[MethodDeclaration, ...]
    declared: bool = True

    def attribute_name(self, number: int) -> str:
        """The standard's name of an attribute; ``attribute 9`` for one that it does not have."""
        if 1 <= number <= len(self.attributes):
            return self.attributes[number - 1].name
        return f"attribute {number}"

    def method_name(self, number: int) -> str:
        """The standard's name of a method; ``method 9`` for one that it does not have."""
        if 1 <= number <= len(self.methods):
            return self.methods[number - 1].name
        return f"method {number}"

    def attribute(self, name: str | int) -> AttributeDeclaration:
        """The attribute with that name or number; KeyError if there is none."""
        for declaration in self.attributes:
            if declaration.name == name or declaration.number == name:
                return declaration
        raise KeyError(f"class {self.class_id} ({self.name}) has no attribute {name!r}")

    def method(self, name: str | int) -> MethodDeclaration:
        """The method with that name or number; KeyError if there is none."""
        for declaration in self.methods:
            if declaration.name == name or declaration.number == name:
                return declaration
        raise KeyError(f"class {self.class_id} ({self.name}) has no method {name!r}")


def interface_class(class_id: int, version: int | None = None) -> ClassDeclaration:
    """The declaration of a class; without ``version`` the newest one, for an unknown version the nearest below."""
    versions = _texts().get(class_id)
    if versions is None:
        return _generic(class_id, version or 0)
    if version is None:
        return _read(class_id, max(versions))
    if version in versions:
        return _read(class_id, version)
    return _read(class_id, max((number for number in versions if number <= version), default=min(versions)))


def interface_classes() -> list[ClassDeclaration]:
    """Every declaration, by class id and version."""
    return [_read(class_id, version) for class_id, versions in sorted(_texts().items()) for version in sorted(versions)]


def class_name(class_id: int) -> str:
    """The name of a class as the standard writes it: ``Register``; ``class 8192`` for a manufacturer's own."""
    versions = _texts().get(class_id)
    return _generic(class_id, 0).name if versions is None else versions[max(versions)][2]


def declare(class_id: int, version: int, name: str, attributes: str = "", methods: str = "") -> ClassDeclaration:
    """Make a declaration from text: attributes after logical_name, and methods; see ``cosemic.cosem.notation``."""
    from cosemic.cosem import notation  # reads texts into what this module defines

    return ClassDeclaration(
        class_id, version, name, notation.read_attributes(attributes), notation.read_methods(methods)
    )


def may_be_secret(name: str) -> bool:
    """Whether an attribute or method of that name deals with keys, passwords or tokens: no message or file shows it."""
    return not _SECRETS.isdisjoint(_WORDS.split(name.lower())) or "ppp_authentication" in name.lower()


_SECRETS = frozenset(("secret", "pass", "password", "key", "keys", "pin", "token"))
_WORDS = re.compile(r"[^a-z0-9]+")


def in_words(meaning: Meaning | None, value: object) -> str | None:
    """A number of an enumeration, or bits, by their names: ``connected``, ``doubtful, daylight saving``; else None."""
    if meaning is None:
        return None
    if meaning.kind is MeaningKind.ENUMERATION and isinstance(value, int):
        name = meaning.name_of(int(value))
        return None if name is None else name.replace("_", " ")
    if meaning.kind is MeaningKind.BITS:
        bits = _set_bits(value)
        if bits is not None:
            return ", ".join((meaning.name_of(bit) or f"bit {bit}").replace("_", " ") for bit in bits) or "none"
    return None


def _set_bits(value: object) -> list[int] | None:
    from cosemic.codec.typed import BitString  # not before a value has to be told in words

    if isinstance(value, BitString):
        return [number for number, bit in enumerate(value) if bit]
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return [number for number in range(value.bit_length()) if value >> number & 1]
    return None


def _folded(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")


_SUBJECTS = ("access", "communication", "control", "data", "payment", "powerline", "radio")
"""The modules of declarations: tuples of class id, version, name, attributes and methods, as text."""


@functools.cache
def _texts() -> dict[int, dict[int, tuple[int, int, str, str, str]]]:
    texts: dict[int, dict[int, tuple[int, int, str, str, str]]] = {}
    for subject in _SUBJECTS:
        for text in importlib.import_module(f"cosemic.cosem.classes.{subject}").CLASSES:
            texts.setdefault(text[0], {})[text[1]] = text
    return texts


@functools.cache
def _read(class_id: int, version: int) -> ClassDeclaration:
    return declare(*_texts()[class_id][version])


@functools.lru_cache(maxsize=256)
def _generic(class_id: int, version: int) -> ClassDeclaration:
    code = known(InterfaceClass, class_id)
    name = code.name.replace("_", " ").capitalize() if isinstance(code, InterfaceClass) else f"class {class_id}"
    logical_name = AttributeDeclaration(
        1, "logical_name", frozenset({DataType.OCTET_STRING}), Meaning(MeaningKind.LOGICAL_NAME), dynamic=False
    )
    return ClassDeclaration(class_id, version, name, (logical_name,), (), declared=False)
