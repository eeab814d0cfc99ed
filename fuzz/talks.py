"""Fuzz targets for links, sessions and the meter: an input is a script of what the peer, the line and the time do.

Nothing that comes from outside may raise; whatever was begun must end, in fake time, with its result or an error; and
where messages are ciphered, nobody without the keys gets a result, a request or an association.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from cosemic.apdu.base import decode_apdu
from cosemic.apdu.services import ActionOutcome, AttributeDescriptor, MethodDescriptor
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import AuthenticationMechanism, DataAccessResult, Role
from cosemic.errors import DecodeError, DlmsError, LocalProtocolError
from cosemic.link.addresses import HdlcAddress
from cosemic.link.events import ApduReceived, LinkFailed, UnconfirmedApduReceived
from cosemic.link.frames import FrameReader, HdlcFrame
from cosemic.link.hdlc import HdlcLink
from cosemic.link.parameters import HdlcParameters, HdlcTimers
from cosemic.link.wrapper import WrapperLink, WrapperPdu, WrapperReader
from cosemic.meter import demo
from cosemic.meter.connections import HdlcConnection, WrapperConnection
from cosemic.obis import ObisCode
from cosemic.protocol.ciphering import Envelope, seal
from cosemic.protocol.events import (
    Associated,
    AssociationOpened,
    Completed,
    Failed,
    Notified,
    Released,
    Requested,
)
from cosemic.protocol.requests import Action, ActionResults, Get, GetResults, Request, Result, Set, SetResults
from cosemic.protocol.server_session import ServerSession
from cosemic.protocol.session import ClientSession
from cosemic.protocol.settings import ClientSettings, ServerSettings
from cosemic.protocol.states import State
from cosemic.security.context import AssociationSecurity, SecurityContext, SecurityPolicy
from cosemic.security.counters import MemoryCounters
from fuzz.pieces import Pieces
from fuzz.violation import require

ENCRYPTION_KEY = demo.ENCRYPTION_KEY
AUTHENTICATION_KEY = demo.AUTHENTICATION_KEY
CLIENT_TITLE = b"COS\x00\x00\x00\x00\x02"
METER_TITLE = demo.SYSTEM_TITLE
CLIENT_ADDRESS, SERVER_ADDRESS = HdlcAddress(16), HdlcAddress(1, 17)
TIMERS = HdlcTimers(response_timeout=1.0, retries=2, busy_timeout=4.0, inactivity_timeout=None)
REGISTER = ObisCode(1, 0, 1, 8, 0, 255)

_MOST_STEPS = 300
_WITH_INVOKE_ID = frozenset((0xC4, 0xC5, 0xC7))
_NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def hdlc_client(data: bytes) -> None:
    """A client's link: frames right and wrong, silence, our own calls at any moment."""
    _play_link(data, Role.CLIENT)


def hdlc_server(data: bytes) -> None:
    """A server's link."""
    _play_link(data, Role.SERVER)


def wrapper_link(data: bytes) -> None:
    """Wrapper links of both roles, over streams and datagrams."""
    pieces = Pieces(data)
    kind = pieces.octet()
    client = bool(kind & 1)
    link = WrapperLink(
        Role.CLIENT if client else Role.SERVER,
        source=16 if client else 1,
        destination=1 if client else None,
        datagram=bool(kind & 2),
        check_ports=not kind & 4,
        max_length=0xFFFF if kind & 8 else 100,
    )
    link.connect(0.0)
    stage = _LinkStage(link, _WrapperPeer(client, bare=True))
    stage.play(pieces)


def client_plain(data: bytes) -> None:
    """A client session without ciphering, over the wrapper: its peer may send what it likes, and be believed."""
    _play_client(data, "wrapper", None)


def client_hdlc(data: bytes) -> None:
    """The same over HDLC."""
    _play_client(data, "hdlc", None)


def client_ciphered(data: bytes) -> None:
    """A client session with ciphering, against a peer without the keys."""
    _play_client(data, "wrapper", False)


def client_sealed(data: bytes) -> None:
    """A client session with ciphering, against a peer that has the keys and sends nonsense."""
    _play_client(data, "wrapper", True)


def server_plain(data: bytes) -> None:
    """A server session without ciphering."""
    _play_server(data, "wrapper", None)


def server_hdlc(data: bytes) -> None:
    """The same over HDLC."""
    _play_server(data, "hdlc", None)


