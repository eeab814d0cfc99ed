"""pcap and pcapng files of all shapes, octet by octet from their descriptions."""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime

import pytest

from cosemic.captures import CaptureFormat, Direction, open_capture
from cosemic.captures.pcap import read_pcap
from cosemic.captures.pcapng import read_pcapng
from cosemic.errors import DecodeError
from tests.captures.packets import (
    CLIENT,
    METER,
    block,
    enhanced,
    ethernet,
    interface,
    ipv4,
    option,
    pcap,
    section,
    udp,
)

PUSH = bytes.fromhex("000100010066000A0F00000001000012ABCD")
DATAGRAM = ipv4(17, METER, CLIENT, udp(4059, 4059, PUSH))


def octets(file: bytes) -> list[bytes]:
    return [chunk.octets for chunk in open_capture(file) if chunk.octets]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap_of_both_byte_orders_and_resolutions(order: str, nanoseconds: bool) -> None:
    capture = open_capture(pcap([ethernet(DATAGRAM)], order=order, nanoseconds=nanoseconds))
    (chunk,) = capture
    assert capture.format is CaptureFormat.PCAP
    assert chunk.at == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)
    assert (chunk.source, chunk.local) == ("udp://192.0.2.1:4059", "192.0.2.9:4059")
    assert (chunk.direction, chunk.octets) == (Direction.RECEIVED, PUSH)


IPV6 = (
    struct.pack(">IHBB", 6 << 28, 8 + len(PUSH), 17, 64)
    + bytes.fromhex("20010db8" + "00" * 11 + "01" + "20010db8" + "00" * 11 + "02")
    + udp(4059, 4059, PUSH)
)
IPV6_EXTENDED = IPV6[:4] + struct.pack(">HB", 16 + len(PUSH), 0) + IPV6[7:40] + b"\x11" + bytes(7) + IPV6[40:]


@pytest.mark.parametrize(
    "link_type, packet",
    [
        (1, ethernet(DATAGRAM)),
        (1, ethernet(DATAGRAM, tags=(0x8100,))),
        (1, ethernet(DATAGRAM, tags=(0x88A8, 0x8100))),
        (1, ethernet(struct.pack(">BBHHH", 0x11, 0, 7, len(DATAGRAM) + 2, 0x21) + DATAGRAM, kind=0x8864)),
        (1, ethernet(IPV6, kind=0x86DD)),
        (1, ethernet(IPV6_EXTENDED, kind=0x86DD)),
        (1, ethernet(DATAGRAM) + b"\0" * 6),  # padding of a short frame
        (101, DATAGRAM),
        (101, IPV6),
        (12, DATAGRAM),
        (228, DATAGRAM),
        (229, IPV6),
        (0, struct.pack("<I", 2) + DATAGRAM),
        (0, struct.pack(">I", 30) + IPV6),
        (108, struct.pack(">I", 24) + IPV6),
        (113, struct.pack(">HHHQH", 0, 1, 6, 0, 0x0800) + DATAGRAM),
        (276, struct.pack(">HHIHBBQ", 0x86DD, 0, 1, 1, 0, 6, 0) + IPV6),
    ],
)
def test_every_link_type(link_type: int, packet: bytes) -> None:
    assert octets(pcap([packet], link_type=link_type)) == [PUSH]


def test_lines_of_our_own_link_types() -> None:
    for link_type in (147, 162):
        assert octets(pcap([b"\x7e\xa0"], link_type=link_type)) == [b"\x7e\xa0"]
    header = struct.pack(">II", 1, 2)
    lines = [header + bytes((event, 0, 0, 0)) + b"\x7e" for event in (1, 2, 7)]
    first, second, third = open_capture(pcap(lines, link_type=250))
    assert (first.direction, second.direction) == (Direction.SENT, Direction.RECEIVED)
    assert (third.octets, third.note) == (b"", "framing error")


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_of_both_byte_orders(order: str) -> None:
    micro = enhanced(ethernet(DATAGRAM), order, ticks=1_700_000_000_123_456)
    capture = open_capture(section(order) + interface(1, order) + micro)
    (chunk,) = capture
    assert capture.format is CaptureFormat.PCAPNG
    assert chunk.at == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)
    assert chunk.octets == PUSH


