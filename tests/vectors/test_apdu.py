"""Every APDU of the shared vectors: all fields, the same octets again, refusals, and truncation at every place."""

from __future__ import annotations

import logging

import pytest

from cosemic.apdu import (
    AssociationRequest,
    AssociationResponse,
    CipheredApdu,
    ConfirmedServiceError,
    InitiateRequest,
    InitiateResponse,
    ReleaseResponse,
    decode_apdu,
    encode_apdu,
    unwrap_ciphered,
)
from cosemic.enums import ApduTag, AuthenticationMechanism, Conformance
from cosemic.errors import DecodeError
from cosemic.tolerances import DEFAULT, STRICT, Tolerance
from tests.vectors.apdu_json import apdu_json
from tests.vectors.collection import FOLDER, REASON, load

TOPICS = ("acse", "xdlms", "security", "issue-captures")
KINDS = ("apdu", "wrapper", "ciphered-apdu", "general-ciphering", "general-signing")
WRAPPER_HEADER = 8

# Envelopes that are whole; what is wrong with them is for cosemic.security to find.
SECURITY_ERRORS = {"negative:counter-changed", "negative:security-control-downgraded"}
CASES = [
    case
    for topic in TOPICS
    for case in load(topic)
    if case["kind"] in KINDS or case["kind"] in ("acse-quirk", "apdu-quirk")
]
BY_NAME = {case["name"]: case for case in CASES}


def octets_of(case):
    octets = bytes.fromhex(case["bytes"])
    return octets[WRAPPER_HEADER:] if "wrapper" in case["expected"] else octets


def must_fail(case):
    # A confirmed-service-error has a field called "error", a number; a reason to refuse is a text.
    return isinstance(case["expected"].get("error"), str) and case["name"] not in SECURITY_ERRORS


def plain(case):
    return case["kind"] in KINDS and not must_fail(case)


pytestmark = pytest.mark.skipif(not CASES, reason=REASON)


def named(cases):
    return [pytest.param(case, id=case["name"]) for case in cases]


@pytest.mark.parametrize("case", named(filter(plain, CASES)))
@pytest.mark.parametrize("tolerances", [STRICT, DEFAULT], ids=["strict", "tolerant"])
def test_fields_and_octets(case, tolerances):
    octets = octets_of(case)
    apdu = decode_apdu(octets, tolerances=tolerances)
    assert encode_apdu(apdu) == octets
    expected = case["expected"]
    if case["kind"] == "wrapper":
        assert apdu_json(apdu) == expected["apdu"]
    elif case["kind"] in ("apdu", "general-signing") or "header" in expected:
        assert apdu_json(apdu) == expected.get("header", expected)
    elif case["name"] not in SECURITY_ERRORS:
        # Some ciphered cases give the plaintext only; the ciphertext is as long.
        assert len(apdu.ciphertext) == len(bytes.fromhex(expected["plaintext"]))


@pytest.mark.parametrize("case", named(filter(must_fail, CASES)))
@pytest.mark.parametrize("tolerances", [STRICT, DEFAULT], ids=["strict", "tolerant"])
def test_must_fail(case, tolerances):
    with pytest.raises(DecodeError) as caught:
        decode_apdu(octets_of(case), tolerances=tolerances)
    assert caught.value.octets == octets_of(case)


@pytest.mark.parametrize("case", named(filter(plain, CASES)))
def test_truncated_at_every_place(case):
    octets = octets_of(case)
    for end in range(len(octets)):
        with pytest.raises(DecodeError):
            decode_apdu(octets[:end], tolerances=STRICT)
        # Tolerated: a damaged RLRE, as the association is over anyway, and a counter error without the counter.
        if (octets[0] != ApduTag.RLRE or end == 0) and octets[:end] != b"\xd8\x01\x06":
            with pytest.raises(DecodeError):
                decode_apdu(octets[:end])


@pytest.mark.parametrize("case", named(filter(plain, CASES)))
def test_trailing_octets(case, caplog):
    octets = octets_of(case) + b"\x00\x2a"
    for tolerances in (STRICT, DEFAULT - {Tolerance.ACSE_RELEASE_CONTENT}):
        with pytest.raises(DecodeError, match=r"left over|short"):
            decode_apdu(octets, tolerances=tolerances)
    with caplog.at_level(logging.INFO, "cosemic.tolerance"):
        assert decode_apdu(octets, tolerances=frozenset({Tolerance.TRAILING_OCTETS})) == decode_apdu(octets[:-2])
    assert "TRAILING_OCTETS" in caplog.text


@pytest.mark.parametrize(
    "case", named(case for case in CASES if case["name"] in SECURITY_ERRORS or "plaintext" in case["expected"])
)
def test_plaintext_and_envelope(case):
    octets = octets_of(case)
    if "plaintext" in case["expected"] and case["expected"].get("plaintext_decoded"):
        plaintext = bytes.fromhex(case["expected"]["plaintext"])
        assert apdu_json(decode_apdu(plaintext)) == case["expected"]["plaintext_decoded"]
    if octets[0] != ApduTag.GENERAL_CIPHERING:
        tag, system_title, content = unwrap_ciphered(octets)
        apdu = decode_apdu(octets)
        assert (tag, content) == (octets[0], apdu.content)
        assert system_title == getattr(apdu, "system_title", None)


# Each of these bends the standard: what it takes to read it, and what the octets are when cosemic writes them.
def quirk(name):
    if name not in BY_NAME:
        pytest.skip(REASON)
    return octets_of(BY_NAME[name]), BY_NAME[name]["expected"]


