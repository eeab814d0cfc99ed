"""Recorded conversations, replayed against both of our sides.

The client test hands our client what the recorded meter sent, with the challenge and the invocation counters of the
recorded client; so our requests can be compared with the recorded ones octet by octet. The server test hands our
server the recorded requests; it has to let the client in and understand what it asks.
"""

from __future__ import annotations

from dataclasses import dataclass

from cosemic.apdu.base import Apdu, decode_apdu
from cosemic.apdu.services import (
    ActionRequestNormal,
    GetRequestNext,
    GetRequestNormal,
    GetRequestWithList,
    SetRequestNormal,
    SetRequestWithDatablock,
    SetRequestWithFirstDatablock,
)
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import ApplicationContext, AuthenticationMechanism, Conformance, DataAccessResult
from cosemic.link.frames import FrameReader, HdlcFrame
from cosemic.protocol.ciphering import CIPHERED, unseal
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.events import Associated, AssociationOpened, Completed, Failed, Released, Requested
from cosemic.protocol.requests import Action, ActionResults, Get, GetResults, Request, Result, Set, SetResults
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.settings import ClientSettings, ServerSettings
from cosemic.security.context import AssociationSecurity, SecurityContext, SecurityPolicy
from cosemic.security.counters import MemoryCounters, key_id
from cosemic.tolerances import DEFAULT, Tolerance

ENCRYPTION_KEY = bytes(range(16))
AUTHENTICATION_KEY = bytes(range(0xD0, 0xE0))


@dataclass
class Talk:
    """One association: (from the client?, APDU) in order, and what is known about it."""

    apdus: list[tuple[bool, bytes]]
    mechanism: AuthenticationMechanism = AuthenticationMechanism.NONE
    password: bytes | None = None
    policy: SecurityPolicy = SecurityPolicy.AUTHENTICATED_ENCRYPTED
    tolerances: frozenset[Tolerance] = DEFAULT
    hls_function: object = None

    @property
    def requests(self) -> list[bytes]:
        return [apdu for from_client, apdu in self.apdus if from_client]

    @property
    def responses(self) -> list[bytes]:
        return [apdu for from_client, apdu in self.apdus if not from_client]

    @property
    def aarq(self) -> Apdu:
        return decode_apdu(self.requests[0])

    @property
    def aare(self) -> Apdu:
        return decode_apdu(self.responses[0])


def hdlc_apdus(frames: list[tuple[bool, bytes]]) -> list[tuple[bool, bytes]]:
    """The APDUs of unsegmented I frames."""
    apdus = []
    for from_client, octets in frames:
        (frame,) = FrameReader().feed(octets)
        assert isinstance(frame, HdlcFrame), frame
        if not frame.control & 1 and frame.information:
            assert not frame.segmented
            apdus.append((from_client, frame.information[3:]))
    return apdus


def security(title: bytes, policy: SecurityPolicy, *, general: bool = False) -> SecurityContext:
    return SecurityContext(0, title, ENCRYPTION_KEY, AUTHENTICATION_KEY, policy, MemoryCounters(), general=general)


def service_requests(talk: Talk) -> list[tuple[Request, int]]:
    """What the recorded client asked for, with the number of its first APDU: blocks put together, pass 3 left out."""
    opener = None
    if talk.aarq.calling_ap_title:
        opener = AssociationSecurity(security(b"x" * 8, SecurityPolicy.NONE), role="server")
        opener.peer_system_title = talk.aarq.calling_ap_title
    requests: list[tuple[Request, int]] = []
    collected = b""
    first: tuple[object, int] | None = None
    for number, octets in enumerate(talk.requests[1:], 1):
        if CIPHERED[octets[0]]:
            assert opener is not None
            octets, _ = unseal(opener, _with_true_length(octets))
        apdu = decode_apdu(octets)
        if isinstance(apdu, GetRequestNormal):
            requests.append((Get(((apdu.attribute, apdu.access),)), number))
        elif isinstance(apdu, GetRequestWithList):
            requests.append((Get(apdu.attributes), number))
        elif isinstance(apdu, SetRequestNormal):
            requests.append((Set(((apdu.attribute, apdu.access),), (apdu.value,)), number))
        elif isinstance(apdu, SetRequestWithFirstDatablock):
            first, collected = ((apdu.attribute, apdu.access), number), apdu.raw_data
        elif isinstance(apdu, SetRequestWithDatablock):
            collected += apdu.raw_data
            if apdu.last_block:
                assert first is not None
                requests.append((Set((first[0],), (Data.decode(collected),)), first[1]))  # type: ignore[arg-type]
        elif isinstance(apdu, ActionRequestNormal) and apdu.method.class_id != 15:
            requests.append((Action((apdu.method,), (apdu.parameters,)), number))
        else:
            assert isinstance(apdu, ActionRequestNormal | GetRequestNext) or octets[0] == 0x62, apdu
    return requests


