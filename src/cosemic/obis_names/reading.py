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
A name that begins with ``? `` is for codes that only their groups describe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from cosemic.obis_names.patterns import Group, Pattern, PatternError, build, numbers, split

PERIOD: Final = "<period>"
"""F as the number of a stored value: 255 is the present one."""
_UNUSED: Final = (0, 255)


class CatalogueError(ValueError):
    """A catalogue file that cannot be read; the text names the place."""


class Table:
    """Names for the numbers of a value group; its rows are read when they are first asked for."""

    __slots__ = ("_fail", "_lines", "_numbers", "_rows", "columns")

    def __init__(self, columns: tuple[str, ...], fail: Callable[[int, str], CatalogueError]) -> None:
        self.columns = columns
        self._lines: list[tuple[int, str]] = []
        self._rows: dict[int, tuple[str, ...]] | None = None
        self._numbers: frozenset[int] | None = None
        self._fail = fail

    def add(self, line_number: int, line: str) -> None:
        """A row as written."""
        self._lines.append((line_number, line))

    @property
    def rows(self) -> dict[int, tuple[str, ...]]:
        """The fields of each number."""
        if self._rows is None:
            rows: dict[int, tuple[str, ...]] = {}
            for line_number, line in self._lines:
                number, *fields = line.split(" | ")
                if len(fields) != len(self.columns) or not number.isdecimal() or int(number) > 255:
                    raise self._fail(line_number, f"a row of this table has a number and {len(self.columns)} fields")
                rows[int(number)] = tuple(fields)
            self._rows = rows
        return self._rows

    @property
    def numbers(self) -> frozenset[int]:
        """The numbers that have a row."""
        if self._numbers is None:
            self._numbers = frozenset(self.rows)
        return self._numbers


class Rule:
    """One line of a catalogue file."""

    __slots__ = ("classes", "generic", "pattern", "sources", "tables", "template", "unit", "written")

    def __init__(
        self,
        written: tuple[str, str, str, str, str, str],
        pattern: Pattern,
        fields: list[str],
        sources: str,
        tables: dict[str, Table],
    ) -> None:
        _, name, self.unit, self.classes = fields[:4]
        self.written = written
        self.pattern = pattern
        self.generic = name[:2] == "? "
        self.template = name[2:] if self.generic else name
        self.sources = sources
        self.tables = tables

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
        first, *parts = template.split("{")
        text = first
        for part in parts:
            place, _, rest = part.partition("}")
            text += self._place(place, octets) + rest
        return text

    def _place(self, text: str, octets: bytes) -> str:
        if text[:1] == "#":  # a number that goes without saying where it is the first
            number = octets["abcdef".index(text[1:])]
            return "" if number in _UNUSED else f" {number}"
        if text[:1] in "abcdef" and (len(text) == 1 or text[1] in "+-"):
            return str(octets["abcdef".index(text[0])] + int(text[1:] or 0))
        name, _, column = text.partition(".")
        table = self.tables[name]
        row = table.rows[octets[self.written.index(f"<{name}>")]]
        return row[table.columns.index(column) if column else 0]


class Catalogue:
    """What one file says. Lines are sorted by their value group C at once, and read when a code asks for them."""

    def __init__(self, text: str, place: str) -> None:
        self.place = place
        self.title = ""
        self.sources: dict[str, str] = {}
        self.tables: dict[str, Table] = {}
        self._lines: list[tuple[int, str, str]] = []
        self._by_quantity: dict[str, list[int]] = {}
        self._read: dict[int, Rule] = {}
        self._sort(text)

    def _sort(self, text: str) -> None:
        table: Table | None = None
        common = ""
        lines, by_quantity = self._lines, self._by_quantity
        for line_number, line in enumerate(text.splitlines(), 1):
            if not line or line[0] == "#":
                continue
            if line[0] in "0123456789*<":
                if table is not None:
                    table.add(line_number, line)
                    continue
                quantity = line.partition(":")[2].partition(".")[0]
                if not quantity:
                    raise self.error(line_number, "a pattern begins like 1-*:1.8.0")
                by_quantity.setdefault(quantity, []).append(len(lines))
                lines.append((line_number, line, common))
            elif line == "end" and table is not None:
                table = None
            else:
                key, colon, value = line.partition(":")
                value = value.strip()
                if not colon:
                    raise self.error(line_number, "neither a pattern nor 'key: value'")
                if key.startswith("table "):
                    table = self.tables[key[6:]] = Table(tuple(value.split(" | ")), self.error)
                elif key.startswith("source "):
                    self.sources[key[7:]] = value
                elif key == "sources":
                    common = value
                    self._check_sources(line_number, value)
                elif key == "title":
                    self.title = value
                else:
                    raise self.error(line_number, f"{key!r} is no key of a catalogue file")
        if table is not None:
            raise self.error(line_number, "the last table has no 'end'")

    def error(self, line_number: int, text: str) -> CatalogueError:
        """What is wrong in a line, with its place."""
        return CatalogueError(f"{self.place}, line {line_number}: {text}")

    @property
    def rules(self) -> list[Rule]:
        """Every line. Raises CatalogueError for one that is wrong."""
        return [self._rule(index) for index in range(len(self._lines))]

    def check(self) -> None:
        """Read everything. Raises CatalogueError with the file and the line of what is wrong."""
        _ = self.rules
        for table in self.tables.values():
            _ = table.rows

    def candidates(self, a: int, c: int, d: int) -> Iterable[Rule]:
        """The lines that may fit a code with these value groups."""
        for quantity, indices in self._by_quantity.items():
            if not self._holds(self._lines[indices[0]][0], quantity, c):
                continue
            for index in indices:
                groups = self._rule(index).pattern.groups
                if (groups[0] is None or a in groups[0]) and (groups[3] is None or d in groups[3]):
                    yield self._rule(index)

    def _holds(self, line_number: int, written: str, number: int) -> bool:
        try:
            found = self._group(written)
        except PatternError as error:
            raise self.error(line_number, str(error)) from None
        return found is None or number in found

    def _group(self, written: str) -> Group:
        if written[0] != "<":
            return numbers(written)
        if written == PERIOD:
            return None
        table = self.tables.get(written[1:-1])
        if table is None:
            raise PatternError(f"there is no table {written[1:-1]!r} in this file")
        return table.numbers

    def _rule(self, index: int) -> Rule:
        rule = self._read.get(index)
        if rule is None:
            line_number, line, common = self._lines[index]
            try:
                rule = self._parse(line_number, line, common)
            except PatternError as error:
                raise self.error(line_number, str(error)) from None
            self._read[index] = rule
        return rule

    def _parse(self, line_number: int, line: str, common: str) -> Rule:
        fields = line.split(" | ")
        if not 4 <= len(fields) <= 5:
            raise self.error(line_number, "a pattern line is: pattern | name | unit or - | classes or - (| sources)")
        written = split(fields[0])
        a, b, c, d, e, f = map(self._group, written)
        pattern = build((a, b, c, d, e, f))
        size = pattern.size
        for group, found in zip(written, pattern.groups, strict=True):
            if group[0] == "<" and found:  # a row of a table is one number
                size //= len(found)
        own = common
        if len(fields) == 5:
            own = fields[4]
            self._check_sources(line_number, own)
        return Rule(written, Pattern(pattern.groups, size), fields, own, self.tables)

    def _check_sources(self, line_number: int, keys: str) -> None:
        for key in keys.split():
            if key not in self.sources:
                raise self.error(line_number, f"there is no source {key!r} above this line")
