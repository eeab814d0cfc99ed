"""COSEM date, time and date-time (IEC 62056-6-2, 4.1.6), and their way to and from ``datetime``.

The fields are kept as they are on the wire; None means "not specified". A deviation is the number of minutes from local
time to UTC: UTC = local time + deviation, so Central European winter time has -60 and summer time -120.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Final

DAYLIGHT_SAVINGS_END: Final = 0xFD
"""As a month: the month in which daylight saving ends."""
DAYLIGHT_SAVINGS_BEGIN: Final = 0xFE
"""As a month: the month in which daylight saving begins."""
SECOND_LAST_DAY: Final = 0xFD
"""As a day: the last day but one of the month."""
LAST_DAY: Final = 0xFE
"""As a day: the last day of the month; with a weekday, the last such weekday of the month."""

CLOCK_INVALID: Final = 0x01
CLOCK_DOUBTFUL: Final = 0x02
CLOCK_DIFFERENT_BASE: Final = 0x04
CLOCK_INVALID_STATUS: Final = 0x08
CLOCK_DAYLIGHT_SAVING: Final = 0x80

_DATE_TIME: Final = struct.Struct(">HBBBBBBBhB")
_DATE: Final = struct.Struct(">HBBB")
_TIME: Final = struct.Struct(">BBBB")
_NO_DEVIATION: Final = -0x8000
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_zones: dict[int, timezone] = {deviation: timezone(timedelta(minutes=-deviation)) for deviation in range(-840, 841, 15)}
_zones[0] = UTC


@dataclass(frozen=True, slots=True)
class CosemDate:
    """A date whose fields may be unspecified (None) or say "last day", "daylight saving begins" and the like."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None

    @classmethod
    def from_bytes(cls, octets: bytes) -> CosemDate:
        """From five octets; every combination of octets has a meaning or is kept as it is."""
        year, month, day, weekday = _unpack(_DATE, octets, "date")
        return cls(
            None if year == 0xFFFF else year,
            None if month == 0xFF else month,
            None if day == 0xFF else day,
            None if weekday == 0xFF else weekday,
        )

    @classmethod
    def from_date(cls, value: date) -> CosemDate:
        """From a calendar date, with its weekday."""
        return cls(value.year, value.month, value.day, value.isoweekday())

    def to_date(self) -> date:
        """The calendar date; ValueError names the field that is missing or impossible."""
        return _calendar_date(self)

    def isoformat(self) -> str:
        """``2025-03-30``; ``*`` stands for what is not specified."""
        text = f"{_field(self.year, 4)}-{_month(self.month)}-{_day(self.day)}"
        if self.weekday is None or (self._plain and self._weekday_follows()):
            return text
        return f"{text} {_WEEKDAYS[self.weekday - 1] if 1 <= self.weekday <= 7 else f'weekday {self.weekday}'}"

    @property
    def _plain(self) -> bool:
        return self.year is not None and self.month is not None and self.day is not None

    def _weekday_follows(self) -> bool:
        try:
            return date(self.year or 0, self.month or 0, self.day or 0).isoweekday() == self.weekday
        except ValueError:
            return False

    def __str__(self) -> str:
        return self.isoformat()

    def __bytes__(self) -> bytes:
        return _pack(
            _DATE,
            self,
            0xFFFF if self.year is None else self.year,
            0xFF if self.month is None else self.month,
            0xFF if self.day is None else self.day,
            0xFF if self.weekday is None else self.weekday,
        )


