"""General block transfer: what goes over the wire, what is recovered, and where it ends."""

from __future__ import annotations

import random

import pytest

from cosemic.apdu.base import decode_apdu
from cosemic.apdu.general import GeneralBlockTransfer
from cosemic.apdu.services import ExceptionResponse, GetRequestNormal
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import AuthenticationMechanism, Conformance, Role
from cosemic.errors import LinkTimeout, LocalProtocolError, RemoteProtocolError, SecurityError, SequenceError
from cosemic.link.events import Link
from cosemic.link.wrapper import WrapperLink, WrapperPdu
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.events import Associated, Completed, Failed, Requested
from cosemic.protocol.general_blocks import (
    MOST_RECOVERIES,
    GeneralBlocks,
    UnacknowledgedBlocks,
    block_octets,
    unacknowledged,
)
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.server_session import ServerSession
from cosemic.protocol.session import ClientSession
from cosemic.protocol.settings import ClientSettings
from cosemic.tolerances import DEFAULT, Tolerance
from tests.pair.support import (
    CLIENT_TITLE,
    ECHO,
    ENERGY,
    METER_TITLE,
    PROFILE,
    ROWS,
    Application,
    Pair,
    action,
    client_settings,
    get,
    security,
    server_settings,
    set_,
)

NONE, GMAC = AuthenticationMechanism.NONE, AuthenticationMechanism.HLS_GMAC
READ_PROFILE = get((7, PROFILE, 2))
LONG = axdr.octet_string(bytes(range(256)) * 6)


def block(octets: bytes) -> GeneralBlockTransfer:
    decoded = decode_apdu(octets)
    assert isinstance(decoded, GeneralBlockTransfer)
    return decoded


def data(number: int, octets: bytes, *, ack: int = 0, last: bool = False, more: bool = False, window: int = 1):
    return GeneralBlockTransfer(last, more, window, number, ack, octets)


def ack(number: int, acknowledged: int, window: int = 1) -> GeneralBlockTransfer:
    return GeneralBlockTransfer(True, False, window, number, acknowledged, b"")


def client_blocks(**options: object) -> GeneralBlocks:
    return GeneralBlocks(**({"window": 4, "max_pdu_size": 17, "max_octets": 1000} | options))  # type: ignore[arg-type]


# One side alone


def test_no_block_is_longer_than_the_peer_takes() -> None:
    for size in (*range(12, 300), 65_000, 65_535):
        octets = block_octets(size)
        whole = [len(data(1, bytes(count)).encode()) for count in (octets, octets + 1)]
        assert whole[0] <= size < whole[1]
    assert block_octets(0) == block_octets(0xFFFF)


@pytest.mark.parametrize("window", [-1, 0, 64, 1000])
def test_windows_that_do_not_exist(window: int) -> None:
    with pytest.raises(ValueError, match="1 to 63"):
        client_blocks(window=window)


def test_windows_as_they_go() -> None:
    """Single blocks until the peer names its window; streaming on all but the last of each window."""
    blocks = client_blocks()
    assert [item.hex() for item in blocks.send(bytes(range(45)))] == ["e00400010000" + "0a" + bytes(range(10)).hex()]
    window, whole = blocks.receive(ack(1, 1, window=3))
    assert whole is None
    assert [item[:6].hex() for item in window] == ["e04400020001", "e04400030001", "e00400040001"]
    (last,), _ = blocks.receive(ack(2, 4, window=3))
    assert last.hex() == "e08400050002" + "05" + bytes(range(40, 45)).hex()
    assert blocks.is_sending
    assert blocks.receive(ack(3, 5)) == ([], None)
    assert not blocks.is_active


def test_a_gap_is_asked_for_with_its_length() -> None:
    blocks = client_blocks()
    assert blocks.receive(data(1, b"a", more=True)) == ([], None)
    assert blocks.receive(data(4, b"d")) == ([ack(1, 1, 2).encode()], None)
    assert blocks.receive(data(2, b"b", more=True)) == ([], None)
    assert blocks.receive(data(3, b"c")) == ([ack(2, 4, 4).encode()], None)
    assert blocks.receive(data(5, b"e", last=True)) == ([], b"abcde")


