"""Pushes in and out: confirmed ones, protected ones, in blocks, and in the middle of everything."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from cosemic.apdu.base import Apdu, decode_apdu
from cosemic.apdu.general import GeneralBlockTransfer
from cosemic.apdu.notify import (
    DataNotification,
    DataNotificationConfirm,
    EventNotificationRequest,
    InformationReportRequest,
)
from cosemic.apdu.services import AttributeDescriptor, GetRequestNormal, VariableName
from cosemic.client import DlmsClient
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.cosem.short_names import CURRENT_ASSOCIATION, NamedObject, ShortNameTable
from cosemic.enums import AuthenticationMechanism, Conformance, Referencing, Role
from cosemic.errors import LocalProtocolError
from cosemic.link.frames import FrameReader, HdlcFrame
from cosemic.link.wrapper import WrapperLink, WrapperPdu
from cosemic.meter.demo import AUTHENTICATION_KEY, ENCRYPTION_KEY, demo_meter
from cosemic.meter.server import MeterServer
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.events import Associated, Completed, NotificationConfirmed, Notified
from cosemic.protocol.general_blocks import unacknowledged
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.session import ClientSession
from cosemic.protocol.settings import DEFAULT_CONFORMANCE, ClientSettings
from cosemic.protocol.short_naming import SHORT_NAME_CONFORMANCE
from cosemic.protocol.states import State
from cosemic.security.context import SecurityContext, SecurityPolicy
from cosemic.security.counters import MemoryCounters
from cosemic.transports.memory import FakeClock, MemoryStream, memory_pair
from tests.pair.support import (
    CLIENT_TITLE,
    ENERGY,
    METER_TITLE,
    PROFILE,
    ROWS,
    Pair,
    client_settings,
    get,
    security,
    server_settings,
)
from tests.vectors.collection import REASON, load

NONE, GMAC = AuthenticationMechanism.NONE, AuthenticationMechanism.HLS_GMAC
PUSH = DataNotification(0x00000005, b"", Data.of(axdr.structure(axdr.double_long_unsigned(77))))
CONFIRMED = DataNotification(0x40000006, b"", Data.of(axdr.unsigned(1)))
LONG = DataNotification(0x00000007, b"", Data.of(axdr.octet_string(bytes(range(256)) * 4)))
EVENT = EventNotificationRequest(None, AttributeDescriptor(1, ENERGY, 2), Data.of(axdr.unsigned(9)))
REPORT = InformationReportRequest(None, (VariableName(0x1000),), (Data.of(axdr.unsigned(2)),))
FULL = SecurityPolicy.AUTHENTICATED_ENCRYPTED


class PushingPair(Pair):
    """A pair whose server pushes after what it sends, a few times, once there was a request."""

    apdu: Apdu | None = None
    pushes = 0

    def _to_client(self) -> bool:
        apdu = self.apdu
        if apdu is None or self.pushes == 3 or not self.application.requests:
            return super()._to_client()
        cut = self.cut

        def then_push(data: bytes) -> list[bytes]:
            self.pushes += 1
            self.server.notify(apdu, self.now)
            return [data, self.server.data_to_send()]

        self.cut = then_push
        try:
            return super()._to_client()
        finally:
            self.cut = cut


def pair_of(protected: bool = False, kind: str = "wrapper", *, size: int = 0xFFFF, **options: Any) -> PushingPair:
    mechanism = GMAC if protected else NONE
    theirs = security(METER_TITLE) if protected else None
    conformance = options.pop("conformance", DEFAULT_CONFORMANCE)
    pair = PushingPair(
        client_settings(
            mechanism,
            security(CLIENT_TITLE) if protected else None,
            max_pdu_size=size,
            conformance=conformance,
            **options,
        ),
        server_settings(mechanism, theirs, max_pdu_size=size, conformance=conformance),
        kind,
    )
    assert isinstance(pair.connect(), Associated)
    pair.events.clear()
    pair.server_events.clear()
    return pair


def seen(pair: Pair) -> list[Notified]:
    return [event for event in pair.events if isinstance(event, Notified)]


def push(pair: Pair, *apdus: Apdu) -> None:
    for apdu in apdus:
        pair.server.notify(apdu, pair.now)
    pair.pump()


@pytest.mark.parametrize("protected", [False, True])
@pytest.mark.parametrize("apdu", [PUSH, CONFIRMED, LONG, EVENT], ids=["data", "confirmed", "long", "event"])
def test_every_kind_arrives_with_its_protection(protected: bool, apdu: Apdu) -> None:
    pair = pair_of(protected)
    push(pair, apdu)
    assert seen(pair) == [Notified(apdu, FULL if protected else SecurityPolicy.NONE)]
    assert pair.client.state is State.ASSOCIATED
    assert pair.do(get((3, ENERGY, 2))).results[0].value == 12345


@pytest.mark.parametrize("protected", [False, True])
def test_an_information_report(protected: bool) -> None:
    """It belongs to short names, and has a glo- APDU of its own."""
    mechanism = GMAC if protected else NONE
    names = ShortNameTable([NamedObject(0xFA00, 12, 2, CURRENT_ASSOCIATION), NamedObject(0x0100, 3, 0, ENERGY)])
    pair = Pair(
        client_settings(
            mechanism,
            security(CLIENT_TITLE) if protected else None,
            referencing=Referencing.SHORT_NAME,
            short_names=names,
        ),
        server_settings(
            mechanism,
            security(METER_TITLE) if protected else None,
            short_names=names,
            conformance=SHORT_NAME_CONFORMANCE,
        ),
    )
    event = pair.connect()
    assert isinstance(event, Associated)
    pair.events.clear()
    pair.server.notify(REPORT, 0.0)
    octets = pair.server.data_to_send()
    assert octets[8] == (0x38 if protected else 0x18)
    pair.client.receive_data(octets, 0.0)
    assert pair.client.events() == [Notified(REPORT, FULL if protected else SecurityPolicy.NONE)]
    with pytest.raises(LocalProtocolError, match="event-notification"):
        pair.server.notify(EVENT, 0.0)


@pytest.mark.parametrize("protected", [False, True])
def test_a_confirmed_push_is_confirmed(protected: bool) -> None:
    pair = pair_of(protected)
    wire: list[bytes] = []
    pair.client.link.trace = lambda way, octets: wire.append(octets[8:]) if way == "out" else None
    push(pair, CONFIRMED)
    assert [type(event) for event in pair.server_events] == [NotificationConfirmed]
    assert pair.server_events[0].long_invoke_id == 6  # type: ignore[attr-defined]
    (confirmation,) = wire
    if protected:
        assert confirmation[0] == 0xDB
    else:
        assert decode_apdu(confirmation) == DataNotificationConfirm(0x40000006)
    push(pair, PUSH)
    assert len(wire) == 1  # nobody asked for it


def test_a_push_that_comes_again_is_told_of_once() -> None:
    pair = pair_of(True)
    push(pair, CONFIRMED, CONFIRMED)
    assert len(seen(pair)) == 1
    assert len([event for event in pair.server_events if isinstance(event, NotificationConfirmed)]) == 2
    push(pair, DataNotification(0x40000007, b"", CONFIRMED.body))
    assert len(seen(pair)) == 2


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
@pytest.mark.parametrize("protected", [False, True])
@pytest.mark.parametrize("window", [0, 1, 4])
@pytest.mark.parametrize("apdu", [PUSH, CONFIRMED, EVENT, LONG], ids=["data", "confirmed", "event", "long"])
def test_in_the_middle_of_blocks(kind: str, protected: bool, window: int, apdu: Apdu) -> None:
    """Of the service, and general ones: pushed after the first block of an answer, which then comes whole."""
    if not window and apdu is LONG:
        with pytest.raises(LocalProtocolError, match="do not fit"):
            push(pair_of(protected, kind, size=200, **without_blocks()), LONG)
        return
    options = {"block_transfer_window": window} if window else without_blocks()
    pair = pair_of(protected, kind, size=200, **options)
    pair.apdu = apdu
    result = pair.do(get((7, PROFILE, 2)))
    assert result.results == (Data.of(ROWS),)
    assert pair.pushes == 3
    pair.pump()
    notified = seen(pair)
    assert all(event.apdu == apdu for event in notified)
    assert {event.protection for event in notified} == {FULL if protected else SecurityPolicy.NONE}
    assert len(notified) == (1 if apdu is CONFIRMED else 3)


def without_blocks() -> dict[str, Any]:
    return {
        "block_transfer_window": 0,
        "conformance": DEFAULT_CONFORMANCE & ~Conformance.GENERAL_BLOCK_TRANSFER,
    }


def test_while_the_client_proves_itself() -> None:
    """Between AARE and pass 4 nothing is agreed on yet; what comes all the same disturbs nothing."""
    ours, theirs = security(CLIENT_TITLE), security(METER_TITLE)
    client = ClientAssociation(client_settings(GMAC, ours))
    server = ServerAssociation(server_settings(GMAC, theirs))
    client.associate()
    for _ in range(4):
        for apdu in client.apdus_to_send():
            client.receive_apdu(PUSH.encode())
            server.receive_apdu(apdu)
        for apdu in server.apdus_to_send():
            client.receive_apdu(EVENT.encode())
            client.receive_apdu(apdu)
    events = client.events()
    assert sum(isinstance(event, Associated) for event in events) == 1
    assert sum(isinstance(event, Notified) for event in events) == 4
    assert client.state is State.ASSOCIATED


def test_push_policy() -> None:
    for policy, kept in ((0, 2), (SecurityPolicy.AUTHENTICATED, 1), (FULL, 1)):
        pair = pair_of(True, push_policy=policy)
        push(pair, PUSH)
        plain = WrapperPdu(1, 16, EVENT.encode()).encode()
        pair.client.receive_data(plain, pair.now)
        pair.events += pair.client.events()
        assert len(seen(pair)) == kept
        assert pair.do(get((3, ENERGY, 2))).results[0].value == 12345


def test_a_forged_push_disturbs_nothing() -> None:
    pair = pair_of(True)
    pair.server.notify(PUSH, pair.now)
    octets = pair.server.data_to_send()
    forged = octets[:-1] + bytes((octets[-1] ^ 1,))
    for item in (forged, octets, octets):  # altered, right, replayed
        pair.client.receive_data(item, pair.now)
    pair.events += pair.client.events()
    assert [event.apdu for event in seen(pair)] == [PUSH]
    assert pair.do(get((3, ENERGY, 2))).results[0].value == 12345


@pytest.mark.parametrize("lost", range(3))
def test_a_push_in_blocks_that_misses_one_is_dropped(lost: int) -> None:
    client = ClientAssociation(ClientSettings())
    blocks = unacknowledged(LONG.encode(), 400)
    assert len(blocks) == 3
    for number, octets in enumerate(blocks):
        if number != lost:
            client.receive_apdu(octets)
    assert client.events() == []
    for octets in blocks:
        client.receive_apdu(octets)
    (event,) = client.events()
    assert event == Notified(LONG, SecurityPolicy.NONE)


def test_a_push_in_acknowledged_blocks() -> None:
    pair = pair_of()
    whole = PUSH.encode()
    association = pair.client._association
    association.receive_apdu(GeneralBlockTransfer(False, False, 3, 1, 0, whole[:5]).encode())
    association.receive_apdu(GeneralBlockTransfer(True, False, 3, 2, 1, whole[5:]).encode())
    assert [apdu.hex() for apdu in association.apdus_to_send()] == ["e0900001000100", "e0900002000200"]
    assert [event.apdu for event in pair.client.events()] == [PUSH]
    assert pair.do(get((7, PROFILE, 2))).results == (Data.of(ROWS),)


def test_over_udp_the_request_is_what_is_repeated() -> None:
    """The confirmation of a push goes out between the tries, and is not taken for the request."""
    link = WrapperLink(Role.CLIENT, source=16, destination=1, response_timeout=1.0, retries=3, datagram=True)
    client = ClientSession(link, ClientSettings(pre_established=True), datagram=True)
    client.connect(0.0)
    client.request(get((3, ENERGY, 2)), 0.0)
    request = client.data_to_send()
    assert isinstance(decode_apdu(request[8:]), GetRequestNormal)
    client.receive_data(WrapperPdu(1, 16, CONFIRMED.encode()).encode(), 0.5)
    assert isinstance(decode_apdu(client.data_to_send()[8:]), DataNotificationConfirm)
    now = client.next_deadline()
    assert now is not None
    client.on_time(now)
    assert client.data_to_send() == request
    client.receive_data(WrapperPdu(1, 16, bytes.fromhex("c401c1000600003039")).encode(), now)
    assert [type(event) for event in client.events()] == [Associated, Notified, Completed]


def test_what_a_meter_may_push() -> None:
    nothing = ServerAssociation(server_settings(NONE, pre_established=True, conformance=Conformance.GET))
    for apdu, name in ((PUSH, "data-notification"), (EVENT, "event-notification"), (REPORT, "information-report")):
        with pytest.raises(LocalProtocolError, match=name):
            nothing.notify(apdu)
    with pytest.raises(LocalProtocolError, match="is no notification"):
        nothing.notify(DataNotificationConfirm(1))
    small = pair_of(size=100, **without_blocks())
    with pytest.raises(LocalProtocolError, match="maximum PDU of 100"):
        small.server.notify(LONG, 0.0)


def test_confirmations_that_are_none() -> None:
    pair = pair_of(True)
    for octets in (DataNotificationConfirm(1).encode(), b"\x10\x00", b"\x10"):
        pair.server.receive_data(WrapperPdu(16, 1, octets).encode(), 0.0)
    assert pair.server.data_to_send() == b""
    assert pair.server.events() == []
    assert pair.do(get((3, ENERGY, 2))).results[0].value == 12345


# The vectors


CASES = {case["name"]: case for case in load("pushes") if "-gbt-" in case["name"]}


@pytest.mark.skipif(not CASES, reason=REASON)
@pytest.mark.parametrize("name", CASES)
def test_recorded_pushes_in_general_blocks(name: str) -> None:
    """Landis+Gyr E450: UI frames with blocks of window 0, plain or general-glo as a whole."""
    case = CASES[name]
    expected, keys = case["expected"], case.get("keys")
    context = None
    if keys:
        context = SecurityContext(
            0,
            CLIENT_TITLE,
            bytes.fromhex(keys["encryption_key"]),
            bytes.fromhex(keys["authentication_key"]),
            counters=MemoryCounters(),
            peer_system_title=bytes.fromhex(expected["ciphering"]["system_title"]),
        )
    client = ClientAssociation(ClientSettings(pre_established=True, security=context))
    client.associate()
    client.events()
    frames = [item for item in FrameReader().feed(bytes.fromhex(case["bytes"])) if isinstance(item, HdlcFrame)]
    assert len(frames) == len(expected["gbt_blocks"])
    for frame in frames:
        information = frame.information
        client.receive_push(information[3:] if information[:3] == bytes.fromhex("e6e700") else information)
    (event,) = client.events()
    assert event.protection is (FULL if keys else SecurityPolicy.NONE)
    assert event.apdu.encode().hex() == expected.get("plaintext", expected["apdu_hex"])
    assert client.apdus_to_send() == []


# The simulated meter


class Served:
    """A demo meter behind streams in memory, on fake time."""

    def __init__(self, framing: str) -> None:
        self.framing = framing
        self.clock = FakeClock()
        self.meter = demo_meter(profile_rows=40, max_pdu_size=300)
        self.server = MeterServer(self.meter)
        self.tasks: list[asyncio.Task[None]] = []
        self.seen: list[Notified] = []
        self.confirmed: list[tuple[tuple[int, int], int]] = []
        self.meter.on_confirmed = lambda pair, number: self.confirmed.append((pair, number))

    async def open(self) -> MemoryStream:
        near, far = memory_pair(self.clock)
        self.tasks.append(asyncio.create_task(self.server.serve_stream(far, framing=self.framing)))
        return near

    def client(self, **options: Any) -> DlmsClient:
        return DlmsClient(self.open, framing=self.framing, on_notification=self.seen.append, **options)


def manager(**options: Any) -> dict[str, Any]:
    context = SecurityContext(
        system_title=CLIENT_TITLE,
        encryption_key=ENCRYPTION_KEY,
        authentication_key=AUTHENTICATION_KEY,
        counters=MemoryCounters(),
    )
    return {"client_sap": 1, "authentication": GMAC, "security": context, **options}


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
@pytest.mark.parametrize("protected", [False, True])
async def test_the_simulated_meter_pushes_on_demand(framing: str, protected: bool) -> None:
    served = Served(framing)
    sap = 1 if protected else 16
    assert await served.server.notify(PUSH, client_sap=sap) == 0
    async with served.client(**(manager() if protected else {}), max_pdu_size=300) as meter:
        assert await served.server.notify(PUSH, client_sap=sap) == 1
        assert await served.server.notify(PUSH, client_sap=99) == 0
        assert await served.server.notify(EVENT, client_sap=sap) == 1
        assert await served.server.notify(LONG, client_sap=sap) == 1
        await meter.get(3, "1.0.1.8.0.255", 2)
        assert await served.server.notify(CONFIRMED, client_sap=sap) == 1
        reading = asyncio.create_task(meter.read_profile("1.0.99.1.0.255"))
        assert len((await reading).rows) == 40
        assert [event.apdu for event in served.seen] == [PUSH, EVENT, LONG, CONFIRMED]
        assert {event.protection for event in served.seen} == {FULL if protected else SecurityPolicy.NONE}
        await meter.get(3, "1.0.1.8.0.255", 2)
        assert served.confirmed == [((sap, 1), 6)]
    assert await served.server.notify(PUSH, client_sap=sap) == 0
    await asyncio.gather(*served.tasks)


def test_a_confirmed_push_outside_the_connection_is_told_of_and_the_log_says_that_it_is_not_confirmed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = ClientAssociation(ClientSettings(pre_established=True))
    client.associate()
    client.events()
    with caplog.at_level(logging.INFO, "cosemic"):
        client.receive_push(PUSH.encode())
        assert "confirmed" not in caplog.text
        client.receive_push(CONFIRMED.encode())
    assert [event.apdu for event in client.events()] == [PUSH, CONFIRMED]  # type: ignore[union-attr]
    assert client.apdus_to_send() == []
    assert "asks to be confirmed" in caplog.text
