"""Files of octets, or of hexadecimal text, and stdin."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import sys

from cosemic.errors import LinkError
from cosemic.push.sources import SourceUrl
from cosemic.push.sources_intake import Decoder, Intake, Origin

_CHUNK = 64 * 1024


class FileSource:
    """A file, read to its end. FIFOs, terminals and stdin give what they have as it comes."""

    def __init__(self, url: SourceUrl, intake: Intake) -> None:
        self.url = url
        self.intake = intake
        name = "stdin" if url.path == "-" else url.path
        self._origin = Origin(name, url.kind, None, url.framing)
        self._task: asyncio.Task[None] | None = None
        self._decoder: Decoder | None = None

    async def open(self) -> list[str]:
        """Open the file; LinkError where that is not possible."""
        name = self._origin.source
        try:
            descriptor = os.dup(sys.stdin.fileno()) if self.url.path == "-" else os.open(self.url.path, os.O_RDONLY)
        except OSError as error:
            raise LinkError(f"{name} cannot be read: {error.strerror or error}; check the path") from error
        except ValueError as error:  # there is no stdin
            raise LinkError(f"{name} cannot be read: {error}") from error
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise LinkError(f"{name} is a folder; name the files in it")
        self._task = asyncio.get_running_loop().create_task(self._run(descriptor))
        self._task.add_done_callback(lambda _: self.intake.source_ended())
        return [name]

    def close(self) -> None:
        """Read no further."""
        if self._task is not None:
            self._task.cancel()

    async def wait_closed(self) -> None:
        """Wait until the file is closed."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, descriptor: int) -> None:
        try:
            await self._read(descriptor)
        except OSError as error:
            self.intake.tell(f"{self._origin.source}: reading ended: {error.strerror or error}")
        finally:
            os.close(descriptor)

    async def _read(self, descriptor: int) -> None:
        text = HexText()
        waits = _waits(descriptor)
        while True:
            await self.intake.room()
            if waits:
                await _readable(descriptor)
            else:
                await asyncio.sleep(0)  # the others have their turn
            chunk = os.read(descriptor, _CHUNK)
            octets = text.feed(chunk) if chunk else text.end()
            if octets:
                self._decode(octets)
            if not chunk:
                self._decode(None)
                return

    def _decode(self, octets: bytes | None) -> None:
        try:
            if self._decoder is None:
                self._decoder = self.intake.decoder_of(self._origin)
            if octets is not None:
                self.intake.octets_came(self._origin, octets)
            self.intake.take(self._origin, self._decoder.end() if octets is None else self._decoder.feed(octets))
        except Exception as error:
            self._decoder = None
            self.intake.failed(self._origin, error)


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
            if len(self._held) < self._DECIDING and b"\n" not in self._held:
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
