"""What the simulated household does: energies, powers, voltages as functions of time, the same on every run.

Everything is computed from the time alone, so a load profile of 100,000 rows needs no memory and its values agree with
the registers. Energies are whole watt-hours that never go back.
"""

from __future__ import annotations

from itertools import accumulate

PERIOD = 900
"""Length of an interval in seconds: a quarter of an hour."""

_PER_DAY = 86400 // PERIOD
_BASE_DAY = 14610
"""Day of the first energy, 1 January 2010, counted from 1970."""

# Watt-hours of each quarter: a base load, breakfast, noon, a long evening; the roof feeds in around noon.
_IMPORT = tuple(
    60
    + (140 if 26 <= quarter < 34 else 0)
    + (90 if 46 <= quarter < 54 else 0)
    + (240 if 70 <= quarter < 90 else 0)
    + quarter * 7 % 13
    for quarter in range(_PER_DAY)
)
_EXPORT = tuple(max(0, 16 * (18 - abs(quarter - 50))) for quarter in range(_PER_DAY))
_HIGH_TARIFF = tuple(24 <= quarter < 88 for quarter in range(_PER_DAY))

PEAK = max(_IMPORT) * 3600 // PERIOD
"""The largest average power of a quarter, in watts."""


class Energy:
    """One energy that follows a pattern of the day."""

    def __init__(self, pattern: tuple[int, ...]) -> None:
        self._pattern = pattern
        self._sums = (0, *accumulate(pattern))

    def at_interval(self, interval: int) -> int:
        """Watt-hours at the end of an interval; intervals are counted from 1970."""
        day, quarter = divmod(interval, _PER_DAY)
        return max(0, (day - _BASE_DAY) * self._sums[-1] + self._sums[quarter])

    def of_interval(self, interval: int) -> int:
        """Watt-hours between the end of this interval and the end of the next."""
        return self._pattern[interval % _PER_DAY]

    def at(self, seconds: float) -> int:
        """Watt-hours at a time in seconds since 1970."""
        interval, rest = divmod(seconds, PERIOD)
        return self.at_interval(int(interval)) + int(self.of_interval(int(interval)) * rest / PERIOD)

    def power(self, seconds: float) -> int:
        """Average power in watts of the interval that a time lies in."""
        return self.of_interval(int(seconds // PERIOD)) * 3600 // PERIOD


ACTIVE_IMPORT = Energy(_IMPORT)
ACTIVE_EXPORT = Energy(_EXPORT)
HIGH_TARIFF = Energy(tuple(energy if high else 0 for energy, high in zip(_IMPORT, _HIGH_TARIFF, strict=True)))
LOW_TARIFF = Energy(tuple(0 if high else energy for energy, high in zip(_IMPORT, _HIGH_TARIFF, strict=True)))
REACTIVE_IMPORT = Energy(tuple(energy // 5 for energy in _IMPORT))
REACTIVE_EXPORT = Energy(tuple(energy // 9 for energy in _EXPORT))


def voltage(phase: int, seconds: float) -> int:
    """Tenths of a volt between phase 1 to 3 and neutral."""
    return 2300 + _wave(int(seconds) + 17 * phase, 25)


def current(phase: int, seconds: float) -> int:
    """Hundredths of an ampere."""
    power = ACTIVE_IMPORT.power(seconds) * (5, 3, 2)[phase - 1] // 10
    return power * 1000 // voltage(phase, seconds)


def frequency(seconds: float) -> int:
    """Hundredths of a hertz."""
    return 5000 + _wave(int(seconds), 3)


def tariff(seconds: float) -> int:
    """The active tariff: 1 by day, 2 by night."""
    return 1 if _HIGH_TARIFF[int(seconds // PERIOD) % _PER_DAY] else 2


def _wave(number: int, height: int) -> int:
    """A number between -height and height that looks like noise and is the same on every run."""
    mixed = (number * 2654435761 + 97) & 0xFFFFFFFF
    return (mixed >> 16) % (2 * height + 1) - height
