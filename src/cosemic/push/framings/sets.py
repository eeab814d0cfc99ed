"""What is open: parts of telegrams whose rest has to come, a few of them, in bounded memory."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from cosemic.push.telegrams import Dropped, Framing, Heard

SHOWN = 512
"""Octets that a Dropped shows at the most."""


@dataclass(slots=True)
class OpenSet:
    """The parts of one telegram so far. ``expected`` is the number of the next part, ``last`` the one before it."""

    framing: Framing
    source: int | None
    destination: int | None
    offset: int
    octets: bytearray
    expected: int = 0
    last: bytes = b""


class OpenSets:
    """The open sets of one kind, by sender. The oldest goes when there are too many, or too many octets in them."""

    __slots__ = ("_max_octets", "_max_sets", "_octets", "_sets", "_what")

    def __init__(self, what: str, max_sets: int, max_octets: int) -> None:
        self._what = what
        self._max_sets = max_sets
        self._max_octets = max_octets
        self._octets = 0
        self._sets: dict[Hashable, OpenSet] = {}

    def __len__(self) -> int:
        return len(self._sets)

    def __iter__(self) -> Iterator[tuple[Hashable, OpenSet]]:
        return iter(self._sets.items())

    @property
    def octets(self) -> int:
        """How many octets are kept."""
        return self._octets

    def get(self, sender: Hashable) -> OpenSet | None:
        """The open set of a sender."""
        return self._sets.get(sender)

    def open(self, sender: Hashable, begun: OpenSet, found: list[Heard]) -> None:
        """Begin a set; its sender has none."""
        if len(self._sets) >= self._max_sets:
            self.drop(next(iter(self._sets)), f"more than {self._max_sets} senders have begun {self._what}", found)
        self._sets[sender] = begun
        self._octets += len(begun.octets)
        self._keep_within(sender, found)

    def extend(self, sender: Hashable, part: bytes, found: list[Heard]) -> None:
        """Add a part to the set of a sender; that may be dropped for it."""
        self._sets[sender].octets += part
        self._octets += len(part)
        self._keep_within(sender, found)

    def close(self, sender: Hashable) -> OpenSet:
        """Take the set of a sender out."""
        closed = self._sets.pop(sender)
        self._octets -= len(closed.octets)
        return closed

    def close_all(self) -> Iterator[OpenSet]:
        """Take all sets out, the oldest first."""
        for sender in list(self._sets):
            yield self.close(sender)

    def drop(self, sender: Hashable, reason: str, found: list[Heard]) -> None:
        """Give the set of a sender up."""
        closed = self.close(sender)
        if closed.octets:
            found.append(dropped(reason, closed.octets, closed.offset, closed.framing))

    def _keep_within(self, sender: Hashable, found: list[Heard]) -> None:
        while self._octets > self._max_octets:
            oldest = next(iter(self._sets))
            self.drop(oldest, f"{self._what} that have begun exceed {self._max_octets} octets", found)


def dropped(reason: str, octets: bytes | bytearray, offset: int, framing: Framing | None) -> Dropped:
    """A Dropped that shows the first octets."""
    if len(octets) > SHOWN:
        reason += f" ({len(octets)} octets, of which the first {SHOWN} are shown)"
    return Dropped(reason, bytes(octets[:SHOWN]), offset, framing)
