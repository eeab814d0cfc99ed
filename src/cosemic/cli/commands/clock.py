"""clock: reading, setting and synchronising a meter's clock."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from cosemic.cli.options import ConnectionOptions, OutputOptions


def clock(
    url: str,
    *,
    set_: Annotated[str | None, Parameter(name="--set", allow_leading_hyphen=True)] = None,
    sync: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    threshold: float = 2.0,
    limit: float = 3600.0,
    force: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    obis: str = "0-0:1.0.0*255",
    connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Show the clock of a meter and how far it is off; set or synchronise it.

    What is off is measured against the clock of this computer, half of the round
    trip taken off. --sync does nothing below --threshold, shifts small errors away,
    sets larger ones, and refuses above --limit: so large an error is often one of
    the time zone.

    For example:
      cosemic clock cellar
      cosemic clock cellar --sync --client 32 --auth lls --password 00000000
      cosemic clock cellar --set now
      cosemic clock cellar --set 2025-10-26T02:30+01:00

    Parameters
    ----------
    url
        Where the meter is, or its name.
    set_
        Set it: now, or a time as for 'cosemic profile --from'.
    sync
        Synchronise it with this computer.
    threshold
        Seconds below which a clock counts as right.
    limit
        Seconds above which nothing is changed.
    force
        Change it above the limit too.
    obis
        The clock.
    """
    from cosemic.cli.clocks import handle_clock

    return handle_clock(
        url, obis, set_to=set_, sync=sync, threshold=threshold, limit=limit, force=force, connection=connection,
        output=output or OutputOptions(),
    )  # fmt: skip
