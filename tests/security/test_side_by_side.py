"""Two clients with one context whose messages bring their keys: each has counters of its own range."""

from __future__ import annotations

import pytest

from cosemic import blocking
from cosemic.errors import ReplayError
from cosemic.meter import demo_keys
from cosemic.meter.demo import demo_meter
from cosemic.meter.server import running
from cosemic.protocol.ciphering import Envelope, seal, unseal
from cosemic.security.context import AssociationSecurity, SecurityPolicy
from cosemic.security.counters import MemoryCounters
from cosemic.security.suites import GeneralAad, GeneralKey
from tests.pair.keys import context
from tests.pair.support import CLIENT_TITLE, METER_TITLE

APDU = bytes.fromhex("c001c100080000010000ff0200")
FRESH = [GeneralKey.WRAPPED, GeneralKey.ONE_PASS, GeneralKey.STATIC_UNIFIED]
AADS = list(GeneralAad)


@pytest.mark.parametrize("aad", AADS)
@pytest.mark.parametrize("key", FRESH)
def test_the_slower_one_is_not_behind(key: GeneralKey, aad: GeneralAad) -> None:
    ours, theirs = (
        context(1, side, counters=MemoryCounters(), general_aad=aad, minimum_policy="none")
        for side in ("client", "meter")
    )
    envelope = Envelope(SecurityPolicy.AUTHENTICATED_ENCRYPTED, key=key)
    clients = [AssociationSecurity(ours, role="client", peer_system_title=METER_TITLE) for _ in range(2)]
    meters = [AssociationSecurity(theirs, role="server", peer_system_title=CLIENT_TITLE) for _ in range(2)]
    slow, *_ = [seal(clients[0], APDU, envelope) for _ in range(3)]
    for turn in (1, 0, 0, 1, 1, 0):
        request = slow if turn == 0 and slow else seal(clients[turn], APDU, envelope)
        slow = b"" if request == slow else slow
        plain, asked = unseal(meters[turn], request)
        assert plain == APDU
        answer = seal(meters[turn], APDU, asked)
        for meter in meters:
            with pytest.raises(ReplayError):
                unseal(meter, request)
        assert unseal(clients[turn], answer)[0] == APDU
        for client in clients:
            with pytest.raises(ReplayError):
                unseal(client, answer)
    later = AssociationSecurity(theirs, role="server", peer_system_title=CLIENT_TITLE)
    with pytest.raises(ReplayError):
        unseal(later, request)


@pytest.mark.parametrize("key", FRESH)
def test_a_message_that_was_held_back_is_for_no_later_association(key: GeneralKey) -> None:
    ours, theirs = (context(1, side, counters=MemoryCounters(), minimum_policy="none") for side in ("client", "meter"))
    envelope = Envelope(SecurityPolicy.AUTHENTICATED_ENCRYPTED, key=key)
    client = AssociationSecurity(ours, role="client", peer_system_title=METER_TITLE)
    meter = AssociationSecurity(theirs, role="server", peer_system_title=CLIENT_TITLE)
    held_back, delivered = seal(client, APDU, envelope), seal(client, APDU, envelope)
    assert unseal(meter, delivered)[0] == APDU
    later = AssociationSecurity(theirs, role="server", peer_system_title=CLIENT_TITLE)
    for association in (meter, later):
        with pytest.raises(ReplayError):
            unseal(association, held_back)
    assert unseal(later, seal(client, APDU, envelope))[0] == APDU


@pytest.mark.parametrize("key", FRESH)
def test_two_clients_read_the_demo_meter_in_turns(key: GeneralKey) -> None:
    keys = demo_keys.security_context(
        1, "client", bytes.fromhex("4D4D4D0000000012"), general=key, counters=MemoryCounters()
    )
    with running(demo_meter(profile_rows=1)) as ports:
        url, options = f"tcp://127.0.0.1:{ports.wrapper}", {"client_sap": 4, "authentication": 7, "security": keys}
        with blocking.DlmsClient(url, **options) as first, blocking.DlmsClient(url, **options) as second:
            for client in (first, second, first, second, second, first):
                assert client.read_register("1-0:1.8.0").unit == "Wh"
