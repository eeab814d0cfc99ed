"""Procedures against the simulated meter and against written-down answers, without a protocol between."""

import logging
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise

import pytest

from cosemic.codec import axdr
from cosemic.cosem import procedures
from cosemic.cosem.procedures import MeterCache
from cosemic.cosem.selection import CLOCK_TIME, CaptureObject
from cosemic.cosem.values import ScalerUnit
from cosemic.enums import DataAccessResult, ExceptionServiceError, ExceptionStateError
from cosemic.errors import (
    ActionError,
    DataAccessError,
    DecodeError,
    ExceptionResponseError,
    LocalProtocolError,
)
from cosemic.meter.demo import SCRATCH_NUMBER, demo_meter
from cosemic.obis import ObisCode
from cosemic.protocol import blocks
from cosemic.protocol.requests import ActionResults, Get, GetResults, SetResults
from cosemic.times import CosemDateTime
from tests.cosem.driving import ScriptedMeter, drive

NOW = datetime(2025, 11, 22, 11, 7, 30, tzinfo=UTC)
CET = timezone(timedelta(hours=1))
ENERGY = "1-0:1.8.0*255"
PROFILE = "1-0:99.1.0*255"


@pytest.fixture
def meter():
    return demo_meter(profile_rows=200, clock=lambda: NOW)


@pytest.fixture
def ask(meter):
    def run(procedure, sap=(16, 1)):
        return drive(procedure, lambda request: meter.execute(sap, request))

    return run


def refusing(meter, selectors, error=DataAccessResult.SCOPE_OF_ACCESS_VIOLATED):
    """The meter, but without some kinds of selective access."""
    asked = []

    def execute(request):
        asked.append(request)
        access = request.items[0][1] if isinstance(request, Get) else None
        if access is not None and access.selector in selectors:
            if isinstance(error, Exception):
                raise error
            meter.faults.force(7, PROFILE, 2, error, times=1)
        return meter.execute((16, 1), request)

    return execute, asked


# registers


def test_a_register_with_its_unit(ask):
    energy = ask(procedures.read_register(ENERGY))
    assert (energy.unit, energy.scaler, energy.obis) == ("Wh", 0, ObisCode.parse(ENERGY))
    assert energy.value == energy.raw > 0
    assert energy.time is None


def test_a_voltage_is_exact(ask):
    voltage = ask(procedures.read_register("1-0:32.7.0"))
    assert voltage.value == Decimal(voltage.raw) / 10
    assert voltage.unit == "V"


def test_the_class_of_a_register_is_found_out(ask):
    demand = ask(procedures.read_register("1-0:1.6.0*255"))
    assert demand.time == datetime(2025, 11, 1, 20, 15, tzinfo=CET)
    assert demand.status == 0
    average = ask(procedures.read_register("1-0:1.4.0*255"))
    assert average.time == datetime(2025, 11, 22, 12, 0, tzinfo=CET)


def test_the_scaler_is_read_once():
    meter = ScriptedMeter({
        (3, ENERGY, 2): axdr.double_long_unsigned(12345),
        (3, ENERGY, 3): axdr.structure(axdr.integer(-1), axdr.enum(30)),
    })  # fmt: skip
    cache = MeterCache()
    for _ in range(2):
        assert drive(procedures.read_register(ENERGY, cache=cache), meter).value == Decimal("1234.5")
    assert [len(request.items) for request in meter.asked] == [2, 1]
    assert cache.registers == {ObisCode.parse(ENERGY): (3, ScalerUnit(-1, 30))}


def test_without_lists_each_attribute_is_asked_for_alone(meter):
    asked = []

    def execute(request):
        asked.append(len(request.items))
        return meter.execute((16, 1), request)

    drive(procedures.read_register(ENERGY, with_list=False), execute)
    assert asked == [1, 1]


