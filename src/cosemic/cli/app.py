"""The commands and their help; each one is loaded when it is called."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from cosemic.cli.failing import CommandError, ConnectionTrouble, one_line
from cosemic.cli.options import ConnectionOptions, OutputOptions, hide_log
from cosemic.errors import DlmsError

USAGE_ERROR = 2
INTERRUPTED = 130
_BROKEN_PIPE = 141

app = App(
    name="cosemic",
    help=(
        "Read, write and simulate meters (DLMS/COSEM, IEC 62056).\n\n"
        "Start with 'cosemic demo'; it needs no meter.\n"
        "'cosemic COMMAND --help' shows examples."
    ),
    help_format="plaintext",
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,
)

Target = Annotated[str, Parameter(allow_leading_hyphen=False)]
Moment = Annotated[str | None, Parameter(allow_leading_hyphen=True)]


def run(arguments: list[str]) -> int:
    """Run one command; the exit code. Whatever goes wrong becomes one line on stderr."""
    # Warnings of the library go where -v sends them (see options), not between the lines of the command.
    silence = logging.NullHandler()
    logging.getLogger("cosemic").addHandler(silence)
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left; nothing more can be said there, not even when Python flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except CycloptsError as error:
        _debug(arguments)
        # What follows '=' may be a password after a misspelt option.
        text = re.sub(r"(--?[\w-]+)=\S+", r"\1", " ".join(str(error).split()))
        _complain(f"{text} See 'cosemic {_command(arguments)}--help'.")
        return USAGE_ERROR
    except CommandError as error:
        _debug(arguments)
        _complain(str(error))
        return USAGE_ERROR
    except (ConnectionTrouble, DlmsError, OSError, ValueError) as error:
        _debug(arguments)
        _complain(one_line(error))
        return 1
    except Exception as error:
        _debug(arguments)
        # The message of an error that nobody expected may hold anything, so only its kind is shown.
        _complain(f"unexpected {type(error).__name__}: please report it with the output of --debug")
        return 1
    finally:
        hide_log()
        logging.getLogger("cosemic").removeHandler(silence)


def _complain(text: str) -> None:
    print(f"cosemic: {text}", file=sys.stderr)


def _debug(arguments: list[str]) -> None:
    if "--debug" in arguments:
        traceback.print_exc()


def _command(arguments: list[str]) -> str:
    return f"{arguments[0]} " if arguments and arguments[0] in app else ""


@app.command(sort_key=1)
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


@app.command(sort_key=2)
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
    TARGET is an OBIS code (a register with its unit) or CLASS/OBIS/ATTRIBUTE.
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


@app.command(name="set", sort_key=3)
def set_(
    url: str,
    target: str,
    type: str,  # noqa: A002 - the name of the argument in the help
    value: Annotated[str, Parameter(allow_leading_hyphen=True)],
    *,
    connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Write one attribute.

    TYPE is one of
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

    Parameters
    ----------
    url
        Where the meter is, or its name.
    target
        CLASS/OBIS/ATTRIBUTE.
    type
        The data type of the value.
    value
        The value.
    """
    from cosemic.cli.reading import set_target

    return set_target(url, target, type, value, connection=connection, output=output or OutputOptions())


