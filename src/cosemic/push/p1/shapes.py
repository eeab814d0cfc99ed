"""The shape of a P1 text: what repeats in every text of a meter, found once, so that the next ones cost little.

Texts that differ in digits only have one mask, which is found at once. Where the codes in them are the same too, they
have one shape: it knows where the values stand and what their readings have but for the value. A line that is as it was
in the text before gives the same reading, which is immutable. Whatever is not a number by itself, nor the clock, goes
the plain way, line by line; so does the whole of a text that has no shape. What comes out is the same by both ways.
"""

from __future__ import annotations

import re
from datetime import tzinfo
from decimal import Decimal
from typing import Final, NamedTuple

from cosemic.obis import ObisCode
from cosemic.push.messages import Label, PushReading, make_reading
from cosemic.push.p1.codes import Form, find_code
from cosemic.push.p1.contents import METER_ID, Contents, identification_of, meter_id_of, time_of
from cosemic.push.p1.dialects import VERSION
from cosemic.push.p1.times import TIME, read_time
from cosemic.push.p1.values import LINE, LineReader

LONGEST: Final = 8192
"""Octets of a text that may have a shape. Each reading takes three at least, so there are never too many of them."""

_DIGITS: Final = bytes.maketrans(b"0123456789", b"0000000000")
_CONTENT: Final = re.compile(r"[^\r\n]+")
_MOST_NOTES: Final = 20
_MOST_KEPT: Final = 64
_TEXT: Final = Label.TEXT

_NUMBER, _CLOCK, _HEAD, _PLAIN = range(4)


class _Step(NamedTuple):
    """How a line is read: ``start`` to ``end`` is the value in the brackets, to ``stop`` its number; or the line."""

    kind: int
    start: int
    end: int
    stop: int
    name: str = ""
    unit: str = ""
    obis: ObisCode | None = None
    device: int = 0
    medium: str | None = None


class _Odd(NamedTuple):
    """What a line gives that does not give one reading and no notes."""

    readings: tuple[PushReading, ...]
    notes: tuple[str, ...]


class TextShape:
    """How to read the texts of one shape: those whose octets ``where`` are ``fixed``, and whose mask is the same.

    ``asked`` is the zone that was asked for, and ``zone`` the one that there is.
    """

    __slots__ = ("_clock", "_identities", "_kept", "_layout", "_steps", "asked", "fixed", "where", "zone")

    def __init__(
        self, text: bytes, pinned: bytes, steps: list[_Step], asked: tzinfo | None, zone: tzinfo, layout: str
    ) -> None:
        self.asked = asked
        self.zone = zone
        self.where = int.from_bytes(pinned, "big")
        self.fixed = int.from_bytes(text, "big") & self.where
        self._layout = layout
        self._steps = [(index, *step) for index, step in enumerate(steps)]
        # What each line was and gave, in one object: threads may read texts of one shape at the same time.
        self._kept: list[tuple[str | None, PushReading | None, _Odd | None]] = [(None, None, None)] * len(steps)
        places = {step.obis.octets: index for index, step in enumerate(steps) if step.obis is not None}
        self._clock = places.get(ObisCode.CLOCK.octets)
        self._identities = [places[code] for code in METER_ID if code in places]

    def read(self, text: bytes) -> Contents | None:
        """What a text of this shape says; None where only the plain way can tell."""
        letters = text.decode("latin-1")
        kept, zone, make = self._kept, self.zone, make_reading
        readings: list[PushReading] = []
        odds: list[tuple[int, _Odd]] = []
        for index, kind, start, end, stop, name, unit, obis, device, medium in self._steps:
            raw = letters[start:end]
            was, reading, odd = kept[index]
            if was != raw or reading is None:
                odd = None
                if kind <= _CLOCK:
                    value = Decimal(letters[start:stop]) if kind == _NUMBER else read_time(raw, zone)
                    if value is None:
                        return None
                    reading = make(name, value, unit, obis, None, None, raw, None, 255, None, device, _TEXT)
                elif kind == _HEAD:
                    reading = identification_of(raw)
                else:
                    line = LineReader(zone, {} if medium is None else {device: medium})
                    several = line.read(raw)
                    reading = several[-1]
                    if len(several) > 1 or line.notes:
                        odd = _Odd(tuple(several), tuple(line.notes))
                if odd is None or len(odd.readings) <= _MOST_KEPT:
                    kept[index] = raw, reading, odd
            if odd is not None:
                odds.append((index, odd))
            readings.append(reading)
        time = None if self._clock is None else time_of(readings[self._clock])
        meter_id = meter_id_of([readings[place] for place in self._identities])
        if not odds:
            return Contents(tuple(readings), time, meter_id, self._layout, ())
        notes = tuple(note for _, odd in odds for note in odd.notes)
        if len(notes) >= _MOST_NOTES:
            return None  # the plain way leaves some out
        for index, odd in reversed(odds):
            readings[index : index + 1] = odd.readings
        return Contents(tuple(readings), time, meter_id, self._layout, notes)


