"""Streams without a network, and time without waiting: for tests and simulations.

``near, far = memory_pair()`` gives both ends of a line. With a ``FakeClock`` deadlines pass at once when everybody
waits: a time-out of 30 s costs no time, and always comes at the same point.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable

from cosemic.errors import LinkLost
from cosemic.transports.inbox import Inbox, Timers

_PATIENCE = 25  # turns of the event loop without any event on the clock's streams before time jumps


class FakeTimer:
    """A point in fake time at which something is called."""

    __slots__ = ("_callback", "_when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self._when = when
        self._callback: Callable[[], None] | None = callback

    def when(self) -> float:
        """The point in time."""
        return self._when

    def cancel(self) -> None:
        """Call nothing."""
        self._callback = None

    @property
    def is_cancelled(self) -> bool:
        return self._callback is None

    def fire(self) -> None:
        """Call it, once."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class FakeClock:
    """A clock that stands still until it is moved, or, with ``autojump``, until everybody waits for it."""

    def __init__(self, start: float = 1000.0, *, autojump: bool = True) -> None:
        self._now = start
        self._autojump = autojump
        self._timers: list[tuple[float, int, FakeTimer]] = []
        self._numbers = itertools.count()
        self._events = 0
        self._watching = False

    def time(self) -> float:
        """Seconds."""
        return self._now

    __call__ = time

    def call_at(self, when: float, callback: Callable[[], None], /) -> FakeTimer:
        """Call ``callback`` when the clock reaches ``when``."""
        timer = FakeTimer(when, callback)
        heapq.heappush(self._timers, (when, next(self._numbers), timer))
        self.touch()
        return timer

    def touch(self) -> None:
        """Something happened: time stands still for now."""
        self._events += 1
        if self._autojump and not self._watching and self._timers:
            self._watching = True
            asyncio.get_running_loop().call_soon(self._watch, self._events, _PATIENCE)

    def advance(self, seconds: float) -> None:
        """Move on and call what is due, in order."""
        end = self._now + seconds
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            timer.fire()
        self._now = end

    def _watch(self, events: int, patience: int) -> None:
        while self._timers and self._timers[0][2].is_cancelled:
            heapq.heappop(self._timers)
        if not self._timers:
            self._watching = False
            return
        if events != self._events:
            events, patience = self._events, _PATIENCE
        elif patience == 0:
            when, _, timer = heapq.heappop(self._timers)
            self._now = max(self._now, when)
            timer.fire()
            events, patience = -1, _PATIENCE
        asyncio.get_running_loop().call_soon(self._watch, events, patience - 1)


class MemoryStream(Inbox):
    """One end of a pair. ``pass_on`` gives the chunks to deliver for one that is sent: changed, split, or none."""

    __slots__ = ("_fake", "pass_on", "peer", "sent")

    def __init__(self, timers: Timers | None = None) -> None:
        super().__init__(timers)
        self._fake = timers if isinstance(timers, FakeClock) else None
        self.peer: MemoryStream | None = None
        self.pass_on: Callable[[bytes], list[bytes]] | None = None
        self.sent = 0

    async def send(self, data: bytes, deadline: float | None = None) -> None:
        """Deliver ``data`` to the other end."""
        if self._whole or self.peer is None:
            raise LinkLost("the other end of the pair is closed")
        self.sent += len(data)
        for chunk in [data] if self.pass_on is None else self.pass_on(data):
            self.peer._deliver(chunk)
        if self._fake is not None:
            self._fake.touch()

    def close(self) -> None:
        """The other end sees the end of the stream; octets under way still arrive there."""
        self._finish(None)
        if self.peer is not None:
            peer, self.peer = self.peer, None
            peer.peer = None
            peer._finish(None)
        if self._fake is not None:
            self._fake.touch()

    @property
    def is_closed(self) -> bool:
        return self._whole


def memory_pair(clock: FakeClock | None = None) -> tuple[MemoryStream, MemoryStream]:
    """Both ends of a line in memory, on the loop's clock or a fake one."""
    near, far = MemoryStream(clock), MemoryStream(clock)
    near.peer, far.peer = far, near
    return near, far
