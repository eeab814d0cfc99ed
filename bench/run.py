"""The benchmarks: cosemic against the peers, in one run, with the floors that the project promises.

    python dev.py bench                              what the promises need, a few minutes
    python dev.py bench --all                        every item in every library, half an hour
    python dev.py bench --items hdlc_parse_128 --rounds 3
    python dev.py bench --check-only                 only: do all libraries give the same values?
    python dev.py bench --items tcp_get --one-core   client and server on one processor

Every library runs in a process and an environment of its own; the rounds are interleaved; a cell is the median over
the rounds of each process's median. Same input octets, same decoded values, checked before anything is timed.

The TCP items need a wake-up from one processor to another and back for each request. In a virtual machine that can
take longer than all the work, for every library alike; ``--one-core`` leaves it out, and the columns ``floor`` and
``floor_async`` show what a round trip costs without any library.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import items

ENVIRONMENTS = {
    "gurux": "gurux-dlms",
    "dlms_cosem": "dlms-cosem",
    "pydlms": "pydlms-client",
}
LIBRARIES = ("cosemic", "cosemic_async", "cosemic_durable", "dlms_cosem", "gurux", "pydlms")
FLOORS_OF_THE_MACHINE = ("floor", "floor_async")
"""No libraries: bare round trips, which say how much of a TCP figure is the kernel and the server."""
FASTEST = "the fastest peer"

#: what is promised: (item, our column, peer, at least so many times as fast)
FLOORS = (
    ("axdr_decode_uniform", "cosemic", "dlms_cosem", 8.0),
    ("axdr_decode_mixed", "cosemic", "dlms_cosem", 6.0),
    ("axdr_encode_uniform", "cosemic", "dlms_cosem", 2.5),
    ("axdr_encode_mixed", "cosemic", "pydlms", 6.0),
    ("hdlc_parse_128", "cosemic", FASTEST, 15.0),
    ("hdlc_parse_2030", "cosemic", FASTEST, 15.0),
    ("get_pair", "cosemic", "dlms_cosem", 3.0),
    ("protect_200", "cosemic", "dlms_cosem", 3.0),
    ("unprotect_200", "cosemic", "dlms_cosem", 2.0),
    ("tcp_get", "cosemic", "dlms_cosem", 2.0),
    ("tcp_get", "cosemic_async", "dlms_cosem", 1.3),
    ("tcp_profile", "cosemic", "dlms_cosem", 5.0),
    ("profile_columns", "cosemic", FASTEST, 150.0),
    ("profile_columns_compressed", "cosemic", FASTEST, 25.0),
    ("tcp_profile_table", "cosemic", "dlms_cosem", 8.0),
    ("tcp_profile_table", "cosemic", "floor", 1 / 3),  # a bare loop that only collects the blocks
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every item in every library")
    parser.add_argument("--libs", default=",".join(LIBRARIES + FLOORS_OF_THE_MACHINE))
    parser.add_argument("--items")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.6)
    parser.add_argument("--check-only", action="store_true")
    parser.add_argument("--one-core", action="store_true", help="everything on one processor (Linux)")
    parser.add_argument("--out", default=str(HERE / "results" / "latest.json"))
    arguments = parser.parse_args()
    if arguments.one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    libraries = [name for name in arguments.libs.split(",") if _python(name).exists()]
    promised = list(dict.fromkeys(item for item, *_ in FLOORS))
    names = arguments.items.split(",") if arguments.items else list(items.ITEMS) if arguments.all else promised
    if arguments.check_only:
        return _check(libraries, names)
    pairs = [(item, library) for item in names for library in libraries if arguments.all or _needed(item, library)]
    cells = _measure(pairs, arguments.rounds, arguments.seconds)
    out = Path(arguments.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"python": platform.python_version(), "cells": cells}))
    medians = {
        key: statistics.median(cell["wall"]) / cell["units"] * 1e6 for key, cell in cells.items() if cell.get("wall")
    }
    _table(cells, medians, libraries, names)
    status = _floors(medians, names)
    if not arguments.items:
        status |= _footprint()
    return status


def _needed(item: str, library: str) -> bool:
    """Whether a promise compares this library in this item; items without a promise are measured in all."""
    if library in FLOORS_OF_THE_MACHINE:
        return item == "tcp_get" or (item == "tcp_profile_table" and library == "floor")
    rows = [(ours, peer) for name, ours, peer, _ in FLOORS if name == item]
    return not rows or any(
        library in (ours, peer) or (peer == FASTEST and library in ENVIRONMENTS) for ours, peer in rows
    )


def _measure(pairs: list[tuple[str, str]], rounds: int, seconds: float) -> dict[str, dict]:
    cells: dict[str, dict] = {}
    for number in range(rounds):
        started = time.time()
        for item, library in pairs if number % 2 == 0 else reversed(pairs):
            cell = cells.setdefault(f"{item}/{library}", {"wall": [], "cpu": []})
            if "skipped" in cell or "error" in cell:
                continue
            result = _worker(library, item, "--seconds", str(seconds))
            cell.update({key: result[key] for key in ("units", "bytes", "skipped", "error") if key in result})
            for key in ("wall", "cpu"):
                if key in result:
                    cell[key].append(statistics.median(result[key]))
        print(f"round {number + 1}/{rounds} took {time.time() - started:.0f} s", file=sys.stderr, flush=True)
    return cells


def _check(libraries: list[str], names: list[str]) -> int:
    status = 0
    for item in names:
        for library in libraries:
            result = _worker(library, item, "--check-only")
            state = "ok" if result.get("checked") else f"n/a: {result['skipped']}" if "skipped" in result else "FAIL"
            status |= state == "FAIL" and library.startswith("cosemic")
            print(f"{item:28s} {library:14s} {state} {result.get('trace', '') if state == 'FAIL' else ''}", flush=True)
    return int(status)


def _worker(library: str, item: str, *options: str) -> dict:
    done = subprocess.run(
        [str(_python(library)), str(HERE / "worker.py"), library, item, *options],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    try:
        result: dict = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        result = {"error": (done.stdout + done.stderr)[-800:], "trace": done.stderr[-1500:]}
    return result


def _python(library: str) -> Path:
    if library in ENVIRONMENTS:
        folder = HERE.parent / ".venv-peers" / ENVIRONMENTS[library]
        return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return Path(sys.executable)


def _table(cells: dict[str, dict], medians: dict[str, float], libraries: list[str], names: list[str]) -> None:
    print("\nmicroseconds per unit (row, frame, APDU, request), medians\n")
    print("| item | " + " | ".join(libraries) + " |")
    print("|---|" + "---|" * len(libraries))
    for item in names:
        row = []
        for library in libraries:
            key = f"{item}/{library}"
            if key in medians:
                row.append(f"{medians[key]:.2f}")
            else:
                row.append("error" if "error" in cells.get(key, {}) else "")
        print(f"| {item} | " + " | ".join(row) + " |")


def _floors(medians: dict[str, float], names: list[str]) -> int:
    print("\n| work | ratio | at least | |")
    print("|---|---|---|---|")
    missed = 0
    for item, ours, peer, least in FLOORS:
        if item not in names or f"{item}/{ours}" not in medians:
            continue
        others = [
            medians[f"{item}/{name}"]
            for name in (ENVIRONMENTS if peer == FASTEST else (peer,))
            if f"{item}/{name}" in medians
        ]
        if not others:
            continue
        ratio = min(others) / medians[f"{item}/{ours}"]
        missed += ratio < least
        verdict = "" if ratio >= least else "missed"
        print(f"| {item} ({ours}) | {ratio:.3g} x {peer} | {least:.3g} x | {verdict} |")
    return int(bool(missed))


def _footprint() -> int:
    """Import time and memory over bare Python, and the memory of a connected client."""
    done = subprocess.run([sys.executable, str(HERE / "footprint.py")], check=False)
    return done.returncode


if __name__ == "__main__":
    raise SystemExit(main())
