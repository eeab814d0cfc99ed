"""explain: golden texts, every octet once, agreement with the decoders, captures, keys, redaction, arbitrary octets."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosemic import DecodeError, axdr, decode_apdu
from cosemic.explain import Explainer, Explanation, Keys, Sensitivity, explain, explain_text
from cosemic.link.crc import crc16_x25
from cosemic.security.cipher import CipherKey
from cosemic.tolerances import ALL, STRICT
from tests.vectors.collection import FOLDER, REASON, load

EK = bytes(range(16))
AK = bytes(range(0xD0, 0xE0))
TITLE = bytes.fromhex("4D4D4D0000BC614E")
KEYS = Keys(EK, AK, (TITLE,))
GET = bytes.fromhex("C001C100080000010000FF0200")
FRAME = bytes.fromhex("7EA0190321107FDAE6E600C001C100080000010000FF0200601A7E")
AARQ_LLS = bytes.fromhex(
    "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738BE10040E01000000065F1F0400007E1F04B0"
)


def frame(information: bytes, *, control: int = 0x10, segmented: bool = False) -> bytes:
    """An HDLC frame from client 16 to server 1, made by hand."""
    length = 2 + 1 + 1 + 1 + 2 + len(information) + 2
    head = bytes((0xA0 | (8 if segmented else 0) | length >> 8, length & 0xFF, 0x03, 0x21, control))
    body = head + crc16_x25(head) + information
    return b"\x7e" + body + crc16_x25(body) + b"\x7e"


def glo_get(plain: bytes = GET, *, control: int = 0x30, title: bytes = TITLE, key: bytes = EK, ak: bytes = AK) -> bytes:
    """A glo-get-request, sealed by hand with the cipher of the library."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    vector = title + bytes.fromhex("01234567")
    if control & 0x20:
        sealed = AESGCM(key).encrypt(vector, plain, bytes((control,)) + ak)
        payload = sealed[:-16] + (sealed[-16:-4] if control & 0x10 else b"")
    else:
        payload = plain + AESGCM(key).encrypt(vector, b"", bytes((control,)) + ak + plain)[:12]
    content = bytes((control,)) + vector[8:] + payload
    return b"\xc8" + bytes((len(content),)) + content


def octets_of(explanation: Explanation, buffer: str = "input") -> bytes:
    return b"".join(line.octets for line in explanation.lines if line.buffer == buffer)


# -- golden texts -----------------------------------------------------------------------------------------------------
def test_hdlc_frame_with_a_get_request() -> None:
    assert explain(FRAME).to_text().splitlines() == [
        "0000  7E                         flag",
        "                                 HDLC frame I N(S)=0 N(R)=0 P/F, 16 -> 1",
        "0001  A0 19                        frame format: type 3, length 25, last segment",
        "0003  03                           destination: 1",
        "0004  21                           source: 16",
        "0005  10                           control: I N(S)=0 N(R)=0 P/F  (information)",
        "0006  7F DA                        HCS: ok",
        "0008  E6 E6 00                     LLC: to the meter",
        "                                   get-request normal, Clock 0-0:1.0.0*255 attribute 2",
        "000B  C0                             tag: get-request",
        "000C  01                             choice: 1  (normal)",
        "000D  C1                             invoke-id-and-priority: 1  (invoke id 1, confirmed, high priority)",
        "000E  00 08                          class id: 8  (Clock)",
        "0010  00 00 01 00 00 FF              instance id: 0.0.1.0.0.255  (0-0:1.0.0*255 Clock)",
        "0016  02                             attribute: 2  (time)",
        "0017  00                             access selection: absent",
        "0018  60 1A                        FCS: ok",
        "001A  7E                         flag",
    ]


def test_value_tree_names_units_and_obis_codes() -> None:
    text = explain(bytes.fromhex("020209060100010800FF02020FFF161E")).to_text()
    assert "(1-0:1.8.0*255 Active energy import (+A) total)" in text
    assert "structure: 2 fields: scaler 10^-1, unit Wh" in text


def test_date_times_are_read() -> None:
    text = explain(bytes.fromhex("090C07E9010F030C1E0000FFC400")).to_text()
    assert "2025-01-15T12:30:00" in text
    assert "+01:00" in text


