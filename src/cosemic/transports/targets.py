"""What a URL means: which way to the meter, which framing on it, which settings.

====================================  =============================================================
URL                                   way
====================================  =============================================================
``tcp://host[:4059]``                 the TCP wrapper (IEC 62056-47)
``hdlc://host[:4059]``                HDLC (IEC 62056-46) through a TCP connection
``udp://host[:4059]``                 the UDP wrapper (IEC 62056-47)
``serial:///dev/ttyUSB0?baud=9600``   HDLC on a serial line; ``serial://COM3`` on Windows
====================================  =============================================================
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from cosemic.errors import LinkError, LinkLost, LocalProtocolError

DEFAULT_PORT = 4059
"""Registered with IANA for DLMS/COSEM."""


class Framing(enum.Enum):
    """How whole APDUs are told apart on a stream of octets."""

    WRAPPER = "wrapper"
    HDLC = "hdlc"


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

    @property
    def is_datagram(self) -> bool:
        return self.scheme == "udp"

    @property
    def bit_rate(self) -> int | None:
        """Bits a second of a serial line, None where it is not known."""
        return self.baud if self.scheme == "serial" else None

    def __str__(self) -> str:
        if self.scheme == "serial":
            prefix = "/" if self.device.startswith("/") else ""
            return f"serial://{prefix}{self.device.removeprefix('/')}?baud={self.baud}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


_NETWORK = {"tcp": Framing.WRAPPER, "hdlc": Framing.HDLC, "udp": Framing.WRAPPER}
_PLANNED = {
    "optical": "sign-on with an optical head (IEC 62056-21 mode E)",
    "tls": "TLS",
    "mbus": "wired M-Bus",
    "rfc2217": "serial ports behind RFC 2217",
}
_KNOWN = "tcp://, hdlc://, udp://, serial://"
_PARITIES = {
    "n": "N", "none": "N", "e": "E", "even": "E", "o": "O", "odd": "O", "m": "M", "mark": "M", "s": "S", "space": "S",
}  # fmt: skip
_FLOW_CONTROLS = ("none", "rtscts", "xonxoff")
_SERIAL_SETTINGS = ("baud", "parity", "data_bits", "stop_bits", "flow_control")


def parse_url(url: str) -> Target:
    """Read a URL.

    A form that is not understood is a ValueError that quotes the URL and says what would be right; a scheme that is
    planned but not there yet is a LocalProtocolError.
    """
    scheme, separator, _ = url.partition("://")
    scheme = scheme.lower()
    if not separator:
        raise ValueError(f"{url!r} is not a URL of a meter: {_hint_without_scheme(url)}")
    if scheme in _PLANNED:
        raise LocalProtocolError(f"{scheme}:// ({_PLANNED[scheme]}) is not there yet; there are {_KNOWN}")
    if scheme == "serial":
        return _serial(url)
    framing = _NETWORK.get(scheme)
    if framing is None:
        raise ValueError(f"unknown scheme {scheme}:// in {url!r}; there are {_KNOWN}")
    return _network(url, scheme, framing)


def cannot_connect(target: Target, error: Exception) -> LinkError:
    """The error of a way that could not be opened."""
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    kind = LinkLost if isinstance(error, ConnectionError) else LinkError
    return kind(f"cannot connect to {target}: {reason}")


def _hint_without_scheme(url: str) -> str:
    if url.startswith("/dev/") or url.upper().startswith("COM"):
        return f"write serial://{url}"
    return f"write tcp://{url or 'host'} (wrapper) or hdlc://{url or 'host'} (HDLC over TCP); there are {_KNOWN}"


def _network(url: str, scheme: str, framing: Framing) -> Target:
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
    if parts.query or parts.fragment:
        raise ValueError(f"a {scheme}:// URL takes no settings, but {url!r} has '{parts.query or parts.fragment}'")
    if port == 0:
        raise ValueError(f"port 0 in {url!r} cannot be reached")
    return Target(scheme, framing, host=unquote(host), port=DEFAULT_PORT if port is None else port)


def _serial(url: str) -> Target:
    parts = urlsplit(url)
    device = unquote(parts.netloc + (parts.path if parts.path != "/" or not parts.netloc else ""))
    if device in ("", "/"):
        raise ValueError(f"no device in {url!r}; write serial:///dev/ttyUSB0 or serial://COM3")
    if parts.fragment:
        raise ValueError(f"unexpected '#{parts.fragment}' in {url!r}")
    settings: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _SERIAL_SETTINGS:
            raise ValueError(f"unknown setting {name!r} in {url!r}; there are {', '.join(_SERIAL_SETTINGS)}")
        if name in settings:
            raise ValueError(f"{name!r} stands twice in {url!r}")
        settings[name] = value
    baud = _number(url, "baud", settings.get("baud", "9600"))
    if not 50 <= baud <= 4_000_000:
        raise ValueError(f"baud={baud} in {url!r} is out of range")
    parity = _PARITIES.get(settings.get("parity", "none").lower())
    if parity is None:
        raise ValueError(f"parity={settings['parity']!r} in {url!r}; there are none, even, odd, mark, space")
    data_bits = _number(url, "data_bits", settings.get("data_bits", "8"))
    if data_bits not in (7, 8):
        raise ValueError(f"data_bits={data_bits} in {url!r}; there are 7 and 8")
    stop_bits = {"1": 1.0, "1.5": 1.5, "2": 2.0}.get(settings.get("stop_bits", "1"))
    if stop_bits is None:
        raise ValueError(f"stop_bits={settings['stop_bits']!r} in {url!r}; there are 1, 1.5 and 2")
    flow_control = settings.get("flow_control", "none").lower()
    if flow_control not in _FLOW_CONTROLS:
        raise ValueError(f"flow_control={flow_control!r} in {url!r}; there are {', '.join(_FLOW_CONTROLS)}")
    return Target(
        "serial",
        Framing.HDLC,
        device=device,
        baud=baud,
        data_bits=data_bits,
        parity=parity,
        stop_bits=stop_bits,
        flow_control=flow_control,
    )


def _number(url: str, name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise ValueError(f"{name}={text!r} in {url!r} is not a number")
    return int(text)
