"""Octets with what is known of them: when they came, of which line or connection, in which direction."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime


class Direction(enum.Enum):
    """Which way octets went, with the sign that text captures have for it."""

    RECEIVED = "<"
    SENT = ">"
    UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Octets as they came in one go.

    ``at`` is when they came, with its offset from UTC; None where the capture has no times. ``source`` is the URL of
    the other side, such as ``tcp://192.0.2.1:1234`` or ``serial:///dev/ttyUSB0``, "" where it is not known: chunks of
    one source and ``local`` end are one stream, but a datagram (``udp://``) is a message of its own. ``note`` says what
    a reader of the capture must know of this place, ``is_gap`` that the octets do not go on with those before. A chunk
    may hold nothing but a note.
    """

    at: datetime | None
    source: str
    direction: Direction
    octets: bytes
    note: str = ""
    is_gap: bool = False
    local: str = ""
    """Our end of a connection, ``192.0.2.9:4059``, where the capture has it."""
