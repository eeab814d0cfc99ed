"""Our demo meter with other readings of the standard in its associations of suites 1 and 2; a process for the tests."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any

from cosemic.meter import demo_keys
from cosemic.meter.demo import demo_meter
from cosemic.meter.model import SimulatedMeter
from cosemic.meter.server import MeterServer
from cosemic.security.suites import EphemeralSignature, GeneralAad, SigningInput, SigningOrder

READINGS: dict[str, dict[str, Any]] = {
    "standard": {},
    "field": {
        "general_aad": GeneralAad.WITHOUT_HEADER,
        "signing_input": SigningInput.CONTENT,
        "ephemeral_signature": EphemeralSignature.POINT,
        "signing_order": SigningOrder.CIPHER_FIRST,
    },
}


async def main(name: str) -> None:
    made = demo_meter(profile_rows=10)
    devices = list(made.devices.values())
    others = [each for each in devices[0].associations if each.client_sap not in demo_keys.CLIENTS]
    devices[0].associations = others + demo_keys.associations(1, 0xFFFF, None, **READINGS[name])
    meter = SimulatedMeter(devices, time=lambda: datetime.now(UTC))
    async with MeterServer(meter) as server:
        print(json.dumps({"wrapper_port": await server.serve_wrapper("127.0.0.1", 0)}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
