"""What tariffs are made of, as declarations, decoded from a meter's attributes and encoded back (IEC 62056-6-2).

========================= ===== ===========================================
``ActivityCalendar``      20    seasons, week profiles, day profiles
``SpecialDay``            11    days that follow another day profile
``Script``                9     what is done: attributes written, methods called
``SingleActionSchedule``  22    a script at fixed times
``Limiter``               71    a script when a value is too high
``RegisterActivation``    6     which registers count in which tariff
========================= ===== ===========================================

Each ``decode_…`` takes plain values and raises DecodeError and nothing else; each ``encode_…`` is its inverse. Dates
and times inside are octet-strings, or of the types that are made for them; they are written as octet-strings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from cosemic.codec import axdr
from cosemic.codec.axdr import Typed, Value
from cosemic.cosem.octet_names import readable
from cosemic.enums import DataType
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.times import CosemDate, CosemDateTime, CosemTime

_Key = TypeVar("_Key")

WRITE_ATTRIBUTE: Final = 1
EXECUTE_METHOD: Final = 2
"""service_id of a script action."""
NO_SCRIPT: Final = ObisCode(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class ScriptReference:
    """One script of a script table; selector 0 (or a table of zeros) means that nothing is done."""

    table: ObisCode
    selector: int


@dataclass(frozen=True, slots=True)
class DayAction:
    """From ``time`` on, what ``script`` switches to."""

    time: CosemTime
    script: ScriptReference


@dataclass(frozen=True, slots=True)
class DayProfile:
    """The switching times of a day."""

    day_id: int
    actions: tuple[DayAction, ...]


@dataclass(frozen=True, slots=True)
class WeekProfile:
    """The day profiles from Monday to Sunday."""

    name: bytes
    days: tuple[int, int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Season:
    """From ``start`` on, the week profile named ``week``."""

    name: bytes
    start: CosemDateTime
    week: bytes


@dataclass(frozen=True, slots=True)
class CalendarTables:
    """One side of an activity calendar: the active one, or the passive one that waits."""

    name: bytes = b""
    seasons: tuple[Season, ...] = ()
    weeks: tuple[WeekProfile, ...] = ()
    days: tuple[DayProfile, ...] = ()

    def problems(self) -> list[str]:
        """What does not fit together, in words; empty for a calendar that a meter can follow."""
        found = []
        names = [week.name for week in self.weeks]
        ids = [day.day_id for day in self.days]
        found += [f"the week profile {readable(week)} is there twice" for week in _doubled(names)]
        found += [f"the day profile {day} is there twice" for day in _doubled(ids)]
        found += [
            f"season {readable(season.name)} follows the week profile {readable(season.week)}, which is not there"
            for season in self.seasons
            if season.week not in names
        ]
        found += [
            f"week profile {readable(week.name)} has the day profile {day}, which is not there"
            for week in self.weeks
            for day in sorted({*week.days} - {*ids})
        ]
        return found


@dataclass(frozen=True, slots=True)
class ActivityCalendar:
    """Both sides, and when the passive one becomes active (None where the meter does not tell)."""

    active: CalendarTables
    passive: CalendarTables
    activation: CosemDateTime | None = None


@dataclass(frozen=True, slots=True)
class SpecialDay:
    """A day, or a day of every year, that follows a day profile of its own."""

    index: int
    date: CosemDate
    day_id: int


@dataclass(frozen=True, slots=True)
class ScriptAction:
    """One step of a script: an attribute written (``service`` 1) or a method called (2) with ``parameter``."""

    service: int
    class_id: int
    obis: ObisCode
    member: int
    parameter: Typed


@dataclass(frozen=True, slots=True)
class Script:
    """Steps under a number."""

    identifier: int
    actions: tuple[ScriptAction, ...]


@dataclass(frozen=True, slots=True)
class SingleActionSchedule:
    """A script that runs at given times; ``kind`` is the type (attribute 3), which limits wildcards."""

    script: ScriptReference
    kind: int | None
    times: tuple[tuple[CosemTime, CosemDate], ...]


@dataclass(frozen=True, slots=True)
class EmergencyProfile:
    """When the emergency threshold of a limiter holds, for how many seconds."""

    identifier: int
    activation: CosemDateTime
    duration: int


@dataclass(frozen=True, slots=True)
class Limiter:
    """A value that is watched. Thresholds are in the unit of ``monitored``, durations in seconds."""

    monitored: tuple[int, ObisCode, int]
    """Class id, OBIS code and attribute."""
    active: Value = None
    normal: Value = None
    emergency: Value = None
    min_over: int | None = None
    min_under: int | None = None
    profile: EmergencyProfile | None = None
    groups: tuple[int, ...] = ()
    emergency_active: bool | None = None
    over: ScriptReference | None = None
    under: ScriptReference | None = None


@dataclass(frozen=True, slots=True)
class RegisterActivation:
    """Registers, and under each mask the ones that count (by their place in the list, from 1)."""

    registers: tuple[tuple[int, ObisCode], ...]
    masks: tuple[tuple[bytes, tuple[int, ...]], ...]
    active: bytes = b""

    def counting(self, mask: bytes | None = None) -> tuple[ObisCode, ...]:
        """The registers of a mask (the active one by default)."""
        wanted = self.active if mask is None else mask
        places = next((places for name, places in self.masks if name == wanted), ())
        return tuple(self.registers[place - 1][1] for place in places if 1 <= place <= len(self.registers))


# Activity calendar


def decode_seasons(value: Value) -> tuple[Season, ...]:
    """season_profile."""
    return tuple(
        Season(_octets(name), _date_time(start), _octets(week)) for name, start, week in _rows(value, 3, "a season")
    )


def encode_seasons(seasons: Iterable[Season]) -> Typed:
    """season_profile."""
    return axdr.array(
        axdr.structure(axdr.octet_string(s.name), axdr.octet_string(bytes(s.start)), axdr.octet_string(s.week))
        for s in seasons
    )


def decode_weeks(value: Value) -> tuple[WeekProfile, ...]:
    """week_profile_table."""
    weeks = []
    for name, *days in _rows(value, 8, "a week profile"):
        monday, tuesday, wednesday, thursday, friday, saturday, sunday = map(_number, days)
        weeks.append(WeekProfile(_octets(name), (monday, tuesday, wednesday, thursday, friday, saturday, sunday)))
    return tuple(weeks)


def encode_weeks(weeks: Iterable[WeekProfile]) -> Typed:
    """week_profile_table."""
    return axdr.array(axdr.structure(axdr.octet_string(w.name), *map(axdr.unsigned, w.days)) for w in weeks)


def decode_days(value: Value) -> tuple[DayProfile, ...]:
    """day_profile_table."""
    return tuple(
        DayProfile(
            _number(day_id),
            tuple(
                DayAction(_time(time), ScriptReference(_obis(table), _number(selector)))
                for time, table, selector in _rows(actions, 3, "an action of a day")
            ),
        )
        for day_id, actions in _rows(value, 2, "a day profile")
    )


def encode_days(days: Iterable[DayProfile]) -> Typed:
    """day_profile_table."""
    return axdr.array(
        axdr.structure(
            axdr.unsigned(day.day_id),
            axdr.array(
                axdr.structure(axdr.octet_string(bytes(action.time)), *encode_reference(action.script).elements)
                for action in day.actions
            ),
        )
        for day in days
    )


# Special days


def decode_special_days(value: Value) -> tuple[SpecialDay, ...]:
    """entries of a special days table."""
    return tuple(
        SpecialDay(_number(index), _date(date), _number(day_id))
        for index, date, day_id in _rows(value, 3, "a special day")
    )


def encode_special_day(day: SpecialDay) -> Typed:
    """One entry, as the method insert takes it."""
    return axdr.structure(axdr.long_unsigned(day.index), axdr.octet_string(bytes(day.date)), axdr.unsigned(day.day_id))


def encode_special_days(days: Iterable[SpecialDay]) -> Typed:
    """entries of a special days table."""
    return axdr.array(map(encode_special_day, days))


# Scripts


def decode_scripts(value: Typed) -> tuple[Script, ...]:
    """scripts of a script table; with types, as the parameters of its actions may be anything."""
    scripts = []
    for script in _typed_rows(value, 2, "a script"):
        identifier, actions = script
        steps = []
        for service, class_id, obis, member, parameter in _typed_rows(actions, 5, "an action of a script"):
            steps.append(
                ScriptAction(
                    _number(service.plain),
                    _number(class_id.plain),
                    _obis(obis.plain),
                    _number(member.plain),
                    parameter,
                )
            )
        scripts.append(Script(_number(identifier.plain), tuple(steps)))
    return tuple(scripts)


def encode_scripts(scripts: Iterable[Script]) -> Typed:
    """scripts of a script table."""
    return axdr.array(
        axdr.structure(
            axdr.long_unsigned(script.identifier),
            axdr.array(
                axdr.structure(
                    axdr.enum(step.service),
                    axdr.long_unsigned(step.class_id),
                    axdr.octet_string(bytes(step.obis)),
                    axdr.integer(step.member),
                    step.parameter,
                )
                for step in script.actions
            ),
        )
        for script in scripts
    )


def decode_reference(value: Value) -> ScriptReference:
    """A script by its table and number."""
    ((table, selector),) = _rows([value], 2, "a reference to a script")
    return ScriptReference(_obis(table), _number(selector))


def encode_reference(script: ScriptReference) -> Typed:
    """A script by its table and number."""
    return axdr.structure(axdr.octet_string(bytes(script.table)), axdr.long_unsigned(script.selector))


# Single action schedule


def decode_execution_times(value: Value) -> tuple[tuple[CosemTime, CosemDate], ...]:
    """execution_time of a single action schedule."""
    return tuple((_time(time), _date(date)) for time, date in _rows(value, 2, "an execution time"))


def encode_execution_times(times: Iterable[tuple[CosemTime, CosemDate]]) -> Typed:
    """execution_time of a single action schedule."""
    return axdr.array(
        axdr.structure(axdr.octet_string(bytes(time)), axdr.octet_string(bytes(date))) for time, date in times
    )


# Limiter


def decode_monitored(value: Value) -> tuple[int, ObisCode, int]:
    """monitored_value of a limiter."""
    ((class_id, obis, attribute),) = _rows([value], 3, "a monitored value")
    return _number(class_id), _obis(obis), _number(attribute)


def encode_monitored(monitored: tuple[int, ObisCode, int]) -> Typed:
    """monitored_value of a limiter."""
    class_id, obis, attribute = monitored
    return axdr.structure(axdr.long_unsigned(class_id), axdr.octet_string(bytes(obis)), axdr.integer(attribute))


def decode_emergency_profile(value: Value) -> EmergencyProfile:
    """emergency_profile of a limiter."""
    ((identifier, activation, duration),) = _rows([value], 3, "an emergency profile")
    return EmergencyProfile(_number(identifier), _date_time(activation), _number(duration))


def encode_emergency_profile(profile: EmergencyProfile) -> Typed:
    """emergency_profile of a limiter."""
    return axdr.structure(
        axdr.long_unsigned(profile.identifier),
        axdr.octet_string(bytes(profile.activation)),
        axdr.double_long_unsigned(profile.duration),
    )


def decode_limiter_actions(value: Value) -> tuple[ScriptReference, ScriptReference]:
    """actions of a limiter: the script above the threshold, and the one below it again."""
    ((over, under),) = _rows([value], 2, "the actions of a limiter")
    return decode_reference(over), decode_reference(under)


def encode_limiter_actions(over: ScriptReference, under: ScriptReference) -> Typed:
    """actions of a limiter."""
    return axdr.structure(encode_reference(over), encode_reference(under))


# Register activation


def decode_registers(value: Value) -> tuple[tuple[int, ObisCode], ...]:
    """register_assignment."""
    return tuple((_number(class_id), _obis(obis)) for class_id, obis in _rows(value, 2, "an assigned register"))


def encode_registers(registers: Iterable[tuple[int, ObisCode]]) -> Typed:
    """register_assignment."""
    return axdr.array(
        axdr.structure(axdr.long_unsigned(class_id), axdr.octet_string(bytes(obis))) for class_id, obis in registers
    )


def decode_masks(value: Value) -> tuple[tuple[bytes, tuple[int, ...]], ...]:
    """mask_list."""
    return tuple(
        (_octets(name), tuple(_number(place) for place in _elements(places, "the registers of a mask")))
        for name, places in _rows(value, 2, "a mask")
    )


def encode_masks(masks: Iterable[tuple[bytes, tuple[int, ...]]]) -> Typed:
    """mask_list."""
    return axdr.array(
        axdr.structure(axdr.octet_string(name), axdr.array(map(axdr.unsigned, places))) for name, places in masks
    )


# Pieces


def _elements(value: Value, what: str) -> list[Value]:
    if value is None:
        return []  # how some meters write an empty table
    if not isinstance(value, list):
        raise DecodeError(f"{what} come as an array, not as {value!r:.200}")
    return value


def _rows(value: Value, size: int, what: str) -> list[tuple[Value, ...]]:
    rows = []
    for row in _elements(value, what):
        if not isinstance(row, tuple) or len(row) != size:
            raise DecodeError(f"{what} is a structure of {size} elements, not {row!r:.200}")
        rows.append(row)
    return rows


def _typed_rows(value: Typed, size: int, what: str) -> list[tuple[Typed, ...]]:
    if value.type is DataType.NULL_DATA:
        return []
    if value.type is not DataType.ARRAY:
        raise DecodeError(f"{what} comes in an array, not as {value!r:.200}")
    for row in value.elements:
        if row.type is not DataType.STRUCTURE or len(row.elements) != size:
            raise DecodeError(f"{what} is a structure of {size} elements, not {row!r:.200}")
    return [row.elements for row in value.elements]


def _number(value: Value) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise DecodeError(f"a number was expected, not {value!r:.80}")
    return value


def _octets(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise DecodeError(f"an octet-string was expected, not {value!r:.80}")
    return value


def _obis(value: Value) -> ObisCode:
    if not isinstance(value, bytes) or len(value) != 6:
        raise DecodeError(f"a logical name has six octets, not {value!r:.80}")
    return ObisCode(*value)


def _date_time(value: Value) -> CosemDateTime:
    if isinstance(value, bytes) and len(value) == 12:
        return CosemDateTime.from_bytes(value)
    if isinstance(value, CosemDateTime):
        return value
    raise DecodeError(f"a date-time has twelve octets, not {value!r:.80}")


def _date(value: Value) -> CosemDate:
    if isinstance(value, bytes) and len(value) == 5:
        return CosemDate.from_bytes(value)
    if isinstance(value, CosemDate):
        return value
    raise DecodeError(f"a date has five octets, not {value!r:.80}")


def _time(value: Value) -> CosemTime:
    if isinstance(value, bytes) and len(value) == 4:
        return CosemTime.from_bytes(value)
    if isinstance(value, CosemTime):
        return value
    raise DecodeError(f"a time has four octets, not {value!r:.80}")


def _doubled(items: list[_Key]) -> list[_Key]:
    return [item for place, item in enumerate(items) if items.index(item) == place and items.count(item) > 1]
