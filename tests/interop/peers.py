"""Where the foreign libraries live, and how a test talks to them: a process of theirs, told by JSON what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVERS = Path(__file__).resolve().parent / "drivers"
EK = "000102030405060708090A0B0C0D0E0F"
AK = "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF"
LIBRARIES = {
    "gurux": "gurux-dlms",
    "dlms_cosem": "dlms-cosem",
    "pydlms": "pydlms-client",
    "amshan": "amshan",
    "dsmr_parser": "dsmr-parser",
}
CLIENTS = {"none": 16, "lls": 32, "gmac": 1, "ecdsa": 4}

#: a system title per test process and library, so that no two runs share a counter at a meter that remembers it
_titles = iter(range(1, 1 << 16))


def python_of(library: str) -> Path:
    """The interpreter of that library's environment; skips the test where it is not installed (CI insists on it)."""
    python = ROOT / ".venv-peers" / LIBRARIES[library] / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        message = f"{LIBRARIES[library]} is not installed: `python3 dev.py test` puts it into .venv-peers"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return python


def run_client(
    library: str, port: int, framing: str, auth: str, steps: list[dict[str, Any]], **more: Any
) -> list[dict[str, Any]]:
    """Let the foreign client do the steps against 127.0.0.1:port; one answer a step, and a last one for the close."""
    config: dict[str, Any] = {
        "port": port,
        "framing": framing,
        "auth": auth,
        "client": CLIENTS[auth],
        "server": 1,
        "password": "00000000",
        "ops": steps,
    }
    if auth == "gmac":
        config |= {"ek": EK, "ak": AK, "system_title": f"505552{next(_titles):010X}"}
    done = subprocess.run(
        [python_of(library), DRIVERS / f"{library}_client_driver.py"],
        input=json.dumps(config | more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert answers, f"the driver printed nothing; its errors: {done.stderr[-2000:]}"
    return answers


class Process:
    """A server in a process of its own that prints its port (or a JSON object of ports) on its first line."""

    def __init__(self, *command: str | Path) -> None:
        self.process = subprocess.Popen(
            [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline().strip()

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def simulator(*options: str) -> Process:
    """Our own meter, served by the command that users run."""
    return Process(sys.executable, "-m", "cosemic.cli", "simulate", "--wrapper-port", "0", "--hdlc-port", "0", *options)
