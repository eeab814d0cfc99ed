"""Targets, times, values and secrets as users write them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from cosemic.cli.failing import CommandError
from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Typed, type_name
from cosemic.enums import DataType
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime


@dataclass(frozen=True, slots=True)
class Target:
    """CLASS/OBIS/ATTRIBUTE; ``class_id`` and ``member`` are None when only an OBIS code was given.

    ``name`` is that of an attribute or method which still has to be looked up: see ``cosemic.cli.names``.
    """

    text: str
    obis: ObisCode
    class_id: int | None = None
    member: int | None = None
    name: str | None = None


def parse_target(text: str, *, method: bool = False) -> Target:
    """``3/1-0:1.8.0*255/2``, ``1-0:1.8.0/value``, or an OBIS code alone. CommandError quotes what is wrong."""
    word = "METHOD" if method else "ATTRIBUTE"
    example = "8/0.0.1.0.0.255/1" if method else "3/1.0.1.8.0.255/2"
    parts = text.split("/")
    if len(parts) == 1 and not method:
        return Target(text, _obis(text, text))
    name = parts[-1].strip().lower() if _NAME.match(parts[-1].strip()) else None
    if len(parts) == 2 and name is not None:
        return Target(text, _obis(parts[0], text), name=name)
    if len(parts) != 3:
        alone = "" if method else ", or an OBIS code alone for a register"
        raise CommandError(f"{text!r} is no target: write CLASS/OBIS/{word}, for example {example}{alone}")
    class_id = _number(parts[0], 0, 0xFFFF, f"the class in {text!r}")
    if name is not None:
        return Target(text, _obis(parts[1], text), class_id, name=name)
    member = _number(parts[2], -128, 127, f"the {word.lower()} in {text!r}")
    return Target(text, _obis(parts[1], text), class_id, member)


_NAME = re.compile(r"^[A-Za-z][A-Za-z_0-9]*$")
"""What the standard's names of attributes and methods look like."""


def parse_obis(text: str) -> ObisCode:
    """An OBIS code in any of the usual forms."""
    return _obis(text, text)


def _obis(text: str, whole: str) -> ObisCode:
    try:
        return ObisCode.parse(text.strip())
    except ValueError:
        where = "" if text == whole else f" in {whole!r}"
        raise CommandError(
            f"{text!r}{where} is no OBIS code: write 1-0:1.8.0*255, 1-0:1.8.0, 1.0.1.8.0.255 or 0100010800FF"
        ) from None


