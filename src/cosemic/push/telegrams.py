"""What the stream reader gives: whole telegrams, and the octets that were none."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias


class Framing(enum.Enum):
    """How telegrams are wrapped on a line."""

    HDLC = "HDLC"
    WRAPPER = "wrapper"
    MBUS = "M-Bus"
    APDU = "APDU without a frame"
    P1 = "P1 text"


class Content(enum.Enum):
    """What the octets of a telegram are."""

    APDU = "apdu"
    P1_TEXT = "p1-text"


@dataclass(frozen=True, slots=True)
class Telegram:
    """One whole APDU, segments and general blocks put together, or one text of a P1 port.

    ``octets`` are those of the APDU, or of the text from its ``/`` to the check sum, as they came. ``source`` and
    ``destination`` are the addresses or access points of the frame as numbers, None where the framing has none.
    ``offset`` is the place in the stream where its first frame began. ``is_complete`` is False where the stream ended,
    or the line fell silent, before it did: what is there may still be of use to a diagnosis.
    """

    framing: Framing
    octets: bytes
    content: Content = Content.APDU
    source: int | None = None
    destination: int | None = None
    offset: int = 0
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Dropped:
    """Octets that belong to no telegram; reading goes on behind them. ``framing`` is the one that they seemed to be."""

    reason: str
    octets: bytes
    offset: int = 0
    framing: Framing | None = None


Heard: TypeAlias = Telegram | Dropped
