"""Events, whose one value the service itself names, and reports of short names (IEC 62056-5-3, clause 8)."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Final

from cosemic.apdu.notify import EventNotificationRequest, InformationReportRequest
from cosemic.apdu.short_name import VariableName
from cosemic.codec.axdr import Data, encode_length
from cosemic.cosem.values import ScalerUnit
from cosemic.obis import ObisCode
from cosemic.push.meaning.definitions import PushDefinition, scaler_of
from cosemic.push.meaning.hints import hint_of, identity_in
from cosemic.push.meaning.labelling import Labelled, Labels
from cosemic.push.meaning.nodes import Body
from cosemic.push.meaning.shapes import Findings, Shape, clock_of, identity_of
from cosemic.push.meaning.values import is_specified, moment
from cosemic.push.messages import Label, Protection, Push, PushReading
from cosemic.push.telegrams import Telegram
from cosemic.times import CosemDateTime

EVENT_NOTIFICATION: Final = "event-notification"
INFORMATION_REPORT: Final = "information-report"

_DATE_TIME: Final = 12
_STEP: Final = 8
"""From the short name of an attribute to that of the next."""
_ATTRIBUTES: Final = 32


def interpret_event(
    telegram: Telegram,
    service: EventNotificationRequest,
    definition: PushDefinition,
    protection: Protection | None,
    zone: tzinfo | None,
) -> Push:
    """The push with the one value of the attribute that the service names."""
    attribute = service.attribute
    scaler_unit = scaler_of(attribute.class_id, attribute.instance, attribute.attribute, definition.scalers)
    item, body = _item(service.value, attribute.class_id, attribute.instance, attribute.attribute, scaler_unit)
    labels = Labels(items=[item])
    readings = _readings(item, body, zone)
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
        identity_in(readings, identity_of(labels.items)),
        hint=hint_of(labels, []),
        notes=notes,
    )


def interpret_report(
    telegram: Telegram,
    service: InformationReportRequest,
    definition: PushDefinition,
    protection: Protection | None,
    zone: tzinfo | None,
) -> Push:
    """The push with the values of short names, which a model of the meter can turn into objects."""
    octets = b"".join((b"\x02", encode_length(len(service.data)), *map(bytes, service.data)))
    labels = Labels()
    readings: list[PushReading] = []
    unknown = []
    if len(service.specifications) != len(service.data):
        labels.doubts.append(f"{len(service.specifications)} names stand before {len(service.data)} values")
    else:
        for name, data in zip(service.specifications, service.data, strict=True):
            place = _place(name, definition) if isinstance(name, VariableName) else None
            if place is None:
                unknown.append(repr(name))
                continue
            item, body = _item(data, *place, scaler_of(*place, definition.scalers))
            labels.items.append(item)
            readings += _readings(item, body, zone)
    if unknown:
        labels.doubts.append(f"a model of the meter with its short names would tell what {', '.join(unknown[:3])} is")
    time = None
    notes: tuple[str, ...] = ()
    if service.current_time:
        time, notes = _generalized(service.current_time, zone)
    clock = clock_of(labels.items)
    if time is None and clock is not None and isinstance(readings[clock].value, datetime | CosemDateTime):
        time = readings[clock].value  # type: ignore[assignment]
    hint = hint_of(labels, []) if labels.items else "; ".join(labels.doubts) or None
    return Push(
        INFORMATION_REPORT,
        tuple(readings),
        telegram,
        time,
        Data(octets),
        protection,
        identity_in(readings, identity_of(labels.items)),
        hint=hint,
        notes=notes,
    )


def _item(
    data: Data, class_id: int, obis: ObisCode, attribute: int, scaler_unit: ScalerUnit | None
) -> tuple[Labelled, Body]:
    body = Body.of(data)
    return Labelled(body.root, Label.ATTRIBUTE, obis, class_id, attribute, scaler_unit=scaler_unit), body


def _readings(item: Labelled, body: Body, zone: tzinfo | None) -> tuple[PushReading, ...]:
    shape = Shape(body, [item], [], Findings())
    fields = None if shape.layout is None else shape.fields(body.octets, 0)
    return shape.readings(fields or (), body.octets, 0, zone)


def _place(name: VariableName, definition: PushDefinition) -> tuple[int, ObisCode, int] | None:
    """Class, code and attribute of a short name: that of the object is the one of its attribute 1."""
    for number in range(_ATTRIBUTES):
        place = definition.base_names.get(name.name - number * _STEP)
        if place is not None:
            return (*place, number + 1)
    return None


def _generalized(text: bytes, zone: tzinfo | None) -> tuple[datetime | None, tuple[str, ...]]:
    """A GeneralizedTime such as ``20251125143000Z``; without a zone of its own it needs the user's."""
    try:
        words = text.decode("ascii")
        when = datetime.strptime(words[:14], "%Y%m%d%H%M%S")
        rest = words[14:].partition(".")[2].lstrip("0123456789") if words[14:15] == "." else words[14:]
        if rest:
            return datetime.strptime(words[:14] + ("+0000" if rest == "Z" else rest), "%Y%m%d%H%M%S%z"), ()
        if zone is not None:
            return when.replace(tzinfo=zone), ()
    except (ValueError, UnicodeDecodeError):
        pass
    return None, (f"the time {text!r} was left unread",)
