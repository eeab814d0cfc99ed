"""Bad input, named: each gives one clear error of the tree, and the state that it leaves behind is known."""

from __future__ import annotations

import pytest

from cosemic.apdu.acse import AssociationResponse, InitiateResponse
from cosemic.apdu.base import decode_apdu
from cosemic.apdu.protected import unwrap_ciphered
from cosemic.apdu.services import (
    ConfirmedServiceError,
    ExceptionResponse,
    GetRequestNext,
    GetResponseNormal,
    GetResponseWithDatablock,
    SetRequestWithDatablock,
)
from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.enums import (
    AcseServiceProviderDiagnostic,
    AcseServiceUserDiagnostic,
    ApplicationContext,
    AssociationResult,
    AuthenticationMechanism,
    Conformance,
    DataAccessResult,
)
from cosemic.errors import (
    AssociationRefused,
    AuthenticationError,
    ConfirmedServiceErrorReceived,
    DecodeError,
    DlmsError,
    ExceptionResponseError,
    KeyMissing,
    LinkLost,
    LinkTimeout,
    LocalProtocolError,
    RemoteProtocolError,
    ReplayError,
    SecurityError,
    SequenceError,
)
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.events import Associated, Completed, Failed, Notified, Released
from cosemic.protocol.settings import ClientSettings
from cosemic.protocol.states import State
from cosemic.security.context import SecurityContext
from cosemic.security.counters import MemoryCounters, key_id
from cosemic.tolerances import DEFAULT, STRICT, Tolerance
from tests.pair.support import (
    CLIENT_TITLE,
    ECHO,
    ENCRYPTION_KEY,
    ENERGY,
    METER_TITLE,
    PROFILE,
    Pair,
    action,
    client_settings,
    get,
    security,
    server_settings,
    set_,
)

NONE, LLS, GMAC = AuthenticationMechanism.NONE, AuthenticationMechanism.LLS, AuthenticationMechanism.HLS_GMAC
GET = get((3, ENERGY, 2))


def associated(**options: object) -> ClientAssociation:
    """A client in a plain association that needed no AARQ."""
    client = ClientAssociation(ClientSettings(pre_established=True, **options))  # type: ignore[arg-type]
    client.associate()
    client.events()
    return client


def asked(request=GET, **options: object) -> ClientAssociation:
    client = associated(**options)
    client.request(request)
    client.apdus_to_send()
    return client


def failure(client: ClientAssociation, *, fatal: bool) -> DlmsError:
    (event,) = client.events()
    assert isinstance(event, Failed), event
    assert event.fatal is fatal
    assert client.state is (State.CLOSED if fatal else State.ASSOCIATED)
    if fatal:
        with pytest.raises(LocalProtocolError, match="reconnect"):
            client.request(GET)
    return event.error


# Answers


def test_another_invoke_id_is_fatal() -> None:
    client = asked()
    client.receive_apdu(GetResponseNormal(0xC2, Data.of(axdr.unsigned(1))).encode())
    assert isinstance(failure(client, fatal=True), SequenceError)


def test_another_invoke_id_can_be_tolerated() -> None:
    client = asked(tolerances=DEFAULT | {Tolerance.INVOKE_ID})
    client.receive_apdu(GetResponseNormal(0xC2, Data.of(axdr.unsigned(1))).encode())
    (event,) = client.events()
    assert isinstance(event, Completed)


def test_a_late_duplicate_is_dropped() -> None:
    client = asked()
    answer = GetResponseNormal(0xC1, Data.of(axdr.unsigned(1))).encode()
    client.receive_apdu(answer)
    client.receive_apdu(answer)
    assert [type(event) for event in client.events()] == [Completed]
    client.receive_apdu(GetResponseNormal(0xC7, Data.of(axdr.unsigned(1))).encode())
    assert isinstance(failure(client, fatal=True), SequenceError)


