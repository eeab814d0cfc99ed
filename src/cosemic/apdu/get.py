"""GET (IEC 62056-5-3, 7.3.5; services in clause 6.6)."""

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
from cosemic.enums import DataAccessResult


@dataclass(frozen=True, slots=True)
class GetRequestNormal(Apdu, InvokeId):
    """Get-Request-Normal: one attribute, whole or by selective access."""

    TAG: ClassVar[int] = 0xC0
    invoke_id_and_priority: int
    attribute: AttributeDescriptor
    access: SelectiveAccess | None = None

    def _encode(self) -> bytes:
        attribute = self.attribute
        head = _REQUEST_NORMAL.pack(
            0xC0,
            1,
            self.invoke_id_and_priority,
            attribute.class_id,
            bytes(attribute.instance),
            attribute.attribute,
            self.access is not None,
        )
        return head if self.access is None else head + self.access.encode()


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


@dataclass(frozen=True, slots=True)
class GetResponseNormal(Apdu, InvokeId):
    """Get-Response-Normal: the value, or why there is none."""

    TAG: ClassVar[int] = 0xC4
    invoke_id_and_priority: int
    result: Data | DataAccessResult | int

    def _encode(self) -> bytes:
        return bytes((0xC4, 1, self.invoke_id_and_priority)) + encode_get_data_result(self.result)


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


def decode_get_request(reader: Reader) -> GetRequest:
    """Get-Request; the reader stands after the tag."""
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
    octets = reader.octets
    # The answer that a client waits for most: decoded without the detours below.
    if len(octets) > 4 and octets[1] == 1 and octets[3] == 0:
        data, reader.offset = Data.decode_prefix(octets, 4, reader.limits)
        return GetResponseNormal(octets[2], data)
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
