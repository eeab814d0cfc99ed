"""Two sides of one association with the same keys, for the tests of this folder."""

from __future__ import annotations

from typing import Any

from cosemic.security.context import AssociationSecurity, SecurityContext
from cosemic.security.counters import MemoryCounters

CLIENT_TITLE = bytes.fromhex("434F534300000010")
METER_TITLE = bytes.fromhex("434F530000000001")
KEYS: dict[int, dict[str, bytes]] = {
    0: {"encryption_key": bytes(range(16)), "authentication_key": bytes(range(0xD0, 0xE0))},
    1: {"encryption_key": bytes(range(1, 17)), "authentication_key": bytes(range(0x30, 0x40))},
    2: {"encryption_key": bytes(range(32)), "authentication_key": bytes(range(0x80, 0xA0))},
}
APDU = bytes.fromhex("c001c100080000010000ff0200")


def context(title: bytes, *, suite: int = 0, **options: Any) -> SecurityContext:
    options.setdefault("counters", MemoryCounters())
    return SecurityContext(suite, title, **{**KEYS[suite], **options})


def pair(suite: int = 0, **options: Any) -> tuple[AssociationSecurity, AssociationSecurity]:
    """(client, meter) that know each other's titles."""
    client = AssociationSecurity(
        context(CLIENT_TITLE, suite=suite, **options), role="client", peer_system_title=METER_TITLE
    )
    meter = AssociationSecurity(
        context(METER_TITLE, suite=suite, **options), role="server", peer_system_title=CLIENT_TITLE
    )
    return client, meter