def test_a_push_in_the_middle_disturbs_nothing() -> None:
    client = asked()
    client.receive_apdu(bytes.fromhex("0fc000000100 1101"))
    client.receive_apdu(bytes.fromhex("0fc0000001ffff"))  # not readable: logged and dropped
    client.receive_apdu(GetResponseNormal(0xC1, Data.of(axdr.unsigned(1))).encode())
    assert [type(event) for event in client.events()] == [Notified, Completed]


@pytest.mark.parametrize("octets", ["c401c1", "c401c10012", "c401c10000ffffff", "c409c10000", "c401c10001 84ffffffff"])
def test_an_answer_that_cannot_be_decoded_fails_its_request_alone(octets: str) -> None:
    client = asked()
    client.receive_apdu(bytes.fromhex(octets))
    assert isinstance(failure(client, fatal=False), DecodeError)
    client.request(GET)


@pytest.mark.parametrize("octets", ["", "ff", "99aabb", "60", "c0"])
def test_no_answer_at_all_is_fatal(octets: str) -> None:
    client = asked()
    client.receive_apdu(bytes.fromhex(octets))
    assert isinstance(failure(client, fatal=True), RemoteProtocolError)


def test_an_answer_to_another_service_is_fatal() -> None:
    client = asked()
    client.receive_apdu(bytes.fromhex("c501c100"))
    assert isinstance(failure(client, fatal=True), SequenceError)


def test_block_numbers_out_of_order_are_fatal() -> None:
    client = asked()
    client.receive_apdu(GetResponseWithDatablock(0xC1, False, 1, b"\x09\x05a").encode())
    assert client.apdus_to_send() == [GetRequestNext(0xC1, 1).encode()]
    client.receive_apdu(GetResponseWithDatablock(0xC1, True, 3, b"bcde").encode())
    assert isinstance(failure(client, fatal=True), SequenceError)


def test_blocks_are_bounded() -> None:
    client = asked(max_octets=1000)
    for number in range(1, 12):
        client.receive_apdu(GetResponseWithDatablock(0xC1, False, number, bytes(100)).encode())
    assert isinstance(failure(client, fatal=False), RemoteProtocolError)


def test_a_block_can_carry_an_error() -> None:
    client = asked()
    client.receive_apdu(GetResponseWithDatablock(0xC1, False, 1, b"\x09\x05a").encode())
    client.receive_apdu(GetResponseWithDatablock(0xC1, True, 2, DataAccessResult.LONG_GET_ABORTED).encode())
    (event,) = client.events()
    assert event.result.results == (DataAccessResult.LONG_GET_ABORTED,)


@pytest.mark.parametrize(
    ("request_", "octets"),
    [
        (set_((1, ECHO, 2, axdr.unsigned(1)), (1, ECHO, 3, axdr.unsigned(1))), "c505c100"),
        (set_((1, ECHO, 2, axdr.unsigned(1)), (1, ECHO, 3, axdr.unsigned(1))), "c505c10100"),
        (get((1, ECHO, 2), (1, ECHO, 3)), "c403c1010011 01"),
        (action((1, ECHO, 2, None), (1, ECHO, 3, None)), "c703c101 0000"),
    ],
)
def test_lists_cut_short_say_so(request_, octets: str) -> None:
    client = asked(request_)
    client.receive_apdu(bytes.fromhex(octets))
    error = failure(client, fatal=False)
    assert isinstance(error, RemoteProtocolError)
    assert "list of 2 holds" in str(error)


def test_a_list_answer_without_content_is_a_decode_error() -> None:
    client = asked(set_((1, ECHO, 2, axdr.unsigned(1)), (1, ECHO, 3, axdr.unsigned(1))))
    client.receive_apdu(bytes.fromhex("c504c200"))
    assert isinstance(client.events()[0], Failed)


def test_exception_response_names_object_and_cause() -> None:
    client = asked()
    client.receive_apdu(ExceptionResponse(2, 4).encode())
    error = failure(client, fatal=False)
    assert isinstance(error, ExceptionResponseError)
    assert "1-0:1.8.0*255" in str(error)
    assert "pdu-too-long" in str(error)


