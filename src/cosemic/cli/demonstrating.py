"""demo: a simulated meter and a real client, with security, over TCP on this machine."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from cosemic.cli.options import OutputOptions
from cosemic.cli.output import dumps, human, say, table
from cosemic.cli.profiles import table_text
from cosemic.cli.tracing import make_trace
from cosemic.client import DlmsClient
from cosemic.cosem.profile import Profile
from cosemic.cosem.values import Reading
from cosemic.enums import AuthenticationMechanism, Conformance
from cosemic.meter.demo import AUTHENTICATION_KEY, ENCRYPTION_KEY, MANAGER_CLIENT, demo_meter
from cosemic.meter.server import MeterServer
from cosemic.obis import ObisCode
from cosemic.protocol.events import AssociationParameters
from cosemic.security.context import SecurityContext
from cosemic.security.counters import MemoryCounters

CLIENT_TITLE = bytes.fromhex("434F530000000010")
REGISTERS = tuple(
    ObisCode.parse(code)
    for code in ("1-0:1.8.0", "1-0:2.8.0", "1-0:3.8.0", "1-0:1.7.0", "1-0:32.7.0", "1-0:31.7.0", "1-0:14.7.0")
)
PROFILE = ObisCode.parse("1-0:99.1.0")
ROWS = 12


@dataclass(frozen=True, slots=True)
class _Result:
    url: str
    association: AssociationParameters
    name: bytes
    clock: object
    readings: list[Reading]
    objects: int
    profile: Profile


def demonstrate(output: OutputOptions) -> int:
    """Run it and print what was read."""
    result = asyncio.run(_run(output))
    if output.json:
        _print_json(result)
    else:
        _print_text(result)
    return 0


async def _run(output: OutputOptions) -> _Result:
    async with MeterServer(demo_meter(profile_rows=96)) as server:
        url = f"tcp://127.0.0.1:{await server.serve_wrapper('127.0.0.1', 0)}"
        # Example keys of a meter that forgets everything at its end: the counters may forget too.
        security = SecurityContext(
            suite=0,
            system_title=CLIENT_TITLE,
            encryption_key=ENCRYPTION_KEY,
            authentication_key=AUTHENTICATION_KEY,
            policy="authenticated-encrypted",
            counters=MemoryCounters(),
        )
        async with DlmsClient(
            url,
            client_sap=MANAGER_CLIENT,
            authentication=AuthenticationMechanism.HLS_GMAC,
            security=security,
            timeout=10,
            trace=make_trace(output.verbose) if output.verbose else None,
        ) as meter:
            objects = await meter.objects()
            present = {entry.obis for entry in objects}
            name = await meter.get(1, ObisCode.LOGICAL_DEVICE_NAME, 2)
            return _Result(
                url,
                meter.association,
                name if isinstance(name, bytes) else b"",
                await meter.read_clock(),
                [await meter.read_register(code) for code in REGISTERS if code in present],
                len(objects),
                await meter.read_profile(PROFILE, last=ROWS),
            )


def _print_json(result: _Result) -> None:
    association = result.association
    title = association.peer_system_title
    say(
        dumps(
            {
                "kind": "association",
                "url": result.url,
                "device": result.name.decode("ascii", "replace"),
                "mechanism": _mechanism(association),
                "system_title": None if title is None else title.hex(),
                "max_pdu_size": association.max_pdu_size,
                "conformance": _services(association),
                "objects": result.objects,
            }
        )
    )
    say(dumps({"kind": "clock", "time": result.clock}))
    for reading in result.readings:
        obis = None if reading.obis is None else reading.obis.dotted
        name = None if reading.obis is None else reading.obis.describe()
        say(dumps({"kind": "register", "obis": obis, "name": name, "value": reading.value, "unit": reading.unit}))
    for row in result.profile.to_dicts():
        say(dumps({"kind": "profile", **row}))


def _print_text(result: _Result) -> None:
    association = result.association
    title = association.peer_system_title
    say(f"Simulated meter at {result.url}, device {result.name.decode('ascii', 'replace')}, {result.objects} objects")
    say(f"Association as client {MANAGER_CLIENT}: {_mechanism(association)}, suite 0, authenticated and encrypted")
    if title is not None:
        say(f"System title of the meter: {title.hex().upper()}")
    say(f"Services: {', '.join(_services(association))}")
    say(f"Clock: {human(result.clock)}\n")
    rows = [
        [str(reading.obis), f"{reading.value:f}", reading.unit, reading.obis.describe() if reading.obis else ""]
        for reading in result.readings
    ]
    say(table(["OBIS", "value", "unit", "meaning"], rows, right=frozenset({1})))
    say(f"\nLoad profile {PROFILE}, the last {len(result.profile)} rows")
    say(table_text(result.profile))
    if sys.stdout.isatty():
        say("\nNext: 'cosemic simulate' keeps such a meter running, 'cosemic read --help' shows how to read one.")


def _mechanism(association: AssociationParameters) -> str:
    mechanism = association.mechanism
    name = mechanism.name if isinstance(mechanism, AuthenticationMechanism) else str(mechanism)
    return name.replace("_", "-")


def _services(association: AssociationParameters) -> list[str]:
    return [
        flag.name.lower().replace("_", "-")
        for flag in Conformance
        if flag.value and flag in association.conformance and flag.name
    ]
