"""Wired M-Bus: the segments of DLMS APDUs in its long frames, by the address of the frames."""

from __future__ import annotations

from cosemic.link.events import FrameDropped
from cosemic.link.mbus import MbusApdu, MbusFrame, SegmentCollector
from cosemic.push.framings.sets import dropped
from cosemic.push.telegrams import Framing, Heard, Telegram
from cosemic.tolerances import Tolerance


class MbusSets:
    """The open segment sets of one line, by the address of the frames; the oldest goes when there are too many."""

    __slots__ = ("_collectors", "_max_apdu", "_max_sets", "_tolerances")

    def __init__(self, max_sets: int, max_apdu: int, tolerances: frozenset[Tolerance]) -> None:
        self._max_sets = max_sets
        self._max_apdu = max_apdu
        self._tolerances = tolerances
        self._collectors: dict[int, tuple[SegmentCollector, int]] = {}

    def __len__(self) -> int:
        return len(self._collectors)

    @property
    def octets(self) -> int:
        """How many octets are kept."""
        return sum(len(collector) for collector, _ in self._collectors.values())

    def add(self, frame: MbusFrame, offset: int, found: list[Heard]) -> tuple[MbusApdu, int] | None:
        """Take a long frame that began at ``offset``; gives the APDU that it completes, and where that began."""
        if not frame.is_transport:
            reason = f"an M-Bus frame that carries no DLMS segment (CI {frame.ci:02X})"
            found.append(dropped(reason, frame.data, offset, Framing.MBUS))
            return None
        begun = self._collectors.get(frame.address)
        if begun is None:
            if len(self._collectors) >= self._max_sets:
                self._drop_oldest(found)
            begun = SegmentCollector(self._max_apdu, tolerances=self._tolerances), offset
        collector = begun[0]
        whole = collector.add(frame)
        if isinstance(whole, FrameDropped):
            found.append(dropped(whole.reason, whole.octets, begun[1], Framing.MBUS))
        elif isinstance(whole, MbusApdu):
            self._collectors.pop(frame.address, None)
            return whole, offset if frame.number == 0 else begun[1]
        if not len(collector):
            self._collectors.pop(frame.address, None)
        else:
            has_begun_here = len(collector) == len(frame.data) - 2
            self._collectors[frame.address] = collector, offset if has_begun_here else begun[1]
            while len(self._collectors) > 1 and self.octets > self._max_apdu:
                self._drop_oldest(found)
        return None

    def _drop_oldest(self, found: list[Heard]) -> None:
        address = next(iter(self._collectors))
        collector, offset = self._collectors.pop(address)
        reason = "M-Bus segments without the last one: other senders have begun too much since"
        found.append(dropped(reason, collector.octets, offset, Framing.MBUS))

    def close_all(self, found: list[Heard]) -> None:
        """The line is silent: what is there of each APDU."""
        for collector, offset in self._collectors.values():
            source, destination = collector.access_points
            found.append(
                Telegram(
                    Framing.MBUS,
                    collector.octets,
                    source=source,
                    destination=destination,
                    offset=offset,
                    is_complete=False,
                )
            )
        self._collectors.clear()
