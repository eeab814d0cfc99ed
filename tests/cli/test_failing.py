"""Every failure is one line on stderr that says what to do, without secrets and without a traceback."""

from __future__ import annotations

import socket
import sys

import pytest

import cosemic.cli
from cosemic.cli.failing import one_line
from cosemic.errors import LinkLost, MissingExtra
from tests.cli.conftest import GMAC, LLS

ENERGY = "1-0:1.8.0"
SECRET = "correct-horse-battery"


def failure(done, code: int) -> str:
    assert done.code == code
    assert done.out == ""
    assert len(done.err.splitlines()) == 1
    assert "Traceback" not in done.err
    return done.err


def test_wrong_password(cosemic, meter) -> None:
    done = cosemic("read", meter.wrapper, ENERGY, "--client", "32", "--auth", "lls", "--password", SECRET)
    text = failure(done, 1)
    assert "authentication-failure" in text
    assert "check --password" in text
    assert SECRET not in text


def test_wrong_key(cosemic, meter) -> None:
    keys = [value.replace("0E0F", "0EFF") for value in GMAC]
    text = failure(cosemic("read", meter.wrapper, ENERGY, *keys), 1)
    assert "check --ek, --ak, --system-title" in text
    assert "0EFF" not in text


def test_nobody_listens(cosemic) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = failure(cosemic("read", f"tcp://127.0.0.1:{port}", ENERGY), 1)
    assert "check host and port" in text


def test_somebody_listens_and_says_nothing(cosemic) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        done = cosemic("read", f"tcp://127.0.0.1:{deaf.getsockname()[1]}", ENERGY, "--timeout", "0.2")
    assert "--timeout" in failure(done, 1)


def test_unknown_client(cosemic, meter) -> None:
    assert "client" in failure(cosemic("read", meter.wrapper, ENERGY, "--client", "99"), 1)


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (["read", "tcp://127.0.0.1:1", "1-0:1.8.x"], "is no OBIS code: write 1-0:1.8.0*255"),
        (["read", "tcp://127.0.0.1:1", "3/1-0:1.8.0"], "write CLASS/OBIS/ATTRIBUTE"),
        (["read", "tcp://127.0.0.1:1", "x/1-0:1.8.0/2"], "is no number"),
        (["read", "tcp://127.0.0.1:1", "99999/1-0:1.8.0/2"], "must be 0 to 65535"),
        (["read", "tcp://127.0.0.1:1"], "nothing to read"),
        (["read", "cellar", ENERGY], "is no URL"),
        (["read", "tcp://127.0.0.1:1", ENERGY, "--auth", "gmac"], "--auth gmac needs --ek, --ak"),
        (["read", "tcp://127.0.0.1:1", ENERGY, "--auth", "lls"], "needs --password"),
        (["read", "tcp://127.0.0.1:1", ENERGY, "--password", SECRET], "without --auth"),
        (["read", "tcp://127.0.0.1:1", ENERGY, "--policy", "encrypted"], "needs --ek"),
        (["read", "tcp://127.0.0.1:1", ENERGY, "--auth", "hls"], "Python API"),
        (["read", "tcp://127.0.0.1:1", ENERGY, "--auth", "ecdsa"], "not supported yet"),
        (["read", "tcp://127.0.0.1:1", ENERGY, "--auth", "magic"], "Choose from"),
        (["read", "tcp://127.0.0.1:1", ENERGY, f"--passwrd={SECRET}"], "Unknown option"),
        (["read", "tcp://127.0.0.1:1", ENERGY, *LLS[:-1], "env:NOT_THERE"], "NOT_THERE, which is not set"),
        (["read", "tcp://127.0.0.1:1", ENERGY, *LLS[:-1], "file:/not/there"], "cannot be read"),
        (["set", "tcp://127.0.0.1:1", ENERGY, "integer", "1"], "write CLASS/OBIS/ATTRIBUTE"),
        (["set", "tcp://127.0.0.1:1", "3/1-0:1.8.0/2", "number", "1"], "is no type; there are null-data"),
        (["set", "tcp://127.0.0.1:1", "3/1-0:1.8.0/2", "unsigned", "-1"], "must be 0 to 255"),
        (["call", "tcp://127.0.0.1:1", "3/1-0:1.8.0/1", "integer"], "a value is missing"),
        (["simulate", "--wrapper-port", "70000"], "0 (any free port) to 65535"),
        (["explain", "hello"], "give hex, a file, or -"),
        (["explain", "C0", "--ek", "00"], "encryption key has 1 octets"),
        (["frobnicate"], "Available commands"),
        (["listen", "tcp://0.0.0.0:4059"], "Unknown command"),
    ],
    ids=lambda value: "-".join(value)[:50] if isinstance(value, list) else "",
)
def test_mistakes_on_the_command_line(cosemic, arguments: list[str], remedy: str) -> None:
    text = failure(cosemic(*arguments), 2)
    assert remedy in text
    assert SECRET not in text


def test_a_key_of_the_wrong_length_is_not_quoted(cosemic) -> None:
    keys = [*GMAC]
    keys[keys.index("--ek") + 1] = "C0FFEE"
    text = failure(cosemic("read", "tcp://127.0.0.1:1", ENERGY, *keys), 2)
    assert "--ek must have 16 octets" in text
    assert "C0FFEE" not in text


def test_a_bad_url_says_what_would_be_right(cosemic) -> None:
    assert "tcp://host" in failure(cosemic("read", "http://127.0.0.1", ENERGY), 1).replace("tcp://, hdlc", "tcp://host")
    assert "not there yet" in failure(cosemic("read", "mbus:///dev/ttyUSB0", ENERGY), 1)


def test_the_missing_extra_is_named(monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "cyclopts", None)
    assert cosemic.cli.main(["demo"]) != 0
    captured = capsys.readouterr()
    assert captured.err == "cosemic: the command needs the extra 'cli': pip install 'cosemic[cli]'\n"
    assert "cosemic[arrow]" in one_line(MissingExtra("arrow", "--format parquet"))


def test_debug_shows_the_traceback(cosemic) -> None:
    done = cosemic("read", "tcp://127.0.0.1:1", "nonsense", "--debug")
    assert done.code == 2
    assert "Traceback" in done.err


def test_what_nobody_expected_is_one_line(cosemic, monkeypatch) -> None:
    def broken(*_: object, **__: object) -> int:
        raise RuntimeError(SECRET)

    monkeypatch.setattr("cosemic.cli.reading.read_targets", broken)
    text = failure(cosemic("read", "tcp://127.0.0.1:1", ENERGY), 1)
    assert "unexpected RuntimeError" in text
    assert SECRET not in text


def test_ctrl_c(cosemic, monkeypatch) -> None:
    def interrupted(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("cosemic.cli.reading.read_targets", interrupted)
    assert failure(cosemic("read", "tcp://127.0.0.1:1", ENERGY), 130) == "cosemic: interrupted\n"


def test_messages_of_several_lines_become_one() -> None:
    assert one_line(LinkLost("gone\nfor good")).count("\n") == 0
