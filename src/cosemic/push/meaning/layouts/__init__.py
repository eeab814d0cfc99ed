"""The layouts that come with cosemic, a TOML file each beside this module, and those that users write.

See docs/push-layouts.md for the keys of a file.
"""

from __future__ import annotations

import difflib
import functools
import os.path
import re
import tomllib
from collections.abc import Mapping
from typing import Final

from cosemic.codec.axdr import DataType
from cosemic.cosem.values import ScalerUnit
from cosemic.obis import ObisCode
from cosemic.obis_names.patterns import PatternError, parse
from cosemic.push.meaning.labelling import Kind
from cosemic.push.meaning.layout import Default, Evidence, Layout, LayoutError, Place, PushList, When
from cosemic.push.telegrams import Framing
from cosemic.units import UNIT_SYMBOLS

_FOLDER: Final = os.path.dirname(__file__)
_LARGEST_FILE: Final = 1 << 20
_KEYS: Final = (
    "title", "country", "meters", "operators", "evidence", "line", "framing", "encrypted", "keys", "remarks",
    "ignores_deviation", "push", "objects",
)  # fmt: skip
_PUSH_KEYS: Final = ("name", "when", "values", "at")
_WHEN_KEYS: Final = ("elements", "types", "text", "codes", "sender", "tagged_time", "bare_descriptors")
_PLACE_KEYS: Final = ("obis", "class", "attribute", "scaler", "unit", "kind", "name")
_OBJECT_KEYS: Final = ("scaler", "unit", "kind", "name")
_FRAMINGS: Final = {framing.name.lower(): framing for framing in (Framing.HDLC, Framing.MBUS, Framing.WRAPPER)}
_KINDS: Final = {kind.value: kind for kind in (Kind.TEXT, Kind.TIME, Kind.PLAIN)}
_KEY_NAMES: Final = ("encryption", "authentication")
_LINE: Final = re.compile(r"[1-9][0-9]{2,6} [78][NEO][12]")
_UNITS: Final = {symbol: code for code, symbol in reversed(UNIT_SYMBOLS.items()) if symbol}
_TYPES: Final = {kind.name.lower().replace("_", "-"): int(kind) for kind in DataType}
_NO_UNIT: Final = 255
_INDEX: Final = re.compile(r"-?[0-9]{1,4}")


@functools.cache
def layouts() -> tuple[Layout, ...]:
    """All layouts that come with cosemic, by name."""
    names = sorted(name[:-5] for name in os.listdir(_FOLDER) if name.endswith(".toml"))
    return tuple(_read(os.path.join(_FOLDER, f"{name}.toml"), name) for name in names)


def layout(name: str) -> Layout:
    """One of ``layouts()`` by its name, or a file of yours by its path. Raises LayoutError."""
    for known in layouts():
        if known.name == name:
            return known
    if name.endswith(".toml") or os.sep in name:
        return load_layout(name)
    names = [known.name for known in layouts()]
    wanted = name.lower().replace("_", "-")
    near = difflib.get_close_matches(wanted, names, 3, 0.6)
    words = {word for known in names for word in known.split("-")}
    meant = {word for part in wanted.split("-") for word in difflib.get_close_matches(part, words, 1, 0.65)}
    near += [known for known in names if known not in near and not near and meant.intersection(known.split("-"))]
    said = f"is {' or '.join(near)} meant? docs/push-layouts.md has all" if near else f"there are {', '.join(names)}"
    raise LayoutError(f"there is no layout {name!r}; {said}, or give the path of a .toml file")


def load_layout(path: str | os.PathLike[str]) -> Layout:
    """Read a layout from a file of yours. LayoutError names the file, the place in it and what belongs there."""
    text = os.fspath(path)
    return _read(text, os.path.splitext(os.path.basename(text))[0])


