"""The wrapper over streams and datagrams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosemic.enums import Role
from cosemic.errors import FrameError, LinkLost, LinkTimeout, LocalProtocolError
from cosemic.link.events import ApduReceived, FrameDropped, LinkDown, LinkFailed, LinkState, LinkUp
from cosemic.link.wrapper import WrapperLink, WrapperPdu, WrapperReader

ports = st.integers(0, 0xFFFF)
pdus = st.builds(WrapperPdu, ports, ports, st.binary(max_size=300))


def client(**named) -> WrapperLink:
    link = WrapperLink(Role.CLIENT, source=16, destination=1, **named)
    link.connect(0.0)
    assert link.events() == [LinkUp(None)]
    return link


def answer(apdu: bytes = b"\xc4", source: int = 1, destination: int = 16) -> bytes:
    return WrapperPdu(source, destination, apdu).encode()


@given(pdus)
def test_round_trip(pdu):
    assert WrapperPdu.decode(pdu.encode()) == pdu


@given(st.lists(pdus, max_size=5), st.data())
def test_any_cut_gives_the_same_pdus(sent, data):
    stream = b"".join(pdu.encode() for pdu in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader = WrapperReader()
    pieces = zip([0, *cuts], [*cuts, len(stream)], strict=True)
    assert [pdu for start, end in pieces for pdu in reader.feed(stream[start:end])] == sent
    assert not reader.is_partial


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_arbitrary_octets_never_raise(pieces):
    for datagram in (False, True):
        link = client(datagram=datagram)
        for piece in pieces:
            link.receive_data(piece, 0.0)
        assert all(isinstance(event, (FrameDropped, LinkFailed, ApduReceived)) for event in link.events())


@pytest.mark.parametrize(
    ("octets", "message"), [("0001", "8 octets"), ("0002000100010000", "version 2"), ("0001000100010001", "1 octets")]
)
def test_decode_errors(octets, message):
    with pytest.raises(FrameError, match=message):
        WrapperPdu.decode(bytes.fromhex(octets))


def test_exchange():
    link = client(response_timeout=7.0)
    link.send_apdu(b"\xc0\x01", 1.0)
    assert link.data_to_send() == bytes.fromhex("0001001000010002c001")
    assert link.data_to_send() == b""
    assert link.next_deadline() == 8.0
    with pytest.raises(LocalProtocolError):
        link.send_apdu(b"\xc0", 1.0)
    link.receive_data(answer(b"\xc4\x01"), 2.0)
    assert link.events() == [ApduReceived(b"\xc4\x01")]
    assert link.next_deadline() is None
    link.send_apdu(b"\xc1", 3.0, expect_response=False)
    assert link.next_deadline() is None
    link.disconnect(4.0)
    assert link.events() == [LinkDown("closed by us")]
    with pytest.raises(LocalProtocolError):
        link.send_apdu(b"\xc0", 5.0)


def test_octet_by_octet_and_all_at_once():
    link = client()
    stream = answer(b"\x0f") + answer(b"\xc4" * 300)
    for octet in stream:
        link.receive_data(bytes((octet,)), 0.0)
    assert link.events() == [ApduReceived(b"\x0f"), ApduReceived(b"\xc4" * 300)]
    link.receive_data(stream, 0.0)
    assert link.events() == [ApduReceived(b"\x0f"), ApduReceived(b"\xc4" * 300)]
    link.receive_data(stream[:12], 0.0)
    link.receive_data(stream[12:], 0.0)
    assert link.events() == [ApduReceived(b"\x0f"), ApduReceived(b"\xc4" * 300)]


@pytest.mark.parametrize("octets", [answer(source=2), answer(destination=17)])
def test_wrong_ports(octets):
    link = client()
    link.send_apdu(b"\xc0", 0.0)
    link.receive_data(octets + answer(), 0.0)
    dropped, event = link.events()
    assert isinstance(dropped, FrameDropped)
    assert "wPort" in dropped.reason
    assert event == ApduReceived(b"\xc4")
    tolerant = client(check_ports=False)
    tolerant.receive_data(octets, 0.0)
    assert tolerant.events() == [ApduReceived(b"\xc4")]


@pytest.mark.parametrize("octets", [b"\x00\x02" + answer()[2:], answer(bytes(101))])
def test_stream_that_cannot_be_read_any_further(octets):
    link = client(max_length=100)
    link.receive_data(answer() + octets + answer(), 0.0)
    first, failed = link.events()
    assert first == ApduReceived(b"\xc4")
    assert isinstance(failed.error, FrameError)
    assert link.state is LinkState.DISCONNECTED
    link.receive_data(answer(), 0.0)
    assert [type(event) for event in link.events()] == [FrameDropped]


def test_limit_of_what_we_send():
    link = client(max_length=100)
    link.send_apdu(bytes(100), 0.0, expect_response=False)
    with pytest.raises(LocalProtocolError, match="101"):
        link.send_apdu(bytes(101), 0.0)


def test_timeout_over_a_stream_breaks_the_link():
    link = client()
    link.send_apdu(b"\xc0", 0.0)
    link.receive_data(answer(b"\xc4" * 50)[:20], 1.0)
    link.on_time(4.9)
    assert link.events() == []
    link.on_time(5.0)
    (failed,) = link.events()
    assert isinstance(failed.error, LinkTimeout)
    assert str(failed.error) == "no answer from server 1 within 5 s; 20 octets received, but no whole PDU"
    assert link.state is LinkState.DISCONNECTED


def test_timeout_names_pdus_for_others():
    link = client()
    link.send_apdu(b"\xc0", 0.0)
    link.receive_data(answer(source=2), 1.0)
    link.on_time(5.0)
    assert "1 PDUs for other wPorts" in str(link.events()[-1].error)


def test_datagrams_are_repeated():
    link = client(datagram=True, retries=2)
    link.send_apdu(b"\xc0", 0.0)
    first = link.data_to_send()
    link.receive_data(answer() + b"\x00", 0.0)
    assert [type(event) for event in link.events()] == [FrameDropped]
    link.receive_data(b"\x00\x02" + answer()[2:], 0.0)
    assert [type(event) for event in link.events()] == [FrameDropped]
    for turn in (1, 2):
        link.on_time(5.0 * turn)
        assert link.data_to_send() == first
    link.on_time(15.0)
    assert "after 3 tries" in str(link.events()[-1].error)


def test_each_datagram_is_taken_alone():
    link = client(datagram=True)
    link.send_apdu(b"\x01", 0.0, expect_response=False)
    link.send_apdu(b"\x02", 0.0, expect_response=False)
    assert WrapperPdu.decode(link.data_to_send()).apdu == b"\x01"
    assert WrapperPdu.decode(link.data_to_send()).apdu == b"\x02"
    assert link.data_to_send() == b""


def test_server_answers_whoever_asked():
    link = WrapperLink(Role.SERVER, source=1, destination=None)
    link.connect(0.0)
    link.events()
    with pytest.raises(LocalProtocolError):
        link.send_apdu(b"\xc4", 0.0)
    for sap in (16, 32, 16):
        link.receive_data(WrapperPdu(sap, 1, b"\xc0").encode(), 0.0)
        assert link.events() == [ApduReceived(b"\xc0")]
        assert link.destination == sap
        link.send_apdu(b"\xc4", 0.0)
        assert link.data_to_send() == WrapperPdu(1, sap, b"\xc4").encode()
    assert link.next_deadline() is None


def test_poll_waits_for_one_more():
    link = client()
    link.send_apdu(b"\xc0", 0.0)
    link.data_to_send()
    link.receive_data(answer(b"\x0f"), 1.0)
    link.poll(1.0)
    assert link.data_to_send() == b""
    assert link.next_deadline() == 6.0
    link.receive_data(answer(b"\xc4"), 2.0)
    assert link.next_deadline() is None


def test_end_of_stream():
    link = client()
    link.receive_data(answer()[:5], 0.0)
    link.end_of_stream(0.0)
    (failed,) = link.events()
    assert isinstance(failed.error, LinkLost)
    assert "middle of a PDU" in str(failed.error)
    link.end_of_stream(0.0)
    assert link.events() == []


def test_bad_ports_in_settings():
    with pytest.raises(ValueError, match="65535"):
        WrapperLink(Role.CLIENT, source=70000, destination=1)
    with pytest.raises(ValueError, match="wPort"):
        WrapperLink(Role.CLIENT, source=1, destination=None)


def test_trace():
    seen: list[tuple[str, bytes]] = []
    link = client(trace=lambda direction, octets: seen.append((direction, octets)))
    link.send_apdu(b"\xc0", 0.0)
    link.receive_data(answer(), 0.0)
    link.receive_data(answer()[:4], 0.0)
    link.receive_data(answer()[4:], 0.0)
    assert seen == [("out", WrapperPdu(16, 1, b"\xc0").encode()), ("in", answer()), ("in", answer())]


def test_a_push_in_place_of_the_answer_does_not_end_the_repetitions():
    link = WrapperLink(Role.CLIENT, source=16, destination=1, datagram=True, response_timeout=1.0, retries=2)
    link.connect(0.0)
    link.send_apdu(b"request", 0.0)
    request = link.data_to_send()
    link.receive_data(WrapperPdu(1, 16, b"push").encode(), 0.5)
    link.poll(0.5)
    assert link.data_to_send() == b""
    for now in (1.5, 2.5):
        assert link.next_deadline() == now
        link.on_time(now)
        assert link.data_to_send() == request
    link.events()
    link.on_time(3.5)
    (event,) = link.events()
    assert isinstance(event.error, LinkTimeout)
    link = WrapperLink(Role.CLIENT, source=16, destination=1, datagram=True, response_timeout=1.0, retries=2)
    link.connect(0.0)
    link.send_apdu(b"request", 0.0)
    link.receive_data(WrapperPdu(1, 16, b"answer").encode(), 0.5)
    link.send_apdu(b"unconfirmed", 1.0, expect_response=False)
    link.data_to_send(), link.data_to_send()
    link.poll(2.0)
    link.on_time(3.0)
    assert link.data_to_send() == b"", "what was answered is not asked again"
