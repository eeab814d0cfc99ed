"""Our clients read and write meters that other people wrote."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from cosemic import AuthenticationMechanism, SecurityContext, axdr, blocking, errors
from cosemic.security.counters import MemoryCounters
from tests.interop import peers

pytestmark = pytest.mark.interop

COUNTERS = MemoryCounters()  # pydlms-client's meter keeps one last counter for all clients, whatever their titles


@pytest.fixture(scope="module", params=["wrapper", "hdlc"])
def pydlms_meter(request: pytest.FixtureRequest) -> Iterator[str]:
    """pydlms-client's simulator; client 16 without security, 32 with LLS."""
    yield from _pydlms(request.param)


@pytest.fixture(scope="module", params=["wrapper", "hdlc"])
def pydlms_ciphered_meter(request: pytest.FixtureRequest) -> Iterator[str]:
    """The same with keys; client 1 with HLS-GMAC."""
    yield from _pydlms(request.param, "--key", peers.EK, "--auth-key", peers.AK, "--client", "1:5")


def _pydlms(framing: str, *options: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    command: list[str | Path] = [
        peers.python_of("pydlms"),
        peers.DRIVERS / "pydlms_meter_driver.py",
        str(port),
        *options,
    ]
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


def _gmac(**more: object) -> SecurityContext:
    settings: dict[str, object] = {
        "system_title": b"COSEMIC1",
        "encryption_key": peers.EK,
        "authentication_key": peers.AK,
        "counters": COUNTERS,
    }
    return SecurityContext(**(settings | more))  # type: ignore[arg-type]


def _gmac_client(url: str, **more: object) -> blocking.DlmsClient:
    return blocking.DlmsClient(
        url,
        client_sap=1,
        server_sap=1,
        authentication=AuthenticationMechanism.HLS_GMAC,
        security=_gmac(**more),
    )


def _exercise_pydlms(meter: blocking.DlmsClient) -> None:
    """What pydlms-client's simulator offers: a register, lists, an object list, a profile, writing, calling."""
    assert meter.get(3, "1.0.1.8.0.255", 2) == 12345678
    reading = meter.read_register("1.0.1.8.0.255")
    assert (reading.value, reading.unit) == (Decimal(12345678), "Wh")
    wanted = [(3, "1.0.1.8.0.255", 2), (3, "1.0.32.7.0.255", 2), (3, "1.0.99.99.0.255", 2)]
    energy, voltage, missing = meter.get_list(wanted)
    assert energy.value == 12345678
    assert isinstance(voltage.value, int)
    assert isinstance(missing.error, errors.ObjectUndefined)
    assert {entry.class_id for entry in meter.objects()} >= {1, 3, 7, 8, 70}
    profile = meter.read_profile("1.0.99.1.0.255")
    assert len(profile.rows) > 10
    assert profile.rows[0][0].isoformat().startswith("2024-05-01T00:00:00")
    with pytest.raises(errors.ObjectUndefined, match=r"1-0:99\.99\.0"):
        meter.get(3, "1.0.99.99.0.255", 2)
    meter.set(3, "1.0.2.8.0.255", 2, axdr.double_long_unsigned(77))
    assert meter.get(3, "1.0.2.8.0.255", 2) == 77
    meter.action(70, "0.0.96.3.10.255", 1, axdr.integer(0))
    assert meter.get(70, "0.0.96.3.10.255", 2) is False


def test_pydlms_meter_without_security(pydlms_meter: str) -> None:
    with blocking.DlmsClient(pydlms_meter, client_sap=16, server_sap=1) as meter:
        _exercise_pydlms(meter)


def test_pydlms_meter_with_a_password(pydlms_meter: str) -> None:
    lls = AuthenticationMechanism.LLS
    with blocking.DlmsClient(
        pydlms_meter, client_sap=32, server_sap=1, authentication=lls, password="00000000"
    ) as meter:
        _exercise_pydlms(meter)


def test_pydlms_meter_refuses_a_wrong_password(pydlms_meter: str) -> None:
    lls = AuthenticationMechanism.LLS
    meter = blocking.DlmsClient(pydlms_meter, client_sap=32, server_sap=1, authentication=lls, password="11111111")
    with pytest.raises(errors.AssociationRefused, match="password"):
        meter.connect()


@pytest.mark.parametrize("more", [{}, {"dedicated_key": True}], ids=["global", "dedicated"])
def test_pydlms_meter_ciphered(pydlms_ciphered_meter: str, more: dict[str, object]) -> None:
    with _gmac_client(pydlms_ciphered_meter, **more) as meter:
        _exercise_pydlms(meter)


def test_pydlms_meter_refuses_a_wrong_key(pydlms_ciphered_meter: str) -> None:
    meter = _gmac_client(pydlms_ciphered_meter, encryption_key=b"\x55" * 16)
    with pytest.raises(errors.DlmsError, match=r"key|decipher"):
        meter.connect()


@pytest.mark.parametrize("client_sap, password", [(16, None), (32, "00000000")], ids=["none", "lls"])
def test_gurux_meter(gurux_meter: str, client_sap: int, password: str | None) -> None:
    with blocking.DlmsClient(
        gurux_meter,
        client_sap=client_sap,
        server_sap=1,
        authentication=AuthenticationMechanism.LLS if password else AuthenticationMechanism.NONE,
        password=password,
    ) as meter:
        assert meter.get(3, "1.0.1.8.0.255", 2) == 1234567
        reading = meter.read_register("1.0.1.8.0.255")
        assert (reading.value, reading.unit) == (Decimal(12345670), "Wh")
        answers = list(meter.get_list([(3, "1.0.1.8.0.255", 2), (1, "0.0.96.1.10.255", 2)]))
        assert [answer.value for answer in answers] == [1234567, b"hello"]
        rows = meter.get(7, "1.0.99.1.0.255", 2)
        assert len(rows) == 200
        assert rows[7][1] == 7
