"""Reading companion files (TOML), with one clear error and its place for whatever is wrong in them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cosemic.errors import DlmsError
from cosemic.obis_names.patterns import Pattern, PatternError, parse

_HIGHEST_SAP: Final = 0x3FFF
_HIGHEST_BIT: Final = 63


class CompanionError(DlmsError, ValueError):
    """A companion that does not exist or a file that cannot be used; the text names the file and the place."""


@dataclass(frozen=True, slots=True)
class Client:
    """A client that meters of the profile know: its address and the logical device that it usually calls."""

    name: str
    client: int
    server: int | None
    note: str
    source: str


@dataclass(frozen=True, slots=True)
class Quirk:
    """Something that meters of the profile do their own way."""

    name: str
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class StatusBit:
    """One bit of a status word, counted from 0 for the lowest."""

    number: int
    name: str
    meaning: str


@dataclass(frozen=True, slots=True)
class StatusTable:
    """The bits of a status word, and the objects that carry it."""

    name: str
    objects: tuple[str, ...]
    patterns: tuple[Pattern, ...]
    bits: tuple[StatusBit, ...]
    source: str

    def set_bits(self, value: int) -> tuple[StatusBit, ...]:
        """The bits of a value that are set. Bits without a name are called ``bit n``. Raises ValueError below 0."""
        if value < 0:
            raise ValueError(f"a status word is not negative: {value}")
        named = {bit.number: bit for bit in self.bits}
        numbers = (number for number in range(value.bit_length()) if value >> number & 1)
        return tuple(named.get(number, StatusBit(number, f"bit {number}", "without a meaning")) for number in numbers)


@dataclass(frozen=True, slots=True)
class Content:
    """What one file says by itself."""

    path: Path
    key: str
    title: str
    extends: str | None
    sources: Mapping[str, str]
    names: tuple[tuple[Pattern, str, str, str], ...]
    clients: tuple[Client, ...]
    quirks: tuple[Quirk, ...]
    status_tables: tuple[StatusTable, ...]


def read(path: Path) -> Content:
    """Read one file. Raises CompanionError with the place of what is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise CompanionError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CompanionError(f"{path.name} is not a text in UTF-8") from None
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CompanionError(f"{path.name}: {error}") from None
    top = _Place(path.name, "", tables)
    top.allow("title", "extends", "sources", "names", "clients", "quirks", "status")
    sources = top.texts("sources")
    extends = tables.get("extends")
    return Content(
        path=path,
        key=path.stem,
        title=top.text("title"),
        extends=None if extends is None else top.text("extends"),
        sources=sources,
        names=tuple(_names(top, sources)),
        clients=tuple(_client(place, sources) for place in top.each("clients")),
        quirks=tuple(_quirk(place, sources) for place in top.each("quirks")),
        status_tables=tuple(_status_table(place, sources) for place in top.each("status")),
    )


class _Place:
    """A table of the file, and how to say where in it something is wrong."""

    def __init__(self, file: str, where: str, table: Mapping[str, object]) -> None:
        self._file = file
        self._where = where
        self._table = table

    def error(self, text: str) -> CompanionError:
        return CompanionError(f"{self._file}: {self._where}{': ' if self._where else ''}{text}")

    def allow(self, *keys: str) -> None:
        for key in self._table:
            if key not in keys:
                raise self.error(f"{key!r} is not a key here; there are {', '.join(keys)}")

    def text(self, key: str, default: str | None = None) -> str:
        value = self._table.get(key, default)
        if not isinstance(value, str) or (not value.strip() and default is None):
            raise self.error(f"{key} must be a text" + ("" if key in self._table else ", and it is missing"))
        return value

    def number(self, key: str, highest: int) -> int:
        value = self._table.get(key)
        if type(value) is not int or not 0 <= value <= highest:
            raise self.error(f"{key} must be a number from 0 to {highest}")
        return value

    def source(self, sources: Mapping[str, str]) -> str:
        key = self.text("source")
        if key not in sources:
            raise self.error(f"source {key!r} is not in [sources]")
        return key

    def has(self, key: str) -> bool:
        return key in self._table

    def texts(self, key: str) -> dict[str, str]:
        value = self._table.get(key)
        if not isinstance(value, dict) or not value:
            raise self.error(
                f"[{key}] must be a table of texts" + ("" if key in self._table else ", and it is missing")
            )
        for name, text in value.items():
            if not isinstance(text, str) or not text.strip():
                raise self.error(f"{key}, {name!r}: must be a text")
        return dict(value)

    def list(self, key: str) -> tuple[str, ...]:
        value = self._table.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
            raise self.error(f"{key} must be a list of texts")
        return tuple(value)

    def each(self, key: str) -> Iterable[_Place]:
        value = self._table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(f"write [[{key}]] before each of the {key}")
        for count, item in enumerate(value, 1):
            yield _Place(self._file, f"{key} {count}", item)


def _names(top: _Place, sources: Mapping[str, str]) -> Iterable[tuple[Pattern, str, str, str]]:
    for place in top.each("names"):
        place.allow("source", "codes")
        source = place.source(sources)
        for written, text in place.texts("codes").items():
            yield _pattern(place, written), written, text, source


def _pattern(place: _Place, written: str) -> Pattern:
    try:
        return parse(written)
    except PatternError as error:
        raise place.error(str(error)) from None


def _client(place: _Place, sources: Mapping[str, str]) -> Client:
    place.allow("name", "client", "server", "note", "source")
    server = place.number("server", _HIGHEST_SAP) if place.has("server") else None
    source = sources[place.source(sources)]
    return Client(place.text("name"), place.number("client", _HIGHEST_SAP), server, place.text("note", ""), source)


def _quirk(place: _Place, sources: Mapping[str, str]) -> Quirk:
    place.allow("name", "text", "source")
    return Quirk(place.text("name"), place.text("text"), sources[place.source(sources)])


def _status_table(place: _Place, sources: Mapping[str, str]) -> StatusTable:
    place.allow("name", "objects", "bits", "source")
    objects = place.list("objects")
    bits: dict[int, StatusBit] = {}
    for number, text in place.texts("bits").items():
        if not (number.isascii() and number.isdecimal()) or int(number) > _HIGHEST_BIT or int(number) in bits:
            raise place.error(f"bits: {number!r} must be a number from 0 to {_HIGHEST_BIT}, each once")
        name, _, meaning = text.partition(": ")
        bits[int(number)] = StatusBit(int(number), name, meaning)
    return StatusTable(
        name=place.text("name"),
        objects=objects,
        patterns=tuple(_pattern(place, item) for item in objects),
        bits=tuple(bits[number] for number in sorted(bits)),
        source=sources[place.source(sources)],
    )
