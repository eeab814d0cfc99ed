"""What is special to one framing: segments, blocks, lost and repeated parts, texts, wrappers, unfinished telegrams."""

from __future__ import annotations

import random

import pytest

from cosemic.link.control import UI, information
from cosemic.link.frames import HdlcAddress, HdlcFrame
from cosemic.link.mbus import SND_UD, MbusFrame, segments
from cosemic.push.reader import StreamReader
from cosemic.push.telegrams import Content, Dropped, Framing, Heard, Telegram
from cosemic.tolerances import STRICT, Tolerance
from tests.push.streams import (
    HEAD_END,
    LLC,
    METER,
    P1_TEXT,
    P1_TEXT_WITHOUT_CRC,
    PLAIN,
    RARE,
    blocks,
    ciphered,
    dropped,
    hdlc,
    heard,
    mbus,
    notification,
    overflowing_mbus,
    single,
    telegrams,
    wrapped,
)

ONE, TWO, THREE = notification(1), notification(2), ciphered(40)
OTHERS = [HdlcAddress(2, 17), HdlcAddress(3, 17), HdlcAddress(1, 18)]


def reasons(found: list[Heard]) -> list[str]:
    return [item.reason for item in dropped(found)]


def frames(octets: bytes) -> list[bytes]:
    """The HDLC frames of a stream, each with its flags."""
    found = []
    while octets:
        size = 2 + ((octets[1] & 7) << 8 | octets[2])
        found.append(octets[:size])
        octets = octets[size:]
    return found


# -- HDLC -------------------------------------------------------------------------------------------------------------
def test_addresses_of_every_size_are_told() -> None:
    for size, address in ((1, HdlcAddress(17)), (2, HdlcAddress(1, 17)), (4, HdlcAddress(1, 300))):
        assert len(address.octets) == size
        (told,) = heard(hdlc(ONE, source=address))
        assert isinstance(told, Telegram)
        assert (told.source, told.destination) == (address.logical, 103)


def test_several_apdus_in_one_frame() -> None:
    several = LLC + ONE + LLC + THREE + LLC + TWO
    octets = HdlcFrame(HEAD_END, METER, UI, several).encode()
    assert telegrams(heard(octets)) == [ONE, THREE, TWO]
    assert telegrams(heard(hdlc(several[3:], size=30))) == [ONE, THREE, TWO]


def test_frames_may_share_a_flag_or_have_many() -> None:
    assert telegrams(heard(hdlc(ONE) + hdlc(TWO)[1:])) == [ONE, TWO]
    found = heard(b"\x7e\x7e\x7e" + hdlc(ONE) + b"\x7e\x7e" + hdlc(TWO) + b"\x7e")
    assert telegrams(found) == [ONE, TWO]
    assert dropped(found) == []


def test_an_apdu_without_llc_is_a_tolerance(caplog: pytest.LogCaptureFixture) -> None:
    octets = hdlc(ONE, llc=b"")
    caplog.set_level("INFO", "cosemic.tolerance")
    assert telegrams(heard(octets)) == [ONE]
    assert "HDLC_MISSING_LLC" in caplog.text
    found = heard(octets, tolerances=STRICT)
    assert telegrams(found) == []
    assert reasons(found) == ["HDLC information without an LLC header"]
    assert telegrams(heard(hdlc(b"\x99" + ONE, llc=b""))) == []


def test_frames_that_are_not_for_listeners_say_nothing() -> None:
    octets = b"".join(
        HdlcFrame(HEAD_END, METER, control, content).encode()
        for control, content in (
            (0x73, b"\x81\x80\x00"),
            (0x93, b""),
            (0x1F, b""),
            (0x97, b"\x54\x00\x10"),
            (0x11, b""),
        )
    )
    assert heard(octets) == []
    assert telegrams(heard(octets + hdlc(ONE))) == [ONE]


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_segment_loses_one_telegram(numbered: bool, lost: int) -> None:
    parts = frames(hdlc(THREE, size=20, numbered=numbered))
    assert len(parts) == 3
    found = heard(b"".join(parts[:lost] + parts[lost + 1 :]) + hdlc(ONE))
    whole = [item for item in found if isinstance(item, Telegram) and item.is_complete]
    assert whole[-1].octets == ONE
    assert THREE not in telegrams(found)
    if numbered or lost == 0:
        assert telegrams(found) == [ONE]
        assert dropped(found)


