"""image: images (firmware) on their way into a meter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from cosemic.cli.options import ConnectionOptions, OutputOptions

_Flag = Annotated[bool, Parameter(negative="", show_default=False)]


def image(
    url: str,
    file: Path | None = None,
    *,
    identification: str | None = None,
    resume: _Flag = False,
    replace: _Flag = False,
    verify: _Flag = False,
    activate: _Flag = False,
    yes: _Flag = False,
    retries: int = 3,
    reconnects: int = 5,
    interval: float = 5.0,
    obis: str = "0-0:44.0.0*255",
    connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Send an image (firmware) into a meter; have it verified and activated.

    Without FILE the state of the meter's image transfer is shown. A transfer goes
    on from the first missing block after a cut; --resume does so in a new run.
    Nothing is activated unless --activate and --yes are both given; without --yes
    the command says what it would do and ends with 1.

    For example:
      cosemic image cellar
      cosemic image cellar fw21.bin --identification FW-2.1 --verify
      cosemic image cellar fw21.bin --identification FW-2.1 --resume --activate --yes

    Parameters
    ----------
    url
        Where the meter is, or its name.
    file
        The image as its maker gave it.
    identification
        Its name as the maker gave it; hex:... for octets.
    resume
        What the meter has already is part of this very image: go on with it.
    replace
        Give up another image that the meter has (needs --yes).
    verify
        Have the meter verify it.
    activate
        Have the meter verify and activate it (needs --yes).
    yes
        Do what cannot be undone.
    retries
        How often a block is sent again.
    reconnects
        How often to go on after the line was cut.
    interval
        Seconds between looks at a meter that verifies or activates.
    obis
        The image transfer object.
    """
    from cosemic.cli.images import handle_image

    return handle_image(
        url, file, identification=identification, obis=obis, resume=resume, replace=replace, verify=verify,
        activate=activate, yes=yes, retries=retries, reconnects=reconnects, interval=interval, connection=connection,
        output=output or OutputOptions(),
    )  # fmt: skip
