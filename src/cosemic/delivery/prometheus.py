"""Prometheus: the newest values of each meter, and counters of messages and errors, on a port to be scraped."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from cosemic.delivery.documents import Document, ReadingDocument
from cosemic.delivery.names import code_slug, meter_slug
from cosemic.delivery.outputs import OutputUnavailable, Record
from cosemic.errors import MissingExtra

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_log = logging.getLogger("cosemic.delivery")

METERS: Final = 10_000
"""As many meters have series, those heard last."""
READINGS: Final = 100
"""As many readings of one meter have a series."""


@dataclass(slots=True)
class _Meter:
    heard: float
    values: dict[tuple[str, str, str, str], float] = field(default_factory=dict)
    """By the name of the metric, the code, the name and the device."""


class PrometheusOutput:
    """Serves ``/metrics`` on ``address`` and ``port`` (0 takes a free one; see ``port`` afterwards) while it is open.

    Nothing is kept for a scrape that does not come: a scrape sees what is newest then.
    """

    def __init__(self, port: int, address: str = "127.0.0.1", *, clock: Callable[[], float] = time.time) -> None:
        try:
            import prometheus_client  # noqa: F401 - better told now than at the first message
        except ImportError:
            raise MissingExtra("prometheus", "metrics for Prometheus") from None
        self.address = address
        self.port = port
        self.name = f"prometheus:{address}:{port}"
        self._clock = clock
        self._lock = threading.Lock()
        self._meters: OrderedDict[str, _Meter] = OrderedDict()
        self._messages: Counter[tuple[str, str]] = Counter()
        self._errors: Counter[str] = Counter()
        self._left_out = 0
        self._close_server: Callable[[], None] | None = None

    async def deliver(self, batch: Sequence[Record]) -> None:
        """Take the values in; OutputUnavailable while the port cannot be had."""
        if self._close_server is None:
            await asyncio.to_thread(self._serve)
        with self._lock:
            for record in batch:
                self._take(record.document)

    async def close(self) -> None:
        """Give the port back."""
        if self._close_server is not None:
            close, self._close_server = self._close_server, None
            await asyncio.to_thread(close)

    def collect(self) -> Iterator[Metric]:
        """The metrics, as the registry of prometheus-client asks for them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        now = self._clock()
        with self._lock:
            meters = [(name, meter.heard, dict(meter.values)) for name, meter in self._meters.items()]
            messages, errors, left_out = dict(self._messages), dict(self._errors), self._left_out
        received = CounterMetricFamily("cosemic_messages", "Messages that were received.", labels=("meter", "kind"))
        for (name, kind), count in messages.items():
            received.add_metric((name, kind), count)
        yield received
        failed = CounterMetricFamily(
            "cosemic_errors", "Messages without readings, by the reason.", labels=("diagnosis",)
        )
        for diagnosis, count in errors.items():
            failed.add_metric((diagnosis,), count)
        yield failed
        dropped = CounterMetricFamily("cosemic_series_left_out", "Readings for which there was no series.")
        dropped.add_metric((), left_out)
        yield dropped
        age = GaugeMetricFamily("cosemic_message_age_seconds", "Time since the last message.", labels=("meter",))
        for name, heard, _ in meters:
            age.add_metric((name,), max(0.0, now - heard))
        yield age
        yield from _values(meters)

    def _serve(self) -> None:
        from prometheus_client import CollectorRegistry, start_http_server

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)  # type: ignore[arg-type, unused-ignore]
        try:
            server, thread = start_http_server(self.port, self.address, registry)
        except OSError as error:
            text = f"port {self.port} of {self.address} cannot be had: {error.strerror or error}"
            raise OutputUnavailable(text) from None
        self.port = server.server_port
        host = f"[{self.address}]" if ":" in self.address else self.address
        _log.warning("metrics are served on http://%s:%d/metrics", host, self.port)  # port 0 is told nowhere else

        def close() -> None:
            server.shutdown()
            server.server_close()
            thread.join(5.0)

        self._close_server = close

    def _take(self, document: Document) -> None:
        name = meter_slug(document)
        self._messages[name, document["kind"]] += 1
        if document["error"] is not None:
            self._errors[document["diagnosis"] or "unknown"] += 1
        meter = self._meters.pop(name, None)
        if meter is None:
            meter = _Meter(0.0)
            if len(self._meters) >= METERS:
                oldest, _ = self._meters.popitem(last=False)
                for key in [key for key in self._messages if key[0] == oldest]:
                    del self._messages[key]
        self._meters[name] = meter
        meter.heard = datetime.fromisoformat(document["received"]).timestamp()
        for reading in document["readings"]:
            self._take_reading(meter, reading)

    def _take_reading(self, meter: _Meter, reading: ReadingDocument) -> None:
        value = reading["value"]
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            return
        metric, factor = metric_of(reading["unit"])
        key = (metric, reading["obis"] or code_slug(reading), reading["name"], str(reading["device"]))
        if key not in meter.values and len(meter.values) >= READINGS:
            self._left_out += 1
            return
        meter.values[key] = float(Decimal(str(value)) * factor) if factor != 1 else float(value)


