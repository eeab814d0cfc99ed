"""Times in a P1 text: ``YYMMDDhhmmssX`` in local time, X = ``S`` in summer and ``W`` in winter (DSMR P1, TST)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

TIME: Final = re.compile(r"[0-9]{12}[SWsw]?")
"""What a time looks like; whether there is such a moment is another question."""

_DEFAULT_ZONE: Final = ("Europe/Amsterdam", 1)
_ZONES: Final = {"ESO": ("Europe/Vilnius", 2)}
_PIVOT: Final = "7"  # meters write 700101010000W, which is 1970, for a device that has not been heard
_HOUR: Final = timedelta(hours=1)


def read_time(text: str, zone: tzinfo) -> datetime | None:
    """The moment with its offset from UTC; None where there is none (meters write ``632525252525S`` for "never").

    The letter decides between summer and winter time, also where the zone has the other one on that day: Swedish
    meters keep winter time all year. Without a letter, as in DSMR 2 and 3, the zone decides, and of an hour that is
    there twice the first one is meant.
    """
    try:
        moment = datetime.fromisoformat(f"{'19' if text[0] >= _PIVOT else '20'}{text[:6]}T{text[6:12]}")
        if len(text) == 12:
            return moment.replace(tzinfo=zone)
        return _in_season(moment, text[12] in "Ss", zone)
    except (ValueError, OverflowError):
        return None


def zone_of(identification: str) -> tzinfo:
    """The zone of the grid, by the maker's letters where they are those of a grid operator."""
    return _zone(*_ZONES.get(identification[:3].upper(), _DEFAULT_ZONE))


@lru_cache(maxsize=4)
def _zone(name: str, hours: int) -> tzinfo:
    """The zone; without daylight saving where there is no time zone data, wrong only for times without a letter."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError):
        return timezone(timedelta(hours=hours))


def _in_season(moment: datetime, is_summer: bool, zone: tzinfo) -> datetime:
    """The moment in the zone, at the offset of the season."""
    local = moment.replace(tzinfo=zone)
    if bool(local.dst()) is is_summer:
        return local
    local = local.replace(fold=1)
    if bool(local.dst()) is is_summer:
        return local
    offset, saving = local.utcoffset() or timedelta(), local.dst() or timedelta()
    return moment.replace(tzinfo=timezone(offset - saving + (_HOUR if is_summer else timedelta())))
