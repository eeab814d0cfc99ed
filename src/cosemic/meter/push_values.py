"""What a push says: the values of its objects, in their order, as one structure (IEC 62056-6-2, 4.4.8.2.2).

A value that cannot be had (no such object, another class, an element that is not there, one that nobody may read) is
null-data in its place, so that the others keep theirs.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator

from cosemic.apdu.services import SelectiveAccess
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.cosem.push_objects import PushObject, Restriction, RestrictionType
from cosemic.cosem.selection import CaptureObject, by_entry, by_range
from cosemic.enums import AccessRight, DataType, InterfaceClass
from cosemic.errors import DecodeError, LocalProtocolError
from cosemic.meter.model import Access, LogicalDevice, SimulatedMeter
from cosemic.meter.objects import Attribute, Level, MeterObject, Refusal

NULL = Data.of(None)
_WITH_UNIT: dict[int, int] = {
    InterfaceClass.REGISTER: 3,
    InterfaceClass.EXTENDED_REGISTER: 3,
    InterfaceClass.DEMAND_REGISTER: 4,
}
MOST_OBJECTS = 255
"""Push objects of one setup; a list from the network has an end."""
MOST_OCTETS = 1 << 20
"""Octets of all values of one push: a list may name a long profile many times."""


class PushShape(enum.Enum):
    """How the values stand in the notification: by the standard, or as meters with labels in their pushes have it."""

    VALUES = "values"
    """The values alone, in the order of the list: what the standard says."""
    FLAT = "flat"
    """OBIS code and value in turn (Kamstrup)."""
    PAIRS = "pairs"
    """An array of structures of OBIS code and value, for registers with scaler and unit (Aidon)."""


def own_access(meter: SimulatedMeter, device: LogicalDevice) -> Access:
    """The meter itself, which reads and calls its own objects. LookupError for a device without associations."""
    association = max(device.associations, key=lambda item: item.level, default=None)
    if association is None:
        raise LookupError(f"logical device {device.sap} has no association")
    return Access(meter, device, association, Level.MANAGER, meter.now())


def push_body(access: Access, objects: Iterable[PushObject], shape: PushShape = PushShape.VALUES) -> Data:
    """The values of all push objects. Shapes with labels take attribute 2 of the objects, without the list itself.

    LocalProtocolError where they have more than ``MOST_OCTETS`` octets.
    """
    if shape is PushShape.VALUES:
        return _structure(list(_bounded(_value(access, item) for item in objects)))
    named = [item for item in objects if item.attribute == 2 and item.class_id != InterfaceClass.PUSH_SETUP]
    values = _bounded(_value(access, item) for item in named)
    pairs = [
        (Data.of(axdr.octet_string(bytes(item.obis))), value, item) for item, value in zip(named, values, strict=True)
    ]
    if shape is PushShape.FLAT:
        return _structure([part for code, value, _ in pairs for part in (code, value)])
    elements = []
    for code, value, item in pairs:
        parts = [code, value]
        if item.class_id in _WITH_UNIT:
            parts.append(_value(access, PushObject(item.class_id, item.obis, _WITH_UNIT[item.class_id])))
        elements.append(_structure(parts))
    return Data(b"\x01" + axdr.encode_length(len(elements)) + b"".join(map(bytes, elements)))


def _bounded(values: Iterable[Data]) -> Iterator[Data]:
    size = 0
    for value in values:
        size += len(bytes(value))
        if size > MOST_OCTETS:
            raise LocalProtocolError(f"the values of a push have more than {MOST_OCTETS} octets: shorten its list")
        yield value


def _value(access: Access, item: PushObject) -> Data:
    target = access.device.objects.get(item.obis)
    if target is None or target.class_id != item.class_id:
        return NULL
    if item.attribute == 0:
        return _structure([_attribute(access, target, number, item) for number in sorted(target.attributes)])
    value = _attribute(access, target, item.attribute, item)
    return value if item.data_index == 0 else _element(value, item.data_index)


def _attribute(access: Access, target: MeterObject, number: int, item: PushObject) -> Data:
    attribute = target.attributes.get(number)
    if attribute is None or AccessRight.READ not in attribute.rights[Level.MANAGER]:
        return NULL
    try:
        if target.class_id == InterfaceClass.PROFILE_GENERIC and number == 2:
            return _rows(access, target, attribute, item)
        return Data.of(attribute.read(access))
    except (Refusal, DecodeError):
        return NULL


def _rows(access: Access, target: MeterObject, attribute: Attribute, item: PushObject) -> Data:
    """The rows of a profile that the restriction lets through, and of them the columns that are wanted."""
    restriction = item.restriction
    if restriction.kind is RestrictionType.NONE and not item.columns:
        return Data.of(attribute.read(access))
    if attribute.select is None:
        return NULL
    rows = attribute.select(access, _selection(restriction))
    if not item.columns:
        return rows
    captured = target.attributes[3].read(access)
    listed = Data.of(captured).value
    if not isinstance(listed, list):
        return NULL
    known = [CaptureObject.from_value(element) for element in listed]
    wanted = [known.index(column) for column in item.columns if column in known]
    if len(wanted) != len(item.columns):
        return NULL
    return Data.of(axdr.array(*(axdr.structure(*(row.elements[n] for n in wanted)) for row in rows.typed.elements)))


def _selection(restriction: Restriction) -> SelectiveAccess:
    first, last = restriction.first, restriction.last
    if restriction.kind is RestrictionType.DATE and not isinstance(first, int) and not isinstance(last, int):
        assert first is not None
        assert last is not None
        return by_range(first, last)
    if restriction.kind is RestrictionType.ENTRY and isinstance(first, int) and isinstance(last, int):
        return by_entry(max(first, 1), last)
    return by_entry()


def _element(value: Data, index: int) -> Data:
    try:
        typed = value.typed
    except DecodeError:
        return NULL
    if typed.type not in (DataType.ARRAY, DataType.STRUCTURE) or index > len(typed.elements):
        return NULL
    return Data.of(typed.elements[index - 1])


def _structure(values: list[Data]) -> Data:
    return Data(b"\x02" + axdr.encode_length(len(values)) + b"".join(map(bytes, values)))
