"""All captured pushes redacted: the readings are the same, the identities gone, also for other people's decoders."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from cosemic.codec.typed import BitString
from cosemic.explain import explain_text
from cosemic.push.messages import Push, PushReading, Undecoded
from cosemic.redacting import Keep
from tests.interop.peers import DRIVERS, ROOT, python_of
from tests.redacting.support import decoded, joined, keys_of, left, lines, redacted, serial_numbers
from tests.vectors.collection import REASON, load

CASES = [case for topic in ("pushes", "issue-captures") for case in load(topic)]
PUSHES = load("pushes")
needs_cases = pytest.mark.skipif(not CASES, reason=REASON)


def name(case: dict[str, Any]) -> str:
    return str(case["name"])


def is_identity(reading: PushReading) -> bool:
    """Objects that hold numbers of meters, customers and devices, and texts for customers."""
    if reading.obis is None:
        return False
    _, _, c, d, _, _ = bytes(reading.obis)
    return (c, d) == (0, 0) or c == 42 or (c == 96 and d in (1, 13))


def opened(case: dict[str, Any]) -> tuple[list[Any], list[Any], bytes, bytes]:
    """Before, after, and the plain octets of both."""
    ek, ak = keys_of(case)
    result = redacted(lines(case), ek, ak)
    before = decoded([bytes.fromhex(line) for line in lines(case)], ek, ak)
    keys = result.keys[0] if result.keys else None
    after = decoded(
        [chunk.octets for chunk in result.chunks],
        keys and keys.encryption_key,
        keys.authentication_key if keys is not None and ak is not None else None,
    )
    plain = b"".join(item.body.octets for item in after if isinstance(item, Push) and item.body is not None)
    return before, after, plain, joined(result.chunks)


@needs_cases
@pytest.mark.parametrize("case", CASES, ids=name)
def test_the_readings_are_the_same_but_for_identities(case: dict[str, Any]) -> None:
    before, after, _, _ = opened(case)
    assert [type(item) for item in after] == [type(item) for item in before]
    for old, new in zip(before, after, strict=True):
        if isinstance(old, Undecoded):
            assert new.diagnosis == old.diagnosis
        if not isinstance(old, Push):
            continue
        assert (new.kind, new.time, new.layout) == (old.kind, old.time, old.layout)
        assert len(new.readings) == len(old.readings)
        for was, now in zip(old.readings, new.readings, strict=True):
            assert (now.name, now.obis, now.unit, now.time, now.scaler) == (
                was.name, was.obis, was.unit, was.time, was.scaler,
            )  # fmt: skip
            if isinstance(was.value, (str, bytes)) and not isinstance(was.value, BitString):
                assert len(now.value) == len(was.value)
                if is_identity(was) and len(set(was.value)) > 1:
                    assert now.value != was.value
            else:
                assert now.value == was.value


@needs_cases
@pytest.mark.parametrize("case", CASES, ids=name)
def test_no_identity_is_left(case: dict[str, Any]) -> None:
    before, _, plain, octets = opened(case)
    identities = serial_numbers(b"".join(bytes.fromhex(line) for line in lines(case)))
    for push in before:
        if isinstance(push, Push):
            if push.body is not None:
                identities |= serial_numbers(push.body.octets)
            if push.system_title is not None and len(set(push.system_title[3:])) > 2:
                identities.add(push.system_title)
    identities = {one for one in identities if not re.fullmatch(rb"(KFM|AIDON|Kamstrup)_V?[0-9]+", one)}
    assert not left(identities, octets)
    assert not left(identities, plain)


@needs_cases
@pytest.mark.parametrize("case", CASES, ids=name)
def test_it_is_explained_as_before(case: dict[str, Any]) -> None:
    """No fault more than before, the same fields in the same places."""
    result = redacted(lines(case))
    was = explain_text("\n".join(lines(case)))
    now = explain_text("\n".join(chunk.octets.hex() for chunk in result.chunks))
    if was.ok:
        assert now.ok, now.fault
        assert [(line.offset, line.length, line.field) for line in now.lines] == [
            (line.offset, line.length, line.field) for line in was.lines
        ]


@needs_cases
@pytest.mark.parametrize("case", PUSHES, ids=name)
def test_what_stays_on_request(case: dict[str, Any]) -> None:
    """With everything kept only secrets and what is known to identify changes."""
    kept = redacted(lines(case), keep=list(Keep))
    assert kept.unknown_octets == 0
    assert [len(chunk.octets) for chunk in kept.chunks] == [len(line) // 2 for line in lines(case)]


HDLC = [case for case in PUSHES if case["kind"] == "push-hdlc"]


def foreign(library: str, octets: list[bytes]) -> list[Any]:
    folder = {"gurux": "gurux-dlms", "amshan": "amshan"}[library]
    python = ROOT / ".venv-peers" / folder / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{folder} is not installed")
    done = subprocess.run(
        [python, DRIVERS / f"{library}_frames_driver.py"],
        input="".join(f'"{item.hex()}"\n' for item in octets),
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(octets), done.stderr[-1000:]
    return found


@needs_cases
@pytest.mark.interop
def test_amshan_reads_the_same_values() -> None:
    originals = [bytes.fromhex("".join(lines(case))) for case in HDLC]
    results = [joined(redacted(lines(case)).chunks) for case in HDLC]
    compared = 0
    for was, now in zip(foreign("amshan", originals), foreign("amshan", results), strict=True):
        assert len(was) == len(now)
        for old, new in zip(was, now, strict=True):
            assert new["valid"] is True
            if old["values"] is None:
                continue
            compared += 1
            assert new["values"].keys() == old["values"].keys()
            changed = {key for key in old["values"] if old["values"][key] != new["values"][key]}
            assert changed <= {"meter_id", "meter_type"}
    assert compared >= 8


@needs_cases
@pytest.mark.interop
def test_gurux_dlms_reads_the_same_values() -> None:
    python_of("gurux")
    originals = [bytes.fromhex("".join(lines(case))) for case in HDLC]
    results = [joined(redacted(lines(case)).chunks) for case in HDLC]
    compared = 0
    for was, now in zip(foreign("gurux", originals), foreign("gurux", results), strict=True):
        assert was.keys() == now.keys()
        if "xml" in was:
            compared += 1
            assert _numbers(now["xml"]) == _numbers(was["xml"])
    assert compared >= 6


def _numbers(xml: str) -> list[str]:
    """The lines of a translation without strings, whose contents may differ, and general blocks, which hold all."""
    return [
        re.sub(r'Value=".*"', "", line) if re.search("String|BlockData|SystemTitle", line) else line
        for line in xml.splitlines()
        if not line.strip().startswith("<!--")
    ]
