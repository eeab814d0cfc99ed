"""Plain values fitted to the types of attributes."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.codec import axdr
from cosemic.codec.axdr import BitString, Data, Typed
from cosemic.codec.typed import RANGES
from cosemic.cosem.fitting import fit, fit_parameter
from cosemic.cosem.model import (
    AttributeDeclaration,
    ClassDeclaration,
    Element,
    Meaning,
    MeaningKind,
    declare,
    interface_class,
    interface_classes,
)
from cosemic.cosem.values import ScalerUnit
from cosemic.enums import ControlState, DataType
from cosemic.errors import LocalProtocolError
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime, CosemTime

NEW_YEAR = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
OCTETS = bytes.fromhex("07ea0101040c1e0000000000")
CLOCK = interface_class(8)
SWITCH = interface_class(70)


@pytest.mark.parametrize(
    ("class_id", "attribute", "value", "expected"),
    [
        (8, "time", NEW_YEAR, axdr.octet_string(OCTETS)),
        (8, "time", CosemDateTime.from_datetime(NEW_YEAR), axdr.octet_string(OCTETS)),
        (8, "time", OCTETS, axdr.octet_string(OCTETS)),
        (8, "time", OCTETS.hex(), axdr.octet_string(OCTETS)),
        (8, "time", "2026-01-01T12:30:00+00:00", axdr.octet_string(OCTETS)),
        (8, "time_zone", -60, axdr.long(-60)),
        (8, "time_zone", "0x3c", axdr.long(60)),
        (8, "time_zone", "060", axdr.long(60)),
        (8, "time_zone", Decimal("60.0"), axdr.long(60)),
        (8, "daylight_savings_enabled", True, axdr.boolean(True)),
        (8, "daylight_savings_enabled", "off", axdr.boolean(False)),
        (8, "clock_base", "GPS", axdr.enum(4)),
        (8, "status", {"doubtful", "daylight saving"}, axdr.unsigned(0x82)),
        (70, "control_mode", "mode 3", axdr.enum(3)),
        (70, "control_state", ControlState.CONNECTED, axdr.enum(1)),
        (70, "control_mode", 129, axdr.enum(129)),
        (64, "security_policy", {"authenticated_request", "encrypted request"}, axdr.enum(12)),
        (7, "capture_period", 900, axdr.double_long_unsigned(900)),
        (3, "scaler_unit", ScalerUnit(-3, 30), axdr.structure(axdr.integer(-3), axdr.enum(30))),
        (41, "ip_reference", "0-0:25.1.0*255", axdr.octet_string("0000190100ff")),
        (41, "ip_reference", ObisCode(0, 0, 25, 1, 0), axdr.octet_string("0000190100ff")),
        (47, "operator", "Swisscom", axdr.visible_string("Swisscom")),
        (71, "emergency_profile_group_id_list", [1, 2], axdr.array(axdr.long_unsigned(1), axdr.long_unsigned(2))),
        (45, "apn", "61626300", axdr.octet_string(b"abc\0")),
        (
            22,
            "executed_script",
            {"script_selector": 1, "script_logical_name": "0-0:10.0.106*255"},
            axdr.structure(axdr.octet_string("00000a006aff"), axdr.long_unsigned(1)),
        ),
        (
            22,
            "execution_time",
            [(time(6), date(2026, 3, 29))],
            axdr.array(axdr.structure(axdr.octet_string("06000000"), axdr.octet_string("07ea031d07"))),
        ),
        (
            11,
            "entries",
            [(1, "2026-12-25", 8)],
            axdr.array(axdr.structure(axdr.long_unsigned(1), axdr.octet_string("07ea0c1905"), axdr.unsigned(8))),
        ),
    ],
)
def test_a_value_gets_the_type_of_its_attribute(class_id: int, attribute: str, value: object, expected: Typed) -> None:
    assert fit(interface_class(class_id).attribute(attribute), value) == expected


@pytest.mark.parametrize(
    ("value", "like", "expected"),
    [
        (5, axdr.long64_unsigned(1), axdr.long64_unsigned(5)),
        (5, Data.of(axdr.unsigned(1)), axdr.unsigned(5)),
        (Decimal("1.5"), axdr.float32(0.0), axdr.float32(1.5)),
        ("ABC", axdr.visible_string(""), axdr.visible_string("ABC")),
        ("414243", axdr.octet_string(b""), axdr.octet_string(b"ABC")),
        (NEW_YEAR, axdr.octet_string(bytes(12)), axdr.octet_string(OCTETS)),
        (NEW_YEAR, axdr.date_time(bytes(12)), axdr.date_time(OCTETS)),
        (CosemTime(1, 2, 3, 0), axdr.time(bytes(4)), axdr.time(bytes((1, 2, 3, 0)))),
        ("0110", axdr.bit_string("0000"), axdr.bit_string("0110")),
        (BitString("01"), axdr.bit_string("0000"), axdr.bit_string("01")),
        (False, axdr.boolean(True), axdr.boolean(False)),
        (
            (1, "x"),
            axdr.structure(axdr.unsigned(9), axdr.utf8_string("")),
            axdr.structure(axdr.unsigned(1), axdr.utf8_string("x")),
        ),
        ([1, 2, 3], axdr.array(axdr.long(7)), axdr.array(axdr.long(1), axdr.long(2), axdr.long(3))),
        (axdr.long(5), axdr.unsigned(1), axdr.long(5)),
    ],
)
def test_what_the_meter_sent_gives_the_type_where_the_standard_leaves_it_open(
    value: object, like: Typed | Data, expected: Typed
) -> None:
    assert fit(interface_class(1).attribute("value"), value, like=like) == expected


def test_what_the_meter_sent_comes_before_the_declaration() -> None:
    assert fit(CLOCK.attribute("time"), NEW_YEAR, like=axdr.date_time(OCTETS)).type is DataType.DATE_TIME
    assert fit(CLOCK.attribute("time_zone"), 60, like=axdr.double_long(0)) == axdr.double_long(60)
    assert fit(CLOCK.attribute("time_zone"), 60, like=axdr.null_data()) == axdr.long(60)
    assert fit(SWITCH.attribute("control_state"), "connected", like=axdr.unsigned(0)) == axdr.unsigned(1)


def test_names_of_bits_need_to_know_how_many_there_are() -> None:
    bits = AttributeDeclaration(
        2, "flags", frozenset({DataType.BIT_STRING}), Meaning(MeaningKind.BITS, ((0, "first"), (2, "third")))
    )
    assert fit(bits, {"first", "third"}, like=axdr.bit_string("00000000")) == axdr.bit_string("10100000")
    with pytest.raises(LocalProtocolError, match="how many bits there are is known when it was read"):
        fit(bits, {"first"})
    with pytest.raises(LocalProtocolError, match="the meter has 2 bits"):
        fit(bits, {"third"}, like=axdr.bit_string("00"))


@pytest.mark.parametrize(
    ("class_id", "attribute", "value", "message"),
    [
        (8, "time_zone", 70000, "Clock: time_zone takes long, not 70000: long holds -32768 to 32767"),
        (8, "time_zone", True, "not True: it holds a whole number"),
        (8, "time_zone", 1.5, "not 1.5: it holds a whole number"),
        (8, "time_zone", Decimal("0.5"), "it holds a whole number"),
        (8, "time_zone", Decimal("NaN"), "it holds a whole number"),
        (8, "time_zone", Decimal("1E+999999999"), "it holds smaller numbers"),
        (8, "time_zone", None, "takes long, not None"),
        (8, "time_zone", axdr.unsigned(1), "time_zone takes long, not unsigned: unsigned is not among them"),
        (8, "time", b"123", "takes octet-string or date-time (date-time), not 3 octets: a date-time has 12 octets"),
        (8, "time", "noon", "'noon'"),
        (8, "time", 5, "it is written as a datetime, or ISO 8601, or as 12 octets"),
        (8, "clock_base", "sundial", "takes enum (0 not_defined, 1 internal_crystal,"),
        (8, "clock_base", 256, "enum holds 0 to 255"),
        (8, "status", {"lost"}, "its bits are invalid, doubtful,"),
        (8, "daylight_savings_enabled", 1, "it holds true or false"),
        (41, "ip_reference", "1.2", "'1.2'"),
        (41, "ip_reference", b"12345", "a logical-name has 6 octets"),
        (3, "value", 5, "takes a type that the standard leaves open, not 5: read it first"),
        (22, "executed_script", ("0-0:10.0.106", 70000), "executed_script.script_selector takes long-unsigned"),
        (22, "executed_script", (1,), "a structure of 2 elements is written as a tuple of as many"),
        (22, "executed_script", {"selector": 1}, "has the elements script_logical_name, script_selector"),
        (22, "execution_time", [(time(6), date(2026, 1, 1)), (time(6), "x")], "execution_time[1].date takes"),
        (71, "emergency_profile_group_id_list", 5, "an array is written as a list"),
        (45, "apn", "internet", "octets are written as bytes, or as text in hexadecimal digits"),
        (47, "operator", b"x", "visible-string holds text"),
    ],
)
def test_what_does_not_fit_is_one_clear_error(class_id: int, attribute: str, value: object, message: str) -> None:
    item = interface_class(class_id)
    with pytest.raises(LocalProtocolError) as caught:
        fit(item.attribute(attribute), value, owner=item.name)
    assert message in str(caught.value)
    assert attribute in str(caught.value)


def test_a_number_too_large_for_a_float_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="it holds smaller numbers"):
        fit(interface_class(1).attribute("value"), Decimal("1E+400"), like=axdr.float64(1.0))


def test_two_types_that_would_both_do_are_not_chosen_between() -> None:
    either = AttributeDeclaration(2, "limit", frozenset({DataType.UNSIGNED, DataType.LONG_UNSIGNED}))
    with pytest.raises(LocalProtocolError, match="takes unsigned or long-unsigned, not 5: read it first"):
        fit(either, 5)
    assert fit(either, 300) == axdr.long_unsigned(300)
    assert fit(either, 5, like=axdr.long_unsigned(1)) == axdr.long_unsigned(5)


@pytest.mark.parametrize(
    ("declaration", "value"),
    [
        (interface_class(45).attribute("pin_code"), 912345),
        (interface_class(15).attribute("secret"), "S3cr3tPa55"),
        (interface_class(19).attribute("pass_p1"), b"S3cr3tPa55"),
        (interface_class(44).attribute("ppp_authentication"), ("user", "S3cr3tPa55")),
        (Element("key", frozenset({DataType.OCTET_STRING})), ["S3cr3tPa55"]),
    ],
)
def test_no_message_shows_a_secret(declaration: AttributeDeclaration | Element, value: object) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        fit(declaration, value, like=axdr.unsigned(1))
    assert "912345" not in str(caught.value)
    assert "S3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_parameters_of_methods() -> None:
    assert fit_parameter(CLOCK.method("adjust_to_minute")) == axdr.integer(0)
    assert fit_parameter(CLOCK.method("shift_time"), -900) == axdr.long(-900)
    assert fit_parameter(CLOCK.method(5), (NEW_YEAR, NEW_YEAR, NEW_YEAR)) == axdr.structure(
        *[axdr.octet_string(OCTETS)] * 3
    )
    assert fit_parameter(interface_class(9).method("execute"), 2) == axdr.long_unsigned(2)
    assert fit_parameter(interface_class(64, 1).method("generate_key_pair"), "key agreement") == axdr.enum(1)
    assert fit_parameter(interface_class(61).method("capture"), axdr.integer(0)) == axdr.integer(0)
    with pytest.raises(LocalProtocolError, match="shift_time takes long, not 70000"):
        fit_parameter(CLOCK.method("shift_time"), 70000)
    with pytest.raises(LocalProtocolError, match="capture: what this method takes is not confirmed"):
        fit_parameter(interface_class(61).method("capture"))


@given(st.sampled_from([DataType(kind) for kind in sorted(RANGES)]), st.integers(-(2**65), 2**65))
def test_every_whole_number_fits_or_is_refused_by_its_range(kind: DataType, number: int) -> None:
    declaration = AttributeDeclaration(2, "number", frozenset({kind}))
    low, high = RANGES[kind]
    if low <= number <= high:
        assert fit(declaration, number) == Typed(kind, number)
        assert axdr.decode(axdr.encode(fit(declaration, number))) == number
    else:
        with pytest.raises(LocalProtocolError, match=f"{low} to {high}"):
            fit(declaration, number)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.datetimes()
    | st.dates()
    | st.times()
    | st.sets(st.text(max_size=3), max_size=2),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
EVERY = [(item, attribute) for item in interface_classes() for attribute in item.attributes]


@given(st.sampled_from(EVERY), PLAIN)
def test_any_value_for_any_attribute_fits_an_allowed_type_or_is_one_error(
    place: tuple[ClassDeclaration, AttributeDeclaration], value: object
) -> None:
    item, attribute = place
    message = ""
    try:
        typed = fit(attribute, value, owner=item.name)
    except LocalProtocolError as error:
        message = str(error)
    if message:
        assert message.startswith(f"{item.name}: {attribute.name}")
    else:
        assert typed.type in attribute.types
        assert axdr.encode(typed)


TYPED = st.recursive(
    st.integers(0, 255).map(axdr.unsigned)
    | st.integers(-(2**31), 2**31 - 1).map(axdr.double_long)
    | st.integers(0, 2**64 - 1).map(axdr.long64_unsigned)
    | st.binary(max_size=14).map(axdr.octet_string)
    | st.text(st.characters(max_codepoint=0xFF), max_size=8).map(axdr.visible_string)
    | st.booleans().map(axdr.boolean)
    | st.text("01", max_size=20).map(axdr.bit_string)
    | st.floats(allow_nan=False).map(axdr.float64),
    lambda inner: st.lists(inner, max_size=4).map(lambda parts: axdr.structure(*parts)),
    max_leaves=8,
)


@given(TYPED)
def test_what_was_read_is_written_back_as_it_was(typed: Typed) -> None:
    open_attribute = declare(8192, 0, "any", "value").attribute("value")
    assert fit(open_attribute, typed.plain, like=typed) == typed
    assert fit(open_attribute, typed.plain, like=Data.of(typed)) == typed
