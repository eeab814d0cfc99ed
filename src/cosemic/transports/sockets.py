"""TCP and UDP for the blocking client: plain sockets with time-outs."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import struct
import sys
import threading
import time
from queue import Empty, SimpleQueue
from typing import TypeAlias

from cosemic.errors import LinkTimeout
from cosemic.transports.targets import Target, cannot_connect

_CHUNK = 16384
_SLACK = 0.005  # a socket time-out this close to the deadline is left as it is: setting it costs a system call
_TIMEVAL = struct.Struct("@ll")
# Where the kernel can time a blocking call itself, each call is one system call and not two: Python's own time-out
# polls first. The layout of the option is known for 64-bit Linux and macOS.
_KERNEL_TIMES = sys.platform in ("linux", "darwin") and sys.maxsize > 1 << 32


def _is_interrupted() -> bool:
    """Whether an interval timer sends signals (a profiler, say).

    After a signal Python begins the system call again, and the kernel its time-out: with one every now and then a wait
    would never end, where Python's own time-out goes on counting.
    """
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0 or signal.getitimer(signal.ITIMER_PROF)[0] > 0


class SocketStream:
    """A BlockingStream on a connected socket; a datagram socket gives one datagram a call."""

    __slots__ = ("_chunk", "_is_datagram", "_kernel_times", "_recv", "_send", "_socket", "_timeout", "_woken")

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._is_datagram = sock.type == socket.SOCK_DGRAM
        self._chunk = 65536 if self._is_datagram else _CHUNK
        self._timeout = -1.0
        self._woken = False
        self._recv = sock.recv
        self._send = sock.send
        self._kernel_times = _KERNEL_TIMES
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
        if self._kernel_times and _is_interrupted():
            self._count_ourselves()
        self._set(deadline)
        try:
            data = self._recv(self._chunk)
            while not data and self._is_datagram and not self._woken:  # an empty datagram is no end
                self._set(deadline)
                data = self._recv(self._chunk)
        except BlockingIOError:
            raise TimeoutError("the deadline passed") from None
        return data

    @property
    def has_octets(self) -> bool:
        """Whether ``receive`` would give something, or find the end, at once."""
        with selectors.DefaultSelector() as selector:
            try:
                selector.register(self._socket, selectors.EVENT_READ)
            except ValueError:  # closed
                return False
            return bool(selector.select(0))

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
        if self._kernel_times and _is_interrupted():
            self._count_ourselves()
        if not self._kernel_times:
            self._socket.settimeout(seconds)
            return
        self._set_kernel_times(seconds)

    def _count_ourselves(self) -> None:
        self._set_kernel_times(None)
        self._kernel_times = False
        self._timeout = -1.0

    def _set_kernel_times(self, seconds: float | None) -> None:
        # Microseconds of zero would mean no time-out at all.
        whole, part = divmod(max(seconds, 1e-6), 1.0) if seconds is not None else (0.0, 0.0)
        value = _TIMEVAL.pack(int(whole), int(part * 1_000_000))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)


def open_socket(target: Target, *, timeout: float) -> SocketStream:
    """Connect a stream within ``timeout`` seconds, the look-up of the name and all its addresses included."""
    return SocketStream(connect_socket(target, timeout=timeout))


def connect_socket(target: Target, *, timeout: float) -> socket.socket:
    """A connected socket."""
    deadline = time.monotonic() + timeout
    kind = socket.SOCK_DGRAM if target.is_datagram else socket.SOCK_STREAM
    try:
        sock = _connect(target, kind, deadline)
    except TimeoutError as error:
        raise LinkTimeout(f"{target} did not take the connection within {timeout:g} s") from error
    except OSError as error:
        raise cannot_connect(target, error) from error
    if kind == socket.SOCK_STREAM:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock


def _connect(target: Target, kind: int, deadline: float) -> socket.socket:
    """A socket to the first address that takes the connection; one that is silent leaves the others their share."""
    trouble: OSError | None = None
    places = _look_up(target, kind, deadline)
    for tried, (family, number, address) in enumerate(places):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, kind, number)
        try:
            sock.settimeout(left / (len(places) - tried))
            if kind == socket.SOCK_DGRAM:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.connect(address)
        except OSError as error:
            sock.close()
            trouble = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise trouble or TimeoutError("the deadline passed")


def _look_up(target: Target, kind: int, deadline: float) -> list[_Place]:
    """The addresses of the host. The system's look-up knows no time-out, so a name is asked for in a thread."""
    try:
        return _addresses(target.host, target.port, kind, socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    found: SimpleQueue[list[_Place] | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            found.put(_addresses(target.host, target.port, kind, 0))
        except OSError as error:
            found.put(error)

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    try:
        answer = found.get(timeout=max(deadline - time.monotonic(), 0))
    except Empty:
        raise TimeoutError("the look-up of the name takes too long") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _addresses(host: str, port: int, kind: int, flags: int) -> list[_Place]:
    try:
        found = socket.getaddrinfo(host, port, type=kind, flags=flags)
    except UnicodeError:  # a label that is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, f"{host!r} is no host name") from None
    return [(family, number, address) for family, _, number, _, address in found]


_Place: TypeAlias = tuple[int, int, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]
