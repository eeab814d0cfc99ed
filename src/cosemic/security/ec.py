"""Elliptic curves of the security suites: ECDSA and ECDH (IEC 62056-5-3, clause 5; FIPS 186-4, NIST SP 800-56A).

=====  =====  =======  ==========  =====================================
suite  curve  hash     public key  signature
=====  =====  =======  ==========  =====================================
1      P-256  SHA-256  64 octets   64 octets, ``r || s`` of fixed width
2      P-384  SHA-384  96 octets   96 octets
=====  =====  =======  ==========  =====================================

A public key is ``X || Y`` without the octet 04 that other formats put before it. Every public key is checked when it
comes in: its length, that it lies on the curve, and that it is not the point at infinity (which this form cannot even
write); the curves have cofactor 1, so such a point is a valid one.

A private key is a seam: whatever has the four members of ``PrivateKey`` serves, be it octets in memory
(``SoftwareKey``) or a key that never leaves its token. Arithmetic with secrets is left to OpenSSL, which does it in
constant time; nothing here branches on a secret.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from cosemic.errors import AuthenticationError, SecurityError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

_COORDINATE = {1: 32, 2: 48}
CURVE_NAMES = {1: "P-256", 2: "P-384"}
"""The curve of a security suite that has one."""

PUBLIC_KEY_LENGTH = {suite: 2 * size for suite, size in _COORDINATE.items()}
"""Octets of ``X || Y``, by suite."""

SIGNATURE_LENGTH = PUBLIC_KEY_LENGTH
"""Octets of ``r || s``, by suite."""


@runtime_checkable
class PrivateKey(Protocol):
    """A private key on the curve of a suite, wherever it is kept.

    ``agree`` has to refuse a point that is not on the curve; ``check_public`` does it for those that cannot.
    """

    @property
    def suite(self) -> int:
        """1 (P-256, SHA-256) or 2 (P-384, SHA-384)."""

    @property
    def public(self) -> bytes:
        """The public key, ``X || Y``."""

    def sign(self, message: bytes) -> bytes:
        """The ECDSA signature of the message, ``r || s``."""

    def agree(self, public: bytes) -> bytes:
        """The shared secret Z with the owner of that public key: the X coordinate, of fixed width."""


class SoftwareKey:
    """A private key in memory; its repr and its errors show the public half only."""

    __slots__ = ("_key", "_public", "_suite")

    def __init__(self, suite: int, octets: bytes | str) -> None:
        """From the private number, 32 or 48 octets or that in hexadecimal; ValueError when it is none."""
        size = _size(suite)
        if isinstance(octets, str):
            try:
                octets = bytes.fromhex(octets.replace(":", " "))
            except ValueError:
                raise ValueError("a private key must be octets or hexadecimal text") from None
        if len(octets) != size:
            raise ValueError(f"a private key of suite {suite} has {size} octets, not {len(octets)}")
        from cryptography.hazmat.primitives.asymmetric import ec

        try:
            key = ec.derive_private_key(int.from_bytes(octets), _curve(suite))
        except ValueError:
            raise ValueError(f"the octets are no private key on {CURVE_NAMES[suite]}: zero, or too large") from None
        self._take(suite, key)

    @classmethod
    def generate(cls, suite: int) -> SoftwareKey:
        """A fresh random key."""
        _size(suite)
        from cryptography.hazmat.primitives.asymmetric import ec

        return cls._of(suite, ec.generate_private_key(_curve(suite)))

    @classmethod
    def load(cls, data: bytes | str, password: bytes | None = None) -> SoftwareKey:
        """From PEM or DER, PKCS #8 or SEC 1; the curve decides the suite.

        ValueError for another curve, another kind of key, damaged data, a wrong or missing password.
        """
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        octets = data.encode() if isinstance(data, str) else data
        is_pem = b"-----BEGIN" in octets
        load = serialization.load_pem_private_key if is_pem else serialization.load_der_private_key
        try:
            key = load(octets, password)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # Their texts may quote the input.
            kind = "PEM" if is_pem else "DER"
            raise ValueError(
                f"no private key in {kind} that can be read; is it encrypted, or is the password another?"
            ) from None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("a private key on P-256 or P-384 is needed; this is one of another kind")
        suite = {"secp256r1": 1, "secp384r1": 2}.get(key.curve.name)
        if suite is None:
            raise ValueError(f"a private key on {key.curve.name}; the suites have P-256 (1) and P-384 (2)")
        return cls._of(suite, key)

    @classmethod
    def _of(cls, suite: int, key: ec.EllipticCurvePrivateKey) -> SoftwareKey:
        made = cls.__new__(cls)
        made._take(suite, key)
        return made

    def _take(self, suite: int, key: ec.EllipticCurvePrivateKey) -> None:
        numbers = key.public_key().public_numbers()
        size = _COORDINATE[suite]
        self._suite = suite
        self._key = key
        self._public = numbers.x.to_bytes(size) + numbers.y.to_bytes(size)

    def __repr__(self) -> str:
        return f"<SoftwareKey {CURVE_NAMES[self._suite]}, public {self._public.hex().upper()}>"

    def __reduce__(self) -> str:
        raise TypeError("private keys are not pickled; use private_pem()")

    @property
    def suite(self) -> int:
        """1 (P-256) or 2 (P-384)."""
        return self._suite

    @property
    def public(self) -> bytes:
        """The public key, ``X || Y``."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """The ECDSA signature of the message, ``r || s``; no two are alike."""
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        r, s = decode_dss_signature(self._key.sign(message, _ecdsa(self._suite)))
        size = _COORDINATE[self._suite]
        return r.to_bytes(size) + s.to_bytes(size)

    def agree(self, public: bytes) -> bytes:
        """The ECDH shared secret with that public key; SecurityError when it is no point of the curve."""
        from cryptography.hazmat.primitives.asymmetric import ec

        return self._key.exchange(ec.ECDH(), _public_key(self._suite, public))

    def private_pem(self, password: bytes | None = None) -> bytes:
        """The key in PEM (PKCS #8), encrypted where a password is given: for a file that only its owner can read."""
        from cryptography.hazmat.primitives import serialization

        encryption: serialization.KeySerializationEncryption = (
            serialization.NoEncryption() if password is None else serialization.BestAvailableEncryption(password)
        )
        return self._key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)

    @property
    def key(self) -> ec.EllipticCurvePrivateKey:
        """The key of the package cryptography, for what needs one: certificates, signing requests."""
        return self._key


