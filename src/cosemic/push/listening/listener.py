"""Pushes from anywhere as an asynchronous iterator: TCP and UDP servers, serial lines, files.

::

    async with PushListener("tcp://0.0.0.0:4059", "udp://0.0.0.0:4059", keys=keys) as listener:
        async for received in listener:
            print(received.source, received.item)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from cosemic.errors import LocalProtocolError
from cosemic.push.listening.intake import Decoder, DecoderOf, Intake, Origin, logger
from cosemic.push.listening.limits import Limits
from cosemic.push.listening.statistics import Statistics
from cosemic.push.listening.urls import SourceUrl, parse_source
from cosemic.push.messages import Decoded, Push, Undecoded
from cosemic.push.telegrams import Dropped

if TYPE_CHECKING:
    from cosemic.push.decoder import Interpreter
    from cosemic.push.meters import KnownMeters
    from cosemic.push.protection.keys import PushKeys

_MOST_SHOWN = 4096
"""Octets of what was dropped that are kept with it."""
_OVERHEAD = 256
_OTHER_FILES = 64
_CROWDED = 0.2
"""How full the queue may be for streams; the rest is for datagrams, which cannot wait."""


@dataclass(frozen=True, slots=True)
class Received:
    """One message: when it came (aware), from where, and what it is.

    ``source`` is such as "tcp://192.0.2.7:50123", the URL of a serial line, the name of a file.
    """

    at: datetime
    source: str
    item: Push | Undecoded | Dropped
    confirmer: Callable[[], None] | None = field(default=None, repr=False, compare=False)

    def confirm(self) -> None:
        """Confirm a push whose meter waits for that; nothing where it does not, or the listener has done so already."""
        if self.confirmer is not None:
            self.confirmer()


class Source(Protocol):
    """A server, a line, a file."""

    async def open(self) -> list[str]: ...

    def stop(self) -> None: ...

    async def close(self) -> None: ...


class PushListener:
    """Listens on all ``urls`` at once (``listening.urls`` says what they may be) and iterates over ``Received``.

    ``keys`` and ``meters`` are what is known of the meters; an ``Inventory`` is both, and is given as each.
    ``interpreter`` is in place of them, for those who want more of it (messages without protection though there are
    keys, counters that outlive the process). ``clock`` gives the time that
    messages get. ``on_octets`` is called with time, source and octets of all that comes, as for a recording;
    ``on_event`` with sentences about sources that go away and come back, which go to the log too. ``confirms`` False
    leaves it to you to call ``Received.confirm``, once a message is safe. ``decoder_of`` makes the decoder of one
    sender, in place of a ``PushDecoder``.

    Iterating without ``async with`` opens and closes by itself. It ends when all sources have ended, as files do, or
    after ``stop()``; what is undecodable is an item as any other. ValueError for a URL that is none, LinkError (from
    ``open`` or ``async with``) where a source cannot be opened.
    """

    def __init__(
        self,
        *urls: str,
        keys: PushKeys | None = None,
        meters: KnownMeters | None = None,
        interpreter: Interpreter | None = None,
        limits: Limits | None = None,
        clock: Callable[[], datetime] | None = None,
        on_octets: Callable[[datetime, str, bytes], None] | None = None,
        on_event: Callable[[str], None] | None = None,
        confirms: bool = True,
        decoder_of: DecoderOf | None = None,
    ) -> None:
        if not urls:
            raise ValueError("a listener needs a source, such as tcp://0.0.0.0:4059 or serial:///dev/ttyUSB0?baud=2400")
        self.urls = tuple(parse_source(url) for url in urls)
        self.limits = limits or Limits()
        self.statistics = Statistics()
        self.places: list[str] = []
        """Where it listens, with the ports that the system chose; in the order of ``urls``."""
        self._clock = clock or _now
        self._on_octets = on_octets
        self._on_event = on_event
        self._confirms = confirms
        self._decoder_of = decoder_of or _decoders(keys, meters, interpreter)
        self._queue: deque[Received] = deque()
        self._queued_octets = 0
        self._sources: list[Source] = []
        self._running = 0
        self._intake: Intake | None = None
        self._waiter: asyncio.Future[None] | None = None

    # -- opening and closing -------------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Open all sources. LinkError when one cannot be opened; then none is."""
        if self._intake is not None:
            raise LocalProtocolError("the listener is open already, or was closed: make another one")
        self.limits = _affordable(self.limits)
        self._intake = Intake(
            self.limits,
            self._decoder_of,
            self._emit,
            self._tell,
            None if self._on_octets is None else self._record,
            self._source_ended,
            self._wake,
            self._confirms,
            self.statistics,
        )
        try:
            for url in self.urls:
                source = _source(url, self._intake)
                self._sources.append(source)
                self._running += 1
                self.places += await source.open()
        except BaseException:
            await self.close()
            raise

    def stop(self) -> None:
        """Take nothing more. What has come already can still be iterated over, and confirmed; then iterating ends."""
        if self._intake is None or self._intake.is_stopping:
            return
        for source in self._sources:
            source.stop()
        self._intake.is_stopping = True
        self._wake()

    async def close(self) -> None:
        """Stop, and wait until all ports are free."""
        self.stop()
        await asyncio.gather(*(source.close() for source in self._sources), return_exceptions=True)
        await asyncio.sleep(0)  # transports close their sockets in the next turn of the loop
        if self._intake is not None:
            self._intake.wheel.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # -- iterating -----------------------------------------------------------------------------------------------------
    def __aiter__(self) -> AsyncIterator[Received]:
        return self._opened() if self._intake is None else self._iterate()

    async def _opened(self) -> AsyncIterator[Received]:
        async with self:
            async for received in self._iterate():
                yield received

    async def _iterate(self) -> AsyncIterator[Received]:
        while (received := await self.next()) is not None:
            yield received

    async def next(self) -> Received | None:
        """The next message; None when there will be none any more. Cancelling it loses nothing."""
        return found[0] if (found := await self.take(1)) else None

    async def take(self, most: int) -> list[Received]:
        """The next messages: at least one, and as many as are there, up to ``most``. Empty when it is over."""
        intake = self._intake
        if intake is None:
            raise LocalProtocolError("the listener is not open: use 'async with', or call open()")
        queue = self._queue
        while not queue:
            if not intake.has_waiting and (intake.is_stopping or not self._running):
                return []
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        found = [queue.popleft() for _ in range(min(most, len(queue)))]
        self._queued_octets -= sum(_weight(received.item) for received in found)
        self._measure(intake)
        return found

    # -- called by the sources -----------------------------------------------------------------------------------------
    def _emit(self, source: str, item: Decoded, at: datetime | None, confirmer: Callable[[], None] | None) -> None:
        if isinstance(item, Dropped) and len(item.octets) > _MOST_SHOWN:
            item = replace(item, octets=item.octets[:_MOST_SHOWN])
        self._queue.append(Received(at or self._clock(), source, item, confirmer))
        self._queued_octets += _weight(item)
        if self._intake is not None:
            self._measure(self._intake)
        self._wake()

    def _measure(self, intake: Intake) -> None:
        """Tell the sources how full the queue is."""
        limits = self.limits
        load = max(len(self._queue) / limits.queued, self._queued_octets / limits.queued_octets)
        intake.is_full = load >= 1
        if load >= _CROWDED:
            if not intake.is_crowded:
                intake.set_crowded(True)
        elif intake.is_crowded and load <= _CROWDED / 2:
            intake.set_crowded(False)

    def _source_ended(self) -> None:
        self._running -= 1
        self._wake()

    def _record(self, source: str, octets: bytes) -> None:
        if self._on_octets is not None:
            self._on_octets(self._clock(), source, octets)

    def _tell(self, text: str) -> None:
        logger.warning("%s", text)
        if self._on_event is not None:
            self._on_event(text)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _weight(item: Push | Undecoded | Dropped) -> int:
    """Octets that an item keeps, roughly."""
    return _OVERHEAD + len(item.octets if isinstance(item, Dropped) else item.telegram.octets)


