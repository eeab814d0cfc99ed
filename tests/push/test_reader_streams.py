"""Any stream: the same however it is cut, in bounded memory and linear work, whatever somebody sends."""

from __future__ import annotations

import random
import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.link.crc import crc16_arc, crc16_x25
from cosemic.push.reader import StreamReader
from cosemic.push.telegrams import Dropped, Framing, Heard, Telegram
from cosemic.tolerances import STRICT
from tests.push.captures import CASES
from tests.push.p1_texts import crc_bit_by_bit
from tests.push.streams import FRAMED, P1_TEXT, blocks, hdlc, mbus, notification, wrapped

_TEXTS = [P1_TEXT.replace(b"\r\n", b"\n"), P1_TEXT.replace(b"\r\n", b"\r"), P1_TEXT.replace(b"ISK5", b"NWA-")]
_TEXTS += [bytes(octet | (octet.bit_count() & 1) << 7 for octet in octets) for octets in (P1_TEXT, *_TEXTS)]
STREAMS = [octets for octets, *_ in FRAMED.values()] + [bytes.fromhex(case["bytes"]) for case in CASES] + _TEXTS

_BEGINNINGS = [
    *(b"\x7e", b"\x7e\xa0\x20", b"\x7e\xa7\xff", b"h", b"h\x20\x20h", b"\xe5", b"\x10", b"/", b"/ABC5", b"\n!"),
    *(b"\x00\x01", b"\x00\x01\x00\x01\x00\x67\x00\x20\x0f", b"\x0f\x00\x00\x00\x00\x00\x02\x02", b"\xdb\x08ABC"),
    *(
        b"\xaf",
        b"\xaf\x41\x42\xc3\x35",
        b"/NWA-X\n",
        b"/NWA-",
        b"\n!12",
        b"\r!",
        b"\x8d!",
        b"\n!\r",
        b"\r",
        b"\n",
        b"1(1)",
    ),
    *(b"\xe6\xe7\x00", b"\xe0\x00\x00\x01\x00\x00\x10\x0f", b"\xdd\x00\x08ABC", b"\x18\x00\x01\x02"),
    *(b"\xc2\x00", b"\xca\x20\x30"),
]
_beginnings = st.sampled_from(_BEGINNINGS)
_parts = st.one_of(
    st.sampled_from(STREAMS),
    st.binary(max_size=40),
    _beginnings,
    st.builds(lambda octets, size: octets[: size % (len(octets) + 1)], st.sampled_from(STREAMS), st.integers(0, 1000)),
    st.builds(lambda octets, size: octets[size % len(octets) :], st.sampled_from(STREAMS), st.integers(0, 1000)),
)


def read(pieces: list[bytes | None], **options: Any) -> list[Heard]:
    """None is a silence."""
    reader = StreamReader(**options)
    found: list[Heard] = []
    for piece in pieces:
        found += reader.idle() if piece is None else reader.feed(piece)
    found += reader.end()
    assert not reader.is_partial
    assert reader.waiting == 0
    return found


def cut_at(octets: bytes, dice: random.Random) -> list[bytes | None]:
    pieces: list[bytes | None] = []
    at = 0
    while at < len(octets):
        size = dice.choice((1, 1, 2, 3, 7, 60, 900))
        pieces.append(octets[at : at + size])
        at += size
    return pieces


def check_order(found: list[Heard], stream: bytes) -> None:
    """No octet is told of twice, and what is dropped is of the stream."""
    for item in found:
        assert 0 <= item.offset <= len(stream)
        if isinstance(item, Dropped):
            assert len(item.octets) <= 512
        elif item.framing in (Framing.APDU, Framing.P1) and item.octets in stream:
            assert stream[item.offset : item.offset + 1] in (item.octets[:1], b"\xe0")


@settings(max_examples=400, deadline=None)
@given(st.lists(st.one_of(_parts, st.none()), max_size=8), st.integers(), st.sampled_from([None, None, *Framing]))
def test_the_cut_of_a_stream_changes_nothing(parts: list[bytes | None], seed: int, framing: Framing | None) -> None:
    dice = random.Random(seed)
    limit = dice.choice((1 << 16, 600, 64))
    whole: list[bytes | None] = [b""]
    for part in parts:  # between two silences everything in one piece
        if part is None or whole[-1] is None:
            whole.append(part)
        else:
            whole[-1] += part
    found = read(whole, framing=framing, max_telegram=limit)
    pieces = [piece for part in whole for piece in ([None] if part is None else cut_at(part, dice))]
    assert read(pieces, framing=framing, max_telegram=limit) == found
    octets = [part[at : at + 1] for part in whole if part is not None for at in range(len(part))]
    if None not in whole:
        assert read(list(octets), framing=framing, max_telegram=limit) == found
        check_order(found, whole[0] or b"")


