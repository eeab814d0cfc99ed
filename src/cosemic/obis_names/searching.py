"""Looking through the whole catalogue: patterns by words, and the value groups of a code one by one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from cosemic.obis_names import FILES, MEDIA, catalogue, look_up, period_words, written
from cosemic.obis_names.patterns import Pattern, PatternError, build, parse
from cosemic.obis_names.reading import Rule, Table

_EVERYDAY = {1: (7, 8), 4: (0,), 5: (0,), 6: (0,), 7: (0,), 8: (0,), 9: (0,)}
"""The ways of processing (D) that people look for first, by medium (A)."""


class Found(NamedTuple):
    """One pattern of the catalogue, a row of its tables by itself."""

    pattern: str
    name: str
    unit: str
    classes: tuple[int, ...]


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
    tables: dict[str, Table] = {}
    for file, media in FILES.items():
        if a in media:
            tables = catalogue(file).tables
    words = (
        MEDIA.get(a, "a medium that the catalogue does not know"),
        _channel(b),
        _row(tables.get("quantity"), c),
        _row(tables.get("processing"), d),
        _item(e, look_up(octets).name),
        "the present value, or not used" if f == 255 else period_words(f)[2:],
    )
    return list(zip("ABCDEF", octets, words, strict=True))


def _channel(b: int) -> str:
    if b == 0:
        return "no channel, or the only one"
    if b <= 64:
        return f"channel {b}"
    return f"channel {b}, specific to the utility" if b <= 127 else f"channel {b}, specific to the manufacturer"


def _row(table: Table | None, number: int) -> str:
    if table is not None and number in table.numbers:
        return table.rows[number][0]
    if number == 255:
        return "not used"
    if 128 <= number <= 254:
        return "specific to the manufacturer"
    return "see the name" if table is None else "without a meaning of its own"


def _item(e: int, name: str) -> str:
    if e == 255:
        return "not used"
    if e >= 128:
        return "specific to the manufacturer"
    if e == 0:
        return "total, or the first"
    for kind in ("tariff", "harmonic"):
        if f" {kind} {e}" in name:
            return f"{kind} {e}"
    return f"item {e}"


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
    template = rule.template.replace("{tariff}", "").replace("{total}", " total, or by tariff")
    for letter, text, numbers in zip("abcdef", texts, pattern.groups, strict=True):
        if numbers is None or len(numbers) > 1:  # say "n" where the pattern leaves the number open
            template = template.replace(f"{{#{letter}}}", "").replace(f"{{{letter}}}", f"n ({text})")
    unit = rule.fill(rule.unit, example)
    classes = () if rule.classes == "-" else tuple(map(int, rule.classes.split(",")))
    return Found(written(texts), rule.fill(template, example), "" if unit == "-" else unit, classes)


def search(query: str) -> list[Found]:
    """Patterns whose names have all the words of ``query``, or that meet a pattern such as ``1-0:*.8.0``.

    By words, what people look for every day comes first, then names that begin so, then the shorter ones.
    An empty list where nothing fits.
    """
    try:
        wanted = parse(query)
    except PatternError:
        wanted = None
    words = query.lower().split()
    phrase = " ".join(words)
    found: list[tuple[bool, bool, int, Found]] = []
    for file in FILES:
        for rule, candidate, pattern in every_pattern(file):
            if not rule.says_something:
                continue
            name = candidate.name.lower()
            if pattern.meets(wanted) if wanted is not None else words and all(word in name for word in words):
                a, d = (min(pattern.groups[place] or (0,)) for place in (0, 3))
                everyday = a not in _EVERYDAY or d in _EVERYDAY[a]
                found.append((not everyday, not name.startswith(phrase), len(name), candidate))
    if wanted is None:
        found.sort(key=lambda item: item[:3])
    return [candidate for *_, candidate in found]
