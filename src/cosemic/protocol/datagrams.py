"""Which datagrams came before. UDP may bring one twice, or late, and a client repeats what was not answered."""

from __future__ import annotations

import enum
from collections import deque

from cosemic.enums import ApduTag

_EXCHANGES = 8
"""Exchanges that are remembered: fewer than the sixteen invoke ids, so that no new request looks like an old one."""
_SEALED = 64
"""Other APDUs that are remembered; ciphered ones never repeat, as each has a counter of its own."""
_SECONDS = 30.0
"""And no longer than this, for clients that use one invoke id for everything."""


class Repetition(enum.Enum):
    """What a datagram is."""

    NEW = "not seen before"
    LAST = "the same as the last one"
    OLD = "the same as an earlier one"


class RecentDatagrams:
    """Remembers the APDUs of the last exchanges by their hash."""

    __slots__ = ("_exchanges", "_invoke_id", "_last", "_sealed", "_time")

    def __init__(self) -> None:
        self._exchanges: deque[tuple[float, set[int]]] = deque(maxlen=_EXCHANGES)
        self._sealed: deque[int] = deque(maxlen=_SEALED)
        self._invoke_id = -1
        self._last: int | None = None
        self._time = 0.0

    def clear(self) -> None:
        """Forget everything: a new association may use the same octets again."""
        self._exchanges.clear()
        self._sealed.clear()
        self._invoke_id = -1
        self._last = None

    def take(self, apdu: bytes, now: float) -> Repetition:
        """Judge an APDU and remember it."""
        mark = hash(apdu)
        if mark == self._last and now - self._time < _SECONDS:
            return Repetition.LAST
        if any(now - time < _SECONDS and mark in marks for time, marks in self._exchanges):
            return Repetition.OLD
        if mark in self._sealed:
            return Repetition.OLD
        self._last, self._time = mark, now
        if apdu[:1] not in _SERVICES or len(apdu) < 3:
            self._sealed.append(mark)
            return Repetition.NEW
        invoke_id = apdu[2] & 0x0F
        if invoke_id != self._invoke_id or not self._exchanges:
            self._exchanges.append((now, set()))
            self._invoke_id = invoke_id
        self._exchanges[-1][1].add(mark)
        return Repetition.NEW


_SERVICES = frozenset(
    bytes((tag,))
    for tag in (
        ApduTag.GET_REQUEST,
        ApduTag.SET_REQUEST,
        ApduTag.ACTION_REQUEST,
        ApduTag.GET_RESPONSE,
        ApduTag.SET_RESPONSE,
        ApduTag.ACTION_RESPONSE,
    )
)
