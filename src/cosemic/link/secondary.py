"""The secondary station: the meter, which speaks only when it has the turn (IEC 62056-46, 6.4.4).

A command with P = 1 gives it the turn; the response with F = 1 gives it back. It has no response time-out: whatever is
lost is recovered when the client polls with RR, whose N(R) tells what to send again.
"""

from __future__ import annotations

from cosemic.enums import Role
from cosemic.errors import FrameError, LinkLost, LocalProtocolError
from cosemic.link import control, llc
from cosemic.link.addresses import HdlcAddress
from cosemic.link.control import FrameKind, RejectReason
from cosemic.link.events import LinkDown, LinkState
from cosemic.link.frames import HdlcFrame
from cosemic.link.parameters import DEFAULT_PARAMETERS, HdlcParameters, HdlcTimers
from cosemic.link.station import RESPONSES_ONLY, Station
from cosemic.link.window import Arrival
from cosemic.tolerances import Tolerance


class Secondary(Station):
    """One connection, seen from the server."""

    role = Role.SERVER
    header = llc.RESPONSE

    def __init__(
        self,
        destination: HdlcAddress,
        source: HdlcAddress,
        parameters: HdlcParameters,
        timers: HdlcTimers,
        tolerances: frozenset[Tolerance],
        max_apdu: int,
    ) -> None:
        super().__init__(destination, source, parameters, timers, tolerances, max_apdu)
        self._has_turn = False
        self._working = False  # a request was delivered and its response has not come down yet
        self._fresh = False  # nothing has come since the SNRM
        self._client_busy = False
        self._numbers = False  # the client has named an N(R) other than 0
        self._rejected = b""  # the FRMR to repeat until SNRM or DISC

    def disconnect(self, now: float) -> None:
        """Leave the connection; the client is told by DM, at its next command if it does not wait for an answer."""
        if self.state is LinkState.CONNECTED:
            if self._has_turn:
                self._send(control.DM)
            self._down("disconnected by us")

    def send_apdu(self, apdu: bytes, now: float, expect_response: bool) -> None:
        """Send one APDU: now if we have the turn, else when the client polls."""
        if self.state is not LinkState.CONNECTED:
            raise LocalProtocolError(f"the link is {self.state.value}")
        if len(apdu) > self.max_apdu:
            raise LocalProtocolError(f"an APDU of {len(apdu)} octets exceeds the limit of {self.max_apdu}")
        if self._sender.waiting_octets + len(apdu) > 2 * self.max_apdu:
            self._down("the client asks for more and takes no answers")
            raise LinkLost(f"client {self.destination} asks for more and takes no answers")
        self._sender.queue(llc.RESPONSE + apdu, self.negotiated.max_information_transmit)
        self._working = False
        if self._has_turn:
            self._respond()

    def acknowledge(self, now: float) -> None:
        """Give the turn back without a response (to an unconfirmed request)."""
        self._working = False
        if self.state is LinkState.CONNECTED and self._has_turn:
            self._respond()

    def receive(self, frame: HdlcFrame, now: float) -> None:
        """Take a frame from the client."""
        self.frames += 1
        kind = frame.kind
        connected = self.state is LinkState.CONNECTED
        if connected:
            self._keep_alive(now)
        if kind is FrameKind.UNNUMBERED_INFORMATION:
            self._unconfirmed(frame)
        elif frame.destination.is_all_station or kind in RESPONSES_ONLY:
            self._drop(frame, f"{control.describe_control(frame.control)} to {frame.destination} is not for a server")
        elif kind is FrameKind.SET_NORMAL_RESPONSE_MODE:
            self._receive_snrm(frame, now)
        elif kind is FrameKind.DISCONNECT:
            self._rejected = b""
            self._send(control.UA if connected else control.DM)
            if connected:
                self._down("disconnected by the client")
        elif not connected:
            if frame.poll_final:
                self._send(control.FRMR if self._rejected else control.DM, self._rejected)
        elif kind is FrameKind.INFORMATION:
            self._fresh = False
            self._receive_information(frame)
        elif kind is FrameKind.UNKNOWN:
            self._reject(frame, RejectReason.UNDEFINED_CONTROL)
        else:
            self._fresh = False
            self._receive_supervisory(frame, kind)

    def on_time(self, now: float) -> None:
        """Disconnect a client that has been silent too long."""
        if self.deadline is not None and now >= self.deadline:
            self._down(f"no frame from client {self.destination} for {self.timers.inactivity_timeout:g} s")

    def _receive_snrm(self, frame: HdlcFrame, now: float) -> None:
        try:
            proposal = HdlcParameters.decode(frame.information)
        except FrameError as error:
            if not self._tolerate(Tolerance.HDLC_UA_PARAMETERS, f"SNRM with unreadable parameters: {error}"):
                self._drop(frame, str(error))
                self._send(control.DM)
                return
            proposal = DEFAULT_PARAMETERS
        negotiated = self.parameters.negotiate(proposal)
        repeated = self._fresh and self.state is LinkState.CONNECTED and negotiated == self.negotiated
        if not repeated:  # else our UA was lost, or the SNRM came twice
            if self.state is LinkState.CONNECTED:
                self.events.append(LinkDown("the client connects again"))
            self._up(negotiated)
        self._rejected = b""
        self._has_turn = self._working = self._client_busy = self._numbers = False
        self._fresh = True
        self._keep_alive(now)
        answers = frame.information or negotiated != DEFAULT_PARAMETERS
        self._send(control.UA, negotiated.encode() if answers else b"")

    def _receive_information(self, frame: HdlcFrame) -> None:
        field = frame.control
        if len(frame.information) > self.negotiated.max_information_receive:
            self._reject(frame, RejectReason.INFORMATION_TOO_LONG)
            return
        if not self._acknowledge(frame):
            return
        arrival = self._receiver.accept(field >> 1 & 7, frame.information, frame.segmented)
        if arrival is Arrival.TOO_LONG:
            self._reject(frame, RejectReason.INFORMATION_TOO_LONG)
            return
        self._client_busy = False
        if arrival is Arrival.COMPLETE:
            self._working = True
            self._has_turn = bool(field & control.POLL_FINAL)
            self._deliver(self._receiver.take())
            if self._has_turn and (self._sender.has_unacknowledged or self._sender.has_queued):
                self._respond()  # an APDU that waited for its turn
        elif field & control.POLL_FINAL:
            self._has_turn = True
            # a repeated request whose response is being made is answered by that response
            if not (arrival is Arrival.REPEATED and self._working):
                self._respond()

    def _receive_supervisory(self, frame: HdlcFrame, kind: FrameKind) -> None:
        if not self._acknowledge(frame):
            return
        self._client_busy = kind is FrameKind.RECEIVE_NOT_READY
        if frame.poll_final:
            self._respond()

    def _acknowledge(self, frame: HdlcFrame) -> bool:
        """Use the N(R) of a frame; False when the frame must not be used."""
        number = frame.control >> 5
        sender = self._sender
        self._numbers = self._numbers or bool(number)
        if not self._numbers and frame.kind is FrameKind.INFORMATION and sender.send_state:
            # this client never acknowledges; a request that is new shows that it has our response
            if self._receiver.receive_state == (frame.control >> 1 & 7) and not self._receiver.is_partial:
                if not self._tolerate(Tolerance.HDLC_RECEIVE_NUMBER, "a client whose N(R) is always 0"):
                    self._reject(frame, RejectReason.INVALID_RECEIVE_NUMBER)
                    return False
                sender.acknowledge_all()
            return True
        if sender.acknowledge(number) >= 0:
            return True
        detail = f"{control.describe_control(frame.control)} acknowledges what was not sent, or long before"
        if self._tolerate(Tolerance.HDLC_RECEIVE_NUMBER, detail):
            self._drop(frame, detail)  # a late one
        else:
            self._reject(frame, RejectReason.INVALID_RECEIVE_NUMBER)
        return False

    def _respond(self) -> None:
        """Use the turn: what was not acknowledged, then what waits, else RR; and give it back."""
        self._has_turn = False
        sender = self._sender
        frames = [] if self._client_busy else sender.unacknowledged() + sender.take()
        if frames:
            self._send_information(frames)
        else:
            self._send(control.receive_ready(self._receiver.receive_state))

    def _reject(self, frame: HdlcFrame, reason: RejectReason) -> None:
        """Answer FRMR; only SNRM or DISC ends that state."""
        states = {"send_state": self._sender.send_state, "receive_state": self._receiver.receive_state}
        information = control.reject_information(frame.control, reason, **states)
        self._send(control.FRMR, information)
        self._down(control.describe_reject(information))
        self._rejected = information

    def _keep_alive(self, now: float) -> None:
        timeout = self.timers.inactivity_timeout
        if timeout is not None:
            self.deadline = self.last_deadline = now + timeout

    def _close(self) -> None:
        super()._close()
        self._has_turn = self._working = self._fresh = False
