"""The shape of a push: what repeats in every push of a meter, found once, so that the next ones cost little.

All octets but those of the values are the same from push to push: tags, lengths, names, scalers. A shape keeps them and
how to make readings of the values between them. A push whose fixed octets differ in one bit has another shape.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final, TypeAlias

from cosemic.codec.axdr import DataType, decode_prefix
from cosemic.codec.scalars import FORMATS, TIMES
from cosemic.codec.typed import Value
from cosemic.cosem.model import interface_class
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.obis_names import look_up
from cosemic.push.meaning.labelling import Kind, Labelled, device_of, identity_rank, kind_of
from cosemic.push.meaning.nodes import BARE_DESCRIPTOR, OCTET_STRING, VISIBLE_STRING, Body, Node, has_descriptor_form
from cosemic.push.meaning.values import moment, plain_text, scaling, time_of
from cosemic.push.messages import Label, PushReading, make_reading
from cosemic.times import CosemDateTime
from cosemic.tolerances import Tolerance

LARGEST: Final = 512
"""More values than this, and a shape is not kept: it is a buffer of rows, and no two have the same number of them."""

_Source: TypeAlias = Callable[[tuple[Any, ...], bytes, int], Value]
"""Finds a value in the fields that a shape has unpacked, the octets, and where the body begins in them."""
_Moment: TypeAlias = Callable[[tuple[Any, ...], bytes, int, "tzinfo | None"], Any]
Step: TypeAlias = tuple[
    int, _Source | None, Callable[..., Any] | None, bool, _Moment | None, str, str, ObisCode | None, int | None,
    int | None, int | None, int, int, Label,
]  # fmt: skip
"""How one reading is made: the field of its value, how that is found and converted, its time, and what is always so."""

_NOTHING: Final = frozenset((int(DataType.NULL_DATA), int(DataType.DONT_CARE)))


@dataclass(frozen=True, slots=True)
class Findings:
    """What else is known of pushes of one shape."""

    layout: str | None = None
    hint: str | None = None
    notes: tuple[str, ...] = ()
    clock: int | None = None
    """Which reading is the clock."""
    identity: int | None = None
    """Which reading tells what meter it is."""
    ignores_deviation: bool = False
    """The deviation in the times of these meters is not true."""
    tolerated: Tolerance | None = None
    """What had to be borne for the values to be read."""


class Shape:
    """How to read the pushes of one shape. ``is_valid`` is False where the body is no A-XDR."""

    __slots__ = ("_buffers", "_other_texts", "_text", "findings", "fixed", "is_valid", "layout", "size", "steps")

    def __init__(
        self,
        body: Body,
        items: list[Labelled],
        pinned: list[Node],
        findings: Findings,
        text: Node | None = None,
        other_texts: tuple[str, ...] = (),
    ) -> None:
        self.findings = findings
        self.is_valid = body.is_valid
        self.size = len(body.octets)
        fields = _Fields(body, pinned)
        self.fixed = tuple(fields.fixed)
        self.layout = fields.layout()
        places = {} if self.layout is None else fields.places
        self.steps = [_step(item, body, places, findings.ignores_deviation) for item in items]
        # Which readings are buffers of captured values: each gives as many readings as it has values.
        self._buffers = [(number, item) for number, item in enumerate(items) if item.captured is not None]
        # A push of the same shape whose first text begins with one of these is that of another layout.
        self._text = None if text is None else places.get(text.start)
        self._other_texts = tuple(other.encode("latin-1", "replace") for other in other_texts)

    @property
    def can_be_kept(self) -> bool:
        """Whether other pushes may have this shape, and few enough values to be worth it."""
        return self.layout is not None and not self._buffers

    def fields(self, octets: bytes, offset: int) -> tuple[Any, ...] | None:
        """The fields of a body that begins at ``offset`` and has this shape's size; None for another shape."""
        assert self.layout is not None
        fields = self.layout.unpack_from(octets, offset)
        if fields[::2] != self.fixed:
            return None
        if self._text is not None and fields[self._text].startswith(self._other_texts):
            return None
        return fields

    def readings(
        self, fields: tuple[Any, ...], octets: bytes, offset: int, zone: tzinfo | None
    ) -> tuple[PushReading, ...]:
        """The readings of a body with these fields."""
        readings: list[PushReading] = []
        add, make = readings.append, make_reading
        for (
            place, source, convert, wants_zone, when, name, unit, obis, class_id, attribute, scaler, unit_code, device,
            label,
        ) in self.steps:  # fmt: skip
            value = raw = fields[place] if source is None else source(fields, octets, offset)
            if convert is not None:
                value = convert(raw, zone) if wants_zone else convert(raw)
            time = None if when is None else when(fields, octets, offset, zone)
            add(make(name, value, unit, obis, class_id, attribute, raw, scaler, unit_code, time, device, label))
        for number, item in reversed(self._buffers):
            assert item.captured is not None
            buffer = octets[offset + item.node.start : offset + item.node.end]
            # What does not fit stays one reading: the buffer.
            with contextlib.suppress(DecodeError):
                readings[number : number + 1] = item.captured.readings(buffer, readings[number].raw, item.label, zone)
        return tuple(readings)


