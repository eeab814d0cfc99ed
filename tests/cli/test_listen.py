"""cosemic listen in this process: files, options, the sentences that say what is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cosemic.cli import listening_told, main
from cosemic.cli.listening_told import Told
from cosemic.push.listening.listener import Received
from cosemic.push.listening.urls import parse_source
from cosemic.push.messages import Diagnosis, Undecoded
from cosemic.push.telegrams import Dropped, Framing, Telegram
from tests.cli.conftest import Outcome
from tests.push.samples import AUTHENTICATION_KEY, KEY, TITLE, hdlc, mbus, notification, sealed, wrapper

Run = Callable[..., Outcome]
KEYS = ("--ek", KEY.hex(), "--ak", AUTHENTICATION_KEY.hex())


@pytest.fixture
def cosemic(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; its outputs write to the descriptor of standard output."""

    def run(*arguments: str) -> Outcome:
        capfd.readouterr()
        code = main(arguments)
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


@pytest.fixture
def capture(tmp_path: Path) -> Callable[[bytes], str]:
    def write(octets: bytes) -> str:
        file = tmp_path / "capture.bin"
        file.write_bytes(octets)
        return str(file)

    return write


Capture = Callable[[bytes], str]


def energies(outcome: Outcome) -> list[object]:
    return [
        reading["value"]
        for document in outcome.objects
        for reading in document["readings"]
        if reading["obis"] == "1.0.1.8.0.255"
    ]


def test_json_lines_of_a_file(cosemic: Run, capture: Capture) -> None:
    outcome = cosemic("listen", capture(hdlc(notification(1)) + mbus(notification(2))), "--json")
    assert outcome.code == 0
    assert energies(outcome) == [10, 20]
    assert outcome.objects[0]["meter_id"] == "TST0001"
    assert outcome.err.splitlines()[0].startswith("cosemic: reading /")
    assert outcome.err.splitlines()[-1] == "cosemic: 2 messages with 4 readings"


def test_a_table_of_a_file(cosemic: Run, capture: Capture) -> None:
    outcome = cosemic("listen", capture(wrapper(notification())))
    assert outcome.code == 0
    assert "12340 Wh" in outcome.out
    assert "TST0001" in outcome.out


def test_it_stops_after_a_count(cosemic: Run, capture: Capture) -> None:
    octets = b"".join(wrapper(notification(number)) for number in range(50))
    outcome = cosemic("listen", capture(octets), "--json", "--count", "3")
    assert outcome.code == 0
    assert energies(outcome) == [0, 10, 20]


def test_keys_of_the_command(cosemic: Run, capture: Capture) -> None:
    octets = wrapper(sealed(notification(), 1))
    outcome = cosemic("listen", capture(octets), "--json", *KEYS)
    assert outcome.code == 0
    (document,) = outcome.objects
    assert (document["verified"], document["system_title"]) == (True, TITLE.hex())


def test_an_inventory_names_meters(cosemic: Run, capture: Capture, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.toml"
    (tmp_path / "meter.ek").write_text(KEY.hex())
    (tmp_path / "meter.ak").write_text(AUTHENTICATION_KEY.hex())
    inventory.write_text(
        f'[meters.cellar]\nsystem_title = "{TITLE.hex()}"\nek = "file:meter.ek"\nak = "file:meter.ak"\n'
        '[meters.roof]\nmeter_id = "TST0001"\n'
    )
    octets = wrapper(sealed(notification(), 1)) + wrapper(notification())
    outcome = cosemic("listen", capture(octets), "--json", "--inventory", str(inventory), "--accept-plain")
    assert [document["meter"] for document in outcome.objects] == ["cellar", "roof"]
    refused = cosemic("listen", capture(octets), "--json", "--inventory", str(inventory))
    assert [document["kind"] for document in refused.objects] == ["data-notification", "undecoded"]
    assert "--accept-plain" in refused.err


def test_several_outputs_at_once(cosemic: Run, capture: Capture, tmp_path: Path) -> None:
    recording = tmp_path / "recording.txt"
    table = tmp_path / "readings.csv"
    outcome = cosemic(
        "listen", capture(hdlc(notification())), "--json", "--csv", str(table), "--record", str(recording)
    )
    assert outcome.code == 0
    assert energies(outcome) == [12340]
    assert "12340" in table.read_text()
    again = cosemic("listen", str(recording), "--json")
    assert energies(again) == [12340]


# -- what is wrong ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("octets", "options", "told"),
    [
        (wrapper(sealed(notification(), 1)), (), "key: no key for .*; it goes to --ek"),
        (
            wrapper(sealed(notification(), 1)),
            ("--ek", KEY[::-1].hex(), "--ak", "22" * 16),
            "key: .*check --ek, and --system-title",
        ),
        (wrapper(sealed(notification(), 1)), ("--ek", KEY.hex(), "--ak", "22" * 16), "key: .*check --ak"),
        (
            wrapper(b"\x0f\x00\x00\x00\x01\x00\x02\x02\x06\x00\x00\x00\x01\x11\x05"),
            (),
            "layout: nothing in this push names its values",
        ),
        (wrapper(notification()), KEYS, "key: .*give --accept-plain"),
        (bytes(range(0x80, 0xF0)), (), "framing: 112 octets are no telegram"),
        (hdlc(notification())[:-8], (), "framing: .*cut short"),
        (b"", (), "no message came"),
    ],
)
def test_one_sentence_says_what_is_wrong(
    cosemic: Run, capture: Capture, octets: bytes, options: tuple[str, ...], told: str
) -> None:
    outcome = cosemic("listen", capture(octets), "--json", *options)
    assert outcome.code == (0 if told.startswith("layout") else 1)
    lines = outcome.err.splitlines()
    assert len(lines) == 3  # where it listens, what is wrong, the end in numbers
    assert re.search(told, lines[1])
    assert KEY.hex() not in outcome.err
    assert KEY.hex().upper() not in outcome.err


