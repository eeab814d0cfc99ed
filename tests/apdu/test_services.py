"""The xDLMS services: helpers, refusals with their texts, limits, and the forms that no vector has."""

from __future__ import annotations

import logging

import pytest

from cosemic.apdu import (
    AccessGet,
    AccessRequest,
    ActionOutcome,
    ActionRequestNormal,
    ActionRequestWithFirstPblock,
    ActionRequestWithList,
    ActionRequestWithListAndFirstPblock,
    ActionResponseNormal,
    AttributeDescriptor,
    ConfirmedServiceError,
    DataNotification,
    DataNotificationConfirm,
    EventNotificationRequest,
    ExceptionResponse,
    GeneralBlockTransfer,
    GetRequestNormal,
    GetRequestWithList,
    GetResponseNormal,
    GetResponseWithDatablock,
    GetResponseWithList,
    InformationReportRequest,
    MethodDescriptor,
    SetRequestNormal,
    SetRequestWithFirstDatablock,
    SetRequestWithList,
    SetRequestWithListAndFirstDatablock,
    SetResponseNormal,
    decode_apdu,
    invoke_octet,
    long_invoke_number,
)
from cosemic.codec import axdr
from cosemic.codec.axdr import Data, Limits
from cosemic.enums import ActionResult, DataAccessResult, ExceptionServiceError, ExceptionStateError
from cosemic.errors import DecodeError, LocalProtocolError
from cosemic.obis import ObisCode
from cosemic.tolerances import ALL, DEFAULT, STRICT, Tolerance

CLOCK = AttributeDescriptor(8, ObisCode.CLOCK, 2)


def test_invoke_octet():
    assert invoke_octet(1) == 0xC1
    assert invoke_octet(2, confirmed=False, high_priority=False) == 0x02
    assert invoke_octet(18, confirmed=True, high_priority=False) == 0x42
    request = GetRequestNormal(0x81, CLOCK)
    assert (request.invoke_id, request.confirmed, request.high_priority) == (1, False, True)


def test_long_invoke_number():
    assert long_invoke_number(1) == 0xC0000001
    assert long_invoke_number((1 << 24) + 5, False, False, self_descriptive=True, break_on_error=True) == 0x30000005
    push = DataNotification(0x70000007, b"", Data.of(axdr.null_data()))
    assert push.long_invoke_id == 7
    assert (push.self_descriptive, push.break_on_error, push.confirmed, push.high_priority) == (True, True, True, False)


def test_positions_of_a_get():
    assert GetRequestNormal(0xC1, CLOCK).encode().hex() == "c001c100080000010000ff0200"
    assert str(CLOCK) == "8/0-0:1.0.0*255/2"
    assert str(MethodDescriptor(70, ObisCode.DISCONNECT_CONTROL, 1)) == "70/0-0:96.3.10*255/1"


def test_manufacturer_attributes_are_negative():
    octets = bytes.fromhex("c001c100080000010000fffe00")
    request = decode_apdu(octets)
    assert isinstance(request, GetRequestNormal)
    assert request.attribute.attribute == -2
    assert request.encode() == octets


def test_a_number_is_decoded_when_it_is_asked_for():
    response = decode_apdu(bytes.fromhex("c401c1000600bc614e"))
    assert isinstance(response, GetResponseNormal)
    assert response == GetResponseNormal(0xC1, Data.of(axdr.double_long_unsigned(12345678)))
    assert response.result.value == 12345678


@pytest.mark.parametrize(
    "octets",
    [
        "c401c1000600bc61",  # a number cut short
        "c401c1000600bc614e00",  # and one with an octet too many
        "c401c100",
        "c401c100018200ff",
        "c401c1000101",
        "c401c1000b00",  # no type has the tag 11
        "c401c10200",  # no such choice
    ],
)
def test_bad_values(octets):
    with pytest.raises(DecodeError):
        decode_apdu(bytes.fromhex(octets), tolerances=DEFAULT)


def test_unknown_results_stay_numbers():
    assert decode_apdu(bytes.fromhex("c401c101c8")) == GetResponseNormal(0xC1, 200)
    assert decode_apdu(bytes.fromhex("c501c1c8")) == SetResponseNormal(0xC1, 200)
    action = decode_apdu(bytes.fromhex("c701c1c80101c9"))
    assert action == ActionResponseNormal(0xC1, 200, 201)
    known = decode_apdu(bytes.fromhex("c401c10103"))
    assert known.result is DataAccessResult.READ_WRITE_DENIED
    assert decode_apdu(bytes.fromhex("c701c10300")).result is ActionResult.READ_WRITE_DENIED


