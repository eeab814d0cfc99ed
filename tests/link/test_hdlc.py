"""What an HDLC link does, step by step, in both roles."""

from __future__ import annotations

import itertools

import pytest

from cosemic.enums import Role
from cosemic.errors import FrameError, LinkLost, LinkTimeout, LocalProtocolError
from cosemic.link import control
from cosemic.link.events import (
    ApduReceived,
    FrameDropped,
    LinkDown,
    LinkFailed,
    LinkState,
    LinkUp,
    LocalEcho,
    UnconfirmedApduReceived,
)
from cosemic.link.frames import FrameReader, HdlcAddress, HdlcFrame
from cosemic.link.hdlc import HdlcLink, HdlcParameters, HdlcTimers
from cosemic.tolerances import DEFAULT, STRICT, Tolerance
from tests.link.line import CLIENT, SERVER, connected, pair, shuttle

TIMERS = HdlcTimers(response_timeout=5.0, inter_octet_timeout=0.5, retries=3)


def frames_of(link: HdlcLink) -> list[HdlcFrame]:
    return FrameReader().feed(link.data_to_send())


def fields(link: HdlcLink) -> list[int]:
    return [frame.control for frame in frames_of(link)]


def from_server(field: int, information: bytes = b"", segmented: bool = False) -> bytes:
    return HdlcFrame(CLIENT, SERVER, field, information, segmented).encode()


def from_client(field: int, information: bytes = b"", segmented: bool = False) -> bytes:
    return HdlcFrame(SERVER, CLIENT, field, information, segmented).encode()


def client_link(**named) -> HdlcLink:
    """A client that is connected to a meter made of octets."""
    link = HdlcLink(Role.CLIENT, destination=SERVER, source=CLIENT, timers=TIMERS, **named)
    link.connect(0.0)
    link.data_to_send()
    link.receive_data(from_server(control.UA), 0.0)
    assert isinstance(link.events()[-1], LinkUp)
    return link


def server_link(**named) -> HdlcLink:
    """A server that a client made of octets has connected to."""
    link = HdlcLink(Role.SERVER, destination=CLIENT, source=SERVER, **named)
    link.receive_data(from_client(control.SNRM), 0.0)
    assert isinstance(link.events()[-1], LinkUp)
    assert fields(link) == [control.UA]
    return link


def error_of(link: HdlcLink) -> Exception:
    failed = [event.error for event in link.events() if isinstance(event, LinkFailed)]
    assert len(failed) == 1
    assert link.state is LinkState.DISCONNECTED
    assert link.next_deadline() is None
    return failed[0]


def silence(link: HdlcLink, now: float = 0.0) -> float:
    """Let time pass until the link waits for nothing more; gives when that was."""
    for _ in range(1000):
        deadline = link.next_deadline()
        if deadline is None:
            return now
        assert deadline >= now
        now = deadline
        link.on_time(now)
    raise AssertionError("it waits for ever")


# connecting


@pytest.mark.parametrize("windows", list(itertools.product((1, 2, 3, 7), (1, 2, 7))))
@pytest.mark.parametrize("sizes", list(itertools.product((20, 128, 2030), (30, 1000))))
def test_every_size_and_window_both_ways(windows, sizes):
    client, server = connected(
        HdlcParameters(sizes[0], sizes[0], windows[0], windows[0]),
        HdlcParameters(sizes[1], sizes[1], windows[1], windows[1]),
    )
    frames: list[HdlcFrame] = []
    client.trace = lambda _, octets: frames.append(HdlcFrame.decode(octets))
    for length, answer in ((1, 2), (5000, 9), (9, 5000), (min(sizes) - 3, 2 * min(sizes) - 3), (800, 800)):
        client.send_apdu(b"\xc0" * length, 0.0)
        _, got = shuttle(client, server)
        assert got == [ApduReceived(b"\xc0" * length)]
        server.send_apdu(b"\xc4" * answer, 0.0)
        got, _ = shuttle(client, server)
        assert got == [ApduReceived(b"\xc4" * answer)]
        assert client.next_deadline() is None
    assert max(len(frame.information) for frame in frames) <= min(sizes)
    # in each direction no more than a window of I frames without the turn changing
    in_a_row = 0
    for frame in frames:
        in_a_row = in_a_row + 1 if frame.kind == "I" else 0
        assert in_a_row <= min(windows) or frame.kind != "I"
        if frame.poll_final:
            in_a_row = 0


def test_negotiation_is_told_to_both():
    client, server = pair(HdlcParameters(2030, 500, 7, 3), HdlcParameters(400, 1000, 2, 5))
    client.connect(0.0)
    told, heard = shuttle(client, server)
    assert told == [LinkUp(HdlcParameters(1000, 400, 5, 2))]
    assert heard == [LinkUp(HdlcParameters(400, 1000, 2, 5))]
    assert client.parameters == HdlcParameters(1000, 400, 5, 2)