def _affordable(limits: Limits) -> Limits:
    """No more connections than the system lets this process have files: otherwise accepting fails for everybody."""
    try:
        from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit
    except ImportError:  # Windows has no such limit
        return limits
    files = getrlimit(RLIMIT_NOFILE)[0]
    most = max(1, files - _OTHER_FILES)
    if files == RLIM_INFINITY or limits.connections <= most:
        return limits
    logger.info("%d connections at the most, as the system allows %d open files (ulimit -n)", most, files)
    return replace(limits, connections=most)


def _now() -> datetime:
    return datetime.now(UTC)


def _decoders(keys: PushKeys | None, meters: KnownMeters | None, interpreter: Interpreter | None) -> DecoderOf:
    """Decoders of one listener, which share what is known of counters."""
    from cosemic.push.decoder import Interpreter, PushDecoder

    if interpreter is None:
        interpreter = Interpreter(keys, meters=meters)
    shared = interpreter

    def make(origin: Origin) -> Decoder:
        return PushDecoder(framing=origin.framing, interpreter=shared.at(origin.source))

    return make


def _source(url: SourceUrl, intake: Intake) -> Source:
    if url.kind in ("tcp", "tls"):
        from cosemic.push.listening.tcp import TcpSource

        return TcpSource(url, intake)
    if url.kind == "udp":
        from cosemic.push.listening.udp import UdpSource

        return UdpSource(url, intake)
    if url.target is not None:
        from cosemic.push.listening.lines import LineSource

        return LineSource(url, intake)
    from cosemic.push.listening.files import FileSource

    return FileSource(url, intake)
