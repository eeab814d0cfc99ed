"""Our clients read and write meters that other people wrote."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from cosemic import AuthenticationMechanism, SecurityContext, axdr, blocking, errors
from cosemic.security.counters import MemoryCounters
from tests.interop import peers

pytestmark = pytest.mark.interop

PYDLMS = "import sys; from pydlms.cli import main; main()"


@pytest.fixture(scope="module", params=["wrapper", "hdlc"])
def pydlms_meter(request: pytest.FixtureRequest) -> Iterator[str]:
    """pydlms-client's simulator; client 16 without security, 32 with LLS."""
    yield from _pydlms(request.param)


@pytest.fixture(scope="module", params=["wrapper", "hdlc"])
def pydlms_ciphered_meter(request: pytest.FixtureRequest) -> Iterator[str]:
    """The same with keys; client 1 with HLS-GMAC."""
    yield from _pydlms(request.param, "--key", peers.EK, "--auth-key", peers.AK, "--client", "1:5")


def _pydlms(framing: str, *options: str) -> Iterator[str]:
    port = _free_port()
    command = [peers.python_of("pydlms"), peers.DRIVERS / "pydlms_meter_driver.py", str(port), *options]
    if framing == "hdlc":
        command.append("--hdlc")
    process = peers.Process(*command, "--client", "16:0", "--client", "32:1:00000000")
    assert process.first_line == "ready"
    yield f"{'hdlc' if framing == 'hdlc' else 'tcp'}://127.0.0.1:{port}"
    process.close()


@pytest.fixture(scope="module")
def gurux_meter() -> Iterator[str]:
    process = peers.Process(peers.python_of("gurux"), peers.DRIVERS / "gurux_meter_driver.py")
    yield f"tcp://127.0.0.1:{int(process.first_line)}"
    process.close()


def _gmac() -> SecurityContext:
    return SecurityContext(
        suite=0,
        system_title=b"COSEMIC1",
        encryption_key=bytes.fromhex(peers.EK),
        authentication_key=bytes.fromhex(peers.AK),
        counters=MemoryCounters(),
    )
