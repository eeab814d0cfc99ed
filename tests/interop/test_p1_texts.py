"""The P1 texts of each country as dsmr-parser reads them, against our readings: every value, unit, time and device.

dsmr-parser has no specification for Lithuania and Switzerland. Where it says something else than we do, it is in the
list below with the reason; a difference that is not there fails, and so does one that is there and is none any more.
"""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest

from cosemic.push.decoder import PushDecoder
from cosemic.push.messages import Diagnosis, Push, PushReading, Undecoded
from cosemic.push.p1.times import read_time
from cosemic.push.protection.keys import MeterKeys
from tests.interop import peers
from tests.push import p1_texts
from tests.push.p1.test_p1_streams import AUTHENTICATION_KEY, ENCRYPTION_KEY, decode, sealed

pytestmark = pytest.mark.interop


class Case(NamedTuple):
    """A text, the specification of dsmr-parser that is for it, and how many values that gives."""

    text: str
    specification: str
    values: int
    has_checksum: bool = True
    is_sealed: bool = False

    @property
    def octets(self) -> bytes:
        return p1_texts.text(getattr(p1_texts, self.text), checksum=self.has_checksum)

    def question(self, octets: bytes | None = None) -> dict[str, str]:
        octets = self.octets if octets is None else octets
        asked = {"specification": self.specification, "text": octets.decode("ascii")}
        if not self.is_sealed:
            return asked
        keys = {"encryption_key": ENCRYPTION_KEY.hex(), "authentication_key": AUTHENTICATION_KEY.hex()}
        return asked | keys | {"sealed": sealed(octets).hex()}

    def ours(self, octets: bytes | None = None) -> Push | Undecoded:
        octets = self.octets if octets is None else octets
        keys = MeterKeys(ENCRYPTION_KEY, AUTHENTICATION_KEY) if self.is_sealed else None
        (found,) = decode(PushDecoder(keys), sealed(octets) if self.is_sealed else octets, 10_000)
        assert isinstance(found, Push | Undecoded)
        return found


CASES = {
    "DSMR 5": Case("DSMR_5", "V5", 28),
    "DSMR 5 by the rules of 4": Case("DSMR_5", "V4", 27),
    "DSMR 2": Case("DSMR_2", "V2_2", 16, has_checksum=False),
    "Belgium": Case("BELGIUM", "BELGIUM_FLUVIUS", 20),
    "Luxembourg": Case("LUXEMBOURG", "LUXEMBOURG_SMARTY", 7),
    "Luxembourg, encrypted": Case("LUXEMBOURG", "MSN", 15, is_sealed=True),
    "Sweden": Case("SWEDEN", "SWEDEN", 8),
    "Hungary": Case("HUNGARY", "EON_HUNGARY", 10),
    "Germany": Case("GERMANY", "Q3D", 5, has_checksum=False),
}

#: units that it leaves as the meter spells them
UNITS = {"m3": "m³", "kVArh": "kvarh", None: ""}
#: its code, where it is not ours: it gives the code of the profile, we that of what the profile says to be in it
CODES = {("DSMR 2", "0-1:24.3.0"): "0-1:24.2.1"}

HEX = "it leaves the hexadecimal octets of a text as they are"
EMPTY = "empty brackets are None there, and an empty text here, as the code is one of texts"
KEPT_AS_TEXT = "its DSMR 2 keeps texts where its DSMR 5 has numbers"
#: what it says, what we say, why; by case, code and field
DIFFERENCES: dict[tuple[str, str, str], tuple[object, object, str]] = {
    ("DSMR 5", "0-0:96.1.1", "value"): ("4530303331303030303030303132333435", "E0031000000012345", HEX),
    ("DSMR 5", "0-0:96.13.0", "value"): ("48616C6C6F", "Hallo", HEX),
    ("DSMR 5", "0-1:96.1.0", "value"): ("4730303339303030303030303534333231", "G0039000000054321", HEX),
    ("DSMR 5", "0-2:96.1.0", "value"): ("5730303030303030303030303030303031", "W0000000000000001", HEX),
    ("DSMR 5 by the rules of 4", "0-0:96.1.1", "value"): (
        "4530303331303030303030303132333435",
        "E0031000000012345",
        HEX,
    ),
    ("DSMR 5 by the rules of 4", "0-0:96.13.0", "value"): ("48616C6C6F", "Hallo", HEX),
    ("DSMR 5 by the rules of 4", "0-1:96.1.0", "value"): (
        "4730303339303030303030303534333231",
        "G0039000000054321",
        HEX,
    ),
    ("DSMR 5 by the rules of 4", "0-2:96.1.0", "value"): (
        "5730303030303030303030303030303031",
        "W0000000000000001",
        HEX,
    ),
    ("DSMR 2", "0-0:96.1.1", "value"): ("4B414C37303035303030303030303035", "KAL7005000000005", HEX),
    ("DSMR 2", "0-1:96.1.0", "value"): ("3238303131303030303030303030303030", "28011000000000000", HEX),
    ("DSMR 2", "0-0:96.3.10", "value"): ("1", Decimal(1), KEPT_AS_TEXT),
    ("DSMR 2", "0-1:24.1.0", "value"): ("3", Decimal(3), KEPT_AS_TEXT),
    ("DSMR 2", "0-1:24.4.0", "value"): ("1", Decimal(1), KEPT_AS_TEXT),
    ("DSMR 2", "0-0:96.13.0", "value"): (None, "", EMPTY),
    ("DSMR 2", "0-0:96.13.1", "value"): (None, "", EMPTY),
    ("Belgium", "0-0:96.1.1", "value"): ("3153414730303030303030303031", "1SAG0000000001", HEX),
    ("Belgium", "0-1:96.1.1", "value"): ("37464C4F30303030303030303031", "7FLO0000000001", HEX),
    ("Belgium", "0-2:96.1.1", "value"): ("3853414730303030303030303032", "8SAG0000000002", HEX),
    ("Belgium", "0-0:96.13.0", "value"): (None, "", EMPTY),
    ("Luxembourg", "0-0:42.0.0", "value"): ("53414731303330373030303030303031", "SAG1030700000001", HEX),
    ("Luxembourg", "0-0:96.13.0", "value"): (None, "", EMPTY),
    ("Luxembourg, encrypted", "0-0:42.0.0", "value"): ("53414731303330373030303030303031", "SAG1030700000001", HEX),
    ("Luxembourg, encrypted", "0-0:96.13.0", "value"): (None, "", EMPTY),
    ("Luxembourg, encrypted", "0-0:96.13.2", "value"): (None, "", EMPTY),
    ("Luxembourg, encrypted", "0-1:96.3.10", "device"): (
        1,
        0,
        "it takes the state of a relay of the meter for one of the device on channel 1, as A is 0 and B is not",
    ),
    ("Sweden", "0-0:1.0.0", "value"): (
        datetime.fromisoformat("2025-05-24T07:42:10+00:00"),
        datetime.fromisoformat("2025-05-24T08:42:10+00:00"),
        "it heeds the W in the doubled hour of autumn only; Swedish meters keep winter time, and say so by the W",
    ),
    ("Hungary", "0-0:96.13.0", "value"): (None, "", EMPTY),
}


