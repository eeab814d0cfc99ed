"""cosemic listen as a process: senders over TCP, UDP, TLS and a serial line, good and hostile; signals; outputs."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tty
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.listening import LIMIT, connect, energy, listen, port_of
from tests.push.samples import AUTHENTICATION_KEY, KEY, TITLE, hdlc, mbus, notification, sealed, wrapper
from tests.transports.authority import Authority
from tests.vectors.collection import REASON, load

KEYS = ("--ek", KEY.hex(), "--ak", AUTHENTICATION_KEY.hex())


def test_meters_over_tcp_and_udp() -> None:
    with listen("tcp://127.0.0.1:0", "udp://127.0.0.1:0", "--json", *KEYS, "--accept-plain") as listening:
        tcp, udp = listening.places()
        assert tcp.startswith("tcp://127.0.0.1:")
        for number, frame in enumerate((wrapper, hdlc, mbus), 1):
            with connect(tcp) as sender:
                sender.sendall(frame(notification(number)))
                document = listening.document()
                assert energy(document) == 10 * number
                assert document["source"] == f"tcp://127.0.0.1:{sender.getsockname()[1]}"
                assert document["verified"] is None
        with connect(tcp) as sender:
            sender.sendall(wrapper(sealed(notification(4), 1)))
            document = listening.document()
            assert (energy(document), document["verified"], document["system_title"]) == (40, True, TITLE.hex())
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(wrapper(notification(5)), ("127.0.0.1", port_of(udp)))
            assert energy(listening.document()) == 50
        listening.process.send_signal(signal.SIGTERM)
        assert listening.end() == 0
        assert listening.sentence("5 messages with 10 readings")
        assert listening.lines.get(timeout=LIMIT) is None


def test_ctrl_c_ends_it_in_order() -> None:
    with listen("tcp://127.0.0.1:0", "--json") as listening:
        (place,) = listening.places()
        with connect(place) as sender:
            sender.sendall(wrapper(notification()))
            listening.document()
            listening.process.send_signal(signal.SIGINT)
            assert listening.end() == 0
            assert sender.recv(1) == b""


def test_a_confirmed_push_is_confirmed() -> None:
    with listen("tcp://127.0.0.1:0", "--json", "--count", "1") as listening:
        (place,) = listening.places()
        with connect(place) as sender:
            sender.sendall(wrapper(notification(confirmed=True, invoke_id=0x99)))
            assert sender.recv(64) == bytes.fromhex("0001006600010006 10 40000099 00")
        assert listening.end() == 0


def test_a_confirmation_follows_the_disk(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    with listen("tcp://127.0.0.1:0", "--json", "--count", "1", "--spool", str(spool)) as listening:
        (place,) = listening.places()
        with connect(place) as sender:
            sender.sendall(wrapper(notification(confirmed=True, invoke_id=0x99)))
            assert sender.recv(64) == bytes.fromhex("0001006600010006 10 40000099 00")
            assert any(file.stat().st_size for file in spool.iterdir())
        assert energy(listening.document()) == 12340
        assert listening.end() == 0


def test_hostile_senders_beside_a_good_one() -> None:
    limits = ("--max-connections", "60", "--max-per-address", "50")
    with listen("tcp://127.0.0.1:0", "udp://127.0.0.1:0", "--json", *limits) as listening:
        tcp, udp = listening.places()
        good = connect(tcp)
        hostile = [connect(tcp) for _ in range(30)]
        whole = hdlc(notification())
        for number, sender in enumerate(hostile):
            with_garbage = (
                whole[:-4],
                b"\x7e" * 4000,
                os.urandom(8000),
                b"\x00\x01\x00\x01\x00\x66\xff\xff" + bytes(60),
            )
            sender.sendall(with_garbage[number % 4])
        flood = [connect(tcp) for _ in range(200)]  # most are turned away
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(500):
                sender.sendto(os.urandom(100), ("127.0.0.1", port_of(udp)))
            for number in range(20):
                good.sendall(wrapper(notification(number)))
                while "kind" not in (document := listening.document()) or document["kind"] == "undecoded":
                    pass  # random octets may look like a message that is protected
                assert energy(document) == 10 * number
                hostile[number].sendall(b"\x68\xff\xff\x68\x53")
        assert listening.sentence("connections already")
        for sender in (good, *hostile, *flood):
            sender.close()
        listening.process.send_signal(signal.SIGTERM)
        assert listening.end() == 0
        assert listening.sentence("connections turned away")


@pytest.mark.parametrize("frame", [hdlc, mbus], ids=["hdlc", "mbus"])
def test_a_serial_line_in_small_pieces(frame: Any) -> None:
    near, port = os.openpty()
    for descriptor in (near, port):
        tty.setraw(descriptor)
    try:
        url = f"serial://{os.ttyname(port)}?baud=2400&parity=none"  # a pty has no parity
        with listen(url, "--json", "--count", "2") as listening:
            assert listening.places() == [url]
            octets = frame(notification())
            for start in range(0, 2 * len(octets), 2):
                os.write(near, (octets * 2)[start : start + 2])
            for _ in range(2):
                assert energy(listening.document()) == 12340
            assert listening.end() == 0
    finally:
        for descriptor in (near, port):
            os.close(descriptor)


def test_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "authority")
    server = authority.issue("server", "127.0.0.1")
    url = f"tls://127.0.0.1:0?certificate={server.certificate}&key={server.key}"
    with listen(url, "--json") as listening:
        (place,) = listening.places()
        stuck = connect(place)  # never begins with TLS
        context = ssl.create_default_context(cafile=authority.file)
        with context.wrap_socket(connect(place), server_hostname="127.0.0.1") as sender:
            sender.sendall(wrapper(notification(confirmed=True)))
            assert energy(listening.document()) == 12340
            assert sender.recv(64)[8] == 0x10
        with connect(place) as plain:
            plain.sendall(b"no TLS at all\r\n")
            assert listening.sentence("TLS")
        stuck.close()
        listening.process.send_signal(signal.SIGTERM)
        assert listening.end() == 0


def test_the_inventory_is_read_again_on_a_signal(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.toml"
    inventory.write_text('[meters.old]\nmeter_id = "TST0001"\n[meters.other]\n')
    with listen("tcp://127.0.0.1:0", "--json", "--inventory", str(inventory)) as listening:
        (place,) = listening.places()
        with connect(place) as sender:
            sender.sendall(wrapper(notification()))
            assert listening.document()["meter"] == "old"
            inventory.write_text('[meters.new]\nmeter_id = "TST0001"\n[meters.other]\n')
            listening.process.send_signal(signal.SIGHUP)
            assert listening.sentence("the inventory was read again: 2 meters")
            sender.sendall(wrapper(notification()))
            assert listening.document()["meter"] == "new"
            inventory.write_text("[meters.new\n")
            listening.process.send_signal(signal.SIGHUP)
            assert listening.sentence("the inventory stays as it was")
            sender.sendall(wrapper(notification()))
            assert listening.document()["meter"] == "new"


def test_keys_that_the_inventory_has_only_later(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.toml"
    inventory.write_text('[meters.garden]\nmeter_id = "TST0001"\n')
    with listen("tcp://127.0.0.1:0", "--json", "--inventory", str(inventory)) as listening:
        (place,) = listening.places()
        with connect(place) as sender:
            sender.sendall(wrapper(sealed(notification(4), 1)))
            assert listening.document()["diagnosis"] == "key-missing"
            keys = f'ek = "{KEY.hex()}"\nak = "{AUTHENTICATION_KEY.hex()}"'
            inventory.write_text(f'[meters.cellar]\nsystem_title = "{TITLE.hex()}"\n{keys}\n')
            inventory.chmod(0o600)
            listening.process.send_signal(signal.SIGHUP)
            assert listening.sentence("the inventory was read again: 1 meter")
            sender.sendall(wrapper(sealed(notification(4), 2)))
            document = listening.document()
            assert (document["meter"], document["verified"]) == ("cellar", True)


def test_standard_input_and_a_reader_that_leaves(tmp_path: Path) -> None:
    with listen("-", "--json", stdin=subprocess.PIPE) as listening:
        stdin = listening.process.stdin
        assert stdin is not None
        stdin.write(hdlc(notification()).hex() + "\n")
        stdin.flush()
        assert listening.sentence("reading stdin")
        assert energy(listening.document()) == 12340  # before the end of it
        stdin.close()
        assert listening.end() == 0


@pytest.mark.parametrize(
    "case",
    [case for case in load("pushes") if "keys" not in case and not case["name"].startswith("nokey-")]
    or [pytest.param(None, marks=pytest.mark.skip(reason=REASON))],
    ids=lambda case: case and case["name"],
)
def test_captures_of_real_meters_as_files(case: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "capture.txt"
    file.write_text(case["bytes"])
    with listen(str(file), "--json") as listening:
        document = listening.document()
        assert document["kind"] != "undecoded"
        assert document["readings"] or document["values"]
        assert listening.end() == 0


@pytest.mark.parametrize("way", ["tcp", "udp", "hdlc", "mbus-tcp"])
def test_simulated_meters_push(way: str, tmp_path: Path) -> None:
    scheme = "udp" if way == "udp" else "tcp"
    demo = ("--ek", "000102030405060708090A0B0C0D0E0F", "--ak", "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF")
    arguments = (f"{scheme}://127.0.0.1:0", "--json", *demo, "--allow-example-keys", "--count", "6")
    with listen(*arguments, "--sqlite", str(tmp_path / "readings.db")) as listening:
        (place,) = listening.places()
        options = ("--meters", "3", "--push-every", "1", "--push-protection", "authenticated-encrypted")
        ports = ("--wrapper-port", "0", "--hdlc-port", "0", "--push-to", f"{way}://127.0.0.1:{port_of(place)}")
        meters = subprocess.Popen(
            [sys.executable, "-m", "cosemic.cli", "simulate", *ports, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"COSEMIC_STATE": str(tmp_path)},
        )
        try:
            documents = [listening.document() for _ in range(6)]
            assert listening.end() == 0
        finally:
            meters.terminate()
            meters.wait(LIMIT)
        assert all(document["verified"] for document in documents)
        assert len({document["system_title"] for document in documents}) == 3
        assert all(document["readings"] for document in documents)
    with sqlite3.connect(tmp_path / "readings.db") as database:
        assert database.execute("SELECT count(*) FROM messages").fetchone() == (6,)
    database.close()
