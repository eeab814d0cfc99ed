"""An M-Bus on a serial line: both clients and our meter over two ptys."""

from __future__ import annotations

import asyncio
import os
import tty

from cosemic import DlmsClient, blocking
from cosemic.meter.server import MeterServer
from tests.e2e.conftest import make_meter

NAME = (1, "0.0.42.0.0.255", 2)


async def test_both_clients() -> None:
    near, device = os.openpty()
    far, line = os.openpty()
    for descriptor in (near, device, far, line):
        tty.setraw(descriptor)
    loop = asyncio.get_running_loop()
    loop.add_reader(near, lambda: os.write(far, os.read(near, 4096)))
    loop.add_reader(far, lambda: os.write(near, os.read(far, 4096)))
    url = f"mbus://{os.ttyname(device)}?address=9&parity=none&baud=9600"  # a pty has no parity

    def read() -> object:
        with blocking.DlmsClient(url, client_sap=16, server_sap=1) as meter:
            return meter.get(*NAME), len(meter.objects())

    try:
        async with MeterServer(make_meter()) as server:
            await server.serve_url(f"mbus://{os.ttyname(line)}?address=9&parity=none&baud=9600")
            async with DlmsClient(url, client_sap=16, server_sap=1) as meter:
                first = await meter.get(*NAME), len(await meter.objects())
            assert await asyncio.to_thread(read) == first
    finally:
        loop.remove_reader(near)
        loop.remove_reader(far)
        for descriptor in (near, device, far, line):
            os.close(descriptor)
