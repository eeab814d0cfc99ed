"""The optical port of a simulated meter: sign-on (IEC 62056-21, mode E), HDLC for one client, sign-on again."""

from __future__ import annotations

from collections.abc import Callable

from cosemic.errors import LinkError
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
"""Seconds of silence between the end of HDLC and the next sign-on."""
_LONGEST_REST = 5.0
"""Seconds after which the line is set anew although it never falls silent."""


async def serve_optical_port(
    stream: Stream,
    connect: Callable[[], HdlcConnection],
    *,
    identification: Identification = IDENTIFICATION,
    address: str = "",
    initial_baud: int = 300,
    software_parity: bool = False,
    patience: float | None = None,
    send_timeout: float = 600.0,
) -> None:
    """Serve one client after another until the stream ends; ``connect`` gives the meter's side of each.

    With ``patience`` the wait for somebody who signs on has an end, after so many seconds (a serial port has none).
    A client that does not take an answer within ``send_timeout`` seconds is given up, and the next may sign on.
    """
    first = True
    while True:
        port = SignOnServer(identification, address=address, initial_baud=initial_baud, software_parity=software_parity)
        if not first:
            await reconfigure(stream, port.initial_line)
        first = False
        signed_on = await _accept(stream, port, patience, send_timeout)
        if signed_on is None:
            return
        logger.info("a client has signed on: %s", signed_on.settings)
        connection = connect()
        try:
            goes_on = await _serve(stream, connection, port.early, send_timeout)
        finally:
            connection.close()
        if not goes_on or not await _rest(stream):
            return


async def _rest(stream: Stream) -> bool:
    """Let the last answer leave before the line is set anew; False at the end of the stream."""
    clock = clock_of(stream)
    now = clock()
    until, latest = now + _PAUSE, now + _LONGEST_REST
    while clock() < latest:
        try:
            if not await stream.receive(until):
                return False
        except TimeoutError:
            return True
        until = min(clock() + _PAUSE, latest)
    return True


async def _send(stream: Stream, data: bytes, deadline: float) -> bool:
    """False where the line does not take it in time."""
    try:
        await stream.send(data, deadline)
    except LinkError:
        raise
    except TimeoutError:
        logger.warning("the optical port does not take %d octets; they are dropped", len(data))
        return False
    return True


async def _accept(stream: Stream, port: SignOnServer, patience: float | None, send_timeout: float) -> SignedOn | None:
    """Wait for somebody who signs on; None at the end of the stream, or of the patience."""
    clock = clock_of(stream)
    latest = None if patience is None else clock() + patience
    while True:
        if data := port.data_to_send():
            allowed = clock() + send_timeout
            await _send(stream, data, allowed if latest is None else min(allowed, latest))
        for event in port.events():
            if isinstance(event, SwitchLine):
                await reconfigure(stream, event.settings)
            elif isinstance(event, SignedOn):
                return event
        due = port.next_deadline()
        if latest is not None:
            if clock() >= latest:  # also when octets come without end
                return None
            due = latest if due is None else min(due, latest)
        try:
            data = await stream.receive(due)
        except TimeoutError:
            port.on_time(clock())
            continue
        if not data:
            return None
        now = clock()
        port.receive_data(data, now)
        port.on_time(now)  # what is due does not wait for a silence


async def _serve(stream: Stream, connection: HdlcConnection, early: bytes, send_timeout: float) -> bool:
    """HDLC until the last link is down; False at the end of the stream."""
    clock = clock_of(stream)
    now = clock()
    patience = now + _PATIENCE
    out = connection.receive_data(early, now) if early else b""
    met = False
    while True:
        if out and not await _send(stream, out, now + send_timeout):
            return True
        if connection.is_broken:
            return True
        met = met or not connection.is_idle
        due = connection.next_deadline()
        if connection.is_idle:
            if met or now >= patience:
                return True
            due = patience if due is None else min(due, patience)
        try:
            data = await stream.receive(due)
        except TimeoutError:
            now = clock()
            out = connection.on_time(now)
            continue
        if not data:
            return False
        now = clock()
        out = connection.receive_data(data, now)
        due = connection.next_deadline()
        if due is not None and now >= due:  # a line that never falls silent keeps nobody's time
            out += connection.on_time(now)
