"""MQTT against a real Mosquitto and its own subscriber: topics, discovery, availability, connections that are cut."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cosemic.delivery.home_assistant import Discovery
from cosemic.delivery.lanes import LaneLimits
from cosemic.delivery.mqtt import MqttOutput
from cosemic.delivery.mqtt_broker import Broker
from cosemic.delivery.outputs import OutputUnavailable, Record
from cosemic.delivery.pipeline import Pipeline, PipelineLimits
from cosemic.delivery.spool import Spool
from tests.delivery.brokers import DEADLINE, Mosquitto, broker, needs_mosquitto, subscriber
from tests.delivery.home_assistant import check_config, check_value, value_of
from tests.delivery.messages import energy, undecoded
from tests.delivery.test_webhook import certificate

QUICK = PipelineLimits(lane=LaneLimits(first_pause=0.01, longest_pause=0.05), drain=DEADLINE)
CUTS = 400 if os.environ.get("COSEMIC_SOAK") else 40


def records(count: int, first: int = 0, meter: str = "cellar") -> list[Record]:
    return [Record.of(energy(number, meter=meter)) for number in range(first, first + count)]


def output_to(port: int, **options) -> MqttOutput:
    return MqttOutput(Broker("127.0.0.1", port, "cosemic-test", timeout=5.0), discovery=Discovery(), **options)


@contextlib.asynccontextmanager
async def publishing(port: int, **options) -> AsyncIterator[MqttOutput]:
    output = output_to(port, **options)
    try:
        yield output
    finally:
        await output.close()


@needs_mosquitto
async def test_messages_states_and_discovery_as_a_subscriber_sees_them(tmp_path: Path) -> None:
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, "#") as watcher:
        async with publishing(mosquitto.port) as output:
            await output.deliver([*records(3), Record.of(undecoded())])
        await watcher.until(lambda: watcher.retained("cosemic/status") == "offline")
        messages = {str(one["topic"]): one for one in watcher.messages}
        assert [document["id"] for document in watcher.payloads("cellar/message")] == [one.id for one in records(3)]
        assert watcher.payloads("cellar/message")[0] == json.loads(records(1)[0].text)
        state = watcher.payloads("cellar/state")[-1]
        assert state["id"] == records(3)[2].id
        assert state["readings"] == {"active_energy_import": 1234569, "active_power_import": 347, "voltage_l1": 230.3}
        assert watcher.payloads("unidentified/message")[0]["diagnosis"] == "key-missing"
        assert watcher.payloads("unidentified/state")[0]["error"] == "no key for this meter; give --ek"
        configs = {
            topic: json.loads(str(one["payload"])) for topic, one in messages.items() if topic.endswith("/config")
        }
        assert sorted(configs) == [
            f"homeassistant/sensor/cosemic_cellar/{code}/config"
            for code in ("1_0_1_7_0_255", "1_0_1_8_0_255", "1_0_32_7_0_255")
        ]
        for topic, config in configs.items():
            check_config(topic, config)
            check_value(config, value_of(config, state))
            assert config["state_topic"] == "cosemic/cellar/state"
            assert config["availability_topic"] == "cosemic/status"
        assert [one["payload"] for one in watcher.messages if one["topic"] == "cosemic/status"] == ["online", "offline"]
        async with subscriber_of_retained(mosquitto) as later:
            retained = {str(one["topic"]) for one in later.messages if one["retain"]}
    assert retained == {*configs, "cosemic/cellar/state", "cosemic/unidentified/state", "cosemic/status"}


@contextlib.asynccontextmanager
async def subscriber_of_retained(mosquitto: Mosquitto):
    """One who comes later, up to a message that is sent when it is there: what it has then is what was retained."""
    from tests.delivery.brokers import Subscriber

    later = Subscriber(mosquitto.port, "#", name="later")
    try:
        await later.start()
        await mosquitto.publish("test/mark", "1")
        await later.until(lambda: later.retained("test/mark") is not None)
        later.messages = [one for one in later.messages if one["topic"] != "test/mark"]
        yield later
    finally:
        await later.close()


@needs_mosquitto
async def test_discovery_comes_once_and_again_when_home_assistant_starts(tmp_path: Path) -> None:
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, "homeassistant/sensor/#") as watcher:  # noqa: SIM117
        async with publishing(mosquitto.port) as output:
            await output.deliver(records(50))
            await watcher.until(lambda: len(watcher.messages) == 3)
            await mosquitto.publish("homeassistant/status", "offline")
            await mosquitto.publish("homeassistant/status", "online")
            await watcher.until(lambda: len(watcher.messages) == 6)
            await output.deliver(records(2, 50, "attic"))
            await watcher.until(lambda: len(watcher.messages) == 9)
    topics = [str(one["topic"]) for one in watcher.messages]
    assert sorted(topics[:3]) == sorted(topics[3:6])
    assert all("attic" in topic for topic in topics[6:])


@needs_mosquitto
async def test_the_last_will_tells_that_it_is_gone(tmp_path: Path) -> None:
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, "cosemic/status") as watcher:  # noqa: SIM117
        async with publishing(mosquitto.port) as output:
            await output.deliver([])
            await watcher.until(lambda: watcher.retained("cosemic/status") == "online")
            connection = output._connection
            assert connection is not None
            connection.abort()
            await watcher.until(lambda: watcher.retained("cosemic/status") == "offline")
            await output.deliver([])
            await watcher.until(lambda: watcher.retained("cosemic/status") == "online")


@needs_mosquitto
async def test_a_new_process_goes_on_with_the_state_that_is_retained(tmp_path: Path) -> None:
    few = energy(7)
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, "cosemic/+/+") as watcher:
        async with publishing(mosquitto.port) as output:
            await output.deliver(records(3))
        async with publishing(mosquitto.port) as output:
            document = Record.of(few).document
            document["readings"] = document["readings"][1:2]
            await output.deliver([Record(document)])
        await watcher.until(lambda: len(watcher.payloads("/message")) == 4 and len(watcher.payloads("/state")) == 4)
    assert watcher.payloads("/state")[-1]["readings"] == {
        "active_energy_import": 1234569,
        "active_power_import": 352,
        "voltage_l1": 230.3,
    }


@needs_mosquitto
async def test_a_new_process_does_not_repeat_what_the_broker_has(tmp_path: Path) -> None:
    """The process was killed after the broker had two of three, and before the spool knew."""
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, "cosemic/+/message") as watcher:
        async with publishing(mosquitto.port) as output:
            await output.deliver(records(2))
        async with publishing(mosquitto.port) as output:
            await output.deliver([*records(3), *records(1, 5, "attic")])
        await watcher.until(lambda: len(watcher.messages) >= 4)
    assert [document["id"] for document in watcher.payloads("cellar/message")] == [one.id for one in records(3)]
    assert len(watcher.payloads("attic/message")) == 1


@needs_mosquitto
async def test_passwords_and_refusals(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    create = await asyncio.create_subprocess_exec("mosquitto_passwd", "-b", "-c", str(passwords), "me", "hunter2")
    assert await create.wait() == 0
    extra = ("allow_anonymous false", f"password_file {passwords}")
    async with broker(tmp_path, *extra) as mosquitto:
        for user, password in ((None, None), ("me", "wrong"), ("you", "hunter2")):
            output = MqttOutput(Broker("127.0.0.1", mosquitto.port, "cosemic-test", None, user, password))
            with pytest.raises(OutputUnavailable, match="check user") as told:
                await output.deliver(records(1))
            assert "wrong" not in str(told.value)
            await output.close()
        async with subscriber(mosquitto.port, "cosemic/+/message", user=("me", "hunter2")) as watcher:
            output = MqttOutput(Broker("127.0.0.1", mosquitto.port, "cosemic-test", None, "me", "hunter2"))
            assert "hunter2" not in repr(output._broker)
            await output.deliver(records(1))
            await watcher.until(lambda: len(watcher.messages) == 1)
            await output.close()


@needs_mosquitto
async def test_tls_is_verified(tmp_path: Path) -> None:
    file, _ = certificate(tmp_path, "localhost")
    extra = ("allow_anonymous true", f"certfile {file}", f"keyfile {file.with_suffix('.key')}")
    async with broker(tmp_path, *extra) as mosquitto:
        url = f"mqtts://localhost:{mosquitto.port}"
        for ca_file in (None, str(certificate(tmp_path, "example.org")[0])):
            output = MqttOutput(Broker.parse(url, "cosemic-test", ca_file=ca_file))
            with pytest.raises(OutputUnavailable, match="certificate is not trusted"):
                await output.deliver(records(1))
            await output.close()
        output = MqttOutput(Broker.parse(url, "cosemic-test", ca_file=str(file)))
        await output.deliver(records(20))
        connection = output._connection
        assert connection is not None
        found = await connection.read_back(["cosemic/cellar/state", "cosemic/attic/state"])
        await output.close()
    assert json.loads(found["cosemic/cellar/state"])["id"] == records(20)[-1].id
    assert list(found) == ["cosemic/cellar/state"]


@needs_mosquitto
async def test_a_broker_that_does_not_let_us_read_gets_messages_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rules = tmp_path / "rules"
    rules.write_text("topic write cosemic/#\ntopic write homeassistant/#\nuser watcher\ntopic readwrite #\n")
    passwords = tmp_path / "passwords"
    create = await asyncio.create_subprocess_exec("mosquitto_passwd", "-b", "-c", str(passwords), "watcher", "x")
    assert await create.wait() == 0
    extra = ("allow_anonymous true", f"acl_file {rules}", f"password_file {passwords}")
    async with broker(tmp_path, *extra) as mosquitto:  # noqa: SIM117
        async with subscriber(mosquitto.port, "cosemic/+/message", user=("watcher", "x")) as watcher:
            output = output_to(mosquitto.port)
            await output.deliver(records(3))
            await output.deliver(records(3, 3))
            await watcher.until(lambda: len(watcher.messages) == 6)
            await output.close()
    assert "check its access rules" in caplog.text


@needs_mosquitto
async def test_a_broker_that_hangs_is_noticed(tmp_path: Path) -> None:
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, "cosemic/+/message") as watcher:
        output = MqttOutput(Broker("127.0.0.1", mosquitto.port, "cosemic-test", timeout=5.0, keepalive=1))
        await output.deliver(records(1))
        mosquitto.pause()
        with pytest.raises(OutputUnavailable, match="does not answer any more"):
            await output.deliver(records(1, 1))
        mosquitto.resume()
        await output.deliver(records(1, 1))
        await watcher.until(lambda: len(watcher.messages) >= 2)
        await output.close()
    assert [document["id"] for document in watcher.payloads("/message")] == [one.id for one in records(2)]


async def test_nobody_there_is_told() -> None:
    output = output_to(1)
    with pytest.raises(OutputUnavailable, match=r"MQTT broker 127\.0\.0\.1:1: "):
        await output.deliver(records(1))
    await output.close()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\x20\x02\x00\x05", b"\xff" * 10, b"\x20\x00"]
)
async def test_something_else_at_the_port_is_told(answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        output = output_to(server.sockets[0].getsockname()[1])
        with pytest.raises(OutputUnavailable):
            await output.deliver(records(1))
        await output.close()


class CuttingProxy:
    """Hands octets on between an output and a broker, and cuts the connection after so many of them, either way."""

    def __init__(self, port: int, dice: random.Random) -> None:
        self._port = port
        self._dice = dice
        self.cuts = 0
        self.is_cutting = True
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        budget = [self._dice.randrange(200, 60_000)]

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while octets := await source.read(self._dice.randrange(1, 4096)):
                if self.is_cutting:
                    octets, left = octets[: budget[0]], budget[0] - len(octets)
                    budget[0] = max(0, left)
                target.write(octets)
                await target.drain()
                if self.is_cutting and budget[0] <= 0:
                    self.cuts += 1
                    return

        pumps = [asyncio.create_task(pump(reader, back)), asyncio.create_task(pump(there, writer))]
        with contextlib.suppress(ConnectionError):
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        # What was handed on arrives, in both directions; what was not is gone with the connection.
        for one in (writer, back):
            one.close()


@needs_mosquitto
async def test_connections_cut_at_any_octet_lose_and_double_nothing(tmp_path: Path) -> None:
    """The broker lives on and has taken what it has taken: it tells what that is."""
    dice = random.Random(42)
    meters = ("cellar", "attic", "garage")
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, "cosemic/+/message") as watcher:
        proxy = CuttingProxy(mosquitto.port, dice)
        async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
            output = output_to(server.sockets[0].getsockname()[1])
            sent = 0
            async with Pipeline([output], Spool(tmp_path / "spool", sync=False), limits=QUICK) as pipeline:
                while proxy.cuts < CUTS:
                    await pipeline.put(energy(sent, meter=meters[sent % 3]))
                    sent += 1
                    await watcher.until(lambda: sent - len(watcher.messages) < 40)  # noqa: B023 - looked at on the spot
                proxy.is_cutting = False
                await watcher.until(lambda: len(watcher.messages) >= sent)
    ids = [str(document["id"]) for document in watcher.payloads("/message")]
    assert (len(ids), len(set(ids))) == (sent, sent)
    for meter in meters:
        own = [str(one["id"]) for one in watcher.payloads(f"{meter}/message")]
        assert own == sorted(own)
