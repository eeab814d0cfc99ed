"""What a client does with a meter's clock (class 8): read, measure, set, synchronise. Generators without I/O.

What measures tells the true time by a function that the caller passes (``now``, an aware datetime each time it is
called), as nothing here reads a clock. A meter's time is compared with the middle of its request and its answer, so
half of the round trip is what the measurement may be wrong by.

Of the signs: the deviation of a date-time, and the attribute time_zone, are minutes from local time to UTC (-60 in
Central Europe). Some meters give time_zone the other way round; where the meter's time carries a deviation, that tells,
and ``ClockState.zone_reversed`` says so.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Final, TypeAlias

from cosemic.codec import axdr
from cosemic.codec.axdr import Typed, Value
from cosemic.cosem.access import ItemResult, MeterCache, Obis, Procedure, call_method, get_data, get_list, set_attribute
from cosemic.cosem.meter_zone import MeterZone
from cosemic.enums import ClockBase, DataType, InterfaceClass, known
from cosemic.errors import ActionError, DecodeError, LocalProtocolError
from cosemic.obis import ObisCode
from cosemic.times import CLOCK_DAYLIGHT_SAVING, CosemDateTime, zone_of

Now: TypeAlias = Callable[[], datetime]
"""Gives the true time, aware."""

CLOCK: Final = ObisCode(0, 0, 1, 0, 0, 255)
SHIFT_RANGE: Final = timedelta(seconds=900)
"""How far shift_time (method 6) can move a clock, either way."""

_CLASS = InterfaceClass.CLOCK
_SECOND: Final = timedelta(seconds=1)


class ClockAction(enum.Enum):
    """What ``synchronise`` did."""

    NONE = "none"
    """Nothing: the clock was right within the threshold."""
    SHIFT = "shift"
    """shift_time (method 6), by whole seconds."""
    PRESET = "preset"
    """preset_adjusting_time and adjust_to_preset_time (methods 5 and 4)."""
    SET = "set"
    """The time (attribute 2) was written."""


@dataclass(frozen=True, slots=True)
class Offset:
    """How far a clock is off: ``ahead`` is meter time minus true time, give or take ``uncertainty``."""

    ahead: timedelta
    round_trip: timedelta
    resolution: timedelta
    """A second for a time without hundredths (or with 0: then nobody knows), else a hundredth."""

    @property
    def uncertainty(self) -> timedelta:
        """Half of the round trip, and what the meter's time leaves out."""
        return self.round_trip / 2 + self.resolution

    def __str__(self) -> str:
        seconds = self.ahead / _SECOND
        word = "ahead" if seconds >= 0 else "behind"
        return f"{abs(seconds):.2f} s {word} (±{self.uncertainty / _SECOND:.2f} s)"


