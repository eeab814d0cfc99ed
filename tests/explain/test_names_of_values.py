"""A value that is written, or handed to a method, is told by the name that the standard gives it."""

from __future__ import annotations

import pytest

from cosemic.explain import explain


@pytest.mark.parametrize(
    ("apdu", "value", "meaning"),
    [
        # SET control_mode of a disconnect control to 3; clock_base of the clock to 4
        ("c101c1 0046 0000600300ff 04 00 1603", 3, "mode 3"),
        ("c101c1 0008 0000010000ff 09 00 1604", 4, "gps"),
        ("c101c1 0008 0000010000ff 04 00 1182", 0x82, "doubtful, daylight saving"),
        # ACTION security_activate with authenticated and encrypted requests
        ("c301c1 0040 00002b0000ff 01 01 160c", 12, "authenticated request, encrypted request"),
    ],
)
def test_numbers_with_names(apdu: str, value: int, meaning: str) -> None:
    explanation = explain(bytes.fromhex(apdu))
    assert explanation.ok
    last = explanation.lines[-1]
    assert (last.value, last.meaning) == (value, meaning)


@pytest.mark.parametrize(
    "apdu",
    [
        "c101c1 0046 0000600300ff 04 00 1663",  # no such mode
        "c101c1 0046 0000600300ff 04 00 0100",  # no number
        "c101c1 0046 0000600300ff 63 00 1601",  # no such attribute
        "c301c1 0046 0000600300ff 63 01 0f00",  # no such method
        "c301c1 0046 0000600300ff 01 01 0f00",  # a number without a name
    ],
)
def test_what_has_no_name_stays_as_it_is(apdu: str) -> None:
    explanation = explain(bytes.fromhex(apdu))
    assert explanation.ok
    assert "mode" not in explanation.lines[-1].meaning
