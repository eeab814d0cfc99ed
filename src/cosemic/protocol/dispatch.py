"""Which exchange serves a client's request. A further kind of request is a line in each of these two tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cosemic.errors import LocalProtocolError
from cosemic.protocol import access, exchange, short_name_exchange
from cosemic.protocol.requests import (
    Access,
    AccessResults,
    Action,
    ActionResults,
    Get,
    Request,
    Result,
    Set,
    SetResults,
)
from cosemic.protocol.terms import Exchange, Terms

_EXCHANGES: dict[type, Callable[[Any, Terms], Exchange]] = {
    Get: exchange.get,
    Set: exchange.set_,
    Action: exchange.action,
    Access: access.access,
}

_UNANSWERED: dict[type, Result] = {Set: SetResults(()), Action: ActionResults(()), Access: AccessResults(())}
"""What an unconfirmed request ends with."""


def start(request: Request, terms: Terms) -> Exchange:
    """The exchange for a request; LocalProtocolError where there is none."""
    if terms.short_names is not None:
        return short_name_exchange.start(request, terms, terms.short_names)
    exchange_of = _EXCHANGES.get(type(request))
    if exchange_of is None:
        raise LocalProtocolError(f"a request is a Get, a Set, an Action or an Access, not {type(request).__name__}")
    return exchange_of(request, terms)


def unanswered(request: Request) -> Result:
    """The result of a request that was sent unconfirmed."""
    return _UNANSWERED[type(request)]
