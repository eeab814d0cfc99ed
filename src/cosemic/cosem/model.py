"""Interface classes as declarations: which attributes and methods an object has, by class id and version.

The declarations of the standard live in ``cosemic.cosem.classes``; they are loaded when first asked for. A class or
version that nobody declares is answered by the nearest declared version, or by a generic class that knows only
``logical_name``, so that a listing of a meter's objects never fails.
"""

from __future__ import annotations

import functools
import importlib
from dataclasses import dataclass

from cosemic.enums import DataType, InterfaceClass, known


@dataclass(frozen=True, slots=True)
class AttributeDeclaration:
    """One attribute. ``types`` holds the data types that the standard allows; empty means any (CHOICE)."""

    number: int
    name: str
    types: frozenset[DataType]


@dataclass(frozen=True, slots=True)
class MethodDeclaration:
    """One method."""

    number: int
    name: str


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

    def attribute(self, name: str) -> AttributeDeclaration:
        """The attribute with that name; KeyError if there is none."""
        for declaration in self.attributes:
            if declaration.name == name:
                return declaration
        raise KeyError(f"class {self.class_id} ({self.name}) has no attribute {name!r}")


def interface_class(class_id: int, version: int | None = None) -> ClassDeclaration:
    """The declaration of a class; without ``version`` the newest one, for an unknown version the nearest below."""
    versions = _registry().get(class_id)
    if versions is None:
        return _generic(class_id, version or 0)
    if version is None:
        return versions[max(versions)]
    below = [number for number in versions if number <= version]
    return versions[max(below) if below else min(versions)]


def interface_classes() -> list[ClassDeclaration]:
    """Every declaration, by class id and version."""
    return [versions[version] for _, versions in sorted(_registry().items()) for version in sorted(versions)]


def class_name(class_id: int) -> str:
    """The name of a class as the standard writes it: ``Register``; ``class 8192`` for a manufacturer's own."""
    return interface_class(class_id).name


def declare(class_id: int, version: int, name: str, attributes: str = "", methods: str = "") -> ClassDeclaration:
    """Make a declaration from text: attributes after logical_name as ``name:type|type``, methods as names."""
    declared = [AttributeDeclaration(1, "logical_name", frozenset({DataType.OCTET_STRING}))]
    for number, item in enumerate(attributes.split(), start=2):
        attribute_name, _, types = item.partition(":")
        declared.append(AttributeDeclaration(number, attribute_name, _types(types)))
    return ClassDeclaration(
        class_id,
        version,
        name,
        tuple(declared),
        tuple(MethodDeclaration(number, method) for number, method in enumerate(methods.split(), start=1)),
    )


def _types(text: str) -> frozenset[DataType]:
    if not text or text == "choice":
        return frozenset()
    return frozenset(_TYPE_NAMES[name] for name in text.split("|"))


_TYPE_NAMES = {kind.name.lower().replace("_", "-"): kind for kind in DataType}


_SUBJECTS = ("access", "communication", "control", "data", "payment")
"""The modules of declarations; they import this one, so they are loaded late."""


@functools.cache
def _registry() -> dict[int, dict[int, ClassDeclaration]]:
    registry: dict[int, dict[int, ClassDeclaration]] = {}
    for subject in _SUBJECTS:
        for declaration in importlib.import_module(f"cosemic.cosem.classes.{subject}").CLASSES:
            registry.setdefault(declaration.class_id, {})[declaration.version] = declaration
    return registry


@functools.lru_cache(maxsize=256)
def _generic(class_id: int, version: int) -> ClassDeclaration:
    code = known(InterfaceClass, class_id)
    name = code.name.replace("_", " ").capitalize() if isinstance(code, InterfaceClass) else f"class {class_id}"
    logical_name = AttributeDeclaration(1, "logical_name", frozenset({DataType.OCTET_STRING}))
    return ClassDeclaration(class_id, version, name, (logical_name,), (), declared=False)