def replay_client(talk: Talk) -> tuple[list[Result], list[bytes]]:
    """Play the meter of a recorded conversation to our client: its results, and the APDUs that it sent."""
    aarq = talk.aarq
    title = aarq.calling_ap_title
    ciphered = aarq.application_context == ApplicationContext.LOGICAL_NAME_CIPHERED
    context = None
    if title is not None:
        general = any(apdu[0] == 0xDB for apdu in talk.requests)
        context = security(title, talk.policy, general=general)
        context.counters.advance(key_id(title, ENCRYPTION_KEY), int.from_bytes(_first_counter(talk), "big"))
    initiate = _initiate(talk)
    settings = ClientSettings(
        mechanism=talk.mechanism,
        password=talk.password,
        security=context,
        conformance=initiate.proposed_conformance,
        max_pdu_size=initiate.client_max_receive_pdu_size,
        application_context=aarq.application_context if title is not None else None,
        challenge_length=len(aarq.calling_authentication_value or bytes(16)) if talk.mechanism > 1 else 16,
        random_octets=lambda count: (aarq.calling_authentication_value or b"")[:count],
        hls_function=talk.hls_function,
        tolerances=talk.tolerances,
    )
    client = ClientAssociation(settings)
    meter = iter(talk.responses)
    sent: list[bytes] = []
    wanted = iter(service_requests(talk))
    results: list[Result] = []
    client.associate()
    assert ciphered or context is None or talk.policy is not None
    while True:
        outgoing = client.apdus_to_send()
        for apdu in outgoing:
            sent.append(apdu)
            answer = next(meter, None)
            if answer is not None:
                client.receive_apdu(answer)
        for event in client.events():
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Completed):
                results.append(event.result)
            if isinstance(event, Released):
                return results, sent
            assert isinstance(event, Associated | Completed), event
            client._invoke_flags |= 0x80  # recorded clients set the priority bit whether it was agreed on or not
            following = next(wanted, None)
            if following is not None:
                client._invoke_id = (_invoke_id(talk, following[1]) - 1) & 0x0F
                client.request(following[0])
            elif talk.requests[-1][0] == 0x62:
                client.release()
            else:
                return results, sent
        assert outgoing or client._outgoing, "the replay does not go on"


def replay_server(talk: Talk) -> list[Request]:
    """Play the client of a recorded conversation to our server: the requests that it understood."""
    aare = talk.aare
    title = talk.aarq.calling_ap_title
    context = None
    if title is not None:
        context = security(aare.responding_ap_title or b"COS\x00\x00\x00\x00\x01", talk.policy)
    challenge = aare.responding_authentication_value or bytes(16)
    settings = ServerSettings(
        client_sap=1,
        mechanism=talk.mechanism,
        secret=talk.password,
        security=context,
        conformance=Conformance(0x007E1F),
        challenge_length=max(8, len(challenge)),
        random_octets=lambda count: challenge,
        hls_function=talk.hls_function,
        max_pdu_size=0xFFFF,
    )
    server = ServerAssociation(settings)
    requests: list[Request] = []
    opened = False
    for number, apdu in enumerate(talk.requests):
        server.receive_apdu(_with_true_length(apdu))
        for event in server.events():
            if isinstance(event, Requested):
                requests.append(event.request)
                server.respond(_result(event.request))
            opened |= isinstance(event, AssociationOpened)
        for answer in server.apdus_to_send():
            assert answer[0] != 0xD8, (number, answer.hex())
    assert opened
    return requests


def _result(request: Request) -> Result:
    if isinstance(request, Get):
        long = Data.of(axdr.octet_string(bytes(4000)))
        is_profile = request.items[0][0].class_id == 7
        return GetResults((long if is_profile else DataAccessResult.OTHER_REASON,) * len(request.items))
    if isinstance(request, Set):
        return SetResults((DataAccessResult.SUCCESS,) * len(request.items))
    return ActionResults(())


def _with_true_length(apdu: bytes) -> bytes:
    """A recorded client counts a tag that encryption alone does not have; here the length is made right."""
    if CIPHERED[apdu[0]] and apdu[0] not in (0xDB, 0xDC) and apdu[1] < 0x80 and apdu[1] != len(apdu) - 2:
        return bytes((apdu[0], len(apdu) - 2)) + apdu[2:]
    return apdu


def _first_counter(talk: Talk) -> bytes:
    content = talk.aarq.user_information
    return content[3:7]


def _initiate(talk: Talk):
    content = talk.aarq.user_information
    if content[0] != 0x01:
        opener = AssociationSecurity(security(b"x" * 8, SecurityPolicy.NONE), role="server")
        opener.peer_system_title = talk.aarq.calling_ap_title
        content, _ = unseal(opener, content)
    return decode_apdu(content)


def _invoke_id(talk: Talk, number: int) -> int:
    octets = talk.requests[number]
    if CIPHERED[octets[0]]:
        opener = AssociationSecurity(security(b"x" * 8, SecurityPolicy.NONE), role="server")
        opener.peer_system_title = talk.aarq.calling_ap_title
        octets, _ = unseal(opener, _with_true_length(octets))
    return octets[2] & 0x0F
