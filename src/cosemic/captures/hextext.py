"""Octets in text: dumps of many tools, logs of readers, arrays of programs, base64."""

from __future__ import annotations

import base64
import binascii
import enum
import re

from cosemic.captures.chunks import Chunk, Direction
from cosemic.errors import DecodeError


class TextStyle(enum.Enum):
    """How octets stand in a text."""

    NONE = "no octets"
    LINES = "hexadecimal, a message a line"
    DUMP = "a dump with offsets, an octet a group"
    WORDS = "a dump with offsets, little-endian words"
    OCTAL_WORDS = "a dump with offsets, little-endian words in octal"
    ARRAY = "numbers of a program"
    ESCAPES = "a string with escapes"
    LOG = "lines of a log with octets in them"
    BASE64 = "base64"


_DUMP = re.compile(r"\s*(?:0x)?(?P<offset>[0-9A-Fa-f]{4,16}):?(?P<blanks>\s{1,3})(?P<rest>.*)")
_WORD_DUMP = re.compile(r"[0-9A-Fa-f]{7}(?P<words>(?:\s+[0-9A-Fa-f]{4})+)\s*")
_OCTAL_DUMP = re.compile(r"[0-7]{7}(?P<words>(?:\s+[0-7]{6})+)\s*")
_OFFSET_ONLY = re.compile(r"\s*(?:0x)?[0-9A-Fa-f]{6,16}\s*")
_OCTETS = re.compile(r"(?:(?:[0-9A-Fa-f]{2})+(?:\s|$)(?: ?- )?\s?){1,32}")
_LINE = re.compile(r"(?:(?P<out>>+|->|=>|tx\b|out\b)|(?P<in><+|<-|<=|rx\b|in\b))?\s*+:?\s*+(?P<hex>(?:0x)?[0-9A-Fa-f][0-9A-Fa-f\s,:.\-]*)", re.IGNORECASE)  # fmt: skip # noqa: E501
_ARRAY = re.compile(r"0[xX]([0-9A-Fa-f]{1,2})(?![0-9A-Fa-fxX])")
_ESCAPE = re.compile(r"\\x([0-9A-Fa-f]{2})")
_RUN = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2}(?:(?P<mark>[ :.\-,])[0-9A-Fa-f]{2}(?:(?P=mark)[0-9A-Fa-f]{2})+)(?P=mark)?"
    r"|(?:[0-9A-Fa-f]{2}){4,})(?![0-9A-Za-z])"
)
_SENT = re.compile(r">>>|\btx\b|\bsent\b|\bsend\b|\bwrite\b|\bwrote\b|->", re.IGNORECASE)
_HEARD = re.compile(r"<<<|\brx\b|\breceived\b|\brecv\b|\bread\b|<-", re.IGNORECASE)
_COMMENT = re.compile(r"#|;|//")
_BASE64 = re.compile(r"[A-Za-z0-9+/\-_\s]{16,}={0,2}\s*")
_P1 = re.compile(r"^/[A-Za-z]{3}[0-9A-Za-z \\-]", re.MULTILINE)
_TELEGRAM = re.compile(rb"^/(?:[A-Za-z]{3}[0-9A-Za-z \\-]|\?[0-9A-Za-z ]{0,32}!)", re.MULTILINE)
_PRINTABLE = bytes(range(32, 127)) + b"\t\r\n"
_LONGEST_DUMP_LINE = 400
_MOST_REPEATED = 64 << 20
"""Octets that the lines ``*`` of a text stand for, all together."""
_LEAST = 4
"""Fewer octets in a line of a log are a time, or a number of something."""


