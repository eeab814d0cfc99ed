"""Files of octets, or of hexadecimal text, and stdin."""

from __future__ import annotations

import asyncio
import io
import os
import re
import stat
import sys
from collections.abc import Callable, Coroutine
from datetime import datetime

from cosemic.captures.chunks import Direction
from cosemic.captures.detect import Capture, open_capture
from cosemic.errors import DecodeError, LinkError
from cosemic.push.listening.intake import Decoder, Intake, Origin
from cosemic.push.listening.urls import SourceUrl
from cosemic.push.messages import Decoded

_CHUNK = 64 * 1024
_MOST_STREAMS = 10_000


class FileSource:
    """A file, read to its end: plain octets, text with octets in it, a recording, pcap or pcapng.

    FIFOs, terminals and stdin give octets, or hexadecimal text, as they come.
    """

    def __init__(self, url: SourceUrl, intake: Intake) -> None:
        self.url = url
        self.intake = intake
        self._name = "stdin" if url.path == "-" else url.path
        self._task: asyncio.Task[None] | None = None
        self._streams: dict[tuple[str, str], _Stream] = {}

    async def open(self) -> list[str]:
        """Open the file; LinkError where that is not possible, DecodeError for one that is compressed or damaged."""
        name = self._name
        try:
            descriptor = os.dup(sys.stdin.fileno()) if self.url.path == "-" else os.open(self.url.path, os.O_RDONLY)
        except OSError as error:
            raise LinkError(f"{name} cannot be read: {error.strerror or error}; {_remedy(name)}") from error
        except ValueError as error:  # there is no stdin
            raise LinkError(f"{name} cannot be read: {error}") from error
        try:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise LinkError(f"{name} is a folder; name the files in it")
            file = os.fdopen(descriptor, "rb", buffering=0, closefd=True)
        except BaseException:
            os.close(descriptor)
            raise
        try:
            reading = self._read_stream(descriptor) if _waits(descriptor) else self._read_capture(open_capture(file))
        except DecodeError as error:
            file.close()
            raise DecodeError(f"{name}: {error}") from None
        except BaseException:
            file.close()
            raise
        self._task = asyncio.get_running_loop().create_task(self._run(reading, file))
        self._task.add_done_callback(lambda _: self.intake.source_ended())
        return [name]

    def stop(self) -> None:
        """Read no further."""
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        """Wait until the file is closed."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, reading: Coroutine[None, None, None], file: io.FileIO) -> None:
        try:
            await reading
        except (OSError, DecodeError) as error:
            self.intake.tell(f"{self._name}: reading ended: {getattr(error, 'strerror', None) or error}")
        finally:
            reading.close()
            file.close()
        for stream in self._streams.values():
            stream.end()

    async def _read_stream(self, descriptor: int) -> None:
        text = HexText()
        stream = self._stream("", "")
        while True:
            await self.intake.room()
            await _readable(descriptor)
            chunk = os.read(descriptor, _CHUNK)
            if octets := text.feed(chunk) if chunk else text.end():
                stream.take(octets, None)
            if not chunk:
                return

    async def _read_capture(self, capture: Capture) -> None:
        with capture:
            for chunk in capture:
                await self.intake.room()
                await asyncio.sleep(0)  # the others have their turn
                if chunk.note:
                    self.intake.tell(f"{self._name}: {chunk.note}")
                if chunk.direction is Direction.SENT or not (chunk.octets or chunk.is_gap):
                    continue
                stream = self._stream(chunk.source, chunk.local)
                if chunk.is_gap:
                    stream.idle()
                stream.take(chunk.octets, chunk.at)
                if chunk.source.startswith("udp://"):
                    stream.end_of_datagram()

    def _stream(self, source: str, local: str) -> _Stream:
        stream = self._streams.get((source, local))
        if stream is None:
            if len(self._streams) >= _MOST_STREAMS:  # the oldest goes
                self._streams.pop(next(iter(self._streams))).end()
            origin = Origin(source or self._name, self.url.kind, None, self.url.framing)
            stream = self._streams[source, local] = _Stream(self.url, self.intake, origin)
        return stream


def _remedy(name: str) -> str:
    """What to do about a file that is not there; an address without its scheme looks like one."""
    if not re.fullmatch(r"([\w.-]+:|\[[0-9A-Fa-f:.]+\]:)?[0-9]{2,5}", name):
        return "check the path"
    host, _, port = name.rpartition(":")
    return f"if it is a port, write tcp://{host or '0.0.0.0'}:{port} to listen on it" + (
        f", connect+tcp://{name} to connect to it" if host else ""
    )


class _Stream:
    """The octets of one sender in a file."""

    __slots__ = ("_at", "_decoder", "_intake", "_origin", "_url")

    def __init__(self, url: SourceUrl, intake: Intake, origin: Origin) -> None:
        self._url = url
        self._intake = intake
        self._origin = origin
        self._decoder: Decoder | None = None
        self._at: datetime | None = None

    def take(self, octets: bytes, at: datetime | None) -> None:
        """Octets, and when they came. A pause in a recording is one still."""
        if at is not None and self._at is not None and (at - self._at).total_seconds() >= self._url.idle_after:
            self.idle()
        self._at = at
        if octets:
            self._intake.octets_came(self._origin, octets)
            self._decode(lambda decoder: decoder.feed(octets))

    def end_of_datagram(self) -> None:
        """A datagram is over."""
        self._decode(lambda decoder: decoder.end_of_datagram())

    def idle(self) -> None:
        """Nothing goes on behind this."""
        self._decode(lambda decoder: decoder.idle())

    def end(self) -> None:
        """The end of it."""
        self._decode(lambda decoder: decoder.end())

    def _decode(self, step: Callable[[Decoder], list[Decoded]]) -> None:
        try:
            if self._decoder is None:
                self._decoder = self._intake.decoder_of(self._origin)
            self._intake.take(self._origin, step(self._decoder), self._at)
        except Exception as error:
            self._decoder = None
            self._intake.failed(self._origin, error)


class HexText:
    """Octets out of what may be hexadecimal text: digits, blanks, colons and commas, ``0x``, comments behind ``#``.

    It is decided by the first line, or the first kilobyte, whether it is text; anything else passes as it is.
    """

    __slots__ = ("_held", "_is_text")

    _DECIDING = 1024

    def __init__(self) -> None:
        self._held = b""
        self._is_text: bool | None = None

    def feed(self, octets: bytes) -> bytes:
        """The octets that are certain by now."""
        if self._is_text is None:
            self._held += octets
            undecided = len(self._held) < self._DECIDING and b"\n" not in self._held
            if undecided and _ONLY.match(self._held):
                return b""
            octets, self._held = self._held, b""
            self._is_text = _looks_like_text(octets)
        if not self._is_text:
            return octets
        lines = self._held + octets
        end = max(lines.rfind(b"\n"), -1 if len(lines) < self._DECIDING else _last_pair(lines))
        if end < 0:
            self._held = lines
            return b""
        self._held = lines[end + 1 :]
        return _octets_of(lines[: end + 1])

    def end(self) -> bytes:
        """What is left at the end of the file."""
        rest, self._held = self._held, b""
        if self._is_text is None:
            self._is_text = _looks_like_text(rest)
        return _octets_of(rest) if self._is_text else rest


_TEXT = re.compile(rb"\s*(?:#[^\n]*\n\s*)*(?:(?:0x)?[0-9A-Fa-f]{2}[\s:,;-]*){2}", re.IGNORECASE)
_ONLY = re.compile(rb"(?:[0-9A-Fa-fxX\s:,;-]|#[^\n]*)*\Z")
_COMMENT = re.compile(rb"#[^\n]*")
_BETWEEN = re.compile(rb"0[xX](?=[0-9A-Fa-f])|[^0-9A-Fa-f]")


def _looks_like_text(octets: bytes) -> bool:
    return _TEXT.match(octets) is not None and _ONLY.match(octets) is not None


def _last_pair(lines: bytes) -> int:
    """Where a line that has no end yet may be cut: the last octet before which all digits stand in pairs."""
    digits = len(_BETWEEN.sub(b"", lines))
    return len(lines) - 1 if digits % 2 == 0 and not lines.endswith((b"0", b"#")) and b"#" not in lines else -1


def _octets_of(text: bytes) -> bytes:
    digits = _BETWEEN.sub(b"", _COMMENT.sub(b"", text))
    return bytes.fromhex(digits[: len(digits) & ~1].decode("ascii"))


def _waits(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or (stat.S_ISCHR(mode) and os.isatty(descriptor))


async def _readable(descriptor: int) -> None:
    """Wait until there is something to read. Without changing the mode of stdin, which others share."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def on_readable() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(descriptor, on_readable)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)
