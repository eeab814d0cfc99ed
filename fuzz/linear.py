"""Is the work linear in the input? Counted in instructions of the interpreter, or measured in seconds.

Each seed of a target is repeated to a short input and to a long one; eight times the input may take about eight times
the work. The count sees loops but not what one instruction copies; the clock sees both, but not alike on every machine.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from types import FrameType
from typing import Any

from fuzz.seeds import corpus
from fuzz.targets import TARGETS, Target

FACTOR = 8
SLACK = 1.7
"""How much more than FACTOR times the work is still linear."""
SHORT = 60
_ATOMS = (b"\x00", b"\x01\x01", b"\x02\x01", b"\x7e", b"\xff", b"\x13\x01", b"\x09\x00", b"\x7e\xa0", b"\x30\x80", b"[")
_QUICK = 0.02
_SHAPES = 60


Shape = Callable[[int], bytes]
"""Gives an input of about so many octets."""


def shapes(name: str, count: int) -> list[Shape]:
    """At most ``count`` shapes of inputs: each seed repeated, with its first octet once or every time."""
    found: list[Shape] = []
    for seed in dict.fromkeys([*_ATOMS, *corpus(name)]):
        if 0 < len(seed) <= SHORT:
            found.append(partial(_repeated, b"", seed))
            if len(seed) > 1:
                found.append(partial(_repeated, seed[:1], seed[1:]))
    return found[:: -(-len(found) // count)]


def _repeated(head: bytes, part: bytes, size: int) -> bytes:
    return head + part * (size // len(part))


def work(target: Target, data: bytes) -> int:
    """The instructions that the interpreter executes for one input."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        nonlocal count
        count += 1
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        target(data)
    finally:
        sys.settrace(before)
    return count


def too_much_work(target: Target, shapes: Iterable[Shape]) -> list[str]:
    """What is not linear, in words.

    One step from short to long may be steep because the short input is refused early; what is not linear is steep at
    the next step too.
    """
    found = []
    for shape in shapes:
        sizes = (SHORT, SHORT * FACTOR, SHORT * FACTOR * FACTOR)
        before = work(target, shape(sizes[0]))
        for small, large in itertools.pairwise(sizes):
            target(shape(small))  # fills what is made once
            few, many = min(before, work(target, shape(small))), work(target, shape(large))
            if many <= few * len(shape(large)) / len(shape(small)) * SLACK + 2000:
                break
            before = many
        else:
            found.append(
                f"{len(shape(small))} octets {few} steps, {len(shape(large))} octets {many}: {shape(small).hex()}"
            )
    return found


def report(names: Iterable[str]) -> int:
    """Measure in seconds, and print what takes more than its share."""
    status = 0
    for name in names:
        target = TARGETS[name]
        worst, text, pairs = 0.0, "", 0
        for shape in shapes(name, _SHAPES):
            short, long = shape(2000), shape(2000 * FACTOR)
            few, many = _seconds(target, short), _seconds(target, long)
            pairs += 1
            ratio = many / few / (len(long) / len(short))
            if many > _QUICK and ratio > worst:
                worst, text = ratio, f"{len(long)} octets {many:.3f} s: {long[:40].hex()}…"
        verdict = "linear" if worst < 2 * SLACK else "NOT LINEAR"
        status |= verdict != "linear"
        print(f"{name:16} {pairs:5} shapes, worst {worst:4.1f} times linear {verdict} {text}", flush=True)
    return status


def _seconds(target: Target, data: bytes) -> float:
    best = 1e9
    for _ in range(2):
        start = time.process_time()
        target(data)
        best = min(best, time.process_time() - start)
    return best
