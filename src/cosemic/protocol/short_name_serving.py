"""The server's side of Read, Write and UnconfirmedWrite: from names to requests, from results to responses.

A Read or Write may hold attributes and methods side by side, so one request APDU can become several requests, one after
the other: each run of attributes a Get or Set, each run of methods an Action. Names that nothing has are answered
object-undefined here. Blocks in both directions as in ``serving`` (IEC 62056-5-3, 7.4): a transfer that another
request interrupts is dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from cosemic.apdu.base import Apdu, decode_apdu
from cosemic.apdu.services import (
    ActionOutcome,
    AttributeDescriptor,
    BlockNumber,
    BlockNumberAccess,
    ConfirmedServiceError,
    DataBlockResult,
    MethodDescriptor,
    ParameterizedAccess,
    ReadDataBlockAccess,
    ReadRequest,
    ReadResponse,
    SelectiveAccess,
    UnconfirmedWriteRequest,
    VariableName,
    WriteDataBlockAccess,
    WriteRequest,
    WriteResponse,
)
from cosemic.codec.axdr import Data
from cosemic.enums import ConfirmedService, Conformance, DataAccessResult, DataType, ServiceErrorType
from cosemic.errors import DecodeError, LocalProtocolError, RemoteProtocolError, SequenceError
from cosemic.protocol import blocks
from cosemic.protocol.blocks import BlockCollector, BlockCutter
from cosemic.protocol.requests import Action, ActionResults, Get, GetResults, Request, Result, Set, SetResults
from cosemic.protocol.short_naming import REPLY_TO_HLS_NAME, NamedObjects
from cosemic.tolerances import Tolerance

_Read: TypeAlias = Data | DataAccessResult | int
_Target: TypeAlias = AttributeDescriptor | MethodDescriptor
_NULL = Data.of(None)

_PDU_SIZE, _UNSUPPORTED = 1, 2
"""Errors of the type service."""


def read_error(error: int = _UNSUPPORTED) -> ConfirmedServiceError:
    """The answer to a Read that is not processed."""
    return ConfirmedServiceError(ConfirmedService.READ, ServiceErrorType.SERVICE, error)


def write_error(error: int = _UNSUPPORTED) -> ConfirmedServiceError:
    """The answer to a Write that is not processed."""
    return ConfirmedServiceError(ConfirmedService.WRITE, ServiceErrorType.SERVICE, error)


def is_further_block(apdu: Apdu) -> bool:
    """Whether a Read or Write carries a later block of a long request."""
    if not isinstance(apdu, ReadRequest | WriteRequest) or not apdu.specifications:
        return False
    first = apdu.specifications[0]
    return isinstance(first, ReadDataBlockAccess | WriteDataBlockAccess) and first.block_number > 1


def proof(apdu: Apdu) -> Data | None:
    """What pass 3 of HLS carries; None for any other APDU."""
    match apdu:
        case ReadRequest((ParameterizedAccess(name=name, parameter=parameter),)) if name == REPLY_TO_HLS_NAME:
            return parameter
    return None


@dataclass(slots=True)
class _Part:
    """A run of items that one request asks for, and their places in the whole."""

    request: Request
    places: tuple[int, ...]


@dataclass(slots=True)
class _Plan:
    """A request APDU on its way: what has to be asked yet, and the results so far."""

    is_write: bool
    parts: list[_Part]
    results: list[_Read]


class ShortNameServing:
    """The exchange of one short-name association, seen from the server; the counterpart of ``serving.Serving``."""

    __slots__ = (
        "_aborted",
        "_conformance",
        "_incoming",
        "_max_octets",
        "_names",
        "_outgoing",
        "_plan",
        "_tag",
        "_tolerances",
        "room",
    )

    def __init__(
        self, names: NamedObjects, conformance: Conformance, max_octets: int, tolerances: frozenset[Tolerance]
    ) -> None:
        self.room = 0
        self._names = names
        self._conformance = conformance
        self._max_octets = max_octets
        self._tolerances = tolerances
        self._plan: _Plan | None = None
        self._incoming: BlockCollector | None = None
        self._tag = 0  # of the request whose blocks come in
        self._outgoing: BlockCutter | None = None
        self._aborted = False

    @property
    def is_open(self) -> bool:
        """Whether a request waits for the application's result."""
        return self._plan is not None

    @property
    def in_blocks(self) -> bool:
        """Whether a block transfer is under way."""
        return self._incoming is not None or self._outgoing is not None

    def receive(self, apdu: Apdu) -> Request | Apdu:
        """Take a request APDU: gives the first request, once it is complete, or the response to send at once."""
        if isinstance(apdu, ReadRequest):
            return self._read(apdu)
        if isinstance(apdu, WriteRequest):
            return self._write(apdu)
        if isinstance(apdu, UnconfirmedWriteRequest) and self._agreed(Conformance.UNCONFIRMED_WRITE):
            return self._begin_write(WriteRequest(apdu.specifications, apdu.data))
        return write_error() if isinstance(apdu, UnconfirmedWriteRequest) else read_error()

    def respond(self, result: Result) -> Request | Apdu:
        """Take the result of the open request: gives the next one of the same APDU, or the response."""
        plan = self._plan
        if plan is None:
            raise LocalProtocolError("respond: no request is open")
        part = plan.parts[0]
        if len(result.results) != len(part.places):
            raise LocalProtocolError(f"respond: {len(part.places)} results are due, not {len(result.results)}")
        for place, value in zip(part.places, _results(part.request, result), strict=True):
            plan.results[place] = value
        del plan.parts[0]
        if plan.parts:
            return plan.parts[0].request
        self._plan = None
        return self._response(plan)

    def drop(self) -> tuple[Request, ...]:
        """Forget the open request, for nobody waits for its response: gives what else its APDU asks for."""
        plan, self._plan = self._plan, None
        return () if plan is None else tuple(part.request for part in plan.parts[1:])

    # Read

    def _read(self, apdu: ReadRequest) -> Request | Apdu:
        if not self._agreed(Conformance.READ) or not self._acceptable(apdu.specifications):
            return read_error()
        first = apdu.specifications[0] if apdu.specifications else None
        if isinstance(first, BlockNumberAccess):
            return self._next_response_block(first.block_number)
        if isinstance(first, ReadDataBlockAccess):
            if not self._agreed(Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ):
                return read_error()
            return self._request_block(apdu.TAG, first.last_block, first.block_number, first.raw_data)
        return self._begin_read(apdu)

    def _begin_read(self, apdu: ReadRequest) -> Request | Apdu:
        steps = _Steps(self._names)
        for item in apdu.specifications:
            if isinstance(item, VariableName):
                steps.read(item.name, None, None)
            elif isinstance(item, ParameterizedAccess):
                steps.read(item.name, item.selector, item.parameter)
            else:
                steps.refuse(DataAccessResult.DATA_BLOCK_UNAVAILABLE)
        return self._begin(steps.plan(is_write=False))

    # Write

    def _write(self, apdu: WriteRequest) -> Request | Apdu:
        if not self._agreed(Conformance.WRITE) or not self._acceptable(apdu.specifications):
            return write_error()
        first = apdu.specifications[0] if apdu.specifications else None
        if not isinstance(first, WriteDataBlockAccess):
            return self._begin_write(apdu)
        if not self._agreed(Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE):
            return write_error()
        octets = _octet_string(apdu.data)
        if octets is None:
            return self._refused(apdu.TAG, DataAccessResult.DATA_BLOCK_UNAVAILABLE)
        return self._request_block(apdu.TAG, first.last_block, first.block_number, octets)

    def _begin_write(self, apdu: WriteRequest) -> Request | Apdu:
        if len(apdu.specifications) != len(apdu.data) or not self._acceptable(apdu.specifications):
            return write_error(0)
        steps = _Steps(self._names)
        for item, value in zip(apdu.specifications, apdu.data, strict=True):
            if isinstance(item, VariableName):
                steps.write(item.name, None, value)
            elif isinstance(item, ParameterizedAccess):
                steps.write(item.name, SelectiveAccess(item.selector, item.parameter), value)
            else:
                steps.refuse(DataAccessResult.DATA_BLOCK_UNAVAILABLE)
        return self._begin(steps.plan(is_write=True))

    # Blocks

    def _request_block(self, tag: int, last: bool, number: int, octets: bytes) -> Request | Apdu:
        """A block of a long request."""
        if number == 1:
            self._abort()
            self._incoming, self._tag = BlockCollector(self._max_octets), tag
        collector = self._incoming
        if collector is None or self._tag != tag:
            if tag == ReadRequest.TAG:
                return self._refused(tag, DataAccessResult.DATA_BLOCK_NUMBER_INVALID)
            aborted, idle = DataAccessResult.LONG_SET_ABORTED, DataAccessResult.NO_LONG_SET_IN_PROGRESS
            return self._refused(tag, aborted if self._aborted else idle)
        try:
            collector.add(number, octets, last)
        except SequenceError:
            return self._refused(tag, DataAccessResult.DATA_BLOCK_NUMBER_INVALID)
        except RemoteProtocolError:
            return self._refused(tag, DataAccessResult.DATA_BLOCK_UNAVAILABLE)
        if not last:
            confirmation = (BlockNumber(number),)
            return ReadResponse(confirmation) if tag == ReadRequest.TAG else WriteResponse(confirmation)
        self._incoming = None
        try:
            whole = decode_apdu(bytes((tag,)) + bytes(collector.octets), tolerances=self._tolerances)
        except DecodeError:
            return self._refused(tag, DataAccessResult.TYPE_UNMATCHED)
        self._aborted = False
        if isinstance(whole, ReadRequest) and self._acceptable(whole.specifications):
            return self._begin_read(whole)
        if isinstance(whole, WriteRequest):
            return self._begin_write(whole)
        return read_error()

    def _refused(self, tag: int, result: DataAccessResult) -> Apdu:
        self._abort()
        return ReadResponse((result,)) if tag == ReadRequest.TAG else WriteResponse((result,))

    def _next_response_block(self, number: int) -> Apdu:
        outgoing = self._outgoing
        if outgoing is None:
            aborted, idle = DataAccessResult.LONG_GET_ABORTED, DataAccessResult.NO_LONG_GET_IN_PROGRESS
            return ReadResponse((aborted if self._aborted else idle,))
        if number != outgoing.number:
            return self._refused(ReadRequest.TAG, DataAccessResult.DATA_BLOCK_NUMBER_INVALID)
        return self._next_block(outgoing)

    def _next_block(self, outgoing: BlockCutter) -> Apdu:
        last, number, chunk = outgoing.next(max(self.room - _RESPONSE_BLOCK, 2))
        if last:
            self._outgoing = None
            self._aborted = False
        elif number == _LAST_BLOCK_NUMBER:
            return self._refused(ReadRequest.TAG, DataAccessResult.LONG_GET_ABORTED)
        return ReadResponse((DataBlockResult(last, number, chunk),))

    # Shared

    def _begin(self, plan: _Plan) -> Request | Apdu:
        self._abort()
        if not plan.parts:
            return self._response(plan)
        self._plan = plan
        return plan.parts[0].request

    def _response(self, plan: _Plan) -> Apdu:
        if plan.is_write:
            results = (DataAccessResult.SUCCESS if isinstance(result, Data) else result for result in plan.results)
            written = WriteResponse(tuple(results))
            return written if len(written.encode()) <= self.room else write_error(_PDU_SIZE)
        response = ReadResponse(tuple(plan.results))
        if len(response.encode()) <= self.room:
            return response
        if not self._agreed(Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ):
            return read_error(_PDU_SIZE)
        single = plan.results[0] if len(plan.results) == 1 else None
        if isinstance(single, Data) and not self._names.whole_list_in_blocks:
            octets = single.octets
        else:
            octets = blocks.encode_get_results(plan.results)
        self._outgoing = BlockCutter(octets)
        return self._next_block(self._outgoing)

    def _abort(self) -> None:
        """A new request ends a block transfer that was not complete."""
        self._aborted = self._incoming is not None or self._outgoing is not None
        self._incoming = self._outgoing = None

    def _agreed(self, bits: Conformance) -> bool:
        return self._conformance & bits == bits

    def _acceptable(self, specifications: tuple[object, ...]) -> bool:
        if len(specifications) > 1 and not self._agreed(Conformance.MULTIPLE_REFERENCES):
            return False
        return self._agreed(Conformance.PARAMETERIZED_ACCESS) or not any(
            isinstance(item, ParameterizedAccess) for item in specifications
        )


