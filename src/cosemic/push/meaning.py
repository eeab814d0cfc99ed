"""From a notification to readings: whose name comes from a definition, the push itself, or a layout.

Where none of them gives a name there is a tree of values and a hint, never an error. Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Final, TypeAlias

from cosemic.apdu.base import decode_apdu
from cosemic.apdu.notify import DataNotification, EventNotificationRequest, InformationReportRequest
from cosemic.codec.axdr import Data, decode_length, encode_length
from cosemic.errors import DecodeError
from cosemic.push.labelling import Labelled, Labels, lacks_scaler
from cosemic.push.layout import Layout, Signs, recognise
from cosemic.push.layouts import layout as named_layout
from cosemic.push.layouts import layouts as builtin_layouts
from cosemic.push.messages import Label, Protection, Push, PushReading
from cosemic.push.nodes import Body
from cosemic.push.object_lists import PushDefinition, label_by_definition, label_by_own_list
from cosemic.push.pairs import label_by_pairs
from cosemic.push.reading_values import is_specified, moment
from cosemic.push.shapes import Findings, Shape, Shapes, clock_of, identity_of
from cosemic.push.telegrams import Telegram
from cosemic.times import CosemDateTime
from cosemic.tolerances import DEFAULT, Tolerance, note

DATA_NOTIFICATION: Final = "data-notification"
EVENT_NOTIFICATION: Final = "event-notification"
INFORMATION_REPORT: Final = "information-report"

_TAGGED_DATE_TIME: Final = "the date-time has the type tag of an octet-string (09 0C)"
_BARE_DESCRIPTORS: Final = "the attribute descriptors have no type tags: the values are no valid A-XDR"
_FALSE_DEVIATION: Final = "the deviation from UTC in the times of these meters is not true: they are local times"
_NO_NAMES: Final = (
    "nothing in this push names its values: give the list of its objects, read from the meter (attribute 2 of its push "
    "setup), or a layout"
)


class NoPush(DecodeError):
    """A valid APDU that is none that a meter sends unasked."""


def interpret(
    telegram: Telegram,
    apdu: bytes,
    *,
    protection: Protection | None = None,
    layouts: Sequence[Layout] | None = None,
    layout: Layout | str | None = None,
    definition: object = None,
    zone: tzinfo | None = None,
    tolerances: frozenset[Tolerance] = DEFAULT,
) -> Push:
    """The push that a plain APDU is, with as many readings as can be named.

    ``layouts`` are those to recognise by themselves, by default all that come with cosemic; ``layout`` is the one that
    the user says it is, by name or as read by ``load_layout``.
    ``definition`` is attribute 2 of the push setup, decoded, a list of (class, OBIS code, attribute[, data index]), or
    a ``MeterModel`` that has it. ``zone`` is that of times without a deviation from UTC; without it they are given as
    ``CosemDateTime``. Raises DecodeError for octets that are no notification even with the deviations that
    ``tolerances`` lets pass (``NoPush`` for another APDU), ValueError for a definition that is none, LayoutError for a
    layout that is not there.
    """
    context = _context(definition, layouts, layout, None if protection is None else protection.system_title[:3])
    start = _body_of(apdu, tolerances)
    if start:
        found = context.shapes.find(apdu, start)
        if found is not None and (found[0].is_valid or Tolerance.PUSH_BARE_DESCRIPTORS in tolerances):
            shape, fields = found
            if not shape.is_valid:
                note(Tolerance.PUSH_BARE_DESCRIPTORS, "attribute descriptors without type tags")
            if start == _TAGGED_START:
                note(Tolerance.DATE_TIME_TAG, "the date-time of a data-notification begins with 09 0C")
            readings = shape.readings(fields, apdu, start, zone)
            return _notification(telegram, apdu, start, Data(apdu[start:]), shape, readings, protection, zone)
    return _interpret_new(context, telegram, apdu, start, protection, zone, tolerances)


class _Context:
    """What the user knows, and the shapes that were understood with it."""

    __slots__ = ("definition", "layout", "layouts", "sender", "shapes", "texts")

    def __init__(self, key: _Key) -> None:
        definition, layouts, layout, sender = key
        self.definition = definition
        self.layouts = builtin_layouts() if layouts is None else layouts
        self.layout = named_layout(layout) if isinstance(layout, str) else layout
        self.sender = None if sender is None else sender.decode("latin-1")
        used = self.layouts if self.layout is None else (self.layout,)
        self.texts = tuple({known.when.text for each in used for known in each.lists if known.when.text})
        self.shapes = Shapes()


_Key: TypeAlias = tuple[PushDefinition | None, tuple[Layout, ...] | None, Layout | str | None, bytes | None]
_CONTEXTS: Final = 1024
_contexts: dict[_Key, _Context] = {}


def _context(
    definition: object, layouts: Sequence[Layout] | None, layout: Layout | str | None, sender: bytes | None
) -> _Context:
    key = (
        None if definition is None else PushDefinition.of(definition),
        None if layouts is None else tuple(layouts),
        layout,
        sender,
    )
    context = _contexts.get(key)
    if context is None:
        context = _Context(key)
        if len(_contexts) >= _CONTEXTS:
            _contexts.clear()
        _contexts[key] = context
    return context


def _body_of(apdu: bytes, tolerances: frozenset[Tolerance]) -> int:
    """Where the body of a data-notification begins, by the forms of date-time that meters send; 0 for others."""
    if len(apdu) < _SHORTEST or apdu[0] != DataNotification.TAG:
        return 0
    length = apdu[5]
    if length == 0:
        return _SHORTEST - 1
    if length == _DATE_TIME:
        return _UNTAGGED_START
    is_tagged = length == _OCTET_STRING and apdu[6] == _DATE_TIME and Tolerance.DATE_TIME_TAG in tolerances
    return _TAGGED_START if is_tagged else 0


_SHORTEST: Final = 7
_DATE_TIME: Final = 12
_OCTET_STRING: Final = 9
_UNTAGGED_START: Final = 18
_TAGGED_START: Final = 19


def _interpret_new(
    context: _Context,
    telegram: Telegram,
    apdu: bytes,
    start: int,
    protection: Protection | None,
    zone: tzinfo | None,
    tolerances: frozenset[Tolerance],
) -> Push:
    """A push of a shape that was not met yet."""
    notes: list[str] = []
    data: Data | None
    try:
        service = decode_apdu(apdu, tolerances=tolerances)
    except DecodeError:
        if not start or Tolerance.PUSH_BARE_DESCRIPTORS not in tolerances:
            raise
        try:
            body = Body.with_bare_descriptors(apdu[start:])
        except DecodeError:
            body = None
        if body is None:
            raise
        note(Tolerance.PUSH_BARE_DESCRIPTORS, "attribute descriptors without type tags")
        notes.append(_BARE_DESCRIPTORS)
        data = Data(body.octets)
    else:
        match service:
            case DataNotification():
                data = service.body
                body = Body.of(data)
                start = _place_of_body(apdu, service)
            case EventNotificationRequest():
                return _event(telegram, service, protection, zone)
            case InformationReportRequest():
                return _report(telegram, service, protection)
            case _:
                raise NoPush(f"a {type(service).__name__} is nothing that a meter sends unasked", octets=apdu, offset=0)
    shape = _shape(context, body, notes, start == _TAGGED_START)
    fields = None
    if shape.layout is not None:
        fields = shape.fields(apdu, start)
        if fields is not None and len(apdu) - start == shape.size:
            context.shapes.keep(shape)
    readings = shape.readings(fields or (), apdu, start, zone)
    return _notification(telegram, apdu, start, data, shape, readings, protection, zone)


def _place_of_body(apdu: bytes, notification: DataNotification) -> int:
    """Where the body begins, after a date-time of any form."""
    if len(notification.date_time) == _DATE_TIME and apdu[5] == _OCTET_STRING:
        return _TAGGED_START
    length, start = decode_length(apdu, 5)
    return start + length


def _shape(context: _Context, body: Body, notes: list[str], is_time_tagged: bool) -> Shape:
    """Find the names of a body's values."""
    doubts: list[str] = []
    labels = None
    if context.definition is not None:
        labels = label_by_definition(body, context.definition)
        if labels is None:
            doubts.append(_does_not_fit(context.definition, body))
    if labels is None:
        labels = label_by_own_list(body)
    if labels is None:
        labels = label_by_pairs(body)
    if labels is None:
        labels = Labels(rest=list(body.root.children or (body.root,)))
    signs = Signs.of(body, labels, context.sender, is_time_tagged)
    decides = signs.text.startswith(context.texts)
    if signs.text_node is not None and decides:
        labels.pinned.append(signs.text_node)
    layout = context.layout
    if layout is None:
        layout, found = recognise(context.layouts, body, signs)
    else:
        found = layout.list_for(body, signs)
        if found is None:
            doubts.append(
                f"the push is none that the layout {layout.name} describes: only its units and names were used"
            )
    if layout is not None:
        labels = layout.label(body, labels, found)
    hint = _hint(labels, doubts)
    ignores_deviation = layout is not None and layout.ignores_deviation
    if ignores_deviation and clock_of(labels.items) is not None:
        notes.append(_FALSE_DEVIATION)
    findings = Findings(
        None if layout is None else layout.name,
        hint,
        tuple(notes),
        clock_of(labels.items),
        identity_of(labels.items),
        ignores_deviation,
    )
    return Shape(body, labels.items, labels.pinned, findings, None if decides else signs.text_node, context.texts)


