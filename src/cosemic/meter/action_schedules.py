"""Single action schedules that run: class 22 objects execute scripts of class 9 tables at their times.

A schedule runs when the meter's clock passes one of its times; what the clock jumps over when it is set does not run.
A script that is not there, and a step that its object refuses, is left out and logged: the others are done.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.cosem.next_moments import next_moment
from cosemic.cosem.tariff_tables import (
    WRITE_ATTRIBUTE,
    Script,
    ScriptAction,
    ScriptReference,
    decode_execution_times,
    decode_reference,
    decode_scripts,
    encode_execution_times,
    encode_reference,
    encode_scripts,
)
from cosemic.enums import DataAccessResult, DataType, InterfaceClass
from cosemic.errors import DecodeError
from cosemic.meter.model import Access, LogicalDevice, SimulatedMeter
from cosemic.meter.objects import (
    CALL_MANAGER,
    Attribute,
    MeterObject,
    Method,
    Refusal,
    Rights,
    expect_integer,
    rights,
    stored,
)
from cosemic.meter.push_values import own_access
from cosemic.obis import ObisCode
from cosemic.times import CosemDate, CosemTime

logger = logging.getLogger("cosemic.meter")

MOST_TIMES = 3600
"""Execution times of one schedule."""
_WHO = rights("-", "r", "rw")
_LATE = timedelta(seconds=60)


class ActionSchedules:
    """The schedules of one logical device. Times are those of the meter's clock."""

    def __init__(self, meter: SimulatedMeter, device: LogicalDevice) -> None:
        self._meter = meter
        self._device = device
        self._due: dict[ObisCode, tuple[bytes, datetime | None]] = {}
        self._offset = meter.offset
        self._seen = meter.now()

    def next_due(self) -> datetime | None:
        """When the next script runs; None while there is nothing to run."""
        self._look()
        return min((due for _, due in self._due.values() if due is not None), default=None)

    def run(self) -> int:
        """Run what has become due; gives how many schedules that were."""
        self._look()
        now = self._meter.now()
        self._seen = now
        count = 0
        for obis, (times, due) in list(self._due.items()):
            if due is None or due > now:
                continue
            schedule = self._device.objects[obis]
            self._due[obis] = (times, self._next(schedule, now))
            if now - due > _LATE:
                logger.info("schedule %s was due at %s, which is long past: it runs now", obis, due)
            self._run(schedule)
            count += 1
        return count

    def _look(self) -> None:
        """Take note of schedules that were written anew, and of a clock that was set."""
        if self._meter.offset != self._offset:
            self._offset = self._meter.offset
            self._seen = self._meter.now()
            self._due.clear()
        found: dict[ObisCode, tuple[bytes, datetime | None]] = {}
        for obis, item in self._device.objects.items():
            if item.class_id != InterfaceClass.SINGLE_ACTION_SCHEDULE:
                continue
            times = bytes(self._read(item, 4))
            known = self._due.get(obis)
            found[obis] = known if known is not None and known[0] == times else (times, self._next(item, self._seen))
        self._due = found

    def _read(self, item: MeterObject, number: int) -> Data:
        return Data.of(item.attributes[number].read(own_access(self._meter, self._device)))

    def _next(self, schedule: MeterObject, after: datetime) -> datetime | None:
        found: list[datetime] = []
        try:
            for time, day in decode_execution_times(self._read(schedule, 4).value):
                moment = next_moment(time, day, after, self._meter.zone)
                if moment is not None:
                    found.append(moment)
        except (DecodeError, ValueError) as error:
            logger.warning("schedule %s does not run: %s", schedule.obis, error)
            return None
        return min(found, default=None)

    def _run(self, schedule: MeterObject) -> None:
        access = own_access(self._meter, self._device)
        try:
            reference = decode_reference(self._read(schedule, 2).value)
            run_script(access, reference)
        except (DecodeError, LookupError) as error:
            logger.warning("schedule %s: %s", schedule.obis, error)


