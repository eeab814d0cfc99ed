"""ACCESS, both roles: GET, SET and ACTION items in one request and one response (IEC 62056-5-3, 6.13 and 7.3.9).

The answer is told apart by its long invoke id. Its lists of data and of results have an item for each of the request,
null-data where there is none; an answer whose lists do not is refused as a whole, for nobody can tell what belongs to
what. After an error with break-on-error the remaining items are not carried out: other-reason.

No ciphered APDU of its own exists for ACCESS: where it is protected, it is general-glo or general-ded.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from cosemic.apdu.base import Apdu, long_invoke_number
from cosemic.apdu.services import (
    AccessAction,
    AccessGet,
    AccessOutcome,
    AccessRequest,
    AccessResponse,
    AccessSet,
    AccessSpecification,
)
from cosemic.codec.axdr import Data
from cosemic.enums import ActionResult, Conformance, DataAccessResult
from cosemic.errors import LocalProtocolError, RemoteProtocolError
from cosemic.protocol.requests import Access, AccessResult, AccessResults
from cosemic.protocol.terms import Terms

_NULL: Final = Data.of(None)
_GENERAL: Final = 9
"""Octets that general protection takes more than a ciphered APDU of its own: the system title."""


def access(request: Access, terms: Terms) -> Generator[Apdu, Apdu, AccessResults]:
    """The client's exchange."""
    terms.require(Conformance.ACCESS, "ACCESS")
    items, data = request.items, request.data
    if not items or len(items) != len(data):
        raise LocalProtocolError(f"an ACCESS needs data (or None) for each item: {len(items)} and {len(data)} given")
    invoke = long_invoke_number(
        terms.long_invoke(),
        terms.confirmed,
        terms.high_priority,
        self_descriptive=request.self_descriptive,
        break_on_error=request.break_on_error,
    )
    values = tuple(_NULL if value is None else value for value in data)
    apdu = AccessRequest(invoke, request.date_time, items, values)
    size = len(apdu.encode())
    if size > max(terms.room, terms.room_in_blocks) - _GENERAL:
        terms.require(
            Conformance.GENERAL_BLOCK_TRANSFER,
            f"an ACCESS request of {size} octets does not fit the meter's maximum PDU "
            f"({terms.room - _GENERAL} octets before protection)",
        )
        raise LocalProtocolError(f"an ACCESS request of {size} octets is too long even for general blocks")
    response = yield apdu
    if type(response) is not AccessResponse:
        raise RemoteProtocolError(f"{type(response).__name__} does not answer an ACCESS request")
    _check(response, items)
    return AccessResults(
        tuple(
            AccessResult(outcome.result, value if _has_value(item, outcome, value) else None)
            for item, outcome, value in zip(items, response.results, response.data, strict=True)
        ),
        response.date_time,
    )


def requested(apdu: AccessRequest) -> Access | None:
    """What a client asks for; None where its lists disagree."""
    if not apdu.specifications or len(apdu.specifications) != len(apdu.data):
        return None
    return Access(apdu.specifications, apdu.data, apdu.self_descriptive, apdu.break_on_error, apdu.date_time)


def response(long_invoke_id_and_priority: int, request: Access, results: AccessResults) -> AccessResponse:
    """The server's answer; LocalProtocolError where it has not one result for each item."""
    if len(results.results) != len(request.items):
        raise LocalProtocolError(f"respond: {len(results.results)} results for an ACCESS of {len(request.items)} items")
    return AccessResponse(
        long_invoke_id_and_priority,
        results.date_time,
        request.items if request.self_descriptive else None,
        tuple(_NULL if item.data is None else item.data for item in results.results),
        tuple(
            AccessOutcome(_kind(item), result.result)
            for item, result in zip(request.items, results.results, strict=True)
        ),
    )


def _check(response: AccessResponse, items: tuple[AccessSpecification, ...]) -> None:
    count = len(items)
    if len(response.results) != count or len(response.data) != count:
        raise RemoteProtocolError(
            f"the meter answers an ACCESS of {count} items with {len(response.results)} results "
            f"and {len(response.data)} data"
        )
    if response.specifications is not None and response.specifications != items:
        raise RemoteProtocolError("the meter answers an ACCESS that was not asked: its specifications are others")
    for item, outcome in zip(items, response.results, strict=True):
        if outcome.kind != _kind(item):
            raise RemoteProtocolError(
                f"the meter answers {type(item).__name__} with the result of another service (choice {outcome.kind})"
            )


def _has_value(item: AccessSpecification, outcome: AccessOutcome, value: Data) -> bool:
    """Null-data is what a GET has read where it succeeded; elsewhere it stands for nothing."""
    if isinstance(item, AccessGet):
        return outcome.result == DataAccessResult.SUCCESS
    return isinstance(item, AccessAction) and outcome.result == ActionResult.SUCCESS and value != _NULL


def _kind(item: AccessSpecification) -> int:
    return 1 if isinstance(item, AccessGet) else 2 if isinstance(item, AccessSet) else 3