class Shapes:
    """Shapes that were met, by the size of the body and where it begins; bounded, as a sender chooses what they are."""

    __slots__ = ("_by_size",)
    _SIZES: Final = 256
    _OF_ONE_SIZE: Final = 8

    def __init__(self) -> None:
        self._by_size: dict[tuple[int, int], list[Shape]] = {}

    def find(self, octets: bytes, offset: int) -> tuple[Shape, tuple[Any, ...]] | None:
        """The shape of the body that begins at ``offset``, and its fields."""
        for shape in self._by_size.get((len(octets) - offset, offset), ()):
            fields = shape.fields(octets, offset)
            if fields is not None:
                return shape, fields
        return None

    def keep(self, shape: Shape, offset: int) -> None:
        """Remember the shape of a body that began at ``offset``; an older one of its size may have to go."""
        if len(self._by_size) >= self._SIZES:
            self._by_size.clear()
        known = self._by_size.setdefault((shape.size, offset), [])
        if len(known) >= self._OF_ONE_SIZE:
            known.pop()
        known.insert(0, shape)


class _Fields:
    """Divides a body into octets that a shape fixes and values between them, one after the other."""

    def __init__(self, body: Body, pinned: list[Node]) -> None:
        self.body = body
        self.pinned = {(node.start, node.end) for node in pinned}
        self.fixed: list[bytes] = []
        self.places: dict[int, int] = {}
        """Which field holds the leaf that begins there."""
        self.formats: list[str] = []
        self.is_regular = body.damage is None
        at = 0
        for leaf in self.leaves(body.root):
            code = _format(leaf)
            if code is None:
                self.is_regular = False
                break
            if not code:
                continue
            self.fix(at, leaf.content)
            self.places[leaf.start] = 2 * len(self.fixed) - 1
            self.formats.append(code)
            at = leaf.end
            if len(self.formats) > LARGEST:
                self.is_regular = False
                break
        if self.is_regular:
            self.fix(at, len(body.octets))

    def leaves(self, node: Node) -> Iterator[Node]:
        """The leaves that are not fixed, in their order."""
        if (node.start, node.end) in self.pinned or node.tag == BARE_DESCRIPTOR:
            return
        if node.children is None:
            # A string of six octets may be a name, and then says how others are to be read.
            if node.tag != OCTET_STRING or node.end - node.content != _NAME:
                yield node
            return
        # So may the class and the attribute that stand around a name.
        for child in node.children[3 if has_descriptor_form(node) else 0 :]:
            yield from self.leaves(child)

    def fix(self, start: int, end: int) -> None:
        self.fixed.append(self.body.octets[start:end])
        self.formats.append(f"{end - start}s")

    def layout(self) -> struct.Struct | None:
        if not self.is_regular:
            return None
        return struct.Struct(">" + "".join(self.formats))


_NAME: Final = 6


def _format(leaf: Node) -> str | None:
    """The struct code of a leaf's content; "" for one without content, None for one that needs to be checked."""
    tag = leaf.tag
    if tag in FORMATS:
        return FORMATS[tag]
    if tag in _NOTHING:
        return ""
    if tag in (OCTET_STRING, VISIBLE_STRING) or tag in TIMES:
        return f"{leaf.end - leaf.content}s"
    return None


