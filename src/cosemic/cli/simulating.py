"""simulate: the simulated meter on the network, until somebody stops it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from cosemic.cli.demo_files import write_demo_keys
from cosemic.cli.failing import CommandError
from cosemic.cli.models import load_model
from cosemic.cli.options import show_log
from cosemic.cli.output import dumps, say
from cosemic.cli.tracing import make_trace
from cosemic.meter.demo import demo_meter
from cosemic.meter.from_model import meter_from_model
from cosemic.meter.model import SimulatedMeter
from cosemic.meter.server import MeterServer

_Serve: TypeAlias = Callable[[str, int], Awaitable[int]]

_MOST_ROWS = 100_000


def simulate_meter(
    host: str, wrapper_port: int, hdlc_port: int, profile_rows: int | None, keys: Path | None, model: Path | None, *,
    verbose: int,
) -> int:  # fmt: skip
    """Serve until SIGINT or SIGTERM."""
    for option, port in (("--wrapper-port", wrapper_port), ("--hdlc-port", hdlc_port)):
        if not 0 <= port <= 0xFFFF:
            raise CommandError(f"{option} is a number from 0 (any free port) to 65535, not {port}")
    if wrapper_port == hdlc_port != 0:
        raise CommandError("--wrapper-port and --hdlc-port must differ")
    if profile_rows is not None and not 0 <= profile_rows <= _MOST_ROWS:
        raise CommandError(f"--profile-rows is a number from 0 to {_MOST_ROWS}, not {profile_rows}")
    if verbose:
        show_log(verbose)
    if model is not None:
        if profile_rows is not None:
            raise CommandError("--profile-rows is for the demo meter; a --model has the rows that it has")
        meter = meter_from_model(load_model(model))
    else:
        meter = demo_meter() if profile_rows is None else demo_meter(profile_rows=profile_rows)
    asyncio.run(_serve(meter, host, wrapper_port, hdlc_port, keys, verbose))
    return 0


async def _serve(
    meter: SimulatedMeter, host: str, wrapper_port: int, hdlc_port: int, keys: Path | None, verbose: int
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no handlers in its loop; there Ctrl-C arrives as KeyboardInterrupt.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    async with MeterServer(meter, trace=make_trace(verbose) if verbose else None) as server:
        wrapper = await _listen(server.serve_wrapper, host, wrapper_port, "--wrapper-port")
        hdlc = await _listen(server.serve_hdlc, host, hdlc_port, "--hdlc-port")
        if keys is not None:
            write_demo_keys(keys, "127.0.0.1" if host in ("0.0.0.0", "::", "") else host, wrapper, hdlc)
        say(dumps({"wrapper_port": wrapper, "hdlc_port": hdlc}))
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
