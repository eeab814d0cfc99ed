"""model and diff: a meter as a file, and how two meters differ."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cosemic.cli.options import ConnectionOptions, OutputOptions

Flag = Annotated[bool, Parameter(negative="", show_default=False)]


def model(
    url: str,
    *,
    out: Path | None = None,
    buffers: Flag = False,
    connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Save what a meter is made of: its objects, access rights and values, as JSON.

    Secrets are not read. 'cosemic simulate --model FILE' makes a meter of the
    file, 'cosemic diff' compares two of them.

    For example:
      cosemic model cellar --out cellar.json
      cosemic simulate --model cellar.json

    Parameters
    ----------
    url
        Where the meter is, or its name.
    out
        Write to this file instead of the screen.
    buffers
        Read the rows of profiles too, which may take long.
    """
    from cosemic.cli.models import save_model

    return save_model(url, out, buffers=buffers, connection=connection, output=output or OutputOptions())


def diff(
    first: str,
    second: str,
    *,
    values: Flag = False,
    connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Compare two meters: objects, versions, access rights, settings.

    Each is a file of 'cosemic model', a URL or the name of a meter; the exit code
    is 1 when they differ. What is measured (registers, clocks, profiles) is
    compared with --values only.

    For example:
      cosemic diff before.json after.json
      cosemic diff cellar.json cellar --json

    Parameters
    ----------
    first
        One of them.
    second
        The other.
    values
        Compare what is measured too.
    """
    from cosemic.cli.models import show_differences

    return show_differences(first, second, values=values, connection=connection, output=output or OutputOptions())
