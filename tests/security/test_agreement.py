"""Key agreement and key wrap: published examples, both sides, and everything that has to be refused.

The keys, secrets and signatures of the examples are those of the Green Book and IEC 62056-5-3 annex I, as public test
suites quote them.
"""

from __future__ import annotations

import hashlib

import pytest

from cosemic.errors import AuthenticationError, SecurityError
from cosemic.security.agreement import (
    AlgorithmId,
    derive_key,
    key_offer,
    one_pass_finish,
    one_pass_start,
    static_unified_key,
)
from cosemic.security.ec import SoftwareKey, verify
from cosemic.security.key_wrap import unwrap_key, wrap_key
from cosemic.security.suites import EphemeralSignature, KeyId

CLIENT = bytes.fromhex("4D4D4D0000BC614E")
SERVER = bytes.fromhex("4D4D4D0000000001")
SUITES = (1, 2)

# C(2e, 0s)
CLIENT_SIGNING = SoftwareKey(1, "418073C239FA6125011DE4D6CD2E645780289F761BB21BFB0835CB5585E8B373")
CLIENT_SIGNING_PUBLIC = bytes.fromhex(
    "BAAFFDE06A8CB1C9DAE8D94023C601DBBB249254BA22EDD827E820BCA2BCC643"
    "62FBB83D86A82B87BB8B7161D2AAB5521911A946B97A284A90F7785CD9047D25"
)
CLIENT_EPHEMERAL_PUBLIC = bytes.fromhex(
    "2914D60E10AB705F62ED6CC349D7CB99B9AB3F3978E59278C7AF595B3AF98794"
    "1372DAB6D5AF1FA867E134167E6F23DE664A6693E05F43414611058D1B48F894"
)
CLIENT_EPHEMERAL_SIGNATURE = bytes.fromhex(
    "06F0607702AA0E2435A183E2F6B1ECD19629712E389A213610C03F77B2590860"
    "EA840AF5C3FA1F2BCDF055D4744E9A01CE9A0E55026BCAA4EEBEB764CED64BB3"
)
SERVER_EPHEMERAL = SoftwareKey(1, "34A8C23A34DBB519D09B245754C85A6CFE05D14A063EFA5AA41545AA8241EFAE")
SERVER_SIGNING = SoftwareKey(1, "AE55414FFE079F9FC95649536BD1C2B5653D200813727E07D501A8B550C69207")
# C(1e, 1s)
ONE_PASS_EPHEMERAL = SoftwareKey(1, "47DAB03842E5B6E74828EF4F449B378D7DD1A5DAE1FFCA5AE0B0BE0AD18EC57E")
SERVER_AGREEMENT = SoftwareKey(1, "AAD3FD0732E991CF52A74C66C1F2827DDC53522A2E0A169D7C4FFCC0FB5D6A4D")
ONE_PASS_SIGNATURE = bytes.fromhex(
    "B51BE089D0B682863B2217201E73A1A9031968A9B4121DCBC3281A69739AF874"
    "29F5B3AC5471E7B6A04A2C0F2F8A25FD772A317DF97FC5463FEAC248EB8AB8BE"
)
SERVER_ONE_PASS_EPHEMERAL_PUBLIC = bytes.fromhex(
    "6439724714B47CD9CB988897D8424AB946DCD083D37A954637616011B9C23787"
    "73295F0F850D8DAFD1BBE9FE666E53E4F097CD10B38B69622152724A90987444"
)
SERVER_ONE_PASS_SIGNATURE = bytes.fromhex(
    "E1FF47974A1F6931A6502F58147463F0E8CC517D47F55B0AC56DD8AC5C9D0E48"
    "1934F2D90F9893016BD82B6E3FFE21FF1588F3278B4E9D98EB4FB62ADD64B380"
)
CLIENT_AGREEMENT = SoftwareKey(1, "A51C16FF5C498FCC89323D4A9267CD71BF81FD6F6A891CD240DA7F3D6F283E65")


def test_the_published_keys_belong_together() -> None:
    assert CLIENT_SIGNING.public == CLIENT_SIGNING_PUBLIC
    assert SERVER_EPHEMERAL.agree(CLIENT_EPHEMERAL_PUBLIC).hex() == (
        "c1cf8fe7891aef3617d7190795e61fe6c24efc3cca2e08469bad1a225ce6ea08"
    )


