"""The numbers of an HDLC connection: what was sent and not yet acknowledged, and what comes next (modulo 8)."""

from __future__ import annotations

import enum

MODULUS_MASK = 7


class SendWindow:
    """Segments on their way out. V(S) is the number of the next new frame, the oldest unacknowledged one is first."""

    __slots__ = ("_offset", "_oldest", "_queue", "_segment", "_sent", "size")

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self._oldest = 0
        self._sent: list[tuple[bytes, bool]] = []
        self._queue: list[bytes] = []  # whole information fields, cut when their turn comes
        self._offset = 0  # how much of the first one was taken
        self._segment = 0

    @property
    def send_state(self) -> int:
        """V(S)."""
        return (self._oldest + len(self._sent)) & MODULUS_MASK

    @property
    def has_unacknowledged(self) -> bool:
        """Whether something that was sent awaits its acknowledgement."""
        return bool(self._sent)

    @property
    def has_queued(self) -> bool:
        """Whether something was never sent yet."""
        return bool(self._queue)

    @property
    def waiting_octets(self) -> int:
        """Octets that were never sent yet, those of whole information fields."""
        return sum(map(len, self._queue))

    def queue(self, information: bytes, max_information: int) -> None:
        """Line up ``information``; it goes out in segments of at most ``max_information`` octets."""
        self._queue.append(information)
        self._segment = max_information

    def acknowledge(self, receive_number: int) -> int:
        """Take an N(R): how many frames it acknowledges; -1 when it names one that was not sent, or is long gone."""
        count = (receive_number - self._oldest) & MODULUS_MASK
        if count > len(self._sent):
            return -1
        del self._sent[:count]
        self._oldest = receive_number
        return count

    def acknowledge_all(self) -> None:
        """Take everything sent as received."""
        self._oldest = self.send_state
        self._sent.clear()

    def unacknowledged(self) -> list[tuple[int, bytes, bool]]:
        """What to send again, oldest first: N(S), information, segmented."""
        return [
            ((self._oldest + index) & MODULUS_MASK, information, segmented)
            for index, (information, segmented) in enumerate(self._sent)
        ]

    def take(self) -> list[tuple[int, bytes, bool]]:
        """What to send for the first time, as much as the window allows: N(S), information, segmented."""
        taken: list[tuple[int, bytes, bool]] = []
        while self._queue and len(self._sent) < self.size:
            number = self.send_state
            information = self._queue[0]
            end = self._offset + self._segment
            segment = (information[self._offset : end], end < len(information))
            self._offset = end
            if not segment[1]:
                del self._queue[0]
                self._offset = 0
            self._sent.append(segment)
            taken.append((number, *segment))
        return taken


class Arrival(enum.Enum):
    """What an incoming I frame turned out to be."""

    SEGMENT = "a segment in its turn; more follow"
    COMPLETE = "the last, or only, segment in its turn"
    REPEATED = "a frame that was there before"
    OUT_OF_TURN = "a frame before which others are missing"
    TOO_LONG = "more octets than an APDU may have"


class ReceiveWindow:
    """Segments on their way in. V(R) is the number that must come next."""

    __slots__ = ("_assembly", "_limit", "receive_state", "size")

    def __init__(self, size: int, limit: int) -> None:
        self.size = size
        self.receive_state = 0
        self._limit = limit
        self._assembly = bytearray()

    @property
    def is_partial(self) -> bool:
        """Whether the last segment of an APDU is still to come."""
        return bool(self._assembly)

    def accept(self, send_number: int, information: bytes, segmented: bool) -> Arrival:
        """Take one I frame; its number decides whether it counts."""
        behind = (self.receive_state - send_number) & MODULUS_MASK
        if behind:
            # within a window of 7 a number can be both; asking again is then the safe reading
            ahead = MODULUS_MASK + 1 - behind
            return Arrival.OUT_OF_TURN if ahead < self.size or behind > self.size else Arrival.REPEATED
        if len(self._assembly) + len(information) > self._limit:
            return Arrival.TOO_LONG
        self.receive_state = (self.receive_state + 1) & MODULUS_MASK
        self._assembly += information
        return Arrival.SEGMENT if segmented else Arrival.COMPLETE

    def take(self) -> bytes:
        """The whole information that has been put together."""
        information = bytes(self._assembly)
        self._assembly.clear()
        return information
