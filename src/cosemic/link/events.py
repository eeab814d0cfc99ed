"""What a link tells the layer above, and the contract that every link keeps.

A link turns octets into whole APDUs and back; it knows nothing of what an APDU means. It does no I/O and has no clock:
the caller feeds octets and the time, and takes events, octets and the next deadline.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from cosemic.errors import DlmsError
from cosemic.link.parameters import HdlcParameters

Trace: TypeAlias = Callable[[str, bytes], None]
"""Called with "in" or "out" and the octets of each whole frame."""


class LinkState(enum.Enum):
    """Where a link stands."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DISCONNECTING = "disconnecting"


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The link is connected. ``parameters`` are the negotiated ones, seen from our side; None for the wrapper."""

    parameters: HdlcParameters | None = None


@dataclass(frozen=True, slots=True)
class ApduReceived:
    """A whole APDU of the connection, without LLC header or wrapper header."""

    apdu: bytes


@dataclass(frozen=True, slots=True)
class UnconfirmedApduReceived:
    """A whole APDU that came outside the connection, in UI frames: a push."""

    apdu: bytes


@dataclass(frozen=True, slots=True)
class LinkDown:
    """The link was closed in an orderly way, by us or by the peer; ``reason`` says how."""

    reason: str


@dataclass(frozen=True, slots=True)
class FrameDropped:
    """Octets that were not used; recovery goes on by itself."""

    reason: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class LinkFailed:
    """The link is broken and disconnected; nothing is waited for any more."""

    error: DlmsError


@dataclass(frozen=True, slots=True)
class LocalEcho:
    """Our own frames come back (an optical head, an RS-485 adapter); they are dropped. Told once."""


LinkEvent: TypeAlias = (
    LinkUp | ApduReceived | UnconfirmedApduReceived | LinkDown | FrameDropped | LinkFailed | LocalEcho
)


class Link(Protocol):
    """What HdlcLink and WrapperLink have in common. ``now`` is monotonic time in seconds."""

    trace: Trace | None

    @property
    def bare(self) -> BareLink | None:
        """The link itself where it adds nothing to the way below (the wrapper); None where it acknowledges frames."""

    @property
    def state(self) -> LinkState:
        """Where the link stands."""

    @property
    def response_timeout(self) -> float:
        """How long silence is borne while an answer is due, in seconds; may be changed at any time."""

    @response_timeout.setter
    def response_timeout(self, seconds: float) -> None: ...

    @property
    def tries(self) -> int:
        """How many times an answer is asked for before the link gives up."""

    def connect(self, now: float) -> None:
        """Begin to connect (client); LinkUp or LinkFailed follows. LocalProtocolError unless disconnected."""

    def disconnect(self, now: float) -> None:
        """Close in an orderly way; LinkDown follows. Whatever was going on is given up. No effect when disconnected."""

    def send_apdu(self, apdu: bytes, now: float, *, expect_response: bool = True) -> None:
        """Send one APDU. LocalProtocolError when not connected, or while the previous exchange is open (client)."""

    def poll(self, now: float) -> None:
        """Client: go on waiting, because the APDU that came was not the answer (a push), or one more follows it.

        HDLC invites the server to send what it has; LinkTimeout follows if nothing comes.
        """

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the peer; never raises because of what they are."""

    def end_of_stream(self, now: float) -> None:
        """The peer closed the stream: LinkFailed(LinkLost) follows, or LinkDown if we were closing anyway."""

    def events(self) -> list[LinkEvent]:
        """What happened since the last call."""

    def data_to_send(self) -> bytes:
        """The octets to write now."""

    def next_deadline(self) -> float | None:
        """When ``on_time`` wants to be called; None while nothing is waited for."""

    def on_time(self, now: float) -> None:
        """Tell the time: polls, repeats, resynchronises or gives up when a deadline has passed."""


class BareLink(Link, Protocol):
    """A link without acknowledgements of its own: whoever is above may say more while an answer is awaited."""

    def stop_waiting(self) -> None:
        """The answer is not waited for any longer: something else is sent in its place."""

    def send_aside(self, apdu: bytes) -> None:
        """Send one APDU that no answer is expected to, whatever else is waited for."""