def test_an_aare_says_why_it_refused() -> None:
    explanation = explain(bytes.fromhex("611FA109060760857405080101A203020101A305A10302010DBE0604040E010601"))
    assert "rejected-permanent" in explanation.summary
    assert "authentication-failure" in explanation.summary
    assert "dlms-version-too-low" in explanation.to_text()


def test_frmr_is_put_into_words() -> None:
    head = bytes((0xA0, 0x0C, 0x21, 0x03, 0x97))
    body = head + crc16_x25(head) + bytes((0x10, 0x22, 0x08))
    text = explain(b"\x7e" + body + crc16_x25(body) + b"\x7e").to_text()
    assert "invalid N(R)" in text


# -- what is wrong, and where -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        ("7EA0190321107EDAE6E600C001C100080000010000FF0200601A7E", "octet 6 (0x6): HCS is 7EDA, 7FDA fits"),
        ("7EA0190321107FDAE6E600C001C1", "octet 1 (0x1): the length field says 25 octets, only 13 are left"),
        ("C001C1000800000100", "octet 5 (0x5): instance id needs 6 octets, 4 are left"),
        ("C009C1", "octet 1 (0x1): choice 9 is unknown"),
        ("C401C1000600", "octet 5 (0x5): double-long-unsigned needs 4 octets, 1 are left"),
        ("0001000100100030C001C1", "octet 6 (0x6): the length says 48 octets, 3 are there"),
        ("FE", "octet 0 (0x0): 0xFE begins neither"),
        ("", "octet 0 (0x0): there are no octets"),
        ("0280A1", "octet 1 (0x1): a length of 0 octets"),
        ("C001C100080000010000FF0200AA", "octet 13 (0xD): 1 octets too many"),
    ],
)
def test_fault_names_the_octet(octets: str, fault: str) -> None:
    explanation = explain(bytes.fromhex(octets))
    assert not explanation.ok
    assert explanation.fault is not None
    assert explanation.fault.startswith(fault)
    assert octets_of(explanation) == bytes.fromhex(octets)


def test_truncated_frame_is_explained_up_to_the_fault() -> None:
    explanation = explain(FRAME[:20])
    assert "class id" in explanation.to_text()
    assert "only 19 are left" in str(explanation.faults[0].error)


# -- captures ---------------------------------------------------------------------------------------------------------
def test_frames_between_garbage_and_with_shared_flags() -> None:
    second = frame(b"\xe6\xe6\x00" + GET, control=0x32)
    explanation = explain(b"\x00\xff" + FRAME[:-1] + second + b"\x11")
    assert explanation.ok
    assert explanation.to_text().count("get-request normal") == 2
    assert "closes this frame and opens the next" in explanation.to_text()
    assert "octets between frames" in explanation.to_text()


def test_segments_are_put_together() -> None:
    information = b"\xe6\xe6\x00" + GET
    explanation = explain(frame(information[:9], segmented=True) + frame(information[9:], control=0x12))
    assert explanation.ok
    assert octets_of(explanation, "segments, put together") == information


def test_a_repeated_segment_counts_once() -> None:
    information = b"\xe6\xe6\x00" + GET
    first = frame(information[:9], segmented=True)
    explanation = explain(first + first + frame(information[9:], control=0x12))
    assert octets_of(explanation, "segments, put together") == information


def test_several_apdus_in_one_frame() -> None:
    explanation = explain(frame((b"\xe6\xe6\x00" + GET) * 3))
    assert explanation.ok
    assert explanation.summary.count("get-request") == 3


def test_blocks_are_put_together() -> None:
    value = axdr.encode(axdr.octet_string(bytes(40)))
    first = bytes.fromhex("C402C100000000010014") + value[:20]
    last = bytes.fromhex("C402C10100000002") + b"\x00" + bytes((len(value) - 20,)) + value[20:]
    explainer = Explainer()
    assert explainer.explain(first).ok
    explanation = explainer.explain(last)
    assert explanation.ok
    assert octets_of(explanation, "get blocks, put together") == value


def test_lines_with_directions_and_comments() -> None:
    text = f"# a capture\n> {FRAME.hex()}\n< {frame(bytes.fromhex('E6E700D80101')).hex(' ')}  ; refused\n\n"
    explanation = explain_text(text)
    assert explanation.ok
    assert "exception-response service-not-allowed" in explanation.summary


