"""What a client may write into a push setup or a schedule costs the meter little, and cannot wear it out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from cosemic.cosem import recurrence
from cosemic.cosem.push_objects import OperationMethod, PushDestination, PushObject
from cosemic.cosem.recurrence import days_in, names_day
from cosemic.enums import InterfaceClass
from cosemic.meter import push_values
from cosemic.meter.push_protection import ProtectionLayer, PushSealer
from cosemic.meter.push_setup import PushOptions, PushSetup
from cosemic.meter.pushing import Outcome
from cosemic.obis import ObisCode
from cosemic.times import LAST_DAY, SECOND_LAST_DAY, CosemDate
from tests.meter.test_push_protection import agenda_of, contexts

NOW = datetime(2026, 7, 1, 10, tzinfo=UTC)
RULES = [
    CosemDate(year, month, day, weekday)
    for year in (None, 2024, 2026)
    for month in (None, 2, 12)
    for day in (None, 1, 29, 30, 31, LAST_DAY)
    for weekday in (None, 1, 7)
] + [CosemDate(None, None, SECOND_LAST_DAY), CosemDate(2024, 2, SECOND_LAST_DAY)]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_short_way_to_the_days_of_a_year(rule: CosemDate) -> None:
    for year in (2024, 2026):
        days = [date(year, 1, 1) + timedelta(days=number) for number in range(366)]
        assert list(days_in(rule, year)) == [day for day in days if day.year == year and names_day(rule, day)]


def test_a_rule_that_never_comes_is_looked_at_month_by_month(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    right = recurrence._day_of_month

    def counted(rule: CosemDate, year: int, month: int) -> date | None:
        looked.append(month)
        return right(rule, year, month)

    monkeypatch.setattr(recurrence, "_day_of_month", counted)
    days_in.cache_clear()
    assert days_in(CosemDate(None, 2, 30), 2026) == ()
    assert len(days_in(CosemDate(None, None, 31), 2026)) == 7
    assert days_in(CosemDate(2027, None, 31), 2026) == ()
    assert len(looked) <= 13


def test_recipients_of_many_setups_are_not_all_kept() -> None:
    meter, _ = contexts(0)
    sealer = PushSealer(meter)
    counters = set()
    for number in [*range(100), *range(100)]:
        layer = ProtectionLayer(recipient=b"HESXXX" + (0x4141 + number).to_bytes(2))
        counters.add(_counter(sealer.seal(b"\x0f\x00\x00\x00\x01\x00\x00", (layer,))))
        assert len(sealer._securities) <= 16
    assert len(counters) == 200


def _counter(apdu: bytes) -> bytes:
    """Behind an identified key (01 00 00), a length of one octet and the security control."""
    place = apdu.index(b"\x01\x00\x00") + 3
    return apdu[place + 2 : place + 6]


def test_a_clock_that_was_set_back_does_not_end_confirmations() -> None:
    setup = PushSetup(PushOptions(method=OperationMethod.CONFIRMED, confirmation_interval=3600), version=2)
    setup.last_confirmation = NOW
    assert not setup.is_confirmed(NOW + timedelta(seconds=10))
    assert setup.is_confirmed(NOW + timedelta(hours=1))
    assert setup.is_confirmed(NOW - timedelta(days=3000))


def test_a_list_that_names_a_long_profile_many_times(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = ObisCode.parse("1-0:99.1.0")
    monkeypatch.setattr(push_values, "MOST_OCTETS", 2000)
    context, _ = contexts(0)
    agenda, setup, ended = agenda_of(PushSealer(context))
    setup.options = replace(
        setup.options,
        destination=PushDestination(0, b"head-end:4059"),
        objects=(PushObject(InterfaceClass.PROFILE_GENERIC, profile),) * 255,
    )
    read: list[object] = []
    value = push_values._value
    monkeypatch.setattr(push_values, "_value", lambda *given: read.append(given) or value(*given))
    agenda.push(setup, 0.0)
    assert agenda.deliveries() == []
    (end,) = ended
    assert end.outcome is Outcome.GIVEN_UP
    assert "2000 octets" in end.reason
    assert len(read) < 255
