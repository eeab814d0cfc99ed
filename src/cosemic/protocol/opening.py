"""How a client opens and closes an association: what its AARQ says, and how it judges the AARE (IEC 62056-5-3, 7.2)."""

from __future__ import annotations

from cosemic.apdu.acse import (
    AssociationRequest,
    AssociationResponse,
    InitiateRequest,
    InitiateResponse,
    ReleaseRequest,
)
from cosemic.apdu.base import Apdu, decode_apdu
from cosemic.apdu.services import ConfirmedServiceError
from cosemic.enums import (
    ApduTag,
    ApplicationContext,
    AuthenticationMechanism,
    Conformance,
    Referencing,
    ReleaseRequestReason,
)
from cosemic.errors import (
    AssociationRefused,
    ConfirmedServiceErrorReceived,
    DecodeError,
    KeyMissing,
    RemoteProtocolError,
)
from cosemic.protocol import hints
from cosemic.protocol.ciphering import INITIATE, needs_general_protection, seal
from cosemic.protocol.events import AssociationParameters
from cosemic.protocol.settings import DEFAULT_CONFORMANCE, MINIMUM_PDU_SIZE, ClientSettings
from cosemic.protocol.short_naming import ASSOCIATION_BASE_NAME, ONLY_SHORT_NAMES, SHORT_NAME_CONFORMANCE
from cosemic.security.context import AssociationSecurity
from cosemic.security.hls import HlsExchange
from cosemic.tolerances import Tolerance, note

DLMS_VERSION = 6
_VAA_NAME = 0x0007


def vaa_name(context: ApplicationContext | int) -> int:
    """The vaa-name of an InitiateResponse: with short names the base name of the association."""
    return ASSOCIATION_BASE_NAME if ApplicationContext(context).is_short_name else _VAA_NAME


def application_context(settings: ClientSettings) -> ApplicationContext:
    """The context to ask for: ciphered where keys were given, unless the settings say otherwise."""
    if settings.application_context is not None:
        return settings.application_context
    security = settings.security
    ciphered = security is not None and (security.has_keys or (settings.broadcast and security.has_broadcast_key))
    if settings.referencing is Referencing.SHORT_NAME:
        return ApplicationContext.SHORT_NAME_CIPHERED if ciphered else ApplicationContext.SHORT_NAME
    return ApplicationContext.LOGICAL_NAME_CIPHERED if ciphered else ApplicationContext.LOGICAL_NAME


def proposed_conformance(settings: ClientSettings, datagram: bool = False) -> Conformance:
    """The services to propose, or without AARQ to take as agreed: the most usual ones then, as nobody can object."""
    if settings.conformance is not None:
        return settings.conformance
    by_short_names = settings.referencing is Referencing.SHORT_NAME
    proposed = SHORT_NAME_CONFORMANCE if by_short_names else DEFAULT_CONFORMANCE
    if settings.security is not None and (settings.security.general or needs_general_protection(settings.security)):
        proposed |= Conformance.GENERAL_PROTECTION
    window = settings.block_transfer_window
    if window == 0 or (window is None and (datagram or settings.pre_established)):
        proposed &= ~Conformance.GENERAL_BLOCK_TRANSFER
    if settings.pre_established:
        proposed &= ~Conformance.ACCESS
    return proposed


def hls_exchange(settings: ClientSettings, security: AssociationSecurity | None) -> HlsExchange | None:
    """Challenge and reply, for the mechanisms that have them."""
    if settings.mechanism in (AuthenticationMechanism.NONE, AuthenticationMechanism.LLS):
        return None
    return HlsExchange(
        settings.mechanism,
        role="client",
        secret=settings.password,
        security=security,
        function=settings.hls_function,
        challenge_length=settings.challenge_length,
        random=settings.random_octets,
    )


def association_request(
    settings: ClientSettings,
    security: AssociationSecurity | None,
    hls: HlsExchange | None,
    datagram: bool = False,
) -> tuple[AssociationRequest, InitiateRequest]:
    """The AARQ and the InitiateRequest in it; takes an invocation counter, and a dedicated key where one is wanted."""
    context = application_context(settings)
    ciphered = context.is_ciphered
    if ciphered and security is None:
        raise KeyMissing("the ciphered application context needs a SecurityContext")
    dedicated_key: bytes | None = None
    if ciphered and security is not None and security.context.dedicated_key:
        dedicated_key = security.context.new_dedicated_key()
        security.set_dedicated_key(dedicated_key)
    initiate = InitiateRequest(
        dedicated_key, True, None, DLMS_VERSION, proposed_conformance(settings, datagram), settings.max_pdu_size
    )
    user_information = initiate.encode()
    if ciphered and security is not None:
        user_information = seal(security, user_information, INITIATE)
    mechanism = settings.mechanism
    value = settings.password if mechanism == AuthenticationMechanism.LLS else None
    aarq = AssociationRequest(
        application_context=context,
        mechanism=None if mechanism == AuthenticationMechanism.NONE else mechanism,
        calling_authentication_value=value if hls is None else hls.own_challenge,
        calling_ap_title=security.system_title if security is not None else None,
        calling_ae_qualifier=security.context.certificate if security is not None else None,
        calling_ae_invocation_id=settings.user_id,
        user_information=user_information,
    )
    return aarq, initiate