@app.command(sort_key=4)
def call(
    url: str,
    target: str,
    type: str | None = None,  # noqa: A002 - the name of the argument in the help
    value: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
    *,
    connection: ConnectionOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Invoke one method, with or without a parameter.

    For example:
      cosemic call cellar 70/0-0:96.3.10/1 integer 0        disconnect
      cosemic call cellar 70/0-0:96.3.10/2 integer 0        reconnect
      cosemic call cellar 8/0-0:1.0.0/1 integer 0           adjust the clock to the quarter

    Parameters
    ----------
    url
        Where the meter is, or its name.
    target
        CLASS/OBIS/METHOD.
    type
        The data type of the parameter (see 'cosemic set --help').
    value
        The parameter.
    """
    from cosemic.cli.reading import call_target

    return call_target(url, target, type, value, connection=connection, output=output or OutputOptions())


@app.command(sort_key=5)
def objects(url: str, *, connection: ConnectionOptions | None = None, output: OutputOptions | None = None) -> int:
    """List the objects of the meter, with what this client may do with them.

    For example:
      cosemic objects tcp://192.0.2.10:4059
      cosemic objects cellar --json

    Parameters
    ----------
    url
        Where the meter is, or its name.
    """
    from cosemic.cli.reading import list_objects

    return list_objects(url, connection=connection, output=output or OutputOptions())


@app.command(sort_key=6)
def profile(
    url: str,
    obis: str,
    *,
    from_: Annotated[str | None, Parameter(name="--from", allow_leading_hyphen=True)] = None,
    to: Moment = None,
    last: int | None = None,
    column: Annotated[list[str] | None, Parameter(name="--column", negative="")] = None,
    format: Literal["table", "csv", "json", "parquet"] | None = None,  # noqa: A002 - the name of the option
    out: Path | None = None,
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
    column
        Only this column (an OBIS code); may be repeated.
    format
        table, csv, json or parquet. [default: table, json with --json; else after the name of --out]
    out
        Write to this file instead of the screen.
    """
    from cosemic.cli.profiles import show_profile

    return show_profile(
        url, obis, from_=from_, to=to, last=last, columns=column, form=format, out=out, connection=connection,
        output=output or OutputOptions(),
    )  # fmt: skip


@app.command(sort_key=7)
def explain(
    input: Annotated[str, Parameter(allow_leading_hyphen=True)],  # noqa: A002 - the name of the argument in the help
    *more: str,
    ek: Annotated[str | None, Parameter(env_var="COSEMIC_EK")] = None,
    ak: Annotated[str | None, Parameter(env_var="COSEMIC_AK")] = None,
    system_title: Annotated[
        list[str] | None, Parameter(name="--system-title", negative="", env_var="COSEMIC_SYSTEM_TITLE")
    ] = None,
    dedicated_key: str | None = None,
    broadcast_key: str | None = None,
    kek: str | None = None,
    private_key: Annotated[list[str] | None, Parameter(name="--private-key", negative="")] = None,
    public_key: Annotated[list[str] | None, Parameter(name="--public-key", negative="")] = None,
    redact: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    output: OutputOptions | None = None,
) -> int:
    """Take octets apart, layer by layer: HDLC, wrapper, M-Bus, sign-on, ciphering,
    signatures, blocks, APDU, values.

    INPUT is hex, a file, or - for standard input. A file may hold the octets
    themselves or hex text: one frame or APDU a line, '>' or '<' before it,
    comments after '#'. System titles and dedicated keys that an earlier line
    carries are used for the later ones.
    The exit code is 1 when the octets are faulty; the message names the place.

    For example:
      cosemic explain 7EA0190321107FDAE6E600C001C100080000010000FF0200601A7E
      cosemic explain capture.txt --ek file:meter.ek --ak file:meter.ak
      cosemic explain DB08... --ek env:EK --system-title 4D4D4D0000000001
      xxd -p capture.bin | cosemic explain - --redact

    Parameters
    ----------
    input
        Hex, a file, or -.
    more
        Further hex: blanks between octets are fine.
    ek
        Encryption key: HEX, env:NAME or file:PATH.
    ak
        Authentication key: HEX, env:NAME or file:PATH.
    system_title
        System title of the sender, 16 hex digits; may be repeated.
    dedicated_key
        Key of ded-ciphered APDUs.
    broadcast_key
        Key of broadcast APDUs.
    kek
        Master key, for keys that are wrapped with it.
    private_key
        Private key agreement key of either side, HEX or file:PEM; may be repeated.
    public_key
        Public key of a signer or of the other side of a key agreement, HEX or
        file:PEM (a certificate too, which is not checked itself); may be repeated.
    redact
        Hide passwords, keys, system titles, serial numbers, checksums over them, and
        whatever was not understood, for posting.
    """
    from cosemic.cli.explaining import explain_input

    return explain_input(
        (input, *more), ek=ek, ak=ak, system_titles=system_title or [], dedicated_key=dedicated_key,
        broadcast_key=broadcast_key, kek=kek, private_keys=private_key or [], public_keys=public_key or [],
        redact=redact, output=output or OutputOptions(),
    )  # fmt: skip


@app.command(sort_key=7)
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


@app.command(sort_key=8)
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


@app.command(sort_key=9)
def simulate(
    *,
    host: str = "127.0.0.1",
    wrapper_port: int = 4059,
    hdlc_port: int = 4060,
    profile_rows: int | None = None,
    write_keys: Path | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Run a simulated meter until Ctrl-C.

    Prints {"wrapper_port": N, "hdlc_port": N} when it is ready. On logical
    device 1 it lets in
      --client 16    without security
      --client 32    --auth lls --password 00000000
      --client 1     --auth gmac --ek 000102030405060708090A0B0C0D0E0F
                     --ak D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF
      --client 4     --auth ecdsa, suite 1, with the keys of --write-keys
      --client 5     --auth ecdsa, suite 2, with the keys of --write-keys
    and, with --referencing sn, clients 18, 34 and 3 in the first three ways.
    All these keys are known to everybody: never use them in a real meter.

    --write-keys puts the keys of clients 1, 4 and 5 into a folder, each in a
    file, and a file of named meters beside them: public, reader, manager,
    suite1, suite2; with -hdlc (manager-hdlc) over HDLC, with -sn (public-sn,
    reader-sn, manager-sn) by short names. Use them with COSEMIC_METERS.

    For example:
      cosemic simulate
      cosemic simulate --write-keys demo-keys
      COSEMIC_METERS=demo-keys/meters.toml cosemic read suite1 1-0:1.8.0
      cosemic simulate --wrapper-port 0 --hdlc-port 0 --profile-rows 1000

    Parameters
    ----------
    host
        Address to listen on; 0.0.0.0 opens the meter to the network.
    wrapper_port
        TCP port for the wrapper; 0 takes any free one.
    hdlc_port
        TCP port for HDLC; 0 takes any free one.
    profile_rows
        Rows in the load profile.
    write_keys
        Folder for the keys of the simulated meter and a file of named meters.
    """
    from cosemic.cli.simulating import simulate_meter

    verbose = (output or OutputOptions()).verbose
    return simulate_meter(host, wrapper_port, hdlc_port, profile_rows, write_keys, verbose=verbose)
