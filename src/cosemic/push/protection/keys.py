"""The keys that open the pushes of a meter, and the table that finds them by system title."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from cosemic.push.messages import Diagnosis
from cosemic.push.protection.example_keys import example_key
from cosemic.push.protection.general_keys import NO_GENERAL_KEYS, GeneralKeys
from cosemic.security.suites import SYSTEM_TITLE_LENGTH

if TYPE_CHECKING:
    from cosemic.security.cipher import CipherKey


class UnusableKey(ValueError):
    """A key, or a system title, that cannot be one; the text never quotes it. ``diagnosis`` is for programs."""

    def __init__(self, text: str, diagnosis: Diagnosis = Diagnosis.KEY_LENGTH) -> None:
        super().__init__(text)
        self.diagnosis = diagnosis


class MeterKeys:
    """What is known of one meter (or of all of an operator that share their keys), and how strict to be with it.

    Keys are 16 octets, or 32 in suite 2, as octets or as hexadecimal text; blanks, colons, commas and ``0x`` in the
    text do not matter. ``authentication_key`` belongs to messages with a tag (SC 30, 31, 32, 10); where it is given,
    messages without a tag are refused. ``broadcast_key`` opens those whose security control has the key-set bit.
    ``dedicated_key`` lives in an association, so few have one. ``general`` is for general-ciphering under keys that
    come with the message, and for signatures.

    ``check_replay`` demands that invocation counters rise; without it a recorded message can be played back.
    ``without_verifying`` decrypts although the authentication key is missing, the tag does not hold, or there is none:
    such messages only have to look like a push, and are marked ``is_verified=False``. ``allow_example_keys`` takes keys
    that are printed in documents. UnusableKey (a ValueError) where something is no key.

    An object of this is a ``PushKeys`` too: the keys of whatever title.
    """

    __slots__ = (
        "_broadcast",
        "_ciphers",
        "_dedicated",
        "_encryption",
        "allow_example_keys",
        "authentication_key",
        "check_replay",
        "example",
        "general",
        "without_verifying",
    )

    def __init__(
        self,
        encryption_key: bytes | str | None,
        authentication_key: bytes | str | None = None,
        *,
        broadcast_key: bytes | str | None = None,
        dedicated_key: bytes | str | None = None,
        general: GeneralKeys = NO_GENERAL_KEYS,
        check_replay: bool = True,
        without_verifying: bool = False,
        allow_example_keys: bool = False,
    ) -> None:
        self._encryption = _key(encryption_key, "encryption key")
        self.authentication_key = _key(authentication_key, "authentication key")
        self._broadcast = _key(broadcast_key, "broadcast key")
        self._dedicated = _key(dedicated_key, "dedicated key")
        self.general = general
        self.check_replay = check_replay
        self.without_verifying = without_verifying
        self.allow_example_keys = allow_example_keys
        self._ciphers: dict[str, CipherKey] = {}
        lengths = {
            name: len(key)
            for name, key in (
                ("encryption key", self._encryption),
                ("authentication key", self.authentication_key),
                ("broadcast key", self._broadcast),
            )
            if key is not None
        }
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"the {name} has {length} octets" for name, length in lengths.items())
            raise UnusableKey(f"the keys of one meter have one length, 16 octets, or 32 in suite 2; {told}")
        if not lengths and self._dedicated is None and general is NO_GENERAL_KEYS:
            raise UnusableKey("no key was given; a meter without keys needs no MeterKeys", Diagnosis.KEY_MISSING)
        self.example: str | None = self._example()
        """Which published example one of the keys is, in words; None where none is."""

    def __repr__(self) -> str:
        has = [name for name in (ENCRYPTION, BROADCAST, DEDICATED) if self.key(name) is not None]
        if self.authentication_key is not None:
            has.insert(1, "authentication key")
        has += [name for name in ("without_verifying", "allow_example_keys") if getattr(self, name)]
        if not self.check_replay:
            has.append("check_replay=False")
        return f"<MeterKeys: {', '.join(has)}>"

    def find(self, system_title: bytes) -> MeterKeys | None:
        """These keys, for any title."""
        return self

    def key(self, name: str) -> bytes | None:
        """The octets of the key ``ENCRYPTION``, ``BROADCAST`` or ``DEDICATED``; None where it was not given."""
        if name == ENCRYPTION:
            return self._encryption
        return self._broadcast if name == BROADCAST else self._dedicated

    def cipher(self, name: str) -> CipherKey | None:
        """What opens messages under that key, made once; None where it was not given."""
        cipher = self._ciphers.get(name)
        if cipher is None:
            key = self.key(name)
            if key is None:
                return None
            # Here and not above: it loads the package cryptography.
            from cosemic.security.cipher import CipherKey

            cipher = self._ciphers[name] = CipherKey(key, self.authentication_key, name)
        return cipher

    def _example(self) -> str | None:
        # An authentication key may be known to all, as Luxembourg's is: with a secret encryption key the tag still
        # proves the sender. So only the keys that encrypt are looked at.
        for name, key in (
            (ENCRYPTION, self._encryption),
            (BROADCAST, self._broadcast),
            (DEDICATED, self._dedicated),
            ("master key", self.general.kek),
        ):
            known = None if key is None else example_key(key)
            if known is not None:
                return f"the {name} is {known}"
        return None


ENCRYPTION: Final = "encryption key"
BROADCAST: Final = "broadcast key"
DEDICATED: Final = "dedicated key"


@runtime_checkable
class PushKeys(Protocol):
    """Finds the keys of a meter: a table, an inventory, a key store of yours."""

    def find(self, system_title: bytes) -> MeterKeys | None:
        """The keys of the meter with that title (eight octets); None where there are none."""


class KeyTable:
    """Keys by system title, with those for any other title where ``default`` is given."""

    __slots__ = ("_keys", "default")

    def __init__(self, keys: Mapping[bytes | str, MeterKeys] | None = None, default: MeterKeys | None = None) -> None:
        self._keys: dict[bytes, MeterKeys] = {}
        self.default = default
        for title, meter in (keys or {}).items():
            self.add(title, meter)

    def __repr__(self) -> str:
        return f"<KeyTable: {len(self._keys)} titles{'' if self.default is None else ', a default'}>"

    def add(self, system_title: bytes | str, keys: MeterKeys) -> None:
        """Use these keys for that title, in place of others; UnusableKey where the title has not eight octets."""
        self._keys[title_of(system_title)] = keys

    def find(self, system_title: bytes) -> MeterKeys | None:
        """The keys for that title, else the default."""
        return self._keys.get(system_title, self.default)


def title_of(title: bytes | str) -> bytes:
    """A system title from octets or hexadecimal text; UnusableKey where it has not eight octets."""
    octets = _octets(title, "system title")
    if len(octets) != SYSTEM_TITLE_LENGTH:
        raise UnusableKey(f"a system title has 8 octets (16 hexadecimal digits), not {len(octets)}")
    return octets


def _key(key: bytes | str | None, name: str) -> bytes | None:
    if key is None:
        return None
    octets = _octets(key, name)
    if len(octets) == 32 and not isinstance(key, str) and _DIGITS.fullmatch(octets):
        raise UnusableKey(f"the {name} is given as 32 octets that are hexadecimal digits; give it as text")
    if len(octets) not in _LENGTHS:
        raise UnusableKey(
            f"the {name} has {len(octets)} octets ({2 * len(octets)} hexadecimal digits); it must have 16 octets "
            f"(32 digits), or 32 octets (64 digits) in suite 2{_hint(key)}"
        )
    return octets


def _octets(value: bytes | str, name: str) -> bytes:
    if not isinstance(value, str):
        return bytes(value)
    digits = "".join(_PREFIX.sub("", part) for part in _BETWEEN.split(value))
    try:
        return bytes.fromhex(digits)
    except ValueError:
        pass
    if _ODD.search(digits):
        raise UnusableKey(f"the {name} has characters that are no hexadecimal digits{_hint(value)}")
    raise UnusableKey(f"the {name} has {len(digits)} hexadecimal digits, an odd number: one is missing or too many")


def _hint(value: bytes | str) -> str:
    """Some makers give keys as sixteen characters, whose codes are the octets."""
    if isinstance(value, str) and len(value) in _LENGTHS and value.isascii():
        return f"; if its {len(value)} characters themselves are the key, give their octets (text.encode())"
    return ""


_LENGTHS: Final = frozenset((16, 32))
_BETWEEN: Final = re.compile(r"[\s:,;{}-]+")
_PREFIX: Final = re.compile(r"^0[xX]")
_ODD: Final = re.compile(r"[^0-9A-Fa-f]")
_DIGITS: Final = re.compile(rb"[0-9A-Fa-f]+")
