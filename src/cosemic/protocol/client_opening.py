"""How a client's association is opened and closed: AARQ/AARE, HLS passes 3 and 4, RLRQ/RLRE, and the keys in between.

``ClientAssociation`` adds the services to this. What an AARQ says and how an AARE is judged is in ``opening``; here is
what follows what. Every APDU that leaves goes through ``_send``, every envelope that comes through ``_open``.
"""

from __future__ import annotations

from dataclasses import replace

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
    MethodDescriptor,
    invoke_octet,
)
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import (
    ApduTag,
    AssociationResult,
    AuthenticationMechanism,
    Conformance,
    InterfaceClass,
)
from cosemic.errors import (
    AuthenticationError,
    DecodeError,
    DlmsError,
    KeyMissing,
    LocalProtocolError,
    RemoteProtocolError,
    SecurityError,
    SequenceError,
)
from cosemic.protocol import hints, opening, redaction, short_name_exchange
from cosemic.protocol.association import UNLIMITED, Association, Trace
from cosemic.protocol.ciphering import (
    CIPHERED,
    PLAIN,
    Envelope,
    ciphering_only,
    needs_general_protection,
    room,
    seal,
    service_envelope,
    unseal,
)
from cosemic.protocol.events import (
    Associated,
    AssociationParameters,
    ClientEvent,
    Released,
)
from cosemic.protocol.general_blocks import GeneralBlocks, unacknowledged
from cosemic.protocol.settings import DEFAULT_WINDOW, ClientSettings
from cosemic.protocol.states import Event, State
from cosemic.protocol.terms import NO_DEMANDS, Demands, Terms
from cosemic.security.context import AssociationSecurity, SecurityPolicy
from cosemic.security.hls import HlsExchange
from cosemic.tolerances import Tolerance, note

_CONFIRMED = invoke_octet(0, True, False)
_HIGH_PRIORITY = invoke_octet(0, False, True)
_OWN_BLOCKS = int(
    Conformance.BLOCK_TRANSFER_WITH_GET_OR_READ
    | Conformance.BLOCK_TRANSFER_WITH_SET_OR_WRITE
    | Conformance.BLOCK_TRANSFER_WITH_ACTION
)


