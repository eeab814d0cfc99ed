"""What a client may write into a push setup, and what a strict meter refuses; what a push says of its objects."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.cosem.push_objects import (
    PUSH_SETUP,
    OperationMethod,
    PushDestination,
    PushObject,
    RepetitionDelay,
    Restriction,
    RestrictionType,
    TransportService,
    Window,
    decode_push_objects,
    encode_push_objects,
)
from cosemic.cosem.selection import CLOCK_TIME, CaptureObject
from cosemic.enums import DataAccessResult
from cosemic.errors import DecodeError
from cosemic.meter.demo import demo_meter
from cosemic.meter.demo_pushes import demo_agenda
from cosemic.meter.objects import FREE
from cosemic.meter.push_protection import KeyKind, LayerKind, ProtectionLayer
from cosemic.meter.push_setup import PushOptions, PushSetup, host_and_port
from cosemic.meter.push_values import own_access, push_body
from cosemic.obis import ObisCode
from cosemic.protocol.requests import Get, Set
from cosemic.times import CosemDateTime

NOW = datetime(2026, 7, 1, 10, 0, 0, tzinfo=UTC)
MANAGER = (1, 1)
OK, TYPE, OTHER, DENIED = (
    DataAccessResult.SUCCESS,
    DataAccessResult.TYPE_UNMATCHED,
    DataAccessResult.OTHER_REASON,
    DataAccessResult.READ_WRITE_DENIED,
)
CLOCK = PushObject(8, ObisCode(0, 0, 1, 0, 0, 255))
ENERGY = PushObject(3, ObisCode(1, 0, 1, 8, 0, 255))
PROFILE = ObisCode(1, 0, 99, 1, 0, 255)


def meter_with(version):
    meter = demo_meter(profile_rows=8, clock=lambda: NOW)
    setup = PushSetup(version=version)
    meter.devices[1].add(setup.meter_object())
    return meter, setup


def put(meter, attribute, value, who=MANAGER):
    (result,) = meter.execute(who, Set.one(40, PUSH_SETUP, attribute, value)).results
    return result


def get(meter, attribute):
    (value,) = meter.execute(MANAGER, Get.one(40, PUSH_SETUP, attribute)).results
    return value


def destination(service, address, message=0):
    return axdr.structure(axdr.enum(service), axdr.octet_string(address), axdr.enum(message))


@pytest.mark.parametrize("version", [0, 1, 2])
def test_each_version_has_its_attributes_and_methods(version):
    setup = PushSetup(version=version).meter_object()
    assert sorted(setup.attributes) == list(range(1, 8 + (0, 3, 6)[version]))
    assert sorted(setup.methods) == [1, 2] if version == 2 else [1]


def test_there_is_no_version_3():
    with pytest.raises(ValueError, match="version 0, 1 or 2"):
        PushSetup(version=3)


@pytest.mark.parametrize("version", [0, 1, 2])
def test_what_was_written_is_read_again(version):
    meter, setup = meter_with(version)
    window = Window(CosemDateTime(hour=1, minute=0, second=0), CosemDateTime(hour=2, minute=0, second=0))
    wanted = {
        2: encode_push_objects([CLOCK, ENERGY], version),
        3: destination(0, b"[2001:db8::1]:4059"),
        4: axdr.array(axdr.structure(axdr.octet_string(bytes(window.start)), axdr.octet_string(bytes(window.end)))),
        5: axdr.long_unsigned(600),
        6: axdr.unsigned(3),
        7: RepetitionDelay(10, 150, 3600).typed(version),
    }
    if version >= 1:
        layer = ProtectionLayer(LayerKind.AUTHENTICATION, b"\1" * 8, b"", b"ABC\0\0\0\0\1", b"", KeyKind.WRAPPED)
        wanted |= {8: axdr.octet_string(bytes(6)), 9: axdr.integer(16), 10: axdr.array(layer.typed())}
    if version >= 2:
        started = axdr.structure(axdr.date_time(CosemDateTime(2026, 1, 1)), axdr.double_long_unsigned(3600))
        wanted |= {11: axdr.enum(2), 12: started}
    for attribute, value in wanted.items():
        assert put(meter, attribute, value) is OK, attribute
        assert get(meter, attribute) == Data.of(value)
    assert setup.options.objects == (CLOCK, ENERGY)
    assert setup.options.destination.address == b"[2001:db8::1]:4059"
    assert setup.options.windows == (window,)
    assert (setup.options.randomisation, setup.options.retries) == (600, 3)
    if version >= 2:
        assert setup.options.delay == RepetitionDelay(10, 150, 3600)
        assert setup.options.method is OperationMethod.CONFIRMED
        assert setup.options.confirmation_interval == 3600


@pytest.mark.parametrize(
    ("attribute", "value", "result"),
    [
        (2, axdr.null_data(), TYPE),
        (2, axdr.array(axdr.unsigned(1)), TYPE),
        (2, encode_push_objects([CLOCK], 0), TYPE),  # four elements, where this version has six
        (2, encode_push_objects([CLOCK] * 256, 2), OTHER),
        (2, encode_push_objects([PushObject(8, ObisCode(0, 0, 1, 0, 0, 255), -1)], 2), OTHER),
        (3, axdr.octet_string(b"head-end:4059"), TYPE),
        (3, axdr.structure(axdr.unsigned(0), axdr.octet_string(b"h:1"), axdr.enum(0)), TYPE),
        (3, destination(TransportService.SMS, b"+4930123456"), OTHER),
        (3, destination(99, b"head-end:4059"), OTHER),
        (3, destination(0, b"head-end:4059", 1), OTHER),  # XML
        (3, destination(0, b"head-end"), OTHER),
        (3, destination(0, b"head-end:0"), OTHER),
        (3, destination(0, b"head-end:65536"), OTHER),
        (3, destination(0, b"::1:4059"), OTHER),
        (3, destination(0, b"\xff\xfe:4059"), OTHER),
        (3, destination(0, b"head end:4059"), OTHER),
        (3, destination(0, b"x" * 300 + b":4059"), OTHER),
        (3, destination(0, b"line1"), OTHER),
        (4, axdr.array(axdr.structure(axdr.octet_string(b"1"), axdr.octet_string(b"2"))), TYPE),
        (4, axdr.array(*[axdr.structure(*[axdr.octet_string(b"\xff" * 12)] * 2)] * 33), OTHER),
        (5, axdr.unsigned(1), TYPE),
        (6, axdr.long_unsigned(1), TYPE),
        (7, axdr.long_unsigned(10), TYPE),
        (7, axdr.structure(*[axdr.unsigned(1)] * 3), TYPE),
        (8, axdr.octet_string(b"12345"), TYPE),
        (9, axdr.unsigned(16), TYPE),
        (9, axdr.integer(-1), OTHER),
        (10, axdr.structure(), TYPE),
        (10, axdr.array(axdr.enum(1)), TYPE),
        (10, axdr.array(*[ProtectionLayer().typed()] * 2), OTHER),
        (10, axdr.array(*[ProtectionLayer(LayerKind.SIGNATURE).typed()] * 3), OTHER),
        (11, axdr.enum(3), OTHER),
        (11, axdr.unsigned(0), TYPE),
        (12, axdr.structure(axdr.octet_string(b""), axdr.double_long_unsigned(0)), TYPE),
        (12, axdr.structure(axdr.octet_string(b"\xff" * 12), axdr.unsigned(0)), TYPE),
        (13, axdr.date_time(CosemDateTime()), DENIED),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_changes(attribute, value, result):
    meter, setup = meter_with(2)
    before = setup.options
    assert put(meter, attribute, value) is result
    assert setup.options == before


def test_a_line_may_be_named_for_hdlc_and_mbus():
    meter, _ = meter_with(2)
    assert put(meter, 3, destination(TransportService.HDLC, b"optical1")) is OK
    assert put(meter, 3, destination(TransportService.M_BUS, b"mbus")) is OK


def test_readers_may_not_write():
    meter, _ = meter_with(2)
    assert put(meter, 5, axdr.long_unsigned(1), (32, 1)) is DENIED


def test_the_public_client_does_not_see_it():
    meter, _ = meter_with(2)
    (value,) = meter.execute((16, 1), Get.one(40, PUSH_SETUP, 2)).results
    assert value is DataAccessResult.OBJECT_UNDEFINED


def test_who_may_write_can_be_chosen():
    meter = demo_meter(profile_rows=1, clock=lambda: NOW)
    meter.devices[1].add(PushSetup(version=0, who=FREE).meter_object())
    assert put(meter, 5, axdr.long_unsigned(1), (16, 1)) is OK


@pytest.mark.parametrize(
    ("address", "expected"),
    [(b"10.0.0.1:4059", ("10.0.0.1", 4059)), (b"[::1]:1", ("::1", 1)), (b"h.example:65535", ("h.example", 65535))],
)
def test_addresses(address, expected):
    assert host_and_port(PushDestination(0, address)) == expected


# The values


def values(*objects):
    meter = demo_meter(profile_rows=8, clock=lambda: NOW)
    return push_body(own_access(meter, meter.devices[1]), objects).typed


def test_values_stand_in_the_order_of_the_objects_and_null_holds_a_place():
    unknown = PushObject(3, ObisCode(1, 0, 99, 99, 0, 255))
    wrong_class = PushObject(1, ENERGY.obis)
    no_attribute = PushObject(3, ENERGY.obis, 9)
    secret = PushObject(15, ObisCode(0, 0, 40, 0, 0, 255), 7)
    clock, missing, other, beyond, hidden, energy = values(
        CLOCK, unknown, wrong_class, no_attribute, secret, ENERGY
    ).elements
    assert CosemDateTime.from_bytes(clock.value).to_datetime() == NOW
    assert [item.plain for item in (missing, other, beyond, hidden)] == [None] * 4
    assert isinstance(energy.value, int)


def test_a_data_index_takes_one_element_and_0_all_of_it():
    unit = [PushObject(3, ENERGY.obis, 3, index) for index in range(4)]
    whole, scaler, number, beyond = values(*unit).plain
    assert whole == (scaler, number)
    assert beyond is None
    assert values(PushObject(3, ENERGY.obis, 2, 1)).plain == (None,)


def test_attribute_0_is_all_attributes():
    (everything,) = values(PushObject(3, ENERGY.obis, 0)).plain
    assert everything[0] == bytes(ENERGY.obis)
    assert len(everything) == 3


def test_rows_of_a_profile_by_time_entry_and_column():
    whole = values(PushObject(7, PROFILE)).elements[0].elements
    assert len(whole) == 8
    times = [CosemDateTime.from_bytes(row.elements[0].value) for row in whole]
    by_time = Restriction(RestrictionType.DATE, times[2], times[4])
    by_entry = Restriction(RestrictionType.ENTRY, 7, 8)
    energy = CaptureObject(3, ENERGY.obis, 2)
    first, second, third, fourth = values(
        PushObject(7, PROFILE, restriction=by_time),
        PushObject(7, PROFILE, restriction=by_entry),
        PushObject(7, PROFILE, restriction=by_entry, columns=(energy, CLOCK_TIME)),
        PushObject(7, PROFILE, columns=(CaptureObject(3, ObisCode(1, 0, 9, 9, 9, 255), 2),)),
    ).elements
    assert first.elements == whole[2:5]
    assert second.elements == whole[6:8]
    assert [row.elements for row in third.elements] == [(row.elements[2], row.elements[0]) for row in whole[6:8]]
    assert fourth.plain is None


# The tables


@pytest.mark.parametrize("version", [0, 1, 2])
def test_push_objects_are_read_as_they_were_written(version):
    objects = [CLOCK, PushObject(3, ENERGY.obis, 2, 1)]
    if version >= 1:
        objects.append(PushObject(7, PROFILE, restriction=Restriction(RestrictionType.ENTRY, 1, 4)))
    if version >= 2:
        objects.append(PushObject(7, PROFILE, columns=(CLOCK_TIME,)))
    assert decode_push_objects(Data.of(encode_push_objects(objects, version)).value) == tuple(objects)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [(1, 2, 3)],
        [(8, bytes(6), 2, 0, (9, None))],
        [(8, bytes(6), 2, 0, (1, (b"1", b"2")))],
        [(8, bytes(6), 2, 0, (0, None), None)],
        [(8, bytes(6), 2, 0, (0, None), [], 7)],
    ],
)
def test_what_is_no_push_object_list_is_a_decode_error(value):
    with pytest.raises(DecodeError):
        decode_push_objects(value)


def test_the_delay_grows_by_its_exponent_up_to_its_limit():
    delay = RepetitionDelay(10, 150, 40)
    assert [delay.before(retry) for retry in range(1, 6)] == [10, 15, 22.5, 33.75, 40]
    assert [RepetitionDelay(10).before(retry) for retry in (1, 2, 200)] == [10, 10, 10]
    assert RepetitionDelay(10, 0, 40).before(3) == 0
    assert RepetitionDelay(0xFFFF, 0xFFFF, 0xFFFF).before(255) == 0xFFFF


def test_keys_of_the_demo_that_are_not_there_are_asked_for_in_vain():
    meter = demo_meter(profile_rows=1, clock=lambda: NOW)
    with pytest.raises(ValueError, match="no key to sign"):
        demo_agenda(meter, protection="signed")


def test_options_of_a_setup_are_seen_by_clients():
    meter = demo_meter(profile_rows=1, clock=lambda: NOW)
    setup = PushSetup(PushOptions(objects=(CLOCK,), client_sap=16), version=1)
    meter.devices[1].add(setup.meter_object())
    assert get(meter, 9).value == 16
    assert decode_push_objects(get(meter, 2).value) == (CLOCK,)
