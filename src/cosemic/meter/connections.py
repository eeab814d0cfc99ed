"""The meter's side of one connection, without I/O: which octets belong to which client, and what is answered.

A wrapper connection carries any number of (client, server) pairs of wPorts, an HDLC line any number of address pairs.
Each pair has an association, and with it a security state, of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from cosemic.apdu.services import ActionOutcome
from cosemic.enums import ActionResult, DataAccessResult, Role
from cosemic.errors import DlmsError, FrameError
from cosemic.link.broadcast import ALL_STATIONS
from cosemic.link.control import FrameKind
from cosemic.link.events import ApduReceived, FrameDropped, LinkDown, LinkFailed, LinkUp, UnconfirmedApduReceived
from cosemic.link.frames import FrameReader, HdlcAddress, HdlcFrame
from cosemic.link.hdlc import HdlcLink
from cosemic.link.parameters import HdlcParameters, HdlcTimers
from cosemic.link.wrapper import WrapperPdu, WrapperReader
from cosemic.meter.model import SimulatedMeter
from cosemic.protocol.datagrams import AnsweredRequests
from cosemic.protocol.events import Requested
from cosemic.protocol.redaction import FrameRedactor
from cosemic.protocol.requests import ActionResults, Get, GetResults, Request, Result, Set, SetResults
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.states import State

logger = logging.getLogger("cosemic.meter")

Trace: TypeAlias = Callable[[str, str, bytes], None]

MOST_PAIRS = 32
"""Associations on one connection; the peer chooses how many it asks for."""

MOST_AHEAD = 1 << 20
"""Octets of answers to what came in one piece; a client that waits for its answers stays far below."""


class Talk:
    """What one client SAP says to one logical device, and what that answers."""

    __slots__ = ("_answered", "_association", "_meter", "_pair", "redactor")

    def __init__(self, meter: SimulatedMeter, client_sap: int, server_sap: int, trace: Trace | None = None) -> None:
        self._meter = meter
        self._pair = (client_sap, server_sap)
        self._answered: AnsweredRequests | None = None
        self.redactor = FrameRedactor()
        self._association = ServerAssociation(meter.settings(client_sap, server_sap), trace=trace)

    def receive(self, apdu: bytes) -> list[bytes]:
        """Take an APDU, give those to send back."""
        association = self._association
        association.receive_apdu(apdu)
        while events := association.events():
            for event in events:
                if isinstance(event, Requested):
                    result = self._execute(event)
                    if event.confirmed:
                        association.respond(result)
        return association.apdus_to_send()

    def receive_datagram(self, apdu: bytes, now: float) -> list[bytes]:
        """Take an APDU that may have come before: it is answered again, but nothing is done twice."""
        answered = self._answered
        if answered is None:
            answered = self._answered = AnsweredRequests()
        answers = answered.repeated(apdu, now, self._association.state is not State.IDLE)
        if answers is None:
            answers = self.receive(apdu)
            for answer in answers:
                answered.add(answer)
        return answers

    def close(self, reason: str) -> None:
        """The link below is gone."""
        self._association.abort(reason)

    def _execute(self, event: Requested) -> Result:
        try:
            return self._meter.execute(self._pair, event.request, event.protection)
        except Exception:
            # A bug in an object of the meter must not end the talk with its client.
            logger.exception("the meter failed to carry out a request")
            return _refusal(event.request)


NewTalk: TypeAlias = Callable[[int, int], Talk]
"""Makes the talk between a client SAP and a logical device."""


def _refusal(request: Request) -> Result:
    count = len(request.items)
    if isinstance(request, Get):
        return GetResults((DataAccessResult.OTHER_REASON,) * count)
    if isinstance(request, Set):
        return SetResults((DataAccessResult.OTHER_REASON,) * count)
    return ActionResults((ActionOutcome(ActionResult.OTHER_REASON, None),) * count)


class MeterConnection(Protocol):
    """The meter's side of a stream."""

    @property
    def is_broken(self) -> bool:
        """Whether what came makes no sense any more, so that the stream has to be closed."""

    def receive_data(self, data: bytes, now: float) -> bytes:
        """Take octets, give those to send back; never raises because of what they are."""

    def next_deadline(self) -> float | None:
        """When ``on_time`` wants to be called."""

    def on_time(self, now: float) -> bytes:
        """Tell the time; gives octets to send."""

    def close(self) -> None:
        """The stream has ended."""


