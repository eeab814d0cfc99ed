"""Which country's rules a P1 text follows, by its version fields and by the codes that only one of them has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cosemic.obis import ObisCode
from cosemic.push.messages import PushReading

VERSION: Final = ObisCode.parse("1-3:0.2.8").octets
_SWISS_IMPORT: Final = ObisCode.parse("1-1:1.8.1").octets
_BELGIAN_VERSION: Final = ObisCode.parse("0-0:96.1.4").octets
_EQUIPMENT: Final = ObisCode.parse("0-0:96.1.1").octets
_DEVICE_NAME: Final = ObisCode.LOGICAL_DEVICE_NAME.octets
_IMPORT: Final = ObisCode.ACTIVE_ENERGY_IMPORT_TOTAL.octets
_IMPORT_1: Final = ObisCode.ACTIVE_ENERGY_IMPORT_TARIFF_1.octets
_REACTIVE: Final = ObisCode.REACTIVE_ENERGY_IMPORT_TOTAL.octets
_ABSOLUTE: Final = ObisCode.parse("1-0:15.8.0").octets


def find_dialect(identification: str, found: Mapping[bytes, PushReading]) -> str:
    """The name of the layout. ``identification`` is the first line without its ``/``; ``found`` by logical names."""
    maker = identification[:3].upper()
    if _SWISS_IMPORT in found:
        return "P1 Switzerland"
    if _BELGIAN_VERSION in found or maker == "FLU":
        return "P1 Belgium (eMUCS)"
    version = found.get(VERSION)
    if maker == "EST":
        return "P1 Austria"
    if maker == "LUX" or (version is not None and _DEVICE_NAME in found and _IMPORT in found):
        return "P1 Luxembourg"
    if version is not None and isinstance(version.value, str) and version.value[:1].isdecimal():
        return f"P1 DSMR {version.value[0]}"
    if maker == "ESO":
        return "P1 Lithuania"
    if _DEVICE_NAME in found and _ABSOLUTE in found:
        return "P1 Hungary"
    if _IMPORT_1 in found and _EQUIPMENT in found:
        return "P1 DSMR 2 or 3"
    if _IMPORT in found and _REACTIVE in found and _IMPORT_1 not in found:
        return "P1 Sweden"
    return "P1 text"
