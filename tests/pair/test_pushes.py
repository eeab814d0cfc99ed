"""The simulated meter's pushes through the push decoder: every framing, protection and version, at any cut."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from cosemic.codec.axdr import Data
from cosemic.cosem.push_objects import OperationMethod, PushDestination, TransportService, encode_push_objects
from cosemic.meter.demo import AUTHENTICATION_KEY, ENCRYPTION_KEY, METER_ZONE, demo_meter
from cosemic.meter.demo_pushes import add_pushes, demo_agenda
from cosemic.meter.push_framing import PushFraming
from cosemic.meter.push_values import PushShape
from cosemic.meter.pushing import Outcome
from cosemic.push.decoder import PushDecoder
from cosemic.push.listening.confirmation import confirmation
from cosemic.push.messages import Label, Push
from cosemic.push.protection.keys import MeterKeys

NOW = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)
SERVICES = [TransportService.TCP, TransportService.UDP, TransportService.HDLC, TransportService.M_BUS]
POLICIES = ["none", "authenticated", "encrypted", "authenticated-encrypted"]
NAMES = {
    "1-0:1.8.0*255": "Wh",
    "1-0:2.8.0*255": "Wh",
    "1-0:1.7.0*255": "W",
    "1-0:2.7.0*255": "W",
    "1-0:32.7.0*255": "V",
    "1-0:31.7.0*255": "A",
}


def decoder(policy="none", **options):
    ak = None if policy == "encrypted" else AUTHENTICATION_KEY
    keys = None if policy == "none" else MeterKeys(ENCRYPTION_KEY, ak, allow_example_keys=True)
    return PushDecoder(keys, zone=METER_ZONE, **options)


def pushing(service=TransportService.TCP, policy="none", version=2, shape=PushShape.VALUES, **framing):
    """An agenda of a meter whose push setup has that version; everything fits a frame of 128 octets, or blocks."""
    meter = demo_meter(profile_rows=2, clock=lambda: NOW)
    meter.devices[1].push_setups.clear()
    add_pushes(meter.devices[1], version=version)
    ended = []
    agenda = demo_agenda(
        meter,
        destination=PushDestination(service, b"head-end:4059"),
        protection=policy,
        framing=PushFraming(**framing),
        shape=shape,
        on_ended=ended.append,
    )
    return agenda, agenda.setups[0], ended


def octets_of(agenda, setup, now=0.0):
    agenda.push(setup, now)
    (delivery,) = agenda.deliveries()
    agenda.delivered(delivery, now)
    return delivery, b"".join(delivery.frames)


def expect_readings(push):
    assert isinstance(push, Push), push
    by_code = {str(reading.obis): reading for reading in push.readings}
    for code, unit in NAMES.items():
        assert by_code[code].unit == unit
        assert isinstance(by_code[code].value, Decimal)
    assert Decimal(200) < by_code["1-0:32.7.0*255"].value < Decimal(250)
    assert by_code["0-0:42.0.0*255"].value == "COS0000000000001"
    assert push.time == NOW


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("size", [0, 120])
@pytest.mark.parametrize("service", SERVICES)
def test_what_the_meter_pushes_is_read_with_names_and_units(service, size, policy):
    agenda, setup, _ = pushing(service, policy, max_pdu_size=size, max_information=128)
    _, octets = octets_of(agenda, setup)
    reader = decoder(policy)
    (push,) = reader.feed(octets) + reader.end()
    expect_readings(push)
    if policy != "none":
        assert push.protection.is_verified is (policy != "encrypted")
        assert push.system_title == b"COS\0\0\0\0\1"


@pytest.mark.parametrize("version", [0, 1, 2])
def test_the_list_of_every_version_names_the_values(version):
    agenda, setup, _ = pushing(version=version)
    (push,) = decoder().feed(octets_of(agenda, setup)[1])
    expect_readings(push)
    assert {reading.label for reading in push.readings} == {Label.OBJECT_LIST}


@pytest.mark.parametrize("version", [0, 1, 2])
def test_a_list_read_from_the_meter_names_values_that_come_without_it(version):
    agenda, setup, _ = pushing(version=version)
    objects = setup.options.objects[1:]
    setup.options = replace(setup.options, objects=objects)
    definition = Data.of(encode_push_objects(objects, version)).value
    (push,) = decoder(definition=definition).feed(octets_of(agenda, setup)[1])
    expect_readings(push)
    assert {reading.label for reading in push.readings} == {Label.DEFINITION}


@pytest.mark.parametrize("shape", [PushShape.FLAT, PushShape.PAIRS])
@pytest.mark.parametrize("service", SERVICES)
def test_labels_beside_the_values_name_them(service, shape):
    agenda, setup, _ = pushing(service, shape=shape)
    reader = decoder()
    (push,) = reader.feed(octets_of(agenda, setup)[1]) + reader.end()
    assert isinstance(push, Push), push
    by_code = {str(reading.obis): reading for reading in push.readings}
    assert set(NAMES) <= set(by_code)
    assert {by_code[code].label for code in NAMES} == {Label.PAIR}
    if shape is PushShape.PAIRS:
        assert {code: by_code[code].unit for code in NAMES} == NAMES
        assert Decimal(200) < by_code["1-0:32.7.0*255"].value < Decimal(250)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("service", [TransportService.TCP, TransportService.HDLC, TransportService.M_BUS])
def test_many_pushes_at_any_cut(service, seed):
    cut = random.Random(seed)
    agenda, setup, _ = pushing(service, "authenticated-encrypted", max_pdu_size=120, max_information=128)
    stream = b"".join(octets_of(agenda, setup, float(number))[1] for number in range(5))
    reader = decoder("authenticated-encrypted")
    found = []
    while stream:
        size = cut.randint(1, 100)
        found += reader.feed(stream[:size])
        stream = stream[size:]
    found += reader.end()
    assert len(found) == 5
    counters = [push.protection.invocation_counter for push in found]
    assert counters == sorted(set(counters))
    for push in found:
        expect_readings(push)


def test_the_decoders_confirmation_is_what_the_meter_waits_for():
    agenda, setup, ended = pushing()
    setup.options = replace(setup.options, method=OperationMethod.CONFIRMED)
    delivery, octets = octets_of(agenda, setup)
    (push,) = decoder().feed(octets)
    assert push.needs_confirmation
    answer = confirmation(push)
    assert answer is not None
    assert agenda.received(delivery, answer, 1.0)
    assert [item.outcome for item in ended] == [Outcome.CONFIRMED]
