"""HDLC links, for both roles (IEC 62056-46): frames from a stream, address check, local echo, time-outs."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from cosemic.enums import Role
from cosemic.errors import LocalProtocolError
from cosemic.link.control import FrameKind
from cosemic.link.events import FrameDropped, LinkEvent, LinkState, LocalEcho, Trace
from cosemic.link.frames import FrameReader, HdlcAddress, HdlcFrame
from cosemic.link.parameters import DEFAULT_PARAMETERS, HdlcParameters, HdlcTimers
from cosemic.link.primary import Primary
from cosemic.link.secondary import Secondary
from cosemic.link.station import COMMANDS_ONLY, RESPONSES_ONLY
from cosemic.tolerances import DEFAULT, Tolerance

__all__ = ["HdlcLink", "HdlcParameters", "HdlcTimers"]

MAX_APDU = 1 << 20


class HdlcLink:
    """One HDLC connection between a client and a server; see ``Link`` for the contract.

    ``source`` is our address and ``destination`` the peer's. A server that has several clients or logical devices on
    one line reads the line with one FrameReader and gives each link its frames by ``receive_frame``.
    """

    def __init__(
        self,
        role: Role,
        *,
        destination: HdlcAddress,
        source: HdlcAddress,
        parameters: HdlcParameters = DEFAULT_PARAMETERS,
        timers: HdlcTimers | None = None,
        tolerances: frozenset[Tolerance] = DEFAULT,
        max_apdu: int = MAX_APDU,
        trace: Trace | None = None,
    ) -> None:
        kind = Primary if role is Role.CLIENT else Secondary
        self._station: Primary | Secondary = kind(
            destination, source, parameters, timers or HdlcTimers(), tolerances, max_apdu
        )
        self._station.trace = trace
        self._reader = FrameReader()
        self._silence: float | None = None  # when a frame that has begun is given up
        self._echo_told = False
        # with equal addresses only the octets tell an echo from an answer
        self._sent: deque[bytes] | None = deque(maxlen=16) if destination == source else None

    @property
    def role(self) -> Role:
        """Our side."""
        return self._station.role

    @property
    def source(self) -> HdlcAddress:
        """Our address."""
        return self._station.source

    @property
    def destination(self) -> HdlcAddress:
        """The peer's address."""
        return self._station.destination

    @property
    def state(self) -> LinkState:
        """Where the link stands."""
        return self._station.state

    @property
    def parameters(self) -> HdlcParameters:
        """The parameters that hold, seen from our side; the defaults of the standard before the link is up."""
        return self._station.negotiated

    @property
    def trace(self) -> Trace | None:
        """Called with each whole frame."""
        return self._station.trace

    @trace.setter
    def trace(self, trace: Trace | None) -> None:
        self._station.trace = trace

    @property
    def timers(self) -> HdlcTimers:
        """The time-outs; may be replaced at any time, and hold from the next wait on."""
        return self._station.timers

    @timers.setter
    def timers(self, timers: HdlcTimers) -> None:
        self._station.timers = timers

    @property
    def bare(self) -> None:
        """None: every frame is acknowledged."""
        return None

    @property
    def response_timeout(self) -> float:
        """How long silence is borne before the client polls, in seconds."""
        return self._station.timers.response_timeout

    @response_timeout.setter
    def response_timeout(self, seconds: float) -> None:
        self._station.timers = replace(self._station.timers, response_timeout=seconds)

    @property
    def tries(self) -> int:
        """How many times an answer is asked for before it is given up."""
        return self._station.timers.retries + 1

    def connect(self, now: float) -> None:
        """Client: send SNRM; LinkUp or LinkFailed follows."""
        self._station.connect(now)

    def disconnect(self, now: float) -> None:
        """Client: send DISC; LinkDown follows. Server: leave the connection at once."""
        self._station.disconnect(now)

    def send_apdu(self, apdu: bytes, now: float, *, expect_response: bool = True) -> None:
        """Send one APDU in I frames."""
        self._station.send_apdu(apdu, now, expect_response)

    def send_unconfirmed(self, apdu: bytes, now: float) -> None:
        """Send one APDU in UI frames, outside the connection and whatever its state (a push)."""
        self._station.send_unconfirmed(apdu)

    def poll(self, now: float) -> None:
        """Client: let the server send an APDU that it has queued, such as the next block of a stream."""
        if not isinstance(self._station, Primary):
            raise LocalProtocolError("only a client polls")
        self._station.poll(now)

    def acknowledge(self, now: float) -> None:
        """Server: the request gets no response (it was unconfirmed); acknowledge its frames and give the turn back."""
        if not isinstance(self._station, Secondary):
            raise LocalProtocolError("a client acknowledges by itself")
        self._station.acknowledge(now)

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the line."""
        self._station.octets += len(data)
        reader = self._reader
        self._receive(reader.feed(data), now)
        self._silence = now + self._station.timers.inter_octet_timeout if reader.is_partial else None

    def receive_frame(self, frame: HdlcFrame, now: float) -> None:
        """Take one frame from the line; those for others are dropped, our own coming back told once and dropped."""
        station = self._station
        if station.trace is not None:
            station.trace("in", frame.encode())
        if self._is_echo(frame):
            station.echoes += 1
            if not self._echo_told:
                self._echo_told = True
                station.events.append(LocalEcho())
        elif self.is_for_us(frame):
            station.receive(frame, now)
        else:
            station.others += 1
            why = f"a frame from {frame.source} to {frame.destination} is not for this link"
            station.events.append(FrameDropped(why, frame.encode()))

    def is_for_us(self, frame: HdlcFrame) -> bool:
        """Whether the addresses of a frame are those of this link, or it is a broadcast or push that concerns it."""
        station = self._station
        peer = station.destination
        from_peer = frame.source == peer or (
            # a command to all stations, or to the one that calls, is answered with the true address
            (peer.is_all_station or peer.is_calling_station) and frame.source.logical == peer.logical
        )
        if frame.destination == station.source:
            return from_peer
        if frame.kind is FrameKind.UNNUMBERED_INFORMATION:
            return from_peer or frame.destination.is_all_station
        return False

    def end_of_stream(self, now: float) -> None:
        """The peer closed the stream."""
        self._receive(self._reader.expire(), now)
        self._silence = None
        self._station.end_of_stream()

    def events(self) -> list[LinkEvent]:
        """What happened since the last call."""
        events = self._station.events
        if events:
            self._station.events = []
        return events

    def data_to_send(self) -> bytes:
        """The octets to write now."""
        out = self._station.out
        if not out:
            return b""
        if self._sent is not None:
            self._sent.extend(out)
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def next_deadline(self) -> float | None:
        """When ``on_time`` is due."""
        deadline = self._station.deadline
        silence = self._silence
        if silence is None:
            return deadline
        if deadline is None:
            return silence
        # a frame that is still arriving is waited for, within reason
        return min(silence, max(deadline, self._station.last_deadline))

    def on_time(self, now: float) -> None:
        """Resynchronise after silence within a frame; poll, repeat or give up when an answer is overdue."""
        if self._silence is not None and now >= self._silence:
            self._silence = None
            self._receive(self._reader.expire(), now)
        if self._silence is None or now >= self._station.last_deadline:
            self._station.on_time(now)

    def _receive(self, items: list[HdlcFrame | FrameDropped], now: float) -> None:
        for item in items:
            if isinstance(item, HdlcFrame):
                self.receive_frame(item, now)
            else:
                self._station.events.append(item)

    def _is_echo(self, frame: HdlcFrame) -> bool:
        station = self._station
        if frame.source != station.source or frame.destination != station.destination:
            return False
        if Tolerance.LOCAL_ECHO not in station.tolerances:
            return False
        sent = self._sent
        if sent is None:
            return True
        octets = frame.encode()
        if octets not in sent:
            return False
        ours = COMMANDS_ONLY if station.role is Role.CLIENT else RESPONSES_ONLY
        if self._echo_told or frame.kind in ours or frame.information[:3] == station.header:
            sent.remove(octets)
            return True
        return False
