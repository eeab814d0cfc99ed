"""What a line says, judged by the octets that were heard on it at one setting; nothing here waits.

``judge`` looks for what check sums prove, then for text behind a parity bit or on an inverted line, then at the
statistics of the bits. Its words are for people, its ``score`` puts the settings of one port in order.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from cosemic.link.signon_messages import LineSettings
from cosemic.push.sniffing.frames import CODE, Counts, count
from cosemic.push.sniffing.inverted import turn_round
from cosemic.push.sniffing.statistics import LEAST, Statistics, measure

MAX_OCTETS: Final = 16_384
"""Octets of a setting that are judged, the latest ones."""

_SURE: Final = 100
_CODE_LINES: Final = 3
_MOSTLY: Final = 0.4
"""The share of the octets that has to belong to what is proven; one may have begun to listen in the middle."""

_KEY_NEEDED: Final = ", encrypted: a key is needed"
_SEVEN_BITS: Final = bytes(octet & 0x7F for octet in range(256))


class Sound(enum.Enum):
    """What was heard; the value is how it is called."""

    HDLC = "HDLC frames"
    MBUS = "M-Bus frames"
    P1 = "P1 text"
    WRAPPER = "wrapper PDUs"
    APDU = "APDUs without a frame"
    READOUT = "an IEC 62056-21 readout"
    INVERTED = "an inverted line"
    WRONG_PARITY = "octets of 7 bits with parity"
    WRONG_SPEED = "a line that is slower"
    DAMAGED = "damaged frames"
    NOISE = "noise"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was heard at one setting. ``settings`` is None where they are not ours to choose (TCP).

    ``text`` is a sentence with the evidence. ``score`` is 100 where it is proven. ``advised`` are the settings to use,
    where they differ from those that were listened with. ``is_protected`` says that a key is going to be needed.
    """

    settings: LineSettings | None
    sound: Sound
    text: str
    score: int
    octets: int
    seconds: float
    counts: Counts
    statistics: Statistics
    advised: LineSettings | None = None
    is_protected: bool = False

    @property
    def is_sure(self) -> bool:
        """Whether check sums prove it: no other setting needs to be tried."""
        return self.score >= _SURE


def is_proven(octets: bytes, settings: LineSettings | None = None) -> bool:
    """Whether the octets heard so far are proof enough; quick, to be asked while more of them come."""
    found = _plain(count(octets[-MAX_OCTETS:]), min(len(octets), MAX_OCTETS))
    if found is None or found[1] < _SURE:
        return False
    return settings is None or settings.data_bits == 8 or found[0] in _TEXTS


def judge(octets: bytes, seconds: float, settings: LineSettings | None = None) -> Verdict:
    """Say what these octets are, which were heard in so many seconds with these settings."""
    latest = octets[-MAX_OCTETS:]
    counts, statistics = count(latest), measure(latest)
    sound, score, text, advised = _judge(latest, counts, statistics, settings, seconds)
    return Verdict(settings, sound, text, score, len(octets), seconds, counts, statistics, advised, counts.is_protected)


_TEXTS: Final = frozenset({Sound.P1, Sound.READOUT})
_Judged = tuple[Sound, int, str, LineSettings | None]


def _judge(
    octets: bytes, counts: Counts, statistics: Statistics, settings: LineSettings | None, seconds: float
) -> _Judged:
    if not octets:
        return Sound.SILENCE, 0, f"nothing at all in {seconds:.0f} s", None
    found = _plain(counts, len(octets))
    if settings is not None and settings.data_bits == 7 and found is not None and found[0] not in _TEXTS:
        found = None  # what is left of binary octets proves nothing
    if found is not None and found[1] >= _SURE:
        return found
    hidden = _behind_parity(octets, statistics, settings) or _inverted(octets, settings)
    if hidden is not None:
        return hidden
    if found is not None:
        return found
    return _unread(octets, statistics, settings)