def test_confirmed_service_error_names_object_and_cause() -> None:
    client = asked()
    client.receive_apdu(ConfirmedServiceError(5, 4, 1).encode())
    error = failure(client, fatal=False)
    assert isinstance(error, ConfirmedServiceErrorReceived)
    assert "object-undefined" in str(error)
    assert "GET class 3" in str(error)


# Wrong calls


def test_what_was_not_negotiated_is_refused_by_name() -> None:
    client = associated(conformance=Conformance.GET)
    long = axdr.octet_string(bytes(100))
    for request, bit in (
        (set_((1, ECHO, 2, axdr.unsigned(1))), "'set'"),
        (action((1, ECHO, 1, None)), "'action'"),
    ):
        with pytest.raises(LocalProtocolError, match=bit):
            client.request(request)
    client = associated(conformance=Conformance.SET | Conformance.ACTION, pre_established_pdu_size=64)
    with pytest.raises(LocalProtocolError, match="block-transfer-with-set-or-write"):
        client.request(set_((1, ECHO, 2, long)))
    with pytest.raises(LocalProtocolError, match="block-transfer-with-action"):
        client.request(action((1, ECHO, 1, long)))
    with pytest.raises(LocalProtocolError, match="'get'"):
        client.request(GET)
    assert client.apdus_to_send() == []
    assert client.state is State.ASSOCIATED


@pytest.mark.parametrize("request_", [get(), set_(), action(), object()])
def test_empty_and_foreign_requests_are_refused(request_) -> None:
    client = associated()
    with pytest.raises(LocalProtocolError):
        client.request(request_)
    assert client.state is State.ASSOCIATED


def test_one_request_at_a_time() -> None:
    client = asked()
    with pytest.raises(LocalProtocolError, match="not been answered"):
        client.request(GET)


@pytest.mark.parametrize("size", [1, 11, 70000, -1])
def test_pdu_sizes_that_cannot_be(size: int) -> None:
    with pytest.raises(ValueError, match="maximum PDU size"):
        ClientSettings(max_pdu_size=size)


def test_lists_are_split_without_multiple_references() -> None:
    client = asked(get((3, ENERGY, 2), (3, ENERGY, 3)), conformance=Conformance.GET)
    client.receive_apdu(GetResponseNormal(0x41, Data.of(axdr.unsigned(1))).encode())
    (second,) = client.apdus_to_send()
    assert second.hex() == "c00142000301000108" + "00ff0300"
    client.receive_apdu(GetResponseNormal(0x42, DataAccessResult.OBJECT_UNDEFINED).encode())
    (event,) = client.events()
    assert event.result.results == (Data.of(axdr.unsigned(1)), DataAccessResult.OBJECT_UNDEFINED)


def test_long_lists_are_split_by_size() -> None:
    pair = Pair(client_settings(NONE, block_transfer_window=0), server_settings(NONE, max_pdu_size=64))
    pair.connect()
    results = pair.do(get(*[(3, ENERGY, attribute) for attribute in [2, 3] * 30])).results
    assert [result.value for result in results] == [12345, (0, 30)] * 30
    sizes = [len(event.request.items) for event in pair.application.requests]
    assert sum(sizes) == 60
    assert max(sizes) == 6


# Opening


def aare(**options: object) -> bytes:
    options.setdefault("application_context", ApplicationContext.LOGICAL_NAME)
    options.setdefault("result", AssociationResult.ACCEPTED)
    options.setdefault("diagnostic", AcseServiceUserDiagnostic.NULL)
    if "user_information" not in options:
        options["user_information"] = InitiateResponse(None, 6, Conformance.GET, 500, 7).encode()
    return AssociationResponse(**options).encode()  # type: ignore[arg-type]


def opened(octets: bytes, **options: object) -> list[object]:
    client = ClientAssociation(ClientSettings(**options))  # type: ignore[arg-type]
    client.associate()
    client.receive_apdu(octets)
    return client.events()


def refusal(octets: bytes, **options: object) -> DlmsError:
    (event,) = opened(octets, **options)
    assert isinstance(event, Failed)
    assert event.fatal
    return event.error


