"""Companion profiles: what a country or an association says beyond the standard, as files that build on each other.

``companion("dsmr")`` gives one of ``companion_names()``, ``load_companion(path)`` one of a user's own. A file names the
one that it ``extends``; what it does not say itself, that one says. Every fact has its source.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cosemic.cosem.companions.reading import Client, CompanionError, Content, Quirk, StatusBit, StatusTable, read
from cosemic.obis import ObisCode
from cosemic.obis_names.patterns import Pattern

__all__ = [
    "Client",
    "Companion",
    "CompanionError",
    "Name",
    "Quirk",
    "StatusBit",
    "StatusTable",
    "companion",
    "companion_names",
    "load_companion",
]

_FOLDER: Final = Path(__file__).parent
_LONGEST_CHAIN: Final = 16
_loaded: dict[str, Companion] = {}


@dataclass(frozen=True, slots=True)
class Name:
    """What a companion calls an object. ``source`` says where that stands, ``companion`` in which file."""

    text: str
    pattern: str
    source: str
    companion: str


@dataclass(frozen=True, slots=True)
class Companion:
    """A companion profile with all that it extends, the nearest first in ``chain``."""

    chain: tuple[Content, ...]

    @property
    def key(self) -> str:
        """The short name, as in ``companion(key)``."""
        return self.chain[0].key

    @property
    def title(self) -> str:
        """The full name."""
        return self.chain[0].title

    @property
    def extends(self) -> tuple[str, ...]:
        """The companions below this one, the nearest first."""
        return tuple(content.key for content in self.chain[1:])

    def name(self, code: ObisCode | str) -> Name | None:
        """What the profile calls an object; None where it does not name it.

        The nearest file that names the code decides; within it, the pattern that fits the fewest codes.
        """
        octets = bytes(ObisCode.parse(code))
        for content in self.chain:
            best: tuple[Pattern, str, str, str] | None = None
            for named in content.names:
                if named[0].fits(octets) and (best is None or named[0].size < best[0].size):
                    best = named
            if best is not None:
                _, pattern, text, source = best
                for letter, octet in zip("abcdef", octets, strict=True):
                    text = text.replace(f"{{{letter}}}", str(octet))
                return Name(text, pattern, content.sources[source], content.key)
        return None

    def names(self) -> Iterator[Name]:
        """Every pattern that the profile or one below it names, each once."""
        seen: set[str] = set()
        for content in self.chain:
            for _, pattern, text, source in content.names:
                if pattern not in seen:
                    seen.add(pattern)
                    yield Name(text, pattern, content.sources[source], content.key)

    @property
    def clients(self) -> tuple[Client, ...]:
        """The usual clients by their addresses; a nearer file replaces the one of the same name below it."""
        found: dict[str, Client] = {}
        for content in reversed(self.chain):
            found.update((client.name, client) for client in content.clients)
        return tuple(found.values())

    @property
    def quirks(self) -> tuple[Quirk, ...]:
        """What meters of the profile do their own way; a nearer file replaces the one of the same name."""
        found: dict[str, Quirk] = {}
        for content in reversed(self.chain):
            found.update((quirk.name, quirk) for quirk in content.quirks)
        return tuple(found.values())

    @property
    def status_tables(self) -> tuple[StatusTable, ...]:
        """The status words whose bits the profile names; the nearest first."""
        return tuple(table for content in self.chain for table in content.status_tables)

    def status_table(self, code: ObisCode | str) -> StatusTable | None:
        """The bits of a status object; None where the profile does not define them."""
        octets = bytes(ObisCode.parse(code))
        for table in self.status_tables:
            if any(pattern.fits(octets) for pattern in table.patterns):
                return table
        return None


def companion_names() -> tuple[str, ...]:
    """The companions that come with the package."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def companion(key: str) -> Companion:
    """A companion that comes with the package. Raises CompanionError, which names those there are, for another."""
    found = _loaded.get(key)
    if found is None:
        if key not in companion_names():
            raise CompanionError(f"there is no companion {key!r}; there are {', '.join(companion_names())}")
        found = _loaded[key] = _complete(read(_FOLDER / f"{key}.toml"))
    return found


def load_companion(path: Path | str) -> Companion:
    """A companion of a user's own file, which may extend one of the package or a file beside it.

    Raises CompanionError, with the file and the place in it, for one that cannot be used.
    """
    return _complete(read(Path(path)))


def _complete(first: Content) -> Companion:
    chain = [first]
    while chain[-1].extends is not None:
        last, wanted = chain[-1], chain[-1].extends
        if wanted.endswith(".toml"):
            content = read(last.path.parent / wanted)
        elif wanted in companion_names():
            content = read(_FOLDER / f"{wanted}.toml")
        else:
            raise CompanionError(
                f"{last.path.name}: extends {wanted!r}, which is no companion; "
                f"there are {', '.join(companion_names())}, or a file whose name ends in .toml"
            )
        if any(content.path.resolve() == item.path.resolve() for item in chain) or len(chain) >= _LONGEST_CHAIN:
            raise CompanionError(f"{first.path.name}: the companions that it extends come back to {content.path.name}")
        chain.append(content)
    return Companion(tuple(chain))
