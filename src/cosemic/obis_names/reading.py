"""Reading catalogue files: a line a pattern, tables for value groups, and where each fact comes from.

A file has lines of these kinds; empty lines and lines that begin with ``#`` are for people::

    title: Electricity
    source BB: a public document, and where it is
    sources: BB                              what the lines below are taken from
    table quantity: value | unit             a value group whose numbers have names; rows follow
    32 | Voltage L1 | V
    end
    1-*:<quantity>.7.0*255 | {quantity} instantaneous | {quantity.unit} | 3,4

A pattern line is: pattern | name | unit or ``-`` | interface classes or ``-`` | sources when they differ.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from cosemic.obis_names.patterns import Group, Pattern, PatternError, build, numbers, split

_PLACE: Final = re.compile(r"\{([^}]*)\}")
_GROUP_PLACE: Final = re.compile(r"(#?)([a-f])(?:([+-])([0-9]+))?")
PERIOD: Final = "<period>"
"""F as the number of a stored value: 255 is the present one."""


class CatalogueError(ValueError):
    """A catalogue file that cannot be read; the text names the place."""


class Table(NamedTuple):
    """Names for the numbers of a value group."""

    columns: tuple[str, ...]
    rows: dict[int, tuple[str, ...]]


class Rule(NamedTuple):
    """One line of a catalogue file."""

    written: tuple[str, str, str, str, str, str]
    pattern: Pattern
    template: str
    unit: str
    classes: str
    sources: str
    generic: bool
    tables: dict[str, Table]

    @property
    def historical(self) -> bool:
        """Whether F counts stored values here."""
        return self.written[5] == PERIOD

    def table_places(self) -> list[int]:
        """The value groups that a table names."""
        return [place for place, group in enumerate(self.written) if group[0] == "<" and group != PERIOD]

    def name(self, octets: bytes) -> str:
        """The name of a code that fits."""
        return self.fill(self.template, octets)

    def fill(self, template: str, octets: bytes) -> str:
        """A template with the numbers and table entries of a code."""
        if "{" not in template:
            return template
        return _PLACE.sub(lambda match: self._place(match[1], octets), template)

    def _place(self, text: str, octets: bytes) -> str:
        match = _GROUP_PLACE.fullmatch(text)
        if match:
            number = octets["abcdef".index(match[2])]
            if match[1]:  # a number that goes without saying where it is the first
                return "" if number in (0, 255) else f" {number}"
            shift = int(match[4] or 0)
            return str(number - shift if match[3] == "-" else number + shift)
        name, _, column = text.partition(".")
        table = self.tables[name]
        row = table.rows[octets[self.written.index(f"<{name}>")]]
        return row[table.columns.index(column) if column else 0]


class Catalogue(NamedTuple):
    """What one file says."""

    title: str
    sources: dict[str, str]
    tables: dict[str, Table]
    rules: list[Rule]


def read(text: str, place: str) -> Catalogue:
    """Read a catalogue file. Raises CatalogueError with the file and the line."""
    title = ""
    sources: dict[str, str] = {}
    tables: dict[str, Table] = {}
    rules: list[Rule] = []
    columns: tuple[str, ...] = ()
    rows: dict[int, tuple[str, ...]] | None = None
    common = ""
    sizes: dict[str, Group] = {}
    for line_number, line in enumerate(text.splitlines(), 1):
        if not line or line[0] == "#":
            continue
        try:
            if line[0] in "0123456789*<":
                fields = line.split(" | ")
                if rows is not None:
                    if len(fields) != len(columns) + 1:
                        raise CatalogueError(f"a row of this table has a number and {len(columns)} fields")
                    for number in numbers(fields[0]) or ():
                        rows[number] = tuple(fields[1:])
                else:
                    rules.append(_rule(fields, common, tables, sizes, sources))
                continue
            key, colon, value = line.partition(":")
            value = value.strip()
            if line == "end" and rows is not None:
                rows = None
            elif not colon:
                raise CatalogueError("neither a pattern nor 'key: value'")
            elif key.startswith("table "):
                columns, rows = tuple(value.split(" | ")), {}
                tables[key[6:]] = Table(columns, rows)
            elif key.startswith("source "):
                sources[key[7:]] = value
            elif key == "sources":
                common = value
                _known_sources(common, sources)
            elif key == "title":
                title = value
            else:
                raise CatalogueError(f"{key!r} is no key of a catalogue file")
        except (CatalogueError, PatternError) as error:
            raise CatalogueError(f"{place}, line {line_number}: {error}") from None
    return Catalogue(title, sources, tables, rules)


def _rule(
    fields: list[str], common: str, tables: dict[str, Table], sizes: dict[str, Group], sources: dict[str, str]
) -> Rule:
    if not 4 <= len(fields) <= 5:
        raise CatalogueError("a pattern line is: pattern | name | unit or - | classes or - (| sources)")
    written = split(fields[0])
    groups: list[Group] = []
    for group in written:
        if group[0] != "<":
            groups.append(numbers(group))
        elif group == PERIOD:
            groups.append(None)
        else:
            if group not in sizes:
                table = tables.get(group[1:-1])
                if table is None:
                    raise CatalogueError(f"there is no table {group[1:-1]!r} above this line")
                sizes[group] = frozenset(table.rows)
            groups.append(sizes[group])
    own = common
    if len(fields) == 5:
        own = fields[4]
        _known_sources(own, sources)
    name = fields[1]
    generic = name[:2] == "? "
    a, b, c, d, e, f = groups
    pattern = build((a, b, c, d, e, f))
    if any(group[0] == "<" and group != PERIOD for group in written):  # a row of a table is one number
        size = pattern.size
        for group, found in zip(written, groups, strict=True):
            if group[0] == "<" and group != PERIOD and found:
                size //= len(found)
        pattern = Pattern(pattern.groups, size)
    return Rule(written, pattern, name[2:] if generic else name, fields[2], fields[3], own, generic, tables)


def _known_sources(keys: str, sources: dict[str, str]) -> None:
    for key in keys.split():
        if key not in sources:
            raise CatalogueError(f"there is no source {key!r} above this line")
