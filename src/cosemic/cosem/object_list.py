"""The object list of an association: which objects a client sees, and what it may do with them (class 15, attribute 2).

How an access mode is written depends on the version of the association; all become ``AccessRight``:

======== =========================================== ==================================
version  attributes                                  methods
======== =========================================== ==================================
0        no access, read, write, read and write      boolean
1, 2     the same, and the last three authenticated  no access, access, authenticated
3        bits: read, write, and six that demand      bits: access, and the same six
         protection of request and response
======== =========================================== ==================================
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
        return _in_words(self.attributes.get(attribute, AccessRight.NONE), _VERBS)

    def method_rights(self, method: int) -> str:
        """The right in words: ``call``, ``call (authenticated, response encrypted)``, ``no access``."""
        return _in_words(self.methods.get(method, AccessRight.NONE), _CALLS)


_VERBS = ((AccessRight.READ, "read"), (AccessRight.WRITE, "write"))
_CALLS = ((CALL, "call"),)
_CONDITIONS = (
    (AccessRight.AUTHENTICATED_REQUEST, "authenticated"),
    (AccessRight.ENCRYPTED_REQUEST, "encrypted"),
    (AccessRight.SIGNED_REQUEST, "signed"),
    (AccessRight.AUTHENTICATED_RESPONSE, "response authenticated"),
    (AccessRight.ENCRYPTED_RESPONSE, "response encrypted"),
    (AccessRight.SIGNED_RESPONSE, "response signed"),
)


def _in_words(right: AccessRight, verbs: tuple[tuple[AccessRight, str], ...]) -> str:
    text = " and ".join(word for flag, word in verbs if flag in right) or "no access"
    conditions = [word for flag, word in _CONDITIONS if flag in right]
    return f"{text} ({', '.join(conditions)})" if conditions else text


def right_from_words(words: str, *, attribute: bool) -> AccessRight:
    """The inverse of ``attribute_rights`` and ``method_rights``; ValueError says which words there are."""
    verbs = _VERBS if attribute else _CALLS
    text, _, conditions = words.strip().removesuffix(")").partition(" (")
    flags = {word: flag for flag, word in verbs} | {"no access": AccessRight.NONE}
    demands = {word: flag for flag, word in _CONDITIONS}
    right = AccessRight.NONE
    try:
        for word in text.split(" and "):
            right |= flags[word.strip()]
        for word in conditions.split(",") if conditions else ():
            right |= demands[word.strip()]
    except KeyError as error:
        known = ", ".join([*flags, *demands])
        raise ValueError(f"{error.args[0]!r} in {words!r} is no access right; there are {known}") from None
    return right


def decode_object_list(value: object, version: int | None = None) -> list[ObjectEntry]:
    """From the decoded attribute; DecodeError for anything that is no object list.

    ``version`` is that of the association it was read from; without it, what the list says of 0-0:40.0.0*255 counts,
    or else of the associations in it.
    """
    if not isinstance(value, list):
        raise DecodeError(f"an object list is an array, not {type(value).__name__}")
    heads = [_head(element) for element in value]
    if version is None:
        versions = {name: number for class_id, number, name, _ in heads if class_id == InterfaceClass.ASSOCIATION_LN}
        version = versions.get(_CURRENT, max(versions.values(), default=0))
    return [_entry(*head, version >= _BITS) for head in heads]


def encode_object_list(entries: Iterable[ObjectEntry], version: int) -> Typed:
    """The attribute as an association LN of that version sends it."""
    return axdr.array(*(_typed_entry(entry, version) for entry in entries))


_BITS = 3
"""The first version whose access modes are bits."""
_CURRENT = bytes((0, 0, 40, 0, 0, 255))


def make_entry(class_id: int, version: int, obis: ObisCode, rights: object, *, bits: bool) -> ObjectEntry:
    """One entry from its decoded access rights, a structure of two arrays; ``bits`` as an association of version 3."""
    return _entry(class_id, version, bytes(obis), rights, bits)


def encode_rights(entry: ObjectEntry, *, bits: bool) -> tuple[Typed, Typed]:
    """The access rights of one entry: the array for its attributes and the one for its methods."""
    attributes, methods = _typed_entry(entry, _BITS if bits else _BITS - 1).elements[3].elements
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


def _typed_entry(entry: ObjectEntry, version: int) -> Typed:
    attributes = [
        axdr.structure(
            axdr.integer(number),
            axdr.enum(_attribute_mode(right, version)),
            axdr.array(*map(axdr.integer, entry.selectors[number])) if number in entry.selectors else axdr.null_data(),
        )
        for number, right in sorted(entry.attributes.items())
    ]
    methods = [
        axdr.structure(axdr.integer(number), _method_mode(right, version))
        for number, right in sorted(entry.methods.items())
    ]
    return axdr.structure(
        axdr.long_unsigned(entry.class_id),
        axdr.unsigned(entry.version),
        axdr.octet_string(bytes(entry.obis)),
        axdr.structure(axdr.array(*attributes), axdr.array(*methods)),
    )


def _attribute_mode(right: AccessRight, version: int) -> int:
    """Below version 3 every demand becomes "authenticated", and in version 0 there is no word for any."""
    if version >= _BITS:
        return int(right)
    verbs = right & _READ_WRITE
    demanding = version > 0 and verbs != right
    return _ATTRIBUTE_MODES.index(verbs | _AUTHENTICATED if demanding and verbs else verbs)


def _method_mode(right: AccessRight, version: int) -> Typed:
    if version == 0:
        return axdr.boolean(CALL in right)
    if version >= _BITS:
        return axdr.enum(int(right & ~AccessRight.WRITE))
    call = right & CALL
    demanding = bool(call) and bool(right & ~_READ_WRITE)
    return axdr.enum(_METHOD_MODES.index(call | _AUTHENTICATED if demanding else call))
