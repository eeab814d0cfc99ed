"""Serial lines behind a server that speaks RFC 2217: a small one written after the RFC, which notes how it is set."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from cosemic import DlmsClient, blocking
from cosemic.errors import LinkError
from cosemic.meter.server import MeterServer, running
from tests.e2e.conftest import make_meter, url_of

NAME = (1, "0.0.42.0.0.255", 2)
IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
BINARY, SUPPRESS, COM_PORT = 0, 3, 44


class SerialServer:
    """Passes the data of one Telnet connection on to a TCP port, and back."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._far_port = port
        self.port = self._listener.getsockname()[1]
        self.settings: dict[int, int] = {}
        self.steps: list[tuple[int, int, int]] = []  # speed, data bits, parity, whenever data comes
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                with near, socket.create_connection(("127.0.0.1", self._far_port)) as far:
                    back = threading.Thread(target=self._carry_back, args=(far, near), daemon=True)
                    back.start()
                    self._carry(near, far)
                back.join(5)

    def _carry_back(self, far: socket.socket, near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := far.recv(4096):
                near.sendall(data.replace(b"\xff", b"\xff\xff"))

    def _carry(self, near: socket.socket, far: socket.socket) -> None:
        held = b""
        with contextlib.suppress(OSError):
            while data := near.recv(4096):
                held += data
                while held:
                    size = self._take(held, near, far)
                    if not size:
                        break
                    held = held[size:]

    def _take(self, held: bytes, near: socket.socket, far: socket.socket) -> int:
        """Deal with the beginning of what came; how many octets that were."""
        if held[0] != IAC:
            data = held.split(b"\xff", 1)[0]
            self._data(data, far)
            return len(data)
        if len(held) < 2:
            return 0
        if held[1] == IAC:
            self._data(b"\xff", far)
            return 2
        if held[1] in (DO, DONT, WILL, WONT):
            if len(held) < 3:
                return 0
            known = held[2] in (BINARY, SUPPRESS, COM_PORT)
            if held[1] == DO:
                near.sendall(bytes((IAC, WILL if known else WONT, held[2])))
            elif held[1] == WILL:
                near.sendall(bytes((IAC, DO if known else DONT, held[2])))
            return 3
        if held[1] != SB:
            return 2
        end = held.find(bytes((IAC, SE)))
        if end < 0:
            return 0
        self._command(held[2:end].replace(b"\xff\xff", b"\xff"), near)
        return end + 2

    def _command(self, command: bytes, near: socket.socket) -> None:
        if len(command) < 2 or command[0] != COM_PORT:
            return
        number, value = command[1], command[2:]
        if number in (1, 2, 3, 4) and any(value):
            self.settings[number] = int.from_bytes(value, "big")
        octets = bytes((COM_PORT, number + 100)) + value.replace(b"\xff", b"\xff\xff")
        near.sendall(bytes((IAC, SB)) + octets + bytes((IAC, SE)))

    def _data(self, data: bytes, far: socket.socket) -> None:
        step = (self.settings.get(1, 0), self.settings.get(2, 0), self.settings.get(3, 0))
        if not self.steps or self.steps[-1] != step:
            self.steps.append(step)
        far.sendall(data)


async def _read(url: str) -> object:
    async with DlmsClient(url, client_sap=16, server_sap=1) as meter:
        return await meter.get(*NAME)


def _read_blocking(url: str) -> object:
    with blocking.DlmsClient(url, client_sap=16, server_sap=1) as meter:
        return meter.get(*NAME)


@pytest.fixture(params=["asyncio", "blocking"])
def read(request: pytest.FixtureRequest) -> Callable[[str], object]:
    return _read_blocking if request.param == "blocking" else lambda url: asyncio.run(_read(url))


@contextlib.contextmanager
def _optical_meter() -> Iterator[int]:
    """Our optical port on a TCP port, in a thread of its own."""
    ready = threading.Event()
    found: list[int] = []
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(stopping.set))
        async with MeterServer(make_meter()) as server:
            found.append(await server.serve_optical_tcp())
            ready.set()
            await stopping.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield found[0]
    finally:
        stop[0]()
        thread.join()


def test_hdlc(read: Callable[[str], object]) -> None:
    with running(make_meter()) as ports, contextlib.closing(SerialServer(ports.hdlc)) as server:
        assert read(f"rfc2217://127.0.0.1:{server.port}?baud=19200&parity=even")
        assert server.steps == [(19200, 8, 3)]
        assert url_of(ports, "hdlc")


def test_an_optical_port(read: Callable[[str], object]) -> None:
    with _optical_meter() as port, contextlib.closing(SerialServer(port)) as server:
        assert read(f"optical-rfc2217://127.0.0.1:{server.port}")
        assert server.steps == [(300, 7, 3), (9600, 8, 1)]  # parity: 1 none, 3 even


def test_an_optical_port_through_plain_tcp(read: Callable[[str], object]) -> None:
    with _optical_meter() as port:
        assert read(f"optical-tcp://127.0.0.1:{port}")


def test_no_server_of_rfc_2217(read: Callable[[str], object]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(LinkError, match="cannot connect to rfc2217://"):
        read(f"rfc2217://127.0.0.1:{port}?baud=9600")
