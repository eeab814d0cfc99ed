"""The tariffs of the simulated meter: an activity calendar with a passive side, special days, scripts, a limiter."""

from __future__ import annotations

from datetime import UTC

from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed
from cosemic.cosem.tariff_tables import (
    WRITE_ATTRIBUTE,
    CalendarTables,
    DayAction,
    DayProfile,
    EmergencyProfile,
    Script,
    ScriptAction,
    ScriptReference,
    Season,
    SpecialDay,
    WeekProfile,
    encode_days,
    encode_emergency_profile,
    encode_execution_times,
    encode_limiter_actions,
    encode_masks,
    encode_monitored,
    encode_reference,
    encode_registers,
    encode_scripts,
    encode_seasons,
    encode_special_days,
    encode_weeks,
)
from cosemic.cosem.tariffs import CALENDAR
from cosemic.enums import DataAccessResult, InterfaceClass
from cosemic.meter.model import Access
from cosemic.meter.objects import (
    CALL_MANAGER,
    Attribute,
    MeterObject,
    Method,
    Refusal,
    Setter,
    expect_integer,
    expect_type_of,
    rights,
    stored,
)
from cosemic.obis import ObisCode
from cosemic.times import CosemDate, CosemDateTime, CosemTime

_WHO = rights("-", "r", "rw")
_SCRIPTS = ObisCode(0, 0, 10, 0, 100, 255)
_LIMITS = ObisCode(0, 0, 10, 0, 106, 255)
_REGISTERS = ObisCode(0, 0, 14, 0, 0, 255)
_NEVER = CosemDateTime()

WORKDAY = DayProfile(
    1,
    (
        DayAction(CosemTime(0, 0, 0, 0), ScriptReference(_SCRIPTS, 2)),
        DayAction(CosemTime(6, 0, 0, 0), ScriptReference(_SCRIPTS, 1)),
        DayAction(CosemTime(22, 0, 0, 0), ScriptReference(_SCRIPTS, 2)),
    ),
)
RESTDAY = DayProfile(2, (DayAction(CosemTime(0, 0, 0, 0), ScriptReference(_SCRIPTS, 2)),))
ACTIVE = CalendarTables(
    b"DEMO",
    (Season(b"ALL", CosemDateTime(month=1, day=1, hour=0, minute=0, second=0, hundredths=0), b"WEEK"),),
    (WeekProfile(b"WEEK", (1, 1, 1, 1, 1, 2, 2)),),
    (WORKDAY, RESTDAY),
)
"""High tariff on working days from 6 to 22; what the simulated registers count has nothing to do with it."""


def tariff_objects() -> list[MeterObject]:
    """Activity calendar, special days, script tables, register activation, a limiter, end of billing."""
    tariff_one, tariff_two = ObisCode(1, 0, 1, 8, 1, 255), ObisCode(1, 0, 1, 8, 2, 255)
    masks = ((b"T1", (1,)), (b"T2", (2,)))
    scripts = [
        Script(number, (ScriptAction(WRITE_ATTRIBUTE, 6, _REGISTERS, 4, axdr.octet_string(name)),))
        for number, (name, _) in enumerate(masks, 1)
    ]
    holidays = [SpecialDay(1, CosemDate(None, 1, 1), 2), SpecialDay(2, CosemDate(None, 12, 25), 2)]
    return [
        activity_calendar(ACTIVE),
        _table(InterfaceClass.SPECIAL_DAYS_TABLE, ObisCode(0, 0, 11, 0, 0, 255), {2: encode_special_days(holidays)}),
        _table(InterfaceClass.SCRIPT_TABLE, _SCRIPTS, {2: encode_scripts(scripts)}),
        _table(
            InterfaceClass.REGISTER_ACTIVATION,
            _REGISTERS,
            {
                2: encode_registers([(3, tariff_one), (3, tariff_two)]),
                3: encode_masks(masks),
                4: axdr.octet_string(b"T1"),
            },
        ),
        _table(
            InterfaceClass.SINGLE_ACTION_SCHEDULE,
            ObisCode(0, 0, 15, 0, 0, 255),
            {
                2: encode_reference(ScriptReference(ObisCode(0, 0, 10, 0, 1, 255), 1)),
                3: axdr.enum(1),
                4: encode_execution_times([(CosemTime(0, 0, 0, 0), CosemDate(None, None, 1))]),
            },
        ),
        _table(
            InterfaceClass.LIMITER,
            ObisCode(0, 0, 17, 0, 0, 255),
            {
                2: encode_monitored((3, ObisCode(1, 0, 1, 7, 0, 255), 2)),
                3: axdr.double_long_unsigned(17250),
                4: axdr.double_long_unsigned(17250),
                5: axdr.double_long_unsigned(2300),
                6: axdr.double_long_unsigned(60),
                7: axdr.double_long_unsigned(0),
                8: encode_emergency_profile(EmergencyProfile(0, _NEVER, 0)),
                9: axdr.array(),
                10: axdr.boolean(False),
                11: encode_limiter_actions(ScriptReference(_LIMITS, 1), ScriptReference(_LIMITS, 2)),
            },
        ),
    ]


def activity_calendar(tables: CalendarTables, obis: ObisCode = CALENDAR) -> MeterObject:
    """An activity calendar whose passive side starts as a copy of the active one."""
    start = {2: axdr.octet_string(tables.name), 3: encode_seasons(tables.seasons), 4: encode_weeks(tables.weeks)}
    start[5] = encode_days(tables.days)
    cells = {number: Data.of(value) for number, value in start.items()}
    cells |= {number + 4: data for number, data in cells.items()}
    cells[10] = Data.of(axdr.octet_string(bytes(_NEVER)))
    due: list[CosemDateTime | None] = [None]

    def take_over() -> None:
        due[0] = None
        cells.update({number: cells[number + 4] for number in range(2, 6)})

    def read(number: int) -> Attribute:
        def current(access: Access) -> Data:
            if due[0] is not None and access.now >= due[0].to_datetime(access.meter.zone):
                take_over()
            return cells[number]

        return Attribute(current, rights("-", "r", "r") if number < 6 else _WHO, write(number) if number > 5 else None)

    def write(number: int) -> Setter:
        def put(access: Access, data: Data) -> None:
            expect_type_of(cells[number], data)
            if number == 10:
                due[0] = _moment(data)
            cells[number] = data

        return put

    def activate(access: Access, parameters: Data | None) -> None:
        expect_integer(parameters)
        take_over()

    return MeterObject(
        InterfaceClass.ACTIVITY_CALENDAR,
        obis,
        0,
        {number: read(number) for number in range(2, 11)},
        {1: Method(activate, CALL_MANAGER)},
    )


def _moment(data: Data) -> CosemDateTime | None:
    """When the passive side becomes active; None for a time that never comes."""
    value = data.value
    if not isinstance(value, bytes) or len(value) != 12:
        raise Refusal(DataAccessResult.TYPE_UNMATCHED)
    moment = CosemDateTime.from_bytes(value)
    if moment.year is None:
        return None
    try:
        moment.to_datetime(UTC)
    except ValueError:
        raise Refusal(DataAccessResult.OTHER_REASON) from None
    return moment


def _table(class_id: InterfaceClass, obis: ObisCode, values: dict[int, Typed]) -> MeterObject:
    return MeterObject(class_id, obis, 0, {number: stored(value, _WHO) for number, value in values.items()})
