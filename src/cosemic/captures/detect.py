"""What a file is, and the chunks in it."""

from __future__ import annotations

import enum
import io
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from cosemic.captures.chunks import Chunk, Direction
from cosemic.captures.flows import read_flows
from cosemic.captures.hextext import TextStyle, read_hex_text, style_of
from cosemic.captures.pcap import is_pcap, read_pcap
from cosemic.captures.pcapng import is_pcapng, read_pcapng
from cosemic.captures.recording import is_recording, read_recording
from cosemic.errors import DecodeError

MOST_TEXT = 256 << 20
"""Octets of a text that is read as a whole."""
_PIECE = 65_536
_PRINTABLE = bytes(range(32, 127)) + b"\t\r\n\f\x1b"


class CaptureFormat(enum.Enum):
    """What a file was found to be."""

    PCAP = "pcap"
    PCAPNG = "pcapng"
    RECORDING = "recording"
    TEXT = "text with octets in it"
    OCTETS = "plain octets"


class Capture:
    """The chunks of a file, once, in order. A context manager; the end of the file closes it too."""

    def __init__(self, format: CaptureFormat, chunks: Iterator[Chunk], file: BinaryIO | None = None) -> None:  # noqa: A002
        self.format = format
        self._chunks = chunks
        self._file = file

    def __iter__(self) -> Iterator[Chunk]:
        yield from self._chunks
        self.close()

    def close(self) -> None:
        """Close the file, where it was opened here."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_capture(source: str | os.PathLike[str] | bytes | BinaryIO) -> Capture:
    """The capture in a file, in octets, or in a file object: what it is is seen by its beginning.

    A compressed file is refused. DecodeError where the file is damaged from its beginning (while reading it: a note in
    the chunks); OSError as the file system gives it. Memory is bounded but for text, of which 256 MiB are read.
    """
    if isinstance(source, bytes):
        return _open(io.BytesIO(source), None)
    if isinstance(source, (str, os.PathLike)):
        file = Path(source).open("rb")  # noqa: SIM115 - the capture closes it
        try:
            return _open(file, file)
        except BaseException:
            file.close()
            raise
    return _open(source, None)


def _open(file: BinaryIO, owned: BinaryIO | None) -> Capture:
    reader = io.BufferedReader(_Raw(file), _PIECE)
    beginning = reader.peek(64)[:64]
    if is_pcap(beginning):
        return Capture(CaptureFormat.PCAP, read_flows(read_pcap(reader)), owned)
    if is_pcapng(beginning):
        return Capture(CaptureFormat.PCAPNG, read_flows(read_pcapng(reader)), owned)
    if is_recording(beginning):
        return Capture(CaptureFormat.RECORDING, read_recording(reader), owned)
    if beginning[:2] == b"\x1f\x8b" or beginning[:4] == b"\x28\xb5\x2f\xfd" or beginning[:6] == b"\xfd7zXZ\x00":
        raise DecodeError("the file is compressed: unpack it first")
    head = reader.read(_PIECE)
    if _is_text(head):
        octets = head + reader.read(MOST_TEXT - len(head))
        if _is_text(octets):
            text = octets.decode("utf-8", "replace")
            style = style_of(text)
            if style is not TextStyle.NONE:
                return Capture(CaptureFormat.TEXT, iter(read_hex_text(text, style)), owned)
        return Capture(CaptureFormat.OCTETS, _pieces(octets, reader), owned)
    return Capture(CaptureFormat.OCTETS, _pieces(head, reader), owned)


def _pieces(head: bytes, reader: BinaryIO) -> Iterator[Chunk]:
    while head:
        yield Chunk(None, "", Direction.UNKNOWN, head)
        head = reader.read(_PIECE)


def _is_text(octets: bytes) -> bool:
    """Octets of frames are never all printable."""
    if not octets.translate(None, _PRINTABLE):
        return bool(octets)
    try:
        text = octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(octets) - 3:
            return False
        text = octets[: error.start].decode("utf-8-sig")
    return not any(ord(letter) < 32 and letter not in "\t\r\n\f\x1b" for letter in text)


class _Raw(io.RawIOBase):
    """A file object that a buffered reader may be put before without taking the file from its owner."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        octets = self._file.read(len(view))
        view[: len(octets)] = octets
        return len(octets)
