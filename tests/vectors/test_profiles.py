"""Arrays of structures from the shared vectors, each as a profile: by columns as row by row."""

from __future__ import annotations

from typing import Any

import pytest

from cosemic.codec import axdr
from cosemic.codec.deltas import resolve_deltas
from cosemic.cosem import profile as profile_module
from cosemic.cosem.profile import decode_profile, make_columns, make_profile
from cosemic.cosem.selection import CLOCK_TIME, CaptureObject
from cosemic.obis import ObisCode
from tests.vectors.collection import REASON, load
from tests.vectors.replay import replay_client
from tests.vectors.test_recorded import talk

pyarrow = pytest.importorskip("pyarrow")
pytest.importorskip("numpy")


def _buffers() -> list[tuple[str, bytes, int]]:
    found = []
    for case in load("axdr"):
        octets = bytes.fromhex(case["bytes"])
        if octets[:1] not in (b"\x01", b"\x13") or "error" in case.get("expected", {}):
            continue
        rows: Any = axdr.decode(octets)
        if rows and all(isinstance(row, tuple) and len(row) == len(rows[0]) for row in rows):
            found.append((case["name"], octets, len(rows[0])))
    return found


BUFFERS = _buffers()


def test_there_are_buffers() -> None:
    if not load("axdr"):
        pytest.skip(REASON)
    assert len(BUFFERS) >= 8


def same_both_ways(octets: bytes, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_module, "_WORTH_COLUMNS", 0)
    others = [CaptureObject(1, ObisCode(0, 0, 96, 1, index, 255), 2) for index in range(width)]
    for first in (CLOCK_TIME, others[0]):
        columns = make_columns([first, *others[1:]])
        profile = decode_profile(columns, octets, capture_period=3600)
        flat = not any(isinstance(cell, tuple | list) for row in axdr.decode(octets) for cell in row)
        assert profile._vectors is not None or not flat
        plain = make_profile(columns, resolve_deltas(octets, axdr.decode(octets), width), capture_period=3600)
        assert repr(profile.rows) == repr(plain.rows)
        assert profile.to_arrow().equals(plain.to_arrow(), check_metadata=True)


@pytest.mark.parametrize(("name", "octets", "width"), BUFFERS, ids=[name for name, _, _ in BUFFERS])
def test_a_buffer_of_the_collection(name: str, octets: bytes, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    same_both_ways(octets, width, monkeypatch)


def test_a_recorded_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    (result,), _ = replay_client(talk("wrapper-lls-profile-blocks_pydlms_gurux-java"))
    data = result.results[0]
    assert isinstance(data, axdr.Data)
    same_both_ways(data.octets, len(data.value[0]), monkeypatch)
