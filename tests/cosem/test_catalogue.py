"""The catalogue of OBIS names as data: patterns, files, search, and codes of real meters."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic import obis_names
from cosemic.cosem.catalog import look_up, search
from cosemic.obis import ObisCode
from cosemic.obis_names.patterns import PatternError, parse
from cosemic.obis_names.reading import Catalogue, CatalogueError
from cosemic.units import UNIT_SYMBOLS
from tests.vectors.collection import FOLDER, REASON

DOCS = Path(__file__).resolve().parents[2] / "docs" / "catalogue.md"

#: codes in captures that no public list names: they belong to the maker
UNKNOWN = {"0-0:96.5.134*255", "0-0:96.5.135*255"}


def test_the_catalogue_is_large_and_every_file_says_whence() -> None:
    lines = 0
    for file in obis_names.FILES:
        catalogue = obis_names.catalogue(file)
        assert catalogue.title
        assert catalogue.sources
        lines += len(catalogue.rules) + sum(len(table.rows) for table in catalogue.tables.values())
        for rule in catalogue.rules:
            assert rule.sources, rule
    assert lines > 1000


@pytest.mark.parametrize("file", list(obis_names.FILES))
def test_every_pattern_has_a_name_a_known_unit_and_wins_somewhere(file: str) -> None:
    units = {*UNIT_SYMBOLS.values(), "count", "currency", ""}
    seen: set[tuple[str, str]] = set()
    for rule, found, pattern in obis_names.every_pattern(file):
        assert found.name.strip()
        assert found.unit in units, found
        if not rule.generic:
            assert (found.pattern, found.name) not in seen, found
            seen.add((found.pattern, found.name))
        example = bytes(255 if numbers is None else min(numbers) for numbers in pattern.groups)
        assert "{" not in obis_names.describe(example)


def test_the_most_specific_pattern_wins() -> None:
    assert look_up("0-0:96.7.21").name == "Number of power failures in any phase"
    assert look_up("0-0:10.0.106").name == "Disconnect script table"
    assert look_up("0-0:10.0.99").name == "Script table 99"
    assert look_up("1-0:0.2.129").name == "Version of the OBIS list"
    assert look_up("1-0:12.32.14*255").name == "Voltage dips, depth 15 % to 30 %, duration 3 s to 20 s"
    assert look_up("1-0:12.32.63*255").name == "Voltage under limit occurrences, harmonic 63"


@pytest.mark.parametrize(
    ("code", "name", "unit", "medium"),
    [
        ("1-0:1.8.1", "Active energy import (+A) tariff 1", "Wh", "electricity"),
        ("1-0:3.29.0", "Reactive energy import (+R), load profile interval", "varh", "electricity"),
        ("1-0:81.7.40", "Phase angle U(L1) to I(L1)", "°", "electricity"),
        ("1-0:83.8.39", "Active losses L1", "Wh", "electricity"),
        ("6-0:10.0.0", "Heat flow temperature", "°C", "heat"),
        ("5-0:1.2.0", "Cooling energy, set date value", "Wh", "cooling"),
        ("9-0:2.5.0", "Hot water flow rate, maximum", "m³/h", "hot water"),
        ("4-0:2.0.0", "Heat cost allocator rated integral", "count", "heat cost allocation"),
        ("7-0:13.2.1", "Gas forward absolute converter volume, converted to base conditions tariff 1", "m³", "gas"),
        ("7-0:43.45.0", "Gas flow rate, maximum of averages of averaging period 2 in measurement period 2, "
         "at base conditions", "m³/h", "gas"),
        ("0-0:94.91.9", "Country specific object of India, 9", "", "abstract"),
    ],
)  # fmt: skip
def test_names_units_and_media(code: str, name: str, unit: str, medium: str) -> None:
    entry = look_up(code)
    assert (entry.name, entry.unit, entry.medium, entry.generic) == (name, unit, medium, False)


def test_unknown_codes_are_described_as_far_as_their_groups_go() -> None:
    for code, name in (
        ("1-0:1.250.0", "Active power import (+A), type 250, item 0"),
        ("1-0:1.99.3", "Active power import (+A), type 99, item 3"),
        ("1-0:200.7.0", "Electricity quantity 200, type 7, item 0"),
        ("3-0:1.2.3", "Medium 3, quantity 1, type 2, item 3"),
        ("0-0:96.77.3", "Manufacturer specific object 96.77.3"),
    ):
        entry = look_up(code)
        assert entry.generic
        assert entry.name == name


@given(st.binary(min_size=6, max_size=6))
def test_any_code_can_be_looked_up_and_explained(octets: bytes) -> None:
    entry = look_up(ObisCode.from_bytes(octets))
    assert entry.name.strip()
    assert "{" not in entry.name
    assert [number for _, number, _ in obis_names.explain_groups(octets)] == list(octets)
    assert all(words.strip() for _, _, words in obis_names.explain_groups(octets))


def test_search_by_words_and_by_pattern() -> None:
    voltages = search("voltage L1")
    assert "1-*:32.7.0,255" in [found.pattern for found in voltages]
    assert all("voltage" in found.name.lower() and "l1" in found.name.lower() for found in voltages)
    energies = [found for found in search("1-0:*.8.0") if found.unit == "Wh"]
    assert {"1-*:1.8.0", "1-*:2.8.0", "1-*:21.8.0"} <= {found.pattern for found in energies}
    assert all(re.search(r":\d+\.8\.", found.pattern) for found in energies)
    assert search("no such thing anywhere") == search("") == []


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "1-0", "1-0:1.8", "1-0:1.8.0*", "1-0:1.8.x", "1-0:9-1.8.0", "1-0:1.8.256", "1.2.3", "1-0:1..0",
        "1-0:1.8.*5", "1-0:1.8.0*255*1", "a-0:1.8.0", "1-0:1.8.-5", "²-0:1.8.0",
    ],
)  # fmt: skip
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(PatternError):
        parse(text)


@given(st.text(alphabet="0123456789-:.,*<>a ", max_size=24))
def test_patterns_are_read_or_refused(text: str) -> None:
    try:
        pattern = parse(text)
    except PatternError:
        return
    assert pattern.size > 0


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("1-0:1.8.0 | only a name", "line 1: a pattern line is"),
        ("sources: XX", "line 1: there is no source 'XX'"),
        ("colour: red", "line 1: 'colour' is no key"),
        ("1-0:<quantity>.8.0 | x | - | -", "line 1: there is no table 'quantity'"),
        ("table q: words | unit\n1 | alone\nend", "line 2: a row of this table has"),
        ("# note\n\n1-0:1.8.999 | x | - | -", "line 3: '999'"),
        ("1-0:1.999.0 | x | - | -", "line 1: '999'"),
        ("1 | x | - | -", "line 1: a pattern begins like"),
        ("table q: words\n1 | a", "line 2: the last table has no 'end'"),
    ],
)
def test_a_bad_catalogue_file_names_the_line(text: str, place: str) -> None:
    with pytest.raises(CatalogueError, match=re.escape(f"mine.obis, {place}")):
        Catalogue(text, "mine.obis").check()


def test_nothing_is_read_before_a_name_is_asked_for() -> None:
    program = (
        "import sys, cosemic, cosemic.cosem.catalog\n"
        "from cosemic import obis_names\n"
        "print(len(obis_names._catalogues), 'tomllib' in sys.modules)\n"
        "obis_names.describe(bytes((1, 0, 1, 8, 0, 255)))\n"
        "print(sorted(obis_names._catalogues))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["0 False", "['common', 'electricity']"]


def _codes(value: object) -> set[bytes]:
    found: set[bytes] = set()
    if isinstance(value, dict):
        text = value.get("v")
        if value.get("t") == "octet-string" and isinstance(text, str) and len(text) == 12 and text.endswith("ff"):
            found.add(bytes.fromhex(text))
        for item in value.values():
            found |= _codes(item)
    elif isinstance(value, list):
        for item in value:
            found |= _codes(item)
    return found


@pytest.mark.skipif(not FOLDER.is_dir(), reason=REASON)
@pytest.mark.parametrize("topic", ["pushes", "issue-captures"])
def test_codes_of_real_captures_have_names(topic: str) -> None:
    codes = _codes(json.loads((FOLDER / f"{topic}.json").read_text("utf-8")))
    assert len(codes) > 10
    nameless = {str(ObisCode.from_bytes(code)) for code in codes if obis_names.look_up(code).generic}
    assert nameless <= UNKNOWN


@pytest.mark.skipif(not FOLDER.is_dir(), reason=REASON)
def test_the_object_list_of_a_kamstrup_meter() -> None:
    cases: list[dict[str, Any]] = json.loads((FOLDER / "sessions.json").read_text("utf-8"))["cases"]
    (case,) = [case for case in cases if "kamstrup-object-list" in case["name"]]
    octets = bytes.fromhex(case["expected"]["reassembled"])
    objects = re.findall(rb"\x02\x04\x12(..)\x11.\x09\x06(.{6})", octets, re.DOTALL)
    assert len(objects) == 123
    for class_id, code in objects:
        entry = obis_names.look_up(code)
        _, b, c, d, e, f = code
        if entry.generic:  # 1-1:128.0.5, 1-1:0.128.1, 1-1:96.51.2: numbers that the standard leaves to the maker
            assert c >= 128 or d >= 128 or e >= 128 or f == 128 or (c == 96 and 50 <= d <= 99), entry
        elif c not in (96, 21) and f == 255 and b:
            assert int.from_bytes(class_id) in entry.classes, entry


def test_the_table_in_the_docs_is_the_catalogue() -> None:
    text = DOCS.read_text("utf-8")
    for file in obis_names.FILES:
        catalogue = obis_names.catalogue(file)
        rows = sum(len(table.rows) for table in catalogue.tables.values())
        expanded = sum(1 for _ in obis_names.every_pattern(file))
        sources = ", ".join(sorted({key for rule in catalogue.rules for key in rule.sources.split()}))
        line = f"| `{file}.obis` | {catalogue.title} | {len(catalogue.rules)} | {rows} | {expanded:,} | {sources} |"
        assert line in text, line
        for key, words in catalogue.sources.items():
            if key in sources.split(", "):
                assert f"- **{key}**: {words}" in text, key
