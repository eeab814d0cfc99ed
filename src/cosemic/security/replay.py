"""Remembers messages that no rising counter protects, so that each is taken once.

A key that comes with its message (wrapped, or agreed for it) is new each time, and the standard starts its counter at 0
again; a signed message that is not ciphered has no counter at all. What tells such a message from its repetition is the
memory of it.

The memory is bounded and never forgets: once it is full, a message that needs it is refused. A peer that lets its
counters rise over its keys, as we do, needs no room in it.
"""

from __future__ import annotations

import hashlib

from cosemic.errors import ReplayError
from cosemic.security.taken import TakenCounters

ROOM = 1 << 16


class ReplayMemory:
    """The messages accepted so far, by digest. Shared by all associations of one security context."""

    __slots__ = ("_room", "_seen", "last", "taken")

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._seen: set[bytes] = set()
        self.last: dict[str, int] = {}
        """The highest counter accepted under the keys of one kind from one peer."""
        self.taken: dict[str, TakenCounters] = {}
        """All of them, as associations side by side have their own ranges of the sender's counters."""

    def __len__(self) -> int:
        return len(self._seen)

    @staticmethod
    def digest(*parts: bytes) -> bytes:
        """What stands for a message: sixteen octets."""
        digest = hashlib.sha256()
        for part in parts:
            digest.update(len(part).to_bytes(4) + part)
        return digest.digest()[:16]

    def check(self, token: bytes) -> None:
        """ReplayError when that message was taken before, or when there is no room to remember it."""
        if token in self._seen:
            raise ReplayError("the message was received before, octet for octet: a repetition")
        if len(self._seen) >= self._room:
            raise ReplayError(
                f"{self._room} messages without a rising counter were taken, and no more can be remembered; "
                "start a new SecurityContext with new keys, or have the peer let its counters rise"
            )

    def add(self, token: bytes) -> None:
        """Remember a message that was accepted, while there is room; when there is none, ``check`` refuses all."""
        if len(self._seen) < self._room:
            self._seen.add(token)
