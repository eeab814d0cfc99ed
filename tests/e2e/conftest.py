import itertools
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cosemic.meter.demo import AUTHENTICATION_KEY, ENCRYPTION_KEY, demo_meter
from cosemic.meter.model import SimulatedMeter
from cosemic.meter.server import Ports, running
from cosemic.security.context import SecurityContext
from cosemic.security.counters import MemoryCounters

MOMENT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def make_meter(rows: int = 200) -> SimulatedMeter:
    return demo_meter(profile_rows=rows, clock=lambda: MOMENT)


_numbers = itertools.count(1)


def make_security(**options: object) -> SecurityContext:
    """A client's security with a system title of its own, as two clients of one title would share their counters."""
    return SecurityContext(
        system_title=b"TST" + next(_numbers).to_bytes(5, "big"),
        encryption_key=ENCRYPTION_KEY,
        authentication_key=AUTHENTICATION_KEY,
        counters=MemoryCounters(),
        **options,
    )


CREDENTIALS = {
    "none": lambda: {"client_sap": 16},
    "lls": lambda: {"client_sap": 32, "authentication": 1, "password": "00000000"},
    "gmac": lambda: {"client_sap": 1, "authentication": 5, "security": make_security()},
    "gmac-dedicated": lambda: {
        "client_sap": 1,
        "authentication": 5,
        "security": make_security(dedicated_key=True),
    },
}


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    with running(make_meter()) as served:
        yield served


def url_of(ports: Ports, framing: str) -> str:
    scheme, port = {
        "wrapper": ("tcp", ports.wrapper),
        "hdlc": ("hdlc", ports.hdlc),
        "udp": ("udp", ports.udp),
    }[framing]
    return f"{scheme}://{ports.host}:{port}"
