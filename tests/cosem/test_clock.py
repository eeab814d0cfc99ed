"""The clock of a meter: reading, measuring, setting and synchronising, with a true time that the test makes."""

import contextlib
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.codec import axdr
from cosemic.cosem import clock
from cosemic.cosem.clock import ClockAction
from cosemic.cosem.meter_zone import MeterZone
from cosemic.enums import ClockBase, DataAccessResult
from cosemic.errors import DataAccessError, DecodeError, LocalProtocolError
from cosemic.meter.demo import demo_meter
from cosemic.protocol.requests import Action, Set
from cosemic.times import CosemDateTime
from tests.cosem.driving import ScriptedMeter, drive

CLOCK = "0-0:1.0.0*255"
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
BEGIN = CosemDateTime(month=3, day=0xFE, weekday=7, hour=2, minute=0, second=0)
END = CosemDateTime(month=10, day=0xFE, weekday=7, hour=3, minute=0, second=0)
BERLIN = MeterZone(HOUR, HOUR, BEGIN, END)


class World:
    """True time, a meter whose clock runs with it, and a line that takes time each way."""

    def __init__(self, *, there=0.2, back=0.2, zone=BERLIN, start=datetime(2025, 7, 1, 10, tzinfo=UTC)):
        self.time = start
        self.there, self.back = timedelta(seconds=there), timedelta(seconds=back)
        self.meter = demo_meter(profile_rows=10, clock=lambda: self.time, zone=zone)
        self.requests = []

    def now(self):
        return self.time

    def run(self, procedure, sap=(1, 1)):
        def execute(request):
            self.requests.append(request)
            self.time += self.there
            answer = self.meter.execute(sap, request)
            self.time += self.back
            return answer

        return drive(procedure, execute)

    def off_by(self):
        return self.meter.now() - self.time

    def changes(self):
        return [request for request in self.requests if isinstance(request, Set | Action)]


def put(text):
    return axdr.octet_string(bytes.fromhex(text))


# reading


def test_everything_is_read_in_one_list():
    world = World()
    state = world.run(clock.read_clock_state(now=world.now))
    assert len(world.requests) == 1
    assert len(world.requests[0].items) == 8
    assert state.moment() == datetime(2025, 7, 1, 10, 0, 0, 200_000, tzinfo=UTC)
    assert (state.time_zone, state.saving, state.enabled, state.saves) == (-60, 60, True, True)
    assert state.base is ClockBase.INTERNAL_CRYSTAL
    assert state.offset.ahead == timedelta()
    assert state.offset.round_trip == 0.4 * SECOND
    assert state.zone().utcoffset(datetime(2025, 7, 1)) == 2 * HOUR
    assert state.zone().utcoffset(datetime(2025, 1, 1)) == HOUR


def test_what_the_meter_refuses_is_none_and_a_refused_time_an_error():
    state = drive(clock.read_clock_state(), ScriptedMeter({(8, CLOCK, 2): put("07E90701020A0000FF800000")}))
    assert (state.time_zone, state.status, state.begin, state.enabled, state.offset) == (None,) * 5
    with pytest.raises(DecodeError, match="give a zone"):
        state.moment()
    assert state.moment(BERLIN) == datetime(2025, 7, 1, 8, tzinfo=UTC)
    with pytest.raises(DataAccessError):
        drive(clock.read_clock_state(), ScriptedMeter({}))


def test_a_time_that_is_none_is_a_decode_error():
    with pytest.raises(DecodeError, match="twelve octets"):
        drive(clock.read_clock_state(), ScriptedMeter({(8, CLOCK, 2): axdr.unsigned(3)}))
    nowhere = drive(clock.read_clock_state(), ScriptedMeter({(8, CLOCK, 2): put("FFFFFFFFFFFFFFFFFF800000")}))
    with pytest.raises(DecodeError, match="time zone"):
        nowhere.moment()
    with pytest.raises(DecodeError, match="no point in time"):
        nowhere.moment(UTC)


def clock_object(time, zone, *, begin=BEGIN, end=END, saving=60, enabled=True, status=0x80):
    return ScriptedMeter({
        (8, CLOCK, 2): put(time),
        (8, CLOCK, 3): axdr.long(zone),
        (8, CLOCK, 4): axdr.unsigned(status),
        (8, CLOCK, 5): axdr.octet_string(bytes(begin)),
        (8, CLOCK, 6): axdr.octet_string(bytes(end)),
        (8, CLOCK, 7): axdr.integer(saving),
        (8, CLOCK, 8): axdr.boolean(enabled),
    })  # fmt: skip


