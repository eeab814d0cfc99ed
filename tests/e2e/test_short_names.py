"""Both clients against the simulated meter by short names, over real sockets and in memory."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cosemic import axdr, blocking, errors
from cosemic.cli import main
from cosemic.client import DlmsClient
from cosemic.cosem.access import MeterCache
from cosemic.enums import Referencing
from cosemic.link.wrapper import WrapperPdu
from cosemic.meter.connections import WrapperConnection
from cosemic.meter.short_names import information_report
from cosemic.obis import ObisCode
from cosemic.protocol.client_association import ClientAssociation
from cosemic.protocol.events import Associated, Notified
from cosemic.protocol.server_association import ServerAssociation
from cosemic.protocol.settings import ClientSettings
from cosemic.transports.sockets import SocketStream
from tests.test_client import Bench

from .conftest import MOMENT, make_meter, make_security, url_of

ENERGY = "1.0.1.8.0.255"
CREDENTIALS: dict[str, Callable[[], dict[str, Any]]] = {
    "none": lambda: {"client_sap": 18},
    "lls": lambda: {"client_sap": 34, "authentication": 1, "password": "00000000"},
    "gmac": lambda: {"client_sap": 3, "authentication": 5, "security": make_security()},
    "gmac-dedicated": lambda: {"client_sap": 3, "authentication": 5, "security": make_security(dedicated_key=True)},
    "small-pdu": lambda: {"client_sap": 18, "max_pdu_size": 64},
}


def reads(trace: list[tuple[str, str, bytes]]) -> list[bytes]:
    return [octets for layer, direction, octets in trace if (layer, direction) == ("apdu", "out") and octets[0] == 5]


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
@pytest.mark.parametrize("credentials", CREDENTIALS)
def test_blocking_client(ports, framing: str, credentials: str) -> None:
    options = CREDENTIALS[credentials]()
    with blocking.DlmsClient(url_of(ports, framing), referencing="sn", timeout=20, **options) as meter:
        raw = meter.get(3, ENERGY, 2)
        assert isinstance(raw, int)
        assert (meter.read_register(ENERGY).raw, meter.read_register(ENERGY).unit) == (raw, "Wh")
        results = list(meter.get_list([(3, ENERGY, 2), (3, "1.0.99.99.99.255", 2), (8, "0.0.1.0.0.255", 2)]))
        assert results[0].value == raw
        assert isinstance(results[1].error, errors.ObjectUndefined)
        assert results[2].error is None
        meter.set(1, "0.0.128.0.0.255", 2, axdr.double_long_unsigned(4711))
        assert meter.get(1, "0.0.128.0.0.255", 2) == 4711
        long_text = bytes(range(256)) * 250
        meter.set(1, "0.0.128.0.1.255", 2, axdr.octet_string(long_text))
        assert meter.get(1, "0.0.128.0.1.255", 2) == long_text
        meter.set(3, "0.0.128.0.2.255", 2, axdr.double_long_unsigned(5))
        assert meter.action(3, "0.0.128.0.2.255", 1, axdr.integer(0)) is None
        assert meter.get(3, "0.0.128.0.2.255", 2) == 0
        assert meter.read_clock() == MOMENT
        profile = meter.read_profile("1.0.99.1.0.255", last=5)
        assert len(profile.rows) == 5
        end = profile.rows[-1][0]
        some = meter.read_profile("1.0.99.1.0.255", start=end - timedelta(hours=1), end=end)
        assert some.rows[-1] == profile.rows[-1]
        assert len(some.rows) == 5
        assert len(meter.read_profile("1.0.99.1.0.255").rows) == 200
        objects = {(entry.class_id, entry.obis.dotted): entry for entry in meter.objects()}
        assert objects[3, ENERGY].base_name is not None
        assert (12, "0.0.40.0.0.255") in objects
        assert not any(class_id == 15 for class_id, _ in objects)
        with pytest.raises(errors.ReadWriteDenied, match=r"object list grants"):
            meter.set(3, ENERGY, 3, axdr.null_data())
        with pytest.raises(errors.LocalProtocolError, match="no such attribute"):
            meter.get(3, ENERGY, 6)
        assert meter.get(3, ENERGY, 2) == raw


async def test_asyncio_client(ports) -> None:
    async with DlmsClient(url_of(ports, "hdlc"), referencing="sn", client_sap=18) as meter:
        raw = await meter.get(3, ENERGY, 2)
        assert (await meter.read_register(ENERGY)).raw == raw
        with pytest.raises(errors.ObjectUndefined, match="not in the object list"):
            await meter.get(3, "1.0.99.99.99.255", 2)
        some = await meter.read_profile("1.0.99.1.0.255", start=datetime(2026, 3, 1, tzinfo=UTC))
        assert 0 < len(some.rows) < 200
        assert len(await meter.objects()) > 20


def test_rights_hold_as_with_logical_names(ports) -> None:
    """Client 34 may set the clock, client 18 not; only the manager sees the switch work."""
    url = url_of(ports, "wrapper")
    with blocking.DlmsClient(url, referencing="sn", client_sap=18) as public:
        with pytest.raises(errors.ReadWriteDenied):
            public.set_clock(MOMENT)
        with pytest.raises(errors.ActionReadWriteDenied):
            public.action(70, "0.0.96.3.10.255", 1, axdr.integer(0))
    with blocking.DlmsClient(url, referencing="sn", **CREDENTIALS["gmac"]()) as manager:
        manager.action(70, "0.0.96.3.10.255", 1, axdr.integer(0))
        assert manager.get(70, "0.0.96.3.10.255", 2) is False
        manager.action(70, "0.0.96.3.10.255", 2, axdr.integer(0))


def test_the_object_list_is_read_once_and_shared(ports) -> None:
    cache = MeterCache()
    trace: list[tuple[str, str, bytes]] = []
    for turn in range(2):
        with blocking.DlmsClient(
            url_of(ports, "wrapper"),
            referencing="sn",
            client_sap=18,
            cache=cache,
            trace=lambda *item: trace.append(item),
        ) as meter:
            meter.get(3, ENERGY, 2)
            meter.get(3, ENERGY, 3)
        lists = [octets for octets in reads(trace) if octets == bytes.fromhex("050102fa08")]
        assert len(lists) == 1
        assert len(reads(trace)) == 3 + 2 * turn


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
async def test_after_a_time_out_the_session_is_closed(framing: str) -> None:
    """The late answer finds nobody: it could be taken for the answer to the next Read."""
    bench = Bench(framing)
    client = bench.client(referencing="sn", client_sap=18, timeout=5.0)
    await client.connect()
    raw = await client.get(3, ENERGY, 2)
    kept: list[bytes] = []

    def keep(chunk: bytes) -> list[bytes]:
        kept.append(chunk)
        return []

    bench.far.pass_on = keep
    with pytest.raises(errors.LinkTimeout):
        await client.get(3, ENERGY, 3)
    assert kept
    with pytest.raises(errors.LocalProtocolError, match="reconnect"):
        await client.get(3, ENERGY, 2)
    await client.reconnect()
    assert await client.get(3, ENERGY, 2) == raw
    await client.close()
    await bench.end()


async def test_a_doubled_answer_closes_the_session() -> None:
    bench = Bench("wrapper")
    async with bench.client(referencing="sn", client_sap=18) as client:
        raw = await client.get(3, ENERGY, 2)
        bench.far.pass_on = lambda chunk: [chunk, chunk]
        assert await client.get(3, ENERGY, 2) == raw
        with pytest.raises(errors.SequenceError, match="no invoke id"):
            await client.get(3, ENERGY, 3)
        assert not client.is_connected
    await bench.end()


def test_a_doubled_answer_closes_a_blocking_session_too() -> None:
    near, far = socket.socketpair()
    last = [b""]

    def serve() -> None:
        connection = WrapperConnection(make_meter())
        while data := far.recv(65536):
            last[0] = connection.receive_data(data, 0.0)
            far.sendall(last[0])

    serving = threading.Thread(target=serve)
    serving.start()
    try:
        with blocking.DlmsClient(SocketStream(near), framing="wrapper", referencing="sn", client_sap=18) as client:
            raw = client.get(3, ENERGY, 2)
            assert client.get(3, ENERGY, 2) == raw
            far.sendall(last[0])
            with pytest.raises(errors.SequenceError, match="no invoke id"):
                client.get(3, ENERGY, 3)
            assert not client.is_connected
    finally:
        near.close()
        serving.join()
        far.close()


def test_no_short_names_over_datagrams(ports) -> None:
    with pytest.raises(ValueError, match="need a connection"):
        blocking.DlmsClient(url_of(ports, "udp"), referencing="sn", client_sap=18)
    with pytest.raises(ValueError, match="'ln' or 'sn'"):
        blocking.DlmsClient(url_of(ports, "wrapper"), referencing="short")
    names = MeterCache().short_names
    client = ClientAssociation(ClientSettings(referencing=Referencing.SHORT_NAME, short_names=names, client_sap=18))
    client.associate()
    connection = WrapperConnection(make_meter())
    (answer,) = connection.receive_datagram(WrapperPdu(18, 1, client.apdus_to_send()[0]).encode(), 0.0)
    client.receive_apdu(WrapperPdu.decode(answer).apdu)
    (event,) = client.events()
    assert isinstance(event.error, errors.AssociationRefused)  # type: ignore[union-attr]


def test_an_information_report_of_the_meter() -> None:
    meter = make_meter()
    association = meter.association(18)
    assert association is not None
    cache = MeterCache()
    client = ClientAssociation(
        ClientSettings(referencing=Referencing.SHORT_NAME, short_names=cache.short_names, client_sap=18)
    )
    server = ServerAssociation(association.settings)
    client.associate()
    server.receive_apdu(client.apdus_to_send()[0])
    client.receive_apdu(server.apdus_to_send()[0])
    assert isinstance(client.events()[0], Associated)
    server.notify(information_report(meter, association, [(3, ENERGY, 2), (8, ObisCode.CLOCK, 2)]))
    client.receive_apdu(server.apdus_to_send()[0])
    (event,) = client.events()
    assert isinstance(event, Notified)
    names = [association.settings.short_names.find(item.name) for item in event.apdu.specifications]  # type: ignore[attr-defined,union-attr]
    assert [(at.class_id, at.instance, at.attribute) for at in names] == [
        (3, ObisCode.parse(ENERGY), 2),
        (8, ObisCode.CLOCK, 2),
    ]
    assert event.apdu.data[0].value == meter_value(meter)  # type: ignore[attr-defined]
    with pytest.raises(LookupError):
        information_report(meter, association, [(3, "1.0.99.99.99.255", 2)])
    with pytest.raises(LookupError):
        information_report(meter, meter.association(16), [(3, ENERGY, 2)])  # type: ignore[arg-type]


def meter_value(meter) -> object:
    from cosemic.protocol.requests import Get

    return meter.execute((16, 1), Get.one(3, ENERGY, 2)).results[0].value


def test_the_command(ports, capsys) -> None:
    command = ["read", url_of(ports, "wrapper"), f"3/{ENERGY}/2", "--client", "18", "--referencing", "sn", "--json"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["unit"] == "Wh"
