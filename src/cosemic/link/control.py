"""The control field of HDLC frames, and frame-reject information in words (IEC 62056-46, 6.4.3; ISO/IEC 13239)."""

from __future__ import annotations

import enum


class FrameKind(enum.StrEnum):
    """What a control field says; the value is the usual abbreviation."""

    INFORMATION = "I"
    RECEIVE_READY = "RR"
    RECEIVE_NOT_READY = "RNR"
    REJECT = "REJ"
    SET_NORMAL_RESPONSE_MODE = "SNRM"
    DISCONNECT = "DISC"
    UNNUMBERED_ACKNOWLEDGEMENT = "UA"
    DISCONNECTED_MODE = "DM"
    FRAME_REJECT = "FRMR"
    UNNUMBERED_INFORMATION = "UI"
    UNKNOWN = "unknown"


POLL_FINAL = 0x10
SNRM = 0x93
DISC = 0x53
UA = 0x73
DM = 0x1F
FRMR = 0x97
UI = 0x13

_SUPERVISORY = {0x1: FrameKind.RECEIVE_READY, 0x5: FrameKind.RECEIVE_NOT_READY, 0x9: FrameKind.REJECT}
_UNNUMBERED = {
    SNRM: FrameKind.SET_NORMAL_RESPONSE_MODE,
    DISC: FrameKind.DISCONNECT,
    UA: FrameKind.UNNUMBERED_ACKNOWLEDGEMENT,
    DM: FrameKind.DISCONNECTED_MODE,
    FRMR: FrameKind.FRAME_REJECT,
    UI: FrameKind.UNNUMBERED_INFORMATION,
}


def _kind(control: int) -> FrameKind:
    if not control & 1:
        return FrameKind.INFORMATION
    if control & 3 == 1:
        return _SUPERVISORY.get(control & 0x0F, FrameKind.UNKNOWN)
    return _UNNUMBERED.get(control | POLL_FINAL, FrameKind.UNKNOWN)


KINDS: tuple[FrameKind, ...] = tuple(_kind(control) for control in range(256))
"""The kind of each possible control field."""


def information(send_number: int, receive_number: int, poll_final: bool) -> int:
    """The control field of an I frame."""
    return receive_number << 5 | (POLL_FINAL if poll_final else 0) | send_number << 1


def receive_ready(receive_number: int, poll_final: bool = True) -> int:
    """The control field of an RR frame."""
    return receive_number << 5 | (POLL_FINAL if poll_final else 0) | 0x01


class RejectReason(enum.IntFlag):
    """The reason bits W, X, Y, Z, and V of ISO/IEC 13239, of an FRMR."""

    UNDEFINED_CONTROL = 0x01
    INFORMATION_NOT_PERMITTED = 0x02
    INFORMATION_TOO_LONG = 0x04
    INVALID_RECEIVE_NUMBER = 0x08
    INVALID_SEND_NUMBER = 0x10


_REASONS = (
    (RejectReason.UNDEFINED_CONTROL, "the control field is undefined or not implemented"),
    (RejectReason.INFORMATION_NOT_PERMITTED, "the frame carried information that is not permitted"),
    (RejectReason.INFORMATION_TOO_LONG, "the information field was too long"),
    (RejectReason.INVALID_RECEIVE_NUMBER, "N(R) was invalid"),
    (RejectReason.INVALID_SEND_NUMBER, "N(S) was invalid"),
)


def reject_information(control: int, reason: RejectReason, *, send_state: int, receive_state: int) -> bytes:
    """The information field of the FRMR that answers a frame with this control field."""
    return bytes((control, receive_state << 5 | send_state << 1, reason))


def describe_control(control: int) -> str:
    """A control field in words: ``I frame N(S)=2 N(R)=2, P/F``."""
    kind = KINDS[control]
    text = f"{kind} frame" if kind is not FrameKind.UNKNOWN else f"unknown control field {control:02X}"
    if kind is FrameKind.INFORMATION:
        text += f" N(S)={control >> 1 & 7} N(R)={control >> 5}"
    elif control & 3 == 1 and kind is not FrameKind.UNKNOWN:
        text += f" N(R)={control >> 5}"
    return text + (", P/F" if control & POLL_FINAL else "")


def describe_reject(octets: bytes) -> str:
    """The information field of an FRMR in words."""
    if len(octets) < 3:
        return f"FRMR (frame reject) without a readable reason ({octets.hex() or 'no information'})"
    control, states, reason = octets[0], octets[1], octets[2]
    reasons = [text for bit, text in _REASONS if reason & bit]
    if reason & ~0x1F or not reasons:
        reasons.append(f"reason octet {reason:02X}")
    # the states are the rejecting station's: what it expects next, and what it would send next
    return (
        f"FRMR (frame reject): {' and '.join(reasons)}; rejected was a {describe_control(control)}; "
        f"the rejecting station expects N(S)={states >> 5} and is at V(S)={states >> 1 & 7}"
    )
