"""Whatever a notification holds: its tree is kept, only DecodeError is raised, and a known shape changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.codec import axdr
from cosemic.codec.axdr import Typed
from cosemic.errors import DecodeError
from cosemic.push.meaning import interpreting as meaning
from cosemic.push.meaning.interpreting import interpret, interpret_partial
from cosemic.push.messages import Push
from tests.push.plain import BY_NAME, CASES, TELEGRAM, notification, plain_apdu
from tests.vectors.collection import REASON

captures = pytest.mark.skipif(not CASES, reason=REASON)

CODES = ("0100010700ff", "0100010800ff", "0000600100ff", "0000010000ff", "0001180201ff", "00002a0000ff")
codes = st.sampled_from(CODES)
names = codes.map(lambda code: axdr.octet_string(bytes.fromhex(code)))
numbers = st.one_of(
    st.integers(0, 255).map(axdr.unsigned),
    st.integers(0, 255).map(axdr.enum),
    st.integers(-128, 127).map(axdr.integer),
    st.integers(0, 65535).map(axdr.long_unsigned),
    st.integers(0, 2**32 - 1).map(axdr.double_long_unsigned),
    st.integers(-(2**63), 2**63 - 1).map(axdr.long64),
    st.booleans().map(axdr.boolean),
    st.floats(width=32).map(axdr.float32),
)
scalers = st.tuples(st.integers(-4, 4), st.sampled_from([27, 30, 33, 35, 255, 200])).map(
    lambda pair: axdr.structure(axdr.integer(pair[0]), axdr.enum(pair[1]))
)
leaves = st.one_of(
    names,
    numbers,
    scalers,
    st.just(axdr.null_data()),
    st.binary(max_size=14).map(axdr.octet_string),
    st.binary(min_size=12, max_size=12).map(axdr.octet_string),
    st.text(st.characters(max_codepoint=255), max_size=9).map(axdr.visible_string),
    st.text(max_size=5).map(axdr.utf8_string),
    st.text("01", max_size=11).map(axdr.bit_string),
)
descriptors = st.tuples(st.sampled_from([1, 3, 4, 7, 8, 40, 62]), names, st.integers(0, 5)).map(
    lambda parts: axdr.structure(axdr.long_unsigned(parts[0]), parts[1], axdr.integer(parts[2]), axdr.long_unsigned(0))
)
bodies = st.recursive(
    leaves | descriptors,
    lambda inner: st.one_of(
        st.lists(inner, max_size=6).map(lambda parts: axdr.structure(*parts)),
        st.lists(inner, max_size=4).map(lambda parts: axdr.array(*parts)),
        st.lists(st.tuples(names, inner), min_size=1, max_size=3).map(
            lambda pairs: axdr.structure(*(part for pair in pairs for part in pair))
        ),
        st.tuples(names, leaves, scalers).map(lambda parts: axdr.structure(*parts)),
    ),
    max_leaves=14,
)
definitions = st.none() | st.lists(
    st.tuples(st.sampled_from([1, 3, 4, 7, 8, 40, 62]), codes, st.integers(0, 5), st.just(0)), min_size=1, max_size=6
)
times = st.sampled_from([b"", bytes.fromhex("07e80c0106000000ff800000"), b"\xff" * 12]) | st.binary(
    min_size=12, max_size=12
)


def fresh(apdu: bytes, **options: Any) -> Push:
    """As if no push had been seen before."""
    meaning._contexts.clear()
    return interpret(TELEGRAM, apdu, **options)


def same(one: Push, other: Push) -> None:
    assert repr(one) == repr(other)  # a NaN is not equal to itself


@given(bodies, definitions, times)
def test_any_body_is_a_push_with_its_tree(body: Typed, definition: list[Any] | None, time: bytes) -> None:
    apdu = notification(body, time)
    push = fresh(apdu, definition=definition)
    assert push.body is not None
    assert bytes(push.body) == axdr.encode(body)
    for reading in push.readings:
        assert reading.obis is not None
        assert reading.name
    same(push, interpret(TELEGRAM, apdu, definition=definition))
    same(push, interpret_partial(TELEGRAM, apdu, definition=definition))


@given(st.lists(st.tuples(names, numbers, scalers), min_size=1, max_size=5), st.data())
def test_a_known_shape_reads_other_values_as_new_ones(
    triples: list[tuple[Typed, Typed, Typed]], data: st.DataObject
) -> None:
    def body(values: list[Typed]) -> bytes:
        rows = zip(triples, values, strict=True)
        return notification(axdr.array(*(axdr.structure(name, value, scaler) for (name, _, scaler), value in rows)))

    others = [
        Typed(value.type, data.draw(st.integers(0, 127).map(float if isinstance(value.value, float) else int)))
        if not isinstance(value.value, bool)
        else value
        for _, value, _ in triples
    ]
    first = fresh(body([value for _, value, _ in triples]))
    second = interpret(TELEGRAM, body(others))
    same(second, fresh(body(others)))
    assert [reading.name for reading in first.readings] == [reading.name for reading in second.readings]


@captures
@given(st.data())
def test_mutations_of_captures_give_a_push_or_a_decode_error(data: st.DataObject) -> None:
    octets = bytearray(plain_apdu(BY_NAME[data.draw(st.sampled_from(sorted(BY_NAME)))]))
    for _ in range(data.draw(st.integers(1, 4))):
        kind = data.draw(st.sampled_from(["flip", "cut", "insert", "double"]))
        at = data.draw(st.integers(0, max(len(octets) - 1, 0)))
        if kind == "flip" and octets:
            octets[at] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del octets[at : at + data.draw(st.integers(1, 20))]
        elif kind == "insert":
            octets[at:at] = data.draw(st.binary(min_size=1, max_size=6))
        else:
            octets[at:at] = octets[at : at + 12]
    apdu = bytes(octets)
    for read in (interpret, interpret_partial):
        outcomes = []
        for _ in range(2):
            try:
                outcomes.append(repr(read(TELEGRAM, apdu)))
            except DecodeError as error:
                outcomes.append(f"{type(error).__name__} {error}")
        assert outcomes[0] == outcomes[1]
    try:
        warm = repr(interpret(TELEGRAM, apdu))
    except DecodeError:
        with pytest.raises(DecodeError):
            fresh(apdu)
    else:
        assert warm == repr(fresh(apdu))


@given(st.binary(max_size=80))
def test_any_octets_give_a_push_or_a_decode_error(octets: bytes) -> None:
    for apdu in (octets, b"\x0f\0\0\0\1\0" + octets, b"\xc2" + octets, b"\x18" + octets):
        for read in (interpret, interpret_partial):
            try:
                read(TELEGRAM, apdu)
            except DecodeError:
                continue


def test_a_large_push_takes_linear_time_and_is_not_kept() -> None:
    rows = axdr.array(*(axdr.structure(axdr.null_data(), axdr.unsigned(n % 200)) for n in range(20_000)))
    push = fresh(notification(axdr.structure(rows)))
    assert push.readings == ()
    (context,) = meaning._contexts.values()
    assert not context.shapes._by_size


def test_shapes_that_are_kept_are_bounded() -> None:
    meaning._contexts.clear()
    for number in range(3000):
        name = axdr.octet_string(bytes((1, 0, number % 250, 7, number // 250, 255)))
        interpret(TELEGRAM, notification(axdr.structure(name, axdr.octet_string(bytes(number % 300)))))
    (context,) = meaning._contexts.values()
    kept = [shape for shapes in context.shapes._by_size.values() for shape in shapes]
    assert len(kept) <= 256 * 8
    for number in range(2000):
        interpret(
            TELEGRAM, notification(axdr.structure()), definition=[(3, "1-0:1.7.0", 2), (1, "0-0:96.1.0", number % 9)]
        )
    assert len(meaning._contexts) <= 1024


@pytest.mark.parametrize("attribute", [2, 100])
def test_numbers_that_decide_are_of_the_shape(attribute: int) -> None:
    """A list of objects with an impossible attribute is none; that with a possible one, of the same shape, is one."""

    def push(number: int) -> bytes:
        columns = [
            axdr.structure(axdr.long_unsigned(3), name, axdr.integer(each), axdr.long_unsigned(0))
            for name, each in zip(map(axdr.octet_string, map(bytes.fromhex, CODES)), (2, number), strict=False)
        ]
        return notification(axdr.structure(axdr.array(*columns), axdr.unsigned(1), axdr.unsigned(2)))

    other = 102 - attribute
    expected = repr(fresh(push(other)))
    fresh(push(attribute))
    assert repr(interpret(TELEGRAM, push(other))) == expected
