"""Octets that lie in pieces: an APDU in the segments of frames, a value in the blocks of APDUs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate


class Scatter:
    """A view of pieces of buffers as one run of octets, to be read and written in place."""

    __slots__ = ("_length", "_pieces", "_starts")

    def __init__(self, pieces: Iterable[tuple[bytearray, int, int]] = ()) -> None:
        self._pieces = [piece for piece in pieces if piece[2] > 0]
        *self._starts, self._length = accumulate((length for _, _, length in self._pieces), initial=0)

    @classmethod
    def over(cls, buffer: bytearray) -> Scatter:
        """The whole of a buffer."""
        return cls([(buffer, 0, len(buffer))])

    @classmethod
    def join(cls, parts: Iterable[Scatter]) -> Scatter:
        """Several after each other."""
        return cls(piece for part in parts for piece in part._pieces)

    def __len__(self) -> int:
        return self._length

    def read(self) -> bytes:
        """The octets as they are now."""
        return b"".join(buffer[start : start + length] for buffer, start, length in self._pieces)

    def part(self, offset: int, length: int) -> Scatter:
        """A view of ``length`` octets from ``offset`` on, or of as many as there are."""
        length = min(length, self._length - offset)
        pieces: list[tuple[bytearray, int, int]] = []
        number = bisect_right(self._starts, offset) - 1
        while length > 0:
            buffer, start, size = self._pieces[number]
            skipped = offset - self._starts[number]
            taken = min(size - skipped, length)
            pieces.append((buffer, start + skipped, taken))
            offset += taken
            length -= taken
            number += 1
        return Scatter(pieces)

    def write(self, octets: bytes) -> None:
        """Put octets in the place of all of it; ValueError unless they are as many."""
        if len(octets) != self._length:
            raise ValueError(f"{len(octets)} octets in the place of {self._length}")
        at = 0
        for buffer, start, length in self._pieces:
            buffer[start : start + length] = octets[at : at + length]
            at += length
