"""Octets in text: what other programs print is read back to the octet."""

from __future__ import annotations

import base64
import shutil
import subprocess

import pytest

from cosemic.captures import CaptureFormat, Direction, open_capture
from cosemic.captures.hextext import TextStyle, read_hex_text, style_of
from cosemic.errors import DecodeError

DATA = bytes.fromhex("7EA0190321107FDAE6E600C001C100080000010000FF0200601A7E") + bytes(80) + bytes(range(33))
COMMANDS = [
    ("xxd",), ("xxd", "-p"), ("xxd", "-i"), ("xxd", "-u", "-c", "8"), ("xxd", "-g1"), ("hexdump", "-C"), ("hexdump",),
    ("od",), ("od", "-x"), ("od", "-t", "x1"), ("od", "-A", "x", "-t", "x1z"), ("od", "-A", "d", "-t", "x1"),
    ("od", "-v", "-A", "n", "-t", "x1"), ("base64",),
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("size", [27, 32, 140])
def test_what_tools_print(command: tuple[str, ...], size: int, tmp_path) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    file = tmp_path / "octets"
    file.write_bytes(DATA[:size])
    text = subprocess.run([*command, str(file)], capture_output=True, text=True, check=True).stdout
    assert b"".join(chunk.octets for chunk in read_hex_text(text)) == DATA[:size]


WIRESHARK = (
    "0000   7e a0 19 03 21 10 7f da e6 e6 00 c0 01 c1 00 08   ~...!...........\n"
    "0010   00 00 01 00 00 ff 02 00 60 1a 7e                  ........`.~\n"
)
FRAME = DATA[:27]


@pytest.mark.parametrize(
    "text",
    [
        WIRESHARK,
        FRAME.hex(),
        FRAME.hex(" ").upper(),
        FRAME.hex(":"),
        FRAME.hex("-"),
        ", ".join(f"0x{octet:02x}" for octet in FRAME),
        "static const uint8_t data[27] = {\n  " + ",\n  ".join(f"0x{octet:X}" for octet in FRAME) + " /* end */\n};",
        "octets = b'" + "".join(f"\\x{octet:02x}" for octet in FRAME) + "'",
        f"[12:34:56][V][dlms_meter:123]: Received: {FRAME.hex('.').upper()} (27)",
        f"2026-11-25 12:34:56.789 DEBUG reader <<< [{FRAME.hex(' ').upper()}]",
        f"12:34:56.789 TLM: {FRAME.hex().upper()}",
        '{"SerialReceived":"' + FRAME.hex().upper() + '"}',
        f"12:34:56,123 [{FRAME.hex(':')}]",
        base64.b64encode(FRAME).decode(),
    ],
)
def test_what_people_paste(text: str) -> None:
    capture = open_capture(text.encode())
    assert capture.format is CaptureFormat.TEXT
    assert b"".join(chunk.octets for chunk in capture) == FRAME


def test_directions() -> None:
    text = f"> {FRAME.hex()} # ours\n< {FRAME.hex()}\n{FRAME.hex()}\nTX: {FRAME.hex()}\n"
    directions = [chunk.direction for chunk in read_hex_text(text)]
    assert directions == [Direction.SENT, Direction.RECEIVED, Direction.UNKNOWN, Direction.SENT]
    log = f"10:00:00 sent {FRAME.hex(' ')}\n10:00:01 nothing\n10:00:02 received {FRAME.hex(' ')}\n"
    assert [chunk.direction for chunk in read_hex_text(log)] == [Direction.SENT, Direction.RECEIVED]


def test_two_dumps_in_one_file_are_two() -> None:
    assert [chunk.octets for chunk in read_hex_text(WIRESHARK + "\n" + WIRESHARK)] == [FRAME, FRAME]


@pytest.mark.parametrize("text", ["", "Dear Sir,\n", "2026-11-25 12:34:56 hello\n", "/XMX5LGBBFG\r\n\r\n!ABCD\r\n"])
def test_text_without_octets_is_none(text: str) -> None:
    assert style_of(text) is TextStyle.NONE
    with pytest.raises(DecodeError, match="no octets"):
        read_hex_text(text)
    assert b"".join(chunk.octets for chunk in open_capture(text.encode())) == text.encode()


def test_left_out_lines_without_offsets_are_refused() -> None:
    with pytest.raises(DecodeError, match="od -v"):
        read_hex_text(" 00 00 00 00\n*\n 01 01 01 01\n")


def test_octets_of_frames_are_plain_octets() -> None:
    for octets in (FRAME, bytes(70_000), b"/XMX5\r\n" + b"\x00"):
        capture = open_capture(octets)
        assert capture.format is CaptureFormat.OCTETS
        assert b"".join(chunk.octets for chunk in capture) == octets
