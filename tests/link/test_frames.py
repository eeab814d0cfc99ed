"""Frames, addresses and the reader that finds frames in a stream."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.errors import FrameError
from cosemic.link.crc import crc16_x25, is_intact
from cosemic.link.events import FrameDropped
from cosemic.link.frames import FrameReader, HdlcAddress, HdlcFrame

addresses = st.one_of(
    st.builds(HdlcAddress, st.integers(0, 0x7F)),
    st.builds(HdlcAddress, st.integers(0, 0x7F), st.integers(0, 0x7F), st.just(2)),
    st.builds(HdlcAddress, st.integers(0, 0x3FFF), st.integers(0, 0x3FFF), st.just(4)),
)
frames = st.builds(
    HdlcFrame,
    addresses,
    addresses,
    st.integers(0, 255),
    st.one_of(st.just(b""), st.binary(max_size=200)),
    st.booleans(),
)
FRAME = HdlcFrame(HdlcAddress(1), HdlcAddress(16), 0x10, bytes.fromhex("e6e600c001c100080000010000ff0200"))
OTHER = HdlcFrame(HdlcAddress(16), HdlcAddress(1, 17), 0x30, bytes(range(128)))
SHORT = HdlcFrame(HdlcAddress(16), HdlcAddress(1, 17), 0x11)


def whole(octets: bytes):
    reader = FrameReader()
    return reader.feed(octets) + reader.expire()


def kept(items):
    return [item for item in items if isinstance(item, HdlcFrame)]


def test_crc_of_the_catalogue():
    assert crc16_x25(b"123456789") == (0x906E).to_bytes(2, "little")
    assert is_intact(b"123456789" + crc16_x25(b"123456789"))
    assert not is_intact(b"123456788" + crc16_x25(b"123456789"))


@given(addresses)
def test_address_round_trip(address):
    octets = address.encode()
    assert HdlcAddress.decode(octets + b"\x03") == (address, len(octets))
    assert len(octets) == address.size
    assert HdlcAddress.from_octets(octets) == address


def test_address_size_follows_from_the_numbers():
    assert HdlcAddress(16).encode() == b"\x21"
    assert HdlcAddress(1, 17).encode() == b"\x02\x23"
    assert HdlcAddress(1, 300).size == HdlcAddress(300, 1).size == 4
    assert HdlcAddress(1, 17, 4) == HdlcAddress(1, 17)
    assert hash(HdlcAddress(1, 17, 4)) == hash(HdlcAddress(1, 17))
    assert HdlcAddress(1, 17, 4).encode() == bytes.fromhex("00020023")


@pytest.mark.parametrize(
    "arguments", [(128,), (-1,), (1, 128, 2), (1, 0x4000), (1, 17, 1), (1, None, 2), (1, 1, 3), (1, 1, 0)]
)
def test_address_that_cannot_be(arguments):
    with pytest.raises(ValueError, match="address"):
        HdlcAddress(*arguments)


@pytest.mark.parametrize("octets", ["", "02", "0202", "020203", "02020202", "0202020203"])
def test_address_octets_that_are_none(octets):
    with pytest.raises(FrameError):
        HdlcAddress.decode(bytes.fromhex(octets))


def test_special_addresses():
    assert HdlcAddress(0x7F).is_all_station
    assert HdlcAddress(1, 0x7F).is_all_station
    assert HdlcAddress(1, 0x3FFF).is_all_station
    assert not HdlcAddress(1, 0x7F, 4).is_all_station
    assert HdlcAddress(1, 0x7E).is_calling_station
    assert HdlcAddress(0).is_no_station
    assert HdlcAddress(0, 0).is_no_station
    assert not HdlcAddress(0, 1).is_no_station


@given(frames)
def test_encode_and_decode_are_inverse(frame):
    octets = frame.encode()
    assert HdlcFrame.decode(octets) == frame
    assert HdlcFrame.decode(octets).destination.size == frame.destination.size
    assert HdlcFrame.decode(octets[1:-1]) == frame
    assert whole(octets) == [frame]
    assert whole(octets) == [frame]  # by the short path, once the addresses are known


def test_longest_frame():
    longest = HdlcFrame(HdlcAddress(1, 17, 4), HdlcAddress(16), 0x10, bytes(2035))
    assert len(longest.encode()) == 0x7FF + 2
    assert whole(longest.encode()) == [longest]
    with pytest.raises(FrameError, match="2048"):
        HdlcFrame(HdlcAddress(1, 17, 4), HdlcAddress(16), 0x10, bytes(2036)).encode()


@pytest.mark.parametrize(
    ("octets", "message"),
    [
        (b"", "cut short"),
        (b"\x7e", "cut short"),
        (FRAME.encode()[:-2], "says it has 25 octets"),
        (FRAME.encode() + b"\x00", "says it has 25 octets"),
        (b"\x7e\x90" + FRAME.encode()[2:], "type 9"),
        (FRAME.encode()[:8] + b"\x00" + FRAME.encode()[9:], "FCS|HCS"),
        (b"\xa0\x05\x03\x21\x93", "too short"),
        (b"\xa0\x02", "ends within"),
    ],
)
def test_decode_says_what_is_wrong(octets, message):
    with pytest.raises(FrameError, match=message):
        HdlcFrame.decode(octets)


@given(st.binary(max_size=60))
def test_decode_raises_frame_error_only(octets):
    for candidate in (octets, b"\x7e\xa0" + octets, bytes((0xA0, len(octets) + 2)) + octets):
        with contextlib.suppress(FrameError):
            HdlcFrame.decode(candidate)


# the reader

noise = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"\x7e", b"\x7e\x7e", b"\x7e\xa0", b"\x7e\xa7\xff", b"\x7e\xa0\x07\x03\x21\x93", b"\x7d\x5e"]),
)


@st.composite
def streams(draw):
    parts = []
    for frame in draw(st.lists(frames, max_size=4)):
        octets = bytearray(frame.encode())
        damage = draw(st.sampled_from(["none", "none", "lose", "flip", "cut", "shared"]))
        place = draw(st.integers(0, len(octets) - 1))
        if damage == "lose":
            del octets[place]
        elif damage == "flip":
            octets[place] ^= 1 << draw(st.integers(0, 7))
        elif damage == "cut":
            del octets[place:]
        elif damage == "shared":
            del octets[0]
        parts += [draw(noise), bytes(octets)]
    return b"".join(parts) + draw(noise)


@settings(max_examples=200)
@given(streams(), st.data())
def test_any_cut_of_the_stream_gives_the_same_items(stream, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    expected = whole(stream)
    for division in (pieces, [stream[index : index + 1] for index in range(len(stream))]):
        reader = FrameReader()
        items = [item for piece in division for item in reader.feed(piece)]
        assert items + reader.expire() == expected
        assert not reader.is_partial


@settings(max_examples=200)
@given(st.lists(st.one_of(st.binary(max_size=40), noise, frames.map(HdlcFrame.encode)), max_size=8))
def test_arbitrary_octets_never_raise_and_none_is_lost(pieces):
    reader = FrameReader()
    items = [item for piece in pieces for item in reader.feed(piece)] + reader.expire()
    assert len(reader._buffer) <= 1
    total = b"".join(pieces)
    accounted = b"".join(item.octets if isinstance(item, FrameDropped) else item.encode()[:-1] for item in items)
    # only flags are used twice, or passed over
    assert accounted.replace(b"\x7e", b"") == total.replace(b"\x7e", b"")


def test_frames_that_share_a_flag():
    assert whole(FRAME.encode() + OTHER.encode()[1:] + SHORT.encode()[1:]) == [FRAME, OTHER, SHORT]


def test_many_flags_between_frames():
    assert whole(b"\x7e" * 50 + FRAME.encode() + b"\x7e" * 50 + OTHER.encode()) == [FRAME, OTHER]


def test_flag_octet_inside_information():
    frame = HdlcFrame(HdlcAddress(16), HdlcAddress(1, 17), 0x30, b"\x7e\xa0\x07\x7e\x7e\xa0\x0a" * 5)
    assert whole(frame.encode() * 3) == [frame] * 3


@pytest.mark.parametrize("place", range(1, len(OTHER.encode()) - 1))
def test_one_lost_octet_costs_one_frame(place):
    octets = OTHER.encode()
    items = whole(octets[:place] + octets[place + 1 :] + FRAME.encode() + SHORT.encode())
    assert kept(items) == [FRAME, SHORT]
    assert any(isinstance(item, FrameDropped) for item in items)


@pytest.mark.parametrize("place", range(1, len(OTHER.encode()) - 1))
def test_one_wrong_octet_costs_one_frame(place):
    octets = bytearray(OTHER.encode())
    octets[place] ^= 0x55
    assert kept(whole(bytes(octets) + FRAME.encode())) == [FRAME]


def test_a_damaged_length_is_not_waited_for():
    reader = FrameReader()
    octets = bytearray(OTHER.encode())
    octets[1] |= 0x07  # now 2,000 octets long, says the header
    items = reader.feed(bytes(octets) + FRAME.encode())
    assert kept(items) == [FRAME]
    assert isinstance(items[0], FrameDropped)
    assert "HCS" in items[0].reason


def test_a_cut_frame_is_given_up_by_silence_and_what_follows_is_found():
    reader = FrameReader()
    assert reader.feed(OTHER.encode()[:40] + FRAME.encode()) == []
    assert reader.is_partial
    items = reader.expire()
    assert kept(items) == [FRAME]
    assert "missing" in items[0].reason
    assert not reader.is_partial
    assert reader.feed(SHORT.encode()) == [SHORT]


def test_reasons():
    frame = bytearray(FRAME.encode())
    frame[-3] ^= 1
    assert [item.reason for item in whole(bytes(frame))] == ["the frame check sequence (FCS) is wrong"]
    short = bytearray(SHORT.encode())
    short[-3] ^= 1
    assert [item.reason for item in whole(bytes(short))] == ["the frame check sequence (FCS) is wrong"]
    assert "no flag after" in whole(FRAME.encode()[:-1] + b"\x00\x7e")[0].reason
    assert whole(b"hello")[0].reason == "octets outside a frame"


def test_what_is_dropped_is_bounded():
    reader = FrameReader(max_buffer=100)
    items = [item for _ in range(50) for item in reader.feed(bytes(37))]
    assert all(isinstance(item, FrameDropped) and len(item.octets) == 100 for item in items)
    assert len(items) == 50 * 37 // 100
    assert len(reader._skipped) < 100
    assert reader.feed(FRAME.encode())[-1] == FRAME


def test_every_address_pair_is_remembered_within_bounds():
    for upper in range(5000):
        frame = HdlcFrame(HdlcAddress(upper, 1, 4), HdlcAddress(16), 0x10, b"x")
        assert whole(frame.encode()) == [frame]
    assert len(HdlcAddress._cache) <= 4096