def _plain(counts: Counts, octets: int) -> _Judged | None:
    """What stands there in the octets as they are."""
    proven = _proven(counts)
    if proven is not None:
        sound, text = proven
        if counts.covered >= _MOSTLY * octets:
            return sound, _SURE, text, None
        return sound, 85, f"{text}, but {octets - counts.covered} of the {octets} octets belong to none", None
    if counts.damaged_hdlc:
        text = f"{_number(counts.damaged_hdlc, 'HDLC frame')} with a right head, none of them whole: octets get lost"
        return Sound.DAMAGED, 70, text, None
    if counts.damaged_texts or counts.code_lines >= _CODE_LINES:
        text = f"{_number(counts.code_lines, 'line')} of a P1 text, but no whole text: "
        lost = "its check sum does not hold, octets get lost" if counts.damaged_texts else "listen longer"
        return Sound.P1, 80, text + lost, None
    if counts.readout_lines >= _CODE_LINES:
        return Sound.READOUT, 80, f"{_number(counts.readout_lines, 'line')} of an IEC 62056-21 readout", None
    protected = _KEY_NEEDED if counts.is_protected else ""
    if counts.apdus:
        text = f"{_number(counts.apdus, 'APDU')} without a frame{protected}"
        return Sound.APDU, 60 if counts.apdus == 1 else 75, text, None
    return None


def _proven(counts: Counts) -> tuple[Sound, str] | None:
    """What has check sums that hold, or lengths that lead from one to the next."""
    protected = _KEY_NEEDED if counts.is_protected else ""
    if counts.mbus and counts.mbus >= counts.hdlc:
        if counts.foreign_mbus == counts.mbus:
            protected = " that carry something else than DLMS"
        return Sound.MBUS, f"{_number(counts.mbus, 'whole M-Bus frame')}{protected}"
    if counts.hdlc:
        return Sound.HDLC, f"{_number(counts.hdlc, 'whole HDLC frame')}{protected}"
    if counts.texts:
        kind = f" ({counts.layout})" if counts.layout else ""
        return Sound.P1, f"{_number(counts.texts, 'whole P1 text')}{kind}"
    if counts.wrapper:
        return Sound.WRAPPER, f"{_number(counts.wrapper, 'wrapper PDU')}{protected}"
    return None


def _behind_parity(octets: bytes, statistics: Statistics, settings: LineSettings | None) -> _Judged | None:
    """Text whose parity was received as bit 7."""
    if not (statistics.has_even_parity or statistics.has_odd_parity):
        return None
    parity = "E" if statistics.has_even_parity else "O"
    advised = None if settings is None else LineSettings(settings.baud, 7, parity)
    share = statistics.even if parity == "E" else 1 - statistics.even
    words = f"{share:.0%} of the octets have an {'even' if parity == 'E' else 'odd'} parity in bit 7"
    counts = count(octets.translate(_SEVEN_BITS))
    found = _plain(counts, len(octets))
    if found is not None and found[0] in _TEXTS:
        return found[0], found[1], f"{found[2]}; {words}: the line is 7{parity}1", advised
    return Sound.WRONG_PARITY, 40, f"{words}: the line is 7{parity}1", advised


def _inverted(octets: bytes, settings: LineSettings | None) -> _Judged | None:
    """P1 text once the line is turned round."""
    if len(octets) < LEAST or (settings is not None and settings.data_bits != 8):
        return None
    for with_parity in (False, True):
        lines = len(CODE.findall(turn_round(octets, with_parity=with_parity)))
        if lines >= _CODE_LINES:
            text = (
                f"the line is inverted: turned round, its octets have {lines} lines of a P1 text. Use an inverting "
                "adapter, or the inverse option of yours; a program cannot turn it round"
            )
            return Sound.INVERTED, 95, text, None
    return None


def _unread(octets: bytes, statistics: Statistics, settings: LineSettings | None) -> _Judged:
    """Octets in which nothing can be read."""
    heard = _number(len(octets), "octet")
    if statistics.is_slower:
        below = "" if settings is None else f" than {settings.baud} baud"
        text = f"{heard} with long runs of equal bits ({statistics.distinct} different ones): the line is slower{below}"
        return Sound.WRONG_SPEED, 20, text, None
    if not octets.strip(b"\x00"):
        return Sound.NOISE, 5, f"{heard}, all of them 00: a line that is held low, inverted, or without power", None
    if len(octets) < LEAST:
        return Sound.NOISE, 5, f"{heard} in which nothing can be read; listen longer", None
    text = f"{heard} in which nothing can be read: another speed or parity, an inverted line, or noise"
    return Sound.NOISE, 10, text, None


def _number(count_of: int, noun: str) -> str:
    return f"{count_of} {noun}{'' if count_of == 1 else 's'}"