def test_a_dump_cut_into_lines_is_one_stream() -> None:
    lines = "\n".join(FRAME.hex()[start : start + 16] for start in range(0, len(FRAME) * 2, 16))
    assert explain_text(lines).to_text() == explain(FRAME).to_text()


@pytest.mark.parametrize("text", ["7E A0 1", "hello", "7EA0\nxyz"])
def test_text_that_is_not_hexadecimal(text: str) -> None:
    with pytest.raises(ValueError, match="line"):
        explain_text(text)


# -- ciphering --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("control", [0x10, 0x20, 0x30])
def test_opens_every_policy(control: int) -> None:
    explanation = explain(glo_get(control=control), keys=KEYS)
    assert explanation.ok
    assert octets_of(explanation, "plaintext 1") == GET
    assert ("tag ok" in explanation.to_text()) == bool(control & 0x10)


def test_without_the_authentication_key_the_tag_stays_unchecked() -> None:
    explanation = explain(glo_get(), keys=Keys(EK, None, (TITLE,)))
    assert explanation.ok
    assert "tag not checked: no authentication key" in explanation.to_text()


def test_without_keys_it_says_what_is_missing() -> None:
    assert "no encryption key was given" in explain(glo_get()).to_text()
    assert "system title of the sender is not known" in explain(glo_get(), keys=Keys(EK, AK)).to_text()


def test_wrong_authentication_key_is_told_apart() -> None:
    explanation = explain(glo_get(), keys=Keys(EK, bytes(16), (TITLE,)))
    assert not explanation.ok
    assert "the authentication key is wrong" in str(explanation.fault)
    assert octets_of(explanation, "plaintext 1") == b""


@pytest.mark.parametrize("keys", [Keys(bytes(16), AK, (TITLE,)), Keys(EK, AK, (bytes(8),))])
def test_wrong_key_or_title_names_the_possibilities(keys: Keys) -> None:
    explanation = explain(glo_get(), keys=keys)
    assert "encryption key, the authentication key or the system title is wrong" in str(explanation.fault)
    unproved = explain(glo_get(control=0x20), keys=keys)
    assert "the result is no APDU" in str(unproved.fault)


def test_a_changed_octet_is_noticed() -> None:
    changed = bytearray(glo_get())
    changed[-1] ^= 1
    assert not explain(bytes(changed), keys=KEYS).ok


def test_the_system_title_comes_from_the_aarq() -> None:
    aarq = bytes.fromhex("6017A109060760857405080103A60A0408") + TITLE
    aarq = b"\x60" + bytes((len(aarq) - 2,)) + aarq[2:]
    explanation = explain_text(f"> {aarq.hex()}\n> {glo_get().hex()}", keys=Keys(EK, AK))
    assert "tag ok" in explanation.to_text()


def test_general_glo_carries_its_title() -> None:
    content = glo_get()[2:]
    explanation = explain(b"\xdb\x08" + TITLE + bytes((len(content),)) + content, keys=Keys(EK, AK))
    assert "tag ok" in explanation.to_text()


def test_the_library_seals_what_explain_opens() -> None:
    content = CipherKey(EK, AK, "key").seal(0x30, TITLE, 7, GET, b"\x30" + AK)
    explanation = explain(b"\xc8" + bytes((len(content),)) + content, keys=KEYS)
    assert octets_of(explanation, "plaintext 1") == GET


def test_keys_never_show() -> None:
    text = repr(KEYS) + explain(glo_get(), keys=KEYS).to_text() + explain(glo_get(), keys=KEYS).to_json()
    assert EK.hex() not in text.lower()
    assert AK.hex() not in text.lower()
    with pytest.raises(ValueError, match="encryption key has 3 octets") as caught:
        Keys("0A0B0C")
    assert "0A0B0C" not in str(caught.value)


# -- redaction --------------------------------------------------------------------------------------------------------
def test_passwords_are_hidden_and_checks_stay() -> None:
    password = b"12345678"
    for octets in (AARQ_LLS, frame(b"\xe6\xe6\x00" + AARQ_LLS), AARQ_LLS[:-4]):
        hidden = explain(octets).redacted(Sensitivity.SECRET)
        for text in (hidden.to_text(), hidden.to_json(), hidden.summary):
            assert password.hex() not in text.lower().replace(" ", "")
            assert "12345678" not in text
    assert "FCS: ok" in explain(frame(b"\xe6\xe6\x00" + AARQ_LLS)).redacted(Sensitivity.SECRET).to_text()


