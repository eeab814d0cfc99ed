"""What the bits of octets tell when nothing can be read: parity in bit 7, long runs of a line that is slower."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_NO_RUN: Final = 9
LEAST: Final = 32
"""Octets below which statistics say nothing."""

_NEARLY_ALL: Final = 0.95
_SLOW: Final = 0.85
_EVEN: Final = bytes(octet for octet in range(256) if octet.bit_count() % 2 == 0)


def _shortest_run(octet: int) -> int:
    """The shortest run of equal bits that begins and ends within the octet; 9 where there is none.

    The start bit is known to be 0, but may be the end of a longer run; the stop bit is not known.
    """
    bits = [0, *(octet >> place & 1 for place in range(8))]
    changes = [place for place, (before, after) in enumerate(pairwise(bits)) if before != after]
    return min((after - before for before, after in pairwise(changes)), default=_NO_RUN)


_SHORTEST: Final = bytes(_shortest_run(octet) for octet in range(256))
_SHORT: Final = bytes(octet for octet in range(256) if _SHORTEST[octet] < 2)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Shares from 0 to 1. ``slower_by`` is how much slower than the setting the line is at least, 1 where it is not."""

    octets: int
    even: float
    seven_bits: float
    slower_by: int
    distinct: int

    @property
    def has_even_parity(self) -> bool:
        """Whether bit 7 looks like an even parity of the others."""
        return self.octets >= LEAST and self.even >= _NEARLY_ALL and self.seven_bits < _NEARLY_ALL

    @property
    def has_odd_parity(self) -> bool:
        """Whether bit 7 looks like an odd parity of the others."""
        return self.octets >= LEAST and self.even <= 1 - _NEARLY_ALL and self.seven_bits < _NEARLY_ALL

    @property
    def is_slower(self) -> bool:
        """Whether the line is slower than the setting."""
        return self.slower_by > 1


def measure(octets: bytes) -> Statistics:
    """The statistics of the octets, which were received with eight data bits."""
    size = len(octets)
    if not size:
        return Statistics(0, 0.0, 0.0, 1, 0)
    slower = 1
    if size >= LEAST and len(octets.translate(None, _SHORT)) >= _SLOW * size:
        runs = sorted(_SHORTEST[octet] for octet in octets)
        slower = runs[size // 20]  # the shortest, but for a few that noise has cut
    return Statistics(
        octets=size,
        even=1 - len(octets.translate(None, _EVEN)) / size,
        seven_bits=sum(octet < 0x80 for octet in octets) / size,
        slower_by=slower,
        distinct=len(set(octets)),
    )