def test_the_published_offer_of_the_client_is_accepted() -> None:
    """Z and the signature over 00 || X || Y are published; the key is then the KDF's."""
    server = key_offer(1, KeyId.GLOBAL_UNICAST_ENCRYPTION, SERVER_SIGNING, ephemeral=SERVER_EPHEMERAL)
    key = server.agree(CLIENT_EPHEMERAL_PUBLIC + CLIENT_EPHEMERAL_SIGNATURE, CLIENT_SIGNING_PUBLIC, CLIENT, SERVER)
    z = SERVER_EPHEMERAL.agree(CLIENT_EPHEMERAL_PUBLIC)
    info = bytes.fromhex("60857405080300") + CLIENT + SERVER
    assert key == hashlib.sha256(bytes.fromhex("00000001") + z + info).digest()[:16]


def test_the_keys_of_edition_8_come_from_its_misprinted_algorithm_identifier() -> None:
    """What edition 8 prints (E025…, 8CD0…, E357…) is the same KDF over 60 85 74 06 …: the rest of it is right."""
    for own, public, u, v, expected in (
        (SERVER_EPHEMERAL, CLIENT_EPHEMERAL_PUBLIC, CLIENT, SERVER, "e025ca6f9ee8d2b40f993739d44cfbc0"),
        (SERVER_AGREEMENT, ONE_PASS_EPHEMERAL.public, CLIENT, SERVER, "8cd08ff02eac71712de8449dc8331833"),
        (CLIENT_AGREEMENT, SERVER_ONE_PASS_EPHEMERAL_PUBLIC, SERVER, CLIENT, "e357f06755cbf5c2c31457fe3cd1d5b8"),
    ):
        printed = bytes.fromhex("60857406080300")
        z = own.agree(public)
        assert hashlib.sha256(bytes.fromhex("00000001") + z + printed + u + v).digest()[:16].hex() == expected
        assert derive_key(1, z, u, v).hex() != expected


def test_the_published_one_pass_keys_are_accepted() -> None:
    key = one_pass_finish(
        1,
        SERVER_AGREEMENT,
        CLIENT_SIGNING_PUBLIC,
        ONE_PASS_EPHEMERAL.public + ONE_PASS_SIGNATURE,
        CLIENT,
        SERVER,
    )
    assert (
        key.hex() == "59a71fd81c929a86a99438da17a66c05"
    )  # opens the published APDU, see the test of general-ciphering
    back = SERVER_ONE_PASS_EPHEMERAL_PUBLIC + SERVER_ONE_PASS_SIGNATURE
    one_pass_finish(1, CLIENT_AGREEMENT, SERVER_SIGNING.public, back, SERVER, CLIENT)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("key_id", list(KeyId))
def test_both_sides_agree_on_every_key(suite: int, key_id: KeyId) -> None:
    client_key, server_key = SoftwareKey.generate(suite), SoftwareKey.generate(suite)
    client, server = key_offer(suite, key_id, client_key), key_offer(suite, key_id, server_key)
    one = client.agree(server.key_data, server_key.public, CLIENT, SERVER)
    other = server.agree(client.key_data, client_key.public, CLIENT, SERVER)
    assert one == other
    assert len(one) == (16 if suite == 1 else 32)
    assert client.agree(server.key_data, server_key.public, SERVER, CLIENT) != one


@pytest.mark.parametrize("suite", SUITES)
def test_every_octet_of_an_offer_counts(suite: int) -> None:
    client_key, server_key = SoftwareKey.generate(suite), SoftwareKey.generate(suite)
    client = key_offer(suite, KeyId.AUTHENTICATION, client_key)
    answer = key_offer(suite, KeyId.AUTHENTICATION, server_key).key_data
    for place in range(len(answer)):
        damaged = bytearray(answer)
        damaged[place] ^= 0x40
        with pytest.raises(AuthenticationError, match="not proved"):
            client.agree(bytes(damaged), server_key.public, CLIENT, SERVER)
    with pytest.raises(AuthenticationError):
        client.agree(answer, client_key.public, CLIENT, SERVER)
    other = key_offer(suite, KeyId.GLOBAL_UNICAST_ENCRYPTION, server_key).key_data
    with pytest.raises(AuthenticationError):  # an offer for another key
        client.agree(other, server_key.public, CLIENT, SERVER)


