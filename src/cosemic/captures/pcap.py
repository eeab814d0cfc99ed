"""pcap files, as tcpdump writes them: both byte orders, micro- and nanoseconds (draft-ietf-opsawg-pcap)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO

from cosemic.captures.packets import LONGEST_PACKET, Packet, damage, moment, since_epoch
from cosemic.errors import DecodeError

_MAGICS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 0),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 0),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 0),
    b"\xa1\xb2\x3c\x4d": (">", 1, 0),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 8),  # the variant of old Red Hat systems, with eight octets more a packet
    b"\xa1\xb2\xcd\x34": (">", 1000, 8),
}
_SNAP_LENGTH = 262_144


def is_pcap(beginning: bytes) -> bool:
    """Whether a file that begins so is a pcap file."""
    return beginning[:4] in _MAGICS


def read_pcap(file: BinaryIO) -> Iterator[Packet]:
    """The packets of a pcap file. DecodeError where its header is none; later damage is a packet with a note."""
    header = file.read(24)
    if header[:4] not in _MAGICS or len(header) < 24:
        raise DecodeError("no pcap file: its header is damaged or cut short", octets=header)
    order, nanoseconds, more = _MAGICS[header[:4]]
    link_type = struct.unpack(f"{order}I", header[20:24])[0] & 0xFFFF  # above: the length of frame check sequences
    record = struct.Struct(f"{order}IIII")
    number = 0
    while beginning := file.read(16 + more):
        number += 1
        if len(beginning) < 16 + more:
            yield damage(f"the pcap file is cut short in packet {number}")
            return
        seconds, fraction, length, original = record.unpack_from(beginning)
        if length > LONGEST_PACKET:
            yield damage(f"packet {number} of the pcap file claims {length} octets; the rest of the file is left out")
            return
        octets = file.read(length)
        if len(octets) < length:
            yield damage(f"the pcap file is cut short in packet {number}")
            return
        yield Packet(moment(seconds, fraction * nanoseconds), link_type, octets, max(original, length))


class PcapWriter:
    """Writes a pcap file of one link type, in microseconds, that any tool opens."""

    def __init__(self, file: BinaryIO, link_type: int) -> None:
        self._file = file
        self.link_type = link_type
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAP_LENGTH, link_type))

    def write(self, at: datetime, octets: bytes) -> None:
        """Append a packet."""
        seconds, microseconds = since_epoch(at)
        self._file.write(
            struct.pack("<IIII", seconds & 0xFFFFFFFF, microseconds, len(octets), len(octets)) + bytes(octets)
        )
