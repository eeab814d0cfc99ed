"""Which country's rules a P1 text follows, by its version fields and by the codes that only one of them has."""

from __future__ import annotations

from collections.abc import Mapping

from cosemic.push.messages import PushReading


def find_dialect(identification: str, found: Mapping[str, PushReading]) -> str:
    """The name of the layout. ``identification`` is the first line without its ``/``; ``found`` has codes in full."""
    maker = identification[:3].upper()
    if "0-0:96.1.4*255" in found or maker == "FLU":
        return "P1 Belgium (eMUCS)"
    version = found.get("1-3:0.2.8*255")
    if maker == "LUX" or (version and "0-0:42.0.0*255" in found and "1-0:1.8.0*255" in found):
        return "P1 Luxembourg"
    if version and isinstance(version.value, str) and version.value[:1].isdecimal():
        return f"P1 DSMR {version.value[0]}"
    if maker == "ESO":
        return "P1 Lithuania"
    if "0-0:42.0.0*255" in found and "1-0:15.8.0*255" in found:
        return "P1 Hungary"
    if "1-0:1.8.1*255" in found and "0-0:96.1.1*255" in found:
        return "P1 DSMR 2 or 3"
    if "1-0:1.8.0*255" in found and "1-0:1.7.0*255" in found and "1-0:3.8.0*255" in found:
        return "P1 Sweden"
    return "P1 text"
