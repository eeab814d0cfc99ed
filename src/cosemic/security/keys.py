"""The keys, titles and policy that a user configures for one peer."""

from __future__ import annotations

import enum
import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from cosemic.enums import Role
from cosemic.errors import KeyMissing, SecurityError
from cosemic.security.counters import CounterStore, MemoryCounters, default_counters, key_id
from cosemic.security.key_change import BROADCAST, UNICAST, GlobalKeys, MasterKeys
from cosemic.security.replay import ReplayMemory
from cosemic.security.replay_window import LARGEST_WINDOW
from cosemic.security.suites import (
    KEY_LENGTH,
    LAST_COUNTER,
    EphemeralSignature,
    GeneralAad,
    GeneralKey,
    SecurityPolicy,
    SigningInput,
    SigningOrder,
    key_octets,
    title_octets,
)
from cosemic.security.taken import TakenCounters

if TYPE_CHECKING:
    from cosemic.security.cipher import CipherKey
    from cosemic.security.ec import PrivateKey

logger = logging.getLogger("cosemic.security")

Trust: TypeAlias = Callable[[bytes, bytes], bytes]
"""Judges a peer's certificate: (certificate in DER, its system title) -> public signing key; SecurityError if not."""


class CounterRecovery(enum.Enum):
    """What may move our invocation counter on, when the meter has seen a higher one than we remember."""

    NEVER = "never"
    FROM_ANSWER = "from-answer"
    """The exception-response invocation-counter-error; it is not authenticated."""
    FROM_PUBLIC_CLIENT = "from-public-client"
    """The invocation counter object, read without protection before each association."""

    @classmethod
    def parse(cls, policy: CounterRecovery | str) -> CounterRecovery:
        """The policy of that name; ValueError names them all."""
        try:
            return cls(policy)
        except ValueError:
            names = ", ".join(one.value for one in cls)
            raise ValueError(f"unknown counter_recovery {policy!r}; one of {names}") from None