def test_a_meter_that_answers_a_list_with_an_exception_is_read_one_by_one(meter):
    def execute(request):
        if len(request.items) > 1:
            raise ExceptionResponseError(
                ExceptionStateError.SERVICE_NOT_ALLOWED, ExceptionServiceError.SERVICE_NOT_SUPPORTED
            )
        return meter.execute((16, 1), request)

    assert drive(procedures.read_register(ENERGY), execute).unit == "Wh"


def test_the_object_list_saves_guessing_the_class(ask, meter):
    cache = MeterCache()
    ask(procedures.read_objects(cache=cache))
    asked = []

    def execute(request):
        asked.extend(at.class_id for at, _ in request.items)
        return meter.execute((16, 1), request)

    drive(procedures.read_register("1-0:1.6.0", cache=cache), execute)
    assert set(asked) == {4}


def test_a_register_that_is_not_there_is_an_error_that_names_it(ask):
    with pytest.raises(DataAccessError, match=r"3/1-0:9\.8\.0\*255/2 \(Register value: Apparent energy") as caught:
        ask(procedures.read_register("1-0:9.8.0"))
    assert caught.value.result is DataAccessResult.OBJECT_UNDEFINED


def test_a_denied_register_is_not_looked_for_in_other_classes(ask, meter):
    meter.faults.force(3, ENERGY, 2, DataAccessResult.READ_WRITE_DENIED)
    with pytest.raises(DataAccessError) as caught:
        ask(procedures.read_register(ENERGY))
    assert caught.value.result is DataAccessResult.READ_WRITE_DENIED


def test_null_in_a_register_is_no_reading():
    meter = ScriptedMeter({
        (3, ENERGY, 2): axdr.null_data(),
        (3, ENERGY, 3): axdr.structure(axdr.integer(0), axdr.enum(30)),
    })  # fmt: skip
    with pytest.raises(DecodeError, match="null-data"):
        drive(procedures.read_register(ENERGY), meter)


def test_only_registers_are_registers(ask):
    with pytest.raises(ValueError, match="class 8 is no register"):
        ask(procedures.read_register(ENERGY, class_id=8))


# lists, writing, methods


def test_a_list_has_a_value_or_an_error_for_each_item(ask):
    good, bad, wrong = ask(procedures.get_list([(3, ENERGY, 2), (3, "1-0:9.9.9", 2), (1, ENERGY, 2)]))
    assert good.error is None
    assert good.value > 0
    assert bad.value is None
    assert bad.error.result is DataAccessResult.OBJECT_UNDEFINED
    assert wrong.error.result is DataAccessResult.OBJECT_CLASS_INCONSISTENT


def test_an_empty_list_asks_nothing():
    assert drive(procedures.get_list([]), None) == []


def test_a_write_and_its_refusal(ask):
    assert ask(procedures.set_attribute(1, SCRATCH_NUMBER, 2, axdr.double_long_unsigned(7))) == 0
    assert ask(procedures.get(1, SCRATCH_NUMBER, 2)) == 7
    with pytest.raises(DataAccessError, match="type-unmatched"):
        ask(procedures.set_attribute(1, SCRATCH_NUMBER, 2, axdr.unsigned(7)))
    refused = ask(procedures.set_attribute(1, SCRATCH_NUMBER, 2, axdr.unsigned(7), check=False))
    assert refused is DataAccessResult.TYPE_UNMATCHED


def test_a_refusal_tells_what_the_object_list_grants(ask):
    cache = MeterCache()
    ask(procedures.read_objects(cache=cache))
    with pytest.raises(DataAccessError, match=r"the object list grants read$"):
        ask(procedures.set_attribute(3, "1-0:2.8.0", 2, axdr.double_long_unsigned(1), cache=cache))
    with pytest.raises(DataAccessError, match="not in the object list"):
        ask(procedures.get(3, "1-0:9.9.9", 2, cache=cache))


