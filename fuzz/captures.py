"""Fuzz targets for files of captures, texts with octets in them, and redaction."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from datetime import UTC, datetime

from cosemic.captures import CaptureFormat, Chunk, Direction, open_capture, read_recording, write_capture
from cosemic.captures.hextext import TextStyle, read_hex_text, style_of
from cosemic.captures.recording import HEADER, format_record
from cosemic.captures.synthesis import Synthesis
from cosemic.errors import DecodeError
from cosemic.explain import Keys, explain_chunks
from cosemic.redacting import redact
from fuzz.violation import require

_AT = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
_KEYS = Keys(bytes(range(16)), bytes(range(0xD0, 0xE0)), (b"MMM\x00\x00\x00\x00\x01",))
_PUSH = bytes.fromhex("000100010066002A0F00000001000102020209060000600100FF090431323334020209060100010800FF0600003039")
_FRAME = bytes.fromhex("7EA0190321107FDAE6E600C001C100080000010000FF0200601A7E")


def packets(data: bytes) -> None:
    """A file of any kind: chunks, or DecodeError; no more octets than were in the file."""
    try:
        with open_capture(data) as capture:
            chunks = list(capture)
    except DecodeError:
        return
    size = 0
    for chunk in chunks:
        require(bool(chunk.octets or chunk.note or chunk.at), "a chunk of nothing", chunk)
        require(len(chunk.note) < 300, "a note as long as its input", chunk.note)
        size += len(chunk.octets)
    if capture.format is not CaptureFormat.TEXT:
        require(size <= len(data), "more octets than there are", size)


def network(data: bytes) -> None:
    """What stands in the packets of a file whose frame is right: any octets behind a pcap header, cut into packets."""
    if len(data) < 2:
        return
    link_type = (1, 0, 101, 108, 113, 147, 228, 250, 276)[data[0] % 9]
    file = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link_type)
    at, step = 2, 1 + data[1]
    while at < len(data):
        packet = data[at : at + step]
        file += struct.pack("<IIII", 0, 0, len(packet), len(packet)) + packet
        at += step
    packets(file)


def recordings(data: bytes) -> None:
    """Any lines behind the header; what is read can be written, and read again."""
    chunks = [chunk for chunk in read_recording(io.BytesIO(HEADER.encode() + b"\n" + data)) if chunk.at is not None]
    text = "".join(f"{format_record(c.at, c.source, c.direction, c.octets)}\n" for c in chunks if c.at is not None)
    require(list(read_recording(io.BytesIO(text.encode()))) == chunks, "a recording is not inverse", text)


def texts(data: bytes) -> None:
    """Any text: a style, and octets of it or DecodeError."""
    text = data.decode("utf-8", "replace")
    style = style_of(text)
    try:
        chunks = read_hex_text(text, style)
    except DecodeError:
        return
    require(style is not TextStyle.NONE, "octets from no style")
    if style is TextStyle.LINES:
        require(sum(len(chunk.octets) for chunk in chunks) <= len(data), "more octets than digits")


def written(data: bytes) -> None:
    """What is written as pcapng is read again, octet for octet."""
    if len(data) < 2:
        return
    source = ("tcp://192.0.2.1:4059", "udp://192.0.2.1:4059", "serial:///dev/ttyS0")[data[0] % 3]
    chunks = [Chunk(_AT, source, Direction.RECEIVED, data[1:][at : at + 90]) for at in range(0, len(data) - 1, 90)]
    file = io.BytesIO()
    write_capture(file, CaptureFormat.PCAPNG, chunks)
    found = b"".join(chunk.octets for chunk in open_capture(file.getvalue()))
    require(found == data[1:], "pcapng is not inverse")


def redaction(data: bytes) -> None:
    """Any octets, in two directions: the same lengths, and nothing that was understood is a fault afterwards."""
    if not data:
        return
    step = 1 + data[0] * 4
    directions = (Direction.RECEIVED, Direction.SENT)
    chunks = [
        Chunk(_AT, "tcp://192.0.2.1:4059", directions[data[0] & number & 1], data[at : at + step])
        for number, at in enumerate(range(1, len(data), step))
    ]
    result = redact(chunks, keys=_KEYS, salt=b"fuzz")
    require([len(c.octets) for c in result.chunks] == [len(c.octets) for c in chunks], "a length has changed")
    before = explain_chunks(chunks, keys=_KEYS)
    if before.ok and not result.unknown_octets:
        after = explain_chunks(result.chunks)
        require(len(result.chunks) == len(chunks), "a chunk is lost", after)


def seeds(target: str) -> list[bytes]:
    """Inputs to begin with."""
    return _SEEDS[target]()


def _files() -> list[bytes]:
    files = []
    for kind in CaptureFormat:
        for source in ("tcp://192.0.2.1:4059", "udp://192.0.2.1:4059", "serial:///dev/ttyS0"):
            file = io.BytesIO()
            write_capture(file, kind, [Chunk(_AT, source, Direction.RECEIVED, _PUSH)])
            files.append(file.getvalue())
    return files


def _packets() -> list[bytes]:
    found = []
    for source in ("tcp://192.0.2.1:4059", "udp://192.0.2.1:4059", "tcp://[2001:db8::1]:4059"):
        synthesis = Synthesis()
        for number in range(3):
            for _, packet in synthesis.packets(Chunk(_AT, source, Direction.RECEIVED, _PUSH[number:])):
                found.append(b"\x00" + bytes((len(packet) - 1,)) + packet * 2)
    return found


def _lines() -> list[bytes]:
    record = format_record(_AT, "tcp://192.0.2.1:1234", "<", _PUSH)
    return [
        f"{record}\n".encode(),
        f"{record}\n{record[:40]}".encode(),
        b"# comment\n",
        f"{record} # cut short\n".encode(),
    ]


def _texts() -> list[bytes]:
    return [
        _FRAME.hex().encode(), _FRAME.hex(" ").encode(), b"> " + _FRAME.hex().encode() + b"\n< 7EA0\n",
        b"0000  " + _FRAME[:16].hex(" ").encode() + b"  ~...\n0010  " + _FRAME[16:].hex(" ").encode() + b"\n",
        b"00000000: 7ea0 1903  ~...\n*\n00000010: 7e\n", b"0000000 a07e 0319\n0000004\n",
        b"{0x7E, 0xA0, 0x19, 0x03}", b"[12:00:00] rx: " + _FRAME.hex(":").encode(), b"\\x7e\\xa0\\x19\\x03",
        b"fqAZAyEQf9rm5gDAAcEACAAAAQAA/wIAYBp+",
    ]  # fmt: skip


def _frames() -> list[bytes]:
    sealed = bytes.fromhex("DB084D4D4D00000000010E2000000001") + bytes(9)
    texts = b"/KFM5\\x\r\n\r\n0-0:96.1.1(4530303031)\r\n1-0:1.8.0(1*kWh)\r\n!0000\r\n"
    return [b"\x40" + item for item in (_PUSH, _FRAME, _PUSH[8:], sealed, texts, _FRAME * 3, b"noise" + _FRAME)]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "capture-file": packets,
    "capture-network": network,
    "capture-recording": recordings,
    "capture-text": texts,
    "capture-written": written,
    "redaction": redaction,
}
_SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "capture-file": _files,
    "capture-network": _packets,
    "capture-recording": _lines,
    "capture-text": _texts,
    "capture-written": lambda: [bytes((number,)) + _PUSH * 9 for number in range(3)],
    "redaction": _frames,
}
