"""What ``-v`` shows: each frame and each plain APDU on its way, explained, without secrets."""

from __future__ import annotations

import sys
from collections.abc import Callable

from cosemic.explain import Explanation, Sensitivity, explain

_ARROWS = {"out": ">", "in": "<"}
_FRAMING = frozenset({"hdlc", "wrapper", "llc", "input"})


def make_trace(verbose: int) -> Callable[[str, str, bytes], None]:
    """A trace hook that prints to stderr: a line each, with ``verbose`` 2 and more every field."""

    def trace(layer: str, direction: str, octets: bytes) -> None:
        explanation = explain(octets).redacted(Sensitivity.SECRET)
        if layer != "apdu":
            # The APDU in the frame follows by itself, deciphered.
            explanation = Explanation(tuple(line for line in explanation.lines if line.layer in _FRAMING))
        indent = "    " if layer == "apdu" else ""
        arrow = _ARROWS.get(direction, direction)
        print(f"{arrow} {indent}{explanation.summary}, {len(octets)} octets", file=sys.stderr)
        if verbose > 1:
            print(explanation.to_text(), file=sys.stderr)

    return trace