def test_a_method_and_its_refusal(ask, meter):
    assert ask(procedures.call_method(70, "0-0:96.3.10", 1, axdr.integer(0)), (1, 1)) is None
    assert ask(procedures.get(70, "0-0:96.3.10", 2)) is False
    with pytest.raises(ActionError, match="remote_disconnect"):
        ask(procedures.call_method(70, "0-0:96.3.10", 1, axdr.integer(0)))


# clock


def test_the_clock_is_read_and_set(ask, meter):
    assert ask(procedures.read_clock()) == NOW
    later = NOW + timedelta(hours=5)
    ask(procedures.set_clock(later), (32, 1))
    assert ask(procedures.read_clock()) == later
    assert meter.now() == later


def test_a_clock_without_deviation_stays_raw():
    raw = CosemDateTime.from_datetime(datetime(2025, 1, 1))
    meter = ScriptedMeter({(8, "0-0:1.0.0", 2): axdr.octet_string(bytes(raw))})
    assert drive(procedures.read_clock(), meter) == raw
    assert drive(procedures.read_clock(zone=CET), meter) == datetime(2025, 1, 1, tzinfo=CET)


def test_a_clock_that_holds_something_else_is_refused():
    meter = ScriptedMeter({(8, "0-0:1.0.0", 2): axdr.unsigned(1)})
    with pytest.raises(DecodeError, match="date-time"):
        drive(procedures.read_clock(), meter)


# profiles


def test_a_whole_profile(ask):
    profile = ask(procedures.read_profile(PROFILE))
    assert len(profile) == 200
    assert [column.key for column in profile.columns] == [
        "0-0:1.0.0*255", "0-0:96.10.1*255", "1-0:1.8.0*255", "1-0:2.8.0*255"
    ]  # fmt: skip
    assert profile.rows[-1][0] == NOW.replace(minute=0, second=0)
    times = profile.column("0-0:1.0.0*255")
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(minutes=15)}
    energies = profile.column(ENERGY)
    assert energies == sorted(energies)


def test_the_newest_rows(ask, meter):
    whole = ask(procedures.read_profile(PROFILE))
    execute, asked = refusing(meter, ())
    drive(procedures.read_profile(PROFILE, last=3, columns=[ENERGY]), execute)
    accesses = [access for request in asked for _, access in request.items if access is not None]
    assert [access.parameters.value for access in accesses] == [(198, 200, 3, 3)]
    assert ask(procedures.read_profile(PROFILE, last=3)).rows == whole.rows[-3:]
    assert ask(procedures.read_profile(PROFILE, last=5000)).rows == whole.rows


def test_rows_between_two_times_both_included(ask):
    whole = ask(procedures.read_profile(PROFILE))
    start, end = whole.rows[10][0], whole.rows[20][0]
    assert ask(procedures.read_profile(PROFILE, start=start, end=end)).rows == whole.rows[10:21]
    assert ask(procedures.read_profile(PROFILE, start=start)).rows == whole.rows[10:]
    assert ask(procedures.read_profile(PROFILE, end=end)).rows == whole.rows[:21]
    assert ask(procedures.read_profile(PROFILE, start=start, end=end, last=2)).rows == whole.rows[19:21]


def test_columns_come_in_the_order_asked_for(ask):
    whole = ask(procedures.read_profile(PROFILE))
    for options in ({}, {"last": 2}, {"start": whole.rows[-2][0]}):
        profile = ask(procedures.read_profile(PROFILE, columns=["1-0:2.8.0", "0-0:1.0.0"], **options))
        assert [column.key for column in profile.columns] == ["1-0:2.8.0*255", "0-0:1.0.0*255"]
        assert profile.rows[-2:] == [(row[3], row[0]) for row in whole.rows[-2:]]


def test_raw_numbers_without_scaling(ask):
    profile = ask(procedures.read_profile(PROFILE, last=1, scale=False))
    assert type(profile.rows[0][2]) is int
    assert profile.columns[2].unit is None


def test_an_unknown_column_is_refused_with_the_list_of_columns(ask):
    with pytest.raises(ValueError, match=r"captures 0-0:1\.0\.0\*255, "):
        ask(procedures.read_profile(PROFILE, columns=["1-0:9.9.9"]))


