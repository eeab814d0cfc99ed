"""The other general APDUs: ciphering with transaction and key information, signing, block transfer.

The syntax is in IEC 62056-5-3, clause 8.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from cosemic.apdu.ciphering import SecurityHeader, join_content, split_content
from cosemic.apdu.fields import Apdu, Reader, encode_octet_string
from cosemic.codec.axdr import DEFAULT_LIMITS
from cosemic.tolerances import STRICT


@dataclass(frozen=True, slots=True)
class IdentifiedKey:
    """identified-key: 0 global unicast encryption key, 1 global broadcast encryption key."""

    key_id: int

    def encode(self) -> bytes:
        """Choice 0."""
        return bytes((0, self.key_id))


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """wrapped-key: 0 master key, and the key wrapped by it."""

    kek_id: int
    key_ciphered_data: bytes

    def encode(self) -> bytes:
        """Choice 1."""
        return bytes((1, self.kek_id)) + encode_octet_string(self.key_ciphered_data)


@dataclass(frozen=True, slots=True)
class AgreedKey:
    """agreed-key: the key agreement scheme (01 one-pass, 02 static unified) and its data."""

    key_parameters: bytes
    key_ciphered_data: bytes

    def encode(self) -> bytes:
        """Choice 2."""
        return b"\x02" + encode_octet_string(self.key_parameters) + encode_octet_string(self.key_ciphered_data)


KeyInfo = IdentifiedKey | WrappedKey | AgreedKey


@dataclass(frozen=True, slots=True)
class GeneralCiphering(Apdu, SecurityHeader):
    """General-Ciphering."""

    TAG: ClassVar[int] = 0xDD
    transaction_id: bytes
    originator_system_title: bytes
    recipient_system_title: bytes
    date_time: bytes
    other_information: bytes
    key_info: KeyInfo | None
    security_control: int
    invocation_counter: int
    payload: bytes

    def _encode(self) -> bytes:
        return b"".join(
            (
                b"\xdd",
                encode_octet_string(self.transaction_id),
                encode_octet_string(self.originator_system_title),
                encode_octet_string(self.recipient_system_title),
                encode_octet_string(self.date_time),
                encode_octet_string(self.other_information),
                b"\x00" if self.key_info is None else b"\x01" + self.key_info.encode(),
                join_content(self.security_control, self.invocation_counter, self.payload),
            )
        )


@dataclass(frozen=True, slots=True)
class GeneralSigning(Apdu):
    """General-Signing: an APDU and a signature over it and the fields before it."""

    TAG: ClassVar[int] = 0xDF
    transaction_id: bytes
    originator_system_title: bytes
    recipient_system_title: bytes
    date_time: bytes
    other_information: bytes
    content: bytes
    signature: bytes

    def _encode(self) -> bytes:
        return b"".join(
            (
                b"\xdf",
                encode_octet_string(self.transaction_id),
                encode_octet_string(self.originator_system_title),
                encode_octet_string(self.recipient_system_title),
                encode_octet_string(self.date_time),
                encode_octet_string(self.other_information),
                encode_octet_string(self.content),
                encode_octet_string(self.signature),
            )
        )


@dataclass(frozen=True, slots=True)
class GeneralBlockTransfer(Apdu):
    """General-Block-Transfer: one block of any APDU; ``window`` is 0 to 63."""

    TAG: ClassVar[int] = 0xE0
    last_block: bool
    streaming: bool
    window: int
    block_number: int
    block_number_ack: int
    block_data: bytes

    def _encode(self) -> bytes:
        if not 0 <= self.window < 64:
            raise ValueError(f"window {self.window} is not between 0 and 63")
        control = self.window | (0x40 if self.streaming else 0) | (0x80 if self.last_block else 0)
        return _BLOCK.pack(0xE0, control, self.block_number, self.block_number_ack) + encode_octet_string(
            self.block_data
        )


_BLOCK = struct.Struct(">BBHH")


def decode_general_ciphering(reader: Reader) -> GeneralCiphering:
    """General-Ciphering; the reader stands after the tag."""
    header = _decode_header(reader)
    key_info = _decode_key_info(reader) if reader.boolean("key-info flag") else None
    content = split_content(reader, reader.octet_string("ciphered content"))
    return GeneralCiphering(*header, key_info, *content)


def decode_general_signing(reader: Reader) -> GeneralSigning:
    """General-Signing; the reader stands after the tag."""
    header = _decode_header(reader)
    content = reader.octet_string("content")
    return GeneralSigning(*header, content, reader.octet_string("signature"))


def decode_general_block_transfer(reader: Reader) -> GeneralBlockTransfer:
    """General-Block-Transfer; the reader stands after the tag."""
    control = reader.octet("block control")
    number = reader.unsigned16("block number")
    acknowledged = reader.unsigned16("block number acknowledged")
    data = reader.octet_string("block data")
    return GeneralBlockTransfer(bool(control & 0x80), bool(control & 0x40), control & 0x3F, number, acknowledged, data)


def raw_header(apdu: bytes) -> tuple[bytes, bytes]:
    """The five header fields of a general-ciphering or -signing APDU as on the wire, and the octets after them.

    Tags and signatures are computed over what was sent, also where a length is written longer than need be. DecodeError
    when the header is cut short.
    """
    reader = Reader(apdu, 1, DEFAULT_LIMITS, STRICT)
    _decode_header(reader)
    return apdu[1 : reader.offset], apdu[reader.offset :]


def first_octet_string(octets: bytes) -> bytes:
    """The octet string that octets begin with, its length included; DecodeError when it is cut short."""
    reader = Reader(octets, 0, DEFAULT_LIMITS, STRICT)
    reader.octet_string("content")
    return octets[: reader.offset]


def _decode_header(reader: Reader) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    return (
        reader.octet_string("transaction id"),
        reader.octet_string("originator system title"),
        reader.octet_string("recipient system title"),
        reader.octet_string("date-time"),
        reader.octet_string("other information"),
    )


def _decode_key_info(reader: Reader) -> KeyInfo:
    choice = reader.octet("choice of the key-info")
    if choice == 0:
        return IdentifiedKey(reader.octet("key id"))
    if choice == 1:
        kek_id = reader.octet("key encrypting key id")
        return WrappedKey(kek_id, reader.octet_string("wrapped key"))
    if choice == 2:
        parameters = reader.octet_string("key parameters")
        return AgreedKey(parameters, reader.octet_string("key data"))
    raise reader.error(f"key-info has choice {choice}; 0 to 2 exist", reader.offset - 1)