@dataclass(frozen=True, slots=True)
class ClockState:
    """A clock object as it was read; what the meter refused is None."""

    time: CosemDateTime
    time_zone: int | None = None
    """Minutes from normal local time to UTC, as sent."""
    status: int | None = None
    begin: CosemDateTime | None = None
    end: CosemDateTime | None = None
    saving: int | None = None
    """Minutes by which daylight saving time is ahead of normal time."""
    enabled: bool | None = None
    base: ClockBase | int | None = None
    offset: Offset | None = None
    """Measured while reading, where the caller gave ``now``."""
    time_type: DataType = DataType.OCTET_STRING

    @property
    def saves(self) -> bool | None:
        """Whether the meter's time is daylight saving time, by its status; None where it does not say."""
        status = self.time.clock_status if self.status is None else self.status
        return None if status is None else bool(status & CLOCK_DAYLIGHT_SAVING)

    @property
    def zone_reversed(self) -> bool:
        """Whether time_zone has the opposite sign of the deviation of the meter's own time."""
        if not self.time_zone or self.time.deviation is None:
            return False
        added = {0, self.saving or 0} if self.saves is None else {self.saving or 0 if self.saves else 0}
        deviation = self.time.deviation
        return not any(deviation == self.time_zone - more for more in added) and any(
            deviation == -self.time_zone - more for more in added
        )

    def zone(self, *, reversed_sign: bool | None = None) -> MeterZone:
        """The zone that the clock keeps. ``reversed_sign`` says which sign time_zone has, where the time does not tell.

        DecodeError where the attributes do not make a zone; the text says which one is missing.
        """
        if self.time_zone is None:
            raise DecodeError("the clock does not tell its time zone (attribute 3); give a zone")
        turned = self.zone_reversed if reversed_sign is None else reversed_sign
        standard = timedelta(minutes=self.time_zone if turned else -self.time_zone)
        try:
            if self.enabled is False or (self.enabled is None and self.begin is None):
                return MeterZone(standard)
            if self.saving is None or self.begin is None or self.end is None:
                raise DecodeError(
                    "the clock follows daylight saving, but does not tell when or by how much (attributes 5 to 7); "
                    "give a zone"
                )
            return MeterZone(standard, timedelta(minutes=self.saving), self.begin, self.end)
        except ValueError as error:
            raise DecodeError(f"the clock's daylight saving makes no rule: {error}; give a zone") from None

    def local_zone(self, zone: tzinfo | None = None) -> tzinfo:
        """``zone`` if given, else that of the attributes, else the deviation of the meter's time alone."""
        if zone is not None:
            return zone
        try:
            return self.zone()
        except DecodeError:
            if self.time.deviation is None:
                raise
            return zone_of(self.time.deviation)

    def moment(self, zone: tzinfo | None = None) -> datetime:
        """The time as an aware datetime, in the meter's own zone; DecodeError where it does not make one."""
        return _moment(self.time, None if self.time.deviation is not None else self.local_zone(zone))

    def write_form(self, moment: datetime, zone: tzinfo | None = None) -> Typed:
        """A point in time as this meter writes its own: same zone, with or without deviation and status, same type."""
        value = CosemDateTime.from_datetime(moment.astimezone(self.local_zone(zone)))
        if self.time.deviation is None:
            value = replace(value, deviation=None)
        if self.time.clock_status is None:
            value = replace(value, clock_status=None)
        return axdr.date_time(value) if self.time_type is DataType.DATE_TIME else axdr.octet_string(bytes(value))


@dataclass(frozen=True, slots=True)
class Synchronisation:
    """What ``synchronise`` found and did; ``after`` is measured again, None where nothing was done."""

    before: Offset
    action: ClockAction
    after: Offset | None = None
    sent: str = ""
    """What was written or called, in words."""


def read_clock_state(
    obis: Obis = CLOCK,
    *,
    now: Now | None = None,
    zone: tzinfo | None = None,
    with_list: bool = True,
    cache: MeterCache | None = None,
) -> Procedure[ClockState]:
    """Read the time and all settings of a clock, in one list where the meter has lists.

    DataAccessError when the time itself is refused, DecodeError when it is none. ``now`` has the offset measured;
    ``zone`` is for a clock that tells neither deviation nor zone.
    """
    before = None if now is None else now()
    results = yield from get_list([(_CLASS, obis, number) for number in range(2, 10)], with_list=with_list, cache=cache)
    after = None if now is None else now()
    found = {result.attribute: result for result in results}
    error = found[2].error
    if error is not None:
        raise error
    data = found[2].data
    assert data is not None
    base = _number(found[9])
    state = ClockState(
        _date_time(data.value),
        _number(found[3]),
        _number(found[4]),
        _rule(found[5]),
        _rule(found[6]),
        _number(found[7]),
        None if found[8].error is not None else bool(found[8].value),
        None if base is None else known(ClockBase, base),
        time_type=DataType.DATE_TIME if isinstance(data.value, CosemDateTime) else DataType.OCTET_STRING,
    )
    if before is None or after is None:
        return state
    return replace(state, offset=_offset(state, before, after, zone))


def read_meter_zone(
    obis: Obis = CLOCK, *, with_list: bool = True, cache: MeterCache | None = None
) -> Procedure[MeterZone]:
    """The zone that a meter's clock keeps, for timestamps that carry no deviation."""
    state = yield from read_clock_state(obis, with_list=with_list, cache=cache)
    return state.zone()


