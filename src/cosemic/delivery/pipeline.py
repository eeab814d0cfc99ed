"""From a listener to the outputs: a bounded queue, the spool where there is one, and a lane for each output."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeVar

from cosemic.delivery.documents import Identities, Message
from cosemic.delivery.lanes import DeadLetters, Lane, LaneLimits, LaneStatistics
from cosemic.delivery.outputs import Output, OutputClosed, Record
from cosemic.delivery.spool import Spool, SpoolError, SpoolFull

_log = logging.getLogger("cosemic.delivery")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class PipelineLimits:
    """``messages`` and ``octets`` that may be in memory; seconds to drain at the end; what to do when it is full.

    "wait" stops reading from the meters until there is room, "drop" gives up the oldest, which is counted and told.
    Without a spool, "drop" is for outputs that fail only: a slow one holds up the meters, a broken one does not.
    """

    messages: int = 10_000
    octets: int = 32 << 20
    drain: float = 10.0
    close: float = 10.0
    when_full: Literal["wait", "drop"] = "drop"
    lane: LaneLimits = field(default_factory=LaneLimits)


class Pipeline:
    """``async with Pipeline(outputs, spool) as pipeline: await pipeline.put(received)``.

    Leaving it delivers what is there within ``limits.drain`` seconds; the rest stays in the spool. OutputClosed comes
    out of the block when an output is gone for good. The names of the outputs are to differ.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        spool: Spool | None = None,
        *,
        limits: PipelineLimits | None = None,
        dead_letters: Path | None = None,
    ) -> None:
        names = [output.name for output in outputs]
        if len(set(names)) != len(names) or not names:
            raise ValueError("a pipeline has outputs, each with a name of its own")
        self._limits = limits or PipelineLimits()
        self._spool = spool
        self._identities = Identities()
        if dead_letters is None and spool is not None:
            dead_letters = spool.folder / "dead-letters.jsonl"
        letters = DeadLetters(dead_letters)
        self._lanes = [Lane(output, self, self._limits.lane, letters) for output in outputs]
        self._incoming: deque[tuple[Record, asyncio.Future[None] | None]] = deque()
        self._incoming_octets = 0
        self._recent: deque[Record] = deque()
        self._recent_octets = 0
        self._end = 0
        self._came = asyncio.Event()
        self._room = asyncio.Event()
        self._progress = asyncio.Event()
        self._moving = 0
        self._disk = asyncio.Lock()
        self._stack = AsyncExitStack()
        self.trouble: str | None = None
        """What keeps messages from being stored now; None when nothing does."""
        self.received = 0
        """Messages that were taken in, with a spool: that are on the disk."""

    @property
    def statistics(self) -> dict[str, LaneStatistics]:
        """What became of the messages, by the names of the outputs."""
        return {lane.output.name: lane.statistics for lane in self._lanes}

    @property
    def waiting(self) -> dict[str, int]:
        """How many messages wait for each output."""
        return {lane.output.name: self._missing(lane) for lane in self._lanes}

    async def put(self, message: Message) -> None:
        """Take a message in; waits while there is no room, which holds up the one who reads from the meters."""
        await self._put(message, None)

    async def store(self, message: Message) -> None:
        """Take a message in and return when it is safe: on the disk, or without a spool in the queue of the outputs.

        This is when to confirm it to a meter that waits for that. Many may wait at the same time: they share the write.
        """
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._put(message, stored)
        await stored

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._serve())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def take(self, lane: Lane) -> tuple[Sequence[Record], int]:
        """For the lanes: what comes after a lane's position; waits for it."""
        while True:
            lane.wake.clear()
            if lane.position < self._end:
                records, end = await self._read(lane)
                if records or end > lane.position:
                    return records, end
            await lane.wake.wait()

    async def acknowledge(self, lane: Lane) -> None:
        """For the lanes: the output has all below the lane's position."""
        if self._spool is not None:
            try:
                await self._on_disk(lambda spool: spool.acknowledge(lane.output.name, lane.position))
            except SpoolError as error:
                _log.error("%s", error)  # after a crash some come twice; that is no reason to stop
        self._trim()
        self._room.set()
        self._progress.set()

    @asynccontextmanager
    async def _serve(self) -> AsyncIterator[None]:
        failure: Exception | None = None
        try:
            await self._open()
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(self._write(), name="delivery: queue")]
                running += [tasks.create_task(lane.run(), name=f"delivery: {lane.output.name}") for lane in self._lanes]
                try:
                    yield
                except Exception as error:
                    failure = error  # that of the block, which is not to come out in a group
                finally:
                    await self._drain(running)
                    for task in running:
                        task.cancel()
        except BaseExceptionGroup as group:
            closed, others = group.split(OutputClosed)
            if closed is None or others is not None:
                raise
            raise _first(closed) from None
        finally:
            await self._close()
        if failure is not None:
            raise failure

    async def _open(self) -> None:
        if self._spool is None:
            return
        await self._on_disk(Spool.open)
        self._end = self._spool.end
        for lane in self._lanes:
            name = lane.output.name
            lane.position = await self._on_disk(lambda spool, name=name: spool.register(name))  # type: ignore[misc]
            if lane.position < self._end:
                _log.warning("%s: %d messages wait in the spool", name, self._end - lane.position)

    async def _put(self, message: Message, stored: asyncio.Future[None] | None) -> None:
        while self._is_crowded():
            self._room.clear()
            await self._room.wait()
        record = Record.of(message, identity=self._identities.of(message))
        self._incoming.append((record, stored))
        self._incoming_octets += len(record.text)
        self._came.set()

    def _is_crowded(self) -> bool:
        return (
            len(self._incoming) >= self._limits.messages // 4 + 1 or self._incoming_octets >= self._limits.octets // 4
        )

    async def _write(self) -> None:
        """The one task that moves what came to where the lanes take it: with a spool, once it is on the disk."""
        while True:
            await self._came.wait()
            self._came.clear()
            while self._incoming:
                taken: list[tuple[Record, asyncio.Future[None] | None]] = []
                octets = 0
                while self._incoming and len(taken) < _AT_ONCE and octets < self._limits.octets // 4:
                    taken.append(self._incoming.popleft())
                    octets += len(taken[-1][0].text)
                self._incoming_octets -= octets
                self._moving = len(taken)
                await self._keep([record for record, _ in taken])
                self._moving = 0
                self._end += len(taken)
                self.received += len(taken)
                for record, stored in taken:
                    self._recent.append(record)
                    self._recent_octets += len(record.text)
                    if stored is not None and not stored.done():
                        stored.set_result(None)
                self._trim()
                self._room.set()
                for lane in self._lanes:
                    lane.wake.set()

    async def _keep(self, records: Sequence[Record]) -> None:
        if self._spool is None:
            await self._make_room(len(records), sum(len(record.text) for record in records))
            return
        octets = [record.text.encode("utf-8", "backslashreplace") for record in records]
        pause = _FIRST_PAUSE
        while True:
            self._progress.clear()
            try:
                begin = await self._on_disk(lambda spool: self._append(spool, octets))
                for lane in self._lanes:
                    lane.position = max(lane.position, begin)
                self.trouble = None
                return
            except SpoolError as error:
                if self.trouble is None:
                    _log.error("%s; no more is read until then", error)
                self.trouble = str(error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._progress.wait()
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _append(self, spool: Spool, records: Sequence[bytes]) -> int:
        """Append, making room where that is wanted; the number of the oldest message that is there after that."""
        self._tell_lost(spool.drop_expired(), "too old")
        while True:
            try:
                spool.append(records)
                return spool.begin
            except SpoolFull:
                if self._limits.when_full == "wait":
                    raise
            self._tell_lost(spool.drop_oldest(), "the spool is full")

    async def _make_room(self, messages: int, octets: int) -> None:
        """Without a spool: wait for the slowest of the outputs that work, and drop what the broken ones do not take."""
        limit = self._limits
        while self._recent and (
            len(self._recent) + messages > limit.messages or self._recent_octets + octets > limit.octets
        ):
            self._trim()
            begin = self._end - len(self._recent)
            last = [lane for lane in self._lanes if lane.position <= begin]
            if last and all(lane.is_failing for lane in last):
                for lane in last:
                    lane.position = begin + 1
                    self._tell_lost({lane.output.name: 1}, "there is no spool, and too much waits")
            elif last:
                self._progress.clear()
                await self._progress.wait()

    def _tell_lost(self, lost: dict[str, int], reason: str) -> None:
        for lane in self._lanes:
            before = lane.statistics.lost
            lane.statistics.lost += lost.get(lane.output.name, 0)
            now = lane.statistics.lost
            if now > before and (before == 0 or now // _TELL_EACH > before // _TELL_EACH):
                _log.error("%s: messages are lost: %s; %d until now", lane.output.name, reason, lane.statistics.lost)

    async def _read(self, lane: Lane) -> tuple[Sequence[Record], int]:
        limits = self._limits.lane
        begin = self._end - len(self._recent)
        if lane.position >= begin:
            records: list[Record] = []
            octets = 0
            for index in range(lane.position - begin, len(self._recent)):
                records.append(self._recent[index])
                octets += len(records[-1].text)
                if len(records) >= limits.messages or octets >= limits.octets:
                    break
            return records, lane.position + len(records)
        if self._spool is None:
            return (), begin
        name, position = lane.output.name, lane.position
        try:
            found, end = await self._on_disk(lambda spool: spool.read(name, position, limits.messages, limits.octets))
        except SpoolError as error:
            _log.error("%s", error)
            await asyncio.sleep(1.0)
            return (), lane.position
        return [Record(text=octets.decode("utf-8", "replace")) for octets in found], end

    def _trim(self) -> None:
        """Forget what is not needed in memory: what every output has; with a spool also what is on the disk only."""
        least = min(lane.position for lane in self._lanes)
        while self._recent and self._end - len(self._recent) < least:
            self._recent_octets -= len(self._recent.popleft().text)
        if self._spool is not None:
            while len(self._recent) > self._limits.messages // 4 or self._recent_octets > self._limits.octets // 4:
                self._recent_octets -= len(self._recent.popleft().text)

    async def _on_disk(self, work: Callable[[Spool], _T]) -> _T:
        assert self._spool is not None
        async with self._disk:
            return await _to_the_end(asyncio.to_thread(work, self._spool))

    async def _drain(self, running: Sequence[asyncio.Task[None]]) -> None:
        """Let the outputs have what is there; those that fail are not waited for when the spool keeps it.

        Nothing is waited for when one of the tasks has ended: then all of them have been cancelled.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.drain):
                while any(self._is_worth_waiting_for(lane) for lane in self._lanes):
                    if any(task.done() for task in running):
                        return
                    self._progress.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(_LOOK_AGAIN):
                            await self._progress.wait()

    def _is_worth_waiting_for(self, lane: Lane) -> bool:
        if self._incoming or self._moving:
            return True
        return lane.position < self._end and (self._spool is None or not lane.is_failing)

    async def _close(self) -> None:
        for lane in self._lanes:
            try:
                async with asyncio.timeout(self._limits.close):
                    await lane.output.close()
            except (TimeoutError, OSError) as error:
                _log.warning("%s: does not close: %s", lane.output.name, error or "no answer")
            missing = self._missing(lane)
            if missing > 0:
                lane.statistics.lost += missing if self._spool is None else 0
                kept = "lost" if self._spool is None else "in the spool for the next time"
                _log.warning("%s: not delivered, and %s: %d messages", lane.output.name, kept, missing)
        for _, stored in self._incoming:
            if stored is not None and not stored.done():
                stored.set_exception(SpoolError("it ended before the message was safe"))
        if self._spool is not None:
            await self._on_disk(Spool.close)

    def _missing(self, lane: Lane) -> int:
        return self._end - lane.position + self._moving + len(self._incoming)


async def _to_the_end(work: Awaitable[_T]) -> _T:
    """Wait for a thread even when cancelled: what it does to files cannot be called back."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _first(group: BaseExceptionGroup[OutputClosed]) -> OutputClosed:
    found = group.exceptions[0]
    return found if isinstance(found, OutputClosed) else _first(found)


_AT_ONCE: Final = 2000
"""As many messages share one write."""
_LOOK_AGAIN: Final = 0.2
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_TELL_EACH: Final = 1000
