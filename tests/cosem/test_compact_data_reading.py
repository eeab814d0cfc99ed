"""Compact data (class 62): one row of values by the template of the object."""

from __future__ import annotations

from decimal import Decimal

import pytest

from cosemic.codec import axdr
from cosemic.cosem.compact_data import read_compact_data
from cosemic.cosem.profile_reading import read_profile
from cosemic.cosem.selection import CLOCK_TIME, CaptureObject
from cosemic.enums import DataAccessResult
from cosemic.errors import DataAccessError, DecodeError
from cosemic.meter.demo import PUBLIC_CLIENT, demo_meter
from cosemic.obis import ObisCode

from .driving import ScriptedMeter, drive

OBIS = "0-0:66.0.1"
ENERGY = CaptureObject(3, ObisCode.parse("1-0:1.8.0"), 2)
STATUS = CaptureObject(1, ObisCode.parse("0-0:96.10.1"), 2)
TEMPLATE = bytes.fromhex("02021106")  # a structure of unsigned and double-long-unsigned
BUFFER = bytes.fromhex("0700003039")


def restricted(capture):
    """A capture object with the restriction that version 1 has."""
    return axdr.structure(*capture.typed().elements, axdr.structure(axdr.enum(0), axdr.null_data()))


def meter(buffer=BUFFER, template=TEMPLATE, captures=(STATUS, ENERGY), **changes):
    values = {
        (62, OBIS, 2): axdr.octet_string(buffer),
        (62, OBIS, 3): axdr.array(*map(restricted, captures)),
        (62, OBIS, 5): axdr.octet_string(template),
        (3, "1-0:1.8.0", 3): axdr.structure(axdr.integer(-1), axdr.enum(30)),
    }
    return ScriptedMeter(values | changes.get("values", {}))


def test_the_values_have_names_units_and_exact_numbers():
    asked = meter()
    profile = drive(read_compact_data(OBIS), asked)
    assert profile.rows == [(7, Decimal("1234.5"))]
    assert [column.unit for column in profile.columns] == [None, "Wh"]
    assert profile.column("1-0:1.8.0") == [Decimal("1234.5")]
    assert len(asked.asked) == 2


def test_raw_numbers_where_they_are_wanted():
    assert drive(read_compact_data(OBIS, scale=False), meter()).rows == [(7, 12345)]


def test_nothing_captured_yet():
    assert drive(read_compact_data(OBIS), meter(buffer=b"")).rows == []


@pytest.mark.parametrize(
    "changes",
    [{"buffer": BUFFER[:-1]}, {"template": b"\x06"}, {"captures": (ENERGY,)}, {"captures": (CLOCK_TIME,) * 3}],
)
def test_what_does_not_fit_is_one_error(changes):
    with pytest.raises(DecodeError):
        drive(read_compact_data(OBIS), meter(**changes))


def test_a_refusal_is_raised():
    with pytest.raises(DataAccessError):
        drive(read_compact_data(OBIS), meter(values={(62, OBIS, 5): DataAccessResult.READ_WRITE_DENIED}))


# Rows of a profile by their place


def simulated(**options):
    made = demo_meter(profile_rows=50)
    return drive(read_profile("1-0:99.1.0", **options), lambda request: made.execute((PUBLIC_CLIENT, 1), request))


@pytest.mark.parametrize("refuses", [False, True])
def test_rows_by_their_place(refuses, monkeypatch):
    made = demo_meter(profile_rows=50)

    def execute(request):
        from cosemic.protocol.requests import GetResults

        for _, access in request.items:
            if access is not None and refuses:
                return GetResults((DataAccessResult.SCOPE_OF_ACCESS_VIOLATED,))
        return made.execute((PUBLIC_CLIENT, 1), request)

    everything = drive(read_profile("1-0:99.1.0"), execute).rows
    assert drive(read_profile("1-0:99.1.0", entries=(3, 5)), execute).rows == everything[2:5]
    assert drive(read_profile("1-0:99.1.0", entries=(48, 0)), execute).rows == everything[47:]
    only = drive(read_profile("1-0:99.1.0", entries=(3, 5), columns=["1-0:1.8.0"]), execute)
    assert [row[0] for row in only.rows] == [row[2] for row in everything[2:5]]


@pytest.mark.parametrize("options", [{"entries": (0, 3)}, {"entries": (4, 3)}, {"entries": (1, 3), "last": 3}])
def test_entries_that_make_no_sense(options):
    with pytest.raises(ValueError, match="entries"):
        simulated(**options)
