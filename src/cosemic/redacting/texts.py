"""Texts of P1 ports and of IEC 62056-21: values of harmless objects stay, check sums fit."""

from __future__ import annotations

import re

from cosemic.redacting.marks import Keep, Marks
from cosemic.redacting.scatter import Scatter

_LINE = re.compile(rb"(?P<code>[0-9A-Za-z]{1,3}(?:[-.:*&][0-9A-Za-z]{1,3}){1,6})?(?P<values>(?:\([^()\r\n]*\))+)")
_CODE = re.compile(r"(?:[0-9]+-[0-9]+:)?(?P<c>[0-9A-Z]+)\.(?P<d>[0-9]+)(?:\.(?P<e>[0-9]+))?")
_IN_BRACKETS = re.compile(rb"\(([^()\r\n]*)\)")
_HARMLESS = re.compile(
    rb"-?[0-9]{1,9}(?:\.[0-9]{1,9})?|-?[0-9]{1,12}(?:\.[0-9]{1,9})?\*[A-Za-z0-9]{1,6}|[A-Za-z]{0,4}|m3|[0-9]{12}[SW]?|[0-9]{10}"
    rb"|[0-9]{1,2}-[0-9]{1,2}:[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?:[.*][0-9]{1,3})?"
)
"""Numbers, times, and codes of objects."""
_READING = re.compile(
    rb"-?[0-9]{1,9}\.[0-9]{1,9}|-?[0-9]{1,12}(?:\.[0-9]{1,9})?\*[A-Za-z0-9]{1,6}|-?[0-9]{1,4}|[A-Za-z]{0,4}|m3|[0-9]{12}[SW]"
)
"""What stays where no code says what it is: a bare number of more digits may be the number of a meter."""
_IDENTIFICATION = re.compile(rb"/[A-Za-z]{3}[0-9A-Za-z ](?:\\[!-~])?")
_REQUEST = re.compile(rb"/\?([0-9A-Za-z ]*)!")
_ACKNOWLEDGEMENT = re.compile(rb"\x06[0-9][0-9A-Z][0-9A-Z]")
_CONTROL = b"\x02\x03\x06\x15\r\n\x00"
_CODES_OF_CLOCK = frozenset((("1", "0"), ("0", "9")))
TEXT_OCTETS = frozenset(range(32, 127)) | frozenset(_CONTROL)


def redact_text(text: Scatter, marks: Marks) -> None:
    """Mask a text in place: the beginning of an identification, codes and plain numbers stay."""
    octets = text.read()
    at = 0
    harmless: list[Scatter] = []
    for line in octets.splitlines(keepends=True):
        bare = line.rstrip(b"\r\n")
        front = len(bare) - len(bare.lstrip(b"\x00\x02\x03\x15"))
        _line(text.part(at + front, len(bare) - front), bare[front:], marks, harmless)
        at += len(line)
    for part in harmless:  # numbers that were masked elsewhere
        digits = part.read()
        if digits.isdigit() and int(digits) in marks.pseudonyms.numbers:
            marks.octets(part)
    _check_sums(text, octets)


def _line(part: Scatter, line: bytes, marks: Marks, harmless: list[Scatter]) -> None:
    if not line or _ACKNOWLEDGEMENT.fullmatch(line):
        return
    if request := _REQUEST.fullmatch(line):
        if request[1]:
            marks.octets(part.part(2, len(request[1])))
    elif head := _IDENTIFICATION.match(line):
        if len(line) > len(head[0]):
            marks.octets(part.part(len(head[0]), len(line) - len(head[0])))
    elif line[:1] == b"!":
        if not re.fullmatch(rb"![0-9A-Fa-f]{0,4}\x03?.?", line, re.DOTALL):
            marks.unknown(part.part(1, len(line) - 1))
    elif matches := _data_sets(line.rstrip(b"\x03")):
        for match in matches:
            _values(part, match, marks, harmless)
    elif marks.keeps_texts or Keep.UNKNOWN in marks.keep:
        return
    elif len(line) > 1:  # one octet: a block check
        marks.octets(part)


def _data_sets(line: bytes) -> list[re.Match[bytes]]:
    """Codes with their values, where a line holds nothing else."""
    found: list[re.Match[bytes]] = []
    at = 0
    while at < len(line):
        match = _LINE.match(line, at)
        if match is None:
            return []
        found.append(match)
        at = match.end()
    return found


def _values(part: Scatter, match: re.Match[bytes], marks: Marks, harmless: list[Scatter]) -> None:
    """Mask the values of a line; ``harmless`` gets those that stay as far as this line tells."""
    identifying = match["code"] is not None and _identifies(match["code"].decode("ascii"))
    stays = _READING if match["code"] is None else _HARMLESS
    for value in _IN_BRACKETS.finditer(match["values"]):
        content = value[1]
        place = part.part(match.start("values") + value.start(1), len(content))
        if not content or (not identifying and stays.fullmatch(content)):
            harmless.append(place)
        elif identifying or not marks.keeps_texts:
            marks.octets(place, in_hex=True)


def _identifies(code: str) -> bool:
    match = _CODE.match(code)
    if match is None:
        return False
    c, d = match["c"], match["d"]
    if (c, d) in _CODES_OF_CLOCK:
        return False
    if c in ("42", "C") or (c == "96" and d in ("1", "13")) or (c == "0" and d == "0"):
        return True
    return c == "9" and d in ("20", "21") and match["e"] is None  # heat meters: number of the owner, of the meter


def _check_sums(text: Scatter, before: bytes) -> None:
    """What fitted before fits again: the CRC of a P1 telegram, the block check after ETX."""
    after = 0
    for match in re.finditer(rb"!([0-9A-Fa-f]{4})", before):
        start, end = before.find(b"/", after, match.start()), match.start(1)
        after = match.end()
        if start >= 0 and int(match[1], 16) == _crc16(before[start:end]):
            right = f"{_crc16(text.part(start, end - start).read()):04X}"
            shown = right if match[1] == match[1].upper() else right.lower()
            text.part(end, 4).write(shown.encode("ascii"))
    for match in re.finditer(rb"\x02([^\x02\x03]*\x03)(.)", before, re.DOTALL):
        if match[2][0] == _exclusive_or(match[1]):
            block = text.part(match.start(1), len(match[1])).read()
            text.part(match.start(2), 1).write(bytes((_exclusive_or(block),)))


def _crc16(octets: bytes) -> int:
    """The CRC-16 of P1 telegrams (polynomial 0xA001, initial value 0), over all from / to !."""
    register = 0
    for octet in octets:
        register = register >> 8 ^ _TABLE[(register ^ octet) & 0xFF]
    return register


def _exclusive_or(octets: bytes) -> int:
    check = 0
    for octet in octets:
        check ^= octet
    return check


def _entry(octet: int) -> int:
    for _ in range(8):
        octet = octet >> 1 ^ (0xA001 if octet & 1 else 0)
    return octet


_TABLE = tuple(_entry(octet) for octet in range(256))
