"""The primary station: the client, which alone has the initiative and alone recovers (IEC 62056-46, 6.4.4).

Each command that ends our turn has P = 1 and is answered by a response with F = 1. When nothing comes, RR with P = 1
asks again: its N(R) tells the server what to send once more, and the server's N(R) tells us what it never got. So a
lost request is repeated only when the server is known not to have it, and a request is never carried out twice.
"""

from __future__ import annotations

from cosemic.enums import Role
from cosemic.errors import FrameError, LinkLost, LinkTimeout, LocalProtocolError
from cosemic.link import control, llc
from cosemic.link.addresses import HdlcAddress
from cosemic.link.control import FrameKind
from cosemic.link.events import LinkState
from cosemic.link.frames import HdlcFrame
from cosemic.link.parameters import DEFAULT_PARAMETERS, HdlcParameters, HdlcTimers
from cosemic.link.station import Station
from cosemic.link.window import Arrival
from cosemic.tolerances import Tolerance

_PATIENCE = 4
"""A frame that is still arriving may put off the response deadline, up to so many response time-outs."""


class Primary(Station):
    """One connection, seen from the client."""

    role = Role.CLIENT
    header = llc.COMMAND

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
        self._tries = 0  # SNRM or DISC sent
        self._stale_answers = 0  # answers to an earlier DISC that may still come
        self._proposal = parameters
        self._open = False  # an exchange is going on
        self._expecting = False  # the response APDU is still to come
        self._unanswered = 0  # polls in a row without an answer
        self._repeats = 0  # repetitions in a row without progress
        self._progress = 0.0  # when something last moved on
        self._peer_busy = False
        self._pausing = False  # the deadline ends a pause between polls, not a wait
        self._polled = False  # the last command was RR: its answer tells what the server has, and lacks

    # commands

    def connect(self, now: float) -> None:
        """Send SNRM."""
        if self.state is not LinkState.DISCONNECTED:
            raise LocalProtocolError(f"the link is {self.state.value}")
        self.state = LinkState.CONNECTING
        self._tries = 0
        self._proposal = self.parameters
        self._begin(now)
        self._send_snrm(now)

    def disconnect(self, now: float) -> None:
        """Send DISC, whatever is going on."""
        if self.state in (LinkState.CONNECTED, LinkState.CONNECTING):
            self._close()
            self._open = False
            self.state = LinkState.DISCONNECTING
            self._tries = 0
            self._begin(now)
            self._send_disc(now)

    def send_apdu(self, apdu: bytes, now: float, expect_response: bool) -> None:
        """Send one APDU; the link then waits until the server has it and, if expected, its response."""
        if self.state is not LinkState.CONNECTED:
            raise LocalProtocolError(f"the link is {self.state.value}")
        if self._open and self._expecting:
            raise LocalProtocolError("the previous exchange is not finished")
        if len(apdu) > self.max_apdu:
            raise LocalProtocolError(f"an APDU of {len(apdu)} octets exceeds the limit of {self.max_apdu}")
        self._sender.queue(llc.COMMAND + apdu, self.negotiated.max_information_transmit)
        self._expecting = expect_response
        if not self._open:  # otherwise it follows as soon as the server has passed the turn
            self._begin(now)
            self._open = True
            self._send_segments(self._sender.take(), now)

    def poll(self, now: float) -> None:
        """Invite the server to send an APDU that it has queued; waits for it as for a response."""
        if self.state is not LinkState.CONNECTED:
            raise LocalProtocolError(f"the link is {self.state.value}")
        if self._open:
            raise LocalProtocolError("the previous exchange is not finished")
        self._begin(now)
        self._open = True
        self._expecting = True
        self._send_poll(now)

    # frames

    def receive(self, frame: HdlcFrame, now: float) -> None:
        """Take a frame from the server."""
        kind = frame.kind
        self.frames += 1
        if kind is FrameKind.UNNUMBERED_INFORMATION:
            self._unconfirmed(frame)
        elif self.state is LinkState.CONNECTED:
            self._unanswered = 0
            if kind is FrameKind.INFORMATION:
                self._receive_information(frame, now)
            elif kind in _SUPERVISORY:
                self._receive_supervisory(frame, kind, now)
            elif kind is FrameKind.FRAME_REJECT:
                self._fail(FrameError(self._reject_text(frame)))
            elif kind is FrameKind.DISCONNECTED_MODE:
                self._fail(LinkLost(f"server {self.destination} answers DM: it is disconnected; connect again"))
            else:
                self._drop(frame, f"unexpected {control.describe_control(frame.control)}")
        elif self.state is LinkState.CONNECTING:
            self._receive_while_connecting(frame, kind)
        elif self.state is LinkState.DISCONNECTING and kind in (
            FrameKind.UNNUMBERED_ACKNOWLEDGEMENT,
            FrameKind.DISCONNECTED_MODE,
        ):
            self._stale_answers = self._tries - 1
            self._down("disconnected by us")
        else:
            self._drop(frame, f"the link is {self.state.value}")

    def on_time(self, now: float) -> None:
        """Poll, repeat or give up."""
        if self.deadline is None or now < self.deadline:
            return
        if self.state is LinkState.CONNECTING:
            if self._tries > self.timers.retries:
                self._fail(LinkTimeout(self._silence("SNRM", self._tries)))
            else:
                self._send_snrm(now)
        elif self.state is LinkState.DISCONNECTING:
            if self._tries > min(1, self.timers.retries):
                self._down(self._silence("DISC", self._tries))
            else:
                self._send_disc(now)
        elif self._pausing:
            self._pausing = False
            self._send_poll(now)
        else:
            self._unanswered += 1
            patience = self.timers.busy_timeout + (self.timers.retries + 1) * self.timers.response_timeout
            if now - self._progress > patience:  # answers come, but none that can be used
                self._fail(LinkTimeout(f"no frame of server {self.destination} moved anything on in {patience:g} s"))
            elif self._unanswered > self.timers.retries:
                what = "the request" if self._sender.has_unacknowledged else "polls for the response"
                self._fail(LinkTimeout(self._silence(what, self._unanswered)))
            else:
                self._send_poll(now)

    # connecting

    def _receive_while_connecting(self, frame: HdlcFrame, kind: FrameKind) -> None:
        if kind is FrameKind.DISCONNECTED_MODE and self._stale_answers:
            self._stale_answers -= 1
            self._drop(frame, "a late answer to an earlier DISC")
        elif kind is FrameKind.DISCONNECTED_MODE:
            self._fail(LinkLost(f"server {self.destination} refuses the connection: it answers SNRM with DM"))
        elif kind is FrameKind.FRAME_REJECT:
            self._fail(FrameError(self._reject_text(frame)))
        elif kind is FrameKind.UNNUMBERED_ACKNOWLEDGEMENT:
            try:
                answer = HdlcParameters.decode(frame.information)
            except FrameError as error:
                if not self._tolerate(Tolerance.HDLC_UA_PARAMETERS, f"UA with unreadable parameters: {error}"):
                    self._fail(FrameError(f"the UA of server {self.destination}: {error}"))
                    return
                answer = DEFAULT_PARAMETERS
            if frame.information and self._exceeds(answer):
                detail = "the UA names larger parameters than the SNRM proposed"
                if not self._tolerate(Tolerance.HDLC_UA_PARAMETERS, detail):
                    self._fail(FrameError(f"server {self.destination}: {detail}"))
                    return
            self._stale_answers = 0
            self._open = self._expecting = self._peer_busy = self._pausing = False
            self._up(self._proposal.negotiate(answer))
        else:
            self._drop(frame, "the link is connecting")

    def _exceeds(self, answer: HdlcParameters) -> bool:
        proposal = self._proposal
        return (
            answer.max_information_transmit > proposal.max_information_receive
            or answer.max_information_receive > proposal.max_information_transmit
            or answer.window_transmit > proposal.window_receive
            or answer.window_receive > proposal.window_transmit
        )

    def _send_snrm(self, now: float) -> None:
        # some meters answer only SNRM with a parameter field, some only without: every other try does without
        if self._tries & 1:
            self._send(control.SNRM)
            # whichever SNRM a UA answers, what holds for both is safe
            self._proposal = self.parameters.negotiate(DEFAULT_PARAMETERS)
        else:
            self._send(control.SNRM, self.parameters.encode())
        self._tries += 1
        self._arm(now)

    def _send_disc(self, now: float) -> None:
        self._send(control.DISC)
        self._tries += 1
        self._arm(now)

    # connected

    def _receive_information(self, frame: HdlcFrame, now: float) -> None:
        field = frame.control
        self._peer_busy = False
        if self._acknowledge(frame, now) < 0:
            return
        before = self._receiver.receive_state
        arrival = self._receiver.accept(field >> 1 & 7, frame.information, frame.segmented)
        if arrival is Arrival.TOO_LONG:
            self._fail(FrameError(f"server {self.destination} sends an APDU of more than {self.max_apdu} octets"))
            return
        in_turn = self._receiver.receive_state != before
        if in_turn:
            self._advance(now)
            if self.deadline is not None:
                self._arm(now)
        if arrival is Arrival.COMPLETE:
            self._deliver(self._receiver.take())
            # what comes before the server has the whole request cannot be the response to it
            if not (self._sender.has_unacknowledged or self._sender.has_queued):
                self._finish()
        if not field & control.POLL_FINAL or not self._open:
            return
        if arrival is Arrival.REPEATED:
            return  # its turn was answered when it came first; answering again would double every later frame
        if arrival is Arrival.OUT_OF_TURN:
            self._repeat_poll(now)
        else:
            self._take_turn(now, True)

    def _receive_supervisory(self, frame: HdlcFrame, kind: FrameKind, now: float) -> None:
        count = self._acknowledge(frame, now)
        if count < 0:
            return
        self._peer_busy = kind is FrameKind.RECEIVE_NOT_READY
        if self._open and (frame.poll_final or kind is FrameKind.REJECT):
            self._take_turn(now, count > 0 or self._polled or kind is FrameKind.REJECT)

    def _acknowledge(self, frame: HdlcFrame, now: float) -> int:
        """Use the N(R) of a frame: how many of our frames it acknowledges; -1 when the frame must not be used."""
        count = self._sender.acknowledge(frame.control >> 5)
        if count > 0:
            self._advance(now)
        elif count < 0:
            detail = f"{control.describe_control(frame.control)} acknowledges what was not sent, or long before"
            if self._tolerate(Tolerance.HDLC_RECEIVE_NUMBER, detail):
                self._drop(frame, detail)  # a late one; the answer to the last command is still to come
            else:
                self._fail(FrameError(f"server {self.destination}: {detail}"))
        return count

    def _take_turn(self, now: float, certain: bool) -> None:
        """The server has said all it has to say: what next?

        Not ``certain``: the frame that said so moved nothing and may be a repetition of an earlier one. Acting on it at
        once would have each repetition breed another, so the true answer gets a moment to arrive before we poll.
        """
        sender = self._sender
        if self._peer_busy or not certain:
            self._pause(now)
        elif sender.has_unacknowledged:
            self._repeats += 1
            if self._repeats > self.timers.retries:
                tries = self._repeats
                self._fail(LinkTimeout(f"server {self.destination} never acknowledged the request, sent {tries} times"))
                return
            self._send_segments(sender.unacknowledged() + sender.take(), now)
        elif sender.has_queued:
            self._send_segments(sender.take(), now)
        elif self._receiver.is_partial:
            self._send_poll(now)
        elif self._expecting:
            self._pause(now)
        else:
            self._finish()

    def _send_segments(self, frames: list[tuple[int, bytes, bool]], now: float) -> None:
        self._send_information(frames)
        self._polled = False
        self._arm(now)

    def _repeat_poll(self, now: float) -> None:
        """Frames are missing before the one that came: ask for them, but not for ever."""
        self._repeats += 1
        if self._repeats > self.timers.retries:
            self._fail(
                LinkTimeout(
                    f"server {self.destination} never sent frame N(S)={self._receiver.receive_state}, "
                    f"asked for {self._repeats} times"
                )
            )
            return
        self._send_poll(now)

    def _pause(self, now: float) -> None:
        """The server is alive but has no response yet: poll again in a while."""
        if now - self._progress > self.timers.busy_timeout:
            why = "is busy (RNR)" if self._peer_busy else "answers polls, but sent no response"
            self._fail(LinkTimeout(f"server {self.destination} {why} for {self.timers.busy_timeout:g} s"))
            return
        self._pausing = True
        self.deadline = self.last_deadline = now + self.timers.poll_interval

    def _send_poll(self, now: float) -> None:
        self._send(control.receive_ready(self._receiver.receive_state))
        self._polled = True
        self._arm(now)

    # bookkeeping

    def _begin(self, now: float) -> None:
        self.octets = self.frames = self.others = self.echoes = 0
        self._unanswered = 0
        self._advance(now)

    def _advance(self, now: float) -> None:
        self._repeats = 0
        self._progress = now

    def _arm(self, now: float) -> None:
        self._pausing = False
        self.deadline = now + self.timers.response_timeout
        self.last_deadline = now + _PATIENCE * self.timers.response_timeout

    def _finish(self) -> None:
        self._open = self._expecting = self._pausing = False
        self.deadline = None

    def _close(self) -> None:
        super()._close()
        self._finish()

    def _reject_text(self, frame: HdlcFrame) -> str:
        return f"server {self.destination} answers {control.describe_reject(frame.information)}"

    def _silence(self, what: str, tries: int) -> str:
        if self.frames:
            came = f"{self.octets} octets received, {self.frames} valid frames, but none that answers"
        elif self.others:
            came = f"{self.others} valid frames received, none from this server to client {self.source}"
        elif self.echoes:
            came = "only our own frames came back (local echo)"
        elif self.octets:
            came = f"{self.octets} octets received, but no valid frame"
        else:
            came = "0 octets received"
        times = "try" if tries == 1 else "tries"
        return f"no answer to {what} from server {self.destination} after {tries} {times}; {came}"


_SUPERVISORY = (FrameKind.RECEIVE_READY, FrameKind.RECEIVE_NOT_READY, FrameKind.REJECT)
