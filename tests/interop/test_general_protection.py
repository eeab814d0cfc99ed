"""Suites 1 and 2 with pydlms-client in both roles: ECDSA logins, general-ciphering with every key, signatures.

Its readings of the standard are chosen in both ways: the field's (its own default) and the standard's.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cosemic.blocking import DlmsClient
from cosemic.cli import main
from cosemic.enums import ApplicationContext, AuthenticationMechanism
from cosemic.meter import demo_keys
from cosemic.security.counters import MemoryCounters
from cosemic.security.ec import SoftwareKey
from cosemic.security.suites import GeneralAad, GeneralKey, SigningInput, SigningOrder
from tests.interop import peers

pytestmark = pytest.mark.interop

REGISTER = {"op": "get", "class": 3, "obis": "1.0.1.8.0.255", "attribute": 2}
NAME = {"op": "get", "class": 1, "obis": "0.0.42.0.0.255", "attribute": 2}
WRITE = {"op": "set", "class": 1, "obis": "0.0.128.0.0.255", "attribute": 2, "data": "0600000007"}
OBJECTS = {"op": "get", "class": 15, "obis": "0.0.40.0.0.255", "attribute": 2}

READINGS: dict[str, dict[str, Any]] = {
    "standard": {"aad": "with-header", "signing_form": "length-prefixed-content"},
    "field": {"aad": "sc-ak", "signing_form": "content"},
}
OURS: dict[str, dict[str, Any]] = {
    "standard": {},
    "field": {"general_aad": GeneralAad.WITHOUT_HEADER, "signing_input": SigningInput.CONTENT},
}
CLIENT_OF = {suite: client for client, suite in demo_keys.CLIENTS.items()}
KEYS = ("absent", "identified", "wrapped", "one-pass", "static-unified")

_titles = iter(range(1, 1 << 16))


def keys_for_pydlms(suite: int, side: str) -> dict[str, Any]:
    """The demo meter's keys as the drivers take them."""
    peer = "meter" if side == "client" else "client"
    return {
        "suite": suite,
        "client": CLIENT_OF[suite],
        "ek": demo_keys.symmetric_octets(suite, 0x00).hex(),
        "ak": demo_keys.symmetric_octets(suite, 0xD0).hex(),
        "kek": demo_keys.symmetric_octets(suite, 0x10).hex(),
        **{purpose: demo_keys.private_octets(suite, side, purpose).hex() for purpose in ("signing", "agreement")},
        **{
            f"peer_{purpose}": SoftwareKey(suite, demo_keys.private_octets(suite, peer, purpose)).public.hex()
            for purpose in ("signing", "agreement")
        },
    }


