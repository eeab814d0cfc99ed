"""Profiles of the simulated meter: a load profile computed from the time, and an event log (class 7).

Both hand out their buffer as one encoded array. Selective access is as IEC 62056-6-2 has it: a range by the clock
column, or entries counted from 1; a selector that does not fit is scope-of-access-violated, a range or an entry without
rows an empty array.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Protocol

from cosemic.apdu.services import SelectiveAccess
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.cosem.selection import CLOCK_TIME, CaptureObject
from cosemic.enums import AccessSelector, DataAccessResult, InterfaceClass, SortMethod
from cosemic.errors import DecodeError
from cosemic.meter.consumption import ACTIVE_EXPORT, ACTIVE_IMPORT, PERIOD
from cosemic.meter.model import Access
from cosemic.meter.objects import CALL_MANAGER, READ_ALL, Attribute, MeterObject, Method, Refusal, Rights, fixed
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime

MAX_ROWS = 100_000


class Rows(Protocol):
    """Where the rows of a profile come from. Rows are counted from 0, oldest first."""

    def count(self, access: Access) -> int:
        """How many rows there are now."""

    def capacity(self) -> int:
        """How many rows there can be."""

    def encoded(self, access: Access, first: int, until: int, columns: Sequence[int]) -> bytes:
        """Rows ``first`` to before ``until``, each an encoded structure of these columns."""

    def between(self, access: Access, start: datetime, end: datetime) -> tuple[int, int]:
        """First row and the one after the last, of those with start <= time <= end."""

    def clear(self, access: Access) -> None:
        """Forget all rows."""


def profile(
    obis: ObisCode, captures: Sequence[CaptureObject], rows: Rows, *, period: int, who: Rights = READ_ALL
) -> MeterObject:
    """A profile generic object over ``rows``."""

    def clear(access: Access, parameters: Data | None) -> None:
        rows.clear(access)

    return MeterObject(
        InterfaceClass.PROFILE_GENERIC,
        obis,
        1,
        {
            2: buffer_attribute(captures, rows, who),
            3: fixed(axdr.array(*(capture.typed() for capture in captures)), who),
            4: fixed(axdr.double_long_unsigned(period), who),
            5: fixed(axdr.enum(SortMethod.FIFO), who),
            6: fixed(CLOCK_TIME.typed(), who),
            7: Attribute(lambda access: axdr.double_long_unsigned(rows.count(access)), who),
            8: fixed(axdr.double_long_unsigned(rows.capacity()), who),
        },
        {1: Method(clear, CALL_MANAGER)},
    )


def buffer_attribute(captures: Sequence[CaptureObject], rows: Rows, who: Rights = READ_ALL) -> Attribute:
    """The buffer over ``rows``: read as a whole, by range or by entry."""
    reader = _Buffer(tuple(captures), rows)
    return Attribute(reader.whole, who, select=reader.select, selectors=(1, 2))


class _Buffer:
    """The buffer attribute: reads all of it, or what a selector asks for."""

    def __init__(self, captures: tuple[CaptureObject, ...], rows: Rows) -> None:
        self._captures = captures
        self._rows = rows
        self._all = tuple(range(len(captures)))

    def whole(self, access: Access) -> Data:
        return self._array(access, 0, self._rows.count(access), self._all)

    def select(self, access: Access, selection: SelectiveAccess) -> Data:
        try:
            parameters = selection.parameters.value
        except DecodeError:
            raise _scope() from None
        if selection.selector == AccessSelector.RANGE:
            return self._range(access, parameters)
        return self._entries(access, parameters)

    def _range(self, access: Access, parameters: object) -> Data:
        match parameters:
            case (restricting, first, last, list(selected)):
                pass
            case _:
                raise _scope()
        try:
            captured = CaptureObject.from_value(restricting)
            wanted = [CaptureObject.from_value(element) for element in selected]
        except DecodeError:
            raise _scope() from None
        if captured != CLOCK_TIME or any(capture not in self._captures for capture in wanted):
            raise _scope()
        columns = tuple(i for i, capture in enumerate(self._captures) if capture in wanted) if wanted else self._all
        zone = access.meter.zone
        start, until = self._rows.between(access, _moment(first, zone), _moment(last, zone))
        return self._array(access, start, until, columns)

    def _entries(self, access: Access, parameters: object) -> Data:
        match parameters:
            case (int(first), int(last), int(first_column), int(last_column)):
                pass
            case _:
                raise _scope()
        width = len(self._captures)
        last_column = last_column or width
        if first < 1 or (last and last < first) or not 1 <= first_column <= last_column <= width:
            raise _scope()
        count = self._rows.count(access)
        until = min(last, count) if last else count
        return self._array(access, min(first - 1, until), until, self._all[first_column - 1 : last_column])

    def _array(self, access: Access, first: int, until: int, columns: tuple[int, ...]) -> Data:
        count = max(0, until - first)
        rows = self._rows.encoded(access, first, until, columns) if count else b""
        return Data(b"\x01" + axdr.encode_length(count) + rows)


LOAD_COLUMNS = (
    CLOCK_TIME,
    CaptureObject(InterfaceClass.DATA, ObisCode(0, 0, 96, 10, 1, 255), 2),
    CaptureObject(InterfaceClass.REGISTER, ObisCode(1, 0, 1, 8, 0, 255), 2),
    CaptureObject(InterfaceClass.REGISTER, ObisCode(1, 0, 2, 8, 0, 255), 2),
)
"""Time, status, active energy import and export."""


class LoadRows:
    """The last ``capacity`` quarters of an hour, worked out from their number: nothing is kept."""

    def __init__(self, capacity: int) -> None:
        if not 0 <= capacity <= MAX_ROWS:
            raise ValueError(f"a load profile has 0 to {MAX_ROWS} rows, not {capacity}")
        self._capacity = capacity
        self._cleared_at: int | None = None
        self._made: tuple[object, bytes] | None = None

    def count(self, access: Access) -> int:
        first, newest = self._span(access)
        return newest - first + 1

    def capacity(self) -> int:
        return self._capacity

    def encoded(self, access: Access, first: int, until: int, columns: Sequence[int]) -> bytes:
        oldest, _ = self._span(access)
        place = (oldest + first, oldest + until, tuple(columns), access.meter.zone)
        # Clients in a row often ask for the same rows; the newest answer is kept.
        if self._made is None or self._made[0] != place:
            self._made = (place, self._encoded(oldest + first, oldest + until, columns, access.meter.zone))
        return self._made[1]

    def _encoded(self, first: int, until: int, columns: Sequence[int], zone: tzinfo) -> bytes:
        # One Struct packs a whole row; the columns that nobody asked for are cut out of the packed row.
        pack = _LOAD_ROW.pack
        imported, exported = ACTIVE_IMPORT.at_interval, ACTIVE_EXPORT.at_interval
        rows = []
        for interval in range(first, until):
            time = datetime.fromtimestamp(interval * PERIOD, zone)
            offset = time.utcoffset()
            assert offset is not None
            rows.append(
                pack(
                    b"\x02\x04\x09\x0c", time.year, time.month, time.day, time.isoweekday(), time.hour, time.minute,
                    time.second, 0, -(offset.days * 1440 + offset.seconds // 60), 0x80 if time.dst() else 0,
                    0x11, 0, 0x06, imported(interval), 0x06, exported(interval),
                )
            )  # fmt: skip
        if len(columns) == len(LOAD_COLUMNS):
            return b"".join(rows)
        head = bytes((2, len(columns)))
        parts = [_LOAD_PARTS[column] for column in columns]
        return b"".join([head + b"".join([row[part] for part in parts]) for row in rows])

    def between(self, access: Access, start: datetime, end: datetime) -> tuple[int, int]:
        oldest, newest = self._span(access)
        first = max(oldest, -((_EPOCH - start) // timedelta(seconds=PERIOD)))
        until = min(newest, (end - _EPOCH) // timedelta(seconds=PERIOD)) + 1
        return first - oldest, max(first, until) - oldest

    def clear(self, access: Access) -> None:
        self._cleared_at = self._newest(access)

    def _newest(self, access: Access) -> int:
        return int(access.now.timestamp() // PERIOD)

    def _span(self, access: Access) -> tuple[int, int]:
        newest = self._newest(access)
        oldest = newest - self._capacity + 1
        if self._cleared_at is not None:
            oldest = min(max(oldest, self._cleared_at + 1), newest + 1)
        return oldest, newest


_LOAD_ROW = struct.Struct(">4sHBBBBBBBhBBBBIBI")
_LOAD_PARTS = (slice(2, 16), slice(16, 18), slice(18, 23), slice(23, 28))


EVENT_COLUMNS = (CLOCK_TIME, CaptureObject(InterfaceClass.DATA, ObisCode(0, 0, 96, 11, 0, 255), 2))
"""Time and event code."""


class EventRows:
    """Events as they happened, the newest ``capacity`` of them."""

    def __init__(self, capacity: int = 100) -> None:
        self._capacity = capacity
        self._events: list[tuple[datetime, int]] = []

    @property
    def last_code(self) -> int:
        """The code of the newest event, 0 without any."""
        return self._events[-1][1] if self._events else 0

    def record(self, moment: datetime, code: int) -> None:
        """Write down an event."""
        self._events.append((moment.replace(microsecond=0), code))
        del self._events[: -self._capacity]

    def count(self, access: Access) -> int:
        return len(self._events)

    def capacity(self) -> int:
        return self._capacity

    def encoded(self, access: Access, first: int, until: int, columns: Sequence[int]) -> bytes:
        head = bytes((2, len(columns)))
        rows = []
        for moment, code in self._events[first:until]:
            time = bytes(CosemDateTime.from_datetime(moment.astimezone(access.meter.zone)))
            cells = (b"\x09\x0c" + time, bytes((0x11, code)))
            rows.append(head + b"".join([cells[column] for column in columns]))
        return b"".join(rows)

    def between(self, access: Access, start: datetime, end: datetime) -> tuple[int, int]:
        # A clock that was set back leaves times out of order; then the rows between the outermost hits are given.
        times = [moment for moment, _ in self._events]
        if all(before <= after for before, after in pairwise(times)):
            return bisect_left(times, start), bisect_right(times, end)
        hits = [index for index, moment in enumerate(times) if start <= moment <= end]
        return (hits[0], hits[-1] + 1) if hits else (0, 0)

    def clear(self, access: Access) -> None:
        self._events.clear()


def _moment(value: object, zone: tzinfo) -> datetime:
    """The limit of a range: a full date and time; without a deviation it is the meter's local time."""
    try:
        if isinstance(value, bytes) and len(value) == 12:
            return CosemDateTime.from_bytes(value).to_datetime(zone)
        if isinstance(value, CosemDateTime):
            return value.to_datetime(zone)
    except ValueError:
        pass
    raise _scope()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _scope() -> Refusal:
    return Refusal(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
