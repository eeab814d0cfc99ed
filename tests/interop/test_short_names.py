"""Short names with other people's clients and meters."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from cosemic import AuthenticationMechanism, CosemDateTime, SecurityContext, axdr, blocking, errors
from cosemic.security.counters import MemoryCounters
from tests.interop import peers

pytestmark = pytest.mark.interop

CLIENTS = {"none": 18, "lls": 34, "gmac": 3}
REGISTER = {"op": "get", "class": 3, "obis": "1.0.1.8.0.255", "attribute": 2}
SCALER_UNIT = {"op": "get", "class": 3, "obis": "1.0.1.8.0.255", "attribute": 3}
NAME = {"op": "get", "class": 1, "obis": "0.0.42.0.0.255", "attribute": 2}
MANY = {"op": "get_many", "items": [[3, "1.0.1.8.0.255", 2], [3, "1.0.1.8.0.255", 3], [1, "0.0.42.0.0.255", 2]]}
NUMBER, OCTETS, SCRATCH = "0.0.128.0.0.255", "0.0.128.0.1.255", "0.0.128.0.2.255"
PROFILE = "1.0.99.1.0.255"
BUFFER = {"op": "get", "class": 7, "obis": PROFILE, "attribute": 2}
ROWS = 200

# gurux-dlms invokes reply_to_HLS_authentication by Write, whose answer has no room for pass 4, so it has no HLS here.
AUTHENTICATIONS = [("gurux", "none"), ("gurux", "lls"), ("pydlms", "none"), ("pydlms", "lls"), ("pydlms", "gmac")]
CASES = [(library, framing, auth) for library, auth in AUTHENTICATIONS for framing in ("wrapper", "hdlc")]
# Of blocks with short names gurux-dlms writes only the value, not where it goes, and it fails on those it reads.
PYDLMS = [case for case in CASES if case[0] == "pydlms"]


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    process = peers.simulator("--profile-rows", str(ROWS))
    found = json.loads(process.first_line)
    yield {"wrapper": found["wrapper_port"], "hdlc": found["hdlc_port"]}
    process.close()


def _steps(
    ports: dict[str, int], library: str, framing: str, auth: str, *steps: dict[str, Any], **more: Any
) -> list[Any]:
    """What each step gave; the association was released without a complaint."""
    if library == "pydlms":
        more["settings"] = {"logical_names": False} | more.get("settings", {})
    else:
        more["short_names"] = True
    *answers, closed = peers.run_client(
        library, ports[framing], framing, auth, list(steps), client=CLIENTS[auth], **more
    )
    assert len(answers) == len(steps), closed
    for answer in answers:
        assert "error" not in answer, answer
    assert closed == {"value": "closed"}
    return [answer["value"] for answer in answers]


@pytest.mark.parametrize("library, framing, auth", CASES)
def test_reads_values(ports: dict[str, int], library: str, framing: str, auth: str) -> None:
    steps = [REGISTER, SCALER_UNIT, NAME, {"op": "objects"}]
    register, scaler_unit, name, objects = _steps(ports, library, framing, auth, *steps)
    assert isinstance(register, int)
    assert scaler_unit[1] == 30  # Wh
    assert bytes.fromhex(name).startswith(b"COS")
    assert [3, "1.0.1.8.0.255"] in [
        [class_id, obis.replace("-", ".").replace(":", ".").replace("*", ".")] for class_id, obis in objects
    ]


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
def test_reads_a_list(ports: dict[str, int], framing: str) -> None:
    scaler_unit, name, many = _steps(ports, "gurux", framing, "none", SCALER_UNIT, NAME, MANY)
    assert many[1:] == [scaler_unit, name]


@pytest.mark.parametrize("library, framing, auth", CASES)
def test_writes_and_reads_back(ports: dict[str, int], library: str, framing: str, auth: str) -> None:
    number = 100 + CASES.index((library, framing, auth))
    if library == "gurux":
        write = {"op": "set", "obis": NUMBER, "attribute": 2, "value": number, "type": 6}
    else:
        write = {"op": "set", "class": 1, "obis": NUMBER, "attribute": 2, "data": f"06{number:08x}"}
    read = {"op": "get", "class": 1, "obis": NUMBER, "attribute": 2}
    written, value = _steps(ports, library, framing, auth, write, read)
    assert not written
    assert value == number


@pytest.mark.parametrize("library, framing, auth", PYDLMS)
def test_calls_a_method(ports: dict[str, int], library: str, framing: str, auth: str) -> None:
    """By Read with parameterized access."""
    write = {"op": "set", "class": 3, "obis": SCRATCH, "attribute": 2, "data": "0600000005"}
    reset = {"op": "action", "class": 3, "obis": SCRATCH, "method": 1, "data": "0f00"}
    read = {"op": "get", "class": 3, "obis": SCRATCH, "attribute": 2}
    _, before, _, after = _steps(ports, library, framing, auth, write, read, reset, read)
    assert (before, after) == (5, 0)


def test_a_method_called_by_write(ports: dict[str, int]) -> None:
    """gurux-dlms calls methods so. It has wrong offsets for registers, clocks and profiles; of what it has right our
    meter offers the switch, which only the manager may operate."""
    switch = {"op": "action", "class": 70, "obis": "0.0.96.3.10.255", "method": 1, "value": 0, "type": 15}
    answer, closed = peers.run_client(
        "gurux", ports["wrapper"], "wrapper", "none", [switch], client=CLIENTS["none"], short_names=True
    )
    assert answer == {"error": "RuntimeError: data access result 3"}
    assert closed == {"value": "closed"}


@pytest.mark.parametrize("library, framing, auth", PYDLMS)
def test_reads_a_whole_profile_in_blocks(ports: dict[str, int], library: str, framing: str, auth: str) -> None:
    (rows,) = _steps(ports, library, framing, auth, BUFFER, settings={"max_receive_pdu_size": 512})
    assert len(rows) == ROWS
    assert all(len(row) == 4 for row in rows)


@pytest.mark.parametrize("library, framing, auth", PYDLMS)
def test_writes_in_blocks(ports: dict[str, int], library: str, framing: str, auth: str) -> None:
    """One octet more than an APDU may have."""
    octets = (bytes(range(256)) * 256)[:65532]
    if library == "gurux":
        write = {"op": "set", "obis": OCTETS, "attribute": 2, "octets": octets.hex(), "type": 9}
    else:
        write = {
            "op": "set",
            "class": 1,
            "obis": OCTETS,
            "attribute": 2,
            "data": f"0982{len(octets):04x}{octets.hex()}",
        }
    read = {"op": "get", "class": 1, "obis": OCTETS, "attribute": 2}
    written, value = _steps(ports, library, framing, auth, write, read)
    assert not written
    assert value == octets.hex()


@pytest.mark.parametrize("library, framing, auth", CASES)
def test_reads_a_profile_by_range(ports: dict[str, int], library: str, framing: str, auth: str) -> None:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    start, end = now - timedelta(hours=6), now - timedelta(hours=4)
    clock = axdr.structure(
        axdr.long_unsigned(8), axdr.octet_string(bytes((0, 0, 1, 0, 0, 255))), axdr.integer(2), axdr.long_unsigned(0)
    )
    moments = [axdr.octet_string(bytes(CosemDateTime.from_datetime(moment))) for moment in (start, end)]
    parameters = axdr.encode(axdr.structure(clock, *moments, axdr.array()))
    if library == "pydlms":
        step = {"op": "range", "obis": PROFILE, "parameters": parameters.hex()}
    else:
        local = [moment.astimezone(timezone(timedelta(hours=1))).isoformat() for moment in (start, end)]
        step = {"op": "dates", "obis": PROFILE, "from": local[0], "to": local[1]}
    (rows,) = _steps(ports, library, framing, auth, step)
    assert len(rows) == 9


@pytest.fixture(scope="module", params=["wrapper", "hdlc"])
def pydlms_meter(request: pytest.FixtureRequest) -> Iterator[str]:
    """pydlms-client's simulator takes short names from every client."""
    yield from _pydlms(request.param)


