"""gurux-dlms reads and verifies a certificate request of ours.

No more than that can be had from gurux-dlms 1.0.203: it fails on a key usage that is marked as critical, as the profile
wants it, knows no hash for P-384, and the signatures on its own requests do not verify, for OpenSSL either. OpenSSL
reads our chains and requests of both suites in ``tests/security/test_certificates.py``.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from cosemic.security.ec import SoftwareKey
from cosemic.security.issuing import certificate_request
from tests.interop.peers import DRIVERS, python_of
from tests.security.pki import METER_TITLE


@pytest.mark.interop
@pytest.mark.parametrize("damaged", [False, True])
def test_gurux_verifies_our_request(damaged: bool) -> None:
    key = SoftwareKey.generate(1)
    request = bytearray(certificate_request(key, METER_TITLE))
    request[-1] ^= damaged
    done = subprocess.run(
        [python_of("gurux"), DRIVERS / "gurux_certificate_driver.py"],
        input=json.dumps({"request": request.hex()}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert bool(done.returncode) is damaged, done.stderr[-2000:]
    if not damaged:
        answer = json.loads(done.stdout.splitlines()[-1])
        assert answer == {"public": key.public.hex(), "subject": "CN=" + METER_TITLE.hex().upper()}
