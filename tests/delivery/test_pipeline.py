"""The way from a listener to the outputs: nothing lost, nobody held up by another one, bounded, ended in order."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from cosemic.delivery.lanes import LaneLimits
from cosemic.delivery.outputs import OutputClosed, OutputRefused, OutputUnavailable, Record
from cosemic.delivery.pipeline import Pipeline, PipelineLimits
from cosemic.delivery.spool import Spool, SpoolError, SpoolLimits
from tests.delivery.messages import MOMENT, dropped, energy, undecoded

QUICK = LaneLimits(first_pause=0.001, longest_pause=0.01)
DEADLINE = 30.0
KILLS = 300 if os.environ.get("COSEMIC_SOAK") else 10


class Collector:
    """An output that keeps what it gets; ``behave`` may raise, or wait, first."""

    def __init__(self, name: str = "collector", behave: Callable[[Sequence[Record]], object] | None = None) -> None:
        self.name = name
        self.records: list[Record] = []
        self.is_closed = False
        self.behave = behave
        self._news = asyncio.Event()

    async def deliver(self, batch: Sequence[Record]) -> None:
        if self.behave is not None:
            waiting = self.behave(batch)
            if asyncio.iscoroutine(waiting):
                await waiting
        self.records += batch
        self._news.set()

    async def close(self) -> None:
        self.is_closed = True

    async def has(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while len(self.records) < count:
                self._news.clear()
                await self._news.wait()

    @property
    def numbers(self) -> list[int]:
        return [int(record.document["readings"][0]["value"]) - 1_234_567 for record in self.records]


def limits(**values) -> PipelineLimits:
    return PipelineLimits(**{"lane": QUICK, "drain": DEADLINE, **values})


@pytest.mark.parametrize("with_spool", [False, True])
async def test_messages_come_to_every_output_in_order(tmp_path: Path, with_spool: bool) -> None:
    outputs = [Collector("one"), Collector("two")]
    async with Pipeline(outputs, Spool(tmp_path) if with_spool else None, limits=limits()) as pipeline:
        for number in range(50):
            await pipeline.put(energy(number))
        await pipeline.store(undecoded())
        await pipeline.store(dropped())
    for output in outputs:
        assert output.is_closed
        assert [record.document["kind"] for record in output.records] == ["data-notification"] * 50 + [
            "undecoded",
            "dropped",
        ]
        ids = [record.id for record in output.records]
        assert ids == sorted(set(ids))
    assert pipeline.received == 52
    assert pipeline.waiting == {"one": 0, "two": 0}


async def test_an_output_that_is_away_holds_up_nobody_and_gets_all_of_it_later(tmp_path: Path) -> None:
    is_away = True

    def behave(batch: Sequence[Record]) -> None:
        if is_away:
            raise OutputUnavailable("away")

    far, near = Collector("far", behave), Collector("near")
    async with Pipeline([far, near], Spool(tmp_path, sync=False), limits=limits(messages=100)) as pipeline:
        for number in range(3000):
            await pipeline.put(energy(number))
        await near.has(3000)
        assert far.records == []
        assert pipeline.statistics["far"].trouble == "away"
        is_away = False
        await far.has(3000)
        assert pipeline.statistics["far"].trouble is None
    assert far.numbers == near.numbers == list(range(3000))
    assert [record.id for record in far.records] == [record.id for record in near.records]


async def test_what_is_not_delivered_stays_for_the_next_run(tmp_path: Path) -> None:
    def behave(batch: Sequence[Record]) -> None:
        raise OutputUnavailable("away")

    async with Pipeline([Collector("far", behave)], Spool(tmp_path), limits=limits()) as pipeline:
        for number in range(20):
            await pipeline.store(energy(number))
    output = Collector("far")
    async with Pipeline([output], Spool(tmp_path), limits=limits()) as pipeline:
        await pipeline.put(energy(20))
    assert output.numbers == list(range(21))
    text = output.records[0].text
    assert json.loads(text)["id"] == output.records[0].id
    assert len({record.id for record in output.records}) == 21


async def test_part_of_a_batch_is_not_offered_twice(tmp_path: Path) -> None:
    offered: list[list[int]] = []

    def behave(batch: Sequence[Record]) -> None:
        if not batch:
            return
        offered.append([int(record.document["readings"][0]["value"]) - 1_234_567 for record in batch])
        if len(batch) > 1:
            output.records += batch[:2]
            raise OutputUnavailable("in the middle", delivered=2)

    output = Collector("one", behave)
    async with Pipeline([output], limits=limits()) as pipeline:
        for number in range(9):
            await pipeline.put(energy(number))
    assert output.numbers == list(range(9))


@pytest.mark.parametrize("error", [OutputRefused("no such thing"), ZeroDivisionError("a mistake of ours")])
async def test_what_is_refused_goes_to_the_dead_letters(tmp_path: Path, error: Exception) -> None:
    def behave(batch: Sequence[Record]) -> None:
        if any(number in (3, 7) for number in [int(r.document["readings"][0]["value"]) - 1_234_567 for r in batch]):
            raise error

    output, other = Collector("picky", behave), Collector("other")
    async with Pipeline([output, other], Spool(tmp_path), limits=limits()) as pipeline:
        for number in range(10):
            await pipeline.put(energy(number))
    assert output.numbers == [0, 1, 2, 4, 5, 6, 8, 9]
    assert other.numbers == list(range(10))
    assert pipeline.statistics["picky"].refused == 2
    letters = [json.loads(line) for line in (tmp_path / "dead-letters.jsonl").read_text().splitlines()]
    assert [letter["output"] for letter in letters] == ["picky", "picky"]
    assert str(error) in letters[0]["reason"]
    assert letters[0]["message"]["readings"][0]["value"] == 1_234_570


async def test_a_slow_output_holds_up_the_reader_and_memory_does_not_grow() -> None:
    gate = asyncio.Event()
    output = Collector("slow", lambda batch: gate.wait() if batch else None)
    async with Pipeline([output], limits=limits(messages=100)) as pipeline:
        put = 0

        async def fill() -> None:
            nonlocal put
            for number in range(2000):
                await pipeline.put(energy(number))
                put += 1

        filling = asyncio.create_task(fill())
        for _ in range(5000):
            await asyncio.sleep(0)
        assert not filling.done()
        assert put <= 200
        gate.set()
        await filling
    assert output.numbers == list(range(2000))


async def test_without_a_spool_a_broken_output_loses_what_is_too_much_and_holds_up_nobody() -> None:
    def behave(batch: Sequence[Record]) -> None:
        raise OutputUnavailable("away")

    far, near = Collector("far", behave), Collector("near")
    async with Pipeline([far, near], limits=limits(messages=100, drain=0.01)) as pipeline:
        for number in range(1000):
            await pipeline.put(energy(number))
        await near.has(1000)
        assert pipeline.statistics["far"].lost >= 800
    assert near.numbers == list(range(1000))


async def test_a_full_spool_drops_the_oldest_and_counts(tmp_path: Path) -> None:
    is_away = True

    def behave(batch: Sequence[Record]) -> None:
        if is_away:
            raise OutputUnavailable("away")

    output = Collector("far", behave)
    spool = Spool(tmp_path, SpoolLimits(octets=1 << 19, segment=1 << 16), sync=False)
    async with Pipeline([output], spool, limits=limits(messages=10)) as pipeline:
        for number in range(2000):
            await pipeline.store(energy(number))
        lost = pipeline.statistics["far"].lost
        assert lost > 0
        is_away = False
        await pipeline.store(energy(2000))
        await output.has(1)
    numbers = output.numbers
    assert numbers[-1] == 2000
    assert numbers == sorted(set(numbers))
    # What was in hand when its file was dropped is delivered all the same.
    assert 2001 - lost <= len(numbers) <= 2001 - lost + 500


async def test_a_full_spool_can_hold_up_the_reader_in_place_of_dropping(tmp_path: Path) -> None:
    is_away = True

    def behave(batch: Sequence[Record]) -> None:
        if is_away:
            raise OutputUnavailable("away")

    output = Collector("far", behave)
    spool = Spool(tmp_path, SpoolLimits(octets=1 << 19, segment=1 << 16), sync=False)
    async with Pipeline([output], spool, limits=limits(messages=10, when_full="wait")) as pipeline:
        stored = 0

        async def fill() -> None:
            nonlocal stored, is_away
            for number in range(1000):
                await pipeline.store(energy(number))
                stored += 1

        filling = asyncio.create_task(fill())
        async with asyncio.timeout(DEADLINE):
            while pipeline.trouble is None:  # noqa: ASYNC110 - there is nothing to be told by
                await asyncio.sleep(0)
        assert "is full" in pipeline.trouble
        assert not filling.done()
        assert 100 < stored < 1000
        is_away = False
        await filling
    assert output.numbers == list(range(1000))
    assert pipeline.statistics["far"].lost == 0


async def test_an_output_that_never_answers_is_given_up_each_time(tmp_path: Path) -> None:
    calls = 0

    async def behave(batch: Sequence[Record]) -> None:
        nonlocal calls
        calls += 1
        if calls < 4:
            await asyncio.Event().wait()

    output = Collector("mute", behave)
    lane = LaneLimits(first_pause=0.001, longest_pause=0.01, deadline=0.01)
    async with Pipeline([output], limits=limits(lane=lane)) as pipeline:
        await pipeline.put(energy(1))
        await output.has(1)
    assert output.numbers == [1]


async def test_the_end_of_a_pipe_ends_it() -> None:
    def behave(batch: Sequence[Record]) -> None:
        if batch:
            raise OutputClosed("nobody reads any more")

    output = Collector("pipe", behave)

    async def listen() -> None:
        async with Pipeline([output], limits=limits(drain=3600.0)) as pipeline:
            await pipeline.put(energy(1))
            async with asyncio.timeout(3600.0):
                await asyncio.Event().wait()

    with pytest.raises(OutputClosed, match="nobody reads"):
        await listen()
    assert output.is_closed


async def test_an_error_of_the_block_comes_out_as_it_is_and_what_was_put_is_delivered() -> None:
    output = Collector("one")

    async def listen() -> None:
        async with Pipeline([output], limits=limits()) as pipeline:
            await pipeline.put(energy(1))
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await listen()
    assert output.numbers == [1]


async def test_cancelling_the_block_delivers_what_was_put() -> None:
    output = Collector("one")
    started = asyncio.Event()

    async def work() -> None:
        async with Pipeline([output], limits=limits()) as pipeline:
            await pipeline.put(energy(1))
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert output.numbers == [1]
    assert output.is_closed


async def test_a_spool_that_is_taken_is_told_at_once(tmp_path: Path) -> None:
    output = Collector("one")
    async with Pipeline([Collector("one")], Spool(tmp_path), limits=limits()):
        with pytest.raises(SpoolError, match="another process"):
            async with Pipeline([output], Spool(tmp_path), limits=limits()):
                pass
    assert output.is_closed


async def test_messages_of_one_moment_have_ids_of_their_own() -> None:
    output = Collector("one")
    async with Pipeline([output], limits=limits()) as pipeline:
        for _ in range(100):
            await pipeline.put(energy(1, at=MOMENT))
        await pipeline.put(energy(1, at=MOMENT - timedelta(days=1)))
    ids = [record.id for record in output.records]
    assert ids == sorted(set(ids))


def test_outputs_have_names_of_their_own() -> None:
    with pytest.raises(ValueError, match="a name of its own"):
        Pipeline([Collector("one"), Collector("one")])
    with pytest.raises(ValueError, match="has outputs"):
        Pipeline([])


LISTENER = """
import asyncio, sys
from pathlib import Path
from cosemic.delivery.options import DeliveryOptions, outputs_from, pipeline_from
from tests.delivery.messages import energy
async def main(folder, first):
    options = DeliveryOptions(json=folder + "/out.jsonl", sqlite=folder + "/out.sqlite", spool=folder + "/spool")
    async with pipeline_from(options, outputs_from(options)) as pipeline:
        for number in range(first, first + 100_000):
            await pipeline.store(energy(number))
            sys.stdout.write(f"{number}\\n")
            sys.stdout.flush()
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def test_a_killed_process_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    """Real processes killed at random: the file has each message at least once, the database each one once."""
    import sqlite3

    dice = random.Random(3)
    root = Path(__file__).resolve().parents[2]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(root / "src"), str(root)]))
    stored = 0
    for _ in range(KILLS):
        command = [sys.executable, "-c", LISTENER, str(tmp_path), str(stored)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(dice.randrange(1, 200))]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.read().splitlines(keepends=True)
        process.wait()
        process.stdout.close()
        whole = [int(line) for line in lines if line.endswith(b"\n")]
        stored = max(stored, whole[-1] + 1 if whole else 0)

    async def finish() -> None:
        from cosemic.delivery.options import DeliveryOptions, outputs_from, pipeline_from

        options = DeliveryOptions(
            json=f"{tmp_path}/out.jsonl", sqlite=f"{tmp_path}/out.sqlite", spool=f"{tmp_path}/spool"
        )
        async with pipeline_from(options, outputs_from(options)):
            pass

    asyncio.run(finish())
    documents = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    numbers = {document["readings"][0]["value"] - 1_234_567 for document in documents}
    assert set(range(stored)) <= numbers
    database = sqlite3.connect(tmp_path / "out.sqlite")
    ids = [identity for (identity,) in database.execute("SELECT id FROM messages")]
    assert set(ids) == {document["id"] for document in documents}
    count = database.execute("SELECT count(*) FROM readings").fetchone()[0]
    assert count == 3 * len(ids)
    database.close()
