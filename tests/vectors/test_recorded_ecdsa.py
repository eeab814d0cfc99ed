"""Recorded logins with ECDSA (mechanism 7): our client judges the recorded meter, our meter the recorded client."""

from __future__ import annotations

import pytest

from cosemic.apdu.base import decode_apdu
from cosemic.enums import ActionResult, ApplicationContext, AuthenticationMechanism
from cosemic.errors import AuthenticationError
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.events import Associated, AssociationOpened, Failed
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.settings import ClientSettings, ServerSettings
from cosemic.security.context import SecurityContext
from cosemic.security.counters import MemoryCounters
from cosemic.security.ec import SoftwareKey, public_octets
from tests.vectors.collection import FOLDER, REASON

RECORDED = FOLDER / "recorded"
pytestmark = pytest.mark.skipif(not RECORDED.exists(), reason=REASON)

JAVA = "wrapper-ecdsa-suite1-plain_pydlms_gurux-java"
SIMULATOR = "wrapper-ecdsa-suite1_pydlms_pydlms-sim"


def apdus(name: str) -> list[bytes]:
    lines = (RECORDED / f"{name}.hex").read_text().splitlines()
    return [bytes.fromhex(line[1:].strip())[8:] for line in lines if line[:1] in (">", "<")]


def keys() -> tuple[bytes, bytes]:
    """Public keys of client and server, the same throw-away keys in all recordings."""
    client, server = ((RECORDED / f"{side}_p256.pub.pem").read_text() for side in ("client", "server"))
    return public_octets(1, client), public_octets(1, server)


def context(title: bytes, peer: bytes) -> SecurityContext:
    return SecurityContext(
        1, title, counters=MemoryCounters(), signing_key=SoftwareKey.generate(1), peer_signing_key=peer
    )


def client_of(name: str, peer: bytes) -> ClientAssociation:
    aarq = decode_apdu(apdus(name)[0])
    settings = ClientSettings(
        mechanism=AuthenticationMechanism.HLS_ECDSA,
        security=context(aarq.calling_ap_title, peer),
        application_context=ApplicationContext.LOGICAL_NAME,
        random_octets=lambda count: aarq.calling_authentication_value,
    )
    client = ClientAssociation(settings)
    client.associate()
    return client


@pytest.mark.parametrize("name", [JAVA, SIMULATOR])
def test_the_recorded_meter_proves_itself_to_our_client(name: str) -> None:
    _, aare, _, pass_4, *_ = apdus(name)
    client = client_of(name, keys()[1])
    client.receive_apdu(aare)
    client.receive_apdu(pass_4)
    (event,) = client.events()
    assert isinstance(event, Associated)


@pytest.mark.parametrize("name", [JAVA, SIMULATOR])
def test_our_client_refuses_every_altered_octet_of_the_proof(name: str) -> None:
    _, aare, _, pass_4, *_ = apdus(name)
    for place in range(len(pass_4) - 64, len(pass_4)):
        client = client_of(name, keys()[1])
        client.receive_apdu(aare)
        client.receive_apdu(pass_4[:place] + bytes([pass_4[place] ^ 1]) + pass_4[place + 1 :])
        (event,) = client.events()
        assert isinstance(event, Failed)
        assert isinstance(event.error, AuthenticationError)


@pytest.mark.parametrize("name", [JAVA, SIMULATOR])
@pytest.mark.parametrize("right", [True, False])
def test_the_recorded_client_proves_itself_to_our_meter(name: str, right: bool) -> None:
    aarq, aare, pass_3, *_ = apdus(name)
    recorded = decode_apdu(aare)
    meter = ServerAssociation(
        ServerSettings(
            client_sap=1,
            mechanism=AuthenticationMechanism.HLS_ECDSA,
            security=context(recorded.responding_ap_title, keys()[0 if right else 1]),
            random_octets=lambda count: recorded.responding_authentication_value,
        )
    )
    meter.receive_apdu(aarq)
    (answer,) = meter.apdus_to_send()
    assert decode_apdu(answer).mechanism == AuthenticationMechanism.HLS_ECDSA
    meter.receive_apdu(pass_3)
    (answer,) = meter.apdus_to_send()
    response = decode_apdu(answer)
    if not right:
        assert response.result == ActionResult.OTHER_REASON
        assert meter.events() == []
        return
    assert response.result == ActionResult.SUCCESS
    assert len(response.return_parameters.value) == 64
    assert [type(event) for event in meter.events()] == [AssociationOpened]
