"""HDLC addresses of 1, 2 and 4 octets (IEC 62056-46, 6.4.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from cosemic.errors import FrameError

ALL_STATION = {1: 0x7F, 2: 0x7F, 4: 0x3FFF}
"""The all-station (broadcast) value of one address part, by the size of the whole address."""

CALLING_STATION = {1: 0x7E, 2: 0x7E, 4: 0x3FFE}
"""The calling-physical-device value of the lower part: the device that answers puts its own address in its place."""

NO_STATION = 0


@dataclass(frozen=True, slots=True)
class HdlcAddress:
    """One address of a frame: ``logical`` is the upper part (client SAP, or logical device), ``physical`` the lower.

    ``size`` is 1, 2 or 4 octets; None takes the smallest that holds the numbers. Two addresses with the same numbers
    are equal whatever their size. A number that does not fit is a ValueError.
    """

    logical: int
    physical: int | None = None
    size: int | None = field(default=None, compare=False)
    octets: bytes = field(init=False, repr=False, compare=False)

    _cache: ClassVar[dict[bytes, HdlcAddress]] = {}

    def __post_init__(self) -> None:
        size = self.size
        if size is None:
            if self.physical is None:
                size = 1
            else:
                size = 2 if self.logical <= 0x7F and self.physical <= 0x7F else 4
            object.__setattr__(self, "size", size)
        if size not in ALL_STATION:
            raise ValueError(f"an HDLC address has 1, 2 or 4 octets, not {size}")
        if (size == 1) != (self.physical is None):
            raise ValueError("an HDLC address of 1 octet has no physical part, one of 2 or 4 octets needs it")
        limit = ALL_STATION[size]
        for name, number in (("logical", self.logical), ("physical", self.physical or 0)):
            if not 0 <= number <= limit:
                raise ValueError(f"{name} address {number} does not fit into an HDLC address of {size} octets")
        object.__setattr__(self, "octets", _encode(self.logical, self.physical, size))

    def encode(self) -> bytes:
        """The octets for the wire; the last one has its lowest bit set."""
        return self.octets

    @classmethod
    def decode(cls, octets: bytes, offset: int = 0) -> tuple[HdlcAddress, int]:
        """Read the address that starts at ``offset``; gives it and the offset after it. FrameError when it is none."""
        end = offset + address_size(octets, offset)
        return cls.from_octets(bytes(octets[offset:end])), end

    @classmethod
    def from_octets(cls, octets: bytes) -> HdlcAddress:
        """The address that these 1, 2 or 4 octets are; FrameError when they are none."""
        found = cls._cache.get(octets)
        if found is None:
            if not octets or address_size(octets, 0) != len(octets):
                raise FrameError(f"{octets.hex()} is not one HDLC address")
            found = _decode(octets)
            if len(cls._cache) >= 4096:  # the peer chooses what lands here
                cls._cache.clear()
            cls._cache[octets] = found
        return found

    @property
    def is_all_station(self) -> bool:
        """Whether the frame is meant for every device (or every logical device of the physical one)."""
        limit = ALL_STATION[len(self.octets)]
        return (self.logical if self.physical is None else self.physical) == limit

    @property
    def is_calling_station(self) -> bool:
        """Whether the lower part is the calling-physical-device address."""
        return self.physical is not None and self.physical == CALLING_STATION[len(self.octets)]

    @property
    def is_no_station(self) -> bool:
        """Whether this is the no-station address, which every station ignores."""
        return self.logical == NO_STATION and not self.physical

    def __str__(self) -> str:
        return str(self.logical) if self.physical is None else f"{self.logical}/{self.physical}"


def address_size(octets: bytes, offset: int) -> int:
    """How many octets the address at ``offset`` has; FrameError when it is cut short or has 3, 5 or more."""
    for size in (1, 2, 3, 4):
        if offset + size > len(octets):
            raise FrameError("the frame ends within an address")
        if octets[offset + size - 1] & 1:
            if size == 3:
                raise FrameError("an HDLC address of 3 octets does not exist")
            return size
    raise FrameError("an HDLC address of more than 4 octets does not exist")


def _encode(logical: int, physical: int | None, size: int) -> bytes:
    if physical is None:
        return bytes((logical << 1 | 1,))
    if size == 2:
        return bytes((logical << 1, physical << 1 | 1))
    return bytes((logical >> 6 & 0xFE, logical << 1 & 0xFE, physical >> 6 & 0xFE, physical << 1 & 0xFE | 1))


def _decode(octets: bytes) -> HdlcAddress:
    if len(octets) == 1:
        return HdlcAddress(octets[0] >> 1, None, 1)
    if len(octets) == 2:
        return HdlcAddress(octets[0] >> 1, octets[1] >> 1, 2)
    upper = octets[0] >> 1 << 7 | octets[1] >> 1
    lower = octets[2] >> 1 << 7 | octets[3] >> 1
    return HdlcAddress(upper, lower, 4)
