"""Certificates and requests that we make: a PKI for simulators and tests, requests for a real one.

``certificate_request`` is what a client or meter hands to an authority (PKCS #10, RFC 2986; Green Book 9.2.6.6).
``new_authority`` and ``issue_certificate`` are a small authority of one's own, for test set-ups and simulated meters.
Every private key is a ``PrivateKey``: in memory, or on a token that signs by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NoReturn

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import Buffer
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cosemic.enums import CertificateType
from cosemic.errors import CertificateError, LocalProtocolError
from cosemic.security.certificates import (
    LARGEST_CERTIFICATE,
    UNREADABLE,
    Certificate,
    has_spare_bits,
    public_octets_of,
    signature_hash,
    title_of,
)
from cosemic.security.ec import PrivateKey, check_public
from cosemic.security.suites import title_octets

NO_END: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
"""The end of validity that says that there is none (RFC 5280, 4.1.2.5)."""


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A request that was checked: it is signed by the key that it is for, and names a system title."""

    der: bytes = field(repr=False)
    suite: int
    public: bytes = field(repr=False)
    system_title: bytes

    @classmethod
    def parse(cls, octets: bytes | str) -> CertificateRequest:
        """From DER or PEM; CertificateError says what is wrong."""
        if isinstance(octets, str):
            octets = octets.encode(errors="replace")
        if len(octets) > 2 * LARGEST_CERTIFICATE:
            raise CertificateError(f"{len(octets)} octets are no certificate request of the profile")
        try:
            is_pem = octets.lstrip()[:11] == b"-----BEGIN "
            parsed = x509.load_pem_x509_csr(octets) if is_pem else x509.load_der_x509_csr(octets)
            suite, public = public_octets_of(parsed.public_key())
            der = parsed.public_bytes(Encoding.DER)
            is_signed = parsed.is_signature_valid and not has_spare_bits(der, parsed.signature)
        except UNREADABLE as error:
            raise CertificateError(f"{len(octets)} octets that are no certificate request ({error})") from None
        if not is_signed or not isinstance(parsed.signature_hash_algorithm, type(signature_hash(suite))):
            raise CertificateError("the certificate request is not signed by the key that it is for; ask for a new one")
        title = title_of(parsed.subject)
        if title is None:
            raise CertificateError("the CN of the certificate request is not a system title in 16 hexadecimal digits")
        return cls(der, suite, public, title)


def certificate_request(key: PrivateKey, system_title: bytes | str) -> bytes:
    """A request (DER) for a certificate of that key, with the system title as CN of the subject."""
    name = _subject(title_octets(system_title).hex().upper())
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(_Signer(key), signature_hash(key.suite))
    return request.public_bytes(Encoding.DER)


def new_authority(
    key: PrivateKey,
    name: str,
    *,
    not_before: datetime,
    not_after: datetime = NO_END,
    issuer: Certificate | None = None,
    issuer_key: PrivateKey | None = None,
    path_length: int | None = None,
) -> Certificate:
    """The certificate of an authority called ``name`` with that key: a root, or one below ``issuer``.

    Times are aware. The serial number is random.
    """
    if (issuer is None) != (issuer_key is None):
        raise ValueError("an authority below another needs both issuer and issuer_key")
    return _issue(
        subject=_subject(name),
        suite=key.suite,
        public=key.public,
        issuer=issuer,
        issuer_key=key if issuer_key is None else issuer_key,
        not_before=not_before,
        not_after=not_after,
        serial_number=None,
        usage=_usage(key_cert_sign=True, crl_sign=True),
        constraints=x509.BasicConstraints(ca=True, path_length=path_length),
        extended=None,
    )


