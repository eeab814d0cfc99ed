"""Strategies for typed values of every type."""

from __future__ import annotations

from hypothesis import strategies as st

from cosemic.codec import axdr
from cosemic.codec.compact import TypeDescription
from cosemic.codec.typed import RANGES
from cosemic.enums import DataType

FLOATS32 = st.floats(width=32, allow_nan=False)

LEAVES: dict[DataType, st.SearchStrategy[axdr.Typed]] = {
    DataType.NULL_DATA: st.just(axdr.null_data()),
    DataType.DONT_CARE: st.just(axdr.dont_care()),
    DataType.BOOLEAN: st.booleans().map(axdr.boolean),
    DataType.BIT_STRING: st.text("01", max_size=20).map(axdr.bit_string),
    DataType.FLOATING_POINT: FLOATS32.map(axdr.floating_point),
    DataType.FLOAT32: FLOATS32.map(axdr.float32),
    DataType.FLOAT64: st.floats(allow_nan=False).map(axdr.float64),
    DataType.OCTET_STRING: st.binary(max_size=300).map(axdr.octet_string),
    DataType.VISIBLE_STRING: st.text(st.characters(max_codepoint=255), max_size=150).map(axdr.visible_string),
    DataType.UTF8_STRING: st.text(max_size=60).map(axdr.utf8_string),
    DataType.DATE_TIME: st.binary(min_size=12, max_size=12).map(axdr.date_time),
    DataType.DATE: st.binary(min_size=5, max_size=5).map(axdr.date),
    DataType.TIME: st.binary(min_size=4, max_size=4).map(axdr.time),
    **{
        DataType(kind): st.integers(low, high).map(getattr(axdr, DataType(kind).name.lower()))
        for kind, (low, high) in RANGES.items()
    },
}
DESCRIPTIONS = st.recursive(
    st.sampled_from(sorted(LEAVES)).map(TypeDescription),
    lambda inner: (
        st.builds(TypeDescription.array, st.integers(0, 3), inner)
        | st.lists(inner, max_size=3).map(lambda parts: TypeDescription.structure(*parts))
    ),
    max_leaves=4,
)


def of_description(description: TypeDescription) -> st.SearchStrategy[axdr.Typed]:
    """Typed values that fit a type description."""
    if description.type is DataType.ARRAY:
        element = of_description(description.elements[0])
        return st.lists(element, min_size=description.count, max_size=description.count).map(axdr.array)
    if description.type is DataType.STRUCTURE:
        return st.tuples(*map(of_description, description.elements)).map(axdr.structure)
    return LEAVES[description.type]


def octets_of(description: TypeDescription) -> bool:
    """Whether each element of that description takes an octet or more."""
    if description.type is DataType.ARRAY:
        return description.count > 0 and octets_of(description.elements[0])
    if description.type is DataType.STRUCTURE:
        return any(map(octets_of, description.elements))
    return description.type not in (DataType.NULL_DATA, DataType.DONT_CARE)


COMPACT = DESCRIPTIONS.filter(octets_of).flatmap(
    lambda description: st.lists(of_description(description), max_size=4).map(
        lambda elements: axdr.compact_array(description, [element.plain for element in elements])
    )
)
LEAF = st.one_of(*LEAVES.values(), COMPACT)
TYPED = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=5).map(axdr.array) | st.lists(inner, max_size=5).map(axdr.structure),
    max_leaves=12,
)
