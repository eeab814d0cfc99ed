"""APDUs and frames as they may be shown: the places of secrets hold zeros."""

from __future__ import annotations

from dataclasses import replace

from cosemic.apdu.acse import AssociationRequest, InitiateRequest
from cosemic.enums import AuthenticationMechanism


def association_request(aarq: AssociationRequest, initiate: InitiateRequest | None) -> bytes:
    """The AARQ with its user-information in plain, a password and a dedicated key replaced by zeros."""
    password = aarq.calling_authentication_value
    if password is not None and aarq.mechanism in (None, AuthenticationMechanism.NONE, AuthenticationMechanism.LLS):
        aarq = replace(aarq, calling_authentication_value=bytes(len(password)))
    if initiate is not None:
        if initiate.dedicated_key is not None:
            initiate = replace(initiate, dedicated_key=bytes(len(initiate.dedicated_key)))
        aarq = replace(aarq, user_information=initiate.encode())
    return aarq.encode()


def service(apdu: bytes) -> bytes:
    """A plain service APDU; new secrets for an association object (class 15) are replaced by zeros.

    Attribute 7 of class 15 is the LLS secret, method 2 changes the HLS secret; keys travel wrapped.
    """
    if len(apdu) > 12 and apdu[3:5] == b"\x00\x0f" and (apdu[0], apdu[1], apdu[11]) in _SECRETS:
        return apdu[:12] + bytes(len(apdu) - 12)
    return apdu


def frame(octets: bytes, secret: bytes) -> bytes:
    """A frame of the opening of an association; the secret, or the part of it that a segment holds, becomes zeros."""
    if secret in octets:
        return octets.replace(secret, bytes(len(secret)))
    for length in range(len(secret) - 1, 1, -1):
        for part in (secret[:length], secret[-length:]):
            if part in octets:
                return octets.replace(part, bytes(length))
    return octets


_SECRETS = frozenset({(0xC1, 1, 7), (0xC1, 2, 7), (0xC3, 1, 2), (0xC3, 4, 2)})
"""Tag, choice and attribute or method."""