def test_the_vector_of_a_lost_block_is_answered_with_that_block() -> None:
    """xdlms.json, gbt-lost-block-request: E0 01 0002 0002 00 names block 2 as the last good one and a window of 1."""
    blocks = client_blocks(answers=True)
    blocks.send(bytes(60))
    blocks.receive(ack(1, 1, window=5))
    (again,), _ = blocks.receive(block(bytes.fromhex("e0010002000200")))
    assert (block(again).block_number, block(again).streaming) == (3, False)


def test_repeated_blocks_count_once() -> None:
    blocks = client_blocks(datagram=True)
    for _ in range(3):
        assert blocks.receive(data(1, b"a", more=True)) == ([], None)
    assert blocks.receive(data(2, b"b"))[0]
    assert blocks.receive(data(2, b"b")) == ([], None)
    assert blocks.receive(data(1, b"a", more=True)) == ([], None)
    assert blocks.receive(data(3, b"c", last=True)) == ([], b"abc")


def feed(blocks: GeneralBlocks | UnacknowledgedBlocks, items: list[GeneralBlockTransfer]) -> None:
    for item in items:
        blocks.receive(item)


@pytest.mark.parametrize(
    "wrong",
    [
        [data(0, b"x")],
        [data(1, b"x"), *[data(9, b"y", ack=1)] * 9],
        [ack(number, 0) for number in range(1, 12)],
        [data(1, b"x", more=True), *[data(number, b"", more=True) for number in range(2, 40)]],
        [data(number, bytes(400), more=True) for number in range(1, 5)],
        [data(1, b"x", more=True), data(2, bytes(2000), more=True)],
        [data(1, b"x", more=True), *[data(1, b"x", more=True)] * 300],
        [data(1, b"x"), *[data(1, b"x")] * 9],
    ],
    ids=["number 0", "gap for ever", "acknowledges nothing", "empty", "too much", "too long", "repeats", "windows"],
)
def test_a_peer_that_does_not_get_on_ends_in_an_error(wrong: list[GeneralBlockTransfer]) -> None:
    blocks = client_blocks()
    with pytest.raises(RemoteProtocolError):
        feed(blocks, wrong)


def test_the_same_block_acknowledged_again_and_again() -> None:
    blocks = client_blocks(answers=True)
    blocks.send(bytes(100))
    with pytest.raises(RemoteProtocolError, match="acknowledges no further block"):
        feed(blocks, [ack(number, 1) for number in range(1, 20)])
    blocks.begin()
    blocks.send(bytes(100))
    with pytest.raises(SequenceError, match="acknowledges block 9, but only 1"):
        blocks.receive(ack(1, 9))


def test_numbers_that_go_back() -> None:
    blocks = client_blocks(answers=True)
    blocks.send(bytes(100))
    blocks.receive(ack(1, 1, 3))
    blocks.receive(ack(2, 4, 3))
    again, _ = blocks.receive(ack(3, 2, 3))
    assert [block(item).block_number for item in again] == [3, 4, 5]


def test_silence_is_asked_about_a_few_times() -> None:
    blocks = client_blocks(datagram=True)
    assert blocks.ask_again() == []
    blocks.send(bytes(30))
    for _ in range(MOST_RECOVERIES):
        assert [block(item).block_number for item in blocks.ask_again()] == [1]
    assert blocks.ask_again() == []


def test_an_apdu_that_needs_too_many_numbers() -> None:
    with pytest.raises(LocalProtocolError, match="65535 blocks"):
        client_blocks(max_pdu_size=12).send(bytes(5 * 0xFFFF + 1))
    with pytest.raises(LocalProtocolError, match="65535 blocks"):
        unacknowledged(bytes(5 * 0xFFFF + 1), 12)


