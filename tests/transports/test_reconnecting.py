"""A way that takes time to close (a serial port) is free again when ``close`` returns and before it is opened anew."""

from __future__ import annotations

import asyncio

import pytest

from cosemic import DlmsClient
from cosemic.errors import LinkTimeout
from cosemic.transports.memory import FakeClock, MemoryStream, memory_pair


class Port:
    """A stream whose port is free some turns of the loop after it was closed."""

    def __init__(self, stream: MemoryStream, held: list[Port]) -> None:
        assert not held, "the port is still locked"
        held.append(self)
        self._held = held
        self._stream = stream
        self.clock = stream.clock
        self.send, self.receive = stream.send, stream.receive

    def close(self) -> None:
        self._stream.close()

    async def wait_closed(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        self._held.remove(self)


async def test_the_port_is_free_before_it_is_opened_again() -> None:
    """Nobody answers, so that no connection ends as it should."""
    clock = FakeClock()
    held: list[Port] = []
    ends = []

    async def opened() -> Port:
        near, far = memory_pair(clock)
        ends.append(far)
        return Port(near, held)

    client = DlmsClient(opened, framing="hdlc", client_sap=16, server_sap=1, timeout=2, retries=1)
    for _ in range(3):
        with pytest.raises(LinkTimeout):
            await client.connect()
        with pytest.raises(LinkTimeout):
            await client.reconnect()
        await client.close()
        assert not held
    assert len(ends) == 6
