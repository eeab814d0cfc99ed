"""A simulated meter from the model of a real one (``cosem.meter_model``): its objects, its rights, its values.

Attributes hold what the model has, and keep what is written where the model lets it be written. What runs in every
meter runs here: the clock, the reset of a register, the selection of rows from a profile whose buffer the model has.
Other methods are refused with other-reason, since what they do is not known. An attribute without a value is refused
with what the real meter said, or as a temporary failure.

The meter offers the associations of the demo meter (``meter.demo``), each with the rights that the model has; its own
association, security setup and SAP assignment objects stand in place of the model's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise

from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed
from cosemic.cosem.meter_model import MeterModel, ModelObject
from cosemic.cosem.selection import CaptureObject
from cosemic.enums import AccessRight, DataAccessResult, DataType, InterfaceClass
from cosemic.errors import DecodeError
from cosemic.meter.demo import METER_ZONE, bare_meter, demo_security
from cosemic.meter.instruments import clock as running_clock
from cosemic.meter.model import Access, SimulatedMeter
from cosemic.meter.objects import Attribute, MeterObject, Method, Refusal, Rights, expect_integer, expect_type_of
from cosemic.meter.profiles import EventRows, buffer_attribute
from cosemic.obis import ObisCode
from cosemic.security.counters import CounterStore
from cosemic.times import CosemDateTime

_OURS = frozenset(
    map(
        int,
        (
            InterfaceClass.ASSOCIATION_LN,
            InterfaceClass.ASSOCIATION_SN,
            InterfaceClass.SAP_ASSIGNMENT,
            InterfaceClass.SECURITY_SETUP,
        ),
    )
)
_DEVICE_NAME = ObisCode(0, 0, 42, 0, 0, 255)


def meter_from_model(
    model: MeterModel,
    *,
    clock: Callable[[], datetime] | None = None,
    zone: tzinfo = METER_ZONE,
    counters: CounterStore | None = None,
) -> SimulatedMeter:
    """Make the meter; ``clock`` gives the true time (aware; by default the computer's), ``zone`` is the meter's own."""
    versions = [item.entry.version for item in model.objects if item.entry.class_id == InterfaceClass.ASSOCIATION_LN]
    meter = bare_meter(
        {1: _device_name(model)},
        demo_security(counters),
        clock=clock,
        zone=zone,
        counters=counters,
        association_version=max(versions, default=1),
    )
    (device,) = meter.devices.values()
    events = EventRows()
    for item in model.objects:
        if item.entry.class_id not in _OURS:
            device.add(_meter_object(item, events))
    return meter


def _device_name(model: MeterModel) -> bytes:
    for item in model.objects:
        value = item.values.get(2)
        if item.entry.obis == _DEVICE_NAME and value is not None:
            name = value.value
            if isinstance(name, bytes | str):
                return name if isinstance(name, bytes) else name.encode("latin-1", "replace")
    return b"COS0000000000001"


def _meter_object(item: ModelObject, events: EventRows) -> MeterObject:
    entry = item.entry
    runs: MeterObject | None = None
    if entry.class_id == InterfaceClass.CLOCK:
        runs = running_clock(events)
    attributes = {number: _attribute(item, number, right) for number, right in entry.attributes.items()}
    methods = {number: Method(_unknown, _everybody(right)) for number, right in entry.methods.items()}
    if runs is not None:
        for number in attributes.keys() & _RUNNING & runs.attributes.keys():
            attributes[number] = _with_rights(runs.attributes[number], entry.attributes[number])
        for number in methods.keys() & runs.methods.keys():
            methods[number] = Method(runs.methods[number].call, _everybody(entry.methods[number]))
    if entry.class_id in _REGISTERS and 1 in methods and 2 in attributes and 2 in item.values:
        methods[1] = Method(_reset(attributes[2], item.values[2]), _everybody(entry.methods[1]))
    if entry.class_id == InterfaceClass.PROFILE_GENERIC:
        buffer = _buffer(item)
        if buffer is not None and 2 in attributes:
            attributes[2] = _with_rights(buffer, entry.attributes[2])
    return MeterObject(entry.class_id, entry.obis, entry.version, attributes, methods)


_RUNNING = frozenset((2, 4))
"""Attributes of a clock that run: time and status."""
_REGISTERS = (int(InterfaceClass.REGISTER), int(InterfaceClass.EXTENDED_REGISTER))


def _everybody(right: AccessRight) -> Rights:
    return right, right, right


def _with_rights(attribute: Attribute, right: AccessRight) -> Attribute:
    return Attribute(
        attribute.read, _everybody(right), attribute.write, attribute.select, selectors=attribute.selectors
    )


def _attribute(item: ModelObject, number: int, right: AccessRight) -> Attribute:
    if number == 1:
        name = Data.of(axdr.octet_string(bytes(item.entry.obis)))
        return Attribute(lambda access: name, _everybody(right))
    cell = [item.values.get(number)]
    result = _result(item.refused.get(number))

    def read(access: Access) -> Data:
        if cell[0] is None:
            raise Refusal(result)
        return cell[0]

    def write(access: Access, data: Data) -> None:
        if cell[0] is not None:
            expect_type_of(cell[0], data)
        cell[0] = data

    return Attribute(read, _everybody(right), write)


def _result(reason: str | None) -> DataAccessResult:
    name = (reason or "").upper().replace("-", "_")
    return DataAccessResult[name] if name in DataAccessResult.__members__ else DataAccessResult.TEMPORARY_FAILURE


def _unknown(access: Access, parameters: Data | None) -> None:
    raise Refusal(DataAccessResult.OTHER_REASON)


def _reset(attribute: Attribute, value: Data) -> Callable[[Access, Data | None], None]:
    """Reset of a register: its value becomes zero, in the type that it has."""
    typed = value.typed

    def reset(access: Access, parameters: Data | None) -> None:
        expect_integer(parameters)
        if not isinstance(typed.value, int | float) or isinstance(typed.value, bool) or attribute.write is None:
            raise Refusal(DataAccessResult.OTHER_REASON)
        attribute.write(access, Data.of(Typed(typed.type, type(typed.value)(0))))

    return reset


# Profiles


def _buffer(item: ModelObject) -> Attribute | None:
    """The buffer with its selectors, where the model has the rows and the columns and these fit; else None."""
    if 2 not in item.values or 3 not in item.values:
        return None
    try:
        captures = [CaptureObject.from_value(element) for element in _list(item.values[3])]
        buffer = item.values[2].typed
        rows = buffer.elements if buffer.type is DataType.ARRAY else None
    except DecodeError:
        return None
    if rows is None or any(row.type is not DataType.STRUCTURE or len(row.elements) != len(captures) for row in rows):
        return None
    clock = next((index for index, capture in enumerate(captures) if capture.is_clock), None)
    period = item.values[4].value if 4 in item.values else 0
    return buffer_attribute(captures, _StoredRows(rows, clock, period if isinstance(period, int) else 0))


def _list(data: Data) -> list[object]:
    value = data.value
    if not isinstance(value, list):
        raise DecodeError("capture_objects is an array")
    return list(value)


class _StoredRows:
    """The rows that the model has, in the order that it has them."""

    def __init__(self, rows: Sequence[Typed], clock: int | None, period: int) -> None:
        self._rows = list(rows)
        self._clock = clock
        self._period = timedelta(seconds=period)
        self._capacity = len(self._rows)

    def count(self, access: Access) -> int:
        return len(self._rows)

    def capacity(self) -> int:
        return self._capacity

    def encoded(self, access: Access, first: int, until: int, columns: Sequence[int]) -> bytes:
        rows = [row.elements for row in self._rows[first:until]]
        if self._clock is not None and rows and rows[0][self._clock].plain is None:
            # The first row of an answer says its time; only after it a null is enough.
            time = self._times(access.meter.zone)[first]
            if time is not None:
                written = axdr.octet_string(bytes(CosemDateTime.from_datetime(time)))
                rows[0] = (*rows[0][: self._clock], written, *rows[0][self._clock + 1 :])
        return b"".join(axdr.encode(axdr.structure(*(row[column] for column in columns))) for row in rows)

    def between(self, access: Access, start: datetime, end: datetime) -> tuple[int, int]:
        if self._clock is None:
            raise Refusal(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
        times = self._times(access.meter.zone)
        known = [time for time in times if time is not None]
        if len(known) == len(times) and all(before <= after for before, after in pairwise(known)):
            return bisect_left(known, start), bisect_right(known, end)
        hits = [index for index, time in enumerate(times) if time is not None and start <= time <= end]
        return (hits[0], hits[-1] + 1) if hits else (0, 0)

    def _times(self, zone: tzinfo) -> list[datetime | None]:
        """The time of each row; a null is one period after the row before."""
        assert self._clock is not None
        times: list[datetime | None] = []
        for row in self._rows:
            time = _time(row.elements[self._clock].plain, zone)
            if time is None and times and times[-1] is not None and self._period:
                time = times[-1] + self._period
            times.append(time)
        return times

    def clear(self, access: Access) -> None:
        self._rows.clear()


def _time(value: object, zone: tzinfo) -> datetime | None:
    try:
        if isinstance(value, bytes) and len(value) == 12:
            value = CosemDateTime.from_bytes(value)
        return value.to_datetime(zone) if isinstance(value, CosemDateTime) else None
    except ValueError:
        return None
