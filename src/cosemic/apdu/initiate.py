"""The xDLMS initiate request and response, the user-information of AARQ and AARE (IEC 62056-5-3, clause 8)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from cosemic.apdu.fields import Apdu, Reader, encode_octet_string, shown
from cosemic.enums import Conformance
from cosemic.tolerances import Tolerance, note

DLMS_VERSION = 6
VAA_NAME_LOGICAL = 0x0007
VAA_NAME_SHORT = 0xFA00


@dataclass(frozen=True, slots=True, repr=False)
class InitiateRequest(Apdu):
    """InitiateRequest. The dedicated key is a secret and never shows in a repr."""

    TAG: ClassVar[int] = 0x01
    dedicated_key: bytes | None = None
    response_allowed: bool = True
    proposed_quality_of_service: int | None = None
    proposed_dlms_version: int = DLMS_VERSION
    proposed_conformance: Conformance = Conformance.NONE
    client_max_receive_pdu_size: int = 0xFFFF

    def _encode(self) -> bytes:
        return b"".join(
            (
                b"\x01",
                b"\x00" if self.dedicated_key is None else b"\x01" + encode_octet_string(self.dedicated_key),
                b"\x00" if self.response_allowed else b"\x01\x00",
                _encode_quality(self.proposed_quality_of_service),
                bytes((self.proposed_dlms_version,)),
                _encode_conformance(self.proposed_conformance),
                _U16.pack(self.client_max_receive_pdu_size),
            )
        )

    def __repr__(self) -> str:
        return shown(self, hidden=("dedicated_key",))


@dataclass(frozen=True, slots=True)
class InitiateResponse(Apdu):
    """InitiateResponse. ``vaa_name`` is 0x0007 with logical names, 0xFA00 with short names; others are kept."""

    TAG: ClassVar[int] = 0x08
    negotiated_quality_of_service: int | None = None
    negotiated_dlms_version: int = DLMS_VERSION
    negotiated_conformance: Conformance = Conformance.NONE
    server_max_receive_pdu_size: int = 0xFFFF
    vaa_name: int = VAA_NAME_LOGICAL

    def _encode(self) -> bytes:
        return b"".join(
            (
                b"\x08",
                _encode_quality(self.negotiated_quality_of_service),
                bytes((self.negotiated_dlms_version,)),
                _encode_conformance(self.negotiated_conformance),
                _U16.pack(self.server_max_receive_pdu_size),
                _U16.pack(self.vaa_name),
            )
        )


_U16 = struct.Struct(">H")


def decode_initiate_request(reader: Reader) -> InitiateRequest:
    """InitiateRequest; the reader stands after the tag."""
    dedicated_key = reader.octet_string("dedicated key") if reader.boolean("dedicated key flag") else None
    response_allowed = reader.boolean("response-allowed") if reader.boolean("response-allowed flag") else True
    quality = _decode_quality(reader)
    version = reader.octet("proposed DLMS version")
    conformance = _decode_conformance(reader)
    size = reader.unsigned16("client-max-receive-pdu-size")
    return InitiateRequest(dedicated_key, response_allowed, quality, version, conformance, size)


def decode_initiate_response(reader: Reader) -> InitiateResponse:
    """InitiateResponse; the reader stands after the tag."""
    quality = _decode_quality(reader)
    version = reader.octet("negotiated DLMS version")
    conformance = _decode_conformance(reader)
    size = reader.unsigned16("server-max-receive-pdu-size")
    return InitiateResponse(quality, version, conformance, size, reader.unsigned16("VAA name"))


def _encode_quality(quality: int | None) -> bytes:
    return b"\x00" if quality is None else b"\x01" + quality.to_bytes(1, "big", signed=True)


def _decode_quality(reader: Reader) -> int | None:
    if not reader.boolean("quality-of-service flag"):
        return None
    quality = int.from_bytes(reader.take(1, "quality of service"), "big", signed=True)
    if quality:
        if Tolerance.QUALITY_OF_SERVICE not in reader.tolerances:
            raise reader.error(f"quality of service {quality} where DLMS/COSEM uses none", reader.offset - 1)
        note(Tolerance.QUALITY_OF_SERVICE, f"quality of service {quality}")
    return quality


def _encode_conformance(conformance: Conformance) -> bytes:
    # [APPLICATION 31] is BER in the middle of A-XDR: a tag of two octets, a length, the number of unused bits.
    return b"\x5f\x1f\x04\x00" + int(conformance).to_bytes(3, "big")


def _decode_conformance(reader: Reader) -> Conformance:
    start = reader.offset
    tag = reader.octet("conformance")
    if tag == 0x5E:
        raise reader.error("legacy conformance block of 16 bits (tag 5E, DLMS version below 6): not supported", start)
    if tag != 0x5F:
        raise reader.error(f"conformance begins with {tag:02X} where 5F 1F is due", start)
    second = reader.octet("conformance")
    length = reader.octet("length of the conformance") if second == 0x1F else second
    unused = reader.octet("unused bits of the conformance") if length == 4 else 0
    if length not in (3, 4) or unused:
        raise reader.error(f"conformance of {length} octets with {unused} unused bits; 24 bits are due", start)
    if second != 0x1F or length == 3:
        form = reader.octets[start : reader.offset].hex(" ").upper()
        if Tolerance.CONFORMANCE_LENGTH not in reader.tolerances:
            raise reader.error(f"conformance begins with {form} where 5F 1F 04 00 is due", start)
        note(Tolerance.CONFORMANCE_LENGTH, f"conformance begins with {form}")
    return Conformance(int.from_bytes(reader.take(3, "conformance"), "big"))
