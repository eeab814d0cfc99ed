"""profile: load profiles and event logs as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from cosemic.cli.options import ConnectionOptions, OutputOptions

Moment = Annotated[str | None, Parameter(allow_leading_hyphen=True)]


def profile(
    url: str,
    obis: str,
    *,
    from_: Annotated[str | None, Parameter(name="--from", allow_leading_hyphen=True)] = None,
    to: Moment = None,
    last: int | None = None,
    entries: str | None = None,
    gaps: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    column: Annotated[list[str] | None, Parameter(name="--column", negative="")] = None,
    format: Literal["table", "csv", "json", "parquet"] | None = None,  # noqa: A002 - the name of the option
    out: Path | None = None,
    into: Path | None = None,
    since_last: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Read a load profile or an event log as a table.

    T is one of
      2025-01-31, 2025-01-31T12:00, 2025-01-31T12:00+01:00
      now, today, yesterday, or a time ago: -24h, -7d, -30min
    Without an offset it is a time of your own zone.

    For example:
      cosemic profile cellar 1-0:99.1.0 --from yesterday --to today
      cosemic profile cellar 1-0:99.1.0 --from -24h --format csv --out load.csv
      cosemic profile tcp://192.0.2.10:4059 1-0:99.1.0 --last 96 --json
      cosemic profile cellar 1-0:99.1.0 --since-last --into load.sqlite

    Parameters
    ----------
    url
        Where the meter is, or its name.
    obis
        The profile: 1-0:99.1.0 for the load profile, 0-0:99.98.0 for the event log.
    from_
        First time T.
    to
        Last time T.
    last
        The newest N rows only.
    entries
        Rows by their place in the meter, counted from 1: 1-96, or 97- for the rest.
    gaps
        Say on stderr how complete the rows are, and which are missing.
    column
        Only this column (an OBIS code); may be repeated.
    format
        table, csv, json or parquet. [default: table, json with --json; else after the name of --out]
    out
        Write to this file instead of the screen.
    into
        Add the rows to this file (.sqlite, .csv or .jsonl) piece by piece; what is in it already stays, and nothing
        comes twice. A reading that broke off goes on where it was.
    since_last
        With --into: only what the file lacks, from its newest row on.
    """
    if into is not None or since_last:
        from cosemic.cli.harvesting import harvest_profile

        others = {
            "--last": last,
            "--entries": entries,
            "--gaps": gaps or None,
            "--column": column,
            "--format": format,
            "--out": out,
        }
        return harvest_profile(
            url, obis, into, since_last=since_last, from_=from_, to=to,
            others=[name for name, given in others.items() if given is not None], connection=connection,
            output=output or OutputOptions(),
        )  # fmt: skip
    from cosemic.cli.profiles import show_profile

    return show_profile(
        url, obis, from_=from_, to=to, last=last, entries=entries, gaps=gaps, columns=column, form=format, out=out,
        connection=connection, output=output or OutputOptions(),
    )  # fmt: skip
