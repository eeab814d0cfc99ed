"""The meters that push, from a file: their keys, how they are recognised, and what helps to understand them.

.. code-block:: toml

    [defaults]
    zone = "Europe/Vienna"

    [meters.cellar]
    system_title = "4B464D1020304050"
    ek = "file:keys/cellar.ek"
    ak = "env:CELLAR_AK"

    [meters.roof]
    source = ["192.0.2.17", "198.51.100.0/24", "serial:///dev/ttyUSB0?baud=2400"]
    layout = "kamstrup-omnipower"

All settings are in ``docs/listen.md``.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

from cosemic.push.listening.inventory_file import Entry, InventoryError, parse_inventory
from cosemic.push.meters import KnownMeter
from cosemic.push.protection.keys import MeterKeys, PushKeys

__all__ = ["Inventory", "InventoryError"]


_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class _Tables:
    """What is looked up in; replaced as a whole when the file is read again."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    titles: dict[bytes, Entry] = field(default_factory=dict)
    identities: dict[str, Entry] = field(default_factory=dict)
    sources: dict[str, Entry] = field(default_factory=dict)
    networks: dict[tuple[int, int], dict[int, Entry]] = field(default_factory=dict)
    """By (version, bits that do not count): network number to entry."""
    default: MeterKeys | None = None
    lone: Entry | None = None
    """The only meter, where there is but one and nothing says how it is recognised."""


class Inventory:
    """What is known of meters: a ``PushKeys`` and a ``KnownMeters`` in one, for a ``PushListener`` or ``PushDecoder``.

    A meter is found by the system title of a message, else by where it came from, else by what the message says of
    itself. Keys of ``[defaults]`` open what no meter's keys are there for.
    """

    def __init__(self, text: str = "", *, folder: str | os.PathLike[str] = ".", name: str = "the inventory") -> None:
        """From the text of a file; paths in it are relative to ``folder``. InventoryError says what is wrong where."""
        self._path: Path | None = None
        self._folder = Path(folder)
        self._name = name
        self._stamp: tuple[int, int, int] | None = None
        self._tables = _tables_of(*parse_inventory(text, self._folder, name), name)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file. InventoryError where it cannot be read, is wrong, or shows keys to others."""
        file = Path(path).expanduser()
        inventory = cls("", folder=file.parent, name=str(file))
        inventory._path = file
        inventory.reload()
        return inventory

    def reload(self) -> None:
        """Read the file again. InventoryError leaves everything as it was."""
        if self._path is None:
            return
        text, stamp = _read(self._path)
        entries = parse_inventory(text, self._folder, self._name)
        _check_mode(self._path, entries[0])
        self._tables = _tables_of(*entries, self._name)
        self._stamp = stamp

    def reload_if_changed(self) -> bool:
        """Read the file again if it is another one than before; whether it is. InventoryError as for ``reload``."""
        if self._path is None or _stamp(self._path) in (None, self._stamp):
            return False
        self.reload()
        return True

    def __len__(self) -> int:
        return len(self._tables.entries)

    def __repr__(self) -> str:
        return f"<Inventory {self._name}: {len(self)} meters>"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all meters."""
        return tuple(self._tables.entries)

    @property
    def has_keys(self) -> bool:
        """Whether there is a key for anybody; without, messages need no protection."""
        tables = self._tables
        return tables.default is not None or any(entry.keys is not None for entry in tables.entries.values())

    # -- PushKeys ------------------------------------------------------------------------------------------------------
    def find(self, system_title: bytes) -> MeterKeys | None:
        """The keys of the meter with that title, else those of ``[defaults]``; None where there are none."""
        return self._keys(system_title, None)

    def from_source(self, source: str) -> PushKeys:
        """The keys as they are for messages from one source: those of a meter that is known by it come in too."""
        return _FromSource(self, source)

    def _keys(self, system_title: bytes, source: str | None) -> MeterKeys | None:
        tables = self._tables
        entry = tables.titles.get(system_title)
        if entry is None:
            entry = self._by_source(source) or tables.lone
            if entry is not None and entry.system_title is not None:
                entry = None  # that is another meter
        return tables.default if entry is None or entry.keys is None else entry.keys

    # -- KnownMeters ---------------------------------------------------------------------------------------------------
    def by_sender(self, system_title: bytes | None, source: str | None) -> KnownMeter | None:
        """The meter with that title, else the one that is known by its source; None for one that is not known."""
        tables = self._tables
        if system_title is not None and (entry := tables.titles.get(system_title)) is not None:
            return entry.known
        entry = self._by_source(source) or tables.lone
        if entry is None or (system_title and entry.system_title not in (None, system_title)):
            return None
        return entry.known

    def by_identity(self, meter_id: str) -> KnownMeter | None:
        """The meter that calls itself so; never one with a title or keys of its own, which proves itself by them."""
        entry = self._tables.identities.get(meter_id.strip().casefold())
        return None if entry is None or entry.has_own_keys or entry.system_title is not None else entry.known

    def _by_source(self, source: str | None) -> Entry | None:
        tables = self._tables
        if source is None or not (tables.sources or tables.networks):
            return None
        entry = tables.sources.get(source)
        if entry is not None or not tables.networks:
            return entry
        host = host_of(source)
        if host is None:
            return None
        number = int(host)
        for (version, rest), networks in tables.networks.items():  # the narrowest first
            if version == host.version and (entry := networks.get(number >> rest)) is not None:
                return entry
        return None


