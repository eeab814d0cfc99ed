"""Every framing and every capture: whole, octet by octet, among noise, damaged."""

from __future__ import annotations

import random
from typing import Any

import pytest

from cosemic.push.reader import StreamReader
from cosemic.push.telegrams import Content, Dropped, Framing, Telegram
from tests.push.captures import CASES
from tests.push.streams import FRAMED, cut, dropped, heard, single, telegrams
from tests.vectors.collection import REASON

NEEDS_CAPTURES = pytest.mark.skipif(not CASES, reason=REASON)
CAPTURES = [pytest.param(case, id=case["name"]) for case in CASES]
FRAMINGS = {
    "push-hdlc": Framing.HDLC,
    "push-mbus": Framing.MBUS,
    "mbus-quirk": Framing.MBUS,
    "push-raw": Framing.APDU,
}


def octets_of(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["bytes"])


def apdu_of(case: dict[str, Any]) -> bytes:
    """The APDU that the collection expects."""
    expected = case["expected"]
    if "apdu_hex" in expected:
        return bytes.fromhex(expected["apdu_hex"])
    if case["kind"] == "push-raw":
        return octets_of(case)
    octets = octets_of(case)
    start = octets.index(bytes.fromhex("db08" + expected["apdu"]["system_title"]))
    ciphertext = bytes.fromhex(expected["apdu"]["ciphertext"])
    return octets[start : octets.index(ciphertext[:8], start)] + ciphertext


def check(items: list[Any], octets: bytes, framing: Framing, content: Content = Content.APDU, times: int = 1) -> None:
    assert [type(item) for item in items] == [Telegram] * times
    for item in items:
        assert item.octets == octets
        assert (item.framing, item.content, item.is_complete) == (framing, content, True)


# -- one telegram -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("case", CAPTURES)
@NEEDS_CAPTURES
def test_a_capture_whole_and_octet_by_octet(case: dict[str, Any]) -> None:
    octets, apdu, framing = octets_of(case), apdu_of(case), FRAMINGS[case["kind"]]
    for pieces in ([octets], single(octets), cut(octets, random.Random(4))):
        reader = StreamReader()
        check([item for piece in pieces for item in reader.feed(piece)], apdu, framing)
        assert reader.end() == []
        assert not reader.is_partial


@pytest.mark.parametrize("name", FRAMED)
def test_a_telegram_whole_and_octet_by_octet(name: str) -> None:
    octets, apdu, framing, content = FRAMED[name]
    for pieces in ([octets], single(octets), cut(octets, random.Random(4))):
        check(heard(pieces), apdu, framing, content)
    check(heard(octets + octets, framing=framing), apdu, framing, content, 2)


@pytest.mark.parametrize("name", FRAMED)
def test_one_after_another(name: str) -> None:
    octets, apdu, framing, content = FRAMED[name]
    reader = StreamReader()
    found = reader.feed(octets * 3) + reader.idle() + reader.feed(octets) + reader.idle()
    check(found, apdu, framing, content, 4)
    assert [item.offset for item in found] == [at * len(octets) for at in range(4)]


@pytest.mark.parametrize("name", FRAMED)
def test_the_framing_is_told(name: str) -> None:
    octets, _, framing, _ = FRAMED[name]
    for other in Framing:
        if other not in (framing, Framing.APDU):
            assert telegrams(heard(octets, framing=other)) == []


# -- noise ------------------------------------------------------------------------------------------------------------
def check_among_noise(octets: bytes, apdu: bytes, seed: int) -> None:
    dice = random.Random(seed)
    between = [dice.randbytes(dice.choice((0, 1, 3, 10, 40, 200))) for _ in range(3)]
    stream = between[0] + octets + between[1] + octets + between[2]
    found = heard(stream)
    assert telegrams(found) == [apdu, apdu]
    assert heard(single(stream)) == found
    told = sum(len(item.octets) for item in dropped(found))
    assert sum(map(len, between)) - 2 <= told <= sum(map(len, between)) + 2  # a flag may count as either
    for item in found:
        assert isinstance(item, Telegram) or stream[item.offset : item.offset + len(item.octets)] == item.octets


