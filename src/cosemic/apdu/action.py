"""ACTION (IEC 62056-5-3, clause 8)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from cosemic.apdu.fields import (
    Apdu,
    InvokeId,
    MethodDescriptor,
    Reader,
    changes_secret,
    encode_data_list,
    encode_get_data_result,
    encode_methods,
    shown,
)
from cosemic.apdu.set import decode_block, encode_block
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import ActionResult, DataAccessResult


@dataclass(frozen=True, slots=True, repr=False)
class ActionRequestNormal(Apdu, InvokeId):
    """Action-Request-Normal."""

    TAG: ClassVar[int] = 0xC3
    invoke_id_and_priority: int
    method: MethodDescriptor
    parameters: Data | None = None

    def _encode(self) -> bytes:
        head = bytes((0xC3, 1, self.invoke_id_and_priority)) + self.method.encode()
        return head + b"\x00" if self.parameters is None else head + b"\x01" + bytes(self.parameters)

    def __repr__(self) -> str:
        return shown(self, hidden=("parameters",) if changes_secret(self.method) else ())


@dataclass(frozen=True, slots=True)
class ActionRequestNextPblock(Apdu, InvokeId):
    """Action-Request-Next-Pblock: the block of the answer after ``block_number``."""

    TAG: ClassVar[int] = 0xC3
    invoke_id_and_priority: int
    block_number: int

    def _encode(self) -> bytes:
        return _BLOCK_NUMBER.pack(0xC3, 2, self.invoke_id_and_priority, self.block_number)


@dataclass(frozen=True, slots=True, repr=False)
class ActionRequestWithList(Apdu, InvokeId):
    """Action-Request-With-List: as many parameters as methods, null-data where a method needs none."""

    TAG: ClassVar[int] = 0xC3
    invoke_id_and_priority: int
    methods: tuple[MethodDescriptor, ...]
    parameters: tuple[Data, ...]

    def _encode(self) -> bytes:
        return b"".join(
            (
                bytes((0xC3, 3, self.invoke_id_and_priority)),
                encode_methods(self.methods),
                encode_data_list(self.parameters),
            )
        )

    def __repr__(self) -> str:
        return shown(self, hidden=("parameters",) if changes_secret(*self.methods) else ())


@dataclass(frozen=True, slots=True, repr=False)
class ActionRequestWithFirstPblock(Apdu, InvokeId):
    """Action-Request-With-First-Pblock."""

    TAG: ClassVar[int] = 0xC3
    invoke_id_and_priority: int
    method: MethodDescriptor
    last_block: bool
    block_number: int
    raw_data: bytes

    def _encode(self) -> bytes:
        return b"".join(
            (
                bytes((0xC3, 4, self.invoke_id_and_priority)),
                self.method.encode(),
                encode_block(self.last_block, self.block_number, self.raw_data),
            )
        )

    def __repr__(self) -> str:
        return shown(self, hidden=("raw_data",) if changes_secret(self.method) else ())


@dataclass(frozen=True, slots=True, repr=False)
class ActionRequestWithListAndFirstPblock(Apdu, InvokeId):
    """Action-Request-With-List-And-First-Pblock; the raw data are the encoded list of parameters."""

    TAG: ClassVar[int] = 0xC3
    invoke_id_and_priority: int
    methods: tuple[MethodDescriptor, ...]
    last_block: bool
    block_number: int
    raw_data: bytes

    def _encode(self) -> bytes:
        return b"".join(
            (
                bytes((0xC3, 5, self.invoke_id_and_priority)),
                encode_methods(self.methods),
                encode_block(self.last_block, self.block_number, self.raw_data),
            )
        )

    def __repr__(self) -> str:
        return shown(self, hidden=("raw_data",) if changes_secret(*self.methods) else ())


@dataclass(frozen=True, slots=True)
class ActionRequestWithPblock(Apdu, InvokeId):
    """Action-Request-With-Pblock: the second and later blocks."""

    TAG: ClassVar[int] = 0xC3
    invoke_id_and_priority: int
    last_block: bool
    block_number: int
    raw_data: bytes

    def _encode(self) -> bytes:
        return bytes((0xC3, 6, self.invoke_id_and_priority)) + encode_block(
            self.last_block, self.block_number, self.raw_data
        )


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """Action-Response-With-Optional-Data: the result of one method and what it gives back."""

    result: ActionResult | int
    return_parameters: Data | DataAccessResult | int | None = None

    def encode(self) -> bytes:
        """Result, presence octet and what is given back."""
        return _encode_outcome(self.result, self.return_parameters)


@dataclass(frozen=True, slots=True)
class ActionResponseNormal(Apdu, InvokeId):
    """Action-Response-Normal."""

    TAG: ClassVar[int] = 0xC7
    invoke_id_and_priority: int
    result: ActionResult | int
    return_parameters: Data | DataAccessResult | int | None = None

    def _encode(self) -> bytes:
        return bytes((0xC7, 1, self.invoke_id_and_priority)) + _encode_outcome(self.result, self.return_parameters)


@dataclass(frozen=True, slots=True)
class ActionResponseWithPblock(Apdu, InvokeId):
    """Action-Response-With-Pblock: one block of the answer."""

    TAG: ClassVar[int] = 0xC7
    invoke_id_and_priority: int
    last_block: bool
    block_number: int
    raw_data: bytes

    def _encode(self) -> bytes:
        return bytes((0xC7, 2, self.invoke_id_and_priority)) + encode_block(
            self.last_block, self.block_number, self.raw_data
        )


@dataclass(frozen=True, slots=True)
class ActionResponseWithList(Apdu, InvokeId):
    """Action-Response-With-List."""

    TAG: ClassVar[int] = 0xC7
    invoke_id_and_priority: int
    results: tuple[ActionOutcome, ...]

    def _encode(self) -> bytes:
        return b"".join(
            (
                bytes((0xC7, 3, self.invoke_id_and_priority)),
                axdr.encode_length(len(self.results)),
                *[outcome.encode() for outcome in self.results],
            )
        )


@dataclass(frozen=True, slots=True)
class ActionResponseNextPblock(Apdu, InvokeId):
    """Action-Response-Next-Pblock: the block was received, send the next."""

    TAG: ClassVar[int] = 0xC7
    invoke_id_and_priority: int
    block_number: int

    def _encode(self) -> bytes:
        return _BLOCK_NUMBER.pack(0xC7, 4, self.invoke_id_and_priority, self.block_number)


ActionRequest = (
    ActionRequestNormal
    | ActionRequestNextPblock
    | ActionRequestWithList
    | ActionRequestWithFirstPblock
    | ActionRequestWithListAndFirstPblock
    | ActionRequestWithPblock
)
ActionResponse = ActionResponseNormal | ActionResponseWithPblock | ActionResponseWithList | ActionResponseNextPblock

_BLOCK_NUMBER = struct.Struct(">BBBI")


def _encode_outcome(result: int, return_parameters: Data | DataAccessResult | int | None) -> bytes:
    if return_parameters is None:
        return bytes((result, 0))
    return bytes((result, 1)) + encode_get_data_result(return_parameters)


def decode_outcome(reader: Reader) -> ActionOutcome:
    """Action-Response-With-Optional-Data."""
    result = reader.action_result()
    return ActionOutcome(result, reader.get_data_result() if reader.boolean("return-parameters flag") else None)


def decode_action_request(reader: Reader) -> ActionRequest:
    """Action-Request; the reader stands after the tag."""
    choice = reader.octet("choice of the action-request")
    if not 1 <= choice <= 6:
        raise reader.error(f"action-request has choice {choice}; 1 to 6 exist", 1)
    invoke = reader.octet("invoke-id-and-priority")
    if choice == 1:
        method = reader.method()
        return ActionRequestNormal(invoke, method, reader.data() if reader.boolean("parameters flag") else None)
    if choice == 2:
        return ActionRequestNextPblock(invoke, reader.unsigned32("block number"))
    if choice == 4:
        return ActionRequestWithFirstPblock(invoke, reader.method(), *decode_block(reader))
    if choice == 6:
        return ActionRequestWithPblock(invoke, *decode_block(reader))
    methods = reader.sequence_of(reader.method, "method descriptors")
    if choice == 3:
        return ActionRequestWithList(invoke, methods, reader.sequence_of(reader.data, "parameters"))
    return ActionRequestWithListAndFirstPblock(invoke, methods, *decode_block(reader))


def decode_action_response(reader: Reader) -> ActionResponse:
    """Action-Response; the reader stands after the tag."""
    choice = reader.octet("choice of the action-response")
    if not 1 <= choice <= 4:
        raise reader.error(f"action-response has choice {choice}; 1 to 4 exist", 1)
    invoke = reader.octet("invoke-id-and-priority")
    if choice == 1:
        outcome = decode_outcome(reader)
        return ActionResponseNormal(invoke, outcome.result, outcome.return_parameters)
    if choice == 2:
        return ActionResponseWithPblock(invoke, *decode_block(reader))
    if choice == 3:
        return ActionResponseWithList(invoke, reader.sequence_of(lambda: decode_outcome(reader), "results"))
    return ActionResponseNextPblock(invoke, reader.unsigned32("block number"))
