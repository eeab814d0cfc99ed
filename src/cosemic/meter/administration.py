"""The objects that say what a logical device is and how it is reached: associations, names, ports."""

from __future__ import annotations

from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed
from cosemic.cosem.object_list import encode_object_list
from cosemic.enums import (
    ApplicationContext,
    AssociationStatus,
    AuthenticationMechanism,
    DataAccessResult,
    InterfaceClass,
)
from cosemic.meter.model import Access, LogicalDevice, MeterAssociation
from cosemic.meter.objects import (
    READ_ALL,
    Attribute,
    Level,
    MeterObject,
    Method,
    Refusal,
    Rights,
    fixed,
    rights,
)
from cosemic.obis import ObisCode

_BY_LEVEL: dict[Level, Rights] = {
    Level.PUBLIC: READ_ALL,
    Level.READER: rights("-", "r", "r"),
    Level.MANAGER: rights("-", "-", "r"),
}


def association_objects(device: LogicalDevice, version: int = 1) -> list[MeterObject]:
    """0-0:40.0.0*255 for whoever asks, and 0-0:40.0.x*255 for each association of the device."""
    named = [_association(association, version) for association in device.associations]
    return [_association(None, version), *named]


def _association(association: MeterAssociation | None, version: int) -> MeterObject:
    """The object of one association, or with None of the one that asks."""

    def of(access: Access) -> MeterAssociation:
        return access.association if association is None else association

    def object_list(access: Access) -> Typed:
        # A request without the protection that was agreed on sees what the public client sees: the list says so.
        own = of(access)
        level = access.level if own is access.association else own.level
        return encode_object_list(access.meter.object_entries(own, level), version)

    def partners(access: Access) -> Typed:
        return axdr.structure(axdr.integer(of(access).client_sap), axdr.long_unsigned(of(access).server_sap))

    def context(access: Access) -> Typed:
        return _object_identifier(1, _context(of(access)))

    def xdlms(access: Access) -> Typed:
        settings = of(access).settings
        return axdr.structure(
            axdr.bit_string(f"{int(settings.conformance):024b}"),
            axdr.long_unsigned(settings.max_pdu_size),
            axdr.long_unsigned(settings.max_pdu_size),
            axdr.unsigned(6),
            axdr.integer(0),
            axdr.octet_string(b""),
        )

    def mechanism(access: Access) -> Typed:
        return _object_identifier(2, of(access).settings.mechanism)

    def status(access: Access) -> Typed:
        own = of(access) is access.association
        return axdr.enum(AssociationStatus.ASSOCIATED if own else AssociationStatus.NON_ASSOCIATED)

    def security(access: Access) -> Typed:
        setup = of(access).security_setup
        return axdr.octet_string(bytes(6) if setup is None else bytes(setup))

    who = READ_ALL if association is None else _BY_LEVEL[association.level]
    attributes = {
        2: Attribute(object_list, who),
        3: Attribute(partners, who),
        4: Attribute(context, who),
        5: Attribute(xdlms, who),
        6: Attribute(mechanism, who),
        7: Attribute(_unreadable, rights("-", "-", "-")),
        8: Attribute(status, who),
        9: Attribute(security, who),
    }
    if version >= 2:
        attributes[10] = fixed(axdr.array(), who)
        attributes[11] = fixed(axdr.structure(axdr.unsigned(0), axdr.visible_string("")), who)
    # The session itself answers reply_to_HLS_authentication; what comes here comes at the wrong moment.
    reply = Method(_wrong_moment, rights("-", "-", "r"))
    return MeterObject(
        InterfaceClass.ASSOCIATION_LN,
        ObisCode(0, 0, 40, 0, 0 if association is None else association.number, 255),
        version,
        attributes,
        {1: reply} if association is None or association.protected else {},
    )


def device_objects(device: LogicalDevice) -> list[MeterObject]:
    """Logical device name."""
    name = fixed(axdr.octet_string(device.name))
    return [MeterObject(InterfaceClass.DATA, ObisCode(0, 0, 42, 0, 0, 255), 0, {2: name})]


def sap_assignment(devices: list[LogicalDevice]) -> MeterObject:
    """Which logical devices there are (in the management logical device only)."""

    def assignment(access: Access) -> Typed:
        return axdr.array(
            *(axdr.structure(axdr.long_unsigned(device.sap), axdr.octet_string(device.name)) for device in devices)
        )

    return MeterObject(InterfaceClass.SAP_ASSIGNMENT, ObisCode(0, 0, 41, 0, 0, 255), 0, {2: Attribute(assignment)})


def ports() -> list[MeterObject]:
    """HDLC and TCP-UDP set-up, as a meter shows them."""
    hdlc = MeterObject(
        InterfaceClass.IEC_HDLC_SETUP,
        ObisCode(0, 0, 22, 0, 0, 255),
        1,
        {
            2: fixed(axdr.enum(5)),
            3: fixed(axdr.unsigned(1)),
            4: fixed(axdr.unsigned(1)),
            5: fixed(axdr.long_unsigned(128)),
            6: fixed(axdr.long_unsigned(128)),
            7: fixed(axdr.long_unsigned(25)),
            8: fixed(axdr.long_unsigned(120)),
            9: fixed(axdr.long_unsigned(16)),
        },
    )
    tcp = MeterObject(
        InterfaceClass.TCP_UDP_SETUP,
        ObisCode(0, 0, 25, 0, 0, 255),
        0,
        {
            2: fixed(axdr.long_unsigned(4059)),
            3: fixed(axdr.octet_string(bytes((0, 0, 25, 1, 0, 255)))),
            4: fixed(axdr.long_unsigned(576)),
            5: fixed(axdr.unsigned(16)),
            6: fixed(axdr.long_unsigned(180)),
        },
    )
    return [hdlc, tcp]


def _context(association: MeterAssociation) -> int:
    return ApplicationContext.LOGICAL_NAME_CIPHERED if association.protected else ApplicationContext.LOGICAL_NAME


def _object_identifier(kind: int, number: int | AuthenticationMechanism) -> Typed:
    """2.16.756.5.8.kind.number as a structure of its arcs."""
    return axdr.structure(
        axdr.unsigned(2),
        axdr.unsigned(16),
        axdr.long_unsigned(756),
        axdr.unsigned(5),
        axdr.unsigned(8),
        axdr.unsigned(kind),
        axdr.unsigned(int(number)),
    )


def _unreadable(access: Access) -> Typed:
    raise Refusal(DataAccessResult.READ_WRITE_DENIED)


def _wrong_moment(access: Access, parameters: Data | None) -> None:
    raise Refusal(DataAccessResult.TEMPORARY_FAILURE)
