"""What a pcap or pcapng file holds: packets of a link type, before anybody looks into them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cosemic.captures.chunks import Direction

LONGEST_PACKET = 1 << 20
"""More than any tool writes (256 KiB); what claims to be longer is damage."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253_402_300_799  # the end of the year 9999


class LinkType(enum.IntEnum):
    """Numbers of the registry of link types (tcpdump.org/linktypes.html), those that are read here."""

    NULL = 0
    ETHERNET = 1
    RAW_BSD = 12
    RAW_OPENBSD = 14
    RAW = 101
    LOOP = 108
    LINUX_SLL = 113
    USER0 = 147
    USER15 = 162
    IPV4 = 228
    IPV6 = 229
    RTAC_SERIAL = 250
    LINUX_SLL2 = 276


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet. ``original_length`` is what it had on the wire; ``interface`` the name of where it was taken.

    A packet without octets and with a ``note`` tells of damage in the file.
    """

    at: datetime | None
    link_type: int
    octets: bytes
    original_length: int
    interface: str = ""
    direction: Direction = Direction.UNKNOWN
    note: str = ""


def moment(seconds: int, nanoseconds: int) -> datetime | None:
    """Seconds since 1970 as a time, cut to microseconds; None where that is no time of our calendar."""
    if not 0 <= seconds <= _LATEST:
        return None
    return _EPOCH + timedelta(seconds=seconds, microseconds=min(nanoseconds, 999_999_999) // 1000)


def since_epoch(at: datetime) -> tuple[int, int]:
    """Seconds and microseconds since 1970; (0, 0) for what is before."""
    microseconds = max((at - _EPOCH) // timedelta(microseconds=1), 0)
    return divmod(microseconds, 1_000_000)


def damage(note: str) -> Packet:
    """A packet that only tells of damage."""
    return Packet(None, -1, b"", 0, note=note)
