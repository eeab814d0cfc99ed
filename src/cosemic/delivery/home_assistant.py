"""Discovery for Home Assistant over MQTT: one retained configuration for each reading of a meter.

What goes with what (a device class, its units and state classes) is that of Home Assistant's sensor integration; the
tests hold every configuration against its constants.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from cosemic.delivery.documents import Document, ReadingDocument, manufacturer_of
from cosemic.delivery.exact_json import Plain, dumps
from cosemic.delivery.names import code_slug
from cosemic.delivery.states import MeterState
from cosemic.obis import ObisCode


@dataclass(frozen=True, slots=True)
class Kind:
    """What Home Assistant is told of a value: its classes, its unit as written there, whether it is a side matter."""

    device_class: str | None = None
    state_class: str | None = None
    unit: str | None = None
    is_diagnostic: bool = False


@dataclass(frozen=True, slots=True)
class Discovery:
    """``prefix`` is where Home Assistant listens; ``expire_after`` seconds make a sensor unavailable, None never."""

    prefix: str = "homeassistant"
    expire_after: int | None = None

    @property
    def status_topic(self) -> str:
        """Where Home Assistant says that it has started."""
        return f"{self.prefix}/status"

    def config(
        self, meter: MeterState, key: str, reading: ReadingDocument, *, state_topic: str, status_topic: str
    ) -> tuple[str, str]:
        """The topic and the content for one reading of a meter.

        ``key`` is its name in the state, ``state_topic`` and ``status_topic`` the topics of its values and of us.
        """
        code = code_slug(reading)
        node = f"cosemic_{meter.meter}" + (f"_{reading['device']}" if reading["device"] else "")
        device = _device(meter, reading)
        content: dict[str, Plain] = {
            "name": _name(reading["name"] or key, str(device["name"])),
            "unique_id": f"cosemic_{meter.meter}_{code}",
            "default_entity_id": f"sensor.{meter.meter}_{key}",
            "state_topic": state_topic,
            "value_template": f"{{{{ value_json['readings']['{key}']{_CUT if _is_text(reading) else ''} }}}}",
            "availability_topic": status_topic,
            "payload_available": "online",
            "payload_not_available": "offline",
            "device": device,
            "origin": dict(_ORIGIN),
        }
        kind = kind_of(reading, meter.document)
        if kind.device_class is not None:
            content["device_class"] = kind.device_class
        if kind.state_class is not None:
            content["state_class"] = kind.state_class
        if kind.unit is not None:
            content["unit_of_measurement"] = kind.unit
        if kind.is_diagnostic:
            content["entity_category"] = "diagnostic"
        if (kind.unit or kind.state_class) and reading["scaler"] is not None:
            content["suggested_display_precision"] = max(0, min(-reading["scaler"], 9))
        if self.expire_after is not None:
            content["expire_after"] = self.expire_after
        return f"{self.prefix}/sensor/{node}/{code}/config", dumps(content)


def kind_of(reading: ReadingDocument, document: Document | None = None) -> Kind:
    """What a reading is to Home Assistant. ``document`` is its message, which may tell what a device measures."""
    unit, value = reading["unit"], reading["value"]
    if isinstance(value, bool) or value is None or isinstance(value, str | list | dict):
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            return Kind("timestamp", is_diagnostic=True)
        return Kind(is_diagnostic=True)
    code = _code(reading)
    if unit in _VOLUMES:
        return Kind(_volume_class(reading, code, document), "total_increasing", _VOLUMES[unit])
    if unit in _TOTALS:
        device_class = _TOTALS[unit]
        return Kind(device_class, _total_class(code, device_class), unit)
    if unit in _MEASURES:
        device_class, written, is_diagnostic = _MEASURES[unit]
        return Kind(device_class, None if device_class == "duration" else "measurement", written, is_diagnostic)
    if not unit:
        if code is not None and code.octets[0] == 1 and code.octets[2] in _POWER_FACTORS and code.octets[3] in _PRESENT:
            return Kind("power_factor", "measurement")
        return Kind(state_class="measurement" if reading["scaler"] is not None else None, is_diagnostic=True)
    return Kind(state_class="measurement", unit=_printable(unit))


def _total_class(code: ObisCode | None, device_class: str | None) -> str | None:
    """How a total behaves: the sum of both directions falls too, and energy within an interval is no total at all."""
    if code is None or code.octets[0] != 1:
        return "total_increasing"
    quantity, processing = code.octets[2], code.octets[3]
    if processing in _WITHIN_AN_INTERVAL:
        return None if device_class is not None else "measurement"
    return "total" if quantity in _NET else "total_increasing"


def _volume_class(reading: ReadingDocument, code: ObisCode | None, document: Document | None) -> str:
    medium = None if code is None else _MEDIA.get(code.octets[0])
    if medium is None and code is not None and document is not None:
        medium = _device_medium(document, code.octets[1])
    if medium is None:
        words = set(re.split(r"[^a-z]+", reading["name"].lower()))
        medium = next((word for word in ("gas", "water") if word in words), "volume")
    return medium


def _device_medium(document: Document, channel: int) -> str | None:
    """What a device behind the meter measures, where the message has its type (EN 13757-3) beside the value."""
    for other in document["readings"]:
        code = _code(other)
        if code is not None and code.octets[:5] == bytes((0, channel, 24, 1, 0)):
            try:
                return _DEVICE_TYPES.get(int(str(other["value"])))
            except ValueError:
                return None
    return None


def _device(meter: MeterState, reading: ReadingDocument) -> dict[str, Plain]:
    identity = meter.identity
    name = _printable(identity.name or identity.meter_id or identity.system_title or meter.meter)
    identifier = f"cosemic_{meter.meter}"
    if reading["device"]:
        channel = reading["device"]
        return {
            "identifiers": [f"{identifier}_{channel}"],
            "name": f"{name} channel {channel}",
            "via_device": identifier,
        }
    device: dict[str, Plain] = {"identifiers": [identifier], "name": name}
    manufacturer = manufacturer_of(identity.system_title)
    if manufacturer is not None:
        device["manufacturer"] = manufacturer
    if identity.meter_id:
        device["serial_number"] = _printable(identity.meter_id)
    return device


def _code(reading: ReadingDocument) -> ObisCode | None:
    return None if reading["obis"] is None else ObisCode.parse(reading["obis"])


def _is_text(reading: ReadingDocument) -> bool:
    return isinstance(reading["value"], str | list | dict)


def _name(text: str, device: str) -> str:
    """The name of a sensor; Home Assistant puts that of its device in front, and does not like to find it there."""
    name = _printable(text)
    return (name.removeprefix(device).strip() or "value") if name.startswith(device) else name


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)[:200].strip() or "-"


def _own_version() -> str:
    try:
        return version("cosemic")
    except PackageNotFoundError:
        return "0"


_CUT: Final = " | string | truncate(255, true, '', 0)"
"""Home Assistant takes no state of more than 255 characters."""
_ORIGIN: Final[dict[str, Plain]] = {"name": "cosemic", "sw_version": _own_version()}
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_TOTALS: Final[dict[str, str | None]] = {
    **dict.fromkeys(("Wh", "kWh", "MWh", "GWh", "J", "kJ", "MJ", "GJ"), "energy"),
    **dict.fromkeys(("varh", "kvarh"), "reactive_energy"),
    **dict.fromkeys(("VAh", "kVAh", "Ah"), None),
}
_VOLUMES: Final = {"m³": "m³", "l": "L", "ft³": "ft³"}
_MEASURES: Final[dict[str, tuple[str | None, str, bool]]] = {
    **{unit: ("power", unit, False) for unit in ("W", "kW", "MW")},
    **{unit: ("reactive_power", unit, False) for unit in ("var", "kvar")},
    **{unit: ("apparent_power", unit, False) for unit in ("VA", "kVA")},
    **{unit: ("voltage", unit, False) for unit in ("V", "mV", "kV")},
    **{unit: ("current", unit, False) for unit in ("A", "mA")},
    **{unit: ("frequency", unit, False) for unit in ("Hz", "kHz")},
    **{unit: ("temperature", unit, False) for unit in ("°C", "°F", "K")},
    **{unit: ("pressure", unit, False) for unit in ("Pa", "bar")},
    **{unit: ("duration", unit, True) for unit in ("s", "min", "h", "d")},
    "m³/h": ("volume_flow_rate", "m³/h", False),
    "l/h": ("volume_flow_rate", "L/h", False),
    "kg": ("weight", "kg", False),
    "m/s": ("speed", "m/s", False),
    "dBm": ("signal_strength", "dBm", True),
}
_MEDIA: Final = {7: "gas", 8: "water", 9: "water"}
"""Value group A of the codes of other meters (IEC 62056-6-1)."""
_DEVICE_TYPES: Final = {3: "gas", 6: "water", 7: "water", 21: "water", 22: "water"}
_POWER_FACTORS: Final = (13, 33, 53, 73, 84, 85, 86, 87)
_PRESENT: Final = (4, 5, 7, 24, 25, 27)
_NET: Final = (16, 36, 56, 76)
_WITHIN_AN_INTERVAL: Final = (29, 30, 19, 20)
