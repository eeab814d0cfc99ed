"""Reading a profile: its columns, their units, then as little of the buffer as the meter lets one ask for."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo

from cosemic.apdu.services import SelectiveAccess
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.cosem.access import MeterCache, Obis, Procedure, get, get_data, get_list
from cosemic.cosem.profile import Profile, decode_profile, make_columns, make_profile
from cosemic.cosem.profile_cutting import between, first_row, newest_by_time
from cosemic.cosem.selection import CLOCK_TIME, DEFAULT_STYLE, CaptureObject, Moment, SelectorStyle, by_entry, by_range
from cosemic.cosem.values import SCALED_ATTRIBUTES, SCALER_ATTRIBUTE, ScalerUnit
from cosemic.enums import DataAccessResult, InterfaceClass, SortMethod
from cosemic.errors import DataAccessError, DecodeError, ExceptionResponseError, LocalProtocolError, ServiceError
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime

logger = logging.getLogger("cosemic.client")

PROFILE = int(InterfaceClass.PROFILE_GENERIC)
_EMPTY = Data.of(axdr.array())


def read_profile(
    obis: Obis,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    last: int | None = None,
    entries: tuple[int, int] | None = None,
    columns: Iterable[Obis | CaptureObject] | None = None,
    scale: bool = True,
    repeat_nulls: bool = False,
    zone: tzinfo | None = None,
    style: SelectorStyle = DEFAULT_STYLE,
    with_list: bool = True,
    cache: MeterCache | None = None,
) -> Procedure[Profile]:
    """Read a profile: all of it, the rows from ``start`` to ``end`` (both included), or the ``last`` newest ones.

    ``entries`` are the places (first, last) of rows in the buffer, counted from 1; 0 as the last is the end of it.
    ``columns`` picks columns by OBIS code or capture object. ``scale`` reads the scaler_unit of the captured registers
    and makes exact Decimals; without it the raw numbers stay. ``zone`` reads timestamps that lack their deviation.
    A meter that refuses selective access by range is asked without a choice of columns, then by entries, then for the
    whole buffer, which is cut here; each step is logged as a warning. Where the rows are sorted by a value the ``last``
    ones are those with the latest times.

    What comes in blocks is decoded as a whole, by columns where numpy is installed (see ``decode_profile``).
    """
    if last is not None and last < 1:
        raise ValueError(f"last counts rows from 1, not {last}")
    if entries is not None:
        if start is not None or end is not None or last is not None:
            raise ValueError("give entries, or last, or start and end")
        if entries[0] < 1 or 0 != entries[1] < entries[0]:
            raise ValueError(f"entries are counted from 1, the first before the last, not {entries}")
    code = ObisCode.parse(obis)
    captures, period, sort_method = yield from read_definition(code, with_list, cache)
    wanted = _wanted(captures, columns)
    if not captures:
        logger.warning("%s captures nothing: no columns and no rows", code)
        return Profile((), [])
    newest_first = sort_method == SortMethod.LIFO
    ordered = sort_method in (SortMethod.FIFO, SortMethod.LIFO)
    buffer = _Buffer(code, captures, wanted, period, newest_first, ordered, cache)
    if start is not None or end is not None:
        data, cut = yield from _by_time(buffer, start, end, style)
    elif entries is not None:
        data, cut = yield from _by_entries(buffer, *entries)
    elif last is not None and ordered:
        data, cut = (yield from _newest(buffer, last)), False
    else:
        data, cut = (yield from buffer.read(None)), False
    read = _columns_of(data, captures, wanted, whole=cut)
    scalers = (yield from read_scalers(captures, read, with_list, cache)) if scale else [None] * len(captures)
    profile = decode_profile(
        make_columns([captures[index] for index in read], [scalers[index] for index in read]),
        data,
        capture_period=period,
        newest_first=newest_first,
        repeat_nulls=repeat_nulls,
        zone=zone,
    )
    if cut and entries is not None:
        profile = profile.select(slice(entries[0] - 1, entries[1] or None))
    elif cut:
        profile = between(profile, start, end)
    if last is not None:
        profile = profile.newest(last) if ordered else newest_by_time(profile, last)
    if list(read) != list(wanted):
        columns_wanted = make_columns([captures[index] for index in wanted], [scalers[index] for index in wanted])
        profile = profile.pick([list(read).index(index) for index in wanted], columns_wanted)
    return profile


class _Buffer:
    """The buffer attribute of one profile, and what is known about it."""

    def __init__(
        self,
        code: ObisCode,
        captures: Sequence[CaptureObject],
        wanted: Sequence[int],
        period: int,
        newest_first: bool,
        ordered: bool,
        cache: MeterCache | None,
    ) -> None:
        self.code = code
        self.captures = captures
        self.wanted = wanted
        self.period = period
        self.newest_first = newest_first
        self.ordered = ordered
        self.cache = cache

    @property
    def hull(self) -> tuple[int, int]:
        """First and last wanted column, counted from 1; (1, 0) for all of them."""
        if len(self.wanted) == len(self.captures):
            return 1, 0
        return min(self.wanted) + 1, max(self.wanted) + 1

    def read(self, access: SelectiveAccess | None) -> Procedure[Data]:
        data = yield from get_data(PROFILE, self.code, 2, access, decode_later=True, cache=self.cache)
        return data

    def entries(self) -> Procedure[int]:
        value = yield from get(PROFILE, self.code, 7, cache=self.cache)
        if not isinstance(value, int) or not 0 <= value < 1 << 32:
            raise DecodeError(f"{self.code}: entries_in_use is a number of 32 bits, not {value!r}")
        return value


def read_definition(
    code: ObisCode, with_list: bool, cache: MeterCache | None
) -> Procedure[tuple[tuple[CaptureObject, ...], int, int]]:
    results = yield from get_list([(PROFILE, code, n) for n in (3, 4, 5)], with_list=with_list, cache=cache)
    captured, period, sort_method = results
    if captured.error is not None:
        known = None if cache is None else cache.captures.get(code)
        if known is None:
            raise captured.error
        captures = known
    elif isinstance(captured.value, list):
        captures = tuple(CaptureObject.from_value(element) for element in captured.value)
    else:
        raise DecodeError(f"{code}: capture_objects is an array, not {captured.value!r}")
    return (
        captures,
        period.value if isinstance(period.value, int) else 0,
        sort_method.value if isinstance(sort_method.value, int) else int(SortMethod.FIFO),
    )


def _wanted(captures: Sequence[CaptureObject], columns: Iterable[Obis | CaptureObject] | None) -> tuple[int, ...]:
    if columns is None:
        return tuple(range(len(captures)))
    wanted: list[int] = []
    for column in columns:
        if isinstance(column, CaptureObject):
            found = [index for index, capture in enumerate(captures) if capture == column]
        else:
            code = ObisCode.parse(column)
            found = [index for index, capture in enumerate(captures) if capture.obis == code]
        if not found:
            there = ", ".join(str(capture.obis) for capture in captures)
            raise ValueError(f"the profile has no column {column}; it captures {there}")
        wanted += [index for index in found if index not in wanted]
    if not wanted:
        raise ValueError("no columns are asked for; leave columns out to read all of them")
    return tuple(wanted)


def _by_time(
    buffer: _Buffer, start: Moment | None, end: Moment | None, style: SelectorStyle
) -> Procedure[tuple[Data, bool]]:
    """The buffer, and whether its rows have still to be cut to start..end."""
    restricting = next((capture for capture in buffer.captures if capture.is_clock), CLOCK_TIME)
    selected: list[CaptureObject] = []
    if len(buffer.wanted) < len(buffer.captures):
        selected = [buffer.captures[index] for index in sorted(buffer.wanted)]
    first = start if start is not None else _far(end, 2000, 1, 1, 0)
    until = end if end is not None else _far(start, 2099, 12, 31, 23)
    # Some meters select rows, but no columns: all of them then.
    for chosen in (selected, []) if selected else ([],):
        try:
            access = by_range(first, until, restricting=restricting, columns=chosen, style=style)
            return (yield from buffer.read(access)), False
        except ServiceError as error:
            if not refuses_selection(error):
                raise
            what = "a choice of columns in a range" if chosen else "selective access by range"
            logger.warning("the meter refuses %s (%s)", what, error)
    if not any(capture.is_clock for capture in buffer.captures):
        raise LocalProtocolError(f"{buffer.code} has no clock column and refuses ranges: read it whole, or by last=")
    if isinstance(start, datetime) and start.tzinfo is not None and buffer.period > 0 and buffer.ordered:
        data = yield from _since(buffer, start)
        if data is not None:
            return data, True
    logger.warning("reading the whole buffer of %s to find the rows", buffer.code)
    return (yield from buffer.read(None)), True


def _since(buffer: _Buffer, start: datetime) -> Procedure[Data | None]:
    """Entries from about ``start`` to the newest one, None when the meter does not give them."""
    try:
        count = yield from buffer.entries()
        if count == 0:
            return _EMPTY
        place = 1 if buffer.newest_first else count
        time = _time_of(buffer, (yield from buffer.read(by_entry(place, place))))
        if time is None:
            return None
        rows = min(count, max(0, int((time - start) / timedelta(seconds=buffer.period))) + 2)
        first, until = (1, rows) if buffer.newest_first else (count - rows + 1, count)
        data = yield from buffer.read(by_entry(first, until))
        # Gaps and restarts make the guess wrong; it is right when the oldest row is not later than the start.
        oldest = _time_of(buffer, data, oldest=True)
        return data if rows == count or (oldest is not None and oldest <= start) else None
    except ServiceError as error:
        if not refuses_selection(error):
            raise
        logger.warning("the meter refuses selective access by entry (%s)", error)
        return None


def _time_of(buffer: _Buffer, data: Data, *, oldest: bool = False) -> datetime | None:
    """The time of the first row, or of the oldest one; None where there is none that can be compared."""
    columns = make_columns(buffer.captures)
    clock = next(index for index, column in enumerate(columns) if column.is_clock)
    if oldest and buffer.newest_first:
        period, newest_first = buffer.period, buffer.newest_first
        profile = decode_profile(columns, data, capture_period=period, newest_first=newest_first)
        profile = profile.select(slice(len(profile) - 1, len(profile)))
    else:
        row = first_row(data)
        profile = make_profile(columns, [] if row is None else [row])
    time = profile.rows[0][clock] if len(profile) else None
    return time if isinstance(time, datetime) else None


def _by_entries(buffer: _Buffer, first: int, last: int) -> Procedure[tuple[Data, bool]]:
    """The rows at these places, and whether they have still to be counted out of the whole buffer."""
    first_column, last_column = buffer.hull
    try:
        access = by_entry(first, last, first_column=first_column, last_column=last_column)
        return (yield from buffer.read(access)), False
    except ServiceError as error:
        if not refuses_selection(error):
            raise
        logger.warning("the meter refuses selective access by entry (%s); reading the whole buffer", error)
    return (yield from buffer.read(None)), True


def _newest(buffer: _Buffer, last: int) -> Procedure[Data]:
    try:
        count = yield from buffer.entries()
        if count == 0:
            return _EMPTY
        first_column, last_column = buffer.hull
        if buffer.newest_first:
            first, until = 1, min(last, count)
        else:
            first, until = max(1, count - last + 1), count
        access = by_entry(first, until, first_column=first_column, last_column=last_column)
        return (yield from buffer.read(access))
    except ServiceError as error:
        if not refuses_selection(error):
            raise
        logger.warning("the meter refuses selective access by entry (%s); reading the whole buffer", error)
    return (yield from buffer.read(None))


def refuses_selection(error: ServiceError) -> bool:
    if isinstance(error, DataAccessError):
        return error.result not in _NO_REFUSAL
    return isinstance(error, ExceptionResponseError)


_NO_REFUSAL = (
    DataAccessResult.HARDWARE_FAULT,
    DataAccessResult.TEMPORARY_FAILURE,
    DataAccessResult.OBJECT_UNDEFINED,
    DataAccessResult.OBJECT_CLASS_INCONSISTENT,
    DataAccessResult.DATA_BLOCK_UNAVAILABLE,
    DataAccessResult.LONG_GET_ABORTED,
)


def _columns_of(data: Data, captures: Sequence[CaptureObject], wanted: Sequence[int], whole: bool) -> tuple[int, ...]:
    """Which columns the rows really hold: some meters send all of them whatever was asked for."""
    everything = tuple(range(len(captures)))
    row = first_row(data)
    if whole or row is None:
        return everything if whole else tuple(wanted)
    width = len(row)
    if width == len(captures):
        return everything
    if width == len(wanted):
        return tuple(sorted(wanted))
    return tuple(range(min(wanted), max(wanted) + 1))


def read_scalers(
    captures: Sequence[CaptureObject], read: Sequence[int], with_list: bool, cache: MeterCache | None
) -> Procedure[list[ScalerUnit | None]]:
    known = {} if cache is None else cache.scalers
    missing = []
    for index in read:
        place = (captures[index].class_id, captures[index].obis)
        if _scaler_attribute(captures[index]) and place not in known and place not in missing:
            missing.append(place)
    items = [(class_id, code, SCALER_ATTRIBUTE[class_id]) for class_id, code in missing]
    results = yield from get_list(items, with_list=with_list, cache=cache)
    for place, result in zip(missing, results, strict=True):
        if result.error is None:
            known[place] = ScalerUnit.from_value(result.value)
        else:
            logger.warning("no unit for a column: %s", result.error)
            if isinstance(result.error, DataAccessError):
                known[place] = None
    return [known.get((capture.class_id, capture.obis)) if _scaler_attribute(capture) else None for capture in captures]


def _scaler_attribute(capture: CaptureObject) -> bool:
    return not capture.data_index and capture.attribute in SCALED_ATTRIBUTES.get(capture.class_id, ())


def _far(other: Moment | None, year: int, month: int, day: int, hour: int) -> Moment:
    """An open end of a range: a time far away, with the deviation of the end that was given."""
    if isinstance(other, CosemDateTime):
        return replace(
            other, year=year, month=month, day=day, weekday=None, hour=hour, minute=0, second=0, hundredths=0
        )
    zone = None if other is None else other.tzinfo
    return datetime(year, month, day, hour, tzinfo=zone)
