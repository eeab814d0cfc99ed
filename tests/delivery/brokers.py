"""A Mosquitto of our own for a test: on a free port of the loopback, killed and started again by its pid."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
SUBSCRIBER = shutil.which("mosquitto_sub")
PUBLISHER = shutil.which("mosquitto_pub")
needs_mosquitto = pytest.mark.skipif(
    not (MOSQUITTO and SUBSCRIBER and PUBLISHER) and not os.environ.get("CI"),
    reason="Mosquitto is not installed (apt-get install mosquitto mosquitto-clients)",
)
DEADLINE = 60.0


class Mosquitto:
    """A broker process. It keeps its sessions on the disk when ``save`` is called, and at no other time."""

    def __init__(self, folder: Path, *extra: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._config = folder / "mosquitto.conf"
        user = ["user root"] if os.geteuid() == 0 else []
        lines = [
            f"listener {self.port} 127.0.0.1",
            *(extra or ("allow_anonymous true",)),
            *user,
            "persistence true",
            f"persistence_location {folder}/",
            "autosave_interval 0",
            # Without a limit Mosquitto 2.0.11 ends the connection of one that publishes what its rules forbid.
            *(() if any(line.startswith("acl_file") for line in extra) else ("max_queued_messages 0",)),
            "log_dest stderr",
        ]
        self._config.write_text("\n".join(lines) + "\n")
        self._process: asyncio.subprocess.Process | None = None
        self._log: asyncio.Task[None] | None = None
        self.lines: list[str] = []
        self._news = asyncio.Event()

    async def start(self) -> None:
        assert MOSQUITTO is not None, "Mosquitto is not installed, and CI insists on it"
        begin = len(self.lines)
        self._process = await asyncio.create_subprocess_exec(
            MOSQUITTO, "-c", str(self._config), stderr=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL
        )
        self._log = asyncio.create_task(self._read_log(self._process))
        await self._until(lambda: any("running" in line for line in self.lines[begin:]))

    async def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """End it at once, and see it ended."""
        process = self._process
        assert process is not None
        assert self._log is not None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        async with asyncio.timeout(DEADLINE):
            await process.wait()
            await self._log
        self._process = None

    async def close(self) -> None:
        if self._process is not None:
            await self.kill(signal.SIGTERM)

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def save(self) -> None:
        """Have sessions and retained messages written to the disk, as a broker in service does now and then."""
        assert self._process is not None
        begin = len(self.lines)
        self._process.send_signal(signal.SIGUSR1)
        await self._until(lambda: any("Saving in-memory database" in line for line in self.lines[begin:]))
        await self.publish("test/saved", "1")  # answered after the file is written

    async def reread(self) -> None:
        """Have the rules that it was given read anew."""
        assert self._process is not None
        begin = len(self.lines)
        self._process.send_signal(signal.SIGHUP)
        await self._until(lambda: any("Reloading config" in line for line in self.lines[begin:]))

    async def publish(self, topic: str, text: str) -> None:
        """As somebody else."""
        assert PUBLISHER is not None
        arguments = ("-p", str(self.port), "-t", topic, "-m", text, "-q", "1")
        process = await asyncio.create_subprocess_exec(PUBLISHER, *arguments)
        async with asyncio.timeout(DEADLINE):
            assert await process.wait() == 0

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self.lines.append(line.decode("utf-8", "replace").rstrip())
            self._news.set()

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self._news.clear()
                await self._news.wait()


class Subscriber:
    """``mosquitto_sub`` with a session that lasts: what it prints is what it was given, repeats and all."""

    def __init__(self, port: int, *topics: str, name: str = "watcher", user: tuple[str, str] | None = None) -> None:
        self._arguments = ["-p", str(port), "-i", name, "-c", "-q", "1", "-F", "%j", "-d"]
        for topic in topics:
            self._arguments += ["-t", topic]
        if user is not None:
            self._arguments += ["-u", user[0], "-P", user[1]]
        self.messages: list[dict[str, object]] = []
        self._news = asyncio.Event()
        self._subscribed = 0
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        assert SUBSCRIBER is not None
        self._process = await asyncio.create_subprocess_exec(
            "stdbuf",  # or what it says of itself would come when its buffer is full
            "-oL",
            SUBSCRIBER,
            *self._arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 24,
            env=dict(os.environ, LC_ALL="C"),
        )
        self._reader = asyncio.create_task(self._read(self._process))
        await self.until(lambda: self._subscribed > 0)

    async def close(self) -> None:
        if self._process is not None and self._reader is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()  # in its handler of other signals it waits for a lock that it may hold itself
            async with asyncio.timeout(DEADLINE):
                await self._process.wait()
                await self._reader
            self._process = None

    async def until(self, condition: Callable[[], bool], deadline: float = DEADLINE) -> None:
        async with asyncio.timeout(deadline):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def resubscribed(self, begin: int) -> None:
        """Wait until it has come back to a broker that was started again."""
        await self.until(lambda: self._subscribed > begin)

    @property
    def subscriptions(self) -> int:
        return self._subscribed

    def payloads(self, end: str) -> list[dict[str, object]]:
        """The documents under the topics with this end, in the order in which they came."""
        return [json.loads(str(message["payload"])) for message in self.messages if str(message["topic"]).endswith(end)]

    def retained(self, topic: str) -> object:
        """The last that came under a topic."""
        found = [message["payload"] for message in self.messages if message["topic"] == topic]
        return found[-1] if found else None

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.startswith(b"{"):
                self.messages.append(json.loads(line))
            elif b"received SUBACK" in line:
                self._subscribed += 1
            self._news.set()


@contextlib.asynccontextmanager
async def broker(folder: Path, *extra: str) -> AsyncIterator[Mosquitto]:
    mosquitto = Mosquitto(folder, *extra)
    try:
        await mosquitto.start()
        yield mosquitto
    finally:
        await mosquitto.close()


@contextlib.asynccontextmanager
async def subscriber(port: int, *topics: str, user: tuple[str, str] | None = None) -> AsyncIterator[Subscriber]:
    watcher = Subscriber(port, *topics, user=user)
    try:
        await watcher.start()
        yield watcher
    finally:
        await watcher.close()
