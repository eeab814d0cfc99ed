"""The result of an explanation: annotated lines, and the cursor that makes them.

Every octet of the input stands in exactly one line, in order; lines without octets are headings. What came out of
deciphering or reassembly is a buffer of its own, named by ``Line.buffer``, with offsets of its own.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Self

Plain = str | int | float | bool | None
"""What a line's value may be; it goes into JSON as it stands."""

INPUT = "input"
_FRAMES = frozenset({"HDLC frame", "M-Bus frame", "M-Bus short frame"})
_CHECKSUMS = frozenset({"FCS", "checksum", "block check"})
_SHOWN = 8
_COLUMN = 6 + 3 * _SHOWN + 3


class Sensitivity(enum.IntEnum):
    """Who must not see a line's octets when the explanation is redacted."""

    OPEN = 0
    IDENTITY = 1
    SECRET = 2


@dataclass(frozen=True, slots=True)
class Line:
    """One annotated piece: ``length`` octets at ``offset`` of ``buffer``, what they are and what they mean."""

    offset: int
    octets: bytes
    length: int
    depth: int
    layer: str
    field: str
    value: Plain = None
    meaning: str = ""
    error: str | None = None
    buffer: str = INPUT
    sensitivity: Sensitivity = Sensitivity.OPEN

    def to_dict(self) -> dict[str, Plain]:
        """Stable keys, octets as lower-case hex (``null`` when they are masked)."""
        masked = len(self.octets) != self.length
        return {
            "buffer": self.buffer,
            "offset": self.offset,
            "length": self.length,
            "octets": None if masked else self.octets.hex(),
            "depth": self.depth,
            "layer": self.layer,
            "field": self.field,
            "value": self.value,
            "meaning": self.meaning,
            "error": self.error,
        }

    def to_text(self) -> str:
        """One line for people: offset, octets, field, value, meaning."""
        indent = "  " * self.depth
        if not self.length:
            words = " ".join(part for part in (self.field, _value_text(self.value), self.meaning) if part)
            text = f"{'':<{_COLUMN}}{indent}{words}"
        else:
            shown = self.octets[:_SHOWN].hex(" ").upper() if self.octets else "**"
            if self.length > _SHOWN:
                shown += " …"
            words = ": ".join(part for part in (self.field, _value_text(self.value)) if part)
            if self.meaning:
                words += f"  ({self.meaning})" if self.value is not None else f": {self.meaning}"
            text = f"{self.offset:04X}  {shown:<{_COLUMN - 6}}{indent}{words}"
        if self.error:
            text += f"  <-- {self.error}"
        return text.rstrip()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Any octets, taken apart layer by layer. ``ok`` is False when some of them make no sense."""

    lines: tuple[Line, ...] = field(default_factory=tuple)

    @property
    def faults(self) -> tuple[Line, ...]:
        """The lines that say what is wrong, and where."""
        return tuple(line for line in self.lines if line.error)

    @property
    def ok(self) -> bool:
        """True when nothing was found wrong."""
        return not self.faults

    @property
    def fault(self) -> str | None:
        """The first fault in words, with its octet offset."""
        for line in self.lines:
            if line.error:
                place = "" if line.buffer == INPUT else f"{line.buffer}, "
                return f"{place}octet {line.offset} (0x{line.offset:X}): {line.error}"
        return None

    @property
    def summary(self) -> str:
        """The headings in one line, for logs."""
        return "; ".join(
            text for line in self.lines if not line.length and (text := f"{line.field} {line.meaning}".strip())
        )

    def to_text(self) -> str:
        """The annotated lines for people."""
        return "\n".join(line.to_text() for line in self.lines)

    def to_json(self) -> str:
        """One JSON object a line."""
        return "\n".join(json.dumps(line.to_dict(), ensure_ascii=False) for line in self.lines)

    def redacted(self, level: Sensitivity) -> Explanation:
        """The same without the octets whose sensitivity is ``level`` or more; lengths stay, and what was checked.

        A checksum over something hidden is hidden too: it would tell of what it covers. Nothing is recomputed, so no
        line shows octets that were never on the wire.
        """
        lines: list[Line] = []
        covers_hidden = False
        for line in self.lines:
            if line.field in _FRAMES and not line.length:
                covers_hidden = False
            if line.sensitivity >= level:
                covers_hidden = covers_hidden or bool(line.length)
                lines.append(_mask(line))
            elif covers_hidden and line.field in _CHECKSUMS and line.octets:
                lines.append(replace(line, octets=b"", meaning="not shown: it covers hidden octets"))
            else:
                lines.append(line)
        return Explanation(tuple(lines))


class Fault(Exception):
    """The octets make no sense from here; caught inside this package, never seen outside."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message


