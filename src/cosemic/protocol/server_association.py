"""The server's side of an application association: one client SAP, one logical device. No link, no clock.

How a request is refused (IEC 62056-5-3, 7.3.14):

==========================================  =====================================================
what came                                   answer
==========================================  =====================================================
a service without association               exception-response service-not-allowed, operation-not-possible
anything but pass 3 while it is due         the same
less protection than the policy demands     the same
a confirmed request by the broadcast key    the same
an envelope that does not open              exception-response service-not-allowed, deciphering-error
an invocation counter that is not new       exception-response service-not-allowed, invocation-counter-error
a service that was not negotiated           exception-response service-not-allowed, service-not-supported
an APDU that no server takes                exception-response service-unknown, service-not-supported
octets that are no APDU                     exception-response service-not-allowed, other-reason
AARQ in a pre-established association       AARE rejected-permanent, no-reason-given: that association stays
RLRQ in a pre-established association       exception-response service-not-allowed, operation-not-possible
==========================================  =====================================================
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
from cosemic.apdu.general import GeneralBlockTransfer
from cosemic.apdu.notify import DataNotificationConfirm
from cosemic.apdu.services import (
    AccessRequest,
    ActionRequestWithPblock,
    ExceptionResponse,
    ReadRequest,
    SetRequestWithDatablock,
    UnconfirmedWriteRequest,
    WriteRequest,
)
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import (
    AcseServiceProviderDiagnostic,
    AcseServiceUserDiagnostic,
    ApduTag,
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
from cosemic.protocol import notifications, redaction
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
    NotificationConfirmed,
    Requested,
    ServerEvent,
)
from cosemic.protocol.general_blocks import GeneralBlocks, unacknowledged
from cosemic.protocol.opening import vaa_name
from cosemic.protocol.requests import Result
from cosemic.protocol.server_authentication import Passes
from cosemic.protocol.serving import NOT_SUPPORTED, Serving
from cosemic.protocol.settings import ServerSettings
from cosemic.protocol.short_name_serving import ShortNameServing, is_further_block
from cosemic.protocol.states import Event, State
from cosemic.security.context import AssociationSecurity, SecurityPolicy
from cosemic.security.hls import HlsExchange
from cosemic.tolerances import Tolerance, note


class ServerAssociation(Association[ServerEvent]):
    """What a meter has with one client. ``settings`` None: nothing is offered to it, and every AARQ is refused."""

    __slots__ = (
        "_answers_in_blocks",
        "_datagram",
        "_envelope",
        "_hls",
        "_is_ciphered",
        "_is_opened",
        "_least",
        "_proved",
        "_security",
        "_services",
        "_serving",
        "settings",
    )

    def __init__(self, settings: ServerSettings | None, *, datagram: bool = False, trace: Trace | None = None) -> None:
        """``datagram``: what is below may bring APDUs twice, or late."""
        super().__init__(trace)
        self.settings = settings
        self._datagram = datagram
        self._answers_in_blocks = False  # as the request came in blocks
        self._security: AssociationSecurity | None = None
        self._hls: HlsExchange | None = None
        self._serving: Serving | ShortNameServing | None = None
        by_short_names = settings is not None and settings.short_names is not None
        self._services = _BY_SHORT_NAME if by_short_names else _BY_LOGICAL_NAME
        self._envelope = PLAIN
        self._least = SecurityPolicy.NONE  # what the rights used by the open request demand of its response
        self._is_ciphered = False
        self._is_opened = False
        self._proved = SecurityPolicy.NONE  # what protected every block of a request so far
        if settings is not None and settings.pre_established:
            self._pre_establish(settings)

    def receive_apdu(self, apdu: bytes) -> None:
        """Take one APDU from the client; never raises because of what it is."""
        if not apdu:
            return
        if apdu[0] == ApduTag.GENERAL_BLOCK_TRANSFER:
            self._receive_block(apdu)
            return
        if self._blocks_used:
            self._begin_exchange()
            self._answers_in_blocks = False
        self._receive_whole(apdu)

    def _receive_whole(self, apdu: bytes) -> None:
        envelope = PLAIN
        plain = apdu
        if CIPHERED[apdu[0]]:
            if self._security is None or self.state is State.IDLE:
                self._send(_NOT_ALLOWED, PLAIN)
                return
            try:
                plain, envelope = unseal(self._security, apdu, broadcast=True)
            except DlmsError as error:
                self._send(self._refused(error), PLAIN)
                return
        try:
            self._receive(plain, envelope)
        except DecodeError as error:
            logger.info("an APDU that cannot be decoded: %s", error)
            self._trace_in(plain)
            self._send(_exception(ExceptionServiceError.OTHER_REASON), PLAIN)

    @property
    def protectable(self) -> SecurityPolicy:
        """Which protection the responses of this association can have."""
        if not self._is_ciphered:
            return SecurityPolicy.NONE
        assert self._security is not None
        assert self.parameters is not None
        if self._security.context.signing_key is None:
            return SecurityPolicy.AUTHENTICATED_ENCRYPTED
        if not self.parameters.conformance & Conformance.GENERAL_PROTECTION:
            return SecurityPolicy.AUTHENTICATED_ENCRYPTED
        return _ALL_PROTECTION

    def respond(self, result: Result, least: SecurityPolicy = SecurityPolicy.NONE) -> None:
        """Answer the request that ``Requested`` told of; LocalProtocolError when there is none, or it does not fit.

        ``least`` is protection that the response needs besides what the policy and the request ask for.
        """
        serving = self._serving
        if serving is None or self.state is not State.EXCHANGING:
            raise LocalProtocolError("respond: no request is open")
        if least is not SecurityPolicy.NONE and least & ~self._envelope.policy:
            if least & ~self.protectable:
                raise LocalProtocolError("respond: the response needs protection that this association has no keys for")
            self._least |= least
            self._envelope = self._protection(self._envelope)
            serving.room = self._room(self._envelope)
        response = serving.respond(result)
        if not isinstance(response, Apdu):  # a Read or Write of attributes and methods: the next of them
            self._events.append(Requested(response, self._proved, True, False, self.settings))
            return
        if not serving.in_blocks:
            self.state = State.ASSOCIATED
        self._send(response, self._envelope)

    def notify(self, apdu: Apdu) -> None:
        """Push an APDU (DataNotification, EventNotification, InformationReport), protected by the association's policy.

        What is longer than the client takes goes in general blocks that nobody acknowledges. ``NotificationConfirmed``
        follows a confirmed DataNotification, unless it, or its confirmation, is lost. LocalProtocolError for what was
        not agreed on, or does not fit.
        """
        notifications.check(apdu, self.parameters)
        self._step(Event.NOTIFY, "notify")
        self._push(apdu, self._protection(PLAIN))

    def abort(self, reason: str) -> None:
        """The link is down, or the meter ends it: forget the association."""
        if self.state is not State.IDLE:
            self._close(Event.ABORT, reason)
        if self.settings is not None and self.settings.pre_established:
            self._pre_establish(self.settings)

    # Receiving

    def _receive(self, plain: bytes, envelope: Envelope) -> None:
        tag = plain[0]
        if tag == ApduTag.AARQ:
            self._associate(plain)
        elif tag == ApduTag.RLRQ:
            self._trace_in(plain)
            self._release(plain)
        elif tag in self._services:
            self._trace_in(plain)
            self._service(plain, envelope)
        elif tag == ApduTag.DATA_NOTIFICATION_CONFIRM:
            self._trace_in(plain)
            self._confirmation(plain, envelope)
        else:
            self._trace_in(plain)
            self._send(_UNKNOWN, PLAIN)

    def _receive_block(self, apdu: bytes) -> None:
        """One block of a general block transfer: of a request, or an acknowledgement of ours."""
        if self._blocks is None or self.settings is None:
            self._send(NOT_SUPPORTED if self.state is State.ASSOCIATED else _NOT_ALLOWED, PLAIN)
            return
        if self.state is State.EXCHANGING and self._is_waiting():
            return  # late: the request is here, and its answer is being made
        try:
            block = decode_apdu(apdu, tolerances=self.settings.tolerances)
            assert isinstance(block, GeneralBlockTransfer)
            whole = self._take_block(block)
        except RemoteProtocolError as error:
            logger.warning("a general block transfer was given up: %s", error)
            self._begin_exchange()
            self._answers_in_blocks = False
            self._send(_exception(ExceptionServiceError.OTHER_REASON), PLAIN)
            return
        if whole is None:
            return
        self._answers_in_blocks = block.window > 0
        said = len(self._outgoing)
        self._receive_whole(whole)
        if self._answers_in_blocks and len(self._outgoing) == said and not self._is_waiting():
            self._outgoing.append(self._blocks.acknowledge())  # no answer tells that the request is here

    def _service(self, plain: bytes, envelope: Envelope) -> None:
        state = self.state
        if state is State.IDLE or (state is State.EXCHANGING and self._is_waiting()):
            self._send(_NOT_ALLOWED, PLAIN)
            return
        if self._lacks_protection(envelope):
            logger.warning("refused a request with less protection than the policy demands")
            self._send(_NOT_ALLOWED, PLAIN)
            return
        assert self.settings is not None
        apdu = decode_apdu(plain, tolerances=self.settings.tolerances)
        if state is State.AUTHENTICATION_PENDING:
            if envelope.broadcast:
                self._send(_NOT_ALLOWED, PLAIN)
            else:
                self._authenticate(apdu, envelope)
            return
        serving = self._serving
        assert serving is not None
        if state is not State.EXCHANGING:
            self._least = SecurityPolicy.NONE
        self._envelope = reply = self._protection(envelope)
        serving.room = self._room(reply)
        kind = type(apdu)
        octet = _WITHOUT_INVOKE_OCTET.get(kind)
        if octet is not None:
            further = is_further_block(apdu)
        else:
            further = kind in _FURTHER_BLOCKS
            if type(apdu) is AccessRequest:
                octet = apdu.long_invoke_id_and_priority >> 24
            else:
                octet = apdu.invoke_id_and_priority  # type: ignore[attr-defined]
        if envelope.broadcast and octet & 0x40:
            logger.warning("refused a confirmed request under the broadcast key")
            self._send(_NOT_ALLOWED, PLAIN)
            return
        # A request in blocks is protected as its least protected block is.
        self._proved = self._proved & envelope.policy if further else envelope.policy
        outcome = serving.receive(apdu)
        confirmed = bool(octet & 0x40)
        if isinstance(outcome, Apdu):
            self.state = State.EXCHANGING if serving.in_blocks else State.ASSOCIATED
            if confirmed:
                self._send(outcome, reply)
            return
        self._events.append(Requested(outcome, self._proved, confirmed, bool(octet & 0x80), self.settings))
        if confirmed:
            self.state = State.EXCHANGING
            return
        for request in serving.drop():
            self._events.append(Requested(request, self._proved, False, False, self.settings))
        self.state = State.ASSOCIATED

    def _confirmation(self, plain: bytes, envelope: Envelope) -> None:
        """A client has a confirmed push; nothing answers that, right or wrong."""
        if self.settings is None or self._lacks_protection(envelope):
            logger.warning("dropped a confirmation with less protection than the policy demands")
            return
        try:
            apdu = decode_apdu(plain, tolerances=self.settings.tolerances)
        except DecodeError as error:
            logger.info("dropped a confirmation that cannot be decoded: %s", error)
            return
        assert isinstance(apdu, DataNotificationConfirm)
        self._events.append(NotificationConfirmed(apdu.long_invoke_id, self.settings))

    def _lacks_protection(self, envelope: Envelope) -> bool:
        security = self._security
        if security is None or not (self._is_ciphered or security.context.is_strengthened):
            return False
        demanded = security.context.minimum_policy
        if self.state is State.AUTHENTICATION_PENDING:
            demanded = ciphering_only(demanded)
        return bool(int(demanded) & ~int(envelope.policy))  # plain numbers, for speed

    def _is_waiting(self) -> bool:
        return self._serving is not None and self._serving.is_open

    def _refused(self, error: DlmsError) -> ExceptionResponse:
        logger.warning("refused a ciphered APDU: %s", error)
        if isinstance(error, ReplayError):
            return ExceptionResponse(
                ExceptionStateError.SERVICE_NOT_ALLOWED,
                ExceptionServiceError.INVOCATION_COUNTER_ERROR,
                max(error.expected_above or 0, 0),
            )
        if isinstance(error, AuthenticationError | KeyMissing | RemoteProtocolError):
            return _exception(ExceptionServiceError.DECIPHERING_ERROR)
        return _NOT_ALLOWED

    # Opening and closing

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
        return _exception(ExceptionServiceError.DECIPHERING_ERROR)

    def _authenticate(self, apdu: Apdu, envelope: Envelope) -> None:
        """Pass 3: f(StoC) proves the client; pass 4 proves us."""
        settings, hls = self.settings, self._hls
        assert settings is not None
        assert hls is not None
        passes = Passes.of(apdu, settings)
        if passes is None:
            self._send(_NOT_ALLOWED, PLAIN)
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
        self._serving = _serving(self.settings, self.parameters.conformance)
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
            self._send(_NOT_ALLOWED, PLAIN)
            return
        apdu = decode_apdu(plain, tolerances=self.settings.tolerances)
        assert isinstance(apdu, ReleaseRequest)
        content, security = apdu.user_information, self._security
        answer: bytes | None = None
        if content and CIPHERED[content[0]]:
            if security is None:
                self._send(_exception(ExceptionServiceError.DECIPHERING_ERROR), PLAIN)
                return
            try:
                unseal(security, content)
            except DlmsError as error:
                self._send(self._refused(error), PLAIN)
                return
            answer = seal(security, self._initiate_response(), INITIATE)
        elif security is not None and self._is_ciphered and security.context.minimum_policy:
            if Tolerance.UNPROTECTED_RELEASE not in self.settings.tolerances:
                self._send(_NOT_ALLOWED, PLAIN)
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

    # Sending

    def _protection(self, envelope: Envelope) -> Envelope:
        """How a reply is protected: like the request, and at least as the policy says."""
        security = self._security
        if security is None or not self._is_ciphered:
            return PLAIN
        return reply_envelope(security.context, envelope, self._least)

    def _room(self, envelope: Envelope) -> int:
        """The longest response before protection."""
        assert self.parameters is not None
        longest = self.parameters.max_pdu_size if self._blocks is None else self._blocks.longest - _LENGTHS
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


def _serving(settings: ServerSettings, conformance: Conformance) -> Serving | ShortNameServing:
    if settings.short_names is not None:
        return ShortNameServing(settings.short_names, conformance, settings.max_octets, settings.tolerances)
    return Serving(conformance, settings.max_octets, settings.tolerances)


def _exception(error: ExceptionServiceError) -> ExceptionResponse:
    return ExceptionResponse(ExceptionStateError.SERVICE_NOT_ALLOWED, error)


_NOT_ALLOWED = _exception(ExceptionServiceError.OPERATION_NOT_POSSIBLE)
_UNKNOWN = ExceptionResponse(ExceptionStateError.SERVICE_UNKNOWN, ExceptionServiceError.SERVICE_NOT_SUPPORTED)
_MALFORMED = AssociationResponse(
    ApplicationContext.LOGICAL_NAME,
    AssociationResult.REJECTED_PERMANENT,
    AcseServiceProviderDiagnostic.NO_REASON_GIVEN,
    "provider",
)
_NO_AARQ = AssociationResponse(
    ApplicationContext.LOGICAL_NAME, AssociationResult.REJECTED_PERMANENT, AcseServiceUserDiagnostic.NO_REASON_GIVEN
)
_ALL_PROTECTION = SecurityPolicy.AUTHENTICATED_ENCRYPTED | SecurityPolicy.SIGNED
_LENGTHS = 4
"""Octets that the length fields of an APDU beyond 65,535 octets take more."""
_FURTHER_BLOCKS = (SetRequestWithDatablock, ActionRequestWithPblock)
_WITHOUT_INVOKE_OCTET: dict[type[Apdu], int] = {ReadRequest: 0x40, WriteRequest: 0x40, UnconfirmedWriteRequest: 0}
"""Services without an invoke-id-and-priority, and what theirs would say: confirmed or not."""
_BY_LOGICAL_NAME = frozenset((ApduTag.GET_REQUEST, ApduTag.SET_REQUEST, ApduTag.ACTION_REQUEST, ApduTag.ACCESS_REQUEST))
_BY_SHORT_NAME = frozenset((ApduTag.READ_REQUEST, ApduTag.WRITE_REQUEST, ApduTag.UNCONFIRMED_WRITE_REQUEST))