def test_blocks_that_nobody_acknowledges() -> None:
    sent = unacknowledged(bytes(range(25)), 17)
    assert [item[:6].hex() for item in sent] == ["e00000010000", "e00000020000", "e08000030000"]
    collector = UnacknowledgedBlocks(100)
    assert [collector.receive(block(item)) for item in sent] == [None, None, bytes(range(25))]
    assert collector.receive(block(sent[0])) is None
    with pytest.raises(SequenceError, match="nobody can ask"):
        collector.receive(block(sent[2]))
    with pytest.raises(SequenceError):
        collector.receive(block(sent[1]))
    assert [collector.receive(block(item)) for item in (*sent[:2], *sent)][-1] == bytes(range(25))
    with pytest.raises(RemoteProtocolError, match="more than 100"):
        feed(collector, [data(number, bytes(50), window=0) for number in range(1, 5)])


@pytest.mark.parametrize("seed", range(200))
def test_two_sides_over_a_line_that_loses_doubles_and_swaps(seed: int) -> None:
    """A request and an answer, both in blocks; whatever comes out is what went in."""
    chance = random.Random(seed)
    rate = chance.choice((0.0, 0.05, 0.2))
    client = client_blocks(window=chance.randrange(1, 64), max_octets=10_000, datagram=True)
    server = client_blocks(window=chance.randrange(1, 64), max_octets=10_000, answers=True, datagram=True)
    request, answer = chance.randbytes(chance.randrange(11, 2000)), chance.randbytes(chance.randrange(1, 2000))
    up, down = client.send(request), []
    came = asked = 0
    last = b""
    for _ in range(5000):
        if not up and not down:
            again = client.ask_again() or ([last] if asked < 5 else [])
            if not again:
                break
            asked += 1
            up += again
        flow, side = (up, server) if up else (down, client)
        octets = flow.pop(0)
        if side is server:
            last = octets
        if chance.random() < rate:
            fault = chance.randrange(3)
            if fault == 0:
                continue
            flow.insert(min(1, len(flow)), octets)
            if fault == 2 and len(flow) > 1:
                octets = flow.pop(0) if flow[0] != octets else octets
        try:
            out, whole = side.receive(block(octets))
        except RemoteProtocolError:
            assert rate
            return
        (down if side is server else up).extend(out)
        if whole is not None and side is server:
            came += 1
            assert whole == request
            down += server.send(answer)
        elif whole is not None:
            assert whole == answer
            assert came == 1
            return
    assert rate


# Client and server


def pair_of(kind: str = "wrapper", protected: bool = False, *, window: int = 5, size: int = 90, **options) -> Pair:
    mechanism = GMAC if protected else NONE
    ours = security(CLIENT_TITLE, **options) if protected else None
    theirs = security(METER_TITLE) if protected else None
    pair = Pair(
        client_settings(mechanism, ours, max_pdu_size=size, block_transfer_window=window),
        server_settings(mechanism, theirs, max_pdu_size=size, block_transfer_window=max(window - 1, 1)),
        kind,
    )
    event = pair.connect()
    assert isinstance(event, Associated)
    assert event.parameters.conformance & Conformance.GENERAL_BLOCK_TRANSFER
    return pair


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
@pytest.mark.parametrize("protected", [False, True])
@pytest.mark.parametrize("window", [1, 2, 16, 63])
def test_services_in_general_blocks(kind: str, protected: bool, window: int) -> None:
    pair = pair_of(kind, protected, window=window)
    assert pair.do(READ_PROFILE).results == (Data.of(ROWS),)
    assert pair.do(set_((1, ECHO, 2, LONG))).results == (0,)
    assert pair.do(get((1, ECHO, 2), (3, ENERGY, 2))).results[0] == Data.of(LONG)
    (outcome,) = pair.do(action((1, ECHO, 1, LONG))).results
    assert outcome.return_parameters == Data.of(LONG)
    assert pair.do(get((3, ENERGY, 2))).results[0].value == 12345


