from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.codec import ber
from cosemic.errors import DecodeError


@pytest.mark.parametrize(
    "length, octets",
    [
        (0, "00"),
        (127, "7f"),
        (128, "8180"),
        (255, "81ff"),
        (256, "820100"),
        (65536, "83010000"),
        (1 << 31, "8480000000"),
    ],
)
def test_lengths(length, octets):
    coded = bytes.fromhex(octets)
    assert ber.encode_length(length) == coded
    assert ber.decode_length(coded, 0, len(coded)) == (length, len(coded))


def test_longer_length_than_needed_is_read():
    assert ber.decode_length(bytes.fromhex("820005"), 0, 3) == (5, 3)


@pytest.mark.parametrize(
    "octets, text",
    [
        ("", "missing"),
        ("80", "indefinite"),
        ("81", "cut short"),
        ("820100"[:4], "cut short"),
        ("850000000001", "too large"),
        ("ff", "too large"),
    ],
)
def test_bad_lengths(octets, text):
    coded = bytes.fromhex(octets)
    with pytest.raises(DecodeError, match=text):
        ber.decode_length(coded, 0, len(coded))


def test_the_end_given_is_respected():
    with pytest.raises(DecodeError, match="cut short"):
        ber.decode_length(bytes.fromhex("8180"), 0, 1)
    with pytest.raises(DecodeError, match="exceeds the 1 octets"):
        ber.decode_header(bytes.fromhex("0402aabb"), 0, 3)


@pytest.mark.parametrize("octets, text", [("", "tag missing"), ("1f0100", "several"), ("bf1f00", "several")])
def test_bad_headers(octets, text):
    coded = bytes.fromhex(octets)
    with pytest.raises(DecodeError, match=text):
        ber.decode_header(coded, 0, len(coded))


def test_decode_only():
    assert ber.decode_only(bytes.fromhex("040161"), 0, 3, ber.OCTET_STRING, "title") == b"a"
    with pytest.raises(DecodeError, match="title: tag 04 where 02"):
        ber.decode_only(bytes.fromhex("040161"), 0, 3, ber.INTEGER, "title")
    with pytest.raises(DecodeError, match="title: 1 octets left over"):
        ber.decode_only(bytes.fromhex("04016100"), 0, 4, ber.OCTET_STRING, "title")


@pytest.mark.parametrize(
    "value, octets", [(0, "00"), (127, "7f"), (128, "0080"), (-1, "ff"), (-128, "80"), (-129, "ff7f"), (256, "0100")]
)
def test_integers(value, octets):
    assert ber.encode_integer(value).hex() == octets
    assert ber.decode_integer(bytes.fromhex(octets), "number") == value


@pytest.mark.parametrize("octets", ["", "00" * 9])
def test_bad_integers(octets):
    with pytest.raises(DecodeError, match="number"):
        ber.decode_integer(bytes.fromhex(octets), "number")


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_integers_come_back(value):
    content = ber.encode_integer(value)
    assert ber.decode_integer(content, "number") == value
    assert len(content) == 1 or content[0] not in (0, 0xFF) or (content[0] ^ content[1]) & 0x80


@given(st.integers(0, 30), st.binary(max_size=300))
def test_elements_come_back(tag, content):
    coded = ber.encode(tag, content)
    assert ber.decode_only(coded, 0, len(coded), tag, "element") == content


@given(st.binary(max_size=12))
def test_arbitrary_octets(octets):
    try:
        _, start, end = ber.decode_header(octets, 0, len(octets))
    except DecodeError:
        return
    assert 2 <= start <= end <= len(octets)
