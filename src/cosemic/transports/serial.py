"""Serial lines with ``serialx`` (the extra ``serial``), in both forms."""

from __future__ import annotations

import asyncio
import contextlib
import time
from types import ModuleType
from typing import Any

from cosemic.errors import LinkLost, MissingExtra
from cosemic.transports.targets import Target, cannot_connect
from cosemic.transports.tcp import TransportStream


class SerialStream(TransportStream):
    """A Stream on a serial port."""

    __slots__ = ()


async def open_serial(target: Target) -> SerialStream:
    """Open a serial port with the settings of the URL."""
    serialx = _serialx()
    loop = asyncio.get_running_loop()
    stream = SerialStream()
    try:
        await serialx.create_serial_connection(loop, lambda: stream, target.device, **_settings(serialx, target))
    except (OSError, ValueError, serialx.SerialException) as error:
        raise cannot_connect(target, error) from error
    return stream


class BlockingSerialStream:
    """A BlockingStream on a serial port."""

    __slots__ = ("_broken", "_buffer", "_port")

    def __init__(self, target: Target) -> None:
        serialx = _serialx()
        self._broken: type[Exception] = serialx.SerialException
        self._buffer = bytearray(4096)
        try:
            # The type is serialx's own, which is not installed everywhere.
            self._port: Any = serialx.serial_for_url(target.device, **_settings(serialx, target))
            self._port.open()
        except (OSError, ValueError, serialx.SerialException) as error:
            raise cannot_connect(target, error) from error

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

    def close(self) -> None:
        """Release the port; octets that are not sent yet are dropped."""
        with contextlib.suppress(OSError, self._broken):
            self._port.reset_write_buffer()
        with contextlib.suppress(OSError, self._broken):
            self._port.close()


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
