"""The states of an application association, and what leads from one to the next. The table serves both roles.

A client and a server walk the same table: where the client sends an AARQ the server receives it, and so on. A pair of
state and event that the table does not hold is wrong: a ``LocalProtocolError`` where the own side caused it, a
``SequenceError`` (client) or an exception-response (server) where the peer did.
"""

from __future__ import annotations

import enum


class State(enum.IntEnum):
    """Where an application association stands (IEC 62056-5-3, 6.2, with the exchange added)."""

    IDLE = 0
    """No association."""
    ASSOCIATION_PENDING = 1
    """AARQ sent or received, AARE not yet."""
    AUTHENTICATION_PENDING = 2
    """AARE accepted with authentication required; passes 3 and 4 of HLS are still to come."""
    ASSOCIATED = 3
    """Ready for a request."""
    EXCHANGING = 4
    """A confirmed request waits for its response, blocks included."""
    RELEASE_PENDING = 5
    """RLRQ sent or received, RLRE not yet."""
    CLOSED = 6
    """A fatal error: only a new session helps."""


class Event(enum.IntEnum):
    """What moves an association."""

    ASSOCIATE = 0
    """AARQ."""
    ACCEPT = 1
    """AARE: accepted."""
    CHALLENGE = 2
    """AARE: accepted, authentication required."""
    REFUSE = 3
    """AARE: rejected, or an error in its place."""
    AUTHENTICATED = 4
    """Passes 3 and 4 are proved."""
    NOT_AUTHENTICATED = 5
    """Pass 3 or 4 failed."""
    PRE_ESTABLISH = 6
    """The association exists by agreement, without AARQ."""
    REQUEST = 7
    """A confirmed service request."""
    CONTINUE = 8
    """A further block, or the next part of a split list."""
    FINISH = 9
    """The response is complete, or an error ended the exchange."""
    NOTIFY = 10
    """A push or an event: disturbs nothing."""
    RELEASE = 11
    """RLRQ, or a release without one."""
    RELEASED = 12
    """RLRE, or what stands for it."""
    ABORT = 13
    """The link went down, or the own side ended it."""
    FAIL = 14
    """A fatal error."""


TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.IDLE, Event.ASSOCIATE): State.ASSOCIATION_PENDING,
    (State.IDLE, Event.PRE_ESTABLISH): State.ASSOCIATED,
    (State.IDLE, Event.NOTIFY): State.IDLE,
    (State.ASSOCIATION_PENDING, Event.ACCEPT): State.ASSOCIATED,
    (State.ASSOCIATION_PENDING, Event.CHALLENGE): State.AUTHENTICATION_PENDING,
    (State.ASSOCIATION_PENDING, Event.REFUSE): State.IDLE,
    (State.ASSOCIATION_PENDING, Event.NOTIFY): State.ASSOCIATION_PENDING,
    (State.AUTHENTICATION_PENDING, Event.AUTHENTICATED): State.ASSOCIATED,
    (State.AUTHENTICATION_PENDING, Event.NOT_AUTHENTICATED): State.IDLE,
    (State.AUTHENTICATION_PENDING, Event.NOTIFY): State.AUTHENTICATION_PENDING,
    (State.AUTHENTICATION_PENDING, Event.RELEASE): State.RELEASE_PENDING,
    (State.ASSOCIATED, Event.REQUEST): State.EXCHANGING,
    (State.ASSOCIATED, Event.NOTIFY): State.ASSOCIATED,
    (State.ASSOCIATED, Event.RELEASE): State.RELEASE_PENDING,
    (State.EXCHANGING, Event.CONTINUE): State.EXCHANGING,
    (State.EXCHANGING, Event.FINISH): State.ASSOCIATED,
    (State.EXCHANGING, Event.NOTIFY): State.EXCHANGING,
    (State.RELEASE_PENDING, Event.RELEASED): State.IDLE,
    (State.RELEASE_PENDING, Event.NOTIFY): State.RELEASE_PENDING,
    **{(state, Event.ABORT): State.IDLE for state in State if state is not State.CLOSED},
    **{(state, Event.FAIL): State.CLOSED for state in State},
}
"""Every allowed step. What is not here is not allowed."""

STEPS: tuple[tuple[State | None, ...], ...] = tuple(
    tuple(TRANSITIONS.get((state, event)) for event in Event) for state in State
)
"""The same as ``STEPS[state][event]``, for speed; None where nothing leads on."""
