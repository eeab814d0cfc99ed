"""AARQ, AARE, RLRQ, RLRE and the initiate APDUs: optional fields, odd forms by tolerance, refusals, secrets."""

from __future__ import annotations

import logging

import pytest

from cosemic.apdu import (
    AARE,
    AARQ,
    AssociationRequest,
    AssociationResponse,
    InitiateRequest,
    InitiateResponse,
    ReleaseRequest,
    ReleaseResponse,
    decode_apdu,
)
from cosemic.codec import ber
from cosemic.enums import (
    AcseServiceProviderDiagnostic,
    AcseServiceUserDiagnostic,
    ApplicationContext,
    AssociationResult,
    AuthenticationMechanism,
    Conformance,
    ReleaseResponseReason,
)
from cosemic.errors import DecodeError
from cosemic.tolerances import DEFAULT, STRICT, Tolerance

INITIATE = bytes.fromhex("01000000065f1f0400007e1f04b0")
CONTEXT = "a109060760857405080101"


def acse(tag, *fields):
    return ber.encode(tag, b"".join(bytes.fromhex(field) for field in fields))


def needs(tolerance, octets):
    """Decode what only that one tolerance lets through."""
    for without in (STRICT, DEFAULT - {tolerance}):
        with pytest.raises(DecodeError):
            decode_apdu(octets, tolerances=without)
    return decode_apdu(octets, tolerances=frozenset({tolerance}))


def test_request_with_every_field():
    request = AssociationRequest(
        application_context=ApplicationContext.LOGICAL_NAME_CIPHERED,
        mechanism=AuthenticationMechanism.HLS_GMAC,
        calling_authentication_value=b"challenge",
        calling_ap_title=b"MMM\x00\x00\xbcaN",
        calling_ae_qualifier=b"certificate" * 30,
        calling_ae_invocation_id=1,
        user_information=INITIATE,
        acse_requirements=True,
        protocol_version=b"\x07\x80",
        called_ap_title=b"ABC\x00\x00\x00\x00\x01",
        called_ae_qualifier=b"q",
        called_ap_invocation_id=300,
        called_ae_invocation_id=-1,
        calling_ap_invocation_id=128,
        implementation_information=b"cosemic",
    )
    octets = request.encode()
    assert decode_apdu(octets, tolerances=STRICT) == request
    tags = []
    _, place, end = ber.decode_header(octets, 0, len(octets))
    while place < end:
        tag, _, place = ber.decode_header(octets, place, end)
        tags.append(tag)
    assert bytes(tags).hex() == "80a1a2a3a4a5a6a7a8a98a8bac9dbe"


def test_response_with_every_field():
    response = AssociationResponse(
        application_context=ApplicationContext.LOGICAL_NAME,
        result=AssociationResult.REJECTED_TRANSIENT,
        diagnostic=AcseServiceProviderDiagnostic.NO_COMMON_ACSE_VERSION,
        diagnostic_source="provider",
        mechanism=AuthenticationMechanism.HLS_SHA256,
        responding_authentication_value=b"challenge",
        responding_ap_title=b"MMM\x00\x00\xbcaN",
        responding_ae_qualifier=b"certificate" * 30,
        responding_ap_invocation_id=0,
        responding_ae_invocation_id=2,
        user_information=b"\x0e\x01\x06\x01",
        protocol_version=b"\x07\x80",
        implementation_information=b"meter",
    )
    assert decode_apdu(response.encode(), tolerances=STRICT) == response
    assert response.acse_requirements is True


def test_requirements_follow_the_mechanism_unless_they_are_given():
    assert AARQ(ApplicationContext.LOGICAL_NAME).acse_requirements is False
    assert AARQ(ApplicationContext.LOGICAL_NAME, AuthenticationMechanism.LLS).acse_requirements is True
    without = AARQ(ApplicationContext.LOGICAL_NAME, AuthenticationMechanism.LLS, acse_requirements=False)
    assert decode_apdu(without.encode(), tolerances=STRICT) == without
    assert AARE(ApplicationContext.LOGICAL_NAME, 0, 0).acse_requirements is False


def test_unknown_names_and_numbers_are_kept():
    request = decode_apdu(acse(0x60, "a109060760857405080109", "8b0760857405080209"), tolerances=STRICT)
    assert request.application_context == bytes.fromhex("60857405080109")
    assert request.mechanism == bytes.fromhex("60857405080209")
    assert request.encode() == acse(0x60, "a109060760857405080109", "8b0760857405080209")
    response = decode_apdu(acse(0x61, CONTEXT, "a203020109", "a305a103020163"), tolerances=STRICT)
    assert (response.result, response.diagnostic) == (9, 99)


def test_a_mechanism_of_none_is_not_the_same_as_no_mechanism():
    named = AARQ(ApplicationContext.LOGICAL_NAME, AuthenticationMechanism.NONE)
    assert decode_apdu(named.encode(), tolerances=STRICT).mechanism is AuthenticationMechanism.NONE
    assert decode_apdu(AARQ(ApplicationContext.LOGICAL_NAME).encode()).mechanism is None


