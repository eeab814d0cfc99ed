"""Is the work linear in the input? Counted in instructions of the interpreter, or measured in seconds.

Each seed of a target is repeated to a short and to a long input; eight times the input may take about eight times the
work. The count sees loops but not what one instruction copies; the clock sees both, but not alike on every machine.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

from fuzz.seeds import corpus
from fuzz.targets import TARGETS, Target

FACTOR = 8
SLACK = 1.7
"""How much more than FACTOR times the work is still linear, after what every call costs is taken off."""
_ATOMS = (b"\x00", b"\x01\x01", b"\x02\x01", b"\x7e", b"\xff", b"\x13\x01", b"\x09\x00", b"\x7e\xa0", b"\x30\x80", b"[")
_QUICK = 0.02


def shapes(name: str, short: int) -> Iterator[tuple[bytes, bytes]]:
    """Pairs of inputs, the second one FACTOR times as long: each seed repeated, with its first octet kept."""
    seeds = [*_ATOMS, *corpus(name)]
    for seed in dict.fromkeys(seeds):
        if not 0 < len(seed) <= short:
            continue
        head, atom = (seed[:1], seed[1:]) if len(seed) > 1 else (b"", seed)
        for start, part in ((head, atom), (b"", seed)):
            yield (start + part * (short // len(part))), (start + part * (short * FACTOR // len(part)))


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


def too_much_work(target: Target, pairs: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """What is not linear, in words."""
    found = []
    base = work(target, b"")
    for short, long in pairs:
        few, many = work(target, short), work(target, long)
        if many > (few - base) * FACTOR * SLACK + base + 2000:
            found.append(f"{len(short)} octets {few} steps, {len(long)} octets {many}: {short[:40].hex()}…")
    return found


def report(names: Iterable[str]) -> int:
    """Measure in seconds, and print what takes more than its share."""
    status = 0
    for name in names:
        target = TARGETS[name]
        worst, text, pairs = 0.0, "", 0
        for short, long in shapes(name, 2000):
            few, many = _seconds(target, short), _seconds(target, long)
            pairs += 1
            ratio = many / few / FACTOR
            if many > _QUICK and ratio > worst:
                worst, text = ratio, f"{len(long)} octets {many:.3f} s: {long[:40].hex()}…"
        verdict = "linear" if worst < 2 * SLACK else "NOT LINEAR"
        status |= verdict != "linear"
        print(f"{name:16} {pairs:5} shapes, worst {worst:4.1f} times linear {verdict} {text}", flush=True)
    return status


def _seconds(target: Target, data: bytes) -> float:
    best = 1e9
    for _ in range(2):
        start = time.perf_counter()
        target(data)
        best = min(best, time.perf_counter() - start)
    return best
