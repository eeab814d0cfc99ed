"""Captures of other lines than HDLC and wrapper, and what is paired across a capture; the recorded conversations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.explain import Explainer, Explanation, Keys, Sensitivity, explain, explain_text
from cosemic.link.mbus import MbusFrame, segments
from cosemic.link.signon_messages import Identification, SignOnOptions
from tests.test_explain import frame
from tests.vectors.collection import FOLDER, REASON

GET = bytes.fromhex("C001C100080000010000FF0200")
RECORDED = sorted((FOLDER / "recorded").glob("*.hex")) if FOLDER.exists() else []
KEYS = Keys(bytes(range(16)), bytes(range(0xD0, 0xE0)), ("4D4D4D0000000001",))


def fields(explanation: Explanation, layer: str) -> list[str]:
    return [item.field for item in explanation.lines if item.layer == layer and item.length]


def whole(explanation: Explanation, buffer: str = "input") -> bytes:
    return b"".join(item.octets for item in explanation.lines if item.buffer == buffer)


# -- recorded conversations ------------------------------------------------------------------------------------------
@pytest.mark.skipif(not RECORDED, reason=REASON)
@pytest.mark.parametrize("file", [pytest.param(file, id=file.stem) for file in RECORDED])
def test_recorded_conversations(file: Path) -> None:
    """Foreign clients and foreign meters: no fault but the RLRE of Gurux' meters, whose inner lengths are too low."""
    text = file.read_text()
    explanation = explain_text(text, keys=KEYS)
    for fault in explanation.faults:
        assert fault.error is not None
        assert "octets too many" in fault.error or "user information" in fault.error
        before = [item.field for item in explanation.lines if item.buffer == fault.buffer and not item.length]
        assert "RLRE" in before
    lines = [line[1:].strip() for line in text.splitlines() if line[:1] in "<>" and line[1:].strip()]
    shown = b"".join(item.octets for item in explanation.lines if item.buffer.startswith("line "))
    assert shown == bytes.fromhex("".join(lines))


@pytest.mark.skipif(not RECORDED, reason=REASON)
def test_access_is_paired_item_by_item() -> None:
    text = explain_text((FOLDER / "recorded/wrapper-none-access_pydlms_pydlms-sim.hex").read_text()).to_text()
    words = [line.strip() for line in text.splitlines() if "answers" in line]
    assert (
        words == ["answers get Data 0-0:42.0.0*255 attribute 2", "answers get Register 1-0:1.8.0*255 attribute 2"] * 2
    )


@pytest.mark.skipif(not RECORDED, reason=REASON)
def test_short_names_have_names_once_the_object_list_was_read() -> None:
    text = explain_text((FOLDER / "recorded/wrapper-sn-none_pydlms_gurux-java.hex").read_text()).to_text()
    assert "0xFA08, Association SN 0-0:40.0.0*255 attribute 2 (object_list)" in text
    assert "27 objects: short names are told by them from here on" in text
    assert "answers 0x00E8 Data 1-0:0.2.0*255 attribute 2 (value)" in text


@pytest.mark.skipif(not RECORDED, reason=REASON)
def test_general_blocks_of_a_whole_conversation() -> None:
    explanation = explain_text((FOLDER / "recorded/wrapper-none-gbt_pydlms_pydlms-sim.hex").read_text())
    (together,) = (item for item in explanation.lines if item.field == "blocks, put together")
    assert together.meaning == "2022 octets"
    assert whole(explanation, "blocks, put together")[:4] == bytes.fromhex("C401C100")
    assert "missing so far" not in explanation.to_text()


# -- blocks ----------------------------------------------------------------------------------------------------------
def block(number: int, data: bytes, *, last: bool = False) -> bytes:
    return b"\xe0" + bytes((0x41 | last << 7,)) + number.to_bytes(2, "big") + b"\x00\x00" + bytes((len(data),)) + data


def test_blocks_that_are_lost_late_and_doubled() -> None:
    explainer = Explainer()
    said = []
    for octets in (
        block(1, GET[:4]), block(3, GET[8:], last=True), block(1, GET[:4]), block(2, GET[4:8]),
    ):  # fmt: skip
        explanation = explainer.explain(octets)
        assert explanation.ok, explanation.fault
        said.append(explanation.summary)
    assert "missing so far: block 2" in said[1]
    assert "came before" in said[2]
    assert "get-request normal" in said[3]


def test_blocks_of_two_speakers_do_not_mix() -> None:
    text = "\n".join(
        f"{direction} {block(number, GET[cut], last=number == 2).hex()}"
        for number, cut in ((1, slice(0, 6)), (2, slice(6, None)))
        for direction in "><"
    )
    explanation = explain_text(text)
    assert explanation.ok, explanation.fault
    assert explanation.summary.count("get-request normal") == 2


