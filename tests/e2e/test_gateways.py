"""Meters behind a gateway, requests to all stations, several devices on one line, an M-Bus: both clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from cosemic import DlmsClient, axdr, blocking
from cosemic.enums import Conformance
from cosemic.errors import ExceptionResponseError, LocalProtocolError
from cosemic.link.broadcast import ALL_STATIONS
from cosemic.meter.model import MeterAssociation, SimulatedMeter
from cosemic.meter.server import MeterServer, running
from cosemic.protocol.settings import DEFAULT_CONFORMANCE, ServerSettings
from tests.e2e.conftest import CREDENTIALS, make_meter, url_of

NUMBER = (1, "0.0.128.0.0.255", 2)
Run = Callable[..., object]


@pytest.fixture(params=["asyncio", "blocking"])
def use(request: pytest.FixtureRequest) -> Run:
    """Write a number through a client, if one is given, and read it back."""

    def use_blocking(url: str, number: int | None = None, **options: object) -> object:
        with blocking.DlmsClient(url, **(CREDENTIALS["none"]() | options)) as meter:  # type: ignore[arg-type]
            if number is not None:
                meter.set(*NUMBER, axdr.double_long_unsigned(number))
            return meter.get(*NUMBER)

    async def use_asyncio(url: str, number: int | None = None, **options: object) -> object:
        async with DlmsClient(url, **(CREDENTIALS["none"]() | options)) as meter:  # type: ignore[arg-type]
            if number is not None:
                await meter.set(*NUMBER, axdr.double_long_unsigned(number))
            return await meter.get(*NUMBER)

    if request.param == "blocking":
        return use_blocking
    return lambda *arguments, **options: asyncio.run(use_asyncio(*arguments, **options))


@pytest.mark.parametrize("framing", ["wrapper", "hdlc", "udp"])
@pytest.mark.parametrize("credentials", ["none", "lls", "gmac", "gmac-dedicated"])
def test_meters_behind_a_gateway(use: Run, framing: str, credentials: str) -> None:
    behind = {(0, b"11111111"): make_meter(), (3, b"11111111"): make_meter(), (0, b"\x00\x01"): make_meter()}
    with running(make_meter(), behind=behind) as ports:
        url = url_of(ports, framing)
        for number, gateway in enumerate((None, *behind), 1):
            assert use(url, number, gateway=gateway, **CREDENTIALS[credentials]()) == number
        for number, gateway in enumerate((None, *behind), 1):  # each has its own
            assert use(url, gateway=gateway, **CREDENTIALS[credentials]()) == number


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
def test_a_device_that_is_not_there(use: Run, framing: str) -> None:
    with running(make_meter(), behind={(0, b"1"): make_meter()}) as ports:
        for gateway in ((0, "2"), (1, "1")):
            with pytest.raises(ExceptionResponseError):
                use(url_of(ports, framing), gateway=gateway)


def test_a_gateway_address_that_cannot_be() -> None:
    for gateway in ((256, b"1"), (0, b"")):
        with pytest.raises(ValueError):
            DlmsClient("tcp://127.0.0.1", client_sap=16, server_sap=1, gateway=gateway)


def test_long_answers_through_a_gateway() -> None:
    with (
        running(make_meter(), behind={(0, b"12345678"): make_meter()}) as ports,
        blocking.DlmsClient(
            url_of(ports, "hdlc"), client_sap=16, server_sap=1, gateway=(0, "12345678"), max_pdu_size=300
        ) as meter,
    ):
        assert len(meter.get(7, "1.0.99.1.0.255", 2)) == 200  # type: ignore[arg-type]
        octets = bytes(range(256)) * 8
        meter.set(1, "0.0.128.0.1.255", 2, axdr.octet_string(octets))
        assert meter.get(1, "0.0.128.0.1.255", 2) == octets


# to all stations


def _with_pre_established(client_sap: int) -> SimulatedMeter:
    """A meter that takes plain requests of a client without an association, as the public one may do."""
    meter = make_meter()
    for device in meter.devices.values():
        template = next(item for item in device.associations if item.client_sap == 32)
        settings = ServerSettings(
            client_sap=client_sap, server_sap=device.sap, pre_established=True, conformance=DEFAULT_CONFORMANCE
        )
        association = replace(template, settings=settings, number=9, protected=False)
        assert isinstance(association, MeterAssociation)
        device.associations.append(association)
        meter._associations[client_sap, device.sap] = association
    return meter


@pytest.mark.parametrize("framing", ["wrapper", "udp", "hdlc"])
@pytest.mark.parametrize("address", [{}, {"physical_address": 0x7F}, {"physical_address": 0x3FFF, "address_size": 4}])
def test_requests_to_all_stations(framing: str, address: dict[str, int]) -> None:
    if framing != "hdlc" and address:
        pytest.skip("the wrapper has no physical addresses")
    meter = _with_pre_established(102)
    all_stations = 0x3FFF if address.get("address_size") == 4 else ALL_STATIONS
    number = 4711

    async def send(url: str) -> None:
        async with DlmsClient(url, client_sap=102, server_sap=all_stations, broadcast=True, **address) as everybody:  # type: ignore[arg-type]
            await everybody.set(*NUMBER, axdr.double_long_unsigned(number))
            await everybody.action(3, "0.0.128.0.2.255", 1, axdr.integer(0))
            with pytest.raises(LocalProtocolError, match="GET"):
                await everybody.get(*NUMBER)

    with running(meter) as ports:
        url = url_of(ports, framing)
        with blocking.DlmsClient(url, client_sap=16, server_sap=1) as client:
            asyncio.run(send(url))
            _until(lambda: client.get(*NUMBER) == number)
            number = 4712
            with blocking.DlmsClient(
                url, client_sap=102, server_sap=all_stations, broadcast=True, **address
            ) as everybody:
                everybody.set(*NUMBER, axdr.double_long_unsigned(number))
            _until(lambda: client.get(*NUMBER) == number)


def test_unconfirmed_requests_to_one_device_without_a_link() -> None:
    with running(_with_pre_established(102)) as ports:
        url = url_of(ports, "hdlc")
        for sap, number in ((1, 11), (2, 12)):
            with blocking.DlmsClient(url, client_sap=102, server_sap=sap, broadcast=True) as one:
                one.set(*NUMBER, axdr.double_long_unsigned(number))
        with blocking.DlmsClient(url, client_sap=16, server_sap=1) as meter:
            _until(lambda: meter.get(*NUMBER) == 11)


def _until(holds: Callable[[], bool]) -> None:
    """Nobody says when a request to all has been carried out; each look is an exchange with the meter."""
    for _ in range(2000):
        if holds():
            return
    raise AssertionError("the request to all stations had no effect")


def test_to_a_broadcast_address() -> None:
    """Loopback has one too."""
    with running(_with_pre_established(102), host="0.0.0.0") as ports:
        for client in (blocking.DlmsClient,):
            with client(
                f"udp://127.255.255.255:{ports.udp}", client_sap=102, server_sap=ALL_STATIONS, broadcast=True
            ) as everybody:
                everybody.set(*NUMBER, axdr.double_long_unsigned(99))
        with blocking.DlmsClient(f"udp://127.0.0.1:{ports.udp}", client_sap=16, server_sap=1) as meter:
            _until(lambda: meter.get(*NUMBER) == 99)

        async def send() -> None:
            async with DlmsClient(
                f"udp://127.255.255.255:{ports.udp}", client_sap=102, server_sap=ALL_STATIONS, broadcast=True
            ) as everybody:
                await everybody.set(*NUMBER, axdr.double_long_unsigned(100))

        asyncio.run(send())
        with blocking.DlmsClient(f"udp://127.0.0.1:{ports.udp}", client_sap=16, server_sap=1) as meter:
            _until(lambda: meter.get(*NUMBER) == 100)


def test_who_has_no_association_for_all_does_nothing() -> None:
    with running(make_meter()) as ports:
        for framing in ("wrapper", "hdlc"):
            with blocking.DlmsClient(
                url_of(ports, framing), client_sap=16, server_sap=ALL_STATIONS, broadcast=True
            ) as everybody:
                everybody.set(*NUMBER, axdr.double_long_unsigned(1234567))
            with blocking.DlmsClient(url_of(ports, framing), client_sap=16, server_sap=1) as meter:
                assert meter.get(*NUMBER) != 1234567


def test_too_much_for_one_apdu_is_not_sent() -> None:
    with (
        running(make_meter()) as ports,
        blocking.DlmsClient(
            url_of(ports, "hdlc"),
            client_sap=16,
            server_sap=ALL_STATIONS,
            broadcast=True,
            pre_established_pdu_size=100,
            conformance=DEFAULT_CONFORMANCE & ~Conformance.GET,
        ) as everybody,
        pytest.raises(LocalProtocolError),
    ):
        everybody.set(1, "0.0.128.0.1.255", 2, axdr.octet_string(bytes(200)))


# M-Bus


@pytest.mark.parametrize("credentials", ["none", "lls", "gmac"])
async def test_an_mbus_over_tcp(credentials: str) -> None:
    async with MeterServer(make_meter(), mbus_address=5) as server:
        port = await server.serve_mbus()
        url = f"mbus-tcp://127.0.0.1:{port}?address=5"
        async with DlmsClient(url, **CREDENTIALS[credentials]()) as meter:
            assert len(await meter.get(7, "1.0.99.1.0.255", 2)) == 200  # type: ignore[arg-type]
            await meter.set(*NUMBER, axdr.double_long_unsigned(5))
            assert await meter.get(*NUMBER) == 5

        def read() -> object:
            with blocking.DlmsClient(url, **CREDENTIALS[credentials]()) as meter:
                return meter.get(*NUMBER)

        assert await asyncio.to_thread(read) == 5
