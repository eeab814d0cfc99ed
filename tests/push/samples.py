"""Pushes made here by hand, in every framing: a serial number and an energy, each with its OBIS code beside it."""

from __future__ import annotations

from cosemic.link.crc import crc16_x25
from tests.push.sealing import AUTHENTICATION_KEY, KEY, TITLE, telegram

__all__ = ["AUTHENTICATION_KEY", "KEY", "TITLE", "hdlc", "mbus", "notification", "sealed", "wrapper"]


def notification(energy: int = 1234, *, serial: str = "TST0001", confirmed: bool = False, invoke_id: int = 7) -> bytes:
    """A DataNotification: {code, serial number, code, energy in units of 10 Wh, {scaler, unit}}."""
    invoke = invoke_id | (0x40000000 if confirmed else 0)
    return (
        b"\x0f" + invoke.to_bytes(4) + b"\x00"  # no date-time
        + bytes.fromhex("0205 0906 0000600100FF 0A") + bytes((len(serial),)) + serial.encode()
        + bytes.fromhex("0906 0100010800FF 06") + energy.to_bytes(4)
        + bytes.fromhex("0202 0F01 161E")
    )  # fmt: skip


def sealed(apdu: bytes, counter: int, **more: bytes) -> bytes:
    """The APDU in general-glo-ciphering, authenticated and encrypted."""
    return telegram(0x30, counter, apdu, **more)


def wrapper(apdu: bytes) -> bytes:
    """One wrapper PDU from logical device 1 to client 102."""
    return b"\x00\x01\x00\x01\x00\x66" + len(apdu).to_bytes(2) + apdu


def hdlc(apdu: bytes) -> bytes:
    """One UI frame."""
    content = b"\xe6\xe7\x00" + apdu
    head = (0xA000 | 9 + len(content)).to_bytes(2) + b"\xcf\x03\x13"
    head += crc16_x25(head)
    return b"\x7e" + head + content + crc16_x25(head + content) + b"\x7e"


def mbus(apdu: bytes, piece: int = 230) -> bytes:
    """M-Bus long frames, each with a segment of it."""
    pieces = [apdu[start : start + piece] for start in range(0, len(apdu), piece)]
    frames = b""
    for number, part in enumerate(pieces):
        last = 0x10 if number == len(pieces) - 1 else 0
        user = bytes((0x53, 0xFF, last | number, 0x01, 0x67)) + part
        frames += bytes((0x68, len(user), len(user), 0x68)) + user + bytes((sum(user) & 0xFF, 0x16))
    return frames
