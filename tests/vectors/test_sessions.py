"""Complete sessions of real meters (sessions.json), replayed against both our sides."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.apdu.base import decode_apdu
from cosemic.apdu.services import (
    AttributeDescriptor,
    GetRequestNormal,
    GetResponseNormal,
    SetRequestNormal,
    SetResponseNormal,
)
from cosemic.enums import AuthenticationMechanism
from cosemic.obis import ObisCode
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.events import Associated, Completed
from cosemic.protocol.requests import Get
from cosemic.protocol.settings import ClientSettings
from cosemic.security.context import SecurityPolicy
from tests.vectors.collection import REASON, load
from tests.vectors.replay import Talk, hdlc_apdus, replay_client, replay_server, service_requests

CASES = {case["name"]: case for case in load("sessions")}
pytestmark = pytest.mark.skipif(not CASES, reason=REASON)

POLICIES = {
    "gocosem:hls-gmac-policy-none": SecurityPolicy.NONE,
    "gocosem:hls-gmac-policy-authentication": SecurityPolicy.AUTHENTICATED,
    "gocosem:hls-gmac-policy-encryption": SecurityPolicy.ENCRYPTED,
}
OTHERS = {"jdlms:read-and-set-clock-object", "jdlms:kamstrup-object-list-get-with-datablock"}


def talks(case: dict[str, Any]) -> list[Talk]:
    """The associations of a session: the public client's, then the management client's."""
    frames = [
        (step["from"] == "client", bytes.fromhex(octets))
        for octets, step in zip(case["bytes"], case["expected"]["steps"], strict=True)
    ]
    apdus = hdlc_apdus(frames)
    starts = [number for number, (from_client, apdu) in enumerate(apdus) if from_client and apdu[0] == 0x60]
    return [Talk(apdus[start:end]) for start, end in zip(starts, [*starts[1:], None], strict=True)]


def secured(name: str) -> Talk:
    _, talk = talks(CASES[name])
    talk.mechanism = AuthenticationMechanism.HLS_GMAC
    talk.policy = POLICIES[name]
    return talk


def test_every_session_is_covered() -> None:
    assert set(CASES) <= set(POLICIES) | OTHERS


@pytest.mark.parametrize("name", POLICIES)
def test_our_client_reads_the_recorded_meter(name: str) -> None:
    public, _ = talks(CASES[name])
    (counters,), sent = replay_client(public)
    assert len(counters.results) == 2
    assert sent == public.requests
    talk = secured(name)
    (result,), sent = replay_client(talk)
    assert result.results[0].value == b"12000017"
    # The recorded client leaves a counter out after pass 3, and counts a tag where encryption alone has none.
    exact = 2 if POLICIES[name] & SecurityPolicy.AUTHENTICATED else 1
    assert sent[:exact] == talk.requests[:exact]
    assert len(sent) == len(talk.requests)


@pytest.mark.parametrize("name", POLICIES)
def test_our_meter_understands_the_recorded_client(name: str) -> None:
    public, _ = talks(CASES[name])
    assert replay_server(public) == [request for request, _ in service_requests(public)]
    talk = secured(name)
    assert replay_server(talk) == [request for request, _ in service_requests(talk)]


def test_a_clock_read_and_set() -> None:
    """Unconfirmed requests that were answered all the same; each answer must decode and fit its request."""
    case = CASES["jdlms:read-and-set-clock-object"]
    frames = [bytes.fromhex(octets) for octets in case["bytes"]]
    apdus = [decode_apdu(apdu) for _, apdu in hdlc_apdus([(True, octets) for octets in frames])][2:]
    assert len(apdus) == 22
    for request, response in zip(apdus[::2], apdus[1::2], strict=True):
        pair = (type(request), type(response))
        assert pair in ((GetRequestNormal, GetResponseNormal), (SetRequestNormal, SetResponseNormal))
        assert request.invoke_id == response.invoke_id


def test_an_object_list_in_69_blocks() -> None:
    case = CASES["jdlms:kamstrup-object-list-get-with-datablock"]
    steps = [bytes.fromhex(octets) for octets in case["bytes"]]
    client = ClientAssociation(ClientSettings(pre_established=True))
    client.associate()
    assert isinstance(client.events()[0], Associated)
    client.request(Get(((AttributeDescriptor(15, ObisCode(0, 0, 40, 0, 0, 255), 2), None),)))
    for request, response in zip(steps[::2], steps[1::2], strict=True):
        assert client.apdus_to_send() == [request]
        client.receive_apdu(response)
    (done,) = client.events()
    assert isinstance(done, Completed)
    (data,) = done.result.results
    assert data.octets.hex() == case["expected"]["reassembled"]
    assert len(data.value) == case["expected"]["elements"]
