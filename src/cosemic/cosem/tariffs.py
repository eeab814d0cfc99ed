"""What a client does with a meter's tariffs: read all tables, write a passive calendar, activate it. Without I/O.

What is read is shown by ``TariffSettings.lines()``, compared by ``tariff_text.difference`` and asked about a date with
``TariffSettings.forecast(...)``. A calendar is written into the passive side and read back; nothing changes in what the
meter does until it is activated, by ``activate_passive_calendar`` or at the time that was written with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Final, TypeVar

from cosemic.codec import axdr
from cosemic.codec.axdr import Typed, Value
from cosemic.cosem.access import ItemResult, MeterCache, Obis, Procedure, call_method, get_list, set_attribute
from cosemic.cosem.meter_zone import MeterZone
from cosemic.cosem.octet_names import readable
from cosemic.cosem.procedures import read_objects
from cosemic.cosem.tariff_forecast import DayForecast, forecast
from cosemic.cosem.tariff_tables import (
    EXECUTE_METHOD,
    WRITE_ATTRIBUTE,
    ActivityCalendar,
    CalendarTables,
    Limiter,
    RegisterActivation,
    Script,
    ScriptAction,
    ScriptReference,
    SingleActionSchedule,
    SpecialDay,
    decode_days,
    decode_emergency_profile,
    decode_execution_times,
    decode_limiter_actions,
    decode_masks,
    decode_monitored,
    decode_reference,
    decode_registers,
    decode_scripts,
    decode_seasons,
    decode_special_days,
    decode_weeks,
    encode_days,
    encode_seasons,
    encode_special_days,
    encode_weeks,
)
from cosemic.cosem.tariff_text import (
    calendar_lines,
    date_text,
    date_time_text,
    script_text,
    special_day_lines,
    time_text,
)
from cosemic.enums import InterfaceClass
from cosemic.errors import DecodeError, LocalProtocolError, ServiceError
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime

_T = TypeVar("_T")

CALENDAR: Final = ObisCode(0, 0, 13, 0, 0, 255)
SPECIAL_DAYS: Final = ObisCode(0, 0, 11, 0, 0, 255)

_ATTRIBUTES: Final[dict[int, tuple[int, ...]]] = {
    InterfaceClass.REGISTER_ACTIVATION: (2, 3, 4),
    InterfaceClass.SCRIPT_TABLE: (2,),
    InterfaceClass.SPECIAL_DAYS_TABLE: (2,),
    InterfaceClass.ACTIVITY_CALENDAR: (2, 3, 4, 5, 6, 7, 8, 9, 10),
    InterfaceClass.SINGLE_ACTION_SCHEDULE: (2, 3, 4),
    InterfaceClass.LIMITER: (2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
}
_CALENDAR_CLASS: Final = InterfaceClass.ACTIVITY_CALENDAR


@dataclass(slots=True)
class TariffSettings:
    """All tariff objects of a meter, by OBIS code; ``refused`` tells of what could not be read, and why."""

    calendars: dict[ObisCode, ActivityCalendar] = field(default_factory=dict)
    special_days: dict[ObisCode, tuple[SpecialDay, ...]] = field(default_factory=dict)
    scripts: dict[ObisCode, tuple[Script, ...]] = field(default_factory=dict)
    schedules: dict[ObisCode, SingleActionSchedule] = field(default_factory=dict)
    limiters: dict[ObisCode, Limiter] = field(default_factory=dict)
    registers: dict[ObisCode, RegisterActivation] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def calendar(self, obis: Obis = CALENDAR) -> ActivityCalendar:
        """One calendar; LookupError says which there are."""
        code = ObisCode.parse(obis)
        if code not in self.calendars:
            there = ", ".join(map(str, self.calendars)) or "none"
            raise LookupError(f"the meter shows no activity calendar {code}; there is {there}")
        return self.calendars[code]

    def forecast(
        self,
        day: date,
        obis: Obis = CALENDAR,
        *,
        passive: bool = False,
        special_days: Obis = SPECIAL_DAYS,
        zone: MeterZone | None = None,
    ) -> DayForecast:
        """What the meter will do on a day by its active calendar, or would do by the passive one."""
        calendar = self.calendar(obis)
        specials = self.special_days.get(ObisCode.parse(special_days), ())
        return forecast(calendar.passive if passive else calendar.active, specials, day, zone=zone)

    def lines(self) -> dict[str, str]:
        """Everything as lines, as people read it and ``tariff_text.difference`` compares it."""
        lines: dict[str, str] = {}
        for obis, calendar in self.calendars.items():
            for side, tables in (("active", calendar.active), ("passive", calendar.passive)):
                lines |= {f"calendar {obis} {side} {key}": text for key, text in calendar_lines(tables).items()}
            if calendar.activation is not None:
                lines[f"calendar {obis} passive becomes active"] = date_time_text(calendar.activation)
        for obis, days in self.special_days.items():
            lines |= {f"special days {obis} {key}": text for key, text in special_day_lines(days).items()}
        return lines | self.other_lines()

    def other_lines(self) -> dict[str, str]:
        """The lines of all that is no calendar and no special day: scripts, schedules, limiters, registers."""
        lines: dict[str, str] = {}
        for obis, scripts in self.scripts.items():
            for script in scripts:
                steps = "; ".join(map(action_text, script.actions)) or "nothing"
                lines[f"script {script.identifier} of {obis}"] = steps
        for obis, schedule in self.schedules.items():
            times = "; ".join(f"{date_text(day)} {time_text(clock)}" for clock, day in schedule.times) or "never"
            lines[f"schedule {obis}"] = f"{script_text(schedule.script)}: {times}"
        for obis, limiter in self.limiters.items():
            lines |= {f"limiter {obis} {key}": text for key, text in limiter_lines(limiter).items()}
        for obis, registers in self.registers.items():
            for name, _ in registers.masks:
                counting = ", ".join(map(str, registers.counting(name))) or "none"
                mark = " (active)" if name == registers.active else ""
                lines[f"registers {obis} mask {readable(name)}{mark}"] = counting
        return lines


def action_text(action: ScriptAction) -> str:
    """One step of a script: ``call 6/0-0:14.0.0*255 method 1 (integer 0)``."""
    words = {WRITE_ATTRIBUTE: ("write", "attribute"), EXECUTE_METHOD: ("call", "method")}
    verb, member = words.get(action.service, (f"service {action.service}", "member"))
    value = axdr.describe(action.parameter).replace("\n", ", ") if action.parameter.value is not None else "null-data"
    return f"{verb} {action.class_id}/{action.obis} {member} {action.member} ({' '.join(value.split())})"


def limiter_lines(limiter: Limiter) -> dict[str, str]:
    """What a limiter says, a line each."""
    class_id, obis, attribute = limiter.monitored
    lines = {
        "monitors": f"{class_id}/{obis}/{attribute}",
        "threshold": f"active {limiter.active!r}, normal {limiter.normal!r}, emergency {limiter.emergency!r}",
        "for at least": f"{limiter.min_over} s over, {limiter.min_under} s under",
    }
    if limiter.over is not None and limiter.under is not None:
        lines["does"] = f"over: {script_text(limiter.over)}; under: {script_text(limiter.under)}"
    if limiter.profile is not None:
        start = date_time_text(limiter.profile.activation)
        lines["emergency profile"] = f"{limiter.profile.identifier} from {start} for {limiter.profile.duration} s"
    if limiter.groups:
        lines["emergency groups"] = ", ".join(map(str, limiter.groups))
    if limiter.emergency_active is not None:
        lines["emergency"] = "yes" if limiter.emergency_active else "no"
    return lines


def read_tariffs(
    *, with_list: bool = True, cache: MeterCache | None = None, classes: Iterable[int] | None = None
) -> Procedure[TariffSettings]:
    """Read every tariff object that the object list has; what the meter refuses, or what is no table, is noted.

    ``classes`` reads only objects of these interface classes (6, 9, 11, 20, 22, 71). The object list is taken from
    ``cache`` where it is there.
    """
    entries = {} if cache is None else cache.objects
    if not entries:
        entries = {(entry.class_id, entry.obis): entry for entry in (yield from read_objects(cache=cache))}
    wanted = set(_ATTRIBUTES if classes is None else classes)
    settings = TariffSettings()
    for class_id, obis in sorted(entries):
        if class_id in wanted and class_id in _ATTRIBUTES:
            items = [(class_id, obis, number) for number in _ATTRIBUTES[class_id]]
            results = yield from get_list(items, with_list=with_list, cache=cache)
            _take(settings, class_id, obis, _Found(settings.refused, results))
    return settings


def write_passive_calendar(
    tables: CalendarTables,
    obis: Obis = CALENDAR,
    *,
    activation: CosemDateTime | None = None,
    cache: MeterCache | None = None,
) -> Procedure[None]:
    """Write the passive side of an activity calendar, read it back and compare.

    ``activation`` is when the meter makes it active by itself; without it that time is left as it is.
    LocalProtocolError, before anything is sent, for tables that do not fit together; ServiceError when the meter keeps
    something else.
    """
    problems = tables.problems()
    if problems:
        raise LocalProtocolError(f"the calendar does not fit together: {'; '.join(problems)}")
    # The name last: a meter whose calendar is half written still shows the old one.
    values: dict[int, Typed] = {
        7: encode_seasons(tables.seasons),
        8: encode_weeks(tables.weeks),
        9: encode_days(tables.days),
        6: axdr.octet_string(tables.name),
    }
    for number, value in values.items():
        yield from set_attribute(_CALENDAR_CLASS, obis, number, value, cache=cache)
    if activation is not None:
        yield from set_attribute(_CALENDAR_CLASS, obis, 10, axdr.octet_string(bytes(activation)), cache=cache)
    results = yield from get_list([(_CALENDAR_CLASS, obis, number) for number in (6, 7, 8, 9)], cache=cache)
    refused: dict[str, str] = {}
    kept = _tables(_Found(refused, results), 6)
    if refused:
        raise ServiceError(f"the calendar was written, but cannot be read back: {next(iter(refused.values()))}")
    if kept != tables:
        raise ServiceError("the meter keeps another passive calendar than was written: compare it before activating it")


def activate_passive_calendar(obis: Obis = CALENDAR, *, cache: MeterCache | None = None) -> Procedure[None]:
    """Make the passive calendar the active one, now (method 1). It changes how energy is billed: ask first."""
    yield from call_method(_CALENDAR_CLASS, obis, 1, axdr.integer(0), cache=cache)


def write_special_days(
    days: Iterable[SpecialDay], obis: Obis = SPECIAL_DAYS, *, cache: MeterCache | None = None
) -> Procedure[None]:
    """Replace the special days; they hold at once, there is no passive side of them. ValueError for one index twice."""
    entries = tuple(days)
    if len({day.index for day in entries}) < len(entries):
        raise ValueError("two special days have the same index")
    yield from set_attribute(InterfaceClass.SPECIAL_DAYS_TABLE, obis, 2, encode_special_days(entries), cache=cache)


class _Found:
    """Answers by attribute; what was refused or is no table becomes a note and the default."""

    def __init__(self, refused: dict[str, str], results: Iterable[ItemResult]) -> None:
        self._refused = refused
        self._results = {result.attribute: result for result in results}

    def take(self, number: int, decode: Callable[[Value], _T], default: _T) -> _T:
        return self._use(number, lambda result: decode(result.value), default)

    def typed(self, number: int, decode: Callable[[Typed], _T], default: _T) -> _T:
        def use(result: ItemResult) -> _T:
            assert result.data is not None
            return decode(result.data.typed)

        return self._use(number, use, default)

    def _use(self, number: int, use: Callable[[ItemResult], _T], default: _T) -> _T:
        result = self._results[number]
        name = f"{result.class_id}/{result.obis}/{number}"
        try:
            if result.error is None:
                return use(result)
            self._refused[name] = str(result.error)
        except DecodeError as error:
            self._refused[name] = f"{name}: {error}"
        return default


def _take(settings: TariffSettings, class_id: int, obis: ObisCode, found: _Found) -> None:
    if class_id == InterfaceClass.ACTIVITY_CALENDAR:
        activation = found.take(10, _optional_date_time, None)
        settings.calendars[obis] = ActivityCalendar(_tables(found, 2), _tables(found, 6), activation)
    elif class_id == InterfaceClass.SPECIAL_DAYS_TABLE:
        settings.special_days[obis] = found.take(2, decode_special_days, ())
    elif class_id == InterfaceClass.SCRIPT_TABLE:
        settings.scripts[obis] = found.typed(2, decode_scripts, ())
    elif class_id == InterfaceClass.SINGLE_ACTION_SCHEDULE:
        nothing = ScriptReference(ObisCode(0, 0, 0, 0, 0, 0), 0)
        script = found.take(2, decode_reference, nothing)
        settings.schedules[obis] = SingleActionSchedule(
            script, found.take(3, _optional_number, None), found.take(4, decode_execution_times, ())
        )
    elif class_id == InterfaceClass.LIMITER:
        actions = found.take(11, decode_limiter_actions, None)
        settings.limiters[obis] = Limiter(
            found.take(2, decode_monitored, (0, ObisCode(0, 0, 0, 0, 0, 0), 0)),
            found.take(3, _as_is, None),
            found.take(4, _as_is, None),
            found.take(5, _as_is, None),
            found.take(6, _optional_number, None),
            found.take(7, _optional_number, None),
            found.take(8, decode_emergency_profile, None),
            found.take(9, _numbers, ()),
            found.take(10, _as_bool, None),
            None if actions is None else actions[0],
            None if actions is None else actions[1],
        )
    elif class_id == InterfaceClass.REGISTER_ACTIVATION:
        settings.registers[obis] = RegisterActivation(
            found.take(2, decode_registers, ()), found.take(3, decode_masks, ()), found.take(4, _as_octets, b"")
        )


def _tables(found: _Found, first: int) -> CalendarTables:
    return CalendarTables(
        found.take(first, _as_octets, b""),
        found.take(first + 1, decode_seasons, ()),
        found.take(first + 2, decode_weeks, ()),
        found.take(first + 3, decode_days, ()),
    )


def _as_octets(value: Value) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if value is None:
        return b""
    if not isinstance(value, bytes):
        raise DecodeError(f"a name is an octet-string, not {value!r:.80}")
    return value


def _as_is(value: Value) -> Value:
    return value


def _as_bool(value: Value) -> bool | None:
    return bool(value) if isinstance(value, (bool, int)) else None


def _optional_number(value: Value) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _numbers(value: Value) -> tuple[int, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, int) for item in value):
        raise DecodeError(f"emergency profile groups are an array of numbers, not {value!r:.80}")
    return tuple(item for item in value if isinstance(item, int))


def _optional_date_time(value: Value) -> CosemDateTime | None:
    if isinstance(value, CosemDateTime):
        return value
    if isinstance(value, bytes) and len(value) == 12:
        return CosemDateTime.from_bytes(value)
    if value is None or value == b"":
        return None
    raise DecodeError(f"a date-time has twelve octets, not {value!r:.80}")
