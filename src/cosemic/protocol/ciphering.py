"""Which envelope goes around an APDU, and what is inside the one that came (IEC 62056-5-3, 5.3.4 and 5.3.6).

========================  =====================================================================================
what                      envelope
========================  =====================================================================================
InitiateRequest/Response  glo-initiate-…, authenticated and encrypted whatever the policy: it may carry a key
passes 3 and 4 of HLS     glo-action-…, also where general protection or a dedicated key was agreed
services                  ded-… with a dedicated key, else glo-…; general-ded or general-glo where agreed
services without a tag    general-glo or general-ded (DataNotification, ACCESS)
========================  =====================================================================================

All of these are accepted at any time; what counts is the protection inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cosemic.apdu.protected import DED_TAG, GLO_TAG, PLAIN_TAG, unwrap_ciphered, wrap_ciphered, wrap_general
from cosemic.enums import ApduTag
from cosemic.errors import RemoteProtocolError, SecurityError
from cosemic.security.context import AssociationSecurity, SecurityPolicy

_POLICIES: Final = tuple(SecurityPolicy(bits << 4) for bits in range(4))
_GENERAL: Final = frozenset((ApduTag.GENERAL_GLO_CIPHERING, ApduTag.GENERAL_DED_CIPHERING))
_UNSUPPORTED: Final = frozenset((ApduTag.GENERAL_CIPHERING, ApduTag.GENERAL_SIGNING))
_TAG_AND_HEADER: Final = 1 + 5
_TAG: Final = 12
_TITLE: Final = 9

CIPHERED: Final = tuple(tag in PLAIN_TAG or tag in _GENERAL or tag in _UNSUPPORTED for tag in range(256))
"""By first octet: whether an APDU is an envelope."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """How an APDU is protected."""

    policy: SecurityPolicy
    dedicated: bool = False
    general: bool = False


PLAIN: Final = Envelope(SecurityPolicy.NONE)
INITIATE: Final = Envelope(SecurityPolicy.AUTHENTICATED_ENCRYPTED)

_ENVELOPES: Final = tuple(Envelope(_POLICIES[index & 3], bool(index & 4), bool(index & 8)) for index in range(16))


def seal(security: AssociationSecurity, apdu: bytes, envelope: Envelope) -> bytes:
    """Protect an APDU; it takes the next invocation counter."""
    if not envelope.policy:
        return apdu
    content = security.protect(apdu, dedicated=envelope.dedicated, policy=envelope.policy)
    if not envelope.general:
        tag = (DED_TAG if envelope.dedicated else GLO_TAG).get(apdu[0])
        if tag is not None:
            return wrap_ciphered(tag, content)
    general = ApduTag.GENERAL_DED_CIPHERING if envelope.dedicated else ApduTag.GENERAL_GLO_CIPHERING
    return wrap_general(general, security.system_title or b"", content)


def unseal(security: AssociationSecurity, apdu: bytes, minimum: SecurityPolicy | None = None) -> tuple[bytes, Envelope]:
    """Open an envelope: the APDU inside and how it was protected. A SecurityError leaves no trace."""
    if apdu[0] in _UNSUPPORTED:
        raise SecurityError(f"{_name(apdu[0])} is not supported yet")
    tag, title, content = unwrap_ciphered(apdu)
    dedicated = 0xD0 <= tag <= 0xD7 or 0x40 <= tag <= 0x5F or tag == ApduTag.GENERAL_DED_CIPHERING
    general = tag in _GENERAL
    plain = security.open(content, dedicated=dedicated, system_title=title, minimum=minimum)
    if not plain or (not general and PLAIN_TAG[tag] != plain[0]):
        raise RemoteProtocolError(f"{_name(tag)} holds {_name(plain[0]) if plain else 'nothing'}")
    return plain, _ENVELOPES[content[0] >> 4 & 3 | dedicated << 2 | general << 3]


def invocation_counter(apdu: bytes) -> int:
    """The counter under which an envelope says it was sealed, not verified; -1 of what is none."""
    if not apdu or not CIPHERED[apdu[0]] or apdu[0] in _UNSUPPORTED:
        return -1
    try:
        content = unwrap_ciphered(apdu)[2]
    except RemoteProtocolError:
        return -1
    return int.from_bytes(content[1:5], "big")


def room(max_pdu_size: int, envelope: Envelope, unlimited: int) -> int:
    """The longest APDU that still fits ``max_pdu_size`` (0 = no limit) once it is in its envelope."""
    if not max_pdu_size:
        return unlimited
    if not envelope.policy:
        return max_pdu_size
    left = max_pdu_size - 1 - (_TITLE if envelope.general else 0)
    left -= 1 if left <= 128 else 2 if left <= 257 else 3
    return left - 5 - (_TAG if envelope.policy & SecurityPolicy.AUTHENTICATED else 0)


def _name(tag: int) -> str:
    try:
        return ApduTag(tag).name.lower().replace("_", "-")
    except ValueError:
        return f"an APDU with the unknown tag {tag:#04x}"
