"""The pushes of a meter over fake time: schedules, windows, random delays, retries, confirmations, resets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cosemic.apdu.base import decode_apdu
from cosemic.apdu.notify import DataNotification, DataNotificationConfirm
from cosemic.codec import axdr
from cosemic.cosem.push_objects import (
    PUSH_SCHEDULE,
    PUSH_SCRIPTS,
    PUSH_SETUP,
    OperationMethod,
    PushDestination,
    RepetitionDelay,
    TransportService,
    Window,
)
from cosemic.cosem.tariff_tables import encode_execution_times
from cosemic.enums import ActionResult, DataAccessResult
from cosemic.link.wrapper import WrapperPdu
from cosemic.meter.action_schedules import every
from cosemic.meter.demo import METER_ZONE, demo_meter
from cosemic.meter.demo_pushes import demo_agenda
from cosemic.meter.pushing import Outcome, PushAgenda, PushEnded
from cosemic.protocol.requests import Action, Set
from cosemic.times import CosemDate, CosemDateTime, CosemTime

MANAGER = (1, 1)
START = datetime(2026, 7, 1, 10, 0, 0, 500_000, tzinfo=UTC)
TO = PushDestination(TransportService.TCP, b"head-end:4059")


class Bench:
    """A meter with its agenda; one fake clock for both."""

    def __init__(self, **options):
        self.now = 1000.0
        self.ended: list[PushEnded] = []
        self.meter = demo_meter(profile_rows=4, clock=lambda: START + timedelta(seconds=self.now - 1000))
        self.random = 0.0
        setup_options = {name: options.pop(name) for name in list(options) if name not in _AGENDA}
        self.agenda = demo_agenda(self.meter, destination=TO, on_ended=self.ended.append, **options)
        (self.setup,) = self.agenda.setups
        self.setup.options = replace(self.setup.options, **setup_options)
        self.agenda._random = lambda: self.random
        self.agenda.on_time(self.now)

    def push(self):
        self.agenda.push(self.setup, self.now)
        return self.agenda.deliveries()

    def later(self, seconds=0.0):
        self.now += seconds
        self.agenda.on_time(self.now)
        return self.agenda.deliveries()

    def wait(self, most=100_000.0):
        """Go on to the next deadlines until there is something to send; how long that took."""
        began = self.now
        while self.now - began <= most:
            due = self.agenda.next_deadline()
            if due is None or due - began > most:
                return None, []
            assert due >= self.now
            self.now = due
            self.agenda.on_time(self.now)
            if deliveries := self.agenda.deliveries():
                return self.now - began, deliveries
        return None, []

    def call(self, class_id, obis, method, parameter):
        (outcome,) = self.meter.execute(MANAGER, Action.one(class_id, obis, method, parameter)).results
        return outcome.result

    def put(self, class_id, obis, attribute, value):
        (result,) = self.meter.execute(MANAGER, Set.one(class_id, obis, attribute, value)).results
        return result


_AGENDA = ("every_seconds", "protection", "framing", "send_timeout", "confirm_timeout")


def notification(delivery) -> DataNotification:
    octets = b"".join(WrapperPdu.decode(frame).apdu for frame in delivery.frames)
    apdu = decode_apdu(octets)
    assert isinstance(apdu, DataNotification)
    return apdu


def test_a_push_is_one_wrapper_pdu_from_the_device_to_the_push_client():
    bench = Bench()
    (delivery,) = bench.push()
    pdu = WrapperPdu.decode(delivery.frames[0])
    assert (pdu.source, pdu.destination) == (1, 103)
    apdu = notification(delivery)
    assert not apdu.confirmed
    assert not apdu.high_priority
    assert apdu.self_descriptive
    time = CosemDateTime.from_bytes(apdu.date_time)
    assert time.to_datetime() == bench.meter.now().replace(microsecond=500_000)
    assert (time.deviation, time.clock_status) == (-60, 0)
    listed, clock, *_ = apdu.body.typed.elements
    assert len(listed.elements) == len(apdu.body.typed.elements)
    assert clock.value == apdu.date_time
    bench.agenda.delivered(delivery, bench.now)
    assert bench.ended == [PushEnded(bench.setup, Outcome.SENT, 1)]
    assert bench.agenda.next_deadline() is None or bench.agenda.next_deadline() > bench.now + 60


def test_invoke_ids_rise():
    bench = Bench()
    seen = []
    for _ in range(3):
        (delivery,) = bench.push()
        seen.append(notification(delivery).long_invoke_id)
        bench.agenda.delivered(delivery, bench.now)
    assert seen == [1, 2, 3]


def test_a_schedule_of_ten_seconds_pushes_at_full_tens_of_the_meters_clock():
    bench = Bench(every_seconds=10)
    times = []
    for _ in range(4):
        _, (delivery,) = bench.wait()
        times.append(bench.meter.now())
        bench.agenda.delivered(delivery, bench.now)
    first = datetime(2026, 7, 1, 11, 0, 10, tzinfo=METER_ZONE)
    assert times == [first + timedelta(seconds=10 * number) for number in range(4)]


def test_a_client_writes_the_schedule_and_the_agenda_follows():
    bench = Bench()
    told = []
    bench.meter.watchers.append(lambda: told.append(1))
    assert bench.wait(most=50 * 86400)[1] == []
    times = encode_execution_times([(CosemTime(6, 30, 0, 0), CosemDate())])
    assert bench.put(22, PUSH_SCHEDULE, 4, times) is DataAccessResult.SUCCESS
    assert told == [1]
    bench.later()
    waited, (delivery,) = bench.wait()
    assert bench.meter.now().replace(microsecond=0) == bench.meter.now()
    assert (bench.meter.now().hour, bench.meter.now().minute) == (6, 30)
    bench.agenda.delivered(delivery, bench.now)
    assert bench.put(22, PUSH_SCHEDULE, 4, axdr.array()) is DataAccessResult.SUCCESS
    bench.later()
    assert bench.wait(most=3 * 86400)[1] == []
    assert waited is not None


def test_what_the_clock_jumps_over_is_not_made_up_for():
    bench = Bench()
    bench.put(22, PUSH_SCHEDULE, 4, encode_execution_times([(CosemTime(12, 0, 0, 0), CosemDate())]))
    bench.later()
    bench.meter.set_time(datetime(2026, 7, 1, 13, 0, tzinfo=METER_ZONE))
    assert bench.later() == []
    _, deliveries = bench.wait()
    assert len(deliveries) == 1
    assert bench.meter.now() == datetime(2026, 7, 2, 12, 0, tzinfo=METER_ZONE)


def test_a_computer_that_slept_pushes_once():
    bench = Bench(every_seconds=10)
    deliveries = bench.later(3600.0)
    assert len(deliveries) == 1
    bench.agenda.delivered(deliveries[0], bench.now)
    assert bench.later() == []


def test_the_method_pushes_and_a_client_without_the_right_may_not():
    bench = Bench()
    assert bench.call(40, PUSH_SETUP, 1, axdr.integer(0)) is ActionResult.SUCCESS
    assert len(bench.later()) == 1
    (outcome,) = bench.meter.execute((32, 1), Action.one(40, PUSH_SETUP, 1, axdr.integer(0))).results
    assert outcome.result is ActionResult.READ_WRITE_DENIED
    assert bench.call(40, PUSH_SETUP, 1, axdr.unsigned(0)) is ActionResult.TYPE_UNMATCHED


def test_the_script_pushes_when_a_client_runs_it():
    bench = Bench()
    assert bench.call(9, PUSH_SCRIPTS, 1, axdr.long_unsigned(1)) is ActionResult.SUCCESS
    assert len(bench.later()) == 1
    assert bench.call(9, PUSH_SCRIPTS, 1, axdr.long_unsigned(2)) is ActionResult.OBJECT_UNAVAILABLE


def test_a_push_without_destination_is_a_temporary_failure():
    bench = Bench(destination=PushDestination())
    assert bench.call(40, PUSH_SETUP, 1, axdr.integer(0)) is ActionResult.TEMPORARY_FAILURE
    assert bench.later() == []


def test_calls_while_a_push_is_under_way_make_one_more():
    bench = Bench()
    (first,) = bench.push()
    assert bench.push() == []
    assert bench.push() == []
    bench.agenda.delivered(first, bench.now)
    (second,) = bench.later()
    bench.agenda.delivered(second, bench.now)
    assert bench.later() == []
    assert [item.outcome for item in bench.ended] == [Outcome.SENT, Outcome.SENT]


def test_retries_wait_longer_each_time_and_say_the_same():
    bench = Bench(retries=3, delay=RepetitionDelay(10, 200, 30))
    (delivery,) = bench.push()
    said = {bytes(notification(delivery).body)}
    waits = []
    for _ in range(3):
        bench.agenda.failed(delivery, "refused", bench.now)
        waited, (delivery,) = bench.wait()
        waits.append(waited)
        said.add(bytes(notification(delivery).body))
        assert notification(delivery).long_invoke_id == 1
    assert waits == [10.0, 20.0, 30.0]
    assert len(said) == 1
    bench.agenda.failed(delivery, "refused", bench.now)
    assert bench.ended == [PushEnded(bench.setup, Outcome.GIVEN_UP, 4, "refused")]
    assert bench.wait()[1] == []


def test_without_retries_one_failure_ends_it():
    bench = Bench()
    (delivery,) = bench.push()
    bench.agenda.failed(delivery, "refused", bench.now)
    assert [(item.outcome, item.attempts) for item in bench.ended] == [(Outcome.GIVEN_UP, 1)]


def test_who_sends_and_never_comes_back_ends_in_a_failure():
    bench = Bench(send_timeout=7.0)
    (delivery,) = bench.push()
    assert delivery.deadline == bench.now + 7.0
    assert bench.later(6.9) == []
    assert not bench.ended
    bench.later(0.2)
    assert [item.outcome for item in bench.ended] == [Outcome.GIVEN_UP]
    bench.agenda.delivered(delivery, bench.now)  # too late: nothing happens
    bench.agenda.failed(delivery, "late", bench.now)
    assert len(bench.ended) == 1


def test_the_start_is_random_within_its_interval():
    bench = Bench(randomisation=60)
    bench.random = 0.5
    assert bench.push() == []
    waited, deliveries = bench.wait()
    assert waited == 30.0
    assert len(deliveries) == 1


def daily(first: CosemTime, last: CosemTime) -> Window:
    return Window(
        CosemDateTime(hour=first.hour, minute=first.minute, second=0, hundredths=0),
        CosemDateTime(hour=last.hour, minute=last.minute, second=0, hundredths=0),
    )


def test_a_push_waits_for_its_window():
    bench = Bench(windows=(daily(CosemTime(22, 0), CosemTime(23, 0)), daily(CosemTime(13, 0), CosemTime(14, 0))))
    assert bench.push() == []  # at 11:00 by the meter's clock
    _, (delivery,) = bench.wait()
    assert bench.meter.now() == datetime(2026, 7, 1, 13, 0, tzinfo=METER_ZONE)
    assert CosemDateTime.from_bytes(notification(delivery).date_time).hour == 13


def test_in_a_window_over_midnight_it_goes_at_once():
    assert len(Bench(windows=(daily(CosemTime(10, 0), CosemTime(6, 0)),)).push()) == 1
    assert Bench(windows=(daily(CosemTime(12, 0), CosemTime(6, 0)),)).push() == []


def test_a_retry_waits_for_the_next_window_too():
    bench = Bench(windows=(daily(CosemTime(11, 0), CosemTime(11, 1)),), retries=1, delay=RepetitionDelay(120))
    (delivery,) = bench.push()
    bench.agenda.failed(delivery, "refused", bench.now)
    _, (again,) = bench.wait()
    assert bench.meter.now() == datetime(2026, 7, 2, 11, 0, tzinfo=METER_ZONE)
    assert notification(again).long_invoke_id == 1


def test_a_window_that_is_over_gives_the_push_up():
    past = Window(CosemDateTime(2020, 1, 1, None, 0, 0, 0), CosemDateTime(2020, 1, 2, None, 0, 0, 0))
    bench = Bench(windows=(past,))
    assert bench.push() == []
    assert [item.outcome for item in bench.ended] == [Outcome.GIVEN_UP]
    bench.setup.options = replace(bench.setup.options, windows=())
    assert len(bench.push()) == 1


def test_a_clock_that_is_set_into_a_window_opens_it():
    bench = Bench(windows=(daily(CosemTime(13, 0), CosemTime(14, 0)),))
    assert bench.push() == []
    bench.meter.set_time(datetime(2026, 7, 1, 13, 30, tzinfo=METER_ZONE))
    assert len(bench.later()) == 1


def confirmation(number: int) -> bytes:
    return WrapperPdu(103, 1, DataNotificationConfirm(number).encode()).encode()


def test_a_confirmed_push_ends_with_its_confirmation():
    bench = Bench(method=OperationMethod.CONFIRMED)
    (delivery,) = bench.push()
    apdu = notification(delivery)
    assert apdu.confirmed
    assert delivery.is_confirmed
    bench.agenda.delivered(delivery, bench.now)
    assert not bench.ended
    octets = confirmation(apdu.long_invoke_id_and_priority)
    for octet in octets[:-1]:
        assert not bench.agenda.received(delivery, bytes((octet,)), bench.now)
    assert bench.agenda.received(delivery, octets[-1:], bench.now)
    assert [item.outcome for item in bench.ended] == [Outcome.CONFIRMED]
    assert bench.setup.last_confirmation == bench.meter.now()


@pytest.mark.parametrize(
    "octets",
    [
        confirmation(0x40000063),  # another invoke id
        WrapperPdu(103, 1, b"\x0e\x01\x02\x03").encode(),  # another APDU
        WrapperPdu(103, 1, b"\x10\x40").encode(),  # cut short
    ],
)
def test_what_is_no_confirmation_is_none(octets):
    bench = Bench(method=OperationMethod.CONFIRMED, retries=1, confirm_timeout=20.0)
    (delivery,) = bench.push()
    bench.agenda.delivered(delivery, bench.now)
    assert not bench.agenda.received(delivery, octets, bench.now)
    waited, (again,) = bench.wait()
    assert waited == 20.0 + 10
    assert notification(again).long_invoke_id == 1


def test_octets_that_are_no_wrapper_are_a_failure():
    bench = Bench(method=OperationMethod.CONFIRMED)
    (delivery,) = bench.push()
    assert bench.agenda.received(delivery, b"HTTP/1.0 400 Bad Request", bench.now)
    assert [item.outcome for item in bench.ended] == [Outcome.GIVEN_UP]


def test_a_confirmation_is_asked_for_once_an_interval():
    bench = Bench(method=OperationMethod.CONFIRMED, confirmation_interval=3600)
    (delivery,) = bench.push()
    bench.agenda.delivered(delivery, bench.now)
    assert bench.agenda.received(delivery, confirmation(0x40000001), bench.now)
    (second,) = bench.push()
    assert not notification(second).confirmed
    bench.agenda.delivered(second, bench.now)
    bench.later(3600)
    (third,) = bench.push()
    assert notification(third).confirmed


def test_before_the_start_date_nothing_is_confirmed():
    start = CosemDateTime(2026, 7, 1, None, 12, 0, 0, 0)
    bench = Bench(method=OperationMethod.CONFIRMED, confirmation_start=start)
    assert not notification(bench.push()[0]).confirmed


def test_a_confirmation_over_hdlc_is_refused_clearly():
    bench = Bench(
        method=OperationMethod.CONFIRMED, destination=PushDestination(TransportService.HDLC, b"head-end:4059")
    )
    assert bench.push() == []
    assert bench.ended[0].reason == "only a push over TCP or UDP can be confirmed"


def test_reset_gives_up_what_is_under_way():
    bench = Bench(retries=5)
    (delivery,) = bench.push()
    bench.push()
    bench.setup.last_confirmation = bench.meter.now()
    assert bench.call(40, PUSH_SETUP, 2, axdr.integer(0)) is ActionResult.SUCCESS
    assert [item.outcome for item in bench.ended] == [Outcome.RESET]
    assert bench.setup.last_confirmation is None
    bench.agenda.failed(delivery, "too late", bench.now)
    assert bench.wait()[1] == []
    assert len(bench.push()) == 1


@pytest.mark.parametrize("seconds", [0, 7, 45, 90, 1000, 7000, 100_000])
def test_intervals_that_no_schedule_has_are_refused(seconds):
    with pytest.raises(ValueError, match="take seconds that divide 60"):
        every(seconds)


@pytest.mark.parametrize(
    ("seconds", "count"), [(1, 60), (10, 6), (60, 1), (300, 12), (3600, 1), (21600, 4), (86400, 1)]
)
def test_intervals_are_execution_times(seconds, count):
    assert len(every(seconds)) == count


def test_the_agenda_of_a_device_takes_its_own_setups():
    meter = demo_meter(profile_rows=1)
    assert PushAgenda(meter).setups == tuple(meter.devices[1].push_setups)
