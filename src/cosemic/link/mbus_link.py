"""The client's link over a wired M-Bus: the primary station, which has the initiative (EN 13757-2, IEC 62056-7-3).

SND-NKE begins; an APDU goes out in SND-UD frames, each acknowledged with E5; REQ-UD2 fetches the answer, one RSP-UD
frame after the other, or E5 while there is none. Each kind of command has a frame count bit of its own, which changes
with every new one, so that a frame that is repeated is known as such.
"""

from __future__ import annotations

import logging

from cosemic.enums import Role
from cosemic.errors import DlmsError, LinkLost, LinkTimeout, LocalProtocolError
from cosemic.link import mbus
from cosemic.link.events import (
    ApduReceived,
    FrameDropped,
    LinkDown,
    LinkEvent,
    LinkFailed,
    LinkState,
    LinkUp,
    LocalEcho,
    Trace,
    UnconfirmedApduReceived,
)
from cosemic.link.mbus import MbusFrame, MbusReader, SegmentCollector
from cosemic.tolerances import DEFAULT, Tolerance

logger = logging.getLogger("cosemic.link")

_PAUSE = 0.1
"""Seconds until a station that had nothing to say is asked again."""


class MbusLink:
    """A client's link to one logical device (``destination``, its DTSAP) of the station at ``address``.

    See ``Link`` for the contract. A command that stays unanswered is repeated ``retries`` times; a station that answers
    E5 in place of data is asked again for as long as all these tries would take.
    """

    role = Role.CLIENT

    def __init__(
        self,
        *,
        address: int,
        source: int,
        destination: int,
        response_timeout: float = 5.0,
        retries: int = 3,
        tolerances: frozenset[Tolerance] = DEFAULT,
        inter_octet_timeout: float = 0.5,
        max_apdu: int = 1 << 20,
        trace: Trace | None = None,
    ) -> None:
        for name, number in (("primary address", address), ("STSAP", source), ("DTSAP", destination)):
            if not 0 <= number <= 0xFF:
                raise ValueError(f"the {name} on an M-Bus is 0 to 255, not {number}")
        self.address = address
        self.source = source
        self.destination = destination
        self.trace = trace
        self._timeout = response_timeout
        self._retries = retries
        self._silence_time = inter_octet_timeout
        self._tolerances = tolerances
        self._max_apdu = max_apdu
        self._state = LinkState.DISCONNECTED
        self._reader = MbusReader(tolerances=tolerances)
        self._answer = SegmentCollector(max_apdu)
        self._pushed = SegmentCollector(max_apdu, tolerances=tolerances)
        self._events: list[LinkEvent] = []
        self._out: list[bytes] = []
        self._deadline: float | None = None
        self._silence: float | None = None
        self._give_up = 0.0
        self._command = b""  # that waits for its answer
        self._echo = b""
        self._echo_told = False
        self._tries = 0
        self._segments: list[MbusFrame] = []
        self._expecting = False
        self._pausing = False
        self._send_bit = self._request_bit = mbus.FRAME_COUNT_BIT
        self._octets = 0

    @property
    def state(self) -> LinkState:
        """Where the link stands."""
        return self._state

    @property
    def bare(self) -> None:
        """None: every frame is acknowledged."""
        return None

    @property
    def response_timeout(self) -> float:
        """How long an answer may take, in seconds."""
        return self._timeout

    @response_timeout.setter
    def response_timeout(self, seconds: float) -> None:
        self._timeout = seconds

    @property
    def tries(self) -> int:
        """How many times a command is sent before it is given up."""
        return self._retries + 1

    # what the client wants

    def connect(self, now: float) -> None:
        """Send SND-NKE; LinkUp or LinkFailed follows."""
        if self._state is not LinkState.DISCONNECTED:
            raise LocalProtocolError(f"the link is {self._state.value}")
        self._state = LinkState.CONNECTING
        self._reader = MbusReader(tolerances=self._tolerances)
        self._answer.clear()
        self._send_bit = self._request_bit = mbus.FRAME_COUNT_BIT
        self._octets = 0
        self._send(MbusFrame(mbus.SND_NKE, self.address), now)

    def disconnect(self, now: float) -> None:
        """Leave the bus: LinkDown at once; an M-Bus has no connection that would have to be closed."""
        if self._state is not LinkState.DISCONNECTED:
            self._close()
            self._events.append(LinkDown("closed by us"))

    def send_apdu(self, apdu: bytes, now: float, *, expect_response: bool = True) -> None:
        """Send one APDU, then fetch its answer, if one is expected."""
        self._check_idle()
        if len(apdu) > self._max_apdu:
            raise LocalProtocolError(f"an APDU of {len(apdu)} octets exceeds the limit of {self._max_apdu}")
        self._segments = list(mbus.segments(apdu, mbus.SND_UD, self.address, self.source, self.destination))
        self._expecting = expect_response
        self._octets = 0
        self._give_up = now + self._timeout * (self._retries + 1)
        self._next(now)

    def poll(self, now: float) -> None:
        """Fetch what the station has to say."""
        self._check_idle()
        self._expecting = True
        self._octets = 0
        self._give_up = now + self._timeout * (self._retries + 1)
        self._next(now)

    # what comes

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the line."""
        self._octets += len(data)
        self._take(self._reader.feed(data), now)
        self._silence = now + self._silence_time if self._reader.is_partial else None

    def end_of_stream(self, now: float) -> None:
        """The line is gone."""
        if self._state is not LinkState.DISCONNECTED:
            self._fail(LinkLost("the connection was closed by the other side"))

    def events(self) -> list[LinkEvent]:
        """What happened since the last call."""
        events, self._events = self._events, []
        return events

    def data_to_send(self) -> bytes:
        """The octets to write now."""
        out = b"".join(self._out)
        self._out.clear()
        return out

    def next_deadline(self) -> float | None:
        """When ``on_time`` wants to be called."""
        if self._silence is None or self._deadline is None:
            return self._silence if self._deadline is None else self._deadline
        return min(self._silence, self._deadline)

    def on_time(self, now: float) -> None:
        """Resynchronise after silence within a frame; repeat or give up when an answer is overdue."""
        if self._silence is not None and now >= self._silence:
            self._silence = None
            self._take(self._reader.expire(), now)
        if self._deadline is None or now < self._deadline:
            return
        if self._pausing:
            self._pausing = False
            self._next(now)
        elif self._tries < self._retries:
            self._tries += 1
            self._write(self._command, now)
        else:
            self._fail(
                LinkTimeout(
                    f"no answer from M-Bus station {self.address} within {self._timeout:g} s after {self._tries + 1} "
                    f"tries; {self._octets} octets received"
                    + (", but no whole frame: is the speed right (2,400 baud 8E1, as a rule)?" if self._octets else "")
                )
            )

    def _take(self, items: list[mbus.Item], now: float) -> None:
        for item in items:
            if isinstance(item, FrameDropped):
                self._events.append(item)
            elif self._state is not LinkState.DISCONNECTED:
                self._receive(item, now)

    def _receive(self, frame: MbusFrame, now: float) -> None:
        octets = b"" if frame.is_acknowledgement else self._octets_of(frame)
        if self.trace is not None:
            self.trace("in", octets or mbus.ACKNOWLEDGEMENT)
        if octets and octets == self._echo and Tolerance.LOCAL_ECHO in self._tolerances:
            self._echo = b""
            if not self._echo_told:
                self._echo_told = True
                self._events.append(LocalEcho())
        elif frame.is_acknowledgement:
            self._acknowledged(now)
        elif frame.control is not None and frame.control & mbus.PRIMARY:
            self._receive_push(frame)
        elif not self._is_asked(frame):
            self._events.append(FrameDropped("an M-Bus frame that is not for this link", octets))
        elif not frame.is_transport:
            self._nothing_yet(now)
        elif (frame.source, frame.destination) == (self.destination, self.source):
            self._receive_answer(frame, now)
        else:
            self._events.append(FrameDropped("an M-Bus frame that is not for this link", octets))

    def _octets_of(self, frame: MbusFrame) -> bytes:
        """A frame whose length field has overflowed has no octets of its own any more."""
        return frame.data if len(frame.data) > 252 else frame.encode()

    def _acknowledged(self, now: float) -> None:
        if not self._command or self._pausing:
            logger.debug("an acknowledgement that acknowledges nothing")
            return
        kind = self._command[1] if self._command[0] == 0x10 else mbus.SND_UD
        self._command = b""
        self._deadline = None
        if kind == mbus.SND_NKE:
            self._state = LinkState.CONNECTED
            self._events.append(LinkUp(None))
        elif kind == mbus.SND_UD:
            self._send_bit ^= mbus.FRAME_COUNT_BIT
            self._give_up = now + self._timeout * (self._retries + 1)  # a long request takes its time, an answer too
            self._next(now)
        else:
            self._nothing_yet(now)

    def _is_asked(self, frame: MbusFrame) -> bool:
        """Whether this is an RSP-UD of our station while one is waited for."""
        asked = bool(self._command) and self._command[0] == 0x10 and self._state is LinkState.CONNECTED
        is_answer = frame.control is not None and frame.control & 0x0F == mbus.RSP_UD and frame.ci is not None
        return asked and is_answer and self.address in (mbus.TO_ANYONE, frame.address)

    def _nothing_yet(self, now: float) -> None:
        """E5, or data that is no DLMS, in place of the answer: it is not ready. Nobody says how to wait for it, so we
        ask again after a pause."""
        self._command = b""
        self._request_bit ^= mbus.FRAME_COUNT_BIT
        if now >= self._give_up:
            self._fail(LinkTimeout(f"M-Bus station {self.address} answers, but has nothing of DLMS to say"))
            return
        self._pausing = True
        self._deadline = now + _PAUSE

    def _receive_answer(self, frame: MbusFrame, now: float) -> None:
        self._request_bit ^= mbus.FRAME_COUNT_BIT
        self._command = b""
        self._deadline = None
        result = self._answer.add(frame)
        if isinstance(result, mbus.MbusApdu):
            self._expecting = False
            self._events.append(ApduReceived(result.apdu))
            return
        if result is not None:
            self._events.append(result)
        self._give_up = now + self._timeout * (self._retries + 1)
        self._next(now)

    def _receive_push(self, frame: MbusFrame) -> None:
        """A station that speaks by itself, as customer interfaces do."""
        if not frame.is_transport:
            self._events.append(FrameDropped("an M-Bus frame that carries no DLMS", self._octets_of(frame)))
            return
        result = self._pushed.add(frame)
        if isinstance(result, mbus.MbusApdu):
            self._events.append(UnconfirmedApduReceived(result.apdu))
        elif result is not None:
            self._events.append(result)

    # commands

    def _check_idle(self) -> None:
        if self._state is not LinkState.CONNECTED:
            raise LocalProtocolError(f"the link is {self._state.value}")
        if self._command or self._pausing:
            raise LocalProtocolError("the previous exchange is not finished")

    def _next(self, now: float) -> None:
        """The next segment, or the request for the next one of the answer."""
        if self._segments:
            frame = self._segments.pop(0)
            control = mbus.SND_UD | self._send_bit
            self._send(MbusFrame(control, frame.address, frame.ci, frame.data), now)
        elif self._expecting:
            self._send(MbusFrame(mbus.REQ_UD2 | self._request_bit, self.address), now)

    def _send(self, frame: MbusFrame, now: float) -> None:
        self._command = frame.encode()
        self._tries = 0
        self._write(self._command, now)

    def _write(self, octets: bytes, now: float) -> None:
        self._out.append(octets)
        self._echo = octets
        self._deadline = now + self._timeout
        if self.trace is not None:
            self.trace("out", octets)

    def _close(self) -> None:
        self._state = LinkState.DISCONNECTED
        self._deadline = self._silence = None
        self._command = b""
        self._pausing = False
        self._segments.clear()
        self._answer.clear()

    def _fail(self, error: DlmsError) -> None:
        logger.debug("M-Bus link failed: %s", error)
        self._close()
        self._events.append(LinkFailed(error))