# -- M-Bus -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [13, 250, 251, 900])
def test_mbus_segments(size: int) -> None:
    value = bytes((9, 0x82)) + size.to_bytes(2, "big") + bytes(size)
    apdu = bytes.fromhex("0F0000000100") + value
    octets = b"".join(item.encode() for item in segments(apdu, 0x53, 0xFF, 1, 103))
    explanation = explain(octets)
    assert explanation.ok, explanation.fault
    assert whole(explanation) == octets
    assert "data-notification" in explanation.summary
    assert explanation.summary.count("M-Bus frame") == -(-len(apdu) // 250)


def test_mbus_short_frames_and_acknowledgements() -> None:
    octets = MbusFrame(0x40, 1).encode() + MbusFrame().encode() + MbusFrame(0x7B, 1).encode() + MbusFrame().encode()
    octets += b"".join(item.encode() for item in segments(GET, 0x08, 1, 1, 16)) + b"\x00\x01"
    explanation = explain(octets)
    assert whole(explanation) == octets
    assert "SND-NKE: link reset, address 1" in explanation.summary
    assert "REQ-UD2: request for data, frame count bit set, address 1" in explanation.summary
    assert "RSP-UD: data in answer, address 1, 1 -> 16, segment 0" in explanation.summary
    assert explanation.lines[-1].field == "not an M-Bus frame"


def test_mbus_damage_and_data_that_is_not_dlms() -> None:
    octets = bytearray(next(segments(GET, 0x08, 1, 1, 16)).encode())
    octets[12] ^= 1
    explanation = explain(bytes(octets))
    assert whole(explanation) == bytes(octets)
    assert any("fits the octets" in (item.error or "") for item in explanation.lines)
    other = explain(MbusFrame(0x08, 1, 0x72, bytes(12)).encode())
    assert other.ok
    assert "M-Bus data (EN 13757-3), long header" in other.to_text()


# -- sign-on ---------------------------------------------------------------------------------------------------------
IDENTITY = Identification("LGZ", "5", "2", "ZMG310.B11").encode()


def test_a_sign_on_and_hdlc_behind_it() -> None:
    octets = SignOnOptions().request + IDENTITY + b"\x06252\r\n" + frame(b"\xe6\xe6\x00" + GET)
    explanation = explain(octets)
    assert explanation.ok, explanation.fault
    assert whole(explanation) == octets
    assert fields(explanation, "sign-on") == ["sign-on request", "identification", "acknowledgement"]
    text = explanation.to_text()
    assert "manufacturer LGZ, proposes 9600 baud (mode C or E), offers HDLC (mode E)" in text
    assert "HDLC (mode E), 9600 baud, HDLC (mode E)" in text
    assert "get-request normal" in explanation.summary


def test_lines_of_a_sign_on() -> None:
    text = (
        "> 2F3F210D0A\n< "
        + IDENTITY.hex()
        + "\n> 063235320D0A\n> 7EA0190321107FDAE6E600C001C100080000010000FF0200601A7E"
    )
    explanation = explain_text(text)
    assert explanation.ok, explanation.fault
    assert fields(explanation, "sign-on") == ["sign-on request", "identification", "acknowledgement"]


def test_a_readout_with_its_block_check() -> None:
    body = b"1.8.0(0001234.5*kWh)\r\n0.0.0(87654321)\r\n!\r\n\x03"
    check = 0
    for octet in body:
        check ^= octet
    for given_check, ok in ((check, True), (check ^ 1, False)):
        octets = IDENTITY + b"\x02" + body + bytes((given_check,))
        explanation = explain(octets)
        assert explanation.ok is ok, explanation.fault
        assert whole(explanation) == octets
    assert "Active energy import" in explanation.to_text()


@given(st.binary(max_size=200))
def test_any_octets_behind_an_identification(rest: bytes) -> None:
    explanation = explain(IDENTITY + rest)
    assert whole(explanation) == IDENTITY + rest


# -- gateways --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tag", ["E6", "E7"])
def test_gateway_prefixes(tag: str) -> None:
    apdu = bytes.fromhex(tag + "0706") + b"MTR001" + GET
    wrapper = bytes.fromhex("0001001000010016") + apdu
    for octets in (apdu, wrapper, frame(b"\xe6\xe6\x00" + apdu)):
        explanation = explain(octets)
        assert explanation.ok, explanation.fault
        assert whole(explanation) == octets
        assert "a device in network 7" in explanation.summary
        assert "get-request normal" in explanation.summary
        assert b"MTR001".hex() not in explanation.redacted(Sensitivity.IDENTITY).to_json().lower()
    assert not explain(bytes.fromhex("E60700") + GET).ok


# -- redaction -------------------------------------------------------------------------------------------------------
def test_checksums_over_hidden_octets_are_hidden_too() -> None:
    """Sixteen bits of checksum would tell a short password apart from all but a handful of others."""
    aarq = bytes.fromhex(
        "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738BE10040E01000000065F1F0400007E1F04B0"
    )
    octets = frame(b"\xe6\xe6\x00" + aarq)
    for level in (Sensitivity.IDENTITY, Sensitivity.SECRET):
        lines = explain(octets).redacted(level).lines
        (check,) = (item for item in lines if item.field == "FCS")
        assert check.octets == b""
        assert check.value == "ok"
        assert check.meaning == "not shown: it covers hidden octets"
        assert octets[-3:-1].hex() not in "".join(item.to_text() for item in lines).lower()
    (check,) = (
        item
        for item in explain(frame(b"\xe6\xe6\x00" + GET)).redacted(Sensitivity.IDENTITY).lines
        if item.field == "FCS"
    )
    assert check.octets


def test_titles_and_serial_numbers_are_hidden_everywhere() -> None:
    octets = b"".join(
        item.encode()
        for item in segments(bytes.fromhex("DB084C475A6773745DDD0F30010203040506070809101112131415"), 0x53, 1, 1, 103)
    )
    cases: list[tuple[bytes, Any]] = [
        (octets, "4c475a6773745ddd"),
        (SignOnOptions(address="87654321").request, "87654321"),
        (IDENTITY, "ZMG310"),
        (IDENTITY + b"0.0.0(87654321)\r\n", "87654321"),
    ]
    for given_octets, secret in cases:
        text = explain(given_octets).redacted(Sensitivity.IDENTITY)
        assert secret.lower() not in text.to_text().lower()
        assert secret.lower() not in text.to_json().lower()
