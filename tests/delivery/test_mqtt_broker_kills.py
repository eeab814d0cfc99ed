"""A real broker is killed and started again while messages arrive: a subscriber gets each of them once.

Mosquitto confirms what it has in memory. What a subscriber has not taken when it is killed is gone, whatever a
publisher does; so the messages come here at the pace at which subscribers read, not as one burst.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from datetime import timedelta
from pathlib import Path

from cosemic.delivery.home_assistant import Discovery
from cosemic.delivery.lanes import LaneLimits
from cosemic.delivery.mqtt import MqttOutput
from cosemic.delivery.mqtt_broker import Broker
from cosemic.delivery.pipeline import Pipeline, PipelineLimits
from cosemic.delivery.spool import Spool
from tests.delivery.brokers import broker, needs_mosquitto, subscriber
from tests.delivery.messages import MOMENT, energy

KILLS = 30 if os.environ.get("COSEMIC_SOAK") else 4
AHEAD = 12
"""As many messages may be on their way: fewer than a broker has in flight to one subscriber."""
QUICK = PipelineLimits(lane=LaneLimits(first_pause=0.05, longest_pause=0.2), drain=60.0)


@needs_mosquitto
async def test_a_killed_broker_loses_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(20261125)
    meters = ("cellar", "attic", "garage")
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, "cosemic/+/message") as watcher:
        await mosquitto.save()  # the subscription is on the disk, as it is after a while in service
        output = MqttOutput(Broker("127.0.0.1", mosquitto.port, "cosemic-test"), discovery=Discovery())
        sent = 0
        async with Pipeline([output], Spool(tmp_path / "spool", sync=False), limits=QUICK) as pipeline:

            async def push(count: int) -> None:
                nonlocal sent
                for _ in range(count):
                    await watcher.until(lambda: sent - len(watcher.messages) < AHEAD)  # noqa: B023 - looked at on the spot
                    meter = meters[sent % len(meters)]
                    await pipeline.put(energy(sent, meter=meter, at=MOMENT + timedelta(milliseconds=sent)))
                    sent += 1

            await push(30)
            for _ in range(KILLS):
                target = len(watcher.messages) + chance.randrange(1, 200)
                begin = watcher.subscriptions
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(push(250))
                    await watcher.until(lambda target=target: len(watcher.messages) >= target)
                    await mosquitto.kill()
                    await mosquitto.start()
                    await watcher.resubscribed(begin)
            await watcher.until(lambda: len(watcher.messages) >= sent)
        documents = watcher.payloads("/message")
    ids = [str(document["id"]) for document in documents]
    assert len(set(ids)) == sent
    # One message may be where nobody can know: handed to the subscriber, and the broker killed before it confirmed it.
    # It is then sent again, and stands beside itself; it is rare at the pace of meters, and never another one.
    once = [identity for identity, _ in itertools.groupby(ids)]
    assert len(once) == sent
    assert len(ids) - sent <= KILLS
    for meter in meters:
        own = [str(document["id"]) for document in documents if document["meter"] == meter]
        assert own == sorted(own)
    print(f"{KILLS} kills, {sent} messages, {len(ids) - sent} doubled")
    assert pipeline.statistics[output.name].refused == 0
    assert pipeline.statistics[output.name].lost == 0


@needs_mosquitto
async def test_a_broker_that_is_away_for_an_hour_gets_all_of_it_once(tmp_path: Path) -> None:
    """An hour of a meter that sends each second, kept on the disk, over an end of the process in between."""
    folder = tmp_path / "spool"
    seconds = 3600
    async with broker(tmp_path) as mosquitto, subscriber(mosquitto.port, "cosemic/+/message") as watcher:
        await mosquitto.save()
        begin = watcher.subscriptions
        await mosquitto.kill()
        for half in (range(seconds // 2), range(seconds // 2, seconds)):
            output = MqttOutput(Broker("127.0.0.1", mosquitto.port, "cosemic-test"))
            async with Pipeline([output], Spool(folder, sync=False), limits=QUICK) as pipeline:
                for second in half:
                    await pipeline.put(energy(second, at=MOMENT + timedelta(seconds=second)))
        await mosquitto.start()
        await watcher.resubscribed(begin)
        output = MqttOutput(Broker("127.0.0.1", mosquitto.port, "cosemic-test"))
        async with Pipeline([output], Spool(folder, sync=False), limits=QUICK):
            await watcher.until(lambda: len(watcher.messages) >= seconds)
    values = [document["readings"][0]["value"] for document in watcher.payloads("/message")]  # type: ignore[index]
    assert values == [1_234_567 + second for second in range(seconds)]
