"""The blocking socket stream keeps its deadlines, whatever the other side takes or gives."""

import itertools
import socket

import pytest

from cosemic.transports import sockets
from cosemic.transports.sockets import SocketStream


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield SocketStream(ours), theirs


def _soon():
    return sockets.time.monotonic() + 0.05


def test_a_silent_peer_ends_a_receive(pair):
    stream, _ = pair
    with pytest.raises(TimeoutError):
        stream.receive(_soon())


def test_a_peer_that_takes_nothing_ends_a_send(pair):
    stream, _ = pair
    with pytest.raises(TimeoutError):
        stream.send(bytes(1 << 24), _soon())


def test_a_peer_that_takes_little_at_a_time_gets_no_more_time(pair, monkeypatch):
    stream, _ = pair
    taken = []
    stream._send = lambda data: taken.append(1) or 1
    clock = itertools.count()
    monkeypatch.setattr(sockets.time, "monotonic", lambda: float(next(clock)))
    with pytest.raises(TimeoutError):
        stream.send(bytes(1000), 10.0)
    assert 5 < len(taken) < 15


def test_a_deadline_that_is_over_does_not_wait(pair):
    stream, theirs = pair
    theirs.sendall(b"late")
    with pytest.raises(TimeoutError):
        stream.receive(sockets.time.monotonic() - 1)
    assert stream.receive(_soon()) == b"late"


def test_the_end_of_the_stream(pair):
    stream, theirs = pair
    theirs.sendall(b"last")
    theirs.close()
    assert stream.receive(_soon()) == b"last"
    assert stream.receive(_soon()) == b""
