"""The server's side of GET, SET and ACTION: from request APDUs to a request, and from its result to response APDUs.

Blocks in both directions are handled here (IEC 62056-5-3, 7.4). A transfer that another request interrupts is dropped;
a client that goes on with it is told so by the result codes of the standard (long-get-aborted and the like).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from cosemic.apdu.base import Apdu
from cosemic.apdu.services import (
    AccessRequest,
    ActionOutcome,
    ActionRequestNextPblock,
    ActionRequestNormal,
    ActionRequestWithFirstPblock,
    ActionRequestWithList,
    ActionRequestWithListAndFirstPblock,
    ActionRequestWithPblock,
    ActionResponseNextPblock,
    ActionResponseNormal,
    ActionResponseWithList,
    ActionResponseWithPblock,
    AttributeDescriptor,
    ExceptionResponse,
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithDatablock,
    GetResponseWithList,
    MethodDescriptor,
    SelectiveAccess,
    SetRequestNormal,
    SetRequestWithDatablock,
    SetRequestWithFirstDatablock,
    SetRequestWithList,
    SetRequestWithListAndFirstDatablock,
    SetResponseDatablock,
    SetResponseLastDatablock,
    SetResponseLastDatablockWithList,
    SetResponseNormal,
    SetResponseWithList,
)
from cosemic.codec.axdr import Data
from cosemic.enums import ActionResult, Conformance, DataAccessResult, ExceptionServiceError, ExceptionStateError
from cosemic.errors import DecodeError, LocalProtocolError, RemoteProtocolError, SequenceError
from cosemic.protocol import access, blocks
from cosemic.protocol.blocks import BlockCollector, BlockCutter
from cosemic.protocol.requests import (
    Access,
    AccessResults,
    Action,
    ActionResults,
    Get,
    GetResults,
    Request,
    Result,
    Set,
    SetResults,
)
from cosemic.tolerances import Tolerance

_Items: TypeAlias = tuple[tuple[AttributeDescriptor, SelectiveAccess | None], ...]

NOT_SUPPORTED = ExceptionResponse(ExceptionStateError.SERVICE_NOT_ALLOWED, ExceptionServiceError.SERVICE_NOT_SUPPORTED)
"""The service is known, but was not negotiated."""
MALFORMED = ExceptionResponse(ExceptionStateError.SERVICE_NOT_ALLOWED, ExceptionServiceError.OTHER_REASON)
"""The APDU can be decoded, but makes no sense."""
PDU_TOO_LONG = ExceptionResponse(ExceptionStateError.SERVICE_NOT_ALLOWED, ExceptionServiceError.PDU_TOO_LONG)


@dataclass(slots=True)
class _Incoming:
    """A SET or ACTION whose value is still coming in blocks."""

    invoke_id: int
    items: _Items | tuple[MethodDescriptor, ...]
    collector: BlockCollector
    is_list: bool


@dataclass(slots=True)
class _Outgoing:
    """A response that is going out in blocks."""

    octet: int
    cutter: BlockCutter
    is_action: bool


@dataclass(slots=True)
class _Open:
    """A request that the application has not answered yet."""

    octet: int
    request: Request
    is_list: bool
    block: int | None = None
    """Number of the last request block, where the request came in blocks."""


class Serving:
    """The exchange of one association, seen from the server. ``room`` is the longest response before protection."""

    __slots__ = ("_aborted", "_conformance", "_incoming", "_max_octets", "_open", "_outgoing", "_tolerances", "room")

    def __init__(self, conformance: Conformance, max_octets: int, tolerances: frozenset[Tolerance]) -> None:
        self.room = 0
        self._conformance = conformance
        self._max_octets = max_octets
        self._tolerances = tolerances
        self._open: _Open | None = None
        self._incoming: _Incoming | None = None
        self._outgoing: _Outgoing | None = None
        self._aborted = False

    @property
    def is_open(self) -> bool:
        """Whether a request waits for the application's result."""
        return self._open is not None

    @property
    def in_blocks(self) -> bool:
        """Whether a block transfer is under way."""
        return self._incoming is not None or self._outgoing is not None

    def receive(self, apdu: Apdu) -> Request | Apdu:
        """Take a request APDU: gives the request, once it is complete, or the response to send at once."""
        kind = type(apdu)
        if kind is GetRequestNormal:
            return self._get(apdu)  # type: ignore[arg-type]
        receive = _RECEIVERS.get(kind)
        if receive is None:
            return NOT_SUPPORTED
        return receive(self, apdu)

    def respond(self, result: Result) -> Apdu:
        """The response to the open request; LocalProtocolError when the result does not fit it."""
        pending = self._open
        if pending is None:
            raise LocalProtocolError("respond: no request is open")
        request = pending.request
        if len(result.results) != len(request.items):
            raise LocalProtocolError(f"respond: {len(request.items)} results are due, not {len(result.results)}")
        if isinstance(request, Get) and isinstance(result, GetResults):
            response = self._get_response(pending, result)
        elif isinstance(request, Set) and isinstance(result, SetResults):
            response = _set_response(pending, result)
        elif isinstance(request, Action) and isinstance(result, ActionResults):
            response = self._action_response(pending, result)
        elif isinstance(request, Access) and isinstance(result, AccessResults):
            response = self._access_response(pending, result)
        else:
            raise LocalProtocolError(f"respond: {type(result).__name__} is no result of a {type(request).__name__}")
        self._open = None
        return response

    def drop(self) -> tuple[Request, ...]:
        """Forget the open request: nobody waits for its response. Gives what else its APDU asks for: nothing."""
        self._open = None
        return ()

    # GET

    def _get(self, apdu: GetRequestNormal) -> Request | Apdu:
        if not self._agreed(Conformance.GET) or (
            apdu.access is not None and not self._agreed(Conformance.SELECTIVE_ACCESS)
        ):
            return NOT_SUPPORTED
        return self._begin(apdu.invoke_id_and_priority, Get(((apdu.attribute, apdu.access),)), False)

    def _get_list(self, apdu: GetRequestWithList) -> Request | Apdu:
        if not self._agreed(Conformance.GET | Conformance.MULTIPLE_REFERENCES) or not self._access_agreed(
            apdu.attributes
        ):
            return NOT_SUPPORTED
        if not apdu.attributes:
            return GetResponseWithList(apdu.invoke_id_and_priority, ())
        return self._begin(apdu.invoke_id_and_priority, Get(apdu.attributes), True)

    def _get_next(self, apdu: GetRequestNext) -> Apdu:
        outgoing = self._outgoing
        octet = apdu.invoke_id_and_priority
        if outgoing is None or outgoing.is_action or outgoing.octet & 0x0F != octet & 0x0F:
            error = DataAccessResult.LONG_GET_ABORTED if self._aborted else DataAccessResult.NO_LONG_GET_IN_PROGRESS
            return GetResponseWithDatablock(octet, True, apdu.block_number, error)
        if apdu.block_number != outgoing.cutter.number:
            self._outgoing = None
            self._aborted = True
            return GetResponseWithDatablock(octet, True, apdu.block_number, DataAccessResult.DATA_BLOCK_NUMBER_INVALID)
        return self._next_block(outgoing)

    def _get_response(self, pending: _Open, result: GetResults) -> Apdu:
        results = result.results
        octet = pending.octet
        if not pending.is_list:
            single = results[0]
            if not isinstance(single, Data) or 4 + len(single.octets) <= self.room:
                return GetResponseNormal(octet, single)
            octets = single.octets
        else:
            octets = blocks.encode_get_results(results)
            if 3 + len(octets) <= self.room:
                return GetResponseWithList(octet, results)
        if not self._agreed(Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ):
            return self._too_long(pending)
        self._outgoing = _Outgoing(octet, BlockCutter(octets), False)
        return self._next_block(self._outgoing)

    def _too_long(self, pending: _Open) -> Apdu:
        """A response that fits neither the client's PDU nor blocks."""
        if not pending.is_list:
            return GetResponseNormal(pending.octet, DataAccessResult.OTHER_REASON)
        response = GetResponseWithList(pending.octet, (DataAccessResult.OTHER_REASON,) * len(pending.request.items))
        return response if len(response.encode()) <= self.room else PDU_TOO_LONG

    # SET

    def _set(self, apdu: SetRequestNormal) -> Request | Apdu:
        items = ((apdu.attribute, apdu.access),)
        if not self._agreed(Conformance.SET) or not self._access_agreed(items):
            return NOT_SUPPORTED
        return self._begin(apdu.invoke_id_and_priority, Set(items, (apdu.value,)), False)

    def _set_list(self, apdu: SetRequestWithList) -> Request | Apdu:
        if not self._agreed(Conformance.SET | Conformance.MULTIPLE_REFERENCES) or not self._access_agreed(
            apdu.attributes
        ):
            return NOT_SUPPORTED
        octet, items, values = apdu.invoke_id_and_priority, apdu.attributes, apdu.values
        if not items or len(items) != len(values):
            return SetResponseWithList(octet, (DataAccessResult.OTHER_REASON,) * len(items))
        return self._begin(octet, Set(items, values), True)

    def _set_first(self, apdu: SetRequestWithFirstDatablock) -> Request | Apdu:
        items = ((apdu.attribute, apdu.access),)
        if not self._agreed(Conformance.SET | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE):
            return NOT_SUPPORTED
        return self._set_begin(apdu, items, False)

    def _set_list_first(self, apdu: SetRequestWithListAndFirstDatablock) -> Request | Apdu:
        wanted = Conformance.SET | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE | Conformance.MULTIPLE_REFERENCES
        if not self._agreed(wanted):
            return NOT_SUPPORTED
        return self._set_begin(apdu, apdu.attributes, True)

    def _set_begin(
        self, apdu: SetRequestWithFirstDatablock | SetRequestWithListAndFirstDatablock, items: _Items, is_list: bool
    ) -> Request | Apdu:
        if not self._access_agreed(items):
            return NOT_SUPPORTED
        octet = apdu.invoke_id_and_priority
        self._abort()
        self._incoming = _Incoming(octet & 0x0F, items, BlockCollector(self._max_octets), is_list)
        return self._set_add(octet, apdu.last_block, apdu.block_number, apdu.raw_data)

    def _set_block(self, apdu: SetRequestWithDatablock) -> Request | Apdu:
        octet = apdu.invoke_id_and_priority
        incoming = self._incoming
        if incoming is None or incoming.invoke_id != octet & 0x0F or not _is_attributes(incoming.items):
            error = DataAccessResult.LONG_SET_ABORTED if self._aborted else DataAccessResult.NO_LONG_SET_IN_PROGRESS
            return SetResponseLastDatablock(octet, error, apdu.block_number)
        return self._set_add(octet, apdu.last_block, apdu.block_number, apdu.raw_data)

    def _set_add(self, octet: int, last: bool, number: int, raw_data: bytes) -> Request | Apdu:
        incoming = self._incoming
        assert incoming is not None
        items: _Items = incoming.items  # type: ignore[assignment]
        try:
            incoming.collector.add(number, raw_data, last)
            if not last:
                return SetResponseDatablock(octet, number)
            self._incoming = None
            values = self._values(incoming)
        except SequenceError:
            return self._set_refused(octet, DataAccessResult.DATA_BLOCK_NUMBER_INVALID, number, incoming)
        except DecodeError:
            return self._set_refused(octet, DataAccessResult.TYPE_UNMATCHED, number, incoming)
        except RemoteProtocolError:
            return self._set_refused(octet, DataAccessResult.LONG_SET_ABORTED, number, incoming)
        self._aborted = False
        self._open = _Open(octet, Set(items, values), incoming.is_list, number)
        return self._open.request

    def _set_refused(self, octet: int, result: DataAccessResult, number: int, incoming: _Incoming) -> Apdu:
        self._incoming = None
        self._aborted = True
        if incoming.is_list:
            return SetResponseLastDatablockWithList(octet, (result,) * len(incoming.items), number)
        return SetResponseLastDatablock(octet, result, number)

    # ACTION

    def _action(self, apdu: ActionRequestNormal) -> Request | Apdu:
        if not self._agreed(Conformance.ACTION):
            return NOT_SUPPORTED
        return self._begin(apdu.invoke_id_and_priority, Action((apdu.method,), (apdu.parameters,)), False)

    def _action_list(self, apdu: ActionRequestWithList) -> Request | Apdu:
        if not self._agreed(Conformance.ACTION | Conformance.MULTIPLE_REFERENCES):
            return NOT_SUPPORTED
        octet, methods, parameters = apdu.invoke_id_and_priority, apdu.methods, apdu.parameters
        if not methods or len(methods) != len(parameters):
            return ActionResponseWithList(octet, (ActionOutcome(ActionResult.OTHER_REASON, None),) * len(methods))
        return self._begin(octet, Action(methods, tuple(parameters)), True)

    def _action_first(self, apdu: ActionRequestWithFirstPblock) -> Request | Apdu:
        if not self._agreed(Conformance.ACTION | Conformance.BLOCK_TRANSFER_WITH_ACTION):
            return NOT_SUPPORTED
        return self._action_begin(apdu, (apdu.method,), False)

    def _action_list_first(self, apdu: ActionRequestWithListAndFirstPblock) -> Request | Apdu:
        wanted = Conformance.ACTION | Conformance.BLOCK_TRANSFER_WITH_ACTION | Conformance.MULTIPLE_REFERENCES
        if not self._agreed(wanted):
            return NOT_SUPPORTED
        return self._action_begin(apdu, apdu.methods, True)

    def _action_begin(
        self,
        apdu: ActionRequestWithFirstPblock | ActionRequestWithListAndFirstPblock,
        methods: tuple[MethodDescriptor, ...],
        is_list: bool,
    ) -> Request | Apdu:
        octet = apdu.invoke_id_and_priority
        self._abort()
        self._incoming = _Incoming(octet & 0x0F, methods, BlockCollector(self._max_octets), is_list)
        return self._action_add(octet, apdu.last_block, apdu.block_number, apdu.raw_data)

    def _action_block(self, apdu: ActionRequestWithPblock) -> Request | Apdu:
        octet = apdu.invoke_id_and_priority
        incoming = self._incoming
        if incoming is None or incoming.invoke_id != octet & 0x0F or _is_attributes(incoming.items):
            error = ActionResult.LONG_ACTION_ABORTED if self._aborted else ActionResult.NO_LONG_ACTION_IN_PROGRESS
            return ActionResponseNormal(octet, error, None)
        return self._action_add(octet, apdu.last_block, apdu.block_number, apdu.raw_data)

    def _action_add(self, octet: int, last: bool, number: int, raw_data: bytes) -> Request | Apdu:
        incoming = self._incoming
        assert incoming is not None
        try:
            incoming.collector.add(number, raw_data, last)
            if not last:
                return ActionResponseNextPblock(octet, number)
            self._incoming = None
            values = self._values(incoming)
        except DecodeError:
            return self._action_refused(octet, ActionResult.TYPE_UNMATCHED, incoming)
        except RemoteProtocolError:  # block numbers out of order, or too many octets
            return self._action_refused(octet, ActionResult.LONG_ACTION_ABORTED, incoming)
        self._aborted = False
        methods: tuple[MethodDescriptor, ...] = incoming.items  # type: ignore[assignment]
        self._open = _Open(octet, Action(methods, values), incoming.is_list, number)
        return self._open.request

    def _action_refused(self, octet: int, result: ActionResult, incoming: _Incoming) -> Apdu:
        self._incoming = None
        self._aborted = True
        if incoming.is_list:
            return ActionResponseWithList(octet, (ActionOutcome(result, None),) * len(incoming.items))
        return ActionResponseNormal(octet, result, None)

    def _action_next(self, apdu: ActionRequestNextPblock) -> Apdu:
        outgoing = self._outgoing
        octet = apdu.invoke_id_and_priority
        if outgoing is None or not outgoing.is_action or outgoing.octet & 0x0F != octet & 0x0F:
            error = ActionResult.LONG_ACTION_ABORTED if self._aborted else ActionResult.NO_LONG_ACTION_IN_PROGRESS
            return ActionResponseNormal(octet, error, None)
        if apdu.block_number != outgoing.cutter.number:
            self._outgoing = None
            self._aborted = True
            return ActionResponseNormal(octet, ActionResult.LONG_ACTION_ABORTED, None)
        return self._next_block(outgoing)

    def _action_response(self, pending: _Open, result: ActionResults) -> Apdu:
        octet = pending.octet
        response: Apdu
        if pending.is_list:
            response = ActionResponseWithList(octet, result.results)
            octets = blocks.encode_outcomes(result.results)
        else:
            outcome = result.results[0]
            response = ActionResponseNormal(octet, outcome.result, outcome.return_parameters)
            octets = blocks.encode_outcome(outcome)
        if 3 + len(octets) <= self.room:
            return response
        if not self._agreed(Conformance.BLOCK_TRANSFER_WITH_ACTION):
            return PDU_TOO_LONG
        self._outgoing = _Outgoing(octet, BlockCutter(octets), True)
        return self._next_block(self._outgoing)

    # ACCESS

    def _access(self, apdu: AccessRequest) -> Request | Apdu:
        if not self._agreed(Conformance.ACCESS):
            return NOT_SUPPORTED
        request = access.requested(apdu)
        if request is None:
            return MALFORMED
        return self._begin(apdu.long_invoke_id_and_priority, request, False)

    def _access_response(self, pending: _Open, result: AccessResults) -> Apdu:
        assert isinstance(pending.request, Access)
        response = access.response(pending.octet, pending.request, result)
        return response if len(response.encode()) <= self.room else PDU_TOO_LONG

    # Shared

    def _begin(self, octet: int, request: Request, is_list: bool) -> Request:
        self._abort()
        self._open = _Open(octet, request, is_list)
        return request

    def _abort(self) -> None:
        """A new request ends a block transfer that was not complete."""
        self._aborted = self._incoming is not None or self._outgoing is not None
        self._incoming = self._outgoing = None

    def _next_block(self, outgoing: _Outgoing) -> Apdu:
        last, number, chunk = outgoing.cutter.next(max(self.room - _BLOCK_HEADER - (not outgoing.is_action), 2))
        if last:
            self._outgoing = None
            self._aborted = False
        if outgoing.is_action:
            return ActionResponseWithPblock(outgoing.octet, last, number, chunk)
        return GetResponseWithDatablock(outgoing.octet, last, number, chunk)

    def _values(self, incoming: _Incoming) -> tuple[Data, ...]:
        octets = bytes(incoming.collector.octets)
        if not incoming.is_list:
            return (blocks.exact(octets, self._tolerances),)
        values = blocks.decode_data_list(octets, self._tolerances)
        if len(values) != len(incoming.items):
            raise DecodeError(f"{len(values)} values for {len(incoming.items)} items", offset=0)
        return values

    def _agreed(self, bits: Conformance) -> bool:
        return self._conformance & bits == bits

    def _access_agreed(self, items: _Items) -> bool:
        return self._agreed(Conformance.SELECTIVE_ACCESS) or all(access is None for _, access in items)


