"""Outputs by the options of a command, each made only when it is asked for."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from cosemic.delivery.names import slug
from cosemic.delivery.outputs import Output
from cosemic.delivery.pipeline import Pipeline, PipelineLimits
from cosemic.delivery.spool import Spool, SpoolLimits

STANDARD_OUTPUT = "-"
"""In place of a file."""


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """Where messages go. Files may be "-" for standard output (JSON lines and CSV); secrets are values, not references.

    ``mqtt`` is ``mqtt://[user@]host[:port]`` or ``mqtts://…``, ``prometheus`` ``[address:]port``, ``webhook`` an
    ``https://`` or ``http://`` URL. ``spool`` is a folder; without one, what an output does not take in time is lost.
    """

    table: bool = False
    json: str | None = None
    csv: str | None = None
    sqlite: str | None = None
    sync: bool = False
    mqtt: str | None = None
    mqtt_user: str | None = None
    mqtt_password: str | None = None
    mqtt_ca_file: str | None = None
    mqtt_prefix: str = "cosemic"
    mqtt_client_id: str | None = None
    home_assistant: str | None = "homeassistant"
    """The discovery prefix; None for no discovery."""
    expire_after: int | None = None
    """After as many seconds without a message Home Assistant takes a sensor for unavailable."""
    prometheus: str | None = None
    webhook: str | None = None
    webhook_secret: str | None = None
    webhook_ca_file: str | None = None
    spool: str | None = None
    spool_octets: int = SpoolLimits().octets
    spool_age: float = SpoolLimits().age
    spool_when_full_wait: bool = False
    """Stop reading when the spool is full, in place of dropping the oldest."""


def outputs_from(options: DeliveryOptions, *, terminal: TextIO | None = None) -> list[Output]:
    """The outputs that are asked for; the table when none is. ValueError or MissingExtra say what is to be mended."""
    outputs: list[Output] = []
    if options.json is not None:
        from cosemic.delivery.json_lines import JsonLinesOutput

        outputs.append(JsonLinesOutput(_file(options.json), sync=options.sync))
    if options.csv is not None:
        from cosemic.delivery.csv_files import CsvOutput

        outputs.append(CsvOutput(_file(options.csv), sync=options.sync))
    if options.sqlite is not None:
        from cosemic.delivery.sqlite_files import SqliteOutput

        outputs.append(SqliteOutput(Path(options.sqlite)))
    if options.mqtt is not None:
        outputs.append(_mqtt(options))
    if options.prometheus is not None:
        outputs.append(_prometheus(options.prometheus))
    if options.webhook is not None:
        from cosemic.delivery.webhook import WebhookOutput

        secret, ca_file = options.webhook_secret, options.webhook_ca_file
        outputs.append(WebhookOutput(options.webhook, secret=secret, ca_file=ca_file))
    if options.table or not outputs:
        from cosemic.delivery.tables import TableOutput

        outputs.insert(0, TableOutput(terminal))
    return outputs


def pipeline_from(options: DeliveryOptions, outputs: list[Output]) -> Pipeline:
    """The pipeline to these outputs, with a spool where one is asked for; to be used with ``async with``."""
    spool = None
    if options.spool is not None:
        spool = Spool(Path(options.spool), SpoolLimits(octets=options.spool_octets, age=options.spool_age))
    limits = PipelineLimits(when_full="wait" if options.spool_when_full_wait else "drop")
    return Pipeline(outputs, spool, limits=limits)


def _mqtt(options: DeliveryOptions) -> Output:
    from cosemic.delivery.home_assistant import Discovery
    from cosemic.delivery.mqtt import MqttOutput
    from cosemic.delivery.mqtt_broker import Broker

    broker = Broker.parse(
        options.mqtt or "",
        # The same each time, and another one on another machine or for other topics.
        options.mqtt_client_id or f"cosemic-{slug(f'{socket.gethostname()} {options.mqtt_prefix}', 40)}",
        user=options.mqtt_user,
        password=options.mqtt_password,
        ca_file=options.mqtt_ca_file,
    )
    discovery = None
    if options.home_assistant is not None:
        discovery = Discovery(options.home_assistant, options.expire_after)
    return MqttOutput(broker, prefix=options.mqtt_prefix, discovery=discovery)


def _prometheus(text: str) -> Output:
    from cosemic.delivery.prometheus import PrometheusOutput

    address, _, port = text.rpartition(":")
    if not port.isdecimal() or int(port) > 0xFFFF:
        raise ValueError(f"metrics are served on PORT or ADDRESS:PORT, not {text!r}")
    return PrometheusOutput(int(port), address.strip("[]") or "127.0.0.1")


def _file(text: str) -> Path | None:
    return None if text == STANDARD_OUTPUT else Path(text)
