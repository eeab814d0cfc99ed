"""Targets, times, values and secrets as users write them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cosemic.cli.failing import CommandError
from cosemic.codec import axdr
from cosemic.codec.axdr import BitString, Data, Typed
from cosemic.enums import DataType
from cosemic.errors import DecodeError
from cosemic.obis import ObisCode
from cosemic.times import CosemDate, CosemDateTime, CosemTime


@dataclass(frozen=True, slots=True)
class Target:
    """CLASS/OBIS/ATTRIBUTE; ``class_id`` and ``member`` are None when only an OBIS code was given."""

    text: str
    obis: ObisCode
    class_id: int | None = None
    member: int | None = None


def parse_target(text: str, *, method: bool = False) -> Target:
    """``3/1-0:1.8.0*255/2``, or an OBIS code alone. CommandError quotes what is wrong."""
    word = "METHOD" if method else "ATTRIBUTE"
    example = "8/0.0.1.0.0.255/1" if method else "3/1.0.1.8.0.255/2"
    parts = text.split("/")
    if len(parts) == 1 and not method:
        return Target(text, _obis(text, text))
    if len(parts) != 3:
        alone = "" if method else ", or an OBIS code alone for a register"
        raise CommandError(f"{text!r} is no target: write CLASS/OBIS/{word}, for example {example}{alone}")
    class_id = _number(parts[0], 0, 0xFFFF, f"the class in {text!r}")
    member = _number(parts[2], -128, 127, f"the {word.lower()} in {text!r}")
    return Target(text, _obis(parts[1], text), class_id, member)


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
_INTEGERS: dict[str, tuple[DataType, int, int]] = {
    "double-long": (DataType.DOUBLE_LONG, -(1 << 31), (1 << 31) - 1),
    "double-long-unsigned": (DataType.DOUBLE_LONG_UNSIGNED, 0, (1 << 32) - 1),
    "integer": (DataType.INTEGER, -128, 127),
    "long": (DataType.LONG, -(1 << 15), (1 << 15) - 1),
    "unsigned": (DataType.UNSIGNED, 0, 255),
    "long-unsigned": (DataType.LONG_UNSIGNED, 0, 0xFFFF),
    "long64": (DataType.LONG64, -(1 << 63), (1 << 63) - 1),
    "long64-unsigned": (DataType.LONG64_UNSIGNED, 0, (1 << 64) - 1),
    "enum": (DataType.ENUM, 0, 255),
    "bcd": (DataType.BCD, -128, 255),
}
_FLOATS = {"float32": axdr.float32, "float64": axdr.float64, "floating-point": axdr.floating_point}
_TRUTH = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "off": False, "no": False}
TYPES = (
    "null-data", "boolean", *_INTEGERS, *_FLOATS, "bit-string", "octet-string", "visible-string", "utf8-string",
    "date-time", "date", "time", "axdr",
)  # fmt: skip
"""Names that TYPE may be; ``axdr`` takes any encoded value as hex, structures and arrays too."""


def parse_value(kind: str, text: str) -> Typed | Data:
    """A value of the type that the user names; CommandError says what would fit."""
    name = kind.strip().lower().replace("_", "-")
    if name not in TYPES:
        raise CommandError(f"{kind!r} is no type; there are {', '.join(TYPES)}")
    try:
        return _value(name, text)
    except CommandError:
        raise
    except (ValueError, OverflowError, DecodeError) as error:
        raise CommandError(f"{text!r} is no {name}: {error}") from None


def _value(name: str, text: str) -> Typed | Data:
    if name in _INTEGERS:
        tag, low, high = _INTEGERS[name]
        number = int(text, 0) if not text.lstrip("+-").isdigit() else int(text)
        if not low <= number <= high:
            raise CommandError(f"{number} is no {name}; it must be {low} to {high}")
        return Typed(tag, number)
    if name in _FLOATS:
        return _FLOATS[name](float(text))
    if name == "null-data":
        if text not in ("", "null", "none", "-"):
            raise CommandError("null-data has no value; write 'null'")
        return axdr.null_data()
    if name == "boolean":
        words = {
            "true": True,
            "1": True,
            "on": True,
            "yes": True,
            "false": False,
            "0": False,
            "off": False,
            "no": False,
        }
        if text.lower() not in words:
            raise CommandError(f"{text!r} is no boolean; write true or false")
        return axdr.boolean(words[text.lower()])
    if name == "bit-string":
        return axdr.bit_string(BitString(text))
    if name == "octet-string":
        return axdr.octet_string(_octets(text))
    if name == "visible-string":
        return axdr.visible_string(text)
    if name == "utf8-string":
        return axdr.utf8_string(text)
    if name == "axdr":
        return Data.decode(bytes.fromhex(text))
    moment = CosemDateTime.from_datetime(parse_time(text)) if name != "time" else None
    if name == "date-time" and moment is not None:
        return axdr.date_time(moment)
    if name == "date":
        return axdr.date(CosemDate.from_date(parse_time(text).date()))
    return axdr.time(
        CosemTime.from_time(datetime.strptime(text, "%H:%M:%S" if text.count(":") > 1 else "%H:%M").time())
    )


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
        if value is None:
            raise CommandError(f"{option} names the environment variable {rest}, which is not set")
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
    try:
        return bytes.fromhex(re.sub(r"[\s:-]", "", value))
    except ValueError:
        raise CommandError(f"{option} is not hexadecimal") from None