class _Steps:
    """Puts the items of an APDU into as few requests as their order allows."""

    def __init__(self, names: NamedObjects) -> None:
        self.results: list[_Read] = []
        self._names = names
        self._runs: list[_Run] = []

    def read(self, name: int, selector: int | None, parameter: Data | None) -> None:
        """An attribute, with selective access where there is a selector, or a method with its parameters."""
        access = None if selector is None or parameter is None else SelectiveAccess(selector, parameter)
        self._add(Get, name, access, parameter)

    def write(self, name: int, access: SelectiveAccess | None, value: Data) -> None:
        """An attribute with its new value, or a method with its parameters."""
        self._add(Set, name, access, value)

    def refuse(self, result: DataAccessResult) -> None:
        """An item that nobody has to be asked about."""
        self.results.append(result)

    def plan(self, *, is_write: bool) -> _Plan:
        """Everything that was added."""
        return _Plan(is_write, [run.part() for run in self._runs], self.results)

    def _add(self, kind: type[Get | Set], name: int, access: SelectiveAccess | None, value: Data | None) -> None:
        at = self._names.find(name)
        if at is None:
            self.refuse(DataAccessResult.OBJECT_UNDEFINED)
            return
        wanted: type[Get | Set | Action] = kind
        if isinstance(at, MethodDescriptor):
            wanted = Action
            value = None if value == _NULL else value
        if not self._runs or self._runs[-1].kind is not wanted:
            self._runs.append(_Run(wanted))
        run = self._runs[-1]
        run.items.append((at, access))
        run.values.append(value)
        run.places.append(len(self.results))
        self.results.append(DataAccessResult.OTHER_REASON)


