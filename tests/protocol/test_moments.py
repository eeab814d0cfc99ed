"""The right message at the wrong moment, under the wrong key, or in the wrong association."""

from __future__ import annotations

import pytest

from cosemic.apdu.acse import AssociationRequest, InitiateRequest
from cosemic.apdu.base import decode_apdu
from cosemic.apdu.notify import DataNotificationConfirm
from cosemic.apdu.protected import unwrap_ciphered, wrap_ciphered
from cosemic.apdu.services import ExceptionResponse, GetRequestNext, GetRequestNormal, GetResponseWithDatablock
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import ApplicationContext, AuthenticationMechanism
from cosemic.errors import ExceptionResponseError, SecurityError
from cosemic.protocol.events import Associated, Failed, NotificationConfirmed, Released, Requested
from cosemic.protocol.requests import GetResults
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.settings import DEFAULT_CONFORMANCE
from cosemic.security.context import AssociationSecurity, SecurityPolicy
from cosemic.security.counters import MemoryCounters
from cosemic.tolerances import STRICT
from tests.pair.support import (
    CLIENT_TITLE,
    ENCRYPTION_KEY,
    ENERGY,
    METER_TITLE,
    Pair,
    client_settings,
    get,
    security,
    server_settings,
    set_,
)

GMAC, NONE = AuthenticationMechanism.HLS_GMAC, AuthenticationMechanism.NONE
GET = get((3, ENERGY, 2))
BEHIND = bytes.fromhex("d80106000003e8")
"""exception-response invocation-counter-error: 1000 was the last."""


def get_request(octet: int = 0xC1) -> bytes:
    return GetRequestNormal(octet, GET.items[0][0], None).encode()


def sealed(client: AssociationSecurity, apdu: bytes, policy: str | None = None) -> bytes:
    chosen = None if policy is None else SecurityPolicy.parse(policy)
    return wrap_ciphered(0xC8, client.protect(apdu, policy=chosen))


def requests(association: ServerAssociation) -> list[Requested]:
    return [event for event in association.events() if isinstance(event, Requested)]


def long_answer(association: ServerAssociation) -> None:
    association.respond(GetResults((Data.of(axdr.octet_string(bytes(300))),)))


@pytest.mark.parametrize("asked_before", [False, True])
def test_a_counter_that_is_behind_at_the_release_repeats_no_request(asked_before: bool) -> None:
    """The exception-response is not authenticated: it must not have a SET or ACTION done twice."""
    context = security(CLIENT_TITLE, allow_counter_from_meter=True)
    pair = Pair(client_settings(NONE, context, tolerances=STRICT), server_settings(NONE, security(METER_TITLE)))
    assert isinstance(pair.connect(), Associated)
    if asked_before:
        pair.do(set_((1, ENERGY, 2, axdr.unsigned(1))))
    client = pair.client._association
    client.release()
    client.apdus_to_send()
    client.receive_apdu(BEHIND)
    assert client.apdus_to_send() == []
    (outcome,) = client.events()
    assert isinstance(outcome, (Failed, Released))
    if isinstance(outcome, Failed):
        assert isinstance(outcome.error, ExceptionResponseError)


def test_nobody_confirms_a_push_without_an_association() -> None:
    association = ServerAssociation(server_settings(GMAC, security(METER_TITLE)))
    association.receive_apdu(DataNotificationConfirm(0x40000006).encode())
    assert not any(isinstance(event, NotificationConfirmed) for event in association.events())
    initiate = InitiateRequest(None, True, None, 6, DEFAULT_CONFORMANCE, 0xFFFF).encode()
    plain = AssociationRequest(
        application_context=ApplicationContext.LOGICAL_NAME,
        mechanism=GMAC,
        calling_authentication_value=bytes(range(16)),
        calling_ap_title=CLIENT_TITLE,
        user_information=initiate,
    )
    association = ServerAssociation(server_settings(GMAC, security(METER_TITLE, minimum_policy="none")))
    association.receive_apdu(plain.encode())
    association.receive_apdu(DataNotificationConfirm(0x40000006).encode())
    assert not any(isinstance(event, NotificationConfirmed) for event in association.events())


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_dedicated_key_that_is_a_global_key_is_refused(role: str) -> None:
    """It would have counters of its own: the same initialisation vectors, and repetitions of the global messages."""
    broadcast = bytes(range(40, 56))
    title, peer = (CLIENT_TITLE, METER_TITLE) if role == "client" else (METER_TITLE, CLIENT_TITLE)
    context = security(title, broadcast_key=broadcast)
    context.offer_keys(encryption_key=bytes(range(60, 76)))
    association = AssociationSecurity(context, role=role, peer_system_title=peer)  # type: ignore[arg-type]
    for key in (ENCRYPTION_KEY, broadcast, bytes(range(60, 76))):
        with pytest.raises(SecurityError, match="dedicated key"):
            association.set_dedicated_key(key)
        assert not association.has_dedicated_key
    association.set_dedicated_key(bytes(range(80, 96)))


