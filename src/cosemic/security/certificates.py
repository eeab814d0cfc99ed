"""X.509 certificates of the DLMS profile (Green Book 9.2.6.4, RFC 5280): parsed, checked, looked at.

===================  ==========================================================================================
field                what the profile wants
===================  ==========================================================================================
version              3
serial number        above 0, up to 20 octets
signature algorithm  ecdsa-with-SHA256 of a P-256 key, ecdsa-with-SHA384 of a P-384 key
subject              of a meter or client: CN is the system title in 16 hexadecimal digits
public key           a point of P-256 (suite 1) or P-384 (suite 2)
key usage            digitalSignature | keyAgreement | either with extended usage for TLS | keyCertSign, cRLSign
basic constraints    CA true in certificates of an authority, false or absent in all others
other extensions     as they come; a critical one that is not known here refuses the certificate
===================  ==========================================================================================

Imported when the first certificate is used, for it loads the package cryptography. ``chains`` says whom to trust.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID

from cosemic.enums import CertificateType
from cosemic.errors import CertificateError
from cosemic.security.ec import CURVE_NAMES, PUBLIC_KEY_LENGTH

LARGEST_CERTIFICATE: Final = 8192
"""Octets of DER; one of the profile has 400 to 900. Longer ones are refused before anything looks into them."""

_LARGEST_PEM: Final = 2 * LARGEST_CERTIFICATE
_LONGEST_SERIAL: Final = 20
_SUITES: Final = {"secp256r1": 1, "secp384r1": 2}
_ALGORITHMS: Final = {SignatureAlgorithmOID.ECDSA_WITH_SHA256, SignatureAlgorithmOID.ECDSA_WITH_SHA384}
_TLS_USAGES: Final = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
_KNOWN: Final = frozenset(
    cls.oid
    for cls in (
        x509.AuthorityInformationAccess,
        x509.AuthorityKeyIdentifier,
        x509.BasicConstraints,
        x509.CertificatePolicies,
        x509.CRLDistributionPoints,
        x509.ExtendedKeyUsage,
        x509.IssuerAlternativeName,
        x509.KeyUsage,
        x509.SubjectAlternativeName,
        x509.SubjectKeyIdentifier,
    )
)
"""Extensions that may be critical. Name constraints are not among them: they would have to be worked out."""

# The library parses names, extensions and keys when they are first asked for. The warning is an error where the user
# has made errors of warnings.
UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    CryptographyDeprecationWarning,
)

PURPOSES: Final = {
    CertificateType.DIGITAL_SIGNATURE: "signing (key usage digitalSignature)",
    CertificateType.KEY_AGREEMENT: "key agreement (key usage keyAgreement)",
    CertificateType.TLS: "TLS (extended key usage serverAuth or clientAuth)",
    CertificateType.OTHER: "another purpose",
}


@dataclass(frozen=True, slots=True)
class Certificate:
    """A parsed certificate that keeps to the profile. Nothing is said yet about whether to trust it.

    ``issuer`` and ``subject`` are the DER of the names, as attribute 6 of a security setup and exports use them.
    """

    der: bytes = field(repr=False)
    suite: int
    """1 for a key on P-256, 2 for one on P-384."""
    public: bytes = field(repr=False)
    """The public key, ``X || Y``."""
    serial_number: int
    issuer: bytes = field(repr=False)
    subject: bytes = field(repr=False)
    subject_alt_name: bytes = field(repr=False)
    """DER of the GeneralNames, empty where there are none."""
    type: CertificateType
    is_authority: bool
    system_title: bytes | None
    """From the CN of the subject; None for an authority."""
    not_before: datetime
    not_after: datetime
    path_length: int | None = None
    """How many authorities may come below this one; None: any number."""
    parsed: x509.Certificate = field(repr=False, compare=False, kw_only=True)

    @classmethod
    def parse(cls, octets: bytes | str) -> Certificate:
        """From DER or PEM; CertificateError says what is damaged or outside the profile."""
        try:
            return cls._parse(octets)
        except UNREADABLE as error:
            raise CertificateError(f"{len(octets)} octets that are no X.509 certificate ({error})") from None

    @classmethod
    def _parse(cls, octets: bytes | str) -> Certificate:
        parsed = _load(octets)
        extensions = _extensions(parsed)
        suite, public = _public_key(parsed)
        _check_signature_algorithm(parsed)
        serial = parsed.serial_number
        if not 0 < serial < 1 << (8 * _LONGEST_SERIAL):
            raise CertificateError(_bad(parsed, f"serial number {serial}; it has to be above 0 and of up to 20 octets"))
        constraints = _extension(extensions, x509.BasicConstraints)
        is_authority = constraints is not None and constraints.ca
        kind = _type_of(parsed, extensions, is_authority)
        names = _extension(extensions, x509.SubjectAlternativeName)
        return cls(
            der=parsed.public_bytes(Encoding.DER),
            suite=suite,
            public=public,
            serial_number=serial,
            issuer=parsed.issuer.public_bytes(),
            subject=parsed.subject.public_bytes(),
            subject_alt_name=b"" if names is None else names.public_bytes(),
            type=kind,
            is_authority=is_authority,
            system_title=None if is_authority else _system_title(parsed),
            not_before=parsed.not_valid_before_utc,
            not_after=parsed.not_valid_after_utc,
            path_length=None if constraints is None else constraints.path_length,
            parsed=parsed,
        )

    def __str__(self) -> str:
        return describe(self.parsed)

    @property
    def serial_octets(self) -> bytes:
        """The content of the INTEGER, which the objects of a meter use: big endian, 00 first where bit 7 is set."""
        return self.serial_number.to_bytes(self.serial_number.bit_length() // 8 + 1, "big")

    @property
    def subject_text(self) -> str:
        """The subject as text, ``CN=…,O=…``."""
        return self.parsed.subject.rfc4514_string()

    @property
    def issuer_text(self) -> str:
        """The issuer as text."""
        return self.parsed.issuer.rfc4514_string()

    def pem(self) -> str:
        """The certificate as PEM."""
        return self.parsed.public_bytes(Encoding.PEM).decode()

    def check_validity(self, at: datetime) -> None:
        """CertificateError when ``at`` (aware) lies outside the time that the certificate is valid for."""
        if at.tzinfo is None:
            raise ValueError("the time of the check must be aware, with a time zone")
        if at < self.not_before:
            raise CertificateError(
                f"{self} is not valid before {self.not_before:%Y-%m-%d %H:%M:%S} UTC; check the clock, or wait"
            )
        if at > self.not_after:
            raise CertificateError(
                f"{self} expired on {self.not_after:%Y-%m-%d %H:%M:%S} UTC; a new one has to be issued and imported"
            )

    def check_purpose(self, purpose: CertificateType) -> None:
        """CertificateError when the key is not for ``purpose``."""
        if self.is_authority:
            raise CertificateError(f"{self} belongs to an authority; {PURPOSES[purpose]} needs one of the peer itself")
        if self.type is not purpose:
            raise CertificateError(
                f"{self} is for {PURPOSES[self.type]}, not for {PURPOSES[purpose]}; give the certificate of that key"
            )

    def check_system_title(self, title: bytes) -> None:
        """CertificateError when the certificate is for another system title."""
        if self.system_title != title:
            own = "no system title" if self.system_title is None else self.system_title.hex().upper()
            raise CertificateError(
                f"{self} names {own}, the peer is {title.hex().upper()}; give the certificate of that peer"
            )


def describe(parsed: x509.Certificate) -> str:
    """A certificate in an error: its subject and serial number, cut where somebody made them endless."""
    try:
        subject = shown(parsed.subject)
    except ValueError:
        subject = "unreadable"
    return f"the certificate of {subject or 'nobody'} (serial number {parsed.serial_number:X})"


def shown(name: x509.Name) -> str:
    """A name as it may stand in an error or a log: cut, and without line ends and other control characters."""
    return name.rfc4514_string()[:100].encode("unicode_escape").decode()


def public_octets_of(key: object) -> tuple[int, bytes]:
    """Suite and ``X || Y`` of a public key of the package cryptography; CertificateError for another kind or curve."""
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise CertificateError(f"a public key of another kind than ECDSA on {' or '.join(CURVE_NAMES.values())}")
    suite = _SUITES.get(key.curve.name)
    if suite is None:
        raise CertificateError(f"a public key on {key.curve.name}; the suites use {' and '.join(CURVE_NAMES.values())}")
    numbers = key.public_numbers()
    size = PUBLIC_KEY_LENGTH[suite] // 2
    return suite, numbers.x.to_bytes(size) + numbers.y.to_bytes(size)


def title_of(name: x509.Name) -> bytes | None:
    """The system title in the CN of a name; None where there is none, or another CN."""
    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(common) != 1:
        return None
    text = common[0].value
    if not isinstance(text, str) or len(text) != 16:
        return None
    with contextlib.suppress(ValueError):
        title = bytes.fromhex(text)
        if len(title) == 8:
            return title
    return None


def has_spare_bits(der: bytes, signature: bytes) -> bool:
    """Whether the BIT STRING of the signature, which ends the DER, counts unused bits: a second form of the same."""
    return der[-1 - len(signature)] != 0


def signature_hash(suite: int) -> hashes.SHA256 | hashes.SHA384:
    """The hash that a key of that suite signs with."""
    return hashes.SHA256() if suite == 1 else hashes.SHA384()


def _load(octets: bytes | str) -> x509.Certificate:
    if isinstance(octets, str):
        octets = octets.encode(errors="replace")
    is_pem = octets.lstrip()[:11] == b"-----BEGIN "
    limit = _LARGEST_PEM if is_pem else LARGEST_CERTIFICATE
    if len(octets) > limit:
        raise CertificateError(f"{len(octets)} octets are no certificate of the profile; the limit is {limit}")
    return x509.load_pem_x509_certificate(octets) if is_pem else x509.load_der_x509_certificate(octets)


def _extensions(parsed: x509.Certificate) -> x509.Extensions:
    if parsed.version is not x509.Version.v3:
        raise CertificateError(_bad(parsed, "X.509 version 1; version 3 is needed"))
    extensions = parsed.extensions
    for extension in extensions:
        if extension.critical and extension.oid not in _KNOWN:
            raise CertificateError(
                _bad(parsed, f"a critical extension that is not known here ({extension.oid.dotted_string})")
            )
    return extensions


_T = TypeVar("_T", bound=x509.ExtensionType)


def _extension(extensions: x509.Extensions, kind: type[_T]) -> _T | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _public_key(parsed: x509.Certificate) -> tuple[int, bytes]:
    try:
        return public_octets_of(parsed.public_key())
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(_bad(parsed, "a public key that is no point of a known curve")) from None
    except CertificateError as error:
        raise CertificateError(_bad(parsed, str(error))) from None


def _check_signature_algorithm(parsed: x509.Certificate) -> None:
    algorithm = parsed.signature_algorithm_oid
    if algorithm not in _ALGORITHMS:
        raise CertificateError(
            _bad(parsed, f"signed with {algorithm.dotted_string}; ecdsa-with-SHA256 or -SHA384 is needed")
        )
    if has_spare_bits(parsed.public_bytes(Encoding.DER), parsed.signature):
        raise CertificateError(_bad(parsed, "a signature that is not whole octets"))


def _type_of(parsed: x509.Certificate, extensions: x509.Extensions, is_authority: bool) -> CertificateType:
    usage = _extension(extensions, x509.KeyUsage)
    if usage is None:
        raise CertificateError(_bad(parsed, "no key usage, so nobody knows what its key is for"))
    if is_authority:
        if not usage.key_cert_sign:
            raise CertificateError(_bad(parsed, "an authority without the key usage keyCertSign"))
        return CertificateType.OTHER
    if usage.key_cert_sign:
        raise CertificateError(_bad(parsed, "the key usage keyCertSign without being an authority"))
    extended = _extension(extensions, x509.ExtendedKeyUsage)
    if extended is not None:
        return CertificateType.TLS if _TLS_USAGES.intersection(extended) else CertificateType.OTHER
    if usage.digital_signature and not usage.key_agreement:
        return CertificateType.DIGITAL_SIGNATURE
    if usage.key_agreement and not usage.digital_signature:
        return CertificateType.KEY_AGREEMENT
    # One key for both would let a signature be coaxed out for the other purpose; the profile wants two.
    return CertificateType.OTHER


def _system_title(parsed: x509.Certificate) -> bytes:
    title = title_of(parsed.subject)
    if title is None:
        raise CertificateError(_bad(parsed, "a subject whose CN is not a system title in 16 hexadecimal digits"))
    return title


def _bad(parsed: x509.Certificate, what: str) -> str:
    return f"{describe(parsed)} is outside the profile: {what}"
