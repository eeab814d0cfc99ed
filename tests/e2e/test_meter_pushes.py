"""The whole way: a meter that pushes over sockets, a listener that names the readings, clients that set pushes up."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cosemic import blocking
from cosemic.client import DlmsClient
from cosemic.codec import axdr
from cosemic.cosem.push_objects import PUSH_SETUP, OperationMethod, PushDestination, TransportService
from cosemic.errors import DataAccessError
from cosemic.meter.demo import (
    AUTHENTICATION_KEY,
    ENCRYPTION_KEY,
    LLS_PASSWORD,
    demo_meter,
    pushing_meter,
)
from cosemic.meter.demo_pushes import DEMO_OBJECTS, demo_agenda
from cosemic.meter.push_framing import PushFraming
from cosemic.meter.pushing import Outcome, PushEnded
from cosemic.meter.server import MeterServer, running
from cosemic.push.listening.listener import PushListener
from cosemic.push.messages import Push
from cosemic.push.protection.keys import MeterKeys
from cosemic.security.context import SecurityContext

KEYS = MeterKeys(ENCRYPTION_KEY, AUTHENTICATION_KEY, allow_example_keys=True)


def manager_security(number=1):
    return SecurityContext(
        system_title=b"CLI\0\0\0\0" + bytes((number,)),
        encryption_key=ENCRYPTION_KEY,
        authentication_key=AUTHENTICATION_KEY,
    )


def port_of(place):
    return int(place.rpartition(":")[2])


@pytest.mark.parametrize("policy", ["none", "authenticated-encrypted"])
@pytest.mark.parametrize(
    ("url", "service"), [("tcp://127.0.0.1:0", TransportService.TCP), ("udp://127.0.0.1:0", TransportService.UDP)]
)
async def test_a_listener_hears_the_meter_by_its_schedule(url, service, policy):
    keys = None if policy == "none" else KEYS
    async with PushListener(url, keys=keys) as listener, MeterServer(demo_meter(profile_rows=2)) as server:
        destination = PushDestination(service, b"127.0.0.1:%d" % port_of(listener.places[0]))
        agenda = demo_agenda(server.meter, destination=destination, every_seconds=1, protection=policy)
        server.start_pushing(agenda)
        async with asyncio.timeout(30):
            seen = [await listener.next() for _ in range(2)]
    first, second = (received.item for received in seen)
    assert isinstance(first, Push), first
    assert isinstance(second, Push)
    assert first.time < second.time
    units = {str(reading.obis): reading.unit for reading in first.readings}
    assert units["1-0:1.8.0*255"] == "Wh"
    assert units["1-0:32.7.0*255"] == "V"


async def test_a_listener_confirms_and_the_meter_takes_it():
    ended: asyncio.Queue[PushEnded] = asyncio.Queue()
    async with PushListener("tcp://127.0.0.1:0") as listener, MeterServer(demo_meter(profile_rows=2)) as server:
        destination = PushDestination(TransportService.TCP, b"127.0.0.1:%d" % port_of(listener.places[0]))
        agenda = demo_agenda(server.meter, destination=destination, on_ended=ended.put_nowait)
        (setup,) = agenda.setups
        setup.options = replace(setup.options, method=OperationMethod.CONFIRMED)
        agenda.push(setup, asyncio.get_running_loop().time())
        server.start_pushing(agenda)
        async with asyncio.timeout(30):
            received = await listener.next()
            assert isinstance(received.item, Push)
            assert (await ended.get()).outcome is Outcome.CONFIRMED


async def test_many_meters_are_told_apart():
    count = 40
    async with (
        PushListener("tcp://127.0.0.1:0", keys=KEYS) as listener,
        MeterServer(demo_meter(profile_rows=1)) as all_,
    ):
        destination = PushDestination(TransportService.TCP, b"127.0.0.1:%d" % port_of(listener.places[0]))
        for number in range(1, count + 1):
            agenda = demo_agenda(
                pushing_meter(number),
                destination=destination,
                protection="authenticated-encrypted",
                framing=PushFraming(max_pdu_size=300),
            )
            agenda.push(agenda.setups[0], asyncio.get_running_loop().time())
            all_.start_pushing(agenda)
        async with asyncio.timeout(60):
            seen = [(await listener.next()).item for _ in range(count)]
    assert {push.meter_id for push in seen} == {f"{number:08d}" for number in range(1, count + 1)}
    assert {push.system_title for push in seen} == {
        b"COS\0" + number.to_bytes(4, "big") for number in range(1, count + 1)
    }


async def test_a_client_sets_a_push_up_by_name_and_its_definition_names_the_values():
    meter = demo_meter(profile_rows=2)
    async with PushListener("tcp://127.0.0.1:0") as listener, MeterServer(meter) as server:
        server.start_pushing(demo_agenda(meter))
        port = await server.serve_wrapper()
        way = f"tcp://127.0.0.1:{port}"
        async with DlmsClient(way, client_sap=1, authentication=5, security=manager_security()) as client:
            assert await client.read_push_definition() == await client.get(40, PUSH_SETUP, 2)
            assert len(await client.read_push_definition("0-0:25.9.0")) == len(DEMO_OBJECTS)
            setup = client["0-0:25.9.0"]
            assert (await setup.read("number_of_retries")) == 0
            address = b"127.0.0.1:%d" % port_of(listener.places[0])
            await setup.write("send_destination_and_method", (0, address, 0))
            await setup.write("number_of_retries", 3)
            await setup.call("push")
        async with asyncio.timeout(30):
            received = await listener.next()
        assert isinstance(received.item, Push)
        assert received.item.meter_id == "00000001"


def test_the_blocking_client_reads_a_definition_and_a_reader_may_not_write():
    meter = demo_meter(profile_rows=2)
    with running(meter, agenda=demo_agenda(meter)) as ports:
        way = f"tcp://127.0.0.1:{ports.wrapper}"
        with blocking.DlmsClient(way, client_sap=32, authentication=1, password=LLS_PASSWORD) as client:
            definition = client.read_push_definition()
            assert definition[1] == (8, bytes.fromhex("0000010000FF"), 2, 0, (0, None), [])
            with pytest.raises(DataAccessError):
                client.set(40, PUSH_SETUP, 6, axdr.unsigned(1))


# The command


@contextmanager
def simulated(*arguments: str, state: Path) -> Iterator[dict[str, int]]:
    command = [sys.executable, "-m", "cosemic.cli", "simulate", "--wrapper-port", "0", "--hdlc-port", "0", *arguments]
    own = os.environ | {"COSEMIC_STATE": str(state)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=own) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


@pytest.mark.parametrize("scheme", ["tcp", "udp", "hdlc", "mbus-tcp"])
async def test_the_command_pushes(scheme, tmp_path):
    listening = "udp" if scheme == "udp" else "tcp"
    more = ("--push-protection", "authenticated-encrypted", "--push-pdu-size", "200", "--meters", "3")
    async with PushListener(f"{listening}://127.0.0.1:0", keys=KEYS) as listener:
        to = f"{scheme}://127.0.0.1:{port_of(listener.places[0])}"
        with simulated("--push-to", to, "--push-every", "2", *more, state=tmp_path) as ports:
            assert set(ports) == {"wrapper_port", "hdlc_port"}
            seen = set()
            async with asyncio.timeout(60):
                while len(seen) < 3:
                    item = (await listener.next()).item
                    assert isinstance(item, Push), item
                    seen.add(item.meter_id)
    assert seen == {"00000001", "00000002", "00000003"}
