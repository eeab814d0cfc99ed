"""Pushes: octets of captures to named values, cosemic against amshan and pydlms-client, in one run.

    python3 bench/pushes.py [--rounds N] [--items a,b]

Every library runs in a process and an environment of its own and does all of it: find the frame, check it, open it
where it is protected, decode, name the values and scale them. The values are compared before anything is timed: what a
peer gives under a code must be what we give, or the difference stands in ``EXPLAINED``. The captures are those of the
shared vector collection; those that come without a frame get one, the same for all.

Texts of P1 ports are built here, sixteen of one meter in a row: its clock, powers, voltages, currents and one counter
change from text to text, the others stay, as on a port that sends every second. ``_busy``: all numbers change.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
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

#: item: (lines, which lines change)
_LIVE = r"1-0:(?:[0-9]+\.7\.0|1\.8\.[01])"
_ALL = r"1-0:(?!99)[0-9.]+"
TEXTS = {
    "p1_dsmr5": ("dsmr5", _LIVE),
    "p1_dsmr5_busy": ("dsmr5", _ALL),
    "p1_sweden": ("sweden", _LIVE),
    "p1_sweden_busy": ("sweden", _ALL),
}
LINES = {
    "dsmr5": r"""/ISK5\2M550T-0000

1-3:0.2.8(50)
0-0:1.0.0(250615143007S)
0-0:96.1.1(4530303331303030303030303132333435)
1-0:1.8.1(004812.377*kWh)
1-0:1.8.2(003901.045*kWh)
1-0:2.8.1(000512.900*kWh)
1-0:2.8.2(001201.001*kWh)
0-0:96.14.0(0002)
1-0:1.7.0(00.000*kW)
1-0:2.7.0(01.193*kW)
0-0:96.7.21(00004)
0-0:96.7.9(00002)
1-0:99.97.0(2)(0-0:96.7.19)(241208152415W)(0000000240*s)(240711151004S)(0000000301*s)
1-0:32.32.0(00002)
1-0:32.36.0(00000)
0-0:96.13.0(48616C6C6F)
1-0:32.7.0(231.7*V)
1-0:31.7.0(005*A)
1-0:21.7.0(00.000*kW)
1-0:22.7.0(01.193*kW)
0-1:24.1.0(003)
0-1:96.1.0(4730303339303030303030303534333231)
0-1:24.2.1(250615142500S)(02785.123*m3)
0-2:24.1.0(007)
0-2:96.1.0(5730303030303030303030303030303031)
0-2:24.2.1(250615143000S)(00085.004*m3)
!""",
    "sweden": """/KFM5KAIFA-METER