def _does_not_fit(definition: PushDefinition, body: Body) -> str:
    counts = " or ".join(str(len(columns)) for columns in definition.lists)
    elements = 1 if body.root.children is None else len(body.root.children)
    return f"the push has {elements} elements, the definition that was given {counts}: it was not used"


def _hint(labels: Labels, doubts: list[str]) -> str | None:
    texts = doubts + labels.doubts
    if not labels.items:
        texts = [*texts, _NO_NAMES]
    else:
        without = [item.obis for item in labels.items if lacks_scaler(item)]
        if without:
            texts.append(_without_scaler(len(without), str(without[0])))
    return "; ".join(dict.fromkeys(texts)) or None


def _without_scaler(count: int, first: str) -> str:
    return (
        f"scaler and unit of {count} values are not known ({first} is the first): a layout, or a model of the meter "
        "with its registers' scaler_unit, gives them"
    )


def _notification(
    telegram: Telegram,
    apdu: bytes,
    start: int,
    data: Data | None,
    shape: Shape,
    readings: tuple[PushReading, ...],
    protection: Protection | None,
    zone: tzinfo | None,
) -> Push:
    findings = shape.findings
    time: datetime | CosemDateTime | None = None
    if start in (_UNTAGGED_START, _TAGGED_START) and is_specified(apdu[start - _DATE_TIME : start]):
        time = moment(apdu[start - _DATE_TIME : start], zone, findings.ignores_deviation)
    elif findings.clock is not None:
        value = readings[findings.clock].value
        if isinstance(value, datetime | CosemDateTime):
            time = value
    notes = (*findings.notes, _TAGGED_DATE_TIME) if start == _TAGGED_START else findings.notes
    return Push(
        DATA_NOTIFICATION,
        readings,
        telegram,
        time,
        data if shape.is_valid else None,
        protection,
        _identity(readings, findings.identity),
        None,
        findings.layout,
        findings.hint,
        notes,
        bool(apdu[1] & 0x40),
    )


