"""Companion specifications as data: what a country or an association adds to the catalogue.

``companion("idis-2")`` reads a file beside this module, ``companion("./mine.toml")`` one of yours. A file may extend
another: names, classes, status bits, profiles and clients of the nearer one win. See docs/catalogue.md for the keys.
"""

from __future__ import annotations

import os.path
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cosemic.errors import LocalProtocolError
from cosemic.obis import ObisCode
from cosemic.obis_names.patterns import Pattern, PatternError, parse

_FOLDER: Final = os.path.dirname(__file__)
_KEYS: Final = frozenset({"title", "extends", "sources", "objects", "status", "profiles", "clients", "quirks"})
_DEPTH: Final = 8


class CompanionError(LocalProtocolError, ValueError):
    """A companion file that is not there or cannot be used; the text names the file and the place."""


@dataclass(frozen=True, slots=True)
class CompanionObject:
    """What a companion calls an object. ``classes`` is empty where it does not say."""

    pattern: str
    name: str
    classes: tuple[int, ...]
    companion: str
    groups: Pattern = field(repr=False)


@dataclass(frozen=True, slots=True)
class StatusTable:
    """What the bits of a status value mean; bit 0 is the least significant one."""

    name: str
    objects: tuple[Pattern, ...] = field(repr=False)
    width: int
    bits: Mapping[int, str]
    source: str

    def read(self, value: int) -> list[str]:
        """The names of the bits that are set, ``bit 6`` for one without a name. ValueError when too wide."""
        if not 0 <= value < 1 << self.width:
            raise ValueError(f"{value} is no status of {self.width} bits")
        return [self.bits.get(bit, f"bit {bit}") for bit in range(self.width) if value >> bit & 1]


@dataclass(frozen=True, slots=True)
class ProfileLayout:
    """The columns that a profile usually has, in their order."""

    obis: ObisCode
    name: str
    period: int
    columns: tuple[ObisCode, ...]


@dataclass(frozen=True, slots=True)
class Companion:
    """A companion specification with all that it inherits."""

    name: str
    title: str
    parents: tuple[str, ...]
    sources: tuple[str, ...]
    objects: tuple[CompanionObject, ...]
    status: Mapping[str, StatusTable]
    profiles: tuple[ProfileLayout, ...]
    clients: Mapping[int, str]
    quirks: Mapping[str, str]

    def look_up(self, obis: ObisCode | str) -> CompanionObject | None:
        """What it calls a code; the nearest file wins, then the pattern that fits the fewest codes."""
        octets = bytes(ObisCode.parse(obis))
        return next((known for known in self.objects if known.groups.fits(octets)), None)

    def status_of(self, obis: ObisCode | str) -> StatusTable | None:
        """The bits of a status object; None where the companion has no table for it."""
        octets = bytes(ObisCode.parse(obis))
        for table in self.status.values():
            if any(pattern.fits(octets) for pattern in table.objects):
                return table
        return None

    def profile_of(self, obis: ObisCode | str) -> ProfileLayout | None:
        """The usual columns of a profile; None where the companion does not say."""
        wanted = ObisCode.parse(obis)
        return next((profile for profile in self.profiles if profile.obis == wanted), None)


def companion_names() -> tuple[str, ...]:
    """The companions that come with cosemic."""
    return tuple(sorted(name[:-5] for name in os.listdir(_FOLDER) if name.endswith(".toml")))


def companion(name: str) -> Companion:
    """Read a companion by its name, or a file of yours by its path (with a slash or .toml). Raises CompanionError."""
    return _read(name, os.curdir, ())


def _read(name: str, folder: str, above: tuple[str, ...]) -> Companion:
    own_file = name.endswith(".toml") or "/" in name or os.sep in name
    path = os.path.join(folder, name) if own_file else os.path.join(_FOLDER, f"{name}.toml")
    identity = os.path.realpath(path)
    if identity in above or len(above) >= _DEPTH:
        raise CompanionError(f"{name}: companion files extend each other in a circle, or more than {_DEPTH} deep")
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except FileNotFoundError:
        known = "" if own_file else f"; there are {', '.join(companion_names())}, or give the path of a .toml file"
        raise CompanionError(f"there is no companion {name!r}{known}") from None
    except RecursionError:
        raise CompanionError(f"{path}: tables or lists are nested too deep") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CompanionError(f"{path}: {error}") from None
    short = os.path.splitext(os.path.basename(path))[0]
    reading = _Reading(path, content)
    parent = None
    if "extends" in content:
        parent = _read(reading.text(content, "extends", ""), os.path.dirname(path), (*above, identity))
    return reading.companion(short, parent)


