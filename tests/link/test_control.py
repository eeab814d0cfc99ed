"""Control fields and FRMR in words."""

from __future__ import annotations

from cosemic.link import control
from cosemic.link.control import FrameKind, RejectReason


def test_kinds():
    expected = {0x93: "SNRM", 0x83: "SNRM", 0x53: "DISC", 0x73: "UA", 0x63: "UA", 0x1F: "DM", 0x0F: "DM", 0x97: "FRMR"}
    expected |= {0x13: "UI", 0x03: "UI", 0xF1: "RR", 0x75: "RNR", 0x39: "REJ", 0x10: "I", 0xFE: "I"}
    for field, kind in expected.items():
        assert control.KINDS[field] == kind
    assert control.KINDS[0x33] is FrameKind.UNKNOWN
    assert control.KINDS[0x0D] is FrameKind.UNKNOWN  # SREJ is no part of the standard


def test_making():
    assert control.information(3, 4, True) == 0x96
    assert control.information(7, 7, False) == 0xEE
    assert control.receive_ready(7) == 0xF1
    assert control.receive_ready(2, False) == 0x41


def test_reject_in_words():
    text = control.describe_reject(bytes.fromhex("540010"))  # a real meter, to a client that did not restart at 0
    assert "I frame N(S)=2 N(R)=2" in text
    assert "N(S) was invalid" in text
    assert "expects N(S)=0" in text
    assert "control field is undefined" in control.describe_reject(bytes.fromhex("330001"))
    assert "not permitted" in control.describe_reject(bytes.fromhex("930003"))
    assert "too long" in control.describe_reject(bytes.fromhex("100004"))
    assert "N(R) was invalid" in control.describe_reject(bytes.fromhex("f10008"))
    assert "E0" in control.describe_reject(bytes.fromhex("f100e0"))
    assert "no information" in control.describe_reject(b"")


def test_reject_information():
    assert control.reject_information(0x54, RejectReason.INVALID_SEND_NUMBER, send_state=0, receive_state=0) == (
        bytes.fromhex("540010")
    )
    assert "expects N(S)=5 and is at V(S)=3" in control.describe_reject(
        control.reject_information(0x33, RejectReason.UNDEFINED_CONTROL, send_state=3, receive_state=5)
    )
