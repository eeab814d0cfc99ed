"""What the columns of a profile hold, and how they are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cosemic.cosem.catalog import describe
from cosemic.cosem.model import interface_class
from cosemic.cosem.selection import CaptureObject
from cosemic.cosem.values import ScalerUnit
from cosemic.enums import DataType
from cosemic.obis import ObisCode


@dataclass(frozen=True, slots=True)
class Column:
    """What one column holds. ``key`` is unique in its profile; ``unit`` and ``scaler`` are None where unknown."""

    capture: CaptureObject
    key: str
    label: str
    unit: str | None = None
    scaler: int | None = None

    @property
    def class_id(self) -> int:
        """Interface class of the captured object."""
        return self.capture.class_id

    @property
    def obis(self) -> ObisCode:
        """Logical name of the captured object."""
        return self.capture.obis

    @property
    def attribute(self) -> int:
        """Number of the captured attribute."""
        return self.capture.attribute

    @property
    def data_index(self) -> int:
        """Which element of the attribute, from 1; 0 is the whole attribute."""
        return self.capture.data_index

    @property
    def is_clock(self) -> bool:
        """True for the time of a clock: the time of the row."""
        return self.capture.is_clock

    @property
    def is_time(self) -> bool:
        """True where the standard says that the attribute is a date-time."""
        attributes = interface_class(self.capture.class_id).attributes
        number = self.capture.attribute
        declared = 1 <= number <= len(attributes) and self.capture.data_index == 0
        return declared and DataType.DATE_TIME in attributes[number - 1].types


def make_columns(
    captures: Iterable[CaptureObject], scalers: Sequence[ScalerUnit | None] | None = None
) -> tuple[Column, ...]:
    """Columns with unique keys: the OBIS code, with ``:attribute`` and ``[data index]`` only where needed."""
    captures = list(captures)
    by_obis = Counter(capture.obis for capture in captures)
    by_attribute = Counter((capture.obis, capture.class_id, capture.attribute) for capture in captures)
    columns: list[Column] = []
    used: set[str] = set()
    for index, capture in enumerate(captures):
        key = str(capture.obis)
        if by_obis[capture.obis] > 1:
            key += f":{capture.attribute}"
        if by_attribute[capture.obis, capture.class_id, capture.attribute] > 1:
            key += f"[{capture.data_index}]"
        if key in used:
            key += f"#{index + 1}"
        used.add(key)
        scaler_unit = scalers[index] if scalers is not None else None
        label = describe(capture.obis)
        if capture.attribute != 2:
            label += f", {interface_class(capture.class_id).attribute_name(capture.attribute)}"
        unit, scaler = (None, None) if scaler_unit is None else (scaler_unit.symbol, scaler_unit.scaler)
        columns.append(Column(capture, key, label, unit, scaler))
    return tuple(columns)
