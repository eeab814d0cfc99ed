"""Takes protected APDUs apart, and tells one that is cut short from one that is none (IEC 62056-5-3, clause 8).

The codecs of ``apdu`` raise DecodeError for either. Here the difference is what a user has to know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from cosemic.apdu.protected import DED_TAG, GENERAL_DED_CIPHERING, GENERAL_GLO_CIPHERING, PLAIN_TAG
from cosemic.enums import ApduTag
from cosemic.push.messages import Diagnosis
from cosemic.push.protection.refusals import PushRefused, title_text
from cosemic.security.general import GeneralHeader
from cosemic.security.suites import HEADER_LENGTH, SYSTEM_TITLE_LENGTH

GENERAL_CIPHERING: Final = int(ApduTag.GENERAL_CIPHERING)
GENERAL_SIGNING: Final = int(ApduTag.GENERAL_SIGNING)
IS_PROTECTED: Final = tuple(
    tag in PLAIN_TAG or tag in (GENERAL_GLO_CIPHERING, GENERAL_DED_CIPHERING, GENERAL_CIPHERING, GENERAL_SIGNING)
    for tag in range(256)
)
"""By first octet: whether an APDU is an envelope."""

IS_DEDICATED: Final = tuple(tag in DED_TAG.values() or tag == GENERAL_DED_CIPHERING for tag in range(256))
"""By first octet: whether what is inside is under a dedicated key."""


@dataclass(frozen=True, slots=True)
class Identified:
    """Key info: the global unicast (0) or broadcast (1) key."""

    number: int


@dataclass(frozen=True, slots=True)
class Wrapped:
    """Key info: a key under a master key (0)."""

    kek_id: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Agreed:
    """Key info: scheme (01 one-pass, 02 static unified) and data of a key agreement."""

    scheme: bytes
    data: bytes


KeyInfo: TypeAlias = Identified | Wrapped | Agreed


@dataclass(frozen=True, slots=True)
class Envelope:
    """A ciphered APDU: ``title`` is empty where it names none, ``content`` is ``SC || IC || payload``."""

    tag: int
    title: bytes
    content: bytes
    header: GeneralHeader | None = None
    key_info: KeyInfo | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """General-signing."""

    header: GeneralHeader
    content: bytes
    content_with_length: bytes
    signature: bytes


def unwrap(apdu: bytes, *, may_have_more: bool = False) -> Envelope:
    """The parts of a ciphered APDU. PushRefused: TRUNCATED, or NOT_UNDERSTOOD.

    ``may_have_more`` takes octets behind the envelope, which belong to nothing.
    """
    tag = apdu[0]
    if tag in PLAIN_TAG:
        title, offset = b"", 1
    elif tag == GENERAL_CIPHERING:
        return _general(apdu, may_have_more)
    else:
        title, offset = _title(apdu, 1)
    content, end = _string(apdu, offset, "ciphered content", title)
    _check_end(apdu, end, title, may_have_more)
    return Envelope(tag, title, _checked(content, title))


def unwrap_signed(apdu: bytes, *, may_have_more: bool = False) -> Signed:
    """The parts of general-signing; PushRefused as from ``unwrap``."""
    header, start = _header(apdu)
    title = header.originator
    content, end = _string(apdu, start, "signed content", title)
    with_length = apdu[start:end]
    signature, end = _string(apdu, end, "signature", title)
    _check_end(apdu, end, title, may_have_more)
    if not content:
        raise _not_understood("general-signing with nothing signed in it", title)
    return Signed(header, content, with_length, signature)


def _general(apdu: bytes, may_have_more: bool) -> Envelope:
    header, offset = _header(apdu)
    title = header.originator
    has_info, offset = _octet(apdu, offset, "key info", title)
    if has_info > 1:  # no tag covers this octet, so it has one form only
        raise _not_understood(f"the key info begins with {has_info:02X}, not 00 or 01", title)
    info: KeyInfo | None = None
    if has_info:
        info, offset = _key_info(apdu, offset, title)
    content, end = _string(apdu, offset, "ciphered content", title)
    _check_end(apdu, end, title, may_have_more)
    return Envelope(GENERAL_CIPHERING, title, _checked(content, title), header, info)


def _header(apdu: bytes) -> tuple[GeneralHeader, int]:
    transaction, offset = _string(apdu, 1, "transaction id", b"")
    originator, offset = _title(apdu, offset)
    recipient, offset = _string(apdu, offset, "title of the recipient", originator)
    stamp, offset = _string(apdu, offset, "date-time", originator)
    other, offset = _string(apdu, offset, "other information", originator)
    return GeneralHeader(transaction, originator, recipient, stamp, other, apdu[1:offset]), offset


def _key_info(apdu: bytes, offset: int, title: bytes) -> tuple[KeyInfo, int]:
    choice, offset = _octet(apdu, offset, "key info", title)
    if choice == 2:
        scheme, offset = _string(apdu, offset, "key parameters", title)
        data, offset = _string(apdu, offset, "key data", title)
        return Agreed(scheme, data), offset
    if choice > 2:
        raise _not_understood(f"a key info of choice {choice}; 0 to 2 exist", title)
    number, offset = _octet(apdu, offset, "number of the key", title)
    if not choice:
        return Identified(number), offset
    data, offset = _string(apdu, offset, "wrapped key", title)
    return Wrapped(number, data), offset


def _title(apdu: bytes, offset: int) -> tuple[bytes, int]:
    title, end = _string(apdu, offset, "system title", b"")
    if len(title) not in (0, SYSTEM_TITLE_LENGTH):
        raise _not_understood(
            f"a system title of {len(title)} octets; it has 8, so these octets are no protected message, or damaged",
            b"",
        )
    return title, end


def _string(apdu: bytes, offset: int, what: str, title: bytes) -> tuple[bytes, int]:
    """An octet string and the offset behind it."""
    length, start = _octet(apdu, offset, f"length of the {what}", title)
    if length >= 0x80:
        size = length & 0x7F
        if not 1 <= size <= 4:
            raise _not_understood(f"the {what} has a length of {size} octets", title)
        if start + size > len(apdu):
            raise truncated(f"the message ends inside the length of its {what}", title)
        length = int.from_bytes(apdu[start : start + size])
        start += size
    end = start + length
    if end > len(apdu):
        raise truncated(f"the {what} announces {length} octets, and {len(apdu) - start} are there", title)
    return apdu[start:end], end


def _octet(apdu: bytes, offset: int, what: str, title: bytes) -> tuple[int, int]:
    if offset >= len(apdu):
        raise truncated(f"the message ends after {len(apdu)} octets, before the {what}", title)
    return apdu[offset], offset + 1


def _check_end(apdu: bytes, end: int, title: bytes, may_have_more: bool) -> None:
    if end != len(apdu) and not may_have_more:
        raise _not_understood(
            f"{len(apdu) - end} octets left over behind a complete protected message of {end} octets", title
        )


def _checked(content: bytes, title: bytes) -> bytes:
    if len(content) < HEADER_LENGTH:
        raise _not_understood(
            f"{len(content)} octets of ciphered content are too few for a security control and a counter", title
        )
    return content


def truncated(text: str, title: bytes, counter: int | None = None) -> PushRefused:
    """The error for a message of which something is missing."""
    of = f" (system title {title_text(title)})" if title else ""
    return PushRefused(
        Diagnosis.TRUNCATED,
        f"{text}: the telegram is cut short, so look at the line, the size of the receive buffer and lost segments{of}",
        system_title=title or None,
        invocation_counter=counter,
    )


def _not_understood(text: str, title: bytes) -> PushRefused:
    of = f" (system title {title_text(title)})" if title else ""
    return PushRefused(Diagnosis.NOT_UNDERSTOOD, f"{text}{of}", system_title=title or None)
