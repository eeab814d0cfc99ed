"""A client's association together with its link: octets in, octets and events out, with deadlines as data.

The owner does the I/O and nothing else::

    session.connect(now)
    loop:
        write session.data_to_send()
        read until session.next_deadline(); then receive_data(octets, now), end_of_stream(now) or on_time(now)
        for event in session.events(): ...

``request`` and ``release`` follow once ``Associated`` came. Wrong calls raise ``LocalProtocolError`` before a byte
exists; whatever the peer, the line or the time does becomes ``Failed``.
"""

from __future__ import annotations

from collections.abc import Callable

from cosemic.errors import DlmsError, LinkLost, LinkTimeout, LocalProtocolError
from cosemic.link.events import (
    ApduReceived,
    FrameDropped,
    Link,
    LinkDown,
    LinkEvent,
    LinkFailed,
    LinkState,
    LinkUp,
    LocalEcho,
    UnconfirmedApduReceived,
)
from cosemic.protocol.association import Trace, logger
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.datagrams import RecentDatagrams, Repetition
from cosemic.protocol.events import AssociationParameters, ClientEvent, Released
from cosemic.protocol.general_blocks import MOST_RECOVERIES
from cosemic.protocol.redaction import FrameRedactor
from cosemic.protocol.requests import Action, Get, Request, Set
from cosemic.protocol.settings import ClientSettings
from cosemic.protocol.states import State
from cosemic.protocol.terms import NO_DEMANDS, Demands

_PATIENCE = 4
"""Response times that an answer may take at the least while pushes come instead: links repeat and poll meanwhile."""


