"""Serial ports, and connections that we make: one task each, which opens the line again whenever it goes away."""

from __future__ import annotations

import asyncio
import contextlib
import time

from cosemic.errors import LinkError, MissingExtra
from cosemic.push.listening.intake import Decoder, Intake, Origin
from cosemic.push.listening.urls import SourceUrl
from cosemic.transports.streams import Stream, connect_stream, wait_closed

FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_CONNECT = 20.0
_STEADY = 30.0
"""Seconds of a line that was open, after which the next pause is the shortest again."""


class LineSource:
    """A line. ``on_change`` is called with each sentence about it that a user should see."""

    def __init__(self, url: SourceUrl, intake: Intake) -> None:
        self.url = url
        self.intake = intake
        self._origin = Origin(str(url), url.kind, None if url.target is None else url.target.host or None, url.framing)
        self._task: asyncio.Task[None] | None = None
        self._decoder: Decoder | None = None
        self.octets = 0

    async def open(self) -> list[str]:
        """Open the line for the first time: LinkError where a port is not there. A network may come later."""
        stream: Stream | None = None
        try:
            stream = await self._connect()
        except MissingExtra:
            raise
        except LinkError as error:
            if self.url.kind in ("serial", "mbus"):
                raise
            self.intake.tell(f"{error}; it is tried again")
        self._task = asyncio.get_running_loop().create_task(self._run(stream))
        return [str(self.url)]

    def stop(self) -> None:
        """Let go of the line."""
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Wait until the line is free."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _connect(self) -> Stream:
        target = self.url.target
        if target is None:
            raise LinkError(f"{self.url} names no line")
        try:
            async with asyncio.timeout(_CONNECT):
                return await connect_stream(target)
        except TimeoutError:
            raise LinkError(f"cannot connect to {target}: no answer within {_CONNECT:g} s") from None

    async def _run(self, stream: Stream | None) -> None:
        pause = FIRST_PAUSE
        is_lost = stream is None
        while not self.intake.is_stopping:
            if stream is None:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                try:
                    stream = await self._connect()
                except LinkError as error:
                    self.intake.warn(f"cannot open {self.url}", f"{error}; it is tried again")
                    continue
            if is_lost:
                self.intake.statistics.reopened += 1
                self.intake.tell(f"{self.url} is open again")
                is_lost = False
            opened = time.monotonic()
            why = await self._listen(stream)
            stream = None
            is_lost = True
            if time.monotonic() - opened > _STEADY:
                pause = FIRST_PAUSE
            self.intake.tell(f"{self.url}: {why}; it is opened again as soon as it is there")

    async def _listen(self, stream: Stream) -> str:
        """Read until the line is gone; why it is."""
        is_idle = True
        try:
            while True:
                await self.intake.room()
                deadline = None if is_idle else time.monotonic() + self.url.idle_after
                try:
                    octets = await stream.receive(deadline)
                except TimeoutError:
                    is_idle = True
                    self._decode(None)
                    continue
                if not octets:
                    return "the other side ended the connection"
                is_idle = False
                self._decode(octets)
        except OSError as error:
            return str(error)
        finally:
            self._end()
            stream.close()
            with contextlib.suppress(Exception):
                await wait_closed(stream, 1.0)

    def _decode(self, octets: bytes | None) -> None:
        """Hand on what comes of more octets, or of silence."""
        try:
            if self._decoder is None:
                self._decoder = self.intake.decoder_of(self._origin)
            if octets is None:
                items = self._decoder.idle()
            else:
                self.octets += len(octets)
                self.intake.octets_came(self._origin, octets)
                items = self._decoder.feed(octets)
            self.intake.take(self._origin, items)
        except Exception as error:
            self._decoder = None
            self.intake.failed(self._origin, error)

    def _end(self) -> None:
        decoder, self._decoder = self._decoder, None
        if decoder is None:
            return
        try:
            self.intake.take(self._origin, decoder.end())
        except Exception as error:
            self.intake.failed(self._origin, error)
