"""Names from the list of push objects: read from the meter beforehand, or sent as the first element of the push."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cosemic.codec.axdr import Data
from cosemic.cosem.meter_model import MeterModel
from cosemic.cosem.selection import CaptureObject
from cosemic.cosem.values import CAPTURED_ATTRIBUTES, SCALER_ATTRIBUTE, ScalerUnit
from cosemic.enums import InterfaceClass
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.push.labelling import Labelled, Labels, with_scalers_from_push
from cosemic.push.messages import Label
from cosemic.push.nodes import ARRAY, STRUCTURE, Body, Node

_PUSH_SETUP: Final = int(InterfaceClass.PUSH_SETUP)


@dataclass(frozen=True, slots=True)
class PushDefinition:
    """What one push of a meter consists of: attribute 2 of its push setup, and the scalers of its objects if known.

    ``lists`` has more than one element where a meter has several pushes: the one that fits a message is used.
    """

    lists: tuple[tuple[CaptureObject, ...], ...]
    scalers: tuple[tuple[int, ObisCode, ScalerUnit], ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, value: object) -> PushDefinition:
        """From a decoded attribute 2, a list of (class, OBIS code, attribute[, data index]), Data, or a MeterModel.

        ValueError says which element is wrong.
        """
        if isinstance(value, PushDefinition):
            return value
        if isinstance(value, MeterModel):
            return _of_model(value)
        if isinstance(value, Data):
            value = value.value
        if not isinstance(value, list | tuple) or not value:
            raise ValueError(
                "a definition of a push is a list of (class, OBIS code, attribute), such as attribute 2 of the push "
                f"setup, not {type(value).__name__ if value else 'an empty one'}"
            )
        return cls((tuple(_capture(element, number) for number, element in enumerate(value, start=1)),))


def _capture(element: object, number: int) -> CaptureObject:
    if isinstance(element, CaptureObject):
        return element
    match element:
        case (int(class_id), bytes() | str() | ObisCode() as name, int(attribute), *more):
            index = more[0] if more else 0
            try:
                return CaptureObject.from_value((class_id, ObisCode.parse(name).octets, attribute, index))
            except (ValueError, DecodeError) as error:
                raise ValueError(f"element {number} of a definition of a push: {error}") from None
    raise ValueError(
        f"element {number} of a definition of a push is (class, OBIS code, attribute[, data index]), not {element!r}"
    )


def _of_model(model: MeterModel) -> PushDefinition:
    lists = []
    scalers = []
    for item in model.objects:
        class_id, obis = item.place
        if class_id == _PUSH_SETUP and 2 in item.values:
            value = item.values[2].value
            if isinstance(value, list) and value:
                lists.append(tuple(_capture(element, number) for number, element in enumerate(value, start=1)))
        attribute = SCALER_ATTRIBUTE.get(class_id)
        if attribute is not None and attribute in item.values:
            try:
                scalers.append((class_id, obis, ScalerUnit.from_value(item.values[attribute].value)))
            except DecodeError:
                continue  # what a meter says wrongly of one register is no reason to refuse the others
    if not lists:
        raise ValueError("the model has no push setup whose push objects were read (class 40, attribute 2)")
    return PushDefinition(tuple(lists), tuple(scalers))


def label_by_definition(body: Body, definition: PushDefinition) -> Labels | None:
    """The values by a definition; None where no list of it has as many elements as the push."""
    values = body.root.children
    if values is None:
        values = (body.root,)
    fitting = [columns for columns in definition.lists if len(columns) == len(values)]
    if not fitting:
        return None
    columns = next((columns for columns in fitting if _agrees(body, columns, values)), fitting[0])
    labels = Labels()
    if len(set(fitting)) > 1:
        labels.doubts.append(f"{len(fitting)} push objects lists of the model have {len(values)} elements")
    scalers = {(class_id, obis): scaler_unit for class_id, obis, scaler_unit in definition.scalers}
    _assign(body, labels, columns, values, Label.DEFINITION, scalers)
    return labels


def label_by_own_list(body: Body) -> Labels | None:
    """The values of a push whose first element is the list of its objects; None where it is not."""
    elements = body.root.children
    if elements is None or len(elements) < 2 or body.root.tag != STRUCTURE:
        return None
    columns = _own_list(body, elements[0])
    if columns is None:
        return None
    labels = Labels(pinned=[elements[0]], codes=frozenset(column.obis for column in columns))
    values: Sequence[Node] = elements[1:]
    nested = values[0].children if len(values) == 1 else None
    if columns[0].class_id == _PUSH_SETUP and columns[0].attribute == 2 and len(columns) == len(elements):
        columns = columns[1:]  # the list names itself
    elif columns[0].class_id == _PUSH_SETUP and nested is not None and len(columns) == len(nested) + 1:
        columns, values = columns[1:], nested
    elif nested is not None and len(columns) == len(nested) and len(columns) > 1:
        values = nested
    elif len(columns) != len(values):
        labels.rest += values
        labels.doubts.append(
            f"the list of objects in the push names {len(columns)} values, but {len(values)} follow: it was not used"
        )
        return labels
    _assign(body, labels, columns, values, Label.OBJECT_LIST, {})
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


def _agrees(body: Body, columns: Iterable[CaptureObject], values: Sequence[Node]) -> bool:
    """Whether clocks are where date-times are, and scaler_units where the definition has them."""
    for column, value in zip(columns, values, strict=True):
        if column.is_clock and value.end - value.content != _DATE_TIME:
            return False
        if SCALER_ATTRIBUTE.get(column.class_id) == column.attribute and body.scaler_unit(value) is None:
            return False
    return True


_DATE_TIME: Final = 12


def _assign(
    body: Body,
    labels: Labels,
    columns: Sequence[CaptureObject],
    values: Sequence[Node],
    label: Label,
    scalers: dict[tuple[int, ObisCode], ScalerUnit],
) -> None:
    """Name each value by its column; scalers, units and times of capture that are among them go to their values."""
    times: dict[tuple[int, ObisCode], Node] = {}
    items = []
    for column, value in zip(columns, values, strict=True):
        place = column.class_id, column.obis
        if SCALER_ATTRIBUTE.get(column.class_id) == column.attribute:
            scaler_unit = body.scaler_unit(value)
            if scaler_unit is not None:
                scalers = {**scalers, place: scaler_unit}
                labels.pinned.append(value)
                continue
        captured = CAPTURED_ATTRIBUTES.get(column.class_id)
        if captured is not None and column.attribute == captured[1]:
            times[place] = value
        items.append(Labelled(value, label, column.obis, column.class_id, column.attribute, column.data_index))
    for item in with_scalers_from_push(items, scalers):
        time = times.get((item.class_id or 0, item.obis)) if item.obis is not None else None
        if time is item.node:
            time = None
        labels.items.append(item if time is None else _timed(item, time))


def _timed(item: Labelled, time: Node) -> Labelled:
    return Labelled(
        item.node, item.label, item.obis, item.class_id, item.attribute, item.data_index, item.scaler_unit, time=time
    )
