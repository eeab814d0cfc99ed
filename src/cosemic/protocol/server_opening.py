"""How a server's association is opened and closed, and how its answers are protected and sent.

``ServerAssociation`` adds the services to this. What an AARQ has to say is in ``admission``; here is what follows what.
Every APDU that leaves goes through ``_send``, or ``_push`` where it answers nothing.
"""

from __future__ import annotations

from cosemic.apdu.acse import (
    AssociationRequest,
    AssociationResponse,
    InitiateResponse,
    ReleaseRequest,
    ReleaseResponse,
)
from cosemic.apdu.base import Apdu, decode_apdu
from cosemic.apdu.services import (
    ExceptionResponse,
)
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import (
    AcseServiceProviderDiagnostic,
    AcseServiceUserDiagnostic,
    ApplicationContext,
    AssociationResult,
    AuthenticationMechanism,
    Conformance,
    ExceptionServiceError,
    ExceptionStateError,
    ReleaseResponseReason,
)
from cosemic.errors import (
    AuthenticationError,
    DecodeError,
    DlmsError,
    KeyMissing,
    LocalProtocolError,
    RemoteProtocolError,
    ReplayError,
    SecurityError,
)
from cosemic.protocol import redaction
from cosemic.protocol.admission import RefusedError, admit, offered_contexts
from cosemic.protocol.association import UNLIMITED, Association, Trace, logger
from cosemic.protocol.ciphering import (
    CIPHERED,
    INITIATE,
    PLAIN,
    Envelope,
    ciphering_only,
    reply_envelope,
    room,
    seal,
    unseal,
)
from cosemic.protocol.events import (
    AssociationClosed,
    AssociationOpened,
    AssociationParameters,
    ServerEvent,
)
from cosemic.protocol.general_blocks import GeneralBlocks, unacknowledged
from cosemic.protocol.opening import vaa_name
from cosemic.protocol.server_authentication import Passes
from cosemic.protocol.server_dispatch import make_serving
from cosemic.protocol.serving import Serving
from cosemic.protocol.settings import ServerSettings
from cosemic.protocol.short_name_serving import ShortNameServing
from cosemic.protocol.states import Event, State
from cosemic.security.context import AssociationSecurity, SecurityPolicy
from cosemic.security.hls import HlsExchange
from cosemic.tolerances import Tolerance, note


