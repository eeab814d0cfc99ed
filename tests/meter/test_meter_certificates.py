"""Key agreement, key pairs and certificates of the simulated meter."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cosemic.codec import axdr
from cosemic.enums import (
    CertificateEntity,
    CertificateType,
)
from cosemic.errors import (
    ActionError,
    SecurityError,
)
from cosemic.meter.demo import SCRATCH_NUMBER, SYSTEM_TITLE
from cosemic.security.certificate_store import ByEntity, BySerial
from cosemic.security.ec import SoftwareKey
from tests.meter.bench import CLIENT_TITLE, NOW, Bench, client_context
from tests.meter.keys import (
    AUTHENTICATION,
    BROADCAST,
    MASTER,
    SETUP,
    UNICAST,
    Secured,
    assert_is_refused,
    assert_works,
    key_data,
)
from tests.security.pki import Pki

# Certificates and key pairs


@pytest.mark.parametrize("suite", [1, 2])
def test_keys_are_agreed_on_and_used(suite, sealed) -> None:
    secured = Secured(suite)
    secured.import_client()
    with secured.client() as client:
        first = secured.agree(client, UNICAST, AUTHENTICATION)
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
        second = secured.agree(client, UNICAST, BROADCAST, AUTHENTICATION, MASTER)
        client.transfer_keys({UNICAST: secured.keys["encryption_key"]}, second[MASTER])
    assert {len(key) for key in (*first.values(), *second.values())} == {len(secured.master)}
    assert len({*first.values(), *second.values()}) == 6
    assert_works(secured.bench, secured.context)
    old = client_context(suite=suite, counters=secured.context.counters, **secured.keys)
    assert_is_refused(secured.bench, old)
    assert len(set(sealed)) == len(sealed)


def test_key_agreement_needs_a_proved_partner() -> None:
    secured = Secured()
    other = SoftwareKey.generate(1)
    with secured.client() as client:
        with pytest.raises(ActionError):
            secured.agree(client, UNICAST)  # the meter has no certificate of ours
        secured.import_client()
        with pytest.raises(ActionError):
            secured.agree(client, UNICAST, signing_key=other)
        with pytest.raises(SecurityError, match="not proved"):
            secured.agree(client, UNICAST, peer_signing_key=other.public)
        offer = secured.pki  # nothing of it was taken up on our side
        assert offer.suite == 1
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
        for bad in (b"", bytes(127), bytes(128), bytes(129)):
            with pytest.raises(ActionError):
                client.action(64, SETUP, 3, key_data((0, bad)))
        assert client.get(1, SCRATCH_NUMBER, 2) == 0
    assert_works(secured.bench, secured.context)


def test_an_expired_certificate_agrees_on_nothing() -> None:
    secured = Secured()
    secured.import_client(end=NOW + timedelta(hours=1))
    with secured.client() as client:
        secured.agree(client, UNICAST)
        secured.bench.meter.set_time(NOW + timedelta(hours=2))
        with pytest.raises(ActionError):
            secured.agree(client, UNICAST)
        assert client.get(1, SCRATCH_NUMBER, 2) == 0


def test_suite_0_agrees_on_nothing() -> None:
    bench = Bench(security_setup_version=1)
    with bench.manager(client_context()) as client:
        for method in (3, 4, 5, 6, 7, 8):
            with pytest.raises(ActionError):
                client.action(64, SETUP, method, axdr.enum(0))
        assert client.list_certificates() == []


def test_certificates_are_listed_imported_exported_and_removed() -> None:
    secured = Secured()
    certificate = secured.pki.issue(CLIENT_TITLE, key=secured.client_key)
    with secured.client() as client:
        assert len(client.list_certificates()) == 3
        client.import_certificate(certificate.pem())
        client.import_certificate(certificate.der)
        infos = client.list_certificates()
        assert [info.entity for info in infos] == [
            CertificateEntity.CERTIFICATION_AUTHORITY,
            CertificateEntity.CERTIFICATION_AUTHORITY,
            CertificateEntity.SERVER,
            CertificateEntity.CLIENT,
        ]
        assert infos[-1].serial_number == certificate.serial_octets
        by_serial = BySerial(certificate.serial_octets, certificate.issuer)
        by_entity = ByEntity(CertificateEntity.CLIENT, CertificateType.DIGITAL_SIGNATURE, CLIENT_TITLE)
        assert client.export_certificate(by_serial) == client.export_certificate(by_entity) == certificate
        client.remove_certificate(by_entity)
        for gone in (by_entity, by_serial):
            with pytest.raises(ActionError):
                client.export_certificate(gone)
            with pytest.raises(ActionError):
                client.remove_certificate(gone)
        root = secured.pki.root
        with pytest.raises(ActionError):
            client.remove_certificate(BySerial(root.serial_octets, root.issuer))
        assert len(client.list_certificates()) == 3


def bad_certificates(secured: Secured) -> dict[str, bytes]:
    pki, stranger = secured.pki, Pki.make(1, "Stranger")
    good = pki.issue(CLIENT_TITLE)
    past, future = NOW - timedelta(days=1), NOW + timedelta(days=1)
    return {
        "expired": pki.issue(CLIENT_TITLE, start=past - timedelta(days=1), end=past).der,
        "not valid yet": pki.issue(CLIENT_TITLE, start=future).der,
        "of a stranger": stranger.issue(CLIENT_TITLE).der,
        "an authority of a stranger": stranger.root.der,
        "with an unknown critical extension": with_extension(secured, critical=True),
        "for no purpose": without_purpose(secured),
        "of another suite": Pki.make(2).issue(CLIENT_TITLE).der,
        "of the meter, for a key that it has not": pki.issue(SYSTEM_TITLE).der,
        "of the meter, for another purpose": pki.issue(
            SYSTEM_TITLE, CertificateType.KEY_AGREEMENT, key=secured.meter_key
        ).der,
        "with a flipped bit": good.der[:-1] + bytes([good.der[-1] ^ 1]),
        "cut short": good.der[:-1],
        "with a tail": good.der + b"\0",
        "oversized": good.der + bytes(70000),
        "empty": b"",
        "garbage": b"\x30\x82\xff\xff" + bytes(100),
    }


def test_bad_certificates_are_refused_and_leave_the_store_as_it_was() -> None:
    secured = Secured()
    for what, octets in bad_certificates(secured).items():
        before = list(secured.store)
        with secured.client() as client:
            with pytest.raises(ActionError):
                client.action(64, SETUP, 6, axdr.octet_string(octets))
            assert list(secured.store) == before, what
            assert client.get(1, SCRATCH_NUMBER, 2) == 0, what
            for parameter in (None, axdr.enum(0), axdr.visible_string("MIIB")):
                with pytest.raises(ActionError):
                    client.action(64, SETUP, 6, parameter)
    with secured.client() as client:
        client.import_certificate(with_extension(secured, critical=False))


def builder(secured: Secured) -> Any:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    key = SoftwareKey.generate(1)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, CLIENT_TITLE.hex().upper())])
    issuer = secured.pki.authority.parsed
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject)
        .public_key(key.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.key.public_key()), critical=False)
    )


def usage(*, sign: bool, agree: bool) -> Any:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=sign,
        key_agreement=agree,
        content_commitment=not sign and not agree,
        key_encipherment=False,
        data_encipherment=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def without_purpose(secured: Secured) -> bytes:
    return finish(secured, builder(secured).add_extension(usage(sign=False, agree=False), critical=True))


def with_extension(secured: Secured, *, critical: bool) -> bytes:
    from cryptography import x509

    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\0")
    made = builder(secured).add_extension(usage(sign=True, agree=False), critical=True)
    return finish(secured, made.add_extension(unknown, critical=critical))


def finish(secured: Secured, made: Any) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    octets: bytes = made.sign(secured.pki.authority_key.key, hashes.SHA256()).public_bytes(Encoding.DER)
    return octets


@pytest.mark.parametrize("suite", [1, 2])
def test_a_new_key_pair_is_in_use_once_its_certificate_is_there(suite) -> None:
    secured = Secured(suite)
    secured.import_client()
    signature = CertificateType.DIGITAL_SIGNATURE
    with secured.client() as client:
        request = client.generate_certificate_request(signature)
        assert (request.public, request.system_title) == (secured.meter_key.public, SYSTEM_TITLE)
        client.generate_key_pair(signature)
        request = client.generate_certificate_request(signature)
        assert request.public != secured.meter_key.public
        secured.agree(client, UNICAST)  # the old key is in use still
        certificate = issue_for(secured, request.public)
        client.import_certificate(certificate)
        with pytest.raises(SecurityError, match="not proved"):
            secured.agree(client, UNICAST)
        secured.agree(client, UNICAST, peer_signing_key=request.public)
        own = ByEntity(CertificateEntity.SERVER, signature, SYSTEM_TITLE)
        assert client.export_certificate(own) == certificate
        assert len([info for info in client.list_certificates() if info.entity is CertificateEntity.SERVER]) == 1
        for purpose in (CertificateType.KEY_AGREEMENT, CertificateType.TLS):
            with pytest.raises(ActionError):
                client.generate_certificate_request(purpose)
            client.generate_key_pair(purpose)
            client.generate_certificate_request(purpose)
        with pytest.raises(ActionError):
            client.generate_key_pair(CertificateType.OTHER)


def issue_for(secured: Secured, public: bytes) -> Any:
    from cosemic.security.issuing import issue_certificate

    return issue_certificate(
        secured.pki.authority,
        secured.pki.authority_key,
        purpose=CertificateType.DIGITAL_SIGNATURE,
        system_title=SYSTEM_TITLE,
        public=public,
        not_before=NOW - timedelta(days=2),
        not_after=NOW + timedelta(days=100),
    )
