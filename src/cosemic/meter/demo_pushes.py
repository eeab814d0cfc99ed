"""The pushes of the demo meter: a push setup, the script that pushes, a schedule that is empty until asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.cosem.push_objects import (
    PUSH_SCHEDULE,
    PUSH_SCRIPTS,
    PUSH_SETUP,
    PushDestination,
    PushObject,
)
from cosemic.cosem.tariff_tables import EXECUTE_METHOD, Script, ScriptAction, ScriptReference, encode_execution_times
from cosemic.enums import InterfaceClass
from cosemic.meter.action_schedules import action_schedule, every, script_table
from cosemic.meter.model import LogicalDevice, SimulatedMeter
from cosemic.meter.push_framing import PushFraming
from cosemic.meter.push_protection import PushSealer
from cosemic.meter.push_setup import PushOptions, PushSetup
from cosemic.meter.push_values import PushShape, own_access
from cosemic.meter.pushing import PushAgenda, PushEnded
from cosemic.obis import ObisCode
from cosemic.security.suites import SecurityPolicy

_REGISTERS = tuple(
    ObisCode.parse(code) for code in ("1-0:1.8.0", "1-0:2.8.0", "1-0:1.7.0", "1-0:2.7.0", "1-0:32.7.0", "1-0:31.7.0")
)

DEMO_OBJECTS = (
    PushObject(InterfaceClass.PUSH_SETUP, PUSH_SETUP),
    PushObject(InterfaceClass.CLOCK, ObisCode(0, 0, 1, 0, 0, 255)),
    PushObject(InterfaceClass.DATA, ObisCode(0, 0, 42, 0, 0, 255)),
    PushObject(InterfaceClass.DATA, ObisCode(0, 0, 96, 1, 0, 255)),
    *(PushObject(InterfaceClass.REGISTER, code, number) for code in _REGISTERS for number in (2, 3)),
)
"""The list itself, so that a listener needs no labels; time, names, energies, powers, a phase, with their units."""

_PUSH = Script(1, (ScriptAction(EXECUTE_METHOD, InterfaceClass.PUSH_SETUP, PUSH_SETUP, 1, axdr.integer(0)),))


def add_pushes(device: LogicalDevice, *, version: int = 2) -> PushSetup:
    """Give a device a push setup without a destination, the script that pushes, and an empty schedule for it."""
    objects = tuple(item for item in DEMO_OBJECTS if item.obis == PUSH_SETUP or item.obis in device.objects)
    setup = PushSetup(PushOptions(objects=objects), version=version)
    scripts = script_table(PUSH_SCRIPTS, [_PUSH])
    device.add(setup.meter_object(), scripts, action_schedule(PUSH_SCHEDULE, ScriptReference(PUSH_SCRIPTS, 1)))
    device.push_setups.append(setup)
    return setup


def demo_agenda(
    meter: SimulatedMeter,
    *,
    destination: PushDestination | None = None,
    every_seconds: int | None = None,
    randomisation: int | None = None,
    protection: SecurityPolicy | str = SecurityPolicy.NONE,
    framing: PushFraming | None = None,
    shape: PushShape = PushShape.VALUES,
    send_timeout: float = 30.0,
    confirm_timeout: float = 30.0,
    on_ended: Callable[[PushEnded], object] | None = None,
) -> PushAgenda:
    """The pushes of a meter's first logical device: to ``destination`` on a schedule, or as clients write it.

    ``every_seconds`` and ``randomisation`` (the longest random delay, seconds) are written into its objects.

    A device without a push setup gets that of the demo meter. ``protection`` other than none takes the keys of the
    first association that has some. ValueError for an interval that no schedule has, and where there are no keys.
    """
    policy = SecurityPolicy.parse(protection)
    sap, device = next(iter(meter.devices.items()))
    security = next((item.settings.security for item in device.associations if item.settings.security), None)
    if policy and security is None:
        raise ValueError("this meter has no keys to protect its pushes with")
    if policy & SecurityPolicy.SIGNED and (security is None or security.signing_key is None):
        raise ValueError("this meter has no key to sign its pushes with")
    setup = device.push_setups[0] if device.push_setups else add_pushes(device)
    if destination is not None:
        setup.options = replace(setup.options, destination=destination)
    if randomisation is not None:
        setup.options = replace(setup.options, randomisation=randomisation)
    if every_seconds is not None:
        write = device.objects[PUSH_SCHEDULE].attributes[4].write
        assert write is not None
        write(own_access(meter, device), Data.of(encode_execution_times(every(every_seconds))))
    return PushAgenda(
        meter,
        server_sap=sap,
        sealer=None if security is None else PushSealer(security, policy=policy),
        framing=framing,
        shape=shape,
        send_timeout=send_timeout,
        confirm_timeout=confirm_timeout,
        on_ended=on_ended,
    )