def test_snrm_without_parameters_gives_the_defaults():
    link = HdlcLink(Role.SERVER, destination=CLIENT, source=SERVER, parameters=HdlcParameters(1000, 1000, 7, 7))
    link.receive_data(from_client(control.SNRM), 0.0)
    assert link.events() == [LinkUp(HdlcParameters())]
    (answer,) = frames_of(link)
    assert (answer.control, answer.information) == (control.UA, b"")


def test_ua_that_ignores_the_proposal():
    """A known server answers 128/128/1/1 whatever it was asked."""
    for tolerances, up in ((DEFAULT, True), (STRICT, False)):
        link = HdlcLink(
            Role.CLIENT,
            destination=SERVER,
            source=CLIENT,
            parameters=HdlcParameters(62, 62),
            tolerances=tolerances,
        )
        link.connect(0.0)
        link.receive_data(from_server(control.UA, HdlcParameters().encode()), 0.0)
        if up:
            assert link.events() == [LinkUp(HdlcParameters(62, 62))]
        else:
            assert isinstance(error_of(link), FrameError)


def test_ua_with_an_unreadable_parameter_field():
    link = HdlcLink(Role.CLIENT, destination=SERVER, source=CLIENT, parameters=HdlcParameters(500, 500, 3, 3))
    link.connect(0.0)
    link.receive_data(from_server(control.UA, b"garbage"), 0.0)
    assert link.events() == [LinkUp(HdlcParameters())]


def test_unanswered_snrm_is_tried_with_and_without_parameters():
    link = HdlcLink(Role.CLIENT, destination=HdlcAddress(1, 16), source=CLIENT, timers=TIMERS)
    link.connect(0.0)
    sent = frames_of(link)
    for turn in range(1, 4):
        assert link.next_deadline() == 5.0 * turn
        link.on_time(5.0 * turn - 0.1)
        assert link.data_to_send() == b""
        link.on_time(5.0 * turn)
        sent += frames_of(link)
    assert [bool(frame.information) for frame in sent] == [True, False, True, False]
    link.on_time(20.0)
    error = error_of(link)
    assert isinstance(error, LinkTimeout)
    assert str(error) == "no answer to SNRM from server 1/16 after 4 tries; 0 octets received"


def test_after_a_bare_snrm_the_defaults_bound_what_we_send():
    link = HdlcLink(
        Role.CLIENT, destination=SERVER, source=CLIENT, parameters=HdlcParameters(500, 500, 7, 7), timers=TIMERS
    )
    link.connect(0.0)
    link.on_time(5.0)
    link.receive_data(from_server(control.UA, HdlcParameters(500, 500, 7, 7).encode()), 5.5)
    assert link.events() == [LinkUp(HdlcParameters())]


def test_the_timeout_tells_octets_from_frames():
    link = HdlcLink(Role.CLIENT, destination=HdlcAddress(1, 16), source=CLIENT, timers=TIMERS)
    link.connect(0.0)
    link.receive_data(b"/LGZ4ZMF100AC.M23\r\n" + bytes(16), 1.0)
    silence(link)
    assert "after 4 tries; 35 octets received, but no valid frame" in str(error_of(link))
    link.connect(0.0)
    link.receive_data(HdlcFrame(HdlcAddress(1), HdlcAddress(1, 16), control.UA).encode(), 1.0)
    silence(link)
    assert "1 valid frames received, none from this server to client 16" in str(error_of(link))


def test_refusals():
    link = HdlcLink(Role.CLIENT, destination=SERVER, source=CLIENT, timers=TIMERS)
    link.connect(0.0)
    link.receive_data(from_server(control.DM), 0.0)
    error = error_of(link)
    assert isinstance(error, LinkLost)
    assert "DM" in str(error)
    link.connect(0.0)
    link.receive_data(from_server(control.FRMR, bytes.fromhex("930003")), 0.0)
    assert isinstance(error_of(link), FrameError)


def test_frmr_in_words():
    link = client_link()
    link.send_apdu(b"\xc0", 0.0)
    link.receive_data(from_server(control.FRMR, bytes.fromhex("540010")), 0.0)
    error = error_of(link)
    assert isinstance(error, FrameError)
    assert "N(S) was invalid" in str(error)
    assert "server 1/17" in str(error)


def test_dm_while_connected():
    link = client_link()
    link.send_apdu(b"\xc0", 0.0)
    link.receive_data(from_server(control.DM & ~control.POLL_FINAL), 0.0)
    assert isinstance(error_of(link), LinkLost)