class SecurityContext:
    """Keys, titles and policy of one peer, as the user gives them; shared by all associations made with it.

    Keys and titles are octets or hexadecimal text. ``policy`` is what we send with, ``minimum_policy`` (by default the
    same) what we accept at least. ``dedicated_key`` asks for a fresh key per association (True, which is better) or for
    that one, which makes its associations one for whoever recorded them.
    ``general`` sends general-glo-/general-ded-ciphering instead of the service-specific envelopes, or with a
    ``GeneralKey`` general-ciphering under that key.
    ``counter_recovery`` says whether the meter may move our counter on when it has seen a higher one: "never", as it
    asks in an answer ("from-answer"; ``allow_counter_from_meter`` is the older name of it), or as it shows to the
    public client before each association ("from-public-client"). ``replay_window`` is how far messages of the peer may
    fall behind its highest counter: 0 (the default) lets none, 64 is usual where they can overtake each other.
    A wrong length or value is a ValueError that quotes no key.

    Suites 1 and 2: ``signing_key`` and ``agreement_key`` are private keys of ours (``SoftwareKey``, or an object of
    yours with its members), ``peer_signing_key`` and ``peer_agreement_key`` the peer's public keys (``X || Y``,
    hexadecimal, PEM). ``certificate`` (DER) goes out in the AARQ or AARE; ``trust`` judges the peer's, where no
    ``peer_signing_key`` is given. ``kek`` is the master key. ``signing_order``, ``general_aad``, ``signing_input`` and
    ``ephemeral_signature`` choose between readings of the standard; each holds for both directions. ``date_time`` gives
    the twelve octets to stamp general-ciphering and general-signing with, ``other_information`` goes along too.
    """

    __slots__ = (
        "_broadcast",
        "_counters",
        "_fixed_dedicated_keys",
        "_foreign_counters",
        "_keys",
        "_masters",
        "_other_broadcast",
        "_other_unicast",
        "_unicast",
        "agreement_key",
        "allow_counter_from_meter",
        "certificate",
        "counter_recovery",
        "date_time",
        "dedicated_key",
        "ephemeral_signature",
        "epoch",
        "general",
        "general_aad",
        "has_replaced_key",
        "heard",
        "is_changing_keys",
        "is_strengthened",
        "last_received",
        "minimum_policy",
        "other_information",
        "peer_agreement_key",
        "peer_signing_key",
        "peer_system_title",
        "policy",
        "replay_window",
        "replays",
        "signing_input",
        "signing_key",
        "signing_order",
        "suite",
        "system_title",
        "taken",
        "trust",
    )

    def __init__(
        self,
        suite: int = 0,
        system_title: bytes | str | None = None,
        encryption_key: bytes | str | None = None,
        authentication_key: bytes | str | None = None,
        policy: SecurityPolicy | str | int = SecurityPolicy.AUTHENTICATED_ENCRYPTED,
        counters: CounterStore | None = None,
        *,
        dedicated_key: bool | bytes | str = False,
        general: bool | GeneralKey = False,
        peer_system_title: bytes | str | None = None,
        broadcast_key: bytes | str | None = None,
        allow_counter_from_meter: bool = False,
        counter_recovery: CounterRecovery | str = CounterRecovery.NEVER,
        replay_window: int = 0,
        minimum_policy: SecurityPolicy | str | int | None = None,
        signing_key: PrivateKey | None = None,
        peer_signing_key: bytes | str | None = None,
        agreement_key: PrivateKey | None = None,
        peer_agreement_key: bytes | str | None = None,
        kek: bytes | str | None = None,
        certificate: bytes | None = None,
        trust: Trust | None = None,
        signing_order: SigningOrder = SigningOrder.SIGN_FIRST,
        general_aad: GeneralAad = GeneralAad.WITH_HEADER,
        signing_input: SigningInput = SigningInput.CONTENT_WITH_LENGTH,
        ephemeral_signature: EphemeralSignature = EphemeralSignature.POINT,
        date_time: Callable[[], bytes] | None = None,
        other_information: bytes = b"",
    ) -> None:
        if suite not in KEY_LENGTH:
            raise ValueError(f"unknown security suite {suite}; one of 0, 1, 2")
        self.suite = suite
        self.policy = SecurityPolicy.parse(policy)
        self.minimum_policy = self.policy if minimum_policy is None else SecurityPolicy.parse(minimum_policy)
        self.system_title = None if system_title is None else title_octets(system_title)
        self.peer_system_title = (
            None if peer_system_title is None else title_octets(peer_system_title, "peer_system_title")
        )
        self.general = general
        self.counter_recovery = CounterRecovery.parse(counter_recovery)
        if allow_counter_from_meter and self.counter_recovery is CounterRecovery.NEVER:
            self.counter_recovery = CounterRecovery.FROM_ANSWER
        self.allow_counter_from_meter = allow_counter_from_meter or self.counter_recovery is CounterRecovery.FROM_ANSWER
        if not 0 <= replay_window <= LARGEST_WINDOW:
            raise ValueError(f"replay_window is a number of counters from 0 to {LARGEST_WINDOW}, not {replay_window}")
        self.replay_window = replay_window
        given = {
            "encryption_key": encryption_key,
            "authentication_key": authentication_key,
            "broadcast_key": broadcast_key,
        }
        self._keys = GlobalKeys(
            suite, {name: key_octets(suite, key, name) for name, key in given.items() if key is not None}
        )
        self._unicast: CipherKey | None = None
        self._broadcast: CipherKey | None = None
        self._other_unicast: CipherKey | None = None
        self._other_broadcast: CipherKey | None = None
        self.epoch = 0
        """Raised with every change of a key in use or of the policy: associations look again then."""
        self.has_replaced_key = False
        """Whether the global unicast encryption key was ever replaced by another."""
        self.is_changing_keys = False
        """Whether other keys than the ones in use are accepted too."""
        self.is_strengthened = False
        """Whether a policy was activated that demands protection: messages without any are refused everywhere then."""
        self.heard: dict[bytes, None] = {}
        """System titles of the peers that proved a message to us."""
        self.dedicated_key: bool | bytes = (
            dedicated_key if isinstance(dedicated_key, bool) else key_octets(suite, dedicated_key, "dedicated_key")
        )
        self._fixed_dedicated_keys = 0  # associations that got it
        self._counters = counters
        self._foreign_counters: MemoryCounters | None = None
        self.last_received: dict[str, int] = {}
        """The last counters accepted from peers, by counter id; what a client's associations start from."""
        self.taken: dict[str, TakenCounters] = {}
        """The counters that the associations of a meter accepted, by counter id: one message is for one of them."""
        self.replays = ReplayMemory()
        """What was accepted under keys that a message brings with it, and of signed messages without a counter."""
        self.signing_key = _private(suite, signing_key, "signing_key")
        self.agreement_key = _private(suite, agreement_key, "agreement_key")
        self.peer_signing_key = _public(suite, peer_signing_key, "peer_signing_key")
        self.peer_agreement_key = _public(suite, peer_agreement_key, "peer_agreement_key")
        self._masters = MasterKeys(_kek(suite, kek))
        self.certificate = certificate
        self.trust = trust
        self.signing_order = signing_order
        self.general_aad = general_aad
        self.signing_input = signing_input
        self.ephemeral_signature = ephemeral_signature
        self.date_time = date_time
        self.other_information = other_information
        if self.policy & SecurityPolicy.SIGNED and self.signing_key is None:
            raise ValueError(f"the policy {self.policy.label!r} needs a signing_key")
        if (self.policy | self.minimum_policy) & SecurityPolicy.SIGNED and not self.has_keys:
            raise ValueError("signed messages need an encryption_key too: the association is opened under it")

    def __repr__(self) -> str:
        title = self.system_title.hex().upper() if self.system_title else None
        return f"SecurityContext(suite={self.suite}, system_title={title}, policy={self.policy.label!r})"

    @property
    def counters(self) -> CounterStore:
        """The store of outgoing invocation counters; the one in the user's state folder unless another was given."""
        if self._counters is None:
            self._counters = default_counters()
        return self._counters

    @property
    def has_keys(self) -> bool:
        """Whether a global encryption key was given."""
        return "encryption_key" in self._keys.present

    @property
    def has_broadcast_key(self) -> bool:
        """Whether a global broadcast key was given."""
        return "broadcast_key" in self._keys.present

    @property
    def kek(self) -> bytes:
        """The master key; KeyMissing when there is none."""
        if self._masters.present is None:
            raise KeyMissing("the master key is needed (kek); none was given")
        return self._masters.present

    @property
    def keks(self) -> list[bytes]:
        """All master keys that are accepted, the one in use first; KeyMissing when there is none."""
        return self._masters.accepted or [self.kek]

    @property
    def has_kek(self) -> bool:
        """Whether a master key was given."""
        return self._masters.present is not None

    def replace_kek(self, kek: bytes | str) -> None:
        """Use another master key, and accept no other; ValueError for one that cannot be one."""
        self._masters = MasterKeys(_kek(self.suite, kek))

    def offer_kek(self, kek: bytes | str) -> None:
        """Accept a new master key besides the present one; the first thing wrapped with it makes it the one in use."""
        self._masters.offer(_checked_kek(self.suite, kek))

    def switch_kek(self, kek: bytes | str) -> None:
        """Wrap with a new master key; the present one is accepted until the peer wraps with the new one."""
        self._masters.switch(_checked_kek(self.suite, kek))

    def prove_kek(self, kek: bytes) -> None:
        """What came wrapped with that master key was found right."""
        self._masters.prove(kek)

    def new_dedicated_key(self) -> bytes:
        """The dedicated key for a new association: the configured one, else fresh random octets.

        A configured one protects less: under the same key an answer of an earlier association can be played back in a
        later one, and a meter that counts from 1 in each uses initialisation vectors twice.
        """
        if isinstance(self.dedicated_key, bytes):
            return self.dedicated_key
        return secrets.token_bytes(KEY_LENGTH[self.suite])

    def count_dedicated_key(self) -> None:
        """An association has the configured dedicated key; from the second on the log warns of it, once."""
        self._fixed_dedicated_keys += 1
        if self._fixed_dedicated_keys == 2:
            logger.warning(
                "the configured dedicated_key is used for another association: messages of an earlier one pass in it; "
                "use dedicated_key=True, which makes a fresh key for each"
            )

    def unicast_cipher(self) -> CipherKey:
        """The global unicast key, ready to use; KeyMissing when there is none."""
        if self._unicast is None:
            key = self._keys.present.get("encryption_key")
            if key is None:
                raise KeyMissing("the global unicast encryption key is needed (encryption_key); none was given")
            self._unicast = self._cipher(key, "global unicast key")
        return self._unicast

    def broadcast_cipher(self) -> CipherKey:
        """The global broadcast key, ready to use; KeyMissing when there is none."""
        if self._broadcast is None:
            key = self._keys.present.get("broadcast_key")
            if key is None:
                raise KeyMissing("the global broadcast encryption key is needed (broadcast_key); none was given")
            self._broadcast = self._cipher(key, "global broadcast key")
        return self._broadcast

    def dedicated_cipher(self, key: bytes) -> CipherKey:
        """A dedicated key, ready to use, with our authentication key.

        SecurityError when its length does not fit, and for a global key.
        """
        if len(key) != KEY_LENGTH[self.suite]:
            raise SecurityError(
                f"a dedicated key of {len(key)} octets; suite {self.suite} has {KEY_LENGTH[self.suite]}"
            )
        if self._keys.has(key):
            # It would have counters of its own: vectors would come twice, and global messages pass for dedicated ones.
            raise SecurityError("a dedicated key that is a global key already; it has to be one of its own")
        return self._cipher(key, "dedicated key")

    def fresh_cipher(self, key: bytes, name: str) -> CipherKey:
        """A key that came with one message, ready to use, with our authentication key."""
        return self._cipher(key, name)

    def other_fresh_cipher(self, key: bytes, name: str) -> CipherKey | None:
        """The same with the authentication key that is accepted besides during a change; None where there is none."""
        other = self._keys.others.get("authentication_key")
        if other is None:
            return None
        from cosemic.security.cipher import CipherKey

        return CipherKey(key, other, f"{name} of suite {self.suite}")

    def renewed(self, cipher: CipherKey) -> CipherKey:
        """A dedicated key with the authentication key that is in use now."""
        return cipher.with_authentication_key(self._keys.present.get("authentication_key"))

    def other_dedicated(self, cipher: CipherKey) -> CipherKey | None:
        """A dedicated key with the authentication key that is accepted besides; None where there is none."""
        other = self._keys.others.get("authentication_key")
        return None if other is None else cipher.with_authentication_key(other)

    def dedicated_counters(self, key: bytes, role: Role) -> CounterStore:
        """Where the counters of a dedicated key are kept."""
        if role is Role.SERVER:
            # Servers do not choose these keys: a client that sends one twice must not make us repeat counters.
            if self._foreign_counters is None:
                self._foreign_counters = MemoryCounters(limit=4096)
            return self._foreign_counters
        # A configured key outlives the association, and so must its counters; a fresh one does not.
        return self.counters if key == self.dedicated_key else MemoryCounters()

    def counter_id(self, system_title: bytes, *, broadcast: bool = False, other: bool = False) -> str | None:
        """The name in a counter store of what that title sends with the global key; None without the key.

        ``other`` asks for the key that is accepted besides during a change.
        """
        name = "broadcast_key" if broadcast else "encryption_key"
        key = self._keys.others.get(name) if other else None
        if key is None:
            key = self._keys.present.get(name)
        return None if key is None else key_id(system_title, key)

    # A change of keys or of the policy (see ``cosemic.security.key_change``)

    def offer_keys(self, **new: bytes | str) -> None:
        """Accept new keys (``encryption_key``, ``authentication_key``, ``broadcast_key``) besides the present ones.

        The first message whose tag verifies under them makes them the ones in use; a key that there was none of is in
        use at once. ValueError for a wrong length or name; nothing has changed then.
        """
        before = dict(self._keys.present)
        self._keys.offer(new)
        self._changed(before)

    def switch_keys(self, **new: bytes | str) -> None:
        """Send with new keys from now on; the present ones are accepted until a message verifies under the new."""
        before = dict(self._keys.present)
        self._keys.switch(new)
        self._changed(before)

    def keep_keys(self) -> None:
        """End a change without its success: forget offered keys, or go back to those that ``switch_keys`` retired."""
        before = dict(self._keys.present)
        self._keys.keep()
        self._changed(before)

    def strengthen(self, *, minimum: SecurityPolicy | int, policy: SecurityPolicy | int) -> None:
        """Demand and use more protection, for all associations from their next message on; nothing is ever taken away.

        ``minimum`` is demanded of messages received besides what is demanded now, ``policy`` is used for those sent.
        """
        self.minimum_policy = SecurityPolicy.parse(int(self.minimum_policy) | int(minimum))
        self.policy = SecurityPolicy.parse(int(self.policy) | int(policy))
        self.is_strengthened = self.is_strengthened or bool(self.minimum_policy)
        self.epoch += 1

    def other_cipher(self, *, broadcast: bool = False) -> CipherKey | None:
        """The key that is accepted besides the one in use during a change; None where there is none."""
        others, present = self._keys.others, self._keys.present
        name = "broadcast_key" if broadcast else "encryption_key"
        if name not in others and "authentication_key" not in others:
            return None
        cipher = self._other_broadcast if broadcast else self._other_unicast
        if cipher is None:
            key = others.get(name) or present.get(name)
            if key is None:
                return None
            authentication_key = others.get("authentication_key") or present.get("authentication_key")
            which = "offered" if self._keys.are_new else "retired"
            from cosemic.security.cipher import CipherKey

            cipher = CipherKey(key, authentication_key, f"{which} {name.replace('_', ' ')} of suite {self.suite}")
            if broadcast:
                self._other_broadcast = cipher
            else:
                self._other_unicast = cipher
        return cipher

    def prove_other(self, *, broadcast: bool = False) -> None:
        """A message verified under ``other_cipher``; offered keys become the ones in use."""
        before = dict(self._keys.present)
        self._keys.prove(BROADCAST if broadcast else UNICAST)
        self._changed(before)

    def prove_other_authentication(self) -> None:
        """A message verified under ``other_fresh_cipher``, which says nothing of the encryption key."""
        before = dict(self._keys.present)
        self._keys.prove(("authentication_key",))
        self._changed(before)

    def is_in_use(self, cipher: CipherKey) -> bool:
        """Whether that is still the global unicast or broadcast key."""
        return cipher is self._unicast or cipher is self._broadcast

    def settle_keys(self) -> None:
        """A message verified under the global unicast key in use; retired keys are forgotten."""
        self._keys.settle()
        self.is_changing_keys = self._keys.is_changing

    def settle_authentication_key(self) -> None:
        """A message verified under the authentication key in use and a dedicated key; the retired one is forgotten."""
        self._keys.settle_authentication()
        self._changed(self._keys.present)

    def hear(self, system_title: bytes) -> None:
        """Remember a peer that proved a message; the latest ``MOST_HEARD`` are kept."""
        self.heard.pop(system_title, None)
        self.heard[system_title] = None
        if len(self.heard) > MOST_HEARD:
            del self.heard[next(iter(self.heard))]

    def _changed(self, before: dict[str, bytes]) -> None:
        """Others than before are accepted, and maybe other keys are in use."""
        self._other_unicast = self._other_broadcast = None
        self.is_changing_keys = self._keys.is_changing
        present = self._keys.present
        changed = {name for name, key in present.items() if before.get(name) != key}
        if changed.intersection(UNICAST):
            self._unicast = None
        if "broadcast_key" in changed or "authentication_key" in changed:
            self._broadcast = None
        if changed:
            self.epoch += 1
            self.has_replaced_key |= "encryption_key" in changed and "encryption_key" in before

    def go_on_above(self, counter: int) -> bool:
        """Let the next counter under the global key be above one that the meter has seen; False when it is already.

        KeyMissing without key or system title, SecurityError for a counter that would use up the key.
        """
        check_recovered(counter)
        if self.system_title is None:
            raise KeyMissing("our own system title is needed to know the counter (system_title); none was given")
        name = self.counter_id(self.system_title)
        if name is None:
            raise KeyMissing("the global unicast encryption key is needed (encryption_key); none was given")
        following = self.counters.peek(name)
        if following is not None and following > counter:
            return False
        self.counters.advance(name, counter + 1)
        logger.warning("our invocation counter was behind the meter's; going on at %d", counter + 1)
        return True

    def _cipher(self, key: bytes, name: str) -> CipherKey:
        # Here and not above: it loads the package cryptography, which only those need who use a key.
        from cosemic.security.cipher import CipherKey

        return CipherKey(key, self._keys.present.get("authentication_key"), f"{name} of suite {self.suite}")


def _private(suite: int, key: PrivateKey | None, name: str) -> PrivateKey | None:
    if key is not None and key.suite != suite:
        raise ValueError(f"the {name} is one of security suite {key.suite}, the context of suite {suite}")
    return key


def _public(suite: int, key: bytes | str | None, name: str) -> bytes | None:
    if key is None:
        return None
    from cosemic.security.ec import public_octets

    return public_octets(suite, key, name)


def _kek(suite: int, key: bytes | str | None) -> bytes | None:
    return None if key is None else _checked_kek(suite, key)


def _checked_kek(suite: int, key: bytes | str) -> bytes:
    octets = key_octets(suite, key, "kek")
    if not any(octets):
        raise ValueError("the kek is all zero; it protects nothing")
    return octets


MOST_HEARD = 1024


def check_recovered(counter: int) -> None:
    """SecurityError for a counter of the meter that ours must not follow: too much of the key would be used up."""
    if not 0 <= counter < LAST_COUNTER - _RESERVE:
        raise SecurityError(
            f"the meter asks for an invocation counter above {counter}, which would use up the key; if that is true, "
            "the meter needs new keys"
        )


_RESERVE = 1 << 16  # counters that must be left over when the meter moves ours
