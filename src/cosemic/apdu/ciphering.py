"""The ciphering envelopes, without any cryptography (IEC 62056-5-3, clauses 5 and 8).

"Ciphered content" is what ``security`` makes and opens: security control (1 octet), invocation counter (4), payload,
which is the ciphertext or plaintext and, where authenticated, a tag of 12 octets.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from cosemic.apdu.fields import Apdu, Reader, encode_octet_string
from cosemic.codec import axdr
from cosemic.enums import ApduTag
from cosemic.errors import DecodeError

GLO_TAG: dict[int, int] = {
    **{tag: tag + 0x20 for tag in (0x01, 0x05, 0x06, 0x08, 0x0C, 0x0D, 0x0E, 0x16, 0x18)},
    **{tag: tag + 0x08 for tag in (0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC7)},
}
"""Tag of a plain APDU to the tag of its form under a global key."""

DED_TAG: dict[int, int] = {
    **{tag: tag + 0x40 for tag in (0x01, 0x05, 0x06, 0x08, 0x0C, 0x0D, 0x0E, 0x16, 0x18)},
    **{tag: tag + 0x10 for tag in (0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC7)},
}
"""Tag of a plain APDU to the tag of its form under the dedicated key."""

PLAIN_TAG: dict[int, int] = {
    **{ciphered: plain for plain, ciphered in GLO_TAG.items()},
    **{ciphered: plain for plain, ciphered in DED_TAG.items()},
}
"""Tag of a glo- or ded- APDU to that of the plain one inside."""

GENERAL_GLO_CIPHERING = 0xDB
GENERAL_DED_CIPHERING = 0xDC
TAG_LENGTH = 12


class SecurityHeader:
    """Reads the security control octet and splits the payload."""

    __slots__ = ()
    security_control: int
    invocation_counter: int
    payload: bytes

    @property
    def suite(self) -> int:
        """Security suite, bits 0 to 3."""
        return self.security_control & 0x0F

    @property
    def authenticated(self) -> bool:
        """Bit 4."""
        return bool(self.security_control & 0x10)

    @property
    def encrypted(self) -> bool:
        """Bit 5."""
        return bool(self.security_control & 0x20)

    @property
    def broadcast(self) -> bool:
        """Bit 6, the key set: the broadcast key instead of the unicast key."""
        return bool(self.security_control & 0x40)

    @property
    def compressed(self) -> bool:
        """Bit 7."""
        return bool(self.security_control & 0x80)

    @property
    def ciphertext(self) -> bytes:
        """The payload without the tag."""
        return self.payload[:-TAG_LENGTH] if self.authenticated else self.payload

    @property
    def authentication_tag(self) -> bytes | None:
        """The tag, where there is one."""
        return self.payload[-TAG_LENGTH:] if self.authenticated else None

    @property
    def content(self) -> bytes:
        """The ciphered content: security control, invocation counter, payload."""
        return _HEADER.pack(self.security_control, self.invocation_counter) + self.payload


@dataclass(frozen=True, slots=True)
class CipheredApdu(Apdu, SecurityHeader):
    """A glo- or ded- APDU: its tag says which service is inside."""

    tag: ApduTag
    security_control: int
    invocation_counter: int
    payload: bytes

    def _encode(self) -> bytes:
        return wrap_ciphered(self.tag, self.content)


@dataclass(frozen=True, slots=True)
class GeneralGloCiphering(Apdu, SecurityHeader):
    """General-Glo-Ciphering; an empty system title is allowed where the peer knows it."""

    TAG: ClassVar[int] = GENERAL_GLO_CIPHERING
    system_title: bytes
    security_control: int
    invocation_counter: int
    payload: bytes

    def _encode(self) -> bytes:
        return wrap_general(self.TAG, self.system_title, self.content)


@dataclass(frozen=True, slots=True)
class GeneralDedCiphering(Apdu, SecurityHeader):
    """General-Ded-Ciphering."""

    TAG: ClassVar[int] = GENERAL_DED_CIPHERING
    system_title: bytes
    security_control: int
    invocation_counter: int
    payload: bytes

    def _encode(self) -> bytes:
        return wrap_general(self.TAG, self.system_title, self.content)


_HEADER = struct.Struct(">BI")
_CIPHERED_TAGS = {tag: ApduTag(tag) for tag in PLAIN_TAG}
_IS_SERVICE = frozenset(PLAIN_TAG)


def wrap_ciphered(tag: int, content: bytes) -> bytes:
    """A glo- or ded- APDU around ciphered content."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    if length < 0x100:
        return bytes((tag, 0x81, length)) + content
    return bytes((tag,)) + axdr.encode_length(length) + content


