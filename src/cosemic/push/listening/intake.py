"""What all sources of a listener share: the queue in front of whoever iterates, limits, counts and one timer."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol, TypeAlias

from cosemic.push.listening.limits import Limits
from cosemic.push.listening.statistics import Statistics
from cosemic.push.listening.wheel import Wheel
from cosemic.push.messages import Decoded, Push
from cosemic.push.telegrams import Dropped, Framing

logger = logging.getLogger("cosemic.push")

_LOG_EVERY = 10.0
_MOST_LOGGED = 200
_IN_A_TURN = 16


class Decoder(Protocol):
    """What a source feeds: ``cosemic.push.decoder.PushDecoder``."""

    def feed(self, octets: bytes) -> list[Decoded]:
        """Octets as they come."""

    def end_of_datagram(self) -> list[Decoded]:
        """A datagram is over; general blocks go on to wait for their rest."""

    def idle(self) -> list[Decoded]:
        """The line is silent: what has begun is not going to end."""

    def end(self) -> list[Decoded]:
        """The stream is over."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who sends: ``source`` names it to the user, ``kind`` is the scheme of the URL, ``address`` an IP address."""

    source: str
    kind: str
    address: str | None = None
    framing: Framing | None = None


DecoderOf: TypeAlias = Callable[[Origin], Decoder]


class Waiting(Protocol):
    """A connection that has stopped reading until there is room in the queue."""

    def go_on(self) -> None:
        """Take up what was put aside, and read on."""


@dataclass(slots=True)
class _Said:
    at: float
    kept_back: int = 0


@dataclass(slots=True)
class Intake:
    """One per listener.

    ``emit`` is called with each message and the time that a recording says, ``tell`` with sentences about sources,
    ``on_octets`` with all that comes, before anything is made of it.
    """

    limits: Limits
    decoder_of: DecoderOf
    emit: Callable[[str, Decoded, datetime | None, Callable[[], None] | None], None]
    tell: Callable[[str], None]
    on_octets: Callable[[str, bytes], None] | None = None
    on_source_ended: Callable[[], None] = lambda: None
    on_change: Callable[[], None] = lambda: None
    confirms: bool = True
    """Whether confirmed pushes are confirmed as soon as they are queued, and not by whoever takes them."""
    statistics: Statistics = field(default_factory=Statistics)
    wheel: Wheel = field(default_factory=Wheel)
    is_full: bool = False
    """Whether datagrams find no room. Streams, which can wait, wait earlier: one turn of the loop is to be short."""
    is_crowded: bool = False
    is_stopping: bool = False
    _paused: deque[Waiting] = field(default_factory=deque)
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _said: dict[str, _Said] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._room.set()

    def octets_came(self, origin: Origin, octets: bytes) -> None:
        """Count octets, and have them recorded."""
        self.statistics.octets[origin.kind] += len(octets)
        if self.on_octets is not None:
            self.on_octets(origin.source, octets)

    def source_ended(self) -> None:
        """A source, such as a file, gives nothing more."""
        self.on_source_ended()

    def take(
        self,
        origin: Origin,
        items: Iterable[Decoded],
        at: datetime | None = None,
        confirm: Callable[[Push], None] | None = None,
    ) -> int:
        """Count and hand on what a decoder gave; how many of it were whole telegrams.

        ``confirm`` answers a confirmed push; None where the source has no way back.
        """
        statistics = self.statistics
        whole = 0
        for item in items:
            if isinstance(item, Push):
                whole += 1
                statistics.pushes[origin.kind] += 1
                statistics.readings += len(item.readings)
                if item.needs_confirmation and confirm is not None:
                    if not self.confirms:
                        self.emit(origin.source, item, at, partial(confirm, item))
                        continue
                    confirm(item)
            elif isinstance(item, Dropped):
                statistics.count_dropped(item.reason, len(item.octets))
            else:
                whole += 1
                statistics.undecoded[item.diagnosis] += 1
            self.emit(origin.source, item, at, None)
        return whole

    # -- back-pressure -------------------------------------------------------------------------------------------------
    @property
    def has_waiting(self) -> bool:
        """Whether there are octets that came while the queue was full."""
        return bool(self._paused)

    def set_crowded(self, is_crowded: bool) -> None:
        """Told by the listener. With room again, those who wait go on, some in each turn of the loop."""
        self.is_crowded = is_crowded
        if is_crowded:
            self._room.clear()
            return
        self._room.set()
        if self._paused:
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        for _ in range(_IN_A_TURN):
            if self.is_crowded:
                return
            if not self._paused:
                self.on_change()
                return
            self._paused.popleft().go_on()
        asyncio.get_running_loop().call_soon(self._go_on)

    def pause(self, waiting: Waiting) -> None:
        """Call ``go_on`` when there is room."""
        self._paused.append(waiting)

    async def room(self) -> None:
        """Wait until there is room in the queue."""
        while self.is_crowded:
            await self._room.wait()

    # -- the log -------------------------------------------------------------------------------------------------------
    def warn(self, about: str, text: str) -> None:
        """A warning, once in ten seconds for each ``about``; the number of those that were kept back is told next."""
        now = self.wheel.time()
        said = self._said.get(about)
        if said is not None and now - said.at < _LOG_EVERY:
            said.kept_back += 1
            return
        more = f" ({said.kept_back} more of this kind before)" if said is not None and said.kept_back else ""
        if said is None and len(self._said) >= _MOST_LOGGED:
            self._said.pop(next(iter(self._said)))
        self._said[about] = _Said(now)
        logger.warning("%s%s", text, more)

    def failed(self, origin: Origin, error: Exception) -> None:
        """An error of ours while decoding. Its text may hold anything, so that only its kind goes to the log."""
        self.statistics.failures += 1
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = "" if where is None else f" in {where.tb_frame.f_code.co_qualname}, line {where.tb_lineno}"
        self.warn(
            f"failure {type(error).__name__}{place}",
            f"{origin.source}: unexpected {type(error).__name__}{place}; the telegram is lost, please report it",
        )
