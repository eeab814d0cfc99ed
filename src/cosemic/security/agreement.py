"""Key agreement: what two parties derive from an ECDH secret (IEC 62056-5-3, 5.3; NIST SP 800-56A).

=========================  ===================  ==================================================  ====================
scheme                     Z comes from         what U sends                                        used by
=========================  ===================  ==================================================  ====================
C(2e, 0s) ephemeral        two ephemeral keys   its signed ephemeral key, and gets V's              key_agreement of the
unified                                                                                             security setup
C(1e, 1s) one-pass         U's ephemeral key,   its signed ephemeral key                            general-ciphering 01
Diffie-Hellman             V's static key
C(0e, 2s) static unified   two static keys      a nonce: the transaction id                         general-ciphering 02
=========================  ===================  ==================================================  ====================

The key is the left part of ``Hash(00000001 || Z || AlgorithmID || PartyUInfo || PartyVInfo)``: one round of the
concatenation KDF, with SHA-256 for suite 1 and SHA-384 for suite 2. U is the client in C(2e, 0s) and the originator in
the others; its info is its system title, followed by length and value of the transaction id in C(0e, 2s).

Edition 8 of the Green Book prints the AlgorithmID with the arc 06 (``60 85 74 06 08 03 00``) and an example computed
with it; the examples of IEC 62056-5-3:2023 and every stack that was looked at use 05, as the registered identifier has
it. So does this module.

Z lives no longer than the function that needs it. Python cannot overwrite an object of bytes, so its octets stay in
freed memory until something else is written there; a key in a token never gives more away than Z.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from cosemic.errors import AuthenticationError, SecurityError
from cosemic.security.ec import PUBLIC_KEY_LENGTH, SIGNATURE_LENGTH, PrivateKey, SoftwareKey, check_public, verify
from cosemic.security.suites import KEY_LENGTH, EphemeralSignature, KeyId, title_octets

ONE_PASS, STATIC_UNIFIED = 1, 2
"""Identifiers of the schemes in the key parameters of general-ciphering."""

LONGEST_NONCE = 0x7F

_Covers: TypeAlias = Callable[[bytes], bytes]


class AlgorithmId(enum.Enum):
    """What a derived key is for: the last octet of the registered algorithm identifier, by suite."""

    AES_GCM = (0, 1)
    AES_WRAP = (2, 3)

    def octets(self, suite: int) -> bytes:
        """The seven octets of 2.16.756.5.8.3.x."""
        return bytes.fromhex("608574050803") + bytes([self.value[suite - 1]])


def derive_key(
    suite: int, z: bytes, party_u: bytes, party_v: bytes, algorithm: AlgorithmId = AlgorithmId.AES_GCM
) -> bytes:
    """The key of 16 (suite 1) or 32 octets (suite 2) from the shared secret and what names both parties."""
    if len(z) != PUBLIC_KEY_LENGTH[_suite(suite)] // 2:
        raise SecurityError(f"a shared secret of {len(z)} octets does not fit suite {suite}")
    hashed = hashlib.sha256 if suite == 1 else hashlib.sha384
    return hashed(b"\0\0\0\1" + z + algorithm.octets(suite) + party_u + party_v).digest()[: KEY_LENGTH[suite]]


# One-pass Diffie-Hellman: general-ciphering with key parameters 01


def one_pass_start(
    suite: int,
    signing_key: PrivateKey,
    recipient_key: bytes,
    originator: bytes,
    recipient: bytes,
    form: EphemeralSignature = EphemeralSignature.POINT,
) -> tuple[bytes, bytes]:
    """U's side: a fresh key for one message, and the octets that tell V of it (ephemeral public key and signature).

    ``recipient_key`` is V's static public key. SecurityError when it is no point of the curve.
    """
    _check_key(suite, signing_key, "signing key")
    ephemeral = SoftwareKey.generate(suite)
    key = derive_key(suite, ephemeral.agree(recipient_key), _title(originator), _title(recipient))
    return key, ephemeral.public + signing_key.sign(form.covers(ephemeral.public))


def one_pass_finish(
    suite: int,
    agreement_key: PrivateKey,
    peer_signing_key: bytes,
    key_data: bytes,
    originator: bytes,
    recipient: bytes,
    form: EphemeralSignature = EphemeralSignature.POINT,
) -> bytes:
    """V's side: the key, after the signature of the ephemeral key was verified with U's public signing key.

    AuthenticationError when the signature does not hold, SecurityError for wrong sizes and points off the curve.
    """
    _check_key(suite, agreement_key, "key agreement key")
    public = _verified(suite, key_data, peer_signing_key, form.covers)
    return derive_key(suite, agreement_key.agree(public), _title(originator), _title(recipient))


# Static unified model: general-ciphering with key parameters 02


def static_unified_key(
    suite: int, agreement_key: PrivateKey, peer_key: bytes, originator: bytes, recipient: bytes, transaction_id: bytes
) -> bytes:
    """The key of one message, the same on both sides: from both static keys, both titles and the transaction id.

    Z is the same for ever between two parties, so the key is new only if the transaction id is. SecurityError without
    one; whoever sends has to see to it that it never comes twice, or that the invocation counter under it never does.
    """
    _check_key(suite, agreement_key, "key agreement key")
    if not 0 < len(transaction_id) <= LONGEST_NONCE:
        raise SecurityError(
            f"the static unified model needs a transaction id of 1 to {LONGEST_NONCE} octets; "
            "it is what makes the key new"
        )
    party_u = _title(originator) + bytes([len(transaction_id)]) + transaction_id
    return derive_key(suite, agreement_key.agree(check_public(suite, peer_key)), party_u, _title(recipient))


# Ephemeral unified model: the method key_agreement of the security setup


@dataclass(frozen=True, slots=True)
class KeyOffer:
    """One side's part in agreeing on the key ``key_id``: send ``key_data``, then ``agree`` on what came back.

    The ephemeral private key is in here; let go of the offer when it was used.
    """

    suite: int
    key_id: KeyId
    key_data: bytes
    """Ephemeral public key, and the signature of ``key_id || public key``."""
    _ephemeral: PrivateKey = field(repr=False)

    def agree(self, answer: bytes, peer_signing_key: bytes, client: bytes, server: bytes) -> bytes:
        """The agreed key, after the signature in the peer's key data was verified.

        ``client`` and ``server`` are the system titles (U and V). AuthenticationError when the signature does not
        hold, SecurityError for wrong sizes, points off the curve, and our own offer sent back to us.
        """
        public = _verified(self.suite, answer, peer_signing_key, lambda point: bytes([self.key_id]) + point)
        if public == self._ephemeral.public:
            raise SecurityError("the peer's ephemeral key is ours: the offer was sent back")
        algorithm = AlgorithmId.AES_WRAP if self.key_id == KeyId.MASTER else AlgorithmId.AES_GCM
        return derive_key(self.suite, self._ephemeral.agree(public), _title(client), _title(server), algorithm)


def key_offer(suite: int, key_id: KeyId, signing_key: PrivateKey, *, ephemeral: PrivateKey | None = None) -> KeyOffer:
    """A fresh offer for that key, signed. ``ephemeral`` is for known answers only; never use a key twice."""
    _check_key(suite, signing_key, "signing key")
    if ephemeral is None:
        ephemeral = SoftwareKey.generate(suite)
    signature = signing_key.sign(bytes([key_id]) + ephemeral.public)
    return KeyOffer(suite, key_id, ephemeral.public + signature, ephemeral)


def _verified(suite: int, key_data: bytes, peer_signing_key: bytes, covers: _Covers) -> bytes:
    size = PUBLIC_KEY_LENGTH[_suite(suite)]
    if len(key_data) != size + SIGNATURE_LENGTH[suite]:
        raise SecurityError(
            f"key agreement data of {len(key_data)} octets; suite {suite} has {size + SIGNATURE_LENGTH[suite]}: "
            "an ephemeral public key and its signature"
        )
    public, signature = key_data[:size], key_data[size:]
    try:
        verify(suite, peer_signing_key, covers(public), signature)
    except AuthenticationError as error:
        raise AuthenticationError(f"the ephemeral key of the peer is not proved: {error}") from None
    return check_public(suite, public)


def _check_key(suite: int, key: PrivateKey, name: str) -> None:
    if key.suite != _suite(suite):
        raise SecurityError(f"the {name} is one of suite {key.suite}; suite {suite} is in use")


def _suite(suite: int) -> int:
    if suite not in PUBLIC_KEY_LENGTH:
        raise SecurityError(f"security suite {suite} has no key agreement; suites 1 and 2 have it")
    return suite


def _title(title: bytes) -> bytes:
    try:
        return title_octets(title)
    except ValueError as error:
        raise SecurityError(f"key agreement names both parties: {error}") from None
