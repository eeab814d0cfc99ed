"""Proof of identity: passwords (LLS) and challenge and reply (HLS, mechanisms 2 to 7), for both roles.

The four passes of HLS (IEC 62056-5-3, 5.2; Green Book 9.2.2.2.2): the client sends CtoS in the AARQ, the server StoC in
the AARE; the client then sends f(StoC), the server checks it and answers f(CtoS). What f is:

==========  ========================================================================================
mechanism   f(challenge)
==========  ========================================================================================
2           not standardised: a function that the user supplies
3 MD5       MD5(challenge || secret)
4 SHA-1     SHA-1(challenge || secret)
5 GMAC      SC || IC || GMAC over SC || AK || challenge, with the sender's title and counter
6 SHA-256   SHA-256(secret || sender's title || receiver's title || challenge received || challenge sent)
7 ECDSA     the sender's signature of the same without the secret, ``r || s``
==========  ========================================================================================
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from cosemic.enums import AuthenticationMechanism, Role
from cosemic.errors import AuthenticationError, KeyMissing, LocalProtocolError
from cosemic.security.context import AssociationSecurity
from cosemic.tolerances import Tolerance, note

if TYPE_CHECKING:
    from cosemic.security.ec import PrivateKey

logger = logging.getLogger("cosemic.security")

SHORTEST_CHALLENGE = 8
LONGEST_CHALLENGE = 64
DEFAULT_CHALLENGE = 16
SHORTEST_ECDSA_CHALLENGE = 32
"""Challenges of mechanism 7 have 32 to 64 octets."""

Mechanism2 = Callable[[bytes, bytes], bytes]
"""f of mechanism 2: ``function(secret, challenge)`` gives the reply."""


def challenge(length: int = DEFAULT_CHALLENGE, *, random: Callable[[int], bytes] = secrets.token_bytes) -> bytes:
    """A fresh random challenge of 8 to 64 octets."""
    if not SHORTEST_CHALLENGE <= length <= LONGEST_CHALLENGE:
        raise ValueError(f"a challenge has {SHORTEST_CHALLENGE} to {LONGEST_CHALLENGE} octets, not {length}")
    return random(length)


def verify_password(expected: bytes, received: bytes | None) -> None:
    """Compare an LLS password in constant time; AuthenticationError when it differs."""
    if received is None or not hmac.compare_digest(expected, received):
        raise AuthenticationError("wrong password" if received is not None else "no password where one is demanded")


def aes_ecb_mechanism2(secret: bytes, challenge: bytes) -> bytes:
    """A widespread mechanism 2, standardised nowhere: AES-128-ECB of the challenge, both padded with zeros.

    Give it as the HLS function to speak it; nothing uses it by itself.
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    if len(secret) > 16:
        raise ValueError(f"the secret of this mechanism 2 has up to 16 octets, not {len(secret)}")
    blocks = challenge.ljust(-(-len(challenge) // 16) * 16, b"\0")
    encryptor = Cipher(algorithms.AES(secret.ljust(16, b"\0")), modes.ECB()).encryptor()
    return encryptor.update(blocks) + encryptor.finalize()


class HlsExchange:
    """One run of HLS on one side.

    Give ``own_challenge`` to the peer, set ``peer_challenge`` when it arrives, then: a client calls ``reply`` (pass 3)
    and ``verify`` with what came back (pass 4); a server calls ``verify`` first and may call ``reply`` only after it.
    ``verify`` can be tried once.
    """

    __slots__ = (
        "_function",
        "_own_title",
        "_peer_challenge",
        "_peer_title",
        "_role",
        "_secret",
        "_security",
        "_tried",
        "_verified",
        "mechanism",
        "own_challenge",
    )

    def __init__(
        self,
        mechanism: AuthenticationMechanism,
        *,
        role: Role | Literal["client", "server"],
        secret: bytes | None = None,
        security: AssociationSecurity | None = None,
        own_title: bytes | None = None,
        peer_title: bytes | None = None,
        function: Mechanism2 | None = None,
        challenge_length: int = DEFAULT_CHALLENGE,
        random: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        """KeyMissing when the mechanism needs something that was not given."""
        _check_means(mechanism, secret, security, function)
        if mechanism == AuthenticationMechanism.HLS_ECDSA:
            challenge_length = max(challenge_length, SHORTEST_ECDSA_CHALLENGE)
        self.mechanism = mechanism
        self.own_challenge = challenge(challenge_length, random=random)
        self._role = Role(role)
        self._secret = secret
        self._security = security
        self._own_title = own_title
        self._peer_title = peer_title
        self._function = function
        self._peer_challenge: bytes | None = None
        self._tried = False
        self._verified = False

    def __repr__(self) -> str:
        return f"<HlsExchange {self.mechanism.name} {self._role.value}>"

    @property
    def verified(self) -> bool:
        """Whether the peer proved its secret."""
        return self._verified

    @property
    def peer_challenge(self) -> bytes | None:
        """The peer's challenge. Setting one that equals ours (a reflection), or of a wrong length, is refused."""
        return self._peer_challenge

    @peer_challenge.setter
    def peer_challenge(self, octets: bytes) -> None:
        ecdsa = self.mechanism == AuthenticationMechanism.HLS_ECDSA
        shortest = SHORTEST_ECDSA_CHALLENGE if ecdsa else SHORTEST_CHALLENGE
        if ecdsa and SHORTEST_CHALLENGE <= len(octets) < shortest and self._tolerates_short():
            note(Tolerance.ECDSA_CHALLENGE_LENGTH, f"a challenge of {len(octets)} octets")
        elif not shortest <= len(octets) <= LONGEST_CHALLENGE:
            text = f"a challenge of {len(octets)} octets; the standard has {shortest} to {LONGEST_CHALLENGE}"
            if self._role is Role.SERVER or not octets:
                raise AuthenticationError(text)
            logger.warning("the meter sent %s", text)
        if hmac.compare_digest(octets, self.own_challenge):
            raise AuthenticationError("the peer sent our own challenge back, to have us answer it")
        self._peer_challenge = bytes(octets)

    def _tolerates_short(self) -> bool:
        return self._security is not None and Tolerance.ECDSA_CHALLENGE_LENGTH in self._security.tolerances

    def reply(self) -> bytes:
        """f(peer's challenge), to be sent. A server must have verified the client before."""
        if self._role is Role.SERVER and not self._verified:
            raise LocalProtocolError("the client has to prove its secret before the server answers")
        received = self._received()
        if self.mechanism == AuthenticationMechanism.HLS_GMAC:
            assert self._security is not None
            return self._security.gmac(received)
        if self.mechanism == AuthenticationMechanism.HLS_ECDSA:
            return self._signing_key().sign(self._titles(sending=True) + received + self.own_challenge)
        return self._digest(self._titles(sending=True), received, self.own_challenge)

    def verify(self, octets: bytes) -> None:
        """Check the peer's f(our challenge); AuthenticationError when it does not prove the secret."""
        if self._tried:
            raise AuthenticationError("the peer's HLS reply was checked already; a new association is needed")
        received = self._received()
        self._tried = True
        if self.mechanism == AuthenticationMechanism.HLS_GMAC:
            assert self._security is not None
            self._security.verify_gmac(octets, self.own_challenge)
        elif self.mechanism == AuthenticationMechanism.HLS_ECDSA:
            self._verify_signature(octets, self._titles(sending=False) + self.own_challenge + received)
        else:
            # The peer's view: it received our challenge and sent its own.
            expected = self._digest(self._titles(sending=False), self.own_challenge, received)
            if not hmac.compare_digest(expected, octets):
                raise AuthenticationError(
                    f"the peer's HLS reply ({self.mechanism.name}) is wrong: other secret, or other system titles"
                )
        self._verified = True

    def _received(self) -> bytes:
        if self._peer_challenge is None:
            raise LocalProtocolError("the peer's challenge has not come yet")
        return self._peer_challenge

    def _signing_key(self) -> PrivateKey:
        assert self._security is not None
        key = self._security.context.signing_key
        assert key is not None
        return key

    def _verify_signature(self, signature: bytes, message: bytes) -> None:
        from cosemic.security.ec import verify

        assert self._security is not None
        try:
            verify(self._security.context.suite, self._security.peer_signing_key, message, signature)
        except AuthenticationError as error:
            raise AuthenticationError(f"the peer's HLS reply (HLS_ECDSA) proves nothing: {error}") from None

    def _titles(self, *, sending: bool) -> bytes:
        if self.mechanism not in _WITH_TITLES:
            return b""
        own, peer = self._own_title, self._peer_title
        if self._security is not None:
            own = own or self._security.system_title
            peer = peer or self._security.peer_system_title
        if not own or not peer:
            raise KeyMissing(
                f"{self.mechanism.name} needs the system titles of both sides; {'peer' if own else 'own'} missing"
            )
        return own + peer if sending else peer + own

    def _digest(self, titles: bytes, received: bytes, sent: bytes) -> bytes:
        assert self._secret is not None
        if self.mechanism == AuthenticationMechanism.HLS_SHA256:
            return hashlib.sha256(self._secret + titles + received + sent).digest()
        if self.mechanism == AuthenticationMechanism.HLS_MD5:
            return hashlib.md5(received + self._secret, usedforsecurity=False).digest()
        if self.mechanism == AuthenticationMechanism.HLS_SHA1:
            return hashlib.sha1(received + self._secret, usedforsecurity=False).digest()
        assert self._function is not None
        return self._function(self._secret, received)


_WITH_TITLES = frozenset((AuthenticationMechanism.HLS_SHA256, AuthenticationMechanism.HLS_ECDSA))


def _check_means(
    mechanism: AuthenticationMechanism,
    secret: bytes | None,
    security: AssociationSecurity | None,
    function: Mechanism2 | None,
) -> None:
    if mechanism in (AuthenticationMechanism.NONE, AuthenticationMechanism.LLS):
        raise ValueError(f"{mechanism.name} has no challenge and reply")
    if mechanism == AuthenticationMechanism.HLS_ECDSA:
        if security is None or security.context.signing_key is None:
            raise KeyMissing("HLS with ECDSA needs a security context of suite 1 or 2 with a signing_key")
        if security.context.peer_signing_key is None and security.context.trust is None:
            raise KeyMissing(
                "HLS with ECDSA needs the peer's public key: peer_signing_key, or trust for its certificate"
            )
        return
    if mechanism == AuthenticationMechanism.HLS_GMAC:
        if security is None:
            raise KeyMissing("HLS with GMAC needs a security context with keys and system title")
        return
    if not secret:
        raise KeyMissing(f"{mechanism.name} needs a secret (password); none was given")
    if mechanism == AuthenticationMechanism.HLS and function is None:
        raise KeyMissing(
            "HLS mechanism 2 is a secret between manufacturer and user: give its function(secret, challenge) -> reply "
            "as hls_function"
        )
