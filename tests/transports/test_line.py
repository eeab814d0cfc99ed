"""What a shared line does between one client and the next: the port is free, the sign-on knows the tolerances."""

from __future__ import annotations

import asyncio

import pytest

from cosemic import blocking
from cosemic.client import DlmsClient
from cosemic.errors import LinkLost
from cosemic.tolerances import Tolerance
from cosemic.transports import line as line_module
from cosemic.transports.line import BlockingLine, Line
from cosemic.transports.memory import FakeClock, MemoryStream
from cosemic.transports.targets import Target

URL = "optical:///dev/ttyUSB0"
FEW = frozenset({Tolerance.LOCAL_ECHO})


class Port(MemoryStream):
    """A stream that lets go of its port only some turns of the loop after it was closed."""

    __slots__ = ("_closed", "ports")

    def __init__(self, ports: list[Port]) -> None:
        super().__init__(FakeClock())
        self.ports = ports
        self._closed = asyncio.Event()
        ports.append(self)

    def close(self) -> None:
        super().close()
        asyncio.get_running_loop().call_later(0.001, self._release)

    def _release(self) -> None:
        if self in self.ports:
            self.ports.remove(self)
        self._closed.set()

    async def wait_closed(self) -> None:
        await self._closed.wait()


async def test_a_port_is_free_before_it_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ports: list[Port] = []

    async def open_port(target: Target, **options: object) -> Port:
        if ports:
            raise LinkLost("the port is in use")
        return Port(ports)

    monkeypatch.setattr(line_module, "open_stream", open_port)
    async with Line("serial:///dev/ttyUSB0") as line:
        for _ in range(2):
            (await line()).abandon()  # type: ignore[attr-defined]
        lent = await line()
        assert len(ports) == 1
        lent.close()
    assert not ports


async def test_the_tolerances_of_the_client_hold_for_the_sign_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    async def open_port(target: Target, *, tolerances: frozenset[Tolerance]) -> MemoryStream:
        seen.append(tolerances)
        raise LinkLost("no meter")

    monkeypatch.setattr(line_module, "open_stream", open_port)
    client = DlmsClient(Line(URL), client_sap=16, tolerances=FEW)
    with pytest.raises(LinkLost, match="no meter"):
        await client.connect()
    assert seen == [FEW]


def test_the_tolerances_of_the_blocking_client_hold_for_the_sign_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    def open_port(target: Target, *, timeout: float, tolerances: frozenset[Tolerance]) -> MemoryStream:
        seen.append(tolerances)
        raise LinkLost("no meter")

    monkeypatch.setattr(line_module, "open_blocking_stream", open_port)
    client = blocking.DlmsClient(BlockingLine(URL), client_sap=16, tolerances=FEW)
    with pytest.raises(LinkLost, match="no meter"):
        client.connect()
    assert seen == [FEW]
