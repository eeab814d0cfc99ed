"""What an OBIS code measures, in words, built from the rules of its value groups (IEC 62056-6-1).

A is the medium, B the channel, C the quantity, D how it is processed, E the tariff or harmonic, F the billing period.
``describe`` never fails: a code without a meaning is described as far as its groups go.
"""

from __future__ import annotations

from collections.abc import Iterable


def describe(code: Iterable[int]) -> str:
    """Say what six octets stand for, e.g. ``Active energy import (+A) total``."""
    a, b, c, d, e, f = code
    if a == 0:
        text = _abstract(b, c, d, e)
    elif a == 1:
        text = _electricity(b, c, d, e)
    elif a in _OTHER_MEDIA:
        text = _other(a, c, d, e)
    else:
        text = f"Medium {a}, quantity {c}, type {d}, item {e}"
    if b and not (a == 0 and c in _CHANNEL_IN_TEXT):
        text += f", channel {b}"
    return text + _billing(a, c, d, f)


_OTHER_MEDIA = {4: "Heat cost", 5: "Cooling", 6: "Heat", 7: "Gas", 8: "Cold water", 9: "Hot water", 15: "Other medium"}

_CHANNEL_IN_TEXT = frozenset({24})


def _phase_quantities() -> dict[int, tuple[str, str]]:
    """(name of the power, name of the energy) by C; the quantities repeat for the sum of phases and L1 to L3."""
    sums = {
        1: "active {} import (+A)",
        2: "active {} export (-A)",
        3: "reactive {} import (+R)",
        4: "reactive {} export (-R)",
        5: "reactive {} quadrant I",
        6: "reactive {} quadrant II",
        7: "reactive {} quadrant III",
        8: "reactive {} quadrant IV",
        9: "apparent {} import (+S)",
        10: "apparent {} export (-S)",
        15: "active {} |+A|+|-A|",
        16: "active {} |+A|-|-A|",
        17: "active {} quadrant I",
        18: "active {} quadrant II",
        19: "active {} quadrant III",
        20: "active {} quadrant IV",
    }
    names = {}
    for base, phase in ((0, ""), (20, " L1"), (40, " L2"), (60, " L3")):
        for c, text in sums.items():
            text = f"{text}{phase}".capitalize().replace("(+a)", "(+A)").replace("(-a)", "(-A)")
            for lower, upper in _SYMBOLS:
                text = text.replace(lower, upper)
            names[base + c] = (text.format("power"), text.format("energy"))
    return names


_SYMBOLS = (
    ("(+r)", "(+R)"), ("(-r)", "(-R)"), ("(+s)", "(+S)"), ("(-s)", "(-S)"), ("|+a|", "|+A|"), ("|-a|", "|-A|"),
    (" l1", " L1"), (" l2", " L2"), (" l3", " L3"),
    ("quadrant iv", "quadrant IV"), ("quadrant iii", "quadrant III"), ("quadrant ii", "quadrant II"),
    ("quadrant i", "quadrant I"),
)  # fmt: skip

_PHASE_QUANTITIES = _phase_quantities()

_INSTANT_QUANTITIES = {
    11: "Current",
    12: "Voltage",
    13: "Power factor import",
    14: "Frequency",
    31: "Current L1",
    32: "Voltage L1",
    33: "Power factor L1",
    34: "Frequency L1",
    51: "Current L2",
    52: "Voltage L2",
    53: "Power factor L2",
    54: "Frequency L2",
    71: "Current L3",
    72: "Voltage L3",
    73: "Power factor L3",
    74: "Frequency L3",
    84: "Power factor export",
    88: "Ampere-squared hours",
    89: "Volt-squared hours",
    90: "Current, sum of phases",
    91: "Current neutral",
    92: "Voltage neutral",
    100: "Current, sum over all phases",
}

_PROCESSING = {
    1: "cumulative minimum",
    2: "cumulative maximum",
    3: "minimum",
    4: "current average",
    5: "last average",
    6: "maximum",
    7: "instantaneous",
    8: "time integral 1",
    9: "time integral 2",
    10: "time integral 3",
    11: "cumulative minimum 2",
    12: "cumulative maximum 2",
    13: "minimum 2",
    14: "current average 2",
    15: "last average 2",
    16: "maximum 2",
    17: "time integral 7",
    18: "time integral 8",
    19: "time integral 9",
    20: "time integral 10",
    21: "cumulative minimum 3",
    22: "cumulative maximum 3",
    23: "minimum 3",
    24: "current average 3",
    25: "last average 3",
    26: "maximum 3",
    27: "current average 5",
    28: "current average 6",
    29: "load profile interval",
    30: "billing interval",
    31: "under limit threshold",
    32: "under limit occurrences",
    33: "under limit duration",
    34: "under limit magnitude",
    35: "over limit threshold",
    36: "over limit occurrences",
    37: "over limit duration",
    38: "over limit magnitude",
    39: "missing threshold",
    40: "missing occurrences",
    41: "missing duration",
    42: "missing magnitude",
    43: "time threshold for under limit",
    44: "time threshold for over limit",
    45: "time threshold for missing magnitude",
    55: "test average",
}

