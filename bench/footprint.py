"""Import time and memory of cosemic over bare Python, and what one connected client costs.

Medians of fresh interpreters, interleaved with bare ones. A connected client is measured as the growth of traced
memory over 200 clients of one in-process server's sockets.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tracemalloc
from pathlib import Path

RUNS = 15
PROBE = """
import time, sys
started = time.perf_counter()
{statement}
seconds = time.perf_counter() - started
resident = next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmRSS'))
print(seconds, resident)
"""

ROWS = 1_000_000
PEAK = """
import sys
sys.path.insert(0, {bench!r})
import corpus
import pyarrow
from adapters.cosemic_adapter import ADAPTER
from cosemic.codec.axdr import Limits
from cosemic.cosem.profile import decode_profile

def status(key):
    return next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith(key)) * 1024

columns = ADAPTER().columns
limits = Limits(elements=1 << 26, octets=1 << 30)
decode_profile(columns, corpus.{kind}_bytes(1000), capture_period=900).to_arrow()
head, rows = corpus.{kind}_bytes({rows} // 20), b""
start = 1 + len(corpus.length({rows} // 20))
octets = b"\\x01" + corpus.length({rows}) + head[start:] * 20
corpus.{kind}.cache_clear(), corpus.{kind}_bytes.cache_clear()
import gc
gc.collect()
open('/proc/self/clear_refs', 'w').write('5')  # the peak counts from here
before = status('VmRSS')
table = decode_profile(columns, octets, capture_period=900, limits=limits).to_arrow()
peak = status('VmHWM') - before
assert table.num_rows == {rows}
print(peak, table.nbytes, len(octets))
"""


def main() -> int:
    bare, loaded, seconds = [], [], []
    for _ in range(RUNS):
        bare.append(_probe("pass")[1])
        taken, resident = _probe("import cosemic")
        seconds.append(taken)
        loaded.append(resident)
    milliseconds = statistics.median(seconds) * 1000
    mebibytes = (statistics.median(loaded) - statistics.median(bare)) / 1024
    client_seconds, client_resident = _probe("from cosemic import DlmsClient, blocking; blocking.DlmsClient")
    kibibytes = _client()
    greatest = max(map(_peak, ("uniform", "compressed")))
    print(f"\nimport cosemic: {milliseconds:.1f} ms and {mebibytes:.1f} MiB over bare Python (under 60 ms, 10 MiB)")
    print(
        f"import of both clients: {client_seconds * 1000:.0f} ms, "
        f"{(client_resident - statistics.median(bare)) / 1024:.1f} MiB over bare Python"
    )
    print(f"a connected client: {kibibytes:.1f} KiB (under 8 KiB)")
    return int(greatest >= 3 or milliseconds >= 60 or mebibytes >= 10 or kibibytes >= 8)


def _probe(statement: str) -> tuple[float, int]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(statement=statement)], capture_output=True, text=True, check=True
    )
    taken, resident = done.stdout.split()
    return float(taken), int(resident)


def _peak(kind: str) -> float:
    """The peak of memory while a million rows become columns, as a multiple of the columns."""
    program = PEAK.format(bench=str(Path(__file__).resolve().parent), kind=kind, rows=ROWS)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    peak, size, octets = map(int, done.stdout.split())
    print(
        f"{ROWS:,} rows ({kind}, {octets >> 20} MiB) to columns of {size >> 20} MiB: "
        f"{peak / size:.2f} x their size at the peak (under 3)"
    )
    return peak / size


def _client() -> float:
    import items

    from cosemic import blocking

    server, port = items.start_server()
    try:
        url = f"tcp://127.0.0.1:{port}"
        kept = [_connected(blocking, url) for _ in range(5)]  # whatever the first ones load is not a client's cost
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        kept += [_connected(blocking, url) for _ in range(200)]
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        for client in kept:
            client.close()
        return (after - before) / 200 / 1024
    finally:
        server.kill()
        server.wait()


def _connected(blocking, url: str):  # type: ignore[no-untyped-def]
    client = blocking.DlmsClient(url, client_sap=16, server_sap=1)
    client.connect()
    client.get(3, "1.0.1.8.0.255", 2)
    return client


if __name__ == "__main__":
    raise SystemExit(main())
