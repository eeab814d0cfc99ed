"""simulate --push-to: the pushes that the simulated meters send by themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cosemic.cli.failing import CommandError
from cosemic.cosem.push_objects import PushDestination, TransportService
from cosemic.meter.demo import pushing_meter
from cosemic.meter.demo_pushes import demo_agenda
from cosemic.meter.model import SimulatedMeter
from cosemic.meter.push_framing import PushFraming
from cosemic.meter.push_setup import host_and_port
from cosemic.meter.push_values import PushShape
from cosemic.meter.pushing import PushAgenda

if TYPE_CHECKING:
    from cosemic.security.counters import CounterStore

DEFAULT_INTERVAL = 10
MOST_METERS = 10_000
_SERVICES = {
    "tcp": TransportService.TCP,
    "udp": TransportService.UDP,
    "hdlc": TransportService.HDLC,
    "mbus-tcp": TransportService.M_BUS,
}
_DEFAULT_PORT = 4059
_HERE = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class PushWishes:
    """What was asked for; ``interval`` in seconds, ``pdu_size`` the longest APDU that goes without blocks."""

    to: str | None = None
    interval: int | None = None
    protection: str | None = None
    pdu_size: int | None = None
    meters: int | None = None
    shape: str | None = None


def push_counters(wishes: PushWishes | None) -> CounterStore | None:
    """The counters that outlive this process, where pushes are protected; None for those in memory.

    A listener takes no counter twice, so a meter that is started anew has to go on where it was.
    """
    if wishes is None or wishes.protection in (None, "none"):
        return None
    from cosemic.security.counters import default_counters

    return default_counters()


def push_agendas(
    meter: SimulatedMeter, wishes: PushWishes | None, counters: CounterStore | None = None
) -> list[PushAgenda]:
    """An agenda for each meter: the one that is served, and further demo meters that only push, with these counters."""
    wishes = PushWishes() if wishes is None else wishes
    if wishes.to is None:
        for option, given in (
            ("--push-every", wishes.interval),
            ("--push-protection", wishes.protection),
            ("--push-pdu-size", wishes.pdu_size),
            ("--push-shape", wishes.shape),
            ("--meters", wishes.meters),
        ):
            if given is not None:
                raise CommandError(f"{option} is for pushes: say where they go with --push-to")
        # Without a destination of its own: clients write one, and call the method push.
        return [demo_agenda(meter)] if any(device.push_setups for device in meter.devices.values()) else []
    destination = push_destination(wishes.to)
    count = 1 if wishes.meters is None else wishes.meters
    if not 1 <= count <= MOST_METERS:
        raise CommandError(f"--meters is a number from 1 to {MOST_METERS}, not {count}")
    shapes = {shape.value: shape for shape in PushShape}
    shape = shapes.get(wishes.shape or "values")
    if shape is None:
        raise CommandError(f"--push-shape takes {', '.join(shapes)}, not {wishes.shape!r}")
    interval = DEFAULT_INTERVAL if wishes.interval is None else wishes.interval
    try:
        framing = PushFraming(max_pdu_size=wishes.pdu_size or 0)
        meters = [meter, *(pushing_meter(number, counters=counters) for number in range(2, count + 1))]
        return [
            demo_agenda(
                one,
                destination=destination,
                every_seconds=interval,
                # Many meters do not all push in the first second of each interval.
                randomisation=min(interval - 1, 0xFFFF) if count > 1 else 0,
                protection=wishes.protection or "none",
                framing=framing,
                shape=shape,
            )
            for one in meters
        ]
    except ValueError as error:
        raise CommandError(f"pushes: {error}") from None


def own_port(usual: int, push_to: str | None) -> int:
    """The usual port, or 0 (any free one) where pushes go to that port of this machine: a listener is to have it."""
    if push_to is None:
        return usual
    host, port = host_and_port(push_destination(push_to))
    return 0 if port == usual and host in _HERE else usual


def push_destination(url: str) -> PushDestination:
    """From ``tcp://host:port`` and the like; CommandError for anything else."""
    names = ", ".join(f"{scheme}://HOST:PORT" for scheme in _SERVICES)
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORT
    except ValueError:
        raise CommandError(f"--push-to takes {names}, not {url!r}") from None
    service = _SERVICES.get(parts.scheme)
    host = parts.hostname or ""
    if service is None or not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise CommandError(f"--push-to takes {names}, not {url!r}")
    text = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    destination = PushDestination(service, text.encode("ascii", "replace"))
    try:
        host_and_port(destination)
    except ValueError as error:
        raise CommandError(f"--push-to: {error}") from None
    return destination
