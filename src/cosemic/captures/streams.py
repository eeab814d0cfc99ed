"""One direction of a TCP connection put together: out of order, repeated, overlapping, lost (RFC 9293, 3.4)."""

from __future__ import annotations

from bisect import insort

MOST_WAITING = 1 << 20
"""Octets behind a missing segment that are kept before it is taken for lost."""
_MOST_SEGMENTS = 1024
_WRAP = 0xFFFFFFFF


class TcpStream:
    """The octets of one direction in order. Of two that claim the same place the first one wins."""

    __slots__ = ("_base", "_next", "_starts", "_waiting", "late", "octets_waiting")

    def __init__(self) -> None:
        self._base: int | None = None  # the sequence number of the place 0
        self._next = 0  # the place of the next octet; places do not wrap
        self._waiting: dict[int, bytes] = {}
        self._starts: list[int] = []
        self.octets_waiting = 0
        self.late = 0
        """Octets that came for a place that was given up, or before the first one seen."""

    @property
    def is_begun(self) -> bool:
        """Whether anything was seen of this direction."""
        return self._base is not None

    def begin(self, sequence: int) -> bool:
        """A SYN with that sequence number; False when it repeats the one before, or that of the beginning."""
        following = (sequence + 1) & _WRAP
        if self._base == following:
            return False
        self._base, self._next = following, 0
        self._waiting.clear()
        self._starts.clear()
        self.octets_waiting = 0
        return True

    def place(self, sequence: int) -> int:
        """Sequence number to place, nearest to what is expected next."""
        if self._base is None:
            self._base = sequence
        distance = (sequence - self._base - self._next) & _WRAP
        return self._next + (distance - (_WRAP + 1) if distance > _WRAP >> 1 else distance)

    def take(self, sequence: int, payload: bytes) -> list[tuple[int, bytes]]:
        """A segment; what is in order now, each with the octets that are missing before it (mostly 0)."""
        place = self.place(sequence)
        if place + len(payload) <= self._next:
            if place < 0:
                self.late += len(payload)
            return []
        if place > self._next:
            known = self._waiting.get(place)
            if known is None or len(known) < len(payload):
                if known is None:
                    insort(self._starts, place)
                self.octets_waiting += len(payload) - len(known or b"")
                self._waiting[place] = payload
            too_much = self.octets_waiting > MOST_WAITING or len(self._waiting) > _MOST_SEGMENTS
            return self._give_up() if too_much else []
        octets = payload[self._next - place :]
        self._next += len(octets)
        return [(0, octets), *self._follow()]

    def skip(self, sequence: int, count: int) -> None:
        """Octets that were sent and not captured, at the end of a segment."""
        place = self.place(sequence)
        if place <= self._next < place + count:
            self._next = place + count

    def acknowledged(self, sequence: int) -> list[tuple[int, bytes]]:
        """The other side has everything before ``sequence``: what is missing here will not be sent again."""
        if not self._starts or self._base is None or self.place(sequence) <= self._starts[0]:
            return []
        return self._give_up()

    def finish(self) -> list[tuple[int, bytes]]:
        """Nothing more comes: what waits behind gaps."""
        given: list[tuple[int, bytes]] = []
        while self._starts:
            given += self._give_up()
        return given

    def _give_up(self) -> list[tuple[int, bytes]]:
        missing = self._starts[0] - self._next
        self._next = self._starts[0]
        following = self._follow()
        return [(missing, following[0][1]), *following[1:]] if following else []

    def _follow(self) -> list[tuple[int, bytes]]:
        given: list[tuple[int, bytes]] = []
        used = 0
        for start in self._starts:
            if start > self._next:
                break
            used += 1
            payload = self._waiting.pop(start)
            self.octets_waiting -= len(payload)
            octets = payload[self._next - start :]
            if octets:
                given.append((0, octets))
                self._next += len(octets)
        del self._starts[:used]
        return given
