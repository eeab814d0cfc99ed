"""A stream is the way to a meter: octets out, octets in, each wait with a deadline.

Write your own for whatever carries octets (a modem, a gateway's API, a test): three methods are enough. Deadlines are
points on the clock of ``time.monotonic``, unless the stream has a ``clock`` of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cosemic.transports.targets import Target, parse_url

if TYPE_CHECKING:
    from collections.abc import Callable


class Stream(Protocol):
    """The asyncio form. Optional attributes: ``framing`` ("wrapper" or "hdlc"), ``clock`` and ``wait_closed``."""

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


async def open_stream(target: str | Target) -> Stream:
    """Connect. Set the time allowed around it (``asyncio.timeout``); a broken way is a LinkError."""
    if isinstance(target, str):
        target = parse_url(target)
    if target.scheme == "serial":
        from cosemic.transports.serial import open_serial

        return await open_serial(target)
    if target.scheme == "udp":
        from cosemic.transports.udp import open_udp

        return await open_udp(target)
    from cosemic.transports.tcp import open_tcp

    return await open_tcp(target)


def open_blocking_stream(target: str | Target, *, timeout: float) -> BlockingStream:
    """Connect within ``timeout`` seconds; a broken way is a LinkError."""
    if isinstance(target, str):
        target = parse_url(target)
    if target.scheme == "serial":
        from cosemic.transports.serial import BlockingSerialStream

        return BlockingSerialStream(target)
    from cosemic.transports.sockets import open_socket

    return open_socket(target, timeout=timeout)


def clock_of(stream: Stream | BlockingStream) -> Callable[[], float]:
    """The clock on which the deadlines of a stream lie."""
    import time

    clock: Callable[[], float] | None = getattr(stream, "clock", None)
    return time.monotonic if clock is None else clock