def test_second_connection_on_the_same_link_starts_at_zero():
    client, server = connected()
    for _ in range(3):
        for number in range(5):
            client.send_apdu(bytes((0xC0, number)), 0.0)
            shuttle(client, server)
            server.send_apdu(bytes((0xC4, number)), 0.0)
            assert shuttle(client, server)[0] == [ApduReceived(bytes((0xC4, number)))]
        client.disconnect(0.0)
        assert shuttle(client, server) == ([LinkDown("disconnected by us")], [LinkDown("disconnected by the client")])
        client.connect(0.0)
        told, heard = shuttle(client, server)
        assert isinstance(told[0], LinkUp)
        assert isinstance(heard[0], LinkUp)
    client.send_apdu(b"\xc0", 0.0)
    assert fields(client) == [control.information(0, 0, True)]


def test_snrm_in_the_middle_closes_the_old_connection_first():
    server = server_link()
    server.receive_data(from_client(0x10, b"\xe6\xe6\x00\xc0"), 0.0)
    server.receive_data(from_client(control.SNRM), 0.0)
    assert [type(event) for event in server.events()] == [ApduReceived, LinkDown, LinkUp]
    server.data_to_send()
    server.receive_data(from_client(0x10, b"\xe6\xe6\x00\xc0\x02"), 0.0)
    assert server.events() == [ApduReceived(b"\xc0\x02")]


def test_repeated_snrm_is_answered_and_changes_nothing():
    server = server_link()
    server.receive_data(from_client(control.SNRM), 0.0)
    assert server.events() == []
    assert fields(server) == [control.UA]


# calls at the wrong moment


def test_calls_at_the_wrong_moment():
    link = HdlcLink(Role.CLIENT, destination=SERVER, source=CLIENT)
    for call in (lambda: link.send_apdu(b"\xc0", 0.0), lambda: link.poll(0.0), lambda: link.acknowledge(0.0)):
        with pytest.raises(LocalProtocolError):
            call()
    link.disconnect(0.0)
    link.connect(0.0)
    for call in (lambda: link.connect(0.0), lambda: link.send_apdu(b"\xc0", 0.0)):
        with pytest.raises(LocalProtocolError):
            call()
    link = client_link(max_apdu=100)
    with pytest.raises(LocalProtocolError, match="101"):
        link.send_apdu(bytes(101), 0.0)
    link.send_apdu(b"\xc0", 0.0)
    for call in (lambda: link.send_apdu(b"\xc0", 0.0), lambda: link.poll(0.0)):
        with pytest.raises(LocalProtocolError):
            call()
    server = HdlcLink(Role.SERVER, destination=CLIENT, source=SERVER)
    for call in (lambda: server.connect(0.0), lambda: server.send_apdu(b"\xc4", 0.0), lambda: server.poll(0.0)):
        with pytest.raises(LocalProtocolError):
            call()


# recovery, client


def test_lost_response_is_asked_for_by_poll():
    client, server = connected(timers=TIMERS)
    client.send_apdu(b"\xc0", 0.0)
    server.receive_data(client.data_to_send(), 0.0)
    server.send_apdu(b"\xc4", 0.0)
    server.data_to_send()  # lost
    server.events()
    assert client.next_deadline() == 5.0
    client.on_time(5.0)
    assert shuttle(client, server, 5.0) == ([ApduReceived(b"\xc4")], [])


def test_lost_request_is_repeated_when_the_poll_shows_it():
    client, server = connected(timers=TIMERS)
    client.send_apdu(b"\xc0", 0.0)
    client.data_to_send()  # lost
    client.on_time(5.0)
    assert shuttle(client, server, 5.0) == ([], [ApduReceived(b"\xc0")])
    server.send_apdu(b"\xc4", 5.0)
    assert shuttle(client, server, 5.0) == ([ApduReceived(b"\xc4")], [])


def test_late_response_and_its_repetition_are_one():
    client, server = connected(timers=TIMERS)
    client.send_apdu(b"\xc0", 0.0)
    server.receive_data(client.data_to_send(), 0.0)
    client.on_time(5.0)
    poll = client.data_to_send()
    server.send_apdu(b"\xc4", 5.1)
    late = server.data_to_send()
    server.receive_data(poll, 5.2)
    repeated = server.data_to_send()
    client.receive_data(late, 5.3)
    client.send_apdu(b"\xc0\x02", 5.4)
    client.receive_data(repeated, 5.5)
    assert client.events() == [ApduReceived(b"\xc4")]
    server.receive_data(client.data_to_send(), 5.6)
    assert server.events() == [ApduReceived(b"\xc0"), ApduReceived(b"\xc0\x02")]


