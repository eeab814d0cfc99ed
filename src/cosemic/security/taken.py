"""Which counters of one peer were taken by all associations of a meter together, where several are open side by side.

Each association demands rising counters of its own messages. The sender gives each a range of its counters, so the
messages of one may lie below those of another; but none may be taken by both.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

MOST_RANGES: Final = 64


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
