"""What a refusal usually means, in plain words."""

from __future__ import annotations

from cosemic.enums import (
    AcseServiceProviderDiagnostic,
    AcseServiceUserDiagnostic,
    AuthenticationMechanism,
    ExceptionServiceError,
)

SECRET_OF = {
    AuthenticationMechanism.HLS_GMAC: "keys and the system title",
    AuthenticationMechanism.HLS_ECDSA: "signing key, the public keys on both sides and the system title",
}
"""What a proof rests on, where it is not a password."""


def refusal(
    diagnostic: AcseServiceUserDiagnostic | AcseServiceProviderDiagnostic | int | None,
    mechanism: AuthenticationMechanism,
) -> str | None:
    """The hint for an AARE that rejects."""
    if isinstance(diagnostic, AcseServiceProviderDiagnostic):
        return _PROVIDER.get(diagnostic)
    if diagnostic == AcseServiceUserDiagnostic.AUTHENTICATION_FAILURE:
        if mechanism in SECRET_OF:
            return f"check the {SECRET_OF[mechanism]}"
        if mechanism == AuthenticationMechanism.NONE:
            return "the meter wants authentication for this client"
        return "check the password"
    return None if diagnostic is None else _USER.get(int(diagnostic))


def exception(service_error: int, in_exchange: bool) -> str | None:
    """The hint for an exception-response."""
    hint = _EXCEPTIONS.get(int(service_error))
    if hint is None and not in_exchange:
        return "the meter refuses to open the association: check client and server address and the keys"
    return hint


_USER = {
    int(AcseServiceUserDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED): (
        "the meter does not take this application context: with or without ciphering, for this client"
    ),
    int(AcseServiceUserDiagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED): (
        "the meter does not know our system title, or wants one: check system_title"
    ),
    int(AcseServiceUserDiagnostic.CALLING_AE_QUALIFIER_NOT_RECOGNIZED): "the meter does not take our certificate",
    int(AcseServiceUserDiagnostic.CALLING_AE_INVOCATION_IDENTIFIER_NOT_RECOGNIZED): "check user_id",
    int(AcseServiceUserDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED): (
        "the meter does not take this authentication mechanism for this client"
    ),
    int(AcseServiceUserDiagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED): (
        "the meter wants authentication for this client: choose a mechanism"
    ),
    int(AcseServiceUserDiagnostic.AUTHENTICATION_REQUIRED): (
        "the meter wants authentication for this client: choose a mechanism"
    ),
    int(AcseServiceUserDiagnostic.NO_REASON_GIVEN): (
        "the meter tells no reason; often the client address, the password or the proposed conformance"
    ),
}
_PROVIDER = {
    AcseServiceProviderDiagnostic.NO_REASON_GIVEN: "the meter tells no reason",
    AcseServiceProviderDiagnostic.NO_COMMON_ACSE_VERSION: "the meter speaks another version of ACSE",
}
_EXCEPTIONS = {
    int(ExceptionServiceError.DECIPHERING_ERROR): (
        "the meter could not decipher us: check the encryption key, the authentication key and the system title"
    ),
    int(ExceptionServiceError.INVOCATION_COUNTER_ERROR): (
        "it saw a higher one from this key before: set counter_recovery='from-answer' (allow_counter_from_meter=True) "
        "to go on from there, or 'from-public-client', or move the counter store forward"
    ),
    int(ExceptionServiceError.PDU_TOO_LONG): "the request or its answer is longer than the meter can take",
    int(ExceptionServiceError.SERVICE_NOT_SUPPORTED): "the meter does not have this service",
}
