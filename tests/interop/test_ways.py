"""Ways to a meter other than TCP and HDLC over TCP, with pydlms-client and gurux-dlms at the other end."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import tty
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cosemic import DlmsClient, blocking
from cosemic.meter.server import MeterServer, running
from tests.e2e.conftest import make_meter
from tests.interop import peers

pytestmark = pytest.mark.interop
DRIVER = peers.DRIVERS / "pydlms_ways_driver.py"


@contextmanager
def _mbus_meter(**options: object) -> Iterator[str]:
    process = peers.Process(peers.python_of("pydlms"), DRIVER, "serve", json.dumps(options))
    try:
        yield f"mbus-tcp://127.0.0.1:{int(process.first_line)}?address=5"
    finally:
        process.close()


FAULTS = {
    "well": {},
    "short segments": {"max_segment": 20},
    "acknowledgements lost": {"drop_ack": [1, 3]},
    "answers lost": {"drop_response": [1, 4]},
    "answers damaged": {"corrupt_response": [2, 5]},
    "answers twice": {"repeat_response": [4], "max_segment": 100},
    "not ready, E5": {"not_ready": 2, "idle_ack": True},
    "not ready, M-Bus data": {"not_ready": 2},
}


@pytest.mark.parametrize("options", FAULTS.values(), ids=list(FAULTS))
def test_our_client_on_an_mbus_with_pydlms_meter(options: dict[str, object]) -> None:
    with (
        _mbus_meter(**options) as url,
        blocking.DlmsClient(url, client_sap=16, server_sap=1, response_timeout=0.7) as meter,
    ):
        assert meter.get(3, "1.0.1.8.0.255", 2) == 12345678
        assert len(meter.objects()) == 12
        assert len(meter.get(7, "1.0.99.1.0.255", 2)) == 96  # type: ignore[arg-type]


async def test_our_asyncio_client_on_an_mbus_with_pydlms_meter() -> None:
    with _mbus_meter() as url:
        async with DlmsClient(url, client_sap=16, server_sap=1) as meter:
            assert await meter.get(3, "1.0.1.8.0.255", 2) == 12345678
            assert len(await meter.objects()) == 12


async def _driver(what: str, **config: object) -> dict[str, object]:
    command = [peers.python_of("pydlms"), DRIVER, what, json.dumps(config)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
    if "need pyserial" in done.stderr:
        pytest.skip("pydlms-client reads serial ports with pyserial, which is not in its environment")
    assert done.stdout, done.stderr[-2000:]
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("password", [None, "00000000"])
async def test_pydlms_client_on_an_mbus_with_our_meter(password: str | None) -> None:
    peers.python_of("pydlms")
    async with MeterServer(make_meter(), mbus_address=7) as server:
        port = await server.serve_mbus()
        client = 32 if password else 16
        answer = await _driver("read", port=port, address=7, client=client, password=password)
    assert isinstance(answer["value"], int)
    assert answer["objects"] > 10  # type: ignore[operator]


async def test_pydlms_client_signs_on_to_our_optical_port() -> None:
    peers.python_of("pydlms")
    near, device = os.openpty()
    far, line = os.openpty()
    for descriptor in (near, device, far, line):
        tty.setraw(descriptor)
    loop = asyncio.get_running_loop()
    loop.add_reader(near, lambda: os.write(far, os.read(near, 4096)))
    loop.add_reader(far, lambda: os.write(near, os.read(far, 4096)))
    try:
        async with MeterServer(make_meter()) as server:
            await server.serve_url(f"optical://{os.ttyname(line)}")
            answer = await _driver("optical", device=os.ttyname(device), client=16)
    finally:
        loop.remove_reader(near)
        loop.remove_reader(far)
        for descriptor in (near, device, far, line):
            os.close(descriptor)
    assert isinstance(answer["value"], int)
    assert answer["objects"] > 10  # type: ignore[operator]


@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
@pytest.mark.parametrize("auth", ["none", "lls"])
def test_gurux_client_at_a_meter_behind_our_gateway(framing: str, auth: str) -> None:
    """The number lands in the meter behind the gateway, and not in the gateway's own.

    Not with GMAC: gurux-dlms 1.0.203 puts the prefix before its AARQ, but before no ciphered request.
    """
    peers.python_of("gurux")
    obis = "0.0.128.0.0.255"
    write = {"op": "set", "obis": obis, "attribute": 2, "value": 4711, "type": 6}
    read = {"op": "get", "class": 1, "obis": obis, "attribute": 2}
    with running(make_meter(), behind={(2, b"12345678"): make_meter()}) as ports:
        port = ports.hdlc if framing == "hdlc" else ports.wrapper
        *answers, _ = peers.run_client("gurux", port, framing, auth, [write, read], gateway=[2, b"12345678".hex()])
        assert answers[1:] == [{"value": 4711}], answers
        url = f"{'hdlc' if framing == 'hdlc' else 'tcp'}://127.0.0.1:{port}"
        with blocking.DlmsClient(url, client_sap=16, server_sap=1) as own:
            assert own.get(1, obis, 2) != 4711
        with blocking.DlmsClient(url, client_sap=16, server_sap=1, gateway=(2, "12345678")) as behind:
            assert behind.get(1, obis, 2) == 4711
