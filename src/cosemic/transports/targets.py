"""What a URL means: which way to the meter, which framing on it, which settings.

====================================  =============================================================
URL                                   way
====================================  =============================================================
``tcp://host[:4059]``                 the TCP wrapper (IEC 62056-47)
``hdlc://host[:4059]``                HDLC (IEC 62056-46) through a TCP connection
``udp://host[:4059]``                 the UDP wrapper (IEC 62056-47)
``tls://host[:4059]?ca=…``            the wrapper, or HDLC, through TLS
``serial:///dev/ttyUSB0?baud=9600``   HDLC on a serial line; ``serial://COM3`` on Windows
``rfc2217://host:port?baud=9600``     HDLC on the serial line of a server that speaks RFC 2217
``optical:///dev/ttyUSB0``            sign-on of IEC 62056-21 (mode E), then HDLC
``optical-rfc2217://host:port``       the same on the serial line of a server that speaks RFC 2217
``optical-tcp://host:port``           the same through TCP, where nobody can change the speed
``mbus:///dev/ttyUSB0?address=1``     wired M-Bus (IEC 62056-7-3, EN 13757-2)
``mbus-tcp://host:port?address=1``    the same through TCP
====================================  =============================================================
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TypeAlias
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from cosemic.errors import LinkError, LinkLost
from cosemic.link.signon_messages import SignOnOptions
from cosemic.transports.certificates import TlsSettings

DEFAULT_PORT = 4059
"""Registered with IANA for DLMS/COSEM."""


class Framing(enum.Enum):
    """How whole APDUs are told apart on a stream of octets."""

    WRAPPER = "wrapper"
    HDLC = "hdlc"
    MBUS = "mbus"


@dataclass(frozen=True, slots=True)
class Target:
    """A way to a meter. ``host`` and ``port`` for networks, ``device`` and the rest for serial lines."""

    scheme: str
    framing: Framing
    host: str = ""
    port: int = 0
    device: str = ""
    baud: int = 9600
    data_bits: int = 8
    parity: str = "N"
    stop_bits: float = 1
    flow_control: str = "none"
    sign_on: SignOnOptions | None = None
    tls: TlsSettings | None = None
    mbus_address: int = 0
    """Primary address of the meter on an M-Bus."""

    @property
    def is_datagram(self) -> bool:
        return self.scheme == "udp"

    @property
    def is_serial(self) -> bool:
        """Whether there is a line with a speed that can be set, here or at a server of RFC 2217."""
        return bool(self.device) or self.scheme in ("rfc2217", "optical-rfc2217")

    @property
    def bit_rate(self) -> int | None:
        """Bits a second of a serial line, None where it is not known."""
        if self.sign_on is not None:
            # What it ends with is the meter's choice. At less than this a frame still counts as one that is arriving.
            return min(self.sign_on.max_baud or 9600, 9600)
        return self.baud if self.is_serial else None

    @property
    def opening_time(self) -> float:
        """Seconds that opening takes in addition to connecting, at the most."""
        return 0.0 if self.sign_on is None else self.sign_on.longest

    def with_tls(self, settings: TlsSettings) -> Target:
        """The same with more settings of TLS; ValueError where the URL says no TLS."""
        if self.tls is None:
            raise ValueError(f"tls belongs to a tls:// URL, not to {self}")
        return replace(self, tls=self.tls.merged(settings))

    def __str__(self) -> str:
        if self.device:
            prefix = "/" if self.device.startswith("/") else ""
            place = f"{self.scheme}://{prefix}{self.device.removeprefix('/')}"
        else:
            host = f"[{self.host}]" if ":" in self.host else self.host
            place = f"{self.scheme}://{host}:{self.port}"
        settings = "&".join(f"{name}={quote(value, safe='/')}" for name, value in self._settings())
        return f"{place}?{settings}" if settings else place

    def _settings(self) -> list[tuple[str, str]]:
        """What ``str`` shows: which meter is meant, not how it is spoken to."""
        if self.sign_on is not None:
            return [("address", self.sign_on.address)] if self.sign_on.address else []
        shown = [("address", str(self.mbus_address))] if self.framing is Framing.MBUS else []
        return [*shown, ("baud", str(self.baud))] if self.is_serial else shown


_Settings: TypeAlias = dict[str, str]

_NETWORK = {"tcp": Framing.WRAPPER, "hdlc": Framing.HDLC, "udp": Framing.WRAPPER}
_LINE_SETTINGS = ("baud", "parity", "data_bits", "stop_bits", "flow_control")
_SIGN_ON_SETTINGS = ("baud", "max_baud", "address", "wake_up", "software_parity", "marker", "flow_control")
_TLS_SETTINGS = ("framing", "ca", "certificate", "key", "server_name", "check_name")
_SETTINGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_NETWORK, ()),
    "serial": _LINE_SETTINGS,
    "tls": _TLS_SETTINGS,
    "rfc2217": _LINE_SETTINGS,
    "optical": _SIGN_ON_SETTINGS,
    "optical-rfc2217": _SIGN_ON_SETTINGS,
    "optical-tcp": tuple(name for name in _SIGN_ON_SETTINGS if name != "flow_control"),
    "mbus": ("address", *_LINE_SETTINGS),
    "mbus-tcp": ("address",),
}
_ON_DEVICES = ("serial", "optical", "mbus")
_KNOWN = ", ".join(f"{scheme}://" for scheme in _SETTINGS)
_PARITIES = {
    "n": "N", "none": "N", "e": "E", "even": "E", "o": "O", "odd": "O", "m": "M", "mark": "M", "s": "S", "space": "S",
}  # fmt: skip
_FLOW_CONTROLS = ("none", "rtscts", "xonxoff")


def parse_url(url: str) -> Target:
    """Read a URL. A form that is not understood is a ValueError that quotes the URL and says what would be right."""
    scheme, separator, _ = url.partition("://")
    scheme = scheme.lower()
    if not separator:
        raise ValueError(f"{url!r} is not a URL of a meter: {_hint_without_scheme(url)}")
    if scheme not in _SETTINGS:
        raise ValueError(f"unknown scheme {scheme}:// in {url!r}; there are {_KNOWN}")
    target, settings = _device(url, scheme) if scheme in _ON_DEVICES else _network(url, scheme)
    try:
        if scheme.startswith("optical"):
            return _sign_on(url, target, settings)
        if scheme == "tls":
            return _tls(url, target, settings)
        if target.framing is Framing.MBUS:
            address = _number(url, "address", settings.get("address", "0"))
            if address > 255:
                raise ValueError(f"the primary address of an M-Bus device is 0 to 255, not {address}")
            target = replace(target, mbus_address=address)
    except ValueError as error:
        text = str(error)
        raise ValueError(text if repr(url) in text else f"{text} ({url!r})") from None
    return _line(url, target, settings) if target.is_serial else target


def cannot_connect(target: Target, error: Exception) -> LinkError:
    """The error of a way that could not be opened."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    kind = LinkLost if isinstance(error, ConnectionError) else LinkError
    return kind(f"cannot connect to {target}: {reason}")


