"""M-Bus frames, DLMS segments, and the client's link; the frames are those of EN 13757-2, put together by hand."""

from __future__ import annotations

import random

import pytest

from cosemic.errors import FrameError, LinkLost, LinkTimeout, LocalProtocolError
from cosemic.link import mbus
from cosemic.link.events import (
    ApduReceived,
    FrameDropped,
    LinkDown,
    LinkFailed,
    LinkState,
    LinkUp,
    LocalEcho,
    UnconfirmedApduReceived,
)
from cosemic.link.mbus import MbusApdu, MbusFrame, MbusReader, SegmentCollector, segments
from cosemic.link.mbus_link import MbusLink
from cosemic.tolerances import STRICT, Tolerance

NKE = bytes.fromhex("10 40 01 41 16")
ACK = b"\xe5"
SHORT_PUSH = bytes.fromhex("68 07 07 68 53 FF 10 01 67 AA BB 2F 16")


def _long(control: int, ci: int, data: bytes, address: int = 1) -> bytes:
    body = bytes((control, address, ci)) + data
    return bytes((0x68, len(body), len(body), 0x68)) + body + bytes((sum(body) % 256, 0x16))


def test_frames() -> None:
    assert MbusFrame.decode(ACK).is_acknowledgement
    assert MbusFrame.decode(NKE) == MbusFrame(0x40, 1)
    push = MbusFrame.decode(SHORT_PUSH)
    assert (push.control, push.address, push.ci, push.source, push.destination) == (0x53, 0xFF, 0x10, 1, 0x67)
    assert push.is_transport
    assert push.is_last
    for octets in (ACK, NKE, SHORT_PUSH):
        assert MbusFrame.decode(octets).encode() == octets
    assert not MbusFrame.decode(_long(0x08, 0x72, bytes(12))).is_transport


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        NKE[:4],
        NKE[:3] + b"\x42\x16",
        NKE[:4] + b"\x17",
        SHORT_PUSH[:-1],
        SHORT_PUSH[:-2] + b"\x30\x16",
        SHORT_PUSH[:-1] + b"\x17",
        b"\x68\x07\x08" + SHORT_PUSH[3:],
        b"\x68\x07\x07\x69" + SHORT_PUSH[4:],
        b"\x68\x02\x02\x68\x53\xff\x52\x16",
        NKE + NKE,
    ],
)
def test_what_is_no_frame(octets: bytes) -> None:
    with pytest.raises(FrameError):
        MbusFrame.decode(octets)


def test_a_frame_has_room_for_252_octets() -> None:
    octets = MbusFrame(0x08, 1, 0x10, bytes(252)).encode()
    assert octets[1:3] == b"\xff\xff"
    assert MbusFrame.decode(octets).data == bytes(252)
    with pytest.raises(LocalProtocolError):
        MbusFrame(0x08, 1, 0x10, bytes(253)).encode()


def _overflowed(data: bytes) -> bytes:
    """As Sagemcom's T210-D sends it: more octets than the length field can say."""
    body = bytes((0x53, 0xFF, 0)) + data
    length = len(body) & 0xFF
    return bytes((0x68, length, length, 0x68)) + body + bytes((sum(body) % 256, 0x16))


@pytest.mark.parametrize("size", [253, 254, 258, 300, 508])
def test_the_length_field_overflows(size: int, caplog: pytest.LogCaptureFixture) -> None:
    octets = _overflowed((bytes(range(256)) * 2)[:size])
    with caplog.at_level("INFO", "cosemic.tolerance"):
        (frame,) = MbusReader().feed(octets)
    assert isinstance(frame, MbusFrame)
    assert len(frame.data) == size
    assert "MBUS_LENGTH_OVERFLOW" in caplog.text
    reader = MbusReader(tolerances=STRICT)
    assert not any(isinstance(item, MbusFrame) and len(item.data) == size for item in reader.feed(octets))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_reads_on_behind_garbage_in_any_pieces(size: int) -> None:
    line = b"\x00\xff\x68\x20" + NKE + b"\x68\x68\x68" + SHORT_PUSH + b"\x16\x16" + ACK + b"\x10\x10" + SHORT_PUSH
    reader = MbusReader(tolerances=STRICT)
    found: list[mbus.Item] = []
    for start in range(0, len(line), size):
        found += reader.feed(line[start : start + size])
    found += reader.expire()
    frames = [item for item in found if isinstance(item, MbusFrame)]
    assert [frame.encode() for frame in frames] == [NKE, SHORT_PUSH, ACK, SHORT_PUSH]
    dropped = sum(len(item.octets) for item in found if isinstance(item, FrameDropped))
    assert dropped == len(line) - sum(map(len, (NKE, SHORT_PUSH, ACK, SHORT_PUSH)))