@pytest.mark.parametrize("options", [{"dedicated_key": True}, {"general": True}])
def test_the_fragments_are_of_the_protected_apdu(options: dict[str, bool]) -> None:
    pair = pair_of(protected=True, **options)
    assert pair.do(set_((1, ECHO, 2, LONG))).results == (0,)
    assert pair.do(get((1, ECHO, 2))).results == (Data.of(LONG),)


def wire_of(pair: Pair) -> list[tuple[str, bytes]]:
    """The APDUs of the next exchanges, by direction."""
    wire: list[tuple[str, bytes]] = []
    pair.client.trace = lambda layer, way, octets: (
        wire.append((way, WrapperPdu.decode(octets).apdu)) if layer == "link" else None
    )
    return wire


def test_what_goes_over_the_wire() -> None:
    """The request tells the window in a block of its own; the answer follows, each block no longer than agreed."""
    pair = pair_of(window=3, size=90)
    wire = wire_of(pair)
    pair.do(READ_PROFILE)
    assert [way for way, _ in wire[:7]] == ["out", "in", "in", "in", "out", "in", "in"]
    assert isinstance(decode_apdu(block(wire[0][1]).block_data), GetRequestNormal)
    assert [octets[:6].hex() for _, octets in wire[:7]] == [
        "e08300010000",
        "e04200010001",
        "e04200020001",
        "e00200030001",
        "e08300020003",
        "e04200040002",
        "e04200050002",
    ]
    assert all(len(octets) <= 90 for _, octets in wire)
    assert b"".join(block(octets).block_data for way, octets in wire if way == "in")[:4].hex() == "c401c100"


def test_unasked_the_blocks_of_get_are_used() -> None:
    """Both kinds are agreed on, and the client does not ask for general blocks: dlms-cosem could not read them."""
    pair = Pair(client_settings(NONE, max_pdu_size=90), server_settings(NONE))
    event = pair.connect()
    assert isinstance(event, Associated)
    assert event.parameters.conformance & Conformance.GENERAL_BLOCK_TRANSFER
    wire = wire_of(pair)
    assert pair.do(READ_PROFILE).results == (Data.of(ROWS),)
    assert {octets[:2].hex() for _, octets in wire} == {"c001", "c402", "c002"}


def test_without_the_blocks_of_get_general_ones_are_used() -> None:
    conformance = Conformance.GET | Conformance.GENERAL_BLOCK_TRANSFER
    pair = Pair(client_settings(NONE, max_pdu_size=90, conformance=conformance), server_settings(NONE))
    pair.connect()
    wire = wire_of(pair)
    assert pair.do(READ_PROFILE).results == (Data.of(ROWS),)
    assert wire[0][1][:2].hex() == "c001"
    assert {octets[0] for _, octets in wire[1:]} == {0xE0}


def test_the_window_of_the_meter_is_remembered() -> None:
    pair = pair_of(window=3)
    pair.do(READ_PROFILE)
    way: list[bytes] = []
    pair.client.trace = lambda layer, _, octets: way.append(octets[8:]) if layer == "link" else None
    pair.do(READ_PROFILE)
    assert [octets[:4].hex() for octets in way[1:4]] == ["e0420001", "e0420002", "e0020003"]


def test_window_0_does_not_propose_it() -> None:
    pair = Pair(client_settings(NONE, max_pdu_size=90, block_transfer_window=0), server_settings(NONE))
    event = pair.connect()
    assert isinstance(event, Associated)
    assert not event.parameters.conformance & Conformance.GENERAL_BLOCK_TRANSFER
    assert pair.do(READ_PROFILE).results == (Data.of(ROWS),)
    with pytest.raises(ValueError, match="block_transfer_window is 0"):
        ClientSettings(block_transfer_window=0, conformance=Conformance.GET | Conformance.GENERAL_BLOCK_TRANSFER)
    with pytest.raises(ValueError, match="1 to 63"):
        ClientSettings(block_transfer_window=64)
    offered = Pair(client_settings(NONE), server_settings(NONE, block_transfer_window=0)).connect()
    assert isinstance(offered, Associated)
    assert not offered.parameters.conformance & Conformance.GENERAL_BLOCK_TRANSFER


