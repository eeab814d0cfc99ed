"""Objects of a connected meter by name: read, written, called, tried out, with their units and rights."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from cosemic import blocking, decode_apdu
from cosemic.apdu.services import ActionRequestNormal, SetRequestNormal
from cosemic.codec import axdr
from cosemic.cosem.image_transfer import ImageTransfer
from cosemic.cosem.model import interface_classes
from cosemic.cosem.object_list import ObjectEntry
from cosemic.cosem.objects import CosemObject
from cosemic.enums import AccessRight
from cosemic.errors import DataAccessError, LocalProtocolError
from cosemic.obis import ObisCode

from .e2e.conftest import CREDENTIALS
from .test_blocking import Bench as BlockingBench
from .test_client import Bench

ENERGY = "1-0:1.8.0"


@pytest.fixture
def meter():
    """The blocking client of the manager, over a meter in the same thread."""
    bench = BlockingBench("wrapper")
    with bench.client(**CREDENTIALS["gmac"]()) as client:
        yield client


@pytest.fixture
def sent(meter):
    """The service APDUs that leave, before protection."""
    apdus = []
    meter._session._association.trace = lambda layer, way, octets: way == "out" and apdus.append(bytes(octets))
    return apdus


def test_an_object_is_found_by_its_code_alone(meter):
    register = meter[ENERGY]
    assert str(register) == "1-0:1.8.0*255 (Active energy import (+A) total)"
    values = register.read()
    assert set(values) == {"logical_name", "value", "scaler_unit"}
    assert register.value.unit == register.unit == "Wh"
    assert register.value.value == Decimal(register.value.raw)
    assert values["logical_name"] == ObisCode.parse(ENERGY)
    assert str(register) == f"Register 1-0:1.8.0*255 (Active energy import (+A) total) = {register.value}"
    assert (register.class_id, register.version, register.class_name) == (3, 0, "Register")


def test_a_class_that_is_given_needs_no_object_list(meter, sent):
    assert isinstance(meter[8, "0-0:1.0.0"].read("time"), datetime)
    assert len(sent) == 1


def test_reading_one_several_or_all(meter):
    voltage = meter["1-0:32.7.0"]
    one = voltage.read("value")
    assert one.unit == "V"
    assert -one.value.as_tuple().exponent == 1
    assert set(voltage.read("value", "scaler_unit")) == {"value", "scaler_unit"}
    assert voltage.read(2) == voltage[2] == voltage["value"]


def test_units_are_read_once_for_all_meters_of_a_cache(meter, sent):
    meter[3, "1-0:32.7.0"].read("value")
    before = len(sent)
    again = meter[3, "1-0:32.7.0"].read("value")
    assert again.unit == "V"
    assert len(sent) == before + 1


def test_the_object_list_is_made_of_living_objects(meter):
    objects = meter.objects(units=True)
    by_code = {(item.class_id, str(item.obis)): item for item in objects}
    register = by_code[3, "1-0:32.7.0*255"]
    assert (register.unit, register.name) == ("V", "Voltage L1 instantaneous")
    assert register.attributes[2] == AccessRight.READ | AccessRight.WRITE
    assert register.attribute_rights("value") == "read and write"
    assert by_code[8, "0-0:1.0.0*255"].unit is None
    assert by_code[8, "0-0:1.0.0*255"].may_call("adjust_to_minute")
    profile = by_code[7, "1-0:99.1.0*255"]
    assert profile.selectors == {2: (1, 2)}
    assert "buffer" not in profile.read()
    assert profile.capture_objects[0] is not None


def test_a_demand_register_tells_status_and_time(meter):
    demand = meter["1-0:1.4.0"]
    values = demand.read()
    assert values["current_average_value"].unit == "W"
    assert isinstance(values["current_average_value"].time, datetime)


def test_a_plain_value_is_written_in_the_type_that_the_meter_has(meter, sent):
    number = meter["0-0:128.0.0"]
    number.write("value", 4711)
    assert decode_apdu(sent[-1]).value.typed == axdr.double_long_unsigned(4711)
    assert number.read("value") == number.value == 4711


def test_a_register_is_written_in_its_unit(meter, sent):
    volume = meter["0-0:128.0.2"]  # thousandths of a cubic metre
    volume.write("value", Decimal("1.5"))
    assert decode_apdu(sent[-1]).value.typed == axdr.double_long_unsigned(1500)
    assert str(volume.read("value")) == "1.500 m³"
    volume.write("value", axdr.double_long_unsigned(7))
    assert str(volume.value) == "0.007 m³"
    with pytest.raises(LocalProtocolError, match=r"finer than the register, which counts in 0\.001"):
        volume.write("value", Decimal("0.0005"))


@pytest.mark.parametrize("value", [-1, 1 << 32, "many", b"\x01", None])
def test_a_value_that_does_not_fit_is_refused_before_an_octet_leaves(meter, sent, value):
    number = meter[1, "0-0:128.0.0"]
    number.read()
    before = len(sent)
    with pytest.raises(LocalProtocolError, match=r"0-0:128\.0\.0"):
        number.write("value", value)
    assert len(sent) == before


def test_a_dry_run_shows_the_apdu_that_is_then_sent(meter, sent):
    number = meter[1, "0-0:128.0.0"]
    number.read()
    before = len(sent)
    tried = number.write("value", 5, dry_run=True)
    assert len(sent) == before
    assert isinstance(decode_apdu(tried.apdu), SetRequestNormal)
    assert "would write 1/0-0:128.0.0*255/2" in str(tried)
    assert tried.apdu.hex() in str(tried)
    number.write("value", 5)
    assert sent[before] == tried.apdu


def test_a_dry_run_of_a_method(meter, sent):
    clock = meter[8, "0-0:1.0.0"]
    tried = clock.adjust_to_minute(dry_run=True)
    assert decode_apdu(tried.apdu) == ActionRequestNormal(
        tried.apdu[2], tried.request.items[0], axdr.Data.of(axdr.integer(0))
    )
    assert not sent
    clock.adjust_to_minute()
    assert sent == [tried.apdu]


def test_a_dry_run_shows_no_secret(meter):
    association = meter[15, "0-0:40.0.0"]
    tried = association.call("change_hls_secret", axdr.octet_string(b"sesame-open"), dry_run=True, force=True)
    assert b"sesame-open" in tried.apdu
    for shown in (str(tried), repr(tried)):
        assert "sesame" not in shown
        assert b"sesame".hex() not in shown
        assert "change_hls_secret" in shown


def test_methods_by_name_take_plain_parameters(meter):
    clock = meter["0-0:1.0.0"]
    before = clock.read("time")
    clock.shift_time(60)
    assert 55 < (clock.read("time") - before).total_seconds() < 65
    with pytest.raises(LocalProtocolError, match="shift_time"):
        clock.shift_time(40_000)


def test_what_rights_forbid_is_refused_here_and_by_the_meter_when_forced():
    bench = BlockingBench("wrapper")
    with bench.client() as public:
        public.objects()
        frequency = public["1-0:14.7.0"]
        with pytest.raises(LocalProtocolError, match="this association has read, not write"):
            frequency.write("value", 50)
        with pytest.raises(LocalProtocolError, match="not write"):
            frequency.write("value", 50, dry_run=True)
        with pytest.raises(DataAccessError):
            frequency.write("value", 50, force=True)
        switch = public["0-0:96.3.10"]
        assert switch.is_critical("remote_disconnect")
        with pytest.raises(LocalProtocolError, match="no access"):
            switch.remote_disconnect()


def test_the_types_of_another_version_are_not_guessed(meter):
    entry = ObjectEntry(
        8, 9, ObisCode.parse("0-0:1.0.0"), {2: AccessRight.READ | AccessRight.WRITE}, {1: AccessRight.READ}
    )
    clock = CosemObject(meter.cache, (8, "0-0:1.0.0"), entry)
    with pytest.raises(LocalProtocolError, match="version 9 of Clock, whose layout is not declared"):
        clock.write_request("time", datetime.now().astimezone())
    with pytest.raises(LocalProtocolError, match="version 9"):
        clock.call_request(1)
    assert clock.call_request(1, axdr.integer(0)) == clock.call_request(1, force=True)
    unknown = CosemObject(meter.cache, (8, "0-0:1.0.0"))
    assert unknown.is_critical(99)


def test_names_that_are_not_there_are_told(meter):
    register = meter[3, ENERGY]
    with pytest.raises(LookupError, match=r"Register .* no attribute 'valu': logical_name, value, scaler_unit"):
        register.read("valu")
    with pytest.raises(LookupError, match="no method 'restart': reset"):
        register.call("restart")
    with pytest.raises(AttributeError, match="was not read yet"):
        _ = register.value
    with pytest.raises(AttributeError):
        _ = register.nonsense
    with pytest.raises(LookupError, match="from 1 to 127"):
        register.read(0)


def test_a_code_that_the_meter_does_not_have(meter):
    with pytest.raises(ValueError, match="1-0"):
        meter["1-0"]
    meter.objects()
    with pytest.raises(LocalProtocolError, match=r"has no 1-0:99\.99\.9"):
        meter["1-0:99.99.9"].read()
    with pytest.raises(DataAccessError):
        meter[3, "1-0:99.99.9"].read()


def test_refused_attributes_are_left_out_unless_asked_for(meter):
    from cosemic.enums import DataAccessResult

    bench = BlockingBench("wrapper")
    bench.server.meter.faults.force(8, "0-0:1.0.0", 4, DataAccessResult.TEMPORARY_FAILURE)
    with bench.client() as public:
        clock = public[8, "0-0:1.0.0"]
        values = clock.read()
        assert "time" in values
        assert "status" not in values
        with pytest.raises(DataAccessError):
            clock.read("status")


async def test_the_same_with_asyncio():
    bench = Bench("hdlc")
    async with bench.client(**CREDENTIALS["gmac"]()) as meter:
        register = meter[ENERGY]
        await register.read()
        assert register.value.unit == "Wh"
        number = meter["0-0:128.0.0"]
        tried = await number.write("value", 9, dry_run=True)
        assert decode_apdu(tried.apdu).value.value == 9
        await number.write("value", 9)
        assert await number.read("value") == 9
        clock = meter["0-0:1.0.0"]
        await clock.adjust_to_minute()
        assert {item.unit for item in await meter.objects(units=True)} >= {"Wh", "V", None}
    await bench.end()


def test_no_attribute_is_hidden_but_those_that_are_listed():
    """``obj["status"]`` reaches every attribute; as ``obj.status`` those whose name means nothing else."""
    own = {name for name in dir(CosemObject) if not name.startswith("_")}
    own |= {name for name in dir(blocking.DlmsClient) if name in ("read", "write", "call")}
    hidden = {item.name for declared in interface_classes() for item in (*declared.attributes, *declared.methods)} & own
    assert hidden <= {"data", "entry", "version", "name", "unit"}


def test_clock_tariffs_and_images_have_methods_of_their_own(meter):
    with pytest.raises(LocalProtocolError):
        meter.synchronise_clock()  # this meter's clock is off by months
    meter.synchronise_clock(force=True)
    assert abs(meter.clock_state().offset.ahead) < timedelta(seconds=5)
    meter["0-0:1.0.0"].shift_time(60)
    done = meter.synchronise_clock()
    assert 50 < done.before.ahead.total_seconds() < 70
    assert abs(meter.clock_state().offset.ahead) < timedelta(seconds=5)
    assert meter.tariffs().calendars
    transfer = ImageTransfer(bytes(range(256)) * 5, "FW-2")
    meter.transfer_image(transfer)
    assert meter["0-0:44.0.0"].read("image_transfer_status") == 3
    meter.activate_image(transfer)


async def test_the_same_methods_with_asyncio():
    bench = Bench("wrapper")
    async with bench.client(**CREDENTIALS["gmac"]()) as meter:
        await meter.synchronise_clock(force=True)
        assert abs((await meter.clock_state()).offset.ahead) < timedelta(seconds=5)
        assert (await meter.tariffs()).calendars
        transfer = ImageTransfer(bytes(100), "FW-3")
        await meter.transfer_image(transfer)
        await meter.activate_image(transfer)
    await bench.end()
