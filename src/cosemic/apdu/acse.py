"""The ACSE APDUs: AARQ, AARE, RLRQ, RLRE (IEC 62056-5-3, clause 8), coded in BER.

``user_information`` is the xDLMS APDU as raw octets: an initiate request or response, a confirmed-service-error, or one
of these ciphered. ``decode_apdu`` takes it apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from cosemic.apdu.acse_fields import (
    Fields,
    decode_context,
    decode_mechanism,
    decode_reason,
    decode_requirements,
    encode_context,
    encode_mechanism,
    encode_number,
    encode_octets,
    read_fields,
)
from cosemic.apdu.fields import Apdu, Reader, shown
from cosemic.apdu.initiate import DLMS_VERSION, InitiateRequest, InitiateResponse
from cosemic.codec import ber
from cosemic.enums import (
    AcseServiceProviderDiagnostic,
    AcseServiceUserDiagnostic,
    ApplicationContext,
    AssociationResult,
    AuthenticationMechanism,
    ReleaseRequestReason,
    ReleaseResponseReason,
    known,
)
from cosemic.errors import DecodeError
from cosemic.tolerances import Tolerance, note

Diagnostic = AcseServiceUserDiagnostic | AcseServiceProviderDiagnostic | int


@dataclass(frozen=True, slots=True, repr=False)
class AssociationRequest(Apdu):
    """AARQ. An unknown context or mechanism name is kept as the octets of its object identifier.

    ``acse_requirements`` says that the authentication functional unit is named; left out, it follows ``mechanism``.
    """

    TAG: ClassVar[int] = 0x60
    application_context: ApplicationContext | bytes
    mechanism: AuthenticationMechanism | bytes | None = None
    calling_authentication_value: bytes | None = None
    calling_ap_title: bytes | None = None
    calling_ae_qualifier: bytes | None = None
    calling_ae_invocation_id: int | None = None
    user_information: bytes | None = None
    acse_requirements: bool | None = None
    protocol_version: bytes | None = None
    called_ap_title: bytes | None = None
    called_ae_qualifier: bytes | None = None
    called_ap_invocation_id: int | None = None
    called_ae_invocation_id: int | None = None
    calling_ap_invocation_id: int | None = None
    implementation_information: bytes | None = None

    def __post_init__(self) -> None:
        if self.acse_requirements is None:
            object.__setattr__(self, "acse_requirements", self.mechanism is not None)

    def _encode(self) -> bytes:
        content = b"".join(
            (
                b"" if self.protocol_version is None else ber.encode(0x80, self.protocol_version),
                encode_context(self.application_context),
                encode_octets(0xA2, self.called_ap_title),
                encode_octets(0xA3, self.called_ae_qualifier),
                encode_number(0xA4, self.called_ap_invocation_id),
                encode_number(0xA5, self.called_ae_invocation_id),
                encode_octets(0xA6, self.calling_ap_title),
                encode_octets(0xA7, self.calling_ae_qualifier),
                encode_number(0xA8, self.calling_ap_invocation_id),
                encode_number(0xA9, self.calling_ae_invocation_id),
                b"\x8a\x02\x07\x80" if self.acse_requirements else b"",
                encode_mechanism(0x8B, self.mechanism),
                encode_octets(0xAC, self.calling_authentication_value, ber_tag=0x80),
                b"" if self.implementation_information is None else ber.encode(0x9D, self.implementation_information),
                encode_octets(0xBE, self.user_information),
            )
        )
        return ber.encode(0x60, content)

    def __repr__(self) -> str:
        return shown(self, hidden=("calling_authentication_value", "user_information"))


@dataclass(frozen=True, slots=True, repr=False)
class AssociationResponse(Apdu):
    """AARE. Whether the association stands is judged by ``result`` and ``diagnostic`` alone."""

    TAG: ClassVar[int] = 0x61
    application_context: ApplicationContext | bytes
    result: AssociationResult | int
    diagnostic: Diagnostic
    diagnostic_source: Literal["user", "provider"] = "user"
    mechanism: AuthenticationMechanism | bytes | None = None
    responding_authentication_value: bytes | None = None
    responding_ap_title: bytes | None = None
    responding_ae_qualifier: bytes | None = None
    responding_ap_invocation_id: int | None = None
    responding_ae_invocation_id: int | None = None
    user_information: bytes | None = None
    acse_requirements: bool | None = None
    protocol_version: bytes | None = None
    implementation_information: bytes | None = None

    def __post_init__(self) -> None:
        if self.acse_requirements is None:
            object.__setattr__(self, "acse_requirements", self.mechanism is not None)

    def _encode(self) -> bytes:
        diagnostic = encode_number(0xA1 if self.diagnostic_source == "user" else 0xA2, self.diagnostic)
        content = b"".join(
            (
                b"" if self.protocol_version is None else ber.encode(0x80, self.protocol_version),
                encode_context(self.application_context),
                encode_number(0xA2, self.result),
                ber.encode(0xA3, diagnostic),
                encode_octets(0xA4, self.responding_ap_title),
                encode_octets(0xA5, self.responding_ae_qualifier),
                encode_number(0xA6, self.responding_ap_invocation_id),
                encode_number(0xA7, self.responding_ae_invocation_id),
                b"\x88\x02\x07\x80" if self.acse_requirements else b"",
                encode_mechanism(0x89, self.mechanism),
                encode_octets(0xAA, self.responding_authentication_value, ber_tag=0x80),
                b"" if self.implementation_information is None else ber.encode(0x9D, self.implementation_information),
                encode_octets(0xBE, self.user_information),
            )
        )
        return ber.encode(0x61, content)

    def __repr__(self) -> str:
        return shown(self, hidden=("responding_authentication_value",))


@dataclass(frozen=True, slots=True, repr=False)
class ReleaseRequest(Apdu):
    """RLRQ."""

    TAG: ClassVar[int] = 0x62
    reason: ReleaseRequestReason | int | None = None
    user_information: bytes | None = None

    def _encode(self) -> bytes:
        return ber.encode(0x62, _encode_release(self.reason, self.user_information))

    def __repr__(self) -> str:
        return shown(self, hidden=("user_information",))


@dataclass(frozen=True, slots=True)
class ReleaseResponse(Apdu):
    """RLRE."""

    TAG: ClassVar[int] = 0x63
    reason: ReleaseResponseReason | int | None = None
    user_information: bytes | None = None

    def _encode(self) -> bytes:
        return ber.encode(0x63, _encode_release(self.reason, self.user_information))


AARQ = AssociationRequest
AARE = AssociationResponse
RLRQ = ReleaseRequest
RLRE = ReleaseResponse

_AARQ_ORDER = (0x80, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0xA8, 0xA9, 0x8A, 0x8B, 0xAC, 0x9D, 0xBE)
_AARE_ORDER = (0x80, 0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6, 0xA7, 0x88, 0x89, 0xAA, 0x9D, 0xBE)
_RELEASE_ORDER = (0x80, 0xBE)


def decode_association_request(reader: Reader) -> AssociationRequest:
    """AARQ; the reader stands after the tag."""
    fields = read_fields(reader, "AARQ", _AARQ_ORDER)
    return AssociationRequest(
        application_context=decode_context(fields),
        mechanism=decode_mechanism(fields, 0x8B),
        calling_authentication_value=fields.octets(0xAC, "calling-authentication-value", ber_tag=0x80),
        calling_ap_title=fields.octets(0xA6, "calling-AP-title"),
        calling_ae_qualifier=fields.octets(0xA7, "calling-AE-qualifier"),
        calling_ae_invocation_id=fields.number(0xA9, "calling-AE-invocation-id"),
        user_information=fields.octets(0xBE, "user-information"),
        acse_requirements=decode_requirements(fields, 0x8A),
        protocol_version=fields.get(0x80),
        called_ap_title=fields.octets(0xA2, "called-AP-title"),
        called_ae_qualifier=fields.octets(0xA3, "called-AE-qualifier"),
        called_ap_invocation_id=fields.number(0xA4, "called-AP-invocation-id"),
        called_ae_invocation_id=fields.number(0xA5, "called-AE-invocation-id"),
        calling_ap_invocation_id=fields.number(0xA8, "calling-AP-invocation-id"),
        implementation_information=fields.get(0x9D),
    )


def decode_association_response(reader: Reader) -> AssociationResponse:
    """AARE; the reader stands after the tag."""
    fields = read_fields(reader, "AARE", _AARE_ORDER)
    result = fields.number(0xA2, "result")
    if result is None:
        raise reader.error("AARE without a result")
    diagnostic, source = _decode_diagnostic(fields)
    return AssociationResponse(
        application_context=decode_context(fields),
        result=known(AssociationResult, result),
        diagnostic=diagnostic,
        diagnostic_source=source,
        mechanism=decode_mechanism(fields, 0x89),
        responding_authentication_value=fields.octets(0xAA, "responding-authentication-value", ber_tag=0x80),
        responding_ap_title=fields.octets(0xA4, "responding-AP-title"),
        responding_ae_qualifier=fields.octets(0xA5, "responding-AE-qualifier"),
        responding_ap_invocation_id=fields.number(0xA6, "responding-AP-invocation-id"),
        responding_ae_invocation_id=fields.number(0xA7, "responding-AE-invocation-id"),
        user_information=fields.octets(0xBE, "user-information"),
        acse_requirements=decode_requirements(fields, 0x88),
        protocol_version=fields.get(0x80),
        implementation_information=fields.get(0x9D),
    )


def decode_release_request(reader: Reader) -> ReleaseRequest:
    """RLRQ; the reader stands after the tag."""
    fields = read_fields(reader, "RLRQ", _RELEASE_ORDER)
    reason = decode_reason(fields)
    information = fields.octets(0xBE, "user-information")
    return ReleaseRequest(None if reason is None else known(ReleaseRequestReason, reason), information)


def decode_release_response(reader: Reader) -> ReleaseResponse:
    """RLRE; the reader stands after the tag. Damaged content is what is left of a finished association: tolerated."""
    try:
        fields = read_fields(reader, "RLRE", _RELEASE_ORDER)
        reason = decode_reason(fields)
        information = fields.octets(0xBE, "user-information")
    except DecodeError as error:
        if Tolerance.ACSE_RELEASE_CONTENT not in reader.tolerances:
            raise
        note(Tolerance.ACSE_RELEASE_CONTENT, str(error))
        reason, information = _salvage_release(reader.octets)
        reader.offset = len(reader.octets)
    if reader.left and Tolerance.ACSE_RELEASE_CONTENT in reader.tolerances:
        note(Tolerance.ACSE_RELEASE_CONTENT, f"RLRE followed by {reader.left} octets")
        reader.offset = len(reader.octets)
    return ReleaseResponse(None if reason is None else known(ReleaseResponseReason, reason), information)


def _encode_release(reason: int | None, user_information: bytes | None) -> bytes:
    return (b"" if reason is None else ber.encode(0x80, ber.encode_integer(reason))) + encode_octets(
        0xBE, user_information
    )


def _decode_diagnostic(fields: Fields) -> tuple[Diagnostic, Literal["user", "provider"]]:
    content = fields.get(0xA3)
    if content is None:
        raise fields.reader.error("AARE without a result-source-diagnostic")
    choice, start, end = ber.decode_header(content, 0, len(content))
    if choice not in (0xA1, 0xA2) or end != len(content):
        raise fields.reader.error("result-source-diagnostic is neither acse-service-user nor acse-service-provider")
    number = ber.decode_integer(ber.decode_only(content, start, end, ber.INTEGER, "diagnostic"), "diagnostic")
    if choice == 0xA1:
        return known(AcseServiceUserDiagnostic, number), "user"
    return known(AcseServiceProviderDiagnostic, number), "provider"


def _salvage_release(octets: bytes) -> tuple[int | None, bytes | None]:
    """What can be read of a damaged RLRE: the reason, and user-information that ends where the octets end."""
    reason = ber.decode_integer(octets[4:5], "reason") if octets[2:4] == b"\x80\x01" and len(octets) > 4 else None
    place = octets.find(b"\xbe", 2)
    # BE, a length that may be wrong, 04, a length, the octets.
    if place >= 0 and octets[place + 2 : place + 3] == b"\x04" and octets[place + 3 : place + 4]:
        information = octets[place + 4 :]
        if len(information) == octets[place + 3]:
            return reason, information
    return reason, None


__all__ = [
    "AARE",
    "AARQ",
    "DLMS_VERSION",
    "RLRE",
    "RLRQ",
    "AssociationRequest",
    "AssociationResponse",
    "Diagnostic",
    "InitiateRequest",
    "InitiateResponse",
    "ReleaseRequest",
    "ReleaseResponse",
]
