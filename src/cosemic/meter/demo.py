"""The meter of ``cosemic simulate`` and ``cosemic demo``: a three-phase electricity meter and a gas meter behind it.

====== ============================== =====================================================================
client authentication                 may
====== ============================== =====================================================================
16     none                           read measurements, clock, names, profile, log; write only the test area
32     LLS, password 00000000         the same, read the settings, set and adjust the clock
1      HLS with GMAC, suite 0         everything: write settings and registers, switch the supply
4, 5   HLS with ECDSA, suites 1 and 2 the same; see ``demo_keys``
18     none, short names              as client 16
34     LLS as above, short names      as client 32
3      HLS with GMAC, short names     as client 1
102    none, and no association       as client 16; for what is sent to all stations
====== ============================== =====================================================================

The test area is three manufacturer-specific objects that anybody may write: a number (0-0:128.0.0*255, class 1), a long
octet-string (0-0:128.0.1*255, class 1) and a register with a reset (0-0:128.0.2*255, class 3). So that the everyday
examples work without keys, anybody may also write the register 1-0:1.8.0*255 and have the clock rounded (its methods 1
to 3), which no real meter would grant; the object list says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING

from cosemic.codec import axdr
from cosemic.codec.axdr import Typed
from cosemic.enums import ApplicationContext, AuthenticationMechanism, InterfaceClass
from cosemic.meter import consumption, demo_keys
from cosemic.meter.administration import association_objects, device_objects, ports, sap_assignment
from cosemic.meter.consumption import Energy
from cosemic.meter.demo_pushes import add_pushes
from cosemic.meter.image_transfer import ImageStore
from cosemic.meter.instruments import POWER_UP, Switch, clock, demand, maximum_demand, register, scratch_register
from cosemic.meter.model import Access, LogicalDevice, MeterAssociation, SimulatedMeter
from cosemic.meter.objects import FREE, MANAGED, READ_ALL, Attribute, Level, MeterObject, Rights, fixed, rights, stored
from cosemic.meter.profiles import EVENT_COLUMNS, LOAD_COLUMNS, EventRows, LoadRows, profile
from cosemic.meter.security_setup import SecuritySetup, setup_name
from cosemic.meter.short_names import DeviceNames, association_object
from cosemic.meter.tariffs import tariff_objects
from cosemic.obis import ObisCode
from cosemic.protocol.settings import ServerSettings
from cosemic.protocol.short_naming import SHORT_NAME_CONFORMANCE
from cosemic.security.certificate_store import CertificateStore
from cosemic.security.context import SecurityContext
from cosemic.security.counters import CounterStore, MemoryCounters
from cosemic.tolerances import DEFAULT, Tolerance
from cosemic.units import Unit

if TYPE_CHECKING:
    from cosemic.security.certificates import Certificate

SYSTEM_TITLE = bytes.fromhex("434F530000000001")
ENCRYPTION_KEY = bytes.fromhex("000102030405060708090A0B0C0D0E0F")
AUTHENTICATION_KEY = bytes.fromhex("D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")
BROADCAST_KEY = bytes.fromhex("0F0E0D0C0B0A09080706050403020100")
MASTER_KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
"""Keys for tests, known to everybody: never use them in a real meter."""
LLS_PASSWORD = b"00000000"

PUBLIC_CLIENT, READER_CLIENT, MANAGER_CLIENT = 16, 32, 1
BY_SHORT_NAMES = {PUBLIC_CLIENT: 18, READER_CLIENT: 34, MANAGER_CLIENT: 3}
"""The clients that see the same by short names."""
BROADCAST_CLIENT = 102
"""Has a pre-established association: what it sends, unconfirmed, is carried out without a login."""
METER_ZONE = timezone(timedelta(hours=1))

SCRATCH_NUMBER = ObisCode(0, 0, 128, 0, 0, 255)
SCRATCH_OCTETS = ObisCode(0, 0, 128, 0, 1, 255)
SCRATCH_REGISTER = ObisCode(0, 0, 128, 0, 2, 255)
SCRATCH_LIMIT = 64 * 1024


def demo_meter(
    *,
    profile_rows: int = 2880,
    number: int = 1,
    clock: Callable[[], datetime] | None = None,
    zone: tzinfo = METER_ZONE,
    counters: CounterStore | None = None,
    association_version: int = 1,
    max_pdu_size: int = 0xFFFF,
    security: SecurityContext | None = None,
    security_setup_version: int | None = None,
    certificates: CertificateStore | None = None,
    authorities: Iterable[Certificate] = (),
    images: ImageStore | None = None,
) -> SimulatedMeter:
    """Make the meter. ``clock`` gives the true time (aware; by default the computer's), ``profile_rows`` up to 100,000.

    ``number`` is in its names, its serial number and its system title, so that many can be told apart.

    ``counters`` keeps the meter's own invocation counters, in memory by default. ``security`` replaces the test keys of
    client 1. The rest is for its security setup (see ``SecuritySetup``), whose version is 0 in suite 0 and 1 in the
    others, unless given; ``authorities`` are those that the setups of suites 1 and 2 trust. ``images`` takes the images
    that are transferred.
    """
    meter = bare_meter(
        {1: b"COS%013d" % (2 * number - 1), 2: b"COS%013d" % (2 * number)},
        demo_security(counters, number) if security is None else security,
        clock=clock,
        zone=zone,
        counters=counters,
        association_version=association_version,
        max_pdu_size=max_pdu_size,
        security_setup_version=security_setup_version,
        certificates=certificates,
        authorities=authorities,
    )
    management, gas = meter.devices.values()
    management.add(*ports())
    events = EventRows()
    events.record(meter.now() - timedelta(days=3), POWER_UP)
    _electricity(management, events, profile_rows, b"%08d" % number)
    _gas(gas, events)
    management.add((ImageStore() if images is None else images).meter_object(), *tariff_objects())
    add_pushes(management)
    return meter


def pushing_meter(
    number: int = 1,
    *,
    clock: Callable[[], datetime] | None = None,
    zone: tzinfo = METER_ZONE,
    counters: CounterStore | None = None,
) -> SimulatedMeter:
    """A demo meter that is there to push: the electricity meter alone, without profiles, quickly made in thousands."""
    device = LogicalDevice(1, b"COS%013d" % (2 * number - 1))
    device.associations = _associations(1, demo_security(counters, number), 0xFFFF)
    device.add(*device_objects(device))
    _electricity(device, EventRows(), 0, b"%08d" % number)
    add_pushes(device)
    return SimulatedMeter([device], time=_computer_time if clock is None else clock, zone=zone)


def demo_security(counters: CounterStore | None = None, number: int = 1) -> SecurityContext:
    """The test keys of client 1."""
    return SecurityContext(
        suite=0,
        system_title=SYSTEM_TITLE[:4] + number.to_bytes(4, "big"),
        encryption_key=ENCRYPTION_KEY,
        authentication_key=AUTHENTICATION_KEY,
        broadcast_key=BROADCAST_KEY,
        kek=MASTER_KEY,
        policy="authenticated-encrypted",
        counters=MemoryCounters() if counters is None else counters,
        minimum_policy="none",
    )


def bare_meter(
    names: Mapping[int, bytes],
    security: SecurityContext,
    *,
    clock: Callable[[], datetime] | None = None,
    zone: tzinfo = METER_ZONE,
    counters: CounterStore | None = None,
    association_version: int = 1,
    max_pdu_size: int = 0xFFFF,
    security_setup_version: int | None = None,
    certificates: CertificateStore | None = None,
    authorities: Iterable[Certificate] = (),
) -> SimulatedMeter:
    """The associations of the demo meter and what belongs to them, nothing that measures. ``names`` are its devices.

    The first device is the management logical device, and the only one with associations that have keys.
    """
    time = _computer_time if clock is None else clock
    devices = [LogicalDevice(sap, name) for sap, name in names.items()]
    management = devices[0]
    for device in devices:
        own = device is management
        device.associations = _associations(device.sap, security if own else None, max_pdu_size)
        if own:
            device.associations += demo_keys.associations(device.sap, max_pdu_size, counters)
        device.add(*device_objects(device), *association_objects(device, association_version))
    management.add(sap_assignment(devices))
    trusted = tuple(authorities)
    for number, association in enumerate(item for item in management.associations if item.protected):
        settings = association.settings
        assert settings.security is not None
        first = number == 0
        setup = SecuritySetup(
            settings.security,
            settings.received,
            number=number,
            version=security_setup_version if first else None,
            certificates=certificates if first else CertificateStore(trusted, server_system_title=SYSTEM_TITLE),
        )
        management.add(*setup.objects())
    for device in devices:
        device.associations += _with_short_names(device)
        device.associations.append(_pre_established(device))
    return SimulatedMeter(devices, time=time, zone=zone)


def _associations(sap: int, security: SecurityContext | None, max_pdu_size: int) -> list[MeterAssociation]:
    public = ServerSettings(client_sap=PUBLIC_CLIENT, server_sap=sap, max_pdu_size=max_pdu_size)
    reader = ServerSettings(
        client_sap=READER_CLIENT,
        server_sap=sap,
        mechanism=AuthenticationMechanism.LLS,
        secret=LLS_PASSWORD,
        max_pdu_size=max_pdu_size,
    )
    associations = [MeterAssociation(public, Level.PUBLIC, 1), MeterAssociation(reader, Level.READER, 2)]
    if security is not None:
        manager = ServerSettings(
            client_sap=MANAGER_CLIENT,
            server_sap=sap,
            mechanism=AuthenticationMechanism.HLS_GMAC,
            security=security,
            max_pdu_size=max_pdu_size,
            application_contexts=frozenset({ApplicationContext.LOGICAL_NAME, ApplicationContext.LOGICAL_NAME_CIPHERED}),
            # dlms-cosem seals pass 3 under the counter of the GMAC inside it; a meter to try things on lets it in
            tolerances=DEFAULT | {Tolerance.GMAC_COUNTER_SHARED},
        )
        associations.append(MeterAssociation(manager, Level.MANAGER, 3, protected=True, security_setup=setup_name(0)))
    return associations


def _with_short_names(device: LogicalDevice) -> list[MeterAssociation]:
    """The same associations once more, for clients that use short names."""
    names = DeviceNames(device)
    own = association_object(names)
    return [
        replace(
            association,
            settings=replace(
                association.settings,
                client_sap=BY_SHORT_NAMES[association.client_sap],
                conformance=SHORT_NAME_CONFORMANCE,
                application_contexts=None,
                short_names=names,
            ),
            number=association.number + 3,
            own={own.obis: own},
        )
        for association in device.associations
        if association.client_sap in BY_SHORT_NAMES
    ]


def _pre_established(device: LogicalDevice) -> MeterAssociation:
    settings = ServerSettings(client_sap=BROADCAST_CLIENT, server_sap=device.sap, pre_established=True)
    return MeterAssociation(settings, Level.PUBLIC, 8)


def _electricity(device: LogicalDevice, events: EventRows, profile_rows: int, serial: bytes) -> None:
    switch = Switch(events)
    device.add(
        clock(events),
        switch.meter_object(),
        maximum_demand(),
        demand(),
        _energy("1-0:1.8.0", consumption.ACTIVE_IMPORT, Unit.WATT_HOUR, FREE),
        _energy("1-0:1.8.1", consumption.HIGH_TARIFF, Unit.WATT_HOUR),
        _energy("1-0:1.8.2", consumption.LOW_TARIFF, Unit.WATT_HOUR),
        _energy("1-0:2.8.0", consumption.ACTIVE_EXPORT, Unit.WATT_HOUR),
        _energy("1-0:3.8.0", consumption.REACTIVE_IMPORT, Unit.VAR_HOUR),
        _energy("1-0:4.8.0", consumption.REACTIVE_EXPORT, Unit.VAR_HOUR),
        _power("1-0:1.7.0", consumption.ACTIVE_IMPORT, Unit.WATT, switch),
        _power("1-0:2.7.0", consumption.ACTIVE_EXPORT, Unit.WATT, switch),
        _power("1-0:3.7.0", consumption.REACTIVE_IMPORT, Unit.VAR, switch),
        register("1-0:14.7.0", lambda access: axdr.long_unsigned(consumption.frequency(_now(access))), -2, Unit.HERTZ),
    )
    for phase, voltage, current in ((1, 32, 31), (2, 52, 51), (3, 72, 71)):
        device.add(
            register(f"1-0:{voltage}.7.0", _voltage(phase), -1, Unit.VOLT),
            register(f"1-0:{current}.7.0", _current(phase, switch), -2, Unit.AMPERE),
        )
    data = InterfaceClass.DATA
    device.add(
        MeterObject(data, ObisCode(0, 0, 96, 1, 0, 255), 0, {2: fixed(axdr.octet_string(serial))}),
        MeterObject(data, ObisCode(1, 0, 0, 2, 0, 255), 0, {2: fixed(axdr.octet_string(b"COSEMIC-1.0"))}),
        MeterObject(data, ObisCode(0, 0, 96, 14, 0, 255), 0, {2: Attribute(_tariff)}),
        MeterObject(data, ObisCode(0, 0, 96, 10, 1, 255), 0, {2: fixed(axdr.unsigned(0))}),
        MeterObject(data, ObisCode(0, 0, 96, 11, 0, 255), 0, {2: _event_code(events)}),
        MeterObject(data, ObisCode(0, 0, 97, 97, 0, 255), 0, {2: stored(axdr.double_long_unsigned(0), MANAGED)}),
        MeterObject(
            data,
            ObisCode(0, 0, 96, 13, 0, 255),
            0,
            {2: stored(axdr.octet_string(b""), rights("r", "rw", "rw"), max_octets=1024)},
        ),
        MeterObject(data, SCRATCH_NUMBER, 0, {2: stored(axdr.double_long_unsigned(0), FREE)}),
        MeterObject(
            data, SCRATCH_OCTETS, 0, {2: stored(axdr.octet_string(bytes(5000)), FREE, max_octets=SCRATCH_LIMIT)}
        ),
        scratch_register(SCRATCH_REGISTER, axdr.double_long_unsigned(0), -3, Unit.CUBIC_METRE, FREE),
        profile(ObisCode(1, 0, 99, 1, 0, 255), LOAD_COLUMNS, LoadRows(profile_rows), period=consumption.PERIOD),
        profile(ObisCode(0, 0, 99, 98, 0, 255), EVENT_COLUMNS, events, period=0),
    )


def _gas(device: LogicalDevice, events: EventRows) -> None:
    volume = Energy((0,) * 24 + (12,) * 8 + (3,) * 36 + (9,) * 20 + (0,) * 8)

    def litres(access: Access) -> Typed:
        return axdr.double_long_unsigned(volume.at(_now(access)))

    device.add(
        clock(events),
        register("7-0:3.0.0", litres, -3, Unit.CUBIC_METRE, READ_ALL),
        register("7-0:41.0.0", lambda access: axdr.long(2931), -1, Unit.KELVIN, READ_ALL),
    )


def _energy(obis: str, energy: Energy, unit: Unit, who: Rights = MANAGED) -> MeterObject:
    return register(obis, lambda access: axdr.double_long_unsigned(energy.at(_now(access))), 0, unit, who)


def _power(obis: str, energy: Energy, unit: Unit, switch: Switch) -> MeterObject:
    def read(access: Access) -> Typed:
        return axdr.double_long_unsigned(energy.power(_now(access)) if switch.closed else 0)

    return register(obis, read, 0, unit)


def _voltage(phase: int) -> Callable[[Access], Typed]:
    return lambda access: axdr.long_unsigned(consumption.voltage(phase, _now(access)))


def _current(phase: int, switch: Switch) -> Callable[[Access], Typed]:
    return lambda access: axdr.long_unsigned(consumption.current(phase, _now(access)) if switch.closed else 0)


def _tariff(access: Access) -> Typed:
    return axdr.unsigned(consumption.tariff(_now(access)))


def _event_code(events: EventRows) -> Attribute:
    return Attribute(lambda access: axdr.unsigned(events.last_code))


def _now(access: Access) -> float:
    return access.now.timestamp()


def _computer_time() -> datetime:
    return datetime.now(UTC)
