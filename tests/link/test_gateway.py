"""The prefixes of the gateway protocol, and a link that puts and takes them."""

from __future__ import annotations

import pytest

from cosemic.enums import Role
from cosemic.errors import DecodeError
from cosemic.link.events import ApduReceived, FrameDropped, LinkUp, UnconfirmedApduReceived
from cosemic.link.frames import FrameReader, HdlcAddress, HdlcFrame
from cosemic.link.gateway import GatewayLink, GatewayPrefix, split_prefix
from cosemic.link.hdlc import HdlcLink
from cosemic.link.wrapper import WrapperLink, WrapperPdu
from cosemic.protocol.redaction import FrameRedactor

ADDRESS = b"12345678"
REQUEST = bytes.fromhex("E6 02 08") + ADDRESS
RESPONSE = bytes.fromhex("E7 02 08") + ADDRESS


def test_prefixes() -> None:
    assert GatewayPrefix(2, ADDRESS).encode() == REQUEST
    assert GatewayPrefix(2, ADDRESS, True).encode() == RESPONSE
    assert split_prefix(REQUEST + b"\xc0\x01") == (GatewayPrefix(2, ADDRESS), b"\xc0\x01")
    assert split_prefix(RESPONSE + b"\xc4") == (GatewayPrefix(2, ADDRESS, True), b"\xc4")


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\xc4\x01",
        b"\xe6",
        b"\xe6\x00",
        b"\xe6\x00\x05",
        b"\xe6\x00\x02ab",
        b"\xe6\x00\x00\xc0",
        b"\xe7\x00\x03ab\xc4",
    ],
)
def test_what_is_no_prefix(octets: bytes) -> None:
    with pytest.raises(DecodeError):
        split_prefix(octets)


@pytest.mark.parametrize("wrong", [(-1, b"1"), (256, b"1"), (0, b""), (0, bytes(256))])
def test_what_no_prefix_can_say(wrong: tuple[int, bytes]) -> None:
    with pytest.raises(ValueError):
        GatewayPrefix(*wrong)


def _wrapped(apdu: bytes) -> bytes:
    return WrapperPdu(1, 16, apdu).encode()


@pytest.fixture
def link() -> GatewayLink:
    link = GatewayLink(WrapperLink(Role.CLIENT, source=16, destination=1), 2, ADDRESS)
    link.connect(0.0)
    assert link.events() == [LinkUp(None)]
    link.send_apdu(b"\xc0\x01", 0.0)
    assert link.data_to_send() == WrapperPdu(16, 1, REQUEST + b"\xc0\x01").encode()
    return link


def test_an_exchange(link: GatewayLink) -> None:
    link.receive_data(_wrapped(RESPONSE + b"\xc4\x01"), 1.0)
    assert link.events() == [ApduReceived(b"\xc4\x01")]


@pytest.mark.parametrize(
    "apdu",
    [
        b"\xc4\x01",
        REQUEST + b"\xc4\x01",
        b"\xe7\x03" + RESPONSE[2:] + b"\xc4\x01",
        RESPONSE[:-1] + b"9\xc4\x01",
        RESPONSE,
        b"\xe7\x02\x20123",
        b"\xe7",
    ],
    ids=["no prefix", "a request", "other network", "other device", "no APDU", "too long", "cut"],
)
def test_what_is_not_from_the_device_is_dropped(link: GatewayLink, apdu: bytes) -> None:
    link.receive_data(_wrapped(apdu), 1.0)
    assert [type(event) for event in link.events()] == [FrameDropped]
    link.poll(1.1)
    link.receive_data(_wrapped(RESPONSE + b"\xc4"), 1.2)
    assert link.events() == [ApduReceived(b"\xc4")]


def test_the_gateway_says_why(link: GatewayLink) -> None:
    link.receive_data(_wrapped(b"\xd8\x01\x03"), 1.0)
    assert link.events() == [ApduReceived(b"\xd8\x01\x03")]


def test_over_hdlc() -> None:
    client, server = HdlcAddress(16), HdlcAddress(1, 17)
    near = GatewayLink(HdlcLink(Role.CLIENT, destination=server, source=client), 0, ADDRESS)
    far = HdlcLink(Role.SERVER, destination=client, source=server)
    near.connect(0.0)
    far.receive_data(near.data_to_send(), 0.0)
    near.receive_data(far.data_to_send(), 0.0)
    assert [type(event) for event in near.events()] == [LinkUp]
    far.events()
    near.send_apdu(bytes(200), 0.0)
    while data := near.data_to_send():
        far.receive_data(data, 0.0)
        near.receive_data(far.data_to_send(), 0.0)
    assert far.events() == [ApduReceived(b"\xe6\x00\x08" + ADDRESS + bytes(200))]
    push = b"\xe7\x00\x08" + ADDRESS + b"\x0f\x01"
    far.send_unconfirmed(push, 0.0)
    near.receive_data(far.data_to_send(), 0.0)
    assert near.events() == [UnconfirmedApduReceived(b"\x0f\x01")]


AARQ = bytes.fromhex(
    "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738BE10040E01000000065F1F040000101D0400"
)


@pytest.mark.parametrize("framing", ["wrapper", "hdlc", "mbus", "mbus in two"])
def test_traces_hide_a_password_behind_a_prefix(framing: str) -> None:
    from cosemic.link.mbus import segments

    assert b"12345678" in AARQ
    apdu = b"\xe6\x00\x02ab" + AARQ
    redactor = FrameRedactor()
    if framing == "wrapper":
        shown = redactor.frame("out", WrapperPdu(16, 1, apdu).encode())
    elif framing == "hdlc":
        octets = HdlcFrame(HdlcAddress(1), HdlcAddress(16), 0x10, b"\xe6\xe6\x00" + apdu).encode()
        shown = redactor.frame("out", octets)
        (frame,) = FrameReader().feed(shown)
        assert isinstance(frame, HdlcFrame)
    else:
        filler = bytes(230) if framing == "mbus in two" else b""
        apdu = b"\xe6\x00" + bytes((2 + len(filler),)) + b"ab" + filler + AARQ
        shown = b"".join(redactor.frame("out", frame.encode()) for frame in segments(apdu, 0x73, 1, 16, 1))
    assert b"12345678" not in shown
    assert b"ab" in shown
