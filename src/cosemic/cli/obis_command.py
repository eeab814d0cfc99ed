"""``cosemic obis``: what a code means, group by group, and which codes carry what."""

from __future__ import annotations

import re

from cosemic.cli.failing import CommandError
from cosemic.cli.output import dumps, say, table
from cosemic.cosem import catalog
from cosemic.cosem.catalog import Entry
from cosemic.cosem.companions import Companion, CompanionError, companion
from cosemic.cosem.model import interface_class
from cosemic.obis import ObisCode
from cosemic.obis_names import explain_groups, source_text
from cosemic.obis_names.patterns import PatternError, parse

_SIGN = re.compile(r" \([+-][ARS]\)")
_TARIFF = re.compile(r" (tariff \d+|total)(?=,|$)")


def show_obis(code: str | None, search: str | None, companion_name: str | None, limit: int, *, as_json: bool) -> int:
    """Explain a code, or list what a search finds; the exit code is 1 when nothing fits."""
    if (code is None) == (search is None):
        raise CommandError("give one OBIS code, or --search with words or a pattern such as 1-0:*.8.0")
    if limit < 1:
        raise CommandError("--limit must be 1 or more")
    own = None
    if companion_name is not None:
        try:
            own = companion(companion_name)
        except CompanionError as error:
            raise CommandError(f"--companion: {error}") from None
    if search is not None:
        return _search(search, own, limit, as_json=as_json)
    assert code is not None
    try:
        obis = ObisCode.parse(code)
    except ValueError as error:
        try:
            parse(code)
        except PatternError:
            raise CommandError(f"{error}; words go with --search") from None
        return _search(code, own, limit, as_json=as_json)
    _explain(obis, own, as_json=as_json)
    return 0


def sentence(entry: Entry) -> str:
    """An entry as one sentence: ``active energy import, tariff 1, Wh-type register``."""
    name = _TARIFF.sub(r", \1", _SIGN.sub("", entry.name))
    word = name.partition(" ")[0]
    if word[1:] == word[1:].lower():  # but not PRIME, U(L1)
        name = name[0].lower() + name[1:]
    return f"{name}, {entry.kind}" if entry.kind else name


def class_name(class_id: int) -> str:
    """An interface class for people: ``3 Register``."""
    return f"{class_id} {interface_class(class_id).name}"


def _explain(obis: ObisCode, own: Companion | None, *, as_json: bool) -> None:
    entry = catalog.look_up(obis)
    groups = explain_groups(bytes(obis))
    known = own.look_up(obis) if own is not None else None
    status = own.status_of(obis) if own is not None else None
    if as_json:
        result: dict[str, object] = {
            "obis": str(obis), "description": sentence(entry), "name": entry.name, "medium": entry.medium,
            "unit": entry.unit or None, "known": not entry.generic, "pattern": entry.pattern,
            "classes": [{"class_id": number, "name": interface_class(number).name} for number in entry.classes],
            "groups": {letter: {"value": number, "meaning": words} for letter, number, words in groups},
            "sources": {key: source_text(bytes(obis), key) for key in entry.sources},
        }  # fmt: skip
        if own is not None:
            result["companion"] = {
                "name": own.name,
                "object": None
                if known is None
                else {"name": known.name, "classes": list(known.classes), "from": known.companion},
                "status_bits": None if status is None else {str(bit): words for bit, words in status.bits.items()},
            }
        say(dumps(result))
        return
    say(f"{obis}: {sentence(entry)}")
    if entry.generic:
        say("The catalogue has no name for this code; this is what its groups say.")
    if known is not None:
        say(f"{known.companion}: {known.name}")
    say("")
    say(table(("group", "value", "meaning"), [(letter, str(number), words) for letter, number, words in groups]))
    classes = known.classes if known is not None and known.classes else entry.classes
    if classes:
        say(f"\nUsual classes: {', '.join(map(class_name, classes))}")
    if status is not None:
        bits = sorted(status.bits.items())
        say(f"\nStatus bits ({status.source}):")
        say(table(("bit", "meaning"), [(str(bit), words) for bit, words in bits]))
    if entry.sources:
        say("\nSources:")
        for key in entry.sources:
            say(f"  {source_text(bytes(obis), key)}")
    if known is not None and own is not None:
        for source in own.sources:
            say(f"  {source}")


def _search(query: str, own: Companion | None, limit: int, *, as_json: bool) -> int:
    rows: list[tuple[str, str, str, tuple[int, ...], str]] = []
    try:
        wanted = parse(query)
    except PatternError:
        wanted = None
    words = query.lower().split()
    for known in own.objects if own is not None else ():
        text = known.name.lower()
        if known.groups.meets(wanted) if wanted is not None else all(word in text for word in words):
            rows.append((known.pattern, known.name, "", known.classes, known.companion))
    rows += [(found.pattern, found.name, found.unit, found.classes, "") for found in catalog.search(query)]
    shown = rows[:limit]
    if as_json:
        keys = ("pattern", "name", "unit", "classes", "companion")
        results = [dict(zip(keys, row, strict=True)) for row in shown]
        say(dumps({"query": query, "found": len(rows), "results": results}))
        return 0 if rows else 1
    if not rows:
        say(f"Nothing in the catalogue fits {query!r}.")
        return 1
    lines = [(pattern, name, unit, ", ".join(map(str, classes)), of) for pattern, name, unit, classes, of in shown]
    headings = ("pattern", "name", "unit", "classes", "companion")
    wide = 5 if any(line[4] for line in lines) else 4
    say(table(headings[:wide], [line[:wide] for line in lines]))
    if len(rows) > limit:
        say(f"\n{len(rows) - limit} more; see them with --limit {len(rows)}.")
    return 0