class ClientOpening(Association[ClientEvent]):
    """The part of a client's association that does not depend on which services are used in it."""

    __slots__ = (
        "_asks_in_blocks",
        "_counter_adopted",
        "_demanded_response",
        "_demands",
        "_envelope",
        "_epoch",
        "_hls",
        "_initiate",
        "_invoke_flags",
        "_invoke_id",
        "_is_protected",
        "_long_invoke_id",
        "_plain",
        "_security",
        "_terms",
        "datagram",
        "settings",
    )

    def __init__(self, settings: ClientSettings, *, datagram: bool = False, trace: Trace | None = None) -> None:
        super().__init__(trace)
        self.settings = settings
        self.datagram = datagram
        self._security: AssociationSecurity | None = None
        self._hls: HlsExchange | None = None
        self._initiate: InitiateRequest | None = None
        self._terms: Terms | None = None
        self._envelope = PLAIN
        self._plain = b""
        self._invoke_id = 0
        self._invoke_flags = 0
        self._long_invoke_id = 0
        self._is_protected = False
        self._asks_in_blocks = False  # requests go in general blocks, so that their answers do
        self._demands = NO_DEMANDS
        self._demanded_response = 0
        self._epoch = 0
        self._counter_adopted = False

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
                    conformance=opening.proposed_conformance(settings, self.datagram),
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
            apdu = opening.release_request(settings, self._security, self.datagram).encode()
        except DlmsError:
            self.state = state
            raise
        if self.trace is not None:
            self.trace("apdu", "out", apdu)
        self._outgoing.append(apdu)

    # What leaves and what comes

    def _send(self, plain: bytes, envelope: Envelope | None = None) -> None:
        self._plain = plain
        self._invoke_id = plain[2] & 0x0F if plain[0] != ApduTag.ACCESS_REQUEST else self._long_invoke_id
        if self.trace is not None:
            self.trace("apdu", "out", self._redactor.service(plain))
        if envelope is None:
            envelope = self._envelope
        if envelope.policy:
            assert self._security is not None
            plain = seal(self._security, plain, envelope)
        if self._blocks_used:
            self._begin_exchange()
        if len(plain) <= self._longest and not (self._asks_in_blocks and self.state is State.EXCHANGING):
            self._outgoing.append(plain)
        elif self._invoke_flags & _CONFIRMED:
            self._send_in_blocks(plain)
        else:
            self._outgoing += unacknowledged(plain, self._longest)

    def _next_invoke(self) -> int:
        return self._invoke_flags | (self._invoke_id + 1) & 0x0F

    def _next_long_invoke(self) -> int:
        self._long_invoke_id = (self._long_invoke_id + 1) & 0xFFFFFF
        return self._long_invoke_id

    def _open(self, apdu: bytes) -> tuple[bytes, Envelope]:
        if self._security is None:
            raise KeyMissing("the meter sent a ciphered APDU, but no SecurityContext was given")
        return unseal(self._security, apdu)

    # AARQ and AARE, passes 3 and 4, RLRE

    def _send_association_request(self) -> None:
        aarq, self._initiate = opening.association_request(self.settings, self._security, self._hls, self.datagram)
        if self.trace is not None:
            self.trace("apdu", "out", redaction.association_request(aarq, self._initiate))
        self._outgoing.append(aarq.encode())

    def _association_response(self, plain: bytes) -> None:
        if self.state is not State.ASSOCIATION_PENDING:
            raise SequenceError("an AARE came while no association was being opened")
        tolerances = self.settings.tolerances
        aare = decode_apdu(plain, tolerances=tolerances)
        assert isinstance(aare, AssociationResponse)
        security = self._security
        if security is not None and aare.responding_ap_title:
            security.peer_system_title = aare.responding_ap_title
        if security is not None and aare.responding_ae_qualifier:
            security.take_certificate(aare.responding_ae_qualifier)
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
            self._security.check_policy(envelope.policy, ciphering_only(self._security.context.minimum_policy))
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
            self._envelope = Envelope(ciphering_only(self._security.context.policy))
            self._is_protected = bool(ciphering_only(self._security.context.minimum_policy))
        if self._uses_short_names():
            self._send(short_name_exchange.authentication_request(proof).encode())
            return
        self._send(ActionRequestNormal(octet, descriptor, proof).encode())

    def _authentication_response(self, response: Apdu) -> None:
        """Pass 4: f(CtoS) must prove the meter."""
        assert self._hls is not None
        assert self.parameters is not None
        if self._uses_short_names():
            response = short_name_exchange.authentication_answer(response)
        if not isinstance(response, ActionResponseNormal):
            raise SequenceError(f"{type(response).__name__} does not answer pass 3 of the authentication")
        if response.result:
            raise AuthenticationError(
                f"the meter refuses our proof (action-result {int(response.result)}): check the "
                + hints.SECRET_OF.get(self.settings.mechanism, "password")
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
        settings = self.settings
        agreed = bool(parameters.conformance & Conformance.PRIORITY_MGMT_SUPPORTED)
        self._invoke_flags = invoke_octet(0, settings.confirmed, settings.high_priority and agreed)
        self._asks_in_blocks = False
        if parameters.conformance & Conformance.GENERAL_BLOCK_TRANSFER:
            self._blocks = self._new_blocks(parameters.max_pdu_size)
            self._longest = parameters.max_pdu_size or UNLIMITED
            self._asks_in_blocks = bool(settings.block_transfer_window) and settings.confirmed
        self._take_terms(NO_DEMANDS)
        self._events.append(Associated(parameters))

    def _take_terms(self, demands: Demands) -> None:
        """How requests are sent from now on: as the policy says, and at least as ``demands`` say.

        LocalProtocolError where nothing can be protected at all.
        """
        security, settings, parameters = self._security, self.settings, self.parameters
        assert parameters is not None
        envelope, response = PLAIN, int(demands.response)
        if security is not None:
            self._epoch = security.context.epoch
        if security is not None and self._is_ciphered():
            context = security.context
            general = bool(parameters.conformance & Conformance.GENERAL_PROTECTION)
            if not general and needs_general_protection(context):
                raise SecurityError(
                    "the meter did not agree to general-protection, which signed messages and general-ciphering need"
                )
            if demands.request & SecurityPolicy.SIGNED and context.signing_key is None:
                raise LocalProtocolError("the request needs a signature, and there is no key to make it (signing_key)")
            if (demands.request | demands.response) & SecurityPolicy.SIGNED and not general:
                raise LocalProtocolError(
                    "the request, or its response, needs a signature, and general-protection was not agreed on: "
                    "connect with a SecurityContext with general=True"
                )
            envelope = service_envelope(context, security.has_dedicated_key, general, demands.request)
            if settings.broadcast and context.has_broadcast_key:
                envelope = replace(envelope, dedicated=False, key=None, broadcast=True)
            self._is_protected = bool(context.minimum_policy) or bool(response)
            security.demands_signature = bool(context.minimum_policy & SecurityPolicy.SIGNED)
        elif demands.request or response:
            raise LocalProtocolError(
                f"the request needs the protection {SecurityPolicy(demands.request | demands.response).label!r}, and "
                "this association has none: connect with security and a policy other than none"
            )
        self._demands, self._demanded_response = demands, response
        self._envelope = envelope
        in_one, in_blocks = room(parameters.max_pdu_size, envelope, UNLIMITED), 0
        if self._blocks is not None:
            in_blocks = room(self._blocks.longest, envelope, UNLIMITED)
            always = self._asks_in_blocks or not settings.confirmed
            if always or ~int(parameters.conformance) & _OWN_BLOCKS:
                in_one = in_blocks
        self._terms = Terms(
            self._next_invoke,
            in_one,
            int(parameters.conformance),
            settings.max_octets,
            settings.tolerances,
            self._next_long_invoke,
            bool(self._invoke_flags & _HIGH_PRIORITY),
            settings.confirmed,
            in_blocks,
            settings.short_names if self._uses_short_names() else None,
        )

    def _new_blocks(self, max_pdu_size: int) -> GeneralBlocks:
        settings = self.settings
        return GeneralBlocks(
            window=settings.block_transfer_window or DEFAULT_WINDOW,
            max_pdu_size=max_pdu_size,
            max_octets=settings.max_octets,
            datagram=self.datagram,
        )

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

    # The keys

    def _open_security(self) -> None:
        context = self.settings.security
        if context is not None:
            self._security = AssociationSecurity(context, role="client", tolerances=self.settings.tolerances)

    def _is_ciphered(self) -> bool:
        return opening.application_context(self.settings).is_ciphered

    def _uses_short_names(self) -> bool:
        return opening.application_context(self.settings).is_short_name

    def _forget(self) -> None:
        self._terms = self._hls = self._initiate = None
        self._end_blocks()
        self.parameters = None
        self._envelope = PLAIN
        self._is_protected = False
        if self._security is not None:
            self._security.close()
            self._security = None
