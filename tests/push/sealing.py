"""Seals pushes as a meter does, straight from the standard and the package cryptography: nothing of ours is used."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

TITLE = b"KFM" + bytes.fromhex("6750000009")
KEY = bytes.fromhex("36C66639E48A8CA4D6BC8B282A793BBC")  # one bit beside a published example
AUTHENTICATION_KEY = bytes.fromhex("8F1E0B7AC35D42996DE0A4B15873C2F6")
LONG_KEY = bytes.fromhex("5A1C9E03B7D24F6881AA0B3CD5E6F7192836455463728190AFBECDDCEBFA0918")
LONG_AUTHENTICATION_KEY = LONG_KEY[::-1]

#: a push without time: a structure of logical name and number, and a text
NOTIFICATION = bytes.fromhex("0F400000010002030906010001 0800FF060012D687 0A0474657374".replace(" ", ""))
P1_TEXT = b"/KFM5MA309M\r\n\r\n1-0:1.8.0(001234.567*kWh)\r\n1-0:1.7.0(00.412*kW)\r\n!9A3F\r\n"


def length(size: int) -> bytes:
    """An A-XDR length."""
    if size < 0x80:
        return bytes([size])
    return bytes([0x81, size]) if size < 0x100 else b"\x82" + size.to_bytes(2)


def content(
    control: int,
    counter: int,
    plain: bytes = NOTIFICATION,
    *,
    title: bytes = TITLE,
    key: bytes = KEY,
    authentication_key: bytes = AUTHENTICATION_KEY,
    header: bytes = b"",
) -> bytes:
    """``SC || IC || payload``; ``header`` is what the tag covers besides."""
    head = bytes([control]) + counter.to_bytes(4)
    vector = title + head[1:]
    if not control & 0x30:
        return head + plain
    gcm = AESGCM(key)
    if not control & 0x10:
        return head + gcm.encrypt(vector, plain, None)[:-16]
    associated = head[:1] + authentication_key + header
    if not control & 0x20:
        return head + plain + gcm.encrypt(vector, b"", associated + plain)[:12]
    return head + gcm.encrypt(vector, plain, associated)[:-4]


def general_glo(inside: bytes, *, title: bytes = TITLE, tag: int = 0xDB) -> bytes:
    """General-glo-ciphering around a content."""
    return bytes([tag, len(title)]) + title + length(len(inside)) + inside


def telegram(control: int, counter: int, plain: bytes = NOTIFICATION, **more: bytes) -> bytes:
    """A push in general-glo-ciphering."""
    title = more.get("title", TITLE)
    return general_glo(content(control, counter, plain, **more), title=title)