def test_corrupt_frame_is_dropped_and_recovered():
    client, server = connected(timers=TIMERS)
    client.send_apdu(b"\xc0", 0.0)
    shuttle(client, server)
    server.send_apdu(b"\xc4" * 50, 0.0)
    octets = bytearray(server.data_to_send())
    octets[30] ^= 1
    client.receive_data(bytes(octets), 0.0)
    (dropped,) = client.events()
    assert isinstance(dropped, FrameDropped)
    assert "FCS" in dropped.reason
    client.on_time(5.0)
    assert shuttle(client, server, 5.0)[0] == [ApduReceived(b"\xc4" * 50)]


def test_one_lost_octet_never_waits_for_ever():
    client, server = connected(timers=TIMERS)
    client.send_apdu(b"\xc0", 0.0)
    shuttle(client, server)
    server.send_apdu(b"\xc4" * 50, 0.0)
    octets = server.data_to_send()
    client.receive_data(octets[:40] + octets[41:], 0.0)
    assert client.events() == []
    assert client.next_deadline() == 0.5
    client.on_time(0.5)
    (dropped,) = client.events()
    assert "octets of it are missing" in dropped.reason
    client.on_time(5.0)
    assert shuttle(client, server, 5.0)[0] == [ApduReceived(b"\xc4" * 50)]


def test_octet_by_octet_answer_puts_the_deadline_off_but_not_for_ever():
    client = client_link()
    client.send_apdu(b"\xc0", 0.0)
    client.data_to_send()
    octets = from_server(control.information(0, 1, True), b"\xe6\xe7\x00" + b"\xc4" * 60)
    now = 4.0
    for octet in octets:
        now += 0.1
        client.on_time(now)
        client.receive_data(bytes((octet,)), now)
    assert now > 5.0
    assert client.data_to_send() == b""
    assert client.events() == [ApduReceived(b"\xc4" * 60)]
    # a peer that never comes to an end is polled all the same
    client.send_apdu(b"\xc0", now)
    client.data_to_send()
    start = now
    long = HdlcFrame(CLIENT, SERVER, control.information(1, 2, True), bytes(2000)).encode()
    for octet in long:
        now += 0.4
        deadline = client.next_deadline()
        if deadline <= now:
            client.on_time(now)
            break
        client.receive_data(bytes((octet,)), now)
    assert now - start < 4 * 5.0 + 1
    assert fields(client) == [control.receive_ready(1)]


def test_request_without_any_answer():
    client = client_link()
    client.send_apdu(b"\xc0", 0.0)
    assert silence(client) == 20.0
    error = error_of(client)
    assert isinstance(error, LinkTimeout)
    assert str(error) == "no answer to the request from server 1/17 after 4 tries; 0 octets received"


def test_repetition_is_bounded():
    client = client_link()
    client.send_apdu(b"\xc0", 0.0)
    now, polls = 0.0, 0
    while client.state is LinkState.CONNECTED:
        now = client.next_deadline()
        client.on_time(now)
        polls += 1
        client.receive_data(from_server(control.receive_ready(0)), now)  # never got it
        assert polls < 20
    assert "never acknowledged the request" in str(error_of(client))


def test_slow_server_is_polled_until_it_answers():
    client = client_link()
    client.send_apdu(b"\xc0", 0.0)
    client.data_to_send()
    now = 0.0
    for _ in range(50):
        client.receive_data(from_server(control.receive_ready(1)), now)
        assert client.next_deadline() == pytest.approx(now + 0.2)
        now = client.next_deadline()
        client.on_time(now)
        assert fields(client) == [control.receive_ready(0)]
    client.receive_data(from_server(control.information(0, 1, True), b"\xe6\xe7\x00\xc4"), now)
    assert client.events() == [ApduReceived(b"\xc4")]


@pytest.mark.parametrize(("field", "text"), [(0x31, "answers polls"), (0x35, "busy (RNR)")])
def test_slow_or_busy_server_is_not_polled_for_ever(field, text):
    client = client_link()
    client.send_apdu(b"\xc0", 0.0)
    now = 0.0
    while client.state is LinkState.CONNECTED:
        client.receive_data(from_server(field), now)
        if client.next_deadline() is None:
            break
        now = client.next_deadline()
        client.on_time(now)
    assert 60.0 < now < 62.0
    assert text in str(error_of(client))


def test_busy_server_gets_nothing_until_it_is_ready():
    client = client_link()
    client.send_apdu(bytes(300), 0.0)
    assert fields(client) == [control.information(0, 0, True)]
    client.receive_data(from_server(0x35), 0.0)  # RNR, N(R) = 1: has the first segment, wants no more now
    assert client.data_to_send() == b""
    client.on_time(0.2)
    assert fields(client) == [control.receive_ready(0)]
    client.receive_data(from_server(0x35), 0.3)
    client.on_time(0.5)
    assert fields(client) == [control.receive_ready(0)]
    client.receive_data(from_server(control.receive_ready(1)), 0.6)
    assert fields(client) == [control.information(1, 0, True)]