def test_fields_out_of_order():
    octets = acse(0x61, "a203020100", CONTEXT, "a305a103020100")
    response = needs(Tolerance.ACSE_ORDER, octets)
    assert response == AARE(ApplicationContext.LOGICAL_NAME, 0, AcseServiceUserDiagnostic.NULL)
    assert response.encode() == acse(0x61, CONTEXT, "a203020100", "a305a103020100")


@pytest.mark.parametrize("form", ["890760857405080285", "8909060760857405080205"])
def test_mechanism_forms(form):
    response = needs(
        Tolerance.ACSE_MECHANISM_FORM, acse(0x61, CONTEXT, "a203020100", "a305a10302010e", "88020780", form)
    )
    assert response.mechanism is AuthenticationMechanism.HLS_GMAC
    assert response.encode()[-9:].hex() == "890760857405080205"


def test_requirements_of_another_form():
    needs(Tolerance.ACSE_MECHANISM_FORM, acse(0x60, CONTEXT, "8a0100"))
    assert needs(Tolerance.ACSE_MECHANISM_FORM, acse(0x60, CONTEXT, "8a020680")).acse_requirements is True


def test_constructed_implementation_information():
    needs(Tolerance.ACSE_MECHANISM_FORM, acse(0x60, CONTEXT, "bd03040161"))


def test_protocol_version_in_a_response_is_allowed_by_the_syntax():
    octets = acse(0x61, "80020780", CONTEXT, "a203020100", "a305a103020100")
    response = decode_apdu(octets, tolerances=STRICT)
    assert response.protocol_version == b"\x07\x80"
    assert response.encode() == octets


def test_wrong_outer_length():
    octets = acse(0x61, CONTEXT, "a203020100", "a305a103020100", "be06040401020304")
    for wrong in (octets[1] - 1, octets[1] - 9, 0, octets[1] + 1, 0x7F):
        damaged = octets[:1] + bytes((wrong,)) + octets[2:]
        assert needs(Tolerance.ACSE_LENGTH, damaged) == decode_apdu(octets)


def test_a_length_beyond_the_end_is_a_cut_where_user_information_could_follow():
    octets = acse(0x61, CONTEXT, "a203020100", "a305a103020100", "be06040401020304")
    with pytest.raises(DecodeError, match="cut short"):
        decode_apdu(octets[:-8])


@pytest.mark.parametrize(
    "octets, text",
    [
        ("6080", "indefinite"),
        ("6080" + CONTEXT + "0000", "indefinite"),
        ("6102a180", "indefinite"),
        ("6200" + "00", "left over"),
        ("60850000000000", "too large"),
        ("600aa108060760857405080101"[:24], "exceeds|cut short"),
        ("6000", "without an application context"),
        ("6100", "without a result"),
        (acse(0x61, CONTEXT, "a203020100").hex(), "without a result-source-diagnostic"),
        (acse(0x61, CONTEXT, "a203020100", "a305a303020100").hex(), "neither acse-service-user"),
        (acse(0x61, CONTEXT, "a203020100", "a303020100").hex(), "neither acse-service-user"),
        (acse(0x61, CONTEXT, "a203040100", "a305a103020100").hex(), "result: tag 04 where 02"),
        (acse(0x61, "a1090407" + CONTEXT[8:], "a203020100", "a305a103020100").hex(), "tag 04 where 06"),
        (acse(0x60, CONTEXT, CONTEXT).hex(), "field A1 twice"),
        (acse(0x60, CONTEXT, "8701aa").hex(), "unknown field with tag 87"),
        (acse(0x60, CONTEXT, "1f0100").hex(), "several octets"),
        (acse(0x60, CONTEXT, "a6040202aaaa").hex(), "calling-AP-title: tag 02 where 04"),
        (acse(0x60, CONTEXT, "ac040402aaaa").hex(), "calling-authentication-value: tag 04 where 80"),
        (acse(0x60, CONTEXT, "be050402aaaabb").hex(), "user-information: 1 octets left over"),
        (acse(0x60, CONTEXT, "be00").hex(), "tag missing"),
        (acse(0x62, "80020000").hex(), "reason of 2 octets"),
        (acse(0x62, "8000").hex(), "reason of 0 octets"),
        (acse(0x62, "8100").hex(), "unknown field"),
    ],
)
def test_refusals(octets, text):
    for tolerances in (STRICT, DEFAULT):
        with pytest.raises(DecodeError, match=text) as caught:
            decode_apdu(bytes.fromhex(octets), tolerances=tolerances)
        assert caught.value.octets == bytes.fromhex(octets)


def test_release_forms():
    assert decode_apdu(b"\x62\x00", tolerances=STRICT) == ReleaseRequest()
    assert decode_apdu(b"\x63\x00", tolerances=STRICT) == ReleaseResponse()
    full = ReleaseRequest(0, INITIATE)
    assert full.encode().hex() == "6215800100be10040e" + INITIATE.hex()
    assert decode_apdu(full.encode(), tolerances=STRICT) == full


