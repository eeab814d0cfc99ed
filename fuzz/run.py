#!/usr/bin/env python3
"""Fuzz every target, or one, for some time.

    python fuzz/run.py --seconds 120                   all targets, the time shared among them
    python fuzz/run.py --seconds 60 --target apdu      one target
    python fuzz/run.py --target apdu --input C401C1    one input, to see what a reproducer does
    python fuzz/run.py --linear                        the time of long inputs, measured: is it linear?

With atheris (extra ``fuzz``) coverage leads the way; without it, or with ``--plain``, seeds are mutated blindly and the
same seed gives the same inputs. The first violation ends the run with its traceback, the input in hexadecimal digits,
and status 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "src")]

HANG = 10
"""Seconds after which one input counts as a hang."""


def main(arguments: Sequence[str]) -> int:
    """Run as asked; the exit status is 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--target", action="append", help="by name; may be given several times")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="do not use atheris")
    parser.add_argument("--input", help="hexadecimal digits of one input")
    parser.add_argument("--linear", action="store_true", help="measure the time of long inputs instead")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.worker:
        return _atheris(given.target[0], given.seconds, given.seed)
    from fuzz.targets import TARGETS

    names = given.target or list(TARGETS)
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        parser.error(f"no target {unknown[0]}; there are {', '.join(TARGETS)}")
    if given.input is not None:
        return max(_once(name, bytes.fromhex(given.input)) for name in names)
    if given.linear:
        from fuzz import linear

        return linear.report(names)
    led = importlib.util.find_spec("atheris") is not None and not given.plain
    print(f"fuzzing {len(names)} targets {'with atheris' if led else 'by blind mutation'}", flush=True)
    for name in names:
        seconds = given.seconds / len(names)
        if _led(name, seconds, given.seed) if led else _blind(name, seconds, given.seed):
            return 1
    return 0


def _once(name: str, data: bytes) -> int:
    """Run one input; the traceback and its digits when it is a violation."""
    from fuzz.targets import TARGETS
    from fuzz.violation import watched_log

    try:
        with watched_log(), _Watch():
            TARGETS[name](data)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        traceback.print_exc()
        print(f"VIOLATION in {name}: --target {name} --input {data.hex() or chr(34) * 2}", flush=True)
        return 1
    return 0


def _blind(name: str, seconds: float, seed: int) -> int:
    from fuzz.mutate import Mutator
    from fuzz.seeds import corpus

    seeds = corpus(name)
    mutator = Mutator(seeds, seed)
    count = 0
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        data = seeds[count] if count < len(seeds) else mutator.next()
        count += 1
        if _once(name, data):
            return 1
    print(f"{name:16} {count:10,} executions", flush=True)
    return 0


def _led(name: str, seconds: float, seed: int) -> int:
    """atheris never returns, and finds most in a process of its own."""
    command = [sys.executable, __file__, "--worker", "--target", name, "--seconds", str(seconds), "--seed", str(seed)]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True
        )
        found = sorted(Path(folder).glob("out/*"))
        if done.returncode or found:
            print("\n".join(line for line in done.stdout.splitlines()[-60:] if not line.startswith("#")))
            for file in found:
                kind = file.name.split("-", maxsplit=1)[0]
                print(f"VIOLATION ({kind}) in {name}: --target {name} --input {file.read_bytes().hex()}", flush=True)
            return 1
    executed = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stdout)
    count = int(executed[1]) if executed else 0
    print(f"{name:16} {count:10,} executions", flush=True)
    if not count:
        print("\n".join(done.stdout.splitlines()[-20:]))
        return 1
    return 0


def _atheris(name: str, seconds: float, seed: int) -> int:
    import atheris

    with atheris.instrument_imports(include=_LED_BY.get(name, ["cosemic"])):
        from fuzz.targets import TARGETS
    from fuzz.seeds import corpus
    from fuzz.violation import watched_log

    target = TARGETS[name]
    Path("corpus").mkdir()
    Path("out").mkdir()
    seeds = corpus(name)
    fewer = seeds[:: 1 + int(len(seeds) / (20 * seconds))]  # all of the corpus is run first, however long it takes
    for number, data in enumerate(fewer):
        Path("corpus", str(number)).write_bytes(data)

    def one(data: bytes) -> None:
        try:
            target(data)
        except BaseException:
            traceback.print_exc()
            Path("out", "crash").write_bytes(data)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(77)

    options = [f"-max_total_time={max(1, int(seconds))}", f"-seed={seed}", "-max_len=4096", f"-timeout={HANG}"]
    options += ["-rss_limit_mb=2048", "-artifact_prefix=out/", "-print_final_stats=1", "corpus"]
    with watched_log():
        atheris.Setup([sys.argv[0], *options], one)
        atheris.Fuzz()
    return 0


_DECODERS, _LINKS = ["cosemic.codec", "cosemic.apdu"], ["cosemic.link"]
_LED_BY = {
    **dict.fromkeys(("axdr", "data", "text", "apdu", "envelope", "ber"), _DECODERS),
    **dict.fromkeys(("frame", "made-frame", "frame-reader", "parameters", "wrapper"), _LINKS),
    **dict.fromkeys(("hdlc-client", "hdlc-server", "wrapper-link"), _LINKS),
    "push-stream": ["cosemic.push.reader", "cosemic.push.framings", *_LINKS],
    "times": ["cosemic.times"],
    "obis": ["cosemic.obis"],
}
"""Whose coverage leads: to prepare all of cosemic takes seconds, and makes it slow."""


class _HangError(BaseException):
    """One input took too long; nothing may catch it."""


class _Watch:
    """Ends what takes longer than HANG seconds, where the system has an alarm clock."""

    def __enter__(self) -> None:
        if hasattr(signal, "SIGALRM"):
            self._before = signal.signal(signal.SIGALRM, self._ring)
            signal.alarm(HANG)

    def __exit__(self, *_: object) -> None:
        if hasattr(signal, "SIGALRM"):
            signal.alarm(0)
            signal.signal(signal.SIGALRM, self._before)

    @staticmethod
    def _ring(*_: object) -> None:
        raise _HangError(f"no end after {HANG} s")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
