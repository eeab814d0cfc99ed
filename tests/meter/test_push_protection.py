"""Protected pushes: the policies, the suites, the layers of attribute 10; counters that never come twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cosemic.apdu.base import decode_apdu
from cosemic.apdu.general import GeneralCiphering, GeneralSigning
from cosemic.apdu.notify import DataNotification, DataNotificationConfirm
from cosemic.cosem.push_objects import OperationMethod, PushDestination
from cosemic.enums import Role
from cosemic.link.wrapper import WrapperPdu
from cosemic.meter.demo import demo_meter
from cosemic.meter.demo_pushes import demo_agenda
from cosemic.meter.push_protection import KeyKind, LayerKind, ProtectionLayer, PushSealer
from cosemic.meter.pushing import Outcome, PushAgenda
from cosemic.protocol.ciphering import Envelope, seal, unseal
from cosemic.security.context import AssociationSecurity, SecurityContext, SecurityPolicy
from cosemic.security.counters import MemoryCounters
from cosemic.security.ec import SoftwareKey
from cosemic.security.suites import GeneralKey

NOW = datetime(2026, 7, 1, 10, 0, 0, tzinfo=UTC)
TO = PushDestination(0, b"head-end:4059")
METER, CLIENT = b"COS\0\0\0\0\1", b"HES\0\0\0\0\1"
POLICIES = ["authenticated", "encrypted", "authenticated-encrypted"]


def contexts(suite, policy="authenticated-encrypted", **options):
    """The meter's and the head-end's keys."""
    length = 32 if suite == 2 else 16
    keys = {
        "suite": suite,
        "encryption_key": bytes(range(7, 7 + length)),
        "authentication_key": bytes(range(77, 77 + length)),
        "broadcast_key": bytes(range(100, 100 + length)),
        "kek": bytes(range(50, 50 + length)),
        "policy": policy,
        "minimum_policy": policy,
    }
    meter = SecurityContext(system_title=METER, counters=MemoryCounters(), **keys, **options)
    client = SecurityContext(system_title=CLIENT, peer_system_title=METER, counters=MemoryCounters(), **keys, **options)
    return meter, client


def agenda_of(sealer, layers=(), **options):
    meter = demo_meter(profile_rows=2, clock=lambda: NOW)
    (setup,) = meter.devices[1].push_setups
    setup.options = replace(setup.options, destination=TO, protection=layers, **options)
    ended = []
    return PushAgenda(meter, sealer=sealer, on_ended=ended.append), setup, ended


def pushed(agenda, setup, now=0.0):
    agenda.push(setup, now)
    (delivery,) = agenda.deliveries()
    return delivery, WrapperPdu.decode(delivery.frames[0]).apdu


def opened(client, octets, role=Role.CLIENT):
    security = AssociationSecurity(client, role=role)
    plain, envelope = unseal(security, octets, broadcast=True)
    return decode_apdu(plain), envelope


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("suite", [0, 1, 2])
def test_a_head_end_with_the_keys_opens_it(suite, policy):
    meter, client = contexts(suite, policy)
    agenda, setup, _ = agenda_of(PushSealer(meter))
    _, octets = pushed(agenda, setup)
    assert octets[0] == 0xDB
    assert octets[2:10] == METER
    apdu, envelope = opened(client, octets)
    assert isinstance(apdu, DataNotification)
    assert envelope.policy is SecurityPolicy.parse(policy)


def test_the_broadcast_key_is_named_in_the_control_octet():
    meter, client = contexts(0)
    agenda, setup, _ = agenda_of(PushSealer(meter, broadcast=True))
    _, octets = pushed(agenda, setup)
    assert octets[12] & 0x40 or octets[13] & 0x40
    apdu, envelope = opened(client, octets)
    assert isinstance(apdu, DataNotification)
    assert envelope.broadcast


def test_no_counter_comes_twice_not_even_of_attempts_and_of_an_association(sealed):
    demo = demo_meter(profile_rows=2, clock=lambda: NOW)
    agenda = demo_agenda(demo, destination=TO, protection="authenticated-encrypted")
    (setup,) = agenda.setups
    setup.options = replace(setup.options, retries=3)
    context = next(item.settings.security for item in demo.devices[1].associations if item.settings.security)
    association = AssociationSecurity(context, role=Role.SERVER, peer_system_title=CLIENT)
    agenda.push(setup, 0.0)
    for attempt in range(3):
        (delivery,) = agenda.deliveries()
        association.protect(b"\xc4\x01")
        agenda.failed(delivery, "no", 1.0 + 100 * attempt)
        agenda.on_time(100.0 + 100 * attempt)
    assert len(sealed) == 7
    assert len(set(sealed)) == 7


@pytest.mark.parametrize("kind", [LayerKind.AUTHENTICATION, LayerKind.ENCRYPTION, LayerKind.AUTHENTICATED_ENCRYPTION])
@pytest.mark.parametrize("key", [KeyKind.IDENTIFIED, KeyKind.WRAPPED])
def test_a_layer_asks_for_general_ciphering(kind, key):
    meter, client = contexts(0, "none")
    layer = ProtectionLayer(kind, b"TRANSACT", METER, CLIENT, b"", key)
    agenda, setup, _ = agenda_of(PushSealer(meter), (layer,))
    _, octets = pushed(agenda, setup)
    outer = decode_apdu(octets)
    assert isinstance(outer, GeneralCiphering)
    assert outer.recipient_system_title == CLIENT
    assert outer.transaction_id == b"TRANSACT"
    apdu, envelope = opened(client, octets)
    assert isinstance(apdu, DataNotification)
    wanted = {0: SecurityPolicy.AUTHENTICATED, 1: SecurityPolicy.ENCRYPTED, 2: SecurityPolicy.AUTHENTICATED_ENCRYPTED}
    assert envelope.policy is wanted[kind]
    assert envelope.key is (GeneralKey.WRAPPED if key is KeyKind.WRAPPED else GeneralKey.IDENTIFIED)


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("order", ["sign-first", "cipher-first", "signature-alone"])
def test_a_signature_is_a_layer(suite, order):
    meter, client = contexts(suite, "none")
    pair = SoftwareKey.generate(suite)
    meter.signing_key = pair
    client.peer_signing_key = pair.public
    signature = ProtectionLayer(LayerKind.SIGNATURE, recipient=CLIENT)
    ciphering = ProtectionLayer(recipient=CLIENT)
    layers = {
        "sign-first": (signature, ciphering),
        "cipher-first": (ciphering, signature),
        "signature-alone": (signature,),
    }[order]
    agenda, setup, _ = agenda_of(PushSealer(meter), layers)
    _, octets = pushed(agenda, setup)
    assert isinstance(decode_apdu(octets), GeneralCiphering if order == "sign-first" else GeneralSigning)
    apdu, envelope = opened(client, octets)
    assert isinstance(apdu, DataNotification)
    assert envelope.policy & SecurityPolicy.SIGNED


def test_layers_without_keys_or_without_a_recipient_give_the_push_up_and_say_why():
    layer = ProtectionLayer(recipient=CLIENT)
    agenda, setup, ended = agenda_of(None, (layer,))
    agenda.push(setup, 0.0)
    assert ended[0].reason == "the meter has no keys for the protection that is asked for"
    meter, _ = contexts(0)
    agenda, setup, ended = agenda_of(PushSealer(meter), (replace(layer, recipient=b""),))
    agenda.push(setup, 0.0)
    assert ended[0].outcome is Outcome.GIVEN_UP
    assert "system title" in ended[0].reason


def confirmed(client_policy):
    meter, client = contexts(0)
    agenda, setup, ended = agenda_of(PushSealer(meter), method=OperationMethod.CONFIRMED)
    delivery, octets = pushed(agenda, setup)
    apdu, _ = opened(client, octets)
    agenda.delivered(delivery, 0.0)
    answer = DataNotificationConfirm(apdu.long_invoke_id_and_priority).encode()
    if client_policy:
        security = AssociationSecurity(client, role=Role.CLIENT)
        answer = seal(security, answer, Envelope(SecurityPolicy.parse(client_policy), general=True))
    taken = agenda.received(delivery, WrapperPdu(103, 1, answer).encode(), 1.0)
    return taken, ended


def test_a_protected_confirmation_is_taken():
    taken, ended = confirmed("authenticated-encrypted")
    assert taken
    assert ended[0].outcome is Outcome.CONFIRMED


@pytest.mark.parametrize("policy", ["", "encrypted"])
def test_a_confirmation_with_less_protection_is_not(policy):
    taken, ended = confirmed(policy)
    assert not taken
    assert not ended


def test_unused_counters_are_given_back():
    meter, _ = contexts(0)
    sealer = PushSealer(meter)
    agenda, setup, _ = agenda_of(sealer)
    _, first = pushed(agenda, setup)
    sealer.close()
    again = PushSealer(meter)
    second = again.seal(b"\x0f" + bytes(10))
    counter = first.index(METER) + len(METER)
    start = first.index(b"\x30", counter)
    assert int.from_bytes(second[12:16], "big") == int.from_bytes(first[start + 1 : start + 5], "big") + 1
