"""Protection of the messages of one association.

Which key protects what (IEC 62056-5-3, 5.3):

=====================================  ======================================  ================================
message                                key                                     counter
=====================================  ======================================  ================================
glo- services, general-glo             global unicast encryption key           of that key and our system title
glo- services with SC bit 6            global broadcast encryption key         of that key and our system title
ded- services, general-ded             dedicated key of the association        of that key, from 1
HLS-GMAC replies f(StoC), f(CtoS)      global unicast key, in every case       shared with the glo- services
=====================================  ======================================  ================================

The authentication key is the same for all. Incoming messages are checked in this order: tag, policy, counter; a
message that fails leaves no trace in the state. A counter has to be above the last one, or with ``replay_window`` new
among so many below it, for messages that overtake each other; a meter takes none that another of its associations took.
Where the policy lets messages without a tag pass, their counters must rise within the association, but only those of
messages with a tag are remembered: a forged one locks nobody out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Literal

from cosemic.enums import Role
from cosemic.errors import (
    AuthenticationError,
    DecodeError,
    KeyMissing,
    ReplayError,
    SecurityError,
)
from cosemic.security._streams import Incoming, Outgoing
from cosemic.security.checks import check_first, check_plausible, downgrade
from cosemic.security.counters import key_id
from cosemic.security.keys import SecurityContext, check_recovered
from cosemic.security.suites import (
    AUTHENTICATED,
    BROADCAST,
    CIPHERING,
    COMPRESSED,
    ENCRYPTED,
    HEADER,
    HEADER_LENGTH,
    SUITE_MASK,
    TAG_LENGTH,
    SecurityPolicy,
    describe,
    is_example_key,
    policy_of,
)
from cosemic.tolerances import DEFAULT, Tolerance

if TYPE_CHECKING:
    from cosemic.security.cipher import CipherKey
    from cosemic.security.general import GeneralProtection

__all__ = [
    "AssociationSecurity",
    "SecurityContext",
    "SecurityPolicy",
    "is_example_key",
    "policy_of",
]

logger = logging.getLogger("cosemic.security")


class AssociationSecurity:
    """Protection of one association: our next counters, the peer's last ones, the dedicated key.

    Made when the association is opened, closed when it ends. ``last_received`` is the highest counter accepted from
    this peer before; a server whose peer is not known yet gives ``received``, with those of all peers by
    ``SecurityContext.counter_id``, and they are kept up to date there. A client's context remembers by itself. Not for
    several threads at once (no counter would be repeated, though).

    When the context gets other keys or another policy, this takes them over with the next message.
    """

    __slots__ = (
        "_context",
        "_control",
        "_epoch",
        "_general",
        "_incoming",
        "_keys",
        "_minimum",
        "_names",
        "_outgoing",
        "_peer_signing_key",
        "_peer_title",
        "_received",
        "_role",
        "_suite",
        "_title",
        "_tolerances",
        "_unheard",
        "demands_signature",
    )

    def __init__(
        self,
        context: SecurityContext,
        *,
        role: Role | Literal["client", "server"],
        peer_system_title: bytes | None = None,
        dedicated_key: bytes | None = None,
        last_received: int | None = None,
        received: MutableMapping[str, int] | None = None,
        tolerances: AbstractSet[Tolerance] = DEFAULT,
    ) -> None:
        self._context = context
        self._received = received
        self._role = Role(role)
        self._tolerances = tolerances
        self._suite = context.suite
        self._epoch = context.epoch
        self._unheard = True
        self._control = context.suite | int(context.policy) & CIPHERING
        self._minimum = int(context.minimum_policy) & CIPHERING
        self._title = context.system_title
        # Three streams of messages: global, dedicated, broadcast. Each has its own key and counters.
        self._keys: list[CipherKey | None] = [None, None, None]
        self._outgoing: list[Outgoing | None] = [None, None, None]
        self._names: list[str | None] = [None, None, None]  # of the peer's counters
        self._incoming = [self._no_counters(stream) for stream in (_GLOBAL, _DEDICATED, _BROADCAST)]
        self._incoming[_GLOBAL].last = last_received
        self._peer_title: bytes | None = None
        self._peer_signing_key = context.peer_signing_key
        self._general: GeneralProtection | None = None
        self.demands_signature = False
        """Whether services have to be signed: from when the association is open, for passes 3 and 4 never are."""
        title = peer_system_title if peer_system_title is not None else context.peer_system_title
        if title is not None:
            self.peer_system_title = title
        if dedicated_key is not None:
            self.set_dedicated_key(dedicated_key)

    def __repr__(self) -> str:
        peer = self._peer_title.hex().upper() if self._peer_title else None
        return f"<AssociationSecurity {self._role.value}, peer {peer}, {self._context!r}>"

    @property
    def context(self) -> SecurityContext:
        """The configuration behind this association."""
        return self._context

    @property
    def system_title(self) -> bytes | None:
        """Our own system title."""
        return self._title

    @property
    def peer_system_title(self) -> bytes | None:
        """The peer's system title, from the AARQ or AARE; setting our own, or another than before, is an error."""
        return self._peer_title

    @peer_system_title.setter
    def peer_system_title(self, title: bytes) -> None:
        if len(title) != 8:
            raise SecurityError(f"the peer's system title has {len(title)} octets instead of 8: {title.hex().upper()}")
        if title == self._title:
            # One key and one title for both sides: counters would meet, and our own messages could come back as theirs.
            raise SecurityError(f"the peer uses our own system title {title.hex().upper()}; both must differ")
        if title == self._peer_title:
            return
        if self._peer_title is not None:
            raise SecurityError(
                f"the peer's system title changed from {self._peer_title.hex().upper()} to {title.hex().upper()}"
            )
        self._peer_title = bytes(title)
        self._recall(_GLOBAL)
        self._recall(_BROADCAST)

    @property
    def tolerances(self) -> AbstractSet[Tolerance]:
        """What is tolerated in this association."""
        return self._tolerances

    @property
    def role(self) -> Role:
        """Which side we are."""
        return self._role

    @property
    def general(self) -> GeneralProtection:
        """General-ciphering under other keys than the global ones, and general-signing."""
        if self._general is None:
            from cosemic.security.general import GeneralProtection

            self._general = GeneralProtection(self)
        return self._general

    @property
    def peer_signing_key(self) -> bytes:
        """The peer's public signing key; KeyMissing when neither it nor a certificate was given."""
        if self._peer_signing_key is None:
            raise KeyMissing(
                "the peer's public signing key is needed (peer_signing_key, or trust and the certificate that the peer "
                "sends); none was given"
            )
        return self._peer_signing_key

    def take_certificate(self, certificate: bytes) -> None:
        """A certificate that came in the AARQ or AARE: where the context trusts it, its key becomes the peer's.

        A configured key stays. SecurityError from ``trust``; without ``trust``, and in suite 0, which signs nothing,
        the certificate is not looked at.
        """
        trust = self._context.trust
        if trust is None or not self._suite or self._context.peer_signing_key is not None:
            return
        if self._peer_title is None:
            raise SecurityError("a certificate came without a system title that it could be checked against")
        from cosemic.security.ec import check_public

        self._peer_signing_key = check_public(self._suite, trust(certificate, self._peer_title))

    @property
    def last_received(self) -> int | None:
        """The highest counter under the global key that a tag proved; None when there was none yet."""
        return self._incoming[_GLOBAL].last

    @property
    def has_dedicated_key(self) -> bool:
        """Whether a dedicated key was set."""
        return self._keys[_DEDICATED] is not None

    def set_dedicated_key(self, key: bytes) -> None:
        """Use this dedicated key from now on; SecurityError when its length does not fit the suite."""
        title = self.own_title()
        self._keys[_DEDICATED] = self._context.dedicated_cipher(key)
        previous = self._outgoing[_DEDICATED]
        if previous is not None:
            previous.close()
        self._incoming[_DEDICATED] = Incoming(window=self._context.replay_window)
        self._outgoing[_DEDICATED] = Outgoing(self._context.dedicated_counters(key, self._role), key_id(title, key))

    def protect(
        self,
        apdu: bytes,
        *,
        dedicated: bool = False,
        policy: SecurityPolicy | None = None,
        broadcast: bool = False,
        header: bytes = b"",
    ) -> bytes:
        """Seal an APDU with the next invocation counter: ``SC || IC || payload``.

        ``header`` is what the tag covers besides, in general-ciphering. ``policy`` overrides that of the context for
        this message (the InitiateRequest of a context with a weaker policy, say). KeyMissing when the key or our system
        title was not given, SecurityError when the counter store cannot be written; in neither case was a counter used.
        """
        if self._epoch != self._context.epoch:
            self._refresh()
        control = self._control if policy is None else self._suite | int(policy) & CIPHERING
        stream = _DEDICATED if dedicated else _GLOBAL
        if broadcast:
            stream = _BROADCAST
            control |= BROADCAST
        key = self._keys[stream] or self._key(stream)
        title = self._title or self.own_title()
        associated = key.associated_data.get(control) or key.associated(control)  # fails before a counter is taken
        if header:
            associated += header
        outgoing = self._outgoing[stream] or self._start(stream)
        return key.seal(control, title, outgoing.take(), apdu, associated)

    def open(
        self,
        content: bytes,
        *,
        dedicated: bool = False,
        system_title: bytes | None = None,
        minimum: SecurityPolicy | None = None,
        header: bytes = b"",
        broadcast: bool | None = None,
        inner: Callable[[bytes], None] | None = None,
        first: int | None = None,
    ) -> bytes:
        """The information in ``SC || IC || payload``, after tag, policy and counter were checked, in this order.

        ``system_title`` is the one that a general-ciphering envelope names; without it the peer's is used. ``minimum``
        overrides the context's ``minimum_policy``. In general-ciphering ``header`` is what the tag covers besides, and
        ``broadcast`` says which key set is meant, where the bit of SC does not. ``inner`` checks what is inside before
        anything is accepted; ``first`` is the tag that the envelope, which no tag covers, promises: RemoteProtocolError
        for another.

        DecodeError: too short. AuthenticationError: the tag does not verify. ReplayError: the counter is not above the
        last accepted one. KeyMissing: no key for this. SecurityError: less protection than demanded, another suite, or
        compression. After any of them the counters are as before.
        """
        if len(content) < HEADER_LENGTH:
            raise DecodeError(f"{len(content)} octets are too short for a security control and an invocation counter")
        context = self._context
        if self._epoch != context.epoch:
            self._refresh()
        control, counter = HEADER.unpack_from(content)
        if control & (SUITE_MASK | COMPRESSED) != self._suite:
            raise self.wrong_control(control)
        stream = _DEDICATED if dedicated else _GLOBAL
        if control & BROADCAST if broadcast is None else broadcast:
            if dedicated:
                raise SecurityError(
                    f"SC {control:#04x} asks for the broadcast key in a message under the dedicated key"
                )
            stream = _BROADCAST
        title = self._peer_title if system_title is None else None
        if title is None:
            title = self.originator(system_title)
        key = self._keys[stream] or self._key(stream)
        demanded = self._minimum if minimum is None else int(minimum) & CIPHERING
        try:
            information = key.open(control, title, counter, content, header)
        except AuthenticationError:
            other = self._open_by_other(stream, control, title, counter, content, demanded, header, inner, first)
            if other is None:
                raise
            return other
        if inner is not None:
            inner(information)
        if demanded & ~control:
            raise downgrade(control & CIPHERING, demanded, describe(control, title, counter, key.name))
        if control & CIPHERING == ENCRYPTED:
            check_plausible(information, describe(control, title, counter, key.name))
        if first is not None:
            check_first(information, first)
        if self._peer_title is None:
            self.peer_system_title = title  # brings what earlier associations accepted from it
        incoming = self._incoming[stream]
        if not control & AUTHENTICATED:
            bar = incoming.accept_unproved(counter)
            if bar is not None:
                raise self._replay(control, title, counter, bar, key.name)
            return information
        if incoming.last is not None and counter <= incoming.last:
            if not incoming.is_taken(counter) and incoming.accept_late(counter):
                return information
            raise self._replay(control, title, counter, incoming.last, key.name)
        if incoming.is_taken(counter):
            raise self._replay(control, title, counter, counter, key.name)
        incoming.accept(counter)
        if self._unheard:
            self._unheard = False
            context.hear(title)
        if context.is_changing_keys and stream == _GLOBAL:
            context.settle_keys()
        return information

    def check_policy(self, received: SecurityPolicy | int, minimum: SecurityPolicy | None = None) -> None:
        """SecurityError when a message with this protection (NONE: a plain APDU) is less than demanded."""
        demanded = int(self._context.minimum_policy if minimum is None else minimum)
        if demanded & ~int(received):
            raise downgrade(int(received), demanded, "nothing of it was used")

    def gmac(self, challenge: bytes) -> bytes:
        """f(challenge) of HLS-GMAC: ``SC || IC || tag``, with the global key and its next counter."""
        if self._epoch != self._context.epoch:
            self._refresh()
        key = self._key(_GLOBAL)
        title = self._title or self.own_title()
        control = self._suite | AUTHENTICATED
        associated = key.associated(control)
        outgoing = self._outgoing[_GLOBAL] or self._start(_GLOBAL)
        sealed = key.seal(control, title, outgoing.take(), challenge, associated)
        return sealed[:HEADER_LENGTH] + sealed[-TAG_LENGTH:]

    def verify_gmac(self, reply: bytes, challenge: bytes) -> None:
        """Check the peer's f(challenge): AuthenticationError, or ReplayError when its counter was used before.

        The reply is made before the APDU that carries it is sealed, so its counter may lie below that one; it must lie
        above everything received earlier. Only the tolerance GMAC_COUNTER_SHARED lets it be that one: the sender used
        an initialisation vector twice, which harms its key and not this check, as the challenge is fresh.
        """
        if len(reply) != HEADER_LENGTH + TAG_LENGTH:
            raise AuthenticationError(f"an HLS-GMAC reply has {HEADER_LENGTH + TAG_LENGTH} octets, not {len(reply)}")
        control, counter = HEADER.unpack_from(reply)
        expected = self._suite | AUTHENTICATED
        if control != expected:
            raise AuthenticationError(f"an HLS-GMAC reply has SC {expected:#04x} here, not {control:#04x}")
        if self._epoch != self._context.epoch:
            self._refresh()
        key = self._key(_GLOBAL)
        title = self.originator(None)
        content = reply[:HEADER_LENGTH] + challenge + reply[HEADER_LENGTH:]
        try:
            key.open(control, title, counter, content)
        except AuthenticationError:
            if self._open_by_other(_GLOBAL, control, title, counter, content, 0) is None:
                raise
            return
        incoming = self._incoming[_GLOBAL]
        if not incoming.allows_inner(counter):
            raise self._replay(control, title, counter, incoming.before_current, key.name)
        incoming.accept_inner(counter)
        if self._context.is_changing_keys:
            self._context.settle_keys()

    def adopt_counter(self, value: int) -> bool:
        """Go on above ``value``, the counter that the meter says it saw last; False when we are above it already.

        SecurityError unless the context allows it: the meter's complaint is not authenticated, so anybody could use up
        the counters of a key with it.
        """
        if not self._context.allow_counter_from_meter:
            raise SecurityError(
                f"the meter says that its last invocation counter from us is {value}; allow it to set ours "
                "(counter_recovery='from-answer', or allow_counter_from_meter=True) or set it in the counter store"
            )
        check_recovered(value)
        outgoing = self._outgoing[_GLOBAL] or self._start(_GLOBAL)
        moved = outgoing.advance(value + 1)
        if moved:
            logger.warning("the meter refused our invocation counter; going on at %d as it asks", value + 1)
        return moved

    def close(self) -> None:
        """End of the association: give unused counters back, forget the dedicated key. May be called twice."""
        for stream, outgoing in enumerate(self._outgoing):
            if outgoing is not None:
                self._outgoing[stream] = None
                outgoing.close()
        if self._general is not None:
            self._general.close()
            self._general = None
        self._keys[_DEDICATED] = None
        self._incoming[_DEDICATED] = Incoming(window=self._context.replay_window)

    def _open_by_other(
        self,
        stream: int,
        control: int,
        title: bytes,
        counter: int,
        content: bytes,
        demanded: int,
        header: bytes = b"",
        inner: Callable[[bytes], None] | None = None,
        first: int | None = None,
    ) -> bytes | None:
        """The information of a message under the key that is accepted besides, during a change of keys.

        None when there is none, or its tag does not verify under that key either. Offered keys are in use after it.
        """
        context = self._context
        broadcast = stream == _BROADCAST
        key = context.other_cipher(broadcast=broadcast) if context.is_changing_keys and stream != _DEDICATED else None
        if key is None:
            return None
        try:
            information = key.open(control, title, counter, content, header)
        except AuthenticationError:
            return None
        if inner is not None:
            inner(information)
        if demanded & ~control:
            raise downgrade(control & CIPHERING, demanded, describe(control, title, counter, key.name))
        if first is not None:
            check_first(information, first)
        if self._peer_title is None:
            self.peer_system_title = title
        name = context.counter_id(title, broadcast=broadcast, other=True) or ""
        # Should the key have been in use before, its counters go on where they were.
        incoming = self._no_counters(stream)
        seen = self._remembered()
        if seen is not None:
            incoming.remember(seen, name, lenient=False)
            if self._role is Role.SERVER:
                incoming.share(context.taken, name)
        if incoming.last is not None and counter <= incoming.last:
            raise self._replay(control, title, counter, incoming.last, key.name)
        incoming.accept(counter)
        epoch = context.epoch
        context.prove_other(broadcast=broadcast)
        context.hear(title)
        logger.info("a message verified under the %s", key.name)
        if epoch != context.epoch:
            self._refresh()
            self._incoming[stream] = incoming
        return information

    def _refresh(self) -> None:
        """The context has other keys or another policy than before: take them over."""
        context = self._context
        self._epoch = context.epoch
        self._control = context.suite | int(context.policy) & CIPHERING
        self._minimum = int(context.minimum_policy) & CIPHERING
        for stream in (_GLOBAL, _BROADCAST):
            key, title = self._keys[stream], self._peer_title
            name = None if title is None else context.counter_id(title, broadcast=stream == _BROADCAST)
            if not (self._names[stream] == name if key is None else context.is_in_use(key)):
                self._keys[stream] = None
                outgoing, self._outgoing[stream] = self._outgoing[stream], None
                if outgoing is not None:
                    outgoing.close()
                self._incoming[stream] = self._no_counters(stream)
                self._recall(stream)

    def _no_counters(self, stream: int) -> Incoming:
        shared = stream == _GLOBAL and Tolerance.GMAC_COUNTER_SHARED in self._tolerances
        return Incoming(shared, self._context.replay_window)

    def _recall(self, stream: int) -> None:
        """Start the peer's counters under a global key above what earlier associations accepted."""
        if self._peer_title is None:
            return
        seen = self._remembered()
        name = self._names[stream] = self._context.counter_id(self._peer_title, broadcast=stream == _BROADCAST)
        if name is not None and seen is not None:
            lenient = self._role is Role.CLIENT and Tolerance.SERVER_COUNTER_RESTART in self._tolerances
            self._incoming[stream].remember(seen, name, lenient)
            if self._role is Role.SERVER:
                self._incoming[stream].share(self._context.taken, name)

    def _remembered(self) -> MutableMapping[str, int] | None:
        return self._context.last_received if self._role is Role.CLIENT else self._received

    def _key(self, stream: int) -> CipherKey:
        key = self._keys[stream]
        if key is None:
            if stream == _DEDICATED:
                raise KeyMissing("a message under the dedicated key, but this association has none")
            context = self._context
            key = context.unicast_cipher() if stream == _GLOBAL else context.broadcast_cipher()
            self._keys[stream] = key
        return key

    def own_title(self) -> bytes:
        """Our own system title; KeyMissing when none was given."""
        if self._title is None:
            raise KeyMissing("our own system title is needed for protected messages (system_title); none was given")
        return self._title

    def _start(self, stream: int) -> Outgoing:
        context = self._context
        name = context.counter_id(self.own_title(), broadcast=stream == _BROADCAST)
        assert name is not None  # _key() came first
        outgoing = Outgoing(context.counters, name)
        self._outgoing[stream] = outgoing
        return outgoing

    def originator(self, system_title: bytes | None) -> bytes:
        """The title that a message is to be opened with: the peer's; SecurityError for ours, or another than before."""
        title = system_title or self._peer_title
        if title is None:
            raise KeyMissing("the peer's system title is not known; give it (peer_system_title)")
        if title is self._peer_title:
            return title
        if len(title) != 8:
            raise SecurityError(f"a system title of {len(title)} octets instead of 8: {title.hex().upper()}")
        if title == self._title:
            raise SecurityError(f"a message with our own system title {title.hex().upper()}: it was sent back to us")
        if self._peer_title is not None and title != self._peer_title:
            raise SecurityError(
                f"a message from system title {title.hex().upper()} in an association with "
                f"{self._peer_title.hex().upper()}"
            )
        return title

    def wrong_control(self, control: int) -> SecurityError:
        """The error for a security control of another suite, or of a compressed message."""
        if control & COMPRESSED:
            return SecurityError(f"SC {control:#04x}: the message is compressed, which is not supported")
        return SecurityError(
            f"SC {control:#04x}: the message uses security suite {control & SUITE_MASK}, this association {self._suite}"
        )

    def _replay(self, control: int, title: bytes, counter: int, last: int | None, name: str) -> ReplayError:
        expected = -1 if last is None else last
        text = (
            f"invocation counter {counter} is not above {expected}, the last one accepted: a repeated message, or a "
            f"peer that starts its counter again ({describe(control, title, counter, name)})"
        )
        if self._role is Role.CLIENT:
            text += "; for a meter known to do so use the tolerance SERVER_COUNTER_RESTART"
        return ReplayError(text, received=counter, expected_above=expected)


_GLOBAL, _DEDICATED, _BROADCAST = 0, 1, 2
