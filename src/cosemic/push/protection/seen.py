"""The invocation counters that were accepted, so that a recorded message is not taken again.

Counters of one sender rise under each of its keys. Two tables keep the last ones:

=============  ==========================================  =========================================================
table          of messages                                 when it is full
=============  ==========================================  =========================================================
proved         whose tag or signature held                 one more sender is refused: forgetting another one would
                                                           let its messages be played back
unproved       that only look like a push                  the one that came first gives way
=============  ==========================================  =========================================================

A message without proof has to be above both, and moves only the second: whoever guesses one that looks like a push can
lock out others without proof until the process ends, and never a message with a tag. For that reason the second is not
kept beyond the process.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Final

from cosemic.security.counters import key_id
from cosemic.security.replay import ReplayMemory
from cosemic.security.taken import MOST_PEERS, check_room


class SeenCounters:
    """The last counters by sender and key. ``proved`` may be a table of yours that outlives the process."""

    __slots__ = ("_proved", "_unproved", "once")

    def __init__(self, proved: MutableMapping[str, int] | None = None) -> None:
        self._proved: MutableMapping[str, int] = {} if proved is None else proved
        self._unproved: dict[str, int] = {}
        self.once = ReplayMemory()
        """Messages that no rising counter tells from their repetition."""

    @staticmethod
    def name(title: bytes, key: bytes) -> str:
        """What the counters of a sender under a key are kept by; it does not give the key away."""
        return key_id(title, key)

    def last(self, name: str, is_proved: bool) -> int | None:
        """The counter that the next one has to be above; None before the first. SecurityError without room for it."""
        last = self._proved.get(name)
        if is_proved:
            if last is None:
                check_room(self._proved, name)
            return last
        other = self._unproved.get(name)
        if last is None or other is None:
            return other if last is None else last
        return max(last, other)

    def take(self, name: str, counter: int, is_proved: bool) -> None:
        """Note an accepted counter."""
        if is_proved:
            self._proved[name] = counter
            return
        unproved = self._unproved
        if name not in unproved and len(unproved) >= MOST_UNPROVED:
            del unproved[next(iter(unproved))]
        unproved[name] = counter


MOST_UNPROVED: Final = MOST_PEERS
