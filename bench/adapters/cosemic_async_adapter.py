"""cosemic, the asyncio client: the same requests, awaited one after another in one loop."""

from __future__ import annotations

import asyncio

import corpus
from adapters.base import Adapter

from cosemic import DlmsClient, ObisCode


class CosemicAsyncAdapter(Adapter):
    name = "cosemic_async"
    distributions = ("cosemic",)
    import_statement = "from cosemic import DlmsClient"

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.register = ObisCode.from_bytes(corpus.REGISTER[1])
        self.profile = ObisCode.from_bytes(corpus.PROFILE[1])

    def plain(self, value):
        return [self.plain(item) for item in value] if isinstance(value, (list, tuple)) else value

    def connect(self, port):
        client = DlmsClient(f"tcp://127.0.0.1:{port}", client_sap=16, server_sap=1)
        self.loop.run_until_complete(client.connect())
        return client

    def read_registers(self, client, count):
        async def read():
            for _ in range(count):
                value = await client.get(3, self.register, 2)
            return value

        return self.loop.run_until_complete(read())

    def read_profile(self, client):
        return self.loop.run_until_complete(client.get(7, self.profile, 2))

    def close(self, client):
        self.loop.run_until_complete(client.close())
        self.loop.close()


ADAPTER = CosemicAsyncAdapter
