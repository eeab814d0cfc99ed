"""Deterministic inputs for every item, built with plain struct (no DLMS library).

A typed value is a pair ``(tag, value)``; for array (1) and structure (2) the
value is a list of typed values. ``encode`` is the reference A-XDR encoder and
``plain`` the reference decoding result that all libraries must reproduce.
"""

from __future__ import annotations

import functools
import random
import struct

NULL, ARRAY, STRUCTURE, BOOLEAN = 0, 1, 2, 3
INT32, UINT32, OCTETS, VISIBLE = 5, 6, 9, 10
INT8, INT16, UINT8, UINT16, INT64, UINT64, ENUM = 15, 16, 17, 18, 20, 21, 22

FORMATS = {
    INT32: ">i",
    UINT32: ">I",
    INT8: ">b",
    INT16: ">h",
    UINT8: ">B",
    UINT16: ">H",
    INT64: ">q",
    UINT64: ">Q",
    ENUM: ">B",
}
ROWS = 10_000


def length(n: int) -> bytes:
    if n < 0x80:
        return bytes((n,))
    body = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(body),)) + body


def encode(value) -> bytes:
    tag, v = value
    head = bytes((tag,))
    if tag in (ARRAY, STRUCTURE):
        return head + length(len(v)) + b"".join(map(encode, v))
    if tag == NULL:
        return head
    if tag in FORMATS:
        return head + struct.pack(FORMATS[tag], v)
    if tag == BOOLEAN:
        return head + bytes((bool(v),))
    if tag == OCTETS:
        return head + length(len(v)) + v
    if tag == VISIBLE:
        raw = v.encode("ascii")
        return head + length(len(raw)) + raw
    raise ValueError(tag)


def plain(value):
    tag, v = value
    return [plain(x) for x in v] if tag in (ARRAY, STRUCTURE) else v


