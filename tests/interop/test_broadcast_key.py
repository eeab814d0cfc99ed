"""What our client sends under the global broadcast key, opened by pydlms-client."""

from __future__ import annotations

import json
import subprocess

import pytest

from cosemic.codec import axdr
from cosemic.link.broadcast import ALL_STATIONS
from cosemic.meter.demo import AUTHENTICATION_KEY, BROADCAST_KEY, ENCRYPTION_KEY, SCRATCH_NUMBER
from tests.interop.peers import DRIVERS, python_of
from tests.meter.bench import CLIENT_TITLE, Bench, client_context


@pytest.mark.parametrize("general", [False, True])
def test_pydlms_opens_a_broadcast(general: bool) -> None:
    python = python_of("pydlms")
    bench = Bench()
    context = client_context(broadcast_key=BROADCAST_KEY, general=general)
    with bench.client(client_sap=102, server_sap=ALL_STATIONS, broadcast=True, security=context) as everybody:
        everybody.set(1, SCRATCH_NUMBER, 2, axdr.double_long_unsigned(7))
        everybody.action(3, "0.0.128.0.2.255", 1, axdr.integer(0))
    sent = bench.sent()
    assert [apdu[0] for apdu in sent] == ([0xDB, 0xDB] if general else [0xC9, 0xCB])
    config = {
        "ek": ENCRYPTION_KEY.hex(),
        "ak": AUTHENTICATION_KEY.hex(),
        "bk": BROADCAST_KEY.hex(),
        "sender": CLIENT_TITLE.hex(),
    }
    for broadcast_key, expected in ((config["bk"], "plain"), (bytes(range(16, 32)).hex(), "error")):
        done = subprocess.run(
            [python, DRIVERS / "pydlms_open_driver.py"],
            input=json.dumps(config | {"bk": broadcast_key, "apdus": [apdu.hex() for apdu in sent]}),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert [list(answer) for answer in answers] == [[expected], [expected]], answers
        if expected == "plain":
            assert [answer["plain"][:6] for answer in answers] == ["c10181", "c30182"]
            assert answers[0]["plain"].endswith("0600000007")