@pytest.mark.parametrize(
    "diagnostic", [d for d in AcseServiceUserDiagnostic if d] + [d for d in AcseServiceProviderDiagnostic if d]
)
@pytest.mark.parametrize("result", [1, 2])
def test_every_diagnostic_by_name(diagnostic, result: int) -> None:
    source = "provider" if isinstance(diagnostic, AcseServiceProviderDiagnostic) else "user"
    error = refusal(
        aare(result=result, diagnostic=diagnostic, diagnostic_source=source, user_information=None),
        mechanism=LLS,
        password=b"12345678",
    )
    assert isinstance(error, AssociationRefused)
    assert error.diagnostic is diagnostic
    assert diagnostic.name.lower().replace("_", "-") in str(error)


def test_a_wrong_password_is_judged_by_result() -> None:
    octets = aare(result=1, diagnostic=AcseServiceUserDiagnostic.AUTHENTICATION_FAILURE)
    error = refusal(octets, mechanism=LLS, password=b"x")
    assert isinstance(error, AssociationRefused)
    assert "check the password" in str(error)


def test_a_rejection_with_service_error_names_it() -> None:
    octets = aare(result=1, diagnostic=1, user_information=ConfirmedServiceError(1, 6, 1).encode())
    assert "dlms-version-too-low" in str(refusal(octets))


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (aare(user_information=None), "no InitiateResponse"),
        (aare(user_information=InitiateResponse(None, 5, Conformance.GET, 500, 7).encode()), "version 5"),
        (aare(user_information=InitiateResponse(None, 6, Conformance.GET, 11, 7).encode()), "11 octets only"),
        (aare(user_information=ConfirmedServiceError(1, 6, 2).encode()), "incompatible-conformance"),
        (aare(user_information=bytes.fromhex("0e")), ""),
        (b"\x61\x80", ""),
        (b"\x61\x05\xa1", ""),
        (bytes.fromhex("d80101"), "association"),
        (bytes.fromhex("0e010602"), "incompatible-conformance"),
        (bytes.fromhex("c401c10000"), "nothing was asked"),
        (bytes.fromhex("6303800100"), "RLRE"),
    ],
)
def test_openings_that_fail(octets: bytes, text: str) -> None:
    assert text in str(refusal(octets))


def test_strict_settings_refuse_deviations() -> None:
    more = aare(user_information=InitiateResponse(None, 6, Conformance(0xFFFFFF), 500, 7).encode())
    assert isinstance(opened(more)[0], Associated)
    assert isinstance(refusal(more, tolerances=STRICT), RemoteProtocolError)
    vaa = aare(user_information=InitiateResponse(None, 6, Conformance.GET, 500, 8).encode())
    assert isinstance(opened(vaa)[0], Associated)
    assert isinstance(refusal(vaa, tolerances=STRICT), RemoteProtocolError)
    context = aare(application_context=ApplicationContext.LOGICAL_NAME_CIPHERED)
    assert isinstance(opened(context)[0], Associated)
    assert isinstance(refusal(context, tolerances=STRICT), RemoteProtocolError)


def test_conformance_is_the_intersection() -> None:
    (event,) = opened(aare(user_information=InitiateResponse(None, 6, Conformance(0xFFFFFF), 0, 7).encode()))
    assert isinstance(event, Associated)
    assert not event.parameters.conformance & (Conformance.RESERVED_ZERO | Conformance.DELTA_VALUE_ENCODING)
    assert event.parameters.max_pdu_size == 0


def test_a_release_ends_whatever_the_answer_holds() -> None:
    for octets in ("6303800100", "6311800100be0f040e0800065f1f0400001e1d04000007", "6324800100be22", "d80102"):
        client = ClientAssociation(ClientSettings())
        client.associate()
        client.receive_apdu(aare())
        client.release()
        client.events()
        client.receive_apdu(bytes.fromhex(octets))
        assert [type(event) for event in client.events()] == [Released], octets


# Authentication and protection, against our own meter


def connect(pair: Pair) -> DlmsError:
    event = pair.connect()
    assert isinstance(event, Failed), event
    assert event.fatal
    return event.error


