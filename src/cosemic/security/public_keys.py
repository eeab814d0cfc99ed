"""Public and private keys as users have them: hexadecimal, PEM, or in a certificate; the curve tells the suite."""

from __future__ import annotations

from cosemic.security.ec import PUBLIC_KEY_LENGTH, SoftwareKey, public_octets

_CURVES = {"secp256r1": 1, "secp384r1": 2}


def load_public(key: bytes | str) -> tuple[int, bytes]:
    """Suite and ``X || Y`` of a public key or of the one in a certificate; ValueError when it is neither.

    The certificate is not checked in any way: who wants to trust it does that elsewhere.
    """
    octets = key.encode() if isinstance(key, str) and "-----BEGIN" in key else key
    if isinstance(octets, bytes) and octets.startswith(b"-----BEGIN CERTIFICATE"):
        return _of_certificate(octets)
    if isinstance(octets, bytes) and octets.startswith(b"-----BEGIN"):
        for suite in PUBLIC_KEY_LENGTH:
            try:
                return suite, public_octets(suite, octets)
            except ValueError:
                continue
        raise ValueError("no public key on P-256 or P-384 in this PEM")
    if isinstance(octets, str):
        try:
            octets = bytes.fromhex(octets.replace(":", " "))
        except ValueError:
            raise ValueError("a public key is hexadecimal X || Y, PEM, or a certificate in PEM") from None
    for suite, size in PUBLIC_KEY_LENGTH.items():
        if len(octets) in (size, size + 1):
            return suite, public_octets(suite, octets)
    raise ValueError(f"a public key has 64 (P-256) or 96 octets (P-384), not {len(octets)}")


def load_private(key: bytes | str) -> SoftwareKey:
    """A private key from 32 or 48 octets, that in hexadecimal, or PEM; ValueError, which quotes nothing, otherwise."""
    text = key.encode() if isinstance(key, str) else key
    if text.startswith(b"-----BEGIN"):
        return SoftwareKey.load(text)
    if isinstance(key, str):
        try:
            key = bytes.fromhex(key.replace(":", " "))
        except ValueError:
            raise ValueError("a private key is hexadecimal or PEM") from None
    for suite, size in PUBLIC_KEY_LENGTH.items():
        if len(key) == size // 2:
            return SoftwareKey(suite, key)
    raise ValueError(f"a private key has 32 (P-256) or 48 octets (P-384), not {len(key)}")


def _of_certificate(pem: bytes) -> tuple[int, bytes]:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = x509.load_pem_x509_certificate(pem).public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("no certificate in PEM that can be read") from None
    suite = _CURVES.get(key.curve.name) if isinstance(key, ec.EllipticCurvePublicKey) else None
    if suite is None or not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("a certificate with a key on P-256 or P-384 is needed")
    numbers = key.public_numbers()
    size = PUBLIC_KEY_LENGTH[suite] // 2
    return suite, numbers.x.to_bytes(size) + numbers.y.to_bytes(size)