@pytest.mark.parametrize("last", [0, -1])
def test_last_is_at_least_one(ask, last):
    with pytest.raises(ValueError, match="counts rows from 1"):
        ask(procedures.read_profile(PROFILE, last=last))


@pytest.mark.parametrize(
    "error",
    [
        DataAccessResult.SCOPE_OF_ACCESS_VIOLATED,
        DataAccessResult.READ_WRITE_DENIED,
        ExceptionResponseError(ExceptionStateError.SERVICE_UNKNOWN, ExceptionServiceError.OPERATION_NOT_POSSIBLE),
    ],
)
@pytest.mark.parametrize("selectors", [{1}, {1, 2}])
def test_a_meter_without_ranges_gives_the_same_rows(meter, ask, selectors, error, caplog):
    whole = ask(procedures.read_profile(PROFILE))
    execute, asked = refusing(meter, selectors, error)
    start, end = whole.rows[-20][0], whole.rows[-10][0]
    with caplog.at_level(logging.WARNING, "cosemic.client"):
        profile = drive(procedures.read_profile(PROFILE, start=start, end=end, columns=[ENERGY]), execute)
    assert profile.rows == [(row[2],) for row in whole.rows[-20:-9]]
    assert "refuses selective access by range" in caplog.text
    unselected = [request for request in asked if request.items[0] == Get.one(7, PROFILE, 2).items[0]]
    assert len(unselected) == (0 if 2 not in selectors else 1)


def test_gaps_in_a_profile_do_not_hide_rows(caplog):
    """The guess by capture period skips too few rows back; the first row that comes shows it."""
    hours = [datetime(2025, 1, 1, hour, tzinfo=CET) for hour in (0, 1, 2, 3)]
    crowded = [hours[3] + timedelta(minutes=minute) for minute in range(1, 30)]
    rows = [row(time, number) for number, time in enumerate(hours + crowded)]

    def buffer(access):
        if access is None:
            return axdr.array(*rows)
        if access.selector == 1:
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        first, last, _, _ = access.parameters.value
        return axdr.array(*rows[first - 1 : last])

    name, meter = scripted_profile(CAPTURED, buffer, entries=len(rows))
    profile = drive(procedures.read_profile(name, start=hours[1]), meter)
    assert profile.column("0-0:1.0.0*255") == [*hours[1:], *crowded]
    assert "reading the whole buffer" in caplog.text


def test_a_meter_without_entries_is_read_whole_for_the_newest(meter, ask):
    execute, _ = refusing(meter, {2})
    profile = drive(procedures.read_profile(PROFILE, last=3), execute)
    assert profile.rows == ask(procedures.read_profile(PROFILE)).rows[-3:]


def test_a_fault_is_not_taken_for_a_refused_selection(meter):
    execute, asked = refusing(meter, {1}, DataAccessResult.TEMPORARY_FAILURE)
    with pytest.raises(DataAccessError, match="temporary-failure"):
        drive(procedures.read_profile(PROFILE, start=NOW), execute)
    assert len(asked) == 2


def scripted_profile(captures, buffer, *, period=900, sort_method=1, entries=None):
    name = "1-0:99.2.0*255"
    return name, ScriptedMeter({
        (7, name, 2): buffer,
        (7, name, 3): axdr.array(*(capture.typed() for capture in captures)),
        (7, name, 4): axdr.double_long_unsigned(period),
        (7, name, 5): axdr.enum(sort_method),
        (7, name, 7): axdr.long64(entries or 0),
        (3, ENERGY, 3): axdr.structure(axdr.integer(1), axdr.enum(30)),
    })  # fmt: skip


CAPTURED = [CLOCK_TIME, CaptureObject(3, ObisCode.parse(ENERGY), 2)]


def row(time, value):
    octets = axdr.null_data() if time is None else axdr.octet_string(bytes(CosemDateTime.from_datetime(time)))
    return axdr.structure(octets, axdr.double_long_unsigned(value))


