"""Where a broker is, who we are there, and the ways in which it says no."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from cosemic.delivery.outputs import OutputUnavailable


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is and who we are there. ``client_id`` is to be our own: a broker lets in one of each.

    ``timeout`` is the seconds within which it is to answer a request, ``keepalive`` those of silence after which it is
    asked whether it is there; within twice as many it has to be.
    """

    host: str
    port: int
    client_id: str
    tls: ssl.SSLContext | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    timeout: float = 10.0
    keepalive: int = 15

    @classmethod
    def parse(
        cls,
        url: str,
        client_id: str,
        *,
        user: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        timeout: float = 10.0,
    ) -> Broker:
        """From ``mqtt://[user@]host[:port]`` or ``mqtts://…`` (TLS, verified); ValueError says what is wrong."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"{url!r} is no URL of a broker: {error}") from None
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
            raise ValueError("a broker is written as mqtt://HOST, mqtt://HOST:PORT, or mqtts://HOST for TLS")
        if parts.password is not None:
            raise ValueError("no password in the URL of a broker, where others read it; give env:NAME or file:PATH")
        tls = None
        if parts.scheme == "mqtts":
            try:
                tls = ssl.create_default_context(cafile=ca_file)
                tls.sslsocket_class = _TlsSocket
            except (OSError, ssl.SSLError) as error:
                raise ValueError(f"the certificates in {ca_file} cannot be read: {error}") from None
        user = user or (unquote(parts.username) if parts.username else None)
        return cls(parts.hostname, port or _PORTS[parts.scheme], client_id, tls, user, password, timeout)

    @property
    def address(self) -> str:
        """The broker as messages name it."""
        return f"MQTT broker {self.host}:{self.port}"

    def unavailable(self, text: str) -> OutputUnavailable:
        """The error that names the broker and tells why it cannot be had."""
        return OutputUnavailable(f"{self.address}: {text}")


class VersionUnknown(OutputUnavailable):
    """A broker does not know this version of MQTT, or ends the connection before it says a word."""


class PublishRefused(OutputUnavailable):
    """A broker that is there does not take this message (a reason code of MQTT 5 from 0x80 on)."""


class _TlsSocket(ssl.SSLSocket):
    """Closed when the other side is not trusted or does not answer: paho leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        """The same otherwise."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
