"""Processes that use counters; run by the tests, some of them until they are killed.

``kill``: many workers, a few at a time, each killed with SIGKILL at a moment that the random number of counters read
from it decides. They work only as far as they are asked to, or those that are not read from would keep the file busy.
``instant``: one worker after the other, each killed at a random instant while it reserves as fast as it can. How many
kills left a transaction half done in the journal is printed first.
``race``: workers that run to their end at once. Every counter that was used is printed, one a line.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable

from cosemic.security._streams import Outgoing
from cosemic.security.counters import SqliteCounters

KEY = "the key of this test"
AT_ONCE = 3


def work_when_asked(store: SqliteCounters, pipe: int, seed: int, orders: int) -> None:
    """Use counters as associations do: from a range, some closed properly, some one by one."""
    chance = random.Random(seed)
    while os.read(orders, 1):
        if chance.random() < 0.5:
            outgoing = Outgoing(store, KEY)
            for _ in range(chance.randrange(1, 100)):
                os.write(pipe, outgoing.take().to_bytes(4, "big"))
            outgoing.close()
        else:
            for counter in store.reserve(KEY, chance.randrange(1, 4)):
                os.write(pipe, counter.to_bytes(4, "big"))


def work_and_end(store: SqliteCounters, pipe: int, seed: int, _: int) -> None:
    chance = random.Random(seed)
    for _ in range(12):
        outgoing = Outgoing(store, KEY)
        for _ in range(chance.randrange(1, 80)):
            os.write(pipe, outgoing.take().to_bytes(4, "big"))
        outgoing.close()


def work_for_ever(store: SqliteCounters, pipe: int, seed: int, _: int) -> None:
    """Reserve and give back without a pause, so that a kill finds a transaction under way more often than not."""
    chance = random.Random(seed)
    while True:
        outgoing = Outgoing(store, KEY)
        for _ in range(chance.randrange(1, 4)):
            os.write(pipe, outgoing.take().to_bytes(4, "big"))
        if chance.random() < 0.7:
            outgoing.close()


class Worker:
    """A forked process; it inherits the store, open, from us."""

    def __init__(self, work: Callable[[SqliteCounters, int, int, int], None], store: SqliteCounters, seed: int) -> None:
        self.pipe, writing = os.pipe()
        orders, self.orders = os.pipe()
        self.process = os.fork()
        if self.process:
            os.close(writing)
            os.close(orders)
            return
        status = 1
        try:
            os.close(self.pipe)
            work(store, writing, seed, orders)
            status = 0
        finally:
            os._exit(status)

    def kill(self) -> bytes:
        os.kill(self.process, signal.SIGKILL)
        os.waitpid(self.process, 0)
        os.close(self.orders)
        return rest(self.pipe)


def rest(pipe: int) -> bytes:
    octets = b""
    while part := os.read(pipe, 65536):
        octets += part
    os.close(pipe)
    return octets


def kill(store: SqliteCounters, kills: int, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    workers: list[Worker] = []
    used = []
    for number in range(kills):
        while len(workers) < AT_ONCE:
            workers.append(Worker(work_when_asked, store, seed + 1000 + 10 * number + len(workers)))
        for worker in workers:
            os.write(worker.orders, bytes(3))
        victim = workers.pop(chance.randrange(AT_ONCE))
        count = chance.choice([1, 2, 5, 10, 40])
        os.write(victim.orders, bytes(count))
        octets = b""
        while len(octets) < 4 * count:
            part = os.read(victim.pipe, 4 * count - len(octets))
            if not part:
                raise SystemExit("a worker ended by itself")
            octets += part
        used.append(octets + victim.kill())
        # We go on using our own connection in between.
        used += [counter.to_bytes(4, "big") for counter in store.reserve(KEY, 1)]
    return used + [worker.kill() for worker in workers]


def instant(store: SqliteCounters, kills: int, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    journal = store.path.with_name(f"{store.path.name}-journal")
    used = []
    half_done = 0
    for number in range(kills):
        worker = Worker(work_for_ever, store, seed + number)
        first = os.read(worker.pipe, 4)
        for _ in range(chance.randrange(100_000)):  # a moment of any length up to a few transactions
            pass
        octets = first + worker.kill()
        half_done += journal.stat().st_size > 0
        used.append(octets)
        used += [counter.to_bytes(4, "big") for counter in store.reserve(KEY, 1)]
    print(half_done)
    return used


def race(store: SqliteCounters, processes: int, seed: int) -> list[bytes]:
    workers = [Worker(work_and_end, store, seed + number) for number in range(processes)]
    used = [rest(worker.pipe) for worker in workers]
    for worker in workers:
        _, status = os.waitpid(worker.process, 0)
        if status:
            raise SystemExit(f"a worker ended with {status}")
    return used


def main() -> None:
    mode, path, count, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    store = SqliteCounters(path, wait=60)
    store.advance(KEY, 1)
    for octets in {"kill": kill, "instant": instant, "race": race}[mode](store, count, seed):
        # A worker killed within a write leaves whole numbers only: four octets go into a pipe at once.
        for at in range(0, len(octets), 4):
            print(int.from_bytes(octets[at : at + 4], "big"))


if __name__ == "__main__":
    main()