def test_segments_of_a_password_are_hidden() -> None:
    information = b"\xe6\xe6\x00" + AARQ_LLS
    stream = frame(information[:35], segmented=True) + frame(information[35:], control=0x12)
    text = explain(stream).redacted(Sensitivity.SECRET).to_json()
    assert "31323334" not in text
    assert "35363738" not in text


def test_titles_and_serial_numbers_are_hidden_for_posting() -> None:
    explanation = explain(b"\xdb\x08" + TITLE + b"\x05\x30\x00\x00\x00\x01", keys=KEYS)
    assert TITLE.hex() not in explanation.redacted(Sensitivity.IDENTITY).to_json()
    named = explain(b"\x09\x10KFM1200200000001")
    assert "200000001" in named.to_text()
    assert "200000001" not in named.redacted(Sensitivity.IDENTITY).to_text()
    wrong = explain(glo_get(), keys=Keys(bytes(16), AK, (TITLE,))).redacted(Sensitivity.IDENTITY)
    assert TITLE.hex().upper() not in wrong.to_text()
    assert not wrong.ok


# -- JSON -------------------------------------------------------------------------------------------------------------
def test_json_keys_are_stable() -> None:
    lines = [json.loads(line) for line in explain(FRAME).to_json().splitlines()]
    assert all(
        list(line) == [
            "buffer", "offset", "length", "octets", "depth", "layer", "field", "value", "meaning", "error",
        ]
        for line in lines
    )  # fmt: skip
    assert lines[3] == {
        "buffer": "input", "offset": 3, "length": 1, "octets": "03", "depth": 1, "layer": "hdlc",
        "field": "destination", "value": "1", "meaning": "", "error": None,
    }  # fmt: skip


# -- any octets -------------------------------------------------------------------------------------------------------
_PIECES = st.sampled_from(
    [FRAME, GET, AARQ_LLS, glo_get(), b"\x7e", b"\xe6\xe7\x00", b"\x00\x01\x00\x01\x00\x10\x00\x0d" + GET, b"\x01\x02",
     b"\x13\x02\x82\xff\xff", bytes.fromhex("E0800001000003"), b"\xdb\x08" + TITLE]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(_PIECES, st.binary(max_size=12)), max_size=6).map(b"".join))
def test_any_octets_are_explained_and_each_stands_once(octets: bytes) -> None:
    explanation = explain(octets, keys=KEYS)
    assert octets_of(explanation) == octets
    explanation.to_text()
    json.loads(f"[{','.join(explanation.to_json().splitlines())}]")
    assert explanation.ok == (explanation.fault is None)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([FRAME, GET, AARQ_LLS, glo_get(), frame((b"\xe6\xe6\x00" + GET) * 2)]), st.data())
def test_mutated_messages_are_explained(octets: bytes, data: st.DataObject) -> None:
    changed = bytearray(octets)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    changed = changed[: data.draw(st.integers(0, len(changed)))]
    assert octets_of(explain(bytes(changed), keys=KEYS)) == bytes(changed)


@pytest.mark.parametrize(
    "piece",
    [b"\x7e", b"\x7e\xa0\x10", b"\x00\x01", b"\x00\x01\x00\x01\x00\x01\x00\x05", b"\x02\x01",
     b"\xe6\xe6\x00\xd8\x01\x01", b"\xe0\x80\x00\x01\x00\x00\x00", b"\xdb\x00"],
)  # fmt: skip
def test_lines_grow_no_faster_than_the_octets(piece: bytes) -> None:
    for size in (2_000, 20_000):
        octets = (piece * size)[:size]
        explanation = explain(octets, keys=KEYS)
        assert len(explanation.lines) <= 1_000 + 4 * size