def server_ciphered(data: bytes) -> None:
    """A server session with ciphering, against a client without the keys."""
    _play_server(data, "wrapper", False)


def server_sealed(data: bytes) -> None:
    """A server session with ciphering, against a client that has the keys and sends nonsense."""
    _play_server(data, "wrapper", True)


def meter(data: bytes) -> None:
    """The simulated meter, over the wrapper: fresh, or with an association of one of its clients."""
    pieces = Pieces(data)
    kind = pieces.octet()
    connection = WrapperConnection(demo.demo_meter(profile_rows=8, clock=lambda: _NOON, max_pdu_size=200))
    _play_meter(connection, pieces, "wrapper", kind)


def meter_hdlc(data: bytes) -> None:
    """The simulated meter, over HDLC."""
    pieces = Pieces(data)
    kind = pieces.octet()
    model = demo.demo_meter(profile_rows=8, clock=lambda: _NOON, max_pdu_size=200)
    _play_meter(HdlcConnection(model, parameters=HdlcParameters(), timers=TIMERS), pieces, "hdlc", kind)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "hdlc-client": hdlc_client,
    "hdlc-server": hdlc_server,
    "wrapper-link": wrapper_link,
    "client": client_plain,
    "client-hdlc": client_hdlc,
    "client-ciphered": client_ciphered,
    "client-sealed": client_sealed,
    "server": server_plain,
    "server-hdlc": server_hdlc,
    "server-ciphered": server_ciphered,
    "server-sealed": server_sealed,
    "meter": meter,
    "meter-hdlc": meter_hdlc,
}
"""The targets of this module by name."""


# The peer: how an APDU becomes octets on the line


class _WrapperPeer:
    """Sends APDUs in wrapper PDUs to a client (``to_client``) or to a server; ``bare``: they need not be APDUs."""

    def __init__(self, to_client: bool, client: int = 16, *, bare: bool = False) -> None:
        self.is_bare = bare
        self._ports = (1, client) if to_client else (client, 1)

    def apdu(self, apdu: bytes) -> bytes:
        return WrapperPdu(*self._ports, apdu).encode()

    def odd(self, kind: int, content: bytes) -> bytes:
        """A PDU with another port, version or length."""
        octets = bytearray(self.apdu(content))
        octets[kind & 7] ^= 1 << (kind >> 5)
        return bytes(octets)

    def saw_ours(self, octets: bytes) -> None:
        """What the session sent must be PDUs whose APDUs can be decoded."""
        for item in WrapperReader().feed(octets):
            require(isinstance(item, WrapperPdu), "we sent what is no wrapper PDU", item)
            assert isinstance(item, WrapperPdu)
            if self.is_bare:
                continue
            try:
                decode_apdu(item.apdu)
            except DecodeError as error:
                require(False, "we sent an APDU that cannot be decoded", item.apdu.hex(), error)

    def saw_theirs(self, octets: bytes) -> None:
        """Nothing to remember."""


class _HdlcPeer:
    """Sends APDUs in I frames with right numbers, as far as the talk up to now shows them."""

    def __init__(self, to_client: bool, client: int = 16) -> None:
        addresses = (HdlcAddress(client), SERVER_ADDRESS)
        self._destination, self._source = addresses if to_client else addresses[::-1]
        self._header = b"\xe6\xe7\x00" if to_client else b"\xe6\xe6\x00"
        self._ours = FrameReader()
        self._theirs = FrameReader()
        self._send = self._receive = 0

    def apdu(self, apdu: bytes) -> bytes:
        octets = self._header + apdu
        parts = [octets[place : place + 128] for place in range(0, len(octets), 128)]
        frames = []
        for part in parts:
            last = part is parts[-1]
            control = self._receive << 5 | 0x10 | self._send << 1
            self._send = self._send + 1 & 7
            frames.append(HdlcFrame(self._destination, self._source, control, part, not last).encode())
        return b"".join(frames)

    def odd(self, kind: int, content: bytes) -> bytes:
        """A correct frame with any control field; some are SNRM, UA, DISC, RR as they should be."""
        if kind & 0x0F == 0x01:
            kind = self._receive << 5 | 0x11
        if kind & 0xEF in (0x83, 0x63):  # SNRM and UA begin a new count
            self._send = self._receive = 0
        return HdlcFrame(self._destination, self._source, kind, content, bool(len(content) & 1 and kind & 8)).encode()

    def saw_ours(self, octets: bytes) -> None:
        for item in self._ours.feed(octets):
            require(isinstance(item, HdlcFrame), "we sent what is no frame", item)
            assert isinstance(item, HdlcFrame)
            if item.send_number is not None:
                self._receive = item.send_number + 1 & 7

    def saw_theirs(self, octets: bytes) -> None:
        for item in self._theirs.feed(octets):
            if isinstance(item, HdlcFrame) and item.send_number is not None:
                self._send = item.send_number + 1 & 7


