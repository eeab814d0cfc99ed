"""A simulated meter as a secondary station of a wired M-Bus (EN 13757-2, IEC 62056-7-3), without I/O."""

from __future__ import annotations

from collections import deque

from cosemic.link import mbus
from cosemic.link.events import FrameDropped
from cosemic.link.mbus import MbusApdu, MbusFrame, MbusReader, SegmentCollector
from cosemic.meter.connections import MOST_PAIRS, NewTalk, Talk, Trace, logger
from cosemic.meter.model import SimulatedMeter
from cosemic.protocol.redaction import FrameRedactor

_SILENCE = 0.5
"""Seconds of silence after which a frame that has begun is given up."""


class MbusConnection:
    """The frames of one bus. Stations answer when they are asked, and say a thing again when the frame count bit asks
    for it."""

    def __init__(
        self,
        meter: SimulatedMeter,
        *,
        address: int = 0,
        trace: Trace | None = None,
        new_talk: NewTalk | None = None,
    ) -> None:
        self._meter = meter
        self._address = address
        self._trace = trace
        self._redactor = FrameRedactor()
        self._new_talk = new_talk or (lambda client, server: Talk(meter, client, server, trace))
        self._reader = MbusReader()
        self._silence: float | None = None
        self._request = SegmentCollector()
        self._talks: dict[tuple[int, int], Talk] = {}
        self._answers: deque[MbusFrame] = deque()
        self._last_bits: dict[int, int | None] = {}
        self._last_answer: MbusFrame | None = None
        self.is_broken = False

    def receive_data(self, data: bytes, now: float) -> bytes:
        """Take octets of the bus; what is no frame is skipped."""
        out = self._take(self._reader.feed(data))
        self._silence = now + _SILENCE if self._reader.is_partial else None
        return out

    def next_deadline(self) -> float | None:
        """The end of a silence within a frame."""
        return self._silence

    def on_time(self, now: float) -> bytes:
        """Give up a frame that stays incomplete."""
        if self._silence is None or now < self._silence:
            return b""
        self._silence = None
        return self._take(self._reader.expire())

    def close(self) -> None:
        """The line is gone, and all associations with it."""
        for talk in self._talks.values():
            talk.close("the connection ended")
        self._talks.clear()

    def _take(self, items: list[mbus.Item]) -> bytes:
        out: list[bytes] = []
        for item in items:
            if isinstance(item, FrameDropped):
                logger.info("%d octets dropped: %s", len(item.octets), item.reason)
                continue
            if self._trace is not None and len(item.data) <= 252:
                self._trace("link", "in", self._redactor.frame("in", item.encode()))
            answer = self._answer(item)
            if answer is not None:
                octets = answer.encode()
                if self._trace is not None:
                    self._trace("link", "out", self._redactor.frame("out", octets))
                out.append(octets)
        return b"".join(out)

    def _answer(self, frame: MbusFrame) -> MbusFrame | None:
        control = frame.control
        if control is None or not control & mbus.PRIMARY:
            return None
        if frame.address not in (self._address, mbus.BROADCAST, mbus.TO_ANYONE):
            return None
        kind = control & 0x4F
        if kind == mbus.SND_NKE:
            self._reset()
            answer: MbusFrame | None = MbusFrame()
        elif kind == mbus.SND_UD & 0x4F and frame.is_transport:
            if not self._is_repeated(mbus.SND_UD, control):
                self._receive(frame)
            if frame.address == mbus.BROADCAST:
                self._answers.clear()  # nobody is going to fetch them
            answer = MbusFrame()
        elif kind == mbus.REQ_UD2 & 0x4F:
            if not self._is_repeated(mbus.REQ_UD2, control):
                self._last_answer = self._answers.popleft() if self._answers else MbusFrame()
            answer = self._last_answer or MbusFrame()
        else:
            return None
        return None if frame.address == mbus.BROADCAST else answer

    def _is_repeated(self, kind: int, control: int) -> bool:
        """Whether the frame count bit says that this command came before."""
        if not control & mbus.FRAME_COUNT_VALID:
            return False
        bit = control & mbus.FRAME_COUNT_BIT
        repeated = self._last_bits.get(kind) == bit
        self._last_bits[kind] = bit
        return repeated

    def _reset(self) -> None:
        self._request.clear()
        self._answers.clear()
        self._last_bits.clear()
        self._last_answer = None

    def _receive(self, frame: MbusFrame) -> None:
        result = self._request.add(frame)
        if isinstance(result, FrameDropped):
            logger.info("%d octets dropped: %s", len(result.octets), result.reason)
        elif isinstance(result, MbusApdu):
            self._execute(result)

    def _execute(self, request: MbusApdu) -> None:
        pair = (request.source, request.destination)
        talk = self._talks.get(pair)
        if talk is None:
            if len(self._talks) >= MOST_PAIRS or request.destination not in self._meter.devices:
                logger.info("APDU from client %d to logical device %d dropped", *pair)
                return
            talk = self._talks[pair] = self._new_talk(*pair)
        self._answers.clear()  # who asks anew does not want the rest of the last answer
        for apdu in talk.receive(request.apdu):
            self._answers.extend(mbus.segments(apdu, mbus.RSP_UD, self._address, request.destination, request.source))
