"""The table of short names: offsets, both directions, what cannot be named."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cosemic.apdu.services import AttributeDescriptor, MethodDescriptor
from cosemic.codec import axdr
from cosemic.cosem import procedures
from cosemic.cosem.access import MeterCache
from cosemic.cosem.model import interface_class, interface_classes
from cosemic.cosem.short_names import (
    METHOD_OFFSETS,
    NamedObject,
    ShortNameTable,
    decode_named_objects,
    decode_object_entries,
    encode_access_rights,
    encode_named_objects,
    method_offset,
)
from cosemic.enums import AccessRight, DataAccessResult
from cosemic.errors import DecodeError, LocalProtocolError, ObjectClassInconsistent, ObjectUndefined
from cosemic.meter.demo import demo_meter
from cosemic.meter.objects import Level, MeterObject
from cosemic.meter.short_names import assign
from cosemic.obis import ObisCode
from cosemic.protocol.requests import Get, GetResults
from tests.cosem.driving import drive

ENERGY = ObisCode(1, 0, 1, 8, 0, 255)
PROFILE = ObisCode(1, 0, 99, 1, 0, 255)
ASSOCIATION = ObisCode(0, 0, 40, 0, 0, 255)
OBJECTS = [
    NamedObject(0x0100, 3, 0, ENERGY),
    NamedObject(0x0130, 1, 0, ObisCode(0, 0, 42, 0, 0, 255)),
    NamedObject(0x0200, 7, 1, PROFILE),
    NamedObject(0xFFF0, 1, 0, ObisCode(0, 0, 96, 1, 0, 255)),
]


@pytest.fixture
def table() -> ShortNameTable:
    return ShortNameTable(OBJECTS)


# Offsets as three implementations that do not share code have them (jDLMS 1.8.0, pydlms-client 0.1.0, Gurux C).
@pytest.mark.parametrize(
    ("class_id", "version", "method", "offset"),
    [
        (3, 0, 1, 0x28),
        (4, 0, 1, 0x38),
        (5, 0, 1, 0x48),
        (5, 0, 2, 0x50),
        (6, 0, 1, 0x30),
        (7, 1, 1, 0x58),
        (7, 1, 2, 0x60),
        (8, 0, 1, 0x60),
        (8, 0, 6, 0x88),
        (9, 0, 1, 0x20),
        (11, 0, 2, 0x18),
        (12, 0, 1, 0x20),
        (12, 0, 8, 0x58),
        (12, 2, 3, 0x30),
        (12, 2, 5, 0x40),
        (12, 2, 8, 0x58),
        (12, 4, 10, 0x68),
        (17, 0, 1, 0x20),
        (18, 0, 4, 0x58),
        (20, 0, 1, 0x50),
        (40, 0, 1, 0x38),
        (42, 0, 3, 0x70),
        (61, 0, 2, 0x30),
        (64, 0, 1, 0x28),
        (64, 1, 8, 0x68),
        (70, 0, 2, 0x28),
        (72, 0, 1, 0x60),
        (72, 1, 8, 0xA8),
    ],
)
def test_where_methods_are(class_id: int, version: int, method: int, offset: int) -> None:
    obis = ObisCode(0, 0, 96, 50, 0, 255)
    table = ShortNameTable([NamedObject(0x1000, class_id, version, obis)])
    at = MethodDescriptor(class_id, obis, method)
    assert table.method_name(at) == 0x1000 + offset
    assert table.find(0x1000 + offset) == at


def test_methods_stand_behind_the_attributes_of_their_class() -> None:
    for declaration in interface_classes():
        methods = method_offset(declaration.class_id, declaration.version)
        if methods is not None and declaration.class_id != 12:
            assert methods.offset >= 8 * len(declaration.attributes), declaration.name


@pytest.mark.parametrize(("class_id", "version"), [(40, 2), (65, 1), (1, 0)])
def test_methods_without_a_known_place(class_id: int, version: int) -> None:
    table = ShortNameTable([NamedObject(0x1000, class_id, version, ENERGY)])
    with pytest.raises(LocalProtocolError, match="not known"):
        table.method_name(MethodDescriptor(class_id, ENERGY, 1))
    assert table.find(0x1058) == AttributeDescriptor(class_id, ENERGY, 12)


def test_every_class_with_a_place_for_methods_has_methods() -> None:
    assert all(interface_class(class_id).methods for class_id in METHOD_OFFSETS if interface_class(class_id).declared)


@pytest.mark.parametrize(("attribute", "name"), [(1, 0x0100), (2, 0x0108), (3, 0x0110), (5, 0x0120)])
def test_attributes(table: ShortNameTable, attribute: int, name: int) -> None:
    assert table.attribute_name(AttributeDescriptor(3, ENERGY, attribute)) == name
    assert table.find(name) == AttributeDescriptor(3, ENERGY, attribute)


@pytest.mark.parametrize("name", [0, 0x00F8, 0x0101, 0x0104])
def test_names_that_nothing_has(table: ShortNameTable, name: int) -> None:
    assert table.find(name) is None


def test_a_name_far_behind_an_object_is_no_attribute_of_it() -> None:
    assert ShortNameTable([NamedObject(0x0100, 1, 0, ENERGY)]).find(0x0100 + 8 * 128) is None


def test_the_association_is_known_from_the_start() -> None:
    table = ShortNameTable()
    assert table.attribute_name(AttributeDescriptor(12, ASSOCIATION, 2)) == 0xFA08
    assert table.knows(Get(((AttributeDescriptor(12, ASSOCIATION, 2), None),)))
    energy = AttributeDescriptor(3, ENERGY, 2)
    assert not table.knows(Get(((energy, None),)))
    with pytest.raises(LocalProtocolError, match="not been read"):
        table.attribute_name(energy)


def test_unlisted_objects(table: ShortNameTable) -> None:
    missing, other = ObisCode(9, 9, 9, 9, 9, 9), AttributeDescriptor(1, ENERGY, 2)
    assert table.attribute_name(AttributeDescriptor(3, missing, 2)) is DataAccessResult.OBJECT_UNDEFINED
    assert table.attribute_name(other) is DataAccessResult.OBJECT_CLASS_INCONSISTENT
    assert table.method_name(MethodDescriptor(3, missing, 1)) is DataAccessResult.OBJECT_UNDEFINED


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (AttributeDescriptor(3, ENERGY, 0), "numbered from 1"),
        (AttributeDescriptor(3, ENERGY, -1), "numbered from 1"),
        (AttributeDescriptor(3, ENERGY, 6), "0x0128, where a method is"),
        (AttributeDescriptor(1, ObisCode(0, 0, 42, 0, 0, 255), 40), "belongs to the object at 0x0200"),
        (AttributeDescriptor(1, ObisCode(0, 0, 96, 1, 0, 255), 3), "0x10000, which has more than 16 bits"),
    ],
)
def test_attributes_without_a_name(table: ShortNameTable, at: AttributeDescriptor, why: str) -> None:
    with pytest.raises(LocalProtocolError, match=why):
        table.attribute_name(at)


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (MethodDescriptor(3, ENERGY, 0), "start at 1"),
        (MethodDescriptor(3, ENERGY, 2), "belongs to the object at 0x0130"),
        (MethodDescriptor(1, ObisCode(0, 0, 42, 0, 0, 255), 1), "not known"),
        (MethodDescriptor(12, ASSOCIATION, 1), "start at 3"),
    ],
)
def test_methods_without_a_name(table: ShortNameTable, at: MethodDescriptor, why: str) -> None:
    with pytest.raises(LocalProtocolError, match=why):
        table.method_name(at)


def test_a_base_name_that_overflows() -> None:
    table = ShortNameTable([NamedObject(0xFFF8, 3, 0, ENERGY)])
    assert table.attribute_name(AttributeDescriptor(3, ENERGY, 1)) == 0xFFF8
    for number in (2, 5):
        with pytest.raises(LocalProtocolError, match="more than 16 bits"):
            table.attribute_name(AttributeDescriptor(3, ENERGY, number))
    with pytest.raises(LocalProtocolError, match="more than 16 bits"):
        table.method_name(MethodDescriptor(3, ENERGY, 1))


def test_the_first_of_two_equal_objects_counts() -> None:
    table = ShortNameTable([NamedObject(0x10, 1, 0, ENERGY), NamedObject(0x40, 1, 0, ENERGY)])
    assert table.attribute_name(AttributeDescriptor(1, ENERGY, 1)) == 0x10


def test_the_object_list_on_the_wire() -> None:
    """Base names are signed: FA00 is negative."""
    objects = [NamedObject(0xFA00, 12, 0, ASSOCIATION), NamedObject(0x0200, 1, 0, ENERGY)]
    octets = axdr.encode(encode_named_objects(objects))
    assert octets.hex() == ("0102" + "020410fa0012000c110009060000280000ff" + "0204100200120001110009060100010800ff")
    assert decode_named_objects(axdr.decode(octets)) == objects


@pytest.mark.parametrize(
    "value",
    [None, 5, [None], [(1, 2, 3)], [(1, 2, 3, b"12345")], [(-32769, 1, 0, bytes(6))], [(70000, 1, 0, bytes(6))]],
)
def test_what_is_no_object_list(value: object) -> None:
    with pytest.raises(DecodeError):
        decode_named_objects(value)


def test_access_rights_of_an_association_of_version_2() -> None:
    own = NamedObject(0xFA00, 12, 2, ASSOCIATION)
    rights = [(0x0100, [(1, 1, None), (2, 3, None), (7, 0, [1])], [(1, True)]), (-0x600, [(2, 1, None)], [])]
    energy, association = decode_object_entries([OBJECTS[0], own], rights)
    assert energy.base_name == 0x0100
    assert energy.attributes == {1: AccessRight.READ, 2: AccessRight.READ | AccessRight.WRITE, 7: AccessRight.NONE}
    assert energy.selectors == {7: (1,)}
    assert energy.may_call(1)
    assert association.may_read(2)
    again = axdr.decode(axdr.encode(encode_access_rights([energy, association])))
    assert decode_object_entries([OBJECTS[0], own], again) == [energy, association]


def test_access_rights_of_an_association_of_version_4_are_bits() -> None:
    own = NamedObject(0xFA00, 12, 4, ASSOCIATION)
    rights = [(0x0100, [(2, 0b0000_0101, None)], [(1, 0b0010_0001)])]
    energy, association = decode_object_entries([OBJECTS[0], own], rights)
    assert energy.attributes[2] == AccessRight.READ | AccessRight.AUTHENTICATED_REQUEST
    assert energy.may_call(1)
    assert energy.methods[1] != AccessRight.READ
    assert not association.may_read(2)


def test_without_access_rights_everything_declared_may_be_read() -> None:
    (entry,) = decode_object_entries([OBJECTS[0]], None)
    assert [entry.may_read(number) for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert not entry.may_write(2)
    assert entry.may_call(1)


def test_damaged_access_rights_are_one_clear_error() -> None:
    with pytest.raises(DecodeError, match="access rights"):
        decode_object_entries(OBJECTS, [(1, 2)])


# Procedures


def test_errors_say_that_the_object_is_not_listed() -> None:
    cache = MeterCache(short_names=ShortNameTable(OBJECTS))
    missing = ObisCode(1, 0, 2, 8, 0, 255)

    def refuse(request: Get) -> GetResults:
        return GetResults((cache.short_names.attribute_name(request.items[0][0]),))  # type: ignore[arg-type]

    with pytest.raises(ObjectUndefined, match=r"3/1-0:2\.8\.0\*255/2 .*not in the object list"):
        drive(procedures.get(3, missing, 2, cache=cache), refuse)
    with pytest.raises(ObjectClassInconsistent, match="not in the object list"):
        drive(procedures.get(1, ENERGY, 2, cache=cache), refuse)


def test_objects_of_the_simulated_meter() -> None:
    meter = demo_meter(profile_rows=5, clock=lambda: datetime(2026, 3, 1, tzinfo=UTC))
    for client, level in ((18, Level.PUBLIC), (34, Level.READER), (3, Level.MANAGER)):
        cache = MeterCache()
        entries = drive(
            procedures.read_objects_by_short_names(cache=cache),
            lambda request, client=client: meter.execute((client, 1), request),
        )
        names = meter.association(client).settings.short_names  # type: ignore[union-attr]
        seen = {(entry.class_id, entry.obis): entry for entry in entries}
        expected = meter.object_entries(meter.association(client - 2), level)  # type: ignore[arg-type]
        assert set(seen) == {(e.class_id, e.obis) for e in expected if e.class_id != 15} | {(12, ASSOCIATION)}
        for entry in expected:
            if entry.class_id == 15:
                continue
            found = seen[entry.class_id, entry.obis]
            assert (found.attributes, found.methods) == (entry.attributes, entry.methods)
            for number in entry.attributes:
                at = AttributeDescriptor(entry.class_id, entry.obis, number)
                assert names.find(cache.short_names.attribute_name(at)) == at
            for number in entry.methods:
                call = MethodDescriptor(entry.class_id, entry.obis, number)
                if method_offset(entry.class_id, entry.version) is None:  # a push setup of version 2
                    with pytest.raises(LocalProtocolError, match="is not known"):
                        cache.short_names.method_name(call)
                    continue
                assert names.find(cache.short_names.method_name(call)) == call


def test_base_names_do_not_run_out_unnoticed() -> None:
    objects = [MeterObject(7, ObisCode(1, b, c, 0, 0, 255)) for b in range(8) for c in range(128)]
    with pytest.raises(ValueError, match="short names"):
        assign(objects)
    names = [item.base_name for item in assign(objects[:400])]
    assert len(set(names)) == len(names)