class TextShapes:
    """Shapes that were met; bounded, as a sender chooses what they are. A shape is made when a mask comes again."""

    __slots__ = ("_by_mask", "_octets")
    _OCTETS: Final = 1 << 18
    _OF_ONE_MASK: Final = 4

    def __init__(self) -> None:
        # None for a mask whose texts have no shape, an empty list for one that was met once.
        self._by_mask: dict[bytes, list[TextShape] | None] = {}
        self._octets = 0

    @property
    def octets(self) -> int:
        """The octets of all masks and of the texts of all shapes; what is kept is up to a hundred times as much."""
        return self._octets

    def find(self, text: bytes, zone: tzinfo | None) -> TextShape | None:
        """The shape of a text, from its ``/`` to its last line; ``zone`` as it was asked for."""
        shapes = self._by_mask.get(text.translate(_DIGITS))
        if shapes:
            number = int.from_bytes(text, "big")
            for shape in shapes:
                if number & shape.where == shape.fixed and shape.asked is zone:
                    return shape
        return None

    def learn(self, text: bytes, asked: tzinfo | None, zone: tzinfo, layout: str) -> None:
        """A text without a shape was read the plain way: the next one like it may have one."""
        if len(text) > LONGEST:
            return
        mask = text.translate(_DIGITS)
        if mask not in self._by_mask:
            self._make_room(len(text))
            self._by_mask[mask] = []
            return
        if self._by_mask[mask] is None:
            return
        shape = shape_of(text, asked, zone, layout)
        if shape is None:
            self._by_mask[mask] = None
            return
        self._make_room(len(text))
        shapes = self._by_mask.get(mask) or []
        if len(shapes) >= self._OF_ONE_MASK:
            shapes.pop()
            self._octets -= len(text)
        shapes.insert(0, shape)
        self._by_mask[mask] = shapes

    def _make_room(self, octets: int) -> None:
        if self._octets + octets > self._OCTETS:
            self._by_mask = {}
            self._octets = 0
        self._octets += octets


def shape_of(text: bytes, asked: tzinfo | None, zone: tzinfo, layout: str) -> TextShape | None:
    """The shape of a text whose layout is known; None where one line depends on another, as in DSMR 2."""
    letters = text.decode("latin-1")
    lines = _CONTENT.finditer(letters)
    pinned = bytearray(len(text))
    media: dict[int, str] = {}
    steps: list[_Step] = []

    def pin(start: int, end: int) -> None:
        end = min(end, len(pinned))
        pinned[start:end] = b"\xff" * (end - start)

    head = next(lines)[0][1:]
    start = 1 + len(head) - len(head.lstrip())
    steps.append(_Step(_HEAD, start, start + len(head.strip()), 0))
    pin(start, start + 3)  # the maker, which layout and zone depend on
    for content in lines:
        line, start = content[0], content.start()
        match = LINE.fullmatch(line + "\n")
        assert match is not None
        name, time, number, unit, group, _ = match.groups("")
        code = find_code(name)
        if line.startswith("(") or code.form is Form.PROFILE:
            return None
        pin(start, start + len(name))
        if code.is_device_type or (code.obis is not None and code.obis.octets == VERSION):
            pin(start, start + len(line))
        reader = LineReader(zone, media)
        reading = reader.read(line)[-1]
        raw = number or group[:-1]
        at = start + len(name) + 1
        stop = at + len(number)
        end = start + len(line) - 1 if unit else at + len(raw)
        kind = _PLAIN
        if not time and number and (unit or code.is_number):
            kind = _NUMBER
            pin(stop, end)
        elif not time and code.form is Form.CLOCK and TIME.fullmatch(raw):
            kind = _CLOCK
        if kind == _PLAIN:
            at, end = start, start + len(line)
        medium = media.get(code.device) if code.is_device_value else None
        steps.append(_Step(kind, at, end, stop, reading.name, reading.unit, code.obis, code.device, medium))
    return TextShape(text, bytes(pinned), steps, asked, zone, layout)
