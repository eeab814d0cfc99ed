"""Reads an input as a script: small numbers and pieces of octets, one after another."""

from __future__ import annotations


class Pieces:
    """What is left of an input; reading past its end gives zeros and nothing."""

    __slots__ = ("_data", "_place")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def __bool__(self) -> bool:
        return self._place < len(self._data)

    def octet(self) -> int:
        """The next octet, or 0."""
        if self._place >= len(self._data):
            return 0
        self._place += 1
        return self._data[self._place - 1]

    def short(self) -> bytes:
        """As many octets as the next octet says, up to 255."""
        return self._take(self.octet())

    def long(self) -> bytes:
        """As many octets as the next two say."""
        return self._take(self.octet() << 8 | self.octet())

    def rest(self) -> bytes:
        """All that is left."""
        return self._take(len(self._data))

    def _take(self, size: int) -> bytes:
        start = self._place
        self._place = min(start + size, len(self._data))
        return self._data[start : self._place]
