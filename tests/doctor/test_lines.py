"""What is no meter, or a meter behind a bad line: silent, echo, garbage, DM, foreign protocols; over TCP and a pty."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import tty
from collections.abc import Callable, Iterator
from typing import Self

import pytest

from cosemic.doctor import Code, Known, Limits
from cosemic.link.addresses import HdlcAddress
from cosemic.link.frames import FrameReader, HdlcFrame
from cosemic.link.wrapper import WrapperPdu
from tests.doctor.peers import HASTY, answering, cause, codes, framed, make_meter, run, scripted, sealed_push

FRAME = framed(sealed_push(), "hdlc")
SCHEMES = pytest.mark.parametrize("scheme", ["tcp", "hdlc"])


def repeating(octets: bytes) -> Callable[[bytes], bytes]:
    return lambda data: octets


@SCHEMES
async def test_silence(scheme: str) -> None:
    async with scripted(answering(lambda data: b""), scheme) as url:
        findings = await run(url, Known(), HASTY)
    assert cause(findings).code is Code.NO_OCTET
    assert codes(findings)[:2] == [Code.STARTED, Code.OPENED]


@SCHEMES
async def test_a_port_that_closes_at_once(scheme: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        return

    async with scripted(script, scheme) as url:
        findings = await run(url, Known(), HASTY)
    assert cause(findings).code is Code.CLOSED_AT_ONCE


@SCHEMES
async def test_an_echo(scheme: str) -> None:
    async with scripted(answering(lambda data: data), scheme) as url:
        findings = await run(url, Known(), HASTY)
    assert cause(findings).code is Code.ECHO


async def test_a_port_that_nobody_listens_on() -> None:
    async with scripted(answering(lambda data: b"")) as url:
        pass
    findings = await run(url, Known(), HASTY)
    assert codes(findings) == [Code.STARTED, Code.CANNOT_OPEN]


def smooth(count: int = 60) -> bytes:
    """What a receiver at four times the speed makes of a frame: each bit four times over."""
    bits = "".join(f"{octet:08b}"[::-1] for octet in FRAME[:count])
    slow = "".join(bit * 4 for bit in bits)
    return bytes(int(slow[at : at + 8][::-1], 2) for at in range(0, len(slow), 8))


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (smooth(), Code.WRONG_SPEED),
        (bytes([0xF8, 0x00, 0xFE, 0x80, 0xE0, 0xFF, 0x00, 0x00]), Code.WRONG_SPEED),
        (bytes.fromhex("A55A33CC1B2D93C7A1"), Code.NO_FRAME),
        (bytes(octet & 0x7F for octet in FRAME), Code.WRONG_PARITY),
        (bytes(o | (o.bit_count() & 1) << 7 for o in b"/ABC5 METER\r\n1.8.0(000123*kWh)\r\n"), Code.WRONG_PARITY),
        (FRAME[:20] + FRAME[21:], Code.DAMAGED_FRAMES),
        (FRAME[:-4] + bytes(3) + b"\x7e", Code.DAMAGED_FRAMES),
        (b"/ABC5METER\r\n", Code.SIGN_ON),
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", Code.OTHER_PROTOCOL),
        (b"SSH-2.0-OpenSSH_9.9\r\n", Code.OTHER_PROTOCOL),
        (bytes.fromhex("15030300020246"), Code.OTHER_PROTOCOL),
        (bytes.fromhex("68030368530001 5416"), Code.OTHER_PROTOCOL),
    ],
)
async def test_octets_but_no_frame(octets: bytes, code: Code) -> None:
    async with scripted(answering(repeating(octets)), "hdlc") as url:
        findings = await run(url, Known(), HASTY)
    assert cause(findings).code is code, cause(findings)


async def test_frames_of_somebody_else() -> None:
    other = HdlcFrame(HdlcAddress(99), HdlcAddress(1, 500), 0x73).encode()
    async with scripted(answering(repeating(other)), "hdlc") as url:
        findings = await run(url, Known(), HASTY)
    assert cause(findings).code is Code.NO_FRAME
    assert cause(findings).facts["sources"] == "1/500 in 4 octets"


def disconnected(refused: frozenset[int]) -> Callable[[bytes], bytes]:
    """A station that answers DM to these clients, UA to the others, and nothing else."""

    def answer(data: bytes) -> bytes:
        out = b""
        for frame in FrameReader().feed(data):
            if isinstance(frame, HdlcFrame) and frame.control in (0x93, 0x53):
                refuses = frame.source.logical in refused
                out += HdlcFrame(frame.source, frame.destination, 0x1F if refuses else 0x73).encode()
        return out

    return answer


async def test_dm_to_every_client() -> None:
    async with scripted(answering(disconnected(frozenset(range(128)))), "hdlc") as url:
        findings = await run(url, Known(physical=17), HASTY)
    assert Code.DISCONNECTED_MODE in codes(findings)
    assert cause(findings).code is Code.DISCONNECTED_MODE
    assert "1/17" in cause(findings).text


async def test_dm_to_the_public_client_only() -> None:
    async with scripted(answering(disconnected(frozenset({16}))), "hdlc") as url:
        findings = await run(url, Known(client=99, password=b"secretpassword"), HASTY)
    assert Code.DISCONNECTED_MODE in codes(findings)
    assert Code.HDLC in codes(findings)
    assert Code.NO_PUBLIC_CLIENT in codes(findings)


async def test_dm_to_the_client_that_logs_in() -> None:
    """The public client is let in, ours gets DM: the client is wrong, whatever the password."""
    from cosemic.meter.server import MeterServer
    from cosemic.transports.targets import Framing

    server = MeterServer(make_meter())

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = server.new_connection(Framing.HDLC)
        while data := await reader.read(4096):
            source = next((f.source.logical for f in FrameReader().feed(data) if isinstance(f, HdlcFrame)), 0)
            if source == 99:
                writer.write(disconnected(frozenset({99}))(data))
            else:
                writer.write(connection.receive_data(data, asyncio.get_running_loop().time()))
        connection.close()

    async with scripted(script, "hdlc") as url:
        findings = await run(url, Known(client=99, password=b"secretpassword"), Limits(patience=1, listening=0))
    assert cause(findings).code is Code.WRONG_CLIENT
    assert "DM" in cause(findings).text


async def test_a_meter_that_is_silent_about_one_client_only() -> None:
    """The wrapper has no DM: Gurux' meters, for one, say nothing to a client that they do not know."""
    from cosemic.meter.server import MeterServer
    from cosemic.transports.targets import Framing

    server = MeterServer(make_meter())

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = server.new_connection(Framing.WRAPPER)
        while data := await reader.read(4096):
            if WrapperPdu.decode(data).source != 99:
                writer.write(connection.receive_data(data, asyncio.get_running_loop().time()))
        connection.close()

    async with scripted(script, "tcp") as url:
        findings = await run(url, Known(client=99, password=b"secretpassword"), Limits(patience=0.5, listening=0))
    assert cause(findings).code is Code.WRONG_CLIENT
    assert "keeps silent" in cause(findings).text


