"""A whole capture redacted: flows, frames, APDUs, texts; the same chunks come out with the same lengths."""

from __future__ import annotations

import itertools
import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from cosemic.captures.chunks import Chunk, Direction
from cosemic.explain.apdus import knows
from cosemic.explain.conversation import Keys
from cosemic.link.llc import HEADERS
from cosemic.redacting.apdus import ApduRedactor
from cosemic.redacting.frames import Found, Kind, find_frames, renew_checks
from cosemic.redacting.marks import Keep, Marks
from cosemic.redacting.pseudonyms import Pseudonyms
from cosemic.redacting.scatter import Scatter
from cosemic.redacting.sealing import Sealing, ThrowAwayKeys, is_plausible
from cosemic.redacting.texts import TEXT_OCTETS, redact_text

_SMALL_PHYSICAL = 128
_LAST_PHYSICAL = 0x3FFD
_LAST_SEGMENT = 0x10
_TRANSPORT = 0x20
_MOST_NOISE_PIECES = 4096
_SCHEME = re.compile(r"serial|rfc2217|mbus|hdlc|file|(?:connect\+|mbus-|hdlc-|hdlc\+)?(?:tcp|tls|udp)")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Redacted:
    """A capture that may be shown, and what was done to it.

    ``keys`` open what was sealed again: throw-away keys, one set for each of the given ones that fitted.
    ``left_closed`` counts the ciphered APDUs that no key fitted: they stay as they are, under a masked title, so that
    nobody can open them any more. ``unknown_octets`` were not understood and are zeros now.
    """

    chunks: list[Chunk]
    keys: list[ThrowAwayKeys] = field(default_factory=list)
    masked: int = 0
    different: int = 0
    opened: int = 0
    left_closed: int = 0
    unknown_octets: int = 0
    titles: list[bytes] = field(default_factory=list)
    """Masks of system titles that were given, not captured: who decrypts the result needs them."""


def redact(
    chunks: Iterable[Chunk], *, keys: Keys | Sequence[Keys] = (), keep: Collection[Keep] = (),
    salt: bytes | None = None,
) -> Redacted:  # fmt: skip
    """Mask what tells whose meter it is, and what is secret. Holds the whole capture in memory.

    ``keys`` open ciphered content, so that what is inside is masked and sealed again. ``salt`` makes the masks the same
    in two runs: for tests only.
    """
    pseudonyms = Pseudonyms(salt)
    marks = Marks(pseudonyms, frozenset(keep))
    sealing = Sealing([keys] if isinstance(keys, Keys) else list(keys), pseudonyms)
    redactor = ApduRedactor(marks, sealing)
    given = list(chunks)
    buffers = [bytearray(chunk.octets) for chunk in given]
    flows: dict[tuple[str, str], list[int]] = {}
    for number, chunk in enumerate(given):
        flows.setdefault((chunk.source, chunk.local), []).append(number)
    works = [_Flow(given, buffers, numbers, marks, redactor) for numbers in flows.values()]
    for work in works:
        work.mask()
    redactor.finish()
    for work in works:
        work.finish()
    masked = [
        replace(
            chunk,
            octets=bytes(buffer),
            source=_source(chunk.source, marks),
            local=_end(chunk.local, marks),
        )
        for chunk, buffer in zip(given, buffers, strict=True)
    ]
    return Redacted(
        masked, sealing.keys(), marks.masked, pseudonyms.count, sealing.opened, sealing.left_closed,
        marks.unknown_octets,
        sealing.titles_told,
    )  # fmt: skip


class _Run:
    """The octets of one direction without a gap: one buffer, and which chunk each octet came with."""

    def __init__(self) -> None:
        self.octets = bytearray()
        self.chunks: list[tuple[int, int]] = []
        """Number of a chunk and where it begins."""
        self._starts: list[int] = []

    def add(self, number: int, octets: bytearray) -> None:
        self.chunks.append((number, len(self.octets)))
        self._starts.append(len(self.octets))
        self.octets += octets

    def bare(self) -> list[Found]:
        """Where all of it is one APDU without a frame, or each chunk is one: nothing is looked for inside then."""
        octets = bytes(self.octets)
        if not octets or not knows(octets[0]):
            return []
        if is_plausible(octets):
            return [Found(Kind.NOISE, 0, len(octets))]
        cuts = self.boundaries(0, len(octets))
        if len(cuts) > 1 and all(is_plausible(octets[start:end]) for start, end in cuts):
            return [Found(Kind.NOISE, start, end) for start, end in cuts]
        return []

    def boundaries(self, start: int, end: int) -> list[tuple[int, int]]:
        """The stretches between chunks from ``start`` to ``end``."""
        first, last = bisect_right(self._starts, start), bisect_left(self._starts, end)
        cuts = [start, *self._starts[first:last], end]
        return list(itertools.pairwise(cuts))


