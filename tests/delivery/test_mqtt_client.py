"""What brokers, networks and systems do to the client: old versions, refusals, silence, rubbish, full tables."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import resource
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from cosemic.delivery.home_assistant import Discovery
from cosemic.delivery.mqtt import MqttOutput
from cosemic.delivery.mqtt_broker import Broker
from cosemic.delivery.outputs import OutputUnavailable
from cosemic.delivery.pipeline import Pipeline
from cosemic.delivery.spool import Spool
from cosemic.errors import MissingExtra
from tests.delivery.brokers import broker, needs_mosquitto, subscriber
from tests.delivery.messages import energy
from tests.delivery.test_mqtt import QUICK, CuttingProxy, output_to, publishing, records
from tests.delivery.test_webhook import certificate

ALLOWED = b"\x20\x03\x00\x00\x00"
"""CONNACK of MQTT 5: come in."""


class OldBroker(CuttingProxy):
    """Stands before a broker and knows MQTT 3.1.1 only; ``says_why`` or ends the connection without a word."""

    def __init__(self, port: int, dice: random.Random, *, says_why: bool) -> None:
        super().__init__(port, dice)
        self._says_why = says_why

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connect = await reader.readexactly(2)
        connect += await reader.readexactly(connect[1])
        if connect[connect.index(b"MQTT") + 4] == 5:
            writer.write(b"\x20\x02\x00\x01" if self._says_why else b"")
            writer.close()
            return
        again = asyncio.StreamReader()
        again.feed_data(connect)
        pump = asyncio.create_task(self._feed(reader, again))
        await super().serve(again, writer)
        pump.cancel()

    async def _feed(self, reader: asyncio.StreamReader, again: asyncio.StreamReader) -> None:
        with contextlib.suppress(ConnectionError):
            while octets := await reader.read(4096):
                again.feed_data(octets)
        again.feed_eof()


@contextlib.asynccontextmanager
async def answering(*answers: bytes, stays: bool = False) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A port where each connection gets these octets after its first ones; and what came first in each."""
    heard: list[bytes] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        heard.append(await reader.read(4096))
        for answer in answers:
            writer.write(answer)
        if not stays:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], heard
        server.close()
        for _ in range(10):  # what was accepted just now comes to ``serve`` after a few turns
            await asyncio.sleep(0)
        for writer in writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@needs_mosquitto
async def test_mqtt_5_is_spoken_and_a_session_does_not_last_for_ever(tmp_path: Path) -> None:
    async with broker(tmp_path) as mosquitto, publishing(mosquitto.port) as output:
        await output.deliver(records(1))
        assert any("as cosemic-test (p5, c0, k15)" in line for line in mosquitto.lines)
    async with answering(ALLOWED) as (port, heard):
        output = output_to(port)
        with pytest.raises(OutputUnavailable):
            await output.deliver(records(1))
    assert b"\x11" + (7 * 24 * 3600).to_bytes(4, "big") in heard[0]


@needs_mosquitto
@pytest.mark.parametrize("says_why", [True, False])
async def test_a_broker_of_before_mqtt_5_loses_and_doubles_nothing(tmp_path: Path, says_why: bool) -> None:
    cuts = 100 if os.environ.get("COSEMIC_SOAK") else 15
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, "cosemic/+/message") as watcher:
        proxy = OldBroker(mosquitto.port, random.Random(7), says_why=says_why)
        async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
            output = output_to(server.sockets[0].getsockname()[1])
            sent = 0
            async with Pipeline([output], Spool(tmp_path / "spool", sync=False), limits=QUICK) as pipeline:
                while proxy.cuts < cuts:
                    await pipeline.put(energy(sent))
                    sent += 1
                    await watcher.until(lambda: sent - len(watcher.messages) < 40)  # noqa: B023 - looked at on the spot
                proxy.is_cutting = False
                await watcher.until(lambda: len(watcher.messages) >= sent)
        assert any("as cosemic-test (p2, c0, k15)" in line for line in mosquitto.lines)
        assert not any("as cosemic-test (p5" in line for line in mosquitto.lines)
    ids = [str(document["id"]) for document in watcher.payloads("/message")]
    assert ids == sorted(set(ids))
    assert len(ids) == sent


async def rules(folder: Path, text: str) -> tuple[str, ...]:
    file, passwords = folder / "rules", folder / "passwords"
    file.write_text(text)
    create = await asyncio.create_subprocess_exec("mosquitto_passwd", "-b", "-c", str(passwords), "watcher", "x")
    assert await create.wait() == 0
    return ("allow_anonymous true", f"acl_file {file}", f"password_file {passwords}")