class WrapperConnection:
    """Wrapper PDUs of one TCP connection, or of one UDP peer."""

    __slots__ = ("_meter", "_new_talk", "_reader", "_talks", "_trace", "is_broken")

    def __init__(self, meter: SimulatedMeter, *, trace: Trace | None = None, new_talk: NewTalk | None = None) -> None:
        self._meter = meter
        self._trace = trace
        self._new_talk = new_talk or (lambda client, server: Talk(meter, client, server, trace))
        self._reader = WrapperReader()
        self._talks: dict[tuple[int, int], Talk] = {}
        self.is_broken = False

    def receive_data(self, data: bytes, now: float) -> bytes:
        """Take octets of the stream."""
        out: list[bytes] = []
        size = 0
        for item in self._reader.feed(data):
            if isinstance(item, FrameError):
                logger.info("connection closed: %s", item)
                self.is_broken = True
                break
            answer = self._answer(item)
            out.append(answer)
            size += len(answer)
            if size > MOST_AHEAD:
                logger.warning("connection closed: it asks for more than it can have listened to")
                self.is_broken = True
                break
        return out[0] if len(out) == 1 else b"".join(out)

    def receive_datagram(self, data: bytes, now: float) -> list[bytes]:
        """Take one datagram, give those to send back."""
        try:
            pdu = WrapperPdu.decode(data)
        except FrameError as error:
            logger.info("datagram dropped: %s", error)
            return []
        answer = self._answer(pdu, now)
        return [answer] if answer else []

    def next_deadline(self) -> float | None:
        """None: TCP and UDP need no timers here."""
        return None

    def on_time(self, now: float) -> bytes:
        """Nothing to do."""
        return b""

    def close(self) -> None:
        """The stream has ended: so have the associations."""
        for talk in self._talks.values():
            talk.close("the connection ended")
        self._talks.clear()

    def _answer(self, pdu: WrapperPdu, now: float | None = None) -> bytes:
        """What to send back; ``now`` for a datagram, which may have come before."""
        pair = (pdu.source, pdu.destination)
        talk = self._talks.get(pair)
        if talk is None:
            if pdu.destination == ALL_STATIONS:
                _unconfirmed(self._meter, self._new_talk, pdu.source, pdu.apdu, self._meter.devices)
                return b""
            if len(self._talks) >= MOST_PAIRS or pdu.destination not in self._meter.devices:
                logger.info("PDU from client %d to logical device %d dropped", *pair)
                return b""
            talk = self._talks[pair] = self._new_talk(*pair)
        if self._trace is not None:
            self._trace("link", "in", talk.redactor.frame("in", pdu.encode()))
        answers = talk.receive(pdu.apdu) if now is None else talk.receive_datagram(pdu.apdu, now)
        out = [WrapperPdu(pdu.destination, pdu.source, apdu).encode() for apdu in answers]
        if self._trace is not None:
            for octets in out:
                self._trace("link", "out", talk.redactor.frame("out", octets))
        return b"".join(out)


def _unconfirmed(
    meter: SimulatedMeter, new_talk: NewTalk, client_sap: int, apdu: bytes, devices: Iterable[int]
) -> None:
    """What comes outside a link: logical devices with a pre-established association take it, none answers."""
    for server_sap in devices:
        settings = meter.settings(client_sap, server_sap)
        if settings is not None and settings.pre_established:
            talk = new_talk(client_sap, server_sap)
            talk.receive(apdu)
            talk.close("the request is over")


