"""The text of a P1 port (DSMR P1 companion standard, the data block of IEC 62056-21 mode D) becomes a push.

``/XXX5identification``, an empty line, lines of a code and values in brackets, ``!`` and, from DSMR 4 on, a check sum.
Values are what the text says, in the unit of the text: a P1 text counts energy in kWh where an APDU counts it in Wh.
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Final

from cosemic.errors import DecodeError
from cosemic.link.crc import crc16_arc
from cosemic.push.messages import Diagnosis, Protection, Push
from cosemic.push.p1.contents import Contents, read_contents
from cosemic.push.p1.shapes import TextShapes
from cosemic.push.p1.times import zone_of
from cosemic.push.telegrams import Telegram
from cosemic.tolerances import DEFAULT, Tolerance, note

MAX_TEXT: Final = 65_536
"""Octets of a text that are looked at; the longest of the published rules has about 4,000."""

_END: Final = re.compile(rb"[\r\n]!([0-9A-Fa-f]{0,4})[ \t\x00]*(?:[\r\n]|\Z)")
_MARK: Final = re.compile(rb"[\r\n]!")
_LINE_ENDS: Final = re.compile(rb"\r\n|\r|\n")
_SLASH_WITH_PARITY: Final = b"\xaf"
_PARITY_STRIPPED: Final = bytes(octet & 0x7F for octet in range(256))
_EVEN: Final = bytes(octet for octet in range(256) if octet.bit_count() % 2 == 0)
_LOOK_AT_LINE: Final = (
    "octets were lost or changed (see that the speed is right, the cable short, and the buffer of the adapter large "
    "enough)"
)
_SHAPES: Final = TextShapes()


class P1Error(DecodeError):
    """A text that cannot be used: ``diagnosis`` is DAMAGED, TRUNCATED or NOT_UNDERSTOOD."""

    def __init__(self, diagnosis: Diagnosis, message: str, *, octets: bytes | None = None) -> None:
        super().__init__(message, octets=octets)
        self.diagnosis = diagnosis


def interpret_p1(
    telegram: Telegram,
    text: bytes,
    *,
    protection: Protection | None = None,
    zone: tzinfo | None = None,
    tolerances: frozenset[Tolerance] = DEFAULT,
) -> Push:
    """The push of one text, from its ``/`` to the check sum.

    ``zone`` is the time zone of the grid: by default Europe/Vilnius for the texts of Lithuania's ESO, Europe/Amsterdam
    for all others. A text without an end, or with a check sum that does not hold, is a P1Error: nothing of it is used.
    """
    notes: list[str] = []
    text = _checked(text, tolerances, notes)
    shape = _SHAPES.find(text, zone)
    contents = (None if shape is None else shape.read(text)) or _read_plainly(text, zone, is_new=shape is None)
    return Push(
        "p1-text",
        contents.readings,
        telegram,
        contents.time,
        None,
        protection,
        contents.meter_id,
        layout=contents.layout,
        notes=(*notes, *contents.notes),
    )


def _read_plainly(text: bytes, zone: tzinfo | None, *, is_new: bool) -> Contents:
    lines = text[1:].decode("latin-1").replace("\r\n", "\n").replace("\r", "\n")
    head, _, body = lines.partition("\n")
    identification = head.strip()
    if not identification:
        raise P1Error(Diagnosis.NOT_UNDERSTOOD, "a P1 text whose first line is empty: no maker, no meter", octets=text)
    found_zone = zone_of(identification) if zone is None else zone
    contents = read_contents(identification, body, found_zone)
    if is_new:
        _SHAPES.learn(text, zone, found_zone, contents.layout)
    return contents


def _checked(text: bytes, tolerances: frozenset[Tolerance], notes: list[str]) -> bytes:
    """The text from its ``/`` to its last line, the check sum compared; parity bits and line ends mended if allowed."""
    text = text.lstrip(b"\r\n\x8d \t\x00")
    if len(text) > MAX_TEXT:
        raise P1Error(Diagnosis.NOT_UNDERSTOOD, f"a P1 text of {len(text)} octets; {MAX_TEXT} are the most")
    if text.startswith(_SLASH_WITH_PARITY):
        text = _without_parity(text, tolerances, notes)
    if not text.startswith(b"/"):
        raise P1Error(Diagnosis.NOT_UNDERSTOOD, "a P1 text begins with '/', this one does not", octets=text)
    end = _end_of(text)
    if end is None:
        if _MARK.search(text):
            raise P1Error(
                Diagnosis.DAMAGED, f"what follows the '!' of the P1 text is no check sum: {_LOOK_AT_LINE}", octets=text
            )
        raise P1Error(Diagnosis.TRUNCATED, "the P1 text has no end (a line with '!'): octets were lost", octets=text)
    if end[1]:
        _check(text[: end.start() + 2], end[1], tolerances, notes)
    elif not text[: end.start()].isascii():
        raise P1Error(
            Diagnosis.DAMAGED,
            f"a P1 text without a check sum that has octets above 7F, and has to have none: {_LOOK_AT_LINE}",
            octets=text,
        )
    return text[: end.start()]


def _end_of(text: bytes) -> re.Match[bytes] | None:
    """The first line with a ``!`` and perhaps a check sum; found by the ``!``, which stands in few other places."""
    mark = text.find(b"!")
    while mark > 0:
        if end := _END.match(text, mark - 1):
            return end
        mark = text.find(b"!", mark + 1)
    return None


def _without_parity(text: bytes, tolerances: frozenset[Tolerance], notes: list[str]) -> bytes:
    """The seven bits of each octet, where all have an even parity in bit 7."""
    if Tolerance.TEXT_PARITY not in tolerances:
        raise P1Error(
            Diagnosis.NOT_UNDERSTOOD, "a P1 text with a parity in bit 7: set the line to 7E1, not to 8N1", octets=text
        )
    odd = len(text.translate(None, _EVEN))
    if odd:
        raise P1Error(
            Diagnosis.DAMAGED,
            f"{odd} octets of the P1 text have a wrong parity (its line is 7E1, read as 8N1): {_LOOK_AT_LINE}",
            octets=text,
        )
    _tolerate(Tolerance.TEXT_PARITY, "the line is 7E1 and was read as 8N1", notes)
    return text.translate(_PARITY_STRIPPED)


def _check(covered: bytes, digits: bytes, tolerances: frozenset[Tolerance], notes: list[str]) -> None:
    expected = int(digits, 16)
    actual = crc16_arc(covered)
    is_mended = actual != expected and crc16_arc(_LINE_ENDS.sub(b"\r\n", covered)) == expected
    if actual != expected and not (is_mended and Tolerance.TEXT_LINE_ENDS in tolerances):
        raise P1Error(
            Diagnosis.DAMAGED,
            f"the check sum of the P1 text is {expected:04X}, its octets give {actual:04X}: "
            + ("it holds with line ends of CR LF, which were changed on the way" if is_mended else _LOOK_AT_LINE),
            octets=covered,
        )
    if len(digits) < 4:
        if Tolerance.TEXT_CHECKSUM_DIGITS not in tolerances:
            raise P1Error(Diagnosis.DAMAGED, f"a check sum of {len(digits)} digits; it has four", octets=covered)
        _tolerate(Tolerance.TEXT_CHECKSUM_DIGITS, "the check sum holds, but lacks its zeros in front", notes)
    if is_mended:
        _tolerate(Tolerance.TEXT_LINE_ENDS, "the check sum holds with the line ends that the meter sent", notes)


def _tolerate(tolerance: Tolerance, detail: str, notes: list[str]) -> None:
    note(tolerance, detail)
    notes.append(detail)
