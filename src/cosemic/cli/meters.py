"""The file of named meters.

.. code-block:: toml

    [meters.cellar]
    url = "tcp://192.0.2.10:4059"
    client = 1
    auth = "gmac"
    system_title = "4D4D4D0000000001"
    ek = "file:~/keys/cellar.ek"
    ak = "env:CELLAR_AK"
"""

from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

from cosemic.cli.failing import CommandError

SECRETS = ("password", "ek", "ak", "signing_key", "agreement_key", "kek")
_INTEGERS = ("client", "server", "physical", "address_size", "suite", "network_id", "block_transfer_window")
_TEXTS = (
    *("url", "auth", "password", "policy", "system_title", "ek", "ak", "general", "reading", "kek"),
    *("signing_key", "peer_signing_key", "agreement_key", "peer_agreement_key", "counter_recovery", "referencing"),
    *("key_store", "certificates", "peer_system_title", "device_address"),
)
_NUMBERS = ("timeout",)
_FLAGS = ("allow_counter_from_meter", "broadcast")
_KNOWN = (*_TEXTS, *_INTEGERS, *_NUMBERS, *_FLAGS)
_REFERENCES = ("env:", "file:")


def meters_file() -> Path:
    """``$COSEMIC_METERS``, or ``meters.toml`` in the user's folder for settings."""
    override = os.environ.get("COSEMIC_METERS")
    if override:
        return Path(override).expanduser()
    if sys.platform == "win32":
        roaming = os.environ.get("APPDATA")
        return (Path(roaming) if roaming else Path.home() / "AppData" / "Roaming") / "cosemic" / "meters.toml"
    settings = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(settings) if os.path.isabs(settings) else Path.home() / ".config") / "cosemic" / "meters.toml"


def find_meter(name: str) -> dict[str, object]:
    """The settings of the meter with that name; CommandError when there is none, or its keys lie open to others."""
    wanted = name.removeprefix("@")
    file = meters_file()
    kinds = "tcp://host:port, hdlc://host:port, udp://host:port or serial:///dev/ttyUSB0"
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CommandError(f"{name!r} is no URL ({kinds}), and there is no file of named meters ({file})") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise CommandError(f"the file of named meters ({file}) cannot be read: {reason}") from None
    try:
        meters = tomllib.loads(text).get("meters", {})
    except tomllib.TOMLDecodeError as error:
        raise CommandError(f"the file of named meters ({file}) is no TOML: {error}") from None
    if not isinstance(meters, dict) or not isinstance(meters.get(wanted), dict):
        there = ", ".join(sorted(meters)) if isinstance(meters, dict) and meters else "none"
        raise CommandError(f"{name!r} is no URL ({kinds}) and no meter in {file}; there are: {there}")
    settings = {key.replace("-", "_"): value for key, value in meters[wanted].items()}
    _check(wanted, settings, file)
    _check_mode(file, meters)
    return settings


def _check(name: str, settings: dict[str, object], file: Path) -> None:
    for key, value in settings.items():
        if key not in _KNOWN:
            raise CommandError(f"unknown setting {key!r} of meter {name!r} in {file}; there are {', '.join(_KNOWN)}")
        right: type | tuple[type, ...] = (
            int if key in _INTEGERS else (int, float) if key in _NUMBERS else bool if key in _FLAGS else str
        )
        if not isinstance(value, right) or (isinstance(value, bool) and key not in _FLAGS):
            word = "a number" if key in _INTEGERS + _NUMBERS else "true or false" if key in _FLAGS else "text in quotes"
            raise CommandError(f"{key} of meter {name!r} in {file} must be {word}")
    if not settings.get("url"):
        raise CommandError(f"meter {name!r} in {file} has no url")


def _check_mode(file: Path, meters: dict[str, object]) -> None:
    """Keys in a file that others may read are no secret: refuse rather than use them."""
    if os.name != "posix" or not file.stat().st_mode & 0o077:
        return
    for meter in meters.values():
        if isinstance(meter, dict) and any(
            isinstance(meter.get(key), str) and not str(meter[key]).startswith(_REFERENCES) for key in SECRETS
        ):
            raise CommandError(f"{file} holds keys or passwords and others may read it: chmod 600 {file}")
