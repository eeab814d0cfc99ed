"""Keys as users give them, and what is said of those that are none."""

from __future__ import annotations

import pytest

from cosemic.push.messages import Diagnosis
from cosemic.push.protection.example_keys import EXAMPLE_KEYS, example_key
from cosemic.push.protection.general_keys import GeneralKeys
from cosemic.push.protection.keys import BROADCAST, DEDICATED, ENCRYPTION, KeyTable, MeterKeys, PushKeys, UnusableKey
from tests.push.sealing import AUTHENTICATION_KEY, KEY, LONG_AUTHENTICATION_KEY, LONG_KEY, TITLE

DIGITS = KEY.hex()


@pytest.mark.parametrize(
    "text",
    [
        DIGITS,
        DIGITS.upper(),
        "0x" + DIGITS,
        "0X" + DIGITS.upper(),
        " ".join(DIGITS[at : at + 2] for at in range(0, 32, 2)),
        ":".join(DIGITS[at : at + 2] for at in range(0, 32, 2)),
        "-".join(DIGITS[at : at + 8] for at in range(0, 32, 8)),
        "{" + ", ".join("0x" + DIGITS[at : at + 2] for at in range(0, 32, 2)) + "}",
        f"  {DIGITS}\n",
    ],
)
def test_the_forms_of_a_key(text: str) -> None:
    assert MeterKeys(text).key(ENCRYPTION) == KEY
    assert MeterKeys(bytearray(KEY)).key(ENCRYPTION) == KEY


@pytest.mark.parametrize(
    "key, words",
    [
        (KEY[:15], ["15 octets", "16 octets", "32 octets", "suite 2"]),
        (KEY.hex()[:-2], ["15 octets", "30 hexadecimal digits", "32 digits"]),
        (KEY.hex() + "00", ["17 octets"]),
        (KEY + KEY[:8], ["24 octets"]),
        (KEY.hex()[:-1], ["31 hexadecimal digits", "odd"]),
        ("", ["0 octets"]),
        (b"", ["0 octets"]),
        (DIGITS.replace("6", "g"), ["no hexadecimal digits"]),
        ("my key", ["no hexadecimal digits"]),
        (DIGITS.encode(), ["give it as text"]),
        ("2222333344445555", ["8 octets", "16 characters themselves", "encode"]),
        ("SIXTEEN LETTERS!", ["no hexadecimal digits", "16 characters themselves"]),
    ],
)
@pytest.mark.parametrize("name", ["encryption key", "authentication key", "broadcast key", "dedicated key"])
def test_what_is_no_key(key: bytes | str, words: list[str], name: str) -> None:
    given: dict[str, bytes | str | None] = {"encryption_key": None} | {name.replace(" ", "_"): key}
    with pytest.raises(UnusableKey) as caught:
        MeterKeys(**given)  # type: ignore[arg-type]
    assert caught.value.diagnosis is Diagnosis.KEY_LENGTH
    assert name in str(caught.value)
    for word in words:
        assert word in str(caught.value)
    shown = key if isinstance(key, str) else key.hex()
    assert not shown or shown not in str(caught.value)


def test_a_key_of_sixteen_characters() -> None:
    assert MeterKeys(b"SIXTEEN LETTERS!").key(ENCRYPTION) == b"SIXTEEN LETTERS!"


def test_keys_of_one_meter_have_one_length() -> None:
    with pytest.raises(UnusableKey, match=r"encryption key has 16 octets, the authentication key has 32"):
        MeterKeys(KEY, LONG_AUTHENTICATION_KEY)
    with pytest.raises(UnusableKey, match="one length"):
        MeterKeys(LONG_KEY, broadcast_key=KEY)
    assert MeterKeys(LONG_KEY.hex(), LONG_AUTHENTICATION_KEY).key(ENCRYPTION) == LONG_KEY


def test_no_key_at_all() -> None:
    with pytest.raises(UnusableKey) as caught:
        MeterKeys(None)
    assert caught.value.diagnosis is Diagnosis.KEY_MISSING


def test_nothing_shows_a_key() -> None:
    general = GeneralKeys(kek=KEY[::-1])
    keys = MeterKeys(
        KEY,
        AUTHENTICATION_KEY,
        broadcast_key=LONG_KEY[:16],
        dedicated_key=LONG_KEY[16:],
        general=general,
        check_replay=False,
        without_verifying=True,
    )
    table = KeyTable({TITLE: keys}, default=keys)
    shown = f"{keys!r} {keys} {table!r} {general!r} {keys.cipher(ENCRYPTION)!r}".lower()
    for secret in (KEY, AUTHENTICATION_KEY, LONG_KEY[:16], LONG_KEY[16:], KEY[::-1]):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
    for word in ("encryption key", "authentication key", "broadcast key", "dedicated key", "without_verifying", "kek"):
        assert word in shown


def test_a_cipher_is_made_once() -> None:
    keys = MeterKeys(KEY, broadcast_key=AUTHENTICATION_KEY)
    assert keys.cipher(ENCRYPTION) is keys.cipher(ENCRYPTION)
    assert keys.cipher(BROADCAST) is not keys.cipher(ENCRYPTION)
    assert keys.cipher(DEDICATED) is None


def test_the_table() -> None:
    one, other = MeterKeys(KEY), MeterKeys(AUTHENTICATION_KEY)
    table = KeyTable({TITLE.hex(): one})
    assert table.find(TITLE) is one
    assert table.find(bytes(8)) is None
    table.default = other
    assert table.find(bytes(8)) is other
    table.add(TITLE, other)
    assert table.find(TITLE) is other
    assert one.find(bytes(8)) is one
    assert isinstance(table, PushKeys)
    assert isinstance(one, PushKeys)
    with pytest.raises(UnusableKey, match="8 octets"):
        table.add(b"KFM", one)


def test_published_examples_are_known() -> None:
    for key in EXAMPLE_KEYS:
        assert len(key) in (16, 32)
        assert MeterKeys(key).example
    assert example_key(bytes(16))
    assert example_key(b"\xff" * 32)
    assert example_key(KEY) is None
    assert MeterKeys(KEY).example is None
    # Luxembourg's authentication key is known to all by design; the encryption key is what is secret.
    assert MeterKeys(KEY, "00112233445566778899AABBCCDDEEFF").example is None
    example = MeterKeys(KEY, broadcast_key=bytes(range(16))).example
    assert example is not None
    assert example.startswith("the broadcast key is")
    assert "000102" not in example
