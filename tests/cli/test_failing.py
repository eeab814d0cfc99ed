"""Every failure is one line on stderr that says what to do, without secrets and without a traceback."""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import Self

import pytest

import cosemic.cli
from cosemic.cli.failing import one_line
from cosemic.errors import LinkLost, MissingExtra
from cosemic.link.wrapper import WrapperPdu
from tests.cli.conftest import GMAC, LLS

ENERGY = "1-0:1.8.0"
SECRET = "correct-horse-battery"


class Mortal:
    """A meter that accepts the association and then falls silent, or hangs up."""

    AARE = bytes.fromhex("6129A109060760857405080101A203020100A305A103020100BE10040E0800065F1F040000101D04000007")

    def __init__(self, *, silent: bool) -> None:
        self.silent = silent
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self.listener.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve)

    def serve(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(WrapperPdu(1, 16, self.AARE).encode())
            connection.recv(1000)
            while self.silent and connection.recv(1000):
                pass

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.thread.join(20)
        self.listener.close()


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


@pytest.mark.parametrize(("scheme", "other"), [("tcp", "hdlc"), ("hdlc", "tcp")])
def test_a_port_of_the_other_framing(cosemic, meter, scheme: str, other: str) -> None:
    port = (meter.hdlc if scheme == "tcp" else meter.wrapper).rpartition(":")[2]
    text = failure(cosemic("read", f"{scheme}://127.0.0.1:{port}", ENERGY, "--timeout", "0.5"), 1)
    assert f"the port wants {other}:// in place of {scheme}://" in text


def test_something_else_than_a_meter(cosemic) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        done = cosemic("read", f"tcp://127.0.0.1:{listener.getsockname()[1]}", ENERGY, "--timeout", "5")
        thread.join()
    assert "something else than a meter may answer there" in failure(done, 1)


def test_counters_that_cannot_be_kept(cosemic, meter, monkeypatch, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COSEMIC_STATE", str(tmp_path / "file"))
    assert "COSEMIC_STATE" in failure(cosemic("read", meter.wrapper, ENERGY, *GMAC), 1)


def test_ctrl_c_while_modules_are_loading(monkeypatch, capsys) -> None:
    class Slow:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "cosemic.cli.app":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "cosemic.cli.app", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Slow(), *sys.meta_path])
    assert cosemic.cli.main(["demo"]) == 130
    assert capsys.readouterr().err == "cosemic: interrupted\n"


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "closed"])
@pytest.mark.parametrize("command", [("read", ENERGY), ("profile", "1-0:99.1.0")], ids=["read", "profile"])
def test_a_meter_that_goes_away_after_the_association(cosemic, silent: bool, command: tuple[str, str]) -> None:
    with Mortal(silent=silent) as meter:
        text = failure(cosemic(command[0], meter.url, command[1], "--timeout", "0.5"), 1)
    assert "the meter answered before this: check that it is still on" in text
    assert "--client" not in text
    assert ("--timeout" in text) is silent


def test_an_association_refused_without_a_reason(cosemic, meter) -> None:
    text = failure(cosemic("objects", meter.hdlc, "--client", "99"), 1)
    assert "the meter tells no reason: check --client, --server and --auth" in text


def test_an_object_that_is_not_there_in_a_procedure(cosemic, meter) -> None:
    assert "'cosemic objects' lists" in failure(cosemic("profile", meter.wrapper, "1-0:98.77.0"), 1)


def test_an_output_that_cannot_be_written_is_found_before_anything_is_read(cosemic, tmp_path) -> None:
    nobody = "tcp://127.0.0.1:1"
    kept = tmp_path / "kept.csv"
    kept.write_text("kept")
    assert "name a file in it" in failure(cosemic("profile", nobody, "1-0:99.1.0", "--out", str(tmp_path)), 2)
    assert "no folder" in failure(cosemic("profile", nobody, "1-0:99.1.0", "--out", str(kept / "x")), 2)
    assert "check host and port" in failure(cosemic("profile", nobody, "1-0:99.1.0", "--out", str(kept)), 1)
    assert kept.read_text() == "kept"
    assert "check host" in failure(cosemic("profile", nobody, "1-0:99.1.0", "--out", str(tmp_path / "new.csv")), 1)
    assert not (tmp_path / "new.csv").exists()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder where nobody may write, root neither")
