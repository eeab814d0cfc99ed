from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.obis import ObisCode

CODE = ObisCode(1, 0, 1, 8, 0, 255)


@pytest.mark.parametrize(
    "form",
    [
        "1-0:1.8.0*255",
        "1-0:1.8.0",
        "1.0.1.8.0.255",
        "0100010800FF",
        "0100010800ff",
        bytes.fromhex("0100010800ff"),
        bytearray.fromhex("0100010800ff"),
        CODE,
    ],
)
def test_parse_takes_every_form(form):
    assert ObisCode.parse(form) == CODE


@pytest.mark.parametrize(
    "form",
    [
        "",
        "1.8.0",
        "1-0:1.8",
        "1-0:1.8.0*",
        "1-0:1.8.0*256",
        "256-0:1.8.0",
        "1.0.1.8.0",
        "1.0.1.8.0.255.1",
        "1-0:1.8.0.255",
        " 1-0:1.8.0",
        "1-0:1.8.0\n",
        "0100010800F",
        "0100010800FG",
        "-1.0.1.8.0.255",
        "١-0:1.8.0",
        b"\x01\x00\x01\x08\x00",
        b"",
        None,
        1,
    ],
)
def test_anything_else_is_a_value_error_that_quotes_it(form):
    with pytest.raises(ValueError) as caught:
        ObisCode.parse(form)
    assert (form.hex() if isinstance(form, bytes) else repr(form)) in str(caught.value)


def test_it_shows_itself_in_three_ways():
    assert str(CODE) == "1-0:1.8.0*255"
    assert CODE.dotted == "1.0.1.8.0.255"
    assert bytes(CODE) == bytes.fromhex("0100010800ff")
    assert (CODE.a, CODE.b, CODE.c, CODE.d, CODE.e, CODE.f) == tuple(CODE) == (1, 0, 1, 8, 0, 255)


@pytest.mark.parametrize("groups", [(1, 0, 1, 8, 0, 256), (-1, 0, 1, 8, 0, 255), ("1", 0, 1, 8, 0, 255)])
def test_numbers_out_of_range_are_refused(groups):
    with pytest.raises(ValueError, match="0-255"):
        ObisCode(*groups)


def test_it_is_ordered_and_hashable_and_cannot_be_changed():
    assert ObisCode.CLOCK < CODE < ObisCode.LOAD_PROFILE
    assert ObisCode.parse(str(CODE)) <= CODE
    assert CODE >= ObisCode.CLOCK
    assert ObisCode.LOAD_PROFILE > CODE
    assert {CODE: 1}[ObisCode.parse("1-0:1.8.0")] == 1
    assert CODE != "1-0:1.8.0*255"
    with pytest.raises(TypeError):
        _ = CODE < "1"
    for change in (
        lambda: setattr(CODE, "octets", b""),
        lambda: delattr(CODE, "octets"),
        lambda: setattr(CODE, "x", 1),
    ):
        with pytest.raises(AttributeError):
            change()


def test_copies_are_equal():
    assert pickle.loads(pickle.dumps(CODE)) == CODE
    assert copy.deepcopy(CODE) is CODE
    assert copy.copy(CODE) is CODE
    assert eval(repr(CODE)) == CODE


@given(st.binary(min_size=6, max_size=6))
def test_every_code_survives_each_form(octets):
    code = ObisCode.from_bytes(octets)
    assert bytes(code) == octets
    assert ObisCode.parse(str(code)) == ObisCode.parse(code.dotted) == ObisCode.parse(octets.hex()) == code
    assert code.describe()


@given(st.text(max_size=20))
def test_any_text_gives_a_code_or_a_value_error(text):
    try:
        code = ObisCode.parse(text)
    except ValueError:
        return
    assert ObisCode.parse(str(code)) == code


def test_matches_takes_none_for_any_number():
    assert CODE.matches((1, None, 1, 8, None, 255))
    assert not CODE.matches((1, None, 2, 8, None, 255))
    assert CODE.matches("1-0:1.8.0")
    assert not CODE.matches(ObisCode.CLOCK)
    with pytest.raises(ValueError, match="six places"):
        CODE.matches((1, 0))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1-0:1.8.0*255", "active energy import"),
        ("1-0:2.8.2*255", "active energy export"),
        ("1-0:1.7.0*255", "active power import"),
        ("1-0:32.7.0*255", "voltage L1"),
        ("1-0:71.7.0*255", "current L3"),
        ("1-0:99.1.0*255", "load profile"),
        ("0-0:1.0.0*255", "clock"),
        ("0-0:96.3.10*255", "disconnect control"),
        ("0-0:42.0.0*255", "logical device name"),
    ],
)
def test_describe_says_what_it_measures(text, words):
    description = ObisCode.parse(text).describe().lower()
    missing = [word for word in words.lower().split() if word not in description]
    assert not missing, description
