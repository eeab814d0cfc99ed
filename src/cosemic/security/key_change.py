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
    former: dict[str, bytes] = field(default_factory=dict)
    """What ``switch`` replaced, to go back to: the retired keys, and the broadcast key, which is no longer accepted."""

    def __repr__(self) -> str:
        return f"<GlobalKeys {', '.join(self.present)}; others: {', '.join(self.others) or 'none'}>"

    def offer(self, new: dict[str, bytes | str]) -> None:
        """Accept new keys besides the present ones."""
        checked = self._checked(new)
        if not self.are_new:
            self.others.clear()
        self.are_new = True
        self.former.clear()
        self.others |= checked
        for name in checked.keys() - self.present.keys():
            self.present[name] = self.others.pop(name)
        self._drop_equal()

    def switch(self, new: dict[str, bytes | str]) -> None:
        """Use new keys; the present unicast keys are accepted until the new ones are proved."""
        checked = self._checked(new)
        self.former = {name: self.present[name] for name in checked if name in self.present}
        self.others = {name: key for name, key in self.former.items() if name in UNICAST}
        self.are_new = False
        self.present |= checked
        self._drop_equal()

    def keep(self) -> None:
        """End a change: offered keys are forgotten, retired ones are the present ones again."""
        if not self.are_new:
            self.present |= self.former
        self.others.clear()
        self.former.clear()

    @property
    def is_changing(self) -> bool:
        """Whether a change is under way."""
        return bool(self.others or self.former)

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
            self.former.clear()

    def settle_authentication(self) -> None:
        """One verified under the present authentication key, with a key of an association: only that is proved."""
        if not self.are_new and self.others.pop("authentication_key", None) is not None:
            del self.former["authentication_key"]
            if not self.others:
                self.former.clear()

    def has(self, key: bytes) -> bool:
        """Whether that is one of the encryption keys, in use or accepted besides."""
        keys = [held[name] for held in (self.present, self.others, self.former) for name in ENCRYPTION if name in held]
        return any(hmac.compare_digest(key, known) for known in keys)

    def _checked(self, new: dict[str, bytes | str]) -> dict[str, bytes]:
        unknown = new.keys() - {*UNICAST, *BROADCAST}
        if unknown:
            raise ValueError(f"no global key has the name {', '.join(sorted(unknown))}")
        return {name: key_octets(self.suite, key, name) for name, key in new.items()}

    def _drop_equal(self) -> None:
        self.others = {name: key for name, key in self.others.items() if self.present.get(name) != key}


@dataclass(slots=True)
class MasterKeys:
    """The master key of one context, and during a change of it the other one that is accepted as well."""

    present: bytes | None
    other: bytes | None = None
    is_new: bool = True
    """Whether the other one is offered, and not retired."""

    def __repr__(self) -> str:
        return "<MasterKeys>"

    @property
    def accepted(self) -> list[bytes]:
        """All that are accepted, the present one first."""
        return [key for key in (self.present, self.other) if key is not None]

    def offer(self, new: bytes) -> None:
        """Accept a new one besides the present one; where there is none, it is in use at once."""
        if self.present is None:
            self.present = new
        else:
            self.other, self.is_new = (None if new == self.present else new), True

    def switch(self, new: bytes) -> None:
        """Use a new one; the present one is accepted until the new one is proved."""
        if new != self.present:
            self.present, self.other, self.is_new = new, self.present, False

    def prove(self, key: bytes) -> None:
        """What came wrapped with that key was found right: an offered one is in use then, a retired one forgotten."""
        if key == self.other and self.is_new:
            self.present, self.other = key, None
        elif key == self.present and not self.is_new:
            self.other = None