def measure_offset(
    now: Now,
    obis: Obis = CLOCK,
    *,
    samples: int = 3,
    zone: tzinfo | None = None,
    state: ClockState | None = None,
    cache: MeterCache | None = None,
) -> Procedure[Offset]:
    """How far the clock is off, by the quickest of ``samples`` readings. ``state`` saves reading the settings."""
    if samples < 1:
        raise ValueError(f"samples counts readings from 1, not {samples}")
    if state is None:
        state = yield from read_clock_state(obis, cache=cache)
    best: Offset | None = None
    for _ in range(samples):
        before = now()
        data = yield from get_data(_CLASS, obis, 2, cache=cache)
        after = now()
        found = _offset(replace(state, time=_date_time(data.value)), before, after, zone)
        if best is None or found.round_trip < best.round_trip:
            best = found
    assert best is not None
    return best


def set_time(
    moment: datetime | CosemDateTime | Now,
    obis: Obis = CLOCK,
    *,
    zone: tzinfo | None = None,
    cache: MeterCache | None = None,
) -> Procedure[None]:
    """Set the clock. An aware datetime is written as the meter writes its own time; a CosemDateTime as it is.

    A function is asked for the time when it is to be sent, so that it is not late by what is read before.
    """
    if isinstance(moment, CosemDateTime):
        value = axdr.octet_string(bytes(moment))
    elif isinstance(moment, datetime) and moment.tzinfo is None:
        raise ValueError("a clock is set with an aware datetime, or with a CosemDateTime as it is to be written")
    else:
        state = yield from read_clock_state(obis, cache=cache)
        value = state.write_form(moment if isinstance(moment, datetime) else moment(), zone)
    yield from set_attribute(_CLASS, obis, 2, value, cache=cache)


def synchronise(
    now: Now,
    obis: Obis = CLOCK,
    *,
    threshold: timedelta = timedelta(seconds=2),
    limit: timedelta = timedelta(hours=1),
    shift_limit: timedelta = SHIFT_RANGE,
    small: ClockAction = ClockAction.SHIFT,
    force: bool = False,
    samples: int = 3,
    zone: tzinfo | None = None,
    cache: MeterCache | None = None,
) -> Procedure[Synchronisation]:
    """Bring the clock to the true time by the gentlest means that will do, and measure again.

    Below ``threshold`` (or where it may be right after all, given the uncertainty) nothing is done. Up to
    ``shift_limit`` the clock is moved by ``small`` (SHIFT or PRESET; set instead where the meter refuses), beyond it is
    set. More than ``limit`` is a LocalProtocolError before anything is changed, unless ``force``: so large an error is
    often one of the zone, or of the computer's own clock.
    """
    if small not in (ClockAction.SHIFT, ClockAction.PRESET, ClockAction.SET):
        raise ValueError(f"a small error is mended by SHIFT, PRESET or SET, not by {small}")
    state = yield from read_clock_state(obis, cache=cache)
    before = yield from measure_offset(now, obis, samples=samples, zone=zone, state=state, cache=cache)
    size = abs(before.ahead)
    if size < max(threshold, before.uncertainty):
        return Synchronisation(before, ClockAction.NONE)
    if size > limit and not force:
        raise LocalProtocolError(
            f"the meter's clock is {before}, more than the limit of {limit / _SECOND:g} s: nothing was changed; see "
            "whether its zone and the computer's clock are right, then raise the limit or force it"
        )
    action, sent = ClockAction.SET, ""
    if size <= min(shift_limit, SHIFT_RANGE) and small is not ClockAction.SET:
        with contextlib.suppress(ActionError):
            if small is ClockAction.SHIFT:
                sent = yield from _shift(before, obis, cache)
            else:
                sent = yield from _preset(now, before, state, obis, zone, cache)
            action = small
    if action is ClockAction.SET:
        moment = now() + before.round_trip / 2
        yield from set_attribute(_CLASS, obis, 2, state.write_form(moment, zone), cache=cache)
        sent = f"time set to {moment.astimezone(state.local_zone(zone)).isoformat()}"
    after = yield from measure_offset(now, obis, samples=samples, zone=zone, state=state, cache=cache)
    return Synchronisation(before, action, after, sent)


