"""A simulated meter for the commands, and a home folder of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cosemic.cli import main
from cosemic.meter.demo import demo_meter
from cosemic.meter.server import running

GMAC = (
    "--client", "1", "--auth", "gmac", "--system-title", "4D4D4D0000000001",
    "--ek", "000102030405060708090A0B0C0D0E0F", "--ak", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF",
)  # fmt: skip
LLS = ("--client", "32", "--auth", "lls", "--password", "00000000")


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass(frozen=True)
class Urls:
    wrapper: str
    hdlc: str


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory):
    """Invocation counters that live as long as the meter, which remembers the last one."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(autouse=True)
def home(tmp_path, state, monkeypatch: pytest.MonkeyPatch):
    """An empty home: no meters, no settings of the developer."""
    for name in [name for name in os.environ if name.startswith(("COSEMIC_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("COSEMIC_STATE", str(state))
    return tmp_path


@pytest.fixture
def cosemic(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a command in this process."""

    def run(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def meter() -> Iterator[Urls]:
    with running(demo_meter(profile_rows=200)) as ports:
        yield Urls(f"tcp://127.0.0.1:{ports.wrapper}", f"hdlc://127.0.0.1:{ports.hdlc}")
