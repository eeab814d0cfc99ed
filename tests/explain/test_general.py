"""General-ciphering and -signing taken apart with keys: what opens, what was checked, and what could not be."""

from __future__ import annotations

import pytest

from cosemic.explain import Explanation, Keys, explain
from cosemic.security.agreement import one_pass_start
from cosemic.security.cipher import CipherKey
from cosemic.security.ec import SoftwareKey
from cosemic.security.key_wrap import wrap_key
from cosemic.security.suites import EphemeralSignature
from tests.vectors.test_general_protection import AGREEMENT_KEY, PUBLISHED, SIGNING_KEY

EK, AK, KEK = bytes(range(16)), bytes(range(0xD0, 0xE0)), bytes(range(0x80, 0x90))
CLIENT, METER = bytes.fromhex("4D4D4D0000000001"), bytes.fromhex("4D4D4D0000BC614E")
HEADER = b"\x08\x01\x02\x03\x04\x05\x06\x07\x08" + b"\x08" + CLIENT + b"\x08" + METER + b"\x00\x00"
GET = bytes.fromhex("C001C100080000010000FF0200")
PRIVATE = SoftwareKey.generate(1)._key.private_numbers().private_value.to_bytes(32)


def string(octets: bytes) -> bytes:
    return (bytes((len(octets),)) if len(octets) < 128 else b"\x81" + bytes((len(octets),))) + octets


def ciphered(info: bytes, key: bytes, *, covered: bytes = HEADER, control: int = 0x30, plain: bytes = GET) -> bytes:
    """A general-ciphering APDU, put together by hand but for AES-GCM."""
    cipher = CipherKey(key, AK, "test")
    content = cipher.seal(control, CLIENT, 7, plain, cipher.associated(control) + covered)
    return b"\xdd" + HEADER + b"\x01" + info + string(content)


def signed(content: bytes, key: SoftwareKey, *, with_length: bool = True) -> bytes:
    message = HEADER + (string(content) if with_length else content)
    return b"\xdf" + HEADER + string(content) + string(key.sign(message))


def line(explanation: Explanation, field: str) -> str:
    (found,) = (item for item in explanation.lines if item.field == field)
    return found.error or found.meaning


def test_the_published_message_of_the_standard() -> None:
    """IEC 62056-5-3 annex I: an ACCESS request under a key agreed by one pass."""
    keys = Keys(private_keys=(AGREEMENT_KEY.private_pem(),), public_keys=(SIGNING_KEY.public,))
    explanation = explain(PUBLISHED, keys=keys)
    assert explanation.ok, explanation.fault
    assert line(explanation, "key parameters") == "one-pass Diffie-Hellman C(1e, 1s)"
    assert line(explanation, "signature of the ephemeral key").startswith("signature ok, by the public key BAAFFDE0")
    assert "tag not checked: no authentication key" in line(explanation, "plaintext")
    assert "access-request get" in explanation.summary


def test_the_published_message_without_keys() -> None:
    explanation = explain(PUBLISHED)
    assert explanation.ok
    assert "not checked: no public key on P-256 was given" in line(explanation, "signature of the ephemeral key")
    assert "no private key agreement key of suite 1 was given" in line(explanation, "not deciphered")


def test_the_published_message_with_the_key_of_somebody_else() -> None:
    keys = Keys(private_keys=(PRIVATE,), public_keys=(SoftwareKey.generate(1).public,))
    explanation = explain(PUBLISHED, keys=keys)
    assert "fits none of the public keys" in line(explanation, "signature of the ephemeral key")
    assert not explanation.ok


@pytest.mark.parametrize("form", list(EphemeralSignature))
@pytest.mark.parametrize("suite", [1, 2])
def test_one_pass_in_both_readings(suite: int, form: EphemeralSignature) -> None:
    signing, agreeing = SoftwareKey.generate(suite), SoftwareKey.generate(suite)
    key, data = one_pass_start(suite, signing, agreeing.public, CLIENT, METER, form)
    cipher = CipherKey(key, AK * suite, "test")
    content = cipher.seal(0x30 | suite, CLIENT, 0, GET, cipher.associated(0x30 | suite) + HEADER)
    apdu = b"\xdd" + HEADER + b"\x01\x02\x01\x01" + string(data) + string(content)
    keys = Keys(None, AK * suite, private_keys=(agreeing.private_pem(),), public_keys=(signing.public.hex(),))
    explanation = explain(apdu, keys=keys)
    assert explanation.ok, explanation.fault
    said = line(explanation, "signature of the ephemeral key")
    assert ("over 01 and the key" in said) == (form is EphemeralSignature.SCHEME_AND_POINT)
    assert line(explanation, "plaintext") == "13 octets, tag ok; the tag covers the header; under the agreed key"
    assert "get-request normal" in explanation.summary


