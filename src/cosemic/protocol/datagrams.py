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
        if apdu[:1] == _BLOCK:
            return Repetition.NEW  # the numbers of general blocks tell, and two exchanges may have the same blocks
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
        invoke_id = (apdu[4] if len(apdu) > 4 and apdu[:1] in _ACCESS else apdu[2]) & 0x0F
        if invoke_id != self._invoke_id or not self._exchanges:
            self._exchanges.append((now, set()))
            self._invoke_id = invoke_id
        self._exchanges[-1][1].add(mark)
        return Repetition.NEW


class AnsweredRequests:
    """A server's side of it: a request that comes again is answered again, not carried out again.

    A plain GET is left alone: it changes nothing, and a client with a constant invoke id wants a fresh value. Two equal
    plain SET or ACTION requests within half a minute, with nothing else of that client between them, are one to us; a
    client that means two gives them different invoke ids.
    """

    __slots__ = ("_aare", "_aarq", "_answers", "_block", "_keeps", "_recent")

    def __init__(self) -> None:
        self._recent = RecentDatagrams()
        self._answers: list[bytes] = []
        self._aarq: int | None = None
        self._aare: list[bytes] = []
        self._keeps = False
        self._block: bytes | None = None

    def repeated(self, apdu: bytes, now: float, is_open: bool) -> list[bytes] | None:
        """The answers to send again (none to one that is late as well); None for an APDU that is new.

        ``is_open``: there is an association. The AARQ that opened it is answered again and does not end it.
        """
        if apdu[:1] == _BLOCK:
            # A repeated acknowledgement asks for a window again, a repeated last block for the answer.
            if apdu == self._block:
                return self._answers
            if apdu[2:6] == _FIRST_BLOCK and len(apdu) > 7:
                content = apdu[7 + (apdu[6] & 0x7F if apdu[6] & 0x80 else 0) :]
                if self._recent.take(content, now) is not Repetition.NEW:
                    return []  # late: the request that it began is over, or further on
            self._block = apdu
            self._answers = []
            self._keeps = True
            return None
        self._block = None
        if apdu[:2] in _HARMLESS:
            self._keeps = False
            return None
        repetition = self._recent.take(apdu, now)
        if repetition is Repetition.LAST:
            return self._answers
        if apdu[:1] == _AARQ:
            if is_open and hash(apdu) == self._aarq:
                return self._aare
            self._recent.clear()  # a new association may repeat the requests of the last one
            self._recent.take(apdu, now)
            self._aarq = hash(apdu)
            self._answers = self._aare = []
            self._keeps = True
            return None
        if repetition is Repetition.OLD:
            return []
        self._answers = []
        self._keeps = True
        return None

    def add(self, answer: bytes) -> None:
        """Note what was answered to the APDU that came last."""
        if self._keeps:
            self._answers.append(answer)


_AARQ = bytes((ApduTag.AARQ,))
_BLOCK = bytes((ApduTag.GENERAL_BLOCK_TRANSFER,))
_FIRST_BLOCK = bytes((0, 1, 0, 0))
"""Block 1, which acknowledges nothing: it begins an exchange."""
_HARMLESS = frozenset((bytes((ApduTag.GET_REQUEST, 1)), bytes((ApduTag.GET_REQUEST, 3))))
_SERVICES = frozenset(
    bytes((tag,))
    for tag in (
        ApduTag.GET_REQUEST,
        ApduTag.SET_REQUEST,
        ApduTag.ACTION_REQUEST,
        ApduTag.GET_RESPONSE,
        ApduTag.SET_RESPONSE,
        ApduTag.ACTION_RESPONSE,
        ApduTag.ACCESS_REQUEST,
        ApduTag.ACCESS_RESPONSE,
    )
)
_ACCESS = frozenset(bytes((tag,)) for tag in (ApduTag.ACCESS_REQUEST, ApduTag.ACCESS_RESPONSE))
"""Their invoke id has 24 bits; the last four tell exchanges apart well enough."""
