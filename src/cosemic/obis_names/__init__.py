"""What an OBIS code stands for: a catalogue of patterns in data files beside this module (IEC 62056-6-1, EN 13757-1).

A is the medium, B the channel, C the quantity, D how it is processed, E the tariff or harmonic, F the billing period.
A file is read when a code of its medium is asked for. The pattern that fits the fewest codes gives the name;
a code without one is described as far as its groups go.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Final, NamedTuple

from cosemic.obis_names.patterns import Pattern, build, parse
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

_FOLDER: Final = os.path.dirname(__file__)
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

    @property
    def kind(self) -> str:
        """What sort of value it is, e.g. ``Wh-type register``; empty where the catalogue does not say."""
        if self.unit == "count":
            return "count"
        return f"{self.unit}-type register" if self.unit else ""


class Found(NamedTuple):
    """One pattern of the catalogue, its tables spelt out."""

    pattern: str
    name: str
    unit: str
    classes: tuple[int, ...]


def catalogue(file: str) -> Catalogue:
    """One of ``FILES``, read at most once."""
    found = _catalogues.get(file)
    if found is None:
        with open(
            os.path.join(_FOLDER, f"{file}.obis"), encoding="utf-8"
        ) as lines:  # pathlib alone takes 6 ms to import
            found = _catalogues[file] = Catalogue(lines.read(), f"{file}.obis")
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
            name = rule.name(octets)
            if octets[1] and "{b}" not in rule.template:
                name += f", channel {octets[1]}"
            if rule.historical:
                name += _period(octets[5])
            unit = rule.fill(rule.unit, octets)
            return Entry(
                octets, name, medium, "" if unit == "-" else unit, _classes(rule.classes), written(rule.written),
                tuple(rule.sources.split()), rule.generic,
            )  # fmt: skip
    a, b, c, d, e, f = octets
    name = f"Medium {a}, quantity {c}, type {d}, item {e}" + (f", channel {b}" if b else "") + _period(f)
    return Entry(octets, name, medium, "", (), "*-*:*.*.*", (), True)


def _find_candidates(a: int, c: int, d: int) -> tuple[Rule, ...]:
    found: list[Rule] = []
    for file, media in FILES.items():
        if a in media or not media:
            found += catalogue(file).candidates(a, c, d)
    return tuple(sorted(found, key=lambda rule: (rule.generic, rule.pattern.size)))


def _period(f: int) -> str:
    if f == 255:
        return ""
    if f <= 99:
        return f", billing period {f}"
    if f == 101:
        return ", most recent billing periods"
    if 102 <= f <= 125:
        return f", last {f - 100} billing periods"
    return f", F={f}"


def _classes(text: str) -> tuple[int, ...]:
    return () if text == "-" else tuple(map(int, text.split(",")))


def written(groups: tuple[str, ...]) -> str:
    """Six groups as a person writes a pattern; an F that may be anything is left out."""
    a, b, c, d, e, f = ("*" if group == PERIOD else group for group in groups)
    return f"{a}-{b}:{c}.{d}.{e}" + ("" if f == "*" else f"*{f}")


def source_text(octets: bytes, key: str) -> str:
    """What the key of a source in an entry of this code stands for."""
    for file, media in FILES.items():
        if octets[0] in media or not media:
            text = catalogue(file).sources.get(key)
            if text is not None:
                return text
    return key


def explain_groups(octets: bytes) -> list[tuple[str, int, str]]:
    """The six value groups one by one: letter, number, words; as far as each can be said alone."""
    a, b, c, d, e, f = octets
    tables = [catalogue(file).tables for file, media in FILES.items() if a in media] or [{}]
    quantity, processing = tables[0].get("quantity"), tables[0].get("processing")
    words = {
        "A": MEDIA.get(a, "a medium that the catalogue does not know"),
        "B": "no channel, or the only one" if b == 0 else f"channel {b}" if b <= 64 else _outside(b, 65, 127),
        "C": quantity.rows[c][0] if quantity and c in quantity.rows else _outside(c, 256, 256),
        "D": processing.rows[d][0]
        if processing and d in processing.rows
        else _outside(d, 256, 256)
        if d > 127
        else f"type {d} of what C says",
        "E": "total, or nothing further"
        if e == 0
        else _outside(e, 256, 256)
        if e > 127
        else f"item {e}"
        if a == 0
        else f"tariff, harmonic or item {e}",
        "F": "the present value, or not used" if f == 255 else _period(f)[2:],
    }
    return [(letter, number, words[letter]) for letter, number in zip("ABCDEF", octets, strict=True)]


def _outside(number: int, utility_from: int, utility_to: int) -> str:
    if number == 255:
        return "not used"
    if utility_from <= number <= utility_to:
        return "specific to the utility"
    return "specific to the manufacturer" if number >= 128 else f"number {number}, which the catalogue does not know"


def every_pattern(file: str) -> Iterator[tuple[Rule, Found, Pattern]]:
    """The patterns of a file, each row of its tables by itself."""
    for rule in catalogue(file).rules:
        places = rule.table_places()
        if not places:
            yield rule, _found(rule, rule.written, rule.pattern), rule.pattern
            continue
        for numbers in product(*(sorted(rule.pattern.groups[place] or ()) for place in places)):
            groups, texts = list(rule.pattern.groups), list(rule.written)
            for place, number in zip(places, numbers, strict=True):
                groups[place], texts[place] = frozenset((number,)), str(number)
            pattern = build((groups[0], groups[1], groups[2], groups[3], groups[4], groups[5]))
            yield rule, _found(rule, tuple(texts), pattern), pattern


def _found(rule: Rule, texts: tuple[str, ...], pattern: Pattern) -> Found:
    example = bytes(0 if numbers is None else min(numbers) for numbers in pattern.groups)
    template = rule.template
    for letter, text, numbers in zip("abcdef", texts, pattern.groups, strict=True):
        if numbers is None or len(numbers) > 1:  # say "n" where the pattern leaves the number open
            template = template.replace(f"{{#{letter}}}", "").replace(f"{{{letter}}}", f"n ({text})")
    unit = rule.fill(rule.unit, example)
    return Found(written(texts), rule.fill(template, example), "" if unit == "-" else unit, _classes(rule.classes))


def search(query: str) -> list[Found]:
    """Patterns whose names have all the words of ``query``, or that meet a pattern such as ``1-0:*.8.0``.

    By words, present values and short names come first. Raises nothing: what nothing fits gives an empty list.
    """
    try:
        wanted = parse(query)
    except ValueError:
        wanted = None
    words = query.lower().split()
    found: list[Found] = []
    for file in FILES:
        for rule, candidate, pattern in every_pattern(file):
            if rule.generic:
                continue
            if wanted is not None:
                if pattern.meets(wanted):
                    found.append(candidate)
            elif words:
                name = candidate.name.lower()
                if all(word in name for word in words):
                    found.append(candidate)
    if wanted is not None:
        return found
    return sorted(found, key=lambda item: ("instantaneous" not in item.name, len(item.name)))
