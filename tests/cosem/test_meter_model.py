"""A meter as a file: read, written, edited, turned into a simulated meter, compared with another."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given

from cosemic.codec import axdr, text
from cosemic.codec.axdr import Data
from cosemic.cosem import procedures
from cosemic.cosem.access import call_method, get, set_attribute
from cosemic.cosem.meter_model import MeterModel, ModelObject, read_model
from cosemic.cosem.model_differences import Subject, differences
from cosemic.cosem.object_list import ObjectEntry, decode_object_list, right_from_words
from cosemic.cosem.profile_reading import read_profile
from cosemic.cosem.selection import CaptureObject
from cosemic.enums import AccessRight, DataAccessResult
from cosemic.errors import ActionError, DataAccessError
from cosemic.meter.demo import MANAGER_CLIENT, PUBLIC_CLIENT, READER_CLIENT, demo_meter
from cosemic.meter.from_model import meter_from_model
from cosemic.obis import ObisCode
from cosemic.protocol.requests import GetResults
from cosemic.times import CosemDateTime
from tests.codec.values import TYPED
from tests.cosem.driving import drive
from tests.vectors.collection import REASON, load

NOW = datetime(2026, 3, 1, 12, 7, tzinfo=UTC)


def asking(meter, client=PUBLIC_CLIENT):
    return lambda request: meter.execute((client, 1), request)


def model_of(meter, client=PUBLIC_CLIENT, **options):
    execute = asking(meter, client)
    return drive(read_model(drive(procedures.read_objects(), execute), **options), execute)


@pytest.fixture
def model():
    return model_of(demo_meter(clock=lambda: NOW, profile_rows=20), READER_CLIENT, buffers=True, about="cellar")


def value(model: MeterModel, class_id: int, obis: str, attribute: int):
    (item,) = (item for item in model.objects if item.place == (class_id, ObisCode.parse(obis)))
    return item.values[attribute].value


def test_a_model_holds_what_may_be_read(model):
    assert value(model, 8, "0-0:1.0.0", 3) == -60
    assert value(model, 3, "1-0:32.7.0", 3) == (-1, 35)
    assert len(value(model, 7, "1-0:99.1.0", 2)) == 20


def test_buffers_only_where_they_are_asked_for():
    asked = []
    meter = demo_meter(clock=lambda: NOW)
    entries = drive(procedures.read_objects(), asking(meter))

    def execute(request):
        asked.extend((at.class_id, at.attribute) for at, _ in request.items)
        return meter.execute((PUBLIC_CLIENT, 1), request)

    drive(read_model(entries), execute)
    assert (7, 3) in asked
    assert (7, 2) not in asked
    assert (15, 2) not in asked


def test_secrets_are_not_even_asked_for():
    everything = dict.fromkeys(range(1, 12), AccessRight.READ)
    secret = [(15, 1, 7), (19, 1, 7), (19, 1, 8), (19, 1, 9), (44, 0, 5), (45, 0, 3), (46, 0, 4), (100, 0, 7)]
    secret += [(91, 4, 5), (101, 0, 10), (101, 0, 11), (115, 0, 2)]
    entries = [ObjectEntry(c, v, ObisCode(0, 0, 25, c, 0, 255), everything) for c, v, _ in secret]
    asked = []

    def execute(request):
        asked.extend((at.class_id, at.attribute) for at, _ in request.items)
        return GetResults((Data.of(None),) * len(request.items))

    drive(read_model(entries), execute)
    assert (44, 2) in asked
    assert not {(c, a) for c, _, a in secret} & set(asked)


def test_a_refusal_is_noted_and_the_rest_goes_on():
    meter = demo_meter(clock=lambda: NOW)
    meter.faults.force(3, "1-0:1.8.0", 2, DataAccessResult.HARDWARE_FAULT)
    model = model_of(meter)
    (item,) = (item for item in model.objects if item.place == (3, ObisCode.parse("1-0:1.8.0")))
    assert item.refused == {2: "hardware-fault"}
    assert 3 in item.values
    with pytest.raises(DataAccessError) as refused:
        drive(get(3, "1-0:1.8.0", 2), asking(meter_from_model(model)))
    assert refused.value.result is DataAccessResult.HARDWARE_FAULT


def test_progress_is_told():
    meter = demo_meter(clock=lambda: NOW)
    seen = []
    model_of(meter, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 100
    assert seen == sorted(seen)


def test_the_file_is_the_model(model):
    again = MeterModel.from_text(model.to_json())
    assert again == model
    assert again.about == "cellar"


def test_a_person_can_read_the_file(model):
    document = json.loads(model.to_json())
    (register,) = (item for item in document["objects"] if item["obis"] == "1-0:32.7.0*255")
    assert register["class"] == "Register"
    assert register["attributes"]["3"] == {
        "name": "scaler_unit",
        "access": "read",
        "type": "structure",
        "value": [{"type": "integer", "value": -1}, {"type": "enum", "value": 35}],
    }


def test_a_model_may_be_toml():
    model = MeterModel.from_text(
        """
        format = "cosemic meter model"
        format_version = 1
        [[objects]]
        class_id = 3
        version = 0
        obis = "1-0:1.8.0"
        [objects.attributes.2]
        access = "read and write (authenticated)"
        type = "double-long-unsigned"
        value = 1234
        [objects.attributes.3]
        access = "read"
        type = "structure"
        value = [{type = "integer", value = 0}, {type = "enum", value = 30}]
        [objects.methods.1]
        access = "call"
        """
    )
    (item,) = model.objects
    assert item.entry.attributes[2] == AccessRight.READ | AccessRight.WRITE | AccessRight.AUTHENTICATED_REQUEST
    reading = drive(procedures.read_register("1-0:1.8.0"), asking(meter_from_model(model), MANAGER_CLIENT))
    assert str(reading) == "1234 Wh"


@given(TYPED)
def test_any_value_survives_the_file(typed):
    entry = ObjectEntry(1, 0, ObisCode(0, 0, 96, 1, 0, 255), {2: AccessRight.READ})
    model = MeterModel((ModelObject(entry, {2: Data.of(typed)}),))
    assert MeterModel.from_text(model.to_json()) == model


@given(TYPED)
def test_a_document_is_a_value_again(typed):
    document = json.loads(json.dumps(text.to_document(typed)))
    try:
        again = text.from_document(document)
    except ValueError:
        return  # an empty compact-array, whose type stands nowhere
    assert again.type is typed.type


@pytest.mark.parametrize(
    "words", ["read", "read and write", "no access", "call", "read (authenticated, response signed)"]
)
def test_rights_in_words_are_rights(words):
    attribute = not words.startswith("call")
    right = right_from_words(words, attribute=attribute)
    entry = ObjectEntry(1, 0, ObisCode(0, 0, 96, 1, 0, 255), {2: right}, {1: right})
    assert (entry.attribute_rights(2) if attribute else entry.method_rights(1)) == words


GOOD = {"class_id": 3, "version": 0, "obis": "1-0:1.8.0", "attributes": {"2": {"access": "read"}}}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"class_id": "3"}, "class_id is a number"),
        ({"class_id": 65536}, "class_id is a number"),
        ({"version": True}, "version is a number"),
        ({"obis": "1.8"}, "1.8"),
        ({"base_name": -8}, "base_name is a number"),
        ({"attributes": []}, "attributes are tables"),
        ({"attributes": {"0": {"access": "read"}}}, "by number from 1 to 127"),
        ({"attributes": {"2": {}}}, 'needs "access"'),
        ({"attributes": {"2": {"access": "peek"}}}, "is no access right"),
        ({"attributes": {"2": {"access": "read", "type": "numbr"}}}, "attribute 2: 'numbr' is not a type"),
        ({"attributes": {"2": {"access": "read", "type": "unsigned", "value": 256}}}, "attribute 2"),
        ({"attributes": {"2": {"access": "read", "type": "unsigned", "value": "x"}}}, "attribute 2"),
        ({"attributes": {"2": {"access": "read", "octets": "0900ff"}}}, "attribute 2"),
        ({"attributes": {"2": {"access": "read", "octets": "zz"}}}, "attribute 2"),
        ({"attributes": {"2": {"access": "read", "selectors": ["1"]}}}, "selectors are a list"),
        ({"methods": {"1": {"access": "read"}}}, "method 1"),
    ],
)
def test_a_wrong_object_is_named(change, complaint):
    document = {
        "format": "cosemic meter model",
        "format_version": 1,
        "objects": [GOOD, GOOD | {"class_id": 4} | change],
    }
    with pytest.raises(ValueError, match="object 2") as refused:
        MeterModel.from_text(json.dumps(document))
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "format"),
        ("{", "neither"),
        ("[" * 100_000, "neither"),
        ('{"format": "other"}', "no meter model"),
        ('{"format": "cosemic meter model", "format_version": 2}', "format_version 2"),
        ('{"format": "cosemic meter model", "format_version": 1}', '"objects"'),
        ('{"format": "cosemic meter model", "format_version": 1, "objects": [1]}', "object 1"),
        (json.dumps({"format": "cosemic meter model", "format_version": 1, "objects": [GOOD, GOOD]}), "twice"),
    ],
)
def test_a_wrong_file_is_one_clear_error(content, complaint):
    with pytest.raises(ValueError, match=complaint):
        MeterModel.from_text(content)


# A meter that runs from the file


def test_the_meter_of_a_file_is_the_meter(model):
    copy = meter_from_model(MeterModel.from_text(model.to_json()), clock=lambda: NOW)
    again = model_of(copy, READER_CLIENT, buffers=True)
    here = [item for item in model.objects if item.entry.class_id not in (15, 17, 64)]
    there = [item for item in again.objects if item.entry.class_id not in (15, 17, 64)]
    assert differences(MeterModel(tuple(here)), MeterModel(tuple(there)), measured=True) == []


def test_its_clock_runs(model):
    time = [NOW]
    meter = meter_from_model(model, clock=lambda: time[0])
    before = drive(procedures.read_clock(), asking(meter))
    time[0] += timedelta(hours=1)
    assert drive(procedures.read_clock(), asking(meter)) - before == timedelta(hours=1)


def test_it_keeps_what_may_be_written(model):
    meter = meter_from_model(model)
    write = set_attribute(1, "0-0:128.0.0", 2, axdr.double_long_unsigned(7))
    drive(write, asking(meter))
    assert drive(get(1, "0-0:128.0.0", 2), asking(meter)) == 7
    with pytest.raises(DataAccessError):
        drive(set_attribute(1, "0-0:128.0.0", 2, axdr.unsigned(7)), asking(meter))
    with pytest.raises(DataAccessError):
        drive(set_attribute(1, "0-0:42.0.0", 2, axdr.octet_string(b"")), asking(meter))


def test_it_resets_a_register_and_knows_no_other_method():
    called = {1: AccessRight.READ}
    rights = {2: AccessRight.READ, 3: AccessRight.READ}
    register = ObjectEntry(3, 0, ObisCode(1, 0, 1, 8, 0, 255), rights, called)
    script = ObjectEntry(9, 0, ObisCode(0, 0, 10, 0, 0, 255), rights, called)
    values = {2: Data.of(axdr.long64(9)), 3: Data.of(axdr.structure(axdr.integer(0), axdr.enum(30)))}
    meter = meter_from_model(MeterModel((ModelObject(register, values), ModelObject(script))))
    drive(call_method(3, "1-0:1.8.0", 1, axdr.integer(0)), asking(meter))
    assert drive(get(3, "1-0:1.8.0", 2), asking(meter)) == 0
    with pytest.raises(ActionError):
        drive(call_method(9, "0-0:10.0.0", 1, axdr.long_unsigned(1)), asking(meter))


def test_rows_of_a_profile_are_selected(model):
    meter = meter_from_model(model, clock=lambda: NOW)
    original = demo_meter(clock=lambda: NOW, profile_rows=20)
    for options in ({"last": 3}, {"start": NOW - timedelta(hours=2), "end": NOW}, {"columns": ["1-0:2.8.0"]}):
        ours = drive(read_profile("1-0:99.1.0", **options), asking(meter))
        theirs = drive(read_profile("1-0:99.1.0", **options), asking(original))
        assert len(ours) > 2
        assert ours == theirs


def test_null_times_count_on_by_the_period():
    first = bytes(CosemDateTime.from_datetime(NOW.replace(minute=0)))
    rows = [axdr.structure(axdr.octet_string(first), axdr.unsigned(1))]
    rows += [axdr.structure(axdr.null_data(), axdr.unsigned(number)) for number in (2, 3, 4)]
    columns = axdr.array(
        capture(8, "0-0:1.0.0"),
        capture(1, "0-0:96.10.1"),
    )
    entry = ObjectEntry(7, 1, ObisCode(1, 0, 99, 1, 0, 255), dict.fromkeys(range(1, 9), AccessRight.READ))
    values = {2: axdr.array(*rows), 3: columns, 4: axdr.double_long_unsigned(900), 5: axdr.enum(1)}
    model = MeterModel((ModelObject(entry, {number: Data.of(typed) for number, typed in values.items()}),))
    start = NOW.replace(minute=15)
    profile = drive(
        read_profile("1-0:99.1.0", start=start, end=start + timedelta(minutes=15)), asking(meter_from_model(model))
    )
    assert profile.rows == [(start, 2), (start + timedelta(minutes=15), 3)]


def capture(class_id, obis):
    return CaptureObject(class_id, ObisCode.parse(obis), 2).typed()


KAMSTRUP = [case for case in load("axdr") if case["name"] == "jdlms:kamstrup-association-object-list-complete"]


@pytest.mark.skipif(not KAMSTRUP, reason=REASON)
def test_the_object_list_of_a_real_meter_becomes_a_meter():
    entries = decode_object_list(axdr.decode(bytes.fromhex(KAMSTRUP[0]["bytes"])))
    copy = meter_from_model(MeterModel(tuple(ModelObject(entry) for entry in entries)))
    seen = {(e.class_id, e.obis): e for e in drive(procedures.read_objects(), asking(copy))}
    ours = [entry for entry in entries if entry.class_id not in (12, 15, 17, 64)]
    assert len(ours) > 100
    for entry in ours:
        assert replace(seen[entry.class_id, entry.obis], selectors={}) == replace(entry, selectors={})


# Differences


def test_a_meter_does_not_differ_from_itself(model):
    assert differences(model, model, measured=True) == []


def test_measured_values_are_left_out_unless_wanted(model):
    later = model_of(demo_meter(clock=lambda: NOW + timedelta(days=1), profile_rows=20), READER_CLIENT, buffers=True)
    # the power of the hour, the events: what a meter measures elsewhere than in a register
    assert {d.target.split("/")[0] for d in differences(model, later)} <= {"1", "5"}
    assert any("1-0:1.8.0*255/2" in d.target for d in differences(model, later, measured=True))


def test_every_kind_of_difference_is_told():
    def entry(version=0, rights=None, methods=None, c=1):
        return ObjectEntry(c, version, ObisCode(0, 0, 96, 1, c, 255), rights or {2: AccessRight.READ}, methods or {})

    one = {2: Data.of(axdr.unsigned(1))}
    two = {2: Data.of(axdr.unsigned(2))}
    first = MeterModel((ModelObject(entry(), one), ModelObject(entry(c=11))))
    second = MeterModel(
        (
            ModelObject(entry(1, {2: AccessRight.READ | AccessRight.WRITE}, {1: AccessRight.READ}), two),
            ModelObject(entry(c=3)),
        )
    )
    found = differences(first, second)
    assert [(d.subject, d.first, d.second) for d in found] == [
        (Subject.VERSION, "0", "1"),
        (Subject.ACCESS, "read", "read and write"),
        (Subject.ACCESS, None, "call"),
        (Subject.VALUE, "unsigned 1", "unsigned 2"),
        (Subject.OBJECT, None, "version 0"),
        (Subject.OBJECT, "version 0", None),
    ]
    assert "0-0:96.1.1*255/2" in str(found[1])
    assert str(found[5]).endswith("object version 0 | not there")