@pytest.fixture(scope="module", params=["wrapper", "hdlc"])
def pydlms_ciphered_meter(request: pytest.FixtureRequest) -> Iterator[str]:
    yield from _pydlms(request.param, "--key", peers.EK, "--auth-key", peers.AK, "--client", "1:5")


def _pydlms(framing: str, *options: str) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    driver = peers.DRIVERS / "pydlms_meter_driver.py"
    hdlc = ("--hdlc",) if framing == "hdlc" else ()
    clients = ("--client", "16:0", "--client", "32:1:00000000")
    process = peers.Process(peers.python_of("pydlms"), driver, str(port), *options, *hdlc, *clients)
    assert process.first_line == "ready"
    yield f"{'hdlc' if framing == 'hdlc' else 'tcp'}://127.0.0.1:{port}"
    process.close()


def _exercise(meter: blocking.DlmsClient) -> None:
    assert meter.association.application_context in (2, 4)
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
    meter.set(3, "1.0.2.8.0.255", 2, axdr.double_long_unsigned(77))
    assert meter.get(3, "1.0.2.8.0.255", 2) == 77
    meter.action(70, "0.0.96.3.10.255", 1, axdr.integer(0))
    assert meter.get(70, "0.0.96.3.10.255", 2) is False


def test_pydlms_meter_without_security(pydlms_meter: str) -> None:
    with blocking.DlmsClient(pydlms_meter, client_sap=16, referencing="sn") as meter:
        _exercise(meter)


def test_pydlms_meter_in_blocks(pydlms_meter: str) -> None:
    octets = bytes(range(256)) * 12
    with blocking.DlmsClient(pydlms_meter, client_sap=16, referencing="sn", max_pdu_size=160) as meter:
        assert len(meter.read_profile("1.0.99.1.0.255").rows) > 10
        meter.set(1, "0.0.42.0.0.255", 2, axdr.octet_string(octets))
        assert meter.get(1, "0.0.42.0.0.255", 2) == octets


def test_pydlms_meter_with_a_password(pydlms_meter: str) -> None:
    lls = AuthenticationMechanism.LLS
    with blocking.DlmsClient(
        pydlms_meter, client_sap=32, authentication=lls, password="00000000", referencing="sn"
    ) as meter:
        _exercise(meter)


def test_pydlms_meter_ciphered(pydlms_ciphered_meter: str) -> None:
    security = SecurityContext(
        suite=0,
        system_title=bytes.fromhex("434F530000005A01"),
        encryption_key=peers.EK,
        authentication_key=peers.AK,
        policy="authenticated-encrypted",
        counters=MemoryCounters(),
    )
    with blocking.DlmsClient(
        pydlms_ciphered_meter,
        client_sap=1,
        authentication=AuthenticationMechanism.HLS_GMAC,
        security=security,
        referencing="sn",
    ) as meter:
        _exercise(meter)
