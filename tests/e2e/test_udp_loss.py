"""UDP whose datagrams get lost or come twice: both clients, plain and protected, through a relay that does it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import select
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from cosemic import DlmsClient, ObisCode, axdr, blocking
from cosemic.errors import LinkTimeout
from cosemic.meter.server import running
from tests.e2e.conftest import CREDENTIALS, make_meter

NUMBER = (1, "0.0.128.0.0.255", 2)


@contextlib.contextmanager
def relay(port: int, fate: Callable[[], int]) -> Iterator[int]:
    """A UDP port that passes datagrams on ``fate()`` times: 0 loses one, 2 doubles it."""
    near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    near.bind(("127.0.0.1", 0))
    stop, stopped = socket.socketpair()

    def carry() -> None:
        peers: dict[object, socket.socket] = {}
        while True:
            ready, _, _ = select.select([near, stopped, *peers.values()], [], [])
            if stopped in ready:
                break
            if near in ready:
                data, peer = near.recvfrom(65536)
                if peer not in peers:
                    peers[peer] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    peers[peer].connect(("127.0.0.1", port))
                for _ in range(fate()):
                    peers[peer].send(data)
            for peer, far in peers.items():
                if far in ready:
                    data = far.recv(65536)
                    for _ in range(fate()):
                        near.sendto(data, peer)
        for far in peers.values():
            far.close()

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    try:
        yield near.getsockname()[1]
    finally:
        stop.send(b"x")
        thread.join()
        for sock in (near, stop, stopped):
            sock.close()


OPTIONS = {"response_timeout": 0.03, "retries": 30, "timeout": 20.0}


@pytest.mark.parametrize("kind", ["asyncio", "blocking"])
@pytest.mark.parametrize("credentials", ["none", "lls", "gmac"])
@pytest.mark.parametrize("seed", [1, 2])
def test_everything_is_done_once(kind: str, credentials: str, seed: int) -> None:
    rng = random.Random(seed)
    meter = make_meter()
    done: list[object] = []
    item = meter.devices[1].objects[ObisCode.parse(NUMBER[1])].attributes[2]
    write = item.write
    assert write is not None

    def count(access: object, data: object) -> None:
        done.append(data)
        write(access, data)  # type: ignore[arg-type]

    item.write = count
    with running(meter) as ports, relay(ports.udp, lambda: rng.choice((0, 1, 1, 2))) as port:
        url = f"udp://127.0.0.1:{port}"
        settings = CREDENTIALS[credentials]() | OPTIONS
        if kind == "blocking":
            with blocking.DlmsClient(url, **settings) as client:  # type: ignore[arg-type]
                for number in range(15):
                    client.set(*NUMBER, axdr.double_long_unsigned(number))
                    assert client.get(*NUMBER) == number
                assert len(client.get(7, "1.0.99.1.0.255", 2)) == 200  # type: ignore[arg-type]
        else:
            asyncio.run(_exercise(url, settings))
    assert len(done) == 15


async def _exercise(url: str, settings: dict[str, object]) -> None:
    async with DlmsClient(url, **settings) as client:  # type: ignore[arg-type]
        for number in range(15):
            await client.set(*NUMBER, axdr.double_long_unsigned(number))
            assert await client.get(*NUMBER) == number
        assert len(await client.get(7, "1.0.99.1.0.255", 2)) == 200  # type: ignore[arg-type]


def test_nothing_comes_back() -> None:
    with running(make_meter()) as ports, relay(ports.udp, lambda: 0) as port:
        client = blocking.DlmsClient(
            f"udp://127.0.0.1:{port}", client_sap=16, server_sap=1, response_timeout=0.02, retries=2
        )
        with pytest.raises(LinkTimeout, match="after 3 tries"):
            client.connect()