@pytest.mark.parametrize("suite", SUITES)
def test_impossible_offers_are_refused(suite: int) -> None:
    key = SoftwareKey.generate(suite)
    offer = key_offer(suite, KeyId.AUTHENTICATION, key)
    for octets in (b"", offer.key_data[:-1], offer.key_data + b"\0", bytes(64)):
        with pytest.raises(SecurityError, match="key agreement data"):
            offer.agree(octets, key.public, CLIENT, SERVER)
    with pytest.raises(SecurityError, match="sent back"):
        offer.agree(offer.key_data, key.public, CLIENT, SERVER)
    off_curve = offer.key_data[: len(offer.key_data) // 2 - 1] + b"\0"
    signed = off_curve + key.sign(bytes([KeyId.AUTHENTICATION]) + off_curve)
    with pytest.raises(SecurityError, match="no point of"):
        offer.agree(signed, key.public, CLIENT, SERVER)
    with pytest.raises(SecurityError, match="suite"):
        key_offer(3 - suite, KeyId.AUTHENTICATION, key)
    with pytest.raises(SecurityError, match="no key agreement"):
        key_offer(0, KeyId.AUTHENTICATION, key)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("form", list(EphemeralSignature))
def test_one_pass_both_sides(suite: int, form: EphemeralSignature) -> None:
    signing, static = SoftwareKey.generate(suite), SoftwareKey.generate(suite)
    key, data = one_pass_start(suite, signing, static.public, CLIENT, SERVER, form)
    assert one_pass_finish(suite, static, signing.public, data, CLIENT, SERVER, form) == key
    again, _ = one_pass_start(suite, signing, static.public, CLIENT, SERVER, form)
    assert again != key
    assert one_pass_finish(suite, static, signing.public, data, SERVER, CLIENT, form) != key
    other = next(each for each in EphemeralSignature if each is not form)
    with pytest.raises(AuthenticationError):
        one_pass_finish(suite, static, signing.public, data, CLIENT, SERVER, other)
    with pytest.raises(AuthenticationError):
        one_pass_finish(suite, static, static.public, data, CLIENT, SERVER, form)
    with pytest.raises(SecurityError, match="parties"):
        one_pass_finish(suite, static, signing.public, data, b"", SERVER, form)


@pytest.mark.parametrize("suite", SUITES)
def test_the_static_key_changes_with_the_transaction_and_with_either_title(suite: int) -> None:
    one, other = SoftwareKey.generate(suite), SoftwareKey.generate(suite)
    keys = {
        static_unified_key(suite, one, other.public, u, v, transaction)
        for u, v in ((CLIENT, SERVER), (SERVER, CLIENT))
        for transaction in (b"\x01", b"\x02", b"\x01\x02")
    }
    assert len(keys) == 6
    assert static_unified_key(suite, other, one.public, CLIENT, SERVER, b"\x01") in keys
    for nonce in (b"", bytes(128)):
        with pytest.raises(SecurityError, match="transaction id"):
            static_unified_key(suite, one, other.public, CLIENT, SERVER, nonce)
    with pytest.raises(SecurityError, match="no point of"):
        static_unified_key(suite, one, bytes(len(one.public)), CLIENT, SERVER, b"\x01")


def test_a_shared_secret_of_another_suite_is_refused() -> None:
    with pytest.raises(SecurityError, match="does not fit"):
        derive_key(1, bytes(48), CLIENT, SERVER)
    assert AlgorithmId.AES_WRAP.octets(2).hex() == "60857405080303"


def test_an_offer_shows_no_private_key() -> None:
    assert "34A8C2" not in repr(key_offer(1, KeyId.MASTER, SERVER_SIGNING, ephemeral=SERVER_EPHEMERAL)).upper()


def test_signed_points_verify_with_the_published_signature() -> None:
    verify(1, CLIENT_SIGNING_PUBLIC, ONE_PASS_EPHEMERAL.public, ONE_PASS_SIGNATURE)


@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("kek_size", [16, 32])
def test_wrapped_keys_come_back_and_every_octet_counts(size: int, kek_size: int) -> None:
    kek, key = bytes(range(1, kek_size + 1)), bytes(range(100, 100 + size))
    wrapped = wrap_key(kek, key)
    assert len(wrapped) == size + 8
    assert unwrap_key(kek, wrapped) == key
    for place in range(len(wrapped)):
        damaged = bytearray(wrapped)
        damaged[place] ^= 1
        with pytest.raises(AuthenticationError, match="check"):
            unwrap_key(kek, bytes(damaged))
    with pytest.raises(AuthenticationError, match="check"):
        unwrap_key(bytes(range(2, kek_size + 2)), wrapped)


def test_wrapped_keys_of_wrong_sizes_and_zero_keys_are_refused() -> None:
    from cryptography.hazmat.primitives.keywrap import aes_key_wrap

    kek = bytes(range(16))
    for size in (0, 16, 23, 25, 32, 39, 41, 1000):
        with pytest.raises(SecurityError, match="octets"):
            unwrap_key(kek, bytes(size))
    with pytest.raises(SecurityError, match="zero"):
        unwrap_key(kek, aes_key_wrap(kek, bytes(16)))
    for bad in (b"", bytes(16), bytes(24)):
        with pytest.raises(ValueError, match="key"):
            wrap_key(bad, kek)
        with pytest.raises(ValueError, match="key"):
            wrap_key(kek, bad)
        with pytest.raises(ValueError, match="master key"):
            unwrap_key(bad, bytes(24))
