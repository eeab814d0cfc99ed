"""Declarations of the interface classes."""

import pytest

from cosemic.codec.axdr import BitString
from cosemic.cosem.model import (
    AttributeDeclaration,
    Element,
    Meaning,
    MeaningKind,
    class_name,
    declare,
    in_words,
    interface_class,
    interface_classes,
)
from cosemic.enums import DataType, InterfaceClass


@pytest.mark.parametrize(
    ("class_id", "version", "number", "name"),
    [
        (1, 0, 2, "value"),
        (3, 0, 3, "scaler_unit"),
        (4, 0, 5, "capture_time"),
        (5, 0, 4, "scaler_unit"),
        (7, 1, 8, "profile_entries"),
        (8, 0, 9, "clock_base"),
        (15, 1, 9, "security_setup_reference"),
        (15, 3, 11, "current_user"),
        (64, 1, 6, "certificates"),
        (70, 0, 4, "control_mode"),
        (71, 0, 11, "actions"),
        (72, 1, 14, "encryption_key_status"),
    ],
)
def test_attributes_have_the_numbers_of_the_standard(class_id, version, number, name):
    declaration = interface_class(class_id, version)
    assert declaration.attribute_name(number) == name
    assert declaration.attribute(name).number == number


def test_methods_have_the_numbers_of_the_standard():
    assert interface_class(8).method_name(6) == "shift_time"
    assert interface_class(70).method_name(2) == "remote_reconnect"
    assert interface_class(18).method_name(4) == "image_activate"


def test_every_class_begins_with_its_logical_name():
    for declaration in interface_classes():
        first = declaration.attributes[0]
        assert (first.number, first.name, first.types) == (1, "logical_name", {DataType.OCTET_STRING})
        assert [a.number for a in declaration.attributes] == list(range(1, len(declaration.attributes) + 1))
        assert len({a.name for a in declaration.attributes}) == len(declaration.attributes)


def test_declared_ids_are_those_of_the_enumeration():
    assert {d.class_id for d in interface_classes()} <= {int(c) for c in InterfaceClass}


def test_an_unknown_version_gets_the_nearest_below():
    assert interface_class(15, 9).version == 3
    assert interface_class(23, 0).version == 1
    assert interface_class(7).version == 1


def test_an_unknown_class_is_generic_and_never_fails():
    unknown = interface_class(8192, 4)
    assert not unknown.declared
    assert (unknown.name, unknown.version) == ("class 8192", 4)
    assert unknown.attribute_name(1) == "logical_name"
    assert unknown.attribute_name(7) == "attribute 7"
    assert unknown.method_name(1) == "method 1"
    assert class_name(InterfaceClass.WI_SUN_SETUP) == "Wi sun setup"


def test_a_name_that_does_not_exist_is_a_key_error():
    with pytest.raises(KeyError, match="has no attribute 'price'"):
        interface_class(3).attribute("price")


def test_attributes_and_methods_by_number_and_name():
    clock = interface_class(8)
    assert clock.attribute(4) is clock.attribute("status")
    assert clock.method(6) is clock.method("shift_time")
    with pytest.raises(KeyError, match="has no method 9"):
        clock.method(9)


def test_what_values_mean():
    clock, switch, script = interface_class(8), interface_class(70), interface_class(22)
    assert clock.attribute("time").meaning == Meaning(MeaningKind.DATE_TIME)
    assert clock.attribute("time").types == {DataType.OCTET_STRING, DataType.DATE_TIME}
    assert in_words(switch.attribute("control_state").meaning, 2) == "ready for reconnection"
    assert in_words(switch.attribute("control_state").meaning, 9) is None
    assert in_words(switch.attribute("output_state").meaning, True) is None
    assert in_words(clock.attribute("status").meaning, 0x83) == "invalid, doubtful, daylight saving"
    assert in_words(clock.attribute("status").meaning, 0x10) == "bit 4"
    assert in_words(clock.attribute("status").meaning, 0) == "none"
    assert in_words(Meaning(MeaningKind.BITS, ((0, "first"),)), BitString("1100")) == "first, bit 1"
    assert script.attribute("executed_script").meaning == Meaning(
        MeaningKind.STRUCTURE,
        elements=(
            Element("script_logical_name", frozenset({DataType.OCTET_STRING}), Meaning(MeaningKind.LOGICAL_NAME)),
            Element("script_selector", frozenset({DataType.LONG_UNSIGNED})),
        ),
    )


