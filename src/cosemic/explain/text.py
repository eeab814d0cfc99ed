"""Hexadecimal text to octets: dumps, logs, lines with a direction."""

from __future__ import annotations

import re

from cosemic.explain.capture import is_whole

_PREFIX = re.compile(r"^\s*(?:(?P<out>>|->|=>|tx\b|out\b)|(?P<in><|<-|<=|rx\b|in\b))\s*:?\s*", re.IGNORECASE)
_OFFSET = re.compile(r"^\s*[0-9A-Fa-f]{4,8}:\s+")
_NOISE = re.compile(r"0x|\\x|[\s,:\-]", re.IGNORECASE)
_HEX = re.compile(r"^[0-9A-Fa-f]*$")


def read_text(text: str) -> list[tuple[str, bytes]]:
    """Hexadecimal text to chunks of octets, each with ``">"``, ``"<"`` or ``""``: the direction its line began with.

    Comments begin with ``#``, ``;`` or ``//``. ValueError names the first line that is not hexadecimal.
    """
    chunks: list[tuple[str, bytes]] = []
    for number, line in enumerate(text.splitlines(), 1):
        body = re.split(r"#|;|//", line, maxsplit=1)[0]
        direction = ""
        match = _PREFIX.match(body)
        if match:
            direction = ">" if match["out"] else "<"
            body = body[match.end() :]
        body = _NOISE.sub("", _OFFSET.sub("", body))
        if not body:
            continue
        if not _HEX.match(body):
            raise ValueError(f"line {number} is not hexadecimal: {line.strip()[:40]!r}")
        if len(body) % 2:
            raise ValueError(f"line {number} has an odd number of hexadecimal digits")
        chunks.append((direction, bytes.fromhex(body)))
    return chunks


def join_fragments(chunks: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Lines of one direction are one stream, unless each of them is a message of its own."""
    joined: list[tuple[str, list[bytes]]] = []
    for direction, octets in chunks:
        if joined and joined[-1][0] == direction:
            joined[-1][1].append(octets)
        else:
            joined.append((direction, [octets]))
    result: list[tuple[str, bytes]] = []
    for direction, parts in joined:
        if len(parts) > 1 and all(is_whole(part) for part in parts):
            result += [(direction, part) for part in parts]
        else:
            result.append((direction, b"".join(parts)))
    return result
