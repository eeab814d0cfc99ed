"""Discovery against Home Assistant's rules: every reading of every capture, and what goes with what."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cosemic.delivery.documents import to_document
from cosemic.delivery.home_assistant import Discovery, Kind, kind_of
from cosemic.delivery.names import UNIDENTIFIED, meter_slug, slug
from cosemic.delivery.states import MeterState, MeterStates
from cosemic.push.messages import Push
from cosemic.units import UNIT_SYMBOLS
from tests.delivery.home_assistant import FACTS, check_config, check_value, value_of
from tests.delivery.messages import MOMENT, Received, dropped, energy, reading, undecoded
from tests.push.captures import READABLE, decoder_for, octets_of
from tests.vectors.collection import REASON


def configs_of(message: Received, state: MeterState | None = None) -> list[tuple[str, dict, object]]:
    document = to_document(message)
    state = state or MeterState(meter_slug(document))
    kept = state.take(document)
    values = json.loads(state.text())
    found = []
    for key, value in kept:
        topic, text = Discovery().config(
            state, key, value, state_topic="cosemic/x/state", status_topic="cosemic/status"
        )
        config = json.loads(text)
        found.append((topic, config, value_of(config, values)))
    return found


@pytest.mark.skipif(not READABLE, reason=REASON)
@pytest.mark.parametrize("case", READABLE, ids=lambda case: case["name"])
def test_every_reading_of_every_capture_keeps_the_rules(case) -> None:
    decoder = decoder_for(case)
    items = [item for item in decoder.feed(octets_of(case)) + decoder.end() if isinstance(item, Push)]
    assert items
    for item in items:
        found = configs_of(Received(datetime.now(UTC), "file", item))
        assert len(found) == len(item.readings)
        for topic, config, value in found:
            check_config(topic, config)
            if value is not None:
                check_value(config, value)
        assert len({config["unique_id"] for _, config, _ in found}) == len(
            {(value.obis, value.attribute, value.name if value.obis is None else "") for value in item.readings}
        )


def test_every_unit_of_the_standard_keeps_the_rules() -> None:
    for symbol in {*UNIT_SYMBOLS.values(), "kWh", "MWh", "kvarh", "kW", "kvar", "kVA", "kVAh", "GJ", "kV", "Nm³", "€"}:
        for code in ("1-0:1.8.0", "1-0:16.8.0", "1-0:1.29.0", "1-0:1.7.0", "7-0:3.0.0", "0-1:24.2.1"):
            push = Push(
                "data-notification", (reading("Some value", code, Decimal("1.5"), symbol, -1),), energy().item.telegram
            )
            for topic, config, value in configs_of(Received(MOMENT, "file", push)):
                check_config(topic, config)
                check_value(config, value)


@pytest.mark.parametrize(
    ("code", "unit", "kind"),
    [
        ("1-0:1.8.0", "Wh", Kind("energy", "total_increasing", "Wh")),
        ("1-0:2.8.1", "kWh", Kind("energy", "total_increasing", "kWh")),
        ("1-0:16.8.0", "Wh", Kind("energy", "total", "Wh")),
        ("1-0:1.29.0", "Wh", Kind("energy", None, "Wh")),
        ("1-0:3.8.0", "varh", Kind("reactive_energy", "total_increasing", "varh")),
        ("1-0:9.8.0", "VAh", Kind(None, "total_increasing", "VAh")),
        ("1-0:1.7.0", "W", Kind("power", "measurement", "W")),
        ("1-0:3.7.0", "var", Kind("reactive_power", "measurement", "var")),
        ("1-0:9.7.0", "VA", Kind("apparent_power", "measurement", "VA")),
        ("1-0:32.7.0", "V", Kind("voltage", "measurement", "V")),
        ("1-0:31.7.0", "A", Kind("current", "measurement", "A")),
        ("1-0:14.7.0", "Hz", Kind("frequency", "measurement", "Hz")),
        ("1-0:13.7.0", "", Kind("power_factor", "measurement")),
        ("7-0:3.0.0", "m³", Kind("gas", "total_increasing", "m³")),
        ("8-0:1.0.0", "m³", Kind("water", "total_increasing", "m³")),
        ("6-0:1.0.0", "J", Kind("energy", "total_increasing", "J")),
        ("0-0:96.7.21", "", Kind(None, "measurement", is_diagnostic=True)),
        ("0-0:96.8.0", "h", Kind("duration", None, "h", is_diagnostic=True)),
    ],
)
def test_what_goes_with_what(code: str, unit: str, kind: Kind) -> None:
    push = Push("data-notification", (reading("Value", code, Decimal("1.5"), unit, -1),), energy().item.telegram)
    document = to_document(Received(MOMENT, "file", push))
    assert kind_of(document["readings"][0], document) == kind


@pytest.mark.parametrize(
    ("medium", "device_class"), [(3, "gas"), (7, "water"), (6, "water"), (4, "volume"), (2, "volume")]
)
def test_the_type_of_a_device_behind_the_meter_says_what_its_volume_is(medium: int, device_class: str) -> None:
    readings = (reading("Device type", "0-2:24.1.0", medium), reading("Value", "0-2:24.2.1", Decimal(7), "m³", -3))
    push = Push("p1-text", readings, energy().item.telegram, meter="cellar")
    _, (topic, config, _) = configs_of(Received(MOMENT, "file", push))
    check_config(topic, config)
    assert config["device_class"] == device_class
    assert config["device"]["via_device"] == "cosemic_cellar"
    assert config["device"]["identifiers"] == ["cosemic_cellar_2"]
    assert topic == "homeassistant/sensor/cosemic_cellar_2/0_2_24_2_1_255/config"


def test_a_whole_configuration() -> None:
    (topic, config, value), *_ = configs_of(energy(5))
    del config["origin"]["sw_version"]
    assert topic == "homeassistant/sensor/cosemic_cellar/1_0_1_8_0_255/config"
    assert value == 1234572
    assert config == {
        "name": "Active energy import",
        "unique_id": "cosemic_cellar_1_0_1_8_0_255",
        "default_entity_id": "sensor.cellar_active_energy_import",
        "state_topic": "cosemic/x/state",
        "value_template": "{{ value_json['readings']['active_energy_import'] }}",
        "availability_topic": "cosemic/status",
        "payload_available": "online",
        "payload_not_available": "offline",
        "device": {
            "identifiers": ["cosemic_cellar"],
            "name": "cellar",
            "manufacturer": "KFM",
            "serial_number": "KFM0000001",
        },
        "origin": {"name": "cosemic"},
        "device_class": "energy",
        "state_class": "total_increasing",
        "unit_of_measurement": "Wh",
        "suggested_display_precision": 0,
    }


def test_hostile_names_stay_within_the_rules() -> None:
    dice = random.Random(7)
    letters = "aZ9 _-./+#$\0\n\x1b\"'{}%äß漢\u202e\ud800"
    for _ in range(500):
        name = "".join(dice.choice(letters) for _ in range(dice.randrange(80)))
        value = "".join(dice.choice(letters) for _ in range(dice.randrange(600)))
        push = Push("p1-text", (reading(name, "0-0:96.1.0", value),), energy().item.telegram, meter=name or None)
        for topic, config, shown in configs_of(Received(MOMENT, "file", push)):
            check_config(topic, config)
            check_value(config, shown)


def test_names_are_short_safe_and_differ() -> None:
    assert slug("Active energy import") == "active_energy_import"
    assert slug("cellar") == slug("Cellar") == "cellar"
    names = ["a/b", "a+b", "ä", "ö", "漢", "", "/", "a" * 61, "a" * 62, "a.b", "a#b", "é", "a\nb"]
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    for short in slugs:
        assert short
        assert len(short) <= 60
        assert set(short) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")


def test_what_is_not_understood_makes_no_streams_of_its_own() -> None:
    assert meter_slug(to_document(undecoded())) == UNIDENTIFIED
    assert meter_slug(to_document(dropped())) == UNIDENTIFIED
    assert meter_slug(to_document(energy())) == "cellar"
    assert meter_slug(to_document(energy(meter=None))) == "kfm0000001"
    bare = Push("data-notification", energy().item.readings, energy().item.telegram)
    first = meter_slug(to_document(Received(MOMENT, "tcp://192.0.2.7:50123", bare)))
    assert first == meter_slug(to_document(Received(MOMENT, "tcp://192.0.2.7:50124", bare)))
    assert first != meter_slug(to_document(Received(MOMENT, "tcp://192.0.2.8:50124", bare)))


def test_a_state_has_the_newest_of_every_reading() -> None:
    state = MeterState("cellar")
    state.take(to_document(energy(1)))
    few = Push(
        "data-notification", (reading("Active power import", "1-0:1.7.0", Decimal(9), "W", 0),), energy().item.telegram
    )
    state.take(to_document(Received(MOMENT, "file", few), identity="second"))
    found = json.loads(state.text())
    assert found["id"] == "second"
    assert found["readings"] == {"active_energy_import": 1234568, "active_power_import": 9, "voltage_l1": 230.2}


def test_two_readings_of_one_name_have_names_of_their_own() -> None:
    readings = (
        reading("Voltage", "1-0:32.7.0", Decimal(1), "V", 0),
        reading("Voltage", "1-0:52.7.0", Decimal(2), "V", 0),
    )
    found = configs_of(Received(MOMENT, "file", Push("p1-text", readings, energy().item.telegram, meter="cellar")))
    assert [value for _, _, value in found] == [1, 2]
    assert len({topic for topic, _, _ in found}) == 2


def test_a_state_that_was_retained_is_gone_on_with() -> None:
    before = MeterState("cellar")
    before.take(to_document(energy(1)))
    after = MeterState("cellar")
    assert after.restore(before.text().encode()) == before.last
    few = Push(
        "data-notification", (reading("Active power import", "1-0:1.7.0", Decimal(9), "W", 0),), energy().item.telegram
    )
    after.take(to_document(Received(MOMENT, "file", few)))
    assert json.loads(after.text())["readings"]["active_energy_import"] == 1234568
    for rubbish in (b"", b"{", b"[]", b"\xff", b'{"id": 5, "readings": []}', b"[" * 100_000):
        assert MeterState("cellar").restore(rubbish) is None


def test_states_are_bounded() -> None:
    states = MeterStates(most=3)
    for name in ("a", "b", "c", "a", "d"):
        states.named(name)
    assert len(states) == 3
    assert "a" in states._states
    assert "b" not in states._states


def test_the_facts_name_their_version() -> None:
    assert FACTS["version"].count(".") == 2