def test_a_damaged_segment_of_ui_frames_ends_the_telegram() -> None:
    parts = frames(hdlc(THREE, size=20))
    damaged = parts[1][:-4] + b"\x00" + parts[1][-3:]
    found = heard(b"".join([parts[0], damaged, *parts[2:]]) + hdlc(ONE))
    assert telegrams(found) == [ONE]
    assert any("a damaged frame among its segments" in reason for reason in reasons(found))


def test_a_cut_ciphered_telegram_of_ui_frames_is_not_complete() -> None:
    parts = frames(hdlc(THREE, size=20))
    (told,) = heard(b"".join([parts[0], *parts[2:]]))
    assert isinstance(told, Telegram)
    assert not told.is_complete


def test_a_numbered_segment_that_comes_twice() -> None:
    parts = frames(hdlc(THREE, size=20, numbered=True))
    assert telegrams(heard(b"".join(part * 2 for part in parts[:-1]) + parts[-1])) == [THREE]


def test_segments_of_several_meters_between_each_other() -> None:
    apdus = [notification(number) for number in (1, 2, 3)]
    lines = [frames(hdlc(apdu, size=50, source=at)) for apdu, at in zip(apdus, OTHERS, strict=True)]
    stream = b"".join(part for group in zip(*lines, strict=True) for part in group)
    assert telegrams(heard(stream)) == apdus


def test_more_senders_than_are_kept() -> None:
    lines = [frames(hdlc(notification(at), size=50, source=HdlcAddress(at, 1))) for at in range(1, 7)]
    stream = b"".join(part for group in zip(*lines, strict=True) for part in group)
    found = heard(stream, max_senders=4)
    assert set(telegrams(found)) <= {notification(at) for at in range(1, 7)}
    assert any("more than 4 senders" in reason for reason in reasons(found))


def test_a_new_telegram_in_place_of_the_last_segment() -> None:
    for numbered in (False, True):
        parts = frames(hdlc(THREE, size=20, numbered=numbered))
        found = heard(b"".join(parts[:2]) + hdlc(ONE, size=30, numbered=numbered))
        assert telegrams(found) == [ONE]
        assert len(dropped(found)) == 1


def test_damage_is_named() -> None:
    octets = hdlc(ONE)
    (told,) = heard(octets[:20] + b"\xaa" + octets[21:])
    assert isinstance(told, Dropped)
    assert told.framing is Framing.HDLC
    assert told.reason == "a damaged HDLC frame: the frame check sequence (FCS) is wrong"
    (told,) = heard(octets[:6] + b"\x12" + octets[7:])
    assert "HCS" in told.reason  # type: ignore[union-attr]
    (told,) = heard(octets[:-9])
    assert told.reason == "an HDLC frame that is cut short"  # type: ignore[union-attr]


def test_what_is_inside_a_damaged_frame_is_not_believed() -> None:
    octets = hdlc(ONE)
    for at in range(len(octets)):
        assert telegrams(heard(octets[:at] + bytes((octets[at] ^ 0x55,)) + octets[at + 1 :])) == []
    for at in range(len(octets) - 1):
        assert telegrams(heard(octets[:at] + octets[at + 1 :])) == []


# -- general blocks ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("frame", [hdlc, mbus, wrapped, bytes], ids=["hdlc", "mbus", "wrapper", "apdu"])
def test_blocks(frame) -> None:  # type: ignore[no-untyped-def]
    parts = list(map(frame, blocks(ONE)))
    assert telegrams(heard(b"".join(parts))) == [ONE]
    assert telegrams(heard(b"".join(part * 2 for part in parts[:-1]) + parts[-1])) == [ONE]
    found = heard(b"".join(parts[:1] + parts[2:]) + b"".join(map(frame, blocks(TWO))))
    assert telegrams(found) == [TWO]
    assert any("general block 3 came in place of block 2" in reason for reason in reasons(found))
    found = heard(b"".join(parts[:2]) + b"".join(map(frame, blocks(TWO))))
    assert telegrams(found) == [TWO]
    assert reasons(found) == ["general block 1 came in place of block 3"]