def _identity(readings: Sequence[PushReading], index: int | None) -> str | None:
    if index is None:
        return None
    value = readings[index].value
    if isinstance(value, bytes):
        return value.hex() or None
    return str(value).strip() or None if isinstance(value, str | int) else None


def _event(
    telegram: Telegram, service: EventNotificationRequest, protection: Protection | None, zone: tzinfo | None
) -> Push:
    """An event: the one value of the attribute that the service names."""
    attribute = service.attribute
    body = Body.of(service.value)
    scaler_unit = None
    item = Labelled(
        body.root, Label.ATTRIBUTE, attribute.instance, attribute.class_id, attribute.attribute, scaler_unit=scaler_unit
    )
    labels = Labels(items=[item])
    findings = Findings(None, _hint(labels, []), (), clock_of(labels.items), identity_of(labels.items))
    readings = Shape(body, labels.items, [], findings).readings((), body.octets, 0, zone)
    time: datetime | CosemDateTime | None = None
    notes: tuple[str, ...] = ()
    if service.time is not None:
        if len(service.time) != _DATE_TIME:
            notes = (f"a time of {len(service.time)} octets was left unread",)
        elif is_specified(service.time):
            time = moment(service.time, zone)
    return Push(
        EVENT_NOTIFICATION,
        readings,
        telegram,
        time,
        service.value,
        protection,
        _identity(readings, findings.identity),
        hint=findings.hint,
        notes=notes,
    )


def _report(telegram: Telegram, service: InformationReportRequest, protection: Protection | None) -> Push:
    """A report of short names, which only the object list of the meter could turn into objects."""
    octets = b"".join((b"\x02", encode_length(len(service.data)), *map(bytes, service.data)))
    names = ", ".join(map(repr, service.specifications))
    hint = f"a report of short names ({names}): which objects they are stands in the object list of the meter only"
    return Push(INFORMATION_REPORT, (), telegram, body=Data(octets), protection=protection, hint=hint)