def test_nulls_and_scalers_of_a_written_down_profile():
    start = datetime(2025, 1, 1, tzinfo=CET)
    name, meter = scripted_profile(CAPTURED, axdr.array(row(start, 1), row(None, 2)))
    profile = drive(procedures.read_profile(name), meter)
    assert profile.rows == [(start, Decimal(10)), (start + timedelta(minutes=15), Decimal(20))]


def test_the_newest_rows_of_a_profile_that_begins_with_the_newest():
    asked = []

    def buffer(access):
        asked.append(access.parameters.value)
        return axdr.array(row(datetime(2025, 1, 1, 1, tzinfo=CET), 2), row(None, 1))

    name, meter = scripted_profile(CAPTURED, buffer, sort_method=2, entries=10)
    profile = drive(procedures.read_profile(name, last=2), meter)
    assert asked == [(1, 2, 1, 0)]
    assert profile.rows[1][0] == datetime(2025, 1, 1, 0, 45, tzinfo=CET)


def test_an_empty_profile_is_not_asked_for_entries():
    name, meter = scripted_profile(CAPTURED, DataAccessResult.HARDWARE_FAULT, entries=0)
    assert drive(procedures.read_profile(name, last=5), meter).rows == []


@pytest.mark.parametrize("selection", [{}, {"last": 5}, {"start": NOW}])
def test_a_profile_that_captures_nothing_is_empty(selection):
    name, meter = scripted_profile([], DataAccessResult.HARDWARE_FAULT)
    profile = drive(procedures.read_profile(name, **selection), meter)
    assert (profile.columns, profile.rows) == ((), [])


@pytest.mark.parametrize("entries", [-1, 1 << 32])
def test_a_number_of_entries_that_cannot_be(entries):
    name, meter = scripted_profile(CAPTURED, axdr.array(), entries=entries)
    with pytest.raises(DecodeError, match="entries_in_use"):
        drive(procedures.read_profile(name, last=5), meter)


def test_a_meter_that_ignores_the_columns_asked_for_is_understood():
    start = datetime(2025, 1, 1, tzinfo=CET)
    name, meter = scripted_profile(CAPTURED, axdr.array(row(start, 1)))
    profile = drive(procedures.read_profile(name, start=start, columns=[ENERGY]), meter)
    assert profile.rows == [(Decimal(10),)]


def test_a_meter_that_selects_no_columns_is_asked_for_all_of_them(caplog):
    asked = []

    def buffer(access):
        columns = access.parameters.value[3]
        asked.append(len(columns))
        return DataAccessResult.READ_WRITE_DENIED if columns else axdr.array(row(NOW, 1))

    name, meter = scripted_profile(CAPTURED, buffer)
    profile = drive(procedures.read_profile(name, start=NOW, columns=[ENERGY]), meter)
    assert profile.rows == [(Decimal(10),)]
    assert asked == [1, 0]
    assert "a choice of columns in a range" in caplog.text


def test_ranges_of_a_profile_that_begins_with_the_newest_are_found_by_entries():
    times = [datetime(2025, 1, 1, hour, minute, tzinfo=CET) for hour in range(5) for minute in (0, 15, 30, 45)][::-1]
    rows = [row(time, number) for number, time in enumerate(times)]
    asked = []

    def buffer(access):
        assert access is not None
        if access.selector == 1:
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        first, last, _, _ = access.parameters.value
        asked.append((first, last))
        return axdr.array(*rows[first - 1 : last])

    name, meter = scripted_profile(CAPTURED, buffer, sort_method=2, entries=len(rows))
    profile = drive(procedures.read_profile(name, start=times[4], end=times[2]), meter)
    assert profile.column("0-0:1.0.0*255") == times[2:5]
    assert profile.newest_first
    assert asked == [(1, 1), (1, 6)]


