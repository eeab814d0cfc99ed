"""The security suites 0, 1 and 2: lengths, the security control octet, policies (IEC 62056-5-3, clause 5).

Protected content is ``SC || IC || payload``: the security control octet, the invocation counter (four octets), and the
information, followed by a tag of twelve octets when it is authenticated. The initialisation vector is
``system title || IC``; the additional authenticated data is ``SC || AK`` (and the information itself, when it is not
encrypted). Suites 0 and 1 use keys of 128 bits, suite 2 of 256.
"""

from __future__ import annotations

import enum
import struct

from cosemic.errors import DecodeError

TAG_LENGTH = 12
HEADER_LENGTH = 5
SYSTEM_TITLE_LENGTH = 8
LAST_COUNTER = 0xFFFF_FFFF
KEY_LENGTH: dict[int, int] = {0: 16, 1: 16, 2: 32}
"""Octets of a symmetric key, by security suite."""

SUITE_MASK = 0x0F
AUTHENTICATED = 0x10
ENCRYPTED = 0x20
BROADCAST = 0x40
COMPRESSED = 0x80
CIPHERING = AUTHENTICATED | ENCRYPTED
SIGNED = 0x100
"""Above the octet: what is signed is said by the envelope general-signing, not by a security control."""

HEADER = struct.Struct(">BI")
"""Security control and invocation counter."""


class KeyId(enum.IntEnum):
    """The keys of a security setup (IEC 62056-6-2, class 64)."""

    GLOBAL_UNICAST_ENCRYPTION = 0
    GLOBAL_BROADCAST_ENCRYPTION = 1
    AUTHENTICATION = 2
    MASTER = 3


class GeneralKey(enum.Enum):
    """Which key a general-ciphering APDU is protected with, as its key info says (IEC 62056-5-3, clause 5)."""

    IDENTIFIED = "identified-key"
    """The global unicast key that both sides have; its counters go on."""
    WRAPPED = "wrapped-key"
    """A fresh random key, wrapped with the master key."""
    ONE_PASS = "one-pass"
    """Agreed, C(1e, 1s): our signed ephemeral key with the recipient's static key."""
    STATIC_UNIFIED = "static-unified"
    """Agreed, C(0e, 2s): both static keys and the transaction id."""


FRESH = frozenset((GeneralKey.WRAPPED, GeneralKey.ONE_PASS, GeneralKey.STATIC_UNIFIED))
"""Keys that come with their message."""


class SigningOrder(enum.Enum):
    """What comes first where a message is both signed and ciphered by the same party."""

    SIGN_FIRST = "sign-first"
    """The standard's normal case: the signature is inside, and hidden. Needs a general envelope around it."""
    CIPHER_FIRST = "cipher-first"
    """The signature is around the ciphered APDU: Gurux, pydlms-client."""


class GeneralAad(enum.Enum):
    """What the tag of general-ciphering covers beside security control, authentication key and information.

    The standard says that length and value of the five fields before the key info are part of it (Green Book, figure
    84 and table 38). Stacks in the field leave them out. One association uses one reading, in both directions: trying
    the other one where the first fails would leave the choice to whoever forges a message.
    """

    WITH_HEADER = "with-header"
    """The standard's: transaction id, originator, recipient, date-time, other information, each with its length."""
    WITHOUT_HEADER = "without-header"
    """As in every other envelope: Gurux, pydlms-client."""


class SigningInput(enum.Enum):
    """What the signature of general-signing covers after the five fields of its header (each with its length)."""

    CONTENT_WITH_LENGTH = "content-with-length"
    """The standard's: length and value of each field (Green Book, figure 85)."""
    CONTENT = "content"
    """The octets of the content without their length: Gurux, pydlms-client."""


class EphemeralSignature(enum.Enum):
    """What the signature of the ephemeral key covers in one-pass Diffie-Hellman."""

    POINT = "point"
    """``X || Y``: so does the example of IEC 62056-5-3."""
    SCHEME_AND_POINT = "scheme-and-point"
    """``01 || X || Y``: Gurux."""

    def covers(self, public: bytes) -> bytes:
        """The message that is signed."""
        return public if self is EphemeralSignature.POINT else b"\x01" + public