def test_a_frame_that_is_cut_hides_none_behind_it() -> None:
    reader = MbusReader()
    assert reader.feed(SHORT_PUSH[:9] + SHORT_PUSH) == []  # could be a longer one whose length has overflowed
    assert reader.is_partial
    dropped, frame = reader.expire()
    assert dropped == FrameDropped("octets that are no M-Bus frame", SHORT_PUSH[:9])
    assert frame == MbusFrame.decode(SHORT_PUSH)
    assert not reader.is_partial


def test_any_octets_are_borne_and_none_is_kept() -> None:
    rng = random.Random(5)
    reader = MbusReader()
    given = taken = 0
    for _ in range(2000):
        data = bytes(rng.choice(b"\x68\x10\xe5\x16\x03\x53\x00\xff") for _ in range(rng.randrange(60)))
        given += len(data)
        for item in reader.feed(data):
            taken += len(item.octets) if isinstance(item, FrameDropped) else len(item.encode())
        assert len(reader._buffer) < 600
    for item in reader.expire():
        taken += len(item.octets) if isinstance(item, FrameDropped) else len(item.encode())
    assert given == taken


# segments


def test_segments_and_back() -> None:
    for size in (1, 250, 251, 4000, 4001, 10_000):
        apdu = bytes(index % 251 for index in range(size))
        frames = list(segments(apdu, 0x53, 1, 16, 1))
        assert all(len(frame.data) <= 252 for frame in frames)
        assert [frame.number for frame in frames] == [index & 15 for index in range(len(frames))]
        assert [frame.is_last for frame in frames] == [False] * (len(frames) - 1) + [True]
        collector = SegmentCollector()
        results = [collector.add(frame) for frame in frames]
        assert results == [None] * (len(frames) - 1) + [MbusApdu(16, 1, apdu)]


def test_a_lost_segment_drops_one_apdu() -> None:
    frames = list(segments(bytes(700), 0x53, 1, 16, 1))
    collector = SegmentCollector()
    assert collector.add(frames[0]) is None
    dropped = collector.add(frames[2])
    assert isinstance(dropped, FrameDropped)
    assert "segment 2 came in place of segment 1" in dropped.reason
    assert isinstance(collector.add(frames[1]), FrameDropped)
    for frame in frames[:2]:
        assert collector.add(frame) is None
    assert collector.add(frames[1]) is None  # sent again
    assert collector.add(frames[2]) == MbusApdu(16, 1, bytes(700))


def test_a_new_apdu_in_place_of_the_rest_of_the_last() -> None:
    old, new = list(segments(bytes(300), 0x53, 1, 16, 1)), list(segments(b"\x01" * 300, 0x53, 1, 16, 1))
    collector = SegmentCollector()
    assert collector.add(old[0]) is None
    assert isinstance(collector.add(new[0]), FrameDropped)
    assert collector.add(new[1]) == MbusApdu(16, 1, b"\x01" * 300)


def test_segments_of_others_are_no_part_of_an_apdu() -> None:
    mine, others = list(segments(bytes(300), 0x53, 1, 16, 1)), list(segments(bytes(300), 0x53, 1, 16, 2))
    collector = SegmentCollector()
    assert collector.add(mine[0]) is None
    assert isinstance(collector.add(others[1]), FrameDropped)
    tolerant = SegmentCollector(tolerances=frozenset({Tolerance.MBUS_ACCESS_POINTS}))
    assert tolerant.add(mine[0]) is None
    assert tolerant.add(others[1]) == MbusApdu(16, 1, bytes(300))


def test_an_apdu_has_a_limit() -> None:
    collector = SegmentCollector(max_apdu=1000)
    outcomes = [collector.add(frame) for frame in segments(bytes(2000), 0x53, 1, 16, 1)]
    assert any(isinstance(outcome, FrameDropped) and "exceeds 1000" in outcome.reason for outcome in outcomes)
    assert not any(isinstance(outcome, MbusApdu) for outcome in outcomes)


# the client's link


def _link(**more: object) -> MbusLink:
    options: dict[str, object] = {"address": 1, "source": 16, "destination": 1, "response_timeout": 1.0, "retries": 2}
    return MbusLink(**(options | more))  # type: ignore[arg-type]


