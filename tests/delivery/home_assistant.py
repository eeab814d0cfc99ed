"""Home Assistant's published rules for sensors that are discovered over MQTT, as a check of configurations.

The facts (classes, units, keys) are those of the version that ``home_assistant_facts.json`` names.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "home_assistant_facts.json").read_text())
_KEY = re.compile(r"\{\{ value_json\['readings'\]\['([a-z0-9_]+)'\]( \| string \| truncate\(255, true, '', 0\))? \}\}")


def check_config(topic: str, config: dict[str, Any]) -> None:
    """Everything that Home Assistant would refuse, complain of, or quietly do without."""
    found = re.fullmatch(FACTS["discovery_topic"], topic.removeprefix("homeassistant/"))
    assert found, topic
    assert found[1] == "sensor"
    assert set(config) <= set(FACTS["sensor_keys"]), topic
    for key in ("name", "unique_id", "default_entity_id", "state_topic", "value_template", "availability_topic"):
        assert isinstance(config[key], str), key
        assert config[key], key
    for key in ("state_topic", "availability_topic"):
        assert not set(config[key]) & set("+#\0")
    assert re.fullmatch(r"sensor\.[a-z0-9_]+", config["default_entity_id"])
    assert "__" not in config["default_entity_id"]
    _check_device(config)
    _check_classes(config)
    assert config.get("entity_category") in (None, "diagnostic")  # config is not for sensors
    precision = config.get("suggested_display_precision", 0)
    assert isinstance(precision, int)
    assert precision >= 0
    if "expire_after" in config:
        assert isinstance(config["expire_after"], int)
        assert config["expire_after"] > 0


def _check_device(config: dict[str, Any]) -> None:
    device, origin = config["device"], config["origin"]
    assert set(device) <= set(FACTS["device_keys"])
    assert device["identifiers"]
    assert all(isinstance(identifier, str) for identifier in device["identifiers"])
    assert all(isinstance(value, str) for key, value in device.items() if key != "identifiers")
    assert not config["name"].startswith(device["name"])  # it is put in front by Home Assistant
    assert set(origin) <= set(FACTS["origin_keys"])
    assert origin["name"] == "cosemic"


def _check_classes(config: dict[str, Any]) -> None:
    device_class, state_class = config.get("device_class"), config.get("state_class")
    unit = config.get("unit_of_measurement")
    assert unit is None or unit.strip()
    assert state_class is None or state_class in FACTS["state_classes"]
    if device_class is None:
        return
    assert device_class in FACTS["device_classes"]
    if device_class in FACTS["device_class_units"]:
        assert unit in FACTS["device_class_units"][device_class], (device_class, unit)
    if device_class in FACTS["non_numeric_device_classes"]:
        assert unit is None
        assert state_class is None
    if state_class is not None:
        assert state_class in FACTS["device_class_state_classes"][device_class], (device_class, state_class)


def value_of(config: dict[str, Any], state: dict[str, Any]) -> Any:
    """What the template of a configuration gives for a state."""
    found = _KEY.fullmatch(config["value_template"])
    assert found, config["value_template"]
    value = state["readings"][found[1]]
    return str(value)[:255] if found[2] else value


def check_value(config: dict[str, Any], value: Any) -> None:
    """That a value is one that Home Assistant takes for such a sensor."""
    is_numeric = (
        config.get("device_class") not in (None, *FACTS["non_numeric_device_classes"])
        or "state_class" in config
        or "unit_of_measurement" in config
    )
    if is_numeric:
        assert isinstance(value, int | float), (config, value)
        assert not isinstance(value, bool)
    assert len(str(value)) <= FACTS["longest_state"]
    if config.get("device_class") == "timestamp":
        assert re.fullmatch(r".*(Z|[+-]\d\d:\d\d)", value)
