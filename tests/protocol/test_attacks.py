"""What somebody without the keys may try, and what must survive it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from cosemic.apdu.acse import (
    AssociationRequest,
    AssociationResponse,
    InitiateRequest,
    InitiateResponse,
    ReleaseRequest,
)
from cosemic.apdu.base import decode_apdu
from cosemic.apdu.protected import wrap_ciphered, wrap_general
from cosemic.apdu.services import (
    ActionResponseNextPblock,
    ExceptionResponse,
    GetRequestNormal,
    SetRequestWithDatablock,
    SetRequestWithFirstDatablock,
    SetResponseDatablock,
)
from cosemic.codec import axdr
from cosemic.enums import ApplicationContext, AssociationResult, AuthenticationMechanism, Conformance
from cosemic.errors import ExceptionResponseError, SecurityError, SequenceError
from cosemic.link.wrapper import WrapperPdu
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.datagrams import AnsweredRequests
from cosemic.protocol.events import Associated, Released, Requested
from cosemic.protocol.requests import Action, GetResults, SetResults
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.settings import DEFAULT_CONFORMANCE, ClientSettings
from cosemic.protocol.states import State
from cosemic.security.context import AssociationSecurity
from cosemic.security.counters import MemoryCounters, key_id
from tests.pair.support import (
    AUTHENTICATION_KEY,
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

GET = get((3, ENERGY, 2))
GMAC = AuthenticationMechanism.HLS_GMAC
NONE = AuthenticationMechanism.NONE


def get_request(octet: int = 0xC1) -> bytes:
    return GetRequestNormal(octet, GET.items[0][0], None).encode()


@pytest.mark.parametrize("control", [0x00, 0x20])
def test_a_stranger_cannot_use_up_the_counters_of_a_client(control: int) -> None:
    """An AARQ that names the client's title, then a message without a tag under the highest counter of all."""
    context = security(METER_TITLE, minimum_policy="none")
    settings = server_settings(GMAC, context)
    stranger = ServerAssociation(settings)
    initiate = InitiateRequest(None, True, None, 6, DEFAULT_CONFORMANCE, 0xFFFF).encode()
    stranger.receive_apdu(
        AssociationRequest(
            application_context=ApplicationContext.LOGICAL_NAME,
            mechanism=GMAC,
            calling_authentication_value=bytes(range(16)),
            calling_ap_title=CLIENT_TITLE,
            user_information=initiate,
        ).encode()
    )
    assert stranger.state is State.AUTHENTICATION_PENDING
    sealed = context.unicast_cipher().seal(control, CLIENT_TITLE, 0xFFFFFFFF, get_request(), b"")
    stranger.receive_apdu(wrap_ciphered(0xC8, sealed))
    assert settings.received == {}
    pair = Pair(client_settings(GMAC, security(CLIENT_TITLE)), settings)
    assert isinstance(pair.connect(), Associated)
    assert pair.do(GET).results[0].value == 12345


def test_a_pre_established_association_refuses_what_an_earlier_one_took() -> None:
    """The client's title is learned from its general-glo-ciphering; its last counter comes with it."""
    settings = server_settings(NONE, security(METER_TITLE), pre_established=True)
    client = AssociationSecurity(security(CLIENT_TITLE), role="client", peer_system_title=METER_TITLE)
    sealed = [wrap_general(0xDB, CLIENT_TITLE, client.protect(get_request())) for _ in range(3)]
    first = ServerAssociation(settings)
    first.receive_apdu(sealed[1])
    assert [type(event) for event in first.events()].count(Requested) == 1
    for replay in sealed[:2]:
        again = ServerAssociation(settings)
        again.receive_apdu(replay)
        assert [type(event) for event in again.events()].count(Requested) == 0
        (answer,) = again.apdus_to_send()
        assert answer.hex() == "d8010600000002"
    again.receive_apdu(sealed[2])
    assert [type(event) for event in again.events()].count(Requested) == 1


def test_a_pre_established_association_can_be_neither_released_nor_replaced() -> None:
    settings = server_settings(NONE, pre_established=True)
    association = ServerAssociation(settings)
    association.receive_apdu(ReleaseRequest(0).encode())
    assert isinstance(decode_apdu(association.apdus_to_send()[0]), ExceptionResponse)
    initiate = InitiateRequest(None, True, None, 6, DEFAULT_CONFORMANCE, 0xFFFF).encode()
    association.receive_apdu(
        AssociationRequest(application_context=ApplicationContext.LOGICAL_NAME, user_information=initiate).encode()
    )
    answer = decode_apdu(association.apdus_to_send()[0])
    assert isinstance(answer, AssociationResponse)
    assert answer.result == AssociationResult.REJECTED_PERMANENT
    association.events()
    association.receive_apdu(get_request())
    assert [type(event) for event in association.events()] == [Requested]
    association.respond(GetResults((1,)))
    assert association.state is State.ASSOCIATED


# Datagrams that come twice or late


