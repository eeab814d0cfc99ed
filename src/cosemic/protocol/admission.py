"""Whether a server lets a client in: the checks of an AARQ, in order, and the AARE that follows (IEC 62056-5-3, 7.2).

What a client learns from a refusal is the diagnostic of the standard; whether the system title, the key or the
password was wrong is told apart only as far as the standard does.
"""

from __future__ import annotations

from dataclasses import dataclass

from cosemic.apdu.acse import AssociationRequest, AssociationResponse, InitiateRequest, InitiateResponse
from cosemic.apdu.base import decode_apdu
from cosemic.apdu.services import ConfirmedServiceError
from cosemic.enums import (
    AcseServiceProviderDiagnostic,
    AcseServiceUserDiagnostic,
    ApplicationContext,
    AssociationResult,
    AuthenticationMechanism,
    ConfirmedService,
    Conformance,
    ServiceErrorType,
)
from cosemic.errors import AuthenticationError, RemoteProtocolError, SecurityError
from cosemic.protocol.ciphering import CIPHERED, INITIATE, PLAIN, seal, unseal
from cosemic.protocol.events import AssociationParameters
from cosemic.protocol.opening import DLMS_VERSION, vaa_name
from cosemic.protocol.settings import MINIMUM_PDU_SIZE, ServerSettings
from cosemic.protocol.short_naming import ONLY_LOGICAL_NAMES, ONLY_SHORT_NAMES
from cosemic.security.context import AssociationSecurity, SecurityPolicy
from cosemic.security.hls import HlsExchange, verify_password

_SYSTEM_TITLE_NEEDED = frozenset(
    (AuthenticationMechanism.HLS_GMAC, AuthenticationMechanism.HLS_SHA256, AuthenticationMechanism.HLS_ECDSA)
)
_WITHOUT_HLS = frozenset((AuthenticationMechanism.NONE, AuthenticationMechanism.LLS))


class RefusedError(Exception):
    """The AARQ is answered with this AARE."""

    def __init__(self, response: AssociationResponse, reason: str) -> None:
        super().__init__(reason)
        self.response = response


@dataclass(slots=True)
class Admission:
    """An AARQ that was accepted, and what the association starts with."""

    response: AssociationResponse
    parameters: AssociationParameters
    security: AssociationSecurity | None
    hls: HlsExchange | None
    initiate: InitiateRequest
    is_ciphered: bool


def admit(aarq: AssociationRequest, settings: ServerSettings | None) -> Admission:
    """Check an AARQ. RefusedError holds the AARE that rejects it; a SecurityError comes from its ciphered part."""
    context = _known_context(aarq)
    if settings is None:
        raise _refused(context, _User.NO_REASON_GIVEN, "no association for this client")
    if aarq.protocol_version is not None and not _has_version_1(aarq.protocol_version):
        response = AssociationResponse(
            context,
            AssociationResult.REJECTED_PERMANENT,
            AcseServiceProviderDiagnostic.NO_COMMON_ACSE_VERSION,
            "provider",
        )
        raise RefusedError(response, "no common ACSE version")
    if aarq.application_context not in offered_contexts(settings):
        raise _refused(_other_context(settings), _User.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED, "application context")
    _check_mechanism(aarq, settings, context)
    is_ciphered = context.is_ciphered
    security = _security(aarq, settings, context, is_ciphered)
    initiate = _initiate(aarq, settings, security, context, is_ciphered)
    conformance = _negotiate(initiate, settings, context, is_ciphered)
    if initiate.dedicated_key is not None and security is not None and is_ciphered:
        try:
            security.set_dedicated_key(initiate.dedicated_key)
        except SecurityError as error:
            raise _refused(context, _User.NO_REASON_GIVEN, str(error), _initiate_error(0)) from None
    hls = _authenticate(aarq, settings, security, context)
    title = security.system_title if security is not None else None
    answer = InitiateResponse(None, DLMS_VERSION, conformance, settings.max_pdu_size, vaa_name(context)).encode()
    response = AssociationResponse(
        context,
        AssociationResult.ACCEPTED,
        _User.NULL if hls is None else _User.AUTHENTICATION_REQUIRED,
        mechanism=None if hls is None else settings.mechanism,
        responding_authentication_value=None if hls is None else hls.own_challenge,
        responding_ap_title=title,
        responding_ae_qualifier=security.context.certificate if security is not None else None,
        user_information=seal(security, answer, INITIATE) if is_ciphered and security is not None else answer,
    )
    parameters = AssociationParameters(
        application_context=context,
        mechanism=settings.mechanism,
        conformance=conformance,
        max_pdu_size=initiate.client_max_receive_pdu_size,
        peer_system_title=aarq.calling_ap_title or None,
        dlms_version=DLMS_VERSION,
        user_id=aarq.calling_ae_invocation_id,
    )
    return Admission(response, parameters, security, hls, initiate, is_ciphered)


