"""The optical port of a simulated meter: sign-on (IEC 62056-21, mode E), HDLC for one client, sign-on again."""

from __future__ import annotations

from collections.abc import Callable

from cosemic.link.signon import SignedOn, SignOnServer, SwitchLine
from cosemic.link.signon_messages import Identification
from cosemic.meter.connections import HdlcConnection, logger
from cosemic.transports.optical import reconfigure
from cosemic.transports.streams import Stream, clock_of

IDENTIFICATION = Identification("COS", "5", "2", "SIMULATED")
"""What the simulated meter says it is: 9,600 baud, mode E with HDLC."""

_PATIENCE = 10.0
"""Seconds for the first SNRM after a sign-on."""
_PAUSE = 0.1
"""Seconds between the end of HDLC and the next sign-on."""


async def serve_optical_port(
    stream: Stream,
    connect: Callable[[], HdlcConnection],
    *,
    identification: Identification = IDENTIFICATION,
    address: str = "",
    initial_baud: int = 300,
    software_parity: bool = False,
    patience: float | None = None,
) -> None:
    """Serve one client after another until the stream ends; ``connect`` gives the meter's side of each.

    With ``patience`` the wait for somebody who signs on has an end, after so many seconds (a serial port has none).
    """
    first = True
    while True:
        port = SignOnServer(identification, address=address, initial_baud=initial_baud, software_parity=software_parity)
        if not first:
            await reconfigure(stream, port.initial_line)
        first = False
        signed_on = await _accept(stream, port, patience)
        if signed_on is None:
            return
        logger.info("a client has signed on: %s", signed_on.settings)
        connection = connect()
        try:
            goes_on = await _serve(stream, connection, port.early)
        finally:
            connection.close()
        if not goes_on or not await _rest(stream):
            return


async def _rest(stream: Stream) -> bool:
    """Let the last answer leave before the line is set anew; False at the end of the stream."""
    clock = clock_of(stream)
    until = clock() + _PAUSE
    while True:
        try:
            if not await stream.receive(until):
                return False
        except TimeoutError:
            return True


async def _accept(stream: Stream, port: SignOnServer, patience: float | None) -> SignedOn | None:
    """Wait for somebody who signs on; None at the end of the stream, or of the patience."""
    clock = clock_of(stream)
    latest = None if patience is None else clock() + patience
    while True:
        if data := port.data_to_send():
            await stream.send(data, latest)
        for event in port.events():
            if isinstance(event, SwitchLine):
                await reconfigure(stream, event.settings)
            elif isinstance(event, SignedOn):
                return event
        due = port.next_deadline()
        if latest is not None:
            due = latest if due is None else min(due, latest)
        try:
            data = await stream.receive(due)
        except TimeoutError:
            now = clock()
            if latest is not None and now >= latest:
                return None
            port.on_time(now)
            continue
        if not data:
            return None
        port.receive_data(data, clock())


async def _serve(stream: Stream, connection: HdlcConnection, early: bytes) -> bool:
    """HDLC until the last link is down; False at the end of the stream."""
    clock = clock_of(stream)
    patience = clock() + _PATIENCE
    if early and (out := connection.receive_data(early, clock())):
        await stream.send(out)
    met = not connection.is_idle
    while not connection.is_broken:
        due = connection.next_deadline()
        if connection.is_idle:
            if met:
                break
            due = patience if due is None else min(due, patience)
        try:
            data = await stream.receive(due)
        except TimeoutError:
            now = clock()
            out = connection.on_time(now)
            if connection.is_idle and now >= patience:
                break
        else:
            if not data:
                return False
            now = clock()
            out = connection.receive_data(data, now)
        met = met or not connection.is_idle
        if out:
            await stream.send(out)
    return True
