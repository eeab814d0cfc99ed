"""Tariff tables as gurux-dlms encodes them are read as what they say, and ours are the same octets."""

from __future__ import annotations

import json
import subprocess

import pytest

from cosemic.codec import axdr
from cosemic.cosem import tariff_tables as tables
from cosemic.cosem.tariff_tables import (
    WRITE_ATTRIBUTE,
    DayAction,
    DayProfile,
    EmergencyProfile,
    Script,
    ScriptAction,
    ScriptReference,
    Season,
    WeekProfile,
)
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime, CosemTime
from tests.interop import peers

pytestmark = pytest.mark.interop

LIMITS = ObisCode(0, 0, 10, 0, 106, 255)
NOON = CosemDateTime(2025, 12, 24, None, 0, 0, 0)
SAID = {
    "20/7": (Season(b"WINTER", CosemDateTime(month=11, day=1, hour=0, minute=0, second=0), b"W1"),),
    "20/8": (WeekProfile(b"W1", (1, 1, 1, 1, 1, 2, 3)),),
    "20/9": (DayProfile(1, (DayAction(CosemTime(6, 0, 0), ScriptReference(ObisCode(0, 0, 10, 0, 100, 255), 2)),)),),
    "9/2": (
        Script(2, (ScriptAction(WRITE_ATTRIBUTE, 6, ObisCode(0, 0, 14, 0, 0, 255), 4, axdr.octet_string(b"T2")),)),
    ),
    "71/2": (3, ObisCode(1, 0, 1, 7, 0, 255), 2),
    "71/8": EmergencyProfile(7, NOON, 3600),
    "71/11": (ScriptReference(LIMITS, 1), ScriptReference(LIMITS, 2)),
    "6/2": ((3, ObisCode(1, 0, 1, 8, 1, 255)), (3, ObisCode(1, 0, 1, 8, 2, 255))),
    "6/3": ((b"T1", (1,)), (b"T2", (2,))),
}
WAYS = {
    "20/7": (tables.decode_seasons, tables.encode_seasons),
    "20/8": (tables.decode_weeks, tables.encode_weeks),
    "20/9": (tables.decode_days, tables.encode_days),
    "9/2": (tables.decode_scripts, tables.encode_scripts),
    "71/2": (tables.decode_monitored, tables.encode_monitored),
    "71/8": (tables.decode_emergency_profile, tables.encode_emergency_profile),
    "71/11": (tables.decode_limiter_actions, lambda both: tables.encode_limiter_actions(*both)),
    "6/2": (tables.decode_registers, tables.encode_registers),
    "6/3": (tables.decode_masks, tables.encode_masks),
}


@pytest.fixture(scope="module")
def theirs() -> dict[str, bytes]:
    driver = peers.DRIVERS / "gurux_tariff_driver.py"
    done = subprocess.run([peers.python_of("gurux"), driver], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-1000:]
    return {key: bytes.fromhex(octets) for key, octets in json.loads(done.stdout).items()}


@pytest.mark.parametrize("key", WAYS)
def test_the_encoding_of_gurux_is_ours(theirs: dict[str, bytes], key: str) -> None:
    decode, encode = WAYS[key]
    octets = theirs[key]
    value = axdr.decode_typed(octets) if key == "9/2" else axdr.decode(octets)
    assert decode(value) == SAID[key]
    assert axdr.encode(encode(SAID[key])) == octets