def verify(suite: int, public: bytes, message: bytes, signature: bytes) -> None:
    """Check an ECDSA signature; AuthenticationError when it does not hold, SecurityError for a bad public key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    key = _public_key(suite, public)
    size = _COORDINATE[suite]
    if len(signature) != 2 * size:
        raise AuthenticationError(
            f"an ECDSA signature of suite {suite} has {2 * size} octets, not {len(signature)}; nothing was used"
        )
    encoded = encode_dss_signature(int.from_bytes(signature[:size]), int.from_bytes(signature[size:]))
    try:
        key.verify(encoded, message, _ecdsa(suite))
    except InvalidSignature:
        raise AuthenticationError(
            f"the ECDSA signature ({CURVE_NAMES[suite]}) does not verify: it was made with another key than the one "
            "whose public half is configured, or the message was altered"
        ) from None


def check_public(suite: int, public: bytes) -> bytes:
    """The public key, after its length and its being on the curve were checked; SecurityError otherwise."""
    _public_key(suite, public)
    return bytes(public)


def public_octets(suite: int, public: bytes | str, name: str = "public key") -> bytes:
    """A public key as users give it: octets or hexadecimal ``X || Y`` (also with the 04 before it), or PEM.

    ValueError when it is none, or one of another curve.
    """
    size = PUBLIC_KEY_LENGTH[_suite(suite)]
    if isinstance(public, str):
        if "-----BEGIN" in public:
            return _loaded_public(suite, public.encode())
        try:
            octets = bytes.fromhex(public.replace(":", " "))
        except ValueError:
            raise ValueError(f"the {name} must be octets, hexadecimal text or PEM") from None
    elif public.startswith(b"-----BEGIN"):
        return _loaded_public(suite, public)
    else:
        octets = bytes(public)
    if len(octets) == size + 1 and octets[0] == 4:
        octets = octets[1:]
    if len(octets) != size:
        raise ValueError(f"the {name} of suite {suite} has {size} octets (X || Y), not {len(octets)}")
    try:
        return check_public(suite, octets)
    except SecurityError as error:
        raise ValueError(f"the {name}: {error}") from None


def _loaded_public(suite: int, pem: bytes) -> bytes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("no public key in PEM that can be read") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != _curve(suite).name:
        raise ValueError(f"a public key on {CURVE_NAMES[suite]} is needed for suite {suite}")
    numbers = key.public_numbers()
    size = _COORDINATE[suite]
    return numbers.x.to_bytes(size) + numbers.y.to_bytes(size)


@lru_cache(maxsize=256)
def _public_key(suite: int, public: bytes) -> ec.EllipticCurvePublicKey:
    """A checked public key; peers have few, so that each is checked once."""
    size = PUBLIC_KEY_LENGTH[_suite(suite)]
    if len(public) != size:
        raise SecurityError(f"a public key of suite {suite} has {size} octets, not {len(public)}")
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_curve(suite), b"\x04" + public)
    except ValueError:
        raise SecurityError(
            f"a public key that is no point of {CURVE_NAMES[suite]}; nothing was computed with it"
        ) from None


def _suite(suite: int) -> int:
    if suite not in _COORDINATE:
        raise ValueError(f"security suite {suite} has no elliptic curve; suites 1 and 2 have one")
    return suite


def _size(suite: int) -> int:
    return _COORDINATE[_suite(suite)]


def _curve(suite: int) -> ec.EllipticCurve:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.SECP256R1() if suite == 1 else ec.SECP384R1()


def _ecdsa(suite: int) -> ec.ECDSA:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.ECDSA(hashes.SHA256() if suite == 1 else hashes.SHA384())
