"""Both sides of suites 0, 1 and 2 with every key that they could need; throw-away keys, made once."""

from __future__ import annotations

from functools import cache
from typing import Any

from cosemic.enums import AuthenticationMechanism
from cosemic.protocol.settings import ClientSettings, ServerSettings
from cosemic.security.context import SecurityContext
from cosemic.security.counters import MemoryCounters
from cosemic.security.ec import SoftwareKey
from tests.pair.support import CLIENT_TITLE, METER_TITLE, client_settings, server_settings

LENGTH = {0: 16, 1: 16, 2: 32}
ECDSA = AuthenticationMechanism.HLS_ECDSA


@cache
def keys_of(suite: int, side: str, purpose: str) -> SoftwareKey:
    """A private key of ``client``, ``meter`` or somebody else, for ``signing`` or ``agreement``."""
    return SoftwareKey.generate(suite)


def context(suite: int, side: str, policy: str = "authenticated-encrypted", **options: Any) -> SecurityContext:
    """The context of the client or the meter."""
    peer = "meter" if side == "client" else "client"
    options.setdefault("counters", MemoryCounters())
    options.setdefault("kek", bytes(range(1, LENGTH[suite] + 1)))
    if suite:
        options.setdefault("signing_key", keys_of(suite, side, "signing"))
        options.setdefault("agreement_key", keys_of(suite, side, "agreement"))
        options.setdefault("peer_signing_key", keys_of(suite, peer, "signing").public)
        options.setdefault("peer_agreement_key", keys_of(suite, peer, "agreement").public)
    return SecurityContext(
        suite,
        options.pop("system_title", CLIENT_TITLE if side == "client" else METER_TITLE),
        options.pop("encryption_key", bytes(range(LENGTH[suite]))),
        options.pop("authentication_key", bytes(range(0xC0, 0xC0 + LENGTH[suite]))),
        policy,
        **options,
    )


def settings(
    mechanism: AuthenticationMechanism, client: SecurityContext, meter: SecurityContext, **options: Any
) -> tuple[ClientSettings, ServerSettings]:
    """Both sides' settings."""
    return client_settings(mechanism, client, **options), server_settings(mechanism, meter, **options)
