"""The whole path through the commands: meters push, cosemic listen receives, a broker hands on; any of them dies."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import socket
import sqlite3
import threading
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.delivery.brokers import Subscriber, broker, needs_mosquitto, subscriber
from tests.e2e.listening import LIMIT, Listening, connect, cosemic, energy, listen, port_of, simulate
from tests.push.samples import AUTHENTICATION_KEY, KEY, TITLE, notification, sealed, wrapper

KEYS = ("--ek", KEY.hex(), "--ak", AUTHENTICATION_KEY.hex())
DEMO_KEYS = ("--ek", "000102030405060708090A0B0C0D0E0F", "--ak", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")
DEMO_METER = "434F530000000001"
SOAK = bool(os.environ.get("COSEMIC_SOAK"))
AHEAD = 12
"""As many messages may be on their way: fewer than a broker has in flight to one subscriber."""


def read_meter(port: int) -> dict[str, Decimal]:
    """What the simulated meter itself says, read over its port; by OBIS code."""
    codes = ("1-0:1.8.0", "1-0:2.8.0", "1-0:32.7.0")
    done = cosemic("read", f"tcp://127.0.0.1:{port}", *codes, "--client", "16", "--json")
    assert done.returncode == 0, done.stderr
    documents = [json.loads(line, parse_float=Decimal) for line in done.stdout.splitlines()]
    return {document["obis"]: document["value"] for document in documents}


@needs_mosquitto
async def test_a_meter_to_home_assistant(tmp_path: Path) -> None:
    """Protected pushes of a simulated meter, through the command and a broker: topics, discovery, and its values."""
    inventory = tmp_path / "meters.toml"
    inventory.write_text(
        f'[defaults]\nallow_example_keys = true\n[meters.cellar]\nsystem_title = "{DEMO_METER}"\n'
        f'ek = "env:DEMO_EK"\nak = "env:DEMO_AK"\n'
    )
    environment = {"DEMO_EK": DEMO_KEYS[1], "DEMO_AK": DEMO_KEYS[3]}
    topics = ("cosemic/#", "homeassistant/#")
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, *topics) as watcher:
        arguments = ("--mqtt", f"mqtt://127.0.0.1:{mosquitto.port}", "--spool", str(tmp_path / "spool"), "--json")
        with listen("tcp://127.0.0.1:0", "--inventory", str(inventory), *arguments, env=environment) as listening:
            (place,) = await asyncio.to_thread(listening.places)
            pushing = ("--push-every", "1", "--push-protection", "authenticated-encrypted")
            with simulate(tmp_path, "--push-to", f"tcp://127.0.0.1:{port_of(place)}", *pushing) as ports:
                before = await asyncio.to_thread(read_meter, ports["wrapper_port"])
                begin = len(watcher.payloads("/message"))
                await watcher.until(lambda: len(watcher.payloads("/message")) > begin + 1)
                message = watcher.payloads("/message")[begin + 1]
                after = await asyncio.to_thread(read_meter, ports["wrapper_port"])
            state = json.loads(str(watcher.retained("cosemic/cellar/state")), parse_float=Decimal)
            listening.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(listening.end) == 0
            assert await asyncio.to_thread(listening.document)  # the same went to standard output
            await watcher.until(lambda: watcher.retained("cosemic/status") == "offline")
        announced = {
            str(entry["topic"]): json.loads(str(entry["payload"]))
            for entry in watcher.messages
            if str(entry["topic"]).startswith("homeassistant/")
        }
    assert (message["meter"], message["verified"], message["system_title"]) == ("cellar", True, DEMO_METER.lower())
    values = {reading["obis"]: Decimal(str(reading["value"])) for reading in readings_of(message) if reading["unit"]}
    assert set(before) <= set(values)
    for code, first in before.items():  # totals rise, also between two questions
        if code == "1.0.32.7.0.255":
            assert Decimal(200) < values[code] < Decimal(260)
        else:
            assert first <= values[code] <= after[code]
    assert state["meter"] == "cellar"
    assert before["1.0.1.8.0.255"] <= max(
        state["readings"].values(), key=lambda value: isinstance(value, int) and value
    )
    total = announced["homeassistant/sensor/cosemic_cellar/1_0_1_8_0_255/config"]
    assert total["unique_id"] == "cosemic_cellar_1_0_1_8_0_255"
    assert (total["device_class"], total["state_class"]) == ("energy", "total_increasing")
    assert total["unit_of_measurement"] in ("Wh", "kWh")
    assert total["state_topic"] == "cosemic/cellar/state"
    for config in announced.values():  # Home Assistant finds under the name in the template what is in the state
        assert config["state_topic"] == "cosemic/cellar/state"
        assert any(f"'{name}'" in config["value_template"] or f'"{name}"' in config["value_template"] or name in
                   config["value_template"] for name in state["readings"])  # fmt: skip


def readings_of(message: dict[str, object]) -> list[dict[str, Any]]:
    readings = message["readings"]
    assert isinstance(readings, list)
    return readings


class Meter:
    """One connection; each push has another energy and the next counter."""

    def __init__(self, place: str) -> None:
        self.socket = connect(place)
        self.sent = 0

    def push(self) -> None:
        self.sent += 1
        self.socket.sendall(wrapper(sealed(notification(self.sent), self.sent)))


@needs_mosquitto
async def test_a_broker_is_killed_while_pushes_arrive(tmp_path: Path) -> None:
    """None is lost. One may come twice where nobody can know: handed on, and the broker killed before it said so."""
    chance = random.Random(5)
    kills = 15 if SOAK else 3
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, "cosemic/+/message") as watcher:
        await mosquitto.save()  # the subscription is on the disk, as it is after a while in service
        arguments = ("--mqtt", f"mqtt://127.0.0.1:{mosquitto.port}", "--spool", str(tmp_path / "spool"), "--json")
        with listen("tcp://127.0.0.1:0", *KEYS, *arguments) as listening:
            (place,) = await asyncio.to_thread(listening.places)
            meter = Meter(place)

            async def push(count: int) -> None:
                for _ in range(count):
                    await watcher.until(lambda: meter.sent - len(watcher.messages) < AHEAD)
                    meter.push()

            await push(20)
            for _ in range(kills):
                target = len(watcher.messages) + chance.randrange(1, 80)
                begin = watcher.subscriptions
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(push(100))
                    await watcher.until(lambda target=target: len(watcher.messages) >= target)
                    await mosquitto.kill()
                    await mosquitto.start()
                    await watcher.resubscribed(begin)
            await until_all(watcher, meter.sent)
            meter.socket.close()
            listening.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(listening.end) == 0
    values = [energy(document) for document in watcher.payloads("/message")]
    once = [value for value, _ in itertools.groupby(values)]
    assert once == [10 * number for number in range(1, meter.sent + 1)]
    assert len(values) - len(once) <= kills
    print(f"{kills} kills, {meter.sent} pushes, {len(values) - len(once)} doubled")


async def until_all(watcher: Subscriber, count: int) -> None:
    """Until so many different messages are there."""
    await watcher.until(lambda: len({str(message["payload"]) for message in watcher.messages}) >= count)


@needs_mosquitto
async def test_a_broker_that_is_away_the_whole_time(tmp_path: Path) -> None:
    """Ten thousand pushes wait on the disk, not in memory; then they come, in order, each of them once."""
    count = 10_000
    spool = ("--spool", str(tmp_path / "spool"))
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, "cosemic/+/message") as watcher:
        await mosquitto.save()
        begin = watcher.subscriptions
        await mosquitto.kill()
        url = f"mqtt://127.0.0.1:{mosquitto.port}"
        with listen("tcp://127.0.0.1:0", "--mqtt", url, *spool) as listening:
            (place,) = await asyncio.to_thread(listening.places)
            early = await asyncio.to_thread(push_many, place, 0, 2000, listening)
            late = await asyncio.to_thread(push_many, place, 2000, count, listening)
            assert late - early < 40 << 20  # what a pipeline may hold is 32 MiB
            assert late < 160 << 20
            # As a machine that loses its power, or its patience with us.
            listening.process.kill()
            await asyncio.to_thread(listening.end)
        await mosquitto.start()
        await watcher.resubscribed(begin)
        with listen("tcp://127.0.0.1:0", "--mqtt", url, *spool) as listening:
            assert await asyncio.to_thread(listening.sentence, f"{count} messages wait in the spool")
            await watcher.until(lambda: len(watcher.messages) >= count)
            listening.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(listening.end) == 0
    assert [energy(document) for document in watcher.payloads("/message")] == [10 * number for number in range(count)]
    print(f"octets in memory: {early >> 20} MiB after 2000 pushes, {late >> 20} MiB after {count}")


def push_many(place: str, begin: int, end: int, listening: Listening) -> int:
    """Push over one connection; the last is confirmed once all are on the disk. The octets that the process has."""
    with connect(place) as sender:
        for number in range(begin, end):
            sender.sendall(wrapper(notification(number, confirmed=number == end - 1)))
        assert sender.recv(64)
    pages = Path(f"/proc/{listening.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


class ConfirmedMeter:
    """Pushes without end, each confirmed before the next: what was confirmed, what was sent. Goes where it is told."""

    def __init__(self) -> None:
        self.sent = 0
        self.confirmed: set[int] = set()
        self.news = threading.Condition()
        self._place: str | None = None
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def go(self, place: str | None) -> None:
        with self.news:
            self._place = place
            self.news.notify_all()

    def until(self, count: int) -> None:
        with self.news:
            assert self.news.wait_for(lambda: len(self.confirmed) >= count, LIMIT)

    def end(self) -> None:
        with self.news:
            self._is_over = True
            self.news.notify_all()
        self._thread.join(LIMIT)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self.news:
                self.news.wait_for(lambda: self._place is not None or self._is_over)
                if self._is_over:
                    return
                place = str(self._place)
            try:
                with connect(place) as sender:
                    while not self._is_over:
                        self._push(sender)
            except OSError:
                with self.news:
                    if self._place == place:
                        self._place = None

    def _push(self, sender: socket.socket) -> None:
        """A window of four, as meters of one gateway have; the answers come in order."""
        numbers = range(self.sent, self.sent + 4)
        self.sent += 4
        sender.sendall(b"".join(wrapper(notification(number, confirmed=True, invoke_id=number)) for number in numbers))
        for number in numbers:
            answer = b""
            while len(answer) < _ANSWER:
                piece = sender.recv(_ANSWER - len(answer))
                if not piece:
                    raise ConnectionResetError
                answer += piece
            assert int.from_bytes(answer[9:13]) & 0xFFFFFF == number
            with self.news:
                self.confirmed.add(number)
                self.news.notify_all()


_ANSWER = 14
"""Octets: the header of the wrapper, tag, invoke id, no time."""


def test_what_was_confirmed_is_in_the_database_whenever_it_is_killed(tmp_path: Path) -> None:
    chance = random.Random(20261125)
    file = tmp_path / "readings.db"
    arguments = ("tcp://127.0.0.1:0", "--spool", str(tmp_path / "spool"), "--sqlite", str(file))
    meter = ConfirmedMeter()
    kills = 25 if SOAK else 5
    try:
        for _ in range(kills):
            with listen(*arguments) as listening:
                (place,) = listening.places()
                target = len(meter.confirmed) + chance.randrange(1, 300)
                meter.go(place)
                meter.until(target)
                listening.process.kill()
                listening.end()
        meter.go(None)
    finally:
        meter.end()
    with listen(*arguments) as listening:  # the last time to its end
        listening.places()
        listening.process.send_signal(signal.SIGTERM)
        assert listening.end() == 0
    database = sqlite3.connect(file)
    try:
        rows = database.execute("SELECT value FROM readings WHERE obis = '1.0.1.8.0.255'").fetchall()
        (messages, ids) = database.execute("SELECT count(*), count(DISTINCT id) FROM messages").fetchone()
    finally:
        database.close()
    found = Counter(int(value) // 10 for (value,) in rows)
    assert meter.confirmed <= set(found)
    assert set(found.values()) == {1}
    assert messages == ids == len(found)
    assert len(found) <= meter.sent
    print(f"{kills} kills: {meter.sent} sent, {len(meter.confirmed)} confirmed, {len(found)} in the database")


def test_what_was_recorded_before_a_restart_is_refused_after_it(tmp_path: Path) -> None:
    recorded = wrapper(sealed(notification(1), 100))
    arguments = ("tcp://127.0.0.1:0", "--json", *KEYS, "--spool", str(tmp_path / "spool"))
    with listen(*arguments) as listening:
        (place,) = listening.places()
        with connect(place) as sender:
            sender.sendall(recorded)
            assert listening.document()["invocation_counter"] == 100
            listening.process.kill()
            listening.end()
    with listen(*arguments) as listening:
        (place,) = listening.places()
        with connect(place) as sender:
            sender.sendall(recorded)
            assert listening.sentence("invocation counter 100 came again; the last one accepted is 100")
            sender.sendall(wrapper(sealed(notification(2), 101)))
        documents = [listening.document() for _ in range(2)]
        if documents[0]["error"] is None:  # it had not been handed on when the process was killed
            assert documents.pop(0)["invocation_counter"] == 100
            documents.append(listening.document())
        assert [document["diagnosis"] for document in documents] == ["counter-went-back", None]
        assert (energy(documents[1]), documents[1]["system_title"]) == (20, TITLE.hex())


@pytest.mark.parametrize("spool", [True, False], ids=["spool", "no spool"])
def test_the_counters_are_kept_beside_the_spool_alone(tmp_path: Path, spool: bool) -> None:
    """Without a spool a restart forgets, and a file that is read again is no attack."""
    file = tmp_path / "capture.bin"
    file.write_bytes(wrapper(sealed(notification(1), 100)))
    more = ("--spool", str(tmp_path / "spool")) if spool else ()
    for _ in range(2):
        done = cosemic("listen", str(file), "--json", *KEYS, *more)
        assert done.returncode == 0
        assert json.loads(done.stdout)["verified"] is True