# The stages: what the script acts on


class _Stage:
    """Plays a script against one end; subclasses say what receiving, time and our own calls are."""

    def __init__(self, end: Any, peer: _WrapperPeer | _HdlcPeer) -> None:
        self.end = end
        self.peer = peer
        self.now = 0.0
        self.wrap: Callable[[bytes], bytes] = bytes

    def play(self, pieces: Pieces) -> None:
        for _ in range(_MOST_STEPS):
            if not pieces:
                break
            step = pieces.octet() & 7
            if step == 0:
                self.receive(self.peer.apdu(self.wrap(pieces.long())))
            elif step == 1:
                self.receive_in(self.peer.apdu(self.wrap(pieces.short())), 1)
            elif step == 2:
                self.receive(pieces.short())
            elif step == 3:
                self.receive_in(pieces.short(), 3)
            elif step == 4:
                self.receive(self.peer.odd(pieces.octet(), pieces.short()))
            elif step == 5:
                self.pass_time()
            elif step == 6:
                try:
                    self.act(pieces.octet())
                except LocalProtocolError as error:
                    str(error)
                self.collect()
            else:
                kind = pieces.octet()
                if kind > 0xF0:
                    self.end_of_stream()
                    self.collect()
                else:
                    self.now += kind / 64
        self.settle()

    def receive(self, octets: bytes) -> None:
        self.end.receive_data(octets, self.now)
        self.collect()

    def end_of_stream(self) -> None:
        self.end.end_of_stream(self.now)

    def receive_in(self, octets: bytes, size: int) -> None:
        for place in range(0, len(octets), size):
            self.receive(octets[place : place + size])

    def pass_time(self) -> bool:
        deadline = self.end.next_deadline()
        if deadline is None:
            return False
        self.now = max(self.now, deadline)
        self.end.on_time(self.now)
        self.collect()
        return True

    def settle(self) -> None:
        """Let the time pass until nothing is waited for."""
        for _ in range(1000):
            if not self.pass_time():
                return
        require(False, "it never comes to rest", self.end.next_deadline(), self.now)

    def collect(self) -> None:
        for _ in range(10_000):
            octets = self.end.data_to_send()
            if not octets:
                break
            self.peer.saw_ours(octets)
        else:
            require(False, "it never stops sending")
        for event in self.end.events():
            self.event(event)

    def act(self, kind: int) -> None:
        raise NotImplementedError

    def event(self, event: object) -> None:
        raise NotImplementedError


class _LinkStage(_Stage):
    """A bare link."""

    def act(self, kind: int) -> None:
        link, what = self.end, kind & 7
        if what == 0:
            link.connect(self.now)
        elif what == 1:
            link.disconnect(self.now)
        elif what == 2:
            link.poll(self.now)
        elif what == 3 and hasattr(link, "acknowledge"):
            link.acknowledge(self.now)
        elif what == 4 and hasattr(link, "send_unconfirmed"):
            link.send_unconfirmed(bytes(kind), self.now)
        else:
            link.send_apdu(bytes((kind,)) * (1 + kind * 3), self.now, expect_response=what != 5)

    def event(self, event: object) -> None:
        if isinstance(event, LinkFailed):
            require(isinstance(event.error, DlmsError) and str(event.error), "an error of another kind", event.error)
        elif isinstance(event, ApduReceived | UnconfirmedApduReceived):
            require(type(event.apdu) is bytes, "an APDU that is not bytes", event)
        repr(event)


