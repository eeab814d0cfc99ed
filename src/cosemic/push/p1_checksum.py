"""The check sum of a P1 text: CRC-16 with the polynomial x¹⁶ + x¹⁵ + x² + 1, least significant bit first, from 0.

The polynomial is (x + 1)(x¹⁵ + x + 1). So the text is taken as one large number and reduced by the trinomial, in steps
of 15·2ᵏ bits, since x^(15·2ᵏ) = x^(2ᵏ) + 1; the parity of all bits gives the rest by the other factor. That is a dozen
shifts of whole numbers in place of a loop over the octets.
"""

from __future__ import annotations

from typing import Final

_REVERSED: Final = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
_TRINOMIAL: Final = 0x8003
_DEGREE: Final = 15


def crc16_arc(octets: bytes) -> int:
    """The check sum of ``octets``; printed as four hexadecimal digits after the ``!`` of DSMR 4 and later."""
    message = int.from_bytes(octets.translate(_REVERSED), "big") << 16
    is_odd = message.bit_count() & 1
    step = max((message.bit_length() // _DEGREE).bit_length() - 1, 0)
    while message >> _DEGREE:
        width = _DEGREE << step
        high = message >> width
        if high:
            message ^= (high << width) ^ (high << (1 << step)) ^ high
        else:
            step -= 1
    if message.bit_count() & 1 != is_odd:
        message ^= _TRINOMIAL
    return _REVERSED[message & 0xFF] << 8 | _REVERSED[message >> 8]