def test_blocks_of_several_meters_between_each_other() -> None:
    apdus = [notification(number) for number in (1, 2, 3)]
    for frame in (
        lambda apdu, at: hdlc(apdu, source=OTHERS[at]),
        lambda apdu, at: wrapped(apdu, at + 1),
        lambda apdu, at: b"".join(part.encode() for part in segments(apdu, SND_UD, 0xFF, at + 1, 103)),
    ):
        lines = [[frame(part, at) for part in blocks(apdu)] for at, apdu in enumerate(apdus)]
        stream = b"".join(part for group in zip(*lines, strict=True) for part in group)
        assert telegrams(heard(stream)) == apdus
        assert telegrams(heard(single(stream))) == apdus


def test_blocks_that_do_not_end_are_told_of_after_silence() -> None:
    reader = StreamReader()
    assert reader.feed(b"".join(map(hdlc, blocks(ONE)[:2]))) == []
    assert reader.is_partial
    (told,) = reader.idle()
    assert isinstance(told, Telegram)
    assert (told.octets, told.is_complete, told.framing) == (ONE[:80], False, Framing.HDLC)
    assert not reader.is_partial


def test_blocks_without_end_are_given_up() -> None:
    reader = StreamReader(max_telegram=300)
    found: list[Heard] = []
    for block in blocks(bytes(2000))[:-1]:
        found += reader.feed(hdlc(block))
        assert reader.waiting < 700
    assert any("exceed 300 octets" in reason for reason in reasons(found))


# -- wrapper ----------------------------------------------------------------------------------------------------------
def test_the_wrapper_is_trusted() -> None:
    """Once a stream has it, the length counts, whatever is inside."""
    strange = bytes.fromhex("c4 01 c1 00 09 81 c8") + hdlc(ONE)
    stream = wrapped(ONE) + wrapped(strange) + wrapped(TWO)
    for found in (heard(stream), heard(single(stream))):
        assert telegrams(found) == [ONE, strange, TWO]
        assert {item.framing for item in found} == {Framing.WRAPPER}
        assert [item.source for item in found if isinstance(item, Telegram)] == [1, 1, 1]


def test_the_wrapper_needs_a_push_at_first() -> None:
    for octets in (
        wrapped(bytes.fromhex("c401c1000600000001")),
        wrapped(ONE, source=0x4000),
        b"\x00\x02" + wrapped(ONE)[2:],
        wrapped(b"\x99" + ONE),
    ):
        assert [item for item in heard(octets) if isinstance(item, Telegram) and item.framing is Framing.WRAPPER] == []


def test_the_header_of_a_wrapper_does_not_hide_frames() -> None:
    found = heard(b"\x00\x01\x00\x01\x00\x67\xff\xff\x0f\x00\x00" + hdlc(ONE))
    assert telegrams(found) == [ONE]


def test_datagrams() -> None:
    reader = StreamReader()
    for datagram in map(wrapped, [ONE, *blocks(TWO)[:-1]]):
        (told,) = reader.feed(datagram) + reader.end_of_datagram() or [None]
        assert told is None or told.octets == ONE
    (told,) = reader.feed(wrapped(blocks(TWO)[-1])) + reader.end_of_datagram()
    assert told.octets == TWO
    (told,) = reader.feed(wrapped(ONE)[:-5]) + reader.end_of_datagram()
    assert isinstance(told, Telegram)
    assert (told.octets, told.is_complete) == (ONE[:-5], False)
    (told,) = reader.feed(wrapped(TWO)) + reader.end_of_datagram()
    assert told.octets == TWO


# -- M-Bus ------------------------------------------------------------------------------------------------------------
def test_the_overflowing_length_is_a_tolerance() -> None:
    octets = overflowing_mbus(ciphered(252))
    assert telegrams(heard(octets)) == [ciphered(252)]
    assert telegrams(heard(octets, tolerances=STRICT)) == []


