"""What ``-v`` shows: each frame and each plain APDU on its way, explained, without secrets."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

from cosemic.explain import Explanation, Line, Sensitivity, explain

_ARROWS = {"out": ">", "in": "<"}
_FRAMING = frozenset({"hdlc", "wrapper", "llc", "input"})


def make_trace(verbose: int) -> Callable[[str, str, bytes], None]:
    """A trace hook that prints to stderr: a line each, with ``verbose`` 2 and more every field."""

    def trace(layer: str, direction: str, octets: bytes) -> None:
        keep = _keep_apdu if layer == "apdu" else _keep_outgoing if direction == "out" else _keep_frame
        lines = explain(octets).redacted(Sensitivity.SECRET).lines
        explanation = Explanation(tuple(line for line in map(keep, lines) if line is not None))
        indent = "    " if layer == "apdu" else ""
        arrow = _ARROWS.get(direction, direction)
        print(f"{arrow} {indent}{explanation.summary}, {len(octets)} octets", file=sys.stderr)
        if verbose > 1:
            print(explanation.to_text(), file=sys.stderr)

    return trace


def _keep_apdu(line: Line) -> Line | None:
    # What is ciphered inside follows by itself, deciphered.
    return None if line.field == "not deciphered" else line


def _keep_frame(line: Line) -> Line | None:
    # The APDU in the frame follows by itself, deciphered.
    return line if line.layer in _FRAMING else None


def _keep_outgoing(line: Line) -> Line | None:
    # A password in the frame was blanked on its way here, so that the checksum fits no longer.
    if line.field == "FCS" and line.error:
        line = replace(line, value=None, meaning="not shown here", error=None)
    return _keep_frame(line)
