"""Names that meters keep as octet-strings (calendars, seasons, images), as people write them."""

from __future__ import annotations

_HEX = "hex:"


def readable(name: bytes) -> str:
    """The name as text where it is plain text, else as ``hex:…``; ``octets_of`` is the inverse."""
    if name.isascii():
        text = name.decode("ascii")
        if text.isprintable() and not text.startswith(_HEX):
            return text
    return _HEX + name.hex()


def octets_of(text: str) -> bytes:
    """The octets of a name as ``readable`` writes it; ValueError for hex digits that are none."""
    if text.startswith(_HEX):
        try:
            return bytes.fromhex(text.removeprefix(_HEX))
        except ValueError:
            raise ValueError(f"{text!r} is no hexadecimal name") from None
    return text.encode()
