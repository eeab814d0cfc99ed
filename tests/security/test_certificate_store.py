"""The store of certificates, and the shapes that class 64 shows of it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cosemic.codec import axdr
from cosemic.enums import CertificateEntity, CertificateType
from cosemic.errors import CertificateError
from cosemic.security.certificate_store import (
    ByEntity,
    BySerial,
    CertificateStore,
    identification,
)
from cosemic.security.ec import SoftwareKey
from cosemic.security.issuing import issue_certificate
from tests.security.pki import AGREEMENT, CLIENT_TITLE, END, METER_TITLE, NOW, SIGNING, START, Pki

SERVER, CLIENT = CertificateEntity.SERVER, CertificateEntity.CLIENT
AUTHORITY = CertificateEntity.CERTIFICATION_AUTHORITY


@pytest.fixture(scope="module")
def pki() -> Pki:
    return Pki.make()


@pytest.fixture
def store(pki: Pki) -> CertificateStore:
    store = CertificateStore([pki.root], server_system_title=METER_TITLE)
    store.import_certificate(pki.authority, at=NOW)
    return store


def test_import_export_list_remove(pki: Pki, store: CertificateStore) -> None:
    meter, agreement, client = pki.issue(), pki.issue(purpose=AGREEMENT), pki.issue(CLIENT_TITLE)
    for one in (meter.der, agreement.pem(), client):
        store.import_certificate(one, at=NOW)
    assert len(store) == 5
    assert store.anchors == (pki.root,)
    assert store.export(ByEntity(SERVER, SIGNING, METER_TITLE)) == meter
    assert store.export(ByEntity(SERVER, AGREEMENT, METER_TITLE)) == agreement
    assert store.export(BySerial(client.serial_octets, client.issuer)) == client
    assert store.export(BySerial(client.serial_octets.lstrip(b"\0"), client.issuer)) == client
    for unknown in (
        ByEntity(CLIENT, AGREEMENT, CLIENT_TITLE),
        ByEntity(CLIENT, SIGNING, METER_TITLE),
        ByEntity(SERVER, SIGNING, CLIENT_TITLE),
        BySerial(client.serial_octets, pki.root.issuer),
        BySerial(b"", client.issuer),
    ):
        for call in (store.export, store.remove):
            with pytest.raises(CertificateError, match="no such certificate"):
                call(unknown)
    assert store.remove(ByEntity(SERVER, SIGNING, METER_TITLE)) == [meter]
    assert store.remove(BySerial(client.serial_octets, client.issuer)) == [client]
    assert list(store) == [pki.root, pki.authority, agreement]
    assert "2 certificates" in repr(store)


def test_what_attribute_6_shows(pki: Pki, store: CertificateStore) -> None:
    meter, client = pki.issue(serial_number=0x80), pki.issue(CLIENT_TITLE, AGREEMENT, serial_number=7)
    store.import_certificate(meter, at=NOW)
    store.import_certificate(client, at=NOW)
    shown = axdr.decode(axdr.encode(store.attribute()))
    assert isinstance(shown, list)
    assert [element[:2] for element in shown] == [(2, 3), (2, 3), (0, 0), (1, 1)]
    assert shown[2] == (0, 0, b"\x00\x80", pki.authority.subject, meter.subject, b"")
    assert shown[3] == (1, 1, b"\x07", pki.authority.subject, client.subject, b"")
    # Array of structures of two enums and four octet-strings.
    assert axdr.encode(store.attribute())[:8].hex() == "0104020616021603"


def test_the_entity_needs_to_know_the_server(pki: Pki) -> None:
    meter = pki.issue()
    assert CertificateStore([pki.root]).entity_of(meter) is CLIENT
    assert CertificateStore([pki.root], server_system_title=METER_TITLE).entity_of(meter) is SERVER
    assert CertificateStore([pki.root]).entity_of(pki.root) is AUTHORITY


@pytest.mark.parametrize(
    "which", [ByEntity(CLIENT, AGREEMENT, CLIENT_TITLE), BySerial(b"\x00\x80", b"issuer")], ids=["entity", "serial"]
)
def test_identifications_over_the_wire(which: Any) -> None:
    octets = axdr.encode(which.typed())
    assert identification(axdr.decode_typed(octets)) == which
    expected = {
        "ByEntity": "0202160002031601160109" + "08" + CLIENT_TITLE.hex(),
        "BySerial": "02021601020209020080" + "0906" + b"issuer".hex(),
    }
    assert octets.hex() == expected[type(which).__name__]


@pytest.mark.parametrize(
    "typed",
    [
        axdr.null_data(),
        axdr.structure(axdr.enum(0)),
        axdr.structure(axdr.enum(2), axdr.structure(axdr.octet_string(b""), axdr.octet_string(b""))),
        axdr.structure(axdr.enum(1), axdr.structure(axdr.octet_string(b""))),
        axdr.structure(axdr.enum(0), axdr.structure(axdr.enum(4), axdr.enum(0), axdr.octet_string(b""))),
        axdr.structure(axdr.enum(0), axdr.structure(axdr.unsigned(1), axdr.enum(0), axdr.octet_string(b""))),
        axdr.structure(axdr.unsigned(0), axdr.structure(axdr.enum(1), axdr.enum(0), axdr.octet_string(b""))),
        axdr.structure(axdr.enum(0), axdr.octet_string(b"")),
    ],
)
def test_other_shapes_are_no_identification(typed: axdr.Typed) -> None:
    with pytest.raises(CertificateError, match="no certificate identification"):
        identification(typed)


def test_only_what_is_vouched_for_comes_in(pki: Pki, store: CertificateStore) -> None:
    before = list(store)
    forger = Pki.make()
    for bad, at in (
        (forger.issue().der, NOW),
        (forger.root.der, NOW),
        (forger.authority.der, NOW),
        (pki.issue(end=NOW).der, NOW + timedelta(seconds=1)),
        (pki.issue(start=NOW).der, NOW - timedelta(seconds=1)),
        (b"", NOW),
    ):
        with pytest.raises(CertificateError):
            store.import_certificate(bad, at=at)
    assert list(store) == before
    with pytest.raises(CertificateError, match="no trust anchor"):
        CertificateStore([pki.issue()])
    with pytest.raises(CertificateError, match="leads to no trust anchor"):
        CertificateStore().import_certificate(pki.authority, at=NOW)


def test_the_same_again_and_the_same_serial_number(pki: Pki, store: CertificateStore) -> None:
    first, second = pki.issue(serial_number=9), pki.issue(serial_number=9)
    assert store.import_certificate(first, at=NOW) == store.import_certificate(first.der, at=NOW)
    assert store.import_certificate(pki.root, at=NOW) == pki.root
    with pytest.raises(CertificateError, match="serial number of another one"):
        store.import_certificate(second, at=NOW)
    assert len(store) == 3


def test_the_store_is_bounded(pki: Pki) -> None:
    store = CertificateStore([pki.authority], limit=3)
    for _ in range(2):
        store.import_certificate(pki.issue(), at=NOW)
    with pytest.raises(CertificateError, match="room for 3"):
        store.import_certificate(pki.issue(), at=NOW)


def test_anchors_and_authorities_are_not_removed_by_accident(pki: Pki, store: CertificateStore) -> None:
    with pytest.raises(CertificateError, match="trust anchor"):
        store.remove(BySerial(pki.root.serial_octets, pki.root.issuer))
    with pytest.raises(CertificateError, match="trust anchor"):
        store.remove(ByEntity(AUTHORITY, CertificateType.OTHER, bytes(8)))
    meter = store.import_certificate(pki.issue(), at=NOW)
    assert store.certificate_of(METER_TITLE, SIGNING, at=NOW) == meter
    assert store.remove(BySerial(pki.authority.serial_octets, pki.authority.issuer)) == [pki.authority]
    with pytest.raises(CertificateError, match="nobody vouches"):
        store.certificate_of(METER_TITLE, SIGNING, at=NOW)


def test_the_newest_certificate_that_holds_is_taken(pki: Pki, store: CertificateStore) -> None:
    old = pki.issue(end=NOW)
    new = pki.issue(start=START + timedelta(days=30))
    for one in (new, old):
        store.import_certificate(one, at=NOW)
    assert store.certificate_of(METER_TITLE, SIGNING, at=NOW) == new
    assert store.certificate_of(METER_TITLE.hex(), SIGNING, at=START + timedelta(days=1)) == old
    assert store.export(ByEntity(SERVER, SIGNING, METER_TITLE)) == new
    with pytest.raises(CertificateError, match="expired"):
        store.certificate_of(METER_TITLE, SIGNING, at=END + timedelta(days=1))
    with pytest.raises(CertificateError, match="no certificate of 434F530000000001 for key agreement"):
        store.certificate_of(METER_TITLE, AGREEMENT, at=NOW)
    assert store.verify(new, at=NOW, purpose=SIGNING, system_title=METER_TITLE)[-1] == pki.root


def test_a_folder_in_any_order(pki: Pki, tmp_path: Path) -> None:
    key = SoftwareKey.generate(1)
    (tmp_path / "a.pem").write_text(pki.issue().pem())
    (tmp_path / "b.DER").write_bytes(pki.authority.der)
    (tmp_path / "c.crt").write_bytes(pki.issue(CLIENT_TITLE).der)
    (tmp_path / "signing.key").write_bytes(key.private_pem())
    store = CertificateStore([pki.root])
    assert len(store.import_folder(tmp_path, at=NOW)) == 3
    assert len(store) == 4
    stray = Pki.make(name="Stray")
    (tmp_path / "d.cer").write_bytes(
        issue_certificate(
            stray.authority,
            stray.authority_key,
            purpose=SIGNING,
            system_title=METER_TITLE,
            public=key.public,
            not_before=START,
        ).der
    )
    with pytest.raises(CertificateError, match=r"d\.cer.*nobody vouches"):
        CertificateStore([pki.root]).import_folder(tmp_path, at=NOW)
    (tmp_path / "d.cer").write_bytes(b"nothing")
    with pytest.raises(CertificateError, match=r"d\.cer"):
        CertificateStore([pki.root]).import_folder(tmp_path, at=NOW)
    with pytest.raises(CertificateError, match="cannot be read"):
        CertificateStore([pki.root]).import_folder(tmp_path / "missing", at=NOW)


def test_the_judge_of_certificates_in_messages(pki: Pki, store: CertificateStore) -> None:
    moment = [NOW]
    judge = store.trust(lambda: moment[0])
    meter = pki.issue()
    assert judge(meter.der, METER_TITLE) == meter.public
    for octets, title in (
        (meter.der, CLIENT_TITLE),
        (pki.issue(purpose=AGREEMENT).der, METER_TITLE),
        (Pki.make().issue().der, METER_TITLE),
        (b"", METER_TITLE),
    ):
        with pytest.raises(CertificateError):
            judge(octets, title)
    moment[0] = END + timedelta(seconds=1)
    with pytest.raises(CertificateError, match="expired"):
        judge(meter.der, METER_TITLE)
