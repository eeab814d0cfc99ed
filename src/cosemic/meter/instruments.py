"""The objects of the simulated meter that do something: clock, registers, demand, the switch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed
from cosemic.enums import ClockBase, ControlState, DataAccessResult, DataType, InterfaceClass
from cosemic.meter.consumption import ACTIVE_IMPORT, PERIOD
from cosemic.meter.model import Access
from cosemic.meter.objects import (
    CALL_ALL,
    CALL_MANAGER,
    CALL_READER,
    MANAGED,
    Attribute,
    MeterObject,
    Method,
    Refusal,
    Rights,
    computed,
    expect_integer,
    fixed,
    rights,
    stored,
)
from cosemic.meter.profiles import EventRows
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime
from cosemic.units import Unit

POWER_UP, CLOCK_OLD, CLOCK_NEW, DISCONNECTED, RECONNECTED = 2, 4, 5, 62, 63
"""Codes in the event log."""

_TIME_RIGHTS = rights("r", "rw", "rw")


def clock(events: EventRows) -> MeterObject:
    """The clock 0-0:1.0.0*255: runs with the meter's time, can be set and adjusted."""
    preset: list[tuple[datetime, datetime, datetime] | None] = [None]

    def move(access: Access, moment: datetime) -> None:
        events.record(access.meter.now(), CLOCK_OLD)
        access.meter.set_time(moment)
        events.record(access.meter.now(), CLOCK_NEW)

    def read(access: Access) -> Typed:
        return axdr.octet_string(bytes(CosemDateTime.from_datetime(access.meter.now())))

    def write(access: Access, data: Data) -> None:
        move(access, _date_time(access, data.value))

    def adjust(seconds: int) -> Callable[[Access, Data | None], None]:
        def call(access: Access, parameters: Data | None) -> None:
            expect_integer(parameters)
            now = access.meter.now()
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
            steps = ((now - midnight) / timedelta(seconds=seconds) + 0.5) // 1
            move(access, midnight + timedelta(seconds=steps * seconds))

        return call

    def to_preset(access: Access, parameters: Data | None) -> None:
        expect_integer(parameters)
        if preset[0] is None:
            raise Refusal(DataAccessResult.OTHER_REASON)
        moment, start, end = preset[0]
        if not start <= access.meter.now() <= end:
            raise Refusal(DataAccessResult.OTHER_REASON)
        preset[0] = None
        move(access, moment)

    def preset_time(access: Access, parameters: Data | None) -> None:
        value = None if parameters is None else parameters.value
        if not isinstance(value, tuple) or len(value) != 3:
            raise Refusal(DataAccessResult.TYPE_UNMATCHED)
        moment, start, end = (_date_time(access, part) for part in value)
        preset[0] = (moment, start, end)

    def shift(access: Access, parameters: Data | None) -> None:
        seconds = expect_integer(parameters, DataType.LONG)
        if not -900 <= seconds <= 900:
            raise Refusal(DataAccessResult.SCOPE_OF_ACCESS_VIOLATED)
        move(access, access.meter.now() + timedelta(seconds=seconds))

    def zone(access: Access) -> Typed:
        now = access.meter.now()
        offset = (now.utcoffset() or timedelta()) - (now.dst() or timedelta())
        return axdr.long(-int(offset.total_seconds() // 60))

    def status(access: Access) -> Typed:
        return axdr.unsigned(0x80 if access.meter.now().dst() else 0)

    begin = CosemDateTime(month=3, day=0xFE, weekday=7, hour=2, minute=0, second=0, hundredths=0)
    end = CosemDateTime(month=10, day=0xFE, weekday=7, hour=3, minute=0, second=0, hundredths=0)
    return MeterObject(
        InterfaceClass.CLOCK,
        ObisCode(0, 0, 1, 0, 0, 255),
        0,
        {
            2: Attribute(read, _TIME_RIGHTS, write),
            3: Attribute(zone),
            4: Attribute(status),
            5: fixed(axdr.octet_string(bytes(begin))),
            6: fixed(axdr.octet_string(bytes(end))),
            7: fixed(axdr.integer(60)),
            8: Attribute(lambda access: axdr.boolean(bool(access.meter.now().dst()))),
            9: fixed(axdr.enum(ClockBase.INTERNAL_CRYSTAL)),
        },
        {
            1: Method(adjust(900), CALL_ALL),
            2: Method(adjust(PERIOD), CALL_ALL),
            3: Method(adjust(60), CALL_ALL),
            4: Method(to_preset, CALL_MANAGER),
            5: Method(preset_time, CALL_MANAGER),
            6: Method(shift, CALL_READER),
        },
    )


def register(
    obis: ObisCode | str, read: Callable[[Access], Typed], scaler: int, unit: Unit, who: Rights = MANAGED
) -> MeterObject:
    """A register whose value is worked out when read; the manager may write over it."""
    return MeterObject(
        InterfaceClass.REGISTER,
        ObisCode.parse(obis),
        0,
        {2: computed(read, who), 3: fixed(_scaler_unit(scaler, unit))},
    )


def scratch_register(obis: ObisCode | str, value: Typed, scaler: int, unit: Unit, who: Rights) -> MeterObject:
    """A register that holds what anybody writes, and can be reset."""
    cell = stored(value, who)
    first = Data.of(value)

    def reset(access: Access, parameters: Data | None) -> None:
        expect_integer(parameters)
        assert cell.write is not None
        cell.write(access, first)

    return MeterObject(
        InterfaceClass.REGISTER,
        ObisCode.parse(obis),
        0,
        {2: cell, 3: fixed(_scaler_unit(scaler, unit))},
        {1: Method(reset, CALL_ALL)},
    )


def maximum_demand() -> MeterObject:
    """1-0:1.6.0*255: the largest quarter of this month, with its time of capture."""
    reset_at: list[datetime | None] = [None]

    def find(access: Access) -> tuple[int, datetime]:
        now = access.meter.now()
        start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        if reset_at[0] is not None:
            start = max(start, reset_at[0])
        first = -(-int(start.timestamp()) // PERIOD)
        # Days repeat: the first day of the month (or since the reset) has seen every value that there is.
        until = min(int(now.timestamp()) // PERIOD, first + 86400 // PERIOD)
        if until <= first:
            return 0, start
        interval = max(range(first, until), key=ACTIVE_IMPORT.of_interval)
        power = ACTIVE_IMPORT.of_interval(interval) * 3600 // PERIOD
        return power, datetime.fromtimestamp((interval + 1) * PERIOD, access.meter.zone)

    def reset(access: Access, parameters: Data | None) -> None:
        expect_integer(parameters)
        reset_at[0] = access.meter.now()

    return MeterObject(
        InterfaceClass.EXTENDED_REGISTER,
        ObisCode(1, 0, 1, 6, 0, 255),
        0,
        {
            2: Attribute(lambda access: axdr.double_long_unsigned(find(access)[0])),
            3: fixed(_scaler_unit(0, Unit.WATT)),
            4: fixed(axdr.unsigned(0)),
            5: Attribute(lambda access: axdr.octet_string(bytes(CosemDateTime.from_datetime(find(access)[1])))),
        },
        {1: Method(reset, CALL_MANAGER)},
    )


def demand() -> MeterObject:
    """1-0:1.4.0*255: the average power of this quarter so far, and of the one before."""

    def seconds(access: Access) -> int:
        return int(access.meter.now().timestamp())

    def started(access: Access) -> Typed:
        start = datetime.fromtimestamp(seconds(access) // PERIOD * PERIOD, access.meter.zone)
        return axdr.octet_string(bytes(CosemDateTime.from_datetime(start)))

    def current(access: Access) -> Typed:
        interval, rest = divmod(seconds(access), PERIOD)
        return axdr.double_long_unsigned(ACTIVE_IMPORT.of_interval(interval) * 3600 // PERIOD * rest // PERIOD)

    return MeterObject(
        InterfaceClass.DEMAND_REGISTER,
        ObisCode(1, 0, 1, 4, 0, 255),
        0,
        {
            2: Attribute(current),
            3: Attribute(lambda access: axdr.double_long_unsigned(ACTIVE_IMPORT.power(seconds(access) - PERIOD))),
            4: fixed(_scaler_unit(0, Unit.WATT)),
            5: fixed(axdr.unsigned(0)),
            6: Attribute(started),
            7: Attribute(started),
            8: fixed(axdr.double_long_unsigned(PERIOD)),
            9: fixed(axdr.long_unsigned(1)),
        },
    )


class Switch:
    """The supply switch: disconnect control 0-0:96.3.10*255."""

    def __init__(self, events: EventRows) -> None:
        self.state = ControlState.CONNECTED
        self._events = events
        self._mode = stored(axdr.enum(2), MANAGED)

    @property
    def closed(self) -> bool:
        """Whether the customer has power."""
        return self.state is ControlState.CONNECTED

    def meter_object(self) -> MeterObject:
        """The object that clients see."""
        return MeterObject(
            InterfaceClass.DISCONNECT_CONTROL,
            ObisCode(0, 0, 96, 3, 10, 255),
            0,
            {
                2: Attribute(lambda access: axdr.boolean(self.closed)),
                3: Attribute(lambda access: axdr.enum(self.state)),
                4: Attribute(self._mode.read, MANAGED, self._set_mode),
            },
            {1: Method(self._disconnect, CALL_MANAGER), 2: Method(self._reconnect, CALL_MANAGER)},
        )

    def _set_mode(self, access: Access, data: Data) -> None:
        if isinstance(data.value, int) and not 0 <= data.value <= 6:
            raise Refusal(DataAccessResult.OTHER_REASON)
        assert self._mode.write is not None
        self._mode.write(access, data)

    def _control_mode(self, access: Access) -> int:
        value = Data.of(self._mode.read(access)).value
        assert isinstance(value, int)
        return value

    def _disconnect(self, access: Access, parameters: Data | None) -> None:
        expect_integer(parameters)
        if self._control_mode(access) == 0:
            raise Refusal(DataAccessResult.OTHER_REASON)
        if self.state is not ControlState.DISCONNECTED:
            self.state = ControlState.DISCONNECTED
            self._events.record(access.meter.now(), DISCONNECTED)

    def _reconnect(self, access: Access, parameters: Data | None) -> None:
        expect_integer(parameters)
        mode = self._control_mode(access)
        if mode == 0:
            raise Refusal(DataAccessResult.OTHER_REASON)
        if self.state is not ControlState.DISCONNECTED:
            return
        # Modes 2 and 4 close the switch from afar; the others only allow somebody at the meter to do it.
        self.state = ControlState.CONNECTED if mode in (2, 4) else ControlState.READY_FOR_RECONNECTION
        if self.closed:
            self._events.record(access.meter.now(), RECONNECTED)


def _scaler_unit(scaler: int, unit: Unit) -> Typed:
    return axdr.structure(axdr.integer(scaler), axdr.enum(unit))


def _date_time(access: Access, value: object) -> datetime:
    if isinstance(value, bytes) and len(value) == 12:
        value = CosemDateTime.from_bytes(value)
    if not isinstance(value, CosemDateTime):
        raise Refusal(DataAccessResult.TYPE_UNMATCHED)
    try:
        moment = value.to_datetime(access.meter.zone)
    except ValueError:
        raise Refusal(DataAccessResult.OTHER_REASON) from None
    if not 2000 <= moment.year <= 2099:
        raise Refusal(DataAccessResult.OTHER_REASON)
    return moment
