"""The client's side of an application association: AARQ to RLRE, HLS, protection, exchanges. No link, no clock.

Rules that the standard leaves open, and how they are kept here:

- One confirmed request at a time. The answer must carry its invoke id; another one is a fatal ``SequenceError`` (unless
  ``Tolerance.INVOKE_ID``). An answer that comes while nothing is asked and repeats the last invoke id is a late
  duplicate: it is dropped and logged, for it can disturb nothing.
- Where services are protected, a plain answer is refused (fatal). Error APDUs (exception-response,
  confirmed-service-error) cannot be protected by every meter; they are reported as errors, never as data.
- A push in the middle of an exchange becomes ``Notified`` and disturbs nothing; one that cannot be read is logged.
- An answer to our request that cannot be decoded fails this request alone, as the association is still in step.
"""

from __future__ import annotations

from cosemic.apdu.acse import (
    AssociationResponse,
    InitiateRequest,
    InitiateResponse,
)
from cosemic.apdu.base import Apdu, decode_apdu
from cosemic.apdu.services import (
    ActionRequestNormal,
    ActionResponseNormal,
    ConfirmedServiceError,
    ExceptionResponse,
    GetResponseNormal,
    MethodDescriptor,
    invoke_octet,
)
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import (
    ApduTag,
    ApplicationContext,
    AssociationResult,
    AuthenticationMechanism,
    Conformance,
    ExceptionServiceError,
    InterfaceClass,
)
from cosemic.errors import (
    AuthenticationError,
    ConfirmedServiceErrorReceived,
    DecodeError,
    DlmsError,
    ExceptionResponseError,
    KeyMissing,
    LocalProtocolError,
    RemoteProtocolError,
    SequenceError,
)
from cosemic.protocol import exchange, hints, opening, redaction
from cosemic.protocol.association import Association, Trace, logger
from cosemic.protocol.ciphering import CIPHERED, PLAIN, Envelope, room, seal, unseal
from cosemic.protocol.events import (
    Associated,
    AssociationParameters,
    ClientEvent,
    Completed,
    Failed,
    Notified,
    Released,
)
from cosemic.protocol.exchange import Exchange, Terms
from cosemic.protocol.requests import ActionResults, GetResults, Request, Set, SetResults, target
from cosemic.protocol.settings import ClientSettings
from cosemic.protocol.states import Event, State
from cosemic.security.context import AssociationSecurity, SecurityPolicy
from cosemic.security.hls import HlsExchange
from cosemic.tolerances import Tolerance, note

_UNLIMITED = 1 << 30