def test_over_udp_only_who_asks_for_it_gets_it() -> None:
    def proposed(**options: object) -> Conformance:
        client = ClientAssociation(ClientSettings(**options), datagram=True)  # type: ignore[arg-type]
        client.associate()
        (aarq,) = client.apdus_to_send()
        initiate = decode_apdu(decode_apdu(aarq).user_information)
        return initiate.proposed_conformance

    assert not proposed() & Conformance.GENERAL_BLOCK_TRANSFER
    assert proposed(block_transfer_window=4) & Conformance.GENERAL_BLOCK_TRANSFER


def test_an_unconfirmed_request_in_blocks() -> None:
    pair = Pair(client_settings(NONE, confirmed=False), server_settings(NONE, max_pdu_size=90))
    pair.connect()
    assert pair.do(set_((1, ECHO, 2, LONG))).results == ()
    assert pair.application.attributes[1, ECHO, 2] == Data.of(LONG)
    (event,) = pair.application.requests
    assert not event.confirmed


def server_alone(**options) -> ServerAssociation:
    server = ServerAssociation(server_settings(NONE, pre_established=True, **options))
    server.events()
    return server


def test_a_request_in_blocks_is_answered_in_blocks() -> None:
    server = server_alone()
    server.receive_apdu(data(1, bytes.fromhex("c001c1000301000108"), more=True, window=2).encode())
    assert server.apdus_to_send() == []
    server.receive_apdu(data(2, bytes.fromhex("00ff0200"), last=True, window=2).encode())
    (event,) = server.events()
    assert isinstance(event, Requested)
    server.respond(Application().answer(event.request))
    (answer,) = server.apdus_to_send()
    assert answer.hex() == "e09000010002" + "09" + "c401c1000600003039"


def test_a_request_in_one_block_that_comes_again_is_carried_out_once() -> None:
    """Its answer was lost on the way; seeds 646, 657 and others of the soak wrote twice."""
    server = server_alone()
    request = data(1, bytes.fromhex("c101c100030100010800ff0200" + "060000002a"), last=True, window=2).encode()
    server.receive_apdu(request)
    (event,) = server.events()
    assert isinstance(event, Requested)
    server.respond(Application().answer(event.request))
    answer = server.apdus_to_send()
    server.receive_apdu(request)
    assert server.events() == []
    assert server.apdus_to_send() == answer


def test_a_request_in_several_blocks_that_comes_again_is_carried_out_once() -> None:
    server = server_alone()
    request = [
        data(1, bytes.fromhex("c101c1000301000108"), more=True, window=2).encode(),
        data(2, bytes.fromhex("00ff0200060000002a"), last=True, window=2).encode(),
    ]
    for block_ in request:
        server.receive_apdu(block_)
    (event,) = server.events()
    assert isinstance(event, Requested)
    server.respond(Application().answer(event.request))
    answer = server.apdus_to_send()
    for _ in range(MOST_RECOVERIES):
        for block_ in request:
            server.receive_apdu(block_)
        assert server.events() == []
        assert server.apdus_to_send() == answer
    for block_ in request:  # without end it is not repeated
        server.receive_apdu(block_)
    assert server.events() == []
    assert [type(decode_apdu(apdu)) for apdu in server.apdus_to_send()] == [ExceptionResponse]


def test_a_request_that_begins_like_the_last_one_is_another_one() -> None:
    """A constant invoke id, or an envelope longer than a block: the answer of the last one is none to this one."""
    server = server_alone()
    application = Application()
    for value in (42, 43, 42):
        server.receive_apdu(data(1, bytes.fromhex("c101c1000301000108"), more=True, window=2).encode())
        server.receive_apdu(data(2, bytes.fromhex(f"00ff020006000000{value:02x}"), last=True, window=2).encode())
        (event,) = server.events()
        assert isinstance(event, Requested)
        server.respond(application.answer(event.request))
        (answer,) = server.apdus_to_send()
        assert decode_apdu(answer).block_data.hex() == "c501c100"
        assert application.attributes[3, ENERGY, 2].value == value


