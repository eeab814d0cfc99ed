"""HLS with ECDSA where neither side knows the other's key: certificates in AARQ and AARE, judged by a store."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from cosemic.enums import ApplicationContext, AuthenticationMechanism, CertificateType
from cosemic.errors import AssociationRefused, CertificateError, SecurityError
from cosemic.meter.model import MeterAssociation, SimulatedMeter
from cosemic.meter.objects import Level
from cosemic.meter.server import MeterServer
from cosemic.protocol.settings import ServerSettings
from cosemic.security.certificate_store import CertificateStore
from cosemic.security.certificates import Certificate
from cosemic.security.counters import MemoryCounters
from cosemic.security.ec import PrivateKey, SoftwareKey
from cosemic.security.key_store import MemoryKeyStore, security_context

from .e2e.conftest import MOMENT, make_meter
from .security.pki import AGREEMENT, CLIENT_TITLE, END, METER_TITLE, NOW, SIGNING, Pki
from .test_blocking import Bench

ENERGY = "1.0.1.8.0.255"
CLIENT = 77
ECDSA = AuthenticationMechanism.HLS_ECDSA


class Login:
    """A client and a meter with a certificate each, and what each trusts."""

    def __init__(
        self, suite: int = 1, client_key: PrivateKey | None = None, meter_key: PrivateKey | None = None
    ) -> None:
        self.suite = suite
        self.pki = Pki.make(suite)
        self.keys: dict[str, PrivateKey] = {
            "client": client_key or SoftwareKey.generate(suite),
            "meter": meter_key or SoftwareKey.generate(suite),
        }
        self.certificates = {
            "client": self.pki.issue(CLIENT_TITLE, key=self.keys["client"]),
            "meter": self.pki.issue(METER_TITLE, key=self.keys["meter"]),
        }
        self.now: dict[str, datetime] = {"client": NOW, "meter": NOW}

    def security(self, side: str, title: bytes) -> Any:
        store = CertificateStore([self.pki.root])
        store.import_certificate(self.pki.authority, at=NOW)
        keys = MemoryKeyStore(
            global_unicast=bytes(range(16 * self.suite)),
            authentication=bytes(range(100, 100 + 16 * self.suite)),
            signing=self.keys[side],
        )
        return security_context(
            keys,
            self.suite,
            system_title=title,
            counters=MemoryCounters(),
            certificate=self.certificates[side].der,
            trust=store.trust(lambda: self.now[side]),
        )

    def read(self) -> object:
        meter = make_meter(5)
        settings = ServerSettings(
            client_sap=CLIENT,
            mechanism=ECDSA,
            security=self.security("meter", METER_TITLE),
            application_contexts=frozenset({ApplicationContext.LOGICAL_NAME_CIPHERED}),
        )
        meter.devices[1].associations.append(MeterAssociation(settings, Level.MANAGER, 9, protected=True))
        bench = Bench("wrapper")
        bench.server = MeterServer(SimulatedMeter(meter.devices.values(), time=lambda: MOMENT))
        security = self.security("client", CLIENT_TITLE)
        with bench.client(client_sap=CLIENT, authentication=ECDSA, security=security) as client:
            return client.get(3, ENERGY, 2)


@pytest.mark.parametrize("suite", [1, 2])
def test_both_sides_trust_a_common_authority(suite: int) -> None:
    assert isinstance(Login(suite).read(), int)


def other(purpose: CertificateType = SIGNING, title: bytes = METER_TITLE, **options: Any) -> Any:
    def make(login: Login, side: str) -> Certificate:
        own = {"client": CLIENT_TITLE, "meter": METER_TITLE}[side] if title == METER_TITLE else title
        return login.pki.issue(own, purpose, login.keys[side], **options)

    return make


def forged(login: Login, side: str) -> Certificate:
    title = {"client": CLIENT_TITLE, "meter": METER_TITLE}[side]
    return Pki.make(login.suite).issue(title, key=login.keys[side])


def of_another_key(login: Login, side: str) -> Certificate:
    return login.pki.issue({"client": CLIENT_TITLE, "meter": METER_TITLE}[side])


WRONG = {
    "of another authority": (forged, "signed by another of the same name"),
    "for key agreement": (other(AGREEMENT), "not for signing"),
    "expired": (other(end=NOW - timedelta(seconds=1)), "expired"),
    "not yet valid": (other(start=NOW + timedelta(seconds=1)), "not valid before"),
    "of another title": (other(title=bytes(7) + b"\x01"), "give the certificate of that peer"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_meter_that_shows_another_certificate(case: str) -> None:
    make, text = WRONG[case]
    login = Login()
    login.certificates["meter"] = make(login, "meter")
    with pytest.raises(CertificateError, match=text):
        login.read()


@pytest.mark.parametrize("case", WRONG)
def test_a_client_that_shows_another_certificate(case: str) -> None:
    make, _ = WRONG[case]
    login = Login()
    login.certificates["client"] = make(login, "client")
    with pytest.raises(AssociationRefused):
        login.read()


@pytest.mark.parametrize("side", ["client", "meter"])
def test_a_good_certificate_without_its_key_is_no_proof(side: str) -> None:
    login = Login()
    login.certificates[side] = of_another_key(login, side)
    with pytest.raises((SecurityError, AssociationRefused)):
        login.read()


@pytest.mark.parametrize("side, error", [("client", CertificateError), ("meter", AssociationRefused)])
def test_time_passes_for_each_side_by_itself(side: str, error: type[Exception]) -> None:
    login = Login()
    login.now[side] = END + timedelta(seconds=1)
    with pytest.raises(error):
        login.read()