def _connected(**more: object) -> MbusLink:
    link = _link(**more)
    link.connect(0.0)
    assert link.data_to_send() == NKE
    link.receive_data(ACK, 0.1)
    assert link.events() == [LinkUp(None)]
    return link


REQUESTS = [bytes.fromhex("10 7B 01 7C 16"), bytes.fromhex("10 5B 01 5C 16")]


def test_an_exchange() -> None:
    link = _connected()
    link.send_apdu(b"\xc0\x01", 1.0)
    assert link.data_to_send() == _long(0x73, 0x10, b"\x10\x01\xc0\x01")  # FCB = 1 after SND-NKE
    link.receive_data(ACK, 1.1)
    assert link.data_to_send() == REQUESTS[0]
    link.receive_data(_long(0x08, 0x00, b"\x01\x10\xc4\x01"), 1.2)
    assert link.events() == []
    assert link.data_to_send() == REQUESTS[1]
    link.receive_data(_long(0x08, 0x11, b"\x01\x10\xff"), 1.3)
    assert link.events() == [ApduReceived(b"\xc4\x01\xff")]
    assert link.next_deadline() is None
    link.send_apdu(b"\xc0\x02", 2.0)
    assert link.data_to_send() == _long(0x53, 0x10, b"\x10\x01\xc0\x02")
    link.receive_data(ACK, 2.1)
    assert link.data_to_send() == REQUESTS[0]


def test_a_long_request_goes_segment_by_segment() -> None:
    link = _connected()
    link.send_apdu(bytes(600), 1.0)
    sent = []
    for _ in range(3):
        sent.append(MbusFrame.decode(link.data_to_send()))
        link.receive_data(ACK, 1.1)
    assert [(frame.control, frame.ci, len(frame.data)) for frame in sent] == [
        (0x73, 0x00, 252),
        (0x53, 0x01, 252),
        (0x73, 0x12, 102),
    ]
    assert link.data_to_send() == REQUESTS[0]


def test_an_unconfirmed_request_is_acknowledged_and_that_is_all() -> None:
    link = _connected()
    link.send_apdu(b"\xc1", 1.0, expect_response=False)
    assert link.data_to_send()
    link.receive_data(ACK, 1.1)
    assert link.data_to_send() == b""
    assert link.next_deadline() is None


def test_an_unanswered_command_is_repeated_as_it_was() -> None:
    link = _connected()
    link.send_apdu(b"\xc0\x01", 1.0)
    first = link.data_to_send()
    link.on_time(2.0)
    assert link.data_to_send() == first
    link.receive_data(ACK, 2.5)
    for at in (3.5, 4.5):
        assert link.data_to_send() == REQUESTS[0]
        link.on_time(at)
    assert link.data_to_send() == REQUESTS[0]
    link.on_time(5.5)
    (failed,) = link.events()
    assert isinstance(failed, LinkFailed)
    assert isinstance(failed.error, LinkTimeout)
    assert "station 1" in str(failed.error)
    assert "3 tries" in str(failed.error)
    assert link.state is LinkState.DISCONNECTED


@pytest.mark.parametrize("nothing", [ACK, _long(0x08, 0x72, bytes(12))], ids=["E5", "M-Bus data"])
def test_an_answer_that_is_not_ready_is_asked_for_again(nothing: bytes) -> None:
    link = _connected()
    link.send_apdu(b"\xc0\x01", 1.0)
    link.data_to_send()
    link.receive_data(ACK, 1.0)
    assert link.data_to_send() == REQUESTS[0]
    link.receive_data(nothing, 1.1)
    assert link.data_to_send() == b""
    due = link.next_deadline()
    assert due is not None
    link.on_time(due)
    assert link.data_to_send() == REQUESTS[1]  # an answered request is not a repeated one
    link.receive_data(_long(0x08, 0x10, b"\x01\x10\xd8"), 1.3)
    assert link.events() == [ApduReceived(b"\xd8")]


def test_a_station_that_never_has_an_answer() -> None:
    link = _connected()
    link.send_apdu(b"\xc0\x01", 1.0)
    link.receive_data(ACK, 1.0)
    now = 1.0
    while link.state is LinkState.CONNECTED:
        link.data_to_send()
        link.receive_data(ACK, now)
        now = link.next_deadline() or now
        link.on_time(now)
        assert now < 10
    (failed,) = link.events()
    assert "nothing of DLMS" in str(failed.error)  # type: ignore[union-attr]


