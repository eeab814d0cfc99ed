"""The text of an inventory: settings of meters, each checked where it stands."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Final, TypeAlias

from cosemic.obis import ObisCode
from cosemic.push.meaning.definitions import PushDefinition
from cosemic.push.meaning.layout import Layout, LayoutError
from cosemic.push.meaning.layouts import layout as named_layout
from cosemic.push.meaning.layouts import load_layout
from cosemic.push.meters import KnownMeter
from cosemic.push.protection.keys import MeterKeys, UnusableKey, title_of

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_KEYS: Final = ("ek", "ak", "broadcast_key")
_FLAGS: Final = {"check_replay": True, "without_verifying": False, "allow_example_keys": False}
_TEXTS: Final = ("system_title", "layout", "model", "push_setup", "zone", *_KEYS)
_LISTS: Final = ("meter_id", "source", "push_objects")
_PLAIN: Final = "accept_plain"
_KNOWN: Final = (*_TEXTS, *_LISTS, *_FLAGS, _PLAIN)
_DEFAULTS: Final = (*_KEYS, "layout", "model", "push_setup", "push_objects", "zone", *_FLAGS)
_OFFSET: Final = re.compile(r"([+-])(\d{2}):?(\d{2})")
_OBJECT: Final = re.compile(r"(\d+)/([^/]+)/(\d+)(?:/(\d+))?")


class InventoryError(ValueError):
    """An inventory that cannot be used; the text names the file, the meter, and what to do. It has no secret."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One meter of an inventory."""

    name: str
    known: KnownMeter
    keys: MeterKeys | None = field(default=None, repr=False)
    system_title: bytes | None = None
    identities: tuple[str, ...] = ()
    sources: tuple[str | Network, ...] = ()
    has_own_keys: bool = False
    has_secrets: bool = False
    """Whether a key stands in the file itself."""


