"""GET (IEC 62056-5-3, clause 8)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from cosemic.apdu.fields import (
    DATA_ACCESS_RESULTS,
    Apdu,
    AttributeDescriptor,
    AttributeItem,
    InvokeId,
    Reader,
    SelectiveAccess,
    encode_attribute_items,
    encode_get_data_result,
    encode_octet_string,
)
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.codec.scalars import SIZE as NUMBER_SIZES
from cosemic.enums import DataAccessResult
from cosemic.obis import ObisCode


@dataclass(frozen=True, slots=True, init=False)
class GetRequestNormal(Apdu, InvokeId):
    """Get-Request-Normal: one attribute, whole or by selective access."""

    TAG: ClassVar[int] = 0xC0
    invoke_id_and_priority: int
    attribute: AttributeDescriptor
    access: SelectiveAccess | None = None

    # As in AttributeDescriptor: one object for each request.
    def __init__(
        self, invoke_id_and_priority: int, attribute: AttributeDescriptor, access: SelectiveAccess | None = None
    ) -> None:
        _set_request_invoke(self, invoke_id_and_priority)
        _set_request_attribute(self, attribute)
        _set_request_access(self, access)

    def _encode(self) -> bytes:
        attribute = self.attribute
        head = _REQUEST_NORMAL.pack(
            0xC0,
            1,
            self.invoke_id_and_priority,
            attribute.class_id,
            attribute.instance.octets,
            attribute.attribute,
            self.access is not None,
        )
        return head if self.access is None else head + self.access.encode()


_set_request_invoke = GetRequestNormal.__dict__["invoke_id_and_priority"].__set__
_set_request_attribute = GetRequestNormal.__dict__["attribute"].__set__
_set_request_access = GetRequestNormal.__dict__["access"].__set__


@dataclass(frozen=True, slots=True)
class GetRequestNext(Apdu, InvokeId):
    """Get-Request-Next: the block after ``block_number``."""

    TAG: ClassVar[int] = 0xC0
    invoke_id_and_priority: int
    block_number: int

    def _encode(self) -> bytes:
        return _NEXT.pack(0xC0, 2, self.invoke_id_and_priority, self.block_number)


@dataclass(frozen=True, slots=True)
class GetRequestWithList(Apdu, InvokeId):
    """Get-Request-With-List."""

    TAG: ClassVar[int] = 0xC0
    invoke_id_and_priority: int
    attributes: tuple[AttributeItem, ...]

    def _encode(self) -> bytes:
        return bytes((0xC0, 3, self.invoke_id_and_priority)) + encode_attribute_items(self.attributes)


@dataclass(frozen=True, slots=True, init=False)
class GetResponseNormal(Apdu, InvokeId):
    """Get-Response-Normal: the value, or why there is none."""

    TAG: ClassVar[int] = 0xC4
    invoke_id_and_priority: int
    result: Data | DataAccessResult | int

    # As in AttributeDescriptor: one object for each response.
    def __init__(self, invoke_id_and_priority: int, result: Data | DataAccessResult | int) -> None:
        _set_response_invoke(self, invoke_id_and_priority)
        _set_response_result(self, result)

    def _encode(self) -> bytes:
        return bytes((0xC4, 1, self.invoke_id_and_priority)) + encode_get_data_result(self.result)


_set_response_invoke = GetResponseNormal.__dict__["invoke_id_and_priority"].__set__
_set_response_result = GetResponseNormal.__dict__["result"].__set__


@dataclass(frozen=True, slots=True)
class GetResponseWithDatablock(Apdu, InvokeId):
    """Get-Response-With-Datablock: one block of the encoded value (``bytes``), or why there is none."""

    TAG: ClassVar[int] = 0xC4
    invoke_id_and_priority: int
    last_block: bool
    block_number: int
    result: bytes | DataAccessResult | int

    def _encode(self) -> bytes:
        head = _BLOCK.pack(0xC4, 2, self.invoke_id_and_priority, self.last_block, self.block_number)
        if isinstance(self.result, bytes):
            return head + b"\x00" + encode_octet_string(self.result)
        return head + bytes((1, self.result))


@dataclass(frozen=True, slots=True)
class GetResponseWithList(Apdu, InvokeId):
    """Get-Response-With-List: one result for each attribute asked for."""

    TAG: ClassVar[int] = 0xC4
    invoke_id_and_priority: int
    results: tuple[Data | DataAccessResult | int, ...]

    def _encode(self) -> bytes:
        return (
            bytes((0xC4, 3, self.invoke_id_and_priority))
            + axdr.encode_length(len(self.results))
            + b"".join([encode_get_data_result(result) for result in self.results])
        )


GetRequest = GetRequestNormal | GetRequestNext | GetRequestWithList
GetResponse = GetResponseNormal | GetResponseWithDatablock | GetResponseWithList

_REQUEST_NORMAL = struct.Struct(">BBBH6sb?")
_NEXT = struct.Struct(">BBBI")
_BLOCK = struct.Struct(">BBB?I")


def decode_single_number(octets: bytes) -> GetResponseNormal | None:
    """A Get-Response-Normal that holds one number and nothing else: what a client meets most. None for other octets.

    A number of the right size cannot be invalid, so its value waits until it is asked for.
    """
    if len(octets) > 5 and octets[1] == 1 and octets[3] == 0 and len(octets) == 5 + NUMBER_SIZES[octets[4]]:
        return GetResponseNormal(octets[2], Data(octets[4:]))
    return None


def decode_get_request(reader: Reader) -> GetRequest:
    """Get-Request; the reader stands after the tag."""
    octets = reader.octets
    if len(octets) == _REQUEST_NORMAL.size and octets[1] == 1 and not octets[-1]:
        # One whole attribute: what a meter meets most.
        _, _, invoke, class_id, instance, number, _ = _REQUEST_NORMAL.unpack(octets)
        reader.offset = len(octets)
        return GetRequestNormal(invoke, AttributeDescriptor(class_id, ObisCode.from_bytes(instance), number))
    choice = reader.octet("choice of the get-request")
    if choice not in (1, 2, 3):
        raise reader.error(f"get-request has choice {choice}; 1 to 3 exist", 1)
    invoke = reader.octet("invoke-id-and-priority")
    if choice == 1:
        attribute = reader.attribute()
        return GetRequestNormal(invoke, attribute, reader.access())
    if choice == 2:
        return GetRequestNext(invoke, reader.unsigned32("block number"))
    return GetRequestWithList(invoke, reader.sequence_of(reader.attribute_item, "attribute descriptors"))


def decode_get_response(reader: Reader) -> GetResponse:
    """Get-Response; the reader stands after the tag."""
    choice = reader.octet("choice of the get-response")
    if choice not in (1, 2, 3):
        raise reader.error(f"get-response has choice {choice}; 1 to 3 exist", 1)
    invoke = reader.octet("invoke-id-and-priority")
    if choice == 1:
        return GetResponseNormal(invoke, reader.get_data_result())
    if choice == 3:
        return GetResponseWithList(invoke, reader.sequence_of(reader.get_data_result, "results"))
    last_block = reader.boolean("last-block")
    block_number = reader.unsigned32("block number")
    kind = reader.octet("choice of the datablock")
    if kind == 0:
        return GetResponseWithDatablock(invoke, last_block, block_number, reader.octet_string("raw data"))
    if kind == 1:
        result = DATA_ACCESS_RESULTS[reader.octet("data-access-result")]
        return GetResponseWithDatablock(invoke, last_block, block_number, result)
    raise reader.error(f"datablock has choice {kind:02X}; 00 (raw-data) and 01 (data-access-result) exist")