@pytest.fixture(scope="module", params=list(READINGS))
def our_meter(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    process = peers.Process(sys.executable, Path(__file__).with_name("general_meter.py"), request.param)
    yield request.param, json.loads(process.first_line)["wrapper_port"]
    process.close()


def run_pydlms(port: int, reading: str, suite: int, protection: str, key: str, *steps: dict[str, Any]) -> list[Any]:
    config = {
        **keys_for_pydlms(suite, "client"),
        **READINGS[reading],
        "port": port,
        "system_title": f"505944{next(_titles):010X}",
        "protection": protection,
        "key": key,
        "ops": steps,
    }
    done = subprocess.run(
        [peers.python_of("pydlms"), peers.DRIVERS / "pydlms_general_client_driver.py"],
        input=json.dumps(config),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert answers, f"the driver printed nothing; its errors: {done.stderr[-2000:]}"
    assert all("error" not in answer for answer in answers), answers
    assert len(answers) == len(steps) + 1
    return [answer["value"] for answer in answers[:-1]]


@pytest.mark.parametrize("suite", [1, 2])
def test_pydlms_logs_in_at_our_meter_with_ecdsa(our_meter: tuple[str, int], suite: int) -> None:
    reading, port = our_meter
    for protection in ("plain", "glo", "general-glo"):
        (name,) = run_pydlms(port, reading, suite, protection, "none", NAME)
        assert bytes.fromhex(name) == b"COS0000000000001"


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("key", KEYS)
def test_pydlms_reads_our_meter_under_general_ciphering(our_meter: tuple[str, int], suite: int, key: str) -> None:
    reading, port = our_meter
    name, register, again, _ = run_pydlms(
        port, reading, suite, "general-ciphering", key, NAME, REGISTER, REGISTER, WRITE
    )
    assert bytes.fromhex(name) == b"COS0000000000001"
    assert isinstance(register, int)
    assert again >= register


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize(
    "protection, key",
    [
        ("general-signing", "none"),
        ("glo+signing", "none"),
        *(("general-ciphering+signing", key) for key in ("identified", "wrapped", "one-pass", "static-unified")),
    ],
)
def test_pydlms_signs_and_checks_our_signatures(
    our_meter: tuple[str, int], suite: int, protection: str, key: str
) -> None:
    reading, port = our_meter
    name, _, objects = run_pydlms(port, reading, suite, protection, key, NAME, WRITE, OBJECTS)
    assert bytes.fromhex(name) == b"COS0000000000001"
    assert len(objects) > 30


@pytest.mark.parametrize("tries", [6])
def test_gurux_logs_in_at_our_meter_with_ecdsa(our_meter: tuple[str, int], tries: int) -> None:
    """Our meter judges signatures of its own code for the curve. Suite 1 only: its signing has no branch for P-384."""
    keys = keys_for_pydlms(1, "client")
    steps = [NAME, REGISTER]
    for _ in range(tries):
        name, register, closed = peers.run_client(
            "gurux",
            our_meter[1],
            "wrapper",
            "ecdsa",
            steps,
            client=CLIENT_OF[1],
            ek=keys["ek"],
            ak=keys["ak"],
            system_title=f"475258{next(_titles):010X}",
            signing=keys["signing"],
            peer_signing=keys["peer_signing"],
        )
        assert bytes.fromhex(name["value"]) == b"COS0000000000001"
        assert isinstance(register["value"], int)
        assert closed == {"value": "closed"}


# Our client and its meter


@pytest.fixture(scope="module", params=[(suite, reading) for suite in (1, 2) for reading in READINGS], ids=str)
def their_meter(request: pytest.FixtureRequest) -> Iterator[tuple[int, str, int]]:
    suite, reading = request.param
    config = keys_for_pydlms(suite, "meter") | READINGS[reading] | {"system_title": "5059440000000001"}
    process = peers.Process(
        peers.python_of("pydlms"), peers.DRIVERS / "pydlms_general_meter_driver.py", json.dumps(config)
    )
    yield suite, reading, int(process.first_line)
    process.close()


def our_client(their_meter: tuple[int, str, int], policy: str, **options: Any) -> DlmsClient:
    suite, reading, port = their_meter
    security = demo_keys.security_context(
        suite,
        "client",
        bytes.fromhex(f"434F53{next(_titles):010X}"),
        policy=policy,
        counters=MemoryCounters(),
        allow_counter_from_meter=True,  # theirs has one counter for all titles
        **OURS[reading],
        **options,
    )
    return DlmsClient(
        f"tcp://127.0.0.1:{port}",
        client_sap=CLIENT_OF[suite],
        authentication=AuthenticationMechanism.HLS_ECDSA,
        security=security,
        timeout=10,
    )


@pytest.mark.parametrize("general", [False, True, *GeneralKey])
def test_our_client_reads_their_meter(their_meter: tuple[int, str, int], general: bool | GeneralKey) -> None:
    with our_client(their_meter, "authenticated-encrypted", general=general) as client:
        for _ in range(2):
            assert client.get(3, "1-0:1.8.0", 2) == 12345678
        assert client.get(1, "0-0:42.0.0", 2) == b"PYD1000000000001"


@pytest.mark.parametrize("general", [False, GeneralKey.IDENTIFIED, GeneralKey.ONE_PASS, GeneralKey.STATIC_UNIFIED])
def test_our_signatures_and_theirs(their_meter: tuple[int, str, int], general: bool | GeneralKey) -> None:
    policy = "authenticated-encrypted-signed"
    with our_client(their_meter, policy, general=general, signing_order=SigningOrder.CIPHER_FIRST) as client:
        for _ in range(3):
            assert client.get(3, "1-0:1.8.0", 2) == 12345678


def test_the_command_reads_their_meter(
    their_meter: tuple[int, str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    suite, reading, port = their_meter
    monkeypatch.setenv("COSEMIC_STATE", str(tmp_path))
    keys = keys_for_pydlms(suite, "client")
    code = main(
        [
            *("read", f"tcp://127.0.0.1:{port}", "3/1-0:1.8.0/2", "--auth", "ecdsa", "--suite", str(suite)),
            *("--client", str(CLIENT_OF[suite]), "--ek", keys["ek"], "--ak", keys["ak"], "--reading", reading),
            *("--policy", "authenticated-encrypted-signed" if reading == "field" else "authenticated-encrypted"),
            *("--signing-key", keys["signing"], "--peer-signing-key", keys["peer_signing"]),
            *("--agreement-key", keys["agreement"], "--peer-agreement-key", keys["peer_agreement"]),
            *("--general", "one-pass", "--allow-counter-from-meter"),
            *("--system-title", f"434F53{next(_titles):010X}"),
        ]
    )
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert "12345678" in shown.out


def test_the_application_context_is_that_of_ciphering(their_meter: tuple[int, str, int]) -> None:
    with our_client(their_meter, "authenticated-encrypted") as client:
        parameters = client.association
        assert parameters is not None
        assert parameters.application_context == ApplicationContext.LOGICAL_NAME_CIPHERED