def test_reject_repeats_from_the_number_named():
    link = client_link(parameters=HdlcParameters(128, 128, 3, 3))
    # the UA of this meter had no parameters: connect to one that has
    link.disconnect(0.0)
    link.receive_data(from_server(control.UA), 0.0)
    link.connect(0.0)
    link.data_to_send()
    link.receive_data(from_server(control.UA, HdlcParameters(128, 128, 3, 3).encode()), 0.0)
    link.send_apdu(bytes(400), 0.0)
    assert fields(link) == [0x00, 0x02, 0x14]
    link.receive_data(from_server(0x39), 0.0)  # REJ, N(R) = 1
    assert fields(link) == [0x02, 0x04, 0x16]


def test_first_frame_of_a_window_lost():
    client, server = connected(HdlcParameters(50, 50, 7, 7), HdlcParameters(50, 50, 7, 7), timers=TIMERS)
    client.send_apdu(bytes(range(200)), 0.0)
    frames = frames_of(client)
    assert len(frames) == 5
    for frame in frames[1:]:
        server.receive_data(frame.encode(), 0.0)
    assert server.events() == []
    client.receive_data(server.data_to_send(), 0.0)
    now = client.next_deadline()
    client.on_time(now)
    assert shuttle(client, server, now) == ([], [ApduReceived(bytes(range(200)))])


def test_server_frames_lost_within_a_window():
    for lost in range(5):
        client, server = connected(HdlcParameters(50, 50, 7, 7), HdlcParameters(50, 50, 7, 7), timers=TIMERS)
        client.send_apdu(b"\xc0", 0.0)
        shuttle(client, server)
        server.send_apdu(bytes(range(200)), 0.0)
        frames = frames_of(server)
        for index, frame in enumerate(frames):
            if index != lost:
                client.receive_data(frame.encode(), 0.0)
        now = 0.0
        events = client.events()
        while not events:
            events, _ = shuttle(client, server, now)
            if not events:
                now = client.next_deadline()
                client.on_time(now)
        assert events == [ApduReceived(bytes(range(200)))], f"frame {lost}"
        assert now <= 5.0


def test_receive_number_of_the_past_or_future():
    client = client_link()
    client.send_apdu(b"\xc0", 0.0)
    client.receive_data(from_server(control.receive_ready(5)), 0.0)
    assert isinstance(client.events()[0], FrameDropped)
    assert client.next_deadline() == 5.0
    strict = client_link(tolerances=STRICT)
    strict.send_apdu(b"\xc0", 0.0)
    strict.receive_data(from_server(control.receive_ready(5)), 0.0)
    assert isinstance(error_of(strict), FrameError)


def test_server_whose_numbers_never_fit_is_not_polled_for_ever():
    client = client_link()
    client.send_apdu(b"\xc0", 0.0)
    now = 0.0
    while (deadline := client.next_deadline()) is not None:
        now = deadline
        assert now < 200.0
        client.on_time(now)
        client.receive_data(from_server(control.receive_ready(5)), now)
    error = next(event.error for event in client.events() if isinstance(event, LinkFailed))
    assert isinstance(error, LinkTimeout)
    assert "moved anything on" in str(error)


def test_apdu_without_end_is_bounded():
    client = client_link(max_apdu=500)
    client.send_apdu(b"\xc0", 0.0)
    number = 0
    while client.state is LinkState.CONNECTED:
        client.receive_data(from_server(control.information(number, 1, True), bytes(128), True), 0.0)
        number = number + 1 & 7
    assert "more than 500 octets" in str(error_of(client))


def test_end_of_stream():
    client = client_link()
    client.end_of_stream(0.0)
    assert isinstance(error_of(client), LinkLost)
    client.end_of_stream(0.0)
    assert client.events() == []
    client = client_link()
    client.disconnect(0.0)
    client.end_of_stream(0.0)
    assert [type(event) for event in client.events()] == [LinkDown]


def test_disconnect_gives_up_what_is_going_on():
    client = client_link()
    client.send_apdu(b"\xc0", 0.0)
    client.data_to_send()
    client.disconnect(0.0)
    assert fields(client) == [control.DISC]
    client.receive_data(from_server(control.information(0, 1, True), b"\xe6\xe7\x00\xc4"), 0.0)
    assert [type(event) for event in client.events()] == [FrameDropped]
    assert silence(client) == 10.0
    (down,) = client.events()
    assert down.reason.startswith("no answer to DISC from server 1/17 after 2 tries")
    assert client.state is LinkState.DISCONNECTED


