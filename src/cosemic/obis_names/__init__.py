"""What an OBIS code stands for: a catalogue of patterns in data files beside this module (IEC 62056-6-1, EN 13757-1).

A is the medium, B the channel, C the quantity, D how it is processed, E the tariff or harmonic, F the billing period.
A file is read when a code of its medium is asked for. The pattern that fits the fewest codes gives the name;
a code without one is described as far as its groups go.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final, NamedTuple

from cosemic.obis_names.reading import PERIOD, Catalogue, Rule

MEDIA: Final = {
    0: "abstract", 1: "electricity", 4: "heat cost allocation", 5: "cooling", 6: "heat", 7: "gas", 8: "cold water",
    9: "hot water", 15: "another medium",
}  # fmt: skip
FILES: Final = {
    "abstract": (0,), "electricity": (1,), "heat-cost": (4,), "thermal": (5, 6), "gas": (7,), "water": (8, 9),
    "common": (),
}  # fmt: skip
"""The data files and the media that they are for; ``common`` goes for every medium."""

_CACHE_SIZE: Final = 4096
_catalogues: dict[str, Catalogue] = {}
_candidates: dict[tuple[int, int, int], tuple[Rule, ...]] = {}
_entries: dict[bytes, Entry] = {}


class Entry(NamedTuple):
    """What the catalogue says of one code.

    ``unit`` is the symbol of the usual unit, ``"count"`` for a bare number, empty where there is none; ``classes`` are
    the interface classes that usually carry it; ``generic`` is true where only the groups speak.
    """

    octets: bytes
    name: str
    medium: str
    unit: str
    classes: tuple[int, ...]
    pattern: str
    sources: tuple[str, ...]
    generic: bool
    spoken: str

    @property
    def kind(self) -> str:
        """What sort of value it is, e.g. ``Wh-type register``; empty where the catalogue does not say."""
        if self.unit in ("", "count"):
            return self.unit
        return f"{self.unit}-type register"

    @property
    def headline(self) -> str:
        """The name as a phrase: ``active energy import, tariff 1, Wh-type register``."""
        name = self.spoken
        if " (" in name:
            for symbol in (" (+A)", " (-A)", " (+R)", " (-R)", " (+S)", " (-S)"):
                name = name.replace(symbol, "")
        if name[1:2].islower():
            name = name[0].lower() + name[1:]
        return f"{name}, {self.kind}" if self.kind else name

    @property
    def manufacturer_specific(self) -> bool:
        """Whether the standard leaves the code to the manufacturer or the utility."""
        return "anufacturer specific" in self.name or self.name.startswith("Utility specific")


def catalogue(file: str) -> Catalogue:
    """One of ``FILES``, read at most once."""
    found = _catalogues.get(file)
    if found is None:
        name = f"{file}.obis"
        # pathlib alone would take longer to import than the file takes to read
        with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as stream:
            found = _catalogues[file] = Catalogue(stream.read(), name)
    return found


def describe(code: Iterable[int]) -> str:
    """Say what six octets stand for, e.g. ``Active energy import (+A) total``. Never fails, never is empty."""
    return look_up(bytes(code)).name


def look_up(octets: bytes) -> Entry:
    """All that the catalogue says of six octets."""
    entry = _entries.get(octets)
    if entry is None:
        entry = _entry(octets)
        if len(_entries) < _CACHE_SIZE:
            _entries[octets] = entry
    return entry


def _entry(octets: bytes) -> Entry:
    medium = MEDIA.get(octets[0], f"medium {octets[0]}")
    key = (octets[0], octets[2], octets[3])
    candidates = _candidates.get(key)
    if candidates is None:
        candidates = _find_candidates(*key)
        if len(_candidates) < _CACHE_SIZE:
            _candidates[key] = candidates
    for rule in candidates:
        if rule.pattern.fits(octets):
            ending = f", channel {octets[1]}" if octets[1] and "{b}" not in rule.template else ""
            if rule.historical:
                ending += period_words(octets[5])
            name = rule.fill(rule.template, octets) + ending
            spoken = rule.fill(rule.template, octets, ", ") + ending
            unit = rule.fill(rule.unit, octets)
            return Entry(
                octets, name, medium, "" if unit == "-" else unit, _classes(rule.classes), _written_for(rule, octets),
                tuple(rule.sources.split()), rule.generic, spoken,
            )  # fmt: skip
    a, b, c, d, e, f = octets
    name = f"Medium {a}, quantity {c}, type {d}, item {e}" + (f", channel {b}" if b else "") + period_words(f)
    return Entry(octets, name, medium, "", (), "*-*:*.*.*", (), True, name)


def _find_candidates(a: int, c: int, d: int) -> tuple[Rule, ...]:
    found: list[Rule] = []
    for file, media in FILES.items():
        if a in media or not media:
            found += catalogue(file).candidates(a, c, d)
    return tuple(sorted(found, key=lambda rule: (rule.generic, rule.pattern.size)))


def _written_for(rule: Rule, octets: bytes) -> str:
    """The pattern of a rule, with this code's number where a table names the group."""
    places = rule.table_places()
    return written(tuple(str(octets[place]) if place in places else text for place, text in enumerate(rule.written)))


def period_words(f: int) -> str:
    """What F adds to a name where it counts stored values; empty for the present one."""
    if f == 255:
        return ""
    if f <= 99:
        return f", billing period {f}"
    if f == 101:
        return ", last billing period"
    if 102 <= f <= 125:
        return f", last {f - 100} billing periods"
    return ", last billing periods, however many" if f == 126 else f", F={f}"


def _classes(text: str) -> tuple[int, ...]:
    return () if text == "-" else tuple(map(int, text.split(",")))


def written(groups: tuple[str, ...]) -> str:
    """Six groups as a person writes a pattern; an F that may be anything is left out."""
    a, b, c, d, e, f = ("*" if group == PERIOD else group for group in groups)
    return f"{a}-{b}:{c}.{d}.{e}" + ("" if f == "*" else f"*{f}")