def test_any_octet_but_zero_is_true():
    block = decode_apdu(bytes.fromhex("c402c1ff000000010001aa"))
    assert block == GetResponseWithDatablock(0xC1, True, 1, b"\xaa")
    assert block.encode().hex() == "c402c101000000010001aa"


@pytest.mark.parametrize("count", ["84ffffffff", "04", "88ffffffffffffffff", "7f"])
@pytest.mark.parametrize(
    "head", ["c003c1", "c403c1", "c504c1", "c703c1", "c104c1", "c305c1", "05", "0c", "d9c000000100"]
)
def test_false_counts_end_early(head, count):
    with pytest.raises(DecodeError):
        decode_apdu(bytes.fromhex(head + count + "00"))


def test_limits_hold():
    results = GetResponseWithList(0xC1, (Data.of(None),) * 5)
    assert decode_apdu(results.encode(), limits=Limits(elements=5)) == results
    with pytest.raises(DecodeError, match="limit of 4"):
        decode_apdu(results.encode(), limits=Limits(elements=4))
    nested = GetResponseNormal(0xC1, Data(b"\x02\x01" * 10 + b"\x00")).encode()
    assert decode_apdu(nested, limits=Limits(depth=10)).encode() == nested
    with pytest.raises(DecodeError):
        decode_apdu(nested, limits=Limits(depth=9))
    with pytest.raises(DecodeError):
        decode_apdu(GetResponseNormal(0xC1, Data(b"\x02\x01" * 1000 + b"\x00")).encode())


@pytest.mark.parametrize("tag", ["c0", "c1", "c3", "c4", "c5", "c7"])
@pytest.mark.parametrize("choice", ["00", "07", "ff"])
def test_unknown_choices(tag, choice):
    octets = bytes.fromhex(tag + choice + "c1000000000000000000")
    with pytest.raises(DecodeError, match="has choice") as caught:
        decode_apdu(octets)
    assert (caught.value.octets, caught.value.offset) == (octets, 1)


@pytest.mark.parametrize("tag", range(256))
def test_a_tag_alone(tag):
    # An RLRE is the end of the association whatever it holds; strictly read it is too short as well.
    with pytest.raises(DecodeError):
        decode_apdu(bytes((tag,)), tolerances=STRICT)


def test_no_octets():
    with pytest.raises(DecodeError, match="no octets"):
        decode_apdu(b"")


@pytest.mark.parametrize(
    "apdu",
    [
        GetRequestNormal(256, CLOCK),
        GetRequestNormal(0xC1, AttributeDescriptor(65536, ObisCode.CLOCK, 2)),
        GetRequestNormal(0xC1, AttributeDescriptor(8, ObisCode.CLOCK, 200)),
        GetResponseNormal(0xC1, 256),
        SetResponseNormal(-1, 0),
        DataNotification(1 << 32, b"", Data.of(None)),
        GeneralBlockTransfer(True, False, 64, 1, 0, b""),
    ],
)
def test_values_that_do_not_fit(apdu):
    with pytest.raises(LocalProtocolError, match=type(apdu).__name__):
        apdu.encode()


def test_clock_twice_in_one_answer(caplog):
    # Gurux C sends the value of the clock twice: 18 octets more than the APDU has.
    octets = bytes.fromhex("c401c100090c07e9010f030c1e0000ffc400" + "00" * 18)
    with pytest.raises(DecodeError, match="18 octets left over after a complete GetResponseNormal"):
        decode_apdu(octets)
    with caplog.at_level(logging.INFO, "cosemic.tolerance"):
        assert decode_apdu(octets, tolerances=ALL).result.value[:2] == b"\x07\xe9"
    assert "TRAILING_OCTETS: 18 octets" in caplog.text


def test_answers_that_stop_early():
    # Gurux servers cut the answer to SET and ACTION with list.
    with pytest.raises(DecodeError, match="block number"):
        decode_apdu(bytes.fromhex("c504c200"))


def test_exception_response():
    apdu = decode_apdu(bytes.fromhex("d8010600000100"))
    assert apdu == ExceptionResponse(1, 6, 256)
    assert apdu.state_error is ExceptionStateError.SERVICE_NOT_ALLOWED
    assert apdu.service_error is ExceptionServiceError.INVOCATION_COUNTER_ERROR
    without = decode_apdu(bytes.fromhex("d80106"))
    assert without == ExceptionResponse(1, 6, None)
    assert without.encode().hex() == "d80106"
    with pytest.raises(DecodeError, match="invocation counter"):
        decode_apdu(bytes.fromhex("d80106000001"))
    with pytest.raises(DecodeError, match="invocation counter"):
        decode_apdu(bytes.fromhex("d80106"), tolerances=STRICT)
    assert decode_apdu(bytes.fromhex("d8090c")) == ExceptionResponse(9, 12)


