"""Whatever octets come in an envelope, opening them gives an APDU or an error of ours, and never anything else."""

from __future__ import annotations

from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosemic.errors import DlmsError
from cosemic.protocol.ciphering import Envelope, seal, unseal
from cosemic.protocol.redaction import Redactor
from cosemic.security.context import AssociationSecurity, SecurityPolicy
from cosemic.security.suites import GeneralKey, SigningOrder
from tests.pair.keys import context
from tests.pair.support import CLIENT_TITLE, METER_TITLE

APDU = bytes.fromhex("c001c100080000010000ff0200")
ENVELOPES = [
    *(Envelope(SecurityPolicy.AUTHENTICATED_ENCRYPTED, key=key) for key in GeneralKey),
    *(Envelope(SecurityPolicy.SIGNED, order=order) for order in SigningOrder),
    *(
        Envelope(SecurityPolicy.parse("authenticated-encrypted-signed"), key=GeneralKey.ONE_PASS, order=order)
        for order in SigningOrder
    ),
]


@cache
def sides() -> tuple[AssociationSecurity, AssociationSecurity]:
    client = AssociationSecurity(context(1, "client", minimum_policy="none"), role="client")
    meter = AssociationSecurity(context(1, "meter", minimum_policy="none"), role="server")
    client.peer_system_title, meter.peer_system_title = METER_TITLE, CLIENT_TITLE
    return client, meter


def check(octets: bytes) -> None:
    _, meter = sides()
    try:
        plain, _ = unseal(meter, octets)
    except DlmsError:
        pass
    else:
        assert plain == APDU
    Redactor().service(octets)
    Redactor().kept(octets, False)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from((0xDB, 0xDC, 0xDD, 0xDF, 0xC8, 0xD0)), st.binary(max_size=300))
def test_any_octets(tag: int, octets: bytes) -> None:
    check(bytes([tag]) + octets)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(ENVELOPES),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 600),
)
def test_altered_and_cut_messages(envelope: Envelope, changes: list[tuple[int, int]], length: int) -> None:
    client, _ = sides()
    message = bytearray(seal(client, APDU, envelope))
    for place, octet in changes:
        message[place % len(message)] = octet
    check(bytes(message))
    check(bytes(message[: max(length % len(message), 1)]))