_BLOCK_HEADER = 8
"""Tag, choice, invoke id, last-block, block-number; GET has a choice octet more."""

_RECEIVERS: dict[type[Apdu], Callable[[Serving, Any], Request | Apdu]] = {
    GetRequestWithList: Serving._get_list,
    GetRequestNext: Serving._get_next,
    SetRequestNormal: Serving._set,
    SetRequestWithList: Serving._set_list,
    SetRequestWithFirstDatablock: Serving._set_first,
    SetRequestWithListAndFirstDatablock: Serving._set_list_first,
    SetRequestWithDatablock: Serving._set_block,
    ActionRequestNormal: Serving._action,
    ActionRequestWithList: Serving._action_list,
    ActionRequestWithFirstPblock: Serving._action_first,
    ActionRequestWithListAndFirstPblock: Serving._action_list_first,
    ActionRequestWithPblock: Serving._action_block,
    ActionRequestNextPblock: Serving._action_next,
    AccessRequest: Serving._access,
}


def _set_response(pending: _Open, result: SetResults) -> Apdu:
    octet, results = pending.octet, result.results
    if pending.is_list:
        if pending.block is not None:
            return SetResponseLastDatablockWithList(octet, results, pending.block)
        return SetResponseWithList(octet, results)
    if pending.block is not None:
        return SetResponseLastDatablock(octet, results[0], pending.block)
    return SetResponseNormal(octet, results[0])


def _is_attributes(items: _Items | tuple[MethodDescriptor, ...]) -> bool:
    return not items or not isinstance(items[0], MethodDescriptor)
