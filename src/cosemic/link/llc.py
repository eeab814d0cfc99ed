"""The LLC header before each APDU in HDLC, and several APDUs in one information field (IEC 62056-46, 5.3)."""

from __future__ import annotations

from cosemic.errors import DecodeError

COMMAND = b"\xe6\xe6\x00"
RESPONSE = b"\xe6\xe7\x00"
HEADERS = (COMMAND, RESPONSE)

_GENERAL = (0xDB, 0xDC)  # general-glo-ciphering, general-ded-ciphering
_CIPHERED = (0x38, 0x58, 0xCA, 0xD2)  # glo- and ded- information-report and event-notification
_GENERAL_BLOCK = 0xE0
_DATA_NOTIFICATION = 0x0F
_EVENT_NOTIFICATION = 0xC2
PUSH_TAGS = frozenset((*_GENERAL, *_CIPHERED, _GENERAL_BLOCK, _DATA_NOTIFICATION, _EVENT_NOTIFICATION))
"""First octets of the APDUs that a meter sends by itself and whose end can be computed."""


def split(information: bytes) -> tuple[list[bytes], bool]:
    """The APDUs of one whole information field, and whether an LLC header stood before the first.

    Meters put several pushes into one frame, each with its own LLC header. The octets of a header may as well be data,
    so the field is cut only where the first APDU is a push whose own length ends exactly where a header follows.
    """
    has_header = information[:3] in HEADERS
    apdus: list[bytes] = []
    start = 3 if has_header else 0
    while (
        len(information) > start
        and information[start] in PUSH_TAGS
        and (information.find(RESPONSE, start) >= 0 or information.find(COMMAND, start) >= 0)
    ):
        end = _end_of_push(information, start)
        if end is None or information[end : end + 3] not in HEADERS:
            break
        apdus.append(information[start:end])
        start = end + 3
    apdus.append(information[start:])
    return apdus, has_header


def _end_of_push(octets: bytes, start: int) -> int | None:
    """Where the push APDU at ``start`` ends; None when that cannot be told."""
    tag = octets[start]
    offset: int | None = start + 1
    if tag in _GENERAL:
        offset = _skip_string(_skip_string(offset, octets), octets)
    elif tag in _CIPHERED:
        offset = _skip_string(offset, octets)
    elif tag == _GENERAL_BLOCK:
        offset = _skip_string(start + 6, octets)
    elif tag == _DATA_NOTIFICATION:
        offset = start + 5
        # some meters code the date-time with its type tag before the length
        offset += 1 if octets[offset : offset + 2] == b"\x09\x0c" else 0
        offset = _skip_data(_skip_string(offset, octets), octets)
    else:
        offset = _skip_string(offset, octets) if octets[start + 1 : start + 2] != b"\x00" else start + 2
        offset = _skip_data(None if offset is None else offset + 9, octets)
    return offset if offset is not None and offset <= len(octets) else None


def _skip_string(offset: int | None, octets: bytes) -> int | None:
    if offset is None or offset >= len(octets):
        return None
    length = octets[offset]
    offset += 1
    if length & 0x80:
        size = length & 0x7F
        if not 0 < size <= 4 or offset + size > len(octets):
            return None
        length = int.from_bytes(octets[offset : offset + size], "big")
        offset += size
    return offset + length


def _skip_data(offset: int | None, octets: bytes) -> int | None:
    if offset is None or offset >= len(octets):
        return None
    from cosemic.codec import axdr  # only the rare frame with several APDUs pays for it

    try:
        return axdr.decode_prefix(octets, offset)[1]
    except DecodeError:
        return None
