"""doctor: how a meter is reached, and why a login fails."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from cosemic.cli.options import ConnectionOptions, OutputOptions


def doctor(
    url: str,
    *,
    serial_number: Annotated[str | None, Parameter(name="--serial-number")] = None,
    budget: float = 120.0,
    tries: int = 1,
    connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Find out how a meter is reached, and why a login fails.

    URL is where it is: tcp://host:port, hdlc://host:port, serial:///dev/ttyUSB0,
    or just host:port or /dev/ttyUSB0; speed, framing and address are found out.
    Give what you know of --client, --auth, --password, --ek, --ak, --system-title.
    Secrets are used last, and no more often than --tries says; --timeout is the
    time for one answer.
    The exit code is 1 when something is in the way of reading the meter.

    For example:
      cosemic doctor 192.0.2.10:4059
      cosemic doctor /dev/ttyUSB0 --serial-number 12345678
      cosemic doctor cellar --json
      cosemic doctor hdlc://192.0.2.10 --client 1 --ek file:ek --ak file:ak -v

    Parameters
    ----------
    url
        Where the meter is, or its name.
    serial_number
        What is printed on the meter: its HDLC address often comes from it.
    budget
        Seconds for all of it.
    tries
        How often each secret may be tried; 0 for not at all.
    """
    from cosemic.cli.doctoring import examine_meter

    return examine_meter(
        url, serial_number=serial_number, budget=budget, tries=tries, connection=connection,
        output=output or OutputOptions(),
    )  # fmt: skip
