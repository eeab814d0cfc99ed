"""Arrays of many elements take the quick ways; the general way, element by element, is the measure."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.codec import axdr, packing, shapes
from cosemic.enums import DataType
from cosemic.errors import DecodeError
from tests.codec.values import LEAF, LEAVES

STAMP = bytes.fromhex("07e9070f020c1e0000ff8880")


def element_by_element(octets):
    """The elements of an array, each decoded alone."""
    count, offset = axdr.decode_length(octets, 1)
    values = []
    for _ in range(count):
        value, offset = axdr.decode_prefix(octets, offset)
        values.append(value)
    if offset != len(octets):
        raise DecodeError("more")
    return values


def array_of(elements):
    return b"\x01" + axdr.encode_length(len(elements)) + b"".join(map(axdr.encode, elements))


def uniform(i):
    return axdr.structure(
        axdr.octet_string(STAMP), axdr.unsigned(i % 256), *(axdr.double_long_unsigned(i * n) for n in range(4))
    )


def mixed(i):
    return axdr.structure(
        axdr.octet_string(STAMP) if i % 24 == 0 else axdr.null_data(),
        axdr.unsigned(i % 256),
        axdr.long64_unsigned(10**12 + i),
        axdr.structure(axdr.long(-i), axdr.enum(i % 60)),
        axdr.visible_string(f"EVT{i:05}" if i % 50 else "É" * 140),
        axdr.utf8_string("Žluť" if i % 3 else ""),
        axdr.array(axdr.boolean(bool(i & 1)), axdr.float32(0.5)),
        axdr.date_time(STAMP),
        axdr.array(),
        axdr.structure(),
        axdr.dont_care(),
    )


@pytest.mark.parametrize("row", [uniform, mixed, lambda i: axdr.unsigned(i % 256), lambda i: axdr.visible_string("ab")])
@pytest.mark.parametrize("count", [15, 16, 17, 60, 300])
def test_rows_decode_and_encode_as_one_by_one(row, count):
    rows = [row(i) for i in range(count)]
    octets = array_of(rows)
    assert axdr.encode(axdr.array(rows)) == octets
    values = axdr.decode(octets)
    assert values == element_by_element(octets) == [each.plain for each in rows]
    assert [type(value) for value in values] == [type(each.plain) for each in rows]
    assert axdr.decode_typed(octets) == axdr.array(rows)


def test_each_row_has_lists_of_its_own():
    values = axdr.decode(array_of([axdr.structure(axdr.array(), axdr.unsigned(1))] * 40))
    assert all(value == ([], 1) for value in values)
    assert len({id(value[0]) for value in values}) == 40


def test_null_keeps_its_position():
    rows = [axdr.structure(axdr.null_data() if i % 2 else axdr.unsigned(i), axdr.null_data()) for i in range(50)]
    assert axdr.decode(array_of(rows)) == [(None if i % 2 else i, None) for i in range(50)]


def test_many_rows_of_one_shape_are_more_than_one_chunk():
    rows = [axdr.structure(axdr.long_unsigned(i), axdr.visible_string("x")) for i in range(10_000)]
    assert axdr.decode(array_of(rows)) == [(i, "x") for i in range(10_000)]


@settings(max_examples=30)
@given(st.data())
def test_arrays_of_a_few_kinds_of_elements(data):
    kinds = data.draw(st.lists(st.lists(st.sampled_from(sorted(LEAVES)), max_size=4), min_size=1, max_size=3))
    rows = []
    for _ in range(data.draw(st.integers(16, 40))):
        kind = data.draw(st.sampled_from(kinds))
        rows.append(axdr.structure([data.draw(LEAVES[leaf]) for leaf in kind]))
    octets = array_of(rows)
    assert axdr.decode(octets) == element_by_element(octets)
    assert axdr.encode(axdr.array(rows)) == octets


@given(LEAF, LEAF, st.integers(16, 60), st.integers(0, 59))
def test_one_odd_element_among_equals(usual, odd, count, place):
    rows = [usual] * count
    rows[min(place, count - 1)] = odd
    octets = array_of(rows)
    assert axdr.decode(octets) == element_by_element(octets)
    assert axdr.encode(axdr.array(rows)) == octets


@pytest.mark.parametrize("row", [uniform, mixed])
def test_a_changed_octet_is_never_passed_over(row):
    generator = random.Random(62056)
    octets = array_of([row(i) for i in range(40)])
    for _ in range(200):
        changed = bytearray(octets)
        changed[generator.randrange(2, len(octets))] = generator.choice([*range(34), 255, 128, 129])
        raw = bytes(changed)
        try:
            expected = repr(element_by_element(raw))
        except DecodeError:
            expected = "error"
        try:
            found = repr(axdr.decode(raw))
        except DecodeError:
            found = "error"
        assert found == expected


@pytest.mark.parametrize("row", [uniform, mixed])
def test_a_cut_array_is_an_error(row):
    octets = array_of([row(i) for i in range(30)])
    for size in range(len(octets)):
        with pytest.raises(DecodeError):
            axdr.decode(octets[:size])


def test_values_behind_the_array_are_not_taken_for_rows():
    rows = [uniform(i) for i in range(20)]
    octets = array_of(rows) + b"".join(map(axdr.encode, rows))
    value, end = axdr.decode_prefix(octets)
    assert len(value) == 20
    assert end == len(octets) // 2 + 1
    assert axdr.decode(b"\x02\x02" + array_of(rows) + axdr.encode(rows[0]))[1] == rows[0].plain


def test_limits_hold_for_rows():
    octets = array_of([uniform(i) for i in range(100)])
    axdr.decode(octets, limits=axdr.Limits(elements=701))
    with pytest.raises(DecodeError, match="elements"):
        axdr.decode(octets, limits=axdr.Limits(elements=650))
    with pytest.raises(DecodeError, match="deeper"):
        axdr.decode(octets, limits=axdr.Limits(depth=1))


def test_bad_utf8_in_a_row_is_a_decode_error():
    rows = [axdr.structure(axdr.utf8_string("ab"), axdr.unsigned(1)) for _ in range(30)]
    octets = array_of(rows).replace(b"\x0c\x02ab\x11\x01", b"\x0c\x02\xc4\x61\x11\x01")
    with pytest.raises(DecodeError, match="UTF-8"):
        axdr.decode(octets)


def test_shapes_and_packers_are_kept_in_bounds():
    for size in range(300):
        rows = [axdr.structure(axdr.octet_string(bytes(size)), axdr.unsigned(i)) for i in range(20)]
        octets = array_of(rows)
        assert axdr.decode(octets) == [row.plain for row in rows]
        assert axdr.encode(axdr.array(rows)) == octets
    assert len(shapes._cache) <= shapes._CACHED
    assert len(packing._cache) <= packing._CACHED


def test_arrays_of_ever_new_shapes_compile_few(monkeypatch):
    compiled = []
    monkeypatch.setattr(shapes, "_compile", lambda key: compiled.append(key) or shapes.Shape(b"\xff", ">x", 0, None))
    monkeypatch.setattr(shapes, "_cache", {})
    inner = [array_of([axdr.structure(axdr.octet_string(bytes(1 + n)))] * 20) for n in range(100)]
    octets = b"\x02" + axdr.encode_length(100) + b"".join(inner)
    assert len(axdr.decode(octets)) == 100
    assert 0 < len(compiled) <= 16


def test_packers_leave_what_does_not_fit_to_the_general_way():
    good = [axdr.structure(axdr.unsigned(1), axdr.octet_string(b"ab"), axdr.visible_string("ab")) for _ in range(40)]
    for bad, message in (
        (axdr.Typed(DataType.UNSIGNED, 256), "unsigned holds 0 to 255"),
        (axdr.Typed(DataType.UNSIGNED, "1"), "unsigned holds"),
    ):
        row = axdr.structure(bad, axdr.octet_string(b"ab"), axdr.visible_string("ab"))
        with pytest.raises((ValueError, TypeError), match=message):
            axdr.encode(axdr.array([*good, row]))
    for bad in (axdr.Typed(DataType.OCTET_STRING, "ab"), axdr.Typed(DataType.VISIBLE_STRING, "€€")):
        row = axdr.structure(axdr.unsigned(1), bad, axdr.visible_string("ab"))
        with pytest.raises((ValueError, TypeError)):
            axdr.encode(axdr.array([*good, row]))