@needs_mosquitto
async def test_a_message_that_the_broker_does_not_take_is_told_and_waits(tmp_path: Path) -> None:
    """Until the rules are changed, in the same process or a new one: the state alone does not say that it is there."""
    own = "topic readwrite cosemic/+/state\ntopic readwrite cosemic/status/#\ntopic readwrite homeassistant/#\n"
    others = "topic read cosemic/attic/message\nuser watcher\ntopic read #\n"
    cellar = "topic readwrite cosemic/cellar/message\n"
    extra = await rules(tmp_path, own + cellar + others)
    async with broker(tmp_path, *extra) as mosquitto:  # noqa: SIM117
        async with subscriber(mosquitto.port, "cosemic/+/message", user=("watcher", "x")) as watcher:
            for is_new in (False, True, True):
                async with publishing(mosquitto.port) as output:
                    for _ in range(1 if is_new else 2):
                        with pytest.raises(OutputUnavailable, match="not take cosemic/attic/message: Not auth") as told:
                            await output.deliver([*records(0 if is_new else 2), *records(3, 2, "attic")])
                        assert told.value.delivered == (0 if is_new else 2)
            (tmp_path / "rules").write_text(own + cellar + cellar.replace("cellar", "attic") + others)
            await mosquitto.reread()
            async with publishing(mosquitto.port) as output:
                await output.deliver(records(3, 2, "attic"))
                await watcher.until(lambda: len(watcher.messages) >= 5)
    taken = [*records(2), *records(3, 2)]
    assert [one["id"] for one in watcher.payloads("/message")] == [one.id for one in taken]


@needs_mosquitto
async def test_discovery_that_the_broker_does_not_take_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mosquitto_rules = await rules(tmp_path, "topic readwrite cosemic/#\nuser watcher\ntopic read #\n")
    async with broker(tmp_path, *mosquitto_rules) as mosquitto:  # noqa: SIM117
        async with subscriber(mosquitto.port, "cosemic/+/message", user=("watcher", "x")) as watcher:
            async with publishing(mosquitto.port) as output:
                await output.deliver(records(20))
                await watcher.until(lambda: len(watcher.messages) == 20)
    assert caplog.text.count("does not take homeassistant/sensor/cosemic_cellar/") == 1
    assert "Not authorized; check its access rules" in caplog.text


@needs_mosquitto
async def test_descriptors_that_select_does_not_know(tmp_path: Path) -> None:
    """A listener of a thousand meters over TCP has as many descriptors before it connects to the broker."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2048 and hard != resource.RLIM_INFINITY:
        pytest.skip("this system allows too few descriptors")
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, "cosemic/+/message") as watcher:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
        with contextlib.ExitStack() as stack:
            stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
            while (descriptor := os.open(os.devnull, os.O_RDONLY)) < 1100:
                stack.callback(os.close, descriptor)
            stack.callback(os.close, descriptor)
            async with publishing(mosquitto.port) as output:
                await output.deliver(records(20))
                await watcher.until(lambda: len(watcher.messages) == 20)


@needs_mosquitto
@pytest.mark.parametrize("tls", [False, True])
async def test_a_loop_that_cannot_watch_sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: bool) -> None:
    """That of Windows cannot: there they are looked at now and then."""

    def refuse(*_: object) -> None:
        raise NotImplementedError

    file, _ = certificate(tmp_path, "localhost")
    extra = ("allow_anonymous true", *((f"certfile {file}", f"keyfile {file.with_suffix('.key')}") if tls else ()))
    async with broker(tmp_path, *extra) as mosquitto:
        for name in ("add_reader", "add_writer", "remove_reader", "remove_writer"):
            monkeypatch.setattr(asyncio.get_running_loop(), name, refuse)
        url = f"{'mqtts' if tls else 'mqtt'}://localhost:{mosquitto.port}"
        output = MqttOutput(Broker.parse(url, "cosemic-test", ca_file=str(file)), discovery=Discovery())
        await output.deliver(records(50))
        connection = output._connection
        assert connection is not None
        found = await connection.read_back(["cosemic/cellar/state"])
        await output.close()
    assert records(50)[-1].id.encode() in found["cosemic/cellar/state"]


class SilencingProxy:
    """Hands packets on, but those that confirm a message only while ``is_confirming``; pings are answered."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.is_confirming = True
        self.held = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)

        async def out() -> None:
            while octets := await reader.read(4096):
                back.write(octets)

        async def home() -> None:
            while True:
                packet = await there.readexactly(2)
                length, shift = packet[1] & 0x7F, 7
                while packet[-1] & 0x80:
                    packet += await there.readexactly(1)
                    length |= (packet[-1] & 0x7F) << shift
                    shift += 7
                packet += await there.readexactly(length)
                if packet[0] == 0x40 and not self.is_confirming:
                    self.held += 1
                else:
                    writer.write(packet)

        tasks = [asyncio.create_task(out()), asyncio.create_task(home())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        writer.close()
        back.close()


@needs_mosquitto
async def test_a_broker_that_lives_and_does_not_confirm_is_left(tmp_path: Path) -> None:
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, "cosemic/+/message") as watcher:
        proxy = SilencingProxy(mosquitto.port)
        async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            output = MqttOutput(Broker("127.0.0.1", port, "cosemic-test", timeout=5.0, keepalive=1))
            await output.deliver(records(1))
            proxy.is_confirming = False
            with pytest.raises(OutputUnavailable, match="does not answer any more"):
                await output.deliver(records(3, 1))
            assert proxy.held >= 3
            proxy.is_confirming = True
            await output.deliver(records(5, 1))
            await watcher.until(lambda: len(watcher.messages) >= 6)
            await output.close()
    assert [document["id"] for document in watcher.payloads("/message")] == [one.id for one in records(6)]