def test_wrong_lls_password() -> None:
    pair = Pair(client_settings(LLS, password=b"87654321"), server_settings(LLS))
    error = connect(pair)
    assert isinstance(error, AssociationRefused)
    assert error.diagnostic is AcseServiceUserDiagnostic.AUTHENTICATION_FAILURE


@pytest.mark.parametrize("mechanism", [2, 3, 4, 6])
def test_wrong_hls_secret(mechanism: int) -> None:
    mechanism = AuthenticationMechanism(mechanism)
    pair = Pair(
        client_settings(mechanism, security(CLIENT_TITLE, "none"), password=b"87654321"),
        server_settings(mechanism, security(METER_TITLE, "none")),
    )
    error = connect(pair)
    assert isinstance(error, AuthenticationError)
    assert "password" in str(error)
    assert pair.server_events == []


def test_a_meter_that_does_not_prove_itself() -> None:
    pair = Pair(client_settings(AuthenticationMechanism.HLS_MD5), server_settings(AuthenticationMechanism.HLS_MD5))
    client = pair.client
    client.connect(0.0)
    pair.server.receive_data(client.data_to_send(), 0.0)
    client.receive_data(pair.server.data_to_send(), 0.0)
    client.data_to_send()
    forged = bytes.fromhex("c701c100010009") + b"\x10" + bytes(16)
    client.receive_data(b"\x00\x01\x00\x01\x00\x10" + len(forged).to_bytes(2, "big") + forged, 0.0)
    (event,) = client.events()
    assert isinstance(event.error, AuthenticationError)
    assert event.fatal


@pytest.mark.parametrize("which", ["encryption_key", "authentication_key"])
def test_wrong_keys(which: str) -> None:
    keys = {"encryption_key": ENCRYPTION_KEY, "authentication_key": bytes(range(0xD0, 0xE0)), which: bytes(16)}
    context = SecurityContext(0, CLIENT_TITLE, **keys, counters=MemoryCounters())
    error = connect(Pair(client_settings(GMAC, context), server_settings(GMAC, security(METER_TITLE))))
    assert isinstance(error, ExceptionResponseError)
    assert "deciphering-error" in str(error)
    assert "key" in str(error)


def test_no_system_title_and_the_meters_own() -> None:
    for title in (METER_TITLE,):
        error = connect(Pair(client_settings(GMAC, security(title)), server_settings(GMAC, security(METER_TITLE))))
        assert isinstance(error, AssociationRefused)
        assert error.diagnostic is AcseServiceUserDiagnostic.CALLING_AP_TITLE_NOT_RECOGNIZED


def test_a_wrong_mechanism_and_context() -> None:
    error = connect(Pair(client_settings(NONE), server_settings(LLS)))
    assert error.diagnostic is AcseServiceUserDiagnostic.AUTHENTICATION_MECHANISM_NAME_REQUIRED
    error = connect(Pair(client_settings(LLS), server_settings(NONE)))
    assert error.diagnostic is AcseServiceUserDiagnostic.AUTHENTICATION_MECHANISM_NAME_NOT_RECOGNISED
    error = connect(Pair(client_settings(LLS), server_settings(LLS, security(METER_TITLE))))
    assert error.diagnostic is AcseServiceUserDiagnostic.APPLICATION_CONTEXT_NAME_NOT_SUPPORTED
    error = connect(Pair(client_settings(LLS), None))
    assert error.diagnostic is AcseServiceUserDiagnostic.NO_REASON_GIVEN


def secured(**options: object) -> Pair:
    pair = Pair(client_settings(GMAC, security(CLIENT_TITLE, **options)), server_settings(GMAC, security(METER_TITLE)))
    assert isinstance(pair.connect(), Associated)
    return pair


def wrapped(apdu: bytes) -> bytes:
    return b"\x00\x01\x00\x01\x00\x10" + len(apdu).to_bytes(2, "big") + apdu