def parse_layout(text: str, name: str) -> Layout:
    """A layout from the text of a file; ``name`` is its name and stands in errors."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LayoutError(f"{name}: this is no TOML: {error}") from None
    except RecursionError:
        raise LayoutError(f"{name}: tables or lists are nested too deep") from None
    return _Reading(name, content).layout(name)


def _read(path: str, name: str) -> Layout:
    try:
        with open(path, "rb") as file:
            octets = file.read(_LARGEST_FILE + 1)
        if len(octets) > _LARGEST_FILE:
            raise LayoutError(f"{path}: a layout is a small file; this one has more than {_LARGEST_FILE} octets")
        content = tomllib.loads(octets.decode())
    except FileNotFoundError:
        raise LayoutError(f"{path}: there is no such file") from None
    except RecursionError:
        raise LayoutError(f"{path}: tables or lists are nested too deep") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise LayoutError(f"{path}: {error}") from None
    return _Reading(path, content).layout(name)


class _Reading:
    """One file while it is being read: every complaint names the file, the place and what belongs there."""

    def __init__(self, path: str, content: dict[str, object]) -> None:
        self.path = path
        self.content = content

    def wrong(self, place: str, text: str) -> LayoutError:
        return LayoutError(f"{self.path}: {place}: {text}")

    def table(self, value: object, place: str, keys: tuple[str, ...]) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise self.wrong(place, "must be a table")
        for key in value:
            if key not in keys:
                raise self.wrong(f"{place}.{key}", f"is no key here; there are {', '.join(keys)}")
        return value

    def text(self, table: Mapping[str, object], key: str, place: str, default: str | None = None) -> str:
        value = table.get(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise self.wrong(f"{place}{key}", "must be a text")
        return value

    def texts(self, table: Mapping[str, object], key: str, place: str = "") -> tuple[str, ...]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
            raise self.wrong(f"{place}{key}", "must be a list of texts")
        return tuple(value)

    def number(self, value: object, low: int, high: int, place: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.wrong(place, f"must be a whole number from {low} to {high}")
        return value

    def flag(self, table: Mapping[str, object], key: str, place: str = "") -> bool | None:
        value = table.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(f"{place}{key}", "must be true or false")
        return value

    def choice(self, value: object, known: Mapping[str, object] | tuple[str, ...], place: str) -> str:
        if not isinstance(value, str) or value not in known:
            raise self.wrong(place, f"must be one of {', '.join(known)}")
        return value

    def obis(self, value: object, place: str) -> ObisCode:
        try:
            return ObisCode.parse(value if isinstance(value, str) else "")
        except ValueError:
            raise self.wrong(place, f"{value!r} is no OBIS code; write it like 1-0:1.8.0") from None

    def layout(self, name: str) -> Layout:
        content = self.content
        for key in content:
            if key not in _KEYS:
                raise self.wrong(key, f"is no key of a layout; there are {', '.join(_KEYS)}")
        title = self.text(content, "title", "")
        line = self.text(content, "line", "", "")
        if line and not _LINE.fullmatch(line):
            raise self.wrong("line", f"{line!r} is no setting of a line; write it like 2400 8E1")
        framing = content.get("framing")
        keys = self.texts(content, "keys")
        for key in keys:
            self.choice(key, _KEY_NAMES, "keys")
        return Layout(
            name,
            title,
            self.text(content, "country", "", ""),
            self.texts(content, "meters"),
            self.texts(content, "operators"),
            self.evidence(),
            line,
            None if framing is None else _FRAMINGS[self.choice(framing, _FRAMINGS, "framing")],
            self.flag(content, "encrypted"),
            keys,
            self.texts(content, "remarks"),
            bool(self.flag(content, "ignores_deviation")),
            self.pushes(),
            self.objects(),
        )

    def evidence(self) -> tuple[Evidence, ...]:
        value = self.content.get("evidence", [])
        if not isinstance(value, list):
            raise self.wrong("evidence", "must be a list of tables such as {capture = ...} and {document = ...}")
        found = []
        for number, item in enumerate(value, start=1):
            place = f"evidence[{number}]"
            table = self.table(item, place, ("capture", "document"))
            if len(table) != 1:
                raise self.wrong(place, "must have one of capture and document")
            (key,) = table
            found.append(Evidence(self.text(table, key, f"{place}."), key == "capture"))
        return tuple(found)

    def pushes(self) -> tuple[PushList, ...]:
        value = self.content.get("push", [])
        if not isinstance(value, list):
            raise self.wrong("push", "must be a list: one [[push]] for each message that the meters send")
        found = []
        for number, item in enumerate(value, start=1):
            place = f"push[{number}]"
            table = self.table(item, place, _PUSH_KEYS)
            when = self.when(table.get("when"), f"{place}.when")
            values = self.places(table.get("values", []), f"{place}.values")
            if values and when.elements and when.elements != {len(values)}:
                raise self.wrong(
                    f"{place}.values",
                    f"has {len(values)} places, but when.elements says {', '.join(map(str, sorted(when.elements)))}; "
                    "write {} for a value that has a name already or that nobody knows",
                )
            at = self.some_places(table.get("at", {}), f"{place}.at")
            found.append(PushList(self.text(table, "name", f"{place}.", ""), when, values, at))
        return tuple(found)

    def when(self, value: object, place: str) -> When:
        table = self.table({} if value is None else value, place, _WHEN_KEYS)
        if not table:
            raise self.wrong(place, f"must say how the push is recognised, by {', '.join(_WHEN_KEYS)}")
        elements = table.get("elements", [])
        numbers = elements if isinstance(elements, list) else [elements]
        types = [
            _TYPES[self.choice(word, _TYPES, f"{place}.types")] for word in self.texts(table, "types", f"{place}.")
        ]
        return When(
            frozenset(self.number(item, 1, 4096, f"{place}.elements") for item in numbers),
            tuple(types),
            self.text(table, "text", f"{place}.", ""),
            frozenset(self.obis(code, f"{place}.codes") for code in self.texts(table, "codes", f"{place}.")),
            self.text(table, "sender", f"{place}.", ""),
            self.flag(table, "tagged_time", f"{place}."),
            self.flag(table, "bare_descriptors", f"{place}."),
        )

    def places(self, value: object, place: str) -> tuple[Place, ...]:
        if not isinstance(value, list):
            raise self.wrong(place, 'must be a list of tables such as {obis = "1-0:1.7.0", unit = "W"}')
        found = []
        for number, item in enumerate(value, start=1):
            where = f"{place}[{number}]"
            found.append(self.place(item, where))
        return tuple(found)

    def some_places(self, value: object, place: str) -> tuple[tuple[int, Place], ...]:
        if not isinstance(value, dict):
            raise self.wrong(place, 'must be a table such as {0 = {obis = "0-0:1.0.0"}, -1 = {obis = "0-0:96.1.0"}}')
        found = []
        for key, item in value.items():
            if not _INDEX.fullmatch(key):
                raise self.wrong(f"{place}.{key}", "is no place: 0 is the first element, -1 the last")
            found.append((int(key), self.place(item, f"{place}.{key}")))
        return tuple(found)

    def place(self, value: object, where: str) -> Place:
        table = self.table(value, where, _PLACE_KEYS)
        if not table:
            return Place()
        class_id, attribute = table.get("class"), table.get("attribute")
        return Place(
            self.obis(table.get("obis"), f"{where}.obis"),
            None if class_id is None else self.number(class_id, 1, 65535, f"{where}.class"),
            None if attribute is None else self.number(attribute, 1, 64, f"{where}.attribute"),
            self.scaler_unit(table, where),
            self.kind(table, where),
            self.text(table, "name", f"{where}.") if "name" in table else None,
        )

    def objects(self) -> tuple[Default, ...]:
        value = self.content.get("objects", {})
        if not isinstance(value, dict):
            raise self.wrong("objects", 'must be a table such as "1-0:1.7.0" = {unit = "W"}')
        found = []
        for text, item in value.items():
            place = f"objects.{text!r}"
            try:
                pattern = parse(text)
            except PatternError as error:
                raise self.wrong(place, str(error)) from None
            table = self.table(item, place, _OBJECT_KEYS)
            name = self.text(table, "name", f"{place}.") if "name" in table else None
            found.append(Default(pattern, self.scaler_unit(table, place), self.kind(table, place), name))
        return tuple(sorted(found, key=lambda default: default.pattern.size))

    def scaler_unit(self, table: Mapping[str, object], place: str) -> ScalerUnit | None:
        if "scaler" not in table and "unit" not in table:
            return None
        scaler = self.number(table.get("scaler", 0), -128, 127, f"{place}.scaler")
        unit = table.get("unit")
        if unit is None:
            return ScalerUnit(scaler, _NO_UNIT)
        if not isinstance(unit, str) or unit not in _UNITS:
            raise self.wrong(
                f"{place}.unit", f"{unit!r} is no unit; write its symbol, such as W, Wh, var, varh, V, A, Hz, m³"
            )
        return ScalerUnit(scaler, _UNITS[unit])

    def kind(self, table: Mapping[str, object], place: str) -> Kind | None:
        if "kind" not in table:
            return None
        return _KINDS[self.choice(table["kind"], _KINDS, f"{place}.kind")]
