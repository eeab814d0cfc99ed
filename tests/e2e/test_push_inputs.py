"""One message through every way in, by the command: serial lines in small pieces, recordings, pcap, redacted ones."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.listening import LIMIT, Listening, connect, cosemic, energy, listen, port_of
from tests.push.samples import AUTHENTICATION_KEY, KEY, hdlc, mbus, notification, sealed, wrapper

KEYS = ("--ek", KEY.hex(), "--ak", AUTHENTICATION_KEY.hex())
TCPDUMP = shutil.which("tcpdump") or shutil.which("tcpdump", path="/usr/sbin:/usr/local/sbin")
IDENTIFIERS = ("0.0.96.1.0.255",)
PIECE = 3
"""Octets that a UART at 2400 baud has after 12.5 ms: what a read gives while the meter sends."""


class Line:
    """The far end of a pty: writes as a slow UART does, the next octets once those before were read."""

    def __init__(self) -> None:
        self.far, self.near = os.openpty()
        for descriptor in (self.far, self.near):
            tty.setraw(descriptor)
        self.device = os.ttyname(self.near)

    def send(self, octets: bytes) -> None:
        deadline = time.monotonic() + LIMIT
        for start in range(0, len(octets), PIECE):
            while self._unread():
                assert time.monotonic() < deadline
                os.sched_yield()
            os.write(self.far, octets[start : start + PIECE])

    def _unread(self) -> int:
        return int(struct.unpack("i", fcntl.ioctl(self.near, termios.FIONREAD, b"\0\0\0\0"))[0])

    def close(self) -> None:
        os.close(self.far)
        os.close(self.near)


@contextmanager
def line() -> Iterator[Line]:
    one = Line()
    try:
        yield one
    finally:
        one.close()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no ptys")
@pytest.mark.parametrize("frame", [hdlc, lambda apdu: mbus(apdu, 40)], ids=["hdlc", "mbus in segments"])
def test_a_line_at_the_pace_of_2400_baud(frame: Callable[[bytes], bytes]) -> None:
    with line() as meter:
        url = f"serial://{meter.device}?baud=2400&parity=even"
        with listen(url, "--json", *KEYS, "--count", "3") as listening:
            assert listening.places() == [url]
            for number in (1, 2, 3):
                meter.send(frame(sealed(notification(number), number)))
                document = listening.document()
                assert (energy(document), document["verified"], document["source"]) == (10 * number, True, url)
            assert listening.end() == 0


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no ptys")
def test_a_line_that_is_pulled_out() -> None:
    with line() as meter:
        url = f"serial://{meter.device}?baud=2400&parity=even"
        with listen(url, "--json", *KEYS) as listening:
            listening.places()
            meter.send(hdlc(sealed(notification(1), 1)))
            assert energy(listening.document()) == 10
            os.close(meter.near)
            os.close(meter.far)
            meter.near, meter.far = os.open(os.devnull, os.O_RDWR), os.open(os.devnull, os.O_RDWR)
            sentence = listening.sentence(meter.device)
            assert "again" in sentence
            listening.process.send_signal(signal.SIGTERM)
            assert listening.end() == 0


# -- files ------------------------------------------------------------------------------------------------------------
def push_some(place: str, listening: Listening) -> tuple[list[dict[str, Any]], bytes]:
    """Protected pushes in three framings, one connection each, one after the other; what came, the last octets."""
    octets = b""
    documents = []
    for number, frame in enumerate((wrapper, hdlc, mbus), start=1):
        octets = frame(sealed(notification(number), number))
        with connect(place) as sender:
            sender.sendall(octets)
            documents.append(listening.document())
    return documents, octets


def read(path: Path, *keys: str) -> list[dict[str, Any]]:
    done = cosemic("listen", str(path), "--json", *(keys or KEYS))
    assert done.returncode == 0, done.stderr
    assert f"reading {path}" in done.stderr
    return [json.loads(text) for text in done.stdout.splitlines()]


def shown(document: dict[str, Any], *, identifiers: bool = True) -> list[object]:
    """The readings, with or without those that say whose they are."""
    return [reading for reading in document["readings"] if identifiers or reading["obis"] not in IDENTIFIERS]


def redacted(path: Path, name: str) -> tuple[Path, tuple[str, ...]]:
    """The file without identifiers, and the keys that open it now."""
    result = path.with_name(name)
    done = cosemic("redact", str(path), "-o", str(result), *KEYS)
    assert done.returncode == 0, done.stderr
    keys = re.search(r"--ek ([0-9A-F]{32}) --ak ([0-9A-F]{32})", done.stderr)
    assert keys is not None
    return result, ("--ek", keys[1], "--ak", keys[2])


def check_redacted(path: Path, name: str, expected: list[dict[str, Any]]) -> None:
    result, keys = redacted(path, name)
    assert b"TST0001" not in result.read_bytes()
    found = read(result, *keys)
    assert [shown(one, identifiers=False) for one in found] == [shown(one, identifiers=False) for one in expected]
    for masked, plain in zip(found, expected, strict=True):
        assert masked["verified"] is True
        assert masked["system_title"] != plain["system_title"]
        assert masked["meter_id"] != plain["meter_id"]


def test_a_recording_gives_the_same_again(tmp_path: Path) -> None:
    recording = tmp_path / "meter.rec"
    with listen("tcp://127.0.0.1:0", "--json", *KEYS, "--record", str(recording), "--count", "3") as listening:
        (place,) = listening.places()
        live, _ = push_some(place, listening)
        assert listening.end() == 0
    again = read(recording)
    assert [energy(document) for document in again] == [10, 20, 30]
    for one, other in zip(live, again, strict=True):
        assert one["source"] == other["source"]
        differing = {key for key in one if one[key] != other[key]}
        assert differing <= {"id", "received"}  # the recording has the time of the octets
    check_redacted(recording, "shown.rec", read(recording))


@pytest.mark.skipif(TCPDUMP is None, reason="tcpdump is not installed")
def test_a_capture_of_tcpdump(tmp_path: Path) -> None:
    capture = tmp_path / "meter.pcap"
    with listen("tcp://127.0.0.1:0", "--json", *KEYS, "--count", "3") as listening:
        (place,) = listening.places()
        user = ("-Z", "root") if os.geteuid() == 0 else ()
        dump = subprocess.Popen(
            [
                str(TCPDUMP),
                "-i",
                "lo",
                "-U",
                "--immediate-mode",
                *user,
                "-w",
                str(capture),
                f"tcp port {port_of(place)}",
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert dump.stderr is not None
            first = next(
                (text for text in dump.stderr if "listening on" in text or "ermi" in text or "No such" in text), ""
            )
            if "listening on" not in first:
                pytest.skip(f"tcpdump may not capture here: {first.strip()}")
            live, last = push_some(place, listening)
            assert listening.end() == 0
            deadline = time.monotonic() + LIMIT
            while last not in capture.read_bytes():
                assert time.monotonic() < deadline
                os.sched_yield()
        finally:
            dump.send_signal(signal.SIGINT)
            dump.communicate(timeout=LIMIT)
    found = read(capture)
    assert [shown(document) for document in found] == [shown(document) for document in live]
    assert [document["source"] for document in found] == [document["source"] for document in live]
    check_redacted(capture, "shown.pcap", read(capture))


@pytest.mark.parametrize("style", ["octets", "hex"])
def test_octets_and_hexadecimal_text(style: str, tmp_path: Path) -> None:
    octets = b"".join(frame(sealed(notification(n), n)) for n, frame in enumerate((hdlc, mbus), start=1))
    file = tmp_path / "capture"
    file.write_bytes(octets if style == "octets" else octets.hex(" ").encode() + b"\n")
    documents = read(file)
    assert [energy(document) for document in documents] == [10, 20]
    check_redacted(file, "shown", documents)


def test_segments_of_one_sender_over_several_datagrams() -> None:
    """An HDLC telegram in UI frames with the segmentation bit, each frame a datagram of its own."""
    content = b"\xe6\xe7\x00" + sealed(notification(7), 7)
    pieces = [content[start : start + 30] for start in range(0, len(content), 30)]
    with listen("udp://127.0.0.1:0", "--json", *KEYS, "--count", "1") as listening:
        (place,) = listening.places()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for number, piece in enumerate(pieces):
                frame = hdlc_segment(piece, is_last=number == len(pieces) - 1)
                sender.sendto(frame, ("127.0.0.1", port_of(place)))
        assert energy(listening.document()) == 70
        assert listening.end() == 0


def hdlc_segment(information: bytes, *, is_last: bool) -> bytes:
    from cosemic.link.crc import crc16_x25

    head = (0xA000 | (0 if is_last else 0x0800) | 9 + len(information)).to_bytes(2) + b"\xcf\x03\x13"
    head += crc16_x25(head)
    return b"\x7e" + head + information + crc16_x25(head + information) + b"\x7e"


def test_a_plain_meter_beside_those_with_keys(tmp_path: Path) -> None:
    """accept_plain is for the address it is given for."""
    inventory = tmp_path / "meters.toml"
    inventory.write_text(
        '[meters.sealed]\nsystem_title = "4B464D6750000009"\nek = "env:EK"\nak = "env:AK"\n'
        '[meters.plain]\nsource = "127.0.0.1"\naccept_plain = true\n'
    )
    keys = {"EK": KEY.hex(), "AK": AUTHENTICATION_KEY.hex()}
    with listen("tcp://127.0.0.1:0", "--json", "--inventory", str(inventory), env=keys) as listening:
        (place,) = listening.places()
        for source, meter, diagnosis in (("127.0.0.1", "plain", None), ("127.0.0.2", None, "not-protected")):
            with socket.create_connection(("127.0.0.1", port_of(place)), LIMIT, (source, 0)) as sender:
                sender.sendall(wrapper(notification(3)))
                document = listening.document()
                assert (document["meter"], document["diagnosis"]) == (meter, diagnosis)
        with connect(place) as sender:
            sender.sendall(wrapper(sealed(notification(4), 4)))
            document = listening.document()
            assert (document["meter"], document["verified"]) == ("sealed", True)


def test_standard_output_has_each_trouble_in_a_word_and_stderr_in_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "capture.bin"
    file.write_bytes(b"".join(hdlc(sealed(notification(number), number)) for number in range(1, 4)))
    done = cosemic("listen", str(file))
    assert done.returncode == 1
    rows = done.stdout.splitlines()
    assert [row.rpartition("  ")[2] for row in rows] == ["undecoded: key-missing"] * 3
    assert done.stderr.count("no key for system title") == 1
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d  ", row) for row in rows)
    assert len(set(itertools.chain(rows))) <= 3
