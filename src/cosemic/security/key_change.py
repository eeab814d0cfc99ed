"""A change of global keys that no lost message can turn into a lock-out.

While a change is under way two sets of keys are accepted. A meter that was given new keys goes on with the present ones
and *offers* the new ones: the first message whose tag verifies under them makes them the present ones, and the old ones
are forgotten. A client that was told that the meter took its keys sends with them at once, and keeps the old ones as
*retired* until a message of the meter verifies under the new ones.

Messages without a tag prove nothing, so they change nothing. Each key has counters of its own; those of a key that is
given up are kept, so that neither side repeats or accepts one twice should that key ever return.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from cosemic.security.suites import key_octets

UNICAST = ("encryption_key", "authentication_key")
ENCRYPTION = ("encryption_key", "broadcast_key")
BROADCAST = ("broadcast_key",)
"""The keys that a message under the global unicast or broadcast key proves. The authentication key is proved by the
former only, for it protects the broadcasts to all meters as well."""


@dataclass(slots=True)
class GlobalKeys:
    """The global keys of one context: those in use, and during a change the others that are accepted as well."""

    suite: int
    present: dict[str, bytes]
    others: dict[str, bytes] = field(default_factory=dict)
    """Offered or retired keys, by name; where there is none the present key goes with them."""
    are_new: bool = True
    """Whether the others are offered, and not retired."""

    def __repr__(self) -> str:
        return f"<GlobalKeys {', '.join(self.present)}; others: {', '.join(self.others) or 'none'}>"

    def offer(self, new: dict[str, bytes | str]) -> None:
        """Accept new keys besides the present ones."""
        checked = self._checked(new)
        if not self.are_new:
            self.others.clear()
        self.are_new = True
        self.others |= checked
        for name in checked.keys() - self.present.keys():
            self.present[name] = self.others.pop(name)
        self._drop_equal()

    def switch(self, new: dict[str, bytes | str]) -> None:
        """Use new keys; the present unicast keys are accepted until the new ones are proved."""
        checked = self._checked(new)
        self.others = {name: self.present[name] for name in checked if name in self.present and name in UNICAST}
        self.are_new = False
        self.present |= checked
        self._drop_equal()

    def keep(self) -> None:
        """End a change: offered keys are forgotten, retired ones are the present ones again."""
        if not self.are_new:
            self.present |= self.others
        self.others.clear()

    def prove(self, names: tuple[str, ...]) -> None:
        """A message verified under these keys of the others: offered ones become the present ones."""
        if self.are_new:
            for name in names:
                if name in self.others:
                    self.present[name] = self.others.pop(name)

    def settle(self) -> None:
        """A message verified under the present unicast keys: retired ones are forgotten."""
        if not self.are_new:
            self.others.clear()

    def has(self, key: bytes) -> bool:
        """Whether that is one of the encryption keys, in use or accepted besides."""
        keys = [held[name] for held in (self.present, self.others) for name in ENCRYPTION if name in held]
        return any(hmac.compare_digest(key, known) for known in keys)

    def _checked(self, new: dict[str, bytes | str]) -> dict[str, bytes]:
        unknown = new.keys() - {*UNICAST, *BROADCAST}
        if unknown:
            raise ValueError(f"no global key has the name {', '.join(sorted(unknown))}")
        return {name: key_octets(self.suite, key, name) for name, key in new.items()}

    def _drop_equal(self) -> None:
        self.others = {name: key for name, key in self.others.items() if self.present.get(name) != key}