class _ClientStage(_Stage):
    """A client session; keeps account of what was begun and has to end."""

    end: ClientSession

    def __init__(self, end: ClientSession, peer: _WrapperPeer | _HdlcPeer, trusted: bool) -> None:
        super().__init__(end, peer)
        self.trusted = trusted
        self.awaited = ""
        self.is_closed = False
        self.wrap = self.numbered

    def numbered(self, apdu: bytes) -> bytes:
        """An answer with invoke id 1 gets that of the request, which scripts cannot know; others keep what they say."""
        if len(apdu) > 2 and apdu[0] in _WITH_INVOKE_ID and apdu[2] & 0x0F == 1:
            return apdu[:2] + bytes((apdu[2] & 0xF0 | self.end._association._invoke_id,)) + apdu[3:]
        return apdu

    def act(self, kind: int) -> None:
        session = self.end
        what = kind % len(REQUESTS)
        if kind < 0xC0:
            session.request(REQUESTS[what], self.now)
            self.awaited = "request"
        elif kind < 0xE0:
            session.release(self.now)
            self.awaited = "release"
        elif kind < 0xF8:
            session.connect(self.now)
            self.awaited = "connect"
        else:
            session.abort()
            session.events()
            self.awaited, self.is_closed = "", True

    def event(self, event: object) -> None:
        repr(event)
        if isinstance(event, Notified):
            require(self.trusted or event.protection == SecurityPolicy.NONE, "a forged push", event)
            return
        require(not self.is_closed, "an event of a closed session", event)
        if isinstance(event, Failed):
            require(isinstance(event.error, DlmsError) and str(event.error), "an error of another kind", event.error)
            require(event.fatal or self.awaited, "a request failed that was not made", event)
            self.is_closed = event.fatal
            require(not event.fatal or self.end.state is State.CLOSED, "a fatal error, but not closed", event)
            self.awaited = ""
            return
        ends = {"request": Completed, "release": Released, "connect": Associated}
        require(self.awaited and isinstance(event, ends[self.awaited]), "an event that nothing asked for", event)
        require(self.trusted or isinstance(event, Released), "a forged answer was believed", event)
        if isinstance(event, Completed):
            for result in event.result.results:
                require(isinstance(result, Data | int | ActionOutcome), "an odd result", result)
        self.awaited = ""

    def settle(self) -> None:
        super().settle()
        require(not self.awaited, f"the {self.awaited} hangs", self.end.state)


class _ServerStage(_Stage):
    """A server session, with an application that answers everything."""

    end: ServerSession

    def __init__(self, end: ServerSession, peer: _WrapperPeer | _HdlcPeer, trusted: bool) -> None:
        super().__init__(end, peer)
        self.trusted = trusted

    def act(self, kind: int) -> None:
        if kind & 1:
            self.end.respond(GetResults(()), self.now)
        else:
            self.end.start(self.now)

    def event(self, event: object) -> None:
        repr(event)
        if isinstance(event, Failed):
            require(isinstance(event.error, DlmsError), "an error of another kind", event.error)
        if isinstance(event, Requested | AssociationOpened):
            require(self.trusted, "a client without the keys was served", event)
        if isinstance(event, Requested) and event.confirmed:
            self.end.respond(answer(event.request), self.now)
            self.collect()


class _MeterStage(_Stage):
    """The connection of a simulated meter."""

    end: WrapperConnection | HdlcConnection

    def receive(self, octets: bytes) -> None:
        if self.end.is_broken:
            return
        self.peer.saw_ours(self.end.receive_data(octets, self.now))

    def pass_time(self) -> bool:
        deadline = self.end.next_deadline()
        if deadline is None:
            return False
        self.now = max(self.now, deadline)
        self.peer.saw_ours(self.end.on_time(self.now))
        return True

    def end_of_stream(self) -> None:
        self.end.close()

    def act(self, kind: int) -> None:
        self.peer.saw_ours(self.end.on_time(self.now))

    def collect(self) -> None:
        """Nothing: a connection hands over its answers at once."""


REQUESTS: tuple[Request, ...] = (
    Get(((AttributeDescriptor(3, REGISTER, 2), None),)),
    Get(tuple((AttributeDescriptor(3, REGISTER, number), None) for number in range(1, 40))),
    Set(((AttributeDescriptor(3, REGISTER, 2), None),), (Data.of(axdr.octet_string(bytes(700))),)),
    Set(((AttributeDescriptor(3, REGISTER, 2), None),) * 2, (Data.of(axdr.unsigned(1)),) * 2),
    Action((MethodDescriptor(3, REGISTER, 1),), (None,)),
    Action((MethodDescriptor(3, REGISTER, 1),) * 2, (Data.of(axdr.octet_string(bytes(400))),) * 2),
)
"""What scripts can ask for: single, lists, blocks."""


