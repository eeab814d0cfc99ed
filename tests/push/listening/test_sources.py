"""URLs of sources, statistics, the wheel."""

from __future__ import annotations

import asyncio
import json

import pytest

from cosemic.push.listening.files import HexText
from cosemic.push.listening.statistics import Statistics
from cosemic.push.listening.urls import parse_source
from cosemic.push.listening.wheel import Wheel
from cosemic.push.messages import Diagnosis
from cosemic.push.telegrams import Framing


def test_servers() -> None:
    url = parse_source("tcp://0.0.0.0:4059?framing=hdlc&idle=2.5")
    assert (url.kind, url.host, url.port, url.framing, url.idle_after) == ("tcp", "0.0.0.0", 4059, Framing.HDLC, 2.5)
    assert url.is_server
    assert parse_source("udp://:0").host == "0.0.0.0"
    assert parse_source("tcp://[::1]").host == "::1"
    assert parse_source("tcp://192.0.2.1").port == 4059
    assert parse_source("tcp://h:1?framing=auto").framing is None
    secure = parse_source("tls://0.0.0.0:1?certificate=a.pem&key=b.pem&client_ca=c.pem")
    assert (secure.certificate, secure.key, secure.client_ca) == ("a.pem", "b.pem", "c.pem")


def test_lines() -> None:
    url = parse_source("serial:///dev/ttyUSB0?baud=2400&parity=even&framing=p1&idle=1")
    assert url.target is not None
    assert (url.target.baud, url.target.parity, url.framing, url.idle_after) == (2400, "E", Framing.P1, 1.0)
    bus = parse_source("mbus:///dev/ttyUSB0")
    assert bus.target is not None
    assert (bus.target.baud, bus.target.parity, bus.idle_after) == (2400, "E", 2.0)
    out = parse_source("connect+tcp://192.0.2.9:2001")
    assert out.target is not None
    assert (out.kind, out.target.host, out.target.port, out.target.scheme) == ("connect+tcp", "192.0.2.9", 2001, "tcp")
    secure = parse_source("connect+tls://h:1?ca=/a/b.pem&idle=3")
    assert secure.target is not None
    assert secure.target.tls is not None
    assert (secure.target.tls.ca_file, secure.idle_after) == ("/a/b.pem", 3.0)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a/b.bin", "a/b.bin"),
        ("file:b.bin", "b.bin"),
        ("file:/a/b.bin", "/a/b.bin"),
        ("file:///a/b%20c.bin", "/a/b c.bin"),
        ("-", "-"),
    ],
)
def test_files(text: str, path: str) -> None:
    assert parse_source(text).path == path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://x", "unknown scheme http://.*there are tcp://"),
        ("hdlc://0.0.0.0:1", "write tcp://"),
        ("mbus-tcp://h:1", "write connect\\+tcp://"),
        ("tcp://2001:db8::1:4059", "an IPv6 address stands in brackets"),
        ("tcp://h:99999", "bad host or port"),
        ("tcp://h:1/path", "no address to listen on"),
        ("tcp://h:1?baud=9600", "unknown setting 'baud'.*framing, idle"),
        ("tcp://h:1?idle=0", "idle='0'.*no number of seconds above zero"),
        ("tcp://h:1?idle=1&idle=2", "'idle' stands twice"),
        ("udp://h:1?framing=morse", "framing='morse'.*hdlc, wrapper, mbus, apdu, p1 and auto"),
        ("tls://h:1", "needs its certificate"),
        ("serial:///dev/ttyUSB0?speed=5", "unknown setting 'speed'"),
        ("serial://", "no device"),
        ("connect+tcp://", "no host"),
        ("/dev/ttyAMA0", "write 'serial:///dev/ttyAMA0"),
        ("COM3", "write 'serial://COM3"),
        ("", "no file"),
        ("file:", "no file"),
    ],
)
def test_what_is_no_source(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_source(text)


# -- hexadecimal text through a pipe ----------------------------------------------------------------------------------
def fed(text: HexText, *pieces: bytes) -> bytes:
    return b"".join([*(text.feed(piece) for piece in pieces), text.end()])


@pytest.mark.parametrize(
    ("octets", "found"),
    [
        (b"7EA0", b"\x7e\xa0"),
        (b"7E A0\n01:02,0x03\n# a comment 99\n04\n", b"\x7e\xa0\x01\x02\x03\x04"),
        (b"/KFM5\r\n1-0:1.8.0(1*kWh)\r\n!\r\n", b"/KFM5\r\n1-0:1.8.0(1*kWh)\r\n!\r\n"),
        (b"\x7e\xa0\x07", b"\x7e\xa0\x07"),
        (b"", b""),
    ],
)
def test_text_and_octets(octets: bytes, found: bytes) -> None:
    assert fed(HexText(), octets) == found
    assert fed(HexText(), *(octets[n : n + 1] for n in range(len(octets)))) == found


def test_octets_pass_at_once() -> None:
    text = HexText()
    assert text.feed(b"\x7e") == b"\x7e"
    assert text.feed(b"41 42\n") == b"41 42\n"


def test_text_without_line_ends_is_bounded() -> None:
    text = HexText()
    given = sum(len(text.feed(b"7E" * 500)) for _ in range(100))
    assert 0 < given <= 50_000
    assert len(text._held) < 10_000


# -- what stands behind it --------------------------------------------------------------------------------------------
def test_statistics_are_plain_numbers() -> None:
    statistics = Statistics()
    statistics.pushes["tcp"] += 2
    statistics.undecoded[Diagnosis.KEY_MISSING] += 1
    for number in range(500):
        statistics.count_dropped(f"reason {number}", 10)
    document = json.loads(json.dumps(statistics.as_dict()))
    assert document["pushes"] == {"tcp": 2}
    assert document["undecoded"] == {"no key for this meter": 1}
    assert len(document["dropped"]) == 101
    assert document["dropped"]["other"] == 400
    assert document["dropped_octets"] == 5000


class Item:
    slot: int | None = None

    def __init__(self, *answers: float | None) -> None:
        self.answers = list(answers)
        self.asked: list[float] = []
        self.done = asyncio.Event()

    def on_time(self, now: float) -> float | None:
        self.asked.append(now)
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            self.done.set()
            return None
        return now + answer


async def test_the_wheel_comes_to_each_not_before_its_time() -> None:
    wheel = Wheel()
    start = wheel.time()
    first, second, never = Item(0.1, None), Item(None), Item(None)
    wheel.watch(first, start + 0.2)
    wheel.watch(second, start + 0.1)
    wheel.watch(never, start + 0.1)
    wheel.watch(second, start + 5)  # it comes up before that, and is asked again then
    wheel.watch(first, start + 0.05)  # earlier than before
    wheel.forget(never)
    async with asyncio.timeout(20):
        await first.done.wait()
        await second.done.wait()
    assert first.asked[0] >= start + 0.05
    assert first.asked[1] >= first.asked[0] + 0.1
    assert second.asked[0] >= start + 0.1
    assert never.asked == []
    wheel.watch(never, start)
    wheel.close()
    assert never.slot is None
