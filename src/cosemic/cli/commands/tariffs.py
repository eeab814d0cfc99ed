"""tariffs: calendars, special days, scripts and limiters of a meter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cosemic.cli.options import ConnectionOptions, OutputOptions


def tariffs(
    url: str,
    *,
    date: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    diff: str | None = None,
    save: Path | None = None,
    write: Path | None = None,
    activate: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    yes: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    calendar: str = "0-0:13.0.0*255",
    connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Show the tariffs of a meter, what it does on a date, or what is different.

    With none of the options all tables are shown: calendars, special days, scripts,
    schedules, limiters, registers. --diff ends with 1 where there is a difference.
    --write and --activate say what they would change and end with 1, unless --yes
    is given: what is activated is what is billed.

    For example:
      cosemic tariffs cellar --client 32 --auth lls --password 00000000
      cosemic tariffs cellar --date 2025-12-25
      cosemic tariffs cellar --save calendar.json
      cosemic tariffs cellar --diff calendar.json
      cosemic tariffs cellar --write calendar.json --activate --yes

    Parameters
    ----------
    url
        Where the meter is, or its name.
    date
        What the meter does on this day: 2025-12-25, today, or as for 'cosemic profile'.
    diff
        Compare what is active with this file, or with the passive calendar (passive).
    save
        Write the active calendar, the special days and the other tables to this file (JSON).
    write
        Write the calendar of this file into the passive side (needs --yes).
    activate
        Make the passive calendar the active one (needs --yes).
    yes
        Do what changes the billing.
    calendar
        The activity calendar.
    """
    from cosemic.cli.tariffs import handle_tariffs

    return handle_tariffs(
        url, day=date, diff=diff, save=save, write=write, activate=activate, yes=yes, calendar=calendar,
        connection=connection, output=output or OutputOptions(),
    )  # fmt: skip
