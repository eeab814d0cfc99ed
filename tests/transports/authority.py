"""Certificates for tests, made on the spot: an authority, and whom it certifies."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Files:
    """PEM files of one certificate."""

    certificate: str
    key: str


class Authority:
    """A certification authority in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._signed(name, self._key.public_key(), names=(), is_authority=True)
        self.file = str(folder / f"{name}.pem")
        Path(self.file).write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, name: str, *names: str, expired: bool = False, password: bytes | None = None, own: bool = False
    ) -> Files:
        """A certificate for ``names`` (addresses or host names); ``own`` signs it with its own key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(name, key.public_key(), names=names, expired=expired, signer=key if own else None)
        base = self._folder / f"{self._name}-{name}"
        files = Files(f"{base}.pem", f"{base}.key")
        Path(files.certificate).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        protection = (
            serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
        )
        Path(files.key).write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)
        )
        return files

    def _signed(
        self,
        name: str,
        key: ec.EllipticCurvePublicKey,
        *,
        names: tuple[str, ...],
        expired: bool = False,
        is_authority: bool = False,
        signer: ec.EllipticCurvePrivateKey | None = None,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self._name if signer is None else name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 10 * _DAY)
            .not_valid_after(now - _DAY if expired else now + 10 * _DAY)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if names:
            alternatives = [_general_name(item) for item in names]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(signer or self._key, hashes.SHA256())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