def style_of(text: str) -> TextStyle:
    """How octets stand in a text; NONE where there seem to be none, as in the text of a P1 port."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines or _P1.search(text):
        return TextStyle.NONE
    if all(_OCTAL_DUMP.fullmatch(line) or line.strip() == "*" for line in lines[:-1]) and _OCTAL_DUMP.fullmatch(
        lines[0]
    ):
        return TextStyle.OCTAL_WORDS
    if _WORD_DUMP.fullmatch(lines[0]) and all(_WORD_DUMP.fullmatch(line) or line.strip() == "*" for line in lines[:-1]):
        return TextStyle.WORDS
    if _is_dump(lines):
        return TextStyle.DUMP
    if len(_ESCAPE.findall(text)) >= _LEAST:
        return TextStyle.ESCAPES
    if len(_ARRAY.findall(text)) >= _LEAST and _array_covers(text):
        return TextStyle.ARRAY
    bodies = [body for line in lines if (body := _COMMENT.split(line, maxsplit=1)[0]).strip()]
    if bodies and all(_line_octets(body) is not None for body in bodies):
        return TextStyle.LINES
    if _base64(text) is not None:
        return TextStyle.BASE64
    if any(_longest_run(line) for line in lines):
        return TextStyle.LOG
    return TextStyle.NONE


def is_plain_text(octets: bytes) -> bool:
    """Whether octets are printable to the last; those of frames are never."""
    return bool(octets) and not octets.translate(None, _PRINTABLE)


def is_telegram(octets: bytes) -> bool:
    """Whether octets are the text of a P1 port or of an IEC 62056-21 sign-on, which is no text with octets in it."""
    return bool(_TELEGRAM.search(octets))


def read_hex_text(text: str, style: TextStyle | None = None) -> list[Chunk]:
    """The octets in a text, with the direction where a line tells it.

    DecodeError when there are none; so is an odd number of digits in a line that has nothing else.
    """
    style = style_of(text) if style is None else style
    if style in (TextStyle.LINES, TextStyle.LOG) and any(line.strip() == "*" for line in text.splitlines()):
        raise DecodeError("a line '*' stands for octets that are left out of the dump: make it again with 'od -v'")
    if style is TextStyle.LINES:
        return _read_lines(text)
    if style is TextStyle.LOG:
        return _read_log(text)
    if style is TextStyle.ESCAPES:
        octets = bytes(int(digits, 16) for digits in _ESCAPE.findall(text))
    elif style is TextStyle.ARRAY:
        return _read_arrays(text)
    elif style is TextStyle.BASE64:
        octets = _base64(text) or b""
    elif style is TextStyle.NONE:
        raise DecodeError("the text holds no octets: hexadecimal, a dump, a log or base64 is wanted")
    else:
        return _read_dump(text, style)
    return [Chunk(None, "", Direction.UNKNOWN, octets)]


# -- dumps with offsets -----------------------------------------------------------------------------------------------
def _is_dump(lines: list[str]) -> bool:
    """Whether the offsets of the lines go on with the octets before."""
    if not (matches := [_DUMP.fullmatch(line) for line in lines if line.strip() != "*"]):
        return False
    first = matches[0]
    if first is None or int(first["offset"], 16) or not _dump_octets(first["rest"]):
        return False
    if len(lines) == 1:
        return ":" in lines[0][:18] or len(first["blanks"]) > 1
    second = matches[1] if len(matches) > 1 else None
    size = len(_dump_octets(first["rest"]))
    if second is None:
        return bool(_OFFSET_ONLY.fullmatch(lines[-1])) and len(lines) == 2
    return any(_number(second["offset"], radix) in (size, 0) for radix in (16, 8, 10)) or "*" in map(str.strip, lines)


def _number(digits: str, radix: int) -> int | None:
    try:
        return int(digits, radix)
    except ValueError:
        return None


def _dump_octets(rest: str) -> bytes:
    """The octets of one line of a dump; what stands behind them as letters is left."""
    body = re.split(r"\s+[|>]", rest[:_LONGEST_DUMP_LINE], maxsplit=1)[0]
    # Two blanks in the middle stand between two groups of eight; before the letters there are more, or an odd group.
    found = bytearray()
    for group in re.split(r"( {2,}|\t)", body):
        if not group.strip():
            if found and len(found) >= 16:
                break
            continue
        match = _OCTETS.match(group + " ")
        if match is None:
            break
        digits = re.sub(r"[^0-9A-Fa-f]", "", match[0])
        found += bytes.fromhex(digits)
        if len(match[0].rstrip()) < len(group.rstrip()):
            break
    return bytes(found[:64])


def _read_dump(text: str, style: TextStyle) -> list[Chunk]:
    dumps: list[bytearray] = []
    step = 0  # octets of the line before, for '*'
    repeated = False
    made = 0
    radix = _radix(text)
    for line in text.splitlines():
        if not line.strip():
            continue
        if line.strip() == "*":
            repeated = True
            continue
        offset_digits = line.split()[0].rstrip(":").removeprefix("0x")
        offset = _number(offset_digits, 8 if style is TextStyle.OCTAL_WORDS else radix)
        if offset is None:
            continue
        if dumps and repeated and step and offset > len(dumps[-1]):
            made += offset - len(dumps[-1])
            if made > _MOST_REPEATED:
                raise DecodeError(f"a dump that repeats lines up to offset {offset}, for more than 64 MiB in all")
            last = bytes(dumps[-1][-step:])
            dumps[-1] += (last * ((offset - len(dumps[-1])) // step + 1))[: offset - len(dumps[-1])]
        repeated = False
        if _OFFSET_ONLY.fullmatch(line):
            if dumps and offset == len(dumps[-1]) - 1:  # words of an odd number of octets
                del dumps[-1][-1:]
            continue
        octets = _line_of_dump(line, style)
        if not offset or not dumps:
            dumps.append(bytearray())
        step = len(octets)
        dumps[-1] += octets
    return [Chunk(None, "", Direction.UNKNOWN, bytes(dump)) for dump in dumps if dump]


def _radix(text: str) -> int:
    """The radix of the offsets, told by the second line: 16, or 8 as ``od`` has it, or 10."""
    lines = [line for line in text.splitlines() if line.strip() and line.strip() != "*"]
    if len(lines) < 2 or (first := _DUMP.fullmatch(lines[0])) is None:
        return 16
    size = len(_dump_octets(first["rest"]))
    digits = lines[1].split()[0].rstrip(":").removeprefix("0x")
    return next((radix for radix in (16, 8, 10) if _number(digits, radix) == size), 16)


def _line_of_dump(line: str, style: TextStyle) -> bytes:
    if style is TextStyle.WORDS and (match := _WORD_DUMP.fullmatch(line)):
        return b"".join(int(word, 16).to_bytes(2, "little") for word in match["words"].split())
    if style is TextStyle.OCTAL_WORDS and (match := _OCTAL_DUMP.fullmatch(line)):
        return b"".join((int(word, 8) & 0xFFFF).to_bytes(2, "little") for word in match["words"].split())
    match = _DUMP.fullmatch(line)
    return b"" if match is None else _dump_octets(match["rest"])


# -- lines, logs, programs --------------------------------------------------------------------------------------------
def _line_octets(body: str) -> tuple[Direction, str] | None:
    match = _LINE.fullmatch(body.strip())
    if match is None:
        return None
    digits = re.sub(r"0[xX]|[^0-9A-Fa-fxX]", "", match["hex"])
    if not re.fullmatch(r"[0-9A-Fa-f]+", digits) or len(digits) % 2:
        return None
    direction = Direction.SENT if match["out"] else Direction.RECEIVED if match["in"] else Direction.UNKNOWN
    return direction, digits


def _read_lines(text: str) -> list[Chunk]:
    chunks: list[Chunk] = []
    for number, line in enumerate(text.splitlines(), 1):
        body = _COMMENT.split(line, maxsplit=1)[0]
        if not body.strip():
            continue
        found = _line_octets(body)
        if found is None:
            raise DecodeError(f"line {number} is no hexadecimal text of whole octets")
        chunks.append(Chunk(None, "", found[0], bytes.fromhex(found[1])))
    return chunks


def _longest_run(line: str) -> bytes:
    """The longest run of octets in a line of a log; a time or a date is none."""
    best = b""
    for match in _RUN.finditer(line):
        octets = bytes.fromhex(re.sub(r"[^0-9A-Fa-f]", "", match[0]))
        if len(octets) > len(best) and (len(octets) > _LEAST or match["mark"]):
            best = octets
    return best if len(best) >= _LEAST else b""


def _read_log(text: str) -> list[Chunk]:
    chunks: list[Chunk] = []
    for line in text.splitlines():
        if octets := _longest_run(line):
            direction = Direction.UNKNOWN
            if _SENT.search(line) and not _HEARD.search(line):
                direction = Direction.SENT
            elif _HEARD.search(line):
                direction = Direction.RECEIVED
            chunks.append(Chunk(None, "", direction, octets))
    return chunks


def _array_covers(text: str) -> bool:
    """Whether the numbers with 0x are most of the text, so that it is no log with a few of them."""
    bare = _without_comments(text)
    inside = re.findall(r"[\[{]([^\[\]{}]*)[\]}]", bare)
    pieces = inside if any(_ARRAY.search(piece) for piece in inside) else [bare]
    rest = _ARRAY.sub("", "".join(piece for piece in pieces if _ARRAY.search(piece)))
    return not re.sub(r"[\s,]", "", rest)


def _without_comments(text: str) -> str:
    kept: list[str] = []
    at = 0
    while (start := text.find("/*", at)) >= 0 and (end := text.find("*/", start + 2)) >= 0:
        kept.append(text[at:start])
        at = end + 2
    return re.sub(r"//[^\n]*", "", "".join(kept) + text[at:])


def _read_arrays(text: str) -> list[Chunk]:
    bare = _without_comments(text)
    inside = [piece for piece in re.findall(r"[\[{]([^\[\]{}]*)[\]}]", bare) if _ARRAY.search(piece)]
    return [
        Chunk(None, "", Direction.UNKNOWN, bytes(int(digits, 16) for digits in _ARRAY.findall(piece)))
        for piece in inside or [bare]
    ]


def _base64(text: str) -> bytes | None:
    """The octets of a base64 text that begins like a frame; any text of letters would be base64."""
    joined = "".join(text.split())
    if not _BASE64.fullmatch(text) or len(joined) % 4 == 1:
        return None
    try:
        octets = base64.b64decode(joined.translate(str.maketrans("-_", "+/")) + "=" * (-len(joined) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return octets if octets[:1] in (b"\x7e", b"\x68") or octets[:2] in (b"\x00\x01", b"\xdb\x08", b"\x0f\x00") else None
