"""Which counters of one peer were taken by all associations of a meter together, where several are open side by side.

Each association demands rising counters of its own messages. The sender gives each a range of its counters, so the
messages of one may lie below those of another; but none may be taken by both.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import MutableMapping
from typing import Final

from cosemic.errors import SecurityError

MOST_RANGES: Final = 64
MOST_TAKEN: Final = 4096
"""Peers whose counters are known one by one; of those that came before them only the highest is."""
MOST_PEERS: Final = 1 << 16
"""Keys of peers (system title and key) whose highest counter is remembered; one more is refused."""


class TakenCounters:
    """The counters accepted so far as ranges; where there are too many, the gap between the lowest two is given up.

    What lies in such a gap counts as taken: a late message is refused then, a repetition never accepted.
    """

    __slots__ = ("_ends", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __contains__(self, counter: int) -> bool:
        ends = self._ends
        if not ends or counter > ends[-1]:
            return False
        return self._starts[bisect_left(ends, counter)] <= counter

    def add_up_to(self, highest: int) -> None:
        """Note all counters from 0 on; called before any other was noted."""
        if highest >= 0:
            self._starts, self._ends = [0], [highest]

    def add(self, counter: int) -> None:
        """Note an accepted counter."""
        starts, ends = self._starts, self._ends
        if ends and ends[-1] == counter - 1:
            ends[-1] = counter
            return
        at = bisect_left(ends, counter)
        if at < len(ends) and starts[at] <= counter:
            return
        joins_lower = at > 0 and ends[at - 1] == counter - 1
        joins_upper = at < len(starts) and starts[at] == counter + 1
        if joins_lower and joins_upper:
            del ends[at - 1], starts[at]
        elif joins_lower:
            ends[at - 1] = counter
        elif joins_upper:
            starts[at] = counter
        else:
            starts.insert(at, counter)
            ends.insert(at, counter)
            if len(ends) > MOST_RANGES:
                del ends[0], starts[1]


def check_room(seen: MutableMapping[str, int], key_id: str) -> None:
    """SecurityError where the counters of one more peer would have to be remembered than there is room for.

    Forgetting another one instead would let its messages be played back. Only what a tag proved is remembered, so that
    it takes the key, and not just a made-up system title, to fill the table.
    """
    if len(seen) >= MOST_PEERS and key_id not in seen:
        raise SecurityError(
            f"the invocation counters of {len(seen)} peers and keys are remembered, and there is no room for another; "
            "new keys, and a new SecurityContext (on a meter new ServerSettings) with them, begin anew"
        )


def note_taken(taken: dict[str, TakenCounters], key_id: str, counter: int, highest: int) -> None:
    """Note a counter as accepted in a table of limited size; ``highest`` is the highest accepted before.

    The entry that was made first gives way. Should its peer come again, all up to ``highest`` counts as taken.
    """
    counters = taken.get(key_id)
    if counters is None:
        while len(taken) >= MOST_TAKEN:
            del taken[next(iter(taken))]
        counters = taken[key_id] = TakenCounters()
        counters.add_up_to(highest)
    counters.add(counter)
