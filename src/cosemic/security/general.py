"""General-ciphering and general-signing: keys that a message names or brings with it, and signatures.

Which key protects a general-ciphering APDU (IEC 62056-5-3, clause 5; Green Book 9.2.7.2.4.8):

================  ==================================================  =================================================
key info          key                                                 invocation counter
================  ==================================================  =================================================
none, identified  the global unicast (0) or broadcast (1) key         that of the key, shared with the other envelopes
wrapped           fresh, random, wrapped with the master key          of its own, per master key
agreed, 01        fresh: ECDH of a signed ephemeral key with the      of its own, per recipient's key
                  recipient's static key
agreed, 02        ECDH of both static keys, made new by the           of its own, per pair of static keys
                  transaction id
================  ==================================================  =================================================

**Why a nonce cannot come twice.** Z of the static keys is the same for ever, so two messages with one transaction id
have one key. Transaction ids are random here, or the request's own in an answer, which whoever asks may repeat. So the
safety does not rest on them: the invocation counter of every key above comes from the durable counter store and never
comes twice for the same pair of static keys, whatever the transaction ids are. It rises over the keys of its kind,
where the standard starts at 0 with each; a receiver that demands rising counters would take only the first of those.

**Why a message is taken once.** A peer may start at 0 for each key, as the standard says, or go on rising. A counter
above all before in the association is new, unless another association took it: two clients with one context have
ranges of their own, and the slower one is not behind. A counter of 0 is compared with the memory of such messages; any
other is a repetition. An answer to a request of ours is new when it repeats the random transaction id of that request,
which is then used up; that holds only where the tag, the key or a signature proves the id. Signed messages without a
tag, whatever is around them, are remembered likewise.

Checked in this order: signature of the key, tag, what is inside (signature), policy, counter.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cosemic.enums import Role
from cosemic.errors import AuthenticationError, DecodeError, KeyMissing, ReplayError, SecurityError
from cosemic.security._streams import Incoming, Outgoing
from cosemic.security.checks import check_plausible
from cosemic.security.counters import key_id
from cosemic.security.replay import ReplayMemory
from cosemic.security.suites import (
    AUTHENTICATED,
    CIPHERING,
    COMPRESSED,
    ENCRYPTED,
    HEADER,
    HEADER_LENGTH,
    KEY_LENGTH,
    SUITE_MASK,
    GeneralAad,
    GeneralKey,
    SecurityPolicy,
    SigningInput,
    describe,
)

if TYPE_CHECKING:
    from cosemic.security.cipher import CipherKey
    from cosemic.security.context import AssociationSecurity
    from cosemic.security.ec import PrivateKey

_T = TypeVar("_T")

TRANSACTION_ID_LENGTH = 8
DATE_TIME_LENGTH = 12


@dataclass(frozen=True, slots=True)
class GeneralHeader:
    """The five fields that general-ciphering and general-signing begin with."""

    transaction_id: bytes
    originator: bytes
    recipient: bytes
    date_time: bytes
    other_information: bytes
    octets: bytes
    """All of them as on the wire, each with its length."""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """Which key it is: for an identified key its number, else what the receiver needs to have it."""

    key: GeneralKey
    data: bytes = b""
    number: int = 0


class GeneralProtection:
    """The general protection of one association; see ``AssociationSecurity.general``."""

    __slots__ = ("_asked", "_incoming", "_outgoing", "_security", "_unproved")

    def __init__(self, security: AssociationSecurity) -> None:
        self._security = security
        self._outgoing: dict[str, Outgoing] = {}
        self._incoming: dict[str, Incoming] = {}
        self._asked: bytes | None = None
        self._unproved = ReplayMemory()  # of counter 0 without a tag: it bars only its own repetitions

    def close(self) -> None:
        """Give unused counters back."""
        for outgoing in self._outgoing.values():
            outgoing.close()
        self._outgoing.clear()
        self._asked = None

    # What a header is made of

    def new_transaction(self, answered: bytes = b"") -> bytes:
        """The transaction id of a message: that of the request that it answers, else a fresh random one."""
        if answered:
            return answered
        transaction_id = secrets.token_bytes(TRANSACTION_ID_LENGTH)
        if self._security.role is Role.CLIENT:
            self._asked = transaction_id
        return transaction_id

    def header_fields(self) -> tuple[bytes, bytes, bytes, bytes]:
        """Originator, recipient, date-time and other information of a message of ours."""
        context = self._security.context
        stamp = b"" if context.date_time is None else context.date_time()
        if len(stamp) not in (0, DATE_TIME_LENGTH):
            raise SecurityError(f"date_time gives {len(stamp)} octets; a date-time has {DATE_TIME_LENGTH}")
        return self._security.own_title(), self._security.originator(None), stamp, context.other_information

    def check_header(self, header: GeneralHeader) -> None:
        """SecurityError when the message is not for us, or not from the peer."""
        own = self._security.own_title()
        if not hmac.compare_digest(header.recipient, own):
            recipient = header.recipient.hex().upper() or "nobody"
            raise SecurityError(f"a message for {recipient}, while we are {own.hex().upper()}; it was not opened")
        self._security.originator(header.originator or None)
        if len(header.date_time) not in (0, DATE_TIME_LENGTH):
            raise DecodeError(f"a date-time of {len(header.date_time)} octets in the header of a general APDU")

    # general-ciphering

    def seal(
        self, information: bytes, header: GeneralHeader, key: GeneralKey, policy: SecurityPolicy
    ) -> tuple[KeyInfo, bytes]:
        """Protect an APDU: the key info and ``SC || IC || payload``. KeyMissing for what the key needs and lacks."""
        security = self._security
        covered = self._covered(header)
        if key is GeneralKey.IDENTIFIED:
            return KeyInfo(key), security.protect(information, policy=policy, header=covered)
        info, cipher, name = self._fresh(header, key)
        control = security.context.suite | int(policy) & CIPHERING
        associated = cipher.associated(control) + covered
        outgoing = self._outgoing.get(name)
        if outgoing is None:
            outgoing = self._outgoing[name] = Outgoing(security.context.counters, name)
        return info, cipher.seal(control, security.own_title(), outgoing.take(), information, associated)

    def open(
        self,
        content: bytes,
        header: GeneralHeader,
        info: KeyInfo | None,
        minimum: SecurityPolicy | None = None,
        inner: Callable[[bytes], None] | None = None,
    ) -> bytes:
        """The information in a general-ciphering APDU, after everything was checked; errors leave no trace.

        ``inner`` checks what is inside before anything is accepted. See ``AssociationSecurity.open`` for the errors.
        """
        security = self._security
        self.check_header(header)
        covered = self._covered(header)
        if info is None or info.key is GeneralKey.IDENTIFIED:
            broadcast = None
            if info is not None:
                if info.number > 1:
                    raise SecurityError(
                        f"general-ciphering with key {info.number}; 0 (unicast) and 1 (broadcast) exist"
                    )
                broadcast = info.number == 1
            return security.open(
                content,
                system_title=header.originator,
                minimum=minimum,
                header=covered,
                broadcast=broadcast,
                inner=inner,
            )
        return self._open_fresh(content, header, info, covered, minimum, inner)

    def _open_fresh(
        self,
        content: bytes,
        header: GeneralHeader,
        info: KeyInfo,
        covered: bytes,
        minimum: SecurityPolicy | None,
        inner: Callable[[bytes], None] | None,
    ) -> bytes:
        security = self._security
        context = security.context
        if len(content) < HEADER_LENGTH:
            raise DecodeError(f"{len(content)} octets are too short for a security control and an invocation counter")
        control, counter = HEADER.unpack_from(content)
        if control & (SUITE_MASK | COMPRESSED) != context.suite:
            raise security.wrong_control(control)
        originator = security.originator(header.originator)
        octets, kind, name, kek = self._given(header, info, originator)
        cipher = context.fresh_cipher(octets, kind)
        by_other = False
        try:
            information = cipher.open(control, originator, counter, content, covered)
        except AuthenticationError:
            other = context.other_fresh_cipher(octets, kind)
            if other is None:
                raise
            information = other.open(control, originator, counter, content, covered)
            by_other = True
        if inner is not None:
            inner(information)
        what = describe(control, originator, counter, cipher.name)
        security.check_policy(SecurityPolicy(control & CIPHERING), _ciphering(context.minimum_policy, minimum))
        if control & CIPHERING == ENCRYPTED:
            check_plausible(information, what)
        # Header and key data may be written anew by anybody, as far as the tag does not cover them.
        token = ReplayMemory.digest(name.encode(), content)
        proves_id = info.key is GeneralKey.STATIC_UNIFIED or bool(covered and control & AUTHENTICATED)
        is_asked = proves_id and self._is_asked(header)
        incoming = self._incoming_of(name)
        if counter == 0:
            if not is_asked:
                context.replays.check(token)
            if not control & AUTHENTICATED:
                if not is_asked:
                    self._unproved.check(token)
                self._unproved.add(token)
        elif not control & AUTHENTICATED:
            bar = incoming.accept_unproved(counter)
            if bar is not None and not is_asked:
                raise _repeated(counter, bar, what)
        if security.peer_system_title is None:
            security.peer_system_title = originator
        if control & AUTHENTICATED:
            bar = incoming.take(counter) if counter else None
            if bar is not None and not is_asked:
                raise _repeated(counter, bar, what)
            if counter == 0:
                context.replays.add(token)
            if is_asked:
                self._asked = None
            if by_other:
                context.prove_other_authentication()
            if kek is not None:
                context.prove_kek(kek)
        return information

    def _incoming_of(self, name: str) -> Incoming:
        """The peer's counters under its fresh keys of one kind, in this association.

        As under the global keys: they rise within the association, from above what was accepted before it, and none is
        accepted that another association accepted.
        """
        incoming = self._incoming.get(name)
        if incoming is None:
            incoming = self._incoming[name] = Incoming()
            replays = self._security.context.replays
            incoming.remember(replays.last, name, lenient=False)
            incoming.share(replays.taken, name)
        return incoming

    def recall(self, title: bytes) -> None:
        """Start above what was accepted up to now from that peer, which may begin with such keys much later."""
        context = self._security.context
        names = [key_id(title, b"wrapped" + kek) for kek in (context.keks if context.has_kek else ())]
        own, peer = context.agreement_key, context.peer_agreement_key
        if own is not None:
            names.append(key_id(title, b"one-pass" + own.public))
        if own is not None and peer is not None:
            names.append(_static_name(title, own, peer))
        for name in names:
            self._incoming_of(name)

    def _is_asked(self, header: GeneralHeader) -> bool:
        """Whether this is the answer to the last request, by its transaction id, and the first such answer."""
        return self._asked is not None and hmac.compare_digest(self._asked, header.transaction_id)

    # The keys that a message brings with it

    def _fresh(self, header: GeneralHeader, key: GeneralKey) -> tuple[KeyInfo, CipherKey, str]:
        """A new key for a message of ours, what tells the peer of it, and the name of its counters."""
        context = self._security.context
        suite = context.suite
        if key is GeneralKey.WRAPPED:
            from cosemic.security.key_wrap import wrap_key

            octets = secrets.token_bytes(KEY_LENGTH[suite])
            name = key_id(header.originator, b"wrapped" + context.kek)
            return KeyInfo(key, wrap_key(context.kek, octets)), context.fresh_cipher(octets, "wrapped key"), name
        from cosemic.security import agreement

        peer = _given(context.peer_agreement_key, "the peer's public key agreement key", "peer_agreement_key")
        if key is GeneralKey.ONE_PASS:
            signing = _given(context.signing_key, "our signing key", "signing_key")
            octets, data = agreement.one_pass_start(
                suite, signing, peer, header.originator, header.recipient, context.ephemeral_signature
            )
            name = key_id(header.originator, b"one-pass" + peer)
            return KeyInfo(key, data), context.fresh_cipher(octets, "key agreed by one pass"), name
        own = _given(context.agreement_key, "our key agreement key", "agreement_key")
        octets = agreement.static_unified_key(
            suite, own, peer, header.originator, header.recipient, header.transaction_id
        )
        return (
            KeyInfo(key),
            context.fresh_cipher(octets, "key agreed from static keys"),
            _static_name(header.originator, own, peer),
        )

    def _given(self, header: GeneralHeader, info: KeyInfo, originator: bytes) -> tuple[bytes, str, str, bytes | None]:
        """The key that a message of the peer brings, its kind, the name that its counters are remembered by, and the
        master key that it was wrapped with.

        ``originator`` is whose title the message is opened with, which its header may leave out.
        """
        security, context = self._security, self._security.context
        suite = context.suite
        if info.key is GeneralKey.WRAPPED:
            from cosemic.security.key_wrap import unwrap_by_any

            octets, kek = unwrap_by_any(context.keks, info.data)
            if len(octets) != KEY_LENGTH[suite]:
                raise SecurityError(f"a wrapped key of {len(octets)} octets; suite {suite} has {KEY_LENGTH[suite]}")
            return octets, "wrapped key", key_id(originator, b"wrapped" + kek), kek
        from cosemic.security import agreement

        own = _given(context.agreement_key, "our key agreement key", "agreement_key")
        if info.key is GeneralKey.ONE_PASS:
            octets = agreement.one_pass_finish(
                suite,
                own,
                security.peer_signing_key,
                info.data,
                header.originator,
                header.recipient,
                context.ephemeral_signature,
            )
            return octets, "key agreed by one pass", key_id(originator, b"one-pass" + own.public), None
        if info.data:
            raise DecodeError(f"the static unified model has no key data, but {len(info.data)} octets came")
        peer = _given(context.peer_agreement_key, "the peer's public key agreement key", "peer_agreement_key")
        octets = agreement.static_unified_key(
            suite, own, peer, header.originator, header.recipient, header.transaction_id
        )
        return octets, "key agreed from static keys", _static_name(header.originator, own, peer), None

    def _covered(self, header: GeneralHeader) -> bytes:
        """What the tag covers of the header."""
        return header.octets if self._security.context.general_aad is GeneralAad.WITH_HEADER else b""

    # general-signing

    def sign(self, header: GeneralHeader, content: bytes, content_with_length: bytes) -> bytes:
        """The signature of an APDU; KeyMissing without our signing key."""
        key = _given(self._security.context.signing_key, "our signing key", "signing_key")
        return key.sign(self._signed(header, content, content_with_length))

    def verify(self, header: GeneralHeader, content: bytes, content_with_length: bytes, signature: bytes) -> None:
        """Check a signature of the peer; AuthenticationError when it does not hold. Nothing is remembered yet."""
        from cosemic.security.ec import verify

        self.check_header(header)
        message = self._signed(header, content, content_with_length)
        verify(self._security.context.suite, self._security.peer_signing_key, message, signature)

    def check_signed(self, header: GeneralHeader, content: bytes, signature: bytes) -> None:
        """ReplayError when a verified message that no tag proves, but its signature alone, came before."""
        if not self._is_asked(header):
            self._security.context.replays.check(_signed_token(header, content, signature))

    def take_signed(self, header: GeneralHeader, content: bytes, signature: bytes) -> None:
        """Remember such a message once everything else was checked; ReplayError as from ``check_signed``."""
        self.check_signed(header, content, signature)
        if self._is_asked(header):
            self._asked = None
        self._security.context.replays.add(_signed_token(header, content, signature))

    def _signed(self, header: GeneralHeader, content: bytes, content_with_length: bytes) -> bytes:
        form = self._security.context.signing_input
        return header.octets + (content_with_length if form is SigningInput.CONTENT_WITH_LENGTH else content)


def _signed_token(header: GeneralHeader, content: bytes, signature: bytes) -> bytes:
    """What a signed message is remembered by.

    From one valid signature ``(r, s)`` anybody makes a second one, ``(r, n - s)``, so s is left out.
    """
    return ReplayMemory.digest(header.octets, content, signature[: len(signature) // 2])


def _repeated(counter: int, last: int | None, what: str) -> ReplayError:
    return ReplayError(
        f"invocation counter {counter} is not above {last}, the last one under keys of this kind, and not 0 as for a "
        f"key that starts anew: a repeated message ({what})",
        received=counter,
        expected_above=-1 if last is None else last,
    )


def _static_name(title: bytes, own: PrivateKey, peer: bytes) -> str:
    """Both static keys, the lower one first: Z is the same whoever sends, and the title tells the directions apart."""
    return key_id(title, b"static" + b"".join(sorted((own.public, peer))))


def _ciphering(configured: SecurityPolicy, minimum: SecurityPolicy | None) -> SecurityPolicy:
    return SecurityPolicy(int(configured if minimum is None else minimum) & CIPHERING)


def _given(value: _T | None, what: str, name: str) -> _T:
    if value is None:
        raise KeyMissing(f"{what} is needed ({name}); none was given")
    return value
