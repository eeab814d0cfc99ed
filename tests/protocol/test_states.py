"""Every pair of state and event, walked on the table and on the associations of both roles."""

from __future__ import annotations

import pytest

from cosemic.apdu.services import AttributeDescriptor
from cosemic.enums import AuthenticationMechanism
from cosemic.errors import LocalProtocolError
from cosemic.obis import ObisCode
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.requests import Get, GetResults
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.settings import ClientSettings, ServerSettings
from cosemic.protocol.states import STEPS, TRANSITIONS, Event, State

GET = Get(((AttributeDescriptor(3, ObisCode(1, 0, 1, 8, 0, 255), 2), None),))
PAIRS = [(state, event) for state in State for event in Event]


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_table_and_matrix_agree(state: State, event: Event) -> None:
    assert STEPS[state][event] is TRANSITIONS.get((state, event))


@pytest.mark.parametrize("state", State)
def test_failure_closes_every_state_for_good(state: State) -> None:
    assert TRANSITIONS[state, Event.FAIL] is State.CLOSED
    assert {event for event in Event if STEPS[State.CLOSED][event] is not None} == {Event.FAIL}


@pytest.mark.parametrize("state", [state for state in State if state is not State.CLOSED])
def test_abort_leads_back_to_the_start(state: State) -> None:
    assert TRANSITIONS[state, Event.ABORT] is State.IDLE


def test_every_state_can_be_reached_and_left() -> None:
    reached, todo = {State.IDLE}, [State.IDLE]
    while todo:
        state = todo.pop()
        for following in STEPS[state]:
            if following is not None and following not in reached:
                reached.add(following)
                todo.append(following)
    assert reached == set(State)


def client(state: State) -> ClientAssociation:
    association = ClientAssociation(ClientSettings(pre_established=state is not State.ASSOCIATION_PENDING))
    if state in (State.ASSOCIATED, State.EXCHANGING, State.ASSOCIATION_PENDING):
        association.associate()
    if state is State.EXCHANGING:
        association.request(GET)
    association.state = state
    association.apdus_to_send()
    association.events()
    return association


CALLS = {
    Event.ASSOCIATE: lambda association: association.associate(),
    Event.REQUEST: lambda association: association.request(GET),
    Event.RELEASE: lambda association: association.release(),
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", CALLS)
def test_a_call_at_the_wrong_moment_raises_before_a_byte_exists(state: State, event: Event) -> None:
    association = client(state)
    allowed = STEPS[state][event] is not None or (event is Event.ASSOCIATE and state is State.IDLE)
    if allowed:
        if event is Event.RELEASE and state is State.AUTHENTICATION_PENDING:
            return
        CALLS[event](association)
        assert association.state is not state
        return
    with pytest.raises(LocalProtocolError) as caught:
        CALLS[event](association)
    assert association.state is state
    assert association.apdus_to_send() == []
    assert association.events() == []
    if state is State.CLOSED:
        assert "reconnect" in str(caught.value)


@pytest.mark.parametrize("state", State)
def test_a_server_answers_only_what_was_asked(state: State) -> None:
    settings = ServerSettings(client_sap=16, mechanism=AuthenticationMechanism.NONE)
    association = ServerAssociation(settings)
    association.state = state
    with pytest.raises(LocalProtocolError):
        association.respond(GetResults((0,)))
    assert association.apdus_to_send() == []


OCTETS = [
    b"\xc4\x01\xc1\x00\x11\x05", b"\xc5\x01\xc1\x00", b"\xc7\x01\xc1\x00\x00", b"\xd8\x01\x01", b"\x0e\x01\x06\x01",
    b"\x61\x00", b"\x63\x00", b"\x0f\xc0\x00\x00\x01\x00\x11\x01", b"\xc2\x00", b"\x60\x00", b"\x62\x00", b"\xff", b"",
    b"\xcc\x00", b"\xdb\x00", b"\xe0\x00", b"\xc0\x01\xc1", b"\xc0\x01\xc1\x00\x03\x01\x00\x01\x08\x00\xff\x02\x00",
]  # fmt: skip


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("octets", OCTETS, ids=bytes.hex)
def test_nothing_a_peer_sends_raises(state: State, octets: bytes) -> None:
    association = client(state)
    if state is State.AUTHENTICATION_PENDING:
        association.state = State.RELEASE_PENDING
    association.receive_apdu(octets)
    association.events()
    settings = ServerSettings(client_sap=16, pre_established=state is State.ASSOCIATED)
    server = ServerAssociation(settings)
    server.receive_apdu(octets)
    server.receive_apdu(octets)
