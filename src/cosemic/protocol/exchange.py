"""The client's side of GET, SET and ACTION: each request is a generator that yields APDUs and is sent the answers.

What a generator returns is the combined result, whatever number of APDUs it took. Lists that do not fit the negotiated
PDU size are split; values that do not fit travel in blocks (IEC 62056-5-3, 7.3 and 7.4). Before its first APDU a
generator checks the whole request against what was negotiated, so that a ``LocalProtocolError`` comes before a byte.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeAlias

from cosemic.apdu.base import Apdu
from cosemic.apdu.services import (
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
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithDatablock,
    GetResponseWithList,
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
from cosemic.enums import Conformance, DataAccessResult, DataType
from cosemic.errors import LocalProtocolError, RemoteProtocolError, SequenceError
from cosemic.protocol import blocks
from cosemic.protocol.blocks import BlockCollector, BlockCutter
from cosemic.protocol.requests import (
    Action,
    ActionResults,
    Get,
    GetResults,
    Request,
    Set,
    SetResults,
)
from cosemic.protocol.terms import Exchange, Terms
from cosemic.tolerances import Tolerance

_Item: TypeAlias = tuple[AttributeDescriptor, SelectiveAccess | None]
_GetResult: TypeAlias = Data | DataAccessResult | int


# GET


def single_get(request: Request, terms: Terms) -> GetRequestNormal | None:
    """The APDU of a GET that asks for one attribute as it is; None for every other request, which needs ``start``.

    This is what a client asks most, and most answers to it are complete: no generator is needed then.
    """
    if type(request) is not Get or len(request.items) != 1 or not terms.conformance & _GET or not terms.confirmed:
        return None
    if request.decode_later:
        return None
    attribute, access = request.items[0]
    return None if access is not None else GetRequestNormal(terms.invoke(), attribute)


def rest_of_single_get(response: Apdu, octet: int, terms: Terms) -> Exchange:
    """Go on where the answer to ``single_get`` is not complete: blocks, or an answer that is none."""
    return GetResults((yield from _get_rest(octet, response, 1, terms)))


def undecoded(request: Request | None, octets: bytes, tolerances: frozenset[Tolerance]) -> Apdu | None:
    """The answer to a request with ``decode_later``, if it is a complete one with an array; else None."""
    if type(request) is not Get or not request.decode_later:
        return None
    if len(octets) < 6 or octets[0] != GetResponseNormal.TAG or octets[1] != 1 or octets[3] or octets[4] not in _ARRAYS:
        return None
    return GetResponseNormal(octets[2], blocks.exact_later(octets[4:], tolerances))


def get(request: Get, terms: Terms) -> Generator[Apdu, Apdu, GetResults]:
    items = request.items
    if not terms.conformance & _GET:
        terms.require(Conformance.GET, "GET")
    if not terms.confirmed:
        raise LocalProtocolError("an unconfirmed GET would bring no answer")
    if len(items) == 1:
        attribute, access = items[0]
        if access is not None:
            _check_get_items(items, terms)
        octet = terms.invoke()
        response = yield GetRequestNormal(octet, attribute, access)
        if type(response) is GetResponseNormal:
            return GetResults((response.result,))
        return GetResults((yield from _get_rest(octet, response, 1, terms, request.decode_later)))
    _check_get_items(items, terms)
    results: list[_GetResult] = []
    for part in runs([_item_octets(item) for item in items], 3, 1, terms):
        octet = terms.invoke()
        group = items[part]
        if len(group) == 1:
            response = yield GetRequestNormal(octet, group[0][0], group[0][1])
        else:
            response = yield GetRequestWithList(octet, group)
        results += yield from _get_rest(octet, response, len(group), terms)
    return GetResults(tuple(results))


def _check_get_items(items: Sequence[_Item], terms: Terms) -> None:
    if not items:
        raise LocalProtocolError("a GET needs at least one attribute")
    for item in items:
        if item[1] is not None:
            terms.require(Conformance.SELECTIVE_ACCESS, "selective access")
        if 3 + _item_octets(item) > terms.room:
            raise LocalProtocolError(
                f"a GET request of {3 + _item_octets(item)} octets does not fit the meter's maximum PDU "
                f"({terms.room} octets before protection), and GET requests cannot be sent in blocks"
            )


def _get_rest(
    octet: int, response: Apdu, count: int, terms: Terms, decode_later: bool = False
) -> Generator[Apdu, Apdu, tuple[_GetResult, ...]]:
    """Everything after the first answer to a GET of ``count`` attributes."""
    if type(response) is GetResponseWithList:
        if len(response.results) != count:
            raise _short_list(len(response.results), count)
        return response.results
    if type(response) is GetResponseNormal:
        if count == 1:
            return (response.result,)
        if not isinstance(response.result, Data):
            return (response.result,) * count
        raise RemoteProtocolError(f"the meter answers a list of {count} attributes with a single value")
    collector = BlockCollector(terms.max_octets)
    while True:
        if type(response) is not GetResponseWithDatablock:
            if type(response) is GetResponseNormal and not isinstance(response.result, Data):
                return (response.result,) * count
            raise _unexpected(response, "GET")
        if not isinstance(response.result, bytes):
            return (response.result,) * count
        collector.add(response.block_number, response.result, response.last_block)
        if response.last_block:
            break
        response = yield GetRequestNext(octet, response.block_number)
    octets = bytes(collector.octets)
    if count == 1:
        return ((blocks.exact_later if decode_later else blocks.exact)(octets, terms.tolerances),)
    results = blocks.decode_get_results(octets, terms.tolerances)
    if len(results) != count:
        raise _short_list(len(results), count)
    return results


# SET


def set_(request: Set, terms: Terms) -> Generator[Apdu, Apdu, SetResults]:
    items, values = request.items, request.values
    terms.require(Conformance.SET, "SET")
    if not items or len(items) != len(values):
        raise LocalProtocolError(f"a SET needs one value for each attribute: {len(items)} and {len(values)} given")
    if any(access is not None for _, access in items):
        terms.require(Conformance.SELECTIVE_ACCESS, "selective access")
    blocks_agreed = bool(terms.conformance & Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE)
    sizes = [_item_octets(item) + len(value.octets) for item, value in zip(items, values, strict=True)]
    if not blocks_agreed and 3 + max(sizes) > terms.room:
        terms.require(
            Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE,
            f"a SET request of {3 + max(sizes)} octets does not fit the meter's maximum PDU "
            f"({terms.room} octets before protection) and would need blocks",
        )
    if 3 + max(sizes) > terms.room:
        _room(terms, 3 + _BLOCK_HEADER + max(map(_item_octets, items)), "SET")
    # With blocks the whole list is one service, so only the attribute descriptors have to fit the first APDU.
    if blocks_agreed:
        parts = runs([_item_octets(item) for item in items], 3 + _BLOCK_HEADER + _LEAST_BLOCK, 1, terms)
    else:
        parts = runs(sizes, 3, 2, terms)
    _check_confirmed(parts, [3 + size for size in sizes], terms)
    results: list[DataAccessResult | int] = []
    for part in parts:
        results += yield from _set_part(items[part], values[part], terms)
    return SetResults(tuple(results))


def _set_part(
    items: tuple[_Item, ...], values: tuple[Data, ...], terms: Terms
) -> Generator[Apdu, Apdu, tuple[DataAccessResult | int, ...]]:
    octet = terms.invoke()
    count = len(items)
    size = sum(map(_item_octets, items)) + sum(len(value.octets) for value in values)
    if count == 1 and 3 + size <= terms.room:
        response = yield SetRequestNormal(octet, items[0][0], items[0][1], values[0])
    elif count > 1 and 3 + 2 * _length_octets(count) + size <= terms.room:
        response = yield SetRequestWithList(octet, items, values)
    else:
        response = yield from _set_blocks(octet, items, values, terms)
    if isinstance(response, SetResponseNormal | SetResponseLastDatablock):
        result = response.result
        if count == 1 or result:
            return (result,) * count
        raise RemoteProtocolError(f"the meter answers a list of {count} attributes with a single result")
    if isinstance(response, SetResponseWithList | SetResponseLastDatablockWithList):
        results = response.results
        if len(results) != count:
            raise _short_list(len(results), count)
        return results
    raise _unexpected(response, "SET")


def _set_blocks(
    octet: int, items: tuple[_Item, ...], values: tuple[Data, ...], terms: Terms
) -> Generator[Apdu, Apdu, Apdu]:
    header = 3 + sum(map(_item_octets, items)) + _BLOCK_HEADER
    if len(items) == 1:
        cutter = BlockCutter(bytes(values[0]))
        last, number, chunk = cutter.next(_room(terms, header, "SET"))
        response = yield SetRequestWithFirstDatablock(octet, items[0][0], items[0][1], last, number, chunk)
    else:
        cutter = BlockCutter(blocks.encode_data_list(values))
        last, number, chunk = cutter.next(_room(terms, header + _length_octets(len(items)), "SET"))
        response = yield SetRequestWithListAndFirstDatablock(octet, items, last, number, chunk)
    while not last:
        if type(response) is not SetResponseDatablock:
            return response
        if response.block_number != number:
            raise SequenceError(f"the meter confirms block {response.block_number} where block {number} was sent")
        last, number, chunk = cutter.next(_room(terms, 3 + _BLOCK_HEADER, "SET"))
        response = yield SetRequestWithDatablock(octet, last, number, chunk)
    return response


# ACTION


def action(request: Action, terms: Terms) -> Generator[Apdu, Apdu, ActionResults]:
    methods, parameters = request.items, request.parameters
    terms.require(Conformance.ACTION, "ACTION")
    if not methods or len(methods) != len(parameters):
        raise LocalProtocolError(
            f"an ACTION needs parameters (or None) for each method: {len(methods)} and {len(parameters)} given"
        )
    blocks_agreed = bool(terms.conformance & Conformance.BLOCK_TRANSFER_WITH_ACTION)
    sizes = [_METHOD + 1 + (0 if data is None else len(data.octets)) for data in parameters]
    if not blocks_agreed and 3 + max(sizes) > terms.room:
        terms.require(
            Conformance.BLOCK_TRANSFER_WITH_ACTION,
            f"an ACTION request of {3 + max(sizes)} octets does not fit the meter's maximum PDU "
            f"({terms.room} octets before protection) and would need blocks",
        )
    if 3 + max(sizes) > terms.room:
        _room(terms, 3 + _BLOCK_HEADER + _METHOD, "ACTION")
    if blocks_agreed:
        parts = runs([_METHOD] * len(methods), 3 + _BLOCK_HEADER + _LEAST_BLOCK, 1, terms)
    else:
        parts = runs(sizes, 3, 2, terms)
    _check_confirmed(parts, [3 + size for size in sizes], terms)
    outcomes: list[ActionOutcome] = []
    for part in parts:
        outcomes += yield from _action_part(methods[part], parameters[part], terms)
    return ActionResults(tuple(outcomes))


def _action_part(
    methods: tuple[object, ...], parameters: tuple[Data | None, ...], terms: Terms
) -> Generator[Apdu, Apdu, tuple[ActionOutcome, ...]]:
    octet = terms.invoke()
    count = len(methods)
    null = Data.of(None)
    values = tuple(null if data is None else data for data in parameters)
    size = sum(len(value.octets) for value in values)
    if count == 1 and 3 + _METHOD + 1 + (0 if parameters[0] is None else size) <= terms.room:
        response = yield ActionRequestNormal(octet, methods[0], parameters[0])  # type: ignore[arg-type]
    elif count > 1 and 3 + 2 * _length_octets(count) + _METHOD * count + size <= terms.room:
        response = yield ActionRequestWithList(octet, methods, values)  # type: ignore[arg-type]
    else:
        response = yield from _action_blocks(octet, methods, values, terms)
    if type(response) is ActionResponseWithPblock:
        return (yield from _action_response_blocks(octet, response, count, terms))
    if type(response) is ActionResponseNormal:
        if count == 1 or response.result:
            return (ActionOutcome(response.result, response.return_parameters),) * count
        raise RemoteProtocolError(f"the meter answers a list of {count} methods with a single result")
    if type(response) is ActionResponseWithList:
        if len(response.results) != count:
            raise _short_list(len(response.results), count)
        return response.results
    raise _unexpected(response, "ACTION")


def _action_blocks(
    octet: int, methods: tuple[object, ...], values: tuple[Data, ...], terms: Terms
) -> Generator[Apdu, Apdu, Apdu]:
    header = 3 + _METHOD * len(methods) + _BLOCK_HEADER
    if len(methods) == 1:
        cutter = BlockCutter(bytes(values[0]))
        last, number, chunk = cutter.next(_room(terms, header, "ACTION"))
        response = yield ActionRequestWithFirstPblock(octet, methods[0], last, number, chunk)  # type: ignore[arg-type]
    else:
        cutter = BlockCutter(blocks.encode_data_list(values))
        last, number, chunk = cutter.next(_room(terms, header + _length_octets(len(methods)), "ACTION"))
        response = yield ActionRequestWithListAndFirstPblock(octet, methods, last, number, chunk)  # type: ignore[arg-type]
    while not last:
        if type(response) is not ActionResponseNextPblock:
            return response
        if response.block_number != number:
            raise SequenceError(f"the meter asks for the block after {response.block_number}, {number} was sent")
        last, number, chunk = cutter.next(_room(terms, 3 + _BLOCK_HEADER, "ACTION"))
        response = yield ActionRequestWithPblock(octet, last, number, chunk)
    return response


def _action_response_blocks(
    octet: int, response: Apdu, count: int, terms: Terms
) -> Generator[Apdu, Apdu, tuple[ActionOutcome, ...]]:
    collector = BlockCollector(terms.max_octets)
    while True:
        if type(response) is not ActionResponseWithPblock:
            if type(response) is ActionResponseNormal and response.result:
                return (ActionOutcome(response.result, response.return_parameters),) * count
            raise _unexpected(response, "ACTION")
        collector.add(response.block_number, response.raw_data, response.last_block)
        if response.last_block:
            break
        response = yield ActionRequestNextPblock(octet, response.block_number)
    octets = bytes(collector.octets)
    if count == 1:
        return (blocks.decode_outcome(octets),)
    outcomes = blocks.decode_outcomes(octets, terms.tolerances)
    if len(outcomes) != count:
        raise _short_list(len(outcomes), count)
    return outcomes


# Sizes

_GET = int(Conformance.GET)
_METHOD = 9
_ARRAYS = (DataType.ARRAY, DataType.COMPACT_ARRAY)
_BLOCK_HEADER = 5
"""last-block and block-number; the length of the raw data is counted with the raw data."""
_LEAST_BLOCK = 2
"""One octet and its length."""


def _item_octets(item: _Item) -> int:
    access = item[1]
    return 10 if access is None else 11 + len(access.parameters.octets)


def _length_octets(count: int) -> int:
    return 1 if count < 0x80 else 2 if count < 0x100 else 3


def _room(terms: Terms, header: int, service: str) -> int:
    room = terms.room - header
    if room < _LEAST_BLOCK:
        raise LocalProtocolError(f"the meter's maximum PDU leaves no room for blocks of a {service} request")
    return room


def runs(sizes: Sequence[int], header: int, counts: int, terms: Terms) -> list[slice]:
    """Cut a list into runs that fit one request each, single ones if lists were not agreed on.

    ``counts`` tells how often the number of items stands in the request.
    """
    if not terms.conformance & Conformance.MULTIPLE_REFERENCES:
        return [slice(index, index + 1) for index in range(len(sizes))]
    parts: list[slice] = []
    first, total = 0, 0
    for index, size in enumerate(sizes):
        count_octets = counts * _length_octets(index - first + 1)
        if index > first and header + count_octets + total + size > terms.room:
            parts.append(slice(first, index))
            first, total = index, 0
        total += size
    parts.append(slice(first, len(sizes)))
    return parts


def _check_confirmed(parts: Sequence[slice], sizes: Sequence[int], terms: Terms) -> None:
    if not terms.confirmed and (len(parts) > 1 or sum(sizes) > terms.room):
        raise LocalProtocolError("an unconfirmed request has to fit one APDU")


def _short_list(found: int, asked: int) -> RemoteProtocolError:
    return RemoteProtocolError(f"the meter's answer to a list of {asked} holds {found} results")


def _unexpected(response: Apdu, service: str) -> SequenceError:
    return SequenceError(f"{type(response).__name__} does not answer this {service} request")
