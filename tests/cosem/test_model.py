"""Declarations of the interface classes."""

import pytest

from cosemic.cosem.model import class_name, interface_class, interface_classes
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
