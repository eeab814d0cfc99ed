"""obis: what a code stands for, which code stands for something, and what a companion profile says."""

from __future__ import annotations

import contextlib
from pathlib import Path

from cosemic.cli.failing import CommandError
from cosemic.cli.options import OutputOptions, warn
from cosemic.cli.output import dumps, say, table
from cosemic.cosem.companions import Companion, CompanionError, companion, companion_names, load_companion
from cosemic.cosem.model import interface_class
from cosemic.obis import ObisCode
from cosemic.obis_names import Entry, look_up
from cosemic.obis_names.patterns import Pattern, PatternError, parse
from cosemic.obis_names.searching import Found, explain_groups, search, source_text

_SHOWN = 40


def show_code(text: str, words: str | None, profile: str | None, *, every: bool, output: OutputOptions) -> int:
    """Explain one code; a pattern of codes is looked for instead, narrowed by ``words``."""
    try:
        code = ObisCode.parse(text)
    except ValueError as error:
        try:
            parse(text)
        except PatternError:
            raise CommandError(f"{error}; '*', 0-9 and 1,2 in it make a pattern") from None
        return _show_matches(text, words, profile, every=every, output=output)
    if words is not None:
        raise CommandError("--search looks for codes: give it words alone, or with a pattern like '1-0:*.7.0'")
    profiles = [_companion(profile)] if profile is not None else [companion(key) for key in companion_names()]
    entry = look_up(bytes(code))
    names = _companion_names(code, profiles)
    say(dumps(_as_json(code, entry, names)) if output.json else _as_text(code, entry, names, profiles, profile))
    return 0


def show_matches(words: str, profile: str | None, *, every: bool, output: OutputOptions) -> int:
    """List the patterns whose names have all the words; the exit code is 1 without a match."""
    if not words.strip():
        raise CommandError('--search: say what to look for, e.g. --search "voltage L1"')
    return _show_matches(words, None, profile, every=every, output=output)


def show_companion(profile: str | None, *, output: OutputOptions) -> int:
    """Print all that a companion profile says, or which there are."""
    if profile is None:
        raise CommandError(
            "say a code, --search WORDS, or --companion with a file or one of " + ", ".join(companion_names())
        )
    found = _companion(profile)
    say(dumps(_profile_as_json(found)) if output.json else _profile_as_text(found))
    return 0


def _companion(profile: str) -> Companion:
    try:
        is_file = profile.lower().endswith(".toml") or "/" in profile or "\\" in profile or Path(profile).is_file()
        return load_companion(profile) if is_file and profile not in companion_names() else companion(profile)
    except CompanionError as error:
        raise CommandError(f"--companion: {error}") from None


def _companion_names(code: ObisCode, profiles: list[Companion]) -> list[dict[str, object]]:
    """What the profiles call the code, the same name of one and the same file once."""
    found: dict[tuple[str, str], dict[str, object]] = {}
    for profile in profiles:
        name = profile.name(code)
        if name is not None:
            found.setdefault(
                (name.companion, name.pattern),
                {"companion": name.companion, "name": name.text, "pattern": name.pattern, "source": name.source},
            )
    return list(found.values())


def _as_json(code: ObisCode, entry: Entry, names: list[dict[str, object]]) -> dict[str, object]:
    return {
        "obis": code.dotted,
        "name": entry.name,
        "headline": entry.headline,
        "medium": entry.medium,
        "kind": entry.kind,
        "unit": entry.unit,
        "classes": [{"class_id": class_id, "name": _class_name(class_id)} for class_id in entry.classes],
        "pattern": entry.pattern,
        "generic": entry.generic,
        "manufacturer_specific": entry.manufacturer_specific,
        "groups": [
            {"group": letter, "number": number, "meaning": meaning}
            for letter, number, meaning in explain_groups(bytes(code))
        ],
        "sources": [source_text(bytes(code), key) for key in entry.sources],
        "companions": names,
    }


