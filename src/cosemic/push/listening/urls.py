"""Where pushes come from, as URLs.

=========================================  ==========================================================================
URL                                        source
=========================================  ==========================================================================
``tcp://0.0.0.0:4059``                     a TCP server; any framing, meters connect to it
``tls://0.0.0.0:4059?certificate=…&key=…`` the same through TLS; with ``client_ca=`` meters need a certificate of it
``udp://0.0.0.0:4059``                     a UDP server; a datagram is a telegram, or a block of one
``connect+tcp://192.0.2.9:2001``           connects to a serial server or P1 dongle, again and again
``connect+tls://meter:4059?ca=…``          the same through TLS
``serial:///dev/ttyUSB0?baud=2400&parity=even``  a serial port; ``serial://COM3`` on Windows
``mbus:///dev/ttyUSB0``                    the same with the settings of an M-Bus: 2400 8E1
``rfc2217://192.0.2.9:2217?baud=2400``     the serial port of a server that speaks RFC 2217
``file:capture.bin``, a path, ``-``        a file of octets or of hexadecimal text, or stdin
=========================================  ==========================================================================

Each takes ``framing=`` (hdlc, wrapper, mbus, apdu, p1) where recognition is not to decide, and ``idle=`` seconds after
which a line counts as silent.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from cosemic.push.telegrams import Framing
from cosemic.transports.targets import DEFAULT_PORT, Target, parse_url

_SERVERS = ("tcp", "tls", "udp")
_LINES = ("serial", "mbus", "rfc2217")
_CONNECTING = ("connect+tcp", "connect+tls")
_KNOWN = ", ".join(f"{scheme}://" for scheme in (*_SERVERS, *_CONNECTING, *_LINES)) + ", file:PATH, a path, -"
_FRAMINGS = {
    "hdlc": Framing.HDLC,
    "wrapper": Framing.WRAPPER,
    "mbus": Framing.MBUS,
    "apdu": Framing.APDU,
    "p1": Framing.P1,
}
_SERVER_SETTINGS = {"tcp": (), "udp": (), "tls": ("certificate", "key", "client_ca")}
_NETWORK_IDLE = 10.0
_LINE_IDLE = 2.0
"""Seconds. Lost packets are sent again within a few seconds; a meter on a line pauses for less than one."""


@dataclass(frozen=True, slots=True)
class SourceUrl:
    """A source as its URL describes it. ``kind`` is the scheme; servers have host and port, lines and connections a
    ``target``, files a ``path`` ("-" for stdin)."""

    text: str
    kind: str
    framing: Framing | None = None
    idle_after: float = _LINE_IDLE
    host: str = ""
    port: int = 0
    target: Target | None = None
    path: str = ""
    certificate: str = ""
    key: str | None = None
    client_ca: str | None = None

    @property
    def is_server(self) -> bool:
        return self.kind in _SERVERS

    def __str__(self) -> str:
        return self.text


def parse_source(url: str) -> SourceUrl:
    """Read a URL or a path. ValueError quotes what is not understood and says what would be right."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator:
        return _file(url)
    if scheme == "file":
        return SourceUrl(url, "file", path=_named(url, unquote(rest if rest.startswith("/") else f"/{rest}")))
    if scheme in _SERVERS:
        return _server(url, scheme)
    if scheme in (*_LINES, *_CONNECTING):
        return _line(url, scheme)
    if scheme in ("hdlc", "connect+hdlc", "mbus-tcp"):
        way = "connect+tcp" if scheme != "hdlc" else "tcp"
        raise ValueError(f"{scheme}:// in {url!r}: write {way}://, which recognises the framing by itself")
    near = difflib.get_close_matches(scheme, (*_SERVERS, *_CONNECTING, *_LINES), 1, 0.6)
    meant = f"is {near[0]}:// meant? There are" if near else "there are"
    raise ValueError(f"unknown scheme {scheme}:// in {url!r}; {meant} {_KNOWN}")


def _file(text: str) -> SourceUrl:
    if text == "-":
        return SourceUrl(text, "stdin", path="-")
    if text.startswith("/dev/tty") or re.fullmatch(r"(?i)com\d+", text):
        raise ValueError(f"{text!r} is a serial port: write 'serial://{text}?baud=2400&parity=even', or mbus://{text}")
    if slip := _SLIP.match(text):
        raise ValueError(f"{text!r} is no URL: behind the colon come two slashes, {slip[1]}://…")
    path = text[5:] if text.lower().startswith("file:") else text
    return SourceUrl(text, "file", path=_named(text, path))


_SLIP = re.compile(r"(?i)((?:connect\+)?(?:tcp|tls|udp|serial|mbus|rfc2217)):/?(?!/)")


def _named(text: str, path: str) -> str:
    if not path or path == "/":
        raise ValueError(f"no file in {text!r}; there are {_KNOWN}")
    return path


def _server(url: str, scheme: str) -> SourceUrl:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        hint = "; an IPv6 address stands in brackets: tcp://[::]:4059" if url.count(":") > 2 else ""
        raise ValueError(f"bad host or port in {url!r}: {error}{hint}") from None
    if parts.username is not None or parts.path not in ("", "/") or parts.fragment:
        raise ValueError(f"{url!r} is no address to listen on; write {scheme}://0.0.0.0:{DEFAULT_PORT}")
    settings, framing, idle = _settings(url, parts.query, _SERVER_SETTINGS[scheme])
    if scheme == "tls" and "certificate" not in settings:
        raise ValueError(f"a server needs its certificate: tls://{parts.netloc}?certificate=FILE&key=FILE")
    return SourceUrl(
        url,
        scheme,
        framing,
        _NETWORK_IDLE if idle is None else idle,
        host=unquote(host or "0.0.0.0"),
        port=DEFAULT_PORT if port is None else port,
        certificate=settings.get("certificate", ""),
        key=settings.get("key"),
        client_ca=settings.get("client_ca"),
    )


def _line(url: str, scheme: str) -> SourceUrl:
    place, _, query = url.partition("?")
    settings, framing, idle = _settings(url, query, None)
    way = place[len("connect+") :] if scheme in _CONNECTING else place
    try:
        target = parse_url(f"{way}?{urlencode(settings, safe='/')}" if settings else way)
    except ValueError as error:
        raise ValueError(str(error).replace(repr(way), repr(url))) from None
    default = _NETWORK_IDLE if scheme in _CONNECTING else _LINE_IDLE
    return SourceUrl(url, scheme, framing, default if idle is None else idle, target=target)


def _settings(
    url: str, query: str, known: tuple[str, ...] | None
) -> tuple[dict[str, str], Framing | None, float | None]:
    settings: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in settings:
            raise ValueError(f"{name!r} stands twice in {url!r}")
        settings[name] = value
    framing: Framing | None = None
    idle: float | None = None
    if (word := settings.pop("framing", None)) is not None and word.lower() != "auto":
        framing = _FRAMINGS.get(word.lower())
        if framing is None:
            raise ValueError(f"framing={word!r} in {url!r}; there are {', '.join(_FRAMINGS)} and auto")
    if (word := settings.pop("idle", None)) is not None:
        if not re.fullmatch(r"\d{1,5}(\.\d{1,3})?", word) or not float(word):
            raise ValueError(f"idle={word!r} in {url!r} is no number of seconds above zero")
        idle = float(word)
    if known is not None and (unknown := [name for name in settings if name not in known]):
        raise ValueError(
            f"unknown setting {unknown[0]!r} in {url!r}; there are {', '.join((*known, 'framing', 'idle'))}"
        )
    return settings, framing, idle
