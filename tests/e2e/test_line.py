"""Several clients on one stream, one after another: logical devices, and what a failed client leaves behind."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from cosemic import DlmsClient, ObisCode, axdr, blocking
from cosemic.errors import AssociationRefused, LinkError, LinkLost, LinkTimeout
from cosemic.meter.demo import demo_meter
from cosemic.meter.model import LogicalDevice, SimulatedMeter
from cosemic.meter.objects import fixed
from cosemic.meter.server import Ports, running
from cosemic.transports.certificates import TlsSettings
from cosemic.transports.line import BlockingLine, Line
from tests.e2e.conftest import make_meter, url_of

NAME = (1, "0.0.42.0.0.255", 2)


def _client(way: object, sap: int = 1, **options: object) -> DlmsClient:
    return DlmsClient(way, client_sap=16, server_sap=sap, **options)  # type: ignore[arg-type]


def _blocking(way: object, sap: int = 1, **options: object) -> blocking.DlmsClient:
    return blocking.DlmsClient(way, client_sap=16, server_sap=sap, **options)  # type: ignore[arg-type]


class Counter:
    """Passes octets on to a port and counts the connections."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port = port
        self.connections = 0
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.create_connection(("127.0.0.1", self._port))
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        try:
            while data := one.recv(4096):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(params=["tcp", "hdlc"])
def counted(request: pytest.FixtureRequest, ports: Ports) -> Iterator[tuple[Counter, str]]:
    counter = Counter(ports.hdlc if request.param == "hdlc" else ports.wrapper)
    yield counter, f"{request.param}://127.0.0.1:{counter.port}"
    counter.close()


async def test_clients_take_turns_on_one_connection(counted) -> None:
    counter, url = counted
    async with Line(url) as line:
        for _ in range(3):
            async with _client(line) as meter:
                assert await meter.get(*NAME)

        async def read() -> object:
            async with _client(line) as meter:
                return await meter.get(*NAME)

        names = await asyncio.gather(*(read() for _ in range(5)))
        assert len(set(map(bytes, names))) == 1  # type: ignore[arg-type]
    assert counter.connections == 1


def test_blocking_clients_take_turns_on_one_connection(counted) -> None:
    counter, url = counted
    with BlockingLine(url) as line:
        for _ in range(3):
            with _blocking(line) as meter:
                assert meter.get(*NAME)
        names: list[object] = []

        def read() -> None:
            with _blocking(line) as meter:
                names.append(meter.get(*NAME))

        threads = [threading.Thread(target=read) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(names) == 5
    assert counter.connections == 1


async def test_several_logical_devices() -> None:
    first, second = make_meter(), demo_meter(profile_rows=5)
    meter = SimulatedMeter([*first.devices.values(), _renumbered(second)], time=first._time)
    with running(meter) as ports:
        for framing in ("wrapper", "hdlc"):
            async with Line(url_of(ports, framing)) as line:
                names = []
                for sap in (1, 17, 1, 17):
                    async with _client(line, sap) as device:
                        names.append(bytes(await device.get(*NAME)))  # type: ignore[arg-type]
            assert names[0] == names[2]
            assert names[1] == names[3] == b"SECOND"


def _renumbered(meter: SimulatedMeter) -> LogicalDevice:
    """Logical device 17 with a name of its own."""
    device = meter.devices[1]
    device.sap = 17
    device.associations = [
        replace(item, settings=replace(item.settings, server_sap=17)) for item in device.associations
    ]
    device.objects[ObisCode.parse(NAME[1])].attributes[2] = fixed(axdr.octet_string(b"SECOND"))
    return device


async def test_what_fails_does_not_hurt_the_next(counted) -> None:
    counter, url = counted
    async with Line(url) as line:
        meter = _client(line)
        await meter.connect()
        task = asyncio.create_task(meter.get(7, "1.0.99.1.0.255", 2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await meter.close()
        async with _client(line) as other:
            assert await other.get(*NAME)
        aborted = _client(line)
        await aborted.connect()
        aborted.abort()
        async with _client(line) as other:
            assert await other.get(*NAME)
    assert counter.connections == 3


async def test_a_refused_association_leaves_the_line(counted) -> None:
    _, url = counted
    async with Line(url) as line:
        wrong = DlmsClient(line, client_sap=32, server_sap=1, authentication=1, password="wrong")
        with pytest.raises(AssociationRefused):
            await wrong.connect()
        async with _client(line) as meter:
            assert await meter.get(*NAME)


async def test_a_line_that_is_in_use() -> None:
    with running(make_meter()) as ports:
        url = url_of(ports, "wrapper")
        async with Line(url) as line, _client(line):
            with pytest.raises(LinkTimeout):
                await _client(line, connect_timeout=0.05).connect()
        with (
            BlockingLine(url, patience=0.05) as line,
            _blocking(line),
            pytest.raises(LinkTimeout, match="in use by another client"),
        ):
            _blocking(line).connect()


async def test_a_line_that_cannot_be_opened() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    async with Line(url) as line:
        for _ in range(2):
            with pytest.raises(LinkLost):
                await _client(line).connect()
    with BlockingLine(url) as blocking_line:
        for _ in range(2):
            with pytest.raises(LinkLost):
                _blocking(blocking_line).connect()


def test_tls_is_the_lines_own() -> None:
    settings = TlsSettings(ca_file="ca.pem")
    assert Line("tls://meter", tls=settings).target.tls == settings
    assert BlockingLine("tls://meter?server_name=M", tls=settings).target.tls == TlsSettings(
        ca_file="ca.pem", server_name="M"
    )
    with pytest.raises(ValueError, match="Line"):
        _client(Line("tls://meter"), tls=settings)
    with pytest.raises(ValueError, match="tls://"):
        Line("tcp://meter", tls=settings)


async def test_the_meter_goes_away_in_between() -> None:
    with running(make_meter()) as ports:
        line = Line(url_of(ports, "wrapper"))
        async with _client(line) as meter:
            assert await meter.get(*NAME)
    with pytest.raises(LinkError):
        await _client(line).connect()
    line.close()
