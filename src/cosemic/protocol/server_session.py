"""A server's associations together with their link: octets in, octets and events out.

One session serves one link: one HDLC connection of one client, or one wrapper stream. Over the wrapper every client SAP
has an association of its own, as each PDU names its client. ``Requested`` is answered with ``respond`` before more
octets are given to ``receive_data``; the answer goes to whoever asked.
"""

from __future__ import annotations

from collections.abc import Callable

from cosemic.apdu.base import Apdu
from cosemic.errors import DlmsError, LocalProtocolError
from cosemic.link.addresses import HdlcAddress
from cosemic.link.events import (
    ApduReceived,
    FrameDropped,
    Link,
    LinkDown,
    LinkEvent,
    LinkFailed,
    LinkState,
    LinkUp,
    UnconfirmedApduReceived,
)
from cosemic.link.hdlc import HdlcLink
from cosemic.protocol.association import Trace, logger
from cosemic.protocol.datagrams import AnsweredRequests
from cosemic.protocol.events import Failed, ServerEvent
from cosemic.protocol.redaction import FrameRedactor
from cosemic.protocol.requests import Result
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.settings import ServerSettings
from cosemic.protocol.states import State

_MAX_CLIENTS = 64


class ServerSession:
    """The server's end of one link. ``lookup`` gives the settings for a client SAP, or None for one that has none."""

    __slots__ = (
        "_answered",
        "_associations",
        "_current",
        "_datagram",
        "_events",
        "_link",
        "_lookup",
        "_redactor",
        "_sap",
        "trace",
    )

    def __init__(
        self,
        link: Link,
        lookup: Callable[[int], ServerSettings | None],
        *,
        datagram: bool = False,
        trace: Trace | None = None,
    ) -> None:
        self.trace = trace
        self._link = link
        self._lookup = lookup
        self._datagram = datagram
        self._associations: dict[int, ServerAssociation] = {}
        self._current: ServerAssociation | None = None
        self._sap = 0
        self._redactor = FrameRedactor()
        self._events: list[ServerEvent] = []
        self._answered: dict[int, AnsweredRequests] = {}
        if trace is not None:
            link.trace = self._trace_frame

    @property
    def link(self) -> Link:
        """The link below."""
        return self._link

    @property
    def association(self) -> ServerAssociation | None:
        """The association of the client that was heard last."""
        return self._current

    @property
    def associations(self) -> tuple[ServerAssociation, ...]:
        """The associations of all clients of this link."""
        return tuple(self._associations.values())

    def start(self, now: float) -> None:
        """Be ready for the client: needed by links that need no connection of their own, such as the wrapper."""
        if self._link.state is LinkState.DISCONNECTED and not isinstance(self._link, HdlcLink):
            self._link.connect(now)
            self._link_events(now)

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the client; never raises because of what they are."""
        self._link.receive_data(data, now)
        self._link_events(now)

    def receive_apdu(self, apdu: bytes, client_sap: int, now: float) -> None:
        """Take an APDU from a link that is read elsewhere."""
        association = self._associations.get(client_sap)
        if association is None:
            association = self._new_association(client_sap)
        self._current = association
        self._sap = client_sap
        if self._datagram:
            answers = self._answered[client_sap].repeated(apdu, now, association.state is not State.IDLE)
            if answers is not None:
                logger.info("a request came twice")
                for answer in answers:
                    self._send(answer, now)
                return
        association.receive_apdu(apdu)
        answered = self._collect(association, now)
        if not answered and association.state is not State.EXCHANGING and isinstance(self._link, HdlcLink):
            self._link.acknowledge(now)

    def respond(self, result: Result, now: float) -> None:
        """Answer the request that was told of last."""
        if self._current is None:
            raise LocalProtocolError("respond: no request is open")
        self._current.respond(result)
        self._collect(self._current, now)

    def notify(self, apdu: Apdu, now: float) -> None:
        """Push an APDU to the client that was heard last."""
        if self._current is None:
            raise LocalProtocolError("notify: no client is there yet")
        self._current.notify(apdu)
        self._collect(self._current, now)

    def end_of_stream(self, now: float) -> None:
        """The client closed the stream."""
        self._link.end_of_stream(now)
        self._link_events(now)

    def events(self) -> list[ServerEvent]:
        """What happened since the last call."""
        events = self._events
        if events:
            self._events = []
        return events

    def data_to_send(self) -> bytes:
        """The octets to write now."""
        return self._link.data_to_send()

    def next_deadline(self) -> float | None:
        """When ``on_time`` wants to be called; None while nothing is waited for."""
        return self._link.next_deadline()

    def on_time(self, now: float) -> None:
        """Tell the time."""
        self._link.on_time(now)
        self._link_events(now)

    def _link_events(self, now: float) -> None:
        for event in self._link.events():
            if type(event) is ApduReceived:
                self.receive_apdu(event.apdu, self._client_sap(), now)
            else:
                self._link_event(event)

    def _link_event(self, event: LinkEvent) -> None:
        if isinstance(event, FrameDropped):
            logger.info("dropped %d octets: %s", len(event.octets), event.reason)
        elif isinstance(event, UnconfirmedApduReceived):
            logger.info("dropped an unconfirmed APDU of %d octets", len(event.apdu))
        elif isinstance(event, LinkUp):
            self._abort("the client connected the link again")
        elif isinstance(event, LinkDown):
            self._abort(event.reason)
        elif isinstance(event, LinkFailed):
            self._abort(str(event.error))
            self._events.append(Failed(event.error, True))

    def _client_sap(self) -> int:
        address: object = getattr(self._link, "destination", None)
        if isinstance(address, HdlcAddress):
            return address.logical
        return address if isinstance(address, int) else 0

    def _new_association(self, client_sap: int) -> ServerAssociation:
        if len(self._associations) >= _MAX_CLIENTS:
            oldest = next(iter(self._associations))
            association = self._associations.pop(oldest)
            del self._answered[oldest]
            association.abort("too many clients on one link")
            self._events += association.events()
        settings = self._lookup(client_sap)
        if self._datagram and settings is not None and settings.short_names is not None:
            settings = None  # without invoke ids a Read that is repeated on the way looks like the next one
        association = ServerAssociation(settings, datagram=self._datagram, trace=self.trace)
        self._associations[client_sap] = association
        self._answered[client_sap] = AnsweredRequests()
        self._events += association.events()
        return association

    def _abort(self, reason: str) -> None:
        for association in self._associations.values():
            association.abort(reason)
            self._events += association.events()
        self._associations.clear()
        self._answered.clear()
        self._current = None

    def _collect(self, association: ServerAssociation, now: float) -> bool:
        """Take the events and send the APDUs; whether there were any to send."""
        events = association.events()
        if events:
            self._events += events
        apdus = association.apdus_to_send()
        for apdu in apdus:
            if self._datagram:
                self._answered[self._sap].add(apdu)
            self._send(apdu, now)
        return bool(apdus)

    def _send(self, apdu: bytes, now: float) -> None:
        try:
            self._link.send_apdu(apdu, now, expect_response=False)
        except DlmsError as error:
            logger.warning("an answer could not be sent: %s", error)

    def _trace_frame(self, direction: str, octets: bytes) -> None:
        if self.trace is not None:
            self.trace("link", direction, self._redactor.frame(direction, octets))
