"""Selectors, octet by octet."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from cosemic.codec import axdr
from cosemic.cosem.selection import (
    CaptureObject,
    DeviationPolicy,
    SelectorStyle,
    TimeEncoding,
    by_entry,
    by_range,
    date_time,
)
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime

CET = timezone(timedelta(hours=1))
START, END = datetime(2025, 1, 1, tzinfo=CET), datetime(2025, 1, 2, tzinfo=CET)


@pytest.mark.parametrize("place, number", [(0, 70_000), (0, -1), (2, 200), (3, 70_000), (3, -1)])
def test_a_capture_object_that_could_not_be_sent_back_is_refused(place, number):
    fields = [3, bytes(6), 2, 0]
    fields[place] = number
    with pytest.raises(DecodeError, match="capture object"):
        CaptureObject.from_value(tuple(fields))


def test_a_range_by_clock():
    access = by_range(START, END)
    assert access.selector == 1
    assert bytes(access.parameters).hex() == (
        "0204"
        "0204" "120008" "09060000010000ff" "0f02" "120000"
        "090c07e90101030000000" "0ffc400"
        "090c07e90102040000000" "0ffc400"
        "0100"
    )  # fmt: skip


def test_a_range_lists_the_columns_that_are_wanted():
    energy = CaptureObject(3, ObisCode(1, 0, 1, 8, 0, 255), 2)
    _, _, _, columns = by_range(START, END, columns=[energy]).parameters.value
    assert columns == [(3, bytes((1, 0, 1, 8, 0, 255)), 2, 0)]


def test_entries():
    access = by_entry(1, 96, first_column=2)
    assert access.selector == 2
    assert bytes(access.parameters).hex() == "020406000000010600000060120002120000"


@pytest.mark.parametrize("arguments", [{"first": 0}, {"last": -1}, {"first_column": 0}, {"last_column": -1}])
def test_entries_are_counted_from_one(arguments):
    with pytest.raises(ValueError, match="counted from 1"):
        by_entry(**arguments)


def test_the_deviation_can_be_left_out():
    style = SelectorStyle(deviation=DeviationPolicy.NOT_SPECIFIED)
    assert date_time(START, style) == axdr.octet_string(bytes.fromhex("07e901010300000000800000"))


def test_a_naive_datetime_has_no_deviation():
    octets = date_time(datetime(2025, 1, 1)).value
    assert octets[9:11] == b"\x80\x00"


def test_date_times_can_have_their_own_type():
    style = SelectorStyle(encoding=TimeEncoding.DATE_TIME)
    assert date_time(START, style) == axdr.date_time(CosemDateTime.from_datetime(START))


def test_a_raw_time_is_sent_as_it_is():
    raw = CosemDateTime(year=2025, month=1, day=1)
    assert date_time(raw).value == bytes(raw)


def test_capture_objects_go_both_ways():
    capture = CaptureObject(3, ObisCode(1, 0, 1, 8, 0, 255), 2, 0)
    assert CaptureObject.from_value(capture.typed().plain) == capture


@pytest.mark.parametrize(
    "value", [None, (), (3, b"\x01\x00\x01\x08\x00", 2, 0), (3, "1-0:1.8.0*255", 2, 0), (3, bytes(6), 2)]
)
def test_what_is_no_capture_object_is_refused(value):
    with pytest.raises(DecodeError, match="capture object"):
        CaptureObject.from_value(value)


def test_utc_has_deviation_zero():
    assert date_time(START.astimezone(UTC)).value[9:11] == b"\x00\x00"
