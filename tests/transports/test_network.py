"""TCP, UDP and serial streams against plain sockets and a pty."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tty

import pytest

from cosemic.errors import LinkError, LinkLost, LinkTimeout, MissingExtra
from cosemic.transports.sockets import SocketStream
from cosemic.transports.streams import clock_of, open_blocking_stream, open_stream


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        yield server


def _url(scheme: str, sock: socket.socket) -> str:
    return f"{scheme}://127.0.0.1:{sock.getsockname()[1]}"


async def test_tcp_echo_and_end(listener) -> None:
    stream = await open_stream(_url("tcp", listener))
    peer, _ = listener.accept()
    with peer:
        await stream.send(b"hello")
        assert peer.recv(10) == b"hello"
        peer.sendall(b"world")
        assert await stream.receive(clock_of(stream)() + 5) == b"world"
        with pytest.raises(TimeoutError):
            await stream.receive(clock_of(stream)() + 0.01)
        peer.sendall(b"bye")
    assert await stream.receive() == b"bye"
    assert await stream.receive() == b""
    assert await stream.receive() == b""
    with pytest.raises(LinkLost):
        await stream.send(b"x")
    stream.close()
    await stream.wait_closed()


async def test_tcp_reset_is_link_lost(listener) -> None:
    stream = await open_stream(_url("tcp", listener))
    peer, _ = listener.accept()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    with pytest.raises(LinkLost):
        await stream.receive()
    with pytest.raises(LinkLost):
        await stream.receive()
    stream.close()


async def test_tcp_octets_nobody_takes_are_bounded(listener) -> None:
    stream = await open_stream(_url("tcp", listener))
    peer, _ = listener.accept()
    with peer:
        peer.setblocking(False)
        sent = 0
        blocked = 0
        while blocked < 50:
            await asyncio.sleep(0)
            try:
                sent += peer.send(bytes(65536))
                blocked = 0
            except BlockingIOError:
                blocked += 1
        assert stream._held <= 600_000
        received = 0
        while received < sent:
            received += len(await stream.receive(clock_of(stream)() + 5))
        assert received == sent
    stream.close()
    await stream.wait_closed()


async def test_tcp_send_has_a_deadline(listener) -> None:
    stream = await open_stream(_url("tcp", listener))
    peer, _ = listener.accept()

    async def flood() -> None:
        for _ in range(1000):
            await stream.send(bytes(100_000), clock_of(stream)() + 0.05)

    with peer, pytest.raises(TimeoutError):
        await flood()
    stream.close()
    await stream.wait_closed()


async def test_tcp_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = _url("tcp", server)
    with pytest.raises(LinkLost, match=r"cannot connect to tcp://127\.0\.0\.1"):
        await open_stream(url)
    with pytest.raises(LinkLost, match=r"cannot connect to tcp://127\.0\.0\.1"):
        open_blocking_stream(url, timeout=5)


def test_blocking_tcp(listener) -> None:
    stream = open_blocking_stream(_url("hdlc", listener), timeout=5)
    peer, _ = listener.accept()
    with peer:
        stream.send(b"hello", time.monotonic() + 5)
        assert peer.recv(10) == b"hello"
        peer.sendall(b"world")
        assert stream.receive(time.monotonic() + 5) == b"world"
        with pytest.raises(TimeoutError):
            stream.receive(time.monotonic() + 0.01)
        with pytest.raises(TimeoutError):
            stream.receive(time.monotonic() - 1)
        peer.sendall(b"again")
        assert stream.receive(None) == b"again"
    assert stream.receive(time.monotonic() + 5) == b""
    stream.close()
    stream.close()


async def test_udp_keeps_datagrams_apart() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(5)
        stream = await open_stream(_url("udp", peer))
        await stream.send(b"ping")
        data, address = peer.recvfrom(100)
        assert data == b"ping"
        peer.sendto(b"", address)  # no end of the stream
        peer.sendto(b"one", address)
        peer.sendto(b"two", address)
        deadline = clock_of(stream)() + 5
        assert [await stream.receive(deadline), await stream.receive(deadline)] == [b"one", b"two"]
        stream.close()
        with pytest.raises(LinkLost):
            await stream.send(b"x")


async def test_udp_nobody_there() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        url = _url("udp", peer)
    stream = await open_stream(url)
    await stream.send(b"ping")
    with pytest.raises(LinkLost):
        await stream.receive(clock_of(stream)() + 5)
    stream.close()


def test_blocking_udp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(5)
        stream = open_blocking_stream(_url("udp", peer), timeout=5)
        stream.send(b"ping", time.monotonic() + 5)
        data, address = peer.recvfrom(100)
        assert data == b"ping"
        peer.sendto(b"", address)
        peer.sendto(b"pong", address)
        assert stream.receive(time.monotonic() + 5) == b"pong"
        stream.close()


@pytest.fixture
def line():
    pytest.importorskip("serialx", reason="the extra 'serial' is not installed")
    ours, theirs = os.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    yield ours, os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


async def test_serial(line) -> None:
    ours, name = line
    stream = await open_stream(f"serial://{name}?baud=19200")
    await stream.send(b"\x7e\x00\xff\r\n\x11")
    assert os.read(ours, 100) == b"\x7e\x00\xff\r\n\x11"
    os.write(ours, b"\x13\x7e\r")
    assert await stream.receive(clock_of(stream)() + 5) == b"\x13\x7e\r"
    with pytest.raises(TimeoutError):
        await stream.receive(clock_of(stream)() + 0.01)
    stream.close()
    await stream.wait_closed()


def test_blocking_serial(line) -> None:
    ours, name = line
    stream = open_blocking_stream(f"serial://{name}?baud=300", timeout=5)
    stream.send(b"\x7e\x00\xff\r\n\x11", time.monotonic() + 5)
    assert os.read(ours, 100) == b"\x7e\x00\xff\r\n\x11"
    threading.Timer(0.01, os.write, (ours, b"\x13\x7e\r")).start()
    assert stream.receive(time.monotonic() + 5) == b"\x13\x7e\r"
    with pytest.raises(TimeoutError):
        stream.receive(time.monotonic() + 0.01)
    stream.close()


async def test_serial_device_that_is_not_there() -> None:
    pytest.importorskip("serialx", reason="the extra 'serial' is not installed")
    with pytest.raises(LinkError, match="cannot connect to serial:///dev/no-such-port"):
        await open_stream("serial:///dev/no-such-port")
    with pytest.raises(LinkError, match="cannot connect to serial:///dev/no-such-port"):
        open_blocking_stream("serial:///dev/no-such-port", timeout=1)


async def test_serial_without_the_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "serialx", None)
    with pytest.raises(MissingExtra, match=r"cosemic\[serial\]"):
        await open_stream("serial:///dev/ttyUSB0")
    with pytest.raises(MissingExtra, match=r"cosemic\[serial\]"):
        open_blocking_stream("serial:///dev/ttyUSB0", timeout=1)


def test_connecting_has_a_time_limit() -> None:
    # A listener whose queue is full answers nothing.
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(server.getsockname())
            with pytest.raises(LinkTimeout, match="within"):
                open_blocking_stream(_url("tcp", server), timeout=0.05)
        finally:
            for filler in fillers:
                filler.close()


def test_the_blocking_way_needs_no_asyncio() -> None:
    code = "import sys, cosemic.transports.sockets; sys.exit('asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The time to connect is one for the look-up and all addresses


def test_a_look_up_that_hangs_ends_at_the_time_to_connect(monkeypatch) -> None:
    """The system's resolver knows no deadline."""
    release = threading.Event()
    look_up = socket.getaddrinfo

    def slow(host, port, **options):
        if not options.get("flags"):
            release.wait(30)
        return look_up(host, port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    begun = time.monotonic()
    try:
        with pytest.raises(LinkTimeout, match=r"within 0\.05 s"):
            open_blocking_stream("tcp://meter.invalid:4059", timeout=0.05)
    finally:
        release.set()
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("scheme", ["tcp", "udp"])
def test_names_that_are_none(scheme) -> None:
    with pytest.raises(LinkError, match="no host name"):
        open_blocking_stream(f"{scheme}://a..b:4059", timeout=5)


def test_a_silent_address_leaves_time_for_the_next(listener, monkeypatch) -> None:
    silent = ("192.0.2.1", listener.getsockname()[1])
    tried: list[tuple[str, float]] = []

    class Socket(socket.socket):
        def connect(self, address):
            tried.append((address[0], self.gettimeout()))
            if address == silent:
                raise TimeoutError("timed out")
            super().connect(address)

    def look_up(host, port, **options):
        if options.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in (silent, listener.getsockname())]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(socket, "socket", Socket)
    stream = open_blocking_stream(f"tcp://two.invalid:{silent[1]}", timeout=8)
    stream.close()
    assert [place for place, _ in tried] == ["192.0.2.1", "127.0.0.1"]
    assert 3 < tried[0][1] <= 4
    assert 4 < tried[1][1] <= 8


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers here")
def test_signals_do_not_put_off_a_deadline() -> None:
    """Python begins an interrupted call again: a profiler's timer must not give it its whole time each time."""
    ours, theirs = socket.socketpair()
    stream = SocketStream(ours)
    ticks = 0

    def tick(number, frame) -> None:
        nonlocal ticks
        ticks += 1
        if ticks > 200:
            raise AssertionError("the deadline never comes")

    previous = signal.signal(signal.SIGALRM, tick)
    try:
        with pytest.raises(TimeoutError):
            stream.receive(time.monotonic() + 0.02)  # the time-out is set; then the timer starts
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
        with pytest.raises(TimeoutError):
            stream.receive(time.monotonic() + 0.02)
        assert ticks >= 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        stream.close()
        theirs.close()
