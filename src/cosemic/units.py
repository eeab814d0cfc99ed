"""Units of measurement: the codes of the second element of a scaler_unit (IEC 62056-6-2, 4.3.2).

``known(Unit, 30)`` gives ``Unit.WATT_HOUR``; ``unit_symbol(30)`` gives ``"Wh"`` and works for codes that nobody lists.
"""

from __future__ import annotations

import enum


class Unit(enum.IntEnum):
    """Unit codes. ``symbol`` is what to print after a number."""

    YEAR = 1
    MONTH = 2
    WEEK = 3
    DAY = 4
    HOUR = 5
    MINUTE = 6
    SECOND = 7
    DEGREE = 8
    DEGREE_CELSIUS = 9
    CURRENCY = 10
    METRE = 11
    METRE_PER_SECOND = 12
    CUBIC_METRE = 13
    CUBIC_METRE_CORRECTED = 14
    CUBIC_METRE_PER_HOUR = 15
    CUBIC_METRE_PER_HOUR_CORRECTED = 16
    CUBIC_METRE_PER_DAY = 17
    CUBIC_METRE_PER_DAY_CORRECTED = 18
    LITRE = 19
    KILOGRAM = 20
    NEWTON = 21
    NEWTON_METRE = 22
    PASCAL = 23
    BAR = 24
    JOULE = 25
    JOULE_PER_HOUR = 26
    WATT = 27
    VOLT_AMPERE = 28
    VAR = 29
    WATT_HOUR = 30
    VOLT_AMPERE_HOUR = 31
    VAR_HOUR = 32
    AMPERE = 33
    COULOMB = 34
    VOLT = 35
    VOLT_PER_METRE = 36
    FARAD = 37
    OHM = 38
    OHM_SQUARE_METRE_PER_METRE = 39
    WEBER = 40
    TESLA = 41
    AMPERE_PER_METRE = 42
    HENRY = 43
    HERTZ = 44
    ACTIVE_ENERGY_CONSTANT = 45
    REACTIVE_ENERGY_CONSTANT = 46
    APPARENT_ENERGY_CONSTANT = 47
    VOLT_SQUARED_HOUR = 48
    AMPERE_SQUARED_HOUR = 49
    KILOGRAM_PER_SECOND = 50
    SIEMENS = 51
    KELVIN = 52
    VOLT_SQUARED_HOUR_CONSTANT = 53
    AMPERE_SQUARED_HOUR_CONSTANT = 54
    VOLUME_CONSTANT = 55
    PERCENT = 56
    AMPERE_HOUR = 57
    WATT_HOUR_PER_CUBIC_METRE = 60
    JOULE_PER_CUBIC_METRE = 61
    MOLE_PERCENT = 62
    GRAM_PER_CUBIC_METRE = 63
    PASCAL_SECOND = 64
    JOULE_PER_KILOGRAM = 65
    GRAM_PER_SQUARE_CENTIMETRE = 66
    ATMOSPHERE = 67
    DECIBEL_MILLIWATT = 70
    DECIBEL_MICROVOLT = 71
    DECIBEL = 72
    INCH = 128
    FOOT = 129
    POUND = 130
    DEGREE_FAHRENHEIT = 131
    DEGREE_RANKINE = 132
    SQUARE_INCH = 133
    SQUARE_FOOT = 134
    ACRE = 135
    CUBIC_INCH = 136
    CUBIC_FOOT = 137
    ACRE_FOOT = 138
    IMPERIAL_GALLON = 139
    US_GALLON = 140
    POUND_FORCE = 141
    POUND_FORCE_PER_SQUARE_INCH = 142
    POUND_PER_CUBIC_FOOT = 143
    POUND_PER_FOOT_SECOND = 144
    SQUARE_FOOT_PER_SECOND = 145
    BRITISH_THERMAL_UNIT = 146
    THERM_EU = 147
    THERM_US = 148
    BRITISH_THERMAL_UNIT_PER_POUND = 149
    BRITISH_THERMAL_UNIT_PER_CUBIC_FOOT = 150
    OTHER = 254
    COUNT = 255

    @property
    def symbol(self) -> str:
        """What to print after a number; empty for a count."""
        return UNIT_SYMBOLS[self]


UNIT_SYMBOLS: dict[int, str] = {
    1: "a", 2: "mo", 3: "wk", 4: "d", 5: "h", 6: "min", 7: "s",
    8: "°", 9: "°C", 10: "currency", 11: "m", 12: "m/s",
    13: "m³", 14: "m³", 15: "m³/h", 16: "m³/h", 17: "m³/d", 18: "m³/d", 19: "l",
    20: "kg", 21: "N", 22: "Nm", 23: "Pa", 24: "bar", 25: "J", 26: "J/h",
    27: "W", 28: "VA", 29: "var", 30: "Wh", 31: "VAh", 32: "varh",
    33: "A", 34: "C", 35: "V", 36: "V/m", 37: "F", 38: "Ω", 39: "Ωm²/m",
    40: "Wb", 41: "T", 42: "A/m", 43: "H", 44: "Hz",
    45: "1/Wh", 46: "1/varh", 47: "1/VAh", 48: "V²h", 49: "A²h", 50: "kg/s", 51: "S", 52: "K",
    53: "1/(V²h)", 54: "1/(A²h)", 55: "1/m³", 56: "%", 57: "Ah",
    60: "Wh/m³", 61: "J/m³", 62: "Mol%", 63: "g/m³", 64: "Pa·s", 65: "J/kg", 66: "g/cm²", 67: "atm",
    70: "dBm", 71: "dBµV", 72: "dB",
    128: "in", 129: "ft", 130: "lb", 131: "°F", 132: "°R", 133: "in²", 134: "ft²", 135: "ac", 136: "in³", 137: "ft³",
    138: "acre-ft", 139: "gal (imp)", 140: "gal (US)", 141: "lbf", 142: "psi", 143: "lb/ft³", 144: "lb/(ft·s)",
    145: "ft²/s", 146: "Btu", 147: "thm (EU)", 148: "thm (US)", 149: "Btu/lb", 150: "Btu/ft³",
    254: "other", 255: "",
}  # fmt: skip
"""Symbols by unit code. Corrected and uncorrected volume print alike; the code tells them apart."""


def unit_symbol(code: int) -> str:
    """The symbol of a unit code; ``"unit 200"`` for a code without a meaning."""
    symbol = UNIT_SYMBOLS.get(code)
    return f"unit {code}" if symbol is None else symbol
