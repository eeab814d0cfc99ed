"""Pushes: octets of captures to named values, cosemic against amshan and pydlms-client, in one run.

    python3 bench/pushes.py [--rounds N] [--items a,b]

Every library runs in a process and an environment of its own and does all of it: find the frame, check it, open it
where it is protected, decode, name the values and scale them. The values are compared before anything is timed: what a
peer gives under a code must be what we give, or the difference stands in ``EXPLAINED``. The captures are those of the
shared vector collection; those that come without a frame get one, the same for all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VECTORS = ROOT.parent / "shared" / "vectors" / "pushes.json"
PROMISED = 5.0
REPEATS = 200

#: item: (capture, framing, the peers that read it)
ITEMS = {
    "aidon_no_list_2": ("aidon-no-list-2", "hdlc", ("amshan", "pydlms")),
    "aidon_se": ("aidon-se-list", "hdlc", ("amshan", "pydlms")),
    "kaifa_no_list_2": ("norway-kaifa-ma304h3e-list2", "hdlc", ("amshan", "pydlms")),
    "kaifa_se": ("kaifa-se-list", "hdlc", ("amshan", "pydlms")),
    "kamstrup_no": ("norway-kamstrup-1h-list", "hdlc", ("amshan", "pydlms")),
    "cyprus_blocks": ("cyprus-landis-gyr-e450-gbt-plain-1", "hdlc", ("pydlms",)),
    "e450_blocks_encrypted": ("austria-landis-gyr-e450-gbt-encrypted", "hdlc", ("pydlms",)),
    "netz_noe_mbus_encrypted": ("netz-noe-kaifa-mbus-official-example", "mbus", ("pydlms",)),
}


# -- the corpus -------------------------------------------------------------------------------------------------------
def _crc(octets: bytes) -> bytes:
    register = 0xFFFF
    for octet in octets:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ 0x8408 if register & 1 else register >> 1
    return (register ^ 0xFFFF).to_bytes(2, "little")


def framed(apdu: bytes) -> bytes:
    """A UI frame of type 3 around the APDU, with the LLC header of a meter."""
    information = b"\xe6\xe7\x00" + apdu
    head = (0xA000 | len(information) + 10).to_bytes(2, "big") + b"\x41\x08\x83\x13"
    head += _crc(head)
    return b"\x7e" + head + information + _crc(head + information) + b"\x7e"


def captures() -> dict[str, dict]:
    cases = {case["name"]: case for case in json.loads(VECTORS.read_text())["cases"]}
    found = {}
    for item, (name, framing, peers) in ITEMS.items():
        case = cases[name]
        octets = bytes.fromhex(case["bytes"])
        if case["kind"] == "push-raw":
            octets = framed(octets)
        found[item] = {"framing": framing, "octets": octets.hex(), "keys": case.get("keys", {}), "peers": peers}
    return found


# -- what each library does -------------------------------------------------------------------------------------------
def cosemic_reader(capture):
    from cosemic.push.decoder import PushDecoder
    from cosemic.push.protection.keys import KeyTable, MeterKeys

    keys = capture["keys"]
    table = None
    if keys:
        meter = MeterKeys(
            keys["encryption_key"],
            keys.get("authentication_key"),
            check_replay=False,
            allow_example_keys=True,
            without_verifying="authentication_key" not in keys,
        )
        table = KeyTable(default=meter)
    decoder = PushDecoder(table)
    octets = bytes.fromhex(capture["octets"])

    def read():
        (push,) = decoder.feed(octets)
        return push.readings

    def plain():
        return {
            ".".join(map(str, reading.obis)): float(reading.value)
            for reading in read()
            if reading.obis is not None and _is_number(reading.value)
        }

    return read, plain


def amshan_reader(capture):
    from han.autodecoder import AutoDecoder
    from han.hdlc import HdlcFrameReader

    frames, decoder = HdlcFrameReader(), AutoDecoder()
    octets = bytes.fromhex(capture["octets"])

    def read():
        message = None
        for frame in frames.read(octets):
            if frame.is_valid and frame.payload:
                message = decoder.decode_message(frame)
        return message

    def plain():
        return {name: float(value) for name, value in read().items() if _is_number(value)}

    return read, plain


def pydlms_reader(capture):
    import pydlms.profiles.norway  # noqa: F401 - it registers its profiles
    from pydlms.profiles import get_profile
    from pydlms.push import PushDecoder
    from pydlms.security.context import SecurityContext
    from pydlms.security.suites import SecurityPolicy

    security = None
    if capture["keys"]:
        security = SecurityContext(
            encryption_key=bytes.fromhex(capture["keys"]["encryption_key"]),
            authentication_key=bytes.fromhex(capture["keys"].get("authentication_key", "")) or None,
            replay_protection=False,
            policy=SecurityPolicy.ENCRYPTED,
        )
    name = "kaifa-han-no" if capture["item"] == "kaifa_no_list_2" else None
    profile = get_profile(name) if name else None
    decoder = PushDecoder(capture["framing"], security, profile)
    octets = bytes.fromhex(capture["octets"])

    def read():
        (message,) = decoder.feed(octets)
        return [(record, record.value) for record in message.records]

    def plain():
        return {
            ".".join(map(str, bytes_of(record.obis))): float(value)
            for record, value in read()
            if record.obis is not None and _is_number(value)
        }

    def bytes_of(obis):
        return bytes(obis) if hasattr(obis, "__bytes__") else obis.to_bytes()

    return read, plain


def _is_number(value):
    from decimal import Decimal

    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


READERS = {"cosemic": cosemic_reader, "amshan": amshan_reader, "pydlms": pydlms_reader}


def work(library: str) -> int:
    """One process of one library: captures in, values and times out."""
    found = {}
    for item, capture in json.load(sys.stdin).items():
        try:
            read, plain = READERS[library](capture | {"item": item})
            values = plain()
        except Exception as error:  # what a peer cannot read is part of the result
            found[item] = {"error": f"{type(error).__name__}: {error}"[:200]}
            continue
        for _ in range(20):
            read()
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            for _ in range(REPEATS):
                read()
            times.append((time.perf_counter() - begin) / REPEATS)
        found[item] = {"values": values, "seconds": min(times)}
    print(json.dumps(found))
    return 0


# -- comparison -------------------------------------------------------------------------------------------------------
#: amshan names its fields; these are the codes they stand for
AMSHAN = {
    "active_power_import": "1.0.1.7.0.255",
    "active_power_export": "1.0.2.7.0.255",
    "reactive_power_import": "1.0.3.7.0.255",
    "reactive_power_export": "1.0.4.7.0.255",
    "current_l1": "1.0.31.7.0.255",
    "current_l2": "1.0.51.7.0.255",
    "current_l3": "1.0.71.7.0.255",
    "voltage_l1": "1.0.32.7.0.255",
    "voltage_l2": "1.0.52.7.0.255",
    "voltage_l3": "1.0.72.7.0.255",
    "active_power_import_total": "1.0.1.8.0.255",
    "active_power_export_total": "1.0.2.8.0.255",
    "reactive_power_import_total": "1.0.3.8.0.255",
    "reactive_power_export_total": "1.0.4.8.0.255",
}

#: (item, library): why values differ
_RAW = "it gives the numbers as sent; scaler and unit are not in the push, and our layout knows them"
EXPLAINED: dict[tuple[str, str], str] = {("kaifa_se", "pydlms"): _RAW, ("cyprus_blocks", "pydlms"): _RAW}


def differences(library: str, theirs: dict, ours: dict) -> list[str]:
    found = []
    for name, value in theirs.items():
        code = AMSHAN.get(name, name) if library == "amshan" else name
        mine = next((ours[key] for key in (code, "1.1" + code[3:]) if key in ours), None)
        if library == "amshan" and name not in AMSHAN:
            continue
        if mine is None or abs(mine - value) > 1e-9 * max(1.0, abs(value)):
            found.append(f"{name}: they say {value}, we say {mine}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="pushes: cosemic against its peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--items", default=",".join(ITEMS))
    parser.add_argument("--worker")
    arguments = parser.parse_args()
    if arguments.worker:
        return work(arguments.worker)
    if not VECTORS.exists():
        print(f"the captures are not there: {VECTORS}", file=sys.stderr)
        return 2
    corpus = {item: capture for item, capture in captures().items() if item in arguments.items.split(",")}
    times: dict[tuple[str, str], list[float]] = {}
    values: dict[tuple[str, str], dict] = {}
    for _ in range(arguments.rounds):
        for library in READERS:
            wanted = {item: capture for item, capture in corpus.items() if library in ("cosemic", *capture["peers"])}
            for item, result in _ask(library, wanted).items():
                if "error" in result:
                    print(f"{item}: {library} cannot: {result['error']}", file=sys.stderr)
                    continue
                times.setdefault((item, library), []).append(result["seconds"])
                values[item, library] = result["values"]
    return report(corpus, times, values)


def _ask(library: str, corpus: dict) -> dict:
    folder = {"cosemic": ".venv", "amshan": ".venv-peers/amshan", "pydlms": ".venv-peers/pydlms-client"}[library]
    done = subprocess.run(
        [ROOT / folder / "bin" / "python", __file__, "--worker", library],
        input=json.dumps(corpus),
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def report(corpus: dict, times: dict, values: dict) -> int:
    status = 0
    print(f"{'push':28}{'cosemic':>10}{'amshan':>10}{'pydlms':>10}{'  ratio':>9}  (us; ratio to the faster peer)")
    for item in corpus:
        if (item, "cosemic") not in times:
            print(f"{item:28}{'-':>10}")
            status = 1
            continue
        ours = statistics.median(times[item, "cosemic"])
        row, best = f"{item:28}{ours * 1e6:10.1f}", None
        for library in ("amshan", "pydlms"):
            taken = times.get((item, library))
            row += f"{statistics.median(taken) * 1e6:10.1f}" if taken else f"{'-':>10}"
            if taken:
                best = min(best or 1e9, statistics.median(taken))
        ratio = best / ours if best else 0.0
        print(row + f"{ratio:8.1f}x" + ("" if ratio >= PROMISED else f"  missed: {PROMISED:g} x promised"))
        status |= ratio < PROMISED
        for library in ("amshan", "pydlms"):
            wrong = differences(library, values.get((item, library), {}), values[item, "cosemic"])
            if wrong and (item, library) in EXPLAINED:
                print(f"    {library} differs: {EXPLAINED[item, library]}")
            elif wrong:
                status = 1
                print(f"    {library} differs: " + "; ".join(wrong))
    return status


if __name__ == "__main__":
    raise SystemExit(main())
