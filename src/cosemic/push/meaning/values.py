"""The values of readings: times, texts, exact numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Final

from cosemic.cosem.values import EXACT, scale
from cosemic.times import CosemDate, CosemDateTime, CosemTime, datetime_from_bytes

_NO_DEVIATION: Final = b"\x80\x00"
_NO_TIME: Final = b"\xff" * 8


def moment(octets: bytes, zone: tzinfo | None, ignores_deviation: bool = False) -> datetime | CosemDateTime:
    """A date-time of twelve octets as a point in time, or as it is where it is none.

    ``zone`` is for those without a deviation, which is most of them; without it they stay local times.
    """
    if ignores_deviation:
        octets = octets[:9] + _NO_DEVIATION + octets[11:]
    if zone is not None or octets[9:11] != _NO_DEVIATION:
        try:
            return datetime_from_bytes(octets, zone)
        except ValueError:
            pass
    return CosemDateTime.from_bytes(octets)


def time_of(
    octets: bytes, zone: tzinfo | None, ignores_deviation: bool = False
) -> datetime | CosemDateTime | CosemDate | CosemTime | bytes:
    """A date-time, date or time by the number of its octets; as it is where it is none of them."""
    match len(octets):
        case 12:
            return moment(octets, zone, ignores_deviation)
        case 5:
            return CosemDate.from_bytes(octets)
        case 4:
            return CosemTime.from_bytes(octets)
    return octets


def is_specified(octets: bytes) -> bool:
    """Whether a date-time of twelve octets says anything."""
    return octets[:8] != _NO_TIME


@functools.lru_cache(1024)
def plain_text(octets: bytes) -> str | bytes:
    """An octet-string that is known to hold text, without the zeros that fill it; as it is where it is no text."""
    try:
        text = octets.rstrip(b"\x00").decode()
    except UnicodeDecodeError:
        return octets
    return text if text.isprintable() else octets


def scaling(scaler: int, *, is_whole: bool) -> Callable[[float], Decimal]:
    """What makes the exact value of a number; ``is_whole`` says that it has no fraction."""
    if not is_whole:
        return lambda raw: scale(raw, scaler)
    if scaler == 0:
        return Decimal
    if scaler < 0:
        return lambda raw: Decimal(raw).scaleb(scaler, EXACT)
    factor = 10**scaler
    return lambda raw: Decimal(raw * factor)
