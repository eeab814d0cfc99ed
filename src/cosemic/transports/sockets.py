"""TCP and UDP for the blocking client: plain sockets with time-outs."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time

from cosemic.errors import LinkTimeout
from cosemic.transports.targets import Target, cannot_connect

_CHUNK = 16384
_SLACK = 0.005  # a socket time-out this close to the deadline is left as it is: setting it costs a system call
_TIMEVAL = struct.Struct("@ll")
# Where the kernel can time a blocking call itself, each call is one system call and not two: Python's own time-out
# polls first. The layout of the option is known for 64-bit Linux and macOS.
_KERNEL_TIMES = sys.platform in ("linux", "darwin") and sys.maxsize > 1 << 32


class SocketStream:
    """A BlockingStream on a connected socket; a datagram socket gives one datagram a call."""

    __slots__ = ("_chunk", "_is_datagram", "_recv", "_send", "_socket", "_timeout", "_woken")

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._is_datagram = sock.type == socket.SOCK_DGRAM
        self._chunk = 65536 if self._is_datagram else _CHUNK
        self._timeout = -1.0
        self._woken = False
        self._recv = sock.recv
        self._send = sock.send
        if _KERNEL_TIMES:
            sock.settimeout(None)

    def send(self, data: bytes, deadline: float | None = None) -> None:
        """Send all of ``data``: TimeoutError when the deadline passes."""
        self._set(deadline)
        try:
            sent = self._send(data)
            while sent < len(data):  # whoever takes little at a time gets no more time for it
                self._set(deadline)
                sent += self._send(data[sent:])
        except BlockingIOError:
            raise TimeoutError("the deadline passed while sending") from None

    def receive(self, deadline: float | None = None) -> bytes:
        """Octets as they come, ``b""`` at the end of the stream; TimeoutError when the deadline passes."""
        self._set(deadline)
        try:
            data = self._recv(self._chunk)
            while not data and self._is_datagram and not self._woken:  # an empty datagram is no end
                self._set(deadline)
                data = self._recv(self._chunk)
        except BlockingIOError:
            raise TimeoutError("the deadline passed") from None
        return data

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def wake(self) -> None:
        """End the stream for whoever waits in another thread; that one closes it, so that no number is used again."""
        self._woken = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _set(self, deadline: float | None) -> None:
        if deadline is None:
            if self._timeout != float("inf"):
                self._timeout = float("inf")
                self._set_timeout(None)
            return
        left = deadline - time.monotonic()
        if -_SLACK < left - self._timeout < _SLACK and left > _SLACK:
            return
        if left <= 0:
            raise TimeoutError("the deadline passed")
        self._timeout = left
        self._set_timeout(left)

    def _set_timeout(self, seconds: float | None) -> None:
        if not _KERNEL_TIMES:
            self._socket.settimeout(seconds)
            return
        # Microseconds of zero would mean no time-out at all.
        whole, part = divmod(max(seconds, 1e-6), 1.0) if seconds is not None else (0.0, 0.0)
        value = _TIMEVAL.pack(int(whole), int(part * 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)


def open_socket(target: Target, *, timeout: float) -> SocketStream:
    """Connect a socket within ``timeout`` seconds."""
    try:
        if target.is_datagram:
            return SocketStream(_open_udp(target, timeout))
        sock = socket.create_connection((target.host, target.port), timeout)
    except TimeoutError as error:
        raise LinkTimeout(f"{target} did not take the connection within {timeout:g} s") from error
    except OSError as error:
        raise cannot_connect(target, error) from error
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return SocketStream(sock)


def _open_udp(target: Target, timeout: float) -> socket.socket:
    trouble: OSError | None = None
    for family, kind, number, _, address in socket.getaddrinfo(target.host, target.port, type=socket.SOCK_DGRAM):
        sock = socket.socket(family, kind, number)
        try:
            sock.settimeout(timeout)
            sock.connect(address)
        except OSError as error:
            sock.close()
            trouble = error
        else:
            return sock
    raise trouble or OSError(f"{target.host} has no address")
