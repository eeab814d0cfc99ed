"""P1 texts on a line as they really come: other line ends, parity bits, odd names, short check sums, damage, noise."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cosemic.captures.chunks import Direction
from cosemic.captures.detect import open_capture
from cosemic.captures.recording import RecordingWriter
from cosemic.obis import ObisCode
from cosemic.push.decoder import PushDecoder
from cosemic.push.messages import Decoded, Diagnosis, Push, Undecoded
from cosemic.push.telegrams import Dropped, Framing, Telegram
from cosemic.tolerances import DEFAULT, STRICT, Tolerance
from tests.push import p1_texts
from tests.push.p1_texts import crc_bit_by_bit, text
from tests.push.streams import cut, hdlc, heard, mbus, notification, single, telegrams

DSMR = text(p1_texts.DSMR_5)
HEAT = text("""/NWA-WARMTELINK

1-3:0.2.8(50)
0-1:24.1.0(012)
0-1:96.1.0(3030303030303031)
0-1:24.2.1(250615143000S)(012.345*GJ)""")


def with_parity(octets: bytes) -> bytes:
    """As a line of seven bits with even parity is received with eight bits."""
    return bytes(octet | (octet.bit_count() & 1) << 7 for octet in octets)


def with_line_feeds(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n")


def with_returns(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\r")


def short_check_sum() -> bytes:
    """A text whose check sum has a zero in front, which is left out."""
    for number in range(1000):
        octets = text(f"/ABC5X\n\n1-0:1.8.0({number}*kWh)")
        if octets[-6:-5] == b"0":
            return octets[:-6] + octets[-6:].lstrip(b"0")
    raise AssertionError("no check sum with a zero in front")


SHORT = short_check_sum()
KINDS: dict[str, tuple[bytes, frozenset[Tolerance]]] = {
    "as it is": (DSMR, frozenset()),
    "without check sum": (text(p1_texts.DSMR_2, checksum=False), frozenset()),
    "mode D": (text(p1_texts.GERMANY, checksum=False), frozenset()),
    "mode D, line feeds": (with_line_feeds(text(p1_texts.GERMANY, checksum=False)), frozenset()),
    "mode D, parity": (with_parity(text(p1_texts.GERMANY, checksum=False)), frozenset({Tolerance.TEXT_PARITY})),
    "line feeds": (with_line_feeds(DSMR), frozenset({Tolerance.TEXT_LINE_ENDS})),
    "returns": (with_returns(DSMR), frozenset({Tolerance.TEXT_LINE_ENDS})),
    "parity": (with_parity(DSMR), frozenset({Tolerance.TEXT_PARITY})),
    "parity, line feeds": (
        with_parity(with_line_feeds(DSMR)),
        frozenset({Tolerance.TEXT_PARITY, Tolerance.TEXT_LINE_ENDS}),
    ),
    "no digit in the name": (HEAT, frozenset()),
    "no digit in the name, parity": (with_parity(HEAT), frozenset({Tolerance.TEXT_PARITY})),
    "no digit in the name, line feeds": (with_line_feeds(HEAT), frozenset({Tolerance.TEXT_LINE_ENDS})),
    "no digit in the name, no check sum": (HEAT[:-6] + b"\r\n", frozenset()),
    "three digits": (SHORT, frozenset({Tolerance.TEXT_CHECKSUM_DIGITS})),
    "three digits, line feeds": (
        with_line_feeds(SHORT),
        frozenset({Tolerance.TEXT_CHECKSUM_DIGITS, Tolerance.TEXT_LINE_ENDS}),
    ),
    "letters of eight bits": (text("/ABC5X\n\n1-0:1.8.0(1*kWh)\n0-1:24.2.1(2*m\xb3)"), frozenset()),
    "blanks behind the check sum": (DSMR[:-2] + b"  \r\n", frozenset()),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def decode(octets: bytes, pieces: Callable[[bytes], list[bytes]], tolerances: frozenset[Tolerance]) -> list[Decoded]:
    decoder = PushDecoder(tolerances=tolerances)
    found = [item for piece in pieces(octets) for item in decoder.feed(piece)]
    return found + decoder.end()


def whole(octets: bytes) -> list[bytes]:
    return [octets]


def at_random(octets: bytes) -> list[bytes]:
    return cut(octets, random.Random(3), 500)


CUTS = [whole, single, at_random]
cuts = pytest.mark.parametrize("pieces", CUTS)


def alone(octets: bytes, tolerances: frozenset[Tolerance]) -> Push:
    (push,) = decode(octets, whole, tolerances)
    assert isinstance(push, Push)
    return push


@kinds
@cuts
def test_with_the_tolerance_and_nothing_else(kind: str, pieces: Callable[[bytes], list[bytes]]) -> None:
    octets, needed = KINDS[kind]
    found = decode(octets * 3, pieces, needed)
    assert [type(item) for item in found] == [Push] * 3
    for number, push in enumerate(found):
        assert isinstance(push, Push)
        assert push.readings == alone(octets, DEFAULT).readings
        assert len(push.readings) > 1
        assert len(push.notes) == len(needed)
        # the octets are those of the line, also where they have parity bits
        assert octets.startswith(push.telegram.octets)
        assert push.telegram.offset == number * len(octets)
        assert push.telegram.framing is Framing.P1


@kinds
@cuts
def test_without_the_tolerance(kind: str, pieces: Callable[[bytes], list[bytes]]) -> None:
    octets, needed = KINDS[kind]
    for one in needed:
        found = decode(octets + DSMR, pieces, DEFAULT - {one})
        assert isinstance(found[-1], Push)
        assert found[-1].telegram.octets == DSMR.rstrip()
        assert not any(isinstance(item, Push) for item in found[:-1])
        assert found[:-1]
        if one is not Tolerance.TEXT_PARITY:
            (refused,) = found[:-1]
            assert isinstance(refused, Undecoded)
            assert refused.diagnosis is Diagnosis.DAMAGED


@kinds
@cuts
def test_among_noise(kind: str, pieces: Callable[[bytes], list[bytes]]) -> None:
    octets, needed = KINDS[kind]
    dice = random.Random(11)
    stream = b""
    for _ in range(4):
        noise = bytes(octet for octet in dice.randbytes(dice.choice((3, 40, 600))) if octet not in b"\x00\xdb\xdc\x0f")
        stream += noise + b"\x01" + octets
    found = decode(stream, pieces, needed)
    assert [item.readings for item in found if isinstance(item, Push)] == [alone(octets, DEFAULT).readings] * 4
    assert not any(isinstance(item, Undecoded) for item in found)
    assert found == decode(stream, whole, needed)


@kinds
def test_between_frames(kind: str) -> None:
    octets, needed = KINDS[kind]
    stream = hdlc(notification()) + octets + mbus(notification()) + octets + hdlc(notification())
    for pieces in CUTS:
        found = decode(stream, pieces, needed)
        assert [type(item) for item in found if not isinstance(item, Dropped)] == [Push] * 5
        # the flag that ends an HDLC frame may begin another one, whose first octet is AF
        assert [item.octets for item in found if isinstance(item, Dropped)] in ([], [b"\x7e"])


@kinds
def test_damage_never_takes_the_next_with_it(kind: str) -> None:
    """Each octet lost, and each altered: the next text is there, and what was damaged is no push."""
    octets, _ = KINDS[kind]
    has_check_sum = b"!" in octets and octets[octets.index(b"!") + 1 :].strip(b"\r\n\x8d") != b""
    good = alone(octets, DEFAULT)
    dice = random.Random(7)
    for at in range(len(octets)):
        lost = octets[:at] + octets[at + 1 :]
        altered = octets[:at] + bytes((octets[at] ^ dice.randint(1, 255),)) + octets[at + 1 :]
        for bad in (lost, altered):
            found = decode(bad + octets, whole, DEFAULT)
            last = found[-1]
            assert isinstance(last, Push)
            assert last.telegram.octets == good.telegram.octets, bad
            assert last.readings == good.readings
            assert last.telegram.offset == len(bad)
            assert len(found) > 1, bad
            if has_check_sum:  # line ends may be mended, nothing else
                for item in found[:-1]:
                    assert not isinstance(item, Push) or item.readings == good.readings, bad


def test_a_damaged_text_is_told_with_what_to_do() -> None:
    bad = DSMR.replace(b"004812", b"004813")
    for pieces in CUTS:
        refused, push = decode(bad + DSMR, pieces, DEFAULT)
        assert isinstance(push, Push)
        assert isinstance(refused, Undecoded)
        assert refused.diagnosis is Diagnosis.DAMAGED
        assert "the check sum of the P1 text is 48A0, its octets give" in refused.text
        assert "the speed is right, the cable short" in refused.text
        assert refused.telegram.octets == bad.rstrip()


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        (b"!48AX\r\n", "no check sum"),
        (b"!48A\r\n", "check sum of the P1 text is 048A"),
        (b"!48B0\r\n", "check sum of the P1 text is 48B0"),
        (b"!48A0F\r\n", "no check sum"),
    ],
)
def test_a_damaged_last_line(last: bytes, sentence: str) -> None:
    for pieces in CUTS:
        refused, push = decode(DSMR[:-7] + last + DSMR, pieces, DEFAULT)
        assert isinstance(push, Push)
        assert isinstance(refused, Undecoded)
        assert refused.diagnosis is Diagnosis.DAMAGED
        assert sentence in refused.text


def test_a_bit_that_changed_in_a_text_with_parity() -> None:
    good = with_parity(DSMR)
    bad = good[:100] + bytes((good[100] ^ 0x04,)) + good[101:]
    refused, push = decode(bad + good, whole, DEFAULT)
    assert isinstance(push, Push)
    assert isinstance(refused, Undecoded)
    assert refused.diagnosis is Diagnosis.DAMAGED
    assert "1 octets of the P1 text have a wrong parity" in refused.text


def test_a_bit_that_changed_in_a_text_without_check_sum() -> None:
    good = text(p1_texts.DSMR_2, checksum=False)
    bad = good[:100] + bytes((good[100] ^ 0x80,)) + good[101:]
    refused, push = decode(bad + good, whole, DEFAULT)
    assert isinstance(push, Push)
    assert isinstance(refused, Undecoded)
    assert refused.diagnosis is Diagnosis.DAMAGED
    assert "has octets above 7F" in refused.text


def test_a_text_that_is_cut_is_dropped_with_a_reason() -> None:
    for octets in (DSMR, HEAT, with_parity(DSMR), with_parity(HEAT), with_line_feeds(HEAT)):
        for size in (60, len(octets) // 2, len(octets) - 8):
            dropped, push = decode(octets[:size] + octets, single, DEFAULT)
            assert isinstance(push, Push)
            assert isinstance(dropped, Dropped)
            assert dropped.framing is Framing.P1
            assert dropped.reason.startswith("a P1 text that is cut short")


def test_the_last_line_end_is_lost() -> None:
    for octets in (DSMR, HEAT, with_parity(DSMR), with_parity(HEAT), with_line_feeds(DSMR)):
        for pieces in CUTS:
            stripped = octets.rstrip(b"\r\n\x8d")
            found = decode(stripped + octets + stripped, pieces, DEFAULT)
            assert [type(item) for item in found] == [Push] * 3


def test_empty_lines_between_texts_are_nothing() -> None:
    for pieces in CUTS:
        found = decode(DSMR + b"\r\n\r\n" + DSMR + b"\n\n\n" + HEAT + b"\n", pieces, DEFAULT)
        assert [type(item) for item in found] == [Push] * 3


def test_texts_of_every_kind_in_one_stream() -> None:
    dice = random.Random(4)
    for _ in range(20):
        parts = [dice.choice(list(KINDS.values()))[0] for _ in range(12)]
        for pieces in (whole, at_random):
            found = decode(b"".join(parts), pieces, DEFAULT)
            assert [item.telegram.octets for item in found if isinstance(item, Push)] == [
                part.rstrip(b"\r\n\x8d") for part in parts
            ]


@pytest.mark.parametrize(
    "octets",
    [
        b"/usr/bin/true\n!\n",
        b"/usr\nls -l\n!1\n",
        b"/etc/passwd\r\n\r\n!\r\n",
        b"/abcdef\r\n\r\n!BEEF\r\n",
        b"/ABC5\r\n\r\n!BEEF\r\n",
        b"GET /index.html HTTP/1.1\r\nHost: x(1)\r\n\r\n!\r\n",
        b"/?!\r\n",
        b"/abc(1)\r\n1-0:1.8.0(1)\r\n!\r\n",
        b"\xaf\xaf\xaf\xaf\xaf\n!\n",
    ],
)
def test_what_is_no_text(octets: bytes) -> None:
    for pieces in CUTS:
        assert not [item for item in decode(octets, pieces, DEFAULT) if not isinstance(item, Dropped)]


def test_a_sign_on_name_within_values_is_no_beginning() -> None:
    octets = text("/ABC5X\n\n1-0:1.8.0(1*kWh)\n0-0:96.13.0(see /foo and m3/hour)\n0-0:96.13.1(/xyz)")
    for pieces in CUTS:
        (push,) = decode(octets, pieces, STRICT)
        assert isinstance(push, Push)
        assert push.readings[-2].value == "see /foo and m3/hour"


def test_only_a_text_whose_check_sum_holds_is_believed_within_an_apdu() -> None:
    beginning = b"\xdb\x08ABC\x00\x01\x02\x03\x04\x82\x40\x00\x30"
    for octets in (DSMR, with_line_feeds(DSMR), with_parity(DSMR)):
        for pieces in CUTS:
            found = heard(pieces(beginning + bytes(50) + octets))
            assert telegrams(found) == [octets.rstrip(b"\r\n\x8d")]
    bad = DSMR.replace(b"004812", b"004813")
    (told,) = heard(beginning + bytes(50) + bad)
    assert isinstance(told, Telegram)
    assert told.framing is Framing.APDU


def test_silence_ends_a_text_without_its_last_line_end() -> None:
    for kind in ("as it is", "parity", "returns", "three digits", "no digit in the name"):
        octets = KINDS[kind][0]
        decoder = PushDecoder()
        assert decoder.feed(octets.rstrip(b"\r\n\x8d")) == []
        (push,) = decoder.idle()
        assert isinstance(push, Push)
        (push, *_) = [*decoder.feed(octets), *decoder.idle()]
        assert isinstance(push, Push)


@pytest.mark.parametrize("framing", [None, Framing.P1])
def test_a_named_framing(framing: Framing | None) -> None:
    for octets, _ in KINDS.values():
        decoder = PushDecoder(framing=framing)
        (push,) = decoder.feed(octets) + decoder.end()
        assert isinstance(push, Push)
    assert not [item for item in heard(DSMR, framing=Framing.HDLC) if isinstance(item, Telegram)]


@kinds
def test_texts_in_a_recording(kind: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """The octets of a text come in records of any size."""
    octets, needed = KINDS[kind]
    path = tmp_path / "recording.txt"
    writer = RecordingWriter(path)
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for piece in cut(octets * 2, random.Random(5), 300):
        writer.write(at, "serial:///dev/ttyUSB0", Direction.RECEIVED, piece)
    writer.close()
    decoder = PushDecoder(tolerances=needed)
    found: list[Decoded] = []
    with path.open("rb", buffering=0) as file, open_capture(file) as capture:
        for chunk in capture:
            found += decoder.feed(chunk.octets)
    found += decoder.end()
    assert [type(item) for item in found] == [Push] * 2


@kinds
def test_texts_in_a_file(kind: str, tmp_path) -> None:  # type: ignore[no-untyped-def]
    """A file with the text as it is, which is no text with hexadecimal octets in it."""
    octets, _ = KINDS[kind]
    path = tmp_path / "capture.txt"
    path.write_bytes(octets * 2)
    with path.open("rb", buffering=0) as file, open_capture(file) as capture:
        assert b"".join(chunk.octets for chunk in capture) == octets * 2


def test_the_values_of_a_heat_meter() -> None:
    (push,) = decode(with_parity(HEAT), single, DEFAULT)
    assert isinstance(push, Push)
    values = {reading.obis: (reading.value, reading.unit) for reading in push.readings}
    assert values[ObisCode.parse("0-1:24.2.1")] == (Decimal("12.345"), "GJ")
    assert push.readings[0].value == "NWA-WARMTELINK"
    assert crc_bit_by_bit(HEAT[:-6]) == int(HEAT[-6:-2], 16)
