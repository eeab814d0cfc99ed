"""Names: what an object is, from its class and its OBIS code, and what an attribute or method is called.

The patterns behind the names are data, read when a code of their medium is first asked for: see ``cosemic.obis_names``.
"""

from __future__ import annotations

from cosemic import obis_names
from cosemic.cosem.model import interface_class
from cosemic.obis import ObisCode
from cosemic.obis_names import Entry, Found, search

__all__ = ["Entry", "Found", "attribute_target", "describe", "look_up", "method_target", "search"]


def describe(obis: ObisCode | str) -> str:
    """What an OBIS code stands for, e.g. ``Active energy import (+A) total``."""
    return obis_names.describe(bytes(ObisCode.parse(obis)))


def look_up(obis: ObisCode | str) -> Entry:
    """All that the catalogue says of an OBIS code: name, medium, usual unit and classes, pattern, sources.

    The pattern that fits the fewest codes wins. Raises ValueError for a text that is no OBIS code.
    """
    return obis_names.look_up(bytes(ObisCode.parse(obis)))


def attribute_target(class_id: int, obis: ObisCode, attribute: int) -> str:
    """An attribute for people: ``3/1-0:1.8.0*255/2 (Register value: Active energy import (+A) total)``."""
    declaration = interface_class(class_id)
    name = f"{declaration.name} {declaration.attribute_name(attribute)}"
    return f"{class_id}/{obis}/{attribute} ({name}: {describe(obis)})"


def method_target(class_id: int, obis: ObisCode, method: int) -> str:
    """A method for people: ``8/0-0:1.0.0*255/1 (Clock adjust_to_quarter: Clock)``."""
    declaration = interface_class(class_id)
    name = f"{declaration.name} {declaration.method_name(method)}"
    return f"{class_id}/{obis}/{method} ({name}: {describe(obis)})"