@pytest.mark.parametrize(
    "octets, text",
    [
        ("0e010602", "initiate-error: initiate: incompatible-conformance"),
        ("0e060504", "write: access: object-unavailable"),
        ("0e050006", "read: application-reference: deciphering-error"),
        ("0e0106c8", "initiate-error: initiate: unknown error 200"),
        ("0ec8c901", "unknown service 200: unknown error type 201: unknown error 1"),
    ],
)
def test_confirmed_service_error(octets, text):
    apdu = decode_apdu(bytes.fromhex(octets))
    assert isinstance(apdu, ConfirmedServiceError)
    assert apdu.text == text
    assert apdu.encode().hex() == octets


@pytest.mark.parametrize("date_time", ["", "07e9010f030c1e0000ffc400", "0000", "ff" * 11, "09" * 9])
def test_date_times_of_a_push_are_kept(date_time):
    push = DataNotification(0xC0000001, bytes.fromhex(date_time), Data.of(axdr.structure(axdr.unsigned(1))))
    assert decode_apdu(push.encode(), tolerances=STRICT) == push
    assert decode_apdu(push.encode()) == push


def test_date_time_with_a_tag(caplog):
    # As Kaifa meters of the Norwegian HAN send it.
    octets = bytes.fromhex("0f40000000090c07e3020401173416ff800000020106000016dc")
    with pytest.raises(DecodeError):
        decode_apdu(octets, tolerances=STRICT)
    with pytest.raises(DecodeError):
        decode_apdu(octets, tolerances=DEFAULT - {Tolerance.DATE_TIME_TAG})
    with caplog.at_level(logging.INFO, "cosemic.tolerance"):
        push = decode_apdu(octets)
    assert "DATE_TIME_TAG" in caplog.text
    assert isinstance(push, DataNotification)
    assert push.date_time == bytes.fromhex("07e3020401173416ff800000")
    assert push.body.value == (5852,)
    with pytest.raises(DecodeError):
        decode_apdu(octets[:-1])


def test_other_notifications():
    value = Data.of(axdr.unsigned(7))
    event = EventNotificationRequest(None, CLOCK, value)
    assert event.encode().hex() == "c20000080000010000ff021107"
    timed = EventNotificationRequest(bytes(12), CLOCK, value)
    assert timed.encode().hex() == "c2010c" + "00" * 12 + "00080000010000ff021107"
    assert decode_apdu(timed.encode()) == timed
    assert DataNotificationConfirm(0xC0000001).encode().hex() == "10c000000100"
    report = InformationReportRequest(b"20261122120000Z", (), ())
    assert decode_apdu(report.encode()) == report
    assert report.encode()[:3].hex() == "18010f"


def test_access_request():
    request = AccessRequest(long_invoke_number(1), b"", (AccessGet(CLOCK),), (Data.of(None),))
    assert request.encode().hex() == "d9c000000100010100080000010000ff020100"
    with pytest.raises(DecodeError, match="specification has choice 6"):
        decode_apdu(bytes.fromhex("d9c000000100010600080000010000ff020100"))


def test_lists_of_the_wrong_size_are_for_the_session_to_judge():
    request = GetRequestWithList(0xC1, ())
    assert decode_apdu(request.encode()) == request
    assert ActionOutcome(ActionResult.SUCCESS).encode() == b"\x00\x00"


def test_secrets_written_to_association_objects_do_not_show():
    secret = Data.of(axdr.octet_string(b"open sesame"))
    attribute = AttributeDescriptor(15, ObisCode.ASSOCIATION, 7)
    method = MethodDescriptor(15, ObisCode.ASSOCIATION, 2)
    for apdu in (
        SetRequestNormal(0xC1, attribute, None, secret),
        SetRequestWithFirstDatablock(0xC1, attribute, None, True, 1, bytes(secret)),
        SetRequestWithList(0xC1, ((CLOCK, None), (attribute, None)), (Data.of(None), secret)),
        SetRequestWithListAndFirstDatablock(0xC1, ((attribute, None),), True, 1, b"\x01" + bytes(secret)),
        ActionRequestNormal(0xC1, method, secret),
        ActionRequestWithFirstPblock(0xC1, method, True, 1, bytes(secret)),
        ActionRequestWithList(0xC1, (method,), (secret,)),
        ActionRequestWithListAndFirstPblock(0xC1, (method,), True, 1, b"\x01" + bytes(secret)),
    ):
        assert "sesame" not in repr(apdu)
        assert "<" in repr(apdu)
    assert "value=<13 octets>" in repr(SetRequestNormal(0xC1, attribute, None, secret))
    other = SetRequestNormal(0xC1, AttributeDescriptor(1, ObisCode.CLOCK, 2), None, secret)
    assert "sesame" in repr(other)
