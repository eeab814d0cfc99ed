"""A client that sends to all stations under the global broadcast key, and what the meter makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cosemic.codec import axdr
from cosemic.enums import AuthenticationMechanism
from cosemic.link.broadcast import ALL_STATIONS
from cosemic.meter.demo import BROADCAST_KEY, LLS_PASSWORD, SCRATCH_NUMBER
from cosemic.meter.model import MeterAssociation
from cosemic.protocol.settings import DEFAULT_CONFORMANCE, ServerSettings
from cosemic.security.context import SecurityContext
from cosemic.security.counters import MemoryCounters
from tests.meter.bench import CLIENT_TITLE, Bench, client_context, control_of, meter_context

NUMBER = (1, SCRATCH_NUMBER, 2)
NEW = bytes(range(32, 48))
CLIENT = 102


def bench(**options: object) -> Bench:
    """A meter that takes protected requests of client 102 outside any link."""
    made = Bench()
    (device,) = (item for sap, item in made.meter.devices.items() if sap == 1)
    template = next(item for item in device.associations if item.client_sap == 32)
    settings = ServerSettings(
        client_sap=CLIENT,
        pre_established=True,
        conformance=DEFAULT_CONFORMANCE,
        security=meter_context(
            minimum="authenticated-encrypted",
            broadcast_key=BROADCAST_KEY,
            peer_system_title=CLIENT_TITLE,
            **options,
        ),
    )
    association = replace(template, settings=settings, number=9, protected=False)
    assert isinstance(association, MeterAssociation)
    device.associations.append(association)
    made.meter._associations[CLIENT, 1] = association
    return made


def send(made: Bench, context: SecurityContext, value: int) -> bytes:
    with made.client(client_sap=CLIENT, server_sap=ALL_STATIONS, broadcast=True, security=context) as everybody:
        everybody.set(*NUMBER, axdr.double_long_unsigned(value))
        everybody.action(3, "0.0.128.0.2.255", 1, axdr.integer(0))
    first, second = made.sent()
    assert made.answered() == []
    assert control_of(second) == control_of(first)
    return first


def number(made: Bench) -> object:
    with made.reader() as client:
        return client.get(*NUMBER)


def broadcaster(key: bytes = BROADCAST_KEY, **options: object) -> SecurityContext:
    return client_context(broadcast_key=key, **options)


@pytest.mark.parametrize(("policy", "control"), [("authenticated-encrypted", 0x70), ("authenticated", 0x50)])
def test_requests_go_under_the_broadcast_key(policy: str, control: int) -> None:
    made = bench()
    sent = send(made, broadcaster(policy=policy), 7)
    assert control_of(sent) == control
    assert (number(made) == 7) is (policy == "authenticated-encrypted")


def test_without_the_unicast_key() -> None:
    made = bench()
    assert control_of(send(made, broadcaster(encryption_key=None), 7)) == 0x70
    assert number(made) == 7


def test_the_general_form_brings_the_system_title() -> None:
    made = bench(general=True)
    context = broadcaster(general=True)
    with made.client(client_sap=CLIENT, server_sap=ALL_STATIONS, broadcast=True, security=context) as everybody:
        everybody.set(*NUMBER, axdr.double_long_unsigned(9))
    (sent,) = made.sent()
    assert sent[0] == 0xDB
    assert sent[1:10] == b"\x08" + CLIENT_TITLE
    assert sent[11] == 0x70
    assert number(made) == 9


def test_another_broadcast_key_changes_nothing() -> None:
    made = bench()
    before = number(made)
    send(made, broadcaster(NEW), 8)
    assert number(made) == before


def test_counters_are_those_of_the_broadcast_key() -> None:
    made, counters = bench(), MemoryCounters()
    first = send(made, broadcaster(counters=counters), 1)
    with made.manager(client_context(counters=counters)) as manager:
        assert manager.get(*NUMBER) == 1
    second = send(made, broadcaster(counters=counters), 2)
    assert number(made) == 2
    assert int.from_bytes(second[3:7]) == int.from_bytes(first[3:7]) + 2


def test_no_broadcast_is_taken_twice() -> None:
    made = bench()
    sent = send(made, broadcaster(), 7)
    with made.client(client_sap=32, authentication=AuthenticationMechanism.LLS, password=LLS_PASSWORD) as client:
        client.set(*NUMBER, axdr.double_long_unsigned(0))
        made.line.connection.receive_data(_to_all(sent), 0.0)
        assert client.get(*NUMBER) == 0


def _to_all(apdu: bytes) -> bytes:
    from cosemic.link.wrapper import WrapperPdu

    return WrapperPdu(CLIENT, ALL_STATIONS, apdu).encode()


def test_without_a_broadcast_key_the_unicast_key_is_used() -> None:
    made = bench()
    assert control_of(send(made, client_context(), 7)) == 0x30
    assert number(made) == 7


def test_a_counter_is_not_asked_for() -> None:
    made = bench()
    context = broadcaster(counter_recovery="from-public-client")
    assert control_of(send(made, context, 7)) == 0x70
    assert len(made.lines) == 1
