"""What to ask a meter for so that a store of profile rows becomes complete; a procedure without I/O of its own.

The rows of a meter have no number, and its clock may be set back, so a row is known by its content: what is read again
is compared with what is kept, and a row is new as often as it comes more often than it is kept. So a cut at any instant
costs the piece under way and nothing else, rows are neither lost nor doubled, and two equal rows are kept as two.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Protocol, TypeAlias

from cosemic.apdu.services import SelectiveAccess
from cosemic.cosem.access import MeterCache, Obis, Procedure, get, get_data
from cosemic.cosem.profile import Cell, Column, decode_profile, make_columns
from cosemic.cosem.profile_reading import PROFILE, read_definition, read_scalers, refuses_selection
from cosemic.cosem.selection import DEFAULT_STYLE, SelectorStyle, by_entry, by_range
from cosemic.enums import SortMethod
from cosemic.errors import DecodeError, LocalProtocolError, ServiceError
from cosemic.obis import ObisCode

logger = logging.getLogger("cosemic.client")

Row: TypeAlias = tuple[Cell, ...]
Content: TypeAlias = tuple[str, ...]
"""A row as text, the same for one that was read and for one that is kept."""


class Store(Protocol):
    """Where rows are kept. What ``keep`` is given is kept as a whole or not at all, whenever the process ends."""

    def open(self, profile: ObisCode, columns: Sequence[Column], meter: str | None) -> None:
        """Make the store ready for rows of this profile; ValueError where it holds another meter's or other columns."""

    def span(self) -> tuple[datetime, datetime] | None:
        """The earliest and the latest time of a row; None while there are no rows."""

    def keep(self, rows: Sequence[Row], times: Sequence[datetime]) -> int:
        """Keep for good those rows that are not kept yet; how many they were."""


