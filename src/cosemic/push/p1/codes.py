"""What the codes of a P1 text stand for: their names, and whether what is in brackets is a number or a text."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from cosemic.obis import ObisCode

_CACHE_SIZE: Final = 1024
_LONGEST_CODE: Final = 32

MEDIA: Final = {
    2: "electricity", 3: "gas", 4: "heat", 6: "warm water", 7: "water", 8: "heat cost", 9: "compressed air",
    10: "cooling", 11: "cooling", 12: "heat", 13: "heat and cooling", 21: "hot water", 22: "cold water",
}  # fmt: skip
"""What a device behind the meter measures, by its type in ``0-n:24.1.0`` (EN 13757-3, device types)."""

UNITS: Final = {
    "wh": "Wh", "kwh": "kWh", "w": "W", "kw": "kW", "varh": "varh", "kvarh": "kvarh", "var": "var", "kvar": "kvar",
    "vah": "VAh", "kvah": "kVAh", "va": "VA", "kva": "kVA", "v": "V", "kv": "kV", "a": "A", "ka": "kA", "hz": "Hz",
    "khz": "kHz", "m3": "m³", "m³": "m³", "dm3": "l", "dm³": "l", "gj": "GJ", "j": "J", "s": "s", "min": "min",
    "kWh": "kWh", "kW": "kW", "V": "V", "A": "A", "m3/h": "m³/h", "m³/h": "m³/h", "degc": "°C", "°c": "°C",
}  # fmt: skip
"""Units as we write them, by how a text writes them in small letters. What is not here stays as it is."""


_NAMES: Final = {
    "1-3:0.2.8*255": "Version of the P1 text",
    "0-0:96.1.4*255": "Version of the P1 text",
    "0-0:96.1.1*255": "Equipment identifier",
}
"""Where the P1 rules give a code a meaning of their own."""


class Form(enum.Enum):
    """What is in the brackets behind a code."""

    NUMBER = enum.auto()
    TEXT = enum.auto()
    IDENTIFIER = enum.auto()
    """A text in ASCII, written as hexadecimal octets by most meters and as it is by some."""
    MESSAGE = enum.auto()
    """The same in any letters."""
    CLOCK = enum.auto()
    PROFILE = enum.auto()
    """The profile of DSMR 2 and 3: time, status, minutes, columns, a code and a unit for each of them, values."""


@dataclass(frozen=True, slots=True)
class Code:
    """One code. ``obis`` is None where the text has no whole OBIS code; ``device`` is the M-Bus channel, or 0."""

    name: str
    obis: ObisCode | None = None
    form: Form = Form.NUMBER
    device: int = 0
    is_number: bool = True
    """Whether digits without a unit are a number; where they are not, zeros in front count."""
    is_device_type: bool = False
    is_device_value: bool = False


KNOWN: dict[str, Code] = {}
"""Codes seen before, bounded, as a peer chooses what they are."""


def find_code(text: str) -> Code:
    """The code as it stands in the text, such as ``1-0:1.8.0`` or ``1-0:1.8.0*255``."""
    code = KNOWN.get(text)
    if code is None:
        code = _make(text)
        if len(KNOWN) < _CACHE_SIZE and len(text) <= _LONGEST_CODE:
            KNOWN[text] = code
    return code


def _make(text: str) -> Code:
    try:
        obis = ObisCode.parse(text)
    except ValueError:
        return Code(text)
    a, b, c, d, e, _ = obis.octets
    device = b if a == 0 and b and (c == 24 or (c == 96 and d == 1)) else 0
    form = _form(a, c, d, e)
    return Code(
        _NAMES.get(str(obis)) or obis.describe() or text,
        obis,
        form,
        device,
        is_number=form in (Form.NUMBER, Form.PROFILE),
        is_device_type=bool(device) and (c, d) == (24, 1),
        is_device_value=bool(device) and c == 24 and d in (2, 3),
    )


def _form(a: int, c: int, d: int, e: int) -> Form:
    if (c, d) == (96, 1):
        # 0-0:96.1.4 is the version of the Belgian and Swiss text, of five digits.
        return Form.TEXT if e == 4 else Form.IDENTIFIER
    if (c, d) == (96, 13):
        return Form.MESSAGE
    if a == 0:
        form = _ABSTRACT.get((c, d))
        if form is not None:
            return form
    if (c == 0 and d in (0, 2, 9)) or (c, d) in ((96, 5), (96, 14), (97, 97), (97, 98)):  # 96.5: states, hexadecimal
        return Form.TEXT
    return Form.NUMBER


_ABSTRACT: Final = {(0, 0): Form.IDENTIFIER, (42, 0): Form.IDENTIFIER, (1, 0): Form.CLOCK, (24, 3): Form.PROFILE}