def test_a_get_with_a_constant_invoke_id_is_answered_anew() -> None:
    server = server_alone()
    request = data(1, bytes.fromhex("c001c100030100010800ff0200"), last=True, window=2).encode()
    for _ in range(2):
        server.receive_apdu(request)
        (event,) = server.events()
        assert isinstance(event, Requested)
        server.respond(Application().answer(event.request))
        assert len(server.apdus_to_send()) == 1


def test_an_unconfirmed_request_in_acknowledged_blocks_is_acknowledged() -> None:
    server = server_alone()
    apdu = bytes.fromhex("c1018100010000603200ff020011" + "01")
    server.receive_apdu(data(1, apdu, last=True).encode())
    (event,) = server.events()
    assert not event.confirmed
    assert [item.hex() for item in server.apdus_to_send()] == ["e0900001000100"]


def test_a_server_gives_a_broken_transfer_up_and_goes_on() -> None:
    server = server_alone()
    server.receive_apdu(data(1, b"\xc0\x01", window=2).encode())
    assert [item.hex() for item in server.apdus_to_send()] == ["e0900001000100"]
    for _ in range(2 * MOST_RECOVERIES):
        server.receive_apdu(data(5, b"\xc0\x01").encode())
    assert any(isinstance(decode_apdu(answer), ExceptionResponse) for answer in server.apdus_to_send())
    server.receive_apdu(bytes.fromhex("c001c1000301000108") + bytes.fromhex("00ff0200"))
    assert isinstance(server.events()[0], Requested)


def test_a_server_that_did_not_agree() -> None:
    server = server_alone(block_transfer_window=0, conformance=Conformance.GET)
    server.receive_apdu(data(1, b"\xc0\x01\xc1").encode())
    assert [item.hex() for item in server.apdus_to_send()] == ["d80102"]
    nobody = ServerAssociation(server_settings(NONE))
    nobody.receive_apdu(data(1, b"\xc0\x01\xc1").encode())
    assert [item.hex() for item in nobody.apdus_to_send()] == ["d80101"]


def asked(tolerances: frozenset[Tolerance] = DEFAULT, **options: object) -> ClientAssociation:
    client = ClientAssociation(ClientSettings(pre_established=True, tolerances=tolerances, **options))  # type: ignore[arg-type]
    client.associate()
    client.request(get((3, ENERGY, 2)))
    client.apdus_to_send()
    client.events()
    return client


def test_blocks_that_were_not_agreed_on() -> None:
    answer = bytes.fromhex("c401c1000600003039")
    client = asked()
    client.receive_apdu(data(1, answer[:4]).encode())
    assert [item.hex() for item in client.apdus_to_send()] == ["e0900001000100"]
    client.receive_apdu(data(2, answer[4:], last=True, ack=1).encode())
    (event,) = client.events()
    assert isinstance(event, Completed)
    strict = asked(DEFAULT - {Tolerance.UNNEGOTIATED_SERVICE})
    strict.receive_apdu(data(1, answer[:4]).encode())
    (event,) = strict.events()
    assert isinstance(event, Failed)
    assert event.fatal


def test_blocks_in_blocks() -> None:
    client = asked()
    client.receive_apdu(data(1, data(1, b"x").encode(), last=True).encode())
    (event,) = client.events()
    assert isinstance(event, Failed)
    assert "general blocks" in str(event.error)


def test_empty_blocks_without_end() -> None:
    """As a Gurux meter in Java does in place of the next blocks."""
    client = asked()
    client.receive_apdu(data(1, b"\xc4\x01").encode())
    for number in range(2, 100):
        client.receive_apdu(GeneralBlockTransfer(False, False, 1, number, 1, b"").encode())
    (event,) = client.events()
    assert isinstance(event, Failed)
    assert event.fatal
    assert "empty blocks" in str(event.error)
    assert client.apdus_to_send() == []


# Time


