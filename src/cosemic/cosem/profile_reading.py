"""Reading a profile: its columns, their units, then as little of the buffer as the meter lets one ask for."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo

from cosemic.apdu.services import SelectiveAccess
from cosemic.codec.axdr import Value
from cosemic.cosem.access import MeterCache, Obis, Procedure, get, get_list
from cosemic.cosem.profile import Profile, make_columns, make_profile
from cosemic.cosem.selection import CLOCK_TIME, DEFAULT_STYLE, CaptureObject, Moment, SelectorStyle, by_entry, by_range
from cosemic.cosem.values import ScalerUnit
from cosemic.enums import DataAccessResult, InterfaceClass, SortMethod
from cosemic.errors import DataAccessError, DecodeError, ExceptionResponseError, LocalProtocolError, ServiceError
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime

logger = logging.getLogger("cosemic.client")

PROFILE = int(InterfaceClass.PROFILE_GENERIC)


def read_profile(
    obis: Obis,
    *,
    start: Moment | None = None,
    end: Moment | None = None,
    last: int | None = None,
    columns: Iterable[Obis | CaptureObject] | None = None,
    scale: bool = True,
    repeat_nulls: bool = False,
    zone: tzinfo | None = None,
    style: SelectorStyle = DEFAULT_STYLE,
    with_list: bool = True,
    cache: MeterCache | None = None,
) -> Procedure[Profile]:
    """Read a profile: all of it, the rows from ``start`` to ``end`` (both included), or the ``last`` newest ones.

    ``columns`` picks columns by OBIS code or capture object. ``scale`` reads the scaler_unit of the captured registers
    and makes exact Decimals; without it the raw numbers stay. ``zone`` reads timestamps that lack their deviation.
    A meter that refuses selective access by range is asked by entries, then for the whole buffer, which is cut here;
    each step is logged as a warning.
    """
    if last is not None and last < 1:
        raise ValueError(f"last counts rows from 1, not {last}")
    code = ObisCode.parse(obis)
    captures, period, sort_method = yield from read_definition(code, with_list, cache)
    wanted = _wanted(captures, columns)
    if not captures:
        logger.warning("%s captures nothing: no columns and no rows", code)
        return Profile((), [])
    newest_first = sort_method == SortMethod.LIFO
    buffer = _Buffer(code, captures, wanted, period, newest_first, cache)
    if start is not None or end is not None:
        value, cut = yield from _by_time(buffer, start, end, style)
    elif last is not None:
        value, cut = (yield from _newest(buffer, last)), False
    else:
        value, cut = (yield from buffer.read(None)), False
    read = _columns_of(value, captures, wanted, cut)
    scalers = (yield from read_scalers(captures, read, with_list, cache)) if scale else [None] * len(captures)
    profile = make_profile(
        make_columns([captures[index] for index in read], [scalers[index] for index in read]),
        value,
        capture_period=period,
        newest_first=newest_first,
        repeat_nulls=repeat_nulls,
        zone=zone,
    )
    if cut:
        profile = _between(profile, start, end)
    if list(read) != list(wanted):
        profile = _pick(profile, [list(read).index(index) for index in wanted], captures, scalers, wanted)
    if last is not None and len(profile.rows) > last:
        rows = profile.rows[:last] if newest_first else profile.rows[-last:]
        profile = Profile(profile.columns, rows)
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
        cache: MeterCache | None,
    ) -> None:
        self.code = code
        self.captures = captures
        self.wanted = wanted
        self.period = period
        self.newest_first = newest_first
        self.cache = cache

    @property
    def hull(self) -> tuple[int, int]:
        """First and last wanted column, counted from 1; (1, 0) for all of them."""
        if len(self.wanted) == len(self.captures):
            return 1, 0
        return min(self.wanted) + 1, max(self.wanted) + 1

    def read(self, access: SelectiveAccess | None) -> Procedure[Value]:
        value = yield from get(PROFILE, self.code, 2, access, cache=self.cache)
        return value

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
) -> Procedure[tuple[Value, bool]]:
    """The buffer, and whether its rows have still to be cut to start..end."""
    restricting = next((capture for capture in buffer.captures if capture.is_clock), CLOCK_TIME)
    selected: list[CaptureObject] = []
    if len(buffer.wanted) < len(buffer.captures):
        selected = [buffer.captures[index] for index in sorted(buffer.wanted)]
    first = start if start is not None else _far(end, 2000, 1, 1, 0)
    until = end if end is not None else _far(start, 2099, 12, 31, 23)
    try:
        access = by_range(first, until, restricting=restricting, columns=selected, style=style)
        return (yield from buffer.read(access)), False
    except ServiceError as error:
        if not refuses_selection(error):
            raise
        logger.warning("the meter refuses selective access by range (%s)", error)
    if not any(capture.is_clock for capture in buffer.captures):
        raise LocalProtocolError(f"{buffer.code} has no clock column and refuses ranges: read it whole, or by last=")
    if isinstance(start, datetime) and start.tzinfo is not None and buffer.period > 0 and not buffer.newest_first:
        value = yield from _since(buffer, start)
        if value is not None:
            return value, True
    logger.warning("reading the whole buffer of %s to find the rows", buffer.code)
    return (yield from buffer.read(None)), True


def _since(buffer: _Buffer, start: datetime) -> Procedure[Value]:
    """Entries from about ``start`` to the newest one, None when the meter does not give them."""
    try:
        count = yield from buffer.entries()
        if count == 0:
            return []
        newest = yield from buffer.read(by_entry(count, count))
        time = _first_time(buffer, newest)
        if time is None:
            return None
        first = max(1, count - max(0, int((time - start) / timedelta(seconds=buffer.period))) - 1)
        value = yield from buffer.read(by_entry(first, count))
        earliest = _first_time(buffer, value)
        # Gaps and restarts make the guess wrong; it is right when the first row is not later than the start.
        return value if earliest is not None and (first == 1 or earliest <= start) else None
    except ServiceError as error:
        if not refuses_selection(error):
            raise
        logger.warning("the meter refuses selective access by entry (%s)", error)
        return None


def _first_time(buffer: _Buffer, value: Value) -> datetime | None:
    if not isinstance(value, list) or not value:
        return None
    profile = make_profile(make_columns(buffer.captures), value[:1])
    index = next(index for index, capture in enumerate(buffer.captures) if capture.is_clock)
    time = profile.rows[0][index]
    return time if isinstance(time, datetime) else None


def _newest(buffer: _Buffer, last: int) -> Procedure[Value]:
    try:
        count = yield from buffer.entries()
        if count == 0:
            return []
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


def _columns_of(value: Value, captures: Sequence[CaptureObject], wanted: Sequence[int], cut: bool) -> tuple[int, ...]:
    """Which columns the rows really hold: some meters send all of them whatever was asked for."""
    everything = tuple(range(len(captures)))
    if cut or not isinstance(value, list) or not value or not isinstance(value[0], tuple):
        return everything if cut else tuple(wanted)
    width = len(value[0])
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
    items = [(class_id, code, 4 if class_id == InterfaceClass.DEMAND_REGISTER else 3) for class_id, code in missing]
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
    if capture.data_index:
        return False
    if capture.class_id in (InterfaceClass.REGISTER, InterfaceClass.EXTENDED_REGISTER):
        return capture.attribute == 2
    return capture.class_id == InterfaceClass.DEMAND_REGISTER and capture.attribute in (2, 3)


def _between(profile: Profile, start: Moment | None, end: Moment | None) -> Profile:
    index = next(index for index, column in enumerate(profile.columns) if column.is_clock)
    low, high = _comparable(start), _comparable(end)
    rows = []
    for row in profile.rows:
        time = row[index]
        if not isinstance(time, datetime):
            if isinstance(time, CosemDateTime):
                raise DecodeError(
                    f"the meter does not select rows, and its timestamps ({time}) cannot be compared without a zone"
                )
            continue
        if (low is None or time >= _in(low, time)) and (high is None or time <= _in(high, time)):
            rows.append(row)
    return Profile(profile.columns, rows)


def _comparable(moment: Moment | None) -> datetime | None:
    if isinstance(moment, CosemDateTime):
        return moment.to_datetime()
    return moment


def _in(moment: datetime, time: datetime) -> datetime:
    """A naive limit is meant in the meter's local time."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=time.tzinfo)


def _pick(
    profile: Profile,
    places: Sequence[int],
    captures: Sequence[CaptureObject],
    scalers: Sequence[ScalerUnit | None],
    wanted: Sequence[int],
) -> Profile:
    columns = make_columns([captures[index] for index in wanted], [scalers[index] for index in wanted])
    return Profile(columns, [tuple(row[place] for place in places) for row in profile.rows])


def _far(other: Moment | None, year: int, month: int, day: int, hour: int) -> Moment:
    """An open end of a range: a time far away, with the deviation of the end that was given."""
    if isinstance(other, CosemDateTime):
        return replace(
            other, year=year, month=month, day=day, weekday=None, hour=hour, minute=0, second=0, hundredths=0
        )
    zone = None if other is None else other.tzinfo
    return datetime(year, month, day, hour, tzinfo=zone)
