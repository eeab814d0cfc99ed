"""What octets from an unknown line are: an echo, frames, text, another protocol, or garbage of which kind.

Pure functions over octets; how they were obtained does not matter.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from cosemic.errors import DecodeError
from cosemic.link.control import FrameKind
from cosemic.link.events import FrameDropped
from cosemic.link.frames import FrameReader, HdlcFrame
from cosemic.link.signon_messages import Identification
from cosemic.link.wrapper import WrapperPdu, WrapperReader

MOST_OCTETS = 1 << 16
"""What is kept of one probe's answer: a meter that talks for ever is cut off."""


class Sound(enum.Enum):
    """What octets are, the most telling first."""

    NOTHING = "nothing"
    ECHO = "our own octets, and nothing else"
    HDLC = "HDLC frames"
    WRAPPER = "wrapper PDUs"
    IDENTIFICATION = "an identification line (IEC 62056-21)"
    TELEGRAM = "a telegram in plain text (DSMR P1, IEC 62056-21 mode D)"
    MBUS = "wired M-Bus frames"
    DAMAGED = "HDLC frames with wrong checksums"
    SEVEN_BITS = "HDLC frames whose octets lost their highest bit"
    PARITY = "text with parity bits"
    OTHER = "another protocol"
    SPEED = "octets as a wrong speed makes them"
    UNKNOWN = "octets without any structure"


@dataclass(frozen=True, slots=True)
class Heard:
    """Octets, and what they are. ``echo`` tells that our own came back first; ``octets`` is then what follows."""

    sound: Sound
    octets: bytes
    echo: bool = False
    frames: tuple[HdlcFrame, ...] = ()
    pdus: tuple[WrapperPdu, ...] = ()
    text: str = ""


def listen_to(received: bytes, sent: bytes = b"") -> Heard:
    """Tell what was received, after ``sent`` went out."""
    rest = _without_echo(received, sent)
    echo = len(rest) != len(received)
    if not rest:
        return Heard(Sound.ECHO if echo else Sound.NOTHING, b"", echo)
    frames, dropped = _frames(rest)
    if frames:
        return Heard(Sound.HDLC, rest, echo, frames=frames)
    pdus = _pdus(rest)
    if pdus:
        return Heard(Sound.WRAPPER, rest, echo, pdus=pdus)
    text = _text(rest)
    for sound, found in ((_plain_text(text), text), (_other(rest), _other_name(rest))):
        if sound is not None:
            return Heard(sound, rest, echo, text=found)
    if _has_mbus(rest):
        return Heard(Sound.MBUS, rest, echo)
    if any(reason.startswith(_DAMAGES) for reason in dropped):
        return Heard(Sound.DAMAGED, rest, echo, text=dropped[0])
    if _SEVEN_BIT_FRAME.search(rest) is not None and not any(octet & 0x80 for octet in rest):
        return Heard(Sound.SEVEN_BITS, rest, echo)
    stripped = bytes(octet & 0x7F for octet in rest)
    if len(rest) >= 4 and _has_parity(rest) and _is_printable(stripped):
        return Heard(Sound.PARITY, rest, echo, text=stripped.decode("ascii"))
    if _looks_like_wrong_speed(rest):
        return Heard(Sound.SPEED, rest, echo)
    return Heard(Sound.UNKNOWN, rest, echo)


def identification(text: str) -> Identification | None:
    """The identification message (IEC 62056-21, 6.3.2) in a text, None where there is none."""
    for line in text.splitlines():
        start = line.rfind("/")
        if start >= 0 and line.isascii():
            try:
                return Identification.decode(line[start:].encode("ascii"))
            except DecodeError:
                continue
    return None


_MBUS = re.compile(rb"\x68(.)\1\x68", re.DOTALL)
_DAMAGES = ("the header check", "the frame check", "no flag after", "silence within a frame")
_SEVEN_BIT_FRAME = re.compile(rb"\x7e[\x20-\x2f]")