def missing(contents: Sequence[Content], kept: Iterable[Content]) -> list[int]:
    """Which rows are not kept: a row is missing as often as it comes more often than it is kept."""
    there = Counter(kept)
    found: list[int] = []
    for index, content in enumerate(contents):
        if there[content] > 0:
            there[content] -= 1
        else:
            found.append(index)
    return found


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece that was read: its rows, how many of them were new, and how far it reaches in time."""

    read: int
    new: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Harvest:
    """What came of it."""

    read: int
    new: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Pace:
    """How large a piece is: ``rows`` to begin with, then what takes about ``seconds``, within the limits."""

    rows: int = 96
    seconds: float = 10.0
    least: int = 4
    most: int = 20_000

    def next(self, rows: int, took: float) -> int:
        """The rows of the next piece when ``rows`` took so many seconds; at most four times as many."""
        fitting = self.most if took <= 0 else int(rows * self.seconds / took)
        return max(self.least, min(self.most, fitting, rows * 4))


def harvest(
    obis: Obis,
    store: Store,
    now: Callable[[], float],
    *,
    since_last: bool = True,
    start: datetime | None = None,
    end: datetime | None = None,
    overlap: timedelta = timedelta(days=1),
    pace: Pace = Pace(),
    meter: str | None = None,
    zone: tzinfo | None = None,
    style: SelectorStyle = DEFAULT_STYLE,
    repeat_nulls: bool = False,
    with_list: bool = True,
    cache: MeterCache | None = None,
    progress: Callable[[Piece], object] | None = None,
) -> Procedure[Harvest]:
    """Read the rows that ``store`` lacks, oldest first, and keep each piece before the next one is asked for.

    It begins at ``start``, or else ``overlap`` before the newest row that is kept (a clock that was set back writes
    rows before it), or where nothing is kept, or not ``since_last``, at the oldest row of the meter. ``now`` is a clock
    in seconds, for the size of the pieces. ``zone`` reads timestamps without deviation. ``meter`` identifies the meter
    to the store.

    LocalProtocolError for a profile without a clock column; DecodeError for timestamps that need a ``zone``.
    """
    code = ObisCode.parse(obis)
    cache = MeterCache() if cache is None else cache
    captures, period, sort_method = yield from read_definition(code, with_list, cache)
    if not any(capture.is_clock for capture in captures):
        raise LocalProtocolError(f"{code} has no clock column: its rows cannot be told from those that are kept")
    scalers = yield from read_scalers(captures, range(len(captures)), with_list, cache)
    columns = make_columns(captures, scalers)
    store.open(code, columns, meter)
    reader = _Reader(code, columns, period, sort_method == SortMethod.LIFO, repeat_nulls, zone, style, cache)
    total = _Total(store, progress)
    count = yield from reader.entries()
    if count == 0:
        return total.result
    newest, oldest = yield from reader.ends(count)
    kept = store.span() if since_last and start is None else None
    if kept is not None:
        # What is older than the oldest row that is kept was not wanted before either.
        begin: datetime | None = max(kept[0], min(kept[1], newest or kept[1]) - overlap)
    else:
        begin = None if oldest is None else oldest - overlap
    if start is not None:
        begin = start if begin is None else max(start, begin)
    # A clock that was set back leaves rows whose time is after that of the newest row.
    until = end if newest is None else newest + overlap if end is None else min(end, newest + overlap)
    if begin is None or until is None:
        yield from reader.whole(total, start, end)
    elif (yield from reader.by_range(total, begin, until, pace, now)):
        pass
    elif not (yield from reader.by_entry(total, begin, end, count, pace, now)):
        logger.warning("reading the whole buffer of %s: the meter selects neither by range nor by entry", code)
        yield from reader.whole(total, start, end)
    return total.result


class _Total:
    """Compares what was read with what is kept, keeps what is new, and counts."""

    def __init__(self, store: Store, progress: Callable[[Piece], object] | None) -> None:
        self._store = store
        self._progress = progress
        self._read = self._new = 0
        self._first: datetime | None = None
        self._last: datetime | None = None

    @property
    def result(self) -> Harvest:
        return Harvest(self._read, self._new, self._first, self._last)

    def take(self, rows: Sequence[Row], times: Sequence[datetime]) -> None:
        if not rows:
            return
        low, high = min(times), max(times)
        new = self._store.keep(rows, times)
        self._read += len(rows)
        self._new += new
        self._first = low if self._first is None else min(self._first, low)
        self._last = high if self._last is None else max(self._last, high)
        if self._progress is not None:
            self._progress(Piece(len(rows), new, high))


class _Reader:
    """Reads pieces of one buffer, as rows in the order of their recording."""

    def __init__(
        self,
        code: ObisCode,
        columns: Sequence[Column],
        period: int,
        newest_first: bool,
        repeat_nulls: bool,
        zone: tzinfo | None,
        style: SelectorStyle,
        cache: MeterCache,
    ) -> None:
        self._code = code
        self._columns = columns
        self._clock = next(index for index, column in enumerate(columns) if column.is_clock)
        self._period = period
        self._newest_first = newest_first
        self._repeat_nulls = repeat_nulls
        self._zone = zone
        self._style = style
        self._cache = cache

    def entries(self) -> Procedure[int | None]:
        """How many rows there are; None where the meter does not say."""
        try:
            value = yield from get(PROFILE, self._code, 7, cache=self._cache)
        except ServiceError as error:
            logger.warning("%s does not tell how many rows it has (%s)", self._code, error)
            return None
        if not isinstance(value, int) or not 0 <= value < 1 << 32:
            raise DecodeError(f"{self._code}: entries_in_use is a number of 32 bits, not {value!r}")
        return value

    def ends(self, count: int | None) -> Procedure[tuple[datetime | None, datetime | None]]:
        """The times of the newest and of the oldest row; None where single rows cannot be asked for."""
        if count is None:
            return None, None
        try:
            first = yield from self._read(by_entry(1, 1))
            last = first if count == 1 else (yield from self._read(by_entry(count, count)))
        except ServiceError as error:
            if not refuses_selection(error):
                raise
            return None, None
        ends = [rows[1][0] if rows[1] else None for rows in (first, last)]
        return (ends[0], ends[1]) if self._newest_first else (ends[1], ends[0])

    def by_range(
        self, total: _Total, begin: datetime, until: datetime, pace: Pace, now: Callable[[], float]
    ) -> Procedure[bool]:
        """Pieces of time; False where the meter refuses ranges, before anything was kept."""
        rows = pace.rows
        clock = self._columns[self._clock].capture
        while begin <= until:
            end = min(until, begin + timedelta(seconds=rows * (self._period or 900)))
            started = now()
            try:
                piece = yield from self._read(by_range(begin, end, restricting=clock, style=self._style))
            except ServiceError as error:
                if not refuses_selection(error) or total.result.read:
                    raise
                logger.warning("the meter refuses selective access by range (%s)", error)
                return False
            total.take(*piece)
            if end >= until:
                break
            rows = pace.next(max(rows, len(piece[0])), now() - started) if piece[0] else min(rows * 4, pace.most)
            begin = end  # both ends belong to a range, and rows that are kept are not kept twice
        return True

    def by_entry(
        self,
        total: _Total,
        begin: datetime,
        end: datetime | None,
        count: int | None,
        pace: Pace,
        now: Callable[[], float],
    ) -> Procedure[bool]:
        """Pieces by number, from the last row that is certainly kept; False where the meter refuses entries.

        A row that is recorded meanwhile moves the numbers by one, so each piece begins with the end of the one before.
        """
        if count is None:
            return False
        try:
            position = yield from self._position(begin, count)
            rows = pace.rows
            before: Row | None = None
            steps_back = 0
            while position < count:
                started = now()
                piece = yield from self._entries(position, min(count, position + rows), count)
                if before is not None and before not in piece[0]:
                    steps_back += 1
                    if position == 0 or steps_back > _STEPS_BACK:
                        raise LocalProtocolError(f"the rows of {self._code} change faster than they can be read")
                    position = max(0, position - rows)
                    before = None
                    continue
                total.take(*_until(piece, end))
                if not piece[0] or position + rows >= count:
                    break
                before = piece[0][-1]
                position += max(1, rows - _AGAIN)
                rows = max(_AGAIN * 2, pace.next(rows, now() - started))
        except ServiceError as error:
            if not refuses_selection(error) or total.result.read:
                raise
            logger.warning("the meter refuses selective access by entry (%s)", error)
            return False
        return True

    def whole(self, total: _Total, start: datetime | None, end: datetime | None) -> Procedure[None]:
        """The whole buffer in one piece."""
        rows, times = yield from self._read(None)
        wanted = [
            index
            for index, time in enumerate(times)
            if (start is None or time >= start) and (end is None or time <= end)
        ]
        total.take([rows[index] for index in wanted], [times[index] for index in wanted])

    def _position(self, begin: datetime, count: int) -> Procedure[int]:
        """How many rows from the oldest may be left out because they are older than ``begin``: found by halving."""
        low, high = 0, count
        while high - low > _AGAIN:
            middle = (low + high) // 2
            _, times = yield from self._entries(middle, middle + 1, count)
            if times and times[0] < begin:
                low = middle
            else:
                high = middle
        return low

    def _entries(self, first: int, until: int, count: int) -> Procedure[tuple[list[Row], list[datetime]]]:
        """Rows ``first`` to before ``until``, counted from the oldest, which is 0."""
        if self._newest_first:
            return (yield from self._read(by_entry(count - until + 1, count - first)))
        return (yield from self._read(by_entry(first + 1, until)))

    def _read(self, access: SelectiveAccess | None) -> Procedure[tuple[list[Row], list[datetime]]]:
        buffer = yield from get_data(PROFILE, self._code, 2, access, decode_later=True, cache=self._cache)
        profile = decode_profile(
            self._columns,
            buffer,
            capture_period=self._period,
            newest_first=self._newest_first,
            repeat_nulls=self._repeat_nulls,
            zone=self._zone,
        )
        rows = list(profile.rows)
        if self._newest_first:
            rows.reverse()
        return rows, [self._time(row) for row in rows]

    def _time(self, row: Row) -> datetime:
        time = row[self._clock]
        if not isinstance(time, datetime):
            raise DecodeError(
                f"{self._code} has a row at {time!r}, which is no moment: where the meter leaves the deviation out, "
                "say in which zone its times are (zone)"
            )
        return time


_STEPS_BACK = 16
"""How often a piece may have lost its connection to the one before; no meter records rows so fast."""
_AGAIN = 4
"""Rows that are asked for again with the next piece."""


def _until(piece: tuple[list[Row], list[datetime]], end: datetime | None) -> tuple[list[Row], list[datetime]]:
    if end is None:
        return piece
    wanted = [index for index, time in enumerate(piece[1]) if time <= end]
    return [piece[0][index] for index in wanted], [piece[1][index] for index in wanted]
