"""Certificates of the DLMS profile: what is accepted, and each thing that is not."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from cosemic.enums import CertificateType
from cosemic.errors import CertificateError, LocalProtocolError, SecurityError
from cosemic.security.certificates import LARGEST_CERTIFICATE, Certificate
from cosemic.security.chains import LONGEST_CHAIN, verify_chain
from cosemic.security.ec import SoftwareKey, check_public
from cosemic.security.issuing import (
    NO_END,
    CertificateRequest,
    certificate_request,
    issue_certificate,
    new_authority,
)
from tests.security.pki import AGREEMENT, CLIENT_TITLE, END, METER_TITLE, NOW, SIGNING, START, TLS, Pki

METER_NAME = METER_TITLE.hex().upper()
ONE = timedelta(seconds=1)
OPENSSL = shutil.which("openssl")


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki.make()


def usage(*bits: str) -> x509.KeyUsage:
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign "
        "encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: name in bits for name in names.split()})


def foreign(
    pki: Pki,
    *extensions: tuple[x509.ExtensionType, bool],
    common_name: str | list[str] = METER_NAME,
    key: Any = None,
    digest: hashes.HashAlgorithm | None = None,
    signer: Any = None,
    serial: int = 5,
) -> bytes:
    """A certificate that our own issuing would not make."""
    names = [common_name] if isinstance(common_name, str) else common_name
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names]))
        .issuer_name(pki.authority.parsed.subject)
        .public_key((key or ec.generate_private_key(ec.SECP256R1())).public_key())
        .serial_number(serial)
        .not_valid_before(START)
        .not_valid_after(END)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    made = builder.sign(signer or pki.authority_key.key, digest or hashes.SHA256())
    return made.public_bytes(Encoding.DER)


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("purpose", [SIGNING, AGREEMENT, TLS])
def test_a_certificate_of_the_profile(suite: int, purpose: CertificateType) -> None:
    pki, key = Pki.make(suite), SoftwareKey.generate(suite)
    made = pki.issue(purpose=purpose, key=key, serial_number=0x80FF)
    for form in (made.der, made.pem(), made.pem().encode()):
        again = Certificate.parse(form)
        assert again == made
    assert (made.suite, made.public, made.type) == (suite, key.public, purpose)
    assert (made.serial_number, made.serial_octets) == (0x80FF, b"\x00\x80\xff")
    assert made.system_title == METER_TITLE
    assert made.subject_text == f"CN={METER_TITLE.hex().upper()}"
    assert made.issuer == pki.authority.subject
    assert (made.not_before, made.not_after, made.is_authority) == (START, END, False)
    chain = verify_chain(made, [pki.root], [pki.authority], at=NOW, purpose=purpose, system_title=METER_TITLE)
    assert chain == (made, pki.authority, pki.root)
    assert verify_chain(made, [pki.authority], at=NOW, purpose=purpose) == (made, pki.authority)
    assert verify_chain(pki.root, [pki.root], at=NOW) == (pki.root,)
    assert len(made.der) < LARGEST_CERTIFICATE / 8


def test_the_authority_certificates(pki: Pki) -> None:
    assert pki.root.is_authority
    assert pki.authority.path_length == 0
    assert pki.root.system_title is None
    usage = pki.root.parsed.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert usage.value.crl_sign
    assert pki.root.parsed.extensions.get_extension_for_class(x509.BasicConstraints).critical


def test_every_flipped_bit_is_found(pki: Pki) -> None:
    made = pki.issue(serial_number=77)
    tried = 0
    for at in range(8 * len(made.der)):
        octets = bytearray(made.der)
        octets[at // 8] ^= 1 << at % 8
        with pytest.raises(CertificateError):
            verify_chain(Certificate.parse(bytes(octets)), [pki.root], [pki.authority], at=NOW)
        tried += 1
    assert tried > 2500


def test_truncated_and_prolonged(pki: Pki) -> None:
    der = pki.issue().der
    for length in range(len(der)):
        with pytest.raises(CertificateError):
            Certificate.parse(der[:length])
    with pytest.raises(CertificateError):
        Certificate.parse(der + b"\0")
    for nothing in (b"", "", "-----BEGIN CERTIFICATE-----\nnothing", b"-----BEGIN CERTIFICATE-----\n\xff"):
        with pytest.raises(CertificateError):
            Certificate.parse(nothing)


def test_an_oversized_certificate_is_refused_before_it_is_parsed(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    huge = foreign(
        pki,
        (usage("digital_signature"), True),
        (x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), bytes(9000)), False),
    )
    for parser in ("load_der_x509_certificate", "load_pem_x509_certificate"):
        monkeypatch.setattr(x509, parser, lambda octets: pytest.fail("it was parsed"))
    with pytest.raises(CertificateError, match="limit"):
        Certificate.parse(huge)
    with pytest.raises(CertificateError, match="limit"):
        Certificate.parse("-----BEGIN CERTIFICATE-----\n" + "A" * 20000)


def test_whatever_octets_come_there_is_one_error(pki: Pki) -> None:
    """Runs of octets replaced, removed, doubled; lengths and tags of the DER set to others."""
    chance = random.Random(7)
    whole = [pki.issue().der, pki.authority.der, certificate_request(pki.root_key, METER_TITLE)]
    for number in range(3000):
        octets = bytearray(whole[number % 3])
        for _ in range(chance.randrange(1, 4)):
            start = chance.randrange(len(octets))
            end = min(len(octets), start + chance.randrange(1, 12))
            octets[start:end] = chance.choice(
                [chance.randbytes(end - start), b"", octets[start:end] * 2, b"\x30\x84\xff\xff\xff\xff", bytes([0x80])]
            )
        for parse in (
            lambda octets: verify_chain(Certificate.parse(octets), [pki.root], [pki.authority], at=NOW),
            CertificateRequest.parse,
        ):
            if bytes(octets) not in whole:
                with pytest.raises(CertificateError):
                    parse(bytes(octets))


def test_a_name_brings_no_line_into_a_log(pki: Pki) -> None:
    made = foreign(pki, (usage("digital_signature"), True), common_name="x\nERROR forged\x1b[2J" + "y" * 40)
    with pytest.raises(CertificateError) as caught:
        Certificate.parse(made)
    assert str(caught.value).isprintable()
    authority = new_authority(pki.root_key, "a\nb", not_before=START)
    with pytest.raises(CertificateError) as caught:
        verify_chain(authority, [pki.root], at=NOW)
    assert str(caught.value).isprintable()


CASES: dict[str, tuple[Callable[[Pki], bytes], str]] = {
    "unknown critical extension": (
        lambda pki: foreign(
            pki,
            (usage("digital_signature"), True),
            (x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), True),
        ),
        r"critical extension that is not known here \(1\.2\.3\.4\.5\)",
    ),
    "name constraints": (
        lambda pki: foreign(
            pki,
            (usage("digital_signature"), True),
            (x509.NameConstraints([x509.DNSName("a")], None), True),
        ),
        "critical extension",
    ),
    "no key usage": (lambda pki: foreign(pki), "no key usage"),
    "authority that may not sign": (
        lambda pki: foreign(pki, (usage("digital_signature"), True), (x509.BasicConstraints(True, None), True)),
        "keyCertSign",
    ),
    "signs certificates without being an authority": (
        lambda pki: foreign(pki, (usage("key_cert_sign"), True)),
        "without being an authority",
    ),
    "wrong curve": (
        lambda pki: foreign(pki, (usage("digital_signature"), True), key=ec.generate_private_key(ec.SECP521R1())),
        "secp521r1.*P-256 and P-384",
    ),
    "another kind of key": (
        lambda pki: foreign(pki, (usage("digital_signature"), True), key=ed25519.Ed25519PrivateKey.generate()),
        "another kind",
    ),
    "CN that is no system title": (
        lambda pki: foreign(pki, (usage("digital_signature"), True), common_name="meter 17"),
        "not a system title",
    ),
    "CN with spaces": (
        lambda pki: foreign(pki, (usage("digital_signature"), True), common_name="43 4F 53 00 0000"),
        "not a system title",
    ),
    "two CNs": (
        lambda pki: foreign(pki, (usage("digital_signature"), True), common_name=[METER_TITLE.hex()] * 2),
        "not a system title",
    ),
    "SHA-512": (
        lambda pki: foreign(pki, (usage("digital_signature"), True), digest=hashes.SHA512()),
        "ecdsa-with-SHA256 or -SHA384",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_outside_the_profile(pki: Pki, case: str) -> None:
    make, text = CASES[case]
    with pytest.raises(CertificateError, match=text):
        Certificate.parse(make(pki))


def test_a_point_that_is_not_on_the_curve(pki: Pki) -> None:
    made = pki.issue()
    off = bytes(made.der).replace(made.public, bytes(63) + b"\x07")
    assert off != made.der
    with pytest.raises(CertificateError, match="no point"):
        Certificate.parse(off)


def test_extensions_that_are_known_or_do_not_matter(pki: Pki) -> None:
    made = Certificate.parse(
        foreign(
            pki,
            (usage("key_agreement"), True),
            (x509.CertificatePolicies([x509.PolicyInformation(ObjectIdentifier("1.2.3"), None)]), True),
            (x509.SubjectAlternativeName([x509.DNSName("meter.example")]), False),
            (x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), False),
            common_name=METER_TITLE.hex(),
        )
    )
    assert made.type is AGREEMENT
    assert b"meter.example" in made.subject_alt_name
    assert verify_chain(made, [pki.authority], at=NOW, purpose=AGREEMENT, system_title=METER_TITLE)


@pytest.mark.parametrize(
    "extensions",
    [
        [(usage("digital_signature", "key_agreement"), True)],
        [(usage("content_commitment"), True)],
        [(usage("digital_signature"), True), (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), True)],
    ],
)
def test_a_key_for_everything_is_for_nothing(pki: Pki, extensions: list[Any]) -> None:
    made = Certificate.parse(foreign(pki, *extensions))
    assert made.type is CertificateType.OTHER
    for purpose in (SIGNING, AGREEMENT, TLS):
        with pytest.raises(CertificateError, match="is for another purpose"):
            made.check_purpose(purpose)


def test_wrong_purpose_and_title(pki: Pki) -> None:
    for own, other in ((SIGNING, AGREEMENT), (AGREEMENT, SIGNING), (TLS, SIGNING), (SIGNING, TLS)):
        with pytest.raises(CertificateError, match="give the certificate of that key"):
            verify_chain(pki.issue(purpose=own), [pki.authority], at=NOW, purpose=other)
    with pytest.raises(CertificateError, match="434F534300000010; give the certificate of that peer"):
        verify_chain(pki.issue(), [pki.authority], at=NOW, system_title=CLIENT_TITLE)
    with pytest.raises(CertificateError, match="belongs to an authority"):
        verify_chain(pki.authority, [pki.root], at=NOW, purpose=SIGNING)
    with pytest.raises(CertificateError, match="names no system title"):
        verify_chain(pki.authority, [pki.root], at=NOW, system_title=METER_TITLE)


def test_validity_to_the_second() -> None:
    pki = Pki.make(end=END + timedelta(days=1))
    made = pki.issue()
    for moment in (START, END):
        assert verify_chain(made, [pki.authority], at=moment)
    for moment, text in ((START - ONE, "not valid before 2026-01-01"), (END + ONE, "expired on 2027-01-01")):
        with pytest.raises(CertificateError, match=text):
            verify_chain(made, [pki.authority], at=moment)
    with pytest.raises(ValueError, match="aware"):
        verify_chain(made, [pki.authority], at=datetime(2026, 6, 1))
    forever = pki.issue(end=NO_END)
    assert forever.not_after == NO_END
    assert verify_chain(forever, [pki.authority], at=NOW)


def test_an_expired_authority_vouches_for_nothing(pki: Pki) -> None:
    made = pki.issue(end=END + timedelta(days=365))
    with pytest.raises(CertificateError, match=r"Test Root Sub.*expired"):
        verify_chain(made, [pki.root], [pki.authority], at=END + ONE)
    root = new_authority(pki.root_key, "Test Root", not_before=NOW + ONE, not_after=END)
    with pytest.raises(CertificateError, match="not valid before"):
        verify_chain(made, [root], [pki.authority], at=NOW)


def test_no_anchor_and_a_forged_authority(pki: Pki) -> None:
    made = pki.issue()
    with pytest.raises(CertificateError, match=r"nobody vouches for 'CN=Test Root Sub'"):
        verify_chain(made, [pki.root], at=NOW)
    with pytest.raises(CertificateError, match=r"nobody vouches for 'CN=Test Root'"):
        verify_chain(made, [], [pki.authority], at=NOW)
    forger = Pki.make()
    with pytest.raises(CertificateError, match="altered, or signed by another of the same name"):
        verify_chain(forger.issue(), [pki.root], [pki.authority], at=NOW)
    with pytest.raises(CertificateError, match="altered, or signed by another"):
        verify_chain(forger.issue(), [pki.root], [forger.authority], at=NOW)
    # A wrong authority of that name in between does no harm.
    assert verify_chain(made, [pki.root], [forger.authority, pki.authority], at=NOW)


def test_an_end_entity_issues_nothing(pki: Pki) -> None:
    key = SoftwareKey.generate(1)
    meter = pki.issue(key=key)
    with pytest.raises(ValueError, match="no authority"):
        issue_certificate(meter, key, purpose=SIGNING, system_title=CLIENT_TITLE, public=key.public, not_before=START)
    below = x509.CertificateBuilder(
        issuer_name=meter.parsed.subject,
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, CLIENT_TITLE.hex())]),
        public_key=key.key.public_key(),
        serial_number=1,
        not_valid_before=START,
        not_valid_after=END,
    ).add_extension(usage("digital_signature"), True)
    forged = Certificate.parse(below.sign(key.key, hashes.SHA256()).public_bytes(Encoding.DER))
    with pytest.raises(CertificateError, match="nobody vouches"):
        verify_chain(forged, [pki.root], [pki.authority, meter], at=NOW)
    with pytest.raises(CertificateError, match="nobody vouches"):
        verify_chain(forged, [meter], at=NOW)


def chain_of(length: int, **options: Any) -> tuple[list[Certificate], list[SoftwareKey]]:
    keys = [SoftwareKey.generate(1)]
    authorities = [new_authority(keys[0], "0", not_before=START, **options)]
    for number in range(1, length):
        keys.append(SoftwareKey.generate(1))
        authorities.append(
            new_authority(keys[-1], str(number), not_before=START, issuer=authorities[-1], issuer_key=keys[-2])
        )
    return authorities, keys


def leaf_of(authorities: list[Certificate], keys: list[SoftwareKey]) -> Certificate:
    public = SoftwareKey.generate(1).public
    return issue_certificate(
        authorities[-1], keys[-1], purpose=SIGNING, system_title=METER_TITLE, public=public, not_before=START
    )


def test_the_length_of_a_chain() -> None:
    authorities, keys = chain_of(LONGEST_CHAIN - 1)
    assert len(verify_chain(leaf_of(authorities, keys), authorities[:1], authorities, at=NOW)) == LONGEST_CHAIN
    authorities, keys = chain_of(LONGEST_CHAIN)
    with pytest.raises(CertificateError, match="chain of more than"):
        verify_chain(leaf_of(authorities, keys), authorities[:1], authorities, at=NOW)
    authorities, keys = chain_of(3, path_length=1)
    with pytest.raises(CertificateError, match="allows 1 authorities below it, there are 2"):
        verify_chain(leaf_of(authorities, keys), authorities[:1], authorities, at=NOW)
    assert verify_chain(leaf_of(authorities[:2], keys[:2]), authorities[:1], authorities, at=NOW)


def test_a_maze_of_authorities_ends() -> None:
    """Ten authorities of one name that all signed each other: bounded, and an error."""
    keys = [SoftwareKey.generate(1) for _ in range(10)]
    plain = [new_authority(key, "same", not_before=START) for key in keys]
    web = [
        new_authority(key, "same", not_before=START, issuer=other, issuer_key=issuer_key)
        for key in keys
        for other, issuer_key in zip(plain, keys, strict=True)
    ]
    leaf = leaf_of([plain[0]], [keys[0]])
    with pytest.raises(CertificateError):
        verify_chain(leaf, [Pki.make().root], web, at=NOW)


def test_suites_in_a_chain() -> None:
    strong, weak = Pki.make(2, "Strong"), Pki.make(1, "Weak")
    key1, key2 = SoftwareKey.generate(1), SoftwareKey.generate(2)
    below = issue_certificate(
        strong.authority,
        strong.authority_key,
        purpose=SIGNING,
        system_title=METER_TITLE,
        public=key1.public,
        suite=1,
        not_before=START,
    )
    assert verify_chain(below, [strong.root], [strong.authority], at=NOW)
    above = issue_certificate(
        weak.authority,
        weak.authority_key,
        purpose=SIGNING,
        system_title=METER_TITLE,
        public=key2.public,
        suite=2,
        not_before=START,
    )
    with pytest.raises(CertificateError, match="stronger key"):
        verify_chain(above, [weak.root], [weak.authority], at=NOW)
    other_hash = foreign(weak, (usage("digital_signature"), True), digest=hashes.SHA384())
    with pytest.raises(CertificateError, match="another hash"):
        verify_chain(Certificate.parse(other_hash), [weak.authority], at=NOW)


@pytest.mark.parametrize("suite", [1, 2])
def test_a_request_and_its_certificate(suite: int) -> None:
    pki, key = Pki.make(suite), SoftwareKey.generate(suite)
    octets = certificate_request(key, CLIENT_TITLE)
    request = CertificateRequest.parse(octets)
    assert (request.suite, request.public, request.system_title) == (suite, key.public, CLIENT_TITLE)
    made = issue_certificate(
        pki.authority, pki.authority_key, purpose=AGREEMENT, request=octets, not_before=START, not_after=END
    )
    assert (made.public, made.system_title, made.type) == (key.public, CLIENT_TITLE, AGREEMENT)
    assert verify_chain(made, [pki.root], [pki.authority], at=NOW, purpose=AGREEMENT, system_title=CLIENT_TITLE)
    for at in range(8 * len(octets)):
        flipped = bytearray(octets)
        flipped[at // 8] ^= 1 << at % 8
        with pytest.raises(CertificateError):
            CertificateRequest.parse(bytes(flipped))


def test_requests_that_are_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder()
    nobody = builder.subject_name(x509.Name([])).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    with pytest.raises(CertificateError, match="CN"):
        CertificateRequest.parse(nobody)
    with pytest.raises(CertificateError, match="not signed by the key"):
        CertificateRequest.parse(
            builder.subject_name(x509.Name([])).sign(key, hashes.SHA384()).public_bytes(Encoding.DER)
        )
    for octets in (b"", "text", bytes(20000)):
        with pytest.raises(CertificateError, match="no certificate request"):
            CertificateRequest.parse(octets)


def test_issuing_wants_all_it_needs(pki: Pki) -> None:
    key = SoftwareKey.generate(1)
    with pytest.raises(ValueError, match="request, or a system title"):
        issue_certificate(pki.authority, pki.authority_key, purpose=SIGNING, not_before=START)
    with pytest.raises(ValueError, match="not the key of issuer"):
        issue_certificate(
            pki.authority, key, purpose=SIGNING, system_title=METER_TITLE, public=key.public, not_before=START
        )
    with pytest.raises(ValueError, match="signing, key agreement or TLS"):
        issue_certificate(
            pki.authority,
            pki.authority_key,
            purpose=CertificateType.OTHER,
            system_title=METER_TITLE,
            public=key.public,
            not_before=START,
        )
    with pytest.raises(SecurityError):
        issue_certificate(
            pki.authority,
            pki.authority_key,
            purpose=SIGNING,
            system_title=METER_TITLE,
            public=bytes(64),
            not_before=START,
        )
    with pytest.raises(ValueError, match="both issuer and issuer_key"):
        new_authority(key, "x", not_before=START, issuer=pki.root)
    with pytest.raises(ValueError, match="aware"):
        new_authority(key, "x", not_before=datetime(2026, 1, 1))


class Token:
    """A private key that signs and shows nothing, as one on a token does."""

    def __init__(self, suite: int) -> None:
        self._key = SoftwareKey.generate(suite)
        self.signed: list[bytes] = []

    suite = property(lambda self: self._key.suite)
    public = property(lambda self: self._key.public)

    def sign(self, message: bytes) -> bytes:
        self.signed.append(message)
        return self._key.sign(message)

    def agree(self, public: bytes) -> bytes:
        return self._key.agree(check_public(self.suite, public))


@pytest.mark.parametrize("suite", [1, 2])
def test_keys_that_never_leave_their_token_issue_and_request(suite: int) -> None:
    root_key, key = Token(suite), Token(suite)
    root = new_authority(root_key, "token", not_before=START)
    made = issue_certificate(
        root, root_key, purpose=SIGNING, request=certificate_request(key, METER_TITLE), not_before=START
    )
    assert verify_chain(made, [root], at=NOW, purpose=SIGNING, system_title=METER_TITLE)
    assert (len(root_key.signed), len(key.signed)) == (2, 1)


def test_the_view_of_a_key_that_the_library_gets_only_signs() -> None:
    from cosemic.security.issuing import _Signer

    view = _Signer(SoftwareKey.generate(1))
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    for call in (
        lambda: view.private_numbers(),
        lambda: view.private_bytes(None, None, None),
        lambda: view.exchange(ec.ECDH(), other),
        lambda: view.sign(b"", ec.ECDSA(hashes.SHA384())),
    ):
        with pytest.raises(LocalProtocolError):
            call()


@pytest.mark.skipif(OPENSSL is None, reason="the command openssl is not installed")
@pytest.mark.parametrize("suite", [1, 2])
def test_openssl_takes_our_chain_and_request(tmp_path: Path, suite: int) -> None:
    pki, key = Pki.make(suite, end=NO_END), SoftwareKey.generate(suite)
    for name, text in (
        ("root.pem", pki.root.pem()),
        ("sub.pem", pki.authority.pem()),
        ("leaf.pem", pki.issue(purpose=TLS, end=NO_END, key=key).pem()),
    ):
        (tmp_path / name).write_text(text)
    (tmp_path / "request.der").write_bytes(certificate_request(key, METER_TITLE))

    def openssl(*arguments: str) -> str:
        assert OPENSSL is not None
        done = subprocess.run([OPENSSL, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    checked = openssl(
        "verify", "-x509_strict", "-purpose", "sslclient", "-attime", str(int(NOW.timestamp())),
        "-CAfile", "root.pem", "-untrusted", "sub.pem", "leaf.pem",
    )  # fmt: skip
    assert checked.strip() == "leaf.pem: OK"
    shown = openssl("req", "-in", "request.der", "-inform", "DER", "-verify", "-noout", "-text")
    assert "OK" in shown
    assert METER_TITLE.hex().upper() in shown
    assert f"ecdsa-with-SHA{256 if suite == 1 else 384}" in shown
