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
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

from cosemic.errors import LinkLost, LinkTimeout
from cosemic.tolerances import DEFAULT, Tolerance
from cosemic.transports.certificates import TlsSettings
from cosemic.transports.streams import (
    BlockingStream,
    Stream,
    clock_of,
    open_blocking_stream,
    open_stream,
    wait_closed,
)
from cosemic.transports.targets import Target, parse_url

if TYPE_CHECKING:
    import asyncio

_S = TypeVar("_S", Stream, BlockingStream)

_CLOSE_TIMEOUT = 3.0
"""Seconds that a port has to be free again before it is opened anew."""


class _Owner(Protocol):
    def _take_back(self, in_order: bool) -> None: ...


class _Shared(Generic[_S]):
    """What both forms of a line do without waiting."""

    _lock: asyncio.Lock | threading.Lock

    def __init__(self, url: str | Target, tls: TlsSettings | None) -> None:
        target = parse_url(url) if isinstance(url, str) else url
        self.target = target if tls is None else target.with_tls(tls)
        self._stream: _S | None = None

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


class _Loan(Generic[_S]):
    """The stream of a line while one client has it; what is still owed when it is given back makes it useless."""

    def __init__(self, line: _Owner, stream: _S) -> None:
        self._line: _Owner | None = line
        self._stream: _S = stream
        self._owed = False
        self.clock = clock_of(stream)

    @property
    def has_octets(self) -> bool:
        """Whether ``receive`` would give something at once, as far as the stream can tell."""
        return self._line is not None and bool(getattr(self._stream, "has_octets", False))

    def close(self) -> None:
        self._give_back(not self._owed)

    def abandon(self) -> None:
        """Close in the middle of something."""
        self._give_back(False)

    def _sends(self) -> None:
        if self._line is None:
            raise LinkLost("the line was given back")
        self._owed = True

    def _give_back(self, in_order: bool) -> None:
        line, self._line = self._line, None
        if line is not None:
            line._take_back(in_order)


class Line(_Shared[Stream]):
    """A way that asyncio clients share: give it to ``DlmsClient`` in place of the URL.

    The wait for the line counts as connecting: see ``connect_timeout`` of the client.
    """

    def __init__(self, url: str | Target, *, tls: TlsSettings | None = None) -> None:
        super().__init__(url, tls)
        self._left: Stream | None = None  # may still hold its port
        from asyncio import Lock  # the blocking line does without

        self._lock: asyncio.Lock = Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        await self._wait_closed()

    async def __call__(self) -> Stream:
        """The stream, once nobody else has it; ``close`` of what is given hands it on."""
        return await self.open_for(DEFAULT)

    async def open_for(self, tolerances: frozenset[Tolerance]) -> Stream:
        """The same for a client with these tolerances, which hold for a sign-on."""
        await self._lock.acquire()
        try:
            await self._wait_closed()
            stream = self._stream
            if stream is None:
                stream = self._stream = await open_stream(self.target, tolerances=tolerances)
        except BaseException:
            self._lock.release()
            raise
        return _Lent(self, stream)

    def close(self) -> None:
        """Close the stream, whoever uses it."""
        self._left = self._stream or self._left
        super().close()

    async def _wait_closed(self) -> None:
        left = self._left
        if left is not None:
            await wait_closed(left, _CLOSE_TIMEOUT)
            if self._left is left:
                self._left = None


class _Lent(_Loan[Stream]):
    async def send(self, data: bytes, deadline: float | None = None) -> None:
        self._sends()
        await self._stream.send(data, deadline)

    async def receive(self, deadline: float | None = None) -> bytes:
        if self._line is None:
            return b""
        data = await self._stream.receive(deadline)
        self._owed = not data
        return data


class BlockingLine(_Shared[BlockingStream]):
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
        super().__init__(url, tls)
        self._patience = patience
        self._connect_timeout = connect_timeout
        self._lock: threading.Lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self) -> BlockingStream:
        """The stream, once nobody else has it; LinkTimeout when that takes too long."""
        return self.open_for(DEFAULT)

    def open_for(self, tolerances: frozenset[Tolerance]) -> BlockingStream:
        """The same for a client with these tolerances, which hold for a sign-on."""
        if not self._lock.acquire(timeout=self._patience):
            raise LinkTimeout(f"{self.target} is in use by another client for more than {self._patience:g} s")
        try:
            stream = self._stream
            if stream is None:
                stream = self._stream = open_blocking_stream(
                    self.target, timeout=self._connect_timeout, tolerances=tolerances
                )
        except BaseException:
            self._lock.release()
            raise
        return _BlockingLent(self, stream)


class _BlockingLent(_Loan[BlockingStream]):
    def send(self, data: bytes, deadline: float | None = None) -> None:
        self._sends()
        self._stream.send(data, deadline)

    def receive(self, deadline: float | None = None) -> bytes:
        if self._line is None:
            return b""
        data = self._stream.receive(deadline)
        self._owed = not data
        return data

    def wake(self) -> None:
        """End the stream for whoever waits in another thread."""
        self._owed = True
        getattr(self._stream, "wake", self._stream.close)()
