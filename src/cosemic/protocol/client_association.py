"""The client's side of an application association: requests, their answers, pushes. No link, no clock.

Opening and closing are in ``client_opening``; which exchange serves a request is in ``dispatch``.

Rules that the standard leaves open, and how they are kept here:

- One confirmed request at a time. The answer must carry its invoke id; another one is a fatal ``SequenceError`` (unless
  ``Tolerance.INVOKE_ID``). An answer that comes while nothing is asked and repeats the last invoke id is a late
  duplicate: it is dropped and logged, for it can disturb nothing.
- Where services are protected, a plain answer is refused (fatal). Error APDUs (exception-response,
  confirmed-service-error) cannot be protected by every meter; they are reported as errors, never as data.
- A push in the middle of an exchange becomes ``Notified`` and disturbs nothing; one that cannot be read is logged. A
  confirmed DataNotification is confirmed, and told of once even where it comes again.
- An answer to our request that cannot be decoded fails this request alone, as the association is still in step.
"""

from __future__ import annotations

from cosemic.apdu.base import Apdu, decode_apdu
from cosemic.apdu.general import GeneralBlockTransfer
from cosemic.apdu.notify import DataNotification, DataNotificationConfirm
from cosemic.apdu.services import (
    ConfirmedServiceError,
    ExceptionResponse,
    GetResponseNormal,
)
from cosemic.enums import (
    ApduTag,
    ExceptionServiceError,
)
from cosemic.errors import (
    ConfirmedServiceErrorReceived,
    DecodeError,
    DlmsError,
    ExceptionResponseError,
    LocalProtocolError,
    RemoteProtocolError,
    SequenceError,
)
from cosemic.protocol import exchange, hints, opening
from cosemic.protocol.association import Trace, logger
from cosemic.protocol.ciphering import CIPHERED, PLAIN, Envelope, invocation_counter, seal, unseal
from cosemic.protocol.client_opening import ClientOpening
from cosemic.protocol.dispatch import start, unanswered
from cosemic.protocol.events import (
    ClientEvent,
    Completed,
    Failed,
    Notified,
    Released,
)
from cosemic.protocol.requests import Action, Get, GetResults, Request, Set, target
from cosemic.protocol.settings import ClientSettings
from cosemic.protocol.states import Event, State
from cosemic.protocol.terms import NO_DEMANDS, Demands, Exchange
from cosemic.security.context import SecurityPolicy
from cosemic.security.suites import FRESH
from cosemic.tolerances import Tolerance, note


