"""Any APDU from its octets, and back (IEC 62056-5-3, COSEMpdu)."""

from __future__ import annotations

from collections.abc import Callable

from cosemic.apdu import access, acse, action, ciphering, errors, general, get, initiate, notify, short_name
from cosemic.apdu import set as set_
from cosemic.apdu.fields import Apdu, InvokeId, LongInvokeId, Reader, invoke_octet, long_invoke_number
from cosemic.codec.axdr import DEFAULT_LIMITS, Limits
from cosemic.errors import DecodeError
from cosemic.tolerances import DEFAULT, Tolerance, note

Decoder = Callable[[Reader], Apdu]


def decode_apdu(data: bytes, *, tolerances: frozenset[Tolerance] = DEFAULT, limits: Limits = DEFAULT_LIMITS) -> Apdu:
    """The APDU that these octets are, as a frozen dataclass; DecodeError, with the octets, for anything else.

    Octets after a complete APDU are an error unless ``Tolerance.TRAILING_OCTETS`` is given.
    """
    if type(data) is not bytes:
        data = bytes(data)
    if not data:
        raise DecodeError("an APDU of no octets", octets=data, offset=0)
    tag = data[0]
    if tag == 0xC4:
        response = get.decode_single_number(data)
        if response is not None:
            return response
    decoder = DECODERS[tag]
    if decoder is None:
        raise DecodeError(f"no APDU has the tag {tag:02X}", octets=data, offset=0)
    reader = Reader(data, 1, limits, tolerances)
    try:
        apdu = decoder(reader)
    except DecodeError as error:
        if error.octets is None or error.octets is not data:
            error.octets, error.offset = data, error.offset if error.octets is None else None
        raise
    left = len(data) - reader.offset
    if left:
        detail = f"{left} octets left over after a complete {type(apdu).__name__}"
        if Tolerance.TRAILING_OCTETS not in tolerances:
            raise DecodeError(detail, octets=data, offset=reader.offset)
        note(Tolerance.TRAILING_OCTETS, detail)
    return apdu


def encode_apdu(apdu: Apdu) -> bytes:
    """The canonical octets; LocalProtocolError where a field has a value that cannot be put on the wire."""
    return apdu.encode()


def _table() -> list[Decoder | None]:
    table: list[Decoder | None] = [None] * 256
    by_tag: dict[int, Decoder] = {
        0x01: initiate.decode_initiate_request,
        0x05: short_name.decode_read_request,
        0x06: short_name.decode_write_request,
        0x08: initiate.decode_initiate_response,
        0x0C: short_name.decode_read_response,
        0x0D: short_name.decode_write_response,
        0x0E: errors.decode_confirmed_service_error,
        0x0F: notify.decode_data_notification,
        0x10: notify.decode_data_notification_confirm,
        0x16: short_name.decode_unconfirmed_write_request,
        0x18: notify.decode_information_report_request,
        0x60: acse.decode_association_request,
        0x61: acse.decode_association_response,
        0x62: acse.decode_release_request,
        0x63: acse.decode_release_response,
        0xC0: get.decode_get_request,
        0xC1: set_.decode_set_request,
        0xC2: notify.decode_event_notification_request,
        0xC3: action.decode_action_request,
        0xC4: get.decode_get_response,
        0xC5: set_.decode_set_response,
        0xC7: action.decode_action_response,
        0xD8: errors.decode_exception_response,
        0xD9: access.decode_access_request,
        0xDA: access.decode_access_response,
        0xDB: ciphering.decode_general_glo,
        0xDC: ciphering.decode_general_ded,
        0xDD: general.decode_general_ciphering,
        0xDF: general.decode_general_signing,
        0xE0: general.decode_general_block_transfer,
        **dict.fromkeys(ciphering.PLAIN_TAG, ciphering.decode_ciphered),
    }
    for tag, decoder in by_tag.items():
        table[tag] = decoder
    return table


DECODERS: list[Decoder | None] = _table()
"""Decoder by tag; None where the standard has no APDU."""

__all__ = [
    "DECODERS",
    "Apdu",
    "Decoder",
    "InvokeId",
    "LongInvokeId",
    "decode_apdu",
    "encode_apdu",
    "invoke_octet",
    "long_invoke_number",
]