@dataclass(slots=True)
class _Run:
    """Items of one kind in a row."""

    kind: type[Get | Set | Action]
    items: list[tuple[_Target, SelectiveAccess | None]] = field(default_factory=list)
    values: list[Data | None] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    def part(self) -> _Part:
        """The request for them."""
        request: Request
        if self.kind is Action:
            methods = tuple(at for at, _ in self.items if isinstance(at, MethodDescriptor))
            request = Action(methods, tuple(self.values))
        else:
            items = tuple((at, access) for at, access in self.items if isinstance(at, AttributeDescriptor))
            values = tuple(value for value in self.values if value is not None)
            request = Get(items) if self.kind is Get else Set(items, values)
        return _Part(request, tuple(self.places))


def _results(request: Request, result: Result) -> tuple[_Read, ...]:
    if isinstance(request, Get) and isinstance(result, GetResults):
        return result.results
    if isinstance(request, Set) and isinstance(result, SetResults):
        return result.results
    if isinstance(request, Action) and isinstance(result, ActionResults):
        return tuple(map(_returned, result.results))
    raise LocalProtocolError(f"respond: {type(result).__name__} is no result of a {type(request).__name__}")


def _returned(outcome: ActionOutcome) -> _Read:
    """What a method gives, as a Read does: null-data where it returns nothing."""
    if outcome.result:
        return int(outcome.result)
    return _NULL if outcome.return_parameters is None else outcome.return_parameters


def _octet_string(data: tuple[Data, ...]) -> bytes | None:
    """The block in the list of data; None where there is anything else."""
    if len(data) != 1 or data[0].octets[0] != DataType.OCTET_STRING:
        return None
    value = data[0].value
    return value if isinstance(value, bytes) else None


_RESPONSE_BLOCK = 6
"""Tag, count, choice, last-block, block-number."""
_LAST_BLOCK_NUMBER = 0xFFFF
"""Block numbers of Read and Write have 16 bits."""
