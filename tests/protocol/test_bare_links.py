"""Links that acknowledge nothing, with a gateway between and without one: what is said while an answer is awaited."""

from __future__ import annotations

import pytest

from cosemic.apdu.notify import DataNotification, DataNotificationConfirm
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import AuthenticationMechanism, Conformance, Role
from cosemic.link.broadcast import BroadcastLink
from cosemic.link.events import Link
from cosemic.link.gateway import GatewayLink
from cosemic.link.hdlc import HdlcAddress, HdlcLink
from cosemic.link.mbus_link import MbusLink
from cosemic.link.wrapper import WrapperLink, WrapperPdu
from cosemic.protocol.events import Completed, Requested
from cosemic.protocol.server_session import ServerSession
from cosemic.protocol.session import ClientSession
from cosemic.protocol.settings import DEFAULT_CONFORMANCE, ClientSettings
from tests.pair.support import ECHO, ENERGY, PROFILE, ROWS, Application, action, client_settings, get, server_settings
from tests.pair.support import set_ as write
from tests.protocol.test_general_blocks import LONG, Lossy

UP, DOWN = bytes.fromhex("E6 00 01 31"), bytes.fromhex("E7 00 01 31")


class Behind(Lossy):
    """The server is behind a gateway."""

    def link_above(self, link: WrapperLink) -> Link:
        return GatewayLink(link, 0, b"1")

    def through(self, way: str, octets: bytes) -> bytes:
        if way == "down":
            return _each(super().through(way, octets), lambda apdu: DOWN + apdu)
        assert all(pdu[8:12] == UP for pdu in _pdus(octets))
        return super().through(way, _each(octets, lambda apdu: apdu[4:]))


def _pdus(octets: bytes) -> list[bytes]:
    found = []
    while octets:
        length = 8 + int.from_bytes(octets[6:8], "big")
        found.append(octets[:length])
        octets = octets[length:]
    return found


def _each(octets: bytes, change) -> bytes:  # type: ignore[no-untyped-def]
    decoded = [WrapperPdu.decode(pdu) for pdu in _pdus(octets)]
    return b"".join(WrapperPdu(pdu.source, pdu.destination, change(pdu.apdu)).encode() for pdu in decoded)


def test_which_links_are_bare() -> None:
    wrapper = WrapperLink(Role.CLIENT, source=16, destination=1)
    hdlc = HdlcLink(Role.CLIENT, destination=HdlcAddress(1), source=HdlcAddress(16))
    bus = MbusLink(address=1, source=16, destination=1)
    assert wrapper.bare is wrapper
    assert all(link.bare is None for link in (hdlc, bus, BroadcastLink(hdlc), GatewayLink(hdlc, 0, b"1")))
    behind = GatewayLink(wrapper, 0, b"1")
    assert behind.bare is behind


@pytest.mark.parametrize("window", [1, 4])
@pytest.mark.parametrize("kind", [Lossy, Behind])
def test_lost_blocks_are_asked_for_through_a_gateway(kind: type[Lossy], window: int) -> None:
    line = kind(set(), window=window)
    if window > 1:
        line.lost = {("up", number) for number in (2, 3)}  # the meter sees the gap
    line.client.request(write((1, ECHO, 2, LONG)), line.now)
    line.run()
    assert [type(event) for event in line.events] == [Completed]
    assert line.application.attributes[1, ECHO, 2] == Data.of(LONG)
    line.lost = {("down", number) for number in (2, 5, 6)}
    line.client.request(get((7, PROFILE, 2)), line.now)
    line.run()
    assert [type(event) for event in line.events] == [Completed]
    assert line.events[0].result.results == (Data.of(ROWS),)  # type: ignore[attr-defined]


@pytest.mark.parametrize("gateway", [False, True])
def test_a_confirmation_is_not_what_is_repeated(gateway: bool) -> None:
    """A confirmed push comes while an answer is awaited over UDP, and then the request has to be sent again."""
    link: Link = WrapperLink(Role.CLIENT, source=16, destination=1, response_timeout=2.0, datagram=True)
    up = down = b""
    if gateway:
        link, up, down = GatewayLink(link, 0, b"1"), UP, DOWN
    settings = ClientSettings(
        client_sap=16,
        server_sap=1,
        pre_established=True,
        conformance=DEFAULT_CONFORMANCE | Conformance.DATA_NOTIFICATION,
    )
    session = ClientSession(link, settings, datagram=True)
    session.connect(0.0)
    session.events()
    session.request(get((3, ENERGY, 2)), 0.0)
    request = session.data_to_send()
    push = DataNotification(0x40000007, b"", Data.of(axdr.unsigned(3)))
    session.receive_data(WrapperPdu(1, 16, down + push.encode()).encode(), 1.0)
    assert session.data_to_send() == WrapperPdu(16, 1, up + DataNotificationConfirm(0x40000007).encode()).encode()
    assert session.data_to_send() == b""
    due = session.next_deadline()
    assert due is not None
    session.on_time(due)
    assert session.data_to_send() == request


@pytest.mark.parametrize("window", [1, 4])
def test_a_slow_meter_carries_a_request_in_a_block_out_once(window: int) -> None:
    """Its answer comes after the client would have asked again."""
    settings = client_settings(AuthenticationMechanism.NONE, block_transfer_window=window)
    link = WrapperLink(Role.CLIENT, source=16, destination=1, response_timeout=6.0)
    client = ClientSession(link, settings)
    served = server_settings(AuthenticationMechanism.NONE, block_transfer_window=window)
    server = ServerSession(WrapperLink(Role.SERVER, source=1, destination=None), lambda sap: served)
    server.start(0.0)
    client.connect(0.0)
    application = Application()
    waiting: list[bytes] = []
    outcome: list[object] = []

    def pass_on(now: float) -> int:
        requests = 0
        for data in [*waiting, client.data_to_send()]:
            server.receive_data(data, now)
            for event in server.events():
                if isinstance(event, Requested):
                    requests += 1
                    server.respond(application.answer(event.request), now)
        waiting.clear()
        client.receive_data(server.data_to_send(), now)
        outcome.extend(client.events())
        return requests

    pass_on(0.0)
    client.request(action((3, ENERGY, 1, axdr.integer(0))), 0.0)
    waiting.append(client.data_to_send())
    assert waiting[0][8] == 0xE0
    for now in (1.0, 2.0, 3.0, 5.0):
        client.on_time(now)
        waiting.append(client.data_to_send())
    assert pass_on(5.5) == 1
    assert [type(event) for event in outcome[1:]] == [Completed]
    assert pass_on(5.6) == 0