@dataclass(frozen=True, slots=True)
class CosemTime:
    """A time of day whose fields may be unspecified (None)."""

    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    hundredths: int | None = None

    @classmethod
    def from_bytes(cls, octets: bytes) -> CosemTime:
        """From four octets."""
        hour, minute, second, hundredths = _unpack(_TIME, octets, "time")
        return cls(
            None if hour == 0xFF else hour,
            None if minute == 0xFF else minute,
            None if second == 0xFF else second,
            None if hundredths == 0xFF else hundredths,
        )

    @classmethod
    def from_time(cls, value: time) -> CosemTime:
        """From a time of day; what is below a hundredth of a second is cut off."""
        return cls(value.hour, value.minute, value.second, value.microsecond // 10_000)

    def to_time(self) -> time:
        """The time of day; hundredths that are not specified count as 0. ValueError names the field that is missing."""
        hour, minute, second = _need(self, "hour"), _need(self, "minute"), _need(self, "second")
        try:
            return time(hour, minute, second, _microseconds(self.hundredths))
        except ValueError as error:
            raise ValueError(f"{self} is no time of day: {error}") from None

    def isoformat(self) -> str:
        """``23:59:59.99``; ``*`` stands for what is not specified."""
        text = f"{_field(self.hour, 2)}:{_field(self.minute, 2)}:{_field(self.second, 2)}"
        return f"{text}.{self.hundredths:02}" if self.hundredths else text

    def __str__(self) -> str:
        return self.isoformat()

    def __bytes__(self) -> bytes:
        return _pack(
            _TIME,
            self,
            0xFF if self.hour is None else self.hour,
            0xFF if self.minute is None else self.minute,
            0xFF if self.second is None else self.second,
            0xFF if self.hundredths is None else self.hundredths,
        )


@dataclass(frozen=True, slots=True)
class CosemDateTime:
    """A date-time with its raw fields: wildcards, deviation (minutes from local time to UTC) and clock status."""

    year: int | None = None
    month: int | None = None
    day: int | None = None
    weekday: int | None = None
    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    hundredths: int | None = None
    deviation: int | None = None
    clock_status: int | None = None

    @classmethod
    def from_bytes(cls, octets: bytes) -> CosemDateTime:
        """From twelve octets; every combination of octets has a meaning or is kept as it is."""
        year, month, day, weekday, hour, minute, second, hundredths, deviation, status = _unpack(
            _DATE_TIME, octets, "date-time"
        )
        return cls(
            None if year == 0xFFFF else year,
            None if month == 0xFF else month,
            None if day == 0xFF else day,
            None if weekday == 0xFF else weekday,
            None if hour == 0xFF else hour,
            None if minute == 0xFF else minute,
            None if second == 0xFF else second,
            None if hundredths == 0xFF else hundredths,
            None if deviation == _NO_DEVIATION else deviation,
            None if status == 0xFF else status,
        )

    @classmethod
    def from_datetime(cls, value: datetime, *, clock_status: int | None = 0) -> CosemDateTime:
        """From a datetime; a naive one gets no deviation. The daylight saving bit is set where the zone says so.

        ``clock_status`` gives the other bits of the status; None leaves the whole status unspecified.
        """
        offset = value.utcoffset()
        deviation = None
        if offset is not None:
            seconds = -offset // timedelta(seconds=1)
            if seconds % 60:
                raise ValueError(f"a deviation is whole minutes, but {value.isoformat()} is {offset} from UTC")
            deviation = seconds // 60
            if clock_status is not None and value.dst():
                clock_status |= CLOCK_DAYLIGHT_SAVING
        return cls(
            value.year,
            value.month,
            value.day,
            value.isoweekday(),
            value.hour,
            value.minute,
            value.second,
            value.microsecond // 10_000,
            deviation,
            clock_status,
        )

    def to_datetime(self, zone: tzinfo | None = None) -> datetime:
        """The aware datetime, or ValueError that names the field that is missing or impossible.

        Hundredths that are not specified count as 0. ``zone`` is used only where the deviation is not specified; an
        hour that the zone has twice is then decided by the daylight saving bit of the clock status, if there is one.
        """
        day = _calendar_date(self)
        hour, minute, second = _need(self, "hour"), _need(self, "minute"), _need(self, "second")
        if self.deviation is None and zone is None:
            raise ValueError(f"{self} has no deviation from UTC; give a zone to read it in")
        try:
            info = zone if self.deviation is None else zone_of(self.deviation)
            result = datetime(
                day.year, day.month, day.day, hour, minute, second, _microseconds(self.hundredths), tzinfo=info
            )
        except ValueError as error:
            raise ValueError(f"{self} is no point in time: {error}") from None
        if self.deviation is None and self.daylight_saving is not None:
            other = result.replace(fold=1)
            if other.utcoffset() != result.utcoffset() and bool(other.dst()) == self.daylight_saving:
                return other
        return result

    @property
    def is_aware(self) -> bool:
        """Whether ``to_datetime()`` gives a point in time without further knowledge."""
        try:
            self.to_datetime()
        except ValueError:
            return False
        return True

    @property
    def date(self) -> CosemDate:
        """The date fields."""
        return CosemDate(self.year, self.month, self.day, self.weekday)

    @property
    def time(self) -> CosemTime:
        """The time fields."""
        return CosemTime(self.hour, self.minute, self.second, self.hundredths)

    @property
    def invalid(self) -> bool:
        """Status bit 0: the time could not be recovered after an incident."""
        return self._bit(CLOCK_INVALID)

    @property
    def doubtful(self) -> bool:
        """Status bit 1: the time may be wrong."""
        return self._bit(CLOCK_DOUBTFUL)

    @property
    def different_base(self) -> bool:
        """Status bit 2: another time base than configured."""
        return self._bit(CLOCK_DIFFERENT_BASE)

    @property
    def invalid_status(self) -> bool:
        """Status bit 3: at least one other bit of the status is not meaningful."""
        return self._bit(CLOCK_INVALID_STATUS)

    @property
    def daylight_saving(self) -> bool | None:
        """Status bit 7: daylight saving is active; None where the status is not specified."""
        return None if self.clock_status is None else self._bit(CLOCK_DAYLIGHT_SAVING)

    def _bit(self, bit: int) -> bool:
        return self.clock_status is not None and self.clock_status & bit != 0

    def isoformat(self) -> str:
        """``2025-01-15T12:30:00+01:00``; ``*`` stands for what is not specified, no offset for no deviation."""
        text = f"{self.date.isoformat()}T{self.time.isoformat()}"
        if self.deviation is None:
            return text
        hours, minutes = divmod(abs(self.deviation), 60)
        return f"{text}{'-' if self.deviation > 0 else '+'}{hours:02}:{minutes:02}"

    def __str__(self) -> str:
        return self.isoformat()

    def __bytes__(self) -> bytes:
        return _pack(
            _DATE_TIME,
            self,
            0xFFFF if self.year is None else self.year,
            0xFF if self.month is None else self.month,
            0xFF if self.day is None else self.day,
            0xFF if self.weekday is None else self.weekday,
            0xFF if self.hour is None else self.hour,
            0xFF if self.minute is None else self.minute,
            0xFF if self.second is None else self.second,
            0xFF if self.hundredths is None else self.hundredths,
            _NO_DEVIATION if self.deviation is None else self.deviation,
            0xFF if self.clock_status is None else self.clock_status,
        )


def datetime_from_bytes(octets: bytes, zone: tzinfo | None = None) -> datetime:
    """``CosemDateTime.from_bytes(octets).to_datetime(zone)`` by the shortest way; for columns of timestamps."""
    try:
        year, month, day, _, hour, minute, second, hundredths, deviation, _ = _DATE_TIME.unpack(octets)
        # A weekday that contradicts a fixed date is the meter's affair; the special days need the long way.
        return datetime(
            year, month, day, hour, minute, second, 0 if hundredths == 0xFF else hundredths * 10_000, _zones[deviation]
        )
    except (ValueError, KeyError, struct.error):
        return CosemDateTime.from_bytes(octets).to_datetime(zone)


def zone_of(deviation: int) -> timezone:
    """The fixed zone in which UTC = local time + ``deviation`` minutes."""
    zone = _zones.get(deviation)
    if zone is None:
        try:
            zone = timezone(timedelta(minutes=-deviation))
        except ValueError:
            raise ValueError(f"a deviation of {deviation} minutes is more than a day") from None
    return zone


def _unpack(form: struct.Struct, octets: bytes, what: str) -> tuple[int, ...]:
    try:
        return form.unpack(octets)
    except struct.error:
        raise ValueError(f"a {what} has {form.size} octets, not {len(octets)}: {bytes(octets).hex()!r}") from None


def _pack(form: struct.Struct, value: object, *fields: int) -> bytes:
    try:
        return form.pack(*fields)
    except struct.error as error:
        raise ValueError(f"{value!r} does not fit its octets: {error}") from None


def _need(value: CosemTime | CosemDateTime | CosemDate, name: str) -> int:
    number = getattr(value, name)
    if number is None:
        raise ValueError(f"{value} does not specify the {name}")
    return int(number)


def _calendar_date(value: CosemDate | CosemDateTime) -> date:
    year, month, day = _need(value, "year"), _need(value, "month"), _need(value, "day")
    if month in (DAYLIGHT_SAVINGS_BEGIN, DAYLIGHT_SAVINGS_END):
        raise ValueError(f"the month of {value} depends on when daylight saving {_DAYLIGHT[month]}s")
    try:
        if day == LAST_DAY:
            last = _last_day(year, month)
            if value.weekday is None:
                return last
            if not 1 <= value.weekday <= 7:
                raise ValueError(f"there is no weekday {value.weekday}")
            return last - timedelta(days=(last.isoweekday() - value.weekday) % 7)
        if day == SECOND_LAST_DAY:
            if value.weekday is not None:
                raise ValueError("the second last day together with a weekday names no single day")
            return _last_day(year, month) - timedelta(days=1)
        return date(year, month, day)
    except ValueError as error:
        raise ValueError(f"{value} is no calendar date: {error}") from None


def _last_day(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first.replace(day=31) if month == 12 else first.replace(month=month + 1) - timedelta(days=1)


def _microseconds(hundredths: int | None) -> int:
    return 0 if hundredths is None else hundredths * 10_000


_DAYLIGHT: Final = {DAYLIGHT_SAVINGS_BEGIN: "begin", DAYLIGHT_SAVINGS_END: "end"}


def _field(number: int | None, width: int) -> str:
    return "*" if number is None else f"{number:0{width}}"


def _month(number: int | None) -> str:
    return f"(daylight saving {_DAYLIGHT[number]})" if number in _DAYLIGHT else _field(number, 2)


def _day(number: int | None) -> str:
    return {LAST_DAY: "last", SECOND_LAST_DAY: "second-last"}.get(number or 0) or _field(number, 2)