def _hint_without_scheme(url: str) -> str:
    if url.startswith("/dev/") or url.upper().startswith("COM"):
        return f"write serial://{url}, or optical://{url} for an optical head"
    return f"write tcp://{url or 'host'} (wrapper) or hdlc://{url or 'host'} (HDLC over TCP); there are {_KNOWN}"


def _framing(scheme: str) -> Framing:
    return Framing.MBUS if scheme.startswith("mbus") else _NETWORK.get(scheme, Framing.HDLC)


def _network(url: str, scheme: str) -> tuple[Target, _Settings]:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        port = parts.port
    except ValueError as error:
        hint = "; an IPv6 address stands in brackets: tcp://[2001:db8::1]:4059" if url.count(":") > 2 else ""
        raise ValueError(f"bad host or port in {url!r}: {error}{hint}") from None
    if not host:
        raise ValueError(f"no host in {url!r}; write {scheme}://host:port")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"a {scheme}:// URL takes no user name and no password; give them as arguments")
    if parts.path not in ("", "/"):
        raise ValueError(f"unexpected path {parts.path!r} in {url!r}; write {scheme}://host:port")
    if (parts.query and not _SETTINGS[scheme]) or parts.fragment:
        raise ValueError(f"a {scheme}:// URL takes no settings, but {url!r} has '{parts.query or parts.fragment}'")
    if port == 0:
        raise ValueError(f"port 0 in {url!r} cannot be reached")
    if port is None and scheme not in ("tls", *_NETWORK):
        raise ValueError(f"no port in {url!r}; write {scheme}://host:port, with the port of the serial server")
    target = Target(scheme, _framing(scheme), host=unquote(host), port=DEFAULT_PORT if port is None else port)
    return target, _query(url, scheme, parts.query)


