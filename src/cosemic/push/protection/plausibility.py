"""Whether octets are a push, judged by themselves: what decrypting without a tag has to be followed by.

A wrong key gives random octets, and encryption alone has nothing to tell them by. A notification has its tag, a
date-time of 0 or 12 octets whose fields can be, and values that end where the octets end. Of twenty random octets one
in some hundred millions is like that, of more octets fewer.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final

from cosemic.apdu.base import DECODERS, decode_apdu
from cosemic.codec.scalars import FORMATS, SIZE, TIMES
from cosemic.errors import DecodeError
from cosemic.push.meaning.nodes import ARRAY, BARE_DESCRIPTOR, BARE_SIZE, Body, Node
from cosemic.push.protection.envelopes import GENERAL_SIGNING, IS_PROTECTED, unwrap, unwrap_signed
from cosemic.push.protection.forms import KnownForms
from cosemic.push.protection.refusals import PushRefused
from cosemic.security.suites import BROADCAST, CIPHERING, KEY_LENGTH
from cosemic.tolerances import DEFAULT, STRICT, Tolerance


class Likeness(enum.IntEnum):
    """How like a push octets are."""

    NONE = 0
    """No push: the tag, or what follows it, cannot be."""
    BEGINS = 1
    """The beginning is one, and what follows makes no sense, or is missing: cut short, altered or badly joined."""
    OTHER = 2
    """A valid APDU that is no push."""
    BENT = 3
    """A notification whose values are no valid A-XDR, in a form that meters are known to use."""
    VALID = 4
    """A valid notification or P1 text, or another envelope."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """``reach`` is how many octets make sense from the first on, as whole values; ``is_cut`` where then one begins that
    the end of the octets cuts off."""

    likeness: Likeness
    reach: int = 0
    is_cut: bool = False


def judge(octets: bytes, tolerances: frozenset[Tolerance] = DEFAULT, forms: KnownForms | None = None) -> Judgement:
    """How like a push these octets are; never raises. ``forms`` spares it the decoding of what came likewise before."""
    if not octets:
        return _NONE
    tag = octets[0]
    if tag == _DATA_NOTIFICATION:
        return _data_notification(octets, tolerances, forms)
    if tag == _SLASH:
        return _text(octets)
    if IS_PROTECTED[tag]:
        return Judgement(Likeness.VALID, len(octets)) if _is_envelope(octets) else _NONE
    if DECODERS[tag] is None:
        return _NONE
    is_push = tag in _NOTIFICATIONS
    try:
        decode_apdu(octets, tolerances=tolerances if is_push else STRICT)
    except DecodeError:
        return _NONE
    return Judgement(Likeness.VALID if is_push else Likeness.OTHER, len(octets))


def _is_envelope(octets: bytes) -> bool:
    """Whether octets are a protected APDU to their end, as far as can be seen; it has to pass its own checks."""
    try:
        if octets[0] == GENERAL_SIGNING:
            unwrap_signed(octets)
            return True
        return unwrap(octets).content[0] & ~(CIPHERING | BROADCAST) in KEY_LENGTH
    except PushRefused:
        return False


def _data_notification(octets: bytes, tolerances: frozenset[Tolerance], forms: KnownForms | None) -> Judgement:
    offset = 5
    if octets[offset : offset + 2] == b"\x09\x0c" and Tolerance.DATE_TIME_TAG in tolerances:
        offset += 1
    if offset >= len(octets):
        return _NONE
    size = octets[offset]
    body = offset + 1 + size
    if size == _DATE_TIME:
        if body > len(octets) or not _is_date_time(octets[offset + 1 : body]):
            return _NONE
    elif size:
        return _NONE
    if forms is not None and forms.matches(octets):
        return Judgement(Likeness.VALID, len(octets))
    try:
        decode_apdu(octets, tolerances=tolerances)
    except DecodeError:
        pass
    else:
        if forms is not None:
            forms.learn(octets, body)
        return Judgement(Likeness.VALID, len(octets))
    if _has_bare_descriptors(octets[body:], tolerances):
        return Judgement(Likeness.BENT, len(octets))
    reach, is_cut = _reach(octets, body)
    # A first element of a structure is soon found among random octets; this much is not.
    sense = (len(octets) if is_cut else reach) - body
    if sense < (_SENSE if size else _SENSE_WITHOUT_TIME):
        return _NONE
    return Judgement(Likeness.BEGINS, reach, is_cut)


def _is_date_time(octets: bytes) -> bool:
    """Whether twelve octets can be a date-time: each field in its range, or not specified."""
    month, day, weekday, hour, minute, second, hundredths = octets[2:9]
    year = octets[0] << 8 | octets[1]
    deviation = octets[9] << 8 | octets[10]
    return (
        (1970 <= year <= 2150 or year == 0xFFFF)
        and (1 <= month <= 12 or month >= 0xFD)
        and (1 <= day <= 31 or day >= 0xFD)
        and (weekday <= 7 or weekday == 0xFF)
        and (hour <= 24 or hour == 0xFF)
        and (minute <= 60 or minute == 0xFF)
        and (second <= 60 or second == 0xFF)
        and (hundredths <= 99 or hundredths == 0xFF)
        and (deviation <= 900 or deviation >= 0x8000)  # minutes, signed; 8000: not specified
    )


def _text(octets: bytes) -> Judgement:
    """A telegram of a P1 port: ``/``, text, ``!`` and a check sum of four digits, or none in old ones."""
    if _P1.fullmatch(octets):
        return Judgement(Likeness.VALID, len(octets))
    match = _P1_BEGINS.match(octets)
    if match is None:
        return _NONE
    return Judgement(Likeness.BEGINS, match.end(), match.end() == len(octets))


def _has_bare_descriptors(octets: bytes, tolerances: frozenset[Tolerance]) -> bool:
    """Whether a body has attribute descriptors without type tags, as Czech meters send them, and is whole."""
    if Tolerance.PUSH_BARE_DESCRIPTORS not in tolerances:
        return False
    try:
        root = Body.with_bare_descriptors(octets).root
    except DecodeError:
        return False
    return _is_uniform(root)


def _is_uniform(node: Node) -> bool:
    """Whether in each array all elements begin with a bare descriptor, or none: a cut one may be read as something."""
    children = node.children or ()
    if node.tag == ARRAY and len({_begins_bare(child) for child in children}) > 1:
        return False
    return all(_is_uniform(child) for child in children)


def _begins_bare(node: Node) -> bool:
    children = node.children
    return children is not None and len(children) > 0 and children[0].tag == BARE_DESCRIPTOR


def _reach(octets: bytes, offset: int) -> tuple[int, bool]:
    """Where the whole values in one value end: behind it, at a type that is none, or (True) at one that is cut off."""
    end = len(octets)
    open_counts = [1]
    while open_counts:
        if not open_counts[-1]:
            open_counts.pop()
            continue
        open_counts[-1] -= 1
        if offset >= end:
            return offset, True
        tag = octets[offset]
        size = _FIXED.get(tag, -1)
        start = offset + 1
        if tag in _STRINGS or tag in _CONSTRUCTED:
            if start >= end:
                return offset, True
            size = octets[start]
            start += 1
            if size >= 0x80:
                more = size & 0x7F
                if not 1 <= more <= 2:
                    return offset, False
                if start + more > end:
                    return offset, True
                size = int.from_bytes(octets[start : start + more])
                start += more
            if tag in _CONSTRUCTED:
                if len(open_counts) >= _DEPTH:
                    return offset, False
                if tag == _STRUCTURE and size == 2 and _is_descriptor(octets[start : start + BARE_SIZE]):
                    size, start = 1, start + BARE_SIZE
                open_counts.append(size)
                offset = start
                continue
            if tag == _BIT_STRING:
                size = (size + 7) // 8
        elif size < 0:
            return offset, False
        if start + size > end:
            return offset, True
        offset = start + size
    return offset, False


def _is_descriptor(octets: bytes) -> bool:
    """Whether nine octets look like class, logical name and attribute."""
    return len(octets) == BARE_SIZE and octets[0] <= 1 and octets[7] == 0xFF and octets[8] != 0


_NONE: Final = Judgement(Likeness.NONE)
_DATA_NOTIFICATION: Final = 0x0F
_NOTIFICATIONS: Final = frozenset((0x0F, 0x18, 0xC2))
_SLASH: Final = 0x2F
_DATE_TIME: Final = 12
_DEPTH: Final = 16
_SENSE: Final = 4
_SENSE_WITHOUT_TIME: Final = 12
_BIT_STRING: Final = 4
_STRUCTURE: Final = 2
_FIXED: Final = {
    0x00: 0,
    0xFF: 0,
    **{int(tag): SIZE[tag] for tag in FORMATS},
    **{int(tag): size for tag, (size, _) in TIMES.items()},
}
"""By tag: the octets of a value without a length; null-data and don't-care have none."""
_STRINGS: Final = frozenset((4, 9, 10, 12))
_CONSTRUCTED: Final = frozenset((1, 2))
_P1: Final = re.compile(rb"/[A-Za-z0-9]{3}[\r\n\t -~]*![0-9A-Fa-f]{0,4}[\r\n]*")
_P1_BEGINS: Final = re.compile(rb"/[A-Za-z0-9]{4}[ -~]*\r\n[\r\n\t -~]{12,}")