class HdlcConnection:
    """The frames of one line. ``physical_address`` None answers to every physical address."""

    def __init__(
        self,
        meter: SimulatedMeter,
        *,
        parameters: HdlcParameters,
        timers: HdlcTimers,
        physical_address: int | None = None,
        trace: Trace | None = None,
        new_talk: NewTalk | None = None,
    ) -> None:
        self._meter = meter
        self._new_talk = new_talk or (lambda client, server: Talk(meter, client, server, trace))
        self._outside: HdlcLink | None = None  # puts UI frames together that belong to no link
        self._parameters = parameters
        self._timers = timers
        self._physical_address = physical_address
        self._trace = trace
        self._reader = FrameReader()
        self._silence: float | None = None
        self._stations: dict[tuple[HdlcAddress, HdlcAddress], _Station] = {}
        self.is_broken = False

    @property
    def is_idle(self) -> bool:
        """Whether no client has a link."""
        return not self._stations

    def receive_data(self, data: bytes, now: float) -> bytes:
        """Take octets of the line; what is no frame is skipped."""
        reader = self._reader
        out = self._frames(reader.feed(data), now)
        self._silence = now + self._timers.inter_octet_timeout if reader.is_partial else None
        return out

    def next_deadline(self) -> float | None:
        """The end of a silence within a frame, or of a client's inactivity."""
        deadline = self._silence
        for station in self._stations.values():
            due = station.link.next_deadline()
            if due is not None and (deadline is None or due < deadline):
                deadline = due
        return deadline

    def on_time(self, now: float) -> bytes:
        """Give up frames that stay incomplete and clients that stay silent."""
        out = b""
        if self._silence is not None and now >= self._silence:
            self._silence = None
            out = self._frames(self._reader.expire(), now)
        for station in list(self._stations.values()):
            station.link.on_time(now)
            out += station.work(now)
        self._forget()
        return out

    def close(self) -> None:
        """The line is gone, and all associations with it."""
        for station in self._stations.values():
            station.end()
        self._stations.clear()

    def _frames(self, items: list[HdlcFrame | FrameDropped], now: float) -> bytes:
        out: list[bytes] = []
        size = 0
        for item in items:
            if not isinstance(item, HdlcFrame):
                logger.info("%d octets dropped: %s", len(item.octets), item.reason)
                continue
            if item.kind is FrameKind.UNNUMBERED_INFORMATION and (item.source, item.destination) not in self._stations:
                self._take_unconfirmed(item, now)
                continue
            station = self._station(item)
            if station is None:
                continue
            station.link.receive_frame(item, now)
            answer = station.work(now)
            if station.is_down:
                self._forget()
            out.append(answer)
            size += len(answer)
            if size > MOST_AHEAD:  # RR after RR, each of which has a whole window sent again
                logger.warning("connection closed: it asks for more than it can have listened to")
                self.is_broken = True
                break
        return out[0] if len(out) == 1 else b"".join(out)

    def _take_unconfirmed(self, frame: HdlcFrame, now: float) -> None:
        """UI frames to all stations, or to one that has no link with their sender."""
        called = frame.destination
        if not called.is_all_station and self._own_address(called) is None:
            return
        devices = list(self._meter.devices) if called.is_all_station else [called.logical]
        link = self._outside
        if link is None or link.destination != frame.source or link.source != called:
            link = self._outside = HdlcLink(Role.SERVER, destination=frame.source, source=frame.destination)
        link.receive_frame(frame, now)
        for event in link.events():
            if isinstance(event, UnconfirmedApduReceived):
                _unconfirmed(self._meter, self._new_talk, frame.source.logical, event.apdu, devices)

    def _station(self, frame: HdlcFrame) -> _Station | None:
        pair = (frame.source, frame.destination)
        station = self._stations.get(pair)
        if station is not None:
            return station
        own = self._own_address(frame.destination)
        if own is None:
            return None
        station = _Station(
            self._new_talk,
            HdlcLink(
                Role.SERVER, destination=frame.source, source=own, parameters=self._parameters, timers=self._timers
            ),
            self._trace,
        )
        if frame.kind is FrameKind.SET_NORMAL_RESPONSE_MODE:  # anything else is answered (DM) and forgotten
            if len(self._stations) >= MOST_PAIRS:
                logger.info("SNRM of client %s dropped: too many clients on one line", frame.source)
                return None
            self._stations[pair] = station
        return station

    def _own_address(self, called: HdlcAddress) -> HdlcAddress | None:
        """Our address where a frame is for us."""
        if called.logical not in self._meter.devices:
            return None
        if self._physical_address is None or called.physical is None:
            return called
        if called.physical != self._physical_address:
            return None
        return called

    def _forget(self) -> None:
        for pair in [pair for pair, station in self._stations.items() if station.is_down]:
            del self._stations[pair]


class _Station:
    """One address pair of a line: its link, and the talk while the link is up."""

    __slots__ = ("_new_talk", "_talk", "is_down", "link")

    def __init__(self, new_talk: NewTalk, link: HdlcLink, trace: Trace | None) -> None:
        self.link = link
        self.is_down = False
        self._new_talk = new_talk
        self._talk: Talk | None = None
        if trace is not None:
            redactor = FrameRedactor()
            link.trace = lambda direction, octets: trace("link", direction, redactor.frame(direction, octets))

    def work(self, now: float) -> bytes:
        """Deal with what the link received, give the octets to send."""
        link = self.link
        for event in link.events():
            if isinstance(event, ApduReceived):
                self._answer(event.apdu, now)
            elif isinstance(event, UnconfirmedApduReceived):
                if self._talk is not None:
                    self._talk.receive(event.apdu)
            elif isinstance(event, LinkUp):
                self.end()
                self.is_down = False
                self._talk = self._new_talk(link.destination.logical, link.source.logical)
            elif isinstance(event, LinkDown | LinkFailed):
                self.end()
                self.is_down = True
        return link.data_to_send()

    def end(self) -> None:
        """The association ends with the link."""
        if self._talk is not None:
            self._talk.close("the link is down")
            self._talk = None

    def _answer(self, apdu: bytes, now: float) -> None:
        if self._talk is None:
            return
        answers = self._talk.receive(apdu)
        try:
            for answer in answers:
                self.link.send_apdu(answer, now)
            if not answers:
                self.link.acknowledge(now)
        except DlmsError as error:
            logger.info("an answer could not be sent: %s", error)
