"""Whether the user's keys fit what a meter sends: which of them does, where that can be told.

A meter's ciphered answer is a test of both keys. Its tag fits: both are right. It does not, but what is deciphered
without it is a whole APDU: the encryption key (and the system title) is right, so the authentication key is wrong.
What is deciphered here without a valid tag is looked at for this one purpose and never leaves this module.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from cosemic.apdu.acse import AssociationResponse
from cosemic.apdu.base import decode_apdu
from cosemic.apdu.protected import PLAIN_TAG, unwrap_ciphered
from cosemic.doctor.heard import Sound, listen_to
from cosemic.enums import ApduTag
from cosemic.errors import DlmsError
from cosemic.link import llc
from cosemic.link.control import FrameKind
from cosemic.link.frames import HdlcFrame
from cosemic.security.context import SecurityContext
from cosemic.security.suites import (
    AUTHENTICATED,
    BROADCAST,
    COMPRESSED,
    ENCRYPTED,
    HEADER,
    HEADER_LENGTH,
    SUITE_MASK,
    TAG_LENGTH,
)
from cosemic.tolerances import ALL

_GENERAL = (ApduTag.GENERAL_GLO_CIPHERING, ApduTag.GENERAL_DED_CIPHERING)
_MOST_MESSAGES = 8


class Fit(enum.Enum):
    """How the keys fit the messages of a meter."""

    NOTHING = "the meter sent nothing ciphered"
    BOTH = "both keys fit"
    ENCRYPTION_ONLY = "the encryption key fits, the authentication key does not"
    NEITHER = "the encryption key does not fit"
    UNTOLD = "a key does not fit; messages without encryption do not tell which"
    OTHER_SUITE = "the meter uses another suite"


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """The outcome; ``title`` is the meter's system title that fits, ``named`` the one that it gave for itself."""

    fit: Fit
    title: bytes | None = None
    named: bytes | None = None
    suite: int | None = None


@dataclass(frozen=True, slots=True)
class _Message:
    """One ciphered content, with the system title that its envelope names."""

    content: bytes
    tag: int
    named: bytes | None


def messages_of(received: bytes) -> list[bytes]:
    """The APDUs in what a meter sent, whatever the framing; echoes of our own and damaged ones are not among them."""
    heard = listen_to(received)
    if heard.sound is Sound.HDLC:
        return _from_frames(heard.frames)
    return [pdu.apdu for pdu in heard.pdus]


def check_keys(apdus: Iterable[bytes], security: SecurityContext, titles: Iterable[bytes]) -> KeyCheck:
    """Try the keys on everything ciphered; ``titles`` are system titles that the meter may have besides."""
    others = [title for title in titles if title != security.system_title]
    worst = KeyCheck(Fit.NOTHING)
    for message in _ciphered(apdus)[:_MOST_MESSAGES]:
        found = _check(message, security, others)
        if found.fit in (Fit.BOTH, Fit.ENCRYPTION_ONLY):
            return found
        if worst.fit in (Fit.NOTHING, Fit.UNTOLD):
            worst = found
    return worst


def _check(message: _Message, security: SecurityContext, titles: list[bytes]) -> KeyCheck:
    control, counter = HEADER.unpack_from(message.content)
    if control & SUITE_MASK != security.suite:
        return KeyCheck(Fit.OTHER_SUITE, named=message.named, suite=control & SUITE_MASK)
    candidates = [title for title in dict.fromkeys((message.named, *titles)) if title and len(title) == 8]
    try:
        cipher = security.unicast_cipher()
    except DlmsError:
        return KeyCheck(Fit.NOTHING)
    for title in candidates:
        try:
            cipher.open(control, title, counter, message.content)
        except DlmsError:
            continue
        if control & AUTHENTICATED or _is_apdu(message, cipher.open(control, title, counter, message.content)):
            return KeyCheck(Fit.BOTH, title, message.named)
    if not control & ENCRYPTED:
        return KeyCheck(Fit.UNTOLD, named=message.named)
    if control & AUTHENTICATED:
        for title in candidates:
            unverified = cipher.open(control & ~AUTHENTICATED, title, counter, message.content[:-TAG_LENGTH])
            if _is_apdu(message, unverified):
                return KeyCheck(Fit.ENCRYPTION_ONLY, title, message.named)
    return KeyCheck(Fit.NEITHER if candidates else Fit.NOTHING, named=message.named)


def _is_apdu(message: _Message, plain: bytes) -> bool:
    """Whether these octets are the APDU that the envelope announces, to their very end."""
    expected = PLAIN_TAG.get(message.tag)
    if not plain or (expected is not None and plain[0] not in (expected, ApduTag.CONFIRMED_SERVICE_ERROR)):
        return False
    try:
        decode_apdu(plain, tolerances=ALL)
    except DlmsError:
        return False
    return True


def _ciphered(apdus: Iterable[bytes]) -> list[_Message]:
    found: list[_Message] = []
    aare_title: bytes | None = None
    for apdu in apdus:
        inner = apdu
        if apdu[:1] == bytes((ApduTag.AARE,)):
            try:
                aare = decode_apdu(apdu, tolerances=ALL)
            except DlmsError:
                continue
            assert isinstance(aare, AssociationResponse)
            aare_title = aare.responding_ap_title or aare_title
            inner = aare.user_information or b""
        if not inner or (inner[0] not in PLAIN_TAG and inner[0] not in _GENERAL):
            continue
        try:
            tag, title, content = unwrap_ciphered(inner)
        except DlmsError:
            continue
        is_dedicated = 0xD0 <= tag <= 0xD7 or 0x40 <= tag <= 0x5F or tag == ApduTag.GENERAL_DED_CIPHERING
        if is_dedicated or len(content) < HEADER_LENGTH + 1 or content[0] & (BROADCAST | COMPRESSED):
            continue
        if content[0] & AUTHENTICATED and len(content) < HEADER_LENGTH + TAG_LENGTH:
            continue
        if content[0] & (AUTHENTICATED | ENCRYPTED):
            found.append(_Message(content, tag, title or aare_title))
    return found


def _from_frames(frames: Iterable[HdlcFrame]) -> list[bytes]:
    """The APDUs in I and UI frames; a frame that came twice is taken once."""
    apdus: list[bytes] = []
    parts = b""
    last: HdlcFrame | None = None
    for frame in frames:
        if frame.kind not in (FrameKind.INFORMATION, FrameKind.UNNUMBERED_INFORMATION):
            continue
        if frame == last and frame.kind is FrameKind.INFORMATION:
            continue
        last = frame
        parts += frame.information
        if not frame.segmented:
            apdus += [apdu for apdu in llc.split(parts)[0] if apdu]
            parts = b""
    return apdus
