"""The way of one output: from where it is in the queue to what it has, with repeats, one thing at a time."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cosemic.delivery.exact_json import dumps, loads
from cosemic.delivery.outputs import Output, OutputClosed, OutputRefused, OutputUnavailable, Record
from cosemic.errors import DlmsError

_log = logging.getLogger("cosemic.delivery")


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """How an output is served: records and octets in one batch, seconds for a batch, seconds between two tries."""

    messages: int = 500
    octets: int = 1 << 20
    deadline: float = 60.0
    first_pause: float = 0.5
    longest_pause: float = 60.0
    idle: float = 15.0
    """After as many seconds without a message an output is looked after: an empty batch opens what was lost."""


@dataclass(slots=True)
class LaneStatistics:
    """What became of the messages for one output. ``trouble`` is what ails it now, None when nothing does."""

    delivered: int = 0
    refused: int = 0
    lost: int = 0
    repeats: int = 0
    trouble: str | None = None


class Source(Protocol):
    """Where a lane takes its records from."""

    async def take(self, lane: Lane) -> tuple[Sequence[Record], int]:
        """The next records after the lane's position, waiting for them, and the position after them."""

    async def acknowledge(self, lane: Lane) -> None:
        """The output has all below the lane's position."""


class Lane:
    """Serves one output until it is cancelled. ``position`` counts what the output has."""

    def __init__(
        self, output: Output, source: Source, limits: LaneLimits, dead_letters: DeadLetters, *, position: int = 0
    ) -> None:
        self.output = output
        self.position = position
        self.statistics = LaneStatistics()
        self.wake = asyncio.Event()
        self._source = source
        self._limits = limits
        self._dead_letters = dead_letters
        self._pause = limits.first_pause

    @property
    def is_failing(self) -> bool:
        """Whether the last try did not get through."""
        return self.statistics.trouble is not None

    async def run(self) -> None:
        """Deliver for ever; OutputClosed when the receiver is gone for good."""
        await self._offer(())
        while True:
            try:
                async with asyncio.timeout(self._limits.idle):
                    batch, end = await self._source.take(self)
            except TimeoutError:
                await self._offer(())
                continue
            waiting = deque(batch)
            singly = False
            while waiting:
                offered = [waiting[0]] if singly else list(waiting)
                delivered, refusal = await self._offer(offered)
                for _ in range(delivered):
                    waiting.popleft()
                self.position = max(self.position, end - len(waiting))
                self.statistics.delivered += delivered
                if refusal is not None and delivered == 0 and len(offered) == 1:
                    await self._refuse(waiting.popleft(), refusal)
                elif refusal is not None:
                    singly = True
            # What could not be read is behind us too.
            self.position = max(self.position, end)
            await self._source.acknowledge(self)

    async def _offer(self, offered: Sequence[Record]) -> tuple[int, str | None]:
        """How many went through, and why the next one never will."""
        try:
            async with asyncio.timeout(self._limits.deadline):
                await self.output.deliver(offered)
        except OutputClosed:
            raise
        except OutputRefused as error:
            self._recover()
            return error.delivered, str(error)
        except OutputUnavailable as error:
            await self._wait(str(error))
            return error.delivered, None
        except TimeoutError:
            await self._wait(f"no answer within {self._limits.deadline:g} s")
            return 0, None
        except (DlmsError, OSError) as error:
            await self._wait(str(error))
            return 0, None
        except Exception as error:
            # A mistake of ours in one output must not end the others, nor stop this one for ever.
            _log.exception("%s: an error of cosemic itself; please report it", self.output.name)
            return 0, f"{type(error).__name__}: {error}"
        self._recover()
        return len(offered), None

    def _recover(self) -> None:
        self._pause = self._limits.first_pause
        if self.statistics.trouble is not None:
            self.statistics.trouble = None
            _log.warning("%s: works again", self.output.name)

    async def _wait(self, trouble: str) -> None:
        if self.statistics.trouble != trouble:
            self.statistics.trouble = trouble
            _log.warning("%s: %s; it is tried again, what comes waits", self.output.name, trouble)
        self.statistics.repeats += 1
        pause = self._pause * random.uniform(0.5, 1.0)
        self._pause = min(2 * self._pause, self._limits.longest_pause)
        await asyncio.sleep(pause)

    async def _refuse(self, record: Record, reason: str) -> None:
        self.statistics.refused += 1
        self.position += 1
        where = await self._dead_letters.put(self.output.name, record, reason)
        _log.error("%s refuses message %s: %s; %s", self.output.name, record.id, reason, where)


class DeadLetters:
    """What an output refuses for ever: a line each in a file, with the reason. Without a file it is told only."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    async def put(self, output: str, record: Record, reason: str) -> str:
        """Keep a record; a sentence that says where it is."""
        if self.path is None:
            return "there is no spool to keep it in"
        try:
            await asyncio.to_thread(self._append, output, record, reason)
        except OSError as error:
            return f"it cannot be kept in {self.path}: {error}"
        return f"it is kept in {self.path}"

    def _append(self, output: str, record: Record, reason: str) -> None:
        letter = dumps({"output": output, "reason": reason, "message": loads(record.text)})
        if self.path is not None:
            with open(self.path, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(letter + "\n")