def test_changed_access_points_are_a_tolerance() -> None:
    apdu = ciphered(300)
    first, second = segments(apdu, SND_UD, 0xFF, 1, 103)
    changed = MbusFrame(second.control, second.address, second.ci, b"\x47\x83" + second.data[2:])
    stream = first.encode() + changed.encode()
    assert telegrams(heard(stream)) == [apdu]
    assert telegrams(heard(stream, tolerances=frozenset({Tolerance.MBUS_LENGTH_OVERFLOW}))) == []


def test_short_frames_and_acknowledgements_say_nothing() -> None:
    stream = b"\xe5" + bytes.fromhex("105b015c16") + mbus(ONE) + b"\xe5\xe5" + mbus(TWO)
    found = heard(stream)
    assert telegrams(found) == [ONE, TWO]
    assert dropped(found) == []
    assert heard(single(stream)) == found


def test_a_frame_of_other_m_bus_devices_is_named() -> None:
    stream = MbusFrame(0x08, 5, 0x72, bytes(12)).encode() + mbus(ONE)
    found = heard(stream)
    assert telegrams(found) == [ONE]
    assert reasons(found) == ["an M-Bus frame that carries no DLMS segment (CI 72)"]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_m_bus_segment(lost: int) -> None:
    parts = [part.encode() for part in segments(ciphered(700), SND_UD, 0xFF, 1, 103)]
    assert len(parts) == 3
    found = heard(b"".join(parts[:lost] + parts[lost + 1 :]) + mbus(ONE))
    whole = [item for item in found if isinstance(item, Telegram) and item.is_complete]
    assert [item.octets for item in whole] == [ONE]


def test_m_bus_segments_of_several_meters_between_each_other() -> None:
    apdus = [ciphered(600, seed=seed) for seed in range(3)]
    lines = [[part.encode() for part in segments(apdu, SND_UD, 5 + at, 1, 103)] for at, apdu in enumerate(apdus)]
    stream = b"".join(part for group in zip(*lines, strict=True) for part in group)
    assert telegrams(heard(stream)) == apdus


def test_an_m_bus_telegram_without_its_last_segment() -> None:
    reader = StreamReader()
    parts = [part.encode() for part in segments(ciphered(300), SND_UD, 0xFF, 1, 103)]
    assert reader.feed(b"noise" + parts[0]) != []
    (told,) = reader.idle()
    assert isinstance(told, Telegram)
    assert (told.is_complete, told.source, told.destination, told.offset) == (False, 1, 103, 5)
    assert told.octets == ciphered(300)[:250]


# -- P1 texts ---------------------------------------------------------------------------------------------------------
def test_a_wrong_check_sum_of_a_text() -> None:
    bad = P1_TEXT.replace(b"004812", b"004813")
    found = heard(bad + P1_TEXT)  # it is for who reads the text to say that
    assert telegrams(found) == [bad.rstrip(), P1_TEXT.rstrip()]
    assert dropped(found) == []


def test_a_text_that_is_cut_does_not_hide_the_next() -> None:
    for size in range(1, len(P1_TEXT), 9):
        found = heard(P1_TEXT[:size] + P1_TEXT)
        is_whole = size >= len(P1_TEXT.rstrip())
        assert telegrams(found) == [P1_TEXT.rstrip()] * (1 + is_whole)
        assert {item.framing for item in dropped(found)} <= {Framing.P1, None}


def test_texts_with_and_without_check_sum() -> None:
    found = heard(P1_TEXT_WITHOUT_CRC + P1_TEXT + P1_TEXT_WITHOUT_CRC)
    assert telegrams(found) == [text.rstrip() for text in (P1_TEXT_WITHOUT_CRC, P1_TEXT, P1_TEXT_WITHOUT_CRC)]
    assert all(item.content is Content.P1_TEXT for item in found if isinstance(item, Telegram))


def test_the_last_line_end_of_a_text_may_stay_away() -> None:
    reader = StreamReader()
    assert reader.feed(P1_TEXT.rstrip()) == []
    assert telegrams(reader.idle()) == [P1_TEXT.rstrip()]


