"""The Norwegian and Swedish captures as amshan reads them, against our readings: every value, every unit."""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from cosemic.push.messages import Push
from cosemic.times import CosemDateTime
from tests.interop import peers
from tests.push.plain import CASES, plain_apdu, understand
from tests.vectors.collection import REASON

pytestmark = [pytest.mark.interop, pytest.mark.skipif(not CASES, reason=REASON)]

NORDIC = [case for case in CASES if any(word in case["name"] for word in ("norway", "-no-", "-se-"))]
#: its field, our code (without A and B) and the unit that its documentation gives
FIELDS = {
    "list_ver_id": ("0.2.129", ""),
    "meter_id": ("96.1.0", ""),
    "meter_type": ("96.1.7", ""),
    "active_power_import": ("1.7.0", "W"),
    "active_power_export": ("2.7.0", "W"),
    "reactive_power_import": ("3.7.0", "var"),
    "reactive_power_export": ("4.7.0", "var"),
    "active_power_import_total": ("1.8.0", "Wh"),
    "active_power_export_total": ("2.8.0", "Wh"),
    "reactive_power_import_total": ("3.8.0", "varh"),
    "reactive_power_export_total": ("4.8.0", "varh"),
    **{f"current_l{n + 1}": (f"{31 + 20 * n}.7.0", "A") for n in range(3)},
    **{f"voltage_l{n + 1}": (f"{32 + 20 * n}.7.0", "V") for n in range(3)},
    **{f"active_power_import_l{n + 1}": (f"{21 + 20 * n}.7.0", "W") for n in range(3)},
    **{f"active_power_export_l{n + 1}": (f"{22 + 20 * n}.7.0", "W") for n in range(3)},
    **{f"reactive_power_import_l{n + 1}": (f"{23 + 20 * n}.7.0", "var") for n in range(3)},
    **{f"reactive_power_export_l{n + 1}": (f"{24 + 20 * n}.7.0", "var") for n in range(3)},
}
KAMSTRUP = {"meter_id": "0.0.5", "meter_type": "96.1.1"}


def _theirs() -> list[dict[str, Any]]:
    command = [peers.python_of("amshan"), peers.DRIVERS / "amshan_driver.py"]
    question = json.dumps([plain_apdu(case).hex() for case in NORDIC])
    done = subprocess.run(command, input=question, capture_output=True, text=True, timeout=60, check=True)
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def _time_of(push: Push) -> str | None:
    for reading in push.readings:
        if isinstance(reading.value, datetime | CosemDateTime):
            return reading.value.isoformat()
    return None if push.time is None else push.time.isoformat()


def test_every_field_that_amshan_reads() -> None:
    answers = _theirs()
    assert len(answers) == len(NORDIC) >= 18
    compared = 0
    for case, theirs in zip(NORDIC, answers, strict=True):
        assert theirs is not None, case["name"]
        push = understand(case)
        ours = {str(reading.obis).split(":")[1].split("*")[0]: reading for reading in push.readings}
        for field, value in theirs.items():
            if field == "meter_manufacturer":
                continue
            if field == "meter_datetime":
                # amshan takes the deviation of 0 in Aidon's clock for true; we do not, as the layout says.
                assert str(_time_of(push)) == str(value).replace("+00:00", "")
                continue
            code, unit = FIELDS[field]
            reading = ours[KAMSTRUP.get(field, code) if theirs["meter_manufacturer"] == "Kamstrup" else code]
            assert reading.unit == unit, (case["name"], field)
            if isinstance(value, str):
                assert reading.value == value
            else:
                assert isinstance(reading.value, Decimal)
                assert float(reading.value) == pytest.approx(value, rel=1e-12), (case["name"], field)
            compared += 1
        named = {reading.obis for reading in push.readings}
        # What it has no field for: the clock, and nulls.
        assert len(theirs) + 2 >= len(named)
    assert compared > 200
