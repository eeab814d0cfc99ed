"""Names from the list of push objects: read from the meter beforehand, or sent as the first element of the push."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from cosemic.codec.axdr import Value
from cosemic.codec.scalars import FORMATS
from cosemic.cosem.selection import CaptureObject
from cosemic.cosem.values import CAPTURED_ATTRIBUTES, SCALED_ATTRIBUTES, SCALER_ATTRIBUTE
from cosemic.obis import ObisCode
from cosemic.push.meaning.captured import CAPTURES, COMPACT_DATA, PERIOD, PROFILE, TEMPLATE, buffers
from cosemic.push.meaning.definitions import PUSH_SETUP, PushDefinition, scaler_of, with_scalers
from cosemic.push.meaning.labelling import Labelled, Labels
from cosemic.push.meaning.nodes import ARRAY, STRUCTURE, Body, Node, is_null
from cosemic.push.messages import Label

_DATE_TIME: Final = 12
_NAME: Final = 6


def label_by_definition(body: Body, definition: PushDefinition, doubts: list[str]) -> Labels | None:
    """The values by a definition; None where no list of it fits, which ``doubts`` then says."""
    values = body.elements
    fitting = list(dict.fromkeys(columns for columns in definition.lists if len(columns) == body.announced))
    marks = [_agreement(body, columns, values) for columns in fitting]
    best = max((mark for mark in marks if mark is not None), default=None)
    agreeing = [columns for columns, mark in zip(fitting, marks, strict=True) if mark == best]
    if best is None:
        if definition.lists:
            counts = " or ".join(str(len(columns)) for columns in definition.lists)
            doubts.append(
                "the definition that was given does not agree with the values: it was not used"
                if fitting
                else f"the push has {body.announced} elements, the definition that was given {counts}: it was not used"
            )
        return None
    labels = Labels()
    if len(agreeing) > 1:
        labels.doubts.append(
            f"{len(agreeing)} push setups of the model have {len(values)} objects: the first was taken"
        )
    _assign(body, labels, agreeing[0], values, Label.DEFINITION, definition)
    return labels


def label_by_own_list(body: Body, definition: PushDefinition) -> Labels | None:
    """The values of a push whose first element is the list of its objects; None where it is not.

    Of the ``definition`` only what it knows of the objects is used.
    """
    elements = body.root.children
    if elements is None or len(elements) < 2 or body.root.tag != STRUCTURE:
        return None
    columns = _own_list(body, elements[0])
    if columns is None:
        return None
    labels = Labels(pinned=[elements[0]], codes=frozenset(column.obis for column in columns))
    values: Sequence[Node] = elements[1:]
    nested = values[0].children if len(values) == 1 and body.damage is None else None
    if columns[0].class_id == PUSH_SETUP and columns[0].attribute == 2 and len(columns) == body.announced:
        columns = columns[1:]  # the list names itself
    elif columns[0].class_id == PUSH_SETUP and nested is not None and len(columns) == len(nested) + 1:
        columns, values = columns[1:], nested
    elif nested is not None and len(columns) == len(nested) and len(columns) > 1:
        values = nested
    elif len(columns) != body.announced - 1:
        labels.rest += values
        labels.doubts.append(
            f"the list of objects in the push names {len(columns)} values, but {len(values)} follow: it was not used"
        )
        return labels
    _assign(body, labels, columns, values, Label.OBJECT_LIST, definition)
    return labels


def _own_list(body: Body, node: Node) -> tuple[CaptureObject, ...] | None:
    """The definitions in an array of structures {class, logical name, attribute, data index, ...}."""
    if node.tag not in (ARRAY, STRUCTURE) or not node.children:
        return None
    columns = []
    for element in node.children:
        descriptor = body.descriptor(element)
        parts = element.children
        if descriptor is None or parts is None or len(parts) < 4:
            return None
        class_id, obis, attribute = descriptor
        columns.append(CaptureObject(class_id, obis, attribute, body.whole_number(parts[3]) or 0))
    return tuple(columns)


def _agreement(body: Body, columns: Iterable[CaptureObject], values: Sequence[Node]) -> int | None:
    """How many values are such as the definition wants them; None where clocks, names or scalers are not."""
    mark = 0
    for column, value in zip(columns, values, strict=False):
        size = value.end - value.content
        if is_null(value):
            continue
        if column.is_clock and size != _DATE_TIME:
            return None
        if column.attribute == 1 and size == _NAME and body.string(value) != column.obis.octets:
            return None
        if SCALER_ATTRIBUTE.get(column.class_id) == column.attribute and body.scaler_unit(value) is None:
            return None
        if column.attribute in SCALED_ATTRIBUTES.get(column.class_id, ()):
            mark += value.tag in FORMATS
        else:
            mark += column.is_clock
    return mark


def _assign(
    body: Body,
    labels: Labels,
    columns: Sequence[CaptureObject],
    values: Sequence[Node],
    label: Label,
    definition: PushDefinition,
) -> None:
    """Name each value by its column. What says more of others (scalers, times, names) goes to them."""
    pairs = list(zip(columns, values, strict=False))  # of a damaged push there are values up to the damage
    scalers = dict(definition.scalers)
    times: dict[tuple[int, ObisCode], Node] = {}
    described: dict[tuple[int, ObisCode, int], Value] = {}
    helpers = set()
    pushed = {(column.class_id, column.obis) for column in columns if column.attribute != 1}
    for column, value in pairs:
        place = column.class_id, column.obis
        scaler_unit = body.scaler_unit(value) if SCALER_ATTRIBUTE.get(place[0]) == column.attribute else None
        if scaler_unit is not None:
            scalers[place] = scaler_unit
            helpers.add(value.start)
            labels.pinned.append(value)
        elif place[0] in (PROFILE, COMPACT_DATA) and column.attribute in (CAPTURES, PERIOD, TEMPLATE):
            described[(*place, column.attribute)] = body.value(value)
            labels.pinned.append(value)
        elif column.attribute == 1 and place in pushed:
            helpers.add(value.start)
        captured_at = CAPTURED_ATTRIBUTES.get(place[0])
        if captured_at is not None and column.attribute == captured_at[1]:
            times[place] = value
    captured = dict(definition.captured)
    captured.update((place, with_scalers(found, scalers)) for place, found in buffers(described))
    for column, value in pairs:
        place = column.class_id, column.obis
        is_described = column.attribute in (CAPTURES, TEMPLATE) and place in captured
        if value.start in helpers or is_described:
            continue
        time = times.get(place)
        labels.items.append(
            Labelled(
                value,
                label,
                column.obis,
                column.class_id,
                column.attribute,
                column.data_index,
                scaler_of(column.class_id, column.obis, column.attribute, scalers),
                time=None if time is value else time,
                captured=captured.get(place) if column.attribute == 2 else None,
            )
        )
