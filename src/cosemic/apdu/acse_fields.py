"""The fields that the ACSE APDUs are made of: reading them in order, the object identifiers, the odd forms."""

from __future__ import annotations

from cosemic.apdu.fields import Reader
from cosemic.codec import ber
from cosemic.enums import ApplicationContext, AuthenticationMechanism
from cosemic.errors import DecodeError
from cosemic.tolerances import Tolerance, note

# joint-iso-ccitt(2) country(16) country-name(756) identified-organization(5) DLMS-UA(8), then 1 or 2.
_CONTEXT_PREFIX = bytes.fromhex("608574050801")
_MECHANISM_PREFIX = bytes.fromhex("608574050802")
_USER_INFORMATION = 0xBE
_AUTHENTICATION_UNIT = b"\x07\x80"
_CONTEXTS = {int(member): member for member in ApplicationContext}
_MECHANISMS = {int(member): member for member in AuthenticationMechanism}


class Fields:
    """The fields of one ACSE APDU by tag, contents only."""

    __slots__ = ("_contents", "name", "reader")

    def __init__(self, reader: Reader, name: str, contents: dict[int, bytes]) -> None:
        self.reader = reader
        self.name = name
        self._contents = contents

    def get(self, tag: int) -> bytes | None:
        """The content, or None where the field is absent."""
        return self._contents.get(tag)

    def __contains__(self, tag: int) -> bool:
        return tag in self._contents

    def octets(self, tag: int, what: str, ber_tag: int = ber.OCTET_STRING) -> bytes | None:
        """The octets of an explicitly tagged string, or None where the field is absent."""
        content = self._contents.get(tag)
        if content is None:
            return None
        return ber.decode_only(content, 0, len(content), ber_tag, what)

    def number(self, tag: int, what: str) -> int | None:
        """The value of an explicitly tagged INTEGER, or None where the field is absent."""
        content = self.octets(tag, what, ber.INTEGER)
        return None if content is None else ber.decode_integer(content, what)

    def tolerate(self, tolerance: Tolerance, detail: str) -> None:
        """Note a deviation, or refuse it where that tolerance is off."""
        if tolerance not in self.reader.tolerances:
            raise self.reader.error(f"{self.name}: {detail}")
        note(tolerance, f"{self.name}: {detail}")


def read_fields(reader: Reader, name: str, order: tuple[int, ...]) -> Fields:
    """Read the length and the fields; the reader then stands after the APDU."""
    octets = reader.octets
    length, start = ber.decode_length(octets, reader.offset, len(octets))
    end = start + length
    there = len(octets) - start
    if length != there and Tolerance.ACSE_LENGTH in reader.tolerances:
        try:
            fields = _split(reader, name, order, start, len(octets))
        except DecodeError:
            pass  # not a wrong length, then, but octets that are missing or that do not belong here
        else:
            # User-information comes last: with it nothing can be missing, without it the rest may be cut off.
            if length < there or _USER_INFORMATION in fields:
                note(Tolerance.ACSE_LENGTH, f"{name} says {length} octets, {there} follow")
                reader.offset = len(octets)
                return fields
    if length > there:
        repaired = _repair_short_conformance(reader, length - there)
        if repaired is not None:
            note(Tolerance.ACSE_LENGTH, f"{name}: lengths count an octet that the conformance block lacks")
            reader.offset = len(octets)
            return _split(repaired, name, order, repaired.offset, len(repaired.octets))
        raise reader.error(f"{name} of {length} octets is cut short: {there} follow")
    fields = _split(reader, name, order, start, end)
    reader.offset = end
    return fields


def _repair_short_conformance(reader: Reader, excess: int) -> Reader | None:
    """Meters that send a conformance block of three octets count the missing one in all the lengths around it.

    Gives a reader of the APDU with these lengths mended, or None: whatever else is too short has been cut off.
    """
    octets = reader.octets
    place = octets.rfind(b"\xbe")
    if excess != 1 or not {Tolerance.ACSE_LENGTH, Tolerance.CONFORMANCE_LENGTH} <= reader.tolerances:
        return None
    head, information = octets[place : place + 4], octets[place + 4 :]
    if place < 0 or head != bytes((0xBE, len(information) + 3, 0x04, len(information) + 1)) or octets[1] > 0x7F:
        return None
    if information[:1] not in (b"\x01", b"\x08") or b"\x5f\x1f\x03" not in information:
        return None
    mended = bytes((octets[0], octets[1] - 1)) + octets[2:place] + ber.encode(0xBE, ber.encode(0x04, information))
    return Reader(mended, 2, reader.limits, reader.tolerances)


