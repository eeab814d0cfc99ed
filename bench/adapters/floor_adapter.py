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

    def close(self, client):
        client.close()


ADAPTER = FloorAdapter