def test_a_plain_answer_to_a_ciphered_request_is_refused() -> None:
    pair = secured()
    pair.client.request(GET, 0.0)
    pair.client.data_to_send()
    octet = 0xC0 | pair.client._association._invoke_id
    pair.client.receive_data(wrapped(GetResponseNormal(octet, Data.of(axdr.unsigned(1))).encode()), 0.0)
    (event,) = pair.client.events()
    assert isinstance(event.error, SecurityError)
    assert event.fatal


def test_a_repeated_answer_is_refused() -> None:
    pair = secured()
    pair.client.request(GET, 0.0)
    pair.server.receive_data(pair.client.data_to_send(), 0.0)
    pair._serve()
    answer = pair.server.data_to_send()
    pair.client.receive_data(answer, 0.0)
    assert isinstance(pair.client.events()[0], Completed)
    pair.client.request(GET, 0.0)
    pair.client.receive_data(answer, 0.0)
    (event,) = pair.client.events()
    assert isinstance(event.error, ReplayError)


@pytest.mark.parametrize("at", range(-14, 0))
def test_a_flipped_bit_in_a_ciphered_answer_is_refused(at: int) -> None:
    pair = secured()
    pair.client.request(GET, 0.0)
    pair.server.receive_data(pair.client.data_to_send(), 0.0)
    pair._serve()
    answer = bytearray(pair.server.data_to_send())
    answer[at] ^= 1
    pair.client.receive_data(bytes(answer), 0.0)
    (event,) = pair.client.events()
    assert isinstance(event.error, SecurityError)


def test_a_stale_counter_without_permission() -> None:
    settings = server_settings(GMAC, security(METER_TITLE))
    assert isinstance(Pair(client_settings(GMAC, security(CLIENT_TITLE)), settings).connect(), Associated)
    error = connect(Pair(client_settings(GMAC, security(CLIENT_TITLE)), settings))
    assert isinstance(error, ExceptionResponseError)
    assert error.invocation_counter is not None
    assert "allow_counter_from_meter" in str(error)


def test_a_stale_counter_with_permission() -> None:
    settings = server_settings(GMAC, security(METER_TITLE))
    first = Pair(client_settings(GMAC, security(CLIENT_TITLE)), settings)
    assert isinstance(first.connect(), Associated)
    counters = MemoryCounters()
    context = security(CLIENT_TITLE, allow_counter_from_meter=True, counters=counters)
    second = Pair(client_settings(GMAC, context), settings)
    assert isinstance(second.connect(), Associated)
    assert second.do(GET).results[0].value == 12345
    assert counters.peek(key_id(CLIENT_TITLE, ENCRYPTION_KEY)) > 4


def test_a_stale_counter_in_the_middle_of_an_association() -> None:
    counters = MemoryCounters()
    pair = Pair(
        client_settings(GMAC, security(CLIENT_TITLE, allow_counter_from_meter=True, counters=counters)),
        server_settings(GMAC, security(METER_TITLE)),
    )
    assert isinstance(pair.connect(), Associated)
    association = pair.server.association
    assert association is not None
    association._security._incoming[0].last = 5000
    assert pair.do(GET).results[0].value == 12345
    assert pair.do(GET).results[0].value == 12345


def test_a_replayed_association_is_refused() -> None:
    settings = server_settings(GMAC, security(METER_TITLE))
    pair = Pair(client_settings(GMAC, security(CLIENT_TITLE)), settings)
    pair.client.connect(0.0)
    aarq = pair.client.data_to_send()
    pair.server.receive_data(aarq, 0.0)
    assert pair.server.data_to_send()[8] == 0x61
    again = Pair(client_settings(NONE), settings)
    again.server.receive_data(aarq, 0.0)
    assert again.server.data_to_send()[8:11].hex() == "d80106"


# What our meter refuses


def server_answer(pair: Pair, apdu: bytes) -> bytes:
    octets = b"\x00\x01\x00\x10\x00\x01" + len(apdu).to_bytes(2, "big") + apdu
    pair.server.receive_data(octets, 0.0)
    pair._serve()
    return pair.server.data_to_send()[8:]


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        ("c001c100030100010800ff0200", "d80101"),
        ("c81e300000000100112233445566778899aabbccddeeff00112233445566778899", "d80101"),
        ("ff", "d80202"),
        ("0501", "d80202"),
        ("d900", "d80101"),
    ],
)
def test_without_association_nothing_is_served(octets: str, answer: str) -> None:
    pair = Pair(client_settings(NONE), server_settings(NONE))
    assert server_answer(pair, bytes.fromhex(octets)).hex() == answer


