"""read, set, call and objects: the attributes and methods of a meter."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from cosemic.cli.options import ConnectionOptions, OutputOptions


def read(
    url: str,
    *targets: str,
    raw: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    typed: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Read registers and attributes.

    URL is one of
      tcp://host:port                      the TCP wrapper
      hdlc://host:port                     HDLC over TCP
      udp://host:port                      the UDP wrapper
      tls://host:port?ca=ca.pem            the wrapper through TLS
      serial:///dev/ttyUSB0?baud=9600      HDLC on a serial line
      optical:///dev/ttyUSB0               an optical head: sign-on, then HDLC
      mbus:///dev/ttyUSB0?address=5        wired M-Bus
      rfc2217://, optical-rfc2217://, optical-tcp://, mbus-tcp://
                                           the last three behind a serial server
      NAME                                 a meter in ~/.config/cosemic/meters.toml
    TARGET is an OBIS code (a register with its unit), CLASS/OBIS/ATTRIBUTE, or
    OBIS/NAME with the standard's name of the attribute: 0-0:1.0.0/time_zone.
    What a register measures (3/OBIS/2, 4/OBIS/2, 5/OBIS/2, 5/OBIS/3) is scaled and
    has its unit either way; --raw shows it as sent.
    A target that fails does not stop the others; the exit code is then 1.

    For example:
      cosemic read tcp://192.0.2.10:4059 1-0:1.8.0 1-0:32.7.0
      cosemic read hdlc://192.0.2.10:4059 8/0-0:1.0.0/2 --physical 17
      cosemic read cellar 1-0:1.8.0 --auth lls --password 00000000 --json

    Parameters
    ----------
    url
        Where the meter is, or its name.
    targets
        OBIS codes or CLASS/OBIS/ATTRIBUTE.
    raw
        Values as sent: no scaling, no dates made of octets.
    typed
        Show the data types too.
    """
    from cosemic.cli.reading import read_targets

    return read_targets(url, targets, raw=raw, typed=typed, connection=connection, output=output or OutputOptions())


def set_(
    url: str,
    target: str,
    type: Annotated[str, Parameter(allow_leading_hyphen=True)],  # noqa: A002 - the name of the argument in the help
    value: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    *,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    unconfirmed: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Write one attribute.

    Without TYPE the value is written in the type that the meter has, a register
    in its unit: 12345, 1.5, true, hex:0102, time:now, a text, or the name of a
    value of an enumeration. With it nothing is looked up. TYPE is one of
      null-data, boolean, bcd, enum
      bit-string             as 0101
      integer, long, double-long, long64             signed, 8 to 64 bits
      unsigned, long-unsigned, double-long-unsigned, long64-unsigned
      float32, float64, floating-point
      octet-string           as hex, text:..., obis:..., or time:... for clocks
      visible-string, utf8-string
      date-time, date, time  as ISO 8601; date-time as for 'cosemic profile --from' too
      array, structure, compact-array
                             as JSON: '[{"type": "unsigned", "value": 1}, ...]'
      axdr                   any encoded value as hex

    For example:
      cosemic set cellar 1/0-0:96.1.1/2 octet-string text:cellar --client 1
      cosemic set cellar 8/0-0:1.0.0/2 octet-string time:now
      cosemic set cellar 3/1-0:1.8.0/2 double-long-unsigned 12345
      cosemic set cellar 1-0:1.8.0/value 12345
      cosemic set cellar 1-0:1.8.0/value 12345 --dry-run      shows the APDU
      cosemic set hdlc://192.0.2.10 8/0-0:1.0.0/2 octet-string time:now --broadcast --server 127

    Parameters
    ----------
    url
        Where the meter is, or its name.
    target
        CLASS/OBIS/ATTRIBUTE, or OBIS/NAME with the standard's name of the attribute.
    type
        The data type of the value; it may be left out.
    value
        The value.
    dry_run
        Send nothing; show what would be sent.
    unconfirmed
        Send it and await no answer.
    """
    from cosemic.cli.reading import set_target

    kind, text = (None, type) if value is None else (type, value)
    return set_target(
        url, target, kind, text, dry_run=dry_run, confirmed=not unconfirmed, connection=connection,
        output=output or OutputOptions(),
    )  # fmt: skip


def call(
    url: str,
    target: str,
    type: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,  # noqa: A002 - the name in the help
    value: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    *,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    yes: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    unconfirmed: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Invoke one method, with or without a parameter.

    By its name a method gets the parameter that the standard prescribes, and
    takes others without a type. What switches, changes keys, tariffs or firmware,
    or loses billing data has to be confirmed: --yes does so beforehand.

    For example:
      cosemic call cellar 0-0:96.3.10/remote_disconnect --yes
      cosemic call cellar 70/0-0:96.3.10/2 integer 0 --yes    reconnect
      cosemic call cellar 8/0-0:1.0.0/1 integer 0             adjust to the quarter
      cosemic call cellar 0-0:1.0.0/shift_time -10 --dry-run

    Parameters
    ----------
    url
        Where the meter is, or its name.
    target
        CLASS/OBIS/METHOD, or OBIS/NAME with the standard's name of the method.
    type
        The data type of the parameter (see 'cosemic set --help').
    value
        The parameter.
    dry_run
        Send nothing; show what would be sent.
    yes
        Do not ask before what is hard to take back: supply, keys, tariffs, firmware.
    unconfirmed
        Send it and await no answer.
    """
    from cosemic.cli.reading import call_target

    return call_target(
        url,
        target,
        type,
        value,
        dry_run=dry_run,
        yes=yes,
        confirmed=not unconfirmed,
        connection=connection,
        output=output or OutputOptions(),
    )


def objects(
    url: str,
    *,
    units: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """List the objects of the meter, with what this client may do with them.

    For example:
      cosemic objects tcp://192.0.2.10:4059
      cosemic objects cellar --units
      cosemic objects cellar --json

    Parameters
    ----------
    url
        Where the meter is, or its name.
    units
        Read the units of the registers too.
    """
    from cosemic.cli.reading import list_objects

    return list_objects(url, units=units, connection=connection, output=output or OutputOptions())
