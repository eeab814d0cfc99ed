"""Metrics scraped over HTTP and read with the parser of prometheus-client."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from decimal import Decimal

import pytest

pytest.importorskip("prometheus_client")
from prometheus_client.parser import text_string_to_metric_families

from cosemic.delivery import prometheus
from cosemic.delivery.outputs import OutputUnavailable, Record
from cosemic.delivery.prometheus import PrometheusOutput, metric_of
from cosemic.push.messages import Push
from cosemic.units import UNIT_SYMBOLS
from tests.delivery.messages import MOMENT, Received, dropped, energy, reading, undecoded


async def scrape(output: PrometheusOutput) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    url = f"http://127.0.0.1:{output.port}/metrics"

    def get() -> str:
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert answer.status == 200
            return answer.read().decode()

    text = await asyncio.to_thread(get)
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in found.setdefault(sample.name, {})
            found[sample.name][labels] = sample.value
    return found


def labels(**values: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(values.items()))


async def test_values_messages_errors_and_age() -> None:
    output = PrometheusOutput(0, clock=lambda: MOMENT.timestamp() + 30.5)
    name = output.name
    await output.deliver([])
    assert output.port > 0
    assert output.name == name  # that of the spool
    await output.deliver([Record.of(energy(number, at=MOMENT)) for number in range(5)])
    await output.deliver([Record.of(undecoded()), Record.of(undecoded(1)), Record.of(dropped())])
    found = await scrape(output)
    one = {"meter": "cellar", "device": "0"}
    assert found["cosemic_energy_watt_hours"] == {
        labels(obis="1.0.1.8.0.255", name="Active energy import", **one): 1234571.0
    }
    assert found["cosemic_power_watts"] == {labels(obis="1.0.1.7.0.255", name="Active power import", **one): 349.0}
    assert found["cosemic_voltage_volts"] == {labels(obis="1.0.32.7.0.255", name="Voltage L1", **one): 230.5}
    assert found["cosemic_messages_total"] == {
        labels(meter="cellar", kind="data-notification"): 5.0,
        labels(meter="unidentified", kind="undecoded"): 2.0,
        labels(meter="unidentified", kind="dropped"): 1.0,
    }
    assert found["cosemic_errors_total"] == {labels(diagnosis="key-missing"): 2.0, labels(diagnosis="dropped"): 1.0}
    assert found["cosemic_message_age_seconds"][labels(meter="cellar")] == 30.5
    await output.close()
    with pytest.raises(OSError, match="refused"):
        await scrape(output)


async def test_units_are_base_units() -> None:
    readings = (
        reading("Energy", "1-0:1.8.0", Decimal("12.345"), "kWh", -3),
        reading("Gas", "7-0:3.0.0", Decimal(1500), "l", 0),
        reading("Text", "0-0:96.1.0", "abc"),
        reading("Odd", "1-0:128.7.0", Decimal(5), "Wh/m³", 0),
        reading("Bare", "0-0:96.7.21", Decimal(3), "", 0),
    )
    output = PrometheusOutput(0)
    await output.deliver(
        [Record.of(Received(MOMENT, "file", Push("p1-text", readings, energy().item.telegram, meter="m")))]
    )
    found = {name: list(samples.values()) for name, samples in (await scrape(output)).items()}
    await output.close()
    assert found["cosemic_energy_watt_hours"] == [12345.0]
    assert found["cosemic_volume_cubic_meters"] == [1.5]
    assert found["cosemic_value_wh_m"] == [5.0]
    assert found["cosemic_value"] == [3.0]


def test_every_unit_gives_a_name_that_prometheus_takes() -> None:
    for symbol in [*UNIT_SYMBOLS.values(), "漢", "}{", "1"]:
        name, factor = metric_of(symbol)
        assert name.replace("_", "").isascii()
        assert name.replace("_", "").isalnum()
        assert name.startswith("cosemic_")
        assert factor > 0


async def test_series_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "METERS", 3)
    monkeypatch.setattr(prometheus, "READINGS", 2)
    output = PrometheusOutput(0)
    await output.deliver([Record.of(energy(number, meter=f"m{number}")) for number in range(50)])
    found = await scrape(output)
    await output.close()
    assert {dict(key)["meter"] for key in found["cosemic_messages_total"]} == {"m47", "m48", "m49"}
    assert len(found["cosemic_energy_watt_hours"]) == 3
    assert "cosemic_voltage_volts" not in found
    assert found["cosemic_series_left_out_total"] == {(): 50.0}


async def test_hostile_labels_stay_text() -> None:
    text = 'a"b\\c\nd{}\0é'
    push = Push("p1-text", (reading(text, "1-0:1.7.0", Decimal(1), "W", 0),), energy().item.telegram, meter="m")
    output = PrometheusOutput(0)
    await output.deliver([Record.of(Received(MOMENT, "file", push))])
    (key,) = (await scrape(output))["cosemic_power_watts"]
    await output.close()
    assert dict(key)["name"] == text


async def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        output = PrometheusOutput(other.getsockname()[1])
        with pytest.raises(OutputUnavailable, match="cannot be had"):
            await output.deliver([])
        await output.close()