def test_only_pass_3_while_the_authentication_is_pending() -> None:
    mechanism = AuthenticationMechanism.HLS_MD5
    pair = Pair(client_settings(mechanism), server_settings(mechanism))
    pair.client.connect(0.0)
    pair.server.receive_data(pair.client.data_to_send(), 0.0)
    pair.server.data_to_send()
    assert server_answer(pair, bytes.fromhex("c001c100030100010800ff0200")).hex() == "d80101"
    assert server_answer(pair, bytes.fromhex("c301c1000f0000280000ff010109100102")).hex() == "d80103"
    wrong = bytes.fromhex("c301c1000f0000280000ff01010910") + bytes(16)
    assert server_answer(pair, wrong).hex() == "c701c1fa00"
    assert server_answer(pair, bytes.fromhex("c001c100030100010800ff0200")).hex() == "d80101"


def test_less_protection_than_demanded() -> None:
    pair = secured()
    assert server_answer(pair, bytes.fromhex("c001c100030100010800ff0200")).hex() == "d80101"
    assert pair.application.requests == []


def test_blocks_that_nobody_began() -> None:
    pair = Pair(client_settings(NONE), server_settings(NONE))
    pair.connect()
    answer = decode_apdu(server_answer(pair, GetRequestNext(0xC1, 1).encode()))
    assert answer.result is DataAccessResult.NO_LONG_GET_IN_PROGRESS
    answer = decode_apdu(server_answer(pair, SetRequestWithDatablock(0xC1, True, 2, b"x").encode()))
    assert answer.result is DataAccessResult.NO_LONG_SET_IN_PROGRESS
    assert server_answer(pair, bytes.fromhex("c306c101000000010111")).hex() == "c701c11000"
    assert server_answer(pair, bytes.fromhex("c302c100000001")).hex() == "c701c11000"


def test_blocks_out_of_order_and_interrupted() -> None:
    pair = Pair(client_settings(NONE, max_pdu_size=100, block_transfer_window=0), server_settings(NONE))
    pair.connect()
    profile = bytes.fromhex("c001c100070100630100ff0200")
    assert server_answer(pair, profile)[:8].hex() == "c402c10000000001"
    answer = decode_apdu(server_answer(pair, GetRequestNext(0xC1, 7).encode()))
    assert answer.result is DataAccessResult.DATA_BLOCK_NUMBER_INVALID
    server_answer(pair, profile)
    server_answer(pair, bytes.fromhex("c001c200030100010800ff0200"))
    answer = decode_apdu(server_answer(pair, GetRequestNext(0xC1, 1).encode()))
    assert answer.result is DataAccessResult.LONG_GET_ABORTED


def test_a_long_answer_without_blocks() -> None:
    conformance = Conformance.GET | Conformance.MULTIPLE_REFERENCES
    pair = Pair(client_settings(NONE, conformance=conformance, max_pdu_size=100), server_settings(NONE))
    pair.connect()
    assert pair.do(get((7, PROFILE, 2))).results == (DataAccessResult.OTHER_REASON,)
    results = pair.do(get((7, PROFILE, 2), (3, ENERGY, 2))).results
    assert results == (DataAccessResult.OTHER_REASON,) * 2


@pytest.mark.parametrize(("version", "size", "error"), [(5, 500, "0e010601"), (6, 11, "0e010603")])
def test_initiate_requests_that_are_refused(version: int, size: int, error: str) -> None:
    pair = Pair(client_settings(NONE), server_settings(NONE))
    initiate = bytes.fromhex(f"01000000{version:02x}5f1f0400001e1d{size:04x}")
    aarq = bytes.fromhex("601da109060760857405080101be10040e") + initiate
    answer = decode_apdu(server_answer(pair, aarq))
    assert answer.result is AssociationResult.REJECTED_PERMANENT
    assert answer.user_information.hex() == error


