"""The command as users start it: a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

COMMAND = [sys.executable, "-m", "cosemic.cli"]
FRAME = "7EA0190321107FDAE6E600C001C100080000010000FF0200601A7E"


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], input=stdin, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def simulated(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, int]]]:
    """A ``cosemic simulate`` of its own, ready."""
    with subprocess.Popen(
        [*COMMAND, "simulate", "--wrapper-port", "0", "--hdlc-port", "0", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def test_demo_needs_nothing() -> None:
    done = run("demo")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "HLS-GMAC" in done.stdout
    assert "Wh" in done.stdout
    assert "Load profile" in done.stdout


def test_demo_as_json() -> None:
    lines = [json.loads(line) for line in run("demo", "--json").stdout.splitlines()]
    kinds = [line["kind"] for line in lines]
    assert set(kinds) == {"association", "clock", "register", "profile"}
    assert lines[0]["mechanism"] == "HLS-GMAC"
    assert next(line for line in lines if line["kind"] == "register")["unit"] == "Wh"


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_simulate_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    with simulated("--profile-rows", "7") as (process, ports):
        assert list(ports) == ["wrapper_port", "hdlc_port"]
        done = run("profile", f"tcp://127.0.0.1:{ports['wrapper_port']}", "1-0:99.1.0", "--json")
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 7
        done = run("read", f"hdlc://127.0.0.1:{ports['hdlc_port']}", "1-0:1.8.0", "--json")
        assert json.loads(done.stdout)["unit"] == "Wh"
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")


def test_simulate_on_a_port_that_is_taken() -> None:
    with simulated() as (_, ports):
        done = run("simulate", "--wrapper-port", str(ports["wrapper_port"]))
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert "choose another --wrapper-port" in done.stderr


def test_explain_from_argument_pipe_and_file(tmp_path) -> None:
    text = run("explain", FRAME).stdout
    assert "get-request normal" in text
    assert run("explain", "-", stdin=f"> {FRAME}\n").stdout.count("get-request normal") == 1
    file = tmp_path / "capture.bin"
    file.write_bytes(bytes.fromhex(FRAME))
    assert run("explain", str(file)).stdout == text


def test_output_into_a_closed_pipe_is_no_error() -> None:
    with subprocess.Popen(
        [*COMMAND, "explain", FRAME * 2000], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize("command", ["demo", "read", "set", "call", "objects", "profile", "explain", "simulate"])
def test_help_shows_examples(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert f"cosemic {command}" in done.stdout
    assert "For example:" in done.stdout