async def test_octets_without_an_end_are_bounded() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"\x9d\x01\x5b" * 20000)
            await writer.drain()

    async with scripted(script, "hdlc") as url:
        findings = await run(url, Known(), Limits(budget=3, patience=0.1, listening=0.02))
    assert cause(findings).code in (Code.NO_FRAME, Code.BUDGET)


# -- serial ------------------------------------------------------------------------------------------------------------
@pytest.fixture
def line() -> Iterator[tuple[int, str]]:
    pytest.importorskip("serialx", reason="the extra 'serial' is not installed")
    ours, theirs = os.openpty()
    tty.setraw(ours)
    tty.setraw(theirs)
    yield ours, os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


class Station(threading.Thread):
    """The far end of a pty: answers by a function of what came."""

    def __init__(self, ours: int, answer: Callable[[bytes], bytes]) -> None:
        super().__init__(daemon=True)
        self.ours = ours
        self.answer = answer
        self.stopping, self.stop = os.pipe()

    def run(self) -> None:
        import select

        while True:
            ready, _, _ = select.select([self.ours, self.stopping], [], [])
            if self.stopping in ready:
                return
            if out := self.answer(os.read(self.ours, 4096)):
                os.write(self.ours, out)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self.stop, b"x")
        self.join()
        os.close(self.stop)
        os.close(self.stopping)