def answer(request: Request) -> Result:
    """Something for every request: long values, short ones, errors, by the OBIS code."""
    if isinstance(request, Get):
        return GetResults(tuple(_value(attribute) for attribute, _ in request.items))
    if isinstance(request, Set):
        return SetResults(tuple(attribute.attribute & 1 for attribute, _ in request.items))
    return ActionResults(
        tuple(
            ActionOutcome(method.method & 1, parameters)
            for method, parameters in zip(request.items, request.parameters, strict=True)
        )
    )


def _value(attribute: AttributeDescriptor) -> Data | DataAccessResult:
    if attribute.attribute & 1:
        return DataAccessResult.OBJECT_UNDEFINED
    return Data.of(axdr.octet_string(bytes(attribute.instance.e * 5)))


def _play_link(data: bytes, role: Role) -> None:
    pieces = Pieces(data)
    kind = pieces.octet()
    client = role is Role.CLIENT
    addresses = (CLIENT_ADDRESS, SERVER_ADDRESS)
    destination, source = addresses[::-1] if client else addresses
    link = HdlcLink(
        role,
        destination=destination,
        source=source,
        parameters=HdlcParameters(200, 100 + kind, 1 + kind % 7, 1 + kind % 5),
        timers=TIMERS,
        max_apdu=1 << 20 if kind & 1 else 500,
    )
    peer = _HdlcPeer(client)
    stage = _LinkStage(link, peer)
    if kind & 2:
        if client:
            link.connect(0.0)
            stage.collect()
            stage.receive(peer.odd(0x73, b""))
        else:
            stage.receive(peer.odd(0x93, b""))
    stage.play(pieces)


def _settings(ciphered: bool, kind: int) -> tuple[ClientSettings, ServerSettings]:
    if ciphered:
        gmac = AuthenticationMechanism.HLS_GMAC
        contexts = [
            SecurityContext(0, title, ENCRYPTION_KEY, AUTHENTICATION_KEY, counters=MemoryCounters())
            for title in (CLIENT_TITLE, METER_TITLE)
        ]
        return (
            ClientSettings(mechanism=gmac, security=contexts[0], max_pdu_size=240, random_octets=bytes),
            ServerSettings(
                client_sap=16,
                mechanism=gmac,
                security=contexts[1],
                max_pdu_size=230,
                max_octets=10_000,
                random_octets=_counted,
            ),
        )
    mechanism = AuthenticationMechanism.LLS if kind & 16 else AuthenticationMechanism.NONE
    password = b"12345678"
    return (
        ClientSettings(
            mechanism=mechanism, password=password, max_pdu_size=128, max_octets=10_000, random_octets=bytes
        ),
        ServerSettings(
            client_sap=16,
            mechanism=mechanism,
            secret=password,
            max_pdu_size=100,
            max_octets=10_000,
            random_octets=_counted,
        ),
    )


def _counted(count: int) -> bytes:
    """Challenges that differ from the client's zeros."""
    return bytes(range(1, count + 1))


def _links(kind: str, datagram: bool = False) -> tuple[WrapperLink | HdlcLink, WrapperLink | HdlcLink]:
    if kind == "wrapper":
        return (
            WrapperLink(Role.CLIENT, source=16, destination=1, datagram=datagram, response_timeout=1.0),
            WrapperLink(Role.SERVER, source=1, destination=None, datagram=datagram),
        )
    return (
        HdlcLink(Role.CLIENT, destination=SERVER_ADDRESS, source=CLIENT_ADDRESS, timers=TIMERS),
        HdlcLink(Role.SERVER, destination=CLIENT_ADDRESS, source=SERVER_ADDRESS, timers=TIMERS),
    )


def _associate(
    client: ClientSession,
    receive: Callable[[bytes], bytes],
    from_client: Callable[[bytes], None],
    from_server: Callable[[bytes], None],
) -> None:
    """Carry octets between a client and what ``receive`` stands for until the association is open."""
    client.connect(0.0)
    while out := client.data_to_send():
        from_client(out)
        back = receive(out)
        from_server(back)
        client.receive_data(back, 0.0)
    events = client.events()
    require(len(events) == 1 and isinstance(events[0], Associated), "the association did not open", events)


def _through(server: ServerSession) -> Callable[[bytes], bytes]:
    def receive(octets: bytes) -> bytes:
        server.receive_data(octets, 0.0)
        back = b""
        while part := server.data_to_send():
            back += part
        return back

    return receive


