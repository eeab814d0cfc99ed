"""What the primary and the secondary station of an HDLC connection share: numbers, frames out, APDUs in."""

from __future__ import annotations

import logging
from dataclasses import replace

from cosemic.enums import Role
from cosemic.errors import DlmsError, LinkLost, LocalProtocolError
from cosemic.link import control, llc
from cosemic.link.addresses import HdlcAddress
from cosemic.link.control import FrameKind
from cosemic.link.events import (
    ApduReceived,
    FrameDropped,
    LinkDown,
    LinkEvent,
    LinkFailed,
    LinkState,
    LinkUp,
    Trace,
    UnconfirmedApduReceived,
)
from cosemic.link.frames import MAX_FRAME, HdlcFrame
from cosemic.link.parameters import DEFAULT_PARAMETERS, HdlcParameters, HdlcTimers
from cosemic.link.window import ReceiveWindow, SendWindow
from cosemic.tolerances import Tolerance, note

logger = logging.getLogger("cosemic.link")

FRAME_OVERHEAD = 7
"""Octets of a frame besides addresses and information, flags not counted."""


class Station:
    """The state of one connection.

    ``deadline`` is when ``on_time`` is due, ``last_deadline`` how far a frame that is arriving may put it off.
    """

    role: Role
    header: bytes

    def __init__(
        self,
        destination: HdlcAddress,
        source: HdlcAddress,
        parameters: HdlcParameters,
        timers: HdlcTimers,
        tolerances: frozenset[Tolerance],
        max_apdu: int,
    ) -> None:
        self.destination = destination
        self.source = source
        room = MAX_FRAME - FRAME_OVERHEAD - len(destination.octets) - len(source.octets)
        self.parameters = replace(
            parameters,
            max_information_transmit=min(parameters.max_information_transmit, room),
            max_information_receive=min(parameters.max_information_receive, room),
        )
        self.timers = timers
        self.tolerances = tolerances
        self.max_apdu = max_apdu
        self.state = LinkState.DISCONNECTED
        self.negotiated = DEFAULT_PARAMETERS
        self.deadline: float | None = None
        self.last_deadline = 0.0
        self.events: list[LinkEvent] = []
        self.out: list[bytes] = []
        self.trace: Trace | None = None
        self.octets = 0  # received since the current try began: what a time-out tells
        self.frames = 0
        self.others = 0
        self.echoes = 0
        self._push = bytearray()
        self._sender = SendWindow()
        self._receiver = ReceiveWindow(1, max_apdu)

    # what a role adds

    def connect(self, now: float) -> None:
        """Begin to connect."""
        raise LocalProtocolError("only a client connects; a server waits for SNRM")

    def disconnect(self, now: float) -> None:
        """Close in an orderly way."""
        raise NotImplementedError

    def send_apdu(self, apdu: bytes, now: float, expect_response: bool) -> None:
        """Send one APDU."""
        raise NotImplementedError

    def receive(self, frame: HdlcFrame, now: float) -> None:
        """Take a frame that is meant for this station."""
        raise NotImplementedError

    def on_time(self, now: float) -> None:
        """Called when ``deadline`` may have passed."""
        raise NotImplementedError

    # what both do

    def send_unconfirmed(self, apdu: bytes) -> None:
        """Send one APDU outside the connection, in UI frames."""
        size = self.negotiated.max_information_transmit
        information = self.header + apdu
        for start in range(0, len(information), size):
            goes_on = start + size < len(information)
            self._send(control.UI & ~control.POLL_FINAL, information[start : start + size], goes_on)

    def end_of_stream(self) -> None:
        """The peer closed the stream that carries the frames."""
        if self.state in (LinkState.CONNECTING, LinkState.CONNECTED):
            self._fail(LinkLost("the connection was closed by the other side"))
        elif self.state is LinkState.DISCONNECTING:
            self._down("the connection was closed by the other side")

    def _up(self, negotiated: HdlcParameters) -> None:
        """Start with fresh numbers: both sides count from 0 after SNRM and UA."""
        self.negotiated = negotiated
        self._sender = SendWindow(negotiated.window_transmit)
        self._receiver = ReceiveWindow(negotiated.window_receive, self.max_apdu)
        self.state = LinkState.CONNECTED
        self.deadline = None
        self.events.append(LinkUp(negotiated))

    def _down(self, reason: str) -> None:
        self._close()
        self.events.append(LinkDown(reason))

    def _fail(self, error: DlmsError) -> None:
        logger.debug("HDLC link to %s failed: %s", self.destination, error)
        self._close()
        self.events.append(LinkFailed(error))

    def _close(self) -> None:
        self.state = LinkState.DISCONNECTED
        self.deadline = None
        self._sender = SendWindow()
        self._receiver = ReceiveWindow(1, self.max_apdu)
        self._push.clear()

    def _send(self, field: int, information: bytes = b"", segmented: bool = False) -> None:
        octets = HdlcFrame(self.destination, self.source, field, information, segmented).encode()
        self.out.append(octets)
        if self.trace is not None:
            self.trace("out", octets)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("sent %s to %s", control.describe_control(field), self.destination)

    def _send_information(self, frames: list[tuple[int, bytes, bool]]) -> None:
        """Send I frames; the last one passes the turn to the peer."""
        expected = self._receiver.receive_state
        last = len(frames) - 1
        for index, (number, information, segmented) in enumerate(frames):
            self._send(control.information(number, expected, index == last), information, segmented)

    def _drop(self, frame: HdlcFrame, why: str) -> None:
        self.events.append(FrameDropped(why, frame.encode()))

    def _deliver(self, information: bytes) -> None:
        apdus, has_header = llc.split(information)
        if not has_header and not self._tolerate(Tolerance.HDLC_MISSING_LLC, "an APDU without LLC header"):
            self.events.append(FrameDropped("the LLC header is missing", information))
            return
        for apdu in apdus:
            self.events.append(ApduReceived(apdu))

    def _unconfirmed(self, frame: HdlcFrame) -> None:
        """Put together UI frames. They have no numbers: a header in mid-APDU says that the end of the last was lost."""
        push = self._push
        if push and frame.information[:3] in llc.HEADERS:
            self.events.append(FrameDropped("the end of a segmented UI frame never came", bytes(push)))
            push.clear()
        if len(push) + len(frame.information) > self.max_apdu:
            self.events.append(FrameDropped(f"an APDU in UI frames exceeds {self.max_apdu} octets", bytes(push)))
            push.clear()
            return
        push += frame.information
        if frame.segmented:
            return
        apdus, has_header = llc.split(bytes(push))
        push.clear()
        if not has_header and not self._tolerate(Tolerance.HDLC_MISSING_LLC, "a UI frame without LLC header"):
            self._drop(frame, "the LLC header is missing")
            return
        for apdu in apdus:
            self.events.append(UnconfirmedApduReceived(apdu))

    def _tolerate(self, tolerance: Tolerance, detail: str) -> bool:
        if tolerance not in self.tolerances:
            return False
        note(tolerance, detail)
        return True


RESPONSES_ONLY = (FrameKind.UNNUMBERED_ACKNOWLEDGEMENT, FrameKind.DISCONNECTED_MODE, FrameKind.FRAME_REJECT)
COMMANDS_ONLY = (FrameKind.SET_NORMAL_RESPONSE_MODE, FrameKind.DISCONNECT)