_INTEGRALS = frozenset({8, 9, 10, 17, 18, 19, 20, 29, 30})


def _electricity(b: int, c: int, d: int, e: int) -> str:
    if c in _PHASE_QUANTITIES:
        power, energy = _PHASE_QUANTITIES[c]
        return _processed(energy if d in _INTEGRALS else power, d, e)
    if c in _INSTANT_QUANTITIES:
        return _processed(_INSTANT_QUANTITIES[c], d, e)
    if c == 0:
        return _electricity_general(d, e)
    if c == 81:
        return f"Phase angle {_angle(e)}" if d == 7 else f"Angles, type {d}, item {e}"
    if c == 93:
        return f"Consortia specific electricity object {d}.{e}"
    if c == 94:
        return f"Country specific electricity object {d}.{e}"
    if c == 96:
        return f"Electricity service information {d}.{e}"
    if c == 97:
        return f"Electricity error register {d}.{e}"
    if c == 98:
        return f"Billing data list {d}.{e}" if d != 1 else f"Billing profile{_number(e)}"
    if c == 99:
        return _electricity_profile(d, e)
    if 128 <= c <= 199 or c == 240:
        return f"Manufacturer specific electricity object {c}.{d}.{e}"
    return f"Electricity quantity {c}, {_PROCESSING.get(d, f'type {d}')}, item {e}"


def _processed(quantity: str, d: int, e: int) -> str:
    if d == 0:
        return f"{quantity} billing period average"
    if d == 8:
        return f"{quantity} {_tariff(e)}"
    if d == 29:
        return f"{quantity}, load profile interval{'' if e == 0 else f' tariff {e}'}"
    processing = _PROCESSING.get(d, f"type {d}")
    if d == 7:
        return f"{quantity} {processing}" + (f", harmonic {e}" if 1 <= e <= 120 else _distortion(e))
    return f"{quantity} {processing}" + (f" tariff {e}" if 1 <= e <= 63 else "" if e in (0, 255) else f", item {e}")


def _distortion(e: int) -> str:
    return {0: "", 255: "", 124: ", total harmonic distortion", 125: ", total demand distortion"}.get(e, f", item {e}")


def _tariff(e: int) -> str:
    if e == 0:
        return "total"
    return f"tariff {e}" if e <= 63 else f"item {e}"


def _angle(e: int) -> str:
    names = {0: "U(L1)", 1: "U(L2)", 2: "U(L3)", 4: "I(L1)", 5: "I(L2)", 6: "I(L3)", 7: "I(L0)"}
    to, source = divmod(e, 10)
    if source in names and to in names:
        return f"{names[source]} to {names[to]}"
    return f"item {e}"


_GENERAL = {
    (0, 0): "Electricity ID 1",
    (0, 1): "Electricity ID 2",
    (0, 2): "Electricity ID 3",
    (0, 3): "Electricity ID 4",
    (0, 4): "Electricity ID 5",
    (1, 0): "Billing period counter",
    (1, 1): "Number of available billing periods",
    (1, 2): "Time stamp of the most recent billing period",
    (2, 0): "Firmware version",
    (2, 1): "Parameter record number",
    (2, 2): "Time switch program number",
    (3, 0): "Active energy constant, metrological LED",
    (3, 1): "Reactive energy constant, metrological LED",
    (3, 2): "Apparent energy constant, metrological LED",
    (3, 3): "Active energy constant, output pulse",
    (3, 4): "Reactive energy constant, output pulse",
    (4, 0): "Reading factor for power",
    (4, 1): "Reading factor for energy",
    (4, 2): "Current transformer ratio, numerator",
    (4, 3): "Voltage transformer ratio, numerator",
    (4, 4): "Overall transformer ratio, numerator",
    (4, 5): "Current transformer ratio, denominator",
    (4, 6): "Voltage transformer ratio, denominator",
    (4, 7): "Overall transformer ratio, denominator",
    (6, 0): "Rated voltage",
    (6, 1): "Basic current",
    (6, 2): "Rated frequency",
    (6, 3): "Maximum current",
    (6, 4): "Reference voltage for power quality",
    (8, 0): "Measurement period 1",
    (8, 1): "Measurement period 2",
    (8, 2): "Measurement period 3",
    (8, 4): "Recording interval 1, load profile",
    (8, 5): "Recording interval 2, load profile",
    (8, 6): "Billing period length",
    (9, 0): "Time expired since last end of billing period",
    (9, 1): "Local time",
    (9, 2): "Local date",
    (11, 1): "Meter connection diagram ID",
    (11, 4): "Transformer and line loss constant",
}


