"""Wired M-Bus frames, annotated: the frame (EN 13757-2), and the DLMS transport in it (EN 13757-1, IEC 62056-7-3)."""

from __future__ import annotations

from dataclasses import dataclass

from cosemic.explain.annotations import Cursor, Sensitivity

LONG, SHORT, STOP, ACKNOWLEDGEMENT = 0x68, 0x10, 0x16, 0xE5
_TRANSPORT = 0x20
_LAST = 0x10
_CONTROLS = {
    0x40: "SND-NKE: link reset",
    0x43: "SND-UD2: data, and an answer wanted",
    0x44: "SND-NR: data, no reply",
    0x46: "SND-IR: installation request",
    0x53: "SND-UD: data to the other side",
    0x5A: "REQ-UD1: request for alarm data",
    0x5B: "REQ-UD2: request for data",
    0x08: "RSP-UD: data in answer",
}
_APPLICATIONS = {
    0x50: "application reset",
    0x51: "data to the meter",
    0x52: "selection of a slave",
    0x72: "M-Bus data (EN 13757-3), long header",
    0x78: "M-Bus data (EN 13757-3), no header",
    0x7A: "M-Bus data (EN 13757-3), short header",
}


@dataclass(slots=True)
class SegmentSeen:
    """A segment of a DLMS APDU: between whom, which number, and where its octets stand."""

    source: int
    destination: int
    number: int
    is_last: bool
    octets: Cursor


def frame_size(data: bytes, start: int) -> int | None:
    """Octets of the whole and intact frame at ``start``; None when none stands there.

    A length octet says 01 for 257: some meters send frames longer than 255 octets.
    """
    if start + 4 > len(data) or data[start] != LONG or data[start + 3] != LONG:
        return None
    if data[start + 1] != data[start + 2]:
        return None
    for length in (data[start + 1], data[start + 1] + 256):
        end = start + 4 + length
        is_ended = length >= 3 and end + 2 <= len(data) and data[end + 1] == STOP
        if is_ended and sum(data[start + 4 : end]) & 0xFF == data[end]:
            return length + 6
    return None


def begins_frame(data: bytes) -> bool:
    """Whether the octets begin like a long frame, intact or not."""
    return len(data) > 6 and data[0] == LONG and data[3] == LONG and data[1] == data[2]


def short_size(data: bytes, start: int) -> int | None:
    """The size of the short frame or single character at ``start``; None when none stands there."""
    if start < len(data) and data[start] == ACKNOWLEDGEMENT:
        return 1
    octets = data[start : start + 5]
    if len(octets) == 5 and octets[0] == SHORT and octets[4] == STOP and (octets[1] + octets[2]) & 0xFF == octets[3]:
        return 5
    return None


def walk_short(cursor: Cursor) -> None:
    """A short frame, or the single character E5."""
    if cursor.left == 1:
        cursor.take(1, "the character")
        cursor.write("M-Bus acknowledgement", "E5")
        return
    headline = cursor.head("M-Bus short frame")
    cursor.depth += 1
    cursor.take(1, "the start octet")
    cursor.write("start")
    control = _control(cursor)
    address = _address(cursor)
    _end(cursor, control + address)
    cursor.page.amend(headline, meaning=f"{_control_text(control)}, address {address}")


def walk_long(cursor: Cursor) -> SegmentSeen | None:
    """A long frame up to its data; ``finish`` annotates the rest. The segment of a DLMS APDU in it, if there is one."""
    headline = cursor.head("M-Bus frame")
    cursor.depth += 1
    cursor.take(1, "the start octet")
    cursor.write("start")
    length = cursor.take(2, "the length")[0]
    true_length = cursor.left - 3
    said = f"{true_length} octets follow up to the checksum"
    if true_length == length + 256:
        said += "; the length octet holds this modulo 256, as some meters send it"
    cursor.write("length", length, said, error=None if true_length in (length, length + 256) else "another length")
    cursor.take(1, "the start octet")
    cursor.write("start")
    control = _control(cursor)
    address = _address(cursor)
    ci = cursor.take(1, "the CI field")[0]
    words = f"{_control_text(control)}, address {address}"
    if ci >= _TRANSPORT:
        cursor.write("CI", ci, _APPLICATIONS.get(ci, "not the DLMS transport"))
        cursor.page.amend(headline, meaning=f"{words}, CI {ci:02X}")
        data = cursor.within(max(cursor.left - 2, 0), depth=0)
        data.position = data.end
        data.write("M-Bus data", None, "not DLMS, not explained", sensitivity=Sensitivity.SECRET)
        return None
    number, is_last = ci & 0x0F, bool(ci & _LAST)
    cursor.write("CI", ci, f"DLMS transport, segment {number}{', the last (FIN)' if is_last else ', more follow'}")
    source = cursor.number(1, "STSAP", "who speaks")
    destination = cursor.number(1, "DTSAP", "who is spoken to")
    cursor.page.amend(headline, meaning=f"{words}, {source} -> {destination}, segment {number}")
    return SegmentSeen(
        source, destination, number, is_last, cursor.within(max(cursor.left - 2, 0), depth=0, layer="mbus")
    )


def finish(cursor: Cursor, start: int) -> None:
    """Annotate checksum and stop octet of the long frame that begins at ``start``."""
    _end(cursor, sum(cursor.data[start + 4 : cursor.position]))


def _control(cursor: Cursor) -> int:
    control = cursor.take(1, "the C field")[0]
    cursor.write("C", f"{control:02X}", _control_text(control))
    return control


def _control_text(control: int) -> str:
    known = _CONTROLS.get(control) or _CONTROLS.get(control & ~0x30 if control & 0x40 else control & 0x0F)
    text = known or _CONTROLS.get((control | 0x10) & ~0x20) or "unknown C field"
    return text + (", frame count bit set" if control & 0x70 == 0x70 else "")


def _address(cursor: Cursor) -> int:
    address = cursor.take(1, "the A field")[0]
    words = {0xFF: "all listen, none answers", 0xFE: "whoever is there answers", 0xFD: "selected by secondary address"}
    cursor.write("A", address, words.get(address, "primary address"))
    return address


def _end(cursor: Cursor, total: int) -> None:
    check = cursor.take(1, "the checksum")[0]
    right = total & 0xFF
    wrong = None if check == right else f"checksum is {check:02X}, {right:02X} fits the octets"
    cursor.write("checksum", "wrong" if wrong else "ok", error=wrong)
    stop = cursor.take(1, "the stop octet")[0]
    cursor.write("stop", error=None if stop == STOP else f"16 belongs here, not {stop:02X}")