def offered_contexts(settings: ServerSettings) -> frozenset[ApplicationContext]:
    """The application contexts that an association takes."""
    security = settings.security
    if settings.application_contexts is not None:
        if security is not None and security.is_strengthened:
            return frozenset(context for context in settings.application_contexts if context.is_ciphered)
        return settings.application_contexts
    plain, ciphered = ApplicationContext.LOGICAL_NAME, ApplicationContext.LOGICAL_NAME_CIPHERED
    if settings.short_names is not None:
        plain, ciphered = ApplicationContext.SHORT_NAME, ApplicationContext.SHORT_NAME_CIPHERED
    if security is None or not security.has_keys:
        return frozenset((plain,))
    return frozenset((ciphered,)) if security.minimum_policy else frozenset((plain, ciphered))


def _known_context(aarq: AssociationRequest) -> ApplicationContext:
    context = aarq.application_context
    return context if isinstance(context, ApplicationContext) else ApplicationContext.LOGICAL_NAME


def _other_context(settings: ServerSettings) -> ApplicationContext:
    return min(offered_contexts(settings), default=ApplicationContext.LOGICAL_NAME)


def _has_version_1(bits: bytes) -> bool:
    """A BIT STRING: the number of unused bits, then the bits; bit 0 is version 1."""
    return len(bits) > 1 and bool(bits[1] & 0x80)


def _check_mechanism(aarq: AssociationRequest, settings: ServerSettings, context: ApplicationContext) -> None:
    offered = AuthenticationMechanism.NONE if aarq.mechanism is None else aarq.mechanism
    if offered == settings.mechanism:
        return
    if offered == AuthenticationMechanism.NONE:
        raise _refused(context, _User.AUTHENTICATION_MECHANISM_NAME_REQUIRED, "no authentication mechanism")
    raise _refused(context, _User.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED, "other authentication mechanism")


def _security(
    aarq: AssociationRequest, settings: ServerSettings, context: ApplicationContext, is_ciphered: bool
) -> AssociationSecurity | None:
    configured = settings.security
    title = aarq.calling_ap_title
    if title is None and (is_ciphered or settings.mechanism in _SYSTEM_TITLE_NEEDED):
        raise _refused(context, _User.CALLING_AP_TITLE_NOT_RECOGNIZED, "no system title")
    if configured is None:
        return None
    try:
        security = AssociationSecurity(
            configured, role="server", received=settings.received, tolerances=settings.tolerances
        )
        if title is not None:
            security.peer_system_title = title
            if aarq.calling_ae_qualifier:
                _take_certificate(security, aarq.calling_ae_qualifier, context)
    except SecurityError as error:
        raise _refused(context, _User.CALLING_AP_TITLE_NOT_RECOGNIZED, str(error)) from None
    return security


def _take_certificate(security: AssociationSecurity, certificate: bytes, context: ApplicationContext) -> None:
    try:
        security.take_certificate(certificate)
    except SecurityError as error:
        raise _refused(context, _User.CALLING_AE_QUALIFIER_NOT_RECOGNIZED, str(error)) from None