class ClientAssociation(ClientOpening):
    """A client's association with one logical device. Wrong calls raise, everything else becomes an event."""

    __slots__ = ("_confirmed_push", "_deferred", "_exchange", "_request", "asides")

    def __init__(self, settings: ClientSettings, *, datagram: bool = False, trace: Trace | None = None) -> None:
        """``datagram``: what is below may bring APDUs twice, or late."""
        super().__init__(settings, datagram=datagram, trace=trace)
        self._exchange: Exchange | None = None
        self._request: Request | None = None
        self.asides: list[bytes] = []
        """Which of the APDUs to send are no part of the exchange: nothing answers them. The owner clears it."""
        self._confirmed_push = b""
        self._deferred: list[bytes] = []  # ciphered pushes that came in the middle of an answer in general blocks

    # What the owner calls

    def request(self, request: Request, demands: Demands = NO_DEMANDS) -> None:
        """Send a request. ``Completed`` or ``Failed`` follows; LocalProtocolError when it cannot be sent.

        ``demands`` protect this request, and its response, more than the policy of the association does.
        """
        if self.state is not _ASSOCIATED:
            self._step(Event.REQUEST, "request")
        security = self._security
        if demands is not self._demands or (security is not None and security.context.epoch != self._epoch):
            self._take_terms(demands)
        terms = self._terms
        assert terms is not None
        steps: Exchange | None = None
        first: Apdu | None = exchange.single_get(request, terms)
        if first is None:
            steps = start(request, terms)
            try:
                first = next(steps)
            except StopIteration as done:  # with short names: no object of the request is listed
                self._events.append(Completed(done.value))
                return
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
            self._events.append(Completed(unanswered(request)))

    def preview(self, request: Get | Set | Action, demands: Demands = NO_DEMANDS) -> bytes:
        """The first APDU that ``request`` would send now, before protection; nothing is sent and nothing is counted.

        LocalProtocolError where the request could not be sent; empty where nothing would be (no such short name).
        """
        if self.state is not _ASSOCIATED:
            self._step(Event.REQUEST, "request")
        self._take_terms(demands)
        assert self._terms is not None
        steps = start(request, self._terms)
        try:
            return next(steps).encode()
        except StopIteration:
            return b""
        finally:
            steps.close()

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
        try:
            whole = self._whole_push(apdu)
            if whole is None or self._defer(whole):
                return
            plain = whole
            if CIPHERED[plain[0]]:
                plain, envelope = self._open(plain)
        except DlmsError:
            logger.warning("a push that could not be opened was dropped", exc_info=True)
            return
        if self.trace is not None:
            self.trace("apdu", "in", plain)
        if plain[0] in _PUSHES:
            self._push(plain, envelope, in_connection=False)
        else:
            logger.warning("an APDU with tag %#04x that came unasked was dropped", plain[0])

    def _whole_push(self, apdu: bytes) -> bytes | None:
        """An APDU that came outside the connection, once all its blocks are here where it comes in blocks."""
        if apdu[0] != ApduTag.GENERAL_BLOCK_TRANSFER:
            return apdu
        block = decode_apdu(apdu, tolerances=self.settings.tolerances)
        assert isinstance(block, GeneralBlockTransfer)
        return self._take_streamed(block)

    def receive_apdu(self, apdu: bytes) -> None:
        """Take one APDU from the meter; never raises because of what it is."""
        if self.state is _CLOSED:
            return
        try:
            self._receive(apdu)
        except DlmsError as error:
            self.fail(error)

    # Receiving

    def _receive(self, apdu: bytes) -> None:
        if not apdu:
            raise DecodeError("an empty APDU", octets=apdu, offset=0)
        envelope = PLAIN
        plain = apdu
        if CIPHERED[apdu[0]]:
            if self._blocks_used and self._defer(apdu):
                return
            security = self._security
            try:
                plain, envelope = self._open(apdu) if security is None else unseal(security, apdu)
            except DlmsError:
                if apdu[0] not in _PUSH_ENVELOPES and self.state is not _ASSOCIATED:
                    raise  # while nothing is asked it cannot be an answer
                logger.warning("a push that could not be opened was dropped", exc_info=True)
                return
        tag = plain[0]
        if self.trace is not None and tag != ApduTag.GENERAL_BLOCK_TRANSFER:  # that is traced once it is whole
            self.trace("apdu", "in", self._redactor.service(plain))
        if tag in _RESPONSES:
            self._response(plain, envelope)
        elif tag in _PUSHES:
            self._push(plain, envelope)
        elif tag in _WITHOUT_INVOKE_ID:
            self._response(plain, envelope, self._expected())
        elif tag == ApduTag.AARE:
            self._association_response(plain)
        elif tag == ApduTag.RLRE:
            self._release_response(plain)
        elif tag == ApduTag.EXCEPTION_RESPONSE:
            self._exception(plain)
        elif tag == ApduTag.CONFIRMED_SERVICE_ERROR:
            self._service_error(plain)
        elif tag == ApduTag.GENERAL_BLOCK_TRANSFER and envelope is PLAIN:
            self._block(plain)
        else:
            decode_apdu(plain, tolerances=self.settings.tolerances)
            raise SequenceError(f"the meter sent an APDU that no client expects (tag {tag:#04x})")

    def _block(self, apdu: bytes) -> None:
        """One block of a general block transfer: of an answer, or of a push."""
        block = decode_apdu(apdu, tolerances=self.settings.tolerances)
        assert isinstance(block, GeneralBlockTransfer)
        if self._blocks is None and block.window:
            detail = "the meter sends general blocks, but they were not agreed on"
            # Some meters cut even an AARE that is longer than what the AARQ lets them send.
            asked = self.state in (_EXCHANGING, State.ASSOCIATION_PENDING, State.AUTHENTICATION_PENDING)
            if not asked or Tolerance.UNNEGOTIATED_SERVICE not in self.settings.tolerances:
                raise SequenceError(detail)
            note(Tolerance.UNNEGOTIATED_SERVICE, detail)
            self._blocks = self._new_blocks(0)
        elif self._blocks is None and not block.block_data:
            raise SequenceError("the meter acknowledges general blocks, but none were sent")
        whole = self._take_block(block)
        if whole is None:
            return
        if self._deferred and not block.window:
            self._deferred.append(whole)
            return
        for apdu in self._in_order(whole):
            self._receive(apdu)
        if block.window and self._blocks is not None and self._events and type(self._events[-1]) is Notified:
            self._outgoing.append(self._blocks.acknowledge())  # no answer of ours tells that the push is here

    def _defer(self, apdu: bytes) -> bool:
        """Put off a ciphered push while an answer is coming in general blocks.

        Its invocation counter may be above that of the answer, which would look like a replay once it is complete.
        """
        blocks = self._blocks
        if blocks is None or not blocks.is_collecting or not CIPHERED[apdu[0]]:
            return False
        if len(self._deferred) >= _MOST_DEFERRED:
            logger.warning("a push was dropped: too many of them came in the middle of one answer")
        else:
            self._deferred.append(apdu)
        return True

    def _in_order(self, answer: bytes) -> list[bytes]:
        """The answer that is complete now and the pushes that came meanwhile, as they were sealed."""
        if not self._deferred:
            return [answer]
        apdus, self._deferred = [answer, *self._deferred], []
        return sorted(apdus, key=invocation_counter) if CIPHERED[answer[0]] else apdus

    def _response(self, plain: bytes, envelope: Envelope, invoke_id: int | None = None) -> None:
        state = self.state
        if invoke_id is None:
            if plain[0] == ApduTag.ACCESS_RESPONSE:
                invoke_id = int.from_bytes(plain[2:5], "big")
            else:
                invoke_id = plain[2] & 0x0F if len(plain) > 2 else self._invoke_id
        if state is not _EXCHANGING and state is not State.AUTHENTICATION_PENDING:
            self._late_response(invoke_id)
            return
        if envelope is PLAIN and self._is_protected:
            assert self._security is not None
            self._security.check_policy(SecurityPolicy.NONE)
        if self._demanded_response and self._demanded_response & ~int(envelope.policy):
            assert self._security is not None
            self._security.check_policy(envelope.policy, self._demands.response)
        if invoke_id != self._invoke_id:
            self._other_invoke_id(invoke_id)
        if state is not _EXCHANGING:
            self._authentication_response(decode_apdu(plain, tolerances=self.settings.tolerances))
            return
        steps = self._exchange
        try:
            tolerances = self.settings.tolerances
            response = None if steps is None else exchange.undecoded(self._request, plain, tolerances)
            if response is None:
                response = decode_apdu(plain, tolerances=tolerances)
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

    def _expected(self) -> int:
        """The invoke id of an answer that carries none (Read, Write): that of the request, if there is one."""
        if self.state is not _EXCHANGING and self.state is not State.AUTHENTICATION_PENDING:
            raise SequenceError(
                "a Read- or WriteResponse came while nothing was asked; as it carries no invoke id, nothing after it "
                "could be told from late answers"
            )
        return self._invoke_id

    def _late_response(self, invoke_id: int) -> None:
        if invoke_id != self._invoke_id or self.state in (State.IDLE, State.ASSOCIATION_PENDING):
            raise SequenceError(f"an answer with invoke id {invoke_id} came while nothing was asked")
        logger.info("dropped a late duplicate of the answer to invoke id %d", invoke_id)

    def _other_invoke_id(self, invoke_id: int) -> None:
        detail = f"the answer has invoke id {invoke_id}, the request had {self._invoke_id}"
        if Tolerance.INVOKE_ID not in self.settings.tolerances:
            raise SequenceError(f"{detail}; it may belong to another request")
        note(Tolerance.INVOKE_ID, detail)

    def _push(self, plain: bytes, envelope: Envelope, in_connection: bool = True) -> None:
        try:
            apdu = decode_apdu(plain, tolerances=self.settings.tolerances)
        except DecodeError:
            logger.warning("a push that could not be decoded was dropped", exc_info=True)
            return
        lacking = self.settings.push_policy & ~envelope.policy
        if lacking:
            logger.warning("a push was dropped: it has less protection than push_policy demands")
            return
        self._advance(Event.NOTIFY)
        if type(apdu) is DataNotification and apdu.confirmed and in_connection:
            self._confirm(apdu.long_invoke_id_and_priority, envelope)
            if plain == self._confirmed_push:
                logger.info("a push came again, as our confirmation was lost; it is confirmed again")
                return
            self._confirmed_push = plain
        elif type(apdu) is DataNotification and apdu.confirmed:
            logger.info("a push in UI frames asks to be confirmed; it is not, as it came outside the connection")
        self._events.append(Notified(apdu, envelope.policy))

    def _confirm(self, long_invoke_id_and_priority: int, envelope: Envelope) -> None:
        confirmation = DataNotificationConfirm(long_invoke_id_and_priority).encode()
        if self.trace is not None:
            self.trace("apdu", "out", confirmation)
        if envelope.policy:
            assert self._security is not None
            confirmation = seal(self._security, confirmation, envelope)
        self._outgoing.append(confirmation)
        self.asides.append(confirmation)

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
        if self.state is State.RELEASE_PENDING:
            return False  # the last request was answered; it must not be done twice
        if (self._envelope.dedicated or self._envelope.key in FRESH) and self.state is _EXCHANGING:
            return False  # it is not the counter of the global key that is behind
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

    # The end of an exchange

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
        deferred, self._deferred = self._deferred, []
        for apdu in deferred:
            self.receive_push(apdu)

    def _forget(self) -> None:
        if self._exchange is not None:
            self._exchange.close()
        self._exchange = self._request = None
        self._deferred = []
        super()._forget()