def wrap_general(tag: int, system_title: bytes, content: bytes) -> bytes:
    """A general-glo- or general-ded-ciphering APDU around ciphered content."""
    length = len(content)
    size = len(system_title)
    head = bytes((tag, size)) if size < 0x80 else bytes((tag,)) + axdr.encode_length(size)
    if length < 0x80:
        return head + system_title + bytes((length,)) + content
    if length < 0x100:
        return head + system_title + bytes((0x81, length)) + content
    return head + system_title + axdr.encode_length(length) + content


def unwrap_ciphered(apdu: bytes) -> tuple[int, bytes | None, bytes]:
    """Tag, system title (None in glo- and ded- APDUs) and ciphered content of an enveloped APDU.

    Takes glo-, ded-, general-glo- and general-ded-ciphering; DecodeError for anything else, and for octets left over.
    """
    length = len(apdu) - 2
    if 5 <= length < 0x80 and apdu[1] == length and apdu[0] in _IS_SERVICE:
        return apdu[0], None, apdu[2:]  # nearly all of them
    if length < 0:
        raise DecodeError("a ciphered APDU ends before its length", octets=apdu, offset=len(apdu))
    tag = apdu[0]
    if tag in _IS_SERVICE:
        system_title = None
        offset = 1
    elif tag in (GENERAL_GLO_CIPHERING, GENERAL_DED_CIPHERING):
        offset = 2 + apdu[1]
        if apdu[1] > 0x7F or offset >= len(apdu):
            raise DecodeError("system title cut short", octets=apdu, offset=1)
        system_title = apdu[2:offset]
    else:
        raise DecodeError(f"tag {tag:02X} is no ciphering envelope", octets=apdu, offset=0)
    length = apdu[offset]
    offset += 1
    if length == 0x81 and offset < len(apdu):
        length = apdu[offset]
        offset += 1
    elif length >= 0x80:
        length, offset = axdr.decode_length(apdu, offset - 1)
    if length != len(apdu) - offset:
        raise DecodeError(
            f"ciphered content of {length} octets announced, {len(apdu) - offset} follow", octets=apdu, offset=offset
        )
    if length < _HEADER.size:
        raise DecodeError(f"ciphered content of {length} octets has no security header", octets=apdu, offset=offset)
    return tag, system_title, apdu[offset:]


def split_content(reader: Reader, content: bytes) -> tuple[int, int, bytes]:
    """Security control, invocation counter and payload of ciphered content."""
    if len(content) < _HEADER.size:
        raise reader.error(f"ciphered content of {len(content)} octets has no security header")
    security_control, invocation_counter = _HEADER.unpack_from(content)
    payload = content[_HEADER.size :]
    if security_control & 0x10 and len(payload) < TAG_LENGTH:
        raise reader.error(f"ciphered content is too short for its tag of {TAG_LENGTH} octets: {len(payload)} follow")
    return security_control, invocation_counter, payload


def join_content(security_control: int, invocation_counter: int, payload: bytes) -> bytes:
    """The octet string of ciphered content."""
    return encode_octet_string(_HEADER.pack(security_control, invocation_counter) + payload)


def decode_ciphered(reader: Reader) -> CipheredApdu:
    """A glo- or ded- APDU; the reader stands after the tag."""
    tag = _CIPHERED_TAGS[reader.octets[0]]
    return CipheredApdu(tag, *split_content(reader, reader.octet_string("ciphered content")))


def decode_general_glo(reader: Reader) -> GeneralGloCiphering:
    """General-Glo-Ciphering; the reader stands after the tag."""
    system_title = reader.octet_string("system title")
    return GeneralGloCiphering(system_title, *split_content(reader, reader.octet_string("ciphered content")))


def decode_general_ded(reader: Reader) -> GeneralDedCiphering:
    """General-Ded-Ciphering; the reader stands after the tag."""
    system_title = reader.octet_string("system title")
    return GeneralDedCiphering(system_title, *split_content(reader, reader.octet_string("ciphered content")))
