"""What octets look like a push: captures do, random octets do not."""

from __future__ import annotations

import random
from typing import Any

import pytest

from cosemic.push.protection.plausibility import Judgement, Likeness, judge
from cosemic.tolerances import DEFAULT, STRICT, Tolerance
from tests.push.sealing import NOTIFICATION, P1_TEXT, telegram
from tests.vectors.collection import REASON, load

PUSHES = load("pushes")
PLAIN = [case for case in PUSHES if "ciphering" not in case["expected"]]
BARE = {"czech-egd-example", "sagemcom-xt211"}
STAMPED = bytes.fromhex("0F000000010C07EA0605050C252D00FF8880020109060100010800FF")


def octets_of(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["expected"].get("apdu_hex") or case["bytes"])


@pytest.mark.skipif(not PUSHES, reason=REASON)
@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in PLAIN])
def test_captures(case: dict[str, Any]) -> None:
    octets = octets_of(case)
    judgement = judge(octets)
    assert judgement == Judgement(Likeness.BENT if case["name"] in BARE else Likeness.VALID, len(octets))
    # The beginning of one is no push, wherever it ends.
    for size in range(len(octets)):
        assert judge(octets[:size]).likeness < Likeness.BENT, size
    if len(octets) > 60:
        assert judge(octets[: len(octets) * 3 // 4]).likeness is Likeness.BEGINS


@pytest.mark.skipif(not PUSHES, reason=REASON)
def test_bare_descriptors_can_be_refused() -> None:
    for octets in (octets_of(case) for case in PLAIN if case["name"] in BARE):
        judgement = judge(octets, DEFAULT - {Tolerance.PUSH_BARE_DESCRIPTORS})
        assert judgement.likeness is Likeness.BEGINS
        assert judge(octets + b"\0").likeness is Likeness.BEGINS


@pytest.mark.parametrize(
    "octets, likeness",
    [
        (b"", Likeness.NONE),
        (b"\x0f", Likeness.NONE),
        (NOTIFICATION, Likeness.VALID),
        (NOTIFICATION + b"\0", Likeness.BEGINS),
        (STAMPED, Likeness.VALID),
        (STAMPED[:-1], Likeness.BEGINS),
        (STAMPED[:18], Likeness.NONE),
        (STAMPED[:8] + b"\x0e" + STAMPED[9:], Likeness.NONE),  # the fourteenth month
        (STAMPED[:5] + b"\x05" + STAMPED[13:], Likeness.NONE),  # a date-time of five octets
        (STAMPED[:5] + b"\x09" + STAMPED[5:], Likeness.VALID),  # with the type tag, as Kaifa sends it
        (STAMPED[:5] + b"\x0c" + b"\xff" * 9 + b"\x80\x00\xff" + STAMPED[18:], Likeness.VALID),  # not specified
        (P1_TEXT, Likeness.VALID),
        (P1_TEXT.replace(b"9A3F", b""), Likeness.VALID),  # a text without check sum, as old ones are
        (P1_TEXT[:-10], Likeness.BEGINS),
        (P1_TEXT.replace(b"kWh", b"k\x00h"), Likeness.BEGINS),
        (b"/" + bytes(range(40)), Likeness.NONE),
        (bytes.fromhex("C2000001 0000600100FF 02 0600000007"), Likeness.VALID),
        (bytes.fromhex("C2000001 0000600100FF 02 060000"), Likeness.NONE),
        (bytes.fromhex("1800010200280112002A"), Likeness.VALID),  # information report
        (bytes.fromhex("C401C1000600000010"), Likeness.OTHER),
        (bytes.fromhex("C401C10006000000"), Likeness.NONE),
        (telegram(0x30, 1), Likeness.VALID),
        (telegram(0x30, 1)[:-1], Likeness.NONE),
        (bytes.fromhex("0F0000000100") + b"\x02\x01" * 40, Likeness.BEGINS),  # deeper than any push
        (bytes.fromhex("99"), Likeness.NONE),
    ],
)
def test_octets(octets: bytes, likeness: Likeness) -> None:
    assert judge(octets).likeness is likeness


def test_the_tolerance_of_the_tagged_date_time() -> None:
    tagged = STAMPED[:5] + b"\x09" + STAMPED[5:]
    assert judge(tagged, STRICT).likeness is Likeness.NONE


def test_random_octets_are_none() -> None:
    chance = random.Random(5)
    valid = 0
    for _ in range(100_000):
        valid += judge(chance.randbytes(chance.randrange(1, 80))).likeness > Likeness.OTHER
    # Other envelopes are found now and then: they have to pass their own checks, and one more layer is refused.
    assert valid < 20
    assert not any(
        judge(b"\x0f" + chance.randbytes(chance.randrange(30, 300))).likeness > Likeness.OTHER for _ in range(50_000)
    )


def test_time_is_linear() -> None:
    """The worst inputs of 64 kilo-octets come to their end without a limit of time being needed."""
    for octets in (
        b"\x0f\0\0\0\x01\0" + b"\x01\x01" * 30_000,
        b"\x0f\0\0\0\x01\0\x01\x82\xff\xff" + b"\0" * 65_000,
        b"/ABC5" + b"!" * 65_000,
        b"/ABC5" + b"!\r\n" * 20_000 + b"\x00",
        b"/ABC5x\r\n" + b" " * 65_000,
        b"\x0f\0\0\0\x01\0" + b"\x02\x02\0" * 20_000,
    ):
        judge(octets)