class Page:
    """The lines under construction; bounds what headings and empty elements may add."""

    __slots__ = ("bare_descriptors", "budget", "lines")

    def __init__(self, octets: int, *, bare_descriptors: bool = False) -> None:
        self.lines: list[Line] = []
        self.bare_descriptors = bare_descriptors
        """Structures of two may hold a class, a name and an attribute without their types (see ``values``)."""
        self.budget = 1000 + 4 * octets

    def add(self, line: Line) -> int:
        if not line.length:
            self.budget -= 1
            if self.budget < 0:
                raise Fault(line.offset, "more empty elements than a sane sender would send")
        self.lines.append(line)
        return len(self.lines) - 1

    def amend(self, index: int, **changes: object) -> None:
        """Change a line that is there already: its meaning often shows later."""
        self.lines[index] = replace(self.lines[index], **changes)  # type: ignore[arg-type]

    def extend(self, lines: Iterable[Line]) -> None:
        self.lines.extend(lines)


class Cursor:
    """A place in a buffer that takes octets and writes lines about them."""

    __slots__ = ("buffer", "data", "depth", "end", "layer", "mark", "page", "position")

    def __init__(
        self,
        data: bytes,
        page: Page,
        *,
        position: int = 0,
        end: int | None = None,
        depth: int = 0,
        layer: str = "input",
        buffer: str = INPUT,
    ) -> None:
        self.data = data
        self.page = page
        self.position = position
        self.mark = position
        self.end = len(data) if end is None else end
        self.depth = depth
        self.layer = layer
        self.buffer = buffer

    @property
    def left(self) -> int:
        return self.end - self.position

    def take(self, count: int, what: str) -> bytes:
        """The next octets, not yet in a line."""
        if count > self.end - self.position:
            raise Fault(self.position, f"{what} needs {count} octets, {self.end - self.position} are left")
        self.position += count
        return self.data[self.position - count : self.position]

    def peek(self) -> int:
        """The next octet, or -1 at the end."""
        return self.data[self.position] if self.position < self.end else -1

    def write(
        self, field: str, value: Plain = None, meaning: str = "", *, sensitivity: Sensitivity = Sensitivity.OPEN,
        error: str | None = None,
    ) -> int:  # fmt: skip
        """A line about the octets taken since the last line."""
        octets = self.data[self.mark : self.position]
        line = Line(
            offset=self.mark,
            octets=octets,
            length=len(octets),
            depth=self.depth,
            layer=self.layer,
            field=field,
            value=value,
            meaning=meaning,
            error=error,
            buffer=self.buffer,
            sensitivity=sensitivity,
        )
        self.mark = self.position
        return self.page.add(line)

    def head(
        self, field: str, meaning: str = "", error: str | None = None, *, sensitivity: Sensitivity = Sensitivity.OPEN
    ) -> int:
        """A heading: no octets."""
        return self.page.add(
            Line(self.position, b"", 0, self.depth, self.layer, field, None, meaning, error, self.buffer, sensitivity)
        )

    def number(self, size: int, field: str, meaning: str = "", *, signed: bool = False) -> int:
        """Take an integer and write its line."""
        value = int.from_bytes(self.take(size, field), "big", signed=signed)
        self.write(field, value, meaning)
        return value

    def within(self, length: int, *, depth: int = 1, layer: str | None = None) -> Cursor:
        """A cursor over the next octets only; this one steps over them."""
        if length > self.left:
            raise Fault(self.position, f"{length} octets announced, {self.left} are left")
        inner = Cursor(
            self.data, self.page, position=self.position, end=self.position + length, depth=self.depth + depth,
            layer=layer or self.layer, buffer=self.buffer,
        )  # fmt: skip
        self.position += length
        self.mark = self.position
        return inner

    def __enter__(self) -> Self:
        """``with cursor.within(n) as inner``: a fault in these octets ends with them, not with the whole APDU."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Fault):
            self.fail(error)
            return True
        return False

    def rest(self, field: str, meaning: str = "", error: str | None = None) -> None:
        """Put all that is left, and all that was taken without a line, into one line."""
        self.position = self.end
        if self.position > self.mark:
            self.write(field, None, meaning, sensitivity=Sensitivity.SECRET, error=error)
        elif error:
            self.head(field, meaning, error)

    def fail(self, fault: Fault) -> None:
        """Write what is wrong, then the octets that stay unexplained."""
        if fault.offset > self.mark:
            self.position = min(fault.offset, self.end)
            if self.position > self.mark:
                self.write("not explained", sensitivity=Sensitivity.SECRET)
        self.page.lines.append(
            Line(fault.offset, b"", 0, self.depth, self.layer, "fault", None, "", fault.message, self.buffer)
        )
        self.rest("not explained")


def _value_text(value: Plain) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _mask(line: Line) -> Line:
    return replace(line, octets=b"", value=None, meaning=f"hidden, {line.length} octets" if line.length else "hidden")
