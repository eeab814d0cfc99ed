"""The simulated meter: its object lists are true, its rights hold, and it refuses with the right code."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.apdu.services import AttributeDescriptor, MethodDescriptor, SelectiveAccess
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.cosem.object_list import decode_object_list
from cosemic.cosem.selection import CLOCK_TIME
from cosemic.enums import AccessRight, ActionResult, AuthenticationMechanism, DataAccessResult, DataType
from cosemic.meter.demo import (
    LLS_PASSWORD,
    SCRATCH_NUMBER,
    SCRATCH_OCTETS,
    SCRATCH_REGISTER,
    SYSTEM_TITLE,
    demo_meter,
)
from cosemic.obis import ObisCode
from cosemic.protocol.requests import Action, Get, Set
from cosemic.security.context import SecurityPolicy
from cosemic.times import CosemDateTime

NOW = datetime(2025, 11, 22, 11, 7, 30, tzinfo=UTC)
PUBLIC, READER, MANAGER, GAS = (16, 1), (32, 1), (1, 1), (16, 2)
EVERYBODY = [PUBLIC, READER, MANAGER, GAS, (32, 2)]
ENERGY, CLOCK, SWITCH = "1-0:1.8.0*255", "0-0:1.0.0*255", "0-0:96.3.10*255"


@pytest.fixture
def time():
    return [NOW]


@pytest.fixture
def meter(time):
    return demo_meter(profile_rows=10, clock=lambda: time[0])


def get(meter, who, class_id, obis, attribute):
    return meter.execute(who, Get.one(class_id, obis, attribute)).results[0]


def put(meter, who, class_id, obis, attribute, value):
    return meter.execute(who, Set.one(class_id, obis, attribute, value)).results[0]


def call(meter, who, class_id, obis, method, parameters=None):
    return meter.execute(who, Action.one(class_id, obis, method, parameters)).results[0]


def listed(meter, who, obis="0-0:40.0.0*255", protection=None):
    answer = meter.execute(who, Get.one(15, obis, 2), protection).results[0]
    return decode_object_list(answer.value)


# the object list


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_the_object_list_is_true(who, version):
    meter = demo_meter(profile_rows=3, clock=lambda: NOW, association_version=version)
    entries = listed(meter, who)
    assert {entry.obis for entry in entries} <= set(meter.devices[who[1]].objects)
    for entry in entries:
        assert entry.version == version if entry.class_id == 15 else entry.declaration.declared
        names = {1, *range(2, len(entry.declaration.attributes) + 1)}
        assert set(entry.attributes) == names, f"{entry.obis} lists {set(entry.attributes)} of {names}"
        for number in entry.attributes:
            answer = get(meter, who, entry.class_id, entry.obis, number)
            if entry.may_read(number):
                assert isinstance(answer, Data), f"{entry.obis}/{number}: {answer!r}"
                types = entry.declaration.attributes[number - 1].types
                assert not types or answer.typed.type in types, f"{entry.obis}/{number}: {answer!r} is none of {types}"
            else:
                assert answer is DataAccessResult.READ_WRITE_DENIED
            if entry.may_write(number):
                assert put(meter, who, entry.class_id, entry.obis, number, answer) == DataAccessResult.SUCCESS
            else:
                denied = put(meter, who, entry.class_id, entry.obis, number, axdr.null_data())
                assert denied is DataAccessResult.READ_WRITE_DENIED
        for number in entry.methods:
            outcome = call(meter, who, entry.class_id, entry.obis, number, axdr.dont_care())
            assert (outcome.result == ActionResult.READ_WRITE_DENIED) is not entry.may_call(number)


@pytest.mark.parametrize("who", EVERYBODY)
def test_what_is_not_listed_is_undefined(meter, who):
    seen = {entry.obis for entry in listed(meter, who)}
    hidden = set(meter.devices[who[1]].objects) - seen
    for obis in hidden:
        item = meter.devices[who[1]].objects[obis]
        assert get(meter, who, item.class_id, obis, 1) is DataAccessResult.OBJECT_UNDEFINED


@pytest.mark.parametrize("who", EVERYBODY)
def test_every_object_has_its_own_logical_name(meter, who):
    for entry in listed(meter, who):
        assert get(meter, who, entry.class_id, entry.obis, 1).value == bytes(entry.obis)


def test_the_more_trusted_see_more(meter):
    public, reader, manager = ({entry.obis: entry for entry in listed(meter, who)} for who in (PUBLIC, READER, MANAGER))
    assert set(public) < set(reader) < set(manager)
    writable = [sum(e.may_write(n) for e in view.values() for n in e.attributes) for view in (public, reader, manager)]
    assert writable[0] < writable[1] < writable[2]
    assert {obis for obis, entry in public.items() if any(map(entry.may_write, entry.attributes))} == {
        SCRATCH_NUMBER, SCRATCH_OCTETS, SCRATCH_REGISTER, ObisCode.parse(ENERGY)
    }  # fmt: skip


def test_named_and_current_association_are_one(meter):
    assert get(meter, READER, 15, "0-0:40.0.0*255", 2) == get(meter, READER, 15, "0-0:40.0.2*255", 2)
    assert get(meter, READER, 15, "0-0:40.0.0*255", 3).value == (32, 1)
    assert get(meter, READER, 15, "0-0:40.0.2*255", 8).value == 2
    assert get(meter, READER, 15, "0-0:40.0.1*255", 8).value == 0
    assert listed(meter, MANAGER, "0-0:40.0.1*255") == listed(meter, PUBLIC)


def test_context_and_mechanism_are_told_by_name(meter):
    assert get(meter, PUBLIC, 15, "0-0:40.0.0*255", 4).value == (2, 16, 756, 5, 8, 1, 1)
    assert get(meter, MANAGER, 15, "0-0:40.0.0*255", 4).value == (2, 16, 756, 5, 8, 1, 3)
    assert get(meter, MANAGER, 15, "0-0:40.0.0*255", 6).value == (2, 16, 756, 5, 8, 2, 5)
    assert get(meter, READER, 15, "0-0:40.0.0*255", 6).value == (2, 16, 756, 5, 8, 2, 1)


def test_a_secret_cannot_be_read(meter):
    for who in (PUBLIC, READER, MANAGER):
        assert get(meter, who, 15, "0-0:40.0.0*255", 7) is DataAccessResult.READ_WRITE_DENIED
        assert LLS_PASSWORD not in get(meter, who, 15, "0-0:40.0.0*255", 2).octets


def test_an_unprotected_request_of_the_manager_is_trusted_no_more_than_the_public_client(meter):
    plain = SecurityPolicy.NONE
    disconnect = Action.one(70, SWITCH, 1, axdr.integer(0))
    assert meter.execute(MANAGER, disconnect, plain).results[0].result == ActionResult.READ_WRITE_DENIED
    assert [e.attributes for e in listed(meter, MANAGER, protection=plain)] == [
        e.attributes for e in listed(meter, PUBLIC)
    ]
    for policy in (SecurityPolicy.AUTHENTICATED, SecurityPolicy.ENCRYPTED, SecurityPolicy.AUTHENTICATED_ENCRYPTED):
        assert meter.execute(MANAGER, disconnect, policy).results[0].result == ActionResult.SUCCESS


# associations and devices


def test_the_associations_are_those_of_the_interface(meter):
    public, reader, manager = (meter.settings(client, 1) for client in (16, 32, 1))
    assert public.mechanism == AuthenticationMechanism.NONE
    assert (reader.mechanism, reader.secret) == (AuthenticationMechanism.LLS, b"00000000")
    assert manager.mechanism == AuthenticationMechanism.HLS_GMAC
    assert manager.security.system_title == SYSTEM_TITLE
    assert meter.settings(99, 1) is None
    assert meter.settings(1, 2) is None
    assert meter.association(16, 1).client_sap == 16


def test_the_devices_have_names(meter):
    names = get(meter, PUBLIC, 17, "0-0:41.0.0*255", 2).value
    assert names == [(1, b"COS0000000000001"), (2, b"COS0000000000002")]
    assert get(meter, PUBLIC, 1, "0-0:42.0.0*255", 2).value == names[0][1]
    assert get(meter, GAS, 1, "0-0:42.0.0*255", 2).value == names[1][1]


def test_the_security_setup_tells_suite_and_title(meter):
    assert get(meter, MANAGER, 64, "0-0:43.0.0*255", 3).value == 0
    assert get(meter, MANAGER, 64, "0-0:43.0.0*255", 5).value == SYSTEM_TITLE


def test_the_public_client_can_read_the_invocation_counter(meter):
    settings, title = meter.settings(1, 1), b"COS\0\0\0\0\2"
    settings.security.hear(title)
    settings.received[settings.security.counter_id(title, broadcast=True)] = 43
    settings.received["kept from an earlier run"] = 41
    assert get(meter, PUBLIC, 1, "0-0:43.1.0*255", 2).value == 41


# refusals


@pytest.mark.parametrize(
    ("class_id", "obis", "attribute", "result"),
    [
        (3, "1-0:77.77.77*77", 2, DataAccessResult.OBJECT_UNDEFINED),
        (4, ENERGY, 2, DataAccessResult.OBJECT_CLASS_INCONSISTENT),
        (3, ENERGY, 4, DataAccessResult.READ_WRITE_DENIED),
        (3, ENERGY, 0, DataAccessResult.READ_WRITE_DENIED),
        (3, ENERGY, -1, DataAccessResult.READ_WRITE_DENIED),
        (64, "0-0:43.0.0*255", 2, DataAccessResult.OBJECT_UNDEFINED),
    ],
)
def test_what_cannot_be_read(meter, class_id, obis, attribute, result):
    assert get(meter, PUBLIC, class_id, obis, attribute) is result


@pytest.mark.parametrize(
    ("class_id", "obis", "attribute", "value", "result"),
    [
        (1, SCRATCH_NUMBER, 2, axdr.long_unsigned(5), DataAccessResult.TYPE_UNMATCHED),
        (1, SCRATCH_NUMBER, 2, axdr.null_data(), DataAccessResult.TYPE_UNMATCHED),
        (1, SCRATCH_NUMBER, 2, axdr.double_long_unsigned(5), DataAccessResult.SUCCESS),
        (1, SCRATCH_OCTETS, 2, axdr.octet_string(bytes(20_000)), DataAccessResult.SUCCESS),
        (1, SCRATCH_OCTETS, 2, axdr.octet_string(bytes(70_000)), DataAccessResult.OTHER_REASON),
        (3, ENERGY, 2, axdr.double_long_unsigned(5), DataAccessResult.SUCCESS),
        (3, "1-0:2.8.0*255", 2, axdr.double_long_unsigned(5), DataAccessResult.READ_WRITE_DENIED),
        (3, "1-0:77.77.77*77", 2, axdr.double_long_unsigned(5), DataAccessResult.OBJECT_UNDEFINED),
        (1, ENERGY, 2, axdr.double_long_unsigned(5), DataAccessResult.OBJECT_CLASS_INCONSISTENT),
        (8, CLOCK, 2, axdr.octet_string(bytes(CosemDateTime.from_datetime(NOW))), DataAccessResult.READ_WRITE_DENIED),
    ],
)
def test_what_the_public_client_may_write(meter, class_id, obis, attribute, value, result):
    assert put(meter, PUBLIC, class_id, obis, attribute, value) == result


def test_a_selector_where_none_belongs_is_out_of_scope(meter):
    from cosemic.cosem.selection import by_entry

    assert (
        meter.execute(PUBLIC, Get.one(3, ENERGY, 2, by_entry())).results[0] is DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
    )
    written = Set.one(1, SCRATCH_NUMBER, 2, axdr.double_long_unsigned(5), by_entry())
    assert meter.execute(PUBLIC, written).results[0] is DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
    assert get(meter, PUBLIC, 1, SCRATCH_NUMBER, 2).value == 0


def test_items_of_a_list_stand_for_themselves(meter):
    at = [AttributeDescriptor(3, ObisCode.parse(code), 2) for code in (ENERGY, "1-0:77.77.77", "1-0:32.7.0")]
    results = meter.execute(PUBLIC, Get(tuple((one, None) for one in at))).results
    assert [isinstance(result, Data) for result in results] == [True, False, True]


def test_the_manager_may_write_over_a_register(meter, time):
    assert put(meter, MANAGER, 3, ENERGY, 2, axdr.double_long_unsigned(12345)) == DataAccessResult.SUCCESS
    time[0] += timedelta(hours=1)
    assert get(meter, PUBLIC, 3, ENERGY, 2).value == 12345
    assert put(meter, MANAGER, 3, ENERGY, 2, axdr.long_unsigned(1)) is DataAccessResult.TYPE_UNMATCHED


def test_a_structure_must_keep_its_form(meter):
    scaler = get(meter, MANAGER, 3, ENERGY, 3)
    assert put(meter, MANAGER, 3, ENERGY, 3, scaler) is DataAccessResult.READ_WRITE_DENIED


def test_forced_results(meter):
    meter.faults.force(3, ENERGY, 2, DataAccessResult.HARDWARE_FAULT, times=2)
    answers = [get(meter, PUBLIC, 3, ENERGY, 2) for _ in range(3)]
    assert answers[:2] == [DataAccessResult.HARDWARE_FAULT] * 2
    assert isinstance(answers[2], Data)
    meter.faults.force(3, ENERGY, 2, 200)
    meter.faults.force_method(70, SWITCH, 1, ActionResult.TEMPORARY_FAILURE)
    assert get(meter, PUBLIC, 3, ENERGY, 2) == 200
    assert call(meter, MANAGER, 70, SWITCH, 1, axdr.integer(0)).result == ActionResult.TEMPORARY_FAILURE
    meter.faults.clear()
    assert isinstance(get(meter, PUBLIC, 3, ENERGY, 2), Data)


def test_lists_of_unequal_length_are_refused(meter):
    at = AttributeDescriptor(1, SCRATCH_NUMBER, 2)
    value = Data.of(axdr.double_long_unsigned(1))
    assert meter.execute(PUBLIC, Set(((at, None), (at, None)), (value,))).results == (250, 250)
    assert get(meter, PUBLIC, 1, SCRATCH_NUMBER, 2).value == 0


MOMENTS = [
    bytes.fromhex(text) for text in ("0001010101000000000348ff", "270f0c1f05173b3b63fcb8ff", "ffffffffffffffffff8000ff")
]
VALUES = st.recursive(
    st.one_of(
        st.sampled_from([axdr.null_data(), axdr.integer(0), axdr.long(-900), axdr.enum(6), axdr.boolean(True)]),
        st.integers(0, 2**32 - 1).map(axdr.double_long_unsigned),
        st.integers(0, 2**16 - 1).map(axdr.long_unsigned),
        st.sampled_from(MOMENTS).map(axdr.octet_string),
        st.sampled_from(MOMENTS).map(axdr.date_time),
        st.just(CLOCK_TIME.typed()),
        st.binary(max_size=20).map(axdr.octet_string),
    ),
    lambda inner: st.lists(inner, max_size=5).flatmap(
        lambda items: st.sampled_from([axdr.structure(*items), axdr.array(*items)])
    ),
    max_leaves=8,
)
DATA = st.one_of(VALUES.map(Data.of), st.binary(max_size=20).map(Data))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_nothing_that_a_client_sends_breaks_the_meter(data):
    meter = demo_meter(profile_rows=5, clock=lambda: NOW)
    who = data.draw(st.sampled_from([PUBLIC, MANAGER, GAS]))
    device = meter.devices[who[1]]
    for _ in range(10):
        item = data.draw(st.sampled_from(sorted(device.objects.values(), key=lambda item: item.obis)))
        number, value = data.draw(st.integers(-1, 12)), data.draw(DATA)
        access = data.draw(st.none() | st.builds(SelectiveAccess, st.integers(0, 3), DATA))
        at = AttributeDescriptor(item.class_id, item.obis, number)
        meter.execute(who, Get(((at, access),)))
        meter.execute(who, Set(((at, None),), (value,)))
        meter.execute(who, Action((MethodDescriptor(item.class_id, item.obis, number),), (value,)))
    for entry in meter.object_entries(meter.association(*who)):
        for number in filter(entry.may_read, entry.attributes):
            assert isinstance(get(meter, who, entry.class_id, entry.obis, number), Data)


# the clock


def test_the_clock_runs(meter, time):
    octets = get(meter, PUBLIC, 8, CLOCK, 2).value
    assert CosemDateTime.from_bytes(octets).to_datetime() == NOW
    assert CosemDateTime.from_bytes(octets).deviation == -60
    assert get(meter, PUBLIC, 8, CLOCK, 3).value == -60
    time[0] += timedelta(seconds=90)
    assert CosemDateTime.from_bytes(get(meter, PUBLIC, 8, CLOCK, 2).value).to_datetime() == NOW + timedelta(seconds=90)


@pytest.mark.parametrize("typed", [False, True])
def test_the_clock_is_set_and_runs_on(meter, time, typed):
    moment = CosemDateTime.from_datetime(datetime(2030, 1, 1, 12, tzinfo=UTC))
    value = axdr.date_time(moment) if typed else axdr.octet_string(bytes(moment))
    assert put(meter, READER, 8, CLOCK, 2, value) == DataAccessResult.SUCCESS
    time[0] += timedelta(seconds=5)
    assert meter.now() == datetime(2030, 1, 1, 12, 0, 5, tzinfo=UTC)


def test_a_time_without_deviation_is_the_meter_s_own(meter):
    moment = CosemDateTime.from_datetime(datetime(2030, 1, 1, 12))
    assert put(meter, READER, 8, CLOCK, 2, axdr.octet_string(bytes(moment))) == DataAccessResult.SUCCESS
    assert meter.now() == datetime(2030, 1, 1, 12, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (axdr.octet_string(bytes(11)), DataAccessResult.TYPE_UNMATCHED),
        (axdr.double_long_unsigned(5), DataAccessResult.TYPE_UNMATCHED),
        (axdr.octet_string(b"\xff" * 12), DataAccessResult.OTHER_REASON),
        (axdr.octet_string(bytes(12)), DataAccessResult.OTHER_REASON),
        (axdr.octet_string(bytes.fromhex("000101010100000000000000")), DataAccessResult.OTHER_REASON),
        (axdr.octet_string(bytes.fromhex("270f0c1f05173b3b63000000")), DataAccessResult.OTHER_REASON),
    ],
)
def test_what_is_no_time_does_not_set_the_clock(meter, value, result):
    assert put(meter, READER, 8, CLOCK, 2, value) is result
    assert meter.now() == NOW


@pytest.mark.parametrize(
    ("method", "parameters", "shown"),
    [
        (1, axdr.integer(0), NOW.replace(minute=15, second=0)),
        (3, axdr.integer(0), NOW.replace(minute=8, second=0)),
        (6, axdr.long(-30), NOW - timedelta(seconds=30)),
    ],
)
def test_the_clock_is_adjusted(meter, method, parameters, shown):
    outcome = call(meter, READER, 8, CLOCK, method, parameters)
    assert outcome.result == ActionResult.SUCCESS
    assert meter.now() == shown


def test_shifts_are_limited_and_typed(meter):
    assert call(meter, READER, 8, CLOCK, 6, axdr.long(901)).result == ActionResult.SCOPE_OF_ACCESS_VIOLATED
    assert call(meter, READER, 8, CLOCK, 6, axdr.integer(5)).result == ActionResult.TYPE_UNMATCHED
    assert call(meter, READER, 8, CLOCK, 6).result == ActionResult.TYPE_UNMATCHED
    assert call(meter, PUBLIC, 8, CLOCK, 6, axdr.long(5)).result == ActionResult.READ_WRITE_DENIED
    assert call(meter, MANAGER, 8, CLOCK, 7, axdr.long(5)).result == ActionResult.READ_WRITE_DENIED
    assert call(meter, MANAGER, 3, CLOCK, 1).result == ActionResult.OBJECT_CLASS_INCONSISTENT
    assert meter.now() == NOW


def test_a_preset_time_holds_within_its_window(meter, time):
    def octets(moment):
        return axdr.octet_string(bytes(CosemDateTime.from_datetime(moment)))

    assert call(meter, MANAGER, 8, CLOCK, 4, axdr.integer(0)).result == ActionResult.OTHER_REASON
    window = axdr.structure(*map(octets, (NOW.replace(hour=18), NOW + timedelta(hours=1), NOW + timedelta(hours=2))))
    assert call(meter, MANAGER, 8, CLOCK, 5, window).result == ActionResult.SUCCESS
    assert call(meter, MANAGER, 8, CLOCK, 4, axdr.integer(0)).result == ActionResult.OTHER_REASON
    time[0] += timedelta(minutes=90)
    assert call(meter, MANAGER, 8, CLOCK, 4, axdr.integer(0)).result == ActionResult.SUCCESS
    assert meter.now() == NOW.replace(hour=18)


# the switch, demand, registers


def test_the_switch_cuts_the_power(meter):
    def states():
        return [get(meter, PUBLIC, 70, SWITCH, number).value for number in (2, 3)]

    power = get(meter, PUBLIC, 3, "1-0:1.7.0", 2).value
    assert power > 0
    assert states() == [True, 1]
    assert call(meter, MANAGER, 70, SWITCH, 1, axdr.integer(0)).result == ActionResult.SUCCESS
    assert states() == [False, 0]
    assert get(meter, PUBLIC, 3, "1-0:1.7.0", 2).value == 0
    assert call(meter, MANAGER, 70, SWITCH, 2, axdr.integer(0)).result == ActionResult.SUCCESS
    assert states() == [True, 1]
    assert get(meter, PUBLIC, 3, "1-0:1.7.0", 2).value == power


@pytest.mark.parametrize(("mode", "state"), [(1, 2), (2, 1), (3, 2), (4, 1), (5, 2), (6, 2)])
def test_what_a_reconnection_does_depends_on_the_mode(meter, mode, state):
    assert put(meter, MANAGER, 70, SWITCH, 4, axdr.enum(mode)) == DataAccessResult.SUCCESS
    call(meter, MANAGER, 70, SWITCH, 1, axdr.integer(0))
    call(meter, MANAGER, 70, SWITCH, 2, axdr.integer(0))
    assert get(meter, PUBLIC, 70, SWITCH, 3).value == state


def test_mode_0_is_always_connected(meter):
    put(meter, MANAGER, 70, SWITCH, 4, axdr.enum(0))
    assert call(meter, MANAGER, 70, SWITCH, 1, axdr.integer(0)).result == ActionResult.OTHER_REASON
    assert put(meter, MANAGER, 70, SWITCH, 4, axdr.enum(7)) is DataAccessResult.OTHER_REASON


def test_energies_agree(meter, time):
    for _ in range(50):
        total, high, low = (get(meter, PUBLIC, 3, f"1-0:1.8.{e}", 2).value for e in range(3))
        assert 0 <= total - high - low <= 2
        time[0] += timedelta(seconds=1777)
    assert get(meter, PUBLIC, 3, ENERGY, 2).value > 0


def test_energies_never_go_back(meter, time):
    before = 0
    for _ in range(300):
        now = get(meter, PUBLIC, 3, ENERGY, 2).value
        assert now >= before
        before = now
        time[0] += timedelta(seconds=97)


def test_the_maximum_demand_can_be_reset(meter, time):
    assert get(meter, PUBLIC, 4, "1-0:1.6.0", 2).value == 1248
    assert call(meter, MANAGER, 4, "1-0:1.6.0", 1, axdr.integer(0)).result == ActionResult.SUCCESS
    assert get(meter, PUBLIC, 4, "1-0:1.6.0", 2).value == 0
    time[0] += timedelta(hours=1)
    assert 0 < get(meter, PUBLIC, 4, "1-0:1.6.0", 2).value < 1248


def test_the_test_register_can_be_written_and_reset(meter):
    assert put(meter, PUBLIC, 3, SCRATCH_REGISTER, 2, axdr.double_long_unsigned(9)) == 0
    assert get(meter, PUBLIC, 3, SCRATCH_REGISTER, 2).value == 9
    assert call(meter, PUBLIC, 3, SCRATCH_REGISTER, 1, axdr.integer(0)).result == 0
    assert get(meter, PUBLIC, 3, SCRATCH_REGISTER, 2).value == 0


def test_two_meters_share_nothing():
    one, other = demo_meter(profile_rows=1, clock=lambda: NOW), demo_meter(profile_rows=1, clock=lambda: NOW)
    put(one, PUBLIC, 1, SCRATCH_NUMBER, 2, axdr.double_long_unsigned(9))
    one.faults.force(3, ENERGY, 2, 1)
    one.settings(1, 1).received["key"] = 5
    assert get(other, PUBLIC, 1, SCRATCH_NUMBER, 2).value == 0
    assert isinstance(get(other, PUBLIC, 3, ENERGY, 2), Data)
    assert not other.settings(1, 1).received


def test_nothing_shows_a_secret(meter):
    text = repr(meter.settings(32, 1)) + repr(meter.settings(1, 1)) + repr(meter.association(1, 1))
    assert "00000000" not in text.replace("434f530000000001", "").replace("434F530000000001", "")
    assert "000102030405" not in text.lower()


def test_rights_are_those_of_the_enumeration(meter):
    for entry in listed(meter, MANAGER):
        assert all(right in (0, 1, 2, 3) for right in entry.attributes.values())
        assert all(isinstance(right, AccessRight) for right in entry.attributes.values())
    assert get(meter, PUBLIC, 3, ENERGY, 2).typed.type is DataType.DOUBLE_LONG_UNSIGNED