_ASSOCIATED, _EXCHANGING, _CLOSED = State.ASSOCIATED, State.EXCHANGING, State.CLOSED
_RESPONSES = frozenset((ApduTag.GET_RESPONSE, ApduTag.SET_RESPONSE, ApduTag.ACTION_RESPONSE, ApduTag.ACCESS_RESPONSE))
_WITHOUT_INVOKE_ID = frozenset((ApduTag.READ_RESPONSE, ApduTag.WRITE_RESPONSE))
_PUSHES = frozenset((ApduTag.DATA_NOTIFICATION, ApduTag.EVENT_NOTIFICATION_REQUEST, ApduTag.INFORMATION_REPORT_REQUEST))
_PUSH_ENVELOPES = frozenset(
    (
        ApduTag.GLO_EVENT_NOTIFICATION_REQUEST,
        ApduTag.DED_EVENT_NOTIFICATION_REQUEST,
        ApduTag.GLO_INFORMATION_REPORT_REQUEST,
        ApduTag.DED_INFORMATION_REPORT_REQUEST,
    )
)
_MOST_DEFERRED = 16
_PHASES = {
    State.ASSOCIATION_PENDING: "association",
    State.AUTHENTICATION_PENDING: "authentication",
    State.RELEASE_PENDING: "release",
}