def metric_of(unit: str) -> tuple[str, Decimal]:
    """The name of the metric for a unit, and what to multiply by: Prometheus wants base units, named in plural."""
    known = _UNITS.get(unit)
    if known is not None:
        quantity, name, factor = known
        return f"cosemic_{quantity}_{name}" if name else f"cosemic_{quantity}", factor
    if not unit:
        return "cosemic_value", _ONE
    return f"cosemic_value_{_NOT_IN_NAMES.sub('_', unit.lower()).strip('_') or 'other'}", _ONE


def _values(meters: Iterable[tuple[str, float, dict[tuple[str, str, str, str], float]]]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    families: dict[str, GaugeMetricFamily] = {}
    for name, _, values in meters:
        for (metric, obis, words, device), value in values.items():
            family = families.get(metric)
            if family is None:
                text = (
                    f"Readings in {metric.rpartition('_')[2]}."
                    if metric != "cosemic_value"
                    else "Readings without a unit."
                )
                family = families[metric] = GaugeMetricFamily(metric, text, labels=("meter", "obis", "name", "device"))
            family.add_metric((name, obis, words, device), value)
    yield from families.values()


_ONE: Final = Decimal(1)
_KILO: Final = Decimal(1000)
_NOT_IN_NAMES: Final = re.compile(r"[^a-z0-9]+")
_UNITS: Final[dict[str, tuple[str, str, Decimal]]] = {
    "Wh": ("energy", "watt_hours", _ONE),
    "kWh": ("energy", "watt_hours", _KILO),
    "MWh": ("energy", "watt_hours", _KILO * _KILO),
    "J": ("energy", "joules", _ONE),
    "MJ": ("energy", "joules", Decimal(10) ** 6),
    "GJ": ("energy", "joules", Decimal(10) ** 9),
    "varh": ("reactive_energy", "var_hours", _ONE),
    "kvarh": ("reactive_energy", "var_hours", _KILO),
    "VAh": ("apparent_energy", "volt_ampere_hours", _ONE),
    "kVAh": ("apparent_energy", "volt_ampere_hours", _KILO),
    "W": ("power", "watts", _ONE),
    "kW": ("power", "watts", _KILO),
    "var": ("reactive_power", "vars", _ONE),
    "kvar": ("reactive_power", "vars", _KILO),
    "VA": ("apparent_power", "volt_amperes", _ONE),
    "kVA": ("apparent_power", "volt_amperes", _KILO),
    "V": ("voltage", "volts", _ONE),
    "kV": ("voltage", "volts", _KILO),
    "A": ("current", "amperes", _ONE),
    "kA": ("current", "amperes", _KILO),
    "Hz": ("frequency", "hertz", _ONE),
    "m³": ("volume", "cubic_meters", _ONE),
    "l": ("volume", "cubic_meters", Decimal("0.001")),
    "m³/h": ("flow", "cubic_meters_per_hour", _ONE),
    "°C": ("temperature", "celsius", _ONE),
    "K": ("temperature", "kelvin", _ONE),
    "Pa": ("pressure", "pascals", _ONE),
    "bar": ("pressure", "pascals", Decimal(100_000)),
    "s": ("duration", "seconds", _ONE),
    "min": ("duration", "seconds", Decimal(60)),
    "h": ("duration", "seconds", Decimal(3600)),
    "d": ("duration", "seconds", Decimal(86400)),
    "%": ("value", "ratio", Decimal("0.01")),
    "kg": ("mass", "kilograms", _ONE),
    "dBm": ("signal", "dbm", _ONE),
}
