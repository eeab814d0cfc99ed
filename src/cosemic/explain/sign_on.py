"""Text of IEC 62056-21, annotated: request, identification, acknowledgement, and what is read out in plain text."""

from __future__ import annotations

import re

from cosemic.explain.annotations import Cursor, Sensitivity
from cosemic.obis import ObisCode

_SPEEDS = {"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200}
_MODE_B = {"A": 600, "B": 1200, "C": 2400, "D": 4800, "E": 9600, "F": 19200}
_REQUEST = re.compile(rb"/\?([0-9A-Za-z ]{0,32})!\r?\n")
_IDENTIFICATION = re.compile(rb"/([A-Za-z]{3})([0-9A-Za-z ])((?:\\[!-~])*)([ -.0-~]{0,32})\r?\n")
_ACKNOWLEDGEMENT = re.compile(rb"\x06([0-9])([0-9A-Z])([0-9A-Z])\r?\n")
_DATA = re.compile(rb"([0-9A-Z][0-9A-Z.:*&-]{2,20})((?:\([^()\r\n]*\))+)\r?\n")
_CONTROL = {0x02: "STX, the data begins", 0x03: "ETX, the data ends", 0x15: "NAK, repeat"}
_PROTOCOLS = {"0": "normal procedure", "1": "secondary procedure", "2": "HDLC (mode E)"}
_MODES = {"0": "data readout", "1": "programming mode", "2": "HDLC (mode E)"}
_WAKE_UP = re.compile(rb"\x00{4,}")


def text_size(data: bytes, start: int) -> int:
    """Octets of sign-on text from ``start`` on: up to the first line that is none; 0 when none stands there."""
    position = start
    seen = False
    while position < len(data):
        step = _step(data, position, seen)
        if not step:
            break
        seen = True
        position += step
    return position - start if seen else 0


def _step(data: bytes, position: int, inside: bool) -> int:
    """The size of what stands at ``position``; data lines and the rest count only after an identification."""
    patterns = (_REQUEST, _IDENTIFICATION, _ACKNOWLEDGEMENT)
    for pattern in patterns:
        match = pattern.match(data, position)
        if match is not None:
            return len(match[0])
    match = _WAKE_UP.match(data, position)
    if match is not None and (match.end() == len(data) or _step(data, match.end(), False)):
        return len(match[0])
    if not inside:
        return 0
    match = _DATA.match(data, position)
    if match is not None:
        return len(match[0])
    if data[position] in _CONTROL:
        return 1
    if data[position] == 0x21:  # "!", then a checksum (DSMR) or nothing
        end = data.find(b"\n", position, position + 8)
        return end + 1 - position if end >= 0 else 1
    if data[position : position + 2] == b"\r\n":
        return 2
    if position and data[position - 1] == 0x03:
        return 1  # the block check character
    return 0


def walk_text(cursor: Cursor) -> None:
    """Annotate the text that the cursor covers."""
    cursor.layer = "sign-on"
    check: int | None = None  # exclusive-or of what came since STX
    while cursor.left:
        start = cursor.position
        check = _walk(cursor, check)
        if check is not None:
            for octet in cursor.data[start : cursor.position]:
                check ^= octet


def _walk(cursor: Cursor, check: int | None) -> int | None:
    """Annotate the next piece; the block check so far, None where no block is open."""
    data, position = cursor.data, cursor.position
    if match := _REQUEST.match(data, position):
        address = match[1].decode("ascii")
        cursor.take(len(match[0]), "the request")
        cursor.write(
            "sign-on request", address or None, "to the device with this address" if address else "to any device",
            sensitivity=Sensitivity.IDENTITY if address else Sensitivity.OPEN,
        )  # fmt: skip
    elif match := _ACKNOWLEDGEMENT.match(data, position):
        protocol, speed, mode = (part.decode("ascii") for part in match.groups())
        cursor.take(len(match[0]), "the acknowledgement")
        cursor.write(
            "acknowledgement", f"{protocol}{speed}{mode}",
            f"{_PROTOCOLS.get(protocol, 'another protocol')}, {_SPEEDS.get(speed, 'unknown')} baud, "
            f"{_MODES.get(mode, 'another mode')}",
        )  # fmt: skip
    elif match := _IDENTIFICATION.match(data, position):
        _identification(cursor, match)
    elif match := _WAKE_UP.match(data, position):
        cursor.take(len(match[0]), "the wake-up")
        cursor.write("wake-up", None, f"{len(match[0])} NUL octets")
    elif match := _DATA.match(data, position):
        cursor.take(len(match[0]), "a data line")
        value = match[2].decode("ascii", "replace")
        digits = sum(char.isdigit() for char in value)
        cursor.write(
            match[1].decode("ascii"), value, _obis_words(match[1]),
            sensitivity=Sensitivity.IDENTITY if digits >= 7 else Sensitivity.OPEN,
        )  # fmt: skip
    elif data[position] in _CONTROL:
        cursor.take(1, "a control character")
        cursor.write(_CONTROL[data[position]])
        if data[position] == 0x02:
            return 0x02  # which the octet itself takes out again
    elif data[position : position + 2] == b"\r\n":
        cursor.take(2, "a line end")
        cursor.write("empty line")
    elif data[position] == 0x21:
        end = data.find(b"\n", position, cursor.end)
        octets = cursor.take(end + 1 - position if end >= 0 else 1, "the end")
        telegram = octets[1:].strip().decode("ascii", "replace")
        cursor.write("end", telegram or None, "checksum of the telegram, not checked" if telegram else "of the text")
    elif position and data[position - 1] == 0x03:
        _block_check(cursor, check)
        return None
    else:
        cursor.rest("text", "not explained")
    return check


def _identification(cursor: Cursor, match: re.Match[bytes]) -> None:
    maker, speed, modes, name = (part.decode("ascii") for part in match.groups())
    cursor.take(len(match[0]), "the identification")
    proposed = _SPEEDS.get(speed) or _MODE_B.get(speed.upper())
    kind = "mode C or E" if speed in _SPEEDS else "mode B" if proposed else "mode A or D"
    words = [f"manufacturer {maker}", f"proposes {proposed} baud ({kind})" if proposed else kind]
    if "2" in modes:
        words.append("offers HDLC (mode E)")
    if maker[2].islower():
        words.append("reacts within 20 ms")
    cursor.write(
        "identification", f"/{maker}{speed}{modes}{name}", ", ".join(words), sensitivity=Sensitivity.IDENTITY
    )  # fmt: skip


def _block_check(cursor: Cursor, right: int | None) -> None:
    """The octet after ETX: the exclusive-or of all from behind STX to ETX (IEC 1155)."""
    check = cursor.take(1, "the block check character")[0]
    if right is None:
        cursor.write("block check", f"{check:02X}", "not checked: the STX is not there")
        return
    wrong = None if right == check else f"block check is {check:02X}, {right:02X} fits the text"
    cursor.write("block check", "wrong" if wrong else "ok", error=wrong)


def _obis_words(code: bytes) -> str:
    text = code.decode("ascii")
    try:
        return ObisCode.parse(text if "-" in text else f"1-0:{text}").describe()
    except ValueError:
        return ""
