"""sniff: what a port says, and at which speed and parity."""

from __future__ import annotations

from cosemic.cli.options import OutputOptions


def sniff(
    port: str,
    *,
    seconds: float = 12.0,
    total: float = 150.0,
    output: OutputOptions | None = None,
) -> int:
    """Find out what a meter says on a port: its speed, parity and framing.

    PORT is a serial port (/dev/ttyUSB0, COM3), rfc2217://host:port, or
    tcp://host:port of a serial server, whose settings cannot be changed here.
    Nothing is sent. Each setting is listened to for some seconds; the first
    one at which whole telegrams arrive ends the search.
    The last line is the command to listen with. The exit code is 1 when
    nothing could be recognised for certain.

    For example:
      cosemic sniff /dev/ttyUSB0
      cosemic sniff COM3 --seconds 30 --total 600
      cosemic sniff 'serial:///dev/ttyUSB0?baud=115200'
      cosemic sniff tcp://192.0.2.9:2001 --json

    Parameters
    ----------
    port
        The port; with baud=, parity= or data_bits= in its URL only that
        setting is listened to.
    seconds
        For how long to listen at each setting; longer than the meter pauses.
    total
        After how many seconds to give up.
    """
    from cosemic.cli.sniffing import sniff_port

    return sniff_port(port, seconds=seconds, total=total, output=output or OutputOptions())
