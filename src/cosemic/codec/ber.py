"""The BER subset of the ACSE APDUs: single-octet tags, definite lengths (ITU-T X.690; IEC 62056-5-3, clause 8).

Decoding is tolerant of lengths longer than needed (``81 05`` for ``05``); encoding is always the shortest form.
"""

from __future__ import annotations

from cosemic.errors import DecodeError

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06

_MAXIMUM_LENGTH_OCTETS = 4
_MAXIMUM_INTEGER_OCTETS = 8


def decode_length(octets: bytes, offset: int, end: int) -> tuple[int, int]:
    """Read a definite length; gives it and the place after it. It is not compared with the octets that follow."""
    if offset >= end:
        raise DecodeError("BER length missing", octets=octets, offset=offset)
    first = octets[offset]
    offset += 1
    if first < 0x80:
        return first, offset
    if first == 0x80:
        raise DecodeError(
            "indefinite BER length (80): DLMS/COSEM uses definite lengths only", octets=octets, offset=offset - 1
        )
    count = first & 0x7F
    if count > _MAXIMUM_LENGTH_OCTETS:
        raise DecodeError(f"BER length of {count} octets: too large", octets=octets, offset=offset - 1)
    if offset + count > end:
        raise DecodeError("BER length cut short", octets=octets, offset=offset)
    return int.from_bytes(octets[offset : offset + count], "big"), offset + count


def decode_header(octets: bytes, offset: int, end: int) -> tuple[int, int, int]:
    """Read a tag and a length; gives the tag, where the content begins and where it ends (never beyond ``end``)."""
    if offset >= end:
        raise DecodeError("BER tag missing", octets=octets, offset=offset)
    tag = octets[offset]
    if tag & 0x1F == 0x1F:
        raise DecodeError(f"BER tag {tag:02X} of several octets is not used by ACSE", octets=octets, offset=offset)
    length, start = decode_length(octets, offset + 1, end)
    if length > end - start:
        raise DecodeError(
            f"BER length {length} of tag {tag:02X} exceeds the {end - start} octets that are there",
            octets=octets,
            offset=offset + 1,
        )
    return tag, start, start + length


def decode_only(octets: bytes, start: int, end: int, tag: int, what: str) -> bytes:
    """The content of the one element between ``start`` and ``end``, which must have that tag and fill the place."""
    found, inner, inner_end = decode_header(octets, start, end)
    if found != tag:
        raise DecodeError(f"{what}: tag {found:02X} where {tag:02X} is due", octets=octets, offset=start)
    if inner_end != end:
        raise DecodeError(f"{what}: {end - inner_end} octets left over", octets=octets, offset=inner_end)
    return octets[inner:inner_end]


def decode_integer(content: bytes, what: str) -> int:
    """The value of an INTEGER's content, at most eight octets."""
    if not 0 < len(content) <= _MAXIMUM_INTEGER_OCTETS:
        raise DecodeError(f"{what}: an INTEGER of {len(content)} octets", octets=content, offset=0)
    return int.from_bytes(content, "big", signed=True)


def encode_length(length: int) -> bytes:
    """The shortest definite form."""
    if length < 0x80:
        return bytes((length,))
    size = (length.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + length.to_bytes(size, "big")


def encode(tag: int, content: bytes) -> bytes:
    """One element."""
    return bytes((tag,)) + encode_length(len(content)) + content


def encode_integer(value: int) -> bytes:
    """The shortest content of an INTEGER."""
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return value.to_bytes(size, "big", signed=True)
