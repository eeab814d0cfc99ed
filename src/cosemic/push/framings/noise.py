"""Octets that are no telegram: one run of them becomes one event, however many false beginnings it has."""

from __future__ import annotations

from typing import Final

from cosemic.push.framings.sets import SHOWN
from cosemic.push.telegrams import Dropped, Framing, Telegram

LONGEST: Final = 4096
"""Octets of a run after which it is told of, and a new one begins."""

OUTSIDE: Final = "octets outside a telegram"


class Noise:
    """A run of octets. ``is_push`` says that it began as a notification does, and could not be walked to its end."""

    __slots__ = ("_weight", "framing", "is_push", "longest", "octets", "offset", "reason", "size", "tail")

    def __init__(self, offset: int, *, is_push: bool = False, longest: int = LONGEST, tail: bytes = b"") -> None:
        self.offset = offset
        self.size = 0
        self.octets = bytearray()
        self.reason = OUTSIDE
        self.framing: Framing | None = None
        self.is_push = is_push
        self.longest = longest
        self.tail = tail  # the last three octets
        self._weight = 0

    def suspect(self, reason: str, framing: Framing, weight: int) -> None:
        """What it seemed to be; the weightier guess, or the first of equal ones, is told."""
        if weight > self._weight:
            self.reason, self.framing, self._weight = reason, framing, weight

    def add(self, data: bytes | bytearray, start: int, stop: int) -> int:
        """Take octets up to ``stop``, or fewer where the run is full; gives how far it took them."""
        stop = min(stop, start + self.longest - self.size)
        self.size += stop - start
        kept = self.longest if self.is_push else SHOWN
        if len(self.octets) < kept:
            self.octets += data[start : min(stop, start + kept - len(self.octets))]
        self.tail = (
            bytes(data[max(start, stop - 3) : stop]) if stop - start >= 3 else (self.tail + data[start:stop])[-3:]
        )
        return stop

    @property
    def is_full(self) -> bool:
        """Whether it has to be told of now."""
        return self.size >= self.longest

    def told(self) -> Dropped | Telegram:
        """What is said of it."""
        if self.is_push:
            return Telegram(Framing.APDU, bytes(self.octets), offset=self.offset)
        if self.size <= SHOWN:
            return Dropped(self.reason, bytes(self.octets), self.offset, self.framing)
        reason = f"{self.reason} ({self.size} octets, of which the first {SHOWN} are shown)"
        return Dropped(reason, bytes(self.octets), self.offset, self.framing)
