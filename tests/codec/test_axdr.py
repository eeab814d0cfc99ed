from __future__ import annotations

import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.codec import axdr
from cosemic.codec.compact import TypeDescription
from cosemic.codec.encoding import write
from cosemic.codec.typed import RANGES
from cosemic.enums import DataType
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.times import CosemDate, CosemDateTime, CosemTime
from tests.codec.values import COMPACT, LEAVES, TYPED

DECODERS = (axdr.decode, axdr.decode_typed, axdr.decode_prefix, axdr.decode_typed_prefix, axdr.Data.decode)


def canonical(typed):
    out = bytearray()
    write(out, typed)
    return bytes(out)


@given(TYPED)
def test_decode_is_the_inverse_of_encode(typed):
    octets = axdr.encode(typed)
    assert axdr.decode_typed(octets) == typed
    assert axdr.decode(octets) == typed.plain
    assert axdr.encode(axdr.decode_typed(octets)) == octets
    assert canonical(axdr.decode_typed(octets)) == octets
    assert axdr.Data.of(typed) == axdr.Data(octets)


@pytest.mark.parametrize("kind", sorted(LEAVES), ids=lambda kind: kind.name)
def test_every_type_survives(kind):
    @given(LEAVES[kind])
    def check(typed):
        octets = axdr.encode(typed)
        assert octets[0] == kind == typed.type
        assert axdr.decode_typed(octets) == typed
        assert axdr.decode(octets) == typed.value

    check()


@given(COMPACT)
def test_compact_arrays_survive(typed):
    again = axdr.decode_typed(axdr.encode(typed))
    assert again == typed
    assert again.description == typed.description
    assert axdr.compact_elements(again) == axdr.compact_elements(typed)


@given(st.binary(max_size=80))
def test_any_octets_give_a_value_or_a_decode_error(octets):
    outcomes = []
    for decode in DECODERS:
        try:
            outcomes.append(decode(octets))
        except DecodeError:
            outcomes.append(DecodeError)
    plain, typed, prefix, typed_prefix, data = outcomes
    assert (plain is DecodeError) == (typed is DecodeError) == (data is DecodeError)
    assert (prefix is DecodeError) == (typed_prefix is DecodeError)
    if plain is not DecodeError:
        assert axdr.encode(typed) == octets
        assert repr(typed.plain) == repr(plain) == repr(data.value)
        assert repr(axdr.decode(canonical(typed))) == repr(plain)


