"""A spool on disk: what came waits here, bounded and durable, until every output has it.

A folder of segments, files that are only appended to and removed as a whole; records are numbered without a gap, and a
segment is named by the first it holds. What a crash leaves half written at the end is cut off when the spool is opened.
The position of each output is in ``positions.json``, which is replaced as a whole.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from cosemic.delivery.segments import HEAD, MAGIC, SUFFIX, Segment, take
from cosemic.errors import DlmsError

_log = logging.getLogger("cosemic.delivery")
_SMALLEST: Final = 1 << 16


class SpoolError(DlmsError):
    """The spool cannot be used: the text says whether it is the disk, the rights or another process."""


class SpoolFull(SpoolError):
    """There is no room for more within the limits."""


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """How much may wait: octets on disk, messages, and for how many seconds. ``segment`` octets go into one file."""

    octets: int = 1 << 30
    messages: int = 10_000_000
    age: float = 30 * 86400.0
    segment: int = 8 << 20

    def __post_init__(self) -> None:
        if self.octets < 8 * _SMALLEST or self.messages < 1 or self.age <= 0 or self.segment < 1:
            raise ValueError(f"a spool holds at least {8 * _SMALLEST} octets and one message, for some time")

    @property
    def segment_octets(self) -> int:
        """The octets of one file: room is made by whole files, so there are always several."""
        return max(_SMALLEST, min(self.segment, self.octets // 8))


class Spool:
    """The spool in a folder. Blocking, one call at a time; one process has it, others get SpoolError.

    ``open`` it first. Positions are numbers of messages: an output at position n has all below n. ``sync`` False leaves
    it to the system when octets reach the disk: a killed process loses nothing then, a power cut may.
    """

    def __init__(self, folder: Path, limits: SpoolLimits | None = None, *, sync: bool = True) -> None:
        self.folder = folder
        self.limits = limits or SpoolLimits()
        self.damaged = 0
        """Messages that could not be read any more."""
        self._sync = sync
        self._lock: BinaryIO | None = None
        self._segments: list[Segment] = []
        self._descriptor = -1
        self._positions: dict[str, int] = {}
        self._positions_are_lost = False
        self._active: set[str] = set()
        self._places: dict[str, tuple[int, int, int]] = {}

    def open(self) -> None:
        """Take the folder and mend what a crash has left; SpoolError when it cannot be used."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self._load_positions()
            self._load_segments()
        except (OSError, SpoolError) as error:
            self.close()
            raise error if isinstance(error, SpoolError) else self._trouble(error) from None

    def close(self) -> None:
        """Let go of the folder; what waits stays."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def begin(self) -> int:
        """The number of the oldest message that is kept."""
        return self._segments[0].first

    @property
    def end(self) -> int:
        """The number that the next message gets."""
        return self._segments[-1].end

    @property
    def octets(self) -> int:
        """The octets on disk."""
        return sum(segment.octets for segment in self._segments)

    def register(self, output: str) -> int:
        """The position of an output, for which messages are kept from now on; a new one begins with what comes next."""
        known = self._positions.get(output, self.begin if self._positions_are_lost else self.end)
        position = max(self.begin, min(known, self.end))
        if known > self.end or output not in self._positions:
            self._positions[output] = position
            self._save_positions(sync=self._sync)
        self._positions[output] = position
        self._active.add(output)
        return position

    def append(self, records: Sequence[bytes]) -> None:
        """Write records durably, all or none; SpoolFull when there is no room, SpoolError when the disk fails."""
        octets = sum(map(len, records)) + HEAD.size * len(records)
        if not self._has_room(octets, len(records)):
            raise SpoolFull(f"the spool {self.folder} is full: {self.end - self.begin} messages wait in it")
        try:
            if self._segments[-1].octets >= self.limits.segment_octets:
                self._begin_segment()
            self._segments[-1].append(self._descriptor, records, sync=self._sync)
        except OSError as error:
            raise self._trouble(error) from None

    def read(self, output: str, position: int, messages: int, octets: int) -> tuple[list[bytes], int]:
        """Records from a position on, at least one where there is one, and the position after them.

        What is damaged is told and left out, so the position may be further on than there are records.
        """
        found: list[bytes] = []
        position = max(position, self.begin)
        try:
            while position < self.end and not found:
                segment = next(segment for segment in self._segments if position < segment.end)
                found, position = self._read_segment(output, segment, position, messages, octets)
        except OSError as error:
            raise self._trouble(error) from None
        return found, position

    def acknowledge(self, output: str, position: int) -> None:
        """The output has all below ``position``; what every output has is removed."""
        if position == self._positions.get(output):
            return
        self._positions[output] = position
        try:
            self._save_positions()
            self._release()
        except OSError as error:
            raise self._trouble(error) from None

    def drop_expired(self, now: float | None = None) -> dict[str, int]:
        """Drop files that are older than the limit; how many messages each output loses by it."""
        lost: dict[str, int] = {}
        now = time.time() if now is None else now
        while self.end > self.begin and self._segments[0].newest < now - self.limits.age:
            for output, count in self.drop_oldest().items():
                lost[output] = lost.get(output, 0) + count
        return lost

    def drop_oldest(self) -> dict[str, int]:
        """Make room by dropping the oldest file; how many messages each output loses by it."""
        lost: dict[str, int] = {}
        try:
            if len(self._segments) == 1:
                self._begin_segment()
            segment = self._segments[0]
            for output in self._active:
                missing = segment.end - max(self._positions[output], segment.first)
                if missing > 0:
                    lost[output] = missing
                    self._positions[output] = segment.end
            self._save_positions()
            self._remove_oldest()
        except OSError as error:
            raise self._trouble(error) from None
        return lost

    def _has_room(self, octets: int, messages: int) -> bool:
        fits = self.octets + octets <= self.limits.octets and self.end - self.begin + messages <= self.limits.messages
        # One that is larger than everything is let into an empty spool: refusing it for ever would help nobody.
        return fits or self.end == self.begin

    def _release(self) -> None:
        least = min((self._positions[output] for output in self._active), default=self.end)
        if least == self.end and self.end > self.begin and self._segments[-1].octets > _SMALLEST:
            self._begin_segment()
        while len(self._segments) > 1 and self._segments[0].end <= least:
            self._remove_oldest()

    def _begin_segment(self) -> None:
        segment = Segment.create(self.folder, self.end)
        descriptor = os.open(segment.path, _APPEND)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        if self._segments[-1].first == segment.first:
            self._segments.pop()  # it was empty, and is this one
        self._segments.append(segment)

    def _remove_oldest(self) -> None:
        self._segments[0].path.unlink(missing_ok=True)
        del self._segments[0]

    def _read_segment(
        self, output: str, segment: Segment, position: int, messages: int, octets: int
    ) -> tuple[list[bytes], int]:
        found: list[bytes] = []
        first, number, offset = self._places.get(output, (-1, 0, 0))
        if first != segment.first or number > position:
            number, offset = segment.first, len(MAGIC)
        with open(segment.path, "rb") as file:
            while number < segment.end and messages > 0 and octets > 0:
                record, length = take(file, number, offset, segment.octets)
                if record is None:
                    count = 1 if length else segment.end - number
                    self.damaged += count
                    _log.error("%s is damaged at octet %d: %d messages are lost", segment.path, offset, count)
                    number += count
                    offset += length
                    continue
                if number >= position:
                    found.append(record)
                    messages -= 1
                    octets -= len(record)
                number += 1
                offset += length
        self._places[output] = (segment.first, number, offset)
        return found, max(number, position)

    def _load_segments(self) -> None:
        paths = sorted(path for path in self.folder.glob(f"*{SUFFIX}") if path.stem.isdecimal())
        for path in paths:
            segment = Segment.find(path)
            if segment is None:
                _log.warning("%s has no beginning and is removed", path)
                path.unlink()
                continue
            if self._segments and self._segments[-1].end < segment.first:
                # In the middle of a file: the numbers are kept, and reading tells what is missing.
                self._segments[-1].end = segment.first
                self._segments[-1].octets = self._segments[-1].path.stat().st_size
            self._segments.append(segment)
        furthest = max(self._positions.values(), default=0)
        if not self._segments or self.end < furthest:  # somebody has emptied the folder: no number comes twice
            segment = Segment.create(self.folder, max(furthest, self.end if self._segments else 0))
            self._segments.append(segment)
        last = self._segments[-1]
        self._descriptor = os.open(last.path, _APPEND)
        cut = os.fstat(self._descriptor).st_size - last.octets
        if cut > 0:
            _log.warning("%s: %d octets at the end that are no whole record are cut off", last.path, cut)
            os.ftruncate(self._descriptor, last.octets)
            os.fsync(self._descriptor)

    def _load_positions(self) -> None:
        path = self.folder / _POSITIONS
        try:
            positions = json.loads(path.read_bytes())
            self._positions = {str(output): max(0, int(position)) for output, position in positions.items()}
        except FileNotFoundError:
            self._positions = {}
        except (ValueError, AttributeError, TypeError):
            _log.error("%s is damaged: what is in the spool is delivered again", path)
            self._positions_are_lost = True

    def _save_positions(self, *, sync: bool = False) -> None:
        path = self.folder / _POSITIONS
        fresh = path.with_suffix(".new")
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump(self._positions, file)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(fresh, path)

    def _take_lock(self) -> None:
        self._lock = open(self.folder / "lock", "ab")  # noqa: SIM115 - held until close
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(self._lock.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SpoolError(f"another process uses the spool {self.folder}; give each its own folder") from None

    def _trouble(self, error: OSError) -> SpoolError:
        return SpoolError(f"the spool {self.folder} fails: {error.strerror or error}; make room or mend its rights")


_POSITIONS: Final = "positions.json"
_APPEND: Final = os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
