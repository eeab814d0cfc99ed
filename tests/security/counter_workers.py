"""Processes that use counters; run by the tests, some of them until they are killed.

``kill``: many workers, a few at a time, each killed with SIGKILL at a moment that the random number of counters read
from it decides. ``race``: workers that run to their end at once. Every counter that was used is printed, one a line.
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
AT_ONCE = 2


def work_for_ever(store: SqliteCounters, pipe: int, seed: int) -> None:
    """Use counters as associations do: from a range, some closed properly, some one by one."""
    chance = random.Random(seed)
    while True:
        if chance.random() < 0.5:
            outgoing = Outgoing(store, KEY)
            for _ in range(chance.randrange(1, 100)):
                os.write(pipe, outgoing.take().to_bytes(4, "big"))
            outgoing.close()
        else:
            for counter in store.reserve(KEY, chance.randrange(1, 4)):
                os.write(pipe, counter.to_bytes(4, "big"))


def work_and_end(store: SqliteCounters, pipe: int, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(12):
        outgoing = Outgoing(store, KEY)
        for _ in range(chance.randrange(1, 80)):
            os.write(pipe, outgoing.take().to_bytes(4, "big"))
        outgoing.close()


def start(work: Callable[[SqliteCounters, int, int], None], store: SqliteCounters, seed: int) -> tuple[int, int]:
    """(process id, reading end of its pipe) of a forked worker; it inherits the store, open, from us."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    status = 1
    try:
        os.close(reading)
        work(store, writing, seed)
        status = 0
    finally:
        os._exit(status)


def rest(pipe: int) -> bytes:
    octets = b""
    while part := os.read(pipe, 65536):
        octets += part
    os.close(pipe)
    return octets


def kill(store: SqliteCounters, kills: int, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    workers: list[tuple[int, int]] = []
    used = []
    for number in range(kills):
        while len(workers) < AT_ONCE:
            workers.append(start(work_for_ever, store, seed + 1000 + 10 * number + len(workers)))
        child, pipe = workers.pop(chance.randrange(len(workers)))
        octets = b""
        until = 4 * chance.choice([1, 2, 5, 10, 40])
        while len(octets) < until:
            octets += os.read(pipe, until - len(octets))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        used.append(octets + rest(pipe))
        if number % 5 == 0:  # the parent goes on using its own connection in between
            used += [counter.to_bytes(4, "big") for counter in store.reserve(KEY, 1)]
    for child, pipe in workers:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        used.append(rest(pipe))
    return used


def race(store: SqliteCounters, processes: int, seed: int) -> list[bytes]:
    workers = [start(work_and_end, store, seed + number) for number in range(processes)]
    used = [rest(pipe) for _, pipe in workers]
    for child, _ in workers:
        _, status = os.waitpid(child, 0)
        if status:
            raise SystemExit(f"a worker ended with {status}")
    return used


def main() -> None:
    mode, path, count, seed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    store = SqliteCounters(path, wait=60)
    store.advance(KEY, 1)
    used = (kill if mode == "kill" else race)(store, count, seed)
    for octets in used:
        # A worker killed within a write leaves whole numbers only: four octets go into a pipe at once.
        for at in range(0, len(octets), 4):
            print(int.from_bytes(octets[at : at + 4], "big"))


if __name__ == "__main__":
    main()
