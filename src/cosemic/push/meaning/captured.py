"""Captured values in a push: the rows of a profile (class 7) and the buffer of compact data (class 62)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from cosemic.codec.axdr import DEFAULT_LIMITS, Value
from cosemic.codec.compact_data import decode_compact_buffer
from cosemic.codec.deltas import resolve_deltas
from cosemic.cosem.profile import make_columns, make_profile
from cosemic.cosem.selection import CaptureObject
from cosemic.cosem.values import ScalerUnit
from cosemic.enums import InterfaceClass
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.push.meaning.labelling import device_of
from cosemic.push.messages import Label, PushReading
from cosemic.times import CosemDateTime

PROFILE: Final = int(InterfaceClass.PROFILE_GENERIC)
COMPACT_DATA: Final = int(InterfaceClass.COMPACT_DATA)
CAPTURES: Final = 3
"""Attribute of both classes: which attributes of which objects are captured."""
TEMPLATE: Final = 5
"""Attribute of compact data: the types of what is captured."""
PERIOD: Final = 4
"""Attribute of a profile: seconds from row to row."""


@dataclass(frozen=True, slots=True)
class Captured:
    """What the columns of a buffer are. ``template`` is that of compact data, ``period`` that of a profile."""

    columns: tuple[CaptureObject, ...]
    scalers: tuple[ScalerUnit | None, ...]
    template: bytes | None = None
    period: int = 0

    def readings(self, octets: bytes, value: Value, label: Label, zone: tzinfo | None) -> list[PushReading]:
        """One reading for each captured value that is there, with the time of its row. DecodeError for a misfit."""
        rows = self._rows(octets, value)
        columns = make_columns(self.columns, self.scalers)
        profile = make_profile(columns, rows, capture_period=self.period, zone=zone)
        clock = next((place for place, column in enumerate(columns) if column.is_clock), None)
        found = []
        for raw_row, row in zip(rows or [], profile.rows, strict=True):  # type: ignore[arg-type]
            time = None if clock is None else row[clock]
            assert isinstance(raw_row, tuple)
            for place, column in enumerate(columns):
                if place == clock or row[place] is None:
                    continue
                scaler_unit = self.scalers[place]
                found.append(
                    PushReading(
                        column.label,
                        row[place],
                        column.unit or "",
                        column.obis,
                        column.class_id,
                        column.attribute,
                        raw_row[place],
                        column.scaler,
                        255 if scaler_unit is None else scaler_unit.unit,
                        time if isinstance(time, datetime | CosemDateTime) else None,
                        device_of(column.obis),
                        label,
                    )
                )
        return found

    def _rows(self, octets: bytes, value: Value) -> Value:
        if self.template is None:
            return resolve_deltas(octets, value, len(self.columns), DEFAULT_LIMITS)
        if not isinstance(value, bytes):
            raise DecodeError(f"the buffer of compact data is an octet-string, not {value!r}")
        values = decode_compact_buffer(self.template, value)
        return [values] if values else []


def captures_of(value: object) -> tuple[CaptureObject, ...] | None:
    """The columns that an attribute 3 of either class lists; None where it is no such list."""
    if not isinstance(value, list) or not value:
        return None
    try:
        # In later versions of compact data, what restricts the capture follows the four elements.
        return tuple(CaptureObject.from_value(part[:4] if isinstance(part, tuple) else part) for part in value)
    except DecodeError:
        return None


def buffers(values: dict[tuple[int, ObisCode, int], Value]) -> Iterator[tuple[tuple[int, ObisCode], Captured]]:
    """The buffers that attributes tell of, by class and code; the scalers are yet to be found."""
    for (class_id, obis, attribute), value in values.items():
        if attribute != CAPTURES or class_id not in (PROFILE, COMPACT_DATA):
            continue
        columns = captures_of(value)
        if columns is None:
            continue
        template = values.get((class_id, obis, TEMPLATE)) if class_id == COMPACT_DATA else None
        period = values.get((class_id, obis, PERIOD)) if class_id == PROFILE else None
        if class_id == COMPACT_DATA and not isinstance(template, bytes):
            continue
        yield (
            (class_id, obis),
            Captured(
                columns,
                (None,) * len(columns),
                template if isinstance(template, bytes) else None,
                period if isinstance(period, int) else 0,
            ),
        )
