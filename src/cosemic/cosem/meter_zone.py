"""The time zone that a meter keeps: its own offset from UTC and its own daylight saving rule, as a tzinfo.

The rule is what the clock object says (begin, end, by how many minutes), not what a country decided since: a meter
whose rule is out of date shows times by that rule, and only by it they are read right.
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Final

from cosemic.cosem.recurrence import change_in
from cosemic.times import CosemDateTime

_NOTHING: Final = timedelta()


class MeterZone(tzinfo):
    """Local time = UTC + ``standard``, and + ``saving`` more between ``begin`` and ``end`` of daylight saving.

    ``begin`` is in local time before the change (normal time), ``end`` in daylight saving time, unless they have a
    deviation of their own. Either may come first in the year, so the southern hemisphere is served. Without a rule the
    offset is always ``standard``. ValueError for rules that name no single moment of a year.
    """

    __slots__ = ("_changes", "_window", "begin", "end", "saving", "standard")

    def __init__(
        self,
        standard: timedelta,
        saving: timedelta = _NOTHING,
        begin: CosemDateTime | None = None,
        end: CosemDateTime | None = None,
    ) -> None:
        if abs(standard) >= timedelta(days=1) or abs(standard + saving) >= timedelta(days=1):
            raise ValueError(f"an offset from UTC is less than a day, not {standard} with {saving} daylight saving")
        if (begin is None) != (end is None):
            raise ValueError("daylight saving has a begin and an end, or neither")
        self.standard = standard
        self.saving = _NOTHING if begin is None else saving
        self.begin = begin
        self.end = end
        self._changes: dict[int, tuple[datetime | None, datetime | None]] = {}
        self._window = (datetime.max, datetime.min, False)  # between two changes; a profile mostly stays in one
        for rule in (begin, end):
            if rule is not None:
                change_in(rule, 2000 if rule.year is None else rule.year)  # says now what is wrong with it

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """The offset from UTC; an hour that is there twice is decided by ``fold``. None without a date to decide by."""
        saving = self.dst(moment)
        return None if saving is None else self.standard + saving

    def dst(self, moment: datetime | None) -> timedelta | None:
        """How much of the offset is daylight saving."""
        if not self.saving:
            return _NOTHING
        if moment is None:
            return None
        local = moment.replace(tzinfo=None)
        if not 2 <= local.year <= 9998:
            return _NOTHING  # where the calendar ends, so that no meter's nonsense overflows it
        as_saving = self._saves(local - self.standard - self.saving)
        as_standard = not self._saves(local - self.standard)
        if as_saving is not as_standard:
            return self.saving if as_saving else _NOTHING
        # There twice: the earlier one has the larger offset. Not there at all: what was valid before the change.
        larger, smaller = max(self.saving, _NOTHING), min(self.saving, _NOTHING)
        return larger if as_saving is (not moment.fold) else smaller

    def tzname(self, moment: datetime | None) -> str:
        """Such as ``UTC+01:00``."""
        offset = self.utcoffset(moment)
        return "UTC" + _signed(self.standard if offset is None else offset)

    def fromutc(self, moment: datetime) -> datetime:
        """Local time of this zone, ``fold`` set in the later one of an hour that is there twice."""
        utc = moment.replace(tzinfo=None)
        saves = self._saves(utc)
        local = utc + self.standard + (self.saving if saves else _NOTHING)
        result = local.replace(tzinfo=self)
        wanted = self.saving if saves else _NOTHING
        return result if result.dst() == wanted else result.replace(fold=1)

    def _saves(self, utc: datetime) -> bool:
        """Whether daylight saving is in force at a moment of UTC (naive)."""
        if not self.saving:
            return False
        since, until, saves = self._window
        if since <= utc < until:
            return saves
        year = (utc + self.standard).year
        since, until, saves = datetime.min, datetime.max, False
        for candidate in (year - 1, year, year + 1):
            begin, end = self._of_year(candidate)
            for change, starts in ((begin, True), (end, False)):
                if change is None:
                    continue
                if since <= change <= utc:
                    since, saves = change, starts
                elif utc < change < until:
                    until = change
        if since > datetime.min and until < datetime.max:
            self._window = since, until, saves
        return saves

    def _of_year(self, year: int) -> tuple[datetime | None, datetime | None]:
        found = self._changes.get(year)
        if found is None:
            assert self.begin is not None
            assert self.end is not None
            found = (
                self._in_utc(self.begin, year, self.standard),
                self._in_utc(self.end, year, self.standard + self.saving),
            )
            if len(self._changes) > 400:
                self._changes.clear()
            self._changes[year] = found
        return found

    @staticmethod
    def _in_utc(rule: CosemDateTime, year: int, offset: timedelta) -> datetime | None:
        if not 2 <= year <= 9998:
            return None
        local = change_in(rule, year)
        if local is None:
            return None
        return local - (offset if rule.deviation is None else timedelta(minutes=-rule.deviation))

    def __repr__(self) -> str:
        if self.begin is None:
            return f"MeterZone({_signed(self.standard)})"
        return f"MeterZone({_signed(self.standard)}, {_signed(self.saving)} from {self.begin} to {self.end})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MeterZone):
            return NotImplemented
        return self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> tuple[object, ...]:
        return MeterZone, self._key

    @property
    def _key(self) -> tuple[timedelta, timedelta, CosemDateTime | None, CosemDateTime | None]:
        return self.standard, self.saving, self.begin, self.end


def _signed(offset: timedelta) -> str:
    minutes = offset // timedelta(minutes=1)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