# -- APDUs without a frame --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", PLAIN)
def test_an_apdu_that_is_cut(name: str) -> None:
    apdu = PLAIN[name]
    for size in (len(apdu) - 1, len(apdu) // 2):
        reader = StreamReader()
        assert reader.feed(apdu[:size]) == []
        (told,) = reader.idle()
        assert isinstance(told, Dropped) or (told.octets, told.is_complete) == (apdu[:size], False)
        assert telegrams(reader.feed(ONE) + reader.idle()) == [ONE]


def test_a_cut_apdu_does_not_hide_the_next_of_its_sender() -> None:
    first, second = ciphered(200, seed=1), ciphered(200, seed=2)
    for size in (40, 100, 190):
        assert telegrams(heard(first[:size] + second)) == [second]


def test_a_notification_that_cannot_be_walked_goes_on_to_the_next_or_to_silence() -> None:
    strange = bytes.fromhex("0f 40000001 0c 07e5091b01092f0f00ff8880 02 03 0600000001 63 07 1f 42 42 42 42 06 00000002")
    found = heard(strange + ONE)
    assert telegrams(found) == [strange, ONE]
    reader = StreamReader()
    assert reader.feed(strange) == []
    (told,) = reader.idle()
    assert isinstance(told, Telegram)
    assert told.octets == strange
    assert telegrams(heard(single(strange + ONE))) == [strange, ONE]
    # in a stream of frames it is noise
    assert telegrams(heard(hdlc(TWO) + strange + hdlc(ONE))) == [TWO, ONE]


def test_frames_inside_what_seems_to_be_an_apdu_win() -> None:
    beginning = b"\xdb\x08ABC\x00\x01\x02\x03\x04\x82\x40\x00\x30"
    for octets, apdu in ((hdlc(ONE), ONE), (mbus(ONE), ONE), (P1_TEXT, P1_TEXT.rstrip())):
        for stream in (beginning + bytes(50) + octets, b"\x55" + beginning + octets):
            assert telegrams(heard(stream)) == [apdu]
            assert telegrams(heard(single(stream))) == [apdu]


@pytest.mark.parametrize("name", RARE)
def test_an_apdu_is_told_as_soon_as_it_is_whole(name: str) -> None:
    reader = StreamReader()
    (told,) = reader.feed(RARE[name])
    assert told.octets == RARE[name]
    (told,) = reader.feed(RARE[name])
    assert told.offset == len(RARE[name])


# -- changes ----------------------------------------------------------------------------------------------------------
def test_the_framing_changes_in_mid_stream() -> None:
    dice = random.Random(3)
    makers = [
        lambda: hdlc(ONE),
        lambda: mbus(ONE),
        lambda: wrapped(ONE),
        lambda: ONE,
        lambda: P1_TEXT,
        lambda: b"".join(map(hdlc, blocks(ONE))),
    ]
    for _ in range(30):
        parts = [dice.choice(makers)() for _ in range(12)]
        found = heard(b"".join(parts))
        assert dropped(found) == []
        assert telegrams(found) == [P1_TEXT.rstrip() if part is P1_TEXT else ONE for part in parts]


def test_reset_forgets_everything() -> None:
    reader = StreamReader()
    reader.feed(hdlc(ONE, size=30)[:100] + hdlc(TWO)[:50])
    reader.reset()
    assert not reader.is_partial
    assert reader.waiting == 0
    (told,) = reader.feed(ONE)
    assert told.offset == 0


def test_an_i_frame_is_read_whatever_its_number() -> None:
    for number in range(8):
        frame = HdlcFrame(HEAD_END, METER, information(number, 3, True), LLC + ONE)
        assert telegrams(heard(frame.encode())) == [ONE]


def test_limits_have_to_make_sense() -> None:
    with pytest.raises(ValueError, match="16 octets"):
        StreamReader(max_telegram=3)
    with pytest.raises(ValueError, match="send"):
        StreamReader(max_senders=0)


def test_a_telegram_longer_than_the_limit() -> None:
    long = ciphered(700)
    for octets in (long, wrapped(long), mbus(long), b"".join(map(hdlc, blocks(long)))):
        found = heard(octets + hdlc(ONE), max_telegram=500)
        assert telegrams(found) == [ONE]
        assert dropped(found)
