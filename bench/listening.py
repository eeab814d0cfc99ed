"""Thousands of meters pushing to one listener on loopback: pushes a second, CPU a push, memory a connection.

    python3 bench/listening.py [--meters 5000] [--rounds 20] [--ways tcp,udp] [--kinds plain,sealed]
    python3 bench/listening.py --seconds 600 [--rate 2000]          # a soak: memory must stay flat

The senders are a second process; each meter has a connection (a port, over UDP) and, where it is sealed, a title and a
key of its own. A push is a DataNotification with ten registers, named by codes, with scalers and units. Over TCP the
senders write as fast as they are read; over UDP they keep a bounded number on their way, so that what is lost is lost
by us. Everything that is sent must arrive with all of its readings. In the soak one connection in a hundred is closed
and opened anew in each round, and hostile senders (garbage, telegrams without an end) are among them.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import resource
import socket
import statistics
import subprocess
import sys
import time

REGISTERS = 10
WINDOW = 64
FLAT = 1.05
"""How much larger the memory may be at the end of a soak than after a fifth of it."""


# -- the meters -------------------------------------------------------------------------------------------------------
def title(meter: int) -> bytes:
    return b"BEN" + meter.to_bytes(5, "big")


def keys(meter: int) -> tuple[bytes, bytes]:
    digest = hashlib.sha256(title(meter)).digest()
    return digest[:16], digest[16:]


def notification(meter: int, round_: int) -> bytes:
    body = bytes((2, 2 + 3 * REGISTERS)) + bytes.fromhex("0906 0000600100FF 0A08") + f"{meter:08d}".encode()
    for number in range(REGISTERS):
        body += bytes((9, 6, 1, 0, 1 + number, 8, 0, 255, 6)) + (meter * 1000 + round_).to_bytes(4, "big")
        body += bytes.fromhex("0202 0FFF 161E")
    return b"\x0f" + (round_ & 0xFFFFFF).to_bytes(4, "big") + b"\x00" + body


def length(size: int) -> bytes:
    return bytes((size,)) if size < 0x80 else bytes((0x81, size)) if size < 0x100 else b"\x82" + size.to_bytes(2, "big")


def sealer(meter: int):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    key, authentication = keys(meter)
    gcm = AESGCM(key)
    associated = b"\x30" + authentication

    def seal(apdu: bytes, counter: int) -> bytes:
        four = counter.to_bytes(4, "big")
        content = b"\x30" + four + gcm.encrypt(title(meter) + four, apdu, associated)[:-4]
        return b"\xdb\x08" + title(meter) + length(len(content)) + content

    return seal


def wrapped(apdu: bytes) -> bytes:
    return b"\x00\x01\x00\x01\x00\x66" + len(apdu).to_bytes(2, "big") + apdu


class Meters:
    """All that the senders send, made before anything is timed."""

    def __init__(self, count: int, kind: str) -> None:
        self.seals = [sealer(meter) if kind == "sealed" else None for meter in range(count)]

    def push(self, meter: int, round_: int) -> bytes:
        apdu = notification(meter, round_)
        seal = self.seals[meter]
        return wrapped(apdu if seal is None else seal(apdu, round_ + 1))


# -- the process of the senders: lines on stdin say what to do --------------------------------------------------------
def send(way: str, kind: str, port: int, count: int, rounds: int, seconds: float, rate: float) -> None:
    more_files()
    meters = Meters(count, kind)
    if seconds:
        return soak_senders(way, meters, port, count, seconds, rate)
    pushes = [[meters.push(meter, round_) for meter in range(count)] for round_ in range(rounds)]
    sockets = [connected(way, port) for _ in range(count)]
    for round_, octets in enumerate(pushes):
        if round_ < 2:  # the first one shows what a connection costs, the second begins what is timed
            print("ready", flush=True)
            sys.stdin.readline()
        deliver(way, sockets, octets)
    print("done", flush=True)
    sys.stdin.readline()


def deliver(way: str, sockets: list[socket.socket], octets: list[bytes]) -> None:
    """One push of each; over UDP no more than WINDOW of them are on their way."""
    for number, (sock, push) in enumerate(zip(sockets, octets, strict=True)):
        sock.sendall(push)
        if way == "udp" and number % WINDOW == WINDOW - 1:
            print("window", flush=True)
            sys.stdin.readline()
    if way == "udp":
        print("window", flush=True)
        sys.stdin.readline()


def connected(way: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if way == "udp" else socket.SOCK_STREAM)
    sock.connect(("127.0.0.1", port))
    return sock


def soak_senders(way: str, meters: Meters, port: int, count: int, seconds: float, rate: float) -> None:
    began = time.monotonic()
    sockets = [connected(way, port) for _ in range(count)]
    hostile = [connected(way, port) for _ in range(max(1, count // 50))]
    round_ = 0
    while time.monotonic() < began + seconds:
        time.sleep(max(0.0, began + round_ * count / rate - time.monotonic()))
        for number in range(round_ % 100, count, 100):
            sockets[number].close()
            sockets[number] = connected(way, port)
        for number, sock in enumerate(hostile):
            try:
                sock.sendall((os.urandom(500), b"\x7e\xa7\xff\x03", wrapped(bytes(60000))[:1000])[number % 3])
            except OSError:  # it was closed for what it sends
                sock.close()
                hostile[number] = connected(way, port)
        deliver(way, sockets, [meters.push(meter, round_) for meter in range(count)])
        round_ += 1
    print(f"rounds {round_}", flush=True)
    sys.stdin.readline()


# -- the listener -----------------------------------------------------------------------------------------------------
def resident() -> int:
    """Octets of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def more_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Bench:
    """One way and kind: a listener here, the senders in another process."""

    def __init__(self, way: str, kind: str, options: argparse.Namespace) -> None:
        from cosemic.push.protection.keys import KeyTable, MeterKeys
        from cosemic.push.listening.limits import Limits
        from cosemic.push.listening.listener import PushListener

        self.way, self.kind, self.options = way, kind, options
        count = options.meters
        table = KeyTable({title(meter): MeterKeys(*keys(meter)) for meter in range(count)})
        limits = Limits(connections=2 * count + 100, connections_per_address=2 * count + 100, seconds_for_telegram=10)
        self.listener = PushListener(f"{way}://127.0.0.1:0", keys=table if kind == "sealed" else None, limits=limits)
        self.count = 0
        self.readings = 0
        self.arrived = asyncio.Event()
        self.wanted = 0
        self.lag = 0.0

    async def consume(self) -> None:
        while found := await self.listener.take(1000):
            for received in found:
                readings = getattr(received.item, "readings", None)
                if readings is not None:
                    self.count += 1
                    self.readings += len(readings)
            if self.count >= self.wanted:
                self.arrived.set()

    async def beat(self) -> None:
        """How long the loop does not come to a task that sleeps."""
        while True:
            due = time.perf_counter() + 0.05
            await asyncio.sleep(0.05)
            self.lag = max(self.lag, time.perf_counter() - due)

    async def have(self, wanted: int) -> None:
        self.wanted = wanted
        self.arrived.clear()
        if self.count < wanted:
            await self.arrived.wait()

    async def start(self) -> asyncio.subprocess.Process:
        options = self.options
        port = self.listener.places[0].rpartition(":")[2]
        values = (self.way, self.kind, port, options.meters, options.rounds + 1, options.seconds, options.rate)
        command = [sys.executable, __file__, "--send", ",".join(map(str, values))]
        return await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )

    async def follow(self, process: asyncio.subprocess.Process, first: int) -> str:
        """Answer the windows of the senders up to another line, which is returned."""
        assert process.stdout is not None
        sent = first
        meters = self.options.meters
        while True:
            line = (await process.stdout.readline()).decode().strip()
            if line != "window":
                return line
            place = sent % meters
            sent += min(WINDOW, meters - place) if place + WINDOW <= meters else meters - place
            try:
                async with asyncio.timeout(5):
                    await self.have(min(sent, (sent - 1) // meters * meters + meters))
            except TimeoutError:
                print(f"  lost on the way: {sent - self.count}")
                self.count = sent
            self.answer(process)

    @staticmethod
    def answer(process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        process.stdin.write(b"\n")

    async def run(self) -> list[str]:
        options = self.options
        meters, rounds = options.meters, options.rounds
        async with self.listener:
            consuming = asyncio.create_task(self.consume())
            empty = resident()
            process = await self.start()
            assert await self.follow(process, 0) == "ready"
            self.answer(process)
            assert await self.follow(process, 0) == "ready"
            await self.have(meters)
            each = (resident() - empty) / meters
            began, cpu = time.perf_counter(), time.process_time()
            self.answer(process)
            assert await self.follow(process, meters) == "done"
            await self.have(meters * (rounds + 1))
            seconds, used = time.perf_counter() - began, time.process_time() - cpu
            self.answer(process)
            await process.wait()
            consuming.cancel()
        pushes = meters * rounds
        if self.readings != (pushes + meters) * (REGISTERS + 1):
            sys.exit(
                f"{self.readings} readings of {(pushes + meters) * (REGISTERS + 1)} came: {self.listener.statistics}"
            )
        return [
            self.way, self.kind, f"{meters}", f"{pushes}", f"{pushes / seconds:,.0f}", f"{used / pushes * 1e6:.0f}",
            f"{each / 1024:.1f}",
        ]  # fmt: skip

    async def soak(self) -> bool:
        """Whether the memory stays as it is."""
        seconds = self.options.seconds
        sizes: list[int] = []
        async with self.listener:
            consuming = asyncio.create_task(self.consume())
            beating = asyncio.create_task(self.beat())
            process = await self.start()
            began = time.monotonic()
            following = asyncio.create_task(self.follow(process, 0))
            while not following.done():
                await asyncio.wait({following}, timeout=max(seconds / 20, 0.2))
                sizes.append(resident())
                print(
                    f"{time.monotonic() - began:7.0f} s  {self.count:10,} pushes  {sizes[-1] / 2**20:7.1f} MiB  "
                    f"{self.listener.statistics.connections} connections, loop late by {self.lag:.2f} s at most",
                    flush=True,
                )
            print(f"{self.way} {self.kind}: {following.result()}, closed {dict(self.listener.statistics.closed)}")
            self.answer(process)
            await process.wait()
            consuming.cancel()
            beating.cancel()
        early, late = sizes[3:7], sizes[-4:]
        growth = statistics.median(late) / statistics.median(early)
        print(f"  memory after a fifth of the time x {growth:.3f} at the end; at most {FLAT} is flat")
        return growth <= FLAT


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meters", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--ways", default="tcp,udp")
    parser.add_argument("--kinds", default="plain,sealed")
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--rate", type=float, default=2000.0, help="pushes a second in the soak")
    parser.add_argument("--send", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        way, kind, port, meters, rounds, seconds, rate = options.send.split(",")
        send(way, kind, int(port), int(meters), int(rounds), float(seconds), float(rate))
        return 0
    more_files()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files < options.meters + 300:
        options.meters = files - 300
        print(f"the system allows {files} open files: {options.meters} meters instead (ulimit -n)")
    cases = [(way, kind) for way in options.ways.split(",") for kind in options.kinds.split(",")]
    if options.seconds:
        return 0 if all(asyncio.run(Bench(*case, options).soak()) for case in cases) else 1
    print(f"{'way':5}{'kind':8}{'meters':>8}{'pushes':>9}{'pushes/s':>10}{'us CPU/push':>13}{'KiB/meter':>11}")
    if len(cases) > 1:  # each in a process of its own: memory that one leaves behind is none of the next
        for way, kind in cases:
            command = [sys.executable, __file__, "--ways", way, "--kinds", kind]
            command += ["--meters", str(options.meters), "--rounds", str(options.rounds)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            print(done.stdout.splitlines()[-1], flush=True)
        return 0
    way, kind, meters, pushes, rate, cpu, each = asyncio.run(Bench(*cases[0], options).run())
    print(f"{way:5}{kind:8}{meters:>8}{pushes:>9}{rate:>10}{cpu:>13}{each:>11}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
