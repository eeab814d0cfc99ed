"""A harvest through whole clients, plain and protected, over links that die at any octet."""

from __future__ import annotations

import random

import pytest

from cosemic import blocking
from cosemic.errors import DlmsError
from cosemic.harvest.plan import Pace, harvest
from cosemic.harvest.stores import open_store
from cosemic.meter.server import MeterServer
from cosemic.transports.targets import Framing
from tests.e2e.conftest import CREDENTIALS, make_meter
from tests.harvest.test_harvest import PROFILE, kept, texts
from tests.test_blocking import Line

ROWS = 120


class DyingLine(Line):
    """Carries so many octets to the client, and is gone in the middle of whatever comes then."""

    def __init__(self, connection, framing, octets: int) -> None:
        super().__init__(connection, framing)
        self.left = octets
        self.pass_on = self.carry

    def carry(self, data: bytes) -> list[bytes]:
        part = data[: self.left]
        self.left -= len(part)
        if len(part) < len(data):
            self.closed = True
        return [part] if part else []


@pytest.mark.parametrize("login", ["none", "gmac"])
@pytest.mark.parametrize("framing", ["wrapper", "hdlc"])
@pytest.mark.parametrize("ending", [".sqlite", ".csv"])
def test_the_file_ends_complete_without_doubles(tmp_path, framing, login, ending):
    chance = random.Random(f"{framing}{login}{ending}")
    server = MeterServer(make_meter(ROWS))
    security = CREDENTIALS[login]()  # one ledger of counters for all clients, as a file is
    file = tmp_path / f"load{ending}"

    def client(octets: int) -> blocking.DlmsClient:
        return blocking.DlmsClient(
            lambda: DyingLine(server.new_connection(Framing(framing)), Framing(framing), octets),
            framing=framing,
            **security,
        )

    cuts = 0
    for _ in range(300):
        store = open_store(file)
        try:
            with client(chance.randrange(40, 4000)) as meter:
                meter.run(harvest(PROFILE, store, lambda: 0.0, pace=Pace(rows=8, most=16), with_list=meter.with_list))
        except DlmsError:
            cuts += 1
        finally:
            store.close()
    assert cuts > 100
    with client(10_000_000) as meter:
        store = open_store(file)
        meter.run(harvest(PROFILE, store, lambda: 0.0))
        store.close()
        expected = texts(meter.read_profile(PROFILE).rows)
    assert kept(file) == expected
    assert len(expected) == ROWS
