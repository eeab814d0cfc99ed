"""Both clients sign on over a pty, at a script that follows the standard and knows nothing of cosemic."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import serialx.platforms.serial_posix

from cosemic import DlmsClient, blocking
from cosemic.errors import LinkError
from cosemic.link.signon_messages import Identification
from cosemic.meter.server import MeterServer, Ports
from cosemic.transports.streams import open_blocking_stream
from cosemic.transports.targets import parse_url
from tests.e2e.conftest import make_meter

SCRIPT = Path(__file__).with_name("optical_meter.py")
NAME = (1, "0.0.42.0.0.255", 2)


class Meter:
    def __init__(self, port: int, behaviour: str, *more: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(port), behaviour, *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.device = self._process.stdout.readline().strip()
        self._seen: list[Any] | None = None

    @property
    def seen(self) -> list[Any]:
        """What the meter saw, once it is done."""
        if self._seen is None:
            assert self._process.stdout is not None
            self._seen = json.loads(self._process.stdout.readline())
        return self._seen

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def _meter(port: int, behaviour: str = "standard", *more: str) -> Iterator[Meter]:
    meter = Meter(port, behaviour, *more)
    try:
        yield meter
    finally:
        meter.close()


async def _read(url: str, **options: object) -> object:
    async with DlmsClient(url, client_sap=16, server_sap=1, **options) as meter:  # type: ignore[arg-type]
        return await meter.get(*NAME)


def _read_blocking(url: str, **options: object) -> object:
    with blocking.DlmsClient(url, client_sap=16, server_sap=1, **options) as meter:  # type: ignore[arg-type]
        return meter.get(*NAME)


@pytest.fixture(params=["asyncio", "blocking"])
def read(request: pytest.FixtureRequest) -> Callable[..., object]:
    if request.param == "blocking":
        return _read_blocking
    return lambda url, **options: asyncio.run(_read(url, **options))


def test_the_standard_dialogue(ports: Ports, read: Callable[..., object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Speeds are read back from the pty by the script; a pty has no parity, so that is taken from the system calls."""
    settings: list[tuple[int, bool, bool]] = []
    original = serialx.platforms.serial_posix.tcsetattr

    def record(descriptor: int, when: int, attributes: list[Any]) -> None:
        flags = attributes[2]
        settings.append(
            (
                attributes[5],
                flags & termios.CSIZE == termios.CS7,
                bool(flags & termios.PARENB and not flags & termios.PARODD),
            )
        )
        original(descriptor, when, attributes)

    monkeypatch.setattr(serialx.platforms.serial_posix, "tcsetattr", record)
    with _meter(ports.hdlc) as meter:
        assert read(f"optical://{meter.device}")
        assert meter.seen == [
            {"request": "/?!\r\n", "wake_up": 0},
            {"choice": "\x06252\r\n", "after": True, "asked": True},
            {"hdlc": 9600},
        ]
    steps = [step for number, step in enumerate(settings) if step not in settings[:number]]
    assert steps == [(termios.B300, True, True), (termios.B9600, True, True), (termios.B9600, False, False)]


@pytest.mark.parametrize(
    ("behaviour", "query"),
    [
        ("echo", ""),
        ("no-confirmation", ""),
        ("parity", ""),
        ("software-parity", "?software_parity=yes"),
    ],
)
def test_meters_and_heads_that_bend_the_standard(
    ports: Ports, read: Callable[..., object], behaviour: str, query: str
) -> None:
    with _meter(ports.hdlc, behaviour) as meter:
        assert read(f"optical://{meter.device}{query}")
        assert meter.seen[-1] == {"hdlc": 9600}


def test_options_of_the_url(ports: Ports, read: Callable[..., object]) -> None:
    with _meter(ports.hdlc, "standard", "00123") as meter:
        assert read(f"optical://{meter.device}?address=00123&max_baud=4800&wake_up=yes")
        assert meter.seen[0] == {"request": "/?00123!\r\n", "wake_up": 66}
        assert meter.seen[-1] == {"hdlc": 4800}


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        ("mode-c", r"/TST5MODE C offers mode C only"),
        ("refuses", r"/TST5\\2INDEPENDENT does not take mode E: it sends its data in mode C"),
        ("garbage", r"13 octets came back .* but no identification"),
    ],
)
def test_meters_that_do_something_else(ports: Ports, read: Callable[..., object], behaviour: str, says: str) -> None:
    with _meter(ports.hdlc, behaviour) as meter:
        target = parse_url(f"optical://{meter.device}")
        assert target.sign_on is not None
        target = replace(target, sign_on=replace(target.sign_on, response_timeout=0.6))
        with pytest.raises(LinkError, match=says):
            read(target)


def test_a_cancelled_sign_on_releases_the_port(ports: Ports) -> None:
    async def connect(device: str) -> None:
        client = DlmsClient(f"optical://{device}", client_sap=16, server_sap=1)
        task = asyncio.create_task(client.connect())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not client.is_connected
        for _ in range(1000):
            if not _holders(device):
                return
            await asyncio.sleep(0.001)
        raise AssertionError("the port is still open")

    with _meter(ports.hdlc, "silent") as meter:
        asyncio.run(connect(meter.device))


def _holders(device: str) -> list[str]:
    """The descriptors of this process that are the device."""
    places = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return [place for place in places if os.path.islink(place) and os.readlink(place) == device]


def test_a_line_without_parity_says_what_to_do() -> None:
    """A pseudo terminal that has nothing to change but the parity."""
    with _crossed() as (device, _):
        stream = open_blocking_stream(f"serial://{device}?baud=300&parity=even&data_bits=7", timeout=5)
        stream.close()
        with pytest.raises(LinkError, match="software_parity=yes"):
            asyncio.run(_read(f"optical://{device}"))
        with pytest.raises(LinkError, match="software_parity=yes"):
            _read_blocking(f"optical://{device}")


@contextmanager
def _crossed() -> Iterator[tuple[str, str]]:
    """Two devices, each of which hears what is written to the other."""
    near, device = os.openpty()
    far, line = os.openpty()
    stop_reading, stop_writing = os.pipe()

    def carry() -> None:
        import select

        while True:
            ready, _, _ = select.select([near, far, stop_reading], [], [])
            if stop_reading in ready:
                return
            for one, other in ((near, far), (far, near)):
                if one in ready:
                    os.write(other, os.read(one, 4096))

    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    try:
        yield os.ttyname(device), os.ttyname(line)
    finally:
        os.write(stop_writing, b"x")
        thread.join()
        for descriptor in (near, device, far, line, stop_reading, stop_writing):
            os.close(descriptor)


async def test_our_own_meter_serves_one_client_after_another() -> None:
    with _crossed() as (device, line):
        async with MeterServer(make_meter()) as server:
            await server.serve_url(f"optical://{line}")
            for _ in range(2):
                assert await _read(f"optical://{device}")
            assert await asyncio.to_thread(_read_blocking, f"optical://{device}")


async def test_over_a_tcp_serial_server() -> None:
    """Nobody changes the speed there; the dialogue is the same."""
    async with MeterServer(make_meter()) as server:
        identification = Identification("COS", "4", "2", "TCP")
        port = await server.serve_optical_tcp(identification=identification, address="7")
        assert await _read(f"optical-tcp://127.0.0.1:{port}?address=7&max_baud=300")
        assert await asyncio.to_thread(_read_blocking, f"optical-tcp://127.0.0.1:{port}")
