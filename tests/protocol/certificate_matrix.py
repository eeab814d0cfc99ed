"""The negative matrix of certificates: one bit flipped in what a peer shows, or what a meter is to import."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from cosemic.codec import axdr
from cosemic.enums import AcseServiceUserDiagnostic, ActionResult
from cosemic.errors import ActionError, AssociationRefused, CertificateError
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.events import Associated, ClientEvent, Failed
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.states import State
from cosemic.security.certificates import Certificate
from tests.meter.keys import SETUP, Secured
from tests.pair.keys import ECDSA, settings
from tests.protocol.matrix import flipped
from tests.security.pki import CLIENT_TITLE, METER_TITLE
from tests.test_certificate_login import Login


def places(certificate: Certificate) -> dict[str, range]:
    """Where in the DER each part is."""
    der, parsed = certificate.der, certificate.parsed
    key = der.index(b"\x04" + certificate.public)
    subject = der.index(certificate.subject)
    validity = der.index(certificate.issuer) + len(certificate.issuer)
    return {
        "signature": range(len(der) - len(parsed.signature), len(der)),
        "public key": range(key, key + 1 + len(certificate.public)),
        "subject": range(subject, subject + len(certificate.subject)),
        "validity": range(validity, subject),
    }


def altered(certificate: Certificate) -> Iterator[tuple[str, int, bytes]]:
    """(part, offset, DER) with a bit flipped in every octet of each part; the bits take turns.

    The DER of a signature has no fixed length: as many octets of it as r and s have.
    """
    for part, where in places(certificate).items():
        count = len(certificate.public) if part == "signature" else len(where)
        for number in range(count):
            at = where[number * len(where) // count]
            yield part, at, flipped(certificate.der, at, number % 8)


def _open(client: Any, meter: Any) -> tuple[list[ClientEvent], ClientAssociation, ServerAssociation]:
    ours, theirs = settings(ECDSA, client, meter)
    talk = ClientAssociation(ours), ServerAssociation(theirs)
    talk[0].associate()
    while outgoing := talk[0].apdus_to_send():
        for apdu in outgoing:
            talk[1].receive_apdu(apdu)
        for apdu in talk[1].apdus_to_send():
            talk[0].receive_apdu(apdu)
    return talk[0].events(), *talk


def attack_logins(suite: int, counts: Counter[str]) -> None:
    """Certificates in the AARE and the AARQ: no association, for the reason that there is; then the good one works."""
    login = Login(suite)
    client, meter = login.security("client", CLIENT_TITLE), login.security("meter", METER_TITLE)
    for part, at, der in altered(login.certificates["meter"]):
        meter.certificate = der
        (event,), association, _ = _open(client, meter)
        assert isinstance(event, Failed), (suite, part, at)
        assert type(event.error) is CertificateError, (suite, part, at, event.error)
        assert event.fatal
        assert association.state is State.CLOSED
        counts["certificates"] += 1
    meter.certificate = login.certificates["meter"].der
    for part, at, der in altered(login.certificates["client"]):
        client.certificate = der
        (event,), _, refusing = _open(client, meter)
        assert isinstance(event, Failed), (suite, part, at)
        assert isinstance(event.error, AssociationRefused), (suite, part, at, event.error)
        assert event.error.diagnostic == AcseServiceUserDiagnostic.CALLING_AE_QUALIFIER_NOT_RECOGNIZED, (part, at)
        assert refusing.state is State.IDLE
        assert refusing.events() == []
        counts["certificates"] += 1
    client.certificate = login.certificates["client"].der
    (event,), _, _ = _open(client, meter)
    assert isinstance(event, Associated), event


def attack_imports(suite: int, counts: Counter[str]) -> None:
    """Method 6 of the security setup: an action result, and the store is as it was; then the good one goes in."""
    secured = Secured(suite)
    certificate = secured.pki.issue(CLIENT_TITLE, key=secured.client_key)
    before = list(secured.store)
    with secured.client() as client:
        for part, at, der in altered(certificate):
            with pytest.raises(ActionError) as caught:
                client.action(64, SETUP, 6, axdr.octet_string(der))
            assert caught.value.result == ActionResult.OTHER_REASON, (suite, part, at)
            assert list(secured.store) == before, (suite, part, at)
            counts["certificates"] += 1
        client.import_certificate(certificate)
    assert list(secured.store) == [*before, certificate]
