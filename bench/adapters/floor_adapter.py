"""No library: the octets of the request out, the octets of the answer in, over a bare blocking socket.

What is left is the kernel, Python's socket module and the bench's own server: no client can be faster here.
"""

from __future__ import annotations

import socket

import corpus
from adapters.base import Adapter

_PORTS = b"\0\1\0\x10\0\1"
REQUEST = _PORTS + len(corpus.GET_REQUEST).to_bytes(2, "big") + corpus.GET_REQUEST


class FloorAdapter(Adapter):
    name = "floor"

    def plain(self, value):
        return value

    def connect(self, port):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def read_register(self, client):
        client.sendall(REQUEST)
        return int.from_bytes(client.recv(65536)[-4:], "big")

    def read_table(self, client):
        """Only collects the blocks: what no client can do without, whatever it makes of them."""
        descriptor = corpus.PROFILE[0].to_bytes(2, "big") + corpus.PROFILE[1] + b"\x02\x00"
        client.sendall(_PORTS + b"\0\x0d\xc0\x01\xc1" + descriptor)
        collected = bytearray()
        while True:
            answer = client.recv(65536)
            size = 8 + int.from_bytes(answer[6:8], "big")
            while len(answer) < size:
                answer += client.recv(65536)
            start = 18 + (answer[17] - 0x80 if answer[17] > 0x80 else 0)
            collected += answer[start:]
            if answer[11]:
                return bytes(collected)
            client.sendall(_PORTS + b"\0\x07\xc0\x02\xc1" + answer[12:16])

    def close(self, client):
        client.close()


ADAPTER = FloorAdapter
