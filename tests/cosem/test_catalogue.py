"""The catalogue of OBIS codes: names, kinds, units, how specific patterns win, and what captures hold."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic import obis_names
from cosemic.obis import ObisCode
from cosemic.obis_names import FILES, Entry, look_up
from cosemic.obis_names.patterns import PatternError, parse
from cosemic.obis_names.reading import Catalogue, CatalogueError
from cosemic.obis_names.searching import every_pattern, explain_groups, search, source_text
from cosemic.units import UNIT_SYMBOLS

ROOT = Path(__file__).parents[2]
VECTORS = ROOT.parent / "shared" / "vectors"
CAPTURES = ("pushes.json", "issue-captures.json", "sessions.json")
KAMSTRUP = ("axdr.json", "jdlms:kamstrup-association-object-list-complete")


def entry(code: str) -> Entry:
    return look_up(bytes(ObisCode.parse(code)))


@pytest.mark.parametrize(
    ("code", "headline", "unit", "classes"),
    [
        ("1-0:1.8.1*255", "active energy import, tariff 1, Wh-type register", "Wh", (3, 4)),
        ("1-0:1.8.0*255", "active energy import, total, Wh-type register", "Wh", (3, 4)),
        ("1-0:4.8.2*255", "reactive energy export, tariff 2, varh-type register", "varh", (3, 4)),
        ("1-0:1.8.1*7", "active energy import, tariff 1, billing period 7, Wh-type register", "Wh", (3, 4)),
        ("1-2:21.7.0*255", "active power import L1 instantaneous, channel 2, W-type register", "W", (3, 4)),
        ("1-0:32.7.0*255", "voltage L1 instantaneous, V-type register", "V", (3, 4)),
        ("1-0:32.7.5*255", "voltage L1 instantaneous, harmonic 5, V-type register", "V", (3, 4)),
        ("1-0:1.6.2*255", "active power import maximum, tariff 2, W-type register", "W", (4, 3, 5)),
        ("1-0:81.7.40*255", "phase angle U(L1) to I(L1), °-type register", "°", (3,)),
        ("0-0:96.7.9*255", "number of long power failures in any phase, count", "count", (1, 3, 4)),
        ("0-0:1.0.0*255", "clock", "", (8,)),
        ("0-3:24.1.0*255", "M-Bus client, channel 3", "", (72,)),
        ("7-0:3.0.0*255", "gas forward absolute meter volume, m³-type register", "m³", (3, 4)),
        ("6-0:1.0.0*255", "heat energy, Wh-type register", "Wh", (3, 4)),
        ("5-0:10.0.0*255", "cooling flow temperature, °C-type register", "°C", (3, 4)),
        ("8-0:1.0.0*255", "cold water volume, m³-type register", "m³", (3, 4)),
        ("9-0:2.0.0*255", "hot water flow rate, m³/h-type register", "m³/h", (3, 4)),
        ("4-0:2.3.0*255", "heat cost allocator rated integral, billing date value, count", "count", (3, 4)),
    ],
)
def test_a_code_as_a_phrase_with_unit_and_classes(code, headline, unit, classes):
    found = entry(code)
    assert (found.headline, found.unit, found.classes) == (headline, unit, classes)
    assert not found.generic
    assert found.sources


def test_value_groups_one_by_one():
    groups = explain_groups(bytes(ObisCode.parse("1-3:32.7.5*255")))
    assert [(letter, number) for letter, number, _ in groups] == [
        ("A", 1), ("B", 3), ("C", 32), ("D", 7), ("E", 5), ("F", 255),
    ]  # fmt: skip
    assert [words for _, _, words in groups] == [
        "electricity",
        "channel 3",
        "Voltage L1",
        "instantaneous",
        "harmonic 5",
        "the present value, or not used",
    ]


@given(st.binary(min_size=6, max_size=6))
def test_every_code_is_described_and_explained(octets):
    found = look_up(octets)
    assert found.name
    assert found.headline
    assert parse(found.pattern).fits(octets)
    assert all(words for _, _, words in explain_groups(octets))


def test_the_most_specific_pattern_wins():
    assert entry("1-0:32.32.0").name.startswith("Voltage L1 dips")  # a class of dips, not just the occurrences
    assert entry("1-0:31.32.0").name == "Current L1 under limit occurrences"
    assert entry("0-0:40.0.0").name == "Current association"
    assert entry("0-0:96.1.0").name == "Device ID 1 (serial number)"


def test_a_code_beyond_the_tables_says_what_its_groups_say():
    found = entry("1-0:1.8.77*255")
    assert found.generic
    assert found.name == "Active power import (+A) time integral 1, item 77"
    assert entry("3-0:1.2.3").generic
    assert entry("1-0:1.128.0").manufacturer_specific
    assert not entry("1-0:1.8.0").manufacturer_specific


def test_there_are_enough_patterns_that_say_something():
    lines = rows = patterns = 0
    names = set()
    for file in FILES:
        tables = obis_names.catalogue(file).tables
        rows += sum(len(table.rows) for table in tables.values())
        lines += sum(rule.says_something for rule in obis_names.catalogue(file).rules)
        for rule, found, _ in every_pattern(file):
            if rule.says_something:
                patterns += 1
                names.add((found.pattern[0], found.name))
    assert patterns >= 1000
    assert lines + rows >= 1000  # written by hand, not only multiplied
    assert len(names) > 0.97 * patterns  # each has a name of its own


def test_every_line_is_sound():
    known = set(UNIT_SYMBOLS.values()) | {"", "count"}
    for file in FILES:
        catalogue = obis_names.catalogue(file)
        assert catalogue.title
        for rule, found, pattern in every_pattern(file):
            assert found.unit in known, (file, found)
            assert rule.sources or not rule.says_something, (file, found)
            assert pattern.size > 0
            assert "{" not in found.name, (file, found)


def test_no_pattern_is_written_twice():
    for file in FILES:
        seen = [found.pattern for rule, found, _ in every_pattern(file) if rule.says_something]
        assert len(seen) == len(set(seen)), sorted({item for item in seen if seen.count(item) > 1})[:5]


def test_sources_are_spelt_out():
    for code in ("1-0:1.8.0", "0-0:1.0.0", "7-0:3.0.0", "8-0:1.0.0"):
        octets = bytes(ObisCode.parse(code))
        for key in look_up(octets).sources:
            assert len(source_text(octets, key)) > 20


def test_search_by_words_puts_the_everyday_first():
    assert search("voltage L1")[0].pattern.startswith("1-*:32.7.")
    assert search("ACTIVE energy import")[0].pattern.startswith("1-*:1.8.")
    assert search("gas absolute volume")[0].pattern.startswith("7-*:3.0.")
    assert search("no such thing at all") == []
    assert search("") == []


def test_search_by_pattern_meets_what_overlaps():
    found = search("1-0:1-2.8.*")
    assert {item.pattern for item in found} == {"1-*:1.8.0-63,255", "1-*:2.8.0-63,255"}
    assert search("1-65:1.8.0-1*255") == search("1.65.1.8.0,1.255") != []


@pytest.mark.parametrize(
    "text", ["", "1", "1-0:1.8", "1-0:1.8.300", "1-0:1.9-8.0", "a-b:c.d.e", "1-0:1.8.x*255", "1.2.3"]
)
def test_what_is_no_pattern_says_so(text):
    with pytest.raises(PatternError, match="pattern"):
        parse(text)


@given(st.text(alphabet="0123456789-:.*,<>a ", max_size=24))
def test_any_text_is_a_pattern_or_says_that_it_is_none(text):
    with contextlib.suppress(PatternError):
        pattern = parse(text)
        assert pattern.meets(pattern)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: x\n1-*:1.8.0 | name", "f.obis, line 2: a pattern line is"),
        ("title: x\n1-*:<none>.8.0 | name | - | -", "f.obis, line 2: there is no table 'none'"),
        ("title: x\nsources: ZZ", "f.obis, line 2: there is no source 'ZZ'"),
        ("what is this", "f.obis, line 1: neither a pattern"),
        ("colour: red", "f.obis, line 1: 'colour' is no key"),
        ("table t: words\n1 | a | b\nend\n1-*:<t>.8.0 | {t} | - | -", "f.obis, line 2: a row of this table"),
        ("table t: words\n1 | a", "f.obis, line 2: the last table has no 'end'"),
        ("1-*:1.999.0 | name | - | -", "f.obis, line 1: '999'"),
        ("1 | name | - | -", "f.obis, line 1: a pattern begins like"),
    ],
)
def test_a_bad_catalogue_names_the_place(text, message):
    with pytest.raises(CatalogueError, match=re.escape(message)):
        list(Catalogue(text, "f.obis").rules)


def test_only_the_medium_in_question_is_read():
    script = (
        "import sys; import cosemic; assert 'cosemic.obis_names' not in sys.modules; "
        "from cosemic import obis_names; obis_names.describe(bytes((7, 0, 3, 0, 0, 255))); "
        "print(*sorted(obis_names._catalogues))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["common", "gas"]


def captured_codes() -> dict[str, str]:
    found: dict[str, str] = {}

    def walk(value, name):
        if isinstance(value, dict):
            octets = value.get("v")
            if value.get("t") == "octet-string" and isinstance(octets, str) and len(octets) == 12:
                found.setdefault(octets, name)
            for item in value.values():
                walk(item, name)
        elif isinstance(value, list):
            for item in value:
                walk(item, name)

    for file in (*CAPTURES, KAMSTRUP[0]):
        for case in json.loads((VECTORS / file).read_text("utf-8"))["cases"]:
            if file in CAPTURES or case["name"] == KAMSTRUP[1]:
                walk(case["expected"], case["name"])
    return found


@pytest.mark.skipif(not VECTORS.is_dir(), reason="the captures are not here")
def test_every_code_of_real_captures_has_a_name_or_is_the_manufacturers():
    codes = captured_codes()
    assert len(codes) > 150
    entries = [look_up(bytes.fromhex(code)) for code in codes]
    assert [item.name for item in entries if item.generic and not item.manufacturer_specific] == []
    own = {str(ObisCode.from_bytes(item.octets)) for item in entries if item.manufacturer_specific}
    for code in own:  # and these are in the ranges that the standard leaves open, not merely unknown
        _, b, c, d, e, _ = ObisCode.parse(code)
        assert max(b, c, d, e) >= 128 or (c == 96 and 50 <= d <= 99), code
    assert len(own) < len(codes) / 4


def test_the_files_do_not_share_patterns():
    every = {file: {found.pattern for rule, found, _ in every_pattern(file) if rule.says_something} for file in FILES}
    for one, other in combinations(every, 2):
        assert not every[one] & every[other]
