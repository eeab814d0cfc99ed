"""Pushes for scripts and threads: the listener runs in a thread of its own, messages come by plain iteration.

::

    with listening("serial:///dev/ttyUSB0?baud=2400&parity=even", keys=keys) as pushes:
        for received in pushes:
            print(received.item)
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cosemic.push.listening.limits import Limits
from cosemic.push.listening.listener import PushListener, Received
from cosemic.push.listening.statistics import Statistics

_AT_ONCE = 256
_LONGEST_CLOSE = 10.0


class BlockingPushes:
    """Iterates over ``Received``; ends as the ``PushListener`` does, or after ``stop``, which any thread may call."""

    def __init__(self, listener: PushListener, loop: asyncio.AbstractEventLoop) -> None:
        self._listener = listener
        self._loop = loop
        self._taken: deque[Received] = deque()

    @property
    def places(self) -> list[str]:
        """Where it listens, with the ports that the system chose."""
        return self._listener.places

    @property
    def statistics(self) -> Statistics:
        """Counts so far."""
        return self._listener.statistics

    def stop(self) -> None:
        """Take nothing more; what has come already is still given."""
        self._loop.call_soon_threadsafe(self._listener.stop)

    def __iter__(self) -> Iterator[Received]:
        while (received := self.next()) is not None:
            yield received

    def next(self, timeout: float | None = None) -> Received | None:
        """The next message; None when there will be none any more. TimeoutError after ``timeout`` seconds without."""
        if not self._taken:
            waiting = asyncio.run_coroutine_threadsafe(self._take(timeout), self._loop)
            try:
                self._taken.extend(waiting.result())
            except BaseException:
                waiting.cancel()
                raise
        return self._taken.popleft() if self._taken else None

    async def _take(self, seconds: float | None) -> list[Received]:
        async with asyncio.timeout(seconds):
            return await self._listener.take(_AT_ONCE)


@contextmanager
def listening(*urls: str, limits: Limits | None = None, **options: Any) -> Iterator[BlockingPushes]:
    """Listen for as long as the block runs; arguments as for ``PushListener``. Errors of opening come from here."""
    started: threading.Event = threading.Event()
    ended = asyncio.Event()
    held: list[BlockingPushes | BaseException] = []
    listener = PushListener(*urls, limits=limits, **options)

    async def serve() -> None:
        try:
            async with listener:
                held.append(BlockingPushes(listener, asyncio.get_running_loop()))
                started.set()
                await ended.wait()
        except BaseException as error:
            if started.is_set():
                raise
            held.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="cosemic listener", daemon=True)
    thread.start()
    started.wait()
    pushes = held[0]
    if isinstance(pushes, BaseException):
        thread.join(_LONGEST_CLOSE)
        raise pushes
    end: Callable[[], object] = ended.set
    try:
        yield pushes
    finally:
        pushes._loop.call_soon_threadsafe(end)
        thread.join(_LONGEST_CLOSE)
