"""tariffs: what a meter's tariff tables say and do on a date, compared, written and activated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from cosemic.cli.failing import CommandError
from cosemic.cli.options import ConnectionOptions, OutputOptions, connected, warn
from cosemic.cli.output import dumps, say, table
from cosemic.cli.parsing import parse_obis, parse_time
from cosemic.errors import DecodeError, ServiceError

if TYPE_CHECKING:
    from cosemic.blocking import DlmsClient
    from cosemic.cosem.meter_zone import MeterZone
    from cosemic.cosem.tariff_forecast import DayForecast
    from cosemic.cosem.tariff_tables import ActivityCalendar, CalendarTables, SpecialDay
    from cosemic.cosem.tariffs import TariffSettings
    from cosemic.obis import ObisCode


@dataclass(frozen=True, slots=True)
class _File:
    """What a tariff file holds; None for what it leaves out."""

    tables: CalendarTables
    special_days: tuple[SpecialDay, ...] | None
    others: dict[str, str] | None


DIFFERENT = 1
NOT_DONE = 1
_PASSIVE = "passive"


def handle_tariffs(
    url: str, *, day: str | None, diff: str | None, save: Path | None, write: Path | None, activate: bool, yes: bool,
    calendar: str, connection: ConnectionOptions | None, output: OutputOptions,
) -> int:  # fmt: skip
    """Read the tables and do the one thing that was asked for with them."""
    code = parse_obis(calendar)
    wanted = [name for name, given in (("--date", day), ("--diff", diff), ("--save", save)) if given is not None]
    wanted += ["--write and --activate"] if write is not None or activate else []
    if len(wanted) > 1:
        raise CommandError(f"give only one of {', '.join(wanted)}")
    when = None if day is None else parse_time(day).date()
    compared = None if diff in (None, _PASSIVE) else _load(Path(diff or ""))
    new = None if write is None else _load(write)
    with connected(url, connection, output) as client:
        settings = _read(client)
        if write is not None or activate:
            return _change(client, settings, code, new, activate, yes, output)
        if when is not None:
            return _show_day(settings, code, when, _zone(client), output)
    if diff is not None:
        return _show_difference(_calendar(settings, code), settings, compared, output)
    if save is not None:
        return _save(settings, code, save)
    return _show(settings, output)


def _read(client: DlmsClient) -> TariffSettings:
    from cosemic.cosem.tariffs import read_tariffs

    return client.run(read_tariffs(cache=client.cache))


def _zone(client: DlmsClient) -> MeterZone | None:
    """The zone of the clock, for seasons that begin with daylight saving; None where the meter does not tell."""
    from cosemic.cosem.clock import read_meter_zone

    try:
        return client.run(read_meter_zone(cache=client.cache))
    except (ServiceError, DecodeError):
        return None


def _calendar(settings: TariffSettings, code: ObisCode) -> ActivityCalendar:
    try:
        return settings.calendar(code)
    except LookupError as error:
        raise CommandError(f"{error}; name one with --calendar, or give a --client that may read it") from None


def _load(file: Path) -> _File:
    from cosemic.cosem.tariff_text import calendar_from, others_from

    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        tables, special = calendar_from(content)
        return _File(tables, special, others_from(content))
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{file} is no tariff file: {error}") from None


def _show(settings: TariffSettings, output: OutputOptions) -> int:
    lines = settings.lines()
    if output.json:
        for key, text in lines.items():
            say(dumps({"item": key, "text": text}))
    elif lines:
        say(table(["what", "says"], [[key, text] for key, text in lines.items()]))
    for text in settings.refused.values():
        warn(text)
    if not lines:
        raise CommandError("the meter shows this client no tariff objects: give another --client and its --auth")
    return 1 if settings.refused else 0


def _show_day(
    settings: TariffSettings, code: ObisCode, when: date, zone: MeterZone | None, output: OutputOptions
) -> int:
    _calendar(settings, code)
    found = settings.forecast(when, code, zone=zone)
    if output.json:
        say(dumps(_day_dict(settings, found)))
    else:
        say(f"{found.date.isoformat()} ({found.date:%a}): {_why(found)}")
        rows = [["00:00:00", *_script(settings, found.before)]] if found.before is not None else []
        rows += [[switch.time.isoformat(), *_script(settings, switch.script)] for switch in found.switches]
        say(table(["from", "script", "does"], rows) if rows else "no switching times")
    for problem in found.problems:
        warn(problem)
    return 0 if found.day is not None else 1


def _why(found: DayForecast) -> str:
    from cosemic.cosem.octet_names import readable

    profile = "no day profile" if found.day is None else f"day profile {found.day.day_id}"
    if found.special is not None:
        return f"{profile}, special day {found.special.index}"
    season = "no season" if found.season is None else f"season {readable(found.season.name)}"
    week = "no week profile" if found.week is None else f"week profile {readable(found.week.name)}"
    return f"{profile}, {season}, {week}"


def _script(settings: TariffSettings, reference: object) -> list[str]:
    from cosemic.cosem.tariff_tables import ScriptReference
    from cosemic.cosem.tariff_text import script_text
    from cosemic.cosem.tariffs import action_text

    assert isinstance(reference, ScriptReference)
    scripts = settings.scripts.get(reference.table, ())
    script = next((script for script in scripts if script.identifier == reference.selector), None)
    does = "not told" if script is None else "; ".join(map(action_text, script.actions)) or "nothing"
    return [script_text(reference), does]


def _day_dict(settings: TariffSettings, found: DayForecast) -> dict[str, object]:
    from cosemic.cosem.octet_names import readable

    return {
        "date": found.date,
        "season": None if found.season is None else readable(found.season.name),
        "week": None if found.week is None else readable(found.week.name),
        "special_day": None if found.special is None else found.special.index,
        "day": None if found.day is None else found.day.day_id,
        "before": None if found.before is None else found.before.selector,
        "switches": [
            {
                "time": switch.time,
                "table": switch.script.table,
                "script": switch.script.selector,
                "does": _script(settings, switch.script)[1],
            }
            for switch in found.switches
        ],
        "problems": list(found.problems),
    }


def _show_difference(
    calendar: ActivityCalendar,
    settings: TariffSettings,
    compared: _File | None,
    output: OutputOptions,
) -> int:
    from cosemic.cosem.tariff_text import calendar_lines, difference, special_day_lines
    from cosemic.cosem.tariffs import SPECIAL_DAYS

    old = calendar_lines(calendar.active)
    if compared is None:
        new = calendar_lines(calendar.passive)
    else:
        new = calendar_lines(compared.tables)
        if compared.special_days is not None:
            old |= special_day_lines(settings.special_days.get(SPECIAL_DAYS, ()))
            new |= special_day_lines(compared.special_days)
        if compared.others is not None:
            old |= settings.other_lines()
            new |= compared.others
    changes = difference(old, new)
    for line in changes:
        say(dumps({"change": line[0], "text": line[2:]}) if output.json else line)
    return DIFFERENT if changes else 0


def _save(settings: TariffSettings, code: ObisCode, file: Path) -> int:
    from cosemic.cosem.tariff_text import calendar_dict
    from cosemic.cosem.tariffs import SPECIAL_DAYS

    content = calendar_dict(_calendar(settings, code).active, settings.special_days.get(SPECIAL_DAYS))
    content["others"] = settings.other_lines()
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    warn(f"the active calendar written to {file}")
    return 0


def _change(
    client: DlmsClient,
    settings: TariffSettings,
    code: ObisCode,
    new: _File | None,
    activate: bool,
    yes: bool,
    output: OutputOptions,
) -> int:
    """Write the passive calendar, activate it, or say what that would change."""
    from cosemic.cosem.tariff_text import calendar_lines, difference, special_day_lines
    from cosemic.cosem.tariffs import (
        SPECIAL_DAYS,
        activate_passive_calendar,
        write_passive_calendar,
        write_special_days,
    )

    calendar = _calendar(settings, code)
    tables, special = (calendar.passive, None) if new is None else (new.tables, new.special_days)
    problems = tables.problems()
    if problems:
        raise CommandError(f"the calendar does not fit together: {'; '.join(problems)}")
    changes = difference(calendar_lines(calendar.active if activate else calendar.passive), calendar_lines(tables))
    if special is not None:
        changes += difference(
            special_day_lines(settings.special_days.get(SPECIAL_DAYS, ())), special_day_lines(special)
        )
    if not yes:
        for line in changes:
            say(dumps({"change": line[0], "text": line[2:]}) if output.json else line)
        what = "the active calendar" if activate else "the passive calendar"
        special_too = " and the special days, which hold at once" if special is not None else ""
        warn(f"nothing was done: this would change {what}{special_too} as shown; give --yes to do it")
        return NOT_DONE
    if new is not None:
        client.run(write_passive_calendar(tables, code, cache=client.cache))
    if special is not None:
        client.run(write_special_days(special, cache=client.cache))
    if activate:
        client.run(activate_passive_calendar(code, cache=client.cache))
    done = [*(["written"] if new is not None else []), *(["activated"] if activate else [])]
    say(dumps({"calendar": code, "done": done}) if output.json else f"calendar {code}: {', '.join(done)}")
    return 0
