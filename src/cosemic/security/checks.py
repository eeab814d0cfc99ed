"""What is checked of a message once it was opened, beside its counter."""

from __future__ import annotations

from cosemic.errors import AuthenticationError, RemoteProtocolError, SecurityError
from cosemic.security.suites import SecurityPolicy

# First octets that plain APDUs have; 0x2F is the "/" of a DSMR telegram, which some meters send in this envelope.
_FIRST_OCTETS = frozenset(
    bytes.fromhex("01 05 06 08 0C 0D 0E 0F 10 16 18 2F 60 61 62 63 C0 C1 C2 C3 C4 C5 C7 D8 D9 DA DD DF E0")
)


def check_plausible(information: bytes, what: str) -> None:
    """AuthenticationError when something that was encrypted, but not authenticated, opens to no APDU."""
    if information and information[0] in _FIRST_OCTETS:
        return
    raise AuthenticationError(
        f"decrypts to no known APDU (first octet {information[:1].hex() or 'missing'}); encryption alone proves "
        f"nothing, so the encryption key or the system title is likely wrong ({what})"
    )


def check_first(information: bytes, first: int) -> None:
    """RemoteProtocolError when what an envelope holds does not begin with the tag that the envelope promises."""
    if not information or information[0] != first:
        inside = f"one with tag {information[0]:#04x}" if information else "nothing"
        raise RemoteProtocolError(f"the envelope promises an APDU with tag {first:#04x} and holds {inside}")


def downgrade(received: int, demanded: int, what: str) -> SecurityError:
    """The error for a message that is protected less than demanded."""
    return SecurityError(
        f"the message is protected by policy {SecurityPolicy(received).label!r}, but at least "
        f"{SecurityPolicy(demanded).label!r} is demanded ({what})"
    )