class ClientSession:
    """One client's talk with one logical device over one link; ``connect`` again after ``Released`` is allowed."""

    __slots__ = (
        "_ask_again_at",
        "_association",
        "_datagram",
        "_deadline",
        "_link",
        "_recent",
        "_redactor",
        "_release_due",
        "_releasing",
        "data_to_send",
        "events",
        "settings",
    )

    events: Callable[[], list[ClientEvent]]
    """What happened since the last call."""
    data_to_send: Callable[[], bytes]
    """The octets to write now."""

    def __init__(
        self, link: Link, settings: ClientSettings, *, datagram: bool = False, trace: Trace | None = None
    ) -> None:
        """``datagram``: answers may come twice, and one that repeats a recent one octet by octet is dropped."""
        self.settings = settings
        self._datagram = datagram
        self._recent = RecentDatagrams()
        self._link = link
        self._association = ClientAssociation(settings, datagram=datagram, trace=trace)
        # Handed on as they are: two calls less for each of them in every exchange.
        self.events = self._association.events
        self.data_to_send = link.data_to_send
        self._redactor = FrameRedactor()
        self._release_due = False
        self._releasing = False
        self._deadline: float | None = None
        self._ask_again_at: float | None = None
        if trace is not None:
            link.trace = self._trace_frame

    @property
    def state(self) -> State:
        """Where the association stands."""
        return self._association.state

    @property
    def parameters(self) -> AssociationParameters | None:
        """What was agreed on; None while there is no association."""
        return self._association.parameters

    @property
    def link(self) -> Link:
        """The link below, for its negotiated parameters and its response time."""
        return self._link

    @property
    def trace(self) -> Trace | None:
        """Called with layer, direction and octets of each frame and each plain APDU, without secrets."""
        return self._association.trace

    @trace.setter
    def trace(self, trace: Trace | None) -> None:
        self._association.trace = trace
        self._link.trace = None if trace is None else self._trace_frame

    def connect(self, now: float) -> None:
        """Connect the link and open the association; ``Associated`` or ``Failed`` follows.

        LocalProtocolError at the wrong moment; KeyMissing, or another SecurityError, where a key or the counter store
        does not serve (over HDLC that comes as ``Failed``, as the link has to be connected first).
        """
        state = self._association.state
        if state is not State.IDLE or self._releasing or self._link.state is not LinkState.DISCONNECTED:
            if state is State.CLOSED:
                raise LocalProtocolError("connect: this session has failed and is closed; reconnect with a new one")
            raise LocalProtocolError("connect: the session is connected, or about to be, already")
        self._recent.clear()
        self._link.connect(now)
        for event in self._link.events():
            if type(event) is LinkUp:
                try:
                    self._association.associate()
                except DlmsError:
                    self._link.disconnect(now)
                    self._link.events()
                    raise
                self._flush(now)
            else:
                self._link_event(event, now)

    def request(self, request: Request, now: float, demands: Demands = NO_DEMANDS) -> None:
        """Send a request; ``Completed`` or ``Failed`` follows. One at a time.

        ``demands`` protect this request and its response more than the policy of the association does.

        LocalProtocolError for what the state or the negotiated parameters do not allow, SecurityError when the counter
        store cannot be used; nothing was sent then.
        """
        self._association.request(request, demands)
        self._flush(now)
        if self._association.in_blocks:
            self._expect_blocks(now)

    def preview(self, request: Get | Set | Action, demands: Demands = NO_DEMANDS) -> bytes:
        """The first APDU that ``request`` would send now, before protection; nothing is sent and nothing is counted."""
        return self._association.preview(request, demands)

    def release(self, now: float) -> None:
        """Close the association, then the link; ``Released`` follows."""
        self._association.release()
        self._release_due = True
        self._flush(now)
        self._after(now)

    def abort(self) -> None:
        """Give everything up at once; the owner closes the stream. The session cannot be used again."""
        self._association.close()
        self._deadline = None

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the meter; never raises because of what they are."""
        link, association = self._link, self._association
        link.receive_data(data, now)
        for event in link.events():
            if type(event) is ApduReceived:
                if not self._datagram or self._is_new(event.apdu, now):
                    association.receive_apdu(event.apdu)
                    if association.has_apdus:
                        self._flush(now)
            else:
                self._link_event(event, now)
        if association.state is not State.ASSOCIATED:
            self._after(now)
        else:
            self._deadline = self._ask_again_at = None

    def take_progress(self) -> bool:
        """Whether a general block transfer has moved on since this was last asked: the answer is on its way."""
        return self._association.take_progress()

    def end_of_stream(self, now: float) -> None:
        """The meter closed the stream."""
        self._link.end_of_stream(now)
        self._link_events(now)

    def next_deadline(self) -> float | None:
        """When ``on_time`` wants to be called; None while nothing is waited for."""
        deadline = self._link.next_deadline()
        if (self._deadline is None and self._ask_again_at is None) or self._association.state is State.CLOSED:
            return deadline
        return min(due for due in (deadline, self._deadline, self._ask_again_at) if due is not None)

    def on_time(self, now: float) -> None:
        """Tell the time; repeats, polls or gives up where a deadline has passed."""
        if self._ask_again_at is not None and now >= self._ask_again_at:
            self._ask_again(now)
        self._link.on_time(now)
        self._link_events(now)
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self._association.fail(
                LinkTimeout(f"no answer within {self._patience:g} s, although pushes, or repetitions, came")
            )
            self._after(now)

    def _flush(self, now: float) -> None:
        association = self._association
        apdus = association.apdus_to_send()
        more = len(apdus)
        for apdu in apdus:
            more -= 1
            try:
                if association.asides and self._send_aside(apdu, now):
                    continue
                self._deadline = None
                self._link.send_apdu(apdu, now, expect_response=not more and association.state is not State.ASSOCIATED)
            except DlmsError as error:
                if self._link.state is not LinkState.CONNECTED:
                    logger.debug("not sent, as the link is down; its event tells why: %s", error)
                    return
                association.fail(error)

    def _send_aside(self, apdu: bytes, now: float) -> bool:
        """Send what has nothing to do with the exchange, so that its request is what is repeated."""
        asides, link = self._association.asides, self._link
        if apdu not in asides:
            return False
        asides.remove(apdu)
        bare = link.bare
        if bare is not None:
            bare.send_aside(apdu)
            return True
        try:
            link.send_apdu(apdu, now, expect_response=self._association.state is not State.ASSOCIATED)
        except LocalProtocolError as error:
            logger.info("a push is not confirmed, for the request is still on its way: %s", error)
        return True

    def _link_events(self, now: float) -> None:
        events = self._link.events()
        for event in events:
            self._link_event(event, now)
        if events:
            self._after(now)

    def _link_event(self, event: LinkEvent, now: float) -> None:
        association = self._association
        if isinstance(event, ApduReceived):
            association.receive_apdu(event.apdu)
            self._flush(now)
        elif isinstance(event, UnconfirmedApduReceived):
            association.receive_push(event.apdu)
        elif isinstance(event, LinkUp):
            try:
                association.associate()
            except DlmsError as error:
                association.fail(error)
            self._flush(now)
        elif isinstance(event, FrameDropped):
            logger.info("dropped %d octets: %s", len(event.octets), event.reason)
        elif isinstance(event, LocalEcho):
            logger.info("our own frames come back; the echo is dropped")
        elif isinstance(event, LinkDown | LinkFailed):
            self._link_lost(event)

    def _link_lost(self, event: LinkDown | LinkFailed) -> None:
        association = self._association
        if self._releasing:
            self._releasing = False
            if isinstance(event, LinkFailed):
                logger.info("the association was released, but the link did not close properly: %s", event.error)
            association.add(Released())
        elif isinstance(event, LinkFailed):
            association.fail(event.error)
        elif association.state is not State.IDLE:
            association.fail(LinkLost(f"the meter closed the link: {event.reason}"))

    def _after(self, now: float) -> None:
        """What follows from a state other than associated."""
        association, link = self._association, self._link
        state = association.state
        self._ask_again_at = None
        if association.in_blocks:
            self._expect_blocks(now)
        if state is State.IDLE:
            if self._release_due and association.take_released():
                self._release_due = False
                self._deadline = None
                self._releasing = True
                link.disconnect(now)
                for event in link.events():
                    self._link_event(event, now)
        elif state is State.CLOSED:
            self._deadline = None
            if link.state is LinkState.CONNECTED:
                link.disconnect(now)
                link.events()
        elif link.state is LinkState.DISCONNECTED:
            association.fail(LinkLost("the link is down"))
        elif link.state is LinkState.CONNECTED and link.next_deadline() is None:
            self._wait_on(now)

    def _wait_on(self, now: float) -> None:
        """A push, or a repeated datagram, came in place of the answer: wait on, but not longer than for any answer."""
        if self._deadline is None or self._association.in_blocks:
            self._deadline = now + self._patience
        try:
            self._link.poll(now)
        except LocalProtocolError:
            logger.debug("the link is busy; nothing to poll")

    def _expect_blocks(self, now: float) -> None:
        """Have blocks that stay away asked for before the link gives up. Over HDLC none gets lost."""
        if self._link.bare is not None and self._association.state is not State.CLOSED:
            wait = self._link.response_timeout
            self._ask_again_at = now + (wait if self._datagram else wait / (MOST_RECOVERIES + 1))

    def _ask_again(self, now: float) -> None:
        self._ask_again_at = None
        link, association = self._link, self._association
        if association.state is State.CLOSED or not association.ask_again():
            return
        logger.info("blocks of a general block transfer stay away; asked for them again")
        if link.bare is not None:
            link.bare.stop_waiting()
        self._flush(now)
        self._expect_blocks(now)

    @property
    def _patience(self) -> float:
        """Seconds: as long as all tries of the link take, and a few at the least."""
        return max(_PATIENCE, self._link.tries) * self._link.response_timeout

    def _is_new(self, apdu: bytes, now: float) -> bool:
        if self._recent.take(apdu, now) is Repetition.NEW:
            return True
        logger.info("dropped a datagram that came twice")
        return False

    def _trace_frame(self, direction: str, octets: bytes) -> None:
        trace = self._association.trace
        if trace is not None:
            trace("link", direction, self._redactor.frame(direction, octets))
