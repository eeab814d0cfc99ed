"""Each diagnosis made by the alteration that it stands for; and what must never be accepted, or told."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic.errors import SecurityError
from cosemic.push.messages import Diagnosis
from cosemic.push.protection.decryption import PushRefused, PushSecurity
from cosemic.push.protection.general_keys import GeneralKeys
from cosemic.push.protection.keys import KeyTable, MeterKeys, PushKeys, UnusableKey
from cosemic.push.telegrams import Content
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
    telegram,
)

BOTH = MeterKeys(KEY, AUTHENTICATION_KEY)
ONE = MeterKeys(KEY)


def refusal(keys: PushKeys | None, apdu: bytes) -> PushRefused:
    with pytest.raises(PushRefused) as caught:
        PushSecurity(keys).open(apdu)
    check_discretion(caught.value)
    return caught.value


def check_discretion(refused: PushRefused) -> None:
    """No key and nothing of the plaintext is in the error."""
    assert isinstance(refused, SecurityError)
    told = f"{refused!r} {refused.text} {refused.args} {refused.__cause__!r}"
    for secret in (KEY, AUTHENTICATION_KEY, LONG_KEY, LONG_AUTHENTICATION_KEY):
        assert secret.hex() not in told.lower()
    assert NOTIFICATION[5:].hex() not in told.lower()
    assert "1-0:1.8.0" not in told
    assert "test" not in told


# The keys


@pytest.mark.parametrize("bit", range(128))
def test_one_bit_of_the_encryption_key(bit: int) -> None:
    wrong = bytearray(KEY)
    wrong[bit // 8] ^= 1 << bit % 8
    for control, keys in ((0x20, MeterKeys(wrong)), (0x30, MeterKeys(wrong, AUTHENTICATION_KEY))):
        refused = refusal(keys, telegram(control, 7))
        assert refused.diagnosis is Diagnosis.WRONG_KEY_OR_TITLE
        assert (refused.system_title, refused.invocation_counter) == (TITLE, 7)
        assert f"SC {control:02X}, IC 7, system title 4B464D6750000009 (KFM)" in refused.text


@pytest.mark.parametrize("bit", range(128))
def test_one_bit_of_the_authentication_key(bit: int) -> None:
    wrong = bytearray(AUTHENTICATION_KEY)
    wrong[bit // 8] ^= 1 << bit % 8
    refused = refusal(MeterKeys(KEY, wrong), telegram(0x30, 7))
    assert refused.diagnosis is Diagnosis.WRONG_AUTHENTICATION_KEY
    assert "The encryption key is right" in refused.text
    refused = refusal(MeterKeys(KEY, wrong), telegram(0x10, 7))
    assert refused.diagnosis is Diagnosis.WRONG_KEY_OR_TITLE
    assert "cannot be told apart" in refused.text


def test_the_authentication_key_is_missing() -> None:
    for control in (0x10, 0x30):
        refused = refusal(ONE, telegram(control, 7))
        assert refused.diagnosis is Diagnosis.WRONG_AUTHENTICATION_KEY
        assert "no authentication key was given" in refused.text
    # With a wrong encryption key besides, that is what is said.
    assert refusal(MeterKeys(LONG_KEY[:16]), telegram(0x30, 7)).diagnosis is Diagnosis.WRONG_KEY_OR_TITLE


def test_the_two_keys_exchanged() -> None:
    refused = refusal(MeterKeys(AUTHENTICATION_KEY, KEY), telegram(0x30, 7))
    assert refused.diagnosis is Diagnosis.WRONG_KEY_OR_TITLE
    assert "exchange the two" in refused.text
    assert "exchange" not in refusal(MeterKeys(LONG_KEY[:16], KEY), telegram(0x31, 7, key=LONG_KEY[16:])).text


def test_another_title() -> None:
    other = b"KFM" + bytes(5)
    for control, keys in ((0x20, ONE), (0x30, BOTH)):
        refused = refusal(keys, general_glo(content(control, 7), title=other))
        assert refused.diagnosis is Diagnosis.WRONG_KEY_OR_TITLE
        assert refused.system_title == other


def test_no_key_for_the_title() -> None:
    for keys in (None, KeyTable(), KeyTable({b"ABCDEFGH": BOTH})):
        refused = refusal(keys, telegram(0x30, 7))
        assert refused.diagnosis is Diagnosis.KEY_MISSING
        assert "4B464D6750000009 (KFM)" in refused.text
        assert "give the encryption key" in refused.text
    unreadable = refusal(None, telegram(0x30, 7, title=bytes(range(8))))
    assert "0001020304050607:" in unreadable.text


@pytest.mark.parametrize(
    "control, keys, words",
    [
        (0x32, BOTH, ["suite 2", "32 octets (64 hexadecimal digits)", "has 16"]),
        (0x22, ONE, ["suite 2", "has 16"]),
        (
            0x30,
            MeterKeys(LONG_KEY, LONG_AUTHENTICATION_KEY),
            ["suite 0", "16 octets (32 hexadecimal digits)", "has 32"],
        ),
        (0x21, MeterKeys(LONG_KEY), ["suite 1", "has 32"]),
    ],
)
def test_the_key_of_another_suite(control: int, keys: MeterKeys, words: list[str]) -> None:
    refused = refusal(keys, telegram(control, 7))
    assert refused.diagnosis is Diagnosis.KEY_LENGTH
    for word in words:
        assert word in refused.text


def test_a_table_that_cannot_give_the_key() -> None:
    class Store:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def find(self, system_title: bytes) -> MeterKeys | None:
            raise self.error

    for error, diagnosis in (
        (UnusableKey("the encryption key has 15 octets"), Diagnosis.KEY_LENGTH),
        (SecurityError("the key store is locked"), Diagnosis.KEY_MISSING),
    ):
        refused = refusal(Store(error), telegram(0x30, 7))
        assert refused.diagnosis is diagnosis
        assert str(error) in refused.text


@pytest.mark.parametrize("digits", ["000102030405060708090A0B0C0D0E0F", "36C66639E48A8CA4D6BC8B282A793BBB", "00" * 16])
def test_an_example_key(digits: str) -> None:
    apdu = telegram(0x20, 7, key=bytes.fromhex(digits))
    refused = refusal(MeterKeys(digits), apdu)
    assert refused.diagnosis is Diagnosis.EXAMPLE_KEY
    assert digits not in refused.text
    assert PushSecurity(MeterKeys(digits, allow_example_keys=True)).open(apdu).apdu == NOTIFICATION


# The octets


@pytest.mark.parametrize("control, keys", [(0x30, BOTH), (0x20, ONE), (0x10, BOTH)])
def test_cut_at_every_octet(control: int, keys: MeterKeys) -> None:
    whole = telegram(control, 7)
    for size in range(1, len(whole)):
        refused = refusal(keys, whole[:size])
        assert refused.diagnosis is Diagnosis.TRUNCATED, size
        assert "cut short" in refused.text
    refused = refusal(keys, whole[:20])
    assert f"announces {len(whole) - 11} octets, and 9 are there" in refused.text
    assert refused.system_title == TITLE
    assert refusal(keys, b"").diagnosis is Diagnosis.NOT_UNDERSTOOD


def test_cut_at_every_octet_of_a_long_length() -> None:
    long = bytes.fromhex("0F000000010009820190") + bytes(400)
    whole = telegram(0x30, 7, long)
    assert PushSecurity(BOTH).open(whole).apdu == long
    for size in range(1, 20):
        assert refusal(BOTH, whole[:size]).diagnosis is Diagnosis.TRUNCATED, size


@pytest.mark.parametrize("with_tag", [False, True])
def test_cut_before_it_was_sealed_or_joined_wrongly(with_tag: bool) -> None:
    """The lengths agree, and what is inside is the beginning of a push only."""
    stamped = bytes.fromhex(
        "0F000000010C07EA0605050C252D00FF888002030906010001 0800FF060012D6870A0474657374".replace(" ", "")
    )
    keys = MeterKeys(KEY, LONG_KEY[:16], without_verifying=True) if with_tag else ONE
    control = 0x30 if with_tag else 0x20
    assert PushSecurity(keys).open(telegram(control, 7, stamped)).apdu == stamped
    for size in range(24, len(stamped)):
        refused = refusal(keys, telegram(control, 7, stamped[:size]))
        assert refused.diagnosis is Diagnosis.TRUNCATED, size
        assert f"of {size} octets inside are a push; then they end" in refused.text
        assert "the encryption key is right" in refused.text
    joined = stamped[:33] + b"\xa7" * 20
    refused = refusal(keys, telegram(control, 7, joined))
    assert refused.diagnosis is Diagnosis.TRUNCATED
    assert f"33 of {len(joined)} octets" in refused.text
    assert "does not belong" in refused.text


@pytest.mark.parametrize(
    "apdu, diagnosis, words",
    [
        (general_glo(content(0x30, 7), title=TITLE[:7]), Diagnosis.NOT_UNDERSTOOD, "system title of 7 octets"),
        (general_glo(content(0x30, 7), title=TITLE + b"1"), Diagnosis.NOT_UNDERSTOOD, "system title of 9 octets"),
        (general_glo(content(0x30, 7)[:16]), Diagnosis.NOT_UNDERSTOOD, "no room for the tag"),
        (general_glo(content(0x30, 7)[:4]), Diagnosis.NOT_UNDERSTOOD, "too few"),
        (general_glo(b""), Diagnosis.NOT_UNDERSTOOD, "0 octets"),
        (telegram(0x30, 7, b""), Diagnosis.NOT_UNDERSTOOD, "holds nothing"),
        (telegram(0xB0, 7), Diagnosis.NOT_SUPPORTED, "compressed"),
        (telegram(0x33, 7), Diagnosis.NOT_SUPPORTED, "suite 3"),
        (telegram(0x30, 7, telegram(0x30, 8)), Diagnosis.NOT_SUPPORTED, "more layers"),
        (b"\xdb\x08" + TITLE + b"\x85\0\0\0\0\x01\x30", Diagnosis.NOT_UNDERSTOOD, "length of 5 octets"),
        (b"\xdb\x08" + TITLE + b"\x80\x30", Diagnosis.NOT_UNDERSTOOD, "length of 0 octets"),
    ],
)
def test_what_is_no_protected_message(apdu: bytes, diagnosis: Diagnosis, words: str) -> None:
    refused = refusal(BOTH, apdu)
    assert refused.diagnosis is diagnosis
    assert words in refused.text


def test_an_apdu_that_is_no_push_needs_a_proof() -> None:
    response = bytes.fromhex("C401C1000600000010")
    refused = refusal(ONE, telegram(0x20, 7, response))
    assert refused.diagnosis is Diagnosis.NO_PUSH
    assert PushSecurity(BOTH).open(telegram(0x30, 7, response)).apdu == response


# What must never be


@pytest.mark.parametrize("control", [0x30, 0x10])
@pytest.mark.parametrize("keys", [BOTH, KeyTable({TITLE: BOTH})], ids=["any title", "by title"])
def test_no_altered_octet_of_an_authenticated_message_is_accepted(control: int, keys: PushKeys) -> None:
    whole = telegram(control, 7)
    security = PushSecurity(keys)
    for place in range(len(whole)):
        for value in range(256):
            if value == whole[place]:
                continue
            altered = bytearray(whole)
            altered[place] = value
            with pytest.raises(PushRefused) as caught:
                security.open(bytes(altered))
            check_discretion(caught.value)
    security.open(whole)  # nothing of all that moved the counter


def test_an_altered_message_is_never_called_verified() -> None:
    """With the tag taken off and bits flipped, which without_verifying lets pass."""
    keys = MeterKeys(KEY, AUTHENTICATION_KEY, without_verifying=True, check_replay=False)
    security = PushSecurity(keys)
    whole = telegram(0x30, 7)
    accepted = 0
    for place in range(1, len(whole)):
        for bit in range(8):
            altered = bytearray(whole)
            altered[place] ^= 1 << bit
            try:
                opened = security.open(bytes(altered))
            except PushRefused as refused:
                check_discretion(refused)
            else:
                assert opened.protection is not None
                assert not opened.protection.is_verified
                accepted += 1
    assert accepted  # flipped bits of values do pass: that is what the user asked for


def test_random_octets_under_any_key() -> None:
    """Twenty thousand messages under wrong keys, of every length: not one opens."""
    chance = random.Random(20260101)
    for number in range(20_000):
        size = chance.randrange(1, 120)
        keys = MeterKeys(chance.randbytes(16), without_verifying=bool(number & 1))
        apdu = general_glo(b"\x20" + number.to_bytes(4) + chance.randbytes(size))
        with pytest.raises(PushRefused) as caught:
            PushSecurity(keys).open(apdu)
        assert caught.value.diagnosis is not Diagnosis.COUNTER_WENT_BACK


GENERAL = GeneralKeys(kek=KEY[::-1])
EVERYTHING = MeterKeys(
    KEY, AUTHENTICATION_KEY, broadcast_key=LONG_KEY[:16], dedicated_key=LONG_KEY[16:], general=GENERAL
)


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from([0xDB, 0xDC, 0xDD, 0xDF, 0xCA, 0xC8, 0x21, 0x38, 0xD2, 0x0F, 0x2F, 0xE0]),
    st.binary(max_size=80),
    st.booleans(),
)
def test_nothing_but_push_refused_is_raised(tag: int, octets: bytes, lenient: bool) -> None:
    keys = EVERYTHING if not lenient else MeterKeys(KEY, without_verifying=True, general=GENERAL)
    security = PushSecurity(keys, system_title=TITLE)
    for apdu in (bytes([tag]) + octets, bytes([tag, 8]) + TITLE + octets):
        try:
            opened = security.open(apdu)
        except PushRefused as refused:
            check_discretion(refused)
        else:
            assert opened.protection is None or lenient


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_altered_general_envelopes_raise_nothing_else(data: st.DataObject) -> None:
    whole = bytearray(
        b"\xdd\x08" + bytes(8) + b"\x08" + TITLE + b"\x00\x00\x00\x01\x00\x00" + b"\x30" + content(0x30, 3)
    )
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(1, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        PushSecurity(EVERYTHING).open(bytes(whole))
    except PushRefused as refused:
        check_discretion(refused)


def test_text_that_is_cut_short() -> None:
    for size in range(30, len(P1_TEXT) - 8):
        assert refusal(ONE, telegram(0x20, 7, P1_TEXT[:size])).diagnosis is Diagnosis.TRUNCATED, size
    assert PushSecurity(ONE).open(telegram(0x20, 7, P1_TEXT)).content is Content.P1_TEXT
