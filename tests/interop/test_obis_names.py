"""Our OBIS names beside the tables of Gurux and pydlms: their codes must have a name here, of the same kind."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from cosemic.cosem.companions import companion
from cosemic.obis import ObisCode
from cosemic.obis_names import FILES, every_pattern, look_up
from cosemic.obis_names.patterns import Group, parse
from tests.interop.peers import python_of

pytestmark = pytest.mark.interop

#: quantity words of Gurux's electricity table by C, and the unit of the quantity and of its integral over time
UNITS = {"Active power": ("W", "Wh"), "Reactive power": ("var", "varh"), "Apparent power": ("VA", "VAh")}
INTEGRALS = {8, 9, 10, 17, 18, 19, 20, 29, 30, 58}
#: in Gurux's list of electricity quantities, but no public text says what they are
UNNAMED_QUANTITIES = set(range(100, 108))


def _folder(library: str, package: str) -> Path:
    python = python_of(library)
    for folder in (python.parents[1] / "lib").glob("python*/site-packages"):
        if (folder / package).is_dir():
            return folder / package
    found = python.parents[1] / "Lib" / "site-packages" / package
    if not found.is_dir():
        pytest.skip(f"{package} has no folder in that environment")
    return found


def _samples(pattern: str) -> list[ObisCode]:
    """The first code, one between and the last code of a pattern of Gurux's (``0-64.96.1-9,255...``)."""
    groups = [[part.split("-") for part in group.split(",")] for group in pattern.split(".")]
    first = [int(group[0][0]) for group in groups]
    last = [int(group[-1][-1]) for group in groups]
    middle = [int(group[len(group) // 2][0]) for group in groups]
    return [ObisCode(*numbers) for numbers in (first, middle, last)]


def _gurux_lines() -> list[list[str]]:
    text = (_folder("gurux", "gurux_dlms") / "OBISCodes.txt").read_text("utf-8")
    return [line.split(";") for line in text.splitlines() if line]


def test_every_code_of_gurux_has_a_name() -> None:
    lines = _gurux_lines()
    assert len(lines) > 1000
    nameless = []
    for fields in lines:
        description = " ".join(fields[3:])
        if "anufacturer specific" in description or "Man. spec" in description or not description.strip():
            continue
        if "Utility specific" in description or "Reserved" in description or len(fields[0].split(".")) != 6:
            continue
        for code in _samples(fields[0]):
            entry = look_up(bytes(code))
            if code.a == 1 and code.c in UNNAMED_QUANTITIES:
                continue
            if entry.generic and str(code) not in nameless:
                nameless.append(str(code))
    assert nameless == []


def test_electricity_has_the_unit_that_gurux_words_mean() -> None:
    source = (_folder("gurux", "gurux_dlms") / "GXStandardObisCodeCollection.py").read_text("utf-8")
    names = {int(c): text for c, text in re.findall(r'value == (\d+):\s+ret = "([^"]+)"', source)}
    assert len(names) > 80
    compared = 0
    for c, text in names.items():
        for words, (unit, integral) in UNITS.items():
            if words in text:
                assert look_up(bytes((1, 0, c, 7, 0, 255))).unit == unit, text
                for d in INTEGRALS:
                    assert look_up(bytes((1, 0, c, d, 0, 255))).unit == integral, (text, d)
                compared += 1
        if "oltage" in text:
            assert look_up(bytes((1, 0, c, 7, 0, 255))).unit == "V", text
        elif "urrent" in text:
            assert look_up(bytes((1, 0, c, 7, 0, 255))).unit == "A", text
        elif "frequency" in text:
            assert look_up(bytes((1, 0, c, 7, 0, 255))).unit == "Hz", text
        for phase in ("L1", "L2", "L3"):
            if text.startswith(phase):
                assert phase in look_up(bytes((1, 0, c, 7, 0, 255))).name
    assert compared == 64


def test_interface_classes_agree_with_gurux() -> None:
    """Where Gurux names one class, ours names it too."""
    different = []
    for fields in _gurux_lines():
        if len(fields[0].split(".")) != 6 or not fields[1].isdigit() or fields[1] == "1":
            continue
        code = _samples(fields[0])[0]
        entry = look_up(bytes(code))
        if not entry.generic and int(fields[1]) not in entry.classes:
            different.append((str(code), fields[1], entry.classes))
    assert different == []


#: pulses and pieces: Gurux has every way of processing them but this one
NOT_IN_GURUX = {"1-*:82.7.0,255", "1-*:82.7.0", "1-*:82.7.0-63,255"}


def test_what_is_said_to_come_from_gurux_is_there() -> None:
    """The other way round: a line that names GX as its source has a row in Gurux's table."""
    by_quantity: dict[int, list[tuple[Group, ...]]] = {}
    for fields in _gurux_lines():
        if len(fields[0].split(".")) != 6 or re.search(r"anufacturer specific|Utility specific", " ".join(fields[3:])):
            continue
        groups = parse(fields[0]).groups
        if 0 in (groups[1] or {0}):
            for quantity in groups[2] or range(256):
                by_quantity.setdefault(quantity, []).append(groups)

    def is_there(ours: tuple[Group, ...]) -> bool:
        return any(
            all(not mine or not theirs or mine & theirs for mine, theirs in zip(ours, row, strict=True))
            for quantity in ours[2] or {127}
            for row in by_quantity.get(quantity, ())
        )

    assert not is_there(parse("0-0:25.8.0").groups)
    checked, missing = 0, set()
    for file in FILES:
        for rule, found, pattern in every_pattern(file):
            if not rule.generic and "GX" in rule.sources.split() and 0 in (pattern.groups[1] or {0}):
                checked += 1
                if not is_there((pattern.groups[0], frozenset((0,)), *pattern.groups[2:])):
                    missing.add(found.pattern)
    assert missing <= NOT_IN_GURUX
    assert checked > 10_000


def test_every_code_of_pydlms_has_a_name() -> None:
    path = _folder("pydlms", "pydlms") / "data" / "obis_names.csv"
    rows = list(csv.reader(path.read_text("utf-8").splitlines()))[1:]
    assert len(rows) > 30
    assert [row for row in rows if look_up(bytes(ObisCode.parse(row[0]))).generic] == []


@pytest.mark.parametrize(
    ("name", "file", "least"), [("india", "India.txt", 150), ("italy", "Italy.txt", 75), ("spain", "Spain.txt", 60)]
)
def test_companions_know_the_codes_of_gurux_with_their_classes(name: str, file: str, least: int) -> None:
    ours = companion(name)
    known, different = 0, []
    for line in (_folder("gurux", "gurux_dlms") / file).read_text("utf-8").splitlines():
        fields = line.split(";")
        if not fields[0].isdigit():
            continue
        found = ours.look_up(fields[1])
        if found is not None:
            known += 1
            if int(fields[0]) not in found.classes:
                different.append((fields[0], fields[1], found.name, found.classes))
    assert different == []
    assert known >= least