def _source(node: Node, body: Body, places: dict[int, int]) -> tuple[int, _Source | None]:
    """Where the value of a node comes from: the number of its field, or a function where it is not as it is there."""
    place = places.get(node.start) if node.children is None else None
    if place is None:
        if not body.is_valid and (node.children is not None or node.tag == OCTET_STRING):
            value = body.value(node)
            return 0, lambda fields, octets, offset: value
        start = node.start
        return 0, lambda fields, octets, offset: decode_prefix(octets, offset + start)[0]
    index = place
    if node.tag == VISIBLE_STRING:
        return index, lambda fields, octets, offset: str(fields[index], "latin-1")
    if node.tag in TIMES:
        read = TIMES[node.tag][1]
        return index, lambda fields, octets, offset: read(fields[index])
    return index, None


def _conversion(item: Labelled, kind: Kind, ignores_deviation: bool) -> tuple[Callable[..., Any] | None, bool]:
    """What makes the value of what came, None where that is it; and whether it wants the zone as well."""
    tag = item.node.tag
    if tag in FORMATS and tag != DataType.BOOLEAN:
        scaler = None if item.scaler_unit is None else item.scaler_unit.scaler
        return (None if scaler is None else scaling(scaler, is_whole=FORMATS[tag] not in _FLOATS)), False
    if tag == DataType.DATE_TIME:
        return lambda raw, zone: moment(bytes(raw), zone, ignores_deviation), True
    if tag == OCTET_STRING:
        if kind is Kind.TEXT:
            return plain_text, False
        if kind is Kind.TIME:
            return lambda raw, zone: time_of(raw, zone, ignores_deviation), True
        if kind is Kind.NAME:
            return _name, False
    return None, False


_FLOATS: Final = frozenset(("f", "d"))


def _name(raw: bytes) -> str | bytes:
    return str(ObisCode.from_bytes(raw)) if len(raw) == _NAME else raw


def _step(item: Labelled, body: Body, places: dict[int, int], ignores_deviation: bool) -> Step:
    """How the reading of an item is made."""
    place, source = _source(item.node, body, places)
    convert, wants_zone = _conversion(item, kind_of(item), ignores_deviation)
    when: _Moment | None = None
    if item.time is not None:
        when_place, when_source = _source(item.time, body, places)

        def when(fields: tuple[Any, ...], octets: bytes, offset: int, zone: tzinfo | None) -> Any:
            raw = fields[when_place] if when_source is None else when_source(fields, octets, offset)
            return _moment(raw, zone, ignores_deviation)

    scaler_unit = item.scaler_unit
    return (
        place,
        source,
        convert,
        wants_zone,
        when,
        item.name or _name_of(item),
        "" if scaler_unit is None else scaler_unit.symbol,
        item.obis,
        item.class_id,
        item.attribute,
        None if scaler_unit is None else scaler_unit.scaler,
        255 if scaler_unit is None else scaler_unit.unit,
        0 if item.obis is None else device_of(item.obis),
        item.label,
    )


def _name_of(item: Labelled) -> str:
    """What the catalogue calls the object, and the attribute where that is not its value."""
    name = "" if item.obis is None else look_up(item.obis.octets).name
    if item.class_id is not None and item.attribute not in (None, 2):
        name += f", {interface_class(item.class_id).attribute_name(item.attribute)}"
    return name


_DATE_TIME: Final = 12


def _moment(raw: Value, zone: tzinfo | None, ignores_deviation: bool) -> datetime | CosemDateTime | None:
    if isinstance(raw, CosemDateTime):
        raw = bytes(raw)
    if isinstance(raw, bytes) and len(raw) == _DATE_TIME:
        return moment(raw, zone, ignores_deviation)
    return None


def clock_of(items: list[Labelled]) -> int | None:
    """Which item is the clock of the meter."""
    for number, item in enumerate(items):
        if item.obis is not None and item.obis.octets[0] == 0 and kind_of(item) is Kind.TIME:
            return number
    return None


def identity_of(items: list[Labelled]) -> int | None:
    """Which item tells best what meter it is."""
    best: tuple[int, int] | None = None
    for number, item in enumerate(items):
        rank = None if item.obis is None or item.attribute not in (None, 2) else identity_rank(item.obis)
        if rank is not None and (best is None or rank < best[0]):
            best = rank, number
    return None if best is None else best[1]