def _sealer(context: SecurityContext | None, role: Role, title: bytes) -> Callable[[bytes], bytes]:
    """Protects an APDU as the owner of ``context`` would; the first octet tells how."""
    assert context is not None
    security = AssociationSecurity(context, role=role, peer_system_title=title)

    def wrap(apdu: bytes) -> bytes:
        if not apdu:
            return apdu
        how = apdu[0]
        policy = SecurityPolicy((1 + how % 3) << 4) if how & 0x80 else SecurityPolicy.AUTHENTICATED_ENCRYPTED
        return seal(security, apdu[1:] or b"\x00", Envelope(policy, general=bool(how & 0x40)))

    return wrap


def _play_client(data: bytes, link_kind: str, sealed: bool | None) -> None:
    """``sealed`` None: no ciphering; False: the peer lacks the keys; True: it has them."""
    pieces = Pieces(data)
    kind = pieces.octet()
    client_settings, server_settings = _settings(sealed is not None, kind)
    datagram = link_kind == "wrapper" and bool(kind & 32)
    links = _links(link_kind, datagram)
    client = ClientSession(links[0], client_settings, datagram=datagram)
    peer = _peer(link_kind, True)
    stage = _ClientStage(client, peer, trusted=sealed is not False)
    if sealed:
        sealer = _sealer(server_settings.security, Role.SERVER, CLIENT_TITLE)
        stage.wrap = lambda apdu: sealer(apdu[:1] + stage.numbered(apdu[1:]))
    if kind & 1:
        server = ServerSession(links[1], {16: server_settings}.get, datagram=datagram)
        server.start(0.0)
        _associate(client, _through(server), peer.saw_ours, peer.saw_theirs)
        if kind & 8:
            stage.act(kind >> 1 & 3 | (kind >> 4 & 4))
    else:
        stage.act(0xE0)  # connect
    stage.collect()
    stage.play(pieces)


def _play_server(data: bytes, link_kind: str, sealed: bool | None) -> None:
    pieces = Pieces(data)
    kind = pieces.octet()
    client_settings, server_settings = _settings(sealed is not None, kind)
    datagram = link_kind == "wrapper" and bool(kind & 32)
    links = _links(link_kind, datagram)
    server = ServerSession(links[1], {16: server_settings}.get, datagram=datagram)
    server.start(0.0)
    peer = _peer(link_kind, False)
    stage = _ServerStage(server, peer, trusted=sealed is not False)
    if sealed:
        stage.wrap = _sealer(client_settings.security, Role.CLIENT, METER_TITLE)
    if kind & 1:
        client = ClientSession(links[0], client_settings, datagram=datagram)
        _associate(client, _through(server), peer.saw_theirs, peer.saw_ours)
        server.events()
    stage.play(pieces)


def _play_meter(connection: WrapperConnection | HdlcConnection, pieces: Pieces, link_kind: str, kind: int) -> None:
    sap = (demo.PUBLIC_CLIENT, demo.READER_CLIENT, demo.MANAGER_CLIENT)[kind % 3]
    peer = _peer(link_kind, False, sap)
    stage = _MeterStage(connection, peer)
    if kind & 4:
        context = SecurityContext(0, CLIENT_TITLE, ENCRYPTION_KEY, AUTHENTICATION_KEY, counters=MemoryCounters())
        if sap == demo.MANAGER_CLIENT:
            settings = ClientSettings(
                client_sap=sap,
                mechanism=AuthenticationMechanism.HLS_GMAC,
                security=context,
                random_octets=_counted,
            )
            stage.wrap = _sealer(context, Role.CLIENT, METER_TITLE)
        elif sap == demo.READER_CLIENT:
            settings = ClientSettings(client_sap=sap, mechanism=AuthenticationMechanism.LLS, password=demo.LLS_PASSWORD)
        else:
            settings = ClientSettings(client_sap=sap)
        link: WrapperLink | HdlcLink = WrapperLink(Role.CLIENT, source=sap, destination=1)
        if link_kind == "hdlc":
            link = HdlcLink(Role.CLIENT, destination=SERVER_ADDRESS, source=HdlcAddress(sap), timers=TIMERS)
        client = ClientSession(link, settings)
        _associate(client, lambda octets: connection.receive_data(octets, 0.0), peer.saw_theirs, peer.saw_ours)
    stage.play(pieces)


def _peer(link_kind: str, to_client: bool, client: int = 16) -> _WrapperPeer | _HdlcPeer:
    return _WrapperPeer(to_client, client) if link_kind == "wrapper" else _HdlcPeer(to_client, client)
