"""A short run of every fuzz target, the same each time; ``python fuzz/run.py`` is the long one."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from fuzz import linear, run
from fuzz.mutate import Mutator
from fuzz.seeds import corpus
from fuzz.targets import TARGETS
from fuzz.violation import ViolationError, require, watched_log

from cosemic.codec import axdr

ROOT = Path(__file__).resolve().parents[1]
SLOW = {"explain", "meter", "meter-hdlc", "redaction"}
TALKS = {name for name in TARGETS if name.startswith(("client", "server"))}


def inputs(name: str, count: int) -> list[bytes]:
    """Seeds spread over the corpus, and as many mutations."""
    seeds = corpus(name)
    mutator = Mutator(seeds, seed=2026)
    return [*seeds[:: -(-2 * len(seeds) // count)], *(mutator.next() for _ in range(count // 2))]


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_violated(name: str) -> None:
    with watched_log():
        for data in inputs(name, 80 if name in SLOW else 200 if name in TALKS else 600):
            try:
                TARGETS[name](data)
            except Exception as error:
                raise AssertionError(f"python fuzz/run.py --target {name} --input {data.hex()}") from error


@pytest.mark.parametrize("name", TARGETS)
def test_work_is_linear(name: str) -> None:
    with watched_log():
        assert linear.too_much_work(TARGETS[name], linear.shapes(name, 5 if name in SLOW else 12)) == []


def test_more_than_linear_work_is_noticed() -> None:
    def quadratic(data: bytes) -> None:
        for _ in data:
            for _ in data[::32]:
                pass

    def late(data: bytes) -> None:
        for _ in data if len(data) > 100 else b"":
            pass

    assert len(linear.too_much_work(quadratic, [bytes])) == 1
    assert linear.too_much_work(late, [bytes]) == []


def test_a_violation_is_told_with_its_octets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def broken(data: bytes, **_: object) -> object:
        if data.startswith(b"\x13"):
            raise KeyError(data[0])
        return right(data)

    right = axdr.decode
    monkeypatch.setattr(axdr, "decode", broken)
    assert run.main(["--plain", "--seconds", "60", "--target", "axdr"]) == 1
    found = re.search(r"VIOLATION in axdr: --target axdr --input (13[0-9a-f]*)", capsys.readouterr().out)
    assert found
    assert run.main(["--target", "axdr", "--input", found[1]]) == 1
    monkeypatch.undo()
    assert run.main(["--target", "axdr", "--input", found[1]]) == 0


def test_a_wrong_value_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    right = axdr.decode
    monkeypatch.setattr(axdr, "decode", lambda data, **_: 1 if right(data) == 2 else right(data))
    with pytest.raises(ViolationError, match="differ"):
        TARGETS["axdr"](b"\x11\x02")


def test_an_error_in_the_log_is_a_violation() -> None:
    import logging

    with watched_log(), pytest.raises(ViolationError, match="something broke"):
        logging.getLogger("cosemic.meter").error("something %s", "broke")


def test_require() -> None:
    require(True, "never")
    with pytest.raises(ViolationError, match="because: 1, 'two'"):
        require(None, "because", 1, "two")


def test_mutations_are_the_same_every_time_and_differ() -> None:
    first, second = (Mutator([b"abc", b"defghi"], seed=3) for _ in range(2))
    made = [first.next() for _ in range(200)]
    assert made == [second.next() for _ in range(200)]
    assert len(set(made)) > 100


def test_every_target_has_seeds() -> None:
    assert all(len(list(islice(corpus(name), 5))) == 5 for name in TARGETS)


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris (extra fuzz) is not installed")
@pytest.mark.slow
def test_led_by_coverage() -> None:
    command = [sys.executable, "fuzz/run.py", "--seconds", "5", "--target", "apdu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"^(\S+) +[1-9][\d,]* executions$", done.stdout, re.MULTILINE) == ["apdu"]
