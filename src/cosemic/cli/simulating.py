"""simulate: the simulated meter on the network, until somebody stops it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from cosemic.cli.demo_files import DemoAuthority, write_demo_keys
from cosemic.cli.failing import CommandError
from cosemic.cli.models import load_model
from cosemic.cli.options import show_log
from cosemic.cli.output import dumps, say
from cosemic.cli.parsing import password_octets
from cosemic.cli.simulated_pushes import PushWishes, push_agendas, push_counters
from cosemic.cli.tracing import make_trace
from cosemic.meter.demo import demo_meter
from cosemic.meter.from_model import meter_from_model
from cosemic.meter.pushing import PushAgenda
from cosemic.meter.server import MeterServer

_Serve: TypeAlias = Callable[[str, int], Awaitable[int]]

_MOST_ROWS = 100_000


def simulate_meter(
    host: str, wrapper_port: int, hdlc_port: int, profile_rows: int | None, keys: Path | None,
    model: Path | None = None, *, udp_port: int | None = None, behind: Sequence[str] = (),
    pushes: PushWishes | None = None, verbose: int,
) -> int:  # fmt: skip
    """Serve until SIGINT or SIGTERM."""
    for option, port in (("--wrapper-port", wrapper_port), ("--hdlc-port", hdlc_port), ("--udp-port", udp_port)):
        if port is not None and not 0 <= port <= 0xFFFF:
            raise CommandError(f"{option} is a number from 0 (any free port) to 65535, not {port}")
    if wrapper_port == hdlc_port != 0:
        raise CommandError("--wrapper-port and --hdlc-port must differ")
    if profile_rows is not None and not 0 <= profile_rows <= _MOST_ROWS:
        raise CommandError(f"--profile-rows is a number from 0 to {_MOST_ROWS}, not {profile_rows}")
    if verbose:
        show_log(verbose)
    if model is not None and (profile_rows is not None or keys is not None):
        raise CommandError("--profile-rows and --write-keys are for the demo meter; a --model has what it has")
    rows = 2880 if profile_rows is None else profile_rows
    addresses = [password_octets(text, "--behind") for text in behind]
    if any(not 1 <= len(address) <= 0xFF for address in addresses):
        raise CommandError("--behind: an address has 1 to 255 octets")
    devices = {(0, address): demo_meter(profile_rows=rows) for address in addresses}
    authorities = {suite: DemoAuthority.make(suite) for suite in (1, 2)} if keys is not None else {}
    counters = push_counters(pushes)
    if model is not None:
        meter = meter_from_model(load_model(model))
    else:
        trusted = [authority.certificate for authority in authorities.values()]
        meter = demo_meter(profile_rows=rows, authorities=trusted, counters=counters)
    agendas = push_agendas(meter, pushes, counters)
    server = MeterServer(meter, trace=make_trace(verbose) if verbose else None, behind=devices)

    def write(wrapper: int, hdlc: int) -> None:
        if keys is not None:
            reached = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
            write_demo_keys(keys, reached, wrapper, hdlc, authorities)

    asyncio.run(_serve(server, host, (wrapper_port, hdlc_port, udp_port), agendas, write))
    return 0


async def _serve(
    server: MeterServer,
    host: str,
    ports: tuple[int, int, int | None],
    agendas: Sequence[PushAgenda],
    write: Callable[[int, int], None],
) -> None:
    wrapper_port, hdlc_port, udp_port = ports
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no handlers in its loop; there Ctrl-C arrives as KeyboardInterrupt.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    async with server:
        wrapper = await _listen(server.serve_wrapper, host, wrapper_port, "--wrapper-port")
        hdlc = await _listen(server.serve_hdlc, host, hdlc_port, "--hdlc-port")
        ready = {"wrapper_port": wrapper, "hdlc_port": hdlc}
        if udp_port is not None:
            ready["udp_port"] = await _listen(server.serve_udp, host, udp_port, "--udp-port")
        write(wrapper, hdlc)
        say(dumps(ready))
        for agenda in agendas:
            server.start_pushing(agenda)
        await stop.wait()


async def _listen(serve: _Serve, host: str, port: int, option: str) -> int:
    try:
        return await serve(host, port)
    except OSError as error:
        code = error.errno or 0
        reason = (os.strerror(code) if code > 0 else error.strerror or str(error)).lower()
        taken = code in (errno.EADDRINUSE, errno.EACCES)
        remedy = f"choose another {option}, or 0 for any" if taken else "check --host"
        raise CommandError(f"cannot listen on {host}:{port} ({reason}): {remedy}") from None
