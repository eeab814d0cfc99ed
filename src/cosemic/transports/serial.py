"""Serial lines with ``serialx`` (the extra ``serial``), in both forms."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from types import ModuleType
from typing import Any, cast

from cosemic.errors import LinkError, LinkLost, MissingExtra
from cosemic.link.signon_messages import LineSettings
from cosemic.transports.targets import Target, cannot_connect
from cosemic.transports.tcp import TransportStream


class SerialStream(TransportStream):
    """A Stream on a serial port."""

    __slots__ = ()

    async def reconfigure(self, settings: LineSettings) -> None:
        """Set the line so once everything that was sent has left; LinkLost where that fails."""
        serialx = _serialx()
        # The type is serialx's own, which is not installed everywhere.
        transport = cast("Any", self._transport)
        if transport is None:
            raise LinkLost(f"serial port lost: {self._error or 'closed'}")
        try:
            await transport.flush()
            await transport.reconfigure_port(
                baudrate=settings.baud, byte_size=settings.data_bits, parity=serialx.Parity(settings.parity)
            )
        except (OSError, ValueError, serialx.SerialException) as error:
            raise LinkLost(f"the serial port does not take {settings}: {error}") from error


async def open_serial(target: Target) -> SerialStream:
    """Open a serial port, here or at a server of RFC 2217, with the settings of the URL."""
    serialx = _serialx()
    loop = asyncio.get_running_loop()
    stream = SerialStream()
    try:
        await serialx.create_serial_connection(loop, lambda: stream, _place(target), **_settings(serialx, target))
    except (OSError, ValueError, serialx.SerialException) as error:
        raise _cannot_open(target, error) from error
    return stream


class BlockingSerialStream:
    """A BlockingStream on a serial port."""

    __slots__ = ("_broken", "_buffer", "_port")

    def __init__(self, target: Target, *, timeout: float = 10.0) -> None:
        serialx = _serialx()
        self._broken: type[Exception] = serialx.SerialException
        self._buffer = bytearray(4096)
        try:
            # The type is serialx's own, which is not installed everywhere.
            settings = _settings(serialx, target)
            if not target.device:
                settings["connect_timeout"] = timeout
            self._port: Any = serialx.serial_for_url(_place(target), **settings)
            self._port.open()
        except (OSError, ValueError, serialx.SerialException) as error:
            raise _cannot_open(target, error) from error

    def send(self, data: bytes, deadline: float | None = None) -> None:
        """Send all of ``data``: TimeoutError when the deadline passes."""
        view = memoryview(data)
        while view:
            try:
                written = self._port.write(view, timeout=_left(deadline))
            except TimeoutError:
                raise
            except (OSError, self._broken) as error:
                raise LinkLost(f"serial port lost: {error}") from error
            view = view[written:]

    def receive(self, deadline: float | None = None) -> bytes:
        """Octets as they come; TimeoutError when the deadline passes."""
        while True:
            try:
                count = self._port.readinto(self._buffer, timeout=_left(deadline))
            except TimeoutError:
                raise
            except (OSError, self._broken) as error:
                raise LinkLost(f"serial port lost: {error}") from error
            if count:
                return bytes(self._buffer[:count])

    def reconfigure(self, settings: LineSettings) -> None:
        """Set the line so once everything that was sent has left; LinkLost where that fails."""
        serialx = _serialx()
        try:
            self._port.flush()
            self._port.reconfigure_port(
                baudrate=settings.baud, byte_size=settings.data_bits, parity=serialx.Parity(settings.parity)
            )
        except (OSError, ValueError, self._broken) as error:
            raise LinkLost(f"the serial port does not take {settings}: {error}") from error

    def close(self) -> None:
        """Release the port; octets that are not sent yet are dropped."""
        with contextlib.suppress(OSError, self._broken):
            self._port.reset_write_buffer()
        with contextlib.suppress(OSError, self._broken):
            self._port.close()


def _place(target: Target) -> str:
    """What serialx calls it."""
    if target.device:
        return target.device
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"rfc2217://{host}:{target.port}"


def _cannot_open(target: Target, error: Exception) -> LinkError:
    failed = cannot_connect(target, error)
    if getattr(error, "errno", None) == errno.EINVAL and (target.parity, target.data_bits) != ("N", 8):
        hint = "software_parity=yes makes it here" if target.sign_on is not None else "use parity=none"
        return LinkError(f"{failed}; a pseudo terminal, for one, has no parity: {hint}")
    return failed


def _left(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline passed")
    return left


def _serialx() -> ModuleType:
    try:
        import serialx
    except ImportError as error:
        raise MissingExtra("serial", "a serial line") from error
    module: ModuleType = serialx
    return module


def _settings(serialx: ModuleType, target: Target) -> dict[str, Any]:
    return {
        "baudrate": target.baud,
        "parity": serialx.Parity(target.parity),
        "stopbits": serialx.StopBits(target.stop_bits),
        "byte_size": target.data_bits,
        "rtscts": target.flow_control == "rtscts",
        "xonxoff": target.flow_control == "xonxoff",
        "close_timeout": 1.0,
    }