def test_a_trouble_is_told_once(cosemic: Run, capture: Capture) -> None:
    octets = b"".join(wrapper(sealed(notification(), number)) for number in range(1, 40))
    outcome = cosemic("listen", capture(octets), "--json")
    assert len(outcome.objects) == 39
    assert len(outcome.err.splitlines()) == 3
    assert "39 not decoded" in outcome.err


def test_a_recorded_message_that_comes_twice(cosemic: Run, capture: Capture) -> None:
    octets = wrapper(sealed(notification(), 5)) * 2
    outcome = cosemic("listen", capture(octets), "--json", *KEYS)
    assert [document["kind"] for document in outcome.objects] == ["data-notification", "undecoded"]
    assert "--no-replay-check" in outcome.err
    again = cosemic("listen", capture(octets), "--json", *KEYS, "--no-replay-check")
    assert [document["kind"] for document in again.objects] == ["data-notification"] * 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "listen to what"),
        (("http://x",), "unknown scheme http://"),
        (("--jsno", "x.bin"), "Unknown option: --jsno"),
        (("/dev/ttyUSB0",), "write 'serial:///dev/ttyUSB0?baud=2400&parity=even'"),
        (("tcp://127.0.0.1:0", "--count", "0"), "--count is a number above 0"),
        (("tcp://127.0.0.1:0", "--seconds", "-1"), "--seconds is a number above 0"),
        (("tcp://127.0.0.1:0", "--max-connections", "0"), "connections must be above zero"),
        (("tcp://127.0.0.1:0", "--ek", "0011"), "2 octets"),
        (("tcp://127.0.0.1:0", "--without-verifying"), "--without-verifying is of use with a key"),
        (("tcp://127.0.0.1:0", "--zone", "Atlantis"), "zone 'Atlantis' is unknown"),
        (("tcp://127.0.0.1:0", "--layout", "atlantis"), "--layout: there is no layout 'atlantis'"),
        (("tcp://127.0.0.1:0", "--inventory", "nowhere.toml"), "there is no inventory nowhere.toml"),
        (("tcp://127.0.0.1:0", "--json", "--format", "table"), "two things on standard output"),
        (("tcp://127.0.0.1:0", "--json", "--csv", "-"), "give --csv a file"),
        (("tcp://127.0.0.1:0", "--prometheus", "x:y"), "metrics are served on PORT"),
        (("tcp://127.0.0.1:0", "--mqtt", "ftp://h"), "mqtt://"),
        (("tls://127.0.0.1:0",), "a server needs its certificate"),
    ],
)
def test_mistakes_of_the_command_line(cosemic: Run, arguments: tuple[str, ...], told: str) -> None:
    outcome = cosemic("listen", *arguments)
    assert outcome.code == 2
    assert told in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("tcp://192.0.2.1:4059", "connect+tcp://192.0.2.1:4059"),
        ("serial:///dev/nowhere", "check the device in the URL"),
        ("nowhere.bin", "nowhere.bin cannot be read: No such file or directory; check the path"),
    ],
)
def test_what_cannot_be_opened(cosemic: Run, url: str, told: str) -> None:
    outcome = cosemic("listen", url)
    assert outcome.code == 1
    assert told in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_recording_cannot_be_something_else(cosemic: Run, capture: Capture, tmp_path: Path) -> None:
    other = tmp_path / "letter.txt"
    other.write_text("Dear Sir\n")
    outcome = cosemic("listen", capture(b""), "--record", str(other))
    assert outcome.code == 2
    assert "--record" in outcome.err
    assert other.read_text() == "Dear Sir\n"


