"""The sign of the deviation and the daylight saving bit, by clocks of real meters in known places."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from cosemic.times import CosemDateTime, datetime_from_bytes
from tests.vectors.collection import REASON, load

# Case, octets before the twelve of the date-time, where the meter stands.
CLOCKS = [
    ("issue-captures", "kaifa-ma309m-timestamp-deviation", 2, "Europe/Vienna"),
    ("pushes", "salzburg-netz-plain-notification", 6, "Europe/Vienna"),
    ("pushes", "kaifa-plain-557", 6, "Europe/Vienna"),
    ("pushes", "energomera-plain-notification", 6, "Europe/Moscow"),
]
CASES = {(topic, case["name"]): case for topic in ("issue-captures", "pushes") for case in load(topic)}

pytestmark = pytest.mark.skipif(not CASES, reason=REASON)


@pytest.mark.parametrize(("topic", "name", "offset", "place"), CLOCKS)
def test_utc_is_local_time_plus_deviation(topic, name, offset, place):
    octets = bytes.fromhex(CASES[topic, name]["bytes"])[offset : offset + 12]
    moment = CosemDateTime.from_bytes(octets)
    local = datetime(
        moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, tzinfo=ZoneInfo(place)
    )
    assert moment.to_datetime() == datetime_from_bytes(octets) == local
    assert moment.to_datetime().utcoffset() == local.utcoffset()
    assert moment.daylight_saving in (bool(local.dst()), None)
    assert bytes(moment) == octets


def test_the_captured_clock_of_which_the_hour_was_noted():
    octets = bytes.fromhex(CASES["issue-captures", "kaifa-ma309m-timestamp-deviation"]["bytes"])[2:]
    assert CosemDateTime.from_bytes(octets).to_datetime() == datetime(2024, 6, 15, 18, 23, 45, tzinfo=UTC)


def test_what_a_zone_makes_of_that_hour_are_the_captured_octets():
    captured = bytes.fromhex(CASES["issue-captures", "kaifa-ma309m-timestamp-deviation"]["bytes"])[2:]
    made = CosemDateTime.from_datetime(datetime(2024, 6, 15, 20, 23, 45, tzinfo=ZoneInfo("Europe/Vienna")))
    assert bytes(made) == captured
