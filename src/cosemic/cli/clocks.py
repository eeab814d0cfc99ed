"""clock: what a meter's clock shows and how far it is off, setting and synchronising it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cosemic.cli.failing import CommandError
from cosemic.cli.options import ConnectionOptions, OutputOptions, connected
from cosemic.cli.output import dumps, say, table
from cosemic.cli.parsing import parse_obis, parse_time
from cosemic.errors import DecodeError

if TYPE_CHECKING:
    from cosemic.cosem.clock import ClockState, Offset, Synchronisation
    from cosemic.obis import ObisCode

_BITS = ((0x01, "invalid"), (0x02, "doubtful"), (0x04, "different base"), (0x08, "invalid status"), (0x80, "daylight"))


def handle_clock(
    url: str, obis: str, *, set_to: str | None, sync: bool, threshold: float, limit: float, force: bool,
    connection: ConnectionOptions | None, output: OutputOptions,
) -> int:  # fmt: skip
    """Show a clock; set or synchronise it first where that is wanted."""
    from cosemic.cosem import clock

    code = parse_obis(obis)
    if set_to is not None and sync:
        raise CommandError("give either --set or --sync, not both")
    for name, seconds in (("--threshold", threshold), ("--limit", limit)):
        if not 0 <= seconds < 1e9:
            raise CommandError(f"{name} is a number of seconds, not {seconds:g}")
    moment = None if set_to is None or set_to.strip().lower() == "now" else parse_time(set_to)
    done: Synchronisation | None = None
    with connected(url, connection, output) as client:
        if set_to is not None:
            client.run(clock.set_time(_now if moment is None else moment, code, cache=client.cache))
        elif sync:
            done = client.run(
                clock.synchronise(
                    _now,
                    code,
                    threshold=timedelta(seconds=threshold),
                    limit=timedelta(seconds=limit),
                    force=force,
                    cache=client.cache,
                )
            )
        state = client.run(clock.read_clock_state(code, now=None, cache=client.cache))
        offset = _offset(client, code, state) if done is None else done.after or done.before
    if output.json:
        say(dumps(_as_dict(code, state, offset, done, set_to is not None)))
        return 0
    if done is not None:
        say(f"{done.before}: {done.sent or 'left as it is'}\n")
    say(table(["clock", str(code)], _rows(state, offset)))
    return 0


def _now() -> datetime:
    return datetime.now(UTC)


def _offset(client: object, code: ObisCode, state: ClockState) -> Offset | None:
    """None for a clock whose time is no point in time."""
    from cosemic.blocking import DlmsClient
    from cosemic.cosem import clock

    assert isinstance(client, DlmsClient)
    try:
        return client.run(clock.measure_offset(_now, code, state=state, cache=client.cache))
    except DecodeError:
        return None


def _rows(state: ClockState, offset: Offset | None) -> list[list[str]]:
    from cosemic.cosem.tariff_text import date_time_text

    none = "not told"
    zone = none if state.time_zone is None else f"{state.time_zone} min to UTC"
    if state.zone_reversed:
        zone += " (its sign is the other way round)"
    rows = [
        ["time", state.time.isoformat()],
        ["compared with this computer", "cannot be compared" if offset is None else str(offset)],
        ["status", none if state.status is None else ", ".join(_words(state.status)) or "good"],
        ["time zone", zone],
        ["daylight saving", none if state.enabled is None else "followed" if state.enabled else "not followed"],
    ]
    if state.begin is not None and state.end is not None:
        rows.append(["begins", date_time_text(state.begin)])
        rows.append(["ends", date_time_text(state.end)])
        rows.append(["by", none if state.saving is None else f"{state.saving} min"])
    base = getattr(state.base, "name", None)
    if state.base is not None:
        rows.append(["clock base", base.lower().replace("_", " ") if isinstance(base, str) else str(state.base)])
    return rows


def _words(status: int) -> list[str]:
    return [word for bit, word in _BITS if status & bit]


def _as_dict(
    code: ObisCode, state: ClockState, offset: Offset | None, done: Synchronisation | None, was_set: bool
) -> dict[str, object]:
    second = timedelta(seconds=1)
    action = "set" if was_set else None if done is None else done.action.value
    return {
        "obis": code,
        "time": state.time,
        "offset_seconds": None if offset is None else offset.ahead / second,
        "uncertainty_seconds": None if offset is None else offset.uncertainty / second,
        "round_trip_seconds": None if offset is None else offset.round_trip / second,
        "status": state.status,
        "status_words": None if state.status is None else _words(state.status),
        "time_zone": state.time_zone,
        "time_zone_reversed": state.zone_reversed,
        "daylight_saving": state.enabled,
        "daylight_saving_begin": state.begin,
        "daylight_saving_end": state.end,
        "daylight_saving_minutes": state.saving,
        "action": action,
        "offset_seconds_before": None if done is None else done.before.ahead / second,
    }