def _as_text(
    code: ObisCode, entry: Entry, names: list[dict[str, object]], profiles: list[Companion], asked: str | None
) -> str:
    lines = [f"{code}  {entry.headline}", ""]
    for letter, number, meaning in explain_groups(bytes(code)):
        lines.append(f"{letter}  {number:>3}  {meaning}")
    lines.append("")
    rows = []
    if entry.generic:
        rows.append(("note", "the catalogue has no name for this code; this is what its groups say"))
    if entry.manufacturer_specific:
        rows.append(("note", "the standard leaves this code to the manufacturer"))
    if entry.unit:
        rows.append(("unit", "a bare number" if entry.unit == "count" else entry.unit))
    if entry.classes:
        rows.append(("class", ", ".join(f"{class_id} {_class_name(class_id)}" for class_id in entry.classes)))
    rows.append(("pattern", entry.pattern))
    rows += [("source", source_text(bytes(code), key)) for key in entry.sources]
    for name in names:
        rows.append((str(name["companion"]), f"{name['name']} ({name['pattern']}; {name['source']})"))
    if asked is not None and not names:
        rows.append((profiles[0].key, "has no name of its own for this code"))
    for profile in profiles if asked is not None else ():
        status = profile.status_table(code)
        for bit in status.bits if status is not None else ():
            rows.append((f"bit {bit.number}", f"{bit.name}: {bit.meaning}" if bit.meaning else bit.name))
    width = max(len(heading) for heading, _ in rows)
    return "\n".join([*lines, *(f"{heading:<{width}}  {text}" for heading, text in rows)])


def _show_matches(text: str, words: str | None, profile: str | None, *, every: bool, output: OutputOptions) -> int:
    found = search(text)
    if words is not None:
        found = [item for item in found if all(word in item.name.lower() for word in words.lower().split())]
    if profile is not None:
        found = _matches_of(_companion(profile), f"{text} {words or ''}".strip(), text) + found
    if not found:
        warn(f"nothing in the catalogue fits {text!r}" + (f" and {words!r}" if words else ""))
        return 1
    shown = found if every or output.json else found[:_SHOWN]
    if output.json:
        for item in shown:
            say(dumps({"pattern": item.pattern, "name": item.name, "unit": item.unit, "classes": list(item.classes)}))
    else:
        rows = [(item.pattern, item.name, item.unit, ",".join(map(str, item.classes))) for item in shown]
        say(table(("pattern", "name", "unit", "classes"), rows))
        if len(shown) < len(found):
            warn(f"{len(found) - len(shown)} more: say --all, or more words")
    return 0


def _matches_of(profile: Companion, words: str, text: str) -> list[Found]:
    """What a profile has to a search, by the words of its own names or by a pattern."""
    wanted: Pattern | None = None
    with contextlib.suppress(PatternError):
        wanted = parse(text)
    found = []
    for name in profile.names():
        fits = (
            parse(name.pattern).meets(wanted)
            if wanted is not None
            else all(word in name.text.lower() for word in words.lower().split())
        )
        if fits:
            found.append(Found(name.pattern, f"{name.text} ({name.companion})", "", ()))
    return found


def _profile_as_json(profile: Companion) -> dict[str, object]:
    return {
        "companion": profile.key,
        "title": profile.title,
        "extends": list(profile.extends),
        "clients": [
            {"name": item.name, "client": item.client, "server": item.server, "note": item.note, "source": item.source}
            for item in profile.clients
        ],
        "quirks": [{"name": item.name, "text": item.text, "source": item.source} for item in profile.quirks],
        "status": [
            {
                "name": item.name,
                "objects": list(item.objects),
                "bits": [{"bit": bit.number, "name": bit.name, "meaning": bit.meaning} for bit in item.bits],
                "source": item.source,
            }
            for item in profile.status_tables
        ],
        "names": [
            {"pattern": item.pattern, "name": item.text, "companion": item.companion, "source": item.source}
            for item in profile.names()
        ],
    }


def _profile_as_text(profile: Companion) -> str:
    lines = [f"{profile.key}: {profile.title}"]
    if profile.extends:
        lines.append(f"extends {', '.join(profile.extends)}")
    for client in profile.clients:
        server = "" if client.server is None else f", server {client.server}"
        lines += ["", f"client {client.client}{server}: {client.name}" + (f", {client.note}" if client.note else "")]
        lines.append(f"  {client.source}")
    for quirk in profile.quirks:
        lines += ["", f"{quirk.name}: {quirk.text}", f"  {quirk.source}"]
    for status in profile.status_tables:
        lines += ["", f"{status.name} ({', '.join(status.objects)})"]
        lines += [f"  bit {bit.number}  {bit.name}: {bit.meaning}" for bit in status.bits]
        lines.append(f"  {status.source}")
    names = list(profile.names())
    if names:
        rows = [(name.pattern, name.text, name.companion) for name in names]
        lines += ["", table(("pattern", "name", "of"), rows)]
    return "\n".join(lines)


def _class_name(class_id: int) -> str:
    return interface_class(class_id).name