def test_what_methods_take_and_which_to_ask_about():
    switch = interface_class(70)
    for method in switch.methods:
        assert (method.parameter.types, method.default, method.critical) == ({DataType.INTEGER}, 0, True)
    clock = interface_class(8)
    assert not any(method.critical for method in clock.methods)
    assert clock.method("shift_time").default is None
    assert interface_class(61).method("capture").parameter is None


@pytest.mark.parametrize(
    ("class_id", "methods"),
    [
        (3, ["reset"]),
        (9, ["execute"]),
        (15, ["change_hls_secret", "add_object", "remove_object", "add_user", "remove_user"]),
        (18, ["image_transfer_initiate", "image_activate"]),
        (20, ["activate_passive_calendar"]),
        (
            64,
            [
                "security_activate",
                "key_transfer",
                "key_agreement",
                "generate_key_pair",
                "import_certificate",
                "remove_certificate",
            ],
        ),
        (72, ["slave_deinstall", "set_encryption_key", "transfer_key"]),
    ],
)
def test_methods_that_need_a_confirmation(class_id, methods):
    assert [method.name for method in interface_class(class_id).methods if method.critical] == methods


def test_every_declaration_can_be_read_and_its_numbers_follow():
    for declaration in interface_classes():
        assert [method.number for method in declaration.methods] == list(range(1, len(declaration.methods) + 1))
        for attribute in declaration.attributes:
            _check_meaning(attribute)
        for method in declaration.methods:
            if method.parameter is not None:
                _check_meaning(method.parameter)


KINDS = {
    MeaningKind.DATE_TIME: {DataType.OCTET_STRING},
    MeaningKind.DATE: {DataType.OCTET_STRING},
    MeaningKind.TIME: {DataType.OCTET_STRING},
    MeaningKind.LOGICAL_NAME: {DataType.OCTET_STRING},
    MeaningKind.SCALER_UNIT: {DataType.STRUCTURE},
    MeaningKind.STRUCTURE: {DataType.STRUCTURE},
    MeaningKind.ARRAY: {DataType.ARRAY},
}


def _check_meaning(item: AttributeDeclaration | Element) -> None:
    """A meaning belongs to the types that it stands by, and names are told once."""
    if item.meaning is None:
        return
    assert item.types >= KINDS.get(item.meaning.kind, set()), item
    numbers = [number for number, _ in item.meaning.names]
    assert len(set(numbers)) == len(numbers)
    assert len({name for _, name in item.meaning.names}) == len(numbers)
    assert len({element.name for element in item.meaning.elements}) == len(item.meaning.elements)
    assert (item.meaning.kind is MeaningKind.ARRAY) <= (len(item.meaning.elements) == 1)
    for element in item.meaning.elements:
        _check_meaning(element)


def test_a_declaration_from_text():
    declaration = declare(
        8192,
        1,
        "Own class",
        "~value .speed:enum{slow,5:fast,faster} flags:unsigned[a,,c] ? rows:table(name:@text,parts:array(@time))",
        "reset(integer=0) !start(structure(at:@date-time,mode:enum{off,on})) ? stop",
    )
    assert [attribute.name for attribute in declaration.attributes] == [
        "logical_name",
        "value",
        "speed",
        "flags",
        "attribute 5",
        "rows",
    ]
    assert [attribute.dynamic for attribute in declaration.attributes] == [False, True, False, None, None, None]
    assert declaration.attribute("speed").meaning.names == ((0, "slow"), (5, "fast"), (6, "faster"))
    assert declaration.attribute("speed").meaning.number_of("FAST") == 5
    assert declaration.attribute("flags").meaning.names == ((0, "a"), (2, "c"))
    (row,) = declaration.attribute("rows").meaning.elements
    assert [element.name for element in row.meaning.elements] == ["name", "parts"]
    assert row.meaning.elements[0].meaning == Meaning(MeaningKind.TEXT)
    assert [(method.name, method.default, method.critical) for method in declaration.methods] == [
        ("reset", 0, False),
        ("start", None, True),
        ("method 3", None, True),
        ("stop", None, False),
    ]


@pytest.mark.parametrize(
    ("attributes", "methods", "message"),
    [
        ("value:interger", "", "'interger' is not a type"),
        ("value:@nothing", "", "@nothing is not defined"),
        ("value:structure(a:integer]", "", "brackets"),
        ("value:integer(a:integer)", "", "'integer' has no elements"),
        ("", "reset(integer=0", "closing bracket"),
    ],
)
def test_text_that_cannot_be_read(attributes, methods, message):
    with pytest.raises(ValueError, match=message):
        declare(8192, 0, "Own class", attributes, methods)
