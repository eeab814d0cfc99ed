"""What the user knows, how far the doctor may go, and the steps that a plan asks its driver to take."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from cosemic.cosem.access import Procedure
from cosemic.doctor.findings import Finding
from cosemic.enums import AuthenticationMechanism
from cosemic.errors import DlmsError
from cosemic.link.addresses import HdlcAddress
from cosemic.transports.targets import Framing, Target

if TYPE_CHECKING:
    from cosemic.security.context import SecurityContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the user knows about the meter; None where he does not."""

    client: int | None = None
    server: int | None = None
    physical: int | None = None
    address_size: int | None = None
    serial_number: str | None = None
    mechanism: AuthenticationMechanism | None = None
    password: bytes | None = field(default=None, repr=False)
    security: SecurityContext | None = None

    @property
    def has_keys(self) -> bool:
        """Whether a global encryption key was given."""
        return self.security is not None and self.security.has_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far an examination may go.

    ``budget`` bounds all of it, in seconds; ``patience`` is the wait for one answer; ``listening`` how long the line is
    listened to before the first octet is sent; ``tries`` how often each secret may be tried (an AARQ that names an
    authentication mechanism is a try, whether it is answered or not); ``speeds`` which ones are tried on a serial line,
    after the one of the URL.
    """

    budget: float = 120.0
    patience: float = 3.0
    listening: float = 2.0
    tries: int = 1
    speeds: tuple[int, ...] = (9600, 115200, 38400, 19200, 57600, 4800, 2400, 300)

    def __post_init__(self) -> None:
        for name in ("budget", "patience"):
            if not 0 < getattr(self, name) < 1e6:
                raise ValueError(f"{name} is a number of seconds above 0, not {getattr(self, name)}")
        if not 0 <= self.listening < 1e6:
            raise ValueError(f"listening is a number of seconds, not {self.listening}")
        if not 0 <= self.tries <= 10:
            raise ValueError(f"tries is a number from 0 to 10, not {self.tries}")


KEPT = frozenset(("serial", "rfc2217"))
"""Schemes whose streams stay open between associations, as that may supply an adapter. The others are opened anew: a
meter on TCP may hang up after each, one on an optical head may want a new sign-on."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One association to open: where, as whom, with what."""

    target: Target
    framing: Framing
    client: int
    server: int
    address: HdlcAddress | None = None
    mechanism: AuthenticationMechanism = AuthenticationMechanism.NONE
    password: bytes | None = field(default=None, repr=False)
    security: SecurityContext | None = None

    @property
    def is_ciphered(self) -> bool:
        """Whether it asks for the application context with ciphering."""
        return self.security is not None and self.security.has_keys


# What a plan asks for; each step says in words what it does, and is answered with what follows it here.


@dataclass(frozen=True, slots=True)
class Open:
    """Open the stream anew with these settings."""

    what: str
    target: Target


@dataclass(frozen=True, slots=True)
class Opened:
    """The stream is open, or ``error`` says why not."""

    error: DlmsError | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """Send octets (none: only listen) and collect what comes, until it is ``complete`` or ``seconds`` are over."""

    what: str
    octets: bytes
    seconds: float
    complete: Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came; ``closed`` when the other side hung up, or the line broke, with ``reason`` where one was given."""

    octets: bytes
    closed: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Associate:
    """Open an association, carry out ``survey`` in it, release it; within ``seconds``."""

    what: str
    attempt: Attempt
    seconds: float
    survey: Callable[[], Procedure[None]] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How that went: ``associated`` with what is left of ``error`` (in the survey), or not.

    ``received`` is everything that came meanwhile, as it came; ``apdus`` those of it that the client took, deciphered
    and verified; ``sent`` what went out, to know an echo by.
    """

    associated: bool
    error: DlmsError | None = None
    received: bytes = field(default=b"", repr=False)
    apdus: tuple[bytes, ...] = field(default=(), repr=False)
    sent: bytes = field(default=b"", repr=False)


Step: TypeAlias = Open | Say | Associate
Reply: TypeAlias = Opened | Answer | Outcome
Plan: TypeAlias = Generator[Step | Finding, Reply | None, None]


class OutOfTimeError(Exception):
    """The budget is spent; thrown into a plan in place of an answer."""