def test_nothing_within_the_time(cosemic: Run) -> None:
    outcome = cosemic("listen", "udp://127.0.0.1:0", "--json", "--seconds", "0.05")
    assert outcome.code == 1
    assert "no message came within 0.05 s" in outcome.err


# -- silent and noisy lines -------------------------------------------------------------------------------------------
class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_silent_line_is_told_once(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    told = Told(clock=clock)
    told.watch([parse_source("serial:///dev/ttyUSB0"), parse_source("tcp://0.0.0.0:1")])
    for second in range(120):
        clock.now = float(second)
        told.look()
    (line,) = capsys.readouterr().err.splitlines()
    assert "serial:///dev/ttyUSB0: wiring: nothing came for 30 s: check the cable" in line
    assert "'cosemic sniff /dev/ttyUSB0'" in line


def test_noise_on_a_line_is_told_as_a_wrong_speed(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    told = Told(clock=clock)
    told.watch([parse_source("mbus:///dev/ttyUSB0")])
    told.octets("mbus:///dev/ttyUSB0", 500)
    told.heard(Received(datetime.now(UTC), "mbus:///dev/ttyUSB0", Dropped("noise", b"x" * 500)))
    clock.now = 31.0
    told.look()
    (line,) = capsys.readouterr().err.splitlines()
    assert "framing: 500 octets came, but no telegram: speed, parity or polarity" in line


def test_a_line_with_telegrams_is_not_told(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    told = Told(clock=clock)
    told.watch([parse_source("serial:///dev/ttyUSB0")])
    telegram = Telegram(Framing.HDLC, b"")
    item = Undecoded(Diagnosis.KEY_MISSING, "there is no key", telegram)
    told.heard(Received(datetime.now(UTC), "serial:///dev/ttyUSB0", item))
    clock.now = 31.0
    told.look()
    (line,) = capsys.readouterr().err.splitlines()
    assert "key: there is no key" in line


def test_troubles_are_told_again_after_a_while(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    told = Told(clock=clock)
    item = Undecoded(Diagnosis.DAMAGED, "the check sum does not hold", Telegram(Framing.HDLC, b""))
    for second in range(0, 700, 100):
        clock.now = float(second)
        told.heard(Received(datetime.now(UTC), "tcp://192.0.2.1:7", item))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[1].endswith("(5 more before)")


def test_nobody_fills_the_log(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    told = Told(clock=clock)
    for minute in range(3):
        clock.now = 60.0 * minute
        for number in range(500):
            title = (500 * minute + number).to_bytes(8, "big")
            item = Undecoded(Diagnosis.KEY_MISSING, "no key", Telegram(Framing.WRAPPER, b""), title)
            told.heard(Received(datetime.now(UTC), f"tcp://192.0.2.1:{number + 1}", item))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 * 30 + 2
    assert sum("470 further troubles were not told" in line for line in lines) == 2


def test_a_port_is_no_other_sender(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    told = Told(clock=clock)
    for number in range(1, 20):
        told.heard(Received(datetime.now(UTC), f"tcp://[2001:db8::1]:{number}", Dropped("noise", b"x")))
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_cannot_be_decoded_is_handed_on_within_bounds(cosemic: Run, capture: Capture) -> None:
    octets = b"".join(wrapper(sealed(notification(), number)) for number in range(1, 1200)) + wrapper(notification())
    outcome = cosemic("listen", capture(octets), "--json", "--format", "json")
    assert 1_000 <= len(outcome.objects) <= 1_200  # a minute may end in between
    assert outcome.objects[-1]["kind"] == "data-notification"
    assert "were not handed on" in outcome.err or len(outcome.objects) == 1_200


def test_what_is_remembered_is_bounded(capsys: pytest.CaptureFixture[str], clock: Clock) -> None:
    told = Told(clock=clock)
    for number in range(listening_told._MOST_TOLD * 2):
        told.heard(Received(datetime.now(UTC), f"file {number}", Dropped("noise", b"")))
    assert len(told._said) == listening_told._MOST_TOLD
    capsys.readouterr()


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_an_inventory_with_open_keys(cosemic: Run, tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.toml"
    inventory.write_text(f'[meters.a]\nek = "{KEY.hex()}"\n')
    inventory.chmod(0o644)
    outcome = cosemic("listen", "tcp://127.0.0.1:0", "--inventory", str(inventory))
    assert outcome.code == 2
    assert "chmod 600" in outcome.err
    assert KEY.hex() not in outcome.err
