"""Which envelope goes around an APDU, and what is inside the one that came (IEC 62056-5-3, 5.3.4 and 5.3.6).

========================  =====================================================================================
what                      envelope
========================  =====================================================================================
InitiateRequest/Response  glo-initiate-…, authenticated and encrypted whatever the policy: it may carry a key
passes 3 and 4 of HLS     glo-action-…, also where general protection or a dedicated key was agreed
services                  ded-… with a dedicated key, else glo-…; general-ded or general-glo where agreed;
                          general-ciphering under a key of its own where that was agreed and chosen
services without a tag    general-glo or general-ded (DataNotification, ACCESS)
signed services           general-signing inside a general envelope, or around any
========================  =====================================================================================

All of these are accepted at any time; what counts is the protection inside. One layer of ciphering and one signature,
in either order; more layers are refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeAlias

from cosemic.apdu.base import decode_apdu
from cosemic.apdu.fields import encode_octet_string
from cosemic.apdu.general import (
    AgreedKey,
    GeneralCiphering,
    GeneralSigning,
    IdentifiedKey,
    WrappedKey,
    first_octet_string,
    raw_header,
)
from cosemic.apdu.general import KeyInfo as KeyInfoField
from cosemic.apdu.protected import DED_TAG, GLO_TAG, PLAIN_TAG, unwrap_ciphered, wrap_ciphered, wrap_general
from cosemic.enums import ApduTag
from cosemic.errors import DecodeError, RemoteProtocolError, SecurityError
from cosemic.security.checks import downgrade
from cosemic.security.context import AssociationSecurity, SecurityPolicy
from cosemic.security.general import GeneralHeader, KeyInfo
from cosemic.security.keys import SecurityContext
from cosemic.security.suites import AUTHENTICATED, BROADCAST, CIPHERING, SIGNED, GeneralKey, SigningOrder
from cosemic.tolerances import STRICT

_Check: TypeAlias = Callable[[], None]

_POLICIES: Final = tuple(SecurityPolicy(bits << 4) for bits in range(4))
_GENERAL: Final = frozenset((ApduTag.GENERAL_GLO_CIPHERING, ApduTag.GENERAL_DED_CIPHERING))
_CIPHERING: Final = int(ApduTag.GENERAL_CIPHERING)
_SIGNING: Final = int(ApduTag.GENERAL_SIGNING)
_PROTECTION: Final = frozenset((_CIPHERING, _SIGNING))
_INITIATE: Final = frozenset((ApduTag.GLO_INITIATE_REQUEST, ApduTag.GLO_INITIATE_RESPONSE))
_DEDICATED: Final = frozenset(DED_TAG.values())
_HEAD: Final = struct.Struct("BB").pack
_TAG: Final = 12
_TITLE: Final = 9

CIPHERED: Final = tuple(tag in PLAIN_TAG or tag in _GENERAL or tag in _PROTECTION for tag in range(256))
"""By first octet: whether an APDU is an envelope."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """How an APDU is protected. ``key`` and ``order`` say which general-ciphering, and where a signature is."""

    policy: SecurityPolicy
    dedicated: bool = False
    general: bool = False
    key: GeneralKey | None = None
    order: SigningOrder | None = None
    transaction_id: bytes = b""
    """That of the request, in an answer to general-ciphering or -signing; else each message has a fresh one."""
    overhead: int = 0
    """The most octets that general-ciphering and -signing add; 0 for the other envelopes."""
    broadcast: bool = False
    """Under the global broadcast key: for unconfirmed requests to many meters, never for an answer."""


PLAIN: Final = Envelope(SecurityPolicy.NONE)
INITIATE: Final = Envelope(SecurityPolicy.AUTHENTICATED_ENCRYPTED)

_ENVELOPES: Final = tuple(
    Envelope(_POLICIES[index & 3], bool(index & 8), bool(index & 16), broadcast=bool(index & 4)) for index in range(32)
)


def ciphering_only(policy: SecurityPolicy | int) -> SecurityPolicy:
    """A policy without its signature, as it holds for passes 3 and 4."""
    return _POLICIES[int(policy) >> 4 & 3]


def service_envelope(
    context: SecurityContext, dedicated: bool, general: bool, least: SecurityPolicy = SecurityPolicy.NONE
) -> Envelope:
    """How services are sent: by the policy of the context, with general protection where it was agreed.

    ``least`` is added to the policy, for a request that needs it.
    """
    key = context.general if general and isinstance(context.general, GeneralKey) else None
    policy = context.policy | least
    return _envelope(context, policy, dedicated, general and bool(context.general), key, None, b"")


def needs_general_protection(context: SecurityContext) -> bool:
    """Whether what the context asks for cannot be done without general protection."""
    return isinstance(context.general, GeneralKey) or bool(int(context.policy | context.minimum_policy) & SIGNED)


def reply_envelope(
    context: SecurityContext, request: Envelope, least: SecurityPolicy = SecurityPolicy.NONE
) -> Envelope:
    """How a request is answered: protected like it, for the same party, and at least as the policy and ``least`` say.

    Where we have no key to do it the same way, the key of the association is used, and no signature is made.
    """
    policy = int(request.policy) | int(context.policy) | int(least)
    key, order = request.key, request.order
    if request.broadcast:
        request = replace(request, broadcast=False)
    if key is None and order is None and not policy & SIGNED:
        if policy == int(request.policy):
            return request
        if not isinstance(context.general, GeneralKey):
            return Envelope(_POLICIES[policy >> 4 & 3], request.dedicated, request.general)
    if not int(request.policy) and isinstance(context.general, GeneralKey):
        key = context.general  # nothing to go by: a message of our own
    if key is not None and not _has_means(context, key):
        key = GeneralKey.IDENTIFIED
    if policy & SIGNED and context.signing_key is None:
        policy &= ~SIGNED
    return _envelope(
        context, SecurityPolicy(policy), request.dedicated, request.general, key, order, request.transaction_id
    )


def seal(security: AssociationSecurity, apdu: bytes, envelope: Envelope) -> bytes:
    """Protect an APDU; it takes the next invocation counter."""
    policy, dedicated = envelope.policy, envelope.dedicated
    if not policy:
        return apdu
    if envelope.order is not None or envelope.key is not None:
        return _seal_general(security, apdu, envelope)
    content = security.protect(apdu, dedicated=dedicated, policy=policy, broadcast=envelope.broadcast)
    if not envelope.general:
        tag = (DED_TAG if dedicated else GLO_TAG).get(apdu[0])
        if tag is not None:
            # What ``wrap_ciphered`` does, without the call where the length fits an octet: nearly always.
            return _HEAD(tag, len(content)) + content if len(content) < 0x80 else wrap_ciphered(tag, content)
    general = ApduTag.GENERAL_DED_CIPHERING if dedicated else ApduTag.GENERAL_GLO_CIPHERING
    return wrap_general(general, security.system_title or b"", content)


def unseal(
    security: AssociationSecurity,
    apdu: bytes,
    minimum: SecurityPolicy | None = None,
    *,
    signed: _Check | None = None,
    broadcast: bool = False,
) -> tuple[bytes, Envelope]:
    """Open an envelope: the APDU inside and how it was protected. A SecurityError leaves no trace.

    The least protection is checked, but for plain APDUs, which do not come here. ``signed``: there is a signature
    around it already, so that there must be none inside; called where no tag proves the message, to see that what was
    signed is new. Only with ``broadcast`` may it be under the global broadcast key, which many meters and clients have.
    """
    first = PLAIN_TAG.get(apdu[0])
    if first is None:
        return _unseal_by_general(security, apdu, minimum, signed, broadcast)
    # What ``unwrap_ciphered`` does, without the call where the length fits an octet.
    length = len(apdu) - 2
    content = apdu[2:] if 5 <= length < 0x80 and apdu[1] == length else unwrap_ciphered(apdu)[2]
    control = content[0]
    if control & BROADCAST and not broadcast:
        raise _not_for_one(apdu[0])
    if security.demands_signature and signed is None and apdu[0] not in _INITIATE:
        raise _not_signed(SecurityPolicy(control & CIPHERING))
    if signed is not None and not control & AUTHENTICATED:
        signed()
    dedicated = apdu[0] in _DEDICATED
    plain = security.open(content, dedicated=dedicated, minimum=minimum, first=first)
    return plain, _ENVELOPES[control >> 4 & 7 | dedicated << 3]


def _unseal_by_general(
    security: AssociationSecurity, apdu: bytes, minimum: SecurityPolicy | None, signed: _Check | None, broadcast: bool
) -> tuple[bytes, Envelope]:
    """Open an envelope of general protection."""
    if apdu[0] == _SIGNING:
        return _unseal_signed(security, apdu, minimum, broadcast)
    if apdu[0] == _CIPHERING:
        return _unseal_ciphered(security, apdu, minimum, signed, broadcast)
    tag, title, content = unwrap_ciphered(apdu)
    dedicated = tag == ApduTag.GENERAL_DED_CIPHERING
    to_all = bool(content[0] & BROADCAST)
    if to_all and not broadcast:
        raise _not_for_one(tag)
    inner = _Inner(security, content, signed)
    plain = security.open(content, dedicated=dedicated, system_title=title, minimum=minimum, inner=inner.check)
    if inner.signed is not None:
        policy = _POLICIES[content[0] >> 4 & 3]
        plain, envelope = inner.result(policy, dedicated, True, None, inner.signed.transaction_id)
        return plain, replace(envelope, broadcast=True) if to_all else envelope
    if not plain:
        raise RemoteProtocolError(f"{_name(tag)} holds nothing")
    return plain, _ENVELOPES[content[0] >> 4 & 7 | dedicated << 3 | 16]


def invocation_counter(apdu: bytes) -> int:
    """The counter under which an envelope says it was sealed, not verified; -1 of what is none."""
    if not apdu or not CIPHERED[apdu[0]]:
        return -1
    try:
        if apdu[0] not in (_CIPHERING, _SIGNING):
            return int.from_bytes(unwrap_ciphered(apdu)[2][1:5], "big")
        envelope = decode_apdu(apdu, tolerances=STRICT)
    except RemoteProtocolError:
        return -1
    if isinstance(envelope, GeneralSigning):
        inner = envelope.content
        return -1 if inner[:1] == apdu[:1] else invocation_counter(inner)
    assert isinstance(envelope, GeneralCiphering)
    return envelope.invocation_counter


def room(max_pdu_size: int, envelope: Envelope, unlimited: int) -> int:
    """The longest APDU that still fits ``max_pdu_size`` (0 = no limit) once it is in its envelope."""
    if not max_pdu_size:
        return unlimited
    if not envelope.policy:
        return max_pdu_size
    if envelope.overhead:
        return max(max_pdu_size - envelope.overhead, 1)
    left = max_pdu_size - 1 - (_TITLE if envelope.general else 0)
    left -= 1 if left <= 128 else 2 if left <= 257 else 3
    return left - 5 - (_TAG if envelope.policy & SecurityPolicy.AUTHENTICATED else 0)


# General-ciphering and general-signing, outgoing


def _seal_general(security: AssociationSecurity, apdu: bytes, envelope: Envelope) -> bytes:
    general = security.general
    transaction_id = general.new_transaction(envelope.transaction_id)
    header = _header(transaction_id, *general.header_fields())
    policy = ciphering_only(envelope.policy)
    if envelope.order is not None and (envelope.order is SigningOrder.SIGN_FIRST or not policy):
        apdu = _sign(security, apdu, header)
    if policy and envelope.key is None:
        inside = apdu[0] == _SIGNING
        general_form = envelope.general or inside
        apdu = seal(security, apdu, Envelope(policy, envelope.dedicated, general_form, broadcast=envelope.broadcast))
    elif policy and envelope.key is not None:
        info, content = general.seal(apdu, header, envelope.key, policy)
        apdu = bytes((_CIPHERING,)) + header.octets + b"\1" + _field(info).encode() + encode_octet_string(content)
    if envelope.order is SigningOrder.CIPHER_FIRST and policy:
        apdu = _sign(security, apdu, header)
    return apdu


def _sign(security: AssociationSecurity, apdu: bytes, header: GeneralHeader) -> bytes:
    content = encode_octet_string(apdu)
    signature = security.general.sign(header, apdu, content)
    return bytes((_SIGNING,)) + header.octets + content + encode_octet_string(signature)


def _header(
    transaction_id: bytes, originator: bytes, recipient: bytes, date_time: bytes, other_information: bytes
) -> GeneralHeader:
    fields = (transaction_id, originator, recipient, date_time, other_information)
    return GeneralHeader(*fields, b"".join(map(encode_octet_string, fields)))


def _envelope(
    context: SecurityContext,
    policy: SecurityPolicy,
    dedicated: bool,
    general: bool,
    key: GeneralKey | None,
    order: SigningOrder | None,
    transaction_id: bytes,
) -> Envelope:
    is_signed = bool(int(policy) & SIGNED)
    if not int(policy) & CIPHERING:
        key = None
    if not is_signed:
        order = None
    elif order is None:
        order = context.signing_order
    if key is None and order is None:
        return Envelope(policy, dedicated, general)
    header = 3 + max(len(transaction_id), 8) + 2 * _TITLE + 1 + 12 + 3 + len(context.other_information)
    overhead = 0
    if order is not None:
        overhead += header + 3 + 2 + (64 if context.suite == 1 else 96)
    if key is not None:
        overhead += header + _KEY_INFO[key] + 3 + 5 + _TAG
    elif int(policy) & CIPHERING:
        overhead += 1 + _TITLE + 3 + 5 + _TAG
    return Envelope(policy, dedicated, general, key, order, transaction_id, overhead)


_KEY_INFO: Final = {
    GeneralKey.IDENTIFIED: 3,
    GeneralKey.WRAPPED: 3 + 1 + 40,
    GeneralKey.ONE_PASS: 4 + 2 + 192,
    GeneralKey.STATIC_UNIFIED: 5,
}
"""The most octets of a key info with its flag."""


def _has_means(context: SecurityContext, key: GeneralKey) -> bool:
    if key is GeneralKey.IDENTIFIED:
        return True
    if key is GeneralKey.WRAPPED:
        return context.has_kek
    own = context.signing_key if key is GeneralKey.ONE_PASS else context.agreement_key
    return own is not None and context.peer_agreement_key is not None


# Incoming


class _Inner:
    """Checks the signature inside a ciphered APDU before that is accepted, and keeps what was signed."""

    __slots__ = ("_around", "_header", "_is_proved", "_security", "signed")

    def __init__(self, security: AssociationSecurity, content: bytes, around: _Check | None) -> None:
        self._security = security
        self._is_proved = _is_proved(content)
        self._around = around
        self._header: GeneralHeader | None = None
        self.signed: GeneralSigning | None = None

    def check(self, information: bytes) -> None:
        """Called with what was deciphered. What no tag proves is new if the signature says so."""
        if self._around is not None and not self._is_proved:
            self._around()
        if not information:
            return
        if information[0] == _SIGNING and self._around is None:
            signed, self._header = _verified(self._security, information)
            if CIPHERED[signed.content[0]]:
                raise SecurityError("an APDU with more layers of protection than one ciphering and one signature")
            if not self._is_proved:
                self._security.general.check_signed(self._header, signed.content, signed.signature)
            self.signed = signed
        elif CIPHERED[information[0]]:
            raise SecurityError("an APDU with more layers of protection than one ciphering and one signature")
        elif self._security.demands_signature and self._around is None:
            raise _not_signed(SecurityPolicy.NONE)

    def result(
        self, policy: SecurityPolicy, dedicated: bool, general: bool, key: GeneralKey | None, transaction_id: bytes
    ) -> tuple[bytes, Envelope]:
        """What was signed, and the envelope of both layers; called once everything was accepted."""
        assert self.signed is not None
        assert self._header is not None
        if not self._is_proved:
            self._security.general.take_signed(self._header, self.signed.content, self.signed.signature)
        envelope = _envelope(
            self._security.context,
            policy | SecurityPolicy.SIGNED,
            dedicated,
            general,
            key,
            SigningOrder.SIGN_FIRST,
            transaction_id,
        )
        return self.signed.content, envelope


def _is_proved(content: bytes) -> bool:
    """Whether there is a tag, and so a counter that tells the message from its repetitions."""
    return bool(content) and bool(content[0] & AUTHENTICATED)


def _not_signed(policy: SecurityPolicy) -> SecurityError:
    return downgrade(policy, SIGNED, "it was not used")


def _unseal_ciphered(
    security: AssociationSecurity, apdu: bytes, minimum: SecurityPolicy | None, signed: _Check | None, broadcast: bool
) -> tuple[bytes, Envelope]:
    ciphered = decode_apdu(apdu, tolerances=STRICT)
    assert isinstance(ciphered, GeneralCiphering)
    octets, rest = raw_header(apdu)
    if rest[0] > 1:  # no tag covers this octet, so it has one form only
        raise DecodeError(f"the key info begins with {rest[0]:02X}, not 00 or 01", octets=apdu, offset=len(octets) + 1)
    header = _received_header(ciphered, octets)
    info = None if ciphered.key_info is None else _info(ciphered.key_info)
    content = ciphered.content
    inner = _Inner(security, content, signed)
    # The key info counts, and where it names none the bit of SC.
    to_all = bool(content) and bool(content[0] & BROADCAST) if info is None else info.number == 1
    if to_all and not broadcast:
        raise _not_for_one(_CIPHERING)
    plain = security.general.open(content, header, info, minimum, inner.check)
    policy = _POLICIES[content[0] >> 4 & 3]
    key = GeneralKey.IDENTIFIED if info is None else info.key
    if inner.signed is not None:
        plain, envelope = inner.result(policy, False, True, key, header.transaction_id)
    elif not plain:
        raise RemoteProtocolError("general-ciphering holds nothing")
    else:
        envelope = _envelope(security.context, policy, False, True, key, None, header.transaction_id)
    return plain, replace(envelope, broadcast=True) if to_all else envelope


def _unseal_signed(
    security: AssociationSecurity, apdu: bytes, minimum: SecurityPolicy | None, broadcast: bool
) -> tuple[bytes, Envelope]:
    signed, header = _verified(security, apdu)
    content = signed.content
    if CIPHERED[content[0]]:
        if content[0] == _SIGNING:
            raise SecurityError("a signed APDU inside a signed APDU; one signature is taken")
        check = partial(security.general.check_signed, header, content, signed.signature)
        plain, inside = unseal(security, content, minimum, signed=check, broadcast=broadcast)
        if not inside.policy & SecurityPolicy.AUTHENTICATED:
            security.general.take_signed(header, content, signed.signature)
    else:
        demanded = security.context.minimum_policy if minimum is None else minimum
        security.check_policy(SecurityPolicy.SIGNED, ciphering_only(demanded))
        security.general.take_signed(header, content, signed.signature)
        plain, inside = content, PLAIN
    envelope = _envelope(
        security.context,
        inside.policy | SecurityPolicy.SIGNED,
        inside.dedicated,
        inside.general,
        inside.key,
        SigningOrder.CIPHER_FIRST,
        header.transaction_id,
    )
    return plain, replace(envelope, broadcast=True) if inside.broadcast else envelope


def _verified(security: AssociationSecurity, apdu: bytes) -> tuple[GeneralSigning, GeneralHeader]:
    """A general-signing APDU whose signature holds."""
    signed = decode_apdu(apdu, tolerances=STRICT)
    assert isinstance(signed, GeneralSigning)
    octets, rest = raw_header(apdu)
    header = _received_header(signed, octets)
    security.general.verify(header, signed.content, first_octet_string(rest), signed.signature)
    if not signed.content:
        raise DecodeError("general-signing with nothing signed in it", octets=apdu, offset=len(octets) + 1)
    return signed, header


def _received_header(apdu: GeneralCiphering | GeneralSigning, octets: bytes) -> GeneralHeader:
    return GeneralHeader(
        apdu.transaction_id,
        apdu.originator_system_title,
        apdu.recipient_system_title,
        apdu.date_time,
        apdu.other_information,
        octets,
    )


def _info(field: KeyInfoField) -> KeyInfo:
    if isinstance(field, IdentifiedKey):
        return KeyInfo(GeneralKey.IDENTIFIED, number=field.key_id)
    if isinstance(field, WrappedKey):
        if field.kek_id:
            raise SecurityError(f"a key wrapped with key {field.kek_id}; 0, the master key, is the only one")
        return KeyInfo(GeneralKey.WRAPPED, field.key_ciphered_data)
    key = _SCHEMES.get(field.key_parameters)
    if key is None:
        raise SecurityError(f"unknown key agreement scheme {field.key_parameters.hex() or 'without a number'}")
    return KeyInfo(key, field.key_ciphered_data)


def _field(info: KeyInfo) -> KeyInfoField:
    if info.key is GeneralKey.IDENTIFIED:
        return IdentifiedKey(info.number)
    if info.key is GeneralKey.WRAPPED:
        return WrappedKey(0, info.data)
    return AgreedKey(b"\1" if info.key is GeneralKey.ONE_PASS else b"\2", info.data)


_SCHEMES: Final = {b"\1": GeneralKey.ONE_PASS, b"\2": GeneralKey.STATIC_UNIFIED}


def _not_for_one(tag: int) -> SecurityError:
    return SecurityError(f"{_name(tag)} is under the broadcast key, which proves nothing about one partner")


def _name(tag: int) -> str:
    try:
        return ApduTag(tag).name.lower().replace("_", "-")
    except ValueError:
        return f"an APDU with the unknown tag {tag:#04x}"
