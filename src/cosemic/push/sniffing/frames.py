"""What is proven by check sums, and what only looks like it: frames, texts and APDUs counted in octets of any kind."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cosemic.link.events import FrameDropped
from cosemic.link.frames import FrameReader
from cosemic.link.mbus import MbusFrame, MbusReader
from cosemic.push.p1.texts import P1Error, interpret_p1
from cosemic.push.telegrams import Content, Framing, Telegram

CODE: Final = re.compile(rb"[0-9]-[0-9]{1,3}:[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?:\*[0-9]{1,3})?\(")
"""How a line of a P1 text begins."""

_TEXT: Final = re.compile(rb"/[^!/]{3,16384}[\r\n]![0-9A-Fa-f]{0,4}[ \t]*[\r\n]")
_READOUT: Final = re.compile(rb"(?:^|[\r\n\x02])(?:[0-9CFLP]\.){1,2}[0-9A-F]{1,3}(?:[*&][0-9]{1,3})?\([^()\r\n]*\)")
_PROTECTED: Final = re.compile(rb"[\xdb\xcb]\x08[\x20-\x7e]{3}")
_NOTIFICATION: Final = re.compile(
    rb"\x0f.{4}(?:\x00|(?:\x09)?\x0c\x07[\xd0-\xff][\x01-\x0c\xff][\x01-\x1f\xff].{8})[\x01\x02\x09]", re.DOTALL
)
_PUSH_TAGS: Final = frozenset({0x0F, 0xC2, 0x18, 0xD6, 0xCA, 0xD2, 0xDB, 0xDD, 0xDF, 0xE0})
_PROTECTED_TAGS: Final = frozenset({0xCA, 0xD2, 0xDB, 0xDD, 0xDF})


@dataclass(frozen=True, slots=True)
class Counts:
    """How much of what was found. Only the first four are proven, by a check sum or by lengths that fit."""

    hdlc: int = 0
    mbus: int = 0
    texts: int = 0
    wrapper: int = 0
    foreign_mbus: int = 0
    """M-Bus frames, of those counted, that carry no DLMS segment: a meter that is read out by EN 13757-3, for one."""
    damaged_hdlc: int = 0
    damaged_texts: int = 0
    code_lines: int = 0
    readout_lines: int = 0
    apdus: int = 0
    covered: int = 0
    """Octets of what is proven."""
    is_protected: bool = False
    layout: str | None = None

    @property
    def proven(self) -> int:
        """Frames and texts that cannot be chance."""
        return self.hdlc + self.mbus + self.texts + self.wrapper


def count(octets: bytes) -> Counts:
    """Count; linear in the octets."""
    hdlc, damaged_hdlc, hdlc_octets = _hdlc(octets)
    mbus, foreign_mbus, mbus_octets = _mbus(octets)
    texts, damaged_texts, text_octets, layout = _texts(octets)
    wrapper, wrapper_octets, protected = _wrapper(octets)
    return Counts(
        hdlc=hdlc,
        mbus=mbus,
        texts=texts,
        wrapper=wrapper,
        foreign_mbus=foreign_mbus,
        damaged_hdlc=damaged_hdlc,
        damaged_texts=damaged_texts,
        code_lines=len(CODE.findall(octets)),
        readout_lines=len(_READOUT.findall(octets)),
        apdus=len(_NOTIFICATION.findall(octets)) + len(_PROTECTED.findall(octets)),
        covered=max(hdlc_octets, mbus_octets, text_octets, wrapper_octets),
        is_protected=protected or bool(_PROTECTED.search(octets)),
        layout=layout,
    )


def _hdlc(octets: bytes) -> tuple[int, int, int]:
    """Whole frames, those whose head is right but not the rest, and the octets of the former."""
    reader = FrameReader()
    whole, damaged, covered = 0, 0, len(octets)
    for item in (*reader.feed(octets), *reader.expire()):
        if not isinstance(item, FrameDropped):
            whole += 1
            continue
        covered -= len(item.octets)
        if "FCS" in item.reason or "no flag after" in item.reason or "silence within" in item.reason:
            damaged += len(item.octets) > 8
    return whole, damaged, covered if whole else 0


def _mbus(octets: bytes) -> tuple[int, int, int]:
    """Long frames, whose length stands there twice, with a check sum and two fixed octets; those without DLMS in them;
    the octets of all."""
    reader = MbusReader()
    whole = foreign = covered = 0
    for item in (*reader.feed(octets), *reader.expire()):
        if isinstance(item, MbusFrame) and item.ci is not None:
            whole += 1
            foreign += not item.is_transport
            covered += len(item.data) + 9
    return whole, foreign, covered


def _texts(octets: bytes) -> tuple[int, int, int, str | None]:
    """Whole texts, damaged ones, the octets of the former, and what they are."""
    whole = damaged = covered = 0
    layout = None
    for found in _TEXT.finditer(octets):
        text = found[0]
        if not CODE.search(text):
            continue
        try:
            layout = interpret_p1(Telegram(Framing.P1, text, Content.P1_TEXT), text).layout
        except P1Error:
            damaged += 1
        else:
            whole += 1
            covered += len(text)
    return whole, damaged, covered, layout


def _wrapper(octets: bytes) -> tuple[int, int, bool]:
    """Wrapper PDUs that carry what a push may be, their octets, and whether one is protected."""
    found, covered, at, is_protected = 0, 0, octets.find(b"\x00\x01"), False
    while 0 <= at <= len(octets) - 9:
        length = int.from_bytes(octets[at + 6 : at + 8], "big")
        tag = octets[at + 8]
        if tag in _PUSH_TAGS and 5 <= length <= len(octets) - at - 8:
            found += 1
            covered += length + 8
            is_protected = is_protected or tag in _PROTECTED_TAGS
            at = octets.find(b"\x00\x01", at + 8 + length)
        else:
            at = octets.find(b"\x00\x01", at + 1)
    return found, covered, is_protected
