"""What a line lends tells what came meanwhile, as the stream itself does: with short names the clients ask."""

from __future__ import annotations

import socket

from cosemic.meter.demo import demo_meter
from cosemic.meter.server import running
from cosemic.transports.line import BlockingLine, _BlockingLent
from cosemic.transports.sockets import SocketStream


def test_octets_that_are_there_show_through_a_line() -> None:
    near, far = socket.socketpair()
    with running(demo_meter()) as ports, BlockingLine(f"tcp://127.0.0.1:{ports.wrapper}") as line:
        line()  # locked, as for a client
        lent = _BlockingLent(line, SocketStream(near))
        assert not lent.has_octets
        far.sendall(b"late")
        assert lent.has_octets
        lent.close()
        assert not lent.has_octets
    near.close()
    far.close()