def _number(text: str, low: int, high: int, what: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise CommandError(f"{what} is no number") from None
    if not low <= number <= high:
        raise CommandError(f"{what} must be {low} to {high}")
    return number


# -- times ------------------------------------------------------------------------------------------------------------
_AGO = re.compile(r"^-\s*(\d+(?:\.\d+)?)\s*(min|m|h|d|w)$")
_SPAN = {"min": "minutes", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_time(text: str, *, now: datetime | None = None) -> datetime:
    """An aware datetime from ISO 8601, ``now``, ``today``, ``yesterday``, ``-24h``, ``-7d``, ``-30min``.

    Without an offset the time is one of the user's local zone.
    """
    moment = (now or datetime.now()).astimezone()
    word = text.strip().lower()
    if word == "now":
        return moment
    if word in ("today", "yesterday"):
        day = moment.date() - timedelta(days=word == "yesterday")
        return datetime(day.year, day.month, day.day).astimezone()
    match = _AGO.match(word)
    if match:
        try:
            return moment - timedelta(**{_SPAN[match[2]]: float(match[1])})
        except OverflowError:
            raise CommandError(f"{text!r} is too long ago") from None
    try:
        given = datetime.fromisoformat(text.strip())
        return given if given.tzinfo is not None else given.astimezone()
    except (ValueError, OverflowError):
        raise CommandError(
            f"{text!r} is no time: write 2025-01-31, 2025-01-31T12:00, 2025-01-31T12:00+01:00, now, today, "
            "yesterday, -24h or -7d"
        ) from None


# -- values -----------------------------------------------------------------------------------------------------------
TYPES = (*(type_name(kind) for kind in DataType), "axdr")
"""Names that TYPE may be; ``axdr`` takes any encoded value as hex."""


def parse_value(kind: str, text: str) -> Typed | Data:
    """A value of the type that the user names (see ``axdr.from_text``); CommandError says what would fit.

    More than there: times as ``parse_time`` takes them, octet-strings as ``text:…``, ``time:…`` and ``obis:…``.
    """
    name = kind.strip().lower().replace("_", "-")
    if name not in TYPES:
        raise CommandError(f"{kind!r} is no type; there are {', '.join(TYPES)}")
    try:
        if name == "axdr":
            return Data.decode(bytes.fromhex(text))
        if name == "octet-string":
            return axdr.octet_string(_octets(text))
        return axdr.from_text(name, _moment_of(name, text))
    except DecodeError as error:
        raise CommandError(f"{text!r} is no {name}: {error}") from None
    except (ValueError, OverflowError) as error:
        said = str(error)
        raise CommandError(said if repr(text) in said else f"{text!r} is no {name}: {said}") from None


def _moment_of(name: str, text: str) -> str:
    """ISO 8601 for what ``--from`` understands too; anything else as it is."""
    if name == "date" and text.strip().lower() in ("today", "yesterday", "now"):
        return parse_time(text).date().isoformat()
    if name == "date-time" and not _DATE_TIME_OCTETS.fullmatch(text):
        return parse_time(text).isoformat()
    return text


_DATE_TIME_OCTETS = re.compile(r"\s*([0-9A-Fa-f]{2}\s*){12}")


def parse_plain(text: str) -> object:
    """A value without a type: a number, true, false, ``hex:…``, ``time:…`` as ``parse_time`` has it, or the text."""
    word = text.strip().lower()
    if word in ("true", "false"):
        return word == "true"
    if word.startswith("hex:"):
        try:
            return bytes.fromhex(word[4:])
        except ValueError:
            raise CommandError(f"{text!r} is no hexadecimal number of octets") from None
    if word.startswith("time:"):
        return CosemDateTime.from_datetime(parse_time(text.strip()[5:]))
    try:
        return int(word, 0)
    except ValueError:
        pass
    return Decimal(word) if _DECIMAL.match(word) else text


_DECIMAL = re.compile(r"^[+-]?\d+(\.\d+)?$")


def _octets(text: str) -> bytes:
    """``hex``, ``text:…``, ``time:…`` (a date-time in 12 octets) or ``obis:…``."""
    kind, colon, rest = text.partition(":")
    if colon and kind == "text":
        return rest.encode()
    if colon and kind == "time":
        return bytes(CosemDateTime.from_datetime(parse_time(rest)))
    if colon and kind == "obis":
        return bytes(parse_obis(rest))
    try:
        return bytes.fromhex(rest if colon and kind == "hex" else text)
    except ValueError:
        raise CommandError(
            f"{text!r} is not hexadecimal; an octet-string is written as hex, text:..., time:... or obis:..."
        ) from None


# -- secrets ----------------------------------------------------------------------------------------------------------
def read_secret(text: str, option: str) -> str:
    """What stands behind ``env:NAME`` or ``file:PATH``; anything else is the secret itself."""
    kind, colon, rest = text.partition(":")
    if colon and kind == "env":
        value = os.environ.get(rest)
        if not value:
            state = "is not set" if value is None else "is empty"
            raise CommandError(f"{option} names the environment variable {rest}, which {state}")
        return value
    if colon and kind == "file":
        try:
            return Path(rest).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise CommandError(f"{option} names the file {rest}, which cannot be read: {reason}") from None
    return text


def password_octets(text: str, option: str = "--password") -> bytes:
    """A password: text, or ``hex:…``; ``text:…`` for one that begins like one of the other forms."""
    value = read_secret(text, option)
    kind, colon, rest = value.partition(":")
    if colon and kind == "text":
        return rest.encode()
    if colon and kind == "hex":
        return key_octets(rest, option)
    return value.encode()


def key_octets(text: str, option: str) -> bytes:
    """A key or system title: hexadecimal. The error does not quote it."""
    value = read_secret(text, option).removeprefix("hex:")
    digits = re.sub(r"[\s:-]", "", value).removeprefix("0x")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        if re.fullmatch("[0-9A-Fa-f]+", digits):
            raise CommandError(
                f"{option} has an odd number of hexadecimal digits ({len(digits)}); each octet has two"
            ) from None
        if value == text and (
            Path(text).expanduser().exists() or text.endswith((".ek", ".ak", ".key", ".txt", ".hex"))
        ):
            raise CommandError(f"{option} takes HEX, env:NAME or file:PATH; for a file write file:PATH") from None
        raise CommandError(f"{option} is not hexadecimal; it takes HEX, env:NAME or file:PATH") from None