def _without_echo(received: bytes, sent: bytes) -> bytes:
    """Cut off what comes back of our own octets; a beginning of them counts where nothing else follows."""
    if not sent or not received:
        return received
    if received.startswith(sent):
        return received[len(sent) :]
    start = received.find(sent)
    if start >= 0:
        return received[:start] + received[start + len(sent) :]
    return b"" if len(received) >= 3 and sent.startswith(received) else received


def _frames(octets: bytes) -> tuple[tuple[HdlcFrame, ...], list[str]]:
    reader = FrameReader()
    items = reader.feed(octets) + reader.expire()
    reasons = [item.reason for item in items if isinstance(item, FrameDropped)]
    return tuple(item for item in items if isinstance(item, HdlcFrame)), reasons


def _pdus(octets: bytes) -> tuple[WrapperPdu, ...]:
    return tuple(item for item in WrapperReader().feed(octets) if isinstance(item, WrapperPdu) and item.apdu)


def _text(octets: bytes) -> str:
    return octets.decode("ascii", "replace")


def _plain_text(text: str) -> Sound | None:
    if "\ufffd" in text:
        return None
    if text.startswith("/") and identification(text) is not None:
        is_telegram = "(" in text or text.count("\n") > 1
        return Sound.TELEGRAM if is_telegram else Sound.IDENTIFICATION
    return None


_OTHERS = (
    (re.compile(rb"^HTTP/|^<!DOCTYPE|^<html", re.IGNORECASE), "HTTP: a web server"),
    (re.compile(rb"^SSH-"), "SSH"),
    (re.compile(rb"^\x15\x03[\x00-\x04]\x00\x02"), "TLS: it wants an encrypted connection (tls://)"),
    (re.compile(rb"^(\xff[\xfb-\xfe].){2}", re.DOTALL), "Telnet or RFC 2217: set the serial server to raw TCP"),
)


def _other(octets: bytes) -> Sound | None:
    return Sound.OTHER if _other_name(octets) else None


def _other_name(octets: bytes) -> str:
    return next((name for pattern, name in _OTHERS if pattern.search(octets)), "")


def _has_mbus(octets: bytes) -> bool:
    """Whether a long frame of wired M-Bus (EN 13757-2) stands there, with its checksum and its stop octet."""
    for match in _MBUS.finditer(octets):
        start, length = match.end(), match[1][0]
        content, end = octets[start : start + length], octets[start + length : start + length + 2]
        if len(end) == 2 and length >= 3 and end == bytes((sum(content) & 0xFF, 0x16)):
            return True
    return False


def _is_printable(octets: bytes) -> bool:
    return all(32 <= octet < 127 or octet in (2, 3, 6, 10, 13) for octet in octets)


def _has_parity(octets: bytes) -> bool:
    """Whether every octet has even (or every octet odd) parity, and some have the highest bit set."""
    parities = {octet.bit_count() & 1 for octet in octets}
    return len(parities) == 1 and any(octet & 0x80 for octet in octets)


def _looks_like_wrong_speed(octets: bytes) -> bool:
    """A receiver that samples faster than the sender sends sees each bit several times: octets of long equal runs."""
    if len(octets) < 4:
        return False
    smooth = sum((octet ^ octet >> 1) & 0x7F in _FEW_CHANGES for octet in octets)
    return smooth * 10 >= len(octets) * 7


_FEW_CHANGES = frozenset({0, *(1 << bit for bit in range(7))})
"""Patterns of bit changes within an octet with one change at the most."""


def has_answer(frames: tuple[HdlcFrame, ...]) -> bool:
    """Whether one of the frames answers an SNRM, well or badly."""
    return any(frame.kind in _ANSWERS for frame in frames)


_ANSWERS = (FrameKind.UNNUMBERED_ACKNOWLEDGEMENT, FrameKind.DISCONNECTED_MODE, FrameKind.FRAME_REJECT)