def _electricity_general(d: int, e: int) -> str:
    return _GENERAL.get((d, e), f"Electricity general purpose object {d}.{e}")


def _electricity_profile(d: int, e: int) -> str:
    names = {
        1: "Load profile, recording period 1",
        2: "Load profile, recording period 2",
        3: "Load profile during test",
        10: "Dips and swells profile",
        11: "Dips profile",
        12: "Swells profile",
        13: "Voltage profile",
        97: "Power failure event log",
        98: "Electricity event log",
    }
    name = names.get(d)
    if name is None:
        return f"Electricity profile {d}.{e}"
    return f"{name}{_number(e)}" if d in (10, 11, 12, 13, 97, 98) else f"{name}{'' if e == 0 else f', item {e}'}"


def _number(e: int) -> str:
    return "" if e in (0, 255) else f" {e}"


_ABSTRACT = {
    (1, 0): "Clock",
    (1, 1): "UNIX clock",
    (1, 2): "Microseconds clock",
    (2, 0): "Modem configuration",
    (2, 1): "Auto connect",
    (2, 2): "Auto answer",
    (10, 0): "Script table",
    (11, 0): "Special days table",
    (12, 0): "Schedule",
    (13, 0): "Activity calendar",
    (14, 0): "Register activation",
    (15, 0): "Single action schedule",
    (16, 0): "Register monitor",
    (16, 1): "Alarm monitor",
    (16, 2): "Parameter monitor",
    (17, 0): "Limiter",
    (18, 0): "Array manager",
    (20, 0): "IEC local port setup, optical",
    (20, 1): "IEC local port setup, electrical",
    (21, 0): "Standard readout",
    (22, 0): "IEC HDLC setup",
    (23, 0): "IEC twisted pair setup",
    (25, 0): "TCP-UDP setup",
    (25, 1): "IPv4 setup",
    (25, 2): "MAC address setup",
    (25, 3): "PPP setup",
    (25, 4): "GPRS modem setup",
    (25, 5): "SMTP setup",
    (25, 6): "GSM diagnostic",
    (25, 7): "IPv6 setup",
    (25, 9): "Push setup",
    (25, 10): "NTP setup",
    (25, 11): "LTE monitoring",
    (31, 0): "Wireless mode Q channel",
    (41, 0): "SAP assignment",
    (42, 0): "COSEM logical device name",
    (43, 0): "Security setup",
    (43, 1): "Invocation counter",
    (43, 2): "Data protection",
    (44, 0): "Image transfer",
    (44, 1): "Function control",
    (44, 2): "Communication port protection",
    (65, 0): "Utility table",
    (94, 0): "Country specific object",
    (96, 0): "Device ID",
    (96, 1): "Device ID",
    (96, 2): "Parameter changes and access",
    (96, 4): "Internal control signal status",
    (96, 5): "Internal operating status",
    (96, 8): "Time of operation",
    (96, 9): "Ambient temperature",
    (96, 10): "Status of the load profile",
    (96, 11): "Event code",
    (96, 13): "Consumer message",
    (96, 14): "Currently active tariff",
    (96, 15): "Event counter",
    (96, 16): "Profile entry digital signature",
    (96, 17): "Profile entry time stamp",
    (96, 20): "Meter tamper event",
    (97, 97): "Error register",
    (97, 98): "Alarm register",
    (98, 1): "Billing profile",
    (98, 2): "Billing profile",
    (99, 1): "Load profile, recording period 1",
    (99, 2): "Load profile, recording period 2",
    (99, 98): "Event log",
    (99, 12): "Parameter monitor log",
}

