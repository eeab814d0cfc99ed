"""What the tests of the security setup share: its names, keys to change to, and what they prove."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.codec import axdr
from cosemic.codec.axdr import Typed
from cosemic.enums import (
    ApplicationContext,
    AuthenticationMechanism,
)
from cosemic.errors import (
    AssociationRefused,
    ExceptionResponseError,
)
from cosemic.meter.connections import Talk
from cosemic.meter.demo import SCRATCH_NUMBER, SYSTEM_TITLE
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.requests import Get
from cosemic.protocol.settings import ClientSettings
from cosemic.security.certificate_store import CertificateStore
from cosemic.security.context import SecurityContext
from cosemic.security.ec import SoftwareKey
from cosemic.security.suites import KeyId
from tests.meter.bench import CLIENT_TITLE, NOW, Bench, client_context, meter_context
from tests.security.pki import Pki

SETUP, COUNTER, BROADCAST_COUNTER = "0-0:43.0.0*255", "0-0:43.1.0*255", "0-0:43.1.1*255"
MANAGER = (1, 1)
UNICAST, BROADCAST, AUTHENTICATION, MASTER = KeyId
NEW, NEWER = bytes(range(0x40, 0x50)), bytes(range(0x60, 0x70))
NEW_AUTHENTICATION = bytes(range(0x50, 0x60))
KEY_ERRORS = (AssociationRefused, ExceptionResponseError)


def setup_value(bench: Bench, attribute: int) -> Any:
    return bench.meter.execute(MANAGER, Get.one(64, SETUP, attribute)).results[0].value


def counter(bench: Bench, obis: str = COUNTER) -> int:
    with bench.client() as public:
        value = public.get(1, obis, 2)
    assert isinstance(value, int)
    return value


def key_data(*keys: tuple[int, bytes]) -> Typed:
    return axdr.array(*(axdr.structure(axdr.enum(key_id), axdr.octet_string(key)) for key_id, key in keys))


def assert_works(bench: Bench, context: SecurityContext) -> None:
    with bench.manager(context) as client:
        assert client.get(1, SCRATCH_NUMBER, 2) == 0


def assert_is_refused(bench: Bench, context: SecurityContext) -> None:
    with pytest.raises(KEY_ERRORS), bench.manager(context):
        pass


class Secured:
    """A meter of suite 1 or 2 with key pairs and a store, and everything to be issued."""

    def __init__(self, suite: int = 1) -> None:
        self.suite = suite
        self.pki = Pki.make(suite)
        length = 16 if suite == 1 else 32
        self.keys = {"encryption_key": bytes(range(length)), "authentication_key": bytes(range(0x80, 0x80 + length))}
        self.master = bytes(range(1, 1 + length))
        self.meter_key, self.client_key = SoftwareKey.generate(suite), SoftwareKey.generate(suite)
        self.store = CertificateStore([self.pki.root], server_system_title=SYSTEM_TITLE)
        for certificate in (self.pki.authority, self.pki.issue(SYSTEM_TITLE, key=self.meter_key)):
            self.store.import_certificate(certificate, at=NOW)
        self.bench = Bench(
            security=meter_context(suite=suite, kek=self.master, signing_key=self.meter_key, **self.keys),
            certificates=self.store,
        )
        self.context = client_context(suite=suite, **self.keys)

    def client(self) -> Any:
        return self.bench.manager(self.context)

    def import_client(self, **options: Any) -> None:
        self.store.import_certificate(self.pki.issue(CLIENT_TITLE, key=self.client_key, **options), at=NOW)

    def agree(self, client: Any, *key_ids: KeyId, **options: Any) -> dict[KeyId, bytes]:
        options.setdefault("signing_key", self.client_key)
        options.setdefault("peer_signing_key", self.meter_key.public)
        found: dict[KeyId, bytes] = client.agree_keys(key_ids, **options)
        return found


class Plain:
    """The manager in the plain application context: only the GMAC of passes 3 and 4 is made with the keys."""

    def __init__(self, bench: Bench, context: SecurityContext) -> None:
        self.talk = Talk(bench.meter, *MANAGER)
        self.client = ClientAssociation(
            ClientSettings(
                client_sap=1,
                mechanism=AuthenticationMechanism.HLS_GMAC,
                security=context,
                application_context=ApplicationContext.LOGICAL_NAME,
            )
        )
        self.client.associate()

    def outcome(self) -> Any:
        while apdus := self.client.apdus_to_send():
            for apdu in apdus:
                assert apdu[0] in (0x60, 0xC0, 0xC3)
                for answer in self.talk.receive(apdu):
                    self.client.receive_apdu(answer)
        return self.client.events()[-1]

    def read(self) -> Any:
        self.client.request(Get.one(1, SCRATCH_NUMBER, 2))
        return self.outcome()