def parse_inventory(text: str, folder: Path, name: str) -> tuple[dict[str, Entry], MeterKeys | None]:
    """The meters by name, and the keys of ``[defaults]``. InventoryError names the first thing that is wrong."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InventoryError(f"{name} is no TOML: {error}") from None
    unknown = [key for key in document if key not in ("meters", "defaults")]
    if unknown:
        raise InventoryError(f"{name}: {unknown[0]!r} is unknown; an inventory has [defaults] and [meters.NAME]")
    reader = _Reader(folder, name)
    defaults = _settings(document.get("defaults", {}), "[defaults]", name, _DEFAULTS)
    meters = document.get("meters", {})
    if not isinstance(meters, dict):
        raise InventoryError(f"{name}: meters are tables, [meters.NAME]")
    entries: dict[str, Entry] = {}
    for meter, given in meters.items():
        where = f"[meters.{meter}]"
        entries[meter] = reader.entry(meter, _settings(given, where, name, _KNOWN), defaults, where)
    return entries, reader.keys(defaults, {}, "[defaults]")


def _settings(given: object, where: str, name: str, known: tuple[str, ...]) -> dict[str, object]:
    if not isinstance(given, dict):
        raise InventoryError(f"{name}, {where}: this must be a table of settings")
    settings = {key.replace("-", "_"): value for key, value in given.items()}
    for key, value in settings.items():
        if key == _PLAIN and key not in known:
            raise InventoryError(
                f"{name}, {where}: {key} is for meters that are known by their source; for all it is --accept-plain"
            )
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            meant = f"; {near[0]} is meant?" if near else f"; there are {', '.join(known)}"
            raise InventoryError(f"{name}, {where}: unknown setting {key!r}{meant}")
        if key in _FLAGS or key == _PLAIN:
            right, word = isinstance(value, bool), "true or false"
        elif key in _LISTS:
            right = isinstance(value, str) or (
                isinstance(value, list) and all(isinstance(one, str) for one in value) and bool(value)
            )
            word = "text in quotes, or a list of such"
        else:
            right, word = isinstance(value, str), "text in quotes"
        if not right or value == "":
            raise InventoryError(f"{name}, {where}: {key} must be {word}")
    return settings


class _Reader:
    """Reads entries; what many of them share (zones, models, key files) is read once."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._zones: dict[str, tzinfo] = {}
        self._models: dict[tuple[str, str | None], PushDefinition] = {}
        self._secrets: dict[str, str] = {}
        self._layouts: dict[str, Layout] = {}
        self._default_keys: MeterKeys | None = None

    def entry(self, meter: str, own: Mapping[str, object], defaults: Mapping[str, object], where: str) -> Entry:
        """One meter; ``own`` settings before those of ``defaults``."""
        merged = {**defaults, **own}
        if "push_objects" in own:
            merged.pop("model", None)
        elif "model" in own:
            merged.pop("push_objects", None)
        known = KnownMeter(
            meter,
            self._layout(merged.get("layout"), where),
            self._definition(merged, where),
            self._zone(merged.get("zone"), where),
            bool(own.get(_PLAIN)),
            any(key in _KEYS for key in own),
        )
        return Entry(
            meter,
            known,
            self.keys(own, defaults, where),
            self._title(own.get("system_title"), where),
            tuple(one.strip() for one in _texts(own.get("meter_id"))),
            tuple(self._source(one, where) for one in _texts(own.get("source"))),
            any(key in _KEYS for key in own),
            any(key in _KEYS and not _is_reference(str(value)) for key, value in {**defaults, **own}.items()),
        )

    def keys(self, own: Mapping[str, object], defaults: Mapping[str, object], where: str) -> MeterKeys | None:
        """The keys of a meter; those of ``defaults`` where it has none of its own, flags one by one."""
        given = own if any(key in own for key in _KEYS) else defaults
        if not any(key in given for key in _KEYS):
            return None
        if given is defaults and not any(flag in own for flag in _FLAGS):
            if self._default_keys is None:
                self._default_keys = self._make(defaults, defaults, "[defaults]")
            return self._default_keys
        return self._make(given, {**defaults, **own}, where)

    def _make(self, given: Mapping[str, object], flags: Mapping[str, object], where: str) -> MeterKeys:
        encryption, authentication, broadcast = (
            self._secret(str(given[key]), key, where) if key in given else None for key in _KEYS
        )
        check_replay, without_verifying, allow_example_keys = (
            bool(flags.get(flag, default)) for flag, default in _FLAGS.items()
        )
        try:
            return MeterKeys(
                encryption,
                authentication,
                broadcast_key=broadcast,
                check_replay=check_replay,
                without_verifying=without_verifying,
                allow_example_keys=allow_example_keys,
            )
        except UnusableKey as error:
            raise InventoryError(f"{self._name}, {where}: {error}") from None

    def _secret(self, text: str, key: str, where: str) -> str:
        """What stands behind ``env:NAME`` or ``file:PATH``; anything else is the key itself."""
        kind, _, rest = text.partition(":")
        if kind == "env":
            value = os.environ.get(rest, "")
            if not value.strip():
                raise InventoryError(
                    f"{self._name}, {where}: {key} names the environment variable {rest}, which is not set"
                )
            return value
        if kind != "file":
            return text.removeprefix("hex:")
        value = self._secrets.get(rest, "")
        if not value:
            try:
                value = self._secrets[rest] = self._path(rest).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is no text"
                raise InventoryError(
                    f"{self._name}, {where}: {key} names the file {rest}, which cannot be read: {reason}"
                ) from None
        return value

    def _path(self, text: str) -> Path:
        return self._folder / Path(text).expanduser()

    def _title(self, value: object, where: str) -> bytes | None:
        if value is None:
            return None
        try:
            return title_of(str(value))
        except UnusableKey as error:
            raise InventoryError(f"{self._name}, {where}: system_title: {error}") from None

    def _layout(self, value: object, where: str) -> Layout | None:
        """A layout that comes with cosemic by its name, or a file by its path."""
        if value is None:
            return None
        text = str(value)
        known = self._layouts.get(text)
        if known is None:
            is_path = text.endswith(".toml") or "/" in text or os.sep in text
            try:
                known = self._layouts[text] = load_layout(self._path(text)) if is_path else named_layout(text)
            except LayoutError as error:
                raise InventoryError(f"{self._name}, {where}: layout: {error}") from None
        return known

    def _source(self, text: str, where: str) -> str | Network:
        """An address or a network; a URL, or a path, as it is given to the listener."""
        if "://" in text:
            host = re.fullmatch(r"(?:tcp|udp|tls)://(\[[0-9A-Fa-f:.]+\]|[0-9.]+)", text)
            if host is None:
                return text
            text = host[1].strip("[]")
        elif not re.fullmatch(r"[0-9A-Fa-f.:]+(/\d+)?", text) or not re.search(r"[.:]", text):
            return text
        try:
            return ipaddress.ip_network(text)
        except ValueError as error:
            raise InventoryError(
                f"{self._name}, {where}: source {text!r} is no address: {error}; write 192.0.2.7, 198.51.100.0/24, "
                "2001:db8::/64, or the URL of a line"
            ) from None

    def _zone(self, value: object, where: str) -> tzinfo | None:
        if value is None:
            return None
        text = str(value)
        zone = self._zones.get(text)
        if zone is None:
            try:
                zone = self._zones[text] = zone_of(text)
            except ValueError as error:
                raise InventoryError(f"{self._name}, {where}: {error}") from None
        return zone

    def _definition(self, settings: Mapping[str, object], where: str) -> PushDefinition | None:
        try:
            if "push_objects" in settings:
                if "model" in settings:
                    raise ValueError("push_objects and model say the same thing; give one of them")
                return PushDefinition.of([_object(text) for text in _texts(settings["push_objects"])])
            if "model" not in settings:
                if "push_setup" in settings:
                    raise ValueError("push_setup names an object of a model; give model = FILE too")
                return None
            setup = settings.get("push_setup")
            return self._of_model(str(settings["model"]), None if setup is None else str(setup))
        except ValueError as error:
            raise InventoryError(f"{self._name}, {where}: {error}") from None

    def _of_model(self, file: str, setup: str | None) -> PushDefinition:
        """What the file of a meter model says of the pushes, or of the one with that push setup."""
        known = self._models.get((file, setup))
        if known is not None:
            return known
        from cosemic.cosem.meter_model import MeterModel  # few inventories have one, and it loads much

        try:
            text = self._path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise ValueError(f"model {file} cannot be read: {reason}") from None
        try:
            model = MeterModel.from_text(text)
            if setup is not None:
                place = ObisCode.parse(setup)
                others = tuple(item for item in model.objects if item.entry.class_id != _PUSH_SETUP)
                wanted = tuple(item for item in model.objects if item.place == (_PUSH_SETUP, place))
                if not wanted:
                    raise ValueError(f"there is no push setup {setup} in it")
                model = MeterModel(wanted + others, model.about)
            definition = self._models[file, setup] = PushDefinition.of(model)
        except ValueError as error:
            raise ValueError(f"model {file}: {error}") from None
        return definition


_PUSH_SETUP: Final = 40


def zone_of(text: str) -> tzinfo:
    """A time zone: a name of the IANA data base, ``UTC``, or an offset such as ``+01:00``. ValueError otherwise."""
    if text.upper() in ("UTC", "Z"):
        return UTC
    match = _OFFSET.fullmatch(text)
    if match:
        offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
        if offset < timedelta(hours=24):
            return timezone(-offset if match[1] == "-" else offset)
    try:
        return zoneinfo.ZoneInfo(text)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise ValueError(f"zone {text!r} is unknown; write such as Europe/Vienna, UTC or +01:00") from None


def _object(text: str) -> tuple[int, str, int, int]:
    match = _OBJECT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"push object {text!r}: write CLASS/OBIS/ATTRIBUTE, for example 3/1-0:1.8.0/2")
    return int(match[1]), match[2], int(match[3]), int(match[4] or 0)


def _texts(value: object) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(one) for one in value] if isinstance(value, list) else []


def _is_reference(text: str) -> bool:
    return text.startswith(("env:", "file:"))
