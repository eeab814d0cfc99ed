"""Short names: from an object's base name to the names of its attributes and methods (IEC 62056-6-2, 4.1.2 and 4.1.3).

Attribute n is at base name + 8 (n - 1). Where the methods begin is told by the short-name column of each class in
IEC 62056-6-2, and depends on the version where a later one has more attributes. The offsets below are the ones in which
independent implementations agree (the tables of jDLMS 1.8, of pydlms-client 0.1 and of the Gurux libraries); of those
that stand in one of them alone, only the ones that fit behind the attributes of the class are taken.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cosemic.apdu.services import AttributeDescriptor, MethodDescriptor
from cosemic.codec import axdr
from cosemic.codec.axdr import Typed
from cosemic.cosem.catalog import attribute_target, method_target
from cosemic.cosem.model import interface_class
from cosemic.cosem.object_list import CALL, ObjectEntry, encode_rights, make_entry
from cosemic.enums import AccessRight, DataAccessResult, InterfaceClass
from cosemic.errors import DecodeError, LocalProtocolError
from cosemic.obis import ObisCode
from cosemic.protocol.requests import Action, Get, Set
from cosemic.protocol.short_naming import ASSOCIATION_BASE_NAME

CURRENT_ASSOCIATION = ObisCode(0, 0, 40, 0, 0, 255)
LARGEST_NAME = 0xFFFF

RESERVED_BASE_NAMES = {
    0xFA00: InterfaceClass.ASSOCIATION_SN,
    0xFB00: InterfaceClass.SCRIPT_TABLE,
    0xFC00: InterfaceClass.SAP_ASSIGNMENT,
    0xFD00: InterfaceClass.DATA,
}
"""Base names with a meaning of their own (4.1.3): association, broadcast scripts, SAPs, logical device name."""


@dataclass(frozen=True, slots=True)
class MethodOffset:
    """Where the methods of a class begin: the offset of method ``number``, the first that there is."""

    offset: int
    number: int = 1


METHOD_OFFSETS: dict[int, dict[int, MethodOffset | None]] = {
    InterfaceClass.REGISTER: {0: MethodOffset(0x28)},
    InterfaceClass.EXTENDED_REGISTER: {0: MethodOffset(0x38)},
    InterfaceClass.DEMAND_REGISTER: {0: MethodOffset(0x48)},
    InterfaceClass.REGISTER_ACTIVATION: {0: MethodOffset(0x30)},
    InterfaceClass.PROFILE_GENERIC: {0: MethodOffset(0x58)},
    InterfaceClass.CLOCK: {0: MethodOffset(0x60)},
    InterfaceClass.SCRIPT_TABLE: {0: MethodOffset(0x20)},
    InterfaceClass.SCHEDULE: {0: MethodOffset(0x20)},
    InterfaceClass.SPECIAL_DAYS_TABLE: {0: MethodOffset(0x10)},
    # From version 1 on attributes stand where version 0 has its first two methods; the numbers stay.
    InterfaceClass.ASSOCIATION_SN: {0: MethodOffset(0x20), 1: MethodOffset(0x30, 3)},
    InterfaceClass.ASSOCIATION_LN: {0: MethodOffset(0x60)},
    InterfaceClass.SAP_ASSIGNMENT: {0: MethodOffset(0x20)},
    InterfaceClass.IMAGE_TRANSFER: {0: MethodOffset(0x40)},
    InterfaceClass.ACTIVITY_CALENDAR: {0: MethodOffset(0x50)},
    InterfaceClass.PUSH_SETUP: {0: MethodOffset(0x38), 1: None},
    InterfaceClass.IPV4_SETUP: {0: MethodOffset(0x60)},
    InterfaceClass.REGISTER_TABLE: {0: MethodOffset(0x28)},
    InterfaceClass.SECURITY_SETUP: {0: MethodOffset(0x28), 1: MethodOffset(0x30)},
    InterfaceClass.PARAMETER_MONITOR: {0: MethodOffset(0x20), 1: None},
    InterfaceClass.SENSOR_MANAGER: {0: MethodOffset(0x80)},
    InterfaceClass.DISCONNECT_CONTROL: {0: MethodOffset(0x20)},
    InterfaceClass.MBUS_CLIENT: {0: MethodOffset(0x60), 1: MethodOffset(0x70)},
    InterfaceClass.NTP_SETUP: {0: MethodOffset(0x38)},
}
"""By class and the first version that it holds for; None from the version on whose attributes need the place."""

RETURNING: dict[int, frozenset[int]] = {
    InterfaceClass.PROFILE_GENERIC: frozenset((3, 4)),
    InterfaceClass.ASSOCIATION_SN: frozenset((1, 2, 3, 4, 7, 8)),
    InterfaceClass.ASSOCIATION_LN: frozenset((1,)),
    InterfaceClass.DATA_PROTECTION: frozenset((1, 3)),
    InterfaceClass.SECURITY_SETUP: frozenset((3, 5, 7)),
    InterfaceClass.ARRAY_MANAGER: frozenset((1, 2)),
}
"""Methods with return parameters."""


def method_offset(class_id: int, version: int = 0) -> MethodOffset | None:
    """Where the methods of a class begin; None for a class without methods, or without a known place for them."""
    versions = METHOD_OFFSETS.get(class_id)
    if versions is None:
        return None
    below = [number for number in versions if number <= version]
    return versions[max(below)] if below else versions[min(versions)]


@dataclass(frozen=True, slots=True)
class NamedObject:
    """An element of the object list of an Association SN object."""

    base_name: int
    class_id: int
    version: int
    obis: ObisCode


_ASSOCIATION = NamedObject(ASSOCIATION_BASE_NAME, InterfaceClass.ASSOCIATION_SN, 1, CURRENT_ASSOCIATION)


class ShortNameTable:
    """The short names of a meter, both ways. The association at FA00 is known before the object list was read."""

    __slots__ = ("_bases", "_by_base", "_by_object", "is_loaded", "whole_list_in_blocks")

    def __init__(self, objects: Iterable[NamedObject] | None = None, *, whole_list_in_blocks: bool = False) -> None:
        self.is_loaded = False
        self.whole_list_in_blocks = whole_list_in_blocks
        self.load(() if objects is None else objects)
        self.is_loaded = objects is not None

    def load(self, objects: Iterable[NamedObject]) -> None:
        """Take an object list in place of what was there; of two equal objects the first counts."""
        self._by_base = {_ASSOCIATION.base_name: _ASSOCIATION}
        self._by_object: dict[tuple[int, ObisCode], NamedObject] = {}
        for item in objects:
            self._by_base[item.base_name] = item
            self._by_object.setdefault((item.class_id, item.obis), item)
        own = self._by_base[_ASSOCIATION.base_name]
        self._by_object[_ASSOCIATION.class_id, CURRENT_ASSOCIATION] = own
        self._bases = sorted(self._by_base)
        self.is_loaded = True

    @property
    def objects(self) -> list[NamedObject]:
        """The objects by base name."""
        return [self._by_base[base] for base in self._bases]

    def knows(self, request: Get | Set | Action) -> bool:
        """Whether the request can be sent: the list was read, or all that it names is the association itself."""
        if self.is_loaded:
            return True
        targets = request.items if isinstance(request, Action) else (at for at, _ in request.items)
        return all((at.class_id, at.instance) in self._by_object for at in targets)

    def lacks(self, class_id: int, obis: ObisCode) -> bool:
        """Whether the object list was read and does not hold the object."""
        return self.is_loaded and (class_id, obis) not in self._by_object

    def named(self, class_id: int, obis: ObisCode) -> NamedObject | DataAccessResult:
        """The element of the object list; the result that a meter would give where there is none."""
        found = self._by_object.get((class_id, obis))
        if found is not None:
            return found
        if not self.is_loaded:
            raise LocalProtocolError(f"the object list has not been read yet: no short name of {obis} is known")
        if any(other == obis for _, other in self._by_object):
            return DataAccessResult.OBJECT_CLASS_INCONSISTENT
        return DataAccessResult.OBJECT_UNDEFINED

    def attribute_name(self, at: AttributeDescriptor) -> int | DataAccessResult:
        """See ``cosemic.protocol.short_naming.ShortNames``."""
        found = self.named(at.class_id, at.instance)
        if isinstance(found, DataAccessResult):
            return found
        offset = 8 * (at.attribute - 1)
        methods = method_offset(found.class_id, found.version)
        name = found.base_name + offset
        reason = ""
        if at.attribute < 1:
            reason = "attributes with short names are numbered from 1"
        elif methods is not None and offset >= methods.offset:
            reason = f"its short name would be 0x{name:04X}, where a method is: the class has no such attribute"
        reason = reason or self._trespass(found, name)
        if reason:
            raise LocalProtocolError(f"{attribute_target(at.class_id, at.instance, at.attribute)}: {reason}")
        return name

    def method_name(self, at: MethodDescriptor) -> int | DataAccessResult:
        """See ``cosemic.protocol.short_naming.ShortNames``."""
        found = self.named(at.class_id, at.instance)
        if isinstance(found, DataAccessResult):
            return found
        methods = method_offset(found.class_id, found.version)
        name = 0
        if methods is None:
            reason = f"where the methods of class {at.class_id} have their short names is not known"
        elif at.method < methods.number:
            reason = f"the methods of this class in version {found.version} start at {methods.number}"
        else:
            name = found.base_name + methods.offset + 8 * (at.method - methods.number)
            reason = self._trespass(found, name)
        if reason:
            raise LocalProtocolError(f"{method_target(at.class_id, at.instance, at.method)}: {reason}")
        return name

    def returns_value(self, at: MethodDescriptor) -> bool:
        """See ``cosemic.protocol.short_naming.ShortNames``."""
        return at.method in RETURNING.get(at.class_id, ())

    def find(self, name: int) -> AttributeDescriptor | MethodDescriptor | None:
        """Which attribute or method has this short name: that of the object with the nearest base name below."""
        place = bisect_right(self._bases, name)
        if not place:
            return None
        item = self._by_base[self._bases[place - 1]]
        offset = name - item.base_name
        if offset % 8:
            return None
        methods = method_offset(item.class_id, item.version)
        if methods is not None and offset >= methods.offset:
            number = methods.number + (offset - methods.offset) // 8
            return MethodDescriptor(item.class_id, item.obis, number) if number < 128 else None
        number = offset // 8 + 1
        return AttributeDescriptor(item.class_id, item.obis, number) if number < 128 else None

    def _trespass(self, item: NamedObject, name: int) -> str:
        """Why ``name`` cannot be one of the object's; nothing where it can."""
        place = bisect_right(self._bases, item.base_name)
        if place < len(self._bases) and name >= self._bases[place]:
            return f"its short name would be 0x{name:04X}, which belongs to the object at 0x{self._bases[place]:04X}"
        if name > LARGEST_NAME:
            return f"its short name would be 0x{name:X}, which has more than 16 bits"
        return ""


