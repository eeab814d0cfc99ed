"""Counters of one key in one association: those going out and those coming in."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, MutableMapping

from cosemic.errors import DlmsError, SecurityError
from cosemic.security.counters import CounterStore
from cosemic.security.replay_window import ReplayWindow
from cosemic.security.taken import TakenCounters, check_room, note_taken
from cosemic.tolerances import Tolerance, note

logger = logging.getLogger("cosemic.security")

_FIRST_RANGE = 64
_LARGEST_RANGE = 1024


class Outgoing:
    """Hands out counters from a reserved range, and reserves the next when it is used up.

    Ranges grow with use, so that a long reading rarely waits for the disk and a short one wastes little if it dies.
    A range never crosses a fork: the child reserves its own.
    """

    __slots__ = ("_end", "_key_id", "_left", "_process", "_size", "_store")

    def __init__(self, store: CounterStore, key_id: str) -> None:
        self._store = store
        self._key_id = key_id
        self._process = os.getpid()
        self._size = _FIRST_RANGE
        self._end = 0
        # An iterator of a range: taking from it is atomic, should two threads meet here after all.
        self._left: Iterator[int] = iter(())

    def take(self) -> int:
        """The next counter."""
        if os.getpid() != self._process:
            self._process = os.getpid()
            self._left = iter(())
        for counter in self._left:
            return counter
        return self._refill()

    def advance(self, to: int) -> bool:
        """Go on at ``to`` or above; False when the next counter is at least that already."""
        tail = self._drain()
        if tail and tail[0] >= to:
            self._left = iter(tail)
            return False
        # The tail is not given back: the store must not fall below ``to`` again.
        self._store.advance(self._key_id, to)
        self._end = max(self._end, to)
        return True

    def close(self) -> None:
        """Give back what was not used. A failure costs nothing but the tail, so it is only logged."""
        tail = self._drain()
        self._end = 0
        if not tail:
            return
        try:
            self._store.release(self._key_id, tail[0], tail[-1] + 1)
        except DlmsError as error:
            logger.warning("unused invocation counters could not be given back: %s", error)

    def _drain(self) -> list[int]:
        left, self._left = self._left, iter(())
        return list(left) if os.getpid() == self._process else []

    def _refill(self) -> int:
        reserved = self._store.reserve(self._key_id, self._size)
        if reserved.start < self._end:
            # The store forgot this key (one in memory has room for so many), or was put back to an earlier state.
            self._store.advance(self._key_id, self._end)
            reserved = self._store.reserve(self._key_id, self._size)
            if reserved.start < self._end:
                raise SecurityError("the invocation counters went back; nothing was sent with one used before")
        self._size = min(2 * self._size, _LARGEST_RANGE)
        self._end = reserved.stop
        left = iter(reserved)
        counter = next(left)
        self._left = left
        return counter


class Incoming:
    """The counters accepted from the peer under one key; each must be above the last, or new in a replay window."""

    __slots__ = (
        "_floor",
        "_is_careful",
        "_key_id",
        "_lenient",
        "_seen",
        "_shared",
        "_taken",
        "_unproved",
        "_window",
        "before_current",
        "last",
    )

    def __init__(self, shared: bool = False, window: int = 0) -> None:
        self.last: int | None = None
        """The highest counter whose tag was found right."""
        self._unproved = -1
        self.before_current: int | None = None
        """The last counter before the message that is being worked on."""
        self._seen: MutableMapping[str, int] | None = None
        self._key_id = ""
        self._floor = -1
        self._lenient = False
        self._shared = shared
        self._window = ReplayWindow(window) if window else None
        self._taken: dict[str, TakenCounters] | None = None
        self._is_careful = bool(window)

    def remember(self, seen: MutableMapping[str, int], key_id: str, lenient: bool) -> None:
        """Start above what earlier associations accepted, as ``seen`` has it, and keep that up to date."""
        self._seen = seen
        self._key_id = key_id
        floor = seen.get(key_id, -1)
        self._lenient = lenient
        if lenient:
            self._floor = floor
            self._is_careful = True
        elif floor >= 0:
            self.last = floor if self.last is None else max(self.last, floor)

    def share(self, taken: dict[str, TakenCounters], key_id: str) -> None:
        """Take no message that another association took, though its counter is above the last one here."""
        self._taken = taken
        self._key_id = key_id
        self._is_careful = True

    def take(self, counter: int) -> int | None:
        """Note the counter of a message whose tag and policy were found right; what it does not exceed, if not new."""
        last = self.last
        if self._is_careful or last is None or counter <= last:
            return self._take_carefully(counter)
        self.before_current = last
        self.last = counter
        seen = self._seen
        if seen is not None and counter > seen.get(self._key_id, -1):
            seen[self._key_id] = counter
        return None

    def _take_carefully(self, counter: int) -> int | None:
        """The same where more is to be looked at than the last counter."""
        last, window, seen = self.last, self._window, self._seen
        if seen is not None:
            check_room(seen, self._key_id)
        is_taken = self._is_taken(counter)
        if last is None or counter > last:
            if is_taken:
                return counter
            self.before_current = last
            if window is not None:
                self._mark(window, counter)
            self.last = counter
        else:
            if is_taken or window is None:
                return last
            self._mark(window, last)
            if not window.allows(counter):
                return last
            window.accept(counter)
            self.before_current = last
        self._note(counter)
        return None

    def _is_taken(self, counter: int) -> bool:
        """Whether any association took a message with this counter, or may have taken it."""
        if self._taken is None:
            return False
        taken = self._taken.get(self._key_id)
        if taken is not None:
            return counter in taken
        return self._seen is not None and counter <= self._seen.get(self._key_id, -1)  # it had to give way

    def accept_unproved(self, counter: int) -> int | None:
        """Note the counter of a message without a tag; what it does not exceed, if it is not new, else None.

        Anybody can write any counter into such a message. So it moves nothing but the bar for others of its kind, and
        that only within this association: it must never keep out, or outlive, a message that proves itself.
        """
        bar = self._unproved if self.last is None else max(self.last, self._unproved)
        if counter <= bar:
            return bar
        self._unproved = counter
        return None

    def allows_inner(self, counter: int) -> bool:
        """Whether the counter of a GMAC is new; made before the message around it, it may be lower than that one."""
        if counter == self._unproved and not self._shared:
            return False
        if self.last is None or counter > self.last:
            return True
        if counter == self.last and self._shared:
            return True
        if self._window is not None and not self._window.allows(counter):
            return False
        return counter != self.last and (self.before_current is None or counter > self.before_current)

    def accept_inner(self, counter: int) -> None:
        """Note the counter of a GMAC that was found right."""
        if self._seen is not None:
            check_room(self._seen, self._key_id)
        if self._window is not None:
            self._mark(self._window, counter)
        if self.last is None or counter > self.last:
            self.last = counter
        elif counter == self.last:
            note(Tolerance.GMAC_COUNTER_SHARED, f"invocation counter {counter} twice in one message")
        self.before_current = self.last
        self._note(counter)

    def _mark(self, window: ReplayWindow, counter: int) -> None:
        """What came before our first message, or up to a ``last`` of earlier associations, may be a recording."""
        window.accept(counter, counter - 1 if self.last is None else self.last)

    def _note(self, counter: int) -> None:
        """Tell the other associations."""
        seen = self._seen
        if self._taken is not None:
            note_taken(self._taken, self._key_id, counter, -1 if seen is None else seen.get(self._key_id, -1))
        if seen is None:
            return
        if self._lenient and counter <= self._floor:
            note(Tolerance.SERVER_COUNTER_RESTART, f"invocation counter {counter} after {self._floor}")
            self._floor = -1
        if counter > seen.get(self._key_id, -1):
            seen[self._key_id] = counter
