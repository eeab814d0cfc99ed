"""obis: what a code stands for."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from cosemic.cli.options import OutputOptions


def obis(
    code: str | None = None,
    *,
    search: str | None = None,
    companion: str | None = None,
    every: Annotated[bool, Parameter(name="--all", negative="", show_default=False)] = False,
    output: OutputOptions | None = None,
) -> int:
    """Say what an OBIS code stands for, group by group, or find the code of something.

    No meter is needed. A code with '*', a range or a list in it is looked for in
    the catalogue; quote it for the shell.

    For example:
      cosemic obis 1-0:1.8.1*255
      cosemic obis --search "voltage L1"
      cosemic obis '1-0:*.8.0' --json
      cosemic obis 0-1:24.2.1 --companion dsmr
      cosemic obis --companion idis

    Parameters
    ----------
    code
        Like 1-0:1.8.0*255, 1-0:1.8.0, 1.0.1.8.0.255 or 0100010800FF.
    search
        Words that the name must have, in any order.
    companion
        What this profile calls it; without a code, all that the profile says. One
        that comes with cosemic, such as dsmr, idis or is15959, or a file of your own.
    every
        Every match of a search, not only the first 40.
    """
    from cosemic.cli.obis_names import show_code, show_companion, show_matches

    options = output or OutputOptions()
    if code is not None:
        return show_code(code, search, companion, every=every, output=options)
    if search is not None:
        return show_matches(search, companion, every=every, output=options)
    return show_companion(companion, output=options)