def test_an_output_in_a_folder_where_nobody_may_write(cosemic) -> None:
    text = failure(cosemic("profile", "tcp://127.0.0.1:1", "1-0:99.1.0", "--out", "/proc/self/load.csv"), 2)
    assert "cannot be written" in text
    assert "choose another file" in text


@pytest.mark.skipif(os.name != "posix", reason="pseudo terminals are POSIX")
def test_a_serial_line_that_is_pulled_out(cosemic) -> None:
    pytest.importorskip("serialx")
    import tty

    controller, device = os.openpty()
    tty.setraw(device)

    def pull_out() -> None:
        os.read(controller, 100)
        os.close(controller)
        os.close(device)

    thread = threading.Thread(target=pull_out)
    url = f"serial://{os.ttyname(device)}"
    thread.start()
    text = failure(cosemic("read", url, ENERGY, "--timeout", "2"), 1)
    thread.join()
    assert "check that it is plugged in" in text


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
        (["read", "tcp://127.0.0.1:1", ENERGY, "--auth", "ecdsa"], "--auth ecdsa needs --signing-key"),
        (["read", "tcp://127.0.0.1:1", ENERGY, "--auth", "magic"], "Choose from"),
        (["read", "tcp://127.0.0.1:1", ENERGY, f"--passwrd={SECRET}"], "Unknown option"),
        (["read", "tcp://127.0.0.1:1", ENERGY, *LLS[:-1], "env:NOT_THERE"], "NOT_THERE, which is not set"),
        (["read", "tcp://127.0.0.1:1", ENERGY, *LLS[:-1], "file:/not/there"], "cannot be read"),
        (["read", "tcp://127.0.0.1:1", ENERGY, "--client", "70000"], "--client is a number from 0 to 65535"),
        (["read", "hdlc://127.0.0.1:1", ENERGY, "--client", "300"], "--client is a number from 1 to 127 on HDLC"),
        (["read", "tcp://127.0.0.1:1", ENERGY, "--server", "-1"], "--server is a number from 0"),
        (["read", "tcp://127.0.0.1:1", ENERGY, "--physical", "17"], "is for HDLC only (hdlc://, serial://, …)"),
        (["read", "tcp://127.0.0.1:1", ENERGY, "--suite", "7"], "--suite is a number from 0 to 2"),
        (["read", "tcp://127.0.0.1:1", ENERGY, "--timeout", "0"], "--timeout is a number of seconds above 0"),
        (["read", "tcp://127.0.0.1:1", ENERGY, "--ek", "0" * 31], "--ek has an odd number of hexadecimal digits (31)"),
        (["set", "tcp://127.0.0.1:1", "1/0-0:128.0.0/2", "long", "abc"], "write a whole number, such as 12"),
        (["set", "tcp://127.0.0.1:1", "1/0-0:128.0.0/2", "float32", "abc"], "write a number, such as 1.5"),
        (["set", "tcp://127.0.0.1:1", "1/0-0:128.0.0/2", "array", "[1"], "is written as JSON"),
        (["simulate", "--host", "203.0.113.1", "--wrapper-port", "0"], "check --host"),
        (["set", "tcp://127.0.0.1:1", ENERGY, "integer", "1"], "write CLASS/OBIS/ATTRIBUTE"),
        (["set", "tcp://127.0.0.1:1", "3/1-0:1.8.0/2", "number", "1"], "is no type; there are null-data"),
        (["set", "tcp://127.0.0.1:1", "3/1-0:1.8.0/2", "unsigned", "-1"], "holds 0 to 255"),
        (["call", "tcp://127.0.0.1:1", "3/1-0:1.8.0/1", "integer"], "a value is missing"),
        (["simulate", "--wrapper-port", "70000"], "0 (any free port) to 65535"),
        (["explain", "hello"], "give hex, a file, or -"),
        (["explain", "C0", "--ek", "00"], "encryption key has 1 octets"),
        (["frobnicate"], "Available commands"),
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
    assert "mbus-tcp://host:port" in failure(cosemic("read", "mbus-tcp://127.0.0.1", ENERGY), 1)


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
