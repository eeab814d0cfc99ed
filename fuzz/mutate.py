"""A small mutation fuzzer for machines without atheris, and for test runs that must not depend on it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

_INTERESTING = (0x00, 0x01, 0x02, 0x09, 0x13, 0x7E, 0x7F, 0x80, 0x81, 0x82, 0x83, 0x84, 0xA0, 0xC0, 0xC4, 0xFE, 0xFF)
_LENGTHS = (b"\x80", b"\x81\x00", b"\x81\x80", b"\x82\x00\x05", b"\x82\xff\xff", b"\x84\xff\xff\xff\xff", b"\x89" * 9)
_LONGEST = 4096


class Mutator:
    """Makes inputs out of a corpus: the same seed gives the same inputs."""

    def __init__(self, corpus: Sequence[bytes], seed: int = 0) -> None:
        self._random = Random(seed)
        self._corpus = list(corpus) or [b""]

    def next(self) -> bytes:
        """One more input: a seed with one to four changes."""
        data = bytearray(self._random.choice(self._corpus))
        for _ in range(self._random.choice((1, 1, 1, 2, 2, 3, 4))):
            self._random.choice(_CHANGES)(self, data)
        return bytes(data[:_LONGEST])

    def _place(self, data: bytearray) -> int:
        return self._random.randrange(len(data)) if data else 0

    def flip(self, data: bytearray) -> None:
        if data:
            data[self._place(data)] ^= 1 << self._random.randrange(8)

    def put(self, data: bytearray) -> None:
        if data:
            data[self._place(data)] = self._random.choice(_INTERESTING)

    def count(self, data: bytearray) -> None:
        if data:
            place = self._place(data)
            data[place] = data[place] + self._random.choice((-2, -1, 1, 2)) & 0xFF

    def insert(self, data: bytearray) -> None:
        place = self._place(data)
        data[place:place] = self._random.randbytes(self._random.choice((1, 1, 2, 4, 9)))

    def remove(self, data: bytearray) -> None:
        place = self._place(data)
        del data[place : place + self._random.choice((1, 1, 2, 5, 20))]

    def truncate(self, data: bytearray) -> None:
        del data[self._place(data) :]

    def repeat(self, data: bytearray) -> None:
        place = self._place(data)
        part = data[place : place + self._random.choice((1, 2, 5, 13, 40))]
        data[place:place] = part * self._random.choice((1, 1, 2, 7))

    def length(self, data: bytearray) -> None:
        """A length field that lies: of another form, or of what is really left."""
        if not data:
            return
        place = self._place(data)
        if self._random.random() < 0.5:
            data[place : place + 1] = self._random.choice(_LENGTHS)
        else:
            data[place] = min(max(0, len(data) - place - 1 + self._random.randrange(-2, 3)), 0xFF)

    def splice(self, data: bytearray) -> None:
        other = self._random.choice(self._corpus)
        cut = self._random.randrange(len(other)) if other else 0
        data[self._place(data) :] = other[cut:]

    def join(self, data: bytearray) -> None:
        data += self._random.choice(self._corpus)


_CHANGES = (
    Mutator.flip,
    Mutator.flip,
    Mutator.put,
    Mutator.put,
    Mutator.count,
    Mutator.insert,
    Mutator.remove,
    Mutator.truncate,
    Mutator.repeat,
    Mutator.length,
    Mutator.length,
    Mutator.splice,
    Mutator.join,
)