def test_a_damaged_answer_is_asked_for_again() -> None:
    link = _connected()
    link.send_apdu(b"\xc0\x01", 1.0)
    link.receive_data(ACK, 1.0)
    link.data_to_send()
    answer = _long(0x08, 0x10, b"\x01\x10\xc4")
    link.receive_data(answer[:-2] + b"\x00\x16", 1.1)
    link.on_time(1.7)  # silence
    assert [type(event) for event in link.events()] == [FrameDropped]
    link.on_time(2.1)
    assert link.data_to_send() == REQUESTS[0]
    link.receive_data(answer, 2.2)
    assert link.events() == [ApduReceived(b"\xc4")]


@pytest.mark.parametrize(
    "frame",
    [
        _long(0x08, 0x10, b"\x01\x10\xc4", address=2),
        _long(0x08, 0x10, b"\x02\x10\xc4"),
        _long(0x08, 0x10, b"\x01\x11\xc4"),
        _long(0x09, 0x10, b"\x01\x10\xc4"),
    ],
    ids=["other station", "other device", "other client", "no RSP-UD"],
)
def test_answers_of_others_are_dropped(frame: bytes) -> None:
    link = _connected()
    link.send_apdu(b"\xc0\x01", 1.0)
    link.receive_data(ACK, 1.0)
    link.data_to_send()
    link.receive_data(frame, 1.1)
    assert [type(event) for event in link.events()] == [FrameDropped]
    link.receive_data(_long(0x08, 0x10, b"\x01\x10\xc4"), 1.2)
    assert link.events() == [ApduReceived(b"\xc4")]


def test_a_level_converter_that_echoes() -> None:
    link = _link()
    link.connect(0.0)
    link.receive_data(link.data_to_send() + ACK, 0.1)
    assert link.events() == [LocalEcho(), LinkUp(None)]
    link.send_apdu(b"\xc0\x01", 1.0)
    link.receive_data(link.data_to_send() + ACK, 1.1)
    assert link.data_to_send() == REQUESTS[0]
    link.receive_data(REQUESTS[0] + _long(0x08, 0x10, b"\x01\x10\xc4"), 1.2)
    assert link.events() == [ApduReceived(b"\xc4")]


def test_a_push_in_between() -> None:
    link = _connected()
    link.receive_data(SHORT_PUSH, 1.0)
    assert link.events() == [UnconfirmedApduReceived(b"\xaa\xbb")]
    link.receive_data(_long(0x53, 0x72, bytes(12), address=0xFF), 1.0)
    assert [type(event) for event in link.events()] == [FrameDropped]


def test_wrong_moments() -> None:
    link = _link()
    with pytest.raises(LocalProtocolError):
        link.send_apdu(b"\xc0", 0.0)
    link.connect(0.0)
    with pytest.raises(LocalProtocolError):
        link.connect(0.0)
    link.receive_data(ACK, 0.1)
    link.send_apdu(b"\xc0", 0.2)
    with pytest.raises(LocalProtocolError):
        link.send_apdu(b"\xc0", 0.3)
    link.disconnect(0.4)
    assert link.events()[-1] == LinkDown("closed by us")
    assert link.next_deadline() is None
    with pytest.raises(ValueError, match="DTSAP"):
        _link(destination=256)


def test_the_end_of_the_stream() -> None:
    link = _connected()
    link.end_of_stream(1.0)
    (failed,) = link.events()
    assert isinstance(failed, LinkFailed)
    assert isinstance(failed.error, LinkLost)


def test_silence_on_the_bus() -> None:
    link = _link()
    link.connect(0.0)
    for at in (1.0, 2.0, 3.0):
        link.on_time(at)
    assert link.data_to_send() == NKE * 3
    (failed,) = link.events()
    assert "0 octets" in str(failed.error)  # type: ignore[union-attr]
    link.connect(4.0)
    link.receive_data(b"\xff\xfe\xfd", 4.1)
    for at in (5.0, 6.0, 7.0):
        link.on_time(at)
    assert "2,400 baud 8E1" in str(link.events()[-1].error)  # type: ignore[union-attr]


def test_a_request_of_many_segments_takes_none_of_the_time_for_its_answer() -> None:
    link = _connected()
    link.send_apdu(bytes(2500), 1.0)
    now = 1.0
    while link.data_to_send() != REQUESTS[0]:
        now += 0.9
        link.receive_data(ACK, now)
    assert now > 1.0 + 3 * 1.0
    link.receive_data(ACK, now + 0.1)  # not ready yet
    assert link.events() == []
    link.on_time(now + 0.3)
    assert link.data_to_send() == REQUESTS[1]