@given(TYPED, st.data())
def test_changed_octets_give_a_value_or_a_decode_error(typed, data):
    octets = bytearray(axdr.encode(typed))
    for _ in range(data.draw(st.integers(1, 3))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        again = axdr.decode_typed(bytes(octets))
    except DecodeError:
        with pytest.raises(DecodeError):
            axdr.decode(bytes(octets))
    else:
        assert axdr.encode(again) == octets
        assert repr(axdr.decode(bytes(octets))) == repr(again.plain)


@pytest.mark.parametrize("octets", ["0305", "098103010203", "04038f", "0182000111ff", "177fa00001"])
def test_octets_that_are_not_canonical_come_back_as_they_were(octets):
    raw = bytes.fromhex(octets)
    typed = axdr.decode_typed(raw)
    assert axdr.encode(typed) == raw
    assert pickle.loads(pickle.dumps(typed)).received == raw


def test_parts_of_a_decoded_value_are_coded_canonically():
    typed = axdr.decode_typed(bytes.fromhex("028200010305"))
    assert axdr.encode(axdr.structure(*typed.elements)) == bytes.fromhex("02010301")


@pytest.mark.parametrize("opening", [b"\x01\x01", b"\x02\x01", b"\x01\x01\x02\x01", b"\x02\x82\x00\x01"])
def test_nesting_a_thousand_deep_is_a_decode_error(opening):
    for octets in (opening * 1000 + b"\x00", opening * 1000, opening * 100_000):
        for decode in DECODERS:
            with pytest.raises(DecodeError):
                decode(octets)


def test_nesting_a_thousand_deep_in_a_type_description_is_a_decode_error():
    for octets in (b"\x13" + b"\x02\x01" * 1000 + b"\x11\x00", b"\x13" + b"\x01\x00\x01" * 1000 + b"\x11\x00"):
        for decode in DECODERS:
            with pytest.raises(DecodeError):
                decode(octets)


def test_limits_are_kept():
    octets = axdr.encode(axdr.array(axdr.structure(axdr.unsigned(1), axdr.unsigned(2))))
    assert axdr.decode(octets, limits=axdr.Limits(depth=2, elements=4, octets=len(octets))) == [(1, 2)]
    for limits in (axdr.Limits(depth=1), axdr.Limits(elements=2), axdr.Limits(octets=len(octets) - 1)):
        for decode in DECODERS:
            with pytest.raises(DecodeError, match="limit"):
                decode(octets, limits=limits)
    with pytest.raises(ValueError, match="depth"):
        axdr.Limits(depth=100_000)
    with pytest.raises(ValueError, match="positive"):
        axdr.Limits(elements=0)


def test_the_deepest_value_that_the_limit_allows_decodes():
    octets = b"\x02\x01" * 64 + b"\x00"
    assert axdr.encode(axdr.decode_typed(octets)) == octets
    axdr.decode(octets)
    with pytest.raises(DecodeError, match="deeper"):
        axdr.decode(b"\x02\x01" + octets)


@pytest.mark.parametrize(
    "octets",
    [
        "0184ffffffff",
        "0184ffffffff" + "00" * 64,
        "0288ffffffffffffffff",
        "0984ffffffffaa",
        "0484ffffffffaa",
        "1302" + "84ffffffff" + "11",
        "1301ffff01ffff01ffff00" + "01" + "00",  # elements without octets
        "130202" + "1101ffff01ffff00" + "02" + "0102",  # 4,294,836,225 nulls for each octet
        "0180",
        "0189000000000000000001",
        "0901",
        "0982ff",
        "0c02c4e9",
        "08",
        "0b",
        "22",
        "fe",
        "131300",
        "13ff01aa",
        "130803010203",
        "13",
        "1301",
        "130100",
        "13120300010",
    ],
)
def test_announcements_that_cannot_be_true_fail_fast(octets):
    raw = bytes.fromhex(octets + "0" * (len(octets) % 2))
    for decode in DECODERS:
        with pytest.raises(DecodeError):
            decode(raw)


def test_offsets():
    assert axdr.decode_prefix(b"\xff\x11\x05\x00", 1) == (5, 3)
    for offset in (4, 100):
        with pytest.raises(DecodeError):
            axdr.decode_prefix(b"\xff\x11\x05\x00", offset)
    for decode in (axdr.decode_prefix, axdr.decode_typed_prefix, axdr.Data.decode_prefix):
        with pytest.raises(ValueError, match="offset"):
            decode(b"\x11\x05\x11\x05", -2)


@pytest.mark.parametrize("kind", sorted(RANGES), ids=lambda kind: DataType(kind).name)
def test_numbers_out_of_range_name_type_and_range(kind):
    low, high = RANGES[kind]
    make = getattr(axdr, DataType(kind).name.lower())
    name = axdr.type_name(kind)
    for value in (low, high):
        assert axdr.decode(axdr.encode(make(value))) == value
    for value in (low - 1, high + 1):
        with pytest.raises(ValueError, match=f"{name} holds {low} to {high}, not {value}"):
            make(value)
        with pytest.raises(ValueError, match=f"{name} holds {low} to {high}, not {value}"):
            axdr.encode(axdr.Typed(DataType(kind), value))
        with pytest.raises(ValueError, match=f"{name} holds {low} to {high}, not {value}"):
            axdr.encode(axdr.structure(axdr.Typed(DataType(kind), value)))
    for value in ("1", 1.5, None):
        with pytest.raises(TypeError, match=name):
            make(value)


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (axdr.boolean, "yes"),
        (axdr.octet_string, 5),
        (axdr.octet_string, "xyz"),
        (axdr.visible_string, b"x"),
        (axdr.visible_string, "€"),
        (axdr.utf8_string, "\ud800"),
        (axdr.bit_string, "012"),
        (axdr.float32, 1e39),
        (axdr.floating_point, -1e39),
        (axdr.float64, "1"),
        (axdr.date_time, b"\x00"),
        (axdr.date, CosemDate(month=300)),
        (axdr.structure, [1, 2]),
        (axdr.array, ["x"]),
        (axdr.compact_array, []),
    ],
)
def test_constructors_refuse_what_their_type_cannot_hold(make, value):
    with pytest.raises((ValueError, TypeError)):
        make(value)


@pytest.mark.parametrize(
    "typed",
    [
        axdr.Typed(DataType.NULL_DATA, 1),
        axdr.Typed(DataType.OCTET_STRING, "ab"),
        axdr.Typed(DataType.VISIBLE_STRING, "€"),
        axdr.Typed(DataType.VISIBLE_STRING, b"x"),
        axdr.Typed(DataType.BIT_STRING, "01"),
        axdr.Typed(DataType.DATE_TIME, CosemTime()),
        axdr.Typed(DataType.FLOAT32, 1e39),
        axdr.Typed(DataType.UNSIGNED, "1"),
        axdr.Typed(DataType.COMPACT_ARRAY, [1]),
    ],
)
def test_encode_refuses_values_of_another_type(typed):
    for value in (typed, axdr.array(typed), axdr.array([typed] * 20)):
        with pytest.raises((ValueError, TypeError)):
            axdr.encode(value)


def test_floats_that_round_to_the_largest_are_taken():
    largest = struct.unpack(">f", b"\x7f\x7f\xff\xff")[0]
    assert axdr.decode(axdr.encode(axdr.float32(largest))) == largest
    assert axdr.decode(axdr.encode(axdr.float32(float("inf")))) == float("inf")