def test_late_dm_to_an_old_disc_does_not_refuse_the_new_connection():
    client = client_link()
    client.disconnect(0.0)
    client.on_time(5.0)
    client.receive_data(from_server(control.UA), 5.1)
    client.connect(5.2)
    client.events()
    client.receive_data(from_server(control.DM), 5.3)  # the answer to the second DISC
    assert client.state is LinkState.CONNECTING
    client.receive_data(from_server(control.DM), 5.4)
    assert isinstance(error_of(client), LinkLost)


def test_unconfirmed_request_needs_only_an_acknowledgement():
    client, server = connected(timers=TIMERS)
    client.send_apdu(b"\xc1", 0.0, expect_response=False)
    assert shuttle(client, server) == ([], [ApduReceived(b"\xc1")])
    server.acknowledge(0.0)
    shuttle(client, server)
    assert client.next_deadline() is None
    client.send_apdu(b"\xc1\x02", 0.0, expect_response=False)
    client.send_apdu(b"\xc1\x03", 0.0, expect_response=False)  # may follow at once
    shuttle(client, server)
    client.on_time(5.0)  # a server that forgot to acknowledge is polled
    _, heard = shuttle(client, server, 5.0)
    assert heard == [ApduReceived(b"\xc1\x03")]


def test_poll_fetches_what_the_server_has_queued():
    client, server = connected(timers=TIMERS)
    server.send_apdu(b"\xc2", 0.0)
    assert server.data_to_send() == b""  # it has not the turn
    client.send_apdu(b"\xc0", 0.0)
    told, heard = shuttle(client, server)
    assert told == [ApduReceived(b"\xc2")]
    assert heard == [ApduReceived(b"\xc0")]
    client.poll(0.0)
    shuttle(client, server)
    server.send_apdu(b"\xc4", 0.1)
    now = client.next_deadline()
    client.on_time(now)
    assert shuttle(client, server, now)[0] == [ApduReceived(b"\xc4")]


def test_response_timeout_can_be_changed():
    client = client_link()
    assert client.response_timeout == 5.0
    client.response_timeout = 30.0
    client.send_apdu(b"\xc0", 0.0)
    assert client.next_deadline() == 30.0


# server


def test_server_answers_only_what_is_for_it():
    server = server_link()
    for destination, source in ((HdlcAddress(1, 18), CLIENT), (SERVER, HdlcAddress(17)), (HdlcAddress(0, 0), CLIENT)):
        server.receive_data(HdlcFrame(destination, source, control.DISC).encode(), 0.0)
    server.receive_data(HdlcFrame(HdlcAddress(1, 0x7F), CLIENT, control.DISC).encode(), 0.0)
    assert server.data_to_send() == b""
    assert all(isinstance(event, FrameDropped) for event in server.events())
    assert server.state is LinkState.CONNECTED


def test_disconnected_server_answers_dm():
    server = HdlcLink(Role.SERVER, destination=CLIENT, source=SERVER)
    for octets in (from_client(0x10, b"\xe6\xe6\x00\xc0"), from_client(0x11), from_client(control.DISC)):
        server.receive_data(octets, 0.0)
        assert fields(server) == [control.DM]
    server.receive_data(from_client(0x01), 0.0)  # without P nothing is answered
    assert server.data_to_send() == b""


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (from_client(0x33), 0x01),
        (from_client(0x10, bytes(129)), 0x04),
    ],
)
def test_server_rejects_what_cannot_be(frame, reason):
    server = server_link()
    server.receive_data(frame, 0.0)
    (answer,) = frames_of(server)
    assert answer.control == control.FRMR
    assert answer.information[2] == reason
    assert [type(event) for event in server.events()] == [LinkDown]
    # it stays so until SNRM or DISC
    server.receive_data(from_client(0x11), 0.0)
    assert frames_of(server) == [answer]
    server.receive_data(from_client(control.SNRM), 0.0)
    assert fields(server) == [control.UA]
    assert [type(event) for event in server.events()] == [LinkUp]


def test_strict_server_rejects_a_wrong_receive_number():
    server = server_link(tolerances=STRICT)
    server.receive_data(from_client(control.information(0, 3, True), b"\xe6\xe6\x00\xc0"), 0.0)
    (answer,) = frames_of(server)
    assert answer.information[2] == 0x08
    assert not any(isinstance(event, ApduReceived) for event in server.events())


