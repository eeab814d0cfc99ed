"""No library: the same bare round trips on an asyncio protocol, the cheapest way that asyncio has."""

from __future__ import annotations

import asyncio

from adapters.base import Adapter
from adapters.floor_adapter import REQUEST


class _Answers(asyncio.Protocol):
    answer: asyncio.Future[bytes]

    def data_received(self, data):
        self.answer.set_result(data)


class FloorAsyncAdapter(Adapter):
    name = "floor_async"

    def __init__(self):
        self.loop = asyncio.new_event_loop()

    def plain(self, value):
        return value

    def connect(self, port):
        return self.loop.run_until_complete(self.loop.create_connection(_Answers, "127.0.0.1", port))

    def read_registers(self, client, count):
        transport, answers = client

        async def read():
            for _ in range(count):
                answers.answer = self.loop.create_future()
                transport.write(REQUEST)
                data = await answers.answer
            return int.from_bytes(data[-4:], "big")

        return self.loop.run_until_complete(read())

    def close(self, client):
        client[0].close()
        self.loop.close()


ADAPTER = FloorAsyncAdapter
