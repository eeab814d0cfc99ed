"""The keys, titles and policy that a user configures for one peer."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from cosemic.enums import Role
from cosemic.errors import KeyMissing, SecurityError
from cosemic.security.counters import CounterStore, MemoryCounters, default_counters, key_id
from cosemic.security.suites import KEY_LENGTH, SecurityPolicy, key_octets, title_octets

if TYPE_CHECKING:
    from cosemic.security.cipher import CipherKey


class SecurityContext:
    """Keys, titles and policy of one peer, as the user gives them; shared by all associations made with it.

    Keys and titles are octets or hexadecimal text. ``policy`` is what we send with, ``minimum_policy`` (by default the
    same) what we accept at least. ``dedicated_key`` asks for a fresh key per association (True) or for that one.
    ``general`` sends general-glo-/general-ded-ciphering instead of the service-specific envelopes.
    ``allow_counter_from_meter`` lets a meter's complaint about our counter set it (see ``adopt_counter``).
    A wrong length or value is a ValueError that quotes no key.
    """

    __slots__ = (
        "_authentication_key",
        "_broadcast",
        "_broadcast_key",
        "_counters",
        "_encryption_key",
        "_foreign_counters",
        "_unicast",
        "allow_counter_from_meter",
        "dedicated_key",
        "general",
        "last_received",
        "minimum_policy",
        "peer_system_title",
        "policy",
        "suite",
        "system_title",
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
        general: bool = False,
        peer_system_title: bytes | str | None = None,
        broadcast_key: bytes | str | None = None,
        allow_counter_from_meter: bool = False,
        minimum_policy: SecurityPolicy | str | int | None = None,
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
        self.allow_counter_from_meter = allow_counter_from_meter
        self._authentication_key = _key(suite, authentication_key, "authentication_key")
        self._encryption_key = _key(suite, encryption_key, "encryption_key")
        self._broadcast_key = _key(suite, broadcast_key, "broadcast_key")
        self._unicast: CipherKey | None = None
        self._broadcast: CipherKey | None = None
        self.dedicated_key: bool | bytes = (
            dedicated_key if isinstance(dedicated_key, bool) else key_octets(suite, dedicated_key, "dedicated_key")
        )
        self._counters = counters
        self._foreign_counters: MemoryCounters | None = None
        self.last_received: dict[str, int] = {}
        """The last counters accepted from peers, by counter id; what a client's associations start from."""

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
        return self._encryption_key is not None

    def new_dedicated_key(self) -> bytes:
        """The dedicated key for a new association: the configured one, else fresh random octets."""
        if isinstance(self.dedicated_key, bytes):
            return self.dedicated_key
        return secrets.token_bytes(KEY_LENGTH[self.suite])

    def unicast_cipher(self) -> CipherKey:
        """The global unicast key, ready to use; KeyMissing when there is none."""
        if self._unicast is None:
            if self._encryption_key is None:
                raise KeyMissing("the global unicast encryption key is needed (encryption_key); none was given")
            self._unicast = self._cipher(self._encryption_key, "global unicast key")
        return self._unicast

    def broadcast_cipher(self) -> CipherKey:
        """The global broadcast key, ready to use; KeyMissing when there is none."""
        if self._broadcast is None:
            if self._broadcast_key is None:
                raise KeyMissing("the global broadcast encryption key is needed (broadcast_key); none was given")
            self._broadcast = self._cipher(self._broadcast_key, "global broadcast key")
        return self._broadcast

    def dedicated_cipher(self, key: bytes) -> CipherKey:
        """A dedicated key, ready to use, with our authentication key; SecurityError when its length does not fit."""
        if len(key) != KEY_LENGTH[self.suite]:
            raise SecurityError(
                f"a dedicated key of {len(key)} octets; suite {self.suite} has {KEY_LENGTH[self.suite]}"
            )
        return self._cipher(key, "dedicated key")

    def dedicated_counters(self, key: bytes, role: Role) -> CounterStore:
        """Where the counters of a dedicated key are kept."""
        if role is Role.SERVER:
            # Servers do not choose these keys: a client that sends one twice must not make us repeat counters.
            if self._foreign_counters is None:
                self._foreign_counters = MemoryCounters(limit=4096)
            return self._foreign_counters
        # A configured key outlives the association, and so must its counters; a fresh one does not.
        return self.counters if key == self.dedicated_key else MemoryCounters()

    def counter_id(self, system_title: bytes, *, broadcast: bool = False) -> str | None:
        """The name in a counter store of what that title sends with the global key; None without the key."""
        key = self._broadcast_key if broadcast else self._encryption_key
        return None if key is None else key_id(system_title, key)

    def _cipher(self, key: bytes, name: str) -> CipherKey:
        # Here and not above: it loads the package cryptography, which only those need who use a key.
        from cosemic.security.cipher import CipherKey

        return CipherKey(key, self._authentication_key, f"{name} of suite {self.suite}")


def _key(suite: int, key: bytes | str | None, name: str) -> bytes | None:
    return None if key is None else key_octets(suite, key, name)
