"""ACCESS: order, results, processing options, and answers that do not fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosemic.apdu.access import AccessGet, AccessOutcome, AccessRequest, AccessResponse
from cosemic.apdu.base import decode_apdu
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.cosem import access as procedures
from cosemic.enums import ApduTag, AuthenticationMechanism, Conformance, DataAccessResult
from cosemic.errors import (
    DecodeError,
    LocalProtocolError,
    ObjectUndefined,
    RemoteProtocolError,
    SequenceError,
    ServiceError,
    action_error,
)
from cosemic.meter.demo import demo_meter
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.events import Associated, Completed, Failed
from cosemic.protocol.requests import Access, AccessResult, AccessResults, Action, Get, Set, target
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.settings import DEFAULT_CONFORMANCE, ClientSettings
from tests.pair.support import (
    CLIENT_TITLE,
    ECHO,
    ENERGY,
    METER_TITLE,
    PROFILE,
    ROWS,
    Pair,
    client_settings,
    get,
    security,
    server_settings,
)

NONE, GMAC = AuthenticationMechanism.NONE, AuthenticationMechanism.HLS_GMAC
MISSING = Get.one(1, "0.0.99.99.99.255", 2)
TEXT = axdr.octet_string(b"hello")
EVERYTHING = [
    Get.one(3, ENERGY, 2),
    Set.one(1, ECHO, 2, TEXT),
    Get.one(1, ECHO, 2),
    MISSING,
    Action.one(1, ECHO, 1, axdr.unsigned(7)),
]


def asked(request: Access, **options: object) -> tuple[ClientAssociation, AccessRequest]:
    settings = ClientSettings(
        pre_established=True, conformance=DEFAULT_CONFORMANCE & ~Conformance.GENERAL_BLOCK_TRANSFER, **options
    )  # type: ignore[arg-type]
    client = ClientAssociation(settings)
    client.associate()
    client.events()
    client.request(request)
    (octets,) = client.apdus_to_send()
    apdu = decode_apdu(octets)
    assert isinstance(apdu, AccessRequest)
    return client, apdu


ONE = Access.of([Get.one(3, ENERGY, 2)])
VALUE = Data.of(axdr.double_long_unsigned(12345))


def answer(request: AccessRequest, **changes: object) -> bytes:
    response = AccessResponse(
        request.long_invoke_id_and_priority, b"", None, (VALUE,), (AccessOutcome(1, DataAccessResult.SUCCESS),)
    )
    return replace(response, **changes).encode()  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
@pytest.mark.parametrize("protected", [False, True])
@pytest.mark.parametrize("size", [0xFFFF, 100])
def test_all_kinds_in_one_request(kind: str, protected: bool, size: int) -> None:
    mechanism = GMAC if protected else NONE
    pair = Pair(
        client_settings(mechanism, security(CLIENT_TITLE) if protected else None, max_pdu_size=size),
        server_settings(mechanism, security(METER_TITLE) if protected else None, max_pdu_size=size),
        kind,
    )
    event = pair.connect()
    assert isinstance(event, Associated)
    assert event.parameters.conformance & Conformance.ACCESS
    requests = [*EVERYTHING, Get.one(7, PROFILE, 2)]
    result = pair.do(Access.of(requests, self_descriptive=True))
    assert isinstance(result, AccessResults)
    assert [item.result for item in result.results] == [0, 0, 0, DataAccessResult.OBJECT_UNDEFINED, 0, 0]
    assert [item.data and item.data.value for item in result.results[:5]] == [12345, None, b"hello", None, 7]
    assert result.results[5].data == Data.of(ROWS)
    assert len(pair.application.requests) == 1
    assert pair.do(get((3, ENERGY, 2))).results == (VALUE,)  # the next request goes on with its own invoke id


def test_protected_it_is_general() -> None:
    """There is no ciphered APDU of its own; what was agreed for other services does not matter."""
    for options, tag in (({}, ApduTag.GENERAL_GLO_CIPHERING), ({"dedicated_key": True}, 0xDC)):
        pair = Pair(
            client_settings(GMAC, security(CLIENT_TITLE, **options)), server_settings(GMAC, security(METER_TITLE))
        )
        pair.connect()
        wire: list[bytes] = []
        pair.client.link.trace = lambda way, octets, wire=wire: wire.append(octets)  # type: ignore[misc]
        assert isinstance(pair.do(ONE), AccessResults)
        assert [octets[8] for octets in wire] == [tag, tag]


def test_the_octets_are_those_of_the_vectors() -> None:
    """xdlms.json, access-request-get and access-request-with-date-time, but for the object."""
    request = Access((AccessGet(Get.one(8, "0.0.1.0.0.255", 2).items[0][0]),), (None,))
    client, apdu = asked(request)
    assert apdu.encode().hex() == "d9c000000100010100080000010000ff020100"
    client.receive_apdu(bytes.fromhex("dac0000001000001090c07e9010f030c1e0000ffc400010100"))
    (event,) = client.events()
    assert isinstance(event, Completed)
    assert event.result.results[0].data.value.hex() == "07e9010f030c1e0000ffc400"
    moment = bytes.fromhex("07e9010f030c1e0000ffc400")
    _, dated = asked(replace(request, date_time=moment))
    assert dated.encode().hex() == "d9c00000010c07e9010f030c1e0000ffc400010100080000010000ff020100"


def test_processing_options_and_long_invoke_ids() -> None:
    client, first = asked(replace(ONE, break_on_error=True, self_descriptive=True), high_priority=False)
    assert (first.break_on_error, first.self_descriptive, first.confirmed) == (True, True, True)
    assert first.long_invoke_id_and_priority == 0x70000001
    client.receive_apdu(answer(first, specifications=first.specifications))
    client.request(ONE)
    second = decode_apdu(client.apdus_to_send()[0])
    assert second.long_invoke_id == 2


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"data": ()}, "1 results and 0 data"),
        ({"data": (VALUE, VALUE)}, "1 results and 2 data"),
        ({"results": ()}, "0 results and 1 data"),
        ({"results": (AccessOutcome(1, 0),) * 2, "data": (VALUE,) * 2}, "2 results and 2 data"),
        ({"results": (AccessOutcome(2, 0),)}, "another service"),
        ({"results": (AccessOutcome(3, 0),)}, "another service"),
        ({"specifications": (AccessGet(Get.one(3, PROFILE, 2).items[0][0]),)}, "specifications are others"),
        ({"specifications": ()}, "specifications are others"),
    ],
)
def test_lists_that_disagree(changes: dict[str, object], message: str) -> None:
    client, request = asked(ONE)
    client.receive_apdu(answer(request, **changes))
    (event,) = client.events()
    assert isinstance(event, Failed)
    assert isinstance(event.error, RemoteProtocolError)
    assert message in str(event.error)
    assert not event.fatal
    client.request(ONE)  # the association goes on


def test_the_answer_to_another_request() -> None:
    client, request = asked(ONE)
    client.receive_apdu(answer(request, long_invoke_id_and_priority=0xC0000009))
    (event,) = client.events()
    assert isinstance(event.error, SequenceError)
    assert event.fatal
    client, _ = asked(ONE)
    client.receive_apdu(bytes.fromhex("c401c1000600003039"))
    (event,) = client.events()
    assert isinstance(event, Failed)


def test_cut_off_answers() -> None:
    client, request = asked(ONE)
    whole = answer(request)
    for length in range(5, len(whole)):
        client, _ = asked(ONE)
        client.receive_apdu(whole[:length])
        (event,) = client.events()
        assert isinstance(event.error, DecodeError), length


def test_what_cannot_be_sent() -> None:
    client, _ = asked(ONE, pre_established_pdu_size=60)
    client.receive_apdu(answer(_))
    client.events()
    with pytest.raises(LocalProtocolError, match="general-block-transfer"):
        client.request(Access.of([Get.one(3, ENERGY, 2)] * 10))
    with pytest.raises(LocalProtocolError, match="data"):
        client.request(Access((), ()))
    with pytest.raises(LocalProtocolError, match="data"):
        client.request(Access(ONE.items, ()))
    without = ClientAssociation(ClientSettings(pre_established=True, conformance=Conformance.GET))
    without.associate()
    with pytest.raises(LocalProtocolError, match="'access'"):
        without.request(ONE)


def test_unconfirmed() -> None:
    pair = Pair(client_settings(NONE, confirmed=False), server_settings(NONE))
    pair.connect()
    assert pair.do(Access.of([Set.one(1, ECHO, 2, TEXT)])) == AccessResults(())
    assert pair.application.attributes[1, ECHO, 2] == Data.of(TEXT)


@pytest.mark.parametrize(
    "octets, expected",
    [
        ("d9c0000001000000", "d80103"),  # nothing to do
        ("d9c000000100010100030100010800ff0200", "d80103"),  # data for one item is missing
        ("d9c00000010001010003010001", "d80103"),  # cut off
        ("d9c000000100010900030100010800ff020100", "d80103"),  # a kind that does not exist
    ],
)
def test_requests_that_make_no_sense(octets: str, expected: str) -> None:
    server = ServerAssociation(server_settings(NONE, pre_established=True))
    server.events()
    server.receive_apdu(bytes.fromhex(octets))
    assert [apdu.hex() for apdu in server.apdus_to_send()] == [expected]
    assert server.events() == []


def test_a_meter_without_access() -> None:
    server = ServerAssociation(server_settings(NONE, pre_established=True, conformance=Conformance.GET))
    server.receive_apdu(bytes.fromhex("d9c000000100010100030100010800ff02" + "0100"))
    assert [apdu.hex() for apdu in server.apdus_to_send()] == ["d80102"]


def test_results_that_do_not_fit() -> None:
    server = ServerAssociation(server_settings(NONE, pre_established=True))
    server.events()
    server.receive_apdu(bytes.fromhex("d9c000000100010100030100010800ff02" + "0100"))
    with pytest.raises(LocalProtocolError):
        server.respond(AccessResults(()))
    server.respond(AccessResults((AccessResult(0, VALUE),)))
    assert server.apdus_to_send()[0].hex() == "dac0000001" + "0000" + "010600003039" + "010100"


def test_the_simulated_meter_keeps_the_order_and_stops() -> None:
    meter = demo_meter(profile_rows=4)
    number = "0.0.128.0.0.255"
    requests = [
        Set.one(1, number, 2, axdr.double_long_unsigned(5)),
        Get.one(1, number, 2),
        MISSING,
        Set.one(1, number, 2, axdr.double_long_unsigned(6)),
        Action.one(3, "0.0.128.0.2.255", 1, axdr.integer(0)),
        Get.one(7, "1.0.99.1.0.255", 2),
    ]
    going_on = meter.execute((16, 1), Access.of(requests, date_time=bytes(12)))
    assert isinstance(going_on, AccessResults)
    assert [int(item.result) for item in going_on.results] == [0, 0, 4, 0, 0, 0]
    assert going_on.results[1].data.value == 5
    assert len(going_on.results[5].data.value) == 4
    assert len(going_on.date_time) == 12
    broken = meter.execute((16, 1), Access.of(requests, break_on_error=True))
    assert [int(item.result) for item in broken.results] == [0, 0, 4, 250, 250, 250]
    assert broken.date_time == b""
    assert meter.execute((16, 1), Get.one(1, number, 2)).results[0].value == 5


def test_the_procedure_gives_values_and_errors() -> None:
    steps = procedures.access(EVERYTHING)
    request = next(steps)
    assert isinstance(request, Access)
    results = AccessResults(
        (
            AccessResult(0, VALUE),
            AccessResult(DataAccessResult.READ_WRITE_DENIED),
            AccessResult(0, Data.of(TEXT)),
            AccessResult(DataAccessResult.OBJECT_UNDEFINED),
            AccessResult(3),
        )
    )
    with pytest.raises(StopIteration) as stop:
        steps.send(results)
    items = stop.value.value
    assert [item.value for item in items] == [12345, None, b"hello", None, None]
    assert [item.attribute for item in items] == [2, 2, 2, 2, 1]
    assert [type(item.error) for item in items[2:]] == [type(None), ObjectUndefined, type(action_error(3))]
    assert all(isinstance(item.error, ServiceError) for item in (items[1], items[3], items[4]))
    with pytest.raises(StopIteration) as stop:
        next(procedures.access([]))
    assert stop.value.value == []
    steps = procedures.access(EVERYTHING)
    next(steps)
    with pytest.raises(DecodeError):
        steps.send(AccessResults(results.results[:3]))


def test_in_words() -> None:
    request = Access.of(EVERYTHING)
    assert target(request).startswith("ACCESS GET class 3") or "ACCESS GET" in target(request)
    assert "and 4 more" in target(request)
    assert "hello" not in repr(request)


def test_secrets_are_not_shown() -> None:
    secret = b"a new secret"
    change = Action.one(15, "0.0.40.0.0.255", 2, axdr.octet_string(secret))
    pair = Pair(client_settings(NONE), server_settings(NONE))
    pair.connect()
    seen: list[bytes] = []
    pair.client.trace = lambda layer, way, octets: seen.append(octets)
    pair.do(Access.of([Get.one(3, ENERGY, 2), change]))
    assert seen
    assert not any(secret in octets for octets in seen)
    _, apdu = asked(Access.of([change]))
    assert "secret" not in repr(apdu)
    seen.clear()
    pair.do(Access.of([Get.one(3, ENERGY, 2)]))
    assert any(octets.endswith(bytes.fromhex("0600003039010100")) for octets in seen)
