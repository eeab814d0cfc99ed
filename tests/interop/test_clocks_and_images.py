"""Clocks are read, measured and set, and images transferred, in meters that other people wrote."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from cosemic import blocking
from cosemic.cosem import clock
from cosemic.cosem.image_transfer import ImageInfo, ImageTransfer, ImageTransferStatus
from cosemic.errors import LinkError, ServiceError
from cosemic.meter.demo import demo_meter
from cosemic.meter.image_transfer import ImageStore
from cosemic.meter.server import running
from tests.interop import peers

pytestmark = pytest.mark.interop

IMAGE = bytes(range(256)) * 3 + b"the end"
NAME = b"FW-2.1"


@contextmanager
def pydlms(**options: object) -> Iterator[str]:
    driver = peers.DRIVERS / "pydlms_image_meter_driver.py"
    process = peers.Process(peers.python_of("pydlms"), driver, json.dumps(options))
    try:
        yield f"tcp://127.0.0.1:{int(process.first_line)}"
    finally:
        process.close()


def finish(meter: blocking.DlmsClient, step) -> int:
    for pauses in range(20):
        if not meter.run(step()):
            return pauses
    raise AssertionError("it never ends")


def test_an_image_goes_into_their_meter_in_spite_of_lost_blocks() -> None:
    with pydlms(block_size=64, drop_blocks={2: 1, 7: 3, 12: 1}, verify_steps=3, activate_steps=2) as url:
        transfer = ImageTransfer(IMAGE, NAME)
        with blocking.DlmsClient(url) as meter:
            assert meter.run(transfer.send()).missing(13) == []
            assert meter.get(1, "0-0:128.0.1*255", 2) == IMAGE
            assert finish(meter, transfer.verify) > 0
            assert transfer.info == ImageInfo(len(IMAGE), NAME, b"")
            assert transfer.status == ImageTransferStatus.VERIFICATION_SUCCESSFUL
            finish(meter, transfer.activate)
            assert transfer.activated


def test_their_meter_restarts_while_it_activates() -> None:
    with pydlms(block_size=200, drop_on_activate=True) as url:
        transfer = ImageTransfer(IMAGE, NAME)
        with blocking.DlmsClient(url) as meter:
            meter.run(transfer.send())
            finish(meter, transfer.verify)
            with pytest.raises(LinkError):
                meter.run(transfer.activate())
            meter.reconnect()
            assert meter.run(transfer.activate()) == 0


def test_a_transfer_is_gone_on_with_in_another_association() -> None:
    with pydlms(block_size=50) as url:
        with blocking.DlmsClient(url) as meter:
            steps = ImageTransfer(IMAGE, NAME).send()
            request = next(steps)
            for _ in range(9):
                request = steps.send(meter.request(request))
        sent: list[int] = []
        transfer = ImageTransfer(IMAGE, NAME, resume=True, progress=lambda done, count: sent.append(done))
        with blocking.DlmsClient(url) as meter:
            meter.run(transfer.send())
            assert sent[0] > 3
            assert meter.get(1, "0-0:128.0.1*255", 2) == IMAGE


def test_blocks_that_their_meter_only_claims_to_have_come_to_light() -> None:
    with pydlms(block_size=64, fail_verify=True) as url, blocking.DlmsClient(url) as meter:
        transfer = ImageTransfer(IMAGE, NAME)
        meter.run(transfer.send())
        with pytest.raises(ServiceError, match="finds the image bad"):
            meter.run(transfer.verify())


def test_the_clock_of_their_simulator_tells_time_and_zone_only() -> None:
    with pydlms() as url, blocking.DlmsClient(url) as meter:
        state = meter.run(clock.read_clock_state())
        # 1 May 2024 12:00 in summer time, time_zone -60, and nothing that says so
        assert state.moment() == datetime(2024, 5, 1, 10, tzinfo=UTC)
        assert (state.time_zone, state.saving, state.enabled) == (-60, None, None)
        meter.run(clock.set_time(datetime(2025, 12, 24, 17, 30, tzinfo=UTC)))
        assert meter.run(clock.read_clock_state()).moment() == datetime(2025, 12, 24, 17, 30, tzinfo=UTC)


@pytest.mark.parametrize("verifying", [0, 2])
def test_their_client_transfers_an_image_into_our_meter(verifying: int) -> None:
    lost = [1, 4]
    store = ImageStore(
        block_size=100,
        verifying=verifying,
        activating=verifying,
        loses=lambda number: number in lost and not lost.remove(number),
    )
    with running(demo_meter(profile_rows=1, images=store)) as ports:
        config = {
            "port": ports.wrapper,
            "ek": peers.EK,
            "ak": peers.AK,
            "system_title": "5055520000AA0001",
            "image": IMAGE.hex(),
            "name": NAME.decode(),
            "options": {"activate": True, "poll": 0.01},
        }
        driver = peers.DRIVERS / "pydlms_image_client_driver.py"
        done = subprocess.run(
            [peers.python_of("pydlms"), driver, json.dumps(config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-1500:]
    assert (store.active, store.active_identification, lost) == (IMAGE, NAME, [])