def date_time(minutes: int) -> bytes:
    """12-octet COSEM date-time, ``minutes`` after 2024-01-01 00:00, deviation -60."""
    day, minute = divmod(minutes, 1440)
    month, day = divmod(day, 28)
    year, month = divmod(month, 12)
    return struct.pack(">HBBBBBBBhB", 2024 + year, month + 1, day + 1, 0xFF, minute // 60, minute % 60, 0, 0, -60, 0)


@functools.lru_cache(None)
def uniform(rows: int = ROWS):
    """Item (a): structure{octet-string[12], unsigned, 4 x double-long-unsigned}."""
    rnd = random.Random(62056)
    base = [1_000_000, 20_000, 300_000, 4_000]
    out = []
    for i in range(rows):
        base = [b + rnd.randrange(500) for b in base]
        out.append(
            (STRUCTURE, [(OCTETS, date_time(15 * i)), (UINT8, rnd.randrange(256)), *((UINT32, b) for b in base)])
        )
    return (ARRAY, out)


@functools.lru_cache(None)
def mixed(rows: int = ROWS):
    """structure{null | octet-string[12], unsigned, long64-unsigned,
    structure{long, enum}, double-long, visible-string, boolean}; a timestamp only
    in every 24th row (null-data otherwise), negative numbers, long strings now and then."""
    rnd = random.Random(62057)
    energy = 10**12
    out = []
    for i in range(rows):
        energy += rnd.randrange(10**6)
        stamp = (OCTETS, date_time(60 * i)) if i % 24 == 0 else (NULL, None)
        text = "EVT%05d" % i if i % 50 else "E" * 140  # 2-octet length sometimes
        out.append(
            (
                STRUCTURE,
                [
                    stamp,
                    (UINT8, rnd.randrange(256)),
                    (UINT64, energy),
                    (STRUCTURE, [(INT16, rnd.randrange(-32768, 32768)), (ENUM, rnd.randrange(60))]),
                    (INT32, rnd.randrange(-(2**31), 2**31)),
                    (VISIBLE, text),
                    (BOOLEAN, bool(i & 1)),
                ],
            )
        )
    return (ARRAY, out)


@functools.lru_cache(None)
def compressed(rows: int = ROWS):
    """The rows of ``uniform`` as a meter compresses them: the time only once a day, each number as wide as it has to
    be: structure{null | octet-string[12], unsigned, 4 x unsigned | long-unsigned | double-long-unsigned | long64-}."""
    rnd = random.Random(62058)
    energy, export = 4_294_900_000, 65_000
    out = []
    for i in range(rows):
        energy += rnd.randrange(500)
        export += rnd.randrange(3)
        numbers = energy, export, rnd.randrange(400), rnd.randrange(70_000)
        widths = (
            UINT8 if n < 1 << 8 else UINT16 if n < 1 << 16 else UINT32 if n < 1 << 32 else UINT64 for n in numbers
        )
        stamp = (NULL, None) if i % 96 else (OCTETS, date_time(15 * i))
        out.append((STRUCTURE, [stamp, (UINT8, rnd.randrange(256)), *zip(widths, numbers, strict=True)]))
    return (ARRAY, out)


@functools.lru_cache(None)
def compressed_bytes(rows: int = ROWS) -> bytes:
    return encode(compressed(rows))


@functools.lru_cache(None)
def uniform_bytes(rows: int = ROWS) -> bytes:
    return encode(uniform(rows))


@functools.lru_cache(None)
def mixed_bytes(rows: int = ROWS) -> bytes:
    return encode(mixed(rows))


# --- HDLC ---------------------------------------------------------------------------
CLIENT, SERVER = 16, 1  # one-octet addresses: 0x21 and 0x03


def _x25_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ 0x8408 if byte & 1 else byte >> 1
        table.append(byte)
    return table


_T = _x25_table()


def x25(data: bytes) -> bytes:
    crc = 0xFFFF
    for b in data:
        crc = (crc >> 8) ^ _T[(crc ^ b) & 0xFF]
    return (crc ^ 0xFFFF).to_bytes(2, "little")


def control(i: int) -> int:
    """I-frame control of the i-th frame: N(S)=i mod 8, P/F=1, N(R)=1."""
    return (1 << 5) | 0x10 | ((i % 8) << 1)


def hdlc_frame(dest: int, src: int, ctrl: int, info: bytes, segmented: bool) -> bytes:
    size = 2 + 1 + 1 + 1 + 2 + len(info) + 2
    head = struct.pack(">HBBB", 0xA000 | (0x800 if segmented else 0) | size, dest << 1 | 1, src << 1 | 1, ctrl)
    body = head + x25(head) + info
    return b"\x7e" + body + x25(body) + b"\x7e"


@functools.lru_cache(None)
def infos(size: int) -> tuple[bytes, ...]:
    """Information fields: the uniform profile buffer cut into ``size`` octets (full ones only)."""
    data = uniform_bytes()
    return tuple(data[i : i + size] for i in range(0, len(data) - size + 1, size))


@functools.lru_cache(None)
def hdlc_rx(size: int) -> bytes:
    """Server to client stream (segmented I-frames), to be parsed."""
    return b"".join(hdlc_frame(CLIENT, SERVER, control(i), info, True) for i, info in enumerate(infos(size)))


@functools.lru_cache(None)
def hdlc_tx(size: int) -> bytes:
    """Client to server stream, to be built."""
    return b"".join(hdlc_frame(SERVER, CLIENT, control(i), info, False) for i, info in enumerate(infos(size)))


# --- xDLMS --------------------------------------------------------------------------
INVOKE = 0xC1
REGISTER = (3, bytes((1, 0, 1, 8, 0, 255)), 2)
PROFILE = (7, bytes((1, 0, 99, 1, 0, 255)), 2)
REGISTER_VALUE = 123456
GET_REQUEST = b"\xc0\x01\xc1" + struct.pack(">H", 3) + REGISTER[1] + b"\x02\x00"
GET_RESPONSE = b"\xc4\x01\xc1\x00\x06" + struct.pack(">I", REGISTER_VALUE)

CAPTURES = [
    (8, bytes((0, 0, 1, 0, 0, 255))),
    (1, bytes((0, 0, 96, 10, 1, 255))),
    *((3, bytes((1, 0, i, 8, 0, 255))) for i in range(1, 5)),
]
"""The columns of the profile: class and name, attribute 2 of each."""
CAPTURE_OBJECTS = encode(
    (ARRAY, [(STRUCTURE, [(UINT16, c), (OCTETS, name), (INT8, 2), (UINT16, 0)]) for c, name in CAPTURES])
)
SCALER_UNIT = encode((STRUCTURE, [(INT8, 0), (ENUM, 30)]))

# --- security suite 0 ---------------------------------------------------------------
EK = bytes(range(16))
AK = bytes(range(0xD0, 0xE0))
TITLE = b"MMM\x00\x00\xbc\x61\x4e"


def apdu(size: int) -> bytes:
    """A plaintext GET-response-normal of exactly ``size`` octets (octet-string inside)."""
    body = size - 5 - len(length(size))
    body = size - 5 - len(length(body))
    return b"\xc4\x01\xc1\x00\x09" + length(body) + uniform_bytes()[4 : 4 + body]


def protected_content(plaintext: bytes, ic: int) -> bytes:
    """SC | IC | ciphertext | 12-octet tag, by the ``cryptography`` package."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = TITLE + ic.to_bytes(4, "big")
    return b"\x30" + ic.to_bytes(4, "big") + AESGCM(EK).encrypt(nonce, plaintext, b"\x30" + AK)[:-4]


def glo(plaintext: bytes, ic: int) -> bytes:
    """glo-get-response."""
    content = protected_content(plaintext, ic)
    return b"\xcc" + length(len(content)) + content


def general_glo(plaintext: bytes, ic: int) -> bytes:
    content = protected_content(plaintext, ic)
    return b"\xdb\x08" + TITLE + length(len(content)) + content
