"""HDLC frames, addresses and parameters of other people's meters and libraries."""

from __future__ import annotations

import pytest

from cosemic.enums import Role
from cosemic.errors import FrameError
from cosemic.link.crc import crc16_x25
from cosemic.link.events import ApduReceived, FrameDropped, LinkDown, LinkFailed, LinkUp, UnconfirmedApduReceived
from cosemic.link.frames import FrameReader, HdlcAddress, HdlcFrame
from cosemic.link.hdlc import HdlcLink, HdlcTimers
from cosemic.link.parameters import HdlcParameters, decode_fields
from tests.vectors.collection import FOLDER, REASON, load

CASES = load("hdlc")
pytestmark = pytest.mark.skipif(not CASES, reason=REASON)

FIELDS = {5: "max_info_tx", 6: "max_info_rx", 7: "window_tx", 8: "window_rx"}


def of_kind(*kinds: str):
    cases = [case for topic in ("hdlc", "issue-captures") for case in load(topic) if case["kind"] in kinds]
    return [pytest.param(case, id=case["name"]) for case in cases]


def read_whole(octets: bytes):
    reader = FrameReader()
    return reader.feed(octets) + reader.expire()


def read_octet_by_octet(octets: bytes):
    reader = FrameReader()
    return [item for octet in octets for item in reader.feed(bytes((octet,)))] + reader.expire()


def check_address(address: HdlcAddress, expected: dict) -> None:
    assert (address.size, address.logical, address.physical) == (expected["size"], expected["upper"], expected["lower"])


def check_frame(frame: HdlcFrame, expected: dict) -> None:
    check_address(frame.destination, expected["destination"])
    check_address(frame.source, expected["source"])
    assert frame.kind == expected["kind"]
    assert frame.control == int(expected["control"], 16)
    assert frame.segmented == expected["segmented"]
    assert frame.poll_final == bool(frame.control & 0x10) == expected.get("poll_final", bool(frame.control & 0x10))
    if "information" in expected:
        assert frame.information.hex() == expected["information"]
    assert frame.send_number == expected.get("ns", frame.send_number)
    assert frame.receive_number == expected.get("nr", frame.receive_number)
    octets = frame.encode()
    assert octets[-3:-1].hex() == expected["fcs"]
    if expected.get("hcs"):
        header = len(frame.destination.octets) + len(frame.source.octets) + 4
        assert octets[header : header + 2].hex() == expected["hcs"]
    assert len(octets) == expected["length"] + 2
    if "parameters" in expected:
        fields = {FIELDS[identifier]: number for identifier, number in decode_fields(frame.information)}
        assert fields == expected["parameters"]


@pytest.mark.parametrize("case", of_kind("hdlc"))
def test_frame(case):
    octets = bytes.fromhex(case["bytes"])
    expected = case["expected"]
    if "error" in expected:
        with pytest.raises(FrameError):
            HdlcFrame.decode(octets)
        items = read_whole(octets)
        assert items
        assert all(isinstance(item, FrameDropped) for item in items)
        assert b"".join(item.octets for item in items) == octets[:-1]
        return
    frame = HdlcFrame.decode(octets)
    check_frame(frame, expected)
    assert frame.encode() == octets
    assert HdlcFrame.decode(octets[1:-1]) == frame
    assert read_whole(octets) == read_octet_by_octet(octets) == [frame]


@pytest.mark.parametrize("case", of_kind("hdlc-quirk"))
def test_octet_stuffing_is_no_part_of_format_type_3(case):
    octets = bytes.fromhex(case["bytes"])
    with pytest.raises(FrameError):
        HdlcFrame.decode(octets)
    assert all(isinstance(item, FrameDropped) for item in read_whole(octets))


@pytest.mark.parametrize("case", of_kind("hdlc-address"))
def test_address(case):
    octets = bytes.fromhex(case["bytes"])
    address, end = HdlcAddress.decode(octets)
    check_address(address, case["expected"])
    assert end == len(octets)
    assert address.encode() == octets
    made = HdlcAddress(case["expected"]["upper"], case["expected"]["lower"], case["expected"]["size"])
    assert made.encode() == octets


@pytest.mark.parametrize("case", of_kind("hdlc-parameters"))
def test_parameters(case):
    octets = bytes.fromhex(case["bytes"])
    fields = {FIELDS[identifier]: number for identifier, number in decode_fields(octets)}
    assert fields == case["expected"]
    parameters = HdlcParameters.decode(octets)
    assert parameters.max_information_transmit == case["expected"].get("max_info_tx", 128)
    assert parameters.max_information_receive == case["expected"].get("max_info_rx", 128)
    assert parameters.window_transmit == case["expected"].get("window_tx", 1)
    assert parameters.window_receive == case["expected"].get("window_rx", 1)


@pytest.mark.parametrize("case", of_kind("hdlc-stream"))
def test_stream(case):
    octets = bytes.fromhex(case["bytes"])
    items = read_whole(octets)
    assert items == read_octet_by_octet(octets)
    frames = [item for item in items if isinstance(item, HdlcFrame)]
    assert len(frames) == len(case["expected"]["frames"])
    for frame, expected in zip(frames, case["expected"]["frames"], strict=True):
        check_frame(frame, expected)


@pytest.mark.parametrize("case", of_kind("crc16-x25"))
def test_crc(case):
    assert crc16_x25(bytes.fromhex(case["bytes"])).hex() == case["expected"]["crc_on_wire"]