class _Reading:
    """One file while it is being read: every complaint names the file and the key."""

    def __init__(self, path: str, content: dict[str, object]) -> None:
        self.path = path
        self.content = content

    def wrong(self, place: str, text: str) -> CompanionError:
        return CompanionError(f"{self.path}: {place}: {text}")

    def text(self, table: Mapping[str, object], key: str, place: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(f"{place}{key}", "must be a text")
        return value

    def table(self, value: object, place: str) -> dict[str, object]:
        if not isinstance(value, dict):
            raise self.wrong(place, "must be a table")
        return value

    def texts(self, value: object, place: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(place, "must be a list of texts")
        return tuple(value)

    def number(self, text: object, low: int, high: int, place: str) -> int:
        number = int(text) if isinstance(text, str) and text.isdecimal() and len(text) < 10 else text
        if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
            raise self.wrong(place, f"must be a number from {low} to {high}")
        return number

    def obis(self, value: object, place: str) -> ObisCode:
        try:
            return ObisCode.parse(value if isinstance(value, str) else "")
        except ValueError:
            raise self.wrong(place, f"{value!r} is not an OBIS code; write it like 1-0:1.8.0*255") from None

    def pattern(self, text: str, place: str) -> Pattern:
        try:
            return parse(text)
        except PatternError as error:
            raise self.wrong(place, str(error)) from None

    def companion(self, name: str, parent: Companion | None) -> Companion:
        unknown = sorted(self.content.keys() - _KEYS)
        if unknown:
            raise self.wrong(unknown[0], f"is no key of a companion file; there are {', '.join(sorted(_KEYS))}")
        title = self.text(self.content, "title", "")
        objects = sorted(self.objects(name), key=lambda known: known.groups.size)
        status, clients, quirks = self.status(), self.clients(), self.quirks()
        profiles = self.profiles()
        sources = self.texts(self.content.get("sources", []), "sources")
        parents: tuple[str, ...] = ()
        if parent is not None:
            parents = (parent.name, *parent.parents)
            objects += parent.objects
            status = {**parent.status, **status}
            own_profiles = {profile.obis for profile in profiles}
            profiles += tuple(profile for profile in parent.profiles if profile.obis not in own_profiles)
            clients, quirks = {**parent.clients, **clients}, {**parent.quirks, **quirks}
            sources += parent.sources
        return Companion(name, title, parents, sources, tuple(objects), status, profiles, clients, quirks)

    def objects(self, name: str) -> list[CompanionObject]:
        found = []
        for pattern, value in self.table(self.content.get("objects", {}), "objects").items():
            place = f"objects.{pattern!r}"
            groups = self.pattern(pattern, place)
            classes: tuple[int, ...] = ()
            if isinstance(value, dict):
                words = self.text(value, "name", f"{place}.")
                listed = value.get("classes", [])
                if not isinstance(listed, list):
                    raise self.wrong(f"{place}.classes", "must be a list of numbers")
                classes = tuple(self.number(item, 1, 65535, f"{place}.classes") for item in listed)
            elif isinstance(value, str) and value.strip():
                words = value
            else:
                raise self.wrong(place, "must be a name, or {name = ..., classes = [...]}")
            found.append(CompanionObject(pattern, words, classes, name, groups))
        return found

    def status(self) -> dict[str, StatusTable]:
        found = {}
        for name, value in self.table(self.content.get("status", {}), "status").items():
            place = f"status.{name}"
            table = self.table(value, place)
            width = self.number(table.get("width"), 1, 64, f"{place}.width")
            patterns = tuple(
                self.pattern(text, f"{place}.objects")
                for text in self.texts(table.get("objects", []), f"{place}.objects")
            )
            bits: dict[int, str] = {}
            for bit, words in self.table(table.get("bits"), f"{place}.bits").items():
                number = self.number(bit, 0, width - 1, f"{place}.bits.{bit}")
                if not isinstance(words, str):
                    raise self.wrong(f"{place}.bits.{bit}", "must be a text")
                bits[number] = words
            found[name] = StatusTable(name, patterns, width, bits, self.text(table, "source", f"{place}."))
        return found

    def profiles(self) -> tuple[ProfileLayout, ...]:
        found = []
        for code, value in self.table(self.content.get("profiles", {}), "profiles").items():
            place = f"profiles.{code!r}"
            table = self.table(value, place)
            columns = tuple(
                self.obis(column, f"{place}.columns")
                for column in self.texts(table.get("columns", []), f"{place}.columns")
            )
            period = self.number(table.get("period", 0), 0, 2**32 - 1, f"{place}.period")
            found.append(ProfileLayout(self.obis(code, place), self.text(table, "name", f"{place}."), period, columns))
        return tuple(found)

    def clients(self) -> dict[int, str]:
        found: dict[int, str] = {}
        for number, words in self.table(self.content.get("clients", {}), "clients").items():
            place = f"clients.{number}"
            if not isinstance(words, str):
                raise self.wrong(place, "must be a text")
            found[self.number(number, 1, 127, place)] = words
        return found

    def quirks(self) -> dict[str, str]:
        table = self.table(self.content.get("quirks", {}), "quirks")
        return {key: self.text(table, key, "quirks.") for key in table}