@pytest.mark.parametrize(
    "octets, user_information",
    [
        # Gurux servers count too few octets, outside and inside.
        ("6311800100be0f040e0800065f1f0400001e1d04000007", "0800065f1f0400001e1d04000007"),
        (
            "6324800100be220421281f3000000018b321c99437fc843d54e189671be966ae044f20170342c35a1122334455",
            "281f3000000018b321c99437fc843d54e189671be966ae044f20170342c35a1122334455"[:66],
        ),
        ("6303800100ffff", None),
        ("630380010000", None),
        ("6305800100be", None),
        ("6380800100", None),
    ],
)
def test_damaged_release_responses(octets, user_information, caplog):
    coded = bytes.fromhex(octets)
    if user_information:
        coded = coded[: coded.index(b"\xbe") + 4 + len(user_information) // 2]
    with pytest.raises(DecodeError):
        decode_apdu(coded, tolerances=STRICT)
    with caplog.at_level(logging.INFO, "cosemic.tolerance"):
        apdu = decode_apdu(coded)
    assert isinstance(apdu, ReleaseResponse)
    assert apdu.reason is ReleaseResponseReason.NORMAL
    assert apdu.user_information == (bytes.fromhex(user_information) if user_information else None)
    assert "ACSE_RELEASE_CONTENT" in caplog.text


def test_a_bare_release_response_is_a_release():
    assert decode_apdu(b"\x63") == ReleaseResponse()


def test_initiate_request_forms():
    plain = decode_apdu(INITIATE, tolerances=STRICT)
    assert plain == InitiateRequest(proposed_conformance=Conformance(0x007E1F), client_max_receive_pdu_size=1200)
    explicit = bytes.fromhex("010001ff00065f1f0400007e1f04b0")
    assert decode_apdu(explicit, tolerances=STRICT) == plain  # TRUE is the default; written out it means the same
    silent = decode_apdu(bytes.fromhex("0100010000065f1f0400007e1f04b0"), tolerances=STRICT)
    assert silent.response_allowed is False
    assert silent.encode().hex() == "0100010000065f1f0400007e1f04b0"


@pytest.mark.parametrize(
    "octets, text",
    [
        ("0100000104015e030010c30086", "legacy conformance block of 16 bits"),
        ("080104015e03001c0000860037", "legacy conformance block of 16 bits"),
        ("01000000065c1f0400007e1f04b0", "begins with 5C"),
        ("01000000065f1f0408007e1f04b0", "8 unused bits"),
        ("01000000065f1f0500007e1f0004b0", "conformance of 5 octets"),
        ("01000000065f1f0200007e1f04b0", "conformance of 2 octets"),
        ("01000000065f0500007e1f04b0", "conformance of 5 octets"),
    ],
)
def test_initiate_refusals(octets, text):
    for tolerances in (STRICT, DEFAULT - {Tolerance.QUALITY_OF_SERVICE}, DEFAULT):
        with pytest.raises(DecodeError):
            decode_apdu(bytes.fromhex(octets), tolerances=tolerances)
    with pytest.raises(DecodeError, match=text):
        decode_apdu(bytes.fromhex(octets))


def test_quality_of_service():
    response = needs(Tolerance.QUALITY_OF_SERVICE, bytes.fromhex("080112065f1f0400007c1f04000007"))
    assert response.negotiated_quality_of_service == 18
    zero = bytes.fromhex("080100065f1f0400007c1f04000007")
    assert decode_apdu(zero, tolerances=STRICT).encode() == zero


def test_short_name_response():
    response = decode_apdu(bytes.fromhex("0800065f1f04001c03200400fa00"), tolerances=STRICT)
    assert isinstance(response, InitiateResponse)
    assert (response.vaa_name, response.server_max_receive_pdu_size) == (0xFA00, 1024)
    assert Conformance.READ in response.negotiated_conformance


def test_no_secret_in_a_repr():
    key = bytes.fromhex("00112233445566778899aabbccddeeff")
    initiate = InitiateRequest(dedicated_key=key)
    request = AARQ(
        ApplicationContext.LOGICAL_NAME,
        AuthenticationMechanism.LLS,
        b"12345678",
        user_information=initiate.encode(),
    )
    release = ReleaseRequest(0, initiate.encode())
    response = AARE(ApplicationContext.LOGICAL_NAME, 0, 0, responding_authentication_value=b"12345678")
    for apdu in (initiate, request, release, response):
        for text in (repr(apdu), str(apdu), f"{apdu}"):
            assert "12345678" not in text
            assert repr(key)[2:-1] not in text
            assert key.hex() not in text
    assert repr(request) == (
        "AssociationRequest(application_context=<ApplicationContext.LOGICAL_NAME: 1>, "
        "mechanism=<AuthenticationMechanism.LLS: 1>, calling_authentication_value=<8 octets>, "
        "user_information=<31 octets>, acse_requirements=True)"
    )
    assert "dedicated_key=<16 octets>" in repr(initiate)


@pytest.mark.parametrize("octets", ["6036a1090607608574050801018a0207808b0760857405080201ac0a8008313233343536373899"])
def test_no_secret_in_an_error(octets):
    with pytest.raises(DecodeError) as caught:
        decode_apdu(bytes.fromhex(octets))
    assert "12345678" not in str(caught.value)
    assert "3132" not in str(caught.value)
