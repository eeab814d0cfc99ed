"""docs/catalogue.md tells what the data files have: lines, rows, patterns, sources, companions."""

from __future__ import annotations

from pathlib import Path

from cosemic import obis_names
from cosemic.cosem.companions import companion, companion_names, load_companion
from cosemic.obis_names.searching import every_pattern

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "catalogue.md").read_text(encoding="utf-8")


def _table(heading: str) -> list[list[str]]:
    section = PAGE.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines()[2:]]


def test_the_table_of_files_counts_what_is_there() -> None:
    rows, total = [], [0, 0, 0]
    for file in obis_names.FILES:
        catalogue = obis_names.catalogue(file)
        rules = [rule for rule in catalogue.rules if rule.says_something]
        counts = [
            len(rules),
            sum(len(table.rows) for table in catalogue.tables.values()),
            sum(rule.says_something for rule, _, _ in every_pattern(file)),
        ]
        total = [one + other for one, other in zip(total, counts, strict=True)]
        keys = sorted({key for rule in rules for key in rule.sources.split()})
        rows.append([f"`{file}.obis`", catalogue.title, *map(str, counts), " ".join(keys)])
    assert _table("file") == [*rows, ["all", "", *map(str, total), ""]]


def test_the_sources_are_those_of_the_files() -> None:
    had = {key: text for file in obis_names.FILES for key, text in obis_names.catalogue(file).sources.items()}
    assert {row[0]: row[1] for row in _table("source")} == had
    used = {
        key for file in obis_names.FILES for rule in obis_names.catalogue(file).rules for key in rule.sources.split()
    }
    assert used == set(had)


def test_the_table_of_companions_counts_what_is_there() -> None:
    rows = []
    for key in companion_names():
        profile = companion(key)
        own = profile.chain[0]
        bits = sum(len(table.bits) for table in own.status_tables)
        counts = map(str, (len(own.names), len(own.clients), bits, len(own.quirks)))
        rows.append([f"`{key}`", profile.title, "".join(profile.extends[:1]), *counts])
    assert _table("companion") == rows


def test_the_companion_in_the_page_is_one(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(PAGE.split("```toml\n", 1)[1].split("```", 1)[0], encoding="utf-8")
    profile = load_companion(path)
    assert profile.extends == ("idis", "dlms")
    named = profile.name("0-2:24.2.1")
    assert named is not None
    assert named.text == "Reading of the meter on channel 2"