def test_the_reason_for_a_frame_without_octets_does_not_depend_on_the_cut() -> None:
    stream = b"h\x00\x00h45"
    found = read([stream], tolerances=STRICT)
    assert read([stream[at : at + 1] for at in range(len(stream))], tolerances=STRICT) == found


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_noise_is_no_telegram(noise: bytes) -> None:
    # A short text without a check sum is soon found by who looks for one; chance does not find it (see below).
    telegrams = [item for item in read([noise]) if isinstance(item, Telegram) and item.is_complete]
    assert [item for item in telegrams if item.framing is not Framing.P1] == []


def test_chance_makes_no_telegram() -> None:
    dice = random.Random(5)
    for _ in range(2000):
        assert [item for item in read([dice.randbytes(400)]) if isinstance(item, Telegram) and item.is_complete] == []


# -- hostile streams --------------------------------------------------------------------------------------------------
_VALID_HEADER = b"\xa7\xff\x03\x21\x13"
_NESTED = (
    b"\x0f\x00\x00\x00\x00\x00\x01\x82\xff\xff" + b"\x09\x0c\x0f\x00\x00\x00\x00\x00\x01\x82\xff\xff\x09\x0c" * 400
)
_UNITS = {
    "flags": b"\x7e",
    "headers of frames": b"\x7e\xa7\xff",
    "headers with a right check sequence": b"\x7e" + _VALID_HEADER + crc16_x25(_VALID_HEADER),
    "long m-bus": b"\x68\xff\xff\x68",
    "overflowing m-bus": b"\x68\x20\x20\x68",
    "starts of m-bus": b"\x68",
    "short m-bus": b"\x10",
    "headers of wrappers": b"\x00\x01\x00\x01\x00\x10\xff\xff",
    "wrappers of pushes": b"\x00\x01\x00\x01\x00\x10\xff\xf0\x0f\x00\x00\x00\x00\x00\x02\x02",
    "zeros": b"\x00",
    "slashes": b"/",
    "beginnings of texts": b"/ABC5",
    "beginnings of texts without end": b"/ABC5\r\n\r\n1-0:1.8.0(000001*kWh)\r\n",
    "beginnings of texts with odd names": b"/ABC",
    "names of texts": b"/ABC-DEF",
    "names of texts to the line end": b"/ABC-DEF\n",
    "long names of texts": b"/ABC" + b"-" * 40,
    "slashes with parity": b"\xaf",
    "beginnings of texts with parity": b"\xaf\x41\x42\xc3\x35",
    "beginnings of texts with parity without end": b"\xaf\x41\x42\xc3\x35\x8d\x0a\xb1\x28\xb1\xa9\x8d\x0a",
    "texts with parity and with a wrong check sum": b"\xaf\x41\x42\xc3\x35\x8d\x0a\xb1\x28\xb1\xa9\x0a!\xb1\x8d\x0a",
    "ends of texts": b"/ABC5\r\n!1234\r\n",
    "last lines of texts": b"/ABC5\r\n1(1)\r\n!12345678901234567",
    "texts with a wrong check sum": b"/ABC5\r\n1(1)\r\n!1234\r\n",
    "texts without values": b"/ABC-\n" + b"a" * 1000 + b"\n!1234\n",
    "line ends": b"\r\n!",
    "text": b"a line of a text\r\n",
    "first general blocks": b"\xe0\x40\x00\x01\x00\x00\x04\x0f\x00\x00\x00",
    "first general blocks in frames": hdlc(blocks(notification())[0]),
    "general blocks in wrappers": b"".join(map(wrapped, blocks(notification())[:-1])),
    "first segments": hdlc(notification(), size=60)[:70],
    "first segments of m-bus": mbus(bytes(600))[:256],
    "notifications": b"\x0f\x00\x00\x00\x00\x00\x01\x82\xff\xff",
    "notifications in strings": _NESTED,
    "notifications of nothing": b"\x0f\x00\x00\x00\x00\x00\x02\x7f" + bytes(100),
    "general-glo": b"\xdb\x08ABC\x00\x00\x00\x00\x00\x82\xff\xf0\x30",
    "general-ciphering": b"\xdd\x00\x08ABC\x00\x00\x00\x00\x00\x00\x00\x00",
    "tags": bytes(range(256)),
    "structures": b"\x02\x02",
}


