"""TLS over TCP, in both forms."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time

from cosemic.errors import LinkError, LinkLost, LinkTimeout
from cosemic.transports.certificates import TlsSettings, client_context, explained
from cosemic.transports.sockets import SocketStream, connect_socket
from cosemic.transports.targets import Target
from cosemic.transports.tcp import TransportStream


class TlsStream(TransportStream):
    """A Stream through TLS. A meter that refuses our certificate says so only after the handshake (TLS 1.3), or hangs
    up before it has said anything."""

    __slots__ = ("_explain", "_heard")

    def __init__(self, settings: TlsSettings, name: str) -> None:
        super().__init__()
        self._explain = (settings, name)
        self._heard = False

    def data_received(self, data: bytes) -> None:
        """Octets came."""
        self._heard = True
        super().data_received(data)

    def eof_received(self) -> bool:
        """The end of the stream, in words where it comes too early."""
        if not self._heard:
            self._finish(_Ended(explained(ssl.SSLEOFError(), *self._explain)))
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """An alert, or an early end, in words."""
        if isinstance(exc, ssl.SSLError) or (isinstance(exc, ConnectionError) and not self._heard):
            exc = _Ended(explained(exc, *self._explain))
        super().connection_lost(exc)


async def open_tls(target: Target) -> TlsStream:
    """Connect and shake hands; what went wrong, and what to do about it, is in the LinkError."""
    settings = target.tls or TlsSettings()
    context = client_context(settings)
    name = settings.server_name or target.host
    loop = asyncio.get_running_loop()
    try:
        transport, stream = await loop.create_connection(
            lambda: TlsStream(settings, name),
            target.host,
            target.port,
            ssl=context,
            server_hostname=name,
            happy_eyeballs_delay=0.25,
        )
    except OSError as error:
        raise _failed(target, error, settings, name) from error
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return stream


class TlsSocketStream(SocketStream):
    """A BlockingStream through TLS."""

    __slots__ = ("_explain", "_heard")

    def __init__(self, sock: ssl.SSLSocket, settings: TlsSettings, name: str) -> None:
        super().__init__(sock)
        self._kernel_times = False  # a read that the kernel ends is an error to OpenSSL
        self._explain = (settings, name)
        self._heard = False

    def send(self, data: bytes, deadline: float | None = None) -> None:
        """Send all of ``data``: TimeoutError when the deadline passes."""
        try:
            super().send(data, deadline)
        except ssl.SSLError as error:
            raise self._lost(error) from error
        except ConnectionError as error:
            if self._heard or self._woken:
                raise
            raise self._lost(error) from error

    def receive(self, deadline: float | None = None) -> bytes:
        """Octets as they come, ``b""`` at the end of the stream; TimeoutError when the deadline passes."""
        try:
            data = super().receive(deadline)
        except ssl.SSLError as error:
            raise self._lost(error) from error
        except ConnectionError as error:
            if self._heard or self._woken:
                raise
            raise self._lost(error) from error
        if not data and not self._heard and not self._woken:
            raise self._lost(ssl.SSLEOFError())
        self._heard = True
        return data

    def wake(self) -> None:
        """End the stream for whoever waits in another thread."""
        self._woken = True
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # that of SSLSocket pulls TLS from under the reader

    def _lost(self, error: OSError) -> LinkLost:
        return LinkLost(f"connection lost: {explained(error, *self._explain)}")


class _Ended(ConnectionError):
    """The end of TLS in words."""


def open_tls_socket(target: Target, *, timeout: float) -> TlsSocketStream:
    """Connect and shake hands within ``timeout`` seconds."""
    settings = target.tls or TlsSettings()
    context = client_context(settings)
    name = settings.server_name or target.host
    deadline = time.monotonic() + timeout
    sock = connect_socket(target, timeout=timeout)
    try:
        sock.settimeout(max(deadline - time.monotonic(), 0.001))
        secure = context.wrap_socket(sock, server_hostname=name)
    except TimeoutError as error:
        sock.close()
        raise LinkTimeout(f"{target} did not finish the TLS handshake within {timeout:g} s") from error
    except OSError as error:
        sock.close()
        raise _failed(target, error, settings, name) from error
    except BaseException:
        sock.close()
        raise
    return TlsSocketStream(secure, settings, name)


def _failed(target: Target, error: OSError, settings: TlsSettings, name: str) -> LinkError:
    if isinstance(error, ssl.SSLError | ConnectionResetError | ConnectionAbortedError):
        return LinkError(f"cannot connect to {target}: {explained(error, settings, name)}")
    kind = LinkLost if isinstance(error, ConnectionError) else LinkError
    return kind(f"cannot connect to {target}: {error.strerror or error or type(error).__name__}")
