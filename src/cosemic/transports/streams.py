"""A stream is the way to a meter: octets out, octets in, each wait with a deadline.

Write your own for whatever carries octets (a modem, a gateway's API, a test): three methods are enough. Deadlines are
points on the clock of ``time.monotonic``, unless the stream has a ``clock`` of its own. A stream on a line whose speed
can be changed has a fourth, ``reconfigure``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cosemic.tolerances import DEFAULT, Tolerance
from cosemic.transports.targets import Target, parse_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from cosemic.link.signon_messages import LineSettings


class Stream(Protocol):
    """The asyncio form. Optional attributes: ``framing`` ("wrapper", "hdlc" or "mbus"), ``clock``, ``wait_closed``, and
    ``abandon``, called in place of ``close`` where an answer may still be under way."""

    async def send(self, data: bytes, deadline: float | None = None) -> None:
        """Send all of ``data``: TimeoutError when the deadline passes, OSError when the way is broken."""

    async def receive(self, deadline: float | None = None) -> bytes:
        """Octets as they come, ``b""`` at the end of the stream; TimeoutError when the deadline passes."""

    def close(self) -> None:
        """Release everything at once, without waiting; a second call does nothing."""


class BlockingStream(Protocol):
    """The blocking form, for ``cosemic.blocking``; otherwise as ``Stream``."""

    def send(self, data: bytes, deadline: float | None = None) -> None:
        """Send all of ``data``: TimeoutError when the deadline passes, OSError when the way is broken."""

    def receive(self, deadline: float | None = None) -> bytes:
        """Octets as they come, ``b""`` at the end of the stream; TimeoutError when the deadline passes."""

    def close(self) -> None:
        """Release everything at once; a second call does nothing."""


class ReconfigurableStream(Stream, Protocol):
    """A stream on a line with a speed: what a sign-on of an optical port needs."""

    async def reconfigure(self, settings: LineSettings) -> None:
        """Set the line so once everything that was sent has left; LinkLost where that fails."""


class ReconfigurableBlockingStream(BlockingStream, Protocol):
    """The blocking form of it."""

    def reconfigure(self, settings: LineSettings) -> None:
        """Set the line so once everything that was sent has left; LinkLost where that fails."""


async def open_stream(target: str | Target, *, tolerances: frozenset[Tolerance] = DEFAULT) -> Stream:
    """Connect, and sign on where the URL says so. Set the time allowed around it (``asyncio.timeout``; ``Target`` has
    the ``opening_time`` of a sign-on); a broken way is a LinkError."""
    if isinstance(target, str):
        target = parse_url(target)
    stream = await connect_stream(target)
    if target.sign_on is None:
        return stream
    from cosemic.transports.optical import open_signed_on

    return await open_signed_on(stream, target.sign_on, tolerances)


async def connect_stream(target: Target) -> Stream:
    """Connect without a sign-on, whatever the URL says."""
    if target.is_serial:
        from cosemic.transports.serial import open_serial

        return await open_serial(target)
    if target.is_datagram:
        from cosemic.transports.udp import open_udp

        return await open_udp(target)
    if target.tls is not None:
        from cosemic.transports.tls import open_tls

        return await open_tls(target)
    from cosemic.transports.tcp import open_tcp

    return await open_tcp(target)


def open_blocking_stream(
    target: str | Target, *, timeout: float, tolerances: frozenset[Tolerance] = DEFAULT
) -> BlockingStream:
    """Connect within ``timeout`` seconds, and sign on where the URL says so; a broken way is a LinkError."""
    if isinstance(target, str):
        target = parse_url(target)
    stream = _connect_blocking(target, timeout)
    if target.sign_on is None:
        return stream
    from cosemic.transports.optical import open_signed_on_blocking

    return open_signed_on_blocking(stream, target.sign_on, tolerances)


def _connect_blocking(target: Target, timeout: float) -> BlockingStream:
    if target.is_serial:
        from cosemic.transports.serial import BlockingSerialStream

        return BlockingSerialStream(target, timeout=timeout)
    if target.tls is not None:
        from cosemic.transports.tls import open_tls_socket

        return open_tls_socket(target, timeout=timeout)
    from cosemic.transports.sockets import open_socket

    return open_socket(target, timeout=timeout)


async def wait_closed(stream: Stream, seconds: float) -> None:
    """Wait until a stream that was closed has let go of its port, where it can tell; not longer than that."""
    closed = getattr(stream, "wait_closed", None)
    if closed is None:
        return
    import asyncio
    import contextlib

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await closed()


def clock_of(stream: Stream | BlockingStream) -> Callable[[], float]:
    """The clock on which the deadlines of a stream lie."""
    import time

    clock: Callable[[], float] | None = getattr(stream, "clock", None)
    return time.monotonic if clock is None else clock
