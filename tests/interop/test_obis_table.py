"""Our catalogue against the OBIS table inside gurux-dlms, row by row: names, kinds of quantity, units, classes.

What differs is listed with its reason; a difference that is not listed fails, and so does one that is gone.
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from cosemic.obis_names import FILES, Entry, look_up
from cosemic.obis_names.patterns import Group, parse
from cosemic.obis_names.searching import every_pattern
from tests.interop import peers

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def table() -> list[tuple[tuple[int, ...], dict[str, Any], Entry]]:
    done = subprocess.run(
        [peers.python_of("gurux"), peers.DRIVERS / "gurux_obis_driver.py"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = []
    for row in map(json.loads, done.stdout.splitlines()):
        code = tuple(map(int, row["code"].split(".")))
        found.append((code, row, look_up(bytes(code))))
    return found


def test_what_gurux_names_has_a_name(table: list[tuple[tuple[int, ...], dict[str, Any], Entry]]) -> None:
    assert len(table) > 2900
    unnamed = {
        "reserved": lambda code: code[2:5] in ((96, 20, 29), (0, 9, 3), (0, 9, 4)),  # so it says itself
        "quantities 100 to 107": lambda code: code[0] == 1 and 100 <= code[2] <= 107,  # it does not say what they are
    }
    used = set()
    for code, row, entry in table:
        if entry.generic:
            reasons = [reason for reason, fits in unnamed.items() if fits(code)]
            assert reasons, (row, entry.name)
            used.update(reasons)
    assert used == set(unnamed)


# Words of gurux-dlms for a quantity, and the units of the quantity and of its integral over time.
KINDS = (
    (r"Reactive power", "var", "varh"),
    (r"Active power", "W", "Wh"),
    (r"Apparent power", "VA", "VAh"),
    (r"Power factor", "", ""),
    (r"Supply frequency", "Hz", ""),
    (r"V2h", "V²h", "V²h"),
    (r"A2h", "A²h", "A²h"),
    (r"Current|current", "A", "Ah"),
    (r"Voltage", "V", ""),
    (r"Unitless", "count", "count"),
)
WORDS = (
    # gurux-dlms, and ours, where both name the quantity
    (r"Reactive power", "reactive"),
    (r"Active power", "active"),
    (r"Apparent power", "apparent"),
    (r"^Ch\. 0 L1 ", " l1"),
    (r"^Ch\. 0 L2 ", " l2"),
    (r"^Ch\. 0 L3 ", " l3"),
    (r" QI (Inst|Max|Time)", "quadrant i "),
    (r" QII (Inst|Max|Time)", "quadrant ii "),
    (r" QIII (Inst|Max|Time)", "quadrant iii "),
    (r" QIV (Inst|Max|Time)", "quadrant iv "),
    (r"power\+ ", "import"),
    (r"power- ", "export"),
    (r"Inst\. value", "instantaneous"),
    (r"Max\. 1", "maximum"),
    (r"neutral", "neutral"),
)


def test_quantities_agree_in_kind_and_unit(table: list[tuple[tuple[int, ...], dict[str, Any], Entry]]) -> None:
    checked = 0
    for code, row, entry in table:
        words = row["words"]
        if code[0] != 1 or code[1] or code[2] in (0, *range(81, 84)) or code[3] not in (6, 7, 8) or code[4] != 0:
            continue
        kinds = [kind for kind in KINDS if re.search(kind[0], words)]
        if entry.generic or not kinds:  # it has no words for 100 to 107, and 124 to 126
            assert "$1" in words, row
            continue
        _, unit, integral = kinds[0]
        assert entry.unit == (integral if code[3] == 8 else unit), (row, entry)
        name = f"{entry.name.lower()} "
        for theirs, ours in WORDS:
            if re.search(theirs, words):
                assert ours in name, (row, entry)
        checked += 1
    assert checked >= 270


MEDIA = {0: "abstract", 1: "electricity", 7: "gas"}


def test_media_and_classes_agree(table: list[tuple[tuple[int, ...], dict[str, Any], Entry]]) -> None:
    others: dict[str, int] = {"stored values as a profile": 0, "watched by a register monitor": 0}
    for code, row, entry in table:
        assert entry.medium == MEDIA[code[0]]
        if not row["classes"] or not entry.classes or set(row["classes"]) & set(entry.classes):
            continue
        # F 126 and 255: "an unspecified number of billing periods" is a profile there; ours name the values in it
        if row["classes"] == [7] and re.search(r"\.126(,255)?$", row["row"]):
            others["stored values as a profile"] += 1
        # a row of its own for register monitors, beside the one for the registers that they watch
        elif row["classes"] == [21] and code[0] == 1:
            others["watched by a register monitor"] += 1
        else:
            pytest.fail(f"{row}: ours is {entry.classes}")
    assert all(others.values())


COUNTED = re.compile(r"^(No\. of (?!available|device|days)|Number of )|counter", re.IGNORECASE)


def test_counters_are_counts(table: list[tuple[tuple[int, ...], dict[str, Any], Entry]]) -> None:
    checked = 0
    for _, row, entry in table:
        words = row["words"]
        if entry.generic or not set(entry.classes) & {1, 3, 4} or re.search("time counter|Unspecified", words):
            continue
        if COUNTED.search(words):
            assert entry.unit == "count", (row, entry)
            checked += 1
    assert checked > 70


MANUFACTURERS = re.compile(r"^\d\.(\d+-\d+(,255)?)\.(\d+-\d+(,255)?)(,240)?\.\d+-\d+\.\d+-\d+\.\d+-\d+$")
NOT_THERE = {"1-*:82.7.0,255"}  # pulses and pieces: every way of processing but this one


def test_what_is_said_to_come_from_the_table_is_in_it(
    table: list[tuple[tuple[int, ...], dict[str, Any], Entry]],
) -> None:
    rows = [parse(row) for row in {row["row"] for _, row, _ in table} if not MANUFACTURERS.match(row)]
    by_quantity: dict[int, list[tuple[Group, ...]]] = {}
    for row in rows:
        if 0 in (row.groups[1] or {0}):
            for quantity in row.groups[2] or range(256):
                by_quantity.setdefault(quantity, []).append(row.groups)

    def is_there(groups: tuple[Group, ...]) -> bool:
        """Whether a row of the table has codes of this pattern on the main channel."""
        quantities = groups[2] or {127}
        return any(
            all(not ours or not theirs or ours & theirs for ours, theirs in zip(groups, row, strict=True))
            for quantity in quantities
            for row in by_quantity.get(quantity, ())
        )

    assert not is_there(parse("0-0:25.8.*").groups)
    checked, missing = 0, set()
    for file in FILES:
        for rule, found, pattern in every_pattern(file):
            if rule.says_something and "GX" in rule.sources.split() and 0 in (pattern.groups[1] or {0}):
                checked += 1
                if not is_there((pattern.groups[0], frozenset((0,)), *pattern.groups[2:])):
                    missing.add(found.pattern)
    assert missing == NOT_THERE
    assert checked > 10_000
