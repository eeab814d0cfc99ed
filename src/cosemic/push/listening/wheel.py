"""One timer for thousands of connections."""

from __future__ import annotations

import asyncio
import heapq
from typing import Protocol

_RESOLUTION = 0.05


class Timed(Protocol):
    """Whoever wants to be asked again at a time. ``slot`` belongs to the wheel; None at the beginning."""

    slot: int | None

    def on_time(self, now: float) -> float | None:
        """Do what is due; when to come back, None for never."""


class Wheel:
    """Calls ``on_time`` at or a little after the time that was asked for (50 ms).

    Lazy: what comes up too early is asked for its time again, so that octets which arrive cost nothing here; and what
    is due at about the same time is dealt with together.
    """

    __slots__ = ("_loop", "_order", "_slots", "_timer")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._slots: dict[int, set[Timed]] = {}
        self._order: list[int] = []
        self._timer: asyncio.TimerHandle | None = None

    def time(self) -> float:
        """Seconds on the clock of the loop, as they are handed to ``on_time``."""
        return self._loop.time()

    def watch(self, item: Timed, due: float) -> None:
        """Come to ``item`` at ``due``, or before."""
        slot = int(due / _RESOLUTION) + 1
        old = item.slot
        if old is not None:
            if old <= slot:
                return
            self._slots[old].discard(item)
        item.slot = slot
        there = self._slots.get(slot)
        if there is None:
            there = self._slots[slot] = set()
            heapq.heappush(self._order, slot)
            self._arm()
        there.add(item)

    def forget(self, item: Timed) -> None:
        """Never come to it again."""
        if item.slot is not None:
            self._slots[item.slot].discard(item)
            item.slot = None

    def close(self) -> None:
        """Come to nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for items in self._slots.values():
            for item in items:
                item.slot = None
        self._slots.clear()
        self._order.clear()

    def _arm(self) -> None:
        due = self._order[0] * _RESOLUTION
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._order and self._order[0] * _RESOLUTION <= now:
            for item in self._slots.pop(heapq.heappop(self._order)):
                item.slot = None
                due = item.on_time(now)
                if due is not None:
                    self.watch(item, max(due, now))
        if self._order:
            self._arm()
