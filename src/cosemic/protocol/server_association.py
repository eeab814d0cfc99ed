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

from cosemic.apdu.base import Apdu, decode_apdu
from cosemic.apdu.general import GeneralBlockTransfer
from cosemic.apdu.notify import DataNotificationConfirm
from cosemic.apdu.services import (
    AccessRequest,
    ExceptionResponse,
)
from cosemic.enums import (
    ApduTag,
    Conformance,
    ExceptionServiceError,
    ExceptionStateError,
)
from cosemic.errors import (
    DecodeError,
    DlmsError,
    LocalProtocolError,
    RemoteProtocolError,
)
from cosemic.protocol import notifications
from cosemic.protocol.association import Trace, logger
from cosemic.protocol.ciphering import (
    CIPHERED,
    PLAIN,
    Envelope,
    ciphering_only,
    unseal,
)
from cosemic.protocol.events import (
    NotificationConfirmed,
    Requested,
)
from cosemic.protocol.requests import Result
from cosemic.protocol.server_dispatch import (
    FURTHER_BLOCKS,
    OWN_BLOCKS,
    WITHOUT_INVOKE_OCTET,
    asks_for_next_block,
    services,
)
from cosemic.protocol.server_opening import NOT_ALLOWED, ServerOpening, exception
from cosemic.protocol.serving import NOT_SUPPORTED
from cosemic.protocol.settings import ServerSettings
from cosemic.protocol.short_name_serving import is_further_block
from cosemic.protocol.states import Event, State
from cosemic.security.context import SecurityPolicy


class ServerAssociation(ServerOpening):
    """What a meter has with one client. ``settings`` None: nothing is offered to it, and every AARQ is refused."""

    __slots__ = ("_in_general_blocks", "_proved", "_services")

    def __init__(self, settings: ServerSettings | None, *, datagram: bool = False, trace: Trace | None = None) -> None:
        """``datagram``: what is below may bring APDUs twice, or late."""
        super().__init__(settings, datagram=datagram, trace=trace)
        self._services = services(settings)
        self._in_general_blocks = False  # what is being received came in blocks
        self._proved = SecurityPolicy.NONE  # what protected every block of a request so far

    def receive_apdu(self, apdu: bytes) -> None:
        """Take one APDU from the client; never raises because of what it is."""
        if not apdu:
            return
        if apdu[0] == ApduTag.GENERAL_BLOCK_TRANSFER:
            self._receive_block(apdu)
            return
        self._answers_in_blocks = False
        self._receive_whole(apdu)

    def _receive_whole(self, apdu: bytes) -> None:
        envelope = PLAIN
        plain = apdu
        if CIPHERED[apdu[0]]:
            if self._security is None or self.state is State.IDLE:
                self._send(NOT_ALLOWED, PLAIN)
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
            self._send(exception(ExceptionServiceError.OTHER_REASON), PLAIN)

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

        Nothing is sent, and the log says why, where the policy asks for more than this association can give: one that
        was opened in a context without ciphering, before the policy was made stricter.
        """
        notifications.check(apdu, self.parameters)
        envelope = self._protection(PLAIN)
        lacking = self._lacking(envelope)
        if lacking:
            logger.warning(
                "%s was not pushed: the policy asks for %r, which this association does not give",
                type(apdu).__name__,
                SecurityPolicy(lacking).label,
            )
            return
        self._step(Event.NOTIFY, "notify")
        self._push(apdu, envelope)

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
            self._send(NOT_SUPPORTED if self.state is State.ASSOCIATED else NOT_ALLOWED, PLAIN)
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
            self._send(exception(ExceptionServiceError.OTHER_REASON), PLAIN)
            return
        if whole is None:
            return
        self._answers_in_blocks = block.window > 0
        self._in_general_blocks = True
        said = len(self._outgoing)
        self._receive_whole(whole)
        self._in_general_blocks = False
        if self._answers_in_blocks and len(self._outgoing) == said and not self._is_waiting():
            self._outgoing.append(self._blocks.acknowledge())  # no answer tells that the request is here

    def _service(self, plain: bytes, envelope: Envelope) -> None:
        state = self.state
        if state is State.IDLE or (state is State.EXCHANGING and self._is_waiting()):
            self._send(NOT_ALLOWED, PLAIN)
            return
        if self._blocks_used and not self._in_general_blocks:
            self._begin_exchange()
        if self._lacks_protection(envelope):
            logger.warning("refused a request with less protection than the policy demands")
            self._send(NOT_ALLOWED, PLAIN)
            return
        assert self.settings is not None
        apdu = decode_apdu(plain, tolerances=self.settings.tolerances)
        if state is State.AUTHENTICATION_PENDING:
            if envelope.broadcast:
                self._send(NOT_ALLOWED, PLAIN)
            else:
                self._authenticate(apdu, envelope)
            return
        serving = self._serving
        assert serving is not None
        if state is State.EXCHANGING and asks_for_next_block(apdu):
            self._least |= self._envelope.policy  # the rest of an answer is protected as its beginning
        else:
            self._least = SecurityPolicy.NONE
        self._envelope = reply = self._protection(envelope)
        if self._blocks is not None:
            assert self.parameters is not None
            own_blocks = OWN_BLOCKS.get(plain[0], 0) & int(self.parameters.conformance)
            self._uses_own_blocks = bool(own_blocks) and not self._answers_in_blocks
        serving.room = self._room(reply)
        kind = type(apdu)
        octet = WITHOUT_INVOKE_OCTET.get(kind)
        if octet is not None:
            further = is_further_block(apdu)
        else:
            further = kind in FURTHER_BLOCKS
            if type(apdu) is AccessRequest:
                octet = apdu.long_invoke_id_and_priority >> 24
            else:
                octet = apdu.invoke_id_and_priority  # type: ignore[attr-defined]
        if envelope.broadcast and octet & 0x40:
            logger.warning("refused a confirmed request under the broadcast key")
            self._send(NOT_ALLOWED, PLAIN)
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
        if self._serving is None:
            logger.warning("dropped a confirmation, as there is no association")
            return
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

    def _lacking(self, envelope: Envelope) -> int:
        """What the policy for messages of ours asks for beyond an envelope."""
        security = self._security
        if security is None or not (self._is_ciphered or security.context.is_strengthened):
            return 0
        return int(security.context.policy) & ~int(envelope.policy)

    def _is_waiting(self) -> bool:
        return self._serving is not None and self._serving.is_open


_UNKNOWN = ExceptionResponse(ExceptionStateError.SERVICE_UNKNOWN, ExceptionServiceError.SERVICE_NOT_SUPPORTED)
_ALL_PROTECTION = SecurityPolicy.AUTHENTICATED_ENCRYPTED | SecurityPolicy.SIGNED