def test_a_request_that_comes_twice_is_answered_twice_and_done_once() -> None:
    answered = AnsweredRequests()
    set_request, late = b"\xc1\x01\xc1 value", b"\xc1\x01\xc2 value"
    assert answered.repeated(set_request, 0.0, True) is None
    answered.add(b"done")
    assert answered.repeated(set_request, 1.0, True) == [b"done"]
    assert answered.repeated(b"\xc0\x01\xc1 get", 1.5, True) is None
    answered.add(b"a value")
    assert answered.repeated(set_request, 2.0, True) == [b"done"]
    assert answered.repeated(late, 3.0, True) is None
    answered.add(b"done too")
    assert answered.repeated(set_request, 4.0, True) == []
    assert answered.repeated(late, 5.0, True) == [b"done too"]
    assert answered.repeated(late, 40.0, True) is None  # after so long a time it is meant


def test_a_late_aarq_does_not_end_the_association_that_it_opened() -> None:
    answered = AnsweredRequests()
    aarq = b"\x60 associate"
    assert answered.repeated(aarq, 0.0, False) is None
    answered.add(b"aare")
    assert answered.repeated(b"\xc1\x01\xc1", 1.0, True) is None
    answered.add(b"done")
    assert answered.repeated(aarq, 2.0, True) == [b"aare"]
    assert answered.repeated(b"\xc1\x01\xc1", 3.0, True) == [b"done"]
    assert answered.repeated(aarq, 4.0, False) is None  # released meanwhile: it opens another one
    assert answered.repeated(b"\xc1\x01\xc1", 5.0, True) is None


# Counters


class _Failing(MemoryCounters):
    fails = False

    def reserve(self, key_id: str, count: int) -> range:
        if self.fails:
            raise SecurityError("the disk is full")
        return super().reserve(key_id, min(count, 1))


def test_a_release_that_cannot_be_sealed_changes_nothing() -> None:
    counters = _Failing()
    pair = Pair(
        client_settings(GMAC, security(CLIENT_TITLE, counters=counters)), server_settings(GMAC, security(METER_TITLE))
    )
    assert isinstance(pair.connect(), Associated)
    counters.fails = True
    with pytest.raises(SecurityError):
        pair.client.release(0.0)
    assert pair.client.state is State.ASSOCIATED
    counters.fails = False
    assert isinstance(pair.release(), Released)


def test_the_counter_of_a_dedicated_key_is_not_taken_from_the_meter() -> None:
    counters = MemoryCounters()
    context = security(CLIENT_TITLE, counters=counters, dedicated_key=True, allow_counter_from_meter=True)
    pair = Pair(client_settings(GMAC, context), server_settings(GMAC, security(METER_TITLE)))
    assert isinstance(pair.connect(), Associated)
    before = counters.peek(key_id(CLIENT_TITLE, ENCRYPTION_KEY))
    pair.client.request(GET, 0.0)
    pair.client.data_to_send()
    answer = ExceptionResponse(1, 6, 0x10000000).encode()
    pair.client.receive_data(WrapperPdu(1, 16, answer).encode(), 0.0)
    (event,) = pair.client.events()
    assert isinstance(event.error, ExceptionResponseError)
    assert not event.fatal
    assert pair.client.data_to_send() == b""
    assert counters.peek(key_id(CLIENT_TITLE, ENCRYPTION_KEY)) == before


def test_the_counter_is_taken_from_the_meter_once_for_a_request() -> None:
    context = security(CLIENT_TITLE, allow_counter_from_meter=True)
    pair = Pair(client_settings(GMAC, context), server_settings(GMAC, security(METER_TITLE)))
    assert isinstance(pair.connect(), Associated)
    pair.client.request(GET, 0.0)
    pair.client.data_to_send()
    sent = []
    for counter in (1000, 2000):
        answer = ExceptionResponse(1, 6, counter).encode()
        pair.client.receive_data(WrapperPdu(1, 16, answer).encode(), 0.0)
        sent.append(pair.client.data_to_send())
    assert sent[0][10:15].hex() == "30000003e9"
    assert sent[1] == b""
    (event,) = pair.client.events()
    assert isinstance(event.error, ExceptionResponseError)


def test_a_counter_error_without_a_counter_is_an_error_by_name() -> None:
    context = security(CLIENT_TITLE, allow_counter_from_meter=True)
    pair = Pair(client_settings(GMAC, context), server_settings(GMAC, security(METER_TITLE)))
    assert isinstance(pair.connect(), Associated)
    pair.client.request(GET, 0.0)
    pair.client.data_to_send()
    pair.client.receive_data(WrapperPdu(1, 16, bytes.fromhex("d80106")).encode(), 0.0)
    (event,) = pair.client.events()
    assert isinstance(event.error, ExceptionResponseError)
    assert event.error.invocation_counter is None
    assert not event.fatal
    assert pair.do(GET).results[0].value == 12345


# Answers that prove nothing


def opened_with(forge: Callable[[AssociationResponse], AssociationResponse]) -> object:
    """What becomes of a ciphered association whose AARE is changed on the way."""
    pair = Pair(client_settings(GMAC, security(CLIENT_TITLE)), server_settings(GMAC, security(METER_TITLE)))
    pair.client.connect(0.0)
    pair.server.receive_data(pair.client.data_to_send(), 0.0)
    aare = decode_apdu(pair.server.data_to_send()[8:])
    assert isinstance(aare, AssociationResponse)
    pair.client.receive_data(WrapperPdu(1, 16, forge(aare).encode()).encode(), 0.0)
    (event,) = pair.client.events() or [None]
    return event


