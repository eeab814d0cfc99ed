"""Both clients, and streams on which something comes all the time, or just now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cosemic import DlmsClient, blocking
from cosemic.apdu.notify import DataNotification, DataNotificationConfirm
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.errors import LinkTimeout
from cosemic.link.wrapper import WrapperPdu
from cosemic.protocol.settings import DEFAULT_CONFORMANCE

PUSH = WrapperPdu(1, 16, DataNotification(0x40000007, b"", Data.of(axdr.unsigned(3))).encode()).encode()
CONFIRMATION = WrapperPdu(16, 1, DataNotificationConfirm(0x40000007).encode()).encode()
OTHERS = WrapperPdu(9, 9, b"\xc4\x01\xc1\x00\x00").encode()


class Way:
    """A BlockingStream in fake time: what comes is there at once, and each time half a second has passed."""

    def __init__(self, coming: Callable[[], bytes]) -> None:
        self.coming = coming
        self.now = 1000.0
        self.sent: list[bytes] = []

    def clock(self) -> float:
        return self.now

    def send(self, data: bytes, deadline: float | None = None) -> None:
        self.sent.append(data)

    def receive(self, deadline: float | None = None) -> bytes:
        assert deadline is not None
        data = self.coming()
        self.now = self.now + 0.5 if data else max(self.now, deadline)
        assert self.now < 5000, "it listens for ever"
        if not data:
            raise TimeoutError
        return data

    def close(self) -> None:
        pass


class AsyncWay:
    def __init__(self, way: Way) -> None:
        self._way = way
        self.clock, self.close = way.clock, way.close

    async def send(self, data: bytes, deadline: float | None = None) -> None:
        self._way.send(data, deadline)

    async def receive(self, deadline: float | None = None) -> bytes:
        return self._way.receive(deadline)


Use = Callable[..., None]


@pytest.fixture(params=["asyncio", "blocking"])
def use(request: pytest.FixtureRequest) -> Use:
    """Connect over a way and call a method."""

    def use_blocking(way: Way, method: str, *arguments: object, **options: Any) -> None:
        with blocking.DlmsClient(way, **options) as client:
            getattr(client, method)(*arguments)

    async def use_asyncio(way: Way, method: str, *arguments: object, **options: Any) -> None:
        async with DlmsClient(AsyncWay(way), **options) as client:
            await getattr(client, method)(*arguments)

    if request.param == "blocking":
        return use_blocking
    return lambda *arguments, **options: asyncio.run(use_asyncio(*arguments, **options))


@pytest.mark.parametrize("framing, octets", [("hdlc", b"\x00\x55"), ("wrapper", OTHERS), ("mbus", b"\x00\x55")])
def test_a_line_that_never_falls_silent(use: Use, framing: str, octets: bytes) -> None:
    way = Way(lambda: octets)
    with pytest.raises(LinkTimeout):
        use(way, "get", 3, "1.0.1.8.0.255", 2, framing=framing, timeout=20.0, pre_established=True)
    assert way.now < 1000.0 + 20.0 + 10.0


def test_listening_has_an_end_even_so(use: Use) -> None:
    way = Way(lambda: OTHERS)
    use(way, "listen", 60.0, framing="wrapper", timeout=20.0, pre_established=True)
    assert 1060.0 <= way.now < 1065.0


def test_a_confirmed_push_does_not_end_listening_early(use: Use) -> None:
    coming = [PUSH]
    way = Way(lambda: coming.pop() if coming else b"")
    seen: list[object] = []
    use(
        way,
        "listen",
        600.0,
        framing="wrapper",
        timeout=20.0,
        pre_established=True,
        conformance=DEFAULT_CONFORMANCE,
        on_notification=seen.append,
    )
    assert len(seen) == 1
    assert way.sent == [CONFIRMATION]
    assert 1600.0 <= way.now < 1605.0
