"""Recorded conversations by short names, replayed against both our sides."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cosemic.apdu.base import decode_apdu
from cosemic.apdu.services import AttributeDescriptor, ReadRequest, ReadResponse, VariableName
from cosemic.codec.axdr import Data
from cosemic.cosem.short_names import CURRENT_ASSOCIATION, NamedObject, ShortNameTable, decode_named_objects
from cosemic.enums import ApplicationContext, Referencing
from cosemic.obis import ObisCode
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.events import Associated, AssociationOpened, Completed, Released, Requested
from cosemic.protocol.requests import Get, GetResults
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.settings import ClientSettings, ServerSettings
from cosemic.protocol.short_naming import SHORT_NAME_CONFORMANCE
from tests.vectors.collection import REASON
from tests.vectors.test_recorded import RECORDED, lines

pytestmark = pytest.mark.skipif(not RECORDED.exists(), reason=REASON)


@dataclass(frozen=True)
class Recorded:
    """What a conversation holds, taken from its own octets."""

    objects: int
    target: AttributeDescriptor
    value: object


RECORDINGS = {
    "wrapper-sn-none_pydlms_gurux-java": Recorded(
        27, AttributeDescriptor(1, ObisCode(1, 0, 0, 2, 0, 255), 2), "Gurux FW 0.0.1"
    ),
    "wrapper-sn-none_gurux-java_pydlms-sim": Recorded(
        12, AttributeDescriptor(1, ObisCode(0, 0, 42, 0, 0, 255), 2), b"PYD1000000000001"
    ),
}
OBJECT_LIST = AttributeDescriptor(12, CURRENT_ASSOCIATION, 2)


def apdus(name: str, from_client: bool) -> list[bytes]:
    return [octets[8:] for side, octets in lines(name) if side is from_client]


def recorded_objects(name: str) -> list[NamedObject]:
    answer = decode_apdu(apdus(name, False)[1])
    assert isinstance(answer, ReadResponse)
    (data,) = answer.results
    assert isinstance(data, Data)
    return decode_named_objects(data.value)


@pytest.mark.parametrize("name", RECORDINGS)
def test_our_client_with_the_recorded_meter(name: str) -> None:
    requests, answers = apdus(name, True), apdus(name, False)
    recorded = RECORDINGS[name]
    initiate = decode_apdu(decode_apdu(requests[0]).user_information)  # type: ignore[attr-defined]
    table = ShortNameTable()
    client = ClientAssociation(
        ClientSettings(
            referencing=Referencing.SHORT_NAME,
            short_names=table,
            conformance=initiate.proposed_conformance,  # type: ignore[attr-defined]
            max_pdu_size=initiate.client_max_receive_pdu_size,  # type: ignore[attr-defined]
        )
    )
    client.associate()
    sent, results = [], []
    for answer in answers:
        sent += client.apdus_to_send()
        client.receive_apdu(answer)
        (event,) = client.events()
        if isinstance(event, Associated):
            assert event.parameters.application_context == ApplicationContext.SHORT_NAME
            client.request(Get(((OBJECT_LIST, None),)))
        elif isinstance(event, Completed):
            results.append(event.result)
            if len(results) == 1:
                table.load(decode_named_objects(event.result.results[0].value))
                client.request(Get(((recorded.target, None),)))
            else:
                client.release()
        else:
            assert isinstance(event, Released), event
    assert [apdu.hex() for apdu in sent[:3]] == [apdu.hex() for apdu in requests[:3]]
    assert len(table.objects) >= recorded.objects
    assert results[1].results[0].value == recorded.value


@pytest.mark.parametrize("name", RECORDINGS)
def test_our_meter_with_the_recorded_client(name: str) -> None:
    recorded = RECORDINGS[name]
    table = ShortNameTable(recorded_objects(name))
    server = ServerAssociation(ServerSettings(client_sap=16, conformance=SHORT_NAME_CONFORMANCE, short_names=table))
    asked, opened, answers = [], False, []
    for apdu in apdus(name, True):
        server.receive_apdu(apdu)
        for event in server.events():
            opened |= isinstance(event, AssociationOpened)
            if isinstance(event, Requested):
                asked.append(event.request)
                (result,) = decode_apdu(apdus(name, False)[len(asked)]).results  # type: ignore[attr-defined]
                server.respond(GetResults((result,)))
        answers += server.apdus_to_send()
    assert opened
    assert asked == [Get(((OBJECT_LIST, None),)), Get(((recorded.target, None),))]
    assert answers[1:3] == apdus(name, False)[1:3]  # in between the AARE and the RLRE octet by octet the same


@pytest.mark.parametrize("name", RECORDINGS)
def test_names_lead_back_to_attributes(name: str) -> None:
    recorded = RECORDINGS[name]
    table = ShortNameTable(recorded_objects(name))
    request = decode_apdu(apdus(name, True)[2])
    assert isinstance(request, ReadRequest)
    (specification,) = request.specifications
    assert isinstance(specification, VariableName)
    assert table.find(specification.name) == recorded.target
    assert table.attribute_name(recorded.target) == specification.name