def test_times_of_interfaces() -> None:
    file = section()
    file += interface(1, options=option(9, b"\x09"))
    file += interface(1, options=option(9, b"\x8a") + option(14, struct.pack("<q", 1_000_000_000)))
    file += enhanced(ethernet(DATAGRAM), number=0, ticks=1_700_000_000_123_456_789)
    file += enhanced(ethernet(DATAGRAM), number=1, ticks=700_000_000 << 10 | 512)
    first, second = open_capture(file)
    assert first.at == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)
    assert second.at == datetime(2023, 11, 14, 22, 13, 20, 500000, UTC)


def test_several_sections_interfaces_and_kinds_of_packets() -> None:
    packet = ethernet(DATAGRAM)
    simple = block(3, struct.pack("<I", len(packet)) + packet)
    old = block(2, struct.pack("<HHIIII", 0, 0, 0, 0, len(packet), len(packet)) + packet + bytes(-len(packet) % 4))
    line = enhanced(b"\x7e", number=1, options=option(2, struct.pack("<I", 2)) + bytes(4))
    unknown = block(0x0BAD, b"\x01" * 200_000)
    file = section() + interface(1) + unknown + interface(147, options=option(2, b"serial:///dev/ttyS0"))
    file += simple + line + old + section(">") + interface(101, ">") + enhanced(DATAGRAM, ">")
    chunks = list(open_capture(file))
    assert [chunk.octets for chunk in chunks] == [PUSH, b"\x7e", PUSH, PUSH]
    assert (chunks[1].source, chunks[1].direction) == ("serial:///dev/ttyS0", Direction.SENT)


@pytest.mark.parametrize("file", [pcap([ethernet(DATAGRAM)] * 2), section() + interface(1) + enhanced(DATAGRAM) * 2])
def test_every_cut_gives_what_is_whole_and_a_note(file: bytes) -> None:
    for cut in range(24 if file[0] != 0x0A else 28, len(file)):
        chunks = list(open_capture(file[:cut]))
        assert all(chunk.octets in (b"", PUSH) for chunk in chunks)
        assert all(chunk.octets or chunk.note for chunk in chunks)


def test_damage_is_told() -> None:
    packets = list(read_pcap(io.BytesIO(pcap([DATAGRAM]) + struct.pack("<IIII", 0, 0, 1 << 30, 0))))
    assert "claims" in packets[-1].note
    for damage in (struct.pack("<II", 6, 17), struct.pack("<II", 6, 1 << 31), section()[:8] + b"\0\0\0\0"):
        packets = list(read_pcapng(io.BytesIO(section() + interface(1) + enhanced(DATAGRAM) + damage)))
        assert packets[-1].note
    for reader, octets_ in (
        (read_pcap, b"\xd4\xc3\xb2\xa1"),
        (read_pcapng, b"\x0a\x0d\x0d\x0a"),
        (read_pcapng, b"abcd"),
    ):
        with pytest.raises(DecodeError):
            list(reader(io.BytesIO(octets_)))


def test_a_packet_that_the_capture_cut_is_told() -> None:
    (chunk,) = open_capture(pcap([ethernet(DATAGRAM)[:-4]], original=4))
    assert chunk.octets == PUSH[:-4]
    assert "4 octets of the datagram" in chunk.note


def test_other_packets_are_counted() -> None:
    (chunk,) = open_capture(pcap([ethernet(b"\0" * 28, kind=0x0806)] * 3))
    assert chunk.note == "3 packets hold neither TCP nor UDP; they are left out"


def fragments(payload: bytes, size: int) -> list[bytes]:
    whole = udp(4059, 4059, payload)
    return [
        ethernet(
            ipv4(17, METER, CLIENT, whole[at : at + size], identifier=7, offset=at, more=at + size < len(whole))
        )
        for at in range(0, len(whole), size)
    ]  # fmt: skip


def test_fragments_are_put_together() -> None:
    payload = bytes(range(256)) * 5
    pieces = fragments(payload, 400)
    assert octets(pcap(pieces)) == [payload]
    assert octets(pcap([pieces[2], pieces[0], pieces[0], pieces[3], pieces[1]])) == [payload]


def test_missing_fragments_are_told() -> None:
    (chunk,) = open_capture(pcap(fragments(bytes(1000), 400)[1:]))
    assert chunk.note == "1 IP datagrams lack fragments; they are left out"


def test_a_compressed_file_is_refused() -> None:
    with pytest.raises(DecodeError, match="compressed"):
        open_capture(b"\x1f\x8b\x08\x00")
