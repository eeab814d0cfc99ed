"""obis: codes in words."""

from __future__ import annotations

from cosemic.cli.options import OutputOptions


def obis(
    code: str | None = None,
    *,
    search: str | None = None,
    companion: str | None = None,
    limit: int = 30,
    output: OutputOptions | None = None,
) -> int:
    """Say what an OBIS code means, or find the codes of something.

    For example:
      cosemic obis 1-0:1.8.1*255
      cosemic obis 0-0:96.10.1 --companion idis-2
      cosemic obis --search "voltage L1"
      cosemic obis "1-0:*.8.0" --json

    Parameters
    ----------
    code
        The code, as 1-0:1.8.0*255, 1.0.1.8.0.255 or 0100010800FF; with * it lists what fits.
    search
        Words that a name has, or a pattern.
    companion
        A companion specification (idis-2, dsmr-5, india...) or a .toml file of yours.
    limit
        How many results a search shows.
    """
    from cosemic.cli.obis_command import show_obis

    return show_obis(code, search, companion, limit, as_json=(output or OutputOptions()).json)