def hostile(name: str, size: int) -> bytes:
    unit = _UNITS[name]
    return (unit * (size // len(unit) + 1))[:size]


@pytest.mark.parametrize("name", _UNITS)
def test_memory_is_bounded(name: str) -> None:
    reader = StreamReader(max_telegram=4000, max_senders=4)
    stream = hostile(name, 200_000)
    reader.feed(stream[:1000])
    reader.idle()
    tracemalloc.start()
    try:
        for at in range(0, len(stream), 1000):
            reader.feed(stream[at : at + 1000])
            assert reader.waiting < 3 * 4000 + 1000
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", _UNITS)
@pytest.mark.parametrize("piece", [1, 1 << 20])
def test_work_is_linear(name: str, piece: int) -> None:
    """Counted in lines that the interpreter executes, and in octets that are searched at once."""
    small, large = (4000, 16_000) if piece == 1 else (6000, 24_000)
    few, many = work(hostile(name, small), piece), work(hostile(name, large), piece)
    assert many <= few * 4 * 1.6 + 3000
    assert many <= large * 250


def work(stream: bytes, piece: int) -> int:
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        nonlocal count
        count += 1
        return trace

    reader = StreamReader()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for at in range(0, len(stream), piece):
            reader.feed(stream[at : at + piece])
        reader.end()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", _UNITS)
def test_a_good_telegram_behind_a_hostile_stream(name: str) -> None:
    reader = StreamReader(max_telegram=4000)
    reader.feed(hostile(name, 10_000))
    reader.idle()
    found = reader.feed(hdlc(notification()) + P1_TEXT) + reader.idle()
    assert [item.octets for item in found if isinstance(item, Telegram)] == [notification(), P1_TEXT.rstrip()]


def test_a_reader_is_small() -> None:
    frame = hdlc(notification())
    StreamReader().feed(frame)
    tracemalloc.start()
    try:
        readers = [StreamReader() for _ in range(200)]
        assert tracemalloc.get_traced_memory()[0] / 200 < 600
        for reader in readers:
            reader.feed(frame)
        assert tracemalloc.get_traced_memory()[0] / 200 < 1024
    finally:
        tracemalloc.stop()


# -- the check sum of texts -------------------------------------------------------------------------------------------
@given(st.binary(max_size=3000))
@settings(max_examples=150, deadline=None)
def test_the_check_sum_of_texts_is_that_of_its_definition(octets: bytes) -> None:
    assert crc16_arc(octets) == crc_bit_by_bit(octets)


def test_the_published_check_value() -> None:
    assert crc16_arc(b"123456789") == 0xBB3D


def test_a_frame_inside_an_apdu_that_fails_late_is_found_at_every_cut() -> None:
    stream = bytes.fromhex(
        "0f00000001000102092f0f00ff7ea00d210223132806e6e7009eb47e7ea034210003000c370000ff020904414243440202000300000108440f40"
    )

    def heard(pieces: list[bytes]) -> list[Heard]:
        reader = StreamReader()
        return [item for piece in pieces for item in reader.feed(piece)] + reader.end()

    whole = heard([stream])
    for cut in range(1, len(stream)):
        assert heard([stream[:cut], stream[cut:]]) == whole, cut


def test_ciphertext_that_ends_like_the_beginning_of_a_frame_does_not_keep_a_wrapper_pdu_waiting() -> None:
    for tail in (b"\x7e", b"\x7e\xa8", b"\x7e\xa0\x80\x03", b"h", b"h\x20\x20", b"h\x20\x20h\x53", b"/", b"/ABC"):
        apdu = b"\xdb\x08TST\x00\x00\x00\x00\x01\x40\x30\x00\x00\x00\x01" + bytes(59 - len(tail)) + tail
        reader = StreamReader()
        (telegram,) = reader.feed(wrapped(apdu))
        assert isinstance(telegram, Telegram)
        assert (telegram.framing, telegram.octets) == (Framing.WRAPPER, apdu)
        assert reader.end() == []
