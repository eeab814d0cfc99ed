"""The 16-bit check sequences of HDLC frames (ISO/IEC 13239, the CRC known as X-25) and of P1 texts (CRC-16/ARC).

The standard library has the same polynomial with the bits the other way round (``binascii.crc_hqx``), so each octet is
bit-reversed by one ``bytes.translate``; that is an order of magnitude faster than a loop in Python.
"""

from __future__ import annotations

from binascii import crc_hqx
from functools import lru_cache

REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
"""Each octet with its bits in the opposite order; for ``bytes.translate``."""

INITIAL = 0xFFFF
RESIDUE = 0x1D0F
"""What ``crc_hqx`` gives over bit-reversed octets that end in their own correct check sequence."""


def crc16_x25(octets: bytes) -> bytes:
    """The check sequence of ``octets`` as it goes on the wire, low octet first."""
    return check_octets(crc_hqx(octets.translate(REVERSED), INITIAL))


def check_octets(register: int) -> bytes:
    """Turn a ``crc_hqx`` register over bit-reversed octets into the two octets for the wire."""
    register ^= 0xFFFF
    return bytes((REVERSED[register >> 8], REVERSED[register & 0xFF]))


def is_intact(octets: bytes) -> bool:
    """Whether ``octets`` end in the correct check sequence of what precedes it."""
    return crc_hqx(octets.translate(REVERSED), INITIAL) == RESIDUE


def crc16_arc(octets: bytes | bytearray) -> int:
    """CRC-16/ARC (polynomial 8005 reflected, begins with 0), as P1 texts end in it: over ``/`` to ``!``, both included.

    The polynomial is (x + 1)(x^15 + x + 1), and (x^15 + x + 1)^(2^k) has three terms whatever k is: whole numbers are
    reduced by a few shifts instead of a loop over the octets. The remainders by both factors give that by the product.
    """
    number = int.from_bytes(octets.translate(REVERSED), "big") << 16
    parity = number.bit_count() & 1
    for shift, mask, power in _trinomials((len(octets) // 4).bit_length()):
        # Twice is enough: what comes in has fewer than 43 * power bits, and each time takes 14 * power of them.
        high = number >> shift
        number = number & mask ^ high ^ high << power
        high = number >> shift
        if high:
            number = number & mask ^ high ^ high << power
    if number.bit_count() & 1 != parity:
        number ^= 0x8003
    return REVERSED[number & 0xFF] << 8 | REVERSED[number >> 8]


@lru_cache(maxsize=32)
def _trinomials(largest: int) -> tuple[tuple[int, int, int], ...]:
    """(x^15 + x + 1)^(2^k) from the largest k down to 0: the first exponent, the bits below it, the second exponent."""
    return tuple((15 << k, (1 << (15 << k)) - 1, 1 << k) for k in range(largest, -1, -1))