0-0:1.0.0(250524094210W)
1-0:1.8.0(00000424.413*kWh)
1-0:2.8.0(00000000.000*kWh)
1-0:3.8.0(00000002.116*kVArh)
1-0:4.8.0(00000170.745*kVArh)
1-0:1.7.0(0000.182*kW)
1-0:3.7.0(0000.000*kVAr)
1-0:32.7.0(230.7*V)
1-0:31.7.0(-00.4*A)
!""",
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
        found[item] = {"framing": framing, "octets": [octets.hex()], "keys": case.get("keys", {}), "peers": peers}
    return found


def texts() -> dict[str, dict]:
    found = {}
    for item, (name, changing) in TEXTS.items():
        octets = [text.hex() for text in series(LINES[name], changing)]
        found[item] = {"framing": "p1", "octets": octets, "keys": {}, "peers": ("amshan", "pydlms")}
    return found


def series(lines: str, changing: str, count: int = 16) -> list[bytes]:
    """Texts of one meter: the clock goes on, and the numbers of the lines whose codes are ``changing`` are others."""
    rnd = random.Random(62056)

    def other(match: re.Match[str]) -> str:
        return match[1] + re.sub("[0-9]", lambda _: str(rnd.randrange(10)), match[2]) + match[3]

    found = []
    for number in range(count):
        text = re.sub(rf"(?m)^({changing}\()(-?[0-9.]+)([*)].*)$", other, lines)
        text = re.sub(
            r"(?m)^(0-0:1\.0\.0\([0-9]{8})[0-9]{4}", rf"\g<1>{10 + number // 6:02}{number * 10 % 60:02}", text
        )
        octets = text.replace("\n", "\r\n").encode("ascii")
        found.append(octets + b"%04X\r\n" % _arc(octets))
    return found


def _arc(octets: bytes) -> int:
    register = 0
    for octet in octets:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ 0xA001 if register & 1 else register >> 1
    return register


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

    def read(octets):
        (push,) = decoder.feed(octets)
        return push.readings

    def plain(octets):
        return {
            ".".join(map(str, reading.obis)): value
            for reading in read(octets)
            if reading.obis is not None and (value := number(reading)) is not None
        }

    def number(reading):
        if _is_number(reading.value):
            return _based(reading.value, reading.unit) if capture["framing"] == "p1" else float(reading.value)
        # digits that are a text with us are a number with pydlms-client
        return float(reading.raw) if isinstance(reading.raw, str) and reading.raw.isdecimal() else None

    return read, plain


def amshan_reader(capture):
    from han.autodecoder import AutoDecoder
    from han.dlde import ModeDReader
    from han.hdlc import HdlcFrameReader

    frames, decoder = ModeDReader() if capture["framing"] == "p1" else HdlcFrameReader(), AutoDecoder()

    def read(octets):
        message = None
        for frame in frames.read(octets):
            if frame.is_valid and frame.payload:
                message = decoder.decode_message(frame)
        return message

    def plain(octets):
        return {name: float(value) for name, value in read(octets).items() if _is_number(value)}

    return read, plain


def pydlms_reader(capture):
    if capture["framing"] == "p1":
        return pydlms_text_reader()
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

    def read(octets):
        (message,) = decoder.feed(octets)
        return [(record, record.value) for record in message.records]

    def plain(octets):
        return {
            ".".join(map(str, bytes_of(record.obis))): float(value)
            for record, value in read(octets)
            if record.obis is not None and _is_number(value)
        }

    def bytes_of(obis):
        return bytes(obis) if hasattr(obis, "__bytes__") else obis.to_bytes()

    return read, plain


def pydlms_text_reader():
    """It finds no texts in a stream: it is given whole ones."""
    from pydlms.profiles.dsmr import parse_telegram as read

    def plain(octets):
        numbers = {}
        for code, values in read(octets).lines.items():
            for value in values:
                if value.number is not None:
                    key = f"{code.a}.{code.b}.{code.c}.{code.d}.{code.e}.{code.f}"
                    numbers[key] = _based(value.number, value.unit)
        return numbers

    return read, plain


def _based(value, unit):
    """In W, Wh and the like: amshan has no kilo."""
    return float(value * (1000 if unit and unit.startswith("k") else 1))


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
            telegrams = [bytes.fromhex(octets) for octets in capture["octets"]]
            values = [plain(octets) for octets in telegrams]
        except Exception as error:  # what a peer cannot read is part of the result
            found[item] = {"error": f"{type(error).__name__}: {error}"[:200]}
            continue
        following = list(itertools.islice(itertools.cycle(telegrams), REPEATS))
        for octets in following[:20]:
            read(octets)
        times = []
        for _ in range(5):
            begin = time.perf_counter()
            for octets in following:
                read(octets)
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
    "active_power_import_l1": "1.0.21.7.0.255",
    "active_power_export_l1": "1.0.22.7.0.255",
}

#: (item, library): why values differ
_RAW = "it gives the numbers as sent; scaler and unit are not in the push, and our layout knows them"
_CUT = "it multiplies floats by 1000 and cuts off what is behind the point: 32.321 kW become 32320 W"
EXPLAINED: dict[tuple[str, str], str] = {
    ("kaifa_se", "pydlms"): _RAW,
    ("cyprus_blocks", "pydlms"): _RAW,
    **{(item, "amshan"): _CUT for item in TEXTS},
}


def differences(library: str, theirs: dict, ours: dict) -> list[str]:
    found = []
    for name, value in theirs.items():
        code = AMSHAN.get(name, name) if library == "amshan" else name
        if library == "amshan" and name not in AMSHAN:
            if not re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", name):
                continue
            code = f"1.0.{name}.255"  # of a code that it has no name for, it keeps C, D and E
        mine = next((ours[key] for key in (code, "1.1" + code[3:]) if key in ours), None)
        if mine is None or abs(mine - value) > 1e-9 * max(1.0, abs(value)):
            found.append(f"{name}: they say {value}, we say {mine}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="pushes: cosemic against its peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--items", default=",".join((*ITEMS, *TEXTS)))
    parser.add_argument("--worker")
    arguments = parser.parse_args()
    if arguments.worker:
        return work(arguments.worker)
    wanted = arguments.items.split(",")
    corpus = {item: capture for item, capture in texts().items() if item in wanted}
    if any(item in ITEMS for item in wanted):
        if not VECTORS.exists():
            print(f"the captures are not there: {VECTORS}", file=sys.stderr)
            return 2
        corpus = {item: capture for item, capture in captures().items() if item in wanted} | corpus
    times: dict[tuple[str, str], list[float]] = {}
    values: dict[tuple[str, str], list[dict]] = {}
    for _ in range(arguments.rounds):
        for library in READERS:
            asked = {item: capture for item, capture in corpus.items() if library in ("cosemic", *capture["peers"])}
            for item, result in _ask(library, asked).items():
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
            pairs = zip(values.get((item, library), ()), values[item, "cosemic"], strict=False)
            wrong = [each for theirs, mine in pairs for each in differences(library, theirs, mine)]
            if wrong and (item, library) in EXPLAINED:
                print(f"    {library} differs: {EXPLAINED[item, library]}")
            elif wrong:
                status = 1
                print(f"    {library} differs: " + "; ".join(wrong))
    return status


if __name__ == "__main__":
    raise SystemExit(main())