class _FromSource:
    __slots__ = ("_inventory", "_source")

    def __init__(self, inventory: Inventory, source: str) -> None:
        self._inventory = inventory
        self._source = source

    def find(self, system_title: bytes) -> MeterKeys | None:
        return self._inventory._keys(system_title, self._source)


def host_of(source: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address in ``tcp://192.0.2.7:50123``, or one that stands alone; None where there is none."""
    place = source.partition("://")[2] or source
    if place.startswith("["):
        place = place[1:].partition("]")[0]
    elif place.count(":") == 1:
        place = place.partition(":")[0]
    try:
        return ipaddress.ip_address(place)
    except ValueError:
        return None


def _tables_of(entries: dict[str, Entry], default: MeterKeys | None, name: str) -> _Tables:
    tables = _Tables(entries, default=default, lone=_lone(entries))
    networks: dict[tuple[int, int], dict[int, Entry]] = {}
    for entry in entries.values():
        if entry.system_title is not None:
            _add(tables.titles, entry.system_title, entry, f"system_title {entry.system_title.hex().upper()}", name)
        if entry.has_own_keys and entry is not tables.lone and entry.system_title is None and not entry.sources:
            raise InventoryError(
                f"{name}, [meters.{entry.name}]: there are keys, but nothing to know the meter's messages by before "
                "they are opened: give its system_title, or the source that it sends from"
            )
        if entry.known.accepts_plain and entry is not tables.lone and not entry.sources:
            raise InventoryError(
                f"{name}, [meters.{entry.name}]: accept_plain takes messages that nothing protects, and the source "
                'alone tells which meter sent one: give that too, such as source = "192.0.2.17"'
            )
        for identity in entry.identities:
            _add(tables.identities, identity.casefold(), entry, f"meter_id {identity}", name)
        for source in entry.sources:
            if isinstance(source, str):
                _add(tables.sources, source, entry, f"source {source}", name)
                continue
            rest = source.max_prefixlen - source.prefixlen
            numbers = networks.setdefault((source.version, rest), {})
            _add(numbers, int(source.network_address) >> rest, entry, f"source {source}", name)
    for kind in sorted(networks, key=lambda kind: kind[1]):
        tables.networks[kind] = networks[kind]
    return tables


def _add(table: dict[_Key, Entry], key: _Key, entry: Entry, what: str, name: str) -> None:
    other = table.setdefault(key, entry)
    if other is not entry:
        raise InventoryError(
            f"{name}: meters {other.name!r} and {entry.name!r} both have {what}; it has to tell them apart: "
            "take it out of one of them"
        )


def _lone(entries: Mapping[str, Entry]) -> Entry | None:
    if len(entries) != 1:
        return None
    (entry,) = entries.values()
    return None if entry.system_title or entry.sources or entry.identities else entry


def _read(path: Path) -> tuple[str, tuple[int, int, int] | None]:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            text = file.read().decode("utf-8")
    except FileNotFoundError:
        raise InventoryError(f"there is no inventory {path}; docs/listen.md shows one") from None
    except OSError as error:
        raise InventoryError(f"the inventory {path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InventoryError(f"the inventory {path} is no UTF-8 text; save it as such") from None
    return text, (status.st_mtime_ns, status.st_size, status.st_ino)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _check_mode(path: Path, entries: Mapping[str, Entry]) -> None:
    """Keys in a file that others may read are no secret: refuse rather than use them."""
    if os.name == "posix" and path.stat().st_mode & 0o077 and any(entry.has_secrets for entry in entries.values()):
        raise InventoryError(f"{path} holds keys and others may read it: chmod 600 {path}")