def _split(reader: Reader, name: str, order: tuple[int, ...], start: int, end: int) -> Fields:
    contents: dict[int, bytes] = {}
    fields = Fields(reader, name, contents)
    last = -1
    while start < end:
        tag, inner, after = ber.decode_header(reader.octets, start, end)
        content = reader.octets[inner:after]
        if tag == 0xBD:
            # [29] is IMPLICIT GraphicString, so 9D; some write it constructed, with the string inside.
            fields.tolerate(Tolerance.ACSE_MECHANISM_FORM, "implementation-information under tag BD")
            tag = 0x9D
        if tag not in order:
            raise reader.error(f"{name} has an unknown field with tag {tag:02X}", start)
        if tag in contents:
            raise reader.error(f"{name} has the field {tag:02X} twice", start)
        place = order.index(tag)
        if place < last:
            fields.tolerate(Tolerance.ACSE_ORDER, f"field {tag:02X} out of order")
        last = max(place, last)
        contents[tag] = content
        start = after
    return fields


def decode_context(fields: Fields) -> ApplicationContext | bytes:
    """application-context-name."""
    name = fields.octets(0xA1, "application-context-name", ber.OBJECT_IDENTIFIER)
    if name is None:
        raise fields.reader.error(f"{fields.name} without an application context name")
    if len(name) == 7 and name.startswith(_CONTEXT_PREFIX):
        return _CONTEXTS.get(name[6], name)
    return name


def decode_mechanism(fields: Fields, tag: int) -> AuthenticationMechanism | bytes | None:
    """mechanism-name; the odd forms are an OBJECT IDENTIFIER with its own tag, and a number with bit 7 set."""
    name = fields.get(tag)
    if name is None:
        return None
    if name[:1] == b"\x06":
        fields.tolerate(Tolerance.ACSE_MECHANISM_FORM, "mechanism name with a tag of its own")
        name = ber.decode_only(name, 0, len(name), ber.OBJECT_IDENTIFIER, "mechanism name")
    if len(name) == 7 and name.startswith(_MECHANISM_PREFIX):
        number = name[6]
        if number & 0x80:
            fields.tolerate(Tolerance.ACSE_MECHANISM_FORM, f"mechanism id {number:02X} taken for {number & 0x7F}")
            number &= 0x7F
        return _MECHANISMS.get(number, name)
    return name


def decode_requirements(fields: Fields, tag: int) -> bool:
    """sender- or responder-acse-requirements: whether the authentication functional unit is named."""
    content = fields.get(tag)
    if content is None:
        return False
    if content == _AUTHENTICATION_UNIT:
        return True
    fields.tolerate(Tolerance.ACSE_MECHANISM_FORM, f"ACSE requirements {content[:8].hex()} where 0780 is due")
    return len(content) > 1 and bool(content[1] & 0x80)


def decode_reason(fields: Fields) -> int | None:
    """Reason of a release: one octet; an old Iskra meter puts a whole INTEGER there."""
    content = fields.get(0x80)
    if content is None:
        return None
    if len(content) == 3 and content[:2] == b"\x02\x01":
        fields.tolerate(Tolerance.ACSE_RELEASE_CONTENT, "reason with a tag and a length of its own")
        content = content[2:]
    if len(content) != 1:
        raise fields.reader.error(f"{fields.name}: reason of {len(content)} octets")
    return ber.decode_integer(content, "reason")


def encode_context(context: ApplicationContext | bytes) -> bytes:
    """application-context-name."""
    name = context if isinstance(context, bytes) else _CONTEXT_PREFIX + bytes((context,))
    return ber.encode(0xA1, ber.encode(ber.OBJECT_IDENTIFIER, name))


def encode_mechanism(tag: int, mechanism: AuthenticationMechanism | bytes | None) -> bytes:
    """mechanism-name, or nothing."""
    if mechanism is None:
        return b""
    return ber.encode(tag, mechanism if isinstance(mechanism, bytes) else _MECHANISM_PREFIX + bytes((mechanism,)))


def encode_octets(tag: int, value: bytes | None, ber_tag: int = ber.OCTET_STRING) -> bytes:
    """An explicitly tagged string, or nothing."""
    return b"" if value is None else ber.encode(tag, ber.encode(ber_tag, value))


def encode_number(tag: int, value: int | None) -> bytes:
    """An explicitly tagged INTEGER, or nothing."""
    return b"" if value is None else ber.encode(tag, ber.encode(ber.INTEGER, ber.encode_integer(value)))
