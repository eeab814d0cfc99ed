"""Secrets planted in pushes and exchanges that are made here: none is left in the result, whatever carries it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.captures import Chunk, Direction
from cosemic.codec import axdr
from cosemic.codec.axdr import Typed
from cosemic.explain import Keys, explain_chunks
from cosemic.link.addresses import HdlcAddress
from cosemic.link.frames import HdlcFrame
from cosemic.link.mbus import segments
from cosemic.redacting import Keep, redact
from cosemic.security.cipher import CipherKey
from tests.redacting.support import SALT, joined, left

AT = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
EK, AK = bytes(range(0x40, 0x50)), bytes(range(0x60, 0x70))
NUMBERS = st.text("0123456789", min_size=8, max_size=15).filter(lambda text: text[0] != "0" and len(set(text)) > 3)
NAMES = st.builds(lambda letters, digits: letters + digits, st.sampled_from(["KFM", "LGZ", "ISK"]), NUMBERS)
TITLES = st.builds(lambda octets: b"KFM" + octets, st.binary(min_size=5, max_size=5)).filter(lambda t: len(set(t)) > 5)
READINGS = st.lists(st.tuples(st.sampled_from([1, 2, 31, 32, 52]), st.integers(0, 9999)), min_size=1, max_size=6)


def obis(text: str) -> Typed:
    return axdr.octet_string(bytes(map(int, text.split("."))))


def push(identity: str, name: str, readings: list[tuple[int, int]], shape: str) -> bytes:
    """A notification with a serial number, a logical device name, and readings, in one of the shapes of the field."""
    objects = [
        ("0.0.96.1.0.255", axdr.octet_string(identity.encode())),
        ("0.0.42.0.0.255", axdr.visible_string(name)),
        ("0.1.96.1.0.255", axdr.long64_unsigned(int(identity))),
        ("0.0.97.97.0.255", axdr.octet_string(b"note " + identity.encode())),
        *((f"1.0.{code}.8.0.255", axdr.double_long_unsigned(value)) for code, value in readings),
        ("1.0.99.1.0.255", axdr.long64_unsigned(int(identity))),  # found again where nobody would look
    ]
    if shape == "pairs":
        body = axdr.array(*(axdr.structure(obis(code), value) for code, value in objects))
    elif shape == "flat":
        body = axdr.structure(*(item for code, value in objects for item in (obis(code), value)))
    elif shape == "list":
        listed = axdr.array(
            *(
                axdr.structure(axdr.long_unsigned(1), obis(code), axdr.integer(2), axdr.long_unsigned(0))
                for code, _ in objects
            )
        )
        body = axdr.structure(listed, *(value for _, value in objects))
    else:
        body = axdr.structure(
            *(axdr.structure(axdr.long_unsigned(1), obis(code), axdr.integer(2), value) for code, value in objects)
        )
    return b"\x0f\x00\x00\x00\x01\x00" + axdr.encode(body)


def sealed(title: bytes, apdu: bytes) -> bytes:
    cipher = CipherKey(EK, AK, "test")
    content = cipher.seal(0x30, title, 7, apdu, cipher.associated(0x30))
    length = bytes((0x82,)) + len(content).to_bytes(2, "big")
    return b"\xdb\x08" + title + length + content


def blocks(apdu: bytes) -> list[bytes]:
    pieces = [apdu[at : at + 90] for at in range(0, len(apdu), 90)]
    return [
        b"\xe0" + bytes((0xC0 if number == len(pieces) else 0x40,)) + number.to_bytes(2, "big") + b"\0\0"
        + bytes((len(piece),)) + piece
        for number, piece in enumerate(pieces, 1)
    ]  # fmt: skip


def frames(apdu: bytes, framing: str) -> list[bytes]:
    address, client = HdlcAddress(1, 7777, 4), HdlcAddress(16)
    if framing == "wrapper":
        return [b"\0\1\0\1\0\x66" + len(apdu).to_bytes(2, "big") + apdu]
    if framing == "mbus":
        return [frame.encode() for frame in segments(apdu, 0x53, 0xFF, 1, 0x67)]
    if framing == "gbt":
        return [HdlcFrame(client, address, 0x13, b"\xe6\xe7\x00" + block).encode() for block in blocks(apdu)]
    if framing == "bare":
        return [apdu]
    information = b"\xe6\xe7\x00" + apdu
    pieces = [information[at : at + 100] for at in range(0, len(information), 100)]
    return [
        HdlcFrame(client, address, 0x13, piece, segmented=number < len(pieces)).encode()
        for number, piece in enumerate(pieces, 1)
    ]


def chunks(pieces: list[bytes], source: str = "tcp://203.0.113.77:4059") -> list[Chunk]:
    return [Chunk(AT, source, Direction.RECEIVED, piece, local="198.51.100.5:4059") for piece in pieces]


@settings(max_examples=150)
@given(
    NUMBERS, NAMES, TITLES, READINGS, st.sampled_from(["pairs", "flat", "list", "quads"]),
    st.sampled_from(["wrapper", "mbus", "gbt", "hdlc", "bare"]), st.booleans(), st.binary(max_size=20),
)  # fmt: skip
def test_nothing_planted_is_left(identity, name, title, readings, shape, framing, ciphered, noise) -> None:
    apdu = push(identity, name, readings, shape)
    pieces = frames(sealed(title, apdu) if ciphered else apdu, framing)
    if framing != "bare":
        pieces = [noise, *pieces]
    given_chunks = chunks(pieces)
    result = redact(given_chunks, keys=Keys(EK, AK), salt=SALT)
    assert [len(chunk.octets) for chunk in result.chunks] == [len(piece) for piece in pieces]
    assert result.opened == ciphered
    assert result.left_closed == 0
    planted = {identity.encode(), name[3:].encode(), name.encode()} | ({title} if ciphered else set())
    keys = Keys(result.keys[0].encryption_key, result.keys[0].authentication_key) if ciphered else None
    explanation = explain_chunks(result.chunks, keys=keys)
    shown = b"".join(line.octets for line in explanation.lines)
    assert not left(planted, joined(result.chunks))
    assert not left(planted, shown)
    assert "203.0.113.77" not in str(result.chunks)
    assert "198.51.100.5" not in str(result.chunks)
    before = explain_chunks(given_chunks, keys=Keys(EK, AK))
    if before.ok:
        assert explanation.ok, explanation.fault
    values = [line.value for line in explanation.lines if line.field.endswith("double-long-unsigned")]
    assert values == [line.value for line in before.lines if line.field.endswith("double-long-unsigned")]
    assert values[-len(readings) :] == [value for _, value in readings]
    assert ("tag ok" in explanation.to_text()) == ciphered


@given(NUMBERS, st.sampled_from(["wrapper", "mbus", "gbt", "hdlc"]))
def test_damaged_frames_do_not_pass(identity: str, framing: str) -> None:
    pieces = frames(push(identity, f"KFM{identity}", [(1, 2)], "pairs"), framing)
    for number in range(len(pieces)):
        damaged = bytearray(pieces[number])
        damaged[-2] ^= 0x01
        damaged[2] ^= 0x10
        result = redact(chunks([*pieces[:number], bytes(damaged), *pieces[number + 1 :]]), salt=SALT)
        assert not left({identity.encode()}, joined(result.chunks))


@given(NUMBERS, st.sampled_from(["wrapper", "mbus", "gbt", "hdlc"]), st.data())
def test_cut_captures_do_not_pass(identity: str, framing: str, data: st.DataObject) -> None:
    whole = b"".join(frames(push(identity, f"KFM{identity}", [(1, 2)], "flat"), framing))
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    result = redact(chunks([whole[start:end]]), salt=SALT)
    assert not left({identity.encode()}, joined(result.chunks))


EXCHANGES = {
    "a password": (
        "> 6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738"
        "BE10040E01000000065F1F0400007E1FFFFF",
        b"12345678",
    ),
    "a serial number as a number": ("> C001C100010000600100FF0200\n< C401C1000600BC614E", bytes.fromhex("00BC614E")),
    "the answer to what nobody asked": ("< C401C1000600BC614E", bytes.fromhex("00BC614E")),
    "an LLS secret read": ("> C001C1000F0000280000FF0700\n< C401C100090B73616C616D616E64657273", b"salamanders"),
    "an LLS secret written": ("> C101C1000F0000280000FF0700090B73616C616D616E64657273", b"salamanders"),
    "a wrapped key": (
        "> C301C100400000" + "2B0000FF0201" + "0101020216000918" + "A1B2C3D4E5F60718293A4B5C6D7E8F901122334455667788",
        bytes.fromhex("A1B2C3D4E5F60718293A4B5C6D7E8F90"),
    ),
    "an IP address": ("> C001C1002A0000190100FF0300\n< C401C10006C0000219", bytes.fromhex("C0000219")),
    "a MAC address": ("> C001C1002B0000190200FF0200\n< C401C1000906001A2B3C4DFF", bytes.fromhex("001A2B3C4DFF")),
    "an access point name": ("> C001C1002D0000190400FF0200\n< C401C1000908696E7465726E6574", b"internet"),
    "a list": (
        "> C003C102000100002A0000FF020000010000010000FF0200\n"
        "< C403C1020009104B464D31303132333435363738393031000601020304",
        b"KFM1012345678901",
    ),
    "blocks": (
        "> C001C100010000600100FF0200\n< C402C10000000001000409083132\n"
        "> C002C100000001\n< C402C101000000020006333435363738",
        b"345678",
    ),
    "blocks without an end": (
        "> C001C100010000600100FF0200\n< C402C1000000000100080908313233343536", b"123456",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", EXCHANGES)
def test_what_an_exchange_carries(what: str) -> None:
    text, secret = EXCHANGES[what]
    given_chunks = [
        Chunk(None, "", Direction.SENT if line[0] == ">" else Direction.RECEIVED, bytes.fromhex(line[2:]))
        for line in text.splitlines()
    ]
    assert explain_chunks(given_chunks).ok, explain_chunks(given_chunks).fault
    assert secret in joined(given_chunks)
    result = redact(given_chunks, salt=SALT)
    assert secret not in joined(result.chunks)
    if "without an end" not in what:
        assert explain_chunks(result.chunks).ok, explain_chunks(result.chunks).fault


def test_readings_of_an_exchange_stay() -> None:
    text = ["C001C100030100010800FF0200", "C401C1000600BC614E"]
    given_chunks = [
        Chunk(None, "", direction, bytes.fromhex(line))
        for direction, line in zip((Direction.SENT, Direction.RECEIVED), text, strict=True)
    ]
    assert redact(given_chunks).chunks == given_chunks


def test_two_runs_have_different_masks_and_one_run_has_the_same() -> None:
    apdu = push("12345678", "KFM12345678", [(1, 2)], "pairs")
    given_chunks = chunks([b"".join(frames(apdu, "wrapper"))] * 2)
    first, second = redact(given_chunks), redact(given_chunks)
    assert first.chunks[0].octets == first.chunks[1].octets
    assert first.chunks[0].octets != second.chunks[0].octets


def test_flows_share_masks_and_have_addresses_of_their_own() -> None:
    pieces = frames(push("12345678", "KFM12345678", [(1, 2)], "pairs"), "wrapper")
    sources = [
        "tcp://203.0.113.1:1",
        "udp://203.0.113.1:2",
        "tcp://[2001:4860::1]:3",
        "tcp://meter-7.example.org:4059",
        "serial:///dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0",
        "serial:///dev/ttyUSB0?baudrate=2400",
    ]
    result = redact([chunk for source in sources for chunk in chunks(pieces, source)], salt=SALT)
    shown = [chunk.source for chunk in result.chunks]
    assert shown[0].partition("://")[2].rpartition(":")[0] == shown[1].partition("://")[2].rpartition(":")[0]
    assert shown[0].startswith("tcp://198.1")
    assert shown[2].startswith("tcp://[2001:db8")
    assert shown[3:] == ["tcp://host-4.example:4059", "serial://device-5", "serial:///dev/ttyUSB0?baudrate=2400"]
    assert len({chunk.octets for chunk in result.chunks}) == 1


def test_what_may_be_kept() -> None:
    title, apdu = b"KFM\x01\x02\x03\x04\x05", push("12345678", "KFM12345678", [(1, 2)], "pairs")
    given_chunks = chunks([b"noise and more", *frames(sealed(title, apdu), "hdlc")])
    kept = redact(given_chunks, keep=list(Keep), salt=SALT)
    assert kept.chunks == given_chunks
    assert kept.left_closed == 1
    titles = redact(given_chunks, keep=[Keep.TITLES], salt=SALT)
    assert title in joined(titles.chunks)
    assert "tag ok" in explain_chunks(titles.chunks, keys=Keys(EK, AK)).to_text()
    assert b"noise" not in joined(titles.chunks)


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=80), max_size=4))
def test_any_octets_keep_their_lengths(pieces: list[bytes]) -> None:
    result = redact(chunks(pieces))
    assert [len(chunk.octets) for chunk in result.chunks] == [len(piece) for piece in pieces]
