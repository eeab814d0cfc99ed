"""From packets to chunks: a flow for each pair of ends, the octets of both directions in order.

``Chunk.source`` is the end of the meter as far as the first octets show it: the one that answers when a client asks,
the one that speaks when it pushes. ``<`` is what comes from it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from cosemic.captures.chunks import Chunk, Direction
from cosemic.captures.internet import TCP, Internet, Segment
from cosemic.captures.packets import LinkType, Packet
from cosemic.captures.streams import TcpStream

_MOST_FLOWS = 65_536
_MOST_WAITING = 64 << 20
_SERIAL_HEADER = 12
_SERIAL_DATA = {1: Direction.SENT, 3: Direction.SENT, 2: Direction.RECEIVED, 4: Direction.RECEIVED}
_SERIAL_TROUBLE = {5: "octets were lost", 7: "framing error", 8: "parity error", 9: "break", 10: "overflow"}
_CLIENT_TAGS = frozenset({0x05, 0x06, 0x0D, 0x60, 0x62, 0xC0, 0xC1, 0xC3, 0xC8, 0xC9, 0xCB, 0xD0, 0xD1, 0xD3, 0xD9})

End: TypeAlias = tuple[str, int]


@dataclass(slots=True)
class _Flow:
    opener: End
    other: End
    is_tcp: bool
    streams: dict[End, TcpStream] = field(default_factory=dict)
    meter: End | None = None
    finished: set[End] = field(default_factory=set)

    def chunk(self, at: datetime | None, sender: End, octets: bytes, note: str = "", is_gap: bool = False) -> Chunk:
        if self.meter is None and octets:
            receiver = self.other if sender == self.opener else self.opener
            self.meter = receiver if _is_asking(octets) else sender
        meter = self.meter or self.opener
        local = self.other if meter == self.opener else self.opener
        scheme = "tcp" if self.is_tcp else "udp"
        direction = Direction.RECEIVED if sender == meter else Direction.SENT
        return Chunk(at, f"{scheme}://{_written(meter)}", direction, octets, note, is_gap, _written(local))


def read_flows(packets: Iterable[Packet]) -> Iterator[Chunk]:
    """The chunks of all flows, in the order in which they became whole; notes tell of what is missing.

    Memory is bounded: 65,536 flows are followed at a time and 64 MiB kept for segments that are late; of more, the
    flow that was silent for longest is ended.
    """
    return _Flows().read(packets)


class _Flows:
    def __init__(self) -> None:
        self._internet = Internet()
        self._flows: OrderedDict[tuple[bool, End, End], _Flow] = OrderedDict()
        self._waiting = 0
        self._others = 0
        self._at: datetime | None = None

    def read(self, packets: Iterable[Packet]) -> Iterator[Chunk]:
        for packet in packets:
            self._at = packet.at or self._at
            if packet.note:
                yield _note(self._at, packet.note)
            elif LinkType.USER0 <= packet.link_type <= LinkType.USER15:
                direction = packet.direction
                if direction is Direction.UNKNOWN:
                    direction = Direction.RECEIVED
                note = "" if len(packet.octets) >= packet.original_length else "the packet was cut by the capture"
                yield Chunk(packet.at, _line(packet.interface), direction, packet.octets, note)
            elif packet.link_type == LinkType.RTAC_SERIAL:
                yield from _serial(packet)
            else:
                yield from self._network(packet)
        for flow in self._flows.values():
            for sender, stream in flow.streams.items():
                yield from self._given(flow, sender, stream.finish())
        if self._internet.unfinished:
            yield _note(self._at, f"{self._internet.unfinished} IP datagrams lack fragments; they are left out")
        if self._others:
            yield _note(self._at, f"{self._others} packets hold neither TCP nor UDP; they are left out")

    def _network(self, packet: Packet) -> Iterator[Chunk]:
        before = self._internet.fragments
        segment = self._internet.unwrap(packet.link_type, packet.octets)
        if segment is None:
            self._others += self._internet.fragments == before
            return
        is_tcp = segment.protocol == TCP
        ends = sorted((segment.source, segment.destination))
        key = (is_tcp, ends[0], ends[1])
        flow = self._flows.get(key)
        if flow is None:
            opened = segment.syn and segment.acknowledgement is not None  # the answer: the other side has opened
            opener, other = segment.source, segment.destination
            flow = _Flow(other, opener, is_tcp) if opened else _Flow(opener, other, is_tcp)
            self._flows[key] = flow
            if len(self._flows) > _MOST_FLOWS:
                yield from self._end(next(iter(self._flows)), "too many connections at a time; this one is given up")
        else:
            self._flows.move_to_end(key)
        if not is_tcp:
            if segment.payload or segment.missing:
                note = f"{segment.missing} octets of the datagram were not captured" if segment.missing else ""
                yield flow.chunk(packet.at, segment.source, segment.payload, note)
            return
        yield from self._tcp(key, flow, segment)
        while self._waiting > _MOST_WAITING and self._flows:
            yield from self._end(next(iter(self._flows)), "too many late segments; this connection is given up")

    def _tcp(self, key: tuple[bool, End, End], flow: _Flow, segment: Segment) -> Iterator[Chunk]:
        sender = segment.source
        stream = flow.streams.setdefault(sender, TcpStream())
        if segment.syn:
            was_begun = stream.is_begun
            if was_begun and segment.acknowledgement is None and not self._repeats(stream, segment):
                yield from self._end(key, "the connection begins anew")
                flow = self._flows[key] = _Flow(sender, segment.destination, is_tcp=True)
                stream = flow.streams.setdefault(sender, TcpStream())
            stream.begin(segment.sequence)
        sequence = (segment.sequence + segment.syn) & 0xFFFFFFFF
        if segment.payload or segment.missing:
            before = stream.octets_waiting
            given = stream.take(sequence, segment.payload) if segment.payload else []
            self._waiting += stream.octets_waiting - before
            yield from self._told(flow, sender, given)
            if segment.missing:
                stream.skip((sequence + len(segment.payload)) & 0xFFFFFFFF, segment.missing)
                yield flow.chunk(self._at, sender, b"", f"{segment.missing} octets were not captured", is_gap=True)
        if segment.acknowledgement is not None:
            other = flow.streams.get(segment.destination)
            if other is not None:
                before = other.octets_waiting
                given = other.acknowledged(segment.acknowledgement)
                self._waiting += other.octets_waiting - before
                yield from self._told(flow, segment.destination, given)
        if segment.fin:
            flow.finished.add(sender)
        if segment.rst or len(flow.finished) == 2:
            yield from self._end(key, "the connection ends")

    def _repeats(self, stream: TcpStream, segment: Segment) -> bool:
        return stream.place((segment.sequence + 1) & 0xFFFFFFFF) == 0

    def _given(self, flow: _Flow, sender: End, given: list[tuple[int, bytes]]) -> Iterator[Chunk]:
        self._waiting -= sum(len(octets) for _, octets in given)
        yield from self._told(flow, sender, given)

    def _told(self, flow: _Flow, sender: End, given: list[tuple[int, bytes]]) -> Iterator[Chunk]:
        for missing, octets in given:
            note = f"{missing} octets before these were not captured" if missing else ""
            yield flow.chunk(self._at, sender, octets, note, is_gap=bool(missing))

    def _end(self, key: tuple[bool, End, End], why: str) -> Iterator[Chunk]:
        flow = self._flows.pop(key, None)
        if flow is None:
            return
        for sender, stream in flow.streams.items():
            waiting = stream.octets_waiting
            yield from self._told(flow, sender, stream.finish())
            self._waiting -= waiting
        if flow.is_tcp and flow.meter is not None:
            yield flow.chunk(self._at, flow.meter, b"", why, is_gap=True)


def _serial(packet: Packet) -> Iterator[Chunk]:
    """LINKTYPE_RTAC_SERIAL: time, event, state of the control lines, then the octets of a serial line."""
    octets = packet.octets
    if len(octets) < _SERIAL_HEADER:
        yield _note(packet.at, "a packet of a serial line is too short; it is left out")
        return
    source, event = _line(packet.interface), octets[8]
    if event in _SERIAL_TROUBLE:
        yield Chunk(packet.at, source, Direction.RECEIVED, b"", _SERIAL_TROUBLE[event], is_gap=True)
    elif event in _SERIAL_DATA and len(octets) > _SERIAL_HEADER:
        yield Chunk(packet.at, source, _SERIAL_DATA[event], octets[_SERIAL_HEADER:])


def _is_asking(octets: bytes) -> bool:
    """Whether a client says this: a request, bare or in a wrapper PDU or frame, SNRM, or a sign-on."""
    if octets[:2] == b"/?":
        return True
    if octets[:2] == b"\x00\x01":
        return octets[8:9] != b"" and octets[8] in _CLIENT_TAGS
    if octets[:1] == b"\x7e" and len(octets) > 8 and octets[1] & 0xF0 == 0xA0:
        at = 3
        for _ in range(2):
            while at < min(len(octets), 11) and not octets[at] & 1:
                at += 1
            at += 1
        return octets[at : at + 1] in (b"\x93", b"\x53") or (
            b"\xe6\xe6\x00" in octets[at : at + 8]
            and (octets[octets.index(b"\xe6\xe6\x00") + 3 :][:1] in {bytes((tag,)) for tag in _CLIENT_TAGS})
        )
    return octets[0] in _CLIENT_TAGS


def _line(interface: str) -> str:
    return interface if "://" in interface else f"serial://{interface}"


def _note(at: datetime | None, text: str) -> Chunk:
    return Chunk(at, "", Direction.UNKNOWN, b"", text, is_gap=True)


def _written(end: End) -> str:
    return f"[{end[0]}]:{end[1]}" if ":" in end[0] else f"{end[0]}:{end[1]}"