def _initiate(
    aarq: AssociationRequest,
    settings: ServerSettings,
    security: AssociationSecurity | None,
    context: ApplicationContext,
    is_ciphered: bool,
) -> InitiateRequest:
    content = aarq.user_information
    if not content:
        raise _refused(context, _User.NO_REASON_GIVEN, "no InitiateRequest")
    envelope = PLAIN
    if CIPHERED[content[0]]:
        if security is None or not is_ciphered:
            raise _refused(context, _User.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED, "ciphered outside its context")
        minimum = security.context.minimum_policy | SecurityPolicy.AUTHENTICATED
        content, envelope = unseal(security, content, minimum)
    if is_ciphered and not envelope.policy:
        raise _refused(context, _User.NO_REASON_GIVEN, "a plain InitiateRequest in the ciphered context")
    try:
        initiate = decode_apdu(content, tolerances=settings.tolerances)
    except RemoteProtocolError as error:
        raise _refused(context, _User.NO_REASON_GIVEN, str(error)) from None
    if not isinstance(initiate, InitiateRequest):
        raise _refused(context, _User.NO_REASON_GIVEN, "the AARQ holds no InitiateRequest")
    return initiate


def _negotiate(
    initiate: InitiateRequest, settings: ServerSettings, context: ApplicationContext, is_ciphered: bool
) -> Conformance:
    if initiate.proposed_dlms_version < DLMS_VERSION:
        raise _refused(context, _User.NO_REASON_GIVEN, "DLMS version too low", _initiate_error(1))
    offered = settings.conformance
    if not settings.block_transfer_window:
        offered &= ~Conformance.GENERAL_BLOCK_TRANSFER
    if is_ciphered:
        offered |= Conformance.GENERAL_PROTECTION
    offered &= ~(ONLY_LOGICAL_NAMES if context.is_short_name else ONLY_SHORT_NAMES)
    conformance = initiate.proposed_conformance & offered
    if not conformance & _SERVICES:
        raise _refused(context, _User.NO_REASON_GIVEN, "no common services", _initiate_error(2))
    if 0 < initiate.client_max_receive_pdu_size < MINIMUM_PDU_SIZE:
        raise _refused(context, _User.NO_REASON_GIVEN, "PDU size too short", _initiate_error(3))
    return conformance


def _authenticate(
    aarq: AssociationRequest,
    settings: ServerSettings,
    security: AssociationSecurity | None,
    context: ApplicationContext,
) -> HlsExchange | None:
    value = aarq.calling_authentication_value
    if settings.mechanism == AuthenticationMechanism.NONE:
        return None
    if value is None:
        raise _refused(context, _User.AUTHENTICATION_REQUIRED, "no authentication value")
    if settings.mechanism == AuthenticationMechanism.LLS:
        assert settings.secret is not None
        try:
            verify_password(settings.secret, value)
        except AuthenticationError:
            raise _refused(context, _User.AUTHENTICATION_FAILURE, "wrong password") from None
        return None
    hls = HlsExchange(
        settings.mechanism,
        role="server",
        secret=settings.secret,
        security=security,
        peer_title=aarq.calling_ap_title,
        function=settings.hls_function,
        challenge_length=settings.challenge_length,
        random=settings.random_octets,
    )
    try:
        hls.peer_challenge = value
    except AuthenticationError as error:
        raise _refused(context, _User.AUTHENTICATION_FAILURE, str(error)) from None
    return hls


_User = AcseServiceUserDiagnostic
_SERVICES = (
    Conformance.GET | Conformance.SET | Conformance.ACTION | Conformance.ACCESS | Conformance.READ | Conformance.WRITE
)


def _initiate_error(error: int) -> bytes:
    return ConfirmedServiceError(ConfirmedService.INITIATE_ERROR, ServiceErrorType.INITIATE, error).encode()


def _refused(
    context: ApplicationContext,
    diagnostic: AcseServiceUserDiagnostic,
    reason: str,
    user_information: bytes | None = None,
) -> RefusedError:
    response = AssociationResponse(
        context, AssociationResult.REJECTED_PERMANENT, diagnostic, user_information=user_information
    )
    return RefusedError(response, reason)