class _Flow:
    """One conversation: both directions of a line, a connection, or the datagrams between two ends."""

    def __init__(
        self, chunks: list[Chunk], buffers: list[bytearray], numbers: list[int], marks: Marks, redactor: ApduRedactor
    ) -> None:
        self._marks = marks
        self._redactor = redactor
        self._buffers = buffers
        self._talk = redactor.talk()
        self._runs: list[_Run] = []
        self._frames: list[tuple[_Run, Found]] = []
        self._segments: dict[tuple[bytes, bytes], list[Scatter]] = {}
        self._last: dict[tuple[bytes, bytes], tuple[int, Scatter]] = {}
        self._mbus: list[Scatter] = []
        self._mbus_number = -1
        self._gather(chunks, numbers)

    def _gather(self, chunks: list[Chunk], numbers: list[int]) -> None:
        open_runs: dict[Direction, _Run] = {}
        for number in numbers:
            chunk = chunks[number]
            if chunk.is_gap:
                open_runs.pop(chunk.direction, None)
            run = open_runs.get(chunk.direction)
            if run is None or chunk.source.startswith("udp://"):
                run = open_runs[chunk.direction] = _Run()
                self._runs.append(run)
            run.add(number, self._buffers[number])

    def mask(self) -> None:
        """Mask everything, in the order in which it became whole."""
        found: list[tuple[int, int, _Run, Found]] = []
        for place, run in enumerate(self._runs):
            at = 0
            for item in run.bare() or find_frames(bytes(run.octets)):
                while at + 1 < len(run.chunks) and run.chunks[at + 1][1] < item.end:
                    at += 1
                found.append((run.chunks[at][0], place, run, item))
        found.sort(key=lambda entry: entry[:2])
        for _, _, run, item in found:
            self._frame(run, item)
        for parts in (*self._segments.values(), self._mbus):
            for part in parts:
                self._marks.unknown(part)

    def finish(self) -> None:
        """Check sums, and the octets back to their chunks."""
        for run, item in self._frames:
            renew_checks(run.octets, item, self._physical)
        for run in self._runs:
            for number, at in run.chunks:
                buffer = self._buffers[number]
                buffer[:] = run.octets[at : at + len(buffer)]

    def _physical(self, physical: int) -> int:
        """A physical address of HDLC, which meters often make of their serial number."""
        if Keep.ADDRESSES in self._marks.keep or physical < _SMALL_PHYSICAL or physical > _LAST_PHYSICAL:
            return physical
        masked = int.from_bytes(self._marks.pseudonyms.secret(f"address {physical}".encode())[:2], "big")
        return _SMALL_PHYSICAL + masked % (_LAST_PHYSICAL - _SMALL_PHYSICAL)

    # -- frames -------------------------------------------------------------------------------------------------------
    def _frame(self, run: _Run, item: Found) -> None:
        part = Scatter([(run.octets, item.inside, item.inside_end - item.inside)])
        if item.kind is Kind.HDLC:
            self._frames.append((run, item))
            self._hdlc(item, part)
        elif item.kind is Kind.MBUS:
            self._frames.append((run, item))
            self._mbus_frame(part)
        elif item.kind is Kind.WRAPPER:
            header = run.octets[item.start + 2 : item.start + 6]
            self._talk.conversation.speaker = f"{int.from_bytes(header[:2])} {int.from_bytes(header[2:])}"
            self._apdus(part)
        elif item.kind is Kind.TEXT:
            redact_text(Scatter([(run.octets, item.start, item.end - item.start)]), self._marks)
        elif item.kind is Kind.NOISE:
            self._noise(run, item)

    def _hdlc(self, item: Found, part: Scatter) -> None:
        frame = item.frame
        if frame is None or not len(part):
            return
        kind = frame.kind.name
        if kind in ("SET_NORMAL_RESPONSE_MODE", "UNNUMBERED_ACKNOWLEDGEMENT", "FRAME_REJECT"):
            octets = part.read()
            known = 3 if kind == "FRAME_REJECT" else 3 + octets[2] if octets[:2] == b"\x81\x80" and octets[2:] else 0
            self._marks.unknown(part.part(known, len(part)))  # behind the parameters: data of users
            return
        if kind not in ("INFORMATION", "UNNUMBERED_INFORMATION"):
            self._marks.unknown(part)
            return
        key = (frame.destination.octets, frame.source.octets)
        self._talk.conversation.speaker = f"{key[1].hex()} {key[0].hex()}"
        number = frame.send_number if frame.send_number is not None else -1
        before = self._segments.get(key)
        last = self._last.get(key)
        is_again = number >= 0 and before is not None and last is not None and last[0] == number
        if is_again and last is not None and last[1].read() == part.read():
            self._redactor.repeated(last[1], part)
            return
        self._last[key] = (number, part)
        if not frame.segmented and before is None:
            self._apdus(part)
            return
        parts = self._segments.setdefault(key, [])
        parts.append(part)
        if not frame.segmented:
            del self._segments[key]
            self._apdus(Scatter.join(parts))

    def _mbus_frame(self, part: Scatter) -> None:
        """C, A and CI, then a segment with its access points; other applications than DLMS are masked."""
        head = part.part(0, 3).read()
        content = part.part(3, len(part))
        if head[2] >= _TRANSPORT or len(content) < 2:
            self._marks.unknown(content)
            return
        source, destination = content.part(0, 2).read()
        number, is_last = head[2] & 0x0F, bool(head[2] & _LAST_SEGMENT)
        segment = content.part(2, len(content))
        self._talk.conversation.speaker = f"{source} {destination}"
        if number and number != (self._mbus_number + 1) & 0x0F:
            self._marks.unknown(segment)
            return
        if not number:
            for part_before in self._mbus:
                self._marks.unknown(part_before)
            self._mbus = []
        self._mbus.append(segment)
        self._mbus_number = number
        if is_last:
            self._apdus(Scatter.join(self._mbus))
            self._mbus, self._mbus_number = [], -1

    def _apdus(self, octets: Scatter) -> None:
        """APDUs with or without LLC header; some meters put several into one frame."""
        while len(octets):
            header = octets.part(0, 3).read()
            if header in HEADERS:
                octets = octets.part(3, len(octets))
            if not len(octets):
                return
            end = self._redactor.apdu(octets, self._talk)
            octets = octets.part(end, len(octets))
            if octets.part(0, 3).read() not in HEADERS:
                self._marks.unknown(octets)
                return

    def _noise(self, run: _Run, item: Found) -> None:
        """What is no frame: a bare APDU or value, text, or nobody knows what."""
        pieces = run.boundaries(item.start, item.end)
        whole = Scatter([(run.octets, item.start, item.end - item.start)])
        if self._bare(whole):
            return
        if len(pieces) == 1 or len(pieces) > _MOST_NOISE_PIECES:
            self._marks.unknown(whole)
            return
        for start, end in pieces:
            piece = Scatter([(run.octets, start, end - start)])
            if not self._bare(piece):
                self._marks.unknown(piece)

    def _bare(self, part: Scatter) -> bool:
        """Whether the octets mean something by themselves; they are masked then."""
        octets = part.read()
        inner = octets[3:] if octets[:3] in HEADERS else octets
        if is_plausible(inner):
            self._apdus(part)
        elif _is_value(octets):
            self._redactor.value(part)
        elif len(octets) > 1 and all(octet in TEXT_OCTETS for octet in octets) and octets.strip(b"\x00"):
            redact_text(part, self._marks)
        else:
            return False
        return True


def _is_value(octets: bytes) -> bool:
    from cosemic.codec.axdr import decode_typed
    from cosemic.errors import DecodeError

    try:
        decode_typed(octets)
    except DecodeError:
        return False
    return len(octets) > 1


def _source(source: str, marks: Marks) -> str:
    if not source or Keep.ADDRESSES in marks.keep:
        return source
    scheme, found, rest = source.partition("://")
    if not found:
        return marks.pseudonyms.device(source)
    if scheme in ("tcp", "udp", "tls"):
        return f"{scheme}://{_end(rest, marks)}"
    shown = marks.pseudonyms.device(rest)
    return f"{scheme}://{shown}" if _SCHEME.fullmatch(scheme) else shown


def _end(end: str, marks: Marks) -> str:
    """An address with a port; the port stays."""
    if not end or Keep.ADDRESSES in marks.keep:
        return end
    host, colon, port = end.rpartition(":")
    if not colon or not _PORT.fullmatch(port):
        return marks.pseudonyms.address(end)
    masked = marks.pseudonyms.address(host.strip("[]"))
    return f"[{masked}]:{port}" if ":" in masked else f"{masked}:{port}"