@pytest.mark.parametrize("case", CAPTURES)
@NEEDS_CAPTURES
def test_a_capture_among_noise(case: dict[str, Any]) -> None:
    for seed in range(12):
        check_among_noise(octets_of(case), apdu_of(case), seed)


_AMONG_NOISE = [
    name
    for name in FRAMED
    if not name.startswith(("apdu-", "wrapper-"))
    or name.removeprefix("apdu-").removeprefix("wrapper-") in ("data-notification", "general-glo", "bare-descriptors")
]


@pytest.mark.parametrize("name", _AMONG_NOISE)
def test_a_telegram_among_noise(name: str) -> None:
    octets, apdu, _, _ = FRAMED[name]
    for seed in range(6):
        check_among_noise(octets, apdu, seed)


def test_noise_is_no_telegram_and_few_events() -> None:
    noise = random.Random(5).randbytes(300_000)
    found = heard(cut(noise, random.Random(6), 3000))
    assert telegrams(found) == []
    assert len(found) < 300
    assert all(len(item.octets) <= 512 for item in dropped(found))


# -- damage -----------------------------------------------------------------------------------------------------------
def damaged(octets: bytes) -> list[bytes]:
    """With each octet altered, and with each lost."""
    dice = random.Random(7)
    found = []
    for at in range(len(octets)):
        found.append(octets[:at] + bytes((octets[at] ^ dice.randint(1, 255),)) + octets[at + 1 :])
        found.append(octets[:at] + octets[at + 1 :])
    return found


def check_damage(octets: bytes, apdu: bytes) -> None:
    borne = {
        octets[:at] + octets[at + 1 :]
        for at in range(len(octets))
        # a closing flag that is lost is made good by the next opening one, a CR by the line feed behind it
        if octets[at] == 0x7E or (at == len(octets) - 2 and octets[at] == 0x0D)
    }
    for bad in damaged(octets):
        found = telegrams(heard(bad + octets))
        assert found == [apdu] or (bad in borne and found == [apdu, apdu]), bad.hex()


@pytest.mark.parametrize("case", [case for case in CAPTURES if case.values[0]["kind"] != "push-raw"])  # type: ignore[index]
@NEEDS_CAPTURES
def test_the_capture_behind_a_damaged_one(case: dict[str, Any]) -> None:
    check_damage(octets_of(case), apdu_of(case))


@pytest.mark.parametrize("name", ["hdlc-data-notification", "hdlc-segments-general-glo", "mbus-general-glo-long"])
def test_the_telegram_behind_a_damaged_one(name: str) -> None:
    octets, apdu, _, _ = FRAMED[name]
    check_damage(octets, apdu)


@pytest.mark.parametrize("case", CAPTURES)
@NEEDS_CAPTURES
def test_behind_one_that_is_cut_and_a_silence(case: dict[str, Any]) -> None:
    octets, apdu = octets_of(case), apdu_of(case)
    for size in range(0, len(octets), 7):
        reader = StreamReader()
        found = reader.feed(octets[:size]) + reader.idle()
        assert all(isinstance(item, Dropped) or not item.is_complete or item.octets in apdu for item in found)
        check(reader.feed(octets) + reader.idle(), apdu, FRAMINGS[case["kind"]])


# -- all of them ------------------------------------------------------------------------------------------------------
@NEEDS_CAPTURES
def test_all_captures_in_any_order() -> None:
    dice = random.Random(8)
    for _ in range(30):
        order = dice.sample(CASES, len(CASES))
        stream = b"".join(map(octets_of, order))
        found = heard(stream)
        assert [type(item) for item in found] == [Telegram] * len(order)
        assert telegrams(found) == list(map(apdu_of, order))
        assert heard(cut(stream, dice, 2000)) == found