def test_plain_values_keep_octet_strings_and_turn_dates_into_their_classes():
    octets = bytes.fromhex("07e9070f020c1e0000ff8880")
    assert axdr.decode(b"\x09\x0c" + octets) == octets
    assert axdr.decode(b"\x19" + octets) == CosemDateTime.from_bytes(octets)
    assert axdr.decode(b"\x1a" + octets[:5]) == CosemDate.from_bytes(octets[:5])
    assert axdr.decode(b"\x1b" + octets[5:9]) == CosemTime.from_bytes(octets[5:9])
    assert axdr.decode(axdr.encode(axdr.octet_string(ObisCode.CLOCK))) == bytes(ObisCode.CLOCK)
    assert axdr.decode(b"\x0a\x02\xb0\x43") == "°C"


def test_containers_take_elements_or_one_iterable_or_data():
    one, two = axdr.unsigned(1), axdr.unsigned(2)
    assert axdr.array(one, two) == axdr.array([one, two]) == axdr.array(axdr.unsigned(n) for n in (1, 2))
    assert axdr.structure(axdr.Data.of(one), two) == axdr.structure(one, two)
    assert axdr.structure() == axdr.structure([])
    assert axdr.array(axdr.Data.of(one)) == axdr.array(one)
    assert axdr.decode(axdr.encode(axdr.structure(one, axdr.null_data(), two))) == (1, None, 2)


def test_typed_values_cannot_be_changed_and_compare_by_type_and_value():
    one = axdr.unsigned(1)
    for change in (lambda: setattr(one, "value", 2), lambda: setattr(axdr.null_data(), "value", 2)):
        with pytest.raises(AttributeError):
            change()
    assert one != axdr.enum(1)
    assert one != 1
    assert len({one, axdr.unsigned(1), axdr.enum(1)}) == 2
    assert repr(one) == "unsigned(1)"
    assert pickle.loads(pickle.dumps(axdr.structure(one))) == axdr.structure(one)
    with pytest.raises(TypeError):
        _ = one.elements


def test_compact_arrays_from_values_and_from_descriptions():
    by_values = axdr.compact_array(axdr.long_unsigned(1), axdr.long_unsigned(2), axdr.long_unsigned(3))
    by_description = axdr.compact_array(DataType.LONG_UNSIGNED, [1, 2, 3])
    assert by_values == by_description
    assert axdr.encode(by_values).hex() == "131206000100020003"
    assert axdr.decode(axdr.encode(by_values)) == [1, 2, 3]
    nested = TypeDescription.structure(DataType.UNSIGNED, TypeDescription.array(2, DataType.INTEGER))
    assert axdr.decode(axdr.encode(axdr.compact_array(nested, [(1, [2, -3])]))) == [(1, [2, -3])]
    assert str(nested) == "structure of (unsigned, array of 2 integer)"
    assert axdr.encode(axdr.compact_array(description=DataType.UNSIGNED)).hex() == "131100"
    with pytest.raises(ValueError, match="not of the type"):
        axdr.compact_array(axdr.unsigned(1), axdr.enum(1))
    with pytest.raises(ValueError, match="unsigned holds"):
        axdr.compact_array(DataType.UNSIGNED, [300])
    with pytest.raises(ValueError, match="does not fit"):
        axdr.compact_array(nested, [(1, [2])])
    with pytest.raises(ValueError, match="compact-array"):
        TypeDescription(DataType.COMPACT_ARRAY)


def test_equal_elements_of_another_description_are_another_compact_array():
    assert axdr.compact_array(DataType.UNSIGNED, [1]) != axdr.compact_array(DataType.ENUM, [1])


@given(st.integers(0, 1 << 40))
def test_lengths_survive(number):
    octets = axdr.encode_length(number)
    assert axdr.decode_length(b"\xff" + octets, 1) == (number, 1 + len(octets))
    assert (len(octets) == 1) == (number < 0x80)


def test_data_from_typed_data_and_none():
    assert axdr.Data.of(None) == axdr.Data(b"\x00")
    data = axdr.Data.of(axdr.unsigned(7))
    assert axdr.Data.of(data) is data
    assert (data.value, data.typed, bytes(data)) == (7, axdr.unsigned(7), b"\x11\x07")
    assert repr(data) == "Data(7)"
    assert hash(data) == hash(axdr.Data(b"\x11\x07"))
    assert repr(axdr.Data(b"\x11")) == "Data(octets=b'\\x11')"
    with pytest.raises(TypeError, match=r"axdr\.unsigned"):
        axdr.Data.of(7)


def test_bit_strings():
    bits = axdr.BitString("0101100001")
    assert (str(bits), len(bits), int(bits)) == ("0101100001", 10, 0b0101100001)
    assert bits.octets == bytes((0b01011000, 0b01000000))
    assert [bits[0], bits[1], bits[-1]] == [False, True, True]
    assert list(bits) == [char == "1" for char in str(bits)]
    assert bits == axdr.BitString.from_octets(bytes((0b01011000, 0b01111111)), 10)
    assert hash(bits) == hash(axdr.BitString("0101100001"))
    assert bits != axdr.BitString("01011000010")
    assert pickle.loads(pickle.dumps(bits)) == bits
    assert str(axdr.BitString("")) == ""
    with pytest.raises(IndexError):
        _ = bits[10]
    with pytest.raises(AttributeError):
        bits.length = 1
    with pytest.raises(ValueError, match="octets"):
        axdr.BitString.from_octets(b"\x00", 9)