@needs_mosquitto
async def test_a_broker_that_wants_little_at_a_time_gets_no_more(tmp_path: Path) -> None:
    """With MQTT 5 it says how much it takes without having confirmed it."""
    async with broker(tmp_path, "allow_anonymous true", "max_inflight_messages 3") as mosquitto:
        proxy = SilencingProxy(mosquitto.port)
        async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            output = MqttOutput(Broker("127.0.0.1", port, "cosemic-test", timeout=5.0, keepalive=1), window=50)
            await output.deliver(records(100))
            proxy.is_confirming = False
            with pytest.raises(OutputUnavailable, match="does not answer any more"):
                await output.deliver(records(100, 100))
            await output.close()
    assert proxy.held == 3


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts"])
async def test_what_accepts_and_says_nothing_has_a_deadline(scheme: str) -> None:
    async with answering(stays=True) as (port, _):
        output = MqttOutput(Broker.parse(f"{scheme}://127.0.0.1:{port}", "cosemic-test", timeout=0.2))
        with pytest.raises(OutputUnavailable, match="no answer"):
            await output.deliver(records(1))
        await output.close()


def threads() -> set[str]:
    """Those of asyncio, for names of hosts and for processes, are its own business and end with the loop."""
    return {thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio")}


async def settled(before: int | None) -> int:
    """Descriptors, when what was given up has ended in its thread and servers have closed their own ends."""
    count = len(os.listdir("/proc/self/fd"))
    async with asyncio.timeout(10.0):
        while before is not None and count > before:
            await asyncio.sleep(0.01)  # nobody tells
            count = len(os.listdir("/proc/self/fd"))
    return count


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted under /proc")
@needs_mosquitto
async def test_no_thread_and_no_socket_is_left_behind(tmp_path: Path) -> None:
    file, _ = certificate(tmp_path, "localhost")
    extra = ("allow_anonymous true", f"certfile {file}", f"keyfile {file.with_suffix('.key')}")

    async def fail(output: MqttOutput) -> None:
        with pytest.raises(OutputUnavailable):
            await output.deliver(records(1))
        await output.close()

    async def give_up(output: MqttOutput) -> None:
        delivery = asyncio.create_task(output.deliver(records(1)))
        await asyncio.sleep(0)
        delivery.cancel()
        await asyncio.wait([delivery])
        await output.close()

    async def deliver(output: MqttOutput) -> None:
        await output.deliver(records(5))
        await output.close()

    async def leave(output: MqttOutput) -> None:
        await output.deliver(records(5))
        assert output._connection is not None
        output._connection.abort()
        await output.close()

    already = threads()
    async with broker(tmp_path, *extra) as mosquitto, answering(b"\x20\x02\x00\x05") as (port, _):
        good = Broker.parse(f"mqtts://localhost:{mosquitto.port}", "cosemic-test", ca_file=str(file))
        ways: list[tuple[Callable[[MqttOutput], Awaitable[None]], Broker]] = [
            (fail, Broker.parse(f"mqtts://localhost:{mosquitto.port}", "cosemic-test")),
            (fail, Broker("127.0.0.1", port, "cosemic-test")),
            (fail, Broker("127.0.0.1", 1, "cosemic-test")),
            (give_up, good),
            (deliver, good),
            (leave, good),
        ]
        before: int | None = None
        for _ in range(3):
            for way, where in ways:
                await way(MqttOutput(where))
            count = await settled(before)
            before = count if before is None else before
    assert threads() <= already


async def test_rubbish_is_an_end_and_nothing_else() -> None:
    dice = random.Random(13)
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    kinds = (0x20, 0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0)
    for number in range(600 if os.environ.get("COSEMIC_SOAK") else 150):
        body = dice.randbytes(dice.randrange(12))
        rubbish = bytes((dice.choice((*kinds, dice.randrange(256))), dice.choice((len(body), dice.randrange(256)))))
        async with answering((b"", ALLOWED, b"\x20\x02\x00\x00")[number % 3], rubbish + body) as (port, _):
            output = output_to(port)
            with pytest.raises(OutputUnavailable):
                await output.deliver(records(1))
            await output.close()
    assert not complaints


async def test_no_secret_is_told(caplog: pytest.LogCaptureFixture) -> None:
    for password in ("hunter2", "hunter2\udcff", "hunter2" * 10_000):
        async with answering(b"\x20\x02\x00\x05") as (port, _):
            output = MqttOutput(Broker("127.0.0.1", port, "cosemic-test", None, "me", password))
            with pytest.raises(OutputUnavailable) as told:
                await output.deliver(records(1))
            await output.close()
        assert "hunter2" not in repr(told.value) + str(told.value) + repr(output._broker) + caplog.text


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(MissingExtra, match=r"pip install 'cosemic\[mqtt\]'"):
        MqttOutput(Broker("127.0.0.1", 1, "cosemic-test"))