def decode_named_objects(value: object) -> list[NamedObject]:
    """From the decoded object list of an Association SN object; DecodeError for anything that is none."""
    if not isinstance(value, list):
        raise DecodeError(f"an object list is an array, not {type(value).__name__}")
    return [_named_object(element) for element in value]


def encode_named_objects(objects: Sequence[NamedObject]) -> Typed:
    """The object list as an Association SN object sends it."""
    return axdr.array(
        *(
            axdr.structure(
                base_name(item.base_name),
                axdr.long_unsigned(item.class_id),
                axdr.unsigned(item.version),
                axdr.octet_string(bytes(item.obis)),
            )
            for item in objects
        )
    )


def decode_object_entries(objects: Sequence[NamedObject], rights: object) -> list[ObjectEntry]:
    """The objects with their access rights, from the decoded access_rights_list (attribute 3).

    Without one (None) every declared attribute counts as readable and every method as callable.
    """
    found: dict[int, object] = {}
    for element in rights if isinstance(rights, list) else ():
        match element:
            case (int(base), list(attributes), list(methods)):
                found[int(base) & 0xFFFF] = (attributes, methods)
            case _:
                raise DecodeError(f"an element of the access rights list is a structure of three: {element!r}")
    own = next((item.version for item in objects if item.base_name == ASSOCIATION_BASE_NAME), 0)
    entries = []
    for item in objects:
        if rights is None:
            entry = _assumed(item)
        else:
            entry = make_entry(item.class_id, item.version, item.obis, found.get(item.base_name), bits=own >= 4)
        entries.append(replace(entry, base_name=item.base_name))
    return entries


def encode_access_rights(entries: Sequence[ObjectEntry]) -> Typed:
    """The access_rights_list (attribute 3) of an Association SN object below version 4."""
    return axdr.array(
        *(
            axdr.structure(base_name(entry.base_name), *encode_rights(entry, bits=False))
            for entry in entries
            if entry.base_name is not None
        )
    )


def _assumed(item: NamedObject) -> ObjectEntry:
    declared = interface_class(item.class_id, item.version)
    return ObjectEntry(
        item.class_id,
        item.version,
        item.obis,
        {attribute.number: AccessRight.READ for attribute in declared.attributes},
        {method.number: CALL for method in declared.methods},
    )


def base_name(name: int) -> Typed:
    """A base name as it is sent: a signed number of 16 bits."""
    return axdr.long(name - 0x10000 if name >= 0x8000 else name)


def _named_object(element: object) -> NamedObject:
    match element:
        case (int(base), int(class_id), int(version), bytes(name)) if len(name) == 6 and -0x8000 <= base <= 0xFFFF:
            return NamedObject(int(base) & 0xFFFF, int(class_id), int(version), ObisCode.from_bytes(name))
    raise DecodeError(
        f"an element of the object list is a structure of base name, class, version and name: {element!r}"
    )