def release_request(
    settings: ClientSettings, security: AssociationSecurity | None, datagram: bool = False
) -> ReleaseRequest:
    """The RLRQ; in a ciphered association it proves itself by a protected InitiateRequest."""
    if security is None or not application_context(settings).is_ciphered:
        return ReleaseRequest(ReleaseRequestReason.NORMAL)
    proposed = proposed_conformance(settings, datagram)
    initiate = InitiateRequest(None, True, None, DLMS_VERSION, proposed, settings.max_pdu_size)
    return ReleaseRequest(ReleaseRequestReason.NORMAL, seal(security, initiate.encode(), INITIATE))


def negotiated(
    aare: AssociationResponse, response: InitiateResponse, initiate: InitiateRequest, settings: ClientSettings
) -> AssociationParameters:
    """What holds after an AARE that accepts: never more than was proposed."""
    tolerances = settings.tolerances
    context = application_context(settings)
    if aare.application_context != context:
        detail = f"application context {aare.application_context!r} in the AARE, {context!r} was asked for"
        _tolerate(Tolerance.AARE_CONTEXT_NAME, detail, tolerances)
    if response.negotiated_dlms_version < DLMS_VERSION:
        raise RemoteProtocolError(f"the meter speaks DLMS version {response.negotiated_dlms_version}, 6 is needed")
    if response.vaa_name != vaa_name(context):
        detail = f"VAA name {response.vaa_name:#06x} instead of {vaa_name(context):#06x}"
        _tolerate(Tolerance.VAA_NAME, detail, tolerances)
    proposed, answered = initiate.proposed_conformance, response.negotiated_conformance
    if answered & ~proposed:
        detail = f"conformance {int(answered):06X} where {int(proposed):06X} was proposed"
        _tolerate(Tolerance.NEGOTIATION_SUPERSET, detail, tolerances)
    conformance = answered & proposed
    if context.is_short_name and not answered & (Conformance.READ | Conformance.WRITE):
        detail = f"conformance {int(answered):06X}, without Read and Write, in an association with short names"
        _tolerate(Tolerance.UNNEGOTIATED_SERVICE, detail, tolerances)
        conformance |= proposed & ONLY_SHORT_NAMES
    size = response.server_max_receive_pdu_size
    if 0 < size < MINIMUM_PDU_SIZE:
        raise RemoteProtocolError(f"the meter takes APDUs of {size} octets only; {MINIMUM_PDU_SIZE} is the least")
    return AssociationParameters(
        application_context=context,
        mechanism=settings.mechanism,
        conformance=conformance,
        max_pdu_size=size,
        peer_system_title=aare.responding_ap_title or None,
        dlms_version=response.negotiated_dlms_version,
        user_id=settings.user_id,
    )


def refusal(aare: AssociationResponse, settings: ClientSettings) -> AssociationRefused:
    """The error for an AARE that rejects; result and diagnostic judge, whatever else stands in it."""
    hint = hints.refusal(aare.diagnostic, settings.mechanism)
    content = aare.user_information
    if content and content[0] == ApduTag.CONFIRMED_SERVICE_ERROR:
        error: Apdu | None
        try:
            error = decode_apdu(content, tolerances=settings.tolerances)
        except DecodeError:
            error = None
        if isinstance(error, ConfirmedServiceError):
            hint = f"{error.text}; {hint}" if hint else error.text
    return AssociationRefused(aare.result, aare.diagnostic, hint)


def service_error(apdu: ConfirmedServiceError, what: str | None) -> ConfirmedServiceErrorReceived:
    """The exception of a confirmed-service-error."""
    return ConfirmedServiceErrorReceived(apdu.service, apdu.error_type, apdu.error, apdu.text, target=what)


def _tolerate(tolerance: Tolerance, detail: str, tolerances: frozenset[Tolerance]) -> None:
    if tolerance not in tolerances:
        raise RemoteProtocolError(detail)
    note(tolerance, detail)