def serial_meter() -> Callable[[bytes], bytes]:
    import time

    from cosemic.meter.server import MeterServer
    from cosemic.transports.targets import Framing

    connection = MeterServer(make_meter(), physical_address=17).new_connection(Framing.HDLC)
    return lambda data: connection.receive_data(data, time.monotonic())


async def test_a_meter_on_a_serial_line(line: tuple[int, str]) -> None:
    ours, name = line
    with Station(ours, serial_meter()):
        known = Known(client=32, password=b"00000000")
        findings = await run(f"serial://{name}?baud=19200", known, Limits(patience=2, listening=0.05))
    assert next(finding for finding in findings if finding.code is Code.SPEED).facts["baud"] == 19200
    assert findings[-1].code is Code.LOGGED_IN


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda data: b"", Code.NO_OCTET),
        (lambda data: data, Code.ECHO),
        (lambda data: smooth(), Code.WRONG_SPEED),
        (lambda data: bytes(octet & 0x7F for octet in FRAME), Code.WRONG_PARITY),
    ],
)
async def test_a_bad_serial_line(line: tuple[int, str], answer: Callable[[bytes], bytes], code: Code) -> None:
    ours, name = line
    with Station(ours, answer):
        limits = Limits(budget=60, patience=0.02, listening=0.02, speeds=(38400,))
        findings = await run(f"serial://{name}?baud=115200", Known(physical=17), limits)
    assert cause(findings).code is code


def optical_meter(echo: bool) -> Callable[[bytes], bytes]:
    """A meter of mode E behind an optical head: it hears HDLC only after the sign-on."""
    import time

    from cosemic.link.signon import SignedOn, SignOnServer
    from cosemic.link.signon_messages import Identification
    from cosemic.meter.server import MeterServer
    from cosemic.transports.targets import Framing

    identification = Identification("COS", "5", "2", "METER 1234")
    server = MeterServer(make_meter(), physical_address=17)
    state: dict[str, object] = {}

    def restart() -> None:
        state["sign-on"] = SignOnServer(identification)
        state["hdlc"] = None

    def answer(data: bytes) -> bytes:
        out = data if echo else b""
        if b"/?" in data:
            restart()  # the speed tells a real one
        signing, hdlc = state["sign-on"], state["hdlc"]
        if hdlc is not None:
            return out + hdlc.receive_data(data, time.monotonic())  # type: ignore[attr-defined]
        assert isinstance(signing, SignOnServer)
        now = 0.0
        signing.receive_data(data, now)
        while (due := signing.next_deadline()) is not None and due < now + 2.4:
            now = due
            signing.on_time(now)
            out += signing.data_to_send()
        if any(isinstance(event, SignedOn) for event in signing.events()):
            state["hdlc"] = server.new_connection(Framing.HDLC)
        return out

    restart()
    return answer


@pytest.mark.parametrize("echo", [False, True])
async def test_a_meter_that_wants_a_sign_on(line: tuple[int, str], echo: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    import serialx.platforms.serial_posix as posix

    original = posix.tcsetattr

    def without_parity(*arguments: object) -> None:
        # A pty has no parity, and the C library complains when nothing but the parity was to change.
        with contextlib.suppress(OSError):
            original(*arguments)

    monkeypatch.setattr(posix, "tcsetattr", without_parity)
    ours, name = line
    with Station(ours, optical_meter(echo)):
        limits = Limits(budget=110, patience=0.5, listening=0.02, speeds=())
        findings = await run(f"serial://{name}?baud=9600", Known(physical=17), limits)
    found = next(finding for finding in findings if finding.code is Code.SIGN_ON)
    assert found.facts == {"maker": "COS", "identification": "METER 1234", "baud": 9600}
    assert f"use optical://{name}" in found.remedy
    assert Code.HDLC in codes(findings), codes(findings)
    assert Code.PUBLIC_CLIENT in codes(findings), [str(finding.to_dict()) for finding in findings]


async def test_a_device_that_is_not_there() -> None:
    pytest.importorskip("serialx", reason="the extra 'serial' is not installed")
    findings = await run("serial:///dev/no-such-port", Known(), HASTY)
    assert codes(findings) == [Code.STARTED, Code.CANNOT_OPEN]