def test_the_newest_rows_of_a_profile_that_is_sorted_by_a_value():
    hours = [datetime(2025, 1, 1, hour, tzinfo=CET) for hour in (5, 2, 9, 1)]
    rows = [row(time, 100 - number) for number, time in enumerate(hours)]
    asked = []

    def buffer(access):
        asked.append(access)
        return axdr.array(*rows)

    name, meter = scripted_profile(CAPTURED, buffer, sort_method=3, entries=4)
    profile = drive(procedures.read_profile(name, last=2, columns=[ENERGY]), meter)
    assert profile.rows == [(Decimal(1000),), (Decimal(980),)]
    assert asked == [None]
    name, meter = scripted_profile(CAPTURED[1:], axdr.array(*[axdr.structure(axdr.unsigned(1))] * 3), sort_method=3)
    with pytest.raises(LocalProtocolError, match="none is the newest"):
        drive(procedures.read_profile(name, last=2), meter)


def test_a_whole_buffer_is_cut_by_columns_as_row_by_row(monkeypatch):
    pytest.importorskip("numpy")
    begin = datetime(2025, 1, 1, tzinfo=CET)
    rows = [row(begin + i * timedelta(minutes=15) if i % 7 else None, i) for i in range(600)]
    found = []
    for worth in (0, 1 << 40):
        monkeypatch.setattr("cosemic.cosem.profile._WORTH_COLUMNS", worth)

        def buffer(access):
            return axdr.array(*rows) if access is None else DataAccessResult.SCOPE_OF_ACCESS_VIOLATED

        name, meter = scripted_profile(CAPTURED, buffer, entries=600)
        for start, end in ((begin + timedelta(hours=3), begin + timedelta(hours=5)), (datetime(2025, 1, 2), None)):
            profile = drive(procedures.read_profile(name, start=start, end=end, last=9, columns=[ENERGY]), meter)
            assert (profile._vectors is not None) == (worth == 0)
            found.append(profile.rows)
    assert found[:2] == found[2:]
    assert found[0] == [(Decimal(10 * i),) for i in range(12, 21)]


def test_an_answer_in_blocks_is_decoded_when_it_is_used():
    name, meter = scripted_profile(CAPTURED, axdr.array(row(NOW, 5)))

    def execute(request):
        answer = meter(request)
        if not request.decode_later:
            return answer
        octets = answer.results[0].octets[:-1]
        return GetResults((blocks.exact_later(octets, frozenset()),))

    with pytest.raises(DecodeError, match="the data end inside a value"):
        drive(procedures.read_profile(name), execute)


def test_a_profile_without_a_clock_cannot_be_cut_by_time():
    def buffer(access):
        return axdr.array() if access is None else DataAccessResult.SCOPE_OF_ACCESS_VIOLATED

    name, meter = scripted_profile(CAPTURED[1:], buffer)
    with pytest.raises(LocalProtocolError, match="no clock column"):
        drive(procedures.read_profile(name, start=NOW), meter)


def test_a_column_without_a_scaler_stays_raw(caplog):
    name, meter = scripted_profile(CAPTURED, axdr.array(row(NOW, 5)))
    del meter.values[3, ObisCode.parse(ENERGY), 3]
    profile = drive(procedures.read_profile(name), meter)
    assert profile.rows == [(NOW, 5)]
    assert "no unit for a column" in caplog.text


def test_scalers_of_columns_are_read_once():
    name, meter = scripted_profile(CAPTURED, axdr.array(row(NOW, 5)))
    cache = MeterCache()
    for _ in range(2):
        drive(procedures.read_profile(name, cache=cache), meter)
    scalers = [at for request in meter.asked for at, _ in request.items if at.class_id == 3]
    assert len(scalers) == 1


def test_unconfirmed_requests_bring_no_result():
    assert drive(procedures.set_attribute(1, SCRATCH_NUMBER, 2, axdr.unsigned(1)), lambda _: SetResults(())) == 0
    assert drive(procedures.call_method(3, ENERGY, 1), lambda _: ActionResults(())) is None
