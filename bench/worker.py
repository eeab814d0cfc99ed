"""One process: check and time one (library, item). Prints one JSON object.

    python worker.py LIBRARY ITEM [--seconds 0.6] [--check-only]

It runs in the library's own environment; the result is compared with the corpus before anything is timed, and the
garbage collector stays on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import adapters
import items
from adapters.base import NotSupported


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lib")
    parser.add_argument("item")
    parser.add_argument("--seconds", type=float, default=0.6)
    parser.add_argument("--check-only", action="store_true")
    arguments = parser.parse_args()
    out: dict = {"lib": arguments.lib, "item": arguments.item, "python": sys.version.split()[0]}
    try:
        call, units, octets, check = items.ITEMS[arguments.item](adapters.load(arguments.lib))
        started = time.perf_counter()
        check(call())  # the warm-up, too
        first = time.perf_counter() - started
        out.update(units=units, bytes=octets, checked=True)
        if not arguments.check_only:
            wall, cpu = [], []
            stop = time.perf_counter() + arguments.seconds
            while len(wall) < (3 if first < 3 else 1) or time.perf_counter() < stop:
                c, t = time.process_time(), time.perf_counter()
                call()
                wall.append(time.perf_counter() - t)
                cpu.append(time.process_time() - c)
            out.update(wall=wall, cpu=cpu)
    except (NotSupported, NotImplementedError) as error:
        out.update(skipped=str(error))
    except Exception as error:
        out.update(error=f"{type(error).__name__}: {error}", trace=traceback.format_exc()[-1500:])
    finally:
        cleanup = getattr(items.tcp_get, "cleanup", None)
        if cleanup:
            with contextlib.suppress(Exception):
                cleanup()
    print(json.dumps(out), flush=True)
    os._exit(0)  # a library's threads are not waited for


if __name__ == "__main__":
    main()