def shift_time(seconds: int, obis: Obis = CLOCK, *, cache: MeterCache | None = None) -> Procedure[None]:
    """Move the clock by -900 to 900 seconds (method 6); ActionError when the meter refuses."""
    if abs(seconds) > SHIFT_RANGE / _SECOND:
        raise ValueError(f"a clock is shifted by -900 to 900 seconds, not {seconds}; set it instead")
    yield from call_method(_CLASS, obis, 6, axdr.long(seconds), cache=cache)


def adjust_to_minute(obis: Obis = CLOCK, *, cache: MeterCache | None = None) -> Procedure[None]:
    """Round the clock to the nearest full minute (method 3): right when it is called at one."""
    yield from call_method(_CLASS, obis, 3, axdr.integer(0), cache=cache)


def adjust_to_measuring_period(obis: Obis = CLOCK, *, cache: MeterCache | None = None) -> Procedure[None]:
    """Round the clock to the nearest start of a measuring period (method 2)."""
    yield from call_method(_CLASS, obis, 2, axdr.integer(0), cache=cache)


def adjust_to_quarter(obis: Obis = CLOCK, *, cache: MeterCache | None = None) -> Procedure[None]:
    """Round the clock to the nearest quarter of an hour (method 1)."""
    yield from call_method(_CLASS, obis, 1, axdr.integer(0), cache=cache)


def _shift(before: Offset, obis: Obis, cache: MeterCache | None) -> Procedure[str]:
    seconds = round(-before.ahead / _SECOND)
    yield from shift_time(seconds, obis, cache=cache)
    return f"shifted by {seconds} s"


def _preset(
    now: Now, before: Offset, state: ClockState, obis: Obis, zone: tzinfo | None, cache: MeterCache | None
) -> Procedure[str]:
    """Preset the time that will be right when the second message arrives, then let it hold."""
    moment = now() + before.round_trip * 1.5
    shown = moment + before.ahead
    minute = timedelta(minutes=1)
    times = (moment, shown - minute, shown + minute)
    parameters = axdr.structure(*(axdr.octet_string(_octets(state.write_form(time, zone))) for time in times))
    yield from call_method(_CLASS, obis, 5, parameters, cache=cache)
    yield from call_method(_CLASS, obis, 4, axdr.integer(0), cache=cache)
    return f"preset to {moment.astimezone(state.local_zone(zone)).isoformat()}"


def _octets(value: Typed) -> bytes:
    plain = value.value
    return bytes(plain) if isinstance(plain, (bytes, CosemDateTime)) else b""


def _offset(state: ClockState, before: datetime, after: datetime, zone: tzinfo | None) -> Offset:
    if after < before:
        raise LocalProtocolError("the clock that the meter is compared with went back meanwhile: measure again")
    round_trip = after - before
    resolution = timedelta(milliseconds=10) if state.time.hundredths else _SECOND
    return Offset(state.moment(zone) - (before + round_trip / 2), round_trip, resolution)


def _moment(value: CosemDateTime, zone: tzinfo | None) -> datetime:
    try:
        return value.to_datetime(zone)
    except ValueError as error:
        raise DecodeError(f"the clock shows no point in time: {error}") from None


def _date_time(value: Value) -> CosemDateTime:
    if isinstance(value, bytes) and len(value) == 12:
        return CosemDateTime.from_bytes(value)
    if isinstance(value, CosemDateTime):
        return value
    raise DecodeError(f"a clock's time is a date-time of twelve octets, not {value!r:.80}")


def _number(result: ItemResult) -> int | None:
    value = None if result.error is not None else result.value
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _rule(result: ItemResult) -> CosemDateTime | None:
    if result.error is not None:
        return None
    try:
        rule = _date_time(result.value)
    except DecodeError:
        return None
    return None if rule.month is None and rule.day is None else rule
