"""Buffers of profiles as other people's encoders write them: their rows as a table, both ways."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from cosemic.codec import axdr
from cosemic.cosem.profile import decode_profile, make_columns, make_profile
from cosemic.cosem.selection import CLOCK_TIME, CaptureObject
from cosemic.cosem.values import ScalerUnit
from cosemic.obis import ObisCode
from cosemic.times import CosemDateTime
from tests.interop.peers import DRIVERS, python_of

pytestmark = pytest.mark.interop

pyarrow = pytest.importorskip("pyarrow")
pytest.importorskip("numpy")

COLUMNS = make_columns(
    [
        CLOCK_TIME,
        CaptureObject(1, ObisCode(0, 0, 96, 10, 1, 255), 2),
        CaptureObject(3, ObisCode(1, 0, 1, 8, 0, 255), 2),
        CaptureObject(1, ObisCode(0, 0, 96, 1, 0, 255), 2),
    ],
    [None, None, ScalerUnit(-3, 30), None],
)
START = datetime(2025, 1, 10, tzinfo=UTC)
UNSIGNED, LONG_UNSIGNED, DOUBLE_LONG, LONG64_UNSIGNED = 17, 18, 5, 21
OCTETS, TEXT, NULL = 9, 10, 0


def rows(nulls: bool) -> list[list[tuple[int, object]]]:
    """Four hundred rows: a time every tenth row, numbers of four widths and two signs, now and then none."""
    return [
        [
            (NULL, None)
            if nulls and i % 10
            else (OCTETS, bytes(CosemDateTime.from_datetime(START + i * QUARTER)).hex()),
            (UNSIGNED, i % 200) if i < 350 or not nulls else (NULL, None),
            ((LONG_UNSIGNED, 1000 + i), (DOUBLE_LONG, -i - 1), (LONG64_UNSIGNED, 10**15 + i))[i // 3 % 3],
            (TEXT, "row" + "w" * (i % 40)),
        ]
        for i in range(400)
    ]


QUARTER = timedelta(minutes=15)


@pytest.mark.parametrize(("library", "nulls"), [("gurux", True), ("dlms_cosem", False), ("pydlms", True)])
def test_rows_of_a_foreign_encoder(library: str, nulls: bool) -> None:  # dlms-cosem does not encode null-data
    driver = DRIVERS / "profile_encoder_driver.py"
    done = subprocess.run(
        [python_of(library), driver, library],
        input=json.dumps(rows(nulls)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    octets = bytes.fromhex(done.stdout.strip().splitlines()[-1])
    profile = decode_profile(COLUMNS, octets, capture_period=900)
    assert profile._vectors is not None
    table = profile.to_arrow()
    assert table.column(0).to_pylist() == [START + i * QUARTER for i in range(400)]
    assert table.column(1).to_pylist() == [i % 200 if i < 350 or not nulls else None for i in range(400)]
    assert table.column(2).to_pylist() == [Decimal(row[2][1]).scaleb(-3) for row in rows(nulls)]
    assert table.column(3).to_pylist() == [row[3][1] for row in rows(nulls)]
    assert profile.rows == make_profile(COLUMNS, axdr.decode(octets), capture_period=900).rows