def test_a_wrapped_key() -> None:
    fresh = bytes(range(0x20, 0x30))
    apdu = ciphered(b"\x01\x00" + string(wrap_key(KEK, fresh)), fresh)
    explanation = explain(apdu, keys=Keys(EK, AK, kek=KEK))
    assert explanation.ok, explanation.fault
    assert "under the wrapped key" in line(explanation, "plaintext")
    assert "no master key (kek) was given" in line(explain(apdu, keys=Keys(EK, AK)), "not deciphered")
    assert "fails its check" in line(explain(apdu, keys=Keys(EK, AK, kek=EK)), "not deciphered")


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("covered", [HEADER, b""])
def test_an_identified_key_in_both_readings(number: int, covered: bytes) -> None:
    key = (EK, KEK)[number]
    explanation = explain(ciphered(bytes((0, number)), key, covered=covered), keys=Keys(EK, AK, broadcast_key=KEK))
    assert explanation.ok, explanation.fault
    assert ("covers the header" in line(explanation, "plaintext")) == bool(covered)


def test_wrong_keys_are_told_apart() -> None:
    apdu = ciphered(b"\x00\x00", EK)
    assert "the authentication key is wrong" in line(explain(apdu, keys=Keys(EK, KEK)), "not accepted")
    assert "the encryption key, the authentication key" in line(explain(apdu, keys=Keys(KEK, AK)), "not accepted")


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("with_length", [True, False])
def test_signatures(suite: int, with_length: bool) -> None:
    key = SoftwareKey.generate(suite)
    apdu = signed(GET, key, with_length=with_length)
    explanation = explain(apdu, keys=Keys(public_keys=(key.public,)))
    assert explanation.ok, explanation.fault
    assert line(explanation, "signature").startswith("signature ok" + ("," if with_length else " (without length),"))
    assert "get-request normal" in explanation.summary
    other = explain(apdu, keys=Keys(public_keys=(SoftwareKey.generate(suite).public,)))
    assert "fits none of the public keys" in line(other, "signature")
    assert not other.ok
    flipped = explain(apdu[:60] + bytes((apdu[60] ^ 1,)) + apdu[61:], keys=Keys(public_keys=(key.public,)))
    assert not flipped.ok
    assert "not checked" in line(explain(apdu), "signature")


def test_nested_envelopes() -> None:
    """Signed inside, ciphered outside, and the other way round."""
    key = SoftwareKey.generate(1)
    keys = Keys(EK, AK, public_keys=(key.public,))
    for apdu in (
        ciphered(b"\x00\x00", EK, plain=signed(GET, key)),
        signed(ciphered(b"\x00\x00", EK), key),
    ):
        explanation = explain(apdu, keys=keys)
        assert explanation.ok, explanation.fault
        assert "signature ok" in line(explanation, "signature")
        assert "tag ok" in line(explanation, "plaintext")
        assert "get-request normal" in explanation.summary


def test_envelopes_nested_without_an_end_are_bounded() -> None:
    apdu = GET
    for _ in range(40):
        apdu = b"\xdf" + HEADER + b"\x82" + len(apdu).to_bytes(2, "big") + apdu + b"\x00"
    assert "too many times over" in (explain(apdu).fault or "")
    apdu = GET
    for _ in range(40):
        apdu = b"\xe6\x01\x01A" + apdu
    assert "too many times over" in (explain(apdu).fault or "")


@pytest.mark.parametrize(
    "bad", [{"kek": b"short"}, {"private_keys": ("zz",)}, {"public_keys": (b"\x01" * 64,)}, {"public_keys": ("00",)}]
)
def test_keys_that_are_none(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"key|kek"):
        Keys(**bad)  # type: ignore[arg-type]


def test_the_key_in_a_certificate() -> None:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    key = SoftwareKey.generate(1)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, METER.hex())])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.key.public_key(), 1, now, now + timedelta(days=1))
        .sign(key.key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )  # fmt: skip
    explanation = explain(signed(GET, key), keys=Keys(public_keys=(certificate.decode(),)))
    assert line(explanation, "signature").startswith("signature ok")
