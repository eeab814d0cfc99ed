"""Tariffs of the simulated meter: read, shown, asked about a date, written and activated."""

import dataclasses
from datetime import UTC, date, datetime, timedelta

import pytest

from cosemic.codec import axdr
from cosemic.cosem import tariffs
from cosemic.cosem.access import MeterCache
from cosemic.cosem.object_list import ObjectEntry
from cosemic.cosem.tariff_tables import CalendarTables, DayAction, DayProfile, Season, SpecialDay
from cosemic.cosem.tariff_text import difference, parse_time
from cosemic.enums import DataAccessResult
from cosemic.errors import ActionError, DataAccessError, LocalProtocolError, ServiceError
from cosemic.meter.demo import demo_meter
from cosemic.meter.tariffs import ACTIVE
from cosemic.obis import ObisCode
from cosemic.protocol.requests import Set, SetResults
from cosemic.times import CosemDate, CosemDateTime
from tests.cosem.driving import ScriptedMeter, drive

CALENDAR = "0-0:13.0.0*255"


class World:
    def __init__(self):
        self.time = datetime(2025, 11, 24, 9, tzinfo=UTC)
        self.meter = demo_meter(profile_rows=10, clock=lambda: self.time)
        self.written = []

    def run(self, procedure, sap=(1, 1)):
        def execute(request):
            if isinstance(request, Set):
                self.written.append(request.items[0][0].attribute)
            return self.meter.execute(sap, request)

        return drive(procedure, execute)


@pytest.fixture
def world():
    return World()


EARLIER = dataclasses.replace(
    ACTIVE,
    name=b"2026",
    days=(
        DayProfile(1, (DayAction(parse_time("05:00"), ACTIVE.days[0].actions[1].script),)),
        ACTIVE.days[1],
    ),
)


def test_everything_is_read(world):
    settings = world.run(tariffs.read_tariffs())
    assert settings.refused == {}
    assert settings.calendar().active == settings.calendar().passive == ACTIVE
    lines = settings.lines()
    assert lines["calendar 0-0:13.0.0*255 active name"] == "DEMO"
    assert lines["calendar 0-0:13.0.0*255 active season ALL"] == "from *-01-01 00:00:00, week profile WEEK"
    assert lines["special days 0-0:11.0.0*255 special day 2"] == "*-12-25, day profile 2"
    assert lines["script 1 of 0-0:10.0.100*255"] == 'write 6/0-0:14.0.0*255 attribute 4 (octet-string 5431 "T1")'
    assert lines["registers 0-0:14.0.0*255 mask T1 (active)"] == "1-0:1.8.1*255"
    assert lines["schedule 0-0:15.0.0*255"] == "script 1 of 0-0:10.0.1*255: *-*-01 00:00:00"
    assert lines["limiter 0-0:17.0.0*255 monitors"] == "3/1-0:1.7.0*255/2"
    assert lines["limiter 0-0:17.0.0*255 for at least"] == "60 s over, 0 s under"


def test_what_it_does_on_a_date(world):
    settings = world.run(tariffs.read_tariffs(classes=(20, 11)))
    assert settings.scripts == {}
    monday = settings.forecast(date(2025, 11, 24))
    assert [(switch.time.hour, switch.script.selector) for switch in monday.switches] == [(0, 2), (6, 1), (22, 2)]
    assert settings.forecast(date(2025, 12, 25)).special.index == 2
    with pytest.raises(LookupError, match=r"no activity calendar 1-0:13.0.0\*255; there is 0-0:13.0.0"):
        settings.calendar("1-0:13.0.0*255")


def test_a_client_that_may_not_is_told_so(world):
    settings = world.run(tariffs.read_tariffs(), sap=(16, 1))
    assert settings.lines() == {}
    with pytest.raises(DataAccessError):
        world.run(tariffs.write_passive_calendar(EARLIER), sap=(32, 1))
    with pytest.raises(ActionError):
        world.run(tariffs.activate_passive_calendar(), sap=(32, 1))


def test_a_calendar_is_written_compared_and_activated(world):
    world.run(tariffs.write_passive_calendar(EARLIER))
    assert world.written == [7, 8, 9, 6]
    calendar = world.run(tariffs.read_tariffs()).calendar()
    assert (calendar.active, calendar.passive) == (ACTIVE, EARLIER)
    lines = [tariffs.calendar_lines(side) for side in (calendar.active, calendar.passive)]
    assert difference(*lines)[:2] == ["- name: DEMO", "+ name: 2026"]
    assert len(difference(*lines)) == 4
    world.run(tariffs.activate_passive_calendar())
    assert world.run(tariffs.read_tariffs()).calendar().active == EARLIER


def test_a_calendar_that_waits_for_its_time(world):
    moment = CosemDateTime.from_datetime(world.meter.now() + timedelta(hours=2))
    world.run(tariffs.write_passive_calendar(EARLIER, activation=moment))
    assert world.run(tariffs.read_tariffs()).calendar().activation == moment
    assert world.run(tariffs.read_tariffs()).calendar().active == ACTIVE
    world.time += timedelta(hours=2)
    assert world.run(tariffs.read_tariffs()).calendar().active == EARLIER


def test_a_calendar_that_does_not_fit_together_is_not_sent(world):
    broken = CalendarTables(b"x", (Season(b"A", CosemDateTime(), b"nowhere"),))
    with pytest.raises(LocalProtocolError, match="does not fit together: season A"):
        world.run(tariffs.write_passive_calendar(broken))
    assert world.written == []


def test_a_meter_that_keeps_something_else_is_found_out(world):
    def forgetful(request):
        """Says that it took the day profiles, and did not."""
        if isinstance(request, Set) and request.items[0][0].attribute == 9:
            return SetResults((DataAccessResult.SUCCESS,))
        return world.meter.execute((1, 1), request)

    with pytest.raises(ServiceError, match="keeps another passive calendar"):
        drive(tariffs.write_passive_calendar(EARLIER), forgetful)


def test_special_days_are_replaced(world):
    days = [SpecialDay(1, CosemDate(2026, 5, 1), 2)]
    world.run(tariffs.write_special_days(days))
    assert world.run(tariffs.read_tariffs()).special_days[tariffs.SPECIAL_DAYS] == tuple(days)
    with pytest.raises(ValueError, match="same index"):
        drive(tariffs.write_special_days(days * 2), None)


def test_what_is_refused_or_no_table_is_noted():
    code = ObisCode.parse(CALENDAR)
    cache = MeterCache()
    cache.objects[20, code] = ObjectEntry(20, 0, code)
    cache.objects[9, code] = ObjectEntry(9, 0, code)
    meter = ScriptedMeter({
        (20, CALENDAR, 2): axdr.octet_string(b"A"),
        (20, CALENDAR, 3): axdr.unsigned(1),
        (20, CALENDAR, 6): axdr.visible_string("P"),
        (9, CALENDAR, 2): axdr.array(axdr.unsigned(1)),
    })  # fmt: skip
    settings = drive(tariffs.read_tariffs(cache=cache), meter)
    assert (settings.calendar().active.name, settings.calendar().passive.name) == (b"A", b"P")
    assert "array" in settings.refused[f"20/{CALENDAR}/3"]
    assert "undefined" in settings.refused[f"20/{CALENDAR}/4"]
    assert "a script is a structure of 2 elements" in settings.refused[f"9/{CALENDAR}/2"]
