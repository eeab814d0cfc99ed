"""What the associations of both roles share: the state, the queues, and the trace without secrets."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

from cosemic.errors import LocalProtocolError
from cosemic.protocol.events import AssociationParameters
from cosemic.protocol.redaction import Redactor
from cosemic.protocol.states import STEPS, Event, State

logger = logging.getLogger("cosemic.protocol")

Trace: TypeAlias = Callable[[str, str, bytes], None]
"""Called with the layer ("link" or "apdu"), the direction ("in" or "out") and the octets, without secrets."""

_E = TypeVar("_E")


class Association(Generic[_E]):
    """One application association of one side, without its link: APDUs in, APDUs and events out."""

    __slots__ = ("_events", "_outgoing", "_redactor", "parameters", "state", "trace")

    def __init__(self, trace: Trace | None = None) -> None:
        self.state = State.IDLE
        self.parameters: AssociationParameters | None = None
        self.trace = trace
        self._events: list[_E] = []
        self._outgoing: list[bytes] = []
        self._redactor = Redactor()

    def events(self) -> list[_E]:
        """What happened since the last call."""
        events = self._events
        if events:
            self._events = []
        return events

    @property
    def has_apdus(self) -> bool:
        """Whether there is something to send."""
        return bool(self._outgoing)

    def apdus_to_send(self) -> list[bytes]:
        """The APDUs to hand to the link now, protected where they have to be."""
        outgoing = self._outgoing
        if outgoing:
            self._outgoing = []
        return outgoing

    def _step(self, event: Event, doing: str) -> None:
        """Go on to the next state, or raise LocalProtocolError where the own side may not do this now."""
        state = STEPS[self.state][event]
        if state is None:
            raise LocalProtocolError(_WRONG_MOMENT[self.state].format(doing))
        self.state = state

    def _advance(self, event: Event) -> None:
        """Go on to the next state; only called where the table has one."""
        state = STEPS[self.state][event]
        assert state is not None, (self.state, event)
        self.state = state


_WRONG_MOMENT = {
    State.IDLE: "{}: there is no association; connect first",
    State.ASSOCIATION_PENDING: "{}: the association is still being opened",
    State.AUTHENTICATION_PENDING: "{}: the authentication is still going on",
    State.ASSOCIATED: "{}: the association is open already",
    State.EXCHANGING: "{}: the previous request has not been answered yet",
    State.RELEASE_PENDING: "{}: the association is being released",
    State.CLOSED: "{}: this session has failed and is closed; reconnect with a new one",
}