PUSHES = [
    pytest.param(case, id=case["name"])
    for topic in ("pushes", "issue-captures")
    for case in load(topic)
    if case["kind"] == "push-hdlc"
]


@pytest.mark.parametrize("case", PUSHES)
def test_push_frames(case):
    octets = bytes.fromhex(case["bytes"])
    items = read_whole(octets)
    assert items == read_octet_by_octet(octets)
    assert len(items) == len(case["expected"]["frames"])
    for frame, expected in zip(items, case["expected"]["frames"], strict=True):
        assert isinstance(frame, HdlcFrame)
        check_frame(frame, expected)


@pytest.mark.parametrize("case", PUSHES)
def test_push_in_ui_frames_reaches_a_client(case):
    octets = bytes.fromhex(case["bytes"])
    frames = [item for item in read_whole(octets) if isinstance(item, HdlcFrame)]
    if any(frame.kind != "UI" for frame in frames):
        pytest.skip("this meter pushes in I frames without a connection; a push listener reads those, not a client")
    link = HdlcLink(Role.CLIENT, destination=frames[0].source, source=frames[0].destination)
    link.receive_data(octets, 0.0)
    events = link.events()
    assert all(isinstance(event, UnconfirmedApduReceived) for event in events)
    apdus = [event.apdu for event in events]
    blocks = case["expected"].get("gbt_blocks")
    if blocks is None:
        assert apdus == [bytes.fromhex(case["expected"]["apdu_hex"])]
    else:  # each block of a general block transfer has a frame of its own
        assert len(apdus) == len(blocks)
        assert all(apdu[0] == 0xE0 for apdu in apdus)


RECORDED = sorted((FOLDER / "recorded").glob("hdlc-*.hex"))


def conversation(file):
    lines = [line.split() for line in file.read_text().splitlines() if line[:1] in "<>" and line.strip()]
    return [(mark == ">", bytes.fromhex(octets)) for mark, octets in lines]


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_recorded_frames(file):
    for _, octets in conversation(file):
        frame = HdlcFrame.decode(octets)
        assert frame.encode() == octets
        assert read_octet_by_octet(octets) == [frame]


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_our_server_understands_the_recorded_client(file):
    steps = conversation(file)
    first = HdlcFrame.decode(steps[0][1])
    server = HdlcLink(Role.SERVER, destination=first.source, source=first.destination)
    expected, delivered, answered = [], [], []
    for from_client, octets in steps:
        frame = HdlcFrame.decode(octets)
        if from_client:
            if frame.kind == "I":
                expected.append(frame.information[3:])
            server.receive_data(octets, 0.0)
            for event in server.events():
                assert not isinstance(event, (LinkFailed, FrameDropped)), event
                if isinstance(event, ApduReceived):
                    delivered.append(event.apdu)
            if frame.kind != "I":
                server.data_to_send()  # UA, whose parameters are a matter of each meter
        elif frame.kind == "I":
            server.send_apdu(frame.information[3:], 0.0)
            ours = server.data_to_send()
            answered.append((ours, octets))
    assert delivered == expected
    assert len(delivered) > 2
    # the answers of the other implementation, octet for octet
    assert all(ours == theirs for ours, theirs in answered)


SESSIONS = [
    pytest.param(case, id=case["name"])
    for case in load("sessions")
    if case["bytes"] and all(octets.startswith("7e") for octets in case["bytes"])
]


@pytest.mark.parametrize("case", SESSIONS)
def test_session_frames(case):
    for step in case["expected"]["steps"]:
        octets = bytes.fromhex(step["frame"])
        frame = HdlcFrame.decode(octets)
        check_frame(frame, step["hdlc"])
        assert frame.encode() == octets


@pytest.mark.parametrize("case", [case for case in SESSIONS if "gocosem" in case.id])
def test_our_client_meets_the_recorded_meter(case):
    """Our client sends what the recorded one sent, octet for octet, and understands each answer of the real meter."""
    steps = [(step["from"] == "client", bytes.fromhex(step["frame"])) for step in case["expected"]["steps"]]
    link = None
    apdus, ups, downs, compared = [], 0, 0, 0
    pending = None
    for index, (from_client, octets) in enumerate(steps):
        frame = HdlcFrame.decode(octets)
        if from_client:
            if link is None or link.source != frame.source:
                link = HdlcLink(
                    Role.CLIENT, destination=frame.destination, source=frame.source, timers=HdlcTimers(retries=0)
                )
            if frame.kind == "SNRM":
                link.connect(float(index))
                link.data_to_send()  # ours names its parameters, the recorded one does not
            elif frame.kind == "DISC":
                link.disconnect(float(index))
                assert link.data_to_send() in (octets, b"")
            elif frame.kind == "I":
                link.send_apdu(frame.information[3:], float(index))
                assert link.data_to_send() == octets
                compared += 1
            pending = frame.kind
        else:
            link.receive_data(octets, float(index))
            for event in link.events():
                if isinstance(event, LinkUp):
                    ups += 1
                elif isinstance(event, LinkDown):
                    downs += 1
                elif isinstance(event, ApduReceived):
                    assert event.apdu == frame.information[3:]
                    apdus.append(event.apdu)
                else:
                    # the first DISC of the trace goes to a meter that our link never connected to
                    assert isinstance(event, FrameDropped)
                    assert pending == "DISC"
    assert ups == sum(HdlcFrame.decode(octets).kind == "SNRM" for up, octets in steps if up)
    assert compared == len(apdus) == sum(HdlcFrame.decode(octets).kind == "I" for up, octets in steps if up)
