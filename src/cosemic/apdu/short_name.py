"""Services with short names: Read, Write, Unconfirmed-Write (IEC 62056-5-3, clause 8)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from cosemic.apdu.fields import DATA_ACCESS_RESULTS, Apdu, Reader, encode_data_list, encode_octet_string
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import DataAccessResult


@dataclass(frozen=True, slots=True)
class VariableName:
    """variable-name: the base name of an object plus the offset of an attribute or method."""

    name: int

    def encode(self) -> bytes:
        """Choice 2."""
        return _NUMBER.pack(2, self.name)

    def __repr__(self) -> str:
        return f"VariableName(0x{self.name:04X})"


@dataclass(frozen=True, slots=True)
class ParameterizedAccess:
    """parameterized-access: selective access, or a method with its parameter."""

    name: int
    selector: int
    parameter: Data

    def encode(self) -> bytes:
        """Choice 4."""
        return _PARAMETERIZED.pack(4, self.name, self.selector) + bytes(self.parameter)


@dataclass(frozen=True, slots=True)
class BlockNumberAccess:
    """block-number-access: the block of a long read after ``block_number``."""

    block_number: int

    def encode(self) -> bytes:
        """Choice 5."""
        return _NUMBER.pack(5, self.block_number)


@dataclass(frozen=True, slots=True)
class ReadDataBlockAccess:
    """read-data-block-access: one block of a long read request."""

    last_block: bool
    block_number: int
    raw_data: bytes

    def encode(self) -> bytes:
        """Choice 6."""
        return _BLOCK.pack(6, self.last_block, self.block_number) + encode_octet_string(self.raw_data)


@dataclass(frozen=True, slots=True)
class WriteDataBlockAccess:
    """write-data-block-access: one block of a long write; the octets are in the list of data."""

    last_block: bool
    block_number: int

    def encode(self) -> bytes:
        """Choice 7."""
        return _BLOCK.pack(7, self.last_block, self.block_number)


VariableAccess = VariableName | ParameterizedAccess | BlockNumberAccess | ReadDataBlockAccess | WriteDataBlockAccess
"""Variable-Access-Specification."""


@dataclass(frozen=True, slots=True)
class DataBlockResult:
    """data-block-result of a Read-Response."""

    last_block: bool
    block_number: int
    raw_data: bytes


@dataclass(frozen=True, slots=True)
class BlockNumber:
    """block-number of a Read- or Write-Response: that block was received, send the next."""

    block_number: int


ReadResult = Data | DataAccessResult | int | DataBlockResult | BlockNumber
WriteResult = DataAccessResult | int | BlockNumber


@dataclass(frozen=True, slots=True)
class ReadRequest(Apdu):
    """ReadRequest."""

    TAG: ClassVar[int] = 0x05
    specifications: tuple[VariableAccess, ...]

    def _encode(self) -> bytes:
        return b"\x05" + encode_variables(self.specifications)


@dataclass(frozen=True, slots=True)
class ReadResponse(Apdu):
    """ReadResponse: one result for each specification."""

    TAG: ClassVar[int] = 0x0C
    results: tuple[ReadResult, ...]

    def _encode(self) -> bytes:
        parts = [b"\x0c", axdr.encode_length(len(self.results))]
        for result in self.results:
            if isinstance(result, Data):
                parts.append(b"\x00" + bytes(result))
            elif isinstance(result, DataBlockResult):
                parts.append(_BLOCK.pack(2, result.last_block, result.block_number))
                parts.append(encode_octet_string(result.raw_data))
            elif isinstance(result, BlockNumber):
                parts.append(_NUMBER.pack(3, result.block_number))
            else:
                parts.append(bytes((1, result)))
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class WriteRequest(Apdu):
    """WriteRequest: as many data as specifications."""

    TAG: ClassVar[int] = 0x06
    specifications: tuple[VariableAccess, ...]
    data: tuple[Data, ...]

    def _encode(self) -> bytes:
        return b"\x06" + encode_variables(self.specifications) + encode_data_list(self.data)


@dataclass(frozen=True, slots=True)
class UnconfirmedWriteRequest(Apdu):
    """UnconfirmedWriteRequest: as WriteRequest, without an answer."""

    TAG: ClassVar[int] = 0x16
    specifications: tuple[VariableAccess, ...]
    data: tuple[Data, ...]

    def _encode(self) -> bytes:
        return b"\x16" + encode_variables(self.specifications) + encode_data_list(self.data)


@dataclass(frozen=True, slots=True)
class WriteResponse(Apdu):
    """WriteResponse: one result for each specification; DataAccessResult.SUCCESS where the write was done."""

    TAG: ClassVar[int] = 0x0D
    results: tuple[WriteResult, ...]

    def _encode(self) -> bytes:
        parts = [b"\x0d", axdr.encode_length(len(self.results))]
        for result in self.results:
            if isinstance(result, BlockNumber):
                parts.append(_NUMBER.pack(2, result.block_number))
            else:
                parts.append(bytes((1, result)) if result else b"\x00")
        return b"".join(parts)


_NUMBER = struct.Struct(">BH")
_PARAMETERIZED = struct.Struct(">BHB")
_BLOCK = struct.Struct(">B?H")


def encode_variables(specifications: tuple[VariableAccess, ...]) -> bytes:
    """SEQUENCE OF Variable-Access-Specification."""
    return axdr.encode_length(len(specifications)) + b"".join([item.encode() for item in specifications])


def decode_variables(reader: Reader) -> tuple[VariableAccess, ...]:
    """SEQUENCE OF Variable-Access-Specification."""
    return reader.sequence_of(lambda: _decode_variable(reader), "variable access specifications")


def decode_read_request(reader: Reader) -> ReadRequest:
    """ReadRequest; the reader stands after the tag."""
    return ReadRequest(decode_variables(reader))


def decode_read_response(reader: Reader) -> ReadResponse:
    """ReadResponse; the reader stands after the tag."""
    return ReadResponse(reader.sequence_of(lambda: _decode_read_result(reader), "results"))


def decode_write_request(reader: Reader) -> WriteRequest:
    """WriteRequest; the reader stands after the tag."""
    specifications = decode_variables(reader)
    return WriteRequest(specifications, reader.sequence_of(reader.data, "data"))


def decode_unconfirmed_write_request(reader: Reader) -> UnconfirmedWriteRequest:
    """UnconfirmedWriteRequest; the reader stands after the tag."""
    specifications = decode_variables(reader)
    return UnconfirmedWriteRequest(specifications, reader.sequence_of(reader.data, "data"))


def decode_write_response(reader: Reader) -> WriteResponse:
    """WriteResponse; the reader stands after the tag."""
    return WriteResponse(reader.sequence_of(lambda: _decode_write_result(reader), "results"))


def _decode_variable(reader: Reader) -> VariableAccess:
    choice = reader.octet("choice of the variable access specification")
    if choice == 2:
        return VariableName(reader.unsigned16("variable name"))
    if choice == 4:
        name = reader.unsigned16("variable name")
        selector = reader.octet("selector")
        return ParameterizedAccess(name, selector, reader.data())
    if choice == 5:
        return BlockNumberAccess(reader.unsigned16("block number"))
    if choice in (6, 7):
        last_block = reader.boolean("last-block")
        block_number = reader.unsigned16("block number")
        if choice == 7:
            return WriteDataBlockAccess(last_block, block_number)
        return ReadDataBlockAccess(last_block, block_number, reader.octet_string("raw data"))
    raise reader.error(f"variable access specification has choice {choice}; 2 and 4 to 7 exist", reader.offset - 1)


def _decode_read_result(reader: Reader) -> ReadResult:
    choice = reader.octet("choice of the read result")
    if choice == 0:
        return reader.data()
    if choice == 1:
        return reader.data_access_result()
    if choice == 2:
        last_block = reader.boolean("last-block")
        block_number = reader.unsigned16("block number")
        return DataBlockResult(last_block, block_number, reader.octet_string("raw data"))
    if choice == 3:
        return BlockNumber(reader.unsigned16("block number"))
    raise reader.error(f"read result has choice {choice}; 0 to 3 exist", reader.offset - 1)


def _decode_write_result(reader: Reader) -> WriteResult:
    choice = reader.octet("choice of the write result")
    if choice == 0:
        return DATA_ACCESS_RESULTS[0]
    if choice == 1:
        return reader.data_access_result()
    if choice == 2:
        return BlockNumber(reader.unsigned16("block number"))
    raise reader.error(f"write result has choice {choice}; 0 to 2 exist", reader.offset - 1)
