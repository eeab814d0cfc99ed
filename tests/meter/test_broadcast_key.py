"""The global broadcast key: for unconfirmed requests, each of them once."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.codec import axdr
from cosemic.codec.axdr import Data
from cosemic.meter.demo import MASTER_KEY, SCRATCH_NUMBER, SYSTEM_TITLE
from cosemic.security.context import SecurityContext
from cosemic.security.key_wrap import wrap_key
from tests.meter.bench import CLIENT_TITLE, Bench, client_context
from tests.meter.keys import BROADCAST_COUNTER, NEW, SETUP, assert_is_refused, counter, key_data

# Broadcast


def broadcast(bench: Bench, context: SecurityContext, apdu: bytes, *, general: bool = False) -> list[bytes]:
    """Send an APDU under the broadcast key into the manager's open association; what comes back."""
    from cosemic.apdu.protected import GLO_TAG, wrap_ciphered, wrap_general
    from cosemic.security.context import AssociationSecurity

    security = AssociationSecurity(context, role="client", peer_system_title=SYSTEM_TITLE)
    content = security.protect(apdu, broadcast=True)
    sealed = wrap_general(0xDB, CLIENT_TITLE, content) if general else wrap_ciphered(GLO_TAG[apdu[0]], content)
    answers: list[bytes] = bench.line.connection._talks[1, 1].receive(sealed)
    bench.broadcast = sealed  # type: ignore[attr-defined]
    return answers


def set_number(value: int, octet: int) -> bytes:
    from cosemic.apdu.services import AttributeDescriptor, SetRequestNormal

    data = Data.of(axdr.double_long_unsigned(value))
    return SetRequestNormal(octet, AttributeDescriptor(1, SCRATCH_NUMBER, 2), None, data).encode()


CONFIRMED, UNCONFIRMED = 0xC1, 0x81


@pytest.mark.parametrize("general", [False, True])
def test_the_broadcast_key_is_for_unconfirmed_requests_only(general) -> None:
    from cosemic.meter.demo import BROADCAST_KEY

    bench = Bench()
    context = client_context(broadcast_key=BROADCAST_KEY)
    with bench.manager(context) as client:
        assert broadcast(bench, context, set_number(7, UNCONFIRMED), general=general) == []
        assert client.get(1, SCRATCH_NUMBER, 2) == 7
        assert counter(bench, BROADCAST_COUNTER) == 1
        bench.lines.pop()
        (answer,) = broadcast(bench, context, set_number(8, CONFIRMED), general=general)
        assert answer[0] == 0xD8
        assert client.get(1, SCRATCH_NUMBER, 2) == 7
        wrong = client_context(broadcast_key=NEW)
        (answer,) = broadcast(bench, wrong, set_number(9, UNCONFIRMED), general=general)
        assert answer == bytes.fromhex("d80105")
        assert client.get(1, SCRATCH_NUMBER, 2) == 7


def test_a_broadcast_is_taken_once_also_by_another_association() -> None:
    from cosemic.meter.demo import BROADCAST_KEY

    bench = Bench()
    context = client_context(broadcast_key=BROADCAST_KEY)
    with bench.manager(context) as client:
        broadcast(bench, context, set_number(7, UNCONFIRMED))
        client.set(1, SCRATCH_NUMBER, 2, axdr.double_long_unsigned(0))
        (answer,) = bench.line.connection._talks[1, 1].receive(bench.broadcast)  # type: ignore[attr-defined]
        assert answer[:3] == bytes.fromhex("d80106")
    with bench.manager(context) as client:
        (answer,) = bench.line.connection._talks[1, 1].receive(bench.broadcast)  # type: ignore[attr-defined]
        assert answer[:3] == bytes.fromhex("d80106")
        assert client.get(1, SCRATCH_NUMBER, 2) == 0


def test_a_new_broadcast_key_is_confirmed_by_a_broadcast() -> None:
    from cosemic.meter.demo import BROADCAST_KEY

    bench = Bench()
    old, new = client_context(broadcast_key=BROADCAST_KEY), client_context(broadcast_key=NEW)
    with bench.manager(old) as client:
        client.action(64, SETUP, 2, key_data((1, wrap_key(MASTER_KEY, NEW))))
        assert broadcast(bench, old, set_number(1, UNCONFIRMED)) == []
        assert client.get(1, SCRATCH_NUMBER, 2) == 1
        assert broadcast(bench, new, set_number(2, UNCONFIRMED)) == []
        assert client.get(1, SCRATCH_NUMBER, 2) == 2
        assert counter(bench, BROADCAST_COUNTER) == 1
        bench.lines.pop()
        assert broadcast(bench, old, set_number(3, UNCONFIRMED)) == [bytes.fromhex("d80105")]
        assert client.get(1, SCRATCH_NUMBER, 2) == 2


def test_nobody_associates_with_the_broadcast_key(monkeypatch) -> None:
    from cosemic.meter.demo import BROADCAST_KEY
    from cosemic.security.context import AssociationSecurity

    protect = AssociationSecurity.protect
    context = client_context(broadcast_key=BROADCAST_KEY)

    def by_broadcast(self: AssociationSecurity, apdu: bytes, **options: Any) -> bytes:
        return protect(self, apdu, **(options | {"broadcast": self.context is context}))

    monkeypatch.setattr(AssociationSecurity, "protect", by_broadcast)
    assert_is_refused(Bench(), context)
