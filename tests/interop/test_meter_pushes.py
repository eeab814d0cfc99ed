"""Pushes of the simulated meter as others take them, over real sockets; and others that set up and call its pushes."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Self

import pytest

from cosemic.apdu.base import decode_apdu
from cosemic.apdu.notify import DataNotification
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.cosem.push_objects import PushDestination, PushObject, TransportService, encode_push_objects
from cosemic.link.wrapper import WrapperPdu
from cosemic.meter.demo import demo_meter
from cosemic.meter.demo_pushes import DEMO_OBJECTS, demo_agenda
from cosemic.meter.push_framing import PushFraming
from cosemic.meter.push_setup import PushSetup
from cosemic.meter.push_values import own_access, push_body
from cosemic.meter.pushing import Outcome, PushEnded
from cosemic.meter.server import MeterServer
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime
from tests.interop import peers

pytestmark = pytest.mark.interop

NOW = datetime(2026, 7, 1, 10, 0, 0, tzinfo=UTC)
POLICIES = ["none", "authenticated", "encrypted", "authenticated-encrypted"]
SERVICES = {"tcp": TransportService.TCP, "hdlc": TransportService.HDLC, "mbus": TransportService.M_BUS}


class Receiver:
    """A foreign library that takes one push."""

    def __init__(self, library: str, **config: Any) -> None:
        self.command = [str(peers.python_of(library)), str(peers.DRIVERS / f"{library}_push_driver.py")]
        self.config = config
        self.port = 0

    async def __aenter__(self) -> Self:
        self.process = await asyncio.create_subprocess_exec(
            *self.command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(self.config).encode() + b"\n")
        await self.process.stdin.drain()
        self.port = int(await self._line())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()

    async def said(self) -> dict[str, Any]:
        while not (line := await self._line()).startswith("{"):
            pass  # what a library prints besides
        answer: dict[str, Any] = json.loads(line)
        return answer

    async def _line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            line = (await self.process.stdout.readline()).decode()
        if not line:
            _, errors = await self.process.communicate()
            pytest.fail(f"the driver said nothing: {errors.decode()[-2000:]}", pytrace=False)
        return line


async def pushed(library: str, way: str, policy: str, *, pdu_size: int = 0, **more: Any) -> tuple[Any, Any]:
    """One push of a meter: what the library says it is, and what the meter's objects say."""
    meter = demo_meter(profile_rows=2, clock=lambda: NOW)
    framing = {"tcp": "wrapper", "udp": "wrapper"}.get(way, way)
    keys = {} if policy == "none" else {"ek": peers.EK, "ak": peers.AK, "policy": policy}
    async with Receiver(library, transport="udp" if way == "udp" else "tcp", framing=framing, **keys, **more) as there:
        service = TransportService.UDP if way == "udp" else SERVICES[way]
        ended: asyncio.Queue[PushEnded] = asyncio.Queue()
        agenda = demo_agenda(
            meter,
            destination=PushDestination(service, b"127.0.0.1:%d" % there.port),
            protection=policy,
            framing=PushFraming(max_pdu_size=pdu_size, max_information=1024),
            on_ended=ended.put_nowait,
        )
        (setup,) = agenda.setups
        async with MeterServer(meter) as server, asyncio.timeout(60):
            agenda.push(setup, asyncio.get_running_loop().time())
            server.start_pushing(agenda)
            assert (await ended.get()).outcome is Outcome.SENT
            said = await there.said()
        return said, push_body(own_access(meter, meter.devices[1]), DEMO_OBJECTS).typed.plain


