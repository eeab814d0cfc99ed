"""General block transfer, ACCESS and pushes with pydlms-client, our client to its meter and its client to ours."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from cosemic import AuthenticationMechanism, Conformance, SecurityContext, axdr, blocking, errors
from cosemic.apdu.notify import DataNotification, EventNotificationRequest
from cosemic.link.wrapper import WrapperPdu
from cosemic.meter.demo import demo_meter
from cosemic.meter.server import running
from cosemic.protocol.requests import Action, Get, Set
from cosemic.security.context import SecurityPolicy
from cosemic.security.counters import MemoryCounters
from tests.interop import peers

pytestmark = pytest.mark.interop

ENERGY, EXPORT, PROFILE, RELAY = "1.0.1.8.0.255", "1.0.2.8.0.255", "1.0.99.1.0.255", "0.0.96.3.10.255"
NUMBER, OCTETS = "0.0.128.0.0.255", "0.0.128.0.1.255"


@contextmanager
def pydlms_meter(**config: Any) -> Iterator[int]:
    process = peers.Process(
        peers.python_of("pydlms"), peers.DRIVERS / "pydlms_blocks_meter_driver.py", json.dumps(config)
    )
    try:
        yield int(process.first_line)
    finally:
        process.close()


def our_client(port: int, *, hdlc: bool = False, keys: bool = False, **options: Any) -> blocking.DlmsClient:
    options.setdefault("timeout", 8.0)
    if keys:
        options |= {
            "client_sap": 1,
            "authentication": AuthenticationMechanism.HLS_GMAC,
            "security": SecurityContext(
                system_title=b"COSEMIC2",
                encryption_key=peers.EK,
                authentication_key=peers.AK,
                counters=MemoryCounters(),
                **options.pop("protection", {}),
            ),
        }
    return blocking.DlmsClient(f"{'hdlc' if hdlc else 'tcp'}://127.0.0.1:{port}", **options)


@contextmanager
def seen_blocks(client: blocking.DlmsClient) -> Iterator[list[bytes]]:
    """The general blocks that come and go, in order."""
    seen: list[bytes] = []

    def trace(layer: str, direction: str, octets: bytes) -> None:
        if layer == "link" and octets[8:9] == b"\xe0":
            seen.append(direction[:1].encode() + WrapperPdu.decode(octets).apdu)

    client.trace = trace
    yield seen


# Our client, its meter


@pytest.mark.parametrize("keys", [False, True], ids=["plain", "ciphered"])
@pytest.mark.parametrize("hdlc", [False, True], ids=["wrapper", "hdlc"])
@pytest.mark.parametrize("ours, theirs", [(1, 1), (1, 8), (5, 3), (63, 63)])
def test_our_client_reads_and_writes_in_blocks(hdlc: bool, keys: bool, ours: int, theirs: int) -> None:
    """Over HDLC the peer leaves a block that another follows unanswered, P = 1 or not, so each waits for our poll."""
    secret = [peers.EK, peers.AK] if keys else None
    polls = {"response_timeout": 0.1, "retries": 80} if hdlc else {}
    with (
        pydlms_meter(max_pdu=64, window=theirs, hdlc=hdlc, keys=secret) as port,
        our_client(port, hdlc=hdlc, keys=keys, max_pdu_size=100, block_transfer_window=ours, **polls) as meter,
    ):
        assert meter.association.conformance & Conformance.GENERAL_BLOCK_TRANSFER
        profile = meter.read_profile(PROFILE)
        assert len(profile.rows) > 10
        assert profile.rows[0][0].isoformat().startswith("2024-05-01T00:00:00")
        value = bytes(range(256)) * 3
        meter.set(3, EXPORT, 2, axdr.octet_string(value))
        assert meter.get(3, EXPORT, 2) == value
        assert {entry.class_id for entry in meter.objects()} >= {1, 3, 7, 8, 70}
        assert meter.get(3, ENERGY, 2) == 12345678


@pytest.mark.parametrize("drop", [[2], [3], [2, 3], [4], [1, 5]], ids=str)
@pytest.mark.parametrize("window", [1, 4])
def test_our_client_asks_for_blocks_that_were_lost(drop: list[int], window: int) -> None:
    with pydlms_meter(max_pdu=1024, drop=[number for number in drop if number > 1]) as port:
        client = our_client(port, max_pdu_size=100, block_transfer_window=window, response_timeout=1.2)
        with seen_blocks(client) as blocks, client as meter:
            assert len(meter.read_profile(PROFILE).rows) > 10
        assert any(block[:1] == b"o" for block in blocks)


@pytest.mark.parametrize("ignore", [[2], [3, 4], [1]], ids=str)
def test_our_client_sends_blocks_again(ignore: list[int]) -> None:
    with (
        pydlms_meter(max_pdu=64, window=4, ignore=ignore) as port,
        our_client(port, max_pdu_size=1024, response_timeout=1.2) as meter,
    ):
        value = bytes(range(256)) * 2
        meter.set(3, EXPORT, 2, axdr.octet_string(value))
        assert meter.get(3, EXPORT, 2) == value


@pytest.mark.parametrize("protection", [{}, {"dedicated_key": True}, {"general": True}], ids=["glo", "ded", "general"])
@pytest.mark.parametrize("keys", [False, True], ids=["plain", "ciphered"])
def test_our_client_uses_access(keys: bool, protection: dict[str, Any]) -> None:
    with (
        pydlms_meter(keys=[peers.EK, peers.AK] if keys else None) as port,
        our_client(port, keys=keys, **({"protection": protection} if keys else {})) as meter,
    ):
        answers = meter.access(
            [
                Get.one(3, ENERGY, 2),
                Set.one(3, EXPORT, 2, axdr.double_long_unsigned(4321)),
                Get.one(3, EXPORT, 2),
                Get.one(3, "1.0.99.99.0.255", 2),
                Action.one(70, RELAY, 1, axdr.integer(0)),
                Get.one(70, RELAY, 2),
            ]
        )
        assert [answer.value for answer in answers] == [12345678, None, 4321, None, None, False]
        assert [answer.error is None for answer in answers] == [True, True, True, False, True, True]
        assert isinstance(answers[3].error, errors.ObjectUndefined)
        first, second = meter.access([Get.one(3, "1.0.99.99.0.255", 2), Get.one(3, ENERGY, 2)], break_on_error=True)
        assert isinstance(first.error, errors.ObjectUndefined)
        assert isinstance(second.error, errors.DataAccessError)
        assert meter.get(3, ENERGY, 2) == 12345678


def test_access_in_blocks() -> None:
    with (
        pydlms_meter(max_pdu=64, window=3, keys=[peers.EK, peers.AK]) as port,
        our_client(port, keys=True, max_pdu_size=100) as meter,
    ):
        answers = meter.access([Get.one(3, ENERGY, 2)] * 20 + [Get.one(7, PROFILE, 2)])
        assert [answer.value for answer in answers[:20]] == [12345678] * 20
        assert len(answers[20].value) > 10


PUSH = DataNotification(0x00000007, b"", axdr.Data.of(axdr.structure(axdr.double_long_unsigned(5)))).encode()
EVENT = EventNotificationRequest(
    None, Get.one(1, "0.0.96.11.0.255", 2).items[0][0], axdr.Data.of(axdr.unsigned(3))
).encode()


@pytest.mark.parametrize("hdlc", [False, True], ids=["wrapper", "hdlc"])
@pytest.mark.parametrize("protection", [None, "glo", "general-glo"])
def test_pushes_in_the_middle_of_blocks(hdlc: bool, protection: str | None) -> None:
    keys = [peers.EK, peers.AK]
    pushes = [[EVENT.hex(), protection, frame] for frame in ("ui", "i") for _ in range(2)]
    if protection != "glo":  # DataNotification has no glo- APDU
        pushes += [[PUSH.hex(), protection, "ui"]] * 2
    seen: list[Any] = []
    with (
        pydlms_meter(max_pdu=1024, hdlc=hdlc, keys=keys, pushes=pushes) as port,
        our_client(
            port, hdlc=hdlc, keys=True, max_pdu_size=120, block_transfer_window=2, on_notification=seen.append
        ) as meter,
    ):
        assert len(meter.read_profile(PROFILE).rows) > 10
        for _ in pushes:
            assert meter.get(3, ENERGY, 2) == 12345678
    assert len(seen) == len(pushes)
    expected = SecurityPolicy.NONE if protection is None else SecurityPolicy.AUTHENTICATED_ENCRYPTED
    assert {event.protection for event in seen} == {expected}
    assert [type(event.apdu) for event in seen].count(EventNotificationRequest) == 4


# Its client, our meter


@pytest.fixture(scope="module")
def small_meter() -> Iterator[Any]:
    with running(demo_meter(profile_rows=60, max_pdu_size=128)) as ports:
        yield ports


def their_client(port: int, framing: str, auth: str, steps: list[dict[str, Any]], **settings: Any) -> list[Any]:
    config: dict[str, Any] = {
        "port": port,
        "framing": framing,
        "auth": auth,
        "client": peers.CLIENTS[auth],
        "server": 1,
        "password": "00000000",
        "ops": steps,
        "settings": {"propose_gbt": True, "propose_access": True, **settings},
    }
    if auth == "gmac":
        config |= {"ek": peers.EK, "ak": peers.AK, "system_title": f"505559{next(peers._titles):010X}"}
    done = subprocess.run(
        [peers.python_of("pydlms"), peers.DRIVERS / "pydlms_access_client_driver.py"],
        input=json.dumps(config),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert answers[-1:] == [{"value": "closed"}], (answers, done.stderr[-2000:])
    assert all("error" not in answer for answer in answers), answers
    agreed = Conformance(answers[0]["value"])
    assert agreed & Conformance.GENERAL_BLOCK_TRANSFER
    assert agreed & Conformance.ACCESS
    return [answer["value"] for answer in answers[1:-1]]


READ_PROFILE = {"op": "get", "class": 7, "obis": PROFILE, "attribute": 2}
READ_NAME = {"op": "get", "class": 1, "obis": "0.0.42.0.0.255", "attribute": 2}


@pytest.mark.parametrize("auth", ["none", "lls", "gmac"])
@pytest.mark.parametrize("window", [1, 5, 63])
def test_their_client_reads_and_writes_in_blocks(small_meter: Any, auth: str, window: int) -> None:
    octets = bytes(range(256)) * 4
    steps = [
        READ_PROFILE,
        {"op": "set", "class": 1, "obis": OCTETS, "attribute": 2, "data": f"0982{len(octets):04x}{octets.hex()}"},
        {"op": "get", "class": 1, "obis": OCTETS, "attribute": 2},
        READ_NAME,
    ]
    rows, written, value, name = their_client(
        small_meter.wrapper, "wrapper", auth, steps, gbt_window=window, max_receive_pdu_size=200
    )
    assert len(rows) == 60
    assert not written
    assert value == octets.hex()
    assert bytes.fromhex(name).startswith(b"COS")


@pytest.mark.parametrize("auth", ["none", "gmac"])
def test_their_client_reads_in_blocks_over_hdlc(small_meter: Any, auth: str) -> None:
    """One block at a time, and no long requests: it does not poll for the second block of a window, and after a block
    that is followed by another it leaves our RR unread, then takes it for the answer to the next frame.
    """
    rows, name = their_client(
        small_meter.hdlc, "hdlc", auth, [READ_PROFILE, READ_NAME], gbt_window=1, max_receive_pdu_size=200
    )
    assert len(rows) == 60
    assert bytes.fromhex(name).startswith(b"COS")


@pytest.mark.parametrize("auth", ["none", "gmac"])
def test_their_client_uses_access(small_meter: Any, auth: str) -> None:
    items = [
        {"kind": "get", "class": 3, "obis": ENERGY, "number": 3},
        {"kind": "set", "class": 1, "obis": NUMBER, "number": 2, "data": "0600000063"},
        {"kind": "get", "class": 1, "obis": NUMBER, "number": 2},
        {"kind": "get", "class": 1, "obis": "0.0.99.99.99.255", "number": 2},
        {"kind": "action", "class": 3, "obis": "0.0.128.0.2.255", "number": 1, "data": "0f00"},
        {"kind": "get", "class": 7, "obis": PROFILE, "number": 2},
    ]
    steps = [
        {"op": "access", "items": items},
        {"op": "access", "items": items[3:], "break_on_error": True},
        {"op": "access", "items": items[:1]},
    ]
    everything, broken, one = their_client(
        small_meter.wrapper, "wrapper", auth, steps, gbt_window=4, max_receive_pdu_size=200
    )
    assert [result for result, _ in everything] == [0, 0, 0, 4, 0, 0]
    assert everything[0][1] == [0, 30]
    assert everything[2][1] == 99
    assert len(everything[5][1]) == 60
    assert [result for result, _ in broken] == [4, 250, 250]
    assert one == [[0, [0, 30]]]


@pytest.mark.parametrize("auth", ["none", "lls"])
def test_gurux_reads_by_access(small_meter: Any, auth: str) -> None:
    """GETs; its SET and ACTION items need objects of its own. Of general blocks it takes the first and then fails by
    itself (an attribute of its settings is missing), and its meter answers ACCESS with an HDLC frame on the wrapper.
    """
    config: dict[str, Any] = {
        "port": small_meter.wrapper,
        "framing": "wrapper",
        "auth": auth,
        "client": peers.CLIENTS[auth],
        "server": 1,
        "password": "00000000",
        "ops": [
            {
                "op": "access",
                "items": [
                    {"kind": "get", "class": 1, "obis": "0.0.42.0.0.255", "number": 2},
                    {"kind": "get", "class": 3, "obis": ENERGY, "number": 3},
                    {"kind": "get", "class": 1, "obis": "0.0.99.99.99.255", "number": 2},
                ],
            }
        ],
    }
    done = subprocess.run(
        [peers.python_of("gurux"), peers.DRIVERS / "gurux_blocks_client_driver.py"],
        input=json.dumps(config),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert answers[-1:] == [{"value": "closed"}], (answers, done.stderr[-2000:])
    name, scaler, missing = answers[1]["value"]
    assert name == [0, "434f5330303030303030303030303031"]
    assert scaler == [0, [0, 30]]
    assert missing[0] == 4
