"""The security setup with other people's software: their clients change our meter's keys, policy and certificates."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cosemic.enums import CertificateType
from cosemic.meter.demo import MASTER_KEY, SYSTEM_TITLE, demo_meter
from cosemic.meter.server import Ports, running
from cosemic.security.certificate_store import CertificateStore
from cosemic.security.context import SecurityContext
from cosemic.security.counters import MemoryCounters
from cosemic.security.ec import SoftwareKey
from cosemic.security.issuing import issue_certificate
from tests.interop import peers
from tests.security.pki import Pki

pytestmark = pytest.mark.interop

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
TITLE = "5055520000001234"
NEW, NEWER = bytes(range(0x40, 0x50)).hex(), bytes(range(0x60, 0x70)).hex()
SETUP = {"class": 64, "obis": "0.0.43.0.0.255"}
NUMBER = {"op": "get", "class": 1, "obis": "0.0.128.0.0.255", "attribute": 2}
CLOSED, CONNECT = {"op": "close"}, {"op": "connect"}


def port_of(ports: Ports, framing: str) -> int:
    return ports.wrapper if framing == "wrapper" else ports.hdlc


def run(library: str, config: dict[str, Any], *steps: dict[str, Any]) -> list[Any]:
    """The value or the error of each step."""
    done = subprocess.run(
        [peers.python_of(library), peers.DRIVERS / f"{library}_security_setup_driver.py"],
        input=json.dumps(config | {"ops": steps}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(answers) >= len(steps), done.stderr[-2000:] + done.stdout[-2000:]
    return [answer.get("value", answer.get("error")) for answer in answers]


def get(attribute: int) -> dict[str, Any]:
    return {"op": "get", **SETUP, "attribute": attribute}


# pydlms-client


def pydlms(port: int, framing: str, **more: Any) -> dict[str, Any]:
    keys = {"encryption_key": peers.EK, "authentication_key": peers.AK, "master_key": MASTER_KEY.hex()}
    return {"port": port, "framing": framing, "system_title": TITLE, "suite": 0, "keys": keys} | more


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
@pytest.mark.parametrize(
    "numbers", [(0,), (2,), (0, 2), (0, 1, 2)], ids=lambda numbers: "keys-" + "-".join(map(str, numbers))
)
def test_pydlms_transfers_keys_and_goes_on_with_them(framing, numbers) -> None:
    meter = demo_meter(profile_rows=1)
    keys = {str(number): bytes(range(16 * number + 1, 16 * number + 17)).hex() for number in numbers}
    old = {"op": "connect", "keys": {"encryption_key": peers.EK, "authentication_key": peers.AK}}
    with running(meter) as ports:
        answers = run(
            "pydlms",
            pydlms(port_of(ports, framing), framing),
            CONNECT,
            {"op": "transfer", "keys": keys},
            NUMBER,  # still under the old keys
            CLOSED,
            old,  # they are valid as long as nobody used the new ones
            NUMBER,
            CONNECT,
            NUMBER,
            CLOSED,
            old,
        )
    assert answers[:9] == ["connected", "taken", 0, "closed", "connected", 0, "connected", 0, "closed"]
    assert "Exception" in answers[9] or "Error" in answers[9], "the old keys ended with the first use of the new ones"


def test_pydlms_with_a_wrong_master_key_changes_nothing() -> None:
    meter = demo_meter(profile_rows=1)
    with running(meter) as ports:
        answers = run(
            "pydlms",
            pydlms(ports.wrapper, "wrapper"),
            {"op": "connect", "keys": {"master_key": NEW}},
            {"op": "transfer", "keys": {"0": NEWER}, "use": False},
            NUMBER,
            CONNECT,
            NUMBER,
        )
    assert "OTHER_REASON" in answers[1].upper() or "250" in answers[1], answers[1]
    assert answers[2:] == [0, "connected", 0]


@pytest.mark.parametrize("version", [0, 1])
def test_pydlms_activates_a_policy(version) -> None:
    security = SecurityContext(0, SYSTEM_TITLE, peers.EK, peers.AK, "none", MemoryCounters(), minimum_policy="none")
    meter = demo_meter(profile_rows=1, security=security, security_setup_version=version)
    weak, strict = (1, 3) if version == 0 else (0x24, 0x6C)
    with running(meter) as ports:
        answers = run(
            "pydlms",
            pydlms(ports.wrapper, "wrapper"),
            {"op": "connect", "policy": "AUTHENTICATED"},
            {"op": "activate", "policy": weak, "version": version},
            get(2),
            NUMBER,
            {"op": "activate", "policy": strict, "version": version},
            NUMBER,  # authenticated only: refused from now on
            CONNECT,
            NUMBER,
            {"op": "activate", "policy": weak, "version": version},
            get(2),
        )
    assert answers[:5] == ["connected", "activated", weak, 0, "activated"]
    assert "rror" in str(answers[5]), answers[5]
    assert answers[6:8] == ["connected", 0]
    assert "rror" in str(answers[8])
    assert answers[9] == strict


class Secured:
    """A meter of suite 1 or 2 whose certificates and keys pydlms-client knows."""

    def __init__(self, suite: int) -> None:
        self.suite = suite
        self.pki = Pki.make(suite)
        self.meter_key, self.client_key = SoftwareKey.generate(suite), SoftwareKey.generate(suite)
        self.store = CertificateStore([self.pki.root], server_system_title=SYSTEM_TITLE)
        self.client_certificate = self.pki.issue(bytes.fromhex(TITLE), key=self.client_key)
        for certificate in (self.pki.authority, self.pki.issue(SYSTEM_TITLE, key=self.meter_key)):
            self.store.import_certificate(certificate, at=NOW)
        length = 16 if suite == 1 else 32
        self.keys = {
            "encryption_key": bytes(range(length)).hex(),
            "authentication_key": bytes(range(0x80, 0x80 + length)).hex(),
        }
        self.master = bytes(range(1, 1 + length)).hex()

    @contextmanager
    def running(self) -> Iterator[Ports]:
        security = SecurityContext(
            self.suite,
            SYSTEM_TITLE,
            policy="none",
            counters=MemoryCounters(),
            minimum_policy="none",
            kek=self.master,
            signing_key=self.meter_key,
            **self.keys,
        )
        meter = demo_meter(
            profile_rows=1,
            clock=lambda: NOW,
            security=security,
            certificates=self.store,
        )
        with running(meter) as ports:
            yield ports

    def config(self, ports: Ports) -> dict[str, Any]:
        keys = self.keys | {"master_key": self.master}
        signing = self.client_key.private_pem().decode()
        peer = self.meter_key.public.hex()
        return pydlms(ports.wrapper, "wrapper", suite=self.suite, keys=keys, signing=signing, peer=peer)


@pytest.mark.parametrize("suite", [1, 2])
def test_pydlms_agrees_on_keys_and_goes_on_with_them(suite) -> None:
    secured = Secured(suite)
    with secured.running() as ports:
        answers = run(
            "pydlms",
            secured.config(ports),
            CONNECT,
            {"op": "agree", "keys": [0, 2]},  # the meter cannot know who signed
            {"op": "import", "certificate": secured.client_certificate.der.hex()},
            {"op": "agree", "keys": [0, 1, 2]},
            NUMBER,
            CONNECT,
            NUMBER,
            {"op": "agree", "keys": [0]},
            CONNECT,
            {"op": "connect", "keys": secured.keys},
        )
    assert "rror" in answers[1]
    assert answers[2] == "imported"
    assert set(answers[3]) == {"0", "1", "2"}
    assert answers[4:7] == [0, "connected", 0]
    assert answers[8] == "connected"
    assert "rror" in answers[9] or "Exception" in answers[9]


@pytest.mark.parametrize("suite", [1, 2])
def test_pydlms_transfers_keys_of_every_suite(suite) -> None:
    secured = Secured(suite)
    length = len(secured.master) // 2
    keys = {str(number): bytes(range(number + 7, number + 7 + length)).hex() for number in (0, 1, 2, 3)}
    with secured.running() as ports:
        answers = run(
            "pydlms",
            secured.config(ports),
            CONNECT,
            {"op": "transfer", "keys": keys},
            CONNECT,
            NUMBER,
            {"op": "transfer", "keys": {"0": keys["2"]}},  # wrapped with the new master key
            CONNECT,
            NUMBER,
        )
    assert answers == ["connected", "taken", "connected", 0, "taken", "connected", 0]


@pytest.mark.parametrize("suite", [1, 2])
def test_pydlms_manages_our_certificates(suite) -> None:
    secured = Secured(suite)
    certificate = secured.client_certificate
    by_entity = {"entity": 1, "type": 0, "title": TITLE}
    by_serial = {"serial": certificate.serial_octets.hex(), "issuer": certificate.issuer.hex()}
    expired = secured.pki.issue(bytes.fromhex(TITLE), end=NOW - timedelta(days=1))
    with secured.running() as ports:
        config = secured.config(ports)
        answers = run(
            "pydlms",
            config,
            CONNECT,
            {"op": "import", "certificate": certificate.der.hex()},
            {"op": "import", "certificate": expired.der.hex()},
            get(6),
            {"op": "export", **by_entity},
            {"op": "export", **by_serial},
            {"op": "remove", **by_serial},
            {"op": "export", **by_entity},
            {"op": "request", "type": 0},
            {"op": "generate", "type": 0},
            {"op": "request", "type": 0},
        )
        exported = {"title": TITLE, "public": certificate.public.hex()}
        assert answers[1] == "imported"
        assert "rror" in answers[2]
        assert len(answers[3]) == 4
        assert answers[3][-1][2] == certificate.serial_octets.hex()
        assert answers[4:7] == [exported, exported, "removed"]
        assert "rror" in answers[7]
        title = f"CN={SYSTEM_TITLE.hex().upper()}"
        assert answers[8] == {"public": secured.meter_key.public.hex(), "subject": title}
        assert answers[10]["public"] != secured.meter_key.public.hex()
        assert answers[10]["subject"] == title
        own = issue_certificate(
            secured.pki.authority,
            secured.pki.authority_key,
            purpose=CertificateType.DIGITAL_SIGNATURE,
            system_title=SYSTEM_TITLE,
            public=bytes.fromhex(answers[10]["public"]),
            not_before=NOW - timedelta(days=1),
            not_after=NOW + timedelta(days=1),
        )
        more = run(
            "pydlms",
            config | {"system_title": "5055520000001235"},
            CONNECT,
            {"op": "import", "certificate": own.der.hex()},
            {"op": "export", "entity": 0, "type": 0, "title": SYSTEM_TITLE.hex()},
        )
    assert more[1:] == ["imported", {"title": SYSTEM_TITLE.hex(), "public": own.public.hex()}]


# gurux-dlms


_titles = itertools.count(0x100)


def gurux(port: int, framing: str, **more: Any) -> dict[str, Any]:
    return {
        "port": port,
        "framing": framing,
        "auth": "gmac",
        "client": 1,
        "server": 1,
        "ek": peers.EK,
        "ak": peers.AK,
        "system_title": f"475258{next(_titles):010X}",
    } | more


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
def test_gurux_transfers_keys_and_goes_on_with_them(framing) -> None:
    meter = demo_meter(profile_rows=1)
    kek = MASTER_KEY.hex()
    with running(meter) as ports:
        answers = run(
            "gurux",
            gurux(port_of(ports, framing), framing),
            NUMBER,
            {"op": "transfer", "keys": {"0": NEW, "2": NEWER}, "kek": kek},
            NUMBER,
            {"op": "connect", "config": {"ek": NEW, "ak": NEWER}},
            NUMBER,
            {"op": "transfer", "keys": {"0": NEWER}, "kek": NEW},  # a wrong master key
            NUMBER,
            {"op": "connect", "config": {"ek": peers.EK, "ak": peers.AK, "counter": 100}},
        )
    assert answers[:6] == ["connected", 0, "taken", 0, "connected", 0]
    assert "250" in answers[6]
    assert answers[7] == 0
    assert "rror" in answers[8] or "Exception" in answers[8]


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
def test_gurux_activates_a_policy(framing) -> None:
    meter = demo_meter(profile_rows=1)
    with running(meter) as ports:
        answers = run(
            "gurux",
            gurux(port_of(ports, framing), framing),
            get(2),
            {"op": "activate", "policy": 3},
            get(2),
            {"op": "activate", "policy": 1},
            get(2),
            get(3),
            get(5),
        )
    assert answers[:4] == ["connected", 0, "activated", 3]
    assert "250" in answers[4]
    assert answers[5:8] == [3, 0, SYSTEM_TITLE.hex()]