_EXAMPLE_KEYS = frozenset(
    bytes(range(start, start + length)) for start in (0x00, 0xD0) for length in (16, 32) if start + length <= 0x100
)


class SecurityPolicy(enum.IntFlag):
    """How an APDU is protected: the bits of the security control octet, and a signature, which has none there."""

    NONE = 0
    AUTHENTICATED = AUTHENTICATED
    ENCRYPTED = ENCRYPTED
    AUTHENTICATED_ENCRYPTED = AUTHENTICATED | ENCRYPTED
    SIGNED = SIGNED

    @classmethod
    def parse(cls, policy: str | int) -> SecurityPolicy:
        """The policy of that name (``authenticated-encrypted``, …) or with that value; ValueError names them all."""
        if isinstance(policy, str):
            found = _POLICIES.get(policy.strip().lower().replace("_", "-"))
            if found is None:
                raise ValueError(f"unknown security policy {policy!r}; one of {', '.join(_POLICIES)}")
            return found
        if policy & ~_EVERY:
            raise ValueError(f"unknown security policy {policy:#x}; one of {', '.join(_POLICIES)}")
        return cls(policy)

    @property
    def label(self) -> str:
        """The name as users write it, ``authenticated-encrypted``."""
        return _LABELS[int(self)]


_EVERY = CIPHERING | SIGNED
_UNSIGNED: dict[str, SecurityPolicy] = {
    "none": SecurityPolicy.NONE,
    "authenticated": SecurityPolicy.AUTHENTICATED,
    "encrypted": SecurityPolicy.ENCRYPTED,
    "authenticated-encrypted": SecurityPolicy.AUTHENTICATED_ENCRYPTED,
}
_POLICIES: dict[str, SecurityPolicy] = {
    **_UNSIGNED,
    "signed": SecurityPolicy.SIGNED,
    **{f"{name}-signed": policy | SecurityPolicy.SIGNED for name, policy in _UNSIGNED.items() if policy},
}
_LABELS: dict[int, str] = {int(policy): name for name, policy in _POLICIES.items()}


def policy_of(content: bytes) -> SecurityPolicy:
    """Which protection a ``SC || IC || payload`` claims; DecodeError when there is no octet."""
    if not content:
        raise DecodeError("protected content without a security control octet")
    return SecurityPolicy(content[0] & 0x30)


def describe(control: int, title: bytes | None, counter: int, key_name: str) -> str:
    """What of a protected message may be told to anybody: SC, IC, system title, and which key was meant."""
    return f"SC {control:#04x}, IC {counter}, system title {title.hex().upper() if title else 'unknown'}, {key_name}"


def key_octets(suite: int, key: bytes | str, name: str) -> bytes:
    """A key from octets or hexadecimal text, its length checked; ValueError never quotes it."""
    if suite not in KEY_LENGTH:
        raise ValueError(f"unknown security suite {suite}; one of 0, 1, 2")
    octets = _from_hex(key, name) if isinstance(key, str) else bytes(key)
    if len(octets) != KEY_LENGTH[suite]:
        raise ValueError(f"{name} must have {KEY_LENGTH[suite]} octets in suite {suite}, not {len(octets)}")
    return octets


def title_octets(title: bytes | str, name: str = "system_title") -> bytes:
    """A system title from octets or hexadecimal text: eight octets, else ValueError."""
    octets = _from_hex(title, name) if isinstance(title, str) else bytes(title)
    if len(octets) != SYSTEM_TITLE_LENGTH:
        raise ValueError(f"{name} must have {SYSTEM_TITLE_LENGTH} octets, not {len(octets)}")
    return octets


def is_example_key(key: bytes) -> bool:
    """Whether this is one of the keys printed in every example (00 01 02 …, D0 D1 D2 …, all zero): no secret at all."""
    return key in _EXAMPLE_KEYS or not any(key)


def _from_hex(text: str, name: str) -> bytes:
    try:
        return bytes.fromhex(text.replace(":", " "))
    except ValueError:
        raise ValueError(f"{name} must be octets or hexadecimal text") from None
