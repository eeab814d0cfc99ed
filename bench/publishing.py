"""Messages a second to a Mosquitto of our own on loopback, with discovery: without a spool, and with one on the disk.

    python3 bench/publishing.py [--messages 10000] [--tls]

Each message is confirmed by the broker, with the state that it makes; that it arrived is what the counts say.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "src")]

from cosemic.delivery.home_assistant import Discovery
from cosemic.delivery.mqtt import MqttOutput
from cosemic.delivery.mqtt_broker import Broker
from cosemic.delivery.pipeline import Pipeline
from cosemic.delivery.spool import Spool
from tests.delivery.brokers import broker
from tests.delivery.messages import energy
from tests.delivery.test_webhook import certificate

METERS = 20


def spent() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measure(folder: Path, messages: int, *, tls: bool, spool: bool) -> None:
    extra: tuple[str, ...] = ("allow_anonymous true",)
    ca_file = None
    if tls:
        file, _ = certificate(folder, "localhost")
        ca_file = str(file)
        extra += (f"certfile {file}", f"keyfile {file.with_suffix('.key')}")
    async with broker(folder, *extra) as mosquitto:
        url = f"{'mqtts' if tls else 'mqtt'}://localhost:{mosquitto.port}"
        output = MqttOutput(Broker.parse(url, "bench", ca_file=ca_file), discovery=Discovery())
        received = [energy(number, meter=f"meter{number % METERS}") for number in range(messages)]
        began, cpu = time.perf_counter(), spent()
        async with Pipeline([output], Spool(folder / "spool") if spool else None) as pipeline:
            for one in received:
                await pipeline.put(one)
        took, cpu = time.perf_counter() - began, spent() - cpu
        delivered = pipeline.statistics[output.name].delivered
        assert delivered == messages, (delivered, messages)
    way = f"{'TLS, ' if tls else ''}{'spool' if spool else 'no spool'}"
    print(f"{way}: {messages / took:.0f} messages/s, {cpu / messages * 1e6:.0f} us CPU a message")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--tls", action="store_true")
    options = parser.parse_args()
    for spool in (False, True):
        with TemporaryDirectory() as folder:
            await measure(Path(folder), options.messages, tls=options.tls, spool=spool)


asyncio.run(main())