INITIATE_RESPONSE = InitiateResponse(None, 6, Conformance.GET, 100, 7).encode()


def test_a_plain_initiate_response_in_a_ciphered_association() -> None:
    """Whoever stands between could take services and PDU size away."""
    assert opened_with(lambda aare: aare) is None
    event = opened_with(lambda aare: replace(aare, user_information=INITIATE_RESPONSE))
    assert isinstance(event.error, SecurityError)
    assert event.fatal


@pytest.mark.parametrize("control", [0x00, 0x10, 0x20])
def test_an_initiate_response_with_less_protection(control: int) -> None:
    context = security(METER_TITLE)
    associated = {0x10: b"\x10" + AUTHENTICATION_KEY}.get(control, b"")
    sealed = context.unicast_cipher().seal(control, METER_TITLE, 99, INITIATE_RESPONSE, associated)
    event = opened_with(lambda aare: replace(aare, user_information=wrap_ciphered(0x28, sealed)))
    assert isinstance(event.error, SecurityError)
    assert "demanded" in str(event.error)
    assert event.fatal


@pytest.mark.parametrize("plain", range(3))
def test_a_block_without_protection_takes_it_from_the_whole_request(plain: int) -> None:
    """Else a forged first block would choose what the client's own last one is written to."""
    settings = server_settings(GMAC, security(METER_TITLE, minimum_policy="none"))
    pair = Pair(client_settings(GMAC, security(CLIENT_TITLE)), settings)
    assert isinstance(pair.connect(), Associated)
    association = pair.server.association
    assert association is not None
    client = AssociationSecurity(pair.client.settings.security, role="client", peer_system_title=METER_TITLE)
    octets = axdr.encode(axdr.octet_string(b"a value in three blocks"))
    blocks = [
        SetRequestWithFirstDatablock(0xC1, GET.items[0][0], None, False, 1, octets[:5]),
        SetRequestWithDatablock(0xC1, False, 2, octets[5:10]),
        SetRequestWithDatablock(0xC1, True, 3, octets[10:]),
    ]
    for number, block in enumerate(blocks):
        apdu = block.encode()
        association.receive_apdu(apdu if number == plain else wrap_ciphered(0xC9, client.protect(apdu)))
    (requested,) = association.events()
    assert isinstance(requested, Requested)
    assert requested.protection == 0
    association.respond(SetResults((0,)))
    association.receive_apdu(wrap_ciphered(0xC8, client.protect(get_request(0xC2))))
    (requested,) = association.events()
    assert requested.protection == 0x30


@pytest.mark.parametrize("control", [None, 0x00, 0x20])
def test_an_initiate_request_has_to_be_authenticated_whatever_the_policy(control: int | None) -> None:
    """It is what ties an association to a key: without a tag anybody could open one in a client's name."""
    context = security(METER_TITLE, minimum_policy="none")
    association = ServerAssociation(server_settings(NONE, context))
    initiate = InitiateRequest(None, True, None, 6, DEFAULT_CONFORMANCE, 0xFFFF).encode()
    if control is not None:
        initiate = wrap_ciphered(0x21, context.unicast_cipher().seal(control, CLIENT_TITLE, 9, initiate, b""))
    association.receive_apdu(
        AssociationRequest(
            application_context=ApplicationContext.LOGICAL_NAME_CIPHERED,
            calling_ap_title=CLIENT_TITLE,
            user_information=initiate,
        ).encode()
    )
    assert association.state is State.IDLE
    assert association.events() == []
    answer = decode_apdu(association.apdus_to_send()[0])
    assert isinstance(answer, ExceptionResponse) or answer.result == AssociationResult.REJECTED_PERMANENT


@pytest.mark.parametrize("confirmed", [0, 1, 3, 0xFFFFFFFF])
@pytest.mark.parametrize("service", ["set", "action"])
def test_the_confirmation_of_another_block_is_fatal(service: str, confirmed: int) -> None:
    """To go on would leave a hole in what the meter puts together."""
    client = ClientAssociation(ClientSettings(pre_established=True, pre_established_pdu_size=40))
    client.associate()
    value = axdr.octet_string(bytes(100))
    client.request(set_((1, ENERGY, 2, value)) if service == "set" else Action.one(1, ENERGY, 1, value))
    (first,) = client.apdus_to_send()
    octet = decode_apdu(first).invoke_id_and_priority
    kind = SetResponseDatablock if service == "set" else ActionResponseNextPblock
    client.receive_apdu(kind(octet, 1).encode())
    (second,) = client.apdus_to_send()
    assert decode_apdu(second).block_number == 2
    client.events()
    client.receive_apdu(kind(octet, confirmed).encode())
    (event,) = client.events()
    assert isinstance(event.error, SequenceError)
    assert event.fatal
    assert client.apdus_to_send() == []