def test_an_unconfirmed_request_gets_no_answer() -> None:
    for kind in ("wrapper", "hdlc"):
        pair = Pair(client_settings(NONE, confirmed=False), server_settings(NONE), kind)
        pair.connect()
        done = pair.do(set_((1, ECHO, 2, axdr.unsigned(77))))
        assert done.results == ()
        pair.pump()
        assert pair.application.attributes[1, ECHO, 2].value == 77
        assert not pair.application.requests[0].confirmed
        pair.do(set_((1, ECHO, 2, axdr.unsigned(78))))
        pair.pump()
        assert pair.application.attributes[1, ECHO, 2].value == 78


def test_a_request_in_a_ciphered_envelope_of_another_service() -> None:
    pair = secured()
    pair.client.request(GET, 0.0)
    sealed = pair.client.data_to_send()[8:]
    assert unwrap_ciphered(sealed)[0] == 0xC8
    assert server_answer(pair, b"\xc9" + sealed[1:]).hex() == "d80105"


# Links


def test_a_missing_key_leaves_the_session_usable() -> None:
    context = SecurityContext(0, CLIENT_TITLE, ENCRYPTION_KEY, None, counters=MemoryCounters())
    pair = Pair(client_settings(LLS, context), server_settings(LLS, security(METER_TITLE)))
    for _ in range(2):
        with pytest.raises(KeyMissing):
            pair.client.connect(0.0)
        assert pair.client.data_to_send() == b""
        assert pair.client.state is State.IDLE


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
def test_a_peer_that_closes_or_stalls(kind: str) -> None:
    pair = Pair(client_settings(NONE), server_settings(NONE), kind)
    pair.connect()
    pair.client.request(GET, pair.now)
    pair.client.end_of_stream(pair.now)
    (event,) = pair.client.events()
    assert isinstance(event.error, LinkLost)
    assert event.fatal
    pair = Pair(client_settings(NONE), server_settings(NONE), kind)
    pair.connect()
    pair.client.request(GET, pair.now)
    pair.client.data_to_send()
    for _ in range(50):
        deadline = pair.client.next_deadline()
        if deadline is None:
            break
        pair.client.on_time(deadline)
        pair.client.data_to_send()
    (event,) = pair.client.events()
    assert isinstance(event.error, LinkTimeout)
    assert pair.client.next_deadline() is None


def test_pushes_alone_do_not_keep_a_request_waiting() -> None:
    pair = Pair(client_settings(NONE), server_settings(NONE))
    pair.connect()
    pair.client.request(GET, 0.0)
    push = wrapped(bytes.fromhex("0fc0000001001101"))
    now = 0.0
    while pair.client.state is not State.CLOSED:
        now += 1.0
        assert now < 100
        pair.client.receive_data(push, now)
        pair.client.on_time(now)
    failed = [event for event in pair.client.events() if isinstance(event, Failed)]
    assert isinstance(failed[0].error, LinkTimeout)


# Secrets


@pytest.mark.parametrize("kind", ["wrapper", "hdlc"])
def test_traces_hold_no_secret(kind: str) -> None:
    seen: list[bytes] = []
    key = bytes(range(0x60, 0x70))
    context = security(CLIENT_TITLE, dedicated_key=key)
    client = client_settings(LLS, context, password=b"open sesame, please")
    pair = Pair(client, server_settings(LLS, security(METER_TITLE), secret=b"open sesame, please"), kind)
    trace = lambda layer, direction, octets: seen.append(octets)  # noqa: E731
    pair.client.trace = trace
    pair.server.trace = trace
    assert isinstance(pair.connect(), Associated)
    pair.do(set_((15, ECHO, 7, axdr.octet_string(b"new password"))))
    everything = b"|".join(seen)
    assert len(seen) > 10
    for secret in (b"open sesame", b"sesame, please", key, b"new password", ENCRYPTION_KEY):
        assert secret not in everything
    assert repr(client).find("sesame") < 0
