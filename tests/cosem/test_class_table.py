"""docs/classes.md tells what the registry has: classes, versions, and what stayed without names or types."""

from __future__ import annotations

import re
from pathlib import Path

from cosemic.cosem import model
from cosemic.cosem.model import interface_class, interface_classes
from cosemic.enums import InterfaceClass

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "classes.md").read_text()
SOURCES = set(re.findall(r"^\| ([A-Z]) \|", PAGE, re.MULTILINE))
SAME_VENDOR = {"G", "N"}


def _rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_the_table_has_every_class_and_version() -> None:
    told = {int(row[0]): (row[1], row[2]) for row in _rows("The classes")}
    had: dict[int, tuple[str, str]] = {}
    for item in interface_classes():
        versions = [*filter(None, had.get(item.class_id, ("", ""))[1].split(", ")), str(item.version)]
        had[item.class_id] = (item.name, ", ".join(versions))
    assert told == had


def test_every_class_has_two_sources_that_do_not_hang_together() -> None:
    for row in _rows("The classes"):
        letters = set(row[3].split())
        assert letters <= SOURCES, row
        assert len(letters - SAME_VENDOR) + bool(letters & SAME_VENDOR) >= 2, row


def test_what_stayed_generic_is_listed() -> None:
    told = {(row[0], row[1]): row[2:] for row in _rows("What stayed generic")}
    had = {}
    for item in interface_classes():
        texts = model._texts()[item.class_id][item.version]
        untyped = [text for text in texts[3].split() if ":" not in text and text != "?"]
        cells = [
            _listed(a.number for a in item.attributes if a.name.startswith("attribute ")),
            _listed(item.attribute(name.lstrip("~.")).number for name in untyped),
            _listed(m.number for m in item.methods if m.name.startswith("method ")),
            _listed(m.number for m in item.methods if m.parameter is None and not m.name.startswith("method ")),
        ]
        if any(cells):
            had[str(item.class_id), str(item.version)] = cells
    assert told == had


def test_ids_without_any_layout_are_listed() -> None:
    section = PAGE.split("\n## Known by name only\n", 1)[1].split("\n## ", 1)[0]
    told = {int(number) for number in re.findall(r"^- (\d+) ", section, re.MULTILINE)}
    assert told == {int(code) for code in InterfaceClass if not interface_class(code).declared}


def _listed(numbers: object) -> str:
    return ", ".join(map(str, numbers))  # type: ignore[call-overload]
