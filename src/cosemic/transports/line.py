"""One stream for several clients, one after another: logical devices of a meter, or meters on one serial line.

::

    async with Line("serial:///dev/ttyUSB0?baud=9600") as line:
        for address in (17, 18, 19):
            async with DlmsClient(line, client_sap=16, server_sap=1, physical_address=address) as meter:
                ...

A client that connects waits until the one before it has closed. What it leaves in good order is used again; after an
error, or an answer that is still owed, the stream is opened anew, so that nobody gets what was meant for somebody else.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from cosemic.errors import LinkLost, LinkTimeout
from cosemic.transports.certificates import TlsSettings
from cosemic.transports.streams import (
    BlockingStream,
    Stream,
    clock_of,
    open_blocking_stream,
    open_stream,
)
from cosemic.transports.targets import Target, parse_url


def _target(url: str | Target, tls: TlsSettings | None) -> Target:
    target = parse_url(url) if isinstance(url, str) else url
    return target if tls is None else target.with_tls(tls)


class Line:
    """A way that asyncio clients share: give it to ``DlmsClient`` in place of the URL.

    The wait for the line counts as connecting: see ``connect_timeout`` of the client.
    """

    def __init__(self, url: str | Target, *, tls: TlsSettings | None = None) -> None:
        self.target = _target(url, tls)
        self._stream: Stream | None = None
        from asyncio import Lock  # the blocking line does without

        self._lock = Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __call__(self) -> Stream:
        """The stream, once nobody else has it; ``close`` of what is given hands it on."""
        await self._lock.acquire()
        try:
            stream = self._stream
            if stream is None:
                stream = self._stream = await open_stream(self.target)
        except BaseException:
            self._lock.release()
            raise
        return _Lent(self, stream)

    def close(self) -> None:
        """Close the stream, whoever uses it."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _take_back(self, in_order: bool) -> None:
        # After its HDLC a meter's optical port wants a sign-on again.
        if not in_order or self.target.sign_on is not None:
            self.close()
        self._lock.release()


class _Lent:
    """The stream of a line while one client has it."""

    def __init__(self, line: Line, stream: Stream) -> None:
        self._line: Line | None = line
        self._stream = stream
        self._owed = False
        self.clock = clock_of(stream)

    @property
    def has_octets(self) -> bool:
        """Whether ``receive`` would give something at once, as far as the stream can tell."""
        return self._line is not None and bool(getattr(self._stream, "has_octets", False))

    async def send(self, data: bytes, deadline: float | None = None) -> None:
        if self._line is None:
            raise LinkLost("the line was given back")
        self._owed = True
        await self._stream.send(data, deadline)

    async def receive(self, deadline: float | None = None) -> bytes:
        if self._line is None:
            return b""
        data = await self._stream.receive(deadline)
        self._owed = not data
        return data

    def close(self) -> None:
        self._give_back(not self._owed)

    def abandon(self) -> None:
        """Close in the middle of something."""
        self._give_back(False)

    def _give_back(self, in_order: bool) -> None:
        line, self._line = self._line, None
        if line is not None:
            line._take_back(in_order)


class BlockingLine:
    """The same for ``cosemic.blocking``, for clients in one thread or in several.

    ``patience`` is how many seconds a client waits for the one before it.
    """

    def __init__(
        self,
        url: str | Target,
        *,
        patience: float = 60.0,
        connect_timeout: float = 10.0,
        tls: TlsSettings | None = None,
    ) -> None:
        self.target = _target(url, tls)
        self._stream: BlockingStream | None = None
        self._patience = patience
        self._connect_timeout = connect_timeout
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self) -> BlockingStream:
        """The stream, once nobody else has it; LinkTimeout when that takes too long."""
        if not self._lock.acquire(timeout=self._patience):
            raise LinkTimeout(f"{self.target} is in use by another client for more than {self._patience:g} s")
        try:
            stream = self._stream
            if stream is None:
                stream = self._stream = open_blocking_stream(self.target, timeout=self._connect_timeout)
        except BaseException:
            self._lock.release()
            raise
        return _BlockingLent(self, stream)

    def close(self) -> None:
        """Close the stream, whoever uses it."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    def _take_back(self, in_order: bool) -> None:
        if not in_order or self.target.sign_on is not None:
            self.close()
        self._lock.release()


class _BlockingLent:
    """The stream of a line while one client has it."""

    def __init__(self, line: BlockingLine, stream: BlockingStream) -> None:
        self._line: BlockingLine | None = line
        self._stream = stream
        self._owed = False
        self.clock = clock_of(stream)

    @property
    def has_octets(self) -> bool:
        """Whether ``receive`` would give something at once, as far as the stream can tell."""
        return self._line is not None and bool(getattr(self._stream, "has_octets", False))

    def send(self, data: bytes, deadline: float | None = None) -> None:
        if self._line is None:
            raise LinkLost("the line was given back")
        self._owed = True
        self._stream.send(data, deadline)

    def receive(self, deadline: float | None = None) -> bytes:
        if self._line is None:
            return b""
        data = self._stream.receive(deadline)
        self._owed = not data
        return data

    def close(self) -> None:
        self._give_back(not self._owed)

    def abandon(self) -> None:
        """Close in the middle of something."""
        self._give_back(False)

    def wake(self) -> None:
        """End the stream for whoever waits in another thread."""
        self._owed = True
        getattr(self._stream, "wake", self._stream.close)()

    def _give_back(self, in_order: bool) -> None:
        line, self._line = self._line, None
        if line is not None:
            line._take_back(in_order)