def test_a_type_description_cannot_multiply_the_work() -> None:
    wide = 2_000
    description = b"\x02\x82" + wide.to_bytes(2, "big") + bytes(wide - 1) + b"\x11"
    octets = b"\x13" + description + b"\x82" + wide.to_bytes(2, "big") + bytes(wide)
    explanation = explain(octets)
    assert len(explanation.lines) <= 1_000 + 8 * len(octets)
    assert not explanation.ok


# -- against the decoders and the collection --------------------------------------------------------------------------
_APDUS = [bytes.fromhex(case["bytes"]) for topic in ("acse", "xdlms") for case in load(topic) if case["kind"] == "apdu"]
_NESTED = frozenset({0x60, 0x61, 0x62, 0x63, 0xDD, 0xDF, 0xE0})
"""APDUs whose content the decoder leaves as octets; explain looks into it and may find more faults."""


@pytest.mark.skipif(not _APDUS, reason=REASON)
def test_agrees_with_the_decoder_on_mutated_apdus() -> None:
    source = random.Random(20)
    refused = accepted = 0
    for original in _APDUS:
        for _ in range(8):
            octets = bytearray(original)
            octets[source.randrange(1, len(octets))] = source.choice((0, 1, 2, 255, source.randrange(256)))
            if source.random() < 0.3:
                del octets[source.randrange(1, len(octets)) :]
            apdu = bytes(octets)
            if (
                octets[0] in (0x01, 0x05, 0x06, 0x08, 0x0C, 0x0D, 0x0E, 0x0F, 0x10, 0x16, 0x18)
                or apdu[:2] == b"\x00\x01"
            ):
                continue  # a bare value may begin so too
            explained = explain(apdu).ok
            if explained:
                decode_apdu(apdu, tolerances=ALL)
            try:
                decode_apdu(apdu, tolerances=STRICT)
            except DecodeError:
                refused += 1
            else:
                accepted += 1
                assert explained or apdu[0] in _NESTED, apdu.hex()
    assert refused > 100
    assert accepted > 100


_ODD = {
    "energyict:aare-conformance-length-3": "its outer length is one octet too long",
    "get-response-with-list-missing-choice-octet": "the choice octet is missing",
    "constructed:gbt-first-streaming": "its block is a piece of an APDU that claims to be whole",
    "bad-truncated-double-long-unsigned": "0600 is a write-request of nothing, too",
}


@pytest.mark.skipif(not _APDUS, reason=REASON)
@pytest.mark.parametrize("topic", ["acse", "xdlms", "axdr", "issue-captures"])
def test_collection_is_explained(topic: str) -> None:
    for case in load(topic):
        octets = bytes.fromhex(case["bytes"])
        explanation = explain(octets)
        assert octets_of(explanation) == octets, case["name"]
        if case["kind"] in ("apdu", "axdr", "wrapper") and case["name"] not in _ODD:
            # A confirmed-service-error has a field "error", with a number; a faulty case says why in words.
            assert explanation.ok == (not isinstance(case["expected"].get("error"), str)), case["name"]


@pytest.mark.skipif(not _APDUS, reason=REASON)
@pytest.mark.parametrize(
    "name", ["hdlc-gmac-suite0_gurux-python_pydlms-sim", "wrapper-gmac-suite0_gurux-python_pydlms-sim"]
)
def test_a_recorded_session_opens_with_its_keys_alone(name: str) -> None:
    explanation = explain_text((FOLDER / "recorded" / f"{name}.hex").read_text(), keys=Keys(EK, AK))
    assert explanation.ok
    assert explanation.to_text().count("tag ok") == 8


@pytest.mark.skipif(not _APDUS, reason=REASON)
def test_every_ciphered_case_of_suite_0_opens() -> None:
    opened = 0
    for case in load("security"):
        if case["kind"] != "ciphered-apdu" or "error" in case["expected"] or "plaintext" not in case["expected"]:
            continue
        given = case["keys"]
        keys = Keys(
            given.get("encryption_key"), given.get("authentication_key"), (given["system_title"],),
            given.get("dedicated_key"), given.get("broadcast_key"),
        )  # fmt: skip
        explanation = explain(bytes.fromhex(case["bytes"]), keys=keys)
        if explanation.ok and any(line.field == "plaintext" for line in explanation.lines):
            opened += 1
            assert octets_of(explanation, "plaintext 1").hex() == case["expected"]["plaintext"], case["name"]
    assert opened > 10
