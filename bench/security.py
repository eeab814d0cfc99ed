"""What protection costs a client in CPU: a GET over TCP, plain and ciphered, and a login with ECDSA.

    python bench/security.py                 both, about a minute
    python bench/security.py --rounds 3 --gets 500

The meter runs in a process of its own, so that only the client's CPU is counted (``time.process_time``). The three
kinds of client take turns every fifty GETs, so that they meet the same machine; the figure of a GET is the median over
the rounds, with its quartiles. *durable* keeps its counters in a file as every client does by default, *memory* does
not. A login is AARQ to pass 4 with HLS-ECDSA, without ciphering; OpenSSL's share is the time
inside its sign and verify, measured on the same calls.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from cosemic import SecurityContext
from cosemic.blocking import DlmsClient
from cosemic.enums import AuthenticationMechanism
from cosemic.meter import demo_keys
from cosemic.security import ec
from cosemic.security.counters import MemoryCounters

METER = (
    "import asyncio;from cosemic.meter.demo import demo_meter;from cosemic.meter.server import MeterServer\n"
    "async def main():\n"
    "    async with MeterServer(demo_meter(profile_rows=10)) as server:\n"
    "        print(await server.serve_wrapper('127.0.0.1', 0), flush=True)\n"
    "        await asyncio.Event().wait()\n"
    "asyncio.run(main())"
)
EK, AK = bytes(range(16)), bytes(range(0xD0, 0xE0))
TURN = 50
"""GETs of one kind in a row."""
PROMISED = 1.6
"""A suite-0 GET with the ledger costs at most so many times the CPU of a plain one."""


def client_of(port: int, kind: str, number: int) -> DlmsClient:
    """A client of that kind; each has a system title of its own."""
    title = b"BEN" + number.to_bytes(5)
    if kind == "plain":
        return DlmsClient(f"tcp://127.0.0.1:{port}", client_sap=16)
    counters = MemoryCounters() if kind == "memory" else None
    return DlmsClient(
        f"tcp://127.0.0.1:{port}",
        client_sap=1,
        authentication=AuthenticationMechanism.HLS_GMAC,
        security=SecurityContext(0, title, EK, AK, counters=counters),
    )


def cpu_of_gets(client: DlmsClient, count: int) -> float:
    """Seconds of CPU for one GET of a register."""
    started = time.process_time()
    for _ in range(count):
        client.get(3, "1-0:1.8.0", 2)
    return (time.process_time() - started) / count


def gets(port: int, rounds: int, count: int) -> dict[str, list[float]]:
    """CPU of a GET by kind, in each round."""
    kinds = ("plain", "memory", "durable")
    figures: dict[str, list[float]] = {kind: [] for kind in kinds}
    clients = {kind: client_of(port, kind, number) for number, kind in enumerate(kinds)}
    for client in clients.values():
        client.connect()
        cpu_of_gets(client, 200)
    turns = max(count // TURN, 1)
    for _ in range(rounds):
        sums = dict.fromkeys(kinds, 0.0)
        for _ in range(turns):
            for kind, client in clients.items():
                sums[kind] += cpu_of_gets(client, TURN)
        for kind in kinds:
            figures[kind].append(sums[kind] / turns)
    for client in clients.values():
        client.close()
    return figures


class Counted:
    """Adds up the CPU that a function takes."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.seconds = 0.0

    def __call__(self, *arguments: Any) -> Any:
        started = time.process_time()
        try:
            return self.function(*arguments)
        finally:
            self.seconds += time.process_time() - started


class CountedKey:
    """A private key whose signing is counted: the seam that a token would use."""

    def __init__(self, key: ec.SoftwareKey) -> None:
        self.suite, self.public, self.agree = key.suite, key.public, key.agree
        self.sign = Counted(key.sign)


def login(port: int, suite: int, count: int) -> tuple[float, float]:
    """CPU of one login with ECDSA, and the part of it inside OpenSSL's sign and verify."""
    keys = {purpose: demo_keys.private_octets(suite, "client", purpose) for purpose in ("signing", "agreement")}
    signing = CountedKey(ec.SoftwareKey(suite, keys["signing"]))
    meter = ec.SoftwareKey(suite, demo_keys.private_octets(suite, "meter", "signing"))
    security = SecurityContext(
        suite, b"BEN" + (100 + suite).to_bytes(5), signing_key=signing, peer_signing_key=meter.public
    )
    original = ec.verify
    verify = ec.verify = Counted(original)
    try:
        for measured in (False, True):
            signing.sign.seconds = verify.seconds = 0.0
            started = time.process_time()
            for _ in range(count if measured else 5):
                with DlmsClient(
                    f"tcp://127.0.0.1:{port}",
                    client_sap={1: 4, 2: 5}[suite],
                    authentication=AuthenticationMechanism.HLS_ECDSA,
                    security=security,
                ):
                    pass
            total = time.process_time() - started
    finally:
        ec.verify = original
    return total / count, (signing.sign.seconds + verify.seconds) / count


def main() -> int:
    """Measure, print, and say whether the promise holds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--gets", type=int, default=1000)
    parser.add_argument("--logins", type=int, default=100)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["COSEMIC_STATE"] = folder
        meter = subprocess.Popen([sys.executable, "-c", METER], stdout=subprocess.PIPE, text=True)
        try:
            assert meter.stdout is not None
            port = int(meter.stdout.readline())
            figures = gets(port, arguments.rounds, arguments.gets)
            medians = {kind: statistics.median(values) for kind, values in figures.items()}
            for kind, values in figures.items():
                low, _, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
                print(
                    f"GET over TCP, {kind:8} {medians[kind] * 1e6:8.1f} us CPU ({low * 1e6:.1f} to {high * 1e6:.1f})  "
                    f"{medians[kind] / medians['plain']:.2f} x plain"
                )
            for suite in (1, 2):
                total, inside = login(port, suite, arguments.logins)
                print(f"ECDSA login, suite {suite} {total * 1e3:8.2f} ms CPU, OpenSSL {inside / total:.0%} of it")
        finally:
            meter.terminate()
            meter.wait()
    ratio = medians["durable"] / medians["plain"]
    print(f"promised: at most {PROMISED} x plain; measured {ratio:.2f}")
    return 0 if ratio <= PROMISED else 1


if __name__ == "__main__":
    sys.exit(main())
