"""The client's side of Read, Write and UnconfirmedWrite: Get, Set and Action by short names (IEC 62056-5-3, 7.3).

Each request is a generator as in ``exchange``: it yields APDUs, is sent the answers, and returns the combined result.

=======================================  ===========================================================
request                                  service
=======================================  ===========================================================
Get                                      Read of variable-name
Get with selective access                Read of parameterized-access
Set                                      Write
Action with parameters or return values  Read of parameterized-access, selector 0
Action without either                    Write of null-data
unconfirmed Set or Action                UnconfirmedWrite
=======================================  ===========================================================

Objects that the meter does not list are answered here, without a word to the meter. A request that is too long travels
in blocks: cut is what follows the tag of the request in one piece.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import groupby
from typing import TypeAlias

from cosemic.apdu.base import Apdu
from cosemic.apdu.services import (
    ActionOutcome,
    ActionResponseNormal,
    BlockNumber,
    BlockNumberAccess,
    DataBlockResult,
    MethodDescriptor,
    ParameterizedAccess,
    ReadDataBlockAccess,
    ReadRequest,
    ReadResponse,
    UnconfirmedWriteRequest,
    VariableName,
    WriteDataBlockAccess,
    WriteRequest,
    WriteResponse,
)
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import ActionResult, Conformance, DataAccessResult, known
from cosemic.errors import LocalProtocolError, RemoteProtocolError, SequenceError
from cosemic.protocol import blocks
from cosemic.protocol.blocks import BlockCollector, BlockCutter
from cosemic.protocol.exchange import runs
from cosemic.protocol.requests import Action, ActionResults, Get, GetResults, Request, Set, SetResults
from cosemic.protocol.short_naming import REPLY_TO_HLS_NAME, ShortNames
from cosemic.protocol.terms import Exchange, Terms

_Access: TypeAlias = VariableName | ParameterizedAccess
_ReadResult: TypeAlias = Data | DataAccessResult | int
_WriteResult: TypeAlias = DataAccessResult | int
_NULL = Data.of(None)


def start(request: Request, terms: Terms, names: ShortNames) -> Exchange:
    """The exchange for a request; LocalProtocolError where there is none."""
    if isinstance(request, Get):
        return _get(request, terms, names)
    if isinstance(request, Set):
        return _set(request, terms, names)
    if isinstance(request, Action):
        return _action(request, terms, names)
    raise LocalProtocolError(f"with short names a request is a Get, a Set or an Action, not {type(request).__name__}")


def authentication_request(proof: Data) -> ReadRequest:
    """Pass 3 of HLS: reply_to_HLS_authentication of the Association SN object."""
    return ReadRequest((ParameterizedAccess(REPLY_TO_HLS_NAME, 0, proof),))


def authentication_answer(response: Apdu) -> ActionResponseNormal:
    """Pass 4 as an ACTION response would carry it; SequenceError for what is no answer to pass 3."""
    if not isinstance(response, ReadResponse) or len(response.results) != 1:
        raise SequenceError(f"{type(response).__name__} does not answer pass 3 of the authentication")
    result = response.results[0]
    if isinstance(result, Data):
        return ActionResponseNormal(0, ActionResult.SUCCESS, result)
    if isinstance(result, DataBlockResult | BlockNumber):
        raise SequenceError("the meter answers pass 3 of the authentication with a block")
    return ActionResponseNormal(0, known(ActionResult, int(result)), None)


# What is asked


def _get(request: Get, terms: Terms, names: ShortNames) -> Generator[Apdu, Apdu, GetResults]:
    terms.require(Conformance.READ, "Read")
    if not terms.confirmed:
        raise LocalProtocolError("an unconfirmed Read would bring no answer")
    if not request.items:
        raise LocalProtocolError("a GET needs at least one attribute")
    wanted: list[_Access] = []
    results: list[_ReadResult | None] = []
    for at, access in request.items:
        name = names.attribute_name(at)
        if isinstance(name, DataAccessResult):
            results.append(name)
            continue
        results.append(None)
        if access is None:
            wanted.append(VariableName(name))
        else:
            terms.require(Conformance.PARAMETERIZED_ACCESS, "selective access")
            wanted.append(ParameterizedAccess(name, access.selector, access.parameters))
    found = iter((yield from _read(wanted, terms)))
    return GetResults(tuple(next(found) if result is None else result for result in results))


def _set(request: Set, terms: Terms, names: ShortNames) -> Generator[Apdu, Apdu, SetResults]:
    if not request.items or len(request.items) != len(request.values):
        counts = f"{len(request.items)} and {len(request.values)} given"
        raise LocalProtocolError(f"a SET needs one value for each attribute: {counts}")
    wanted: list[_Access] = []
    values: list[Data] = []
    results: list[_WriteResult | None] = []
    for (at, access), value in zip(request.items, request.values, strict=True):
        name = names.attribute_name(at)
        if isinstance(name, DataAccessResult):
            results.append(name)
            continue
        results.append(None)
        values.append(value)
        if access is None:
            wanted.append(VariableName(name))
        else:
            terms.require(Conformance.PARAMETERIZED_ACCESS, "selective access")
            wanted.append(ParameterizedAccess(name, access.selector, access.parameters))
    if not terms.confirmed:
        yield _unconfirmed(wanted, values, results, terms)
        return SetResults(())
    found = iter((yield from _write(wanted, values, terms)))
    return SetResults(tuple(next(found) if result is None else result for result in results))


def _action(request: Action, terms: Terms, names: ShortNames) -> Generator[Apdu, Apdu, ActionResults]:
    methods, parameters = request.items, request.parameters
    if not methods or len(methods) != len(parameters):
        counts = f"{len(methods)} and {len(parameters)} given"
        raise LocalProtocolError(f"an ACTION needs parameters (or None) for each method: {counts}")
    found = [names.method_name(at) for at in methods]
    if not terms.confirmed:
        wanted: list[_Access] = [VariableName(name) for name in found if not isinstance(name, DataAccessResult)]
        yield _unconfirmed(wanted, [_NULL if data is None else data for data in parameters], found, terms)
        return ActionResults(())
    ways = [_way(at, name, data, terms, names) for at, name, data in zip(methods, found, parameters, strict=True)]
    outcomes: list[ActionOutcome] = []
    for way, group in groupby(range(len(methods)), key=ways.__getitem__):
        at = list(group)
        data = [parameters[index] or _NULL for index in at]
        if way is None:
            outcomes += [_outcome(found[index]) for index in at]
        elif way is Conformance.READ:
            calls: list[_Access] = [
                ParameterizedAccess(int(found[index]), 0, value) for index, value in zip(at, data, strict=True)
            ]
            outcomes += map(_outcome, (yield from _read(calls, terms)))
        else:
            calls = [VariableName(int(found[index])) for index in at]
            outcomes += map(_outcome, (yield from _write(calls, data, terms)))
    return ActionResults(tuple(outcomes))


def _way(
    at: MethodDescriptor, name: int | DataAccessResult, data: Data | None, terms: Terms, names: ShortNames
) -> Conformance | None:
    """By which service a method is invoked; None for one that the meter does not list."""
    if isinstance(name, DataAccessResult):
        return None
    returns = names.returns_value(at)
    if returns or (data is not None and terms.conformance & Conformance.PARAMETERIZED_ACCESS):
        terms.require(Conformance.PARAMETERIZED_ACCESS, "a method that returns a value")
        terms.require(Conformance.READ, "a method that returns a value")
        return Conformance.READ
    terms.require(Conformance.WRITE, "Write")
    return Conformance.WRITE


def _outcome(result: _ReadResult) -> ActionOutcome:
    if isinstance(result, Data):
        return ActionOutcome(ActionResult.SUCCESS, None if result == _NULL else result)
    return ActionOutcome(known(ActionResult, int(result)), None)


def _unconfirmed(
    wanted: Sequence[_Access], values: Sequence[Data], results: Sequence[object], terms: Terms
) -> UnconfirmedWriteRequest:
    terms.require(Conformance.UNCONFIRMED_WRITE, "UnconfirmedWrite")
    if len(wanted) != len(results):
        raise LocalProtocolError("an unconfirmed request names an object that the object list does not hold")
    if len(wanted) > 1:
        terms.require(Conformance.MULTIPLE_REFERENCES, "a list in one UnconfirmedWrite")
    request = UnconfirmedWriteRequest(tuple(wanted), tuple(values))
    if len(request.encode()) > terms.room:
        raise LocalProtocolError("an unconfirmed request has to fit one APDU")
    return request


# Read


def _read(wanted: Sequence[_Access], terms: Terms) -> Generator[Apdu, Apdu, list[_ReadResult]]:
    if not wanted:
        return []
    sizes = [len(item.encode()) for item in wanted]
    bit = Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    _check_room(max(sizes) + 2, bit, _READ_BLOCK, "Read", terms)
    results: list[_ReadResult] = []
    for part in runs(sizes, 1, 1, terms):
        request = ReadRequest(tuple(wanted[part]))
        octets = request.encode()
        if len(octets) <= terms.room:
            response = yield request
        else:
            response = yield from _read_request_blocks(octets[1:], terms)
        results += yield from _read_rest(response, len(request.specifications), terms)
    return results


def _read_request_blocks(octets: bytes, terms: Terms) -> Generator[Apdu, Apdu, Apdu]:
    cutter = BlockCutter(octets)
    while True:
        last, number, chunk = _next_block(cutter, terms.room - _READ_BLOCK, "Read")
        response = yield ReadRequest((ReadDataBlockAccess(last, number, chunk),))
        if last or not _goes_on(response, ReadResponse, number):
            return response


def _read_rest(response: Apdu, count: int, terms: Terms) -> Generator[Apdu, Apdu, Sequence[_ReadResult]]:
    """Everything after the first answer to a Read of ``count`` names."""
    collector = BlockCollector(terms.max_octets)
    while True:
        if not isinstance(response, ReadResponse):
            raise _unexpected(response, "Read")
        first = response.results[0] if len(response.results) == 1 else None
        if not isinstance(first, DataBlockResult):
            break
        collector.add(first.block_number, first.raw_data, first.last_block)
        if first.last_block:
            return _results_of_blocks(bytes(collector.octets), count, terms)
        response = yield ReadRequest((BlockNumberAccess(first.block_number),))
    if isinstance(first, int) and (collector.number or count > 1):
        return (first,) * count  # it refuses the list, or the next block, as a whole
    if collector.number:
        raise SequenceError(f"the meter ends a long Read after block {collector.number} without its last block")
    return _complete(response.results, count)


def _complete(results: Sequence[object], count: int) -> list[_ReadResult]:
    if len(results) != count:
        raise RemoteProtocolError(f"the meter's answer to a Read of {count} names holds {len(results)} results")
    complete: list[_ReadResult] = []
    for result in results:
        if isinstance(result, DataBlockResult | BlockNumber):
            raise RemoteProtocolError("the meter's answer to a Read mixes blocks with results")
        complete.append(result)  # type: ignore[arg-type]
    return complete


def _results_of_blocks(octets: bytes, count: int, terms: Terms) -> Sequence[_ReadResult]:
    """What the blocks of a Read hold.

    Servers differ about a single value: some put the bare value into the blocks, others a list of one result. The
    beginning of the latter, 01 00, would be an array of no elements with something after it.
    """
    if count == 1 and (octets[:2] != _LIST_OF_ONE or len(octets) == 2):
        return (blocks.exact(octets, terms.tolerances),)
    return _complete(blocks.decode_get_results(octets, terms.tolerances), count)


# Write


def _write(
    wanted: Sequence[_Access], values: Sequence[Data], terms: Terms
) -> Generator[Apdu, Apdu, list[_WriteResult]]:
    if not wanted:
        return []
    terms.require(Conformance.WRITE, "Write")
    sizes = [len(item.encode()) + len(value.octets) for item, value in zip(wanted, values, strict=True)]
    bit = Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    _check_room(max(sizes) + 3, bit, _WRITE_BLOCK, "Write", terms)
    results: list[_WriteResult] = []
    for part in runs(sizes, 1, 2, terms):
        request = WriteRequest(tuple(wanted[part]), tuple(values[part]))
        octets = request.encode()
        if len(octets) <= terms.room:
            response = yield request
        else:
            response = yield from _write_request_blocks(octets[1:], terms)
        results += _write_results(response, len(request.specifications))
    return results


def _write_request_blocks(octets: bytes, terms: Terms) -> Generator[Apdu, Apdu, Apdu]:
    cutter = BlockCutter(octets)
    while True:
        last, number, chunk = _next_block(cutter, terms.room - _WRITE_BLOCK, "Write")
        block = Data.of(axdr.octet_string(chunk))
        response = yield WriteRequest((WriteDataBlockAccess(last, number),), (block,))
        if last or not _goes_on(response, WriteResponse, number):
            return response


def _write_results(response: Apdu, count: int) -> Sequence[_WriteResult]:
    if not isinstance(response, WriteResponse):
        raise _unexpected(response, "Write")
    results = response.results
    if len(results) == 1 < count and isinstance(results[0], int) and results[0]:
        return (results[0],) * count
    if len(results) != count:
        raise RemoteProtocolError(f"the meter's answer to a Write of {count} names holds {len(results)} results")
    complete: list[_WriteResult] = []
    for result in results:
        if isinstance(result, BlockNumber):
            raise RemoteProtocolError("the meter confirms the last block of a Write without saying what came of it")
        complete.append(result)
    return complete


# Blocks

_READ_BLOCK = 6
"""Tag, count, choice, last-block, block-number; the length of the raw data is counted with the raw data."""
_WRITE_BLOCK = 8
"""The same, and the count of data and the type of the octet-string."""
_LAST_BLOCK_NUMBER = 0xFFFF
_LIST_OF_ONE = b"\x01\x00"


def _check_room(size: int, bit: Conformance, header: int, service: str, terms: Terms) -> None:
    if size <= terms.room:
        return
    terms.require(
        bit,
        f"a {service} request of {size} octets does not fit the meter's maximum PDU "
        f"({terms.room} octets before protection) and would need blocks",
    )
    chunk = blocks.block_octets(terms.room - header)
    if chunk < 1 or (size + 4) // chunk >= _LAST_BLOCK_NUMBER:
        raise LocalProtocolError(f"the meter's maximum PDU leaves no room for the blocks of this {service} request")


def _next_block(cutter: BlockCutter, room: int, service: str) -> tuple[bool, int, bytes]:
    last, number, chunk = cutter.next(room)
    if number > _LAST_BLOCK_NUMBER:
        raise LocalProtocolError(f"a {service} request has at most {_LAST_BLOCK_NUMBER} blocks")
    return last, number, chunk


def _goes_on(response: Apdu, kind: type[ReadResponse | WriteResponse], number: int) -> bool:
    """Whether the meter took a block; False for a response that ends the transfer instead."""
    if not isinstance(response, kind) or len(response.results) != 1:
        return False
    result = response.results[0]
    if not isinstance(result, BlockNumber):
        if isinstance(result, int) and result:
            return False
        raise SequenceError(f"the meter answers before the last block of the request was sent (block {number})")
    if result.block_number != number:
        raise SequenceError(f"the meter confirms block {result.block_number} where block {number} was sent")
    return True


def _unexpected(response: Apdu, service: str) -> SequenceError:
    return SequenceError(f"{type(response).__name__} does not answer this {service} request")
