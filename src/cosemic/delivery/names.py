"""Names that are safe in topics, labels and ids, and that stay the same for the same thing."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

from cosemic.delivery.documents import Document, ReadingDocument

UNIDENTIFIED: Final = "unidentified"
"""The stream of messages that belong to no meter that is known."""


def slug(text: str, longest: int = 60) -> str:
    """Small letters, digits and underscores. What loses more than spaces and capitals by it gets a hash at the end."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    short = _OTHERS.sub("_", plain).strip("_")
    if short and len(short) <= longest and short == _SEPARATORS.sub("_", text.lower()):
        return short
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{short[: longest - 9].strip('_')}_{digest}".lstrip("_")


def meter_slug(document: Document) -> str:
    """The stream that a message belongs to. Without a meter's name only what was understood has one of its own.

    Anybody can send what is not understood, under any name: it must not make topics or series without end.
    """
    name = document["meter"]
    if name is None and document["error"] is None:
        name = document["meter_id"] or document["system_title"] or _PORT.sub("", document["source"])
    return UNIDENTIFIED if name is None else slug(name)


def reading_slug(reading: ReadingDocument) -> str:
    """A reading in words: ``active_energy_import``."""
    return slug(_SYMBOL.sub("", reading["name"])) if reading["name"] or reading["obis"] is None else code_slug(reading)


def code_slug(reading: ReadingDocument) -> str:
    """A reading by what does not change: its code, ``1_0_1_8_0_255``, and its attribute unless that is the value."""
    if reading["obis"] is None:
        return reading_slug(reading)
    code = _OTHERS.sub("_", reading["obis"])
    return code if reading["attribute"] in (None, 2) else f"{code}_a{reading['attribute']}"


_OTHERS: Final = re.compile(r"[^a-z0-9]+")
_SYMBOL: Final = re.compile(r" \([+-][ARS]\)")
"""Says what "import" and "export" say already, and would make a hash of the rest."""
_PORT: Final = re.compile(r"(?<=[^/]):[0-9]+$")
"""Of a connection, which is another one each time."""
_SEPARATORS: Final = re.compile(r"[\s_-]+")