def test_client_that_never_acknowledges():
    """A known client library sends N(R) = 0 in every I frame."""
    server = server_link()
    for number in range(20):
        server.receive_data(from_client(control.information(number & 7, 0, True), b"\xe6\xe6\x00\xc0"), 0.0)
        assert server.events() == [ApduReceived(b"\xc0")]
        server.send_apdu(b"\xc4", 0.0)
        assert fields(server) == [control.information(number & 7, number + 1 & 7, True)]
    strict = server_link(tolerances=STRICT)
    strict.receive_data(from_client(0x10, b"\xe6\xe6\x00\xc0"), 0.0)
    strict.send_apdu(b"\xc4", 0.0)
    strict.data_to_send()
    strict.receive_data(from_client(0x12, b"\xe6\xe6\x00\xc0"), 0.0)
    assert fields(strict) == [control.FRMR]


def test_repeated_request_is_delivered_once_and_answered_again():
    server = server_link()
    octets = from_client(0x10, b"\xe6\xe6\x00\xc0")
    server.receive_data(octets, 0.0)
    server.receive_data(octets, 0.0)
    assert server.events() == [ApduReceived(b"\xc0")]
    assert server.data_to_send() == b""  # the response will answer both
    server.send_apdu(b"\xc4", 0.0)
    first = server.data_to_send()
    server.receive_data(octets, 0.0)
    assert server.data_to_send() == first
    assert server.events() == []


def test_poll_while_the_server_works_is_answered_and_costs_the_turn():
    server = server_link()
    server.receive_data(from_client(0x10, b"\xe6\xe6\x00\xc0"), 0.0)
    server.receive_data(from_client(0x11), 5.0)
    assert fields(server) == [control.receive_ready(1)]
    server.send_apdu(b"\xc4", 6.0)
    assert server.data_to_send() == b""
    server.receive_data(from_client(0x11), 6.2)
    assert fields(server) == [control.information(0, 1, True)]


def test_busy_client_gets_no_information():
    server = server_link()
    server.receive_data(from_client(0x10, b"\xe6\xe6\x00\xc0"), 0.0)
    server.send_apdu(bytes(300), 0.0)
    assert fields(server) == [control.information(0, 1, True)]
    server.receive_data(from_client(0x35), 0.0)  # RNR, N(R) = 1
    assert fields(server) == [control.receive_ready(1)]
    server.receive_data(from_client(0x31), 0.0)
    assert fields(server) == [control.information(1, 1, True)]
    server.receive_data(from_client(0x39), 0.0)  # REJ, N(R) = 1
    assert fields(server) == [control.information(1, 1, True)]


def test_inactive_client_is_disconnected():
    server = HdlcLink(Role.SERVER, destination=CLIENT, source=SERVER, timers=HdlcTimers(inactivity_timeout=120.0))
    server.receive_data(from_client(control.SNRM), 0.0)
    assert server.next_deadline() == 120.0
    server.receive_data(from_client(0x11), 100.0)
    server.on_time(120.0)
    assert server.state is LinkState.CONNECTED
    assert server.next_deadline() == 220.0
    server.on_time(220.0)
    assert server.events()[-1] == LinkDown("no frame from client 16 for 120 s")
    server.data_to_send()
    server.receive_data(from_client(0x11), 221.0)
    assert fields(server) == [control.DM]


def test_server_disconnects():
    server = server_link()
    server.receive_data(from_client(0x10, b"\xe6\xe6\x00\xc0"), 0.0)
    server.disconnect(0.0)
    assert fields(server) == [control.DM]
    assert server.events()[-1] == LinkDown("disconnected by us")


# UI frames, LLC headers, several APDUs in one frame


def test_unconfirmed_apdu_both_ways():
    client, server = connected()
    server.send_unconfirmed(b"\x0f" + bytes(500), 0.0)
    assert shuttle(client, server)[0] == [UnconfirmedApduReceived(b"\x0f" + bytes(500))]
    client.send_unconfirmed(b"\xc1", 0.0)
    assert shuttle(client, server)[1] == [UnconfirmedApduReceived(b"\xc1")]


def test_push_between_request_and_response():
    client = client_link()
    client.send_apdu(b"\xc0", 0.0)
    client.receive_data(from_server(control.UI, b"\xe6\xe7\x00\x0f\x01"), 0.0)
    client.receive_data(HdlcFrame(HdlcAddress(103, 127), SERVER, control.UI, b"\xe6\xe7\x00\x0f\x02").encode(), 0.0)
    client.receive_data(from_server(control.information(0, 1, True), b"\xe6\xe7\x00\xc4"), 0.0)
    assert client.events() == [
        UnconfirmedApduReceived(b"\x0f\x01"),
        UnconfirmedApduReceived(b"\x0f\x02"),
        ApduReceived(b"\xc4"),
    ]


