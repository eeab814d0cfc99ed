"""Protected pushes opened: captures and published examples first, then every form of protection."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.push.messages import Diagnosis, Protection
from cosemic.push.protection.decryption import Opened, PushRefused, PushSecurity
from cosemic.push.protection.envelopes import unwrap
from cosemic.push.protection.keys import KeyTable, MeterKeys, UnusableKey
from cosemic.push.telegrams import Content
from cosemic.tolerances import DEFAULT, Tolerance
from tests.push.sealing import (
    AUTHENTICATION_KEY,
    KEY,
    LONG_AUTHENTICATION_KEY,
    LONG_KEY,
    NOTIFICATION,
    P1_TEXT,
    TITLE,
    content,
    general_glo,
    length,
    telegram,
)
from tests.vectors.collection import REASON, load

PUSHES = load("pushes")
SECURITY = load("security")
SUITE_KEYS = {
    0: (KEY, AUTHENTICATION_KEY),
    1: (KEY, AUTHENTICATION_KEY),
    2: (LONG_KEY, LONG_AUTHENTICATION_KEY),
}


def meter_keys(case: dict[str, Any], **options: Any) -> MeterKeys:
    keys = case["keys"]
    return MeterKeys(
        keys.get("encryption_key"),
        keys.get("authentication_key"),
        broadcast_key=keys.get("broadcast_key"),
        dedicated_key=keys.get("dedicated_key"),
        allow_example_keys=True,
        **options,
    )


def apdu_of(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["expected"].get("apdu_hex") or case["bytes"])


def refusal(security: PushSecurity, apdu: bytes, **more: bytes) -> PushRefused:
    with pytest.raises(PushRefused) as caught:
        security.open(apdu, **more)
    assert caught.value.text == str(caught.value)
    return caught.value


# Captures and published examples


@pytest.mark.skipif(not PUSHES, reason=REASON)
@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in PUSHES if "keys" in case])
def test_ciphered_captures(case: dict[str, Any]) -> None:
    expected = case["expected"]
    header = expected["ciphering"]
    control = int(header["security_control"]["raw"], 16)
    security = PushSecurity(meter_keys(case))
    if "strict_decode_error" in expected:
        # The second M-Bus frame belongs to another message: what the first one carries makes sense, and no more.
        refused = refusal(security, apdu_of(case))
        assert refused.diagnosis is Diagnosis.TRUNCATED
        first_frame = expected["mbus_frames"][0]["payload_octets"]
        head = apdu_of(case).index(bytes.fromhex(f"{control:02x}{header['invocation_counter']:08x}")) + 5
        assert f"{first_frame - head} of {len(expected['plaintext']) // 2} octets" in refused.text
        return
    opened = security.open(apdu_of(case))
    assert opened.apdu.hex() == expected["plaintext"]
    assert opened.content is Content.APDU
    assert opened.protection == Protection(
        bytes.fromhex(header["system_title"]), control, header["invocation_counter"], bool(control & 0x10)
    )
    assert bool(opened.notes) == (not control & 0x10)
    assert refusal(security, apdu_of(case)).diagnosis is Diagnosis.COUNTER_WENT_BACK


@pytest.mark.skipif(not PUSHES, reason=REASON)
@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in PUSHES if "nokey" in case["name"]])
def test_captures_without_a_key(case: dict[str, Any]) -> None:
    title = bytes.fromhex(case["expected"]["ciphering"]["system_title"])
    for keys in (None, KeyTable({TITLE: MeterKeys(KEY)})):
        refused = refusal(PushSecurity(keys), apdu_of(case))
        assert refused.diagnosis is Diagnosis.KEY_MISSING
        assert refused.system_title == title
        assert refused.invocation_counter == case["expected"]["ciphering"]["invocation_counter"]
        assert title.hex().upper() in refused.text
        assert f"({title[:3].decode()})" in refused.text
    assert refusal(PushSecurity(MeterKeys(KEY)), apdu_of(case)).diagnosis is Diagnosis.WRONG_KEY_OR_TITLE


@pytest.mark.skipif(not PUSHES, reason=REASON)
def test_plain_captures() -> None:
    plain = [case for case in PUSHES if "ciphering" not in case["expected"]]
    assert len(plain) > 20
    for case in plain:
        apdu = apdu_of(case)
        assert PushSecurity().open(apdu) == Opened(apdu, Content.APDU), case["name"]
        assert PushSecurity(MeterKeys(KEY), accept_plain=True).open(apdu).protection is None
        refused = refusal(PushSecurity(MeterKeys(KEY)), apdu)
        assert refused.diagnosis is Diagnosis.NOT_PROTECTED
        assert "accept_plain" in refused.text


@pytest.mark.skipif(not SECURITY, reason=REASON)
@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case["name"]) for case in SECURITY if case["kind"] == "ciphered-apdu"]
)
def test_ciphered_apdus(case: dict[str, Any]) -> None:
    apdu = bytes.fromhex(case["bytes"])
    title = bytes.fromhex(case["keys"]["system_title"]) if "system_title" in case["keys"] else None
    expected = case["expected"]
    has_tag = bool(unwrap(apdu).content[0] & 0x10)
    keys = dict(case["keys"])
    if "error" not in expected and not has_tag:
        keys.pop("authentication_key", None)
    security = PushSecurity(meter_keys(case | {"keys": keys}), system_title=title)
    if "error" in expected:
        refused = refusal(security, apdu)
        assert refused.diagnosis in _NEGATIVE[case["name"]]
        return
    plain = bytes.fromhex(expected["plaintext"])
    if not has_tag and plain[0] not in (0x0F, 0x18, 0xC2):
        assert refusal(security, apdu).diagnosis is Diagnosis.NO_PUSH
        return
    opened = security.open(apdu)
    assert opened.apdu == plain
    assert opened.protection is not None
    assert opened.protection.is_verified == has_tag


_NEGATIVE = {
    "negative:counter-changed": {Diagnosis.WRONG_KEY_OR_TITLE},
    "negative:security-control-downgraded": {Diagnosis.NOT_PROTECTED},
    "negative:too-short-for-tag": {Diagnosis.NOT_UNDERSTOOD},
}


#: the example that the Tyrolean grid operators published (a made-up meter, key 10 11 … 1F): APDU and what is inside
TYROL = bytes.fromhex(
    "DB084B464D10100000238201092100295B9AEFC1546E644A2C9E32EDD42CBD0F1B945B194D086885C4D8DF86DD52CB5B448854A6D548D5"
    "D270739B2A169D05B013F9015070089D3C5FA45CA05E92309A645CC83D7DA40FBC8F4CF9C225AFA69A25FF0B2AC9C2744550ABA53CE914"
    "3FD10B0AD85FD30BD6B6DFFEE65F8204DC9C5067CA73B62E299A39D50AA730B2B9AE3836BC2F3490FB41BE5B6F930D84952976369DD7DA"
    "BBB5A4354AECA1D2486CFF2EB0C6206380BA501D122AF75D716D3092C3960506A15E06FAB0EE5B7DFA3C2CDF0CAFD051B88E44B8B9FB88"
    "65F20CB89D1143CDC7EFEB07FB4C4898E764E9E3A32DDC3D1FB46961CE962B2C78050C96598C7E4D26658043F9CBCA78189BD01B139F8A"
    "E0F739"
)
TYROL_INSIDE = bytes.fromhex(
    "0F0029B2DC0C07E50713010F2E2300FF8880020C09060000010000FF090C07E50713010F2E2300FF8880020209060000600100FF090E31"
    "4B464D303130303030303033350202090600002A0000FF09104B464D31313030313030303030303335020309060100200700FF12090402"
    "020FFF16230203090601001F0700FF12000002020FFE1621020309060100010700FF060000000002020F00161B020309060100020700FF"
    "060000000002020F00161B020309060100010800FF060000239402020F00161E020309060100020800FF060000000002020F00161E0203"
    "09060100030800FF060000006002020F001620020309060100040800FF060000000902020F001620"
)


def test_the_published_example_of_tyrol() -> None:
    key = "10 11 12 13 14 15 16 17 18 19 1A 1B 1C 1D 1E 1F"
    opened = PushSecurity(MeterKeys(key, allow_example_keys=True)).open(TYROL)
    assert opened.apdu == TYROL_INSIDE
    assert opened.protection == Protection(b"KFM" + bytes.fromhex("1010000023"), 0x21, 0x00295B9A, False)
    refused = refusal(PushSecurity(MeterKeys(key)), TYROL)
    assert refused.diagnosis is Diagnosis.EXAMPLE_KEY
    assert "Tyrol" in refused.text
    assert "allow_example_keys" in refused.text


# Every form of protection


@pytest.mark.parametrize("suite", [0, 1, 2])
@pytest.mark.parametrize("protection", [0x10, 0x20, 0x30])
@pytest.mark.parametrize("inside", [NOTIFICATION, P1_TEXT], ids=["apdu", "text"])
def test_protections_and_suites(suite: int, protection: int, inside: bytes) -> None:
    key, authentication_key = SUITE_KEYS[suite]
    keys = MeterKeys(key, authentication_key if protection & 0x10 else None)
    apdu = telegram(suite | protection, 7, inside, key=key, authentication_key=authentication_key)
    opened = PushSecurity(KeyTable({TITLE: keys})).open(apdu)
    assert opened.apdu == inside
    assert opened.content is (Content.P1_TEXT if inside is P1_TEXT else Content.APDU)
    assert opened.protection == Protection(TITLE, suite | protection, 7, protection != 0x20)
    assert bool(opened.notes) == (protection == 0x20)


def test_any_buffer_is_taken() -> None:
    opened = PushSecurity(MeterKeys(KEY, AUTHENTICATION_KEY)).open(bytearray(telegram(0x30, 1)))
    assert opened.apdu == NOTIFICATION


def test_an_envelope_without_a_title() -> None:
    event = bytes.fromhex("C2 00 0001 0000600100FF 02 0600000007")
    service = content(0x30, 5, event)
    glo = b"\xca" + length(len(service)) + service
    unnamed = general_glo(service, title=b"")
    keys = MeterKeys(KEY, AUTHENTICATION_KEY, check_replay=False)
    for apdu in (glo, unnamed):
        assert PushSecurity(keys, system_title=TITLE.hex()).open(apdu).apdu == event
        assert PushSecurity(keys).open(apdu, system_title=TITLE).apdu == event
        refused = refusal(PushSecurity(keys), apdu)
        assert refused.diagnosis is Diagnosis.KEY_MISSING
        assert "system_title" in refused.text
        assert refused.invocation_counter == 5
        # The title is half of the initialisation vector.
        wrong = refusal(PushSecurity(keys, system_title=bytes(8)), apdu)
        assert wrong.diagnosis is Diagnosis.WRONG_KEY_OR_TITLE
    with pytest.raises(UnusableKey, match="8 octets"):
        PushSecurity(keys, system_title=b"KFM")


def test_the_envelope_says_what_is_inside() -> None:
    service = content(0x30, 5)
    refused = refusal(
        PushSecurity(MeterKeys(KEY, AUTHENTICATION_KEY), system_title=TITLE), b"\xca" + length(len(service)) + service
    )
    assert refused.diagnosis is Diagnosis.NOT_UNDERSTOOD
    assert "C2" in refused.text


def test_the_broadcast_key() -> None:
    apdu = telegram(0x70, 1, key=LONG_KEY[:16])
    refused = refusal(PushSecurity(MeterKeys(KEY, AUTHENTICATION_KEY)), apdu)
    assert refused.diagnosis is Diagnosis.KEY_MISSING
    assert "broadcast_key" in refused.text
    opened = PushSecurity(MeterKeys(KEY, AUTHENTICATION_KEY, broadcast_key=LONG_KEY[:16])).open(apdu)
    assert opened.apdu == NOTIFICATION
    assert opened.protection is not None
    assert opened.protection.is_verified
    assert any("broadcast" in note for note in opened.notes)


def test_a_dedicated_key() -> None:
    inside = content(0x30, 1, key=LONG_KEY[:16])
    apdu = general_glo(inside, tag=0xDC)
    refused = refusal(PushSecurity(MeterKeys(KEY, AUTHENTICATION_KEY)), apdu)
    assert refused.diagnosis is Diagnosis.KEY_MISSING
    assert "dedicated key" in refused.text
    keys = MeterKeys(KEY, AUTHENTICATION_KEY, dedicated_key=LONG_KEY[:16])
    assert PushSecurity(keys).open(apdu).apdu == NOTIFICATION


# Counters


def test_counters_rise() -> None:
    security = PushSecurity(MeterKeys(KEY, AUTHENTICATION_KEY))
    for counter in (0, 1, 5, 6, 0xFFFFFFFF):
        security.open(telegram(0x30, counter))
        refused = refusal(security, telegram(0x30, counter))
        assert refused.diagnosis is Diagnosis.COUNTER_WENT_BACK
        assert (refused.invocation_counter, refused.last_counter) == (counter, counter)
        assert "came again" in refused.text
    refused = refusal(security, telegram(0x30, 5))
    assert (refused.invocation_counter, refused.last_counter) == (5, 0xFFFFFFFF)
    assert "check_replay=False" in refused.text


def test_counters_are_of_one_title_and_one_key() -> None:
    other_title = b"KFM" + bytes(5)
    keys = MeterKeys(KEY, AUTHENTICATION_KEY, broadcast_key=LONG_KEY[:16])
    security = PushSecurity(keys)
    security.open(telegram(0x30, 9))
    security.open(telegram(0x30, 3, title=other_title))
    security.open(telegram(0x70, 2, key=LONG_KEY[:16]))
    assert refusal(security, telegram(0x30, 9)).diagnosis is Diagnosis.COUNTER_WENT_BACK
    # A new key begins anew.
    table = KeyTable({TITLE: MeterKeys(KEY, AUTHENTICATION_KEY)})
    security = PushSecurity(table)
    security.open(telegram(0x30, 9))
    table.add(TITLE, MeterKeys(LONG_KEY[:16], AUTHENTICATION_KEY))
    assert security.open(telegram(0x30, 1, key=LONG_KEY[:16])).apdu == NOTIFICATION


def test_what_fails_moves_no_counter() -> None:
    security = PushSecurity(MeterKeys(KEY, AUTHENTICATION_KEY))
    security.open(telegram(0x30, 1))
    forged = bytearray(telegram(0x30, 0xFFFFFFFF))
    forged[-1] ^= 1
    assert refusal(security, bytes(forged)).diagnosis is Diagnosis.WRONG_AUTHENTICATION_KEY
    nested = telegram(0x30, 0xFFFFFFF0, telegram(0x30, 3))
    assert refusal(security, nested).diagnosis is Diagnosis.NOT_SUPPORTED
    assert security.open(telegram(0x30, 2)).apdu == NOTIFICATION


def test_the_check_can_be_left_out() -> None:
    security = PushSecurity(MeterKeys(KEY, AUTHENTICATION_KEY, check_replay=False))
    for counter in (5, 5, 4, 0):
        assert security.open(telegram(0x30, counter)).apdu == NOTIFICATION


def test_counters_outlive_the_process_where_they_are_kept() -> None:
    kept: dict[str, int] = {}
    keys = MeterKeys(KEY, AUTHENTICATION_KEY)
    PushSecurity(keys, counters=kept).open(telegram(0x30, 5))
    assert list(kept.values()) == [5]
    assert KEY.hex() not in "".join(kept)
    later = PushSecurity(keys, counters=kept)
    assert refusal(later, telegram(0x30, 5)).last_counter == 5
    later.open(telegram(0x30, 6))
    assert list(kept.values()) == [6]


def test_messages_without_a_tag_do_not_lock_out_those_with_one() -> None:
    kept: dict[str, int] = {}
    security = PushSecurity(MeterKeys(KEY, AUTHENTICATION_KEY, without_verifying=True), counters=kept)
    security.open(telegram(0x30, 5))
    security.open(telegram(0x20, 0xFFFFFFF0))
    assert list(kept.values()) == [5]
    security.open(telegram(0x30, 6))
    # Within their own kind they rise, and above those that were proved.
    assert refusal(security, telegram(0x20, 0xFFFFFFF0)).diagnosis is Diagnosis.COUNTER_WENT_BACK
    fresh = PushSecurity(MeterKeys(KEY, AUTHENTICATION_KEY, without_verifying=True), counters=kept)
    assert refusal(fresh, telegram(0x20, 6)).last_counter == 6
    fresh.open(telegram(0x20, 7))
    fresh.open(telegram(0x30, 20))
    assert refusal(fresh, telegram(0x20, 8)).last_counter == 20


def test_the_tables_of_counters_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosemic.security.taken.MOST_PEERS", 2)
    monkeypatch.setattr("cosemic.push.protection.seen.MOST_UNPROVED", 2)
    titles = [b"ABC" + bytes([0, 0, 0, 0, number]) for number in range(3)]
    security = PushSecurity(MeterKeys(KEY, AUTHENTICATION_KEY))
    for title in titles[:2]:
        security.open(telegram(0x30, 1, title=title))
    refused = refusal(security, telegram(0x30, 1, title=titles[2]))
    assert "no room" in refused.text
    for title in titles[:2]:
        security.open(telegram(0x30, 2, title=title))
    unproved = PushSecurity(MeterKeys(KEY))
    for title in titles:
        unproved.open(telegram(0x20, 1, title=title))
    assert refusal(unproved, telegram(0x20, 1, title=titles[2])).diagnosis is Diagnosis.COUNTER_WENT_BACK
    unproved.open(telegram(0x20, 1, title=titles[0]))  # was forgotten for the third: bounded, and said so


# Without verifying


def test_without_verifying_has_to_be_asked_for() -> None:
    apdu = telegram(0x30, 1)
    for keys, words in (
        (MeterKeys(KEY), ["The encryption key is right", "without_verifying"]),
        (MeterKeys(KEY, LONG_KEY[:16]), ["The encryption key is right", "the authentication key is wrong"]),
    ):
        refused = refusal(PushSecurity(keys), apdu)
        assert refused.diagnosis is Diagnosis.WRONG_AUTHENTICATION_KEY
        for word in words:
            assert word in refused.text
    for keys in (MeterKeys(KEY, without_verifying=True), MeterKeys(KEY, LONG_KEY[:16], without_verifying=True)):
        opened = PushSecurity(keys).open(apdu)
        assert opened.apdu == NOTIFICATION
        assert opened.protection == Protection(TITLE, 0x30, 1, False)
        assert opened.notes[0].startswith("not verified")
    # A tag that holds is checked all the same.
    opened = PushSecurity(MeterKeys(KEY, AUTHENTICATION_KEY, without_verifying=True)).open(apdu)
    assert opened.protection == Protection(TITLE, 0x30, 1, True)
    assert opened.notes == ()


def test_without_verifying_a_wrong_key_opens_nothing() -> None:
    for control in (0x20, 0x30):
        security = PushSecurity(MeterKeys(LONG_KEY[:16], without_verifying=True))
        assert refusal(security, telegram(control, 1)).diagnosis is Diagnosis.WRONG_KEY_OR_TITLE


def test_a_tag_is_expected_where_its_key_was_given() -> None:
    keys = MeterKeys(KEY, AUTHENTICATION_KEY)
    refused = refusal(PushSecurity(keys), telegram(0x20, 1))
    assert refused.diagnosis is Diagnosis.NOT_PROTECTED
    assert "no tag" in refused.text
    refused = refusal(PushSecurity(keys), telegram(0x00, 1))
    assert refused.diagnosis is Diagnosis.NOT_PROTECTED
    opened = PushSecurity(MeterKeys(KEY, without_verifying=True)).open(telegram(0x00, 1))
    assert opened.protection == Protection(TITLE, 0, 1, False)


# Octets behind the message


def test_octets_left_over() -> None:
    apdu = telegram(0x30, 1) + b"\0\0"
    keys = MeterKeys(KEY, AUTHENTICATION_KEY)
    refused = refusal(PushSecurity(keys), apdu)
    assert refused.diagnosis is Diagnosis.NOT_UNDERSTOOD
    assert "2 octets left over" in refused.text
    tolerant = PushSecurity(keys, tolerances=DEFAULT | {Tolerance.TRAILING_OCTETS})
    assert tolerant.open(apdu).apdu == NOTIFICATION
    # Inside there must be none where no tag proves the message: random octets have octets left over.
    unproved = PushSecurity(MeterKeys(KEY), tolerances=DEFAULT | {Tolerance.TRAILING_OCTETS})
    refused = refusal(unproved, telegram(0x20, 1, NOTIFICATION + b"\0\0"))
    assert refused.diagnosis is Diagnosis.TRUNCATED
