"""What is said in the sign-on of an optical port (IEC 62056-21, 6.3), how its line is set, what a client wants."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cosemic.errors import DecodeError

BAUD_RATES: Final = {"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200}
"""Baud rate identifications of modes C and E (6.3.14, 13 c)."""

WAKE_UP: Final = 2.2
WAKE_UP_PAUSE: Final = 1.6
"""Seconds of NUL and of silence that wake a battery-operated meter (2.1 to 2.3 and 1.5 to 1.7, annex A)."""
BETWEEN_OCTETS: Final = 1.5
"""Seconds between two octets of a message (6.3.14: ta < 1,500 ms)."""
MOST_IN_MESSAGE: Final = 60
"""More octets than an identification message has."""
_REACTION = 0.2
_FAST_REACTION = 0.02
"""Seconds between a message and its answer, at the least (tr); fast where the maker's third letter is small."""


@dataclass(frozen=True, slots=True)
class LineSettings:
    """How a serial line is set. ``parity`` is N, E or O."""

    baud: int = 300
    data_bits: int = 7
    parity: str = "E"

    def __str__(self) -> str:
        return f"{self.baud} baud {self.data_bits}{self.parity}1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOnOptions:
    """What a client brings to a sign-on.

    ``address`` is the device address of the request, where several meters hang on one head. ``max_baud`` is the most
    that the head, or the serial server, can do. ``software_parity`` is for a line that stays at 8N1: the parity bits
    are made here. ``requires_marker`` False tries mode E with a meter that does not offer it.
    """

    address: str = ""
    initial_baud: int = 300
    max_baud: int | None = None
    wake_up: bool = False
    software_parity: bool = False
    requires_marker: bool = True
    response_timeout: float = 2.5
    tries: int = 3

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9A-Za-z ]{0,32}", self.address):
            raise ValueError(f"a device address has up to 32 digits, letters and spaces, not {self.address!r}")
        if self.initial_baud not in BAUD_RATES.values():
            raise ValueError(f"the sign-on begins at one of {_listed()} baud (300, as a rule), not {self.initial_baud}")
        if self.max_baud is not None and self.max_baud < 300:
            raise ValueError(f"max_baud is at least 300, not {self.max_baud}")
        if not 0 < self.response_timeout < 60 or not 1 <= self.tries <= 10:
            raise ValueError("response_timeout is up to 60 s, tries are 1 to 10")

    @property
    def line(self) -> LineSettings:
        """How the line is set at the beginning."""
        return LineSettings(self.initial_baud, 8, "N") if self.software_parity else LineSettings(self.initial_baud)

    @property
    def request(self) -> bytes:
        """The request message."""
        return f"/?{self.address}!\r\n".encode("ascii")

    @property
    def longest(self) -> float:
        """Seconds after which a sign-on has ended, one way or the other."""
        wake_up = WAKE_UP + WAKE_UP_PAUSE if self.wake_up else 0.0
        octets = MOST_IN_MESSAGE + len(self.request)
        one_try = self.response_timeout + wake_up + octets * 10 / self.initial_baud + BETWEEN_OCTETS
        return self.tries * one_try + self.response_timeout + 2.0


@dataclass(frozen=True, slots=True)
class Identification:
    """The identification message ``/XXXZ[\\W]text``: who the meter is, and which speed and modes it offers."""

    manufacturer: str
    baud_character: str
    modes: str
    """Enhanced identification characters; "2" is mode E with HDLC."""
    text: str

    @classmethod
    def decode(cls, line: bytes) -> Identification:
        """Read a message, with or without its CR LF; DecodeError when it is none."""
        match = _IDENTIFICATION.fullmatch(line)
        if match is None:
            raise DecodeError(f"{shown(line)} is no identification message", octets=line)
        manufacturer, baud, modes, text = (part.decode("ascii") for part in match.groups())
        return cls(manufacturer, baud, modes.replace("\\", ""), text)

    def encode(self) -> bytes:
        """The octets of the message."""
        modes = "".join(f"\\{mode}" for mode in self.modes)
        return f"/{self.manufacturer}{self.baud_character}{modes}{self.text}\r\n".encode("ascii")

    @property
    def baud(self) -> int | None:
        """The speed that is proposed for mode C or E; None where the meter offers neither."""
        return BAUD_RATES.get(self.baud_character)

    @property
    def offers_hdlc(self) -> bool:
        """Whether mode E with HDLC is among the modes."""
        return "2" in self.modes

    @property
    def reaction_time(self) -> float:
        """The shortest time between a message and its answer, in seconds."""
        return _FAST_REACTION if self.manufacturer[2:].islower() else _REACTION

    def __str__(self) -> str:
        return self.encode().decode("ascii").rstrip()


def shown(octets: bytes) -> str:
    """Octets of a dialogue for a message to people, cut where they are many."""
    return repr(octets[:40])[1:] + ("…" if len(octets) > 40 else "")


def _listed() -> str:
    return ", ".join(map(str, BAUD_RATES.values()))


_IDENTIFICATION = re.compile(rb"/([A-Za-z]{3})([0-9A-Za-z ])((?:\\[!-~])*)([ -.0-~]{0,32})(?:\r\n)?")
