"""Files from and for other people's tools: tcpdump, tshark, editcap, mergecap."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cosemic.captures import CaptureFormat, Chunk, Direction, open_capture, write_capture

AT = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
PUSH = bytes.fromhex("000100010066000A0F00000001000012ABCD")
NETWORK = [
    Chunk(AT, "tcp://192.0.2.1:50000", Direction.RECEIVED, PUSH, local="192.0.2.9:4059"),
    Chunk(AT, "udp://192.0.2.7:4059", Direction.RECEIVED, PUSH + b"\1", local="192.0.2.9:4059"),
    Chunk(AT, "tcp://192.0.2.1:50000", Direction.SENT, b"\x10" * 4000, local="192.0.2.9:4059"),
    Chunk(AT, "tcp://[2001:db8::1]:4059", Direction.SENT, bytes.fromhex("0001001000010003C00181")),
    Chunk(AT, "tcp://[2001:db8::1]:4059", Direction.RECEIVED, bytes.fromhex("0001000100100003C40181")),
]
LINES = [
    Chunk(AT, "serial:///dev/ttyUSB0", Direction.SENT, b"\x7e\xa0"),
    Chunk(AT, "serial:///dev/ttyUSB0", Direction.RECEIVED, b"\x7e\xa1"),
]


def tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write(path: Path, format: CaptureFormat, chunks: list[Chunk]) -> Path:  # noqa: A002
    with path.open("wb") as file:
        write_capture(file, format, chunks, comments=["made by a test"])
    return path


def flows(path: Path) -> dict[tuple[str, str], bytes]:
    """The octets of each flow and direction."""
    found: dict[tuple[str, str], bytes] = {}
    for chunk in open_capture(path):
        key = (chunk.source, chunk.direction.value)
        found[key] = found.get(key, b"") + chunk.octets
        assert not chunk.note, chunk.note
    return found


EXPECTED = {
    ("tcp://192.0.2.1:50000", "<"): PUSH,
    ("udp://192.0.2.7:4059", "<"): PUSH + b"\1",
    ("tcp://192.0.2.1:50000", ">"): b"\x10" * 4000,
    ("tcp://[2001:db8::1]:4059", ">"): bytes.fromhex("0001001000010003C00181"),
    ("tcp://[2001:db8::1]:4059", "<"): bytes.fromhex("0001000100100003C40181"),
}


@pytest.mark.parametrize("kind", [CaptureFormat.PCAP, CaptureFormat.PCAPNG])
def test_what_we_write_we_read(tmp_path, kind) -> None:
    assert flows(write(tmp_path / "file", kind, NETWORK)) == EXPECTED


def test_tcpdump_finds_every_check_sum_right(tmp_path) -> None:
    path = write(tmp_path / "ours.pcap", CaptureFormat.PCAP, NETWORK)
    text = run(tool("tcpdump"), "-vvnr", path)
    assert text.count("(correct)") == 12  # two handshakes, six segments
    assert text.count("udp sum ok") == 1
    assert "incorrect" not in text
    assert "bad" not in text


@pytest.mark.parametrize("kind", [CaptureFormat.PCAP, CaptureFormat.PCAPNG])
def test_tshark_puts_the_stream_together_and_complains_of_nothing(tmp_path, kind) -> None:
    path = write(tmp_path / "ours", kind, NETWORK)
    checks = [word for name in ("ip", "tcp", "udp") for word in ("-o", f"{name}.check_checksum:TRUE")]
    fields = [word for name in ("ip", "tcp", "udp") for word in ("-e", f"{name}.checksum.status")]
    status = run(tool("tshark"), *checks, "-T", "fields", *fields, "-r", path)
    assert set(status.split()) == {"1"}
    trouble = run(tool("tshark"), "-Y", "_ws.malformed or tcp.analysis.flags", "-r", path)
    assert trouble.strip() == ""
    follow = run(tool("tshark"), "-q", "-z", "follow,tcp,raw,0", "-r", path)
    assert PUSH.hex() in follow
    assert "10" * 1000 in follow


def test_tshark_sees_a_serial_line_with_its_directions(tmp_path) -> None:
    path = write(tmp_path / "ours.pcap", CaptureFormat.PCAP, LINES)
    text = run(tool("tshark"), "-T", "fields", "-e", "frame.protocols", "-e", "rtacser.eventtype", "-r", path)
    rows = [line.split("\t") for line in text.splitlines()]
    assert [row[0].split(":")[0] for row in rows] == ["rtacser", "rtacser"]
    assert [int(row[1], 0) for row in rows] == [1, 2]


def test_capinfos_names_the_comment_and_both_link_types(tmp_path) -> None:
    path = write(tmp_path / "ours.pcapng", CaptureFormat.PCAPNG, NETWORK + LINES)
    text = run(tool("capinfos"), path)
    assert "made by a test" in text
    assert "RTAC serial-line (2)" in text
    assert [chunk for chunk in open_capture(path) if chunk.source.startswith("serial")] == LINES


def test_a_pcap_file_holds_no_mixture(tmp_path) -> None:
    with pytest.raises(ValueError, match="pcapng"):
        write(tmp_path / "ours.pcap", CaptureFormat.PCAP, NETWORK + LINES)


@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "modpcap", "pcapng"])
def test_what_editcap_writes(tmp_path, kind: str) -> None:
    path = write(tmp_path / "ours.pcapng", CaptureFormat.PCAPNG, NETWORK)
    run(tool("editcap"), "-F", kind, path, tmp_path / "theirs")
    assert flows(tmp_path / "theirs") == EXPECTED


def test_what_editcap_cuts_is_told(tmp_path) -> None:
    path = write(tmp_path / "ours.pcap", CaptureFormat.PCAP, NETWORK)
    run(tool("editcap"), "-F", "pcap", "-s", "500", path, tmp_path / "theirs")
    notes = [chunk.note for chunk in open_capture(tmp_path / "theirs") if chunk.note]
    assert notes == ["1014 octets were not captured", "1014 octets were not captured", "634 octets were not captured"]


def test_what_mergecap_writes(tmp_path) -> None:
    first = write(tmp_path / "first.pcap", CaptureFormat.PCAP, NETWORK[:3])
    second = write(tmp_path / "second.pcapng", CaptureFormat.PCAPNG, NETWORK[3:])
    run(tool("mergecap"), "-w", tmp_path / "both", first, second)
    assert flows(tmp_path / "both") == EXPECTED


def _push_over_loopback(server: socket.socket, listener: socket.socket) -> None:
    with socket.create_connection(server.getsockname()) as meter:
        accepted, _ = server.accept()
        with accepted:
            for piece in (PUSH[:5], PUSH[5:]):
                meter.sendall(piece)
                assert accepted.recv(100) == piece
            accepted.sendall(b"\x10")
            assert meter.recv(100) == b"\x10"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as meter:
        meter.sendto(PUSH, listener.getsockname())
        assert listener.recv(100) == PUSH


@pytest.mark.skipif(sys.platform != "linux", reason="the loopback interface has another name elsewhere")
def test_what_tcpdump_takes_from_real_sockets(tmp_path) -> None:
    """Pushes over TCP and UDP while tcpdump listens on the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        server.settimeout(10)
        listener.settimeout(10)
        listener.bind(("127.0.0.1", 0))
        ports = f"port {server.getsockname()[1]} or port {listener.getsockname()[1]}"
        path = tmp_path / "real.pcap"
        tcpdump = subprocess.Popen(
            [tool("tcpdump"), "-i", "lo", "-n", "-U", "--immediate-mode", "-Z", "root", "-w", str(path), ports],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert tcpdump.stderr is not None
        try:
            first = tcpdump.stderr.readline()
            if "listening" not in first:
                pytest.skip(f"tcpdump may not listen here: {first.strip()}")
            _push_over_loopback(server, listener)
            sent = 0
            while (
                path.stat().st_size < 24 or sum(len(chunk.octets) for chunk in open_capture(path)) < 2 * len(PUSH) + 1
            ):
                sent += 1
                assert sent < 100_000, "tcpdump wrote nothing"
        finally:
            tcpdump.send_signal(signal.SIGINT)
            tcpdump.stderr.close()
            tcpdump.wait(10)
    chunks = list(open_capture(path))
    assert (
        b"".join(chunk.octets for chunk in chunks if chunk.source[:3] == "tcp" and chunk.direction.value == "<") == PUSH
    )
    assert [chunk.octets for chunk in chunks if chunk.direction.value == ">"] == [b"\x10"]
    assert [chunk.octets for chunk in chunks if chunk.source[:3] == "udp"] == [PUSH]
    assert all(chunk.at is not None and chunk.at.year >= 2024 for chunk in chunks)