def test_a_protected_request_is_answered_protected_in_the_plain_context_too() -> None:
    context = security(METER_TITLE, minimum_policy="none")
    association = ServerAssociation(server_settings(NONE, context))
    initiate = InitiateRequest(None, True, None, 6, DEFAULT_CONFORMANCE, 0xFFFF).encode()
    association.receive_apdu(
        AssociationRequest(
            application_context=ApplicationContext.LOGICAL_NAME,
            calling_ap_title=CLIENT_TITLE,
            user_information=initiate,
        ).encode()
    )
    association.apdus_to_send()
    client = AssociationSecurity(security(CLIENT_TITLE), role="client", peer_system_title=METER_TITLE)
    association.receive_apdu(sealed(client, get_request()))
    association.respond(GetResults((Data.of(axdr.unsigned(7)),)))
    (answer,) = association.apdus_to_send()
    assert client.open(unwrap_ciphered(answer)[2])[-1] == 7


@pytest.mark.parametrize("policy", ["none", "authenticated"])
def test_the_rest_of_an_answer_is_protected_as_its_beginning(policy: str) -> None:
    """Whoever asks for the next block without a key gets nothing in plain."""
    context = security(METER_TITLE, "none", peer_system_title=CLIENT_TITLE)
    association = ServerAssociation(server_settings(NONE, context, pre_established=True, max_pdu_size=100))
    assert association.parameters is not None
    object.__setattr__(association.parameters, "max_pdu_size", 100)
    client = AssociationSecurity(
        security(CLIENT_TITLE, minimum_policy="none"), role="client", peer_system_title=METER_TITLE
    )
    association.receive_apdu(sealed(client, get_request(), "authenticated-encrypted"))
    long_answer(association)
    (answer,) = association.apdus_to_send()
    first = decode_apdu(client.open(unwrap_ciphered(answer)[2]))
    assert isinstance(first, GetResponseWithDatablock)
    further = GetRequestNext(0xC1, first.block_number).encode()
    association.receive_apdu(further if policy == "none" else sealed(client, further, policy))
    (answer,) = association.apdus_to_send()
    if answer[0] != 0xD8:
        assert unwrap_ciphered(answer)[2][0] == 0x30
    association.receive_apdu(get_request())  # another request is answered as it comes
    assert len(requests(association)) == 2


def test_a_message_is_taken_by_one_of_several_associations() -> None:
    """What went over one connection is no news on another that was open before."""
    settings = server_settings(NONE, security(METER_TITLE, peer_system_title=CLIENT_TITLE), pre_established=True)
    first, second = ServerAssociation(settings), ServerAssociation(settings)
    counters = MemoryCounters()
    one, other = (
        AssociationSecurity(security(CLIENT_TITLE, counters=counters), role="client", peer_system_title=METER_TITLE)
        for _ in range(2)
    )
    taken = [sealed(one, get_request(0x81)) for _ in range(3)]
    for message in taken:
        first.receive_apdu(message)
    assert len(requests(first)) == 3
    for message in taken:
        second.receive_apdu(message)
        (answer,) = second.apdus_to_send()
        assert isinstance(decode_apdu(answer), ExceptionResponse)
    assert requests(second) == []
    # Both go on side by side, each with counters from a range of its own.
    for _ in range(100):
        second.receive_apdu(sealed(other, get_request(0x81)))
        first.receive_apdu(message := sealed(one, get_request(0x81)))
        second.receive_apdu(message)
    assert len(requests(first)) == len(requests(second)) == 100
