"""Short names of a simulated meter: base names for its objects, the Association SN object, InformationReport."""

from __future__ import annotations

from collections.abc import Iterable

from cosemic.apdu.notify import InformationReportRequest
from cosemic.apdu.services import (
    AttributeDescriptor,
    MethodDescriptor,
    VariableName,
)
from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed
from cosemic.cosem.object_list import ObjectEntry
from cosemic.cosem.short_names import (
    CURRENT_ASSOCIATION,
    RESERVED_BASE_NAMES,
    NamedObject,
    ShortNameTable,
    encode_access_rights,
    encode_named_objects,
    method_offset,
)
from cosemic.enums import DataAccessResult, InterfaceClass
from cosemic.meter.model import Access, LogicalDevice, MeterAssociation, SimulatedMeter
from cosemic.meter.objects import READ_ALL, Attribute, MeterObject, Method, Refusal, Rights, rights
from cosemic.obis import ObisCode
from cosemic.protocol.requests import Get, GetResults

FIRST_BASE_NAME = 0x0100
_VERSION = 2
"""Of the Association SN object: object_list, access_rights_list, security_setup_reference."""
_LEAST = 0x20
"""The room that even the smallest object gets."""


class DeviceNames:
    """The short names of a logical device, in the order of its OBIS codes; the same for all associations.

    Association LN objects have none. Worked out again when objects were added.
    """

    def __init__(self, device: LogicalDevice) -> None:
        self.whole_list_in_blocks = False
        self._device = device
        self._count = -1
        self._table = ShortNameTable()

    @property
    def table(self) -> ShortNameTable:
        """The names of what the device holds now."""
        if self._count != len(self._device.objects):
            self._count = len(self._device.objects)
            self._table = ShortNameTable(assign(self._device.objects.values()))
        return self._table

    def find(self, name: int) -> AttributeDescriptor | MethodDescriptor | None:
        """See ``cosemic.protocol.short_naming.NamedObjects``."""
        return self.table.find(name)


def assign(objects: Iterable[MeterObject]) -> list[NamedObject]:
    """Base names for objects, far enough apart for their attributes and methods; ValueError where 16 bits do not do.

    The association, the SAP assignment and the logical device name get those that are reserved for them.
    """
    named = [NamedObject(0xFA00, InterfaceClass.ASSOCIATION_SN, _VERSION, CURRENT_ASSOCIATION)]
    base = FIRST_BASE_NAME
    for item in sorted(objects, key=lambda item: item.obis):
        if item.class_id in (InterfaceClass.ASSOCIATION_LN, InterfaceClass.ASSOCIATION_SN):
            continue
        reserved = _RESERVED.get((item.class_id, item.obis))
        named.append(NamedObject(reserved or base, item.class_id, item.version, item.obis))
        if reserved is None:
            base += _width(item)
    if base > min(RESERVED_BASE_NAMES):
        raise ValueError(f"{len(named)} objects need more short names than there are")
    return named


def association_object(names: DeviceNames, version: int = _VERSION, who: Rights = READ_ALL) -> MeterObject:
    """The Association SN object (class 12) at FA00 of whoever asks."""

    def object_list(access: Access) -> Typed:
        return encode_named_objects([_named(names, entry) for entry in _entries(access)])

    def access_rights(access: Access) -> Typed:
        entries = [_with_base(names, entry) for entry in _entries(access)]
        return encode_access_rights(entries)

    def security(access: Access) -> Typed:
        setup = access.association.security_setup
        return axdr.octet_string(bytes(6) if setup is None else bytes(setup))

    # The session itself answers reply_to_HLS_authentication; what comes here comes at the wrong moment.
    reply = Method(_wrong_moment, rights("-", "-", "r"))
    return MeterObject(
        InterfaceClass.ASSOCIATION_SN,
        CURRENT_ASSOCIATION,
        version,
        {2: Attribute(object_list, who), 3: Attribute(access_rights, who), 4: Attribute(security, who)},
        {8: reply},
    )


def information_report(
    meter: SimulatedMeter,
    association: MeterAssociation,
    attributes: Iterable[tuple[int, ObisCode | str, int]],
) -> InformationReportRequest:
    """The report of some attributes as ``ServerSession.notify`` sends it to a client of the association.

    LookupError for an attribute that has no short name, or that the association may not read.
    """
    names = association.settings.short_names
    if not isinstance(names, DeviceNames):
        raise LookupError(f"client {association.client_sap} does not use short names")
    specifications: list[VariableName] = []
    data: list[Data] = []
    for class_id, obis, number in attributes:
        at = AttributeDescriptor(class_id, ObisCode.parse(obis), number)
        name = names.table.attribute_name(at)
        answer = meter.execute(association, Get(((at, None),)))
        value = answer.results[0] if isinstance(answer, GetResults) else None
        if isinstance(name, DataAccessResult) or not isinstance(value, Data):
            raise LookupError(f"{at} cannot be reported to client {association.client_sap}")
        specifications.append(VariableName(name))
        data.append(value)
    return InformationReportRequest(None, tuple(specifications), tuple(data))


_RESERVED: dict[tuple[int, ObisCode], int] = {
    (InterfaceClass.SAP_ASSIGNMENT, ObisCode(0, 0, 41, 0, 0, 255)): 0xFC00,
    (InterfaceClass.DATA, ObisCode(0, 0, 42, 0, 0, 255)): 0xFD00,
}


def _width(item: MeterObject) -> int:
    end = 8 * max(item.attributes)
    methods = method_offset(item.class_id, item.version)
    if methods is not None:
        end = max(end, methods.offset + 8 * (max(item.methods, default=1)))
    return max(_LEAST, (end + 0x0F) & ~0x0F)


def _entries(access: Access) -> list[ObjectEntry]:
    entries = access.meter.object_entries(access.association, access.level)
    return [entry for entry in entries if entry.class_id != InterfaceClass.ASSOCIATION_LN]


def _named(names: DeviceNames, entry: ObjectEntry) -> NamedObject:
    found = names.table.named(entry.class_id, entry.obis)
    if isinstance(found, DataAccessResult):
        raise Refusal(DataAccessResult.OTHER_REASON)
    return found


def _with_base(names: DeviceNames, entry: ObjectEntry) -> ObjectEntry:
    return ObjectEntry(
        entry.class_id,
        entry.version,
        entry.obis,
        entry.attributes,
        entry.methods,
        entry.selectors,
        _named(names, entry).base_name,
    )


def _wrong_moment(access: Access, parameters: Data | None) -> None:
    raise Refusal(DataAccessResult.TEMPORARY_FAILURE)
