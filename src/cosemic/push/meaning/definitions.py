"""What the user knows of a meter's pushes: the list of push objects, or a model of the meter with all that helps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cosemic.codec.axdr import Data, Value
from cosemic.cosem.selection import CaptureObject
from cosemic.cosem.values import SCALED_ATTRIBUTES, SCALER_ATTRIBUTE, ScalerUnit
from cosemic.enums import InterfaceClass
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.push.meaning.captured import CAPTURES, COMPACT_DATA, PERIOD, PROFILE, TEMPLATE, Captured, buffers

if TYPE_CHECKING:
    from cosemic.cosem.meter_model import MeterModel

PUSH_SETUP = int(InterfaceClass.PUSH_SETUP)


@dataclass(frozen=True, slots=True, eq=False)
class PushDefinition:
    """What the pushes of a meter consist of. Make it once by ``of`` and use it for every push of the meter.

    ``lists`` are attributes 2 of its push setups: the one that fits a message is used. ``scalers``, ``captured`` and
    ``base_names`` come from a model: by class and code what registers and buffers are, by short name the objects.
    """

    lists: tuple[tuple[CaptureObject, ...], ...] = ()
    scalers: dict[tuple[int, ObisCode], ScalerUnit] = field(default_factory=dict, repr=False)
    captured: dict[tuple[int, ObisCode], Captured] = field(default_factory=dict, repr=False)
    base_names: dict[int, tuple[int, ObisCode]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, value: object) -> PushDefinition:
        """From a decoded attribute 2, a list of (class, OBIS code, attribute[, data index]), Data, or a MeterModel.

        ValueError says which element is wrong.
        """
        if isinstance(value, PushDefinition):
            return value
        if isinstance(value, Data):
            value = value.value
        if not isinstance(value, list | tuple) or not value:
            from cosemic.cosem.meter_model import MeterModel  # rare, and half of what a program loads

            if isinstance(value, MeterModel):
                return _of_model(value)
            raise ValueError(
                "a definition of a push is a list of (class, OBIS code, attribute), such as attribute 2 of the push "
                f"setup, or a model of the meter, not {type(value).__name__ if value else 'an empty one'}"
            )
        return cls((_columns(value),))


def _columns(value: Sequence[object]) -> tuple[CaptureObject, ...]:
    return tuple(_capture(element, number) for number, element in enumerate(value, start=1))


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
    scalers = {}
    base_names = {}
    values: dict[tuple[int, ObisCode, int], Value] = {}
    for item in model.objects:
        class_id, obis = item.place
        if item.entry.base_name is not None:
            base_names[item.entry.base_name] = item.place
        for attribute in (2, CAPTURES, PERIOD, TEMPLATE) if class_id in (PUSH_SETUP, PROFILE, COMPACT_DATA) else ():
            data = item.values.get(attribute)
            if data is not None and (attribute != 2 or class_id == PUSH_SETUP):
                values[class_id, obis, attribute] = _value(data)
        pushed = values.get((PUSH_SETUP, obis, 2)) if class_id == PUSH_SETUP else None
        if isinstance(pushed, list) and pushed:
            lists.append(_columns(pushed))
        scaler_data = item.values.get(SCALER_ATTRIBUTE.get(class_id, 0))
        if scaler_data is not None:
            try:
                scalers[item.place] = ScalerUnit.from_value(_value(scaler_data))
            except DecodeError:
                continue  # what a meter says wrongly of one register is no reason to refuse the others
    captured = {place: with_scalers(found, scalers) for place, found in buffers(values)}
    return PushDefinition(tuple(lists), scalers, captured, base_names)


def _value(data: Data) -> Value:
    try:
        return data.value
    except DecodeError:
        return None


def with_scalers(captured: Captured, scalers: dict[tuple[int, ObisCode], ScalerUnit]) -> Captured:
    """The buffer with the scalers of what it captures, where they are known."""
    known = tuple(scaler_of(column.class_id, column.obis, column.attribute, scalers) for column in captured.columns)
    return Captured(captured.columns, known, captured.template, captured.period)


def scaler_of(
    class_id: int | None,
    obis: ObisCode,
    attribute: int | None,
    scalers: dict[tuple[int, ObisCode], ScalerUnit],
) -> ScalerUnit | None:
    """The scaler of an attribute, if it is one that has a scaler; without a class, that of any register of the code."""
    if class_id is None:
        return next((scalers[each, obis] for each in SCALER_ATTRIBUTE if (each, obis) in scalers), None)
    if attribute is not None and attribute not in SCALED_ATTRIBUTES.get(class_id, ()):
        return None
    return scalers.get((class_id, obis))