class Lossy:
    """Client and server over wrapper PDUs in fake time; ``lost`` names the general blocks that do not arrive, once."""

    def __init__(self, lost: set[tuple[str, int]], *, window: int = 4, response_timeout: float = 6.0) -> None:
        self.lost = lost
        self.now = 0.0
        self.application = Application()
        self.events: list[object] = []
        link = WrapperLink(Role.CLIENT, source=16, destination=1, response_timeout=response_timeout)
        self.client = ClientSession(
            self.link_above(link), client_settings(NONE, max_pdu_size=90, block_transfer_window=window)
        )
        settings = server_settings(NONE, max_pdu_size=90, block_transfer_window=window)
        server_link = WrapperLink(Role.SERVER, source=1, destination=None)
        self.server = ServerSession(server_link, lambda sap: settings)
        self.server.start(0.0)
        self.client.connect(0.0)
        self.run()

    def link_above(self, link: WrapperLink) -> Link:
        return link

    def run(self) -> None:
        self.events.clear()
        for _ in range(10_000):
            up, down = self.client.data_to_send(), self.server.data_to_send()
            self.server.receive_data(self.through("up", up), self.now)
            for event in self.server.events():
                if isinstance(event, Requested):
                    self.server.respond(self.application.answer(event.request), self.now)
            self.client.receive_data(self.through("down", down), self.now)
            self.events += self.client.events()
            if any(isinstance(event, Completed | Failed | Associated) for event in self.events):
                return
            if not up and not down:
                due = self.client.next_deadline()
                assert due is not None, "it would wait for ever"
                self.now = due
                self.client.on_time(due)
                self.events += self.client.events()
        raise AssertionError("no end")

    def through(self, way: str, octets: bytes) -> bytes:
        kept = b""
        while octets:
            length = 8 + int.from_bytes(octets[6:8], "big")
            pdu, octets = octets[:length], octets[length:]
            place = (way, int.from_bytes(pdu[10:12], "big"))
            if pdu[8] == 0xE0 and len(pdu) > 15 and place in self.lost:
                self.lost.discard(place)
                continue
            kept += pdu
        return kept


@pytest.mark.parametrize("window", [1, 4, 63])
@pytest.mark.parametrize("lost", [{2}, {3}, {2, 3, 4}, {4, 5}, {7, 9}, {1}, {19, 20, 21, 22}], ids=str)
def test_lost_blocks_of_an_answer_come_again(window: int, lost: set[int]) -> None:
    line = Lossy(set(), window=window)
    if 1 in lost:  # nobody knows of the transfer before its first block is here: over a stream that is a time-out
        line.client.request(READ_PROFILE, line.now)
        line.run()
    line.lost = {("down", number) for number in lost - {1}}
    line.client.request(READ_PROFILE, line.now)
    line.run()
    assert [type(event) for event in line.events] == [Completed]
    assert line.events[0].result.results == (Data.of(ROWS),)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("window", "lost"), [(4, {2}), (4, {3, 4}), (4, {2, 3}), (63, {5, 6, 7})], ids=str)
def test_blocks_of_a_request_that_the_meter_asks_for_are_sent_again(window: int, lost: set[int]) -> None:
    line = Lossy({("up", number) for number in lost}, window=window)
    line.client.request(set_((1, ECHO, 2, LONG)), line.now)
    line.run()
    assert [type(event) for event in line.events] == [Completed]
    assert line.application.attributes[1, ECHO, 2] == Data.of(LONG)


@pytest.mark.parametrize(("window", "lost"), [(1, 1), (1, 2), (1, 18), (4, 1), (4, 5), (4, 19)])
def test_over_a_stream_no_block_of_a_request_is_sent_again_unasked(window: int, lost: int) -> None:
    """A stream loses nothing: the meter is slow, and a double would make it say everything twice."""
    line = Lossy({("up", lost)}, window=window)
    line.client.request(set_((1, ECHO, 2, LONG)), line.now)
    line.run()
    (event,) = line.events
    assert isinstance(event, Failed)
    assert isinstance(event.error, LinkTimeout)
    assert (1, ECHO, 2) not in line.application.attributes or line.application.attributes[1, ECHO, 2] != Data.of(LONG)


