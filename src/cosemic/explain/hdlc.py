"""HDLC frames, annotated (IEC 62056-46)."""

from __future__ import annotations

from dataclasses import dataclass

from cosemic.explain.annotations import Cursor, Fault, Sensitivity
from cosemic.link.crc import crc16_x25

_UNNUMBERED = {0x83: "SNRM", 0x43: "DISC", 0x63: "UA", 0x0F: "DM", 0x87: "FRMR", 0x03: "UI"}
_SUPERVISORY = {0x01: "RR", 0x05: "RNR", 0x09: "REJ"}
_WORDS = {
    "SNRM": "set normal response mode: connect",
    "DISC": "disconnect",
    "UA": "unnumbered acknowledgement",
    "DM": "disconnected mode: the other side is not connected",
    "FRMR": "frame reject",
    "UI": "unnumbered information",
    "RR": "receive ready",
    "RNR": "receive not ready: wait",
    "REJ": "reject: send again",
    "I": "information",
}
_REASONS = (
    (0x01, "control field undefined or not implemented"),
    (0x02, "information where none is allowed"),
    (0x04, "information field too long"),
    (0x08, "invalid N(R)"),
    (0x10, "invalid N(S)"),
)
_PARAMETERS = {
    5: "maximum information length, transmit",
    6: "maximum information length, receive",
    7: "window size, transmit",
    8: "window size, receive",
}
FORMATS = range(0xA0, 0xB0)
"""First octets of frame format type 3."""


@dataclass(slots=True)
class FrameSeen:
    """What the walk found out about a frame: who to whom, which control field, where the information stands."""

    destination: bytes
    source: bytes
    control: int
    segmented: bool
    information: Cursor | None
    end: int
    headline: int = 0

    @property
    def send_number(self) -> int:
        return self.control >> 1 & 7

    @property
    def kind(self) -> str:
        return control_kind(self.control)


def control_kind(control: int) -> str:
    """I, RR, RNR, REJ, SNRM, UA, … or ``unknown``."""
    if not control & 1:
        return "I"
    return _SUPERVISORY.get(control & 0x0F) or _UNNUMBERED.get(control & 0xEF, "unknown")


def control_text(control: int) -> str:
    """``I N(S)=1 N(R)=2 P``."""
    kind = control_kind(control)
    parts = [kind]
    if kind == "I":
        parts.append(f"N(S)={control >> 1 & 7}")
    if kind in ("I", "RR", "RNR", "REJ"):
        parts.append(f"N(R)={control >> 5}")
    if control & 0x10:
        parts.append("P/F")
    return " ".join(parts)


def frame_size(data: bytes, start: int) -> int | None:
    """Octets from the format field at ``start`` to the FCS, or None when no frame format type 3 stands there."""
    if start + 1 >= len(data) or data[start] not in FORMATS:
        return None
    return (data[start] & 0x07) << 8 | data[start + 1]


def walk_frame(cursor: Cursor, length: int) -> FrameSeen:
    """Annotate one frame without its flags; the information field is left to the caller.

    The caller calls ``finish_frame`` after it has annotated the information.
    """
    start = cursor.position
    end = start + length
    first = cursor.take(2, "the frame format")
    segmented = bool(first[0] & 0x08)
    cursor.write(
        "frame format", None, f"type 3, length {length}, {'more segments follow' if segmented else 'last segment'}"
    )
    destination = _address(cursor, "destination")
    source = _address(cursor, "source")
    control = cursor.take(1, "the control field")[0]
    kind = control_kind(control)
    cursor.write(
        "control", control_text(control), _WORDS.get(kind, ""),
        error="unknown control field" if kind == "unknown" else None,
    )  # fmt: skip
    seen = FrameSeen(destination, source, control, segmented, None, end)
    if end - cursor.position > 2:
        cursor.take(2, "the HCS")
        _checksum(cursor, "HCS", start)
        if end - 2 < cursor.position:
            raise Fault(cursor.position, f"the length of {length} octets leaves no room for the information and FCS")
        seen.information = cursor.within(min(end - 2, cursor.end) - cursor.position, depth=0)
    return seen


def finish_frame(cursor: Cursor, start: int) -> None:
    """Annotate the FCS of the frame that begins at ``start``."""
    cursor.take(2, "the FCS")
    _checksum(cursor, "FCS", start)


def walk_parameters(cursor: Cursor) -> None:
    """The information field of SNRM and UA: the negotiated sizes."""
    if cursor.left < 3:
        cursor.rest("parameters", error="too short for HDLC parameters")
        return
    cursor.take(2, "the group")
    cursor.write("parameters", None, "format 0x81, group 0x80")
    announced = cursor.number(1, "group length")
    with cursor.within(min(announced, cursor.left)) as inner:
        while inner.left:
            number, size = inner.take(2, "a parameter")
            value = int.from_bytes(inner.take(size, "the parameter's value"), "big")
            inner.write(_PARAMETERS.get(number, f"parameter {number}"), value)
    if cursor.left:
        cursor.rest("octets after the parameters")


def walk_reject(cursor: Cursor) -> None:
    """The information field of FRMR: why the other side gave up."""
    control, state, reason = cursor.take(3, "the reason")
    words = [text for bit, text in _REASONS if reason & bit] or ["no reason given"]
    cursor.write(
        "reject reason", control_text(control),
        f"{', '.join(words)}; its N(S)={state >> 1 & 7}, N(R)={state >> 5}; rejected was our control field",
    )  # fmt: skip
    if cursor.left:
        cursor.rest("octets after the reason")


def address_text(octets: bytes) -> str:
    """An encoded address in words."""
    half = [octet >> 1 for octet in octets]
    if len(octets) == 1:
        logical, physical, whole = half[0], None, 0x7F
    elif len(octets) == 2:
        logical, physical, whole = half[0], half[1], 0x7F
    else:
        logical, physical, whole = half[0] << 7 | half[1], half[2] << 7 | half[3], 0x3FFF
    text = "all stations" if logical == whole else str(logical)
    if physical is None:
        return text
    return f"{text}, physical {'all stations' if physical == whole else physical}"


def _address(cursor: Cursor, field: str) -> bytes:
    start = cursor.position
    while True:
        octet = cursor.take(1, f"the {field} address")[0]
        size = cursor.position - start
        if octet & 1:
            break
        if size == 4:
            raise Fault(start, f"the {field} address does not end after 4 octets")
    octets = cursor.data[start : cursor.position]
    if size == 3:
        raise Fault(start, f"the {field} address has 3 octets; 1, 2 and 4 are possible")
    cursor.write(field, address_text(octets), sensitivity=Sensitivity.OPEN)
    return octets


def _checksum(cursor: Cursor, field: str, start: int) -> None:
    octets = cursor.data[cursor.position - 2 : cursor.position]
    right = crc16_x25(cursor.data[start : cursor.position - 2])
    if octets == right:
        cursor.write(field, "ok")
    else:
        cursor.write(field, "wrong", error=f"{field} is {octets.hex().upper()}, {right.hex().upper()} fits the octets")
