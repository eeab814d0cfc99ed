"""cosemic as processes for tests: what they print is taken line by line, with a deadline for each."""

from __future__ import annotations

import json
import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LIMIT = 60.0


class Listening:
    """One process. ``lines`` are those of standard output, ``told`` those of stderr, as they come."""

    def __init__(self, *arguments: str, **more: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cosemic.cli", "listen", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | more.pop("env", {}),
            **more,
        )
        self.earlier: list[str] = []
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.told: queue.Queue[str | None] = queue.Queue()
        self._threads = [
            threading.Thread(target=self._read, args=(file, lines), daemon=True)
            for file, lines in ((self.process.stdout, self.lines), (self.process.stderr, self.told))
        ]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _read(file: Any, lines: queue.Queue[str | None]) -> None:
        for line in file:
            lines.put(line.rstrip("\n"))
        lines.put(None)

    def places(self) -> list[str]:
        """Where it listens, with the ports that were chosen. What was told before that can still be asked for."""
        while (line := self.told.get(timeout=LIMIT)) is not None:
            if line.startswith("cosemic: listening on "):
                return line.removeprefix("cosemic: listening on ").split(", ")
            self.earlier.append(line)
        raise AssertionError(f"it ended: {self.earlier}")

    def document(self) -> dict[str, Any]:
        line = self.lines.get(timeout=LIMIT)
        assert line is not None
        return json.loads(line)

    def sentence(self, part: str) -> str:
        """The next line on stderr that has this in it."""
        for line in self.earlier:
            if part in line:
                self.earlier.remove(line)
                return line
        while (line := self.told.get(timeout=LIMIT)) is not None:
            if part in line:
                return line
        raise AssertionError(f"{part!r} was never told")

    def end(self) -> int:
        code = self.process.wait(LIMIT)
        for thread in self._threads:
            thread.join(LIMIT)
        return code


@contextmanager
def listen(*arguments: str, **more: Any) -> Iterator[Listening]:
    listening = Listening(*arguments, **more)
    try:
        yield listening
    finally:
        if listening.process.poll() is None:
            listening.process.kill()
        listening.end()
        for file in (listening.process.stdout, listening.process.stderr):
            if file is not None:
                file.close()


def port_of(place: str) -> int:
    return int(place.rpartition(":")[2])


def connect(place: str) -> socket.socket:
    sender = socket.create_connection(("127.0.0.1", port_of(place)), timeout=LIMIT)
    sender.settimeout(LIMIT)
    return sender


@contextmanager
def simulate(state: Path, *arguments: str) -> Iterator[dict[str, int]]:
    """Simulated meters as a process, with counters in ``state``; the ports that they are served on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cosemic.cli", "simulate", "--wrapper-port", "0", "--hdlc-port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"COSEMIC_STATE": str(state)},
    )
    try:
        assert process.stdout is not None
        lines: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=lambda: lines.put(process.stdout.readline()), daemon=True)  # type: ignore[union-attr]
        reader.start()
        yield json.loads(lines.get(timeout=LIMIT))
    finally:
        process.terminate()
        process.wait(LIMIT)
        assert process.stdout is not None
        process.stdout.close()


def cosemic(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """One command, to its end."""
    command = [sys.executable, "-m", "cosemic.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, **more)


def energy(document: dict[str, Any]) -> object:
    (value,) = [reading["value"] for reading in document["readings"] if reading["obis"] == "1.0.1.8.0.255"]
    return value