@pytest.mark.parametrize("window", [1, 4])
def test_silence_over_a_stream_sends_nothing_again_whatever_was_acknowledged(window: int) -> None:
    blocks = client_blocks(window=window)
    blocks.send(bytes(60))
    for number, acknowledged in ((1, 1), (2, 3), (3, 4)):
        assert blocks.ask_again() == []
        blocks.receive(ack(number, acknowledged, 2))
    assert blocks.is_sending
    assert blocks.ask_again() == []


def test_a_late_block_of_an_answer_does_not_end_the_next_request() -> None:
    blocks = client_blocks()
    blocks.receive(data(1, b"answer", last=True, window=2))
    blocks.begin()
    blocks.send(bytes(60))
    assert blocks.receive(data(3, b"late", last=True, window=2)) == ([], None)
    sent, _ = blocks.receive(ack(1, 1, 2))
    assert [block(item).block_number for item in sent] == [2, 3]


def test_a_meter_that_falls_silent_ends_in_a_time_out() -> None:
    line = Lossy(set())
    start = line.now
    line.client.request(READ_PROFILE, line.now)
    line.client.data_to_send()
    line.client.receive_data(WrapperPdu(1, 16, data(1, b"\xc4\x01\xc1", more=True).encode()).encode(), line.now)
    sent = []
    while not (events := line.client.events()):
        line.now = line.client.next_deadline()
        line.client.on_time(line.now)
        sent.append(line.client.data_to_send())
    assert isinstance(events[0].error, LinkTimeout)
    assert sum(octets[8:9] == b"\xe0" for octets in sent) == MOST_RECOVERIES
    assert line.now - start < 60


# Protection


def in_blocks(apdu: bytes) -> list[bytes]:
    return [
        WrapperPdu(1, 16, data(1, apdu[:5], window=2).encode()).encode(),
        WrapperPdu(1, 16, data(2, apdu[5:], ack=1, last=True, window=2).encode()).encode(),
    ]


def test_a_plain_answer_in_blocks_to_a_protected_request_is_refused() -> None:
    pair = pair_of(protected=True, size=0xFFFF)
    pair.client.request(get((3, ENERGY, 2)), pair.now)
    pair.client.data_to_send()
    octet = pair.client._association._plain[2]
    for octets in in_blocks(bytes((0xC4, 1, octet)) + bytes.fromhex("000600003039")):
        pair.client.receive_data(octets, pair.now)
    (event,) = pair.client.events()
    assert isinstance(event, Failed)
    assert isinstance(event.error, SecurityError)
    assert event.fatal


@pytest.mark.parametrize("place", [1, 8, 20, -1])
def test_an_altered_block_is_refused(place: int) -> None:
    pair = pair_of(protected=True, size=0xFFFF)
    pair.client.request(get((3, ENERGY, 2)), pair.now)
    pair.server.receive_data(pair.client.data_to_send(), pair.now)
    pair._serve()
    sealed = bytearray(pair.server.data_to_send()[8:])
    sealed[place] ^= 1
    for octets in in_blocks(bytes(sealed)):
        pair.client.receive_data(octets, pair.now)
    (event,) = pair.client.events()
    assert isinstance(event, Failed)
    assert event.fatal
    assert isinstance(event.error, SecurityError | RemoteProtocolError)


def test_a_plain_request_in_blocks_to_a_protected_meter_is_refused() -> None:
    pair = pair_of(protected=True)
    request = bytes.fromhex("c001c1000301000108") + bytes.fromhex("00ff0200")
    pair.server.receive_data(WrapperPdu(16, 1, data(1, request, last=True).encode()).encode(), pair.now)
    answer = decode_apdu(block(pair.server.data_to_send()[8:]).block_data)
    assert isinstance(answer, ExceptionResponse)
    assert pair.server.events() == []