def run_script(access: Access, reference: ScriptReference) -> None:
    """Do what a script says, with the rights of the meter itself. LookupError where there is no such script."""
    table = access.device.objects.get(reference.table)
    if table is None or table.class_id != InterfaceClass.SCRIPT_TABLE:
        raise LookupError(f"there is no script table {reference.table}")
    scripts = decode_scripts(Data.of(table.attributes[2].read(access)).typed)
    script = next((script for script in scripts if script.identifier == reference.selector), None)
    if script is None:
        raise LookupError(f"script table {reference.table} has no script {reference.selector}")
    for step in script.actions:
        try:
            _do(access, step)
        except (Refusal, DecodeError, LookupError) as error:
            logger.warning("script %s/%d: %s/%d: %s", reference.table, script.identifier, step.obis, step.member, error)
        except Exception:
            # A bug in an object of the meter must not end what runs its schedules.
            logger.exception("script %s/%d: %s/%d", reference.table, script.identifier, step.obis, step.member)


def _do(access: Access, step: ScriptAction) -> None:
    if step.class_id == InterfaceClass.SCRIPT_TABLE:
        raise LookupError("a script does not run scripts")
    target = access.device.objects.get(step.obis)
    if target is None or target.class_id != step.class_id:
        raise LookupError("there is no such object")
    parameter = Data.of(step.parameter)
    if step.service == WRITE_ATTRIBUTE:
        write = target.attributes[step.member].write
        if write is None:
            raise LookupError("the attribute cannot be written")
        write(access, parameter)
    else:
        target.methods[step.member].call(access, parameter)


def script_table(obis: ObisCode, scripts: Iterable[Script], *, who: Rights = _WHO) -> MeterObject:
    """A script table whose method execute runs a script."""

    def execute(access: Access, parameters: Data | None) -> None:
        selector = expect_integer(parameters, DataType.LONG_UNSIGNED)
        try:
            run_script(access, ScriptReference(obis, selector))
        except LookupError:
            raise Refusal(DataAccessResult.OBJECT_UNAVAILABLE) from None

    table = stored(encode_scripts(scripts), who)
    return MeterObject(InterfaceClass.SCRIPT_TABLE, obis, 0, {2: table}, {1: Method(execute, CALL_MANAGER)})


def action_schedule(
    obis: ObisCode,
    script: ScriptReference,
    times: Iterable[tuple[CosemTime, CosemDate]] = (),
    *,
    kind: int = 5,
    who: Rights = _WHO,
) -> MeterObject:
    """A single action schedule. ``kind`` 5 lets times differ and dates have wildcards; no times run nothing."""
    cell = [Data.of(encode_execution_times(times))]

    def write(access: Access, data: Data) -> None:
        wanted = decode_execution_times(data.value)
        if len(wanted) > MOST_TIMES:
            raise Refusal(DataAccessResult.OTHER_REASON)
        try:
            for time, day in wanted:
                next_moment(time, day, access.now, access.meter.zone)
        except ValueError:
            raise Refusal(DataAccessResult.OTHER_REASON) from None
        cell[0] = data

    return MeterObject(
        InterfaceClass.SINGLE_ACTION_SCHEDULE,
        obis,
        0,
        {
            2: stored(encode_reference(script), who),
            3: stored(axdr.enum(kind), who),
            4: Attribute(lambda access: cell[0], who, write),
        },
    )


def every(seconds: int) -> tuple[tuple[CosemTime, CosemDate], ...]:
    """Execution times that recur after so many seconds, from each full hour or midnight on.

    ValueError where no such times exist: the seconds have to divide a minute, the minutes an hour, the hours a day.
    """
    any_day = CosemDate()
    if 0 < seconds <= 60 and 60 % seconds == 0:
        return tuple((CosemTime(None, None, second, 0), any_day) for second in range(0, 60, seconds))
    minutes, rest = divmod(seconds, 60)
    if not rest and 0 < minutes <= 60 and 60 % minutes == 0:
        return tuple((CosemTime(None, minute, 0, 0), any_day) for minute in range(0, 60, minutes))
    hours, rest = divmod(seconds, 3600)
    if not rest and 0 < hours <= 24 and 24 % hours == 0:
        return tuple((CosemTime(hour, 0, 0, 0), any_day) for hour in range(0, 24, hours))
    raise ValueError(
        f"a schedule cannot recur every {seconds} s: take seconds that divide 60, minutes that divide 60 or hours that "
        "divide 24"
    )
