"""SET (IEC 62056-5-3, clause 8)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from cosemic.apdu.fields import (
    Apdu,
    AttributeDescriptor,
    AttributeItem,
    InvokeId,
    Reader,
    SelectiveAccess,
    encode_access,
    encode_attribute_items,
    encode_data_list,
    encode_octet_string,
    sets_secret,
    shown,
)
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import DataAccessResult


@dataclass(frozen=True, slots=True, repr=False)
class SetRequestNormal(Apdu, InvokeId):
    """Set-Request-Normal."""

    TAG: ClassVar[int] = 0xC1
    invoke_id_and_priority: int
    attribute: AttributeDescriptor
    access: SelectiveAccess | None
    value: Data

    def _encode(self) -> bytes:
        return b"".join(
            (
                bytes((0xC1, 1, self.invoke_id_and_priority)),
                self.attribute.encode(),
                encode_access(self.access),
                bytes(self.value),
            )
        )

    def __repr__(self) -> str:
        return shown(self, hidden=("value",) if sets_secret(self.attribute) else ())


@dataclass(frozen=True, slots=True, repr=False)
class SetRequestWithFirstDatablock(Apdu, InvokeId):
    """Set-Request-With-First-Datablock."""

    TAG: ClassVar[int] = 0xC1
    invoke_id_and_priority: int
    attribute: AttributeDescriptor
    access: SelectiveAccess | None
    last_block: bool
    block_number: int
    raw_data: bytes

    def _encode(self) -> bytes:
        return b"".join(
            (
                bytes((0xC1, 2, self.invoke_id_and_priority)),
                self.attribute.encode(),
                encode_access(self.access),
                encode_block(self.last_block, self.block_number, self.raw_data),
            )
        )

    def __repr__(self) -> str:
        return shown(self, hidden=("raw_data",) if sets_secret(self.attribute) else ())


@dataclass(frozen=True, slots=True)
class SetRequestWithDatablock(Apdu, InvokeId):
    """Set-Request-With-Datablock: the second and later blocks."""

    TAG: ClassVar[int] = 0xC1
    invoke_id_and_priority: int
    last_block: bool
    block_number: int
    raw_data: bytes

    def _encode(self) -> bytes:
        return bytes((0xC1, 3, self.invoke_id_and_priority)) + encode_block(
            self.last_block, self.block_number, self.raw_data
        )


@dataclass(frozen=True, slots=True, repr=False)
class SetRequestWithList(Apdu, InvokeId):
    """Set-Request-With-List: as many values as attributes."""

    TAG: ClassVar[int] = 0xC1
    invoke_id_and_priority: int
    attributes: tuple[AttributeItem, ...]
    values: tuple[Data, ...]

    def _encode(self) -> bytes:
        return b"".join(
            (
                bytes((0xC1, 4, self.invoke_id_and_priority)),
                encode_attribute_items(self.attributes),
                encode_data_list(self.values),
            )
        )

    def __repr__(self) -> str:
        return shown(self, hidden=("values",) if sets_secret(*[item for item, _ in self.attributes]) else ())


@dataclass(frozen=True, slots=True, repr=False)
class SetRequestWithListAndFirstDatablock(Apdu, InvokeId):
    """Set-Request-With-List-And-First-Datablock; the raw data are the encoded list of values."""

    TAG: ClassVar[int] = 0xC1
    invoke_id_and_priority: int
    attributes: tuple[AttributeItem, ...]
    last_block: bool
    block_number: int
    raw_data: bytes

    def _encode(self) -> bytes:
        return b"".join(
            (
                bytes((0xC1, 5, self.invoke_id_and_priority)),
                encode_attribute_items(self.attributes),
                encode_block(self.last_block, self.block_number, self.raw_data),
            )
        )

    def __repr__(self) -> str:
        return shown(self, hidden=("raw_data",) if sets_secret(*[item for item, _ in self.attributes]) else ())


@dataclass(frozen=True, slots=True)
class SetResponseNormal(Apdu, InvokeId):
    """Set-Response-Normal."""

    TAG: ClassVar[int] = 0xC5
    invoke_id_and_priority: int
    result: DataAccessResult | int

    def _encode(self) -> bytes:
        return bytes((0xC5, 1, self.invoke_id_and_priority, self.result))


@dataclass(frozen=True, slots=True)
class SetResponseDatablock(Apdu, InvokeId):
    """Set-Response-Datablock: the block was received, send the next."""

    TAG: ClassVar[int] = 0xC5
    invoke_id_and_priority: int
    block_number: int

    def _encode(self) -> bytes:
        return _BLOCK_NUMBER.pack(0xC5, 2, self.invoke_id_and_priority, self.block_number)


@dataclass(frozen=True, slots=True)
class SetResponseLastDatablock(Apdu, InvokeId):
    """Set-Response-Last-Datablock."""

    TAG: ClassVar[int] = 0xC5
    invoke_id_and_priority: int
    result: DataAccessResult | int
    block_number: int

    def _encode(self) -> bytes:
        return _RESULT_BLOCK.pack(0xC5, 3, self.invoke_id_and_priority, self.result, self.block_number)


@dataclass(frozen=True, slots=True)
class SetResponseLastDatablockWithList(Apdu, InvokeId):
    """Set-Response-Last-Datablock-With-List."""

    TAG: ClassVar[int] = 0xC5
    invoke_id_and_priority: int
    results: tuple[DataAccessResult | int, ...]
    block_number: int

    def _encode(self) -> bytes:
        return b"".join(
            (
                bytes((0xC5, 4, self.invoke_id_and_priority)),
                axdr.encode_length(len(self.results)),
                bytes(self.results),
                self.block_number.to_bytes(4, "big"),
            )
        )


@dataclass(frozen=True, slots=True)
class SetResponseWithList(Apdu, InvokeId):
    """Set-Response-With-List."""

    TAG: ClassVar[int] = 0xC5
    invoke_id_and_priority: int
    results: tuple[DataAccessResult | int, ...]

    def _encode(self) -> bytes:
        return b"".join(
            (
                bytes((0xC5, 5, self.invoke_id_and_priority)),
                axdr.encode_length(len(self.results)),
                bytes(self.results),
            )
        )


SetRequest = (
    SetRequestNormal
    | SetRequestWithFirstDatablock
    | SetRequestWithDatablock
    | SetRequestWithList
    | SetRequestWithListAndFirstDatablock
)
SetResponse = (
    SetResponseNormal
    | SetResponseDatablock
    | SetResponseLastDatablock
    | SetResponseLastDatablockWithList
    | SetResponseWithList
)

_BLOCK_NUMBER = struct.Struct(">BBBI")
_RESULT_BLOCK = struct.Struct(">BBBBI")
_BLOCK_HEAD = struct.Struct(">?I")


def encode_block(last_block: bool, block_number: int, raw_data: bytes) -> bytes:
    """DataBlock-SA, as SET and ACTION use it."""
    return _BLOCK_HEAD.pack(last_block, block_number) + encode_octet_string(raw_data)


def decode_block(reader: Reader) -> tuple[bool, int, bytes]:
    """DataBlock-SA: last-block, block number, raw data."""
    last_block = reader.boolean("last-block")
    block_number = reader.unsigned32("block number")
    return last_block, block_number, reader.octet_string("raw data")


def decode_set_request(reader: Reader) -> SetRequest:
    """Set-Request; the reader stands after the tag."""
    choice = reader.octet("choice of the set-request")
    if not 1 <= choice <= 5:
        raise reader.error(f"set-request has choice {choice}; 1 to 5 exist", 1)
    invoke = reader.octet("invoke-id-and-priority")
    if choice == 1:
        attribute, access = reader.attribute_item()
        return SetRequestNormal(invoke, attribute, access, reader.data())
    if choice == 2:
        attribute, access = reader.attribute_item()
        return SetRequestWithFirstDatablock(invoke, attribute, access, *decode_block(reader))
    if choice == 3:
        return SetRequestWithDatablock(invoke, *decode_block(reader))
    items = reader.sequence_of(reader.attribute_item, "attribute descriptors")
    if choice == 4:
        return SetRequestWithList(invoke, items, reader.sequence_of(reader.data, "values"))
    return SetRequestWithListAndFirstDatablock(invoke, items, *decode_block(reader))


def decode_set_response(reader: Reader) -> SetResponse:
    """Set-Response; the reader stands after the tag."""
    choice = reader.octet("choice of the set-response")
    if not 1 <= choice <= 5:
        raise reader.error(f"set-response has choice {choice}; 1 to 5 exist", 1)
    invoke = reader.octet("invoke-id-and-priority")
    if choice == 1:
        return SetResponseNormal(invoke, reader.data_access_result())
    if choice == 2:
        return SetResponseDatablock(invoke, reader.unsigned32("block number"))
    if choice == 3:
        result = reader.data_access_result()
        return SetResponseLastDatablock(invoke, result, reader.unsigned32("block number"))
    results = reader.sequence_of(reader.data_access_result, "results")
    if choice == 4:
        return SetResponseLastDatablockWithList(invoke, results, reader.unsigned32("block number"))
    return SetResponseWithList(invoke, results)
