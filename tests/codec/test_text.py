from __future__ import annotations

import pytest
from hypothesis import given

from cosemic.codec import axdr
from cosemic.enums import DataType
from cosemic.times import CosemDate, CosemTime
from tests.codec.values import TYPED


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("double-long-unsigned", "12345", axdr.double_long_unsigned(12345)),
        ("Double_Long_Unsigned", "0x3039", axdr.double_long_unsigned(12345)),
        ("integer", "-007", axdr.integer(-7)),
        ("enum", "30", axdr.enum(30)),
        ("octet-string", "0100 0108 00FF", axdr.octet_string("0100010800ff")),
        ("octet-string", "", axdr.octet_string(b"")),
        ("visible-string", "hello", axdr.visible_string("hello")),
        ("utf8-string", "Žluť", axdr.utf8_string("Žluť")),
        ("bit-string", "0101", axdr.bit_string("0101")),
        ("null-data", "", axdr.null_data()),
        ("dont-care", "", axdr.dont_care()),
        ("boolean", "true", axdr.boolean(True)),
        ("boolean", "0", axdr.boolean(False)),
        ("float32", "1.5", axdr.float32(1.5)),
        ("date", "2025-03-30", axdr.date(CosemDate(2025, 3, 30, 7))),
        ("date", "fffffefe07", axdr.date(bytes.fromhex("fffffefe07"))),
        ("time", "08:30", axdr.time(CosemTime(8, 30, 0, 0))),
        ("date-time", "07e9070f020c1e0000ff8800", axdr.date_time(bytes.fromhex("07e9070f020c1e0000ff8800"))),
        ("date-time", "2025-07-15T12:30:00+02:00", axdr.date_time(bytes.fromhex("07e9070f020c1e0000ff8800"))),
        ("structure", '[{"type": "unsigned", "value": 1}]', axdr.structure(axdr.unsigned(1))),
        (
            "array",
            '[{"type": "structure", "value": [{"type": "octet-string", "value": "aa"}, {"type": "null-data"}]}]',
            axdr.array(axdr.structure(axdr.octet_string("aa"), axdr.null_data())),
        ),
        ("array", "[]", axdr.array()),
        ("array", '[{"type": "boolean", "value": true}]', axdr.array(axdr.boolean(True))),
        ("array", '[{"type": "float64", "value": 2}]', axdr.array(axdr.float64(2))),
        ("compact-array", '[{"type": "enum", "value": 3}]', axdr.compact_array(axdr.enum(3))),
    ],
)
def test_text_becomes_a_typed_value(name, text, value):
    assert axdr.from_text(name, text) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("unsigned", "256", "unsigned holds 0 to 255"),
        ("unsigned", "", "''"),
        ("unsigned", "ten", "'ten' is no unsigned"),
        ("float32", "1e40", "float32"),
        ("long-long", "1", "'long-long' is not a type"),
        ("octet-string", "0g", "hexadecimal"),
        ("bit-string", "012", "0 and 1"),
        ("boolean", "maybe", "true or false"),
        ("null-data", "1", "no value"),
        ("date-time", "yesterday", "yesterday"),
        ("date", "2025-02-30", "2025-02-30"),
        ("visible-string", "€", "€"),
        ("array", "1, 2", "JSON"),
        ("array", "1", "JSON list"),
        ("array", "[1]", "element"),
        ("array", '[{"type": "unsigned", "value": 300}]', "0 to 255"),
        ("array", '[{"type": "unsigned", "value": true}]', "True"),
        ("array", '[{"type": "unsigned", "value": 1.5}]', "whole number"),
        ("array", '[{"type": "octet-string", "value": [1]}]', "octet-string"),
        ("array", '[{"type": "unsigned"}]', "unsigned"),
        ("array", '[{"type": "foo", "value": 1}]', "'foo'"),
        ("array", "[" * 100_000, "JSON"),
        ("array", '[{"type":"array","value":' * 100 + "[]" + "}]" * 100, "nested"),
        ("compact-array", "[]", "description"),
    ],
)
def test_text_that_does_not_fit_is_a_value_error_that_says_so(name, text, message):
    with pytest.raises(ValueError) as caught:
        axdr.from_text(name, text)
    assert message in str(caught.value)


def test_describe_draws_a_tree():
    value = axdr.structure(
        axdr.long_unsigned(2358),
        axdr.null_data(),
        axdr.octet_string("07e9070f020c1e0000ff8880"),
        axdr.octet_string("0100010800ff"),
        axdr.octet_string(b"ABC_001"),
        axdr.octet_string(b""),
        axdr.array(axdr.visible_string("hi"), axdr.bit_string("0101"), axdr.boolean(True), axdr.float32(float("inf"))),
        axdr.compact_array(DataType.UNSIGNED, [1, 2]),
    )
    assert axdr.describe(value).splitlines() == [
        "structure (8)",
        "  long-unsigned 2358",
        "  null-data",
        "  octet-string 07e9070f020c1e0000ff8880 (2025-07-15T12:30:00+02:00)",
        "  octet-string 0100010800ff (1-0:1.8.0*255)",
        '  octet-string 4142435f303031 "ABC_001"',
        "  octet-string (empty)",
        "  array (4)",
        '    visible-string "hi"',
        "    bit-string 0101",
        "    boolean true",
        "    float32 infinity",
        "  compact-array (2) of unsigned",
        "    unsigned 1",
        "    unsigned 2",
    ]


@given(TYPED)
def test_describe_takes_every_value_and_gives_one_line_each(typed):
    text = axdr.describe(axdr.decode_typed(axdr.encode(typed)))
    assert all(line.strip() and line.isprintable() for line in text.split("\n"))
