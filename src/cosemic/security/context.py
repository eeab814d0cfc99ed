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
from collections.abc import Callable
from typing import TYPE_CHECKING

from cosemic.enums import Role
from cosemic.errors import (
    AuthenticationError,
    DecodeError,
    ReplayError,
    SecurityError,
)
from cosemic.security.association_keys import DEDICATED, GLOBAL, TO_ALL, AssociationKeys
from cosemic.security.checks import check_first, check_plausible, downgrade
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

if TYPE_CHECKING:
    from cosemic.security.general import GeneralProtection

__all__ = [
    "AssociationSecurity",
    "SecurityContext",
    "SecurityPolicy",
    "is_example_key",
    "policy_of",
]

logger = logging.getLogger("cosemic.security")


class AssociationSecurity(AssociationKeys):
    """Protection of one association: our next counters, the peer's last ones, the dedicated key.

    Made when the association is opened, closed when it ends. ``last_received`` is the highest counter accepted from
    this peer before; a server whose peer is not known yet gives ``received``, with those of all peers by
    ``SecurityContext.counter_id``, and they are kept up to date there. A client's context remembers by itself. Not for
    several threads at once (no counter would be repeated, though).

    When the context gets other keys or another policy, this takes them over with the next message.
    """

    __slots__ = ()

    @property
    def general(self) -> GeneralProtection:
        """General-ciphering under other keys than the global ones, and general-signing."""
        if self._general is None:
            from cosemic.security.general import GeneralProtection

            self._general = GeneralProtection(self)
        return self._general

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
        if self._epoch != self.context.epoch:
            self._refresh()
        control = self._control if policy is None else self._suite | int(policy) & CIPHERING
        stream = DEDICATED if dedicated else GLOBAL
        if broadcast:
            stream = TO_ALL
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
        context = self.context
        if self._epoch != context.epoch:
            self._refresh()
        control, counter = HEADER.unpack_from(content)
        if control & (SUITE_MASK | COMPRESSED) != self._suite:
            raise self.wrong_control(control)
        stream = DEDICATED if dedicated else GLOBAL
        if control & BROADCAST if broadcast is None else broadcast:
            if dedicated:
                raise SecurityError(
                    f"SC {control:#04x} asks for the broadcast key in a message under the dedicated key"
                )
            stream = TO_ALL
        title = self._peer_title
        if title is None or system_title is not None:
            title = self.originator(system_title)
        key = self._keys[stream] or self._key(stream)
        demanded = self._minimum if minimum is None else int(minimum) & CIPHERING
        try:
            information = key.open(control, title, counter, content, header, self._ahead[stream])
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
        if first is not None and (not information or information[0] != first):
            check_first(information, first)
        if self._peer_title is None:
            self.peer_system_title = title  # brings what earlier associations accepted from it
        incoming = self._incoming[stream]
        if not control & AUTHENTICATED:
            bar = incoming.accept_unproved(counter)
            if bar is not None:
                raise self._replay(control, title, counter, bar, key.name)
            return information
        bar = incoming.take(counter)
        if bar is not None:
            raise self._replay(control, title, counter, bar, key.name)
        if self._unheard:
            self._unheard = False
            context.hear(title)
        if context.is_changing_keys and stream != TO_ALL:
            context.settle_keys() if stream == GLOBAL else context.settle_authentication_key()
        return information

    def check_policy(self, received: SecurityPolicy | int, minimum: SecurityPolicy | None = None) -> None:
        """SecurityError when a message with this protection (NONE: a plain APDU) is less than demanded."""
        demanded = int(self.context.minimum_policy if minimum is None else minimum)
        if demanded & ~int(received):
            raise downgrade(int(received), demanded, "nothing of it was used")

    def gmac(self, challenge: bytes) -> bytes:
        """f(challenge) of HLS-GMAC: ``SC || IC || tag``, with the global key and its next counter."""
        if self._epoch != self.context.epoch:
            self._refresh()
        key = self._key(GLOBAL)
        title = self._title or self.own_title()
        control = self._suite | AUTHENTICATED
        associated = key.associated(control)
        outgoing = self._outgoing[GLOBAL] or self._start(GLOBAL)
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
        if self._epoch != self.context.epoch:
            self._refresh()
        key = self._key(GLOBAL)
        title = self.originator(None)
        content = reply[:HEADER_LENGTH] + challenge + reply[HEADER_LENGTH:]
        try:
            key.open(control, title, counter, content)
        except AuthenticationError:
            if self._open_by_other(GLOBAL, control, title, counter, content, 0) is None:
                raise
            return
        incoming = self._incoming[GLOBAL]
        if not incoming.allows_inner(counter):
            raise self._replay(control, title, counter, incoming.before_current, key.name)
        incoming.accept_inner(counter)
        if self.context.is_changing_keys:
            self.context.settle_keys()

    def adopt_counter(self, value: int) -> bool:
        """Go on above ``value``, the counter that the meter says it saw last; False when we are above it already.

        SecurityError unless the context allows it: the meter's complaint is not authenticated, so anybody could use up
        the counters of a key with it.
        """
        if not self.context.allow_counter_from_meter:
            raise SecurityError(
                f"the meter says that its last invocation counter from us is {value}; allow it to set ours "
                "(counter_recovery='from-answer', or allow_counter_from_meter=True) or set it in the counter store"
            )
        check_recovered(value)
        outgoing = self._outgoing[GLOBAL] or self._start(GLOBAL)
        moved = outgoing.advance(value + 1)
        if moved:
            logger.warning("the meter refused our invocation counter; going on at %d as it asks", value + 1)
        return moved

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
        context = self.context
        broadcast = stream == TO_ALL
        if not context.is_changing_keys:
            return None
        present = self._keys[stream]
        if stream != DEDICATED:
            key = context.other_cipher(broadcast=broadcast)
        else:
            key = None if present is None else context.other_dedicated(present)
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
        if stream == DEDICATED:  # the cipher key and its counters are the same
            bar = self._incoming[DEDICATED].take(counter)
            if bar is not None:
                raise self._replay(control, title, counter, bar, key.name)
            context.prove_other_authentication()
            context.hear(title)
            logger.info("a message verified under the %s and the other authentication key", key.name)
            return information
        name = context.counter_id(title, broadcast=broadcast, other=True) or ""
        # Should the key have been in use before, its counters go on where they were.
        incoming = self._no_counters(stream)
        seen = self._remembered()
        if seen is not None:
            incoming.remember(seen, name, lenient=False)
            if self._role is Role.SERVER:
                incoming.share(context.taken, name)
        bar = incoming.take(counter)
        if bar is not None:
            raise self._replay(control, title, counter, bar, key.name)
        epoch = context.epoch
        context.prove_other(broadcast=broadcast)
        context.hear(title)
        logger.info("a message verified under the %s", key.name)
        if epoch != context.epoch:
            self._refresh()
            self._incoming[stream] = incoming
        return information

    def _recall_fresh(self, title: bytes) -> None:
        if self.context.has_kek or self.context.agreement_key is not None:
            self.general.recall(title)

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