def test_the_zone_of_a_clock_without_deviation():
    # 1 July 2025 12:00, deviation not specified, time_zone -60
    state = drive(clock.read_clock_state(), clock_object("07E90701020C0000FF800080", -60))
    assert not state.zone_reversed
    assert state.moment() == datetime(2025, 7, 1, 10, tzinfo=UTC)
    assert drive(clock.read_meter_zone(), clock_object("07E90701020C0000FF800080", -60)) == BERLIN


@pytest.mark.parametrize(
    "time, status, zone, turned",
    [
        ("07E90701020C0000FFFF8880", 0x80, -60, False),  # 12:00, deviation -120 in summer
        ("07E90701020C0000FFFF8880", 0x80, 60, True),
        ("07E90101030C0000FFFFC400", 0x00, -60, False),  # deviation -60 in winter
        ("07E90101030C0000FFFFC400", 0x00, 60, True),
        ("07E90701020C0000FFFF88FF", None, 60, True),
    ],
)
def test_which_sign_a_time_zone_has_is_told_by_the_deviation(time, status, zone, turned):
    meter = clock_object(time, zone, status=status or 0)
    if status is None:
        del meter.values[8, clock.CLOCK, 4]
    state = drive(clock.read_clock_state(), meter)
    assert state.zone_reversed is turned
    assert state.zone().standard == HOUR


def test_a_reversed_zone_without_deviation_has_to_be_told():
    state = drive(clock.read_clock_state(), clock_object("07E90701020C0000FF800080", 60))
    assert state.zone().standard == -HOUR
    assert state.zone(reversed_sign=True) == BERLIN


def test_a_clock_without_rules_has_no_zone_but_a_deviation():
    never = CosemDateTime()
    state = drive(clock.read_clock_state(), clock_object("07E90701020C0000FFFF8880", -60, begin=never, end=never))
    with pytest.raises(DecodeError, match="does not tell when"):
        state.zone()
    assert state.local_zone().utcoffset(None) == 2 * HOUR
    off = drive(clock.read_clock_state(), clock_object("07E90701020C0000FF800080", -60, enabled=False))
    assert off.zone() == MeterZone(HOUR)


# measuring


@pytest.mark.parametrize("seconds", [-4000, -30, 0, 7, 86400])
def test_the_offset_is_measured(seconds):
    world = World(there=0.5, back=0.5)
    world.meter.offset = timedelta(seconds=seconds)
    found = world.run(clock.measure_offset(world.now))
    assert found.ahead == timedelta(seconds=seconds)
    assert found.round_trip == SECOND


def test_the_true_offset_lies_within_the_uncertainty_however_the_line_takes_its_time():
    for there, back in ((0.01, 3.0), (3.0, 0.01), (1.0, 1.0)):
        world = World(there=there, back=back)
        world.meter.offset = 5 * SECOND
        found = world.run(clock.measure_offset(world.now))
        assert abs(found.ahead - 5 * SECOND) <= found.uncertainty


def test_the_quickest_of_several_readings_counts():
    world = World()
    delays = iter((5.0, 4.0, 0.1, 3.0))

    def execute(request):
        world.time += timedelta(seconds=next(delays))
        return world.meter.execute((1, 1), request)

    found = drive(clock.measure_offset(world.now, samples=3), execute)
    assert found.round_trip == 0.1 * SECOND


def test_a_reference_that_goes_back_is_noticed():
    world = World(back=-1.0)
    with pytest.raises(LocalProtocolError, match="went back"):
        world.run(clock.measure_offset(world.now))


# setting and synchronising


def test_a_right_clock_is_left_alone():
    world = World()
    world.meter.offset = SECOND
    done = world.run(clock.synchronise(world.now))
    assert done.action is ClockAction.NONE
    assert world.changes() == []


@pytest.mark.parametrize("seconds", [-899, -5, 5, 899])
def test_a_small_error_is_shifted_away(seconds):
    world = World()
    world.meter.offset = timedelta(seconds=seconds)
    done = world.run(clock.synchronise(world.now))
    assert done.action is ClockAction.SHIFT
    assert [request.items[0].method for request in world.changes()] == [6]
    assert abs(world.off_by()) <= SECOND
    assert abs(done.after.ahead) <= done.after.uncertainty


def test_an_error_larger_than_a_shift_is_set():
    world = World()
    world.meter.offset = timedelta(minutes=20)
    done = world.run(clock.synchronise(world.now))
    assert done.action is ClockAction.SET
    assert abs(world.off_by()) < 0.1 * SECOND
    assert "2025-07-01T12:00:" in done.sent


def test_the_time_can_be_preset():
    world = World()
    world.meter.offset = 30 * SECOND
    done = world.run(clock.synchronise(world.now, small=ClockAction.PRESET))
    assert done.action is ClockAction.PRESET
    assert [request.items[0].method for request in world.changes()] == [5, 4]
    assert abs(world.off_by()) < 0.1 * SECOND