def test_segmented_push_whose_end_is_lost():
    client = client_link()
    client.receive_data(from_server(control.UI, b"\xe6\xe7\x00\x0f\x01", True), 0.0)
    client.receive_data(from_server(control.UI, b"\xe6\xe7\x00\x0f\x02", True), 0.0)
    client.receive_data(from_server(control.UI, b"\x03"), 0.0)
    dropped, push = client.events()
    assert isinstance(dropped, FrameDropped)
    assert push == UnconfirmedApduReceived(b"\x0f\x02\x03")


def test_missing_llc_header():
    for tolerances, kind in ((DEFAULT, ApduReceived), (DEFAULT - {Tolerance.HDLC_MISSING_LLC}, FrameDropped)):
        client = client_link(tolerances=tolerances)
        client.send_apdu(b"\xc0", 0.0)
        client.receive_data(from_server(control.information(0, 1, True), b"\xc4\x01"), 0.0)
        assert [type(event) for event in client.events()] == [kind]


# local echo


def test_local_echo_is_told_once_and_dropped():
    client = client_link()
    client.send_apdu(b"\xc0", 0.0)
    echo = client.data_to_send()
    client.receive_data(echo + from_server(control.information(0, 1, True), b"\xe6\xe7\x00\xc4"), 0.0)
    assert client.events() == [LocalEcho(), ApduReceived(b"\xc4")]
    client.send_apdu(b"\xc0", 0.0)
    client.receive_data(client.data_to_send(), 0.0)
    assert client.events() == []
    strict = client_link(tolerances=STRICT)
    strict.send_apdu(b"\xc0", 0.0)
    strict.receive_data(strict.data_to_send(), 0.0)
    assert [type(event) for event in strict.events()] == [FrameDropped]


def test_nothing_but_echo():
    client = HdlcLink(Role.CLIENT, destination=SERVER, source=CLIENT, timers=TIMERS)
    client.connect(0.0)
    now = 0.0
    while client.state is LinkState.CONNECTING:
        client.receive_data(client.data_to_send(), now)
        now = client.next_deadline()
        client.on_time(now)
    events = client.events()
    assert events[0] == LocalEcho()
    assert "only our own frames came back (local echo)" in str(events[-1].error)


@pytest.mark.parametrize("server_address", [SERVER, HdlcAddress(16)], ids=["other address", "equal addresses"])
def test_whole_session_over_an_echoing_head(server_address):
    client, server = pair(server=server_address, timers=TIMERS)
    told: list = []

    def exchange() -> None:
        for _ in range(100):
            out = client.data_to_send()
            if out:
                client.receive_data(out, 0.0)
                server.receive_data(out, 0.0)
            back = server.data_to_send()
            if back:
                client.receive_data(back, 0.0)
            told.extend(client.events())
            if not out and not back:
                return

    client.connect(0.0)
    exchange()
    for number in range(3):
        client.send_apdu(bytes((0xC0, number)) * 200, 0.0)
        exchange()
        assert server.events()[-1] == ApduReceived(bytes((0xC0, number)) * 200)
        server.send_apdu(bytes((0xC4, number)) * 200, 0.0)
        exchange()
        assert told[-1] == ApduReceived(bytes((0xC4, number)) * 200)
    client.disconnect(0.0)
    exchange()
    assert isinstance(told[-1], LinkDown)
    assert sum(isinstance(event, LocalEcho) for event in told) == 1
    assert not any(isinstance(event, (LinkFailed, FrameDropped)) for event in told)


# addresses


def test_broadcast_and_calling_addresses_are_answered_by_the_true_one():
    for asked in (HdlcAddress(1, 0x7F), HdlcAddress(1, 0x7E), HdlcAddress(1, 0x3FFF)):
        client = HdlcLink(Role.CLIENT, destination=asked, source=CLIENT)
        client.connect(0.0)
        client.receive_data(from_server(control.UA), 0.0)
        assert isinstance(client.events()[0], LinkUp)


@pytest.mark.parametrize("server", [HdlcAddress(1), HdlcAddress(1, 17), HdlcAddress(1, 17, 4), HdlcAddress(256, 9999)])
def test_every_address_size_carries_the_longest_frames(server):
    client, peer = connected(HdlcParameters(2035, 2035, 1, 1), HdlcParameters(2035, 2035, 1, 1), server=server)
    client.send_apdu(bytes(6000), 0.0)
    assert shuttle(client, peer)[1] == [ApduReceived(bytes(6000))]


def test_trace_sees_every_frame():
    seen: list[tuple[str, bytes]] = []
    client, server = pair(trace=lambda direction, octets: seen.append((direction, octets)))
    client.connect(0.0)
    shuttle(client, server)
    assert [direction for direction, _ in seen] == ["out", "in", "out", "in"]
    assert seen[0][1] == seen[1][1]
    assert HdlcFrame.decode(seen[2][1]).kind == "UA"