def _ask(questions: list[dict[str, str]]) -> list[dict[str, Any]]:
    command = [peers.python_of("dsmr_parser"), peers.DRIVERS / "dsmr_parser_driver.py"]
    done = subprocess.run(command, input=json.dumps(questions), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    assert len(answers) == len(questions)
    return answers


@cache
def _answers() -> dict[str, dict[str, Any]]:
    return dict(zip(CASES, _ask([case.question() for case in CASES.values()]), strict=True))


def _value(text: str | None, kind: str) -> object:
    """Its value with the type that it had there; numbers as we have them, exactly."""
    if text is None or kind == "str":
        return text
    return datetime.fromisoformat(text) if kind == "datetime" else Decimal(text)


def _same(theirs: object, ours: object) -> bool:
    """Also the type: a text of digits is no number."""
    alike = (str, Decimal, datetime, int)
    return theirs == ours and (theirs is None) == (ours is None) and all(
        isinstance(theirs, kind) == isinstance(ours, kind) for kind in alike
    )  # fmt: skip


def _month(reading: PushReading) -> datetime | None:
    """The end of the month of a peak: we keep its text only."""
    assert isinstance(reading.raw, tuple)
    return read_time(str(reading.raw[0]), ZoneInfo("Europe/Amsterdam"))


def _compare(name: str, answer: dict[str, Any], push: Push) -> dict[tuple[str, str, str], tuple[object, object]]:
    """What is not the same, by case, code and field."""
    ours: dict[str, list[PushReading]] = defaultdict(list)
    for reading in push.readings:
        ours[str(reading.obis).split("*")[0]].append(reading)
    found = {}
    for row in answer["values"]:
        code = row["code"].split("*")[0]
        reading = ours[CODES.get((name, code), code)].pop(0)
        pairs = {
            "value": (_value(row["value"], row["type"]), reading.value),
            "unit": (UNITS.get(row["unit"], row["unit"]), reading.unit),
            "time": (None if row["time"] is None else datetime.fromisoformat(row["time"]), reading.time),
            "device": (row["device"], reading.device),
        }
        if row["month"] is not None:
            pairs["month"] = datetime.fromisoformat(row["month"]), _month(reading)
        found.update({(name, code, field): pair for field, pair in pairs.items() if not _same(*pair)})
    return found


@pytest.mark.parametrize("name", CASES)
def test_every_value_that_dsmr_parser_reads(name: str) -> None:
    answer = _answers()[name]
    assert "error" not in answer
    assert answer["refused"] == []
    assert len(answer["values"]) == CASES[name].values
    push = CASES[name].ours()
    assert isinstance(push, Push)
    expected = {key: known[:2] for key, known in DIFFERENCES.items() if key[0] == name}
    assert _compare(name, answer, push) == expected


def test_texts_in_hexadecimal_are_the_same_texts() -> None:
    texts = [known for known in DIFFERENCES.values() if known[2] is HEX]
    assert len(texts) > 10
    for theirs, ours, _ in texts:
        assert bytes.fromhex(str(theirs)).decode("ascii") == ours


def test_known_differences_are_of_cases_that_are_compared() -> None:
    assert {case for case, _, _ in DIFFERENCES} <= set(CASES)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.has_checksum])
def test_both_refuse_a_text_with_a_digit_changed(name: str) -> None:
    case = CASES[name]
    at = case.octets.rindex(b"*") - 1
    damaged = case.octets[:at] + bytes([case.octets[at] ^ 1]) + case.octets[at + 1 :]
    assert _ask([case.question(damaged)]) == [{"error": "InvalidChecksumError"}]
    refused = case.ours(damaged)
    assert isinstance(refused, Undecoded)
    assert refused.diagnosis is Diagnosis.DAMAGED
