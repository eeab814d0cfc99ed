"""Values with a unit: scaler_unit and readings, exact to the last digit (IEC 62056-6-2, 4.3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from typing import TYPE_CHECKING

from cosemic.errors import DecodeError
from cosemic.units import unit_symbol

if TYPE_CHECKING:
    from datetime import datetime

    from cosemic.obis import ObisCode
    from cosemic.times import CosemDateTime

EXACT = Context(prec=1000, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Never rounds a value of the standard, whatever the caller's own decimal context says."""


SCALER_ATTRIBUTE = {3: 3, 4: 3, 5: 4}
"""Where registers, extended registers and demand registers have their scaler_unit, by class id."""
SCALED_ATTRIBUTES = {3: (2,), 4: (2,), 5: (2, 3)}
"""What it holds for."""
CAPTURED_ATTRIBUTES = {4: (4, 5), 5: (5, 6)}
"""Status and time of capture of what they hold."""


@dataclass(frozen=True, slots=True)
class ScalerUnit:
    """The scaler_unit of a register: the value is ``raw * 10 ** scaler``, in ``unit`` (a code of ``enums.Unit``)."""

    scaler: int
    unit: int

    @property
    def symbol(self) -> str:
        """The unit as text; ``"unit 200"`` for a code that the standard does not know."""
        return unit_symbol(self.unit)

    @classmethod
    def from_value(cls, value: object) -> ScalerUnit:
        """From a decoded attribute: structure {scaler, unit}."""
        match value:
            case (int(scaler), int(unit)) if -128 <= scaler <= 127 and 0 <= unit <= 255:
                return cls(int(scaler), int(unit))
        raise DecodeError(f"a scaler_unit is a structure of an integer and an enum, not {value!r}")

    def apply(self, raw: float | Decimal) -> Decimal:
        """The exact value."""
        return scale(raw, self.scaler)


def scale(raw: float | Decimal, scaler: int) -> Decimal:
    """``raw * 10 ** scaler``, exactly; an integer result has no exponent. A float counts as its shortest decimal."""
    if isinstance(raw, int):
        return Decimal(raw * 10**scaler) if scaler >= 0 else Decimal(raw).scaleb(scaler, EXACT)
    number = Decimal(repr(raw)) if isinstance(raw, float) else raw
    return number.scaleb(scaler, EXACT) if scaler else number


@dataclass(frozen=True, slots=True)
class Reading:
    """One measured value: ``value`` in ``unit``, with what came over the line to make it.

    ``raw`` is the value as sent, ``scaler`` its power of ten, ``unit_code`` the standard's number of the unit.
    ``status`` and ``time`` (of capture) are those of an extended or demand register, None for a plain register.
    """

    value: Decimal
    unit: str
    raw: int | float
    scaler: int
    unit_code: int = 255
    obis: ObisCode | None = None
    status: object = None
    time: datetime | CosemDateTime | None = None

    def __str__(self) -> str:
        number = f"{self.value:f}" if self.value.is_finite() else str(self.value)
        return f"{number} {self.unit}".rstrip()


def reading(
    raw: object,
    scaler_unit: ScalerUnit,
    *,
    obis: ObisCode | None = None,
    status: object = None,
    time: datetime | CosemDateTime | None = None,
) -> Reading:
    """Put a decoded value and its scaler_unit together; DecodeError when the value is not a number."""
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        where = "" if obis is None else f"{obis}: "
        what = "no value (null-data)" if raw is None else f"{type(raw).__name__} {raw!r}, not a number"
        raise DecodeError(f"{where}the register holds {what}")
    value = scale(raw, scaler_unit.scaler)
    return Reading(
        value, scaler_unit.symbol, raw, scaler_unit.scaler, scaler_unit.unit, obis=obis, status=status, time=time
    )
