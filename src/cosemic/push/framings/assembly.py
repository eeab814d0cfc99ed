"""From the frames of a stream to whole telegrams: segments and general blocks of several senders are put together."""

from __future__ import annotations

from collections.abc import Hashable

from cosemic.link.frames import HdlcFrame
from cosemic.link.llc import HEADERS
from cosemic.link.mbus import MbusFrame
from cosemic.push.framings import apdus, blocks, hdlc
from cosemic.push.framings.mbus import MbusSets
from cosemic.push.framings.sets import OpenSets, dropped
from cosemic.push.telegrams import Content, Framing, Heard, Telegram
from cosemic.tolerances import Tolerance

_IS_APDU = Content.APDU
_HDLC, _MBUS = Framing.HDLC, Framing.MBUS


class Assembly:
    """What has begun on one line. Each of its three kinds of parts keeps ``max_telegram`` octets at the most."""

    __slots__ = ("_blocks", "_max_senders", "_max_telegram", "_mbus", "_segments", "_tolerances")

    def __init__(self, max_senders: int, max_telegram: int, tolerances: frozenset[Tolerance]) -> None:
        self._max_senders = max_senders
        self._max_telegram = max_telegram
        self._tolerances = tolerances
        self._segments: OpenSets | None = None
        self._blocks: OpenSets | None = None
        self._mbus: MbusSets | None = None

    def __bool__(self) -> bool:
        return bool(self._segments or self._blocks or self._mbus)

    @property
    def octets(self) -> int:
        """How many octets are kept."""
        return sum(sets.octets for sets in (self._segments, self._blocks, self._mbus) if sets is not None)

    def add_hdlc(self, frame: HdlcFrame, offset: int, found: list[Heard]) -> None:
        """Take the information of a frame that began at ``offset``."""
        information = frame.information
        is_cut = False
        sender = hdlc.sender_of(frame)
        if frame.segmented or (self._segments is not None and self._segments.get(sender) is not None):
            if self._segments is None:
                self._segments = OpenSets("HDLC segments", self._max_senders, self._max_telegram)
            whole = hdlc.add_segment(self._segments, frame, offset, found)
            if whole is None:
                return
            is_cut = whole[1] != offset
            information, offset = whole
        source, destination = frame.source.logical, frame.destination.logical
        for apdu in hdlc.split(information, offset, self._tolerances, found):
            is_complete = not is_cut or not apdus.is_cut(apdu)
            self.take(apdu, _HDLC, source, destination, offset, sender, found, is_complete)

    def doubt_segments(self, found: list[Heard]) -> None:
        """What may have been a frame was damaged: segments that are not numbered may be without one."""
        if self._segments is not None:
            hdlc.drop_unnumbered(self._segments, found)

    def add_mbus(self, frame: MbusFrame, offset: int, found: list[Heard]) -> None:
        """Take a long frame that began at ``offset``."""
        if self._mbus is None:
            self._mbus = MbusSets(self._max_senders, self._max_telegram, self._tolerances)
        whole = self._mbus.add(frame, offset, found)
        if whole is not None:
            apdu, offset = whole
            sender = (_MBUS, apdu.source, apdu.destination)
            self.take(apdu.apdu, _MBUS, apdu.source, apdu.destination, offset, sender, found)

    def take(
        self,
        apdu: bytes,
        framing: Framing,
        source: int | None,
        destination: int | None,
        offset: int,
        sender: Hashable,
        found: list[Heard],
        is_complete: bool = True,
    ) -> None:
        """An APDU, or a general block of one."""
        if apdu[:1] == blocks.TAG:
            if self._blocks is None:
                self._blocks = OpenSets("general blocks", self._max_senders, self._max_telegram)
            whole = blocks.add(self._blocks, apdu, framing, source, destination, offset, sender, found)
            if whole is None:
                return
            apdu, offset = whole
        if not apdu:
            return
        if len(apdu) > self._max_telegram:
            reason = f"a telegram of {len(apdu)} octets, more than the limit of {self._max_telegram}"
            found.append(dropped(reason, apdu, offset, framing))
        else:
            found.append(Telegram(framing, apdu, _IS_APDU, source, destination, offset, is_complete))

    def expects_block(self, sender: Hashable, number: int) -> bool:
        """Whether this is the next general block of that sender, or the last one again."""
        begun = self._blocks.get(sender) if self._blocks is not None else None
        return begun is not None and 0 <= begun.expected - number <= 1

    def close(self, found: list[Heard]) -> None:
        """The line is silent: what is there of each telegram, the rest of which is not going to come."""
        if self._mbus is not None:
            self._mbus.close_all(found)
        for sets in (self._segments, self._blocks):
            for begun in sets.close_all() if sets is not None else ():
                octets = bytes(begun.octets)
                if sets is self._segments and octets[:3] in HEADERS:
                    octets = octets[3:]
                if octets:
                    ends = begun.source, begun.destination
                    found.append(Telegram(begun.framing, octets, _IS_APDU, *ends, begun.offset, is_complete=False))
        self._segments = self._blocks = self._mbus = None
