"""Other people's clients read, write and call our simulated meter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop import peers

pytestmark = pytest.mark.interop

REGISTER = {"op": "get", "class": 3, "obis": "1.0.1.8.0.255", "attribute": 2}
SCALER_UNIT = {"op": "get", "class": 3, "obis": "1.0.1.8.0.255", "attribute": 3}
NAME = {"op": "get", "class": 1, "obis": "0.0.42.0.0.255", "attribute": 2}
MANY = {"op": "get_many", "items": [[3, "1.0.1.8.0.255", 2], [3, "1.0.1.8.0.255", 3], [1, "0.0.42.0.0.255", 2]]}
OBJECTS = {"op": "get", "class": 15, "obis": "0.0.40.0.0.255", "attribute": 2}

CASES = [
    (library, framing, auth)
    for library in ("gurux", "dlms_cosem", "pydlms")
    for framing in ("wrapper", "hdlc")
    for auth in ("none", "lls", "gmac")
]


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, int]]:
    process = peers.simulator("--profile-rows", "500")
    found = json.loads(process.first_line)
    yield {"wrapper": found["wrapper_port"], "hdlc": found["hdlc_port"]}
    process.close()


def _value(answer: dict[str, Any]) -> Any:
    assert "error" not in answer, answer
    return answer["value"]


@pytest.mark.parametrize("library, framing, auth", CASES)
def test_reads_values_lists_and_blocks(ports: dict[str, int], library: str, framing: str, auth: str) -> None:
    answers = peers.run_client(library, ports[framing], framing, auth, [REGISTER, SCALER_UNIT, NAME, MANY, OBJECTS])
    register, scaler_unit, name, many, objects, closed = answers
    assert isinstance(_value(register), int)
    assert _value(scaler_unit)[1] == 30  # Wh
    assert bytes.fromhex(_value(name)).startswith(b"COS")
    assert _value(many)[1:] == [_value(scaler_unit), _value(name)]
    assert len(_value(objects)) > 10  # the object list is longer than one block or frame
    assert closed == {"value": "closed"}
