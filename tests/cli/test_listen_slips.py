"""What people mistype, and what ends with which exit code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cosemic.cli import main
from tests.cli.conftest import Outcome
from tests.push.samples import hdlc, notification

Run = Callable[..., Outcome]


@pytest.fixture
def cosemic(capfd: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> Outcome:
        capfd.readouterr()
        code = main(arguments)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def capture(tmp_path: Path) -> str:
    file = tmp_path / "capture.bin"
    file.write_bytes(hdlc(notification()))
    return str(file)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tpc://0.0.0.0:4059",), "is tcp:// meant?"),
        (("tcp:/0.0.0.0:4059",), "two slashes"),
        (("FILE", "--ek", "/nowhere/meter.ek"), "for a file write file:PATH"),
        (("FILE", "--ek", "file:/nowhere/meter.ek"), "which cannot be read: No such file"),
        (("FILE", "--ek", "0011223344"), "must have 16 octets"),
        (("FILE", "--layout", "norweg"), "is norway-aidon or norway-kaifa"),
        (("FILE", "--csv", "/nowhere/a.csv"), "--csv: there is no folder /nowhere"),
        (("FILE", "--sqlite", "/nowhere/a.db"), "--sqlite: there is no folder /nowhere"),
        (("FILE", "--record", "/nowhere/a.rec"), "--record: there is no folder /nowhere"),
    ],
)
def test_a_slip_is_one_sentence_and_exit_code_2(
    cosemic: Run, capture: str, arguments: tuple[str, ...], told: str
) -> None:
    outcome = cosemic("listen", *(capture if word == "FILE" else word for word in arguments))
    assert outcome.code == 2
    assert told in outcome.err
    assert len(outcome.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("localhost:4059", "write tcp://localhost:4059 to listen on it, connect+tcp://localhost:4059 to connect to it"),
        ("4059", "write tcp://0.0.0.0:4059 to listen on it"),
        ("missing.bin", "No such file or directory; check the path"),
    ],
)
def test_what_is_no_file(cosemic: Run, url: str, told: str) -> None:
    outcome = cosemic("listen", url)
    assert outcome.code == 1
    assert outcome.err == f"cosemic: {url} cannot be read: {told}\n" or outcome.err.endswith(f"{told}\n")
    assert "the URL and the network" not in outcome.err


def test_a_key_may_begin_as_programs_write_it(cosemic: Run, capture: str) -> None:
    outcome = cosemic("listen", capture, "--ek", "0x" + "6E" * 15 + "01", "--accept-plain")
    assert outcome.code == 0


def test_lost_messages_make_the_exit_code(cosemic: Run, capture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is away, and no spool: the readings were shown, and are lost for it."""
    from cosemic.delivery import pipeline

    monkeypatch.setattr(pipeline.PipelineLimits, "__init__", _impatient(pipeline.PipelineLimits.__init__))
    outcome = cosemic("listen", capture, "--mqtt", "mqtt://127.0.0.1:1")
    assert outcome.code == 1
    assert "not delivered, and lost: 1 messages" in outcome.err


def _impatient(initialise: Callable[..., None]) -> Callable[..., None]:
    def other(self: object, **more: object) -> None:
        initialise(self, **({"drain": 0.2} | more))

    return other


@pytest.mark.parametrize(
    ("flag", "setting"),
    [
        ("--allow-example-keys", "allow_example_keys = true"),
        ("--without-verifying", "without_verifying = true"),
        ("--no-replay-check", "check_replay = false"),
    ],
)
def test_flags_for_keys_that_an_inventory_says_itself(
    cosemic: Run, capture: str, tmp_path: Path, flag: str, setting: str
) -> None:
    inventory = tmp_path / "meters.toml"
    inventory.write_text('[meters.a]\nmeter_id = "TST0001"\n')
    outcome = cosemic("listen", capture, "--inventory", str(inventory), flag)
    assert outcome.code == 2
    assert f"{flag} goes with --ek" in outcome.err
    assert setting in outcome.err