class ClientAssociation(Association[ClientEvent]):
    """A client's association with one logical device. Wrong calls raise, everything else becomes an event."""

    __slots__ = (
        "_counter_adopted",
        "_envelope",
        "_exchange",
        "_hls",
        "_initiate",
        "_invoke_flags",
        "_invoke_id",
        "_is_protected",
        "_plain",
        "_request",
        "_security",
        "_terms",
        "settings",
    )

    def __init__(self, settings: ClientSettings, *, trace: Trace | None = None) -> None:
        super().__init__(trace)
        self.settings = settings
        self._security: AssociationSecurity | None = None
        self._hls: HlsExchange | None = None
        self._initiate: InitiateRequest | None = None
        self._terms: Terms | None = None
        self._exchange: Exchange | None = None
        self._request: Request | None = None
        self._envelope = PLAIN
        self._plain = b""
        self._invoke_id = 0
        self._invoke_flags = 0
        self._is_protected = False
        self._counter_adopted = False

    # What the owner calls

    def associate(self) -> None:
        """Open the association: AARQ, or nothing where it is pre-established. ``Associated`` or ``Failed`` follows."""
        settings = self.settings
        if settings.pre_established:
            self._step(Event.PRE_ESTABLISH, "connect")
            self._open_security()
            self._associated(
                AssociationParameters(
                    application_context=opening.application_context(settings),
                    mechanism=AuthenticationMechanism.NONE,
                    conformance=opening.proposed_conformance(settings),
                    max_pdu_size=settings.pre_established_pdu_size,
                    peer_system_title=self._security.peer_system_title if self._security else None,
                )
            )
            return
        self._step(Event.ASSOCIATE, "connect")
        self._counter_adopted = False
        try:
            self._open_security()
            self._hls = opening.hls_exchange(self.settings, self._security)
            self._send_association_request()
        except DlmsError:
            self._advance(Event.ABORT)
            self._forget()
            raise

    def request(self, request: Request) -> None:
        """Send a request. ``Completed`` or ``Failed`` follows; LocalProtocolError when it cannot be sent."""
        if self.state is not _ASSOCIATED:
            self._step(Event.REQUEST, "request")
        terms = self._terms
        assert terms is not None
        steps: Exchange | None = None
        first: Apdu | None = exchange.single_get(request, terms)
        if first is None:
            steps = exchange.start(request, terms)
            first = next(steps)
        plain = first.encode()
        self.state = _EXCHANGING
        self._request = request
        self._exchange = steps
        self._counter_adopted = False
        try:
            self._send(plain)
        except DlmsError:
            self._end_exchange()
            raise
        if not terms.confirmed:
            self._end_exchange()
            self._events.append(Completed(SetResults(()) if type(request) is Set else ActionResults(())))

    def release(self) -> None:
        """Close the association in an orderly way: RLRQ where it is used. ``Released`` follows.

        SecurityError when the counter store cannot be used; the association is as before then.
        """
        state = self.state
        self._step(Event.RELEASE, "release")
        settings = self.settings
        if settings.pre_established or not settings.use_rlrq:
            self._released()
            return
        try:
            apdu = opening.release_request(settings, self._security).encode()
        except DlmsError:
            self.state = state
            raise
        if self.trace is not None:
            self.trace("apdu", "out", apdu)
        self._outgoing.append(apdu)

    def abort(self) -> None:
        """Forget the association without a word to the meter, as when the link is closed."""
        if self.state is not State.CLOSED:
            self._advance(Event.ABORT)
        self._forget()

    def fail(self, error: DlmsError) -> None:
        """The link failed, or something else that ends everything: ``Failed`` with ``fatal`` set."""
        if self.state is State.CLOSED:
            return
        if self._request is not None:
            error.add_note(f"while waiting for: {target(self._request)}")
        self._advance(Event.FAIL)
        self._forget()
        self._outgoing.clear()
        self._events.append(Failed(error, True))

    def close(self) -> None:
        """Give up without an event; every later call but ``receive_apdu`` raises."""
        self._advance(Event.FAIL)
        self._forget()
        self._outgoing.clear()

    def add(self, event: ClientEvent) -> None:
        """Append an event that comes from the link, in the order of the others."""
        self._events.append(event)

    def take_released(self) -> bool:
        """Whether the association was just released; takes the event, for the link has to close first."""
        if self._events and type(self._events[-1]) is Released:
            self._events.pop()
            return True
        return False

    def receive_push(self, apdu: bytes) -> None:
        """Take an APDU that came outside the connection (UI frame, another port): a push or nothing."""
        if self.state is State.CLOSED or not apdu:
            return
        envelope = PLAIN
        plain = apdu
        try:
            if CIPHERED[apdu[0]]:
                plain, envelope = self._open(apdu)
        except DlmsError:
            logger.warning("a push that could not be opened was dropped", exc_info=True)
            return
        if self.trace is not None:
            self.trace("apdu", "in", plain)
        if plain[0] in _PUSHES:
            self._push(plain, envelope)
        else:
            logger.warning("an APDU with tag %#04x that came unasked was dropped", plain[0])

    def receive_apdu(self, apdu: bytes) -> None:
        """Take one APDU from the meter; never raises because of what it is."""
        if self.state is _CLOSED:
            return
        try:
            self._receive(apdu)
        except DlmsError as error:
            self.fail(error)

    # Sending

    def _send(self, plain: bytes, envelope: Envelope | None = None) -> None:
        self._plain = plain
        self._invoke_id = plain[2] & 0x0F
        if self.trace is not None:
            self.trace("apdu", "out", self._redactor.service(plain))
        if envelope is None:
            envelope = self._envelope
        if envelope.policy:
            assert self._security is not None
            plain = seal(self._security, plain, envelope)
        self._outgoing.append(plain)

    def _next_invoke(self) -> int:
        return self._invoke_flags | (self._invoke_id + 1) & 0x0F

    def _send_association_request(self) -> None:
        aarq, self._initiate = opening.association_request(self.settings, self._security, self._hls)
        if self.trace is not None:
            self.trace("apdu", "out", redaction.association_request(aarq, self._initiate))
        self._outgoing.append(aarq.encode())

    # Receiving

    def _receive(self, apdu: bytes) -> None:
        if not apdu:
            raise DecodeError("an empty APDU", octets=apdu, offset=0)
        envelope = PLAIN
        plain = apdu
        if CIPHERED[apdu[0]]:
            try:
                plain, envelope = self._open(apdu)
            except DlmsError:
                if apdu[0] not in _PUSH_ENVELOPES:
                    raise
                logger.warning("a push that could not be opened was dropped", exc_info=True)
                return
        if self.trace is not None:
            self.trace("apdu", "in", self._redactor.service(plain))
        tag = plain[0]
        if tag in _RESPONSES:
            self._response(plain, envelope)
        elif tag in _PUSHES:
            self._push(plain, envelope)
        elif tag == ApduTag.AARE:
            self._association_response(plain)
        elif tag == ApduTag.RLRE:
            self._release_response(plain)
        elif tag == ApduTag.EXCEPTION_RESPONSE:
            self._exception(plain)
        elif tag == ApduTag.CONFIRMED_SERVICE_ERROR:
            self._service_error(plain)
        else:
            decode_apdu(plain, tolerances=self.settings.tolerances)
            raise SequenceError(f"the meter sent an APDU that no client expects (tag {tag:#04x})")

    def _open(self, apdu: bytes) -> tuple[bytes, Envelope]:
        if self._security is None:
            raise KeyMissing("the meter sent a ciphered APDU, but no SecurityContext was given")
        return unseal(self._security, apdu)

    def _response(self, plain: bytes, envelope: Envelope) -> None:
        state = self.state
        invoke_id = plain[2] & 0x0F if len(plain) > 2 else self._invoke_id
        if state is not _EXCHANGING and state is not State.AUTHENTICATION_PENDING:
            self._late_response(invoke_id)
            return
        if envelope is PLAIN and self._is_protected:
            assert self._security is not None
            self._security.check_policy(SecurityPolicy.NONE)
        if invoke_id != self._invoke_id:
            self._other_invoke_id(invoke_id)
        if state is not _EXCHANGING:
            self._authentication_response(decode_apdu(plain, tolerances=self.settings.tolerances))
            return
        steps = self._exchange
        try:
            response = decode_apdu(plain, tolerances=self.settings.tolerances)
            if steps is not None:
                following = steps.send(response)
            elif type(response) is GetResponseNormal:
                self.state = _ASSOCIATED
                self._request = None
                self._events.append(Completed(GetResults((response.result,))))
                return
            else:
                assert self._terms is not None
                steps = self._exchange = exchange.rest_of_single_get(response, self._plain[2], self._terms)
                following = next(steps)
        except StopIteration as done:
            self.state = _ASSOCIATED
            self._exchange = self._request = None
            self._events.append(Completed(done.value))
        except SequenceError:
            raise
        except (RemoteProtocolError, LocalProtocolError) as error:
            self._fail_request(error)
        else:
            self._advance(Event.CONTINUE)
            self._send(following.encode())

    def _late_response(self, invoke_id: int) -> None:
        if invoke_id != self._invoke_id or self.state in (State.IDLE, State.ASSOCIATION_PENDING):
            raise SequenceError(f"an answer with invoke id {invoke_id} came while nothing was asked")
        logger.info("dropped a late duplicate of the answer to invoke id %d", invoke_id)

    def _other_invoke_id(self, invoke_id: int) -> None:
        detail = f"the answer has invoke id {invoke_id}, the request had {self._invoke_id}"
        if Tolerance.INVOKE_ID not in self.settings.tolerances:
            raise SequenceError(f"{detail}; it may belong to another request")
        note(Tolerance.INVOKE_ID, detail)

    def _push(self, plain: bytes, envelope: Envelope) -> None:
        try:
            apdu = decode_apdu(plain, tolerances=self.settings.tolerances)
        except DecodeError:
            logger.warning("a push that could not be decoded was dropped", exc_info=True)
            return
        self._advance(Event.NOTIFY)
        self._events.append(Notified(apdu, envelope.policy))

    def _exception(self, plain: bytes) -> None:
        apdu = decode_apdu(plain, tolerances=self.settings.tolerances)
        assert isinstance(apdu, ExceptionResponse)
        state = self.state
        if state is State.RELEASE_PENDING and Tolerance.UNPROTECTED_RELEASE in self.settings.tolerances:
            note(Tolerance.UNPROTECTED_RELEASE, "exception-response to an RLRQ")
            self._released()
            return
        if state is State.IDLE or state is State.ASSOCIATED:
            logger.warning("dropped an exception-response that answers nothing")
            return
        counter = apdu.invocation_counter
        if apdu.service_error == ExceptionServiceError.INVOCATION_COUNTER_ERROR and self._retry(counter):
            return
        request = self._request
        error = ExceptionResponseError(
            apdu.state_error,
            apdu.service_error,
            counter,
            target=target(request) if request is not None else _PHASES.get(state),
            hint=hints.exception(apdu.service_error, state is State.EXCHANGING),
        )
        if state is State.EXCHANGING:
            self._fail_request(error)
        else:
            raise error

    def _retry(self, counter: int | None) -> bool:
        """Take over the meter's invocation counter and send the last APDU again, once."""
        security = self._security
        if counter is None or security is None or self._counter_adopted:
            return False
        if self._envelope.dedicated and self.state is _EXCHANGING:
            return False  # the counter of a key that only this association has cannot be behind
        if not security.context.allow_counter_from_meter or not security.adopt_counter(counter):
            return False
        self._counter_adopted = True
        if self.state is State.ASSOCIATION_PENDING:
            self._send_association_request()
        elif self.state is State.AUTHENTICATION_PENDING:
            self._send_proof()
        else:
            self._send(self._plain)
        return True

    def _service_error(self, plain: bytes) -> None:
        apdu = decode_apdu(plain, tolerances=self.settings.tolerances)
        assert isinstance(apdu, ConfirmedServiceError)
        if self.state is State.IDLE or self.state is State.ASSOCIATED:
            logger.warning("dropped a confirmed-service-error that answers nothing: %s", apdu.text)
            return
        if self.state is State.RELEASE_PENDING:
            self._released()
            return
        error = opening.service_error(apdu, target(self._request) if self._request is not None else None)
        if self.state is State.EXCHANGING:
            self._fail_request(error)
        else:
            raise error

    # Opening and closing

    def _association_response(self, plain: bytes) -> None:
        if self.state is not State.ASSOCIATION_PENDING:
            raise SequenceError("an AARE came while no association was being opened")
        tolerances = self.settings.tolerances
        aare = decode_apdu(plain, tolerances=tolerances)
        assert isinstance(aare, AssociationResponse)
        security = self._security
        if security is not None and aare.responding_ap_title:
            security.peer_system_title = aare.responding_ap_title
        if aare.result != AssociationResult.ACCEPTED:
            self._advance(Event.REFUSE)
            raise opening.refusal(aare, self.settings)
        assert self._initiate is not None
        initiate_response = self._initiate_response(aare)
        parameters = opening.negotiated(aare, initiate_response, self._initiate, self.settings)
        if self._hls is None:
            self._advance(Event.ACCEPT)
            self._associated(parameters)
            return
        challenge = aare.responding_authentication_value
        if not challenge:
            raise AuthenticationError("the AARE has no challenge: the meter would not prove that it knows the secret")
        self._advance(Event.CHALLENGE)
        self.parameters = parameters
        self._hls.peer_challenge = challenge
        self._send_proof()

    def _initiate_response(self, aare: AssociationResponse) -> InitiateResponse:
        plain = aare.user_information
        if not plain:
            raise RemoteProtocolError("the meter accepts the association but its AARE has no InitiateResponse")
        envelope = PLAIN
        if CIPHERED[plain[0]]:
            plain, envelope = self._open(plain)
            if self.trace is not None:
                self.trace("apdu", "in", plain)
        if self._is_ciphered():
            assert self._security is not None
            self._security.check_policy(envelope.policy)
        response = decode_apdu(plain, tolerances=self.settings.tolerances)
        if isinstance(response, ConfirmedServiceError):
            raise opening.service_error(response, "association")
        if not isinstance(response, InitiateResponse):
            raise RemoteProtocolError(f"the AARE holds a {type(response).__name__} instead of an InitiateResponse")
        return response

    def _send_proof(self) -> None:
        """Pass 3: f(StoC) by the method reply_to_HLS_authentication of the association object."""
        assert self._hls is not None
        descriptor = MethodDescriptor(InterfaceClass.ASSOCIATION_LN, self.settings.association_object, 1)
        proof = Data.of(axdr.octet_string(self._hls.reply()))
        octet = invoke_octet((self._invoke_id + 1) & 0x0F, True, self.settings.high_priority)
        if self._is_ciphered():
            assert self._security is not None
            self._envelope = Envelope(self._security.context.policy)
            self._is_protected = bool(self._security.context.minimum_policy)
        self._send(ActionRequestNormal(octet, descriptor, proof).encode())

    def _authentication_response(self, response: Apdu) -> None:
        """Pass 4: f(CtoS) must prove the meter."""
        assert self._hls is not None
        assert self.parameters is not None
        if not isinstance(response, ActionResponseNormal):
            raise SequenceError(f"{type(response).__name__} does not answer pass 3 of the authentication")
        if response.result:
            raise AuthenticationError(
                f"the meter refuses our proof (action-result {int(response.result)}): check the "
                + ("keys and the system title" if self._is_gmac() else "password")
            )
        data = response.return_parameters
        proof = data.value if isinstance(data, Data) else None
        if not isinstance(proof, bytes):
            raise AuthenticationError("the meter accepts our proof but gives none itself (pass 4 is empty)")
        self._hls.verify(proof)
        self._advance(Event.AUTHENTICATED)
        self._associated(self.parameters)

    def _associated(self, parameters: AssociationParameters) -> None:
        self.parameters = parameters
        self._hls = None
        security, settings = self._security, self.settings
        self._envelope = PLAIN
        agreed = bool(parameters.conformance & Conformance.PRIORITY_MGMT_SUPPORTED)
        self._invoke_flags = invoke_octet(0, settings.confirmed, settings.high_priority and agreed)
        if security is not None and self._is_ciphered():
            self._is_protected = bool(security.context.minimum_policy)
            general = security.context.general and bool(parameters.conformance & Conformance.GENERAL_PROTECTION)
            self._envelope = Envelope(security.context.policy, security.has_dedicated_key, general)
        self._terms = Terms(
            self._next_invoke,
            room(parameters.max_pdu_size, self._envelope, _UNLIMITED),
            int(parameters.conformance),
            settings.max_octets,
            settings.tolerances,
            settings.confirmed,
        )
        self._events.append(Associated(parameters))

    def _release_response(self, plain: bytes) -> None:
        if self.state is not State.RELEASE_PENDING:
            raise SequenceError("an RLRE came while nothing was being released")
        try:
            decode_apdu(plain, tolerances=self.settings.tolerances)
        except DecodeError as error:
            if Tolerance.ACSE_RELEASE_CONTENT not in self.settings.tolerances:
                raise
            note(Tolerance.ACSE_RELEASE_CONTENT, str(error))
        self._released()

    def _released(self) -> None:
        self._advance(Event.RELEASED)
        self._forget()
        self._events.append(Released())

    # The rest

    def _fail_request(self, error: DlmsError) -> None:
        """The request failed, the association goes on."""
        request = self._request
        self._end_exchange()
        if request is not None and not isinstance(error, ExceptionResponseError | ConfirmedServiceErrorReceived):
            error.add_note(f"in the answer to: {target(request)}")
        self._events.append(Failed(error, False))

    def _end_exchange(self) -> None:
        if self._exchange is not None:
            self._exchange.close()
        self._exchange = self._request = None
        self._advance(Event.FINISH)

    def _forget(self) -> None:
        if self._exchange is not None:
            self._exchange.close()
        self._exchange = self._request = self._terms = self._hls = self._initiate = None
        self.parameters = None
        self._envelope = PLAIN
        self._is_protected = False
        if self._security is not None:
            self._security.close()
            self._security = None

    def _open_security(self) -> None:
        context = self.settings.security
        if context is not None:
            self._security = AssociationSecurity(context, role="client", tolerances=self.settings.tolerances)

    def _is_ciphered(self) -> bool:
        return opening.application_context(self.settings) == ApplicationContext.LOGICAL_NAME_CIPHERED

    def _is_gmac(self) -> bool:
        return self.settings.mechanism == AuthenticationMechanism.HLS_GMAC


_ASSOCIATED, _EXCHANGING, _CLOSED = State.ASSOCIATED, State.EXCHANGING, State.CLOSED
_RESPONSES = frozenset((ApduTag.GET_RESPONSE, ApduTag.SET_RESPONSE, ApduTag.ACTION_RESPONSE))
_PUSHES = frozenset((ApduTag.DATA_NOTIFICATION, ApduTag.EVENT_NOTIFICATION_REQUEST, ApduTag.INFORMATION_REPORT_REQUEST))
_PUSH_ENVELOPES = frozenset(
    (
        ApduTag.GLO_EVENT_NOTIFICATION_REQUEST,
        ApduTag.DED_EVENT_NOTIFICATION_REQUEST,
        ApduTag.GLO_INFORMATION_REPORT_REQUEST,
        ApduTag.DED_INFORMATION_REPORT_REQUEST,
    )
)
_PHASES = {
    State.ASSOCIATION_PENDING: "association",
    State.AUTHENTICATION_PENDING: "authentication",
    State.RELEASE_PENDING: "release",
}
