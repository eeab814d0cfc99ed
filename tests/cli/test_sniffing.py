"""cosemic sniff: a pseudo terminal, a serial server, and the command that is advised."""

from __future__ import annotations

import os
import select
import shlex
import socket
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cosemic.cli.sniffing import command_of
from cosemic.link.signon_messages import LineSettings
from cosemic.push.listening.urls import parse_source
from cosemic.push.sniffing.judging import judge
from cosemic.transports.targets import parse_url
from tests.push.sniffing.test_sniffing import P1, P1_SEVEN_BITS, PROTECTED, hdlc, mbus
from tests.push.uart import Setting, receive, send


@contextmanager
def meter_on_a_pty(octets: bytes) -> Iterator[str]:
    """A pseudo terminal on which these octets come again and again, as fast as they are taken."""
    near, device = os.openpty()
    stopping, stop = os.pipe()
    tty.setraw(device)
    os.set_blocking(near, False)

    def push() -> None:
        left = octets
        while True:
            readable, writable, _ = select.select([stopping], [near], [], 30)
            if stopping in readable or not writable:
                return
            left = left[os.write(near, left) :] or octets

    thread = threading.Thread(target=push, daemon=True)
    thread.start()
    try:
        yield os.ttyname(device)
    finally:
        os.write(stop, b"x")
        thread.join(10)
        for descriptor in (near, device, stopping, stop):
            os.close(descriptor)


@contextmanager
def serial_server(octets: bytes) -> Iterator[int]:
    """A TCP server that sends these octets to whoever connects, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(octets)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize(("octets", "found"), [(P1, "P1 text"), (hdlc(PROTECTED), "HDLC frames")], ids=["p1", "hdlc"])
def test_serial_port(cosemic, octets: bytes, found: str) -> None:
    with meter_on_a_pty(octets) as device:
        done = cosemic("sniff", device, "--seconds", "20", "--total", "60")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    # Speed and parity mean nothing to a pseudo terminal; some kernels refuse the parity, others take it.
    if "not possible" in lines[0]:
        settings, query = "115200 baud 8N1", "?baud=115200"
    else:
        settings, query = "2400 baud 8E1", "?baud=2400&parity=even"
    assert lines[-2].startswith(f"{found} at {settings}: ")
    assert shlex.split(lines[-1].removeprefix("Listen with: ")) == ["cosemic", "listen", f"serial://{device}{query}"]


def test_setting_of_the_url(cosemic) -> None:
    with meter_on_a_pty(P1) as device:
        *_, result = cosemic("sniff", f"serial://{device}?baud=9600", "--json").objects
    assert (result["result"], result["sure"], result["baud"], result["parity"]) == ("p1", True, 9600, "none")


def test_serial_server(cosemic) -> None:
    with serial_server(hdlc(PROTECTED) * 2) as port:
        heard, result = cosemic("sniff", f"127.0.0.1:{port}", "--json").objects
    assert (heard["heard"], heard["hdlc_frames"], heard["encrypted"], heard["score"]) == ("hdlc", 2, True, 100)
    assert (heard["baud"], heard["parity"]) == (None, None)
    assert result["command"] == f"cosemic listen connect+tcp://127.0.0.1:{port}"


def test_inverted(cosemic) -> None:
    octets = receive(send([P1] * 2, Setting(115200), inverted=True), Setting(115200))
    with serial_server(octets) as port:
        done = cosemic("sniff", f"tcp://127.0.0.1:{port}")
    assert done.code == 1
    assert "an inverted line: the line is inverted" in done.out
    assert "Listen with" not in done.out


def test_silence(cosemic) -> None:
    with serial_server(b"") as port:
        done = cosemic("sniff", f"tcp://127.0.0.1:{port}")
    assert done.code == 1
    assert "nothing was heard" in done.err
    with serial_server(b"") as port:
        *_, result = cosemic("sniff", f"tcp://127.0.0.1:{port}", "--json").objects
    assert (result["result"], result["sure"], result["command"]) == ("silence", False, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("/dev/no-such-port",), "No such file"),
        (("tls://192.0.2.1",), "sniff listens on serial ports"),
        (("/dev/ttyS0", "--seconds", "0"), "--seconds and --total lie between"),
        (("serial:///dev/ttyS0?baud=1",), "out of range"),
        (("bogus://x",), "unknown scheme"),
        (("tcp://127.0.0.1:1",), "check host and port"),
    ],
)
def test_refusals(cosemic, arguments: tuple[str, ...], words: str) -> None:
    done = cosemic("sniff", *arguments)
    assert done.code in (1, 2)
    assert words in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("port", "octets", "settings", "url"),
    [
        ("serial:///dev/ttyUSB0", mbus(PROTECTED), (2400, 8, "E"), "mbus:///dev/ttyUSB0"),
        ("serial:///dev/ttyUSB0", mbus(PROTECTED), (9600, 8, "N"), "mbus:///dev/ttyUSB0?baud=9600&parity=none"),
        ("serial:///dev/ttyUSB0", hdlc(PROTECTED), (2400, 8, "E"), "serial:///dev/ttyUSB0?baud=2400&parity=even"),
        ("serial://COM3", P1, (115200, 8, "N"), "serial://COM3?baud=115200"),
        ("rfc2217://192.0.2.9:2217", mbus(PROTECTED), (2400, 8, "E"), "rfc2217://192.0.2.9:2217?baud=2400&parity=even"),
        ("tcp://[2001:db8::1]:2001", P1, None, "connect+tcp://[2001:db8::1]:2001"),
        (
            "serial:///dev/ttyUSB0",
            bytes(octet | (octet.bit_count() & 1) << 7 for octet in P1_SEVEN_BITS),
            (9600, 8, "N"),
            "serial:///dev/ttyUSB0?baud=9600&parity=even&data_bits=7",
        ),
    ],
)
def test_command_is_one_that_listen_takes(
    port: str, octets: bytes, settings: tuple[int, int, str] | None, url: str
) -> None:
    verdict = judge(octets, 10.0, None if settings is None else LineSettings(*settings))
    words = shlex.split(command_of(parse_url(port), verdict))
    assert words == ["cosemic", "listen", url]
    source = parse_source(url)
    advised = verdict.advised or verdict.settings
    if advised is not None:
        assert source.target is not None
        assert (source.target.baud, source.target.data_bits, source.target.parity) == (
            advised.baud, advised.data_bits, advised.parity,
        )  # fmt: skip
