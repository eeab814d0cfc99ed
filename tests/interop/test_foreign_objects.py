"""Objects by name, models and harvest against meters that other people wrote."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from cosemic import axdr, blocking
from cosemic.cosem import procedures
from cosemic.cosem.meter_model import MeterModel
from cosemic.cosem.model_differences import differences
from cosemic.errors import LocalProtocolError
from cosemic.harvest.plan import Pace, harvest
from cosemic.harvest.stores import open_store, plain
from cosemic.meter.demo import READER_CLIENT
from cosemic.meter.from_model import meter_from_model
from tests.cosem.driving import drive
from tests.interop.test_foreign_meters import gurux_meter, pydlms_meter

__all__ = ["gurux_meter", "pydlms_meter"]
pytestmark = pytest.mark.interop


@pytest.fixture
def pydlms(pydlms_meter: str) -> Iterator[blocking.DlmsClient]:
    with blocking.DlmsClient(pydlms_meter, client_sap=16, server_sap=1) as client:
        yield client


@pytest.fixture
def gurux(gurux_meter: str) -> Iterator[blocking.DlmsClient]:
    with blocking.DlmsClient(gurux_meter, client_sap=16, server_sap=1) as client:
        yield client


def test_the_objects_of_pydlms_have_names_units_and_methods(pydlms: blocking.DlmsClient) -> None:
    units = {str(item.obis): item.unit for item in pydlms.objects(units=True)}
    assert units["1-0:1.8.0*255"] == "Wh"
    energy = pydlms["1-0:1.8.0"]
    assert energy.read("value").value == Decimal(12345678)  # type: ignore[attr-defined]
    assert isinstance(pydlms["0-0:1.0.0"].read("time"), datetime)
    switch = pydlms["0-0:96.3.10"]
    switch.remote_reconnect()
    assert switch.read("output_state") is True
    switch.remote_disconnect()
    assert switch.read("output_state") is False


def test_a_plain_value_is_written_in_the_type_of_pydlms(pydlms: blocking.DlmsClient) -> None:
    energy = pydlms["1-0:2.8.0"]
    tried = energy.write("value", 78, dry_run=True)
    assert tried.value is not None
    assert energy.read("value").raw != 78  # type: ignore[attr-defined]
    energy.write("value", 78)
    assert energy.read("value").raw == 78  # type: ignore[attr-defined]
    with pytest.raises(LocalProtocolError):
        energy.write("value", -1)


def test_a_model_of_pydlms_is_a_meter_with_the_same_objects_and_values(pydlms: blocking.DlmsClient) -> None:
    model = pydlms.read_model(buffers=True)
    assert len(model.objects) > 10
    copy = meter_from_model(MeterModel.from_text(model.to_json()))

    def execute(request: object) -> object:
        return copy.execute((READER_CLIENT, 1), request)  # type: ignore[arg-type]

    from cosemic.cosem.meter_model import read_model

    again = drive(read_model(drive(procedures.read_objects(), execute), buffers=True), execute)
    ours = {15, 17, 64}
    first = MeterModel(tuple(item for item in model.objects if item.entry.class_id not in ours))
    second = MeterModel(tuple(item for item in again.objects if item.entry.class_id not in ours))
    # The copy has invocation counters of its own besides.
    left = [str(found) for found in differences(first, second) if found.first is not None]
    assert left == []


def test_a_profile_of_pydlms_is_harvested(pydlms: blocking.DlmsClient, tmp_path: Path) -> None:
    rows = pydlms.read_profile("1-0:99.1.0").rows
    for _ in range(2):
        with closing(open_store(tmp_path / "load.sqlite")) as store:
            done = pydlms.run(harvest("1-0:99.1.0", store, time.monotonic, pace=Pace(rows=8)))
    assert (done.new, done.last) == (0, rows[-1][0])
    with closing(sqlite3.connect(tmp_path / "load.sqlite")) as database:
        kept = database.execute('SELECT * FROM "1-0:99.1.0*255" ORDER BY recorded').fetchall()
    assert [row[1:] for row in kept] == [tuple(plain(cell) for cell in row) for row in rows]


def test_the_objects_of_gurux(gurux: blocking.DlmsClient) -> None:
    """Its object list ends the connection; with the class given, none is needed."""
    register = gurux[3, "1-0:1.8.0"]
    assert str(register.read("value")) == "12345670 Wh"
    note = gurux[1, "0-0:96.1.10"]
    assert note.read() == {"logical_name": note.obis, "value": b"hello"}
    tried = note.write("value", b"other", dry_run=True)
    assert tried.value == axdr.octet_string(b"other")
    profile = gurux[7, "1-0:99.1.0"]
    assert [captured["class_id"] for captured in profile.read("capture_objects")] == [8, 3]  # type: ignore[attr-defined]