def issue_certificate(
    issuer: Certificate,
    issuer_key: PrivateKey,
    *,
    purpose: CertificateType,
    system_title: bytes | str | None = None,
    public: bytes | None = None,
    suite: int | None = None,
    request: CertificateRequest | bytes | None = None,
    not_before: datetime,
    not_after: datetime = NO_END,
    serial_number: int | None = None,
) -> Certificate:
    """A certificate for a meter or client: from a request, or for a system title with a public key of a suite.

    ``suite`` defaults to that of the issuer. Times are aware; the serial number is random unless given. ValueError when
    something is missing, CertificateError for a bad request, SecurityError for a point that is not on the curve.
    """
    if request is not None:
        parsed = request if isinstance(request, CertificateRequest) else CertificateRequest.parse(request)
        suite, public, title = parsed.suite, parsed.public, parsed.system_title
    else:
        if system_title is None or public is None:
            raise ValueError("a certificate needs a request, or a system title and a public key")
        title = title_octets(system_title)
        suite = issuer.suite if suite is None else suite
        check_public(suite, public)
    tls = purpose is CertificateType.TLS
    if purpose is CertificateType.OTHER:
        raise ValueError("a certificate is issued for signing, key agreement or TLS")
    return _issue(
        subject=_subject(title.hex().upper()),
        suite=suite,
        public=public,
        issuer=issuer,
        issuer_key=issuer_key,
        not_before=not_before,
        not_after=not_after,
        serial_number=serial_number,
        usage=_usage(
            digital_signature=purpose is not CertificateType.KEY_AGREEMENT,
            key_agreement=purpose is not CertificateType.DIGITAL_SIGNATURE,
        ),
        constraints=None,
        extended=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        if tls
        else None,
    )


def _issue(
    *,
    subject: x509.Name,
    suite: int,
    public: bytes,
    issuer: Certificate | None,
    issuer_key: PrivateKey,
    not_before: datetime,
    not_after: datetime,
    serial_number: int | None,
    usage: x509.KeyUsage,
    constraints: x509.BasicConstraints | None,
    extended: x509.ExtendedKeyUsage | None,
) -> Certificate:
    if issuer is not None and (not issuer.is_authority or issuer.public != issuer_key.public):
        raise ValueError("issuer_key is not the key of issuer, or issuer is no authority")
    if not_before.tzinfo is None or not_after.tzinfo is None:
        raise ValueError("the times of a certificate must be aware, with a time zone")
    key = _public_key(suite, public)
    signer = _Signer(issuer_key)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.parsed.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number() if serial_number is None else serial_number)
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(usage, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
    if constraints is not None:
        builder = builder.add_extension(constraints, critical=True)
    if extended is not None:
        builder = builder.add_extension(extended, critical=False)
    made = builder.sign(signer, signature_hash(issuer_key.suite))
    return Certificate.parse(made.public_bytes(Encoding.DER))


class _Signer(ec.EllipticCurvePrivateKey):
    """A ``PrivateKey`` as the package cryptography wants to see one: it signs, and never shows its octets."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        expected = type(signature_hash(self._key.suite))
        if not isinstance(signature_algorithm.algorithm, expected):
            raise LocalProtocolError(f"a key of suite {self._key.suite} signs with {expected.name} only")
        signature = self._key.sign(bytes(data))
        half = len(signature) // 2
        return utils.encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return _public_key(self._key.suite, self._key.public)

    @property
    def curve(self) -> ec.EllipticCurve:
        return _curve(self._key.suite)

    @property
    def key_size(self) -> int:
        return self.curve.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        raise LocalProtocolError("this view of a private key only signs")

    def private_numbers(self) -> NoReturn:
        raise LocalProtocolError("a private key is not handed out")

    def private_bytes(self, encoding: object, format: object, encryption_algorithm: object) -> NoReturn:  # noqa: A002
        raise LocalProtocolError("a private key is not handed out")

    def __copy__(self) -> _Signer:
        return self

    def __deepcopy__(self, memo: object) -> _Signer:
        return self


def _curve(suite: int) -> ec.EllipticCurve:
    return ec.SECP256R1() if suite == 1 else ec.SECP384R1()


def _public_key(suite: int, public: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(_curve(suite), b"\x04" + check_public(suite, public))


def _subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(
    *,
    digital_signature: bool = False,
    key_agreement: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=key_agreement,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