def test_where_the_meter_does_not_shift_it_is_set():
    world = World()
    world.meter.offset = 30 * SECOND
    world.meter.faults.force_method(8, CLOCK, 6, DataAccessResult.READ_WRITE_DENIED)
    assert world.run(clock.synchronise(world.now)).action is ClockAction.SET
    assert abs(world.off_by()) < 0.1 * SECOND


def test_beyond_the_limit_nothing_is_changed_unless_forced():
    world = World()
    world.meter.offset = 2 * HOUR
    with pytest.raises(LocalProtocolError, match=r"7200.00 s ahead .* limit of 3600 s: nothing was changed"):
        world.run(clock.synchronise(world.now))
    assert world.changes() == []
    assert world.run(clock.synchronise(world.now, force=True)).action is ClockAction.SET
    assert abs(world.off_by()) < 0.1 * SECOND


def test_a_time_is_written_as_the_meter_writes_its_own():
    state = drive(clock.read_clock_state(), clock_object("07E90701020C0000FF8000FF", -60))
    moment = datetime(2025, 12, 24, 17, 30, tzinfo=UTC)
    assert state.write_form(moment) == put("07E90C18 03121E00 00 8000 FF")
    state = drive(clock.read_clock_state(), clock_object("07E90701020C0000FFFF8880", -60))
    assert state.write_form(moment) == put("07E90C18 03121E00 00 FFC4 00")
    summer = datetime(2025, 7, 1, 10, tzinfo=UTC)
    assert state.write_form(summer) == put("07E90701 020C0000 00 FF88 80")


def test_set_in_the_hour_that_is_there_twice():
    for hour, folded in ((0, 0), (1, 1)):
        world = World(start=datetime(2025, 10, 25, tzinfo=UTC))
        world.run(clock.set_time(datetime(2025, 10, 26, hour, 30, tzinfo=UTC)))
        assert world.meter.now().astimezone(UTC).hour == hour
        assert world.meter.now().fold == folded


def test_a_naive_time_is_refused():
    with pytest.raises(ValueError, match="aware"):
        drive(clock.set_time(datetime(2025, 1, 1)), None)
    with pytest.raises(ValueError, match="900"):
        drive(clock.shift_time(901), None)


def test_rounding_methods():
    for method, number in (
        (clock.adjust_to_quarter, 1),
        (clock.adjust_to_measuring_period, 2),
        (clock.adjust_to_minute, 3),
    ):
        world = World(zone=timezone(HOUR))
        world.meter.offset = 20 * SECOND
        world.run(method())
        assert [request.items[0].method for request in world.changes()] == [number]
        assert abs(world.off_by()) < 0.5 * SECOND


twelve = st.binary(min_size=12, max_size=12).map(axdr.octet_string)
likely = st.builds(
    CosemDateTime,
    st.none() | st.sampled_from([1, 2025, 9999]),
    st.none() | st.sampled_from([1, 3, 10, 13, 0xFD]),
    st.none() | st.sampled_from([1, 31, 0xFD, 0xFE]),
    st.none() | st.sampled_from([7, 9]),
    st.none() | st.sampled_from([0, 2, 24]),
    st.sampled_from([0, 61]),
    st.just(0),
    st.none() | st.just(0),
    st.none() | st.sampled_from([0, -60, 32767]),
    st.none() | st.just(0x80),
).map(lambda value: axdr.octet_string(bytes(value)))
anything = st.sampled_from([axdr.null_data(), axdr.unsigned(3), axdr.array(), axdr.octet_string(b"")])


@given(st.tuples(
    likely | twelve,
    st.sampled_from([-60, 60, 0, -32768, 32767]).map(axdr.long) | anything,
    st.integers(0, 255).map(axdr.unsigned) | anything,
    likely | twelve | anything,
    likely | twelve | anything,
    st.integers(-128, 127).map(axdr.integer) | anything,
    st.booleans().map(axdr.boolean) | anything,
    st.integers(0, 255).map(axdr.enum) | anything,
))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_whatever_a_clock_shows_is_read_or_a_decode_error(values):
    meter = ScriptedMeter({(8, CLOCK, number): value for number, value in enumerate(values, 2)})
    world = World()
    with contextlib.suppress(DecodeError):
        state = drive(clock.read_clock_state(), meter)
        assert isinstance(state.zone_reversed, bool)
        with contextlib.suppress(DecodeError):
            state.zone().utcoffset(datetime(2025, 7, 1))
        state.moment()
        state.write_form(world.now())
        drive(clock.measure_offset(world.now, state=state), meter)
