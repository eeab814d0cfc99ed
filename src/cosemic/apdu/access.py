"""ACCESS (IEC 62056-5-3, clause 8): GET, SET and ACTION items in one APDU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from cosemic.apdu.fields import (
    ACTION_RESULTS,
    DATA_ACCESS_RESULTS,
    Apdu,
    AttributeDescriptor,
    LongInvokeId,
    MethodDescriptor,
    Reader,
    SelectiveAccess,
    changes_secret,
    encode_data_list,
    encode_octet_string,
    sets_secret,
    shown,
)
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import ActionResult, DataAccessResult


@dataclass(frozen=True, slots=True)
class AccessGet:
    """Access-Request-Get, with or without selection."""

    attribute: AttributeDescriptor
    access: SelectiveAccess | None = None

    def encode(self) -> bytes:
        """Choice 1, or 4 with selection."""
        return _encode_attribute(1, 4, self.attribute, self.access)


@dataclass(frozen=True, slots=True)
class AccessSet:
    """Access-Request-Set, with or without selection; its value is the item of the data list at the same place."""

    attribute: AttributeDescriptor
    access: SelectiveAccess | None = None

    def encode(self) -> bytes:
        """Choice 2, or 5 with selection."""
        return _encode_attribute(2, 5, self.attribute, self.access)


@dataclass(frozen=True, slots=True)
class AccessAction:
    """Access-Request-Action; its parameters are the item of the data list at the same place."""

    method: MethodDescriptor

    def encode(self) -> bytes:
        """Choice 3."""
        return b"\x03" + self.method.encode()


AccessSpecification = AccessGet | AccessSet | AccessAction


@dataclass(frozen=True, slots=True)
class AccessOutcome:
    """Access-Response-Specification: ``kind`` 1 get, 2 set, 3 action, and the result of that kind."""

    kind: int
    result: DataAccessResult | ActionResult | int

    def encode(self) -> bytes:
        """Two octets."""
        return bytes((self.kind, self.result))


@dataclass(frozen=True, slots=True, repr=False)
class AccessRequest(Apdu, LongInvokeId):
    """Access-Request. ``date_time`` is raw: empty, or the twelve octets of a date-time.

    The data list has one item for each specification, null-data for a GET.
    """

    TAG: ClassVar[int] = 0xD9
    long_invoke_id_and_priority: int
    date_time: bytes
    specifications: tuple[AccessSpecification, ...]
    data: tuple[Data, ...]

    def __repr__(self) -> str:
        items = self.specifications
        hides = sets_secret(*[item.attribute for item in items if isinstance(item, AccessSet)])
        hides = hides or changes_secret(*[item.method for item in items if isinstance(item, AccessAction)])
        return shown(self, hidden=("data",) if hides else ())

    def _encode(self) -> bytes:
        return b"".join(
            (
                b"\xd9",
                self.long_invoke_id_and_priority.to_bytes(4, "big"),
                encode_octet_string(self.date_time),
                _encode_specifications(self.specifications),
                encode_data_list(self.data),
            )
        )


@dataclass(frozen=True, slots=True)
class AccessResponse(Apdu, LongInvokeId):
    """Access-Response. ``specifications`` repeats those of the request where it was self-descriptive, else None."""

    TAG: ClassVar[int] = 0xDA
    long_invoke_id_and_priority: int
    date_time: bytes
    specifications: tuple[AccessSpecification, ...] | None
    data: tuple[Data, ...]
    results: tuple[AccessOutcome, ...]

    def _encode(self) -> bytes:
        specifications = self.specifications
        return b"".join(
            (
                b"\xda",
                self.long_invoke_id_and_priority.to_bytes(4, "big"),
                encode_octet_string(self.date_time),
                b"\x00" if specifications is None else b"\x01" + _encode_specifications(specifications),
                encode_data_list(self.data),
                axdr.encode_length(len(self.results)),
                *[outcome.encode() for outcome in self.results],
            )
        )


def decode_access_request(reader: Reader) -> AccessRequest:
    """Access-Request; the reader stands after the tag."""
    invoke = reader.unsigned32("long-invoke-id-and-priority")
    date_time = reader.octet_string("date-time")
    specifications = _decode_specifications(reader)
    return AccessRequest(invoke, date_time, specifications, reader.sequence_of(reader.data, "data"))


def decode_access_response(reader: Reader) -> AccessResponse:
    """Access-Response; the reader stands after the tag."""
    invoke = reader.unsigned32("long-invoke-id-and-priority")
    date_time = reader.octet_string("date-time")
    specifications = _decode_specifications(reader) if reader.boolean("specification flag") else None
    data = reader.sequence_of(reader.data, "data")
    results = reader.sequence_of(lambda: _decode_outcome(reader), "results")
    return AccessResponse(invoke, date_time, specifications, data, results)


def _encode_attribute(
    plain: int, selective: int, attribute: AttributeDescriptor, access: SelectiveAccess | None
) -> bytes:
    if access is None:
        return bytes((plain,)) + attribute.encode()
    return bytes((selective,)) + attribute.encode() + access.encode()


def _encode_specifications(specifications: tuple[AccessSpecification, ...]) -> bytes:
    return axdr.encode_length(len(specifications)) + b"".join([item.encode() for item in specifications])


def _decode_specifications(reader: Reader) -> tuple[AccessSpecification, ...]:
    return reader.sequence_of(lambda: _decode_specification(reader), "specifications")


def _decode_specification(reader: Reader) -> AccessSpecification:
    choice = reader.octet("choice of the specification")
    if choice == 3:
        return AccessAction(reader.method())
    if choice in (1, 4):
        attribute = reader.attribute()
        return AccessGet(attribute, reader.selection() if choice == 4 else None)
    if choice in (2, 5):
        attribute = reader.attribute()
        return AccessSet(attribute, reader.selection() if choice == 5 else None)
    raise reader.error(f"access specification has choice {choice}; 1 to 5 exist", reader.offset - 1)


def _decode_outcome(reader: Reader) -> AccessOutcome:
    kind = reader.octet("choice of the access result")
    if not 1 <= kind <= 3:
        raise reader.error(f"access result has choice {kind}; 1 to 3 exist", reader.offset - 1)
    result = reader.octet("access result")
    return AccessOutcome(kind, ACTION_RESULTS[result] if kind == 3 else DATA_ACCESS_RESULTS[result])