def shown(value: object) -> object:
    """As the drivers print values."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [shown(element) for element in value]
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("way", ["tcp", "udp", "hdlc", "mbus"])
async def test_pydlms_client_takes_our_pushes(way: str, policy: str) -> None:
    said, body = await pushed("pydlms", way, policy)
    assert said.get("value") == shown(body), said
    assert said["authenticated"] is ("authenticated" in policy)
    assert said["invoke_id"] == 0x10000001
    labels = [[".".join(map(str, bytes(item.obis))), item.attribute] for item in DEMO_OBJECTS]
    assert [record[:2] for record in said["records"]] == labels[-len(said["records"]) :]
    assert len(said["records"]) >= len(labels) - 1


@pytest.mark.parametrize("policy", ["none", "authenticated-encrypted"])
@pytest.mark.parametrize("way", ["tcp", "udp", "hdlc", "mbus"])
async def test_pydlms_client_takes_our_pushes_in_blocks(way: str, policy: str) -> None:
    size = 200
    blocks = -(-(526 if policy == "none" else 556) // (size - 8))
    more = {"datagrams": blocks} if way == "udp" else {}
    said, body = await pushed("pydlms", way, policy, pdu_size=size, **more)
    assert said.get("value") == shown(body), said


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("way", ["tcp", "udp", "hdlc"])
async def test_gurux_takes_our_pushes(way: str, policy: str) -> None:
    said, body = await pushed("gurux", way, policy)
    assert said.get("value") == shown(body), said


class Collector:
    """Takes connections and keeps the notifications in them."""

    async def __aenter__(self) -> Self:
        self.apdus: asyncio.Queue[DataNotification] = asyncio.Queue()
        self.server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        octets = await reader.read()
        apdu = decode_apdu(WrapperPdu.decode(octets).apdu)
        assert isinstance(apdu, DataNotification)
        self.apdus.put_nowait(apdu)
        writer.close()


async def set_up_by(run: Callable[[int, bytes], list[dict[str, Any]]]) -> tuple[list[dict[str, Any]], PushSetup, Any]:
    """Let a foreign client set the meter's pushes up and call one: its answers, the setup, the pushed values."""
    meter = demo_meter(profile_rows=2, clock=lambda: NOW)
    agenda = demo_agenda(meter)
    async with Collector() as collector, MeterServer(meter) as server, asyncio.timeout(90):
        server.start_pushing(agenda)
        port = await server.serve_wrapper()
        answers = await asyncio.to_thread(run, port, b"127.0.0.1:%d" % collector.port)
        assert not any("error" in answer for answer in answers), answers
        apdu = await collector.apdus.get()
    return answers, agenda.setups[0], apdu.body.typed.plain


def expect_pushed(setup: PushSetup, body: Any) -> None:
    """The clock and the energy were asked for, and pushed."""
    assert [(item.class_id, str(item.obis)) for item in setup.options.objects] == [
        (8, "0-0:1.0.0*255"),
        (3, "1-0:1.8.0*255"),
    ]
    assert setup.options.retries == 2
    time, energy = body
    assert CosemDateTime.from_bytes(time).to_datetime() == NOW
    assert energy > 0


async def test_pydlms_client_sets_up_a_push_and_calls_it() -> None:
    objects = [PushObject(8, ObisCode(0, 0, 1, 0, 0, 255)), PushObject(3, ObisCode(1, 0, 1, 8, 0, 255))]

    def run(port: int, address: bytes) -> list[dict[str, Any]]:
        values = {
            2: encode_push_objects(objects, 2),
            3: PushDestination(0, address).typed(),
            6: axdr.unsigned(2),
        }
        target = {"obis": "0.0.25.9.0.255", "class": 40}
        steps: list[dict[str, Any]] = [
            target | {"op": "set", "attribute": number, "data": bytes(Data.of(value)).hex()}
            for number, value in values.items()
        ]
        steps.append(target | {"op": "action", "method": 1, "data": "0f00"})
        return peers.run_client("pydlms", port, "wrapper", "gmac", steps)

    _, setup, body = await set_up_by(run)
    expect_pushed(setup, body)


async def test_gurux_reads_writes_and_calls_a_push_setup() -> None:
    def run(port: int, address: bytes) -> list[dict[str, Any]]:
        config = {
            "port": port, "framing": "wrapper", "auth": "gmac", "client": 1, "server": 1, "password": "00000000",
            "ek": peers.EK, "ak": peers.AK, "system_title": "5055525000000001", "version": 2,
            "attributes": [2, 3, 5, 6, 7, 9, 10, 11, 13], "destination": address.decode(),
        }  # fmt: skip
        done = subprocess.run(
            [peers.python_of("gurux"), peers.DRIVERS / "gurux_push_setup_driver.py"],
            input=json.dumps(config),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        assert answers, done.stderr[-2000:]
        return answers

    answers, setup, body = await set_up_by(run)
    assert answers[0]["objects"] == [
        [item.class_id, ".".join(map(str, bytes(item.obis))), item.attribute] for item in DEMO_OBJECTS
    ]
    assert answers[0]["client"] == 103
    expect_pushed(setup, body)
