"""From a notification to readings: whose name comes from a definition, the push itself, or a layout.

Where none of them gives a name there is a tree of values and a hint, never an error. Nothing here waits.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Final, TypeAlias

from cosemic.apdu.base import decode_apdu
from cosemic.apdu.notify import DataNotification, EventNotificationRequest, InformationReportRequest
from cosemic.codec.axdr import Data, decode_length
from cosemic.errors import DecodeError
from cosemic.push.meaning.definitions import PushDefinition, scaler_of
from cosemic.push.meaning.events import interpret_event, interpret_report
from cosemic.push.meaning.hints import hint_of, identity_in
from cosemic.push.meaning.labelling import Labelled, Labels
from cosemic.push.meaning.layout import Layout, Signs, recognise
from cosemic.push.meaning.layouts import layout as named_layout
from cosemic.push.meaning.layouts import layouts as builtin_layouts
from cosemic.push.meaning.nodes import Body
from cosemic.push.meaning.object_lists import label_by_definition, label_by_own_list
from cosemic.push.meaning.pairs import label_by_pairs
from cosemic.push.meaning.shapes import Findings, Shape, Shapes, clock_of, identity_of
from cosemic.push.meaning.values import is_specified, moment
from cosemic.push.messages import Protection, Push, PushReading
from cosemic.push.telegrams import Telegram
from cosemic.times import CosemDateTime
from cosemic.tolerances import DEFAULT, Tolerance, note

DATA_NOTIFICATION: Final = "data-notification"

_TAGGED_DATE_TIME: Final = "the date-time has the type tag of an octet-string (09 0C)"
_BENT: Final = {
    Tolerance.PUSH_BARE_DESCRIPTORS: (
        Body.with_bare_descriptors,
        "the attribute descriptors have no type tags: the values are no valid A-XDR",
    ),
    Tolerance.PUSH_SWAPPED_NAMES: (
        Body.with_swapped_names,
        "some OBIS codes begin with 06 09 instead of 09 06: the values are no valid A-XDR",
    ),
}
"""Values that are no valid A-XDR: how they are read, and what a note tells of them."""
_FALSE_DEVIATION: Final = "the deviation from UTC in the times of these meters is not true: they are local times"


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
    if type(apdu) is not bytes:
        apdu = bytes(apdu)
    context = _context(definition, layouts, layout, None if protection is None else protection.system_title[:3])
    start = _body_of(apdu, tolerances)
    if start:
        found = context.shapes.find(apdu, start)
        tolerated = None if found is None else found[0].findings.tolerated
        if found is not None and (tolerated is None or tolerated in tolerances):
            shape, fields = found
            if tolerated is not None:
                note(tolerated, "values that are no valid A-XDR")
            if start == _TAGGED_START:
                note(Tolerance.DATE_TIME_TAG, "the date-time of a data-notification begins with 09 0C")
            readings = shape.readings(fields, apdu, start, zone)
            return _notification(telegram, apdu, start, Data(apdu[start:]), shape, readings, protection, zone)
    return _interpret_new(context, telegram, apdu, start, protection, zone, tolerances)


def interpret_partial(
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
    """As ``interpret``, but of a data-notification that is damaged or cut short the values before the damage.

    A note of the push then says where the damage begins; ``body`` is None. What is there looks like any other value:
    use this for a diagnosis, or where a meter is known to send so. Raises as ``interpret`` where no value is whole.
    """
    try:
        return interpret(
            telegram, apdu, protection=protection, layouts=layouts, layout=layout, definition=definition, zone=zone,
            tolerances=tolerances,
        )  # fmt: skip
    except NoPush:
        raise
    except DecodeError:
        start = _body_of(apdu, tolerances)
        try:
            body = Body.before_damage(apdu[start:]) if start else None
        except DecodeError:
            body = None
        if body is None:
            raise
    damage = start + (body.damage or 0)
    notes = [f"octet {damage + 1} of {len(apdu)} is damaged or missing: only the values before it were read"]
    context = _context(definition, layouts, layout, None if protection is None else protection.system_title[:3])
    shape = _shape(context, body, notes, _is_tagged(apdu, start))
    return _notification(telegram, apdu, start, None, shape, shape.readings((), apdu, start, zone), protection, zone)


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


_Key: TypeAlias = tuple[PushDefinition, tuple[Layout, ...] | None, Layout | str | None, bytes | None]
_CONTEXTS: Final = 1024
_contexts: dict[_Key, _Context] = {}


def _context(
    definition: object, layouts: Sequence[Layout] | None, layout: Layout | str | None, sender: bytes | None
) -> _Context:
    key = (
        _NO_DEFINITION if definition is None else _definition(definition),
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


_NO_DEFINITION: Final = PushDefinition()
_definitions: dict[int, tuple[object, object, PushDefinition]] = {}
"""Definitions by the identity of what they were made from, with that and with what it was then."""


def _definition(value: object) -> PushDefinition:
    """The definition that a user gives with each push, made once."""
    if isinstance(value, PushDefinition):
        return value
    contents = list(value) if isinstance(value, list) else None
    known = _definitions.get(id(value))
    if known is not None and known[0] is value and known[1] == contents:
        return known[2]
    if len(_definitions) >= _CONTEXTS:
        _definitions.clear()
    made = PushDefinition.of(value)
    _definitions[id(value)] = value, contents, made
    return made


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
    tolerated: Tolerance | None = None
    try:
        service = decode_apdu(apdu, tolerances=tolerances)
    except DecodeError:
        bent = _bent(apdu[start:], tolerances) if start else None
        if bent is None:
            raise
        tolerated, body = bent
        note(tolerated, "values that are no valid A-XDR")
        notes.append(_BENT[tolerated][1])
        data = Data(body.octets)
    else:
        match service:
            case DataNotification():
                data = service.body
                body = Body.of(data)
                start = _place_of_body(apdu, service)
                if len(service.date_time) not in (0, _DATE_TIME):
                    notes.append(f"a date-time of {len(service.date_time)} octets was left unread")
            case EventNotificationRequest():
                return interpret_event(telegram, service, context.definition, protection, zone)
            case InformationReportRequest():
                return interpret_report(telegram, service, context.definition, protection, zone)
            case _:
                raise NoPush(f"a {type(service).__name__} is nothing that a meter sends unasked", octets=apdu, offset=0)
    shape = _shape(context, body, notes, _is_tagged(apdu, start), tolerated)
    fields = None
    if shape.layout is not None:
        fields = shape.fields(apdu, start)
        if shape.can_be_kept and len(apdu) - start == shape.size and start == _body_of(apdu, tolerances):
            context.shapes.keep(shape, start)
    readings = shape.readings(fields or (), apdu, start, zone)
    return _notification(telegram, apdu, start, data, shape, readings, protection, zone)


def _is_tagged(apdu: bytes, start: int) -> bool:
    """Whether the date-time before a body that begins there has a type tag."""
    return start == _TAGGED_START and apdu[5] == _OCTET_STRING


def _place_of_body(apdu: bytes, notification: DataNotification) -> int:
    """Where the body begins, after a date-time of any form."""
    if len(notification.date_time) == _DATE_TIME and _is_tagged(apdu, _TAGGED_START):
        return _TAGGED_START
    length, start = decode_length(apdu, 5)
    return start + length


def _bent(octets: bytes, tolerances: frozenset[Tolerance]) -> tuple[Tolerance, Body] | None:
    """A body that is nearly A-XDR, and what it is that must be borne."""
    for tolerance, (read, _) in _BENT.items():
        if tolerance in tolerances:
            with contextlib.suppress(DecodeError):
                return tolerance, read(octets)
    return None


def _shape(
    context: _Context, body: Body, notes: list[str], is_time_tagged: bool, tolerated: Tolerance | None = None
) -> Shape:
    """Find the names of a body's values."""
    doubts: list[str] = []
    definition = context.definition
    labels = label_by_definition(body, definition, doubts) or label_by_own_list(body, definition)
    if labels is None or not labels.items:
        pairs = label_by_pairs(body, None if labels is None else labels.rest)
        if pairs is not None:
            if labels is not None:
                pairs.pinned += labels.pinned
                pairs.doubts += labels.doubts
                pairs.codes = labels.codes
            pairs.items = [_with_scaler(item, definition) for item in pairs.items]
            labels = pairs
    if labels is None:
        labels = Labels(rest=list(body.elements))
    signs = Signs.of(body, labels, context.sender, is_time_tagged)
    decides = signs.text.startswith(context.texts)
    if signs.text_node is not None and decides:
        labels.pinned.append(signs.text_node)
    layout = context.layout
    if layout is None:
        layout, found = recognise(context.layouts, body, signs)
    else:
        found = layout.list_for(body, signs)
        if found is None and layout.lists:
            doubts.append(
                f"the push is none that the layout {layout.name} describes: only its units and names were used"
            )
    if layout is not None:
        labels = layout.label(body, labels, found)
    labels.items.sort(key=lambda item: item.captured is not None)  # those that become many readings come last
    hint = hint_of(labels, doubts)
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
        tolerated,
    )
    return Shape(body, labels.items, labels.pinned, findings, None if decides else signs.text_node, context.texts)


def _with_scaler(item: Labelled, definition: PushDefinition) -> Labelled:
    if item.scaler_unit is not None or item.obis is None:
        return item
    return replace(item, scaler_unit=scaler_of(item.class_id, item.obis, item.attribute, definition.scalers))


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
    notes = (*findings.notes, _TAGGED_DATE_TIME) if _is_tagged(apdu, start) else findings.notes
    return Push(
        DATA_NOTIFICATION,
        readings,
        telegram,
        time,
        data if shape.is_valid else None,
        protection,
        identity_in(readings, findings.identity),
        None,
        findings.layout,
        findings.hint,
        notes,
        bool(apdu[1] & 0x40),
    )
