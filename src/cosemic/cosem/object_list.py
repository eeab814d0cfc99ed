"""The object list of an association: which objects a client sees, and what it may do with them (class 15, attribute 2).

Versions 0 to 2 of the association write access modes as an enumeration, version 3 as bits; both become ``AccessRight``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cosemic.codec import axdr
from cosemic.codec.axdr import Typed
from cosemic.cosem.catalog import describe
from cosemic.cosem.model import ClassDeclaration, interface_class
from cosemic.enums import AccessRight, InterfaceClass
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode

CALL = AccessRight.READ
"""Bit 0 of a method's access mode: it may be invoked."""


@dataclass(frozen=True, slots=True)
class ObjectEntry:
    """One object of the list, with the rights of the association that it was read in."""

    class_id: int
    version: int
    obis: ObisCode
    attributes: Mapping[int, AccessRight] = field(default_factory=dict)
    methods: Mapping[int, AccessRight] = field(default_factory=dict)
    selectors: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """Access selectors that an attribute takes; absent where it takes none."""
    base_name: int | None = None
    """The short name of attribute 1, in an association with short names."""

    @property
    def name(self) -> str:
        """What the object is, in words, from its OBIS code."""
        return describe(self.obis)

    @property
    def declaration(self) -> ClassDeclaration:
        """The interface class: names of attributes and methods."""
        return interface_class(self.class_id, self.version)

    @property
    def class_name(self) -> str:
        """The name of the interface class."""
        return self.declaration.name

    def may_read(self, attribute: int) -> bool:
        """Whether this association may GET the attribute."""
        return AccessRight.READ in self.attributes.get(attribute, AccessRight.NONE)

    def may_write(self, attribute: int) -> bool:
        """Whether this association may SET the attribute."""
        return AccessRight.WRITE in self.attributes.get(attribute, AccessRight.NONE)

    def may_call(self, method: int) -> bool:
        """Whether this association may invoke the method."""
        return CALL in self.methods.get(method, AccessRight.NONE)

    def attribute_rights(self, attribute: int) -> str:
        """The right in words: ``read and write``, ``read (authenticated)``, ``no access``."""
        right = self.attributes.get(attribute, AccessRight.NONE)
        verbs = [word for flag, word in _VERBS if flag in right]
        conditions = [word for flag, word in _CONDITIONS if flag in right]
        text = " and ".join(verbs) or "no access"
        return f"{text} ({', '.join(conditions)})" if conditions else text


_VERBS = ((AccessRight.READ, "read"), (AccessRight.WRITE, "write"))
_CONDITIONS = (
    (AccessRight.AUTHENTICATED_REQUEST, "authenticated"),
    (AccessRight.ENCRYPTED_REQUEST, "encrypted"),
    (AccessRight.SIGNED_REQUEST, "signed"),
)


def decode_object_list(value: object) -> list[ObjectEntry]:
    """From the decoded attribute; DecodeError for anything that is no object list."""
    if not isinstance(value, list):
        raise DecodeError(f"an object list is an array, not {type(value).__name__}")
    heads = [_head(element) for element in value]
    bits = any(class_id == InterfaceClass.ASSOCIATION_LN and version >= 3 for class_id, version, _, _ in heads)
    return [_entry(*head, bits) for head in heads]


def encode_object_list(entries: Iterable[ObjectEntry], version: int) -> Typed:
    """The attribute as an association LN of that version sends it."""
    return axdr.array(*(_typed_entry(entry, bits=version >= 3) for entry in entries))


def make_entry(class_id: int, version: int, obis: ObisCode, rights: object, *, bits: bool) -> ObjectEntry:
    """One entry from its decoded access rights, a structure of two arrays; ``bits`` as an association of version 3."""
    return _entry(class_id, version, bytes(obis), rights, bits)


def encode_rights(entry: ObjectEntry, *, bits: bool) -> tuple[Typed, Typed]:
    """The access rights of one entry: the array for its attributes and the one for its methods."""
    attributes, methods = _typed_entry(entry, bits=bits).elements[3].elements
    return attributes, methods


def _head(element: object) -> tuple[int, int, bytes, object]:
    match element:
        case (int(class_id), int(version), bytes(name), rights) if len(name) == 6:
            return int(class_id), int(version), name, rights
    raise DecodeError(f"an element of the object list is a structure of class, version, name and rights: {element!r}")


def _entry(class_id: int, version: int, name: bytes, rights: object, bits: bool) -> ObjectEntry:
    attributes: dict[int, AccessRight] = {}
    methods: dict[int, AccessRight] = {}
    selectors: dict[int, tuple[int, ...]] = {}
    match rights:
        case (list(attribute_items), list(method_items)):
            pass
        case None | ():
            attribute_items, method_items = [], []
        case _:
            raise DecodeError(f"the access rights of {ObisCode.from_bytes(name)} are no structure of two arrays")
    for item in attribute_items:
        match item:
            case (int(number), int(mode), accepted):
                attributes[number] = _right(mode, _ATTRIBUTE_MODES, bits)
                if isinstance(accepted, list) and all(isinstance(selector, int) for selector in accepted):
                    selectors[number] = tuple(accepted)
            case _:
                raise DecodeError(f"an attribute access of {ObisCode.from_bytes(name)} is no access item: {item!r}")
    for item in method_items:
        match item:
            case (int(number), int(mode)):
                methods[number] = _right(mode, _METHOD_MODES, bits)
            case _:
                raise DecodeError(f"a method access of {ObisCode.from_bytes(name)} is no access item: {item!r}")
    return ObjectEntry(class_id, version, ObisCode.from_bytes(name), attributes, methods, selectors)


_AUTHENTICATED = AccessRight.AUTHENTICATED_REQUEST
_READ_WRITE = AccessRight.READ | AccessRight.WRITE
_ATTRIBUTE_MODES = (
    AccessRight.NONE,
    AccessRight.READ,
    AccessRight.WRITE,
    _READ_WRITE,
    AccessRight.READ | _AUTHENTICATED,
    AccessRight.WRITE | _AUTHENTICATED,
    _READ_WRITE | _AUTHENTICATED,
)
_METHOD_MODES = (AccessRight.NONE, CALL, CALL | _AUTHENTICATED)


def _right(mode: int, modes: tuple[AccessRight, ...], bits: bool) -> AccessRight:
    if bits or not 0 <= mode < len(modes):
        return AccessRight(mode & 0xFF)
    return modes[mode]


def _typed_entry(entry: ObjectEntry, *, bits: bool) -> Typed:
    attributes = [
        axdr.structure(
            axdr.integer(number),
            axdr.enum(_mode(right, _ATTRIBUTE_MODES, bits)),
            axdr.array(*map(axdr.integer, entry.selectors[number])) if number in entry.selectors else axdr.null_data(),
        )
        for number, right in sorted(entry.attributes.items())
    ]
    methods = [
        axdr.structure(axdr.integer(number), axdr.enum(_mode(right, _METHOD_MODES, bits)))
        for number, right in sorted(entry.methods.items())
    ]
    return axdr.structure(
        axdr.long_unsigned(entry.class_id),
        axdr.unsigned(entry.version),
        axdr.octet_string(bytes(entry.obis)),
        axdr.structure(axdr.array(*attributes), axdr.array(*methods)),
    )


def _mode(right: AccessRight, modes: tuple[AccessRight, ...], bits: bool) -> int:
    if bits:
        return int(right)
    verbs = right & _READ_WRITE
    demanding = bool(right & ~_READ_WRITE)
    return modes.index(verbs | _AUTHENTICATED if demanding and verbs else verbs)
