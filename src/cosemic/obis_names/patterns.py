"""Patterns of OBIS codes: ``1-*:1.8.0-63*255``, each value group a number, a range, a list or ``*``."""

from __future__ import annotations

from typing import NamedTuple

Group = frozenset[int] | None
"""The numbers that a value group may have; None for any."""


class PatternError(ValueError):
    """A text that is not a pattern of OBIS codes."""


class Pattern(NamedTuple):
    """Six value groups. ``size`` is how many codes fit: the smaller, the more a pattern says."""

    groups: tuple[Group, Group, Group, Group, Group, Group]
    size: int

    def fits(self, octets: bytes) -> bool:
        """Whether a code of six octets is one of these."""
        for numbers, octet in zip(self.groups, octets, strict=True):
            if numbers is not None and octet not in numbers:
                return False
        return True

    def meets(self, other: Pattern) -> bool:
        """Whether some code fits both patterns."""
        pairs = zip(self.groups, other.groups, strict=True)
        return all(mine is None or theirs is None or mine & theirs for mine, theirs in pairs)


def split(text: str) -> tuple[str, str, str, str, str, str]:
    """The six groups of a pattern as written; a missing F is ``*``. Raises PatternError.

    By hand, not by a regular expression: a catalogue has hundreds of these, and is read when a command starts.
    """
    f = "*"
    if ":" in text:
        a, dash, rest = text.partition("-")
        b, colon, rest = rest.partition(":")
        groups = rest.split(".", 2) if dash and colon else []
        if len(groups) == 3:
            c, d, e = groups
            if e[:1] == "*":
                e, star, f = "*", e[1:2], e[2:]
                if star not in ("", "*"):
                    e = ""
            else:
                e, star, f = e.partition("*")
            found = a, b, c, d, e, f if star else "*"
            if all(found):
                return found
    else:
        parts = text.split(".")
        if len(parts) == 6 and all(parts):
            a, b, c, d, e, f = parts
            return a, b, c, d, e, f
    raise PatternError(
        f"{text!r} is not a pattern of OBIS codes; write it like 1-0:1.8.*, 1-*:32.7.0 or 0-0:96.7.0-9*255"
    )


_numbers: dict[str, Group] = {"*": None}


def numbers(text: str) -> Group:
    """The numbers of one written group (``8``, ``1-63``, ``0,124-127``, ``*``). Raises PatternError."""
    try:
        return _numbers[text]
    except KeyError:
        pass
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        last = last or first
        low, high = (int(first), int(last)) if first.isdecimal() and last.isdecimal() and len(last) < 5 else (1, 0)
        if not low <= high <= 255:
            raise PatternError(f"{part!r} in a pattern of OBIS codes is not a range of numbers from 0 to 255")
        found.update(range(low, high + 1))
    result = frozenset(found)
    if len(_numbers) < 4096:
        _numbers[text] = result
    return result


def build(groups: tuple[Group, Group, Group, Group, Group, Group]) -> Pattern:
    """A pattern of groups that are already numbers."""
    size = 1
    for group in groups:
        size *= 256 if group is None else len(group)
    return Pattern(groups, size)


def parse(text: str) -> Pattern:
    """Read a pattern without tables: ``1-0:*.8.0``, ``1.0.1.8.*.255``. Raises PatternError."""
    written = split(text.strip())
    if any(group.startswith("<") for group in written):
        raise PatternError(f"{text!r} names a table; only the lines of a catalogue file can")
    a, b, c, d, e, f = map(numbers, written)
    return build((a, b, c, d, e, f))