def _device(url: str, scheme: str) -> tuple[Target, _Settings]:
    parts = urlsplit(url)
    device = unquote(parts.netloc + (parts.path if parts.path != "/" or not parts.netloc else ""))
    if device in ("", "/"):
        raise ValueError(f"no device in {url!r}; write {scheme}:///dev/ttyUSB0 or {scheme}://COM3")
    if parts.fragment:
        raise ValueError(f"unexpected '#{parts.fragment}' in {url!r}")
    return Target(scheme, _framing(scheme), device=device), _query(url, scheme, parts.query)


def _query(url: str, scheme: str, query: str) -> _Settings:
    settings: _Settings = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in _SETTINGS[scheme]:
            raise ValueError(f"unknown setting {name!r} in {url!r}; there are {', '.join(_SETTINGS[scheme])}")
        if name in settings:
            raise ValueError(f"{name!r} stands twice in {url!r}")
        settings[name] = value
    return settings


def _line(url: str, target: Target, settings: _Settings) -> Target:
    on_bus = target.framing is Framing.MBUS  # 2400 baud 8E1 is what an M-Bus has by itself
    baud = _number(url, "baud", settings.get("baud", "2400" if on_bus else "9600"))
    if not 50 <= baud <= 4_000_000:
        raise ValueError(f"baud={baud} in {url!r} is out of range")
    parity = _PARITIES.get(settings.get("parity", "even" if on_bus else "none").lower())
    if parity is None:
        raise ValueError(f"parity={settings['parity']!r} in {url!r}; there are none, even, odd, mark, space")
    data_bits = _number(url, "data_bits", settings.get("data_bits", "8"))
    if data_bits not in (7, 8):
        raise ValueError(f"data_bits={data_bits} in {url!r}; there are 7 and 8")
    stop_bits = {"1": 1.0, "1.5": 1.5, "2": 2.0}.get(settings.get("stop_bits", "1"))
    if stop_bits is None:
        raise ValueError(f"stop_bits={settings['stop_bits']!r} in {url!r}; there are 1, 1.5 and 2")
    return replace(
        target,
        baud=baud,
        data_bits=data_bits,
        parity=parity,
        stop_bits=stop_bits,
        flow_control=_flow_control(url, settings),
    )


def _flow_control(url: str, settings: _Settings) -> str:
    flow_control = settings.get("flow_control", "none").lower()
    if flow_control not in _FLOW_CONTROLS:
        raise ValueError(f"flow_control={flow_control!r} in {url!r}; there are {', '.join(_FLOW_CONTROLS)}")
    return flow_control


def _sign_on(url: str, target: Target, settings: _Settings) -> Target:
    options = SignOnOptions(
        address=settings.get("address", ""),
        initial_baud=_number(url, "baud", settings.get("baud", "300")),
        max_baud=_number(url, "max_baud", settings["max_baud"]) if "max_baud" in settings else None,
        wake_up=_flag(url, "wake_up", settings, False),
        software_parity=_flag(url, "software_parity", settings, False),
        requires_marker=_flag(url, "marker", settings, True),
    )
    line = options.line
    return replace(
        target,
        baud=line.baud,
        data_bits=line.data_bits,
        parity=line.parity,
        flow_control=_flow_control(url, settings),
        sign_on=options,
    )


def _tls(url: str, target: Target, settings: _Settings) -> Target:
    framing = _choice(url, "framing", settings.get("framing", "wrapper").lower(), ("wrapper", "hdlc"))
    tls = TlsSettings(
        ca_file=settings.get("ca"),
        certificate_file=settings.get("certificate"),
        key_file=settings.get("key"),
        server_name=settings.get("server_name"),
        check_name=_flag(url, "check_name", settings, True),
    )
    return replace(target, framing=Framing(framing), tls=tls)


def _flag(url: str, name: str, settings: _Settings, default: bool) -> bool:
    text = settings.get(name, "yes" if default else "no").lower()
    return _choice(url, name, text, ("yes", "no")) == "yes"


def _choice(url: str, name: str, text: str, choices: Collection[str]) -> str:
    if text not in choices:
        raise ValueError(f"{name}={text!r} in {url!r}; there are {' and '.join(choices)}")
    return text


def _number(url: str, name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ValueError(f"{name}={text!r} in {url!r} is not a number")
    return int(text)
