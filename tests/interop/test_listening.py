"""Pushes made by gurux-dlms, sent to a listener over TCP and UDP."""

from __future__ import annotations

import asyncio
import json
import subprocess
from decimal import Decimal

import pytest

from cosemic.push.decoder import Interpreter
from cosemic.push.listening.inventory import Inventory
from cosemic.push.listening.listener import PushListener
from cosemic.push.messages import Push
from tests.interop.peers import DRIVERS, python_of
from tests.push.listening.test_listener import port_of, take, udp_sender
from tests.push.samples import AUTHENTICATION_KEY, KEY, TITLE, notification

INVENTORY = f"""
[meters.gurux]
system_title = "{TITLE.hex()}"
ek = "{KEY.hex()}"
ak = "{AUTHENTICATION_KEY.hex()}"
"""


@pytest.mark.interop
@pytest.mark.parametrize("way", ["tcp", "udp"])
async def test_pushes_of_gurux(way: str) -> None:
    done = subprocess.run(  # noqa: ASYNC221 - nothing else runs
        [python_of("gurux"), DRIVERS / "gurux_notify_driver.py"],
        input=json.dumps(
            {
                "title": TITLE.hex(),
                "ek": KEY.hex(),
                "ak": AUTHENTICATION_KEY.hex(),
                "body": notification()[6:].hex(),
            }
        ),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    pushes = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(push["framing"], push["is_sealed"]) for push in pushes] == [
        ("wrapper", False),
        ("wrapper", True),
        ("hdlc", False),
        ("hdlc", True),
    ]
    inventory = Inventory(INVENTORY)
    interpreter = Interpreter(inventory, meters=inventory, accept_plain=True)
    async with PushListener(f"{way}://127.0.0.1:0", interpreter=interpreter) as listener:
        for push in pushes:
            octets = bytes.fromhex(push["octets"])
            if way == "tcp":
                reader, writer = await asyncio.open_connection("127.0.0.1", port_of(listener.places[0]))
                writer.write(octets)
                if push["framing"] == "wrapper" and not push["is_sealed"]:  # gurux-dlms asks for a confirmation
                    async with asyncio.timeout(20):
                        assert (await reader.readexactly(14))[8] == 0x10
                writer.close()
            else:
                sender, _ = await udp_sender(listener.places[0])
                sender.sendto(octets)
                sender.close()
            (received,) = await take(listener, 1)
            item = received.item
            assert isinstance(item, Push)
            assert [reading.value for reading in item.readings] == ["TST0001", Decimal(12340)]
            if push["is_sealed"]:
                assert item.protection is not None
                assert (item.meter, item.protection.is_verified) == ("gurux", True)
            else:
                assert (item.meter, item.protection) == (None, None)