def strict_refuses(octets, *needed):
    with pytest.raises(DecodeError):
        decode_apdu(octets, tolerances=STRICT)
    for tolerance in needed:
        with pytest.raises(DecodeError):
            decode_apdu(octets, tolerances=DEFAULT - {tolerance})
    return decode_apdu(octets)


def test_every_quirk_is_tested_here():
    quirks = {case["name"] for case in CASES if case["kind"] in ("acse-quirk", "apdu-quirk")}
    assert quirks == {
        "energyict:aare-hls-short-outer-length",
        "energyict:rlre-iskra-integer-in-reason",
        "energyict:aare-conformance-length-3",
        "jdlms:aarq-sn-in-wrapper-conformance-5f04",
        "get-response-with-list-missing-choice-octet",
    }


def test_short_outer_length():
    octets, _ = quirk("energyict:aare-hls-short-outer-length")
    apdu = strict_refuses(octets, Tolerance.ACSE_LENGTH)
    assert isinstance(apdu, AssociationResponse)
    assert apdu.responding_authentication_value == b"P6wRJ21F"
    assert apdu.user_information == bytes.fromhex("0800065f1f040000501f01f40007")
    assert encode_apdu(apdu) == b"\x61\x42" + octets[2:]


def test_integer_in_reason():
    octets, expected = quirk("energyict:rlre-iskra-integer-in-reason")
    apdu = strict_refuses(octets, Tolerance.ACSE_RELEASE_CONTENT)
    assert isinstance(apdu, ReleaseResponse)
    assert apdu_json(apdu) == expected
    assert encode_apdu(apdu).hex() == "6303800100"


def test_conformance_of_three_octets():
    octets, expected = quirk("energyict:aare-conformance-length-3")
    apdu = strict_refuses(octets, Tolerance.ACSE_LENGTH, Tolerance.CONFORMANCE_LENGTH)
    assert isinstance(apdu, AssociationResponse)
    assert (apdu.result, apdu.diagnostic) == (expected["result"], expected["diagnostic"])
    response = strict_refuses(apdu.user_information, Tolerance.CONFORMANCE_LENGTH, Tolerance.QUALITY_OF_SERVICE)
    assert isinstance(response, InitiateResponse)
    assert response == InitiateResponse(18, 6, Conformance(0x007C1F), 1024, 7)
    for end in range(len(octets)):
        with pytest.raises(DecodeError):
            decode_apdu(octets[:end])


def test_conformance_without_the_second_tag_octet():
    octets, expected = quirk("jdlms:aarq-sn-in-wrapper-conformance-5f04")
    apdu = decode_apdu(octets, tolerances=STRICT)
    assert isinstance(apdu, AssociationRequest)
    assert apdu.protocol_version == bytes.fromhex(expected["protocol_version"])
    assert encode_apdu(apdu) == octets
    request = strict_refuses(apdu.user_information, Tolerance.CONFORMANCE_LENGTH)
    assert isinstance(request, InitiateRequest)
    assert f"{int(request.proposed_conformance):06x}" == expected["conformance_hex"]
    assert request.client_max_receive_pdu_size == expected["max_pdu"]


def test_missing_choice_octet_is_never_guessed():
    octets, _ = quirk("get-response-with-list-missing-choice-octet")
    with pytest.raises(DecodeError, match="choice 02") as caught:
        decode_apdu(octets)
    assert caught.value.octets == octets
    assert octets[caught.value.offset] == 0x02


def test_rejected_without_user_information():
    apdu = decode_apdu(quirk("aare-rejected-without-user-information-apdu")[0], tolerances=STRICT)
    assert isinstance(apdu, AssociationResponse)
    assert (int(apdu.result), int(apdu.diagnostic), apdu.user_information) == (1, 13, None)


def test_refusal_inside_an_association_response():
    apdu = decode_apdu(quirk("dlms-cosem:aare:test_no_cipher_no_security_incorrect_dlms_version")[0])
    error = decode_apdu(apdu.user_information)
    assert isinstance(error, ConfirmedServiceError)
    assert error.text == "initiate-error: initiate: dlms-version-too-low"


def test_mechanism_id_of_a_real_meter():
    captures = {case["name"]: case for case in load("issue-captures")}
    octets = bytes.fromhex(captures["ziv-aare-mechanism-id-0x85"]["expected"]["information"])[3:]
    apdu = strict_refuses(octets, Tolerance.ACSE_MECHANISM_FORM)
    assert isinstance(apdu, AssociationResponse)
    assert apdu.mechanism is AuthenticationMechanism.HLS_GMAC
    assert apdu.responding_ap_title == b"ZIV47091"
    assert isinstance(decode_apdu(apdu.user_information), CipheredApdu)


CONVERSATIONS = sorted((FOLDER / "recorded").glob("*wrapper*.hex")) if FOLDER.exists() else []


@pytest.mark.parametrize("file", CONVERSATIONS, ids=lambda file: file.stem)
def test_recorded_conversations(file):
    lines = [line[1:].strip() for line in file.read_text().splitlines() if line[:1] in ("<", ">")]
    assert lines
    for line in lines:
        octets = bytes.fromhex(line)[WRAPPER_HEADER:]
        apdu = decode_apdu(octets)
        if isinstance(apdu, ReleaseResponse) and apdu.user_information:
            # Gurux servers count three or four octets too few here; everything else is canonical.
            assert apdu.user_information == octets[-len(apdu.user_information) :]
        else:
            assert encode_apdu(apdu) == octets
        information = getattr(apdu, "user_information", None)
        if information:
            assert encode_apdu(decode_apdu(information)) == information
