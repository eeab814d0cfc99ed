"""The curves: what a public key must be, that no private key shows itself, and agreement with OpenSSL's own formats."""

from __future__ import annotations

import pickle

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec as openssl

from cosemic.errors import AuthenticationError, SecurityError
from cosemic.security import ec
from cosemic.security.ec import PrivateKey, SoftwareKey, check_public, public_octets, verify

SUITES = (1, 2)
ORDER = {
    1: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    2: 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
PRIME = {
    1: 2**256 - 2**224 + 2**192 + 2**96 - 1,
    2: 2**384 - 2**128 - 2**96 + 2**32 - 1,
}


@pytest.mark.parametrize("suite", SUITES)
def test_a_signature_holds_for_its_message_and_key_only(suite: int) -> None:
    key, other = SoftwareKey.generate(suite), SoftwareKey.generate(suite)
    signature = key.sign(b"message")
    assert len(signature) == ec.SIGNATURE_LENGTH[suite]
    verify(suite, key.public, b"message", signature)
    with pytest.raises(AuthenticationError, match="does not verify"):
        verify(suite, key.public, b"massage", signature)
    with pytest.raises(AuthenticationError, match="does not verify"):
        verify(suite, other.public, b"message", signature)
    for place in range(len(signature)):
        damaged = bytearray(signature)
        damaged[place] ^= 1
        with pytest.raises(AuthenticationError):
            verify(suite, key.public, b"message", bytes(damaged))


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("size", [0, 1, 63, 65, 95, 97, 200])
def test_a_signature_of_another_length_is_refused(suite: int, size: int) -> None:
    key = SoftwareKey.generate(suite)
    with pytest.raises(AuthenticationError, match="octets"):
        verify(suite, key.public, b"message", bytes(size))


@pytest.mark.parametrize("suite", SUITES)
def test_zero_and_too_large_numbers_are_no_signature(suite: int) -> None:
    key = SoftwareKey.generate(suite)
    size = ec.SIGNATURE_LENGTH[suite] // 2
    order = ORDER[suite].to_bytes(size)
    good = key.sign(b"message")
    for r, s in ((bytes(size), good[size:]), (good[:size], bytes(size)), (order, good[size:]), (good[:size], order)):
        with pytest.raises(AuthenticationError):
            verify(suite, key.public, b"message", r + s)


@pytest.mark.parametrize("suite", SUITES)
def test_signatures_with_leading_zeros_have_their_fixed_width(suite: int) -> None:
    key = SoftwareKey.generate(suite)
    for number in range(2000):
        message = number.to_bytes(2)
        signature = key.sign(message)
        assert len(signature) == ec.SIGNATURE_LENGTH[suite]
        if not signature[0] or not signature[len(signature) // 2]:
            verify(suite, key.public, message, signature)
            return
    raise AssertionError("no leading zero in 2000 signatures")


@pytest.mark.parametrize("suite", SUITES)
def test_points_off_the_curve_are_refused_before_anything_is_computed(suite: int) -> None:
    key = SoftwareKey.generate(suite)
    size = ec.PUBLIC_KEY_LENGTH[suite] // 2
    x, y = key.public[:size], key.public[size:]
    wrong = [
        x + (int.from_bytes(y) ^ 1).to_bytes(size),
        y + x,
        bytes(2 * size),  # where others write the point at infinity
        PRIME[suite].to_bytes(size) + y,
        b"\xff" * (2 * size),
        x + bytes(size),
    ]
    for public in wrong:
        for call in (
            lambda public=public: key.agree(public),
            lambda public=public: verify(suite, public, b"m", key.sign(b"m")),
            lambda public=public: check_public(suite, public),
        ):
            with pytest.raises(SecurityError, match="no point of"):
                call()


@pytest.mark.parametrize("suite", SUITES)
def test_public_keys_of_a_wrong_length_are_refused(suite: int) -> None:
    key = SoftwareKey.generate(suite)
    other = SoftwareKey.generate(3 - suite)
    for public in (b"", b"\0", key.public[:-1], b"\x04" + key.public, b"\x02" + key.public[:32], other.public):
        with pytest.raises(SecurityError, match="octets"):
            key.agree(public)


@pytest.mark.parametrize("suite", SUITES)
def test_both_sides_agree(suite: int) -> None:
    one, other = SoftwareKey.generate(suite), SoftwareKey.generate(suite)
    assert one.agree(other.public) == other.agree(one.public)
    assert len(one.agree(other.public)) == ec.PUBLIC_KEY_LENGTH[suite] // 2


@pytest.mark.parametrize("suite", SUITES)
def test_private_keys_load_from_every_usual_form(suite: int) -> None:
    key = SoftwareKey.generate(suite)
    curve = openssl.SECP256R1() if suite == 1 else openssl.SECP384R1()
    foreign = openssl.generate_private_key(curve)
    plain = serialization.NoEncryption()
    for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER):
        for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
            loaded = SoftwareKey.load(foreign.private_bytes(encoding, form, plain))
            assert loaded.suite == suite
            numbers = foreign.public_key().public_numbers()
            assert loaded.public == numbers.x.to_bytes(16 * suite + 16) + numbers.y.to_bytes(16 * suite + 16)
    assert SoftwareKey.load(key.private_pem()).public == key.public
    assert SoftwareKey.load(key.private_pem(b"secret").decode(), b"secret").public == key.public
    for password in (None, b"wrong"):
        with pytest.raises(ValueError, match="can be read"):
            SoftwareKey.load(key.private_pem(b"secret"), password)


def test_other_keys_are_refused_and_not_quoted() -> None:
    pem, pkcs8, plain = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    other_curve = openssl.generate_private_key(openssl.SECP521R1()).private_bytes(pem, pkcs8, plain)
    with pytest.raises(ValueError, match="secp521r1"):
        SoftwareKey.load(other_curve)
    for octets in (b"", b"x", b"-----BEGIN PRIVATE KEY-----\nU0VDUkVU\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(ValueError, match="can be read") as caught:
            SoftwareKey.load(octets)
        assert "U0VDUkVU" not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("suite", SUITES)
def test_private_octets_are_checked(suite: int) -> None:
    size = 16 * suite + 16
    for octets in (b"", bytes(size - 1) + b"", bytes(size + 1)):
        with pytest.raises(ValueError, match="octets"):
            SoftwareKey(suite, octets)
    for number in (0, ORDER[suite], 2 ** (8 * size) - 1):
        with pytest.raises(ValueError, match="no private key"):
            SoftwareKey(suite, number.to_bytes(size))
    one = SoftwareKey(suite, (1).to_bytes(size))
    assert SoftwareKey(suite, "00:" * (size - 1) + "01").public == one.public
    with pytest.raises(ValueError, match="hexadecimal"):
        SoftwareKey(suite, "SECRET")
    for suite_without in (0, 3):
        with pytest.raises(ValueError, match="no elliptic curve"):
            SoftwareKey(suite_without, bytes(32))
        with pytest.raises(ValueError, match="no elliptic curve"):
            SoftwareKey.generate(suite_without)


def test_no_private_key_shows_itself() -> None:
    octets = bytes(range(1, 33))
    key = SoftwareKey(1, octets)
    assert octets.hex() not in repr(key).lower()
    assert key.public.hex().upper() in repr(key)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(key)


@pytest.mark.parametrize("suite", SUITES)
def test_public_keys_as_users_give_them(suite: int) -> None:
    key = SoftwareKey.generate(suite)
    pem = key.key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for form in (key.public, key.public.hex(), b"\x04" + key.public, "04" + key.public.hex(), pem, pem.decode()):
        assert public_octets(suite, form) == key.public
    for wrong in (
        b"",
        "zz",
        key.public[1:],
        key.public[:-1] + bytes([key.public[-1] ^ 1]),
        b"-----BEGIN",
        "-----BEGIN",
    ):
        with pytest.raises(ValueError, match="public key"):
            public_octets(suite, wrong)
    with pytest.raises(ValueError, match="is needed for suite"):
        public_octets(3 - suite, pem)


def test_the_seam_takes_any_object_with_the_four_members() -> None:
    class Token:
        suite = 1
        public = bytes(64)

        def sign(self, message: bytes) -> bytes:
            return bytes(64)

        def agree(self, public: bytes) -> bytes:
            return bytes(32)

    assert isinstance(Token(), PrivateKey)
    assert isinstance(SoftwareKey.generate(1), PrivateKey)
    assert not isinstance(object(), PrivateKey)
