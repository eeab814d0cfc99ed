"""The meter's side of one connection against clients that ask for more than they take."""

from __future__ import annotations

from datetime import UTC, datetime

from cosemic.apdu.acse import AssociationRequest, InitiateRequest
from cosemic.enums import ApplicationContext, Role
from cosemic.link import control
from cosemic.link.frames import HdlcAddress, HdlcFrame
from cosemic.link.hdlc import HdlcLink, HdlcParameters, HdlcTimers
from cosemic.meter.connections import MOST_AHEAD, HdlcConnection
from cosemic.meter.demo import demo_meter
from cosemic.protocol.settings import DEFAULT_CONFORMANCE

MOMENT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
CLIENT, METER = HdlcAddress(16), HdlcAddress(1, 17)
LARGE = HdlcParameters(2030, 2030, 7, 7)
PROFILE = bytes.fromhex("c001c100070100630100ff0200")


def associated() -> tuple[HdlcLink, HdlcConnection]:
    meter = HdlcConnection(demo_meter(profile_rows=2000, clock=lambda: MOMENT), parameters=LARGE, timers=HdlcTimers())
    link = HdlcLink(Role.CLIENT, destination=METER, source=CLIENT, parameters=LARGE)
    link.connect(0.0)
    initiate = InitiateRequest(None, True, None, 6, DEFAULT_CONFORMANCE, 0xFFFF).encode()
    aarq = AssociationRequest(application_context=ApplicationContext.LOGICAL_NAME, user_information=initiate)
    link.receive_data(meter.receive_data(link.data_to_send(), 0.0), 0.0)
    link.send_apdu(aarq.encode(), 0.0)
    link.receive_data(meter.receive_data(link.data_to_send(), 0.0), 0.0)
    link.events()
    return link, meter


def request(number: int, poll: bool) -> bytes:
    field = control.information(number & 7, 0, poll)
    return HdlcFrame(METER, CLIENT, field, b"\xe6\xe6\x00" + PROFILE).encode()


def test_polls_without_end_are_not_answered_without_end() -> None:
    """Each RR may have a whole window sent again: 9 octets in, 14,000 out."""
    link, meter = associated()
    link.send_apdu(PROFILE, 0.0)
    assert len(meter.receive_data(link.data_to_send(), 0.0)) > 7 * 2030
    poll = HdlcFrame(METER, CLIENT, control.receive_ready(1)).encode()
    assert not meter.is_broken
    answers = meter.receive_data(poll * 5000, 0.0)
    assert len(answers) < 2 * MOST_AHEAD
    assert meter.is_broken


def test_requests_that_never_pass_the_turn_do_not_pile_up_answers() -> None:
    """An I frame without P is a request whose answer has to wait; a client that sends nothing else is disconnected."""
    _, meter = associated()
    most = 0
    for number in range(1, 200):
        meter.receive_data(request(number, poll=False), 0.0)
        waiting = [station.link._station._sender.waiting_octets for station in meter._stations.values()]
        most = max(most, *waiting, 0)
        if not meter._stations:
            break
    else:
        raise AssertionError("the answers pile up")
    assert MOST_AHEAD < most < 3 * MOST_AHEAD
    answer = meter.receive_data(HdlcFrame(METER, CLIENT, control.receive_ready(1)).encode(), 0.0)
    assert HdlcFrame.decode(answer).control == control.DM
