"""demo: a first reading without a meter."""

from __future__ import annotations

from cosemic.cli.options import OutputOptions


def demo(*, output: OutputOptions | None = None) -> int:
    """Read a simulated meter over TCP with security: no meter, no settings needed.

    Starts a simulated meter on this machine, logs in with HLS-GMAC and prints
    the association, registers with their units, the clock and the last rows
    of the load profile.

    For example:
      cosemic demo
      cosemic demo --json
      cosemic demo -v          with the frames on their way
    """
    from cosemic.cli.demonstrating import demonstrate

    return demonstrate(output or OutputOptions())
