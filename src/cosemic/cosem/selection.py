"""Selective access to the buffer of a profile: by range and by entry (IEC 62056-6-2, 4.3.6)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

from cosemic.apdu.services import SelectiveAccess
from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed
from cosemic.enums import AccessSelector, InterfaceClass
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime

Moment: TypeAlias = datetime | CosemDateTime


class DeviationPolicy(enum.Enum):
    """How a selector writes the deviation of a date-time: some meters insist on it, others refuse it."""

    KEEP = "keep"
    """As the date-time has it: present for an aware datetime."""
    NOT_SPECIFIED = "not-specified"
    """Always 0x8000: the meter takes the time as its own local time."""


class TimeEncoding(enum.Enum):
    """The data type of a date-time in a selector."""

    OCTET_STRING = "octet-string"
    DATE_TIME = "date-time"


@dataclass(frozen=True, slots=True)
class SelectorStyle:
    """How one kind of meter wants its range selectors."""

    deviation: DeviationPolicy = DeviationPolicy.KEEP
    encoding: TimeEncoding = TimeEncoding.OCTET_STRING


DEFAULT_STYLE = SelectorStyle()


@dataclass(frozen=True, slots=True)
class CaptureObject:
    """capture_object_definition: which attribute (or element of one, ``data_index`` from 1) a column holds."""

    class_id: int
    obis: ObisCode
    attribute: int
    data_index: int = 0

    @property
    def is_clock(self) -> bool:
        """True for the time of a clock."""
        return self.class_id == InterfaceClass.CLOCK and self.attribute == 2

    @classmethod
    def from_value(cls, value: object) -> CaptureObject:
        """From a decoded structure {class_id, logical_name, attribute_index, data_index}."""
        match value:
            case (int(class_id), bytes(name), int(attribute), int(data_index)) if (
                len(name) == 6 and 0 <= class_id <= 0xFFFF and -128 <= attribute < 128 and 0 <= data_index <= 0xFFFF
            ):
                return cls(int(class_id), ObisCode.from_bytes(name), int(attribute), int(data_index))
        raise DecodeError(f"a capture object is a structure of class, name, attribute and data index, not {value!r}")

    def typed(self) -> Typed:
        """The structure to send."""
        return axdr.structure(
            axdr.long_unsigned(self.class_id),
            axdr.octet_string(bytes(self.obis)),
            axdr.integer(self.attribute),
            axdr.long_unsigned(self.data_index),
        )


CLOCK_TIME = CaptureObject(InterfaceClass.CLOCK, ObisCode(0, 0, 1, 0, 0, 255), 2)
"""The restricting object of a range by time."""


def date_time(moment: Moment, style: SelectorStyle = DEFAULT_STYLE) -> Typed:
    """A date-time as the style wants it. A naive datetime has no deviation, whatever the style."""
    time = moment if isinstance(moment, CosemDateTime) else CosemDateTime.from_datetime(moment)
    if style.deviation is DeviationPolicy.NOT_SPECIFIED:
        time = replace(time, deviation=None)
    return axdr.date_time(time) if style.encoding is TimeEncoding.DATE_TIME else axdr.octet_string(bytes(time))


def by_range(
    start: Moment,
    end: Moment,
    *,
    restricting: CaptureObject = CLOCK_TIME,
    columns: Iterable[CaptureObject] = (),
    style: SelectorStyle = DEFAULT_STYLE,
) -> SelectiveAccess:
    """Rows whose ``restricting`` column lies in start..end, both included; no ``columns`` means all of them."""
    return by_values(date_time(start, style), date_time(end, style), restricting=restricting, columns=columns)


def by_values(
    first: Typed, last: Typed, *, restricting: CaptureObject, columns: Iterable[CaptureObject] = ()
) -> SelectiveAccess:
    """Rows whose ``restricting`` column lies between two values of its own type, both included."""
    descriptor = axdr.structure(restricting.typed(), first, last, axdr.array(*(column.typed() for column in columns)))
    return SelectiveAccess(int(AccessSelector.RANGE), Data.of(descriptor))


def by_entry(first: int = 1, last: int = 0, *, first_column: int = 1, last_column: int = 0) -> SelectiveAccess:
    """Rows ``first`` to ``last`` and their columns, counted from 1; 0 as an end means the last one there is."""
    if first < 1 or first_column < 1 or last < 0 or last_column < 0:
        raise ValueError("entries and columns of a profile are counted from 1")
    descriptor = axdr.structure(
        axdr.double_long_unsigned(first),
        axdr.double_long_unsigned(last),
        axdr.long_unsigned(first_column),
        axdr.long_unsigned(last_column),
    )
    return SelectiveAccess(int(AccessSelector.ENTRY), Data.of(descriptor))
