"""Which counters below the highest one came already, where messages may overtake each other (UDP, block transfer)."""

from __future__ import annotations

from typing import Final

WINDOW: Final = 64
LARGEST_WINDOW: Final = 1024


class ReplayWindow:
    """The highest counter accepted and, bit by bit, which of the ``size`` below it were accepted too (RFC 6479).

    It is asked after the tag was found right, and told after everything else was. Whatever lies below the window, or at
    or below ``floor`` when the first counter is accepted, counts as received.
    """

    __slots__ = ("_bits", "_mask", "_size", "_top")

    def __init__(self, size: int = WINDOW) -> None:
        if not 1 <= size <= LARGEST_WINDOW:
            raise ValueError(f"a replay window has 1 to {LARGEST_WINDOW} counters, not {size}")
        self._size = size
        self._mask = (1 << size) - 1
        self._top = -1
        self._bits = self._mask  # bit n: the counter n below the highest was accepted

    def allows(self, counter: int) -> bool:
        """Whether a counter is new: above the highest, or within the window and not accepted yet."""
        age = self._top - counter
        return age < 0 or (age < self._size and not self._bits >> age & 1)

    def accept(self, counter: int, floor: int = -1) -> None:
        """Note an accepted counter."""
        if self._top < floor:
            self._top, self._bits = floor, self._mask
        ahead = counter - self._top
        if ahead > 0:
            # Far ahead nothing of the old window is left; 2**32 must not become a number of that many bits.
            self._bits = (self._bits << ahead | 1) & self._mask if ahead < self._size else 1
            self._top = counter
        elif -ahead < self._size:
            self._bits |= 1 << -ahead
