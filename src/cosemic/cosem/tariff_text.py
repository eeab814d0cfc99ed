"""Tariffs as text: dates and times with wildcards, tables as lines, as a file, and as a difference of two.

Dates are ``2025-12-24``, ``*-03-last Sun``, ``*-dst-begin-01``; times ``06:00:00``, ``*:00:00``. ``*`` is what is not
specified. What cannot be written so without loss stands as ``hex:…``, its octets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from cosemic.cosem.octet_names import octets_of, readable
from cosemic.cosem.tariff_tables import (
    CalendarTables,
    DayAction,
    DayProfile,
    ScriptReference,
    Season,
    SpecialDay,
    WeekProfile,
)
from cosemic.obis import ObisCode
from cosemic.times import CosemDate, CosemDateTime, CosemTime

_T = TypeVar("_T", CosemDate, CosemTime, CosemDateTime)

WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = {0xFD: "dst-end", 0xFE: "dst-begin"}
_DAYS: Final = {0xFD: "second-last", 0xFE: "last"}
_DATE: Final = re.compile(
    r"(?P<year>\d{4}|\*)-(?P<month>\d\d?|\*|dst-end|dst-begin)-(?P<day>\d\d?|\*|last|second-last)"
    r"(?: (?P<weekday>Mon|Tue|Wed|Thu|Fri|Sat|Sun))?"
)
_TIME: Final = re.compile(
    r"(?P<hour>\d\d?|\*):(?P<minute>\d\d|\*)(?::(?P<second>\d\d|\*)(?:\.(?P<hundredths>\d\d|\*))?)?"
)
_END: Final = re.compile(r"(?: (?P<sign>[+-])(?P<hours>\d\d):(?P<minutes>\d\d))?(?: status (?P<status>[0-9a-f]{2}))?")
_HEX: Final = "hex:"


def date_text(value: CosemDate) -> str:
    """A date, read back by ``parse_date``."""
    text = "-".join((
        _number(value.year, 4),
        _MONTHS.get(value.month or 0) or _number(value.month),
        _DAYS.get(value.day or 0) or _number(value.day),
    ))  # fmt: skip
    if value.weekday is not None and 1 <= value.weekday <= 7:
        text += f" {WEEKDAYS[value.weekday - 1]}"
    return _faithful(text, value, parse_date)


def time_text(value: CosemTime) -> str:
    """A time of day, read back by ``parse_time``; hundredths only where they are not 0."""
    text = f"{_number(value.hour)}:{_number(value.minute)}:{_number(value.second)}"
    if value.hundredths != 0:
        text += f".{_number(value.hundredths)}"
    return _faithful(text, value, parse_time)


def date_time_text(value: CosemDateTime) -> str:
    """A date and time, read back by ``parse_date_time``; deviation and clock status only where they are specified."""
    text = f"{date_text(value.date)} {time_text(value.time)}"
    if value.deviation is not None:
        hours, minutes = divmod(abs(value.deviation), 60)
        text += f" {'-' if value.deviation > 0 else '+'}{hours:02}:{minutes:02}"
    if value.clock_status is not None:
        text += f" status {value.clock_status:02x}"
    return _faithful(text, value, parse_date_time)


def parse_date(text: str) -> CosemDate:
    """A date as ``date_text`` writes it; ValueError says what was expected."""
    if text.startswith(_HEX):
        return CosemDate.from_bytes(_octets(text))
    match = _DATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no date: write 2025-12-24, *-12-24 or *-03-last Sun")
    return CosemDate(**_date_fields(match))


def parse_time(text: str) -> CosemTime:
    """A time as ``time_text`` writes it; seconds and hundredths left out are 0."""
    if text.startswith(_HEX):
        return CosemTime.from_bytes(_octets(text))
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no time: write 06:00, 06:00:00 or *:15:00")
    return CosemTime(**_time_fields(match))


def parse_date_time(text: str) -> CosemDateTime:
    """A date and time as ``date_time_text`` writes it; a date alone is its midnight."""
    if text.startswith(_HEX):
        return CosemDateTime.from_bytes(_octets(text))
    rest = text.strip()
    date_part = _DATE.match(rest)
    if date_part is None:
        raise ValueError(f"{text!r} is no date and time: write *-11-01 00:00:00")
    date, rest = CosemDate(**_date_fields(date_part)), rest[date_part.end() :]
    clock = CosemTime(0, 0, 0, 0)
    time_part = _TIME.match(rest, 1) if rest.startswith((" ", "T")) else None
    if time_part is not None:
        clock, rest = CosemTime(**_time_fields(time_part)), rest[time_part.end() :]
    end = _END.fullmatch(rest)
    if end is None:
        raise ValueError(f"{text!r} is no date and time: write *-11-01 00:00:00")
    deviation = None
    if end["sign"]:
        deviation = (int(end["hours"]) * 60 + int(end["minutes"])) * (1 if end["sign"] == "-" else -1)
    status = None if end["status"] is None else int(end["status"], 16)
    return CosemDateTime(
        date.year,
        date.month,
        date.day,
        date.weekday,
        clock.hour,
        clock.minute,
        clock.second,
        clock.hundredths,
        deviation,
        status,
    )


def script_text(script: ScriptReference) -> str:
    """``script 2 of 0-0:10.0.100*255``."""
    return f"script {script.selector} of {script.table}"


# As lines, for people and for comparing


def calendar_lines(tables: CalendarTables) -> dict[str, str]:
    """What a calendar says, a line each: ``season winter`` -> ``from *-11-01 00:00:00, week profile W1``."""
    lines = {"name": readable(tables.name)}
    for season in tables.seasons:
        start = date_time_text(season.start)
        lines[_free(lines, f"season {readable(season.name)}")] = f"from {start}, week profile {readable(season.week)}"
    for week in tables.weeks:
        days = ", ".join(f"{name} {day}" for name, day in zip(WEEKDAYS, week.days, strict=True))
        lines[_free(lines, f"week profile {readable(week.name)}")] = f"day profiles: {days}"
    for day in tables.days:
        actions = "; ".join(f"{time_text(action.time)} {script_text(action.script)}" for action in day.actions)
        lines[_free(lines, f"day profile {day.day_id}")] = actions or "nothing"
    return lines


def special_day_lines(days: Iterable[SpecialDay]) -> dict[str, str]:
    """What a special days table says, a line each."""
    lines: dict[str, str] = {}
    for day in days:
        lines[_free(lines, f"special day {day.index}")] = f"{date_text(day.date)}, day profile {day.day_id}"
    return lines


def difference(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """How two sets of lines differ: ``- ``, ``+ `` and, for one that changed, both; empty when they are the same."""
    changed = []
    for key in [*old, *(key for key in new if key not in old)]:
        if old.get(key) != new.get(key):
            changed += [f"- {key}: {old[key]}"] if key in old else []
            changed += [f"+ {key}: {new[key]}"] if key in new else []
    return changed


# As a file


def calendar_dict(tables: CalendarTables, special_days: Iterable[SpecialDay] | None = None) -> dict[str, object]:
    """A calendar (and special days) for a file: numbers, texts, lists. ``calendar_from`` is the inverse."""
    content: dict[str, object] = {
        "name": readable(tables.name),
        "seasons": [
            {"name": readable(s.name), "start": date_time_text(s.start), "week": readable(s.week)}
            for s in tables.seasons
        ],
        "weeks": [{"name": readable(w.name), "days": list(w.days)} for w in tables.weeks],
        "days": [
            {
                "id": day.day_id,
                "actions": [
                    {"time": time_text(a.time), "table": str(a.script.table), "script": a.script.selector}
                    for a in day.actions
                ],
            }
            for day in tables.days
        ],
    }
    if special_days is not None:
        content["special_days"] = [
            {"index": day.index, "date": date_text(day.date), "day": day.day_id} for day in special_days
        ]
    return content


def calendar_from(content: Mapping[str, object]) -> tuple[CalendarTables, tuple[SpecialDay, ...] | None]:
    """The calendar of a file, and its special days (None where it has none). ValueError says where it is wrong."""
    if not isinstance(content, Mapping):
        raise ValueError("a tariff file holds one object with name, seasons, weeks and days")
    unknown = sorted(set(content) - {"name", "seasons", "weeks", "days", "special_days", "others"})
    if unknown:
        raise ValueError(
            f"a tariff file has no {unknown[0]!r}; it has name, seasons, weeks, days, special_days and others"
        )
    tables = CalendarTables(
        octets_of(_text(content.get("name", ""), "name")),
        tuple(_each(content, "seasons", _season)),
        tuple(_each(content, "weeks", _week)),
        tuple(_each(content, "days", _day)),
    )
    special = tuple(_each(content, "special_days", _special_day)) if "special_days" in content else None
    return tables, special


def others_from(content: Mapping[str, object]) -> dict[str, str] | None:
    """The lines of other tariff objects in a file, which are there to be compared; None where it has none."""
    others = content.get("others")
    if others is None:
        return None
    if not isinstance(others, Mapping) or not all(isinstance(text, str) for text in others.values()):
        raise ValueError("others are texts by name")
    return {str(key): str(text) for key, text in others.items()}


def _season(item: Mapping[str, Any]) -> Season:
    return Season(
        octets_of(_text(item["name"], "name")),
        parse_date_time(_text(item["start"], "start")),
        octets_of(_text(item["week"], "week")),
    )


def _week(item: Mapping[str, Any]) -> WeekProfile:
    days = item["days"]
    if not isinstance(days, list) or len(days) != 7:
        raise ValueError("days are the seven day profiles from Monday to Sunday")
    monday, tuesday, wednesday, thursday, friday, saturday, sunday = (_whole(day, "day", 0xFF) for day in days)
    return WeekProfile(
        octets_of(_text(item["name"], "name")), (monday, tuesday, wednesday, thursday, friday, saturday, sunday)
    )


def _day(item: Mapping[str, Any]) -> DayProfile:
    actions = tuple(_each(item, "actions", _action))
    return DayProfile(_whole(item["id"], "id", 0xFF), actions)


def _action(item: Mapping[str, Any]) -> DayAction:
    table = ObisCode.parse(_text(item["table"], "table"))
    return DayAction(
        parse_time(_text(item["time"], "time")), ScriptReference(table, _whole(item["script"], "script", 0xFFFF))
    )


def _special_day(item: Mapping[str, Any]) -> SpecialDay:
    return SpecialDay(
        _whole(item["index"], "index", 0xFFFF),
        parse_date(_text(item["date"], "date")),
        _whole(item["day"], "day", 0xFF),
    )


def _each(content: Mapping[str, Any], key: str, make: Any) -> list[Any]:
    items = content.get(key, [])
    if not isinstance(items, list):
        raise ValueError(f"{key} is a list")
    made = []
    for number, item in enumerate(items, 1):
        try:
            if not isinstance(item, Mapping):
                raise ValueError("it is no object")
            made.append(make(item))
        except KeyError as error:
            raise ValueError(f"{key}, number {number}: {error} is missing") from None
        except ValueError as error:
            raise ValueError(f"{key}, number {number}: {error}") from None
    return made


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} is a text, not {value!r}")
    return value


def _whole(value: object, what: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{what} is a number from 0 to {most}, not {value!r}")
    return value


def _date_fields(match: re.Match[str]) -> dict[str, int | None]:
    month, day, weekday = match["month"], match["day"], match["weekday"]
    return {
        "year": _field(match["year"]),
        "month": next((number for number, name in _MONTHS.items() if name == month), None) or _field(month),
        "day": next((number for number, name in _DAYS.items() if name == day), None) or _field(day),
        "weekday": None if weekday is None else WEEKDAYS.index(weekday) + 1,
    }


def _time_fields(match: re.Match[str]) -> dict[str, int | None]:
    return {name: _field(match[name] or "0") for name in ("hour", "minute", "second", "hundredths")}


def _field(text: str) -> int | None:
    return None if text == "*" else int(text)


def _number(number: int | None, width: int = 2) -> str:
    return "*" if number is None else f"{number:0{width}}"


def _faithful(text: str, value: _T, parse: Any) -> str:
    """The text where it is read back as the same value, else the octets."""
    try:
        if parse(text) == value:
            return text
    except ValueError:
        pass
    return _HEX + bytes(value).hex()


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix(_HEX))
    except ValueError:
        raise ValueError(f"{text!r} holds no hexadecimal digits") from None


def _free(lines: Mapping[str, str], key: str) -> str:
    """A key that is not taken yet: a table may say a thing twice."""
    number, free = 1, key
    while free in lines:
        number += 1
        free = f"{key} ({number})"
    return free
