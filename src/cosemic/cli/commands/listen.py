"""listen: readings of whatever meters push."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter

from cosemic.cli.options import OutputOptions

KEYS = Group("Keys", sort_key=5)
DELIVERY = Group("Where readings go", sort_key=6)
LIMITS = Group("Limits", sort_key=7)


@Parameter(name="*", group=KEYS)
@dataclass(kw_only=True)
class KeyOptions:
    """What opens the messages, and what is known of the meters."""

    inventory: Path | None = None
    "TOML file of meters: keys, names, layouts; read again on SIGHUP."
    ek: Annotated[str | None, Parameter(env_var="COSEMIC_EK")] = None
    "Encryption key of all meters (an inventory has its own): HEX, env:NAME or file:PATH."
    ak: Annotated[str | None, Parameter(env_var="COSEMIC_AK")] = None
    "Authentication key: HEX, env:NAME or file:PATH."
    broadcast_key: str | None = None
    "Key of messages that are sent to many, if it is another one."
    system_title: str | None = None
    "System title of the meter (16 hex digits) whose messages do not name it."
    without_verifying: Annotated[bool, Parameter(negative="", show_default=False)] = False
    "Decrypt without the authentication key; results are marked, and may be forged."
    allow_example_keys: Annotated[bool, Parameter(negative="", show_default=False)] = False
    "Accept keys that are printed in public documents."
    no_replay_check: Annotated[bool, Parameter(negative="", show_default=False)] = False
    "Accept messages whose invocation counter does not rise."
    accept_plain: Annotated[bool, Parameter(negative="", show_default=False)] = False
    "Accept unprotected messages too, though keys are given."
    layout: str | None = None
    "Layout of all meters: a name, or a TOML file. [default: recognised]"
    zone: str | None = None
    "Time zone of meters that tell none, such as Europe/Vienna or +01:00."


@Parameter(name="*", group=DELIVERY)
@dataclass(kw_only=True)
class DeliverySettings:
    """Outputs; several may be given. Without one, a table on standard output."""

    format: Literal["table", "json"] | None = None
    "What is shown on standard output; --json is --format json."
    csv: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None
    "Append readings to this CSV file, or - for standard output."
    sqlite: Path | None = None
    "Keep readings in this SQLite file."
    mqtt: str | None = None
    "Publish to this broker: mqtt://user@host:port or mqtts://…"
    mqtt_password: Annotated[str | None, Parameter(env_var="COSEMIC_MQTT_PASSWORD")] = None
    "Its password: env:NAME, file:PATH or TEXT."
    mqtt_ca: str | None = None
    "PEM file of the authority that the broker's certificate is of."
    mqtt_prefix: str = "cosemic"
    "How topics begin."
    home_assistant: bool = True
    "Announce meters to Home Assistant by MQTT discovery."
    prometheus: str | None = None
    "Serve metrics on [HOST:]PORT."
    webhook: str | None = None
    "POST each message to this URL."
    webhook_secret: str | None = None
    "Sign what is posted (HMAC) with this: env:NAME, file:PATH or TEXT."
    spool: Path | None = None
    "Folder where messages wait for outputs that are away, and counters for a restart; nothing is lost then."
    record: Path | None = None
    "Append all octets that come to this file, as they come."


@Parameter(name="*", group=LIMITS)
@dataclass(kw_only=True)
class LimitOptions:
    """When to stop, and how much senders may take."""

    count: int | None = None
    "Stop after so many messages with readings."
    seconds: float | None = None
    "Stop after so many seconds."
    max_connections: int = 10_000
    "TCP connections at one time."
    max_per_address: int = 1_000
    "TCP connections of one address (IPv6: of one /64 network)."


def listen(
    *urls: Annotated[str, Parameter(allow_leading_hyphen=True)],
    keys: KeyOptions | None = None,
    delivery: DeliverySettings | None = None,
    limits: LimitOptions | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Show the readings that meters push: on a line, to a port of this machine, in a file.

    URLS, one or more:
      'serial:///dev/ttyUSB0?baud=2400&parity=even'   a customer interface
      mbus:///dev/ttyUSB0                             an M-Bus adapter (2400 8E1)
      tcp://0.0.0.0:4059, udp://0.0.0.0:4059          ports that meters push to
      'tls://0.0.0.0:4059?certificate=FILE&key=FILE'
      connect+tcp://192.0.2.9:2001                    a serial server, a P1 dongle
      capture.bin, capture.txt, capture.pcap, -       files, standard input
    A shell needs the quotes where there is a ? or &.

    HDLC, wrapper, M-Bus, P1 text and bare APDUs are recognised. What cannot be
    decoded is told in one sentence on stderr: whether it is the wiring, the
    framing, the key or the layout. 'cosemic sniff' finds the speed of a line.
    The exit code is 1 when no message could be decoded, or some were lost.

    For example:
      cosemic listen mbus:///dev/ttyUSB0 --ek file:meter.ek --ak file:meter.ak
      cosemic listen tcp://0.0.0.0:4059 --inventory meters.toml --json
      cosemic listen 'serial:///dev/ttyUSB0?baud=115200' --mqtt mqtt://localhost
      cosemic listen capture.bin
    """
    from cosemic.cli.listening import listen_to

    return listen_to(
        urls, keys or KeyOptions(), delivery or DeliverySettings(), limits or LimitOptions(), output or OutputOptions()
    )
