"""What ``simulate --push-to`` takes, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosemic.apdu.ciphering import unwrap_ciphered
from cosemic.cli.failing import CommandError
from cosemic.cli.simulated_pushes import PushWishes, own_port, push_agendas, push_counters, push_destination
from cosemic.cosem.push_objects import PushDestination, TransportService
from cosemic.link.wrapper import WrapperPdu
from cosemic.meter.demo import demo_meter


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("tcp://127.0.0.1:4061", PushDestination(TransportService.TCP, b"127.0.0.1:4061")),
        ("tcp://head-end", PushDestination(TransportService.TCP, b"head-end:4059")),
        ("udp://[::1]:5000/", PushDestination(TransportService.UDP, b"[::1]:5000")),
        ("hdlc://h:1", PushDestination(TransportService.HDLC, b"h:1")),
        ("mbus-tcp://h:1", PushDestination(TransportService.M_BUS, b"h:1")),
    ],
)
def test_destinations(url, expected):
    assert push_destination(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "head-end:4059",
        "tcp://",
        "http://h:1",
        "tcp://h:99999",
        "tcp://h:x",
        "tcp://h:1?a=b",
        "tcp://[::1",
        "tcp://h/x",
    ],
)
def test_other_destinations_are_refused(url):
    with pytest.raises(CommandError, match="--push-to"):
        push_destination(url)


@pytest.mark.parametrize(
    ("wishes", "says"),
    [
        (PushWishes(interval=5), "--push-every is for pushes"),
        (PushWishes(protection="none"), "--push-protection is for pushes"),
        (PushWishes(pdu_size=100), "--push-pdu-size is for pushes"),
        (PushWishes(meters=2), "--meters is for pushes"),
        (PushWishes("tcp://h:1", interval=7), "divide 60"),
        (PushWishes("tcp://h:1", interval=0), "divide 60"),
        (PushWishes("tcp://h:1", protection="secret"), "unknown security policy"),
        (PushWishes("tcp://h:1", protection="signed"), "no key to sign"),
        (PushWishes("tcp://h:1", pdu_size=5), "maximum PDU size"),
        (PushWishes(shape="flat"), "--push-shape is for pushes"),
        (PushWishes("tcp://h:1", shape="round"), "values, flat, pairs"),
        (PushWishes("tcp://h:1", meters=0), "--meters is a number"),
        (PushWishes("tcp://h:1", meters=10_001), "--meters is a number"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(wishes, says):
    with pytest.raises(CommandError, match=says):
        push_agendas(demo_meter(profile_rows=1), wishes)


@pytest.mark.parametrize(
    ("push_to", "port"),
    [(None, 4059), ("tcp://127.0.0.1:4059", 0), ("udp://[::1]", 0), ("tcp://127.0.0.1:4061", 4059), ("tcp://h", 4059)],
)
def test_the_port_that_a_listener_is_to_have_is_left_to_it(push_to, port):
    assert own_port(4059, push_to) == port


def test_without_pushes_clients_may_still_set_them_up():
    (agenda,) = push_agendas(demo_meter(profile_rows=1), None)
    assert not agenda.setups[0].options.destination.address


def test_each_meter_has_an_agenda_and_starts_at_random():
    agendas = push_agendas(demo_meter(profile_rows=1), PushWishes("tcp://h:1", interval=60, meters=3))
    assert [agenda.setups[0].options.randomisation for agenda in agendas] == [59] * 3
    assert len({device.name for agenda in agendas for device in agenda.meter.devices.values()}) == 4


def test_protected_pushes_go_on_with_their_counters_when_the_meter_is_started_anew():
    seen = []
    for _ in range(2):
        wishes = PushWishes("tcp://h:1", protection="authenticated-encrypted", meters=2)
        counters = push_counters(wishes)
        for agenda in push_agendas(demo_meter(profile_rows=1, counters=counters), wishes, counters):
            (setup,) = agenda.setups
            setup.options = replace(setup.options, randomisation=0)
            agenda.push(setup, 0.0)
            (delivery,) = agenda.deliveries()
            _, title, content = unwrap_ciphered(WrapperPdu.decode(delivery.frames[0]).apdu)
            seen.append((title, int.from_bytes(content[1:5], "big")))
            agenda.close()
    assert len(set(seen)) == 4
    assert seen[2][1] > seen[0][1]
    assert seen[3][1] > seen[1][1]
    assert push_counters(PushWishes("tcp://h:1")) is None


def test_the_command_says_what_is_wrong(cosemic):
    done = cosemic("simulate", "--push-to", "http://head-end")
    assert done.code == 2
    assert "--push-to takes tcp://HOST:PORT" in done.err
