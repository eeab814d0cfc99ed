"""Captures written: recordings, pcap, pcapng, hexadecimal text, plain octets."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from cosemic.captures.chunks import Chunk, Direction
from cosemic.captures.detect import CaptureFormat
from cosemic.captures.packets import LinkType
from cosemic.captures.pcap import PcapWriter
from cosemic.captures.pcapng import PcapngWriter
from cosemic.captures.recording import HEADER, format_record
from cosemic.captures.synthesis import Synthesis, is_network

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)


def write_capture(
    file: BinaryIO, format: CaptureFormat, chunks: Iterable[Chunk], *, comments: Iterable[str] = ()  # noqa: A002
) -> None:  # fmt: skip
    """Write chunks to a file that is open for octets; ``comments`` where the format has room for them.

    Connections and datagrams become packets of Ethernet in pcap and pcapng, with all check sums and a handshake before
    the first octets; serial lines have LINKTYPE_RTAC_SERIAL (250). A pcap file has one of the two: ValueError for both
    in one, pcapng takes them. What has no time gets that of the chunk before, or 1970.
    """
    if format is CaptureFormat.PCAP:
        _write_pcap(file, chunks)
    elif format is CaptureFormat.PCAPNG:
        _write_pcapng(file, chunks, comments)
    elif format is CaptureFormat.RECORDING:
        _write_recording(file, chunks, comments)
    elif format is CaptureFormat.TEXT:
        _write_text(file, chunks, comments)
    else:
        for chunk in chunks:
            file.write(chunk.octets)


def _write_pcap(file: BinaryIO, chunks: Iterable[Chunk]) -> None:
    synthesis = Synthesis()
    writer: PcapWriter | None = None
    at = _BEGINNING
    for chunk in chunks:
        at = chunk.at or at
        for link_type, octets in synthesis.packets(chunk):
            writer = writer or PcapWriter(file, link_type)
            if writer.link_type != link_type:
                raise ValueError("a pcap file holds either serial lines or a network, not both: write pcapng")
            writer.write(at, octets)
    if writer is None:
        PcapWriter(file, LinkType.ETHERNET)


def _write_pcapng(file: BinaryIO, chunks: Iterable[Chunk], comments: Iterable[str]) -> None:
    synthesis = Synthesis()
    writer = PcapngWriter(file, "\n".join(comments))
    at = _BEGINNING
    for chunk in chunks:
        at = chunk.at or at
        for link_type, octets in synthesis.packets(chunk):
            name = "" if is_network(chunk.source) else chunk.source
            writer.write(at, link_type, octets, name=name, direction=chunk.direction)


def _write_recording(file: BinaryIO, chunks: Iterable[Chunk], comments: Iterable[str]) -> None:
    lines = [HEADER, *_commented(comments)]
    at = _BEGINNING
    for chunk in chunks:
        if chunk.note:
            lines += _commented([chunk.note])
        if chunk.octets:
            at = chunk.at or min(at, _LATEST) + timedelta(microseconds=1)
            direction = Direction.RECEIVED if chunk.direction is Direction.UNKNOWN else chunk.direction
            lines.append(format_record(at, chunk.source, direction, chunk.octets))
        if len(lines) > 1000:
            file.write("".join(f"{line}\n" for line in lines).encode())
            lines.clear()
    file.write("".join(f"{line}\n" for line in lines).encode())


def _write_text(file: BinaryIO, chunks: Iterable[Chunk], comments: Iterable[str]) -> None:
    for line in _commented(comments):
        file.write(f"{line}\n".encode())
    for chunk in chunks:
        for line in _commented([chunk.note] if chunk.note else []):
            file.write(f"{line}\n".encode())
        if chunk.octets:
            sign = f"{chunk.direction.value} " if chunk.direction.value else ""
            file.write(f"{sign}{chunk.octets.hex().upper()}\n".encode())


def _commented(texts: Iterable[str]) -> list[str]:
    return [f"# {line}" for text in texts for line in text.splitlines()]
