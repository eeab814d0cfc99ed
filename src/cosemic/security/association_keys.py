"""The keys of one association and their counters: which there are, and what they are after a change of keys."""

from __future__ import annotations

from collections.abc import MutableMapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Literal

from cosemic.enums import Role
from cosemic.errors import KeyMissing, SecurityError
from cosemic.security._streams import Incoming, Outgoing
from cosemic.security.counters import key_id
from cosemic.security.keys import SecurityContext
from cosemic.security.suites import CIPHERING
from cosemic.tolerances import DEFAULT, Tolerance

if TYPE_CHECKING:
    from cosemic.security.cipher import CipherKey, DecryptorsAhead
    from cosemic.security.general import GeneralProtection

GLOBAL, DEDICATED, TO_ALL = 0, 1, 2
"""Three streams of messages: each has its own key and counters."""


class AssociationKeys:
    """The part of ``AssociationSecurity`` that does not seal or open anything."""

    __slots__ = (
        "_ahead",
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
        "context",
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
        self.context = context
        """The configuration behind this association; not to be set."""
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
        # Only for a client: a meter has more associations than those that are busy.
        self._ahead: list[DecryptorsAhead | None] = [None, None, None]
        self._names: list[str | None] = [None, None, None]  # of the peer's counters
        self._incoming = [self._no_counters(stream) for stream in (GLOBAL, DEDICATED, TO_ALL)]
        self._incoming[GLOBAL].last = last_received
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
        return f"<AssociationSecurity {self._role.value}, peer {peer}, {self.context!r}>"

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
        self._recall(GLOBAL)
        self._recall(TO_ALL)
        self._recall_fresh(self._peer_title)

    @property
    def tolerances(self) -> AbstractSet[Tolerance]:
        """What is tolerated in this association."""
        return self._tolerances

    @property
    def role(self) -> Role:
        """Which side we are."""
        return self._role

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
        trust = self.context.trust
        if trust is None or not self._suite or self.context.peer_signing_key is not None:
            return
        if self._peer_title is None:
            raise SecurityError("a certificate came without a system title that it could be checked against")
        from cosemic.security.ec import check_public

        self._peer_signing_key = check_public(self._suite, trust(certificate, self._peer_title))

    @property
    def last_received(self) -> int | None:
        """The highest counter under the global key that a tag proved; None when there was none yet."""
        return self._incoming[GLOBAL].last

    @property
    def has_dedicated_key(self) -> bool:
        """Whether a dedicated key was set."""
        return self._keys[DEDICATED] is not None

    def set_dedicated_key(self, key: bytes) -> None:
        """Use this dedicated key from now on; SecurityError when its length does not fit the suite."""
        title = self.own_title()
        is_first = self._keys[DEDICATED] is None
        self._keys[DEDICATED] = self.context.dedicated_cipher(key)
        self._look_ahead(DEDICATED)
        if is_first and self._role is Role.CLIENT and key == self.context.dedicated_key:
            self.context.count_dedicated_key()
        previous = self._outgoing[DEDICATED]
        if previous is not None:
            previous.close()
        self._incoming[DEDICATED] = Incoming(window=self.context.replay_window)
        self._outgoing[DEDICATED] = Outgoing(self.context.dedicated_counters(key, self._role), key_id(title, key))

    def close(self) -> None:
        """End of the association: give unused counters back, forget the dedicated key. May be called twice."""
        for stream, outgoing in enumerate(self._outgoing):
            if outgoing is not None:
                self._outgoing[stream] = None
                outgoing.close()
        if self._general is not None:
            self._general.close()
            self._general = None
        self._keys[DEDICATED] = None
        self._incoming[DEDICATED] = Incoming(window=self.context.replay_window)

    def _refresh(self) -> None:
        """The context has other keys or another policy than before: take them over."""
        context = self.context
        self._epoch = context.epoch
        self._control = context.suite | int(context.policy) & CIPHERING
        self._minimum = int(context.minimum_policy) & CIPHERING
        dedicated = self._keys[DEDICATED]
        if dedicated is not None:
            # The authentication key is one for all of them. The counters go on: the cipher key is the same.
            self._keys[DEDICATED] = context.renewed(dedicated)
        for stream in (GLOBAL, TO_ALL):
            key, title = self._keys[stream], self._peer_title
            name = None if title is None else context.counter_id(title, broadcast=stream == TO_ALL)
            if not (self._names[stream] == name if key is None else context.is_in_use(key)):
                self._keys[stream] = None
                outgoing, self._outgoing[stream] = self._outgoing[stream], None
                if outgoing is not None:
                    outgoing.close()
                self._incoming[stream] = self._no_counters(stream)
                self._recall(stream)

    def _no_counters(self, stream: int) -> Incoming:
        shared = stream == GLOBAL and Tolerance.GMAC_COUNTER_SHARED in self._tolerances
        return Incoming(shared, self.context.replay_window)

    def _recall(self, stream: int) -> None:
        """Start the peer's counters under a global key above what earlier associations accepted."""
        if self._peer_title is None:
            return
        seen = self._remembered()
        name = self._names[stream] = self.context.counter_id(self._peer_title, broadcast=stream == TO_ALL)
        if name is not None and seen is not None:
            lenient = self._role is Role.CLIENT and Tolerance.SERVER_COUNTER_RESTART in self._tolerances
            self._incoming[stream].remember(seen, name, lenient)
            if self._role is Role.SERVER:
                self._incoming[stream].share(self.context.taken, name)

    def _recall_fresh(self, title: bytes) -> None:
        """The same for keys that come with their messages."""

    def _remembered(self) -> MutableMapping[str, int] | None:
        return self.context.last_received if self._role is Role.CLIENT else self._received

    def _key(self, stream: int) -> CipherKey:
        key = self._keys[stream]
        if key is None:
            if stream == DEDICATED:
                raise KeyMissing("a message under the dedicated key, but this association has none")
            context = self.context
            key = context.unicast_cipher() if stream == GLOBAL else context.broadcast_cipher()
            self._keys[stream] = key
            self._look_ahead(stream)
        return key

    def _look_ahead(self, stream: int) -> None:
        """Here and not above: it loads the package cryptography."""
        if self._role is Role.CLIENT and self._ahead[stream] is None:
            from cosemic.security.cipher import DecryptorsAhead

            self._ahead[stream] = DecryptorsAhead()

    def own_title(self) -> bytes:
        """Our own system title; KeyMissing when none was given."""
        if self._title is None:
            raise KeyMissing("our own system title is needed for protected messages (system_title); none was given")
        return self._title

    def _start(self, stream: int) -> Outgoing:
        context = self.context
        name = context.counter_id(self.own_title(), broadcast=stream == TO_ALL)
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
