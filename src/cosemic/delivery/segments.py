"""One file of the spool: records one after another, each with its length and a check sum."""

from __future__ import annotations

import os
import struct
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

SUFFIX: Final = ".spool"
MAGIC: Final = b"cosemic1"
HEAD: Final = struct.Struct("<II")
"""What stands before each record: its length, and the CRC-32 over its number, its length and its octets."""


@dataclass(slots=True)
class Segment:
    """A file with the records ``first`` to ``end`` - 1 in ``octets`` octets; ``newest`` is when it was last written."""

    path: Path
    first: int
    end: int
    octets: int
    newest: float

    @classmethod
    def create(cls, folder: Path, first: int) -> Segment:
        """An empty one, durable when this returns."""
        path = folder / f"{first:020d}{SUFFIX}"
        with open(path, "wb") as file:
            file.write(MAGIC)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)
        return cls(path, first, first, len(MAGIC), time.time())

    @classmethod
    def find(cls, path: Path) -> Segment | None:
        """What is whole of a file, up to the first record that no record follows; None when there is no beginning."""
        first = int(path.stem)
        size = path.stat().st_size
        with open(path, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return None
            number, offset = first, len(MAGIC)
            while offset < size:
                octets, length = take(file, number, offset, size)
                if length == 0 or (octets is None and offset + length >= size):
                    break
                number += 1
                offset += length
        return cls(path, first, number, offset, path.stat().st_mtime)

    def append(self, descriptor: int, records: Sequence[bytes], *, sync: bool) -> None:
        """Write records behind the others, all or none; OSError when the disk does not take them."""
        pieces: list[bytes] = []
        for number, record in enumerate(records, self.end):
            pieces += (HEAD.pack(len(record), check_sum(number, record)), record)
        octets = b"".join(pieces)
        try:
            view = memoryview(octets)
            while view:
                view = view[os.write(descriptor, view) :]
            if sync:
                os.fdatasync(descriptor) if hasattr(os, "fdatasync") else os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, self.octets)  # whether it is on the disk is not known: it will be written again
            raise
        self.octets += len(octets)
        self.end += len(records)
        self.newest = time.time()


def take(file: BinaryIO, number: int, offset: int, size: int) -> tuple[bytes | None, int]:
    """The record at an offset, and its octets in the file.

    (None, n) when it is damaged but the next one is whole, or the file ends, n octets on; (None, 0) when nothing can be
    made of what follows.
    """
    file.seek(offset)
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        return None, 0
    length, expected = HEAD.unpack(head)
    if offset + HEAD.size + length > size:
        return None, 0
    record = file.read(length)
    if check_sum(number, record) == expected:
        return record, HEAD.size + length
    following = offset + HEAD.size + length
    if following == size or _is_whole(file, number + 1, following, size):
        return None, HEAD.size + length
    return None, 0


def check_sum(number: int, record: bytes) -> int:
    """The CRC-32 of a record; its number is in it, so that octets of an older file are never taken for newer ones."""
    return zlib.crc32(record, zlib.crc32(b"%d %d " % (number, len(record))))


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _is_whole(file: BinaryIO, number: int, offset: int, size: int) -> bool:
    file.seek(offset)
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        return False
    length, expected = HEAD.unpack(head)
    return bool(offset + HEAD.size + length <= size and check_sum(number, file.read(length)) == expected)