class ServerOpening(Association[ServerEvent]):
    """The part of a server's association that does not depend on which services are used in it."""

    __slots__ = (
        "_answers_in_blocks",
        "_datagram",
        "_envelope",
        "_hls",
        "_is_ciphered",
        "_is_opened",
        "_least",
        "_security",
        "_serving",
        "_uses_own_blocks",
        "settings",
    )

    def __init__(self, settings: ServerSettings | None, *, datagram: bool = False, trace: Trace | None = None) -> None:
        super().__init__(trace)
        self.settings = settings
        self._datagram = datagram
        self._answers_in_blocks = False  # as the request came in blocks
        self._uses_own_blocks = False  # those of its service carry an answer that is too long
        self._security: AssociationSecurity | None = None
        self._hls: HlsExchange | None = None
        self._serving: Serving | ShortNameServing | None = None
        self._envelope = PLAIN
        self._least = SecurityPolicy.NONE  # what the rights used by the open request demand of its response
        self._is_ciphered = False
        self._is_opened = False
        if settings is not None and settings.pre_established:
            self._pre_establish(settings)

    def _pre_establish(self, settings: ServerSettings) -> None:
        self._advance(Event.PRE_ESTABLISH)
        security = settings.security
        title = security.peer_system_title if security is not None else None
        if security is not None and security.has_keys:
            self._is_ciphered = True
            self._security = AssociationSecurity(
                security, role="server", received=settings.received, tolerances=settings.tolerances
            )
        contexts = offered_contexts(settings)
        context = max(contexts) if self._is_ciphered else min(contexts)
        self.parameters = AssociationParameters(
            context, AuthenticationMechanism.NONE, settings.conformance, 0xFFFF, title
        )
        self._opened()

    def _associate(self, plain: bytes) -> None:
        if self.settings is not None and self.settings.pre_established:
            self._send(_NO_AARQ, PLAIN)
            return
        if self.state is not State.IDLE:
            self._close(Event.ABORT, "the client opened a new association")
        tolerances = self.settings.tolerances if self.settings is not None else frozenset[Tolerance]()
        try:
            aarq = decode_apdu(plain, tolerances=tolerances)
        except DecodeError as error:
            logger.info("an AARQ that cannot be decoded: %s", error)
            self._send(_MALFORMED, PLAIN)
            return
        assert isinstance(aarq, AssociationRequest)
        self._advance(Event.ASSOCIATE)
        try:
            admission = admit(aarq, self.settings)
        except RefusedError as refused:
            logger.info("refused an association: %s", refused)
            self._trace_aarq(aarq, None)
            self._advance(Event.REFUSE)
            self._send(refused.response, PLAIN)
            return
        except (SecurityError, RemoteProtocolError) as error:
            self._trace_aarq(aarq, None)
            self._advance(Event.REFUSE)
            self._send(self._refused_opening(error), PLAIN)
            return
        self._trace_aarq(aarq, admission)
        self.parameters = admission.parameters
        self._security = admission.security
        self._is_ciphered = admission.is_ciphered
        self._hls = admission.hls
        self._send(admission.response, PLAIN)
        if self._hls is not None:
            self._advance(Event.CHALLENGE)
        else:
            self._advance(Event.ACCEPT)
            self._opened()

    def _refused_opening(self, error: DlmsError) -> ExceptionResponse:
        if isinstance(error, ReplayError):
            return ExceptionResponse(
                ExceptionStateError.SERVICE_NOT_ALLOWED,
                ExceptionServiceError.INVOCATION_COUNTER_ERROR,
                max(error.expected_above or 0, 0),
            )
        logger.warning("refused an association: %s", error)
        return exception(ExceptionServiceError.DECIPHERING_ERROR)

    def _authenticate(self, apdu: Apdu, envelope: Envelope) -> None:
        """Pass 3: f(StoC) proves the client; pass 4 proves us."""
        settings, hls = self.settings, self._hls
        assert settings is not None
        assert hls is not None
        passes = Passes.of(apdu, settings)
        if passes is None:
            self._send(NOT_ALLOWED, PLAIN)
            return
        reply = Envelope(ciphering_only(self._protection(envelope).policy), envelope.dedicated, envelope.general)
        try:
            hls.verify(passes.proof)
        except DlmsError as error:
            logger.warning("refused a client: %s", error)
            self._send(passes.refusal(), reply)
            self._close(Event.NOT_AUTHENTICATED, "the client failed to prove its secret")
            return
        self._send(passes.answer(Data.of(axdr.octet_string(hls.reply()))), reply)
        self._advance(Event.AUTHENTICATED)
        self._opened()

    def _opened(self) -> None:
        assert self.settings is not None
        assert self.parameters is not None
        self._hls = None
        self._is_opened = True
        if self._security is not None and self._is_ciphered:
            self._security.demands_signature = bool(self._security.context.minimum_policy & SecurityPolicy.SIGNED)
        self._serving = make_serving(self.settings, self.parameters.conformance)
        if self.parameters.conformance & Conformance.GENERAL_BLOCK_TRANSFER and self.settings.block_transfer_window:
            self._blocks = GeneralBlocks(
                window=self.settings.block_transfer_window,
                max_pdu_size=self.parameters.max_pdu_size,
                max_octets=self.settings.max_octets,
                answers=True,
                datagram=self._datagram,
            )
            self._longest = self.parameters.max_pdu_size or UNLIMITED
        self._events.append(AssociationOpened(self.settings, self.parameters))

    def _release(self, plain: bytes) -> None:
        if self.state is State.IDLE:
            self._send(ReleaseResponse(ReleaseResponseReason.NORMAL), PLAIN)
            return
        assert self.settings is not None
        if self.settings.pre_established:
            self._send(NOT_ALLOWED, PLAIN)
            return
        apdu = decode_apdu(plain, tolerances=self.settings.tolerances)
        assert isinstance(apdu, ReleaseRequest)
        content, security = apdu.user_information, self._security
        answer: bytes | None = None
        if content and CIPHERED[content[0]]:
            if security is None:
                self._send(exception(ExceptionServiceError.DECIPHERING_ERROR), PLAIN)
                return
            try:
                unseal(security, content)
            except DlmsError as error:
                self._send(self._refused(error), PLAIN)
                return
            answer = seal(security, self._initiate_response(), INITIATE)
        elif security is not None and self._is_ciphered and security.context.minimum_policy:
            if Tolerance.UNPROTECTED_RELEASE not in self.settings.tolerances:
                self._send(NOT_ALLOWED, PLAIN)
                return
            note(Tolerance.UNPROTECTED_RELEASE, "a plain RLRQ in a ciphered association")
        elif content:
            answer = self._initiate_response()
        self._send(ReleaseResponse(ReleaseResponseReason.NORMAL, answer), PLAIN)
        self._close(Event.ABORT, "released")

    def _initiate_response(self) -> bytes:
        assert self.settings is not None
        assert self.parameters is not None
        return InitiateResponse(
            None,
            self.parameters.dlms_version,
            self.parameters.conformance,
            self.settings.max_pdu_size,
            vaa_name(self.parameters.application_context),
        ).encode()

    def _close(self, event: Event, reason: str) -> None:
        self._advance(event)
        if self._security is not None:
            self._security.close()
        self._security = self._hls = self._serving = None
        self._end_blocks()
        self._answers_in_blocks = False
        self.parameters = None
        self._envelope = PLAIN
        self._is_ciphered = False
        if self._is_opened:
            self._is_opened = False
            assert self.settings is not None
            self._events.append(AssociationClosed(self.settings, reason))

    # Refusing and sending

    def _refused(self, error: DlmsError) -> ExceptionResponse:
        logger.warning("refused a ciphered APDU: %s", error)
        if isinstance(error, ReplayError):
            return ExceptionResponse(
                ExceptionStateError.SERVICE_NOT_ALLOWED,
                ExceptionServiceError.INVOCATION_COUNTER_ERROR,
                max(error.expected_above or 0, 0),
            )
        if isinstance(error, AuthenticationError | KeyMissing | RemoteProtocolError):
            return exception(ExceptionServiceError.DECIPHERING_ERROR)
        return NOT_ALLOWED

    def _protection(self, envelope: Envelope) -> Envelope:
        """How a reply is protected: like the request, and at least as the policy says."""
        security = self._security
        if security is None or not (self._is_ciphered or envelope.policy or self._least):
            return PLAIN
        return reply_envelope(security.context, envelope, self._least)

    def _room(self, envelope: Envelope) -> int:
        """The longest response before protection."""
        assert self.parameters is not None
        if self._blocks is None or self._uses_own_blocks:
            longest = self.parameters.max_pdu_size
        else:
            longest = self._blocks.longest - _LENGTHS
        return room(longest, envelope, UNLIMITED)

    def _send(self, apdu: Apdu, envelope: Envelope) -> None:
        plain = self._sealed(apdu, envelope)
        if self._answers_in_blocks or len(plain) > self._longest:
            self._send_in_blocks(plain)
        else:
            self._outgoing.append(plain)

    def _sealed(self, apdu: Apdu, envelope: Envelope) -> bytes:
        plain = apdu.encode()
        if self.trace is not None:
            self.trace("apdu", "out", self._redactor.service(plain))
        if envelope.policy:
            assert self._security is not None
            plain = seal(self._security, plain, envelope)
        return plain

    def _push(self, apdu: Apdu, envelope: Envelope) -> None:
        """Send what is no answer: it has nothing to do with a block transfer that is going on."""
        plain = self._sealed(apdu, envelope)
        longest = self.parameters.max_pdu_size if self.parameters is not None else 0
        if not longest or len(plain) <= longest:
            self._outgoing.append(plain)
        elif self._blocks is not None:
            self._outgoing += unacknowledged(plain, longest)
        else:
            raise LocalProtocolError(f"notify: {len(plain)} octets do not fit the client's maximum PDU of {longest}")

    def _trace_in(self, plain: bytes) -> None:
        if self.trace is not None:
            self.trace("apdu", "in", self._redactor.service(plain))

    def _trace_aarq(self, aarq: AssociationRequest, admission: object) -> None:
        if self.trace is not None:
            initiate = getattr(admission, "initiate", None)
            self.trace("apdu", "in", redaction.association_request(aarq, initiate))


def exception(error: ExceptionServiceError) -> ExceptionResponse:
    """The exception-response service-not-allowed with this error."""
    return ExceptionResponse(ExceptionStateError.SERVICE_NOT_ALLOWED, error)


NOT_ALLOWED = exception(ExceptionServiceError.OPERATION_NOT_POSSIBLE)
_MALFORMED = AssociationResponse(
    ApplicationContext.LOGICAL_NAME,
    AssociationResult.REJECTED_PERMANENT,
    AcseServiceProviderDiagnostic.NO_REASON_GIVEN,
    "provider",
)
_NO_AARQ = AssociationResponse(
    ApplicationContext.LOGICAL_NAME, AssociationResult.REJECTED_PERMANENT, AcseServiceUserDiagnostic.NO_REASON_GIVEN
)
_LENGTHS = 4
"""Octets that the length fields of an APDU beyond 65,535 octets take more."""
