"""TCP put together: any order, repetitions, overlaps, losses, several connections."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.captures import Chunk, Direction, open_capture
from cosemic.captures.streams import MOST_WAITING, TcpStream
from tests.captures.packets import ACK, CLIENT, FIN, METER, RST, SYN, ethernet, ipv4, pcap, tcp

METER_PORT, OUR_PORT = 50000, 4059


def from_meter(sequence: int, payload: bytes = b"", *, flags: int = ACK, acknowledged: int = 0) -> bytes:
    segment = tcp(METER_PORT, OUR_PORT, sequence, payload, flags=flags, acknowledged=acknowledged)
    return ethernet(ipv4(6, METER, CLIENT, segment))


def from_us(sequence: int, payload: bytes = b"", *, flags: int = ACK, acknowledged: int = 0) -> bytes:
    segment = tcp(OUR_PORT, METER_PORT, sequence, payload, flags=flags, acknowledged=acknowledged)
    return ethernet(ipv4(6, CLIENT, METER, segment))


def read(packets: list[bytes]) -> list[Chunk]:
    return list(open_capture(pcap(packets)))


def test_a_connection() -> None:
    chunks = read(
        [
            from_meter(99, flags=SYN),
            from_us(499, flags=SYN | ACK, acknowledged=100),
            from_meter(100, b"\x0f\x00", acknowledged=500),
            from_us(500, b"\x10", acknowledged=102),
            from_meter(102, flags=FIN | ACK, acknowledged=501),
            from_us(501, flags=FIN | ACK, acknowledged=103),
        ]
    )
    assert [(chunk.direction, chunk.octets) for chunk in chunks] == [
        (Direction.RECEIVED, b"\x0f\x00"),
        (Direction.SENT, b"\x10"),
        (Direction.RECEIVED, b""),
    ]
    assert {chunk.source for chunk in chunks} == {"tcp://192.0.2.1:50000"}
    assert chunks[-1].note == "the connection ends"


@pytest.mark.parametrize(
    "request_",
    [
        "0001001000010003C00181",
        "7EA00721219306A57E".replace("06A5", "0F01"),
        "2F3F210D0A",
        "601D",
        "7EA00A000200232153B1F4C47E",
    ],
)
def test_the_meter_is_who_is_asked(request_: str) -> None:
    payload = bytes.fromhex(request_)
    first, second = read([from_us(1, payload), from_meter(1, b"\x0f\x00")])
    assert (first.source, first.direction) == ("tcp://192.0.2.1:50000", Direction.SENT)
    assert second.direction is Direction.RECEIVED


@given(st.binary(min_size=1, max_size=400), st.integers(0, 0xFFFFFFFF), st.integers(0, 2**32), st.booleans())
def test_any_order_of_overlapping_segments_gives_the_octets(data: bytes, start: int, seed: int, syn: bool) -> None:
    chance = random.Random(seed)
    pieces = []
    at = 0
    while at < len(data):
        size = chance.randint(1, 60)
        pieces.append((at, data[max(at - chance.randint(0, 20), 0) if chance.random() < 0.3 else at : at + size]))
        pieces[-1] = (at + min(size, len(data) - at) - len(pieces[-1][1]), pieces[-1][1])
        at += size
    pieces += [pieces[chance.randrange(len(pieces))] for _ in range(3)]
    if syn:
        chance.shuffle(pieces)
    packets = [from_meter(start - 1, flags=SYN)] if syn else []
    packets += [from_meter(start + place, piece) for place, piece in pieces]
    chunks = read(packets)
    assert b"".join(chunk.octets for chunk in chunks) == data
    assert not any(chunk.is_gap for chunk in chunks)


def test_a_lost_segment_is_told_when_the_other_side_has_it() -> None:
    chunks = read(
        [
            from_meter(99, flags=SYN),
            from_meter(100, b"\x0fab"),
            from_meter(108, b"cd"),
            from_us(500, flags=ACK, acknowledged=110),
            from_meter(110, b"ef"),
        ]
    )
    assert [(chunk.octets, chunk.is_gap) for chunk in chunks] == [(b"\x0fab", False), (b"cd", True), (b"ef", False)]
    assert chunks[1].note == "5 octets before these were not captured"


def test_a_lost_segment_is_told_at_the_end() -> None:
    chunks = read([from_meter(99, flags=SYN), from_meter(100, b"\x0fa"), from_meter(104, b"b")])
    assert [(chunk.octets, chunk.is_gap) for chunk in chunks] == [(b"\x0fa", False), (b"b", True)]


def test_a_cut_packet_is_a_gap() -> None:
    packet = from_meter(100, b"\x0fabcdef")
    whole, following = pcap([packet[:-3]], original=3), pcap([from_meter(107, b"gh")])
    chunks = list(open_capture(whole + following[24:]))
    assert [chunk.octets for chunk in chunks] == [b"\x0fabc", b"", b"gh"]
    assert chunks[1].is_gap
    assert chunks[1].note == "3 octets were not captured"


def test_the_same_ports_again_are_another_connection() -> None:
    chunks = read(
        [
            from_meter(99, flags=SYN),
            from_meter(100, b"\x0f1"),
            from_meter(7000, flags=SYN),
            from_meter(7001, b"\x0f2"),
            from_meter(7000, flags=SYN),  # sent again
            from_meter(7003, b"3", flags=RST | ACK),
            from_meter(9000, b"\x0f4"),
        ]
    )
    assert [chunk.octets for chunk in chunks] == [b"\x0f1", b"", b"\x0f2", b"3", b"", b"\x0f4"]
    assert chunks[1].note == "the connection begins anew"
    assert chunks[4].note == "the connection ends"


def test_memory_is_bounded() -> None:
    stream = TcpStream()
    stream.begin(0)
    given = 0
    for number in range(4000):
        given += sum(len(octets) for _, octets in stream.take(3 + 1400 * number, bytes(1400)))
        assert stream.octets_waiting <= MOST_WAITING + 1400
    assert given > 3 * MOST_WAITING