_ABSTRACT_EXACT = {
    (0, 1, 0): "Billing period counter",
    (0, 1, 1): "Number of available billing periods",
    (0, 1, 2): "Time stamp of the most recent billing period",
    (0, 2, 0): "Active firmware identifier",
    (0, 2, 1): "Active firmware version",
    (0, 2, 8): "Active firmware signature",
    (10, 0, 0): "Global meter reset script table",
    (10, 0, 1): "End of billing period script table",
    (10, 0, 100): "Tariffication script table",
    (10, 0, 101): "Activate test mode script table",
    (10, 0, 103): "Set output signals script table",
    (10, 0, 106): "Disconnect script table",
    (10, 0, 107): "Image activation script table",
    (10, 0, 108): "Push script table",
    (15, 0, 0): "End of billing period schedule",
    (15, 0, 1): "Disconnect control schedule",
    (15, 0, 2): "Image activation schedule",
    (15, 0, 4): "Push schedule",
    (40, 0, 0): "Current association",
    (96, 1, 0): "Device ID 1 (serial number)",
    (96, 2, 0): "Number of configuration program changes",
    (96, 2, 1): "Date of the last configuration program change",
    (96, 3, 10): "Disconnect control",
    (96, 3, 1): "Input control signals",
    (96, 3, 2): "Output control signals",
    (96, 6, 0): "Battery use time counter",
    (96, 6, 1): "Battery charge display",
    (96, 6, 3): "Battery voltage",
    (96, 6, 6): "Battery estimated remaining use time",
    (96, 7, 0): "Number of power failures in all three phases",
    (96, 7, 1): "Number of power failures in phase L1",
    (96, 7, 2): "Number of power failures in phase L2",
    (96, 7, 3): "Number of power failures in phase L3",
    (96, 7, 4): "Number of power failures in any phase",
    (96, 7, 5): "Number of long power failures in all three phases",
    (96, 7, 9): "Number of long power failures in any phase",
    (96, 7, 21): "Number of power failures in any phase",
    (96, 12, 1): "Number of connections",
    (96, 12, 4): "Communication port parameter 1",
    (96, 12, 5): "GSM field strength",
    (96, 12, 6): "Telephone number of the modem",
    (96, 13, 0): "Consumer message, port P0",
    (96, 13, 1): "Consumer message, port P1",
}


def _abstract(b: int, c: int, d: int, e: int) -> str:
    exact = _ABSTRACT_EXACT.get((c, d, e))
    if exact is not None:
        return exact
    if c == 24:
        return _mbus(b, d, e)
    if c == 40:
        return f"Association {e}" if d == 0 else f"Association object {d}.{e}"
    name = _ABSTRACT.get((c, d))
    if name is not None:
        return f"{name}{_number(e) if (c, d) != (96, 1) else f' {e + 1}'}"
    if 128 <= c <= 199 or c == 240:
        return f"Manufacturer specific object {c}.{d}.{e}"
    return f"Abstract object {c}.{d}.{e}"


def _mbus(b: int, d: int, e: int) -> str:
    names = {
        0: "M-Bus slave port setup",
        1: "M-Bus client",
        2: "M-Bus value",
        3: "M-Bus profile",
        4: "M-Bus disconnect",
    }
    names |= {5: "M-Bus control log", 6: "M-Bus master port setup", 9: "M-Bus diagnostic"}
    return f"{names.get(d, f'M-Bus object {d}')}{_number(e)}, channel {b}"


_GAS = {
    1: "Forward undisturbed meter volume",
    2: "Forward disturbed meter volume",
    3: "Forward absolute meter volume",
    4: "Reverse undisturbed meter volume",
    5: "Reverse disturbed meter volume",
    6: "Reverse absolute meter volume",
    11: "Forward undisturbed converter volume",
    12: "Forward disturbed converter volume",
    13: "Forward absolute converter volume",
    41: "Absolute temperature",
    42: "Absolute pressure",
    43: "Flow rate",
    51: "Correction factor",
    52: "Conversion factor",
    53: "Compressibility factor",
    54: "Superior calorific value",
    55: "Gas law deviation coefficient",
    61: "Forward undisturbed energy",
    62: "Forward disturbed energy",
    63: "Forward absolute energy",
}

_VOLUME = {1: "volume", 2: "flow rate", 3: "temperature"}

_HEAT = {
    1: "energy",
    2: "volume",
    3: "mass",
    4: "flow volume",
    5: "flow mass",
    6: "energy",
    7: "mean energy",
    8: "power",
    9: "flow rate",
    10: "flow temperature",
    11: "return temperature",
    12: "differential temperature",
    13: "media pressure",
}


def _other(a: int, c: int, d: int, e: int) -> str:
    medium = _OTHER_MEDIA[a]
    if c == 0:
        return f"{medium} general purpose object {d}.{e}"
    if c == 99:
        return f"{medium} profile {d}.{e}"
    if a == 7 and c in _GAS:
        text = f"Gas {_GAS[c][0].lower()}{_GAS[c][1:]}"
        processing = {0: "current value", 1: "corrected", 2: "base conditions"}
        return (
            text + ("" if d == 0 else f", {processing.get(d, f'type {d}')}") + ("" if e in (0, 255) else f", item {e}")
        )
    names = _VOLUME if a in (8, 9) else _HEAT if a in (5, 6) else {}
    quantity = names.get(c, f"quantity {c}")
    return f"{medium} {quantity}" + ("" if d == 0 else f", type {d}") + ("" if e in (0, 255) else f", item {e}")


def _billing(a: int, c: int, d: int, f: int) -> str:
    """F numbers historical values only where the object is not a management object."""
    if f == 255 or (a == 0 and c not in (0, 98)):
        return ""
    if f <= 99:
        return f", billing period {f}"
    if f == 101:
        return ", most recent billing periods"
    if 102 <= f <= 125:
        return f", last {f - 100} billing periods"
    return f", F={f}"
