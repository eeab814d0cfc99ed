"""What notifications mean: every published capture, value by value, and the shapes that meters send."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.push.meaning.interpreting import NoPush, interpret, interpret_partial
from cosemic.push.meaning.layouts import layout
from cosemic.push.messages import Label, Push, PushReading
from cosemic.times import CosemDateTime
from cosemic.tolerances import DEFAULT, STRICT, Tolerance
from cosemic.units import unit_symbol
from tests.push.plain import BY_NAME, CASES, TELEGRAM, notification, obis, plain_apdu, scaler_unit, understand
from tests.vectors.collection import REASON, load

captures = pytest.mark.skipif(not CASES, reason=REASON)
each_capture = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
FIELDS = ("year", "month", "day", "weekday", "hour", "minute", "second", "hundredths", "deviation", "clock_status")


def same_value(typed: Typed, expected: dict[str, Any]) -> bool:
    """Whether a typed value is the one of a vector."""
    kind = typed.type.name.lower().replace("_", "-")
    if kind != expected["t"]:
        return False
    if kind in ("array", "structure"):
        return len(typed.elements) == len(expected["v"]) and all(map(same_value, typed.elements, expected["v"]))
    value = typed.value
    return (value.hex() if isinstance(value, bytes) else value) == expected["v"]


def cosem_time(fields: dict[str, Any]) -> CosemDateTime:
    return CosemDateTime(*(fields["status" if name == "clock_status" else name] for name in FIELDS))


def raw_of(reading: PushReading) -> object:
    def plain(value: object) -> object:
        if isinstance(value, bytes):
            return value.hex()
        return [plain(part) for part in value] if isinstance(value, tuple | list) else value

    return plain(reading.raw)


def named(push: Push) -> dict[str, PushReading]:
    assert all(reading.obis is not None and reading.name for reading in push.readings)
    found = {reading.obis.dotted: reading for reading in push.readings if reading.obis is not None}
    assert len(found) == len(push.readings), "a name came twice"
    return found


@captures
@each_capture
def test_every_value_of_every_capture(case: dict[str, Any]) -> None:
    expected = case["expected"]
    push = understand(case)
    assert push.kind == "data-notification"
    found = named(push)
    if "entries" in expected:
        wanted = {entry["obis"]: entry for entry in expected["entries"]}
        assert list(found) == list(wanted)
        for code, entry in wanted.items():
            reading = found[code]
            assert (reading.class_id, reading.attribute) == (entry["class_id"], entry["attribute"])
            assert raw_of(reading) == entry["value"]["v"]
        assert push.body is None
        assert push.tree is None
        return
    for code, value in expected["readings"].items():
        reading = found[code]
        assert raw_of(reading) == value["raw"]
        if "scaler" in value:
            assert (reading.scaler, reading.unit_code) == (value["scaler"], value["unit"])
            assert reading.unit == unit_symbol(value["unit"])
            assert reading.value == Decimal(value["raw"]).scaleb(value["scaler"])
        if "class_id" in value:
            assert (reading.class_id, reading.attribute) == (value["class_id"], value["attribute"])
    beyond = [reading for code, reading in found.items() if code not in expected["readings"]]
    assert all(reading.label is Label.LAYOUT for reading in beyond)
    assert push.tree is not None
    assert same_value(push.tree, expected["notification"]["body"])


@captures
@each_capture
def test_time_confirmation_and_notes(case: dict[str, Any]) -> None:
    push = understand(case)
    header = case["expected"].get("notification") or case["expected"]
    assert push.needs_confirmation == (header["long_invoke_id_and_priority"]["service_class"] == "confirmed")
    fields = header["date_time"]
    if fields is not None:
        time = cosem_time(fields)
        assert push.time == (time.to_datetime() if time.is_aware else time)
    assert any("09 0C" in note for note in push.notes) == ("09 0C" in (case.get("notes") or ""))
    assert any("no type tags" in note for note in push.notes) == ("entries" in case["expected"])


@captures
@each_capture
def test_the_second_push_of_a_shape_gives_the_same(case: dict[str, Any]) -> None:
    first, second = understand(case, layouts=()), understand(case, layouts=())
    assert first == second
    assert understand(case) == understand(case)
    assert understand(case).tree == first.tree


@captures
def test_a_shape_is_not_taken_for_another() -> None:
    """One octet of a name, a scaler or a unit changed: the push after it has that name, scaler, unit."""
    apdu = plain_apdu(BY_NAME["norway-aidon-3phase-list2"])
    before = named(understand(apdu))
    code = bytes.fromhex("0100010700ff")
    at = apdu.index(code)
    changed = understand(apdu[: at + 2] + b"\x0f" + apdu[at + 3 :])
    assert "1.0.15.7.0.255" in named(changed)
    assert named(changed)["1.0.15.7.0.255"].raw == before["1.0.1.7.0.255"].raw
    at = apdu.index(bytes.fromhex("02020f00161b"))
    assert understand(apdu[: at + 3] + b"\xfd" + apdu[at + 4 :]).readings[3].value == Decimal("1.672")
    assert understand(apdu[: at + 5] + b"\x1e" + apdu[at + 6 :]).readings[3].unit == "Wh"
    assert named(understand(apdu)) == before


@captures
def test_sign_of_the_deviation() -> None:
    """UTC is local time plus deviation: captured at 20:23:45+02:00, which is 18:23:45 UTC."""
    (case,) = (case for case in load("issue-captures") if case["name"] == "kaifa-ma309m-timestamp-deviation")
    body = axdr.structure(obis("0-0:1.0.0"), axdr.octet_string(bytes.fromhex(case["expected"]["v"])))
    push = understand(notification(body))
    assert push.time == datetime(2024, 6, 15, 18, 23, 45, tzinfo=UTC)
    assert push.time.utcoffset() == timedelta(hours=2)  # type: ignore[union-attr]
    assert push.readings[0].value == push.time


@captures
def test_meters_tell_who_they_are() -> None:
    found = {name: understand(case).meter_id for name, case in BY_NAME.items()}
    assert found["salzburg-netz-plain-notification"] == "1KFM0200234804"
    assert found["energomera-plain-notification"] == "012415173608710"  # without the zeros that fill it
    assert found["cyprus-landis-gyr-e450-gbt-plain-2"] == "1538088"
    assert found["norway-kamstrup-1h-list"] == "5706567000000000"
    assert found["kaifa-no-list-2"] == "6970631402614476"
    assert found["netz-noe-kaifa-mbus-official-example"] == "181220000009"
    assert found["aidon-no-list-1"] is None


@captures
def test_texts_are_texts() -> None:
    found = named(understand(BY_NAME["cyprus-landis-gyr-e450-gbt-plain-2"]))
    assert found["0.0.96.14.0.255"].value == "RATE2"
    assert found["0.0.96.14.0.255"].raw == b"RATE2\x00\x00\x00"
    egd = named(understand(BY_NAME["czech-egd-example"]))
    assert egd["0.0.96.13.0.255"].value == ""
    assert egd["0.2.25.9.0.255"].value == "0-2:25.9.0*255"


@captures
def test_strict_refuses_what_bends_the_standard(caplog: pytest.LogCaptureFixture) -> None:
    for name, tolerance in (
        ("kaifa-no-list-2", Tolerance.DATE_TIME_TAG),
        ("sagemcom-xt211", Tolerance.PUSH_BARE_DESCRIPTORS),
    ):
        with caplog.at_level(logging.INFO, "cosemic.tolerance"):
            for _ in range(2):  # the second time the shape is known
                caplog.clear()
                understand(BY_NAME[name])
                assert tolerance.name in caplog.text
        for tolerances in (STRICT, DEFAULT - {tolerance}):
            with pytest.raises(DecodeError):
                understand(BY_NAME[name], tolerances=tolerances)


@captures
def test_what_is_whole_of_a_damaged_push() -> None:
    (case,) = (case for case in load("pushes") if case["name"] == "austria-ewr-kaifa-ma309m-mbus")
    apdu = plain_apdu(case)
    with pytest.raises(DecodeError):
        understand(apdu)
    push = interpret_partial(TELEGRAM, apdu)
    assert "octet 228 of 336 is damaged or missing" in push.notes[0]
    assert push.body is None
    assert push.tree is None
    assert [str(reading.value) for reading in push.readings[3:]] == [
        "236.3", "238.3", "236.7", "2.35", "3.19", "1.63", "0",
    ]  # fmt: skip
    assert push.readings[-1].scaler is None  # its scaler lies behind the damage
    assert push.meter_id == "1KFM0000000001"
    whole = plain_apdu(BY_NAME["salzburg-netz-plain-notification"])
    assert interpret_partial(TELEGRAM, whole) == understand(whole)
    for length in range(len(whole)):
        try:
            cut = interpret_partial(TELEGRAM, whole[:length])
        except DecodeError:
            continue
        assert [r.raw for r in cut.readings] == [r.raw for r in understand(whole).readings[: len(cut.readings)]]
        assert "damaged or missing" in cut.notes[-1]


W, V = 27, 35


def power(value: int = 5) -> Typed:
    return axdr.double_long_unsigned(value)


DESCRIPTOR = (axdr.long_unsigned(3), obis("1-0:1.7.0"), axdr.integer(2))


@pytest.mark.parametrize(
    "body",
    [
        axdr.structure(obis("1-0:1.7.0"), power(), scaler_unit(-1, W)),
        axdr.array(axdr.structure(obis("1-0:1.7.0"), power(), scaler_unit(-1, W))),
        axdr.structure(obis("1-0:1.7.0"), power(), scaler_unit(-1, W), obis("1-0:2.7.0"), power(9), scaler_unit(0, W)),
        axdr.structure(axdr.structure(obis("1-0:1.7.0"), power(), axdr.integer(-1), axdr.enum(W))),
        axdr.structure(axdr.structure(obis("1-0:1.7.0"), scaler_unit(-1, W), power())),
        axdr.array(axdr.structure(*DESCRIPTOR, power(), scaler_unit(-1, W))),
        axdr.array(axdr.structure(axdr.structure(*DESCRIPTOR), power(), scaler_unit(-1, W))),
        axdr.structure(power(1), axdr.array(axdr.array(axdr.structure(DESCRIPTOR[1], power(), scaler_unit(-1, W))))),
    ],
    ids=["one", "array", "flat", "inline scaler", "scaler first", "definition", "descriptor", "nested"],
)  # fmt: skip
def test_shapes_of_pairs(body: Typed) -> None:
    for _ in range(2):
        reading = understand(notification(body)).readings[0]
        assert (reading.value, reading.unit, str(reading.obis)) == (Decimal("0.5"), "W", "1-0:1.7.0*255")
        assert reading.label is Label.PAIR
        assert reading.class_id in (3, None)
        assert reading.attribute in (2, None)


def test_pairs_with_time_null_and_leftovers() -> None:
    time = bytes.fromhex("07e80c0106000000008000ff")
    body = axdr.structure(
        axdr.structure(obis("0-2:24.2.1"), power(123), scaler_unit(-3, 13), axdr.octet_string(time)),
        axdr.structure(obis("1-0:2.7.0"), axdr.null_data(), scaler_unit(0, W)),
        axdr.structure(power(1), power(2)),
    )
    push = understand(notification(body))
    gas, export = push.readings
    assert (gas.device, gas.value, gas.unit, gas.time) == (2, Decimal("0.123"), "m³", CosemDateTime.from_bytes(time))
    assert export.value is None
    assert export.unit == "W"
    zoned = understand(notification(body), zone=ZoneInfo("Europe/Vienna"))
    assert zoned.readings[0].time == datetime(2024, 12, 1, tzinfo=ZoneInfo("Europe/Vienna"))


def test_a_code_without_a_value_is_doubted() -> None:
    push = understand(notification(axdr.structure(obis("1-0:1.7.0"), obis("1-0:2.7.0"), power(3))))
    assert [str(reading.obis) for reading in push.readings] == ["1-0:2.7.0*255"]
    assert "no value follows 1-0:1.7.0*255" in (push.hint or "")


DEFINITION = [
    (8, "0-0:1.0.0", 2),
    (3, "1-0:1.8.0", 2),
    (3, ObisCode.parse("1-0:1.8.0"), 3),
    (1, b"\0\0\x60\1\0\xff", 2, 0),
]
CLOCK = bytes.fromhex("07e80c01060000000000003c00")[:9] + bytes.fromhex("ffc400")
VALUES = axdr.structure(
    axdr.octet_string(CLOCK), axdr.double_long_unsigned(12345), scaler_unit(-3, 30), axdr.octet_string(b"4711")
)


@pytest.mark.parametrize(
    "definition",
    [
        DEFINITION,
        tuple(DEFINITION),
        [(class_id, bytes(ObisCode.parse(name)), attribute, 0) for class_id, name, attribute, *_ in DEFINITION],
    ],
)
def test_a_definition_names_values(definition: object) -> None:
    for _ in range(2):
        push = understand(notification(VALUES), definition=definition)
        clock, energy, serial = push.readings
        assert {reading.label for reading in push.readings} == {Label.DEFINITION}
        assert clock.value == push.time == datetime(2024, 12, 1, tzinfo=timezone(timedelta(hours=1)))
        assert (energy.value, energy.unit, energy.class_id) == (Decimal("12.345"), "Wh", 3)
        assert serial.value == push.meter_id == "4711"
        assert push.hint is None


def test_a_definition_as_the_meter_sends_it() -> None:
    columns = own_list((8, "0-0:1.0.0", 2), (3, "1-0:1.8.0", 2), (3, "1-0:1.8.0", 3), (1, "0-0:96.1.0", 2))
    data = Data.of(columns)
    by_data = understand(notification(VALUES), definition=data)
    assert by_data.readings == understand(notification(VALUES), definition=data.value).readings
    assert len(by_data.readings) == 3


def test_a_definition_that_was_changed_is_read_again() -> None:
    definition = [(3, "1-0:1.8.0", 2)]
    body = notification(axdr.structure(power()))
    assert str(understand(body, definition=definition).readings[0].obis) == "1-0:1.8.0*255"
    definition[0] = (3, "1-0:2.8.0", 2)
    assert str(understand(body, definition=definition).readings[0].obis) == "1-0:2.8.0*255"


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ([(8, "0-0:1.0.0", 2)], "has 4 elements, the definition that was given 1"),
        ([(3, "1-0:1.8.0", 2), (8, "0-0:1.0.0", 2), (1, "0-0:96.1.0", 2), (1, "0-0:96.1.1", 2)], "does not agree"),
        ([(8, "0-0:1.0.0", 2), (3, "1-0:1.8.0", 3), (1, "0-0:96.1.0", 2), (1, "0-0:96.1.1", 2)], "does not agree"),
    ],
)
def test_a_definition_that_does_not_fit_is_not_used(definition: object, words: str) -> None:
    push = understand(notification(VALUES), definition=definition)
    assert push.readings == ()
    assert words in (push.hint or "")
    assert push.tree == VALUES


@pytest.mark.parametrize("definition", [[], 5, "no", [(3, "nonsense", 2)], [(3, "1-0:1.8.0")], [5]])
def test_a_definition_that_is_none(definition: object) -> None:
    with pytest.raises(ValueError, match="definition of a push"):
        understand(notification(VALUES), definition=definition)


def own_list(*columns: tuple[int, str, int]) -> Typed:
    return axdr.array(
        *(
            axdr.structure(axdr.long_unsigned(class_id), obis(name), axdr.integer(attribute), axdr.long_unsigned(0))
            for class_id, name, attribute in columns
        )
    )


SETUP = (40, "0-0:25.9.0", 2)


@pytest.mark.parametrize(
    "body",
    [
        axdr.structure(own_list(SETUP, (3, "1-0:1.7.0", 2), (3, "1-0:2.7.0", 2)), power(1), power(2)),
        axdr.structure(own_list((3, "1-0:1.7.0", 2), (3, "1-0:2.7.0", 2)), power(1), power(2)),
        axdr.structure(own_list((3, "1-0:1.7.0", 2), (3, "1-0:2.7.0", 2)), axdr.structure(power(1), power(2))),
        axdr.structure(own_list(SETUP, (3, "1-0:1.7.0", 2), (3, "1-0:2.7.0", 2)), axdr.structure(power(1), power(2))),
    ],
)
def test_lists_of_objects_in_the_push(body: Typed) -> None:
    push = understand(notification(body))
    assert [(str(r.obis), r.raw, r.label) for r in push.readings] == [
        ("1-0:1.7.0*255", 1, Label.OBJECT_LIST),
        ("1-0:2.7.0*255", 2, Label.OBJECT_LIST),
    ]
    assert "scaler and unit of 2 values are not known" in (push.hint or "")


def test_a_list_that_is_longer_than_its_values_names_none() -> None:
    body = axdr.structure(
        own_list(SETUP, (3, "1-0:1.7.0", 2), (3, "1-0:2.7.0", 2), (3, "1-0:3.7.0", 2)), power(1), power(2)
    )
    push = understand(notification(body))
    assert push.readings == ()
    assert "names 4 values, but 2 follow" in (push.hint or "")
    assert push.tree == body
    pairs = axdr.structure(*body.elements, axdr.structure(obis("1-0:9.7.0"), power(7)), obis("1-0:1.7.0"), power(8))
    assert [r.raw for r in understand(notification(pairs)).readings] == [7, 8]


def test_what_nothing_names_is_a_tree_and_a_hint() -> None:
    for body in (axdr.structure(power(1), power(2)), axdr.structure(), axdr.array(), power(7), axdr.null_data()):
        push = understand(notification(body))
        assert push.readings == ()
        assert push.tree == body
        assert push.layout is None
        assert "nothing in this push names its values" in (push.hint or "")


def test_the_zone_is_for_times_without_a_deviation() -> None:
    local = bytes.fromhex("07e80701ff0c0000ff800080")
    body = notification(axdr.structure(obis("0-0:1.0.0"), axdr.octet_string(local)), local)
    assert understand(body).time == CosemDateTime.from_bytes(local)
    zoned = understand(body, zone=ZoneInfo("Europe/Oslo"))
    assert zoned.time == zoned.readings[0].value == datetime(2024, 7, 1, 10, tzinfo=UTC)
    with_deviation = local[:9] + bytes.fromhex("ffc400")
    body = notification(axdr.structure(power()), with_deviation)
    assert understand(body, zone=ZoneInfo("Europe/Oslo")).time == datetime(2024, 7, 1, 11, tzinfo=UTC)
    empty = notification(axdr.structure(obis("0-0:1.0.0"), axdr.octet_string(local)), b"\xff" * 12)
    assert understand(empty).time == CosemDateTime.from_bytes(local)


def test_another_apdu_is_no_push() -> None:
    with pytest.raises(NoPush, match="GetResponse"):
        interpret(TELEGRAM, bytes.fromhex("c401c1000600000005"))
    with pytest.raises(DecodeError):
        interpret(TELEGRAM, b"")
    with pytest.raises(NoPush):
        interpret_partial(TELEGRAM, bytes.fromhex("c401c1000600000005"))


def test_octets_after_the_push_need_their_tolerance() -> None:
    apdu = notification(axdr.structure(obis("1-0:1.7.0"), power())) + b"\x00\x00"
    with pytest.raises(DecodeError):
        understand(apdu)
    tolerant = DEFAULT | {Tolerance.TRAILING_OCTETS}
    for _ in range(2):
        assert understand(apdu, tolerances=tolerant).readings[0].raw == 5
    with pytest.raises(DecodeError):
        understand(apdu)


@captures
def test_a_layout_can_be_forced_and_refused() -> None:
    case = BY_NAME["kaifa-no-list-2"]
    assert understand(case, layouts=()).readings == ()
    assert understand(case, layout="norway-kaifa").layout == "norway-kaifa"
    assert understand(case, layout=layout("norway-kaifa"), layouts=()).readings == understand(case).readings
    other = understand(case, layout="austria-netz-noe")
    assert other.readings == ()
    assert "none that the layout austria-netz-noe describes" in (other.hint or "")


def test_a_damaged_push_is_named_by_definition_and_list_as_well() -> None:
    apdu = notification(VALUES)
    cut = interpret_partial(TELEGRAM, apdu[:-2], definition=DEFINITION)
    assert [str(reading.value) for reading in cut.readings] == ["2024-12-01 00:00:00+01:00", "12.345"]
    body = axdr.structure(own_list(SETUP, (3, "1-0:1.7.0", 2), (3, "1-0:2.7.0", 2)), power(1), power(2))
    assert [reading.raw for reading in interpret_partial(TELEGRAM, notification(body)[:-1]).readings] == [1]


def test_a_hint_stays_short() -> None:
    codes = (obis(f"1-0:{c}.7.0") for c in range(1, 200))
    push = understand(notification(axdr.array(*(axdr.structure(code, code, code) for code in codes))))
    assert "more of the kind" in (push.hint or "")
    assert len(push.hint or "") < 700


def test_octets_may_be_of_any_kind() -> None:
    apdu = notification(axdr.structure(obis("1-0:1.7.0"), power()))
    for kind in (bytearray, memoryview):
        push = interpret(TELEGRAM, kind(apdu))  # type: ignore[arg-type]
        assert push.readings == understand(apdu).readings
        assert type(push.body.octets) is bytes  # type: ignore[union-attr]


def test_names_with_their_tag_and_length_swapped(caplog: pytest.LogCaptureFixture) -> None:
    """As in a published dump of a Landis+Gyr ZMF100: the codes of the currents begin with 06 09."""
    body = axdr.array(
        axdr.structure(obis("1-1:0.2.129"), axdr.visible_string("EMBRIQ_V1_1")),
        axdr.structure(obis("1-0:1.7.0"), power(560), scaler_unit(0, W)),
        axdr.structure(obis("1-0:31.7.0"), axdr.long(244), scaler_unit(-2, 33)),
        axdr.structure(obis("0-0:1.0.0"), obis("1-0:31.7.0")),
    )
    apdu = notification(body)
    name = axdr.encode(obis("1-0:31.7.0"))
    at = apdu.index(name)
    swapped = apdu[:at] + b"\x06\x09" + apdu[at + 2 :]
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.INFO, "cosemic.tolerance"):
            push = understand(swapped)
        assert "PUSH_SWAPPED_NAMES" in caplog.text
        assert push.readings == understand(apdu).readings
        assert str(push.readings[2].value) == "2.44"
        assert push.layout == "norway-landis-gyr"
        assert push.tree is None
        assert "06 09 instead of 09 06" in push.notes[0]
    for tolerances in (STRICT, DEFAULT - {Tolerance.PUSH_SWAPPED_NAMES}):
        with pytest.raises(DecodeError):
            understand(swapped, tolerances=tolerances)
