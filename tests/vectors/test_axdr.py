"""Every A-XDR case of the shared collection: plain value, typed value, octets again."""

from __future__ import annotations

from dataclasses import fields

import pytest

from cosemic.codec import axdr
from cosemic.codec.compact import TypeDescription
from cosemic.codec.encoding import write
from cosemic.enums import DataType
from cosemic.errors import DecodeError
from cosemic.times import CosemDate, CosemDateTime, CosemTime
from tests.vectors.collection import REASON, load

CASES = load("axdr") + [case for case in load("issue-captures") if case["kind"].startswith("axdr")]
GOOD = [case for case in CASES if "error" not in case["expected"]]
BAD = [case for case in CASES if "error" in case["expected"]]

NOT_CANONICAL = {
    "octet-string-nonminimal-length",
    "jdlms:kamstrup-association-object-list-complete",  # counts its objects as 82 00 7B
}

pytestmark = pytest.mark.skipif(not CASES, reason=REASON)


def as_case(typed: axdr.Typed) -> dict[str, object]:
    """A Typed in the notation of the collection."""
    value = typed.value
    case: dict[str, object] = {"t": axdr.type_name(typed.type)}
    if typed.type is DataType.COMPACT_ARRAY:
        case["description"] = description(typed.description)
        case["v"] = [as_case(axdr.compact_elements(typed)[i]) for i in range(len(value))]
    elif isinstance(value, tuple):
        case["v"] = [as_case(element) for element in value]
    elif isinstance(value, CosemDateTime | CosemDate | CosemTime):
        names = {"clock_status": "status"}
        case["v"] = {names.get(field.name, field.name): getattr(value, field.name) for field in fields(value)}
    elif isinstance(value, bytes):
        case["v"] = value.hex()
    else:
        case["v"] = str(value) if isinstance(value, axdr.BitString) else value
    return case


def description(of: TypeDescription | None) -> object:
    assert of is not None
    if of.type is DataType.ARRAY:
        return {"array": of.count, "of": description(of.elements[0])}
    if of.type is DataType.STRUCTURE:
        return {"structure": [description(element) for element in of.elements]}
    return axdr.type_name(of.type)


def plain(case: dict[str, object]) -> object:
    """The plain value that a case stands for, where it is not a date or time."""
    kind, value = case["t"], case["v"]
    if kind in ("array", "compact-array"):
        return [plain(element) for element in value]
    if kind == "structure":
        return tuple(plain(element) for element in value)
    if kind == "octet-string":
        return bytes.fromhex(value)
    if kind == "bit-string":
        return axdr.BitString(value)
    if isinstance(value, dict):
        fields_of = {("clock_status" if name == "status" else name): part for name, part in value.items()}
        return {"date-time": CosemDateTime, "date": CosemDate, "time": CosemTime}[kind](**fields_of)
    return value


@pytest.mark.parametrize("case", GOOD, ids=[case["name"] for case in GOOD])
def test_octets_give_the_expected_value_and_the_value_the_octets(case):
    octets = bytes.fromhex(case["bytes"])
    typed = axdr.decode_typed(octets)
    assert as_case(typed) == case["expected"]
    assert repr(axdr.decode(octets)) == repr(plain(case["expected"]))  # repr tells -0.0 from 0.0
    assert repr(typed.plain) == repr(axdr.decode(octets))
    assert axdr.encode(typed) == octets
    rebuilt = bytearray()
    write(rebuilt, typed)
    assert (bytes(rebuilt) == octets) == (case["name"] not in NOT_CANONICAL)
    assert axdr.decode_typed(bytes(rebuilt)) == typed


@pytest.mark.parametrize("case", GOOD, ids=[case["name"] for case in GOOD])
def test_every_way_in_agrees(case):
    octets = bytes.fromhex(case["bytes"])
    value = axdr.decode(octets)
    for buffer, offset in ((octets, 0), (b"\x55" + octets + b"\x00\x00", 1), (bytearray(octets), 0)):
        assert axdr.decode_prefix(buffer, offset) == (value, offset + len(octets))
        data, end = axdr.Data.decode_prefix(buffer, offset)
        assert (data.value, bytes(data), end) == (value, octets, offset + len(octets))
    assert axdr.Data(octets).value == value
    assert axdr.Data(octets).typed == axdr.decode_typed(octets)


@pytest.mark.parametrize("case", GOOD, ids=[case["name"] for case in GOOD])
def test_a_value_cut_short_or_followed_by_more_is_an_error(case):
    octets = bytes.fromhex(case["bytes"])
    for bad in [*(octets[:size] for size in range(len(octets))[:: max(1, len(octets) // 40)]), octets + b"\x00"]:
        for decode in (axdr.decode, axdr.decode_typed, axdr.Data.decode):
            with pytest.raises(DecodeError):
                decode(bad)


@pytest.mark.parametrize("case", BAD, ids=[case["name"] for case in BAD])
def test_bad_octets_are_an_error(case):
    octets = bytes.fromhex(case["bytes"])
    for decode in (axdr.decode, axdr.decode_prefix, axdr.decode_typed, axdr.decode_typed_prefix, axdr.Data.decode):
        with pytest.raises(DecodeError):
            decode(octets)
